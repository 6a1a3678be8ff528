/**
 * One outgoing RTP stream made of several incoming ones: numbers and times go on as if one sender had made them all.
 *
 * Times follow the clock of arrival: what would arrive now without delay has the same outgoing time whichever source it comes from
 * (`StreamClock`). Sound and picture are spliced apart, and stay together since both do this. `replay` begins with packets that were held
 * since a key frame, pressed together in time, so that a viewer sees the newest picture at once.
 *
 *     const splice = new Splice({ ssrc: 1234, clockRate: 90_000, overlap: 'press' })
 *     splice.begin(packet, nowMs, sourceClock)
 *     send(splice.next(packet, nowMs))          // undefined: it belongs before what was sent already, dropped
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
/** The same source, but another count: its sender began anew. mediasoup holds back what is misordered by more than 1,500. */
const seqJumpMax = 2_000
const timeJumpMsMax = 10_000
/** What overlaps by more is no late packet but a clock that says nothing. */
const overlapMsMax = 200
/** Earlier than anything that can follow: a quarter of all times. */
const farTime = 2 ** 30
/** Late packets of what was pressed have come by then, or never will. */
const pressedMsMax = 1_000
/** What counts of the past: this time, and the same again. */
const seenMs = 1_000

interface Seen {
  time: number
  atMs: number
}

/**
 * Which time a stream shows at an instant, from its packets of the last seconds: the least delayed of them count, so one that was held up
 * moves nothing, and neither does what a sender sent ahead when it began.
 */
export class StreamClock {
  readonly #perMs: number
  #best: Seen | undefined
  #before: Seen | undefined
  #sinceMs = 0

  constructor(clockRate: number) {
    this.#perMs = clockRate / 1_000
  }

