/**
 * Sound and picture of a line stay together when another takes its place: two lines by ffmpeg, each with a flash and a beep at one instant
 * of every second, watched by Chromium, which notes when it shows the one and when the other leaves for the loudspeaker.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { LineName } from '../schemas/sfu.ts'
import { ffmpegArguments } from './ingest.ts'
import { type SignalServer, serveSignals } from './signals-http.ts'
import { startTestNode, type TestNode } from './testing.ts'
import { launchViewer, newPage, play } from './testing-browser.ts'

/** What a viewer may be off by. */
const apartMsMax = 100
const room = 'lips'

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

/** Dark and silent but for the first tenth of each second; both come from one graph, so ffmpeg reads them together. */
const film = [
  `color=c=black:size=320x180:rate=30,drawbox=c=white:t=fill:enable='lt(mod(t,1),0.1)'[out0]`,
  `aevalsrc='0.5*sin(2*PI*1000*t)*lt(mod(t,1),0.1)':s=48000[out1]`,
].join(';')

async function send(line: LineName): Promise<ChildProcess> {
  const ingest = await sfu.node.request('ingest.open', { room, peer: `rtp_${line}`, line })
  const child = spawn('ffmpeg', ffmpegArguments(ingest, ['-re', '-f', 'lavfi', '-i', film]), { stdio: 'ignore' })
  children.push(child)
  return child
}

/**
 * Runs in the page: `flashes` and `beeps` by the page's clock. A flash is when its picture is shown. A beep is when the player hands it
 * out: the time that this graph needs to bring it to a device is none of the player's, and there is no device.
 */
const measuring = `
  window.flashes = []
  window.beeps = []
  const canvas = Object.assign(document.createElement('canvas'), { width: 8, height: 8 })
  const paint = canvas.getContext('2d', { willReadFrequently: true })
  let wasBright = true
  window.onPicture = (video, { expectedDisplayTime }) => {
    paint.drawImage(video, 0, 0, 8, 8)
    const isBright = paint.getImageData(4, 4, 1, 1).data[0] > 128
    if (isBright && !wasBright) flashes.push(expectedDisplayTime)
    wasBright = isBright
  }
  window.listen = async () => {
    const video = document.querySelector('video')
    video.muted = false
    const audio = new AudioContext()
    const ear = "registerProcessor('ear', class extends AudioWorkletProcessor { quiet = 0; process([[samples = []]]) { samples.forEach((sample, at) => {" +
      "if (Math.abs(sample) < 0.1) return void this.quiet++; if (this.quiet > sampleRate / 4) this.port.postMessage((currentFrame + at) / sampleRate); this.quiet = 0 }); return true } })"
    await audio.audioWorklet.addModule(URL.createObjectURL(new Blob([ear], { type: 'text/javascript' })))
    const node = new AudioWorkletNode(audio, 'ear')
    node.port.onmessage = ({ data }) => {
      const { contextTime, performanceTime } = audio.getOutputTimestamp()
      beeps.push(performanceTime + (data - contextTime - audio.baseLatency - audio.outputLatency) * 1000)
    }
    audio.createMediaStreamSource(video.srcObject).connect(node).connect(audio.destination)
  }
`
interface Measuring {
  flashes: number[]
  beeps: number[]
  listen(): Promise<void>
}

/** By how much each flash is shown after its beep is heard, negative if before, from now on; resolves when `isEnough`. */
async function apart(page: Page, isEnough: (all: readonly number[]) => boolean): Promise<readonly number[]> {
  await page.evaluate(() => {
    const { flashes, beeps } = globalThis as unknown as Measuring
    for (const list of [flashes, beeps]) list.length = 0
  })
  for (;;) {
    const all = await page.evaluate(() => {
      const { flashes, beeps } = globalThis as unknown as Measuring
      const beepOf = (flash: number) => beeps.find((at) => Math.abs(at - flash) < 500)
      return flashes.flatMap((flash) => {
        const beep = beepOf(flash)
        return beep === undefined ? [] : [Math.round(flash - beep)]
      })
    })
    if (isEnough(all)) return all
    await page.waitForTimeout(100)
  }
}
const median = (all: readonly number[]) => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] as number
/** All of the next seconds, not only those after it has settled. */
const nextSix = async (page: Page) => Math.abs(median(await apart(page, ({ length }) => length >= 6)))
/** Chromium moves the picture to the sound by some 10 ms a second, and begins when it knows both clocks, 5 s after it came. */
const untilSettled = (page: Page) => apart(page, (all) => all.length >= 3 && Math.abs(median(all.slice(-3))) <= apartMsMax)

it('within 100 ms at a viewer: on the primary, on the backup when it is lost, and back', async () => {
  await sfu.node.request('room.open', { room })
  const primary = await send('primary')
  for (const kind of ['audio', 'video']) await sfu.until('track.opened', ({ track }) => track.kind === kind)
  await send('backup')
  const page = await newPage(browser, server.origin)
  await play(page, `${server.origin}/whep/${room}`)
  await page.evaluate(measuring)
  await page.evaluate(() => (globalThis as unknown as Measuring).listen())
  await sfu.until('line.changed', ({ lines }) => lines.every(({ state }) => state === 'up'))
  await untilSettled(page)
  primary.kill('SIGKILL')
  await sfu.until('line.switched', ({ to, cause }) => to === 'backup' && cause === 'lost')
  expect(await nextSix(page)).toBeLessThanOrEqual(apartMsMax)
  await send('primary')
  await sfu.until('line.switched', ({ to, cause }) => to === 'primary' && cause === 'returned')
  expect(await nextSix(page)).toBeLessThanOrEqual(apartMsMax)
})
