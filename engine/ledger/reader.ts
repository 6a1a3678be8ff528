/**
 * Reads ledger.db on a connection of its own, which cannot write: the journal in pages, balances, holds. Used in the reader thread.
 *
 * Nothing here keeps a snapshot open between two calls: a forgotten reader would keep SQLite from ever shortening the WAL.
 *
 *     const reader = LedgerReader.open('.livehouse/ledger.db')
 *     for (let pos = 0, page; (page = reader.journalAfter(pos, 500)).length > 0; pos = page.at(-1).pos) handOn(page)
 */
import Database from 'better-sqlite3'
import type { Ledger } from './accounts.ts'
import { zeroBalance } from './cells.ts'
import type { JournalRow } from './ops.ts'
import type { Payer } from './payers.ts'
import { RoomIndex } from './rooms.ts'
import { type BalanceColumns, type JournalColumns, type PayerColumns, toBalance, toPayer, toRow } from './rows.ts'
import {
  type AccountBalance,
  type AuditAsk,
  type AuditLook,
  type LedgerSource,
  type LedgerTotal,
  type PendingLeg,
  pageOf,
  pendingSums,
  withSums,
} from './source.ts'

export type { AccountBalance } from './source.ts'

export class LedgerReader implements LedgerSource {
  readonly #db: Database.Database
  readonly #own: boolean
  readonly #sql: ReturnType<typeof prepare>
  readonly #roomsFile: string | undefined
  #rooms: RoomIndex | undefined

  private constructor(db: Database.Database, own: boolean, roomsFile?: string) {
    this.#db = db
    this.#own = own
    this.#sql = prepare(db)
    this.#roomsFile = roomsFile
  }

  /** `roomsFile`: path of ledger-rooms.db; without it rows of a room are looked for in the whole journal. */
  static open(file: string, roomsFile?: string): LedgerReader {
    const db = new Database(file, { readonly: true, fileMustExist: true, timeout: 5_000 })
    try {
      db.defaultSafeIntegers(true)
      db.pragma('query_only = ON')
      return new LedgerReader(db, true, roomsFile)
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
    const positions = this.#withRooms((rooms) => {
      rooms.catchUp()
      return rooms.after(roomId, pos, pageOf(limit))
    })
    if (positions) return this.rowsAt(positions)
    return (this.#sql.roomAfter.all(roomId, pos, pageOf(limit)) as JournalColumns[]).map(toRow)
  }

  /** Nothing where there is no index: what it would say is in the journal as well. One that fails is opened anew the next time. */
  #withRooms<T>(use: (rooms: RoomIndex) => T): T | undefined {
    if (this.#roomsFile === undefined) return undefined
    try {
      this.#rooms ??= RoomIndex.open(this.#roomsFile, this.#db)
      return use(this.#rooms)
    } catch {
      this.#rooms?.close()
      this.#rooms = undefined
      return undefined
    }
  }

  factsAfter(pos: number, limit: number): JournalRow[] {
    return (this.#sql.factsAfter.all(pos, pageOf(limit)) as JournalColumns[]).map(toRow)
  }

  payerOf(payer: string): Payer | undefined {
    const columns = this.#sql.payer.get(payer) as PayerColumns | undefined
    return columns && toPayer(columns)
  }

  rowOf(txId: string): JournalRow | undefined {
    const columns = this.#sql.byTx.get(txId) as JournalColumns | undefined
    return columns && toRow(columns)
  }

  rowByKey(actor: string, command: string, ik: string): JournalRow | undefined {
    const columns = this.#sql.byKey.get(actor, command, ik) as JournalColumns | undefined
    return columns && toRow(columns)
  }

  rowsAt(positions: readonly number[]): JournalRow[] {
    const found = positions.map((pos) => this.#sql.at.get(pos) as JournalColumns | undefined)
    return found.filter((columns) => columns !== undefined).map(toRow)
  }

  #foundAt({ txId, actor, command, ik }: JournalRow): number[] {
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

  /** Sums over all accounts of each ledger. */
  totals(): LedgerTotal[] {
    const rows = this.#sql.totals.all() as { ledger: Ledger; dHigh: bigint; dLow: bigint; cHigh: bigint; cLow: bigint }[]
    return rows.map(({ ledger, dHigh, dLow, cHigh, cLow }) => ({
      ledger,
      debits: dHigh * half + dLow,
      credits: cHigh * half + cLow,
    }))
  }

  /** In one read transaction. Short work only. */
  look({ afterPos, rowsMax, afterAccount, accountsMax }: AuditAsk): AuditLook {
    this.#withRooms((rooms) => rooms.step())
    const read = (): AuditLook => {
      const rows = this.journalAfter(afterPos, rowsMax)
      const foundAt = rows.map((row) => this.#foundAt(row))
      if (rows.length >= rowsMax) return { rows, foundAt }
      const balances = this.balancesAfter(afterAccount, accountsMax)
      const pending = pendingSums(this.#sql.pending.iterate() as Iterable<PendingLeg>)
      return { rows, foundAt, slice: { balances, pending, totals: balances.length < accountsMax ? this.totals() : [] } }
    }
    return this.#db.transaction(read).deferred()
  }

  close(): void {
    this.#rooms?.close()
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
/** Sums of many accounts may leave 64 bits: they are added in two halves. */
const half = 2n ** 32n

function prepare(db: Database.Database) {
  const q = (text: string) => db.prepare(text)
  return {
    lastPos: q('SELECT coalesce(max(pos), 0) AS pos FROM journal'),
    after: q('SELECT * FROM journal WHERE pos > ? ORDER BY pos LIMIT ?'),
    roomAfter: q('SELECT * FROM journal WHERE room_id = ? AND pos > ? ORDER BY pos LIMIT ?'),
    factsAfter: q(
      'SELECT * FROM journal INDEXED BY journal_facts WHERE room_id IS NULL AND event IS NOT NULL AND pos > ? ORDER BY pos LIMIT ?',
    ),
    payer: q('SELECT * FROM payers WHERE payer = ?'),
    byTx: q('SELECT * FROM journal WHERE tx_id = ?'),
    byKey: q('SELECT * FROM journal WHERE actor = ? AND command = ? AND ik = ?'),
    at: q('SELECT * FROM journal WHERE pos = ?'),
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
