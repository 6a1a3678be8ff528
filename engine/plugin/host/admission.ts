/**
 * Instances of remote plugins: which of them may work, and in which place they come together.
 *
 *     proved whose it is -> known, or `pending` -> within its grant? joins : waits for the operator
 *     joins    the place of its version; the first of a newer one makes a place beside, which takes over when it can be asked
 *
 * A remote plugin that was approved is in force even before its first instance (`standBy`): a closed guard stays closed.
 */
import type { Log } from '../../base/log.ts'
import type { Config } from '../../config.ts'
import type { PluginRow, Store } from '../../room/store.ts'
import type { PluginDbs } from '../db/plugin-dbs.ts'
import {
  beyondGrant,
  checkManifest,
  type Grant,
  grantOf,
  ManifestError,
  type ManifestShape,
  manifestHash,
  readManifest,
} from '../manifest.ts'
import { instancesMax, RemotePlace } from '../places/remote-place.ts'
import type { AttachVerdict, RemoteInstance } from '../remote/remote.ts'
import type { Attached } from './attached.ts'
import { listed } from './configured-plugins.ts'
import type { PlaceReports } from './place-reports.ts'
import { PluginError } from './plugin-error.ts'
import type { Registry } from './registry.ts'
import { type PendingInstance, pendingInstancesMax, type Waiting } from './waiting.ts'

export interface AdmissionParts {
  config: Config
  store: Store
  dbs: PluginDbs
  log: Log
  registry: Registry
  waiting: Waiting
  reports: PlaceReports
  /** Its place changed: bring its hooks in force. */
  changeOver(attached: Attached): void
  onError(error: unknown, where: string): void
}

export class Admission {
  readonly #parts: AdmissionParts

  constructor(parts: AdmissionParts) {
    this.#parts = parts
  }

  /** An instance proved whose it is. Whether it may work is decided here. */
  async onRemote(instance: RemoteInstance): Promise<AttachVerdict> {
    try {
      const manifest = readManifest(instance.manifestText)
      if (manifest.name !== instance.name) throw new ManifestError('plugin.bad_manifest', 'the manifest has another name')
      return await this.#parts.registry.inTurn(instance.name, () => this.#admit(instance, manifest))
    } catch (error) {
      if (error instanceof ManifestError || error instanceof PluginError)
        return { ok: false, code: error.code, msg: error.message }
      this.#parts.onError(error, `plugin ${instance.name}`)
      return { ok: false, code: 'plugin.failed', msg: 'the engine failed; it is logged' }
    }
  }

  /** In force without any instance: a remote plugin before its first one comes, a plugin whose file does not load any more. */
  standBy(attached: Attached): void {
    try {
      const manifest = checkManifest(attached.row.manifest)
      attached.place = this.#placeOf(attached, manifest)
      void attached.place.start(attached.row.settingsVersion, attached.row.settings)
      this.#parts.changeOver(attached)
    } catch (error) {
      attached.lastError = (error as Error).message
    }
  }

  /** Those that waited may be of several versions: what was approved is the newest that asked. */
  async takeWaiting(attached: Attached): Promise<void> {
    for (const pending of this.#parts.waiting.take(attached.name)) await this.#joinApproved(attached, pending)
  }

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

  async #admit(instance: RemoteInstance, manifest: ManifestShape): Promise<AttachVerdict> {
    const known = this.#parts.registry.get(manifest.name)
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
    const { config, registry, store } = this.#parts
    registry.checkBounds(manifest)
    const isApproved = listed(config.pluginsApproved).includes(manifest.name)
    const row: PluginRow = {
      ...registry.rowOf(manifest, isApproved ? 'configuration' : ''),
      grant: isApproved ? grantOf(manifest) : { calls: [], hooks: [], high: [], domains: [] },
      settings: {},
      settingsVersion: 1,
      state: isApproved ? 'approved' : 'pending',
      place: 'remote',
      source: '',
    }
    const attached = registry.add(row, { place: 'remote', file: '', isConfigured: false })
    try {
      await store.putPlugin(row)
    } catch (error) {
      registry.remove(manifest.name)
      throw error
    }
    return attached
  }

