import { describe, expect, test } from 'vitest'
import { hash32, idSource, randomInt, seededRandom, systemRandom } from './random.ts'

const draws = (seed: number, count: number) => {
  const random = seededRandom(seed)
  return Array.from({ length: count }, () => random.float())
}

describe('random', () => {
  test('a seed repeats, another differs', () => {
    expect(draws(7, 100)).toEqual(draws(7, 100))
    expect(draws(7, 100)).not.toEqual(draws(8, 100))
  })

  test.each([
    ['seeded', seededRandom(1)],
    ['system', systemRandom],
  ])('%s: in [0, 1) and spread evenly', (_, random) => {
    const buckets = new Array<number>(16).fill(0)
    for (let i = 0; i < 16_000; i++) {
      const value = random.float()
      if (value < 0 || value >= 1) throw new Error(`${value}`)
      buckets[Math.floor(value * 16)] = (buckets[Math.floor(value * 16)] as number) + 1
    }
    // 1,000 expected in each with a deviation of 31: eight deviations never happen by chance.
    for (const count of buckets) expect(Math.abs(count - 1_000)).toBeLessThan(250)
  })

  test('whole numbers reach both ends and stay below', () => {
    const random = seededRandom(3)
    const seen = new Set(Array.from({ length: 500 }, () => randomInt(random, 5)))
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4])
  })

  test('ids grow within a millisecond, over milliseconds and when time stands still or falls back', () => {
    const next = idSource(seededRandom(5))
    const ids = [0, 0, 0, 1, 1, 5, 4, 4, 6].map((ms) => next(1_760_000_000_000 + ms))
    for (const id of ids) expect(id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/)
    expect([...ids].sort()).toEqual(ids)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('two sources with their own randomness do not meet', () => {
    const [one, two] = [idSource(seededRandom(1)), idSource(seededRandom(2))]
    const ids = Array.from({ length: 1_000 }, () => [one(1), two(1)]).flat()
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('hash32 is stable and spreads ids that differ at the end only', () => {
    expect(hash32('')).toBe(hash32(''))
    const buckets = new Array<number>(10).fill(0)
    for (let i = 0; i < 10_000; i++) {
      const hash = hash32(`01HZ${i}`)
      expect(hash).toBe(hash >>> 0)
      buckets[hash % 10] = (buckets[hash % 10] as number) + 1
    }
    for (const count of buckets) expect(Math.abs(count - 1_000)).toBeLessThan(250)
  })
})
