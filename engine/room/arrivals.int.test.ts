/** Guards on what is no danmaku, what plugins tell those who come late, and joins that have to wait for either. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { subjects } from '../../schemas/subjects.ts'
import { HookMeters } from '../plugin/checks/meters.ts'
import type { Ask } from '../plugin/define.ts'
import { allow, deny, type Json, type Verdict } from '../plugin/hooks.ts'
import { startTestEngine, type TestEngine } from '../testing.ts'
import { imbalance } from './account.ts'
import type { RoomEvent } from './event.ts'
import type { Home } from './home.ts'

let engine: TestEngine
beforeEach(async () => {
  engine = await startTestEngine()
})
afterEach(() => engine.stop())

function guard(on: string, check: (ask: Ask<unknown>) => unknown, onFailure: 'open' | 'closed' = 'closed') {
  const meters = new HookMeters({ kind: 'guard', on })
  engine.guards.set(on, [{ plugin: 'gate', order: 1, onFailure, meters, check }])
  return meters
}
/** Each question waits; `answers` are in the order of asking. */
function slowGuard(on: string) {
  const answers: ((verdict: Verdict) => void)[] = []
  guard(on, () => new Promise((resolve) => answers.push(resolve)))
  return answers
}
function tell(plugin: string, order: number, check: () => Json | undefined | Promise<Json>) {
  const meters = new HookMeters({ kind: 'transform', on: 'room.join' })
  const run = () => {
    const ext = check()
    return ext instanceof Promise ? ext.then((late) => ({ ext: late })) : { ext }
  }
  return { plugin, order, meters, check: run }
}
const setTold = (...told: ReturnType<typeof tell>[]) => engine.plugins.transforms.set('room.join', told)
const connect = async (user: string, encoding: 'json' | 'proto' = 'json') =>
  engine.connect({ token: await engine.token(user), encoding })
const members = () => engine.homes.find('demo')?.presence.members.size
const until = (answers: unknown[], count: number) => expect.poll(() => answers.length).toBe(count)

