import { describe, expect, it } from 'vitest'
import { mask, wordFinder } from './words.ts'

const find = wordFinder(['spam', '坏', 'Böse'])

describe('wordFinder', () => {
  it.each([
    ['spam', 0, 4],
    ['buy SPAM now', 4, 8],
    ['s.p.a.m!', 0, 7],
    ['s p  a m', 0, 8],
    ['ｓｐａｍ', 0, 4],
    ['spaaaam ', 0, 7],
    ['这很坏吗', 2, 3],
    ['wie BÖSE', 4, 8],
  ])('finds %s', (text, from, to) => {
    expect(find(text)).toMatchObject({ from, to })
  })

  it.each(['', 'span', 'map s', '好', '🎉🎉'])('leaves %j', (text) => {
    expect(find(text)).toBeUndefined()
  })

  it('takes no word of spaces alone for a word', () => {
    expect(wordFinder([' ', '', '...'])('anything at all')).toBeUndefined()
  })
})

describe('mask', () => {
  it.each([
    ['s p a m, spam', '*******, ****'],
    ['fine', 'fine'],
    ['🎉spam🎉', '🎉****🎉'],
  ])('%s -> %s', (text, masked) => {
    expect(mask(text, find)).toBe(masked)
  })
})
