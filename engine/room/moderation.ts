/**
 * Keeping order in a room: `room.mute`, `room.kick` and their reverse, roles, and the list of who is restricted.
 * Who may act on whom stands in `rights.ts`.
 */
import type { CommandInput, RestrictionShape } from '../../schemas/messages.ts'
import { accept, type Call, refuse } from './call.ts'
import type { Home } from './home.ts'
import { may, mayActOn } from './rights.ts'

/** `untilAt` of a restriction that ends with this live session, and of one that never ends. */
const thisLive = 0
const forEver = -1

function untilAt(home: Home, durationMs: number): number {
  if (durationMs === 0) return thisLive
  return durationMs < 0 ? forEver : home.now() + durationMs
}

/** Refuses and answers false when the actor may not act on the target. */
function mayModerate(home: Home, call: Call, targetId: string): boolean {
  const ranks = home.ranksOfActor(call.actor)
  if (!may(ranks, 'mute')) refuse(call, 'perm.denied')
  else if (targetId === call.actor.userId || !mayActOn(ranks, home.ranksOf(targetId))) refuse(call, 'perm.target_protected')
  else return true
  return false
}

/** Make room for one more by letting go of those that are over. */
function hasRoom(home: Home, kept: Map<string, RestrictionShape>, userId: string): boolean {
  const max = home.parts.config.mutesPerRoomMax
  if (kept.has(userId) || kept.size < max) return true
  const now = home.now()
  for (const [id, restriction] of kept) if (restriction.untilAt > 0 && restriction.untilAt <= now) kept.delete(id)
  return kept.size < max
}

function restriction(home: Home, call: Call, until: number): RestrictionShape {
  const { userId, reason } = call.d as { userId: string; reason?: string }
  return { userId, untilAt: until, reason: reason ?? '', by: call.actor.userId, at: home.now() }
}

export function mute(home: Home, call: Call, onMuted: (userId: string) => void): void {
  const { userId, durationMs } = call.d as CommandInput<'room.mute'>
  if (!mayModerate(home, call, userId)) return
  home.change(call, () => {
    if (!hasRoom(home, home.people.mutes, userId))
      return void refuse(call, 'room.too_many', { d: { max: home.parts.config.mutesPerRoomMax } })
    const muted = restriction(home, call, untilAt(home, durationMs))
    const { reason, by } = muted
    return {
      changes: [{ kind: 'mute.put', mute: muted }],
      events: [home.event('room.user_muted', { userId, untilAt: muted.untilAt, reason, by }, { actor: by })],
      apply: () => {
        home.people.mutes.set(userId, muted)
        onMuted(userId)
      },
      reply: { untilAt: muted.untilAt },
    }
  })
}

export function unmute(home: Home, call: Call): void {
  const { userId } = call.d as CommandInput<'room.unmute'>
  if (!mayModerate(home, call, userId)) return
  home.change(call, () => {
    if (!home.people.mutes.has(userId)) return void refuse(call, 'room.bad_state', { msg: 'This user is not muted.' })
    return {
      changes: [{ kind: 'mute.delete', userId }],
      events: [home.event('room.user_unmuted', { userId, by: call.actor.userId }, { actor: call.actor.userId })],
      apply: () => home.people.mutes.delete(userId),
    }
  })
}

export function kick(home: Home, call: Call): void {
  const { userId, banMs } = call.d as CommandInput<'room.kick'>
  if (!mayModerate(home, call, userId)) return
  home.change(call, () => {
    if (!hasRoom(home, home.people.bans, userId))
      return void refuse(call, 'room.too_many', { d: { max: home.parts.config.mutesPerRoomMax } })
    const until = banMs ? untilAt(home, banMs) : home.now()
    const ban = restriction(home, call, until)
    const { reason, by } = ban
    return {
      changes: banMs ? [{ kind: 'ban.put', ban }] : [],
      events: [home.event('room.user_kicked', { userId, untilAt: until, reason, by }, { actor: by })],
      apply: () => {
        if (banMs) home.people.bans.set(userId, ban)
      },
      kicks: () => [userId],
      reply: { untilAt: until },
    }
  })
}

/** Nobody hears of it but the log: the user is not in the room. */
export function unban(home: Home, call: Call): void {
  const { userId } = call.d as CommandInput<'room.unban'>
  if (!mayModerate(home, call, userId)) return
  home.change(call, () => {
    if (!home.people.bans.has(userId)) return void refuse(call, 'room.bad_state', { msg: 'This user is not banned.' })
    return {
      changes: [{ kind: 'ban.delete', userId }],
      events: [],
      apply: () => home.people.bans.delete(userId),
    }
  })
}

export function setRole(home: Home, call: Call, granted: boolean): void {
  const { userId, role } = call.d as CommandInput<'room.grant_role'>
  const { actor } = call
  if (!may(home.ranksOfActor(actor), 'grant')) return refuse(call, 'perm.denied')
  home.change(call, () => {
    if ((home.people.roles.get(userId)?.has(role) ?? false) === granted)
      return void refuse(call, 'room.bad_state', {
        msg: granted ? 'The user has this role.' : 'The user does not have this role.',
      })
    if (granted && home.people.roles.size >= home.parts.config.staffPerRoomMax)
      return void refuse(call, 'room.too_many', { d: { max: home.parts.config.staffPerRoomMax } })
    return {
      changes: [{ kind: granted ? 'role.grant' : 'role.revoke', userId, role }],
      events: [home.event('room.role_changed', { userId, role, granted, by: actor.userId }, { actor: actor.userId })],
      apply: () => home.setRole(userId, role, granted),
    }
  })
}

export function listRestrictions(home: Home, call: Call): void {
  if (!may(home.ranksOfActor(call.actor), 'mute')) return refuse(call, 'perm.denied')
  const current = (kept: Map<string, RestrictionShape>, find: (userId: string) => RestrictionShape | undefined) =>
    [...kept.keys()].map(find).filter((entry) => entry !== undefined)
  accept(call, {
    mutes: current(home.people.mutes, (id) => home.muteOf(id)),
    bans: current(home.people.bans, (id) => home.banOf(id)),
    roles: [...home.people.roles].flatMap(([userId, roles]) => [...roles].map((role) => ({ userId, role }))),
  })
}
