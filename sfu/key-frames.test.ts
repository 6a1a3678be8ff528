import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isKeyPacket, payloadOf } from './key-frames.ts'

const head = (first = 0x80) => [first, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]
const rtp = (payload: readonly number[], before: readonly number[] = head()) => Buffer.from([...before, ...payload])

test.each<[string, number[], boolean]>([
  ['key', [0x10, 0x00], true],
  ['not a key', [0x10, 0x01], false],
  ['a later packet of a key frame', [0x00, 0x00], false],
  ['another partition', [0x11, 0x00], false],
  ['picture id of 7 bits', [0x90, 0x80, 0x11, 0x00], true],
  ['picture id of 15 bits', [0x90, 0x80, 0x91, 0x11, 0x00], true],
  ['picture id, TL0PICIDX, TID and KEYIDX', [0x90, 0xf0, 0x91, 0x11, 0x22, 0x33, 0x00], true],
  ['the same, not a key', [0x90, 0xf0, 0x91, 0x11, 0x22, 0x33, 0x01], false],
  ['cut off in its descriptor', [0x90, 0xf0, 0x91], false],
  ['a descriptor and nothing else', [0x10], false],
])('VP8: %s', (_, payload, isKey) => {
  expect(isKeyPacket('video/VP8', rtp(payload))).toBe(isKey)
})

test.each<[string, number[], boolean]>([
  ['IDR', [0x65, 0x88], true],
  ['parameter set', [0x67, 0x42], true],
  ['picture parameter set alone', [0x68, 0xce], false],
  ['slice', [0x41, 0x9a], false],
  ['first fragment of an IDR', [0x7c, 0x85], true],
  ['later fragment', [0x7c, 0x05], false],
  ['first fragment of a slice', [0x7c, 0x81], false],
  ['fragment without a header', [0x7c], false],
  ['several, an IDR among them', [0x78, 0, 2, 0x68, 0xce, 0, 2, 0x65, 0x88], true],
  ['several, none of them', [0x78, 0, 2, 0x68, 0xce, 0, 2, 0x41, 0x9a], false],
  ['several, with a size that is a lie', [0x78, 0xff, 0xff, 0x41], false],
  ['several of no size', [0x78, 0, 0, 0, 0, 0, 0], false],
])('H264: %s', (_, payload, isKey) => {
  expect(isKeyPacket('video/h264', rtp(payload))).toBe(isKey)
})

test('behind sources and extension, without padding', () => {
  const sources = [...head(0x82), 0, 0, 0, 1, 0, 0, 0, 2]
  const extension = [...head(0x90), 0xbe, 0xde, 0, 1, 1, 2, 3, 4]
  const padded = [...head(0xa0), 0x10, 0x00, 0, 0, 3]
  expect([...(payloadOf(rtp([9], sources)) ?? [])]).toEqual([9])
  expect([...(payloadOf(rtp([9], extension)) ?? [])]).toEqual([9])
  expect([...(payloadOf(Buffer.from(padded)) ?? [])]).toEqual([0x10, 0x00])
})

test('hostile bytes: an answer, and never a read past the end', () => {
  const bytes = fc.uint8Array({ maxLength: 80 })
  fc.assert(
    fc.property(fc.constantFrom('video/VP8', 'video/H264', ''), bytes, fc.boolean(), (mimeType, given, isRtp) => {
      const packet = Buffer.from(isRtp ? [0x80 | ((given[0] ?? 0) & 0x3f), ...given.slice(1)] : given)
      expect(typeof isKeyPacket(mimeType, packet)).toBe('boolean')
      const payload = payloadOf(packet)
      if (payload) expect(payload.length).toBeGreaterThan(0)
    }),
    { numRuns: 2_000 },
  )
})
