/** What a stranger can throw at the public port: each gets a clear error or a close code, and nobody else notices. */
import { connect as tcp } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import WebSocket from 'ws'
import { decodeServerFrame, encodeRequest } from '../../schemas/wire.ts'
import { startTestEngine, type TestClient, type TestEngine } from '../testing.ts'

let engine: TestEngine
let neighbour: TestClient
beforeAll(async () => {
  engine = await startTestEngine({ danmakuPerUserPerSMax: 1000, danmakuPerUserBurstMax: 1000, danmakuPerClientMax: 0 })
})
afterAll(() => engine.stop())
beforeEach(async () => {
  neighbour?.drop()
  neighbour = await engine.connect({ token: await engine.token('neighbour') })
  await neighbour.ok('room.join', {}, 'demo')
})

/** The engine is alive and serves others as before. */
async function othersAreFine() {
  const { id } = await neighbour.ok('danmaku.send', { text: `still here ${Math.random()}` }, 'demo')
  await neighbour.next((event) => event.t === 'danmaku.sent' && event.d.id === id)
}

/** What the next frame answers to these bytes. */
async function answerTo(client: TestClient, frame: string | Uint8Array) {
  const known = client.replies.length
  client.send(frame)
  await client.roundTrip()
  return client.replies[known]
}

