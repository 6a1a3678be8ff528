/**
 * One simulated client: it sends requests, reads what comes, and holds every promise of the wire against what it reads.
 *
 * Checked on every message: one answer per request, seq grows, nothing comes twice, nothing for a room that was not joined, nobody
 * else's shadowed message, the client cap. What can only be judged later (was everything shown that had to be?) is kept as a `Stay`
 * per join, for `invariants.ts`.
 */
import type { DanmakuData, EventData, SessionEventData, WallItemShape } from '../../schemas/messages.ts'
import {
  decodeServerFrame,
  type Encoding,
  type EventEnvelope,
  encodeRequest,
  isReply,
  type ReplyEnvelope,
  type ServerEnvelope,
} from '../../schemas/wire.ts'
import type { Session } from '../edge/session.ts'
import { type LaneCounts, laneIndex } from '../room/event.ts'
import type { Commits } from './commits.ts'
import type { Money } from './money.ts'
import type { SimSocket, SocketReader } from './network.ts'
import { laneOf } from './plugins.ts'

/** From one join to the leave, kick or close. */
export interface Stay {
  readonly room: string
  epoch: number
  /** The first seq that is not in the answer to the join. */
  joinSeq: number
  /** High-lane events after this must have been shown: `joinSeq`, or where a complete resume began. */
  fromSeq: number
  lastSeq: number
  readonly seen: Set<number>
  /** A resync said how things stand: `(from, to]` may hold gaps. `lean`: the reader was slow then. */
  readonly resyncs: { epoch: number; from: number; to: number; lean: boolean }[]
  /** Slow since this seq: the high lane only. */
  leanFrom: number | undefined
  kicked: boolean
  /** Commit times of the danmaku of others within the last second. */
  readonly window: number[]
}

export interface Asked {
  t: string
  room: string | undefined
  d: Record<string, unknown>
  ik: string | undefined
}

export interface Ack {
  userId: string
  room: string
  id: string
  seq: number
}

export interface ViewerHost {
  readonly commits: Commits
  readonly danmakuPerClientMax: number
  readonly acks: Ack[]
  readonly money: Money
  /** Nodes with homes that died. */
  readonly kills: number
  /** Of the home that this room has now. */
  epochOf(room: string): number | undefined
  /** Why this user must not be told that this message of theirs is rejected. */
  faultOfRejection(caseId: string, userId: string): string | undefined
  broken(invariant: string, detail: string): void
  trace(line: string): void
}

type GiftData = EventData<'gift.sent'>
interface Snapshot {
  epoch: number
  seq: number
  resumed?: boolean
  danmaku?: EventEnvelope[]
  wall?: WallItemShape
}

const utf8 = new TextEncoder()
const utf8Text = new TextDecoder()
/** One frame goes to many: decoded once. */
const decoded = new WeakMap<Uint8Array, ServerEnvelope[]>()

function messagesOf(frame: Uint8Array, encoding: Encoding): ServerEnvelope[] {
  let messages = decoded.get(frame)
  if (!messages) {
    messages = decodeServerFrame(encoding === 'json' ? utf8Text.decode(frame) : frame)
    decoded.set(frame, messages)
  }
  return messages
}

const isEmptied = ({ t }: { t: string }, codes: readonly string[], code: string) => t === 'room.leave' && codes.includes(code)
/** After which a gift is asked for again, with the same key. */
const askAgainCodes = ['billing.unavailable', 'idem.in_flight', 'room.unavailable']
/** Refusals of a leave after which the edge no longer counts us in. */
const goneCodes = ['room.unavailable', 'room.not_joined']

export class Viewer implements SocketReader {
  readonly name: string
  readonly encoding: Encoding
  readonly edge: number
  readonly pending = new Map<string, Asked>()
  readonly stays = new Map<string, Stay>()
  readonly past: Stay[] = []
  /** With a key and without an answer that ends it: to be sent again. */
  readonly retries: Asked[] = []
  /** Events of rooms that came, and that were lost with the connection: for the delivery account. */
  readonly received = new Map<string, LaneCounts>()
  readonly discarded = new Map<string, LaneCounts>()
  readonly recent: string[] = []
  userId = ''
  sid = ''
  anonymous = true
  lagging = false
  closedBy: number | undefined
  socket!: SimSocket
  session!: Session
  readonly #host: ViewerHost
  readonly #asked = new Map<string, Asked>()
  readonly #joinSeq = new Map<string, number>()
  #nextId = 1

