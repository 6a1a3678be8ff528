/** Sessions over real sockets: tokens, renewal, expiry, time-outs and the bounds of a session. */
import { createHmac } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import type { Config } from '../config.ts'
import { startTestEngine, TestClock, type TestEngine } from '../testing.ts'

let engine: TestEngine
afterEach(() => engine.stop())

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
/** A token put together by hand, so that each claim can be wrong. */
function forge(secret: Uint8Array | string, claims: Record<string, unknown>, header: Record<string, unknown> = { alg: 'HS256' }) {
  const body = `${part(header)}.${part(claims)}`
  const hash = header['alg'] === 'HS512' ? 'sha512' : 'sha256'
  return `${body}.${header['alg'] === 'none' ? '' : createHmac(hash, secret).update(body).digest('base64url')}`
}

describe('tokens', () => {
  it('only ours open a session; what is wrong with the others is not told', async () => {
    engine = await startTestEngine()
    const nowS = Math.floor(Date.now() / 1000)
    const good = { sub: 'ann', aud: 'livehouse', iat: nowS, exp: nowS + 600 }
    const { secret } = engine
    const flipped = forge(secret, good).replace(/.(?=.$)/, (letter) => (letter === 'A' ? 'B' : 'A'))
    const { exp: _, ...noExp } = good
    const { aud: __, ...noAud } = good
    const { sub: ___, ...noSub } = good
    const bad: Record<string, string> = {
      expired: forge(secret, { ...good, exp: nowS - 1 }),
      'expired in this second': forge(secret, { ...good, exp: nowS }),
      'for another audience': forge(secret, { ...good, aud: 'elsewhere' }),
      'without audience': forge(secret, noAud),
      'without expiry': forge(secret, noExp),
      'without subject': forge(secret, noSub),
      'not valid yet': forge(secret, { ...good, nbf: nowS + 600 }),
      'with a subject of another kind': forge(secret, { ...good, sub: 7 }),
      'with dots in the subject': forge(secret, { ...good, sub: 'a.b' }),
      'with a wildcard': forge(secret, { ...good, sub: '*' }),
      'with a subject of 65 characters': forge(secret, { ...good, sub: 'a'.repeat(65) }),
      'with an empty subject': forge(secret, { ...good, sub: '' }),
      'of an anonymous viewer': forge(secret, { ...good, sub: 'anon_me' }),
      'of a bot': forge(secret, { ...good, sub: 'bot_me' }),
      'of a plugin': forge(secret, { ...good, sub: 'plugin_me' }),
      'alg none': forge(secret, good, { alg: 'none' }),
      'alg None': forge(secret, good, { alg: 'None' }),
      'alg HS512': forge(secret, good, { alg: 'HS512' }),
      'of another secret': forge('x'.repeat(32), good),
      'of an empty secret': forge('', good),
      'with its signature flipped': flipped,
      'with its claims exchanged': [
        part({ alg: 'HS256' }),
        part({ ...good, sub: 'bob' }),
        forge(secret, good).split('.')[2],
      ].join('.'),
      'cut off': forge(secret, good).slice(0, -5),
      'no token at all': 'rubbish',
      empty: '',
      'with spaces': ` ${forge(secret, good)}`,
    }
    for (const [what, token] of Object.entries(bad)) {
      const stranger = await engine.connect({ open: false })
      const err = await stranger.refused('session.open', { token })
      stranger.drop()
      expect(err, what).toEqual({ code: 'auth.invalid', msg: expect.any(String) })
      expect(err.msg, what).not.toContain(what)
    }
    const client = await engine.connect({ open: false })
    expect(await client.refused('session.open', { token: 'x'.repeat(5000) })).toMatchObject({ code: 'request.invalid' })
    expect(await client.refused('session.open', { token: 'rubbish' })).toMatchObject({ code: 'auth.invalid' })
    expect(await client.ok('session.open', { token: forge(secret, good) })).toMatchObject({ userId: 'ann', anonymous: false })
    expect(await client.refused('session.open', {})).toMatchObject({ code: 'session.already_open' })
  })

  it('after three bad ones the connection is closed, and the client need not come back with them', async () => {
    engine = await startTestEngine()
    const client = await engine.connect({ open: false })
    for (let n = 0; n < 3; n++)
      expect(await client.refused('session.open', { token: 'x' })).toMatchObject({ code: 'auth.invalid' })
    expect(await client.closed).toMatchObject({ code: 4503 })
  })

  it('a refused one leaves nothing open: what was pipelined behind it is refused too', async () => {
    engine = await startTestEngine()
    const client = await engine.connect({ open: false })
    const [open, join, list] = await Promise.all([
      client.call('session.open', { token: 'rubbish' }),
      client.call('room.join', {}, 'demo'),
      client.call('room.list'),
    ])
    expect(open).toMatchObject({ ok: false, err: { code: 'auth.invalid' } })
    expect(join).toMatchObject({ ok: false, err: { code: 'session.not_open' } })
    expect(list).toMatchObject({ ok: false, err: { code: 'session.not_open' } })
  })

  it('a name is shown clean, and falls back to the id', async () => {
    engine = await startTestEngine()
    const open = async (name: string) => {
      const client = await engine.connect({ open: false })
      return (await client.ok('session.open', { token: await engine.token('ann', { name }) })).name as string
    }
    expect(await open('A\u202enn\u0000 ')).toBe('Ann')
    expect(await open('  \u200b ')).toBe('ann')
    expect([...(await open('🎉'.repeat(100)))].length).toBe(64)
  })
})

