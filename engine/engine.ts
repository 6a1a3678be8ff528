/**
 * Builds the parts in order and stops them in reverse.
 *
 *     store -> bus -> plugins -> homes (rooms) -> edge (sessions) -> gateway (public port) -> admin (admin port)
 *
 *     const engine = await startEngine(loadConfig({ argv: [], env: process.env, cwd: process.cwd() }))
 *     await engine.stop()
 *
 * Only clock and random can be swapped; everything else is real in tests too.
 */
import { join } from 'node:path'
import { startAdmin } from './admin/admin.ts'
import { LocalBus } from './base/bus.ts'
import { type Clock, SystemClock } from './base/clock.ts'
import { createLog, type Log } from './base/log.ts'
import { createMetrics, type Metrics } from './base/metrics.ts'
import { packageVersion } from './base/package.ts'
import { idSource, type Random, systemRandom } from './base/random.ts'
import { billingOf, type EngineBilling } from './billing.ts'
import type { Config } from './config.ts'
import { Addresses } from './edge/addresses.ts'
import { devCrowd } from './edge/dev-crowd.ts'
import { demoOwnerId, devLogin, devLoginAllowed } from './edge/dev-login.ts'
import { Edge } from './edge/edge.ts'
import { Gateway } from './edge/gateway.ts'
import { loadPages } from './edge/pages.ts'
import { loadSecret } from './edge/tokens.ts'
import { type OpenLedger, openLedger } from './ledger/open.ts'
import { SignalHttp } from './media/http.ts'
import type { Media } from './media/media.ts'
import { exportMedia, exportMic } from './media/numbers.ts'
import { mediaOf } from './media/start.ts'
import { exportMetrics } from './metrics.ts'
import { expireHolds } from './pay/expiry.ts'
import { Facts } from './pay/facts.ts'
import { paymentsAlert } from './pay/open.ts'
import type { PayProvider } from './pay/provider.ts'
import { startPayments } from './pay/start.ts'
import type { Guards } from './plugin/checks/guards.ts'
import { PluginDbs } from './plugin/db/plugin-dbs.ts'
import type { AnyPlugin } from './plugin/define.ts'
import { PluginHost } from './plugin/host/host.ts'
import { remoteSecret, startRemote } from './plugin/remote/attach-remote.ts'
import { DeliveryAccounts } from './room/account.ts'
import type { Actor, Answer } from './room/call.ts'
import { newMeters } from './room/home-parts.ts'
import { Homes } from './room/homes.ts'
import { engineUserId } from './room/rights.ts'
import { Scheduler } from './room/scheduler.ts'
import { openStore, type Store } from './room/store.ts'

export interface EngineParts {
  clock?: Clock
  random?: Random
  env?: NodeJS.ProcessEnv
  /** Attached inline before the ports open. */
  plugins?: readonly AnyPlugin[]
  /** Beside the fake one, which comes with `devLogin`. */
  payProviders?: readonly PayProvider[]
  /** In place of the lines on stderr. */
  log?: Log
}

export interface Engine {
  readonly publicUrl: string
  readonly adminUrl: string
  readonly webSocketUrl: string
  readonly config: Config
  readonly secret: Uint8Array
  readonly homes: Homes
  readonly edge: Edge
  readonly guards: Guards
  readonly plugins: PluginHost
  readonly accounts: DeliveryAccounts
  readonly store: Store
  /** Undefined without `money`. */
  readonly ledger: OpenLedger | undefined
  /** Likewise. */
  readonly billing: EngineBilling | undefined
  /** Undefined with `media` off. */
  readonly media: Media | undefined
  readonly metrics: Metrics
  readonly log: Log
  readonly hasPages: boolean
  readonly hasDevLogin: boolean
  /** Drain, commit what is decided, flush the disk, close the ports. */
  stop(): Promise<void>
}

export const engineActor: Actor = { userId: engineUserId, name: 'Engine', anonymous: false, scope: ['operator'] }
const dayMs = 86_400_000
const clockWatchMs = 60_000
const clockStepMs = 1_000
const healthBodyBytesMax = 0
const devTokenBytesMax = 1_024

export async function startEngine(config: Config, parts: EngineParts = {}): Promise<Engine> {
  const { clock = new SystemClock(), random = systemRandom, env = process.env, plugins = [], payProviders = [] } = parts
  const log = parts.log ?? createLog({ level: config.logLevel, name: 'livehouse' })
  const stops: (() => void | Promise<void>)[] = []
  const stop = async () => {
    for (const one of stops.splice(0).reverse()) await one()
  }
  try {
    return await build({ config, clock, random, env, plugins, payProviders, log, stops, stop })
  } catch (error) {
    await stop()
    throw error
  }
}

