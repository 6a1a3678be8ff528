/** Rooms over real sockets: their life, settings, roles and rights, restrictions and the list, on a clock that stands still. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startTestEngine, type TestClient, TestClock, type TestEngine } from '../testing.ts'

const clock = new TestClock()
let engine: TestEngine
let host: TestClient
let room = ''
let rooms = 0
const clients: TestClient[] = []

beforeAll(async () => {
  engine = await startTestEngine({ demoRoom: '' }, { clock })
})
afterAll(() => engine.stop())

const user = async (name: string, scope?: string) => {
  const client = await engine.connect({ token: await engine.token(name, scope === undefined ? {} : { scope }) })
  clients.push(client)
  return client
}
const enter = async (name: string, scope?: string) => {
  const client = await user(name, scope)
  await client.ok('room.join', {}, room)
  return client
}
beforeEach(async () => {
  for (const client of clients.splice(0)) client.drop()
  host = await user('host', 'streamer')
  room = `room${++rooms}`
  await host.ok('room.create', { roomId: room, title: 'First' })
  await host.ok('room.open', {}, room)
  await host.ok('room.join', {}, room)
})

describe('a leave', () => {
  const actor = { userId: 'ann', name: 'Ann', anonymous: false, scope: [] }
  const session = { sid: 's1', edge: 'e1', encoding: 'json' } as const
  const ask = (of: TestEngine, roomId: string, t: string) => of.homes.call(roomId, { t, d: {}, actor, session })

  it('is heard by a room that is being opened, however many commands wait for it', async () => {
    await host.ok('room.create', { roomId: `${room}b`, title: 'Not loaded yet' })
    const waiting = Array.from({ length: 10_000 }, () => ask(engine, `${room}b`, 'gift.list'))
    const [list, leave] = await Promise.all([ask(engine, `${room}b`, 'gift.list'), ask(engine, `${room}b`, 'room.leave')])
    expect(list).toMatchObject({ ok: false, err: { code: 'server.busy' } })
    expect(leave).toMatchObject({ ok: true })
    expect((await Promise.all(waiting)).every(({ ok }) => ok)).toBe(true)
  })

  it('is done in a room that cannot be opened', async () => {
    const other = await startTestEngine({ demoRoom: '' }, { clock })
    try {
      await other.store.close()
      expect(await ask(other, 'gone', 'gift.list')).toMatchObject({ err: { code: 'server.store_unavailable' } })
      expect(await ask(other, 'gone', 'room.leave')).toMatchObject({ ok: true })
    } finally {
      await other.stop()
    }
  })
})

describe('the life of a room', () => {
  it('is created by streamers for themselves and by operators for anybody, once', async () => {
    const ann = await user('ann')
    expect(await ann.refused('room.create', { title: 'x' })).toMatchObject({ code: 'perm.denied' })
    const { room: made } = await host.ok('room.create', { title: 'x', categoryId: 'music' })
    expect(made).toMatchObject({ ownerId: 'host', state: 'closed', version: 1, categoryId: 'music' })
    expect(await host.refused('room.create', { roomId: room, title: 'x' })).toMatchObject({ code: 'room.exists' })
    expect(await host.refused('room.create', { title: 'x', ownerId: 'ann' })).toMatchObject({ code: 'perm.denied' })
    const ops = await user('ops', 'operator')
    expect((await ops.ok('room.create', { title: 'x', ownerId: 'ann' })).room.ownerId).toBe('ann')
    for (const d of [{}, { title: '' }, { title: 'x'.repeat(121) }, { title: 'x', roomId: 'a.b' }])
      expect(await host.refused('room.create', d)).toMatchObject({ code: 'request.invalid' })
  })

  it('a change of title reaches everybody with what changed, and who comes later has it', async () => {
    const viewers = [await enter('ann'), await enter('bob')]
    const guest = await engine.connect({ encoding: 'proto' })
    await guest.ok('room.join', {}, room)
    const { room: after } = await host.ok('room.update', { title: 'Second', theme: 'dark' }, room)
    for (const viewer of [...viewers, guest])
      expect((await viewer.next('room.updated')).d).toEqual({
        patch: { title: 'Second', theme: 'dark' },
        version: after.version,
        by: 'host',
      })
    const later = await user('eve')
    expect((await later.ok('room.join', {}, room)).room).toMatchObject({ title: 'Second', theme: 'dark', intro: '' })
  })

  it('open and close: twice is refused, viewers cannot enter a closed one, the account of the evening is told', async () => {
    const ann = await enter('ann')
    expect(await host.refused('room.open', {}, room)).toMatchObject({ code: 'room.bad_state' })
    await ann.ok('danmaku.send', { text: 'hello' }, room)
    clock.advance(5_000)
    await host.ok('room.close', { reason: 'good night' }, room)
    expect((await ann.next('room.closed')).d).toMatchObject({
      reason: 'good night',
      stats: { peak: 2, danmaku: 1, likes: 0, durationMs: expect.any(Number) },
    })
    expect(await host.refused('room.close', {}, room)).toMatchObject({ code: 'room.bad_state' })
    const late = await user('late')
    expect(await late.refused('room.join', {}, room)).toMatchObject({ code: 'room.closed' })
    expect((await host.ok('room.join', {}, room)).room).toMatchObject({ state: 'closed' })
    const { liveId } = await host.ok('room.open', {}, room)
    expect((await ann.next('room.opened')).d).toMatchObject({ liveId })
    await late.ok('room.join', {}, room)
  })

  it('the list: open rooms, most viewers first, by category, in pages that meet', async () => {
    const ops = await user('ops', 'operator')
    for (let n = 0; n < 7; n++) {
      await ops.ok('room.create', { roomId: `list${n}`, title: `List ${n}`, categoryId: 'list' })
      if (n < 6) await ops.ok('room.open', {}, `list${n}`)
    }
    const ann = await user('ann')
    await ann.ok('room.join', {}, 'list3')
    clock.advance(1_000)
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = await ann.ok('room.list', { categoryId: 'list', limit: 2, ...(cursor ? { cursor } : {}) })
      expect(page.items.length).toBeLessThanOrEqual(2)
      seen.push(...page.items.map((item: { id: string }) => item.id))
      cursor = page.cursor
    } while (cursor)
    expect(seen).toEqual(['list3', 'list0', 'list1', 'list2', 'list4', 'list5'])
    await ops.ok('room.close', {}, 'list0')
    expect((await ann.ok('room.list', { categoryId: 'list' })).items).toHaveLength(5)
    expect((await ann.ok('room.list', { cursor: 'rubbish', limit: 1 })).items).toHaveLength(1)
    expect(await ann.refused('room.list', { limit: 101 })).toMatchObject({ code: 'request.invalid' })
  })

  it('a closed, empty room leaves memory and comes back as it was, under a later epoch', async () => {
    const { epoch } = await host.ok('room.join', {}, room)
    await host.ok('room.set_settings', { slowModeMs: 7_000 }, room)
    await host.ok('room.close', {}, room)
    await host.ok('room.leave', {}, room)
    expect(engine.homes.find(room)).toBeDefined()
    clock.advance(200_000)
    expect(engine.homes.find(room)).toBeUndefined()
    const back = await host.ok('room.join', {}, room)
    expect(back).toMatchObject({ epoch: epoch + 1, settings: { slowModeMs: 7_000 }, room: { title: 'First', state: 'closed' } })
  })
})

describe('settings', () => {
  it('every switch is announced to all and stands in the snapshot', async () => {
    const ann = await enter('ann')
    const patch = {
      chat: false,
      gift: false,
      like: false,
      mic: false,
      pk: false,
      link: false,
      slowModeMs: 120_000,
      muteAll: true,
      uniqueChat: true,
      emoteOnly: true,
      reverseMode: true,
    }
    for (const [name, value] of Object.entries(patch)) {
      const { settings } = await host.ok('room.set_settings', { [name]: value }, room)
      expect(settings[name]).toBe(value)
      expect((await ann.next('room.settings_changed')).d).toEqual({ patch: { [name]: value }, by: 'host' })
    }
    expect((await ann.ok('room.join', {}, room)).settings).toEqual(patch)
  })
})

describe('rights', () => {
  const roles = ['viewer', 'assistant', 'admin', 'controller', 'owner', 'patrol', 'operator'] as const
  /** Who may, by command; the others get perm.denied. */
  const table: { what: string; t: string; d: object; may: readonly string[] }[] = [
    {
      what: 'mute',
      t: 'room.mute',
      d: { userId: 'v', durationMs: 1_000 },
      may: ['admin', 'controller', 'owner', 'patrol', 'operator'],
    },
    { what: 'kick', t: 'room.kick', d: { userId: 'v' }, may: ['admin', 'controller', 'owner', 'patrol', 'operator'] },
    { what: 'see restrictions', t: 'room.list_restrictions', d: {}, may: ['admin', 'controller', 'owner', 'patrol', 'operator'] },
    { what: 'pin', t: 'wall.show', d: { text: 'x' }, may: ['admin', 'controller', 'owner', 'patrol', 'operator'] },
    {
      what: 'slow mode',
      t: 'room.set_settings',
      d: { slowModeMs: 0 },
      may: ['admin', 'controller', 'owner', 'patrol', 'operator'],
    },
    { what: 'mute all', t: 'room.set_settings', d: { muteAll: false }, may: ['controller', 'owner', 'patrol', 'operator'] },
    {
      what: 'slow mode with another switch',
      t: 'room.set_settings',
      d: { slowModeMs: 0, chat: true },
      may: ['controller', 'owner', 'patrol', 'operator'],
    },
    { what: 'update', t: 'room.update', d: { title: 'x' }, may: ['controller', 'owner', 'operator'] },
    { what: 'grant', t: 'room.grant_role', d: { userId: 'v', role: 'assistant' }, may: ['owner', 'operator'] },
    { what: 'revoke', t: 'room.revoke_role', d: { userId: 'v', role: 'assistant' }, may: ['owner', 'operator'] },
    { what: 'close', t: 'room.close', d: {}, may: ['owner', 'operator'] },
    { what: 'open', t: 'room.open', d: {}, may: ['owner', 'operator'] },
  ]

  it.each(table)('$what: $may', async ({ t, d, may }) => {
    for (const role of roles) {
      const scope = role === 'patrol' || role === 'operator' ? role : undefined
      const actor = role === 'owner' ? host : await user(`the_${role}`, scope)
      if (['assistant', 'admin', 'controller'].includes(role))
        await host.ok('room.grant_role', { userId: `the_${role}`, role }, room)
      const reply = await actor.call(t, d, room)
      const allowed = reply.ok || reply.err.code !== 'perm.denied'
      expect(allowed, `${role} ${JSON.stringify(reply)}`).toBe(may.includes(role))
      if (t === 'room.close') await host.call('room.open', {}, room)
    }
  })

  const levels: Record<string, readonly string[]> = {
    // actor: whom they can act on
    admin: ['viewer', 'assistant'],
    controller: ['viewer', 'assistant'],
    owner: ['viewer', 'assistant', 'admin', 'controller'],
    patrol: ['viewer', 'assistant', 'admin', 'controller', 'owner', 'patrol', 'operator'],
  }
  it.each(Object.entries(levels))('%s acts on %s alone, and never on themselves', async (actorRole, targets) => {
    const person = async (role: string, name: string) => {
      if (role === 'owner') return { client: host, id: 'host' }
      const client = await enter(name, role === 'patrol' || role === 'operator' ? role : undefined)
      if (['assistant', 'admin', 'controller'].includes(role)) await host.ok('room.grant_role', { userId: name, role }, room)
      return { client, id: name }
    }
    const actor = await person(actorRole, 'actor')
    for (const role of roles) {
      const target = actorRole === role && role === 'owner' ? actor : await person(role, `target_${role}`)
      const reply = await actor.client.call('room.mute', { userId: target.id, durationMs: 1_000 }, room)
      const expected = targets.includes(role) && target.id !== actor.id
      expect(reply.ok ? 'ok' : reply.err.code, role).toBe(expected ? 'ok' : 'perm.target_protected')
    }
    expect(await actor.client.refused('room.mute', { userId: actor.id, durationMs: 0 }, room)).toMatchObject({
      code: 'perm.target_protected',
    })
  })

  it('one user has a role in one room and another in the next, and each room knows only its own', async () => {
    const other = `${room}_other`
    const ann = await user('ann', 'streamer')
    await ann.ok('room.create', { roomId: other, title: 'x' })
    await ann.ok('room.open', {}, other)
    await host.ok('room.grant_role', { userId: 'ann', role: 'controller' }, room)
    expect((await ann.ok('room.join', {}, other)).me.roles).toEqual(['owner'])
    expect((await ann.ok('room.join', {}, room)).me.roles).toEqual(['controller'])
    await ann.ok('room.update', { title: 'as controller' }, room)
    expect(await ann.refused('room.close', {}, room)).toMatchObject({ code: 'perm.denied' })
    expect(await host.refused('room.update', { title: 'x' }, other)).toMatchObject({ code: 'perm.denied' })
    await ann.ok('room.close', {}, other)
  })

  it('a role is announced, shown beside the name, told to its bearer, and gone when taken back', async () => {
    const ann = await enter('ann')
    await host.ok('room.grant_role', { userId: 'ann', role: 'admin' }, room)
    expect((await ann.next('room.role_changed')).d).toEqual({ userId: 'ann', role: 'admin', granted: true, by: 'host' })
    await ann.ok('danmaku.send', { text: 'hi' }, room)
    expect((await host.next('danmaku.sent')).d.from).toMatchObject({ id: 'ann', role: 'admin' })
    expect(await host.refused('room.grant_role', { userId: 'ann', role: 'admin' }, room)).toMatchObject({
      code: 'room.bad_state',
    })
    await host.ok('room.revoke_role', { userId: 'ann', role: 'admin' }, room)
    expect(await ann.refused('room.mute', { userId: 'x', durationMs: 0 }, room)).toMatchObject({ code: 'perm.denied' })
    expect((await ann.ok('room.join', {}, room)).me.roles).toEqual([])
  })
})

