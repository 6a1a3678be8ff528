/**
 * What money may do and what operators do with it, in a real engine with a real ledger: bounds of spending, recharges in a row, fees and
 * chargebacks, refunds, adjustments, facts on their way to plugins, holds that end, and an audit that finds something. One engine for
 * all, started anew where a restart is what is asked about; each test has users of its own.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { monetization } from '../../plugins/monetization/plugin.ts'
import { createLog } from '../base/log.ts'
import { openLedger } from '../ledger/open.ts'
import type { LedgerOp } from '../ledger/ops.ts'
import { definePlugin } from '../plugin/index.ts'
import { startTestEngine, type TestClient, TestClock, type TestEngine } from '../testing.ts'
import { signatureHeader, signatureOf, signedProvider } from './signed.ts'

const bankSecret = new TextEncoder().encode('what the bank and the engine share')
const bank = signedProvider({
  name: 'bank',
  secret: bankSecret,
  checkout: ({ reference }) => `https://bank.example/${reference}`,
})
const dayMs = 86_400_000
/** Midnight of the platform is 16:00 UTC. */
const boardOffsetMinutes = 480

interface Seen {
  t: string
  eid: string
  room: string
  seq: number
  // biome-ignore lint/suspicious/noExplicitAny: tests look into many shapes.
  d: any
}
const seen: Seen[] = []
let onSeen = () => {}
/** All that is told in this test, once there are so many. */
const told = async (count: number): Promise<Seen[]> => {
  const ours = () => seen.filter(({ d }) => Object.values(d).some((value) => String(value).endsWith(`-${run}`)))
  while (ours().length < count) await new Promise<void>((resolve) => (onSeen = resolve))
  return ours()
}
const note = {
  run({ t, eid, room, seq, d }: Seen) {
    seen.push({ t, eid, room, seq, d })
    onSeen()
  },
}
const books = () =>
  definePlugin({
    name: 'books',
    version: '1.0.0',
    events: {
      'recharge.completed': note,
      'recharge.charged_back': note,
      'gift.refunded': note,
      'wallet.adjusted': note,
      'wallet.frozen': note,
      'wallet.unfrozen': note,
    },
  })

let dataDir = ''
let engine: TestEngine
let clock: TestClock
let keys = 0
let run = 0
const lines: string[] = []
const clients: TestClient[] = []
const limits = { giftCoinMinuteMax: 100_000, giftCoinDayMax: 500 }
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'livehouse-policy-'))
  clock = new TestClock()
  engine = await start()
  await engine.plugins.configure('monetization', { providers: ['fake', 'bank'], ...limits }, 'test')
})
afterAll(async () => {
  await engine.stop()
  await rm(dataDir, { recursive: true, force: true })
})
beforeEach(() => {
  run++
})
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
})
const start = () =>
  startTestEngine(
    { dataDir, money: true, chargeOwner: 'monetization', boardOffsetMinutes, giftsPerUserPerSMax: 1_000 },
    {
      clock,
      plugins: [monetization(), books()],
      payProviders: [bank],
      log: createLog({ level: 'warn', name: 'test', to: { write: (line: string) => void lines.push(line) } }),
    },
  )

const own = (name: string) => `${name}-${run}`
const newKey = () => `key-${++keys}`
const ledger = () => {
  if (!engine.ledger) throw new Error('no ledger')
  return engine.ledger
}
const desk = () => {
  if (!engine.billing) throw new Error('no billing')
  return engine.billing
}
const connect = async (name: string, scope = '') => {
  const client = await engine.connect({ token: await engine.token(own(name), scope ? { scope } : {}) })
  clients.push(client)
  return client
}
const stage = async () => {
  const room = `stage-${++keys}`
  const host = await connect(`host${keys}`, 'streamer')
  await host.ok('room.create', { roomId: room, title: room })
  await host.ok('room.open', {}, room)
  return { room, owner: own(`host${keys}`) }
}
const enter = async (name: string, ...rooms: string[]) => {
  const client = await connect(name)
  for (const room of rooms) await client.ok('room.join', {}, room)
  return client
}
const give = (client: TestClient, room: string, giftId = 'drink', count = 1) =>
  client.call('gift.send', { giftId, count }, room, newKey())
