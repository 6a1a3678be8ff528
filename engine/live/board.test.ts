import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Board } from './board.ts'

const give = (board: Board, member: string, coin: bigint, pos: number) => board.add({ member, name: member, coin, pos })

it('of two with equal coins the one who reached them first stands higher', () => {
  const board = new Board(100)
  give(board, 'late', 10n, 1)
  give(board, 'early', 30n, 2)
  give(board, 'late', 20n, 3)
  expect(board.top(10).map(({ member }) => member)).toEqual(['early', 'late'])
  give(board, 'late', 1n, 4)
  expect(board.top(1)).toEqual([{ member: 'late', name: 'late', score: 31n, reachedAt: 4 }])
  expect([board.placeOf('late'), board.placeOf('early'), board.placeOf('nobody')]).toEqual([1, 2, undefined])
})

it('scores beyond 2^53 keep every digit', () => {
  const board = new Board(100)
  give(board, 'a', 2n ** 60n, 1)
  give(board, 'b', 2n ** 60n + 1n, 2)
  expect(board.top(1)[0]?.member).toBe('b')
})

it('is what sorting all gifts from scratch gives, and a rebuild gives the same order', () => {
  const gift = fc.record({ member: fc.constantFrom(...'abcdefghij'), score: fc.bigInt({ min: 1n, max: 5n }) })
  fc.assert(
    fc.property(fc.array(gift, { maxLength: 200 }), (gifts) => {
      const board = new Board(100)
      for (const [at, { member, score }] of gifts.entries()) give(board, member, score, at)
      const sums = new Map<string, { score: bigint; at: number }>()
      for (const [at, { member, score }] of gifts.entries())
        sums.set(member, { score: (sums.get(member)?.score ?? 0n) + score, at })
      const plain = [...sums].sort(([, a], [, b]) => (a.score === b.score ? a.at - b.at : a.score > b.score ? -1 : 1))
      expect(board.top(20).map(({ member, score }) => [member, score])).toEqual(
        plain.map(([member, { score }]) => [member, score]),
      )
      for (const [place, [member]] of plain.entries()) expect(board.placeOf(member)).toBe(place + 1)
      const rebuilt = new Board(100)
      for (const [at, { member, score }] of gifts.entries()) give(rebuilt, member, score, at)
      expect(rebuilt.top(20)).toEqual(board.top(20))
    }),
  )
})

it('cut to its first five it has the same five, in the same order, when those who fell out are looked up', () => {
  const gift = fc.record({ member: fc.integer({ min: 0, max: 30 }).map(String), coin: fc.bigInt({ min: 1n, max: 9n }) })
  fc.assert(
    fc.property(fc.array(gift, { maxLength: 300 }), (gifts) => {
      const [all, cut] = [new Board(1_000), new Board(5)]
      for (const [pos, { member, coin }] of gifts.entries()) {
        const isLeftOut = cut.isCut && cut.of(member) === undefined
        give(all, member, coin, pos)
        const standing = all.of(member)
        if (!isLeftOut) give(cut, member, coin, pos)
        else if (standing) cut.put(standing)
        expect(cut.top(5)).toEqual(all.top(5))
        expect([cut.size, cut.isCut]).toEqual([Math.min(5, all.size), all.size > 5])
      }
    }),
  )
})
