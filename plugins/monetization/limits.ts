/**
 * How much one user may give: what the settings say for all, what an operator says for this user, and what the user says themself. Pure
 * rules first, then the tables. The sums themselves are the ledger's: it refuses what would go beyond, whoever asks at the same time.
 *
 * A user's own bound that becomes lower holds at once, one that becomes higher or goes after a day: it is there for the moment in which
 * they would like it gone. An operator can switch gifts off for a user (minors).
 *
 *     dayMaxOf(limits.of('ann'), { dayCoinMax: 1_000_000, at })
 */
import { refuse } from '../../engine/plugin/index.ts'
import { asc, eq, gt, integer, type PluginDb, sql, sqliteTable, text } from '../../engine/plugin/tables.ts'

/** -1: none. */
export interface UserLimits {
  giftingOff: boolean
  /** By an operator, in place of that of the settings. */
  dayCoinMax: number
  own: number
  /** What `own` becomes at `laterAt`; 0: nothing waits. */
  later: number
  laterAt: number
}
export const noLimits: UserLimits = { giftingOff: false, dayCoinMax: -1, own: -1, later: -1, laterAt: 0 }

export const coinMax = 1_000_000_000
export const raiseAfterMs = 86_400_000
const none = -1

export const ownAt = ({ own, later, laterAt }: UserLimits, at: number): number => (laterAt !== 0 && at >= laterAt ? later : own)

/** Most coins of a day. */
export function dayMaxOf(limits: UserLimits, { dayCoinMax, at }: { dayCoinMax: number; at: number }): number {
  const allowed = limits.dayCoinMax === none ? dayCoinMax : limits.dayCoinMax
  const own = ownAt(limits, at)
  return own === none ? allowed : Math.min(own, allowed)
}

/** `wanted`: coins a day, or -1 for no own bound. */
export function withOwn(limits: UserLimits, wanted: number, at: number): UserLimits {
  const own = ownAt(limits, at)
  const isLower = wanted !== none && (own === none || wanted <= own)
  if (isLower || wanted === own) return { ...limits, own: wanted, later: none, laterAt: 0 }
  return { ...limits, own, later: wanted, laterAt: at + raiseAfterMs }
}

/** What an operator sends; a field that is none, or of a wrong value, is named. */
export function withOperators(limits: UserLimits, given: unknown): UserLimits | string {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return 'the body must be an object'
  const { giftingOff = limits.giftingOff, dayCoinMax = limits.dayCoinMax, ...others } = given as Record<string, unknown>
  const [other] = Object.keys(others)
  if (other !== undefined) return `${other.slice(0, 64)}: there is no such field, or it is not changed here`
  if (typeof giftingOff !== 'boolean') return 'giftingOff: true or false'
  const isMax = typeof dayCoinMax === 'number' && Number.isInteger(dayCoinMax) && dayCoinMax >= none && dayCoinMax <= coinMax
  return isMax ? { ...limits, giftingOff, dayCoinMax } : `dayCoinMax: a whole number from -1 (that of the settings) to ${coinMax}`
}

// ------------------------------------------------------------------ tables

const limits = sqliteTable('limits', {
  userId: text('user_id').primaryKey(),
  /** Grows with every change of any user: whoever has read up to one reads on from there. */
  changed: integer('changed').notNull(),
  limits: text('limits', { mode: 'json' }).$type<UserLimits>().notNull(),
})
export const limitMigrations = [
  'CREATE TABLE limits (user_id TEXT PRIMARY KEY NOT NULL, changed INTEGER NOT NULL, limits TEXT NOT NULL)',
  'CREATE UNIQUE INDEX limits_changed ON limits (changed)',
]
/** Kept in memory, some 200 bytes each. */
const usersMax = 100_000
const pageRows = 2_000
const next = sql`(SELECT coalesce(max(changed), 0) + 1 FROM limits)`

export class Limits {
  readonly #byUser = new Map<string, UserLimits>()
  #changed = 0

  of(userId: string): UserLimits {
    return this.#byUser.get(userId) ?? noLimits
  }

  /** What has changed since the last time. */
  async load(db: PluginDb): Promise<void> {
    for (;;) {
      const page = await db
        .select()
        .from(limits)
        .where(gt(limits.changed, this.#changed))
        .orderBy(asc(limits.changed))
        .limit(pageRows)
      for (const row of page) {
        this.#byUser.set(row.userId, row.limits)
        this.#changed = Math.max(this.#changed, row.changed)
      }
      if (page.length < pageRows) return
    }
  }

  /** `make` is asked with what stands in the table now, and again when somebody else was faster. */
  async change(db: PluginDb, userId: string, make: (known: UserLimits) => UserLimits): Promise<UserLimits> {
    for (let tries = 0; tries < 5; tries++) {
      const [row] = await db.select().from(limits).where(eq(limits.userId, userId))
      const made = make(row?.limits ?? noLimits)
      if (!row && this.#byUser.size >= usersMax) throw refuse('limit.exceeded', `${usersMax} users have limits of their own.`)
      const written = row
        ? await db
            .update(limits)
            .set({ limits: made, changed: next as unknown as number })
            .where(sql`${limits.userId} = ${userId} AND ${limits.changed} = ${row.changed}`)
            .returning()
        : await db
            .insert(limits)
            .values({ userId, limits: made, changed: next as unknown as number })
            .onConflictDoNothing()
            .returning()
      await this.load(db)
      if (written.length > 0) return made
    }
    throw refuse('server.busy', 'Others change this all the time.', 1_000)
  }
}
