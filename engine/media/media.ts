/**
 * Media as the engine sees it: one node (`node-process.ts`), asked by name (`schemas/sfu.ts`), and what it tells.
 *
 *     const media = new Media({ options, iceServers, clock, log })
 *     media.onEvent((event) => homes.onMedia(event))
 *     media.start()                                                       // at once; `state` says how far it is
 *     const { rtpCapabilities } = await media.request('room.open', { room: 'demo' })
 *     await media.stop()
 *
 * Every request ends: answered, refused, or after its time with `stream.unavailable`; how many are under way is bounded. When the node
 * ends, its rooms are told to be lost, and whoever needs one opens it anew. A node that has said nothing for `silentMsMax` although it
 * samples every two seconds hangs: it is killed, and another started.
 */
import type { FromSfu, NodeState, RoomSample, SfuAnswer, SfuAsk, SfuEvent, SfuRequest, WorkerSample } from '../../schemas/sfu.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { IceServer } from '../config.ts'
import { type Egress, type MediaNode, MediaProblem } from '../live/media.ts'
import { NodeProcess } from './node-process.ts'

export interface MediaParts {
  options: object
  iceServers: readonly IceServer[]
  /** Real time, in tests too: the node lives in it. */
  clock: Clock
  log: Log
}
export interface MediaCounts {
  answered: number
  refused: number
  timedOut: number
  /** Turned away here: the node was not ready, or too much was under way. */
  unsent: number
  workerDeaths: number
  /** Sounds and pictures that were ended because their publisher sent far more than it may. */
  bitrateCuts: number
  /** As of `RoomSample`, since the start. */
  overflows: number
  dropped: number
}
export type RoomTraffic = RoomSample & Egress
interface Pending {
  name: SfuRequest
  timer: Timer
  resolve(answer: unknown): void
  reject(problem: MediaProblem): void
}

const requestMsMax = 2_000
const slowMsMax: Partial<Record<SfuRequest, number>> = { 'room.open': 5_000 }
const underWayMax = 5_000
/** A room whose worker died is opened anew by whoever is still there. */
const keepPeakMs = 60_000
const silentMsMax = 10_000
const lookEveryMs = 2_500
/** Timeouts come by thousands or not at all: one line in this time. */
const lineEveryMs = 10_000

export class Media implements MediaNode {
  readonly counts: MediaCounts = {
    answered: 0,
    refused: 0,
    timedOut: 0,
    unsent: 0,
    workerDeaths: 0,
    bitrateCuts: 0,
    overflows: 0,
    dropped: 0,
  }
  readonly iceServers: readonly IceServer[]
  readonly #parts: MediaParts
  readonly #process: NodeProcess
  readonly #pending = new Map<number, Pending>()
  /** Open in the node, as far as we know. */
  readonly #rooms = new Set<string>()
  readonly #listeners = new Set<(event: SfuEvent) => void>()
  #state: NodeState = { is: 'starting', step: 'not started yet' }
  #lastId = 0
  #level = 0
  #heardAt = 0
  #look: Timer | undefined
  #lineAt = 0
  #sample: { rooms: readonly RoomTraffic[]; workers: readonly WorkerSample[] } = { rooms: [], workers: [] }
  /** Most of each room that is open, whichever worker it was on. */
  readonly #peaks = new Map<string, { bps: number; seenAt: number }>()
  #egressBpsPeak = 0

