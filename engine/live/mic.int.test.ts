/** The mic of a room: real clients, a real media node, and a clock that stands still until it is pushed. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { audioJson, mediaReady, transportOf, until, videoJson } from '../media/fixtures/client.ts'
import { allow, definePlugin, deny, type Verdict } from '../plugin/index.ts'
import { startTestEngine, type TestClient, TestClock, type TestEngine } from '../testing.ts'

let engine: TestEngine
const clock = new TestClock()
/** What the guard says to an application with this note. */
let verdictOn: (note: string) => Verdict | Promise<Verdict> = () => allow
const gate = definePlugin({
  name: 'gate',
  version: '1.0.0',
  calls: ['engine.mic.drop'],
  guards: {
    'mic.apply': {
      order: 1,
      budgetMs: 1_000,
      onFailure: 'closed',
      run: ({ d }) => verdictOn(d.note ?? '') as typeof allow,
    },
  },
  events: {
    'mic.seat_changed': {
      budgetMs: 1_000,
      run: async ({ room, d }, ctx) => {
        if (d.seat.user?.id === 'outcast') await ctx.mic.drop(room, d.seat.no, 'Not you.')
      },
    },
  },
})
beforeAll(async () => {
  engine = await startTestEngine(
    { media: true, mediaWorkers: 1, logLevel: 'error', micSeats: 3, sessionsPerUserMax: 1_000 },
    { clock, plugins: [gate] },
  )
  await mediaReady(engine)
}, 60_000)
afterEach(() => {
  verdictOn = () => allow
})
afterAll(() => engine.stop())

let rooms = 0
interface Stage {
  room: string
  ownerId: string
  host: TestClient
}
async function stage(): Promise<Stage> {
  const room = `mic${++rooms}`
  const ownerId = `host${rooms}`
  const host = await engine.connect({ token: await engine.token(ownerId, { scope: 'streamer' }) })
  await host.ok('room.create', { roomId: room, title: 'Mic' })
  await host.ok('room.open', {}, room)
  await host.ok('room.join', {}, room)
  return { room, ownerId, host }
}
async function enter(
  { room }: Stage,
  user: string,
  { scope, encoding = 'json' }: { scope?: string; encoding?: 'json' | 'proto' } = {},
) {
  const client = await engine.connect({ token: await engine.token(user, scope === undefined ? {} : { scope }), encoding })
  await client.ok('room.join', {}, room)
  return client
}
/** Waits, is accepted, and has come: all but the media. */
async function comeUp({ room, host }: Stage, guest: TestClient, userId: string, { kind = 'audio' } = {}): Promise<number> {
  await guest.ok('mic.apply', { kind }, room)
  const { seatNo } = await host.ok('mic.accept', { userId }, room)
  await guest.ok('mic.join', { seatNo }, room)
  return seatNo
}
let ssrc = 1_000
async function speak({ room }: Stage, guest: TestClient): Promise<{ transportId: string; producerId: string }> {
  const transportId = await transportOf(guest, room, 'send')
  const said = { transportId, kind: 'audio', source: 'mic', rtpJson: audioJson(++ssrc) }
  const { producerId } = await guest.ok('stream.publish', said, room)
  return { transportId, producerId }
}
const seatEvent = (no: number, state: string) => (event: { t: string; d: { seat: { no: number; state: string } } }) =>
  event.t === 'mic.seat_changed' && event.d.seat.no === no && event.d.seat.state === state
const tracksOf = async (room: string) => (await engine.media?.request('room.describe', { room }))?.tracks ?? []
const seatOf = async ({ room, host }: Stage, no: number) => (await host.ok('room.join', {}, room)).mic.seats[no - 1]

