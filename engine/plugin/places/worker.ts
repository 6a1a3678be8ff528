/**
 * A plugin in a worker thread: a hang, a crash or a full memory of it ends the thread and not the engine. It is started again, at once
 * the first time and later with pauses that double up to 10 s; meanwhile its guards count as their policy says.
 *
 *     const place = await WorkerPlace.load('/srv/word-filter.ts', sdk, parts)   // rejects when it is no plugin
 *     await place.start(1, settings)
 */
import { Worker } from 'node:worker_threads'
import type { Timer } from '../../base/clock.ts'
import { workerEntry } from '../../base/worker-entry.ts'
import { CallError } from '../context.ts'
import type { Ask } from '../define.ts'
import { checkManifest, type ManifestShape, manifestHash } from '../manifest.ts'
import type { Channel, ChannelEvents } from './channel.ts'
import { CheckFailure, Link, type LinkCounts, newLinkCounts } from './link.ts'
import type { InstanceInfo, Place, PlaceParts } from './place.ts'

export interface WorkerData {
  file: string
  sdk: string
}
/** The first message of the thread; everything after it is text for the channel, but for the word why it closes the line. */
export type WorkerHello = { manifest: ManifestShape } | { refused: string } | { closed: string }

/** A thread that answers no ping for this long hangs. */
const hangMsMax = 2_000
const watchEveryMs = 250
const restartMsMax = 10_000
/** A thread that lived this long starts anew without a pause. */
const steadyMs = 30_000
const memoryMbMax = 256
const startMsMax = 30_000
/** Texts before the line is open: a plugin says nothing until it has its settings. */
const earlyTextsMax = 1_000

export class WorkerPlace implements Place {
  readonly kind = 'worker'
  readonly manifest: ManifestShape
  readonly counts: LinkCounts = newLinkCounts()
  readonly #file: string
  readonly #sdk: string
  readonly #parts: PlaceParts
  #thread: Thread | undefined
  #link: Link | undefined
  #settings: { version: number; values: unknown } = { version: 0, values: {} }
  #stopping = false
  #failures = 0
  #restart: Timer | undefined
  #watch: Timer | undefined
  restarts = 0

  private constructor(thread: Thread, manifest: ManifestShape, { file, sdk }: WorkerData, parts: PlaceParts) {
    this.#thread = thread
    this.manifest = manifest
    this.#file = file
    this.#sdk = sdk
    this.#parts = parts
  }

  /** Starts the thread and reads the manifest. Rejects with the reason when the file is no plugin. */
  static async load(file: string, sdk: string, parts: PlaceParts): Promise<WorkerPlace> {
    const thread = await Thread.start({ file, sdk }, parts)
    return new WorkerPlace(thread, thread.manifest, { file, sdk }, parts)
  }

  get isHealthy(): boolean {
    return this.#link?.usable ?? false
  }

