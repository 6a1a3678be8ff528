/**
 * Levels of users: how many thresholds the coins that they gave have reached, all of them together, for ever. Counted from `gift.sent`,
 * which comes at least once: a gift is remembered by its id and counts once, however often it is told. The rows are all there is to know:
 * told again from the beginning of the room log, or summed up anew, they give the same.
 *
 *     await count(db, { txId, userId: 'ann', coin: 30 })
 *     levelOf(await givenBy(db, 'ann'), [100, 1_000])      // 0, 1 or 2
 *
 * A gift is on disk here before the next one of its room is counted: a room with some hundred gifts a second is counted a while behind,
 * and `events.lag` of the plugin tells how far. What an operator gives back stays counted, as on the boards: a level tells what was given.
 */
import { Type } from '../../engine/plugin/index.ts'
import { eq, integer, type PluginDb, sqliteTable, text } from '../../engine/plugin/tables.ts'

export const levelMax = 100
const coinMax = 1_000_000_000_000

export const Ladder = Type.Array(Type.Integer({ minimum: 1, maximum: coinMax }), {
  maxItems: levelMax,
  default: [100, 1_000, 5_000, 20_000, 100_000, 500_000, 2_000_000, 10_000_000],
  description: 'Coins that a user must have given in all for level 1, 2 and so on.',
})

export const levelOf = (givenCoin: number, ladder: readonly number[]): number =>
  ladder.filter((coins) => coins <= givenCoin).length

/** Coins that the next level begins with; undefined on the last one. */
export function nextLevelAt(givenCoin: number, ladder: readonly number[]): number | undefined {
  const above = ladder.filter((coins) => coins > givenCoin)
  return above.length > 0 ? Math.min(...above) : undefined
}

// ------------------------------------------------------------------ tables

const given = sqliteTable('given', {
  txId: text('tx_id').primaryKey(),
  userId: text('user_id').notNull(),
  coin: integer('coin').notNull(),
})
const givers = sqliteTable('givers', { userId: text('user_id').primaryKey(), coin: integer('coin').notNull() })

/** Some 60 bytes a gift, where the ledger keeps a thousand. The sum moves with the row, in its transaction, and with a new row alone. */
export const levelMigrations = [
  'CREATE TABLE given (tx_id TEXT PRIMARY KEY NOT NULL, user_id TEXT NOT NULL, coin INTEGER NOT NULL) WITHOUT ROWID',
  'CREATE TABLE givers (user_id TEXT PRIMARY KEY NOT NULL, coin INTEGER NOT NULL) WITHOUT ROWID',
  `CREATE TRIGGER given_counts AFTER INSERT ON given BEGIN
     INSERT INTO givers (user_id, coin) VALUES (NEW.user_id, NEW.coin)
     ON CONFLICT (user_id) DO UPDATE SET coin = coin + NEW.coin;
   END`,
]

export interface GivenGift {
  txId: string
  userId: string
  coin: number
}

/** Once, whoever tells it how often. */
export async function count(db: PluginDb, gift: GivenGift): Promise<void> {
  await db.insert(given).values(gift).onConflictDoNothing()
}

export async function givenBy(db: PluginDb, userId: string): Promise<number> {
  const [row] = await db.select().from(givers).where(eq(givers.userId, userId))
  return row?.coin ?? 0
}
