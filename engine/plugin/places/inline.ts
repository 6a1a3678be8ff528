/**
 * A plugin in the engine's own thread: no queue, and no promise where the plugin needs none (about 50 ns a guard). A hang here is the
 * engine's, so this place is for trusted code. Commands and events are copied through JSON, as they are on the way to any other place;
 * checks get an object that was made for plugins.
 */
import type { Clock } from '../../base/clock.ts'
import { CallError } from '../context.ts'
import type { AnyPlugin, Ask } from '../define.ts'
import type { ManifestShape } from '../manifest.ts'
import { Breaker } from './breaker.ts'
import { Causes } from './causes.ts'
import { CheckFailure, type LinkCounts, newLinkCounts } from './link.ts'
import type { InstanceInfo, Place, PlaceParts } from './place.ts'
import { Runner } from './runner.ts'
import { refusalOf } from './serve.ts'

const instance = 'inline'
const runsMax = 1_000
const startMsMax = 30_000

export class InlinePlace implements Place {
  readonly kind = 'inline'
  readonly manifest: ManifestShape
  readonly counts: LinkCounts = newLinkCounts()
  readonly #runner: Runner
  readonly #clock: Clock
  readonly #parts: PlaceParts
  readonly #breaker: Breaker
  readonly #runs = new Map<number, { input: unknown; lose(): void }>()
  #since: number
  #state: InstanceInfo['state'] = 'starting'
  #lastRun = 0
  readonly #causes = new Causes()
  /** Checks that wait for a promise. */
  #checks = 0
  #isOver = false
  #onIdle: (() => void) | undefined

