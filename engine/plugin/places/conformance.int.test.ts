/** One plugin, three places, one behaviour: inline, in a worker thread, and over a real nats-server. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type NatsServer, startNatsServer } from '../../base/nats-server.ts'
import { type TestClient, TestClock, type TestEngine } from '../../testing.ts'
import type { CommandAsk } from '../define.ts'
import { consumerLimits } from '../events/consumers.ts'
import { Bench, until, untilTrue } from '../fixtures/places.ts'
import { makeProbe } from '../fixtures/probe.ts'
import second from '../fixtures/second.ts'
import sickStart from '../fixtures/sick-start.ts'

let nats: NatsServer
beforeAll(async () => {
  nats = await startNatsServer()
})
afterAll(() => nats.stop())

describe.each(['inline', 'worker', 'remote'] as const)('%s', (place) => {
  let bench: Bench
  let engine: TestEngine
  let clock: TestClock
  let ann: TestClient
  beforeAll(async () => {
    clock = new TestClock()
    bench = await Bench.start(place, nats, clock)
    engine = bench.engine
    await bench.attach('probe', makeProbe())
    await bench.attach('second', second)
  })
  afterAll(() => bench.stop())
  beforeEach(async () => {
    // The failures of one test are not those of the next: windows of breakers and of rates are over.
    clock.advance(20_000)
    ann = await bench.user('ann')
  })
  afterEach(() => ann.close())

  const send = (text: string, client = ann) => client.call('danmaku.send', { text }, 'demo')
  const said = async (text: string, client = ann) =>
    (await client.next((event) => event.t === 'danmaku.sent' && event.d.text === text)).d
  const call = async (name: string, more: object = {}, client = ann) =>
    (await client.ok('x.probe.call', { name, ...more }, 'demo')).result
  const seen = () => ann.ok('x.probe.seen')
  const hook = (kind: string, on: string, plugin = 'probe') =>
    engine.plugins.describe(plugin).hooks.find((one) => one.kind === kind && one.on === on)
  /** What is waited for at a clock that stands still gets its time-out. */
  const pass = async (ms: number, answer: Promise<unknown>, isLate = () => false) => {
    let isOver = false
    void answer.finally(() => {
      isOver = true
    })
    await until(() => {
      if (!isOver && !isLate()) clock.advance(ms)
      if (!isOver) throw new Error('still waiting')
    })
  }
  /** Until the guard has had its time; what is asked after it (a transform) has its own. */
  const passGuard = (on: string, answer: Promise<unknown>) => {
    const timeouts = () => (hook('guard', on) as { timeouts: number }).timeouts
    const before = timeouts()
    return pass(501, answer, () => timeouts() > before)
  }

  it('guards: each verdict, and what is none', async () => {
    expect(await send('fine')).toMatchObject({ ok: true })
    expect(await send('probe=deny')).toMatchObject({ ok: false, err: { code: 'x.probe.no', msg: 'Not here.' } })
    expect(await send('probe=challenge')).toMatchObject({ err: { code: 'risk.challenge_required', d: { hint: 'captcha' } } })
    const bob = await bench.user('bob')
    expect(await send('probe=shadow')).toMatchObject({ ok: true })
    await said('probe=shadow')
    expect(await send('probe=hold:case1')).toMatchObject({ err: { code: 'content.held' } })
    for (const what of ['number', 'bigint', 'foreign', 'text', 'list'])
      expect(await send(`probe=rubbish:${what}`), what).toMatchObject({ ok: true })
    // Twenty answers with two failures among them would open the breaker.
    clock.advance(20_000)
    expect(await send('probe=throw')).toMatchObject({ ok: true })
    expect(await send('probe=reject')).toMatchObject({ ok: true })
    await said('probe=reject', bob)
    expect(bob.of('danmaku.sent').map(({ d }) => d.text)).not.toContain('probe=shadow')
    const counts = hook('guard', 'danmaku.send')
    expect(counts).toMatchObject({ calls: 12, failures: 7, timeouts: 0, policy: 7 })
    expect(counts?.verdicts).toEqual({ allow: 1, deny: 1, shadow: 1, hold: 1, challenge: 1 })
  })

  it('guards: an open one that is late lets pass, a closed one refuses', async () => {
    const { timeouts } = hook('guard', 'danmaku.send') as { timeouts: number }
    const late = send('probe=never')
    await passGuard('danmaku.send', late)
    expect(await late).toMatchObject({ ok: true })
    const closed = ann.call('wall.show', { text: 'probe=never' }, 'demo')
    expect((await closed).ok).toBe(false) // ann may not show anything on the wall
    const operator = await engine.connect({ token: await engine.token('op', { scope: 'operator' }) })
    await operator.ok('room.join', {}, 'demo')
    const refused = operator.call('wall.show', { text: 'probe=never' }, 'demo')
    await passGuard('wall.show', refused)
    expect(await refused).toMatchObject({ err: { code: 'wall.unavailable' } })
    expect(await operator.call('wall.show', { text: 'probe=throw' }, 'demo')).toMatchObject({
      err: { code: 'wall.unavailable' },
    })
    expect(await operator.call('wall.show', { text: 'probe=shadow' }, 'demo')).toMatchObject({
      err: { code: 'wall.unavailable' },
    })
    expect(await operator.call('wall.show', { text: 'shown' }, 'demo')).toMatchObject({ ok: true })
    expect(hook('guard', 'danmaku.send')).toMatchObject({ timeouts: timeouts + 1 })
    expect(hook('guard', 'wall.show')).toMatchObject({ timeouts: 1, failures: 2 })
  })

  it('guards of two plugins: deny over hold over challenge over shadow over allow, the lower order of two denials', async () => {
    const table: [string, object][] = [
      ['probe=deny second=deny', { err: { code: 'x.second.no' } }],
      ['probe=deny second=hold:c1', { err: { code: 'x.probe.no' } }],
      ['probe=challenge second=deny', { err: { code: 'x.second.no' } }],
      ['probe=hold:c2 second=challenge', { err: { code: 'content.held' } }],
      ['probe=shadow second=hold:c3', { err: { code: 'content.held' } }],
      ['probe=shadow second=challenge', { err: { code: 'risk.challenge_required', d: { hint: 'sms' } } }],
      ['probe=challenge second=shadow', { err: { code: 'risk.challenge_required', d: { hint: 'captcha' } } }],
      ['probe=throw second=deny', { err: { code: 'x.second.no' } }],
      ['probe=throw second=shadow', { ok: true }],
      ['nothing', { ok: true }],
    ]
    for (const [text, answer] of table) expect(await send(text), text).toMatchObject(answer)
    expect(ann.of('danmaku.sent').map(({ d }) => d.text)).toEqual(['probe=throw second=shadow', 'nothing'])
  })

  it('order of arrival holds, whatever each guard takes', async () => {
    const texts = [...Array(20).keys()].map((n) => (n % 3 === 0 ? `probe=slow:${40 - n} no${n}` : `no${n}`))
    const bob = await bench.user('bob')
    await Promise.all(texts.map((text) => send(text)))
    await said('no19', bob)
    expect(bob.of('danmaku.sent').map(({ d }) => d.text)).toEqual(texts)
    const seqs = bob.of('danmaku.sent').map(({ seq }) => seq as number)
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b))
  })

  it('transforms: white-listed fields that fit, in order, and nothing else', async () => {
    const before = hook('transform', 'danmaku.send') as { calls: number; failures: number; timeouts: number }
    await send('change=upper twice')
    expect(await said('CHANGE=UPPER TWICE!')).toBeTruthy()
    await send('change=red')
    expect(await said('change=red')).toMatchObject({ color: 0xff0000, mode: 'top' })
    await send('change=extra')
    const extra = await said('change=extra')
    expect(extra).toMatchObject({ size: 's', from: { id: 'ann' } })
    expect(extra).not.toHaveProperty('lane')
    for (const text of ['change=wrong', 'change=rubbish', 'change=throw', 'change=mutate']) {
      expect(await send(text)).toMatchObject({ ok: true })
      expect(await said(text), text).not.toHaveProperty('color', -1)
    }
    const late = send('change=never')
    await pass(501, late)
    await said('change=never')
    const counts = hook('transform', 'danmaku.send')
    expect(counts).toMatchObject({ calls: before.calls + 8, timeouts: before.timeouts + 1 })
    // Rubbish, a throw, and what does not fit the form of a danmaku.
    expect(counts?.failures).toBe(before.failures + 3)
  })

  it('commands: answers, refusals, and every way to fail', async () => {
    const echoed = await ann.ok('x.probe.echo', { text: 'hi' }, 'demo', 'key1')
    expect(echoed).toMatchObject({ text: 'hi', by: 'ann', room: 'demo', ik: 'key1' })
    const refused = (d: object, t = 'x.probe.refuse', client = ann, room = 'demo') => client.refused(t, d, room)
    expect(await refused({ code: 'x.probe.nope' })).toMatchObject({ code: 'x.probe.nope', msg: 'Not today.', retryAfterMs: 500 })
    expect(await refused({ code: 'rate.limited' })).toMatchObject({ code: 'rate.limited' })
    expect(await refused({ code: 'x.second.nope' })).toMatchObject({ code: 'plugin.failed' })
    expect(await refused({ code: 'no code' })).toMatchObject({ code: 'plugin.failed' })
    expect(await refused({ text: 7 }, 'x.probe.echo')).toMatchObject({
      code: 'request.invalid',
      msg: expect.stringContaining('text'),
    })
    expect(await refused({ text: 'a', n: -1 }, 'x.probe.echo')).toMatchObject({ msg: expect.stringContaining('n:') })
    for (const how of ['throw', 'circle', 'large'])
      expect(await refused({ how }, 'x.probe.fail')).toMatchObject({ code: 'plugin.failed' })
    const late = ann.call('x.probe.fail', { how: 'never' }, 'demo')
    await pass(1_001, late)
    expect(await late).toMatchObject({ err: { code: 'plugin.unavailable' } })
    const bob = await bench.user('bob', '')
    const guest = await engine.connect()
    expect(await refused({}, 'x.probe.count', bob)).toMatchObject({ code: 'room.not_joined' })
    await guest.ok('room.join', {}, 'demo')
    expect(await refused({}, 'x.probe.count', guest)).toMatchObject({ code: 'auth.required' })
    expect(await guest.ok('x.probe.open', {}, 'demo')).toEqual({ by: true })
    // The same key is answered from memory.
    expect(await ann.ok('x.probe.count', {}, 'demo', 'same')).toEqual({ n: 1 })
    expect(await ann.ok('x.probe.count', {}, 'demo', 'same')).toEqual({ n: 1 })
    expect(await ann.ok('x.probe.count', {}, 'demo', 'other')).toEqual({ n: 2 })
    expect(await refused({}, 'x.probe.unknown')).toMatchObject({ code: 'request.unknown_command' })
    expect(await refused({ text: 'guarded' }, 'x.probe.echo')).toMatchObject({ code: 'x.second.no' })
    expect(await ann.ok('x.probe.echo', { text: 'free' }, 'demo')).toMatchObject({ text: 'free' })
  })

  it('durable events: at least once, in order, again after a failure, a dead letter in the end, and a replay', async () => {
    const all = async () => (await seen()).events.filter(({ t }: { t: string }) => t === 'wall.shown')
    const before = (await all()).length
    // Never under a delivery: on a busy machine its budget would be over with the pause that was meant.
    const advance = (ms: number) => {
      if (engine.plugins.describe('probe').instances.every(({ underWay }) => underWay === 0)) clock.advance(ms)
    }
    const walls = async () => (await all()).slice(before)
    const counts = () => engine.plugins.describe('probe').events as { dead: number; retried: number }
    const known = { ...counts() }
    for (const text of ['one', 'probe=fail:2', 'three']) expect(await call('wall', { text })).toEqual({ d: null })
    await until(async () => {
      advance(500)
      expect((await walls()).map(({ text, attempt }: { text: string; attempt: number }) => `${text} ${attempt}`)).toEqual([
        'one 1',
        'probe=fail:2 1',
        'probe=fail:2 2',
        'probe=fail:2 3',
        'three 1',
      ])
    })
    await call('wall', { text: 'probe=fail:8' })
    await call('wall', { text: 'last' })
    await until(async () => {
      advance(30_000)
      expect((await walls()).at(-1)).toMatchObject({ text: 'last', attempt: 1 })
    })
    expect((await walls()).filter(({ text }: { text: string }) => text === 'probe=fail:8')).toHaveLength(
      consumerLimits.attemptsMax,
    )
    const { dead, retried } = counts()
    expect(dead - known.dead).toBe(1)
    // Of those 9 are failures of the hook; an instance that is not heard for a second on a busy machine is asked again too.
    expect(retried - known.retried).toBeGreaterThanOrEqual(9)
    const letters = await until(async () => {
      const dead = await engine.store.listDead({ plugin: 'probe', afterId: 0, limit: 10 })
      expect(dead).toHaveLength(known.dead + 1)
      return dead.slice(-1)
    })
    const replay = engine.plugins.consumerOf('probe')?.replay(letters.map(({ id }) => id))
    await pass(30_000, replay ?? Promise.resolve())
    expect(await replay).toMatchObject({ delivered: 0, failed: 1 })
  })

  it('danmaku as they happen, once, but not what is shadowed', async () => {
    const before = (await seen()).events.length
    const known = engine.plugins.describe('probe').live as { delivered: number; failed: number }
    for (const text of ['a', 'probe=shadow', 'b', 'probe=fail:9', 'c']) await send(text)
    await until(async () => {
      const { events } = await seen()
      expect(events.slice(before).map(({ text }: { text: string }) => text)).toEqual(['a', 'b', 'probe=fail:9', 'c'])
    })
    await untilTrue(() => engine.plugins.describe('probe').live?.delivered === known.delivered + 3)
    expect(engine.plugins.describe('probe').live).toMatchObject({ failed: known.failed + 1, dropped: 0 })
  })

  it('schedules: at their times, never stacked', async () => {
    const at = clock.now()
    const before = (await seen()).ticks.length
    const ticks = async () => ((await seen()).ticks as number[]).slice(before).map((tick) => Math.round((tick - at) / 1_000))
    for (const n of [1, 2, 3]) {
      clock.advance(1_000)
      await until(async () => expect(await ticks()).toHaveLength(n))
    }
    const each = await ticks()
    expect(each.map((tick, n) => tick - (each[n - 1] ?? tick - 1))).toEqual([1, 1, 1])
    await engine.plugins.configure('probe', { level: 9 }, 'op')
    await until(async () => expect((await ann.ok('x.probe.echo', { text: '' }, 'demo')).settings.level).toBe(9))
    clock.advance(1_000)
    await until(async () => expect(await ticks()).toHaveLength(4))
    clock.advance(10_000)
    expect(await ticks()).toHaveLength(4)
    await engine.plugins.configure('probe', { level: 1 }, 'op')
    // Given up after 60 s; the next turn is taken again.
    clock.advance(60_000)
    await until(async () => {
      clock.advance(1_000)
      expect((await ticks()).length).toBe(5)
    })
  })

  it('charges: one owner decides; denied, failed, late or rubbish is no', async () => {
    const charge = async (how: string) => {
      const ask: CommandAsk<{ how: string }> = {
        room: 'demo',
        at: clock.now(),
        from: { userId: 'ann', name: 'ann', anonymous: false, ranks: [] },
        d: { how },
      }
      const answer = engine.plugins.charge('gift.send', ask)
      if (how === 'never') await pass(1_001, answer)
      return answer
    }
    expect(await charge('post')).toMatchObject({
      kind: 'post',
      template: {
        valueCoin: 100,
        payFrom: ['u:ann:coin'],
        split: [
          { to: 'host', bps: 5_000 },
          { to: 'guild', bps: 1_000 },
        ],
        contractVersion: 'c1',
        catalogVersion: 'g1',
        show: { name: 'Rose', unitCoin: 100, effectId: '', comboable: true, comboTimeoutMs: 3_000 },
      },
    })
    expect(await charge('deny')).toEqual({ kind: 'deny', code: 'x.probe.poor', msg: 'No coins.' })
    for (const how of ['throw', 'never', 'greedy', 'rubbish'])
      expect(await charge(how), how).toEqual({ kind: 'deny', code: 'plugin.unavailable' })
    const ask = { room: 'demo', at: 0, from: { userId: 'a', name: 'a', anonymous: false, ranks: [] }, d: { how: 'post' } }
    expect(await engine.plugins.charge('superchat.send', ask)).toEqual({ kind: 'deny', code: 'plugin.unavailable' })
  })

  it('routes', async () => {
    const [route] = engine.plugins.routesOf('probe')
    expect(route?.spec).toMatchObject({ on: 'GET /things/:id', summary: 'A thing.' })
    const request = { params: { id: '7' }, query: { all: '1' }, body: undefined, actor: 'op' }
    expect(await engine.plugins.route('probe', route?.index ?? -1, request)).toEqual({
      status: 201,
      body: { id: '7', query: { all: '1' }, actor: 'op' },
    })
  })

  it('settings: defaults, at run time, and those that do not fit leave the old ones', async () => {
    const now = async () => (await ann.ok('x.probe.echo', { text: '' }, 'demo')).settings
    const { settingsVersion: version } = engine.plugins.describe('probe')
    expect(await now()).toEqual({ word: 'bad', level: 1, code: 'a1' })
    expect(await send('word=bad')).toMatchObject({ err: { code: 'content.rejected' } })
    expect(await engine.plugins.configure('probe', { word: 'worse' }, 'op')).toBe(version + 1)
    await until(async () => expect(await now()).toEqual({ word: 'worse', level: 1, code: 'a1' }))
    expect(await send('word=bad')).toMatchObject({ ok: true })
    expect(await send('word=worse')).toMatchObject({ err: { msg: 'The word is worse.' } })
    for (const bad of [{ level: 10 }, { level: 'a' }, { word: 'x'.repeat(21) }, { unknown: 1 }])
      await expect(engine.plugins.configure('probe', bad, 'op')).rejects.toMatchObject({ code: 'plugin.bad_settings' })
    // Patterns are the plugin's own business.
    await engine.plugins.configure('probe', { code: 'nonsense', word: 'other' }, 'op')
    await untilTrue(() => engine.plugins.describe('probe').unfitSettings !== '')
    expect(await now()).toEqual({ word: 'worse', level: 1, code: 'a1' })
    await engine.plugins.configure('probe', { code: 'b2' }, 'op')
    await until(async () => expect(await now()).toEqual({ word: 'other', level: 1, code: 'b2' }))
    expect(engine.plugins.describe('probe')).toMatchObject({ unfitSettings: '', settingsVersion: version + 3 })
    await expect(engine.plugins.configure('probe', { level: 2 }, 'op', 1)).rejects.toThrow(`version ${version + 3}`)
  })

  it('calls: what was declared and granted, as the plugin and nobody else', async () => {
    const bob = await bench.user('bob')
    expect(await call('broadcast', { text: 'hear' })).toEqual({ d: null })
    expect(await bob.next('x.probe.said')).toMatchObject({ d: { text: 'hear' }, room: 'demo' })
    expect(await call('notify', { user: 'bob', text: 'psst' })).toEqual({ d: null })
    expect(await bob.next('x.probe.said')).toMatchObject({ d: { text: 'psst' } })
    expect(ann.of('x.probe.said')).toHaveLength(1)
    expect(await call('get')).toEqual({ d: { first: 'Livehouse demo', again: 'Livehouse demo', state: 'open' } })
    expect((await call('list')).d).toMatchObject([{ id: 'demo' }])
    expect((await call('counters')).d).toMatchObject({ likes: 0, online: expect.anything() })
    expect(await call('update', { text: 'New title' })).toEqual({ d: null })
    expect((await call('get')).d.first).toBe('New title')
    expect(await call('settings', { n: 5_000 })).toEqual({ d: null })
    expect(await call('settings', { n: 0 })).toEqual({ d: null })
    expect((await call('post', { text: 'from a bot' })).d).toMatchObject({ id: expect.any(String) })
    expect(await said('from a bot', bob)).toMatchObject({ from: { bot: true } })
    expect(await call('wall', { text: 'on the wall' })).toEqual({ d: null })
    await send('probe=hold:case_a')
    await send('probe=hold:case_b')
    expect(await call('release', { text: 'case_a' })).toEqual({ d: null })
    await said('probe=hold:case_a', bob)
    expect(await call('reject', { text: 'case_b' })).toEqual({ d: null })
    await ann.next('message.rejected')
    expect(await call('release', { text: 'case_b' })).toMatchObject({ kind: 'CallError', code: 'message.not_found' })
    expect(await call('mute', { user: 'bob' })).toEqual({ d: null })
    expect(await send('hello', bob)).toMatchObject({ err: { code: 'chat.muted' } })
    expect(await call('kick', { user: 'bob' })).toEqual({ d: null })
  })

  it('calls: nothing beyond that', async () => {
    for (const name of ['undeclared', 'foreign', 'takedown'])
      expect(await call(name, { text: 'x' }), name).toMatchObject({ kind: 'CallError', code: 'call.undeclared' })
    expect(await call('bigint')).toBeTruthy()
    expect(await call('large', { n: 17_000 })).toMatchObject({ code: 'request.too_large' })
    expect(await call('wall', { text: '' })).toMatchObject({ kind: 'CallError' })
    let refused = 0
    for (let n = 0; n < 25; n++) if ((await call('loud', { n })).code === 'rate.limited') refused++
    expect(refused).toBe(5)
    expect(await call('broadcast', { text: 'still works' })).toEqual({ d: null })
  })

  it('events that cause events end after four plugins', async () => {
    const dead = (plugin: string) => engine.plugins.describe(plugin).events?.dead ?? 0
    const before = { probe: dead('probe'), second: dead('second') }
    expect(await call('ping', { n: 0 })).toEqual({ d: null })
    await ann.next((event) => event.t === 'x.second.pong' && event.d.n === 3)
    // Refused at the end of the chain, again at each attempt, one that comes late too.
    await until(async () => {
      clock.advance(1_000)
      expect({ probe: dead('probe'), second: dead('second') }).toEqual({ ...before, probe: before.probe + 1 })
    })
    const chain = ann.events.filter(({ t }) => t === 'x.probe.ping' || t === 'x.second.pong').map(({ t, d }) => `${t} ${d.n}`)
    expect(chain).toEqual(['x.probe.ping 0', 'x.second.pong 1', 'x.probe.ping 2', 'x.second.pong 3'])
  })

  it('own tables, numbers and log', async () => {
    expect(await ann.ok('x.probe.note', { name: 'a' }, 'demo')).toEqual({ times: 1 })
    expect(await ann.ok('x.probe.note', { name: 'a' }, 'demo')).toEqual({ times: 2 })
    const page = await engine.metrics.text()
    expect(page).toContain('livehouse_plugin_own_total{plugin="probe",name="notes"} 2')
    expect(page).toMatch(/livehouse_plugin_hook_calls_total\{plugin="probe",hook="command x.probe.note"\} 2/)
    expect(page).toContain('livehouse_plugins 2')
  })

  it('is started once, and one that does not start changes nothing', async () => {
    expect(await seen()).toMatchObject({ starts: 1, stops: 0 })
    const sick = bench.attach('sick-start', sickStart)
    if (place === 'remote') {
      sick.catch(() => {})
      // It comes again and again.
      await untilTrue(() => engine.plugins.describe('probe').instances.length === 1)
      await new Promise((resolve) => setImmediate(resolve))
    } else await expect(sick).rejects.toThrow(/sick from the start/)
    expect(engine.plugins.describe('probe')).toMatchObject({ version: '1.0.0', state: 'attached' })
    expect(await send('probe=deny')).toMatchObject({ err: { code: 'x.probe.no' } })
    expect(await seen()).toMatchObject({ starts: 1, stops: 0 })
  })

  it('detached: its commands and guards are gone, in one turn', async () => {
    await engine.plugins.detach('probe', 'op')
    expect(await send('probe=deny')).toMatchObject({ ok: true })
    expect(await ann.refused('x.probe.count', {}, 'demo')).toMatchObject({ code: 'request.unknown_command' })
    expect(
      engine.plugins.list().filter(({ state }) => state !== 'attached' && state !== 'detached' && state !== 'pending'),
    ).toEqual([])
  })
})