  constructor(name: string, place: { edge: number; encoding: Encoding }, host: ViewerHost) {
    this.name = name
    this.edge = place.edge
    this.encoding = place.encoding
    this.#host = host
  }

  get isUp(): boolean {
    return this.socket.isUp
  }

  get isOpen(): boolean {
    return this.sid !== ''
  }

  send(t: string, d: Record<string, unknown> = {}, room?: string, ik?: string): void {
    if (!this.isUp) return
    const id = `${this.#nextId++}`
    const asked = { t, room, d, ik }
    this.pending.set(id, asked)
    this.#asked.set(id, asked)
    if (t === 'gift.send' && ik !== undefined) this.#host.money.asked({ userId: this.userId, room: room ?? '', ik, d })
    const request = { id, t, d, ...(room === undefined ? {} : { room }), ...(ik === undefined ? {} : { ik }) }
    const frame = encodeRequest(this.encoding, request)
    this.socket.receive(typeof frame === 'string' ? utf8.encode(frame) : frame, this.encoding === 'proto')
  }

  /** Bytes that are no request of ours; answers to them carry no id that we know. */
  sendRaw(frame: Uint8Array, isBinary: boolean): void {
    this.socket.receive(frame, isBinary)
  }

  // ------------------------------------------------------------------ what comes

  onRead(frame: Uint8Array): void {
    this.#count(frame, this.received)
    for (const message of messagesOf(frame, this.encoding)) {
      if (isReply(message)) this.#onReply(message)
      else this.#onEvent(message)
    }
  }

  onDiscarded(frame: Uint8Array): void {
    this.#count(frame, this.discarded)
  }

  onClosed(code: number): void {
    this.closedBy = code
    this.#host.trace(`${this.name} closed ${code}`)
    for (const room of [...this.stays.keys()]) this.#endStay(room)
    for (const asked of this.pending.values()) if (asked.ik !== undefined) this.retries.push(asked)
    this.pending.clear()
  }

