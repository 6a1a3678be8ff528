/**
 * All plugins of this engine: who they are, what the operator granted, where they run, and which hook is in force where.
 *
 *     attach -> manifest checked -> grant (configuration, operator, or `pending`) -> tables -> start -> hooks in force
 *     update    the new version is started beside the old one, hooks change over in one turn, the old one ends what is under way
 *     detach    hooks go in one turn, what is under way ends, then the plugin stops
 *
 * Rooms see `guards`, `transforms` and `commands`; what a room committed comes in by `committed`. A call from a plugin
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
import type { Answer } from '../room/call.ts'
import type { PluginCommands } from '../room/commands.ts'
import type { RoomEvent } from '../room/event.ts'
import type { Home } from '../room/home.ts'
import type { PluginRow, Store } from '../room/store.ts'
import { Attached, type PluginSource } from './attached.ts'
import { actorOf, type CallParts, Calls, type PluginCommandHead } from './calls.ts'
import { askCharge } from './charges.ts'
import type { Consumer } from './consumers.ts'
import { CallError } from './context.ts'
import type { AnyPlugin, CommandAsk } from './define.ts'
import { EventReaders } from './event-readers.ts'
import type { Guards } from './guards.ts'
import type { ChargeAnswer, ChargedCommand, SystemEventName, SystemEvents } from './hooks.ts'
import { InForce } from './in-force.ts'
import { InlinePlace } from './inline.ts'
import { loadPlugin } from './load.ts'
import { LogLimit } from './log-limit.ts'
import {
  beyondGrant,
  checkManifest,
  type Grant,
  grantOf,
  type HookKind,
  type HookOf,
  ManifestError,
  type ManifestShape,
  manifestHash,
  pluginNamePattern,
  readManifest,
} from './manifest.ts'
import { exportHook } from './meters.ts'
import { OwnedCommands } from './owned-commands.ts'
import type { Place, PlaceEvents, PlaceKind, PlaceParts } from './place.ts'
import type { PluginDbs } from './plugin-dbs.ts'
import { infoOf, type PluginInfo } from './plugin-info.ts'
import { exportPlugins, OwnNumbers } from './plugin-numbers.ts'
import type { AttachVerdict, RemoteInstance } from './remote.ts'
import { instancesMax, RemotePlace } from './remote-place.ts'
import { shapeProblem } from './settings.ts'
import type { Transforms } from './transforms.ts'
import { type PendingInstance, pendingInstancesMax, Waiting } from './waiting.ts'
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

/** A program's own object, or a file. */
export type AttachFrom = { plugin: AnyPlugin } | { file: string; place: 'inline' | 'worker' }

/** Whose place it is, for what it tells and asks; filled in as it becomes known. */
interface About {
  name: string
  manifest?: ManifestShape
  attached?: Attached
}
/** Label combinations of one metric are bounded; so is what can be labelled. */
const hooksInAllMax = 300

export class PluginHost {
  /** What rooms ask, and sessions. */
  readonly guards: Guards
  readonly transforms: Transforms
  readonly commands: PluginCommands
  readonly #parts: HostParts
  readonly #calls: Calls
  readonly #inForce: InForce
  readonly #readers: EventReaders
  readonly #waiting = new Waiting()
  readonly #byName = new Map<string, Attached>()
  /** One change of a plugin at a time. */
  readonly #turns = new Map<string, Promise<unknown>>()
  readonly #ownNumbers: OwnNumbers
  readonly #logLimit: LogLimit
  #systemSeq = 0
  /** Events without a room are ordered by (epoch, seq) too: an epoch is a start of the engine. */
  readonly #systemEpoch: number
  #stopping = false

