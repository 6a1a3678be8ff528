import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ComboSend, type ComboState, Combos } from './combo.ts'

let ids = 0
const send = (overrides: Partial<ComboSend> = {}): ComboSend => ({
  from: 'ann',
  to: 'bob',
  giftId: 'rose',
  count: 1,
  comboId: undefined,
  valueCoin: 30n,
  at: 0,
  timeoutMs: 3_000,
  newId: () => `c${++ids}`,
  ...overrides,
})

describe('a combo', () => {
  it('ten sends within the time-out are one, counted 1 to 10, and end once with the exact total', () => {
    const combos = new Combos(100)
    const seen = Array.from({ length: 10 }, (_, at) => combos.sent(send({ at: at * 2_999 })).combo)
    expect(seen.map(({ comboCount }) => comboCount)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(new Set(seen.map(({ comboId }) => comboId)).size).toBe(1)
    expect(combos.ended(9 * 2_999 + 2_999)).toEqual([])
    expect(combos.nextEndAt()).toBe(9 * 2_999 + 3_000)
    expect(combos.ended(9 * 2_999 + 3_000)).toMatchObject([{ totalCount: 10, totalCoin: 300n }])
    expect(combos.ended(1_000_000)).toEqual([])
  })

  it('at the time-out exactly another one begins, and the one before has ended', () => {
    const combos = new Combos(100)
    const first = combos.sent(send()).combo
    const { combo, ended } = combos.sent(send({ at: 3_000 }))
    expect(combo.comboId).not.toBe(first.comboId)
    expect(combo.comboCount).toBe(1)
    expect(ended).toMatchObject([{ comboId: first.comboId, totalCount: 1, totalCoin: 30n }])
  })

  it('another person, gift, receiver, count or id of the client is another combo', () => {
    const combos = new Combos(100)
    combos.sent(send({ comboId: 'mine' }))
    for (const other of [{ from: 'eve' }, { to: 'eve' }, { giftId: 'car' }, { count: 10 }])
      expect(combos.sent(send({ comboId: 'mine', ...other })).combo.comboCount).toBe(1)
    expect(combos.sent(send({ comboId: 'mine' })).combo.comboCount).toBe(2)
    expect(combos.sent(send({ comboId: 'new' })).combo).toMatchObject({ comboId: 'new', comboCount: 1 })
  })

  it('at the bound the one sent to longest ago ends early', () => {
    const combos = new Combos(2)
    combos.sent(send({ from: 'a' }))
    combos.sent(send({ from: 'b', at: 1 }))
    expect(combos.sent(send({ from: 'c', at: 2 })).ended).toMatchObject([{ from: 'a' }])
    expect(combos.size).toBe(2)
  })
})

it('whatever is sent when: every send is in exactly one combo, and the totals of the ended ones add up', () => {
  const step = fc.record({
    from: fc.constantFrom('a', 'b', 'c'),
    giftId: fc.constantFrom('rose', 'car'),
    count: fc.constantFrom(1, 10),
    comboId: fc.constantFrom(undefined, undefined, 'k1', 'k2'),
    waitMs: fc.integer({ min: 0, max: 4_000 }),
    valueCoin: fc.bigInt({ min: 1n, max: 2n ** 60n }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 5 }), (steps, max) => {
      const combos = new Combos(max)
      const over: ComboState[] = []
      let [at, coins, units] = [0, 0n, 0]
      for (const { waitMs, ...given } of steps) {
        at += waitMs
        over.push(...combos.ended(at), ...combos.sent(send({ ...given, at })).ended)
        coins += given.valueCoin
        units += given.count
        expect(combos.size).toBeLessThanOrEqual(max)
      }
      over.push(...combos.ended(at + 3_000))
      expect(combos.size).toBe(0)
      expect(over.reduce((sum, { totalCoin }) => sum + totalCoin, 0n)).toBe(coins)
      expect(over.reduce((sum, { totalCount }) => sum + totalCount, 0)).toBe(units)
      expect(over.reduce((sum, { comboCount }) => sum + comboCount, 0)).toBe(steps.length)
    }),
  )
})
