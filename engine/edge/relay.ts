/**
 * The rooms that sessions of this edge have joined, and the way of a frame to them.
 *
 * A frame goes out as one publish per encoding and tier. Users with a personal frame are taken out of the publish, get theirs, and are
 * put back, all in one turn. For every frame the edge enters into the delivery account what became of it (`room/account.ts`).
 * Frames are numbered per room: a repeated one is dropped, and after a gap every session here gets the state anew.
 */

import { subjects } from '../../schemas/subjects.ts'
import type { Encoding } from '../../schemas/wire.ts'
import { encodeResynced, encodings } from '../../schemas/wire.ts'
import type { Bus, BusMessage } from '../base/bus.ts'
import { type Account, addCounts, type DeliveryAccounts, minus, newAccount } from '../room/account.ts'
import { type Answer, type FramePlace, type Joined, refusal } from '../room/call.ts'
import { resyncCommand } from '../room/commands.ts'
import { type LaneCounts, noCounts } from '../room/event.ts'
import type { EdgeShare, FrameHead, PartsByEncoding, PersonalHead, TierHead } from '../room/frames.ts'
import type { AnswerHead, CommandHead } from '../room/homes.ts'
import type { Session } from './session.ts'
import type { Fanout } from './socket.ts'

export type Tier = 'full' | 'lean'

/** One session in one room. */
export interface Member {
  readonly session: Session
  readonly room: EdgeRoom
  tier: Tier
  /** Place in `room.members`. */
  index: number
}

/** Joins of one session in one room that wait for their answers. */
interface Arrival {
  joins: number
  /** One of them is ours: it was in, and the client believes that it is. */
  isBack: boolean
  /** It left meanwhile: what is answered now is of no use to it. */
  isLeft: boolean
}

export interface EdgeRoom {
  readonly id: string
  readonly members: Member[]
  readonly byUser: Map<string, Member[]>
  /** The room's own from the first member on: a stranger who asks for rooms that do not exist leaves no account behind. */
  account: Account
  epoch: number
  frameNo: number
  /** All that was offered to this edge in this epoch, as far as it knows. */
  offered: LaneCounts
  /** Leaves that the home has not heard yet; a new join of the session ends the telling. */
  readonly leaving: Map<Session, object>
  readonly arriving: Map<Session, Arrival>
  /** Joins and leaves under way: the room stays while the home may count somebody here. */
  pending: number
  stop: () => void
  /** Where the scan for slow readers goes on. */
  scanAt: number
}

export interface RelayParts {
  edgeId: string
  bus: Bus
  fanout: Fanout
  accounts: DeliveryAccounts
  requestTimeoutMs: number
  /** After a frame: look at some sockets of the room. */
  onDelivered(room: EdgeRoom): void
}

/** With `requestTimeoutMs` of 5 s: more than 8 minutes without an answer from the home. */
const triesMax = 100
const leftRoomsMax = 10_000
const kickedClose = 'kicked' as const

export class Relay {
  readonly #parts: RelayParts
  readonly #rooms = new Map<string, EdgeRoom>()
  /** Where rooms that nobody here is in any more stood: a lost answer to the next join must not blur the account. */
  readonly #left = new Map<string, Pick<EdgeRoom, 'epoch' | 'frameNo' | 'offered'>>()
  resyncs = 0

  constructor(parts: RelayParts) {
    this.#parts = parts
  }

  get rooms(): number {
    return this.#rooms.size
  }

