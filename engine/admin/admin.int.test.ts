/** The admin port over real HTTP: who may, what is checked, and that a write over HTTP is the command of the same name. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestEngine, type TestClient, type TestEngine } from '../testing.ts'

let engine: TestEngine
let viewer: TestClient
let token = ''
beforeAll(async () => {
  engine = await startTestEngine()
  token = await engine.token('ops', { scope: 'operator' })
  viewer = await engine.connect()
  await viewer.ok('room.join', {}, 'demo')
})
afterAll(() => engine.stop())

interface Asked {
  body?: unknown
  headers?: Record<string, string>
  as?: string
}
async function ask(method: string, path: string, { body, headers = {}, as = token }: Asked = {}) {
  const answer = await fetch(`${engine.adminUrl}/admin/v1${path}`, {
    method,
    headers: {
      ...(as === '' ? {} : { authorization: `Bearer ${as}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await answer.text()
  // biome-ignore lint/suspicious/noExplicitAny: bodies of many shapes, each checked where it is used.
  return { status: answer.status, headers: answer.headers, body: (text === '' ? undefined : JSON.parse(text)) as any }
}

/** Every route, as the OpenAPI page has it. */
async function openApi() {
  const answer = await fetch(`${engine.adminUrl}/docs/json`)
  return (await answer.json()) as { paths: Record<string, Record<string, { summary: string; security?: unknown[] }>> }
}

