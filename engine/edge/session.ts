/**
 * One connection: frames in, answers and events out.
 *
 * Order: ordered commands run one at a time in the order of arrival, the rest wait in the inbox (bounded); ping, reads and likes never
 * wait, and neither do commands that plugins own: a slow plugin holds up nothing but itself. Until `session.open` has succeeded
 * everything but a ping waits behind it, so that a client may write open and join at once.
 * What a command does is the business of `edge.ts` (about the session), of the room's home (about a room), or of a plugin.
 */
import { closeCodes, type ErrorBody } from '../../schemas/errors.ts'
import { type CommandName, commands, idPattern, type SessionEventData, type SessionEventName } from '../../schemas/messages.ts'
import { WireError } from '../../schemas/protobuf.ts'
import {
  decodeRequestJson,
  decodeRequestsProto,
  type Encoding,
  encodeEventJson,
  encodeEventProto,
  encodeReplyBody,
  encodeReplyJson,
  encodeReplyProto,
  type RequestEnvelope,
} from '../../schemas/wire.ts'
import { TokenBucket } from '../base/bucket.ts'
import type { Config } from '../config.ts'
import { type Actor, type Answer, refusal } from '../room/call.ts'
import type { PluginCommand, PluginCommands } from '../room/commands.ts'
import type { CommandHead } from '../room/homes.ts'
import type { Member } from './edge-room.ts'
import type { Socket, SocketHandler } from './socket.ts'
import { check, checkOwned, isCommand, nearestCommand } from './validate.ts'

export interface SessionHost {
  readonly config: Config
  readonly edgeId: string
  readonly plugins: PluginCommands
  now(): number
  /** Run a checked command and answer it exactly once. */
  run(session: Session, request: RequestEnvelope, answer: (answer: Answer) => void): void
  onPong(session: Session): void
  onError(error: unknown): void
  onClosed(session: Session): void
  readonly counts: SessionCounts
}

export interface SessionCounts {
  frames: number
  malformed: number
  limited: number
  refused: number
}

const roomId = new RegExp(idPattern)
const refusalWindowMs = 10_000
/** Paid commands and commands of plugins under way for one session. */
export const besideInFlightMax = 8
const nobody: Actor = { userId: '', name: '', anonymous: true, scope: [] }

export class Session implements SocketHandler {
  readonly socket: Socket
  readonly sid: string
  readonly members: Member[] = []
  actor: Actor = nobody
  /** For anonymous viewers: what stands for their address in presence. */
  addressKey: string | undefined
  isOpen = false
  isClosed = false
  expiresAt = 0
  tokensRefused = 0
  /** The second in which the edge looks at the token again. */
  expiryS = 0
  slowSince = 0
  /** Unsent bytes when somebody last looked: what a close leaves unconfirmed. */
  bufferedSeen = 0
  probeSentAt = 0
  probedAt: number

  readonly #host: SessionHost
  readonly #bucket = new TokenBucket()
  #inbox: RequestEnvelope[] | undefined
  #busy = false
  /** Joins asked for and not answered: they count against the bound too. */
  joining = 0
  #besideInFlight = 0
  #malformed = 0
  #refusals = 0
  #refusalsSince = 0

  constructor(socket: Socket, sid: string, host: SessionHost) {
    this.socket = socket
    this.sid = sid
    this.#host = host
    this.probedAt = host.now()
  }

  get userId(): string {
    return this.actor.userId
  }

  get encoding(): Encoding {
    return this.socket.encoding
  }

  get isSlow(): boolean {
    return this.slowSince > 0
  }

