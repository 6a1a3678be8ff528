/**
 * What must hold: after every step, and at the end, when the bus is well again and everything on the way has arrived.
 * What a single viewer can judge by itself stands in `viewer.ts`.
 */
import type { DanmakuData } from '../../schemas/messages.ts'
import { type Account, addCounts, dispositions, imbalance } from '../room/account.ts'
import { type LaneCounts, noCounts } from '../room/event.ts'
import type { Home } from '../room/home.ts'
import type { Commit } from './commits.ts'
import { laneOf, withoutMarks } from './plugins.ts'
import type { Stay, Viewer } from './viewer.ts'
import { roomIds, type World } from './world.ts'

const isZero = (counts: LaneCounts) => counts.every((count) => count === 0)
const homesOf = (world: World): Home[] => roomIds.flatMap((id) => world.homes.find(id) ?? [])
/** Commands of one session that may wait: the inbox, the one in flight and those that never wait, of which a frame burst is the bound. */
const freeInFlightMax = 200

/** `calm`: no fault was ever injected, so nothing is excused. */
export function checkStep(world: World, calm: boolean): void {
  checkBounds(world)
  if (!calm) return
  checkMembership(world)
  for (const roomId of roomIds) checkNotNegative(world, roomId)
}

function checkBounds(world: World): void {
  const { config, scheduler, localBus } = world
  const most = (what: string, value: number, max: number) => {
    if (value > max) world.broken('bounds', `${what}: ${value}, at most ${max}`)
  }
  // Rings are cut in batches.
  for (const home of homesOf(world)) {
    most(`high ring of ${home.id}`, home.high.size, config.ringHighEventsMax * 2)
    most(`danmaku ring of ${home.id}`, home.danmaku.size, config.ringDanmakuMax * 2)
  }
  most('entries of the scheduler', scheduler.entries, roomIds.length * 2 + 17)
  const live = world.edges.reduce((sum, edge) => sum + edge.connections, 0)
  most('requests on the bus', localBus.pending, (live + world.viewers.length) * freeInFlightMax)
  for (const [at, edge] of world.edges.entries()) {
    most(`rooms of e${at + 1}`, edge.relay.rooms, roomIds.length + 1)
    const subscriptions = world.networks[at]?.subscriptions ?? 0
    most(`subscriptions of e${at + 1}`, subscriptions, edge.connections * config.roomsPerSessionMax)
    if ((world.networks[at]?.lateSends ?? 0) > 0) world.broken('closed sockets', `e${at + 1} sent after the close`)
  }
}

/** Home, edge and viewer agree on who is where. */
function checkMembership(world: World): void {
  for (const viewer of world.viewers) {
    if (viewer.session.isClosed) continue
    const atEdge = viewer.session.members.map((member) => member.room.id).sort()
    const atHome = homesOf(world)
      .filter((home) => home.presence.members.has(viewer.session.sid))
      .map((home) => home.id)
      .sort()
    if (`${atEdge}` !== `${atHome}`) world.broken('presence', `${viewer.name} is in [${atHome}], at its edge in [${atEdge}]`)
    if (!viewer.isUp || viewer.socket.pace !== 'fast' || viewer.socket.bufferedBytes() > 0) continue
    const seen = staysOf(viewer).sort()
    if (`${seen}` !== `${atHome}`) world.broken('presence', `${viewer.name} is in [${atHome}] and believes [${seen}]`)
  }
}

const staysOf = (viewer: Viewer): string[] => [...viewer.stays.values()].filter((stay) => !stay.kicked).map(({ room }) => room)

function checkNotNegative(world: World, roomId: string): void {
  const account = world.accounts.find(roomId)
  if (!account) return
  for (const kind of dispositions)
    if (account[kind].some((count) => count < 0)) world.broken('delivery account', `${roomId}: ${kind} ${account[kind]}`)
}

// ---------------------------------------------------------------- at the end, with everybody still here

/** `isStrict`: presence and the delivery account must be exact. On a lossy bus they are not always: see `--strict` in `simulate.ts`. */
export function checkSettled(world: World, calm: boolean, isStrict: boolean): void {
  checkAnswers(world)
  if (isStrict) checkPresence(world)
  if (isStrict) checkMembership(world)
  for (const viewer of world.viewers)
    for (const stay of [...viewer.past, ...viewer.stays.values()]) checkStay(world, viewer, stay, calm)
  checkOnce(world)
  if (isStrict) for (const roomId of roomIds) checkAccount(world, roomId, calm)
}

function checkAnswers(world: World): void {
  for (const viewer of world.live)
    for (const [id, { t }] of viewer.pending) world.broken('one answer', `${viewer.name}: ${t} ${id} was never answered`)
}

function checkPresence(world: World): void {
  for (const home of homesOf(world)) {
    const here = world.live.filter((viewer) => staysOf(viewer).includes(home.id))
    const { unique, connections } = home.presence.online
    const people = new Set(here.map((viewer) => viewer.userId))
    if (connections !== here.length) world.broken('presence', `${home.id}: ${connections} connections, ${here.length} viewers`)
    if (unique !== uniqueOf(world, here)) world.broken('presence', `${home.id}: ${unique} unique, of ${[...people]}`)
  }
}

