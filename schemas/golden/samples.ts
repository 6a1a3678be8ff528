/**
 * Samples of every frame of the protocol with their bytes: what one version wrote, every later version must read and write the same.
 *
 * `npx tsx schemas/golden/samples.ts` adds samples for messages that have none. What stands in the files is never changed: a test
 * that fails on it has found a change of the protocol that is not additive. `full` sets every field, `bare` only those that must be.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { TSchema } from '@sinclair/typebox'
import { commands, EventEnvelope as EventSchema, events, sessionEvents } from '../messages.ts'
import {
  decodeRequestsProto,
  decodeServerFrame,
  type EventEnvelope,
  encodeEventProto,
  encodeReplyProto,
  encodeRequest,
  type ReplyEnvelope,
  type RequestEnvelope,
} from '../wire.ts'

export const kinds = ['requests', 'replies', 'events', 'refusals'] as const
export type Kind = (typeof kinds)[number]
export interface Sample {
  envelope: unknown
  hex: string
}
/** By the name of a command or event, then by the name of the sample. */
export type Samples = Record<string, Record<string, Sample>>

const fileOf = (kind: Kind) => fileURLToPath(new URL(`${kind}.json`, import.meta.url))
export const readSamples = (kind: Kind): Samples =>
  existsSync(fileOf(kind)) ? JSON.parse(readFileSync(fileOf(kind), 'utf8')) : {}

export function encodeSample(kind: Kind, name: string, envelope: unknown): Uint8Array {
  if (kind === 'requests') return encodeRequest('proto', envelope as RequestEnvelope) as Uint8Array
  return kind === 'events' ? encodeEventProto(envelope as EventEnvelope) : encodeReplyProto(envelope as ReplyEnvelope, name)
}

export const decodeSample = (kind: Kind, bytes: Uint8Array): unknown =>
  (kind === 'requests' ? decodeRequestsProto(bytes, 1, 8) : decodeServerFrame(bytes))[0]

/** Every envelope that must have a sample now. */
export function currentEnvelopes(kind: Kind): Record<string, Record<string, unknown>> {
  if (kind === 'requests')
    return {
      ...mapValues(commands, ({ d, room }, t) => ({
        full: { id: 'r1', t, ...(room ? { room: 'demo' } : {}), ik: 'key_1', d: sampleOf(d, 'full') },
        bare: { id: 'r2', t, d: sampleOf(d, 'bare') },
        ...(t === 'stream.open_ingest' ? { codec: { id: 'r3', t, room: 'demo', d: { line: 'backup', codec: 'vp8' } } } : {}),
      })),
      'x.poll.vote': {
        full: {
          id: 'r1',
          t: 'x.poll.vote',
          room: 'demo',
          ik: 'key_1',
          d: { option: '甲', weight: 1.5, note: null, of: [1, 'b'] },
        },
        bare: { id: 'r2', t: 'x.poll.vote', d: {} },
      },
    }
  if (kind === 'replies')
    return {
      ...mapValues(commands, replyEnvelopes),
      'x.poll.vote': { full: { re: 'r1', ok: true, d: { votes: 3 }, replayed: true } },
    }
  return kind === 'events' ? eventEnvelopes() : refusals
}

const replyEnvelopes = ({ reply }: { reply: TSchema }, t: string) => ({
  full: { re: 'r1', ok: true, d: sampleOf(reply, 'full'), replayed: true },
  bare: { re: 'r2', ok: true, d: sampleOf(reply, 'bare') },
  ...(t === 'room.join' ? { ext: joinWithExtensions, invited: joinOfInvited } : {}),
  ...(t === 'wallet.get' ? { level: { re: 'r3', ok: true, d: { coinPaid: 1, coinBonus: 2, bean: '3', level: 4 } } } : {}),
  ...(t === 'rank.get' ? { counting: { re: 'r3', ok: true, d: { rows: [], counting: true } } } : {}),
  ...(t === 'gift.list' ? { level: giftsOfLevel } : {}),
})
const crown = {
  id: 'crown',
  name: 'Crown',
  priceCoin: 7,
  kind: 'normal',
  comboable: true,
  tags: ['vip'],
  countMax: 9,
  minLevel: 3,
}
const giftsOfLevel = { re: 'r3', ok: true, d: { items: [crown], version: '2' } }
const joinWithExtensions = {
  re: 'r3',
  ok: true,
  d: {
    epoch: 1,
    seq: 2,
    danmaku: [],
    ext: [
      { plugin: 'poll', json: '{"open":true}' },
      { plugin: 'trivia', json: '[1]' },
    ],
  },
}

