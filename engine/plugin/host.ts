/**
 * All plugins of this engine: who they are, what the operator granted, where they run, and which hook is in force where.
 *
 *     attach -> manifest checked -> grant (configuration, operator, or `pending`) -> tables -> start -> hooks in force
 *     update    the new version is started beside the old one, hooks change over in one turn, the old one ends what is under way
 *     detach    hooks go in one turn, what is under way ends, then the plugin stops
 *
 * Rooms see `guards`, `transforms` and this class as `PluginCommands`; what a room committed comes in by `committed`. A call from a plugin
 * passes `calls.ts`, whatever place it comes from. What the operator decided is kept in core.db; a remote plugin that was approved is in
 * force from the start of the engine on, even before its first instance: a closed guard stays closed.
 */
import { fileURLToPath } from 'node:url'
import { commands as coreCommands } from '../../schemas/messages.ts'
import { codecOf } from '../../schemas/wire.ts'
import type { Bus } from '../base/bus.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Metrics } from '../base/metrics.ts'
import type { IdSource } from '../base/random.ts'
import type { Config } from '../config.ts'
import { type Answer, accept, type Call, refuse } from '../room/call.ts'
import type { PluginCommand, PluginCommands } from '../room/commands.ts'
import type { RoomEvent } from '../room/event.ts'
import type { Home } from '../room/home.ts'
import { ranksOfScope } from '../room/rights.ts'
import type { LogEntry, PluginRow, Store } from '../room/store.ts'
import { Attached, type PluginSource } from './attached.ts'
import { actorOf, type CallParts, Calls, type PluginCommandHead } from './calls.ts'
import { Consumer, consumerLimits } from './consumers.ts'
import { CallError } from './context.ts'
import type { AnyPlugin, CommandAsk, PluginEvent } from './define.ts'
import { type BoundGuard, Guards, isPluginsCode, type Ruling, refusalOfVerdict } from './guards.ts'
import {
  type ChargeAnswer,
  type ChargedCommand,
  isDurable,
  type PostingTemplate,
  type SystemEventName,
  type SystemEvents,
  systemEvents,
} from './hooks.ts'
import { InlinePlace } from './inline.ts'
import { LiveEvents } from './live-events.ts'
import { loadPlugin } from './load.ts'
import {
  beyondGrant,
  checkManifest,
  type Grant,
  grantOf,
  type HookOf,
  ManifestError,
  type ManifestShape,
  manifestHash,
  pluginNamePattern,
} from './manifest.ts'
import { exportHook, hookMetrics } from './meters.ts'
import type { InstanceInfo, Place, PlaceEvents, PlaceKind, PlaceParts } from './place.ts'
import type { PluginDbs } from './plugin-dbs.ts'
import type { AttachVerdict, RemoteInstance } from './remote.ts'
import { instancesMax, RemotePlace } from './remote-place.ts'
import { settingsProblem } from './settings.ts'
import { type BoundTransform, Transforms } from './transforms.ts'
import { WorkerPlace } from './worker.ts'

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

export type PluginErrorName =
  | 'plugin.not_found'
  | 'plugin.exists'
  | 'plugin.disabled'
  | 'plugin.bad_state'
  | 'plugin.stale'
  | 'plugin.bad_settings'
  | 'plugin.too_many'
  | 'plugin.not_loaded'

/** Something an operator asked for that cannot be done. */
export class PluginError extends Error {
  readonly code: PluginErrorName

  constructor(code: PluginError['code'], msg: string) {
    super(msg)
    this.name = 'PluginError'
    this.code = code
  }
}

type PluginState = 'pending' | 'disabled' | 'detached' | 'degraded' | 'attached'
export interface PluginInfo {
  name: string
  version: string
  description: string
  place: string
  file: string
  state: PluginState
  /** What it asks for beyond its grant. */
  asks: string[]
  domains: readonly string[]
  settings: unknown
  settingsVersion: number
  settingsSchema: unknown
  unfitSettings: string
  lastError: string
  instances: InstanceInfo[]
  hooks: HookInfo[]
  /** Events of the room log. */
  events: { lag: number; delivered: number; retried: number; dead: number; skipped: number } | undefined
  /** Events that are in no log. */
  live: { queued: number; delivered: number; failed: number; dropped: number } | undefined
  calls: number
  callsRefused: number
  changedAt: number
  changedBy: string
}
export interface HookInfo {
  kind: string
  on: string
  calls: number
  timeouts: number
  failures: number
  unavailable: number
  policy: number
  p50Ms: number
  p99Ms: number
  verdicts?: Record<string, number>
}

/** A program's own object, or a file. */
export type AttachFrom = { plugin: AnyPlugin } | { file: string; place: 'inline' | 'worker' }

/** Whose place it is, for what it tells and asks; filled in as it becomes known. */
interface About {
  name: string
  manifest?: ManifestShape
  attached?: Attached
}
interface PendingInstance {
  instance: RemoteInstance
  manifest: ManifestShape
}

/** Label combinations of one metric are bounded; so is what can be labelled. */
const hooksInAllMax = 300
const replyBytesMax = 65_536
const consumerAgainMs = 1_000
const pendingInstancesMax = 8
const nameMetricsMax = 50
const noise = { windowMs: 10_000, linesMax: 20 }

export class PluginHost implements PluginCommands {
  readonly guards: Guards
  readonly transforms: Transforms
  readonly #parts: HostParts
  readonly #calls: Calls
  readonly #byName = new Map<string, Attached>()
  readonly #commands = new Map<string, { attached: Attached; index: number; spec: HookOf<'command'> }>()
  #liveHooks = new Map<string, Attached[]>()
  readonly #pending = new Map<string, PendingInstance[]>()
  /** One change of a plugin at a time. */
  readonly #turns = new Map<string, Promise<unknown>>()
  readonly #ownCounts = new Map<string, Map<string, { value: number }>>()
  readonly #lines = new Map<string, { at: number; count: number }>()
  #systemSeq = 0
  #stopping = false

