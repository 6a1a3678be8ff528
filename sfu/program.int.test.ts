/** What viewers get, packet by packet: of several pictures and sounds of one line, and of a line that comes back. */

import type { types } from 'mediasoup'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Feed, LineName, Media, MediaKind } from '../schemas/sfu.ts'
import { makeVp8, opusParameters, startTestNode, type TestNode, vp8Parameters } from './testing.ts'

let sfu: TestNode
beforeAll(async () => {
  sfu = await startTestNode({ workers: 1 })
}, 600_000)
afterAll(() => sfu?.close())

/** What a viewer gets, by the mark of who sent it: the last byte. */
class Marks {
  readonly got: number[] = []
  readonly #wake = new Set<() => void>()

  constructor(consumer: types.Consumer) {
    consumer.on('rtp', (packet) => {
      this.got.push(packet.at(-1) as number)
      for (const wake of [...this.#wake]) wake()
    })
  }

  /** Resolves when so many in a row were of it alone. */
  only(mark: number, count = 10): Promise<void> {
    const from = this.got.length
    return new Promise((resolve) => {
      const look = () => {
        const last = this.got.slice(Math.max(from, this.got.length - count))
        if (last.length < count || last.some((one) => one !== mark)) return
        this.#wake.delete(look)
        resolve()
      }
      this.#wake.add(look)
    })
  }
}

async function openRoom(room: string, kind: MediaKind) {
  await sfu.node.request('room.open', { room })
  const media = sfu.node.rooms.get(room) as NonNullable<ReturnType<typeof sfu.node.rooms.get>>
  const { router } = media.places.main
  const direct = await router.createDirectTransport()
  const publish = (rtpParameters: Media, line: LineName = 'primary') => {
    const feed: Feed = { of: 'line', line, source: 'cam' }
    return media.produce(media.peer(`of_${line}`), direct, { kind, rtpParameters, feed, via: 'webrtc' })
  }
  const viewer = async () => {
    const { track } = await sfu.until('track.opened', (event) => event.room === room && event.track.kind === kind)
    return new Marks(await direct.consume({ producerId: track.id, rtpCapabilities: router.rtpCapabilities }))
  }
  return { media, publish, viewer }
}

/** Sends every 20 ms what `make` makes, until it is stopped. `mark`: of all, or of each. */
function send(producer: types.Producer, mark: number | (() => number), make: () => Buffer) {
  let isOn = true
  const timer = setInterval(() => {
    if (!isOn || producer.closed) return
    const packet = make()
    packet[packet.length - 1] = typeof mark === 'number' ? mark : mark()
    producer.send(packet)
  }, 20)
  return { stop: () => (isOn = false), again: () => (isOn = true), end: () => clearInterval(timer) }
}

test('a new picture takes over when it has one; silent or closed, the one before is shown', async () => {
  const { media, publish, viewer } = await openRoom('picture', 'video')
  const [cam, screen] = [makeVp8(1), makeVp8(2)]
  let frames = 0
  let hasKeys = false
  /** An odd number, so that each of two that ask in turn gets some. */
  const isTime = () => frames++ % 7 === 0
  const first = send(await publish(vp8Parameters([1])), 1, () => cam(isTime()))
  const marks = await viewer()
  await marks.only(1)
  // Published, and muted: nothing of it arrives.
  const producer = await publish(vp8Parameters([2]))
  await marks.only(1)
  const second = send(producer, 2, () => screen(hasKeys && isTime()))
  await marks.only(1)
  hasKeys = true
  await marks.only(2)
  second.stop()
  await marks.only(1)
  second.again()
  await marks.only(2)
  media.program.select([...media.peer('of_primary').producers.keys()][0] as string)
  await marks.only(1)
  media.program.select(producer.id)
  await marks.only(2)
  producer.close()
  await marks.only(1)
  // The line was well all the time.
  expect(sfu.events.filter(({ t }) => t === 'line.switched' || t === 'track.closed')).toEqual([])
  expect(media.program.lines[0]?.state).toBe('up')
  first.end()
  second.end()
})

test('of two sounds the newest is heard, and never both in turn', async () => {
  const { publish, viewer } = await openRoom('sound', 'audio')
  const sound = (ssrc: number) => {
    let at = 0
    return () => {
      const packet = Buffer.alloc(60)
      packet[0] = 0x80
      packet[1] = 100
      packet.writeUInt16BE(at & 0xffff, 2)
      packet.writeUInt32BE(at * 960, 4)
      packet.writeUInt32BE(ssrc, 8)
      at++
      return packet
    }
  }
  const first = send(await publish(opusParameters(11)), 1, sound(11))
  const marks = await viewer()
  await marks.only(1)
  const producer = await publish(opusParameters(12))
  const second = send(producer, 2, sound(12))
  await marks.only(2, 25)
  producer.close()
  await marks.only(1, 25)
  for (const one of [first, second]) one.end()
})

test('back to the primary with a key frame that comes then, and not with all that was held since the last', async () => {
  const { media, publish, viewer } = await openRoom('back', 'video')
  const spare = makeVp8(21)
  let spares = 0
  const backup = send(await publish(vp8Parameters([21]), 'backup'), 9, () => spare(spares++ % 10 === 0))
  const marks = await viewer()
  await marks.only(9)
  // The first key frame is 3 s old when the line has been clean for long enough, the second comes soon after.
  const [picture, keyEvery] = [makeVp8(22), 180]
  let sent = 0
  const mark = () => (sent <= keyEvery ? 1 : 2)
  const primary = send(await publish(vp8Parameters([22])), mark, () => picture(sent++ % keyEvery === 0))
  await marks.only(2)
  expect(marks.got).not.toContain(1)
  expect(media.program.line).toBe('primary')
  for (const one of [backup, primary]) one.end()
})
