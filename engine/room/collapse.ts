/**
 * Gifts of one tick that are shown as one, when there are more than anybody can look at.
 *
 * A stand-in is an ordinary `gift.sent` with `collapsed: n`: it stands for n sends, and its count and coins are their exact sums. First
 * those of one sender to one receiver of one gift become one; where that still leaves more than the bound, those of all senders, with
 * `senders: m` and `from` the one of them who gave most. What a sender gave stays single in their own frame, and whatever stood for it
 * there is less by it. Ring, log and hooks of events never see a stand-in.
 *
 *     seq      1      2      3      4
 *              ann    bob    ann    title changed
 *     full                   ann x2 (3, stands for 1 and 3), bob (2), title changed (4)      in seq order: 2, 3, 4
 *
 * A stand-in has the seq of the last send in it. A client that comes back with the last seq that it saw gets single sends behind it, so
 * a frame must not end between two sends that became one: `mayCut` says where it may. Then nothing is missed and nothing counts twice.
 * One exception: what a crash took from the log within its last moments is shown again as `replayed`, and a client that had it in a
 * stand-in does not know its `txId`. Boards are exact then too.
 *
 * Cost (`bench/micro/build-frames`): as much as single ones, some 8 us of CPU a gift with encoding, and 1,000 gifts are 1.6 KB of JSON
 * instead of 286 KB. Each sender who is here adds a frame of their own, some 40 us.
 */
import type { EventData } from '../../schemas/messages.ts'
import { RoomEvent } from './event.ts'

type Gift = EventData<'gift.sent'>

interface Given {
  from: Gift['from']
  count: number
  coin: number
  members: RoomEvent[]
}
/** Sends that become one: at least two, in seq order. */
interface Group {
  members: readonly RoomEvent[]
  bySender: ReadonlyMap<string, Given>
  count: number
  coin: number
  /** The one who gave most, and the next one, for the frame of the first. */
  most: readonly Given[]
}
export interface Collapsed {
  /** In seq order. */
  list: readonly RoomEvent[]
  /** By stand-in. */
  groups: ReadonlyMap<RoomEvent, Group>
  /** The stand-ins that hold something of a user. */
  bySender: ReadonlyMap<string, readonly RoomEvent[]>
}

const isGift = (event: RoomEvent): boolean => event.t === 'gift.sent' && event.only === undefined
const giftOf = (event: RoomEvent): Gift => event.d as Gift
// Ids hold no spaces. Gifts that are shown again after a restart are told apart: clients ask whether they know them.
const keyOfGift = ({ to, giftId, replayed }: Gift): string => `${to.id} ${giftId}${replayed ? ' again' : ''}`
const keyOfSender = (gift: Gift): string => `${gift.from.id} ${keyOfGift(gift)}`

/** `list` in seq order, with no more high-lane events than `highMax` as far as gifts can help it. */
export function collapse(list: readonly RoomEvent[], highMax: number): Collapsed {
  const narrow = collapseBy(list, keyOfSender)
  const high = narrow.list.reduce((count, { lane }) => count + (lane === 'high' ? 1 : 0), 0)
  return high > highMax ? collapseBy(list, keyOfGift) : narrow
}

function collapseBy(list: readonly RoomEvent[], keyOf: (gift: Gift) => string): Collapsed {
  const byKey = new Map<string, RoomEvent[]>()
  for (const event of list) {
    if (!isGift(event)) continue
    const key = keyOf(giftOf(event))
    const members = byKey.get(key)
    if (members) members.push(event)
    else byKey.set(key, [event])
  }
  const groups = new Map<RoomEvent, Group>()
  const shownAt = new Map<RoomEvent, RoomEvent | undefined>()
  for (const members of byKey.values()) {
    if (members.length === 1) continue
    const group = groupOf(members)
    const standIn = standInFor(group)
    groups.set(standIn, group)
    for (const member of members) shownAt.set(member, undefined)
    shownAt.set(members.at(-1) as RoomEvent, standIn)
  }
  if (groups.size === 0) return { list, groups, bySender: new Map() }
  const shown = list.map((event) => (shownAt.has(event) ? shownAt.get(event) : event)).filter((event) => event !== undefined)
  return { list: shown, groups, bySender: sendersOf(groups) }
}

