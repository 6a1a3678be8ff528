/**
 * One slice of load on one server, and the sum of several slices.
 *
 * CPU is read before the first message and after the last arrival, so that everything the messages cause is in it: reading,
 * deciding, encoding, writing, answering, and whatever the server does beside it. A delivery is one danmaku at one connection.
 */
import type { Counts } from './crowd.ts'
import { Histogram } from './histogram.ts'
import type { Server } from './server.ts'
import { Swarm, type SwarmOptions } from './swarm.ts'

export interface Load {
  perS: number
  forMs: number
}

/** Sums over slices; times are merged. */
export interface Measured {
  name: string
  connections: number
  sent: number
  accepted: number
  refused: Record<string, number>
  expected: number
  arrived: number
  arrivedMin: number
  arrivedMax: number
  closed: Record<string, number>
  /** Of sending, and from the first message to the last arrival. */
  seconds: number
  wholeSeconds: number
  cpuUs: number
  bytes: number
  frames: number
  times: Histogram
}

export function nothing(name: string): Measured {
  const zero = { connections: 0, sent: 0, accepted: 0, expected: 0, arrived: 0, arrivedMin: 0, arrivedMax: 0 }
  return {
    name,
    ...zero,
    refused: {},
    closed: {},
    seconds: 0,
    wholeSeconds: 0,
    cpuUs: 0,
    bytes: 0,
    frames: 0,
    times: new Histogram(),
  }
}

export class Run {
  readonly server: Server
  readonly swarm: Swarm
  readonly rssPerConnectionBytes: number
  measured: Measured

  private constructor(server: Server, swarm: Swarm, rssPerConnectionBytes: number) {
    this.server = server
    this.swarm = swarm
    this.rssPerConnectionBytes = rssPerConnectionBytes
    this.measured = nothing(server.name)
  }

  /** Connects a swarm to a server that runs already. */
  static async start(server: Server, options: Omit<SwarmOptions, 'port' | 'secret'>): Promise<Run> {
    const before = server.usage().rssBytes
    const swarm = await Swarm.connect({ ...options, port: server.port, secret: server.secret })
    const rss = (server.usage().rssBytes - before) / swarm.connections
    return new Run(server, swarm, rss)
  }

  /** Load that nobody counts: code gets hot, ticks find their length. */
  async warm(load: Load): Promise<void> {
    await this.swarm.phase()
    await this.swarm.talk(load.perS, load.forMs)
    await this.swarm.settled((counts) => this.#expected(counts))
  }

  async slice(load: Load): Promise<Measured> {
    await this.swarm.phase()
    const cpuBefore = this.server.usage().cpuUs
    const start = performance.now()
    await this.swarm.talk(load.perS, load.forMs)
    const seconds = (performance.now() - start) / 1000
    const { counts, lastMs } = await this.swarm.settled((now) => this.#expected(now))
    const wholeSeconds = Math.max(seconds, (lastMs - start) / 1000)
    const cpuUs = this.server.usage().cpuUs - cpuBefore
    if (!this.server.alive()) throw new Error(`${this.server.name} died:\n${this.server.log}`)
    const slice = this.#measured(counts, { seconds, wholeSeconds, cpuUs })
    add(this.measured, slice)
    return slice
  }

  /** Forgets the slices so far. */
  reset(): void {
    this.measured = nothing(this.server.name)
  }

  async stop(): Promise<void> {
    await this.swarm.end()
    await this.server.stop()
  }

  #expected(counts: Counts): number {
    return (this.server.replies ? counts.accepted : counts.sent) * counts.members
  }

  #measured(counts: Counts, spent: { seconds: number; wholeSeconds: number; cpuUs: number }): Measured {
    const { members: connections, pings: _, ...rest } = counts
    const times = new Histogram()
    times.merge(this.swarm.times)
    const accepted = this.server.replies ? counts.accepted : counts.sent
    return { name: this.server.name, connections, ...rest, accepted, expected: this.#expected(counts), ...spent, times }
  }
}

function add(sum: Measured, slice: Measured): void {
  sum.connections = slice.connections
  for (const key of ['sent', 'accepted', 'expected', 'arrived', 'arrivedMin', 'arrivedMax'] as const) sum[key] += slice[key]
  for (const key of ['seconds', 'wholeSeconds', 'cpuUs', 'bytes', 'frames'] as const) sum[key] += slice[key]
  for (const [code, n] of Object.entries(slice.refused)) sum.refused[code] = (sum.refused[code] ?? 0) + n
  sum.closed = slice.closed
  sum.times.merge(slice.times)
}

/** The figures that are printed and kept. */
export interface Figures {
  name: string
  connections: number
  messagesPerS: number
  deliveriesPerS: number
  expected: number
  arrived: number
  everythingArrived: boolean
  p50Ms: number | undefined
  p99Ms: number | undefined
  maxMs: number
  timedSamples: number
  cpuShare: number
  cpuUsPerDelivery: number
  deliveriesPerCpuSecond: number
  cpuUsPerFrame: number
  framesPerSPerConnection: number
  bytesPerDelivery: number
  rssPerConnectionBytes: number | undefined
  refused: Record<string, number>
  closed: Record<string, number>
}

export function figures(measured: Measured, rssPerConnectionBytes?: number): Figures {
  const { name, connections, seconds, wholeSeconds, arrived, expected, cpuUs, times } = measured
  return {
    name,
    connections,
    messagesPerS: measured.accepted / seconds,
    deliveriesPerS: arrived / wholeSeconds,
    expected,
    arrived,
    everythingArrived: arrived === expected && measured.arrivedMin === measured.arrivedMax && expected > 0,
    p50Ms: times.quantileMs(0.5),
    p99Ms: times.quantileMs(0.99),
    maxMs: times.maxMs,
    timedSamples: times.count,
    cpuShare: cpuUs / 1e6 / wholeSeconds,
    cpuUsPerDelivery: cpuUs / Math.max(1, arrived),
    cpuUsPerFrame: cpuUs / Math.max(1, measured.frames),
    deliveriesPerCpuSecond: arrived / Math.max(1e-6, cpuUs / 1e6),
    framesPerSPerConnection: measured.frames / connections / wholeSeconds,
    bytesPerDelivery: measured.bytes / Math.max(1, arrived),
    rssPerConnectionBytes,
    refused: measured.refused,
    closed: measured.closed,
  }
}
