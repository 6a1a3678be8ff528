/** What the store keeps about plugins, as the engine sees it, and the way between that and the rows of `core-plugins.ts`. */
import type { DeadColumns, NewDead, PluginColumns } from './core-plugins.ts'
import type { EventRow, LogEntry, LogRow } from './store.ts'

/** What the operator decided about a plugin, and what it asked for. */
export interface PluginRow {
  name: string
  /** `manifest`, `grant` and `settings` are kept as JSON. */
  manifest: unknown
  grant: unknown
  settings: unknown
  settingsVersion: number
  state: 'pending' | 'approved' | 'disabled'
  place: string
  source: string
  changedAt: number
  changedBy: string
}
/** Everything up to `pos` is done, and so are the positions in `acked`, all above it. */
export interface Cursor {
  pos: number
  acked: readonly number[]
}
/** An event that a plugin failed to take as often as it was allowed to. */
export interface DeadLetter {
  id: number
  plugin: string
  entry: LogEntry
  /** Of all rounds. */
  attempts: number
  error: string
  deadAt: number
}
export type NewDeadLetter = Omit<DeadLetter, 'id' | 'plugin'>

export const toJson = (d: unknown) => JSON.stringify(d) ?? 'null'
export function toEvent({ eid, t, at, actor, d, hops = 0, only, unchecked }: LogRow): EventRow {
  return { eid, t, at, actor, d: toJson(d), hops, only: only ?? null, unchecked: unchecked ? toJson(unchecked) : null }
}
export function fromEvent({ eid, t, at, actor, d, hops, only, unchecked }: EventRow): LogRow {
  const row: LogRow = { eid, t, at, actor, d: JSON.parse(d) }
  if (hops > 0) row.hops = hops
  if (only !== null) row.only = only
  if (unchecked !== null) row.unchecked = JSON.parse(unchecked)
  return row
}

export const toPlugin = (row: PluginRow) => ({
  ...row,
  manifest: toJson(row.manifest),
  grant: toJson(row.grant),
  settings: toJson(row.settings),
})
export const fromPlugin = (columns: PluginColumns): PluginRow => columns // Drizzle has read the JSON

export function toDead({ entry, attempts, error, deadAt }: NewDeadLetter): NewDead {
  const { pos, roomId, epoch, seq, row } = entry
  return { pos, roomId, epoch, seq, ...toEvent(row), attempts, error, deadAt }
}
export function fromDead({ id, plugin, pos, roomId, epoch, seq, attempts, error, deadAt, ...event }: DeadColumns): DeadLetter {
  return { id, plugin, entry: { pos, roomId, epoch, seq, row: fromEvent(event) }, attempts, error, deadAt }
}
