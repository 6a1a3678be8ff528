/** The commands as a person types them: real processes, a real nats-server, a real engine. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { SystemClock } from '../base/clock.ts'
import { silentLog } from '../base/log.ts'
import { connectNats, type NatsLink } from '../base/nats.ts'
import { startNatsServer } from '../base/nats-server.ts'
import { packageRoot } from '../base/package.ts'
import { programEntry } from '../base/worker-entry.ts'
import { startTestEngine } from '../testing.ts'
import { natsConfig } from './nats-config.ts'

/** Each command is a process that loads a plugin from its source: seconds on a busy machine. */
const testMs = 180_000
const saysMsMax = 45_000

const { file: program, execArgv } = programEntry(new URL('../main.ts', import.meta.url))

const stops: (() => unknown)[] = []
let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'livehouse-cli-'))
})
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
  rmSync(folder, { recursive: true, force: true })
})

interface Command {
  child: ChildProcess
  ended: Promise<number | null>
  printed(): string
  /** Waits until all that was printed holds this; fails when the command ends before. */
  says(text: string): Promise<void>
}

function livehouse(args: readonly string[], { cwd = folder, token = '' } = {}): Command {
  // The names that a plugin imports are the compiled sources here, as an installed package's are its dist.
  const names = { TSX_TSCONFIG_PATH: join(process.env.TEST_COMPILED_SOURCES ?? packageRoot, 'tsconfig.json') }
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    TEST_COMPILED_SOURCES: process.env.TEST_COMPILED_SOURCES,
    ...names,
  }
  const exported = token === '' ? {} : { LIVEHOUSE_PLUGIN_TOKEN: token }
  const child = spawn(process.execPath, [...execArgv, program, ...args], { cwd, env: { ...env, ...exported } })
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  stops.push(() => child.kill('SIGKILL'))
  let printed = ''
  const lookers = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      printed += chunk
      for (const look of lookers) look()
    })
  const says = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`never said ${text}: ${printed}`)), saysMsMax)
      void ended.then(() => clearTimeout(timer))
      const look = () => printed.includes(text) && resolve()
      lookers.add(look)
      void ended.then((code) => (printed.includes(text) ? resolve() : reject(new Error(`ended with ${code}: ${printed}`))))
      look()
    })
  return { child, ended, printed: () => printed, says }
}

async function output(...args: string[]): Promise<{ code: number | null; text: string }> {
  const command = livehouse(args)
  return { code: await command.ended, text: command.printed() }
}

it.each([{ flags: [] }, { flags: ['--js'] }])(
  'plugin new $flags: the test that comes with it passes',
  async ({ flags }) => {
    expect(await output('plugin', 'new', 'hello', ...flags)).toMatchObject({ code: 0, text: expect.stringContaining('npm test') })
    const tests = livehouse(['plugin', 'test'], { cwd: join(folder, 'hello') })
    expect(await tests.ended, tests.printed()).toBe(0)
    expect(tests.printed()).toMatch(/pass 3\n/)
    expect(await output('plugin', 'new', 'hello')).toMatchObject({ code: 1, text: expect.stringContaining('is there already') })
  },
  testMs,
)

it(
  'plugin dev: takes a change, keeps what was when it does not load',
  async () => {
    await output('plugin', 'new', 'hello')
    const file = join(folder, 'hello', 'plugin.ts')
    const text = readFileSync(file, 'utf8')
    const dev = livehouse(['plugin', 'dev', file, '--port', '0'])
    await dev.says('Ctrl-C ends.')
    writeFileSync(file, text.replace("version: '0.1.0'", "version: '0.2.0'"))
    await dev.says('Taken: hello 0.2.0')
    writeFileSync(file, text.replace('budgetMs: 50,', 'budgetMs: 5000,'))
    await dev.says('Not taken, the version before stays: guard danmaku.send: budgetMs')
    dev.child.kill('SIGINT')
    expect(await dev.ended).toBe(0)
  },
  testMs,
)

it(
  'plugin run: waits for NATS, attaches, is approved, drains on SIGTERM',
  async () => {
    const nats = await startNatsServer()
    stops.push(() => nats.stop())
    const engine = await startTestEngine({ natsUrl: nats.url, dataDir: join(folder, 'data') })
    stops.push(() => engine.stop())
    const data = ['--data-dir', join(folder, 'data')]
    const admin = ['--admin', engine.adminUrl, ...data]
    await output('plugin', 'new', 'hello')
    const file = join(folder, 'hello', 'plugin.ts')

    const [bare, { text: token }] = await Promise.all([
      output('plugin', 'run', file, '--nats', nats.url),
      output('plugin', 'token', 'other', ...data),
    ])
    expect(bare).toMatchObject({ code: 1, text: expect.stringContaining('livehouse plugin token hello') })
    const wrong = await output('plugin', 'run', file, '--nats', nats.url, '--token', token.trim())
    expect(wrong).toMatchObject({
      code: 1,
      text: expect.stringContaining('The token is that of other, the plugin is called hello'),
    })

    await nats.kill()
    const run = livehouse(['plugin', 'run', file, '--nats', nats.url, ...data])
    await run.says('hello 0.1.0 looks for engines')
    await nats.restart()
    await run.says('Attached to the engine')
    expect((await output('plugin', 'list', ...admin)).text).toMatch(/hello .*pending[\s\S]*livehouse plugin approve hello/)
    const asks = 'guard danmaku.send open, command x.hello.roll, event room.opened'
    expect(await output('plugin', 'approve', 'hello', ...admin)).toEqual({
      code: 0,
      text: `hello 0.1.0 asks for ${asks}.\nhello is approved, and granted ${asks}.\n`,
    })
    await engine.plugin('hello')
    const ann = await engine.connect({ token: await engine.token('ann') })
    await ann.ok('room.join', {}, 'demo')
    expect(await ann.ok('x.hello.roll', { dice: 1 }, 'demo')).toHaveProperty('value')
    const missing = await output('plugin', 'disable', 'helo', ...admin)
    expect(missing).toMatchObject({ code: 1, text: expect.stringContaining('there is no plugin helo') })
    run.child.kill('SIGTERM')
    expect(await run.ended, run.printed()).toBe(0)
    expect(run.printed()).toContain('Stopped.')
  },
  testMs,
)