const codeOf = (reply: Awaited<ReturnType<typeof give>>) => (reply.ok ? 'ok' : reply.err.code)
const fund = async (name: string, coins: number, kind: 'paid' | 'bonus' = 'paid') => {
  const answer = await desk().adjust({ userId: own(name), kind, coins, reason: 'test', by: 'mia', approvedBy: 'leo' })
  expect(answer.ok).toBe(true)
}
const balances = async (...accounts: string[]) => (await ledger().reads.balances(accounts)).map(({ balance }) => Number(balance))
const purse = (name: string) => balances(`user.${own(name)}.coin.paid`, `user.${own(name)}.coin.bonus`)
const rowOf = async (txId: string) => {
  const row = await ledger().reads.row(txId)
  if (!row) throw new Error(`no row ${txId}`)
  return row
}
const soundBooks = async () => {
  for (const { ledger: name, debits, credits } of await ledger().reads.totals()) expect([name, debits]).toEqual([name, credits])
}

const orderAt = async (client: TestClient, packageId = 'coins_300', ik = newKey()) => {
  const { rechargeId, payUrl } = await client.ok('recharge.create', { packageId, provider: 'bank' }, undefined, ik)
  return { rechargeId: rechargeId as string, reference: payUrl.slice(payUrl.lastIndexOf('/') + 1) as string }
}
const noticeOf = (reference: string, over: object = {}) => {
  return { reference, amountMinor: 3_000, cur: 'CNY', state: 'paid', providerTxId: 'b-1', ...over }
}
const outcome = async (notice: object, secret = bankSecret) => {
  const body = JSON.stringify(notice)
  const headers = { [signatureHeader]: signatureOf(secret, body, clock.now()) }
  const reply = await fetch(new URL('/pay/bank', engine.publicUrl), { method: 'POST', headers, body })
  return [reply.status, ((await reply.json()) as { outcome: string }).outcome]
}

describe('bounds of spending', () => {
  it('hold to the coin for many sends at once in two rooms, over a restart, until midnight of the platform', async () => {
    const [one, other] = [(await stage()).room, (await stage()).room]
    await fund('ann', 10_000)
    const sessions = await Promise.all(Array.from({ length: 4 }, () => enter('ann', one, other)))
    const sends = sessions.flatMap((ann) => Array.from({ length: 7 }, (_, n) => give(ann, n % 2 === 0 ? one : other)))
    const replies = await Promise.all(sends)
    const refusals = replies.filter((reply) => !reply.ok)
    expect(replies.length - refusals.length).toBe(16)
    const now = clock.now()
    const midnight = Math.ceil((now + 480 * 60_000) / dayMs) * dayMs - 480 * 60_000
    for (const reply of refusals)
      expect(reply).toMatchObject({
        err: { code: 'limit.exceeded', retryAfterMs: midnight - now, d: { max: 500, resetAt: midnight } },
      })
    expect(await purse('ann')).toEqual([10_000 - 480, 0])

    await engine.stop()
    engine = await start()
    let ann = await enter('ann', one)
    expect([await give(ann, one), await give(ann, one, 'rose'), await give(ann, one, 'rose')].map(codeOf)).toEqual([
      'limit.exceeded',
      'ok',
      'ok',
    ])
    clock.advance(midnight - clock.now() - 1)
    ann = await enter('ann', one)
    expect(codeOf(await give(ann, one, 'heart'))).toBe('limit.exceeded')
    clock.advance(1)
    // The day is new for all of them at once, and has its own bound.
    const others = await Promise.all(Array.from({ length: 3 }, () => enter('ann', one, other)))
    const next = await Promise.all([ann, ...others].flatMap((each) => Array.from({ length: 7 }, () => give(each, one))))
    expect(next.filter((reply) => reply.ok)).toHaveLength(16)
    for (const reply of next) if (!reply.ok) expect(reply.err).toMatchObject({ d: { max: 500, resetAt: midnight + dayMs } })
    expect(await purse('ann')).toEqual([10_000 - 500 - 480, 0])
    await soundBooks()
  })

  it('are lower for whoever wants it, and an operator can switch gifts off', async () => {
    const { room } = await stage()
    await fund('ann', 1_000)
    const ann = await enter('ann', room)
    expect(await ann.ok('x.monetization.set_limit', { dayCoinMax: 40 })).toMatchObject({ dayCoinMax: 40, ownDayCoinMax: 40 })
    expect([await give(ann, room), await give(ann, room)].map(codeOf)).toEqual(['ok', 'limit.exceeded'])
    // Back to more only tomorrow.
    expect(await ann.ok('x.monetization.set_limit', { dayCoinMax: -1 })).toMatchObject({ dayCoinMax: 40, laterDayCoinMax: -1 })
    expect(codeOf(await give(ann, room))).toBe('limit.exceeded')
    for (const dayCoinMax of [-2, 1.5, '5', null])
      expect((await ann.refused('x.monetization.set_limit', { dayCoinMax })).code).toBe('request.invalid')

    const path = `/monetization/limits/${own('ben')}`
    await fund('ben', 1_000)
    const ben = await enter('ben', room)
    expect(codeOf(await give(ben, room))).toBe('ok')
    expect((await engine.admin('PUT', path, { giftingOff: true })).body).toMatchObject({ giftingOff: true, dayCoinMax: 500 })
    expect(codeOf(await give(ben, room))).toBe('gift.user_disabled')
    expect((await engine.admin('PUT', path, { giftingOff: false, dayCoinMax: 700 })).body.dayCoinMax).toBe(700)
    expect(codeOf(await give(ben, room, 'drink', 22))).toBe('ok')
    expect((await engine.admin('PUT', path, { giftingOff: 'yes' })).status).toBe(400)
    expect((await engine.admin('PUT', '/monetization/limits/a.b', { giftingOff: true })).status).toBe(400)
    expect(await purse('ben')).toEqual([1_000 - 690, 0])
  })

  it('count a minute too', async () => {
    const { room } = await stage()
    await engine.plugins.configure('monetization', { giftCoinMinuteMax: 50 }, 'test')
    await fund('ann', 1_000)
    const ann = await enter('ann', room)
    expect([await give(ann, room), await give(ann, room)].map(codeOf)).toEqual(['ok', 'limit.exceeded'])
    clock.advance(60_000)
    expect(codeOf(await give(ann, room))).toBe('ok')
    await engine.plugins.configure('monetization', limits, 'test')
  })
})

