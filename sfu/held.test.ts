import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Held, heldBytesMax, heldPacketsMax } from './held.ts'
import { seqOf } from './splice.ts'

/** First bytes of payloads. */
const vp8 = { key: [0x10, 0x00], delta: [0x10, 0x01], rest: [0x00, 0x00] }
const h264 = {
  sps: [0x67, 0x42],
  pps: [0x68, 0xce],
  idr: [0x65, 0x88],
  fuStart: [0x7c, 0x85],
  fuRest: [0x7c, 0x05],
  delta: [0x41, 0x9a],
  stapA: [0x78, 0x00, 0x02, 0x67, 0x42, 0x00, 0x02, 0x68, 0xce],
}
type Sent = [seq: number, time: number, payload: readonly number[]]

function packet([seq, time, payload]: Sent, size = 0): Buffer {
  const head = Buffer.alloc(12)
  head[0] = 0x80
  head.writeUInt16BE(seq & 0xffff, 2)
  head.writeUInt32BE(time >>> 0, 4)
  return Buffer.concat([head, Buffer.from(payload), Buffer.alloc(size)])
}
function hold(mimeType: string, sent: readonly Sent[]): Held {
  const held = new Held(mimeType)
  for (const [at, one] of sent.entries()) held.add(packet(one), at)
  return held
}
const numbers = (held: Held) => held.copy().map(seqOf)

test('VP8: from the last key frame on', () => {
  const { key, delta, rest } = vp8
  const held = hold('video/VP8', [
    [1, 100, delta],
    [2, 200, key],
    [3, 200, rest],
    [4, 300, delta],
    [5, 400, key],
    [6, 400, rest],
    [7, 500, delta],
  ])
  expect({ numbers: numbers(held), isWhole: held.isWhole }).toEqual({ numbers: [5, 6, 7], isWhole: true })
  expect(
    numbers(
      hold('video/VP8', [
        [1, 100, delta],
        [2, 200, delta],
      ]),
    ),
  ).toEqual([])
})

test.each([
  ['each set in a packet of its own', [h264.sps, h264.pps, h264.fuStart, h264.fuRest, h264.fuRest]],
  ['sets in one packet, slices in several', [h264.stapA, h264.idr, h264.idr]],
  ['one packet', [h264.idr]],
])('H264: all packets of the frame, %s', (_, frame) => {
  const before: Sent[] = [
    [65_533, 100, h264.idr],
    [65_534, 200, h264.delta],
  ]
  const sent = frame.map((payload, at): Sent => [65_535 + at, 300, payload])
  const held = hold('video/H264', [...before, ...sent, [65_535 + frame.length, 400, h264.delta]])
  expect(numbers(held)).toEqual([...sent, [frame.length - 1 + 65_536]].map(([seq]) => (seq as number) & 0xffff))
  expect(held.isWhole).toBe(true)
})

test('in any order of arrival: from the parameter sets on, each once', () => {
  const frame: Sent[] = [
    [10, 300, h264.sps],
    [11, 300, h264.pps],
    [12, 300, h264.idr],
    [13, 300, h264.idr],
    [14, 400, h264.delta],
  ]
  fc.assert(
    fc.property(fc.shuffledSubarray(frame.slice(0, 4), { minLength: 4 }), (order) => {
      const held = hold('video/H264', [[9, 200, h264.delta], ...order, ...order, frame[4] as Sent, [9, 200, h264.delta]])
      expect({ numbers: numbers(held), isWhole: held.isWhole }).toEqual({ numbers: [10, 11, 12, 13, 14], isWhole: true })
    }),
  )
})

test('a hole is told, and closed by what comes late; a long one ends what was held', () => {
  const { key, delta } = vp8
  const held = hold('video/VP8', [
    [1, 100, key],
    [3, 300, delta],
  ])
  expect({ hasKey: held.hasKey, isWhole: held.isWhole }).toEqual({ hasKey: true, isWhole: false })
  held.add(packet([2, 200, delta]), 3)
  expect({ numbers: numbers(held), isWhole: held.isWhole }).toEqual({ numbers: [1, 2, 3], isWhole: true })
  held.add(packet([9_000, 400, delta]), 4)
  expect(held.hasKey).toBe(false)
})

test('bounded in bytes and in packets: counted, and empty until the next key frame', () => {
  const held = new Held('video/VP8')
  held.add(packet([0, 0, vp8.key]), 0)
  let seq = 1
  while (held.overflows === 0) held.add(packet([seq, seq++ * 100, vp8.delta], 100_000), 0)
  expect({ size: held.size, over: (seq + 1) * 100_000 > heldBytesMax }).toEqual({ size: 0, over: true })
  for (let at = 0; at < 10; at++) held.add(packet([seq, seq++ * 100, vp8.delta]), 0)
  expect({ hasKey: held.hasKey, size: held.size }).toEqual({ hasKey: false, size: 1 })
  held.add(packet([seq, seq++ * 100, vp8.key]), 0)
  for (let at = 0; at <= heldPacketsMax; at++) held.add(packet([seq, seq++ * 100, vp8.delta]), 0)
  expect({ overflows: held.overflows, hasKey: held.hasKey }).toEqual({ overflows: 2, hasKey: false })
})

test('whatever arrives: in order, without doubles, bounded, and what is given away is a copy', () => {
  const any = fc.tuple(
    fc.nat(0xffff),
    fc.nat(20),
    fc.constantFrom(...Object.values(vp8), ...Object.values(h264), [0x78, 0xff, 0xff]),
  )
  fc.assert(
    fc.property(fc.constantFrom('video/VP8', 'video/H264'), fc.array(any, { maxLength: 300 }), (mimeType, sent) => {
      const held = hold(
        mimeType,
        sent.map(([seq, time, payload]): Sent => [seq % 64, time, payload]),
      )
      const copy = held.copy()
      for (const [at, one] of copy.entries()) if (at > 0) expect(seqOf(one)).toBeGreaterThan(seqOf(copy[at - 1] as Buffer))
      for (const one of copy) one.fill(0)
      expect(held.copy().every((one) => one[0] === 0x80)).toBe(true)
    }),
  )
})
