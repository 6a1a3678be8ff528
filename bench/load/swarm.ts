/**
 * The swarm: viewers and talkers of one room in threads of their own, so that the client is not what is measured.
 *
 *   const swarm = await Swarm.connect({ port, secret, viewers: 1000, talkers: 100 })
 *   await swarm.phase()
 *   await swarm.talk(100, 5_000)
 *   const counts = await swarm.settled((counts) => counts.accepted * counts.members)
 *   swarm.times.quantileMs(0.99)
 *
 * Talkers and probes (the viewers that read the stamps) share one thread apart from the crowd: a probe then measures the
 * server's way to a viewer, and not how long one client process needs to read a thousand sockets.
 */
import { Worker } from 'node:worker_threads'
import type { Encoding } from '../../schemas/wire.ts'
import { addCounts, type Counts, type CrowdOptions } from './crowd.ts'
import { Histogram } from './histogram.ts'
import { signToken } from './token.ts'

export interface SwarmOptions {
  port: number
  secret: string
  /** Keeps users and devices of several swarms at one server apart. */
  name?: string
  room?: string
  encoding?: Encoding
  /** Connections in the room, talkers and probes among them. */
  viewers: number
  talkers: number
  probes?: number
  threads?: number
  /** Viewers carry tokens of users of their own; else they are anonymous. */
  signedIn?: boolean
  localAddresses?: readonly string[]
  textBytesMin?: number
  textBytesMax?: number
  stampEvery?: number
}

/** What a thread is asked for, and what it answers: see worker.ts. */
export type Ask =
  | { op: 'connect'; options: CrowdOptions }
  | { op: 'phase'; number: number }
  | { op: 'talk'; perS: number; forMs: number }
  | { op: 'counts' }
  | { op: 'times' }
  | { op: 'end' }

const settleQuietMs = 2_000
const settleMsMax = 15_000
const pollMs = 50
const tokenTtlMs = 3_600_000

export class Swarm {
  readonly times = new Histogram()
  readonly connections: number
  readonly #crowds: Thread[]
  readonly #talk: Thread
  #phase = 0

  private constructor(threads: Thread[], connections: number) {
    this.#talk = threads[0] as Thread
    this.#crowds = threads
    this.connections = connections
  }

  static async connect(options: SwarmOptions): Promise<Swarm> {
    const plans = plan(options)
    const threads = plans.map(() => new Thread())
    try {
      const joined = await Promise.all(
        threads.map((thread, i) => thread.ask({ op: 'connect', options: plans[i] as CrowdOptions })),
      )
      return new Swarm(
        threads,
        joined.reduce((sum: number, n) => sum + (n as number), 0),
      )
    } catch (error) {
      for (const thread of threads) thread.stop()
      throw error
    }
  }

  /** Starts to count anew. Call it when the room is quiet. */
  async phase(): Promise<void> {
    this.#phase++
    await Promise.all(this.#crowds.map((thread) => thread.ask({ op: 'phase', number: this.#phase })))
    this.times.clear()
  }

  async talk(perS: number, forMs: number): Promise<void> {
    await this.#talk.ask({ op: 'talk', perS, forMs })
  }

  async counts(): Promise<Counts> {
    const all = (await Promise.all(this.#crowds.map((thread) => thread.ask({ op: 'counts' })))) as Counts[]
    return all.reduce(addCounts)
  }

  /** The counts once everything expected has arrived, or nothing has for two seconds, or a backlog takes too long; `lastMs`: when the last arrival was seen. */
  async settled(expected: (counts: Counts) => number): Promise<{ counts: Counts; lastMs: number }> {
    let last = await this.counts()
    let sinceMs = performance.now()
    const untilMs = sinceMs + settleMsMax
    while (true) {
      const goal = expected(last)
      if (goal > 0 && last.arrived >= goal && answered(last)) break
      if (performance.now() - sinceMs > settleQuietMs || performance.now() > untilMs) break
      await new Promise((resolve) => setTimeout(resolve, pollMs))
      const now = await this.counts()
      if (now.arrived !== last.arrived || now.accepted !== last.accepted) sinceMs = performance.now()
      last = now
    }
    const times = (await this.#talk.ask({ op: 'times' })) as { count: number; maxMs: number; bins: Uint32Array }
    this.times.clear()
    this.times.merge(times)
    return { counts: last, lastMs: sinceMs }
  }

  async end(): Promise<void> {
    await Promise.all(this.#crowds.map((thread) => thread.ask({ op: 'end' })))
    for (const thread of this.#crowds) thread.stop()
  }
}

/** Servers that answer at all have answered every message. */
function answered(counts: Counts): boolean {
  const refused = Object.values(counts.refused).reduce((sum, n) => sum + n, 0)
  return counts.accepted + refused === 0 || counts.accepted + refused >= counts.sent
}

/** The first plan is that of the talkers and probes, the others share the crowd. */
function plan(options: SwarmOptions): CrowdOptions[] {
  const { port, secret, viewers, talkers, probes = 8, threads = 1, signedIn = false, name = 'swarm' } = options
  const crowd = viewers - talkers - probes
  if (crowd < 0) throw new RangeError(`${viewers} connections cannot hold ${talkers} talkers and ${probes} probes`)
  const shared = {
    port,
    room: options.room ?? 'demo',
    encoding: options.encoding ?? ('json' as const),
    localAddresses: options.localAddresses ?? [],
    textBytesMin: options.textBytesMin ?? 84,
    textBytesMax: options.textBytesMax ?? 120,
    stampEvery: options.stampEvery ?? 1,
  }
  const quiet = { probes: 0, talkerTokens: [], viewerTokens: [] }
  const talkerTokens = tokens(secret, `${name}-talker`, talkers)
  const plans: CrowdOptions[] = [{ ...shared, ...quiet, viewers: 0, probes, talkerTokens, name: `${name}-talk` }]
  for (let i = 0; i < threads; i++) {
    const share = Math.floor(crowd / threads) + (i < crowd % threads ? 1 : 0)
    const viewerTokens = signedIn ? tokens(secret, `${name}-viewer-${i}`, share) : []
    plans.push({ ...shared, ...quiet, viewers: share, viewerTokens, name: `${name}-${i}` })
  }
  return plans
}

function tokens(secret: string, name: string, count: number): string[] {
  const user = (i: number) => ({ sub: `bench-${name}-${i}`, name: `${name} ${i}`, ttlMs: tokenTtlMs })
  return Array.from({ length: count }, (_, i) => signToken(secret, user(i), Date.now()))
}

/** Built, the worker is a file beside this one; from the source (tests) its thread needs the TypeScript loader first. */
function startWorker(): Worker {
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./worker.js', import.meta.url))
  const source = new URL('./worker.ts', import.meta.url).href
  const load = `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(source)}) })`
  return new Worker(load, { eval: true })
}

/** A worker thread that answers one question at a time. */
class Thread {
  readonly #worker: Worker
  #waiting: { resolve: (value: unknown) => void; reject: (error: Error) => void }[] = []

  constructor() {
    this.#worker = startWorker()
    this.#worker.on('message', (answer: { value: unknown } | { error: string }) => {
      const waiting = this.#waiting.shift()
      if ('error' in answer) waiting?.reject(new Error(answer.error))
      else waiting?.resolve(answer.value)
    })
    this.#worker.on('error', (error) => this.#fail(error))
    this.#worker.on('exit', () => this.#fail(new Error('a thread of the swarm ended')))
  }

  ask(question: Ask): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#worker.postMessage(question)
    })
  }

  stop(): void {
    void this.#worker.terminate()
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }
}
