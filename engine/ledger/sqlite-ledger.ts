/**
 * The ledger's database in SQLite: WAL with synchronous=FULL, so that what `write` returned from survives kill -9 and a power cut.
 *
 * One writer: beside ledger.db, ledger.lock is held under BEGIN EXCLUSIVE and freed by the kernel however the process dies; balances are
 * kept in memory, which is right only with one writer. No other code may open ledger.lock, not even to copy it: closing any descriptor
 * of a file gives up the locks that a process has on it. Statements are raw and prepared once: this is the path of every gift.
 */
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import type { Cell, StoredBalance } from './cells.ts'
import { KeyCameAgain, type LedgerStorage } from './ledger.ts'
import type { NewRow } from './new-row.ts'
import type { HoldRow, JournalRow } from './ops.ts'
import { LedgerReader } from './reader.ts'
import {
  type BalanceColumns,
  type HoldColumns,
  type JournalColumns,
  legsText,
  type PayerColumns,
  toBalance,
  toHold,
  toPayer,
  toRow,
} from './rows.ts'
import type { Decided, Found, Wanted } from './rules.ts'
import { checkPresent, SameFile } from './same-file.ts'
import { migrations } from './schema.ts'

export interface SqliteLedgerOptions {
  /** Path of ledger.db, or ':memory:'. */
  file: string
  /** Largest file in pages of 4 KB; past it writes fail as on a full disk. Unset: as large as the disk. */
  pagesMax?: number | undefined
  /** The caller holds the lock already. */
  isLocked?: boolean | undefined
}

export const inMemory = ':memory:'
/** Bytes that a check writes: enough to need pages of its own. */
const checkBytes = 65_536

export class SqliteLedger implements LedgerStorage {
  readonly #lock: Database.Database | undefined
  readonly #db: Database.Database
  /** Unset in memory. */
  readonly #same: SameFile | undefined
  readonly #sql: ReturnType<typeof prepare>
  /** Ids that grow are new when they are beyond this one: looking for them would cost each gift a search in vain. */
  #lastTxId: string

  /** Throws when another process holds the ledger. */
  constructor({ file, pagesMax, isLocked = false }: SqliteLedgerOptions) {
    this.#lock = file === inMemory || isLocked ? undefined : takeLock(file)
    try {
      if (file !== inMemory) checkPresent(file)
      this.#db = openFile(file, pagesMax)
      this.#sql = prepare(this.#db)
      this.#lastTxId = (this.#sql.lastTxId.get() as { tx_id: string | null }).tx_id ?? ''
      this.#same = file === inMemory ? undefined : new SameFile(file)
    } catch (error) {
      this.#lock?.close()
      throw error
    }
  }

  read({ accounts, txIds, keys, holds, payers, due }: Wanted): Found {
    const sql = this.#sql
    const rows = new Map<string, JournalRow>()
    const keep = (row: unknown) => {
      if (row) rows.set((row as JournalColumns).tx_id, toRow(row as JournalColumns))
    }
    for (const txId of txIds) if (txId <= this.#lastTxId) keep(sql.byTx.get(txId))
    for (const { actor, command, ik } of keys) {
      const pos = sql.posByKey.get(actor, command, ik)
      if (pos !== undefined) keep(sql.at.get(pos))
    }
    const found = this.#holds(holds, due)
    const named = found.flatMap(({ transfers }) => transfers.flatMap(({ dr, cr }) => [dr, cr]))
    const balances = this.#balances(new Set([...accounts, ...named]))
    const known = payers.map((payer) => sql.payer.get(payer) as (PayerColumns & { id: bigint }) | undefined)
    return {
      balances,
      rows: [...rows.values()],
      holds: found,
      payers: known
        .filter((columns) => columns !== undefined)
        .map((columns) => ({ ...toPayer(columns), row: Number(columns.id) })),
    }
  }

  #holds(ids: readonly string[], due: Wanted['due']): HoldRow[] {
    const byId = ids.map((holdId) => this.#sql.hold.get(holdId) as HoldColumns | undefined)
    const over = due ? (this.#sql.due.all(due.at, due.limit) as HoldColumns[]) : []
    return [...byId.filter((hold) => hold !== undefined), ...over].map(toHold)
  }

  #balances(accounts: ReadonlySet<string>): Map<string, StoredBalance> {
    const balances = new Map<string, StoredBalance>()
    for (const account of accounts) {
      const found = this.#sql.balance.get(account) as (BalanceColumns & { id: bigint }) | undefined
      if (found) balances.set(account, { ...toBalance(found), row: Number(found.id) })
    }
    return balances
  }

  write(decided: Decided): void {
    this.#transaction(() => {
      const sql = this.#sql
      this.#insert(decided.rows)
      for (const cell of decided.balances) {
        cell.row ??= this.#added(cell)
        const { debits, credits, pendingDebits, pendingCredits, row } = cell
        sql.setBalance.run(debits, credits, pendingDebits, pendingCredits, row)
      }
      for (const { holdId, transfers, expiresAt, state } of decided.holds)
        sql.putHold.run(holdId, legsText(transfers), expiresAt, state)
      for (const cell of decided.payers) {
        const { payer, isFrozen, minuteAt, minuteCoins, dayAt, dayCoins } = cell.payer
        cell.row ??= Number(sql.addPayer.run(payer).lastInsertRowid)
        sql.setPayer.run(isFrozen ? 1 : 0, minuteAt, minuteCoins, dayAt, dayCoins, cell.row)
      }
    })
    for (const { txId } of decided.rows) if (txId > this.#lastTxId) this.#lastTxId = txId
  }