describe('the queue', () => {
  it('of eleven who apply, the first ten as the server sees them wait, and the eleventh is refused', async () => {
    const on = await stage()
    const viewers = await Promise.all(Array.from({ length: 11 }, (_, at) => enter(on, `viewer${at}`)))
    const answers = await Promise.all(
      viewers.map(async (viewer, at) => ({
        user: `viewer${at}`,
        reply: await viewer.call('mic.apply', { note: `n${at}` }, on.room),
      })),
    )
    const waiting = answers.flatMap(({ user, reply }) =>
      reply.ok ? [{ user, place: (reply.d as { place: number }).place }] : [],
    )
    expect(waiting.map(({ place }) => place).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    const late = answers.find(({ reply }) => !reply.ok)
    expect(late?.reply).toMatchObject({ err: { code: 'mic.queue_full', retryAfterMs: expect.any(Number) } })

    const inOrder = waiting.sort((a, b) => a.place - b.place).map(({ user }) => user)
    const { applicants } = await on.host.ok('mic.list', {}, on.room)
    expect(applicants.map(({ user }: { user: { id: string } }) => user.id)).toEqual(inOrder)
    await on.host.roundTrip()
    expect(on.host.of('mic.applied').map(({ d }) => [d.applicant.user.id, d.applicant.place])).toEqual(
      inOrder.map((id, at) => [id, at + 1]),
    )
    expect(on.host.of('mic.queue_changed').map(({ d }) => d.waiting)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])

    const clientOf = (user: string | undefined) => viewers[Number(user?.slice(6))] as TestClient
    await on.host.ok('mic.accept', { userId: inOrder[0] }, on.room)
    expect((await clientOf(inOrder[9]).next('mic.place_changed')).d).toEqual({ place: 9 })
    expect(await clientOf(late?.user).ok('mic.apply', {}, on.room)).toEqual({ place: 10 })
    expect(clientOf(inOrder[0]).of('mic.place_changed')).toEqual([])
  })

  it('a guard that takes its time changes no place; one that says no takes none', async () => {
    const on = await stage()
    const release: Record<string, (verdict: Verdict) => void> = {}
    verdictOn = (note) => (note === '' ? allow : new Promise((resolve) => (release[note] = resolve)))
    const [ann, bob, eve] = await Promise.all(['ann', 'bob', 'eve'].map((user) => enter(on, user)))
    if (!ann || !bob || !eve) throw new Error('nobody')
    const first = ann.call('mic.apply', { note: 'slow' }, on.room)
    await until('the guard to be asked', () => release['slow'] !== undefined)
    const bad = eve.call('mic.apply', { note: 'bad' }, on.room)
    await until('the guard to be asked', () => release['bad'] !== undefined)
    expect(await bob.ok('mic.apply', {}, on.room)).toEqual({ place: 1 })
    release['bad']?.(deny('mic.level_required', 'Level 3.'))
    expect(await bad).toMatchObject({ err: { code: 'mic.level_required', msg: 'Level 3.' } })
    release['slow']?.(allow)
    expect(await first).toMatchObject({ ok: true, d: { place: 1 } })
    expect((await bob.next('mic.place_changed')).d).toEqual({ place: 2 })
  })

  it.each(['json', 'proto'] as const)(
    'who comes sees seats and length, and who waits their own place, in %s',
    async (encoding) => {
      const on = await stage()
      await (await enter(on, 'ann')).ok('mic.apply', {}, on.room)
      const bob = await enter(on, 'bob', { encoding })
      await bob.ok('mic.apply', { kind: 'video', note: ' \u202eHi\n ' }, on.room)
      const open = [1, 2, 3].map((no) => ({ no, state: 'open', locked: false }))
      expect((await bob.ok('room.join', {}, on.room)).mic).toEqual({ seats: open, waiting: 2, place: 2 })
      const eve = await enter(on, 'eve', { encoding })
      expect((await eve.ok('room.join', {}, on.room)).mic).toEqual({ seats: open, waiting: 2 })
      expect((await on.host.ok('mic.list', {}, on.room)).applicants[1]).toMatchObject({ kind: 'video', note: 'Hi', place: 2 })
      await bob.ok('mic.cancel', {}, on.room)
      expect((await eve.next(({ t, d }) => t === 'mic.queue_changed' && d.waiting === 1)).d).toEqual({ waiting: 1 })
      expect((await bob.refused('mic.cancel', {}, on.room)).code).toBe('mic.expired')
      expect((await bob.ok('room.join', {}, on.room)).mic).toEqual({ seats: open, waiting: 1 })
    },
  )

  it('a reload keeps the place, and whoever stays away loses it', async () => {
    const on = await stage()
    const [ann, bob] = [await enter(on, 'ann'), await enter(on, 'bob')]
    await ann.ok('mic.apply', {}, on.room)
    await bob.ok('mic.apply', {}, on.room)
    const isHere = (user: string) => engine.homes.find(on.room)?.presence.isHere(user)
    for (const [user, client] of Object.entries({ ann, bob })) {
      client.drop()
      await until(`${user} to be gone`, () => !isHere(user))
    }
    const again = await enter(on, 'ann')
    clock.advance(10_000)
    await on.host.next(({ t, d }) => t === 'mic.queue_changed' && d.waiting === 1)
    expect((await again.ok('room.join', {}, on.room)).mic).toMatchObject({ waiting: 1, place: 1 })
  })
})

