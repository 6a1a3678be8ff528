/**
 * What an operator may change about money, with scope `money:write`: each write wants an Idempotency-Key, happens once for it, and leaves
 * an `asked` row in the audit before a coin moves and a `done` or `refused` row after it, with before and after.
 *
 *     POST /money/adjustments                   { userId, kind: 'bonus', coins: 100, reason }     asked for; no coin has moved
 *     POST /money/adjustments/<id>/approve      by another person: it is posted
 *     POST /money/adjustments/<id>/reject       { reason }; by anybody, whoever asked too
 *     POST /money/refunds                       { txId, reason }                                  a gift is given back, once
 *     POST /money/wallets/<userId>/freeze       { reason }, and /unfreeze
 *
 * pending -> approved -> posted | refused, or pending -> rejected. `approved` is on disk before the ledger is asked: when the answer is
 * lost, or the engine dies, approving again goes on with the same row of the journal. The request is a plain row that waits; what it asks
 * for stands in the chain of the audit too, and is compared before a coin moves.
 */
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { EngineBilling } from '../billing.ts'
import { adjustCoinsMax, type DeskAnswer } from '../pay/desk.ts'
import { digest } from '../room/idempotency.ts'
import type { MoneyRequest, RequestState } from '../room/store-audit.ts'
import type { AdminParts } from './admin.ts'
import { OperatorError, Refused, refusals, security } from './answers.ts'
import type { AdminAudit } from './audit.ts'
import { asSent, Id, invalid, ledgerOf, limitOf, Reason, reading, TxId } from './money-shapes.ts'
import { walletOf } from './money-wallet.ts'

/** Adjustments that wait for a second person. */
const pendingMax = 1_000
const writing = {
  config: { scope: 'money:write', isAudited: true },
  description: 'Scope money:write; wants an Idempotency-Key.',
} as const

const AdjustmentBody = Type.Object(
  {
    userId: Id,
    kind: Type.Union([Type.Literal('bonus'), Type.Literal('paid')]),
    coins: Type.Integer({ minimum: -adjustCoinsMax, maximum: adjustCoinsMax, description: 'Given; below 0: taken. Not 0.' }),
    reason: Reason,
    newWallet: Type.Optional(Type.Boolean({ description: 'The ledger need not know the user: no slip of the pen.' })),
  },
  { additionalProperties: false },
)
const states: readonly RequestState[] = ['pending', 'approved', 'posted', 'refused', 'rejected']
const State = Type.Union(states.map((state) => Type.Literal(state)))
const Adjustment = Type.Object({
  id: Type.String(),
  state: State,
  userId: Type.String(),
  kind: Type.String(),
  coins: Type.Integer(),
  reason: Type.String(),
  at: Type.Integer(),
  by: Type.String(),
  decidedAt: Type.Optional(Type.Integer()),
  decidedBy: Type.Optional(Type.String()),
  note: Type.Optional(
    Type.String({ description: 'Id of the row of the journal, why it was rejected, or why the ledger refused.' }),
  ),
})
const AdjustmentReply = Type.Object({ adjustment: Adjustment })
const TxReply = Type.Object({ txId: Type.String() })
const ReasonBody = Type.Object({ reason: Reason }, { additionalProperties: false })
const RefundBody = Type.Object({ txId: TxId, reason: Reason }, { additionalProperties: false })

type AdjustmentShape = Static<typeof Adjustment>
function adjustmentOf({ id, state, at, by, d, decidedAt, decidedBy, note }: MoneyRequest): AdjustmentShape {
  const { userId, kind, coins, reason } = d as Pick<AdjustmentShape, 'userId' | 'kind' | 'coins' | 'reason'>
  const decided = decidedAt === null || decidedBy === null ? {} : { decidedAt, decidedBy }
  return { id, state, userId, kind, coins, reason, at, by, ...decided, ...(note === null ? {} : { note }) }
}

interface Desk {
  parts: AdminParts
  audit: AdminAudit
  /** Throw when there is no ledger. */
  billing(): EngineBilling
  wallet(userId: string): ReturnType<typeof walletOf>
}

export function registerMoneyWrites(app: FastifyInstance, parts: AdminParts, audit: AdminAudit): void {
  const desk: Desk = {
    parts,
    audit,
    billing() {
      ledgerOf(parts)
      return parts.billing as EngineBilling
    },
    wallet: (userId) => walletOf(ledgerOf(parts), userId),
  }
  registerAdjustments(app, desk)
  registerDecisions(app, desk)
  registerRefunds(app, desk)
  registerFreezes(app, desk)
}

/** Throws what the desk refused. */
function soundAnswer(answer: DeskAnswer): string {
  if (answer.ok) return answer.txId
  const { code, msg } = answer
  if (code === 'request.invalid' || code === 'wallet.insufficient' || code === 'idem.conflict') throw new Refused({ code, msg })
  throw new OperatorError(code, msg)
}

// ------------------------------------------------------------------ adjustments