/** Resumed: what is state comes along, what somebody is asked alone included. */
const joinOfInvited = {
  re: 'r4',
  ok: true,
  d: {
    ...{ epoch: 1, seq: 2, resumed: true, likes: 7, shares: 0, danmaku: [], ext: [] },
    stream: { state: 'live', tracks: [], lines: [{ line: 'backup', state: 'up' }], line: 'backup', degradeLevel: 0, sinceAt: 5 },
    mic: { seats: [{ no: 1, state: 'reserved', locked: false, user: { id: 'u1', name: '甲' }, kind: 'audio' }], waiting: 0 },
    me: {
      ...{ userId: 'u1', name: '甲', roles: [], anonymous: false },
      invitation: { inviteId: 'i1', by: { id: 'o', name: 'Host', role: 'owner' }, seatNo: 2, expireAt: 1_760_000_000_123 },
      granted: { seatNo: 1, joinByAt: 1_760_000_000_123 },
    },
  },
}

const refusals = {
  'danmaku.send': {
    full: {
      re: 'r1',
      ok: false,
      err: {
        code: 'chat.slow_mode',
        msg: 'wait',
        retryAfterMs: 5000,
        d: { field: 'text', untilAt: -1, max: 40, hint: 'danmaku.send' },
      },
    },
    bare: { re: 'r2', ok: false, err: { code: 'server.internal', msg: '' } },
    held: { re: 'r3', ok: false, err: { code: 'content.held', msg: 'held', d: { caseId: 'c1' } } },
    limited: {
      re: 'r4',
      ok: false,
      err: { code: 'limit.exceeded', msg: 'today', retryAfterMs: 60_000, d: { max: 1_000_000, resetAt: 1_760_054_400_000 } },
    },
  },
  'x.poll.vote': { full: { re: 'r1', ok: false, err: { code: 'x.poll.closed', msg: 'The poll is over.' } } },
}

function eventEnvelopes() {
  const facts = mapValues(events, ({ d }, t) => ({
    full: { t, room: 'demo', seq: 4_294_967_297, at: 1_760_000_000_123, d: sampleOf(d, 'full') },
    bare: { t, d: sampleOf(d, 'bare') },
  }))
  const own = mapValues(sessionEvents, (d, t) => ({ full: { t, room: 'demo', at: 1_760_000_000_123, d: sampleOf(d, 'full') } }))
  const plugin = {
    'x.poll.opened': { full: { t: 'x.poll.opened', room: 'demo', seq: 1, at: 0, d: { options: ['甲', 'b'], open: true } } },
  }
  return { ...facts, ...own, ...plugin }
}

const mapValues = <V, R>(record: Record<string, V>, fn: (value: V, name: string) => R): Record<string, R> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, fn(value, name)]))

/** A value that a schema allows; an absent list is an empty one. */
function sampleOf(schema: TSchema, fill: 'full' | 'bare', name = 'd'): unknown {
  if (schema === EventSchema)
    return { t: 'danmaku.sent', room: 'demo', seq: 7, at: 1_760_000_000_000, d: { id: 'm1', text: 'hi 😀' } }
  if (schema.enum) return fill === 'full' ? schema.enum.at(-1) : schema.enum[0]
  if (schema.type === 'boolean') return fill === 'full'
  if (schema.type === 'integer') return fill === 'full' ? Math.min(schema.maximum, 1_760_000_000_123) : schema.minimum
  if (schema.type === 'string') return schema.pattern ? `${name}_1` : fill === 'full' ? `${name}: 弹幕 😀` : name
  if (schema.type === 'array') return fill === 'full' ? [1, 2].map(() => sampleOf(schema.items, fill, name)) : []
  const fields = Object.entries(schema.properties as Record<string, TSchema>)
  const kept = fields.filter(([key, field]) => fill === 'full' || field.type === 'array' || schema.required?.includes(key))
  return Object.fromEntries(kept.map(([key, field]) => [key, sampleOf(field, fill, key)]))
}

function addMissing(kind: Kind): number {
  const samples = readSamples(kind)
  let added = 0
  for (const [name, envelopes] of Object.entries(currentEnvelopes(kind)))
    for (const [fill, envelope] of Object.entries(envelopes)) {
      samples[name] ??= {}
      if (samples[name][fill]) continue
      samples[name][fill] = { envelope, hex: Buffer.from(encodeSample(kind, name, envelope)).toString('hex') }
      added++
    }
  if (added > 0) writeFileSync(fileOf(kind), `${JSON.stringify(samples, null, 2)}\n`)
  return added
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const kind of kinds) process.stdout.write(`${kind}: ${addMissing(kind)} added\n`)
