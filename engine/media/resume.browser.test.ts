/**
 * One of two media workers is killed, the one with the room: on the pages, the same documents as before, the host sends again and viewers
 * see a picture again. Measured is the longest time that a viewer had no new frame.
 */
import { isDeepStrictEqual } from 'node:util'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestEngine, type TestEngine } from '../testing.ts'
import type { Media } from './media.ts'

const flags = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream'],
  '--autoplay-policy=no-user-gesture-required',
]
const slow = { timeout: 30_000 }
const gapMsMax = 10_000

let engine: TestEngine
let media: Media
let browser: Browser
beforeAll(async () => {
  engine = await startTestEngine({ media: true, mediaWorkers: 2, devLogin: 'on' })
  if (!engine.hasPages) throw new Error('the pages are not built: npm run build')
  media = engine.media as Media
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: flags })
})
afterAll(async () => {
  await browser?.close()
  await engine?.stop()
})

async function open(path: '/watch/' | '/studio/', name: string): Promise<Page> {
  const origin = new URL(engine.publicUrl).origin
  const context = await browser.newContext({ viewport: { width: 480, height: 700 } })
  await context.grantPermissions(['camera', 'microphone'], { origin })
  const page = await context.newPage()
  await page.goto(`${origin}${path}?room=demo`)
  await page.getByTestId('sign-in-name').fill(name)
  await page.getByTestId('sign-in-go').click()
  await page.getByTestId(path === '/watch/' ? 'message' : 'live-panel').waitFor(slow)
  return page
}

/** The page itself looks, so that nothing of the way to it is measured. */
const watchGaps = (page: Page) =>
  page.evaluate(() => {
    const seen = { frames: 0, longestMs: 0, at: performance.now() }
    Object.assign(globalThis, { seen })
    let last = ''
    setInterval(() => {
      const frames = document.querySelector('[data-testid=picture]')?.getAttribute('data-frames') ?? ''
      if (frames === last) return
      last = frames
      const now = performance.now()
      seen.longestMs = Math.max(seen.longestMs, now - seen.at)
      seen.at = now
      seen.frames++
    }, 20)
  })
interface Watched {
  seen: { frames: number; longestMs: number; at: number }
}
const seenOf = (page: Page) => page.evaluate(() => (globalThis as unknown as Partial<Watched>).seen)
const goesOn = async (page: Page) => {
  const before = (await seenOf(page))?.frames ?? 0
  await expect.poll(async () => (await seenOf(page))?.frames, slow).toBeGreaterThan(before + 10)
}

it('everybody has a picture again within 10 s, without a reload', async () => {
  const host = await open('/studio/', 'Mira')
  const viewers = [await open('/watch/', 'Ann'), await open('/watch/', 'Bob')]
  await expect.poll(() => host.getByTestId('go-live').isEnabled(), slow).toBe(true)
  await host.getByTestId('look').click()
  await expect.poll(() => host.getByTestId('go-live').isEnabled(), slow).toBe(true)
  await host.getByTestId('go-live').click()
  for (const page of viewers) await watchGaps(page)
  await Promise.all(viewers.map(goesOn))
  const busy = () => media.sample.workers.find(({ rooms }) => rooms > 0)?.pid
  await expect.poll(busy, slow).toBeDefined()
  const killed = busy() as number
  for (const page of viewers)
    await page.evaluate(() => {
      const { seen } = globalThis as unknown as Watched
      seen.longestMs = 0
    })
  process.kill(killed, 'SIGKILL')
  await expect.poll(() => media.sample.workers.some(({ pid, rooms }) => pid !== killed && rooms > 0), slow).toBe(true)
  // The same counters as before: no document was loaded anew.
  await Promise.all(viewers.map(goesOn))
  const gapsMs = (await Promise.all(viewers.map(seenOf))).map((seen) => Math.round(seen?.longestMs ?? Number.NaN))
  console.log({ gapsMs })
  for (const gapMs of gapsMs) expect(gapMs).toBeLessThanOrEqual(gapMsMax)
  expect(media.deaths).toBe(0)
  // What operators see is of the room, not of one of its workers.
  await expect.poll(() => media.egressOf('demo')?.egressBps ?? 0, slow).toBeGreaterThan(100_000)
  await expect
    .poll(async () => {
      const [{ egressBps, egressBpsPeak }] = (await engine.admin('GET', '/media')).body.rooms
      return isDeepStrictEqual({ egressBps, egressBpsPeak }, media.egressOf('demo')) && egressBpsPeak >= egressBps
    }, slow)
    .toBe(true)
})
