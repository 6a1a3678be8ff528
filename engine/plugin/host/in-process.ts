/**
 * Plugins that run in this process, inline or in a worker thread: attached, or put in the place of the version before. Whatever goes
 * wrong on the way, the version before stays in force and nothing is left behind.
 */
import type { Config } from '../../config.ts'
import type { PluginRow, Store } from '../../room/store.ts'
import type { PluginDbs } from '../db/plugin-dbs.ts'
import { grantOf, type ManifestShape } from '../manifest.ts'
import type { Place } from '../places/place.ts'
import type { Attached, PluginSource } from './attached.ts'
import { type AttachFrom, loadPlace } from './load-place.ts'
import type { About, PlaceReports } from './place-reports.ts'
import { PluginError } from './plugin-error.ts'
import type { Registry } from './registry.ts'
import type { Waiting } from './waiting.ts'

export interface InProcessParts {
  config: Config
  store: Store
  dbs: PluginDbs
  /** The version of this package. */
  sdk: string
  registry: Registry
  waiting: Waiting
  reports: PlaceReports
  /** Its place changed: bring its hooks in force. */
  changeOver(attached: Attached): void
}

export class InProcess {
  readonly #parts: InProcessParts

  constructor(parts: InProcessParts) {
    this.#parts = parts
  }

  async attach(from: AttachFrom, { by, isConfigured = false }: { by: string; isConfigured?: boolean }): Promise<string> {
    const { registry, reports, sdk } = this.#parts
    const about: About = { name: '' }
    const place = await loadPlace(from, sdk, reports.partsFor(about))
    const { name } = place.manifest
    about.name = name
    about.manifest = place.manifest
    const source = { place: place.kind, file: 'file' in from ? from.file : '', isConfigured }
    await registry.inTurn(name, async () => {
      const old = await this.#bring(place, source, by, about)
      registry.announce('plugin.changed', { plugin: name, change: old ? 'updated' : 'attached', by })
    })
    return name
  }

  /** Answers the place before, which has stopped. */
  async #bring(place: Place, source: PluginSource, by: string, about: About): Promise<Place | undefined> {
    const { waiting, changeOver, config } = this.#parts
    const { name } = place.manifest
    let attached: Attached
    try {
      attached = await this.#begin(place, source, by, about)
    } catch (error) {
      await place.stop(0)
      throw error
    }
    const old = attached.place
    attached.source = source
    attached.place = place
    attached.lastError = ''
    waiting.drop(name, `${name} runs in the engine`)
    changeOver(attached)
    await old?.stop(config.pluginDrainMs)
    return old
  }

  async #begin(place: Place, source: PluginSource, by: string, about: About): Promise<Attached> {
    const { registry, dbs } = this.#parts
    const { manifest } = place
    const known = this.#refuse(manifest)
    const row = this.#rowOf(place, source, by, known)
    const attached = known ?? registry.add(row, source)
    about.attached = attached
    const before = { row: attached.row, unfit: attached.unfit }
    try {
      await this.#start(place, attached, row)
    } catch (error) {
      Object.assign(attached, before)
      if (!known) {
        registry.remove(manifest.name)
        await dbs.close(manifest.name)
      }
      throw error
    }
    return attached
  }

  /** Throws when this plugin may not run here; answers what is known of it. */
  #refuse(manifest: ManifestShape): Attached | undefined {
    const { registry } = this.#parts
    const { name } = manifest
    const known = registry.get(name)
    registry.refuseWhenEnding()
    if (known?.source.place === 'remote' && known.row.state !== 'pending')
      throw new PluginError('plugin.exists', `${name} is attached as a remote plugin: detach it first`)
    registry.checkBounds(manifest)
    if (known?.row.state === 'disabled') throw new PluginError('plugin.disabled', `${name} is disabled: enable it first`)
    return known
  }

  #rowOf(place: Place, source: PluginSource, by: string, known: Attached | undefined): PluginRow {
    return {
      ...this.#parts.registry.rowOf(place.manifest, by),
      grant: grantOf(place.manifest),
      settings: known?.row.settings ?? {},
      settingsVersion: known?.row.settingsVersion ?? 1,
      state: 'approved',
      place: place.kind,
      // What the configuration names comes and goes with it, not with what is remembered here.
      source: source.isConfigured ? '' : source.file,
    }
  }

  async #start(place: Place, attached: Attached, row: PluginRow): Promise<void> {
    const { registry, dbs, store } = this.#parts
    const { name, migrations } = place.manifest
    if (migrations.length > 0) await dbs.open(name, migrations)
    // Calls from `start` need the grant.
    attached.row = row
    attached.unfit = undefined
    await place.start(row.settingsVersion, row.settings)
    await store.putPlugin(row)
    registry.refuseWhenEnding()
  }
}
