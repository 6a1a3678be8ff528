/**
 * `livehouse/testing`: the real engine for tests of bots, pages and plugins. Nothing is faked: real sockets on free ports, a real data
 * folder of its own (removed at the end), no log. Only the clock can be swapped.
 *
 *     const clock = new TestClock()
 *     const engine = await startTestEngine({}, { clock, plugins: [plugin] })    // inline; or { file, place: 'worker' }
 *     const ann = await engine.connect({ token: await engine.token('ann') })
 *     await ann.ok('room.join', {}, 'demo')
 *     await ann.ok('x.trivia.start', { question: 'Why?' }, 'demo')              // a command of the plugin
 *     await ann.next('x.trivia.asked')                                          // an event of the plugin
 *     await clock.advanceAsync(30_000)                                          // its schedules run
 *     await engine.settled()                                                    // and all that they caused is done
 *     await engine.stop()
 *
 * With a `TestClock` time stands still: slow modes, mutes, budgets and schedules end by `clock.advance(60_000)`, and not before.
 * Without one the engine runs on real time. A plugin in a worker or of its own process reads real time from `ctx.clock`; what the engine
 * hands it (`ask.at`, `event.at`, the `at` of a schedule) is the time of the test.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ErrorBody } from '../schemas/errors.ts'
import {
  decodeServerFrame,
  type Encoding,
  type EventEnvelope,
  encodeRequest,
  isReply,
  type ReplyEnvelope,
  type ServerEnvelope,
  subprotocols,
} from '../schemas/wire.ts'
import { type Clock, ManualClock, SystemClock, settle, type Timer } from './base/clock.ts'
import { packageVersion } from './base/package.ts'
import { nodeHost } from './client/node.ts'
import { type Config, configFrom } from './config.ts'
import { signToken } from './edge/tokens.ts'
import { type Engine, type EngineParts, startEngine } from './engine.ts'
import type { AnyPlugin } from './plugin/define.ts'
import type { PluginInfo } from './plugin/host/plugin-info.ts'
import { loadPlugin } from './plugin/places/load.ts'
import { remoteSecret } from './plugin/remote/attach-remote.ts'
import { type RunningPlugin, runPlugin } from './plugin/remote/run.ts'
import { pluginToken } from './plugin/remote/sealed.ts'

export type { EventEnvelope, ReplyEnvelope } from '../schemas/wire.ts'
export { startNatsServer } from './base/nats-server.ts'
export type { PluginInfo } from './plugin/host/plugin-info.ts'

/** Time moves by `advance` alone, but what is due now happens now: an engine at rest needs no push to answer. */
export class TestClock extends ManualClock {
  override after(ms: number, fn: () => void): Timer {
    const timer = super.after(ms, fn)
    if (ms <= 0) void settle().then(() => this.advance(0))
    return timer
  }
}

export interface ConnectOptions {
  /** Absent: an anonymous viewer. */
  token?: string
  encoding?: Encoding
  deviceId?: string
  /** False: only the socket, without `session.open`. */
  open?: boolean
}

/**
 * A plugin object runs inline; a file runs where `place` says. `remote` attaches over the NATS server of the option `natsUrl`
 * (`startNatsServer()` starts one) and is approved at once.
 */
export type TestPlugin = AnyPlugin | { file: string; place?: 'inline' | 'worker' | 'remote'; settings?: object }
export interface TestParts extends Omit<EngineParts, 'plugins'> {
  plugins?: readonly TestPlugin[]
}

export interface AdminReply {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: as for the bodies of events.
  body: any
}

