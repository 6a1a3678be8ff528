/** What a place is given: the clocks, and an ear for what its plugin tells and asks. Every word of it names its plugin, and is bounded. */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { CallError } from '../context.ts'
import type { Grant, ManifestShape } from '../manifest.ts'
import type { PlaceEvents, PlaceParts } from '../places/place.ts'
import type { Attached } from './attached.ts'
import type { Calls } from './calls.ts'
import type { LogLimit } from './log-limit.ts'
import type { OwnNumbers } from './plugin-numbers.ts'
import type { Registry } from './registry.ts'

/** Whose place it is; filled in as it becomes known. */
export interface About {
  name: string
  manifest?: ManifestShape
  attached?: Attached
}

export interface PlaceReportsParts {
  clock: Clock
  liveClock: Clock
  log: Log
  registry: Registry
  calls: Calls
  ownNumbers: OwnNumbers
  logLimit: LogLimit
}

const reasonCharactersMax = 500

export class PlaceReports {
  readonly #parts: PlaceReportsParts

  constructor(parts: PlaceReportsParts) {
    this.#parts = parts
  }

  partsFor(about: About): PlaceParts {
    const { clock, liveClock, log, logLimit, ownNumbers } = this.#parts
    const events: PlaceEvents = {
      onCall: (call, d, cause) => this.#onCall(about, call, d, cause),
      onInstance: (change, instance, reason) => this.#onInstance(about, change, instance, reason),
      onUnfit: (version, msg) => this.#onUnfit(about, version, msg.slice(0, reasonCharactersMax)),
      onLog: (level, fields, msg) => {
        // Under a name of their own: fields of a plugin must not pass for ours.
        if (level === 'debug' || logLimit.allows(about.name)) log[level]({ plugin: about.name, fields }, msg)
      },
      onCount: (metric, by) => ownNumbers.add(about.name, metric, by),
    }
    return { clock, liveClock, log, events }
  }

  async #onCall({ attached, manifest }: About, call: string, d: unknown, cause: unknown): Promise<unknown> {
    if (!attached) throw new CallError('call.not_granted', 'the plugin is not attached')
    // By its own manifest: while a new version takes over, each has the rights that it declared.
    return this.#parts.calls.run({ manifest: manifest ?? attached.manifest, grant: attached.row.grant as Grant }, call, d, cause)
  }

  #onUnfit({ attached, manifest, name }: About, version: number, reason: string): void {
    const { log, logLimit } = this.#parts
    // It may speak of settings that were replaced meanwhile.
    if (attached?.row.settingsVersion === version) attached.unfit = { manifest, msg: reason }
    if (logLimit.allows(name)) log.error({ plugin: name, settingsVersion: version, reason }, 'plugin does not take its settings')
  }

  #onInstance(about: About, change: Parameters<PlaceEvents['onInstance']>[0], instance: string, reason: string): void {
    const { attached, manifest, name } = about
    const { log, registry } = this.#parts
    if (change === 'attached' || change === 'recovered') attached?.consumer?.resume()
    if (change === 'degraded') log.warn({ plugin: name, instance, reason }, 'plugin degraded')
    else log.info({ plugin: name, instance, reason }, `plugin ${change}`)
    if (change === 'attached') {
      const place = attached?.source.place ?? ''
      registry.announce('plugin.attached', { plugin: name, version: manifest?.version ?? '', place, instance })
    } else if (change === 'recovered') registry.announce('plugin.recovered', { plugin: name, instance })
    else registry.announce(`plugin.${change}`, { plugin: name, instance, reason })
  }
}
