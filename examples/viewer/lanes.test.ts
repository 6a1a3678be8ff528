import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type Area,
  capacityPerS,
  type Direction,
  fontPxOf,
  Lanes,
  type Level,
  laneHeightOf,
  levelFor,
  levels,
  stillMs,
} from './lanes.ts'

const desktop: Area = { width: 900, height: 506 }
const phone: Area = { width: 360, height: 202 }
const calm = levels[0] as Level

interface Flown {
  top: number
  level: Level
  at: number
  width: number
  direction: Direction
}

/** Left and right end of a text at an instant. */
function span({ at, width, direction, level }: Flown, area: Area, now: number): [number, number] | undefined {
  const part = (now - at) / level.crossMs
  if (part < 0 || part > 1) return undefined
  const way = (area.width + width) * part
  const left = direction === 'left' ? area.width - way : way - width
  return [left, left + width]
}

function inOneBand(a: Flown, b: Flown, area: Area): boolean {
  const height = (flown: Flown) => laneHeightOf(fontPxOf(area, flown.level))
  return a.top + 1 < b.top + height(b) && b.top + 1 < a.top + height(a)
}

test('no two texts ever touch, not even of two levels', () => {
  const arrivals = fc.array(
    fc.record({
      waitMs: fc.nat(900),
      width: fc.integer({ min: 20, max: 700 }),
      reverse: fc.boolean(),
      level: fc.constantFrom(...levels),
    }),
    {
      minLength: 2,
      maxLength: 60,
    },
  )
  fc.assert(
    fc.property(arrivals, fc.constantFrom(desktop, phone), (texts, area) => {
      const lanes = new Lanes()
      const flown: Flown[] = []
      let now = 0
      for (const { waitMs, width, reverse, level } of texts) {
        now += waitMs
        const direction = reverse ? 'right' : 'left'
        const flight = lanes.fly(area, level, width, now, direction)
        if (flight) flown.push({ top: flight.top, level, at: now, width, direction })
      }
      for (const [i, a] of flown.entries())
        for (const b of flown.slice(i + 1))
          if (inOneBand(a, b, area))
            for (let t = b.at; t <= a.at + a.level.crossMs; t += 250) {
              const [one, two] = [span(a, area, t), span(b, area, t)]
              if (one && two) expect(one[1] <= two[0] || two[1] <= one[0]).toBe(true)
            }
    }),
    { numRuns: 60 },
  )
})

test('lanes fill from the top and give place again', () => {
  const lanes = new Lanes()
  const height = laneHeightOf(fontPxOf({ width: 400, height: 60 }, calm))
  const small: Area = { width: 400, height: height * 2.2 }
  expect(lanes.fly(small, calm, 100, 0)?.top).toBe(0)
  expect(lanes.fly(small, calm, 100, 0)?.top).toBe(height)
  expect(lanes.fly(small, calm, 100, 0)).toBeUndefined()
  expect(lanes.fly(small, calm, 100, 2_100)?.top).toBe(0) // the tail is in: (100 + 20) px at 500 px in 8.5 s
  expect(lanes.fly(small, calm, 400, 2_100)).toBeUndefined() // faster: it would catch up
})

test('forty a second fit a desktop picture, in the storm', () => {
  const widthMean = 130
  const level = levelFor(desktop, 40, widthMean)
  expect(level).toBe(levels.at(-1))
  expect(capacityPerS(desktop, level, widthMean * level.scale)).toBeGreaterThanOrEqual(30)
  expect(levelFor(desktop, 2, widthMean)).toBe(calm)
  expect(laneHeightOf(fontPxOf(phone, calm)) * 5).toBeLessThan(phone.height)
})

test('texts that stand still stack, and leave in time', () => {
  const lanes = new Lanes()
  const first = lanes.stand(desktop, calm, 'bottom', 0)
  const second = lanes.stand(desktop, calm, 'bottom', 10)
  expect(first?.top).toBeGreaterThan(second?.top ?? 0)
  expect(lanes.stand(desktop, calm, 'top', 10)?.top).toBe(0)
  expect(lanes.stand(desktop, calm, 'bottom', stillMs)?.top).toBe(first?.top)
  let placed = 0
  while (lanes.stand(desktop, calm, 'top', 5_000)) placed++
  expect(placed).toBeLessThan(8)
})
