/**
 * Recharges over real HTTP against a real ledger: what a provider says is believed once, and only from the provider. One engine for all
 * but those that break it: each test has users of its own, and looks at their rows alone.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { monetization } from '../../plugins/monetization/plugin.ts'
import { definePlugin, Type } from '../plugin/index.ts'
import { startTestEngine, type TestClient, TestClock, type TestEngine } from '../testing.ts'
import { References } from './reference.ts'
import { signatureHeader, signatureOf, signedProvider } from './signed.ts'

const bankSecret = new TextEncoder().encode('what the bank and the engine share')
const bank = signedProvider({
  name: 'bank',
  secret: bankSecret,
  checkout: ({ reference }) => `https://bank.example/${reference}`,
})
const dayMs = 86_400_000

let dataDir = ''
let engine: TestEngine
let clock: TestClock
let keys = 0
let run = 0
const clients: TestClient[] = []
let countedBefore: Record<string, number> = {}
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'livehouse-pay-'))
  clock = new TestClock()
  engine = await start()
})
afterAll(async () => {
  await engine.stop()
  await rm(dataDir, { recursive: true, force: true })
})
beforeEach(async () => {
  run++
  countedBefore = await callbacks()
})
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
})
async function start(over: object = {}, hasBank = true): Promise<TestEngine> {
  const options = { dataDir, money: true, chargeOwner: 'monetization', ...over }
  const started = await startTestEngine(options, { clock, plugins: [monetization()], payProviders: hasBank ? [bank] : [] })
  if (hasBank) await started.plugins.configure('monetization', { providers: ['fake', 'bank'] }, 'test')
  return started
}

/** Nobody is in two tests. */
const own = (name: string) => `${name}-${run}`
const enter = async (name: string, encoding: 'json' | 'proto' = 'json') => {
  const client = await engine.connect({ token: await engine.token(own(name)), encoding })
  clients.push(client)
  return client
}
const newKey = () => `key-${++keys}`
/** The bank's page has the reference in its address. */
const orderAt = async (client: TestClient, packageId = 'coins_300') => {
  const { rechargeId, payUrl } = await client.ok('recharge.create', { packageId, provider: 'bank' }, undefined, newKey())
  return { rechargeId, reference: payUrl.slice(payUrl.lastIndexOf('/') + 1) as string }
}
const noticeOf = (reference: string, over: object = {}) => {
  return { reference, amountMinor: 3_000, cur: 'CNY', state: 'paid', providerTxId: 'b-1', ...over }
}
type Sent = { to?: string; secret?: Uint8Array; at?: number; header?: string }
const send = async (body: unknown, { to = 'bank', secret = bankSecret, at = clock.now(), header }: Sent = {}) => {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const headers = { [signatureHeader]: header ?? signatureOf(secret, text, at) }
  const reply = await fetch(new URL(`/pay/${to}`, engine.publicUrl), { method: 'POST', headers, body: text })
  return { status: reply.status, text: await reply.text() }
}
const outcome = async (body: unknown, sent?: Sent) => {
  const { status, text } = await send(body, sent)
  return [status, JSON.parse(text).outcome]
}
async function callbacks(): Promise<Record<string, number>> {
  const lines = (await engine.metrics.text()).matchAll(/^livehouse_pay_callbacks_total\{outcome="(\w+)"\} (\d+)$/gm)
  return Object.fromEntries([...lines].map(([, kind, count]) => [kind, Number(count)]))
}
/** In this test. */
const counted = async (kind: string) => Number((await callbacks())[kind]) - Number(countedBefore[kind] ?? 0)
/** Of the users of this test. */
const rows = async () => {
  const all = (await engine.ledger?.reads.journalAfter(0, 1_000)) ?? []
  return all.filter(({ actor }) => actor.endsWith(`-${run}`))
}
const wallet = async (client: TestClient) => {
  const { level: _, ...coins } = await client.ok('wallet.get')
  return coins
}
const coins = (coinPaid: number, coinBonus: number) => ({ coinPaid, coinBonus, bean: '0' })

