/** A line of three layers from a browser gives way to one of a single layer from ffmpeg, and comes back: what two viewers see decoded. */
import type { ChildProcess } from 'node:child_process'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type SignalServer, serveSignals } from './signals-http.ts'
import { sendTestPicture, startTestNode, type TestNode } from './testing.ts'
import { launchViewer, newPage, picturesSince, play, publishByWhip } from './testing-browser.ts'

let sfu: TestNode
let server: SignalServer
let browser: Browser
const children: ChildProcess[] = []
beforeAll(async () => {
  sfu = await startTestNode({ workers: 1 })
  server = await serveSignals(sfu.node)
  browser = await launchViewer()
}, 600_000)
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await browser?.close()
  server?.close()
  sfu?.close()
})

async function watchLayer(room: string, spatial: number): Promise<Page> {
  const page = await newPage(browser, server.origin)
  const known = new Set(sfu.node.rooms.get(room)?.peers.keys())
  await play(page, `${server.origin}/whep/${room}`)
  const peer = [...(sfu.node.rooms.get(room)?.peers.values() ?? [])].find(({ id }) => !known.has(id))
  const consumer = [...(peer?.consumers.values() ?? [])].find(({ layers }) => layers === 3)?.consumer
  if (!peer || !consumer) throw new Error('no viewer of layers')
  await sfu.node.request('consumer.layers', { room, peer: peer.id, consumer: consumer.id, spatial })
  return page
}

/** Resolves when pictures of this width are shown one after the other. */
async function untilWidth(page: Page, wanted: number): Promise<void> {
  for (let shown = 0; shown < 20; ) {
    await page.waitForTimeout(100)
    const { frames, width } = await picturesSince(page)
    shown = width === wanted ? shown + frames : 0
  }
}

it.each(['video/VP8', 'video/H264'] as const)(
  'each viewer goes on with what there is, and has its layer back: %s',
  async (codec) => {
    const room = codec.slice(6)
    await sfu.node.request('room.open', { room })
    const filmed = { codec, rids: ['h', 'm', 'l'], width: 960, height: 540 }
    const publish = async () => {
      const child = await publishByWhip(
        { node: sfu.node, origin: server.origin },
        { room, line: 'primary', peer: 'whip', ...filmed },
      )
      children.push(child)
      return child
    }
    const primary = await publish()
    for (const kind of ['audio', 'video'])
      await sfu.until('track.opened', (event) => event.room === room && event.track.kind === kind)
    const videoCodec = codec === 'video/VP8' ? 'vp8' : 'h264'
    const ingest = await sfu.node.request('ingest.open', { room, peer: 'rtp', line: 'backup', videoCodec })
    children.push(sendTestPicture(ingest, { size: '640x360' }))
    const [best, low] = [await watchLayer(room, 2), await watchLayer(room, 0)]
    await Promise.all([untilWidth(best, 960), untilWidth(low, 240)])
    await sfu.until('line.changed', (event) => event.room === room && event.lines.every(({ state }) => state === 'up'))

    primary.kill('SIGKILL')
    const lost = await sfu.until('line.switched', (event) => event.room === room && event.to === 'backup')
    expect(lost.cause).toBe('lost')
    await Promise.all([best, low].map((page) => untilWidth(page, 640)))

    await publish()
    const back = await sfu.until('line.switched', (event) => event.room === room && event.to === 'primary')
    expect(back.cause).toBe('returned')
    await Promise.all([untilWidth(best, 960), untilWidth(low, 240)])
    // All of it in the tracks that they had from the beginning.
    expect(sfu.events.filter((event) => event.t === 'track.closed' && event.room === room)).toEqual([])
    for (const page of [best, low]) await page.close()
    await sfu.node.request('room.close', { room })
    for (const child of children.splice(0)) child.kill('SIGKILL')
  },
)
