/**
 * The connection to an engine and the rooms on it. Comes back by itself and takes up where it was.
 *
 *     connecting -> open -> (lost) waiting -> connecting -> ... -> closed
 *
 * 1. A socket opens: `session.open` and every `room.join`, with its place to resume from, are written at once.
 * 2. The session is open: calls that waited are sent, the heartbeat starts, the token is renewed in time.
 * 3. The connection is lost: what was sent fails with `ConnectionLostError`, rooms are 'away', and after a back-off with full
 *    jitter step 1 comes again. Close codes 4500-4999, and `close()`, end the client for good.
 */
import { closeCodes, type ErrorCode } from '../../schemas/errors.ts'
import type { CommandInput, CommandName, CommandReply, Messages } from '../../schemas/messages.ts'
import type { Encoding, EventEnvelope } from '../../schemas/wire.ts'
import { backoffMs, isTokenExpired, mayReturn } from './backoff.ts'
import { ClientClosedError, ConnectionLostError, RefusedError, TooManyCallsError } from './faults.ts'
import { type Host, newKey, type Timer } from './host.ts'
import { Link, type LinkRequest, type Outcome } from './link.ts'
import { Listeners, type Off } from './listeners.ts'
import type { JoinReply } from './normal.ts'
import { askUntilAnswered } from './paid.ts'
import { type CallOptions, type PluginName, Room, type RoomView } from './room.ts'

export type Session = Messages['session.open']['reply']

export type ClientState =
  | { name: 'connecting' }
  | { name: 'open'; session: Session }
  | { name: 'waiting'; retryInMs: number; reason: string }
  | { name: 'closed'; code: number; reason: string }

export interface ClientOptions {
  /** For example `ws://127.0.0.1:8080/live`. */
  url: string
  /** A session token, or how to get one: then it is renewed before it expires. None: anonymous, read-only. */
  token?: string | (() => Promise<string>) | undefined
  encoding?: Encoding | undefined
  platform?: string | undefined
  deviceId?: string | undefined
  /** Bounds of the back-off. */
  retryMsMin?: number | undefined
  retryMsMax?: number | undefined
  connectTimeoutMs?: number | undefined
  /** How long a call may take, the wait for a connection included. */
  callTimeoutMs?: number | undefined
  /** How long a gift is asked for, lost connections included. */
  giftTimeoutMs?: number | undefined
  /** Calls that wait for an answer or for a connection. */
  callsMax?: number | undefined
}

/** Coins to spend, and beans (as text: they may be many) that were earned as a streamer and are not settled yet. */
export type Wallet = CommandReply<'wallet.get'>

export interface ClientEvents {
  state: [state: ClientState]
  /** A listener or the token function threw, or a frame made no sense. The client goes on. */
  error: [error: unknown]
  rtt: [rttMs: number]
  'server.draining': [d: Messages['server.draining']]
  /** The coins of this user, as they are now. */
  'wallet.changed': [d: Messages['wallet.changed']]
  /** Every event for this user alone, by plugins: under `event` with its name, and those of third parties under their names too. */
  event: [event: PrivateEvent]
  [name: PluginName]: [d: unknown, event: PrivateEvent]
}

export interface PrivateEvent {
  t: string
  at: number | undefined
  d: unknown
}

interface Waiting {
  request: LinkRequest
  outcome: Outcome
  timer: Timer
}

const defaults = {
  encoding: 'proto' as Encoding,
  retryMsMin: 500,
  retryMsMax: 30_000,
  connectTimeoutMs: 10_000,
  callTimeoutMs: 10_000,
  giftTimeoutMs: 60_000,
  callsMax: 64,
}
type Settled = typeof defaults & Omit<ClientOptions, keyof typeof defaults>

interface Membership {
  room: Room
  /** Who waits for the first snapshot. */
  first: Outcome
  /** The connection that carried the last join. */
  askedOn: Link | undefined
  retry: Timer | undefined
  tries: number
}

/** A connection that held this long was a good one: the next loss starts the back-off anew. */
const steadyMs = 5_000
/** A token is renewed this long before it expires, or after 4/5 of a shorter life. */
const renewBeforeMs = 60_000
const renewAgainMs = 10_000

const refusedCode = closeCodes.authInvalid.code
const nothingYet: Outcome = { ok() {}, fail() {} }

