/**
 * core.db, synchronously: the file, its lock, and the batches. With the tables in the other `core-*.ts` the only code that speaks SQL. It
 * runs in the store worker (`store-worker.ts`), or inline in tests and the simulation; on a socket loop it would stop every viewer for the
 * length of an fsync.
 *
 * Flow: `batch(ops)` is the group commit. BEGIN IMMEDIATE, each op inside a savepoint, COMMIT, and only then does anybody get an
 * answer. An op that breaks a rule is rolled back alone; a disk that is full or broken takes the whole batch with it: it throws, and
 * nothing of the batch has happened. WAL with synchronous=FULL: what COMMIT returned from survives kill -9 and a power cut.
 *
 * Hot writes are prepared raw statements, one parse in the life of the worker; reads are prepared Drizzle queries, which keeps them
 * typed by `core-schema.ts` for about 1 us a query.
 *
 * One writer: beside core.db, core.lock is held under BEGIN EXCLUSIVE, and the kernel frees it however the process dies.
 *
 *     const db = new CoreDb({ file: '/data/core.db', roomsMax: 1000 })
 *     db.batch([{ op: 'write', roomId: 'demo', changes: [{ kind: 'role.grant', userId: 'u1', role: 'admin' }] }])
 */
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import type { RoomInfoShape, SettingsShape } from '../../schemas/messages.ts'
import { type AuditOp, type AuditOpAnswers, AuditTables, isAuditOp } from './core-audit.ts'
import { type BoardOp, type BoardOpAnswers, BoardTables, isBoardOp } from './core-boards.ts'
import { type EventRow, LogTables, type PlacedRow, type SeqRow } from './core-log.ts'
import { type PluginOp, type PluginOpAnswers, PluginTables } from './core-plugins.ts'
import { type Change, type ListedRoom, RoomTables, type StoredRoom } from './core-rooms.ts'
import { migrations } from './core-schema.ts'

/** How far whoever brings rows into the log has come in what it reads: on disk with the rows, or not at all. */
export interface PlacedCursor {
  key: string
  pos: number
}

/** Each op with what it answers. */
export interface OpAnswers extends PluginOpAnswers, AuditOpAnswers, BoardOpAnswers {
  create: 'created' | 'exists' | 'full'
  open: (StoredRoom & { unsent: EventRow[] }) | undefined
  write: undefined
  seq: undefined
  append: undefined
  list: ListedRoom[]
  read: PlacedRow[]
  prune: number
  log_end: number
}
export type Op =
  | PluginOp
  | AuditOp
  | BoardOp
  | { op: 'create'; info: RoomInfoShape; settings: SettingsShape; log: EventRow }
  | { op: 'open'; roomId: string }
  | { op: 'write'; roomId: string; changes: readonly Change[]; log?: EventRow }
  | { op: 'seq'; roomId: string; rows: readonly SeqRow[] }
  | { op: 'append'; roomId: string; rows: readonly (EventRow & SeqRow)[]; giftPos?: number | undefined; cursor?: PlacedCursor }
  | { op: 'list'; afterId: string; limit: number }
  | { op: 'read'; roomId?: string; afterPos: number; limit: number }
  | { op: 'prune'; beforeAt: number; limit: number }
  | { op: 'log_end' }

/** `values[i]` answers op i, except where `errors` says that it was rolled back. */
export interface BatchResult {
  values: OpAnswers[keyof OpAnswers][]
  errors: { index: number; message: string }[]
  /** The highest `pos` ever given, when the batch had ops that put rows into the log. */
  logEnd?: number
}
export interface CoreDbOptions {
  /** Path of core.db, or ':memory:'. */
  file: string
  roomsMax: number
  /** Largest core.db in pages of 4 KB; past it writes fail as on a full disk. Unset: as large as the disk. */
  pagesMax?: number | undefined
}

export class CoreDb {
  readonly #lock: Database.Database | undefined
  readonly #db: Database.Database
  readonly #sql: ReturnType<typeof prepareTransaction>
  readonly #rooms: RoomTables
  readonly #log: LogTables
  readonly #plugins: PluginTables
  readonly #audit: AuditTables
  readonly #boards: BoardTables

  constructor(options: CoreDbOptions) {
    this.#lock = options.file === ':memory:' ? undefined : takeLock(options.file)
    try {
      this.#db = openFile(options)
      this.#sql = prepareTransaction(this.#db)
      this.#rooms = new RoomTables(this.#db, options)
      this.#log = new LogTables(this.#db)
      this.#plugins = new PluginTables(this.#db)
      this.#audit = new AuditTables(this.#db)
      this.#boards = new BoardTables(this.#db)
    } catch (error) {
      this.#lock?.close()
      throw error
    }
  }

