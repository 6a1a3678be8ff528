/** Commands that plugins own, and private events, over real sockets in both encodings: the way there, the way back, and what is refused. */
import { afterEach, describe, expect, it } from 'vitest'
import { subjects } from '../../schemas/subjects.ts'
import { type Encoding, encodings } from '../../schemas/wire.ts'
import { LocalBus } from '../base/bus.ts'
import { SystemClock } from '../base/clock.ts'
import { idSource, systemRandom } from '../base/random.ts'
import { type ClientState, connect, RefusedError } from '../client/node.ts'
import { type Config, configFrom } from '../config.ts'
import { Guards } from '../plugin/checks/guards.ts'
import { Transforms } from '../plugin/checks/transforms.ts'
import { DeliveryAccounts } from '../room/account.ts'
import { accept, type Call, refuse } from '../room/call.ts'
import type { PluginCommand, PluginCommands } from '../room/commands.ts'
import { RoomEvent } from '../room/event.ts'
import type { Home } from '../room/home.ts'
import { newMeters } from '../room/home-parts.ts'
import { Homes } from '../room/homes.ts'
import { Scheduler } from '../room/scheduler.ts'
import { openStoreInline } from '../room/store.ts'
import { TestClient } from '../testing.ts'
import { Addresses } from './addresses.ts'
import { Edge } from './edge.ts'
import { Gateway } from './gateway.ts'
import type { UserEventHead } from './private.ts'
import { besideInFlightMax } from './session.ts'
import { signToken } from './tokens.ts'

type Run = (call: Call, home: Home | undefined) => void

/** A table of commands as a host of plugins keeps one. */
class Table implements PluginCommands {
  readonly owned = new Map<string, PluginCommand & { run: Run }>()
  readonly calls: Call[] = []
  add(name: string, rule: Partial<PluginCommand>, run: Run): void {
    this.owned.set(name, { room: true, who: 'user', joined: false, ...rule, run })
  }
  find(name: string) {
    return this.owned.get(name)
  }
  names() {
    return this.owned.keys()
  }
  run(call: Call, home: Home | undefined): void {
    this.calls.push(call)
    this.owned.get(call.t)?.run(call, home)
  }
}

const clock = new SystemClock()
const secret = new TextEncoder().encode('a secret of at least thirty-two bytes')
const operator = { userId: 'engine', name: 'Engine', anonymous: false, scope: ['operator'] }
let stops: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function start(options: Partial<Config> = {}) {
  const config = configFrom({ port: 0, demoRoom: '', drainMs: 0, ...options })
  const faults: unknown[] = []
  const onError = (error: unknown) => void faults.push(error)
  const newId = idSource(systemRandom)
  const [bus, accounts, table] = [new LocalBus(clock, onError), new DeliveryAccounts(), new Table()]
  const store = openStoreInline({ file: ':memory:', roomsMax: config.roomsMax })
  const scheduler = new Scheduler(clock, onError)
  const meters = newMeters()
  const hooks = {
    guards: new Guards(onError),
    transforms: new Transforms(onError),
    plugins: table,
    billing: undefined,
    onCommitted() {},
  }
  const homes = new Homes({ clock, newId, bus, store, config, scheduler, accounts, meters, onError, ...hooks })
  await homes.start()
  const addresses = new Addresses(clock, { connectionsMax: 1_000, connectsPerSMax: 1_000 })
  const gateway: Gateway = new Gateway({
    ...config,
    addresses,
    admit: () => edge.admit(),
    onSocket: (socket) => edge.onSocket(socket),
    onError,
  })
  const edge: Edge = new Edge({
    edgeId: 'local',
    config,
    clock,
    random: systemRandom,
    newId,
    bus,
    fanout: gateway,
    accounts,
    plugins: table,
    guards: hooks.guards,
    secret,
    onError,
  })
  await gateway.listen()
  const url = `ws://127.0.0.1:${gateway.port}/live`
  const token = (sub: string) => signToken(secret, { sub, ttlMs: 600_000 }, clock.now())
  const clients: TestClient[] = []
  stops = [
    () => scheduler.stop(),
    () => store.close(),
    () => bus.close(),
    () => homes.stop(),
    async () => {
      gateway.stopListening()
      await edge.drain()
    },
    () => {
      for (const client of clients) client.drop()
    },
  ]
  const user = async (sub: string | undefined, encoding: Encoding, open = true) => {
    const client = await TestClient.connect(url, encoding)
    clients.push(client)
    if (open) await client.ok('session.open', sub === undefined ? {} : { token: await token(sub) })
    return client
  }
  for (const t of ['room.create', 'room.open'])
    await homes.call(t === 'room.create' ? undefined : 'demo', {
      t,
      d: t === 'room.create' ? { roomId: 'demo', ownerId: 'host', title: 'Demo' } : {},
      actor: operator,
    })
  return { bus, edge, homes, table, faults, url, token, user }
}