describe('onto a seat', () => {
  it('accepted, joined, heard, gone: everybody sees each step', async () => {
    const on = await stage()
    const [ann, viewer] = [await enter(on, 'ann'), await enter(on, 'viewer')]
    await ann.ok('mic.apply', {}, on.room)
    expect((await ann.refused('stream.create_transport', { direction: 'send' }, on.room)).code).toBe('stream.denied')
    const granted = await on.host.ok('mic.accept', { userId: 'ann', seatNo: 2 }, on.room)
    expect(granted).toEqual({ seatNo: 2, joinByAt: clock.now() + 15_000 })
    expect((await ann.next('mic.accepted')).d).toEqual(granted)
    const reserved = { no: 2, state: 'reserved', locked: false, user: { id: 'ann', name: 'ann' }, kind: 'audio' }
    expect((await viewer.next(seatEvent(2, 'reserved'))).d).toEqual({ seat: reserved, by: on.ownerId })
    expect((await ann.refused('stream.create_transport', { direction: 'send' }, on.room)).code).toBe('stream.denied')
    expect((await ann.refused('mic.join', { seatNo: 1 }, on.room)).code).toBe('mic.grant_invalid')
    expect((await viewer.refused('mic.join', { seatNo: 2 }, on.room)).code).toBe('mic.grant_invalid')
    expect(await ann.ok('mic.join', { seatNo: 2 }, on.room)).toEqual({ seat: reserved })

    const { transportId, producerId } = await speak(on, ann)
    expect((await viewer.next(seatEvent(2, 'live'))).d.seat).toEqual({ ...reserved, state: 'live' })
    const { track } = (await viewer.next('stream.published')).d
    expect(track).toMatchObject({ userId: 'ann', kind: 'audio', source: 'seat', seatNo: 2 })
    const video = { transportId, kind: 'video', source: 'cam', rtpJson: videoJson(++ssrc) }
    expect((await ann.refused('stream.publish', video, on.room)).code).toBe('stream.denied')
    expect(await ann.ok('mic.join', { seatNo: 2 }, on.room)).toMatchObject({ seat: { state: 'live' } })

    await ann.ok('mic.leave', {}, on.room)
    expect((await viewer.next(seatEvent(2, 'open'))).d.seat).toEqual({ no: 2, state: 'open', locked: false })
    expect((await viewer.next('stream.unpublished')).d.trackId).toBe(track.id)
    expect((await ann.refused('stream.unpublish', { producerId }, on.room)).code).toBe('stream.gone')
    expect((await ann.refused('mic.leave', {}, on.room)).code).toBe('mic.grant_invalid')
    expect(await tracksOf(on.room)).toEqual([])
    await ann.roundTrip()
    expect(viewer.of('mic.accepted')).toEqual([])
  })

  it.each(['json', 'proto'] as const)(
    'what waits for somebody alone is there after a reload, and after a cut, in %s',
    async (encoding) => {
      const on = await stage()
      const come = async (d: object = {}) => {
        const client = await engine.connect({ token: await engine.token('ann', { name: 'Ann' }), encoding })
        return { client, joined: await client.ok('room.join', d, on.room) }
      }
      const { joined } = await come()
      expect(joined.me).not.toHaveProperty('invitation')
      const { epoch, seq } = joined
      const { inviteId, expireAt } = await on.host.ok('mic.invite', { userId: 'ann', seatNo: 2, timeoutMs: 60_000 }, on.room)
      expect((await on.host.ok('mic.list', {}, on.room)).invited).toEqual([{ id: 'ann', name: 'Ann' }])
      const invitation = { inviteId, by: { id: on.ownerId, name: on.ownerId, role: 'owner' }, seatNo: 2, expireAt }
      expect((await come()).joined.me).toMatchObject({ userId: 'ann', invitation })
      expect((await come({ resume: { epoch, seq } })).joined).toMatchObject({ resumed: true, me: { invitation } })
      expect((await on.host.ok('room.join', {}, on.room)).me).not.toHaveProperty('invitation')

      const { client } = await come()
      const granted = await client.ok('mic.accept', { inviteId }, on.room)
      const seated = (await come({ resume: { epoch, seq } })).joined
      expect(seated.me).toMatchObject({ granted })
      expect(seated.me).not.toHaveProperty('invitation')
      expect(seated.mic.seats[1]).toMatchObject({ state: 'reserved', user: { id: 'ann', name: 'Ann' } })
      await client.ok('mic.join', { seatNo: 2 }, on.room)
      await speak(on, client)
      expect((await come()).joined.me).not.toHaveProperty('granted')
      client.drop()
      await on.host.next(seatEvent(2, 'suspended'))
      // The seat is kept for a while: whoever reloaded the page is told until when.
      expect((await come()).joined.me).toMatchObject({ granted: { seatNo: 2, joinByAt: clock.now() + 20_000 } })
      clock.advance(20_000)
      expect((await come()).joined.me).not.toHaveProperty('granted')
      await on.host.ok('mic.invite', { userId: 'ann' }, on.room)
      clock.advance(30_000)
      expect((await come()).joined.me).not.toHaveProperty('invitation')
    },
  )

  it('invited, and a picture too; declined, and taken back', async () => {
    const on = await stage()
    const ann = await enter(on, 'ann')
    const { inviteId, expireAt } = await on.host.ok('mic.invite', { userId: 'ann', seatNo: 3, timeoutMs: 5_000 }, on.room)
    expect(expireAt).toBe(clock.now() + 5_000)
    const by = { id: on.ownerId, name: on.ownerId, role: 'owner' }
    expect((await ann.next('mic.invited')).d).toEqual({ inviteId, by, seatNo: 3, expireAt })
    expect((await on.host.ok('mic.list', {}, on.room)).invited).toEqual([{ id: 'ann', name: 'ann' }])
    expect((await on.host.refused('mic.invite', { userId: 'ann' }, on.room)).code).toBe('mic.already')
    expect((await on.host.refused('mic.accept', { inviteId }, on.room)).code).toBe('mic.expired')
    expect(await ann.ok('mic.accept', { inviteId }, on.room)).toMatchObject({ seatNo: 3 })
    await ann.ok('mic.join', { seatNo: 3 }, on.room)
    const { transportId } = await speak(on, ann)
    await ann.ok('stream.publish', { transportId, kind: 'video', source: 'cam', rtpJson: videoJson(++ssrc) }, on.room)
    expect(await seatOf(on, 3)).toMatchObject({ state: 'live', kind: 'video', user: { id: 'ann' } })

    const bob = await enter(on, 'bob')
    const again = await on.host.ok('mic.invite', { userId: 'bob' }, on.room)
    await bob.ok('mic.reject', { inviteId: again.inviteId, reason: 'shy' }, on.room)
    expect((await on.host.next('mic.rejected')).d).toEqual({ reason: 'shy', by: { id: 'bob', name: 'bob' } })
    await on.host.ok('mic.invite', { userId: 'bob' }, on.room)
    await on.host.ok('mic.reject', { userId: 'bob', reason: 'wrong one' }, on.room)
    expect((await bob.next('mic.rejected')).d).toEqual({ reason: 'wrong one', by })
    await bob.ok('mic.apply', {}, on.room)
    await on.host.ok('mic.reject', { userId: 'bob' }, on.room)
    expect((await bob.next('mic.rejected')).d).toEqual({ reason: '', by })
    expect((await on.host.refused('mic.accept', { userId: 'bob' }, on.room)).code).toBe('mic.expired')
  })

  it('to another one, with what is heard; a locked one is nobody’s', async () => {
    const on = await stage()
    const [ann, viewer] = [await enter(on, 'ann'), await enter(on, 'viewer')]
    await comeUp(on, ann, 'ann')
    await speak(on, ann)
    const { track } = (await viewer.next('stream.published')).d
    await on.host.ok('mic.lock_seat', { seatNo: 2 }, on.room)
    expect((await viewer.next(seatEvent(2, 'open'))).d.seat.locked).toBe(true)
    expect((await ann.refused('mic.move', { seatNo: 2 }, on.room)).code).toBe('mic.seat_taken')
    expect((await on.host.refused('mic.lock_seat', { seatNo: 1 }, on.room)).code).toBe('mic.seat_taken')
    await on.host.ok('mic.unlock_seat', { seatNo: 2 }, on.room)
    await ann.ok('mic.move', { seatNo: 2 }, on.room)
    expect((await viewer.next('stream.track_changed')).d.track).toEqual({ ...track, seatNo: 2 })
    expect((await viewer.next(seatEvent(2, 'live'))).d.seat.user.id).toBe('ann')
    expect(await seatOf(on, 1)).toEqual({ no: 1, state: 'open', locked: false })
    await on.host.ok('mic.mute_seat', { seatNo: 2 }, on.room)
    expect((await viewer.next('stream.track_changed')).d.track).toMatchObject({ id: track.id, seatNo: 2, muted: true })
    await on.host.ok('mic.drop', { seatNo: 2, reason: 'thanks' }, on.room)
    expect((await ann.next('mic.rejected')).d).toMatchObject({ reason: 'thanks', by: { id: on.ownerId } })
    expect((await viewer.next('stream.unpublished')).d.trackId).toBe(track.id)
  })
})

