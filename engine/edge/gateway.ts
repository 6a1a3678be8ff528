/**
 * The public port: the only file that sees uWebSockets.js.
 *
 * `/live` upgrades to a WebSocket with one of the two subprotocols and hands every socket to `onSocket`. `route` offers HTTP beside it.
 * Traps that are dealt with here: a message buffer is gone after the callback (frames are copied), a socket throws after its close
 * (every call is guarded by `#open`), `publish` past `maxBackpressure` drops silently (the bound is far above ours, see `slow.ts`),
 * an HTTP response must not be touched after `onAborted`, and the package falls back to an imitation in JavaScript without a word.
 */
import uWS from 'uWebSockets.js'
import { type Encoding, subprotocols } from '../../schemas/wire.ts'
import type { Addresses } from './addresses.ts'
import type { Fanout, Socket, SocketHandler } from './socket.ts'

export interface HttpRequest {
  method: string
  path: string
  query: string
  header(name: string): string
  address: string
  body: Uint8Array
}
export interface HttpResponse {
  status: number
  headers?: Record<string, string>
  body?: string | Uint8Array
}
export type HttpHandler = (request: HttpRequest) => HttpResponse | Promise<HttpResponse>

export interface GatewayOptions {
  host: string
  port: number
  inboundFrameBytesMax: number
  heartbeatMs: number
  bufferedBytesHardMax: number
  trustedProxyHops: number
  addresses: Addresses
  /** A reason to turn a new socket away, as HTTP status and text. */
  admit(): { status: string; body: string } | undefined
  onSocket(socket: Socket): SocketHandler
  onError(error: unknown): void
}

export class NotNativeError extends Error {
  readonly code = 'gateway.not_native'
}

interface UserData {
  encoding: Encoding
  address: string
  socket: UwsSocket | undefined
  handler: SocketHandler | undefined
}

/** Frames over `inboundFrameBytesMax` get a clear code up to this; beyond it uWebSockets.js closes by itself. */
const refusedFrameBytesMax = 262_144
/** Between two looks at a socket (see `slow.ts`) no more than this may pile up, or uWebSockets.js would drop silently. */
const backpressureFactor = 16
const contentLengthDigitsMax = 12
const exclusivePort = 1
const addressLengthMax = 64

/** Throws when the native build did not load: an imitation would hold a fraction of the load and hide it. */
export function assertNative(): void {
  if (Function.prototype.toString.call(uWS.App).includes('[native code]')) return
  throw new NotNativeError(
    'uWebSockets.js did not load its native build and would run on a slow imitation. Use Node 20 on Linux with glibc 2.34 or newer ' +
      '(x64 or arm64), unset UWS_USE_FALLBACK, or install the official build as the README says; `livehouse doctor` shows more.',
  )
}

export class Gateway implements Fanout {
  readonly #options: GatewayOptions
  readonly #app: uWS.TemplatedApp
  #listening: uWS.us_listen_socket | undefined
  port = 0

