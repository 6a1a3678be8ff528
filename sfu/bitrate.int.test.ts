/** What a 4K picture of 30 frames weighs: taken where the bitrate is that of its profile, cut where it is that of 1080p. */
import { createSocket } from 'node:dgram'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { configFrom } from '../engine/config.ts'
import { nodeOptions } from '../engine/media/start.ts'
import type { Ingest } from '../schemas/sfu.ts'
import { startTestNode, type TestNode, watch } from './testing.ts'

const { bitrateMax } = nodeOptions(configFrom({ mediaProfile: '2160p30' }))
const hd = nodeOptions(configFrom({ mediaProfile: '1080p30' })).bitrateMax
const sentBps = 20_000_000
const packetBytes = 1_200

let sfu: TestNode
const ends: (() => void)[] = []
beforeAll(async () => {
  sfu = await startTestNode({ workers: 2, bitrateMax })
}, 600_000)
afterAll(() => {
  for (const end of ends) end()
  sfu?.close()
})

/** VP8 in form, 70 packets a frame; each second begins with a key frame. */
function sendPicture({ host, videoPort, video }: Ingest): void {
  const socket = createSocket('udp4')
  const packet = Buffer.alloc(packetBytes, 0x55)
  packet[0] = 0x80
  packet[1] = 0x80 | video.payloadType
  packet.writeUInt32BE(video.ssrc, 8)
  const packetsPerS = sentBps / 8 / packetBytes
  const startedAt = performance.now()
  let sent = 0
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) * packetsPerS) / 1_000)
    for (; sent < due; sent++) {
      const frame = Math.floor((sent * 30) / packetsPerS)
      const isFirst = Math.floor(((sent - 1) * 30) / packetsPerS) !== frame
      packet.writeUInt16BE(sent & 0xffff, 2)
      packet.writeUInt32BE(frame * 3_000, 4)
      packet[12] = isFirst ? 0x10 : 0x00
      packet[13] = isFirst && frame % 30 === 0 ? 0x00 : 0x01
      socket.send(Buffer.from(packet), videoPort, host)
    }
  }, 5)
  ends.push(() => {
    clearInterval(timer)
    socket.close()
  })
}

test('20 Mbit/s stay in a room of 4K and are cut in one of 1080p', async () => {
  const { node } = sfu
  for (const [room, own] of [['uhd'], ['hd', hd]] as const) {
    await node.request('room.open', { room, ...(own === undefined ? {} : { bitrateMax: own }) })
    sendPicture(await node.request('ingest.open', { room, peer: 'rtp', line: 'primary', videoCodec: 'vp8' }))
  }
  const { track } = await sfu.until('track.opened', ({ room }) => room === 'uhd')
  const viewer = await watch(sfu, 'uhd', track.id)
  const from = performance.now()
  const cut = await sfu.until('producer.closed')
  expect(cut).toMatchObject({ room: 'hd', reason: 'bitrate' })
  const seenBps = (viewer.packets * packetBytes * 8_000) / (performance.now() - from)
  const told = sfu.events.flatMap((event) => (event.t === 'sample' ? event.rooms : [])).findLast(({ room }) => room === 'uhd')
  console.log({ bitrateMax, seenBps: Math.round(seenBps), ingressBps: told?.ingressBps })
  // More than 1080p may be, and what came in goes out.
  expect(told?.ingressBps).toBeGreaterThan(hd * 1.5)
  expect(seenBps).toBeGreaterThan(hd * 1.5)
  const { lines } = await node.request('room.describe', { room: 'uhd' })
  expect(lines[0]?.state).toBe('up')
})
