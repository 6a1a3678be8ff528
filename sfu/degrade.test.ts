import { expect, test } from 'vitest'
import { capOf } from './degrade.ts'

test.each([
  [0, 3, { isPaused: false }],
  [1, 3, { isPaused: false, spatialMax: 1 }],
  [1, 2, { isPaused: false, spatialMax: 0 }],
  [1, 1, { isPaused: false, spatialMax: 0 }],
  [2, 3, { isPaused: false, spatialMax: 0 }],
  [3, 3, { isPaused: false, spatialMax: 0, temporalMax: 0 }],
  [4, 3, { isPaused: true }],
])('level %i of %i layers', (level, layers, cap) => {
  expect(capOf(level, layers)).toEqual(cap)
})