export interface TestEngine extends Engine {
  /** A signed token, valid for an hour of the engine's clock. */
  token(user: string, claims?: { name?: string; scope?: string; ttlMs?: number }): Promise<string>
  /** A client that hides nothing: no reconnect, no state, every message as it came. */
  connect(options?: ConnectOptions): Promise<TestClient>
  /** What the engine knows about a plugin, once it is attached and healthy: state, hooks with their counts, settings. */
  plugin(name: string): Promise<PluginInfo>
  /** Every event up to now has been handed to every plugin that wants it, and no plugin is at work any more. */
  settled(): Promise<void>
  /** The admin API as an operator: `engine.admin('GET', '/plugins')`. Routes of a plugin are there too: `/trivia/scores`. */
  admin(method: string, path: string, body?: unknown): Promise<AdminReply>
}

/** Defaults but for `options`, on free ports, and without a ledger (two threads) unless `money` is on, without a media node (processes) unless `media` is. Give `dataDir` to start twice on one folder; it is then left in place. */
export async function startTestEngine(options: Partial<Config> = {}, parts: TestParts = {}): Promise<TestEngine> {
  const { clock = new SystemClock(), plugins = [], ...others } = parts
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'livehouse-test-')))
  const config = configFrom({
    port: 0,
    adminPort: 0,
    logLevel: 'silent',
    drainMs: 0,
    money: false,
    media: false,
    ...atRest(clock),
    ...options,
    dataDir,
  })
  const engine = await startEngine(config, { ...others, clock })
  const clients: TestClient[] = []
  const running: RunningPlugin[] = []
  const token: TestEngine['token'] = (sub, { ttlMs = 3_600_000, ...claims } = {}) =>
    signToken(engine.secret, { sub, ttlMs, ...claims }, clock.now())
  const all: TestEngine = {
    ...engine,
    token,
    async connect({ encoding = 'json', open = true, ...session } = {}) {
      const client = await TestClient.connect(engine.webSocketUrl, encoding)
      clients.push(client)
      if (open) await client.ok('session.open', session)
      return client
    },
    plugin: (name) => healthyPlugin(engine, name),
    settled: () => settledPlugins(engine),
    async admin(method, path, body) {
      const headers: Record<string, string> = { authorization: `Bearer ${await token('operator', { scope: 'operator' })}` }
      if (body !== undefined) headers['content-type'] = 'application/json'
      const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) }
      const reply = await fetch(new URL(`/admin/v1${path}`, engine.adminUrl), init)
      const text = await reply.text()
      return { status: reply.status, body: text === '' ? undefined : JSON.parse(text) }
    },
    async stop() {
      for (const client of clients) client.drop()
      await Promise.all(running.map((one) => one.stop()))
      await engine.stop()
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true })
    },
  }
  try {
    for (const plugin of plugins) await attachTestPlugin(engine, plugin, running)
  } catch (error) {
    await all.stop()
    throw error
  }
  return all
}

async function attachTestPlugin(
  { plugins, config, secret, log }: Engine,
  from: TestPlugin,
  running: RunningPlugin[],
): Promise<void> {
  if (!('file' in from)) return void (await plugins.attach({ plugin: from }, { by: 'test' }))
  const { file, place = 'inline', settings } = from
  let name: string
  if (place === 'remote') {
    if (config.natsUrl === '') throw new Error(`${file}: place 'remote' needs the option natsUrl (startNatsServer() has one)`)
    const plugin = await loadPlugin(file)
    name = plugin.name
    const token = pluginToken(remoteSecret(secret), name)
    running.push(runPlugin({ plugin, natsUrl: config.natsUrl, token, clock: real, log, sdk: packageVersion() }))
    await until(`plugin ${name} to ask for approval`, () => plugins.list().find((one) => one.name === name))
    await plugins.approve(name, 'test')
    await until(`plugin ${name} to be healthy`, () => plugins.describe(name).state === 'attached' || undefined)
  } else name = await plugins.attach({ file, place }, { by: 'test' })
  if (settings) await plugins.configure(name, settings as Record<string, unknown>, 'test')
}