  /** This session's command as it goes to a home. */
  command(t: string, d: unknown): CommandHead {
    const { sid, encoding, addressKey, actor } = this
    return { t, d, actor, session: { sid, edge: this.#host.edgeId, encoding, addressKey } }
  }

  /** Likewise, as it was asked for. */
  asked({ t, d, room, ik }: RequestEnvelope): CommandHead {
    const head = this.command(t, d)
    if (ik !== undefined) head.ik = ik
    const isPaid = isCommand(t) && commands[t].run === 'paid'
    if (head.session && isPaid && !this.#isIn(room)) head.session.isOutside = true
    return head
  }

  // ------------------------------------------------------------------ in

  onFrame(frame: Uint8Array, isBinary: boolean): void {
    if (this.isClosed) return
    const { config, counts } = this.#host
    counts.frames++
    if (frame.length > config.inboundFrameBytesMax) {
      this.#refuse('', refusal('request.too_large', { d: { max: config.inboundFrameBytesMax } }).err)
      return this.end('frameTooLarge')
    }
    const requests = this.#decode(frame, isBinary)
    if (!requests) return
    // Per request, not per frame: a protobuf frame may hold many.
    for (const request of requests) {
      const waitMs = this.#bucket.take(this.#host.now(), { perS: config.commandsPerSMax, burst: config.commandsPerSMax * 2 })
      if (waitMs > 0) this.#limited(request, waitMs)
      else this.#accept(request)
      if (this.isClosed) return
    }
  }

  onPong(): void {
    this.#host.onPong(this)
  }

  onClose(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#inbox = undefined
    this.#host.onClosed(this)
  }

  #decode(frame: Uint8Array, isBinary: boolean): RequestEnvelope[] | undefined {
    const { config, counts } = this.#host
    try {
      if (isBinary !== (this.encoding === 'proto')) throw new WireError(`this connection speaks ${this.encoding}`)
      return isBinary
        ? decodeRequestsProto(frame, config.inboxMax, config.jsonDepthMax)
        : [decodeRequestJson(frame, config.jsonDepthMax)]
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      counts.malformed++
      this.#refuse(error.re, refusal('request.malformed', { msg: error.message }).err)
      if (++this.#malformed >= config.malformedBeforeCloseMax) this.end('protocolError')
      return undefined
    }
  }

  #limited(request: RequestEnvelope, retryAfterMs: number): void {
    const { config, counts } = this.#host
    const now = this.#host.now()
    counts.limited++
    if (now - this.#refusalsSince > refusalWindowMs) {
      this.#refusalsSince = now
      this.#refusals = 0
    }
    this.#refuse(request.id, refusal('rate.limited', { retryAfterMs }).err)
    if (++this.#refusals >= config.refusalsBeforeCloseMax) this.end('flooding')
  }

  #accept(request: RequestEnvelope): void {
    const { t, id } = request
    if (!isCommand(t) && !this.#host.plugins.find(t)) return this.#refuse(id, this.#unknown(t).err)
    const isOrdered = isCommand(t) && commands[t].run === 'ordered'
    const waits = isOrdered || (!this.isOpen && t !== 'session.ping')
    if (!waits) return this.#run(request)
    if (!this.#busy) return this.#runOrdered(request)
    this.#inbox ??= []
    if (this.#inbox.length >= this.#host.config.inboxMax)
      this.#refuse(id, refusal('session.inbox_full', { retryAfterMs: 1_000 }).err)
    else this.#inbox.push(request)
  }

  #unknown(t: string) {
    return refusal('request.unknown_command', { d: { hint: nearestCommand(t, this.#host.plugins.names()) } })
  }

  #runOrdered(request: RequestEnvelope): void {
    this.#busy = true
    this.#run(request, () => {
      this.#busy = false
      const next = this.#inbox?.shift()
      if (next) this.#runOrdered(next)
      else this.#inbox = undefined
    })
  }

  #run(request: RequestEnvelope, onDone?: () => void): void {
    const { t } = request
    if (isCommand(t)) return this.#runCore({ ...request, t }, onDone)
    this.#runOwned(request)
    onDone?.()
  }

  #runCore(request: RequestEnvelope & { t: CommandName }, onDone?: () => void): void {
    const finish = (answer: Answer) => {
      this.#answer(request, answer)
      onDone?.()
    }
    const isPaid = commands[request.t].run === 'paid'
    // Asked again it has an answer, wherever its sender is by now: a closed room lets nobody in.
    const refused = this.#check(request, commands[request.t], { mayBeOutside: isPaid })
    if (refused) return finish(refused)
    const checked = check(request.t, request.d)
    if (!checked.ok) return finish(refusal('request.invalid', checked.detail))
    const run = { ...request, d: checked.d }
    if (isPaid) this.#runBeside(run, finish)
    else this.#host.run(this, run, finish)
  }

  /** Beside everything else, up to a bound: what may take long must not make this connection hoard calls. */
  #runBeside(request: RequestEnvelope, answer: (answer: Answer) => void): void {
    if (this.#besideInFlight >= besideInFlightMax)
      return answer(refusal('session.inbox_full', { retryAfterMs: 1_000, d: { max: besideInFlightMax } }))
    this.#besideInFlight++
    this.#host.run(this, request, (given) => {
      this.#besideInFlight--
      answer(given)
    })
  }

  /** It may have waited behind `session.open`, and its plugin may have gone meanwhile. */
  #runOwned(request: RequestEnvelope): void {
    const rule = this.#host.plugins.find(request.t)
    if (!rule) return this.#answer(request, this.#unknown(request.t))
    const refused = this.#check(request, rule)
    if (refused) return this.#answer(request, refused)
    const checked = checkOwned(request.d)
    if (!checked.ok) return this.#answer(request, refusal('request.invalid', checked.detail))
    this.#runBeside({ ...request, room: rule.room ? request.room : undefined }, (answer) => this.#answer(request, answer))
  }

