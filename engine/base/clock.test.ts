import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ManualClock, SystemClock, settle } from './clock.ts'

describe('manual clock', () => {
  test('stands still until it is moved', () => {
    const clock = new ManualClock(1_000)
    expect(clock.now()).toBe(1_000)
    clock.advance(5)
    expect(clock.now()).toBe(1_005)
  })

  test('fires what is due, each at its own instant, by time and then by order of asking', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { maxLength: 30 }), fc.nat(60), (delays, span) => {
        const clock = new ManualClock(0)
        const fired: { at: number; i: number }[] = []
        for (const [i, ms] of delays.entries()) clock.after(ms, () => fired.push({ at: clock.now(), i }))
        clock.advance(span)
        const want = delays.map((at, i) => ({ at, i })).filter(({ at }) => at <= span)
        expect(fired).toEqual(want.sort((a, b) => a.at - b.at || a.i - b.i))
        expect(clock.now()).toBe(span)
      }),
      { numRuns: 200 },
    )
  })

  test('steps of any sizes fire the same as one step', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(50), { maxLength: 20 }),
        fc.array(fc.nat(20), { minLength: 1, maxLength: 10 }),
        (delays, steps) => {
          const run = (moves: number[]) => {
            const clock = new ManualClock(0)
            const fired: string[] = []
            for (const [i, ms] of delays.entries()) clock.after(ms, () => fired.push(`${i} at ${clock.now()}`))
            for (const ms of moves) clock.advance(ms)
            return fired
          }
          expect(run(steps)).toEqual(run([steps.reduce((sum, ms) => sum + ms, 0)]))
        },
      ),
      { numRuns: 100 },
    )
  })

  test('a timer may set and cancel timers', () => {
    const clock = new ManualClock(0)
    const fired: string[] = []
    const never = clock.after(20, () => fired.push('never'))
    clock.after(10, () => {
      fired.push(`first ${clock.now()}`)
      never.cancel()
      never.cancel()
      clock.after(5, () => fired.push(`second ${clock.now()}`))
      clock.after(500, () => fired.push('too late'))
    })
    expect(clock.nextAt()).toBe(10)
    clock.advance(100)
    expect(fired).toEqual(['first 10', 'second 15'])
    expect(clock.nextAt()).toBe(510)
    clock.advance(410)
    expect(clock.nextAt()).toBeUndefined()
  })

  test('a repeating timer ends with the span', () => {
    const clock = new ManualClock(0)
    let ticks = 0
    const tick = () => {
      ticks++
      clock.after(10, tick)
    }
    clock.after(10, tick)
    clock.advance(100)
    expect(ticks).toBe(10)
  })

  test('advanceAsync lets what a timer woke go on before the next timer', async () => {
    const clock = new ManualClock(0)
    const log: string[] = []
    const wait = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve))
    const work = async () => {
      await wait(10)
      log.push(`awake at ${clock.now()}`)
      await wait(10)
      log.push(`again at ${clock.now()}`)
    }
    void work()
    clock.after(15, () => log.push(`between at ${clock.now()}`))
    await clock.advanceAsync(100)
    expect(log).toEqual(['awake at 10', 'between at 15', 'again at 20'])
  })
})

describe('system clock', () => {
  test('gives whole milliseconds that never go backwards, near the wall clock', () => {
    const clock = new SystemClock()
    let last = clock.now()
    for (let i = 0; i < 50_000; i++) {
      const now = clock.now()
      if (now < last || !Number.isInteger(now)) throw new Error(`${now} after ${last}`)
      last = now
    }
    expect(Math.abs(clock.wallStepMs())).toBeLessThan(60_000)
  })

  test('does not follow a step of the wall clock, and tells of it', () => {
    const clock = new SystemClock()
    const real = Date.now
    const before = clock.now()
    try {
      Date.now = () => real() - 3_600_000
      expect(clock.now()).toBeGreaterThanOrEqual(before)
      expect(clock.wallStepMs()).toBeLessThan(-3_000_000)
    } finally {
      Date.now = real
    }
  })

  test('fires once, unless cancelled, and not before its time', async () => {
    const clock = new SystemClock()
    const startAt = clock.now()
    const never = clock.after(0, () => expect.unreachable())
    never.cancel()
    // A timer does not keep the process alive: this one does.
    const alive = setInterval(() => {}, 1_000)
    await new Promise<void>((resolve) => clock.after(5, resolve))
    clearInterval(alive)
    expect(clock.now()).toBeGreaterThanOrEqual(startAt + 4)
  })

  test('a span over 24.8 days is not cut to nothing', async () => {
    const clock = new SystemClock()
    const timer = clock.after(365 * 86_400_000, () => expect.unreachable())
    const alive = setInterval(() => {}, 1_000)
    await new Promise<void>((resolve) => clock.after(10, resolve))
    clearInterval(alive)
    timer.cancel()
  })

  test('settle waits for microtasks', async () => {
    let steps = 0
    void (async () => {
      for (let i = 0; i < 100; i++) {
        await null
        steps++
      }
    })()
    await settle()
    expect(steps).toBe(100)
  })
})