describe('a recharge', () => {
  it('credits coins and bonus when the provider has the money, and tells every session of the user', async () => {
    const [phone, laptop, other] = [await enter('ann'), await enter('ann', 'proto'), await enter('bob')]
    const { rechargeId, reference } = await orderAt(phone)
    expect(await wallet(phone)).toEqual(coins(0, 0))
    expect(await outcome(noticeOf(reference))).toEqual([200, 'credited'])
    for (const client of [phone, laptop])
      expect((await client.next('wallet.changed')).d).toEqual({ coinPaid: 300, coinBonus: 15, reason: 'recharge' })
    expect(await wallet(laptop)).toEqual(coins(300, 15))
    await other.roundTrip()
    expect(other.of('wallet.changed')).toEqual([])

    const [row, ...more] = await rows()
    expect(more).toEqual([])
    expect(row).toMatchObject({
      txId: rechargeId,
      action: 'recharge',
      actor: own('ann'),
      legs: [
        { dr: 'ext.psp.bank', cr: 'plat.deferred', amount: 3_000n },
        { dr: 'coin.issued', cr: `user.${own('ann')}.coin.paid`, amount: 300n },
        { dr: 'coin.issued', cr: `user.${own('ann')}.coin.bonus`, amount: 15n },
      ],
      event: {
        t: 'recharge.completed',
        d: {
          ...{ rechargeId, userId: own('ann'), provider: 'bank', priceMinor: 3_000, cur: 'CNY', coins: 300, bonusCoins: 15 },
          ...{ providerTxId: 'b-1', feeMinor: 0 },
        },
      },
    })
  })

  it('delivered five times at once and five times later credits once, and is answered 200 each time', async () => {
    const ann = await enter('ann')
    const { reference } = await orderAt(ann)
    const five = () => Promise.all(Array.from({ length: 5 }, () => outcome(noticeOf(reference))))
    const answers = [...(await five()), ...(await five())]
    expect(answers.every(([status]) => status === 200)).toBe(true)
    expect(answers.filter(([, kind]) => kind === 'credited')).toHaveLength(1)
    expect(await wallet(ann)).toEqual(coins(300, 15))
    expect(await rows()).toHaveLength(1)
    expect(await counted('replayed')).toBe(9)
    await ann.roundTrip()
    expect(ann.of('wallet.changed')).toHaveLength(1)
  })

  it('paid a second time over there credits nothing more, and says so: somebody has to give that money back', async () => {
    const ann = await enter('ann')
    const { reference } = await orderAt(ann)
    const second = noticeOf(reference, { providerTxId: 'b-2' })
    expect(await outcome(noticeOf(reference))).toEqual([200, 'credited'])
    expect(await outcome(second)).toEqual([200, 'paid_twice'])
    expect(await outcome(noticeOf(reference))).toEqual([200, 'replayed'])
    expect(await wallet(ann)).toEqual(coins(300, 15))
    clock.advance(dayMs + 1)
    expect([await outcome(noticeOf(reference)), await outcome(second)]).toEqual([
      [200, 'replayed'],
      [200, 'paid_twice'],
    ])
    expect(await rows()).toHaveLength(1)
    expect(await counted('paid_twice')).toBe(2)
  })

  it('without a bonus has no bonus leg; two orders are two recharges', async () => {
    const ann = await enter('ann')
    for (const at of [1, 2]) {
      const { reference } = await orderAt(ann, 'coins_60')
      expect(await outcome(noticeOf(reference, { amountMinor: 600 }))).toEqual([200, 'credited'])
      expect(await wallet(ann)).toEqual(coins(60 * at, 0))
    }
    expect((await rows()).map(({ legs }) => legs.length)).toEqual([2, 2])
  })

  it('that failed over there is noted and credits nothing; the order can still be paid', async () => {
    const ann = await enter('ann')
    const { reference } = await orderAt(ann)
    expect(await outcome(noticeOf(reference, { state: 'failed' }))).toEqual([200, 'failed'])
    expect(await rows()).toEqual([])
    expect(await outcome(noticeOf(reference))).toEqual([200, 'credited'])
  })
})