/** Votes are counted, one answer for each. */
function addPoll(table: Table): { votes: number } {
  const poll = { votes: 0 }
  table.add('x.poll.vote', { joined: true }, (call, home) =>
    accept(call, { votes: ++poll.votes, room: home?.id, by: call.actor.userId, d: call.d }),
  )
  table.add('x.poll.list', { room: false, who: 'anyone' }, (call, home) => accept(call, [home === undefined, call.d]))
  table.add('x.poll.close', {}, (call) =>
    refuse(call, 'x.poll.closed', { msg: 'The poll is over.', retryAfterMs: 50, d: { hint: 'next' } }),
  )
  table.add('x.poll.break', {}, () => {
    throw new Error('a bug of the host')
  })
  table.add('vote.cast', { room: false }, (call) => accept(call, { ok: 1 }))
  return poll
}

describe.each(encodings)('%s: commands of plugins', (encoding) => {
  it('reach their owner with the sender, the room and the body, and are answered with what the owner says', async () => {
    const { table, user } = await start()
    addPoll(table)
    const ann = await user('ann', encoding)
    await ann.ok('room.join', {}, 'demo')
    const d = { option: '谁 😀', of: [1, 2.5, null, { deep: true }] }
    expect(await ann.ok('x.poll.vote', d, 'demo')).toEqual({ votes: 1, room: 'demo', by: 'ann', d })
    expect(await ann.ok('x.poll.vote', undefined, 'demo')).toEqual({ votes: 2, room: 'demo', by: 'ann', d: {} })
    expect(await ann.ok('vote.cast')).toEqual({ ok: 1 })
    // No room: an answer of any kind, and a room that was named all the same is not asked.
    const guest = await user(undefined, encoding)
    expect(await guest.ok('x.poll.list', { n: 1 })).toEqual([true, { n: 1 }])
    expect(await guest.ok('x.poll.list', {}, 'no_such_room')).toEqual([true, {}])
  })

  it('have one effect with a key, in a room and without', async () => {
    const { table, user } = await start()
    const poll = addPoll(table)
    const ann = await user('ann', encoding)
    await ann.ok('room.join', {}, 'demo')
    for (const replayed of [undefined, true]) {
      const reply = await ann.call('x.poll.vote', { option: 'a' }, 'demo', 'key1')
      expect(reply).toMatchObject({ ok: true, d: { votes: 1 } })
      expect((reply as { replayed?: boolean }).replayed).toBe(replayed)
    }
    expect(await ann.refused('x.poll.vote', { option: 'b' }, 'demo', 'key1')).toMatchObject({ code: 'idem.conflict' })
    expect(poll.votes).toBe(1)
    await ann.ok('vote.cast', {}, undefined, 'key2')
    expect(await ann.call('vote.cast', {}, undefined, 'key2')).toMatchObject({ ok: true, replayed: true })
    expect(table.calls.filter(({ t }) => t === 'vote.cast')).toHaveLength(1)
  })

  it('are refused in the words of their owner, and a fault on the way is ours', async () => {
    const { table, faults, user } = await start()
    addPoll(table)
    const ann = await user('ann', encoding)
    expect(await ann.refused('x.poll.close', {}, 'demo')).toEqual({
      code: 'x.poll.closed',
      msg: 'The poll is over.',
      retryAfterMs: 50,
      d: { hint: 'next' },
    })
    expect(await ann.refused('x.poll.break', {}, 'demo', 'key')).toMatchObject({ code: 'plugin.failed' })
    expect(String(faults)).toContain('a bug of the host')
    // Its key is free again.
    expect(await ann.refused('x.poll.break', {}, 'demo', 'key')).toMatchObject({ code: 'plugin.failed' })
    expect(await ann.refused('x.poll.close', {}, 'nowhere')).toMatchObject({ code: 'room.not_found' })
  })

  it('ask of the sender what they declare', async () => {
    const { table, user } = await start()
    addPoll(table)
    const closed = await user('eve', encoding, false)
    expect(await closed.refused('x.poll.list')).toMatchObject({ code: 'session.not_open' })
    const guest = await user(undefined, encoding)
    await guest.ok('room.join', {}, 'demo')
    expect(await guest.refused('x.poll.vote', {}, 'demo')).toMatchObject({ code: 'auth.required' })
    const ann = await user('ann', encoding)
    expect(await ann.refused('x.poll.vote', {}, 'demo')).toMatchObject({ code: 'room.not_joined' })
    for (const room of [undefined, 'a.b', 'a b', '*'])
      expect(await ann.refused('x.poll.vote', {}, room)).toMatchObject({ code: 'request.invalid', d: { field: 'room' } })
    expect(await ann.refused('x.poll.vot', {}, 'demo')).toMatchObject({
      code: 'request.unknown_command',
      d: { hint: 'x.poll.vote' },
    })
    for (const t of ['engine.room.get', 'edge.resync', '__proto__', 'constructor'])
      expect(await ann.refused(t, {}, 'demo'), t).toMatchObject({ code: 'request.unknown_command' })
    expect(table.calls).toEqual([])
  })

  it('never see a body that is no object', async () => {
    const { table, user } = await start({ inboundFrameBytesMax: 16_384 })
    addPoll(table)
    const ann = await user('ann', encoding)
    await ann.ok('room.join', {}, 'demo')
    const hostile = [
      [],
      [{}],
      7,
      'text',
      true,
      JSON.parse('{"__proto__":{"role":"admin"}}'),
      { a: [JSON.parse('{"__proto__":1}')] },
    ]
    for (const d of hostile)
      expect(await ann.refused('x.poll.vote', d, 'demo'), JSON.stringify(d)).toMatchObject({ code: 'request.invalid' })
    const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) })
    expect(await ann.refused('x.poll.list', nested(500))).toMatchObject({ code: 'request.malformed' })
    expect(table.calls).toEqual([])
    expect(await ann.ok('x.poll.list', nested(6))).toEqual([true, nested(6)])
    // Whatever else an object holds is for the plugin's own schema.
    expect(await ann.ok('x.poll.list', { text: 'x'.repeat(10_000), constructor: 1 })).toMatchObject([true, { constructor: 1 }])
    const sent = ann.call('x.poll.list', { text: 'x'.repeat(20_000) }).catch(() => {})
    expect(await ann.closed).toMatchObject({ code: 4504 })
    await sent
    expect(ann.replies.at(-1)).toMatchObject({ ok: false, err: { code: 'request.too_large' } })
  })

  it('a slow one holds up nobody else; more than eight of a session wait for no answer', async () => {
    const { table, user } = await start({ commandsPerSMax: 100 })
    const held: Call[] = []
    let onHeld = () => {}
    table.add('x.slow.ask', { room: false }, (call) => {
      held.push(call)
      onHeld()
    })
    const heldUntil = (count: number) =>
      new Promise<void>((resolve) => {
        onHeld = () => held.length >= count && resolve()
        onHeld()
      })
    const host = await user('host', encoding)
    await host.ok('room.join', {}, 'demo')
    const asked = Array.from({ length: besideInFlightMax }, (_, n) => host.call('x.slow.ask', { n }))
    await heldUntil(besideInFlightMax)
    expect(await host.refused('x.slow.ask')).toMatchObject({ code: 'session.inbox_full', retryAfterMs: expect.any(Number) })
    await host.ok('room.update', { title: 'Not held up' }, 'demo')
    // Another session has its own eight.
    const ann = await user('ann', encoding)
    const other = ann.call('x.slow.ask')
    await heldUntil(besideInFlightMax + 1)
    // In any order: each answer finds its question.
    for (const call of held.slice(1)) accept(call, call.d)
    expect(await asked[3]).toMatchObject({ ok: true, d: { n: 3 } })
    const again = host.call('x.slow.ask', { n: 'again' })
    await heldUntil(besideInFlightMax + 2)
    for (const call of held) accept(call, call.d)
    expect(await again).toMatchObject({ ok: true, d: { n: 'again' } })
    expect(await asked[0]).toMatchObject({ ok: true, d: { n: 0 } })
    expect(await other).toMatchObject({ ok: true })
    // A session that has gone: its answer goes nowhere, and nobody is hurt.
    const gone = ann.call('x.slow.ask').catch(() => {})
    await heldUntil(besideInFlightMax + 3)
    await ann.close()
    await gone
    accept(held.at(-1) as Call, {})
    await host.roundTrip()
  })

  it('one that nobody answers ends as unavailable and frees its place', async () => {
    const { table, user } = await start({ requestTimeoutMs: 100 })
    table.add('x.slow.ask', { room: false }, () => {})
    const ann = await user('ann', encoding)
    const all = await Promise.all(Array.from({ length: besideInFlightMax }, () => ann.refused('x.slow.ask')))
    for (const err of all) expect(err).toMatchObject({ code: 'room.unavailable' })
    expect(await ann.refused('x.slow.ask')).toMatchObject({ code: 'room.unavailable' })
  })

  it('written behind open and join at once, they wait for both; one whose plugin left meanwhile is unknown', async () => {
    const { table, token, user } = await start()
    addPoll(table)
    const ann = await user('ann', encoding, false)
    const [open, join, vote, gone] = [
      ann.call('session.open', { token: await token('ann') }),
      ann.call('room.join', {}, 'demo'),
      ann.call('x.poll.vote', { option: 'a' }, 'demo'),
      ann.call('x.poll.leaving', {}, 'demo'),
    ]
    table.add('x.poll.leaving', {}, (call) => accept(call, {}))
    expect(await open).toMatchObject({ ok: true })
    expect(await join).toMatchObject({ ok: true })
    expect(await vote).toMatchObject({ ok: true, d: { votes: 1 } })
    await gone
    const bob = await user('bob', encoding, false)
    const opening = bob.call('session.open', { token: await token('bob') })
    const late = bob.call('x.poll.vote', {}, 'demo')
    table.owned.delete('x.poll.vote')
    expect(await opening).toMatchObject({ ok: true })
    expect(await late).toMatchObject({ ok: false, err: { code: 'request.unknown_command' } })
  })
})

