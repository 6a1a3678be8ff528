/**
 * Switches between the two lines of a streamer over and over, watched by viewers that decode: Chromium by WHEP, and ffmpeg.
 *
 *     npx tsx sfu/marathon.ts --runs 30 [--load] [--whip]
 *
 * A run: the primary is killed and the backup takes over; the primary comes back and is shown again. For both it prints the longest time
 * without a new picture in Chromium and at the packets, and what ffmpeg decoded. Fails (exit 1) when a viewer gets no picture, or none for more than
 * 2,000 ms. `--load`: every core of the machine is kept busy besides. `--whip`: the primary is a browser (its process is killed), else
 * both are ffmpeg.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { types } from 'mediasoup'
import { type Browser, chromium, type Page } from 'playwright-core'
import type { LineName } from '../schemas/sfu.ts'
import { type SignalServer, serveSignals } from './signals-http.ts'
import { sendTestPicture, startTestNode, type TestNode, type Watching, watch } from './testing.ts'

const gapMsMax = 2_000
const pictureMsMax = 15_000
const room = 'marathon'
const { values } = parseArgs({
  options: { runs: { type: 'string', default: '30' }, load: { type: 'boolean' }, whip: { type: 'boolean' } },
})
const children = new Set<ChildProcess>()
const folder = mkdtempSync(join(tmpdir(), 'livehouse-marathon-'))

function keep(child: ChildProcess): ChildProcess {
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}
const after = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

// ------------------------------------------------------------------ browsers

const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync']
const fake = [
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
]
const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-renderer-backgrounding']
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
const launch = () => chromium.launch({ executablePath, args: [...flags, ...fake, ...quiet] })

/** Runs in pages. */
const clients = `
  const offerTo = async (pc, signal) => {
    window.pc = pc
    await pc.setLocalDescription(await pc.createOffer())
    if (pc.iceGatheringState !== 'complete') await new Promise((done) => { pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && done() })
    const { status, body } = await signal(pc.localDescription.sdp)
    if (status !== 201) return status + ' ' + body
    await pc.setRemoteDescription({ type: 'answer', sdp: body })
  }
  window.publish = async () => {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 180, frameRate: 15 } })
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
    pc.addTransceiver(stream.getAudioTracks()[0], { direction: 'sendonly', streams: [stream] })
    const video = pc.addTransceiver(stream.getVideoTracks()[0], { direction: 'sendonly', streams: [stream] })
    const isWanted = ({ mimeType, sdpFmtpLine = '' }) => mimeType === 'video/H264' && /42e01f/.test(sdpFmtpLine) && /mode=1/.test(sdpFmtpLine)
    video.setCodecPreferences(RTCRtpSender.getCapabilities('video').codecs.filter(isWanted))
    return offerTo(pc, window.signal)
  }
  window.play = async (url) => {
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
    for (const kind of ['audio', 'video']) pc.addTransceiver(kind, { direction: 'recvonly' })
    const video = document.createElement('video')
    Object.assign(video, { muted: true, autoplay: true })
    document.body.append(video)
    window.seen = { frames: 0, lastAt: performance.now(), longestMs: 0 }
    const onFrame = () => {
      const now = performance.now()
      seen.longestMs = Math.max(seen.longestMs, now - seen.lastAt)
      seen.lastAt = now
      seen.frames++
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
interface Clients {
  publish(): Promise<string | undefined>
  play(url: string): Promise<string | undefined>
  seen: { frames: number; lastAt: number; longestMs: number }
  performance: { now(): number }
  pc: { getStats(): Promise<Map<string, { type: string; kind?: string }>> }
}

async function newPage(browser: Browser, origin: string): Promise<Page> {
  const page = await browser.newPage()
  await page.goto(origin)
  await page.evaluate(clients)
  return page
}

/** Longest time without a picture since the last time, and how many there were. */
async function framesSince(page: Page): Promise<{ frames: number; longestMs: number }> {
  return page.evaluate(() => {
    const { seen, performance } = globalThis as unknown as Clients
    // Not over yet: the time that runs counts.
    const longestMs = Math.max(seen.longestMs, performance.now() - seen.lastAt)
    const told = { frames: seen.frames, longestMs }
    Object.assign(seen, { frames: 0, longestMs: 0 })
    return told
  })
}
const framesOf = (page: Page) => page.evaluate(() => (globalThis as unknown as Clients).seen.frames)

async function untilFrames(page: Page, count: number): Promise<boolean> {
  for (const until = performance.now() + pictureMsMax; performance.now() < until; await after(50))
    if ((await framesOf(page)) >= count) return true
  return false
}

// ------------------------------------------------------------------ ffmpeg as a viewer

class Decoder {
  frames = 0
  errors = ''

  static async open({ node }: TestNode, trackId: string): Promise<Decoder> {
    const router = node.rooms.get(room)?.places.main.router as types.Router
    const transport = await router.createPlainTransport({ listenInfo: { protocol: 'udp', ip: '127.0.0.1' }, rtcpMux: false })
    const { rtpCapabilities } = router
    const consumer = await transport.consume({ producerId: trackId, rtpCapabilities, paused: true })
    const [codec] = consumer.rtpParameters.codecs
    // Even, as RTP wants it; nobody else is likely to take it in a moment.
    const port = 42_000 + 2 * Math.floor(Math.random() * 4_000)
    const file = join(folder, 'show.sdp')
    const type = codec?.payloadType
    const form = Object.entries(codec?.parameters ?? {}).map(([name, value]) => `${name}=${value}`)
    const media = [
      `m=video ${port} RTP/AVP ${type}`,
      `a=rtpmap:${type} H264/90000`,
      `a=fmtp:${type} ${form.join(';')}`,
      'a=rtcp-mux',
    ]
    writeFileSync(file, ['v=0', 'o=- 0 0 IN IP4 127.0.0.1', 's=show', 'c=IN IP4 127.0.0.1', 't=0 0', ...media, ''].join('\r\n'))
    const decoder = new Decoder()
    const input = ['-protocol_whitelist', 'file,udp,rtp', '-reorder_queue_size', '0', '-i', file]
    const args = [
      '-hide_banner',
      '-loglevel',
      'error',
      ...input,
      '-an',
      '-fps_mode',
      'passthrough',
      '-f',
      'null',
      '-progress',
      'pipe:1',
      '-',
    ]
    const child = keep(spawn('ffmpeg', args, { stdio: ['ignore', 'pipe', 'pipe'] }))
    child.stdout?.on('data', (text: Buffer) => {
      for (const [, frames] of text.toString().matchAll(/frame=(\d+)/g)) decoder.frames = Number(frames)
    })
    child.stderr?.on('data', (text: Buffer) => {
      decoder.errors = (decoder.errors + text.toString()).slice(-2_000)
    })
    await after(1_000)
    await transport.connect({ ip: '127.0.0.1', port, rtcpPort: port + 1 })
    await consumer.resume()
    return decoder
  }
}

// ------------------------------------------------------------------ lines

interface Sender {
  kill(): void
}

async function sendRtp(sfu: TestNode, line: LineName): Promise<Sender> {
  const ingest = await sfu.node.request('ingest.open', { room, peer: `rtp_${line}`, line })
  const child = keep(sendTestPicture(ingest))
  return { kill: () => void child.kill('SIGKILL') }
}

/** Its process is killed, so it says no word; it comes back as the same client. */
async function sendWhip({ node }: TestNode, { origin }: SignalServer): Promise<Sender> {
  const browser = await chromium.launchServer({ executablePath, args: [...flags, ...fake, ...quiet] })
  const page = await newPage(await chromium.connect(browser.wsEndpoint()), origin)
  const feed = { of: 'line', line: 'primary', source: 'cam' } as const
  await page.exposeFunction('signal', (sdp: string) => node.request('whip.offer', { room, peer: 'whip_primary', feed, sdp }))
  const failed = await page.evaluate(() => (globalThis as unknown as Clients).publish())
  if (failed) throw new Error(`WHIP: ${failed}`)
  const child = keep(browser.process())
  return { kill: () => void child.kill('SIGKILL') }
}

// ------------------------------------------------------------------ runs

interface Gaps {
  lost: number
  lostPackets: number
  returned: number
  returnedPackets: number
  decoded: number
}

class Marathon {
  readonly sfu: TestNode
  readonly server: SignalServer
  primary: Sender | undefined

  constructor(sfu: TestNode, server: SignalServer) {
    this.sfu = sfu
    this.server = server
  }

  sendPrimary(): Promise<Sender> {
    return values.whip ? sendWhip(this.sfu, this.server) : sendRtp(this.sfu, 'primary')
  }

  async bothUp(): Promise<void> {
    for (;;) {
      const { lines, line } = await this.sfu.node.request('room.describe', { room })
      if (line === 'primary' && lines.every(({ state }) => state === 'up')) return
      await after(50)
    }
  }

  async run(page: Page, { packets, decoder }: { packets: Watching; decoder: Decoder }): Promise<Gaps> {
    await this.bothUp()
    if (!(await untilFrames(page, 15))) throw new Error('no picture before the run')
    // Not always at the same place between two key frames.
    await after(Math.random() * 2_000)
    const decodedBefore = decoder.frames
    await framesSince(page)
    packets.forget()
    this.primary?.kill()
    const lost = await this.gap(page, 'the backup took over')
    const lostPackets = packets.longestMs
    packets.forget()
    this.primary = await this.sendPrimary()
    await this.bothUp()
    const returned = await this.gap(page, 'the primary came back')
    return { lost, lostPackets, returned, returnedPackets: packets.longestMs, decoded: decoder.frames - decodedBefore }
  }

  async gap(page: Page, what: string): Promise<number> {
    // The gap itself, and pictures behind it.
    await after(gapMsMax + 200)
    if (!(await untilFrames(page, (await framesOf(page)) + 10))) throw new Error(`no picture after ${what}`)
    return (await framesSince(page)).longestMs
  }
}

const burners = (count: number) =>
  Array.from({ length: count }, () => keep(spawn(process.execPath, ['-e', 'for (;;) Math.sqrt(2)'], { stdio: 'ignore' })))
const round = (ms: number) => String(Math.round(ms)).padStart(5)
function summary(name: string, gaps: readonly number[]): string {
  const sorted = gaps.toSorted((a, b) => a - b)
  return `${name}: p50 ${round(sorted[Math.floor(sorted.length / 2)] ?? 0)} ms, max ${round(sorted.at(-1) ?? 0)} ms`
}

async function main(): Promise<boolean> {
  const sfu = await startTestNode()
  const server = await serveSignals(sfu.node)
  const browser = await launch()
  const all: Gaps[] = []
  let failures = 0
  try {
    await sfu.node.request('room.open', { room })
    const marathon = new Marathon(sfu, server)
    marathon.primary = await marathon.sendPrimary()
    await sendRtp(sfu, 'backup')
    const { track } = await sfu.until('track.opened', ({ track }) => track.kind === 'video')
    await sfu.until('track.opened', ({ track }) => track.kind === 'audio')
    await marathon.bothUp()
    const viewers = { packets: await watch(sfu, room, track.id), decoder: await Decoder.open(sfu, track.id) }
    const page = await newPage(browser, server.origin)
    const failed = await page.evaluate((url) => (globalThis as unknown as Clients).play(url), `${server.origin}/whep/${room}`)
    if (failed) throw new Error(`WHEP: ${failed}`)
    if (values.load) burners(availableParallelism())
    for (let at = 1; at <= Number(values.runs); at++) {
      try {
        const gaps = await marathon.run(page, viewers)
        all.push(gaps)
        const { lost, lostPackets, returned, returnedPackets, decoded } = gaps
        const bad = lost > gapMsMax || returned > gapMsMax || decoded < 15
        if (bad) failures++
        console.log(
          `${String(at).padStart(3)}  lost ${round(lost)} ms (packets ${round(lostPackets)})  returned ${round(returned)} ms ` +
            `(packets ${round(returnedPackets)})  ffmpeg decoded ${decoded}${bad ? '  FAILED' : ''}`,
        )
      } catch (error) {
        failures++
        console.log(`${String(at).padStart(3)}  FAILED ${(error as Error).message}`)
        console.log(JSON.stringify(await sfu.node.request('room.describe', { room })))
        if (!viewers.packets.packets) break
      }
    }
    const { seqGaps, backwards } = viewers.packets
    console.log(
      summary(
        'lost',
        all.map(({ lost }) => lost),
      ),
    )
    console.log(
      summary(
        'returned',
        all.map(({ returned }) => returned),
      ),
    )
    console.log(`numbers skipped ${seqGaps}, times that went back ${backwards}, failures ${failures} of ${values.runs}`)
    if (viewers.decoder.errors) console.log(`ffmpeg said, last:\n${viewers.decoder.errors.split('\n').slice(-6).join('\n')}`)
    return failures === 0
  } finally {
    for (const child of children) child.kill('SIGKILL')
    await browser.close()
    server.close()
    sfu.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

for (const signal of ['SIGINT', 'SIGTERM'])
  process.once(signal, () => {
    for (const child of children) child.kill('SIGKILL')
    process.exit(1)
  })
process.exit((await main()) ? 0 : 1)