describe('a JSON connection', () => {
  const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
  const malformed: Record<string, string> = {
    nothing: '',
    'a space': ' ',
    'half an object': '{"id":"1"',
    'an array': '[1,2]',
    'an array of requests': '[{"id":"1","t":"session.ping"}]',
    null: 'null',
    'a number': '5',
    'a text': '"session.ping"',
    'an empty object': '{}',
    'a number as id': '{"id":1,"t":"session.ping"}',
    'no id': '{"t":"session.ping"}',
    'an id of 65 characters': `{"id":"${'a'.repeat(65)}","t":"session.ping"}`,
    'an empty id': '{"id":"","t":"session.ping"}',
    'null as command': '{"id":"1","t":null}',
    'an object as room': '{"id":"1","t":"room.join","room":{}}',
    'null as room': '{"id":"1","t":"room.join","room":null}',
    'a room of 10,000 characters': `{"id":"1","t":"room.join","room":"${'a'.repeat(10_000)}"}`,
    'nested too deep': `{"id":"1","t":"danmaku.send","d":${deep(20)}}`,
    'nested a thousand deep': deep(1000),
    'a batch': '{"batch":[{"id":"1","t":"session.ping"}]}',
  }

  it.each(Object.entries(malformed))('%s is request.malformed', async (_, frame) => {
    const client = await engine.connect()
    expect(await answerTo(client, frame)).toMatchObject({ ok: false, err: { code: 'request.malformed' } })
    await othersAreFine()
  })

  const invalid: Record<string, { t: string; d?: unknown; room?: string }> = {
    'a number as text': { t: 'danmaku.send', d: { text: 5 } },
    'null as text': { t: 'danmaku.send', d: { text: null } },
    'an array as body': { t: 'danmaku.send', d: [] },
    'null as body': { t: 'danmaku.send', d: null },
    'a text as body': { t: 'danmaku.send', d: 'hello' },
    'a colour that is none': { t: 'danmaku.send', d: { text: 'x', color: -1 } },
    'half a colour': { t: 'danmaku.send', d: { text: 'x', color: 1.5 } },
    'a mode that is none': { t: 'danmaku.send', d: { text: 'x', mode: '__proto__' } },
    'a size that is none': { t: 'danmaku.send', d: { text: 'x', size: 'xxl' } },
    'an emote with a dot': { t: 'danmaku.send', d: { emoteId: '../x' } },
    'a text of 5,000': { t: 'danmaku.send', d: { text: 'x'.repeat(5000) } },
    '31 likes': { t: 'like.tap', d: { n: 31 } },
    '0 likes': { t: 'like.tap', d: { n: 0 } },
    'a mute of 15 days': { t: 'room.mute', d: { userId: 'a', durationMs: 15 * 86_400_000 } },
    'a mute of -2': { t: 'room.mute', d: { userId: 'a', durationMs: -2 } },
    'a mute of nobody': { t: 'room.mute', d: { durationMs: 0 } },
    'a user with a dot': { t: 'room.mute', d: { userId: 'a.b', durationMs: 0 } },
    'a role that is none': { t: 'room.grant_role', d: { userId: 'a', role: 'owner' } },
    'an unknown switch': { t: 'room.set_settings', d: { godMode: true } },
    'no switch': { t: 'room.set_settings', d: {} },
    'a slow mode of an hour': { t: 'room.set_settings', d: { slowModeMs: 3_600_000 } },
    'an update of nothing': { t: 'room.update', d: {} },
    'a resume from -5': { t: 'room.join', d: { resume: { epoch: -5, seq: 0 } } },
    'a resume from a text': { t: 'room.join', d: { resume: 'yesterday' } },
    'no room': { t: 'room.leave', room: '' },
  }

  it.each(Object.entries(invalid))('%s is request.invalid and names the field', async (_, { t, d = {}, room = 'demo' }) => {
    const client = await engine.connect({ token: await engine.token('rude') })
    await client.ok('room.join', {}, 'demo')
    const err = await client.refused(t, d, room === '' ? undefined : room)
    expect(err).toMatchObject({ code: 'request.invalid', d: { field: expect.stringMatching(/.+/) } })
    client.drop()
    await othersAreFine()
  })

  it.each([
    'a.b',
    '*',
    '>',
    'demo.>',
    'demo cmd',
    'lh.room.demo',
    '../demo',
    'dem\u0000o',
    'démo',
    '房间',
    '$SYS',
    ''.padEnd(64, '.'),
  ])('the room %j reaches no subject of the bus', async (room) => {
    const client = await engine.connect({ token: await engine.token('rude') })
    for (const t of ['room.join', 'danmaku.send', 'room.mute'])
      expect(await client.refused(t, { userId: 'a', durationMs: 0, text: 'x' }, room)).toMatchObject({
        code: 'request.invalid',
        d: { field: 'room' },
      })
    client.drop()
    await othersAreFine()
  })

  it('rooms that do not exist leave nothing behind', async () => {
    const client = await engine.connect()
    for (let n = 0; n < 20; n++)
      expect(await client.refused('room.join', {}, `ghost${n}`)).toMatchObject({ code: 'room.not_found' })
    expect(engine.accounts.find('ghost0')).toBeUndefined()
    expect(engine.homes.find('ghost0')).toBeUndefined()
    expect(engine.edge.relay.rooms).toBe(1)
  })

  it('names of objects of the language are names like others', async () => {
    const host = await engine.connect({ token: await engine.token('__proto__', { scope: 'streamer', name: 'constructor' }) })
    await host.ok('room.create', { roomId: '__proto__', title: 'x' })
    await host.ok('room.open', {}, '__proto__')
    await host.ok('room.join', {}, '__proto__')
    await host.ok('danmaku.send', { text: '__proto__' }, '__proto__')
    expect(await host.next('danmaku.sent')).toMatchObject({ room: '__proto__', d: { from: { id: '__proto__' } } })
    await host.ok('room.mute', { userId: 'constructor', durationMs: 0 }, '__proto__')
    const fresh = await engine.connect({ token: await engine.token('toString') })
    expect((await fresh.ok('room.join', {}, '__proto__')).danmaku).toHaveLength(1)
    fresh.send('{"id":"p","t":"danmaku.send","room":"__proto__","d":{"text":"y","__proto__":{"color":9},"constructor":1}}')
    expect((await fresh.next((event) => event.d.text === 'y')).d).toMatchObject({ color: 0xffffff })
    expect(({} as { color?: number }).color).toBeUndefined()
    expect(await host.refused('__proto__')).toMatchObject({ code: 'request.unknown_command' })
    await othersAreFine()
  })

  it('an unknown command is answered with the nearest one', async () => {
    const client = await engine.connect()
    expect(await client.refused('danmuka.sned', {}, 'demo')).toMatchObject({
      code: 'request.unknown_command',
      d: { hint: 'danmaku.send' },
    })
    expect(await client.refused('edge.resync', {}, 'demo')).toMatchObject({ code: 'request.unknown_command' })
    expect(await client.refused('engine.room.get', {}, 'demo')).toMatchObject({ code: 'request.unknown_command' })
  })

  it('unknown fields are left out, not carried on', async () => {
    await neighbour.ok('danmaku.send', { text: 'plain', role: 'owner', from: { id: 'boss' } }, 'demo')
    const shown = await neighbour.next((event) => event.d.text === 'plain')
    expect(shown.d.from).toEqual({ id: 'neighbour', name: 'neighbour' })
  })

  it('binary is refused, and too many malformed frames close it', async () => {
    const client = await engine.connect()
    expect(await answerTo(client, new Uint8Array([1, 2, 3]))).toMatchObject({ ok: false, err: { code: 'request.malformed' } })
    for (let n = 0; n < 19; n++) client.send('rubbish')
    expect(await client.closed).toMatchObject({ code: 4500 })
    await othersAreFine()
  })

  it('a frame over the bound is refused by name and closed', async () => {
    const client = await engine.connect()
    client.send(`{"id":"1","t":"session.ping","d":{"x":"${'y'.repeat(17_000)}"}}`)
    expect(await client.closed).toMatchObject({ code: 4504 })
    expect(client.replies.at(-1)).toMatchObject({ ok: false, err: { code: 'request.too_large', d: { max: 16_384 } } })
    await othersAreFine()
  })

  it('a frame of megabytes ends the connection', async () => {
    const client = await engine.connect()
    client.send('x'.repeat(8_000_000))
    expect((await client.closed).code).toBeGreaterThanOrEqual(1000)
    await othersAreFine()
  })

  it('bad UTF-8 ends the connection', async () => {
    const socket = new WebSocket(engine.webSocketUrl, 'livehouse.v1.json')
    await new Promise((resolve) => socket.once('open', resolve))
    const closed = new Promise<number>((resolve) => socket.once('close', resolve).on('error', () => {}))
    // `ws` sends these bytes as a text frame without looking at them.
    socket.send(Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), { binary: false })
    expect([1006, 1007]).toContain(await closed)
    await othersAreFine()
  })

  it('lone surrogates become U+FFFD and never break the frame of others', async () => {
    const proto = await engine.connect({ encoding: 'proto' })
    await proto.ok('room.join', {}, 'demo')
    // A speaker of their own: the neighbour's bucket may be empty by now.
    const speaker = await engine.connect({ token: await engine.token('surrogate') })
    await speaker.ok('room.join', {}, 'demo')
    speaker.send('{"id":"s","t":"danmaku.send","room":"demo","d":{"text":"a\\ud800b"}}')
    const seen = (client: TestClient) => client.next((event) => event.t === 'danmaku.sent' && event.d.text === 'a\ufffdb')
    await Promise.all([seen(neighbour), seen(proto)])
  })
})

