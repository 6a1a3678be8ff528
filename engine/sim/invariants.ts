/**
 * What must hold: after every step, and at the end, when the bus is well again and everything on the way has arrived.
 * What a single viewer can judge by itself stands in `viewer.ts`.
 */
import type { DanmakuData, EventData } from '../../schemas/messages.ts'
import { settle } from '../base/clock.ts'
import { type Account, addCounts, dispositions, imbalance } from '../room/account.ts'
import type { Actor, Answer } from '../room/call.ts'
import { type LaneCounts, noCounts } from '../room/event.ts'
import type { Home } from '../room/home.ts'
import type { Commit } from './commits.ts'
import type { Gift } from './money.ts'
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
  world.money.checkStep()
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
  checkGifts(world)
  checkCombos(world)
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
  // Keys of danmaku are in the memory of the home.
  const textOf = (text: string, life: number) => `${life} ${text}`
  for (const roomId of roomIds) {
    for (let epoch = 0; epoch < 1_000; epoch++) {
      for (const { t, d, eid, life } of world.commits.of(roomId, epoch)) {
        if (t !== 'danmaku.sent') continue
        const text = withoutMarks((d as DanmakuData).text)
        if (!text.startsWith('key ')) continue
        const known = byText.get(textOf(text, life))
        if (known !== undefined) world.broken('idempotency', `"${text}" is there as ${known} and ${eid}`)
        byText.set(textOf(text, life), eid)
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

// ---------------------------------------------------------------- money

/** What rooms showed is what the journal has. */
function checkGifts(world: World): void {
  const shown = new Map<string, GiftData>()
  for (const { t, d, eid, isLost } of world.commits.all()) if (t === 'gift.sent' && !isLost) shown.set(eid, d as GiftData)
  world.money.checkAll()
  world.money.checkShown(shown, ({ at }) => world.wasAged(at))
}

type GiftData = EventData<'gift.sent'>
type ComboData = EventData<'gift.combo_ended'>
interface Combo {
  sends: number
  units: number
  coins: number
}

/** Each send raises its combo by one, and the end of a combo has the sums of its sends: all of them since a home began. */
function checkCombos(world: World): void {
  for (const roomId of roomIds) {
    for (let epoch = 0; epoch < 1_000; epoch++) {
      const combos = new Map<string, Combo>()
      for (const { t, d } of world.commits.of(roomId, epoch)) {
        if (t === 'gift.sent') sentInCombo(world, combos, d as GiftData)
        else if (t === 'gift.combo_ended') endedCombo(world, combos, d as ComboData)
      }
    }
  }
}

const comboKey = (comboId: string, from: string, giftId: string, count: number) => [comboId, from, giftId, count].join(' ')

function sentInCombo(
  world: World,
  combos: Map<string, Combo>,
  { comboId, comboCount, from, giftId, count, valueCoin, txId }: GiftData,
): void {
  if (comboId === undefined) return
  const key = comboKey(comboId, from.id, giftId, count)
  const { sends, units, coins } = combos.get(key) ?? { sends: 0, units: 0, coins: 0 }
  if (comboCount !== sends + 1) world.broken('combos', `${txId} is send ${comboCount} of ${comboId}, which had ${sends}`)
  combos.set(key, { sends: sends + 1, units: units + count, coins: coins + valueCoin })
}

function endedCombo(world: World, combos: Map<string, Combo>, d: ComboData): void {
  const { comboId, from, giftId, comboCount, totalCount, totalCoin } = d
  const key = comboKey(comboId, from.id, giftId, totalCount / comboCount)
  const { sends, units, coins } = combos.get(key) ?? { sends: 0, units: 0, coins: 0 }
  combos.delete(key)
  if (sends !== comboCount || units !== totalCount || coins !== totalCoin)
    world.broken(
      'combos',
      `${comboId} ended with ${comboCount}, ${totalCount} and ${totalCoin}; its sends are ${sends}, ${units} and ${coins}`,
    )
}

const boardNames = ['live', 'day', 'week', 'total'] as const
type BoardName = (typeof boardNames)[number]
const dayMs = 86_400_000
/** Days since 1970, a Thursday; weeks begin on Monday. */
const dayOf = (at: number) => Math.floor(at / dayMs)
const weekOf = (at: number) => Math.floor((dayOf(at) + 3) / 7)
const reader: Actor = { userId: 'reader', name: 'Reader', anonymous: false, scope: [] }

/** M13, whenever nothing is under way between the rooms and the ledger. */
export async function checkBoards(world: World): Promise<void> {
  if (!world.isMoneyQuiet) return
  const looks = homesOf(world).flatMap((home) => boardNames.map((board) => lookAt(world, home, board)))
  await settle()
  for (const { home, board, answer } of looks) {
    // The room reads the journal: the clock must go on.
    if (!answer) continue
    if (!answer.ok) return world.broken('M13', `${board} of ${home.id}: ${answer.err.code}`)
    const { rows, counting } = answer.d as { rows: { member: { id: string }; scoreCoin: string }[]; counting?: true }
    if (counting) continue
    const shown = rows.map(({ member, scoreCoin }) => `${member.id} ${scoreCoin}`)
    const due = world.money.board(home.id, windowOf(world, home, board)).map(({ id, coins }) => `${id} ${coins}`)
    world.money.counts.boards++
    if (`${shown}` !== `${due}`) world.broken('M13', `${board} of ${home.id} shows ${shown}; the journal gives ${due}`)
  }
}

function lookAt(world: World, home: Home, board: BoardName) {
  const look: { home: Home; board: BoardName; answer: Answer | undefined } = { home, board, answer: undefined }
  void world.homes.call(home.id, { t: 'rank.get', d: { board, limit: 100 }, actor: reader }).then((answer) => {
    look.answer = answer
  })
  return look
}

/** Which gifts are on a board that is looked at now. */
function windowOf(world: World, { info }: Home, board: BoardName): (gift: Gift) => boolean {
  const now = world.homeNow()
  switch (board) {
    case 'live':
      return ({ liveId }) => info.liveId !== undefined && liveId === info.liveId
    case 'day':
      return ({ at }) => dayOf(at) === dayOf(now)
    case 'week':
      return ({ at }) => weekOf(at) === weekOf(now)
    default:
      return () => true
  }
}
