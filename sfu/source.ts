/** One producer of a line as the program hears it: its streams (one a layer), what is held of it while it is not shown, its bitrate. */
import type { types } from 'mediasoup'
import type { LineName, MediaKind } from '../schemas/sfu.ts'
import { Held } from './held.ts'
import type { Via } from './program.ts'

interface SourceParts {
  line: LineName
  name: string
  producer: types.Producer
  consumer: types.Consumer
  ownerId: string
  via: Via
}

export class Source {
  readonly line: LineName
  readonly name: string
  readonly producer: types.Producer
  readonly consumer: types.Consumer
  readonly ownerId: string
  readonly via: Via
  readonly kind: MediaKind
  kbps = 0
  readonly #streams: Map<number, number>
  readonly #held: Held[]
  #bytes = 0
  #sinceMs: number | undefined

  constructor({ line, name, producer, consumer, ownerId, via }: SourceParts) {
    this.line = line
    this.name = name
    this.producer = producer
    this.consumer = consumer
    this.ownerId = ownerId
    this.via = via
    this.kind = producer.kind
    const encodings = consumer.rtpParameters.encodings ?? []
    this.#streams = new Map(encodings.map(({ ssrc }, at) => [ssrc as number, at]))
    // Sound needs no beginning: nothing of it is held.
    this.#held = this.kind === 'video' ? encodings.map(() => new Held(this.codec.mimeType)) : []
  }

  get codec(): types.RtpCodecParameters {
    return this.consumer.rtpParameters.codecs[0] as types.RtpCodecParameters
  }

  get streams(): number {
    return this.#streams.size
  }

  /** Its place among the layers; undefined for retransmissions, which are none of its own. */
  streamOf(ssrc: number): number | undefined {
    return this.#streams.get(ssrc)
  }

  hold(stream: number, packet: Buffer): void {
    this.#held[stream]?.add(packet)
  }

  /** By layer, only those that begin with a key frame. */
  takeHeld(): [stream: number, packets: Buffer[]][] {
    return this.#held.map((held, at): [number, Buffer[]] => [at, held.take()]).filter(([, packets]) => packets.length > 0)
  }

  heard(bytes: number, nowMs: number): void {
    this.#sinceMs ??= nowMs
    this.#bytes += bytes
  }

  measure(nowMs: number): void {
    const overMs = nowMs - (this.#sinceMs ?? nowMs)
    if (overMs > 0) this.kbps = (this.#bytes * 8) / overMs
    this.#bytes = 0
    this.#sinceMs = nowMs
  }
}
