/**
 * Arbitrary values for fuzz tests, made from the schemas themselves, so that a new message is fuzzed without a new line here.
 *
 * `arbitraryOf(schema)` follows a TypeBox schema with its bounds (what commands, replies and events may hold);
 * `arbitraryOfMessage(type)` follows a message of livehouse.proto (anything that the wire can hold).
 * Both prefer the edges where encodings break: one byte more of length, the ends of 32 and 53 bits, surrogates, a leading U+FEFF.
 *
 *     fc.assert(fc.property(arbitraryOf(commands['danmaku.send'].d), (d) => ...))
 */
import type { TSchema } from '@sinclair/typebox'
import fc from 'fast-check'
import type protobuf from 'protobufjs'
import { DanmakuSent, EventEnvelope } from './messages.ts'

const integerEdges = [
  0,
  -1,
  1,
  127,
  128,
  16_383,
  16_384,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53 - 1,
  1 - 2 ** 53,
]

const integerWithin = (min: number, max: number): fc.Arbitrary<number> =>
  fc.oneof(fc.integer({ min, max }), fc.constantFrom(min, max, ...integerEdges.filter((n) => n >= min && n <= max)))

/** Any UTF-16 unit: halves of pairs stand alone as well. */
const unit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code))
const textEdges = [
  '\ufeffmark',
  '\ud83d',
  '\ude00 low first \ud83d',
  '😀'.repeat(32),
  'a'.repeat(127),
  'é'.repeat(64),
  '\\ud800',
  '\u0000',
]
const longTexts = ['中'.repeat(5_462), 'b'.repeat(16_383), 'b'.repeat(16_384)]

const textWithin = (minLength: number, maxLength: number): fc.Arbitrary<string> => {
  const edges = [...textEdges, ...longTexts].filter((text) => text.length >= minLength && text.length <= maxLength)
  const free = fc.string({
    unit: fc.oneof({ weight: 3, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) }, unit),
    minLength,
    maxLength: Math.min(maxLength, 40),
  })
  const bounded = free.filter((text) => text.length <= maxLength)
  return edges.length === 0
    ? bounded
    : fc.oneof({ weight: 6, arbitrary: bounded }, { weight: 1, arbitrary: fc.constantFrom(...edges) })
}

const idText = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/)
/** Events as they stand in a snapshot: of the engine, and of a plugin that has no message. */
const nestedEvent = () =>
  fc.oneof(
    fc.record({
      t: fc.constant('danmaku.sent'),
      room: idText,
      seq: integerWithin(0, 2 ** 53 - 1),
      at: integerWithin(-1, 2 ** 53 - 1),
      d: arbitraryOf(DanmakuSent),
    }),
    fc.record({ t: fc.constant('x.poll.opened'), d: fc.jsonValue() }, { requiredKeys: ['t', 'd'] }),
  )

export function arbitraryOf(schema: TSchema): fc.Arbitrary<unknown> {
  if (schema === EventEnvelope) return nestedEvent()
  if (schema.enum) return fc.constantFrom(...(schema.enum as string[]))
  switch (schema.type) {
    case 'string':
      return schema.pattern
        ? fc.stringMatching(new RegExp(schema.pattern))
        : textWithin(schema.minLength ?? 0, schema.maxLength ?? 20_000)
    case 'boolean':
      return fc.boolean()
    case 'integer':
      return integerWithin(schema.minimum, schema.maximum)
    case 'array':
      return fc.array(arbitraryOf(schema.items), { maxLength: 4 })
    case 'object':
      return arbitraryObject(schema)
    default:
      throw new Error(`no arbitrary for ${JSON.stringify(schema)}`)
  }
}

function arbitraryObject(schema: TSchema): fc.Arbitrary<unknown> {
  const properties = Object.entries(schema.properties as Record<string, TSchema>)
  const model = Object.fromEntries(properties.map(([name, property]) => [name, arbitraryOf(property)]))
  return fc.record(model, { requiredKeys: schema.required ?? [], noNullPrototype: true })
}

export function arbitraryOfMessage(type: protobuf.Type): fc.Arbitrary<Record<string, unknown>> {
  const model = Object.fromEntries(
    type.fieldsArray.map((field) => {
      const value = arbitraryOfField(field.resolve())
      return [field.name, field.repeated ? fc.array(value, { maxLength: 3 }) : value]
    }),
  )
  return fc.record(model, { requiredKeys: [], noNullPrototype: true }).map((message) => onlyOneKind(type, message))
}

function arbitraryOfField(field: protobuf.Field): fc.Arbitrary<unknown> {
  switch (field.type) {
    case 'string':
      return textWithin(0, 20_000)
    case 'bool':
      return fc.boolean()
    case 'int32':
      return integerWithin(-(2 ** 31), 2 ** 31 - 1)
    case 'int64':
      return integerWithin(1 - 2 ** 53, 2 ** 53 - 1)
    case 'bytes':
      return fc.uint8Array({ maxLength: 200 })
    default:
      return arbitraryOfMessage(field.resolvedType as protobuf.Type)
  }
}

/** Of a oneof at most one may be set; a presence-only oneof has a single field. */
function onlyOneKind(type: protobuf.Type, message: Record<string, unknown>): Record<string, unknown> {
  for (const { oneof } of type.oneofsArray)
    for (const name of oneof.filter((name) => name in message).slice(1)) delete message[name]
  return message
}
