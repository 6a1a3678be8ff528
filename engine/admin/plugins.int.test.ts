/** Plugins over the admin port: real HTTP, real files in a folder, a real nats-server, and plugins that behave badly. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Type } from '@sinclair/typebox'
import { afterEach, describe, expect, test } from 'vitest'
import { SystemClock } from '../base/clock.ts'
import { silentLog } from '../base/log.ts'
import { startNatsServer } from '../base/nats-server.ts'
import { packageVersion } from '../base/package.ts'
import { programEntry } from '../base/worker-entry.ts'
import type { Config } from '../config.ts'
import type { EngineParts } from '../engine.ts'
import { type AnyPlugin, definePlugin } from '../plugin/define.ts'
import { allow, deny } from '../plugin/hooks.ts'
import { remoteSecret } from '../plugin/remote/attach-remote.ts'
import { runPlugin } from '../plugin/remote/run.ts'
import { pluginToken } from '../plugin/remote/sealed.ts'
import { reference } from '../reference.ts'
import { startTestEngine, TestClock, type TestEngine } from '../testing.ts'

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

interface Asked {
  body?: unknown
  headers?: Record<string, string>
}
class Desk {
  readonly engine: TestEngine
  readonly #token: string
  constructor(engine: TestEngine, token: string) {
    this.engine = engine
    this.#token = token
  }

  async ask(method: string, path: string, { body, headers = {} }: Asked = {}) {
    const answer = await fetch(`${this.engine.adminUrl}/admin/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    // biome-ignore lint/suspicious/noExplicitAny: bodies of many shapes, each checked where it is used.
    return { status: answer.status, headers: answer.headers, text, body: (text === '' ? undefined : JSON.parse(text)) as any }
  }

  get(path: string) {
    return this.ask('GET', path)
  }
  post(path: string, body?: unknown, headers: Record<string, string> = {}) {
    return this.ask('POST', path, { ...(body === undefined ? {} : { body }), headers })
  }

  /** Looks again whenever something came into the log. */
  async until<T>(look: () => Promise<T | undefined | false>): Promise<T> {
    for (;;) {
      let stop = () => {}
      const news = new Promise<void>((resolve) => {
        stop = this.engine.store.onLogged(() => resolve())
      })
      const found = await look()
      if (found !== undefined && found !== false) {
        stop()
        return found
      }
      await news
      stop()
    }
  }
}

async function start(options: Partial<Config> = {}, parts: EngineParts = {}): Promise<Desk> {
  const engine = await startTestEngine(options, parts)
  stops.push(() => engine.stop())
  return new Desk(engine, await engine.token('ops', { scope: 'operator', ttlMs: 30 * 86_400_000 }))
}

const definition = programEntry(new URL('../plugin/define.ts', import.meta.url)).file
const script = (name: string, version: string, greeting: string) => `
  import { definePlugin } from ${JSON.stringify(definition)}
  export default definePlugin({
    name: '${name}', version: '${version}',
    guards: { 'danmaku.send': { order: 1, budgetMs: 500, onFailure: 'closed', run: () => ({ kind: 'allow' }) } },
    routes: {
      'GET /greeting': { summary: 'A greeting.', run: () => ({ body: { greeting: '${greeting}' } }) },
      'GET /bad/:kind': { summary: 'No answer.', budgetMs: 200, run: ({ params: { kind } }) => {
        if (kind === 'status') return { status: 99, body: {} }
        if (kind === 'huge') return { body: 'x'.repeat(600000) }
        if (kind === 'throw') throw new Error('secret of the plugin')
        if (kind === 'hang') return new Promise(() => {})
        return 7
      } },
    },
  })`

async function folder(files: Record<string, string> = {}): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'livehouse-plugins-'))
  stops.push(() => rm(dir, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(dir, name, '..'), { recursive: true })
    await writeFile(join(dir, name), text)
  }
  return dir
}

