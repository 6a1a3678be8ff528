/** Our reader and writer against protobufjs, and against bytes that nobody meant to send. */
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import protobuf from 'protobufjs'
import { describe, expect, test } from 'vitest'
import { arbitraryOfMessage } from './arbitrary.ts'
import { codecs } from './gen/messages.ts'
import { type Codec, decode, encode, Reader, WireError, Writer } from './protobuf.ts'

const { root } = protobuf.parse(readFileSync(new URL('livehouse.proto', import.meta.url), 'utf8'))
root.resolveAll()
const messages = Object.entries(codecs).map(([name, codec]) => ({
  name,
  codec: codec as unknown as Codec<Record<string, unknown>>,
  type: root.lookupType(`livehouse.v1.${name}`),
}))

/** Texts as our writer keeps them: protobufjs would write a lone surrogate as three bytes that are no UTF-8. */
function wellFormed<T>(value: T): T {
  if (typeof value === 'string') return value.replace(/\p{Surrogate}/gu, '\ufffd') as T
  if (Array.isArray(value)) return value.map(wellFormed) as T
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, wellFormed(item)])) as T
}

/** Well-formed, and bytes as hex: protobufjs gives a Buffer. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `0x${Buffer.from(value).toString('hex')}`
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : wellFormed(value)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
}
const theirs = (type: protobuf.Type, bytes: Uint8Array) =>
  plain(type.toObject(type.decode(bytes), { longs: Number, arrays: true }))

/** Runs `read`; `undefined` when it refused with a `WireError`. Any other error is a failure of the test. */
function refusedOr<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}

/** What a value holds: a decoder must not make more out of a frame than its bytes. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length
  if (value instanceof Uint8Array) return value.length
  if (typeof value !== 'object' || value === null) return 1
  return Object.values(value).reduce((sum: number, item) => sum + (Array.isArray(item) ? 0 : 1) + sizeOf(item), 0)
}

describe.each(messages)('$name', ({ codec, type }) => {
  const message = arbitraryOfMessage(type)
  const valid = message.map((value) => encode(codec, value))

  test('ours to protobufjs and back', () => {
    fc.assert(
      fc.property(message, (value) => {
        const ours = encode(codec, value)
        const want = plain(type.toObject(type.fromObject(value), { longs: Number, arrays: true }))
        expect(theirs(type, ours)).toEqual(want)
        expect(plain(decode(codec, ours))).toEqual(want)
        expect(plain(decode(codec, type.encode(type.fromObject(wellFormed(value))).finish()))).toEqual(want)
      }),
      { numRuns: 40 },
    )
  })

  test('damaged frames are read or refused', () => {
    const damage = fc.record({
      bytes: valid,
      cut: fc.nat(),
      at: fc.nat(),
      byte: fc.nat(255),
      how: fc.constantFrom('cut', 'set', 'insert', 'drop'),
    })
    fc.assert(
      fc.property(damage, ({ bytes, cut, at, byte, how }) => {
        const damaged =
          how === 'cut' ? bytes.slice(0, cut % (bytes.length + 1)) : splice(bytes, at % (bytes.length + 1), byte, how)
        const value = refusedOr(() => decode(codec, damaged))
        if (value) expect(sizeOf(value)).toBeLessThanOrEqual(damaged.length)
        expect(insideOther(codec, damaged)).toEqual(value)
      }),
      { numRuns: 60 },
    )
  })

  test('any bytes are read or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        const value = refusedOr(() => decode(codec, bytes))
        if (value) expect(sizeOf(value)).toBeLessThanOrEqual(bytes.length)
        expect(insideOther(codec, bytes)).toEqual(value)
      }),
      { numRuns: 60 },
    )
  })
})

function splice(bytes: Uint8Array, at: number, byte: number, how: string): Uint8Array {
  const out = [...bytes]
  out.splice(at, how === 'insert' ? 0 : 1, ...(how === 'drop' ? [] : [byte]))
  return Uint8Array.from(out)
}

/** The same bytes in the middle of others that would read well: nothing past the end may be seen. */
function insideOther<M>(codec: Codec<M>, bytes: Uint8Array): M | undefined {
  const around = new Uint8Array(bytes.length + 40).fill(1)
  around.set(bytes, 20)
  return refusedOr(() => decode(codec, around.subarray(20, 20 + bytes.length)))
}

const bytesOf = (...bytes: number[]) => Uint8Array.from(bytes)

