/**
 * The routers of a room: one on the worker where it lives, and for many viewers one on each further worker, fed by pipes.
 *
 *     const place = await places.forViewer()
 *     const producerId = await places.producerIn(place, track)       // piped there once
 */
import type { types } from 'mediasoup'
import { roomCodecs } from './codecs.ts'
import type { MediaWorker, MediaWorkers } from './media-workers.ts'
import { SfuProblem } from './problem.ts'

export interface Place {
  readonly media: MediaWorker
  readonly router: types.Router
  consumers: number
  transports: number
  /** Producers of the main router that are piped here, by their id. */
  readonly piped: Map<string, Promise<string>>
}

export class Places {
  readonly main: Place
  readonly #workers: MediaWorkers
  readonly #consumersMax: number
  readonly #others: Place[] = []
  #growing: Promise<Place | undefined> | undefined
  #isClosed = false

  private constructor(main: Place, workers: MediaWorkers, consumersMax: number) {
    this.main = main
    this.#workers = workers
    this.#consumersMax = consumersMax
  }

  static async open(workers: MediaWorkers, consumersMax: number): Promise<Places> {
    await workers.someAlive()
    return new Places(await newPlace(workers.pick()), workers, consumersMax)
  }

  get all(): readonly Place[] {
    return [this.main, ...this.#others]
  }

  /** The first that has a place left, so that pipes are few; when all are full, the least full. Throws when all are busy. */
  async forViewer(): Promise<Place> {
    const open = this.#free.find((place) => loadOf(place) < this.#consumersMax)
    if (open) return open
    this.#growing ??= this.#grow().finally(() => (this.#growing = undefined))
    const grown = await this.#growing
    if (grown) return grown
    const [first, ...others] = this.#free
    if (!first) throw new SfuProblem('stream.no_capacity', 'every media worker is busy')
    return others.reduce((least, one) => (loadOf(one) < loadOf(least) ? one : least), first)
  }

  get #free(): readonly Place[] {
    return this.all.filter(({ media }) => this.#workers.isFree(media))
  }

  async #grow(): Promise<Place | undefined> {
    const taken = new Set(this.all.map(({ media }) => media))
    if (!this.#workers.all.some((media) => !taken.has(media) && this.#workers.isFree(media))) return undefined
    const place = await newPlace(this.#workers.pick(taken))
    if (place.router.closed) return undefined
    if (this.#isClosed) {
      closePlace(place)
      return undefined
    }
    this.#others.push(place)
    return place
  }

  /** The id under which a producer of the main router can be consumed at a place. */
  async producerIn(place: Place, producerId: string): Promise<string> {
    if (place === this.main) return producerId
    let piped = place.piped.get(producerId)
    if (!piped) {
      piped = this.#pipe(place, producerId)
      place.piped.set(producerId, piped)
      piped.catch(() => place.piped.delete(producerId))
    }
    return piped
  }

  async #pipe(place: Place, producerId: string): Promise<string> {
    const wish = { listenInfo: pipeListenInfo, enableRtx: true }
    const { pipeProducer } = await this.main.router.pipeToRouter({ producerId, router: place.router, ...wish })
    if (!pipeProducer) throw new Error('no pipe producer')
    pipeProducer.observer.on('close', () => place.piped.delete(producerId))
    return pipeProducer.id
  }

  /** A place whose worker died; false when it was the main one, and with it the room. */
  lost(media: MediaWorker): boolean {
    const at = this.#others.findIndex((place) => place.media === media)
    if (at >= 0) this.#others.splice(at, 1)
    return media !== this.main.media
  }

  isOn(media: MediaWorker): boolean {
    return this.all.some((place) => place.media === media)
  }

  close(): void {
    this.#isClosed = true
    for (const place of this.all) closePlace(place)
  }
}

/** A worker that waits for its core loses nothing at once, and asks again for what it lost. */
export const pipeListenInfo = { protocol: 'udp', ip: '127.0.0.1', recvBufferSize: 1_048_576, sendBufferSize: 1_048_576 } as const

/** A viewer whose consumers are still to come counts as the two that it will have. */
const loadOf = ({ consumers, transports }: Place): number => Math.max(consumers, transports * 2)

async function newPlace(media: MediaWorker): Promise<Place> {
  const router = await media.worker.createRouter({ mediaCodecs: roomCodecs })
  media.rooms++
  return { media, router, consumers: 0, transports: 0, piped: new Map() }
}

function closePlace({ media, router }: Place): void {
  media.rooms--
  router.close()
}
