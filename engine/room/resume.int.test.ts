/** Coming back after a cut: everything missed, once and in order, or an explicit resync; and commands that are sent again. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Config } from '../config.ts'
import { HookMeters } from '../plugin/checks/meters.ts'
import { allow } from '../plugin/hooks.ts'
import { startTestEngine, type TestClient, type TestEngine } from '../testing.ts'

let engine: TestEngine
afterEach(() => engine.stop())

async function start(options: Partial<Config> = {}) {
  engine = await startTestEngine({ danmakuPerUserPerSMax: 1000, danmakuPerUserBurstMax: 1000, ...options })
  const host = await engine.connect({ token: await engine.token('demo_owner') })
  await host.ok('room.join', {}, 'demo')
  return host
}
const user = async (name: string, encoding: 'json' | 'proto' = 'json') =>
  engine.connect({ token: await engine.token(name), encoding })

/** Room events but those that are only the latest state of a number. */
const facts = (client: TestClient) =>
  client.events.filter(({ t }) => !['room.online', 'room.user_joined', 'like.changed'].includes(t))

describe.each(['json', 'proto'] as const)('a cut and back in %s', (encoding) => {
  it('brings moderation, state and danmaku in order, none twice', async () => {
    const host = await start({ danmakuPerClientMax: 0 })
    const witness = await user('witness', encoding)
    await witness.ok('room.join', {}, 'demo')
    const ann = await user('ann', encoding)
    await ann.ok('room.join', {}, 'demo')
    await host.ok('danmaku.send', { text: 'before' }, 'demo')
    const last = await ann.next('danmaku.sent')
    const { epoch } = await witness.ok('room.join', {}, 'demo')
    ann.drop()
    await ann.closed

    await host.ok('room.set_settings', { slowModeMs: 1_000 }, 'demo')
    await host.ok('danmaku.send', { text: 'missed 1' }, 'demo')
    await host.ok('room.mute', { userId: 'troll', durationMs: 0 }, 'demo')
    await host.ok('danmaku.send', { text: 'missed 2' }, 'demo')
    await host.ok('room.update', { title: 'changed' }, 'demo')
    const end = await host.ok('danmaku.send', { text: 'missed 3' }, 'demo')

    const back = await user('ann', encoding)
    const [reply] = await Promise.all([
      back.ok('room.join', { resume: { epoch, seq: last.seq } }, 'demo'),
      host.ok('danmaku.send', { text: 'live again' }, 'demo'),
    ])
    expect(reply).toMatchObject({ epoch, resumed: true })
    expect(reply.room).toBeUndefined()
    await back.next((event) => event.d.text === 'live again')
    const expected = facts(witness).filter(({ seq = 0 }) => seq > (last.seq ?? 0))
    await witness.next((event) => event.d.text === 'live again')
    expect(facts(back).map(({ t, seq, d }) => [t, seq, d])).toEqual(
      facts(witness)
        .filter(({ seq = 0 }) => seq > (last.seq ?? 0))
        .map(({ t, seq, d }) => [t, seq, d]),
    )
    expect(expected.length).toBeGreaterThanOrEqual(6)
    expect(reply.seq).toBeGreaterThanOrEqual(end.seq)
  })
})

describe('a resync, said aloud', () => {
  it('when more of the high lane was missed than the ring holds', async () => {
    const host = await start({ ringHighEventsMax: 5 })
    const { epoch, seq } = await host.ok('room.join', {}, 'demo')
    for (let n = 0; n < 5; n++) await host.ok('room.update', { title: `title ${n}` }, 'demo')
    const ann = await user('ann')
    expect(await ann.ok('room.join', { resume: { epoch, seq } }, 'demo')).toMatchObject({ resumed: true })
    await host.ok('room.update', { title: 'one more' }, 'demo')
    const bob = await user('bob')
    const reply = await bob.ok('room.join', { resume: { epoch, seq } }, 'demo')
    expect(reply).toMatchObject({ resync: true, room: { title: 'one more' }, me: { userId: 'bob' } })
    expect(reply.resumed).toBeUndefined()
  })

  it('from the future, or from another epoch', async () => {
    const host = await start()
    const { epoch, seq } = await host.ok('room.join', {}, 'demo')
    const ann = await user('ann')
    for (const resume of [
      { epoch, seq: seq + 1_000 },
      { epoch: epoch + 1, seq },
      { epoch: 0, seq: 0 },
    ])
      expect(await ann.ok('room.join', { resume }, 'demo')).toMatchObject({ resync: true, epoch })
  })

  it('after a restart, with an epoch one higher and the state as it was', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'livehouse-restart-'))
    let host = await start({ dataDir })
    const { epoch, seq } = await host.ok('room.join', {}, 'demo')
    await host.ok('room.update', { title: 'kept' }, 'demo')
    await engine.stop()
    host = await start({ dataDir })
    expect(await host.ok('room.join', { resume: { epoch, seq } }, 'demo')).toMatchObject({
      epoch: epoch + 1,
      resync: true,
      room: { title: 'kept', state: 'open' },
    })
    await engine.stop()
    await rm(dataDir, { recursive: true, force: true })
  })
})

