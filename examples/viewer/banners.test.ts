import fc from 'fast-check'
import type { Messages } from 'livehouse/client'
import { expect, test } from 'vitest'
import { Banners, bannerMs } from './banners.ts'

let ids = 0
const gift = (more: Partial<Messages['gift.sent']> = {}): Messages['gift.sent'] => ({
  txId: `t${++ids}`,
  from: { id: 'ann', name: 'Ann' },
  to: { id: 'host', name: 'Host' },
  giftId: 'rose',
  name: 'Rose',
  count: 1,
  unitCoin: 10,
  valueCoin: 10,
  ...more,
})

test('the sends of a combo are one banner that grows and stays as long as it does', () => {
  const banners = new Banners({ me: 'bob', slots: 3 })
  for (const [comboCount, at] of [
    [1, 0],
    [2, 2_000],
    [3, 4_000],
  ] as const)
    banners.add(gift({ comboId: 'c', comboCount }), at)
  expect(banners.shown).toMatchObject([{ combo: 3, totalCoin: 30, version: 2, own: false }])
  banners.advance(4_000 + bannerMs - 1)
  expect(banners.shown).toHaveLength(1)
  expect(banners.nextAt()).toBe(4_000 + bannerMs)
  banners.advance(4_000 + bannerMs)
  expect(banners.shown).toEqual([])
  expect(banners.nextAt()).toBeUndefined()
})

test('combos of two people with one id are two', () => {
  const banners = new Banners({ me: 'bob', slots: 3 })
  banners.add(gift({ comboId: 'c' }), 0)
  banners.add(gift({ comboId: 'c', from: { id: 'eve', name: 'Eve' } }), 0)
  expect(banners.shown.map(({ from }) => from)).toEqual(['Ann', 'Eve'])
})

test('a gift is news once', () => {
  const banners = new Banners({ me: 'bob', slots: 3 })
  const one = gift()
  expect([banners.take(one), banners.take(one), banners.take(gift())]).toEqual([true, false, true])
})

test('when there is no place the own gift comes next, then the dearest; and one that waits grows too', () => {
  const banners = new Banners({ me: 'bob', slots: 1 })
  banners.add(gift({ from: { id: 'a', name: 'A' } }), 0)
  banners.add(gift({ from: { id: 'b', name: 'B' }, valueCoin: 50, comboId: 'c' }), 1)
  banners.add(gift({ from: { id: 'c', name: 'C' }, valueCoin: 70 }), 2)
  banners.add(gift({ from: { id: 'b', name: 'B' }, valueCoin: 50, comboId: 'c', comboCount: 2 }), 3)
  banners.add(gift({ from: { id: 'bob', name: 'Bob' }, valueCoin: 1 }), 4)
  const order: string[] = []
  for (let now = 0; banners.shown.length > 0; now += bannerMs) {
    banners.advance(now)
    const [shown] = banners.shown
    if (shown && shown.from !== order.at(-1)) order.push(shown.from)
  }
  expect(order).toEqual(['A', 'Bob', 'B', 'C'])
})

test('never more than there is place for, and none for ever', () => {
  const sends = fc.array(fc.record({ who: fc.nat(5), combo: fc.nat(3), waitMs: fc.nat(3_000) }), { maxLength: 80 })
  fc.assert(
    fc.property(sends, (all) => {
      const banners = new Banners({ me: '0', slots: 2 })
      let now = 0
      for (const { who, combo, waitMs } of all) {
        now += waitMs
        banners.add(gift({ from: { id: String(who), name: String(who) }, comboId: `c${combo}` }), now)
        expect(banners.shown.length).toBeGreaterThan(0)
        expect(banners.shown.length).toBeLessThanOrEqual(2)
        expect(new Set(banners.shown.map(({ key }) => key)).size).toBe(banners.shown.length)
      }
      for (let i = 0; i <= all.length; i++) banners.advance((now += bannerMs))
      expect(banners.shown).toEqual([])
    }),
  )
})
