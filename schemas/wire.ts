/**
 * The two encodings of the envelope, for server and client alike.
 *
 * A JSON frame is one envelope or `{"batch":[...]}`; a protobuf frame is a `ServerFrame` (or `ClientFrame`), a repeated field.
 * In both, a frame of many events is made by putting encoded events side by side, so that each is encoded once.
 */
import type { ErrorBody } from './errors.ts'
import {
  codecs,
  type Event as EventMessage,
  type Reply as ReplyMessage,
  Request as RequestCodec,
  type Request as RequestMessage,
  type ServerMessage,
} from './gen/messages.ts'
import { type Codec, encode, Reader, WireError, Writer } from './protobuf.ts'

export const subprotocols = { json: 'livehouse.v1.json', proto: 'livehouse.v1.proto' } as const
export type Encoding = keyof typeof subprotocols
export const encodings = ['json', 'proto'] as const

export interface RequestEnvelope {
  id: string
  t: string
  room?: string | undefined
  ik?: string | undefined
  d: unknown
}
export type ReplyEnvelope =
  | { re: string; ok: true; d: unknown; replayed?: boolean | undefined }
  | { re: string; ok: false; err: ErrorBody }
export interface EventEnvelope {
  t: string
  room?: string | undefined
  seq?: number | undefined
  at?: number | undefined
  d: unknown
}