describe('guards', () => {
  const byOwner: [string, object, object][] = [
    ['room.update', { title: 'new' }, { title: 'new' }],
    ['room.set_settings', { slowModeMs: 1_000 }, { slowModeMs: 1_000 }],
    ['room.open', {}, {}],
    ['wall.show', { text: 'pinned' }, { text: 'pinned' }],
  ]
  it.each(byOwner)('%s: refused with the code, allowed when the guard is gone, asked only after rights', async (t, d, seen) => {
    const asked: Ask<unknown>[] = []
    const owner = await connect('demo_owner')
    if (t === 'room.open') await owner.ok('room.close', {}, 'demo')
    const meters = guard(t, (ask) => {
      asked.push(ask)
      return deny('x.gate.no', 'not today')
    })
    expect(await owner.refused(t, d, 'demo')).toMatchObject({ code: 'x.gate.no', msg: 'not today' })
    expect(asked).toMatchObject([{ room: 'demo', from: { userId: 'demo_owner', ranks: ['owner'] }, d: seen }])
    const ann = await connect('ann')
    expect(await ann.refused(t, d, 'demo')).toMatchObject({ code: 'perm.denied' })
    expect(meters).toMatchObject({ calls: 1, deny: 1 })
    engine.guards.set(t, [])
    await owner.ok(t, d, 'demo')
  })

  it.each(byOwner)('%s: one that is closed and fails refuses, one that is open lets pass and is tagged', async (t, d) => {
    const broken = () => Promise.reject(new Error('broken'))
    const owner = await connect('demo_owner')
    if (t === 'room.open') await owner.ok('room.close', {}, 'demo')
    else await owner.ok('room.join', {}, 'demo')
    guard(t, broken)
    expect(await owner.refused(t, d, 'demo')).toMatchObject({ code: `${t.split('.')[0]}.unavailable` })
    guard(t, broken, 'open')
    const home = engine.homes.find('demo')
    const seen: RoomEvent[] = []
    if (home) home.parts.onCommitted = (_, events) => void seen.push(...events)
    await owner.ok(t, d, 'demo')
    expect(seen.find(({ lane }) => lane === 'high')).toMatchObject({ unchecked: ['gate'], hops: 0 })
  })

  it('a role that is taken away while a guard thinks is gone', async () => {
    const owner = await connect('demo_owner')
    await owner.ok('room.grant_role', { userId: 'con', role: 'controller' }, 'demo')
    const answers = slowGuard('room.update')
    const con = await connect('con')
    const update = con.call('room.update', { title: 'mine' }, 'demo')
    await until(answers, 1)
    await owner.ok('room.revoke_role', { userId: 'con', role: 'controller' }, 'demo')
    answers[0]?.(allow)
    expect(await update).toMatchObject({ err: { code: 'perm.denied' } })
  })

  it('room.create is asked without a room, and a refused one leaves none behind', async () => {
    const asked: Ask<unknown>[] = []
    guard('room.create', async (ask) => {
      asked.push(ask)
      return (ask.d as { title: string }).title === 'bad' ? deny('content.rejected') : allow
    })
    const streamer = await engine.connect({ token: await engine.token('sam', { scope: 'streamer' }) })
    const room = { roomId: 'sams', title: 'bad' }
    expect(await streamer.refused('room.create', room)).toMatchObject({ code: 'content.rejected' })
    expect(await streamer.refused('room.join', {}, 'sams')).toMatchObject({ code: 'room.not_found' })
    expect(await streamer.ok('room.create', { ...room, title: 'good' })).toMatchObject({ room: { id: 'sams' } })
    expect(asked[0]).toMatchObject({ room: '', from: { userId: 'sam' }, d: room })
    expect(await (await connect('ann')).refused('room.create', room)).toMatchObject({ code: 'perm.denied' })
    expect(asked).toHaveLength(2)
  })
})

describe('session.open', () => {
  it('is asked with what the client said of itself and never the token; the code reaches the client, who may try again', async () => {
    const asked: Ask<unknown>[] = []
    guard('session.open', async (ask) => {
      asked.push(ask)
      return ask.from.userId === 'bad' ? deny('x.gate.banned', 'go away') : allow
    })
    const client = await engine.connect({ open: false })
    const before = engine.edge.counts.refused
    const bad = { token: await engine.token('bad', { scope: 'patrol' }), platform: 'web', deviceId: 'd1' }
    expect(await client.refused('session.open', bad)).toMatchObject({ code: 'x.gate.banned', msg: 'go away' })
    expect(engine.edge.counts.refused).toBe(before + 1)
    expect(engine.edge.users).toBe(0)
    expect(await client.refused('room.join', {}, 'demo')).toMatchObject({ code: 'session.not_open' })
    expect(await client.ok('session.open', { token: await engine.token('good') })).toMatchObject({ userId: 'good' })
    await engine.connect()
    expect(asked).toMatchObject([
      { room: '', from: { userId: 'bad', ranks: ['patrol'] }, d: { platform: 'web', deviceId: 'd1', anonymous: false } },
      { from: { userId: 'good', ranks: [] }, d: { anonymous: false } },
      { from: { anonymous: true }, d: { anonymous: true } },
    ])
    expect(JSON.stringify(asked)).not.toContain(bad.token)
  })

  it('a socket that closes meanwhile opens nothing', async () => {
    const answers = slowGuard('session.open')
    const client = await engine.connect({ open: false })
    client.call('session.open', { token: await engine.token('ann') }).catch(() => {})
    await until(answers, 1)
    await client.close()
    await expect.poll(() => engine.edge.connections).toBe(0)
    answers[0]?.(allow)
    engine.guards.set('session.open', [])
    await (await connect('bob')).roundTrip()
    expect(engine.edge.users).toBe(1)
    expect(engine.edge.sessionsOf('ann')).toEqual([])
  })

  it('the bound on sessions of a user holds for those that wait side by side', async () => {
    await engine.stop()
    engine = await startTestEngine({ sessionsPerUserMax: 1 })
    const answers = slowGuard('session.open')
    const token = await engine.token('ann')
    const clients = [await engine.connect({ open: false }), await engine.connect({ open: false })]
    const opens = clients.map((client) => client.call('session.open', { token }))
    await until(answers, 2)
    for (const answer of answers) answer(allow)
    const ok = (await Promise.all(opens)).map((reply) => reply.ok)
    expect(ok.toSorted()).toEqual([false, true])
    expect(engine.edge.sessionsOf('ann')).toHaveLength(1)
  })
})

