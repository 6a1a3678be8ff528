/**
 * Gifts in a real Chromium: real engine, real ledger, prices of the monetization plugin. A viewer gives, another one sees it, the host
 * earns. Screenshots stay in .artifacts/ for people to look at.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { SystemClock } from '../engine/base/clock.ts'
import { loadConfig } from '../engine/config.ts'
import { signToken } from '../engine/edge/tokens.ts'
import { type Engine, engineActor, startEngine } from '../engine/engine.ts'
import { monetization } from '../plugins/monetization/plugin.ts'

const artifacts = fileURLToPath(new URL('../.artifacts/', import.meta.url))
const flags = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync'],
]
const slow = { timeout: 15_000 }
const desktop = { width: 1280, height: 800 }
const phone = { width: 360, height: 740 }

let engine: Engine
let browser: Browser
let gifts = 0
const dirs: string[] = []
const pageFaults: string[] = []

const folder = () => {
  const dir = mkdtempSync(join(tmpdir(), 'livehouse-gift-pages-'))
  dirs.push(dir)
  return dir
}

const start = (...more: string[]) => {
  const argv = ['--port=0', '--admin-port=0', `--data-dir=${folder()}`, '--log-level=silent', '--dev-login=on', ...more]
  const config = loadConfig({ argv: [...argv, '--charge-owner=monetization'], env: {}, cwd: folder() })
  return startEngine(config, { plugins: [monetization()] })
}

beforeAll(async () => {
  mkdirSync(artifacts, { recursive: true })
  engine = await start()
  if (!engine.hasPages) throw new Error('the pages are not built: npm run build')
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: flags })
})

afterEach(async () => {
  for (const context of browser.contexts()) await context.close()
  expect(pageFaults.splice(0)).toEqual([])
})

afterAll(async () => {
  await browser?.close()
  await engine?.stop()
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true })
})

/** So many coins for somebody, straight into the ledger. */
async function enrich(user: string, coins: number): Promise<void> {
  const result = await engine.ledger?.submit({
    op: 'post',
    txId: `coins_${++gifts}`,
    at: new SystemClock().now(),
    action: 'adjustment',
    origin: { actor: 'test', command: 'test.coins' },
    transfers: [{ dr: 'coin.issued', cr: `user.${user}.coin.paid`, amount: BigInt(coins) }],
  })
  expect(result).toEqual(expect.objectContaining({ ok: true }))
}

interface Who {
  at?: Engine
  user?: string
  name?: string
  as?: 'viewer' | 'owner'
  path?: string
}
/** A page, signed in as `user` when there is one. */
async function open(
  { at = engine, user, name = user ?? '', as = 'viewer', path }: Who,
  options: BrowserContextOptions = {},
): Promise<Page> {
  const context = await browser.newContext({ viewport: desktop, ...options })
  if (user !== undefined) {
    const token = await signToken(at.secret, { sub: user, name, ttlMs: 600_000 }, new SystemClock().now())
    const stored: [string, string] = [`livehouse.${as}`, JSON.stringify({ token, name })]
    await context.addInitScript(([key, value]) => sessionStorage.setItem(key, value), stored)
  }
  const page = await context.newPage()
  page.on('pageerror', (error) => pageFaults.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error') pageFaults.push(message.text())
  })
  await page.goto(at.publicUrl + (path ?? (as === 'owner' ? '/studio/?room=demo' : '/watch/?room=demo')))
  return page
}

const text = (page: Page, id: string) => page.getByTestId(id).textContent(slow)
const ownerId = () => engine.homes.find('demo')?.info.ownerId ?? ''