/** Of anonymous viewers only so many count per address. */
function uniqueOf(world: World, here: readonly Viewer[]): number {
  const people = new Set(here.filter((viewer) => !viewer.anonymous).map((viewer) => viewer.userId))
  const guests = new Map<string, Set<string>>()
  for (const { anonymous, userId, socket } of here) {
    if (!anonymous) continue
    guests.set(socket.address, (guests.get(socket.address) ?? new Set()).add(userId))
  }
  let unique = people.size
  for (const ids of guests.values()) unique += Math.min(ids.size, world.config.anonymousPerAddressMax)
  return unique
}

/** The stream of one stay against what was committed meanwhile. */
function checkStay(world: World, viewer: Viewer, stay: Stay, calm: boolean): void {
  const isOver = viewer.stays.get(stay.room) !== stay || stay.kicked
  for (const commit of world.commits.of(stay.room, stay.epoch)) {
    if (commit.seq <= stay.fromSeq || (isOver && commit.seq > stay.lastSeq) || stay.seen.has(commit.seq)) continue
    // Who left after a gap and before its resync never learned what was in it.
    if (isOver && !calm) continue
    const missed = mustSee(world, viewer, stay, commit)
    if (missed === undefined || isExcused(stay, commit, missed, calm)) continue
    const place = `${commit.t} ${commit.seq} of ${stay.room} (stay ${stay.fromSeq}..${stay.lastSeq}${isOver ? ', over' : ''})`
    world.broken(missed === 'high' ? 'high lane' : 'own echo', `${viewer.name} (${viewer.userId}) never saw ${place}`)
  }
}

function mustSee(world: World, viewer: Viewer, stay: Stay, commit: Commit): 'high' | 'own' | undefined {
  const only = world.commits.onlyFor(commit)
  if (only !== undefined && only !== viewer.userId) return undefined
  // What plugins say on the other lanes is in the log too, and may be sampled or overtaken on the way to a viewer.
  if (commit.t !== 'danmaku.sent' && laneOf(commit.t) !== 'high') return undefined
  if (commit.t !== 'danmaku.sent') return only === undefined ? 'high' : undefined
  return commit.actor === viewer.userId && commit.seq > stay.joinSeq ? 'own' : undefined
}

function isExcused({ leanFrom, resyncs }: Stay, { seq }: Commit, lane: 'high' | 'own', calm: boolean): boolean {
  if (lane === 'own' && leanFrom !== undefined && seq > leanFrom) return true
  return resyncs.some(({ from, to, lean }) => seq <= to && (!calm || (lane === 'own' && lean && seq > from)))
}

/** A danmaku with a key is there once, however often it was sent. */
function checkOnce(world: World): void {
  const byText = new Map<string, string>()
  for (const roomId of roomIds) {
    for (let epoch = 0; epoch < 1_000; epoch++) {
      for (const { t, d, eid } of world.commits.of(roomId, epoch)) {
        if (t !== 'danmaku.sent') continue
        const text = withoutMarks((d as DanmakuData).text)
        if (!text.startsWith('key ')) continue
        const known = byText.get(text)
        if (known !== undefined) world.broken('idempotency', `"${text}" is there as ${known} and ${eid}`)
        byText.set(text, eid)
      }
    }
  }
}

function checkAccount(world: World, roomId: string, calm: boolean): void {
  const account = world.accounts.find(roomId)
  if (account && !isZero(imbalance(account))) world.broken('delivery account', `${roomId}: ${shown(account)}`)
  if (account && calm && !isZero(account.lost))
    world.broken('delivery account', `${roomId}: lost ${account.lost} without a fault`)
}

const shown = (account: Account) => dispositions.map((kind) => `${kind} ${account[kind]}`).join('; ')

// ---------------------------------------------------------------- when everybody has left

export function checkEmpty(world: World, calm: boolean, isStrict: boolean): void {
  const none = (what: string, value: number) => {
    if (value !== 0) world.broken('leaves nothing', `${value} ${what}`)
  }
  for (const { id, info, presence } of homesOf(world)) {
    const here = [...presence.members.keys()].map((sid) => world.viewers.find((viewer) => viewer.session.sid === sid)?.name)
    none(`home of ${id}, ${info.state}, with [${here}] in it`, 1)
  }
  none('sleepers', world.scheduler.waiting)
  none('requests on the bus', world.localBus.pending)
  for (const [at, edge] of world.edges.entries()) {
    none(`rooms of e${at + 1}`, edge.relay.rooms)
    none(`connections of e${at + 1}`, edge.connections)
    none(`users of e${at + 1}`, edge.users)
    none(`slow readers of e${at + 1}`, edge.slow.size)
    none(`subscriptions of e${at + 1}`, world.networks[at]?.subscriptions ?? 0)
  }
  for (const roomId of [...roomIds, 'nowhere']) if (world.accounts.find(roomId)) none(`account of ${roomId}`, 1)
  if (!isStrict) return
  const total = world.accounts.total()
  if (!isZero(imbalance(total))) world.broken('delivery account', `all rooms: ${shown(total)}`)
  if (calm && !isZero(total.lost)) world.broken('delivery account', `lost ${total.lost} without a fault`)
  checkWritten(world, total)
}

/** What viewers counted, together with what lay in the buffers of closed sockets, is what the edges say they wrote. */
function checkWritten(world: World, total: Account): void {
  const counted = noCounts()
  for (const { received, discarded } of world.viewers)
    for (const counts of [...received.values(), ...discarded.values()]) addCounts(counted, counts, 1)
  if (`${counted}` !== `${total.written}`)
    world.broken('delivery account', `viewers counted ${counted}, the edges wrote ${total.written}`)
}
