/**
 * From a room to the edges: the frame of each tick on the bus, when the next one may leave, and what each edge was offered.
 *
 * What is offered goes into the delivery account (`account.ts`) here, at commit; the edges enter what became of it. Each frame and each
 * answer to a join, a leave or a resync also says how much was offered before it, so that an edge sees what it never got. That is counted
 * anew with every stay of the edge in the room (`edge/edge-room.ts`).
 */
import { subjects } from '../../schemas/subjects.ts'
import { encodings } from '../../schemas/wire.ts'
import { type Account, addCounts } from './account.ts'
import type { CallSession, FramePlace } from './call.ts'
import { type LaneCounts, noCounts, type RoomEvent } from './event.ts'
import { buildFrames, type EdgeShare, type FrameHead } from './frames.ts'
import type { Home } from './home.ts'
import { ClientCap, sample } from './lanes.ts'
import { TickBudget } from './scheduler.ts'

interface Offered {
  stay: number
  counts: LaneCounts
}

export class EdgeFeed {
  readonly #home: Home
  readonly #budget: TickBudget
  readonly #cap: ClientCap
  readonly #account: Account
  readonly #offered = new Map<string, Offered>()
  #frameNo = 0
  #goers: string[] = []

  constructor(home: Home) {
    const { config, accounts } = home.parts
    const { tickMsMin, tickMsMax, flushShareBps, writeCostNs } = config
    this.#home = home
    this.#budget = new TickBudget({ tickMsMin, tickMsMax, shareBps: flushShareBps, writeCostNs })
    this.#cap = new ClientCap(config.danmakuPerClientMax)
    this.#account = accounts.of(home.id)
  }

  /** The instant of the next frame, if something is to be sent now. */
  nextAt(now: number): number {
    return this.#budget.nextAt(now, this.#home.presence.members.size)
  }

  /** Out of the room together with the next frame. */
  takeOut(userId: string): void {
    this.#goers.push(userId)
  }

  /** Where the frames stand for the edge of a session. */
  place({ edge, stay }: CallSession): FramePlace {
    const offered = this.#offeredTo(edge)
    // A late command of an earlier stay changes nothing.
    if (stay !== undefined && stay > offered.stay) {
      offered.stay = stay
      offered.counts = noCounts()
    }
    return { epoch: this.#home.epoch, frameNo: this.#frameNo, offered: [...offered.counts] }
  }

  publish(committed: readonly RoomEvent[], seq: { from: number; to: number }, now: number): void {
    const { id, epoch, presence, parts } = this.#home
    const kicked = this.#goers
    this.#goers = []
    if (presence.members.size === 0) return
    const built = buildFrames({
      committed,
      sampled: this.#sampled(committed, now),
      isPresent: (userId) => presence.isHere(userId),
      encodings: encodings.filter((encoding) => presence.perEncoding[encoding] > 0),
      frameBytesMax: parts.config.frameBytesMax,
      highEventsMax: parts.config.highEventsPerTickMax,
    })
    const head: FrameHead = {
      room: id,
      epoch,
      frameNo: ++this.#frameNo,
      seqFrom: seq.from,
      seqTo: seq.to,
      events: built.events,
      full: built.full,
      lean: built.lean,
      personal: built.personal,
      edges: this.#shares(built.events, built.personal),
      kicked,
    }
    parts.bus.publish(subjects.roomFrames(id), { head, parts: built.parts })
    this.#budget.sent(now, presence.members.size, committed.length)
    // The edges take them out when they have this frame: no `room.leave` comes for them.
    for (const userId of kicked) for (const { sid } of [...presence.sessionsOf(userId)]) this.#home.leave(sid)
  }

  #sampled(committed: readonly RoomEvent[], now: number): Set<RoomEvent> {
    const normal = committed.filter((event) => event.lane === 'normal' && event.only === undefined)
    const sampled = sample(normal, this.#cap.allowed(now, normal.length))
    this.#cap.spend(now, sampled.length)
    return new Set(sampled)
  }

  /** What each edge is offered by this frame. */
  #shares(events: LaneCounts, personal: FrameHead['personal']): Record<string, EdgeShare> {
    const shares: Record<string, EdgeShare> = {}
    for (const [edge, sessions] of this.#home.presence.perEdge) {
      const { counts } = this.#offeredTo(edge)
      shares[edge] = { sessions, offeredBefore: [...counts] }
      addCounts(counts, events, sessions)
      addCounts(this.#account.offered, events, sessions)
    }
    for (const { userId, own } of personal) this.#offerOwn(userId, own, shares)
    return shares
  }

  #offerOwn(userId: string, own: LaneCounts, shares: Record<string, EdgeShare>): void {
    if (own[0] + own[1] + own[2] === 0) return
    for (const { edge } of this.#home.presence.sessionsOf(userId)) {
      addCounts(this.#account.offered, own, 1)
      addCounts(this.#offeredTo(edge).counts, own, 1)
      const share = shares[edge] as EdgeShare
      addCounts((share.own ??= noCounts()), own, 1)
    }
  }

  #offeredTo(edge: string): Offered {
    let offered = this.#offered.get(edge)
    if (!offered) this.#offered.set(edge, (offered = { stay: 0, counts: noCounts() }))
    return offered
  }
}
