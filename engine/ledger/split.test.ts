import { expect, test } from 'vitest'
import { randomInt, seededRandom } from '../base/random.ts'
import { type SplitTerms, splitIncome, termsProblem } from './split.ts'

const usual: SplitTerms = { streamerBps: 5_000, guildBps: 2_000, paidBps: 10_000, bonusBps: 0 }

test('999 paid coins at 5000 and 2000: the rounding rest is the platform’s', () => {
  expect(splitIncome({ paid: 999n, bonus: 0n }, usual)).toEqual({ income: 999n, streamer: 499n, guild: 199n, platform: 301n })
})

test('bonus coins bring nothing unless the terms say so, and are then weighed', () => {
  expect(splitIncome({ paid: 0n, bonus: 999n }, usual)).toEqual({ income: 0n, streamer: 0n, guild: 0n, platform: 0n })
  const weighed = splitIncome({ paid: 100n, bonus: 99n }, { ...usual, bonusBps: 3_333 })
  expect(weighed.income).toBe(132n) // 100 + 32.9967
})

test('100,000 random gifts: the shares are the income to the last unit, and the income is at most the value', () => {
  const random = seededRandom(7)
  const size = () => 10 ** randomInt(random, 17)
  for (let n = 0; n < 100_000; n++) {
    const [paid, bonus] = [BigInt(Math.floor(random.float() * size())), BigInt(Math.floor(random.float() * size()))]
    const streamerBps = randomInt(random, 10_001)
    const guildBps = randomInt(random, 10_001 - streamerBps)
    const terms = { streamerBps, guildBps, paidBps: randomInt(random, 10_001), bonusBps: randomInt(random, 10_001) }
    const { income, streamer, guild, platform } = splitIncome({ paid, bonus }, terms)
    const isExact =
      streamer + guild + platform === income &&
      income <= paid + bonus &&
      [income, streamer, guild, platform].every((share) => share >= 0n) &&
      // Rounded down: one unit more would be more than the terms give.
      streamer * 10_000n <= income * BigInt(streamerBps) &&
      (streamer + 1n) * 10_000n > income * BigInt(streamerBps) &&
      (guild + 1n) * 10_000n > income * BigInt(guildBps)
    if (!isExact) expect.fail(`paid ${paid}, bonus ${bonus}, ${JSON.stringify(terms)}`)
  }
})

test('the largest amount an account can hold is split exactly', () => {
  const most = 2n ** 63n - 1n
  const { income, streamer, guild, platform } = splitIncome({ paid: most, bonus: 0n }, usual)
  expect(income).toBe(most)
  expect(streamer + guild + platform).toBe(most)
})

test('terms that give away more than there is, or no whole basis points, are no terms', () => {
  expect(termsProblem(usual)).toBeUndefined()
  const bad: Partial<SplitTerms>[] = [
    { streamerBps: 8_001, guildBps: 2_000 },
    { streamerBps: -1 },
    { guildBps: 0.5 },
    { paidBps: 10_001 },
    { bonusBps: Number.NaN },
    { paidBps: '5000' as unknown as number },
  ]
  for (const over of bad) {
    expect(termsProblem({ ...usual, ...over })).toEqual(expect.any(String))
    expect(() => splitIncome({ paid: 1n, bonus: 0n }, { ...usual, ...over })).toThrow()
  }
})