describe('silence', () => {
  it('of a host holds until a host lifts it, for what is published anew as well', async () => {
    const on = await stage()
    const [ann, viewer] = [await enter(on, 'ann'), await enter(on, 'viewer')]
    await comeUp(on, ann, 'ann')
    const { transportId, producerId } = await speak(on, ann)
    /** The node is told, and does it in its own time. */
    const heard = (isMuted: boolean) =>
      until(`the guest to be ${isMuted ? 'silent' : 'heard'}`, async () => {
        const [track, ...others] = await tracksOf(on.room)
        return others.length === 0 && track !== undefined && (track.muted === true) === isMuted
      })
    await ann.ok('mic.mute_seat', { seatNo: 1 }, on.room)
    expect((await viewer.next(({ d }) => d.seat?.mutedBy === 'self')).d.by).toBe('ann')
    await heard(true)
    expect((await on.host.refused('mic.unmute_seat', { seatNo: 1 }, on.room)).code).toBe('perm.denied')
    await ann.ok('mic.unmute_seat', { seatNo: 1 }, on.room)
    await heard(false)

    await on.host.ok('mic.mute_seat', { seatNo: 1 }, on.room)
    expect((await viewer.next(({ d }) => d.seat?.mutedBy === 'host')).d.by).toBe(on.ownerId)
    expect((await ann.refused('mic.unmute_seat', { seatNo: 1 }, on.room)).code).toBe('perm.denied')
    await heard(true)
    await ann.ok('stream.unpublish', { producerId }, on.room)
    await viewer.next(seatEvent(1, 'suspended'))
    await ann.ok('stream.publish', { transportId, kind: 'audio', source: 'mic', rtpJson: audioJson(++ssrc) }, on.room)
    // Not heard for a moment either.
    await viewer.next((event) => event.t === 'stream.published' && event.d.track.muted === true)
    expect((await viewer.next((event) => seatEvent(1, 'live')(event) && event.d.seat.mutedBy === 'host')).d.by).toBe('ann')
    await heard(true)
    await on.host.ok('mic.unmute_seat', { seatNo: 1 }, on.room)
    await heard(false)
    expect((await on.host.refused('mic.mute_seat', { seatNo: 2 }, on.room)).code).toBe('room.bad_state')
  })
})