function registerAdjustments(app: FastifyInstance, desk: Desk): void {
  const { config, description } = writing
  app.post(
    '/money/adjustments',
    {
      config,
      validatorCompiler: asSent,
      schema: {
        summary: 'Ask for coins to be given to a user, or taken. Another person has to approve it.',
        description,
        security,
        body: AdjustmentBody,
        response: { 200: AdjustmentReply, ...refusals },
      },
    },
    async (request) => {
      const body = request.body as Static<typeof AdjustmentBody>
      if (body.coins === 0) throw invalid('coins: not 0.')
      desk.billing()
      const look = () => desk.wallet(body.userId)
      return desk.audit.write(request, { target: body.userId, look, act: (asked) => ask(desk, request, body, asked) })
    },
  )
  const query = Type.Object({
    state: Type.Optional(State),
    after: Type.Optional(Type.String({ maxLength: 64 })),
    limit: limitOf(500, 100),
  })
  app.get(
    '/money/adjustments',
    {
      config: reading.config,
      schema: {
        summary: 'Adjustments, oldest first; `after` for the next page.',
        description: reading.description,
        security,
        querystring: query,
        response: { 200: Type.Object({ items: Type.Array(Adjustment) }), ...refusals },
      },
    },
    async (request) => {
      const { state, after = '', limit = 100 } = request.query as Static<typeof query>
      const found = await desk.parts.store.audit.requests({ state, afterId: after, limit })
      return { items: found.map(adjustmentOf) }
    },
  )
}

type Asked = { n: number; at: number }
/** One asked row, one request, and none other: the name says which. */
const requestId = ({ n, at }: Asked): string => `${at}-${n}`
const adjustRoute = '/money/adjustments'

async function ask(desk: Desk, request: FastifyRequest, body: Static<typeof AdjustmentBody>, asked: Asked) {
  const { newWallet = false, ...d } = body
  const { isKnown } = await desk.wallet(d.userId)
  if (!isKnown && !newWallet)
    throw new OperatorError('money.not_found', `The ledger knows no user ${d.userId}; with newWallet: true it need not.`)
  const { store } = desk.parts
  const id = requestId(asked)
  const by = request.actor.userId
  const row: MoneyRequest = { id, state: 'pending', at: asked.at, by, d, decidedAt: null, decidedBy: null, note: null }
  const put = await store.audit.putRequest(row, pendingMax)
  if (put === 'full') throw new OperatorError('money.too_many', `${pendingMax} adjustments wait for a second person.`)
  // Asked again after an answer that was lost.
  const known = put === 'exists' ? await store.audit.request(id) : undefined
  return { adjustment: adjustmentOf(known ?? row) }
}

function registerDecisions(app: FastifyInstance, desk: Desk): void {
  const { config, description } = writing
  const params = Type.Object({ id: Id })
  const response = { 200: AdjustmentReply, ...refusals }
  const found = async (request: FastifyRequest): Promise<MoneyRequest> => {
    desk.billing()
    const { id } = request.params as Static<typeof params>
    const row = await desk.parts.store.audit.request(id)
    if (!row) throw new OperatorError('money.not_found', `There is no adjustment ${id}.`)
    return row
  }
  const look = (userId: string, id: string) => async () => {
    const row = await desk.parts.store.audit.request(id)
    return { wallet: await desk.wallet(userId), adjustment: row && adjustmentOf(row) }
  }
  app.post(
    '/money/adjustments/:id/approve',
    {
      config,
      validatorCompiler: asSent,
      schema: {
        summary: 'Approve an adjustment that another person asked for: it is posted.',
        description,
        security,
        params,
        body: Type.Union([Type.Object({}, { additionalProperties: false }), Type.Null()]),
        response,
      },
    },
    async (request) => {
      const { id, d } = await found(request)
      const { userId } = d as { userId: string }
      return desk.audit.write(request, { target: id, look: look(userId, id), act: () => approve(desk, id, request.actor.userId) })
    },
  )
  app.post(
    '/money/adjustments/:id/reject',
    {
      config,
      validatorCompiler: asSent,
      schema: { summary: 'Reject an adjustment: no coin moves.', description, security, params, body: ReasonBody, response },
    },
    async (request) => {
      const { id, d } = await found(request)
      const { reason } = request.body as Static<typeof ReasonBody>
      const { userId } = d as { userId: string }
      const act = () => reject(desk, id, { by: request.actor.userId, reason })
      return desk.audit.write(request, { target: id, look: look(userId, id), act })
    },
  )
}

/** Throws when the request is not what its asked row says: somebody wrote into the table. */
async function checkAsked({ parts }: Desk, { id, at, by, d }: MoneyRequest): Promise<void> {
  const row = await parts.store.audit.row(Number(id.split('-')[1] ?? 0))
  const { newWallet: _, ...body } = Object(row?.d['body']) as Static<typeof AdjustmentBody>
  const isAsked = row?.kind === 'asked' && row.action === `POST ${adjustRoute}` && requestId(row) === id
  if (isAsked && row.actor === by && row.at === at && digest(body) === digest(d)) return
  parts.log.error({ id, by, d, askN: row?.n }, 'an adjustment is not what was asked for: somebody changed it')
  throw new OperatorError('money.altered', `Adjustment ${id} is not what was asked for, as the audit has it.`)
}

