/** Gifts from the socket to the ledger and back: what the room saw is what the journal holds, coin for coin. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { monetization } from '../../plugins/monetization/plugin.ts'
import { HookMeters } from '../plugin/checks/meters.ts'
import { startTestEngine, TestClock, type TestEngine } from '../testing.ts'

let dataDir = ''
let clock: TestClock
let engine: TestEngine
const start = async (plugins = [monetization()]) => {
  engine = await startTestEngine({ dataDir, money: true, chargeOwner: 'monetization' }, { clock, plugins })
}
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'livehouse-gifts-'))
  clock = new TestClock()
  await start()
})
afterAll(async () => {
  await engine.stop()
  await rm(dataDir, { recursive: true, force: true })
})

let ids = 0
const newKey = () => `key-${++ids}`
const ledger = () => {
  if (!engine.ledger) throw new Error('no ledger')
  return engine.ledger
}
const fund = async (user: string, paid: number, bonus = 0) => {
  const transfers = [{ dr: 'coin.issued', cr: `user.${user}.coin.paid`, amount: BigInt(paid) }]
  if (bonus > 0) transfers.push({ dr: 'coin.issued', cr: `user.${user}.coin.bonus`, amount: BigInt(bonus) })
  const origin = { actor: 'test', command: 'fund' }
  const result = await ledger().submit({
    op: 'post',
    txId: `fund-${++ids}`,
    at: clock.now(),
    action: 'adjust',
    origin,
    transfers,
  })
  expect(result.ok).toBe(true)
}
const connect = async (user: string, scope = '') => engine.connect({ token: await engine.token(user, scope ? { scope } : {}) })
/** A room of its own for each test, open, with its owner in it. */
const stage = async () => {
  const room = `stage-${++ids}`
  const owner = `owner-${ids}`
  const host = await connect(owner, 'streamer')
  await host.ok('room.create', { roomId: room, title: room })
  await host.ok('room.open', {}, room)
  await host.ok('room.join', {}, room)
  return { room, owner, host }
}
const enter = async (user: string, room: string) => {
  const client = await connect(user)
  await client.ok('room.join', {}, room)
  return client
}
type Client = Awaited<ReturnType<typeof enter>>
const give = (client: Client, room: string, d: object, ik: string | undefined = newKey()) => client.call('gift.send', d, room, ik)
const given = async (client: Client, room: string, d: object, ik = newKey()) => client.ok('gift.send', d, room, ik)
const rowsOf = (room: string) => ledger().reads.roomJournalAfter(room, 0, 1_000)
const balance = async (...accounts: string[]) => (await ledger().reads.balances(accounts)).map((one) => Number(one.balance))
const putGift = async (id: string, item: object) => {
  const { status, body } = await engine.admin('PUT', `/monetization/gifts/${id}`, item)
  expect(status, JSON.stringify(body)).toBe(200)
  return body
}

it('100 coins are three gifts of 30 and a refusal; the room saw three and the ledger holds 90', async () => {
  const { room, owner, host } = await stage()
  await fund('ann', 100)
  const ann = await enter('ann', room)
  const [spentBefore] = await balance('coin.spent.gift')
  for (const left of [70, 40, 10]) expect((await given(ann, room, { giftId: 'drink' })).balanceCoin).toBe(left)
  expect(await give(ann, room, { giftId: 'drink' })).toMatchObject({ ok: false, err: { code: 'wallet.insufficient' } })
  await host.roundTrip()
  const seen = host.of('gift.sent')
  expect(seen.map(({ d }) => [d.from.id, d.to.id, d.giftId, d.valueCoin, d.comboCount])).toEqual([
    ['ann', owner, 'drink', 30, 1],
    ['ann', owner, 'drink', 30, 2],
    ['ann', owner, 'drink', 30, 3],
  ])
  const rows = await rowsOf(room)
  expect(rows.map(({ txId }) => txId)).toEqual(seen.map(({ d }) => d.txId))
  const out = rows.flatMap(({ legs }) => legs).filter(({ dr }) => dr === 'user.ann.coin.paid')
  expect(out.reduce((sum, { amount }) => sum + amount, 0n)).toBe(90n)
  const [paid, spent, beans] = await balance('user.ann.coin.paid', 'coin.spent.gift', `streamer.${owner}.bean.pending`)
  expect([paid, (spent ?? 0) - (spentBefore ?? 0), beans]).toEqual([10, 90, 45])
})

