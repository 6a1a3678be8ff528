import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Ask } from '../define.ts'
import { askOf, checkItem } from './protocol.ts'

/** Half surrogate pairs, quotes, line separators: whatever a name or a danmaku may hold. */
const anyText = fc.string({
  unit: fc.oneof(fc.constantFrom('"', '\\', '\n', '\u2028', '\ud800', '\udc00', '弹', '🎁'), fc.string()),
})
const asker = fc.record(
  {
    userId: fc.string(),
    name: anyText,
    anonymous: fc.boolean(),
    ranks: fc.array(fc.constantFrom('owner', 'admin', 'patrol'), { maxLength: 3 }),
    bot: fc.constant(true as const),
  },
  { requiredKeys: ['userId', 'name', 'anonymous', 'ranks'] },
)
const ask: fc.Arbitrary<Ask<unknown>> = fc.record({
  room: fc.string(),
  at: fc.nat(),
  from: asker,
  d: fc.oneof(fc.dictionary(anyText, fc.oneof(anyText, fc.jsonValue(), fc.constant(undefined))), fc.jsonValue()),
})

test('a question comes out of a batch as it went in', () => {
  fc.assert(
    fc.property(fc.nat({ max: 99 }), ask, fc.nat(), (hook, asked, batchAt) => {
      const item = JSON.parse(JSON.stringify(checkItem(hook, asked, batchAt)))
      expect(item[0]).toBe(hook)
      expect(askOf(item, batchAt)).toEqual(JSON.parse(JSON.stringify(asked)))
    }),
    { numRuns: 2_000 },
  )
})
