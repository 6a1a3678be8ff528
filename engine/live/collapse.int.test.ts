/** A flood of gifts in one tick, over real sockets in both encodings: who sees what, what comes after a resume, and the account of it. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { monetization } from '../../plugins/monetization/plugin.ts'
import type { Messages } from '../../schemas/messages.ts'
import { startTestEngine, TestClock, type TestEngine } from '../testing.ts'

type Sent = Messages['gift.sent']
const clock = new TestClock()
let engine: TestEngine
let keys = 0
beforeAll(async () => {
  // A frame is taken to be dear, so that with the clock standing still the third gift and all after it wait for one tick.
  const dear = { writeCostNs: 1_000_000, tickMsMax: 100 }
  const options = {
    money: true,
    chargeOwner: 'monetization',
    giftsPerUserPerSMax: 1_000,
    highEventsPerTickMax: 5,
    frameBytesMax: 1_024,
  }
  engine = await startTestEngine({ ...options, ...dear }, { clock, plugins: [monetization()] })
})
afterAll(() => engine.stop())

const fund = async (user: string, coins: number) => {
  const transfers = [{ dr: 'coin.issued', cr: `user.${user}.coin.paid`, amount: BigInt(coins) }]
  const origin = { actor: 'test', command: 'fund' }
  await engine.ledger?.submit({ op: 'post', txId: `fund-${user}`, at: clock.now(), action: 'adjust', origin, transfers })
}
const enter = async (user: string, room: string, encoding: 'json' | 'proto' = 'json') => {
  const client = await engine.connect({ token: await engine.token(user), encoding })
  return { client, joined: await client.ok('room.join', {}, room) }
}
const sums = (gifts: readonly Sent[]) => {
  const total: Record<string, [sends: number, units: number, coins: number]> = {}
  for (const { giftId, count, valueCoin, collapsed = 1 } of gifts) {
    const [sends, units, coins] = total[giftId] ?? [0, 0, 0]
    total[giftId] = [sends + collapsed, units + count, coins + valueCoin]
  }
  return total
}

it('everybody’s sums are exact, senders see their own, and what is offered is accounted for', async () => {
  const host = await engine.connect({ token: await engine.token('owner', { scope: 'streamer' }) })
  await host.ok('room.create', { roomId: 'flood', title: 'Flood' })
  await host.ok('room.open', {}, 'flood')
  const people = ['ann', 'bob', 'cat']
  const senders = await Promise.all(
    people.map(async (user, n) => (await enter(user, 'flood', n === 0 ? 'proto' : 'json')).client),
  )
  for (const user of people) await fund(user, 100_000)
  const watching = await Promise.all([enter('json', 'flood'), enter('proto', 'flood', 'proto')])
  const gone = await enter('gone', 'flood')
  gone.client.drop()
  await gone.client.closed

  await senders[0]?.ok('gift.send', { giftId: 'heart' }, 'flood', 'first')
  clock.advance(100)
  for (let n = 0; n < 10; n++) {
    const gifts = senders.flatMap((sender) => ['heart', 'rose'].map((giftId) => ({ sender, d: { giftId, count: 1 + (n % 3) } })))
    await Promise.all(gifts.map(({ sender, d }) => sender.ok('gift.send', d, 'flood', `key-${++keys}`)))
  }
  clock.advance(100)
  const rows = (await engine.ledger?.reads.roomJournalAfter('flood', 0, 1_000)) ?? []
  expect(rows).toHaveLength(61)
  const wanted = sums(rows.map(({ event }) => event?.d as unknown as Sent))

  for (const client of [...senders, ...watching.map((one) => one.client)]) await client.roundTrip()
  for (const { client } of watching) {
    const seen = client.of('gift.sent').map(({ d }) => d as Sent)
    expect(sums(seen)).toEqual(wanted)
    expect(seen.length).toBeLessThan(20)
    const { from, senders: many, collapsed = 0 } = seen.at(-1) as Sent
    expect(people).toContain(from.id)
    expect([many, collapsed > 5]).toEqual([3, true])
  }
  for (const [n, client] of senders.entries()) {
    const seen = client.of('gift.sent').map(({ d }) => d as Sent)
    expect(sums(seen)).toEqual(wanted)
    const own = seen.filter(({ from, collapsed }) => from.id === people[n] && collapsed === undefined)
    expect(own.map(({ txId }) => txId)).toEqual(rows.filter(({ actor }) => actor === people[n]).map(({ txId }) => txId))
  }

  // Who comes back gets one by one what was not seen: all, or all but the first, which had a frame of its own.
  const first = watching[0].client.of('gift.sent')[0]
  expect(first?.d.collapsed).toBeUndefined()
  for (const seq of [gone.joined.seq, first?.seq ?? 0]) {
    const back = await engine.connect({ token: await engine.token('gone') })
    await back.ok('room.join', { resume: { epoch: gone.joined.epoch, seq } }, 'flood')
    await back.roundTrip()
    const before = watching[0].client.of('gift.sent').filter((event) => (event.seq ?? 0) <= seq)
    const missed = back.of('gift.sent').map(({ d }) => d as Sent)
    expect(missed.every(({ collapsed }) => collapsed === undefined)).toBe(true)
    expect(sums([...before.map(({ d }) => d as Sent), ...missed])).toEqual(wanted)
  }

  const { body } = await engine.admin('GET', '/rooms/flood/account')
  expect(body.collapsed.high).toBeGreaterThan(0)
  expect(body.imbalance).toEqual({ high: 0, normal: 0, low: 0 })

  // The log has every single one, in the order of the journal.
  const { items } = (await engine.admin('GET', '/rooms/flood/log?limit=200')).body
  const logged = (items as { t: string; d: Sent }[]).filter(({ t }) => t === 'gift.sent').map(({ d }) => d)
  expect(logged.map(({ txId }) => txId)).toEqual(rows.map(({ txId }) => txId))
  expect(logged.some(({ collapsed }) => collapsed !== undefined)).toBe(false)
})