it('one command sent 50 times over three connections is one gift with one txId; another body is a conflict', async () => {
  const { room, host } = await stage()
  await fund('rita', 1_000)
  const txIds = new Set<string>()
  for (const times of [20, 20, 10]) {
    const rita = await enter('rita', room)
    for (let n = 0; n < times; n += 5) {
      const replies = await Promise.all(Array.from({ length: 5 }, () => give(rita, room, { giftId: 'rose' }, 'the-key')))
      for (const reply of replies)
        if (reply.ok) txIds.add((reply.d as { txId: string }).txId)
        else expect(reply.err.code).toBe('idem.in_flight')
    }
    rita.drop()
    await rita.closed
  }
  expect(txIds.size).toBe(1)
  const rita = await enter('rita', room)
  expect(await give(rita, room, { giftId: 'rose', count: 2 }, 'the-key')).toMatchObject({ err: { code: 'idem.conflict' } })
  // The key of another user is another key.
  await fund('rob', 10)
  expect((await given(await enter('rob', room), room, { giftId: 'rose' }, 'the-key')).balanceCoin).toBe(0)
  await host.roundTrip()
  expect(host.of('gift.sent')).toHaveLength(2)
  expect(await balance('user.rita.coin.paid')).toEqual([990])
})

it('what cannot be a gift is refused with its code, and no coin moves', async () => {
  const { room, owner, host } = await stage()
  await fund('ben', 10_000)
  await fund(owner, 10_000)
  const ben = await enter('ben', room)
  const code = async (d: object, ik: string | undefined = newKey(), client = ben) => {
    const reply = await client.call('gift.send', d, room, ik)
    return reply.ok ? 'ok' : reply.err.code
  }
  for (const count of [0, -1, 1.5, 2 ** 53 + 1, '1', 1_315, null])
    expect(await code({ giftId: 'rose', count })).toBe('request.invalid')
  for (const giftId of ['a b', 7, '', 'x'.repeat(65)]) expect(await code({ giftId })).toBe('request.invalid')
  expect((await ben.refused('gift.send', { giftId: 'rose' }, room)).code).toBe('idem.key_required')
  for (const giftId of ['nothing', '__proto__']) expect(await code({ giftId })).toBe('gift.not_available')
  expect(await code({ giftId: 'rose', to: 'somebody' })).toBe('gift.bad_receiver')
  expect(await code({ giftId: 'rose' }, newKey(), host)).toBe('gift.bad_receiver')
  expect(await code({ giftId: 'rocket', count: 11 })).toBe('limit.exceeded')
  expect(await code({ giftId: 'rose' }, newKey(), await connect('outsider'))).toBe('room.not_joined')
  expect(await code({ giftId: 'rose' }, newKey(), await engine.connect())).toBe('auth.required')
  await host.ok('room.set_settings', { gift: false }, room)
  expect(await code({ giftId: 'rose' })).toBe('room.gift_disabled')
  await host.ok('room.set_settings', { gift: true }, room)
  await host.ok('room.close', {}, room)
  expect(await code({ giftId: 'rose' })).toBe('room.closed')
  expect(await balance('user.ben.coin.paid', `user.${owner}.coin.paid`)).toEqual([10_000, 10_000])
  expect(await rowsOf(room)).toEqual([])
})

it('ten sends are one combo from 1 to 10, ten ledger rows, and one end with the exact total', async () => {
  const { room, host } = await stage()
  await fund('cleo', 200)
  const cleo = await enter('cleo', room)
  const counts: number[] = []
  for (let n = 0; n < 10; n++) {
    counts.push((await given(cleo, room, { giftId: 'rose', count: 2, comboId: 'my-combo' })).comboCount)
    clock.advance(100)
  }
  expect(counts).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  clock.advance(2_899)
  await host.roundTrip()
  expect(host.of('gift.combo_ended')).toEqual([])
  clock.advance(1)
  const { d } = await host.next('gift.combo_ended')
  expect(d).toMatchObject({ comboId: 'my-combo', giftId: 'rose', comboCount: 10, totalCount: 20, totalCoin: 200 })
  await host.roundTrip()
  expect(host.of('gift.combo_ended')).toHaveLength(1)
  expect(await rowsOf(room)).toHaveLength(10)
})

