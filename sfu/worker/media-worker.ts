/**
 * The media worker as the engine sees it: it starts without, and turns media on when the worker is ready.
 *
 *   const mediaWorker = new MediaWorker({ log })
 *   mediaWorker.onChange((state) => { if (state.is === 'ready') startMedia(state.path) })
 *   mediaWorker.start()                 comes back at once
 *   await mediaWorker.stop()            ends a build that is under way
 *
 * All work is done in a process of its own and of the lowest priority: neither checksums nor compilers disturb the sockets.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Log, LogLevel } from '../../engine/base/log.ts'
import type { Worker } from './ensure.ts'
import type { Progress } from './progress.ts'

export type MediaWorkerState =
  | { is: 'missing' }
  | ({ is: 'building' } & Progress)
  | ({ is: 'ready' } & Worker)
  | { is: 'failed'; reason: string; wayOut: string }

export type ObtainTask = { mediasoupWorkerBin: string | undefined; again: boolean; logLevel: LogLevel }

export type FromObtainer =
  | { kind: 'progress'; progress: Progress }
  | { kind: 'ready'; worker: Worker }
  | { kind: 'failed'; reason: string; wayOut: string }

export type MediaWorkerOptions = {
  log: Log
  /** The path of a worker; MEDIASOUP_WORKER_BIN if left out. */
  mediasoupWorkerBin?: string
  /** Of the process that obtains it. */
  logLevel?: LogLevel
  /** Obtain it anew, whatever is in the cache. */
  again?: boolean
}

type Listener = (state: MediaWorkerState) => void

export class MediaWorker {
  readonly #options: MediaWorkerOptions
  readonly #listeners = new Set<Listener>()
  #state: MediaWorkerState = { is: 'missing' }
  #child: ChildProcess | undefined
  #stopped = false

  constructor(options: MediaWorkerOptions) {
    this.#options = options
  }

  get state(): MediaWorkerState {
    return this.#state
  }

  /** Called at each change, not with the present state. Gives the way to stop that. */
  onChange(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Obtains the worker; after a failure once more. Nothing while it is under way or when it is ready. */
  start(): void {
    if (this.#child || this.#stopped || this.#state.is === 'ready') return
    const { mediasoupWorkerBin, again = false, logLevel = 'info' } = this.#options
    const fromSource = import.meta.url.endsWith('.ts')
    const entry = fileURLToPath(new URL(`./obtain-entry.${fromSource ? 'ts' : 'js'}`, import.meta.url))
    const execArgv = fromSource ? ['--import', import.meta.resolve('tsx')] : []
    const child = fork(entry, [], { execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#child = child
    this.#set({ is: 'building', what: 'looking for the media worker', step: 0, ofSteps: 1 })
    child.on('message', (message: FromObtainer) => this.#take(message))
    child.once('error', (error) => this.#gone(error.message))
    child.once('close', (code, signal) => this.#gone(`it ended with ${signal ?? code}`))
    child.send({ mediasoupWorkerBin, again, logLevel } satisfies ObtainTask, () => undefined)
  }

  /** Resolves when it is ready; rejects when it has failed, with the way out in the message. */
  ready(): Promise<Worker> {
    return new Promise((done, failed) => {
      const look = (state: MediaWorkerState) => {
        if (state.is === 'building' || state.is === 'missing') return
        stop()
        if (state.is === 'ready') done(state)
        else failed(new Error(`${state.reason}\n${state.wayOut}`.trim()))
      }
      const stop = this.onChange(look)
      look(this.#state)
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#listeners.clear()
    const child = this.#child
    if (!child) return
    const closed = once(child, 'close')
    child.kill('SIGTERM')
    await closed
  }

  #take(message: FromObtainer): void {
    if (message.kind === 'progress') this.#set({ is: 'building', ...message.progress })
    else if (message.kind === 'ready') this.#set({ is: 'ready', ...message.worker })
    else this.#set({ is: 'failed', reason: message.reason, wayOut: message.wayOut })
  }

  #gone(reason: string): void {
    this.#child = undefined
    if (this.#state.is === 'building')
      this.#set({ is: 'failed', reason: `the media worker could not be obtained: ${reason}`, wayOut: '' })
  }

  #set(state: MediaWorkerState): void {
    if (this.#stopped) return
    this.#state = state
    const { log } = this.#options
    if (state.is === 'failed') log.warn({ reason: state.reason, wayOut: state.wayOut }, 'no media')
    if (state.is === 'ready')
      log.info({ path: state.path, version: state.version, origin: state.origin.how }, 'media worker ready')
    for (const listener of [...this.#listeners]) {
      try {
        listener(state)
      } catch (error) {
        log.error({ error: (error as Error).message }, 'a listener of the media worker failed')
      }
    }
  }
}
