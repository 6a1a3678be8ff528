/** One track of the show: the producer that viewers consume, with a splice for each of its layers. */
import { randomInt } from 'node:crypto'
import type { types } from 'mediasoup'
import type { Timer } from '../engine/base/clock.ts'
import type { MediaKind } from '../schemas/sfu.ts'
import { Pacer } from './pacer.ts'
import type { Source } from './source.ts'
import { Splice } from './splice.ts'

interface Out {
  readonly splice: Splice
  /** Nothing is shown of it until a picture begins. */
  waits: boolean
}

/** Of the extensions of a line those that mean something to a viewer; the others belong to the way between two hops. */
const keptExtensions = ['urn:3gpp:video-orientation', 'http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time']

export function codecName({ mimeType, parameters }: types.RtpCodecParameters): string {
  const profile = parameters?.['profile-level-id']
  return profile === undefined ? mimeType : `${mimeType} ${profile}`
}

export class ShownTrack {
  readonly producer: types.Producer
  readonly kind: MediaKind
  readonly outs: readonly Out[]
  /** What feeds it now. */
  from: Source | undefined
  endTimer: Timer | undefined
  /** When something went out. */
  sentAtMs = 0
  /** By layer, which one of the source it shows. */
  #feeds: readonly number[] = []
  readonly #codec: types.RtpCodecParameters
  readonly #pacer: Pacer

  constructor(
    direct: types.DirectTransport,
    producer: types.Producer,
    { codec, ssrcs }: { codec: types.RtpCodecParameters; ssrcs: readonly number[] },
  ) {
    this.#pacer = new Pacer({
      send: (packet) => producer.closed || producer.send(packet),
      taken: () => direct.getStats(),
    })
    this.producer = producer
    this.kind = producer.kind
    this.#codec = codec
    const overlap = this.kind === 'video' ? 'press' : 'drop'
    this.outs = ssrcs.map((ssrc) => ({ splice: new Splice({ ssrc, clockRate: codec.clockRate, overlap }), waits: true }))
  }

  /** Since it was asked last: packets that the worker was too slow to take. */
  takeDropped(): number {
    const { dropped } = this.#pacer
    this.#pacer.dropped = 0
    return dropped
  }

  get mimeType(): string {
    return this.#codec.mimeType
  }

  /** Payload types follow from the room's codecs: the same type is the same codec with the same parameters. */
  fits({ codec }: Source): boolean {
    return codec.payloadType === this.#codec.payloadType
  }

  /** Something of it is not shown yet. */
  get isWaiting(): boolean {
    return this.outs.some(({ waits }) => waits)
  }

  begin(source: Source): void {
    this.from = source
    this.#feeds = this.outs.map((_, at) => feedOf(at, this.outs.length, source))
    for (const out of this.outs) out.waits = true
  }

  /** What a layer of the source feeds: of a line with fewer layers the best one feeds all above it too, so that no viewer waits for one. */
  outsOf(stream: number): readonly Out[] {
    return this.outs.filter((_, at) => this.#feeds[at] === stream)
  }

  /** To be sent now: what is held of the source that it began with. What has none waits for its next key frame. */
  replay(source: Source, nowMs: number): Buffer[] {
    const replays = source.copyHeld().flatMap(([stream, held]) =>
      this.outsOf(stream).map((out) => {
        out.waits = false
        // Written in place: each has a copy of its own.
        const own = held.map((packet) => Buffer.from(packet))
        return out.splice.replay(own, nowMs, source.clockOf(stream))
      }),
    )
    return inTurn(replays)
  }

  send(packet: Buffer, nowMs: number): void {
    this.sentAtMs = nowMs
    this.#pacer.push(packet)
  }

  close(): void {
    this.#pacer.clear()
    this.endTimer?.cancel()
    this.producer.close()
  }
}

/** The key frames of all layers before what follows any of them: nobody waits for the pictures of a layer that others watch. */
function inTurn(replays: readonly (readonly Buffer[])[]): Buffer[] {
  const longest = Math.max(0, ...replays.map(({ length }) => length))
  return Array.from({ length: longest }, (_, at) => replays.flatMap((replay) => replay[at] ?? [])).flat()
}

/** The only layer of a track takes the best that arrives of a source with several. */
function feedOf(at: number, outs: number, source: Source): number {
  return outs === 1 ? source.best : Math.min(at, source.streams - 1)
}

export async function newTrack(direct: types.DirectTransport, source: Source): Promise<ShownTrack> {
  const { codec, kind, consumer, streams } = source
  const first = randomInt(1, 2 ** 31)
  const ssrcs = Array.from({ length: streams }, (_, at) => first + at)
  const { headerExtensions = [], encodings = [] } = consumer.rtpParameters
  const producer = await direct.produce({
    kind,
    rtpParameters: {
      codecs: [
        {
          ...codec,
          rtcpFeedback: [
            { type: 'nack', parameter: 'pli' },
            { type: 'ccm', parameter: 'fir' },
          ],
        },
      ],
      headerExtensions: headerExtensions.filter(({ uri }) => keptExtensions.includes(uri)),
      encodings: ssrcs.map((ssrc, at) => {
        const { scalabilityMode } = encodings[at] ?? {}
        return { ssrc, ...(scalabilityMode === undefined ? {} : { scalabilityMode }) }
      }),
      rtcp: { cname: 'livehouse' },
    },
  })
  return new ShownTrack(direct, producer, { codec, ssrcs })
}
