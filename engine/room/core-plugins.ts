/**
 * The part of core.db that the engine remembers about plugins: what was decided about each, how far each has read the log, and what
 * it gave up. `core-db.ts` runs these ops in the same batches as all others.
 *
 * A cursor and the dead letters that it passes are one op and thus on disk together or not at all: a crash neither loses a dead letter
 * nor makes it twice. Beyond `deadLettersMax` of a plugin its oldest are dropped, and the answer says how many.
 */
import type Database from 'better-sqlite3'
import { and, eq, gt, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/better-sqlite3'
import type { EventRow } from './core-log.ts'
import { pluginCursors, pluginDead, plugins } from './core-schema.ts'

export const deadLettersMax = 10_000
/** Each needs an operator's token or config to come in; the bound is for a script of theirs that runs wild. */
export const pluginsMax = 1_000

export type PluginColumns = typeof plugins.$inferSelect
export type DeadColumns = typeof pluginDead.$inferSelect
export type NewDead = EventRow & Omit<DeadColumns, 'id' | 'plugin'>

/** Each op with what it answers. */
export interface PluginOpAnswers {
  plugin_list: PluginColumns[]
  plugin_put: undefined
  plugin_delete: undefined
  cursor_get: { pos: number; acked: number[] } | undefined
  /** How many old dead letters had to go. */
  cursor_put: number
  dead_list: DeadColumns[]
  dead_get: DeadColumns[]
  dead_take: DeadColumns[]
  dead_failed: undefined
  dead_count: { plugin: string; count: number }[]
}
export type PluginOp =
  | { op: 'plugin_list' }
  | { op: 'plugin_put'; row: PluginColumns & { manifest: string; grant: string; settings: string } }
  | { op: 'plugin_delete'; name: string }
  | { op: 'cursor_get'; plugin: string }
  | { op: 'cursor_put'; plugin: string; pos: number; acked: readonly number[]; dead: readonly NewDead[] }
  | { op: 'dead_list'; plugin?: string; afterId: number; limit: number }
  | { op: 'dead_get'; ids: readonly number[] }
  | { op: 'dead_take'; ids: readonly number[] }
  | { op: 'dead_failed'; id: number; attempts: number; error: string; deadAt: number }
  | { op: 'dead_count' }

export class PluginTables {
  readonly #sql: ReturnType<typeof prepareWrites>
  readonly #reads: ReturnType<typeof prepareReads>

  constructor(db: Database.Database) {
    this.#sql = prepareWrites(db)
    this.#reads = prepareReads(db)
  }

  apply(op: PluginOp): PluginOpAnswers[keyof PluginOpAnswers] {
    switch (op.op) {
      case 'plugin_list':
        return this.#reads.plugins.all()
      case 'plugin_put':
        return this.#put(op.row)
      case 'plugin_delete':
        return this.#forget(op.name)
      case 'cursor_get':
        return this.#reads.cursor.get({ plugin: op.plugin })
      case 'cursor_put':
        return this.#moveCursor(op)
      case 'dead_list': {
        const { plugin, afterId, limit } = op
        return plugin === undefined
          ? this.#reads.dead.all({ afterId, limit })
          : this.#reads.deadOf.all({ plugin, afterId, limit })
      }
      case 'dead_get':
        return this.#reads.deadById.all({ ids: JSON.stringify(op.ids) })
      case 'dead_take':
        return this.#take(JSON.stringify(op.ids))
      case 'dead_failed':
        this.#sql.deadFailed.run(op)
        return undefined
      case 'dead_count':
        return this.#sql.countDead.all() as PluginOpAnswers['dead_count']
      default:
        throw new Error(`unknown op ${JSON.stringify(op satisfies never)}`)
    }
  }

  #put(row: PluginColumns): undefined {
    if (this.#sql.updatePlugin.run(row).changes === 1) return
    const { n } = this.#sql.countPlugins.get() as { n: number }
    if (n >= pluginsMax) throw new Error(`${pluginsMax} plugins exist: delete some that are not used any more`)
    this.#sql.insertPlugin.run(row)
  }

  #forget(name: string): undefined {
    for (const forget of [this.#sql.deletePlugin, this.#sql.deleteCursor, this.#sql.deleteDead]) forget.run({ name })
  }

  #moveCursor({ plugin, pos, acked, dead }: PluginOp & { op: 'cursor_put' }): number {
    this.#sql.putCursor.run({ plugin, pos, acked: JSON.stringify(acked) })
    if (dead.length === 0) return 0
    for (const row of dead) this.#sql.putDead.run({ ...row, plugin })
    return this.#sql.dropDead.run({ plugin, kept: deadLettersMax }).changes
  }

  #take(ids: string): DeadColumns[] {
    const taken = this.#reads.deadById.all({ ids })
    this.#sql.takeDead.run({ ids })
    return taken
  }
}