it('an exclusive gift is listed and sold in the rooms of its streamer alone', async () => {
  const [hers, other] = [await stage(), await stage()]
  await putGift('crown', { name: 'Crown', priceCoin: 50, streamerIds: [hers.owner] })
  await fund('dora', 100)
  const [here, there] = [await enter('dora', hers.room), await enter('dora', other.room)]
  const listed = async (client: Client, room: string) =>
    (await client.ok('gift.list', {}, room)).items.some(({ id }: { id: string }) => id === 'crown')
  expect([await listed(here, hers.room), await listed(there, other.room)]).toEqual([true, false])
  expect(await give(there, other.room, { giftId: 'crown' })).toMatchObject({ err: { code: 'gift.not_available' } })
  expect((await given(here, hers.room, { giftId: 'crown' })).balanceCoin).toBe(50)
  // A change of the scope holds for what is sent after it: of one room, then of an event that begins in a minute.
  await putGift('crown', { streamerIds: [], roomIds: [other.room] })
  expect([await listed(here, hers.room), await listed(there, other.room)]).toEqual([false, true])
  expect(await give(here, hers.room, { giftId: 'crown' })).toMatchObject({ err: { code: 'gift.not_available' } })
  await putGift('crown', { roomIds: [], fromAt: clock.now() + 60_000 })
  expect(await give(there, other.room, { giftId: 'crown' })).toMatchObject({ err: { code: 'gift.not_available' } })
  clock.advance(60_000)
  expect((await given(there, other.room, { giftId: 'crown' })).balanceCoin).toBe(0)
  expect(await give(there, other.room, { giftId: 'crown' })).toMatchObject({ err: { code: 'wallet.insufficient' } })
})

it('a new price is that of the next send; the send before keeps its price and version', async () => {
  const { room } = await stage()
  const { version } = await putGift('kite', { name: 'Kite', priceCoin: 10 })
  await fund('emma', 100)
  const emma = await enter('emma', room)
  expect((await given(emma, room, { giftId: 'kite' }, 'old')).balanceCoin).toBe(90)
  expect(await putGift('kite', { priceCoin: 25 })).toMatchObject({ version: version + 1, item: { name: 'Kite', priceCoin: 25 } })
  expect((await given(emma, room, { giftId: 'kite' })).balanceCoin).toBe(65)
  expect((await given(emma, room, { giftId: 'kite' }, 'old')).balanceCoin).toBe(90)
  const rows = await rowsOf(room)
  expect(rows.map(({ facts, event }) => [facts['catalogVersion'], event?.d['valueCoin']])).toEqual([
    [String(version), 10],
    [String(version + 1), 25],
  ])
})

it('bonus is spent first and brings no income; the contract in force splits the rest to the unit', async () => {
  const { room, owner } = await stage()
  await putGift('odd', { name: 'Odd', priceCoin: 999 })
  const contract = { streamerId: owner, guildId: 'guild-1', streamerBps: 5_000, guildBps: 2_000, fromAt: 0, toAt: 0 }
  expect((await engine.admin('PUT', `/monetization/contracts/c-${owner}`, contract)).status).toBe(200)
  await fund('fay', 1_000, 500)
  const fay = await enter('fay', room)
  await given(fay, room, { giftId: 'odd' })
  const accounts = ['user.fay.coin.bonus', 'user.fay.coin.paid', `streamer.${owner}.bean.pending`, 'guild.guild-1.bean.pending']
  // 500 bonus, 499 paid: floor(499 / 2) and floor(499 / 5).
  expect(await balance(...accounts)).toEqual([0, 501, 249, 99])
  const [row] = await rowsOf(room)
  expect(row?.facts).toMatchObject({ contractVersion: `c-${owner}`, terms: { streamerBps: 5_000, guildBps: 2_000 } })
})

