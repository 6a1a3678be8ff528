/** One producer of a line as the program hears it: its streams (one a layer), what is held of it while it is not shown, its bitrate. */
import type { types } from 'mediasoup'
import { elapsedMs } from '../engine/base/clock.ts'
import type { LineName, MediaKind } from '../schemas/sfu.ts'
import { Held } from './held.ts'
import type { Via } from './program.ts'
import { StreamClock, timeAfter, timeOf } from './splice.ts'

/** As mediasoup tells it. */
interface SenderReport {
  ssrc: number
  ntpSec: number
  ntpFrac: number
  rtpTs: number
}
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
  /** Set with the first packet. */
  heardAtMs: number | undefined
  readonly #clocks: StreamClock[]
  readonly #streams: Map<number, number>
  readonly #held: Held[]
  #bytes = 0
  #delayMs: number | undefined
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
    this.#clocks = encodings.map(() => new StreamClock(this.codec.clockRate))
    // Not all senders tell; those that do, tell each few seconds.
    producer.enableTraceEvent(['sr']).catch(() => undefined)
    producer.on('trace', ({ type, info }) => type === 'sr' && this.#onReport(info as unknown as SenderReport, elapsedMs()))
    // Sound needs no beginning: nothing of it is held.
    this.#held = this.kind === 'video' ? encodings.map(() => new Held(this.codec.mimeType)) : []
  }

  /** Since it was asked last: how often more came since a key frame than is held. */
  takeOverflows(): number {
    let taken = 0
    for (const held of this.#held) {
      taken += held.overflows
      held.overflows = 0
    }
    return taken
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

  /** What its own clock shows; undefined for a layer that has sent nothing. */
  clockOf(stream: number): StreamClock | undefined {
    return this.#clocks[stream]
  }

  /** By its sender's reports: how long it was under way, picture or sound, by the sender's clock. Undefined: it sends none. */
  get delayMs(): number | undefined {
    return this.#delayMs
  }

  #onReport({ ssrc, ntpSec, ntpFrac, rtpTs }: SenderReport, nowMs: number): void {
    const at = this.producer.rtpParameters.encodings?.findIndex((encoding) => encoding.ssrc === ssrc) ?? -1
    const shown = this.#clocks[Math.max(0, at)]?.timeAt(nowMs)
    if (shown === undefined || (at < 0 && this.streams > 1)) return
    const sentMs = (ntpSec + ntpFrac / 2 ** 32) * 1_000
    this.#delayMs = nowMs - sentMs - (timeAfter(shown, rtpTs) * 1_000) / this.codec.clockRate
  }

  hold(stream: number, packet: Buffer, nowMs: number): void {
    this.#held[stream]?.add(packet, nowMs)
  }

  /** A picture can begin that goes on without a hole; sound always can. */
  get canBegin(): boolean {
    return this.kind === 'audio' || this.#held.some(({ isWhole }) => isWhole)
  }

  /** What is held is long: a switch now would send all of it. */
  isHeldSince(atMs: number): boolean {
    return this.#held.some(({ hasKey, keyAtMs }) => hasKey && keyAtMs < atMs)
  }

  /** By layer, only those that begin with a key frame. */
  copyHeld(): [stream: number, packets: Buffer[]][] {
    return this.#held.map((held, at): [number, Buffer[]] => [at, held.copy()]).filter(([, packets]) => packets.length > 0)
  }

  /** The highest layer that a picture could begin with now; senders leave the high ones out when their line is thin. */
  get best(): number {
    return Math.max(
      0,
      this.#held.findLastIndex(({ hasKey }) => hasKey),
    )
  }

  forgetHeld(): void {
    for (const held of this.#held) if (held.size > 0) held.clear()
  }

  heard(packet: Buffer, stream: number | undefined, nowMs: number): void {
    this.#sinceMs ??= nowMs
    this.#bytes += packet.length
    if (stream === undefined) return
    this.heardAtMs = nowMs
    this.#clocks[stream]?.heard(timeOf(packet), nowMs)
  }

  measure(nowMs: number): void {
    const overMs = nowMs - (this.#sinceMs ?? nowMs)
    if (overMs > 0) this.kbps = (this.#bytes * 8) / overMs
    this.#bytes = 0
    this.#sinceMs = nowMs
  }
}