  constructor(parts: HostParts) {
    this.#parts = parts
    this.#systemEpoch = parts.clock.now()
    const { config, log, metrics } = parts
    const onFailure = (plugin: string, hook: string, error: unknown) => this.#hookFailed(plugin, hook, error)
    const metersOf = (attached: Attached, kind: HookKind, on: string) =>
      attached.metersOf(kind, on, (meters) => {
        try {
          exportHook(metrics, attached.name, meters)
        } catch (error) {
          // The page takes so many combinations of labels; the hook works without being shown there.
          parts.onError(error, `metrics of plugin ${attached.name}`)
        }
      })
    const mayLog = (plugin: string) => this.#logLimit.allows(plugin)
    this.#logLimit = new LogLimit(parts.clock)
    this.#ownNumbers = new OwnNumbers(metrics, (error, where) => parts.onError(error, where))
    this.#inForce = new InForce({ logDanmaku: config.logDanmaku, metersOf, onFailure })
    this.#readers = new EventReaders({ ...parts, metersOf, mayLog, onFailure })
    this.guards = this.#inForce.guards
    this.transforms = this.#inForce.transforms
    this.commands = new OwnedCommands(this.#inForce, onFailure)
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
        if (mayLog(plugin)) log.warn({ plugin, call, code, reason: message }, 'call of a plugin refused')
      },
    })
    exportPlugins(metrics, () => this.#byName.values())
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

  /** In force without any instance: a remote plugin before its first one comes, a plugin whose file does not load any more. */
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
      // What it guarded with a closed guard stays closed until somebody mends or detaches it.
      this.#standBy(attached)
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

  /** Out of force, stopped and forgotten with its place in the log and its dead letters; its tables stay unless `purge`. */
  async detach(name: string, by: string, { purge = false } = {}): Promise<void> {
    const attached = this.#find(name)
    await this.#inTurn(name, async () => {
      this.#byName.delete(name)
      this.#changeOver(undefined)
      this.#waiting.drop(name, 'detached')
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
    const stopped = this.#readers.stop(attached)
    await place?.stop(this.#stopping ? Math.min(1_000, this.#parts.config.pluginDrainMs) : this.#parts.config.pluginDrainMs)
    await stopped
    attached.place = undefined
  }

  // ------------------------------------------------------------------ remote instances

  /** An instance proved whose it is. Whether it may work is decided here. */
  async onRemote(instance: RemoteInstance): Promise<AttachVerdict> {
    try {
      const manifest = readManifest(instance.manifestText)
      if (manifest.name !== instance.name) throw new ManifestError('plugin.bad_manifest', 'the manifest has another name')
      return await this.#inTurn(instance.name, () => this.#admit(instance, manifest))
    } catch (error) {
      if (error instanceof ManifestError || error instanceof PluginError)
        return { ok: false, code: error.code, msg: error.message }
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
    const { name, instance } = pending.instance
    if (!this.#waiting.add(pending))
      throw new PluginError('plugin.too_many', `${pendingInstancesMax} instances wait for approval already`)
    this.#parts.log.warn({ plugin: name, instance, asks }, 'plugin waits for approval')
    return { ok: true }
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
      if (place?.isHealthy && !isNewer(manifest.version, place.manifest.version))
        throw new PluginError(
          'plugin.bad_state',
          `version ${place.manifest.version} is attached and healthy, and ${manifest.version} is another plugin that is not newer`,
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

  /** Grant what the plugin asks for. `hash`: of the manifest that the operator has seen; if another one asks by now, nothing is granted. */
  async approve(name: string, by: string, hash?: string): Promise<void> {
    await this.#inTurn(name, async () => {
      const attached = this.#find(name)
      const manifest = this.#waiting.of(name).at(-1)?.manifest ?? attached.manifest
      if (hash !== undefined && hash !== manifestHash(manifest))
        throw new PluginError('plugin.stale', `${name} asks for something else by now: look again`)
      const waiting = this.#waiting.take(name)
      await this.#decide(attached, by, { state: 'approved', grant: grantOf(manifest), manifest })
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
      this.#waiting.drop(name, 'disabled')
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
      const problem = shapeProblem(attached.manifest.settings, merged)
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
    return infoOf(this.#find(name), this.#waiting.of(name))
  }

  /** Its consumer of the room log: dead letters are replayed, the cursor is set back, through it. */
  consumerOf(name: string): Consumer | undefined {
    return this.#find(name).consumer
  }

  // ------------------------------------------------------------------ what is in force

  #changeOver(changed: Attached | undefined): void {
    this.#inForce.changeOver(this.#byName.values())
    if (changed) this.#readers.bind(changed)
  }

  /** What a room committed: for hooks on events that are in no log. */
  committed(home: Home, events: readonly RoomEvent[]): void {
    if (!this.#inForce.hasLive) return
    for (const event of events) {
      // What only one user may see (shadowed) is not for plugins to repeat.
      const wanting = event.only === undefined ? this.#inForce.wanting(event.t) : undefined
      if (!wanting) continue
      const { t, seq, at, eid, actor, d, hops } = event
      for (const attached of wanting)
        attached.live?.push({ t, room: home.id, epoch: home.epoch, seq, at, eid, actor, d, attempt: 1, hops })
    }
  }

  /** Ask the one owner of a charge. */
  charge(on: ChargedCommand, ask: CommandAsk<Readonly<Record<string, unknown>>>): Promise<ChargeAnswer> {
    const { chargeOwner } = this.#parts.config
    const onFailure = (error: unknown) => this.#hookFailed(chargeOwner, `charge ${on}`, error)
    return askCharge(this.#byName.get(chargeOwner), on, { ask, onFailure })
  }

  /** The HTTP routes of a plugin, each with its place among its hooks. */
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
        if (this.#logLimit.allows(about.name))
          log.error({ plugin: about.name, settingsVersion: version, reason }, 'plugin does not take its settings')
      },
      onLog: (level, fields, msg) => {
        // Under a name of their own: fields of a plugin must not pass for ours.
        if (level === 'debug' || this.#logLimit.allows(about.name)) log[level]({ plugin: about.name, fields }, msg)
      },
      onCount: (metric, by) => this.#ownNumbers.add(about.name, metric, by),
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
    store.appendLog('', [{ eid: newId(at), t, at, actor, d, epoch: this.#systemEpoch, seq: ++this.#systemSeq }])
  }

  #hookFailed(plugin: string, hook: string, error: unknown): void {
    if (this.#logLimit.allows(plugin)) this.#parts.log.warn({ plugin, hook, err: error }, 'hook of a plugin gave no answer')
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

function isNewer(version: string, than: string): boolean {
  const [a, b] = [version.split('.').map(Number), than.split('.').map(Number)]
  for (let i = 0; i < 3; i++) if (a[i] !== b[i]) return (a[i] as number) > (b[i] as number)
  return false
}

/** Without those that an older version had: nobody could take them out by hand. */
function knownSettings(schema: Readonly<Record<string, unknown>>, settings: unknown): object {
  const { properties, patternProperties, additionalProperties } = schema
  if (patternProperties !== undefined || additionalProperties) return Object(settings) as object
  return Object.fromEntries(Object.entries(Object(settings)).filter(([name]) => Object.hasOwn(Object(properties), name)))
}