describe('mutes', () => {
  it('60 s: refused chat.muted for 60 s, accepted then, by a room admin', async () => {
    const ann = await enter('ann')
    const admin = await enter('admin')
    await host.ok('room.grant_role', { userId: 'admin', role: 'admin' }, room)
    const { untilAt } = await admin.ok('room.mute', { userId: 'ann', durationMs: 60_000, reason: 'spam' }, room)
    expect(untilAt).toBe(clock.now() + 60_000)
    expect((await ann.next('room.user_muted')).d).toEqual({ userId: 'ann', untilAt, reason: 'spam', by: 'admin' })
    expect(await ann.refused('danmaku.send', { text: 'x' }, room)).toMatchObject({ code: 'chat.muted', d: { untilAt } })
    expect((await ann.ok('room.join', {}, room)).me.mutedUntilAt).toBe(untilAt)
    clock.advance(59_999)
    expect(await ann.refused('danmaku.send', { text: 'x' }, room)).toMatchObject({ code: 'chat.muted' })
    clock.advance(1)
    await ann.ok('danmaku.send', { text: 'x' }, room)
    expect((await ann.ok('room.join', {}, room)).me.mutedUntilAt).toBeUndefined()
    expect(await admin.refused('room.mute', { userId: 'host', durationMs: 0 }, room)).toMatchObject({
      code: 'perm.target_protected',
    })
  })

  it('0 ends with the live, -1 never; unmute lifts both, and is refused where there is nothing to lift', async () => {
    const [ann, bob] = [await enter('ann'), await enter('bob')]
    expect(await host.ok('room.mute', { userId: 'ann', durationMs: 0 }, room)).toEqual({ untilAt: 0 })
    expect(await host.ok('room.mute', { userId: 'bob', durationMs: -1 }, room)).toEqual({ untilAt: -1 })
    clock.advance(3_000_000)
    for (const client of [ann, bob])
      expect(await client.refused('danmaku.send', { text: 'x' }, room)).toMatchObject({ code: 'chat.muted' })
    await host.ok('room.close', {}, room)
    await host.ok('room.open', {}, room)
    await ann.ok('danmaku.send', { text: 'x' }, room)
    expect(await bob.refused('danmaku.send', { text: 'x' }, room)).toMatchObject({ code: 'chat.muted', d: { untilAt: -1 } })
    await host.ok('room.unmute', { userId: 'bob' }, room)
    expect((await bob.next('room.user_unmuted')).d).toEqual({ userId: 'bob', by: 'host' })
    await bob.ok('danmaku.send', { text: 'x' }, room)
    expect(await host.refused('room.unmute', { userId: 'bob' }, room)).toMatchObject({ code: 'room.bad_state' })
  })
})

