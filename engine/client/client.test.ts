/**
 * The client's own rules against a real WebSocket server that speaks the contract and does what each test says.
 * Time stands still until a test moves it; sockets are real.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import {
  decodeRequestJson,
  decodeRequestsProto,
  type Encoding,
  type EventEnvelope,
  encodeEventJson,
  encodeEventProto,
  encodeReplyJson,
  encodeReplyProto,
  joinFrame,
  type RequestEnvelope,
} from '../../schemas/wire.ts'
import { ManualClock } from '../base/clock.ts'
import { type ClientOptions, type ClientState, LiveClient } from './client.ts'
import { ClientClosedError, ConnectionLostError, RefusedError, TooManyCallsError } from './faults.ts'
import type { Host } from './host.ts'
import { nodeHost } from './node.ts'
import type { RoomEvent, RoomView } from './room.ts'

/** What arrived, in order, for a test to wait on. */
class Arrivals<T> {
  readonly #items: T[] = []
  readonly #takers: ((item: T) => void)[] = []
  push(item: T): void {
    const taker = this.#takers.shift()
    if (taker) taker(item)
    else this.#items.push(item)
  }
  next(): Promise<T> {
    const item = this.#items.shift()
    return item === undefined ? new Promise((resolve) => this.#takers.push(resolve)) : Promise.resolve(item)
  }
  get length(): number {
    return this.#items.length
  }
}

class Peer {
  readonly requests = new Arrivals<RequestEnvelope>()
  readonly socket: WebSocket
  readonly encoding: Encoding
  constructor(socket: WebSocket) {
    this.socket = socket
    this.encoding = socket.protocol === 'livehouse.v1.json' ? 'json' : 'proto'
    socket.on('message', (data: Buffer) => {
      const requests = this.encoding === 'json' ? [decodeRequestJson(data, 8)] : decodeRequestsProto(data, 64, 8)
      for (const request of requests) this.requests.push(request)
    })
  }

  async expect(t: string): Promise<RequestEnvelope> {
    const request = await this.requests.next()
    expect(request.t).toBe(t)
    return request
  }
  send(...parts: Uint8Array[]): void {
    const frame = joinFrame(this.encoding, parts)
    this.socket.send(this.encoding === 'json' ? new TextDecoder().decode(frame) : frame)
  }
  reply(request: RequestEnvelope, d: unknown): Uint8Array {
    const reply = { re: request.id, ok: true as const, d }
    return this.encoding === 'json' ? encodeReplyJson(reply) : encodeReplyProto(reply, request.t)
  }
  refusal(
    request: RequestEnvelope,
    err: { code: 'chat.slow_mode' | 'auth.invalid' | 'room.kicked' | 'room.full'; retryAfterMs?: number },
  ) {
    const reply = { re: request.id, ok: false as const, err: { msg: 'no', ...err } }
    return this.encoding === 'json' ? encodeReplyJson(reply) : encodeReplyProto(reply, request.t)
  }
  event(event: EventEnvelope): Uint8Array {
    return this.encoding === 'json' ? encodeEventJson(event) : encodeEventProto(event)
  }
  async open(session: Record<string, unknown> = {}): Promise<RequestEnvelope> {
    const request = await this.expect('session.open')
    this.send(this.reply(request, { ...sessionReply, ...session }))
    return request
  }
}

const startAt = 1_760_000_000_000
const sessionReply = {
  sid: 's1',
  userId: 'ann',
  name: 'Ann',
  anonymous: false,
  serverAt: startAt,
  heartbeatMs: 30_000,
  limits: {},
}
const danmaku = (seq: number): EventEnvelope => ({
  t: 'danmaku.sent',
  room: 'demo',
  seq,
  at: startAt,
  d: { id: `m${seq}`, from: { id: 'bob', name: 'Bob' }, text: `text ${seq}`, mode: 'scroll', color: 0xffffff, size: 'm' },
})
const snapshot = (seq: number, more: Record<string, unknown> = {}) => ({
  epoch: 1,
  seq,
  room: { id: 'demo', ownerId: 'own', title: 'Demo', intro: '', theme: '', categoryId: '', cover: '', state: 'open', version: 1 },
  settings: {
    chat: true,
    gift: true,
    like: true,
    mic: true,
    pk: true,
    link: true,
    slowModeMs: 0,
    muteAll: false,
    uniqueChat: false,
    emoteOnly: false,
    reverseMode: false,
  },
  online: { unique: 1, connections: 1, peak: 1 },
  likes: 0,
  shares: 0,
  danmaku: [],
  me: { userId: 'ann', name: 'Ann', roles: [], anonymous: false },
  ...more,
})

let server: WebSocketServer
let peers: Arrivals<Peer>
let clock: ManualClock
let client: LiveClient | undefined
let states: Arrivals<ClientState>

beforeEach(async () => {
  peers = new Arrivals()
  states = new Arrivals()
  clock = new ManualClock(startAt)
  server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: (offered) => [...offered][0] ?? false })
  server.on('connection', (socket) => peers.push(new Peer(socket)))
  await once(server, 'listening')
})
afterEach(async () => {
  client?.close()
  for (const socket of server.clients) socket.terminate()
  await new Promise((resolve) => server.close(resolve))
})