describe('joins that wait', () => {
  it('a denied one is not counted in', async () => {
    guard('room.join', ({ d }) => ((d as { source?: string }).source === 'bad' ? deny('room.full') : allow))
    const ann = await connect('ann')
    expect(await ann.refused('room.join', { source: 'bad' }, 'demo')).toMatchObject({ code: 'room.full' })
    expect(members()).toBe(0)
    await ann.ok('room.join', { source: 'good' }, 'demo')
    expect(members()).toBe(1)
  })

  it('a session that is gone by then is not counted in, nor is one whose edge gave up', async () => {
    await engine.stop()
    engine = await startTestEngine({ requestTimeoutMs: 100 })
    const answers = slowGuard('room.join')
    const gone = await connect('gone')
    gone.call('room.join', {}, 'demo').catch(() => {})
    await until(answers, 1)
    await gone.close()
    const late = await connect('late')
    expect(await late.refused('room.join', {}, 'demo')).toMatchObject({ code: 'room.unavailable' })
    await until(answers, 2)
    await expect.poll(() => engine.edge.relay.rooms).toBe(0)
    for (const answer of answers) answer(allow)
    engine.guards.set('room.join', [])
    await (await connect('bob')).ok('room.join', {}, 'demo')
    expect(members()).toBe(1)
    await late.ok('room.join', {}, 'demo')
    expect(members()).toBe(2)
    expect(imbalance(engine.accounts.of('demo'))).toEqual([0, 0, 0])
  })

  it('two of one session: one that was left behind does not count, the one after it does', async () => {
    const answers = slowGuard('room.join')
    const session = { sid: 's1', edge: 'far', encoding: 'json' as const }
    const actor = { userId: 'ann', name: 'Ann', anonymous: false, scope: [] }
    const far = (t: string) => engine.homes.call('demo', { t, d: {}, actor, session })
    const first = far('room.join')
    const left = await far('room.leave')
    const [second, third] = [far('room.join'), far('room.join')]
    expect(left).toMatchObject({ ok: true })
    for (const answer of answers) answer(allow)
    expect(await first).toMatchObject({ err: { code: 'room.not_joined' } })
    expect(await Promise.all([second, third])).toMatchObject([{ ok: true }, { ok: true }])
    expect(members()).toBe(1)
    await far('room.leave')
    expect(members()).toBe(0)
  })

  it('who is banned meanwhile stays out; a closed room too', async () => {
    const answers = slowGuard('room.join')
    const [ann, bob, owner] = [await connect('ann'), await connect('bob'), await connect('demo_owner')]
    const first = ann.call('room.join', {}, 'demo')
    await until(answers, 1)
    await owner.ok('room.kick', { userId: 'ann', banMs: -1 }, 'demo')
    answers[0]?.(allow)
    expect(await first).toMatchObject({ err: { code: 'room.kicked' } })
    const second = bob.call('room.join', {}, 'demo')
    await until(answers, 2)
    await owner.ok('room.close', {}, 'demo')
    answers[1]?.(allow)
    expect(await second).toMatchObject({ err: { code: 'room.closed' } })
    expect(members()).toBe(0)
  })
})

