/**
 * A media node: workers, rooms, and one function that answers what the engine asks (`schemas/sfu.ts`).
 *
 *     const node = new SfuNode({ mediasoup, options, clock, log, emit })
 *     await node.start()
 *     const { rtpCapabilities } = await node.request('room.open', { room: 'demo' })
 *     node.close()
 *
 * It knows no engine: rights are asked before a request comes here. `main.ts` runs one in a process of its own, since RTP of the lines
 * passes through it and must not share a loop with the sockets.
 */
import type { Clock, Timer } from '../engine/base/clock.ts'
import type { Log } from '../engine/base/log.ts'
import type { NodeState, RoomSample, SfuAnswer, SfuAsk, SfuEvent, SfuRequest, SignalAnswer } from '../schemas/sfu.ts'
import { checkWhole } from './checks.ts'
import { levelMax } from './degrade.ts'
import { type MediaWorker, MediaWorkers } from './media-workers.ts'
import type { SfuOptions } from './options.ts'
import { asProblem, gone, SfuProblem } from './problem.ts'
import { Room } from './room.ts'
import { refusal, type Signals } from './signals.ts'

export interface SfuNodeParts {
  mediasoup: Pick<typeof import('mediasoup'), 'createWorker' | 'version'>
  workerPath: string
  options: SfuOptions
  clock: Clock
  log: Log
  emit(event: SfuEvent): void
}
/** One function a request. */
type Handlers = { [R in SfuRequest]: (ask: SfuAsk<R>) => Promise<SfuAnswer<R>> | SfuAnswer<R> }

const sampleEveryMs = 2_000
/** Requests to workers in one sample: 0.1 ms of our CPU each. */
const statsPerSampleMax = 500
const workerDied = 'the media worker died'
const roomPattern = /^[A-Za-z0-9_-]{1,64}$/

export class SfuNode {
  readonly rooms = new Map<string, Room>()
  readonly workers: MediaWorkers
  readonly #parts: SfuNodeParts
  readonly #opening = new Map<string, Promise<Room>>()
  readonly #handlers: Partial<Handlers>
  #nodeLevel = 0
  #sampling: Timer | undefined
  #samples = 0
  #isClosed = false

