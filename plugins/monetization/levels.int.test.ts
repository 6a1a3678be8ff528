/** Levels in a real engine with a real ledger: what was given raises them once, whatever is told twice, and gifts ask for them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestEngine, TestClock, type TestEngine } from '../../engine/testing.ts'
import { monetization } from './plugin.ts'

let dataDir = ''
let engine: TestEngine
const clock = new TestClock()
const start = async () => {
  const options = { dataDir, money: true, chargeOwner: 'monetization', giftsPerUserPerSMax: 1_000 }
  engine = await startTestEngine(options, { clock, plugins: [monetization()] })
}
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'livehouse-levels-'))
  await start()
  await engine.plugins.configure('monetization', { levels: [100, 300] }, 'test')
  await engine.admin('PUT', '/monetization/gifts/crown', { name: 'Crown', priceCoin: 5, minLevel: 2 })
})
afterAll(async () => {
  await engine.stop()
  await rm(dataDir, { recursive: true, force: true })
})

let keys = 0
const fund = async (user: string, coins: number) => {
  const adjustment = { userId: user, kind: 'paid', coins, reason: 'test', by: 'mia', approvedBy: 'leo' } as const
  expect(await engine.billing?.adjust(adjustment)).toMatchObject({ ok: true })
}
const stage = async () => {
  const room = `stage-${++keys}`
  const host = await engine.connect({ token: await engine.token(`host-${room}`, { scope: 'streamer' }) })
  await host.ok('room.create', { roomId: room, title: room })
  await host.ok('room.open', {}, room)
  return room
}
const enter = async (user: string, ...rooms: string[]) => {
  const client = await engine.connect({ token: await engine.token(user) })
  for (const room of rooms) await client.ok('room.join', {}, room)
  return client
}
type Client = Awaited<ReturnType<typeof enter>>
const give = async (client: Client, room: string, giftId = 'rose', count = 1, ik = `key-${++keys}`) => {
  const reply = await client.call('gift.send', { giftId, count }, room, ik)
  return reply.ok ? 'ok' : reply.err.code
}
const levelOf = async (user: string) => {
  await engine.settled()
  return (await engine.admin('GET', `/monetization/levels/${user}`)).body
}

it('a gift that asks for a level is locked below it and given from it on', async () => {
  const room = await stage()
  await fund('ann', 1_000)
  const ann = await enter('ann', room)
  const { items } = await ann.ok('gift.list', {}, room)
  expect(items.filter((one: object) => 'minLevel' in one)).toMatchObject([{ id: 'crown', minLevel: 2 }])
  const purse = { coinPaid: 1_000, coinBonus: 0, bean: '0', level: 0 }
  expect(await ann.ok('wallet.get', {})).toEqual(purse)
  const binary = await engine.connect({ token: await engine.token('ann'), encoding: 'proto' })
  expect(await binary.ok('wallet.get', {})).toEqual(purse)
  expect(await give(ann, room, 'crown')).toBe('gift.level_required')
  expect((await ann.refused('gift.send', { giftId: 'crown' }, room, `key-${++keys}`)).msg).toContain('level 2')
  expect(await give(ann, room, 'rose', 29)).toBe('ok')
  expect(await levelOf('ann')).toEqual({ level: 1, givenCoin: 290, nextLevelCoin: 300 })
  expect(await give(ann, room, 'crown')).toBe('gift.level_required')
  expect(await give(ann, room, 'rose', 1, 'the-last')).toBe('ok')
  expect(await levelOf('ann')).toEqual({ level: 2, givenCoin: 300 })
  expect(await give(ann, room, 'crown')).toBe('ok')
  expect(await ann.ok('wallet.get', {})).toEqual({ coinPaid: 695, coinBonus: 0, bean: '0', level: 2 })
  // What was posted is answered as then, on whatever level its giver is by now.
  await engine.plugins.configure('monetization', { levels: [1_000_000] }, 'test')
  expect(await give(ann, room, 'crown')).toBe('gift.level_required')
  expect(await give(ann, room, 'rose', 1, 'the-last')).toBe('ok')
  await engine.plugins.configure('monetization', { levels: [100, 300] }, 'test')
  expect(await levelOf('ann')).toMatchObject({ givenCoin: 305 })
})

it('gifts at once in several rooms all count, each once, over a restart and when all are told again', async () => {
  const rooms = [await stage(), await stage(), await stage()]
  await fund('bob', 10_000)
  const bob = await Promise.all([enter('bob', ...rooms), enter('bob', ...rooms)])
  const sends = bob.flatMap((one) => rooms.flatMap((room) => [give(one, room), give(one, room)]))
  expect(await Promise.all(sends)).toEqual(sends.map(() => 'ok'))
  expect(await levelOf('bob')).toEqual({ level: 1, givenCoin: 120, nextLevelCoin: 300 })

  await engine.stop()
  await start()
  expect(await levelOf('bob')).toMatchObject({ level: 1, givenCoin: 120 })
  expect((await engine.admin('POST', '/plugins/monetization/events/rewind', { pos: 0 })).status).toBeLessThan(300)
  expect(await levelOf('bob')).toMatchObject({ level: 1, givenCoin: 120 })
  const again = await enter('bob', rooms[0] ?? '')
  expect(await give(again, rooms[0] ?? '', 'rose', 18)).toBe('ok')
  expect(await levelOf('bob')).toEqual({ level: 2, givenCoin: 300 })
})

it('nobody but the operator sets what a level takes, and a bad ladder or level is refused', async () => {
  for (const levels of [[0], [1.5], ['100'], 100, Array.from({ length: 101 }, (_, n) => n + 1)])
    await expect(engine.plugins.configure('monetization', { levels }, 'test')).rejects.toThrow('levels')
  for (const minLevel of [-1, 1.5, 101, '2', null]) {
    const { status, body } = await engine.admin('PUT', '/monetization/gifts/crown', { minLevel })
    expect([status, body.msg]).toEqual([400, expect.stringContaining('minLevel')])
  }
  expect((await engine.admin('GET', '/monetization/levels/a.b')).status).toBe(400)
  expect(await levelOf('nobody')).toEqual({ level: 0, givenCoin: 0, nextLevelCoin: 100 })
})