describe('refused, logged and counted, and no coin moves', () => {
  const cases: [string, number, (reference: string) => { body: unknown; sent?: Sent }][] = [
    ['forged', 401, (reference) => ({ body: noticeOf(reference), sent: { secret: new TextEncoder().encode('guessed') } })],
    ['forged', 401, (reference) => ({ body: noticeOf(reference), sent: { header: '' } })],
    ['forged', 401, (reference) => ({ body: noticeOf(reference), sent: { header: `t=${clock.now()},v1=${'0'.repeat(64)}` } })],
    ['forged', 401, (reference) => ({ body: noticeOf(reference), sent: { header: `t=${'9'.repeat(400)},v1=00` } })],
    ['stale', 401, (reference) => ({ body: noticeOf(reference), sent: { at: clock.now() - 300_001 } })],
    ['stale', 401, (reference) => ({ body: noticeOf(reference), sent: { at: clock.now() + 300_001 } })],
    ['unknown_provider', 404, (reference) => ({ body: noticeOf(reference), sent: { to: 'nobody' } })],
    ['unknown_provider', 404, (reference) => ({ body: noticeOf(reference), sent: { to: 'bank/bank' } })],
    ['unknown_provider', 404, (reference) => ({ body: noticeOf(reference), sent: { to: '__proto__' } })],
    ['forged', 401, (reference) => ({ body: noticeOf(reference), sent: { to: 'fake' } })],
    ['mismatch', 403, (reference) => ({ body: noticeOf(reference, { amountMinor: 1 }) })],
    ['mismatch', 403, (reference) => ({ body: noticeOf(reference, { amountMinor: 3_001 }) })],
    ['mismatch', 403, (reference) => ({ body: noticeOf(reference, { cur: 'USD' }) })],
    ['malformed', 400, (reference) => ({ body: noticeOf(reference, { amountMinor: '3000' }) })],
    ['malformed', 400, (reference) => ({ body: noticeOf(reference, { amountMinor: 3_000.5 }) })],
    ['malformed', 400, (reference) => ({ body: noticeOf(reference, { state: 'refunded' }) })],
    ['malformed', 400, (reference) => ({ body: noticeOf(reference, { providerTxId: 'a\nb' }) })],
    ['malformed', 400, (reference) => ({ body: noticeOf(reference, { feeMinor: -1 }) })],
    ['malformed', 400, (reference) => ({ body: noticeOf(reference, { feeMinor: 3_001 }) })],
    ['malformed', 400, (reference) => ({ body: noticeOf(reference, { feeMinor: '1' }) })],
    ['malformed', 400, () => ({ body: noticeOf('x'.repeat(10_000)) })],
    ['malformed', 400, () => ({ body: '{"reference":' })],
    ['malformed', 400, () => ({ body: 'null' })],
    ['malformed', 400, () => ({ body: '\u0000\ufffd' })],
    ['malformed', 400, () => ({ body: '['.repeat(30_000) })],
    ['bad_reference', 403, () => ({ body: noticeOf('') })],
    ['bad_reference', 403, (reference) => ({ body: noticeOf(`${reference}.`) })],
    [
      'bad_reference',
      403,
      (reference) => ({ body: noticeOf(`${reference.slice(0, -1)}${reference.endsWith('A') ? 'B' : 'A'}`) }),
    ],
    ['bad_reference', 403, (reference) => ({ body: noticeOf(reference.replace(/^./, (first) => (first === 'W' ? 'X' : 'W'))) })],
    ['bad_reference', 403, (reference) => ({ body: noticeOf(madeBy(new Uint8Array(32), reference)) })],
  ]
  it('whatever the provider did not say, or not about this order; the order itself stays good', async () => {
    for (const [at, [kind, status, make]] of cases.entries()) {
      const user = await enter(`user-${at}`)
      const { reference } = await orderAt(user)
      const { body, sent } = make(reference)
      expect(await outcome(body, sent), `case ${at}`).toEqual([status, kind])
      expect(await wallet(user)).toEqual(coins(0, 0))
      expect(await outcome(noticeOf(reference)), `case ${at}`).toEqual([200, 'credited'])
      await user.close()
    }
    expect(await rows()).toHaveLength(cases.length)
    for (const [kind] of cases) expect([kind, await counted(kind)]).toEqual([kind, cases.filter((one) => one[0] === kind).length])
  })

  it("another user's order under one's own signature, and one of another provider", async () => {
    const [ann, eve] = [await enter('ann'), await enter('eve')]
    const [hers, evil] = [await orderAt(ann, 'coins_6480'), await orderAt(eve)]
    const [body] = hers.reference.split('.')
    const [, mac] = evil.reference.split('.')
    expect(await outcome(noticeOf(`${body}.${mac}`))).toEqual([403, 'bad_reference'])
    // Eve pays little under the reference of the dear order.
    expect(await outcome(noticeOf(hers.reference, { amountMinor: 600 }))).toEqual([403, 'mismatch'])
    // The fake provider's order through the bank.
    const { payUrl } = await eve.ok('recharge.create', { packageId: 'coins_300', provider: 'fake' }, undefined, newKey())
    expect(await outcome(noticeOf(new URL(payUrl, engine.publicUrl).searchParams.get('ref') ?? ''))).toEqual([
      403,
      'bad_reference',
    ])
    expect(await rows()).toEqual([])
  })

  it('a body beyond 64 KB', async () => {
    const { status } = await send(JSON.stringify({ filler: 'x'.repeat(65_536) }))
    expect(status).toBe(413)
    expect(await rows()).toEqual([])
  })

  it('an order of more than a day ago, but for one that was credited', async () => {
    const ann = await enter('ann')
    const [paid, late, inTime] = [await orderAt(ann), await orderAt(ann), await orderAt(ann)]
    expect(await outcome(noticeOf(paid.reference))).toEqual([200, 'credited'])
    clock.advance(dayMs)
    expect(await outcome(noticeOf(inTime.reference))).toEqual([200, 'credited'])
    clock.advance(1)
    expect(await outcome(noticeOf(late.reference))).toEqual([403, 'expired'])
    expect(await outcome(noticeOf(paid.reference))).toEqual([200, 'replayed'])
    expect(await rows()).toHaveLength(2)
  })
})

