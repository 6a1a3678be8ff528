/**
 * The little of WebSocket that a load client needs: the handshake, client frames, and a walk over the headers of server frames.
 *
 * Server frames are not masked, so the walk reads 2 to 10 bytes a frame and steps over the rest. It is there to answer pings
 * (a client that never answers is a slow reader to the server), to notice a close, and to collect whole messages while a
 * connection is being opened.
 */
import { createHash, randomBytes } from 'node:crypto'

export const opcodes = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export function handshake(host: string, port: number, path: string, subprotocol: string): { request: string; accept: string } {
  const key = randomBytes(16).toString('base64')
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}:${port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
    `Sec-WebSocket-Protocol: ${subprotocol}`,
  ]
  return { request: `${lines.join('\r\n')}\r\n\r\n`, accept }
}

/** A frame of a client. The mask is zero: allowed, and the payload can be patched in place before each sending. */
export function clientFrame(opcode: number, payload: Uint8Array): Buffer {
  const extended = payload.length < 126 ? 0 : 2
  if (payload.length > 0xffff) throw new RangeError('a client frame of the bench has at most 65535 bytes')
  const frame = Buffer.alloc(2 + extended + 4 + payload.length)
  frame[0] = 0x80 | opcode
  frame[1] = 0x80 | (extended ? 126 : payload.length)
  if (extended) frame.writeUInt16BE(payload.length, 2)
  frame.set(payload, 6 + extended)
  return frame
}

const headerBytesMax = 10
const controlBytesMax = 125

export class FrameWalk {
  frames = 0
  /** Whole messages of at most `messageBytesMax` are collected for as long as this is set. */
  onMessage: ((opcode: number, payload: Buffer) => void) | undefined
  messageBytesMax = Number.POSITIVE_INFINITY
  readonly #onControl: (opcode: number, payload: Buffer) => void
  #left = 0
  #opcode = 0
  #header: Uint8Array | undefined
  #headerLength = 0
  #parts: Uint8Array[] | undefined

  constructor(onControl: (opcode: number, payload: Buffer) => void) {
    this.#onControl = onControl
  }

  read(bytes: Uint8Array, length: number): void {
    let at = 0
    while (at < length || (this.#left === 0 && this.#parts)) {
      if (this.#left > 0 || this.#parts) {
        at = this.#step(bytes, at, length)
        continue
      }
      const after = this.#enter(bytes, at, length)
      if (after < 0) return
      at = after
    }
  }

  /** Over the payload of the frame that is open, collecting it where somebody wants it. */
  #step(bytes: Uint8Array, at: number, length: number): number {
    const end = Math.min(length, at + this.#left)
    if (this.#parts && end > at) this.#parts.push(bytes.slice(at, end))
    this.#left -= end - at
    if (this.#left === 0 && this.#parts) {
      const payload = Buffer.concat(this.#parts)
      this.#parts = undefined
      if (this.#opcode >= 8) this.#onControl(this.#opcode, payload)
      else this.onMessage?.(this.#opcode, payload)
    }
    return end
  }

  /** Reads one frame header that may be spread over several reads. Returns the position behind it, -1 when more is needed. */
  #enter(bytes: Uint8Array, at: number, length: number): number {
    if (this.#headerLength > 0 || length - at < headerBytesMax) return this.#enterSlowly(bytes, at, length)
    const size = headerSize(bytes[at + 1] as number)
    this.#open(bytes, at)
    return at + size
  }

  #enterSlowly(bytes: Uint8Array, from: number, length: number): number {
    this.#header ??= new Uint8Array(headerBytesMax)
    let at = from
    while (this.#headerLength < 2 || this.#headerLength < headerSize(this.#header[1] as number)) {
      if (at >= length) return -1
      this.#header[this.#headerLength++] = bytes[at++] as number
    }
    this.#headerLength = 0
    this.#open(this.#header, 0)
    return at
  }

  #open(bytes: Uint8Array, at: number): void {
    this.#opcode = (bytes[at] as number) & 0x0f
    const short = (bytes[at + 1] as number) & 0x7f
    if (short < 126) this.#left = short
    else {
      const width = short === 126 ? 2 : 8
      this.#left = 0
      for (let i = 0; i < width; i++) this.#left = this.#left * 256 + (bytes[at + 2 + i] as number)
    }
    const control = this.#opcode >= 8
    if (control && this.#left > controlBytesMax) throw new Error(`a control frame of ${this.#left} bytes: the walk lost its way`)
    if (!control) this.frames++
    if (control || (this.onMessage && this.#left <= this.messageBytesMax)) this.#parts = []
  }
}

function headerSize(second: number): number {
  const short = second & 0x7f
  return short < 126 ? 2 : short === 126 ? 4 : 10
}
