/**
 * Routers that speak with the payload types of a viewer.
 *
 * In an answer to an offer the payload types are those of the offer, but a consumer sends with those of its router. So viewers of one
 * map of payload types (all that run the same browser) share a router on the worker where they are, fed by a pipe:
 *
 *     room's router --pipe--> layout's router --consumer--> transports of its viewers
 *
 *     const layout = await layouts.use(place, codecs)
 *     const producerId = await layout.producerOf(trackProducerId)
 *     layout.release()                                                  // the last one closes the router
 */
import type { types } from 'mediasoup'
import { Pipe } from './pipe.ts'
import type { Place, Places } from './places.ts'
import { SfuProblem } from './problem.ts'
import type { CodecMatch } from './sdp-codecs.ts'

/** In one room. Browsers make less than ten; each costs its worker one more copy of the show. */
export const layoutsMax = 24

interface Made {
  readonly router: types.Router
  readonly pipe: Pipe
}
interface Shared {
  readonly made: Promise<Made>
  users: number
}
export interface Layout {
  readonly router: types.Router
  producerOf(producerId: string): Promise<string>
  release(): void
}

export class Layouts {
  readonly #places: Places
  readonly #shared = new Map<string, Shared>()

  constructor(places: Places) {
    this.#places = places
  }

  get size(): number {
    return this.#shared.size
  }

  async use(place: Place, matches: readonly CodecMatch[]): Promise<Layout> {
    const key = `${place.router.id} ${keyOf(matches)}`
    const shared = this.#shared.get(key) ?? this.#make(key, place, matches)
    shared.users++
    let isReleased = false
    const release = () => {
      if (isReleased) return
      isReleased = true
      this.#release(key, shared)
    }
    try {
      const { router, pipe } = await shared.made
      const producerOf = async (producerId: string) => pipe.producerOf(await this.#places.producerIn(place, producerId))
      return { router, release, producerOf }
    } catch (error) {
      release()
      throw error
    }
  }

  #make(key: string, place: Place, matches: readonly CodecMatch[]): Shared {
    if (this.#shared.size >= layoutsMax)
      throw new SfuProblem('stream.no_capacity', 'too many ways to number payloads in this room')
    const shared: Shared = { made: newLayout(place, matches), users: 0 }
    this.#shared.set(key, shared)
    // Its worker died, or the room ended.
    shared.made.then(({ router }) => router.observer.on('close', () => this.#forget(key, shared))).catch(() => undefined)
    return shared
  }

  #forget(key: string, shared: Shared): void {
    if (this.#shared.get(key) === shared) this.#shared.delete(key)
  }

  #release(key: string, shared: Shared): void {
    shared.users--
    if (shared.users > 0) return
    this.#forget(key, shared)
    closeWhenMade(shared)
  }

  close(): void {
    for (const shared of this.#shared.values()) closeWhenMade(shared)
    this.#shared.clear()
  }
}

const closeWhenMade = ({ made }: Shared): void => void made.then(({ router }) => router.close()).catch(() => undefined)

const keyOf = (matches: readonly CodecMatch[]): string =>
  matches
    .map(({ codecs: [main, rtx], routerPayloadType }) => `${routerPayloadType}:${main.payloadType}:${rtx?.payloadType ?? ''}`)
    .sort()
    .join(' ')

async function newLayout(place: Place, matches: readonly CodecMatch[]): Promise<Made> {
  const router = await newRouter(place, matches)
  return { router, pipe: new Pipe({ from: place.router, to: router }) }
}

async function newRouter(place: Place, matches: readonly CodecMatch[]): Promise<types.Router> {
  const own = place.router.rtpCapabilities.codecs ?? []
  const mediaCodecs = matches.flatMap(({ codecs: [main], routerPayloadType }) =>
    own
      .filter(({ preferredPayloadType }) => preferredPayloadType === routerPayloadType)
      .map((codec) => ({ ...structuredClone(codec), preferredPayloadType: main.payloadType })),
  )
  const router = await place.media.worker.createRouter({ mediaCodecs: mediaCodecs as types.RouterRtpCodecCapability[] })
  // A router numbers retransmission by itself and takes no wish; what it says here is what its consumers are made of.
  for (const { codecs } of matches) {
    const [main, rtx] = codecs
    const made = router.rtpCapabilities.codecs?.find(({ parameters }) => parameters?.['apt'] === main.payloadType)
    if (made && rtx) (made as { preferredPayloadType: number }).preferredPayloadType = rtx.payloadType
  }
  return router
}
