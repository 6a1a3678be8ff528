/** The contract that scripts and bots rely on, frame by frame as it stands on the wire, and the same meaning in protobuf. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import WebSocket from 'ws'
import { commands } from '../../schemas/messages.ts'
import { startTestEngine, type TestClient, type TestEngine } from '../testing.ts'

let engine: TestEngine
beforeAll(async () => {
  engine = await startTestEngine()
})
afterAll(() => engine.stop())

/** A socket that shows frames as the text they are. */
function rawSocket(protocols: string[] = ['livehouse.v1.json']) {
  const socket = new WebSocket(engine.webSocketUrl, protocols)
  const frames: string[] = []
  const waits: (() => void)[] = []
  socket.on('message', (data) => {
    frames.push(String(data))
    waits.splice(0).forEach((resume) => {
      resume()
    })
  })
  const opened = new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject))
  const until = async (find: (frame: { re?: string; t?: string; batch?: unknown[] }) => boolean) => {
    for (;;) {
      const found = frames.find((frame) => find(JSON.parse(frame)))
      if (found !== undefined) return JSON.parse(found)
      await new Promise<void>((resume) => waits.push(resume))
    }
  }
  return { socket, frames, opened, until, reply: (re: string) => until((frame) => frame.re === re) }
}

const eventIn = (frame: { t?: string; batch?: { t: string }[] }, t: string) =>
  (frame.batch ?? [frame]).find((event) => event.t === t)

describe('the JSON form', () => {
  it('opens, joins, sends and shows, each reply and event in the written shape, with pipelined commands', async () => {
    const { socket, opened, until, reply } = rawSocket()
    await opened
    expect(socket.protocol).toBe('livehouse.v1.json')
    const token = await engine.token('ann', { name: 'Ann' })
    // All at once: nobody waits for a reply before the next command.
    socket.send(JSON.stringify({ id: '1', t: 'session.open', d: { token, platform: 'web', deviceId: 'd1' } }))
    socket.send('{"id":"2","t":"room.join","room":"demo"}')
    socket.send('{"id":"3","t":"danmaku.send","room":"demo","d":{"text":"hello"}}')

    expect(await reply('1')).toEqual({
      re: '1',
      ok: true,
      d: {
        sid: expect.stringMatching(/^\w+$/),
        userId: 'ann',
        name: 'Ann',
        anonymous: false,
        serverAt: expect.any(Number),
        heartbeatMs: 30_000,
        expiresAt: expect.any(Number),
        limits: {
          inboxMax: 64,
          inboundFrameBytesMax: 16_384,
          roomsPerSessionMax: 20,
          danmakuCodePointsMax: 40,
          danmakuPerClientMax: 40,
        },
      },
    })
    const joined = await reply('2')
    expect(joined).toMatchObject({
      re: '2',
      ok: true,
      d: {
        epoch: expect.any(Number),
        seq: expect.any(Number),
        room: { id: 'demo', state: 'open', title: expect.any(String), version: expect.any(Number) },
        settings: { chat: true, slowModeMs: 0, muteAll: false },
        online: { unique: 1, connections: 1, peak: 1 },
        danmaku: [],
        me: { userId: 'ann', name: 'Ann', roles: [], anonymous: false },
      },
    })
    const sent = await reply('3')
    expect(sent).toEqual({ re: '3', ok: true, d: { id: expect.any(String), seq: expect.any(Number), text: 'hello' } })
    expect(sent.d.seq).toBeGreaterThan(joined.d.seq)

    const shown = eventIn(await until((frame) => eventIn(frame as never, 'danmaku.sent') !== undefined), 'danmaku.sent')
    expect(shown).toEqual({
      t: 'danmaku.sent',
      room: 'demo',
      seq: sent.d.seq,
      at: expect.any(Number),
      d: { id: sent.d.id, from: { id: 'ann', name: 'Ann' }, text: 'hello', mode: 'scroll', color: 0xffffff, size: 'm' },
    })
    socket.close()
  })

  it('resumes with the missed events behind the reply, or resyncs with a snapshot', async () => {
    const ann = await engine.connect({ token: await engine.token('ann2') })
    const { epoch, seq } = await ann.ok('room.join', {}, 'demo')
    await ann.close()
    const bob = await engine.connect({ token: await engine.token('bob2') })
    await bob.ok('room.join', {}, 'demo')
    const missed = await bob.ok('danmaku.send', { text: 'while you were away' }, 'demo')

    const { socket, opened, until, reply } = rawSocket()
    await opened
    socket.send(JSON.stringify({ id: '4', t: 'session.open', d: { token: await engine.token('ann2') } }))
    socket.send(JSON.stringify({ id: '5', t: 'room.join', room: 'demo', d: { resume: { epoch, seq } } }))
    const answer = await reply('5')
    expect(answer).toMatchObject({ re: '5', ok: true, d: { epoch, seq: expect.any(Number), resumed: true, likes: 0 } })
    expect(answer.d).not.toHaveProperty('danmaku')
    expect(answer.d.seq).toBeGreaterThanOrEqual(missed.seq)
    const shown = eventIn(await until((frame) => eventIn(frame as never, 'danmaku.sent') !== undefined), 'danmaku.sent')
    expect(shown).toMatchObject({ seq: missed.seq, d: { id: missed.id } })

    socket.send(JSON.stringify({ id: '6', t: 'room.join', room: 'demo', d: { resume: { epoch: epoch + 9, seq } } }))
    expect(await reply('6')).toMatchObject({ re: '6', ok: true, d: { epoch, resync: true, room: { id: 'demo' } } })
    socket.close()
  })

  it('refuses with a code, a message and how long to wait', async () => {
    const { socket, opened, reply } = rawSocket()
    await opened
    socket.send(JSON.stringify({ id: 'o', t: 'session.open', d: { token: await engine.token('quick') } }))
    socket.send('{"id":"j","t":"room.join","room":"demo"}')
    for (const n of [1, 2, 3, 4]) socket.send(`{"id":"${n}","t":"danmaku.send","room":"demo","d":{"text":"n ${n}"}}`)
    expect(await reply('4')).toEqual({
      re: '4',
      ok: false,
      err: { code: 'rate.limited', msg: expect.any(String), retryAfterMs: expect.any(Number) },
    })
    socket.close()
  })

  it('is spoken where no subprotocol is named, without naming one back', async () => {
    const { socket, opened, reply } = rawSocket([])
    await opened
    expect(socket.protocol).toBe('')
    socket.send('{"id":"1","t":"session.ping","d":{"at":7}}')
    expect(await reply('1')).toEqual({ re: '1', ok: true, d: { at: 7, serverAt: expect.any(Number) } })
    socket.close()
  })
})