async function healthyPlugin({ plugins }: Engine, name: string): Promise<PluginInfo> {
  const known = () => plugins.list().find((one) => one.name === name)
  const healthy = () => {
    const info = known()
    return info?.state === 'attached' ? info : undefined
  }
  return until(`plugin ${name} to be healthy`, healthy, () => {
    const { state = 'unknown to the engine', lastError = '' } = known() ?? {}
    return `it is ${state}${lastError && `: ${lastError}`}`
  })
}

/** Rows that wait for a pause after a failure, and dead letters, are not waited for: nothing goes on there by itself. */
async function settledPlugins({ plugins, store }: Engine): Promise<void> {
  const isIdle = () =>
    plugins.list().every(({ events, live, instances }) => {
      const isRead = !events || events.lag === 0
      const isSeen = !live || live.queued === 0
      return isRead && isSeen && instances.every(({ underWay }) => underWay === 0)
    })
  // What is idle may have caused something just before that is still on its way into the log: idle twice around a look at the disk.
  for (let quiet = 0; quiet < 2; ) {
    await store.logEnd()
    await settle()
    quiet = isIdle() ? quiet + 1 : 0
    if (quiet === 0) await until('the plugins to settle', () => isIdle() || undefined)
  }
}

/** Looks every few ms of real time until `find` finds something. */
async function until<T>(label: string, find: () => T | undefined, state: () => string = () => ''): Promise<T> {
  const giveUpAt = real.now() + waitMsMax
  for (;;) {
    const found = find()
    if (found !== undefined) return found
    if (real.now() > giveUpAt) throw new Error(`waited ${waitMsMax} ms for ${label}; ${state()}`)
    await new Promise<void>((resolve) => real.after(5, resolve))
  }
}

/**
 * A clock that stands still never reaches the next tick: ticks are due at once. And one that jumps makes every pong late: the lag of a
 * reader is not measured.
 */
const atRest = (clock: Clock): Partial<Config> =>
  clock instanceof ManualClock ? { tickMsMin: 0, writeCostNs: 0, lagMsMax: 0 } : {}

/** A command that `ok` expected to succeed was refused. */
export class TestRefusal extends Error {
  readonly err: ErrorBody

  constructor(command: string, err: ErrorBody) {
    super(`${command}: ${err.code}: ${err.msg}`)
    this.name = 'TestRefusal'
    this.err = err
  }
}

/** An event whose body may be looked into without a cast. */
export interface TestEvent extends EventEnvelope {
  // biome-ignore lint/suspicious/noExplicitAny: tests look into many shapes; the contract's own types are checked elsewhere.
  d: any
}
type Match = string | ((event: TestEvent) => boolean)
interface Wait {
  take(message: ServerEnvelope): boolean
  fail(error: Error): void
}

/** How long a wait may take before the test fails. Real time, whatever the engine's clock does. */
const waitMsMax = 15_000
const real = new SystemClock()

export class TestClient {
  /** Every event, in the order of arrival. */
  readonly events: TestEvent[] = []
  /** Every reply, likewise. */
  readonly replies: ReplyEnvelope[] = []
  readonly encoding: Encoding
  /** Resolves when the connection is over, whoever ended it. */
  readonly closed: Promise<{ code: number; reason: string }>
  readonly #socket: ReturnType<typeof nodeHost.openSocket>
  readonly #taken = new Set<TestEvent>()
  #waits: Wait[] = []
  #lastId = 0

  private constructor(url: string, encoding: Encoding, onOpen: (error?: Error) => void) {
    this.encoding = encoding
    this.#socket = nodeHost.openSocket(url, subprotocols[encoding])
    this.#socket.binaryType = 'arraybuffer'
    this.#socket.onopen = () => onOpen()
    this.#socket.onerror = () => {}
    this.#socket.onmessage = ({ data }) => this.#receive(data)
    this.closed = new Promise((resolve) => {
      this.#socket.onclose = ({ code, reason }) => {
        onOpen(new Error(`closed before it was open: ${code}`))
        for (const wait of this.#waits.splice(0)) wait.fail(new Error(`connection closed: ${code} ${reason}`))
        resolve({ code, reason })
      }
    })
  }