function start(options: Partial<ClientOptions> = {}, more: Partial<Host> = {}): LiveClient {
  const host = {
    ...nodeHost,
    now: () => clock.now(),
    after: (ms: number, fn: () => void) => clock.after(ms, fn),
    random: () => 0.5,
    ...more,
  }
  client = new LiveClient(host, { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/live`, ...options })
  client.on('state', (state) => states.push(state))
  return client
}

async function until<Name extends ClientState['name']>(name: Name): Promise<ClientState & { name: Name }> {
  for (;;) {
    const state = await states.next()
    if (state.name === name) return state as ClientState & { name: Name }
  }
}

async function joined(live: LiveClient, more: Record<string, unknown> = {}): Promise<{ room: RoomView; peer: Peer }> {
  const joining = live.join('demo')
  const peer = await peers.next()
  await peer.open()
  const join = await peer.expect('room.join')
  peer.send(peer.reply(join, snapshot(10, more)))
  return { room: await joining, peer }
}

const eventsOf = (room: RoomView): Arrivals<RoomEvent> => {
  const seen = new Arrivals<RoomEvent>()
  room.on('event', (event) => seen.push(event))
  return seen
}

describe.each(['proto', 'json'] as const)('in %s', (encoding) => {
  test('opens and joins at once, and keeps the state of the room', async () => {
    const live = start({ encoding, token: 'T', deviceId: 'd1' })
    const joining = live.join('demo')
    const peer = await peers.next()
    const open = await peer.expect('session.open')
    const join = await peer.expect('room.join') // before any answer: pipelined
    expect(open.d).toMatchObject({ token: 'T', deviceId: 'd1' })
    expect(join.room).toBe('demo')
    peer.send(peer.reply(open, sessionReply))
    peer.send(peer.reply(join, snapshot(10)), peer.event(danmaku(11)))
    const room = await joining
    expect(room.state).toMatchObject({ room: { title: 'Demo' }, me: { userId: 'ann', roles: [] }, likes: 0 })
    expect(room.recent.map(({ d }) => d.text)).toEqual(['text 11'])

    const seen = eventsOf(room)
    peer.send(
      peer.event({ t: 'room.updated', room: 'demo', seq: 12, at: 1, d: { patch: { title: 'New' }, version: 2, by: 'own' } }),
      peer.event({ t: 'room.settings_changed', room: 'demo', seq: 13, at: 1, d: { patch: { muteAll: true }, by: 'own' } }),
      peer.event({ t: 'room.user_muted', room: 'demo', seq: 14, at: 1, d: { userId: 'ann', untilAt: 0, reason: '', by: 'own' } }),
      peer.event({ t: 'message.removed', room: 'demo', seq: 15, at: 1, d: { ids: ['m11'] } }),
      peer.event({ t: 'x.trivia.round_started', room: 'demo', seq: 16, at: 1, d: { round: 3 } }),
    )
    for (let i = 0; i < 5; i++) await seen.next()
    expect(room.state.room).toMatchObject({ title: 'New', intro: '', version: 2 })
    expect(room.state.settings).toMatchObject({ muteAll: true, chat: true })
    expect(room.state.me.mutedUntilAt).toBe(0)
    expect(room.recent).toEqual([])
    const stats = { durationMs: 1, peak: 1, danmaku: 1, likes: 1 }
    peer.send(peer.event({ t: 'room.closed', room: 'demo', seq: 17, at: 1, d: { liveId: 'l', reason: '', stats } }))
    await seen.next()
    expect(room.state.room.state).toBe('closed')
    expect(room.state.me.mutedUntilAt).toBeUndefined() // a mute for this live session ends with it
  })

  test('an empty list is a list', async () => {
    const live = start({ encoding })
    const peer = await peers.next()
    await peer.open()
    const listing = live.call('room.list', {})
    peer.send(peer.reply(await peer.expect('room.list'), { items: [] }))
    expect((await listing).items).toEqual([])
  })
})

describe.each(['proto', 'json'] as const)('plugins, in %s', (encoding) => {
  test('a command is written with its body and key, and answered with any JSON', async () => {
    const live = start({ encoding })
    const { room, peer } = await joined(live)
    const voting = room.command('x.poll.vote', { option: 'a' }, { ik: 'k1' })
    const vote = await peer.expect('x.poll.vote')
    expect(vote).toMatchObject({ room: 'demo', ik: 'k1', d: { option: 'a' } })
    peer.send(peer.reply(vote, [1, null]))
    expect(await voting).toEqual([1, null])
    const listing = live.command<{ items: string[] }>('x.poll.list')
    const list = await peer.expect('x.poll.list')
    expect([list.room, list.d]).toEqual([undefined, {}])
    peer.send(peer.reply(list, { items: [] }))
    expect((await listing).items).toEqual([])
    const late = live.command('x.poll.list', {}, { timeoutMs: 100 }).catch((error: unknown) => error)
    await peer.expect('x.poll.list')
    clock.advance(100)
    expect(await late).toMatchObject({ name: 'ConnectionLostError', sent: true })
  })

  test('what they tell those who come late is read; what cannot be read is left out', async () => {
    const ext = [
      { plugin: 'poll', json: '{"open":true}' },
      { plugin: 'trivia', json: 'null' },
      { plugin: 'broken', json: '{"open' },
      { plugin: '__proto__', json: '{"admin":true}' },
    ]
    const { room, peer } = await joined(start({ encoding }), { ext })
    expect(room.state.ext).toMatchObject({ poll: { open: true }, trivia: null })
    expect(room.state.ext).not.toHaveProperty('broken')
    expect((room.state.ext as { admin?: boolean }).admin).toBeUndefined()
    const anew = snapshot(40, { ext: [{ plugin: 'poll', json: '7' }] })
    const resync = new Arrivals<unknown>()
    room.on('resync', ({ state }) => resync.push(state.ext))
    peer.send(peer.event({ t: 'room.resynced', room: 'demo', d: { snapshot: anew } }))
    expect(await resync.next()).toEqual({ poll: 7 })
  })

  test('their events have listeners and change nothing in the state of the room, whatever their names', async () => {
    const opened = { t: 'x.poll.opened', room: 'demo', seq: 9, at: startAt, d: null }
    const { room, peer } = await joined(start({ encoding }), { danmaku: [danmaku(8), opened] })
    expect(room.recent.map(({ d }) => d.id)).toEqual(['m8'])
    const seen = eventsOf(room)
    const polls = new Arrivals<unknown>()
    room.on('x.poll.opened', (d, event) => polls.push([d, event.seq]))
    const { state } = room
    const names = ['toString', 'constructor', '__proto__', 'x.poll.opened']
    peer.send(...names.map((t, n) => peer.event({ t, room: 'demo', seq: 11 + n, at: startAt, d: { n } })))
    for (const _ of names) await seen.next()
    expect(await polls.next()).toEqual([{ n: 3 }, 14])
    expect(room.state).toBe(state)
    expect(room.recent).toHaveLength(1)
  })

  test("events for this user alone are the client's, and only names of plugins have listeners there", async () => {
    const live = start({ encoding })
    const { room, peer } = await joined(live)
    const inRoom = eventsOf(room)
    const [alone, won] = [new Arrivals<string>(), new Arrivals<unknown>()]
    live.on('event', ({ t }) => alone.push(t))
    live.on('x.poll.won', (d, event) => won.push([d, event.at]))
    const heard: ClientState[] = []
    live.on('state', (state) => heard.push(state))
    for (const t of ['state', 'inbox.message', 'x.poll.won']) peer.send(peer.event({ t, at: 5, d: { t } }))
    expect([await alone.next(), await alone.next(), await alone.next()]).toEqual(['state', 'inbox.message', 'x.poll.won'])
    expect(await won.next()).toEqual([{ t: 'x.poll.won' }, 5])
    expect(heard).toEqual([])
    expect(inRoom.length).toBe(0)
  })
})

test('a refusal is an error with code, wait and detail', async () => {
  const { room, peer } = await joined(start())
  const sending = room.send({ text: 'hi' }).catch((error: unknown) => error)
  const send = await peer.expect('danmaku.send')
  expect(send.ik).toMatch(/^[0-9a-f]{32}$/)
  peer.send(peer.refusal(send, { code: 'chat.slow_mode', retryAfterMs: 3100 }))
  const error = await sending
  expect(error).toBeInstanceOf(RefusedError)
  expect(error).toMatchObject({ code: 'chat.slow_mode', retryAfterMs: 3100, retry: true })
})

test('resumes after a loss and delivers nothing twice', async () => {
  const live = start()
  const { room, peer } = await joined(live)
  const seen = eventsOf(room)
  peer.send(peer.event(danmaku(11)))
  expect((await seen.next()).seq).toBe(11)
  peer.socket.terminate()
  const { retryInMs } = await until('waiting')
  expect(retryInMs).toBe(250) // half of the first span
  expect(room.status).toBe('away')

  await clock.advanceAsync(retryInMs)
  const second = await peers.next()
  await second.open()
  const join = await second.expect('room.join')
  expect(join.d).toEqual({ resume: { epoch: 1, seq: 11 } })
  const frame = [
    second.reply(join, { epoch: 1, seq: 14, resumed: true }),
    ...[11, 12, 14, 13, 14, 15].map((seq) => second.event(danmaku(seq))),
  ]
  second.send(...frame)
  const after = [await seen.next(), await seen.next(), await seen.next()]
  expect(after.map(({ seq, missed }) => [seq, missed])).toEqual([
    [12, true],
    [14, true],
    [15, false],
  ])
  expect(room.status).toBe('joined')
  expect(seen.length).toBe(0)
})

test.each(['json', 'proto'] as const)('what is state comes with the answer to a resume, in %s', async (encoding) => {
  const live = start({ encoding })
  const track = (id: string) => ({ id, userId: 'own', kind: 'video', source: 'main' })
  const stream = (id: string, line: string) => ({ state: 'live', tracks: [track(id)], lines: [], line, degradeLevel: 0 })
  const { room, peer } = await joined(
    live,
    snapshot(10, { stream: stream('one', 'primary'), mic: { seats: [], waiting: 3, place: 1 } }),
  )
  const seen = eventsOf(room)
  peer.socket.terminate()
  await clock.advanceAsync((await until('waiting')).retryInMs)
  const second = await peers.next()
  await second.open()
  const join = await second.expect('room.join')
  const states: unknown[] = []
  room.on('change', ({ stream: now }) => states.push(now?.tracks.map(({ id }) => id)))
  const invitation = { inviteId: 'i1', by: { id: 'own', name: 'Own' }, expireAt: startAt + 30_000 }
  const me = { userId: 'ann', name: 'Ann!', roles: [], anonymous: false, invitation }
  const now = {
    stream: stream('three', 'backup'),
    mic: { seats: [], waiting: 0 },
    me,
    online: { unique: 9, connections: 9, peak: 9 },
  }
  const published = (seq: number, id: string) => ({
    t: 'stream.published',
    room: 'demo',
    seq,
    at: startAt,
    d: { track: track(id) },
  })
  const frame = [
    second.reply(join, { epoch: 1, seq: 14, resumed: true, ...now }),
    ...[published(12, 'two'), { ...published(13, 'two'), t: 'stream.unpublished', d: { trackId: 'two', reason: '' } }],
    ...[published(14, 'three'), published(15, 'four')],
  ]
  second.send(...frame.map((part) => (part instanceof Uint8Array ? part : second.event(part))))
  for (let n = 0; n < 4; n++) await seen.next()
  expect(room.state).toMatchObject({ ...now, stream: { line: 'backup', tracks: [track('three'), track('four')] } })
  expect(room.state.mic?.place).toBeUndefined()
  // What was there meanwhile is never shown: nobody would get it.
  expect(states).not.toContainEqual(expect.arrayContaining(['two']))
})

test('a resync brings the state and the danmaku that were not seen', async () => {
  const live = start()
  const { room, peer } = await joined(live)
  const seen = eventsOf(room)
  peer.send(peer.event(danmaku(11)))
  await seen.next()
  const resyncs = new Arrivals<string[]>()
  room.on('resync', ({ missed }) => resyncs.push(missed.map(({ d }) => d.id)))

  const anew = snapshot(40, { epoch: 2, likes: 7, danmaku: [danmaku(11), danmaku(30)] })
  peer.send(peer.event({ t: 'room.resynced', room: 'demo', d: { snapshot: anew } }))
  expect(await resyncs.next()).toEqual(['m30'])
  expect(room.state.likes).toBe(7)
  expect(room.position).toEqual({ epoch: 2, seq: 40 })
  peer.send(peer.event(danmaku(40)), peer.event(danmaku(41)))
  expect((await seen.next()).seq).toBe(41)

  peer.socket.terminate()
  await clock.advanceAsync((await until('waiting')).retryInMs)
  const second = await peers.next()
  await second.open()
  const join = await second.expect('room.join')
  second.send(second.reply(join, { ...snapshot(3, { epoch: 3, danmaku: [danmaku(2)] }), resync: true }))
  expect(await resyncs.next()).toEqual(['m2'])
})

test('send repeats once with the same key after a lost answer; other calls fail', async () => {
  const live = start()
  const { room, peer } = await joined(live)
  const sending = room.send({ text: 'hi' })
  const liking = room.like(2).catch((error: unknown) => error)
  const first = await peer.expect('danmaku.send')
  await peer.expect('like.tap')
  peer.socket.terminate()
  expect(await liking).toMatchObject({ name: 'ConnectionLostError', sent: true })
  await clock.advanceAsync((await until('waiting')).retryInMs)
  const second = await peers.next()
  await second.open()
  const join = await second.expect('room.join')
  const again = await second.expect('danmaku.send')
  expect(again.ik).toBe(first.ik)
  second.send(second.reply(join, { epoch: 1, seq: 12, resumed: true }), second.reply(again, { id: 'm12', seq: 12, text: 'hi' }))
  expect(await sending).toEqual({ id: 'm12', seq: 12, text: 'hi' })
})

test('close codes say whether to come back', async () => {
  const live = start()
  const { room, peer } = await joined(live)
  peer.socket.close(4001, 'too slow')
  await clock.advanceAsync((await until('waiting')).retryInMs)
  const second = await peers.next()
  await second.open()
  await until('open')
  second.socket.close(4502, 'kicked')
  expect(await until('closed')).toMatchObject({ code: 4502, reason: 'kicked' })
  expect(room.end).toMatchObject({ code: 'room.kicked' })
  await expect(live.call('room.list', {})).rejects.toBeInstanceOf(ClientClosedError)
  await expect(live.join('demo')).rejects.toBeInstanceOf(ClientClosedError)
  await clock.advanceAsync(600_000)
  expect(peers.length).toBe(0)
})

test('an expired token is asked for anew, and renewed before it expires', async () => {
  let asked = 0
  const live = start({ token: async () => `T${++asked}` })
  const peer = await peers.next()
  const open = await peer.open({ expiresAt: startAt + 600_000, heartbeatMs: 3_600_000 })
  expect(open.d).toMatchObject({ token: 'T1' })
  await until('open')
  await clock.advanceAsync(539_999)
  expect(asked).toBe(1)
  await clock.advanceAsync(1) // 60 s before the end
  const renewal = await peer.requests.next()
  expect(renewal).toMatchObject({ t: 'session.renew', d: { token: 'T2' } })
  peer.send(peer.reply(renewal, { expiresAt: startAt + 1_200_000 }))
  peer.socket.close(4003, 'expired')
  const { retryInMs } = await until('waiting')
  await clock.advanceAsync(retryInMs)
  const second = await peers.next()
  expect((await second.expect('session.open')).d).toMatchObject({ token: 'T3' })
  expect(live.state.name).toBe('connecting')
})

test('a refused old token is asked for anew once, a refused new one ends the client', async () => {
  let asked = 0
  start({ token: async () => `T${++asked}` })
  const peer = await peers.next()
  await peer.open()
  await until('open')
  peer.socket.terminate()
  await clock.advanceAsync((await until('waiting')).retryInMs)
  const second = await peers.next()
  second.send(second.refusal(await second.expect('session.open'), { code: 'auth.invalid' }))
  await clock.advanceAsync((await until('waiting')).retryInMs)
  const third = await peers.next()
  const open = await third.expect('session.open')
  expect(open.d).toMatchObject({ token: 'T2' })
  third.send(third.refusal(open, { code: 'auth.invalid' }))
  expect(await until('closed')).toMatchObject({ code: 4503 })
})

test('an expired token that cannot be had anew ends the client', async () => {
  start({ token: 'T' })
  const peer = await peers.next()
  await peer.open()
  peer.socket.close(4003, 'expired')
  expect(await until('closed')).toMatchObject({ code: 4003 })
})

test('a heartbeat without an answer is a lost connection', async () => {
  const live = start()
  const rtts = new Arrivals<number>()
  live.on('rtt', (rttMs) => rtts.push(rttMs))
  const peer = await peers.next()
  await peer.open()
  await until('open')
  await clock.advanceAsync(30_000)
  const ping = await peer.expect('session.ping')
  clock.advance(40)
  peer.send(peer.reply(ping, { serverAt: clock.now() }))
  expect(await rtts.next()).toBe(40)
  await clock.advanceAsync(30_000)
  await peer.expect('session.ping')
  await clock.advanceAsync(10_000)
  expect(await until('waiting')).toMatchObject({ reason: 'the heartbeat was not answered' })
})

test('a draining server is left when it says so', async () => {
  const live = start()
  const peer = await peers.next()
  await peer.open()
  await until('open')
  const draining = new Promise((resolve) => live.on('server.draining', resolve))
  peer.send(peer.event({ t: 'server.draining', d: { reconnectAfterMs: 4_000 } }))
  await draining
  peer.socket.close(4000, 'draining')
  expect((await until('waiting')).retryInMs).toBe(4_000)
  await clock.advanceAsync(4_000)
  await (await peers.next()).open()
  await until('open')
})

test('the back-off doubles up to its bound, and starts anew after a steady connection', async () => {
  const live = start({ retryMsMin: 1_000, retryMsMax: 3_000 })
  const waits: number[] = []
  for (let i = 0; i < 4; i++) {
    const peer = await peers.next()
    await peer.open()
    await until('open')
    peer.socket.terminate()
    waits.push((await until('waiting')).retryInMs)
    await clock.advanceAsync(waits.at(-1) ?? 0)
  }
  expect(waits).toEqual([500, 1_000, 1_500, 1_500])
  const peer = await peers.next()
  await peer.open()
  await until('open')
  await clock.advanceAsync(5_000)
  peer.socket.terminate()
  expect((await until('waiting')).retryInMs).toBe(500)
  live.reconnectNow()
  await (await peers.next()).open()
})

test('calls wait for a connection, are bounded, and end', async () => {
  const live = start({ callsMax: 2, callTimeoutMs: 5_000 })
  const first = live.call('room.list', {}).catch((error: unknown) => error)
  const second = live.call('room.list', {}, { timeoutMs: 60_000 })
  await expect(live.call('room.list', {})).rejects.toBeInstanceOf(TooManyCallsError)
  const peer = await peers.next()
  const open = await peer.expect('session.open')
  clock.advance(4_999)
  clock.advance(1)
  expect(await first).toMatchObject({ name: 'ConnectionLostError', sent: false })
  expect(await first).toBeInstanceOf(ConnectionLostError)
  live.call('room.list', {}).catch(() => undefined)
  // session.open itself was given up with the same bound, so the client comes back on a new connection
  expect(open.t).toBe('session.open')
  await clock.advanceAsync((await until('waiting')).retryInMs)
  const again = await peers.next()
  await again.open()
  again.send(again.reply(await again.expect('room.list'), { items: [] }))
  expect((await second).items).toEqual([])
})

test('a refused first join is the caller’s; a later one is asked again or ends the view', async () => {
  const live = start()
  const { room, peer } = await joined(live)
  const refused = live.join('full').catch((error: unknown) => error)
  peer.send(peer.refusal(await peer.expect('room.join'), { code: 'room.full' }))
  expect(await refused).toMatchObject({ code: 'room.full' })
  peer.socket.terminate()
  await clock.advanceAsync((await until('waiting')).retryInMs)
  const second = await peers.next()
  await second.open()
  second.send(second.refusal(await second.expect('room.join'), { code: 'room.full', retryAfterMs: 2_000 }))
  const listing = live.call('room.list', {}) // an answer behind the refusal: it has been read
  second.send(second.reply(await second.expect('room.list'), { items: [] }))
  await listing
  expect(room.status).toBe('away')
  await clock.advanceAsync(2_000)
  second.send(second.refusal(await second.expect('room.join'), { code: 'room.kicked' }))
  const end = await new Promise((resolve) => room.on('ended', resolve))
  expect(end).toMatchObject({ code: 'room.kicked' })
})

test('a room joined while the session opens is joined when it is open', async () => {
  const live = start()
  const peer = await peers.next()
  const open = await peer.expect('session.open')
  const joining = live.join('demo')
  peer.send(peer.reply(open, sessionReply))
  peer.send(peer.reply(await peer.expect('room.join'), snapshot(1)))
  expect((await joining).status).toBe('joined')
})

test('listeners that throw are reported and hurt nobody', async () => {
  const live = start()
  const faults = new Arrivals<unknown>()
  live.on('error', (error) => faults.push(error))
  const { room, peer } = await joined(live)
  room.on('danmaku.sent', () => {
    throw new Error('my bug')
  })
  const seen = new Arrivals<string>()
  const off = room.on('danmaku.sent', (d) => seen.push(d.text))
  peer.send(peer.event(danmaku(11)))
  expect(await seen.next()).toBe('text 11')
  expect(await faults.next()).toMatchObject({ message: 'my bug' })
  off()
  room.leave()
  await peer.expect('room.leave')
  expect(room.status).toBe('ended')
})

test('a kick ends the view and says why', async () => {
  const { room, peer } = await joined(start())
  const ended = new Promise((resolve) => room.on('ended', resolve))
  peer.send(
    peer.event({
      t: 'room.user_kicked',
      room: 'demo',
      seq: 11,
      at: 1,
      d: { userId: 'ann', untilAt: -1, reason: 'spam', by: 'own' },
    }),
  )
  expect(await ended).toEqual({ code: 'room.kicked', message: 'spam', detail: { untilAt: -1 } })
})

test('a frame that cannot be read drops the connection', async () => {
  const live = start()
  const faults = new Arrivals<unknown>()
  live.on('error', (error) => faults.push(error))
  const peer = await peers.next()
  await peer.open()
  await until('open')
  peer.socket.send(new Uint8Array([10, 200]))
  expect(await faults.next()).toMatchObject({ name: 'WireError' })
  await until('waiting')
})

test('an address that is none is refused at once; a socket that cannot be made is tried again', async () => {
  expect(() => new LiveClient(nodeHost, { url: 'http://127.0.0.1/live' })).toThrow(TypeError)
  let broken = true
  const openSocket: typeof nodeHost.openSocket = (url, subprotocol) => {
    if (broken) throw new Error('no network')
    return nodeHost.openSocket(url, subprotocol)
  }
  const live = start({}, { openSocket })
  const faults = new Arrivals<unknown>()
  live.on('error', (error) => faults.push(error))
  const { retryInMs } = await until('waiting')
  expect(await faults.next()).toMatchObject({ message: 'no network' })
  broken = false
  await clock.advanceAsync(retryInMs)
  await (await peers.next()).open()
  await until('open')
})
