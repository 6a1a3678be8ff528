/**
 * The audit of the ledger over HTTP: it runs all the time by itself; here is what it found, a round on demand, and how payments open again.
 *
 *     GET  /money/audit          where it is, when the last whole round ended, what was found
 *     POST /money/audit/run      waits until what is new in the journal was read and every account looked at once more, at most 10 s
 *     POST /money/audit/clear    after a repair: a whole round that finds nothing, and then what was found is forgotten
 *
 * While something is found, recharges and payouts are stopped (`pay/open.ts`); gifts go on.
 */
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { rowProblems } from '../ledger/audit.ts'
import type { OpenLedger } from '../ledger/open.ts'
import { openPayments } from '../pay/open.ts'
import type { AdminParts } from './admin.ts'
import { OperatorError, refusals, security } from './answers.ts'
import type { AdminAudit } from './audit.ts'
import { asSent, ledgerOf, Reason, reading } from './money-shapes.ts'

const runMsMax = 10_000
/** 500 rows or accounts each. */
const stepsMax = 20_000

const AuditStateReply = Type.Object({
  pos: Type.Integer({ description: 'Of the last row of the journal that was looked at.' }),
  behind: Type.Integer({ description: 'Rows that were not looked at yet.' }),
  rows: Type.Integer(),
  accounts: Type.Integer(),
  rounds: Type.Integer({ description: 'Whole rounds over all accounts since the start.' }),
  lastRoundAt: Type.Optional(Type.Integer({ description: 'Epoch ms: when the last one ended.' })),
  failures: Type.Integer({ description: 'Steps that could not be made.' }),
  broken: Type.Integer({ description: 'Times that an invariant was found broken.' }),
  found: Type.Array(Type.Object({ invariant: Type.String(), at: Type.String(), msg: Type.String(), foundAt: Type.Integer() }), {
    description: 'What was found, each once, the first 100.',
  }),
})

export async function auditState({ audit, reads }: OpenLedger) {
  const { pos, rows, accounts, rounds, broken, failures, lastRoundAt } = audit.state
  const behind = Math.max(0, (await reads.lastPos()) - pos)
  const found = audit.found.map((one) => ({ ...one }))
  return { pos, behind, rows, accounts, rounds, failures, broken, found, ...(lastRoundAt === undefined ? {} : { lastRoundAt }) }
}

/** Two ends of a round: the first may have begun before this was asked. False: time was up first. */
async function runRound({ audit, reads }: OpenLedger, { clock }: AdminParts): Promise<boolean> {
  const until = clock.now() + runMsMax
  const first = (await reads.auditStep()).rounds
  for (let steps = 0; steps < stepsMax && clock.now() < until; steps++) {
    if (audit.state.rounds >= first + 2) return true
    await reads.auditStep()
  }
  return false
}

/** A round looks at new rows alone: those that were found broken are looked at by themselves. */
async function brokenRow({ audit, reads }: OpenLedger): Promise<string | undefined> {
  for (const { invariant, at } of audit.found) {
    const row = invariant === 'row' || invariant === 'split' ? await reads.row(at) : undefined
    const [problem] = row ? rowProblems(row, row.pos) : []
    if (problem) return `${at}: ${problem.msg}`
  }
  return undefined
}

const RunReply = Type.Object({
  isDone: Type.Boolean({ description: 'False: time was up; ask again.' }),
  ...AuditStateReply.properties,
})
const ClearBody = Type.Object({ reason: Reason }, { additionalProperties: false })

export function registerLedgerAudit(app: FastifyInstance, parts: AdminParts, audit: AdminAudit): void {
  app.get(
    '/money/audit',
    {
      config: reading.config,
      schema: {
        summary: 'How far the audit of the ledger is, and what it found.',
        description: reading.description,
        security,
        response: { 200: AuditStateReply, ...refusals },
      },
    },
    async () => auditState(ledgerOf(parts)),
  )
  const config = { scope: 'money:write', isAudited: true } as const
  const description = 'Scope money:write; wants an Idempotency-Key.'
  app.post(
    '/money/audit/run',
    {
      config,
      schema: {
        summary: 'Look at what is new in the journal, and at every account once more.',
        description,
        security,
        response: { 200: RunReply, ...refusals },
      },
    },
    async (request) => {
      const ledger = ledgerOf(parts)
      const state = async () => auditState(ledger)
      return audit.write(request, {
        target: 'ledger',
        look: state,
        act: async () => ({ isDone: await runRound(ledger, parts), ...(await state()) }),
      })
    },
  )
  app.post(
    '/money/audit/clear',
    {
      config,
      validatorCompiler: asSent,
      schema: {
        summary: 'Forget what the audit found, if a whole round finds nothing any more.',
        description: `${description} Recharges and payouts open again.`,
        security,
        body: ClearBody,
        response: { 200: AuditStateReply, ...refusals },
      },
    },
    async (request) => {
      const ledger = ledgerOf(parts)
      const { reason } = request.body as Static<typeof ClearBody>
      return audit.write(request, { target: 'ledger', look: () => auditState(ledger), act: () => clear(ledger, parts, reason) })
    },
  )
}

async function clear(ledger: OpenLedger, parts: AdminParts, reason: string) {
  const { broken } = ledger.audit.state
  if (!(await runRound(ledger, parts))) throw new OperatorError('money.still_broken', 'The round took too long: run it first.')
  const again = await brokenRow(ledger)
  if (again !== undefined) throw new OperatorError('money.still_broken', `Still broken: ${again}`)
  if (ledger.audit.state.broken > broken)
    throw new OperatorError('money.still_broken', 'The audit finds it again; GET /money/audit has what it found.')
  openPayments(ledger, { log: parts.log, reason })
  return auditState(ledger)
}