it('a large gift shows in every other open room, once for a combo', async () => {
  const [here, there] = [await stage(), await stage()]
  await fund('gus', 30_000)
  const gus = await enter('gus', here.room)
  await given(gus, here.room, { giftId: 'fireworks', count: 9 })
  await there.host.roundTrip()
  expect(there.host.of('world.gift_banner')).toEqual([])
  await given(gus, here.room, { giftId: 'rocket' })
  expect((await there.host.next('world.gift_banner')).d).toMatchObject({ roomId: here.room, giftId: 'rocket', valueCoin: 10_000 })
  await given(gus, here.room, { giftId: 'fireworks', count: 9 })
  expect((await there.host.next('world.gift_banner')).d).toMatchObject({ giftId: 'fireworks', valueCoin: 18_000 })
  await here.host.roundTrip()
  expect(here.host.of('world.gift_banner')).toEqual([])
  expect(there.host.of('world.gift_banner')).toHaveLength(2)
})

it('boards: who gave more, and of equals who was earlier; the room hears of it at most every 2 s', async () => {
  const { room, host } = await stage()
  for (const user of ['hal', 'ida', 'jan']) await fund(user, 100)
  const [hal, ida, jan] = [await enter('hal', room), await enter('ida', room), await enter('jan', room)]
  await given(hal, room, { giftId: 'rose', count: 2 })
  await given(ida, room, { giftId: 'rose', count: 3 })
  await given(jan, room, { giftId: 'rose', count: 2 })
  const place = async (client: Client, board: string) => (await client.ok('rank.get', { board }, room)).place
  for (const board of ['live', 'day', 'week', 'total'])
    expect([await place(hal, board), await place(ida, board), await place(jan, board)]).toEqual([2, 1, 3])
  clock.advance(2_000)
  const changed = await host.next(({ t, d }) => t === 'rank.changed' && d.board === 'total' && d.rows.length === 3)
  expect(
    changed.d.rows.map(({ member, scoreCoin }: { member: { id: string }; scoreCoin: string }) => [member.id, scoreCoin]),
  ).toEqual([
    ['ida', '30'],
    ['hal', '20'],
    ['jan', '20'],
  ])
})

it('after a restart the boards are the same, an unseen gift is shown as replayed, and a key is known for ever', async () => {
  const { room, owner } = await stage()
  await fund('kim', 100)
  const kim = await enter('kim', room)
  const { txId } = await given(kim, room, { giftId: 'rose' }, 'before')
  const [row] = await rowsOf(room)
  const board = await kim.ok('rank.get', { board: 'total' }, room)
  expect(board.rows).toEqual([{ member: { id: 'kim', name: 'kim' }, scoreCoin: '10' }])
  // In the ledger and not in the room: what a crash between the two leaves.
  const unseen = await ledger().submit({
    op: 'charge',
    txId: 'unseen-gift',
    at: clock.now(),
    action: 'gift',
    origin: { actor: 'kim', command: 'gift.send', ik: 'unseen', bodyHash: 'x' },
    roomId: room,
    liveId: row?.liveId,
    event: { t: 'gift.sent', d: { ...row?.event?.d } },
    value: 10n,
    payFrom: ['user.kim.coin.paid'],
    sink: 'coin.spent.gift',
    terms: { streamerBps: 0, guildBps: 0, paidBps: 10_000, bonusBps: 0 },
    streamer: `streamer.${owner}.bean.pending`,
    contractVersion: 'default',
    catalogVersion: '1',
  })
  expect(unseen.ok).toBe(true)
  await engine.stop()
  await start()
  const again = await enter('kim', room)
  const replayed = await again.next('gift.sent')
  expect(replayed.d).toMatchObject({ txId: 'unseen-gift', replayed: true, valueCoin: 10 })
  expect(await again.ok('rank.get', { board: 'total' }, room)).toMatchObject({ rows: [{ scoreCoin: '20' }], place: 1 })
  const reply = await give(again, room, { giftId: 'rose' }, 'before')
  expect(reply).toMatchObject({ ok: true, replayed: true, d: { txId } })
  expect(again.of('gift.sent')).toHaveLength(1)
  expect(await balance('user.kim.coin.paid')).toEqual([80])
})

