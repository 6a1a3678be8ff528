/** Danmaku kept back for review: shown as of the release, or taken back from their sender alone. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HookMeters } from '../plugin/checks/meters.ts'
import { hold, type Verdict } from '../plugin/hooks.ts'
import type { Actor, Answer } from '../room/call.ts'
import { startTestEngine, type TestClient, TestClock, type TestEngine } from '../testing.ts'

let engine: TestEngine
let clock: TestClock
beforeEach(async () => {
  clock = new TestClock()
  engine = await startTestEngine({ danmakuPerUserBurstMax: 100, heldPerRoomMax: 3 }, { clock })
  guard((text) => (text.startsWith('hold') ? hold(text.replaceAll(' ', '_'), 10_000) : { kind: 'allow' }))
})
afterEach(() => engine.stop())

function guard(check: (text: string) => Verdict | Promise<Verdict>) {
  const meters = new HookMeters({ kind: 'guard', on: 'danmaku.send' })
  engine.guards.set('danmaku.send', [
    { plugin: 'review', order: 1, onFailure: 'closed', meters, check: ({ d }) => check((d as { text: string }).text) },
  ])
}
const plugin: Actor = { userId: 'plugin_review', name: 'review', anonymous: false, scope: ['operator'] }
const asPlugin = (t: string, d: unknown, hops = 1): Promise<Answer> => engine.homes.call('demo', { t, d, actor: plugin, hops })
const enter = async (user: string, encoding: 'json' | 'proto' = 'json') => {
  const client = await engine.connect({ token: await engine.token(user), encoding })
  await client.ok('room.join', {}, 'demo')
  return client
}
const send = (client: TestClient, text: string) => client.call('danmaku.send', { text }, 'demo')
const texts = (client: TestClient) => client.of('danmaku.sent').map((event) => event.d.text)

describe.each(['json', 'proto'] as const)('held, in %s', (encoding) => {
  it('is answered with its case, shown to nobody, and on release stands where the room is now', async () => {
    const ann = await enter('ann', encoding)
    const bob = await enter('bob')
    expect(await send(ann, 'hold 1')).toMatchObject({ ok: false, err: { code: 'content.held', d: { caseId: 'hold_1' } } })
    expect(await send(bob, 'meanwhile')).toMatchObject({ ok: true })
    await Promise.all([ann.roundTrip(), bob.roundTrip()])
    expect(texts(ann)).toEqual(['meanwhile'])
    clock.advance(5_000)
    const released = await asPlugin('engine.message.release', { caseId: 'hold_1' })
    expect(released).toMatchObject({ ok: true, d: { id: expect.any(String), seq: expect.any(Number) } })
    for (const client of [ann, bob]) {
      const shown = await client.next((event) => event.d.text === 'hold 1')
      expect(shown).toMatchObject({ at: clock.now(), d: { from: { id: 'ann' } } })
      expect(texts(client)).toEqual(['meanwhile', 'hold 1'])
    }
    expect(ann.of('message.rejected')).toEqual([])
    expect(await asPlugin('engine.message.release', { caseId: 'hold_1' })).toMatchObject({ err: { code: 'message.not_found' } })
    const host = await enter('demo_owner')
    await host.ok('room.close', {}, 'demo')
    expect((await ann.next('room.closed')).d.stats).toMatchObject({ danmaku: 2 })
  })

  it('rejected: told to every session of the sender and to nobody else', async () => {
    const [ann, phone, bob] = [await enter('ann', encoding), await enter('ann'), await enter('bob')]
    await send(ann, 'hold 1')
    expect(await asPlugin('engine.message.reject', { caseId: 'hold_1', msg: 'not nice' })).toMatchObject({ ok: true })
    for (const client of [ann, phone])
      expect(await client.next('message.rejected')).toMatchObject({
        room: 'demo',
        d: { caseId: 'hold_1', text: 'hold 1', reason: 'not nice' },
      })
    await bob.roundTrip()
    expect(bob.of('message.rejected')).toEqual([])
    expect(texts(ann)).toEqual([])
    expect(await asPlugin('engine.message.reject', { caseId: 'hold_1' })).toMatchObject({ err: { code: 'message.not_found' } })
  })
})

it('its time is over: rejected by itself, at its own end', async () => {
  const ann = await enter('ann')
  await send(ann, 'hold 1')
  clock.advance(4_000)
  await send(ann, 'hold 2')
  clock.advance(5_999)
  await ann.roundTrip()
  expect(ann.of('message.rejected')).toEqual([])
  clock.advance(1)
  expect(await ann.next('message.rejected')).toMatchObject({ d: { caseId: 'hold_1' } })
  clock.advance(4_000)
  expect(await ann.next('message.rejected')).toMatchObject({ d: { caseId: 'hold_2' } })
})

it('at the bound, and for a case that is held already, the sender is refused; a free place takes the next', async () => {
  const ann = await enter('ann')
  for (const n of [1, 2]) await send(ann, `hold ${n}`)
  const bob = await enter('bob')
  expect(await send(bob, 'hold 1')).toMatchObject({ err: { code: 'content.unavailable', retryAfterMs: expect.any(Number) } })
  await send(ann, 'hold 3')
  expect(await send(ann, 'hold 4')).toMatchObject({ err: { code: 'content.unavailable' } })
  await asPlugin('engine.message.reject', { caseId: 'hold_2' })
  expect(await send(ann, 'hold 5')).toMatchObject({ err: { code: 'content.held' } })
})

it('the end of the live rejects what is held', async () => {
  const ann = await enter('ann')
  const host = await enter('demo_owner')
  await send(ann, 'hold 1')
  await host.ok('room.close', {}, 'demo')
  expect(await ann.next('message.rejected')).toMatchObject({ d: { caseId: 'hold_1', text: 'hold 1' } })
  await host.ok('room.open', {}, 'demo')
  expect(await asPlugin('engine.message.release', { caseId: 'hold_1' })).toMatchObject({ err: { code: 'message.not_found' } })
})

it.each([
  ['muted', 'room.mute', { durationMs: 0 }, 'chat.muted'],
  ['banned', 'room.kick', { banMs: -1 }, 'room.kicked'],
])('a sender who was %s meanwhile: the release is refused and the message rejected', async (_, t, d, code) => {
  const [ann, host] = [await enter('ann'), await enter('demo_owner')]
  await send(ann, 'hold 1')
  await host.ok(t, { userId: 'ann', ...d }, 'demo')
  expect(await asPlugin('engine.message.release', { caseId: 'hold_1' })).toMatchObject({ ok: false, err: { code } })
  await host.roundTrip()
  expect(texts(host)).toEqual([])
  expect(await asPlugin('engine.message.release', { caseId: 'hold_1' })).toMatchObject({ err: { code: 'message.not_found' } })
})

it('a transform that ran before is kept, and the release is a step of the chain', async () => {
  const committed: { t: string; hops: number }[] = []
  const meters = new HookMeters({ kind: 'transform', on: 'danmaku.send' })
  engine.plugins.transforms.set('danmaku.send', [
    { plugin: 'shout', order: 1, meters, check: ({ d }) => ({ text: (d as { text: string }).text.toUpperCase() }) },
  ])
  const ann = await enter('ann')
  await send(ann, 'hold 1')
  const home = engine.homes.find('demo')
  if (!home) throw new Error('no home')
  const flushed = home.parts.onCommitted
  home.parts.onCommitted = (which, events) => {
    committed.push(...events.map(({ t, hops }) => ({ t, hops })))
    flushed(which, events)
  }
  await asPlugin('engine.message.release', { caseId: 'hold_1' }, 3)
  expect(await ann.next('danmaku.sent')).toMatchObject({ d: { text: 'HOLD 1' } })
  expect(committed).toContainEqual({ t: 'danmaku.sent', hops: 3 })
})

it('a verdict that takes its time: who is muted meanwhile does not speak, and those behind pass', async () => {
  let decide = (_: Verdict) => {}
  guard((text) => (text === 'slow' ? new Promise((resolve) => (decide = resolve)) : { kind: 'allow' }))
  const [ann, bob, host] = [await enter('ann'), await enter('bob'), await enter('demo_owner')]
  const slow = send(ann, 'slow')
  await ann.roundTrip()
  const quick = send(bob, 'quick')
  await bob.roundTrip()
  const mute = host.ok('room.mute', { userId: 'ann', durationMs: 0 }, 'demo')
  await expect.poll(() => engine.homes.find('demo')?.muteOf('ann')).toBeDefined()
  decide({ kind: 'allow' })
  expect(await slow).toMatchObject({ err: { code: 'chat.muted' } })
  expect(await quick).toMatchObject({ ok: true })
  await mute
  await bob.next((event) => event.d.text === 'quick')
  expect(texts(bob)).toEqual(['quick'])
})
