/**
 * Reads the ledger in Postgres on a connection of its own, which cannot write: what `reader.ts` is for SQLite. Made by the first
 * question, and again by the next one after it was lost.
 *
 *     const reader = new PostgresReader({ url })
 *     for (let pos = 0, page; (page = await reader.journalAfter(pos, 500)).length > 0; pos = page.at(-1).pos) handOn(page)
 *
 * One question at a time: whoever asks waits for the answer.
 */
import type { Ledger } from './accounts.ts'
import { zeroBalance } from './cells.ts'
import type { JournalRow } from './ops.ts'
import type { Payer } from './payers.ts'
import {
  connectPostgres,
  type PostgresConnection,
  type PostgresOptions,
  type Statement,
  statement,
} from './postgres-connection.ts'
import { type BalanceColumns, type JournalColumns, type PayerColumns, toBalance, toPayer, toRow } from './rows.ts'
import {
  type AccountBalance,
  type AuditAsk,
  type AuditLook,
  type LedgerSource,
  type LedgerTotal,
  type PendingLeg,
  pageMax,
  pageOf,
  pendingSums,
  withSums,
} from './source.ts'

type Values = Parameters<PostgresConnection['query']>[1]

export class PostgresReader implements LedgerSource {
  readonly #options: PostgresOptions
  #connection: PostgresConnection | undefined

  constructor(options: PostgresOptions) {
    this.#options = options
  }

