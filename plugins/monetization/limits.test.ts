import { expect, it } from 'vitest'
import { dayMaxOf, noLimits, raiseAfterMs, withOperators, withOwn } from './limits.ts'

const at = 1_000
const maxAt = (limits: Parameters<typeof dayMaxOf>[0], when: number) => dayMaxOf(limits, { dayCoinMax: 100, at: when })

it('a bound of one’s own is lower at once and higher after a day', () => {
  expect(maxAt(noLimits, at)).toBe(100)
  const low = withOwn(noLimits, 10, at)
  expect(maxAt(low, at)).toBe(10)
  const raised = withOwn(low, 50, at + 1)
  expect([maxAt(raised, at + raiseAfterMs), maxAt(raised, at + 1 + raiseAfterMs)]).toEqual([10, 50])
  const gone = withOwn(raised, -1, at + 2)
  expect([maxAt(gone, at + 1 + raiseAfterMs), maxAt(gone, at + 2 + raiseAfterMs)]).toEqual([10, 100])
  // Lower again before it went: nothing waits any more.
  expect(maxAt(withOwn(gone, 5, at + 3), at + 10 * raiseAfterMs)).toBe(5)
  expect(withOwn(noLimits, -1, at)).toEqual(noLimits)
})

it('never lets through more than is allowed here, and 0 is nothing at all', () => {
  expect(maxAt(withOwn(noLimits, 1_000, at), at)).toBe(100)
  expect(maxAt(withOwn(noLimits, 0, at), at)).toBe(0)
})

it('an operator has the last word, for one user', () => {
  const set = (given: unknown) => withOperators(noLimits, given)
  expect(set({ giftingOff: true })).toEqual({ ...noLimits, giftingOff: true })
  const more = set({ dayCoinMax: 500 })
  expect(typeof more === 'string' ? more : [maxAt(more, at), maxAt(withOwn(more, 200, at), at)]).toEqual([500, 200])
  for (const bad of [null, [], 7, { giftingOff: 1 }, { dayCoinMax: -2 }, { dayCoinMax: 1.5 }, { dayCoinMax: '1' }, { own: 5 }])
    expect(typeof set(bad)).toBe('string')
})
