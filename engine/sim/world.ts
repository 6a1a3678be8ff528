/**
 * The real parts of the engine on a clock that stands still, chance from a seed, and a network and a bus that misbehave on request.
 *
 * Two edges (`e1`, `e2`) and one node with homes, as if on three machines: everything between them goes over the bus. The plugin host
 * stands beside the homes and can be stopped or killed and started again; its plugins (`plugins.ts`) are attached inline.
 *
 * `kill` ends the node with the homes at any instant: alone, or as the whole process, with store queue, plugin host and ledger, and with
 * every line to a viewer. It comes back after a while, its clock perhaps off by minutes or days. Edges live on.
 */
import { type Bus, LocalBus } from '../base/bus.ts'
import { type Clock, elapsedMs, ManualClock, settle } from '../base/clock.ts'
import { silentLog } from '../base/log.ts'
import { type IdSource, idSource, type Random, randomInt, seededRandom } from '../base/random.ts'
import { billingOf, type EngineBilling } from '../billing.ts'
import { type Config, configFrom } from '../config.ts'
import { Edge } from '../edge/edge.ts'
import { signToken } from '../edge/tokens.ts'
import type { JournalRow } from '../ledger/ops.ts'
import type { Billing } from '../live/billing.ts'
import type { PluginHost } from '../plugin/host/host.ts'
import { DeliveryAccounts } from '../room/account.ts'
import { type Actor, type Answer, refusal } from '../room/call.ts'
import { newMeters } from '../room/home-parts.ts'
import { Homes } from '../room/homes.ts'
import { Scheduler } from '../room/scheduler.ts'
import type { LogRow, Store } from '../room/store.ts'
import { Commits, overlaid } from './commits.ts'
import { FaultyBus, type Tamper } from './faulty-bus.ts'
import { type LedgerSabotage, SimLedger } from './ledger.ts'
import { type Life, mortal, mortalBus, mortalClock } from './life.ts'
import { Money } from './money.ts'
import { Network, type PublishFault } from './network.ts'
import { type PluginSabotage, SimHost } from './plugin-host.ts'
import { SimPlugins } from './plugins.ts'
import { Shop, shopName } from './shop.ts'
import { SimStore } from './store.ts'
import { type Ack, Viewer, type ViewerHost } from './viewer.ts'

/** Breaks the engine on purpose: for the test that the simulation notices. */
export interface Sabotage {
  publish?: PublishFault
  tamper?: Tamper
  plugins?: PluginSabotage
  ledger?: LedgerSabotage
  /** What a home reads of the journal. */
  journal?: (rows: JournalRow[]) => JournalRow[]
  /** A home believes at once that nothing is at the ledger any more. */
  neverSettles?: true
  /** What a home writes into its log. */
  log?: (row: LogRow) => LogRow
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
  chargeOwner: shopName,
  giftsPerUserPerSMax: 10,
  worldBannerCoin: 1_000,
  highEventsPerTickMax: 4,
}

export const roomIds = ['r1', 'r2'] as const
export const ownerId = 'owner'
export const staffId = 'staff'
export const patrolId = 'patrol'
export const viewerIds = Array.from({ length: 9 }, (_, at) => `u${at + 1}`)
const operator: Actor = { userId: 'operator', name: 'Operator', anonymous: false, scope: ['operator'] }
const addresses = 3
const openWaitMsMax = 20_000
const operateMsMax = 20_000
/** A home that could not read the journal tries again after a second. */
const quietMs = 1_500
/** 2025-10-12, a Sunday, 23:59:40. */
const beforeMonday = 1_760_313_580_000

export type Kill = 'home' | 'process'

export class World implements ViewerHost {
  readonly clock: ManualClock
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
  readonly accounts = new DeliveryAccounts()
  scheduler!: Scheduler
  homes!: Homes
  billing!: EngineBilling
  newId!: IdSource
  readonly ledger: SimLedger
  readonly shop: Shop
  readonly money: Money
  readonly edges: Edge[]
  readonly networks: Network[]
  readonly plugins: SimPlugins
  readonly host: SimHost
  /** Users whose danmaku the guard shadows now. */
  readonly shadowing = new Set<string>()
  /** Users whose danmaku the guard thinks about for a while. */
  readonly pondering = new Set<string>()
  /** Times of the node with the homes at which it began to read the journal, or had to read it again. */
  readonly #looksAt: number[] = []
  kills = 0
  /** The node with the homes is dead. */
  isDown = false
  readonly #store: SimStore
  readonly #sabotage: Sabotage
  readonly #engineRandom: Random
  /** Of the node with the homes. */
  #life: Life = { isAlive: true }
  #homeClock: Clock
  readonly #trace: (line: string) => void
  readonly #secret = new TextEncoder().encode('a secret of the simulation, 32 b')
  readonly #tokens = new Map<string, string>()