describe('time', () => {
  it('an application ends after five minutes, an invitation after its own, and they are told', async () => {
    const on = await stage()
    const [ann, bob] = [await enter(on, 'ann'), await enter(on, 'bob')]
    await ann.ok('mic.apply', {}, on.room)
    const { inviteId } = await on.host.ok('mic.invite', { userId: 'bob' }, on.room)
    clock.advance(29_999)
    await bob.roundTrip()
    expect(bob.of('mic.timed_out')).toEqual([])
    clock.advance(1)
    expect((await bob.next('mic.timed_out')).d).toEqual({ what: 'invitation' })
    expect((await on.host.next('mic.timed_out')).d).toEqual({ what: 'invitation' })
    expect((await bob.refused('mic.accept', { inviteId }, on.room)).code).toBe('mic.expired')
    clock.advance(269_999)
    expect((await on.host.ok('mic.list', {}, on.room)).applicants).toHaveLength(1)
    clock.advance(1)
    expect((await ann.next('mic.timed_out')).d).toEqual({ what: 'application' })
    expect((await on.host.next(({ t, d }) => t === 'mic.queue_changed' && d.waiting === 0)).d).toEqual({ waiting: 0 })
  })

  it('a grant is for 15 s, come or not, as long as nothing is published', async () => {
    const on = await stage()
    const [ann, bob] = [await enter(on, 'ann'), await enter(on, 'bob')]
    await ann.ok('mic.apply', {}, on.room)
    await on.host.ok('mic.accept', { userId: 'ann' }, on.room)
    await comeUp(on, bob, 'bob')
    clock.advance(14_999)
    expect((await seatOf(on, 1)).state).toBe('reserved')
    clock.advance(1)
    for (const guest of [ann, bob]) expect((await guest.next('mic.timed_out')).d).toEqual({ what: 'seat' })
    expect((await on.host.next(seatEvent(2, 'open'))).d.by).toBe('engine')
    expect((await seatOf(on, 1)).state).toBe('open')
    expect((await ann.refused('mic.join', { seatNo: 1 }, on.room)).code).toBe('mic.grant_invalid')
    expect((await bob.refused('stream.create_transport', { direction: 'send' }, on.room)).code).toBe('stream.denied')
  })

  it('a guest whose line is cut has 20 s to come back', async () => {
    const on = await stage()
    const ann = await enter(on, 'ann')
    await comeUp(on, ann, 'ann')
    await speak(on, ann)
    ann.drop()
    await on.host.next(seatEvent(1, 'suspended'))
    clock.advance(19_999)
    const again = await enter(on, 'ann')
    await speak(on, again)
    await on.host.next((event) => seatEvent(1, 'live')(event) && event.at === clock.now())
    again.drop()
    await on.host.next((event) => seatEvent(1, 'suspended')(event) && event.at === clock.now())
    clock.advance(20_000)
    expect((await on.host.next(seatEvent(1, 'open'))).d).toEqual({ seat: { no: 1, state: 'open', locked: false }, by: 'engine' })
  })
})

