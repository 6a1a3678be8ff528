/**
 * A frame of a room on its last way: to the sockets of those who are in it, and into the delivery account (`room/account.ts`).
 *
 * It goes out as one publish per encoding and tier. Users with a personal frame are taken out of the publish, get theirs, and are put
 * back, all in one turn. For every event and session the account is told what became of it.
 */
import { encodings } from '../../schemas/wire.ts'
import { type Account, addCounts, minus } from '../room/account.ts'
import type { LaneCounts } from '../room/event.ts'
import type { EdgeShare, FrameHead, PartsByEncoding, PersonalHead, TierHead } from '../room/frames.ts'
import { deafen, type EdgeRoom, listen, type Member, type Tier, topic } from './edge-room.ts'
import type { Session } from './session.ts'
import type { Fanout } from './socket.ts'

export interface Frame {
  head: FrameHead
  /** What of it is this edge's. */
  share: EdgeShare
  parts: readonly Uint8Array[]
}

/** Answers who is to be taken out of the room now: they have seen why. */
export function deliver(room: EdgeRoom, { head, share, parts }: Frame, fanout: Fanout): Member[] {
  // One user may be kicked twice in one tick.
  const kicked = [...new Set(head.kicked)].flatMap((userId) => room.byUser.get(userId) ?? [])
  const personal = new Map<Member, PersonalHead>()
  for (const own of head.personal) for (const member of room.byUser.get(own.userId) ?? []) personal.set(member, own)
  // A kicked session is closed in this turn: what it should still see is sent to it directly.
  const apart = new Set([...kicked, ...[...personal.keys()].filter((member) => member.tier === 'full')])
  for (const member of apart) deafen(member)
  for (const tier of tiers) publish(fanout, { room, tier, ranges: head[tier].parts, parts })
  for (const member of apart) {
    const { tier, session } = member
    const own = tier === 'full' ? personal.get(member)?.parts : undefined
    sendParts(session, own ?? head[tier].parts, parts)
    listen(member)
  }
  enterFrame(room, head, share, personal)
  return kicked
}

const tiers: readonly Tier[] = ['full', 'lean']

interface Shared {
  room: EdgeRoom
  tier: Tier
  ranges: PartsByEncoding
  parts: readonly Uint8Array[]
}
function publish(fanout: Fanout, { room, tier, ranges, parts }: Shared): void {
  for (const encoding of encodings) {
    const [from, to] = ranges[encoding] ?? [0, 0]
    for (let i = from; i < to; i++) fanout.publish(topic(room.id, encoding, tier), parts[i] as Uint8Array, encoding)
  }
}

function sendParts(session: Session, ranges: PartsByEncoding, parts: readonly Uint8Array[]): void {
  const [from, to] = ranges[session.encoding] ?? [0, 0]
  for (let i = from; i < to; i++) session.socket.send(parts[i] as Uint8Array)
}

// ------------------------------------------------------------------ the account

function enterFrame(
  { account, members }: EdgeRoom,
  head: FrameHead,
  share: EdgeShare,
  personal: ReadonlyMap<Member, PersonalHead>,
) {
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

function enter(account: Account, { counts, collapsed }: TierHead, times: number): void {
  addCounts(account.written, counts, times)
  addCounts(account.collapsed, collapsed, times)
}

/** What a frame shows, be it by an event that stands for several. */
function shown({ counts, collapsed }: TierHead): LaneCounts {
  const sum: LaneCounts = [...counts]
  addCounts(sum, collapsed, 1)
  return sum
}