  #check({ t, room }: RequestEnvelope, rule: PluginCommand, { mayBeOutside = false } = {}): Answer | undefined {
    if (!this.isOpen && t !== 'session.open' && t !== 'session.ping') return refusal('session.not_open')
    if (rule.who === 'user' && this.actor.anonymous) return refusal('auth.required')
    if (rule.room && (room === undefined || !roomId.test(room)))
      return refusal('request.invalid', { msg: 'room: an id of 1 to 64 characters A-Z a-z 0-9 _ -', d: { field: 'room' } })
    if (rule.joined && !mayBeOutside && !this.#isIn(room)) return refusal('room.not_joined')
    return undefined
  }

  #isIn(roomId: string | undefined): boolean {
    return this.members.some((member) => member.room.id === roomId)
  }

  // ------------------------------------------------------------------ out

  /** An answer that cannot be encoded is our bug: it costs this command, never the process. */
  #answer(request: RequestEnvelope, answer: Answer): void {
    try {
      this.#write(request, answer)
    } catch (error) {
      this.#host.onError(error)
      this.#refuse(request.id, refusal('server.internal').err, request.t)
    }
  }

  #write({ id, t }: RequestEnvelope, answer: Answer): void {
    if (this.isClosed) return
    if (!answer.ok) return this.#refuse(id, answer.err, t)
    if (!answer.joined)
      return this.#reply({ re: id, ok: true, d: answer.d ?? {}, ...(answer.replayed ? { replayed: true } : {}) }, t)
    const [body, ...missed] = answer.joined.parts
    this.socket.send(encodeReplyBody(this.encoding, id, t, body as Uint8Array))
    for (const frame of missed) this.socket.send(frame)
  }

  #refuse(re: string, err: ErrorBody, t = ''): void {
    if (this.isClosed) return
    this.#host.counts.refused++
    this.#reply({ re, ok: false, err }, t)
  }

  #reply(reply: Parameters<typeof encodeReplyProto>[0], t: string): void {
    this.socket.send(this.encoding === 'proto' ? encodeReplyProto(reply, t) : encodeReplyJson(reply))
  }

  /** A fact about this connection, outside the order of any room. */
  notify<T extends SessionEventName>(t: T, d: SessionEventData<T>, room?: string): void {
    const event = { t, ...(room === undefined ? {} : { room }), at: this.#host.now(), d }
    this.socket.send(this.encoding === 'proto' ? encodeEventProto(event) : encodeEventJson(event))
  }

  end(reason: keyof typeof closeCodes): void {
    if (this.isClosed) return
    this.bufferedSeen = this.socket.bufferedBytes()
    this.socket.close(closeCodes[reason].code, reason)
    // A socket that is full never reports its close by itself in time: from here on nothing is sent to it.
    this.onClose()
  }
}