  /** A command to the home of a room (or to any node with homes); `undefined` answers become `room.unavailable`. */
  request(roomId: string | undefined, head: CommandHead, onAnswer: (answer: Answer) => void): void {
    const subject = roomId === undefined ? subjects.roomsCommand : subjects.roomCommand(roomId)
    this.#parts.bus.request(subject, { head }, { timeoutMs: this.#parts.requestTimeoutMs }, (message) =>
      onAnswer(readAnswer(message)),
    )
  }

  // ------------------------------------------------------------------ coming and going

  join(session: Session, roomId: string, d: unknown, onAnswer: (answer: Answer) => void): void {
    const room = this.#roomFor(roomId)
    room.pending++
    room.leaving.delete(session)
    const arrival = this.#arrivalOf(session, room)
    arrival.joins++
    this.request(roomId, session.command('room.join', d), (answer) => {
      room.pending--
      if (--arrival.joins === 0 && !arrival.isLeft) room.arriving.delete(session)
      if (answer.ok && answer.joined) {
        this.#reconcile(room, answer.joined)
        if (!arrival.isLeft) this.#admit(session, room)
      }
      // The answer was lost, our socket is gone, or a refused join came twice and the second was let in: the home may count somebody
      // who is not here. Who was in before stays in.
      const isOver = arrival.joins === 0 && !arrival.isLeft && !isNowhere(answer)
      if (isOver && !this.find(session, roomId)) this.#leaveHome(session, room)
      this.#letGo(room)
      onAnswer(answer)
    })
  }

  leave(session: Session, roomId: string, onAnswer?: (answer: Answer) => void): void {
    const room = this.#rooms.get(roomId)
    const member = this.find(session, roomId)
    const arrival = room?.arriving.get(session)
    if (!room || !(member || arrival?.isBack)) return onAnswer?.(refusal('room.not_joined'))
    if (member) this.#remove(member)
    if (arrival) {
      arrival.isLeft = true
      room.arriving.delete(session)
      if (arrival.isBack) session.joining--
    }
    this.#leaveHome(session, room, onAnswer)
  }

  /** As the client has it: members, and those that we bring in again. */
  isIn(session: Session, roomId: string): boolean {
    return this.find(session, roomId) !== undefined || this.#rooms.get(roomId)?.arriving.get(session)?.isBack === true
  }

  #arrivalOf(session: Session, room: EdgeRoom): Arrival {
    let arrival = room.arriving.get(session)
    if (!arrival) room.arriving.set(session, (arrival = { joins: 0, isBack: false, isLeft: false }))
    return arrival
  }

  find(session: Session, roomId: string): Member | undefined {
    return session.members.find((member) => member.room.id === roomId)
  }

  #admit(session: Session, room: EdgeRoom): void {
    if (session.isClosed || this.find(session, room.id)) return
    const member: Member = { session, room, tier: session.isSlow ? 'lean' : 'full', index: room.members.length }
    room.members.push(member)
    const ofUser = room.byUser.get(session.userId)
    if (ofUser) ofUser.push(member)
    else room.byUser.set(session.userId, [member])
    session.members.push(member)
    session.socket.subscribe(topicOf(member))
  }

  /** The answer came behind all frames before it: those that are not here by now were lost. */
  #reconcile(room: EdgeRoom, { epoch, frameNo, offered }: FramePlace): void {
    room.account = this.#parts.accounts.of(room.id)
    if (epoch < room.epoch || (epoch === room.epoch && frameNo <= room.frameNo)) return
    addCounts(room.account.lost, minus(offered, epoch === room.epoch ? room.offered : noCounts()), 1)
    room.epoch = epoch
    room.frameNo = frameNo
    room.offered = [...offered]
    for (const member of [...room.members]) this.resync(member)
  }

  #remove(member: Member): void {
    const { room, session } = member
    session.socket.unsubscribe(topicOf(member))
    session.members.splice(session.members.indexOf(member), 1)
    const last = room.members.pop() as Member
    if (last !== member) {
      room.members[member.index] = last
      last.index = member.index
    }
    const ofUser = room.byUser.get(session.userId)?.filter((other) => other !== member) ?? []
    if (ofUser.length > 0) room.byUser.set(session.userId, ofUser)
    else room.byUser.delete(session.userId)
  }

  /** Told until the home has heard it: a forgotten session would be counted as online for ever. */
  #leaveHome(session: Session, room: EdgeRoom, onAnswer?: (answer: Answer) => void): void {
    const telling = {}
    room.leaving.set(session, telling)
    this.#tellLeave(session, room, telling, 1, onAnswer)
  }

  #tellLeave(session: Session, room: EdgeRoom, telling: object, tries: number, onAnswer?: (answer: Answer) => void): void {
    room.pending++
    this.request(room.id, session.command('room.leave', {}), (answer) => {
      room.pending--
      // Who joined again meanwhile must not be taken out by an old leave.
      const isLast = room.leaving.get(session) === telling
      if (isLast && isUnheard(answer) && tries < triesMax) this.#tellLeave(session, room, telling, tries + 1)
      else if (isLast) room.leaving.delete(session)
      if (answer.ok && answer.place) this.#reconcile(room, answer.place)
      this.#letGo(room)
      onAnswer?.(answer)
    })
  }

  #roomFor(roomId: string): EdgeRoom {
    let room = this.#rooms.get(roomId)
    if (room) return room
    const created: EdgeRoom = {
      id: roomId,
      members: [],
      byUser: new Map(),
      account: newAccount(),
      ...(this.#left.get(roomId) ?? { epoch: 0, frameNo: 0, offered: noCounts() }),
      leaving: new Map(),
      arriving: new Map(),
      pending: 0,
      stop: () => {},
      scanAt: 0,
    }
    room = created
    // Before the first join: the home's answer and the frames after it come in the order in which they were sent.
    room.stop = this.#parts.bus.subscribe(subjects.roomFrames(roomId), (delivery) =>
      this.#receive(created, delivery.head as FrameHead, delivery.parts ?? []),
    )
    this.#rooms.set(roomId, room)
    return room
  }

  #letGo(room: EdgeRoom): void {
    if (room.members.length > 0 || room.pending > 0 || this.#rooms.get(room.id) !== room) return
    room.stop()
    this.#rooms.delete(room.id)
    if (room.epoch === 0) return
    const { epoch, frameNo, offered } = room
    this.#left.delete(room.id)
    this.#left.set(room.id, { epoch, frameNo, offered })
    const [oldest] = this.#left.keys()
    if (this.#left.size > leftRoomsMax && oldest !== undefined) this.#left.delete(oldest)
  }

  // ------------------------------------------------------------------ frames

  #receive(room: EdgeRoom, head: FrameHead, parts: readonly Uint8Array[]): void {
    const share = head.edges[this.#parts.edgeId]
    // Before the first answer nobody here waits for frames; what they held is made up for by `#reconcile`.
    if (room.epoch === 0) return
    if (!share) return this.#overlooked(room, head)
    if (head.epoch < room.epoch || (head.epoch === room.epoch && head.frameNo <= room.frameNo)) return
    const isGap = head.epoch > room.epoch || head.frameNo > room.frameNo + 1
    if (isGap) this.#accountLost(room, head, share)
    room.epoch = head.epoch
    room.frameNo = head.frameNo
    addCounts(room.offered, head.events, share.sessions)
    if (share.own) addCounts(room.offered, share.own, 1)
    this.#deliver(room, head, share, parts)
    this.#parts.onDelivered(room)
    if (isGap) for (const member of [...room.members]) this.resync(member)
    this.#letGo(room)
  }

  /** A new frame that is for none of us: the home does not know those who are here, because a kick or a join was lost. */
  #overlooked(room: EdgeRoom, { epoch, frameNo }: FrameHead): void {
    if (room.members.length === 0 || epoch < room.epoch || (epoch === room.epoch && frameNo <= room.frameNo)) return
    for (const member of [...room.members]) this.resync(member)
  }

  #accountLost(room: EdgeRoom, head: FrameHead, share: EdgeShare): void {
    if (head.epoch === room.epoch) addCounts(room.account.lost, minus(share.offeredBefore, room.offered), 1)
    else addCounts(room.account.lost, share.offeredBefore, 1)
    room.offered = [...share.offeredBefore]
  }

  #deliver(room: EdgeRoom, head: FrameHead, share: EdgeShare, parts: readonly Uint8Array[]): void {
    // One user may be kicked twice in one tick.
    const kicked = [...new Set(head.kicked)].flatMap((userId) => room.byUser.get(userId) ?? [])
    const personal = new Map<Member, PersonalHead>()
    for (const own of head.personal) for (const member of room.byUser.get(own.userId) ?? []) personal.set(member, own)
    // A kicked session is closed in this turn: what it should still see is sent to it directly.
    const apart = new Set([...kicked, ...[...personal.keys()].filter((member) => member.tier === 'full')])
    for (const member of apart) member.session.socket.unsubscribe(topicOf(member))
    this.#publish(room, 'full', head.full.parts, parts)
    this.#publish(room, 'lean', head.lean.parts, parts)
    for (const member of apart) {
      const { tier, session } = member
      const own = tier === 'full' ? personal.get(member)?.parts : undefined
      sendParts(session, own ?? head[tier].parts, parts)
      session.socket.subscribe(topicOf(member))
    }
    this.#account(room, head, share, personal)
    for (const member of kicked) this.#kick(member)
  }

  #publish(room: EdgeRoom, tier: Tier, ranges: PartsByEncoding, parts: readonly Uint8Array[]): void {
    for (const encoding of encodings) {
      const [from, to] = ranges[encoding] ?? [0, 0]
      for (let i = from; i < to; i++) this.#parts.fanout.publish(topic(room.id, encoding, tier), parts[i] as Uint8Array, encoding)
    }
  }

  #account({ account, members }: EdgeRoom, head: FrameHead, share: EdgeShare, personal: ReadonlyMap<Member, PersonalHead>): void {
    let lean = 0
    for (const { tier } of members) if (tier === 'lean') lean++
    const { full } = head
    enter(account, full, members.length - lean)
    enter(account, head.lean, lean)
    addCounts(account.skipped, minus(shown(full), shown(head.lean)), lean)
    addCounts(account.sampled, minus(head.events, shown(full)), members.length)
    addCounts(account.cut, head.events, share.sessions - members.length)
    // Sessions with a personal frame: the difference to what was entered for all.
    const ownHere: LaneCounts = [0, 0, 0]
    for (const [member, own] of personal) {
      const change = minus(shown(own), shown(full))
      if (member.tier === 'full') {
        enter(account, own, 1)
        enter(account, full, -1)
      } else addCounts(account.skipped, change, 1)
      addCounts(account.sampled, minus(own.own, change), 1)
      addCounts(ownHere, own.own, 1)
    }
    if (share.own) addCounts(account.cut, minus(share.own, ownHere), 1)
  }

  #kick(member: Member): void {
    const { session } = member
    this.#remove(member)
    if (session.members.length === 0) session.end(kickedClose)
  }

  // ------------------------------------------------------------------ slow readers and gaps

  /** `lean`: the high lane only. Back to `full` goes by way of `resync`. */
  toLean(member: Member): void {
    if (member.tier === 'lean') return
    member.session.socket.unsubscribe(topicOf(member))
    member.tier = 'lean'
    member.session.socket.subscribe(topicOf(member))
  }

  /** Ask for the state anew; with it the session is on the full tier again, unless it is still slow. */
  resync(member: Member, tries = 1): void {
    const { session, room } = member
    this.resyncs++
    this.request(room.id, session.command(resyncCommand, {}), (answer) => {
      if (session.isClosed || this.find(session, room.id) !== member) return
      if (answer.ok && answer.joined) {
        this.#reconcile(room, answer.joined)
        return this.#resynced(member, answer.joined)
      }
      if (!answer.ok && answer.err.code === 'room.not_joined') return this.#rejoin(member)
      if (tries < triesMax) this.resync(member, tries + 1)
      else session.end('serverDraining')
    })
  }

  #resynced(member: Member, joined: Joined): void {
    const { session, room } = member
    if (!session.isSlow && member.tier === 'lean') {
      session.socket.unsubscribe(topicOf(member))
      member.tier = 'full'
      session.socket.subscribe(topicOf(member))
    }
    session.socket.send(encodeResynced(session.encoding, room.id, joined.parts[0] as Uint8Array))
  }

  /** The home has forgotten us (it is a new one, or it missed the join): come in again, or learn why not. */
  #rejoin(member: Member): void {
    const { session, room } = member
    this.#remove(member)
    const arrival = this.#arrivalOf(session, room)
    arrival.isBack = true
    session.joining++
    this.join(session, room.id, {}, (answer) => {
      if (arrival.isLeft) return
      arrival.isBack = false
      session.joining--
      const again = this.find(session, room.id)
      if (answer.ok && answer.joined && again) return this.#resynced(again, answer.joined)
      if (answer.ok || session.isClosed) return
      // It believes to be in the room: a new connection learns how things stand.
      const isKicked = answer.err.code === 'room.kicked' && session.members.length === 0
      session.end(isKicked ? kickedClose : 'serverDraining')
    })
  }
}

