/** Danmaku over real sockets, on a clock that moves only when a test says so: form, rate, duplicates, replies, removal, the wall. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startTestEngine, type TestClient, TestClock, type TestEngine } from '../testing.ts'
import { emoteIds, freeColors } from './danmaku.ts'

const clock = new TestClock()
let engine: TestEngine
let host: TestClient
let ann: TestClient
let bob: TestClient
let room = ''
let rooms = 0

beforeAll(async () => {
  engine = await startTestEngine({ demoRoom: '' }, { clock })
})
afterAll(() => engine.stop())

const enter = async (user: string) => {
  const client = await engine.connect({ token: await engine.token(user, { name: user.toUpperCase() }) })
  await client.ok('room.join', {}, room)
  return client
}
beforeEach(async () => {
  clock.advance(60_000)
  for (const client of [host, ann, bob]) client?.drop()
  host = await engine.connect({ token: await engine.token('host', { scope: 'streamer' }) })
  room = `room${++rooms}`
  await host.ok('room.create', { roomId: room, title: 'x' })
  await host.ok('room.open', {}, room)
  await host.ok('room.join', {}, room)
  ann = await enter('ann')
  bob = await enter('bob')
})

const send = (client: TestClient, d: unknown) => client.call('danmaku.send', d, room)
const sent = (client: TestClient, d: unknown) => client.ok('danmaku.send', d, room)
const refused = (client: TestClient, d: unknown) => client.refused('danmaku.send', d, room)
const set = (patch: object) => host.ok('room.set_settings', patch, room)
/** A second apart, so that the bucket never speaks. */
const pause = () => clock.advance(1_000)

describe('form', () => {
  it('text, mode, colour and size arrive as sent', async () => {
    await set({ reverseMode: true })
    await sent(ann, { text: 'plain' })
    expect((await bob.next('danmaku.sent')).d).toMatchObject({
      from: { id: 'ann', name: 'ANN' },
      text: 'plain',
      mode: 'scroll',
      color: 0xffffff,
      size: 'm',
    })
    await sent(ann, { text: 'all of it', mode: 'reverse', color: freeColors[3], size: 's' })
    expect((await bob.next('danmaku.sent')).d).toMatchObject({ mode: 'reverse', color: freeColors[3], size: 's' })
  })

  it('the palette of eight is free, other colours are not; staff may use all', async () => {
    expect(freeColors).toHaveLength(8)
    for (const color of freeColors) {
      pause()
      await sent(ann, { text: `colour ${color}`, color })
    }
    expect(await refused(ann, { text: 'x', color: 0x123456 })).toMatchObject({ code: 'chat.color_locked', d: { field: 'color' } })
    await sent(host, { text: 'x', color: 0x123456 })
  })

  it('top and bottom are for staff, reverse for rooms that have it', async () => {
    for (const mode of ['top', 'bottom', 'reverse'])
      expect(await refused(ann, { text: 'x', mode })).toMatchObject({ code: 'chat.mode_locked', d: { field: 'mode' } })
    await set({ reverseMode: true })
    await sent(ann, { text: 'x', mode: 'reverse' })
    for (const mode of ['top', 'bottom']) await sent(host, { text: `x ${mode}`, mode })
  })

  it('emotes come from the catalogue; alone, with text, and where only emotes are taken', async () => {
    for (const emoteId of emoteIds.slice(0, 3)) await sent(ann, { emoteId })
    pause()
    await sent(ann, { emoteId: 'heart', text: 'with text' })
    expect(await refused(ann, { emoteId: 'nothing_like_it' })).toMatchObject({ code: 'chat.emote_unknown' })
    await set({ emoteOnly: true })
    pause()
    expect(await refused(ann, { text: 'text' })).toMatchObject({ code: 'chat.emote_only' })
    expect(await refused(ann, { text: 'text', emoteId: 'rose' })).toMatchObject({ code: 'chat.emote_only' })
    await sent(ann, { emoteId: 'rose' })
    await sent(host, { text: 'the owner may speak' })
  })

  it('length counts code points: 40 for viewers, 100 for staff', async () => {
    await sent(ann, { text: '你'.repeat(40) })
    await sent(ann, { text: '😀'.repeat(40) })
    expect(await refused(ann, { text: '你'.repeat(41) })).toMatchObject({ code: 'chat.too_long', d: { max: 40 } })
    expect(await refused(ann, { text: '😀'.repeat(41) })).toMatchObject({ code: 'chat.too_long', d: { max: 40 } })
    await sent(host, { text: '你'.repeat(100) })
    expect(await refused(host, { text: '你'.repeat(101) })).toMatchObject({ code: 'chat.too_long', d: { max: 100 } })
  })

  it('nothing to show is refused, whatever it is made of', async () => {
    for (const text of ['', '   ', '\n\t', '\u200b\u200b', '\u202e', '\u0000'])
      expect(await refused(ann, { text }), JSON.stringify(text)).toMatchObject({ code: 'chat.empty' })
    expect(await refused(ann, {})).toMatchObject({ code: 'chat.empty' })
  })

  it('controls, line breaks and direction changes are taken out; the answer says what is shown', async () => {
    const shown = 'a b c d'
    expect((await sent(ann, { text: ' a\n\nb\u202e \u0007c\u200f\u2066\td\u0000 ' })).text).toBe(shown)
    expect((await bob.next('danmaku.sent')).d.text).toBe(shown)
    // Families stay together.
    expect((await sent(ann, { text: '👨‍👩‍👧' })).text).toBe('👨‍👩‍👧')
  })
})