describe('files', () => {
  test.each(['inline', 'worker'] as const)(
    'a plugin comes from its file into the place %s, is updated and goes',
    async (place) => {
      const pluginsDir = await folder({ 'shop/plugin.ts': script('shop', '1.0.0', 'hello') })
      const desk = await start({ pluginsDir })
      const headers = { 'idempotency-key': 'attach-1' }
      const attached = await desk.post('/plugins', { file: 'shop/plugin.ts', place }, headers)
      expect(attached).toMatchObject({
        status: 200,
        body: {
          name: 'shop',
          version: '1.0.0',
          place,
          state: 'attached',
          instances: [{ state: 'healthy' }],
          changedBy: 'ops',
          deadLetters: 0,
          hooks: expect.arrayContaining([
            expect.objectContaining({ kind: 'guard', on: 'danmaku.send', verdicts: expect.anything() }),
          ]),
        },
      })
      expect(attached.body.routes).toContainEqual({ method: 'GET', path: '/admin/v1/shop/greeting', summary: 'A greeting.' })
      // The same key again: no second attachment.
      expect((await desk.post('/plugins', { file: 'shop/plugin.ts', place }, headers)).status).toBe(200)
      expect((await desk.post('/plugins', { file: 'other.ts', place }, headers)).body.code).toBe('idem.conflict')
      expect((await desk.get('/shop/greeting')).body).toEqual({ greeting: 'hello' })

      await writeFile(join(pluginsDir, 'shop/plugin.ts'), script('shop', '1.1.0', 'good day'))
      expect(await desk.post('/plugins/shop/update')).toMatchObject({ status: 200, body: { version: '1.1.0' } })
      expect((await desk.get('/shop/greeting')).body).toEqual({ greeting: 'good day' })
      await writeFile(join(pluginsDir, 'shop/plugin.ts'), 'export default 7')
      expect(await desk.post('/plugins/shop/update')).toMatchObject({ status: 422, body: { code: 'plugin.not_loaded' } })
      expect((await desk.get('/shop/greeting')).body).toEqual({ greeting: 'good day' })

      for (const kind of ['status', 'huge', 'throw', 'other']) {
        const { status, body, text } = await desk.get(`/shop/bad/${kind}`)
        expect([kind, status, body.code]).toEqual([kind, 500, 'plugin.failed'])
        expect(text).not.toContain('secret of the plugin')
      }
      expect(await desk.get('/shop/bad/hang')).toMatchObject({ status: 503, body: { code: 'plugin.unavailable' } })

      const { items } = (await desk.get('/plugins')).body
      expect(items).toHaveLength(1)
      expect((await desk.ask('DELETE', '/plugins/shop?purge=true')).status).toBe(200)
      expect(await desk.get('/plugins/shop')).toMatchObject({ status: 404, body: { code: 'plugin.not_found' } })
      expect((await desk.get('/shop/greeting')).status).toBe(404)
      const log = await desk.until(async () => {
        const rows = (await desk.get('/events')).body.items as { t: string; actor: string; d: { change?: string } }[]
        return rows.some(({ d }) => d.change === 'detached') && rows
      })
      const changes = log.filter(({ t }) => t === 'plugin.changed')
      expect(changes.map(({ d, actor }) => [d.change, actor])).toEqual([
        ['attached', 'ops'],
        ['updated', 'ops'],
        ['detached', 'ops'],
      ])
      const after = (log[0] as unknown as { pos: number }).pos
      expect((await desk.get(`/events?afterPos=${after}&limit=1`)).body.items).toEqual([log[1]])
    },
  )

  test('nothing outside the folder can be named', async () => {
    const outside = await folder({ 'evil.ts': script('evil', '1.0.0', 'no'), 'sub/evil.ts': script('evil', '1.0.0', 'no') })
    const pluginsDir = await folder({
      'ok.ts': script('ok', '1.0.0', 'yes'),
      'notes.txt': 'x',
      '.hidden.ts': script('h', '1.0.0', ''),
    })
    await symlink(join(outside, 'evil.ts'), join(pluginsDir, 'link.ts'))
    await symlink(join(outside, 'sub'), join(pluginsDir, 'linked'))
    await symlink('loop.ts', join(pluginsDir, 'loop.ts'))
    await mkdir(join(pluginsDir, 'folder.ts'))
    const desk = await start({ pluginsDir })
    const name = outside.split('/').at(-1) as string
    const bad = [
      ...['', '.', '..', '../evil.ts', `../${name}/evil.ts`, join(outside, 'evil.ts'), `ok.ts/../../${name}/evil.ts`, './ok.ts'],
      ...[
        '//ok.ts',
        'a//ok.ts',
        'ok.ts\u0000.ts',
        'ok.ts\n',
        '..\\evil.ts',
        'file:///etc/passwd.ts',
        'C:ok.ts',
        '~/x.ts',
        '%2e%2e/evil.ts',
      ],
      ...['notes.txt', '.hidden.ts', 'x'.repeat(500), 7, null, ['ok.ts', 'ok.ts'], { file: 'ok.ts' }],
    ]
    for (const file of bad) expect([file, (await desk.post('/plugins', { file })).status]).toEqual([file, 400])
    for (const file of ['link.ts', 'linked/evil.ts', 'loop.ts', 'folder.ts', 'nothing.ts', 'ok.ts/ok.ts'])
      expect(await desk.post('/plugins', { file }), file).toMatchObject({
        status: 422,
        body: { code: 'plugin.bad_file', msg: `${file} does not exist in pluginsDir` },
      })
    for (const body of [{}, { file: 'ok.ts', place: 'remote' }, { file: 'ok.ts', more: 1 }, [], null])
      expect((await desk.post('/plugins', body)).status).toBe(400)
    expect((await desk.get('/plugins')).body).toEqual({ items: [] })
    expect((await desk.post('/plugins', { file: 'ok.ts' })).body).toMatchObject({ name: 'ok', place: 'worker' })
  })

  test('without pluginsDir nothing can be attached', async () => {
    const desk = await start()
    expect(await desk.post('/plugins', { file: 'ok.ts' })).toMatchObject({ status: 409, body: { code: 'plugin.no_folder' } })
    const gone = await start({ pluginsDir: '/does/not/exist' })
    expect(await gone.post('/plugins', { file: 'ok.ts' })).toMatchObject({ status: 409, body: { code: 'plugin.no_folder' } })
  })

  test('what does not start is refused with its own words, and leaves nothing behind', async () => {
    const failing = script('tired', '1.0.0', '').replace('routes: {', "start() { throw new Error('no coffee') },\n routes: {")
    const pluginsDir = await folder({
      'tired.ts': failing,
      'syntax.ts': 'export default {{',
      'name.ts': script('rooms', '1.0.0', ''),
      'migration.ts': script('broken', '1.0.0', '').replace('routes: {', "migrations: ['CREATE NONSENSE'],\n routes: {"),
    })
    const desk = await start({ pluginsDir })
    for (const place of ['inline', 'worker']) {
      const tired = await desk.post('/plugins', { file: 'tired.ts', place })
      expect(tired).toMatchObject({ status: 422, body: { code: 'plugin.not_loaded' } })
      expect(tired.body.msg).toContain('no coffee')
      expect(await desk.post('/plugins', { file: 'syntax.ts', place })).toMatchObject({
        status: 422,
        body: { code: 'plugin.not_loaded' },
      })
      const name = await desk.post('/plugins', { file: 'name.ts', place })
      expect([name.status, name.body.msg]).toEqual([422, expect.stringContaining('rooms is a name of the engine')])
      expect((await desk.post('/plugins', { file: 'migration.ts', place })).status).toBe(422)
    }
    expect((await desk.get('/plugins')).body).toEqual({ items: [] })
  })

  test('a few are attached at the same time, and no more', async () => {
    const gate = { waiting: 0, onWaiting: () => {}, open: () => {}, opened: Promise.resolve() }
    gate.opened = new Promise((resolve) => {
      gate.open = resolve
    })
    const allWait = new Promise<void>((resolve) => {
      gate.onWaiting = () => (++gate.waiting === 4 ? resolve() : undefined)
    })
    // Inline plugins share this process, and so this object.
    Object.assign(globalThis, { livehouseGate: gate })
    stops.push(() => Reflect.deleteProperty(globalThis, 'livehouseGate'))
    const slow = (name: string) =>
      script(name, '1.0.0', '').replace(
        'routes: {',
        'start() { globalThis.livehouseGate.onWaiting(); return globalThis.livehouseGate.opened },\n routes: {',
      )
    const names = ['one', 'two', 'three', 'four', 'five']
    const desk = await start({ pluginsDir: await folder(Object.fromEntries(names.map((name) => [`${name}.ts`, slow(name)]))) })
    const attach = (name: string) => desk.post('/plugins', { file: `${name}.ts`, place: 'inline' })
    const first = names.slice(0, 4).map(attach)
    await allWait
    expect(await attach('five')).toMatchObject({ status: 429, body: { code: 'plugin.too_many' } })
    gate.open()
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect((await attach('five')).status).toBe(200)
  })
})

