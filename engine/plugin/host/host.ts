/**
 * All plugins of this engine: who they are, what the operator granted, where they run, and which hook is in force where.
 *
 *     attach -> manifest checked -> grant (configuration, operator, or `pending`) -> tables -> start -> hooks in force
 *     update    the new version is started beside the old one, hooks change over in one turn, the old one ends what is under way
 *     detach    hooks go in one turn, what is under way ends, then the plugin stops
 *
 * Rooms see `guards`, `transforms` and `commands`; what a room committed comes in by `committed`. A call from a plugin
 * passes `calls.ts`, whatever place it comes from. What the operator decided is kept in core.db (`registry.ts`); plugins that run
 * here come in by `in-process.ts`, instances of remote ones by `admission.ts`.
 */
import type { Bus } from '../../base/bus.ts'
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { Metrics } from '../../base/metrics.ts'
import type { IdSource } from '../../base/random.ts'
import type { Config } from '../../config.ts'
import type { Answer } from '../../room/call.ts'
import type { PluginCommands } from '../../room/commands.ts'
import type { RoomEvent } from '../../room/event.ts'
import type { Home } from '../../room/home.ts'
import type { Store } from '../../room/store.ts'
import { askCharge } from '../checks/charges.ts'
import type { Guards } from '../checks/guards.ts'
import { exportHook } from '../checks/meters.ts'
import type { Transforms } from '../checks/transforms.ts'
import type { PluginDbs } from '../db/plugin-dbs.ts'
import type { CommandAsk } from '../define.ts'
import type { Consumer } from '../events/consumers.ts'
import { EventReaders } from '../events/event-readers.ts'
import type { ChargeAnswer, ChargedCommand } from '../hooks.ts'
import { grantOf, type HookKind, type HookOf, manifestHash } from '../manifest.ts'
import type { PlaceKind } from '../places/place.ts'
import type { AttachVerdict, RemoteInstance } from '../remote/remote.ts'
import { knownSettings, shapeProblem } from '../settings.ts'
import { Admission } from './admission.ts'
import type { Attached } from './attached.ts'
import { type CallParts, Calls, type PluginCommandHead } from './calls.ts'
import { configuredPlugins } from './configured-plugins.ts'
import { InForce } from './in-force.ts'
import { InProcess } from './in-process.ts'
import type { AttachFile, AttachFrom } from './load-place.ts'
import { LogLimit } from './log-limit.ts'
import { OwnedCommands } from './owned-commands.ts'
import { PlaceReports } from './place-reports.ts'
import { PluginError } from './plugin-error.ts'
import { infoOf, type PluginInfo } from './plugin-info.ts'
import { exportPlugins, OwnNumbers } from './plugin-numbers.ts'
import { Registry } from './registry.ts'
import { Waiting } from './waiting.ts'

export interface HostParts {
  config: Config
  clock: Clock
  liveClock: Clock
  newId: IdSource
  store: Store
  bus: Bus
  dbs: PluginDbs
  metrics: Metrics
  log: Log
  sdk: string
  /** To the home of a room, or to all homes. */
  command(roomId: string | undefined, head: PluginCommandHead): Promise<Answer>
  pay?: CallParts['pay']
  onError(error: unknown, where: string): void
}

const stopMsMax = 1_000

export class PluginHost {
  /** What rooms ask, and sessions. */
  readonly guards: Guards
  readonly transforms: Transforms
  readonly commands: PluginCommands
  readonly #parts: HostParts
  readonly #registry: Registry
  readonly #waiting = new Waiting()
  readonly #inProcess: InProcess
  readonly #admission: Admission
  readonly #inForce: InForce
  readonly #readers: EventReaders
  readonly #logLimit: LogLimit

