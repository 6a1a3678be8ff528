/** WHIP and WHEP on the public port, by clients that speak HTTP and nothing more: what each is answered, and who may do what. */
import type { ChildProcess } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { offers } from '../../sfu/sdp-offers.ts'
import { allow, definePlugin, deny } from '../plugin/index.ts'
import { startTestEngine, type TestClient, type TestEngine } from '../testing.ts'
import { mediaReady, sendPicture, until } from './fixtures/client.ts'

let engine: TestEngine
let isRefusing = false
const asked: unknown[] = []
const gate = definePlugin({
  name: 'gate',
  version: '1.0.0',
  guards: {
    'stream.publish': {
      order: 1,
      budgetMs: 1_000,
      onFailure: 'closed',
      run: ({ d }) => {
        asked.push(d)
        return isRefusing ? deny('stream.denied') : allow
      },
    },
    'room.join': {
      order: 1,
      budgetMs: 1_000,
      onFailure: 'closed',
      run: ({ d }) => (isRefusing && d.source === 'whep' ? deny('x.gate.members_only', 'Members only.') : allow),
    },
  },
})
const iceServers =
  '[{"urls":"stun:stun.example.org"},{"urls":["turn:turn.example.org:3478?transport=udp"],"username":"u","credential":"p"}]'
const children: ChildProcess[] = []
let rooms = 0

beforeAll(async () => {
  engine = await startTestEngine({ media: true, mediaWorkers: 1, iceServers }, { plugins: [gate] })
  await mediaReady(engine)
}, 60_000)
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await engine.stop()
})