describe('subprotocols', () => {
  it('an unknown one is refused before there is a socket', async () => {
    const { socket } = rawSocket(['livehouse.v9.cbor'])
    const status = await new Promise((resolve) => {
      socket.once('unexpected-response', (_request, response) => resolve(response.statusCode))
      socket.on('error', () => {})
    })
    expect(status).toBe(400)
  })

  it('offered with others, the known one is chosen', async () => {
    const { socket, opened } = rawSocket(['livehouse.v9.cbor', 'livehouse.v1.json'])
    await opened
    expect(socket.protocol).toBe('livehouse.v1.json')
    socket.close()
  })
})

describe('without a token', () => {
  it('one may watch and read', async () => {
    const guest = await engine.connect({ deviceId: 'phone' })
    const joined = await guest.ok('room.join', {}, 'demo')
    expect(joined.me).toMatchObject({ anonymous: true, userId: expect.stringMatching(/^anon_[\w-]{10,}$/) })
    const { items } = await guest.ok('room.list')
    expect(items.map((room: { id: string }) => room.id)).toContain('demo')
    const ann = await engine.connect({ token: await engine.token('ann3') })
    await ann.ok('room.join', {}, 'demo')
    await ann.ok('danmaku.send', { text: 'for guests too' }, 'demo')
    await guest.next((event) => event.d.text === 'for guests too')
  })

  const reads = ['session.open', 'session.ping', 'room.join', 'room.leave', 'room.list', 'gift.list', 'rank.get']
  const watching = [
    ...['stream.get_capabilities', 'stream.create_transport', 'stream.connect_transport', 'stream.restart_ice'],
    ...['stream.play', 'stream.resume_play', 'stream.pause_play', 'stream.stop_play', 'stream.set_layers', 'stream.report_qos'],
  ]
  const writes = Object.keys(commands).filter((name) => ![...reads, ...watching].includes(name))

  it.each(writes)('%s is auth.required', async (t) => {
    const guest = await engine.connect()
    await guest.ok('room.join', {}, 'demo')
    // Whatever the body: not even its faults are told.
    expect(await guest.refused(t, {}, 'demo')).toMatchObject({ code: 'auth.required' })
    expect(
      await guest.refused(t, { token: '', text: 'x', n: 1, title: 'x', userId: 'a', role: 'admin' }, 'nowhere'),
    ).toMatchObject({ code: 'auth.required' })
    guest.drop()
  })

  it('an id is the same for one device and another for another, and tells nothing of it', async () => {
    const id = async (deviceId?: string) => {
      const guest = await engine.connect(deviceId === undefined ? {} : { deviceId })
      return (await guest.ok('room.join', {}, 'demo')).me.userId as string
    }
    const [first, again, other, none, none2] = [await id('tv'), await id('tv'), await id('radio'), await id(), await id()]
    expect(again).toBe(first)
    expect(new Set([first, other, none, none2]).size).toBe(4)
    expect(first).not.toContain('tv')
  })
})

