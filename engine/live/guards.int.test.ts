/** Guards on danmaku: shadow, order, failure. What a shadowed sender sees is what any sender sees. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { BoundGuard } from '../plugin/checks/guards.ts'
import { HookMeters } from '../plugin/checks/meters.ts'
import type { Verdict } from '../plugin/hooks.ts'
import { startTestEngine, type TestClient, TestClock, type TestEngine } from '../testing.ts'

let engine: TestEngine
let clock: TestClock
beforeEach(async () => {
  guards.clear()
  clock = new TestClock()
  engine = await startTestEngine({ danmakuPerUserBurstMax: 100 }, { clock })
})
afterEach(() => engine.stop())

const enter = async (user: string, encoding: 'json' | 'proto' = 'json') => {
  const client = await engine.connect({ token: await engine.token(user), encoding })
  const joined = await client.ok('room.join', {}, 'demo')
  return { client, joined }
}
const send = (client: TestClient, text: string) => client.call('danmaku.send', { text }, 'demo')
/** One more guard; answers how to take it away. */
const guards = new Set<BoundGuard>()
const set = () => engine.guards.set('danmaku.send', [...guards])
function guard(check: (text: string, user: string) => Verdict | Promise<Verdict>, onFailure: 'open' | 'closed' = 'open') {
  const one: BoundGuard = {
    plugin: `test${guards.size}`,
    order: 1,
    onFailure,
    meters: new HookMeters({ kind: 'guard', on: 'danmaku.send' }),
    check: ({ d, from }) => check((d as { text: string }).text, from.userId),
  }
  guards.add(one)
  set()
  return () => {
    guards.delete(one)
    set()
  }
}
const texts = (client: TestClient) => client.of('danmaku.sent').map((event) => event.d.text)

describe('shadow', () => {
  const shadowTroll = () => guard((_, user) => ({ kind: user === 'troll' ? 'shadow' : 'allow' }))

  it('the sender cannot tell, on all their sessions; nobody else sees anything', async () => {
    shadowTroll()
    const { client: troll } = await enter('troll')
    const { client: phone } = await enter('troll', 'proto')
    const { client: ann } = await enter('ann')
    const { client: guest } = { client: await engine.connect() }
    await guest.ok('room.join', {}, 'demo')
    const honest = await send(ann, 'honest')
    const shadowed = await send(troll, 'nasty')
    // The same shape of answer and of event, name by name.
    const names = (value: unknown): unknown =>
      typeof value === 'object' && value !== null
        ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, names(item)]))
        : typeof value
    expect(names(shadowed)).toEqual(names(honest))
    const own = await troll.next((event) => event.d.text === 'nasty')
    expect(names(own)).toEqual(names(await ann.next((event) => event.d.text === 'honest')))
    await phone.next((event) => event.d.text === 'nasty')
    await send(ann, 'after')
    for (const other of [ann, guest]) {
      await other.next((event) => event.d.text === 'after')
      expect(texts(other)).toEqual(['honest', 'after'])
    }
  })

  it('not after a reload, a resume or a resync; and others never get it that way', async () => {
    const { client: troll, joined } = await enter('troll')
    shadowTroll()
    const { client: ann } = await enter('ann')
    await send(ann, 'one')
    await send(troll, 'nasty')
    await send(ann, 'two')
    const place = { epoch: joined.epoch, seq: joined.seq }
    const snapshotOf = async (user: string, encoding: 'json' | 'proto') =>
      (await enter(user, encoding)).joined.danmaku.map((event: { d: { text: string } }) => event.d.text)
    const resumedBy = async (user: string) => {
      const again = await engine.connect({ token: await engine.token(user) })
      expect(await again.ok('room.join', { resume: place }, 'demo')).toMatchObject({ resumed: true })
      await again.next((event) => event.d.text === 'two')
      return texts(again)
    }
    for (const encoding of ['json', 'proto'] as const) {
      expect(await snapshotOf('troll', encoding)).toEqual(['one', 'nasty', 'two'])
      expect(await snapshotOf('bob', encoding)).toEqual(['one', 'two'])
    }
    expect(await resumedBy('troll')).toEqual(['one', 'nasty', 'two'])
    expect(await resumedBy('bob')).toEqual(['one', 'two'])
  })

  it('under the cap a shadowed sender gets as many messages as any other sender', async () => {
    shadowTroll()
    const { client: troll } = await enter('troll')
    const { client: ann } = await enter('ann')
    const { client: crowd } = await enter('crowd')
    for (let second = 0; second < 5; second++) {
      clock.advance(1_000)
      const sends = Array.from({ length: 60 }, (_, n) => send(crowd, `crowd ${second}.${n}`))
      await Promise.all([...sends, send(troll, `troll ${second}`), send(ann, `ann ${second}`)])
    }
    await Promise.all([troll.roundTrip(), ann.roundTrip()])
    expect(texts(troll).filter((text) => text.startsWith('troll'))).toHaveLength(5)
    expect(texts(ann).filter((text) => text.startsWith('ann'))).toHaveLength(5)
    expect(texts(ann).filter((text) => text.startsWith('troll'))).toEqual([])
    expect(Math.abs(texts(troll).length - texts(ann).length)).toBeLessThanOrEqual(5)
  })

  it('removal of a shadowed message is told to its sender alone, and it cannot be pinned', async () => {
    shadowTroll()
    const { client: troll } = await enter('troll')
    const { client: ann } = await enter('ann')
    const host = await engine.connect({ token: await engine.token('demo_owner') })
    await host.ok('room.join', {}, 'demo')
    const shadowed = await send(troll, 'nasty')
    const { id } = (shadowed as { d: { id: string } }).d
    expect(await host.refused('wall.show', { messageId: id }, 'demo')).toMatchObject({ code: 'message.not_found' })
    await host.ok('danmaku.remove', { userId: 'troll' }, 'demo')
    expect((await troll.next('message.removed')).d).toEqual({ ids: [id] })
    await send(ann, 'after')
    await ann.next((event) => event.d.text === 'after')
    expect(ann.of('message.removed')).toEqual([])
  })

  it('is not counted among the danmaku of the live', async () => {
    shadowTroll()
    const { client: troll } = await enter('troll')
    await send(troll, 'nasty')
    const host = await engine.connect({ token: await engine.token('demo_owner') })
    await host.ok('room.close', {}, 'demo')
    expect((await troll.next('room.closed')).d.stats).toMatchObject({ danmaku: 0 })
  })
})

