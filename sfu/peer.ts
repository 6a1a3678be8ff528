/**
 * One client in a room of a node: a session, or a WHIP or WHEP client, with its transports and what goes over them.
 *
 * Whatever ends a transport (the client's `close`, ICE or DTLS that failed, the death of the worker) closes its producers and consumers;
 * `onClosed` tells of each of them once. What a client can make is bounded.
 */
import type { types } from 'mediasoup'
import type { Feed } from '../schemas/sfu.ts'
import type { Place } from './places.ts'
import { gone, SfuProblem } from './problem.ts'

export const transportsMax = 4
export const producersMax = 6
/** A full stage is two tracks of the show and two for each of nine seats. */
export const consumersMax = 32

export interface PeerTransport {
  readonly transport: types.WebRtcTransport
  readonly place: Place
}
export interface PeerProducer {
  readonly producer: types.Producer
  readonly feed: Feed
}
export interface PeerConsumer {
  readonly consumer: types.Consumer
  readonly trackId: string
  readonly layers: number
  /** As the client wants it; what degrading allows is less. */
  wanted: { spatial: number; temporal: number | undefined; isPaused: boolean }
  /** Until the last that was asked for is done; never rejects. */
  applying: Promise<void>
}
export type PeerThing = 'transport' | 'producer' | 'consumer'

export interface PeerParts {
  /** Just before, while it can still be asked. */
  onClosing(transport: types.WebRtcTransport): unknown
  onClosed(what: PeerThing, id: string, reason: string): void
}

export class Peer {
  readonly id: string
  readonly transports = new Map<string, PeerTransport>()
  readonly producers = new Map<string, PeerProducer>()
  readonly consumers = new Map<string, PeerConsumer>()
  /** Of its device, to receive. */
  rtpCapabilities: types.RtpCapabilities | undefined
  /** All that it does is to feed a line, by WHIP or RTP. */
  isLine = false
  /** What it sent more than it may, since when. */
  overBitrateSinceMs: number | undefined
  /** Things that are being made: they count against the bounds already. */
  readonly #making: Record<PeerThing, number> = { transport: 0, producer: 0, consumer: 0 }
  /** Why things close that close now. */
  #cause: string | undefined
  readonly #parts: PeerParts

  constructor(id: string, parts: PeerParts) {
    this.id = id
    this.#parts = parts
  }

  transport(id: string): PeerTransport {
    const found = this.transports.get(id)
    if (!found) throw gone('transport')
    return found
  }

  producer(id: string): PeerProducer {
    const found = this.producers.get(id)
    if (!found) throw gone('producer')
    return found
  }

  consumer(id: string): PeerConsumer {
    const found = this.consumers.get(id)
    if (!found) throw gone('consumer')
    return found
  }

  /** Makes one more, if its bound is not reached. */
  async make<T>(what: PeerThing, make: () => Promise<T>): Promise<T> {
    const { size, max } = {
      transport: { size: this.transports.size, max: transportsMax },
      producer: { size: this.producers.size, max: producersMax },
      consumer: { size: this.consumers.size, max: consumersMax },
    }[what]
    if (size + this.#making[what] >= max) throw new SfuProblem('stream.no_capacity', `a client has at most ${max} ${what}s`)
    this.#making[what]++
    try {
      return await make()
    } finally {
      this.#making[what]--
    }
  }

  addTransport(transport: types.WebRtcTransport, place: Place): void {
    this.transports.set(transport.id, { transport, place })
    place.media.transports++
    place.transports++
    const end = (reason: string) => {
      if (!this.transports.delete(transport.id)) return
      place.media.transports--
      place.transports--
      this.closeTransport(transport)
      this.#parts.onClosed('transport', transport.id, this.#cause ?? reason)
    }
    // When the room ends nobody is told of each transport: what is told is of viewers on another worker, or of a layout.
    transport.on('routerclose', () => end('media worker died'))
    transport.on('listenserverclose', () => end('media worker died'))
    transport.on('dtlsstatechange', (state) => (state === 'failed' || state === 'closed') && end(`dtls ${state}`))
    // Consent was not renewed for 30 s, or the client closed it.
    transport.on('icestatechange', (state) => state === 'disconnected' && end('ice disconnected'))
    transport.observer.on('close', () => end('closed'))
  }

  addProducer(producer: types.Producer, feed: Feed): void {
    this.producers.set(producer.id, { producer, feed })
    producer.observer.on('close', () => {
      if (this.producers.delete(producer.id)) this.#parts.onClosed('producer', producer.id, this.#cause ?? 'closed')
    })
  }

  addConsumer(one: PeerConsumer, place: Place): void {
    const { consumer } = one
    this.consumers.set(consumer.id, one)
    place.media.consumers++
    place.consumers++
    let reason = 'closed'
    consumer.on('producerclose', () => (reason = 'track closed'))
    consumer.observer.on('close', () => {
      place.media.consumers--
      place.consumers--
      if (this.consumers.delete(consumer.id)) this.#parts.onClosed('consumer', consumer.id, reason)
    })
  }

  /** All that it sends, and the ways it came. */
  cut(reason: string): void {
    this.#because(reason, () => {
      for (const { producer } of [...this.producers.values()]) producer.close()
      for (const { transport } of [...this.transports.values()])
        if (transport.appData['direction'] === 'send') this.closeTransport(transport)
    })
  }

  /** What it sends to the show; the way it came stays. */
  endLines(reason: string): void {
    this.#because(reason, () => {
      for (const { producer, feed } of [...this.producers.values()]) if (feed.of === 'line') producer.close()
    })
  }

  #because(reason: string, close: () => void): void {
    this.#cause = reason
    close()
    this.#cause = undefined
  }

  closeTransport(transport: types.WebRtcTransport): void {
    if (transport.closed) return
    this.#parts.onClosing(transport)
    transport.close()
  }

  close(): void {
    for (const { transport } of [...this.transports.values()]) this.closeTransport(transport)
    // Those of plain transports (RTP ingest) have no transport of the peer.
    for (const { producer } of [...this.producers.values()]) producer.close()
  }
}