it('more than five recharges in ten minutes are refused with the time to wait; the same key is the same one', async () => {
  const [ann, phone] = [await connect('ann'), await connect('ann')]
  const ask = (ik: string, on = ann) => on.call('recharge.create', { packageId: 'coins_60', provider: 'bank' }, undefined, ik)
  const replies = await Promise.all(Array.from({ length: 12 }, (_, n) => ask(`r${n}`, n % 2 === 0 ? ann : phone)))
  expect(replies.filter(({ ok }) => ok)).toHaveLength(5)
  for (const reply of replies) if (!reply.ok) expect(reply.err).toMatchObject({ code: 'rate.limited', retryAfterMs: 600_000 })
  const first = replies.findIndex(({ ok }) => ok)
  expect(await ask(`r${first}`)).toMatchObject({ ok: true })
  clock.advance(599_999)
  expect(await ask('later')).toMatchObject({ ok: false, err: { retryAfterMs: 1 } })
  clock.advance(1)
  expect(await ask('later')).toMatchObject({ ok: true })
  // What never came to an order counts nothing.
  const ben = await connect('ben')
  for (let n = 0; n < 7; n++)
    expect((await ben.refused('recharge.create', { packageId: 'nothing', provider: 'bank' }, undefined, newKey())).code).toBe(
      'recharge.unknown_package',
    )
  await orderAt(ben)
})