function prepareWrites(db: Database.Database) {
  const q = (source: string) => db.prepare(source)
  return {
    countPlugins: q('SELECT count(*) AS n FROM plugins'),
    insertPlugin: q(
      `INSERT INTO plugins (name, manifest, "grant", settings, settings_version, state, place, source, changed_at, changed_by)
       VALUES (@name, @manifest, @grant, @settings, @settingsVersion, @state, @place, @source, @changedAt, @changedBy)`,
    ),
    updatePlugin: q(
      `UPDATE plugins SET manifest = @manifest, "grant" = @grant, settings = @settings, settings_version = @settingsVersion,
       state = @state, place = @place, source = @source, changed_at = @changedAt, changed_by = @changedBy WHERE name = @name`,
    ),
    deletePlugin: q('DELETE FROM plugins WHERE name = @name'),
    deleteCursor: q('DELETE FROM plugin_cursors WHERE plugin = @name'),
    deleteDead: q('DELETE FROM plugin_dead WHERE plugin = @name'),
    putCursor: q('INSERT OR REPLACE INTO plugin_cursors (plugin, pos, acked) VALUES (@plugin, @pos, @acked)'),
    // Again after a rewind, or after an answer that was lost with its worker: still one letter.
    putDead: q(
      `INSERT INTO plugin_dead
       (plugin, pos, room_id, eid, t, at, actor, d, hops, only_user, unchecked, epoch, seq, attempts, error, dead_at) VALUES
       (@plugin, @pos, @roomId, @eid, @t, @at, @actor, @d, @hops, @only, @unchecked, @epoch, @seq, @attempts, @error, @deadAt)
       ON CONFLICT (plugin, pos) DO UPDATE SET attempts = @attempts, error = @error, dead_at = @deadAt`,
    ),
    dropDead: q(
      `DELETE FROM plugin_dead WHERE id IN
       (SELECT id FROM plugin_dead WHERE plugin = @plugin ORDER BY id DESC LIMIT -1 OFFSET @kept)`,
    ),
    takeDead: q('DELETE FROM plugin_dead WHERE id IN (SELECT value FROM json_each(@ids))'),
    deadFailed: q('UPDATE plugin_dead SET attempts = attempts + @attempts, error = @error, dead_at = @deadAt WHERE id = @id'),
    countDead: q('SELECT plugin, count(*) AS count FROM plugin_dead GROUP BY plugin ORDER BY plugin'),
  }
}

function prepareReads(db: Database.Database) {
  const orm = drizzle(db)
  const given = (name: string) => sql.placeholder(name)
  const deadAfter = gt(pluginDead.id, given('afterId'))
  return {
    plugins: orm.select().from(plugins).orderBy(plugins.name).prepare(),
    cursor: orm
      .select({ pos: pluginCursors.pos, acked: pluginCursors.acked })
      .from(pluginCursors)
      .where(eq(pluginCursors.plugin, given('plugin')))
      .prepare(),
    dead: orm.select().from(pluginDead).where(deadAfter).orderBy(pluginDead.id).limit(given('limit')).prepare(),
    deadOf: orm
      .select()
      .from(pluginDead)
      .where(and(eq(pluginDead.plugin, given('plugin')), deadAfter))
      .orderBy(pluginDead.id)
      .limit(given('limit'))
      .prepare(),
    deadById: orm
      .select()
      .from(pluginDead)
      .where(sql`${pluginDead.id} IN (SELECT value FROM json_each(${given('ids')}))`)
      .orderBy(pluginDead.id)
      .prepare(),
  }
}
