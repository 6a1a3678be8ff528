/** What plugins do in a room: their own events, danmaku of bots, removal. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HookMeters } from '../plugin/checks/meters.ts'
import type { Verdict } from '../plugin/hooks.ts'
import type { Actor, Answer } from '../room/call.ts'
import type { RoomEvent } from '../room/event.ts'
import { startTestEngine, TestClock, type TestEngine } from '../testing.ts'

let engine: TestEngine
let clock: TestClock
beforeEach(async () => {
  clock = new TestClock()
  engine = await startTestEngine({ danmakuPerUserBurstMax: 3 }, { clock })
})
afterEach(() => engine.stop())

const plugin: Actor = { userId: 'plugin_poll', name: 'poll', anonymous: false, scope: ['operator'] }
const call = (t: string, d: unknown, over: { actor?: Actor; hops?: number } = {}): Promise<Answer> =>
  engine.homes.call('demo', { t, d, actor: plugin, hops: 1, ...over })
const enter = async (user: string, encoding: 'json' | 'proto' = 'json') => {
  const client = await engine.connect({ token: await engine.token(user), encoding })
  await client.ok('room.join', {}, 'demo')
  return client
}
/** All that is committed from now on. */
function committed(): RoomEvent[] {
  const home = engine.homes.find('demo')
  if (!home) throw new Error('no home')
  const seen: RoomEvent[] = []
  const before = home.parts.onCommitted
  home.parts.onCommitted = (which, events) => {
    seen.push(...events)
    before(which, events)
  }
  return seen
}

describe('engine.room.broadcast', () => {
  it.each(['json', 'proto'] as const)(
    'reaches everybody in %s, with seq, and says through how many plugins it came',
    async (encoding) => {
      const ann = await enter('ann', encoding)
      const seen = committed()
      const answer = await call('engine.room.broadcast', { t: 'x.poll.opened', d: { q: '谁?' }, lane: 'high' }, { hops: 2 })
      const event = await ann.next('x.poll.opened')
      expect(answer).toEqual({ ok: true, d: { seq: event.seq } })
      expect(event).toMatchObject({ room: 'demo', d: { q: '谁?' } })
      expect(seen).toMatchObject([{ t: 'x.poll.opened', hops: 2, actor: 'plugin_poll', lane: 'high' }])
    },
  )

  it('on the low lane the newest of each name is left of a tick', async () => {
    const ann = await enter('ann')
    // Everything waits behind a danmaku that is not decided yet, and is one tick then.
    let decide = (_: Verdict) => {}
    const meters = new HookMeters({ kind: 'guard', on: 'danmaku.send' })
    const check = () => new Promise((resolve) => (decide = resolve))
    engine.guards.set('danmaku.send', [{ plugin: 'slow', order: 1, onFailure: 'open', meters, check }])
    const sent = ann.call('danmaku.send', { text: 'first' }, 'demo')
    await ann.roundTrip()
    for (let n = 1; n <= 3; n++) {
      const low = { t: 'x.poll.votes', d: { n }, lane: 'low' }
      expect(await call('engine.room.broadcast', low)).toEqual({ ok: true, d: {} })
    }
    await call('engine.room.broadcast', { t: 'x.poll.other', d: {}, lane: 'low' })
    decide({ kind: 'allow' })
    await sent
    await ann.next('x.poll.other')
    expect(ann.of('x.poll.votes').map((event) => event.d)).toEqual([{ n: 3 }])
  })

  it('what cannot be written is refused and hurts nobody; what changes later is as it was', async () => {
    const ann = await enter('ann')
    const circular: Record<string, unknown> = {}
    circular['me'] = circular
    for (const d of [circular, { n: 1n }, undefined, () => 1])
      expect(await call('engine.room.broadcast', { t: 'x.poll.bad', d, lane: 'high' })).toMatchObject({
        err: { code: 'request.invalid', d: { field: 'd' } },
      })
    for (const t of ['danmaku.sent', 'room.closed', 'room.lagging', 'no dots', 'x'])
      expect(await call('engine.room.broadcast', { t, d: {}, lane: 'high' })).toMatchObject({
        err: { code: 'request.invalid', d: { field: 't' } },
      })
    const d = { n: 1 }
    const answer = call('engine.room.broadcast', { t: 'x.poll.good', d, lane: 'normal' })
    d.n = 2
    await answer
    expect(await ann.next('x.poll.good')).toMatchObject({ d: { n: 1 } })
  })
})