const settled = definePlugin({
  name: 'settled',
  version: '1.0.0',
  settings: Type.Object({
    limit: Type.Integer({ minimum: 1, maximum: 10, default: 3 }),
    words: Type.Array(Type.String({ maxLength: 20 }), { maxItems: 5, default: [] }),
  }),
  guards: {
    'danmaku.send': {
      order: 1,
      budgetMs: 50,
      onFailure: 'closed',
      run: ({ d }, { settings }) => (settings.words.includes(d.text) ? deny('content.rejected') : allow),
    },
  },
})

describe('settings', () => {
  test('are checked, versioned, and in force at once', async () => {
    const desk = await start({}, { plugins: [settled] })
    const at = '/plugins/settled/settings'
    const bad = [
      { limit: 0 },
      { limit: '5' },
      { limit: 1.5 },
      { limit: null },
      { words: 'x' },
      { words: ['x'.repeat(21)] },
      { words: Array(6).fill('x') },
      { words: [{ toString: 1 }] },
      { colour: 'red' },
      JSON.parse('{"__proto__": {"limit": 5}}'),
      { constructor: 1 },
    ]
    for (const body of bad)
      expect(await desk.ask('PATCH', at, { body }), JSON.stringify(body)).toMatchObject({
        status: 422,
        body: { code: 'plugin.bad_settings', msg: expect.stringMatching(/^settings\./) },
      })
    for (const body of [[], 'text', 7, null]) expect((await desk.ask('PATCH', at, { body })).status).toBe(400)

    const before = await desk.get('/plugins/settled')
    expect(before.body).toMatchObject({
      settings: {},
      settingsVersion: 1,
      settingsSchema: { properties: { limit: { maximum: 10 } } },
    })
    const headers = { 'if-match': before.headers.get('etag') as string }
    const put = await desk.ask('PATCH', at, { body: { words: ['bad', 'worse'] }, headers })
    expect(put).toMatchObject({ status: 200, body: { settings: { words: ['bad', 'worse'] }, settingsVersion: 2 } })
    expect(put.headers.get('etag')).toBe('"2"')
    for (const stale of [headers['if-match'], '"7"', 'W/"2"', '2', 'rubbish'])
      expect(await desk.ask('PATCH', at, { body: { limit: 5 }, headers: { 'if-match': stale } })).toMatchObject({
        status: 412,
        body: { code: 'plugin.stale' },
      })
    const both = await Promise.all(
      [4, 5].map((limit) => desk.ask('PATCH', at, { body: { limit }, headers: { 'if-match': '"2"' } })),
    )
    expect(both.map(({ status }) => status).sort()).toEqual([200, 412])
    expect((await desk.ask('PATCH', at, { body: { limit: 6 }, headers: { 'if-match': '*' } })).body.settingsVersion).toBe(4)

    const ann = await desk.engine.connect({ token: await desk.engine.token('ann') })
    await ann.ok('room.join', {}, 'demo')
    expect((await ann.refused('danmaku.send', { text: 'bad' }, 'demo')).code).toBe('content.rejected')
    await desk.ask('PATCH', at, { body: { words: [] } })
    await ann.ok('danmaku.send', { text: 'worse' }, 'demo')
    const [guard] = (await desk.get('/plugins/settled')).body.hooks
    expect(guard).toMatchObject({ kind: 'guard', calls: 2, verdicts: { allow: 1, deny: 1 } })
    const page = await (await fetch(`${desk.engine.adminUrl}/metrics`)).text()
    expect(page).toContain('livehouse_plugin_verdicts_total{plugin="settled",hook="guard danmaku.send",verdict="deny"} 1')
  })

  test('disabled: out of force until enabled; what is in the wrong state is a conflict', async () => {
    const pluginsDir = await folder({ 'shop.ts': script('shop', '1.0.0', 'hello') })
    const desk = await start({ pluginsDir })
    await desk.post('/plugins', { file: 'shop.ts', place: 'inline' })
    expect((await desk.post('/plugins/shop/enable')).body.code).toBe('plugin.bad_state')
    expect(await desk.post('/plugins/shop/disable')).toMatchObject({ status: 200, body: { state: 'disabled', instances: [] } })
    expect(await desk.get('/shop/greeting')).toMatchObject({ status: 503, body: { code: 'plugin.unavailable' } })
    expect(await desk.post('/plugins', { file: 'shop.ts' })).toMatchObject({ status: 409, body: { code: 'plugin.disabled' } })
    expect(await desk.post('/plugins/shop/enable')).toMatchObject({ status: 200, body: { state: 'attached', changedBy: 'ops' } })
    expect((await desk.get('/shop/greeting')).status).toBe(200)
    for (const path of ['update', 'approve', 'disable', 'enable'])
      expect(await desk.post(`/plugins/nobody/${path}`)).toMatchObject({ status: 404, body: { code: 'plugin.not_found' } })
    expect((await desk.ask('DELETE', '/plugins/nobody')).status).toBe(404)
    expect((await desk.ask('PATCH', '/plugins/nobody/settings', { body: {} })).status).toBe(404)
    expect((await desk.get('/plugins/nobody/dead-letters')).status).toBe(404)
  })
})