  constructor(parts: HostParts) {
    this.#parts = parts
    const { config, log } = parts
    this.guards = new Guards((guard, on, error) => this.#hookFailed(guard.plugin, `guard ${on}`, error))
    this.transforms = new Transforms((transform, on, error) => this.#hookFailed(transform.plugin, `transform ${on}`, error))
    this.#calls = new Calls({
      clock: parts.clock,
      bus: parts.bus,
      dbs: parts.dbs,
      eventBytesMax: config.pluginEventBytesMax,
      highPerRoomPerSMax: config.pluginHighPerRoomPerSMax,
      eventsPerRoomPerSMax: config.pluginEventsPerRoomPerSMax,
      callsPerSMax: config.pluginCallsPerSMax,
      command: (roomId, head) => parts.command(roomId, head),
      pay: parts.pay,
      onRefused: (plugin, call, { code, message }) => {
        if (this.#mayLog(plugin)) log.warn({ plugin, call, code, reason: message }, 'call of a plugin refused')
      },
    })
    this.#describeMetrics()
  }

  // ------------------------------------------------------------------ start and stop

  /** What is known from before, then what the configuration names. Rejects when a configured plugin cannot be attached. */
  async start(): Promise<void> {
    for (const row of await this.#parts.store.listPlugins()) {
      const place = row.place as PlaceKind
      const attached = this.#add(row, { place, file: row.source, isConfigured: false })
      if (place === 'remote') this.#standBy(attached)
    }
    for (const one of configuredPlugins(this.#parts.config.plugins)) await this.#attachConfigured(one)
    for (const attached of this.#byName.values()) await this.#again(attached)
  }

  /** What an operator disabled stays so over a restart. */
  async #attachConfigured(from: { file: string; place: 'inline' | 'worker' }): Promise<void> {
    try {
      await this.attach(from, { by: 'configuration', isConfigured: true })
    } catch (error) {
      if (!(error instanceof PluginError) || error.code !== 'plugin.disabled') throw error
      this.#parts.log.warn({ file: from.file, reason: error.message }, 'configured plugin is not attached')
    }
  }

  /** A remote plugin that was approved is in force before its first instance comes. */
  #standBy(attached: Attached): void {
    try {
      const manifest = checkManifest(attached.row.manifest)
      attached.place = new RemotePlace(manifest, this.#placeParts({ name: attached.name, manifest, attached }))
      void attached.place.start(attached.row.settingsVersion, attached.row.settings)
      this.#changeOver(attached)
    } catch (error) {
      attached.lastError = (error as Error).message
    }
  }

  /** A plugin that an operator attached from a file comes back; one that cannot is shown with the reason. */
  async #again(attached: Attached): Promise<void> {
    const { source, row } = attached
    if (attached.place || source.file === '' || row.state !== 'approved') return
    try {
      await this.attach({ file: source.file, place: source.place as 'inline' | 'worker' }, { by: row.changedBy })
    } catch (error) {
      attached.lastError = (error as Error).message
      this.#parts.onError(error, `plugin ${row.name}`)
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true
    const all = [...this.#byName.values()]
    await Promise.all(all.map((attached) => this.#letGo(attached)))
    await this.#parts.dbs.closeAll()
  }

  // ------------------------------------------------------------------ attach, update, detach

  /**
   * Attach a plugin that runs in this process, or update it when it is attached. Resolves when its hooks are in force.
   * Rejects with a `PluginError`, a `ManifestError` or what the plugin's own `start` threw; then nothing has changed.
   */
  async attach(from: AttachFrom, { by, isConfigured = false }: { by: string; isConfigured?: boolean }): Promise<string> {
    const about: About = { name: '' }
    const parts = this.#placeParts(about)
    const place = await this.#load(from, parts)
    const { name } = place.manifest
    about.name = name
    about.manifest = place.manifest
    const file = 'file' in from ? from.file : ''
    try {
      await this.#inTurn(name, () => this.#bring(place, { place: place.kind, file, isConfigured }, by, about))
    } catch (error) {
      await place.stop(0)
      throw error
    }
    return name
  }

  async #load(from: AttachFrom, parts: PlaceParts): Promise<Place> {
    try {
      if ('plugin' in from) return new InlinePlace(from.plugin, this.#parts.sdk, parts)
      if (from.place === 'worker') return await WorkerPlace.load(from.file, this.#parts.sdk, parts)
      return new InlinePlace(await loadPlugin(from.file), this.#parts.sdk, parts)
    } catch (error) {
      if (error instanceof ManifestError) throw error
      throw new PluginError('plugin.not_loaded', (error as Error).message)
    }
  }

  async #bring(place: Place, source: PluginSource, by: string, about: About): Promise<void> {
    const { manifest } = place
    const known = this.#byName.get(manifest.name)
    if (known?.source.place === 'remote' && known.row.state !== 'pending')
      throw new PluginError('plugin.exists', `${manifest.name} is attached as a remote plugin: detach it first`)
    this.#checkBounds(manifest)
    if (known?.row.state === 'disabled') throw new PluginError('plugin.disabled', `${manifest.name} is disabled: enable it first`)
    const settings = known?.row.settings ?? {}
    const row: PluginRow = {
      ...this.#row(manifest, by),
      grant: grantOf(manifest),
      settings,
      settingsVersion: known?.row.settingsVersion ?? 1,
      state: 'approved',
      place: place.kind,
      // What the configuration names comes and goes with it, not with what is remembered here.
      source: source.isConfigured ? '' : source.file,
    }
    if (manifest.migrations.length > 0) await this.#parts.dbs.open(manifest.name, manifest.migrations)
    const attached = known ?? this.#add(row, source)
    about.attached = attached
    const before = attached.row
    try {
      // Calls from `start` need the grant.
      attached.row = row
      await place.start(row.settingsVersion, settings)
      await this.#parts.store.putPlugin(row)
    } catch (error) {
      attached.row = before
      if (!known) this.#byName.delete(manifest.name)
      throw error
    }
    const old = attached.place
    attached.source = source
    attached.place = place
    attached.lastError = ''
    this.#changeOver(attached)
    await old?.stop(this.#parts.config.pluginDrainMs)
    await this.#announce('plugin.changed', { plugin: manifest.name, change: old ? 'updated' : 'attached', by })
  }

  /** Load a file plugin anew. */
  async update(name: string, by: string): Promise<void> {
    const { source } = this.#find(name)
    if (source.file === '') throw new PluginError('plugin.bad_state', `${name} has no file to load again`)
    await this.attach(
      { file: source.file, place: source.place as 'inline' | 'worker' },
      { by, isConfigured: source.isConfigured },
    )
  }

  /** Out of force, stopped and forgotten; its tables and dead letters stay unless `purge`. */
  async detach(name: string, by: string, { purge = false } = {}): Promise<void> {
    const attached = this.#find(name)
    await this.#inTurn(name, async () => {
      this.#byName.delete(name)
      this.#changeOver(undefined)
      this.#dropPending(name, 'detached')
      await this.#letGo(attached)
      if (purge) await this.#parts.dbs.remove(name)
      else await this.#parts.dbs.close(name)
      await this.#parts.store.deletePlugin(name)
    })
    await this.#announce('plugin.changed', { plugin: name, change: 'detached', by })
  }

  async #letGo(attached: Attached): Promise<void> {
    attached.schedules.stop()
    attached.live?.clear()
    const { place, next } = attached
    attached.next = undefined
    void next?.stop(0)
    // It waits for what is at the plugin, and that ends with the place at the latest.
    const stopped = this.#stopConsumer(attached)
    await place?.stop(this.#stopping ? Math.min(1_000, this.#parts.config.pluginDrainMs) : this.#parts.config.pluginDrainMs)
    await stopped
    attached.place = undefined
  }

  // ------------------------------------------------------------------ remote instances

  /** An instance proved whose it is. Whether it may work is decided here. */
  async onRemote(instance: RemoteInstance): Promise<AttachVerdict> {
    try {
      const manifest = checkManifest(JSON.parse(instance.manifestText))
      if (manifest.name !== instance.name) throw new ManifestError('plugin.bad_manifest', 'the manifest has another name')
      return await this.#inTurn(instance.name, () => this.#admit(instance, manifest))
    } catch (error) {
      if (error instanceof ManifestError || error instanceof PluginError)
        return { ok: false, code: error.code, msg: error.message }
      if (error instanceof SyntaxError) return { ok: false, code: 'plugin.bad_manifest', msg: 'the manifest is no JSON' }
      this.#parts.onError(error, `plugin ${instance.name}`)
      return { ok: false, code: 'plugin.failed', msg: 'the engine failed; it is logged' }
    }
  }

  async #admit(instance: RemoteInstance, manifest: ManifestShape): Promise<AttachVerdict> {
    const known = this.#byName.get(manifest.name)
    if (known && known.source.place !== 'remote')
      throw new PluginError('plugin.exists', `${manifest.name} runs in the engine already`)
    if (known?.row.state === 'disabled') throw new PluginError('plugin.disabled', `${manifest.name} is disabled by the operator`)
    const attached = known ?? (await this.#newRemote(manifest))
    const asks = attached.row.state === 'pending' ? ['approval'] : beyondGrant(manifest, attached.row.grant as Grant)
    if (asks.length > 0) return this.#wait({ instance, manifest }, asks)
    await this.#join(attached, { instance, manifest })
    return { ok: true }
  }

  async #newRemote(manifest: ManifestShape): Promise<Attached> {
    this.#checkBounds(manifest)
    const isApproved = listed(this.#parts.config.pluginsApproved).includes(manifest.name)
    const row: PluginRow = {
      ...this.#row(manifest, isApproved ? 'configuration' : ''),
      grant: isApproved ? grantOf(manifest) : { calls: [], hooks: [], high: [], domains: [] },
      settings: {},
      settingsVersion: 1,
      state: isApproved ? 'approved' : 'pending',
      place: 'remote',
      source: '',
    }
    await this.#parts.store.putPlugin(row)
    return this.#add(row, { place: 'remote', file: '', isConfigured: false })
  }

  /** Attached, but nothing of it is in force until the operator approves. */
  #wait(pending: PendingInstance, asks: readonly string[]): AttachVerdict {
    const { name, instance, channel } = pending.instance
    const waiting = this.#pending.get(name) ?? []
    if (waiting.length >= pendingInstancesMax)
      throw new PluginError('plugin.too_many', `${pendingInstancesMax} instances wait for approval already`)
    this.#pending.set(name, [...waiting, pending])
    channel.open({
      onText: () => {},
      onCut: () => {},
      onClose: () => this.#forgetPending(name, pending),
    })
    this.#parts.log.warn({ plugin: name, instance, asks }, 'plugin waits for approval')
    return { ok: true }
  }

  #forgetPending(name: string, pending: PendingInstance): void {
    const left = (this.#pending.get(name) ?? []).filter((other) => other !== pending)
    if (left.length > 0) this.#pending.set(name, left)
    else this.#pending.delete(name)
  }

  #dropPending(name: string, reason: string): void {
    for (const { instance } of this.#pending.get(name) ?? []) instance.channel.close(reason)
    this.#pending.delete(name)
  }

  /**
   * Another instance of what is in force, or the first one of another version: that takes over when it can be asked, and not before.
   * It must not be older than what is healthy now.
   */
  async #join(attached: Attached, { instance, manifest }: PendingInstance): Promise<void> {
    const current = attached.place as RemotePlace | undefined
    const same = [attached.next, current].find((place) => place && manifestHash(place.manifest) === manifestHash(manifest))
    if (same) {
      if (same.size >= instancesMax) throw new PluginError('plugin.too_many', `${instancesMax} instances are attached`)
      // On standby, after a start of the engine or an approval: nobody has opened its tables yet.
      if (same.size === 0 && manifest.migrations.length > 0) await this.#parts.dbs.open(manifest.name, manifest.migrations)
      same.join(instance.instance, instance.channel)
      return
    }
    for (const place of [attached.next, current])
      if (place?.isHealthy && isOlder(manifest.version, place.manifest.version))
        throw new PluginError(
          'plugin.bad_state',
          `version ${place.manifest.version} is attached and healthy: ${manifest.version} is older`,
        )
    this.#checkBounds(manifest)
    if (manifest.migrations.length > 0) await this.#parts.dbs.open(manifest.name, manifest.migrations)
    const { row, name } = attached
    const place = new RemotePlace(manifest, this.#placeParts({ name, manifest, attached }))
    await place.start(row.settingsVersion, row.settings)
    place.join(instance.instance, instance.channel)
    void attached.next?.stop(0)
    attached.next = place
    // The instance gets its answer first: it cannot be ready before.
    void place
      .firstReady()
      .then((isReady) => this.#inTurn(name, () => this.#takeOver(attached, place, isReady)))
      .catch((error) => this.#parts.onError(error, `plugin ${name}`))
  }

  async #takeOver(attached: Attached, place: RemotePlace, isReady: boolean): Promise<void> {
    if (attached.next !== place) return // replaced, or the plugin was let go
    if (!isReady) {
      attached.next = undefined
      return
    }
    const row = { ...attached.row, manifest: place.manifest }
    await this.#parts.store.putPlugin(row)
    const old = attached.place
    attached.row = row
    attached.next = undefined
    attached.place = place
    this.#changeOver(attached)
    void old?.stop(this.#parts.config.pluginDrainMs)
  }

  // ------------------------------------------------------------------ what operators decide

  /** Grant what the plugin asks for now. */
  async approve(name: string, by: string): Promise<void> {
    await this.#inTurn(name, async () => {
      const attached = this.#find(name)
      const waiting = this.#pending.get(name) ?? []
      const manifest = waiting.at(-1)?.manifest ?? attached.manifest
      await this.#decide(attached, by, { state: 'approved', grant: grantOf(manifest), manifest })
      this.#pending.delete(name)
      if (!attached.place && attached.source.place === 'remote') this.#standBy(attached)
      this.#changeOver(attached)
      for (const pending of waiting) await this.#joinApproved(attached, pending)
    })
    await this.#announce('plugin.changed', { plugin: name, change: 'approved', by })
  }

  /** Those that wait may be of several versions: what was approved is the newest that asked. */
  async #joinApproved(attached: Attached, pending: PendingInstance): Promise<void> {
    const { channel, instance } = pending.instance
    try {
      const asks = beyondGrant(pending.manifest, attached.row.grant as Grant)
      if (asks.length > 0) throw new PluginError('plugin.bad_state', `it asks for more than was approved: ${asks.join(', ')}`)
      await this.#join(attached, pending)
    } catch (error) {
      this.#parts.log.warn({ plugin: attached.name, instance, err: error }, 'instance was not taken')
      channel.close((error as Error).message)
    }
  }

  /** Out of force, and nobody may attach under this name until `enable`. */
  async disable(name: string, by: string): Promise<void> {
    await this.#inTurn(name, async () => {
      const attached = this.#find(name)
      await this.#decide(attached, by, { state: 'disabled' })
      this.#changeOver(attached)
      this.#dropPending(name, 'disabled')
      await this.#letGo(attached)
    })
    await this.#announce('plugin.changed', { plugin: name, change: 'disabled', by })
  }

  async enable(name: string, by: string): Promise<void> {
    const attached = this.#find(name)
    if (attached.row.state !== 'disabled') throw new PluginError('plugin.bad_state', `${name} is not disabled`)
    await this.#inTurn(name, () => this.#decide(attached, by, { state: 'approved' }))
    if (attached.source.place === 'remote') this.#standBy(attached)
    else if (attached.source.file !== '') await this.update(name, by)
    await this.#announce('plugin.changed', { plugin: name, change: 'enabled', by })
  }

  /** `version`: the one that the caller has seen; another in force is a conflict. Answers the new one. */
  async configure(name: string, patch: Readonly<Record<string, unknown>>, by: string, version?: number): Promise<number> {
    return this.#inTurn(name, async () => {
      const attached = this.#find(name)
      const { settings, settingsVersion } = attached.row
      if (version !== undefined && version !== settingsVersion)
        throw new PluginError('plugin.stale', `the settings are at version ${settingsVersion} now`)
      const merged = { ...knownSettings(attached.manifest.settings, settings), ...patch }
      const problem = settingsProblem(attached.manifest.settings, merged)
      if (problem !== undefined) throw new PluginError('plugin.bad_settings', problem)
      await this.#decide(attached, by, { settings: merged, settingsVersion: settingsVersion + 1 })
      attached.unfit = undefined
      for (const place of [attached.place, attached.next]) place?.configure(settingsVersion + 1, merged)
      await this.#announce('plugin.changed', { plugin: name, change: 'settings', by })
      return settingsVersion + 1
    })
  }