  #insert(rows: readonly NewRow[]): void {
    const together = rows.length - (rows.length % rowsTogether)
    for (let at = 0; at < together; at += rowsTogether) {
      const values: unknown[] = []
      for (let n = at; n < at + rowsTogether; n++) pushValues(values, rows[n] as NewRow)
      this.#sql.insertMany.run(...values)
    }
    for (let at = together; at < rows.length; at++) {
      const values: unknown[] = []
      pushValues(values, rows[at] as NewRow)
      this.#sql.insert.run(...values)
    }
  }

  #added({ account, ledger, isDebit }: Cell): number {
    return Number(this.#sql.addBalance.run(account, ledger, isDebit ? 'debit' : 'credit').lastInsertRowid)
  }

  lastPos(): number {
    return Number((this.#sql.lastPos.get() as { pos: bigint }).pos)
  }

  /** Writes something and takes it away again, each on disk: throws while the disk takes nothing. */
  checkWrite(): void {
    this.#transaction(() => this.#sql.putCheck.run(checkBytes))
    this.#transaction(() => this.#sql.dropCheck.run())
  }

  /** On this connection, for a ledger in memory. */
  reader(): LedgerReader {
    return LedgerReader.on(this.#db)
  }

  close(): void {
    this.#db.close()
    this.#lock?.close()
  }

  #transaction(work: () => void): void {
    this.#sql.begin.run()
    try {
      work()
      this.#same?.check()
      this.#sql.commit.run()
    } catch (error) {
      this.#rollBack()
      throw isKeyError(error) ? new KeyCameAgain() : error
    }
  }

  /** What is thrown here would hide why the write failed; the connection is closed after that anyway. */
  #rollBack(): void {
    try {
      if (this.#db.inTransaction) this.#sql.rollback.run()
    } catch {}
  }
}

/** Rows that one statement inserts: 8 take 4.3 us each, one by one 6.6, 32 no less than 8. */
const rowsTogether = 8
const insertText = (rows: number): string =>
  `INSERT INTO journal (pos, tx_id, at, action, actor, command, ik, body_hash, room_id, live_id, legs, facts, event, reply)
   VALUES ${Array(rows).fill('(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').join(', ')}`

function prepare(db: Database.Database) {
  const q = (text: string) => db.prepare(text)
  return {
    begin: q('BEGIN IMMEDIATE'),
    commit: q('COMMIT'),
    rollback: q('ROLLBACK'),
    balance: q('SELECT id, account, debits, credits, pending_debits, pending_credits FROM balances_ WHERE account = ?'),
    byTx: q('SELECT * FROM journal WHERE tx_id = ?'),
    // In the index alone: nearly all keys are new.
    posByKey: q('SELECT pos FROM journal WHERE actor = ? AND command = ? AND ik = ?').pluck(),
    at: q('SELECT * FROM journal WHERE pos = ?'),
    hold: q('SELECT * FROM holds WHERE hold_id = ?'),
    due: q(`SELECT * FROM holds WHERE state = 'pending' AND expires_at <= ? ORDER BY expires_at, hold_id LIMIT ?`),
    // Bytes and UTF-16 order ids alike: they are ASCII.
    lastTxId: q('SELECT max(tx_id) AS tx_id FROM journal'),
    lastPos: q('SELECT coalesce(max(pos), 0) AS pos FROM journal'),
    insert: q(insertText(1)).safeIntegers(false),
    insertMany: q(insertText(rowsTogether)).safeIntegers(false),
    addBalance: q(
      `INSERT INTO balances_ (account, ledger, normal, debits, credits, pending_debits, pending_credits) VALUES (?, ?, ?, 0, 0, 0, 0)`,
    ),
    setBalance: q(
      'UPDATE balances_ SET debits = ?, credits = ?, pending_debits = ?, pending_credits = ? WHERE id = ?',
    ).safeIntegers(false),
    putHold: q(
      `INSERT INTO holds (hold_id, legs, expires_at, state) VALUES (?, ?, ?, ?)
       ON CONFLICT (hold_id) DO UPDATE SET state = excluded.state`,
    ),
    payer: q('SELECT * FROM payers WHERE payer = ?'),
    addPayer: q('INSERT INTO payers (payer, is_frozen, minute_at, minute_coins, day_at, day_coins) VALUES (?, 0, 0, 0, 0, 0)'),
    setPayer: q(
      'UPDATE payers SET is_frozen = ?, minute_at = ?, minute_coins = ?, day_at = ?, day_coins = ? WHERE id = ?',
    ).safeIntegers(false),
    putCheck: q(
      'INSERT INTO write_check (id, bytes) VALUES (1, randomblob(?)) ON CONFLICT (id) DO UPDATE SET bytes = excluded.bytes',
    ),
    dropCheck: q('DELETE FROM write_check'),
  }
}

const isKeyError = (error: unknown): boolean =>
  error instanceof Database.SqliteError && error.code === 'SQLITE_CONSTRAINT_UNIQUE' && error.message.includes('journal.ik')

function pushValues(values: unknown[], row: NewRow): void {
  const { pos, txId, at, action, actor, command, ik = null, bodyHash = null, roomId = null, liveId = null, text } = row
  const { legs, facts, event, reply } = text
  values.push(pos, txId, at, action, actor, command, ik, bodyHash, roomId, liveId, legs, facts, event, reply)
}

/** Held until the connection is closed or the process ends. Throws when somebody else has it. */
export function takeLock(file: string): Database.Database {
  const folder = dirname(file)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const lock = new Database(join(folder, 'ledger.lock'), { timeout: 1_000 })
  try {
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY')) throw error
    throw new Error(`another process holds the ledger in ${folder}: balances are kept in memory, so there can be one writer only`)
  }
}

function openFile(file: string, pagesMax: number | undefined): Database.Database {
  const db = new Database(file, { timeout: 5_000 })
  try {
    // Amounts beyond 2^53 must come back whole.
    db.defaultSafeIntegers(true)
    const mode = db.pragma('journal_mode = WAL', { simple: true })
    if (mode !== 'wal' && file !== inMemory) throw new Error(`${file}: this file system has no WAL (${mode})`)
    db.pragma('synchronous = FULL')
    db.pragma('fullfsync = ON')
    // In pages: a larger WAL means fewer checkpoints, and a longer one when it comes.
    db.pragma('wal_autocheckpoint = 4000')
    db.pragma('cache_size = -65536')
    migrate(db, file)
    if (pagesMax !== undefined) db.pragma(`max_page_count = ${Math.trunc(pagesMax)}`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function migrate(db: Database.Database, file: string): void {
  const version = Number(db.pragma('user_version', { simple: true }))
  if (version > migrations.length) throw new Error(`${file} has schema version ${version}: it was written by a newer engine`)
  for (const [at, ddl] of migrations.entries()) {
    if (at < version) continue
    db.transaction(() => {
      db.exec(ddl)
      db.pragma(`user_version = ${at + 1}`)
    })()
  }
}