describe('numbers', () => {
  it('of who waits, is invited and sits, and of what was too late', async () => {
    const numbers = async () => {
      const page = await (await fetch(new URL('/metrics', engine.adminUrl))).text()
      const lines = page.split('\n').filter((line) => line.startsWith('livehouse_mic_'))
      return Object.fromEntries(lines.map((line) => line.slice('livehouse_mic_'.length).split(' '))) as Record<string, string>
    }
    const on = await stage()
    const [ann, bob] = [await enter(on, 'ann'), await enter(on, 'bob')]
    await enter(on, 'eve')
    const before = await numbers()
    const grown = async () => {
      const now = await numbers()
      const names = Object.keys(now).filter((name) => now[name] !== before[name])
      return Object.fromEntries(names.map((name) => [name, Number(now[name]) - Number(before[name])]))
    }
    await ann.ok('mic.apply', {}, on.room)
    await bob.ok('mic.apply', {}, on.room)
    await on.host.ok('mic.invite', { userId: 'eve' }, on.room)
    await on.host.ok('mic.accept', { userId: 'bob' }, on.room)
    const asked = { applications_total: 2, invitations_total: 1, grants_total: 1 }
    expect(await grown()).toEqual({ waiting: 1, invited: 1, seats: 1, ...asked })
    clock.advance(300_000)
    const late = { applications_timed_out_total: 1, invitations_timed_out_total: 1, grants_timed_out_total: 1 }
    await until('all to be over', async () => (await numbers())['waiting'] === before['waiting'])
    expect(await grown()).toEqual({ ...asked, ...late })
    await ann.ok('mic.apply', {}, on.room)
    await on.host.ok('room.close', {}, on.room)
    expect(await grown()).toEqual({ ...asked, applications_total: 3, ...late })
  })
})

describe('the end', () => {
  it('of the show is not that of the guests: they are heard, and may go on', async () => {
    const on = await stage()
    const ann = await enter(on, 'ann')
    await comeUp(on, ann, 'ann')
    await speak(on, ann)
    await until('the guest to be heard', async () => (await tracksOf(on.room)).length === 1)
    const transportId = await transportOf(on.host, on.room, 'send')
    const sound = { transportId, kind: 'audio', source: 'mic', rtpJson: audioJson(++ssrc), line: 'primary' }
    await on.host.ok('stream.publish', sound, on.room)
    await on.host.ok('stream.stop', {}, on.room)
    expect((await tracksOf(on.room)).map(({ source }) => source)).toEqual(['seat'])
    const joined = await on.host.ok('room.join', {}, on.room)
    expect(joined.stream.tracks).toHaveLength(1)
    expect(joined.mic.seats[0]).toMatchObject({ state: 'live' })
    expect(ann.of('stream.migrated')).toEqual([])
    // The transport is good for the next show.
    await on.host.ok('stream.publish', { ...sound, rtpJson: audioJson(++ssrc) }, on.room)
  })

  const ends: [string, (on: Stage) => Promise<unknown>][] = [
    ['kicked', ({ host, room }) => host.ok('room.kick', { userId: 'ann' }, room)],
    ['banned', ({ host, room }) => host.ok('room.kick', { userId: 'ann', banMs: -1 }, room)],
    ['muted', ({ host, room }) => host.ok('room.mute', { userId: 'ann', durationMs: 0 }, room)],
    ['the room closes', ({ host, room }) => host.ok('room.close', {}, room)],
    ['taken down', ({ room }) => engine.admin('PUT', `/rooms/${room}/takedown`, { reason: 'no' })],
    ['the mic is switched off', ({ host, room }) => host.ok('room.set_settings', { mic: false }, room)],
    ['dropped by an operator', ({ room }) => engine.admin('POST', `/rooms/${room}/mic:drop`, { seatNo: 1, reason: 'no' })],
  ]
  it.each(ends)('%s: the seat is free and nothing is heard', async (_, end) => {
    const on = await stage()
    const [ann, viewer] = [await enter(on, 'ann'), await enter(on, 'viewer')]
    await comeUp(on, ann, 'ann')
    await speak(on, ann)
    await viewer.next(seatEvent(1, 'live'))
    await end(on)
    expect((await on.host.next(seatEvent(1, 'open'))).d.seat).toEqual({ no: 1, state: 'open', locked: false })
    await on.host.next('stream.unpublished')
    expect(on.host.of('mic.seat_changed').map(({ d }) => d.seat.state)).toEqual(['reserved', 'live', 'open'])
    await until('the node to be rid of it', () =>
      tracksOf(on.room).then(
        (tracks) => tracks.length === 0,
        () => true,
      ),
    )
  })

  it('switched off or closed: who waits and who is invited is told; nobody applies; a muted one neither', async () => {
    const on = await stage()
    const [ann, bob] = [await enter(on, 'ann'), await enter(on, 'bob')]
    const wait = async () => {
      await ann.ok('mic.apply', {}, on.room)
      await on.host.ok('mic.invite', { userId: 'bob' }, on.room)
    }
    await wait()
    await on.host.ok('room.set_settings', { mic: false }, on.room)
    for (const guest of [ann, bob]) expect((await guest.next('mic.rejected')).d.by.id).toBe(on.ownerId)
    await ann.next(({ t, d }) => t === 'mic.queue_changed' && d.waiting === 0)
    expect((await ann.refused('mic.apply', {}, on.room)).code).toBe('mic.disabled')
    expect((await on.host.refused('mic.invite', { userId: 'bob' }, on.room)).code).toBe('mic.disabled')
    expect((await ann.ok('room.join', {}, on.room)).mic).toBeUndefined()
    await on.host.ok('room.set_settings', { mic: true }, on.room)
    await wait()
    await on.host.ok('room.mute', { userId: 'ann', durationMs: 60_000 }, on.room)
    await ann.next(({ t, d }) => t === 'mic.queue_changed' && d.waiting === 0 && d !== undefined)
    expect((await ann.refused('mic.apply', {}, on.room)).code).toBe('chat.muted')
    expect((await on.host.refused('mic.invite', { userId: 'ann' }, on.room)).code).toBe('chat.muted')
    await on.host.ok('room.close', {}, on.room)
    expect((await bob.next('mic.rejected')).d).toMatchObject({ reason: 'The live is over.', by: { id: 'engine' } })
    expect((await bob.refused('mic.apply', {}, on.room)).code).toBe('room.closed')
  })

  it('a plugin takes a guest off', async () => {
    const on = await stage()
    const outcast = await enter(on, 'outcast')
    await outcast.ok('mic.apply', {}, on.room)
    await on.host.ok('mic.accept', { userId: 'outcast' }, on.room)
    expect((await outcast.next('mic.rejected')).d).toEqual({
      reason: 'Not you.',
      by: { id: 'plugin_gate', name: 'gate', role: 'operator' },
    })
    expect((await on.host.next(seatEvent(1, 'open'))).d.by).toBe('plugin_gate')
  })
})