  async #decide(attached: Attached, by: string, change: Partial<PluginRow>): Promise<void> {
    const row = { ...attached.row, ...change, changedAt: this.#parts.clock.now(), changedBy: by }
    await this.#parts.store.putPlugin(row)
    attached.row = row
  }

  list(): PluginInfo[] {
    return [...this.#byName.keys()].sort().map((name) => this.describe(name))
  }

  /** Throws `plugin.not_found`. */
  describe(name: string): PluginInfo {
    const attached = this.#find(name)
    const { row, manifest, place, consumer, live } = attached
    const waiting = this.#pending.get(name) ?? []
    const asked = waiting.at(-1)?.manifest ?? (row.state === 'pending' ? manifest : undefined)
    return {
      name,
      version: manifest.version,
      description: manifest.description,
      place: attached.source.place,
      file: attached.source.file,
      state: this.#stateOf(attached),
      asks: asked ? beyondGrant(asked, row.grant as Grant) : [],
      domains: manifest.domains,
      settings: row.settings,
      settingsVersion: row.settingsVersion,
      settingsSchema: manifest.settings,
      unfitSettings: attached.unfit?.msg ?? '',
      lastError: attached.lastError,
      instances: [
        ...(place?.instances() ?? []),
        ...waiting.map(({ instance }) => ({ instance: instance.instance, state: 'starting' as const, since: 0, underWay: 0 })),
      ],
      hooks: [...attached.meters.values()].map((meters) => {
        const { kind, on, calls, timeouts, failures, unavailable, policy, allow, deny, shadow, hold, challenge } = meters
        const counts = { kind, on, calls, timeouts, failures, unavailable, policy, ...meters.percentiles() }
        return kind === 'guard' ? { ...counts, verdicts: { allow, deny, shadow, hold, challenge } } : counts
      }),
      events: consumer && { lag: consumer.lag(), ...pick(consumer.stats) },
      live: live && { ...live.stats },
      calls: place?.counts.calls ?? 0,
      callsRefused: place?.counts.callsRefused ?? 0,
      changedAt: row.changedAt,
      changedBy: row.changedBy,
    }
  }

  #stateOf({ row, place, name }: Attached): PluginState {
    if (row.state === 'pending' || this.#pending.has(name)) return 'pending'
    if (row.state === 'disabled') return 'disabled'
    if (!place || place.instances().length === 0) return 'detached'
    return place.isHealthy ? 'attached' : 'degraded'
  }

  /** Its consumer of the room log: dead letters are replayed, the cursor is set back, through it. */
  consumerOf(name: string): Consumer | undefined {
    return this.#find(name).consumer
  }

  // ------------------------------------------------------------------ what is in force

  /** Every list of hooks anew, in one turn: whoever asks next asks the new ones. */
  #changeOver(changed: Attached | undefined): void {
    const active = [...this.#byName.values()].filter(({ isActive }) => isActive)
    this.#bindGuards(active)
    this.#bindTransforms(active)
    this.#commands.clear()
    this.#liveHooks = new Map()
    for (const attached of active) {
      for (const { index, spec } of attached.hooks('command')) {
        this.#meters(attached, 'command', spec.on)
        this.#commands.set(spec.on, { attached, index, spec })
      }
      for (const { spec } of [...attached.hooks('charge'), ...attached.hooks('route')]) this.#meters(attached, spec.kind, spec.on)
      this.#bindLive(attached)
    }
    if (changed) this.#bindOwn(changed)
  }

  #bindGuards(active: readonly Attached[]): void {
    const lists = new Map<string, BoundGuard[]>([...this.guards.commands()].map((on) => [on, []]))
    for (const attached of active) {
      const place = attached.place as Place
      for (const { index, spec } of attached.hooks('guard')) {
        const { on, order, budgetMs, onFailure } = spec
        const check: BoundGuard['check'] = (ask) => place.check(index, ask, budgetMs)
        const bound = {
          plugin: attached.name,
          domains: attached.manifest.domains,
          order,
          onFailure,
          meters: this.#meters(attached, 'guard', on),
          check,
        }
        lists.set(on, [...(lists.get(on) ?? []), bound])
      }
    }
    for (const [on, list] of lists) this.guards.set(on, list)
  }

