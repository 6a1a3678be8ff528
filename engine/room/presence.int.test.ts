/** Presence over real sockets: a thousand come, four hundred go, and the number is right; tabs, graces and anonymous crowds. */
import { afterEach, expect, it } from 'vitest'
import { startTestEngine, type TestClient, TestClock, type TestEngine } from '../testing.ts'

let engine: TestEngine
afterEach(() => engine.stop())

it('1,000 sockets join and 400 leave: 600 unique, told to everybody', async () => {
  const clock = new TestClock()
  engine = await startTestEngine({}, { clock })
  const clients: TestClient[] = []
  const enter = async (n: number) => {
    const client = await engine.connect({ token: await engine.token(`user${n}`), encoding: n % 2 ? 'proto' : 'json' })
    await client.ok('room.join', {}, 'demo')
    clients.push(client)
  }
  for (let from = 0; from < 1_000; from += 50) await Promise.all(Array.from({ length: 50 }, (_, n) => enter(from + n)))
  clock.advance(3_000)
  const [first] = clients as [TestClient]
  await first.roundTrip()
  expect(first.of('room.online').at(-1)?.d).toEqual({ unique: 1_000, connections: 1_000, peak: 1_000 })
  const home = engine.homes.find('demo')
  await Promise.all(clients.splice(600).map((client, n) => (n % 2 ? client.close() : client.ok('room.leave', {}, 'demo'))))
  while (home?.presence.online.connections !== 600) await first.roundTrip()
  // Within the grace they still count: a flicker of the network does not flicker the number.
  clock.advance(9_000)
  await first.roundTrip()
  expect(first.of('room.online').at(-1)?.d).toMatchObject({ unique: 1_000, connections: 600 })
  clock.advance(1_000)
  clock.advance(3_000)
  await Promise.all(clients.map((client) => client.roundTrip()))
  for (const client of clients) expect(client.of('room.online').at(-1)?.d).toEqual({ unique: 600, connections: 600, peak: 1_000 })
  expect((await first.ok('room.join', {}, 'demo')).online).toEqual({ unique: 600, connections: 600, peak: 1_000 })
})

it('two tabs are one viewer, and both get what is theirs', async () => {
  const clock = new TestClock()
  engine = await startTestEngine({ danmakuPerClientMax: 1 }, { clock })
  const tab = async (encoding: 'json' | 'proto', user = 'ann') => {
    const client = await engine.connect({ token: await engine.token(user), encoding })
    return { client, joined: await client.ok('room.join', {}, 'demo') }
  }
  const [phone, laptop] = [await tab('json'), await tab('proto')]
  const bob = await tab('json', 'bob')
  expect(laptop.joined.online).toEqual({ unique: 1, connections: 2, peak: 1 })
  expect(bob.joined.online).toEqual({ unique: 2, connections: 3, peak: 2 })
  // Sampled out for others, shown on both screens of the sender.
  for (const text of ['one', 'two', 'three']) await phone.client.ok('danmaku.send', { text }, 'demo')
  for (const { client } of [phone, laptop]) {
    await client.next((event) => event.d.text === 'three')
    expect(client.of('danmaku.sent').map((event) => event.d.text)).toEqual(['one', 'two', 'three'])
  }
  await bob.client.roundTrip()
  expect(bob.client.of('danmaku.sent')).toHaveLength(1)
  await phone.client.close()
  clock.advance(60_000)
  expect((await bob.client.ok('room.join', {}, 'demo')).online).toMatchObject({ unique: 2, connections: 2 })
})

it('who comes back within the grace was never gone, and is not announced again', async () => {
  const clock = new TestClock()
  engine = await startTestEngine({}, { clock })
  const host = await engine.connect({ token: await engine.token('demo_owner') })
  await host.ok('room.join', {}, 'demo')
  const enter = async () => {
    const client = await engine.connect({ token: await engine.token('ann') })
    await client.ok('room.join', { source: 'search' }, 'demo')
    return client
  }
  const ann = await enter()
  expect((await host.next((event) => event.t === 'room.user_joined' && event.d.user.id === 'ann')).d).toMatchObject({
    source: 'search',
  })
  const home = engine.homes.find('demo')
  const cut = async (client: TestClient) => {
    client.drop()
    while (home?.presence.isHere('ann')) await host.roundTrip()
  }
  await cut(ann)
  clock.advance(9_999)
  const back = await enter()
  clock.advance(5_000)
  expect(home?.presence.online).toMatchObject({ unique: 2, connections: 2 })
  await cut(back)
  clock.advance(10_000)
  expect(home?.presence.online).toMatchObject({ unique: 1, connections: 1 })
  await enter()
  await host.next((event) => event.t === 'room.user_joined' && event.d.user.id === 'ann')
  expect(host.of('room.user_joined').filter((event) => event.d.user.id === 'ann')).toHaveLength(2)
})

it('a crowd of anonymous sockets from one address is not a crowd of viewers', async () => {
  engine = await startTestEngine({ anonymousPerAddressMax: 3, entriesPerSMax: 2 })
  const host = await engine.connect({ token: await engine.token('demo_owner') })
  await host.ok('room.join', {}, 'demo')
  for (let n = 0; n < 10; n++) await (await engine.connect({ deviceId: `d${n}` })).ok('room.join', {}, 'demo')
  expect((await host.ok('room.join', {}, 'demo')).online).toEqual({ unique: 4, connections: 11, peak: 4 })
  expect(host.of('room.user_joined').map((event) => event.d.user.id)).toEqual(['demo_owner'])
})