  /** Attached, but nothing of it is in force until the operator approves. */
  #wait(pending: PendingInstance, asks: readonly string[]): AttachVerdict {
    const { name, instance } = pending.instance
    if (!this.#parts.waiting.add(pending))
      throw new PluginError('plugin.too_many', `${pendingInstancesMax} instances wait for approval already`)
    this.#parts.log.warn({ plugin: name, instance, asks }, 'plugin waits for approval')
    return { ok: true }
  }

  /** Another instance of what is in force or about to be, or the first one of a newer version. */
  async #join(attached: Attached, { instance, manifest }: PendingInstance): Promise<void> {
    const { dbs, registry } = this.#parts
    const places = [attached.next, attached.place as RemotePlace | undefined].filter((place) => place !== undefined)
    const same = places.find((place) => manifestHash(place.manifest) === manifestHash(manifest))
    if (same) {
      if (same.size >= instancesMax) throw new PluginError('plugin.too_many', `${instancesMax} instances are attached`)
      // On standby, after a start of the engine or an approval: nobody has opened its tables yet.
      if (same.size === 0 && manifest.migrations.length > 0) await dbs.open(manifest.name, manifest.migrations)
      same.join(instance.instance, instance.channel)
      return
    }
    refuseOlder(places, manifest)
    registry.checkBounds(manifest)
    if (manifest.migrations.length > 0) await dbs.open(manifest.name, manifest.migrations)
    const place = this.#placeOf(attached, manifest)
    await place.start(attached.row.settingsVersion, attached.row.settings)
    place.join(instance.instance, instance.channel)
    if (place.size === 0) return // it left meanwhile
    void attached.next?.stop(0)
    attached.next = place
    this.#takeOverWhenReady(attached, place)
  }

  #placeOf(attached: Attached, manifest: ManifestShape): RemotePlace {
    return new RemotePlace(manifest, this.#parts.reports.partsFor({ name: attached.name, manifest, attached }))
  }

  /** Not waited for: the instance gets its answer first, and cannot be ready before. */
  #takeOverWhenReady(attached: Attached, place: RemotePlace): void {
    const { registry, onError } = this.#parts
    void place
      .firstReady()
      .then((isReady) => registry.inTurn(attached.name, () => this.#takeOver(attached, place, isReady)))
      .catch((error) => onError(error, `plugin ${attached.name}`))
  }

  async #takeOver(attached: Attached, place: RemotePlace, isReady: boolean): Promise<void> {
    if (attached.next !== place) return // replaced, or the plugin was let go
    // All that had come are gone; others may have joined before this turn.
    if (!isReady && place.size > 0) return this.#takeOverWhenReady(attached, place)
    attached.next = undefined
    if (!isReady) return
    const old = attached.place
    await this.#parts.registry.keep(attached, { ...attached.row, manifest: place.manifest })
    attached.place = place
    // What the old version said of the settings is not what the new one says.
    if (attached.unfit?.manifest !== place.manifest) attached.unfit = undefined
    this.#parts.changeOver(attached)
    void old?.stop(this.#parts.config.pluginDrainMs)
  }
}

/** A version that takes over must not be older than what is healthy now. */
function refuseOlder(places: readonly RemotePlace[], { version }: ManifestShape): void {
  for (const place of places)
    if (place.isHealthy && !isNewer(version, place.manifest.version))
      throw new PluginError(
        'plugin.bad_state',
        `version ${place.manifest.version} is attached and healthy, and ${version} is another plugin that is not newer`,
      )
}

function isNewer(version: string, than: string): boolean {
  const [a, b] = [version.split('.').map(Number), than.split('.').map(Number)]
  for (let i = 0; i < 3; i++) if (a[i] !== b[i]) return (a[i] as number) > (b[i] as number)
  return false
}
