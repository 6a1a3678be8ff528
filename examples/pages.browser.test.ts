/**
 * The pages in a real Chromium against a real engine with a crowd in the room. Screenshots stay in .artifacts/ for people to look at.
 * Between browser and engine stands a plain TCP pipe that can be cut, so that a lost network is a lost network.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect, type LiveClient, type RoomView } from 'livehouse/client'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { SystemClock } from '../engine/base/clock.ts'
import { seededRandom } from '../engine/base/random.ts'
import { loadConfig } from '../engine/config.ts'
import { Crowd, readPlan } from '../engine/crowd.ts'
import { type Engine, startEngine } from '../engine/engine.ts'
import { Pipe } from './testing.ts'

const artifacts = fileURLToPath(new URL('../.artifacts/', import.meta.url))
const flags = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync'],
]
const slow = { timeout: 15_000 }

let engine: Engine
let pipe: Pipe
let base: string
let browser: Browser
let crowd: Crowd
let running: Promise<void>
let owner: { client: LiveClient; room: RoomView }
const dirs: string[] = []
const pageFaults: string[] = []

const folder = () => {
  const dir = mkdtempSync(join(tmpdir(), 'livehouse-pages-'))
  dirs.push(dir)
  return dir
}

beforeAll(async () => {
  mkdirSync(artifacts, { recursive: true })
  const argv = ['--port=0', '--admin-port=0', `--data-dir=${folder()}`, '--log-level=silent', '--dev-login=on']
  engine = await startEngine(loadConfig({ argv, env: {}, cwd: folder() }))
  if (!engine.hasPages) throw new Error('the pages are not built: npm run build')
  pipe = new Pipe(Number(new URL(engine.publicUrl).port))
  base = await pipe.listen()
  const plan = readPlan([`--url=${engine.webSocketUrl}`, '--viewers=25', '--rate=5', '--minutes=10'])
  crowd = new Crowd(plan, { clock: new SystemClock(), random: seededRandom(7) })
  running = crowd.run()
  owner = await enterAsOwner()
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: flags })
})

afterEach(async () => {
  for (const context of browser.contexts()) await context.close()
  expect(pageFaults.splice(0)).toEqual([])
})

afterAll(async () => {
  await browser?.close()
  owner?.client.close()
  crowd?.stop()
  await running
  await pipe?.close()
  await engine?.stop()
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true })
})

async function enterAsOwner() {
  const response = await fetch(`${engine.publicUrl}/dev/token`, {
    method: 'POST',
    body: JSON.stringify({ as: 'owner', name: 'Host', room: 'demo' }),
  })
  const { token } = (await response.json()) as { token: string }
  const client = connect({ url: engine.webSocketUrl, token })
  return { client, room: await client.join('demo') }
}

async function openPage(path: string, viewport: { width: number; height: number }): Promise<Page> {
  const context = await browser.newContext({ viewport })
  const page = await context.newPage()
  page.on('pageerror', (error) => pageFaults.push(error.message))
  page.on('console', (message) => {
    // A cut connection is logged by the browser itself; what breaks the content policy must not be.
    // A heart that was just being loaded breaks with the connection, too.
    const ofTheCut = /WebSocket connection|net::ERR_(CONNECTION_|EMPTY_RESPONSE)/
    if (message.type() === 'error' && !ofTheCut.test(message.text())) pageFaults.push(message.text())
  })
  await page.goto(base + path)
  return page
}

const desktop = { width: 1280, height: 800 }
const phone = { width: 360, height: 740 }

async function signIn(page: Page, name: string): Promise<void> {
  await page.getByTestId('sign-in-name').fill(name)
  await page.getByTestId('sign-in-go').click()
}

async function watch(name: string, viewport = desktop): Promise<Page> {
  const page = await openPage('/watch/?room=demo', viewport)
  await signIn(page, name)
  await page.getByTestId('message').waitFor(slow)
  return page
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByTestId('message').fill(text)
  await page.getByTestId('send').click()
}

const row = (page: Page, text: string) => page.getByTestId('chat-row').filter({ hasText: text })
const userIdOf = async (page: Page, text: string) => (await row(page, text).first().getAttribute('data-user')) ?? ''

test('somebody who never saw the project finds the room, a crowd in it, and their own words over the picture', async () => {
  const page = await openPage('/', desktop)
  await page.getByTestId('room-demo').waitFor(slow)
  await page.screenshot({ path: join(artifacts, 'lobby.png') })
  await page.getByTestId('room-demo').click()
  await page.getByTestId('watch').waitFor()
  await expect.poll(() => page.getByTestId('chat-row').count(), slow).toBeGreaterThan(5) // anonymous: reads along
  await signIn(page, 'Newcomer')
  await page.getByTestId('message').waitFor(slow)
  await expect.poll(() => page.getByTestId('flying').count(), slow).toBeGreaterThan(3)

  await say(page, '<b>hello</b> 大家好 👋')
  const mine = page.locator('.danmaku.own', { hasText: '<b>hello</b> 大家好 👋' }) // the markup is text
  await mine.waitFor(slow)
  const x = async () => (await mine.boundingBox())?.x ?? Number.NaN
  const before = await x()
  await expect.poll(x, slow).toBeLessThan(before - 20) // it flies
  expect(await row(page, '<b>hello</b>').locator('.name').textContent()).toBe('You')
  expect(Number(await page.getByTestId('online').textContent())).toBeGreaterThan(20)

  const likes = Number(await page.getByTestId('likes').textContent())
  for (let i = 0; i < 3; i++) await page.getByTestId('like').click()
  await expect.poll(() => owner.room.state.likes, slow).toBeGreaterThanOrEqual(likes + 3)
  await expect.poll(() => page.getByTestId('flying').count(), slow).toBeGreaterThan(12)
  await page.screenshot({ path: join(artifacts, 'viewer-desktop.png') })

  await page.getByTestId('danmaku-switch').click()
  await expect.poll(() => page.getByTestId('flying').count()).toBe(0)
})

/** Pairs of flying texts whose boxes cover one another inside the picture, by more than the air around the letters. */
const touching = (page: Page) =>
  page.evaluate(() => {
    const right = document.querySelector('.sky')?.getBoundingClientRect().right ?? 0
    const boxes = [...document.querySelectorAll('.danmaku:not(.still)')].map((text) => text.getBoundingClientRect())
    const shown = boxes.filter(({ left }) => left < right - 1)
    return shown.flatMap((a, i) =>
      shown.slice(i + 1).filter((b) => {
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left)
        const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)
        return across > 1 && down > 8
      }),
    ).length
  })

