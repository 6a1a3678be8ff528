/**
 * What the engine counts, for Prometheus. The only file that sees prom-client.
 *
 * Each engine has its own registry; the process metrics (event loop lag, memory, CPU, GC) are one set per process, because their
 * observers are, and stand in the text of every engine. On hot paths take a `cell`: adding to it is one addition on a plain object,
 * and it becomes a counter only when somebody reads the page.
 *
 *     const metrics = createMetrics()
 *     const sent = metrics.cell('livehouse_events_written_total', 'Events handed to sockets.', { lane: 'high' })
 *     sent.value += 3
 *     metrics.gauge('livehouse_rooms', 'Rooms in memory.', () => rooms.size)
 *     await metrics.text()
 *
 * Label values come from tables of ours (lanes, codes, commands), never from users: a metric takes `combinationsMax` and then throws.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/**
 * Combinations of label values of one metric: 50 numbers of each of 64 plugins are 3,200, five verdicts of 300 hooks 1,500, and nothing
 * else comes near. More means that an id became a label, and Prometheus would pay for it.
 */
export const combinationsMax = 4_000

export type Labels = Readonly<Record<string, string>>
/** Grows only. Never NaN: a value that is not a finite number is left out of the page. */
export interface Cell {
  value: number
}
export interface CounterMetric {
  inc(labels?: Labels, by?: number): void
}
export interface GaugeMetric {
  set(value: number): void
}
export interface HistogramMetric {
  observe(value: number): void
}
export interface MetricDescription {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
}

export interface Metrics {
  /** For events that are rare enough for a map lookup each (about 0.3 us); `cell` for the rest. */
  counter(name: string, help: string, labelNames?: readonly string[]): CounterMetric
  /** With `collect` the value is asked for when the page is read; a `collect` that throws shows as NaN. */
  gauge(name: string, help: string, collect?: () => number): GaugeMetric
  /** `buckets`: upper bounds, growing, in the unit that the name ends in. */
  histogram(name: string, help: string, buckets: readonly number[]): HistogramMetric
  /** The same name and labels give the same cell; the label names of one metric are always the same. */
  cell(name: string, help: string, labels?: Labels): Cell
  /** A counter whose value somebody else keeps: asked for when the page is read. */
  total(name: string, help: string, read: () => number, labels?: Labels): void
  /** The page in the Prometheus text format. */
  text(): Promise<string>
  readonly contentType: string
  /** Our own metrics by name, without those of the process. */
  describe(): MetricDescription[]
}

let processRegistry: Registry | undefined
function processMetrics(): Registry {
  if (processRegistry) return processRegistry
  processRegistry = new Registry()
  collectDefaultMetrics({ register: processRegistry })
  return processRegistry
}

export function createMetrics(): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const described = new Map<string, MetricDescription>()
  const families = new Map<string, CellFamily>()
  processMetrics()

  const describe = (name: string, help: string, type: MetricDescription['type']) => {
    if (described.has(name)) throw new Error(`metric ${name} exists`)
    described.set(name, { name, help, type })
  }

  const familyOf = (name: string, help: string, labels: Labels) => {
    let family = families.get(name)
    if (!family) {
      describe(name, help, 'counter')
      family = new CellFamily(name, help, Object.keys(labels), registry)
      families.set(name, family)
    }
    return family
  }

  return {
    contentType: registry.contentType,
    counter(name, help, labelNames = []) {
      describe(name, help, 'counter')
      const counter = new Counter({ name, help, labelNames: [...labelNames], registers })
      const combinations = new Combinations(name, labelNames, (labels) =>
        labelNames.length > 0 ? counter.labels(labels) : counter,
      )
      return { inc: (labels = {}, by = 1) => combinations.of(labels).inc(by) }
    },
    gauge(name, help, collect) {
      describe(name, help, 'gauge')
      const gauge: Gauge = new Gauge({ name, help, registers, ...(collect && { collect: () => gauge.set(valueOrNaN(collect)) }) })
      return { set: (value) => gauge.set(value) }
    },
    histogram(name, help, buckets) {
      describe(name, help, 'histogram')
      const histogram = new Histogram({ name, help, buckets: [...buckets], registers })
      return { observe: (value) => histogram.observe(value) }
    },
    cell: (name, help, labels = {}) => familyOf(name, help, labels).cell(labels),
    total(name, help, read, labels = {}) {
      Object.defineProperty(familyOf(name, help, labels).cell(labels), 'value', { get: () => valueOrNaN(read) })
    },
    text: async () => `${await registry.metrics()}\n${await processMetrics().metrics()}`,
    describe: () => [...described.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
  }
}

/** The cells of one metric: plain numbers that become a counter when the page is read. */
class CellFamily {
  readonly #cells: Combinations<Cell & { labels: Labels }>
  constructor(name: string, help: string, labelNames: readonly string[], registry: Registry) {
    const cells = new Combinations(name, labelNames, (labels) => ({ value: 0, labels }))
    this.#cells = cells
    new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect() {
        this.reset()
        for (const { value, labels } of cells.all()) if (value >= 0 && Number.isFinite(value)) this.inc(labels, value)
      },
    })
  }

  cell(labels: Labels): Cell {
    return this.#cells.of(labels)
  }
}

/** What belongs to each combination of label values, made when it is first asked for, up to the bound. */
class Combinations<V> {
  readonly #name: string
  readonly #labelNames: readonly string[]
  readonly #make: (labels: Labels) => V
  readonly #byKey = new Map<string, V>()
  constructor(name: string, labelNames: readonly string[], make: (labels: Labels) => V) {
    this.#name = name
    this.#labelNames = labelNames
    this.#make = make
  }

  of(labels: Labels): V {
    const key = this.#labelNames.length === 1 ? (labels[this.#labelNames[0] as string] ?? '') : this.#keyOf(labels)
    return this.#byKey.get(key) ?? this.#add(key, labels)
  }

  all(): Iterable<V> {
    return this.#byKey.values()
  }

  #keyOf(labels: Labels): string {
    return this.#labelNames.map((name) => labels[name]).join('\u0000')
  }

  #add(key: string, labels: Labels): V {
    const given = Object.keys(labels)
    if (given.length !== this.#labelNames.length || !this.#labelNames.every((name) => name in labels))
      throw new Error(`metric ${this.#name} has the labels [${this.#labelNames}], not [${given}]`)
    if (this.#byKey.size >= combinationsMax)
      throw new Error(`metric ${this.#name} has over ${combinationsMax} label combinations`)
    const value = this.#make({ ...labels })
    this.#byKey.set(key, value)
    return value
  }
}

function valueOrNaN(collect: () => number): number {
  try {
    return collect()
  } catch {
    return Number.NaN // one sick part must not take the page of all others
  }
}
