/**
 * The real parts of the engine on a clock that stands still, chance from a seed, and a network and a bus that misbehave on request.
 *
 * Two edges (`e1`, `e2`) and one node with homes, as if on three machines: everything between them goes over the bus. The plugin host
 * stands beside the homes and can be stopped or killed and started again; its plugins (`plugins.ts`) are attached inline.
 */
import { type Bus, LocalBus } from '../base/bus.ts'
import { elapsedMs, ManualClock, settle } from '../base/clock.ts'
import { idSource, type Random, randomInt, seededRandom } from '../base/random.ts'
import { type Config, configFrom } from '../config.ts'
import { Edge } from '../edge/edge.ts'
import { signToken } from '../edge/tokens.ts'
import { DeliveryAccounts } from '../room/account.ts'
import type { Actor, Answer } from '../room/call.ts'
import { noCounts } from '../room/event.ts'
import { Homes } from '../room/homes.ts'
import { Scheduler } from '../room/scheduler.ts'
import { openStoreInline, type Store } from '../room/store.ts'
import { Commits } from './commits.ts'
import { FaultyBus, type Tamper } from './faulty-bus.ts'
import { Network, type PublishFault } from './network.ts'
import { type PluginSabotage, SimHost } from './plugin-host.ts'
import { SimPlugins } from './plugins.ts'
import { type Ack, Viewer, type ViewerHost } from './viewer.ts'

/** Breaks the engine on purpose: for the test that the simulation notices. */
export interface Sabotage {
  publish?: PublishFault
  tamper?: Tamper
  plugins?: PluginSabotage
}

export interface Break {
  invariant: string
  detail: string
}

/** Small bounds, so that a short run meets each of them. */
const bounds: Partial<Config> = {
  danmakuPerClientMax: 12,
  danmakuPerUserPerSMax: 8,
  danmakuPerUserBurstMax: 8,
  ringHighEventsMax: 12,
  ringHighMs: 20_000,
  ringDanmakuMax: 20,
  snapshotDanmakuMax: 8,
  roomIdleMs: 2_000,
  presenceGraceMs: 1_000,
  onlineEveryMs: 500,
  anonymousPerAddressMax: 2,
  bufferedBytesSoftMax: 2_048,
  bufferedBytesHardMax: 16_384,
  lagMsMax: 1_500,
  lagProbeEveryMs: 500,
  slowCloseMs: 6_000,
  requestTimeoutMs: 1_000,
  frameBytesMax: 1_024,
  writeCostNs: 1_000_000,
  inboxMax: 8,
  commandsPerSMax: 40,
  refusalsBeforeCloseMax: 60,
  malformedBeforeCloseMax: 6,
  sessionsPerUserMax: 4,
  roomsPerSessionMax: 2,
  openTimeoutMs: 3_000,
  tokenGraceMs: 1_000,
  logDanmaku: true,
  heldPerRoomMax: 12,
  pluginDrainMs: 400,
  pluginHighPerRoomPerSMax: 5,
  pluginEventsPerRoomPerSMax: 20,
}

export const roomIds = ['r1', 'r2'] as const
export const ownerId = 'owner'
export const staffId = 'staff'
export const patrolId = 'patrol'
export const viewerIds = Array.from({ length: 9 }, (_, at) => `u${at + 1}`)
const operator: Actor = { userId: 'operator', name: 'Operator', anonymous: false, scope: ['operator'] }
const addresses = 3
const openWaitMsMax = 20_000

