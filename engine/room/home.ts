/**
 * The home of one room: the only place where its state changes and where its events get their order.
 *
 * Commands arrive as `Call`s. What they decide is put into the room's queue in the order of arrival (`decide`, or `slot` while a guard
 * is still thinking), and once a tick `#flush` commits what is decided: seq, rings, log, then one frame for all (`frames.ts`).
 * A change that must survive (`change`) is on disk before it is committed and answered. What a command does stands in `engine/live/`
 * and `room-commands.ts`; this file knows only when and in what order.
 */
import type {
  EventData,
  EventName,
  ExtensionShape,
  MeShape,
  MicInfoShape,
  RestrictionShape,
  Role,
  RoomInfoShape,
  SettingsShape,
  StreamInfoShape,
  WallItemShape,
} from '../../schemas/messages.ts'
import { subjects } from '../../schemas/subjects.ts'
import { encodings } from '../../schemas/wire.ts'
import type { Bus } from '../base/bus.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { IdSource } from '../base/random.ts'
import type { Config } from '../config.ts'
import type { Billing } from '../live/billing.ts'
import { type MediaNode, newStreamMeters, type StreamMeters } from '../live/media.ts'
import type { Ask, Asker } from '../plugin/define.ts'
import { type Guards, type Ruling, refusalOfVerdict } from '../plugin/guards.ts'
import { isCoreEvent, isDurable } from '../plugin/hooks.ts'
import type { Transforms } from '../plugin/transforms.ts'
import { type Account, addCounts, type DeliveryAccounts } from './account.ts'
import { type Actor, accept, type Call, type CallSession, type FramePlace, type Joined, refuse } from './call.ts'
import type { PluginCommands } from './commands.ts'
import { countLanes, type EventOptions, type LaneCounts, noCounts, RoomEvent } from './event.ts'
import { buildFrames, type EdgeShare, type FrameHead, frameParts } from './frames.ts'
import { Idempotency } from './idempotency.ts'
import { ClientCap, sample } from './lanes.ts'
import { Presence } from './presence.ts'
import { isEngines, type Rank, ranksOfScope } from './rights.ts'
import { Ring } from './ring.ts'
import { type Scheduler, type Sleeper, TickBudget } from './scheduler.ts'
import { type Resumed, resumedBody, SnapshotCache } from './snapshot.ts'
import type { Change, LogRow, RoomRecord, Store, Takedown } from './store.ts'

export interface HomeMeters {
  committed: LaneCounts
  flushes: number
  storeFailures: number
  gifts: GiftMeters
  stream: StreamMeters
}
/** Sends that were turned away by their rate, by too many under way, and those whose answer from the ledger was lost. */
export interface GiftMeters {
  limited: number
  busy: number
  unanswered: number
}
export const newMeters = (): HomeMeters => ({
  committed: noCounts(),
  flushes: 0,
  storeFailures: 0,
  gifts: { limited: 0, busy: 0, unanswered: 0 },
  stream: newStreamMeters(),
})

export interface HomeParts {
  clock: Clock
  newId: IdSource
  bus: Bus
  store: Store
  config: Config
  scheduler: Scheduler
  accounts: DeliveryAccounts
  guards: Guards
  transforms: Transforms
  plugins: PluginCommands
  /** Undefined: no ledger, and so no gifts. */
  billing: Billing | undefined
  /** Absent: chat alone. */
  media?: MediaNode | undefined
  log?: Log
  meters: HomeMeters
  /** What a tick committed, in order: for the event hooks of plugins. */
  onCommitted(home: Home, events: readonly RoomEvent[]): void
  onError(error: unknown, room: string): void
  onIdle(home: Home): void
  /** Title, state or number of viewers changed: for the list of rooms. */
  onInfo(home: Home): void
}

/** A place in the room's order. `events` is what it came to, once `decided`; a refused one is decided and empty. */
export interface Slot {
  decided: boolean
  events: Committing[]
}
interface Committing {
  event: RoomEvent
  onCommit: ((event: RoomEvent) => void) | undefined
  logged: boolean
}