  #bindTransforms(active: readonly Attached[]): void {
    const lists = new Map<string, BoundTransform[]>([...this.transforms.commands()].map((on) => [on, []]))
    for (const attached of active) {
      const place = attached.place as Place
      for (const { index, spec } of attached.hooks('transform')) {
        const { on, order, budgetMs } = spec
        const check: BoundTransform['check'] = (ask) => place.check(index, ask, budgetMs)
        const bound = { plugin: attached.name, order, meters: this.#meters(attached, 'transform', on), check }
        lists.set(on, [...(lists.get(on) ?? []), bound])
      }
    }
    for (const [on, list] of lists) this.transforms.set(on, list)
  }

  #bindLive(attached: Attached): void {
    attached.eventHooks.clear()
    for (const { index, spec } of attached.hooks('event')) {
      attached.eventHooks.set(spec.on, { index, budgetMs: spec.budgetMs })
      this.#meters(attached, 'event', spec.on)
      if (!isDurable(spec.on, this.#parts.config.logDanmaku))
        this.#liveHooks.set(spec.on, [...(this.#liveHooks.get(spec.on) ?? []), attached])
    }
  }

  /** What belongs to one plugin alone: its schedules and its readers of events. */
  #bindOwn(attached: Attached): void {
    const { config } = this.#parts
    const schedules = attached.isActive ? attached.hooks('schedule') : []
    attached.schedules.set(
      schedules.map(({ index, spec }) => {
        this.#meters(attached, 'schedule', spec.on)
        const hook = { index, kind: 'schedule' as const, on: spec.on }
        const options = { key: `schedule ${spec.on}`, budgetMs: spec.budgetMs }
        return { name: spec.on, everyMs: spec.everyMs, run: (at) => attached.run(hook, at, options) }
      }),
    )
    const names = attached.isActive ? [...attached.eventHooks.keys()] : []
    const isWanted = (t: string) => isDurable(t, config.logDanmaku)
    if (names.some(isWanted)) this.#consume(attached)
    else void this.#stopConsumer(attached)
    if (names.some((t) => !isWanted(t))) attached.live ??= this.#liveEvents(attached)
  }

