import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import { Scheduler, type Sleeper, TickBudget } from './scheduler.ts'

class Room implements Sleeper {
  readonly woken: number[] = []
  due: number | undefined
  wake(now: number): void {
    this.woken.push(now)
    if (this.due !== undefined && this.due <= now) this.due = undefined
  }
  nextDueAt(): number | undefined {
    return this.due
  }
}

it('wakes each when it asked, the nearer wish wins, and nobody twice', () => {
  const clock = new ManualClock(0)
  const scheduler = new Scheduler(clock, () => {})
  const [a, b] = [new Room(), new Room()]
  scheduler.at(a, 100)
  scheduler.at(a, 50)
  scheduler.at(a, 80)
  scheduler.at(b, 60)
  clock.advance(200)
  expect([a.woken, b.woken]).toEqual([[50], [60]])
  expect(clock.nextAt()).toBeUndefined()
})

it('one that throws is told of and costs nobody else their turn; one that is forgotten sleeps on', () => {
  const clock = new ManualClock(0)
  const errors: unknown[] = []
  const scheduler = new Scheduler(clock, (error) => errors.push(error))
  const sick: Sleeper = {
    wake: () => {
      throw new Error('sick')
    },
    nextDueAt: () => undefined,
  }
  const [well, gone] = [new Room(), new Room()]
  scheduler.at(sick, 10)
  scheduler.at(well, 10)
  scheduler.at(gone, 10)
  scheduler.forget(gone)
  clock.advance(10)
  expect(errors).toHaveLength(1)
  expect([well.woken, gone.woken]).toEqual([[10], []])
})

it('one that is always due holds nobody up: a millisecond passes between its turns', () => {
  const clock = new ManualClock(0)
  const scheduler = new Scheduler(clock, () => {})
  const turns: number[] = []
  scheduler.at({ wake: (now) => turns.push(now), nextDueAt: () => 0 }, 0)
  clock.advance(5)
  expect(turns).toEqual([0, 1, 2, 3, 4, 5])
})

it('whatever is asked, everybody is woken in order and at their time', () => {
  const wishes = fc.array(fc.record({ who: fc.nat(5), at: fc.nat(500) }), { maxLength: 60 })
  fc.assert(
    fc.property(wishes, (list) => {
      const clock = new ManualClock(0)
      const scheduler = new Scheduler(clock, () => {})
      const rooms = Array.from({ length: 6 }, () => new Room())
      for (const { who, at } of list) scheduler.at(rooms[who] as Room, at)
      clock.advance(500)
      for (const [who, room] of rooms.entries()) {
        const asked = list.filter((wish) => wish.who === who).map(({ at }) => at)
        expect(room.woken).toEqual(asked.length > 0 ? [Math.min(...asked)] : [])
      }
    }),
  )
})

it('a quiet room sends at once, a full one no more often than its share of the loop allows, none later than tickMsMax', () => {
  const rules = { tickMsMin: 2, tickMsMax: 100, shareBps: 1_500, writeCostNs: 5_000 }
  const framesIn10S = (members: number, events = 1) => {
    const budget = new TickBudget(rules)
    let frames = 0
    let longest = 0
    for (let now = 0; now < 10_000; ) {
      const next = budget.nextAt(now, members)
      longest = Math.max(longest, next - now)
      budget.sent(next, members, events)
      frames++
      now = next
    }
    expect(longest).toBeLessThanOrEqual(100)
    return frames
  }
  expect(new TickBudget(rules).nextAt(1_000, 1_000)).toBe(1_002)
  expect(framesIn10S(10)).toBeGreaterThan(2_500)
  // 1,000 members x 5 us = 5 ms a frame; 15 % of the loop pays for 30 a second.
  expect(framesIn10S(1_000)).toBeGreaterThan(250)
  expect(framesIn10S(1_000)).toBeLessThan(350)
  expect(framesIn10S(100_000)).toBeGreaterThanOrEqual(100)
  // Frames of three events and more are worth waiting for: the gap grows to tickMsMax.
  expect(framesIn10S(1_000, 3)).toBeLessThan(120)
  expect(framesIn10S(1_000, 3)).toBeGreaterThanOrEqual(100)
})