const routed = definePlugin({
  name: 'routed',
  version: '1.0.0',
  routes: {
    'GET /': { summary: 'The root.', run: () => ({ body: 'root' }) },
    'GET /questions/:id': { summary: 'One.', run: (request) => ({ body: request }) },
    'GET /questions/all': { summary: 'All.', run: () => ({ body: ['all'] }) },
    'POST /questions': { summary: 'A new one.', run: (request) => ({ status: 201, body: request }) },
    'GET /answer/:kind': {
      summary: 'Odd answers.',
      run: ({ params: { kind = '' } }) => {
        if (kind === 'none') return { status: 204, body: { ignored: true } }
        if (kind === 'page') return { body: '<script>alert(1)</script>' }
        if (kind === 'gone') return { status: 410, body: { code: 'x.routed.gone', msg: 'Gone.' } }
        const code = JSON.parse(kind)
        throw Object.assign(new Error('no'), { name: 'Refusal', code, retryAfterMs: 5 })
      },
    },
  },
})

describe('routes of plugins', () => {
  test('get path, query, body, key and the name of the operator, and answer with a status and JSON', async () => {
    const desk = await start({}, { plugins: [routed] })
    expect((await desk.get('/routed')).body).toBe('root')
    const got = await desk.get('/routed/questions/a%2Fb%20%E2%82%AC?x=1&y=2&y=3')
    expect(got.body).toEqual({ params: { id: 'a/b €' }, query: { x: '1', y: ['2', '3'] }, body: null, actor: 'ops' })
    expect((await desk.get('/routed/questions/all')).body).toEqual(['all'])
    expect((await desk.get(`/routed/questions/${'x'.repeat(2_000)}`)).body.params.id).toHaveLength(2_000)
    const made = await desk.post('/routed/questions', { text: 'Why?' }, { 'idempotency-key': 'q1' })
    expect(made).toMatchObject({ status: 201, body: { params: {}, body: { text: 'Why?' }, actor: 'ops', ik: 'q1' } })

    expect(await desk.get('/routed/answer/none')).toMatchObject({ status: 204, text: '' })
    const page = await desk.get('/routed/answer/page')
    expect(page.headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(page.headers.get('x-content-type-options')).toBe('nosniff')
    expect(await desk.get('/routed/answer/gone')).toMatchObject({ status: 410, body: { code: 'x.routed.gone' } })
    const refused = (code: unknown) => desk.get(`/routed/answer/${encodeURIComponent(JSON.stringify(code))}`)
    expect(await refused('x.routed.closed')).toMatchObject({
      status: 400,
      body: { code: 'x.routed.closed', msg: 'no', retryAfterMs: 5 },
    })
    expect(await refused('room.not_found')).toMatchObject({ status: 404, body: { code: 'room.not_found' } })
    for (const code of ['x.other.closed', 'nonsense', '', '__proto__'])
      expect(await refused(code), code).toMatchObject({ status: 500, body: { code: 'plugin.failed' } })
  })

  test('what is not there is said to be so, and nobody without a token gets to the plugin', async () => {
    const desk = await start({}, { plugins: [routed, settled] })
    for (const path of [
      '/routed/nothing',
      '/routed/questions/',
      '/nobody',
      '/nobody/x',
      '/settled/x',
      '/rooms/demo/nothing',
      '/plugins/a/b/c',
    ])
      expect(await desk.get(path), path).toMatchObject({ status: 404, body: { code: 'request.unknown_command' } })
    const wrong = await desk.ask('DELETE', '/routed/questions')
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST'])
    expect((await desk.get('/routed/%zz')).status).toBe(400)
    expect((await desk.post('/routed/questions', 'x'.repeat(70_000))).status).toBe(413)
    const url = `${desk.engine.adminUrl}/admin/v1/routed/questions/all`
    expect((await fetch(url)).status).toBe(401)
    const viewer = await desk.engine.token('ann')
    expect((await fetch(url, { headers: { authorization: `Bearer ${viewer}` } })).status).toBe(403)
    const text = await fetch(`${desk.engine.adminUrl}/admin/v1/routed/questions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await desk.engine.token('ops', { scope: 'operator' })}`, 'content-type': 'text/html' },
      body: '<b>',
    })
    expect(text.status).toBe(415)
  })
})

