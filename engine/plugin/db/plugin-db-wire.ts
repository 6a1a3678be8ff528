/**
 * How SQL travels between a plugin and its database file: statements one way, results the other, all of it plain JSON.
 *
 * A call is a list of statements that happen together or not at all. Values that JSON has no form for are tagged, so that the same
 * call passes a function, a message port or a bus unchanged, and whatever carries it need not know:
 *
 *     9007199254740993n  {"$i":"9007199254740993"}      an integer beyond 2^53
 *     Buffer 01 02       {"$b":"AQI="}                  a blob
 *     Infinity           {"$f":"Infinity"}
 *
 * `tables.ts` encodes parameters and decodes rows at the plugin's end, `plugin-db.ts` does the reverse at the file's end, and
 * `checkCall` stands in between: what a plugin sends is hostile until it has passed.
 */

export const dbMethods = ['run', 'all', 'get', 'values'] as const
export type DbMethod = (typeof dbMethods)[number]
export type DbValue = null | number | string | bigint | Uint8Array
export type WireValue = null | number | string | { $i: string } | { $b: string } | { $f: string }

export interface DbStatement {
  sql: string
  params: readonly WireValue[]
  method: DbMethod
}
export interface DbResult {
  /** Rows as arrays of columns; of `get` at most one, of `run` none. */
  rows: WireValue[][]
  /** Rows that an INSERT, UPDATE or DELETE without RETURNING touched. */
  changes?: number
  lastInsertRowid?: WireValue
}
/** What a plugin's end needs of the engine: a whole call, answered in order. Rejects with something that has a `code`. */
export type DbQuery = (statements: readonly DbStatement[]) => Promise<readonly DbResult[]>

/** What a call may be. Characters are UTF-16 units, which is what a string's length costs nothing to tell. */
export const dbBounds = {
  statementsMax: 100,
  sqlCharsMax: 64 * 1024,
  paramsMax: 1_000,
  /** SQL and parameters of a call together. */
  callCharsMax: 4 * 1024 * 1024,
  /** Of one statement. */
  rowsMax: 10_000,
  /** Of all statements of a call together. */
  resultBytesMax: 4 * 1024 * 1024,
  migrationsMax: 1_000,
} as const

/** Every way in which a plugin's database says no. Only after `db.gone` and `db.timeout` is it open whether the call happened. */
export const dbErrors = {
  'db.invalid': 'The call is malformed, or SQLite does not understand the SQL.',
  'db.refused': 'This kind of statement is not for plugins.',
  'db.constraint': 'A constraint of a table was broken.',
  'db.too_large': 'The result is larger than a call may answer: read it in pages.',
  'db.full': 'The database file has reached its bound, or the disk is full.',
  'db.busy': 'Too many calls wait for this database.',
  'db.timeout': 'The call, or one that shared its commit, took too long and the database was restarted.',
  'db.gone': 'The process of the database died while the call was under way.',
  'db.closed': 'The plugin has no open database: it declares no migrations, or it is being detached.',
  'db.migration': 'A migration failed, or the file was written by a newer version of the plugin.',
  'db.failed': 'The disk or the file is broken.',
} as const
export type DbErrorCode = keyof typeof dbErrors
export interface DbFault {
  code: DbErrorCode
  message: string
}

export class PluginDbError extends Error {
  readonly code: DbErrorCode

  constructor(code: DbErrorCode, message: string) {
    super(message)
    this.name = 'PluginDbError'
    this.code = code
  }
}

const invalid = (message: string) => new PluginDbError('db.invalid', message)
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

/** A parameter as JSON. Booleans become 1 and 0, NaN becomes null as in SQLite itself. Throws on what SQLite cannot hold. */
export function encodeValue(value: unknown): WireValue {
  switch (typeof value) {
    case 'string':
      return value
    case 'number':
      return Number.isFinite(value) ? value : Number.isNaN(value) ? null : { $f: String(value) }
    case 'bigint':
      return isSafe(value) ? Number(value) : { $i: String(value) }
    case 'boolean':
      return value ? 1 : 0
    default:
      if (value === null) return null
      if (value instanceof Uint8Array) return { $b: asBuffer(value).toString('base64') }
      throw invalid(`a column holds numbers, strings, bigints, blobs and null, not ${typeof value}`)
  }
}

const asBuffer = (bytes: Uint8Array) =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
const isSafe = (value: bigint) => value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER

/** The value behind its JSON form. An integer is a bigint only beyond 2^53, a blob always a Buffer. */
export function decodeValue(value: WireValue): DbValue {
  if (!isObject(value)) return value
  if ('$i' in value) return BigInt(value.$i)
  if ('$b' in value) return Buffer.from(value.$b, 'base64')
  return Number(value.$f)
}

const int64Min = -(2n ** 63n)
const int64Max = 2n ** 63n - 1n

/** Characters that the value brings along, or undefined when it is none. */
function charsOf(value: unknown): number | undefined {
  if (value === null || (typeof value === 'number' && Number.isFinite(value))) return 8
  if (typeof value === 'string') return value.length
  if (!isObject(value) || Object.keys(value).length !== 1) return undefined
  const { $i, $b, $f } = value
  if (typeof $b === 'string') return $b.length
  if ($f === 'Infinity' || $f === '-Infinity') return 8
  if (typeof $i !== 'string' || !/^-?\d{1,19}$/.test($i)) return undefined
  return BigInt($i) >= int64Min && BigInt($i) <= int64Max ? 8 : undefined
}

/** The call in `value`, stripped of everything else, and its size. Throws `db.invalid`. */
export function checkCall(value: unknown): { statements: DbStatement[]; chars: number } {
  if (!Array.isArray(value)) throw invalid('a call is a list of statements')
  if (value.length > dbBounds.statementsMax) throw invalid(`a call has at most ${dbBounds.statementsMax} statements`)
  let chars = 0
  const statements = value.map((one: unknown) => {
    const { statement, chars: more } = checkStatement(one)
    chars += more
    return statement
  })
  if (chars > dbBounds.callCharsMax) throw invalid(`a call has at most ${dbBounds.callCharsMax} characters of SQL and parameters`)
  return { statements, chars }
}

function checkStatement(value: unknown): { statement: DbStatement; chars: number } {
  if (!isObject(value)) throw invalid('a statement is an object with sql, params and method')
  const { sql, params, method } = value
  checkSql(sql)
  if (!isMethod(method)) throw invalid(`method is one of ${dbMethods.join(', ')}`)
  if (!Array.isArray(params)) throw invalid('params is a list')
  if (params.length > dbBounds.paramsMax) throw invalid(`a statement has at most ${dbBounds.paramsMax} parameters`)
  let chars = sql.length
  for (const [index, param] of params.entries()) {
    const more = charsOf(param)
    if (more === undefined) throw invalid(`parameter ${index + 1} is no value`)
    chars += more
  }
  return { statement: { sql, params, method }, chars }
}

const isMethod = (value: unknown): value is DbMethod => (dbMethods as readonly unknown[]).includes(value)

function checkSql(value: unknown): asserts value is string {
  if (typeof value !== 'string') throw invalid('sql is a string')
  if (value.length > dbBounds.sqlCharsMax) throw invalid(`a statement has at most ${dbBounds.sqlCharsMax} characters`)
}

/** Throws `db.invalid` unless `value` is a list of migrations. Whether SQLite takes them shows when they are applied. */
export function checkMigrations(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw invalid('migrations is a list of SQL statements')
  if (value.length > dbBounds.migrationsMax) throw invalid(`a plugin has at most ${dbBounds.migrationsMax} migrations`)
  for (const one of value) checkSql(one)
  return value
}