describe('reader', () => {
  const { Person, RoomJoinReply, SessionPing, Settings, ClientFrame } = codecs

  test.each([
    ['a length past the end', Person, bytesOf(0x0a, 5, 0x61)],
    ['a nested length past its parent', ClientFrame, bytesOf(0x0a, 3, 0x0a, 5, 0x61, 0x61, 0x61, 0x61, 0x61)],
    ['a truncated number', SessionPing, bytesOf(0x08, 0x80)],
    ['a number of eleven bytes', SessionPing, bytesOf(0x08, ...Array<number>(10).fill(0x80), 0)],
    ['a number over 2^53-1', SessionPing, bytesOf(0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10)],
    ['an int32 over 2^31-1', Settings, bytesOf(0x38, 0x80, 0x80, 0x80, 0x80, 0x08)],
    ['invalid UTF-8', Person, bytesOf(0x0a, 1, 0xff)],
    ['a surrogate in UTF-8', Person, bytesOf(0x0a, 3, 0xed, 0xa0, 0x80)],
    ['field number 0', Person, bytesOf(0x02, 0)],
    ['a field number over 2^29-1', Person, bytesOf(0x82, 0x80, 0x80, 0x80, 0x10, 0)],
    ['a group', Person, bytesOf(0x0b, 0x0c)],
    ['an unknown wire type', Person, bytesOf(0x7e)],
    ['a truncated fixed64', Person, bytesOf(0x79, 0, 0, 0, 0, 0, 0, 0)],
  ] as [string, Codec<unknown>, Uint8Array][])('refuses %s', (_, codec, bytes) => {
    expect(() => decode(codec, bytes)).toThrow(WireError)
  })

  test('steps over fields of a later version, whatever they hold', () => {
    const minusOne = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]
    const later = bytesOf(
      0x78,
      ...minusOne,
      0x79,
      ...Array<number>(8).fill(9),
      0x7a,
      2,
      0xff,
      0xff,
      0x7d,
      1,
      2,
      3,
      4,
      0x0a,
      1,
      0x61,
    )
    expect(decode(Person, later)).toEqual({ id: 'a' })
    expect(decode(Person, bytesOf(0xf8, 0xff, 0xff, 0xff, 0x0f, 1, 0x0a, 1, 0x61))).toEqual({ id: 'a' })
  })

  test('the last of a field counts, a list gathers', () => {
    expect(decode(Person, bytesOf(0x0a, 1, 0x61, 0x0a, 1, 0x62))).toEqual({ id: 'b' })
    expect(decode(codecs.DanmakuRemoveReply, bytesOf(0x0a, 1, 0x61, 0x0a, 0))).toEqual({ ids: ['a', ''] })
    expect(decode(RoomJoinReply, bytesOf())).toEqual({ danmaku: [], ext: [] })
  })

  test('any non-zero number is true', () => {
    expect(decode(Settings, bytesOf(0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0x10, 0))).toEqual({
      chat: true,
      gift: false,
    })
  })
})

describe('writer', () => {
  test.each([NaN, Infinity, 1.5, 2 ** 53, -(2 ** 53)])('refuses %s as int64', (value) => {
    expect(() => encode(codecs.SessionPing, { at: value })).toThrow(WireError)
    expect(encode(codecs.SessionPing, { at: 1 })).toEqual(bytesOf(8, 1))
  })

  test.each([NaN, 0.5, 2 ** 31, -(2 ** 31) - 1])('refuses %s as int32', (value) => {
    expect(() => encode(codecs.LikeTap, { n: value })).toThrow(WireError)
  })

  test('writes -0 as 0, as JSON does', () => {
    expect(encode(codecs.SessionPing, { at: -0 })).toEqual(bytesOf(8, 0))
    expect(encode(codecs.LikeTap, { n: -0 })).toEqual(bytesOf(8, 0))
  })

  test('grows in the middle of nested messages, from any size', () => {
    const text = fc.nat(40_000).map((length) => 'é'.repeat(length))
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 64 }), fc.array(text, { maxLength: 4 }), text, (start, names, last) => {
        const writer = new Writer(start)
        const frame = { requests: [...names, last].map((id) => ({ id, d: new Uint8Array(id.length % 300) })) }
        codecs.ClientFrame.encode(frame, writer)
        const bytes = writer.finish()
        expect(isDeepStrictEqual(codecs.ClientFrame.decode(new Reader(bytes), bytes.length), frame)).toBe(true)
        expect(Buffer.compare(encode(codecs.ClientFrame, frame), bytes)).toBe(0)
      }),
      { numRuns: 30 },
    )
  })

  test.each([127, 128, 16_383, 16_384, 2_097_151, 2_097_152])('a nested message of exactly %s bytes', (length) => {
    const textLength = length - (length < 130 ? 2 : length < 16_387 ? 3 : 4)
    const request = { d: new Uint8Array(textLength).fill(7) }
    const bytes = encode(codecs.ClientFrame, { requests: [request] })
    const theirs = root
      .lookupType('livehouse.v1.ClientFrame')
      .encode({ requests: [request] })
      .finish()
    expect(Buffer.compare(bytes, theirs)).toBe(0)
    expect(new Reader(bytes.subarray(1)).uint(10)).toBe(length)
  })

  test.each([126, 127, 128, 129, 16_382, 16_383, 16_384, 16_385, 2_097_151, 2_097_152])(
    'length %s, as text and as message',
    (length) => {
      for (const letter of ['a', '中']) {
        const reply = { room: { title: letter.repeat(Math.ceil(length / Buffer.byteLength(letter))) } }
        const bytes = encode(codecs.RoomCreateReply, reply)
        expect(Buffer.compare(bytes, root.lookupType('livehouse.v1.RoomCreateReply').encode(reply).finish())).toBe(0)
        expect(isDeepStrictEqual(decode(codecs.RoomCreateReply, bytes), reply)).toBe(true)
      }
    },
  )
})