describe('events', () => {
  test('dead letters are listed, delivered once more and discarded; the log is delivered again from a position', async () => {
    const clock = new TestClock()
    const taken: string[] = []
    let failing = true
    const reader = definePlugin({
      name: 'reader',
      version: '1.0.0',
      events: {
        'room.updated': {
          run: ({ d }) => {
            if (failing) throw new Error('not now')
            taken.push(d.patch.title ?? '')
          },
        },
      },
    })
    const deaf = definePlugin({ name: 'deaf', version: '1.0.0' })
    const desk = await start({}, { clock, plugins: [reader, deaf] })
    for (const title of ['one', 'two', 'three']) await desk.ask('PUT', '/rooms/demo', { body: { title } })
    // Eight attempts each, and one after the other: they are of one room.
    let letters: { id: number; t: string; d: { patch: { title: string } } }[] = []
    while (letters.length < 3) {
      await clock.advanceAsync(30_000)
      letters = (await desk.get('/plugins/reader/dead-letters')).body.items
    }
    expect(letters[0]).toMatchObject({ t: 'room.updated', room: 'demo', attempts: 8, error: 'not now', actor: 'ops' })
    expect(letters.map(({ d }) => d.patch.title)).toEqual(['one', 'two', 'three'])
    const [one, two, three] = letters.map(({ id }) => id) as [number, number, number]
    expect((await desk.get(`/plugins/reader/dead-letters?afterId=${one}&limit=1`)).body.items).toEqual([letters[1]])
    expect((await desk.get('/plugins')).body.items).toMatchObject([
      { name: 'deaf', deadLetters: 0 },
      { name: 'reader', deadLetters: 3, events: { dead: 3, lag: 0 } },
    ])

    failing = false
    const replay = '/plugins/reader/dead-letters/replay'
    for (const body of [{}, { ids: [] }, { ids: ['x'] }, { all: false }, { ids: [1], all: true }, { ids: Array(501).fill(1) }])
      expect((await desk.post(replay, body)).status, JSON.stringify(body)).toBe(400)
    expect(await desk.post(replay, { ids: [two, 9_999] })).toMatchObject({
      status: 200,
      body: { delivered: 1, failed: 0, left: 1 },
    })
    expect(taken).toEqual(['two'])
    const discard = '/plugins/reader/dead-letters/discard'
    expect((await desk.post('/plugins/deaf/dead-letters/discard', { ids: [one] })).body).toEqual({ discarded: 0 })
    expect((await desk.post(discard, { ids: [one, two] })).body).toEqual({ discarded: 1 })
    const headers = { 'idempotency-key': 'all' }
    expect((await desk.post(replay, { all: true }, headers)).body).toEqual({ delivered: 1, failed: 0, left: 0 })
    expect((await desk.post(replay, { all: true }, headers)).body).toEqual({ delivered: 1, failed: 0, left: 0 })
    expect((await desk.get('/plugins/reader/dead-letters')).body.items).toEqual([])
    expect(taken).toEqual(['two', 'three'])
    expect(three).toBeGreaterThan(two)

    for (const body of [{}, { pos: -1 }, { pos: 1.5 }, { pos: 'x' }])
      expect((await desk.post('/plugins/reader/events/rewind', body)).status).toBe(400)
    expect(await desk.post('/plugins/reader/events/rewind', { pos: 0 })).toMatchObject({
      status: 200,
      body: { pos: expect.any(Number) },
    })
    while (taken.length < 5) await desk.get('/plugins/reader')
    expect(taken.slice(2)).toEqual(['one', 'two', 'three'])
    for (const path of ['events/rewind', 'dead-letters/replay'])
      expect(await desk.post(`/plugins/deaf/${path}`, path.startsWith('e') ? { pos: 0 } : { all: true })).toMatchObject({
        status: 409,
        body: { code: 'plugin.bad_state' },
      })
  })

  test('letters that fail again are not waited for', async () => {
    const clock = new TestClock()
    const failing = definePlugin({
      name: 'failing',
      version: '1.0.0',
      events: { 'room.updated': { run: () => Promise.reject(new Error('never')) } },
    })
    const desk = await start({}, { clock, plugins: [failing] })
    await desk.ask('PUT', '/rooms/demo', { body: { title: 'one' } })
    const letters = async () => (await desk.get('/plugins/failing/dead-letters')).body.items as { attempts: number }[]
    while ((await letters()).length < 1) await clock.advanceAsync(30_000)
    const answer = desk.post('/plugins/failing/dead-letters/replay', { all: true })
    let isAnswered = false
    void answer.then(() => (isAnswered = true))
    while (!isAnswered) {
      await desk.get('/relay')
      await clock.advanceAsync(1_000)
    }
    expect(await answer).toMatchObject({ status: 202, body: { underWay: 1 } })
    while ((await letters())[0]?.attempts !== 16) await clock.advanceAsync(30_000)
  })
})

