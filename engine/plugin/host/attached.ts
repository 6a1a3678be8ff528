/**
 * One plugin that the engine knows: what the operator decided about it, where it runs, and what its hooks did. `registry.ts` holds them all.
 */
import type { Clock } from '../../base/clock.ts'
import type { PluginRow } from '../../room/store.ts'
import { HookMeters } from '../checks/meters.ts'
import { CallError } from '../context.ts'
import type { PluginEvent } from '../define.ts'
import type { Consumer } from '../events/consumers.ts'
import type { LiveEvents } from '../events/live-events.ts'
import { Schedules } from '../events/schedules.ts'
import { type HookKind, type HookOf, type ManifestShape, manifestHash } from '../manifest.ts'
import type { Place, PlaceKind } from '../places/place.ts'
import type { RemotePlace } from '../places/remote-place.ts'

/** Where a plugin's code comes from, so that it can be loaded again. */
export interface PluginSource {
  place: PlaceKind
  /** Empty for an object that a program handed over, and for remote plugins. */
  file: string
  /** Named in the configuration: there at every start. */
  isConfigured: boolean
}

export class Attached {
  row: PluginRow
  source: PluginSource
  place: Place | undefined
  /** Of a remote plugin: another version that takes over when an instance of it can be asked. */
  next: RemotePlace | undefined
  /** Event hooks by name, of the current manifest. */
  readonly eventHooks = new Map<string, { index: number; budgetMs: number }>()
  consumer: Consumer | undefined
  /** Resolves when the consumer before has let go of the cursor. */
  consumerEnded: Promise<void> = Promise.resolve()
  live: LiveEvents<PluginEvent<unknown>> | undefined
  readonly schedules: Schedules
  readonly meters = new Map<string, HookMeters>()
  lastError = ''
  /** Why the settings of now are not taken, and by which version of the plugin. */
  unfit: { manifest: ManifestShape | undefined; msg: string } | undefined

  constructor(row: PluginRow, source: PluginSource, clock: Clock, onError: (error: unknown, schedule: string) => void) {
    this.row = row
    this.source = source
    this.schedules = new Schedules(clock, onError)
  }

  get name(): string {
    return this.row.name
  }

  get manifest(): ManifestShape {
    return this.place?.manifest ?? (this.row.manifest as ManifestShape)
  }

  get hash(): string {
    return manifestHash(this.manifest)
  }

  /** Whether its hooks are in force. A remote plugin's stay so without any instance: a closed guard stays closed. */
  get isActive(): boolean {
    return this.row.state === 'approved' && this.place !== undefined
  }

  metersOf(kind: HookKind, on: string, onNew: (meters: HookMeters) => void): HookMeters {
    const key = `${kind} ${on}`
    let meters = this.meters.get(key)
    if (!meters) {
      meters = new HookMeters({ kind, on })
      this.meters.set(key, meters)
      onNew(meters)
    }
    return meters
  }

  hooks<K extends HookKind>(kind: K): { index: number; spec: HookOf<K> }[] {
    return this.manifest.hooks.flatMap((spec, index) => (spec.kind === kind ? [{ index, spec: spec as HookOf<K> }] : []))
  }

  /** Run a hook that is neither guard nor transform, and count it. */
  async run(hook: { index: number; kind: HookKind; on: string }, input: unknown, options: { key: string; budgetMs: number }) {
    const { place } = this
    if (!place) throw new CallError('plugin.unavailable', 'the plugin is not attached')
    const meters = this.meters.get(`${hook.kind} ${hook.on}`)
    const startedAt = meters?.start() ?? 0
    if (meters) meters.calls++
    try {
      return await place.run(hook.index, input, options)
    } catch (error) {
      const { code } = error as { code?: unknown }
      if (meters) {
        if (code === 'plugin.late') meters.timeouts++
        else if (code === 'plugin.unavailable') meters.unavailable++
        else if (code === 'plugin.failed' || code === 'plugin.lost') meters.failures++
      }
      throw error
    } finally {
      meters?.took(startedAt)
    }
  }
}