describe('who may', () => {
  it('owner, admins, patrol and operators are hosts; nobody else is', async () => {
    const on = await stage()
    const admin = await enter(on, 'adam')
    const controller = await enter(on, 'carl')
    await on.host.ok('room.grant_role', { userId: 'adam', role: 'admin' }, on.room)
    await on.host.ok('room.grant_role', { userId: 'carl', role: 'controller' }, on.room)
    const patrol = await enter(on, 'pat', { scope: 'patrol' })
    const guest = await enter(on, 'ann')
    const hostOnly: [string, object][] = [
      ['mic.list', {}],
      ['mic.invite', { userId: 'ann' }],
      ['mic.accept', { userId: 'ann' }],
      ['mic.reject', { userId: 'ann' }],
      ['mic.mute_seat', { seatNo: 1 }],
      ['mic.unmute_seat', { seatNo: 1 }],
      ['mic.lock_seat', { seatNo: 1 }],
      ['mic.unlock_seat', { seatNo: 1 }],
      ['mic.drop', { seatNo: 1 }],
    ]
    for (const [t, d] of hostOnly)
      for (const client of [guest, controller]) expect((await client.refused(t, d, on.room)).code, t).toBe('perm.denied')
    for (const client of [on.host, admin, patrol])
      expect(await client.ok('mic.list', {}, on.room)).toEqual({ applicants: [], invited: [] })
    await guest.ok('mic.apply', {}, on.room)
    expect((await admin.next('mic.applied')).d.applicant.user.id).toBe('ann')
    await controller.roundTrip()
    expect(controller.of('mic.applied')).toEqual([])
    await admin.ok('mic.accept', { userId: 'ann' }, on.room)
    await admin.ok('mic.mute_seat', { seatNo: 1 }, on.room)
    await patrol.ok('mic.drop', { seatNo: 1 }, on.room)
  })

  it('nobody acts on an equal: an admin on a seat is the owner’s; of their own they may dispose', async () => {
    const on = await stage()
    const [adam, abel] = [await enter(on, 'adam'), await enter(on, 'abel')]
    for (const userId of ['adam', 'abel']) await on.host.ok('room.grant_role', { userId, role: 'admin' }, on.room)
    await adam.ok('mic.apply', {}, on.room)
    await adam.ok('mic.accept', { userId: 'adam' }, on.room)
    for (const t of ['mic.mute_seat', 'mic.drop'])
      expect((await abel.refused(t, { seatNo: 1 }, on.room)).code).toBe('perm.target_protected')
    await adam.ok('mic.mute_seat', { seatNo: 1 }, on.room)
    await on.host.ok('mic.mute_seat', { seatNo: 1 }, on.room)
    expect((await adam.refused('mic.unmute_seat', { seatNo: 1 }, on.room)).code).toBe('perm.denied')
    await on.host.ok('mic.drop', { seatNo: 1 }, on.room)
  })
})

