/**
 * The routers of a room: one on the worker where it lives, and for many viewers one on each further worker, fed by pipes.
 *
 *     await places.admit(async (place) => transport = await place.router.createWebRtcTransport(...))
 *     const producerId = await places.producerIn(place, track)       // piped there once
 */
import type { types } from 'mediasoup'
import { roomCodecs } from './codecs.ts'
import type { MediaWorker, MediaWorkers } from './media-workers.ts'
import { Pipe } from './pipe.ts'
import { SfuProblem } from './problem.ts'

export interface Place {
  readonly media: MediaWorker
  readonly router: types.Router
  consumers: number
  transports: number
  /** Viewers whose transports are being made. */
  coming: number
  /** What comes here of the main router; that itself needs none. */
  readonly pipe: Pipe | undefined
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

  /**
   * Runs with a place for one more viewer, who counts there until `arrived` says that the transport does, so that a crowd that comes at
   * once is spread too. It is the first with room left, so that pipes are few; when all are full, the least full. Throws when all are busy.
   */
  async admit<T>(make: (place: Place, arrived: () => void) => Promise<T>): Promise<T> {
    const place = await this.#reserve()
    let isComing = true
    const arrived = () => {
      if (isComing) place.coming--
      isComing = false
    }
    return make(place, arrived).finally(arrived)
  }

  #reserve(): Place | Promise<Place> {
    const open = this.#free.find((place) => loadOf(place) < this.#consumersMax)
    if (open) return reserved(open)
    this.#growing ??= this.#grow().finally(() => (this.#growing = undefined))
    // Others have waited for it too: it may be full already.
    return this.#growing.then((grown) => (grown ? this.#reserve() : reserved(this.#leastFull())))
  }

  #leastFull(): Place {
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
    // Its worker may die meanwhile: then there is none more.
    const place = await newPlace(this.#workers.pick(taken), this.main).catch(() => undefined)
    if (!place || place.router.closed) return undefined
    if (this.#isClosed) {
      closePlace(place)
      return undefined
    }
    this.#others.push(place)
    return place
  }

  /** The id under which a producer of the main router can be consumed at a place. */
  producerIn({ pipe }: Place, producerId: string): Promise<string> {
    return pipe ? pipe.producerOf(producerId) : Promise.resolve(producerId)
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

/** A viewer whose consumers are still to come counts as the two that it will have. */
const loadOf = ({ consumers, transports, coming }: Place): number => Math.max(consumers, transports * 2) + coming * 2

function reserved(place: Place): Place {
  place.coming++
  return place
}

async function newPlace(media: MediaWorker, main?: Place): Promise<Place> {
  // At once: whoever looks for a worker now must see it.
  media.rooms++
  try {
    const router = await media.worker.createRouter({ mediaCodecs: roomCodecs })
    const pipe = main && new Pipe({ from: main.router, to: router })
    return { media, router, consumers: 0, transports: 0, coming: 0, pipe }
  } catch (error) {
    media.rooms--
    throw error
  }
}

function closePlace({ media, router }: Place): void {
  media.rooms--
  router.close()
}
