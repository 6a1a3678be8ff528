/** Likes and shares: counted exactly, announced at most once a second, on disk when answered. */
import { afterEach, expect, it } from 'vitest'
import { startTestEngine, TestClock, type TestEngine } from '../testing.ts'

let engine: TestEngine
afterEach(() => engine.stop())

it('100 users x 100 taps: the total is exact, and like.changed comes at most once a second', async () => {
  engine = await startTestEngine()
  const viewer = await engine.connect()
  await viewer.ok('room.join', {}, 'demo')
  const arrivals: number[] = []
  const tappers = await Promise.all(
    Array.from({ length: 100 }, async (_, n) => {
      const client = await engine.connect({ token: await engine.token(`tapper${n}`), encoding: n % 2 ? 'proto' : 'json' })
      await client.ok('room.join', {}, 'demo')
      return client
    }),
  )
  const answers = await Promise.all(
    tappers.flatMap((client) => Array.from({ length: 100 }, () => client.call('like.tap', { n: 1 }, 'demo'))),
  )
  expect(answers.every(({ ok }) => ok)).toBe(true)
  const last = await viewer.next((event) => event.t === 'like.changed' && event.d.total === 10_000)
  expect(last.d.total).toBe(10_000)
  const changes = viewer.of('like.changed')
  for (const { at = 0 } of changes) arrivals.push(at)
  for (let n = 1; n < arrivals.length; n++)
    expect((arrivals[n] as number) - (arrivals[n - 1] as number)).toBeGreaterThanOrEqual(999)
  expect(changes.reduce((sum, event) => sum + event.d.delta, 0)).toBe(10_000)
  expect((await viewer.ok('room.join', {}, 'demo')).likes).toBe(10_000)
})

it('the switch, the room and the number of one frame are bounds; shares are counted too', async () => {
  const clock = new TestClock()
  engine = await startTestEngine({ totalsEveryMs: 10 }, { clock })
  const host = await engine.connect({ token: await engine.token('demo_owner') })
  const ann = await engine.connect({ token: await engine.token('ann') })
  for (const client of [host, ann]) await client.ok('room.join', {}, 'demo')
  /** The answer waits for the disk, and the write for its time. */
  const counted = async (t: string, d: unknown) => {
    const answer = ann.call(t, d, 'demo')
    await ann.roundTrip()
    clock.advance(10)
    return answer
  }
  expect(await counted('like.tap', { n: 30 })).toMatchObject({ ok: true, d: { total: 30 } })
  expect(await counted('like.tap', {})).toMatchObject({ ok: true, d: { total: 31 } })
  expect(await counted('share.report', { channel: 'link' })).toMatchObject({ ok: true, d: { total: 1 } })
  clock.advance(1_000)
  expect((await host.next((event) => event.t === 'like.changed' && event.d.total === 31)).d.total).toBe(31)
  expect((await host.next('share.changed')).d).toEqual({ total: 1 })
  await host.ok('room.set_settings', { like: false }, 'demo')
  expect(await ann.refused('like.tap', { n: 1 }, 'demo')).toMatchObject({ code: 'room.like_disabled' })
  await host.ok('room.set_settings', { like: true }, 'demo')
  await host.ok('room.close', {}, 'demo')
  expect(await ann.refused('like.tap', { n: 1 }, 'demo')).toMatchObject({ code: 'room.closed' })
  expect(await ann.refused('share.report', {}, 'demo')).toMatchObject({ code: 'room.closed' })
})