const topic = (roomId: string, encoding: Encoding, tier: Tier): string => `${roomId}/${encoding}/${tier}`
const topicOf = ({ room, session, tier }: Member): string => topic(room.id, session.encoding, tier)

/** What a frame shows, be it by an event that stands for several. */
function shown({ counts, collapsed }: TierHead): LaneCounts {
  const sum: LaneCounts = [...counts]
  addCounts(sum, collapsed, 1)
  return sum
}

function enter(account: Account, { counts, collapsed }: TierHead, times: number): void {
  addCounts(account.written, counts, times)
  addCounts(account.collapsed, collapsed, times)
}

function sendParts(session: Session, ranges: PartsByEncoding, parts: readonly Uint8Array[]): void {
  const [from, to] = ranges[session.encoding] ?? [0, 0]
  for (let i = from; i < to; i++) session.socket.send(parts[i] as Uint8Array)
}

const isNowhere = (answer: Answer): boolean => !answer.ok && answer.err.code === 'room.not_found'
const isUnheard = (answer: Answer): boolean => !answer.ok && answer.err.code === 'room.unavailable'

function readAnswer(message: BusMessage | undefined): Answer {
  if (!message) return refusal('room.unavailable', { retryAfterMs: 1_000 })
  const head = message.head as AnswerHead
  if (!head.ok || !head.joined) return head as Answer
  return { ok: true, d: undefined, joined: { ...head.joined, parts: [...(message.parts ?? [])] } }
}