describe('switches', () => {
  it('chat off, room closed, mute-all: each has its code, staff go on, and on again needs no reconnect', async () => {
    await set({ chat: false })
    expect(await refused(ann, { text: 'x' })).toMatchObject({ code: 'chat.disabled' })
    await sent(host, { text: 'x' })
    await set({ chat: true, muteAll: true })
    expect(await refused(ann, { text: 'x' })).toMatchObject({ code: 'chat.muted' })
    await sent(host, { text: 'y' })
    await set({ muteAll: false })
    await sent(ann, { text: 'x' })
    await host.ok('room.close', {}, room)
    expect(await refused(ann, { text: 'y' })).toMatchObject({ code: 'room.closed' })
    await host.ok('room.open', {}, room)
    await sent(ann, { text: 'y' })
  })
})

describe('rate', () => {
  it('slow mode of 10 s: refused at 9.9 s with exactly 100 ms to wait, taken at 10.0 s', async () => {
    await set({ slowModeMs: 10_000 })
    await sent(ann, { text: 'first' })
    expect(await refused(ann, { text: 'second' })).toMatchObject({ code: 'chat.slow_mode', retryAfterMs: 10_000 })
    clock.advance(9_900)
    expect(await refused(ann, { text: 'second' })).toMatchObject({ code: 'chat.slow_mode', retryAfterMs: 100 })
    await sent(bob, { text: 'for each on their own' })
    for (const text of ['staff', 'need', 'not', 'wait']) await sent(host, { text })
    clock.advance(100)
    await sent(ann, { text: 'second' })
    expect(await refused(ann, { text: 'third' })).toMatchObject({ code: 'chat.slow_mode', retryAfterMs: 10_000 })
  })

  it('a refused message does not start the wait anew', async () => {
    await set({ slowModeMs: 5_000 })
    await sent(ann, { text: 'one' })
    for (let n = 0; n < 4; n++) {
      clock.advance(1_000)
      await refused(ann, { text: `too soon ${n}` })
    }
    clock.advance(1_000)
    await sent(ann, { text: 'in time' })
  })

  it('without slow mode: three at once, then one a second', async () => {
    const burst = await Promise.all([1, 2, 3, 4].map((n) => send(ann, { text: `n ${n}` })))
    expect(burst.map(({ ok }) => ok)).toEqual([true, true, true, false])
    expect(burst[3]).toMatchObject({ err: { code: 'rate.limited', retryAfterMs: 1_000 } })
    clock.advance(999)
    expect(await refused(ann, { text: 'n 5' })).toMatchObject({ code: 'rate.limited', retryAfterMs: 1 })
    clock.advance(1)
    await sent(ann, { text: 'n 5' })
    for (let n = 0; n < 20; n++) await sent(host, { text: `the owner is free ${n}` })
  })

  it('the same text within 10 s is a duplicate, in other letters and spaces too', async () => {
    await sent(ann, { text: 'Hello World' })
    for (const text of ['Hello World', 'hello  world', 'ＨＥＬＬＯ ＷＯＲＬＤ', 'HelloWorld'])
      expect(await refused(ann, { text }), text).toMatchObject({ code: 'chat.duplicate' })
    await sent(bob, { text: 'hello world' })
    clock.advance(9_999)
    expect(await refused(ann, { text: 'hello world' })).toMatchObject({ code: 'chat.duplicate' })
    clock.advance(1)
    await sent(ann, { text: 'hello world' })
  })

  it('uniqueChat: by anybody, within 60 s', async () => {
    await set({ uniqueChat: true })
    await sent(ann, { text: 'gg' })
    expect(await refused(bob, { text: 'GG' })).toMatchObject({ code: 'chat.duplicate' })
    clock.advance(59_999)
    expect(await refused(bob, { text: 'gg' })).toMatchObject({ code: 'chat.duplicate' })
    clock.advance(1)
    await sent(bob, { text: 'gg' })
  })
})

