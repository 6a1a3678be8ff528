/** The client cap under load, on a clock that moves only here: what each client receives in every second, and who sees whose. */
import { afterEach, expect, it } from 'vitest'
import { HookMeters } from '../plugin/checks/meters.ts'
import { allow } from '../plugin/hooks.ts'
import { imbalance } from '../room/account.ts'
import { startTestEngine, type TestClient, TestClock, type TestEngine } from '../testing.ts'

let engine: TestEngine
afterEach(() => engine.stop())

const speakers = 50
const seconds = 5

/** 500 danmaku a second from 50 speakers, in steps of 100 ms. `received` has one entry for each danmaku: when it came. */
async function hotRoom(clock: TestClock, observers: Record<string, TestClient>) {
  const senders: TestClient[] = []
  for (let n = 0; n < speakers; n++) {
    const client = await engine.connect({ token: await engine.token(`speaker${n}`), encoding: n % 2 ? 'proto' : 'json' })
    await client.ok('room.join', {}, 'demo')
    senders.push(client)
  }
  const watched: Record<string, TestClient> = { ...observers, speaker0: senders[0] as TestClient }
  const received: Record<string, number[]> = Object.fromEntries(Object.keys(watched).map((name) => [name, []]))
  let sent = 0
  for (let step = 0; step < seconds * 10; step++) {
    const answers = await Promise.all(senders.map((client, n) => client.call('danmaku.send', { text: `${step}.${n}` }, 'demo')))
    sent += answers.filter(({ ok }) => ok).length
    await Promise.all(Object.values(watched).map((client) => client.roundTrip()))
    for (const [name, client] of Object.entries(watched)) {
      const times = received[name] as number[]
      while (times.length < client.of('danmaku.sent').length) times.push(clock.now())
    }
    clock.advance(100)
  }
  return { senders, received, sent }
}

const mostInASecond = (times: readonly number[]) =>
  Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + 1000).length))

it('never more than 40 in any second reach a viewer, and every sender sees all of their own', async () => {
  const clock = new TestClock()
  engine = await startTestEngine({ danmakuPerUserPerSMax: 1000, danmakuPerUserBurstMax: 1000, connectionsMax: 1000 }, { clock })
  const viewer = await engine.connect()
  const second = await engine.connect({ encoding: 'proto' })
  for (const client of [viewer, second]) await client.ok('room.join', {}, 'demo')
  const { senders, received, sent } = await hotRoom(clock, { viewer, second })
  expect(sent).toBe(speakers * seconds * 10)

  expect(mostInASecond(received['viewer'] ?? [])).toBeLessThanOrEqual(40)
  // Full use of the cap, not just below it.
  expect(received['viewer']?.length).toBeGreaterThan(35 * (seconds - 1))
  const ids = (client: TestClient) => client.of('danmaku.sent').map((event) => event.d.id)
  expect(ids(second)).toEqual(ids(viewer))
  for (const [n, client] of senders.entries()) {
    await client.roundTrip()
    const own = client.of('danmaku.sent').filter((event) => event.d.from.id === `speaker${n}`)
    expect(own.map((event) => event.d.text)).toEqual(Array.from({ length: seconds * 10 }, (_, step) => `${step}.${n}`))
    const seqs = client.of('danmaku.sent').map((event) => event.seq as number)
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b))
  }
  // A speaker of ten a second receives those, and others up to the cap.
  expect(mostInASecond(received['speaker0'] ?? [])).toBeLessThanOrEqual(40 + 10)

  const account = engine.accounts.of('demo')
  expect(imbalance(account)).toEqual([0, 0, 0])
  expect(account.sampled[1]).toBeGreaterThan(0)
  const arrived = [viewer, second, ...senders].reduce((sum, client) => sum + client.of('danmaku.sent').length, 0)
  expect(account.written[1]).toBe(arrived)
  expect(account.offered[1]).toBe(sent * (speakers + 2))
})

it('with the cap off everybody gets everything', async () => {
  const clock = new TestClock()
  engine = await startTestEngine({ danmakuPerUserPerSMax: 1000, danmakuPerUserBurstMax: 1000, danmakuPerClientMax: 0 }, { clock })
  const viewer = await engine.connect()
  await viewer.ok('room.join', {}, 'demo')
  const { sent } = await hotRoom(clock, { viewer })
  expect(viewer.of('danmaku.sent')).toHaveLength(sent)
})

it('a reply reaches the one replied to although it was sampled out; owner and staff come first', async () => {
  const clock = new TestClock()
  engine = await startTestEngine({ danmakuPerClientMax: 2, danmakuPerUserPerSMax: 1000, danmakuPerUserBurstMax: 1000 }, { clock })
  const enter = async (user: string) => {
    const client = await engine.connect({ token: await engine.token(user) })
    await client.ok('room.join', {}, 'demo')
    return client
  }
  const [ann, bob, viewer, host] = [await enter('ann'), await enter('bob'), await enter('viewer'), await enter('demo_owner')]
  const { id } = await ann.ok('danmaku.send', { text: 'question' }, 'demo')
  for (let n = 0; n < 6; n++) {
    await bob.ok('danmaku.send', { text: `answer ${n}`, replyTo: id }, 'demo')
  }
  await Promise.all([ann.roundTrip(), viewer.roundTrip()])
  const answers = (client: TestClient) => client.of('danmaku.sent').filter((event) => event.d.text.startsWith('answer'))
  expect(answers(ann)).toHaveLength(6)
  expect(answers(viewer).length).toBeLessThan(4)
  // Of one tick with more than the cap the owner's is the one that is shown.
  clock.advance(2_000)
  const seen = viewer.of('danmaku.sent').length
  let release = () => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  const meters = new HookMeters({ kind: 'guard', on: 'danmaku.send' })
  engine.guards.set('danmaku.send', [
    { plugin: 'hold', order: 1, onFailure: 'open', meters, check: () => held.then(() => allow) },
  ])
  const all = [bob.call('danmaku.send', { text: 'b' }, 'demo'), ann.call('danmaku.send', { text: 'a' }, 'demo')]
  await Promise.all([bob.roundTrip(), ann.roundTrip()])
  all.push(host.call('danmaku.send', { text: 'from the owner' }, 'demo'))
  await host.roundTrip()
  release()
  await Promise.all(all)
  engine.guards.set('danmaku.send', [])
  await viewer.roundTrip()
  expect(
    viewer
      .of('danmaku.sent')
      .slice(seen)
      .map((event) => event.d.text),
  ).toEqual(['from the owner'])
})