  #consume(attached: Attached): void {
    if (attached.consumer) return attached.consumer.resume()
    const { store, clock, log } = this.#parts
    const plugin = attached.name
    const consumer = new Consumer({
      key: plugin,
      store,
      clock,
      startAt: 'end',
      limits: consumerLimits,
      wants: ({ row }) => attached.eventHooks.has(row.t) && row.only === undefined,
      deliver: (entry, attempt) => this.#deliver(attached, eventOf(entry, attempt)),
      onRetry: ({ row }, { attempt, error }) => {
        if (this.#mayLog(plugin))
          log.warn({ plugin, event: row.t, eid: row.eid, attempt, err: error }, 'event is delivered again')
      },
      onDead: ({ row }, error) => log.error({ plugin, event: row.t, eid: row.eid, err: error }, 'event is a dead letter now'),
      onError: (error, where) => this.#parts.onError(error, `plugin ${plugin}: ${where}`),
    })
    attached.consumer = consumer
    this.#startConsumer(attached, consumer)
  }

  /** After the one before it has written its cursor, which it would otherwise write over; again when the store fails. */
  #startConsumer(attached: Attached, consumer: Consumer): void {
    const start = async () => {
      await attached.consumerEnded
      if (attached.consumer === consumer) await consumer.start()
    }
    start().catch((error) => {
      this.#parts.onError(error, `plugin ${attached.name}: events`)
      this.#parts.liveClock.after(consumerAgainMs, () => {
        if (attached.consumer === consumer) this.#startConsumer(attached, consumer)
      })
    })
  }

  #stopConsumer(attached: Attached): Promise<void> {
    const { consumer } = attached
    attached.consumer = undefined
    if (consumer)
      attached.consumerEnded = consumer.stop().catch((error) => this.#parts.onError(error, `plugin ${attached.name}: events`))
    return attached.consumerEnded
  }

  #liveEvents(attached: Attached): LiveEvents<PluginEvent<unknown>> {
    return new LiveEvents({
      queueMax: this.#parts.config.pluginLiveEventsMax,
      inFlightMax: 64,
      deliver: (event) => this.#deliver(attached, event),
      onError: (error, event) => this.#hookFailed(attached.name, `event ${event.t}`, error),
    })
  }

  async #deliver(attached: Attached, event: PluginEvent<unknown>): Promise<void> {
    const hook = attached.eventHooks.get(event.t)
    if (!hook) return // gone with an update
    const { index, budgetMs } = hook
    await attached.run({ index, kind: 'event', on: event.t }, event, { key: event.room, budgetMs })
  }

  /** What a room committed: for hooks on events that are in no log. */
  committed(home: Home, events: readonly RoomEvent[]): void {
    if (this.#liveHooks.size === 0) return
    for (const event of events) {
      // What only one user may see (shadowed) is not for plugins to repeat.
      const wanting = event.only === undefined ? this.#liveHooks.get(event.t) : undefined
      if (!wanting) continue
      const { t, seq, at, eid, actor, d, hops } = event
      for (const attached of wanting)
        attached.live?.push({ t, room: home.id, epoch: home.epoch, seq, at, eid, actor, d, attempt: 1, hops })
    }
  }

  #meters(attached: Attached, kind: Parameters<Attached['metersOf']>[0], on: string) {
    return attached.metersOf(kind, on, (meters) => {
      try {
        exportHook(this.#parts.metrics, attached.name, meters)
      } catch (error) {
        // The page takes so many combinations of labels; the hook works without being shown there.
        this.#parts.onError(error, `metrics of plugin ${attached.name}`)
      }
    })
  }

  // ------------------------------------------------------------------ commands of plugins

  find(name: string): PluginCommand | undefined {
    return this.#commands.get(name)?.spec
  }

  names(): Iterable<string> {
    return this.#commands.keys()
  }

  run(call: Call, home: Home | undefined): void {
    const owner = this.#commands.get(call.t)
    if (!owner) return refuse(call, 'plugin.unavailable', { retryAfterMs: 1_000 })
    const ask = this.#askOf(call, home)
    if (!this.guards.has(call.t)) return this.#runOwned(call, owner, ask)
    const decide = ({ verdict }: Ruling) => {
      const refused = refusalOfVerdict(verdict)
      if (refused) call.answer(refused)
      else this.#runOwned(call, owner, ask)
    }
    const ruling = this.guards.ask(call.t, ask)
    if (ruling instanceof Promise) void ruling.then(decide)
    else decide(ruling)
  }

  #askOf(call: Call, home: Home | undefined): CommandAsk<unknown> {
    const { userId, name, anonymous, scope } = call.actor
    const from = home?.asker(call.actor) ?? { userId, name, anonymous, ranks: ranksOfScope(scope) }
    return { room: home?.id ?? '', at: call.at, from, d: call.d, ...(call.ik === undefined ? {} : { ik: call.ik }) }
  }

  #runOwned(
    call: Call,
    { attached, index, spec }: { attached: Attached; index: number; spec: HookOf<'command'> },
    ask: CommandAsk<unknown>,
  ) {
    const hook = { index, kind: 'command' as const, on: spec.on }
    attached.run(hook, ask, { key: ask.room || ask.from.userId, budgetMs: spec.budgetMs }).then(
      (d) => {
        const fits = d === undefined || (typeof d === 'object' && Buffer.byteLength(JSON.stringify(d)) <= replyBytesMax)
        if (fits) accept(call, d ?? {})
        else refuse(call, 'plugin.failed', { msg: 'The plugin gave an answer that cannot be sent.' })
      },
      (error: Error & { code?: string; retryAfterMs?: number }) => this.#refuseOwned(call, attached, error),
    )
  }

  #refuseOwned(
    call: Call,
    attached: Attached,
    { code, message, retryAfterMs }: Error & { code?: string; retryAfterMs?: number },
  ): void {
    const unavailable = code === 'plugin.unavailable' || code === 'plugin.late' || code === 'plugin.lost'
    if (unavailable) return refuse(call, 'plugin.unavailable', { retryAfterMs: 1_000 })
    const isOwn = code !== 'plugin.failed' && isPluginsCode(code, attached.name, attached.manifest.domains)
    if (isOwn) return refuse(call, code, { msg: message, ...waitOf(retryAfterMs) })
    this.#hookFailed(attached.name, `command ${call.t}`, new Error(message))
    refuse(call, 'plugin.failed')
  }

  // ------------------------------------------------------------------ charges and routes

  /** Ask the one owner of a charge. A late, failed or missing owner is a refusal: nothing has happened then. */
  async charge(on: ChargedCommand, ask: CommandAsk<Readonly<Record<string, unknown>>>): Promise<ChargeAnswer> {
    const attached = this.#byName.get(this.#parts.config.chargeOwner)
    const found = attached?.isActive ? attached.hooks('charge').find(({ spec }) => spec.on === on) : undefined
    const closed: ChargeAnswer = { kind: 'deny', code: 'plugin.unavailable' }
    if (!attached || !found) return closed
    const { index, spec } = found
    try {
      const answer = await attached.run({ index, kind: 'charge', on }, ask, { key: ask.room, budgetMs: spec.budgetMs })
      return soundCharge(answer, attached.name) ?? closed
    } catch (error) {
      this.#hookFailed(attached.name, `charge ${on}`, error)
      return closed
    }
  }

  /** The HTTP routes of a plugin: `['GET /questions/:id', summary]`. */
  routesOf(name: string): { index: number; spec: HookOf<'route'> }[] {
    const attached = this.#byName.get(name)
    return attached?.isActive ? attached.hooks('route') : []
  }

  /** Rejects with a `CallError`. */
  route(name: string, index: number, request: unknown): Promise<unknown> {
    const attached = this.#find(name)
    const spec = attached.manifest.hooks[index] as HookOf<'route'>
    return attached.run({ index, kind: 'route', on: spec.on }, request, { key: spec.on, budgetMs: spec.budgetMs })
  }

  // ------------------------------------------------------------------ what places tell

  #placeParts(about: About): PlaceParts {
    const { clock, liveClock, log } = this.#parts
    const events: PlaceEvents = {
      onCall: (call, d, cause) => this.#onCall(about, call, d, cause),
      onInstance: (change, instance, reason) => this.#onInstance(about, change, instance, reason),
      onUnfit: (version, msg) => {
        const reason = msg.slice(0, 500)
        if (about.attached) about.attached.unfit = { version, msg: reason }
        if (this.#mayLog(about.name))
          log.error({ plugin: about.name, settingsVersion: version, reason }, 'plugin does not take its settings')
      },
      onLog: (level, fields, msg) => {
        if (level === 'debug' || this.#mayLog(about.name)) log[level]({ ...fields, plugin: about.name }, msg)
      },
      onCount: (metric, by) => this.#count(about.name, metric, by),
    }
    return { clock, liveClock, log, events }
  }

  async #onCall({ attached, manifest }: About, call: string, d: unknown, cause: unknown): Promise<unknown> {
    if (!attached) throw new CallError('call.not_granted', 'the plugin is not attached')
    // By its own manifest: while a new version takes over, each has the rights that it declared.
    return this.#calls.run({ manifest: manifest ?? attached.manifest, grant: attached.row.grant as Grant }, call, d, cause)
  }

  #onInstance(about: About, change: Parameters<PlaceEvents['onInstance']>[0], instance: string, reason: string): void {
    const { attached, manifest, name } = about
    const { log } = this.#parts
    if (change === 'attached' || change === 'recovered') attached?.consumer?.resume()
    if (change === 'degraded') log.warn({ plugin: name, instance, reason }, 'plugin degraded')
    else log.info({ plugin: name, instance, reason }, `plugin ${change}`)
    const told =
      change === 'attached'
        ? this.#announce('plugin.attached', {
            plugin: name,
            version: manifest?.version ?? '',
            place: attached?.source.place ?? '',
            instance,
          })
        : change === 'recovered'
          ? this.#announce('plugin.recovered', { plugin: name, instance })
          : this.#announce(`plugin.${change}`, { plugin: name, instance, reason })
    void told
  }

  /** A fact about plugins: in the log of the engine and in the room log (without a room), where event hooks find it. */
  async #announce<T extends SystemEventName>(t: T, d: SystemEvents[T]): Promise<void> {
    const { clock, newId, store } = this.#parts
    if (this.#stopping) return
    const at = clock.now()
    const actor = 'by' in d && d.by !== '' ? d.by : actorOf(d.plugin).userId
    store.appendLog('', [{ eid: newId(at), t, at, actor, d, epoch: 0, seq: ++this.#systemSeq }])
  }

  #hookFailed(plugin: string, hook: string, error: unknown): void {
    if (this.#mayLog(plugin)) this.#parts.log.warn({ plugin, hook, err: error }, 'hook of a plugin gave no answer')
  }

  /** A sick plugin writes many lines; a few of them say it all. */
  #mayLog(plugin: string): boolean {
    const now = this.#parts.clock.now()
    const lines = this.#lines.get(plugin)
    if (!lines || now - lines.at > noise.windowMs) {
      this.#lines.set(plugin, { at: now, count: 1 })
      return true
    }
    return ++lines.count <= noise.linesMax
  }

  // ------------------------------------------------------------------ numbers

  #count(plugin: string, name: string, by: number): void {
    if (!/^[a-z][a-z0-9_]{0,47}$/.test(name) || !(by >= 0) || !Number.isFinite(by)) return
    let counts = this.#ownCounts.get(plugin)
    if (!counts) this.#ownCounts.set(plugin, (counts = new Map()))
    let count = counts.get(name)
    if (!count) {
      if (counts.size >= nameMetricsMax) return
      count = { value: 0 }
      counts.set(name, count)
      this.#exportOwn(plugin, name, count)
    }
    count.value += by
  }

  #exportOwn(plugin: string, name: string, count: { value: number }): void {
    const { name: metric, help } = pluginMetrics.own
    try {
      this.#parts.metrics.total(metric, help, () => count.value, { plugin, name })
    } catch (error) {
      this.#parts.onError(error, `metrics of plugin ${plugin}`)
    }
  }

  #describeMetrics(): void {
    const { metrics } = this.#parts
    const sum = (pick: (attached: Attached) => number) => () => {
      let total = 0
      for (const attached of this.#byName.values()) total += pick(attached)
      return total
    }
    const { attached, instances, batches, items, late, rubbish, lag, dropped } = pluginMetrics
    metrics.gauge(
      attached.name,
      attached.help,
      sum((one) => (one.isActive ? 1 : 0)),
    )
    metrics.gauge(
      instances.name,
      instances.help,
      sum((one) => one.place?.instances().filter(({ state }) => state === 'healthy').length ?? 0),
    )
    metrics.total(
      batches.name,
      batches.help,
      sum((one) => one.place?.counts.batches ?? 0),
    )
    metrics.total(
      items.name,
      items.help,
      sum((one) => one.place?.counts.items ?? 0),
    )
    metrics.total(
      late.name,
      late.help,
      sum((one) => one.place?.counts.late ?? 0),
    )
    metrics.total(
      rubbish.name,
      rubbish.help,
      sum((one) => one.place?.counts.rubbish ?? 0),
    )
    metrics.gauge(lag.name, lag.help, () =>
      Math.max(0, ...[...this.#byName.values()].map(({ consumer }) => consumer?.lag() ?? 0)),
    )
    metrics.total(
      dropped.name,
      dropped.help,
      sum((one) => one.live?.stats.dropped ?? 0),
    )
  }

  // ------------------------------------------------------------------ small things

  #find(name: string): Attached {
    const attached = this.#byName.get(name)
    if (!attached) throw new PluginError('plugin.not_found', `there is no plugin ${name.slice(0, 64)}`)
    return attached
  }

  #add(row: PluginRow, source: PluginSource): Attached {
    const attached = new Attached(row, source, this.#parts.clock, (error, schedule) => {
      this.#hookFailed(row.name, `schedule ${schedule}`, error)
    })
    this.#byName.set(row.name, attached)
    return attached
  }

  #row(manifest: ManifestShape, by: string): Pick<PluginRow, 'name' | 'manifest' | 'changedAt' | 'changedBy'> {
    return { name: manifest.name, manifest, changedAt: this.#parts.clock.now(), changedBy: by }
  }

  #checkBounds(manifest: ManifestShape): void {
    const others = [...this.#byName.values()].filter(({ name }) => name !== manifest.name)
    const { pluginsMax } = this.#parts.config
    if (others.length >= pluginsMax) throw new PluginError('plugin.too_many', `${pluginsMax} plugins are known (pluginsMax)`)
    const hooks = others.reduce((sum, other) => sum + other.manifest.hooks.length, manifest.hooks.length)
    if (hooks > hooksInAllMax) throw new PluginError('plugin.too_many', `all plugins together may have ${hooksInAllMax} hooks`)
    for (const { kind, on } of manifest.hooks)
      if (kind === 'command' && (Object.hasOwn(coreCommands, on) || codecOf(on)))
        throw new ManifestError('plugin.bad_manifest', `${on} is a command of the engine`)
    for (const domain of manifest.domains) {
      const owner = others.find((other) => other.manifest.domains.includes(domain))
      if (owner) throw new PluginError('plugin.exists', `the domain ${domain} belongs to the plugin ${owner.name}`)
    }
  }

  async #inTurn<T>(name: string, change: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(name) ?? Promise.resolve()
    const turn = before.then(change, change)
    const settled = turn.catch(() => {})
    this.#turns.set(name, settled)
    try {
      return await turn
    } finally {
      if (this.#turns.get(name) === settled) this.#turns.delete(name)
    }
  }
}

