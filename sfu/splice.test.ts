import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Splice, StreamClock, senderReport, seqAfter, seqOf, ssrcOf, timeAfter, timeOf } from './splice.ts'

const clockRate = 90_000
const perMs = clockRate / 1_000

function packet({ seq, time, size = 100 }: { seq: number; time: number; size?: number }): Buffer {
  const made = Buffer.alloc(size)
  made[0] = 0x80
  made.writeUInt16BE(seq & 0xffff, 2)
  made.writeUInt32BE(time >>> 0, 4)
  made.writeUInt32BE(7, 8)
  return made
}
const shape = (sent: Buffer) => ({ seq: seqOf(sent), time: timeOf(sent) })

/** A sender: `perFrame` packets each `frameMs`, beginning anywhere. */
class Sender {
  readonly clock = new StreamClock(clockRate)
  seq: number
  time: number
  constructor(seq: number, time: number) {
    this.seq = seq
    this.time = time
  }
  frame(atMs: number, frameMs: number, perFrame: number): Buffer[] {
    this.time = (this.time + frameMs * perMs) >>> 0
    this.clock.heard(this.time, atMs)
    return Array.from({ length: perFrame }, () => packet({ seq: this.seq++, time: this.time }))
  }
}

test('numbers and times are compared over the wrap', () => {
  expect([seqAfter(0, 0xffff), seqAfter(0xffff, 0), seqAfter(5, 5)]).toEqual([1, -1, 0])
  expect([timeAfter(0, 2 ** 32 - 1), timeAfter(2 ** 32 - 1, 0)]).toEqual([1, -1])
})

test('one source for as long as one likes: nothing is taken for late after half of the numbers', () => {
  const splice = new Splice({ ssrc: 1, clockRate })
  const sender = new Sender(65_000, 2 ** 32 - 5_000)
  let last: ReturnType<typeof shape> | undefined
  let sent = 0
  for (let at = 0; at < 100_000; at++) {
    const [next] = sender.frame(at * 33, 33, 1) as [Buffer]
    if (at === 0) splice.begin(next, 0, sender.clock)
    const out = splice.next(next, at * 33)
    if (!out) continue
    sent++
    if (last && (seqAfter(seqOf(out), last.seq) !== 1 || timeAfter(timeOf(out), last.time) !== 33 * perMs))
      throw new Error(`at ${at}`)
    last = shape(out)
    if (ssrcOf(out) !== 1) throw new Error('another source')
  }
  expect(sent).toBe(100_000)
})

test('any sequence of sources, begun or replayed: numbers go on by one, times never go back and keep to the clock', () => {
  const source = fc.record({
    seq: fc.nat(0xffff),
    time: fc.nat(2 ** 32 - 1),
    held: fc.nat(400),
    frames: fc.integer({ min: 1, max: 60 }),
    perFrame: fc.integer({ min: 1, max: 5 }),
    frameMs: fc.constantFrom(16, 33, 66),
    silentMs: fc.constantFrom(0, 1, 40, 1_500, 10_000),
  })
  fc.assert(
    fc.property(fc.array(source, { minLength: 1, maxLength: 8 }), fc.nat(0xffff), fc.nat(2 ** 32 - 1), (sources, seq, time) => {
      const splice = new Splice({ ssrc: 9, clockRate, seq, time })
      const out: { seq: number; time: number; atMs: number; frame: string }[] = []
      let now = 1_000
      for (const [nthSource, one] of sources.entries()) {
        now += one.silentMs
        const sender = new Sender(one.seq, one.time)
        const held: Buffer[] = []
        const startAt = now
        for (let at = one.held; at > 0; at--) held.push(...sender.frame(startAt - at * one.frameMs, one.frameMs, one.perFrame))
        if (held.length > 0)
          for (const [nth, sent] of splice.replay(held, now, sender.clock).entries())
            out.push({ ...shape(sent), atMs: now, frame: `${nthSource} held ${Math.floor(nth / one.perFrame)}` })
        for (let at = 0; at < one.frames; at++) {
          now = startAt + at * one.frameMs
          for (const [nth, next] of sender.frame(now, one.frameMs, one.perFrame).entries()) {
            if (held.length === 0 && at === 0 && nth === 0) splice.begin(next, now, sender.clock)
            const sent = splice.next(next, now)
            if (sent) out.push({ ...shape(sent), atMs: now, frame: `${nthSource} ${at}` })
          }
        }
      }
      expect(out).toHaveLength(sources.reduce((sum, { held, frames, perFrame }) => sum + (held + frames) * perFrame, 0))
      for (const [at, { seq: outSeq, time: outTime, atMs, frame }] of out.entries()) {
        const before = out[at - 1]
        if (!before) continue
        if (seqAfter(outSeq, before.seq) !== 1) throw new Error(`${outSeq} after ${before.seq}`)
        const later = timeAfter(outTime, before.time)
        if (later < 0) throw new Error(`${later} back`)
        if ((later === 0) !== (frame === before.frame)) throw new Error(`${later} from frame ${before.frame} to ${frame}`)
        // A replay presses at most, and what it overlaps is caught up within a second.
        if (later > (atMs - before.atMs + 70) * perMs) throw new Error(`${later / perMs} ms in ${atMs - before.atMs} ms`)
      }
    }),
    { numRuns: 100 },
  )
})