describe('a protobuf connection', () => {
  const good = encodeRequest('proto', { id: '1', t: 'danmaku.send', room: 'demo', d: { text: 'hello' } }) as Uint8Array

  it('text, half a message and other bytes are request.malformed', async () => {
    const client = await engine.connect({ encoding: 'proto', token: await engine.token('rude') })
    await client.ok('room.join', {}, 'demo')
    const frames: (string | Uint8Array)[] = [
      '{"id":"1","t":"session.ping"}',
      good.slice(0, -3),
      good.slice(0, 5),
      new Uint8Array([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
      new Uint8Array([0x0a, 0x03, 0x0a, 0x01, 0xff]),
      new Uint8Array(32).fill(0xff),
      new Uint8Array([0x0a, 0x00]),
    ]
    for (const frame of frames)
      expect(await answerTo(client, frame)).toMatchObject({ ok: false, err: { code: 'request.malformed' } })
    await othersAreFine()
  })

  it('every cut of a good frame gets an answer or none, and the connection goes on', async () => {
    const client = await engine.connect({ encoding: 'proto', token: await engine.token('rude2') })
    await client.ok('room.join', {}, 'demo')
    for (let cut = 1; cut < 15; cut++) client.send(good.slice(0, cut))
    await client.roundTrip()
    client.send(good)
    await client.next((event) => event.t === 'danmaku.sent' && event.d.text === 'hello')
  })

  it('an unknown command is named in protobuf too', async () => {
    const client = await engine.connect({ encoding: 'proto' })
    const text = (field: number, value: string) => [(field << 3) | 2, value.length, ...Buffer.from(value)]
    const request = [...text(1, '1'), ...text(2, 'room.jion')]
    client.send(new Uint8Array([0x0a, request.length, ...request]))
    await client.roundTrip()
    expect(client.replies.at(-2)).toMatchObject({
      re: '1',
      ok: false,
      err: { code: 'request.unknown_command', d: { hint: 'room.join' } },
    })
  })

  it('hundreds of requests in one frame are bounded', async () => {
    const client = await engine.connect({ encoding: 'proto' })
    const one = encodeRequest('proto', { id: '1', t: 'session.ping', d: {} }) as Uint8Array
    client.send(Buffer.concat(Array.from({ length: 600 }, () => one)))
    await client.roundTrip()
    expect(client.replies.filter(({ ok }) => ok).length).toBeLessThan(70)
    expect(client.replies).toContainEqual(
      expect.objectContaining({ err: expect.objectContaining({ code: 'request.malformed' }) }),
    )
  })

  it('frames of requests count as requests: the rate of a session cannot be multiplied', async () => {
    const client = await engine.connect({ encoding: 'proto' })
    const one = encodeRequest('proto', { id: '1', t: 'session.ping', d: {} }) as Uint8Array
    const packed = Buffer.concat(Array.from({ length: 64 }, () => one))
    for (let n = 0; n < 10; n++) client.send(packed)
    const closedOrPinged = await Promise.race([client.closed, client.call('session.ping').catch(() => undefined)])
    expect(closedOrPinged).toBeDefined()
    // A burst of 200, and what comes in a second at most.
    expect(client.replies.filter(({ ok }) => ok).length).toBeLessThan(400)
  })
})

describe('10,000 frames from one socket', () => {
  it('are refused with rate.limited and then closed, while a neighbour goes on', async () => {
    const flooder = await engine.connect({ token: await engine.token('flood') })
    await flooder.ok('room.join', {}, 'demo')
    for (let n = 0; n < 10_000; n++) flooder.send(`{"id":"${n}","t":"danmaku.send","room":"demo","d":{"text":"flood ${n}"}}`)
    const during = othersAreFine()
    expect(await flooder.closed).toMatchObject({ code: 4501 })
    await during
    const limited = flooder.replies.filter((reply) => !reply.ok && reply.err.code === 'rate.limited')
    expect(limited.length).toBeGreaterThanOrEqual(500)
    expect(limited[0]).toMatchObject({ err: { retryAfterMs: expect.any(Number) } })
    await othersAreFine()
  })
})

describe('HTTP on the public port', () => {
  const post = (body: string, headers: Record<string, string> = {}) =>
    fetch(`${engine.publicUrl}/dev/token`, { method: 'POST', body, headers })

  /** Raw bytes, so that every header is ours. */
  function raw(text: string): Promise<string> {
    return new Promise((resolve) => {
      const { port } = new URL(engine.publicUrl)
      const socket = tcp(Number(port), '127.0.0.1', () => socket.write(text))
      let answer = ''
      socket.on('data', (chunk) => {
        answer += chunk
        if (answer.includes('\r\n\r\n')) socket.destroy()
      })
      socket.on('error', () => {})
      socket.on('close', () => resolve(answer))
    })
  }

  it('junk and half-open upgrades harm nobody', async () => {
    const junk = [
      'GET / HTTP/9.9\r\n\r\n',
      'NONSENSE\r\n\r\n',
      `GET /live HTTP/1.1\r\nHost: x\r\n\r\n`,
      `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
      'POST /dev/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n',
      'GET /live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      'GET /live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: AAAA\r\nSec-WebSocket-Version: 99\r\n\r\n',
    ]
    const { port } = new URL(engine.publicUrl)
    const halfOpen = Array.from({ length: 50 }, () => {
      const socket = tcp(Number(port), '127.0.0.1')
      socket.on('error', () => {})
      socket.write('GET /live HTTP/1.1\r\nHost: x\r\nUpgr')
      return socket
    })
    for (const text of junk) void raw(text)
    await othersAreFine()
    for (const socket of halfOpen) socket.destroy()
    await othersAreFine()
  })

  it('a body too large is refused before it is read, and the port lives on', async () => {
    expect((await post('x'.repeat(5_000))).status).toBe(413)
    const chunked = await fetch(`${engine.publicUrl}/dev/token`, {
      method: 'POST',
      body: new Blob(['x'.repeat(9_000)]).stream(),
      duplex: 'half',
    } as RequestInit)
    expect(chunked.status).toBe(413)
    await othersAreFine()
  })

  it('/dev/token: a viewer, the owner of demo, and nothing else', async () => {
    const viewer = (await (await post('{"as":"viewer","name":"Ann"}')).json()) as { token: string; name: string }
    expect(viewer.name).toBe('Ann')
    const client = await engine.connect({ token: viewer.token })
    expect(await client.refused('room.create', { title: 'x' })).toMatchObject({ code: 'perm.denied' })
    const owner = (await (await post('{"as":"owner","room":"demo"}')).json()) as { token: string }
    const host = await engine.connect({ token: owner.token })
    expect((await host.ok('room.join', {}, 'demo')).me.roles).toContain('owner')
    for (const body of ['', '[]', 'null', '{"as":"operator"}', '{"name":5}', '{"as":"owner","room":"other"}', '{"as":"owner"}'])
      expect((await post(body)).status, body).toBeGreaterThanOrEqual(400)
    expect((await fetch(`${engine.publicUrl}/dev/token`)).status).toBe(404)
  })

  it('/dev/token answers only where Host and Origin are this server', async () => {
    const { host, port } = new URL(engine.publicUrl)
    const ask = async (hostHeader: string, origin?: string) => {
      const body = '{"as":"viewer"}'
      const head = [`POST /dev/token HTTP/1.1`, `Host: ${hostHeader}`, `Content-Length: ${body.length}`]
      if (origin !== undefined) head.push(`Origin: ${origin}`)
      return (await raw(`${head.join('\r\n')}\r\n\r\n${body}`)).split(' ')[1]
    }
    expect(await ask(host)).toBe('200')
    expect(await ask(host, `http://${host}`)).toBe('200')
    expect(await ask(`localhost:${port}`, `http://localhost:${port}`)).toBe('200')
    expect(await ask('evil.example')).toBe('403')
    // Names that only begin like our address belong to whoever owns the domain.
    expect(await ask(`127.0.0.1.evil.example:${port}`, `http://127.0.0.1.evil.example:${port}`)).toBe('403')
    expect(await ask(`127.evil.example`)).toBe('403')
    expect(await ask(host, 'https://evil.example')).toBe('403')
    expect(await ask(host, 'null')).toBe('403')
    expect(await ask(host, `http://localhost:1`)).toBe('403')
  })

  it('dev login is off where a secret was given', async () => {
    const own = await startTestEngine({ secret: 's'.repeat(40) })
    expect(own.hasDevLogin).toBe(false)
    const answer = await fetch(`${own.publicUrl}/dev/token`, { method: 'POST', body: '{"as":"viewer"}' })
    expect(answer.status).toBe(404)
    await own.stop()
    const production = await startTestEngine({}, { env: { NODE_ENV: 'production' } })
    expect(production.hasDevLogin).toBe(false)
    await production.stop()
  })
})

it('replies are what the contract says even to the rudest', async () => {
  const client = await engine.connect()
  client.send('{"id":"1","t":"room.join","room":"demo","ik":""}')
  await client.roundTrip()
  const frame = JSON.stringify(client.replies.at(-2))
  expect(decodeServerFrame(frame)[0]).toMatchObject({ ok: false, err: { code: 'request.malformed' } })
})