export const pluginMetrics = {
  ...hookMetrics,
  own: { name: 'livehouse_plugin_own_total', help: 'Numbers that plugins count themselves.' },
  attached: { name: 'livehouse_plugins', help: 'Plugins whose hooks are in force.' },
  instances: { name: 'livehouse_plugin_instances', help: 'Healthy instances of plugins.' },
  batches: { name: 'livehouse_plugin_batches_total', help: 'Batches of checks to plugins in other places.' },
  items: { name: 'livehouse_plugin_batch_items_total', help: 'Checks in them.' },
  late: { name: 'livehouse_plugin_late_answers_total', help: 'Answers that came after their time and were dropped.' },
  rubbish: { name: 'livehouse_plugin_rubbish_total', help: 'Messages of plugins that were none.' },
  lag: { name: 'livehouse_plugin_events_lag', help: 'Rows of the room log that the slowest plugin has not read.' },
  dropped: { name: 'livehouse_plugin_live_events_dropped_total', help: 'Events in no log that a plugin was too slow for.' },
} as const

const listed = (text: string): string[] =>
  text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')

/** `./a.ts, ./b.ts@inline, monetization`: worker unless it says otherwise; a bare name is a plugin that comes with the engine. */
export function configuredPlugins(text: string): { file: string; place: 'inline' | 'worker' }[] {
  return listed(text).map((one) => {
    const [, file = one, place = 'worker'] = /^(.*)@(inline|worker)$/.exec(one) ?? []
    return { file: bareNamePattern.test(file) ? ownPlugin(file) : file, place: place as 'inline' | 'worker' }
  })
}

