/**
 * Statements and recharges of one owner.
 *
 *     GET /money/statements/streamer/mia?fromAt=1793491200000&toAt=1796083200000&format=csv
 *
 * A statement is sent while it is made, some KB at a time, so its length costs no memory. It ends in the past: the same question then
 * gets the same bytes whenever it is asked. A connection that breaks off ends the work.
 */
import { Readable } from 'node:stream'
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { accounts } from '../ledger/accounts.ts'
import type { LedgerReads } from '../ledger/reads.ts'
import { ownerKinds } from '../ledger/statements.ts'
import type { AdminParts } from './admin.ts'
import { OperatorError, Refused, refusals, security } from './answers.ts'
import { At, Id, invalid, ledgerOf, limitOf, Place, RowShape, reading, rowOf } from './money-shapes.ts'

/** Under way at once; each asks the readers again and again. */
const statementsMax = 4
/** Gathered before something is sent: a line is some 100 bytes. */
const chunkChars = 16_384
/** Longer ones are several: a year and a day. */
const periodMsMax = 366 * 86_400_000
/** Looked at for one page of recharges: whoever sends a thousand gifts between two of them must not hold the readers up. */
const scannedMax = 5_000
const pageRows = 500

const StatementParams = Type.Object({ kind: Type.Union(ownerKinds.map((kind) => Type.Literal(kind))), id: Id })
const StatementQuery = Type.Object({
  fromAt: At,
  toAt: At,
  format: Type.Optional(Type.Union([Type.Literal('csv'), Type.Literal('json')], { default: 'csv' })),
})
const mimes = { csv: 'text/csv; charset=utf-8', json: 'application/json; charset=utf-8' } as const

export function registerStatements(app: FastifyInstance, parts: AdminParts): void {
  registerRecharges(app, parts)
  let underWay = 0
  const { config, description } = reading
  app.get(
    '/money/statements/:kind/:id',
    {
      config,
      schema: {
        summary: 'The statement of an owner for a period, as CSV or JSON.',
        description: `${description} From \`fromAt\` (included) to \`toAt\` (not included), at most 366 days, and not beyond now.`,
        security,
        params: StatementParams,
        querystring: StatementQuery,
        response: refusals,
      },
    },
    async (request, reply) => {
      const { reads } = ledgerOf(parts)
      const { kind, id } = request.params as Static<typeof StatementParams>
      const { fromAt, toAt, format = 'csv' } = request.query as Static<typeof StatementQuery>
      checkPeriod(fromAt, toAt, parts.clock.now())
      if (underWay >= statementsMax)
        throw new Refused({ code: 'rate.limited', msg: `${statementsMax} statements are under way.`, retryAfterMs: 1_000 })
      underWay++
      const pieces = chunks(reads.statement({ owner: { kind, id }, fromAt, toAt, format }), () => underWay--)
      // A ledger that cannot be read says so in a status, as long as nothing is sent.
      const first = await pieces.next()
      const all = (async function* () {
        try {
          if (!first.done) yield first.value
          yield* pieces
        } finally {
          await pieces.return(undefined)
        }
      })()
      const name = `statement-${kind}-${id}-${stamp(fromAt)}-${stamp(toAt)}.${format}`
      return reply
        .header('content-type', mimes[format])
        .header('content-disposition', `attachment; filename="${name}"`)
        .header('cache-control', 'no-store')
        .send(Readable.from(all, { objectMode: false }))
    },
  )
}

function checkPeriod(fromAt: number, toAt: number, now: number): void {
  if (toAt <= fromAt) throw invalid('toAt: after fromAt.')
  if (toAt - fromAt > periodMsMax) throw invalid('toAt: at most 366 days after fromAt; ask for several.')
  if (toAt > now) throw invalid('toAt: not beyond now, or the same statement would be another one later.')
}

/** `20261101T000000Z` */
const stamp = (at: number): string => new Date(at).toISOString().replace(/\.\d+/, '').replace(/[-:]/g, '')

async function* chunks(pieces: AsyncGenerator<string>, onEnd: () => void): AsyncGenerator<string, undefined> {
  try {
    let text = ''
    for await (const piece of pieces) {
      text += piece
      if (text.length < chunkChars) continue
      yield text
      text = ''
    }
    if (text !== '') yield text
  } finally {
    onEnd()
  }
}

// ------------------------------------------------------------------ recharges

const RechargesQuery = Type.Object({ afterPos: Type.Optional(Place), limit: limitOf(100, 50) })
const Recharge = Type.Object({
  ...RowShape.properties,
  chargedBack: Type.Optional(Type.Object({ txId: Type.String(), at: Type.Integer(), debtCoin: Type.Integer() })),
})
const RechargesReply = Type.Object({
  items: Type.Array(Recharge),
  afterPos: Type.Optional(Type.Integer({ description: 'For the next page, which may be there.' })),
})

function registerRecharges(app: FastifyInstance, parts: AdminParts): void {
  const { config, description } = reading
  const params = Type.Object({ userId: Id })
  app.get(
    '/money/wallets/:userId/recharges',
    {
      config,
      schema: {
        summary: 'What a user paid for, oldest first.',
        description,
        security,
        params,
        querystring: RechargesQuery,
        response: { 200: RechargesReply, ...refusals },
      },
    },
    async (request) => {
      const { userId } = request.params as Static<typeof params>
      const { afterPos = 0, limit = 50 } = request.query as Static<typeof RechargesQuery>
      return recharges(ledgerOf(parts).reads, userId, { afterPos, limit })
    },
  )
}

async function recharges(reads: LedgerReads, userId: string, { afterPos, limit }: { afterPos: number; limit: number }) {
  const account = accounts.paidCoins(userId)
  const { accounts: known, uptoPos } = await reads.begin({ exact: [account], prefixes: [] })
  if (known.length === 0) throw new OperatorError('money.not_found', `${userId} has never paid for anything.`)
  const always = { fromAt: 0, toAt: Number.MAX_SAFE_INTEGER, uptoPos }
  const found: string[] = []
  let pos = afterPos
  let isEnd = false
  for (let scanned = 0; !isEnd && found.length < limit && scanned < scannedMax; scanned += pageRows) {
    const page = await reads.entries(account, always, { afterPos: pos, limit: pageRows })
    isEnd = page.length < pageRows
    for (const entry of page) {
      if (found.length >= limit) {
        isEnd = false
        break
      }
      pos = entry.pos
      if (entry.action === 'recharge') found.push(entry.txId)
    }
  }
  const rows = await Promise.all(found.map((txId) => rechargeOf(reads, txId)))
  return { items: rows.flat(), ...(isEnd ? {} : { afterPos: pos }) }
}

/** With what became of it when the provider took the money back. */
async function rechargeOf(reads: LedgerReads, txId: string) {
  const [row, back] = await Promise.all([reads.row(txId), reads.row(`${txId}:chargeback`)])
  if (!row) return []
  const debtCoin = Number((back?.event?.d as { debtCoin?: number } | undefined)?.debtCoin ?? 0)
  return [{ ...rowOf(row), ...(back ? { chargedBack: { txId: back.txId, at: back.at, debtCoin } } : {}) }]
}