describe('engine.danmaku.post', () => {
  const post = (text: string, over: { botId?: string; name?: string } = {}) =>
    call('engine.danmaku.post', { botId: 'quiz', name: 'Quiz', text, ...over })

  it.each(['json', 'proto'] as const)('is a danmaku of a bot, and looks like one in %s', async (encoding) => {
    const ann = await enter('ann', encoding)
    const seen = committed()
    const answer = await post('question 1')
    const event = await ann.next('danmaku.sent')
    expect(event.d).toMatchObject({ from: { id: 'bot_quiz', name: 'Quiz', bot: true }, text: 'question 1' })
    expect(answer).toMatchObject({ ok: true, d: { id: event.d.id } })
    expect(seen.find(({ t }) => t === 'danmaku.sent')).toMatchObject({ hops: 1, preferred: false, actor: 'bot_quiz' })
  })

  it('no slow mode, no duplicates and staff length, but a rate of its own per bot, and mutes', async () => {
    const host = await enter('demo_owner')
    await host.ok('room.set_settings', { slowModeMs: 60_000 }, 'demo')
    const long = 'l'.repeat(90)
    for (let n = 0; n < 3; n++) expect(await post(long)).toMatchObject({ ok: true })
    expect(await post(long)).toMatchObject({ err: { code: 'rate.limited', retryAfterMs: 1_000 } })
    expect(await post(long, { botId: 'other' })).toMatchObject({ ok: true })
    clock.advance(1_000)
    expect(await post(long)).toMatchObject({ ok: true })
    expect(await post('l'.repeat(101), { botId: 'other' })).toMatchObject({ err: { code: 'chat.too_long' } })
    await host.ok('room.mute', { userId: 'bot_other', durationMs: -1 }, 'demo')
    expect(await post('hi', { botId: 'other' })).toMatchObject({ err: { code: 'chat.muted' } })
  })

  it('guards and transforms see a bot, and a closed room takes none', async () => {
    const meters = new HookMeters({ kind: 'guard', on: 'danmaku.send' })
    const seen: unknown[] = []
    const check: Parameters<typeof engine.guards.set>[1][number]['check'] = ({ from, d }) => {
      seen.push([from, d])
      return (d as { text: string }).text === 'bad' ? { kind: 'deny', code: 'content.rejected' } : { kind: 'allow' }
    }
    engine.guards.set('danmaku.send', [{ plugin: 'filter', order: 1, onFailure: 'closed', meters, check }])
    engine.plugins.transforms.set('danmaku.send', [{ plugin: 'blue', order: 1, meters, check: () => ({ color: 255 }) }])
    const host = await enter('demo_owner')
    expect(await post('bad')).toMatchObject({ err: { code: 'content.rejected' } })
    expect(await post('good', { name: ' \u202e ' })).toMatchObject({ ok: true })
    expect((await host.next('danmaku.sent')).d).toMatchObject({ text: 'good', color: 255, from: { name: 'quiz' } })
    expect(seen).toContainEqual([{ userId: 'bot_quiz', name: 'Quiz', anonymous: false, ranks: [], bot: true }, { text: 'bad' }])
    await host.ok('room.close', {}, 'demo')
    expect(await post('late')).toMatchObject({ err: { code: 'room.closed' } })
  })
})

it('engine.message.remove takes several away at once, and passes over what is not there', async () => {
  const [ann, bob] = [await enter('ann'), await enter('bob')]
  const one = await ann.ok('danmaku.send', { text: 'one' }, 'demo')
  const two = await bob.ok('danmaku.send', { text: 'two' }, 'demo')
  await ann.ok('danmaku.send', { text: 'three' }, 'demo')
  const seen = committed()
  expect(await call('engine.message.remove', { ids: [two.id, 'nobody', one.id] })).toMatchObject({
    ok: true,
    d: { ids: [one.id, two.id] },
  })
  expect((await ann.next('message.removed')).d).toEqual({ ids: [one.id, two.id] })
  expect(seen).toMatchObject([{ t: 'message.removed', hops: 1, actor: 'plugin_poll' }])
  expect((await bob.ok('room.join', {}, 'demo')).danmaku).toHaveLength(1)
  expect(await call('engine.message.remove', { ids: [one.id] })).toMatchObject({ err: { code: 'message.not_found' } })
})

it('none of it for anybody but operators and plugins, and no client knows the names', async () => {
  const owner: Actor = { userId: 'demo_owner', name: 'Owner', anonymous: false, scope: ['streamer'] }
  const host = await enter('demo_owner')
  const calls = {
    'engine.room.broadcast': { t: 'x.poll.opened', d: {}, lane: 'high' },
    'engine.danmaku.post': { botId: 'b', name: 'B', text: 'hi' },
    'engine.message.remove': { ids: ['a'] },
    'engine.message.release': { caseId: 'c' },
    'engine.message.reject': { caseId: 'c' },
    'engine.room.takedown': { reason: '' },
    'engine.room.restore': {},
    'engine.stream.cut': {},
    'engine.stream.degrade': { level: 1 },
    'engine.stream.switch_line': { line: 'auto' },
  }
  for (const [t, d] of Object.entries(calls)) {
    expect(await call(t, d, { actor: owner }), t).toMatchObject({ err: { code: 'perm.denied' } })
    expect(await host.refused(t, d, 'demo')).toMatchObject({ code: 'request.unknown_command' })
  }
})
