import { expect, test } from 'vitest'
import { backoffMs, mayReturn } from './backoff.ts'

const bounds = { retryMsMin: 500, retryMsMax: 30_000 }

test('full jitter within a doubling, bounded span', () => {
  expect([0, 1, 2, 5, 6, 1_000].map((attempt) => backoffMs(attempt, bounds, 1))).toEqual([
    500, 1_000, 2_000, 16_000, 30_000, 30_000,
  ])
  expect(backoffMs(6, bounds, 0)).toBe(0)
})

test('only 4500 to 4999 say not to come back', () => {
  expect([1000, 1006, 4000, 4499, 4500, 4999].map(mayReturn)).toEqual([true, true, true, true, false, false])
})
