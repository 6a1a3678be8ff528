import { expect, it } from 'vitest'
import { levelOf, nextLevelAt } from './levels.ts'

it.each<[given: number, level: number, next: number | undefined]>([
  [0, 0, 10],
  [9, 0, 10],
  [10, 1, 50],
  [49, 1, 50],
  [50, 2, 200],
  [200, 3, undefined],
  [10 ** 12, 3, undefined],
])('%i coins are level %i, the next one at %s', (given, level, next) => {
  expect([levelOf(given, [10, 50, 200]), nextLevelAt(given, [10, 50, 200])]).toEqual([level, next])
  // However an operator writes them down.
  expect([levelOf(given, [200, 10, 50]), nextLevelAt(given, [200, 10, 50])]).toEqual([level, next])
})

it('without a ladder everybody is on level 0', () => {
  expect([levelOf(10 ** 9, []), nextLevelAt(10 ** 9, [])]).toEqual([0, undefined])
})
