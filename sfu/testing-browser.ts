/**
 * For tests: Chromium that publishes by WHIP what its own generated camera films, and Chromium that plays by WHEP and notes each picture.
 *
 *     const page = await newPage(await launchViewer(), server.origin)
 *     await play(page, `${server.origin}/whep/demo`)
 *     const { longestMs } = await picturesSince(page)
 */
import type { ChildProcess } from 'node:child_process'
import { type Browser, chromium, type Page } from 'playwright-core'
import type { LineName } from '../schemas/sfu.ts'
import type { SfuNode } from './node.ts'
import { chromiumFlags, executablePath } from './testing-page.ts'

const args = [
  ...chromiumFlags,
  ...['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', '--disable-renderer-backgrounding'],
  // A page in front of another one shows as many pictures as the other.
  ...['--disable-backgrounding-occluded-windows', '--disable-background-timer-throttling'],
]
export const launchViewer = (): Promise<Browser> => chromium.launch({ executablePath, args })

/** Runs in pages. `publish` sends simulcast where there are names of layers, the best first. */
const clients = `
  const offerTo = async (pc, signal) => {
    window.pc = pc
    await pc.setLocalDescription(await pc.createOffer())
    if (pc.iceGatheringState !== 'complete') await new Promise((done) => { pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && done() })
    const { status, body } = await signal(pc.localDescription.sdp)
    if (status !== 201) return status + ' ' + body
    await pc.setRemoteDescription({ type: 'answer', sdp: body })
  }
  window.publish = async ({ codec, rids, width, height }) => {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width, height, frameRate: 15 } })
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
    pc.addTransceiver(stream.getAudioTracks()[0], { direction: 'sendonly', streams: [stream] })
    const sendEncodings = rids.map((rid, at) => ({ rid, scaleResolutionDownBy: 2 ** at }))
    const video = pc.addTransceiver(stream.getVideoTracks()[0], { direction: 'sendonly', streams: [stream], ...(rids.length > 0 ? { sendEncodings } : {}) })
    const isWanted = ({ mimeType, sdpFmtpLine = '' }) => mimeType === codec && (codec !== 'video/H264' || /42e01f/.test(sdpFmtpLine) && /mode=1/.test(sdpFmtpLine))
    video.setCodecPreferences(RTCRtpSender.getCapabilities('video').codecs.filter(isWanted))
    return offerTo(pc, window.signal)
  }
  window.play = async (url) => {
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
    for (const kind of ['audio', 'video']) pc.addTransceiver(kind, { direction: 'recvonly' })
    const video = document.createElement('video')
    Object.assign(video, { muted: true, autoplay: true })
    document.body.append(video)
    window.seen = { frames: 0, lastAt: performance.now(), longestMs: 0, width: 0 }
    window.onPicture = () => {}
    const onFrame = (now, picture) => {
      now = performance.now()
      seen.longestMs = Math.max(seen.longestMs, now - seen.lastAt)
      Object.assign(seen, { lastAt: now, width: picture.width })
      seen.frames++
      onPicture(video, picture)
      video.requestVideoFrameCallback(onFrame)
    }
    video.requestVideoFrameCallback(onFrame)
    pc.ontrack = ({ streams }) => { video.srcObject = streams[0] }
    return offerTo(pc, async (body) => {
      const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/sdp' }, body })
      return { status: response.status, body: await response.text() }
    })
  }
`
export interface Sent {
  codec: 'video/H264' | 'video/VP8'
  rids: readonly string[]
  width: number
  height: number
}
interface Clients {
  publish(sent: Sent): Promise<string | undefined>
  play(url: string): Promise<string | undefined>
  seen: { frames: number; lastAt: number; longestMs: number; width: number }
  performance: { now(): number }
}

export async function newPage(browser: Browser, origin: string): Promise<Page> {
  const page = await browser.newPage()
  await page.goto(origin)
  await page.evaluate(clients)
  return page
}

export async function play(page: Page, url: string): Promise<void> {
  const failed = await page.evaluate((at) => (globalThis as unknown as Clients).play(at), url)
  if (failed) throw new Error(`WHEP: ${failed}`)
}

export interface Pictures {
  frames: number
  /** Longest time without one; one that runs still counts. */
  longestMs: number
  /** Of the last one. */
  width: number
}
/** Since the last time that it was asked. */
export const picturesSince = (page: Page): Promise<Pictures> =>
  page.evaluate(() => {
    const { seen, performance } = globalThis as unknown as Clients
    const { frames, width } = seen
    const longestMs = Math.max(seen.longestMs, performance.now() - seen.lastAt)
    Object.assign(seen, { frames: 0, longestMs: 0 })
    return { frames, longestMs, width }
  })

export const framesOf = (page: Page): Promise<number> => page.evaluate(() => (globalThis as unknown as Clients).seen.frames)

/** Publishes in a browser of its own: it is killed, so it says no word. */
export async function publishByWhip(
  { node, origin }: { node: SfuNode; origin: string },
  { room, line, peer, ...sent }: Sent & { room: string; line: LineName; peer: string },
): Promise<ChildProcess> {
  const server = await chromium.launchServer({ executablePath, args })
  try {
    const page = await newPage(await chromium.connect(server.wsEndpoint()), origin)
    const feed = { of: 'line', line, source: 'cam' } as const
    await page.exposeFunction('signal', (sdp: string) => node.request('whip.offer', { room, peer, feed, sdp }))
    const failed = await page.evaluate((wanted) => (globalThis as unknown as Clients).publish(wanted), sent)
    if (failed) throw new Error(`WHIP: ${failed}`)
  } catch (error) {
    await server.kill()
    throw error
  }
  return server.process()
}