it('at most the 50 newest danmaku come back, however many were missed', async () => {
  const host = await start()
  const { epoch, seq } = await host.ok('room.join', {}, 'demo')
  for (let n = 0; n < 80; n++) await host.ok('danmaku.send', { text: `n ${n}` }, 'demo')
  const ann = await user('ann')
  expect(await ann.ok('room.join', { resume: { epoch, seq } }, 'demo')).toMatchObject({ resumed: true })
  await ann.next((event) => event.d.text === 'n 79')
  expect(ann.of('danmaku.sent').map((event) => event.d.text)).toEqual(Array.from({ length: 50 }, (_, n) => `n ${n + 30}`))
  const bob = await user('bob')
  expect((await bob.ok('room.join', {}, 'demo')).danmaku).toHaveLength(50)
})

describe('commands with a key', () => {
  it('one danmaku sent 50 times over 3 reconnects is one message with one id', async () => {
    const host = await start({ danmakuPerUserPerSMax: 1, danmakuPerUserBurstMax: 1 })
    const replies = []
    for (let connection = 0; connection < 3; connection++) {
      const ann = await user('ann', connection === 1 ? 'proto' : 'json')
      await ann.ok('room.join', {}, 'demo')
      for (let n = 0; n < 17; n++) replies.push(await ann.call('danmaku.send', { text: 'once' }, 'demo', 'key1'))
      ann.drop()
      await ann.closed
    }
    const [first, ...rest] = replies
    expect(first).toMatchObject({ ok: true, d: { text: 'once' } })
    expect(first).not.toHaveProperty('replayed')
    const { d } = first as { d: unknown }
    for (const reply of rest) expect(reply).toMatchObject({ ok: true, replayed: true, d })
    expect((await host.ok('room.join', {}, 'demo')).danmaku).toHaveLength(1)
  })

  it('another body is a conflict, another user or command is not, a refusal may be tried again', async () => {
    const host = await start()
    const ann = await user('ann')
    await ann.ok('room.join', {}, 'demo')
    await ann.ok('danmaku.send', { text: 'one' }, 'demo', 'k')
    expect(await ann.refused('danmaku.send', { text: 'two' }, 'demo', 'k')).toMatchObject({ code: 'idem.conflict' })
    await host.ok('danmaku.send', { text: 'two' }, 'demo', 'k')
    await ann.ok('like.tap', { n: 1 }, 'demo', 'k')
    await host.ok('room.set_settings', { chat: false }, 'demo')
    expect(await ann.refused('danmaku.send', { text: 'later' }, 'demo', 'k2')).toMatchObject({ code: 'chat.disabled' })
    await host.ok('room.set_settings', { chat: true }, 'demo')
    const reply = await ann.call('danmaku.send', { text: 'later' }, 'demo', 'k2')
    expect(reply).toMatchObject({ ok: true })
    expect(reply).not.toHaveProperty('replayed')
  })

  it('while the first is under way the second is told so', async () => {
    await start()
    const [one, two] = [await user('ann'), await user('ann')]
    for (const client of [one, two]) await client.ok('room.join', {}, 'demo')
    let release = () => {}
    const held = new Promise<void>((resolve) => (release = resolve))
    const meters = new HookMeters({ kind: 'guard', on: 'danmaku.send' })
    engine.guards.set('danmaku.send', [
      { plugin: 'hold', order: 1, onFailure: 'open', meters, check: () => held.then(() => allow) },
    ])
    const first = one.call('danmaku.send', { text: 'x' }, 'demo', 'k')
    await one.roundTrip()
    expect(await two.refused('danmaku.send', { text: 'x' }, 'demo', 'k')).toMatchObject({
      code: 'idem.in_flight',
      retryAfterMs: expect.any(Number),
    })
    release()
    expect(await first).toMatchObject({ ok: true })
    expect(await two.call('danmaku.send', { text: 'x' }, 'demo', 'k')).toMatchObject({ ok: true, replayed: true })
  })

  it('likes are counted once, changes are made once, a room is created once', async () => {
    const host = await start()
    const streamer = await engine.connect({ token: await engine.token('streamer', { scope: 'streamer' }) })
    const taps = []
    for (let n = 0; n < 3; n++) taps.push(await host.call('like.tap', { n: 5 }, 'demo', 'tap'))
    expect(taps.map((reply) => reply.ok && reply.d)).toEqual([{ total: 5 }, { total: 5 }, { total: 5 }])
    const first = await host.ok('room.update', { title: 'x' }, 'demo', 'up')
    expect(await host.ok('room.update', { title: 'x' }, 'demo', 'up')).toEqual(first)
    const made = await streamer.ok('room.create', { title: 'mine' }, undefined, 'new')
    const again = await streamer.call('room.create', { title: 'mine' }, undefined, 'new')
    expect(again).toMatchObject({ ok: true, replayed: true, d: made })
  })
})
