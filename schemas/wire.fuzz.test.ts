/** Both encodings mean the same, frames join, and no frame of a stranger gets further than a `WireError`. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arbitraryOf } from './arbitrary.ts'
import { codecs } from './gen/messages.ts'
import { commands, events, sessionEvents } from './messages.ts'
import { encode, WireError } from './protobuf.ts'
import {
  codecOf,
  decodeRequestJson,
  decodeRequestsProto,
  decodeServerFrame,
  type EventEnvelope,
  encodeEventJson,
  encodeEventProto,
  encodeReplyJson,
  encodeReplyProto,
  encodeRequest,
  joinFrame,
  type ReplyEnvelope,
  type RequestEnvelope,
} from './wire.ts'

const utf8 = new TextEncoder()
const text = (bytes: Uint8Array) => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
const depthMax = 8

/** Well-formed texts, -0 as 0; absent lists are left to `withLists`. */
const wellFormed = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, item) => (typeof item === 'string' ? item.replace(/\p{Surrogate}/gu, '\ufffd') : item)))

/** A list that is absent is empty: the one difference that protobuf cannot carry. Only snapshots have such. */
function withLists(body: unknown, isSnapshot: boolean): unknown {
  const d = body as { danmaku?: unknown[]; snapshot?: unknown }
  if (d.snapshot !== undefined) return { ...d, snapshot: withLists(d.snapshot, true) }
  return isSnapshot ? { danmaku: [], ext: [], ...d } : d
}

const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/)
/** Envelope texts are not checked by a schema yet when they are read. */
const looseId = fc.oneof(id, fc.constantFrom('\ud800', '弹幕', '"\\', '\\ud800', '\ufeff', '😀'))
const seq = fc.nat({ max: 2 ** 53 - 1 })
const commandNames = Object.keys(commands) as (keyof typeof commands)[]
const envelopeOf = (t: string, d: fc.Arbitrary<unknown>): fc.Arbitrary<EventEnvelope> =>
  fc.record(
    { t: fc.constant(t), room: id, seq, at: seq, d },
    { requiredKeys: ['t', 'd'], noNullPrototype: true },
  ) as fc.Arbitrary<EventEnvelope>

const eventArbitraries: [string, fc.Arbitrary<EventEnvelope>][] = [
  ...Object.entries(events).map(([t, { d }]) => [t, envelopeOf(t, arbitraryOf(d))] as [string, fc.Arbitrary<EventEnvelope>]),
  ...Object.entries(sessionEvents).map(([t, d]) => [t, envelopeOf(t, arbitraryOf(d))] as [string, fc.Arbitrary<EventEnvelope>]),
  ['x.poll.opened', envelopeOf('x.poll.opened', fc.jsonValue())],
]
const anyEvent = fc.oneof(...eventArbitraries.map(([, arbitrary]) => arbitrary))
const meaning = (event: EventEnvelope): unknown => {
  const plain = wellFormed(event) as EventEnvelope
  return codecOf(event.t) ? { ...plain, d: withLists(plain.d, false) } : plain
}