describe('a chargeback', () => {
  it('takes back what is left once, however often it comes; the rest is a debt, and the wallet frozen', async () => {
    const { room, owner } = await stage()
    const ann = await enter('ann', room)
    const { rechargeId, reference } = await orderAt(ann)
    expect(await outcome(noticeOf(reference, { feeMinor: 30 }))).toEqual([200, 'credited'])
    expect((await rowOf(rechargeId)).legs).toContainEqual({ dr: 'plat.exp.psp_fee', cr: 'ext.psp.bank', amount: 30n })
    // 15 bonus coins first, then 85 paid ones.
    expect(codeOf(await give(ann, room, 'rose', 10))).toBe('ok')
    expect(await purse('ann')).toEqual([215, 0])

    const back = noticeOf(reference, { state: 'charged_back', feeMinor: 100 })
    expect(await outcome(back, new TextEncoder().encode('guessed'))).toEqual([401, 'forged'])
    expect(await outcome({ ...back, amountMinor: 1 })).toEqual([403, 'mismatch'])
    expect(await purse('ann')).toEqual([215, 0])
    const five = () => Promise.all(Array.from({ length: 5 }, () => outcome(back)))
    const answers = [...(await five()), ...(await five())]
    expect(answers.map(([status]) => status)).toEqual(answers.map(() => 200))
    expect(answers.filter(([, kind]) => kind === 'charged_back')).toHaveLength(1)
    expect(await outcome(noticeOf(reference))).toEqual([200, 'replayed'])

    const row = await rowOf(`${rechargeId}:chargeback`)
    expect(row.legs).toEqual([
      { dr: `user.${own('ann')}.coin.paid`, cr: 'coin.issued', amount: 215n },
      { dr: 'plat.deferred', cr: 'ext.psp.bank', amount: 2_150n },
      { dr: 'plat.exp.chargeback', cr: 'ext.psp.bank', amount: 850n },
      { dr: 'plat.exp.psp_fee', cr: 'ext.psp.bank', amount: 100n },
    ])
    expect(await purse('ann')).toEqual([0, 0])
    expect(await balances(`streamer.${owner}.bean.pending`)).toEqual([42])
    await soundBooks()
    const facts = await told(3)
    expect(facts.map(({ t }) => t)).toEqual(['recharge.completed', 'wallet.frozen', 'recharge.charged_back'])
    expect(facts[2]?.d).toMatchObject({ rechargeId, takenCoin: 215, takenBonusCoin: 0, debtCoin: 85, priceMinor: 3_000 })

    // Frozen: new coins are no way around it.
    await fund('ann', 100)
    expect(codeOf(await give(ann, room))).toBe('wallet.frozen')
    expect(await desk().unfreeze(own('ann'), { by: 'mia', reason: 'paid the debt' })).toMatchObject({ ok: true })
    expect(codeOf(await give(ann, room))).toBe('ok')
    expect(await outcome(back)).toEqual([200, 'replayed'])
    expect(codeOf(await give(ann, room))).toBe('ok')
  })

  it('after the time in which an order can be paid, of a recharge that nobody touched, takes all of it and leaves no debt; before the payment it is not believed', async () => {
    const ann = await connect('ann')
    const { rechargeId, reference } = await orderAt(ann)
    const back = noticeOf(reference, { state: 'charged_back' })
    expect(await outcome(back)).toEqual([409, 'not_credited'])
    expect(await outcome(noticeOf(reference))).toEqual([200, 'credited'])
    clock.advance(2 * dayMs)
    expect(await outcome(back)).toEqual([200, 'charged_back'])
    expect(await purse('ann')).toEqual([0, 0])
    expect((await rowOf(`${rechargeId}:chargeback`)).event?.d).toMatchObject({ takenCoin: 300, takenBonusCoin: 15, debtCoin: 0 })
    const [frozen] = (await told(2)).filter(({ t }) => t === 'wallet.frozen')
    expect(frozen?.d.reason).toContain(rechargeId)
  })

  it('names the payment that was credited: that of a second payment of the order is refused, and takes nothing', async () => {
    const ann = await connect('ann')
    const { rechargeId, reference } = await orderAt(ann)
    expect(await outcome(noticeOf(reference))).toEqual([200, 'credited'])
    expect(await outcome(noticeOf(reference, { providerTxId: 'b-2' }))).toEqual([200, 'paid_twice'])
    lines.length = 0
    expect(await outcome(noticeOf(reference, { state: 'charged_back', providerTxId: 'b-2' }))).toEqual([403, 'other_payment'])
    expect(await purse('ann')).toEqual([300, 15])
    expect(await ledger().reads.row(`${rechargeId}:freeze`)).toBeUndefined()
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ outcome: 'other_payment', rechargeId, providerTxId: 'b-2' }])
    expect(await engine.metrics.text()).toMatch(/^livehouse_pay_callbacks_total\{outcome="other_payment"\} 1$/m)
    expect(await outcome(noticeOf(reference, { state: 'charged_back' }))).toEqual([200, 'charged_back'])
  })

  it('is written though adjustments have taken out more than coins were sold for', async () => {
    const ann = await connect('ann')
    const { rechargeId, reference } = await orderAt(ann)
    await outcome(noticeOf(reference))
    // Nothing is left of what coins were sold for: by hand, 10 fen for each coin that was taken.
    const [deferred = 0] = await balances('plat.deferred')
    const transfers = [{ dr: 'plat.deferred', cr: 'plat.exp.adjust', amount: BigInt(deferred - 1_000) }]
    const origin = { actor: 'mia', command: 'test' }
    const emptied = await ledger().submit({
      ...{ op: 'post', txId: `emptied-${run}`, at: clock.now(), action: 'adjust', origin, transfers },
    })
    expect(emptied.ok).toBe(true)
    expect(await outcome(noticeOf(reference, { state: 'charged_back' }))).toEqual([200, 'charged_back'])
    expect((await rowOf(`${rechargeId}:chargeback`)).legs).toMatchObject([
      { amount: 300n },
      { amount: 15n },
      { dr: 'plat.deferred', cr: 'ext.psp.bank', amount: 1_000n },
      { dr: 'plat.exp.chargeback', cr: 'ext.psp.bank', amount: 2_000n },
    ])
    expect(await balances('plat.deferred')).toEqual([0])
    expect(await purse('ann')).toEqual([0, 0])
    await soundBooks()
    const back = [{ dr: 'plat.exp.adjust', cr: 'plat.deferred', amount: BigInt(deferred) }]
    await ledger().submit({ op: 'post', txId: `back-${run}`, at: clock.now(), action: 'adjust', origin, transfers: back })
  })

  it('takes the coins of its own recharge and no more', async () => {
    const ann = await connect('ann')
    await fund('ann', 1_000)
    const { reference } = await orderAt(ann)
    await outcome(noticeOf(reference))
    expect(await outcome(noticeOf(reference, { state: 'charged_back' }))).toEqual([200, 'charged_back'])
    expect(await purse('ann')).toEqual([1_000, 0])
  })

  it('comes from the fake provider over the same signed callback', async () => {
    const ann = await connect('ann')
    const { payUrl } = await ann.ok('recharge.create', { packageId: 'coins_300', provider: 'fake' }, undefined, newKey())
    const ref = new URL(payUrl, engine.publicUrl).searchParams.get('ref') ?? ''
    const press = async (decision: string) => {
      const body = new URLSearchParams({ ref, decision })
      return (await fetch(new URL('/pay/fake/checkout', engine.publicUrl), { method: 'POST', body })).text()
    }
    expect(await press('chargeback')).toContain('The engine answered 409')
    expect(await press('pay')).toContain('Take the money back')
    expect(await purse('ann')).toEqual([300, 15])
    for (const _ of [1, 2]) expect(await press('chargeback')).toContain('<h1>Taken back')
    expect(await purse('ann')).toEqual([0, 0])
  })
})