const bareNamePattern = new RegExp(pluginNamePattern)
/** Beside this code, as a source or as it was built. */
const ownPlugin = (name: string): string =>
  fileURLToPath(new URL(`../../plugins/${name}/plugin${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url))

function isOlder(version: string, than: string): boolean {
  const [a, b] = [version.split('.').map(Number), than.split('.').map(Number)]
  for (let i = 0; i < 3; i++) if (a[i] !== b[i]) return (a[i] as number) < (b[i] as number)
  return false
}

const eventOf = ({ roomId, epoch, seq, row }: LogEntry, attempt: number): PluginEvent<unknown> => {
  const { t, at, eid, actor, d, hops = 0 } = row
  return { t, room: roomId, epoch, seq, at, eid, actor, d, attempt, hops }
}

const retryAfterMsMax = 3_600_000
const waitOf = (ms: unknown): { retryAfterMs?: number } =>
  typeof ms === 'number' && ms >= 0 ? { retryAfterMs: Math.min(Math.ceil(ms), retryAfterMsMax) } : {}

/** Without those that an older version had: nobody could take them out by hand. */
function knownSettings(schema: Readonly<Record<string, unknown>>, settings: unknown): object {
  const { properties, patternProperties, additionalProperties } = schema
  if (patternProperties !== undefined || additionalProperties) return Object(settings) as object
  return Object.fromEntries(Object.entries(Object(settings)).filter(([name]) => Object.hasOwn(Object(properties), name)))
}

const pick = ({ delivered, retried, dead, skipped }: Consumer['stats']) => ({ delivered, retried, dead, skipped })

function soundCharge(answer: unknown, plugin: string): ChargeAnswer | undefined {
  const { kind, code, msg, template } = Object(answer) as Record<string, unknown>
  if (kind === 'deny' && isPluginsCode(code, plugin))
    return typeof msg === 'string' ? { kind, code, msg: msg.slice(0, 500) } : { kind, code }
  if (kind !== 'post') return undefined
  const { valueCoin, payFrom, split, contractVersion, catalogVersion } = Object(template) as Record<string, unknown>
  const isId = (value: unknown): value is string => typeof value === 'string' && value.length > 0 && value.length <= 128
  if (!Number.isSafeInteger(valueCoin) || (valueCoin as number) <= 0 || !isId(contractVersion) || !isId(catalogVersion))
    return undefined
  if (!Array.isArray(payFrom) || payFrom.length === 0 || payFrom.length > 8 || !payFrom.every(isId)) return undefined
  if (!Array.isArray(split) || split.length === 0 || split.length > 16) return undefined
  const shares = split.map((share) => Object(share) as { to: unknown; bps: unknown })
  const isShare = ({ to, bps }: { to: unknown; bps: unknown }) => isId(to) && Number.isInteger(bps) && (bps as number) >= 0
  if (!shares.every(isShare) || shares.reduce((sum, { bps }) => sum + (bps as number), 0) > 10_000) return undefined
  const show = soundShow((template as { show?: unknown }).show)
  if (!show) return undefined
  return {
    kind,
    template: {
      valueCoin: valueCoin as number,
      payFrom,
      split: shares.map(({ to, bps }) => ({ to: to as string, bps: bps as number })),
      contractVersion,
      catalogVersion,
      show,
    },
  }
}

function soundShow(show: unknown): PostingTemplate['show'] | undefined {
  const { name, unitCoin, effectId, comboable, comboTimeoutMs } = Object(show) as Record<string, unknown>
  const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= 64
  if (!isText(name) || !isText(effectId) || typeof comboable !== 'boolean') return undefined
  if (!Number.isSafeInteger(unitCoin) || !Number.isInteger(comboTimeoutMs)) return undefined
  if ((comboTimeoutMs as number) < 0 || (comboTimeoutMs as number) > 10_000) return undefined
  return { name, unitCoin: unitCoin as number, effectId, comboable, comboTimeoutMs: comboTimeoutMs as number }
}

export { systemEvents }
