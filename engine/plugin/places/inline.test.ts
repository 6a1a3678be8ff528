import { expect, test } from 'vitest'
import { ManualClock, settle } from '../../base/clock.ts'
import { silentLog } from '../../base/log.ts'
import { Guards } from '../checks/guards.ts'
import { HookMeters } from '../checks/meters.ts'
import { type AnyPlugin, definePlugin } from '../define.ts'
import { allow, deny } from '../hooks.ts'
import { InlinePlace } from './inline.ts'

const ask = { room: 'demo', at: 0, from: { userId: 'ann', name: 'Ann', anonymous: false, ranks: [] }, d: { text: 'hi' } }

async function setup(more: Partial<AnyPlugin> = {}) {
  const [clock, liveClock] = [new ManualClock(0), new ManualClock(0)]
  const told: string[] = []
  const calls: unknown[] = []
  const view = { room: { title: 'As it is' } }
  const place = new InlinePlace(definePlugin({ name: 'words', version: '1.0.0', ...more }), '0', {
    clock,
    liveClock,
    log: silentLog,
    events: {
      async onCall(_, d, cause) {
        calls.push({ d, cause })
        return view
      },
      onInstance: (change) => told.push(change),
      onUnfit: () => told.push('unfit'),
      onLog: (level, _, msg) => told.push(`${level} ${msg}`),
      onCount: () => {},
    },
  })
  const starting = place.start(1, {})
  starting.catch(() => {})
  await settle()
  return { clock, liveClock, place, told, calls, view, starting }
}
const guarding = (run: () => unknown, more: Partial<AnyPlugin> = {}): Partial<AnyPlugin> => ({
  guards: { 'danmaku.send': { order: 1, budgetMs: 50, onFailure: 'open', run: run as () => typeof allow } },
  ...more,
})

test('what answers at once costs no promise and nothing new: one ruling serves all that pass', async () => {
  const { place } = await setup(guarding(() => allow))
  const guards = new Guards(() => {})
  const meters = new HookMeters({ kind: 'guard', on: 'danmaku.send' })
  guards.set('danmaku.send', [
    { plugin: 'words', order: 1, onFailure: 'open', meters, check: (asked) => place.check(0, asked, 50) },
  ])
  const ruling = guards.ask('danmaku.send', ask)
  expect(ruling).not.toBeInstanceOf(Promise)
  expect(guards.ask('danmaku.send', ask)).toBe(ruling)
  expect(meters).toMatchObject({ calls: 2, allow: 2, waitedMs: 0 })
})

test('late within its budget, the breaker, and a trial', async () => {
  let answer: unknown = new Promise(() => {})
  const { clock, place, told } = await setup(guarding(() => answer))
  const outcome = async () => {
    try {
      return await place.check(0, ask, 50)
    } catch (error) {
      return (error as { reason: string }).reason
    }
  }
  for (let n = 0; n < 3; n++) {
    const late = outcome()
    clock.advance(50)
    expect(await late).toBe('late')
  }
  expect(told).toEqual(['attached', 'degraded'])
  expect(await outcome()).toBe('unavailable')
  expect(place.isHealthy).toBe(false)
  clock.advance(1_000)
  answer = deny('x.words.no')
  expect(await outcome()).toEqual(deny('x.words.no'))
  expect(told.at(-1)).toBe('recovered')
})

test('stops after what is under way, checks too; afterwards it has no rights', async () => {
  let end = () => {}
  let call: () => Promise<unknown> = async () => {}
  const { place, told, liveClock } = await setup(
    guarding(() => new Promise((resolve) => (end = () => resolve(allow))), {
      start: (ctx) => {
        call = () => ctx.room.get('demo')
      },
      stop: () => void told.push('stop'),
    }),
  )
  const check = place.check(0, ask, 50)
  expect(place.instances()).toMatchObject([{ state: 'healthy', underWay: 1 }])
  const stopped = place.stop(1_000)
  await settle()
  expect(told).toEqual(['attached'])
  await expect(place.run(0, {}, { budgetMs: 10 })).rejects.toMatchObject({ code: 'plugin.unavailable' })
  end()
  await check
  await stopped
  expect(told).toEqual(['attached', 'stop', 'detached'])
  await expect(call()).rejects.toMatchObject({ code: 'plugin.unavailable' })
  liveClock.advance(10_000)
})

test('what the engine gives it is its own; what cannot be written is refused, not thrown', async () => {
  let call: (d: unknown) => Promise<unknown> = async () => {}
  const { view, calls } = await setup({
    start: (ctx) => {
      call = (roomId) => ctx.room.get(roomId as string)
    },
  })
  const got = (await call('demo')) as typeof view
  got.room.title = 'changed'
  expect(view.room.title).toBe('As it is')
  await expect(call(1n)).rejects.toBeInstanceOf(TypeError)
  expect(calls).toHaveLength(1)
})

test('a start that does not end, or a stop, is not waited for without end', async () => {
  const { liveClock, starting } = await setup({ start: () => new Promise(() => {}) })
  liveClock.advance(30_000)
  await expect(starting).rejects.toThrow('start did not end within 30000 ms')
  const other = await setup({ stop: () => new Promise(() => {}) })
  const stopped = other.place.stop(500)
  await settle()
  other.liveClock.advance(500)
  await stopped
  expect(other.told).toEqual(['attached', 'detached'])
})
