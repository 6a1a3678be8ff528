/**
 * What must survive: rooms, settings, roles, mutes, bans, wall, totals, the room log and what is decided about plugins, in core.db.
 *
 * Flow: a call becomes an op in a queue (`store-queue.ts`), which hands batches to a worker thread (`store-thread.ts`) with core.db
 * (`core-db.ts`). A promise resolves when its change is on disk. One `write` is one transaction: all its changes and its log row, or none.
 *
 * Every change comes with a log row, which is on disk before the room commits it and thus before it has a seq; `setSeq` completes it.
 * Rows that a crash left without a seq come back as `unsent` from `openHome`.
 *
 *     const store = await openStore({ dir: '.livehouse', roomsMax: 1000, queueMax: 100_000 })
 *     const room = await store.openHome('demo')
 *     await store.write('demo', [{ kind: 'mute.put', mute }], { eid, t: 'room.user_muted', at, actor, d })
 *     store.setSeq('demo', [{ eid, epoch: room.epoch, seq }])
 *
 * Readers of the log are woken by `onLogged`, read on with `readLog` and keep their place with `putCursor`; `plugin/events/consumers.ts` does.
 *
 * Errors: a `StoreError` means that nothing happened, with one exception: when the store worker dies, what it was doing is unknown,
 * and a write rejected by that may turn out to be on disk. A full disk rejects the batch that met it; the next one is tried again.
 */
import { join } from 'node:path'
import type { RoomInfoShape, SettingsShape } from '../../schemas/messages.ts'
import { CoreDb, type CoreDbOptions, type Op, type PlacedCursor } from './core-db.ts'
import type { SeqRow } from './core-log.ts'
import type { Change, StoredRoom } from './core-rooms.ts'
import { AuditStore } from './store-audit.ts'
import { BoardStore } from './store-boards.ts'
import {
  type Cursor,
  type DeadLetter,
  fromDead,
  fromEvent,
  fromPlugin,
  type NewDeadLetter,
  type PluginRow,
  toDead,
  toEvent,
  toPlugin,
} from './store-plugins.ts'
import { type Executor, failed, OpQueue, type StoreLog, type StoreStats } from './store-queue.ts'
import { StoreThread } from './store-thread.ts'

export type { PlacedCursor } from './core-db.ts'
export type { EventRow, SeqRow } from './core-log.ts'
export type { Change } from './core-rooms.ts'
export type { LiveBan, Takedown } from './core-schema.ts'
export type { Cursor, DeadLetter, NewDeadLetter, PluginRow } from './store-plugins.ts'
export { type Executor, StoreError, type StoreErrorCode, type StoreLog, type StoreStats } from './store-queue.ts'