async function stage(): Promise<{ room: string; owner: TestClient; token: string; ownerId: string }> {
  const room = `hall${++rooms}`
  const ownerId = `host${rooms}`
  const token = await engine.token(ownerId, { scope: 'streamer' })
  const owner = await engine.connect({ token })
  await owner.ok('room.create', { roomId: room, title: 'Hall' })
  await owner.ok('room.open', {}, room)
  await owner.ok('room.join', {}, room)
  return { room, owner, token, ownerId }
}
interface Asked {
  token?: string
  body?: string
  type?: string
  etag?: string
  method?: string
}
function ask(path: string, { token, body, type = 'application/sdp', etag, method = 'POST' }: Asked = {}) {
  const headers = {
    ...(body === undefined ? {} : { 'content-type': type }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(etag === undefined ? {} : { 'if-match': etag }),
  }
  return fetch(new URL(path, engine.publicUrl), { method, headers, ...(body === undefined ? {} : { body }) })
}
const statusOf = async (path: string, asking?: Asked) => (await ask(path, asking)).status
const lines = (room: string) => engine.homes.find(room)?.stream().lines ?? []
const isTaken = (room: string, line: string) => lines(room).some((one) => one.line === line && one.state !== 'idle')
const fragment = { method: 'PATCH', type: 'application/trickle-ice-sdpfrag' }
const trickle =
  'a=ice-ufrag:h7Qx\r\na=ice-pwd:q3Tz8yWmXk2LrV5nBc0dEf1g\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=end-of-candidates\r\n'

describe('WHIP', () => {
  it('an offer, candidates, a restart and the end', async () => {
    const { room, token } = await stage()
    const opened = await ask(`/whip/${room}`, { token, body: offers.obs })
    expect(opened.status).toBe(201)
    expect(opened.headers.get('content-type')).toBe('application/sdp')
    expect(await opened.text()).toContain('a=recvonly')
    const resource = opened.headers.get('location') as string
    expect(resource).toMatch(new RegExp(`^/whip/${room}/[\\w-]{20,}$`))
    expect(opened.headers.get('link')).toBe(
      '<stun:stun.example.org>; rel="ice-server", ' +
        '<turn:turn.example.org:3478?transport=udp>; rel="ice-server"; username="u"; credential="p"; credential-type="password"',
    )
    expect(opened.headers.get('access-control-expose-headers')).toContain('Location')
    expect(opened.headers.get('accept-patch')).toBe('application/trickle-ice-sdpfrag')
    await until('the line to be taken', () => isTaken(room, 'primary'))
    expect(asked.at(-1)).toEqual({ kind: 'video', source: 'virtual', line: 'primary' })

    const etag = opened.headers.get('etag') as string
    const patched = { ...fragment, token, etag, body: trickle }
    expect(await statusOf(resource, patched)).toBe(204)
    expect(await statusOf(resource, { ...patched, etag: '"other"' })).toBe(412)
    const restarted = await ask(resource, { ...patched, body: trickle.replace('h7Qx', 'newOne') })
    expect([restarted.status, restarted.headers.get('content-type')]).toEqual([200, 'application/trickle-ice-sdpfrag'])
    expect(restarted.headers.get('etag')).not.toBe(etag)

    // Unguessable, and still nobody else's.
    const stranger = await engine.token('stranger')
    expect(await statusOf(resource, { method: 'DELETE' })).toBe(401)
    expect(await statusOf(resource, { method: 'DELETE', token: stranger })).toBe(403)
    expect(await statusOf(resource.replace('/whip/', '/whep/'), { method: 'DELETE', token })).toBe(404)
    expect(await statusOf(resource, { ...patched, token: stranger })).toBe(403)
    expect(await statusOf(resource, { method: 'DELETE', token })).toBe(200)
    expect(await statusOf(resource, { method: 'DELETE', token })).toBe(404)
    await until('the line to be free', () => !isTaken(room, 'primary'))
  })

  it('has a status for everything that is wrong', async () => {
    const { room, token, owner } = await stage()
    const closed = await engine.connect({ token })
    await closed.ok('room.create', { roomId: `${room}-closed`, title: 'Closed' })
    const body = offers.obs
    const viewer = await engine.token('viewer')
    const old = await engine.token('viewer', { ttlMs: -1_000 })
    const table: [number, string, Asked][] = [
      [401, `/whip/${room}`, { body }],
      [401, `/whip/${room}`, { body, token: 'rubbish' }],
      [401, `/whip/${room}`, { body, token: old }],
      [403, `/whip/${room}`, { body, token: viewer }],
      [404, '/whip/none', { body, token }],
      [404, '/whip/', { body, token }],
      [404, '/whip/a%20b', { body, token }],
      [404, `/whip/${room}/a/b`, { body, token }],
      [404, `/whip/${room}/unknown`, { method: 'DELETE', token }],
      [404, `/whip/${room}/unknown`, { ...fragment, body: trickle, token }],
      [405, `/whip/${room}`, { method: 'GET', token }],
      [405, `/whip/${room}`, { method: 'PUT', token, body }],
      [405, `/whip/${room}`, { method: 'DELETE', token }],
      [405, `/whip/${room}/unknown`, { body, token }],
      [409, `/whip/${room}-closed`, { body, token }],
      [413, `/whip/${room}`, { body: 'v=0\r\n'.repeat(20_000), token }],
      [415, `/whip/${room}`, { body, token, type: 'text/plain' }],
      [415, `/whip/${room}/unknown`, { ...fragment, type: 'application/sdp', body: trickle, token }],
      [400, `/whip/${room}?line=third`, { body, token }],
      [400, `/whip/${room}`, { body: 'no sdp', token }],
      [422, `/whip/${room}`, { body: body.replaceAll(/H264|VP8/g, 'H266'), token }],
    ]
    for (const [status, path, asking] of table)
      expect([path, asking.type, asking.method, await statusOf(path, asking)]).toEqual([path, asking.type, asking.method, status])
    expect((await ask(`/whip/${room}`, { method: 'GET' })).headers.get('allow')).toContain('POST')
    expect((await ask(`/whip/${room}`, { body })).headers.get('www-authenticate')).toBe('Bearer')
    const preflight = await ask(`/whip/${room}`, { method: 'OPTIONS' })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-methods')).toContain('PATCH')
    expect(preflight.headers.get('access-control-allow-headers')).toContain('Authorization')
    // None of them left anything behind.
    expect(lines(room).every(({ state }) => state === 'idle')).toBe(true)
    await owner.roundTrip()
  })

  it('one publisher a line: the same user takes over, another does not', async () => {
    const { room, token, owner } = await stage()
    await owner.ok('room.grant_role', { userId: 'aide', role: 'assistant' }, room)
    const aide = await engine.token('aide')
    const first = await ask(`/whip/${room}`, { token, body: offers.obs })
    expect(first.status).toBe(201)
    const taken = await ask(`/whip/${room}`, { token: aide, body: offers.obs })
    expect([taken.status, (await taken.json()).title]).toEqual([409, 'stream.line_taken'])
    expect(await statusOf(`/whip/${room}?line=backup`, { token: aide, body: offers.obs })).toBe(201)
    expect(await statusOf(`/whip/${room}`, { token, body: offers.obs })).toBe(201)
    expect(await statusOf(first.headers.get('location') as string, { method: 'DELETE', token })).toBe(404)
    await owner.ok('room.kick', { userId: 'aide', banMs: 60_000 }, room)
    await until('the backup to be free', () => !isTaken(room, 'backup'))
    expect(await statusOf(`/whip/${room}?line=backup`, { token: aide, body: offers.obs })).toBe(403)
    expect(isTaken(room, 'primary')).toBe(true)
  })

  it('guards, an operator who cut, and the rate of a user', async () => {
    const { room, token } = await stage()
    isRefusing = true
    expect(await statusOf(`/whip/${room}`, { token, body: offers.obs })).toBe(403)
    isRefusing = false
    await engine.admin('POST', `/rooms/${room}/stream:cut`, { banMs: 60_000 })
    const cut = await ask(`/whip/${room}`, { token, body: offers.obs })
    expect([cut.status, (await cut.json()).title]).toEqual([403, 'room.live_banned'])
    const statuses: number[] = []
    for (let i = 0; i < 15; i++) statuses.push(await statusOf(`/whip/${room}`, { token, body: offers.obs }))
    expect(statuses).toContain(429)
    const limited = await ask(`/whip/${room}`, { token, body: offers.obs })
    expect(limited.headers.get('retry-after')).toBe('1')
  })
})

describe('WHEP', () => {
  it('anybody who may join watches, by HTTP alone', async () => {
    const { room, owner } = await stage()
    const early = await ask(`/whep/${room}`, { body: offers.chromiumViewer })
    expect([early.status, early.headers.get('retry-after')]).toEqual([409, expect.stringMatching(/^\d+$/)])
    children.push(sendPicture(JSON.parse((await owner.ok('stream.open_ingest', {}, room)).ingestJson)))
    for (let track = 0; track < 2; track++) await owner.next('stream.published')
    const opened = await ask(`/whep/${room}`, { body: offers.chromiumViewer })
    expect(opened.status).toBe(201)
    expect(await opened.text()).toContain('a=sendonly')
    const resource = opened.headers.get('location') as string
    expect(resource).toMatch(new RegExp(`^/whep/${room}/`))
    const viewers = async () => {
      const page = await (await fetch(new URL('/metrics', engine.adminUrl))).text()
      const { whepViewers } = (await engine.admin('GET', `/rooms/${room}/stream`)).body
      return [whepViewers, Number(/^livehouse_stream_whep_viewers (\S+)$/m.exec(page)?.[1])]
    }
    expect(await viewers()).toEqual([1, 1])
    expect(await statusOf(resource, { method: 'DELETE', token: await engine.token('stranger') })).toBe(403)
    expect(await statusOf(resource, { method: 'DELETE' })).toBe(200)
    expect(await viewers()).toEqual([0, 0])

    const ann = await engine.token('ann')
    const anns = await ask(`/whep/${room}`, { body: offers.chromiumViewer, token: ann })
    expect(anns.status).toBe(201)
    expect(await statusOf(anns.headers.get('location') as string, { method: 'DELETE' })).toBe(403)
    await owner.ok('room.kick', { userId: 'ann', banMs: 60_000 }, room)
    expect(await statusOf(anns.headers.get('location') as string, { method: 'DELETE', token: ann })).toBe(404)
    expect(await statusOf(`/whep/${room}`, { body: offers.chromiumViewer, token: ann })).toBe(403)
    isRefusing = true
    const members = await ask(`/whep/${room}`, { body: offers.chromiumViewer })
    isRefusing = false
    expect([members.status, (await members.json()).title]).toEqual([403, 'x.gate.members_only'])
    expect((await ask(`/whep/${room}`, { body: offers.chromiumViewer })).status).toBe(201)
    expect(await viewers()).toEqual([1, 1])
    await owner.ok('room.close', {}, room)
    expect(await viewers()).toEqual([0, 0])
    expect(await statusOf(`/whep/${room}`, { body: offers.chromiumViewer })).toBe(409)
  })

  it('without media: 503 and when to come again', async () => {
    const bare = await startTestEngine()
    try {
      const url = new URL('/whep/demo', bare.publicUrl)
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/sdp' },
        body: offers.chromiumViewer,
      })
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
    } finally {
      await bare.stop()
    }
  })
})
