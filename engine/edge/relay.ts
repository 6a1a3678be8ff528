/**
 * The rooms that sessions of this edge have joined: who comes and goes, and what is done when something on the way was lost.
 *
 *     command --> home of the room --> answer        a join's answer says where the frames stand: frames behind it are for the session
 *     frame   --> its number is the next one? --> `deliver`
 *
 * Frames are numbered per room: a repeated one is dropped, and after a gap every session here gets the state anew. What the home offered
 * and no frame brought is entered as lost.
 */
import { subjects } from '../../schemas/subjects.ts'
import { encodeResynced } from '../../schemas/wire.ts'
import type { Bus, BusMessage } from '../base/bus.ts'
import type { Clock } from '../base/clock.ts'
import { addCounts, type DeliveryAccounts, minus } from '../room/account.ts'
import { type Answer, type FramePlace, type Joined, refusal } from '../room/call.ts'
import { resyncCommand } from '../room/commands.ts'
import { type LaneCounts, noCounts } from '../room/event.ts'
import type { FrameHead } from '../room/frames.ts'
import type { AnswerHead, CommandHead } from '../room/homes.ts'
import { deliver } from './delivery.ts'
import { EdgeRoom, type Member, setTier } from './edge-room.ts'
import type { Session } from './session.ts'
import type { Fanout } from './socket.ts'

export interface RelayParts {
  edgeId: string
  /** Above all numbers of stays that an edge of this name has given before. */
  firstStay: number
  bus: Bus
  clock: Clock
  fanout: Fanout
  accounts: DeliveryAccounts
  requestTimeoutMs: number
  /** After a frame: look at some sockets of the room. */
  onDelivered(room: EdgeRoom): void
}

interface Relayed {
  room: EdgeRoom
  stop(): void
}

/** With the pauses between them: at least 6 minutes without an answer from the home. */
const triesMax = 100
/** Each try waits so much longer than the one before: "nobody listens" is said at once, and a hundred of those take no time. */
const pauseMsStep = 100
const pauseMsMax = 5_000
const kickedClose = 'kicked' as const

export class Relay {
  readonly #parts: RelayParts
  readonly #rooms = new Map<string, Relayed>()
  #nextStay: number
  resyncs = 0

  constructor(parts: RelayParts) {
    this.#parts = parts
    this.#nextStay = parts.firstStay
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

  /** Likewise, for what is answered with a place in the frames. */
  #ask(session: Session, room: EdgeRoom, { t, d }: { t: string; d: unknown }, onAnswer: (answer: Answer) => void): void {
    const head = session.command(t, d)
    if (head.session) head.session.stay = room.stay
    this.request(room.id, head, onAnswer)
  }

  // ------------------------------------------------------------------ coming and going

