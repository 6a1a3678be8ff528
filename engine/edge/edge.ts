/**
 * The edge: every connection of this process, from the first frame to the last.
 *
 * It answers what concerns the session itself (open, renew, ping), hands commands about rooms to the relay, and keeps the clocks that
 * all sessions share: open time-out, token expiry, drain.
 */
import { createHmac } from 'node:crypto'
import type { CommandInput } from '../../schemas/messages.ts'
import type { RequestEnvelope } from '../../schemas/wire.ts'
import type { Bus } from '../base/bus.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { type IdSource, type Random, randomInt } from '../base/random.ts'
import type { Config } from '../config.ts'
import { type Guards, refusalOfVerdict } from '../plugin/checks/guards.ts'
import type { DeliveryAccounts } from '../room/account.ts'
import { type Actor, type Answer, refusal } from '../room/call.ts'
import type { PluginCommands } from '../room/commands.ts'
import { ranksOfScope } from '../room/rights.ts'
import { PrivateEvents } from './private.ts'
import { Relay } from './relay.ts'
import { Session, type SessionCounts, type SessionHost } from './session.ts'
import { SlowReaders } from './slow.ts'
import type { Fanout, Socket } from './socket.ts'
import { verifyToken } from './tokens.ts'

export interface EdgeParts {
  edgeId: string
  config: Config
  clock: Clock
  random: Random
  newId: IdSource
  bus: Bus
  fanout: Fanout
  accounts: DeliveryAccounts
  plugins: PluginCommands
  guards: Guards
  secret: Uint8Array
  onError(error: unknown): void
}

/** Who a session will be, once it may open. */
interface Opening {
  actor: Actor
  addressKey: string | undefined
  /** 0: no token, no end. */
  expiresAt: number
}

const sweepMs = 1_000
const expiryNoticeMs = 60_000
const reconnectSpreadMs = 3_000
const tokensRefusedMax = 3

export class Edge implements SessionHost {
  readonly config: Config
  readonly edgeId: string
  readonly relay: Relay
  readonly plugins: PluginCommands
  readonly slow: SlowReaders
  readonly privateEvents: PrivateEvents
  readonly counts: SessionCounts = { frames: 0, malformed: 0, limited: 0, refused: 0 }
  readonly #parts: EdgeParts
  readonly #sessions = new Set<Session>()
  readonly #byUser = new Map<string, Session[]>()
  /** Sockets without a session yet, oldest first. */
  readonly #unopened = new Map<Session, number>()
  /** Sessions by the second in which something happens to their token. */
  readonly #expiries = new Map<number, Set<Session>>()
  #sweptS = 0
  #sweep: Timer | undefined
  #draining = false
  #onEmpty: (() => void) | undefined

  constructor(parts: EdgeParts) {
    this.#parts = parts
    this.config = parts.config
    this.edgeId = parts.edgeId
    this.slow = new SlowReaders(parts.clock, parts.config)
    this.relay = new Relay({
      edgeId: parts.edgeId,
      firstStay: this.now(),
      bus: parts.bus,
      clock: parts.clock,
      fanout: parts.fanout,
      accounts: parts.accounts,
      requestTimeoutMs: parts.config.requestTimeoutMs,
      onDelivered: (room) => this.slow.scan(room),
    })
    this.slow.relay = this.relay
    this.plugins = parts.plugins
    this.privateEvents = new PrivateEvents(parts.bus, {
      sessionsOf: (userId) => this.sessionsOf(userId),
      onSent: (session) => this.slow.look(session),
    })
    this.#sweptS = Math.floor(this.now() / 1000)
    this.#armSweep()
  }

  get connections(): number {
    return this.#sessions.size
  }

  get users(): number {
    return this.#byUser.size
  }

  now(): number {
    return this.#parts.clock.now()
  }