test('texts do not touch one another, however many come', async () => {
  const page = await openPage('/watch/?room=demo', desktop)
  await page.getByTestId('chat-row').first().waitFor(slow)
  const argv = [`--url=${engine.webSocketUrl}`, '--viewers=60', '--rate=40', '--minutes=1']
  const storm = new Crowd(readPlan(argv), { clock: new SystemClock(), random: seededRandom(8) })
  const over = storm.run()
  for (const count of [10, 20, 30, 40]) {
    await expect.poll(() => page.getByTestId('flying').count(), slow).toBeGreaterThan(count)
    expect(await touching(page)).toBe(0)
  }
  await page.screenshot({ path: join(artifacts, 'viewer-storm.png') })
  storm.stop()
  await over
})

test('fits a phone', async () => {
  const page = await watch('Pocket', phone)
  await expect.poll(() => page.getByTestId('flying').count(), slow).toBeGreaterThan(6)
  await page.getByTestId('chat-row').last().click()
  await page.getByTestId('replying').waitFor()
  await say(page, 'me too')
  await expect.poll(() => row(page, 'me too').locator('.reply-to').count(), slow).toBe(1)
  await page.getByTestId('style-switch').click()
  await page.getByTestId('styles').waitFor()
  await page.getByTestId('message').fill('x'.repeat(41))
  expect(await page.getByTestId('count').textContent()).toBe('41/40')
  expect(await page.getByTestId('send').isDisabled()).toBe(true)
  await page.screenshot({ path: join(artifacts, 'viewer-phone.png') })
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(phone.width)
  const [box, send] = [await page.getByTestId('chat-list').boundingBox(), await page.getByTestId('send').boundingBox()]
  expect(box?.height).toBeGreaterThan(200)
  expect((send?.y ?? 0) + (send?.height ?? 0)).toBeLessThanOrEqual(phone.height)
  await page.getByTestId('who').locator('summary').click()
  await page.getByTestId('sign-out').waitFor()
  await page.getByTestId('title').click() // pressed elsewhere: still signed in
  await page.getByTestId('sign-out').waitFor({ state: 'hidden' })
  await page.getByTestId('who').locator('summary').click()
  await page.getByTestId('sign-out').click()
  await page.getByTestId('sign-in').waitFor(slow)
})

