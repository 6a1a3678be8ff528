/**
 * The simulated network of one edge: sockets with a buffer each, topics, and readers of every temper.
 *
 * A frame that the edge hands over lies in the socket's buffer until the reader takes it. A `fast` reader takes all within the turn, a
 * `slow` one `slowBytesPerS`, a `stuck` one nothing. A pong comes back only when everything before its ping was read. `cut` is a line
 * that breaks: what lies in the buffer is gone, and the edge learns of it later. Nothing is lost silently: every frame that was handed
 * over is either read or discarded, and the reader is told which.
 *
 *     const network = new Network(clock)
 *     const socket = network.connect({ encoding: 'json', address: '10.0.0.1' }, reader)
 *     socket.accept(edge.onSocket(socket))
 *     socket.receive(bytes, false)                       // from the client to the edge
 */
import type { Encoding } from '../../schemas/wire.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { Fanout, Socket, SocketHandler } from '../edge/socket.ts'

export type Pace = 'fast' | 'slow' | 'stuck'

export interface SocketReader {
  onRead(frame: Uint8Array): void
  /** Handed over by the edge, and lost with the connection. */
  onDiscarded(frame: Uint8Array): void
  onClosed(code: number, reason: string): void
}

/** On purpose wrong, for the test that the simulation notices: how often a published frame reaches a socket. */
export type PublishFault = (topic: string, address: string) => number

const ping = Symbol('ping')
const slowEveryMs = 50
const slowBytesPerS = 4_000
const cutCode = 1006

export class Network implements Fanout {
  readonly #clock: Clock
  readonly #topics = new Map<string, Set<SimSocket>>()
  readonly #fault: PublishFault | undefined
  /** Sends after the close was reported to the edge: `socket.ts` forbids them. */
  lateSends = 0

  constructor(clock: Clock, fault?: PublishFault) {
    this.#clock = clock
    this.#fault = fault
  }

  connect(from: { encoding: Encoding; address: string }, reader: SocketReader): SimSocket {
    return new SimSocket(this, this.#clock, from, reader)
  }

  publish(topic: string, frame: Uint8Array, encoding: Encoding): void {
    for (const socket of this.#topics.get(topic) ?? []) {
      if (socket.encoding !== encoding) throw new Error(`${topic}: a ${encoding} frame for a ${socket.encoding} socket`)
      const copies = this.#fault?.(topic, socket.address) ?? 1
      for (let i = 0; i < copies; i++) socket.send(frame)
    }
  }

  get subscriptions(): number {
    let count = 0
    for (const sockets of this.#topics.values()) count += sockets.size
    return count
  }

  add(topic: string, socket: SimSocket): void {
    const sockets = this.#topics.get(topic)
    if (sockets) sockets.add(socket)
    else this.#topics.set(topic, new Set([socket]))
  }

  remove(topic: string, socket: SimSocket): void {
    const sockets = this.#topics.get(topic)
    if (sockets?.delete(socket) && sockets.size === 0) this.#topics.delete(topic)
  }
}

export class SimSocket implements Socket {
  readonly encoding: Encoding
  readonly address: string
  readonly #network: Network
  readonly #clock: Clock
  readonly #reader: SocketReader
  readonly #topics = new Set<string>()
  #handler: SocketHandler | undefined
  #buffer: (Uint8Array | typeof ping)[] = []
  #bytes = 0
  #pace: Pace = 'fast'
  #reading = false
  #timer: Timer | undefined
  /** The line works. */
  isUp = true
  /** The edge was told of the close. */
  #reported = false

  constructor(network: Network, clock: Clock, from: { encoding: Encoding; address: string }, reader: SocketReader) {
    this.#network = network
    this.#clock = clock
    this.#reader = reader
    this.encoding = from.encoding
    this.address = from.address
  }

  // ------------------------------------------------------------------ the client's side

  accept(handler: SocketHandler): void {
    this.#handler = handler
  }

  receive(frame: Uint8Array, isBinary: boolean): void {
    if (this.isUp) this.#handler?.onFrame(frame, isBinary)
  }

  set pace(pace: Pace) {
    this.#pace = pace
    this.#schedule()
  }

  get pace(): Pace {
    return this.#pace
  }

  /** The line breaks; the edge learns of it after `noticeMs`. */
  cut(noticeMs: number): void {
    if (!this.isUp) return
    this.#down(cutCode, 'cut')
    if (noticeMs > 0) this.#clock.after(noticeMs, () => this.#report())
    else queueMicrotask(() => this.#report())
  }

  // ------------------------------------------------------------------ the edge's side

  send(frame: Uint8Array): void {
    if (this.#reported) this.#network.lateSends++
    if (!this.isUp) return this.#reader.onDiscarded(frame)
    this.#buffer.push(frame)
    this.#bytes += frame.length
    this.#schedule()
  }

  ping(): void {
    if (!this.isUp) return
    this.#buffer.push(ping)
    this.#schedule()
  }

  /** What was handed over before still reaches a reader that reads. */
  close(code: number, reason: string): void {
    if (!this.isUp) return
    if (this.#pace === 'fast') this.#read(Number.POSITIVE_INFINITY)
    this.#down(code, reason)
    queueMicrotask(() => this.#report())
  }

  subscribe(topic: string): void {
    if (this.#reported) return
    this.#topics.add(topic)
    this.#network.add(topic, this)
  }

  unsubscribe(topic: string): void {
    this.#topics.delete(topic)
    this.#network.remove(topic, this)
  }

  bufferedBytes(): number {
    return this.#bytes
  }

  // ------------------------------------------------------------------ reading

  #schedule(): void {
    if (!this.isUp || this.#reading || this.#pace === 'stuck' || this.#buffer.length === 0) return
    this.#reading = true
    if (this.#pace === 'fast') queueMicrotask(() => this.#readOn(Number.POSITIVE_INFINITY))
    else this.#timer = this.#clock.after(slowEveryMs, () => this.#readOn((slowBytesPerS * slowEveryMs) / 1_000))
  }

  #readOn(bytesMax: number): void {
    this.#reading = false
    this.#read(this.#pace === 'fast' ? Number.POSITIVE_INFINITY : bytesMax)
    this.#schedule()
  }

  #read(bytesMax: number): void {
    if (this.#pace === 'stuck') return
    for (let left = bytesMax; this.isUp && left > 0; ) {
      const next = this.#buffer.shift()
      if (next === undefined) return
      if (next === ping) this.#handler?.onPong()
      else {
        left -= next.length
        this.#bytes -= next.length
        this.#reader.onRead(next)
      }
    }
  }

  #down(code: number, reason: string): void {
    this.isUp = false
    this.#timer?.cancel()
    for (const frame of this.#buffer) if (frame !== ping) this.#reader.onDiscarded(frame)
    this.#buffer = []
    this.#bytes = 0
    this.#reader.onClosed(code, reason)
  }

  #report(): void {
    if (this.#reported) return
    this.#reported = true
    this.#handler?.onClose()
    for (const topic of [...this.#topics]) this.unsubscribe(topic)
  }
}