test('a viewer gives, another sees banner and combo grow, the board has it, and the host earns', async () => {
  await enrich('ann', 500)
  const [ann, bob, host] = await Promise.all([
    open({ user: 'ann', name: 'Ann' }),
    open({ user: 'bob', name: 'Bob' }),
    open({ user: ownerId(), name: 'Host', as: 'owner' }),
  ])
  await expect.poll(() => text(ann, 'wallet'), slow).toBe('500')
  await expect.poll(() => text(host, 'live-coins'), slow).toBe('0')

  await ann.getByTestId('gift-rose').click()
  await ann.getByTestId('count-10').click()
  await ann.getByTestId('gift-send').click()
  const banner = bob.getByTestId('banner')
  await banner.waitFor(slow)
  expect(await banner.textContent()).toContain('Annsent Rose ×10')
  await expect.poll(() => text(ann, 'wallet'), slow).toBe('400') // without a reload

  for (const sends of [2, 3]) {
    await ann.getByTestId('combo').click(slow)
    await expect.poll(() => text(ann, 'combo-count'), slow).toBe(`×${sends}`)
  }
  await ann.screenshot({ path: join(artifacts, 'gifts-giver.png') })
  await expect.poll(() => text(bob, 'banner-combo'), slow).toBe('3')
  expect(await banner.count()).toBe(1) // one banner that grew
  await bob.screenshot({ path: join(artifacts, 'gifts-viewer.png') })
  await expect.poll(() => text(ann, 'wallet'), slow).toBe('200')
  await bob.getByTestId('chat-notice').filter({ hasText: 'Ann sent Rose ×10, 3 times in a row' }).waitFor(slow)

  await bob.getByTestId('pane-board').click()
  const first = bob.getByTestId('board-row').first()
  await expect.poll(() => first.textContent(), slow).toMatch(/^1Ann300 coins$/)
  await bob.screenshot({ path: join(artifacts, 'gifts-board.png') })

  await expect.poll(() => text(host, 'live-coins'), slow).toBe('300')
  await expect.poll(() => text(host, 'beans'), slow).toBe('150') // half of it without a contract
  expect(await host.getByTestId('last-gift').count()).toBe(1)
  expect(await text(host, 'last-gifts')).toMatch(/AnnRose ×30300 coins/)
  await host.screenshot({ path: join(artifacts, 'gifts-studio.png') })
  await host.setViewportSize(phone)
  expect(await host.evaluate(() => document.documentElement.scrollWidth)).toBe(phone.width)
  await host.screenshot({ path: join(artifacts, 'gifts-studio-phone.png'), fullPage: true })

  // The time of the combo is over: its button goes, the banner too.
  await ann.getByTestId('combo').waitFor({ state: 'detached', ...slow })
  await banner.waitFor({ state: 'detached', ...slow })
})

test('a large gift plays its effect, and stands still for who asked for less motion', async () => {
  await enrich('cat', 22_000)
  const calm = await open({ user: 'dan' }, { reducedMotion: 'reduce' })
  const bob = await open({ user: 'bob', name: 'Bob' })
  const cat = await open({ user: 'cat', name: 'Cat' })
  await cat.getByTestId('gift-fireworks').click(slow)
  await Promise.all([
    calm.getByTestId('banners').waitFor({ state: 'attached', ...slow }),
    bob.getByTestId('gift-list').waitFor(slow),
  ])
  const [effect, still] = [bob.getByTestId('effect'), calm.getByTestId('effect')]
  const [moving] = await Promise.all([
    effect
      .waitFor(slow)
      .then(() => bob.evaluate(() => document.querySelector('.effect')?.getAnimations({ subtree: true }).length)),
    still.waitFor(slow).then(() => calm.screenshot({ path: join(artifacts, 'gifts-effect-calm.png') })),
    cat.getByTestId('gift-send').click(),
  ])
  expect(moving).toBeGreaterThan(40)
  expect(await calm.evaluate(() => document.getAnimations().length)).toBe(0)
  await bob.screenshot({ path: join(artifacts, 'gifts-effect.png') })
  await effect.waitFor({ state: 'detached', ...slow })
  await cat.getByTestId('gift-rocket').click()
  await cat.getByTestId('gift-send').click()
  await expect.poll(() => effect.getAttribute('data-effect'), slow).toBe('rocket')
  await expect
    .poll(() => bob.evaluate(() => document.querySelector('.liftoff')?.getBoundingClientRect().top ?? 999), slow)
    .toBeLessThan(330)
  await bob.screenshot({ path: join(artifacts, 'gifts-rocket.png') })
  expect(await cat.getByTestId('combo').count()).toBe(0) // no combo of rockets
})

test('a very large gift is told in other rooms, with the way there', async () => {
  await enrich('eve', 10_000)
  for (const [t, d, room] of [
    ['room.create', { roomId: 'other', ownerId: 'zoe', title: 'Another room' }, undefined],
    ['room.open', {}, 'other'],
  ] as const)
    expect(await engine.homes.call(room, { t, d, actor: engineActor })).toMatchObject({ ok: true })
  const other = await open({ path: '/watch/?room=other' })
  await other.getByTestId('gift-list').waitFor(slow)
  const eve = await open({ user: 'eve', name: 'Eve' })
  await eve.getByTestId('gift-rocket').click(slow)
  await eve.getByTestId('gift-send').click()
  const told = other.getByTestId('world-banner')
  await told.waitFor(slow)
  expect(await told.textContent()).toMatch(/Eve sent Rocket to .*10,000/)
  await other.screenshot({ path: join(artifacts, 'gifts-world.png') })
  await told.getByRole('link').click()
  await expect.poll(() => other.getByTestId('watch').getAttribute('data-status'), slow).toBe('joined')
  expect(other.url()).toContain('room=demo')
})