describe('private events', () => {
  it('reach every session of their user in its own encoding, and nobody else', async () => {
    const { bus, edge, faults, user } = await start()
    const [first, second, bob] = [await user('ann', 'json'), await user('ann', 'proto'), await user('bob', 'proto')]
    const tell = (userId: string, t: string, d: unknown) =>
      bus.publish(subjects.userEvents(userId), { head: { t, at: 1_760_000_000_123, d } satisfies UserEventHead })
    tell('ann', 'x.poll.won', { prize: '金', n: [1] })
    tell('ann', 'inbox.message', { text: 'of a first-party plugin' })
    tell('nobody', 'x.poll.won', {})
    for (const client of [first, second]) {
      expect(await client.next('x.poll.won')).toEqual({ t: 'x.poll.won', at: 1_760_000_000_123, d: { prize: '金', n: [1] } })
      await client.next('inbox.message')
    }
    tell('ann', 'session.expiring', { expiresAt: 5 })
    for (const client of [first, second]) expect((await client.next('session.expiring')).d).toEqual({ expiresAt: 5 })

    // A room's own facts have their order, and what cannot be written is our fault alone.
    for (const t of ['danmaku.sent', 'room.user_kicked', 'role.grant', 'event', 'Bad.Name', '__proto__', '']) tell('ann', t, {})
    tell('ann', 'x.poll.won', { n: 1n })
    tell('ann', 'x.poll.last', {})
    for (const client of [first, second]) {
      await client.next('x.poll.last')
      expect(client.events).toHaveLength(4)
    }
    expect(edge.privateEvents).toMatchObject({ refused: 7, sent: 8 })
    expect(faults).toHaveLength(1)
    await bob.roundTrip()
    expect(bob.events).toEqual([])
  })

  it('the end of all sessions of a user tells them not to come back', async () => {
    const { bus, edge, homes, user } = await start()
    const [first, second, bob] = [await user('ann', 'json'), await user('ann', 'proto'), await user('bob', 'proto')]
    for (const client of [first, bob]) await client.ok('room.join', {}, 'demo')
    bus.publish(subjects.userClose('ann'), { head: {} })
    for (const client of [first, second]) expect(await client.closed).toEqual({ code: 4505, reason: 'removedByOperator' })
    await bob.roundTrip()
    expect(edge.sessionsOf('ann')).toEqual([])
    expect([...(homes.find('demo')?.presence.members.values() ?? [])].map(({ userId }) => userId)).toEqual(['bob'])
    // Who is not banned may open again.
    await user('ann', 'json')
  })
})

