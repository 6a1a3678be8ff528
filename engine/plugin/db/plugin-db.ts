/**
 * The database file of one plugin, synchronously. It runs in a process of its own (`plugin-db-entry.ts`), never in the engine: a
 * statement that SQLite has begun can be stopped only by ending the process, and a plugin may write a statement without an end.
 *
 * Flow: the constructor opens the file and applies the migrations that it lacks. `run(calls)` is the group commit: one transaction,
 * each call in a savepoint, and nobody has an answer before COMMIT. A call that fails is rolled back alone. When the transaction as
 * a whole fails, the calls are tried again one by one, so that each has its own verdict.
 *
 * WAL with synchronous=FULL: what has been answered survives kill -9 and a power cut.
 *
 *     const file = new PluginDbFile({ file: '/data/plugins/trivia.db', migrations: ['CREATE TABLE score ...'], bytesMax: 2 ** 28 })
 *     file.run([[{ sql: 'SELECT * FROM score', params: [], method: 'all' }]]) // [{ json: '[{"rows":[]}]' }]
 */
import Database from 'better-sqlite3'
import { elapsedMs } from '../../base/clock.ts'
import { allowMigration, allowRows } from './plugin-db-gate.ts'
import {
  type DbFault,
  type DbResult,
  type DbStatement,
  type DbValue,
  dbBounds,
  decodeValue,
  encodeValue,
  PluginDbError,
  type WireValue,
} from './plugin-db-wire.ts'

export interface PluginDbOptions {
  /** Path of the file, or ':memory:'. */
  file: string
  /** Entry n, one statement, brings `user_version` n to n + 1. */
  migrations: readonly string[]
  /** Largest file, and largest amount of temporary tables; past it writes fail with `db.full`. */
  bytesMax: number
}
/** `json` is the text of a `DbResult[]`: it travels on as text, so that nobody between here and the plugin has to parse it. */
export type Outcome = { json: string } | { error: DbFault }

/** After this the group is committed and the rest of the calls is left for the next one, so that slow calls do not add up. */
const sliceMs = 100
const statementsKept = 100

export class PluginDbFile {
  readonly #db: Database.Database
  readonly #step: Record<'begin' | 'commit' | 'rollback' | 'savepoint' | 'release' | 'rollbackTo', Database.Statement>
  readonly #prepared = new Map<string, Database.Statement>()

  constructor(options: PluginDbOptions) {
    this.#db = openFile(options)
    const q = (sql: string) => this.#db.prepare(sql)
    this.#step = {
      begin: q('BEGIN'),
      commit: q('COMMIT'),
      rollback: q('ROLLBACK'),
      savepoint: q('SAVEPOINT call'),
      release: q('RELEASE call'),
      rollbackTo: q('ROLLBACK TO call'),
    }
  }

  /** `outcomes[i]` answers call i. At least one is answered; those past the end have not been touched. */
  run(calls: readonly (readonly DbStatement[])[]): Outcome[] {
    try {
      return this.#commit(calls)
    } catch (error) {
      if (calls.length === 1) return [{ error: faultOf(error) }]
      return this.#slice(calls, (call) => this.run([call])[0] as Outcome)
    }
  }

  close(): void {
    this.#db.close()
  }

  #commit(calls: readonly (readonly DbStatement[])[]): Outcome[] {
    this.#step.begin.run()
    try {
      const outcomes = this.#slice(calls, (call) => this.#callAlone(call))
      this.#step.commit.run()
      return outcomes
    } catch (error) {
      if (this.#db.inTransaction) this.#step.rollback.run() // SQLite has rolled back by itself after some errors
      throw error
    }
  }

  #slice(calls: readonly (readonly DbStatement[])[], runOne: (call: readonly DbStatement[]) => Outcome): Outcome[] {
    const startMs = elapsedMs()
    const outcomes: Outcome[] = []
    let chars = 0
    for (const call of calls) {
      if (outcomes.length > 0 && (elapsedMs() - startMs > sliceMs || chars > dbBounds.resultBytesMax)) break
      const outcome = runOne(call)
      outcomes.push(outcome)
      if ('json' in outcome) chars += outcome.json.length
    }
    return outcomes
  }

  #callAlone(call: readonly DbStatement[]): Outcome {
    this.#step.savepoint.run()
    try {
      const room = { bytes: dbBounds.resultBytesMax }
      const json = JSON.stringify(call.map((statement) => this.#statement(statement, room)))
      this.#step.release.run()
      return { json }
    } catch (error) {
      if (!this.#db.inTransaction) throw error
      this.#step.rollbackTo.run()
      this.#step.release.run()
      return { error: faultOf(error) }
    }
  }

  #statement({ sql, params, method }: DbStatement, room: { bytes: number }): DbResult {
    const statement = this.#prepare(sql)
    const values = params.map(toBound)
    if (!statement.reader) {
      const { changes, lastInsertRowid } = statement.run(...values)
      return { rows: [], changes, lastInsertRowid: encodeValue(lastInsertRowid) }
    }
    const rows: WireValue[][] = []
    for (const row of statement.iterate(...values) as Iterable<DbValue[]>) {
      rows.push(takeRow(row, room))
      if (method === 'get') break
      if (rows.length > dbBounds.rowsMax) throw tooLarge(`${dbBounds.rowsMax} rows`)
    }
    return { rows: method === 'run' ? [] : rows }
  }

  /** The statements used last stay prepared: parsing costs more than most of them do. */
  #prepare(sql: string): Database.Statement {
    const known = this.#prepared.get(sql)
    if (known) this.#prepared.delete(sql)
    else allowRows(sql)
    const statement = known ?? this.#db.prepare(sql).safeIntegers(true)
    if (!known && statement.reader) statement.raw(true)
    this.#prepared.set(sql, statement)
    const oldest = this.#prepared.keys().next()
    if (this.#prepared.size > statementsKept && !oldest.done) this.#prepared.delete(oldest.value)
    return statement
  }
}