describe('asking for one', () => {
  it('lists packages and providers, to anonymous viewers too', async () => {
    const guest = await engine.connect()
    clients.push(guest)
    const { packages, providers } = await guest.ok('recharge.packages')
    expect(providers).toEqual(['fake', 'bank'])
    expect(packages[1]).toEqual({ id: 'coins_300', priceMinor: 3_000, cur: 'CNY', coins: 300, bonusCoins: 15 })
  })

  it('the same key is the same order, another body a conflict', async () => {
    const ann = await enter('ann')
    const ask = (packageId: string) => ann.call('recharge.create', { packageId, provider: 'bank' }, undefined, 'one-key')
    const [first, again] = [await ask('coins_300'), await ask('coins_300')]
    expect(again).toMatchObject({ ok: true, replayed: true, d: (first as { d: object }).d })
    expect(await ask('coins_60')).toMatchObject({ ok: false, err: { code: 'idem.conflict' } })
  })

  const wrong: [string, unknown, string | undefined][] = [
    ['idem.key_required', { packageId: 'coins_300', provider: 'bank' }, undefined],
    ['recharge.unknown_package', { packageId: 'coins_1', provider: 'bank' }, 'k'],
    ['recharge.unknown_provider', { packageId: 'coins_300', provider: 'nobody' }, 'k'],
    ['request.invalid', { packageId: 7, provider: 'bank' }, 'k'],
    ['request.invalid', { packageId: 'coins_300' }, 'k'],
    ['request.invalid', { packageId: 'x'.repeat(65), provider: 'bank' }, 'k'],
  ]
  it('says what is wrong', async () => {
    const ann = await enter('ann')
    for (const [code, d, ik] of wrong) expect((await ann.refused('recharge.create', d, undefined, ik)).code).toBe(code)
  })

  it('is for users, and for nobody who is not signed in', async () => {
    const guest = await engine.connect()
    clients.push(guest)
    const d = { packageId: 'coins_300', provider: 'bank' }
    expect((await guest.refused('recharge.create', d, undefined, 'k')).code).toBe('auth.required')
  })

  it('a provider that the engine does not have, or too many coins at once', async () => {
    const dear = { id: 'dear', priceMinor: 1, cur: 'CNY', coins: 10_000_000, bonusCoins: 1 }
    const { packages } = await (await enter('bob')).ok('recharge.packages')
    await engine.plugins.configure('monetization', { packages: [dear], providers: ['moon', 'bank'] }, 'test')
    const ann = await enter('ann')
    for (const provider of ['moon', 'bank']) {
      const { code } = await ann.refused('recharge.create', { packageId: 'dear', provider }, undefined, newKey())
      expect(code).toBe('recharge.unknown_provider')
    }
    await engine.plugins.configure('monetization', { packages, providers: ['fake', 'bank'] }, 'test')
  })

  it('a plugin makes orders for whoever asked it, and for nobody else', async () => {
    const order = { provider: 'bank', priceMinor: 100, coins: 1_000, bonusCoins: 0 }
    const shop = definePlugin({
      name: 'shop',
      version: '1.0.0',
      calls: ['engine.pay.create'],
      commands: {
        'x.shop.buy': {
          d: Type.Object({ userId: Type.String(), over: Type.Object({}, { additionalProperties: true }) }),
          room: false,
          budgetMs: 1_000,
          run: async ({ d }, ctx) => {
            const made = ctx.pay.create({ ...order, userId: d.userId, ...d.over })
            return made.catch(({ code }) => ({ code }))
          },
        },
      },
      routes: {
        'POST /buy': { summary: '', run: (_, ctx) => ctx.pay.create({ ...order, userId: 'ann' }).then((body) => ({ body })) },
      },
    })
    await engine.plugins.attach({ plugin: shop }, { by: 'test' })
    const eve = await enter('eve')
    const buy = async (userId: string, over: object = {}) => (await eve.ok('x.shop.buy', { userId, over })).code
    expect(await buy(own('eve'))).toBeUndefined()
    expect(await buy(own('ann'))).toBe('perm.denied')
    for (const over of [{ coins: 0 }, { coins: 10_000_001 }, { priceMinor: 0 }, { priceMinor: 100_000_001 }, { priceMinor: 1.5 }])
      expect(await buy(own('eve'), over)).toBe('request.invalid')
    expect(await buy(own('eve'), { bonusCoins: 9_999_001 })).toBe('request.invalid')
    expect((await engine.admin('POST', '/shop/buy', {})).status).toBe(500)
  })
})

