/**
 * What must survive: rooms, settings, roles, mutes, bans, wall, totals, the room log and what is decided about plugins, in core.db.
 *
 * Flow: a call becomes an op in a queue. One batch is at the worker at a time and the next one gathers meanwhile (at most 512 ops), so
 * a lone write costs one fsync and a thousand at once cost a few. A promise resolves when its change is on disk. One `write` is one
 * transaction: all its changes and its log row, or none.
 *
 * Every change comes with a log row, which is on disk before the room commits it and thus before it has a seq; `setSeq` completes it.
 * Rows that a crash left without a seq come back as `unsent` from `openHome`.
 *
 *     const store = await openStore({ dir: '.livehouse', roomsMax: 1000, queueMax: 100_000 })
 *     const room = await store.openHome('demo')
 *     await store.write('demo', [{ kind: 'mute.put', mute }], { eid, t: 'room.user_muted', at, actor, d })
 *     store.setSeq('demo', [{ eid, epoch: room.epoch, seq }])
 *
 * Readers of the log are woken by `onLogged`, read on with `readLog` and keep their place with `putCursor`; `plugin/consumers.ts` does.
 *
 * Errors: a `StoreError` means that nothing happened, with one exception: when the store worker dies, what it was doing is unknown,
 * and a write rejected by that may turn out to be on disk. A full disk rejects the batch that met it; the next one is tried again.
 */
import { join } from 'node:path'
import type { RestrictionShape, Role, RoomInfoShape, SettingsShape, WallItemShape } from '../../schemas/messages.ts'
import {
  type BatchResult,
  type Change,
  CoreDb,
  type CoreDbOptions,
  type Op,
  type OpAnswers,
  type PlacedCursor,
  type SeqRow,
} from './core-db.ts'
import type { Takedown } from './core-schema.ts'
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
import { StoreThread } from './store-thread.ts'

export type { Change, EventRow, PlacedCursor, SeqRow } from './core-db.ts'
export type { Takedown } from './core-schema.ts'
export type { Cursor, DeadLetter, NewDeadLetter, PluginRow } from './store-plugins.ts'

/** Everything that a home needs to start. */
export interface RoomRecord {
  info: RoomInfoShape
  settings: SettingsShape
  epoch: number
  roles: { userId: string; role: Role }[]
  /** Oldest first, as are `bans`. */
  mutes: RestrictionShape[]
  bans: RestrictionShape[]
  wall: WallItemShape | undefined
  takedown: Takedown | undefined
  /** How far into the journal of the ledger this room has come. */
  giftPos: number
  /** As last seen; empty: never seen. */
  ownerName: string
  likes: number
  shares: number
  /** Of the current live. */
  danmakuTotal: number
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
export interface StoreStats {
  /** Ops and rows that wait or are at the worker. */
  queued: number
  /** Batches that reached the disk. */
  commits: number
  /** Writes in them, `createRoom` included. */
  writes: number
  /** Calls refused because the queue was full. */
  refused: number
  /** Ops that failed: their own fault, a failed batch, or a worker that died. */
  failed: number
  /** Times that the store worker died and was started again. */
  restarts: number
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

export type StoreErrorCode = 'store.closed' | 'store.full' | 'store.failed'
export class StoreError extends Error {
  readonly code: StoreErrorCode

