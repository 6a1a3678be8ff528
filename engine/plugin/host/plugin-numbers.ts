/** Plugins on the metrics page: what the host sees of all of them, and the numbers that they count themselves. */
import type { Metrics } from '../../base/metrics.ts'
import { hookMetrics } from '../checks/meters.ts'
import type { Attached } from './attached.ts'

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

const nameMetricsMax = 50
const namePattern = /^[a-z][a-z0-9_]{0,47}$/

/** What plugins add up by `ctx.metrics`; a name that is none, or one too many, is ignored. */
export class OwnNumbers {
  readonly #metrics: Metrics
  readonly #onError: (error: unknown, where: string) => void
  readonly #counts = new Map<string, Map<string, { value: number }>>()

  constructor(metrics: Metrics, onError: (error: unknown, where: string) => void) {
    this.#metrics = metrics
    this.#onError = onError
  }

  add(plugin: string, name: string, by: number): void {
    if (!namePattern.test(name) || !(by >= 0) || !Number.isFinite(by)) return
    let counts = this.#counts.get(plugin)
    if (!counts) this.#counts.set(plugin, (counts = new Map()))
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
      this.#metrics.total(metric, help, () => count.value, { plugin, name })
    } catch (error) {
      this.#onError(error, `metrics of plugin ${plugin}`)
    }
  }
}

export function exportPlugins(metrics: Metrics, all: () => Iterable<Attached>): void {
  const sum = (pick: (attached: Attached) => number) => () => {
    let total = 0
    for (const attached of all()) total += pick(attached)
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
  metrics.gauge(lag.name, lag.help, () => Math.max(0, ...[...all()].map(({ consumer }) => consumer?.lag() ?? 0)))
  metrics.total(
    dropped.name,
    dropped.help,
    sum((one) => one.live?.stats.dropped ?? 0),
  )
}
