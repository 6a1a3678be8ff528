/**
 * `livehouse/tables`: what a plugin needs to have tables of its own. The pieces are Drizzle's, the file is the plugin's alone.
 *
 * Flow: describe the tables, make them with migrations (entry n, one statement, is applied once and never edited after it shipped),
 * use them through `ctx.db`. Every call is one transaction; several statements that belong together go through `db.batch`.
 *
 *     const scores = sqliteTable('scores', { user: text('user').primaryKey(), points: integer('points').notNull() })
 *     const migrations = ['CREATE TABLE scores (user TEXT PRIMARY KEY NOT NULL, points INTEGER NOT NULL) STRICT']
 *
 *     const add = { points: sql`${scores.points} + 1` }
 *     await ctx.db.insert(scores).values({ user, points: 1 }).onConflictDoUpdate({ target: scores.user, set: add })
 *     const best = await ctx.db.select().from(scores).orderBy(desc(scores.points)).limit(10)
 *
 * Bounds: 100 statements a call, 1,000 parameters a statement, 10,000 rows and 4 MB an answer, 2 s a call. An integer beyond 2^53
 * arrives as a bigint; a column that can hold such is best an `int64`. Raw `db.all(sql...)` and `db.get(sql...)` give arrays of columns.
 */
import type { BatchItem, BatchResponse } from 'drizzle-orm/batch'
import type { BaseSQLiteDatabase } from 'drizzle-orm/sqlite-core'
import { customType } from 'drizzle-orm/sqlite-core'
import { drizzle } from 'drizzle-orm/sqlite-proxy'
import {
  type DbErrorCode,
  type DbMethod,
  type DbQuery,
  type DbResult,
  type DbStatement,
  type DbValue,
  dbErrors,
  decodeValue,
  encodeValue,
  PluginDbError,
} from './db/plugin-db-wire.ts'

export type { InferInsertModel, InferSelectModel, SQL } from 'drizzle-orm'
export {
  and,
  asc,
  avg,
  between,
  count,
  countDistinct,
  desc,
  eq,
  exists,
  getTableColumns,
  gt,
  gte,
  inArray,
  isNotNull,
  isNull,
  like,
  lt,
  lte,
  max,
  min,
  ne,
  not,
  notBetween,
  notExists,
  notInArray,
  notLike,
  or,
  sql,
  sum,
} from 'drizzle-orm'
export {
  alias,
  blob,
  check,
  customType,
  foreignKey,
  index,
  integer,
  numeric,
  primaryKey,
  real,
  sqliteTable,
  text,
  union,
  unionAll,
  unique,
  uniqueIndex,
} from 'drizzle-orm/sqlite-core'
export type { DbErrorCode, DbQuery, DbResult, DbStatement } from './db/plugin-db-wire.ts'

/** An integer column that is a bigint on this side, whatever its size: for money, and for ids of 64 bits. */
export const int64 = customType<{ data: bigint; driverData: number | bigint }>({
  dataType: () => 'integer',
  fromDriver: (value) => BigInt(value),
  toDriver: (value) => value,
})

/** What a write without `returning()` answers. */
export interface PluginDbRun {
  rows: unknown[]
  changes: number
  lastInsertRowid: number | bigint
}
type Drizzle = BaseSQLiteDatabase<'async', PluginDbRun>
export type PluginDb = Omit<Drizzle, 'transaction' | 'query' | '_' | '$cache'> & {
  /** All of these queries happen, in order, or none does. The answers come in the same order. */
  batch<T extends readonly [BatchItem<'sqlite'>, ...BatchItem<'sqlite'>[]]>(queries: T): Promise<BatchResponse<T>>
}

/** A typed database whose every call goes through `query`. The runner of a plugin makes `ctx.db` with it. */
export function pluginDb(query: DbQuery): PluginDb {
  const db = drizzle(
    async (sql, params, method) => {
      const [result] = await query([toStatement({ sql, params, method })])
      return toAnswer(method, result)
    },
    async (batch) => {
      const results = await query(batch.map(toStatement))
      return batch.map(({ method }, index) => toAnswer(method, results[index]))
    },
  )
  db.transaction = () => {
    throw new PluginDbError(
      'db.refused',
      'a plugin has no interactive transactions, because calls of others would fall in between: put the statements into db.batch([...])',
    )
  }
  return db as unknown as PluginDb // the driver types what a write answers as its own shape; here it is PluginDbRun
}

const toStatement = ({ sql, params, method }: { sql: string; params: unknown[]; method: DbMethod }): DbStatement => ({
  sql,
  params: params.map(encodeValue),
  method,
})

type Answer = { rows: DbValue[][] }

function toAnswer(method: DbMethod, result: DbResult | undefined): Answer {
  if (!result) throw new PluginDbError('db.failed', 'the engine answered fewer results than statements')
  const rows = result.rows.map((row) => row.map(decodeValue))
  // Of `get` the driver wants the row itself, which its types do not tell.
  if (method === 'get') return { rows: rows[0] } as unknown as Answer
  const { changes = 0, lastInsertRowid = 0 } = result
  return method === 'run' ? ({ rows, changes, lastInsertRowid: decodeValue(lastInsertRowid) } as Answer) : { rows }
}

/** Why a call failed, or undefined when `error` is none of the database's. Drizzle wraps errors of single calls; this looks inside. */
export function dbErrorCode(error: unknown): DbErrorCode | undefined {
  if (!(error instanceof Error)) return undefined
  const code = 'code' in error ? error.code : undefined
  if (typeof code === 'string' && Object.hasOwn(dbErrors, code)) return code as DbErrorCode
  return dbErrorCode(error.cause)
}
