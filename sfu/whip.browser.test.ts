/**
 * WHIP and WHEP with a client that is not ours: Chromium's own RTCPeerConnection and fetch. What it publishes is decoded by another page.
 */
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type SignalServer, serveSignals } from './signals-http.ts'
import { startTestNode, type TestNode } from './testing.ts'
import { type Clients, chromiumFlags, clients, executablePath } from './testing-page.ts'

let sfu: TestNode
let server: SignalServer
let browser: Browser
beforeAll(async () => {
  // The second viewer of a room is put on the other worker.
  sfu = await startTestNode({ workers: 2, consumersPerRouterMax: 2 })
  server = await serveSignals(sfu.node)
  browser = await chromium.launch({ executablePath, args: chromiumFlags })
}, 600_000)
afterAll(async () => {
  await browser?.close()
  server?.close()
  sfu?.close()
})

async function newPage(): Promise<Page> {
  const page = await browser.newPage()
  await page.goto(server.origin)
  await page.evaluate(clients)
  return page
}
const publish = (page: Page, path: string, options: { codec?: string; rids?: string[] } = {}) =>
  page.evaluate(([url, wanted]) => (globalThis as unknown as Clients).whip(url, wanted), [server.origin + path, options] as const)
const play = (page: Page, path: string, setup = 'actpass') =>
  page.evaluate(([url, as]) => (globalThis as unknown as Clients).whep(url, as), [server.origin + path, setup] as const)
const more = (page: Page, frames: number) => page.evaluate((wanted) => (globalThis as unknown as Clients).more(wanted), frames)

async function live(room: string, options: { codec?: string; rids?: string[] } = {}): Promise<Page> {
  await sfu.node.request('room.open', { room })
  const publisher = await newPage()
  const published = await publish(publisher, `/whip/${room}`, options)
  expect(published).toMatchObject({ status: 201, trickled: [204, 412, 428] })
  for (const kind of ['audio', 'video'])
    await sfu.until('track.opened', (event) => event.room === room && event.track.kind === kind)
  return publisher
}

it.each(['video/VP8', 'video/H264'])('published by WHIP, played by WHEP on two workers: %s', async (codec) => {
  const room = codec.slice(6)
  const publisher = await live(room, { codec })
  const viewer = await newPage()
  const played = await play(viewer, `/whep/${room}`)
  expect(played).toMatchObject({ status: 201, trickled: [204, 412, 428] })
  await more(viewer, 20)
  const [picture] = await viewer.evaluate(() => (globalThis as unknown as Clients).statsOf('inbound-rtp', 'video'))
  expect(picture).toMatchObject({ frameWidth: 640, frameHeight: 360 })
  // Retransmission has the number that the viewer gave it.
  expect(played.answer).toContain(`a=ssrc-group:FID ${picture?.['ssrc']} ${picture?.['rtxSsrc']}\r\n`)

  const other = await newPage()
  expect(await play(other, `/whep/${room}`, 'passive')).toMatchObject({ status: 201 })
  expect(await other.evaluate(() => (globalThis as unknown as Clients).answer)).toContain('a=setup:active')
  await more(other, 10)
  expect(sfu.node.rooms.get(room)?.places.all).toHaveLength(2)
  // It leaves without a word to HTTP.
  await other.evaluate(() => (globalThis as unknown as Clients).pc.close())
  await sfu.until('transport.closed', (event) => event.room === room && event.peer.startsWith('whep'))
  await other.close()
  // New ICE on both sides: the picture goes on.
  for (const page of [publisher, viewer]) {
    const restarted = await page.evaluate(() => (globalThis as unknown as Clients).restart())
    expect(restarted).toMatchObject({ status: 200, isNewEtag: true })
    expect(restarted.fragment).toMatch(/a=candidate:/)
    await more(viewer, 10)
  }

  expect(await viewer.evaluate(() => (globalThis as unknown as Clients).remove())).toEqual([200, 404])
  await viewer.evaluate(() => (globalThis as unknown as Clients).ended())
  expect(await publisher.evaluate(() => (globalThis as unknown as Clients).remove())).toEqual([200, 404])
  const signals = sfu.node.rooms.get(room)?.signals
  expect({ resources: signals?.size, layouts: signals?.layouts.size, peers: sfu.node.rooms.get(room)?.peers.size }).toEqual({
    resources: 0,
    layouts: 0,
    peers: 0,
  })
  await Promise.all([publisher, viewer].map((page) => page.close()))
})

it('simulcast by WHIP: a producer of three layers; a viewer may get each of them', async () => {
  const room = 'layers'
  const publisher = await live(room, { codec: 'video/VP8', rids: ['h', 'm', 'l'] })
  const of = sfu.node.rooms.get(room)
  const [picture] = of?.tracks.filter(({ shape }) => shape.kind === 'video') ?? []
  expect(picture?.producer.type).toBe('simulcast')
  expect(picture?.producer.rtpParameters.encodings).toHaveLength(3)
  const viewer = await newPage()
  expect(await play(viewer, `/whep/${room}`)).toMatchObject({ status: 201 })
  await more(viewer, 10)
  const [watching] = [...(of?.peers.values() ?? [])].filter(({ consumers }) => consumers.size > 0)
  const consumer = [...(watching?.consumers.values() ?? [])].find(({ layers }) => layers === 3)?.consumer
  if (!watching || !consumer) throw new Error('nobody watches layers')
  // The lowest is a quarter of the picture in each direction.
  await sfu.node.request('consumer.layers', { room, peer: watching.id, consumer: consumer.id, spatial: 0 })
  await viewer.evaluate(() => (globalThis as unknown as Clients).width(240))
  await more(viewer, 10)
  await Promise.all([publisher, viewer].map((page) => page.close()))
})

it('nothing is live; then it is; a picture of another codec ends what viewers have, and they ask again', async () => {
  const room = 'again'
  await sfu.node.request('room.open', { room })
  const viewer = await newPage()
  expect(await play(viewer, `/whep/${room}`)).toMatchObject({ status: 409, retryAfter: '3' })
  const first = await live(room, { codec: 'video/VP8' })
  expect(await play(viewer, `/whep/${room}`)).toMatchObject({ status: 201 })
  await more(viewer, 10)
  expect(await first.evaluate(() => (globalThis as unknown as Clients).remove())).toEqual([200, 404])
  const second = await newPage()
  // The old picture waits for its line to come back, but this one is of another codec.
  expect(await publish(second, `/whip/${room}`, { codec: 'video/H264' })).toMatchObject({ status: 201 })
  await viewer.evaluate(() => (globalThis as unknown as Clients).ended())
  await sfu.until('track.opened', ({ room: of, track }) => of === room && track.kind === 'video' && track.id !== '')
  for (;;) {
    const asked = await play(viewer, `/whep/${room}`)
    if (asked.status === 201 && asked.answer?.includes('H264/90000')) break
  }
  await more(viewer, 10)
  await Promise.all([first, second, viewer].map((page) => page.close()))
})
