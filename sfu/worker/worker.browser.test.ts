/**
 * A picture goes from Chromium to the worker and back, encrypted: two real DTLS handshakes and SRTP both ways. mediasoup's own
 * tests do neither, and a worker on Debian's OpenSSL can pass them all and die at its first guest.
 */
import { fileURLToPath } from 'node:url'
import type { types } from 'mediasoup'
import { type Browser, chromium, type Page } from 'playwright-core'
import { build } from 'vite'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { silentLog } from '../../engine/base/log.ts'
import { loadMediasoup } from './load.ts'
import { MediaWorker } from './media-worker.ts'
import { inWords } from './progress.ts'

/** When nothing is in the cache it is built, on a machine that may be busy. */
const buildMsMax = 30 * 60_000

const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync']
const quiet = ['--disable-background-networking', '--disable-component-update', '--autoplay-policy=no-user-gesture-required']

const mediaWorker = new MediaWorker({ log: silentLog })
let worker: types.Worker | undefined
let browser: Browser | undefined
let script = ''

beforeAll(async () => {
  mediaWorker.onChange((state) => state.is === 'building' && state.step > 0 && console.info(`media worker: ${inWords(state)}`))
  mediaWorker.start()
  const mediasoup = await loadMediasoup((await mediaWorker.ready()).path)
  worker = await mediasoup.createWorker({ logLevel: 'warn', disableLiburing: true })
  script = await bundledPage()
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: [...flags, ...quiet] })
}, buildMsMax)

afterAll(async () => {
  await browser?.close()
  worker?.close()
  await mediaWorker.stop()
})

async function bundledPage(): Promise<string> {
  const entry = fileURLToPath(new URL('./fixtures/handshake-page.ts', import.meta.url))
  const rollupOptions = { input: entry, output: { format: 'iife' as const } }
  const built = await build({
    configFile: false,
    logLevel: 'error',
    build: { write: false, modulePreload: false, rollupOptions },
  })
  const [chunk] = 'output' in built ? built.output : []
  if (chunk?.type !== 'chunk') throw new Error('nothing was bundled')
  return chunk.code
}

/** What the page asks, answered by the worker. */
function answersFor(router: types.Router) {
  const transports = new Map<string, types.WebRtcTransport>()
  const transport = (direction: string) => {
    const found = transports.get(direction)
    if (!found) throw new Error(`no transport to ${direction}`)
    return found
  }
  let producer: types.Producer | undefined
  let consumer: types.Consumer | undefined
  const answers: Record<string, (data: never) => Promise<unknown>> = {
    capabilities: async () => router.rtpCapabilities,
    transport: async ({ direction }: { direction: string }) => {
      const made = await router.createWebRtcTransport({ listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }] })
      transports.set(direction, made)
      const { id, iceParameters, iceCandidates, dtlsParameters } = made
      return { id, iceParameters, iceCandidates, dtlsParameters }
    },
    connect: ({ direction, dtlsParameters }: { direction: string; dtlsParameters: types.DtlsParameters }) =>
      transport(direction).connect({ dtlsParameters }),
    produce: async (options: types.ProducerOptions) => (producer = await transport('send').produce(options)).id,
    consume: async (rtpCapabilities: types.RtpCapabilities) => {
      if (!producer) throw new Error('nothing is sent yet')
      consumer = await transport('recv').consume({ producerId: producer.id, rtpCapabilities, paused: true })
      const { id, producerId, kind, rtpParameters } = consumer
      return { id, producerId, kind, rtpParameters }
    },
    resume: async () => consumer?.resume(),
  }
  return { transport, answer: (method: string, data: never) => answers[method]?.(data) }
}

async function newPage(answer: (method: string, data: never) => unknown): Promise<Page> {
  if (!browser) throw new Error('no browser')
  const page = await browser.newPage()
  await page.exposeFunction('ask', answer)
  await page.addScriptTag({ content: script })
  return page
}

it.each(['video/VP8', 'video/H264'] as const)('a picture goes through the worker and back: %s', async (mimeType) => {
  if (!worker) throw new Error('no worker')
  const h264 = { 'packetization-mode': 1, 'profile-level-id': '42e01f', 'level-asymmetry-allowed': 1 }
  const parameters = mimeType === 'video/H264' ? h264 : {}
  const router = await worker.createRouter({ mediaCodecs: [{ kind: 'video', mimeType, clockRate: 90_000, parameters }] })
  const { answer, transport } = answersFor(router)
  const page = await newPage(answer)
  const frames = await page.evaluate('roundTrip(ask)')
  expect(frames).toBeGreaterThanOrEqual(10)
  expect(['send', 'recv'].map((direction) => transport(direction).dtlsState)).toEqual(['connected', 'connected'])
  const [received] = await transport('send').getStats()
  const [sent] = await transport('recv').getStats()
  expect(received?.bytesReceived).toBeGreaterThan(1_000)
  expect(sent?.bytesSent).toBeGreaterThan(1_000)
  expect(worker.died).toBe(false)
  await page.close()
  router.close()
})
