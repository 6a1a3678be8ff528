/** What an operator sees of a plugin. */
import type { Consumer } from '../events/consumers.ts'
import { beyondGrant, type Grant, manifestHash } from '../manifest.ts'
import type { InstanceInfo } from '../places/place.ts'
import type { Attached } from './attached.ts'
import type { PendingInstance } from './waiting.ts'

export type PluginState = 'pending' | 'disabled' | 'detached' | 'degraded' | 'attached'
export interface PluginInfo {
  name: string
  version: string
  description: string
  place: string
  file: string
  state: PluginState
  /** Hash of the manifest that `asks` is about: approve with it what you have seen. */
  manifest: string
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

export function infoOf(attached: Attached, waiting: readonly PendingInstance[]): PluginInfo {
  const { row, manifest, place, consumer, live } = attached
  const asked = waiting.at(-1)?.manifest ?? (row.state === 'pending' ? manifest : undefined)
  return {
    name: row.name,
    version: manifest.version,
    description: manifest.description,
    place: attached.source.place,
    file: attached.source.file,
    state: stateOf(attached, waiting.length > 0),
    manifest: manifestHash(asked ?? manifest),
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

function stateOf({ row, place }: Attached, isWaiting: boolean): PluginState {
  if (row.state === 'pending' || isWaiting) return 'pending'
  if (row.state === 'disabled') return 'disabled'
  if (!place || place.instances().length === 0) return 'detached'
  return place.isHealthy ? 'attached' : 'degraded'
}

const pick = ({ delivered, retried, dead, skipped }: Consumer['stats']) => ({ delivered, retried, dead, skipped })
