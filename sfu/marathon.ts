/**
 * Switches between the two lines of a streamer over and over, watched by viewers that decode: Chromium by WHEP, and ffmpeg.
 *
 *     npx tsx sfu/marathon.ts --runs 30 [--load | --burners 8] [--whip] [--size 1280x720]
 *
 * A run: the primary is killed and the backup takes over; the primary comes back and is shown again. For both it prints the longest time
 * without a new picture in Chromium, the gap as the node tells it (`node`) and as the packets show it, the longest that the node's loop
 * stood still, and what ffmpeg decoded. Fails (exit 1) when a viewer gets no picture, or none for more than 2,000 ms. `--load`: every
 * core of the machine is kept busy besides; `--burners`: by so many processes. `--whip`: the primary is a browser (its process is
 * killed), else both are ffmpeg. `--size`: of the picture.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import type { types } from 'mediasoup'
import type { Page } from 'playwright-core'
import type { LineName } from '../schemas/sfu.ts'
import { type SignalServer, serveSignals } from './signals-http.ts'
import { sendTestPicture, startTestNode, type TestNode, type Watching, watch } from './testing.ts'
import { framesOf, launchViewer, newPage, picturesSince, play, publishByWhip } from './testing-browser.ts'

const gapMsMax = 2_000
const pictureMsMax = 15_000
const room = 'marathon'
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '30' },
    load: { type: 'boolean' },
    burners: { type: 'string' },
    whip: { type: 'boolean' },
    size: { type: 'string', default: '320x180' },
  },
})
const children = new Set<ChildProcess>()
const folder = mkdtempSync(join(tmpdir(), 'livehouse-marathon-'))

function keep(child: ChildProcess): ChildProcess {
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}
const after = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

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
  const child = keep(sendTestPicture(ingest, { size: values.size }))
  return { kill: () => void child.kill('SIGKILL') }
}

const [width = 0, height = 0] = values.size.split('x').map(Number)
const filmed = { codec: 'video/H264', rids: [], width, height } as const

/** It comes back as the same client. */
async function sendWhip({ node }: TestNode, { origin }: SignalServer): Promise<Sender> {
  const child = keep(await publishByWhip({ node, origin }, { room, line: 'primary', peer: 'whip_primary', ...filmed }))
  return { kill: () => void child.kill('SIGKILL') }
}

// ------------------------------------------------------------------ runs

/** Longest times without a picture: in Chromium, as the node tells them, at the packets; and without a turn of the node's loop. */
interface Gap {
  seen: number
  told: number
  packets: number
  loop: number
}
interface Gaps {
  lost: Gap
  returned: Gap
  decoded: number
}

class Marathon {
  readonly sfu: TestNode
  readonly server: SignalServer
  readonly #loop = monitorEventLoopDelay({ resolution: 5 })
  primary: Sender | undefined

  constructor(sfu: TestNode, server: SignalServer) {
    this.sfu = sfu
    this.server = server
    this.#loop.enable()
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
    await this.forget(page, packets)
    this.primary?.kill()
    const lost = await this.gap(page, { packets, what: 'the backup took over' })
    await this.forget(page, packets)
    this.primary = await this.sendPrimary()
    await this.bothUp()
    const returned = await this.gap(page, { packets, what: 'the primary came back' })
    return { lost, returned, decoded: decoder.frames - decodedBefore }
  }

  async forget(page: Page, packets: Watching): Promise<void> {
    await picturesSince(page)
    packets.forget()
    this.sfu.events.length = 0
    this.#loop.reset()
  }

  async gap(page: Page, { packets, what }: { packets: Watching; what: string }): Promise<Gap> {
    // The gap itself, and pictures behind it.
    await after(gapMsMax + 200)
    if (!(await untilFrames(page, (await framesOf(page)) + 10))) throw new Error(`no picture after ${what}`)
    const switched = this.sfu.events.find(({ t }) => t === 'line.switched') as { gapMs: number } | undefined
    const { longestMs: seen } = await picturesSince(page)
    return { seen, told: switched?.gapMs ?? Number.NaN, packets: packets.longestMs, loop: this.#loop.max / 1e6 }
  }
}

const burners = (count: number) =>
  Array.from({ length: count }, () => keep(spawn(process.execPath, ['-e', 'for (;;) Math.sqrt(2)'], { stdio: 'ignore' })))
const written = ({ seen, told, packets, loop }: Gap) =>
  `${round(seen)} ms (node ${round(told)}, packets ${round(packets)}, loop ${round(loop)})`
const round = (ms: number) => String(Math.round(ms)).padStart(5)
function summary(name: string, gaps: readonly number[]): string {
  const sorted = gaps.toSorted((a, b) => a - b)
  const over = gaps.filter((ms) => ms > gapMsMax).length
  return `${name}: p50 ${round(sorted[Math.floor(sorted.length / 2)] ?? 0)} ms, max ${round(sorted.at(-1) ?? 0)} ms, over ${gapMsMax} ms: ${over}`
}

async function main(): Promise<boolean> {
  const sfu = await startTestNode()
  const server = await serveSignals(sfu.node)
  const browser = await launchViewer()
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
    await play(page, `${server.origin}/whep/${room}`)
    if (values.load || values.burners) burners(Number(values.burners ?? availableParallelism()))
    for (let at = 1; at <= Number(values.runs); at++) {
      try {
        const gaps = await marathon.run(page, viewers)
        all.push(gaps)
        const { lost, returned, decoded } = gaps
        const bad = lost.seen > gapMsMax || returned.seen > gapMsMax || decoded < 15
        if (bad) failures++
        console.log(
          `${String(at).padStart(3)}  lost ${written(lost)}  returned ${written(returned)}  ffmpeg decoded ${decoded}${bad ? '  FAILED' : ''}`,
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
        all.map(({ lost }) => lost.seen),
      ),
    )
    console.log(
      summary(
        'returned',
        all.map(({ returned }) => returned.seen),
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