describe('what strangers send', () => {
  it('is refused, and changes nothing', async () => {
    const on = await stage()
    const guest = await enter(on, 'ann')
    const outside = await engine.connect({ token: await engine.token('bob') })
    const anonymous = await engine.connect()
    await anonymous.ok('room.join', {}, on.room)
    const table: [TestClient, string, unknown, string][] = [
      [guest, 'mic.apply', { kind: 'smell' }, 'request.invalid'],
      [guest, 'mic.apply', { note: 'x'.repeat(101) }, 'request.invalid'],
      [guest, 'mic.apply', { note: 7 }, 'request.invalid'],
      [on.host, 'mic.apply', {}, 'mic.already'],
      [outside, 'mic.apply', {}, 'room.not_joined'],
      [outside, 'mic.leave', {}, 'mic.grant_invalid'],
      [anonymous, 'mic.apply', {}, 'auth.required'],
      [guest, 'mic.cancel', {}, 'mic.expired'],
      [guest, 'mic.accept', {}, 'request.invalid'],
      [guest, 'mic.accept', { userId: 'ann', inviteId: 'i' }, 'request.invalid'],
      [guest, 'mic.accept', { inviteId: 'nothing' }, 'mic.expired'],
      [guest, 'mic.accept', { inviteId: '../..' }, 'request.invalid'],
      [guest, 'mic.reject', {}, 'request.invalid'],
      [guest, 'mic.reject', { inviteId: 'nothing' }, 'mic.expired'],
      [guest, 'mic.join', { seatNo: 0 }, 'request.invalid'],
      [guest, 'mic.join', { seatNo: 1.5 }, 'request.invalid'],
      [guest, 'mic.join', { seatNo: 9 }, 'mic.grant_invalid'],
      [guest, 'mic.join', {}, 'request.invalid'],
      [guest, 'mic.move', { seatNo: 4 }, 'request.invalid'],
      [guest, 'mic.move', { seatNo: 1 }, 'mic.grant_invalid'],
      [guest, 'mic.leave', {}, 'mic.grant_invalid'],
      [on.host, 'mic.invite', { userId: 'ghost' }, 'room.not_joined'],
      [on.host, 'mic.invite', { userId: on.ownerId }, 'mic.already'],
      [on.host, 'mic.invite', { userId: 'ann', seatNo: 4 }, 'request.invalid'],
      [on.host, 'mic.invite', { userId: 'ann', timeoutMs: 1 }, 'request.invalid'],
      [on.host, 'mic.accept', { userId: 'ann' }, 'mic.expired'],
      [on.host, 'mic.accept', { userId: 'ann', seatNo: 4 }, 'request.invalid'],
      [on.host, 'mic.reject', { userId: 'ann' }, 'mic.expired'],
      [on.host, 'mic.lock_seat', { seatNo: 4 }, 'request.invalid'],
      [on.host, 'mic.drop', { seatNo: 1 }, 'room.bad_state'],
      [on.host, 'mic.drop', { seatNo: 4 }, 'request.invalid'],
      [on.host, 'mic.drop', { seatNo: '1' }, 'request.invalid'],
    ]
    clock.advance(10_000)
    for (const [client, t, d, code] of table) {
      clock.advance(500)
      expect((await client.refused(t, d, on.room)).code, `${t} ${JSON.stringify(d)}`).toBe(code)
    }
    expect((await guest.ok('room.join', {}, on.room)).mic).toMatchObject({
      waiting: 0,
      seats: [1, 2, 3].map((no) => ({ no, state: 'open' })),
    })
    expect(on.host.of('mic.seat_changed')).toEqual([])
  })

  it('too often is refused: each step is an event for everybody', async () => {
    const on = await stage()
    const ann = await enter(on, 'ann')
    for (let n = 0; n < 10; n++) {
      await ann.ok('mic.apply', {}, on.room)
      await ann.ok('mic.cancel', {}, on.room)
    }
    expect(await ann.refused('mic.apply', {}, on.room)).toMatchObject({ code: 'rate.limited', retryAfterMs: 500 })
    clock.advance(500)
    await ann.ok('mic.apply', {}, on.room)
  })
})

it('voices only, where the engine is set so', async () => {
  const quiet = await startTestEngine({ micVideo: false, micQueueMax: 1 })
  try {
    const [host, ann, bob] = await Promise.all(
      ['demo_owner', 'ann', 'bob'].map(async (user) => quiet.connect({ token: await quiet.token(user) })),
    )
    if (!host || !ann || !bob) throw new Error('nobody')
    for (const client of [host, ann, bob]) await client.ok('room.join', {}, 'demo')
    expect((await ann.refused('mic.apply', { kind: 'video' }, 'demo')).code).toBe('mic.disabled')
    await ann.ok('mic.apply', {}, 'demo')
    expect((await bob.refused('mic.apply', {}, 'demo')).code).toBe('mic.queue_full')
    const { inviteId } = await host.ok('mic.invite', { userId: 'bob' }, 'demo')
    const { seatNo } = await bob.ok('mic.accept', { inviteId }, 'demo')
    expect((await bob.ok('mic.join', { seatNo }, 'demo')).seat.kind).toBe('audio')
  } finally {
    await quiet.stop()
  }
})