export class LiveClient {
  readonly #host: Host
  readonly #options: Settled
  readonly #listeners: Listeners<ClientEvents>
  readonly #rooms = new Map<string, Membership>()
  readonly #waiting = new Set<Waiting>()
  #state: ClientState = { name: 'connecting' }
  #link: Link | undefined
  #token: string | undefined
  #tokenIsNew = false
  #attempt = 0
  #openedAt = 0
  #comeBackAt = 0
  #retryTimer: Timer | undefined
  #renewTimer: Timer | undefined
  #drainTimer: Timer | undefined
  #rttMs: number | undefined
  #serverAheadMs = 0
  #renewing = false
  #reporting = false

  constructor(host: Host, options: ClientOptions) {
    if (!/^wss?:$/.test(new URL(options.url).protocol)) throw new TypeError(`not a WebSocket address: ${options.url}`)
    this.#host = host
    this.#options = { ...defaults, ...withoutUndefined(options) } as Settled
    this.#listeners = new Listeners<ClientEvents>((error) => this.#fault(error, true))
    void this.#connect()
  }

  get state(): ClientState {
    return this.#state
  }
  get session(): Session | undefined {
    return this.#state.name === 'open' ? this.#state.session : undefined
  }
  /** The last measured round trip. */
  get rttMs(): number | undefined {
    return this.#rttMs
  }
  /** The engine's clock, as of the last session: for countdowns to instants that it named. */
  serverNow(): number {
    return this.#host.now() + this.#serverAheadMs
  }

  on<Name extends keyof ClientEvents>(name: Name, listener: (...args: ClientEvents[Name]) => void): Off {
    return this.#listeners.on(name, listener)
  }