describe('requests', () => {
  test.each(commandNames)('%s', (t) => {
    const request = fc.record(
      { id: looseId, t: fc.constant(t), room: id, ik: looseId, d: arbitraryOf(commands[t].d) },
      { requiredKeys: ['id', 't', 'd'], noNullPrototype: true },
    )
    fc.assert(
      fc.property(request, (value) => {
        const want = wellFormed(value)
        expect(decodeRequestJson(utf8.encode(encodeRequest('json', value as RequestEnvelope) as string), depthMax)).toEqual(want)
        expect(decodeRequestJson(utf8.encode(JSON.stringify(value)), depthMax)).toEqual(want)
        expect(decodeRequestsProto(encodeRequest('proto', value as RequestEnvelope) as Uint8Array, 1, depthMax)).toEqual([want])
      }),
      { numRuns: 60 },
    )
  })

  test('of a plugin: any body, the same in both encodings', () => {
    const request = fc.record(
      {
        id: looseId,
        t: fc.constantFrom('x.poll.vote', 'poll.vote'),
        room: id,
        ik: looseId,
        d: fc.jsonValue({ maxDepth: depthMax - 2 }),
      },
      { requiredKeys: ['id', 't', 'd'], noNullPrototype: true },
    ) as fc.Arbitrary<RequestEnvelope>
    fc.assert(
      fc.property(request, (value) => {
        const sent = { ...value, d: value.d ?? {} }
        const want = wellFormed(sent)
        expect(decodeRequestJson(utf8.encode(encodeRequest('json', sent) as string), depthMax)).toEqual(want)
        expect(decodeRequestsProto(encodeRequest('proto', value) as Uint8Array, 1, depthMax)).toEqual([want])
      }),
      { numRuns: 300 },
    )
  })

  test('several in one frame, up to the bound', () => {
    const one = encodeRequest('proto', { id: '1', t: 'wall.hide', d: {} }) as Uint8Array
    const three = Uint8Array.from([...one, ...one, ...one])
    expect(decodeRequestsProto(three, 3, depthMax)).toHaveLength(3)
    expect(() => decodeRequestsProto(three, 2, depthMax)).toThrow(WireError)
    expect(decodeRequestsProto(new Uint8Array(0), 1, depthMax)).toEqual([])
  })

  test('an unknown command keeps its name and an empty body', () => {
    const frame = Uint8Array.from(encodeRequest('proto', { id: '1', t: 'wall.hide', d: {} }) as Uint8Array)
    frame.set(utf8.encode('wall.hint'), text(frame).indexOf('wall.hide'))
    expect(decodeRequestsProto(frame, 1, depthMax)).toEqual([{ id: '1', t: 'wall.hint', d: {} }])
  })
})

describe('replies', () => {
  test.each(commandNames)('%s', (t) => {
    const reply = fc.record(
      { re: looseId, ok: fc.constant(true as const), d: arbitraryOf(commands[t].reply) },
      { noNullPrototype: true },
    )
    fc.assert(
      fc.property(reply, fc.boolean(), (value, replayed) => {
        const sent: ReplyEnvelope = replayed ? { ...value, replayed } : value
        const want = wellFormed(sent) as { d: unknown }
        expect(decodeServerFrame(text(encodeReplyJson(sent)))).toEqual([want])
        const [got] = decodeServerFrame(encodeReplyProto(sent, t))
        expect(got).toEqual({ ...want, d: withLists(want.d, t === 'room.join') })
      }),
      { numRuns: 40 },
    )
  })

  test('of a plugin: any JSON, the same in both encodings', () => {
    const reply = fc.record({ re: looseId, ok: fc.constant(true as const), d: fc.jsonValue() }, { noNullPrototype: true })
    fc.assert(
      fc.property(reply, fc.boolean(), (value, replayed) => {
        const sent: ReplyEnvelope = replayed ? { ...value, replayed } : value
        expect(decodeServerFrame(text(encodeReplyJson(sent)))).toEqual([wellFormed(sent)])
        expect(decodeServerFrame(encodeReplyProto(sent, 'x.poll.vote'))).toEqual([wellFormed(sent)])
      }),
      { numRuns: 200 },
    )
    expect(decodeServerFrame(encodeReplyProto({ re: '1', ok: true, d: undefined }, 'x.poll.vote'))).toEqual([
      { re: '1', ok: true, d: {} },
    ])
  })

  test('refusals', () => {
    const detail = fc.record(
      {
        field: fc.string(),
        untilAt: fc.maxSafeInteger(),
        max: fc.nat(),
        hint: fc.string(),
        caseId: fc.string(),
        resetAt: fc.maxSafeInteger(),
      },
      { requiredKeys: [], noNullPrototype: true },
    )
    const err = fc.record(
      { code: fc.constantFrom('chat.muted', 'server.busy', 'x.future'), msg: fc.string(), retryAfterMs: fc.nat(), d: detail },
      { requiredKeys: ['code', 'msg'], noNullPrototype: true },
    )
    fc.assert(
      fc.property(looseId, err, (re, refusal) => {
        const reply = { re, ok: false, err: refusal } as unknown as ReplyEnvelope
        expect(decodeServerFrame(encodeReplyProto(reply, 'danmaku.send'))).toEqual([wellFormed(reply)])
        expect(decodeServerFrame(text(encodeReplyJson(reply)))).toEqual([wellFormed(reply)])
      }),
      { numRuns: 100 },
    )
  })
})

