/**
 * This side of the store worker: start it, hand it one batch at a time, notice its death.
 *
 * When the worker dies, the batch in flight is rejected (it may or may not be on disk) and a new worker starts at once, before
 * another process can take the folder. A worker that cannot even start is tried again with the next batch, not in a loop.
 */
import { Worker } from 'node:worker_threads'
import { workerEntry } from '../base/worker-entry.ts'
import type { BatchResult, CoreDbOptions, Op } from './core-db.ts'
import type { Executor, StoreLog } from './store-queue.ts'

export type ToWorker = { ops: readonly Op[] } | { close: true }
export type FromWorker = { ready: true } | { refused: string } | { result: BatchResult } | { failed: string }

interface InFlight {
  resolve(result: BatchResult): void
  reject(error: Error): void
}

export class StoreThread implements Executor {
  readonly #options: CoreDbOptions
  readonly #log: StoreLog | undefined
  #worker: Promise<Worker> | undefined
  #running: Worker | undefined
  #inFlight: InFlight | undefined
  #closing = false
  restarts = 0

  constructor(options: CoreDbOptions, log?: StoreLog) {
    this.#options = options
    this.#log = log
  }

  get up(): boolean {
    return this.#running !== undefined
  }

  /** Start the worker unless it runs. Rejects with the reason why the file cannot be opened. */
  start(): Promise<Worker> {
    this.#worker ??= this.#spawn()
    return this.#worker
  }

  async run(ops: readonly Op[]): Promise<BatchResult> {
    const worker = await this.start()
    return new Promise<BatchResult>((resolve, reject) => {
      worker.postMessage({ ops } satisfies ToWorker) // throws, and so rejects, on what cannot be cloned
      this.#inFlight = { resolve, reject }
    })
  }

  async close(): Promise<void> {
    this.#closing = true
    const worker = await this.#worker?.catch(() => undefined) // one that is just starting ends as well
    if (!worker || this.#running !== worker) return
    const gone = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
    worker.postMessage({ close: true } satisfies ToWorker)
    await gone
  }

  /** End the worker as a crash would: for tests of the restart. */
  async kill(): Promise<void> {
    await this.#running?.terminate()
  }

  #spawn(): Promise<Worker> {
    const worker = new Worker(...workerEntry(new URL('./store-worker.ts', import.meta.url), this.#options))
    return new Promise((resolve, reject) => {
      let reason = 'the store worker ended'
      worker.on('message', (message: FromWorker) => {
        if ('ready' in message) {
          this.#running = worker
          resolve(worker)
        } else if ('refused' in message) reason = message.refused
        else this.#settle(message)
      })
      worker.on('error', (error) => {
        reason = `the store worker died: ${error instanceof Error ? error.message : String(error)}`
      })
      worker.on('exit', () => {
        reject(new Error(reason)) // nothing after ready
        this.#onExit(worker, reason)
      })
    })
  }

  #settle(message: { result: BatchResult } | { failed: string }): void {
    const inFlight = this.#inFlight
    this.#inFlight = undefined
    if ('result' in message) inFlight?.resolve(message.result)
    else inFlight?.reject(new Error(message.failed))
  }

  #onExit(worker: Worker, reason: string): void {
    const wasRunning = this.#running === worker
    this.#running = undefined
    this.#worker = undefined
    this.#settle({ failed: reason })
    if (this.#closing) return
    this.#log?.error({ reason }, 'store worker gone')
    if (!wasRunning) return
    this.restarts++
    this.start().catch(() => {}) // logged by its own exit; the next batch tries again
  }
}