  constructor(parts: HostParts) {
    this.#parts = parts
    const { config, clock, metrics } = parts
    const onFailure = (plugin: string, hook: string, error: unknown) => this.#hookFailed(plugin, hook, error)
    const metersOf = (attached: Attached, kind: HookKind, on: string) => this.#metersOf(attached, kind, on)
    const mayLog = (plugin: string) => this.#logLimit.allows(plugin)
    const changeOver = (attached: Attached) => this.#changeOver(attached)
    this.#logLimit = new LogLimit(clock)
    this.#registry = new Registry({ ...parts, pluginsMax: config.pluginsMax, onFailure })
    this.#inForce = new InForce({ logDanmaku: config.logDanmaku, metersOf, onFailure })
    this.#readers = new EventReaders({ ...parts, metersOf, mayLog, onFailure })
    this.guards = this.#inForce.guards
    this.transforms = this.#inForce.transforms
    this.commands = new OwnedCommands(this.#inForce, onFailure)
    const ownNumbers = new OwnNumbers(metrics, (error, where) => parts.onError(error, where))
    const registry = this.#registry
    const reports = new PlaceReports({ ...parts, registry, calls: this.#callsOf(parts), ownNumbers, logLimit: this.#logLimit })
    const shared = { ...parts, registry, waiting: this.#waiting, reports, changeOver }
    this.#inProcess = new InProcess(shared)
    this.#admission = new Admission(shared)
    exportPlugins(metrics, () => registry.all())
  }

  #callsOf(parts: HostParts): Calls {
    const { clock, bus, dbs, config, pay, log } = parts
    return new Calls({
      clock,
      bus,
      dbs,
      eventBytesMax: config.pluginEventBytesMax,
      highPerRoomPerSMax: config.pluginHighPerRoomPerSMax,
      eventsPerRoomPerSMax: config.pluginEventsPerRoomPerSMax,
      callsPerSMax: config.pluginCallsPerSMax,
      command: (roomId, head) => parts.command(roomId, head),
      pay,
      onRefused: (plugin, call, { code, message }) => {
        if (this.#logLimit.allows(plugin)) log.warn({ plugin, call, code, reason: message }, 'call of a plugin refused')
      },
    })
  }

  #metersOf(attached: Attached, kind: HookKind, on: string) {
    return attached.metersOf(kind, on, (meters) => {
      try {
        exportHook(this.#parts.metrics, attached.name, meters)
      } catch (error) {
        // The page takes so many combinations of labels; the hook works without being shown there.
        this.#parts.onError(error, `metrics of plugin ${attached.name}`)
      }
    })
  }

  // ------------------------------------------------------------------ start and stop

  /** What is known from before, then what the configuration names. Rejects when a configured plugin cannot be attached. */
  async start(): Promise<void> {
    for (const row of await this.#parts.store.listPlugins()) {
      const place = row.place as PlaceKind
      const attached = this.#registry.add(row, { place, file: row.source, isConfigured: false })
      if (place === 'remote') this.#admission.standBy(attached)
    }
    for (const one of configuredPlugins(this.#parts.config.plugins)) await this.#attachConfigured(one)
    for (const attached of this.#registry.all()) await this.#again(attached)
  }

  /** What an operator disabled stays so over a restart. */
  async #attachConfigured(from: AttachFile): Promise<void> {
    try {
      await this.attach(from, { by: 'configuration', isConfigured: true })
    } catch (error) {
      if (!(error instanceof PluginError) || error.code !== 'plugin.disabled') throw error
      this.#parts.log.warn({ file: from.file, reason: error.message }, 'configured plugin is not attached')
    }
  }

  /** A plugin that an operator attached from a file comes back; one that cannot is shown with the reason. */
  async #again(attached: Attached): Promise<void> {
    const { source, row } = attached
    if (attached.place || source.file === '' || row.state !== 'approved') return
    try {
      await this.attach({ file: source.file, place: source.place as AttachFile['place'] }, { by: row.changedBy })
    } catch (error) {
      // What it guarded with a closed guard stays closed until somebody mends or detaches it.
      this.#admission.standBy(attached)
      attached.lastError = (error as Error).message
      this.#parts.onError(error, `plugin ${row.name}`)
    }
  }

  async stop(): Promise<void> {
    this.#registry.end()
    await Promise.all([...this.#registry.all()].map((attached) => this.#letGo(attached)))
    await this.#parts.dbs.closeAll()
  }

  // ------------------------------------------------------------------ attach, update, detach

  /**
   * Attach a plugin that runs in this process, or update it when it is attached. Resolves when its hooks are in force.
   * Rejects with a `PluginError`, a `ManifestError` or what the plugin's own `start` threw; then nothing has changed.
   */
  attach(from: AttachFrom, who: { by: string; isConfigured?: boolean }): Promise<string> {
    return this.#inProcess.attach(from, who)
  }

  /** Load a file plugin anew. */
  async update(name: string, by: string): Promise<void> {
    const { source } = this.#registry.find(name)
    if (source.file === '') throw new PluginError('plugin.bad_state', `${name} has no file to load again`)
    const { file, isConfigured } = source
    await this.attach({ file, place: source.place as AttachFile['place'] }, { by, isConfigured })
  }

  /** Out of force, stopped and forgotten with its place in the log and its dead letters; its tables stay unless `purge`. */
  async detach(name: string, by: string, { purge = false } = {}): Promise<void> {
    await this.#registry.inTurn(name, async () => {
      const attached = this.#registry.find(name)
      this.#registry.remove(name)
      this.#changeOver(undefined)
      this.#waiting.drop(name, 'detached')
      await this.#letGo(attached)
      if (purge) await this.#parts.dbs.remove(name)
      else await this.#parts.dbs.close(name)
      await this.#parts.store.deletePlugin(name)
    })
    this.#registry.announce('plugin.changed', { plugin: name, change: 'detached', by })
  }

  async #letGo(attached: Attached): Promise<void> {
    attached.schedules.stop()
    attached.live?.clear()
    const { place, next } = attached
    attached.next = undefined
    void next?.stop(0)
    // It waits for what is at the plugin, and that ends with the place at the latest.
    const stopped = this.#readers.stop(attached)
    const { pluginDrainMs } = this.#parts.config
    await place?.stop(this.#registry.isEnding ? Math.min(stopMsMax, pluginDrainMs) : pluginDrainMs)
    await stopped
    attached.place = undefined
  }

  // ------------------------------------------------------------------ what operators decide

  /** An instance of a remote plugin proved whose it is. */
  onRemote(instance: RemoteInstance): Promise<AttachVerdict> {
    return this.#admission.onRemote(instance)
  }

  /** Grant what the plugin asks for. `hash`: of the manifest that the operator has seen; if another one asks by now, nothing is granted. */
  async approve(name: string, by: string, hash?: string): Promise<void> {
    await this.#registry.inTurn(name, async () => {
      const attached = this.#registry.find(name)
      if (attached.row.state === 'disabled') throw new PluginError('plugin.disabled', `${name} is disabled: enable it first`)
      const manifest = this.#waiting.of(name).at(-1)?.manifest ?? attached.manifest
      if (hash !== undefined && hash !== manifestHash(manifest))
        throw new PluginError('plugin.stale', `${name} asks for something else by now: look again`)
      await this.#registry.decide(attached, by, { state: 'approved', grant: grantOf(manifest), manifest })
      if (!attached.place && attached.source.place === 'remote') this.#admission.standBy(attached)
      this.#changeOver(attached)
      await this.#admission.takeWaiting(attached)
    })
    this.#registry.announce('plugin.changed', { plugin: name, change: 'approved', by })
  }

  /** Out of force, and nobody may attach under this name until `enable`. */
  async disable(name: string, by: string): Promise<void> {
    await this.#registry.inTurn(name, async () => {
      const attached = this.#registry.find(name)
      await this.#registry.decide(attached, by, { state: 'disabled' })
      this.#changeOver(attached)
      this.#waiting.drop(name, 'disabled')
      await this.#letGo(attached)
    })
    this.#registry.announce('plugin.changed', { plugin: name, change: 'disabled', by })
  }

  /** A plugin that cannot be loaded again stays disabled. */
  async enable(name: string, by: string): Promise<void> {
    const attached = await this.#registry.inTurn(name, async () => {
      const disabled = this.#registry.find(name)
      if (disabled.row.state !== 'disabled') throw new PluginError('plugin.bad_state', `${name} is not disabled`)
      await this.#registry.decide(disabled, by, { state: 'approved' })
      if (disabled.source.place === 'remote') this.#admission.standBy(disabled)
      return disabled
    })
    try {
      if (attached.source.file !== '') await this.update(name, by)
    } catch (error) {
      await this.#registry.inTurn(name, async () => {
        const isKnown = this.#registry.get(name) === attached
        if (isKnown && !attached.place) await this.#registry.decide(attached, by, { state: 'disabled' })
      })
      throw error
    }
    this.#registry.announce('plugin.changed', { plugin: name, change: 'enabled', by })
  }

  /** `version`: the one that the caller has seen; another in force is a conflict. Answers the new one. */
  async configure(name: string, patch: Readonly<Record<string, unknown>>, by: string, version?: number): Promise<number> {
    return this.#registry.inTurn(name, async () => {
      const attached = this.#registry.find(name)
      const { settings, settingsVersion } = attached.row
      if (version !== undefined && version !== settingsVersion)
        throw new PluginError('plugin.stale', `the settings are at version ${settingsVersion} now`)
      const merged = { ...knownSettings(attached.manifest.settings, settings), ...patch }
      const problem = shapeProblem(attached.manifest.settings, merged)
      if (problem !== undefined) throw new PluginError('plugin.bad_settings', problem)
      await this.#registry.decide(attached, by, { settings: merged, settingsVersion: settingsVersion + 1 })
      attached.unfit = undefined
      for (const place of [attached.place, attached.next]) place?.configure(settingsVersion + 1, merged)
      this.#registry.announce('plugin.changed', { plugin: name, change: 'settings', by })
      return settingsVersion + 1
    })
  }

  list(): PluginInfo[] {
    return this.#registry.names().map((name) => this.describe(name))
  }

  /** Throws `plugin.not_found`. */
  describe(name: string): PluginInfo {
    return infoOf(this.#registry.find(name), this.#waiting.of(name))
  }

  /** Its consumer of the room log: dead letters are replayed, the cursor is set back, through it. */
  consumerOf(name: string): Consumer | undefined {
    return this.#registry.find(name).consumer
  }

  // ------------------------------------------------------------------ what is in force

  #changeOver(changed: Attached | undefined): void {
    // Those that were let go already must not fall out of force: while the engine stops, their policy answers for them.
    if (this.#registry.isEnding) return
    this.#inForce.changeOver(this.#registry.all())
    if (changed) this.#readers.bind(changed)
  }

  /** What a room committed: for hooks on events that are in no log. */
  committed(home: Home, events: readonly RoomEvent[]): void {
    this.#inForce.committed(home, events)
  }

  /** Ask the one owner of a charge. */
  charge(on: ChargedCommand, ask: CommandAsk<Readonly<Record<string, unknown>>>): Promise<ChargeAnswer> {
    const { chargeOwner } = this.#parts.config
    const onFailure = (error: unknown) => this.#hookFailed(chargeOwner, `charge ${on}`, error)
    return askCharge(this.#registry.get(chargeOwner), on, { ask, onFailure })
  }

  /** The HTTP routes of a plugin, each with its place among its hooks. */
  routesOf(name: string): { index: number; spec: HookOf<'route'> }[] {
    const attached = this.#registry.get(name)
    return attached?.isActive ? attached.hooks('route') : []
  }

  /** Rejects with a `CallError`. */
  route(name: string, index: number, request: unknown): Promise<unknown> {
    const attached = this.#registry.find(name)
    const spec = attached.manifest.hooks[index] as HookOf<'route'>
    return attached.run({ index, kind: 'route', on: spec.on }, request, { key: spec.on, budgetMs: spec.budgetMs })
  }

  #hookFailed(plugin: string, hook: string, error: unknown): void {
    if (this.#logLimit.allows(plugin)) this.#parts.log.warn({ plugin, hook, err: error }, 'hook of a plugin gave no answer')
  }
}
