import fc from 'fast-check'
import { expect, it } from 'vitest'
import { RoomEvent } from './event.ts'
import { ClientCap, sample } from './lanes.ts'

const event = (eid: string, preferred = false) =>
  new RoomEvent({ t: 'danmaku.sent', lane: 'normal', room: 'r', d: {} }, { eid, at: 0, preferred })

it('no window of a second holds more than the cap, whatever the ticks', () => {
  const ticks = fc.array(fc.record({ gapMs: fc.nat(300), wanted: fc.nat(100) }), { maxLength: 200 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), ticks, (perS, list) => {
      const cap = new ClientCap(perS)
      const sent: number[] = []
      let now = 1_000
      for (const { gapMs, wanted } of list) {
        now += gapMs
        const count = Math.min(wanted, cap.allowed(now, wanted))
        cap.spend(now, count)
        for (let n = 0; n < count; n++) sent.push(now)
      }
      for (let n = perS; n < sent.length; n++)
        expect((sent[n] as number) - (sent[n - perS] as number)).toBeGreaterThanOrEqual(1_000)
    }),
  )
})

it('a busy room uses the cap to the full and spreads it over the second', () => {
  const cap = new ClientCap(40)
  let sent = 0
  let most = 0
  for (let now = 0; now < 10_000; now += 50) {
    const allowed = cap.allowed(now, 100)
    cap.spend(now, allowed)
    sent += allowed
    // The first second begins with the burst that half of the cap is.
    if (now >= 1_000) most = Math.max(most, allowed)
  }
  expect(sent).toBeGreaterThanOrEqual(40 * 9)
  expect(most).toBeLessThanOrEqual(20)
})

it('a burst that fits into the second passes whole', () => {
  const cap = new ClientCap(40)
  expect(cap.allowed(5_000, 30)).toBe(30)
  cap.spend(5_000, 30)
  expect(cap.allowed(5_100, 10)).toBe(10)
  cap.spend(5_100, 10)
  expect(cap.allowed(5_200, 1)).toBe(0)
  expect(cap.allowed(6_000, 30)).toBe(30)
})

it('0 is no cap', () => {
  const cap = new ClientCap(0)
  cap.spend(0, 1e6)
  expect(cap.allowed(0, 5_000)).toBe(5_000)
})

it('samples by the message, the same for all, in the order of the room, the preferred first', () => {
  const list = Array.from({ length: 100 }, (_, n) => event(`id${n}`, n === 97))
  const kept = sample(list, 10)
  expect(kept).toHaveLength(10)
  expect(kept).toContain(list[97])
  expect(kept.map((one) => list.indexOf(one))).toEqual(kept.map((one) => list.indexOf(one)).toSorted((a, b) => a - b))
  expect(sample(list, 10)).toEqual(kept)
  expect(sample(list, 100)).toEqual(list)
  expect(sample(list, 0)).toEqual([])
  const ofHalf = sample(list, 50).filter((one) => list.indexOf(one) < 50).length
  expect(ofHalf).toBeGreaterThan(15)
  expect(ofHalf).toBeLessThan(35)
})
