import { describe, expect, test } from 'vitest'
import { danmakuTemplates } from './crowd.ts'
import { readAccount } from './delivery-account.ts'
import { clientFrame, FrameWalk, opcodes } from './frames.ts'
import { Histogram } from './histogram.ts'
import { findMarker, Marker, MarkerCount, stampDigits } from './marker.ts'

const marker = new Marker(7)
const message = (stamp: number) =>
  Buffer.from(`{"t":"danmaku.sent","d":{"text":"${marker.text}${String(stamp).padStart(stampDigits, '0')} hello"}}`)

/** Feeds `bytes` in reads of the given sizes, over and over. */
function feed(sink: { read(bytes: Uint8Array, length: number): void }, bytes: Uint8Array, sizes: readonly number[]): void {
  const buffer = new Uint8Array(4096)
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const part = bytes.subarray(at, at + (sizes[i % sizes.length] as number))
    buffer.set(part)
    sink.read(buffer, part.length)
    at += part.length
  }
}

describe('counting markers', () => {
  const stream = Buffer.concat([
    message(1),
    message(2),
    Buffer.from('Q'),
    message(3),
    Buffer.from(new Marker(8).text),
    message(4),
  ])

  test.each([1, 2, 3, 5, 7, 15, 16, 17, 31, 64, 1000])('counts each once in reads of %i bytes', (size) => {
    const count = new MarkerCount(marker)
    feed(count, stream, [size])
    expect(count.total).toBe(4)
  })

  test('counts each once in reads of mixed sizes, whichever byte the cut falls on', () => {
    for (let first = 1; first < stream.length; first++) {
      const count = new MarkerCount(marker)
      feed(count, stream, [first, 4, 13])
      expect(count.total).toBe(4)
    }
  })

  test('the tail of one phase does not count in the next', () => {
    const count = new MarkerCount(marker)
    const bytes = Buffer.from(marker.text)
    count.read(bytes, 10)
    count.restart(marker)
    count.read(bytes.subarray(10), 6)
    expect(count.total).toBe(0)
  })

  test('gives the stamps that are set and whole', () => {
    const stamps: number[] = []
    const count = new MarkerCount(marker, (us) => stamps.push(us))
    const bytes = Buffer.concat([message(123456789), message(0), message(5)])
    count.read(bytes, bytes.length)
    expect(count.total).toBe(3)
    expect(stamps).toEqual([123456789, 5])
  })

  test('finds nothing past the end that it was given', () => {
    const bytes = Buffer.from(marker.text)
    expect(findMarker(marker, bytes, 0, bytes.length)).toBe(0)
    expect(findMarker(marker, bytes, 0, bytes.length - 1)).toBe(-1)
  })

  test('the messages of the bench have the length that was asked for and one marker', () => {
    const templates = danmakuTemplates(marker, 'demo', 84, 120)
    const sizes = templates.map(({ frame }) => JSON.parse(frame.subarray(frame.indexOf('{')).toString()).d.text.length)
    expect(sizes).toEqual([84, 93, 102, 111, 120])
    for (const { frame, stampAt } of templates) expect(frame.subarray(stampAt, stampAt + 3).toString()).toBe('000')
    expect(() => danmakuTemplates(marker, 'demo', 10, 120)).toThrow(RangeError)
  })
})

function serverFrame(opcode: number, payload: Uint8Array): Buffer {
  const { length } = payload
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10)
  head[0] = 0x80 | opcode
  head[1] = length < 126 ? length : length < 65_536 ? 126 : 127
  if (head.length === 4) head.writeUInt16BE(length, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head, payload])
}

describe('walking over frames', () => {
  const stream = Buffer.concat([
    serverFrame(opcodes.text, Buffer.alloc(100, 0x89)),
    serverFrame(opcodes.ping, Buffer.from('are you there')),
    serverFrame(opcodes.binary, Buffer.alloc(70_000, 0x8a)),
    serverFrame(opcodes.ping, Buffer.alloc(0)),
    serverFrame(opcodes.text, Buffer.alloc(300)),
    serverFrame(opcodes.close, Buffer.from([0x0f, 0xa0])),
  ])

  test.each([1, 2, 3, 9, 11, 100, 1001, 4096])('sees every control frame in reads of %i bytes', (size) => {
    const control: string[] = []
    const walk = new FrameWalk((opcode, payload) => control.push(`${opcode} ${payload.toString('latin1')}`))
    feed(walk, stream, [size])
    expect(control).toEqual(['9 are you there', '9 ', '8 \x0f\xa0'])
    expect(walk.frames).toBe(3)
  })

  test('collects whole messages while somebody wants them', () => {
    const lengths: number[] = []
    const walk = new FrameWalk(() => {})
    walk.onMessage = (_, payload) => lengths.push(payload.length)
    feed(walk, stream, [997])
    expect(lengths).toEqual([100, 70_000, 300])
    walk.messageBytesMax = 299
    feed(walk, stream, [997])
    expect(lengths).toEqual([100, 70_000, 300, 100])
  })

  test('a control frame that cannot be is an error, not a count', () => {
    const walk = new FrameWalk(() => {})
    const bad = Buffer.from([0x89, 126, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0])
    expect(() => walk.read(bad, bad.length)).toThrow('lost its way')
  })

  test('a client frame is masked with zeros and has the length of its payload', () => {
    const frame = clientFrame(opcodes.text, Buffer.alloc(200, 0x61))
    expect(frame.length).toBe(2 + 2 + 4 + 200)
    expect([...frame.subarray(0, 8)]).toEqual([0x81, 0xfe, 0, 200, 0, 0, 0, 0])
    expect(() => clientFrame(opcodes.text, Buffer.alloc(70_000))).toThrow(RangeError)
  })
})

describe('histogram', () => {
  test('gives quantiles to a tenth of a millisecond', () => {
    const times = new Histogram()
    for (let ms = 1; ms <= 100; ms++) times.add(ms * 1000 - 50)
    expect(times.quantileMs(0.5)).toBe(50)
    expect(times.quantileMs(0.99)).toBe(99)
    expect(times.maxMs).toBeCloseTo(99.95)
    expect(new Histogram().quantileMs(0.5)).toBeUndefined()
  })

  test('adds up over threads', () => {
    const a = new Histogram()
    const b = new Histogram()
    a.add(1_000)
    b.add(20_000_000)
    a.merge(b)
    expect(a.count).toBe(2)
    expect(a.quantileMs(0.5)).toBe(1.1)
    expect(a.maxMs).toBe(20_000)
  })
})

test('the account is read from whatever counters carry a lane and a kind', () => {
  const account = readAccount(
    new Map([
      ['livehouse_deliveries_total{lane="normal",kind="written"}', 5],
      ['livehouse_deliveries_total{kind="offered",lane="normal",room="a"}', 4],
      ['livehouse_deliveries_total{kind="offered",lane="normal",room="b"}', 3],
      ['livehouse_frames_total{tier="full"}', 9],
    ]),
  )
  expect(account.normal).toEqual({ written: 5, offered: 7 })
  expect(account.high).toEqual({})
})