describe('verdicts that take time', () => {
  it('keep the order of arrival, whichever comes first', async () => {
    const decide = new Map<string, (verdict: Verdict) => void>()
    guard((text) => (text.startsWith('wait') ? new Promise((resolve) => decide.set(text, resolve)) : { kind: 'allow' }))
    const { client: ann } = await enter('ann')
    const { client: bob } = await enter('bob')
    const { client: eve } = await enter('eve')
    const first = send(ann, 'wait 1')
    await ann.roundTrip()
    const second = send(bob, 'wait 2')
    await bob.roundTrip()
    const third = send(eve, 'at once')
    await eve.roundTrip()
    decide.get('wait 2')?.({ kind: 'allow' })
    await bob.roundTrip()
    expect(texts(eve)).toEqual([])
    decide.get('wait 1')?.({ kind: 'allow' })
    const seqs = (await Promise.all([first, second, third])).map((reply) => (reply as { d: { seq: number } }).d.seq)
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b))
    await eve.roundTrip()
    expect(texts(eve)).toEqual(['wait 1', 'wait 2', 'at once'])
  })

  it('a late denial lets the ones behind it pass', async () => {
    let deny = (_: Verdict) => {}
    guard((text) => (text === 'slow' ? new Promise((resolve) => (deny = resolve)) : { kind: 'allow' }))
    const { client: ann } = await enter('ann')
    const { client: bob } = await enter('bob')
    const slow = send(ann, 'slow')
    await ann.roundTrip()
    const quick = send(bob, 'quick')
    await bob.roundTrip()
    deny({ kind: 'deny', code: 'content.rejected' })
    expect(await slow).toMatchObject({ ok: false, err: { code: 'content.rejected' } })
    expect(await quick).toMatchObject({ ok: true })
    await bob.next((event) => event.d.text === 'quick')
    expect(texts(ann)).toEqual(['quick'])
  })
})

describe('guards that fail', () => {
  const broken: Record<string, () => Verdict | Promise<Verdict>> = {
    throws: () => {
      throw new Error('broken')
    },
    rejects: () => Promise.reject(new Error('broken')),
  }
  it.each(Object.entries(broken))('one that %s lets pass when open and refuses when closed', async (_, check) => {
    const { client: ann } = await enter('ann')
    const remove = guard(check, 'open')
    expect(await send(ann, 'one')).toMatchObject({ ok: true })
    remove()
    const removeClosed = guard(check, 'closed')
    expect(await send(ann, 'two')).toMatchObject({ ok: false, err: { code: 'danmaku.unavailable' } })
    removeClosed()
    expect(await send(ann, 'three')).toMatchObject({ ok: true })
  })

  it('deny weighs more than shadow, shadow more than allow', async () => {
    guard(() => ({ kind: 'allow' }))
    guard((text) => ({ kind: text.includes('s') ? 'shadow' : 'allow' }))
    guard((text) => (text.includes('d') ? { kind: 'deny', code: 'content.rejected', msg: 'no d' } : { kind: 'allow' }))
    const { client: ann } = await enter('ann')
    const { client: bob } = await enter('bob')
    expect(await send(ann, 'sd')).toMatchObject({ ok: false, err: { msg: 'no d' } })
    expect(await send(ann, 's')).toMatchObject({ ok: true })
    expect(await send(ann, 'a')).toMatchObject({ ok: true })
    await bob.next((event) => event.d.text === 'a')
    expect(texts(bob)).toEqual(['a'])
  })
})