describe('kicks', () => {
  it('without a ban: told, closed with 4502 when it was the only room, and free to come back', async () => {
    const ann = await enter('ann')
    const bob = await enter('bob')
    await host.ok('room.kick', { userId: 'ann', reason: 'out' }, room)
    expect((await ann.next('room.user_kicked')).d).toMatchObject({ userId: 'ann', reason: 'out', by: 'host' })
    expect(await ann.closed).toMatchObject({ code: 4502 })
    await bob.next('room.user_kicked')
    await enter('ann')
  })

  it('with a ban: every session of the user goes, and none comes back until it is over or lifted', async () => {
    const first = await enter('ann')
    const second = await engine.connect({ token: await engine.token('ann'), encoding: 'proto' })
    await second.ok('room.join', {}, room)
    const { untilAt } = await host.ok('room.kick', { userId: 'ann', banMs: 600_000 }, room)
    for (const client of [first, second]) expect(await client.closed).toMatchObject({ code: 4502 })
    const again = await user('ann')
    expect(await again.refused('room.join', {}, room)).toMatchObject({ code: 'room.kicked', d: { untilAt } })
    clock.advance(599_999)
    expect(await again.refused('room.join', {}, room)).toMatchObject({ code: 'room.kicked' })
    clock.advance(1)
    await again.ok('room.join', {}, room)
    await host.ok('room.kick', { userId: 'ann', banMs: -1 }, room)
    await again.closed
    const back = await user('ann')
    expect(await back.refused('room.join', {}, room)).toMatchObject({ code: 'room.kicked', d: { untilAt: -1 } })
    await host.ok('room.unban', { userId: 'ann' }, room)
    await back.ok('room.join', {}, room)
    expect(await host.refused('room.unban', { userId: 'ann' }, room)).toMatchObject({ code: 'room.bad_state' })
  })

  it('a session that is in another room too stays open and hears no more of this one', async () => {
    const other = `${room}_other`
    await host.ok('room.create', { roomId: other, title: 'x' })
    await host.ok('room.open', {}, other)
    await host.ok('room.join', {}, other)
    const ann = await enter('ann')
    await ann.ok('room.join', {}, other)
    await host.ok('room.kick', { userId: 'ann' }, room)
    await ann.next('room.user_kicked')
    expect(await ann.refused('danmaku.send', { text: 'x' }, room)).toMatchObject({ code: 'room.not_joined' })
    await host.ok('danmaku.send', { text: 'behind your back' }, room)
    await host.ok('danmaku.send', { text: 'to all' }, other)
    await ann.next((event) => event.d.text === 'to all')
    expect(ann.of('danmaku.sent').map((event) => event.room)).toEqual([other])
  })

  it('who is restricted is told to staff alone, without those that are over', async () => {
    const ann = await enter('ann')
    await host.ok('room.mute', { userId: 'short', durationMs: 1_000 }, room)
    await host.ok('room.mute', { userId: 'long', durationMs: -1, reason: 'r' }, room)
    await host.ok('room.kick', { userId: 'banned', banMs: 3_600_000 }, room)
    await host.ok('room.grant_role', { userId: 'ann', role: 'assistant' }, room)
    expect(await ann.refused('room.list_restrictions', {}, room)).toMatchObject({ code: 'perm.denied' })
    clock.advance(1_000)
    const list = await host.ok('room.list_restrictions', {}, room)
    expect(list.mutes).toEqual([{ userId: 'long', untilAt: -1, reason: 'r', by: 'host', at: expect.any(Number) }])
    expect(list.bans.map((ban: { userId: string }) => ban.userId)).toEqual(['banned'])
    expect(list.roles).toEqual([{ userId: 'ann', role: 'assistant' }])
  })
})