  constructor(parts: SfuNodeParts) {
    this.#parts = parts
    this.workers = new MediaWorkers({ ...parts, onDied: (media) => this.#onDied(media) })
    this.#handlers = this.#makeHandlers()
  }

  async start(): Promise<void> {
    await this.workers.start()
    this.#armSample()
    this.#parts.emit({ t: 'node.state', state: this.#state })
  }

  get #state(): NodeState {
    const { mediasoup, workerPath } = this.#parts
    return { is: 'ready', mediasoup: mediasoup.version, worker: workerPath }
  }

  /** Rejects with a `SfuProblem` and nothing else. */
  async request<R extends SfuRequest>(name: R, ask: SfuAsk<R>): Promise<SfuAnswer<R>> {
    const handler = Object.hasOwn(this.#handlers, name) ? this.#handlers[name] : undefined
    if (!handler) throw new SfuProblem('stream.bad_params', `no such request: ${String(name).slice(0, 64)}`)
    try {
      return await handler(ask)
    } catch (error) {
      const problem = asProblem(error)
      if (problem !== error && problem.code === 'stream.unavailable')
        this.#parts.log.warn({ err: error, name }, 'media request failed')
      throw problem
    }
  }

  #makeHandlers(): Partial<Handlers> {
    const done = {}
    const inRoom = <R extends SfuRequest>(run: (room: Room, ask: SfuAsk<R>) => unknown) => {
      return async (ask: SfuAsk<R>): Promise<SfuAnswer<R>> => {
        const room = this.#room((ask as { room: string }).room)
        return ((await run(room, ask)) ?? done) as SfuAnswer<R>
      }
    }
    return {
      'node.describe': async () => ({ state: this.#state, workers: await this.workers.sample(), rooms: this.rooms.size }),
      'room.open': async (ask) => ({ rtpCapabilities: (await this.#open(ask)).rtpCapabilities }),
      'room.close': ({ room }) => {
        // What is being opened is refused when it is there; who asks from now on gets another.
        this.#opening.delete(room)
        this.rooms.get(room)?.close()
        this.rooms.delete(room)
        return {}
      },
      'room.describe': inRoom<'room.describe'>((room) => room.describe()),
      'peer.close': ({ room, peer }) => {
        this.rooms.get(room)?.closePeer(peer)
        return {}
      },
      'transport.create': inRoom<'transport.create'>((room, ask) => room.createTransport(ask)),
      'transport.connect': inRoom<'transport.connect'>((room, ask) => room.connectTransport(ask)),
      'transport.restart_ice': inRoom<'transport.restart_ice'>((room, ask) => room.restartIce(ask)),
      'producer.open': inRoom<'producer.open'>((room, ask) => room.openProducer(ask)),
      'producer.close': inRoom<'producer.close'>((room, ask) => room.closeProducer(ask)),
      'producer.pause': inRoom<'producer.pause'>((room, ask) => room.pauseProducer(ask)),
      'producer.select': inRoom<'producer.select'>((room, ask) => room.selectProducer(ask)),
      'consumer.open': inRoom<'consumer.open'>((room, ask) => room.openConsumer(ask)),
      'consumer.resume': inRoom<'consumer.resume'>((room, ask) => room.resumeConsumer(ask)),
      'consumer.pause': inRoom<'consumer.pause'>((room, ask) => room.pauseConsumer(ask)),
      'consumer.close': inRoom<'consumer.close'>((room, ask) => room.closeConsumer(ask)),
      'consumer.layers': inRoom<'consumer.layers'>((room, ask) => room.setLayers(ask)),
      'whip.offer': (ask) => this.#signal(ask, (signals) => signals.whip(ask)),
      'whep.offer': (ask) => this.#signal(ask, (signals) => signals.whep(ask)),
      'signal.patch': (ask) => this.#signal(ask, (signals) => signals.patch(ask)),
      'signal.close': (ask) => this.#signal(ask, (signals) => signals.end(ask)),
      'ingest.open': inRoom<'ingest.open'>((room, ask) => room.openIngest(ask)),
      'show.end': inRoom<'show.end'>((room) => room.endShow()),
      'line.switch': inRoom<'line.switch'>((room, { line }) => room.switchLine(line)),
      'link.open': inRoom<'link.open'>((room, { from }) => room.links.open(this.#room(from))),
      'link.close': inRoom<'link.close'>((room, { from }) => room.links.close(from)),
      'node.degrade': (ask) => this.#degrade(ask),
    }
  }

  /** WHIP and WHEP answer HTTP: what went wrong is an answer too. */
  async #signal(
    { room }: { room: string },
    run: (signals: Signals) => SignalAnswer | Promise<SignalAnswer>,
  ): Promise<SignalAnswer> {
    try {
      return await run(this.#room(room).signals)
    } catch (error) {
      const answer = refusal(error)
      if (answer.code === 'stream.unavailable') this.#parts.log.warn({ err: error }, 'WHIP or WHEP request failed')
      return answer
    }
  }

  #room(id: string): Room {
    const room = this.rooms.get(id)
    if (!room) throw gone('room')
    return room
  }

  async #open({ room: id, bitrateMax }: SfuAsk<'room.open'>): Promise<Room> {
    if (typeof id !== 'string' || !roomPattern.test(id)) throw new SfuProblem('stream.bad_params', 'not an id of a room')
    if (bitrateMax !== undefined) checkWhole(bitrateMax, Number.MAX_SAFE_INTEGER, 'bitrateMax')
    const known = this.rooms.get(id) ?? this.#opening.get(id)
    if (known) return known
    if (this.rooms.size + this.#opening.size >= this.#parts.options.roomsMax)
      throw new SfuProblem('stream.no_capacity', 'the node has as many rooms as it can')
    const isWanted = () => this.#opening.get(id) === opening
    const opening = this.#openNew(id, { bitrateMax, isWanted }).finally(() => isWanted() && this.#opening.delete(id))
    this.#opening.set(id, opening)
    return opening
  }

  async #openNew(
    id: string,
    { bitrateMax = Number.POSITIVE_INFINITY, isWanted }: { bitrateMax: number | undefined; isWanted: () => boolean },
  ): Promise<Room> {
    const { options, clock, log, emit } = this.#parts
    const own = { ...options, bitrateMax: Math.min(options.bitrateMax, bitrateMax) }
    const room = await Room.open(id, { options: own, clock, log, emit, workers: this.workers })
    if (!isWanted() || this.#isClosed || room.places.main.router.closed) {
      room.close()
      throw new SfuProblem('stream.unavailable', isWanted() && !this.#isClosed ? workerDied : 'the room was closed meanwhile')
    }
    this.rooms.set(id, room)
    room.degrade(this.#nodeLevel, 'node')
    return room
  }

  #degrade({ room, level }: SfuAsk<'node.degrade'>): Record<string, never> {
    if (!Number.isInteger(level) || level < 0 || level > levelMax)
      throw new SfuProblem('stream.bad_params', `level: 0 to ${levelMax}`)
    if (room !== undefined) this.#room(room).degrade(level, 'room')
    else {
      this.#nodeLevel = level
      for (const one of this.rooms.values()) one.degrade(level, 'node')
    }
    return {}
  }

  #onDied(media: MediaWorker): void {
    for (const room of [...this.rooms.values()]) {
      if (!room.places.isOn(media) || room.onWorkerDied(media)) continue
      this.rooms.delete(room.id)
      room.close(workerDied)
      this.#parts.emit({ t: 'room.lost', room: room.id, reason: workerDied })
    }
  }

  #armSample(): void {
    this.#sampling = this.#parts.clock.after(sampleEveryMs, () => {
      this.#sample()
        .catch((error) => this.#parts.log.warn({ err: error }, 'media cannot be sampled'))
        .finally(() => !this.#isClosed && this.#armSample())
    })
  }

  async #sample(): Promise<void> {
    const workers = await this.workers.sample()
    const rooms: RoomSample[] = []
    const budget = { left: statsPerSampleMax }
    for (const room of inTurn([...this.rooms.values()], this.#samples++)) {
      const sample = await room.traffic.sample(room, budget)
      if (sample) rooms.push(sample)
    }
    if (!this.#isClosed) this.#parts.emit({ t: 'sample', rooms, workers })
  }

  close(): void {
    this.#isClosed = true
    this.#sampling?.cancel()
    for (const room of this.rooms.values()) room.close()
    this.rooms.clear()
    this.workers.close()
  }
}

/** Another one first each time: what is left out once comes first another time. */
function inTurn<T>(all: readonly T[], turn: number): T[] {
  const at = all.length === 0 ? 0 : turn % all.length
  return [...all.slice(at), ...all.slice(0, at)]
}