  static connect(url: string, encoding: Encoding): Promise<TestClient> {
    return new Promise((resolve, reject) => {
      const client = new TestClient(url, encoding, (error) => (error ? reject(error) : resolve(client)))
    })
  }

  /** Send a command and wait for its answer, a refusal too. */
  call(t: string, d: unknown = {}, room?: string, ik?: string): Promise<ReplyEnvelope> {
    const id = `${++this.#lastId}`
    this.send(encodeRequest(this.encoding, { id, t, room, ik, d }))
    return this.#wait(`the answer to ${t}`, (message) => (isReply(message) && message.re === id ? message : undefined))
  }

  /** Send a command and return the body of its answer; throws a `TestRefusal` when it is refused. */
  // biome-ignore lint/suspicious/noExplicitAny: as for the bodies of events.
  async ok(t: string, d: unknown = {}, room?: string, ik?: string): Promise<any> {
    const reply = await this.call(t, d, room, ik)
    if (!reply.ok) throw new TestRefusal(t, reply.err)
    return reply.d
  }

  /** Send a command and return its refusal; throws when it succeeds. */
  async refused(t: string, d: unknown = {}, room?: string, ik?: string): Promise<ErrorBody> {
    const reply = await this.call(t, d, room, ik)
    if (reply.ok) throw new Error(`${t} was not refused: ${JSON.stringify(reply.d)}`)
    return reply.err
  }

  /** The first event that matches (a name, or a function) and that `next` has not returned before; waits for it if need be. */
  async next(match: Match): Promise<TestEvent> {
    const matches = typeof match === 'string' ? (event: TestEvent) => event.t === match : match
    const fits = (event: TestEvent) => !this.#taken.has(event) && matches(event)
    const label = typeof match === 'string' ? match : 'an event'
    const known = this.events.find(fits)
    const event = known ?? (await this.#wait(label, (message) => (!isReply(message) && fits(message) ? message : undefined)))
    this.#taken.add(event)
    return event
  }

  /** Events of one name so far. */
  of(t: string): TestEvent[] {
    return this.events.filter((event) => event.t === t)
  }

  /** A whole round trip: whatever was sent to this client before the server saw this is here when it resolves. */
  async roundTrip(): Promise<void> {
    await this.call('session.ping')
  }

  /** Bytes as they are. */
  send(frame: string | Uint8Array): void {
    this.#socket.send(frame)
  }

  async close(): Promise<void> {
    this.#socket.close()
    await this.closed
  }

  /** As a stalled tab: bytes pile up until `readAgain`. */
  stopReading(): void {
    ;(this.#socket as { pause?(): void }).pause?.()
  }

  readAgain(): void {
    ;(this.#socket as { resume?(): void }).resume?.()
  }

  /** As a cut cable: no closing handshake. */
  drop(): void {
    this.#socket.terminate?.()
  }

  #wait<T>(label: string, find: (message: ServerEnvelope) => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const end = () => {
        timer.cancel()
        this.#waits = this.#waits.filter((other) => other !== wait)
      }
      const fail = (error: Error) => {
        end()
        reject(error)
      }
      const timer = real.after(waitMsMax, () => fail(new Error(`waited ${waitMsMax} ms for ${label}`)))
      const wait: Wait = {
        take: (message) => {
          const found = find(message)
          if (found === undefined) return false
          end()
          resolve(found)
          return true
        },
        fail,
      }
      this.#waits.push(wait)
    })
  }

  #receive(data: unknown): void {
    const frame = typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer)
    for (const message of decodeServerFrame(frame)) {
      if (isReply(message)) this.replies.push(message)
      else this.events.push(message)
      for (const wait of [...this.#waits]) if (wait.take(message)) break
    }
  }
}
