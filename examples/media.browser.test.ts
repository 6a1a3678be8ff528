/**
 * Picture and sound on the pages: a real engine, a real media node, Chromium with the camera and microphone that it makes up. The host
 * goes live, viewers decode it, a guest speaks; then the network, and the media workers, are lost.
 * Screenshots stay in .artifacts/ for people to look at.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestEngine, type TestEngine } from '../engine/testing.ts'
import { Pipe } from './testing.ts'

const artifacts = fileURLToPath(new URL('../.artifacts/', import.meta.url))
const flags = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream'],
]
const slow = { timeout: 30_000 }
const desktop = { width: 1280, height: 800 }
const studio = { width: 1360, height: 900 }
const phone = { width: 390, height: 844 }

let engine: TestEngine
let pipe: Pipe
let base: string
let browser: Browser
const pageFaults: string[] = []

const launch = (...more: string[]) =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: [...flags, ...more] })

beforeAll(async () => {
  mkdirSync(artifacts, { recursive: true })
  engine = await startTestEngine({ media: true, devLogin: 'on' })
  if (!engine.hasPages) throw new Error('the pages are not built: npm run build')
  pipe = new Pipe(Number(new URL(engine.publicUrl).port))
  base = await pipe.listen()
  browser = await launch('--autoplay-policy=no-user-gesture-required')
})

afterAll(async () => {
  await browser?.close()
  await pipe?.close()
  await engine?.stop()
})

interface Who {
  path: '/watch/' | '/studio/'
  name: string
  size: { width: number; height: number }
  on?: Browser
}
async function open({ path, name, size, on = browser }: Who): Promise<Page> {
  const context = await on.newContext({ viewport: size })
  await context.grantPermissions(['camera', 'microphone'], { origin: base })
  const page = await context.newPage()
  page.on('pageerror', (error) => pageFaults.push(error.message))
  page.on('console', (message) => {
    const ofTheCut = /WebSocket connection|net::ERR_(CONNECTION_|EMPTY_RESPONSE)/
    if (message.type() === 'error' && !ofTheCut.test(message.text())) pageFaults.push(message.text())
  })
  await page.goto(`${base}${path}?room=demo`)
  await page.getByTestId('sign-in-name').fill(name)
  await page.getByTestId('sign-in-go').click()
  await page.getByTestId(path === '/watch/' ? 'message' : 'live-panel').waitFor(slow)
  return page
}

const frames = async (page: Page) => Number(await page.getByTestId('picture').getAttribute('data-frames'))
const stateOf = (page: Page) => page.getByTestId('picture').getAttribute('data-state')
const sending = (page: Page) => page.getByTestId('live-panel').getAttribute('data-state')

/** Decoded, and on and on. */
async function plays(page: Page): Promise<void> {
  await expect.poll(() => stateOf(page), slow).toBe('live')
  const before = await frames(page)
  await expect.poll(() => frames(page), slow).toBeGreaterThan(before + 5)
}

/** Everything of the page is within its width. */
const isWithin = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)
const stageBox = (page: Page) => page.getByTestId('stage').boundingBox()
const seat = (page: Page, name: string) => page.getByTestId('seat').filter({ hasText: name })

