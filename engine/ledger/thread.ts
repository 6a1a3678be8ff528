/**
 * A worker thread that answers questions in the order in which they were asked: both ends of it.
 *
 *     const thread = new Thread<Ask, Answer>(new URL('./reader-worker.ts', import.meta.url), data)   // here
 *     await thread.start()                                    // rejects with the reason when it cannot begin
 *     const answer = await thread.ask({ what: 'balances' })
 *
 *     serve<Data, Ask, Answer>((data) => new Reading(data))   // there
 *
 * A handler that throws fails that question alone. When the thread dies, everything unanswered is rejected with `ThreadGone`: whether
 * it happened is not known. Starting it again is for whoever owns it.
 */
import { parentPort, Worker, workerData } from 'node:worker_threads'
import { workerEntry } from '../base/worker-entry.ts'

export class ThreadGone extends Error {}

type ToThread<Ask> = { ask: Ask } | { close: true }
type FromThread<Answer> = { ready: true } | { refused: string } | { answer: Answer } | { failed: string }

interface Waiting<Answer> {
  resolve(answer: Answer): void
  reject(error: Error): void
}

export class Thread<Ask, Answer> {
  readonly #entry: URL
  readonly #data: unknown
  readonly #onGone: (reason: string) => void
  #starting: Promise<Worker> | undefined
  #running: Worker | undefined
  readonly #waiting: Waiting<Answer>[] = []
  #isClosing = false

  /** `onGone`: a thread that had started has ended without being asked to. */
  constructor(entry: URL, data: unknown, onGone: (reason: string) => void = () => {}) {
    this.#entry = entry
    this.#data = data
    this.#onGone = onGone
  }

  get isRunning(): boolean {
    return this.#running !== undefined
  }

  async start(): Promise<void> {
    this.#starting ??= this.#spawn()
    await this.#starting
  }

  /** Rejects at once when the thread does not run, and with a DataCloneError on what cannot be sent. */
  ask(ask: Ask): Promise<Answer> {
    const worker = this.#running
    if (!worker) return Promise.reject(new ThreadGone('the thread does not run'))
    return new Promise((resolve, reject) => {
      worker.postMessage({ ask } satisfies ToThread<Ask>)
      this.#waiting.push({ resolve, reject })
    })
  }

  /** After everything that was asked. */
  async close(): Promise<void> {
    this.#isClosing = true
    const worker = await this.#starting?.catch(() => undefined)
    if (!worker || this.#running !== worker) return
    const gone = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
    worker.postMessage({ close: true } satisfies ToThread<Ask>)
    await gone
  }

  /** As a crash would end it. */
  async kill(): Promise<void> {
    await this.#running?.terminate()
  }

  #spawn(): Promise<Worker> {
    const worker = new Worker(...workerEntry(this.#entry, this.#data))
    return new Promise((resolve, reject) => {
      let reason = 'the thread ended'
      worker.on('message', (message: FromThread<Answer>) => {
        if ('ready' in message) {
          this.#running = worker
          resolve(worker)
        } else if ('refused' in message) reason = message.refused
        else this.#settle(message)
      })
      worker.on('error', (error) => {
        reason = `the thread died: ${error instanceof Error ? error.message : error}`
      })
      worker.on('exit', () => {
        reject(new Error(reason)) // nothing after ready
        this.#ended(worker, reason)
      })
    })
  }

  #settle(message: { answer: Answer } | { failed: string }): void {
    const waiting = this.#waiting.shift()
    if ('answer' in message) waiting?.resolve(message.answer)
    else waiting?.reject(new Error(message.failed))
  }

  #ended(worker: Worker, reason: string): void {
    const wasRunning = this.#running === worker
    this.#running = undefined
    this.#starting = undefined
    for (const { reject } of this.#waiting.splice(0)) reject(new ThreadGone(reason))
    if (wasRunning && !this.#isClosing) this.#onGone(reason)
  }
}

// ------------------------------------------------------------------ in the thread

export interface Handler<Ask, Answer> {
  handle(ask: Ask): Answer | Promise<Answer>
  close(): void
}

/** Never returns a failure: what cannot begin says why and ends. */
export function serve<Data, Ask, Answer>(begin: (data: Data) => Handler<Ask, Answer>): void {
  const port = parentPort
  if (!port) throw new Error('this runs as a worker thread')
  const say = (message: FromThread<Answer>): void => {
    port.postMessage(message)
  }
  let handler: Handler<Ask, Answer>
  try {
    handler = begin(workerData as Data)
  } catch (error) {
    return say({ refused: textOf(error) })
  }
  let last: Promise<unknown> = Promise.resolve()
  const answer = (ask: Ask): Promise<void> | void => {
    try {
      const answered = handler.handle(ask)
      if (!(answered instanceof Promise)) return say({ answer: answered })
      return answered.then((value) => say({ answer: value })).catch((error) => say({ failed: textOf(error) }))
    } catch (error) {
      return say({ failed: textOf(error) })
    }
  }
  let underWay = 0
  port.on('message', (message: ToThread<Ask>) => {
    if ('close' in message) {
      last = last.then(() => {
        handler.close()
        port.close()
      })
      return
    }
    // Sync until a promise: the ledger's batches never wait for a turn of the loop.
    const pending = underWay === 0 ? answer(message.ask) : last.then(() => answer(message.ask))
    if (!pending) return
    underWay++
    last = pending.finally(() => underWay--)
  })
  say({ ready: true })
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