describe('replies and removal', () => {
  it('a reply names whom it answers; to nothing it is refused', async () => {
    const { id } = await sent(ann, { text: 'question' })
    await sent(bob, { text: 'answer', replyTo: id })
    const seen = await ann.next((event) => event.d.text === 'answer')
    expect(seen.d.replyTo).toEqual({ id, userId: 'ann', name: 'ANN' })
    expect(await refused(bob, { text: 'x', replyTo: '01JUNKJUNKJUNK' })).toMatchObject({ code: 'message.not_found' })
  })

  it('by id: gone for those who join and who resume, and everybody is told', async () => {
    const { epoch, seq } = await bob.ok('room.join', {}, room)
    const bad = await sent(ann, { text: 'bad' })
    const good = await sent(ann, { text: 'good' })
    expect(await bob.refused('danmaku.remove', { id: bad.id }, room)).toMatchObject({ code: 'perm.denied' })
    expect(await host.ok('danmaku.remove', { id: bad.id }, room)).toEqual({ ids: [bad.id] })
    expect((await ann.next('message.removed')).d).toEqual({ ids: [bad.id] })
    const ids = (list: { d: { id: string } }[]) => list.map((event) => event.d.id)
    expect(ids((await (await enter('eve')).ok('room.join', {}, room)).danmaku)).toEqual([good.id])
    await bob.close()
    bob = await engine.connect({ token: await engine.token('bob') })
    expect(await bob.ok('room.join', { resume: { epoch, seq } }, room)).toMatchObject({ resumed: true })
    await bob.next('message.removed')
    expect(bob.of('danmaku.sent').map((event) => event.d.id)).toEqual([good.id])
    expect(await host.refused('danmaku.remove', { id: bad.id }, room)).toMatchObject({ code: 'message.not_found' })
    expect(await refused(bob, { text: 'x', replyTo: bad.id })).toMatchObject({ code: 'message.not_found' })
  })

  it('by user, from an instant on; staff are protected from their equals', async () => {
    await sent(ann, { text: 'old' })
    pause()
    const sinceAt = clock.now()
    const first = await sent(ann, { text: 'new 1' })
    const second = await sent(ann, { text: 'new 2' })
    await sent(bob, { text: 'of another' })
    expect(await host.ok('danmaku.remove', { userId: 'ann', sinceAt }, room)).toEqual({ ids: [first.id, second.id] })
    expect((await bob.next('message.removed')).d.ids).toEqual([first.id, second.id])
    for (const userId of ['ann', 'bob']) await host.ok('room.grant_role', { userId, role: 'admin' }, room)
    const mine = await sent(bob, { text: 'an admin speaks' })
    expect(await ann.refused('danmaku.remove', { id: mine.id }, room)).toMatchObject({ code: 'perm.target_protected' })
    await bob.ok('danmaku.remove', { id: mine.id }, room)
    for (const d of [{}, { id: mine.id, userId: 'bob' }])
      expect(await host.refused('danmaku.remove', d, room)).toMatchObject({ code: 'request.invalid' })
  })
})

describe('the wall', () => {
  it('shows a message or a text, is in the snapshot, and goes down when its time is over', async () => {
    const { id } = await sent(ann, { text: 'pin me' })
    expect(await ann.refused('wall.show', { messageId: id }, room)).toMatchObject({ code: 'perm.denied' })
    const { item } = await host.ok('wall.show', { messageId: id, showMs: 30_000 }, room)
    expect(item).toMatchObject({ messageId: id, text: 'pin me', from: { id: 'ann' }, by: 'host', untilAt: clock.now() + 30_000 })
    expect((await bob.next('wall.shown')).d).toEqual({ item })
    expect((await bob.ok('room.join', {}, room)).wall).toEqual(item)
    clock.advance(29_999)
    await bob.roundTrip()
    expect(bob.of('wall.hidden')).toEqual([])
    clock.advance(1)
    expect((await bob.next('wall.hidden')).d).toEqual({ id: item.id })
    expect((await bob.ok('room.join', {}, room)).wall).toBeUndefined()
  })

  it('another replaces it, hide takes it down, and hiding nothing is refused', async () => {
    const { item: first } = await host.ok('wall.show', { text: 'one' }, room)
    const { item: second } = await host.ok('wall.show', { text: 'two', showMs: 5_000 }, room)
    expect(second.id).not.toBe(first.id)
    await host.ok('wall.hide', {}, room)
    expect((await bob.next('wall.hidden')).d).toEqual({ id: second.id })
    expect(await host.refused('wall.hide', {}, room)).toMatchObject({ code: 'wall.empty' })
    clock.advance(60_000)
    await bob.roundTrip()
    expect(bob.of('wall.hidden')).toHaveLength(1)
    expect(await host.refused('wall.show', { messageId: 'NOSUCH' }, room)).toMatchObject({ code: 'message.not_found' })
    expect(await host.refused('wall.show', { text: ' \u200b' }, room)).toMatchObject({ code: 'chat.empty' })
  })

  it('a removed message leaves the wall too', async () => {
    const { id } = await sent(ann, { text: 'pin me' })
    const { item } = await host.ok('wall.show', { messageId: id }, room)
    await host.ok('danmaku.remove', { userId: 'ann' }, room)
    expect((await bob.next('wall.hidden')).d).toEqual({ id: item.id })
    expect((await bob.ok('room.join', {}, room)).wall).toBeUndefined()
  })
})