test('who may not give reads why: too few coins, not signed in, gifts off', async () => {
  await enrich('fay', 90)
  const fay = await open({ user: 'fay', name: 'Fay' })
  await fay.getByTestId('gift-lantern').click(slow)
  expect(await text(fay, 'gift-reason')).toBe('Not enough coins: 10 more needed.')
  expect(await fay.getByTestId('gift-send').isDisabled()).toBe(true)
  await fay.screenshot({ path: join(artifacts, 'gifts-too-few.png') })
  await fay.getByTestId('gift-rose').click()
  expect(await fay.getByTestId('gift-send').isEnabled()).toBe(true)
  await fay.getByTestId('count-66').click()
  expect(await text(fay, 'gift-reason')).toBe('Not enough coins: 570 more needed.')
  const stranger = await open({})
  expect(await text(stranger, 'gift-reason')).toBe('Sign in to send gifts.')
  expect(await stranger.getByTestId('wallet').count()).toBe(0)

  const off = (gift: boolean) => engine.homes.call('demo', { t: 'room.set_settings', d: { gift }, actor: engineActor })
  expect(await off(false)).toMatchObject({ ok: true })
  await expect.poll(() => text(fay, 'gift-reason'), slow).toBe('The streamer has switched gifts off.')
  expect(await off(true)).toMatchObject({ ok: true })
  await expect.poll(() => text(fay, 'gift-reason'), slow).toMatch(/^Not enough coins/)
})