interface Building {
  config: Config
  clock: Clock
  random: Random
  env: NodeJS.ProcessEnv
  plugins: readonly AnyPlugin[]
  payProviders: readonly PayProvider[]
  log: Log
  stops: (() => void | Promise<void>)[]
  stop: () => Promise<void>
}

async function build({ config, clock, random, env, plugins, payProviders, log, stops, stop }: Building): Promise<Engine> {
  const newId = idSource(random)
  const metrics = createMetrics()
  const onError = (error: unknown, where: string) => log.error({ err: error, where }, 'failed')

  const secret = await loadSecret(config)
  const store = await openStore({ dir: config.dataDir, roomsMax: config.roomsMax, queueMax: config.storeQueueMax, log })
  stops.push(() => store.close())
  const bus = new LocalBus(clock, onError)
  stops.push(() => bus.close())

  const accounts = new DeliveryAccounts()
  const liveClock = clock instanceof SystemClock ? clock : new SystemClock()
  const dbs = new PluginDbs({ dir: join(config.dataDir, 'plugins'), log, clock: liveClock })
  const host: PluginHost = new PluginHost({
    config,
    clock,
    liveClock,
    newId,
    store,
    bus,
    dbs,
    metrics,
    log,
    sdk: packageVersion(),
    command: (roomId, head) => homes.call(roomId, head),
    pay: async (ask) => pay?.payments.create(ask) ?? { code: 'billing.unavailable', msg: 'this engine keeps no ledger' },
    onError,
  })
  const { guards, transforms } = host
  const scheduler = new Scheduler(clock, (error) => onError(error, 'scheduler'))
  stops.push(() => scheduler.stop())
  const meters = newMeters()
  const onBroken = paymentsAlert(log, () => ledger?.audit.state.broken ?? 0)
  const ledger: OpenLedger | undefined = config.money
    ? await openLedger({ dir: config.dataDir, databaseUrl: config.databaseUrl || undefined, clock, log, onBroken })
    : undefined
  ledger?.audit.start()
  if (ledger) {
    stops.push(() => ledger.close(), expireHolds({ clock, ledger, log }))
    const facts = new Facts({ ledger, store, clock, log })
    facts.start()
    stops.push(() => facts.stop())
  }
  const billing = ledger && billingOf({ ledger, host, clock, bus, newId, log })
  const hasDevLogin = devLoginAllowed(config, env)
  const hasEveryAddress = config.host === '0.0.0.0' || config.host === '::'
  const pay =
    ledger &&
    billing &&
    startPayments({
      ...{ clock, bus, newId, metrics, log, secret, ledger, hasFake: hasDevLogin, providers: payProviders },
      wallet: (userId) => billing.wallet(userId),
      origin: () => `http://${hasEveryAddress ? `127.0.0.1:${gateway.port}` : origin()}`,
    })
  const media = mediaOf(config, { clock: liveClock, log })
  if (media) stops.push(() => media.stop())
  const homes: Homes = new Homes({
    clock,
    newId,
    bus,
    store,
    config,
    scheduler,
    accounts,
    guards,
    transforms,
    billing,
    plugins: host.commands,
    media,
    log,
    meters,
    onCommitted: (home, events) => host.committed(home, events),
    onError,
  })
  await homes.start()
  media?.onEvent((event) => homes.onMedia(event))
  media?.start()
  stops.push(() => homes.stop())
  stops.push(() => host.stop())
  await host.start()
  for (const plugin of plugins) await host.attach({ plugin }, { by: 'program', isConfigured: true })
  const remote = startRemote({ config, clock: liveClock, log, store, metrics, host, secret: remoteSecret(secret), newId })
  stops.push(() => remote.stop())
  await openDemoRoom(homes, config)
  if (clock instanceof SystemClock) stops.push(watchClock(clock, log))
  stops.push(keepLogShort(clock, store, config, onError))

  const addresses = new Addresses(clock, {
    connectionsMax: config.connectionsPerAddressMax,
    connectsPerSMax: config.connectsPerAddressPerSMax,
  })
  const gateway: Gateway = new Gateway({
    ...config,
    addresses,
    admit: () => edge.admit(),
    onSocket: (socket) => edge.onSocket(socket),
    onError: (error) => onError(error, 'gateway'),
  })
  const edge = new Edge({
    edgeId: 'local',
    config,
    clock,
    random,
    newId,
    bus,
    fanout: gateway,
    accounts,
    plugins: host.commands,
    guards,
    secret,
    onError: (error) => onError(error, 'edge'),
  })
  stops.push(async () => {
    gateway.stopListening()
    await edge.drain()
  })

  const origin = () => `${config.host.includes(':') ? `[${config.host}]` : config.host}:${gateway.port}`
  const hasCrowd = hasDevLogin && config.demoCrowd > 0 && config.demoRoom !== ''
  gateway.route('get', '/healthz', { bodyBytesMax: healthBodyBytesMax }, () => ({
    status: 200,
    headers: { 'content-type': 'application/json' },
    // What a page may ask for under /dev, so that it need not try and fail.
    body: JSON.stringify({
      ok: true,
      connections: edge.connections,
      rooms: homes.loaded,
      dev: { login: hasDevLogin, crowd: hasCrowd },
    }),
  }))
  if (hasDevLogin)
    gateway.route('post', '/dev/token', { bodyBytesMax: devTokenBytesMax }, devLogin({ config, clock, newId, secret }))
  if (hasCrowd) {
    const crowd = devCrowd(config, () => `ws://${origin()}/live`)
    gateway.route('post', '/dev/crowd', { bodyBytesMax: devTokenBytesMax }, crowd.handler)
    stops.push(() => crowd.stop())
  }
  pay?.offer(gateway)
  new SignalHttp({
    ...{ clock, secret, iceServers: media?.iceServers ?? [] },
    command: (roomId, head) => new Promise((resolve) => edge.relay.request(roomId, head, resolve)),
  }).offer(gateway)
  const pages = await loadPages(config.pagesDir)
  for (const method of ['get', 'head'] as const) gateway.route(method, '/*', { bodyBytesMax: 0 }, pages.serve)
  await gateway.listen()

  exportMetrics(metrics, { accounts, edge, homes, meters, store, addresses, dbs, ledger })
  exportMedia(metrics, media, meters.stream)
  exportMic(metrics, meters.mic)
  const admin = await startAdmin({
    ...{ config, clock, secret, homes, edge, accounts, metrics, store, log, newId, host, remote, ledger, billing, media },
  })
  stops.push(() => admin.close())

  log.info({ publicPort: gateway.port, adminUrl: admin.url, dataDir: config.dataDir, devLogin: hasDevLogin }, 'started')
  return {
    publicUrl: `http://${origin()}`,
    webSocketUrl: `ws://${origin()}/live`,
    adminUrl: admin.url,
    config,
    secret,
    homes,
    edge,
    guards,
    plugins: host,
    accounts,
    store,
    ledger,
    billing,
    media,
    metrics,
    log,
    hasPages: pages.count > 0,
    hasDevLogin,
    stop,
  }
}