function groupOf(members: readonly RoomEvent[]): Group {
  const bySender = new Map<string, Given>()
  let [count, coin] = [0, 0]
  for (const member of members) {
    const gift = giftOf(member)
    count += gift.count
    coin += gift.valueCoin
    const known = bySender.get(gift.from.id)
    if (known) {
      known.count += gift.count
      known.coin += gift.valueCoin
      known.members.push(member)
    } else bySender.set(gift.from.id, { from: gift.from, count: gift.count, coin: gift.valueCoin, members: [member] })
  }
  const most = [...bySender.values()].sort((a, b) => b.coin - a.coin).slice(0, 2)
  return { members, bySender, count, coin, most }
}

function sendersOf(groups: ReadonlyMap<RoomEvent, Group>): Map<string, RoomEvent[]> {
  const senders = new Map<string, RoomEvent[]>()
  for (const [standIn, { bySender }] of groups)
    for (const userId of bySender.keys()) {
      const known = senders.get(userId)
      if (known) known.push(standIn)
      else senders.set(userId, [standIn])
    }
  return senders
}

/** The list as `userId` gets it: their own sends single, and those of others as before. In seq order. */
export function withOwn({ list, groups, bySender }: Collapsed, userId: string): readonly RoomEvent[] {
  const concerned = new Set(bySender.get(userId))
  if (concerned.size === 0) return list
  const own: RoomEvent[] = []
  for (const standIn of concerned) {
    const group = groups.get(standIn) as Group
    const { members } = group.bySender.get(userId) as Given
    own.push(...members)
    const others = group.members.length - members.length
    if (others === 1) own.push(group.members.find(({ from }) => from !== userId) as RoomEvent)
    else if (others > 1) own.push(standInFor(group, userId))
  }
  return [...list.filter((event) => !concerned.has(event)), ...own].sort((a, b) => a.seq - b.seq)
}

/** For all of a group, or for what is left of it without one sender: then at least two sends. */
function standInFor(group: Group, without?: string): RoomEvent {
  const left = without === undefined ? undefined : group.bySender.get(without)
  const isShown = ({ from }: RoomEvent) => from !== without
  const last = group.members.findLast(isShown) as RoomEvent
  const first = group.members.find(isShown) as RoomEvent
  const events = group.members.length - (left?.members.length ?? 0)
  const senders = group.bySender.size - (left ? 1 : 0)
  const { comboId, comboCount, comboExpireAt, ...shown } = giftOf(last)
  const isOneCombo = comboId !== undefined && senders === 1 && group.members.every((one) => giftOf(one).comboId === comboId)
  const [most, next] = group.most
  const d = {
    ...shown,
    ...(isOneCombo ? { comboId, comboCount, comboExpireAt } : {}),
    ...(senders > 1 ? { from: (most === left ? next : most)?.from, senders } : {}),
    count: group.count - (left?.count ?? 0),
    valueCoin: group.coin - (left?.coin ?? 0),
    collapsed: events,
  } as Gift
  const covers = { seqFrom: first.seq, events }
  const standIn = RoomEvent.of(last.room, 'gift.sent', d, { eid: last.eid, at: last.at, actor: last.actor, covers })
  standIn.seq = last.seq
  return standIn
}

/** How many events are not in the list because another stands for them. */
export function countCollapsed(list: readonly RoomEvent[]): number {
  return list.reduce((count, { covers }) => count + (covers ? covers.events - 1 : 0), 0)
}

/** By place in the list: whether a frame may end in front of it. Undefined: anywhere. */
export function mayCut(list: readonly RoomEvent[]): boolean[] | undefined {
  if (!list.some(({ covers }) => covers)) return undefined
  const may = new Array<boolean>(list.length)
  let seqFrom = Number.POSITIVE_INFINITY
  for (let at = list.length - 1; at >= 0; at--) {
    const event = list[at] as RoomEvent
    seqFrom = Math.min(seqFrom, event.covers?.seqFrom ?? event.seq)
    may[at] = at === 0 || seqFrom > (list[at - 1] as RoomEvent).seq
  }
  return may
}