it(
  'LIVEHOUSE_PLUGIN_TOKEN: lets a plugin attach from a folder without a secret, and is in no other command’s way',
  async () => {
    const nats = await startNatsServer()
    stops.push(() => nats.stop())
    const engine = await startTestEngine({ natsUrl: nats.url, dataDir: join(folder, 'data') })
    stops.push(() => engine.stop())
    const data = ['--data-dir', join(folder, 'data')]
    const [{ text: token }] = await Promise.all([output('plugin', 'token', 'hello', ...data), output('plugin', 'new', 'hello')])
    const exported = { cwd: join(folder, 'hello'), token: token.trim() }
    const run = livehouse(['plugin', 'run', './plugin.ts', '--nats', nats.url], exported)
    await run.says('Attached to the engine')
    const list = livehouse(['plugin', 'list', '--admin', engine.adminUrl, ...data], exported)
    expect(await list.ended, list.printed()).toBe(0)
    expect(list.printed()).toMatch(/hello .*pending/)
    run.child.kill('SIGTERM')
    expect(await run.ended, run.printed()).toBe(0)

    const { port } = new URL(engine.publicUrl)
    const dev = await output('plugin', 'dev', join(folder, 'hello', 'plugin.ts'), '--port', port)
    expect(dev).toEqual({ code: 1, text: expect.stringMatching(/^Port \d+ or \d+ is taken.*--port N.*\n$/) })
  },
  testMs,
)

it(
  'nats-config: a plugin works with its user, and reaches nobody else',
  async () => {
    const passwords = ['engine-pw', 'trivia-pw', 'other-pw']
    // The test server listens where it likes; everything else is what the command prints.
    const config = natsConfig(['trivia', 'other'], () => passwords.shift() as string).replace(/^(listen|jetstream).*\n/gm, '')
    const nats = await startNatsServer({ config, jetStream: true })
    stops.push(() => nats.stop())
    const as = (user: string, password: string) => nats.url.replace('//', `//${user}:${password}@`)
    const engine = await startTestEngine({ natsUrl: as('engine', 'engine-pw'), dataDir: join(folder, 'data'), jetStream: true })
    stops.push(() => engine.stop())
    const file = join(packageRoot, 'examples/plugins/trivia/plugin.ts')
    const flags = ['--nats', as('plugin-trivia', 'trivia-pw'), '--data-dir', join(folder, 'data')]
    const run = livehouse(['plugin', 'run', file, ...flags])
    await run.says('Attached to the engine')
    await engine.plugins.approve('trivia', 'test')
    await engine.plugin('trivia')
    const ops = await engine.connect({ token: await engine.token('ops', { scope: 'operator' }) })
    await ops.ok('room.join', {}, 'demo')
    await ops.ok('x.trivia.start', { question: 'Why?', answer: 'because' }, 'demo')
    await ops.next('x.trivia.asked')

    const clock = new SystemClock()
    const open = async (url: string): Promise<NatsLink> => {
      const link = connectNats({ url, name: 'other', clock, log: silentLog })
      stops.push(() => link.close())
      await link.whenUp()
      return link
    }
    const [other, watcher] = [await open(as('plugin-other', 'other-pw')), await open(as('engine', 'engine-pw'))]
    const heard: string[] = []
    for (const subject of [
      'lh.>',
      'lh.plugin.*.down.trivia.*',
      'lh.plugin.*.up.trivia.*',
      '_INBOX.>',
      '_INBOX.trivia.>',
      '$JS.>',
    ])
      other.subscribe(subject, (_, on) => heard.push(on))
    const beacon = new Promise<void>((resolve) => other.subscribe('lh.plugin.beacon', () => resolve()))
    const forged: string[] = []
    watcher.subscribe('lh.>', (_, on) => void (/forged/.test(on) && forged.push(on)))
    const own = new Promise<void>((resolve) => watcher.subscribe('lh.plugin.e1.up.other.x', () => resolve()))
    await Promise.all([other.flush(), watcher.flush()])
    for (const subject of ['lh.plugin.e1.up.trivia.forged', 'lh.room.forged.cmd', 'lh.user.forged.close', 'lh.evt.demo.forged'])
      other.publish(subject, new Uint8Array([1]))
    other.publish('lh.plugin.e1.up.other.x', new Uint8Array([1]))
    await ops.ok('x.trivia.answer', { text: 'no' }, 'demo') // traffic that could be overheard
    await Promise.all([beacon, own])
    expect({ heard: heard.filter((on) => on !== 'lh.plugin.beacon'), forged }).toEqual({ heard: [], forged: [] })
    run.child.kill('SIGTERM')
    expect(await run.ended).toBe(0)
  },
  testMs,
)