  /** Undefined before the first packet. */
  timeAt(atMs: number): number | undefined {
    if (!this.#best) return undefined
    const own = this.#shownBy(this.#best, atMs)
    const before = this.#before && this.#shownBy(this.#before, atMs)
    return before !== undefined && timeAfter(before, own) > 0 ? before : own
  }

  heard(time: number, atMs: number): void {
    const seen = { time, atMs }
    const off = this.#best ? timeAfter(time, this.#shownBy(this.#best, atMs)) : 0
    if (!this.#best || Math.abs(off) > timeJumpMsMax * this.#perMs) return this.set(time, atMs)
    if (atMs - this.#sinceMs >= seenMs) {
      this.#before = this.#best
      this.#best = seen
      this.#sinceMs = atMs
    } else if (off > 0) this.#best = seen
  }

  set(time: number, atMs: number): void {
    this.#best = { time, atMs }
    this.#before = undefined
    this.#sinceMs = atMs
  }

  #shownBy({ time, atMs }: Seen, nowMs: number): number {
    return (time + Math.round((nowMs - atMs) * this.#perMs)) >>> 0
  }
}

export interface SpliceParts {
  ssrc: number
  clockRate: number
  /** What begins before the last source's end: pictures are pressed behind it, sound is left out. */
  overlap?: 'press' | 'drop'
  seq?: number
  time?: number
}

export class Splice {
  readonly ssrc: number
  readonly #perMs: number
  readonly #overlap: 'press' | 'drop'
  readonly #clock: StreamClock
  #lastSeq: number
  #lastTime: number
  /** Where the source before ended, and what was pressed behind it: nothing else comes earlier. */
  #floor: number
  #pressedTo: number
  /** Of this source: what is added to its numbers (unset: its first packet has not gone out) and to its times. */
  #seqBy: number | undefined
  #timeBy = 0
  /** Its newest number, counted on over the wrap from 0, the first. */
  #newestSeq = 0
  #newest = 0
  /** Times of this source that do not go out as they are. */
  #pressed = new Map<number, number>()
  #hasBegun = false
  packets = 0
  bytes = 0

  constructor({ ssrc, clockRate, overlap = 'press', seq = 1, time = 1 }: SpliceParts) {
    this.ssrc = ssrc
    this.#perMs = clockRate / 1_000
    this.#overlap = overlap
    this.#clock = new StreamClock(clockRate)
    this.#lastSeq = seq
    this.#lastTime = time
    this.#floor = time
    this.#pressedTo = time
  }

  /** `first` is the first packet of what follows, now; `clock` is that of its stream, if it was heard before. */
  begin(first: Buffer, atMs: number, clock?: StreamClock): void {
    this.#start(clock?.timeAt(atMs) ?? timeOf(first), atMs)
    this.#raise(first)
  }

  /** More than that would stand still for as long: sound and picture may rather be apart. */
  #raise(packet: Buffer): void {
    const behind = timeAfter(this.#floor, (timeOf(packet) + this.#timeBy) >>> 0)
    if (this.packets > 0 && behind > overlapMsMax * this.#perMs) this.#timeBy += behind
  }

  /** Held packets of one source in their order. Returns what to send, now. */
  replay(held: readonly Buffer[], atMs: number, clock?: StreamClock): Buffer[] {
    const last = held.at(-1)
    if (!last) return []
    const hadBegun = this.#hasBegun
    this.#start(clock?.timeAt(atMs) ?? timeOf(last), atMs)
    this.#raise(last)
    const times = [...new Set(held.map(timeOf))]
    const end = (timeOf(last) + this.#timeBy) >>> 0
    const room = hadBegun ? timeAfter(end, this.#floor) : Number.POSITIVE_INFINITY
    // No room behind what was sent: as tight as can be, and what follows is pressed until the clock has caught up.
    const step = Math.max(1, Math.floor(Math.min(this.#perMs * pressedMs, room / times.length)))
    const from = room < times.length ? this.#floor + step : end - (times.length - 1) * step
    this.#pressed = new Map(times.map((time, at) => [time, (from + at * step) >>> 0]))
    this.#pressedTo = (from + (times.length - 1) * step) >>> 0
    return held.map((packet) => this.#write(packet, this.#pressed.get(timeOf(packet)) as number))
  }

  /** In place. Undefined: it belongs before what its source began with, or before the end of the one before. */
  next(packet: Buffer, atMs: number): Buffer | undefined {
    if (this.#isOtherCount(packet, atMs)) this.begin(packet, atMs)
    if (this.#seqBy !== undefined && this.#newest + seqAfter(seqOf(packet), this.#newestSeq) < 0) return undefined
    const time = this.#timeFor(timeOf(packet))
    if (time === undefined) return undefined
    this.#write(packet, time)
    if (this.#pressed.size === 0) this.#clock.heard(time, atMs)
    return packet
  }

  /** What the clock of the stream shows at an instant. */
  timeAt(atMs: number): number {
    return this.#clock.timeAt(atMs) ?? this.#lastTime
  }

  get hasBegun(): boolean {
    return this.#hasBegun
  }

  /** `reference`: what the source's own clock shows at this instant. */
  #start(reference: number, atMs: number): void {
    const target = this.timeAt(atMs)
    if (!this.#hasBegun) this.#clock.set(target, atMs)
    this.#hasBegun = true
    this.#timeBy = target - reference
    // Nothing was sent before the first.
    this.#floor = this.packets > 0 ? this.#lastTime : (this.#lastTime - farTime) >>> 0
    this.#pressedTo = this.#floor
    this.#seqBy = undefined
    this.#pressed = new Map()
  }

  #isOtherCount(packet: Buffer, atMs: number): boolean {
    if (this.#seqBy === undefined) return false
    if (Math.abs(seqAfter(seqOf(packet), this.#newestSeq)) > seqJumpMax) return true
    const off = timeAfter((timeOf(packet) + this.#timeBy) >>> 0, this.timeAt(atMs))
    return Math.abs(off) > timeJumpMsMax * this.#perMs
  }

  #timeFor(time: number): number | undefined {
    const own = (time + this.#timeBy) >>> 0
    const pressed = this.#pressed.get(time)
    if (pressed !== undefined) return pressed
    if (timeAfter(own, this.#pressedTo) > 0) {
      if (timeAfter(own, this.#floor) > pressedMsMax * this.#perMs) this.#pressed.clear()
      return own
    }
    if (this.#overlap === 'drop') return undefined
    this.#pressedTo = (this.#pressedTo + 1) >>> 0
    this.#pressed.set(time, this.#pressedTo)
    return this.#pressedTo
  }

  #write(packet: Buffer, time: number): Buffer {
    this.#count(seqOf(packet))
    const seq = (seqOf(packet) + (this.#seqBy as number)) & 0xffff
    packet.writeUInt16BE(seq, 2)
    packet.writeUInt32BE(time, 4)
    packet.writeUInt32BE(this.ssrc, 8)
    if (seqAfter(seq, this.#lastSeq) > 0) this.#lastSeq = seq
    if (this.packets === 0 || timeAfter(time, this.#lastTime) > 0) this.#lastTime = time
    this.packets++
    this.bytes += packet.length - 12
    return packet
  }

  #count(seq: number): void {
    if (this.#seqBy === undefined) {
      this.#seqBy = this.#lastSeq + 1 - seq
      this.#newestSeq = seq
      this.#newest = 0
    }
    const later = seqAfter(seq, this.#newestSeq)
    if (later <= 0) return
    this.#newest += later
    this.#newestSeq = seq
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