  constructor(code: StoreErrorCode, message: string) {
    super(message)
    this.name = 'StoreError'
    this.code = code
  }
}

export interface StoreLog {
  error(fields: object, message: string): void
}
export interface StoreOptions {
  roomsMax: number
  /** Ops and rows that wait for the disk; past it calls are refused with `store.full`. Unset: 100,000. */
  queueMax?: number
  /** Largest core.db in pages of 4 KB. Unset: as large as the disk. */
  pagesMax?: number
  log?: StoreLog
}

/** What runs batches: the worker thread, or the same database in this thread. */
export interface Executor {
  /** False while there is no worker: whatever waits is rejected rather than held. */
  readonly up: boolean
  readonly restarts: number
  run(ops: readonly Op[]): Promise<BatchResult>
  close(): Promise<void>
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

const batchMax = 512
const pageRows = 1_000

interface Waiting {
  op: Op
  size: number
  resolve(value: unknown): void
  reject(error: StoreError): void
  /** Not awaited by anybody: tried again after a failed batch. */
  again: boolean
}

/** The queue in front of an executor: `openStore` and `openStoreInline` make it. */
export class QueuedStore implements Store {
  readonly audit = new AuditStore((op) => this.#ask<typeof op.op>(op as Op & { op: typeof op.op }))
  readonly boards = new BoardStore((op) => this.#ask<typeof op.op>(op as Op & { op: typeof op.op }))
  readonly #executor: Executor
  readonly #queueMax: number
  readonly #log: StoreLog | undefined
  #queue: Waiting[] = []
  #queued = 0
  #pumping = false
  #closed: Promise<void> | undefined
  #onIdle: (() => void) | undefined
  readonly #listeners = new Set<(end: number) => void>()
  #logEnd = 0 // of the last batch that told; 0 before, so the first one always wakes the readers
  #commits = 0
  #writes = 0
  #refused = 0
  #failed = 0

  constructor(executor: Executor, options: { queueMax?: number; log?: StoreLog }) {
    this.#executor = executor
    this.#queueMax = options.queueMax ?? 100_000
    this.#log = options.log
  }

  async createRoom(info: RoomInfoShape, settings: SettingsShape, log: LogRow): Promise<'created' | 'exists' | 'full'> {
    return this.#ask<'create'>({ op: 'create', info, settings, log: toEvent(log) })
  }

  async openHome(roomId: string): Promise<RoomRecord | undefined> {
    const room = await this.#ask<'open'>({ op: 'open', roomId })
    return room && { ...room, unsent: room.unsent.map(fromEvent) }
  }

  async write(roomId: string, changes: readonly Change[], log?: LogRow): Promise<void> {
    await this.#ask<'write'>(log ? { op: 'write', roomId, changes, log: toEvent(log) } : { op: 'write', roomId, changes })
  }

  setSeq(roomId: string, rows: readonly SeqRow[]): void {
    // Not bounded by queueMax: every row belongs to a write that has just left the queue, so these cannot outgrow the writes.
    if (rows.length > 0) this.#tell({ op: 'seq', roomId, rows }, rows.length)
  }

  appendLog(roomId: string, rows: readonly (LogRow & SeqRow)[], cursor?: { giftPos: number | undefined }): void {
    if (rows.length === 0) return
    if (this.#queued + rows.length > this.#queueMax) this.#refused++
    else {
      const placed = rows.map((row) => ({ ...toEvent(row), epoch: row.epoch, seq: row.seq }))
      this.#tell({ op: 'append', roomId, rows: placed, giftPos: cursor?.giftPos }, rows.length)
    }
  }

  async appendFacts(rows: readonly (LogRow & SeqRow)[], cursor: PlacedCursor): Promise<void> {
    const placed = rows.map((row) => ({ ...toEvent(row), epoch: row.epoch, seq: row.seq }))
    await this.#ask<'append'>({ op: 'append', roomId: '', rows: placed, cursor })
  }

  async listOpen(): Promise<{ info: RoomInfoShape; likes: number }[]> {
    const open: { info: RoomInfoShape; likes: number }[] = []
    for (;;) {
      const page = await this.#ask<'list'>({ op: 'list', afterId: open.at(-1)?.info.id ?? '', limit: pageRows })
      open.push(...page)
      if (page.length < pageRows) return open
    }
  }

  async readLog(options: { roomId?: string; afterPos: number; limit: number }): Promise<LogEntry[]> {
    const limit = Math.max(0, Math.min(options.limit, pageRows))
    const entries = await this.#ask<'read'>({ op: 'read', ...options, limit })
    return entries.map((entry) => ({ ...entry, row: fromEvent(entry.row) }))
  }

  async pruneLog(beforeAt: number): Promise<number> {
    let pruned = 0
    for (;;) {
      const page = await this.#ask<'prune'>({ op: 'prune', beforeAt, limit: pageRows })
      if (page === 0) return pruned
      pruned += page
    }
  }

  async logEnd(): Promise<number> {
    return this.#ask<'log_end'>({ op: 'log_end' })
  }

  onLogged(listener: (end: number) => void): () => void {
    const own = (end: number) => listener(end) // the same function may listen twice
    this.#listeners.add(own)
    return () => this.#listeners.delete(own)
  }

  async listPlugins(): Promise<PluginRow[]> {
    return (await this.#ask<'plugin_list'>({ op: 'plugin_list' })).map(fromPlugin)
  }

  async putPlugin(row: PluginRow): Promise<void> {
    await this.#ask<'plugin_put'>({ op: 'plugin_put', row: toPlugin(row) })
  }

  async deletePlugin(name: string): Promise<void> {
    await this.#ask<'plugin_delete'>({ op: 'plugin_delete', name })
  }

  async getCursor(key: string): Promise<Cursor | undefined> {
    return this.#ask<'cursor_get'>({ op: 'cursor_get', plugin: key })
  }

  async putCursor(key: string, { pos, acked }: Cursor, dead: readonly NewDeadLetter[] = []): Promise<{ dropped: number }> {
    const op = { op: 'cursor_put', plugin: key, pos, acked, dead: dead.map(toDead) } as const
    return { dropped: await this.#ask<'cursor_put'>(op) }
  }

  async listDead(options: { plugin?: string; afterId: number; limit: number }): Promise<DeadLetter[]> {
    const limit = Math.max(0, Math.min(options.limit, pageRows))
    return (await this.#ask<'dead_list'>({ op: 'dead_list', ...options, limit })).map(fromDead)
  }

  async getDead(ids: readonly number[]): Promise<DeadLetter[]> {
    return (await this.#ask<'dead_get'>({ op: 'dead_get', ids })).map(fromDead)
  }

  async takeDead(ids: readonly number[]): Promise<DeadLetter[]> {
    return (await this.#ask<'dead_take'>({ op: 'dead_take', ids })).map(fromDead)
  }

  async failDead(id: number, again: { attempts: number; error: string; deadAt: number }): Promise<void> {
    await this.#ask<'dead_failed'>({ op: 'dead_failed', id, ...again })
  }

  async countDead(): Promise<{ plugin: string; count: number }[]> {
    return this.#ask<'dead_count'>({ op: 'dead_count' })
  }

  stats(): StoreStats {
    return {
      queued: this.#queued,
      commits: this.#commits,
      writes: this.#writes,
      refused: this.#refused,
      failed: this.#failed,
      restarts: this.#executor.restarts,
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#flush()
    return this.#closed
  }

  async #flush(): Promise<void> {
    this.#pump()
    if (this.#pumping) await new Promise<void>((resolve) => (this.#onIdle = resolve))
    if (this.#queue.length > 0)
      this.#log?.error({ ops: this.#queue.length }, 'store closed with log rows that could not be written')
    await this.#executor.close()
  }

  #ask<T extends keyof OpAnswers>(op: Op & { op: T }): Promise<OpAnswers[T]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new StoreError('store.closed', 'the store is closed'))
      if (this.#queued >= this.#queueMax) {
        this.#refused++
        this.#pump() // rows kept from a failed batch may be what fills it
        return reject(new StoreError('store.full', `${this.#queueMax} writes wait for the disk`))
      }
      // The worker answers op i with the answer of op i: that pairs T with its value.
      this.#add({ op, size: 1, resolve: resolve as (value: unknown) => void, reject, again: false })
    })
  }

  #tell(op: Op, size: number): void {
    if (this.#closed) this.#refused++
    else this.#add({ op, size, resolve: () => {}, reject: () => {}, again: true })
  }

  #add(waiting: Waiting): void {
    this.#queue.push(waiting)
    this.#queued += waiting.size
    this.#pump()
  }

  /** Starts in a microtask, so that the writes of one turn share a commit. */
  #pump(): void {
    if (this.#pumping || this.#queue.length === 0) return
    this.#pumping = true
    queueMicrotask(() => void this.#run())
  }

  async #run(): Promise<void> {
    let healthy = true
    while (this.#queue.length > 0 && healthy) healthy = await this.#runBatch(this.#take())
    this.#pumping = false
    this.#onIdle?.()
  }

  #take(): Waiting[] {
    let size = 0
    let count = 0
    for (const waiting of this.#queue) {
      size += waiting.size
      if (count > 0 && size > batchMax) break
      count++
    }
    return this.#queue.splice(0, count)
  }

  /** False when what is left in the queue had better wait for the next call. */
  async #runBatch(batch: Waiting[]): Promise<boolean> {
    try {
      this.#settle(batch, await this.#executor.run(batch.map((waiting) => waiting.op)))
      return true
    } catch (error) {
      return this.#fail(batch, failed(error))
    }
  }

  #settle(batch: Waiting[], { values, errors, logEnd = 0 }: BatchResult): void {
    const faults = new Map(errors.map(({ index, message }) => [index, message]))
    this.#commits++
    for (const [index, waiting] of batch.entries()) {
      this.#queued -= waiting.size
      const fault = faults.get(index)
      if (fault === undefined) {
        if (waiting.op.op === 'write' || values[index] === 'created') this.#writes++
        waiting.resolve(values[index])
      } else this.#refuse(waiting, new StoreError('store.failed', fault))
    }
    if (logEnd > this.#logEnd) this.#wake(logEnd)
  }

  #wake(logEnd: number): void {
    this.#logEnd = logEnd
    for (const listener of this.#listeners) {
      try {
        listener(logEnd)
      } catch (error) {
        this.#log?.error({ reason: failed(error).message }, 'a reader of the log failed to wake')
      }
    }
  }

  #refuse(waiting: Waiting, error: StoreError): void {
    this.#failed++
    if (waiting.again) this.#log?.error({ op: waiting.op.op, reason: error.message }, 'log rows not written')
    waiting.reject(error)
  }

  #fail(batch: Waiting[], error: StoreError): boolean {
    this.#log?.error({ ops: batch.length, reason: error.message }, 'batch not written')
    // A batch of kept rows alone would fail again and again in front of the calls behind it, so these are told as well.
    const alone = this.#executor.up && batch.some((waiting) => !waiting.again)
    const lost = alone ? batch : batch.concat(this.#queue.splice(0))
    const kept = lost.filter((waiting) => waiting.again)
    for (const waiting of lost) {
      if (waiting.again) continue
      this.#queued -= waiting.size
      this.#refuse(waiting, error)
    }
    this.#queue.unshift(...kept)
    return this.#queue.some((waiting) => !waiting.again)
  }
}

const failed = (error: unknown) => new StoreError('store.failed', error instanceof Error ? error.message : String(error))