/** Something of a feature that wants to be woken: likes to announce, a wall item that runs out. */
export interface Chore {
  dueAt(): number | undefined
  run(now: number): void
  /** On the way down: hand what is still unwritten to the store. */
  finish?(): void
  /** A session left the room, however it did. */
  left?(sid: string, userId: string): void
  /** A user was sent out, or all their sessions were ended: what they have here without a session ends too. */
  dropped?(userId: string): void
  /** They were given a role, or one was taken. */
  rightsChanged?(userId: string): void
}

const changesWaitingMax = 1_000
const never = Number.POSITIVE_INFINITY

export class Home implements Sleeper {
  readonly id: string
  readonly epoch: number
  readonly parts: HomeParts
  info: RoomInfoShape
  settings: SettingsShape
  readonly roles = new Map<string, Set<Role>>()
  readonly mutes = new Map<string, RestrictionShape>()
  readonly bans = new Map<string, RestrictionShape>()
  wall: WallItemShape | undefined
  /** Set: the room stays closed, and only the platform's staff may look in. */
  takedown: Takedown | undefined
  /** How far into the journal of the ledger this room had come when it was loaded. */
  readonly giftPos: number
  /** As last seen; empty: never seen. */
  ownerName: string
  readonly totals: { likes: number; shares: number; danmakuTotal: number }
  readonly presence: Presence
  readonly danmaku: Ring
  readonly high: Ring
  /** Ranks by token of those who are here: nobody below may act on a patrol. */
  readonly scopedRanks = new Map<string, Rank[]>()
  /** Seats, how many wait, and the place of the one who asks: kept by `live/mic.ts`. */
  mic: (userId: string) => MicInfoShape | undefined = () => undefined
  /** The picture and sound of the room, as viewers see it: kept by `live/stream-show.ts`. */
  stream: () => StreamInfoShape = () => ({ state: 'unavailable', tracks: [], lines: [], degradeLevel: 0 })

  #seq = 0
  #frameNo = 0
  #queue: Slot[] = []
  #flushAt = never
  #idleAt = never
  #changes: (() => Promise<void>)[] = []
  #changing = false
  /** Calls that wait for a plugin. */
  #waiting = 0
  #kicked: string[] = []
  readonly #offered = new Map<string, LaneCounts>()
  readonly #budget: TickBudget
  readonly #cap: ClientCap
  readonly #snapshots = new SnapshotCache()
  readonly #idempotency: Idempotency
  readonly #account: Account
  readonly #chores: Chore[] = []

