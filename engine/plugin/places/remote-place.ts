/**
 * A plugin in processes of its own: any number of instances of one manifest, each behind a `Link`.
 *
 * The engine picks the instance, by rendezvous hash of the room among those that are healthy now: a room stays with its instance while
 * that is well, and only the rooms of one that goes or comes move. An instance that hangs is left out when its breaker opens or it stops
 * answering pings. With no healthy instance at all nothing waits: the policy of each hook decides at once.
 */
import { hash32 } from '../../base/random.ts'
import { CallError } from '../context.ts'
import type { Ask } from '../define.ts'
import type { ManifestShape } from '../manifest.ts'
import type { Channel } from './channel.ts'
import { CheckFailure, Link, type LinkCounts, newLinkCounts } from './link.ts'
import type { InstanceInfo, Place, PlaceParts } from './place.ts'

export const instancesMax = 64

export class RemotePlace implements Place {
  readonly kind = 'remote'
  readonly manifest: ManifestShape
  readonly counts: LinkCounts = newLinkCounts()
  readonly #parts: PlaceParts
  #links: Link[] = []
  #settings: { version: number; values: unknown } = { version: 0, values: {} }
  #firsts: ((isReady: boolean) => void)[] = []
  #stopping = false

  constructor(manifest: ManifestShape, parts: PlaceParts) {
    this.manifest = manifest
    this.#parts = parts
  }

  get isHealthy(): boolean {
    return this.#links.some(({ usable }) => usable)
  }

  get size(): number {
    return this.#links.length
  }

  /** Instances come by themselves: there is nothing to wait for. */
  async start(settingsVersion: number, settings: unknown): Promise<void> {
    this.#settings = { version: settingsVersion, values: settings }
  }

  /** Whether an instance came up; false when all that came are gone again before. */
  firstReady(): Promise<boolean> {
    if (this.#links.some(({ isReady }) => isReady)) return Promise.resolve(true)
    return new Promise((resolve) => this.#firsts.push(resolve))
  }

  #settleFirst(isReady: boolean): void {
    for (const settle of this.#firsts.splice(0)) settle(isReady)
  }

  join(instance: string, channel: Channel): void {
    const { events, clock, liveClock, batching } = this.#parts
    let wasReady = false
    const link = new Link({
      instance,
      channel,
      clock,
      liveClock,
      counts: this.counts,
      ...(batching ? { batching } : {}),
      onCall: (name, d, cause) => events.onCall(name, d, cause),
      onReady: () => {
        wasReady = true
        events.onInstance('attached', instance, '')
        this.#settleFirst(true)
      },
      onUnfit: (version, msg) => events.onUnfit(version, msg),
      onDraining: () => events.onLog('info', { instance }, 'instance drains'),
      onDegraded: (isOpen, reason) => events.onInstance(isOpen ? 'degraded' : 'recovered', instance, reason),
      onLog: (level, fields, msg) => events.onLog(level, { ...fields, instance }, msg),
      onCount: (name, by) => events.onCount(name, by),
      onGone: (reason) => {
        this.#links = this.#links.filter(({ isGone }) => !isGone)
        // One that never came up was never attached for anybody to see: it may try again every second.
        if (wasReady) events.onInstance('detached', instance, reason)
        else events.onLog('warn', { instance, reason }, 'instance ended before it was ready')
        if (this.#links.length === 0) this.#settleFirst(false)
      },
    })
    // The instance may have left while it was looked at.
    if (link.isGone) return
    this.#links = [...this.#links, link]
    link.configure(this.#settings.version, this.#settings.values)
  }

  check(hook: number, ask: Ask<unknown>, budgetMs: number): Promise<unknown> {
    const link = this.#pick(ask.room === '' ? ask.from.userId : ask.room)
    return link?.check(hook, ask, budgetMs) ?? Promise.reject(new CheckFailure('unavailable', 'no healthy instance'))
  }

  run(hook: number, input: unknown, { key, budgetMs }: { key: string; budgetMs: number }): Promise<unknown> {
    const link = this.#pick(key)
    return link?.run(hook, input, budgetMs) ?? Promise.reject(new CallError('plugin.unavailable', 'no healthy instance'))
  }

  #pick(key: string): Link | undefined {
    const links = this.#links
    if (links.length === 1) return links[0]?.usable ? links[0] : undefined
    let best: Link | undefined
    let most = -1
    for (const link of links) {
      if (!link.usable) continue
      const weight = hash32(`${key} ${link.instance}`)
      if (weight > most) [best, most] = [link, weight]
    }
    return best
  }

  configure(settingsVersion: number, settings: unknown): void {
    this.#settings = { version: settingsVersion, values: settings }
    for (const link of this.#links) link.configure(settingsVersion, settings)
  }

  instances(): InstanceInfo[] {
    return this.#links.map((link) => ({
      instance: link.instance,
      state: stateOf(link),
      since: link.attachedAt,
      underWay: link.underWay,
    }))
  }

  async stop(withinMs: number): Promise<void> {
    if (this.#stopping) return
    this.#stopping = true
    const links = this.#links
    await Promise.all(links.map((link) => link.drain(withinMs)))
    for (const link of links) link.close('detached by the engine')
  }
}

function stateOf(link: Link): InstanceInfo['state'] {
  if (link.isCut) return 'cut'
  if (link.isDraining) return 'draining'
  if (!link.isReady) return 'starting'
  return link.usable ? 'healthy' : 'degraded'
}