const press = async (reference: string, decision: string, headers: Record<string, string> = {}) => {
  const body = new URLSearchParams({ ref: reference, decision })
  const reply = await fetch(new URL('/pay/fake/checkout', engine.publicUrl), { method: 'POST', headers, body })
  return { status: reply.status, text: await reply.text() }
}
const checkout = async (client: TestClient) => {
  const { payUrl } = await client.ok('recharge.create', { packageId: 'coins_300', provider: 'fake' }, undefined, newKey())
  const url = new URL(payUrl, engine.publicUrl)
  return { url, reference: url.searchParams.get('ref') ?? '' }
}

describe('the fake provider', () => {
  it('shows what is paid for; Pay credits once however often it is pressed, over the same signed callback', async () => {
    const ann = await enter('ann')
    const { url, reference } = await checkout(ann)
    const page = await fetch(url)
    const text = await page.text()
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
    for (const part of ['¥30.00', '300 coins and 15 bonus coins', 'name="viewport"', '>Pay<', '>Cancel<'])
      expect(text).toContain(part)
    expect(text).not.toContain('script')
    for (const _ of [1, 2])
      expect(await press(reference, 'pay')).toMatchObject({ status: 200, text: expect.stringContaining('<h1>Paid') })
    expect((await ann.next('wallet.changed')).d).toEqual({ coinPaid: 300, coinBonus: 15, reason: 'recharge' })
    expect(await wallet(ann)).toEqual(coins(300, 15))
    expect([await counted('credited'), await counted('replayed')]).toEqual([1, 1])
    expect((await rows())[0]?.legs[0]?.dr).toBe('ext.psp.fake')
  })

  it('Cancel credits nothing', async () => {
    const ann = await enter('ann')
    const { reference } = await checkout(ann)
    expect((await press(reference, 'cancel')).text).toContain('<h1>Cancelled')
    expect(await wallet(ann)).toEqual(coins(0, 0))
    expect(await counted('failed')).toBe(1)
  })

  it('knows no order that was not made here, none of another provider, and no one who comes from elsewhere', async () => {
    const ann = await enter('ann')
    const { reference } = await checkout(ann)
    const others = (await orderAt(ann)).reference
    for (const wrong of ['', '"><script>', others, `${reference}x`]) {
      expect((await press(wrong, 'pay')).status).toBe(404)
      const page = await fetch(new URL(`/pay/fake/checkout?ref=${encodeURIComponent(wrong)}`, engine.publicUrl))
      expect([page.status, await page.text()]).toEqual([404, expect.not.stringContaining('script')])
    }
    expect((await press(reference, 'steal')).status).toBe(404)
    for (const headers of [{ origin: 'https://evil.example' }, { 'x-forwarded-for': '203.0.113.9' }])
      expect((await press(reference, 'pay', headers as unknown as Record<string, string>)).status).toBe(403)
    expect(await rows()).toEqual([])
  })
})

