/** What operators and plugins do at the same moment, or out of order: one after the other in effect, and nothing is left behind. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { SystemClock } from '../../base/clock.ts'
import { silentLog } from '../../base/log.ts'
import { type NatsServer, startNatsServer } from '../../base/nats-server.ts'
import { type AnyPlugin, definePlugin } from '../define.ts'
import { Bench, untilTrue } from '../fixtures/places.ts'
import { Type } from '../index.ts'
import { manifestOf } from '../manifest.ts'
import type { Channel, ChannelEvents } from '../places/channel.ts'
import { runPlugin } from '../remote/run.ts'
import type { SealedChannel } from '../remote/sealed-channel.ts'
import type { PluginHost } from './host.ts'

let nats: NatsServer
let bench: Bench
let plugins: PluginHost
let folder: string
beforeAll(async () => {
  nats = await startNatsServer()
})
afterAll(() => nats.stop())
beforeEach(async () => {
  bench = await Bench.start('remote', nats, new SystemClock(), { pluginsApproved: '' })
  plugins = bench.engine.plugins
  folder = await mkdtemp(join(tmpdir(), 'livehouse-host-'))
})
afterEach(async () => {
  await bench.stop()
  await rm(folder, { recursive: true, force: true })
})

const codeOf = (change: Promise<unknown>): Promise<string> =>
  change.then(
    () => 'done',
    (error) => error.code,
  )
const attach = (plugin: AnyPlugin) => codeOf(plugins.attach({ plugin }, { by: 'test' }))
const word = (version = '1.0.0', more: object = {}): AnyPlugin => definePlugin({ name: 'word', version, ...more })

it('detached twice at once: the second finds nothing, and what is attached then stays', async () => {
  await attach(word())
  expect(await Promise.all([codeOf(plugins.detach('word', 'a')), codeOf(plugins.detach('word', 'b'))])).toEqual([
    'done',
    'plugin.not_found',
  ])
  await attach(word())
  expect(bench.stateOf('word')).toBe('attached')
})

it('two that want the same domain at once: one gets it', async () => {
  const migrations = ['CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT']
  const wants = (name: string) => attach(definePlugin({ name, version: '1.0.0', domains: ['goal'], migrations }))
  expect((await Promise.all([wants('first'), wants('second')])).sort()).toEqual(['done', 'plugin.exists'])
  expect(plugins.list()).toHaveLength(1)
})

it('approving does not enable, and a file that does not load any more stays disabled', async () => {
  const file = join(folder, 'word.mjs')
  const index = new URL('../index.ts', import.meta.url).href
  const source = `import { definePlugin } from ${JSON.stringify(index)}\nexport default definePlugin({ name: 'word', version: '1.0.0' })`
  await writeFile(file, source)
  await plugins.attach({ file, place: 'inline' }, { by: 'test' })
  await plugins.disable('word', 'test')
  expect(await codeOf(plugins.approve('word', 'test'))).toBe('plugin.disabled')
  await writeFile(file, 'export default {')
  expect(await codeOf(plugins.enable('word', 'test'))).toBe('plugin.not_loaded')
  expect(bench.stateOf('word')).toBe('disabled')
  await writeFile(file, source)
  expect(await Promise.all([codeOf(plugins.enable('word', 'a')), codeOf(plugins.enable('word', 'b'))])).toEqual([
    'done',
    'plugin.bad_state',
  ])
  expect(bench.stateOf('word')).toBe('attached')
})

it('settings that the version before would not take are no news of the one that takes them', async () => {
  const settings = Type.Object({ start: Type.String({ pattern: '^a', default: 'a' }) })
  await attach(word('1.0.0', { settings }))
  await plugins.configure('word', { start: 'b' }, 'test')
  expect(plugins.describe('word').unfitSettings).not.toBe('')
  await attach(word('1.0.1', { settings: Type.Object({ start: Type.String({ default: 'a' }) }) }))
  expect(plugins.describe('word')).toMatchObject({ version: '1.0.1', unfitSettings: '', settings: { start: 'b' } })
})

it('instances that wait for approval are sent away when the plugin comes to run in the engine', async () => {
  const remote = runPlugin({
    plugin: word(),
    natsUrl: nats.url,
    token: bench.token('word'),
    clock: new SystemClock(),
    log: silentLog,
    sdk: '0.1.0',
  })
  try {
    await untilTrue(() => bench.stateOf('word') === 'pending')
    expect(await attach(word('2.0.0'))).toBe('done')
    expect(bench.stateOf('word')).toBe('attached')
    await plugins.approve('word', 'test')
    expect(plugins.describe('word')).toMatchObject({
      place: 'inline',
      version: '2.0.0',
      asks: [],
      instances: [{ state: 'healthy' }],
    })
  } finally {
    await remote.stop(0)
  }
})

/** An instance of a plugin elsewhere, in the hands of the test. */
function instanceOf(instance: string, version: string) {
  let events: ChannelEvents | undefined
  const channel: Channel = {
    open(given) {
      events = given
    },
    send: () => true,
    close: () => {},
  }
  const attaching = plugins.onRemote({
    name: 'word',
    manifestText: JSON.stringify(manifestOf(word(version), '0.1.0')),
    protocol: 1,
    sdk: '0.1.0',
    instance,
    channel: channel as SealedChannel,
  })
  return {
    attaching,
    ready: () => events?.onText('[{"k":"ready","settings":1}]'),
    leave: () => events?.onClose('left'),
  }
}

it('a new version whose first instance dies is taken over to with the one that came meanwhile', async () => {
  const first = instanceOf('first', '1.0.0')
  expect(await first.attaching).toEqual({ ok: true })
  await plugins.approve('word', 'test')
  first.ready()
  await untilTrue(() => bench.stateOf('word') === 'attached')
  const second = instanceOf('second', '2.0.0')
  await second.attaching
  const third = instanceOf('third', '2.0.0')
  second.leave()
  expect(await third.attaching).toEqual({ ok: true })
  third.ready()
  await untilTrue(() => plugins.describe('word').version === '2.0.0')
  expect(plugins.describe('word').instances).toMatchObject([{ instance: 'third', state: 'healthy' }])
})

it('a plugin that is still starting when the engine stops does not stay', async () => {
  const told: string[] = []
  let started = () => {}
  const mayStart = new Promise<void>((resolve) => {
    started = resolve
  })
  const attached = attach(
    word('1.0.0', {
      start: () => mayStart,
      stop: () => {
        told.push('stopped')
      },
    }),
  )
  await untilTrue(() => plugins.list().length === 1)
  const stopped = plugins.stop()
  started()
  await stopped
  expect(await attached).toBe('plugin.bad_state')
  expect(await attach(word())).toBe('plugin.bad_state')
  expect(plugins.list()).toEqual([])
})
