/**
 * A room as one viewer sees it: the state of the snapshot kept up to date, its events typed, and the commands that people use.
 *
 *     const room = await client.join('demo')
 *     room.on('danmaku.sent', (danmaku, event) => show(danmaku.from.name, danmaku.text, event.missed))
 *     room.on('change', (state) => setTitle(state.room.title))
 *     await room.send({ text: 'hello' })
 *
 * The view outlives the connection. After a loss the client joins again with the last (epoch, seq): either the missed events
 * follow as ordinary events with `missed: true` ('resumed' says so first), or 'resync' brings a snapshot and the danmaku in it
 * that were not seen. No event is delivered twice: within an epoch `seq` only grows.
 */
import type { CommandInput, CommandName, CommandReply, EventName, Messages, SessionEventName } from '../../schemas/messages.ts'
import type { EventEnvelope } from '../../schemas/wire.ts'
import type { RefusalDetail } from './faults.ts'
import { Listeners, type Off } from './listeners.ts'
import type { RoomMedia } from './media.ts'
import type { PrivateName } from './media-state.ts'
import type { JoinReply } from './normal.ts'
import { fold, foldMissed, type RoomState, resumedState, stateOf } from './room-state.ts'

export interface RoomEvent<D = unknown> {
  t: string
  seq: number | undefined
  at: number | undefined
  d: D
  /** It happened while this client was away. */
  missed: boolean
}
export type DanmakuEvent = RoomEvent<Messages['danmaku.sent']>

/** joining: no snapshot yet. away: the connection is lost, the client is coming back. ended: this view gets nothing any more. */
export type RoomStatus = 'joining' | 'joined' | 'away' | 'ended'

/** Why a view ended: a refusal code, or `left` or `connection.closed`. */
export interface RoomEnd {
  code: string
  message: string
  detail: RefusalDetail
}

export interface Resync {
  state: RoomState
  /** Danmaku of the snapshot that this view had not delivered. */
  missed: DanmakuEvent[]
}

type WireEvents = { [Name in EventName | PrivateName]: [d: Messages[Name], event: RoomEvent<Messages[Name]>] }
export interface RoomEvents extends WireEvents {
  /** Every event with its name, those of plugins (`x.<plugin>.<event>`) too. */
  event: [event: RoomEvent]
  /** The state is another one now. */
  change: [state: RoomState]
  status: [status: RoomStatus]
  resumed: [position: { epoch: number; seq: number }]
  resync: [resync: Resync]
  ended: [end: RoomEnd]
  'room.lagging': [d: Messages['room.lagging']]
  /** A danmaku of yours that was held for review will not be shown. */
  'message.rejected': [d: Messages['message.rejected'], event: RoomEvent<Messages['message.rejected']>]
  /** Of a plugin: what it holds is between the plugin and you. */
  [name: PluginName]: [d: unknown, event: RoomEvent]
}

/** What third-party plugins call their commands and events. */
export type PluginName = `x.${string}`

export interface CallOptions {
  /** Idempotency key: the same key and body have one effect, however often they are sent. */
  ik?: string | undefined
  timeoutMs?: number | undefined
}

export type Gift = CommandReply<'gift.list'>['items'][number]
export type BoardName = CommandInput<'rank.get'>['board']
export interface GiftSend {
  giftId: string
  /** 1 when left out. */
  count?: number | undefined
  /** Who gets it; the owner of the room when left out. */
  to?: string | undefined
  /** The same for all sends that are to be shown as one combo. */
  comboId?: string | undefined
  /** To ask once more for a gift whose answer never came: the key of that one, with the same gift, count and combo. */
  ik?: string | undefined
}

/** How a room reaches the engine; `client.ts` gives it. */
export interface RoomLine {
  call<T extends CommandName>(t: T, d: CommandInput<T>, options: CallOptions): Promise<CommandReply<T>>
  /** As `call`, with a key and one more try after a lost connection. */
  callOnce<T extends CommandName>(t: T, d: CommandInput<T>): Promise<CommandReply<T>>
  /** With a key, across as many reconnects as it takes (`paid.ts`). */
  callPaid<T extends CommandName>(t: T, d: CommandInput<T>, ik: string | undefined): Promise<CommandReply<T>>
  command(name: string, d: object, options: CallOptions): Promise<unknown>
  leave(): void
  fault(error: unknown): void
}

/** Newest danmaku kept in `recent`: as many as the engine keeps for a room. */
const recentMax = 200