describe('the life of a token', () => {
  async function withClock(options: Partial<Config> = {}) {
    const clock = new TestClock()
    engine = await startTestEngine({ ...options }, { clock })
    return clock
  }

  it('a notice a minute before its end, the close a grace after it', async () => {
    const clock = await withClock()
    const ann = await engine.connect({ token: await engine.token('ann', { ttlMs: 600_000 }) })
    const expiresAt = clock.now() + 600_000
    clock.advance(538_000)
    await ann.roundTrip()
    expect(ann.of('session.expiring')).toEqual([])
    clock.advance(3_000)
    expect((await ann.next('session.expiring')).d).toEqual({ expiresAt })
    clock.advance(118_000) // 59 s after its end: within the grace
    await ann.roundTrip()
    expect(ann.of('session.expiring')).toHaveLength(1)
    clock.advance(2_000)
    expect(await ann.closed).toMatchObject({ code: 4003 })
  })

  it('renewed in time it goes on; of another user or a bad one it does not count', async () => {
    const clock = await withClock()
    const ann = await engine.connect({ token: await engine.token('ann', { ttlMs: 600_000 }) })
    expect(await ann.refused('session.renew', { token: await engine.token('bob') })).toMatchObject({ code: 'session.wrong_user' })
    expect(await ann.refused('session.renew', { token: 'rubbish' })).toMatchObject({ code: 'auth.invalid' })
    const token = await engine.token('ann', { ttlMs: 3_600_000 })
    expect(await ann.ok('session.renew', { token })).toEqual({ expiresAt: clock.now() + 3_600_000 })
    clock.advance(3_500_000)
    await ann.roundTrip()
    expect(ann.of('session.expiring')).toEqual([])
    // A renewal may also come within the grace.
    clock.advance(130_000)
    await ann.next('session.expiring')
    await ann.ok('session.renew', { token: await engine.token('ann', { ttlMs: 600_000 }) })
    clock.advance(500_000)
    await ann.roundTrip()
    clock.advance(170_000)
    expect(await ann.closed).toMatchObject({ code: 4003 })
  })

  it('without session.open a socket is closed after openTimeoutMs, whatever else it sends', async () => {
    const clock = await withClock()
    const idle = await engine.connect({ open: false })
    const chatty = await engine.connect({ open: false })
    const late = await engine.connect({ open: false })
    clock.advance(9_000)
    await chatty.roundTrip()
    await late.ok('session.open', {})
    clock.advance(2_000)
    expect(await idle.closed).toMatchObject({ code: 4002 })
    expect(await chatty.closed).toMatchObject({ code: 4002 })
    await late.roundTrip()
  })
})