/** Everything that a home needs to start. */
export interface RoomRecord extends StoredRoom {
  /** Log rows that never got a seq (a crash between disk and commit), oldest first. */
  unsent: LogRow[]
}
export interface LogRow {
  eid: string
  t: string
  at: number
  actor: string
  /** Kept as JSON. */
  d: unknown
  /** How many plugins it went through: one more than the event that a plugin was handling when it caused this one. Unset: 0. */
  hops?: number
  /** Who alone may know of it. */
  only?: string
  /** Plugins whose guard of it failed open. */
  unchecked?: readonly string[]
}
/** `pos` is the cursor of a reader: it grows by one in the order of commit over all rooms. A gap means rows that were pruned. */
export interface LogEntry {
  pos: number
  /** Empty for what happened to the engine and in no room. */
  roomId: string
  epoch: number
  seq: number
  row: LogRow
}
export interface Store {
  /** What operators did, and what waits for a second one. */
  readonly audit: AuditStore
  /** Who gave how much, as far as it has been counted. */
  readonly boards: BoardStore
  /** `full`: `roomsMax` rooms exist. */
  createRoom(info: RoomInfoShape, settings: SettingsShape, log: LogRow): Promise<'created' | 'exists' | 'full'>
  /** The record of a room with its epoch one higher than ever before, stored before this answers. */
  openHome(roomId: string): Promise<RoomRecord | undefined>
  /** Resolves when on disk. Rejects with a `StoreError`. */
  write(roomId: string, changes: readonly Change[], log?: LogRow): Promise<void>
  /** The seq given at commit to rows already written. Not awaited; kept for the next batch when a batch fails. */
  setSeq(roomId: string, rows: readonly SeqRow[]): void
  /** Events that were committed without a write, or in no room (''). Not awaited; dropped and counted when the queue is full. */
  appendLog(roomId: string, rows: readonly (LogRow & SeqRow)[], cursor?: { giftPos: number | undefined }): void
  /** Facts of no room (''), and how far their source has been read: both are on disk when it resolves, or neither is. */
  appendFacts(rows: readonly (LogRow & SeqRow)[], cursor: PlacedCursor): Promise<void>
  listOpen(): Promise<{ info: RoomInfoShape; likes: number }[]>
  /** Committed rows after `afterPos`, at most `limit` and never more than 1,000. */
  readLog(options: { roomId?: string; afterPos: number; limit: number }): Promise<LogEntry[]>
  /** Deletes rows older than `beforeAt`, unsent ones too, in pages that let writes pass. Answers how many. */
  pruneLog(beforeAt: number): Promise<number>
  /** The highest `pos` ever given; 0 before the first. */
  logEnd(): Promise<number>
  /** Called with the end of the log after rows came into it and are on disk. Answers how to stop that. */
  onLogged(listener: (end: number) => void): () => void
  /** By name. */
  listPlugins(): Promise<PluginRow[]>
  /** Resolves when on disk. */
  putPlugin(row: PluginRow): Promise<void>
  /** With its cursor and its dead letters. */
  deletePlugin(name: string): Promise<void>
  getCursor(key: string): Promise<Cursor | undefined>
  /** The cursor and the dead letters that it passes, all or none. `dropped`: old ones beyond 10,000 of this key. */
  putCursor(key: string, cursor: Cursor, dead?: readonly NewDeadLetter[]): Promise<{ dropped: number }>
  /** By id, after `afterId`, at most `limit` and never more than 1,000. */
  listDead(options: { plugin?: string; afterId: number; limit: number }): Promise<DeadLetter[]>
  /** Those of `ids` that exist, by id. */
  getDead(ids: readonly number[]): Promise<DeadLetter[]>
  /** As `getDead`, and they are gone. */
  takeDead(ids: readonly number[]): Promise<DeadLetter[]>
  /** Another round failed: `attempts` are added. Nothing happens to a letter that is gone. */
  failDead(id: number, again: { attempts: number; error: string; deadAt: number }): Promise<void>
  countDead(): Promise<{ plugin: string; count: number }[]>
  stats(): StoreStats
  /** Flushes, then frees the folder. */
  close(): Promise<void>
}

export interface StoreOptions {
  roomsMax: number
  /** Ops and rows that wait for the disk; past it calls are refused with `store.full`. Unset: 100,000. */
  queueMax?: number
  /** Largest core.db in pages of 4 KB. Unset: as large as the disk. */
  pagesMax?: number
  log?: StoreLog
}

/** core.db in the folder `dir` (made when missing), behind a worker thread. Rejects when another engine runs on the folder. */
export async function openStore(options: StoreOptions & { dir: string }): Promise<Store> {
  const { dir, roomsMax, pagesMax, log } = options
  const thread = new StoreThread({ file: join(dir, 'core.db'), roomsMax, pagesMax }, log)
  try {
    await thread.start()
  } catch (error) {
    throw failed(error)
  }
  return new QueuedStore(thread, options)
}

/** The same store without a thread, for unit tests and the simulation: it answers within microtasks. */
export function openStoreInline(options: StoreOptions & { file: string }): Store {
  const { file, roomsMax, pagesMax } = options
  const db = openInline({ file, roomsMax, pagesMax })
  const run = async (ops: readonly Op[]) => db.batch(ops)
  return new QueuedStore({ up: true, restarts: 0, run, close: async () => db.close() }, options)
}

function openInline(options: CoreDbOptions): CoreDb {
  try {
    return new CoreDb(options)
  } catch (error) {
    throw failed(error)
  }
}

const pageRows = 1_000