describe('events', () => {
  test.each(eventArbitraries)('%s', (_, arbitrary) => {
    fc.assert(
      fc.property(arbitrary, (event) => {
        expect(decodeServerFrame(text(joinFrame('json', [encodeEventJson(event)])))).toEqual([wellFormed(event)])
        const [got] = decodeServerFrame(encodeEventProto(event)) as EventEnvelope[]
        const want = meaning(event) as EventEnvelope
        expect(got).toEqual(event.t === 'room.resynced' ? { ...want, d: withLists(want.d, false) } : want)
      }),
      { numRuns: 40 },
    )
  })

  test('an event of a plugin without data has none', () => {
    const event = { t: 'x.poll.closed', d: undefined }
    expect(decodeServerFrame(encodeEventProto(event))).toEqual([{ t: 'x.poll.closed', d: {} }])
    expect(decodeServerFrame(text(encodeEventJson(event)))).toEqual([{ t: 'x.poll.closed', d: {} }])
  })
})

describe('joined frames', () => {
  test('hold their events in order, in both encodings', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { minLength: 1, maxLength: 12 }), (list) => {
        expect(decodeServerFrame(text(joinFrame('json', list.map(encodeEventJson))))).toEqual(list.map(wellFormed))
        expect(decodeServerFrame(joinFrame('proto', list.map(encodeEventProto)))).toEqual(list.map(meaning))
      }),
      { numRuns: 60 },
    )
  })

  test('in protobuf: frames side by side are a frame', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 4 }), fc.array(anyEvent, { maxLength: 4 }), (first, second) => {
        const frames = [first, second].map((list) => joinFrame('proto', list.map(encodeEventProto)))
        expect(decodeServerFrame(joinFrame('proto', frames))).toEqual([...first, ...second].map(meaning))
      }),
      { numRuns: 40 },
    )
  })

  test('a reply and events share a frame', () => {
    const reply = { re: '1', ok: true, d: { total: 3 } } as const
    const event = { t: 'like.changed', room: 'demo', seq: 1, at: 2, d: { total: 3, delta: 1 } }
    const proto = joinFrame('proto', [encodeReplyProto(reply, 'like.tap'), encodeEventProto(event)])
    expect(decodeServerFrame(proto)).toEqual([reply, event])
    expect(decodeServerFrame(text(joinFrame('json', [encodeReplyJson(reply), encodeEventJson(event)])))).toEqual([reply, event])
  })

  test('an empty list of events', () => {
    expect(decodeServerFrame(joinFrame('proto', []))).toEqual([])
    expect(decodeServerFrame(text(joinFrame('json', [])))).toEqual([])
  })
})

/** Runs `read`; `undefined` when it refused with a `WireError`. Any other error is a failure of the test. */
function refusedOr<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}

function expectEnvelope(request: RequestEnvelope | undefined): void {
  if (!request) return
  for (const name of [request.id, request.t]) expect(name).toMatch(/^.{1,64}$/s)
  for (const name of [request.room, request.ik]) if (name !== undefined) expect(name).toMatch(/^.{1,64}$/s)
  expect(request).toHaveProperty('d')
  expect(Object.getPrototypeOf(request)).toBe(Object.prototype)
}
const readJson = (source: string | Uint8Array) =>
  expectEnvelope(refusedOr(() => decodeRequestJson(typeof source === 'string' ? utf8.encode(source) : source, depthMax)))
const readProto = (bytes: Uint8Array) => refusedOr(() => decodeRequestsProto(bytes, 16, depthMax))?.forEach(expectEnvelope)