describe('protobuf and JSON mean the same', () => {
  /** What differs from run to run, by name: ids, instants and places. */
  const varying = /^(sid|userId|serverAt|expiresAt|id|seq|at|epoch|re|openedAt|liveId|untilAt|shownAt|messageId)$/
  const shape = (value: unknown, key = ''): unknown => {
    if (typeof value === 'string' && /^[0-9A-HJKMNP-TV-Z]{26}$/.test(value)) return 'an id'
    if (Array.isArray(value)) return value.map((item) => shape(item))
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(
        // Protobuf does not tell an empty list from none: readers take both for empty.
        Object.entries(value)
          .filter(([, item]) => !(Array.isArray(item) && item.length === 0))
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([name, item]) => [name, shape(item, name)]),
      )
    return varying.test(key) ? typeof value : value
  }

  /** The same visit in both encodings, in a room of its own. */
  async function visit(encoding: 'json' | 'proto') {
    const room = `equal_${encoding}`
    const host = await engine.connect({ token: await engine.token('host', { name: 'Host', scope: 'streamer' }), encoding })
    const said: unknown[] = []
    const say = async (client: TestClient, t: string, d: unknown, to?: string) => {
      const { re: _, ...reply } = await client.call(t, d, to)
      said.push([t, shape(JSON.parse(JSON.stringify(reply).replaceAll(room, 'room')))])
      return (reply.ok ? reply.d : {}) as { id: string; epoch: number; seq: number }
    }
    await say(host, 'room.create', { roomId: room, title: 'Equal 同じ', intro: 'x' })
    await say(host, 'room.open', {}, room)
    const place = await say(host, 'room.join', { source: 'test' }, room)
    const ann = await engine.connect({ token: await engine.token('ann', { name: 'Ann' }), encoding })
    await say(ann, 'room.join', {}, room)
    await ann.next('room.user_joined')
    const first = await say(ann, 'danmaku.send', { text: '你好 👋', color: 0xff5252, size: 'l' }, room)
    await say(ann, 'danmaku.send', { emoteId: 'heart', replyTo: first.id }, room)
    await say(ann, 'danmaku.send', { text: '' }, room)
    await say(ann, 'danmaku.send', { text: 'x', mode: 'sideways' }, room)
    await say(ann, 'room.mute', { userId: 'host', durationMs: 1000 }, room)
    await say(host, 'room.mute', { userId: 'troll', durationMs: -1, reason: 'spam' }, room)
    await say(host, 'room.grant_role', { userId: 'ann', role: 'assistant' }, room)
    await say(host, 'room.set_settings', { slowModeMs: 0, reverseMode: true }, room)
    await say(host, 'wall.show', { messageId: first.id, showMs: 60_000 }, room)
    await say(host, 'like.tap', { n: 3 }, room)
    await say(host, 'room.list_restrictions', {}, room)
    await ann.next('like.changed')
    await say(host, 'room.update', { title: 'New', cover: '' }, room)
    await say(host, 'room.join', { resume: { epoch: place.epoch, seq: place.seq } }, room)
    await say(host, 'room.join', {}, room)
    await say(host, 'danmaku.remove', { id: first.id }, room)
    await say(host, 'room.close', { reason: 'done' }, room)
    await ann.next('room.closed')
    const heard = ann.events
      .filter(({ t }) => t !== 'room.online')
      .map((event) => shape(JSON.parse(JSON.stringify(event).replaceAll(room, 'room'))))
    return { said, heard: heard.filter((event) => (event as { t: string }).t !== 'room.closed') }
  }

  it('for every reply and every event of a whole evening', async () => {
    const json = await visit('json')
    const proto = await visit('proto')
    expect(proto.said).toEqual(json.said)
    expect(proto.heard).toEqual(json.heard)
    expect(json.heard.length).toBeGreaterThan(9)
  })
})