it('a posted gift that is asked for again is answered as then, whatever refuses it by now', async () => {
  const { room, owner } = await stage()
  const [posted, unknown] = [newKey(), newKey()]
  await fund('moe', 100)
  const moe = await enter('moe', room)
  await putGift('late', { name: 'Late', priceCoin: 20, fromAt: 0 })
  const first = await given(moe, room, { giftId: 'late' }, posted)
  const restart = async () => {
    await engine.stop()
    await start()
    const host = await connect(owner, 'streamer')
    await host.ok('room.join', {}, room)
    return { host, again: await enter('moe', room) }
  }
  const replay = { ok: true, replayed: true, d: { txId: first.txId, balanceCoin: 80 } }
  const ask = (client: Client, d: object, ik: string) => give(client, room, d, ik)
  // Its owner has turned gifts off.
  const off = await restart()
  await off.host.ok('room.set_settings', { gift: false }, room)
  expect(await ask(off.again, { giftId: 'late' }, posted)).toMatchObject(replay)
  expect(await ask(off.again, { giftId: 'late', count: 2 }, posted)).toMatchObject({ err: { code: 'idem.conflict' } })
  expect(await ask(off.again, { giftId: 'late' }, unknown)).toMatchObject({ err: { code: 'room.gift_disabled' } })
  await off.host.ok('room.set_settings', { gift: true }, room)
  // The catalogue has it no more.
  await putGift('late', { fromAt: clock.now() + 60_000 })
  const gone = await restart()
  expect(await ask(gone.again, { giftId: 'late' }, posted)).toMatchObject(replay)
  expect(await ask(gone.again, { giftId: 'late' }, unknown)).toMatchObject({ err: { code: 'gift.not_available' } })
  // A guard refuses.
  const refused = await restart()
  const refuseAll = {
    plugin: 'test',
    order: 1,
    onFailure: 'open',
    check: () => ({ kind: 'deny', code: 'content.rejected' }),
  } as const
  engine.guards.set('gift.send', [{ ...refuseAll, meters: new HookMeters({ kind: 'guard', on: 'gift.send' }) }])
  expect(await ask(refused.again, { giftId: 'late' }, posted)).toMatchObject(replay)
  expect(await ask(refused.again, { giftId: 'late' }, unknown)).toMatchObject({ err: { code: 'content.rejected' } })
  engine.guards.set('gift.send', [])
  // And while the journal cannot be read, nobody says that nothing happened.
  await refused.host.ok('room.close', {}, room)
  expect(await ask(refused.again, { giftId: 'late' }, unknown)).toMatchObject({ err: { code: 'room.closed' } })
  // It lets nobody in, and a connection that was lost cannot come back; its home may be gone from memory too.
  const restarted = async () => {
    await engine.stop()
    await start()
    const outside = await connect('moe')
    expect((await outside.refused('room.join', {}, room)).code).toBe('room.closed')
    return outside
  }
  const outside = await restarted()
  const both = await Promise.all([ask(outside, { giftId: 'late' }, posted), ask(outside, { giftId: 'late' }, posted)])
  expect(both.filter(({ ok }) => ok)).toMatchObject([replay])
  expect(both.find(({ ok }) => !ok)).toMatchObject({ err: { code: 'idem.in_flight' } })
  expect(await ask(outside, { giftId: 'late' }, posted)).toMatchObject(replay)
  expect(await ask(outside, { giftId: 'late', count: 2 }, posted)).toMatchObject({ err: { code: 'idem.conflict' } })
  expect(await ask(outside, { giftId: 'rose' }, unknown)).toMatchObject({ err: { code: 'room.not_joined' } })
  expect((await outside.refused('gift.send', { giftId: 'rose' }, room)).code).toBe('idem.key_required')
  // Nor does an open one whose owner has sent them away. What a stranger asks with the same key is another's.
  const [other, evil] = [await stage(), await connect('evil')]
  await other.host.ok('room.kick', { userId: 'moe', banMs: 60_000 }, other.room)
  expect(await give(outside, other.room, { giftId: 'rose' })).toMatchObject({ err: { code: 'room.not_joined' } })
  expect(await ask(evil, { giftId: 'late' }, posted)).toMatchObject({ err: { code: 'room.not_joined' } })
  expect(await balance('user.moe.coin.paid')).toEqual([80])
  await ledger().close()
  expect(await ask(await connect('moe'), { giftId: 'late' }, unknown)).toMatchObject({ err: { code: 'billing.unavailable' } })
})

it('without the plugin that decides prices nothing can be given, and nothing moves', async () => {
  await engine.stop()
  await start([])
  const { room } = await stage()
  await fund('lee', 100)
  const lee = await enter('lee', room)
  expect(await give(lee, room, { giftId: 'rose' })).toMatchObject({ err: { code: 'billing.unavailable' } })
  expect(await balance('user.lee.coin.paid')).toEqual([100])
})