async function approve(desk: Desk, id: string, approvedBy: string) {
  const { parts, billing } = desk
  const { audit } = parts.store
  const asked = await audit.request(id)
  if (asked?.by === approvedBy) throw new OperatorError('desk.same_person', 'Whoever asked for it cannot approve it.')
  if (asked?.state === 'pending') await checkAsked(desk, asked)
  const decidedAt = parts.clock.now()
  await audit.moveRequest(id, ['pending'], { state: 'approved', decidedAt, decidedBy: approvedBy, note: null })
  const row = await audit.request(id)
  if (row?.state === 'posted' && row.decidedBy === approvedBy) return { adjustment: adjustmentOf(row) }
  if (row?.state !== 'approved') throw new OperatorError('money.decided', `The adjustment is ${row?.state ?? 'gone'}.`)
  await checkAsked(desk, row)
  // One that was approved and not posted goes on in the name of whoever approved it, so that the ledger knows it again.
  const decided = { decidedAt: row.decidedAt, decidedBy: row.decidedBy }
  const { userId, kind, coins, reason } = adjustmentOf(row)
  const answer = await billing().adjust({
    ...{ userId, kind: kind as 'paid' | 'bonus', coins, reason, by: row.by, ik: id },
    approvedBy: row.decidedBy ?? approvedBy,
  })
  if (!answer.ok) await audit.moveRequest(id, ['approved'], { state: 'refused', ...decided, note: answer.code })
  const note = soundAnswer(answer)
  await audit.moveRequest(id, ['approved'], { state: 'posted', ...decided, note })
  return { adjustment: adjustmentOf({ ...row, state: 'posted', note }) }
}

async function reject({ parts }: Desk, id: string, { by, reason }: { by: string; reason: string }) {
  const { audit } = parts.store
  const decided = { state: 'rejected', decidedAt: parts.clock.now(), decidedBy: by, note: reason } as const
  const row = (await audit.moveRequest(id, ['pending'], decided)) ?? (await audit.request(id))
  const isMine = row?.state === 'rejected' && row.decidedBy === by && row.note === reason
  if (!row || !isMine) throw new OperatorError('money.decided', `The adjustment is ${row?.state ?? 'gone'}.`)
  return { adjustment: adjustmentOf(row) }
}

// ------------------------------------------------------------------ gifts given back

function registerRefunds(app: FastifyInstance, desk: Desk): void {
  const { config, description } = writing
  app.post(
    '/money/refunds',
    {
      config,
      validatorCompiler: asSent,
      schema: {
        summary: 'Give a gift back: the exact reverse of its transfers, once.',
        description,
        security,
        body: RefundBody,
        response: { 200: TxReply, ...refusals },
      },
    },
    async (request) => {
      const { txId, reason } = request.body as Static<typeof RefundBody>
      const { reads } = ledgerOf(desk.parts)
      const by = request.actor.userId
      const look = async () => {
        const gift = await reads.row(txId)
        const refunded = (await reads.row(`${txId}:refund`))?.txId
        return { gift: gift?.event?.d, refundedAs: refunded, payer: gift && (await desk.wallet(gift.actor)) }
      }
      return desk.audit.write(request, {
        target: txId,
        look,
        async act({ isAgain }) {
          const answer = await desk.billing().refundGift(txId, { by, reason })
          // Asked again after an answer that was lost: what is there may be our own.
          const own = isAgain && !answer.ok && answer.code === 'gift.refunded' ? await reads.row(`${txId}:refund`) : undefined
          return { txId: own?.actor === by ? own.txId : soundAnswer(answer) }
        },
      })
    },
  )
}

// ------------------------------------------------------------------ frozen wallets

function registerFreezes(app: FastifyInstance, desk: Desk): void {
  const { config, description } = writing
  const params = Type.Object({ userId: Id })
  const verbs = [
    ['freeze', 'Nothing can be paid from this wallet until it is freed.'],
    ['unfreeze', 'Let a user pay again.'],
  ] as const
  for (const [verb, summary] of verbs)
    app.post(
      `/money/wallets/:userId/${verb}`,
      {
        config,
        validatorCompiler: asSent,
        schema: { summary, description, security, params, body: ReasonBody, response: { 200: TxReply, ...refusals } },
      },
      async (request) => {
        const { userId } = request.params as Static<typeof params>
        const { reason } = request.body as Static<typeof ReasonBody>
        const look = () => desk.wallet(userId)
        desk.billing()
        return desk.audit.write(request, {
          target: userId,
          look,
          async act() {
            if (!(await look()).isKnown) throw new OperatorError('money.not_found', `The ledger knows no user ${userId}.`)
            return { txId: soundAnswer(await desk.billing()[verb](userId, { by: request.actor.userId, reason })) }
          },
        })
      },
    )
}
