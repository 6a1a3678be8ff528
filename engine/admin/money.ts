/**
 * Money over HTTP, under /admin/v1/money: what stands in the ledger, to be looked at with scope `money:read`, and what an operator may
 * change with `money:write` (`money-writes.ts`). Statements and recharges of one owner are in `money-statements.ts`.
 *
 *     GET /money/wallets/ann                     coins paid, bonus and on hold, points, earnings, what is owed, limits
 *     GET /money/balances?prefix=user.ann.       accounts in pages; `after` is the last of the page before
 *     GET /money/journal?afterPos=0              rows of the journal in pages, and /money/journal/<txId> one of them
 *     GET /money/totals                          sums of each ledger
 *     GET /money/ledger, GET /money/audit        is it open, how far is it, what did its audit find
 *
 * Each answer is a few short looks of the reader thread; nothing here holds a gift up.
 */
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { ledgers } from '../ledger/accounts.ts'
import type { AdminParts } from './admin.ts'
import { OperatorError, refusals, security } from './answers.ts'
import type { AdminAudit } from './audit.ts'
import { registerLedgerAudit } from './money-audit.ts'
import {
  Amount,
  BalanceShape,
  balanceOf,
  Id,
  ledgerOf,
  limitOf,
  Place,
  RowShape,
  reading,
  rowOf,
  TxId,
  textOf,
} from './money-shapes.ts'
import { registerStatements } from './money-statements.ts'
import { WalletReply, walletOf } from './money-wallet.ts'
import { registerMoneyWrites } from './money-writes.ts'

const rowsMax = 500
export function registerMoney(app: FastifyInstance, parts: AdminParts, audit: AdminAudit): void {
  registerWallets(app, parts)
  registerJournal(app, parts)
  registerState(app, parts)
  registerStatements(app, parts)
  registerLedgerAudit(app, parts, audit)
  registerMoneyWrites(app, parts, audit)
}

// ------------------------------------------------------------------ balances

const BalancesQuery = Type.Object({
  prefix: Type.Optional(Type.String({ pattern: '^[a-z][A-Za-z0-9_.-]{0,127}$' })),
  after: Type.Optional(Type.String({ maxLength: 128 })),
  limit: limitOf(rowsMax, 100),
})

function registerWallets(app: FastifyInstance, parts: AdminParts): void {
  const { config, description } = reading
  const params = Type.Object({ userId: Id })
  app.get(
    '/money/wallets/:userId',
    {
      config,
      schema: { summary: 'The wallet of a user.', description, security, params, response: { 200: WalletReply, ...refusals } },
    },
    async (request) => {
      const { userId } = request.params as Static<typeof params>
      const wallet = await walletOf(ledgerOf(parts), userId)
      if (!wallet.isKnown) throw new OperatorError('money.not_found', `The ledger knows no user ${userId}.`)
      return wallet
    },
  )
  const BalancesReply = Type.Object({ items: Type.Array(BalanceShape), after: Type.Optional(Type.String()) })
  app.get(
    '/money/balances',
    {
      config,
      schema: {
        summary: 'Accounts by name, with their balances; `after` for the next page.',
        description,
        security,
        querystring: BalancesQuery,
        response: { 200: BalancesReply, ...refusals },
      },
    },
    async (request) => {
      const { prefix = '', after = '', limit = 100 } = request.query as Static<typeof BalancesQuery>
      const { reads } = ledgerOf(parts)
      // Names are in their order: those with the prefix follow each other, after the prefix itself.
      const page = await reads.balancesAfter(after > prefix ? after : prefix, limit)
      const own =
        after === '' && prefix !== '' ? (await reads.balances([prefix])).filter((one) => one.debits + one.credits > 0n) : []
      const items = [...own, ...page.filter(({ account }) => account.startsWith(prefix))].slice(0, limit)
      const last = items.at(-1)?.account
      return { items: items.map(balanceOf), ...(items.length === limit && last !== undefined ? { after: last } : {}) }
    },
  )
}

// ------------------------------------------------------------------ the journal

const JournalQuery = Type.Object({ afterPos: Type.Optional(Place), roomId: Type.Optional(Id), limit: limitOf(rowsMax, 100) })

function registerJournal(app: FastifyInstance, parts: AdminParts): void {
  const { config, description } = reading
  app.get(
    '/money/journal',
    {
      config,
      schema: {
        summary: 'Rows of the journal in the order of their commit.',
        description,
        security,
        querystring: JournalQuery,
        response: { 200: Type.Object({ items: Type.Array(RowShape) }), ...refusals },
      },
    },
    async (request) => {
      const { afterPos = 0, roomId, limit = 100 } = request.query as Static<typeof JournalQuery>
      const { reads } = ledgerOf(parts)
      const rows = roomId === undefined ? reads.journalAfter(afterPos, limit) : reads.roomJournalAfter(roomId, afterPos, limit)
      return { items: (await rows).map(rowOf) }
    },
  )
  const params = Type.Object({ txId: TxId })
  app.get(
    '/money/journal/:txId',
    {
      config,
      schema: { summary: 'One row of the journal.', description, security, params, response: { 200: RowShape, ...refusals } },
    },
    async (request) => {
      const { txId } = request.params as Static<typeof params>
      const row = await ledgerOf(parts).reads.row(txId)
      if (!row) throw new OperatorError('money.not_found', `The journal has no ${txId}.`)
      return rowOf(row)
    },
  )
}

// ------------------------------------------------------------------ how it stands

const LedgerReply = Type.Object({
  state: Type.String({ description: 'open, unavailable, closed' }),
  reason: Type.String({ description: 'Why it is not open.' }),
  pos: Type.Integer({ description: 'Of the last row of the journal.' }),
  queued: Type.Integer({ description: 'What waits or is at the writer.' }),
  commits: Type.Integer(),
  answered: Type.Integer(),
  refused: Type.Integer(),
  rejectedFull: Type.Integer(),
  rejectedUnavailable: Type.Integer(),
  failures: Type.Integer({ description: 'Times that it closed after a failed write.' }),
})
const TotalsReply = Type.Object({
  pos: Type.Integer(),
  ledgers: Type.Array(Type.Object({ ledger: Type.String(), debits: Amount, credits: Amount, isBalanced: Type.Boolean() })),
})

function registerState(app: FastifyInstance, parts: AdminParts): void {
  const { config, description } = reading
  app.get(
    '/money/ledger',
    {
      config,
      schema: {
        summary: 'Is the ledger open, and how far is it.',
        description,
        security,
        response: { 200: LedgerReply, ...refusals },
      },
    },
    async () => ledgerOf(parts).stats(),
  )
  app.get(
    '/money/totals',
    {
      config,
      schema: {
        summary: 'The sums of each ledger: all debits are all credits.',
        description,
        security,
        response: { 200: TotalsReply, ...refusals },
      },
    },
    async () => {
      const { reads } = ledgerOf(parts)
      const pos = await reads.lastPos()
      const totals = new Map((await reads.totals()).map((one) => [one.ledger, one]))
      const items = ledgers.map((ledger) => {
        const { debits = 0n, credits = 0n } = totals.get(ledger) ?? {}
        return { ledger, ...textOf({ debits, credits }), isBalanced: debits === credits }
      })
      return { pos, ledgers: items }
    },
  )
}
