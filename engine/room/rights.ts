/**
 * Who may do what in a room: one table, checked by the room's home.
 *
 * A person has the roles granted in this room; `owner` comes from the room, `patrol` and `operator` from the token's scope.
 * Nobody below a role can act on it; patrol and operators act on all.
 */
import type { Role } from '../../schemas/messages.ts'

export type Rank = 'viewer' | Role | 'owner' | 'patrol' | 'operator'

export type Right =
  | 'mute' // mute, kick and their reverse; remove messages; see restrictions
  | 'settings' // every switch
  | 'slow_mode' // slow mode alone
  | 'wall'
  | 'update' // title, intro, theme, category, cover
  | 'open' // open and close
  | 'grant' // give and take roles
  | 'takedown' // close for good, until restored
  | 'enter_taken_down'
  | 'publish' // picture and sound on a line of the show; guests on the mic need none
  | 'steer' // which line and which picture is shown, and the end of the show
  | 'mic' // seats of guests: who gets one, who is silent, who goes
  | 'act_as_engine' // commands that have no name on the wire
  | 'speak_freely' // no token bucket, no slow mode, longer text, any colour and mode

const table: Record<Right, readonly Rank[]> = {
  mute: ['admin', 'controller', 'owner', 'patrol', 'operator'],
  settings: ['controller', 'owner', 'patrol', 'operator'],
  slow_mode: ['admin', 'controller', 'owner', 'patrol', 'operator'],
  wall: ['admin', 'controller', 'owner', 'patrol', 'operator'],
  update: ['controller', 'owner', 'operator'],
  open: ['owner', 'operator'],
  grant: ['owner', 'operator'],
  takedown: ['operator'],
  enter_taken_down: ['patrol', 'operator'],
  publish: ['owner', 'controller', 'assistant'],
  steer: ['controller', 'owner', 'operator'],
  mic: ['admin', 'owner', 'patrol', 'operator'],
  act_as_engine: ['operator'],
  speak_freely: ['admin', 'controller', 'assistant', 'owner', 'patrol', 'operator'],
}

/** Who may act on whom: a higher level acts on a lower one. Owner and patrol act on admins, patrol acts on the owner too. */
const level: Record<Rank, number> = { viewer: 0, assistant: 1, controller: 2, admin: 2, owner: 3, patrol: 4, operator: 5 }

export const may = (ranks: readonly Rank[], right: Right): boolean => ranks.some((rank) => table[right].includes(rank))

const highest = (ranks: readonly Rank[]): number => Math.max(0, ...ranks.map((rank) => level[rank]))

export const mayActOn = (actor: readonly Rank[], target: readonly Rank[]): boolean =>
  highest(actor) >= level.patrol || highest(actor) > highest(target)

/** The role that is shown beside a name. */
export function shownRole(ranks: readonly Rank[]): string | undefined {
  const best = ranks.reduce<Rank>((top, rank) => (level[rank] > level[top] ? rank : top), 'viewer')
  return best === 'viewer' ? undefined : best
}

/** Ranks that come with the token, wherever its bearer goes. */
export function ranksOfScope(scope: readonly string[]): Rank[] {
  return (['patrol', 'operator'] as const).filter((rank) => scope.includes(rank))
}

/** What the engine itself does, such as opening the demo room. No token can claim this id. */
export const engineUserId = 'engine'
export const isEngines = ({ userId }: { userId: string }): boolean => userId === engineUserId
