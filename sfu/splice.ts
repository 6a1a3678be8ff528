/**
 * One outgoing RTP stream made of several incoming ones: numbers and times go on as if one sender had made them all.
 *
 * `begin` starts a source where the last one ended: the next sequence number, and a time that is as much later as the clock says. So
 * sound and picture, which begin at different packets, stay together: both follow the clock of arrival. `replay` begins with packets that
 * were held since a key frame, pressed together in time, so that a viewer sees the newest picture at once.
 *
 *     const splice = new Splice({ ssrc: 1234, clockRate: 90_000 })
 *     splice.begin(packet, nowMs)
 *     send(splice.next(packet, nowMs))          // undefined: older than the source's first, dropped
 *
 * RTP is RFC 3550: number at byte 2, time at 4, source at 8.
 */
export const seqOf = (packet: Buffer): number => packet.readUInt16BE(2)
export const timeOf = (packet: Buffer): number => packet.readUInt32BE(4)
export const ssrcOf = (packet: Buffer): number => packet.readUInt32BE(8)

/** How much later `a` is than `b`, negative if earlier, over the wrap. */
export const seqAfter = (a: number, b: number): number => (((a - b) & 0xffff) ^ 0x8000) - 0x8000
export const timeAfter = (a: number, b: number): number => (a - b) | 0

/** Between two pictures that are pressed together: 1 ms. */
const pressedMs = 1

export class Splice {
  readonly ssrc: number
  readonly #clockRate: number
  #lastSeq: number
  #lastTime: number
  /** When the packet of `#lastTime` went out; unset before the first. */
  #lastAtMs: number | undefined
  #firstSeq = 0
  #seqBy = 0
  #timeBy = 0
  packets = 0
  bytes = 0

  constructor({ ssrc, clockRate, seq = 1, time = 1 }: { ssrc: number; clockRate: number; seq?: number; time?: number }) {
    this.ssrc = ssrc
    this.#clockRate = clockRate
    this.#lastSeq = seq
    this.#lastTime = time
  }

  /** `first` is the first packet of what follows, now. */
  begin(first: Buffer, atMs: number): void {
    this.#start(first, this.timeAt(atMs), timeOf(first))
  }

  /** Held packets of one source in their order; the last of them is of now. Returns what to send. */
  replay(held: readonly Buffer[], atMs: number): Buffer[] {
    const [first, last] = [held[0], held.at(-1)]
    if (!first || !last) return []
    const target = this.timeAt(atMs)
    const times = [...new Set(held.map(timeOf))]
    const room = Math.max(1, Math.floor(timeAfter(target, this.#lastTime) / (times.length + 1)))
    const step = Math.min((this.#clockRate * pressedMs) / 1_000, room)
    const pressed = new Map(times.map((time, at) => [time, (target - (times.length - 1 - at) * step) >>> 0]))
    this.#start(first, target, timeOf(last))
    return held.map((packet) => this.#write(packet, pressed.get(timeOf(packet)) as number, atMs))
  }

  /** In place. Undefined: a packet that was late already when its source began. */
  next(packet: Buffer, atMs: number): Buffer | undefined {
    if (seqAfter(seqOf(packet), this.#firstSeq) < 0) return undefined
    return this.#write(packet, (timeOf(packet) + this.#timeBy) >>> 0, atMs)
  }

  /** What the clock of the stream shows at an instant. */
  timeAt(atMs: number): number {
    if (this.#lastAtMs === undefined) return this.#lastTime
    const sinceMs = Math.max(pressedMs, atMs - this.#lastAtMs)
    return (this.#lastTime + Math.round((sinceMs * this.#clockRate) / 1_000)) >>> 0
  }

  get hasBegun(): boolean {
    return this.#lastAtMs !== undefined
  }

  #start(first: Buffer, target: number, reference: number): void {
    this.#firstSeq = seqOf(first)
    this.#seqBy = this.#lastSeq + 1 - this.#firstSeq
    this.#timeBy = target - reference
  }

  #write(packet: Buffer, time: number, atMs: number): Buffer {
    const seq = (seqOf(packet) + this.#seqBy) & 0xffff
    packet.writeUInt16BE(seq, 2)
    packet.writeUInt32BE(time, 4)
    packet.writeUInt32BE(this.ssrc, 8)
    if (seqAfter(seq, this.#lastSeq) > 0) this.#lastSeq = seq
    if (this.#lastAtMs === undefined || timeAfter(time, this.#lastTime) > 0) {
      this.#lastTime = time
      this.#lastAtMs = atMs
    }
    this.packets++
    this.bytes += packet.length
    return packet
  }
}

/** 1970 in the time of NTP, seconds. */
const ntpEpochS = 2_208_988_800

/** A sender report (RFC 3550, 6.4.1): which time of the stream belongs to which time of the wall. */
export function senderReport(splice: Splice, { wallMs, atMs }: { wallMs: number; atMs: number }): Buffer {
  const report = Buffer.alloc(28)
  report[0] = 0x80
  report[1] = 200
  report.writeUInt16BE(6, 2)
  report.writeUInt32BE(splice.ssrc, 4)
  const seconds = Math.floor(wallMs / 1_000)
  report.writeUInt32BE((seconds + ntpEpochS) >>> 0, 8)
  report.writeUInt32BE(Math.floor(((wallMs % 1_000) / 1_000) * 2 ** 32) >>> 0, 12)
  report.writeUInt32BE(splice.timeAt(atMs), 16)
  report.writeUInt32BE(splice.packets >>> 0, 20)
  report.writeUInt32BE(splice.bytes >>> 0, 24)
  return report
}