  /** Any command. Without a connection it waits for one, at most `callTimeoutMs`. */
  call<T extends CommandName>(
    t: T,
    d: CommandInput<T>,
    { room, ik, timeoutMs = this.#options.callTimeoutMs }: CallOptions & { room?: string | undefined } = {},
  ): Promise<CommandReply<T>> {
    return new Promise<CommandReply<T>>((resolve, reject) => {
      this.#dispatch({ t, d, room, ik, timeoutMs }, { ok: (reply) => resolve(reply as CommandReply<T>), fail: reject }, reject)
    })
  }

  /** A command that a plugin owns and that concerns no room (`room.command` is for those that do); waits and fails as `call` does. */
  command<Reply = unknown>(name: string, d: object = {}, options: CallOptions = {}): Promise<Reply> {
    return this.#command(name, d, options) as Promise<Reply>
  }

  /** What this user has. Later changes come as 'wallet.changed'. Refused with `billing.unavailable` by an engine without money. */
  wallet(): Promise<Wallet> {
    return this.call('wallet.get', {})
  }

  /** Resolves with the first snapshot, however long the connection takes; rejects when the room refuses. */
  join(id: string, { source }: { source?: string | undefined } = {}): Promise<RoomView> {
    const known = this.#rooms.get(id)
    if (known && known.room.status !== 'joining') return Promise.resolve(known.room)
    return new Promise((resolve, reject) => {
      if (this.#state.name === 'closed') return reject(new ClientClosedError(this.#state.reason))
      const entry = known ?? this.#addRoom(id, source)
      const earlier = entry.first
      entry.first = {
        ok: (d) => {
          earlier.ok(d)
          resolve(entry.room)
        },
        fail: (error) => {
          earlier.fail(error)
          reject(error)
        },
      }
      if (!known && this.#state.name === 'open') this.#sendJoin(id)
    })
  }

  /** Do not wait for the back-off: for "try again now", or when the network came back. */
  reconnectNow(): void {
    if (this.#state.name === 'waiting') void this.#connect()
  }

  close(): void {
    this.#finish(1000, 'closed by the application')
  }

  // -------------------------------------------------------------- connecting

  async #connect(): Promise<void> {
    this.#retryTimer?.cancel()
    this.#setState({ name: 'connecting' })
    try {
      await this.#takeToken()
    } catch (error) {
      this.#fault(error)
      return this.#wait('no token could be had')
    }
    if (this.#state.name !== 'connecting' || this.#link) return
    try {
      this.#link = this.#openLink()
    } catch (error) {
      this.#fault(error)
      this.#wait('no socket could be opened')
    }
  }

  #openLink(): Link {
    const { url, encoding, connectTimeoutMs } = this.#options
    return new Link(
      { host: this.#host, url, encoding, connectTimeoutMs },
      {
        opened: () => this.#hello(),
        event: (event) => this.#event(event),
        rtt: (rttMs) => {
          this.#rttMs = rttMs
          this.#listeners.emit('rtt', rttMs)
        },
        fault: (error) => this.#fault(error),
        ended: (code, reason) => this.#lost(code, reason),
      },
    )
  }

  async #takeToken(): Promise<void> {
    const { token } = this.#options
    this.#tokenIsNew = false
    if (typeof token === 'string') this.#token = token
    else if (token && this.#token === undefined) {
      this.#token = await token()
      this.#tokenIsNew = true
    }
  }

  /** Everything that the engine needs to put us back where we were, in one go. */
  #hello(): void {
    const { platform, deviceId, encoding, callTimeoutMs } = this.#options
    this.#send(
      { t: 'session.open', d: { token: this.#token, platform, deviceId, proto: encoding }, timeoutMs: callTimeoutMs },
      {
        ok: (d) => this.#opened(d as Session),
        fail: (error) => {
          if (error instanceof RefusedError) this.#openRefused(error)
          else this.#link?.drop('session.open was not answered')
        },
      },
    )
    for (const id of this.#rooms.keys()) this.#sendJoin(id)
  }

  #opened(session: Session): void {
    this.#openedAt = this.#host.now()
    this.#serverAheadMs = session.serverAt - this.#openedAt
    this.#comeBackAt = 0
    this.#setState({ name: 'open', session })
    this.#link?.beat(Math.max(1_000, session.heartbeatMs))
    this.#planRenewal(session.expiresAt)
    for (const [id, { askedOn }] of this.#rooms) if (askedOn !== this.#link) this.#sendJoin(id)
    for (const waiting of [...this.#waiting]) if (this.#forget(waiting)) this.#send(waiting.request, waiting.outcome)
  }

  /** A refused token that was used before may only be too old. */
  #canRefresh(): boolean {
    return typeof this.#options.token === 'function' && !this.#tokenIsNew
  }

  #openRefused(error: RefusedError): void {
    if (error.code === 'auth.invalid' && this.#canRefresh()) this.#token = undefined
    else if (!error.retry) return this.#finish(refusedCode, error.message)
    this.#comeBackAt = this.#host.now() + (error.retryAfterMs ?? 0)
    this.#link?.close(error.message)
  }

  #lost(code: number, reason: string): void {
    const wasOpen = this.#state.name === 'open'
    if (wasOpen && this.#host.now() - this.#openedAt >= steadyMs) this.#attempt = 0
    this.#endLink()
    if (this.#state.name === 'closed') return
    const refresh = isTokenExpired(code) ? typeof this.#options.token === 'function' : code === refusedCode && this.#canRefresh()
    if (refresh) this.#token = undefined
    else if (isTokenExpired(code) || !mayReturn(code)) return this.#finish(code, reason)
    for (const { room } of this.#rooms.values()) room.lost()
    this.#wait(reason)
  }

  #endLink(): void {
    this.#link = undefined
    this.#renewTimer?.cancel()
    this.#drainTimer?.cancel()
    for (const entry of this.#rooms.values()) entry.retry?.cancel()
  }

  #wait(reason: string): void {
    const pauseMs = backoffMs(this.#attempt++, this.#options, this.#host.random())
    const retryInMs = Math.max(pauseMs, this.#comeBackAt - this.#host.now())
    this.#retryTimer = this.#host.after(retryInMs, () => void this.#connect())
    this.#setState({ name: 'waiting', retryInMs, reason })
  }

  #finish(code: number, reason: string): void {
    if (this.#state.name === 'closed') return
    this.#retryTimer?.cancel()
    this.#setState({ name: 'closed', code, reason })
    const link = this.#link
    this.#endLink()
    link?.close(reason)
    const error = new ClientClosedError(reason)
    for (const waiting of [...this.#waiting]) if (this.#forget(waiting)) waiting.outcome.fail(error)
    for (const [id, { room, first }] of [...this.#rooms]) {
      this.#rooms.delete(id)
      const kicked = code === closeCodes.kicked.code
      room.finish({ code: kicked ? 'room.kicked' : 'connection.closed', message: reason, detail: {} })
      first.fail(error)
    }
  }

  // -------------------------------------------------------------- tokens

  #planRenewal(expiresAt: number | undefined): void {
    this.#renewTimer?.cancel()
    if (expiresAt === undefined || typeof this.#options.token !== 'function') return
    const leftMs = Math.max(0, expiresAt - this.serverNow())
    this.#renewTimer = this.#host.after(leftMs - Math.min(renewBeforeMs, leftMs / 5), () => void this.#renew())
  }

  async #renew(): Promise<void> {
    const { token } = this.#options
    const link = this.#link
    if (typeof token !== 'function' || !link || this.#renewing) return
    this.#renewTimer?.cancel()
    this.#renewing = true
    try {
      this.#token = await token()
      const { expiresAt } = await this.call('session.renew', { token: this.#token })
      this.#planRenewal(expiresAt)
    } catch (error) {
      if (this.#link !== link) return // the next session opens with the new token anyway
      this.#fault(error)
      this.#renewTimer = this.#host.after(renewAgainMs, () => void this.#renew())
    } finally {
      this.#renewing = false
    }
  }

  // -------------------------------------------------------------- calls

  #dispatch(request: LinkRequest, outcome: Outcome, refuse: (error: Error) => void): void {
    if (this.#state.name === 'closed') return refuse(new ClientClosedError(this.#state.reason))
    if (this.#waiting.size + (this.#link?.pendingCount ?? 0) >= this.#options.callsMax)
      return refuse(new TooManyCallsError(`${request.t}: ${this.#options.callsMax} calls wait for an answer`))
    if (this.#state.name === 'open') return this.#send(request, outcome)
    const timeoutMs = request.timeoutMs ?? this.#options.callTimeoutMs
    const waiting: Waiting = {
      request,
      outcome,
      timer: this.#host.after(timeoutMs, () => {
        if (this.#forget(waiting))
          outcome.fail(new ConnectionLostError(`${request.t}: no connection within ${timeoutMs} ms`, false))
      }),
    }
    this.#waiting.add(waiting)
  }

  #forget(waiting: Waiting): boolean {
    waiting.timer.cancel()
    return this.#waiting.delete(waiting)
  }

  #send(request: LinkRequest, outcome: Outcome): void {
    if (this.#link) this.#link.request(request, outcome)
    else outcome.fail(new ConnectionLostError(`${request.t}: not connected`, false))
  }

  #command(t: string, d: object, options: CallOptions & { room?: string }): Promise<unknown> {
    const { room, ik, timeoutMs = this.#options.callTimeoutMs } = options
    return new Promise((resolve, reject) => this.#dispatch({ t, d, room, ik, timeoutMs }, { ok: resolve, fail: reject }, reject))
  }

  /** One effect, two tries: a lost answer is asked for again with the same key, which gives the stored one. */
  async #callOnce<T extends CommandName>(t: T, d: CommandInput<T>, room: string): Promise<CommandReply<T>> {
    const options = { room, ik: newKey() }
    try {
      return await this.call(t, d, options)
    } catch (error) {
      if (error instanceof RefusedError && askAgain.has(error.code)) await this.#pause(error.retryAfterMs ?? askAgainMs)
      else if (!(error instanceof ConnectionLostError && error.sent) || this.#state.name === 'closed') throw error
      return this.call(t, d, options)
    }
  }

  /** One effect, as many tries as it takes. */
  #callPaid<T extends CommandName>(t: T, d: CommandInput<T>, room: Room, ik: string): Promise<CommandReply<T>> {
    const { callTimeoutMs, giftTimeoutMs } = this.#options
    return askUntilAnswered({
      host: this.#host,
      ready: (timeoutMs) => this.#joinedAgain(room, timeoutMs),
      ask: (timeoutMs) => this.call(t, d, { room: room.id, ik, timeoutMs }),
      tryMs: callTimeoutMs,
      timeoutMs: giftTimeoutMs,
    })
  }

  /** A gift may overtake the join that was sent before it, and would find nobody in the room. */
  #joinedAgain(room: Room, timeoutMs: number): Promise<void> {
    const isDecided = () => room.status === 'joined' || room.status === 'ended'
    if (isDecided()) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        off()
        timer.cancel()
        resolve()
      }
      const off = room.on('status', () => isDecided() && done())
      const timer = this.#host.after(timeoutMs, done)
    })
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#host.after(ms, resolve))
  }

  // -------------------------------------------------------------- rooms

  #addRoom(id: string, source: string | undefined): Membership {
    const room: Room = new Room(id, source, {
      call: (t, d, options) => this.call(t, d, { ...options, room: id }),
      callOnce: (t, d) => this.#callOnce(t, d, id),
      callPaid: (t, d, ik) => this.#callPaid(t, d, room, ik ?? newKey()),
      command: (name, d, options) => this.#command(name, d, { ...options, room: id }),
      leave: () => this.#leave(id),
      fault: (error) => this.#fault(error),
    })
    const entry: Membership = { room, first: nothingYet, askedOn: undefined, retry: undefined, tries: 0 }
    this.#rooms.set(id, entry)
    return entry
  }

  #sendJoin(id: string): void {
    const entry = this.#rooms.get(id)
    if (!entry) return
    const { room } = entry
    entry.askedOn = this.#link
    this.#send(
      { t: 'room.join', room: id, d: { source: room.source, resume: room.position }, timeoutMs: this.#options.callTimeoutMs },
      {
        ok: (d) => {
          entry.tries = 0
          room.welcome(d as JoinReply)
          entry.first.ok(d)
          entry.first = nothingYet
        },
        fail: (error) => this.#joinFailed(id, error),
      },
    )
  }

  /** The first join's refusal is the caller's; a later one is asked again when it may pass, and ends the view when not. */
  #joinFailed(id: string, error: Error): void {
    const entry = this.#rooms.get(id)
    if (!entry) return
    if (!(error instanceof RefusedError)) {
      if (this.#state.name === 'open') this.#sendJoin(id)
      return // otherwise the next connection joins again
    }
    if (error.code === 'session.not_open') return // the refused session is being dealt with
    const { room, first } = entry
    if (room.status !== 'joining' && error.retry) {
      const pauseMs = Math.max(error.retryAfterMs ?? 0, backoffMs(++entry.tries, this.#options, this.#host.random()))
      entry.retry = this.#host.after(pauseMs, () => this.#sendJoin(id))
      return
    }
    this.#rooms.delete(id)
    room.finish({ code: error.code, message: error.message, detail: error.detail })
    first.fail(error)
  }

  #leave(id: string): void {
    const entry = this.#rooms.get(id)
    if (!entry) return
    entry.retry?.cancel()
    this.#rooms.delete(id)
    if (this.#state.name === 'open') this.#send({ t: 'room.leave', room: id, d: {} }, nothingYet)
    entry.first.fail(new ConnectionLostError('left before the room was joined', false))
  }

  // -------------------------------------------------------------- events

  #event(event: EventEnvelope): void {
    const entry = event.room === undefined ? undefined : this.#rooms.get(event.room)
    if (event.t === 'room.resynced') entry?.room.resync((event.d as Messages['room.resynced']).snapshot)
    else if (event.t === 'room.lagging') entry?.room.lagging(event.d as Messages['room.lagging'])
    else if (event.t === 'server.draining') this.#draining(event.d as Messages['server.draining'])
    else if (event.t === 'session.expiring') void this.#renew()
    else if (event.room === undefined) this.#private(event)
    else entry?.room.accept(event)
    if (entry?.room.status === 'ended') this.#rooms.delete(entry.room.id)
  }

  #private({ t, at, d }: EventEnvelope): void {
    const event: PrivateEvent = { t, at, d }
    this.#listeners.emit('event', event)
    if (t === 'wallet.changed') this.#listeners.emit(t, d as Messages['wallet.changed'])
    // Any other name may be one of this client's own.
    else if (isPluginName(t)) this.#listeners.emit(t, d, event)
  }

  #draining(d: Messages['server.draining']): void {
    this.#comeBackAt = this.#host.now() + d.reconnectAfterMs
    this.#drainTimer?.cancel()
    this.#drainTimer = this.#host.after(d.reconnectAfterMs, () => this.#link?.close('the server is draining'))
    this.#listeners.emit('server.draining', d)
  }

  #setState(state: ClientState): void {
    this.#state = state
    this.#listeners.emit('state', state)
  }

  #fault(error: unknown, byListener = false): void {
    // A fault of an 'error' listener itself must not come back to it.
    if (this.#reporting || !this.#listeners.has('error')) return this.#host.report(error)
    this.#reporting = byListener
    this.#listeners.emit('error', error)
    this.#reporting = false
  }
}

/** Refusals that mean "the same command, the same key, a little later". */
const askAgain: ReadonlySet<string> = new Set<ErrorCode>(['idem.in_flight', 'room.unavailable'])
const askAgainMs = 500

const isPluginName = (t: string): t is PluginName => t.startsWith('x.')

function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}