describe('at the desk', () => {
  const whom = { by: 'mia', reason: 'sent by a child' }

  it('a gift is given back once, leg by leg', async () => {
    const { room, owner } = await stage()
    await fund('ann', 80)
    await fund('ann', 20, 'bonus')
    const ann = await enter('ann', room)
    const reply = await give(ann, room, 'rose', 9)
    const { txId } = (reply as { d: { txId: string } }).d
    const gift = await rowOf(txId)
    const other = { by: 'leo', reason: 'the same' }
    const all = await Promise.all([whom, whom, other].map((who) => desk().refundGift(txId, who)))
    expect(all.filter(({ ok }) => ok)).toHaveLength(1)
    for (const again of [...all.filter(({ ok }) => !ok), await desk().refundGift(txId, whom)])
      expect(again).toMatchObject({ ok: false, code: 'gift.refunded' })
    const refund = await rowOf(`${txId}:refund`)
    expect(refund.legs).toEqual(gift.legs.map(({ dr, cr, amount }) => ({ dr: cr, cr: dr, amount })))
    expect(refund.liveId).toBe(gift.liveId)
    expect(await purse('ann')).toEqual([80, 20])
    expect(await balances(`streamer.${owner}.bean.pending`)).toEqual([0])
    expect((await ann.next(({ t, d }) => t === 'wallet.changed' && d.reason === 'refund')).d).toMatchObject({
      coinPaid: 80,
      coinBonus: 20,
    })
    const facts = (await told(3)).filter(({ t }) => t === 'gift.refunded')
    expect(facts).toMatchObject([
      { room: '', eid: `${txId}:refund`, d: { giftTxId: txId, roomId: room, to: owner, valueCoin: 90 } },
    ])
    await soundBooks()
  })

  it('what is no gift, or has no reason, is not given back', async () => {
    await fund('ann', 10)
    const known = (await ledger().reads.journalAfter(0, 1_000)).findLast(({ action }) => action === 'adjust')?.txId ?? ''
    for (const txId of [known, 'nothing', `${known}:refund`])
      expect(await desk().refundGift(txId, whom)).toMatchObject({ ok: false, code: 'gift.not_found' })
    for (const bad of [
      { by: 'a.b', reason: 'x' },
      { by: 'mia', reason: ' ' },
      { by: 'mia', reason: 'x'.repeat(201) },
    ])
      expect(await desk().refundGift(known, bad)).toMatchObject({ code: 'request.invalid' })
    for (const txId of ['', 'x'.repeat(100), 7 as never])
      expect(await desk().refundGift(txId, whom)).toMatchObject({ code: 'request.invalid' })
  })

  it('a wallet is changed by two persons, for a reason, and shows in the books', async () => {
    const adjust = (over: object = {}) =>
      desk().adjust({ userId: own('ann'), kind: 'paid', coins: 60, reason: 'outage', by: 'mia', approvedBy: 'leo', ...over })
    const [before] = await balances('plat.exp.adjust')
    const first = await adjust({ ik: own('k') })
    expect(first).toMatchObject({ ok: true, replayed: false })
    expect(await adjust({ ik: own('k') })).toMatchObject({ ok: true, replayed: true, txId: (first as { txId: string }).txId })
    expect(await adjust({ ik: own('k'), coins: 61 })).toMatchObject({ code: 'idem.conflict' })
    expect(await adjust({ coins: -20 })).toMatchObject({ ok: true })
    expect(await adjust({ kind: 'bonus', coins: 5 })).toMatchObject({ ok: true })
    expect(await purse('ann')).toEqual([40, 5])
    expect((await balances('plat.exp.adjust'))[0]).toBe((before ?? 0) + 400)
    expect(await adjust({ coins: -41 })).toMatchObject({ code: 'wallet.insufficient' })
    expect(await adjust({ approvedBy: 'mia' })).toMatchObject({ code: 'desk.same_person' })
    const bad = [{ coins: 0 }, { coins: 1.5 }, { coins: 10_000_001 }, { coins: '5' }, { kind: 'bean' }, { userId: '../x' }]
    for (const over of [...bad, { approvedBy: '' }, { reason: '' }, { reason: 'a\nb' }, { ik: '' }])
      expect(await adjust(over), JSON.stringify(over)).toMatchObject({ code: 'request.invalid' })
    expect(await purse('ann')).toEqual([40, 5])
    expect((await told(3)).map(({ d }) => [d.kind, d.coins, d.by, d.approvedBy])).toEqual([
      ['paid', 60, 'mia', 'leo'],
      ['paid', -20, 'mia', 'leo'],
      ['bonus', 5, 'mia', 'leo'],
    ])
    await soundBooks()
  })
})

