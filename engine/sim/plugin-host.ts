/**
 * The real plugin host in the simulation: its plugins come, change and go, and it is stopped or dies and is started again with the same
 * store. Homes and edges keep `guards`, `transforms` and `commands`, which ask whichever host is there.
 *
 * A host that dies is cut off its store. Its timers and its guards go on until the next host is in force, as if both died and came back
 * at once: homes do not die in the simulation, and a danmaku that waits for a guard must get its answer.
 */
import type { ManualClock } from '../base/clock.ts'
import { silentLog } from '../base/log.ts'
import { createMetrics } from '../base/metrics.ts'
import type { Guards, Ruling } from '../plugin/guards.ts'
import { type HostParts, PluginHost } from '../plugin/host.ts'
import { PluginDbs } from '../plugin/plugin-dbs.ts'
import type { Transforms } from '../plugin/transforms.ts'
import type { PluginCommands } from '../room/commands.ts'
import type { RoomEvent } from '../room/event.ts'
import type { Home } from '../room/home.ts'
import type { LogEntry, Store } from '../room/store.ts'
import { fickleNames, type Life, type SimPluginName, type SimPlugins, steadyNames } from './plugins.ts'

export type PluginChange = 'attach' | 'detach' | 'disable' | 'enable' | 'stop' | 'die'
type ReadLog = Parameters<Store['readLog']>[0]
type GivenParts = Pick<HostParts, 'config' | 'newId' | 'bus' | 'command' | 'onError'> & { clock: ManualClock; store: Store }

/** On purpose wrong, for the test that the simulation notices. */
export interface PluginSabotage {
  ruling?: (ruling: Ruling) => Ruling
  /** What the host reads of the room log. */
  log?: (entries: LogEntry[]) => LogEntry[]
}

const by = 'simulation'
/** Refusals of an operator who asks for what cannot be done now. */
const fairCodes = ['plugin.not_found', 'plugin.exists', 'plugin.disabled', 'plugin.bad_state', 'plugin.stale']

export class SimHost {
  readonly guards: Guards
  readonly transforms: Transforms
  readonly commands: PluginCommands
  current: PluginHost
  readonly #parts: GivenParts
  readonly #plugins: () => SimPlugins
  readonly #dbs: PluginDbs
  #life: Life = { isAlive: true }
  #version = 0
  /** While the next host is made: what is in force in the one before, whose hooks are asked until then. */
  #restarting: ReadonlySet<string> | undefined

  constructor(parts: GivenParts, plugins: () => SimPlugins, { ruling, log }: PluginSabotage = {}) {
    const { store } = parts
    const changed = log && { ...store, readLog: async (options: ReadLog) => log(await store.readLog(options)) }
    this.#parts = { ...parts, store: changed ?? store }
    this.#plugins = plugins
    // No plugin here has tables: nothing is ever written to this folder.
    this.#dbs = new PluginDbs({ dir: 'none', log: silentLog, clock: parts.clock })
    this.current = this.#host(this.#life)
    this.guards = {
      has: (on: string) => this.current.guards.has(on),
      ask: (...asked: Parameters<Guards['ask']>) => {
        const made = this.current.guards.ask(...asked)
        if (ruling === undefined) return made
        return made instanceof Promise ? made.then(ruling) : ruling(made)
      },
    } as Partial<Guards> as Guards
    this.transforms = {
      has: (on: Parameters<Transforms['has']>[0]) => this.current.transforms.has(on),
      run: (on: never, ask: never, apply: never) => this.current.transforms.run(on, ask, apply),
    } as unknown as Transforms
    this.commands = {
      find: (name) => this.current.commands.find(name),
      names: () => this.current.commands.names(),
      run: (call, home) => this.current.commands.run(call, home),
    }
  }

  committed(home: Home, events: readonly RoomEvent[]): void {
    this.current.committed(home, events)
  }

  #host(life: Life): PluginHost {
    const { clock, store } = this.#parts
    return new PluginHost({
      ...this.#parts,
      store: mortal(store, life),
      liveClock: clock,
      dbs: this.#dbs,
      metrics: createMetrics(),
      log: silentLog,
      sdk: '0.0.0',
    })
  }

  async start(): Promise<void> {
    await this.current.start()
    for (const name of [...steadyNames, ...fickleNames]) await this.#attach(this.current, this.#life, name)
  }

  /** Never rejects. A detach or a stop takes until what is under way has ended. */
  async change(change: PluginChange, name: SimPluginName): Promise<void> {
    if (this.#restarting) return
    this.#plugins().counts.changes++
    const host = this.current
    try {
      if (change === 'attach') await this.#attach(host, this.#life, name)
      else if (change === 'detach') await host.detach(name, by)
      else if (change === 'disable') await host.disable(name, by)
      else if (change === 'enable') await host.enable(name, by)
      else await this.#restart(change === 'die')
    } catch (error) {
      const { code } = error as { code?: string }
      if (code === undefined || !fairCodes.includes(code)) this.#parts.onError(error, `${change} ${name}`)
    }
  }

  /** Anew, or another version beside the one that is there. */
  async #attach(host: PluginHost, life: Life, name: SimPluginName): Promise<void> {
    const plugin = this.#plugins().define(name, life, `1.0.${++this.#version}`)
    await host.attach({ plugin }, { by, isConfigured: true })
  }

  async #restart(dies: boolean): Promise<void> {
    this.#plugins().counts.restarts++
    const inForce = new Set(this.#inForce())
    this.#restarting = inForce
    if (dies) this.#life.isAlive = false
    else await this.current.stop()
    this.#life = { isAlive: true }
    const host = this.#host(this.#life)
    await host.start()
    for (const name of inForce) await this.#attach(host, this.#life, name as SimPluginName)
    this.current = host
    this.#restarting = undefined
  }

  isInForce(name: string): boolean {
    return this.#restarting?.has(name) ?? this.#inForce().includes(name)
  }

  #inForce(): string[] {
    const inForce = this.current.list().filter(({ state }) => state === 'attached' || state === 'degraded')
    return inForce.map(({ name }) => name)
  }

  /** How far the readers of events are behind. */
  get lag(): number {
    return this.current.consumerOf('witness')?.lag() ?? 0
  }

  async stop(): Promise<void> {
    const stopped = this.current.stop()
    await this.#parts.clock.advanceAsync(2_000)
    await stopped
  }
}

/** A store that is never heard of again once its host is dead. */
function mortal(store: Store, life: Life): Store {
  const told = (key: keyof Store) => {
    return (...given: unknown[]): unknown =>
      life.isAlive ? (store[key] as (...given: unknown[]) => unknown)(...given) : new Promise(() => {})
  }
  return new Proxy(store, { get: (_, key) => told(key as keyof Store) })
}