// The engine of the tests above ends here.

it('a ledger that takes nothing: the provider comes again, and is heard by the next engine', async () => {
  const ann = await enter('ann')
  const { reference } = await orderAt(ann)
  const fake = await checkout(ann)
  await engine.ledger?.close()
  const text = JSON.stringify(noticeOf(reference))
  const headers = { [signatureHeader]: signatureOf(bankSecret, text, clock.now()) }
  const reply = await fetch(new URL('/pay/bank', engine.publicUrl), { method: 'POST', headers, body: text })
  expect([reply.status, reply.headers.get('retry-after')]).toEqual([503, '1'])
  expect((await press(fake.reference, 'pay')).text).toContain('The engine answered 503')
  expect(await counted('unavailable')).toBe(2)
  expect((await ann.refused('recharge.create', { packageId: 'coins_60', provider: 'bank' }, undefined, 'k')).code).toBe(
    'billing.unavailable',
  )
  await engine.stop()
  engine = await start()
  expect(await outcome(noticeOf(reference))).toEqual([200, 'credited'])
  expect(await wallet(await enter('ann'))).toEqual(coins(300, 15))
})

it('the fake provider is not there where development is not', async () => {
  await engine.stop()
  engine = await start({ devLogin: 'off' }, false)
  const ann = await enter('ann')
  const { code } = await ann.refused('recharge.create', { packageId: 'coins_300', provider: 'fake' }, undefined, 'k')
  expect(code).toBe('recharge.unknown_provider')
  expect((await fetch(new URL('/pay/fake/checkout?ref=x', engine.publicUrl))).status).toBe(404)
  expect(await outcome({}, { to: 'fake' })).toEqual([404, 'unknown_provider'])
})

/** The fields of a reference, sealed by somebody else. */
function madeBy(secret: Uint8Array, reference: string): string {
  const order = new References(engine.secret).open(reference)
  if (!order) throw new Error('not a reference')
  return new References(secret).seal(order)
}