test('a refusal is explained, and slow mode counts down until one may write again', async () => {
  await owner.room.call('room.set_settings', { slowModeMs: 4_000 })
  const page = await watch('Hasty')
  await say(page, 'one')
  await row(page, 'one').first().waitFor(slow)
  await say(page, 'two')
  await page.getByTestId('refusal').waitFor(slow)
  expect(await page.getByTestId('refusal').textContent()).toMatch(/^Slow mode is on\. You can write again in [1-4] s$/)
  expect(await page.getByTestId('message').inputValue()).toBe('two') // nothing is lost
  await page.getByTestId('refusal').waitFor({ state: 'detached', ...slow })
  await page.getByTestId('send').click()
  await row(page, 'two').first().waitFor(slow)
  await owner.room.call('room.set_settings', { slowModeMs: 0 })
})

test('somebody muted with a half-written text reads why the box is closed, even while slow mode counts', async () => {
  await owner.room.call('room.set_settings', { slowModeMs: 60_000 })
  const page = await watch('Muted')
  await say(page, 'the first line')
  await row(page, 'the first line').waitFor(slow)
  await say(page, 'a half written thought')
  await page.getByTestId('refusal').waitFor(slow)
  const userId = await userIdOf(page, 'the first line')
  await owner.room.call('room.mute', { userId, durationMs: 600_000 })
  await page.getByTestId('closed-reason').waitFor(slow)
  expect(await page.getByTestId('closed-reason').textContent()).toMatch(/^You are muted until \d\d:\d\d\.$/)
  expect(await page.getByTestId('refusal').count()).toBe(0)
  expect(await page.getByTestId('message').inputValue()).toBe('a half written thought')
  await owner.room.call('room.unmute', { userId })
  await owner.room.call('room.set_settings', { slowModeMs: 0 })
})

test('an address of no room says so', async () => {
  for (const path of ['/watch/?room=a.b*%20c', '/watch/?room=nope', '/studio/?room=a.b*%20c']) {
    const page = await openPage(path, desktop)
    await page.getByTestId('no-room').waitFor(slow)
    expect(await page.getByRole('link', { name: 'All rooms', exact: true }).getAttribute('href')).toBe('../')
    expect(await page.getByTestId('sign-in').count()).toBe(0)
    await page.context().close()
  }
  const studio = await openPage('/studio/?room=elsewhere', desktop)
  expect(await studio.getByTestId('token-help').textContent()).toContain('--scope streamer')
  expect(await studio.getByTestId('sign-in-name').getAttribute('type')).toBe('password')
  const watchDemo = await openPage('/watch/', desktop)
  await expect.poll(() => watchDemo.getByTestId('watch').getAttribute('data-status'), slow).toBe('joined')
})

