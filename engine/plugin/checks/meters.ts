/** What the hooks of plugins did, one set of plain numbers a hook: adding to them is all that a message pays. */
import { elapsedMs } from '../../base/clock.ts'
import type { Metrics } from '../../base/metrics.ts'
import type { HookSpecShape } from '../manifest.ts'
import { CheckFailure } from '../places/link.ts'

const samplesMax = 512

export class HookMeters {
  readonly kind: string
  readonly on: string
  calls = 0
  allow = 0
  deny = 0
  shadow = 0
  hold = 0
  challenge = 0
  /** Answers that came too late, or not at all. */
  timeouts = 0
  /** Throws, rubbish, broken connections. */
  failures = 0
  /** Nobody healthy to ask. */
  unavailable = 0
  /** Ms in all, of hooks that do not answer at once. */
  waitedMs = 0
  readonly #samples = new Float64Array(samplesMax)
  #sampled = 0

  constructor({ kind, on }: Pick<HookSpecShape, 'kind' | 'on'>) {
    this.kind = kind
    this.on = on
  }

  start(): number {
    return elapsedMs()
  }

  took(startedAt: number): void {
    const ms = elapsedMs() - startedAt
    this.waitedMs += ms
    this.#samples[this.#sampled++ % samplesMax] = ms
  }

  failed(error: unknown): void {
    if (!(error instanceof CheckFailure)) this.failures++
    else if (error.reason === 'late') this.timeouts++
    else if (error.reason === 'unavailable') this.unavailable++
    else this.failures++
  }

  /** How often the declared policy took the place of an answer. */
  get policy(): number {
    return this.timeouts + this.failures + this.unavailable
  }

  /** Of the last 512 that did not answer at once, in ms. */
  percentiles(): { p50Ms: number; p99Ms: number } {
    const sorted = this.#samples.slice(0, Math.min(this.#sampled, samplesMax)).sort()
    const at = (share: number) => Math.round((sorted[Math.floor(sorted.length * share)] ?? 0) * 1000) / 1000
    return { p50Ms: at(0.5), p99Ms: at(0.99) }
  }
}

const verdictKinds = ['allow', 'deny', 'shadow', 'hold', 'challenge'] as const

/** Show a hook's numbers on the metrics page. Called once per plugin and hook; an update of the plugin goes on with the same numbers. */
export function exportHook(metrics: Metrics, plugin: string, meters: HookMeters): void {
  const labels = { plugin, hook: `${meters.kind} ${meters.on}` }
  const { calls, waitedMs, timeouts, policy, verdicts } = hookMetrics
  metrics.total(calls.name, calls.help, () => meters.calls, labels)
  metrics.total(waitedMs.name, waitedMs.help, () => meters.waitedMs, labels)
  metrics.total(timeouts.name, timeouts.help, () => meters.timeouts, labels)
  metrics.total(policy.name, policy.help, () => meters.policy, labels)
  if (meters.kind === 'guard')
    for (const verdict of verdictKinds) metrics.total(verdicts.name, verdicts.help, () => meters[verdict], { ...labels, verdict })
}

export const hookMetrics = {
  calls: { name: 'livehouse_plugin_hook_calls_total', help: 'Questions to a hook of a plugin.' },
  waitedMs: { name: 'livehouse_plugin_hook_waited_ms_total', help: 'Ms waited for answers that did not come at once.' },
  timeouts: { name: 'livehouse_plugin_hook_timeouts_total', help: 'Answers that were late or never came.' },
  policy: {
    name: 'livehouse_plugin_hook_policy_total',
    help: 'Times that the declared failure policy took the place of an answer.',
  },
  verdicts: { name: 'livehouse_plugin_verdicts_total', help: 'Verdicts of guards by kind.' },
} as const