describe('who may', () => {
  it('no route works without a token, with a bad one, or without the scope', async () => {
    const { paths } = await openApi()
    const viewerToken = await engine.token('ann')
    const streamerToken = await engine.token('ann', { scope: 'streamer patrol' })
    let routes = 0
    for (const [path, methods] of Object.entries(paths))
      for (const method of Object.keys(methods)) {
        routes++
        const at = path
          .replace('/admin/v1', '')
          .replace('{roomId}', 'demo')
          .replace('{userId}', 'u')
          .replace('{role}', 'admin')
          .replace('{name}', 'desk')
        const asked = async (as: string) => (await ask(method.toUpperCase(), at, { as })).status
        expect(await asked(''), `${method} ${path}`).toBe(401)
        expect(await asked('rubbish'), `${method} ${path}`).toBe(401)
        for (const as of [viewerToken, streamerToken]) expect(await asked(as), `${method} ${path}`).toBe(403)
      }
    expect(routes).toBeGreaterThanOrEqual(45)
  })

  it('the page of routes has every one, with a summary and the token it wants', async () => {
    const { paths } = await openApi()
    const listed = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`))
    const expected = [
      'post /rooms',
      'get /rooms',
      'get /rooms/{roomId}',
      'put /rooms/{roomId}',
      'patch /rooms/{roomId}/settings',
      'post /rooms/{roomId}/open',
      'post /rooms/{roomId}/close',
      'get /rooms/{roomId}/restrictions',
      'put /rooms/{roomId}/mutes/{userId}',
      'delete /rooms/{roomId}/mutes/{userId}',
      'put /rooms/{roomId}/bans/{userId}',
      'delete /rooms/{roomId}/bans/{userId}',
      'put /rooms/{roomId}/roles/{userId}/{role}',
      'delete /rooms/{roomId}/roles/{userId}/{role}',
      'post /rooms/{roomId}/danmaku/removals',
      'post /rooms/{roomId}/mic:drop',
      'put /rooms/{roomId}/wall',
      'delete /rooms/{roomId}/wall',
      'get /account',
      'get /rooms/{roomId}/account',
      'get /rooms/{roomId}/log',
      'put /rooms/{roomId}/takedown',
      'delete /rooms/{roomId}/takedown',
      'get /plugins',
      'post /plugins',
      'get /plugins/{name}',
      'delete /plugins/{name}',
      'post /plugins/{name}/update',
      'post /plugins/{name}/approve',
      'post /plugins/{name}/disable',
      'post /plugins/{name}/enable',
      'patch /plugins/{name}/settings',
      'get /plugins/{name}/dead-letters',
      'post /plugins/{name}/dead-letters/replay',
      'post /plugins/{name}/dead-letters/discard',
      'post /plugins/{name}/events/rewind',
      'get /relay',
      'post /relay/rewind',
      'get /events',
      'get /{plugin}/{*}',
    ].map((route) => route.replace(' ', ' /admin/v1'))
    expect(listed).toEqual(expect.arrayContaining(expected))
    for (const methods of Object.values(paths))
      for (const route of Object.values(methods)) {
        expect(route.summary).toMatch(/\.$/)
        expect(route.security).toEqual([{ operator: [] }])
      }
    expect((await fetch(`${engine.adminUrl}/docs`)).status).toBe(200)
    expect((await fetch(`${engine.adminUrl}/healthz`)).status).toBe(200)
  })
})

describe('what is checked', () => {
  const bad: [string, string, unknown][] = [
    ['POST', '/rooms', {}],
    ['POST', '/rooms', { title: '' }],
    ['POST', '/rooms', { title: 'x', roomId: 'a.b' }],
    ['POST', '/rooms', { title: 'x', colour: 'red' }],
    ['POST', '/rooms', '{"title":'],
    ['PUT', '/rooms/demo', {}],
    ['PUT', '/rooms/demo', { title: 'x'.repeat(121) }],
    ['PUT', '/rooms/a.b', { title: 'x' }],
    ['PATCH', '/rooms/demo/settings', {}],
    ['PATCH', '/rooms/demo/settings', { slowModeMs: -1 }],
    ['PATCH', '/rooms/demo/settings', { godMode: true }],
    ['PUT', '/rooms/demo/mutes/a', {}],
    ['PUT', '/rooms/demo/mutes/a', { durationMs: 15 * 86_400_000 }],
    ['PUT', '/rooms/demo/mutes/a%2Fb', { durationMs: 0 }],
    ['PUT', '/rooms/demo/roles/a/emperor', undefined],
    ['GET', '/rooms?limit=1000', undefined],
    ['GET', '/rooms/demo/log?limit=0', undefined],
    ['PUT', '/rooms/demo/takedown', {}],
    ['PUT', '/rooms/demo/takedown', { reason: '' }],
    ['PUT', '/rooms/demo/takedown', { reason: 'x'.repeat(201) }],
    ['PUT', '/rooms/demo/takedown', { reason: 'x', caseId: 'a.b' }],
    ['POST', '/rooms', `{"title":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
    ['GET', '/rooms/%zz', undefined],
    ['GET', '/events?limit=1001', undefined],
    ['POST', '/relay/rewind', { pos: -1 }],
    ['GET', '/plugins/Not-a-name', undefined],
  ]
  it.each(bad)('%s %s %j is refused', async (method, path, body) => {
    const answer = await ask(method, path, body === undefined ? {} : { body })
    expect(answer.status).toBe(400)
    expect(answer.body).toMatchObject({ code: 'request.invalid', msg: expect.any(String) })
  })

  it('what is not there is 404, what exists is 409, a huge body is 413', async () => {
    expect(await ask('GET', '/rooms/nowhere')).toMatchObject({ status: 404, body: { code: 'room.not_found' } })
    expect(await ask('PUT', '/rooms/nowhere', { body: { title: 'x' } })).toMatchObject({ status: 404 })
    expect(await ask('GET', '/nothing')).toMatchObject({ status: 404 })
    expect(await ask('POST', '/rooms', { body: { title: 'x', roomId: 'demo' } })).toMatchObject({ status: 409 })
    expect(await ask('POST', '/rooms', { body: { title: 'x'.repeat(100_000) } })).toMatchObject({ status: 413 })
  })
})

describe('writes are commands', () => {
  it('a title put here reaches every viewer, and the version guards against a lost update', async () => {
    const before = await ask('GET', '/rooms/demo')
    const etag = before.headers.get('etag') ?? ''
    expect(before.body).toMatchObject({ room: { id: 'demo' }, settings: { chat: true }, totals: { likes: expect.any(Number) } })
    const put = await ask('PUT', '/rooms/demo', { body: { title: 'From above' }, headers: { 'if-match': etag } })
    expect(put).toMatchObject({ status: 200, body: { room: { title: 'From above' } } })
    expect((await viewer.next('room.updated')).d).toMatchObject({ patch: { title: 'From above' }, by: 'ops' })
    const late = await ask('PUT', '/rooms/demo', { body: { title: 'Too late' }, headers: { 'if-match': etag } })
    expect(late.status).toBe(412)
    expect((await ask('GET', '/rooms/demo')).body.room.title).toBe('From above')
    expect((await viewer.ok('room.join', {}, 'demo')).room.title).toBe('From above')
  })

  it('with an Idempotency-Key once, and once only', async () => {
    const headers = { 'idempotency-key': 'key-1' }
    const first = await ask('POST', '/rooms', { body: { title: 'Once' }, headers })
    const second = await ask('POST', '/rooms', { body: { title: 'Once' }, headers })
    expect(second.body.room.id).toBe(first.body.room.id)
    const conflict = await ask('POST', '/rooms', { body: { title: 'Twice' }, headers })
    expect(conflict).toMatchObject({ status: 409, body: { code: 'idem.conflict' } })
    const version = async () => (await ask('GET', '/rooms/demo')).body.room.version as number
    const from = await version()
    for (let n = 0; n < 3; n++) await ask('PUT', '/rooms/demo', { body: { intro: 'x' }, headers: { 'idempotency-key': 'up' } })
    expect(await version()).toBe(from + 1)
  })

  it('the whole of a room: create, open, settle, moderate, close', async () => {
    const at = '/rooms/hall'
    expect(await ask('POST', '/rooms', { body: { roomId: 'hall', title: 'Hall', ownerId: 'host' } })).toMatchObject({
      status: 200,
    })
    expect((await ask('POST', `${at}/open`)).body).toEqual({ liveId: expect.any(String) })
    const ann = await engine.connect({ token: await engine.token('ann') })
    await ann.ok('room.join', {}, 'hall')
    await ask('PATCH', `${at}/settings`, { body: { muteAll: true } })
    expect((await ann.next('room.settings_changed')).d).toEqual({ patch: { muteAll: true }, by: 'ops' })
    await ask('PATCH', `${at}/settings`, { body: { muteAll: false } })
    const { id } = await ann.ok('danmaku.send', { text: 'hello' }, 'hall')
    expect((await ask('PUT', `${at}/wall`, { body: { messageId: id } })).body.item.text).toBe('hello')
    expect((await ask('POST', `${at}/danmaku/removals`, { body: { id } })).body).toEqual({ ids: [id] })
    await ann.next('wall.hidden')
    expect((await ask('DELETE', `${at}/wall`)).status).toBe(409)
    expect((await ask('PUT', `${at}/roles/mod/admin`)).status).toBe(200)
    expect((await ask('PUT', `${at}/mutes/ann`, { body: { durationMs: 60_000 } })).body).toEqual({ untilAt: expect.any(Number) })
    expect((await ask('GET', `${at}/restrictions`)).body).toMatchObject({
      mutes: [{ userId: 'ann', by: 'ops' }],
      bans: [],
      roles: [{ userId: 'mod', role: 'admin' }],
    })
    expect((await ask('DELETE', `${at}/mutes/ann`)).status).toBe(200)
    expect((await ask('PUT', `${at}/bans/ann`, { body: { banMs: -1 } })).body).toEqual({ untilAt: -1 })
    expect(await ann.closed).toMatchObject({ code: 4502 })
    expect((await ask('DELETE', `${at}/bans/ann`)).status).toBe(200)
    expect((await ask('DELETE', `${at}/roles/mod/admin`)).status).toBe(200)
    expect((await ask('POST', `${at}/close`, { body: { reason: 'over' } })).status).toBe(200)
    const log = (await ask('GET', `${at}/log`)).body.items as { t: string; actor: string; seq: number }[]
    expect(log.map(({ t }) => t)).toEqual(
      expect.arrayContaining([
        'room.created',
        'room.opened',
        'message.removed',
        'room.user_muted',
        'room.user_kicked',
        'room.closed',
      ]),
    )
    expect(log.map(({ seq }) => seq)).toEqual(log.map(({ seq }) => seq).toSorted((a, b) => a - b))
    expect(log.at(-1)).toMatchObject({ t: 'room.closed', actor: 'ops', d: { reason: 'over' } })
  })
})

describe('a room is taken down', () => {
  it('everybody leaves, it stays closed, and opens again when it is restored', async () => {
    const at = '/rooms/stage'
    await ask('POST', '/rooms', { body: { roomId: 'stage', title: 'Stage', ownerId: 'host' } })
    await ask('POST', `${at}/open`)
    const ann = await engine.connect({ token: await engine.token('ann') })
    await ann.ok('room.join', {}, 'stage')
    const body = { reason: 'unlawful', caseId: 'case-1' }
    const headers = { 'idempotency-key': 'down' }
    expect(await ask('PUT', `${at}/takedown`, { body, headers })).toMatchObject({ status: 200, body: {} })
    expect(await ask('PUT', `${at}/takedown`, { body, headers })).toMatchObject({ status: 200 })
    expect((await ann.next('room.taken_down')).d).toEqual(body)
    expect(await ann.closed).toMatchObject({ code: 4502 })
    expect(await ask('PUT', `${at}/takedown`, { body })).toMatchObject({ status: 409, body: { code: 'room.bad_state' } })
    expect(await ask('POST', `${at}/open`)).toMatchObject({ status: 409, body: { code: 'room.taken_down' } })
    expect((await ask('GET', at)).body).toMatchObject({ room: { state: 'closed' }, takedown: { ...body, by: 'ops' } })
    expect(await ask('DELETE', `${at}/takedown`)).toMatchObject({ status: 200 })
    expect(await ask('DELETE', `${at}/takedown`)).toMatchObject({ status: 409 })
    expect((await ask('POST', `${at}/open`)).status).toBe(200)
    const log = (await ask('GET', `${at}/log`)).body.items as { t: string; actor: string }[]
    expect(log.filter(({ t }) => t === 'room.taken_down' || t === 'room.restored').map(({ actor }) => actor)).toEqual([
      'ops',
      'ops',
    ])
  })
})

describe('what is measured', () => {
  it('the delivery account adds up, on the page and in the metrics', async () => {
    await viewer.roundTrip()
    const { body } = await ask('GET', '/account')
    expect(body.imbalance).toEqual({ high: 0, normal: 0, low: 0 })
    expect(body.offered.high).toBeGreaterThan(0)
    const room = await ask('GET', '/rooms/demo/account')
    expect(room.body.imbalance).toEqual({ high: 0, normal: 0, low: 0 })
    const page = await (await fetch(`${engine.adminUrl}/metrics`)).text()
    const value = (disposition: string, lane: string) =>
      Number(
        new RegExp(`^livehouse_delivery_events_total\\{disposition="${disposition}",lane="${lane}"\\} (\\S+)$`, 'm').exec(
          page,
        )?.[1],
      )
    for (const lane of ['high', 'normal', 'low']) {
      const rest = ['written', 'sampled', 'collapsed', 'skipped', 'cut', 'lost'].map((kind) => value(kind, lane))
      expect(value('offered', lane)).toBe(rest.reduce((sum, one) => sum + one, 0))
    }
    expect(value('offered', 'high')).toBeGreaterThanOrEqual(body.offered.high)
  })

  it('every metric of ours says what it is, and none of them names a room or a user', async () => {
    const page = await (await fetch(`${engine.adminUrl}/metrics`)).text()
    for (const { name, help } of engine.metrics.describe()) {
      expect(help, name).toMatch(/\w{3,}.*\.$/)
      expect(page).toContain(`# HELP ${name} ${help}`)
      expect(name).toMatch(/^livehouse_[a-z_]+$/)
    }
    const labels = new Set(
      [...page.matchAll(/^livehouse_\w+\{(.*?)\} /gm)].flatMap(([, text = '']) => text.match(/\w+(?==)/g) ?? []),
    )
    expect([...labels].sort()).toEqual(['disposition', 'lane', 'outcome'])
  })

  it('tokens never show in answers, pages or metrics', async () => {
    for (const path of ['/metrics', '/docs/json', '/healthz'])
      expect(await (await fetch(`${engine.adminUrl}${path}`)).text()).not.toContain(token)
  })
})