/** Calls become ops, and their answers values: `openStore` and `openStoreInline` make it. */
export class QueuedStore implements Store {
  readonly audit = new AuditStore((op) => this.#queue.ask<typeof op.op>(op as Op & { op: typeof op.op }))
  readonly boards = new BoardStore((op) => this.#queue.ask<typeof op.op>(op as Op & { op: typeof op.op }))
  readonly #queue: OpQueue

  constructor(executor: Executor, options: { queueMax?: number; log?: StoreLog }) {
    this.#queue = new OpQueue(executor, options)
  }

  async createRoom(info: RoomInfoShape, settings: SettingsShape, log: LogRow): Promise<'created' | 'exists' | 'full'> {
    return this.#queue.ask<'create'>({ op: 'create', info, settings, log: toEvent(log) })
  }

  async openHome(roomId: string): Promise<RoomRecord | undefined> {
    const room = await this.#queue.ask<'open'>({ op: 'open', roomId })
    return room && { ...room, unsent: room.unsent.map(fromEvent) }
  }

  async write(roomId: string, changes: readonly Change[], log?: LogRow): Promise<void> {
    await this.#queue.ask<'write'>(log ? { op: 'write', roomId, changes, log: toEvent(log) } : { op: 'write', roomId, changes })
  }

  setSeq(roomId: string, rows: readonly SeqRow[]): void {
    // Not bounded by queueMax: every row belongs to a write that has just left the queue, so these cannot outgrow the writes.
    if (rows.length > 0) this.#queue.tell({ op: 'seq', roomId, rows }, rows.length)
  }

  appendLog(roomId: string, rows: readonly (LogRow & SeqRow)[], cursor?: { giftPos: number | undefined }): void {
    if (rows.length === 0 || !this.#queue.hasRoomFor(rows.length)) return
    this.#queue.tell({ op: 'append', roomId, rows: rows.map(placed), giftPos: cursor?.giftPos }, rows.length)
  }

  async appendFacts(rows: readonly (LogRow & SeqRow)[], cursor: PlacedCursor): Promise<void> {
    await this.#queue.ask<'append'>({ op: 'append', roomId: '', rows: rows.map(placed), cursor })
  }

  async listOpen(): Promise<{ info: RoomInfoShape; likes: number }[]> {
    const open: { info: RoomInfoShape; likes: number }[] = []
    for (;;) {
      const page = await this.#queue.ask<'list'>({ op: 'list', afterId: open.at(-1)?.info.id ?? '', limit: pageRows })
      open.push(...page)
      if (page.length < pageRows) return open
    }
  }

  async readLog(options: { roomId?: string; afterPos: number; limit: number }): Promise<LogEntry[]> {
    const limit = Math.max(0, Math.min(options.limit, pageRows))
    const entries = await this.#queue.ask<'read'>({ op: 'read', ...options, limit })
    return entries.map((entry) => ({ ...entry, row: fromEvent(entry.row) }))
  }

  async pruneLog(beforeAt: number): Promise<number> {
    let pruned = 0
    for (;;) {
      const page = await this.#queue.ask<'prune'>({ op: 'prune', beforeAt, limit: pageRows })
      if (page === 0) return pruned
      pruned += page
    }
  }

  async logEnd(): Promise<number> {
    return this.#queue.ask<'log_end'>({ op: 'log_end' })
  }

  onLogged(listener: (end: number) => void): () => void {
    return this.#queue.onLogged(listener)
  }

  async listPlugins(): Promise<PluginRow[]> {
    return (await this.#queue.ask<'plugin_list'>({ op: 'plugin_list' })).map(fromPlugin)
  }

  async putPlugin(row: PluginRow): Promise<void> {
    await this.#queue.ask<'plugin_put'>({ op: 'plugin_put', row: toPlugin(row) })
  }

  async deletePlugin(name: string): Promise<void> {
    await this.#queue.ask<'plugin_delete'>({ op: 'plugin_delete', name })
  }

  async getCursor(key: string): Promise<Cursor | undefined> {
    return this.#queue.ask<'cursor_get'>({ op: 'cursor_get', plugin: key })
  }

  async putCursor(key: string, { pos, acked }: Cursor, dead: readonly NewDeadLetter[] = []): Promise<{ dropped: number }> {
    const op = { op: 'cursor_put', plugin: key, pos, acked, dead: dead.map(toDead) } as const
    return { dropped: await this.#queue.ask<'cursor_put'>(op) }
  }

  async listDead(options: { plugin?: string; afterId: number; limit: number }): Promise<DeadLetter[]> {
    const limit = Math.max(0, Math.min(options.limit, pageRows))
    return (await this.#queue.ask<'dead_list'>({ op: 'dead_list', ...options, limit })).map(fromDead)
  }

  async getDead(ids: readonly number[]): Promise<DeadLetter[]> {
    return (await this.#queue.ask<'dead_get'>({ op: 'dead_get', ids })).map(fromDead)
  }

  async takeDead(ids: readonly number[]): Promise<DeadLetter[]> {
    return (await this.#queue.ask<'dead_take'>({ op: 'dead_take', ids })).map(fromDead)
  }

  async failDead(id: number, again: { attempts: number; error: string; deadAt: number }): Promise<void> {
    await this.#queue.ask<'dead_failed'>({ op: 'dead_failed', id, ...again })
  }

  async countDead(): Promise<{ plugin: string; count: number }[]> {
    return this.#queue.ask<'dead_count'>({ op: 'dead_count' })
  }

  stats(): StoreStats {
    return this.#queue.stats()
  }

  close(): Promise<void> {
    return this.#queue.close()
  }
}

const placed = (row: LogRow & SeqRow) => ({ ...toEvent(row), epoch: row.epoch, seq: row.seq })