  /** Turn a new socket away before it is one. */
  admit(): { status: string; body: string } | undefined {
    if (this.#draining) return { status: '503 Service Unavailable', body: 'This server is going down.' }
    if (this.#sessions.size >= this.config.connectionsMax)
      return { status: '503 Service Unavailable', body: 'All connections are taken.' }
    return undefined
  }

  onSocket(socket: Socket): Session {
    const session = new Session(socket, this.#parts.newId(this.now()), this)
    this.#sessions.add(session)
    this.#unopened.set(session, this.now() + this.config.openTimeoutMs)
    return session
  }

  onError(error: unknown): void {
    this.#parts.onError(error)
  }

  onPong(session: Session): void {
    this.slow.onPong(session)
  }

  onClosed(session: Session): void {
    this.#sessions.delete(session)
    this.#unopened.delete(session)
    this.slow.forget(session)
    this.#parts.accounts.unconfirmedBytes += session.bufferedSeen
    this.#forgetUser(session)
    this.#expiries.get(session.expiryS)?.delete(session)
    for (const { room } of [...session.members]) this.relay.leave(session, room.id)
    if (this.#sessions.size === 0) this.#onEmpty?.()
  }

  // ------------------------------------------------------------------ commands

  run(session: Session, request: RequestEnvelope, answer: (answer: Answer) => void): void {
    const { t, room, d } = request
    switch (t) {
      case 'session.open':
        return void this.#open(session, d as CommandInput<'session.open'>).then(answer, (error) => this.#failed(error, answer))
      case 'session.renew':
        return void this.#renew(session, d as CommandInput<'session.renew'>).then(answer, (error) => this.#failed(error, answer))
      case 'session.ping': {
        const { at } = d as CommandInput<'session.ping'>
        return answer({ ok: true, d: { ...(at === undefined ? {} : { at }), serverAt: this.now() } })
      }
      case 'room.join':
        return this.#join(session, room as string, d, answer)
      case 'room.leave':
        return this.relay.leave(session, room as string, answer)
      default:
        return this.relay.request(room, session.asked(request), answer)
    }
  }

  #join(session: Session, roomId: string, d: unknown, answer: (answer: Answer) => void): void {
    const again = this.relay.isIn(session, roomId)
    if (!again && session.members.length + session.joining >= this.config.roomsPerSessionMax)
      return answer(refusal('room.too_many', { d: { max: this.config.roomsPerSessionMax } }))
    session.joining++
    this.relay.join(session, roomId, d, (reply) => {
      session.joining--
      answer(reply)
    })
  }

  #failed(error: unknown, answer: (answer: Answer) => void): void {
    this.#parts.onError(error)
    answer(refusal('server.internal'))
  }

  async #open(session: Session, d: CommandInput<'session.open'>): Promise<Answer> {
    if (session.isOpen) return refusal('session.already_open')
    if (this.#draining) return this.#goingDown()
    const opening = d.token === undefined ? this.#anonymous(session, d.deviceId) : await this.#identified(session, d.token)
    if ('ok' in opening) return opening
    const refused =
      this.#mayNotOpen(session, opening) ?? (await this.#ruled(opening.actor, d)) ?? this.#mayNotOpen(session, opening)
    if (refused) return refused
    session.actor = opening.actor
    session.addressKey = opening.addressKey
    if (opening.expiresAt > 0) this.#expireAt(session, opening.expiresAt)
    session.isOpen = true
    this.#unopened.delete(session)
    const ofUser = this.#byUser.get(session.userId)
    if (ofUser) ofUser.push(session)
    else this.#byUser.set(session.userId, [session])
    return { ok: true, d: this.#opened(session) }
  }

  #goingDown(): Answer {
    return refusal('server.draining', { retryAfterMs: this.#spreadMs() })
  }

  /** Asked again after the guards: a session that is open by then, or whose socket is gone, must not be counted. */
  #mayNotOpen(session: Session, { actor: { userId, anonymous } }: Opening): Answer | undefined {
    if (session.isClosed) return refusal('session.not_open')
    if (this.#draining) return this.#goingDown()
    if (!anonymous && (this.#byUser.get(userId)?.length ?? 0) >= this.config.sessionsPerUserMax)
      return refusal('session.too_many', { d: { max: this.config.sessionsPerUserMax }, retryAfterMs: 5_000 })
    return undefined
  }

  async #ruled(actor: Actor, { platform, deviceId }: CommandInput<'session.open'>): Promise<Answer | undefined> {
    const { guards } = this.#parts
    if (!guards.has('session.open')) return undefined
    const { userId, name, anonymous, scope } = actor
    const given = { ...(platform === undefined ? {} : { platform }), ...(deviceId === undefined ? {} : { deviceId }) }
    const from = { userId, name, anonymous, ranks: ranksOfScope(scope) }
    const { verdict } = await guards.ask('session.open', { room: '', at: this.now(), from, d: { ...given, anonymous } })
    return refusalOfVerdict(verdict)
  }

  async #identified(session: Session, token: string): Promise<Opening | Answer> {
    const identity = await verifyToken(this.#parts.secret, token, this.now())
    if (session.isClosed) return refusal('session.not_open')
    if (!identity) return this.#badToken(session)
    const { userId, name, scope, expiresAt } = identity
    return { actor: { userId, name, anonymous: false, scope }, addressKey: undefined, expiresAt }
  }

  #badToken(session: Session): Answer {
    // After the answer: the client should read why.
    if (++session.tokensRefused >= tokensRefusedMax) this.#parts.clock.after(0, () => session.end('authInvalid'))
    return refusal('auth.invalid')
  }

  /** A device is one viewer, however often it comes back; its id is not shown to others. */
  #anonymous(session: Session, deviceId: string | undefined): Opening {
    const { address } = session.socket
    const keyed = (text: string) => createHmac('sha256', this.#parts.secret).update(text).digest('base64url')
    const id = `anon_${keyed(`device ${deviceId === undefined ? session.sid : `${address} ${deviceId}`}`).slice(0, 22)}`
    const actor = { userId: id, name: 'Guest', anonymous: true, scope: [] }
    return { actor, addressKey: keyed(`address ${address}`).slice(0, 16), expiresAt: 0 }
  }

  #opened(session: Session) {
    const { config } = this
    return {
      sid: session.sid,
      userId: session.userId,
      name: session.actor.name,
      anonymous: session.actor.anonymous,
      serverAt: this.now(),
      heartbeatMs: config.heartbeatMs,
      ...(session.expiresAt > 0 ? { expiresAt: session.expiresAt } : {}),
      limits: {
        inboxMax: config.inboxMax,
        inboundFrameBytesMax: config.inboundFrameBytesMax,
        roomsPerSessionMax: config.roomsPerSessionMax,
        danmakuCodePointsMax: config.danmakuCodePointsMax,
        danmakuPerClientMax: config.danmakuPerClientMax,
      },
    }
  }

  async #renew(session: Session, { token }: CommandInput<'session.renew'>): Promise<Answer> {
    const identity = await verifyToken(this.#parts.secret, token, this.now())
    if (!identity) return refusal('auth.invalid')
    if (identity.userId !== session.userId) return refusal('session.wrong_user')
    session.actor = { ...session.actor, name: identity.name, scope: identity.scope }
    this.#expireAt(session, identity.expiresAt)
    return { ok: true, d: { expiresAt: identity.expiresAt } }
  }

  // ------------------------------------------------------------------ users and clocks

  sessionsOf(userId: string): readonly Session[] {
    return this.#byUser.get(userId) ?? []
  }

  #forgetUser(session: Session): void {
    const left = this.#byUser.get(session.userId)?.filter((other) => other !== session) ?? []
    if (left.length > 0) this.#byUser.set(session.userId, left)
    else this.#byUser.delete(session.userId)
  }

  #expireAt(session: Session, expiresAt: number): void {
    this.#expiries.get(session.expiryS)?.delete(session)
    session.expiresAt = expiresAt
    if (session.isClosed) return
    this.#watch(session, expiresAt - expiryNoticeMs)
  }

  #watch(session: Session, at: number): void {
    const second = Math.max(this.#sweptS + 1, Math.ceil(at / 1000))
    session.expiryS = second
    const due = this.#expiries.get(second)
    if (due) due.add(session)
    else this.#expiries.set(second, new Set([session]))
  }

  #armSweep(): void {
    this.#sweep = this.#parts.clock.after(sweepMs, () => {
      const now = this.now()
      for (const [session, dueAt] of this.#unopened) {
        if (dueAt > now) break
        session.end('openTimeout')
      }
      while (this.#sweptS < Math.floor(now / 1000)) this.#expire(++this.#sweptS, now)
      this.#armSweep()
    })
  }

  #expire(second: number, now: number): void {
    const due = this.#expiries.get(second)
    this.#expiries.delete(second)
    for (const session of due ?? []) {
      const endAt = session.expiresAt + this.config.tokenGraceMs
      if (endAt <= now) session.end('tokenExpired')
      else {
        if (now < session.expiresAt) session.notify('session.expiring', { expiresAt: session.expiresAt })
        this.#watch(session, endAt)
      }
    }
  }

  #spreadMs(): number {
    return 500 + randomInt(this.#parts.random, reconnectSpreadMs)
  }

  /** Tell everybody to come back elsewhere, each at a time of their own, and wait until they left or `drainMs` is over. */
  async drain(): Promise<void> {
    this.#draining = true
    for (const session of this.#sessions) session.notify('server.draining', { reconnectAfterMs: this.#spreadMs() })
    if (this.#sessions.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#parts.clock.after(this.config.drainMs, resolve)
        this.#onEmpty = () => {
          timer.cancel()
          resolve()
        }
      })
    }
    for (const session of [...this.#sessions]) session.end('serverDraining')
    this.#sweep?.cancel()
    this.slow.stop()
    this.privateEvents.stop()
  }
}
