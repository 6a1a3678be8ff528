/**
 * The client library's picture and sound in Chromium, with an engine and a media node: what is published anew, and shows that follow
 * each other. The library is bundled as a page would; pictures are painted.
 */
import { fileURLToPath } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { mediaReady } from '../media/fixtures/client.ts'
import { startTestEngine, type TestEngine } from '../testing.ts'
import type { LiveClient, RoomMedia, RoomView } from './index.ts'

const flags = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--autoplay-policy=no-user-gesture-required'],
]
const slow = { timeout: 30_000 }

interface InPage {
  Livehouse: { connect(options: { url: string; token?: string }): LiveClient }
  room: RoomView
  media: RoomMedia
  /** Sound and a painted picture of this size. */
  painted(width: number, height: number): MediaStream
  video: HTMLVideoElement
  /** Names of events, in order. */
  seen: string[]
  connections: number
}
const painted = `
  globalThis.connections = 0
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...args) { super(...args); globalThis.connections++ }
  }
  globalThis.painted = (width, height) => {
    const canvas = Object.assign(document.createElement('canvas'), { width, height })
    const paint = canvas.getContext('2d')
    let frame = 0
    setInterval(() => { paint.fillStyle = 'hsl(' + (frame++ * 7 % 360) + ',90%,50%)'; paint.fillRect(0, 0, width, height) }, 50)
    const audio = new AudioContext()
    const tone = audio.createOscillator()
    const out = audio.createMediaStreamDestination()
    tone.connect(out); tone.start()
    return new MediaStream([...canvas.captureStream(20).getTracks(), ...out.stream.getTracks()])
  }`

let engine: TestEngine
let browser: Browser
let library: string
beforeAll(async () => {
  const built = await build({
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      minify: false,
      lib: { entry: fileURLToPath(new URL('index.ts', import.meta.url)), formats: ['iife'], name: 'Livehouse' },
      rollupOptions: { output: { inlineDynamicImports: true, extend: true } },
    },
  })
  const [output] = Array.isArray(built) ? built : [built]
  if (!output || !('output' in output)) throw new Error('nothing was built')
  library = output.output[0].code
  engine = await startTestEngine({ media: true, mediaWorkers: 1, logLevel: 'error' })
  await mediaReady(engine)
  browser = await chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: flags })
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await engine?.stop()
})

let rooms = 0
/** An open room of its own. */
async function stage(): Promise<string> {
  const room = `stage${++rooms}`
  const owner = await engine.connect({ token: await engine.token('host', { scope: 'streamer' }) })
  await owner.ok('room.create', { roomId: room, title: 'Stage' })
  await owner.ok('room.open', {}, room)
  return room
}

async function open(room: string, token?: string): Promise<Page> {
  const page = await browser.newPage()
  // Any page of this origin will do: media wants a secure one.
  await page.goto(new URL('/nothing', engine.publicUrl).href)
  await page.evaluate(`${painted}\n${library}`)
  await page.evaluate(
    async (options) => {
      const here = globalThis as unknown as InPage
      const client = here.Livehouse.connect({ url: options.url, ...(options.token ? { token: options.token } : {}) })
      here.room = await client.join(options.room)
      here.seen = []
      here.room.on('event', ({ t }) => here.seen.push(t))
      here.media = await here.room.media()
      here.video = Object.assign(document.createElement('video'), { muted: true, autoplay: true })
      document.body.append(here.video)
    },
    { url: engine.webSocketUrl, room, token },
  )
  return page
}

const publish = (page: Page, width: number, height: number, line?: 'backup') =>
  page.evaluate(
    async ([w, h, on]) => {
      const here = globalThis as unknown as InPage
      const of = on === undefined ? {} : { line: on }
      await here.media.publish({ stream: here.painted(w, h), simulcast: false, ...of })
    },
    [width, height, line] as const,
  )
const shown = (page: Page) =>
  page.evaluate(() => {
    const { video, media, room, seen, connections } = globalThis as unknown as InPage
    const tracks = (room.state.stream?.tracks ?? []).map(({ id }) => id).sort()
    return {
      width: video.videoWidth,
      frames: video.getVideoPlaybackQuality().totalVideoFrames,
      is: media.view.play.state,
      tracks,
      seen,
      connections,
    }
  })
/** Pictures that this page sends. */
const publishing = (page: Page) =>
  page.evaluate(() => {
    const { media } = globalThis as unknown as InPage
    return media.view.publish?.stream.getVideoTracks().map(({ readyState }) => readyState)
  })
async function plays(page: Page, width: number): Promise<void> {
  await expect.poll(async () => (await shown(page)).width, slow).toBe(width)
  const { frames } = await shown(page)
  await expect.poll(async () => (await shown(page)).frames, slow).toBeGreaterThan(frames + 5)
}

afterEach(async () => {
  for (const context of browser.contexts()) await context.close()
})

test('published anew on its line it goes on as it was, muted if it was; a show that follows plays where the last one did', async () => {
  const room = await stage()
  const host = await open(room, await engine.token('host'))
  const viewer = await open(room)
  await viewer.evaluate(() => {
    const { media, video } = globalThis as unknown as InPage
    media.play(video)
  })
  await publish(host, 640, 360)
  await plays(viewer, 640)
  const before = await shown(viewer)
  expect(before.tracks).toHaveLength(2)

  await host.evaluate(() => (globalThis as unknown as InPage).media.setSilent(true))
  await publish(host, 480, 270)
  await plays(viewer, 480)
  const after = await shown(viewer)
  expect(after.tracks).toEqual(before.tracks)
  const ofLines = /^stream\.(un)?published$|^stream\.(stopped|line_switched|migrated)$/
  expect(after.seen.filter((t) => ofLines.test(t))).toEqual(['stream.published', 'stream.published'])
  const silence = () =>
    host.evaluate(() => {
      const { publish: own } = (globalThis as unknown as InPage).media.view
      return [own?.isSilent, own?.stream.getAudioTracks().map(({ enabled }) => enabled)]
    })
  expect(await silence()).toEqual([true, [false]])
  // Without the camera for a while: the sound goes on as the same track, and the picture comes back to whoever waits.
  await host.evaluate(async () => {
    const { media, painted } = globalThis as unknown as InPage
    const sound = new MediaStream(painted(2, 2).getAudioTracks())
    await media.replace({ stream: sound })
  })
  await expect.poll(() => publishing(host), slow).toEqual([])
  await publish(host, 640, 360)
  await plays(viewer, 640)
  expect((await shown(viewer)).tracks).toEqual(before.tracks)
  expect(await silence()).toEqual([true, [false]])
  // Another line is another publication: muted all the same.
  await publish(host, 320, 180, 'backup')
  await plays(viewer, 320)
  expect(await silence()).toEqual([true, [false]])

  const connections = () => Promise.all([viewer, host].map(async (page) => (await shown(page)).connections))
  const made = await connections()
  await host.evaluate(() => (globalThis as unknown as InPage).room.call('stream.stop', {}))
  await expect.poll(async () => (await shown(viewer)).is, slow).toBe('idle')
  await expect.poll(() => host.evaluate(() => (globalThis as unknown as InPage).media.view.publish), slow).toBeUndefined()
  await publish(host, 640, 360)
  await plays(viewer, 640)
  const next = await shown(viewer)
  expect(next.tracks.some((id) => before.tracks.includes(id))).toBe(false)
  // The connections that played and sent one show play and send the other.
  expect(await connections()).toEqual(made)
})
