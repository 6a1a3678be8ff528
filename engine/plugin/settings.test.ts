import { Type } from '@sinclair/typebox'
import { expect, test } from 'vitest'
import { shapeProblem } from './settings.ts'

const schema = JSON.parse(
  JSON.stringify(
    Type.Object({
      word: Type.String({ default: 'bad', minLength: 1, maxLength: 3 }),
      level: Type.Optional(Type.Integer({ minimum: 0, maximum: 9 })),
      share: Type.Optional(Type.Number()),
      on: Type.Optional(Type.Boolean()),
      mode: Type.Optional(Type.Union([Type.Literal('a'), Type.Literal('b'), Type.Integer()])),
      words: Type.Optional(Type.Array(Type.String(), { maxItems: 2 })),
      limits: Type.Optional(Type.Object({ max: Type.Integer() })),
      byRoom: Type.Optional(Type.Record(Type.String(), Type.Integer())),
      pattern: Type.Optional(Type.String({ pattern: '^(a+)+$' })),
    }),
  ),
)

test.each<[unknown, string | undefined]>([
  [{}, undefined],
  [{ word: 'ab', level: 3, share: 0.5, on: false, mode: 'b', words: ['x'], limits: { max: 1 }, byRoom: { r1: 1 } }, undefined],
  // A pattern of somebody else never runs here.
  [{ pattern: `${'a'.repeat(50)}!` }, undefined],
  [null, 'settings: must be an object'],
  [[], 'settings: must be an object'],
  [{ word: '' }, 'settings.word: has 0 characters'],
  [{ word: 'abcd' }, 'settings.word: has 4 characters'],
  [{ word: 7 }, 'settings.word: must be a text'],
  [{ level: 1.5 }, 'settings.level: must be a whole number'],
  [{ level: 10 }, 'settings.level: 10 is out of range'],
  [{ share: Number.NaN }, 'settings.share: must be a number'],
  [{ on: 'true' }, 'settings.on: must be true or false'],
  [{ mode: 'c' }, 'settings.mode: fits none of its forms'],
  [{ words: ['a', 'b', 'c'] }, 'settings.words: has 3 items'],
  [{ words: ['a', 2] }, 'settings.words.1: must be a text'],
  [{ limits: {} }, 'settings.limits.max: is missing'],
  [JSON.parse('{"__proto__": 1}'), expect.stringContaining('settings.__proto__: there is no such field') as unknown as string],
])('%j: %s', (value, problem) => {
  expect(shapeProblem(schema, value)).toEqual(problem)
})

test('nested deeper than anybody needs', () => {
  const deep = (depth: number): object => (depth === 0 ? {} : { type: 'object', properties: { a: deep(depth - 1) } })
  const value = (depth: number): object => (depth === 0 ? {} : { a: value(depth - 1) })
  expect(shapeProblem(deep(12) as never, value(12))).toContain('nested deeper')
})