  constructor(plugin: AnyPlugin, sdk: string, parts: PlaceParts) {
    const { events, clock } = parts
    this.#parts = parts
    this.#clock = clock
    this.#since = clock.now()
    const log = (level: 'debug' | 'info' | 'warn' | 'error') => (fields: object, msg: string) => events.onLog(level, fields, msg)
    this.#runner = new Runner(
      plugin,
      {
        call: (name, d, cause) => this.#call(name, d, cause),
        log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
        metrics: { add: (name, by = 1) => events.onCount(name, by) },
        now: () => clock.now(),
      },
      sdk,
    )
    this.manifest = this.#runner.manifest
    this.#breaker = new Breaker((isOpen, reason) => {
      this.#state = isOpen ? 'degraded' : 'healthy'
      events.onInstance(isOpen ? 'degraded' : 'recovered', instance, reason)
    })
  }

  get isHealthy(): boolean {
    return this.#state === 'healthy' || (this.#state === 'degraded' && this.#breaker.wouldAllow(this.#clock.now()))
  }

  async #call(name: string, d: unknown, cause: number | undefined): Promise<unknown> {
    // Its timers may outlive it; its rights do not.
    if (this.#isOver) throw new CallError('plugin.unavailable', 'the plugin was stopped')
    const input = cause === undefined ? undefined : (this.#runs.get(cause)?.input ?? this.#causes.of(cause))
    return copied(await this.#parts.events.onCall(name, copied(d), input))
  }

  async start(settingsVersion: number, settings: unknown): Promise<void> {
    this.configure(settingsVersion, settings)
    await this.#startInTime()
    this.#state = 'healthy'
    this.#parts.events.onInstance('attached', instance, '')
  }

  #startInTime(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#parts.liveClock.after(startMsMax, () => reject(new Error(`start did not end within ${startMsMax} ms`)))
      this.#runner
        .start()
        .finally(() => timer.cancel())
        .then(resolve, reject)
    })
  }

  configure(settingsVersion: number, settings: unknown): void {
    try {
      this.#runner.configure(settings)
    } catch (error) {
      this.#parts.events.onUnfit(settingsVersion, (error as Error).message)
      if (this.#state === 'starting') this.#runner.configure({})
    }
  }

  check(hook: number, ask: Ask<unknown>, budgetMs: number): unknown {
    const breaker = this.#breaker
    if (breaker.isOpen && !breaker.allows(this.#clock.now())) throw new CheckFailure('unavailable', 'the breaker is open')
    try {
      const answer = this.#runner.check(hook, ask)
      if (answer instanceof Promise) return this.#inTime(answer, budgetMs)
      if (breaker.isOpen) breaker.succeeded(this.#clock.now())
      else breaker.answered++
      return answer
    } catch (error) {
      breaker.failed(this.#clock.now(), false)
      throw error
    }
  }

  #inTime(answer: Promise<unknown>, budgetMs: number): Promise<unknown> {
    this.#checks++
    return new Promise((resolve, reject) => {
      let isOver = false
      const end = (): boolean => {
        if (isOver) {
          this.counts.late++
          return false
        }
        isOver = true
        timer.cancel()
        this.#checks--
        this.#considerIdle()
        return true
      }
      const timer = this.#clock.after(budgetMs, () => {
        end()
        this.#breaker.failed(this.#clock.now(), true)
        reject(new CheckFailure('late', `no answer within ${budgetMs} ms`))
      })
      answer.then(
        (value) => {
          if (!end()) return
          this.#breaker.succeeded(this.#clock.now())
          resolve(value)
        },
        (error) => {
          if (!end()) return
          this.#breaker.failed(this.#clock.now(), false)
          reject(error)
        },
      )
    })
  }

  async run(hook: number, input: unknown, { budgetMs }: { budgetMs: number }): Promise<unknown> {
    if (this.#state === 'draining') throw new CallError('plugin.unavailable', 'the plugin is being detached')
    if (this.#runs.size >= runsMax) throw new CallError('plugin.unavailable', `${runsMax} runs are under way`)
    const run = ++this.#lastRun
    return new Promise((resolve, reject) => {
      const end = () => {
        timer.cancel()
        this.#runs.delete(run)
        this.#causes.ended(run, input)
        this.#considerIdle()
      }
      const giveUp = (code: string, msg: string) => {
        end()
        reject(new CallError(code, msg))
      }
      const timer = this.#clock.after(budgetMs, () => giveUp('plugin.late', 'no answer in time'))
      this.#runs.set(run, { input, lose: () => giveUp('plugin.lost', 'the plugin was stopped') })
      this.#runner
        .run(hook, copied(input), run)
        .then(copied)
        .then(resolve, (error) => reject(asCallError(error)))
        .finally(end)
    })
  }

  #considerIdle(): void {
    if (this.#runs.size + this.#checks === 0) this.#onIdle?.()
  }

  instances(): InstanceInfo[] {
    return [{ instance, state: this.#state, since: this.#since, underWay: this.#runs.size + this.#checks }]
  }

  async stop(withinMs: number): Promise<void> {
    if (this.#state === 'draining') return
    const wasStarted = this.#state !== 'starting'
    this.#state = 'draining'
    if (this.#runs.size + this.#checks > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#parts.liveClock.after(withinMs, resolve)
        this.#onIdle = () => {
          timer.cancel()
          resolve()
        }
      })
    }
    for (const { lose } of [...this.#runs.values()]) lose()
    if (wasStarted) await this.#stopped(withinMs)
    this.#isOver = true
    if (!wasStarted) return
    this.#parts.events.onInstance('detached', instance, 'stopped')
  }

  #stopped(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#parts.liveClock.after(withinMs, resolve)
      this.#runner
        .stop()
        .catch((error) => this.#parts.events.onLog('error', { err: error }, 'stop failed'))
        .finally(() => timer.cancel())
        .then(resolve)
    })
  }
}

/** What crosses into a plugin or out of it is JSON in every place; inline too, or the same plugin would behave differently elsewhere. */
const copied = (value: unknown): unknown => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)))

function asCallError(error: unknown): CallError {
  const { code, msg, retryAfterMs } = refusalOf(error)
  const made = new CallError(code, msg)
  if (code === 'plugin.failed') made.cause = error
  return retryAfterMs === undefined ? made : Object.assign(made, { retryAfterMs })
}