describe('a join that the bus brings twice', () => {
  /** The next join comes again, right behind itself. */
  function repeatNext() {
    const { bus } = (engine.homes.find('demo') as Home).parts
    const subject = subjects.roomCommand('demo')
    const stop = bus.subscribe(subject, ({ head }) => {
      if ((head as { t: string }).t !== 'room.join') return
      stop()
      bus.publish(subject, { head })
    })
  }

  it('the first is refused: whoever the second lets in is not left behind in the room', async () => {
    const answers = slowGuard('room.join')
    const ann = await connect('ann')
    repeatNext()
    const joining = ann.call('room.join', {}, 'demo')
    await until(answers, 2)
    answers[0]?.(deny('room.closed'))
    expect(await joining).toMatchObject({ err: { code: 'room.closed' } })
    answers[1]?.(allow)
    await expect.poll(() => engine.edge.relay.rooms).toBe(0)
    expect(members()).toBe(0)
  })

  it('the first is let in and sent out: the second does not come in by itself', async () => {
    const owner = await connect('demo_owner')
    await owner.ok('room.join', {}, 'demo')
    const answers = slowGuard('room.join')
    const ann = await connect('ann')
    repeatNext()
    const joining = ann.call('room.join', {}, 'demo')
    await until(answers, 2)
    answers[0]?.(allow)
    expect(await joining).toMatchObject({ ok: true })
    await owner.ok('room.kick', { userId: 'ann', banMs: 0 }, 'demo')
    await ann.closed
    answers[1]?.(allow)
    engine.guards.set('room.join', [])
    await (await connect('bob')).ok('room.join', {}, 'demo')
    expect(members()).toBe(2)
  })
})

describe('a session that its home has forgotten comes in again', () => {
  /** Until the guard is asked about it. */
  async function comingBack() {
    const ann = await connect('ann')
    await ann.ok('room.join', {}, 'demo')
    const answers = slowGuard('room.join')
    const [member] = engine.edge.sessionsOf('ann')[0]?.members ?? []
    engine.homes.find('demo')?.leave(member?.session.sid ?? '')
    if (member) engine.edge.relay.resync(member)
    await until(answers, 1)
    return { ann, answers }
  }

  it('and is back, with the state of now', async () => {
    const { ann, answers } = await comingBack()
    answers[0]?.(allow)
    expect((await ann.next('room.resynced')).d.snapshot).toMatchObject({ me: { userId: 'ann' } })
    expect(members()).toBe(1)
  })

  it('a leave meanwhile is heard, and nothing brings it back', async () => {
    const { ann, answers } = await comingBack()
    await ann.ok('room.leave', {}, 'demo')
    answers[0]?.(allow)
    await ann.roundTrip()
    await expect.poll(() => engine.edge.relay.rooms).toBe(0)
    expect(members()).toBe(0)
    expect(await ann.refused('room.leave', {}, 'demo')).toMatchObject({ code: 'room.not_joined' })
    expect(ann.events.some(({ t }) => t === 'room.resynced')).toBe(false)
  })

  it.each([
    ['the old one first', [0, 1]],
    ['the new one first', [1, 0]],
  ])('a leave and a join meanwhile: in once, by the join; %s', async (_, order) => {
    const { ann, answers } = await comingBack()
    await ann.ok('room.leave', {}, 'demo')
    const joining = ann.call('room.join', {}, 'demo')
    await until(answers, 2)
    for (const at of order) answers[at]?.(allow)
    expect(await joining).toMatchObject({ ok: true })
    await ann.ok('danmaku.send', { text: 'here' }, 'demo')
    expect(members()).toBe(1)
    expect(engine.edge.sessionsOf('ann')[0]).toMatchObject({ joining: 0, members: [{}] })
    expect(ann.events.some(({ t }) => t === 'room.resynced')).toBe(false)
    await ann.ok('room.leave', {}, 'demo')
    expect(members()).toBe(0)
    expect(imbalance(engine.accounts.of('demo'))).toEqual([0, 0, 0])
  })

  it('a room that it comes back to counts against the bound, once', async () => {
    await engine.stop()
    engine = await startTestEngine({ roomsPerSessionMax: 1 })
    const { ann, answers } = await comingBack()
    expect(await ann.refused('room.join', {}, 'another')).toMatchObject({ code: 'room.too_many' })
    const joining = ann.call('room.join', {}, 'demo')
    await until(answers, 2)
    for (const answer of answers) answer(allow)
    expect(await joining).toMatchObject({ ok: true })
    expect(members()).toBe(1)
  })
})