  async lastPos(): Promise<number> {
    return Number((await this.#ask<{ pos: bigint }>(sql.lastPos))[0]?.pos)
  }

  journalAfter(pos: number, limit: number): Promise<JournalRow[]> {
    return this.#rows(sql.after, [pos, pageOf(limit)])
  }

  roomJournalAfter(roomId: string, pos: number, limit: number): Promise<JournalRow[]> {
    return this.#rows(sql.roomAfter, [roomId, pos, pageOf(limit)])
  }

  factsAfter(pos: number, limit: number): Promise<JournalRow[]> {
    return this.#rows(sql.factsAfter, [pos, pageOf(limit)])
  }

  async payerOf(payer: string): Promise<Payer | undefined> {
    const [columns] = await this.#ask<PayerColumns>(sql.payer, [payer])
    return columns && toPayer(columns)
  }

  async rowOf(txId: string): Promise<JournalRow | undefined> {
    return (await this.#rows(sql.byTx, [txId]))[0]
  }

  async rowByKey(actor: string, command: string, ik: string): Promise<JournalRow | undefined> {
    return (await this.#rows(sql.byKey, [actor, command, ik]))[0]
  }

  rowsAt(positions: readonly number[]): Promise<JournalRow[]> {
    return this.#rows(sql.at, [positions.slice(0, pageMax)])
  }

  async balances(accounts: readonly string[]): Promise<AccountBalance[]> {
    const found = await this.#ask<BalanceColumns>(sql.balances, [accounts])
    const byName = new Map(found.map((columns) => [columns.account, columns]))
    return accounts.map((account) => {
      const columns = byName.get(account)
      return withSums(account, columns ? toBalance(columns) : zeroBalance())
    })
  }

  async balancesAfter(account: string, limit: number): Promise<AccountBalance[]> {
    const found = await this.#ask<BalanceColumns>(sql.balancesAfter, [account, pageOf(limit)])
    return found.map((columns) => withSums(columns.account, toBalance(columns)))
  }

  /** In one transaction that sees one moment. */
  async look({ afterPos, rowsMax, afterAccount, accountsMax }: AuditAsk): Promise<AuditLook> {
    await this.#run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const rows = await this.journalAfter(afterPos, rowsMax)
    const look: AuditLook = { rows, foundAt: await this.#foundAt(rows) }
    if (rows.length < rowsMax) {
      const balances = await this.balancesAfter(afterAccount, accountsMax)
      const pending = pendingSums(await this.#ask<PendingLeg>(sql.pending))
      look.slice = { balances, pending, totals: balances.length < accountsMax ? await this.#totals() : [] }
    }
    await this.#run('COMMIT')
    return look
  }

  async #foundAt(rows: readonly JournalRow[]): Promise<number[][]> {
    const of = (pick: (row: JournalRow) => string | null) => rows.map(pick)
    const asked = [of((row) => row.txId), of((row) => row.actor), of((row) => row.command), of((row) => row.ik ?? null)]
    const positions = rows.map(() => new Set<number>())
    for (const { n, pos } of await this.#ask<{ n: bigint; pos: bigint }>(sql.found, asked))
      positions[Number(n) - 1]?.add(Number(pos))
    return positions.map((found) => [...found].sort((a, b) => a - b))
  }

  async #totals(): Promise<LedgerTotal[]> {
    const found = await this.#ask<{ ledger: Ledger; debits: string; credits: string }>(sql.totals)
    return found.map(({ ledger, debits, credits }) => ({ ledger, debits: BigInt(debits), credits: BigInt(credits) }))
  }

  close(): void {
    void this.#connection?.close()
    this.#connection = undefined
  }

  async #rows(asked: Statement, values: Values): Promise<JournalRow[]> {
    return (await this.#ask<JournalColumns>(asked, values)).map(toRow)
  }

  async #ask<Row>(asked: Statement, values?: Values): Promise<Row[]> {
    return (await this.#open()).query<Row>(asked, values)
  }

  async #run(text: string): Promise<void> {
    await (await this.#open()).run(text)
  }

  /** What failed may have left a transaction open: such a connection counts as lost. */
  async #open(): Promise<PostgresConnection> {
    if (this.#connection?.lost === undefined && this.#connection) return this.#connection
    this.#connection?.abandon()
    this.#connection = undefined
    const connection = await connectPostgres({ ...this.#options, name: 'livehouse ledger reader' })
    await connection.run('SET default_transaction_read_only = on')
    this.#connection = connection
    return connection
  }
}

const balanceColumns = 'account, debits, credits, pending_debits, pending_credits'
const sql = {
  lastPos: statement('last-pos', 'SELECT coalesce(max(pos), 0) AS pos FROM journal'),
  after: statement('after', 'SELECT * FROM journal WHERE pos > $1::bigint ORDER BY pos LIMIT $2::bigint'),
  roomAfter: statement(
    'room-after',
    'SELECT * FROM journal WHERE room_id = $1 AND pos > $2::bigint ORDER BY pos LIMIT $3::bigint',
  ),
  factsAfter: statement(
    'facts-after',
    'SELECT * FROM journal WHERE room_id IS NULL AND event IS NOT NULL AND pos > $1::bigint ORDER BY pos LIMIT $2::bigint',
  ),
  payer: statement('payer', 'SELECT * FROM payers WHERE payer = $1'),
  byTx: statement('by-tx', 'SELECT * FROM journal WHERE tx_id = $1'),
  byKey: statement('by-key', 'SELECT * FROM journal WHERE actor = $1 AND command = $2 AND ik = $3'),
  at: statement('at', 'SELECT * FROM journal WHERE pos = ANY($1::bigint[]) ORDER BY pos'),
  balances: statement('balances', `SELECT ${balanceColumns} FROM balances_ WHERE account = ANY($1::text[])`),
  balancesAfter: statement(
    'balances-after',
    `SELECT ${balanceColumns} FROM balances_ WHERE account > $1 ORDER BY account LIMIT $2::bigint`,
  ),
  found: statement(
    'found',
    `SELECT asked.n, journal.pos FROM unnest($1::text[]) WITH ORDINALITY AS asked(tx_id, n) JOIN journal USING (tx_id)
     UNION ALL
     SELECT asked.n, journal.pos
     FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS asked(actor, command, ik, n)
     JOIN journal ON journal.ik = asked.ik AND journal.actor = asked.actor AND journal.command = asked.command
     WHERE journal.ik IS NOT NULL`,
  ),
  pending: statement(
    'pending',
    `SELECT leg ->> 1 AS dr, leg ->> 2 AS cr, (leg ->> 3)::bigint AS amount
     FROM holds, json_array_elements(holds.legs) AS leg WHERE holds.state = 'pending'`,
  ),
  totals: statement(
    'totals',
    'SELECT ledger, sum(debits) AS debits, sum(credits) AS credits FROM balances_ GROUP BY ledger ORDER BY ledger',
  ),
} as const
