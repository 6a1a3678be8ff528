/**
 * How often one user may start a recharge: a thief tries cards one after the other. Kept in a table, so that it counts over restarts and
 * for all instances; the same key is the same recharge and counts once.
 *
 *     const waitMs = await admitted(db, { userId, ik, at }, { max: 5, windowMs: 600_000 })      // 0: go on
 */
import { and, asc, eq, integer, lte, type PluginDb, sqliteTable, text, unique } from '../../engine/plugin/tables.ts'

const orders = sqliteTable(
  'orders',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    userId: text('user_id').notNull(),
    ik: text('ik').notNull(),
    at: integer('at').notNull(),
  },
  (table) => [unique().on(table.userId, table.ik)],
)
export const velocityMigrations = [
  'CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, user_id TEXT NOT NULL, ik TEXT NOT NULL, at INTEGER NOT NULL, UNIQUE (user_id, ik))',
  'CREATE INDEX orders_at ON orders (at)',
]

interface Started {
  userId: string
  ik: string
  at: number
}

/** How long to wait; 0 when it counts as started. Of two at once in the last place exactly one is let in. */
export async function admitted(
  db: PluginDb,
  { userId, ik, at }: Started,
  { max, windowMs }: { max: number; windowMs: number },
): Promise<number> {
  const [, , started] = await db.batch([
    db.delete(orders).where(lte(orders.at, at - windowMs)),
    db.insert(orders).values({ userId, ik, at }).onConflictDoNothing(),
    db.select().from(orders).where(eq(orders.userId, userId)).orderBy(asc(orders.id)).limit(max),
  ])
  // Those before it count, whatever becomes of them: of a hundred at once no more than `max` get through.
  const [oldest] = started
  if (!oldest || started.some((one) => one.ik === ik)) return 0
  await forget(db, { userId, ik })
  return Math.max(1, oldest.at + windowMs - at)
}

/** It came to nothing. */
export async function forget(db: PluginDb, { userId, ik }: { userId: string; ik: string }): Promise<void> {
  await db.delete(orders).where(and(eq(orders.userId, userId), eq(orders.ik, ik)))
}
