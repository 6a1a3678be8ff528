import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Board } from './board.ts'

it('of two with equal coins the one who reached them first stands higher', () => {
  const board = new Board()
  board.add('late', 10n, 1)
  board.add('early', 30n, 2)
  board.add('late', 20n, 3)
  expect(board.top(10).map(({ member }) => member)).toEqual(['early', 'late'])
  board.add('late', 1n, 4)
  expect(board.top(1)).toEqual([{ member: 'late', score: 31n, reachedAt: 4 }])
  expect([board.placeOf('late'), board.placeOf('early'), board.placeOf('nobody')]).toEqual([1, 2, undefined])
})

it('scores beyond 2^53 keep every digit', () => {
  const board = new Board()
  board.add('a', 2n ** 60n, 1)
  board.add('b', 2n ** 60n + 1n, 2)
  expect(board.top(1)[0]?.member).toBe('b')
})

it('is what sorting all gifts from scratch gives, and a rebuild gives the same order', () => {
  const gift = fc.record({ member: fc.constantFrom(...'abcdefghij'), score: fc.bigInt({ min: 1n, max: 5n }) })
  fc.assert(
    fc.property(fc.array(gift, { maxLength: 200 }), (gifts) => {
      const board = new Board()
      for (const [at, { member, score }] of gifts.entries()) board.add(member, score, at)
      const sums = new Map<string, { score: bigint; at: number }>()
      for (const [at, { member, score }] of gifts.entries())
        sums.set(member, { score: (sums.get(member)?.score ?? 0n) + score, at })
      const plain = [...sums].sort(([, a], [, b]) => (a.score === b.score ? a.at - b.at : a.score > b.score ? -1 : 1))
      expect(board.top(20).map(({ member, score }) => [member, score])).toEqual(
        plain.map(([member, { score }]) => [member, score]),
      )
      for (const [place, [member]] of plain.entries()) expect(board.placeOf(member)).toBe(place + 1)
      const rebuilt = new Board()
      for (const [at, { member, score }] of gifts.entries()) rebuilt.add(member, score, at)
      expect(rebuilt.top(20)).toEqual(board.top(20))
    }),
  )
})