  constructor(parts: MediaParts) {
    const { options, clock, log } = parts
    this.#parts = parts
    this.iceServers = parts.iceServers
    this.#process = new NodeProcess({
      ...{ options, clock, log },
      onMessage: (message) => this.#onMessage(message),
      onUp: () => {
        this.#heardAt = clock.now()
      },
      onDown: (reason) => this.#onDown(reason),
    })
  }

  get state(): NodeState {
    return this.#state
  }

  get isReady(): boolean {
    return this.#state.is === 'ready'
  }

  get waitsFor(): string {
    const state = this.#state
    if (state.is === 'starting') return `The media part is being prepared: ${state.step}.`
    // Reasons and ways out name paths of this machine: they are in the log.
    return state.is === 'failed' ? 'The media part cannot be started; the log of the engine says why.' : ''
  }

  get degradeLevel(): number {
    return this.#level
  }

  get underWay(): number {
    return this.#pending.size
  }

  get deaths(): number {
    return this.#process.deaths
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  /** What the node measured last, empty while there is none. */
  get sample(): { rooms: readonly RoomTraffic[]; workers: readonly WorkerSample[] } {
    return this.#sample
  }

  egressOf(id: string): Egress | undefined {
    const sample = this.#sample.rooms.find(({ room }) => room === id)
    return sample && { egressBps: sample.egressBps, egressBpsPeak: sample.egressBpsPeak }
  }

  /** Of all rooms together, since the start. */
  get egressBpsPeak(): number {
    return this.#egressBpsPeak
  }

  start(): void {
    this.#process.start()
    this.#watch()
  }

  async stop(): Promise<void> {
    this.#look?.cancel()
    this.#listeners.clear()
    this.#failAll('the engine stops')
    await this.#process.stop()
  }

  onEvent(listener: (event: SfuEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  // ------------------------------------------------------------------ asking

  async request<R extends SfuRequest>(name: R, ask: SfuAsk<R>): Promise<SfuAnswer<R>> {
    if (!this.isReady) throw this.#unsent('stream.unavailable', 'media is not ready')
    if (this.#pending.size >= underWayMax) throw this.#unsent('stream.no_capacity', 'too many requests are under way')
    const answer = (await new Promise<unknown>((resolve, reject) => this.#send(name, ask, { resolve, reject }))) as SfuAnswer<R>
    if (name === 'room.open') this.#rooms.add((ask as SfuAsk<'room.open'>).room)
    if (name === 'room.close') this.#closed((ask as SfuAsk<'room.close'>).room)
    return answer
  }

  #closed(room: string): void {
    this.#rooms.delete(room)
    this.#peaks.delete(room)
  }

  tell<R extends SfuRequest>(name: R, ask: SfuAsk<R>): void {
    this.request(name, ask).catch(({ code, message }: MediaProblem) => {
      // What is gone already needs no end.
      if (code !== 'stream.gone' && this.isReady) this.#say({ name, code, reason: message }, 'media did not do it')
    })
  }

  /** Of the whole node, now and after it was started again. */
  async degrade(level: number): Promise<void> {
    await this.request('node.degrade', { level })
    this.#level = level
    this.#emit({ t: 'degraded', level, by: 'operator' })
  }

  #unsent(code: MediaProblem['code'], msg: string): MediaProblem {
    this.counts.unsent++
    return new MediaProblem(code, msg)
  }

  #send(name: SfuRequest, ask: unknown, { resolve, reject }: Pick<Pending, 'resolve' | 'reject'>): void {
    const id = ++this.#lastId
    const timer = this.#parts.clock.after(slowMsMax[name] ?? requestMsMax, () => this.#onTimeout(id))
    this.#pending.set(id, { name, timer, resolve, reject })
    if (!this.#process.send({ id, t: name, d: ask }))
      this.#take(id)?.reject(this.#unsent('stream.unavailable', 'the node is gone'))
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    pending?.timer.cancel()
    return pending
  }

  #onTimeout(id: number): void {
    const pending = this.#take(id)
    if (!pending) return
    this.counts.timedOut++
    this.#say({ name: pending.name, underWay: this.underWay }, 'media did not answer in time')
    pending.reject(new MediaProblem('stream.unavailable', 'media did not answer in time'))
  }

  #say(fields: object, msg: string): void {
    const now = this.#parts.clock.now()
    if (now - this.#lineAt < lineEveryMs) return
    this.#lineAt = now
    this.#parts.log.warn(fields, msg)
  }

  // ------------------------------------------------------------------ hearing

  #onMessage(message: FromSfu): void {
    this.#heardAt = this.#parts.clock.now()
    if ('event' in message) return this.#onEvent(message.event)
    const pending = this.#take(message.id)
    if (!pending) return // its time was over
    if (message.ok) {
      this.counts.answered++
      pending.resolve(message.d)
    } else {
      this.counts.refused++
      pending.reject(new MediaProblem(message.err.code, message.err.msg))
    }
  }

  #onEvent(event: SfuEvent): void {
    if (event.t === 'node.state') return this.#onState(event.state)
    if (event.t === 'sample') return this.#onSample(event)
    if (event.t === 'room.lost') this.#rooms.delete(event.room)
    if (event.t === 'producer.closed' && event.reason === 'bitrate') this.counts.bitrateCuts++
    this.#emit(event)
  }

  #emit(event: SfuEvent): void {
    for (const listener of this.#listeners) listener(event)
  }

  #onState(state: NodeState): void {
    const { log } = this.#parts
    const wasReady = this.isReady
    this.#state = state
    if (state.is === 'ready') log.info({ mediasoup: state.mediasoup, worker: state.worker, nodePid: this.pid }, 'media is ready')
    else if (state.is === 'failed') log.error({ reason: state.reason, wayOut: state.wayOut }, 'media is not to be had')
    else log.debug({ step: state.step }, 'media is starting')
    if (!wasReady && this.isReady && this.#level > 0) this.tell('node.degrade', { level: this.#level })
    if (wasReady !== this.isReady) this.#emit({ t: 'node.state', state })
  }

  #onSample({ rooms, workers }: Extract<SfuEvent, { t: 'sample' }>): void {
    const pids = new Set(workers.map(({ pid }) => pid))
    this.counts.workerDeaths += this.#sample.workers.filter(({ pid }) => !pids.has(pid)).length
    for (const { overflows, dropped } of rooms) {
      this.counts.overflows += overflows
      this.counts.dropped += dropped
    }
    this.#sample = { rooms: rooms.map((room) => ({ ...room, egressBpsPeak: this.#peakOf(room) })), workers }
    this.#egressBpsPeak = Math.max(
      this.#egressBpsPeak,
      rooms.reduce((sum, { egressBps }) => sum + egressBps, 0),
    )
    const lostAt = this.#parts.clock.now() - keepPeakMs
    for (const [room, { seenAt }] of this.#peaks) if (seenAt < lostAt) this.#peaks.delete(room)
  }

  #peakOf({ room, egressBps }: RoomSample): number {
    const bps = Math.max(egressBps, this.#peaks.get(room)?.bps ?? 0)
    this.#peaks.set(room, { bps, seenAt: this.#parts.clock.now() })
    return bps
  }

  #onDown(reason: string): void {
    this.counts.workerDeaths += this.#sample.workers.length
    this.#sample = { rooms: [], workers: [] }
    this.#failAll('the media node ended')
    this.#onState({ is: 'starting', step: `started again after its end (${reason})` })
    for (const room of [...this.#rooms]) this.#onEvent({ t: 'room.lost', room, reason: 'the media node ended' })
  }

  #failAll(msg: string): void {
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(new MediaProblem('stream.unavailable', msg))
  }

  #watch(): void {
    const { clock, log } = this.#parts
    this.#look = clock.after(lookEveryMs, () => {
      const silentMs = clock.now() - this.#heardAt
      if (this.isReady && silentMs > silentMsMax) {
        log.error({ silentMs, nodePid: this.pid }, 'the media node hangs and is killed')
        this.#process.kill()
      }
      this.#watch()
    })
  }
}
