/**
 * mediasoup workers, one a core, each with one port for all its transports. A worker that dies takes its rooms along (`onDied`) and is
 * replaced; a room is put where the least is to do.
 *
 *     const workers = new MediaWorkers({ mediasoup, options, log, clock, onDied })
 *     await workers.start()
 *     const { worker, server } = workers.pick()          // throws SfuProblem stream.no_capacity
 */
import { availableParallelism } from 'node:os'
import type { types } from 'mediasoup'
import { type Clock, elapsedMs, type Timer } from '../engine/base/clock.ts'
import type { Log } from '../engine/base/log.ts'
import type { WorkerSample } from '../schemas/sfu.ts'
import type { SfuOptions } from './options.ts'
import { SfuProblem } from './problem.ts'

export interface MediaWorker {
  readonly worker: types.Worker
  readonly server: types.WebRtcServer
  /** Which of the workers: its port follows from it. */
  readonly place: number
  /** Kept by whoever opens and closes them. */
  rooms: number
  transports: number
  consumers: number
  cpuBps: number
  cpuMs: number
  sampledAt: number
  startedAt: number
}
export interface MediaWorkersParts {
  mediasoup: Pick<typeof import('mediasoup'), 'createWorker'>
  options: SfuOptions
  clock: Clock
  log: Log
  onDied(worker: MediaWorker): void
}

const respawnMs = 500
/** One that died younger is not replaced at once: what killed it may kill the next. */
const youngMs = 5_000
/** A room that is to be opened waits so long for the first worker that comes back. */
const aliveMsMax = 3_000

export class MediaWorkers {
  readonly #parts: MediaWorkersParts
  readonly #all: MediaWorker[] = []
  readonly #respawns = new Set<Timer>()
  readonly #waiting = new Set<() => void>()
  #isClosed = false

  constructor(parts: MediaWorkersParts) {
    this.#parts = parts
  }

  get all(): readonly MediaWorker[] {
    return this.#all
  }

  async start(): Promise<void> {
    const count = this.#parts.options.workers || availableParallelism()
    await Promise.all([...Array(count).keys()].map((place) => this.#spawn(place)))
  }

  /** The one with the least to do; `not` is left out (a room that is spread wants another). */
  pick(not: ReadonlySet<MediaWorker> = new Set()): MediaWorker {
    const free = this.#all.filter((one) => !not.has(one) && this.isFree(one))
    const [first, ...others] = free
    if (!first) throw new SfuProblem('stream.no_capacity', 'every media worker is busy')
    const loadOf = ({ consumers, transports, rooms }: MediaWorker) => consumers + transports + rooms
    return others.reduce((best, one) => (loadOf(one) < loadOf(best) ? one : best), first)
  }

  /** Takes more on. */
  isFree({ cpuBps, worker }: MediaWorker): boolean {
    return cpuBps < this.#parts.options.cpuBpsMax && !worker.closed
  }

  /** At once where one is; else when the next is there, or after `aliveMsMax`. */
  someAlive(): Promise<void> {
    if (this.#all.length > 0 || this.#isClosed) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel()
        this.#waiting.delete(done)
        resolve()
      }
      const timer = this.#parts.clock.after(aliveMsMax, done)
      this.#waiting.add(done)
    })
  }

  async #spawn(place: number): Promise<void> {
    const { mediasoup, options, log } = this.#parts
    const { listenIp: ip, announcedAddress, portBase } = options
    const worker = await mediasoup.createWorker({ logLevel: 'warn', disableLiburing: true })
    const own = { ip, ...(announcedAddress === undefined ? {} : { announcedAddress }) }
    const port = portBase === 0 ? {} : { port: portBase + place }
    const listenInfos = (['udp', 'tcp'] as const).map((protocol) => ({ protocol, ...own, ...port }))
    try {
      const server = await worker.createWebRtcServer({ listenInfos })
      if (this.#isClosed) return worker.close()
      const counts = {
        rooms: 0,
        transports: 0,
        consumers: 0,
        cpuBps: 0,
        cpuMs: 0,
        sampledAt: elapsedMs(),
        startedAt: elapsedMs(),
      }
      const one: MediaWorker = { worker, server, place, ...counts }
      worker.on('died', (error) => this.#onDied(one, error))
      if (worker.closed) throw new Error('it died at once')
      this.#all.push(one)
      for (const done of [...this.#waiting]) done()
      log.info({ workerPid: worker.pid, port: portBase === 0 ? undefined : portBase + place }, 'media worker is there')
    } catch (error) {
      worker.close()
      throw error
    }
  }

  #onDied(one: MediaWorker, error: Error): void {
    const { log, onDied } = this.#parts
    const at = this.#all.indexOf(one)
    if (at < 0 || this.#isClosed) return
    this.#all.splice(at, 1)
    log.error({ workerPid: one.worker.pid, err: error, rooms: one.rooms }, 'media worker died')
    this.#respawn(one.place, elapsedMs() - one.startedAt < youngMs ? respawnMs : 0)
    onDied(one)
  }

  /** At once if it had lived well, since its rooms wait; else each half second. */
  #respawn(place: number, afterMs: number): void {
    const { clock, log } = this.#parts
    const timer = clock.after(afterMs, () => {
      this.#respawns.delete(timer)
      this.#spawn(place).catch((error) => {
        log.error({ err: error }, 'media worker cannot be started again')
        if (!this.#isClosed) this.#respawn(place, respawnMs)
      })
    })
    this.#respawns.add(timer)
  }

  /** CPU since the last time, from the worker's own count. */
  async sample(): Promise<WorkerSample[]> {
    await Promise.all(this.#all.map((one) => this.#measure(one).catch(() => undefined)))
    return this.#all.map(({ worker, cpuBps, rooms, transports, consumers }) => {
      return { pid: worker.pid, cpuBps, rooms, transports, consumers }
    })
  }

  async #measure(one: MediaWorker): Promise<void> {
    const { ru_utime, ru_stime } = await one.worker.getResourceUsage()
    const now = elapsedMs()
    const spentMs = Number(ru_utime) + Number(ru_stime)
    const overMs = now - one.sampledAt
    if (overMs > 0) one.cpuBps = Math.round(((spentMs - one.cpuMs) / overMs) * 10_000)
    one.cpuMs = spentMs
    one.sampledAt = now
  }

  close(): void {
    this.#isClosed = true
    for (const timer of this.#respawns) timer.cancel()
    for (const done of [...this.#waiting]) done()
    for (const { worker } of this.#all.splice(0)) worker.close()
  }
}
