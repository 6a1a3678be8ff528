/**
 * One socket from connect to close: frames in and out, answers matched to requests, and the heartbeat.
 *
 * A link never reconnects; `client.ts` makes a new one. Callbacks run in the order of the wire and within the frame that brought
 * them: the events behind a join's reply must find the room joined, which a promise would be too late for.
 */
import { closeCodes, type ErrorBody } from '../../schemas/errors.ts'
import {
  decodeServerFrame,
  type Encoding,
  type EventEnvelope,
  encodeRequest,
  isReply,
  type ReplyEnvelope,
  subprotocols,
} from '../../schemas/wire.ts'
import { ConnectionLostError, RefusedError } from './faults.ts'
import type { Host, Socket, Timer } from './host.ts'
import { normalEvent, normalReply } from './normal.ts'

export interface Outcome {
  ok(d: unknown): void
  fail(error: Error): void
}

export interface LinkRequest {
  t: string
  d: unknown
  room?: string | undefined
  ik?: string | undefined
  timeoutMs?: number | undefined
}

export interface LinkOptions {
  host: Host
  url: string
  encoding: Encoding
  connectTimeoutMs: number
}

export interface LinkEvents {
  opened(): void
  event(event: EventEnvelope): void
  rtt(rttMs: number): void
  fault(error: unknown): void
  ended(code: number, reason: string): void
}

interface Pending extends Outcome {
  command: string
  timer: Timer | undefined
}

/** What browsers report for a connection that broke without a closing handshake. */
const brokenCode = 1006
const pongTimeoutMsMax = 10_000

export class Link {
  readonly #options: LinkOptions
  readonly #events: LinkEvents
  readonly #socket: Socket
  readonly #pending = new Map<string, Pending>()
  #requests = 0
  #ended = false
  #connectTimer: Timer | undefined
  #heartbeat: Timer | undefined

  constructor(options: LinkOptions, events: LinkEvents) {
    this.#options = options
    this.#events = events
    this.#socket = options.host.openSocket(options.url, subprotocols[options.encoding])
    this.#socket.binaryType = 'arraybuffer'
    this.#connectTimer = options.host.after(options.connectTimeoutMs, () => this.drop('no connection in time'))
    this.#socket.onopen = () => {
      this.#connectTimer?.cancel()
      events.opened()
    }
    this.#socket.onmessage = ({ data }) => this.#read(data)
    this.#socket.onerror = () => {} // the close that follows carries the code
    this.#socket.onclose = ({ code, reason }) => this.#finish(code, reason)
  }

  get pendingCount(): number {
    return this.#pending.size
  }

  request(request: LinkRequest, outcome: Outcome): void {
    const id = String(++this.#requests)
    const { t, d, room, ik, timeoutMs } = request
    if (this.#ended) return outcome.fail(new ConnectionLostError(`${t}: not connected`, false))
    const timer =
      timeoutMs === undefined ? undefined : this.#options.host.after(timeoutMs, () => this.#settle(id)?.fail(late(t, timeoutMs)))
    this.#pending.set(id, { ...outcome, command: t, timer })
    this.#socket.send(encodeRequest(this.#options.encoding, { id, t, room, ik, d }))
  }

  /** Ping every `everyMs`; an answer that stays away means that the connection is dead although nobody said so. */
  beat(everyMs: number): void {
    this.#heartbeat?.cancel()
    this.#heartbeat = this.#options.host.after(everyMs, () => {
      this.#ping(Math.min(everyMs, pongTimeoutMsMax))
      this.beat(everyMs)
    })
  }

  #ping(timeoutMs: number): void {
    const { host } = this.#options
    const at = host.now()
    this.request(
      { t: 'session.ping', d: { at }, timeoutMs },
      {
        ok: () => this.#events.rtt(host.now() - at),
        fail: (error) => {
          if (error instanceof ConnectionLostError) this.drop('the heartbeat was not answered')
        },
      },
    )
  }

  /** Give up on a connection that does not answer. */
  drop(reason: string): void {
    if (this.#ended) return
    if (this.#socket.terminate) this.#socket.terminate()
    else this.#socket.close()
    this.#finish(brokenCode, reason)
  }

  close(reason: string): void {
    if (this.#ended) return
    this.#socket.close(1000, reason)
    this.#finish(1000, reason)
  }

  #read(data: unknown): void {
    if (this.#ended) return
    try {
      const frame = typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer)
      for (const message of decodeServerFrame(frame)) {
        if (this.#ended) return
        if (isReply(message)) this.#answer(message)
        else this.#events.event({ ...message, d: normalEvent(message.t, message.d) })
      }
    } catch (error) {
      this.#events.fault(error)
      this.drop('a frame could not be read')
    }
  }

  #answer(reply: ReplyEnvelope): void {
    const pending = this.#settle(reply.re)
    if (!pending) return // it came after its time was over
    if (reply.ok) pending.ok(normalReply(pending.command, reply.d))
    else pending.fail(new RefusedError(reply.err ?? unknownRefusal))
  }

  #settle(id: string): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    pending?.timer?.cancel()
    return pending
  }

  #finish(code: number, reason: string): void {
    if (this.#ended) return
    this.#ended = true
    this.#connectTimer?.cancel()
    this.#heartbeat?.cancel()
    const why = reason || reasonOf(code)
    const lost = [...this.#pending.keys()]
    this.#events.ended(code, why)
    for (const id of lost) {
      const pending = this.#settle(id)
      pending?.fail(new ConnectionLostError(`${pending.command}: ${why}`, true))
    }
  }
}

const unknownRefusal: ErrorBody = { code: 'server.internal', msg: 'A refusal without a reason.' }
const late = (t: string, timeoutMs: number) => new ConnectionLostError(`${t}: no answer within ${timeoutMs} ms`, true)

function reasonOf(code: number): string {
  for (const known of Object.values(closeCodes)) if (known.code === code) return known.doc
  return code === brokenCode ? 'The connection broke.' : `The connection was closed (${code}).`
}