/** After every start there is an open room to look at. */
async function openDemoRoom(homes: Homes, { demoRoom }: Config): Promise<void> {
  if (demoRoom === '') return
  const ask = (roomId: string | undefined, t: string, d: unknown): Promise<Answer> =>
    homes.call(roomId, { t, d, actor: engineActor })
  const acceptable = (answer: Answer, ...codes: string[]) => {
    if (!answer.ok && !codes.includes(answer.err.code)) throw new Error(`room ${demoRoom}: ${answer.err.code}: ${answer.err.msg}`)
  }
  const room = { roomId: demoRoom, ownerId: demoOwnerId, title: 'Livehouse demo', intro: 'A room to try things in.' }
  acceptable(await ask(undefined, 'room.create', room), 'room.exists')
  acceptable(await ask(demoRoom, 'room.open', {}), 'room.bad_state', 'room.taken_down')
}

/** Once a day, and soon after the start: rows of the room log past their time go. */
function keepLogShort(clock: Clock, store: Store, config: Config, onError: (error: unknown, where: string) => void): () => void {
  let timer = clock.after(60_000, prune)
  function prune() {
    store.pruneLog(clock.now() - config.roomLogDays * dayMs).catch((error) => onError(error, 'prune of the room log'))
    timer = clock.after(dayMs, prune)
  }
  return () => timer.cancel()
}

/** Our time does not follow when somebody sets the system clock; whoever compares logs should know. */
function watchClock(clock: SystemClock, log: Log): () => void {
  let known = 0
  let timer = clock.after(clockWatchMs, look)
  function look() {
    const stepMs = clock.wallStepMs()
    if (Math.abs(stepMs - known) > clockStepMs) log.warn({ stepMs }, 'the system clock is off ours')
    known = stepMs
    timer = clock.after(clockWatchMs, look)
  }
  return () => timer.cancel()
}