describe('bounds', () => {
  it('the ninth session of a user is refused, and a place is free again after a close', async () => {
    engine = await startTestEngine()
    const token = await engine.token('ann')
    const sessions = []
    for (let n = 0; n < 8; n++) sessions.push(await engine.connect({ token }))
    const ninth = await engine.connect({ open: false })
    expect(await ninth.refused('session.open', { token })).toMatchObject({ code: 'session.too_many', d: { max: 8 } })
    await engine.connect({ token: await engine.token('bob') })
    await sessions[3]?.close()
    await ninth.ok('session.open', { token })
  })

  it('rooms of a session, joined twice, left, left twice', async () => {
    engine = await startTestEngine({ roomsPerSessionMax: 2 })
    const ann = await engine.connect({ token: await engine.token('ann', { scope: 'streamer' }) })
    for (const roomId of ['a', 'b', 'c']) await ann.ok('room.create', { roomId, title: roomId })
    // Asked for at once: the bound holds for joins under way too.
    const joins = await Promise.all(['a', 'b', 'c'].map((room) => ann.call('room.join', {}, room)))
    expect(joins.map(({ ok }) => ok)).toEqual([true, true, false])
    expect(joins[2]).toMatchObject({ err: { code: 'room.too_many', d: { max: 2 } } })
    const again = await ann.ok('room.join', {}, 'a')
    expect(again).toMatchObject({ room: { id: 'a' }, online: { unique: 1, connections: 1 } })
    await ann.ok('room.leave', {}, 'a')
    expect(await ann.refused('room.leave', {}, 'a')).toMatchObject({ code: 'room.not_joined' })
    expect(await ann.refused('danmaku.send', { text: 'x' }, 'a')).toMatchObject({ code: 'room.not_joined' })
    await ann.ok('room.join', {}, 'c')
    expect(await ann.refused('room.join', {}, 'nowhere')).toMatchObject({ code: 'room.too_many' })
    await ann.ok('room.leave', {}, 'c')
    expect(await ann.refused('room.join', {}, 'nowhere')).toMatchObject({ code: 'room.not_found' })
  })

  it('the inbox: ordered commands wait their turn, ping does not, and more than inboxMax are refused', async () => {
    const clock = new TestClock()
    // With a tick that does not come by itself the first command stays under way.
    engine = await startTestEngine({ tickMsMin: 50, inboxMax: 5, demoRoom: '', danmakuPerUserBurstMax: 20 }, { clock })
    const tick = async <T>(work: Promise<T>) => {
      let done = false
      const settled = work.finally(() => (done = true))
      while (!done) {
        await new Promise((resolve) => setImmediate(resolve))
        clock.advance(1)
      }
      return settled
    }
    const ann = await tick(engine.connect({ token: await engine.token('ann', { scope: 'streamer' }) }))
    await tick(ann.ok('room.create', { roomId: 'slow', title: 'x' }))
    await tick(ann.ok('room.open', {}, 'slow'))
    await tick(ann.ok('room.join', {}, 'slow'))
    const order: string[] = []
    const sends = Array.from({ length: 9 }, (_, n) =>
      ann.call('danmaku.send', { text: `n ${n}` }, 'slow').then((reply) => {
        order.push(reply.ok ? `sent ${n}` : `${reply.err.code} ${n}`)
      }),
    )
    await ann.roundTrip()
    expect(order).toEqual(['session.inbox_full 6', 'session.inbox_full 7', 'session.inbox_full 8'])
    await tick(Promise.all(sends))
    expect(order.slice(3)).toEqual(['sent 0', 'sent 1', 'sent 2', 'sent 3', 'sent 4', 'sent 5'])
  })
})
