import { expect, it } from 'vitest'
import { isRight } from './rules.ts'

it.each([
  ['paris', 'Paris', true],
  [' P a r i s! ', 'Paris', true],
  ['cafe', 'Café', true],
  ['ガ', 'か', false],
  ['巴黎', '巴黎', true],
  ['', 'Paris', false],
  ['42', '42', true],
  ['!', '?', false],
  ['?', '?', true],
])('%j for %j: %s', (given, wanted, right) => {
  expect(isRight(given, wanted)).toBe(right)
})