describe('one show', () => {
  let host: Page
  let ann: Page
  let bob: Page

  test('the host goes live from the camera, and everybody sees it', async () => {
    host = await open({ path: '/studio/', name: 'Mira', size: studio })
    ann = await open({ path: '/watch/', name: 'Ann', size: desktop })
    bob = await open({ path: '/watch/', name: 'Bob', size: phone })
    expect(await ann.getByTestId('no-picture').isVisible()).toBe(true)
    const before = await Promise.all([ann, bob].map(stageBox))

    await expect.poll(() => host.getByTestId('go-live').isEnabled(), slow).toBe(true)
    await host.getByTestId('look').click()
    await expect.poll(() => host.getByTestId('preview').evaluate((video: HTMLVideoElement) => video.videoWidth), slow).toBe(1_280)
    await host.getByTestId('go-live').click()
    await expect.poll(() => sending(host), slow).toBe('live')
    await Promise.all([plays(ann), plays(bob)])

    expect(await Promise.all([ann, bob].map(stageBox))).toEqual(before) // nothing has moved
    expect(await ann.getByTestId('no-picture').count()).toBe(0)
    expect(await isWithin(bob)).toBe(true)
    const line = host.getByTestId('line-primary')
    await expect
      .poll(async () => [await line.getAttribute('data-state'), await line.getAttribute('data-shown')], slow)
      .toEqual(['up', 'true'])
    await expect
      .poll(async () => Number(await host.getByTestId('send-figures').getAttribute('data-kbps')), slow)
      .toBeGreaterThan(50)
    await ann.getByTestId('message').fill('what a fine picture')
    await ann.getByTestId('send').click()
    await bob.getByTestId('flying').filter({ hasText: 'what a fine picture' }).waitFor(slow)
    await ann.screenshot({ path: join(artifacts, 'media-viewer.png') })
    await bob.screenshot({ path: join(artifacts, 'media-phone.png') })
  })

  test('a viewer chooses the lowest quality, and gets it', async () => {
    const size = ann.getByTestId('quality').locator('summary')
    await size.click()
    await ann.getByTestId('quality-low').click()
    await expect.poll(() => size.textContent(), slow).toBe('180p')
    await plays(ann)
  })

  test('a guest asks for the mic, is let in, is heard, is muted, and goes', async () => {
    await bob.getByTestId('mic-button').click()
    await bob.getByTestId('mic-apply').click()
    const applicant = host.getByTestId('applicant').filter({ hasText: 'Bob' })
    await applicant.getByTestId('mic-accept').click(slow)
    await bob.getByTestId('mic-join').click(slow)
    await seat(ann, 'Bob').waitFor(slow)
    await expect.poll(() => seat(ann, 'Bob').getAttribute('data-state'), slow).toBe('live')
    const level = async (page: Page) => Number(await seat(page, 'Bob').getAttribute('data-level'))
    // What the browser makes up as a microphone beeps once a second.
    await Promise.all([ann, host].map((page) => expect.poll(() => level(page), { ...slow, interval: 50 }).toBeGreaterThan(0.02)))
    await bob.screenshot({ path: join(artifacts, 'media-phone-mic.png') })
    await host.screenshot({ path: join(artifacts, 'media-studio.png') })

    await host.getByTestId('seat-mute').click()
    await expect.poll(() => bob.getByTestId('mic-strip').textContent(), slow).toContain('The host has muted you')
    await expect.poll(() => level(ann), slow).toBe(0)
    await host.getByTestId('seat-mute').click()
    await expect.poll(() => level(ann), { ...slow, interval: 50 }).toBeGreaterThan(0.02)
    await bob.getByTestId('mic-leave').click()
    await expect.poll(() => ann.getByTestId('seat').count(), slow).toBe(0)
  })

  test('who is invited finds the invitation again after a reload, with the time that is left', async () => {
    const row = host.getByTestId('chat-row').filter({ hasText: 'what a fine picture' })
    await row.hover()
    await row.getByTestId('invite').click()
    const strip = ann.getByTestId('mic-strip')
    const invited = async () => {
      await expect.poll(() => strip.getAttribute('data-step', slow), slow).toBe('invited')
      expect(await strip.textContent()).toMatch(/invites you to the mic, for \d/)
    }
    await invited()
    await expect.poll(() => host.getByTestId('mic-panel').textContent(), slow).toContain('Anninvited, no answer yet')
    await ann.reload()
    await invited()
    await ann.getByTestId('mic-accept').click(slow)
    await expect.poll(() => seat(host, 'Ann').getAttribute('data-state'), slow).toBe('live')
    // A seat is kept as well: whoever reloads takes it again.
    await ann.reload()
    await ann.getByTestId('mic-join').click(slow)
    await expect.poll(() => seat(host, 'Ann').getAttribute('data-state'), slow).toBe('live')
    await ann.getByTestId('mic-leave').click(slow)
    await expect.poll(() => host.getByTestId('seat').count(), slow).toBe(0)
    await plays(ann)
  })

  test('after a lost network everybody is back without a reload', async () => {
    for (const page of [host, ann]) await page.evaluate(() => Object.assign(globalThis, { sameDocument: true }))
    pipe.cut()
    await Promise.all([host, ann].map((page) => page.getByTestId('connection').waitFor(slow)))
    pipe.mend()
    await expect.poll(() => host.getByTestId('studio').getAttribute('data-status'), slow).toBe('joined')
    await expect.poll(() => sending(host), slow).toBe('live')
    await Promise.all([plays(ann), plays(bob)])
    for (const page of [host, ann])
      expect(await page.evaluate(() => (globalThis as { sameDocument?: boolean }).sameDocument)).toBe(true)
  })

  test('media workers that die are followed by others, and by the picture', async () => {
    const pids = () => engine.media?.sample.workers.map(({ pid }) => pid) ?? []
    await expect.poll(() => pids().length, slow).toBeGreaterThan(0)
    const before = pids()
    for (const pid of before) process.kill(pid, 'SIGKILL')
    await expect.poll(() => pids().filter((pid) => !before.includes(pid)).length, slow).toBeGreaterThan(0)
    await expect.poll(() => sending(host), slow).toBe('live')
    await Promise.all([plays(ann), plays(bob)])
  })

  test('a browser that plays no sound unasked starts muted, with a button for it', async () => {
    const strict = await launch('--autoplay-policy=document-user-activation-required')
    try {
      const context = await strict.newContext({ viewport: phone })
      const page = await context.newPage()
      // Playwright's own looks into the page count as a press of the user's: here only the plain protocol does not.
      const look = await context.newCDPSession(page)
      const isAsked = async () => {
        const expression = "document.querySelector('[data-testid=sound-gate]') !== null"
        return (await look.send('Runtime.evaluate', { expression, userGesture: false })).result.value
      }
      await page.goto(`${base}/watch/?room=demo`)
      await expect.poll(isAsked, slow).toBe(true)
      await plays(page)
      await page.getByTestId('sound-gate').click(slow)
      await expect
        .poll(() => page.getByTestId('picture').evaluate((video: HTMLVideoElement) => [video.muted, video.paused]))
        .toEqual([false, false])
      expect(await page.getByTestId('sound-gate').count()).toBe(0)
    } finally {
      await strict.close()
    }
  })

  test('the host stops, and the page is calm again', async () => {
    await host.getByTestId('stop-live').click()
    await expect.poll(() => sending(host), slow).toBe('off')
    await Promise.all([ann, bob].map((page) => page.getByTestId('no-picture').waitFor(slow)))
    expect(await stateOf(ann)).toBe('idle')
    await host.setViewportSize(phone)
    expect(await isWithin(host)).toBe(true)
  })

  test('a viewer who stays sees the next show, and a line by ffmpeg may have another codec', async () => {
    await host.setViewportSize(studio)
    for (const page of [ann, bob]) await page.evaluate(() => Object.assign(globalThis, { sameDocument: true }))
    await host.getByTestId('go-live').click(slow)
    await expect.poll(() => sending(host), slow).toBe('live')
    await Promise.all([plays(ann), plays(bob)])
    for (const page of [ann, bob])
      expect(await page.evaluate(() => (globalThis as { sameDocument?: boolean }).sameDocument)).toBe(true)
    await host.getByTestId('stop-live').click()
    await expect.poll(() => stateOf(ann), slow).toBe('idle')

    await host.getByTestId('ingest').locator('summary').click()
    await host.getByTestId('ingest-vp8').click()
    await host.getByTestId('open-ingest').click()
    await expect.poll(() => host.getByTestId('ffmpeg').textContent(slow), slow).toContain('-c:v libvpx')
    await host.getByTestId('ingest-h264').click()
    await host.getByTestId('open-ingest').click()
    await expect.poll(() => host.getByTestId('ffmpeg').textContent(slow), slow).toContain('-c:v libx264')
    expect(pageFaults).toEqual([])
  })
})

test('where media cannot be had the studio says so, and the chat is there', async () => {
  const bare = await startTestEngine({ media: true, devLogin: 'on', mediasoupWorkerBin: '/nowhere/mediasoup-worker' })
  const context = await browser.newContext({ viewport: studio })
  try {
    const page = await context.newPage()
    await page.goto(`${bare.publicUrl}/studio/?room=demo`)
    await page.getByTestId('sign-in-name').fill('Mira')
    await page.getByTestId('sign-in-go').click()
    await expect.poll(() => page.getByTestId('preparing').textContent(slow), slow).toContain('The media part cannot be started')
    expect(await page.getByTestId('go-live').isDisabled()).toBe(true)
    await page.getByTestId('host-message').fill('No picture today, but we can talk')
    await page.getByTestId('host-send').click()
    await page.getByTestId('chat-row').filter({ hasText: 'we can talk' }).waitFor(slow)
    await page.screenshot({ path: join(artifacts, 'media-studio-none.png') })
  } finally {
    await context.close()
    await bare.stop()
  }
})