  start(settingsVersion: number, settings: unknown): Promise<void> {
    this.#settings = { version: settingsVersion, values: settings }
    this.#armWatch()
    return new Promise((resolve, reject) => this.#connect(this.#thread as Thread, resolve, reject))
  }

  #connect(thread: Thread, onReady: () => void, onFailed: (error: Error) => void): void {
    const { events, clock, liveClock } = this.#parts
    const { instance } = thread
    const startedAt = liveClock.now()
    const link: Link = new Link({
      instance,
      channel: thread,
      clock,
      liveClock,
      counts: this.counts,
      onCall: (name, d, cause) => events.onCall(name, d, cause),
      onReady: () => {
        events.onInstance('attached', instance, '')
        onReady()
      },
      onUnfit: (version, msg) => events.onUnfit(version, msg),
      onDraining: () => {},
      onDegraded: (isOpen, reason) => events.onInstance(isOpen ? 'degraded' : 'recovered', instance, reason),
      onLog: (level, fields, msg) => events.onLog(level, fields, msg),
      onCount: (name, by) => events.onCount(name, by),
      onGone: (reason) => {
        const wasReady = link.isReady
        if (wasReady) events.onInstance('detached', instance, reason)
        onFailed(new Error(reason))
        if (liveClock.now() - startedAt > steadyMs) this.#failures = 0
        if (!this.#stopping && wasReady) this.#restartLater()
      },
    })
    this.#thread = thread
    this.#link = link
    link.configure(this.#settings.version, this.#settings.values)
  }

  /** A thread that was ready once is brought back for ever; one that never came up is the business of whoever attached it. */
  #restartLater(): void {
    const pauseMs = this.#failures === 0 ? 0 : Math.min(restartMsMax, 100 * 2 ** this.#failures)
    this.#failures++
    this.#restart = this.#parts.liveClock.after(pauseMs, () => void this.#again())
  }

  async #again(): Promise<void> {
    if (this.#stopping) return
    this.restarts++
    try {
      const thread = await Thread.start({ file: this.#file, sdk: this.#sdk }, this.#parts)
      if (this.#stopping) return thread.close('stopped')
      if (manifestHash(thread.manifest) !== manifestHash(this.manifest)) {
        thread.close('changed')
        throw new Error('the file declares something else now: update the plugin')
      }
      await new Promise<void>((resolve, reject) => this.#connect(thread, resolve, reject))
    } catch (error) {
      this.#parts.log.error({ err: error, file: this.#file }, 'plugin thread does not start')
      if (!this.#stopping) this.#restartLater()
    }
  }

  #armWatch(): void {
    this.#watch = this.#parts.liveClock.after(watchEveryMs, () => {
      if (this.#stopping) return
      if (this.#link && !this.#link.isGone && this.#link.silentMs > hangMsMax) this.#thread?.close('hangs')
      this.#armWatch()
    })
  }

  check(hook: number, ask: Ask<unknown>, budgetMs: number): Promise<unknown> {
    return this.#link?.check(hook, ask, budgetMs) ?? Promise.reject(new CheckFailure('unavailable', 'not started'))
  }

  run(hook: number, input: unknown, { budgetMs }: { budgetMs: number }): Promise<unknown> {
    return this.#link?.run(hook, input, budgetMs) ?? Promise.reject(new CallError('plugin.unavailable', 'not started'))
  }

  configure(settingsVersion: number, settings: unknown): void {
    this.#settings = { version: settingsVersion, values: settings }
    this.#link?.configure(settingsVersion, settings)
  }

  instances(): InstanceInfo[] {
    const link = this.#link
    if (!link || link.isGone) return []
    const state = !link.isReady ? 'starting' : link.isDraining ? 'draining' : link.usable ? 'healthy' : 'degraded'
    return [{ instance: link.instance, state, since: link.attachedAt, underWay: link.underWay }]
  }

  async stop(withinMs: number): Promise<void> {
    this.#stopping = true
    this.#restart?.cancel()
    this.#watch?.cancel()
    const thread = this.#thread
    if (!thread) return
    if (this.#link && !this.#link.isGone) await this.#link.drain(withinMs)
    await thread.ended(withinMs)
  }
}

/** One worker thread as a `Channel`. */
class Thread implements Channel {
  readonly instance: string
  readonly #worker: Worker
  readonly #parts: PlaceParts
  #events: ChannelEvents | undefined
  #early: string[] = []
  #manifest: ManifestShape | undefined
  #isOver = false
  #reason = 'the thread ended'
  readonly #exited: Promise<void>

  private constructor(data: WorkerData, parts: PlaceParts) {
    this.#parts = parts
    const [url, options] = workerEntry(new URL('./plugin-worker.ts', import.meta.url), data)
    this.#worker = new Worker(url, {
      ...options,
      resourceLimits: { maxOldGenerationSizeMb: memoryMbMax },
      stdout: false,
      stderr: false,
    })
    this.instance = `thread-${this.#worker.threadId}`
    this.#exited = new Promise((resolve) => this.#worker.once('exit', () => resolve()))
    this.#worker.on('error', (error) => {
      this.#reason = `the thread died: ${error instanceof Error ? error.message : String(error)}`
    })
  }

  get manifest(): ManifestShape {
    return this.#manifest as ManifestShape
  }

  static start(data: WorkerData, parts: PlaceParts): Promise<Thread> {
    const thread = new Thread(data, parts)
    return new Promise((resolve, reject) => {
      const timer = parts.liveClock.after(startMsMax, () => thread.close(`not loaded within ${startMsMax} ms`))
      thread.#worker.on('message', (message: WorkerHello | string) => {
        if (typeof message === 'string') return thread.#onText(message)
        // Anything in the thread may post to its parent; what is no word of ours is nobody's.
        if (typeof message !== 'object' || message === null) return
        timer.cancel()
        if ('closed' in message) {
          if (typeof message.closed === 'string') thread.#reason = message.closed.slice(0, 1_000)
          return
        }
        if (thread.#manifest) return // said once
        try {
          if ('refused' in message) throw new Error(message.refused)
          thread.#manifest = checkManifest(message.manifest)
          resolve(thread)
        } catch (error) {
          reject(error)
          thread.close('refused')
        }
      })
      thread.#worker.on('exit', () => {
        timer.cancel()
        thread.#over(thread.#reason)
        reject(new Error(thread.#reason)) // nothing after it was ready
      })
    })
  }

  open(events: ChannelEvents): void {
    this.#events = events
    for (const text of this.#early.splice(0)) events.onText(text)
  }

  #onText(text: string): void {
    if (this.#isOver) return
    if (this.#events) this.#events.onText(text)
    else if (this.#early.length < earlyTextsMax) this.#early.push(text)
    else this.close('it floods the engine')
  }

  send(text: string): boolean {
    if (this.#isOver) return false
    this.#worker.postMessage(text)
    return true
  }

  close(reason: string): void {
    this.#reason = reason
    void this.#worker.terminate()
    this.#over(reason)
  }

  /** Resolves when the thread is gone; one that does not go by itself is ended. */
  async ended(withinMs: number): Promise<void> {
    const timer = this.#parts.liveClock.after(withinMs, () => void this.#worker.terminate())
    await this.#exited
    timer.cancel()
  }

  #over(reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#events?.onClose(reason)
  }
}