  constructor(options: GatewayOptions) {
    assertNative()
    this.#options = options
    this.#app = uWS.App()
    this.#app.ws<UserData>('/live', {
      maxPayloadLength: Math.max(refusedFrameBytesMax, options.inboundFrameBytesMax),
      maxBackpressure: options.bufferedBytesHardMax * backpressureFactor,
      // Pings from the server keep proxies awake and find dead peers; a silent socket ends after three heartbeats.
      idleTimeout: Math.min(960, Math.max(8, Math.ceil((options.heartbeatMs * 3) / 1000))),
      sendPingsAutomatically: true,
      upgrade: (res, req, context) => this.#upgrade(res, req, context),
      open: (ws) => this.#opened(ws),
      message: (ws, message, isBinary) => {
        const { handler } = ws.getUserData()
        if (handler) this.#guard(() => handler.onFrame(new Uint8Array(message), isBinary))
      },
      pong: (ws, message) => {
        const { handler } = ws.getUserData()
        // Only ours carry a payload; those that uWebSockets.js sends by itself are empty.
        if (handler && message.byteLength > 0) this.#guard(() => handler.onPong())
      },
      close: (ws) => this.#closed(ws),
    })
  }

  /** `path` may end in `/*`. Register before `listen`. */
  route(
    method: 'get' | 'head' | 'post' | 'del' | 'patch' | 'options' | 'any',
    path: string,
    options: { bodyBytesMax: number },
    handler: HttpHandler,
  ): void {
    this.#app[method](path, (res, req) => this.#serve(res, req, options.bodyBytesMax, handler))
  }

  listen(): Promise<void> {
    const { host, port } = this.#options
    this.#app.any('/*', (res) => {
      res.cork(() => res.writeStatus('404 Not Found').writeHeader('content-type', 'text/plain').end('Not found\n'))
    })
    return new Promise((resolve, reject) => {
      const onListen = (socket: uWS.us_listen_socket | false) => {
        if (!socket) return reject(new ListenError(`Cannot listen on ${host}:${port}: is the port taken?`))
        this.#listening = socket
        this.port = uWS.us_socket_local_port(socket)
        resolve()
      }
      // LIBUS_LISTEN_EXCLUSIVE_PORT: without it a second engine would share the port and take half of the connections.
      // The types of 20.30 know options only without a host; the function takes both.
      const listen = this.#app.listen.bind(this.#app) as (...args: unknown[]) => void
      listen(host, port, exclusivePort, onListen)
    })
  }

  publish(topic: string, frame: Uint8Array, encoding: Encoding): void {
    this.#app.publish(topic, frame, encoding === 'proto')
  }

  /** No new connections; open ones go on. */
  stopListening(): void {
    if (this.#listening) uWS.us_listen_socket_close(this.#listening)
    this.#listening = undefined
  }

  #upgrade(res: uWS.HttpResponse, req: uWS.HttpRequest, context: uWS.us_socket_context_t): void {
    const address = this.#address(res, req)
    const encoding = chooseEncoding(req.getHeader('sec-websocket-protocol'))
    const refused = encoding ? (this.#options.admit() ?? this.#options.addresses.connect(address)) : unknownProtocol
    if (refused || !encoding) {
      const { status, body } = refused ?? unknownProtocol
      return void res.cork(() => res.writeStatus(status).writeHeader('content-type', 'text/plain').end(`${body}\n`))
    }
    const userData: UserData = { encoding, address, socket: undefined, handler: undefined }
    const offered = req.getHeader('sec-websocket-protocol')
    res.upgrade(
      userData,
      req.getHeader('sec-websocket-key'),
      // A client that names no subprotocol gets JSON, and must get no protocol header back.
      offered === '' ? '' : subprotocols[encoding],
      req.getHeader('sec-websocket-extensions'),
      context,
    )
  }

  #opened(ws: uWS.WebSocket<UserData>): void {
    const data = ws.getUserData()
    data.socket = new UwsSocket(ws, data)
    const socket = data.socket
    this.#guard(() => {
      data.handler = this.#options.onSocket(socket)
    })
  }

  #closed(ws: uWS.WebSocket<UserData>): void {
    const { socket, handler, address } = ws.getUserData()
    socket?.closed()
    this.#options.addresses.disconnect(address)
    if (handler) this.#guard(() => handler.onClose())
  }

  #serve(res: uWS.HttpResponse, req: uWS.HttpRequest, bodyBytesMax: number, handler: HttpHandler): void {
    const headers = new Map<string, string>()
    req.forEach((name, value) => {
      headers.set(name, value)
    })
    const request: HttpRequest = {
      method: req.getMethod(),
      path: req.getUrl(),
      query: req.getQuery() ?? '',
      header: (name) => headers.get(name) ?? '',
      address: this.#address(res, req),
      body: new Uint8Array(),
    }
    let aborted = false
    res.onAborted(() => {
      aborted = true
    })
    const answer = (response: HttpResponse) => {
      if (!aborted) res.cork(() => write(res, response, request.method === 'head'))
    }
    const run = async () => {
      try {
        answer(await handler(request))
      } catch (error) {
        this.#options.onError(error)
        answer({ status: 500, body: 'Internal error\n' })
      }
    }
    if (request.method === 'get' || request.method === 'head') return void run()
    this.#readBody(res, bodyBytesMax, headers.get('content-length') ?? '', (body) => {
      if (!body) return answer({ status: 413, body: `At most ${bodyBytesMax} bytes\n` })
      request.body = body
      void run()
    })
  }

  /** `undefined`: too large. */
  #readBody(
    res: uWS.HttpResponse,
    bytesMax: number,
    contentLength: string,
    onBody: (body: Uint8Array | undefined) => void,
  ): void {
    const chunks: Buffer[] = []
    let size = 0
    let done = false
    const finish = (body: Uint8Array | undefined) => {
      if (done) return
      done = true
      onBody(body)
    }
    // A response that was answered must not be touched again, not even to listen to it.
    if (contentLength.length > contentLengthDigitsMax || Number(contentLength) > bytesMax) return finish(undefined)
    res.onData((chunk, isLast) => {
      if (done) return
      size += chunk.byteLength
      if (size > bytesMax) return finish(undefined)
      chunks.push(Buffer.from(chunk.slice(0)))
      if (isLast) finish(Buffer.concat(chunks))
    })
  }

  #address(res: uWS.HttpResponse, req: uWS.HttpRequest): string {
    const direct = Buffer.from(res.getRemoteAddressAsText()).toString()
    const hops = this.#options.trustedProxyHops
    if (hops === 0) return direct
    const forwarded = req.getHeader('x-forwarded-for').split(',')
    return forwarded.at(-hops)?.trim().slice(0, addressLengthMax) || direct
  }

  #guard(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#options.onError(error)
    }
  }
}