describe.each(encodings)('%s: the client library', (encoding) => {
  it('sends commands of plugins, hears their events in a room and alone, and gives up when it was removed', async () => {
    const { bus, table, url, token } = await start()
    const poll = addPoll(table)
    table.add('x.poll.open', {}, (call, home) => {
      const kind = { t: 'x.poll.opened', lane: 'normal' as const, room: 'demo', d: call.d }
      home?.decide(new RoomEvent(kind, { eid: home.newId(), at: home.now() }), (event) => accept(call, { seq: event.seq }))
    })
    const client = connect({ url, encoding, token: () => token('ann') })
    stops.push(() => client.close())
    const closed = new Promise<ClientState>((resolve) =>
      client.on('state', (state) => {
        if (state.name === 'closed') resolve(state)
      }),
    )
    const room = await client.join('demo')
    expect(room.state.ext).toEqual({})
    expect(await room.command<{ votes: number }>('x.poll.vote', { option: 'a' }, { ik: 'one' })).toMatchObject({ votes: 1 })
    expect(await room.command<{ votes: number }>('x.poll.vote', { option: 'a' }, { ik: 'one' })).toMatchObject({ votes: 1 })
    expect(poll.votes).toBe(1)
    expect(await client.command('x.poll.list', { n: 1 })).toEqual([true, { n: 1 }])
    const refusal = await room.command('x.poll.close').catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(RefusedError)
    expect(refusal).toMatchObject({ code: 'x.poll.closed', message: 'The poll is over.', retryAfterMs: 50, retry: true })

    const opened = new Promise<unknown[]>((resolve) => {
      room.on('x.poll.opened', (d, event) => resolve([d, event.seq]))
    })
    const { seq } = await room.command<{ seq: number }>('x.poll.open', { question: '?' })
    expect(await opened).toEqual([{ question: '?' }, seq])
    expect(room.recent).toEqual([])

    const won = new Promise<unknown[]>((resolve) => {
      client.on('x.poll.won', (d, event) => resolve([d, event]))
    })
    const heard: string[] = []
    client.on('event', ({ t }) => heard.push(t))
    bus.publish(subjects.userEvents('ann'), { head: { t: 'x.poll.won', at: 7, d: { n: 1 } } satisfies UserEventHead })
    expect(await won).toEqual([{ n: 1 }, { t: 'x.poll.won', at: 7, d: { n: 1 } }])
    expect(heard).toEqual(['x.poll.won'])
    bus.publish(subjects.userClose('ann'), { head: {} })
    expect(await closed).toMatchObject({ name: 'closed', code: 4505 })
  })
})
