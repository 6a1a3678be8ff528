/** Who is what in a room: owner, roles, ranks that come with a token, and who is muted or banned. What a rank may do is `rights.ts`. */
import type { RestrictionShape, Role } from '../../schemas/messages.ts'
import type { Asker } from '../plugin/define.ts'
import type { Actor } from './call.ts'
import { type Rank, ranksOfScope } from './rights.ts'
import type { RoomRecord } from './store.ts'

export class People {
  readonly roles = new Map<string, Set<Role>>()
  readonly mutes = new Map<string, RestrictionShape>()
  readonly bans = new Map<string, RestrictionShape>()
  readonly #ownerId: string
  /** Ranks by token of those who are here: nobody below may act on a patrol. */
  readonly #tokenRanks = new Map<string, Rank[]>()

  constructor({ info, roles, mutes, bans }: Pick<RoomRecord, 'info' | 'roles' | 'mutes' | 'bans'>) {
    this.#ownerId = info.ownerId
    for (const { userId, role } of roles) this.#addRole(userId, role)
    for (const mute of mutes) this.mutes.set(mute.userId, mute)
    for (const ban of bans) this.bans.set(ban.userId, ban)
  }

  cameIn({ userId, scope }: Actor): void {
    const ranks = ranksOfScope(scope)
    if (ranks.length > 0) this.#tokenRanks.set(userId, ranks)
  }

  /** With the last session of a user. */
  wentOut(userId: string): void {
    this.#tokenRanks.delete(userId)
  }

  ranksOf(userId: string): Rank[] {
    const ranks: Rank[] = [...(this.roles.get(userId) ?? []), ...(this.#tokenRanks.get(userId) ?? [])]
    if (userId === this.#ownerId) ranks.push('owner')
    return ranks
  }

  ranksOfActor(actor: Actor): Rank[] {
    return [...new Set([...this.ranksOf(actor.userId), ...ranksOfScope(actor.scope)])]
  }

  /** As plugins see who asks. */
  asker(actor: Actor): Asker {
    const { userId, name, anonymous, bot } = actor
    return { userId, name, anonymous, ranks: this.ranksOfActor(actor), ...(bot ? { bot } : {}) }
  }

  setRole(userId: string, role: Role, granted: boolean): void {
    if (granted) return this.#addRole(userId, role)
    const known = this.roles.get(userId)
    known?.delete(role)
    if (known?.size === 0) this.roles.delete(userId)
  }

  #addRole(userId: string, role: Role): void {
    const known = this.roles.get(userId)
    if (known) known.add(role)
    else this.roles.set(userId, new Set([role]))
  }

  muteOf(userId: string, now: number): RestrictionShape | undefined {
    return stillOn(this.mutes.get(userId), now)
  }

  banOf(userId: string, now: number): RestrictionShape | undefined {
    return stillOn(this.bans.get(userId), now)
  }
}

function stillOn(restriction: RestrictionShape | undefined, now: number): RestrictionShape | undefined {
  if (!restriction) return undefined
  return restriction.untilAt <= 0 || restriction.untilAt > now ? restriction : undefined
}