test('after a lost connection the missed messages are there', async () => {
  const page = await watch('Tunnel')
  // Signed in and joined: what was never there cannot be missed.
  await page.getByTestId('message').waitFor(slow)
  await owner.room.send({ text: 'before the tunnel' })
  await row(page, 'before the tunnel').waitFor(slow)
  pipe.cut()
  await page.getByTestId('connection').waitFor(slow)
  expect(await page.getByTestId('connection').textContent()).toMatch(/Connection lost|Connecting/)
  await owner.room.send({ text: 'said while you were gone' })
  pipe.mend()
  await row(page, 'said while you were gone').waitFor(slow)
  await page
    .getByTestId('chat-notice')
    .filter({ hasText: /While you were away: \d+ message/ })
    .waitFor(slow)
  await page.getByTestId('connection').waitFor({ state: 'detached', ...slow })
  expect(await page.getByTestId('flying').filter({ hasText: 'said while you were gone' }).count()).toBe(0)
})

test('the host runs the room from the studio, and viewers see it at once', async () => {
  const viewer = await watch('Guest')
  await say(viewer, 'good evening, host')
  await row(viewer, 'good evening, host').waitFor(slow)
  const studio = await openPage('/studio/?room=demo', desktop)
  await signIn(studio, 'Host')
  await studio.getByTestId('title').waitFor(slow)

  await studio.getByTestId('title').fill('Songs for a rainy night')
  await studio.getByTestId('save-details').click()
  await expect.poll(() => viewer.getByTestId('title').textContent(), slow).toBe('Songs for a rainy night')
  await studio.getByTestId('pin-text').fill('Requests are open')
  await studio.getByTestId('pin').click()
  await viewer.getByTestId('wall').filter({ hasText: 'Requests are open' }).waitFor(slow)
  await studio.getByTestId('host-message').fill('welcome everybody')
  await studio.getByTestId('host-send').click()
  await row(viewer, 'welcome everybody').locator('.badge', { hasText: 'host' }).waitFor(slow)
  await studio.screenshot({ path: join(artifacts, 'studio-desktop.png') })

  await studio.getByTestId('switch-muteAll').click()
  await expect.poll(() => viewer.getByTestId('message').getAttribute('placeholder'), slow).toMatch(/Only the host’s team/)
  expect(await viewer.getByTestId('message').isDisabled()).toBe(true)
  await studio.getByTestId('switch-muteAll').click()
  await expect.poll(() => viewer.getByTestId('message').isEnabled(), slow).toBe(true)

  const userId = await userIdOf(viewer, 'good evening, host')
  const guest = studio.locator(`[data-testid="chat-row"][data-user="${userId}"]`).first()
  await guest.hover()
  await guest.getByTestId('mute').selectOption({ label: '10 minutes' })
  await expect
    .poll(() => viewer.getByTestId('message').getAttribute('placeholder'), slow)
    .toMatch(/You are muted until \d\d:\d\d/)
  const restriction = studio.locator(`[data-testid="restriction"][data-user="${userId}"]`)
  await restriction.getByTestId('lift').click(slow)
  await expect.poll(() => viewer.getByTestId('message').isEnabled(), slow).toBe(true)

  await guest.hover()
  await guest.getByTestId('remove').click()
  await row(viewer, 'good evening, host').waitFor({ state: 'detached', ...slow })

  await studio.getByTestId('close').click()
  await studio.getByTestId('close-sure').click()
  await viewer.getByTestId('closed-screen').waitFor(slow)
  const late = await openPage('/watch/?room=demo', phone)
  await late.getByTestId('not-live-screen').waitFor(slow)
  await studio.getByTestId('open').click()
  await viewer.getByTestId('closed-screen').waitFor({ state: 'detached', ...slow })
  await late.getByTestId('not-live-screen').waitFor({ state: 'detached', ...slow }) // it looked again by itself
  await studio.setViewportSize(phone)
  expect(await studio.evaluate(() => document.documentElement.scrollWidth)).toBe(phone.width)
  await studio.screenshot({ path: join(artifacts, 'studio-phone.png'), fullPage: true })
})

