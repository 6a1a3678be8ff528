/**
 * The queue in front of the store's disk: ops gather while a batch is on its way, and each promise resolves when its op is on disk.
 *
 *     ask    an op with an answer; refused when the queue is full
 *     tell   one that nobody waits for: kept for the next batch when a batch fails
 *
 * One batch is at the executor at a time, with at most `batchMax` ops: a lone write costs one fsync and a thousand at once cost a few.
 */
import type { BatchResult, Op, OpAnswers } from './core-db.ts'

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

/** What runs batches: the worker thread, or the same database in this thread. */
export interface Executor {
  /** False while there is no worker: whatever waits is rejected rather than held. */
  readonly up: boolean
  readonly restarts: number
  run(ops: readonly Op[]): Promise<BatchResult>
  close(): Promise<void>
}

const batchMax = 512

interface Waiting {
  op: Op
  size: number
  resolve(value: unknown): void
  reject(error: StoreError): void
  /** Not awaited by anybody: tried again after a failed batch. */
  again: boolean
}

export class OpQueue {
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

  onLogged(listener: (end: number) => void): () => void {
    const own = (end: number) => listener(end) // the same function may listen twice
    this.#listeners.add(own)
    return () => this.#listeners.delete(own)
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

  /** False, and counted as refused: so many rows more would be too many. */
  hasRoomFor(size: number): boolean {
    if (this.#queued + size <= this.#queueMax) return true
    this.#refused++
    return false
  }

  ask<T extends keyof OpAnswers>(op: Op & { op: T }): Promise<OpAnswers[T]> {
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

  tell(op: Op, size: number): void {
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

export const failed = (error: unknown) => new StoreError('store.failed', error instanceof Error ? error.message : String(error))
