/**
 * The home of one room: the only place where its state changes and where its events get their order.
 *
 * Commands arrive as `Call`s (`run`), find their feature by the table in `commands.ts`, and may wait for plugins (`guarded`, `later`).
 * What they decide gets a place in the order (`decide`, or `slot` and `settle` while a guard thinks), or is on disk first (`change`).
 * This file holds the state and wakes who is due; the parts do the rest:
 *
 *     people.ts     owner, roles, mutes, bans: who is what
 *     tick.ts       the order; once a tick seq, rings, log and answers for what is decided
 *     edge-feed.ts  the frame of the tick (`frames.ts`) on its way to the edges, and what each was offered
 *     changes.ts    what must survive, one change at a time
 *     welcome.ts    the state of the room, or what was missed, for who comes in
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
import { type Ruling, refusalOfVerdict } from '../plugin/checks/guards.ts'
import type { Ask } from '../plugin/define.ts'
import { type Actor, type Call, type CallSession, type FramePlace, type Joined, refuse } from './call.ts'
import { Changes, type PlannedChange } from './changes.ts'
import { EdgeFeed } from './edge-feed.ts'
import { type EventOptions, RoomEvent } from './event.ts'
import type { HomeParts } from './home-parts.ts'
import { Idempotency } from './idempotency.ts'
import { People } from './people.ts'
import { Presence } from './presence.ts'
import { isEngines, type Rank } from './rights.ts'
import { Ring } from './ring.ts'
import type { Sleeper } from './scheduler.ts'
import type { Change, LiveBan, LogRow, RoomRecord, Takedown } from './store.ts'
import { type Slot, Tick } from './tick.ts'
import { type Arriving, type Place, Welcome } from './welcome.ts'

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

const never = Number.POSITIVE_INFINITY

export class Home implements Sleeper {
  readonly id: string
  readonly epoch: number
  readonly parts: HomeParts
  info: RoomInfoShape
  settings: SettingsShape
  readonly people: People
  wall: WallItemShape | undefined
  /** Set: the room stays closed, and only the platform's staff may look in. */
  takedown: Takedown | undefined
  /** Set, and not over: nobody goes live here. */
  liveBan: LiveBan | undefined
  /** How far into the journal of the ledger this room had come when it was loaded. */
  readonly giftPos: number
  /** As last seen; empty: never seen. */
  ownerName: string
  readonly totals: { likes: number; shares: number; danmakuTotal: number }
  readonly presence: Presence
  readonly danmaku: Ring
  readonly high: Ring
  /** Seats, how many wait, and the place of the one who asks: kept by `live/mic.ts`. */
  mic: (userId: string) => MicInfoShape | undefined = () => undefined
  /** What the mic holds for one user, and nobody else knows. */
  micOf: (userId: string) => Pick<MeShape, 'invitation' | 'granted'> = () => ({})
  /** The picture and sound of the room, as viewers see it: kept by `live/stream-show.ts`. */
  stream: () => StreamInfoShape = () => ({ state: 'unavailable', tracks: [], lines: [], degradeLevel: 0 })

  readonly #feed: EdgeFeed
  readonly #tick: Tick
  readonly #changes: Changes
  readonly #welcome: Welcome
  readonly #idempotency: Idempotency
  readonly #chores: Chore[] = []
  /** Calls that wait for a plugin. */
  #waiting = 0
  #idleAt = never

  constructor(record: RoomRecord, parts: HomeParts) {
    const { config } = parts
    this.parts = parts
    this.id = record.info.id
    this.epoch = record.epoch
    this.info = record.info
    this.settings = record.settings
    this.people = new People(record)
    this.wall = record.wall
    this.takedown = record.takedown
    this.liveBan = record.liveBan
    this.giftPos = record.giftPos
    this.ownerName = record.ownerName
    this.totals = { likes: record.likes, shares: record.shares, danmakuTotal: record.danmakuTotal }
    this.presence = new Presence({ graceMs: config.presenceGraceMs, anonymousPerAddressMax: config.anonymousPerAddressMax })
    this.danmaku = new Ring(config.ringDanmakuMax, 0)
    this.high = new Ring(config.ringHighEventsMax, 0)
    this.#feed = new EdgeFeed(this)
    this.#tick = new Tick(this, this.#feed)
    this.#changes = new Changes(this, this.#tick, () => this.#considerIdle())
    this.#welcome = new Welcome(this)
    this.#idempotency = new Idempotency(config.idemEntriesMax)
    this.#resend(record.unsent)
    this.#considerIdle()
  }

  now(): number {
    return this.parts.clock.now()
  }

  newId(): string {
    return this.parts.newId(this.now())
  }

  /** Of the last event that was committed. */
  get seq(): number {
    return this.#tick.seq
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
    this.#save({ kind: 'owner_name.put', name }, 'name of the owner')
  }

  /** Of gifts that are too old to be shown: nobody needs to look at them again. */
  saveGiftPos(giftPos: number): void {
    this.#save({ kind: 'gift_pos.put', giftPos }, 'place in the journal')
  }

  /** Beside the order: nobody waits for it, and no event tells of it. */
  #save(change: Change, what: string): void {
    this.parts.store.write(this.id, [change]).catch((error) => this.parts.onError(error, `${this.id}: ${what}`))
  }

  /** A command as plugins see it. */
  ask<D>(call: Call, d: D): Ask<D> {
    return { room: this.id, at: call.at, from: this.people.asker(call.actor), d }
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

  event<T extends EventName>(t: T, d: EventData<T>, options: Partial<EventOptions> = {}): RoomEvent {
    return RoomEvent.of(this.id, t, d, { eid: this.newId(), at: this.now(), ...options })
  }

  /** A place in the order of arrival for something that is not decided yet. Fill it with `settle`. */
  slot(): Slot {
    return this.#tick.slot()
  }

  settle(slot: Slot, event?: RoomEvent, onCommit?: (event: RoomEvent) => void): void {
    this.#tick.settle(slot, event, onCommit)
  }

  /** Decided at once: the next tick commits it. */
  decide(event: RoomEvent, onCommit?: (event: RoomEvent) => void): void {
    this.#tick.decide([{ event, onCommit, logged: false }])
  }

  /** A change of what must survive: on disk before it is committed and answered. */
  change(call: Call | undefined, plan: () => PlannedChange | undefined): void {
    this.#changes.add(call, plan)
  }

  /** Events that were on disk when the last home died, and whose seq nobody ever learned: commit them now. */
  #resend(rows: readonly LogRow[]): void {
    for (const row of rows) {
      const event = new RoomEvent(
        { t: row.t, lane: 'high', room: this.id, d: row.d },
        { eid: row.eid, at: row.at, actor: row.actor, hops: row.hops ?? 0 },
      )
      this.#tick.decide([{ event, onCommit: undefined, logged: true }])
    }
  }

  // ------------------------------------------------------------------ people

  join(call: Call, session: CallSession, arriving: Arriving): { isNew: boolean } {
    const { actor } = call
    const isNew = this.presence.add(
      { sid: session.sid, userId: actor.userId, name: actor.name, edge: session.edge, encoding: session.encoding },
      actor.anonymous ? session.addressKey : undefined,
    )
    this.people.cameIn(actor)
    this.#idleAt = never
    call.answer({ ok: true, d: undefined, joined: this.#joined(session, this.#welcome.parts(session, actor, arriving)) })
    this.#considerIdle()
    this.parts.onInfo(this)
    this.#arm()
    return { isNew }
  }

  leave(sid: string): void {
    const member = this.presence.remove(sid, this.now())
    if (!member) return
    if (!this.presence.isHere(member.userId)) this.people.wentOut(member.userId)
    this.#tell((chore) => chore.left?.(sid, member.userId))
    this.#considerIdle()
    this.parts.onInfo(this)
    this.#arm()
  }

  /** Out of the room with the frame of this tick. */
  sendOut(userId: string): void {
    this.#feed.takeOut(userId)
    this.dropUser(userId)
  }

  /** Sent out, or ended everywhere: whatever a user has here beside their sessions. */
  dropUser(userId: string): void {
    this.#tell((chore) => chore.dropped?.(userId))
  }

  canResume(from: Place | undefined): from is Place {
    return this.#welcome.canResume(from)
  }

  /** The state of the room anew, for one session that is here. */
  resync(session: CallSession, actor: Actor, ext: readonly ExtensionShape[]): Joined {
    return this.#joined(session, [this.#welcome.snapshot(session, actor, { resync: true, ext })])
  }

  #joined(session: CallSession, parts: Uint8Array[]): Joined {
    return { ...this.framePlace(session), parts }
  }

  framePlace(session: CallSession): FramePlace {
    return this.#feed.place(session)
  }

  ranksOf(userId: string): Rank[] {
    return this.people.ranksOf(userId)
  }

  ranksOfActor(actor: Actor): Rank[] {
    return this.people.ranksOfActor(actor)
  }

  muteOf(userId: string): RestrictionShape | undefined {
    return this.people.muteOf(userId, this.now())
  }

  banOf(userId: string): RestrictionShape | undefined {
    return this.people.banOf(userId, this.now())
  }

  setRole(userId: string, role: Role, granted: boolean): void {
    this.people.setRole(userId, role, granted)
    this.#tell((chore) => chore.rightsChanged?.(userId))
  }

  /** Something that a snapshot shows is no longer as it was, without an event. */
  dropSnapshots(): void {
    this.#welcome.drop()
  }

  // ------------------------------------------------------------------ waking and ending

  addChore(chore: Chore): void {
    this.#chores.push(chore)
  }

  /** A fault of one feature must not keep the others, nor the tick, from what is due. */
  #tell(what: (chore: Chore) => void): void {
    for (const chore of this.#chores) {
      try {
        what(chore)
      } catch (error) {
        this.parts.onError(error, this.id)
      }
    }
  }

  /** A chore's instant may have come nearer. */
  rearm(): void {
    this.#arm()
  }

  wake(now: number): void {
    this.presence.expire(now)
    this.#tell((chore) => {
      if ((chore.dueAt() ?? never) <= now) chore.run(now)
    })
    if (this.#tick.dueAt <= now) this.#tick.flush(now)
    if (this.#idleAt <= now) this.#leaveMemory()
    else this.#considerIdle() // the last grace may have ended just now
  }

  nextDueAt(): number | undefined {
    let due = Math.min(this.#tick.dueAt, this.#idleAt, this.presence.nextGoneAt() ?? never)
    for (const chore of this.#chores) due = Math.min(due, chore.dueAt() ?? never)
    return due === never ? undefined : due
  }

  /** On the way down: commit what is decided, without waiting for the tick. */
  finish(): void {
    this.#tick.flush(this.now())
    this.#tell((chore) => chore.finish?.())
  }

  #arm(): void {
    const due = this.nextDueAt()
    if (due !== undefined) this.parts.scheduler.at(this, due)
  }

  get isIdle(): boolean {
    return (
      this.info.state === 'closed' &&
      this.presence.members.size === 0 &&
      this.presence.nextGoneAt() === undefined &&
      this.#tick.isEmpty &&
      this.#waiting === 0 &&
      !this.#changes.isRunning
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