describe('facts of the ledger', () => {
  it('that nobody handed on before the engine ended are handed on by the next one, each once, in order', async () => {
    await fund('ann', 1)
    await told(1)
    await engine.stop()
    // What a crash leaves behind: rows in the journal, and the room log knows nothing of them.
    const orphan = await openLedger({ dir: dataDir, clock })
    const post = (n: number): LedgerOp => ({
      op: 'post',
      txId: `orphan-${run}-${n}`,
      at: clock.now(),
      action: 'adjust',
      origin: { actor: 'mia', command: 'test' },
      event: { t: 'wallet.adjusted', d: { userId: own('ann'), coins: n } },
      transfers: [{ dr: 'coin.issued', cr: `user.${own('ann')}.coin.paid`, amount: 1n }],
    })
    for (let n = 2; n <= 1_200; n += 100) await Promise.all(Array.from({ length: 100 }, (_, at) => orphan.submit(post(n + at))))
    await orphan.close()
    engine = await start()
    const facts = await told(1_201)
    expect(facts.map(({ d }) => d.coins)).toEqual(Array.from({ length: 1_201 }, (_, n) => n + 1))
    await engine.stop()
    engine = await start()
    await fund('ann', 5)
    expect((await told(1_202)).at(-1)?.d.coins).toBe(5)
    await engine.settled()
    expect(await told(1_202)).toHaveLength(1_202)
    expect(new Set(seen.map(({ eid }) => eid)).size).toBe(seen.length)
  })

  it('can be said by nobody else', async () => {
    const liar = definePlugin({
      name: 'liar',
      version: '1.0.0',
      domains: ['payout'],
      emits: { 'wallet.frozen': { lane: 'normal', d: { type: 'object', properties: {} } as never } },
    })
    await expect(engine.plugins.attach({ plugin: liar }, { by: 'test' })).rejects.toThrow('the ledger alone')
  })
})