export class Room {
  readonly id: string
  readonly source: string | undefined
  readonly #line: RoomLine
  readonly #listeners: Listeners<RoomEvents>
  #status: RoomStatus = 'joining'
  #state: RoomState | undefined
  #recent: DanmakuEvent[] = []
  #epoch = 0
  #seq = 0
  /** Events up to here happened while this client was away. */
  #missedToSeq = 0
  #end: RoomEnd | undefined
  #media: Promise<RoomMedia> | undefined

  constructor(id: string, source: string | undefined, line: RoomLine) {
    this.id = id
    this.source = source
    this.#line = line
    this.#listeners = new Listeners<RoomEvents>((error) => line.fault(error))
  }

  get status(): RoomStatus {
    return this.#status
  }
  /** The state as of the last event. A joined room always has one. */
  get state(): RoomState {
    if (!this.#state) throw new Error(`room ${this.id} is not joined yet`)
    return this.#state
  }
  /** The newest danmaku, oldest first, without removed ones. */
  get recent(): readonly DanmakuEvent[] {
    return this.#recent
  }
  get end(): RoomEnd | undefined {
    return this.#end
  }
  get position(): { epoch: number; seq: number } | undefined {
    return this.#state ? { epoch: this.#epoch, seq: this.#seq } : undefined
  }

  on<Name extends keyof RoomEvents>(name: Name, listener: (...args: RoomEvents[Name]) => void): Off {
    return this.#listeners.on(name, listener)
  }

  /** Sends a danmaku exactly once, across one reconnect if need be. Throws `RefusedError` when the room says no. */
  send(danmaku: CommandInput<'danmaku.send'>): Promise<CommandReply<'danmaku.send'>> {
    return this.#line.callOnce('danmaku.send', danmaku)
  }

  like(n = 1): Promise<CommandReply<'like.tap'>> {
    return this.call('like.tap', { n })
  }

  /** What can be given here now, cheapest first. */
  gifts(): Promise<CommandReply<'gift.list'>> {
    return this.call('gift.list', {})
  }

  /**
   * Gives a gift exactly once: it is asked for with one key until the engine has answered, across reconnects too. Throws `RefusedError`
   * when the answer is no; after `giftTimeoutMs` without any answer `ConnectionLostError`, and whoever asks again brings the same `ik`.
   */
  sendGift({ giftId, count, to, comboId, ik }: GiftSend): Promise<CommandReply<'gift.send'>> {
    const d: CommandInput<'gift.send'> = {
      giftId,
      ...(count === undefined ? {} : { count }),
      ...(to === undefined ? {} : { to }),
      ...(comboId === undefined ? {} : { comboId }),
    }
    return this.#line.callPaid('gift.send', d, ik)
  }

  /**
   * Who gave most, best first; with `place` and `scoreCoin` of this user when they gave something. `window`: one that is over, as a day
   * ('2026-01-31'), a week by its Monday, or the id of a live.
   */
  rank(
    board: BoardName,
    { limit, window }: { limit?: number | undefined; window?: string | undefined } = {},
  ): Promise<CommandReply<'rank.get'>> {
    return this.call('rank.get', {
      board,
      ...(limit === undefined ? {} : { limit }),
      ...(window === undefined ? {} : { window }),
    })
  }

  /** Any command to this room. */
  call<T extends CommandName>(t: T, d: CommandInput<T>, options: CallOptions = {}): Promise<CommandReply<T>> {
    return this.#line.call(t, d, options)
  }

  /** A command that a plugin owns. What it answers is known to whoever knows the plugin: `room.command<{ votes: number }>(...)`. */
  command<Reply = unknown>(name: string, d: object = {}, options: CallOptions = {}): Promise<Reply> {
    return this.#line.command(name, d, options) as Promise<Reply>
  }

  /** Picture, sound and the mic, in browsers. Loaded when it is first asked for. */
  media(): Promise<RoomMedia> {
    this.#media ??= import('./media.ts').then((part) => new part.RoomMedia(this, (error) => this.#line.fault(error)))
    return this.#media
  }

  leave(): void {
    if (this.#status === 'ended') return
    this.#line.leave()
    this.finish({ code: 'left', message: 'Left by the application.', detail: {} })
  }

  // -------------------------------------------------------------- what the client tells a room (not part of RoomView)

  /** The answer to a join: a snapshot, or word that the missed events follow. */
  welcome(reply: JoinReply): void {
    if (this.#status === 'ended') return
    if (reply.resumed && this.#state) {
      this.#epoch = reply.epoch
      this.#missedToSeq = reply.seq
      this.#change(resumedState(this.#state, reply))
      this.#setStatus('joined')
      this.#listeners.emit('resumed', { epoch: reply.epoch, seq: reply.seq })
      return
    }
    const first = this.#state === undefined
    const missed = this.#adopt(reply)
    this.#setStatus('joined')
    if (!first) this.#announce(missed)
  }

  /** The engine sends the state anew on a living connection. */
  resync(snapshot: JoinReply): void {
    if (this.#status !== 'joined') return
    this.#announce(this.#adopt(snapshot))
  }

  accept(envelope: EventEnvelope): void {
    if (this.#status !== 'joined' || !this.#state) return
    const { t, seq, at, d } = envelope
    if (seq !== undefined) {
      if (seq <= this.#seq) return
      this.#seq = seq
    }
    const event: RoomEvent = { t, seq, at, d, missed: seq !== undefined && seq <= this.#missedToSeq }
    this.#keep(event)
    this.#change((event.missed ? foldMissed : fold)(this.#state, t, d))
    this.#emit(event)
    this.#endIfKicked(event)
  }

  lagging(d: Messages[SessionEventName & 'room.lagging']): void {
    this.#listeners.emit('room.lagging', d)
  }

  lost(): void {
    if (this.#status === 'joined') this.#setStatus('away')
  }

  finish(end: RoomEnd): void {
    if (this.#status === 'ended') return
    this.#end = end
    this.#setStatus('ended')
    this.#listeners.emit('ended', end)
  }

  // --------------------------------------------------------------

  #setStatus(status: RoomStatus): void {
    if (this.#status === status) return
    this.#status = status
    this.#listeners.emit('status', status)
  }

  /** Take a snapshot as the new state; gives the danmaku in it that were not delivered. */
  #adopt(snapshot: JoinReply): DanmakuEvent[] {
    const state = stateOf(snapshot)
    if (!state) {
      this.#line.fault(new Error(`room ${this.id}: a snapshot without room, settings or me`))
      return []
    }
    const known = new Set(this.#recent.map((event) => event.d.id))
    const missed: DanmakuEvent[] = []
    // Events of plugins share the lane of danmaku, and may stand among them.
    const recent = (snapshot.danmaku ?? []).filter(({ t }) => t === 'danmaku.sent')
    this.#recent = recent.map(({ t, seq, at, d }) => {
      const danmaku = d as Messages['danmaku.sent']
      const event: DanmakuEvent = { t, seq, at, d: danmaku, missed: this.#state !== undefined && !known.has(danmaku.id) }
      if (event.missed) missed.push(event)
      return event
    })
    this.#epoch = snapshot.epoch
    this.#seq = snapshot.seq
    this.#missedToSeq = 0
    this.#state = state
    return missed
  }

  #announce(missed: DanmakuEvent[]): void {
    this.#listeners.emit('resync', { state: this.state, missed })
    this.#listeners.emit('change', this.state)
  }

  #change(state: RoomState): void {
    if (state === this.#state) return
    this.#state = state
    this.#listeners.emit('change', state)
  }

  #emit(event: RoomEvent): void {
    this.#listeners.emit('event', event)
    // The name decides the type of `d`.
    this.#listeners.emit(event.t as 'danmaku.sent', event.d as Messages['danmaku.sent'], event as DanmakuEvent)
  }

  #keep(event: RoomEvent): void {
    if (event.t === 'danmaku.sent') {
      this.#recent.push(event as DanmakuEvent)
      if (this.#recent.length > recentMax) this.#recent.shift()
    } else if (event.t === 'message.removed') {
      const gone = new Set((event.d as Messages['message.removed']).ids)
      this.#recent = this.#recent.filter((kept) => !gone.has(kept.d.id))
    }
  }

  #endIfKicked({ t, d }: RoomEvent): void {
    if (t === 'room.taken_down') return this.#endIfTakenDown(d as Messages['room.taken_down'])
    if (t !== 'room.user_kicked') return
    const { userId, untilAt, reason } = d as Messages['room.user_kicked']
    if (userId === this.#state?.me.userId) this.finish({ code: 'room.kicked', message: reason, detail: { untilAt } })
  }

  /** The platform's staff stays in. */
  #endIfTakenDown({ reason, caseId }: Messages['room.taken_down']): void {
    const roles = this.#state?.me.roles ?? []
    if (roles.includes('patrol') || roles.includes('operator')) return
    this.finish({ code: 'room.taken_down', message: reason, detail: caseId === undefined ? {} : { caseId } })
  }
}

/** A room without the calls that only the client makes. */
export type RoomView = Omit<Room, 'welcome' | 'resync' | 'accept' | 'lagging' | 'lost' | 'finish'>