export class ListenError extends Error {
  readonly code = 'gateway.listen'
}

const unknownProtocol = { status: '400 Bad Request', body: `Offer ${subprotocols.json} or ${subprotocols.proto} as subprotocol.` }

function chooseEncoding(offered: string): Encoding | undefined {
  if (offered === '') return 'json'
  const names = offered.split(',').map((name) => name.trim())
  if (names.includes(subprotocols.proto)) return 'proto'
  return names.includes(subprotocols.json) ? 'json' : undefined
}

const statusTexts: Record<number, string> = {
  200: 'OK',
  201: 'Created',
  204: 'No Content',
  301: 'Moved Permanently',
  304: 'Not Modified',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  409: 'Conflict',
  412: 'Precondition Failed',
  413: 'Payload Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

function write(res: uWS.HttpResponse, { status, headers = {}, body }: HttpResponse, isHead: boolean): void {
  res.writeStatus(`${status} ${statusTexts[status] ?? ''}`)
  for (const [name, value] of Object.entries(headers)) res.writeHeader(name, value)
  if (isHead) res.endWithoutBody(body === undefined ? 0 : Buffer.byteLength(body))
  else if (body === undefined) res.endWithoutBody()
  else res.end(body)
}

const pingPayload = new Uint8Array([1])
/**
 * Nobody publishes to it. A socket that leaves its last topic is forgotten by the topic tree, and what was published to it in this turn
 * goes with it: moving a reader from one tier to the other lost the frame before the move. With this topic there is no last one.
 */
const keptTopic = 'kept'

class UwsSocket implements Socket {
  readonly encoding: Encoding
  readonly address: string
  readonly #ws: uWS.WebSocket<UserData>
  #open = true
  #kept = false

  constructor(ws: uWS.WebSocket<UserData>, data: UserData) {
    this.#ws = ws
    this.encoding = data.encoding
    this.address = data.address
  }

  closed(): void {
    this.#open = false
  }

  send(frame: Uint8Array): void {
    // The result is not ignored for lack of care: what does not leave now is buffered, and `slow.ts` looks at the buffer.
    if (this.#open) this.#ws.send(frame, this.encoding === 'proto')
  }

  ping(): void {
    if (this.#open) this.#ws.ping(pingPayload)
  }

  close(code: number, reason: string): void {
    if (this.#open) this.#ws.end(code, reason)
  }

  subscribe(topic: string): void {
    if (!this.#open) return
    if (!this.#kept) this.#kept = this.#ws.subscribe(keptTopic)
    this.#ws.subscribe(topic)
  }

  unsubscribe(topic: string): void {
    if (this.#open) this.#ws.unsubscribe(topic)
  }

  bufferedBytes(): number {
    return this.#open ? this.#ws.getBufferedAmount() : 0
  }
}
