/**
 * One connection of the swarm: a raw TCP socket that opens a session, joins the room, and from then on only counts.
 *
 *   connect -> 101 -> session.open + room.join (written at once) -> both answered -> counting
 *
 * A viewer looks for markers in what the socket read. A talker needs the answers to its messages too, so it looks into
 * small frames as well.
 */
import { connect, type Socket } from 'node:net'
import { decodeServerFrame, type Encoding, encodeRequest, isReply, subprotocols } from '../../schemas/wire.ts'
import { clientFrame, FrameWalk, handshake, opcodes } from './frames.ts'
import { type Marker, MarkerCount } from './marker.ts'

export interface MemberOptions {
  port: number
  localAddress: string | undefined
  room: string
  encoding: Encoding
  deviceId: string
  token: string | undefined
  talker: boolean
  marker: Marker
  onStamp: ((stampUs: number) => void) | undefined
}

/** All sockets of a thread read into one piece of memory: the callback is done with it before it returns. */
const readBuffer = Buffer.alloc(262_144)
const okMark = Buffer.from('"ok":true')
const refusedMark = Buffer.from('"ok":false')
/** An answer comes in a frame of its own; larger frames are danmaku, and looking into them would make the client the bottleneck. */
const answerBytesMax = 512
const openTimeoutMs = 30_000

export class Member {
  readonly count: MarkerCount
  readonly walk: FrameWalk
  readonly options: MemberOptions
  bytes = 0
  accepted = 0
  closedWith: number | undefined
  pings = 0
  /** Refusals by their code. */
  readonly refused = new Map<string, number>()
  #socket!: Socket
  #counting = false
  #ended = false

  constructor(options: MemberOptions) {
    this.options = options
    this.count = new MarkerCount(options.marker, options.onStamp)
    this.walk = new FrameWalk((opcode, payload) => this.#control(opcode, payload))
  }

  /** Resolves when the room is joined. */
  open(): Promise<void> {
    const { port, localAddress, encoding } = this.options
    const host = '127.0.0.1'
    const { request, accept } = handshake(host, port, '/live', subprotocols[encoding])
    return new Promise((resolve, reject) => {
      let head = Buffer.alloc(0)
      let upgraded = false
      const timer = setTimeout(() => fail(new Error(`not in the room after ${openTimeoutMs} ms`)), openTimeoutMs)
      const fail = (error: Error) => {
        clearTimeout(timer)
        this.#ended = true
        this.#socket.destroy()
        reject(error)
      }
      const upgrade = (length: number) => {
        head = Buffer.concat([head, readBuffer.subarray(0, length)])
        const end = head.indexOf('\r\n\r\n')
        if (end < 0) return
        const answer = head.subarray(0, end).toString('latin1')
        if (!answer.startsWith('HTTP/1.1 101') || !answer.includes(accept)) {
          return fail(new Error(`no upgrade: ${answer.split('\r\n')[0]}`))
        }
        upgraded = true
        const rest = head.subarray(end + 4)
        this.#enterRoom(() => {
          clearTimeout(timer)
          resolve()
        }, fail)
        if (rest.length > 0) this.walk.read(rest, rest.length)
      }
      const onRead = (length: number): boolean => {
        if (!upgraded) upgrade(length)
        else this.#read(readBuffer, length)
        return true
      }
      const onread = { buffer: readBuffer, callback: onRead }
      this.#socket = connect({ port, host, noDelay: true, onread, ...(localAddress ? { localAddress } : {}) })
      this.#socket.once('connect', () => this.#socket.write(request))
      this.#socket.on('error', (error) => (this.#counting || this.#ended ? undefined : fail(error)))
      this.#socket.once('close', () => {
        if (!this.#ended) this.closedWith ??= 1006
        if (!this.#counting && !this.#ended) fail(new Error(`closed with ${this.closedWith} before the room was joined`))
      })
    })
  }

  /** Writes one frame; the buffer belongs to the socket from here on. */
  write(frame: Buffer): void {
    this.#socket.write(frame)
  }

  restart(marker: Marker): void {
    this.count.restart(marker)
    this.walk.frames = 0
    this.bytes = 0
    this.accepted = 0
    this.refused.clear()
  }

  end(): void {
    this.#ended = true
    this.#socket.destroy()
  }

  #enterRoom(done: () => void, fail: (error: Error) => void): void {
    const { token, deviceId, room, talker } = this.options
    this.walk.onMessage = (opcode, payload) => {
      const frame = opcode === opcodes.text ? payload.toString() : payload
      for (const message of decodeServerFrame(frame)) {
        if (!isReply(message)) continue
        if (!message.ok) return fail(new Error(`${message.re}: ${message.err.code} ${message.err.msg}`))
        if (message.re !== 'join') continue
        this.walk.onMessage = talker ? (_, whole) => this.#replies(whole) : undefined
        this.walk.messageBytesMax = answerBytesMax
        this.#counting = true
        done()
      }
    }
    this.#request('open', 'session.open', undefined, { platform: 'bench', deviceId, ...(token ? { token } : {}) })
    this.#request('join', 'room.join', room, {})
  }

  #request(id: string, t: string, room: string | undefined, d: object): void {
    const payload = encodeRequest(this.options.encoding, { id, t, room, d })
    const text = typeof payload === 'string'
    this.write(clientFrame(text ? opcodes.text : opcodes.binary, text ? Buffer.from(payload) : payload))
  }

  #read(bytes: Uint8Array, length: number): void {
    this.bytes += length
    this.walk.read(bytes, length)
    if (this.#counting) this.count.read(bytes, length)
  }

  /** Talkers speak JSON, whole messages only: nothing is cut in two here. */
  #replies(payload: Buffer): void {
    for (let at = payload.indexOf(okMark); at >= 0; at = payload.indexOf(okMark, at + okMark.length)) this.accepted++
    for (let at = payload.indexOf(refusedMark); at >= 0; at = payload.indexOf(refusedMark, at + refusedMark.length)) {
      const code = /"code":"([^"]*)"/.exec(payload.toString('utf8', at, at + 100))?.[1] ?? 'unknown'
      this.refused.set(code, (this.refused.get(code) ?? 0) + 1)
    }
  }

  #control(opcode: number, payload: Uint8Array): void {
    if (opcode === opcodes.ping) {
      this.pings++
      this.write(clientFrame(opcodes.pong, payload))
    }
    if (opcode === opcodes.close)
      this.closedWith = payload.length >= 2 ? (payload[0] as number) * 256 + (payload[1] as number) : 1005
  }
}