test('a gift for a higher level is shown locked, and opens when enough was given', async () => {
  const item = { name: 'Crown', priceCoin: 5, minLevel: 1 }
  const token = await signToken(engine.secret, { sub: 'ops', scope: 'operator', ttlMs: 600_000 }, new SystemClock().now())
  const put = (body: object) =>
    fetch(`${engine.adminUrl}/admin/v1/monetization/gifts/crown`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  expect((await put(item)).status).toBe(200)
  await enrich('lea', 200)
  const lea = await open({ user: 'lea', name: 'Lea' })
  await expect.poll(() => text(lea, 'level'), slow).toBe('Your level: Lv 0')
  expect(await text(lea, 'gift-crown')).toContain('Lv 1')
  await lea.getByTestId('gift-crown').click(slow)
  expect(await text(lea, 'gift-reason')).toBe('For users from level 1 on: give more to get there.')
  expect(await lea.getByTestId('gift-send').isDisabled()).toBe(true)
  await lea.screenshot({ path: join(artifacts, 'gifts-locked.png') })
  await lea.getByTestId('gift-lantern').click()
  await lea.getByTestId('gift-send').click()
  await expect.poll(() => text(lea, 'level'), slow).toBe('Your level: Lv 1')
  expect(await text(lea, 'gift-crown')).not.toContain('Lv 1')
  await lea.getByTestId('gift-crown').click()
  await lea.getByTestId('gift-send').click()
  await expect.poll(() => text(lea, 'wallet'), slow).toBe('95')
  expect((await put({ retired: true })).status).toBe(200)
})

test('on a phone and with the keyboard alone', async () => {
  await enrich('gus', 50)
  const gus = await open({ user: 'gus', name: 'Gus' }, { viewport: phone, hasTouch: true })
  await gus.getByTestId('gift-open').focus(slow)
  await gus.keyboard.press('Enter')
  await gus.getByTestId('gift-panel').waitFor(slow)
  await gus.getByRole('radio', { name: 'Heart, 1 coin' }).focus()
  await gus.keyboard.press('ArrowRight')
  expect(await gus.getByRole('radio', { name: 'Rose, 10 coins' }).isChecked()).toBe(true)
  await gus.getByTestId('gift-send').focus()
  await gus.keyboard.press('Enter')
  await gus.getByTestId('combo').waitFor(slow)
  await gus.getByTestId('combo').focus()
  await gus.keyboard.press('Enter')
  await expect.poll(() => text(gus, 'wallet'), slow).toBe('30')
  await expect.poll(() => text(gus, 'banner-combo'), slow).toBe('2')
  await gus.screenshot({ path: join(artifacts, 'gifts-phone.png') })
  expect(await gus.evaluate(() => document.documentElement.scrollWidth)).toBe(phone.width)
  const bottom = await gus.getByTestId('message').boundingBox()
  expect((bottom?.y ?? 0) + (bottom?.height ?? 0)).toBeLessThanOrEqual(phone.height)
  // The combo is over: the focus is on the button that it went on from.
  await gus.getByTestId('combo').waitFor({ state: 'detached', ...slow })
  expect(await gus.evaluate(() => (document.activeElement as HTMLElement).dataset.testid)).toBe('gift-send')
  await gus.keyboard.press('Escape')
  await gus.getByTestId('gift-panel').waitFor({ state: 'detached', ...slow })
  expect(await gus.evaluate(() => (document.activeElement as HTMLElement).dataset.testid)).toBe('gift-open')
  await gus.getByTestId('pane-chat').focus()
  await gus.keyboard.press('ArrowRight')
  await expect.poll(() => gus.getByTestId('board-row').filter({ hasText: 'You' }).count(), slow).toBe(1)
  await gus.screenshot({ path: join(artifacts, 'gifts-phone-board.png') })
})

test('coins are bought on a page of their own, and are there without a reload', async () => {
  const ida = await open({ user: 'ida', name: 'Ida' })
  await expect.poll(() => text(ida, 'wallet'), slow).toBe('0')
  await ida.getByTestId('recharge').click(slow)
  await ida.getByTestId('recharge-dialog').waitFor(slow)
  await ida.screenshot({ path: join(artifacts, 'gifts-recharge.png') })
  const [payment] = await Promise.all([ida.context().waitForEvent('page', slow), ida.getByTestId('package-coins_300').click()])
  expect(await ida.getByTestId('pay-link').getAttribute('href', slow)).toContain('/pay/fake')
  await payment.getByRole('button', { name: 'Pay', exact: true }).click(slow)
  await expect.poll(() => text(ida, 'wallet'), slow).toBe('315')
  await expect.poll(() => text(ida, 'recharge-status'), slow).toBe('The payment has arrived: your coins are here.')
  await ida.keyboard.press('Escape')
  await ida.getByTestId('recharge-dialog').waitFor({ state: 'hidden', ...slow })
  expect(await ida.getByTestId('gift-send').isEnabled()).toBe(true)
})

test('where there is no money the wallet shows none and the panel says why', async () => {
  const poor = await start('--money=false')
  try {
    const jan = await open({ at: poor, user: 'jan' })
    await expect.poll(() => text(jan, 'gift-reason'), slow).toBe('Gifts cannot be paid for just now.')
    expect(await text(jan, 'wallet')).toBe('-')
    expect(await jan.getByTestId('recharge').count()).toBe(0)
    await jan.context().close()
  } finally {
    await poor.stop()
  }
})

test('the connection breaks while a gift is on its way: it comes back by itself, and the gift is paid for once', async () => {
  await enrich('kim', 100)
  const bob = await open({ user: 'bob', name: 'Bob' })
  const kim = await open({ path: '/' })
  let breaks = 1
  await kim.routeWebSocket(/\/live$/, (near) => {
    const far = near.connectToServer()
    near.onMessage((frame) => {
      far.send(frame)
      if (Buffer.from(frame).includes('gift.send') && breaks-- > 0) void near.close({ code: 4001, reason: 'cut by the test' })
    })
  })
  const token = await signToken(engine.secret, { sub: 'kim', name: 'Kim', ttlMs: 600_000 }, new SystemClock().now())
  await kim.evaluate((login) => sessionStorage.setItem('livehouse.viewer', login), JSON.stringify({ token, name: 'Kim' }))
  await kim.goto(`${engine.publicUrl}/watch/?room=demo`)
  await kim.getByTestId('gift-rose').click(slow)
  await Promise.all([bob.getByTestId('gift-list').waitFor(slow), expect.poll(() => text(kim, 'wallet'), slow).toBe('100')])
  await kim.getByTestId('gift-send').click()
  await bob.getByTestId('banner').filter({ hasText: 'Kim' }).waitFor(slow)
  await expect.poll(() => text(kim, 'wallet'), slow).toBe('90')
  await expect.poll(() => kim.getByTestId('gift-send').getAttribute('aria-busy'), slow).toBe('false')
  expect(breaks).toBeLessThan(0) // asked for again
  expect(await kim.getByTestId('gift-problem').count()).toBe(0)
  expect(await text(kim, 'wallet')).toBe('90')
  await kim.getByTestId('pane-board').click()
  await expect.poll(() => kim.getByTestId('board-row').filter({ hasText: 'You' }).textContent(), slow).toMatch(/You10 coins$/)
})