test('sound and picture keep together over switches, whatever is late when a switch comes', () => {
  const delays = fc.array(fc.record({ audioMs: fc.nat(80), videoMs: fc.nat(80), lineMs: fc.nat(3_000) }), {
    minLength: 1,
    maxLength: 6,
  })
  fc.assert(
    fc.property(delays, fc.integer(), (switches, noise) => {
      const video = new Splice({ ssrc: 1, clockRate, overlap: 'press' })
      const audio = new Splice({ ssrc: 2, clockRate: 48_000, overlap: 'drop' })
      let [now, jitter] = [0, noise]
      const random = (max: number) => {
        jitter = (Math.imul(jitter, 1_664_525) + 1_013_904_223) | 0
        return (jitter >>> 8) % (max + 1)
      }
      for (const [nth, { audioMs, videoMs, lineMs }] of switches.entries()) {
        const [videoClock, audioClock] = [new StreamClock(clockRate), new StreamClock(48_000)]
        // Both stand for the sender's instant 0 = `from`; the first of each after the switch is late.
        const from = now - 500
        const held: Buffer[] = []
        for (let ms = 0; ms < 500; ms += 40) {
          videoClock.heard(ms * 90, from + ms + random(20))
          audioClock.heard(ms * 48, from + ms + random(20))
          held.push(packet({ seq: ms / 40, time: ms * 90 }))
        }
        if (nth > 0) video.replay(held, now, videoClock)
        let last: { video?: number; audio?: number } = {}
        for (let ms = 500; ms < 3_500 + lineMs; ms += 20) {
          const [lateV, lateA] = ms < 520 ? [videoMs, audioMs] : [random(20), random(20)]
          now = from + ms
          const sound = packet({ seq: ms / 20, time: ms * 48 })
          audioClock.heard(ms * 48, now + lateA)
          if (ms === 500) audio.begin(sound, now + lateA, audioClock)
          const outA = audio.next(sound, now + lateA)
          const picture = packet({ seq: 13 + ms / 20 - 25, time: ms * 90 })
          videoClock.heard(ms * 90, now + lateV)
          if (nth === 0 && ms === 500) video.begin(picture, now + lateV, videoClock)
          const outV = video.next(picture, now + lateV)
          // How the time that goes out stands to the sender's: the same instant in both.
          last = {
            ...(outV ? { video: timeAfter(timeOf(outV), video.timeAt(from + ms)) / 90 } : {}),
            ...(outA ? { audio: timeAfter(timeOf(outA), audio.timeAt(from + ms)) / 48 } : {}),
          }
        }
        expect(Math.abs((last.video ?? 1e9) - (last.audio ?? 1e9))).toBeLessThan(30)
      }
    }),
    { numRuns: 30 },
  )
})

test('late packets of the present source go out with their own number, those before its beginning do not', () => {
  const splice = new Splice({ ssrc: 1, clockRate, seq: 0xfffe, time: 5 })
  splice.begin(packet({ seq: 10, time: 1_000 }), 0)
  const numbers = [10, 12, 9, 11, 13].map((seq) => splice.next(packet({ seq, time: 1_000 + (seq - 10) * 3_000 }), 0))
  expect(numbers.map((sent) => sent && seqOf(sent))).toEqual([0xffff, 1, undefined, 0, 2])
})

test('a sender that begins to count anew is a new source', () => {
  const splice = new Splice({ ssrc: 1, clockRate })
  splice.begin(packet({ seq: 10, time: 1_000 }), 0)
  const before = shape(splice.next(packet({ seq: 10, time: 1_000 }), 0) as Buffer)
  const seq = shape(splice.next(packet({ seq: 40_000, time: 4_000 }), 33) as Buffer)
  const time = shape(splice.next(packet({ seq: 40_001, time: 3_000_000_000 }), 66) as Buffer)
  expect([seq.seq, time.seq]).toEqual([before.seq + 1, before.seq + 2])
  for (const [a, b] of [[before, seq] as const, [seq, time] as const])
    expect(Math.abs(timeAfter(b.time, a.time) - 33 * perMs)).toBeLessThan(perMs)
})

test('a clock keeps to the packets that were least delayed, follows drift, and takes a new count', () => {
  const clock = new StreamClock(clockRate)
  expect(clock.timeAt(0)).toBeUndefined()
  for (let ms = 0; ms < 60_000; ms += 20) clock.heard(Math.round(ms * perMs * (1 - 0.000_1)), ms + (ms % 100 === 0 ? 0 : 60))
  const off = timeAfter(clock.timeAt(60_000) as number, 60_000 * perMs * (1 - 0.000_1))
  expect(Math.abs(off)).toBeLessThan(perMs)
  clock.heard(5, 60_020)
  expect(clock.timeAt(60_020)).toBe(5)
})

test('a sender report, byte by byte', () => {
  const splice = new Splice({ ssrc: 0x01020304, clockRate, seq: 1, time: 1_000 })
  const first = packet({ seq: 1, time: 77, size: 112 })
  splice.begin(first, 500)
  splice.next(first, 500)
  const report = senderReport(splice, { wallMs: 1_500, atMs: 500 })
  expect(report.toString('hex')).toBe(
    ['80c80006', '01020304', (2_208_988_801).toString(16), '80000000', '000003e8', '00000001', '00000064'].join(''),
  )
})
