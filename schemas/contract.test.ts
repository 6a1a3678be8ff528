/** messages.ts, livehouse.proto and gen/messages.ts say the same, in both directions. */
import { readFileSync } from 'node:fs'
import type { TSchema } from '@sinclair/typebox'
import protobuf from 'protobufjs'
import { describe, expect, test } from 'vitest'
import { generate } from './generate.ts'
import { commands, EventEnvelope, events, sessionEvents } from './messages.ts'
import { messageName } from './wire.ts'

const { root } = protobuf.parse(readFileSync(new URL('livehouse.proto', import.meta.url), 'utf8'))
root.resolveAll()
const space = root.lookup('livehouse.v1') as protobuf.Namespace

const wanted = new Map<string, TSchema>()
for (const [name, { d, reply }] of Object.entries(commands)) {
  wanted.set(messageName(name), d)
  wanted.set(`${messageName(name)}Reply`, reply)
}
for (const [name, { d }] of Object.entries(events)) wanted.set(messageName(name), d)
for (const [name, d] of Object.entries(sessionEvents)) wanted.set(messageName(name), d)

const fits32 = ({ minimum, maximum }: TSchema) => minimum >= -(2 ** 31) && maximum < 2 ** 31

/** Every difference between a schema and a message, as lines. */
function differences(schema: TSchema, type: protobuf.Type, path: string): string[] {
  if (schema === EventEnvelope) return type.name === 'Event' ? [] : [`${path}: an event is message Event, not ${type.name}`]
  const properties = schema.properties as Record<string, TSchema>
  const names = new Set([...Object.keys(properties), ...type.fieldsArray.map((field) => field.name)])
  return [...names].flatMap((name) => {
    const [property, field] = [properties[name], type.fields[name]]
    if (!field) return [`${path}.${name}: not in livehouse.proto`]
    return property ? fieldDifferences(property, field, `${path}.${name}`) : [`${path}.${name}: not in messages.ts`]
  })
}

function fieldDifferences(property: TSchema, field: protobuf.Field, path: string): string[] {
  const list = property.type === 'array'
  if (list !== field.repeated) return [`${path}: a list on one side only`]
  if (!list && !field.hasPresence) return [`${path}: write "optional", or "not given" reads as a default`]
  const value = list ? (property.items as TSchema) : property
  if (value.type === 'object')
    return field.resolvedType instanceof protobuf.Type
      ? differences(value, field.resolvedType, path)
      : [`${path}: ${field.type}, not a message`]
  const right = { string: ['string'], boolean: ['bool'], integer: ['int64', ...(fits32(value) ? ['int32'] : [])] }[
    value.type as string
  ]
  return right?.includes(field.type) ? [] : [`${path}: ${value.type} here, ${field.type} in livehouse.proto`]
}

function reach(type: protobuf.Type, seen: Set<string>): void {
  if (seen.has(type.name)) return
  seen.add(type.name)
  for (const field of type.fieldsArray) if (field.resolvedType instanceof protobuf.Type) reach(field.resolvedType, seen)
}

describe('contract', () => {
  test('no two names share a message', () => {
    const names = [...Object.keys(commands).flatMap((name) => [messageName(name), `${messageName(name)}Reply`])]
    names.push(...[...Object.keys(events), ...Object.keys(sessionEvents)].map(messageName))
    expect(names.length).toBe(new Set(names).size)
  })

  test.each([...wanted])('%s has the same fields on both sides', (name, schema) => {
    const type = space.get(name)
    expect(type, `message ${name} in livehouse.proto`).toBeInstanceOf(protobuf.Type)
    expect(differences(schema, type as protobuf.Type, name)).toEqual([])
  })

  test('a difference is found', () => {
    const person = space.lookupType('Person')
    expect(
      differences({ ...EventEnvelope, properties: { id: { type: 'integer' } } } as unknown as TSchema, person, 'Person'),
    ).toEqual([
      'Person.id: integer here, string in livehouse.proto',
      'Person.name: not in messages.ts',
      'Person.role: not in messages.ts',
      'Person.bot: not in messages.ts',
    ])
  })

  test('livehouse.proto has no stray message', () => {
    const seen = new Set<string>()
    for (const name of [...wanted.keys(), 'ClientFrame', 'ServerFrame']) reach(space.lookupType(name), seen)
    expect(space.nestedArray.map((type) => type.name).filter((name) => !seen.has(name))).toEqual([])
  })

  test('gen/messages.ts is what generate.ts makes: npm run generate', () => {
    expect(readFileSync(new URL('gen/messages.ts', import.meta.url), 'utf8')).toBe(generate())
  })
})
