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
import type { Guards, Ruling } from '../plugin/checks/guards.ts'
import type { Transforms } from '../plugin/checks/transforms.ts'
import type { PluginDbs } from '../plugin/db/plugin-dbs.ts'
import { type HostParts, PluginHost } from '../plugin/host/host.ts'
import type { PluginCommands } from '../room/commands.ts'
import type { RoomEvent } from '../room/event.ts'
import type { Home } from '../room/home.ts'
import type { LogEntry, Store } from '../room/store.ts'
import { overlaid } from './commits.ts'
import { type Life, mortal } from './life.ts'
import { fickleNames, type SimPluginName, type SimPlugins, steadyNames } from './plugins.ts'
import { type Shop, SimDbs, shopName } from './shop.ts'

export type PluginChange = 'attach' | 'detach' | 'disable' | 'enable' | 'stop' | 'die'
type ReadLog = Parameters<Store['readLog']>[0]
type GivenParts = Pick<HostParts, 'config' | 'newId' | 'bus' | 'command' | 'onError'> & {
  clock: ManualClock
  /** Another one after the process died. */
  store(): Store
  shop: Shop
}
type Name = SimPluginName | typeof shopName

/** On purpose wrong, for the test that the simulation notices. */
export interface PluginSabotage {
  ruling?: (ruling: Ruling) => Ruling
  /** What the host reads of the room log. */
  log?: (entries: LogEntry[]) => LogEntry[]
}

const by = 'simulation'
const stopMsMax = 5_000
/** Refusals of an operator who asks for what cannot be done now. */
const fairCodes = ['plugin.not_found', 'plugin.exists', 'plugin.disabled', 'plugin.bad_state', 'plugin.stale']

export class SimHost {
  readonly guards: Guards
  readonly transforms: Transforms
  readonly commands: PluginCommands
  current: PluginHost
  readonly #parts: GivenParts
  readonly #plugins: () => SimPlugins
  readonly #dbs = new SimDbs()
  readonly #log: PluginSabotage['log']
  #life: Life = { isAlive: true }
  #version = 0
  /** While the next host is made: what is in force in the one before, whose hooks are asked until then. */
  #restarting: ReadonlySet<string> | undefined

  constructor(parts: GivenParts, plugins: () => SimPlugins, { ruling, log }: PluginSabotage = {}) {
    this.#parts = parts
    this.#plugins = plugins
    this.#log = log
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
      store: mortal(this.#read(store()), life),
      liveClock: clock,
      // What the host and its calls ask of them is there.
      dbs: this.#dbs as unknown as PluginDbs,
      metrics: createMetrics(),
      log: silentLog,
      sdk: '0.0.0',
    })
  }

  #read(store: Store): Store {
    const change = this.#log
    return change ? overlaid(store, { readLog: async (options: ReadLog) => change(await store.readLog(options)) }) : store
  }

  async start(): Promise<void> {
    await this.current.start()
    for (const name of [...steadyNames, ...fickleNames, shopName]) await this.#attach(this.current, this.#life, name)
  }

  /** Never rejects. A detach or a stop takes until what is under way has ended. */
  async change(change: PluginChange, name: Name): Promise<void> {
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
      this.#failed(error, `${change} ${name}`)
    }
  }

  #failed(error: unknown, what: string): void {
    const { code } = error as { code?: string }
    if (code === undefined || !fairCodes.includes(code)) this.#parts.onError(error, what)
  }

  /** Anew, or another version beside the one that is there. */
  async #attach(host: PluginHost, life: Life, name: Name): Promise<void> {
    const version = `1.0.${++this.#version}`
    const plugin = name === shopName ? this.#parts.shop.define(life, version) : this.#plugins().define(name, life, version)
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
    for (const name of inForce) {
      // One may have been disabled while the host died.
      await this.#attach(host, this.#life, name as Name).catch((error) => this.#failed(error, `again ${name}`))
    }
    this.current = host
    this.#restarting = undefined
  }

  /** It is being started again. */
  get isDown(): boolean {
    return this.#restarting !== undefined
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
    let isOver = false
    void this.current.stop().finally(() => {
      isOver = true
    })
    // A run that broke may end while a host is dead: it never answers.
    for (let waitedMs = 0; !isOver && waitedMs < stopMsMax; waitedMs += 500) await this.#parts.clock.advanceAsync(500)
    this.#parts.shop.stop()
    this.#dbs.end()
  }
}