describe('over NATS', () => {
  test('a remote plugin waits until it is approved; the relay is shown and set back', async () => {
    const nats = await startNatsServer({ jetStream: true })
    stops.push(() => nats.stop())
    const desk = await start({ natsUrl: nats.url, jetStream: true })
    const run = async (plugin: AnyPlugin) => {
      const secret = remoteSecret(desk.engine.secret)
      await new Promise<void>((resolve) => {
        const token = pluginToken(secret, plugin.name)
        const clock = new SystemClock()
        const running = runPlugin({
          plugin,
          natsUrl: nats.url,
          token,
          clock,
          log: silentLog,
          sdk: packageVersion(),
          onAttached: () => resolve(),
        })
        stops.push(() => running.stop(1_000))
      })
    }
    const far = definePlugin({
      name: 'far',
      version: '1.0.0',
      calls: ['engine.room.get'],
      routes: {
        'GET /where': { summary: 'Where it runs.', run: async (_, ctx) => ({ body: (await ctx.room.get('demo')).room.id }) },
      },
    })
    await run(far)
    const pending = await desk.get('/plugins/far')
    expect(pending.body).toMatchObject({ state: 'pending', place: 'remote', instances: [{ state: 'starting' }] })
    expect(pending.body.asks).toEqual(expect.arrayContaining(['engine.room.get', 'route GET /where']))
    expect(await desk.get('/far/where')).toMatchObject({ status: 503, body: { code: 'plugin.unavailable' } })

    // Only what was shown: a hash of anything else grants nothing.
    expect(await desk.post('/plugins/far/approve', { manifest: 'other' })).toMatchObject({
      status: 412,
      body: { code: 'plugin.stale' },
    })
    expect((await desk.post('/plugins/far/approve', { manifest: pending.body.manifest })).status).toBe(200)
    await desk.until(async () => (await desk.get('/plugins/far')).body.state === 'attached')
    expect((await desk.get('/plugins/far')).body).toMatchObject({ asks: [], changedBy: 'ops', instances: [{ state: 'healthy' }] })
    expect(await desk.get('/far/where')).toMatchObject({ status: 200, body: 'demo' })
    expect((await desk.post('/plugins/far/update')).body.code).toBe('plugin.bad_state')

    // Everything in the log is acknowledged by the server in the end.
    let relay = (await desk.get('/relay')).body
    while (relay.state !== 'running' || relay.lag > 0) relay = (await desk.get('/relay')).body
    expect(relay).toMatchObject({ trouble: '', published: relay.pos })
    const { body } = await desk.post('/relay/rewind', { pos: 0 })
    expect(body.state).not.toBe('off')
    // Its place goes back to 0 with that: what the server flags is what tells.
    while (relay.duplicates === 0 || relay.state !== 'running' || relay.lag > 0) relay = (await desk.get('/relay')).body
    expect(relay.duplicates).toBeGreaterThan(0)

    // Every number of an engine with all its parts is in the reference.
    const rows = reference()
    for (const { name, type, help } of desk.engine.metrics.describe())
      expect(rows).toContain(`| \`${name}\` | ${type} | ${help.replaceAll('|', '\\|')} |`)
  })

  test('without NATS the relay is off', async () => {
    const desk = await start()
    expect((await desk.get('/relay')).body).toMatchObject({ state: 'off', lag: 0 })
    expect(await desk.post('/relay/rewind', { pos: 0 })).toMatchObject({ status: 409, body: { code: 'relay.off' } })
  })
})
