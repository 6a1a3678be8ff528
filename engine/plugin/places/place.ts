/**
 * Where a plugin runs. Three places with one meaning (`conformance.int.test.ts` holds them to it):
 *
 * | place | file | a hang or crash of the plugin |
 * |---|---|---|
 * | inline | `inline.ts` | is the engine's: for trusted code |
 * | worker | `worker.ts` | ends the thread, which is started again |
 * | remote | `remote-place.ts` | is noticed by its silence; other instances take over |
 */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { Ask } from '../define.ts'
import type { ManifestShape } from '../manifest.ts'
import type { Batching, LinkCounts } from './link.ts'

export type PlaceKind = 'inline' | 'worker' | 'remote'

export interface InstanceInfo {
  instance: string
  state: 'starting' | 'healthy' | 'degraded' | 'draining' | 'cut'
  since: number
  underWay: number
}

export interface Place {
  readonly kind: PlaceKind
  readonly manifest: ManifestShape
  readonly isHealthy: boolean
  /** Of all its instances so far. */
  readonly counts: LinkCounts
  /** Resolves when it can be asked; rejects when the plugin refuses to start. Settings are set before. */
  start(settingsVersion: number, settings: unknown): Promise<void>
  /** A guard or transform. A value or a promise that is settled within the budget; throws or rejects where there is no answer. */
  check(hook: number, ask: Ask<unknown>, budgetMs: number): unknown
  /** Anything else. `key`: the same key goes to the same instance while instances stay. Rejects with a `CallError`. */
  run(hook: number, input: unknown, options: { key: string; budgetMs: number }): Promise<unknown>
  configure(settingsVersion: number, settings: unknown): void
  instances(): InstanceInfo[]
  /** No new work; what is under way ends, at most for `withinMs`. */
  stop(withinMs: number): Promise<void>
}

/** What a place tells the host, and asks of it. */
export interface PlaceEvents {
  /** A call from the plugin to the engine. `cause`: the input of the run it was made from. */
  onCall(name: string, d: unknown, cause: unknown): Promise<unknown>
  onInstance(change: 'attached' | 'detached' | 'degraded' | 'recovered', instance: string, reason: string): void
  onUnfit(settingsVersion: number, msg: string): void
  onLog(level: 'debug' | 'info' | 'warn' | 'error', fields: object, msg: string): void
  onCount(name: string, by: number): void
}

export interface PlaceParts {
  clock: Clock
  liveClock: Clock
  log: Log
  events: PlaceEvents
  /** Of checks to other places; for measuring. */
  batching?: Batching
}
