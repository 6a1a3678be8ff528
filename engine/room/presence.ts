/**
 * Who is in a room: sessions, and the unique users behind them.
 *
 * A user with two tabs counts once; one whose last socket is gone still counts for `presenceGraceMs`, so that a flicker of the
 * network does not flicker the number. Of anonymous viewers at most `anonymousPerAddressMax` count as unique per address: a script
 * that opens a thousand sockets does not make a crowd.
 */
import type { OnlineShape } from '../../schemas/messages.ts'
import type { Encoding } from '../../schemas/wire.ts'

export interface Member {
  readonly sid: string
  readonly userId: string
  readonly name: string
  readonly edge: string
  readonly encoding: Encoding
}

interface Present {
  sessions: Member[]
  goneAt: number
  addressKey: string | undefined
}

interface Leaving {
  userId: string
  goneAt: number
}

export class Presence {
  readonly members = new Map<string, Member>()
  readonly #users = new Map<string, Present>()
  readonly #anonymousOf = new Map<string, number>()
  readonly #limits: { graceMs: number; anonymousPerAddressMax: number }
  readonly perEdge = new Map<string, number>()
  readonly perEncoding: Record<Encoding, number> = { json: 0, proto: 0 }
  #unique = 0
  #peak: number
  /** In the order of leaving, so the first is the first to go. */
  #leaving: Leaving[] = []

  constructor(limits: { graceMs: number; anonymousPerAddressMax: number }, peak = 0) {
    this.#limits = limits
    this.#peak = peak
  }

  get online(): OnlineShape {
    return { unique: this.#unique, connections: this.members.size, peak: this.#peak }
  }

  resetPeak(): void {
    this.#peak = this.#unique
  }

  /** True when the user was not here before (not even in grace). */
  add(member: Member, anonymousAddressKey: string | undefined): boolean {
    if (this.members.has(member.sid)) return false
    this.members.set(member.sid, member)
    this.#count(member, 1)
    const present = this.#users.get(member.userId)
    if (present) {
      present.sessions.push(member)
      return false
    }
    this.#users.set(member.userId, { sessions: [member], goneAt: 0, addressKey: anonymousAddressKey })
    if (this.#countUser(anonymousAddressKey, 1)) this.#unique++
    this.#peak = Math.max(this.#peak, this.#unique)
    return true
  }

  remove(sid: string, now: number): Member | undefined {
    const member = this.members.get(sid)
    if (!member) return undefined
    this.members.delete(sid)
    this.#count(member, -1)
    const present = this.#users.get(member.userId)
    if (!present) return member
    present.sessions = present.sessions.filter((other) => other !== member)
    if (present.sessions.length === 0) {
      present.goneAt = now + this.#limits.graceMs
      this.#leaving.push({ userId: member.userId, goneAt: present.goneAt })
    }
    return member
  }

  sessionsOf(userId: string): readonly Member[] {
    return this.#users.get(userId)?.sessions ?? []
  }

  /** As they are called in their newest session; undefined: not here. */
  nameOf(userId: string): string | undefined {
    return this.sessionsOf(userId).at(-1)?.name
  }

  isHere(userId: string): boolean {
    return this.sessionsOf(userId).length > 0
  }

  /** When somebody's grace ends next. */
  nextGoneAt(): number | undefined {
    return this.#leaving[0]?.goneAt
  }

  /** Let go of those whose grace is over. */
  expire(now: number): void {
    let gone = 0
    while (gone < this.#leaving.length && (this.#leaving[gone] as Leaving).goneAt <= now) {
      const { userId } = this.#leaving[gone++] as Leaving
      const present = this.#users.get(userId)
      // Who came back and left again has a later entry of their own.
      if (present && present.sessions.length === 0 && present.goneAt <= now) this.#forget(userId, present)
    }
    if (gone > 0) this.#leaving.splice(0, gone)
  }

  #forget(userId: string, present: Present): void {
    this.#users.delete(userId)
    if (this.#countUser(present.addressKey, -1)) this.#unique--
  }

  #count(member: Member, by: 1 | -1): void {
    this.perEncoding[member.encoding] += by
    const left = (this.perEdge.get(member.edge) ?? 0) + by
    if (left > 0) this.perEdge.set(member.edge, left)
    else this.perEdge.delete(member.edge)
  }

  /** Whether one user more or less moves the number: beyond the bound of their address anonymous ones do not. */
  #countUser(addressKey: string | undefined, by: 1 | -1): boolean {
    if (addressKey === undefined) return true
    const before = this.#anonymousOf.get(addressKey) ?? 0
    const after = before + by
    if (after > 0) this.#anonymousOf.set(addressKey, after)
    else this.#anonymousOf.delete(addressKey)
    const max = this.#limits.anonymousPerAddressMax
    return max === 0 || Math.max(before, after) <= max
  }
}
