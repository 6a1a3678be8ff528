/**
 * Reads ledger.db on a connection of its own, which cannot write: the journal in pages, balances, holds. Used in the reader thread.
 *
 * Nothing here keeps a snapshot open between two calls: a forgotten reader would keep SQLite from ever shortening the WAL.
 *
 *     const reader = LedgerReader.open('.livehouse/ledger.db')
 *     for (let pos = 0, page; (page = reader.journalAfter(pos, 500)).length > 0; pos = page.at(-1).pos) handOn(page)
 */
import Database from 'better-sqlite3'
import { accountKind, type Ledger } from './accounts.ts'
import type { Balance, JournalRow } from './ops.ts'
import { type BalanceColumns, type JournalColumns, toBalance, toRow } from './rows.ts'
import { availableOf, zeroBalance } from './rules.ts'

export const pageMax = 1_000

export interface AccountBalance extends Balance {
  account: string
  ledger: Ledger
  /** What stands on its normal side less what stands on the other. */
  balance: bigint
  /** Less what holds have set aside. */
  available: bigint
}

export class LedgerReader {
  readonly #db: Database.Database
  readonly #own: boolean
  readonly #sql: ReturnType<typeof prepare>

  private constructor(db: Database.Database, own: boolean) {
    this.#db = db
    this.#own = own
    this.#sql = prepare(db)
  }

  static open(file: string): LedgerReader {
    const db = new Database(file, { readonly: true, fileMustExist: true, timeout: 5_000 })
    try {
      db.defaultSafeIntegers(true)
      db.pragma('query_only = ON')
      return new LedgerReader(db, true)
    } catch (error) {
      db.close()
      throw error
    }
  }

  /** On a connection that belongs to somebody else. */
  static on(db: Database.Database): LedgerReader {
    return new LedgerReader(db, false)
  }

  /** Of the last row; 0 before the first. */
  lastPos(): number {
    return Number((this.#sql.lastPos.get() as { pos: bigint }).pos)
  }

  /** Committed rows after `pos`, in order, at most 1,000. */
  journalAfter(pos: number, limit: number): JournalRow[] {
    return (this.#sql.after.all(pos, pageOf(limit)) as JournalColumns[]).map(toRow)
  }

  /** Those of `roomId`: what a room that starts has not yet seen. */
  roomJournalAfter(roomId: string, pos: number, limit: number): JournalRow[] {
    return (this.#sql.roomAfter.all(roomId, pos, pageOf(limit)) as JournalColumns[]).map(toRow)
  }

  rowOf(txId: string): JournalRow | undefined {
    const columns = this.#sql.byTx.get(txId) as JournalColumns | undefined
    return columns && toRow(columns)
  }

  /** Positions at which the indexes find this row: [pos] and nothing else, or the file is damaged. */
  foundAt({ txId, actor, command, ik }: JournalRow): number[] {
    const byTx = this.#sql.posByTx.all(txId) as { pos: bigint }[]
    const byKey = ik === undefined ? byTx : (this.#sql.posByKey.all(actor, command, ik) as { pos: bigint }[])
    return [...new Set([...byTx, ...byKey].map(({ pos }) => Number(pos)))]
  }

  /** In the order of `accounts`; zero for one that nothing was ever posted to. */
  balances(accounts: readonly string[]): AccountBalance[] {
    return accounts.map((account) => {
      const columns = this.#sql.balance.get(account) as BalanceColumns | undefined
      return withSums(account, columns ? toBalance(columns) : zeroBalance())
    })
  }

  /** By name, after `account`, at most 1,000. */
  balancesAfter(account: string, limit: number): AccountBalance[] {
    const columns = this.#sql.balancesAfter.all(account, pageOf(limit)) as BalanceColumns[]
    return columns.map((row) => withSums(row.account, toBalance(row)))
  }

  /** What pending holds set aside, by account. */
  pending(): Map<string, { debits: bigint; credits: bigint }> {
    const sums = new Map<string, { debits: bigint; credits: bigint }>()
    const of = (account: string) => {
      const sum = sums.get(account) ?? { debits: 0n, credits: 0n }
      sums.set(account, sum)
      return sum
    }
    for (const { dr, cr, amount } of this.#sql.pending.iterate() as Iterable<{ dr: string; cr: string; amount: bigint }>) {
      of(dr).debits += amount
      of(cr).credits += amount
    }
    return sums
  }

  /** Sums over all accounts of each ledger. */
  totals(): { ledger: Ledger; debits: bigint; credits: bigint }[] {
    const rows = this.#sql.totals.all() as { ledger: Ledger; dHigh: bigint; dLow: bigint; cHigh: bigint; cLow: bigint }[]
    return rows.map(({ ledger, dHigh, dLow, cHigh, cLow }) => ({
      ledger,
      debits: dHigh * half + dLow,
      credits: cHigh * half + cLow,
    }))
  }

  /** All that `read` reads belongs to one moment. Short work only. */
  atOnce<T>(read: () => T): T {
    return this.#db.transaction(read).deferred()
  }

  close(): void {
    if (this.#own) this.#db.close()
  }

  /** Copies the file page by page while others write. better-sqlite3 gives the loop a turn between two steps. */
  async backup(to: string, onProgress?: (left: number) => void): Promise<void> {
    await this.#db.backup(to, {
      progress: ({ remainingPages }) => {
        onProgress?.(remainingPages)
        return backupPages
      },
    })
  }
}

/** 4 MB a step. */
const backupPages = 1_000
const pageOf = (limit: number): number => Math.max(0, Math.min(Math.trunc(limit), pageMax))
/** Sums of many accounts may leave 64 bits: they are added in two halves. */
const half = 2n ** 32n

function withSums(account: string, balance: Balance): AccountBalance {
  const kind = accountKind(account)
  const { debits, credits } = balance
  return {
    account,
    ledger: kind?.ledger as Ledger,
    ...balance,
    balance: kind?.normal === 'debit' ? debits - credits : credits - debits,
    available: availableOf(account, balance),
  }
}

function prepare(db: Database.Database) {
  const q = (text: string) => db.prepare(text)
  return {
    lastPos: q('SELECT coalesce(max(pos), 0) AS pos FROM journal'),
    after: q('SELECT * FROM journal WHERE pos > ? ORDER BY pos LIMIT ?'),
    roomAfter: q('SELECT * FROM journal WHERE room_id = ? AND pos > ? ORDER BY pos LIMIT ?'),
    byTx: q('SELECT * FROM journal WHERE tx_id = ?'),
    posByTx: q('SELECT pos FROM journal WHERE tx_id = ?'),
    posByKey: q('SELECT pos FROM journal WHERE actor = ? AND command = ? AND ik = ?'),
    balance: q('SELECT account, debits, credits, pending_debits, pending_credits FROM balances_ WHERE account = ?'),
    balancesAfter: q(
      'SELECT account, debits, credits, pending_debits, pending_credits FROM balances_ WHERE account > ? ORDER BY account LIMIT ?',
    ),
    pending: q(
      `SELECT json_extract(leg.value, '$[1]') AS dr, json_extract(leg.value, '$[2]') AS cr, json_extract(leg.value, '$[3]') AS amount
       FROM holds, json_each(holds.legs) AS leg WHERE holds.state = 'pending'`,
    ),
    totals: q(
      `SELECT ledger, sum(debits / 4294967296) AS dHigh, sum(debits % 4294967296) AS dLow,
         sum(credits / 4294967296) AS cHigh, sum(credits % 4294967296) AS cLow
       FROM balances_ GROUP BY ledger ORDER BY ledger`,
    ),
  }
}