  #endStay(room: string): void {
    const stay = this.stays.get(room)
    if (!stay) return
    this.stays.delete(room)
    this.past.push(stay)
  }

  /** In the order of the stream, read or lost: what was missed before a join is not part of the account. */
  #count(frame: Uint8Array, into: Map<string, LaneCounts>): void {
    for (const message of messagesOf(frame, this.encoding)) {
      if (isReply(message)) {
        const room = this.#asked.get(message.re)?.room
        const seq = message.ok ? (message.d as Snapshot).seq : undefined
        if (room !== undefined && seq !== undefined && this.#asked.get(message.re)?.t === 'room.join')
          this.#joinSeq.set(room, seq)
        continue
      }
      const { t, room, seq } = message
      if (t === 'room.resynced' && room !== undefined) this.#joinSeq.set(room, 0)
      if (room === undefined || seq === undefined || seq <= (this.#joinSeq.get(room) ?? 0)) continue
      const counts = into.get(room) ?? [0, 0, 0]
      counts[laneIndex[laneOf(t)]]++
      into.set(room, counts)
    }
  }

  // ------------------------------------------------------------------ answers

  #onReply(reply: ReplyEnvelope): void {
    const code = reply.ok ? 'ok' : reply.err.code
    const asked = this.pending.get(reply.re)
    this.#host.trace(`${this.name} < ${reply.re} ${asked?.t ?? '?'} ${code}`)
    if (!asked) {
      if (this.#asked.has(reply.re)) this.#broken('one answer', `request ${reply.re} was answered again`)
      return
    }
    this.pending.delete(reply.re)
    if (reply.ok) this.#accepted(asked, reply.d, reply.replayed === true)
    else this.#refused(asked, code)
  }

  #refused(asked: Asked, code: string): void {
    if (isEmptied(asked, goneCodes, code)) this.#endStay(asked.room as string)
    const isGift = asked.t === 'gift.send'
    if (asked.ik !== undefined && (isGift ? askAgainCodes.includes(code) : code === 'room.unavailable')) this.retries.push(asked)
    if (isGift && asked.ik !== undefined) this.#host.money.refused(this.giftOf(asked), code)
    if (code === 'server.internal') this.#broken('no internal errors', asked.t)
  }

  giftOf({ room = '', ik = '', d }: Asked) {
    return { userId: this.userId, room, ik, d }
  }

  #accepted(asked: Asked, d: unknown, isReplay: boolean): void {
    const room = asked.room as string
    if (asked.t === 'session.open') {
      const { sid, userId, anonymous } = d as { sid: string; userId: string; anonymous: boolean }
      Object.assign(this, { sid, userId, anonymous: anonymous ?? false })
    } else if (asked.t === 'room.join') this.#joined(room, asked, d as Snapshot)
    else if (asked.t === 'room.leave') this.#endStay(room)
    else if (asked.t === 'danmaku.send') this.#sent(room, d as { id: string; seq: number })
    else if (asked.t === 'gift.send')
      this.#host.money.acknowledged(this.giftOf(asked), d as { txId: string; balanceCoin: number }, isReplay)
    else if (asked.t === 'wall.show') this.#checkWall((d as { item: WallItemShape }).item)
  }

  #sent(room: string, { id, seq }: { id: string; seq: number }): void {
    const commit = this.#host.commits.find(id)
    if (!commit || commit.seq !== seq || commit.room !== room)
      return this.#broken('answers are true', `danmaku ${id} answered with seq ${seq}, committed ${commit?.seq}`)
    if (commit.actor !== this.userId) this.#broken('answers are true', `danmaku ${id} is of ${commit.actor}`)
    this.#host.acks.push({ userId: this.userId, room, id, seq })
    this.recent.push(id)
    if (this.recent.length > 8) this.recent.shift()
  }

  #joined(room: string, asked: Asked, snapshot: Snapshot): void {
    this.#endStay(room)
    const { epoch, seq, resumed } = snapshot
    const resume = asked.d.resume as { seq: number } | undefined
    const fromSeq = resumed && resume ? resume.seq : seq
    this.stays.set(room, {
      room,
      epoch,
      joinSeq: seq,
      fromSeq,
      lastSeq: fromSeq,
      seen: new Set(),
      resyncs: [],
      leanFrom: this.lagging ? fromSeq : undefined,
      kicked: false,
      window: [],
    })
    this.#checkSnapshot(snapshot)
  }

  // ------------------------------------------------------------------ events

  #onEvent(event: EventEnvelope): void {
    const { t, room, seq } = event
    this.#host.trace(`${this.name} < ${t} ${room ?? ''} ${seq ?? ''}`)
    if (room === undefined) return
    if (t === 'message.rejected') return this.#rejected(event.d as SessionEventData<'message.rejected'>)
    const stay = this.stays.get(room)
    if (!stay) return this.#broken('joined rooms only', `${t} ${seq} of ${room}`)
    if (t === 'room.lagging') {
      this.lagging = true
      stay.leanFrom ??= stay.lastSeq
    } else if (t === 'room.resynced') this.#resynced(stay, (event.d as SessionEventData<'room.resynced'>).snapshot as Snapshot)
    else if (seq === undefined) this.#broken('events have a seq', t)
    else this.#inRoom(stay, { ...event, seq })
  }

  #rejected({ caseId }: SessionEventData<'message.rejected'>): void {
    const fault = this.#host.faultOfRejection(caseId, this.userId)
    if (fault !== undefined) this.#broken('held messages', fault)
  }

  #resynced(stay: Stay, snapshot: Snapshot): void {
    const { epoch, seq } = snapshot
    if (epoch !== stay.epoch) {
      Object.assign(stay, { epoch, joinSeq: seq, fromSeq: seq })
      stay.seen.clear()
      stay.window.length = 0
    } else if (seq < stay.lastSeq) this.#broken('order', `resync of ${stay.room} to ${seq} after ${stay.lastSeq}`)
    stay.resyncs.push({ epoch, from: stay.leanFrom ?? stay.fromSeq, to: seq, lean: stay.leanFrom !== undefined })
    stay.leanFrom = undefined
    stay.lastSeq = seq
    stay.kicked = false
    this.lagging = false
    this.#checkSnapshot(snapshot)
  }

  #inRoom(stay: Stay, event: EventEnvelope & { seq: number }): void {
    const { t, room, seq, d } = event
    // Of a home that died, or of the next one: places are told apart by the resync that comes now.
    if (this.#host.kills > 0 && this.#host.epochOf(stay.room) !== stay.epoch) {
      const gift = d as GiftData
      if (t === 'gift.sent' && gift.collapsed === undefined) this.#host.money.saw(this.name, stay.room, gift)
      return
    }
    if (t === 'gift.sent') this.#gift(stay, seq, d as GiftData)
    if (stay.seen.has(seq)) this.#broken('nothing twice', `${t} ${seq} of ${room}`)
    else if (seq <= stay.lastSeq) this.#broken('order', `${t} ${seq} of ${room} after ${stay.lastSeq}`)
    stay.lastSeq = seq
    stay.seen.add(seq)
    const live = seq > stay.joinSeq
    if (t === 'danmaku.sent') this.#danmaku(stay, d as DanmakuData, live ? seq : undefined)
    else if (t === 'message.removed') for (const id of (d as { ids: string[] }).ids) this.#checkVisible(id, 'a removal')
    else if (t === 'wall.shown') this.#checkWall((d as { item: WallItemShape }).item)
    else if (t === 'room.user_kicked' && live && (d as { userId: string }).userId === this.userId) stay.kicked = true
  }

  /** One that stands for several: those are the last of its kind that this viewer has not seen, and it has their sums. */
  #gift(stay: Stay, seq: number, d: GiftData): void {
    const { money, commits } = this.#host
    if (d.collapsed === undefined) return money.saw(this.name, stay.room, d)
    const isOf = (gift: GiftData) =>
      gift.to.id === d.to.id && gift.giftId === d.giftId && (d.senders !== undefined || gift.from.id === d.from.id)
    const found: number[] = []
    let [count, coins] = [0, 0]
    for (let at = seq; at > 0 && found.length < d.collapsed; at--) {
      const commit = commits.at(stay.room, stay.epoch, at)
      if (commit?.t !== 'gift.sent' || stay.seen.has(at) || !isOf(commit.d as GiftData)) continue
      if (this.#isOwnSingle(stay, d, commit.d as GiftData)) continue
      found.push(at)
      count += (commit.d as GiftData).count
      coins += (commit.d as GiftData).valueCoin
    }
    if (found.length !== d.collapsed || count !== d.count || coins !== d.valueCoin)
      this.#broken(
        'M5',
        `${d.collapsed} gifts as one at ${seq}: ${d.count} and ${d.valueCoin}; they are ${found}, ${count} and ${coins}`,
      )
    // The place of the last one is its own.
    for (const at of found) if (at !== seq) stay.seen.add(at)
  }

  /** What somebody gave is single in their own frame; a slow reader has no frame of their own. */
  #isOwnSingle(stay: Stay, { senders }: GiftData, gift: GiftData): boolean {
    return senders !== undefined && stay.leanFrom === undefined && gift.from.id === this.userId
  }

  #danmaku(stay: Stay, d: DanmakuData, liveSeq: number | undefined): void {
    if (!this.#host.commits.find(d.id)) this.#broken('answers are true', `danmaku ${d.id} was shown and never committed`)
    this.#checkDanmaku(d)
    this.recent.push(d.id)
    if (this.recent.length > 8) this.recent.shift()
    if (liveSeq === undefined || d.from.id === this.userId || d.replyTo?.userId === this.userId) return
    const { commits, danmakuPerClientMax: max } = this.#host
    const at = commits.at(stay.room, stay.epoch, liveSeq)?.at ?? 0
    stay.window.push(at)
    while ((stay.window[0] as number) <= at - 1_000) stay.window.shift()
    if (stay.window.length > max) this.#broken('cap', `${stay.window.length} danmaku of others in a second of ${stay.room}`)
  }

  // ------------------------------------------------------------------ shadowed messages stay hidden

  #checkSnapshot({ danmaku = [], wall }: Snapshot): void {
    for (const { d } of danmaku) this.#checkDanmaku(d as DanmakuData)
    const ids = danmaku.map(({ d }) => (d as DanmakuData).id)
    if (new Set(ids).size < ids.length) this.#broken('nothing twice', 'within a snapshot')
    if (wall) this.#checkWall(wall)
  }

  #checkDanmaku({ id, replyTo }: DanmakuData): void {
    this.#checkVisible(id, 'a danmaku')
    if (replyTo) this.#checkVisible(replyTo.id, 'a reply')
  }

  #checkWall({ messageId }: WallItemShape): void {
    if (messageId === undefined) return
    if (this.#host.commits.shadowed.has(messageId)) this.#broken('shadow', `${messageId} is on the wall`)
  }

  #checkVisible(id: string, where: string): void {
    const only = this.#host.commits.shadowed.get(id)
    if (only !== undefined && only !== this.userId) this.#broken('shadow', `${id} of ${only} was shown in ${where}`)
  }

  #broken(invariant: string, detail: string): void {
    this.#host.broken(invariant, `${this.name} (${this.userId || 'not open'}, ${this.encoding}): ${detail}`)
  }
}