/** Whole numbers go in as bigints: the driver would store a number as a float wherever no column says otherwise. */
function toBound(value: WireValue): DbValue {
  const bound = decodeValue(value)
  return Number.isSafeInteger(bound) ? BigInt(bound as number) : bound
}

function takeRow(row: readonly DbValue[], room: { bytes: number }): WireValue[] {
  for (const value of row)
    room.bytes -= typeof value === 'string' ? Buffer.byteLength(value) : value instanceof Uint8Array ? (value.length * 4) / 3 : 8
  if (room.bytes < 0) throw tooLarge(`${dbBounds.resultBytesMax} bytes`)
  return row.map(encodeValue)
}

const tooLarge = (bound: string) =>
  new PluginDbError('db.too_large', `a result has at most ${bound}: read it in pages, with LIMIT and the key of the last row`)

const textOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

export function faultOf(error: unknown): DbFault {
  if (error instanceof PluginDbError) return { code: error.code, message: error.message }
  return { code: codeOf(error), message: textOf(error) }
}

/** Errors that are not SQLite's come from the driver's own checks: a second statement, too few parameters. */
function codeOf(error: unknown): DbFault['code'] {
  if (!(error instanceof Database.SqliteError)) return 'db.invalid'
  if (error.code.startsWith('SQLITE_CONSTRAINT')) return 'db.constraint'
  if (error.code.startsWith('SQLITE_FULL')) return 'db.full'
  if (error.code.startsWith('SQLITE_TOOBIG')) return 'db.too_large'
  if (/^SQLITE_(ERROR|MISMATCH|RANGE|AUTH)/.test(error.code)) return 'db.invalid'
  return 'db.failed'
}

function openFile({ file, migrations, bytesMax }: PluginDbOptions): Database.Database {
  const db = new Database(file, { timeout: 5_000 })
  try {
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = FULL')
    db.pragma('wal_autocheckpoint = 1000')
    db.pragma(`journal_size_limit = ${16 * 1024 * 1024}`) // a large transaction does not keep its space for ever
    db.pragma('foreign_keys = ON')
    const pagesMax = Math.max(1, Math.trunc(bytesMax / (db.pragma('page_size', { simple: true }) as number)))
    db.pragma(`max_page_count = ${pagesMax}`)
    db.pragma(`temp.max_page_count = ${pagesMax}`)
    migrate(db, migrations)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function migrate(db: Database.Database, migrations: readonly string[]): void {
  const version = db.pragma('user_version', { simple: true }) as number
  if (version > migrations.length)
    throw new PluginDbError(
      'db.migration',
      `the tables have version ${version}, this plugin knows ${migrations.length}: they were written by a newer one`,
    )
  for (const [index, sql] of migrations.entries()) if (index >= version) applyMigration(db, sql, index + 1)
}

function applyMigration(db: Database.Database, sql: string, version: number): void {
  try {
    allowMigration(sql)
    db.transaction(() => {
      const statement = db.prepare(sql)
      if (statement.reader) statement.get()
      else statement.run()
      db.pragma(`user_version = ${version}`)
    })()
  } catch (error) {
    throw new PluginDbError('db.migration', `migration ${version}: ${textOf(error)}`)
  }
}