  constructor(seed: number, calm: boolean, trace: (line: string) => void, sabotage: Sabotage = {}) {
    // A quarter of the seeds passes midnight, of a Sunday: boards turn.
    const clock = new ManualClock(seed % 4 === 1 ? beforeMonday : undefined)
    this.clock = clock
    this.#homeClock = clock
    this.#trace = trace
    this.#sabotage = sabotage
    // In a storm a room stays long enough for a lost leave to be told again: what a room that is gone was owed is gone with it.
    this.config = configFrom({ ...bounds, roomIdleMs: calm ? 2_000 : 20_000 })
    this.danmakuPerClientMax = this.config.danmakuPerClientMax
    this.random = seededRandom(seed)
    this.#engineRandom = seededRandom(seed + 1_000_003)
    const newId = idSource(this.#engineRandom)
    const onError = this.#onError
    const broken = (invariant: string, detail: string) => this.broken(invariant, detail)
    this.plugins = new SimPlugins({
      clock,
      random: seededRandom(seed + 3_000_003),
      shadowing: this.shadowing,
      pondering: this.pondering,
      tickMsMax: this.config.tickMsMax,
      isInForce: (name) => this.host.isInForce(name),
      broken,
      trace: (line) => this.trace(line),
    })
    const homeTime = { now: () => this.#homeClock.now() }
    this.commits = new Commits(homeTime, (room, row) => this.plugins.judge(room, row, homeTime.now()))
    this.#store = new SimStore({ clock, random: seededRandom(seed + 6_000_003), roomsMax: this.config.roomsMax })
    this.ledger = new SimLedger({
      ...{ clock, random: seededRandom(seed + 4_000_003), sabotage: sabotage.ledger },
      onBroken: ([first]) => broken('audit', `${first?.invariant} ${first?.at}: ${first?.msg}`),
    })
    this.shop = new Shop({ clock, random: seededRandom(seed + 5_000_003), onError })
    this.money = new Money({ ledger: this.ledger, shop: this.shop, broken })
    this.localBus = new LocalBus(clock, onError)
    this.bus = new FaultyBus(this.localBus, clock, seededRandom(seed + 2_000_003), sabotage.tamper)
    this.host = new SimHost(
      {
        ...{ clock, newId, onError, config: this.config, bus: this.bus.node('homes'), shop: this.shop },
        store: () => this.#tapped(),
        command: (roomId, head) => this.#command(roomId, head),
      },
      () => this.plugins,
      sabotage.plugins,
    )
    this.#newHomes(0)
    this.networks = [new Network(clock, sabotage.publish), new Network(clock, sabotage.publish)]
    this.edges = this.networks.map((network, at) =>
      this.#edge(`e${at + 1}`, network, { random: this.#engineRandom, newId, onError }),
    )
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

  readonly #onError = (error: unknown, where: string): void => {
    // What the ledger and its reader were made to do, and what a plugin with a bad mood answered.
    const text = `${(error as Error)?.message}`
    if (/on purpose|the ledger is|the charge names accounts|the ledger was closed/.test(text)) return
    this.broken('no errors', `${where}: ${(error as Error)?.stack ?? error}`)
  }

  // ------------------------------------------------------------------ the node with the homes

  #tapped(): Store {
    const { log = (row: LogRow) => row } = this.#sabotage
    return this.commits.tapped(this.#store.current, log)
  }

  #newHomes(stepMs: number): void {
    this.#life = { isAlive: true }
    const { config, accounts } = this
    const life = this.#life
    const clock = mortalClock(this.clock, life, stepMs)
    const onError = this.#onError
    this.#homeClock = clock
    this.newId = idSource(this.#engineRandom)
    this.scheduler = new Scheduler(clock, (error) => onError(error, 'scheduler'))
    this.homes = new Homes({
      ...{ clock, config, accounts, onError },
      newId: this.newId,
      bus: mortalBus(this.bus.node('homes'), life),
      store: mortal(this.#tapped(), life),
      scheduler: this.scheduler,
      guards: mortal(this.host.guards, life),
      transforms: mortal(this.host.transforms, life),
      billing: mortal(this.#billing(), life),
      onCommitted: (home, events) => this.host.committed(home, events),
      plugins: this.host.commands,
      meters: newMeters(),
    })
    this.#looksAt.push(clock.now())
  }

  #billing(): EngineBilling {
    const charge: PluginHost['charge'] = (on, ask) => this.host.current.charge(on, ask)
    const parts = {
      clock: this.#homeClock,
      bus: mortalBus(this.bus.node('homes'), this.#life),
      newId: this.newId,
      log: silentLog,
    }
    const real = billingOf({ ...parts, ledger: this.ledger.current, host: { charge } as PluginHost })
    this.billing = real
    const read: Billing['roomRows'] = async (...asked) => {
      if (this.ledger.failsToRead()) throw new Error('on purpose: the reader failed')
      this.#looksAt.push(this.#homeClock.now())
      const rows = await real.roomRows(...asked)
      return this.#sabotage.journal?.(rows) ?? rows
    }
    const early = async () => this.ledger.current.reads.lastPos()
    return overlaid(real, { roomRows: read, ...(this.#sabotage.neverSettles ? { settled: early } : {}) })
  }

  #command(roomId: string | undefined, head: Parameters<Homes['call']>[1]): Promise<Answer> {
    const life = this.#life
    const gone = refusal('room.unavailable')
    return new Promise((resolve) => {
      if (!life.isAlive) return resolve(gone)
      void this.homes.call(roomId, head).then(resolve)
      // As a request over the bus: nobody answers for a node that has died.
      this.clock.after(this.config.requestTimeoutMs, () => resolve(gone))
    })
  }

  /** At this instant. Comes back after `downMs`, its clock off by `stepMs`. */
  async kill(wanted: Kill, { downMs, stepMs }: { downMs: number; stepMs: number }): Promise<void> {
    if (this.isDown) return
    // A plugin host that is being started again is not there to be killed.
    const what = this.host.isDown ? 'home' : wanted
    this.isDown = true
    this.kills++
    this.trace(`kill ${what}, clock off by ${stepMs}`)
    this.#life.isAlive = false
    const onDisk = what === 'process' ? this.#store.die() : undefined
    this.commits.died((eid) => onDisk?.has(eid) ?? true)
    if (what === 'process') await this.#killRest(stepMs)
    this.money.checkAll()
    await this.#sleep(downMs)
    this.#newHomes(stepMs)
    await this.homes.start()
    this.trace(`back ${what}`)
    this.isDown = false
  }

  async #killRest(stepMs: number): Promise<void> {
    for (const viewer of this.live) viewer.socket.cut(0)
    const restarted = this.ledger.restart(stepMs)
    const host = this.host.change('die', 'watch')
    await restarted
    await host
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.after(ms, resolve))
  }

  /** Of what the home of this room has committed; undefined while there is none. */
  epochOf(room: string): number | undefined {
    return this.isDown ? undefined : this.homes.find(room)?.epoch
  }

  /** Rooms and ledger agree by now: nothing is at the disk, and nobody has to read anything again. */
  get isMoneyQuiet(): boolean {
    return !this.isDown && this.ledger.isQuiet && this.clock.now() - this.ledger.troubleAt > quietMs
  }

  /** A row older than that when a home looked is counted and not shown. */
  wasAged(at: number): boolean {
    return this.#looksAt.some((lookedAt) => lookedAt - at > 60_000)
  }

  homeNow(): number {
    return this.#homeClock.now()
  }

  set isSlow(isSlow: boolean) {
    this.#store.delayMsMax = isSlow ? 20 : 0
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
  async operate(roomId: string | undefined, t: string, d: unknown, actor = operator, ik?: string): Promise<Answer> {
    let answer: Answer | undefined
    void this.homes.call(roomId, { t, d, actor, ik }).then((given) => {
      answer = given
    })
    await this.clock.advanceAsync(200)
    for (let waitedMs = 0; !answer && waitedMs < operateMsMax; waitedMs += 100) await this.clock.advanceAsync(100)
    if (answer) return answer
    this.broken('one answer', `${t} of ${roomId} was never answered`)
    return refusal('server.internal')
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
    const gifts = new Set<string>()
    for (let afterPos = 0, page = await this.#readLog(0); page.length > 0; page = await this.#readLog(afterPos)) {
      for (const { pos, roomId, epoch, seq, row } of page) {
        if (row.t === 'gift.sent' && gifts.has(row.eid)) this.broken('M14', `${row.eid} is in the room log twice`)
        if (row.t === 'gift.sent') gifts.add(row.eid)
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
    return this.#store.current.readLog({ afterPos, limit: 500 })
  }

  /** What the witness gave up: its ids. */
  async deadLetters(): Promise<Set<string>> {
    const letters = await this.#store.current.listDead({ plugin: 'witness', afterId: 0, limit: 1_000 })
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
    await this.ledger.close()
    this.#store.close()
  }
}