  /** All ops in one transaction, each in a savepoint. Throws when the transaction failed: then nothing has happened. */
  batch(ops: readonly Op[]): BatchResult {
    const result: BatchResult = { values: [], errors: [] }
    this.#sql.begin.run()
    try {
      for (const op of ops) this.#applyAlone(op, result)
      if (ops.some(({ op }) => op === 'seq' || op === 'append')) result.logEnd = this.#log.end()
      this.#sql.commit.run()
      return result
    } catch (error) {
      this.#rooms.onRollback()
      if (this.#db.inTransaction) this.#sql.rollback.run() // SQLite has rolled back by itself after some errors
      throw error
    }
  }

  close(): void {
    this.#db.close()
    this.#lock?.close()
  }

  #applyAlone(op: Op, result: BatchResult): void {
    this.#sql.savepoint.run()
    try {
      result.values.push(this.#apply(op))
      this.#sql.release.run()
    } catch (error) {
      if (!isFaultOfOp(error) || !this.#db.inTransaction) throw error
      this.#sql.rollbackTo.run()
      this.#sql.release.run()
      this.#rooms.onRollback()
      result.errors.push({ index: result.values.length, message: error instanceof Error ? error.message : String(error) })
      result.values.push(undefined)
    }
  }

  #apply(op: Op): OpAnswers[keyof OpAnswers] {
    switch (op.op) {
      case 'write':
        this.#rooms.write(op.roomId, op.changes)
        if (op.log) this.#log.putUnsent(op.roomId, op.log)
        return undefined
      case 'seq':
        this.#log.commit(op.roomId, op.rows)
        return undefined
      case 'append':
        this.#log.append(op.roomId, op.rows)
        if (op.giftPos !== undefined) this.#rooms.moveGiftPos(op.roomId, op.giftPos)
        if (op.cursor) this.#plugins.apply({ op: 'cursor_put', plugin: op.cursor.key, pos: op.cursor.pos, acked: [], dead: [] })
        return undefined
      case 'create':
        return this.#create(op)
      case 'open':
        return this.#open(op.roomId)
      case 'list':
        return this.#rooms.listOpen(op)
      case 'read':
        return this.#log.read(op)
      case 'prune':
        return this.#log.prune(op)
      case 'log_end':
        return this.#log.end()
      default:
        if (isBoardOp(op)) return this.#boards.apply(op)
        return isAuditOp(op) ? this.#audit.apply(op) : this.#plugins.apply(op)
    }
  }

  #create(op: Op & { op: 'create' }): OpAnswers['create'] {
    const created = this.#rooms.create(op)
    if (created === 'created') this.#log.putUnsent(op.info.id, op.log)
    return created
  }

  #open(roomId: string): OpAnswers['open'] {
    const room = this.#rooms.open(roomId)
    return room && { ...room, unsent: this.#log.unsentOf(roomId) }
  }
}

/** Breaking a constraint, or a value that cannot be bound. All else is the disk's or SQLite's trouble, and every op's. */
function isFaultOfOp(error: unknown): boolean {
  if (!(error instanceof Database.SqliteError)) return true
  return /^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG)/.test(error.code)
}

/** Beside core.db. Held until the connection is closed or the process ends. Throws when an engine runs on the folder. */
export function takeLock(file: string): Database.Database {
  const folder = dirname(file)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  // Waits a moment: the thread that this one replaces may still be closing its files.
  const lock = new Database(join(folder, 'core.lock'), { timeout: 1_000 })
  try {
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch (error) {
    lock.close()
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith('SQLITE_BUSY')) throw error
    throw new Error(`another engine runs on the data folder ${folder}: stop it, or give this one its own dataDir`)
  }
}

function openFile({ file, pagesMax }: CoreDbOptions): Database.Database {
  const db = new Database(file, { timeout: 5_000 })
  try {
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    db.pragma('wal_autocheckpoint = 4000')
    db.pragma('foreign_keys = ON')
    migrate(db, file)
    if (pagesMax !== undefined) db.pragma(`max_page_count = ${Math.trunc(pagesMax)}`)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function migrate(db: Database.Database, file: string): void {
  const version = db.pragma('user_version', { simple: true }) as number
  if (version > migrations.length)
    throw new Error(
      `${file} has schema version ${version}, this engine knows ${migrations.length}: it was written by a newer engine`,
    )
  for (const [index, ddl] of migrations.entries()) {
    if (index < version) continue
    db.transaction(() => {
      db.exec(ddl)
      db.pragma(`user_version = ${index + 1}`)
    })()
  }
}

function prepareTransaction(db: Database.Database) {
  const q = (source: string) => db.prepare(source)
  return {
    begin: q('BEGIN IMMEDIATE'),
    commit: q('COMMIT'),
    rollback: q('ROLLBACK'),
    savepoint: q('SAVEPOINT op'),
    release: q('RELEASE op'),
    rollbackTo: q('ROLLBACK TO op'),
  }
}