/** `danmaku.sent` -> `DanmakuSent`, the name of its message in livehouse.proto. */
export function messageName(name: string): string {
  return name.replace(/(?:^|[._])([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

const codecByMessage = new Map(Object.entries(codecs) as unknown as [string, Codec<unknown>][])
// Hits only: names come from strangers, and misses could fill it. The spellings that hit are a few for each message.
const codecByName = new Map<string, Codec<unknown>>()

/** The message of an event or command by its name, `undefined` for names of plugins. */
export function codecOf(name: string, suffix = ''): Codec<unknown> | undefined {
  const key = name + suffix
  const known = codecByName.get(key)
  if (known) return known
  const codec = codecByMessage.get(messageName(name) + suffix)
  if (codec) codecByName.set(key, codec)
  return codec
}

const utf8 = new TextEncoder()

/**
 * JSON text with lone surrogates replaced by U+FFFD, which is what protobuf strings do: a text means the same in both encodings.
 * `JSON.stringify` writes a lone surrogate, and nothing else, as an escape of the form \\udxxx.
 */
function jsonText(value: unknown): string {
  const text = JSON.stringify(value)
  return text.includes('\\ud') ? text.replace(/\\(?:\\|ud[0-9a-f]{3})/g, (m) => (m === '\\\\' ? m : '\ufffd')) : text
}

/** The JSON text of an event or answer that has no message; one without data has none. */
const pluginText = (d: unknown): string | undefined => (d === undefined ? undefined : jsonText(d))

// ---------------------------------------------------------------- server side: events and replies out, requests in

/** The element of a frame for one event, in protobuf: tag, length and `ServerMessage`. `d` may come encoded. */
export function encodeEventProto(event: EventEnvelope): Uint8Array {
  const codec = codecOf(event.t)
  const d = codec ? encode(codec, nestEvents(event.d)) : undefined
  return frameElement({
    event: { t: event.t, room: event.room, seq: event.seq, at: event.at, d, json: d ? undefined : pluginText(event.d) },
  })
}

export function encodeEventJson(event: EventEnvelope): Uint8Array {
  return utf8.encode(jsonText(event))
}

/** The event alone, as it stands inside a snapshot. */
export function eventMessage(event: EventEnvelope) {
  const codec = codecOf(event.t)
  const d = codec ? encode(codec, event.d) : undefined
  return { t: event.t, room: event.room, seq: event.seq, at: event.at, d, json: d ? undefined : pluginText(event.d) }
}

/** Snapshots hold whole events: their `d` is bytes in protobuf. */
function nestEvents(d: unknown): unknown {
  const body = d as { danmaku?: EventEnvelope[]; snapshot?: unknown } | undefined
  if (body?.snapshot !== undefined) return { ...body, snapshot: nestEvents(body.snapshot) }
  if (body?.danmaku !== undefined) return { ...body, danmaku: body.danmaku.map(eventMessage) }
  return d
}

export function encodeReplyProto(reply: ReplyEnvelope, command: string): Uint8Array {
  if (!reply.ok) return frameElement({ reply: { re: reply.re, ok: false, err: reply.err, t: command } })
  const codec = codecOf(command, 'Reply')
  const body = codec ? { d: encode(codec, nestEvents(reply.d ?? {})) } : { json: pluginText(reply.d) }
  return frameElement({ reply: { re: reply.re, ok: true, t: command, replayed: reply.replayed, ...body } })
}

export function encodeReplyJson(reply: ReplyEnvelope): Uint8Array {
  return utf8.encode(jsonText(reply))
}

const around = (head: string, body: Uint8Array, tail: string): Uint8Array => {
  const [before, after] = [utf8.encode(head), utf8.encode(tail)]
  const out = new Uint8Array(before.length + body.length + after.length)
  out.set(before)
  out.set(body, before.length)
  out.set(after, before.length + body.length)
  return out
}

/** A reply whose body is encoded already: snapshots are encoded once for all who join. */
export function encodeReplyBody(encoding: Encoding, re: string, command: string, body: Uint8Array): Uint8Array {
  if (encoding === 'proto') return frameElement({ reply: { re, ok: true, d: body, t: command } })
  return around(`{"re":${JSON.stringify(re)},"ok":true,"d":`, body, '}')
}

/** `room.resynced` around a snapshot that is encoded already. */
export function encodeResynced(encoding: Encoding, room: string, snapshot: Uint8Array): Uint8Array {
  if (encoding === 'json') return around(`{"t":"room.resynced","room":${JSON.stringify(room)},"d":{"snapshot":`, snapshot, '}}')
  const d = new Writer(snapshot.length + 8)
  d.uint((1 << 3) | 2)
  d.raw(snapshot)
  return frameElement({ event: { t: 'room.resynced', room, d: d.finish() } })
}

/** One message as an element of the frame's list: whole frames by themselves, and more of them side by side. */
function frameElement(message: ServerMessage): Uint8Array {
  return encode(codecs.ServerFrame, { messages: [message] })
}

const batchHead = utf8.encode('{"batch":[')
const batchTail = utf8.encode(']}')
const comma = 0x2c

/** Encoded events side by side: one frame. A single JSON event stands alone. */
export function joinFrame(encoding: Encoding, parts: readonly Uint8Array[]): Uint8Array {
  const single = parts[0]
  if (parts.length === 1 && single) return single
  let size = encoding === 'json' ? batchHead.length + batchTail.length + Math.max(0, parts.length - 1) : 0
  for (const part of parts) size += part.length
  const frame = new Uint8Array(size)
  let pos = 0
  const put = (part: Uint8Array) => {
    frame.set(part, pos)
    pos += part.length
  }
  if (encoding === 'json') put(batchHead)
  for (const [i, part] of parts.entries()) {
    if (encoding === 'json' && i > 0) frame[pos++] = comma
    put(part)
  }
  if (encoding === 'json') put(batchTail)
  return frame
}

const utf8Strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** One JSON frame from a client. Throws `WireError` for anything that is not a request envelope. */
export function decodeRequestJson(bytes: Uint8Array, depthMax: number): RequestEnvelope {
  const text = utf8Text(bytes)
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new WireError('an envelope is an object')
  if (deeperThan(value, depthMax)) throw tooDeep(depthMax, (value as Record<string, unknown>).id)
  const { id, t, room, ik, d } = wellFormed(text, value) as Record<string, unknown>
  return checked(id, t, room, ik, d === undefined ? {} : d)
}

const surrogateEscape = /\\u[dD][89a-fA-F]/

/** What was parsed from strict UTF-8: that holds no lone surrogate, but an escape can. */
const wellFormed = (text: string, value: unknown): unknown => (surrogateEscape.test(text) ? JSON.parse(jsonText(value)) : value)

function tooDeep(depthMax: number, id: unknown): WireError {
  const error = new WireError(`nested deeper than ${depthMax}`)
  if (isShort(id)) error.re = id
  return error
}

function utf8Text(bytes: Uint8Array): string {
  try {
    return utf8Strict.decode(bytes)
  } catch {
    throw new WireError('invalid UTF-8')
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new WireError('bad JSON')
  }
}

function deeperThan(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (depth === 0) return true
  for (const item of Object.values(value)) if (deeperThan(item, depth - 1)) return true
  return false
}

const envelopeIdMax = 64
const isShort = (value: unknown): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= envelopeIdMax
function checked(id: unknown, t: unknown, room: unknown, ik: unknown, d: unknown): RequestEnvelope {
  const short = (name: string, value: unknown): string => {
    if (isShort(value)) return value
    const error = new WireError(`${name} is a string of 1 to ${envelopeIdMax} characters`)
    if (name !== 'id') error.re = id as string // checked before the others
    throw error
  }
  const request: RequestEnvelope = { id: short('id', id), t: short('t', t), d }
  if (room !== undefined) request.room = short('room', room)
  if (ik !== undefined) request.ik = short('ik', ik)
  return request
}

/** The requests of one protobuf frame, at most as deep as their JSON form may be. One without a body has `d: {}`. Throws `WireError`. */
export function decodeRequestsProto(bytes: Uint8Array, requestsMax: number, depthMax: number): RequestEnvelope[] {
  const reader = new Reader(bytes)
  const out: RequestEnvelope[] = []
  while (reader.pos < bytes.length) {
    const tag = reader.uint(bytes.length)
    if (tag !== ((1 << 3) | 2)) {
      reader.skip(tag, bytes.length)
      continue
    }
    if (out.length >= requestsMax) throw new WireError(`more than ${requestsMax} requests in one frame`)
    const raw = RequestCodec.decode(reader, reader.enter(bytes.length))
    const request = checked(raw.id, raw.t, raw.room, raw.ik, {})
    request.d = requestBody(raw, request, depthMax)
    out.push(request)
  }
  return out
}

/** The bytes of a message for a name that has one, JSON text for the others; what does not fit the name is not read. */
function requestBody(raw: RequestMessage, { id, t }: RequestEnvelope, depthMax: number): unknown {
  const codec = codecOf(t)
  try {
    if (codec) return raw.d ? codec.decode(new Reader(raw.d), raw.d.length) : {}
    if (raw.json === undefined) return {}
    // The body stands one level below its envelope.
    const value = parseJson(raw.json)
    if (deeperThan(value, depthMax - 1)) throw tooDeep(depthMax - 1, id)
    return wellFormed(raw.json, value)
  } catch (error) {
    if (error instanceof WireError) error.re = id
    throw error
  }
}

// ---------------------------------------------------------------- client side: requests out, events and replies in

export function encodeRequest(encoding: Encoding, request: RequestEnvelope): Uint8Array | string {
  if (encoding === 'json') return jsonText(request)
  const { id, t, room, ik, d } = request
  const codec = codecOf(t)
  const body = codec ? { d: encode(codec, d ?? {}) } : { json: jsonText(d ?? {}) }
  return encode(codecs.ClientFrame, { requests: [{ id, t, room, ik, ...body }] })
}

export type ServerEnvelope = ReplyEnvelope | EventEnvelope
export const isReply = (message: ServerEnvelope): message is ReplyEnvelope => 're' in message

/** Every reply and event of one frame, in order. Throws `WireError` for anything else. */
export function decodeServerFrame(frame: string | Uint8Array): ServerEnvelope[] {
  if (typeof frame === 'string') return serverEnvelopesJson(parseJson(frame))
  const { messages = [] } = codecs.ServerFrame.decode(new Reader(frame), frame.length)
  return messages.flatMap(({ event, reply }): ServerEnvelope[] => {
    if (event) return [readEvent(event)]
    return reply ? [readReply(reply)] : []
  })
}

function serverEnvelopesJson(value: unknown): ServerEnvelope[] {
  const batch = (value as { batch?: unknown } | null)?.batch
  return (Array.isArray(batch) ? batch : [value]).map((item) => {
    const { t, re, ok, err } = (item ?? {}) as Record<string, unknown>
    if (typeof re === 'string' ? ok !== true && !isError(err) : typeof t !== 'string') throw new WireError('not a reply or event')
    return item.d === undefined && ok !== false ? { ...item, d: {} } : item
  })
}

const isError = (err: unknown) => typeof (err as { code?: unknown } | undefined)?.code === 'string'

function readReply(reply: ReplyMessage): ReplyEnvelope {
  const re = reply.re ?? ''
  if (!reply.ok) {
    if (!isError(reply.err)) throw new WireError('a refusal without a code')
    return { re, ok: false, err: { msg: '', ...reply.err } as ErrorBody }
  }
  return { re, ok: true, d: replyBody(reply), ...(reply.replayed ? { replayed: true } : {}) }
}

function replyBody(reply: ReplyMessage): unknown {
  if (reply.json !== undefined) return parseJson(reply.json)
  const codec = reply.t ? codecOf(reply.t, 'Reply') : undefined
  return codec && reply.d ? readNested(codec.decode(new Reader(reply.d), reply.d.length)) : {}
}

function readEvent(event: EventMessage): EventEnvelope {
  const out: EventEnvelope = { t: event.t ?? '', d: eventBody(event) }
  if (event.room !== undefined) out.room = event.room
  if (event.seq !== undefined) out.seq = event.seq
  if (event.at !== undefined) out.at = event.at
  return out
}

function eventBody(event: EventMessage): unknown {
  if (event.json !== undefined) return parseJson(event.json)
  const codec = event.t ? codecOf(event.t) : undefined
  return codec && event.d ? readNested(codec.decode(new Reader(event.d), event.d.length)) : {}
}

/** The bodies of a snapshot's events are bytes in protobuf; only snapshots hold such a list. */
function readNested(d: unknown): unknown {
  const body = d as { danmaku?: EventMessage[]; snapshot?: unknown }
  if (body.snapshot !== undefined) return { ...body, snapshot: readNested(body.snapshot) }
  if (body.danmaku !== undefined) return { ...body, danmaku: body.danmaku.map(readEvent) }
  return d
}
