/**
 * One room as this edge has it: the sessions that are in it, the tier of each, and the place in the room's frames up to which this edge
 * has entered what became of them. Who comes and goes is the business of `relay.ts`, frames that of `delivery.ts`.
 *
 * A room is here while the home may count somebody of this edge in it. Such a stay has a number, which goes with the commands that the
 * home answers with a place (`FramePlace`): with a new one the home counts from nothing what it offers to this edge. All that was offered
 * before is entered by then, so that nothing has to be remembered of rooms that were left.
 */
import type { Encoding } from '../../schemas/wire.ts'
import { type Account, newAccount } from '../room/account.ts'
import type { FramePlace } from '../room/call.ts'
import { type LaneCounts, noCounts } from '../room/event.ts'
import type { Session } from './session.ts'

/** `lean`: the high lane only, for readers that do not keep up. */
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
export interface Arrival {
  joins: number
  /** One of them is ours: it was in, and the client believes that it is. */
  isBack: boolean
  /** It left meanwhile: what is answered now is of no use to it. */
  isLeft: boolean
}

export class EdgeRoom {
  readonly id: string
  readonly stay: number
  readonly members: Member[] = []
  readonly byUser = new Map<string, Member[]>()
  /** The room's own from the first place on: a stranger who asks for rooms that do not exist leaves no account behind. */
  account: Account = newAccount()
  /** 0: the home has not told yet where its frames stand. */
  epoch = 0
  frameNo = 0
  /** All that was offered in this stay and epoch, as far as this edge knows. */
  offered: LaneCounts = noCounts()
  /** Leaves that the home has not heard yet; a new join of the session ends the telling. */
  readonly leaving = new Map<Session, object>()
  readonly arriving = new Map<Session, Arrival>()
  /** Joins and leaves under way: the room stays while the home may count somebody here. */
  pending = 0
  /** Where the scan for slow readers goes on. */
  scanAt = 0

  constructor(id: string, stay: number) {
    this.id = id
    this.stay = stay
  }

  /** Behind what is here: neither a repeated frame nor one that `FramePlace` has dealt with. */
  isBefore({ epoch, frameNo }: Pick<FramePlace, 'epoch' | 'frameNo'>): boolean {
    return this.epoch < epoch || (this.epoch === epoch && this.frameNo < frameNo)
  }

  find(session: Session): Member | undefined {
    return session.members.find((member) => member.room === this)
  }

  add(session: Session): void {
    const member: Member = { session, room: this, tier: session.isSlow ? 'lean' : 'full', index: this.members.length }
    this.members.push(member)
    const ofUser = this.byUser.get(session.userId)
    if (ofUser) ofUser.push(member)
    else this.byUser.set(session.userId, [member])
    session.members.push(member)
    listen(member)
  }

  remove(member: Member): void {
    const { session } = member
    deafen(member)
    session.members.splice(session.members.indexOf(member), 1)
    const last = this.members.pop() as Member
    if (last !== member) {
      this.members[member.index] = last
      last.index = member.index
    }
    const ofUser = this.byUser.get(session.userId)?.filter((other) => other !== member) ?? []
    if (ofUser.length > 0) this.byUser.set(session.userId, ofUser)
    else this.byUser.delete(session.userId)
  }

  arrivalOf(session: Session): Arrival {
    let arrival = this.arriving.get(session)
    if (!arrival) this.arriving.set(session, (arrival = { joins: 0, isBack: false, isLeft: false }))
    return arrival
  }
}

export const topic = (roomId: string, encoding: Encoding, tier: Tier): string => `${roomId}/${encoding}/${tier}`
const topicOf = ({ room, session, tier }: Member): string => topic(room.id, session.encoding, tier)

export const listen = (member: Member): void => member.session.socket.subscribe(topicOf(member))
/** Out of what all get, until `listen`. */
export const deafen = (member: Member): void => member.session.socket.unsubscribe(topicOf(member))

export function setTier(member: Member, tier: Tier): void {
  if (member.tier === tier) return
  deafen(member)
  member.tier = tier
  listen(member)
}
