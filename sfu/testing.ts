/** For tests: a node on the loopback with the worker of this machine, ffmpeg as a streamer, and a viewer that counts. */
import { type ChildProcess, spawn } from 'node:child_process'
import type { types } from 'mediasoup'
import { SystemClock } from '../engine/base/clock.ts'
import { silentLog } from '../engine/base/log.ts'
import type { Ingest, Media, SfuEvent } from '../schemas/sfu.ts'
import { ffmpegArguments } from './ingest.ts'
import { SfuNode } from './node.ts'
import { type SfuOptions, sfuDefaults } from './options.ts'
import { SfuProblem } from './problem.ts'
import { ensureWorker } from './worker/ensure.ts'
import { loadMediasoup } from './worker/load.ts'

export interface TestNode {
  node: SfuNode
  events: SfuEvent[]
  /** Resolves with the first event from now on (or already there) that fits. */
  until<T extends SfuEvent['t']>(
    t: T,
    fits?: (event: Extract<SfuEvent, { t: T }>) => boolean,
  ): Promise<Extract<SfuEvent, { t: T }>>
  close(): void
}

export async function startTestNode(options: Partial<SfuOptions> = {}): Promise<TestNode> {
  const worker = await ensureWorker()
  const mediasoup = await loadMediasoup(worker.path)
  const events: SfuEvent[] = []
  const waiting = new Set<() => void>()
  const node = new SfuNode({
    mediasoup,
    workerPath: worker.path,
    options: { ...sfuDefaults, workers: 2, ...options },
    clock: new SystemClock(),
    log: silentLog,
    emit(event) {
      events.push(event)
      for (const look of [...waiting]) look()
    },
  })
  await node.start()
  return {
    node,
    events,
    until: (t, fits = () => true) =>
      new Promise((resolve) => {
        const look = () => {
          const found = events.find((event) => event.t === t && fits(event as never))
          if (!found) return
          waiting.delete(look)
          resolve(found as never)
        }
        waiting.add(look)
        look()
      }),
    close: () => node.close(),
  }
}

/** A test picture with sound, sent as fast as it would be filmed. `seed` makes pictures of two lines differ. */
export function sendTestPicture(ingest: Ingest, { size = '320x180', rate = 15 } = {}): ChildProcess {
  const input = ['-re', '-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=${rate}`]
  const sound = ['-re', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000']
  const args = ffmpegArguments(ingest, [...input, ...sound]).map((word) => (word === '0:a:0' ? '1:a:0' : word))
  return spawn('ffmpeg', args, { stdio: ['ignore', 'ignore', 'inherit'] })
}

export const opusParameters = (ssrc: number): Media => ({
  codecs: [{ mimeType: 'audio/opus', payloadType: 100, clockRate: 48_000, channels: 2 }],
  encodings: [{ ssrc }],
})
/** More than one: layers, the lowest first. */
export const vp8Parameters = (ssrcs: readonly number[]): Media => ({
  codecs: [{ mimeType: 'video/VP8', payloadType: 101, clockRate: 90_000 }],
  encodings: ssrcs.map((ssrc) => (ssrcs.length > 1 ? { ssrc, scalabilityMode: 'L1T3' } : { ssrc })),
})

/** One packet a frame, the first of them a key frame. */
export function makeVp8(ssrc: number, payloadType = 101): (isKey?: boolean) => Buffer {
  let at = 0
  return (isKey = at === 0) => {
    const packet = Buffer.alloc(200)
    packet[0] = 0x80
    packet[1] = 0x80 | payloadType
    packet.writeUInt16BE(at & 0xffff, 2)
    packet.writeUInt32BE((at * 2_700) >>> 0, 4)
    packet.writeUInt32BE(ssrc, 8)
    packet[12] = 0x10
    // What follows the size of the first partition is looked at in key frames only.
    packet[13] = isKey ? 0x00 : 0x01
    at++
    return packet
  }
}

/** The code of a refusal, the status of an answer to a signal, else `ok`. */
export const problemOf = (asked: Promise<unknown>): Promise<unknown> =>
  asked.then(
    (answer) => (Object(answer) as { status?: number }).status ?? 'ok',
    (error) => (error instanceof SfuProblem ? error.code : error),
  )

/** What one track brings a viewer, packet by packet. */
export class Watching {
  packets = 0
  /** Longest time without a packet, since the last `forget`. */
  longestMs = 0
  /** Sequence numbers that were skipped, and times that went back. */
  seqGaps = 0
  backwards = 0
  #lastAt: number | undefined
  #lastSeq: number | undefined
  #lastTime: number | undefined
  readonly #wake = new Set<() => void>()

  constructor(consumer: types.Consumer) {
    consumer.on('rtp', (packet) => this.#on(packet))
  }

  #on(packet: Buffer): void {
    const now = performance.now()
    const [seq, time] = [packet.readUInt16BE(2), packet.readUInt32BE(4)]
    if (this.#lastAt !== undefined) this.longestMs = Math.max(this.longestMs, now - this.#lastAt)
    if (this.#lastSeq !== undefined && ((seq - this.#lastSeq) & 0xffff) !== 1) this.seqGaps++
    if (this.#lastTime !== undefined && ((time - this.#lastTime) | 0) < 0) this.backwards++
    this.#lastAt = now
    this.#lastSeq = seq
    this.#lastTime = time
    this.packets++
    for (const wake of [...this.#wake]) wake()
  }

  forget(): void {
    this.longestMs = 0
  }

  /** Resolves when so many more have come. */
  more(count: number): Promise<void> {
    const wanted = this.packets + count
    return new Promise((resolve) => {
      const wake = () => {
        if (this.packets < wanted) return
        this.#wake.delete(wake)
        resolve()
      }
      this.#wake.add(wake)
    })
  }
}

/** A viewer inside of this process: what it gets is what any consumer gets. */
export async function watch({ node }: TestNode, roomId: string, trackId: string): Promise<Watching> {
  const room = node.rooms.get(roomId)
  if (!room) throw new Error('no room')
  return watchAt(room.places.main.router, trackId)
}

export async function watchAt(router: types.Router, trackId: string): Promise<Watching> {
  const transport = await router.createDirectTransport()
  const consumer = await transport.consume({ producerId: trackId, rtpCapabilities: router.rtpCapabilities })
  return new Watching(consumer)
}