it('holds whose time is over are let go within seconds', async () => {
  await fund('ann', 100)
  const wallet = `user.${own('ann')}.coin.paid`
  const hold: LedgerOp = {
    op: 'hold',
    txId: `hold-${run}`,
    at: clock.now(),
    action: 'test',
    origin: { actor: 'test', command: 'test' },
    transfers: [{ dr: wallet, cr: `user.${own('ann')}.coin.hold`, amount: 100n }],
    expiresAt: clock.now() + 1_000,
  }
  expect((await ledger().submit(hold)).ok).toBe(true)
  const held = async () => {
    await fund('ben', 1) // whatever was asked of the writer before is done
    return (await ledger().reads.balances([wallet]))[0]?.pendingDebits
  }
  expect(await held()).toBe(100n)
  const { commits } = ledger().stats()
  await clock.advanceAsync(6_000)
  expect(await held()).toBe(0n)
  for (let n = 0; n < 10; n++) await clock.advanceAsync(6_000)
  expect(await held()).toBe(0n)
  expect(ledger().stats().commits - commits).toBeLessThanOrEqual(3)
})

// The last one: nobody trusts the ledger of this engine any more.
it('an audit that finds something stops recharges and what is taken back, and not the show', async () => {
  const { room } = await stage()
  await fund('ann', 100)
  const ann = await enter('ann', room)
  const [paid, open] = [await orderAt(ann), await orderAt(ann)]
  await outcome(noticeOf(paid.reference))
  const metric = async () => /^livehouse_payments_open (\d)$/m.exec(await engine.metrics.text())?.[1]
  expect([await metric(), desk().isPaymentsOpen()]).toEqual(['1', true])

  const spoil = (by: number) => {
    const file = new Database(join(dataDir, 'ledger.db'), { timeout: 5_000 })
    file.prepare(`UPDATE balances_ SET debits = debits + ${by}, credits = credits + ${by} WHERE account = 'plat.deferred'`).run()
    file.close()
  }
  const audited = async (rounds: number) => {
    const { audit, reads } = ledger()
    for (const until = audit.state.rounds + rounds; audit.state.rounds < until; ) {
      await clock.advanceAsync(1_000)
      await reads.lastPos() // behind the step of the audit
    }
  }
  const clear = async () => {
    const token = await engine.token('mia', { scope: 'money:write' })
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'idempotency-key': newKey() }
    const body = JSON.stringify({ reason: 'put right' })
    return (await fetch(`${engine.adminUrl}/admin/v1/money/audit/clear`, { method: 'POST', headers, body })).status
  }
  const alerts = () => lines.flatMap((line) => JSON.parse(line).alert ?? [])
  lines.length = 0
  spoil(1)
  // However often it is found.
  await audited(3)
  expect([await metric(), desk().isPaymentsOpen(), alerts()]).toEqual(['0', false, ['payments_stopped']])
  expect([await clear(), alerts()]).toEqual([409, ['payments_stopped']])
  spoil(-1)
  expect([await clear(), await clear()]).toEqual([200, 200])
  expect([await metric(), alerts()]).toEqual(['1', ['payments_stopped', 'payments_opened']])
  spoil(1)
  await audited(3)
  expect(alerts()).toEqual(['payments_stopped', 'payments_opened', 'payments_stopped'])

  const { code } = await ann.refused('recharge.create', { packageId: 'coins_60', provider: 'bank' }, undefined, newKey())
  expect(code).toBe('billing.unavailable')
  expect(await outcome(noticeOf(open.reference))).toEqual([503, 'unavailable'])
  expect(await outcome(noticeOf(paid.reference, { state: 'charged_back' }))).toEqual([503, 'unavailable'])
  expect(codeOf(await give(ann, room))).toBe('ok')
  expect(await purse('ann')).toEqual([400 - 15, 0])
})