test('in the studio the history stands at the bottom under the mouse, and no row is covered', async () => {
  const studio = await openPage('/studio/?room=demo', desktop)
  await studio.mouse.move(640, 400) // where the chat will be
  await studio.getByTestId('sign-in-name').fill('Host')
  await studio.getByTestId('sign-in-name').press('Enter')
  const rows = studio.getByTestId('chat-row')
  await expect.poll(() => rows.count(), slow).toBeGreaterThan(20)
  const fromBottom = () =>
    studio.getByTestId('chat-list').evaluate((list) => list.scrollHeight - list.scrollTop - list.clientHeight)
  expect(await fromBottom()).toBeLessThan(150) // not the whole history: at most what came since
  await studio.mouse.move(645, 400)
  await studio.getByTestId('chat-fresh').waitFor(slow)
  expect(Number.parseInt((await studio.getByTestId('chat-fresh').textContent()) ?? '', 10)).toBeLessThan(15)
  const [list, pill] = [await studio.getByTestId('chat-list').boundingBox(), await studio.getByTestId('chat-fresh').boundingBox()]
  expect(pill?.y).toBeGreaterThanOrEqual((list?.y ?? 0) + (list?.height ?? 0))
})

test('what the host writes stays while another session changes the room', async () => {
  const studio = await openPage('/studio/?room=demo', desktop)
  await signIn(studio, 'Host')
  await studio.getByTestId('title').waitFor(slow)
  await studio.getByTestId('title').fill('Half a tit')
  await owner.room.call('room.update', { title: 'Set elsewhere', intro: 'An intro from elsewhere' })
  await expect
    .poll(() => studio.getByTestId('title-meanwhile').textContent(slow), slow)
    .toContain('Changed meanwhile to “Set elsewhere”.')
  expect(await studio.getByTestId('title').inputValue()).toBe('Half a tit')
  expect(await studio.getByTestId('intro').inputValue()).toBe('An intro from elsewhere') // nobody wrote there
  await studio.screenshot({ path: join(artifacts, 'studio-meanwhile.png') })
  await studio.getByTestId('title').fill('A whole title')
  await studio.getByTestId('save-details').click()
  await expect.poll(() => owner.room.state.room.title, slow).toBe('A whole title')
  await studio.getByTestId('title-meanwhile').waitFor({ state: 'detached', ...slow })
})

test('the host makes a moderator from a chat row, reads names instead of ids, and is asked before a kick', async () => {
  const viewer = await watch('Trusty')
  await say(viewer, 'may I help?')
  await row(viewer, 'may I help?').waitFor(slow)
  const userId = await userIdOf(viewer, 'may I help?')
  const studio = await openPage('/studio/?room=demo', desktop)
  await signIn(studio, 'Host')
  const trusty = studio.locator(`[data-testid="chat-row"][data-user="${userId}"]`).first()
  await trusty.hover(slow)
  await trusty.getByTestId('make-moderator').click()
  const helper = studio.locator('.people li', { hasText: 'Trusty' })
  await helper.getByTestId('revoke').waitFor(slow)
  expect(await helper.locator('.user-id').textContent()).toBe(userId)
  await studio.screenshot({ path: join(artifacts, 'studio-team.png') })
  await helper.getByTestId('revoke').click()
  await helper.waitFor({ state: 'detached', ...slow })
  await trusty.hover()
  await trusty.getByTestId('kick').click()
  expect(await viewer.getByTestId('end-screen').count()).toBe(0)
  await trusty.getByTestId('kick-sure').click()
  await viewer.getByTestId('end-screen').waitFor(slow)
  expect(await viewer.getByTestId('try-again').count()).toBe(0) // it could not work yet
  await viewer.screenshot({ path: join(artifacts, 'viewer-kicked.png') })
  await studio.locator('[data-testid="restriction"]', { hasText: 'Trusty' }).getByTestId('lift').click(slow)
})

test('whoever is removed is told why', async () => {
  const page = await watch('Rude')
  await say(page, 'something rude')
  await row(page, 'something rude').waitFor(slow)
  await owner.room.call('room.kick', { userId: await userIdOf(page, 'something rude'), banMs: 600_000, reason: 'be kind' })
  await page.getByTestId('end-screen').waitFor(slow)
  expect(await page.getByTestId('end-screen').textContent()).toMatch(/You were removed from this room until \d\d:\d\d: be kind/)
})