describe('frames of strangers', () => {
  const wild = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>('a', '', '\ud800', 'b'.repeat(65), 1e308, -1, null, [], {}, true),
  )
  const envelope = fc.dictionary(
    fc.constantFrom('id', 't', 'room', 'ik', 'd', '__proto__', 'constructor', 'batch', 're', 'ok', 'err'),
    wild,
  )

  test('any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        readJson(bytes)
        readProto(bytes)
        refusedOr(() => decodeServerFrame(bytes))
      }),
      { numRuns: 2_000 },
    )
  })

  test('any envelope in JSON', () => {
    fc.assert(
      fc.property(envelope, (value) => {
        readJson(JSON.stringify(value))
        refusedOr(() => decodeServerFrame(JSON.stringify(value)))
        refusedOr(() => decodeServerFrame(JSON.stringify({ batch: [value] })))
      }),
      { numRuns: 2_000 },
    )
  })

  test('damaged JSON', () => {
    fc.assert(
      fc.property(envelope, fc.nat(), fc.nat(255), (value, at, byte) => {
        const bytes = utf8.encode(JSON.stringify({ id: '1', t: 'danmaku.send', ...value }))
        bytes[at % bytes.length] = byte
        readJson(bytes)
        readJson(bytes.subarray(0, at % bytes.length))
      }),
      { numRuns: 1_000 },
    )
  })

  const jsonRequest = (json: string, t = 'x.poll.vote') =>
    encode(codecs.ClientFrame, { requests: [{ id: 'r7', t, room: 'demo', json }] })

  test.each([
    ['no JSON', 'vote'],
    ['nothing', ''],
    ['two values', '{}{}'],
    ['a mark before the text', '\ufeff{}'],
    ['half a text', '{"a":"'],
    ['not a number', 'NaN'],
    ['nesting one deeper than the JSON form takes', `${'['.repeat(depthMax)}${']'.repeat(depthMax)}`],
    ['endless nesting', '['.repeat(100_000)],
    ['endless closed nesting', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    ['endless objects', `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`],
  ])('JSON text in protobuf, %s: refused by the id of its request', (_, json) => {
    const read = () => decodeRequestsProto(jsonRequest(json), 1, depthMax)
    expect(read).toThrow(WireError)
    expect(read).toThrow(expect.objectContaining({ re: 'r7' }))
  })

  test('JSON text in protobuf: as deep as in JSON, well-formed, and only for names without a message', () => {
    const read = (json: string, t?: string) => decodeRequestsProto(jsonRequest(json, t), 1, depthMax)[0]?.d
    const deep = `${'['.repeat(depthMax - 1)}${']'.repeat(depthMax - 1)}`
    expect(read(deep)).toEqual(JSON.parse(deep))
    expect(read('"\\ud800 \\\\ud800"')).toBe('\ufffd \\ud800')
    for (const json of ['null', '7', '"a"', '[1]', 'true']) expect(read(json)).toEqual(JSON.parse(json))
    expect(({} as { role?: string }).role).toBeUndefined()
    expect((read('{"__proto__":{"role":"admin"}}') as { role?: string }).role).toBeUndefined()
    expect(read('{"text":"hi"}', 'danmaku.send')).toEqual({})
    expect(read('not even JSON', 'danmaku.send')).toEqual({})
  })

  test('any JSON text in protobuf', () => {
    const source = fc.oneof(fc.string(), fc.json(), fc.json({ maxDepth: 12 }))
    fc.assert(
      fc.property(source, fc.nat(), fc.nat(255), (json, at, byte) => {
        const frame = jsonRequest(json)
        readProto(frame)
        frame[at % frame.length] = byte
        readProto(frame)
      }),
      { numRuns: 1_000 },
    )
  })

  test('damaged protobuf, from clients and from servers', () => {
    const request = fc
      .constantFrom(...commandNames)
      .chain((t) => fc.record({ id, t: fc.constant(t), room: id, d: arbitraryOf(commands[t].d) }))
    fc.assert(
      fc.property(request, anyEvent, fc.nat(), fc.nat(255), (value, event, at, byte) => {
        for (const frame of [encodeRequest('proto', value) as Uint8Array, encodeEventProto(event)]) {
          const damaged = Uint8Array.from(frame)
          damaged[at % frame.length] = byte
          for (const bytes of [damaged, frame.subarray(0, at % frame.length)]) {
            readProto(bytes)
            refusedOr(() => decodeServerFrame(bytes))
          }
        }
      }),
      { numRuns: 600 },
    )
  })

  test.each([
    ['nothing', ''],
    ['a mark before the text', '\ufeff{"id":"1","t":"a"}'],
    ['a list', '[]'],
    ['null', 'null'],
    ['a number', '1'],
    ['an id that is a number', '{"id":1,"t":"a"}'],
    ['no name', '{"id":"1"}'],
    ['a room that is null', '{"id":"1","t":"a","room":null}'],
    ['an id only on the prototype', '{"__proto__":{"id":"1","t":"a"}}'],
    ['nesting in d', `{"id":"1","t":"a","d":${'['.repeat(9)}${']'.repeat(9)}}`],
    ['endless nesting', '['.repeat(100_000)],
    ['endless closed nesting', `{"id":"1","t":"a","d":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['a long id', `{"id":"${'1'.repeat(65)}","t":"a"}`],
  ])('refuse %s', (_, source) => {
    expect(() => decodeRequestJson(utf8.encode(source), depthMax)).toThrow(WireError)
  })

  test('nesting up to the bound is read', () => {
    const d = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
    expect(decodeRequestJson(utf8.encode(`{"id":"1","t":"a","d":${d(depthMax - 1)}}`), depthMax).id).toBe('1')
    const deeper = (id: string) => () => decodeRequestJson(utf8.encode(`{"id":${id},"t":"a","d":${d(depthMax)}}`), depthMax)
    expect(deeper('"1"')).toThrow(WireError)
    // Its sender learns which request it was, when that can be said.
    expect(deeper('"1"')).toThrow(expect.objectContaining({ re: '1' }))
    for (const id of ['1', '""', `"${'1'.repeat(65)}"`]) expect(deeper(id)).toThrow(expect.objectContaining({ re: '' }))
  })

  test('__proto__ and huge numbers change nothing else', () => {
    const { d } = decodeRequestJson(
      utf8.encode('{"id":"1","t":"a","d":{"__proto__":{"role":"admin"},"n":1e999,"s":"\\ud800"}}'),
      depthMax,
    )
    expect((d as { role?: string }).role).toBeUndefined()
    expect(({} as { role?: string }).role).toBeUndefined()
    expect((d as { s: string }).s).toBe('\ufffd')
  })

  test('invalid UTF-8', () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0xc0, 0x80],
      [0xed, 0xa0, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
    ])
      expect(() => decodeRequestJson(Uint8Array.from(bytes), depthMax)).toThrow('invalid UTF-8')
  })

  test('names that no message has are not remembered', () => {
    for (let i = 0; i < 5_000; i++) expect(codecOf(`x.flood${i}.${'a'.repeat(20)}`)).toBeUndefined()
    expect(codecOf('danmaku.send')).toBe(codecOf('danmaku.send'))
    for (const name of ['__proto__', 'constructor', 'toString', '']) expect(codecOf(name)).toBeUndefined()
  })
})

describe('lone surrogates', () => {
  test('become U+FFFD in both encodings; pairs and typed escapes stay', () => {
    const event = { t: 'x.note.left', d: { '\ud83d': 'a\ud83d', pair: '😀', typed: '\\ud83d \\\\udc00' } }
    const want = [{ t: 'x.note.left', d: { '\ufffd': 'a\ufffd', pair: '😀', typed: '\\ud83d \\\\udc00' } }]
    expect(decodeServerFrame(text(encodeEventJson(event)))).toEqual(want)
    expect(decodeServerFrame(encodeEventProto(event))).toEqual(want)
  })
})