  constructor(record: RoomRecord, parts: HomeParts) {
    const { config } = parts
    this.parts = parts
    this.id = record.info.id
    this.epoch = record.epoch
    this.info = record.info
    this.settings = record.settings
    this.wall = record.wall
    this.takedown = record.takedown
    this.giftPos = record.giftPos
    this.ownerName = record.ownerName
    this.totals = { likes: record.likes, shares: record.shares, danmakuTotal: record.danmakuTotal }
    for (const { userId, role } of record.roles) this.#addRole(userId, role)
    for (const mute of record.mutes) this.mutes.set(mute.userId, mute)
    for (const ban of record.bans) this.bans.set(ban.userId, ban)
    this.presence = new Presence({ graceMs: config.presenceGraceMs, anonymousPerAddressMax: config.anonymousPerAddressMax })
    this.danmaku = new Ring(config.ringDanmakuMax, 0)
    this.high = new Ring(config.ringHighEventsMax, 0)
    this.#budget = new TickBudget({
      tickMsMin: config.tickMsMin,
      tickMsMax: config.tickMsMax,
      shareBps: config.flushShareBps,
      writeCostNs: config.writeCostNs,
    })
    this.#cap = new ClientCap(config.danmakuPerClientMax)
    this.#idempotency = new Idempotency(config.idemEntriesMax)
    this.#account = parts.accounts.of(this.id)
    this.#resend(record.unsent)
    this.#considerIdle()
  }

  // ------------------------------------------------------------------ commands

  /** Run a command unless its key was used before. */
  run(call: Call, handler: (call: Call) => void): void {
    if (call.actor.userId === this.info.ownerId && call.actor.name !== this.ownerName) this.#keepOwnerName(call.actor.name)
    if (call.ik === undefined) return handler(call)
    const begun = this.#idempotency.begin(call)
    if ('ok' in begun) call.answer(begun)
    else handler(begun)
  }

  /** The owner is not always here when somebody gives them something. */
  #keepOwnerName(name: string): void {
    this.ownerName = name
    this.parts.store
      .write(this.id, [{ kind: 'owner_name.put', name }])
      .catch((error) => this.parts.onError(error, `${this.id}: name of the owner`))
  }

  now(): number {
    return this.parts.clock.now()
  }

  newId(): string {
    return this.parts.newId(this.now())
  }

  ranksOf(userId: string): Rank[] {
    const ranks: Rank[] = [...(this.roles.get(userId) ?? []), ...(this.scopedRanks.get(userId) ?? [])]
    if (userId === this.info.ownerId) ranks.push('owner')
    return ranks
  }

  ranksOfActor(actor: Actor): Rank[] {
    return [...new Set([...this.ranksOf(actor.userId), ...ranksOfScope(actor.scope)])]
  }

  /** A command as plugins see it. */
  ask<D>(call: Call, d: D): Ask<D> {
    return { room: this.id, at: call.at, from: this.asker(call.actor), d }
  }

  asker(actor: Actor): Asker {
    const { userId, name, anonymous, bot } = actor
    return { userId, name, anonymous, ranks: this.ranksOfActor(actor), ...(bot ? { bot } : {}) }
  }

  /**
   * `then` with the call once every guard of this command has allowed; otherwise it is refused here. For commands without a place in
   * the order. A guard may take its time: `then` asks again whatever can have changed meanwhile.
   */
  guarded(call: Call, d: unknown, then: (ruled: Call) => void): void {
    const { guards } = this.parts
    if (!guards.has(call.t) || isEngines(call.actor)) return then(call)
    const decide = ({ verdict, unchecked }: Ruling) => {
      const refused = refusalOfVerdict(verdict)
      if (refused) call.answer(refused)
      else then(unchecked.length > 0 ? { ...call, unchecked } : call)
    }
    const ruling = guards.ask(call.t, this.ask(call, d))
    if (ruling instanceof Promise) this.later(call, ruling, decide)
    else decide(ruling)
  }

  /** What a call waits for outside this home, which stays in memory until then. */
  later<T>(call: Call, answer: Promise<T>, then: (answer: T) => void): void {
    this.#waiting++
    void answer
      .then(then)
      .catch((error) => {
        this.parts.onError(error, this.id)
        refuse(call, 'server.internal')
      })
      .finally(() => {
        this.#waiting--
        this.#considerIdle()
      })
  }

  // ------------------------------------------------------------------ deciding

  /** A place in the order of arrival for something that is not decided yet. Fill it with `settle`. */
  slot(): Slot {
    const slot: Slot = { decided: false, events: [] }
    this.#queue.push(slot)
    return slot
  }

  settle(slot: Slot, event?: RoomEvent, onCommit?: (event: RoomEvent) => void): void {
    if (event) slot.events.push({ event, onCommit, logged: false })
    slot.decided = true
    this.#wantFlush()
  }

  /** Decided at once: the next tick commits it. */
  decide(event: RoomEvent, onCommit?: (event: RoomEvent) => void): void {
    this.#queue.push({ decided: true, events: [{ event, onCommit, logged: false }] })
    this.#wantFlush()
  }

  event<T extends EventName>(t: T, d: EventData<T>, options: Partial<EventOptions> = {}): RoomEvent {
    return RoomEvent.of(this.id, t, d, { eid: this.newId(), at: this.now(), ...options })
  }

  /**
   * A change of what must survive. One at a time per room: `plan` sees the state that the one before left behind, and returns what to
   * write, or nothing when it refused. Then: disk, `apply`, commit of the events, answer. A failed write is refused and changes nothing.
   */
  change(call: Call | undefined, plan: () => PlannedChange | undefined): void {
    if (this.#changes.length >= changesWaitingMax) {
      if (call) refuse(call, 'rate.limited', { retryAfterMs: 1_000 })
      return
    }
    this.#changes.push(() => this.#runChange(call, plan))
    if (!this.#changing) void this.#runChanges()
  }

  async #runChanges(): Promise<void> {
    this.#changing = true
    for (let next = this.#changes.shift(); next; next = this.#changes.shift()) {
      try {
        await next()
      } catch (error) {
        this.parts.onError(error, this.id)
      }
    }
    this.#changing = false
    this.#considerIdle()
  }

  async #runChange(call: Call | undefined, plan: () => PlannedChange | undefined): Promise<void> {
    const planned = plan()
    if (!planned) return
    const { events } = planned
    for (const event of events) {
      event.hops = call?.hops ?? 0
      if (call?.unchecked) event.unchecked = call.unchecked
    }
    const [first] = events
    try {
      await this.parts.store.write(this.id, planned.changes, first && logRow(first))
    } catch (error) {
      this.parts.meters.storeFailures++
      this.parts.onError(error, this.id)
      if (call) refuse(call, 'server.store_unavailable', { retryAfterMs: 1_000 })
      return
    }
    planned.apply?.()
    this.#snapshots.drop()
    if (planned.touchesInfo) this.parts.onInfo(this)
    const answer = () => {
      for (const userId of planned.kicks?.() ?? []) {
        this.#kicked.push(userId)
        this.dropUser(userId)
      }
      if (call) accept(call, planned.reply ?? {})
    }
    if (!first) return void answer()
    const committing = events.map((event, at) => ({
      event,
      onCommit: at === events.length - 1 ? answer : undefined,
      logged: event === first,
    }))
    this.#queue.push({ decided: true, events: committing })
    this.#wantFlush()
  }

  /** Events that were on disk when the last home died, and whose seq nobody ever learned: commit them now. */
  #resend(rows: readonly LogRow[]): void {
    for (const row of rows) {
      const event = new RoomEvent(
        { t: row.t, lane: 'high', room: this.id, d: row.d },
        { eid: row.eid, at: row.at, actor: row.actor, hops: row.hops ?? 0 },
      )
      this.#queue.push({ decided: true, events: [{ event, onCommit: undefined, logged: true }] })
    }
    if (rows.length > 0) this.#wantFlush()
  }

  /** Of gifts that are too old to be shown: nobody needs to look at them again. */
  saveGiftPos(giftPos: number): void {
    this.parts.store
      .write(this.id, [{ kind: 'gift_pos.put', giftPos }])
      .catch((error) => this.parts.onError(error, `${this.id}: place in the journal`))
  }

  // ------------------------------------------------------------------ people

  join(call: Call, session: CallSession, { resume, ext }: Arriving): { isNew: boolean } {
    const { actor } = call
    const isNew = this.presence.add(
      { sid: session.sid, userId: actor.userId, edge: session.edge, encoding: session.encoding },
      actor.anonymous ? session.addressKey : undefined,
    )
    const ranks = ranksOfScope(actor.scope)
    if (ranks.length > 0) this.scopedRanks.set(actor.userId, ranks)
    this.#idleAt = never
    call.answer({ ok: true, d: undefined, joined: this.#joined(session, this.#joinParts(session, actor, { resume, ext })) })
    this.#considerIdle()
    this.parts.onInfo(this)
    this.#arm()
    return { isNew }
  }

  leave(sid: string): void {
    const member = this.presence.remove(sid, this.now())
    if (!member) return
    if (!this.presence.isHere(member.userId)) this.scopedRanks.delete(member.userId)
    for (const chore of this.#chores) chore.left?.(sid, member.userId)
    this.#considerIdle()
    this.parts.onInfo(this)
    this.#arm()
  }

  /** Sent out, or ended everywhere: whatever a user has here beside their sessions. */
  dropUser(userId: string): void {
    for (const chore of this.#chores) chore.dropped?.(userId)
  }

  /** Nothing of the high lane after this place was forgotten: no snapshot is needed. */
  canResume(from: Place | undefined): from is Place {
    return from !== undefined && from.epoch === this.epoch && from.seq <= this.#seq && this.high.covers(from.seq)
  }

  #joinParts(session: CallSession, actor: Actor, { resume, ext }: Arriving): Uint8Array[] {
    const { encoding } = session
    if (this.canResume(resume)) {
      const missed = this.#missed(resume.seq, actor.userId)
      return [resumedBody(encoding, this.#resumed()), ...frameParts(missed, encoding, this.parts.config.frameBytesMax)]
    }
    return [this.#snapshotBody(session, actor, { resync: resume !== undefined, ext })]
  }

  /** The state of the room anew, for one session that is here. */
  resync(session: CallSession, actor: Actor, ext: readonly ExtensionShape[]): Joined {
    return this.#joined(session, [this.#snapshotBody(session, actor, { resync: true, ext })])
  }

  #joined(session: CallSession, parts: Uint8Array[]): Joined {
    return { ...this.framePlace(session.edge), parts }
  }

  framePlace(edge: string): FramePlace {
    return { epoch: this.epoch, frameNo: this.#frameNo, offered: [...this.#offeredTo(edge)] }
  }

  #resumed(): Resumed {
    const { likes, shares } = this.totals
    return { epoch: this.epoch, seq: this.#seq, likes, shares, online: this.presence.online }
  }

  #missed(seq: number, userId: string): RoomEvent[] {
    const danmaku = this.danmaku.after(seq, userId, this.parts.config.snapshotDanmakuMax)
    return [...this.high.after(seq, userId), ...danmaku].sort((a, b) => a.seq - b.seq)
  }

  #snapshotBody(session: CallSession, actor: Actor, { resync, ext }: { resync: boolean } & Pick<Arriving, 'ext'>): Uint8Array {
    const personal = {
      ...(resync ? { resync: true as const } : {}),
      me: this.#me(actor),
      online: this.presence.online,
      ...(ext.length > 0 ? { ext: [...ext] } : {}),
    }
    const recent = this.danmaku.after(0, actor.userId, this.parts.config.snapshotDanmakuMax)
    const mic = this.mic(actor.userId)
    const state = (danmaku: readonly RoomEvent[]) => ({
      epoch: this.epoch,
      seq: this.#seq,
      room: this.info,
      settings: this.settings,
      likes: this.totals.likes,
      shares: this.totals.shares,
      danmaku,
      wall: this.wall,
      stream: this.stream(),
      mic,
    })
    // What is theirs alone cannot be added to a part that all share: fields are whole on both encodings.
    if (mic?.place !== undefined || recent.some((event) => event.only !== undefined))
      return this.#snapshots.bodyFor(session.encoding, state(recent), personal)
    return this.#snapshots.body(session.encoding, () => state(recent), personal)
  }

  #me(actor: Actor): MeShape {
    const mute = this.muteOf(actor.userId)
    return {
      userId: actor.userId,
      name: actor.name,
      roles: this.ranksOfActor(actor),
      anonymous: actor.anonymous,
      ...(mute ? { mutedUntilAt: mute.untilAt } : {}),
    }
  }

  muteOf(userId: string): RestrictionShape | undefined {
    return stillOn(this.mutes.get(userId), this.now())
  }

  banOf(userId: string): RestrictionShape | undefined {
    return stillOn(this.bans.get(userId), this.now())
  }

  #addRole(userId: string, role: Role): void {
    const known = this.roles.get(userId)
    if (known) known.add(role)
    else this.roles.set(userId, new Set([role]))
  }

  setRole(userId: string, role: Role, granted: boolean): void {
    if (granted) this.#addRole(userId, role)
    else {
      const known = this.roles.get(userId)
      known?.delete(role)
      if (known?.size === 0) this.roles.delete(userId)
    }
    for (const chore of this.#chores) chore.rightsChanged?.(userId)
  }

  /** Something that a snapshot shows is no longer as it was, without an event. */
  dropSnapshots(): void {
    this.#snapshots.drop()
  }

  // ------------------------------------------------------------------ the tick

  addChore(chore: Chore): void {
    this.#chores.push(chore)
  }

  /** A chore's instant may have come nearer. */
  rearm(): void {
    this.#arm()
  }

  wake(now: number): void {
    this.presence.expire(now)
    for (const chore of this.#chores) if ((chore.dueAt() ?? never) <= now) chore.run(now)
    if (this.#flushAt <= now) this.#flush(now)
    if (this.#idleAt <= now) this.#leaveMemory()
    else this.#considerIdle() // the last grace may have ended just now
  }

  nextDueAt(): number | undefined {
    let due = Math.min(this.#flushAt, this.#idleAt, this.presence.nextGoneAt() ?? never)
    for (const chore of this.#chores) due = Math.min(due, chore.dueAt() ?? never)
    return due === never ? undefined : due
  }

  /** On the way down: commit what is decided, without waiting for the tick. */
  finish(): void {
    if (this.#queue.length > 0) this.#flush(this.now())
    for (const chore of this.#chores) chore.finish?.()
  }

  #arm(): void {
    const due = this.nextDueAt()
    if (due !== undefined) this.parts.scheduler.at(this, due)
  }

  #wantFlush(): void {
    if (this.#flushAt !== never) return
    if (this.#queue[0] && !this.#queue[0].decided) return
    this.#flushAt = this.#budget.nextAt(this.now(), this.presence.members.size)
    this.parts.scheduler.at(this, this.#flushAt)
  }

  #flush(now: number): void {
    this.#flushAt = never
    const batch = latestOfLow(this.#takeDecided())
    if (batch.length === 0) return
    const seqFrom = this.#seq + 1
    for (const { event } of batch) event.seq = ++this.#seq
    const committed = batch.map(({ event }) => event).filter((event) => this.#isSound(event))
    this.#remember(committed, now)
    this.#writeLog(batch)
    this.#snapshots.drop()
    // Answers first: a sender learns the seq before, or together with, the frame that shows the message.
    for (const { event, onCommit } of batch) onCommit?.(event)
    this.#publish(committed, seqFrom, now)
    this.parts.onCommitted(this, committed)
    if (this.#queue.length > 0) this.#wantFlush()
    this.#considerIdle()
  }

  /** From the front of the order, up to the first that is still undecided. */
  #takeDecided(): Committing[] {
    let count = 0
    while (count < this.#queue.length && (this.#queue[count] as Slot).decided) count++
    return this.#queue.splice(0, count).flatMap((slot) => slot.events)
  }

  /** An event that cannot be encoded is our bug or a plugin's, and must not cost the others their tick. */
  #isSound(event: RoomEvent): boolean {
    try {
      for (const encoding of encodings) if (this.presence.perEncoding[encoding] > 0) event.encoded(encoding)
      return true
    } catch (error) {
      this.parts.onError(error, `${this.id} ${event.t}`)
      return false
    }
  }

  #remember(committed: readonly RoomEvent[], now: number): void {
    this.high.forgetBefore(now - this.parts.config.ringHighMs)
    for (const event of committed) {
      if (event.lane === 'high') this.high.push(event)
      else if (event.t === 'danmaku.sent') this.danmaku.push(event)
    }
    addCounts(this.parts.meters.committed, countLanes(committed), 1)
    this.parts.meters.flushes++
  }

  #writeLog(batch: readonly Committing[]): void {
    const place = (event: RoomEvent) => ({ eid: event.eid, epoch: this.epoch, seq: event.seq })
    const wanted = (event: RoomEvent) => isDurable(event.t, this.parts.config.logDanmaku)
    // The order of these calls is the order of the log, and that must be the order of the room.
    for (const run of runsOf(batch.filter(({ event, logged }) => logged || wanted(event)))) {
      const events = run.map(({ event }) => event)
      if (run[0]?.logged) this.parts.store.setSeq(this.id, events.map(place))
      else
        this.parts.store.appendLog(
          this.id,
          events.map((event) => ({ ...logRow(event), ...place(event) })),
          { giftPos: lastGiftPos(events) },
        )
    }
  }

  #publish(committed: readonly RoomEvent[], seqFrom: number, now: number): void {
    const { presence, parts } = this
    const kicked = this.#kicked
    this.#kicked = []
    if (presence.members.size === 0) return
    const normal = committed.filter((event) => event.lane === 'normal' && event.only === undefined)
    const sampled = sample(normal, this.#cap.allowed(now, normal.length))
    this.#cap.spend(now, sampled.length)
    const built = buildFrames({
      committed,
      sampled: new Set(sampled),
      isPresent: (userId) => presence.isHere(userId),
      encodings: encodings.filter((encoding) => presence.perEncoding[encoding] > 0),
      frameBytesMax: parts.config.frameBytesMax,
      highEventsMax: parts.config.highEventsPerTickMax,
    })
    const head: FrameHead = {
      room: this.id,
      epoch: this.epoch,
      frameNo: ++this.#frameNo,
      seqFrom,
      seqTo: this.#seq,
      events: built.events,
      full: built.full,
      lean: built.lean,
      personal: built.personal,
      edges: this.#shares(built.events, built.personal),
      kicked,
    }
    parts.bus.publish(subjects.roomFrames(this.id), { head, parts: built.parts })
    this.#budget.sent(now, presence.members.size, committed.length)
    // The edges take them out when they have this frame: no `room.leave` comes for them.
    for (const userId of kicked) for (const { sid } of [...presence.sessionsOf(userId)]) this.leave(sid)
  }

  /** What each edge is offered by this frame goes into the account here, at commit. */
  #shares(events: LaneCounts, personal: FrameHead['personal']): Record<string, EdgeShare> {
    const shares: Record<string, EdgeShare> = {}
    for (const [edge, sessions] of this.presence.perEdge) {
      const offered = this.#offeredTo(edge)
      shares[edge] = { sessions, offeredBefore: [...offered] }
      addCounts(offered, events, sessions)
      addCounts(this.#account.offered, events, sessions)
    }
    for (const { userId, own } of personal) this.#offerOwn(userId, own, shares)
    return shares
  }

  #offerOwn(userId: string, own: LaneCounts, shares: Record<string, EdgeShare>): void {
    if (own[0] + own[1] + own[2] === 0) return
    for (const { edge } of this.presence.sessionsOf(userId)) {
      addCounts(this.#account.offered, own, 1)
      addCounts(this.#offeredTo(edge), own, 1)
      const share = shares[edge] as EdgeShare
      addCounts((share.own ??= noCounts()), own, 1)
    }
  }

  #offeredTo(edge: string): LaneCounts {
    let offered = this.#offered.get(edge)
    if (!offered) this.#offered.set(edge, (offered = noCounts()))
    return offered
  }

  // ------------------------------------------------------------------ the end

  get isIdle(): boolean {
    return (
      this.info.state === 'closed' &&
      this.presence.members.size === 0 &&
      this.presence.nextGoneAt() === undefined &&
      this.#queue.length === 0 &&
      this.#waiting === 0 &&
      !this.#changing
    )
  }

  #considerIdle(): void {
    if (!this.isIdle) this.#idleAt = never
    else if (this.#idleAt === never) {
      this.#idleAt = this.now() + this.parts.config.roomIdleMs
      this.#arm()
    }
  }

  #leaveMemory(): void {
    this.#idleAt = never
    if (this.isIdle && this.#chores.every((chore) => chore.dueAt() === undefined)) this.parts.onIdle(this)
    else this.#considerIdle()
  }
}

/** Where a viewer was. */
export interface Place {
  epoch: number
  seq: number
}
export interface Arriving {
  resume: Place | undefined
  /** What plugins tell those who come late. */
  ext: readonly ExtensionShape[]
}

export interface PlannedChange {
  changes: readonly Change[]
  /** The first is written to the log in the same transaction. */
  events: RoomEvent[]
  apply?: () => void
  reply?: unknown
  /** Users to take out of the room together with the frame that holds these events: those who are here at its commit. */
  kicks?: () => Iterable<string>
  touchesInfo?: boolean
}

const logRow = ({ eid, t, at, actor, d, hops, unchecked, only }: RoomEvent): LogRow => ({
  ...{ eid, t, at, actor, d, hops },
  ...(unchecked.length > 0 ? { unchecked } : {}),
  ...(only === undefined ? {} : { only }),
})

/** Cut where what is on disk already meets what is not. */
function runsOf(batch: readonly Committing[]): Committing[][] {
  const runs: Committing[][] = []
  for (const one of batch) {
    const last = runs.at(-1)
    if (last?.[0]?.logged === one.logged) last.push(one)
    else runs.push([one])
  }
  return runs
}

function lastGiftPos(events: readonly RoomEvent[]): number | undefined {
  let last: number | undefined
  for (const { giftPos } of events) if (giftPos !== undefined && (last === undefined || giftPos > last)) last = giftPos
  return last
}

/** Of what plugins say on the low lane only the newest of each name is of interest. */
function latestOfLow(batch: Committing[]): Committing[] {
  const isLow = ({ event }: Committing) => event.lane === 'low' && !isCoreEvent(event.t)
  if (!batch.some(isLow)) return batch
  const newest = new Map(batch.filter(isLow).map((one) => [one.event.t, one]))
  return batch.filter((one) => !isLow(one) || newest.get(one.event.t) === one)
}

function stillOn(restriction: RestrictionShape | undefined, now: number): RestrictionShape | undefined {
  if (!restriction) return undefined
  return restriction.untilAt <= 0 || restriction.untilAt > now ? restriction : undefined
}
