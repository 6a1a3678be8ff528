/**
 * The peers: a bare uWebSockets.js program that does the same job with the same bytes, and nothing else.
 *
 *   node raw-uws.js --port 9000                   raw: every message is published to all at once
 *   node raw-uws.js --port 9000 --gather-ms 50    frames: what came within 50 ms is published as one frame
 *
 * No tokens, rights, rate limits, answers, sampling, account or slow-reader care. Each message is encoded once, as the engine
 * does, so that a viewer gets an event of the same shape and length; both encodings have a topic of their own.
 */

import uws, { type WebSocket } from 'uWebSockets.js'
import { parseArgs } from 'node:util'
import {
  decodeRequestsProto,
  type Encoding,
  encodeEventJson,
  encodeEventProto,
  encodeReplyJson,
  encodeReplyProto,
  encodings,
  joinFrame,
  subprotocols,
} from '../../schemas/wire.ts'

const { values } = parseArgs({ options: { port: { type: 'string' }, 'gather-ms': { type: 'string', default: '0' } } })
const port = Number(values.port)
const gatherMs = Number(values['gather-ms'])
const textHead = Buffer.from('"text":"')

interface Peer {
  encoding: Encoding
  name: string
}
const viewers = { json: 0, proto: 0 }
const pending: Record<Encoding, Uint8Array[]> = { json: [], proto: [] }
let seq = 0
let members = 0
let flushedAtMs = 0
let timer: NodeJS.Timeout | undefined

const app = uws.App()

function publish(encoding: Encoding, frame: Uint8Array): void {
  app.publish(encoding, frame, encoding === 'proto')
}

function flush(): void {
  timer = undefined
  flushedAtMs = performance.now()
  for (const encoding of encodings) {
    const parts = pending[encoding]
    if (parts.length === 0) continue
    publish(encoding, joinFrame(encoding, parts))
    pending[encoding] = []
  }
}

function say(peer: Peer, text: string): void {
  seq++
  const from = { id: peer.name, name: peer.name }
  const id = `01JD6QX7M2${String(seq).padStart(16, '0')}`
  const d = { id, from, text, mode: 'scroll', color: 0xffffff, size: 'm' }
  const event = { t: 'danmaku.sent', room: 'demo', seq, at: Date.now(), d }
  for (const encoding of encodings) {
    if (viewers[encoding] === 0) continue
    const part = encoding === 'json' ? encodeEventJson(event) : encodeEventProto(event)
    if (gatherMs === 0) publish(encoding, part)
    else pending[encoding].push(part)
  }
  if (gatherMs > 0 && !timer) timer = setTimeout(flush, Math.max(0, flushedAtMs + gatherMs - performance.now()))
}

/** Opening is answered so that the swarm finds its way in; it happens before the clock starts. */
function greet(ws: WebSocket<Peer>, bytes: Uint8Array): void {
  const { encoding } = ws.getUserData()
  const requests = encoding === 'proto' ? decodeRequestsProto(bytes, 8, 8) : [JSON.parse(Buffer.from(bytes).toString())]
  for (const { id, t } of requests) {
    if (t === 'room.join') {
      ws.subscribe(encoding)
      viewers[encoding]++
    }
    const reply = { re: id, ok: true as const, d: {} }
    ws.send(encoding === 'proto' ? encodeReplyProto(reply, t) : encodeReplyJson(reply), encoding === 'proto')
  }
}

app.ws<Peer>('/live', {
  maxPayloadLength: 16_384,
  maxBackpressure: 64 * 1024 * 1024,
  idleTimeout: 120,
  upgrade: (res, req, context) => {
    const asked = req.getHeader('sec-websocket-protocol')
    const encoding = asked === subprotocols.proto ? 'proto' : 'json'
    const peer = { encoding, name: `bench-talker-${members++}` } as const
    const key = req.getHeader('sec-websocket-key')
    res.upgrade<Peer>(peer, key, asked, req.getHeader('sec-websocket-extensions'), context)
  },
  message: (ws, message) => {
    const bytes = Buffer.from(message)
    const head = bytes.indexOf(textHead)
    if (head < 0) return greet(ws, bytes)
    const start = head + textHead.length
    say(ws.getUserData(), bytes.toString('utf8', start, bytes.indexOf('"', start)))
  },
})
app.get('/healthz', (res) => {
  res.end('ok')
})
app.listen('127.0.0.1', port, (socket) => {
  if (!socket) process.exit(1)
})