export class World implements ViewerHost {
  readonly clock = new ManualClock()
  readonly config: Config
  readonly danmakuPerClientMax: number
  /** Of the script alone; the engine and the bus have their own, so that a change of one does not move the others. */
  readonly random: Random
  readonly commits: Commits
  readonly acks: Ack[] = []
  readonly breaks: Break[] = []
  readonly viewers: Viewer[] = []
  readonly bus: FaultyBus
  readonly localBus: LocalBus
  readonly scheduler: Scheduler
  readonly accounts = new DeliveryAccounts()
  readonly homes: Homes
  readonly edges: Edge[]
  readonly networks: Network[]
  readonly plugins: SimPlugins
  readonly host: SimHost
  /** Users whose danmaku the guard shadows now. */
  readonly shadowing = new Set<string>()
  /** Users whose danmaku the guard thinks about for a while. */
  readonly pondering = new Set<string>()
  readonly #store: Store
  readonly #trace: (line: string) => void
  readonly #secret = new TextEncoder().encode('a secret of the simulation, 32 b')
  readonly #tokens = new Map<string, string>()

  constructor(seed: number, calm: boolean, trace: (line: string) => void, sabotage: Sabotage = {}) {
    const { clock } = this
    this.#trace = trace
    // In a storm a room stays long enough for a lost leave to be told again: what a room that is gone was owed is gone with it.
    this.config = configFrom({ ...bounds, roomIdleMs: calm ? 2_000 : 20_000 })
    this.danmakuPerClientMax = this.config.danmakuPerClientMax
    this.random = seededRandom(seed)
    const engineRandom = seededRandom(seed + 1_000_003)
    const newId = idSource(engineRandom)
    const onError = (error: unknown, where: string) => this.broken('no errors', `${where}: ${(error as Error)?.stack ?? error}`)
    this.plugins = new SimPlugins({
      clock,
      random: seededRandom(seed + 3_000_003),
      shadowing: this.shadowing,
      pondering: this.pondering,
      tickMsMax: this.config.tickMsMax,
      isInForce: (name) => this.host.isInForce(name),
      broken: (invariant, detail) => this.broken(invariant, detail),
      trace: (line) => this.trace(line),
    })
    this.commits = new Commits(clock, (room, row) => this.plugins.judge(room, row, clock.now()))
    this.#store = openStoreInline({ file: ':memory:', roomsMax: this.config.roomsMax })
    this.localBus = new LocalBus(clock, onError)
    this.bus = new FaultyBus(this.localBus, clock, seededRandom(seed + 2_000_003), sabotage.tamper)
    this.scheduler = new Scheduler(clock, (error) => onError(error, 'scheduler'))
    const store = this.commits.tapped(this.#store)
    this.host = new SimHost(
      {
        ...{ clock, newId, store, onError, config: this.config, bus: this.bus.node('homes') },
        command: (roomId, head) => this.homes.call(roomId, head),
      },
      () => this.plugins,
      sabotage.plugins,
    )
    this.homes = new Homes({
      clock,
      newId,
      bus: this.bus.node('homes'),
      store,
      config: this.config,
      scheduler: this.scheduler,
      accounts: this.accounts,
      guards: this.host.guards,
      transforms: this.host.transforms,
      billing: undefined,
      onCommitted: (home, events) => this.host.committed(home, events),
      plugins: this.host.commands,
      meters: { committed: noCounts(), flushes: 0, storeFailures: 0 },
      onError,
    })
    this.networks = [new Network(clock, sabotage.publish), new Network(clock, sabotage.publish)]
    this.edges = this.networks.map((network, at) => this.#edge(`e${at + 1}`, network, { random: engineRandom, newId, onError }))
  }

  #edge(
    edgeId: string,
    fanout: Network,
    { random, newId, onError }: { random: Random; newId: (at: number) => string; onError(error: unknown, where: string): void },
  ): Edge {
    const bus: Bus = this.bus.node(edgeId)
    return new Edge({
      edgeId,
      config: this.config,
      clock: this.clock,
      random,
      newId,
      bus,
      fanout,
      accounts: this.accounts,
      plugins: this.host.commands,
      guards: this.host.guards,
      secret: this.#secret,
      onError: (error) => onError(error, edgeId),
    })
  }

  async start(): Promise<void> {
    await this.homes.start()
    await this.host.start()
    for (const roomId of roomIds) {
      await this.operate(undefined, 'room.create', { roomId, ownerId, title: roomId })
      await this.operate(roomId, 'room.open', {})
      await this.operate(roomId, 'room.grant_role', { userId: staffId, role: 'admin' })
    }
  }

  /** A command without a socket, like one of the admin API. */
  async operate(roomId: string | undefined, t: string, d: unknown): Promise<Answer> {
    const answer = this.homes.call(roomId, { t, d, actor: operator })
    for (let waited = 0; waited < 20; waited++) await this.clock.advanceAsync(10)
    return answer
  }

  // ------------------------------------------------------------------ viewers

  get live(): Viewer[] {
    return this.viewers.filter((viewer) => viewer.isUp)
  }

  connect(): Viewer {
    const { random } = this
    const edge = randomInt(random, this.edges.length)
    const viewer = new Viewer(`c${this.viewers.length + 1}`, { edge, encoding: random.float() < 0.5 ? 'json' : 'proto' }, this)
    const from = { encoding: viewer.encoding, address: `10.0.0.${randomInt(random, addresses)}` }
    viewer.socket = (this.networks[edge] as Network).connect(from, viewer)
    viewer.session = (this.edges[edge] as Edge).onSocket(viewer.socket)
    viewer.socket.accept(viewer.session)
    this.viewers.push(viewer)
    return viewer
  }

  async token(userId: string, ttlMs: number): Promise<string> {
    const key = `${userId} ${ttlMs}`
    const known = ttlMs > 60_000 ? this.#tokens.get(key) : undefined
    if (known !== undefined) return known
    const scope = userId === patrolId ? 'patrol' : userId === ownerId ? 'streamer' : ''
    const token = await signToken(this.#secret, { sub: userId, name: userId.toUpperCase(), scope, ttlMs }, this.clock.now())
    this.#tokens.set(key, token)
    return token
  }

  /** The log as readers get it has the order of each room. */
  async checkLog(): Promise<void> {
    const last = new Map<string, number>()
    for (let afterPos = 0, page = await this.#readLog(0); page.length > 0; page = await this.#readLog(afterPos)) {
      for (const { pos, roomId, epoch, seq } of page) {
        const place = `${roomId}/${epoch}`
        // Facts about plugins count anew with each host.
        if (roomId !== '' && seq <= (last.get(place) ?? 0))
          this.broken('log in order', `${place}: ${seq} after ${last.get(place)}, at ${pos}`)
        last.set(place, seq)
        afterPos = pos
      }
    }
  }

  #readLog(afterPos: number) {
    return this.#store.readLog({ afterPos, limit: 500 })
  }

  /** What the witness gave up: its ids. */
  async deadLetters(): Promise<Set<string>> {
    const letters = await this.#store.listDead({ plugin: 'witness', afterId: 0, limit: 1_000 })
    return new Set(letters.map(({ entry }) => entry.row.eid))
  }

  /** Tokens are checked outside the event loop: the run goes on only when that is over, or it could not be repeated. */
  async verified(viewer: Viewer): Promise<void> {
    const verifying = () => [...viewer.pending.values()].some(({ t }) => t === 'session.open' || t === 'session.renew')
    const startedMs = elapsedMs()
    const wasFast = viewer.socket.pace === 'fast'
    while (viewer.isUp && wasFast && verifying()) {
      if (elapsedMs() - startedMs > openWaitMsMax) return this.broken('one answer', `${viewer.name}: no answer to session.open`)
      await settle()
    }
    await settle()
  }

  faultOfRejection(caseId: string, userId: string): string | undefined {
    return this.plugins.faultOfRejection(caseId, userId)
  }

  // ------------------------------------------------------------------ findings

  broken(invariant: string, detail: string): void {
    this.breaks.push({ invariant, detail })
  }

  trace(line: string): void {
    this.#trace(line)
  }

  async stop(): Promise<void> {
    await this.host.stop()
    this.homes.stop()
    this.scheduler.stop()
    for (const edge of this.edges) void edge.drain()
    this.localBus.close()
    await this.#store.close()
  }
}