describe('what plugins tell those who come late', () => {
  it.each(['json', 'proto'] as const)('comes with the snapshot in %s, by order, and with a resync', async (encoding) => {
    setTold(
      tell('poll', 2, () => ({ open: true, q: '谁?' })),
      tell('trivia', 1, async () => [1, 2]),
    )
    const ann = await connect('ann', encoding)
    const ext = [
      { plugin: 'trivia', json: '[1,2]' },
      { plugin: 'poll', json: '{"open":true,"q":"谁?"}' },
    ]
    const joined = await ann.ok('room.join', {}, 'demo')
    expect(joined).toMatchObject({ room: { id: 'demo' }, me: { userId: 'ann' }, ext })
    const [member] = engine.edge.sessionsOf('ann')[0]?.members ?? []
    if (member) engine.edge.relay.resync(member)
    expect((await ann.next('room.resynced')).d.snapshot).toMatchObject({ resync: true, ext })
  })

  it('a complete resume asks nobody, one that fell behind gets all', async () => {
    const poll = tell('poll', 1, () => 'state')
    setTold(poll)
    const ann = await connect('ann')
    const { epoch, seq } = await ann.ok('room.join', {}, 'demo')
    const again = await connect('ann')
    expect(await again.ok('room.join', { resume: { epoch, seq } }, 'demo')).toMatchObject({ resumed: true })
    expect(poll.meters.calls).toBe(1)
    const other = await connect('bob')
    const reply = await other.ok('room.join', { resume: { epoch: epoch + 1, seq } }, 'demo')
    expect(reply).toMatchObject({ resync: true, ext: [{ plugin: 'poll', json: '"state"' }] })
  })

  it('too large, broken or nothing at all is left out, and costs nobody the join', async () => {
    const told = [
      tell('large', 1, () => 'x'.repeat(16_384)),
      tell('circular', 2, () => {
        const me: Record<string, unknown> = {}
        me['me'] = me
        return me as Json
      }),
      tell('throws', 3, () => {
        throw new Error('broken')
      }),
      tell('rejects', 4, () => Promise.reject(new Error('broken'))),
      tell('quiet', 5, () => undefined),
      tell('fits', 6, () => 'x'.repeat(16_382)),
    ]
    setTold(...told)
    const { ext } = await (await connect('ann')).ok('room.join', {}, 'demo')
    expect(ext.map(({ plugin }: { plugin: string }) => plugin)).toEqual(['fits'])
    expect(told.map(({ meters }) => meters.failures)).toEqual([1, 1, 1, 1, 0, 0])
  })

  it('a session that leaves while they think is not counted in', async () => {
    let answer = (_: Json) => {}
    const slow = tell('slow', 1, () => new Promise<Json>((resolve) => (answer = resolve)))
    setTold(slow)
    const gone = await connect('gone')
    gone.call('room.join', {}, 'demo').catch(() => {})
    await expect.poll(() => slow.meters.calls).toBe(1)
    await gone.close()
    await expect.poll(() => engine.edge.connections).toBe(0)
    answer('late')
    setTold()
    await (await connect('bob')).ok('room.join', {}, 'demo')
    await expect.poll(members).toBe(1)
  })
})