  join(session: Session, roomId: string, d: unknown, onAnswer: (answer: Answer) => void): void {
    const room = this.#roomFor(roomId)
    const arrival = room.arrivalOf(session)
    arrival.joins++
    room.pending++
    room.leaving.delete(session)
    this.#ask(session, room, { t: 'room.join', d }, (answer) => {
      room.pending--
      const isLast = --arrival.joins === 0
      if (isLast && !arrival.isLeft) room.arriving.delete(session)
      if (answer.ok && answer.joined) {
        this.#reconcile(room, answer.joined)
        if (!arrival.isLeft) this.#admit(session, room)
      }
      // The answer was lost, our socket is gone, or a refused join came twice and the second was let in: the home may count somebody
      // who is not here. Who was in before stays in.
      if (isLast && !arrival.isLeft && !isNowhere(answer) && !room.find(session)) this.#leaveHome(session, room)
      this.#letGo(room)
      onAnswer(answer)
    })
  }

  leave(session: Session, roomId: string, onAnswer?: (answer: Answer) => void): void {
    const room = this.#rooms.get(roomId)?.room
    const member = room?.find(session)
    const arrival = room?.arriving.get(session)
    if (!room || !(member || arrival?.isBack)) return onAnswer?.(refusal('room.not_joined'))
    if (member) room.remove(member)
    if (arrival) {
      arrival.isLeft = true
      room.arriving.delete(session)
      if (arrival.isBack) session.joining--
    }
    this.#leaveHome(session, room, onAnswer)
  }

  /** As the client has it: members, and those that we bring in again. */
  isIn(session: Session, roomId: string): boolean {
    const room = this.#rooms.get(roomId)?.room
    return room !== undefined && (room.find(session) !== undefined || room.arriving.get(session)?.isBack === true)
  }

  #admit(session: Session, room: EdgeRoom): void {
    if (!session.isClosed && !room.find(session)) room.add(session)
  }

  /** The answer came behind all frames before it: those that are not here by now were lost. */
  #reconcile(room: EdgeRoom, { epoch, frameNo, offered }: FramePlace): void {
    room.account = this.#parts.accounts.of(room.id)
    if (!room.isBefore({ epoch, frameNo })) return
    this.#enterLost(room, epoch, offered)
    room.epoch = epoch
    room.frameNo = frameNo
    this.#resyncAll(room)
  }

  /** All that was offered up to here and never came. */
  #enterLost(room: EdgeRoom, epoch: number, offered: LaneCounts): void {
    addCounts(room.account.lost, minus(offered, epoch === room.epoch ? room.offered : noCounts()), 1)
    room.offered = [...offered]
  }

  #leaveHome(session: Session, room: EdgeRoom, onAnswer?: (answer: Answer) => void): void {
    const telling = {}
    room.leaving.set(session, telling)
    this.#tellLeave(session, room, { telling, tries: 1 }, onAnswer)
  }

  /** Told until the home has heard it: a forgotten session would be counted as online for ever. */
  #tellLeave(
    session: Session,
    room: EdgeRoom,
    { telling, tries }: { telling: object; tries: number },
    onAnswer?: (answer: Answer) => void,
  ): void {
    room.pending++
    this.#ask(session, room, { t: 'room.leave', d: {} }, (answer) => {
      // Who joined again meanwhile must not be taken out by an old leave.
      const isLast = room.leaving.get(session) === telling
      if (isLast && isUnheard(answer) && tries < triesMax) this.#tellLeaveLater(session, room, { telling, tries: tries + 1 })
      else if (isLast) room.leaving.delete(session)
      room.pending--
      if (answer.ok && answer.place) this.#reconcile(room, answer.place)
      this.#letGo(room)
      onAnswer?.(answer)
    })
  }

  #tellLeaveLater(session: Session, room: EdgeRoom, { telling, tries }: { telling: object; tries: number }): void {
    room.pending++
    this.#later(tries, () => {
      room.pending--
      if (room.leaving.get(session) === telling) this.#tellLeave(session, room, { telling, tries })
      this.#letGo(room)
    })
  }

  #later(tries: number, work: () => void): void {
    this.#parts.clock.after(Math.min(pauseMsMax, tries * pauseMsStep), work)
  }

  #roomFor(roomId: string): EdgeRoom {
    const known = this.#rooms.get(roomId)
    if (known) return known.room
    const room = new EdgeRoom(roomId, this.#nextStay++)
    // Before the first join: the home's answer and the frames after it come in the order in which they were sent.
    const stop = this.#parts.bus.subscribe(subjects.roomFrames(roomId), ({ head, parts }) =>
      this.#receive(room, head as FrameHead, parts ?? []),
    )
    this.#rooms.set(roomId, { room, stop })
    return room
  }

  #letGo(room: EdgeRoom): void {
    const relayed = this.#rooms.get(room.id)
    if (room.members.length > 0 || room.pending > 0 || relayed?.room !== room) return
    relayed.stop()
    this.#rooms.delete(room.id)
  }

  // ------------------------------------------------------------------ frames

  #receive(room: EdgeRoom, head: FrameHead, parts: readonly Uint8Array[]): void {
    // Before the first answer nobody here waits for frames; what they held is made up for by `#reconcile`.
    if (room.epoch === 0 || !room.isBefore(head)) return
    const share = head.edges[this.#parts.edgeId]
    // A new frame that is for none of us: the home does not know those who are here, because a kick or a join was lost.
    if (!share) return this.#resyncAll(room)
    const isGap = head.epoch > room.epoch || head.frameNo > room.frameNo + 1
    if (isGap) this.#enterLost(room, head.epoch, share.offeredBefore)
    room.epoch = head.epoch
    room.frameNo = head.frameNo
    addCounts(room.offered, head.events, share.sessions)
    if (share.own) addCounts(room.offered, share.own, 1)
    for (const member of deliver(room, { head, share, parts }, this.#parts.fanout)) this.#kick(member)
    this.#parts.onDelivered(room)
    if (isGap) this.#resyncAll(room)
    this.#letGo(room)
  }

  #kick(member: Member): void {
    const { session, room } = member
    room.remove(member)
    if (session.members.length === 0) session.end(kickedClose)
  }

  // ------------------------------------------------------------------ slow readers and gaps

  /** Back to `full` goes by way of `resync`. */
  toLean(member: Member): void {
    setTier(member, 'lean')
  }

  #resyncAll(room: EdgeRoom): void {
    for (const member of [...room.members]) this.resync(member)
  }

  /** Ask for the state anew; with it the session is on the full tier again, unless it is still slow. */
  resync(member: Member, tries = 1): void {
    const { session, room } = member
    this.resyncs++
    this.#ask(session, room, { t: resyncCommand, d: {} }, (answer) => {
      if (session.isClosed || room.find(session) !== member) return
      if (answer.ok && answer.joined) {
        this.#reconcile(room, answer.joined)
        return this.#resynced(member, answer.joined)
      }
      if (!answer.ok && answer.err.code === 'room.not_joined') return this.#rejoin(member)
      if (tries >= triesMax) return session.end('serverDraining')
      this.#later(tries, () => {
        if (!session.isClosed && room.find(session) === member) this.resync(member, tries + 1)
      })
    })
  }

  #resynced(member: Member, joined: Joined): void {
    const { session, room } = member
    if (!session.isSlow) setTier(member, 'full')
    session.socket.send(encodeResynced(session.encoding, room.id, joined.parts[0] as Uint8Array))
  }

  /** The home has forgotten us (it is a new one, or it missed the join): come in again, or learn why not. */
  #rejoin(member: Member): void {
    const { session, room } = member
    room.remove(member)
    const arrival = room.arrivalOf(session)
    arrival.isBack = true
    session.joining++
    this.join(session, room.id, {}, (answer) => {
      if (arrival.isLeft) return
      arrival.isBack = false
      session.joining--
      const again = room.find(session)
      if (answer.ok && answer.joined && again) return this.#resynced(again, answer.joined)
      if (answer.ok || session.isClosed) return
      // It believes to be in the room: a new connection learns how things stand.
      const isKicked = answer.err.code === 'room.kicked' && session.members.length === 0
      session.end(isKicked ? kickedClose : 'serverDraining')
    })
  }
}

const isNowhere = (answer: Answer): boolean => !answer.ok && answer.err.code === 'room.not_found'
const isUnheard = (answer: Answer): boolean => !answer.ok && answer.err.code === 'room.unavailable'

function readAnswer(message: BusMessage | undefined): Answer {
  if (!message) return refusal('room.unavailable', { retryAfterMs: 1_000 })
  const head = message.head as AnswerHead
  if (!head.ok || !head.joined) return head as Answer
  return { ok: true, d: undefined, joined: { ...head.joined, parts: [...(message.parts ?? [])] } }
}
