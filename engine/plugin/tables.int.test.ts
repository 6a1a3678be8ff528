import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest'
import { silentLog } from '../base/log.ts'
import { PluginDbs } from './db/plugin-dbs.ts'
import {
  and,
  blob,
  count,
  dbErrorCode,
  desc,
  eq,
  gt,
  index,
  int64,
  integer,
  type PluginDb,
  pluginDb,
  real,
  sql,
  sqliteTable,
  sum,
  text,
} from './tables.ts'

const scores = sqliteTable(
  'scores',
  {
    user: text('user').primaryKey(),
    points: integer('points').notNull(),
    ratio: real('ratio'),
    coins: int64('coins').notNull(),
    at: integer('at', { mode: 'timestamp_ms' }).notNull(),
    won: integer('won', { mode: 'boolean' }).notNull().default(false),
    picture: blob('picture', { mode: 'buffer' }),
    more: text('more', { mode: 'json' }).$type<{ tags: string[] }>(),
  },
  (table) => [index('scores_points').on(table.points)],
)
const migrations = [
  `CREATE TABLE scores (
    user TEXT PRIMARY KEY NOT NULL, points INTEGER NOT NULL, ratio REAL, coins INTEGER NOT NULL, at INTEGER NOT NULL,
    won INTEGER NOT NULL DEFAULT 0, picture BLOB, more TEXT
  ) STRICT`,
  'CREATE INDEX scores_points ON scores (points)',
]

let dir: string
let dbs: PluginDbs
let db: PluginDb
const at = new Date(1_760_000_000_000)
const row = (user: string, points: number) => ({ user, points, coins: 1n, at })
const failure = (call: PromiseLike<unknown>) =>
  Promise.resolve(call).then(
    () => 'done',
    (error) => dbErrorCode(error),
  )

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'tables-'))
  dbs = new PluginDbs({ dir, log: silentLog })
  await dbs.open('trivia', migrations)
  // As over a bus: what travels is text.
  db = pluginDb(async (statements) => JSON.parse(await dbs.queryText('trivia', JSON.parse(JSON.stringify(statements)))))
})
afterEach(async () => {
  await dbs.closeAll()
  rmSync(dir, { recursive: true })
})

describe('tables of a plugin', () => {
  test('rows go in and come out with their types', async () => {
    const full = {
      ...row('ann', 3),
      ratio: 0.5,
      coins: 9007199254740993n,
      won: true,
      picture: Buffer.from([1, 2, 0]),
      more: { tags: ['ü'] },
    }
    const written = await db.insert(scores).values(full)
    expectTypeOf(written.changes).toEqualTypeOf<number>()
    expect(written).toMatchObject({ changes: 1, lastInsertRowid: 1 })

    const found = await db.select().from(scores)
    expectTypeOf(found).toEqualTypeOf<(typeof scores.$inferSelect)[]>()
    expectTypeOf<(typeof found)[number]['coins']>().toEqualTypeOf<bigint>()
    expectTypeOf<(typeof found)[number]['more']>().toEqualTypeOf<{ tags: string[] } | null>()
    expect(found).toEqual([full])
  })

  test('updates count, upserts add, get finds one or nothing', async () => {
    const added = { points: sql`${scores.points} + 1` }
    for (let n = 0; n < 3; n++)
      await db.insert(scores).values(row('bob', 1)).onConflictDoUpdate({ target: scores.user, set: added })
    expect(await db.select({ points: scores.points }).from(scores).where(eq(scores.user, 'bob')).get()).toEqual({ points: 3 })
    expect(await db.select().from(scores).where(eq(scores.user, 'nobody')).get()).toBeUndefined()
    expect((await db.update(scores).set({ won: true }).where(gt(scores.points, 5))).changes).toBe(0)
    const [changed] = await db.update(scores).set({ coins: 5n }).returning({ user: scores.user, coins: scores.coins })
    expect(changed).toEqual({ user: 'bob', coins: 5n })
    expect((await db.delete(scores)).changes).toBe(1)
  })

  test('batch is all or nothing, with typed answers', async () => {
    const [, best, [total]] = await db.batch([
      db.insert(scores).values([row('ann', 3), row('bob', 5)]),
      db.select({ user: scores.user }).from(scores).orderBy(desc(scores.points)).limit(1),
      db.select({ rows: count(), points: sum(scores.points) }).from(scores),
    ])
    expectTypeOf(best).toEqualTypeOf<{ user: string }[]>()
    expect(best).toEqual([{ user: 'bob' }])
    expect(total).toEqual({ rows: 2, points: '8' })

    const again = db.batch([db.delete(scores), db.insert(scores).values(row('x', 1)), db.insert(scores).values(row('x', 2))])
    expect(await failure(again)).toBe('db.constraint')
    expect(await db.$count(scores, and(gt(scores.points, 0)))).toBe(2)
  })

  test('errors carry their code, also where Drizzle wraps them', async () => {
    await db.insert(scores).values(row('ann', 1))
    expect(await failure(db.insert(scores).values(row('ann', 1)))).toBe('db.constraint')
    expect(await failure(db.run(sql`PRAGMA user_version = 3`))).toBe('db.refused')
    expect(await failure(db.run(sql`BEGIN`))).toBe('db.refused')
    expect(await failure(db.all(sql`SELECT ${{}}`))).toBe('db.invalid')
    expect(dbErrorCode(new Error('other'))).toBeUndefined()
    expect(dbErrorCode('db.busy')).toBeUndefined()
  })

  test('an interactive transaction is refused by types and by name', async () => {
    expectTypeOf<PluginDb>().not.toHaveProperty('transaction')
    const untyped = db as unknown as { transaction(run: () => Promise<void>): Promise<void> }
    expect(() => untyped.transaction(async () => {})).toThrow(/db\.batch/)
  })

  test('raw SQL answers arrays of columns', async () => {
    expect(await db.values(sql`SELECT 1, 'a', ${2n ** 60n}`)).toEqual([[1, 'a', 2n ** 60n]])
  })
})
