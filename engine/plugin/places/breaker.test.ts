import { expect, test } from 'vitest'
import { Breaker } from './breaker.ts'

function setup() {
  const changes: string[] = []
  const breaker = new Breaker((isOpen, reason) => changes.push(`${isOpen ? 'open' : 'closed'}: ${reason}`))
  return { breaker, changes }
}
const opened = (now = 0) => {
  const all = setup()
  for (let n = 0; n < 3; n++) all.breaker.failed(now, true)
  expect(all.breaker.isOpen).toBe(true)
  return all
}

test('three time-outs in a row open it, a success or another failure between them does not', () => {
  const { breaker, changes } = setup()
  for (const between of [() => breaker.succeeded(0), () => breaker.failed(0, false), () => void breaker.answered++]) {
    breaker.failed(0, true)
    breaker.failed(0, true)
    between()
  }
  expect(changes).toEqual([])
  for (let n = 0; n < 3; n++) breaker.failed(0, true)
  expect(changes).toEqual(['open: 3 time-outs in a row'])
})

test('more than 5 % of at least 20 within 10 s', () => {
  const { breaker, changes } = setup()
  breaker.succeeded(1, 18)
  breaker.failed(2, false)
  expect(breaker.isOpen).toBe(false) // 19
  breaker.failed(3, false)
  expect(changes).toEqual(['open: 2 of 20 answers failed'])
})

test('a lost batch weighs as many as were in it, and is one time-out', () => {
  const { breaker, changes } = setup()
  breaker.answered = 1_000
  breaker.failed(1, true, 50)
  expect(breaker.isOpen).toBe(false)
  breaker.failed(2, true, 3)
  expect(changes).toEqual(['open: 53 of 1053 answers failed'])
})

test('an hour of successes does not outweigh ten seconds of failures', () => {
  const { breaker } = setup()
  breaker.failed(0, false)
  breaker.answered = 1_000_000
  for (let n = 0; n < 20; n++) breaker.failed(3_600_000 + n, false)
  expect(breaker.isOpen).toBe(true)
})

test('after the pause one is the trial; its outcome closes it or doubles the pause, up to 30 s', () => {
  const { breaker, changes } = opened()
  expect([breaker.allows(999), breaker.wouldAllow(999)]).toEqual([false, false])
  let [now, pauseMs] = [1_000, 1_000]
  for (let n = 0; n < 7; n++) {
    expect(breaker.wouldAllow(now)).toBe(true)
    expect(breaker.allows(now)).toBe(true)
    expect([breaker.allows(now), breaker.wouldAllow(now)]).toEqual([false, false])
    breaker.failed(now, true)
    pauseMs = Math.min(2 * pauseMs, 30_000)
    expect(breaker.allows(now + pauseMs - 1)).toBe(false)
    now += pauseMs
  }
  breaker.succeeded(now) // a late one of before: nobody is on trial
  expect(breaker.isOpen).toBe(true)
  expect(breaker.allows(now)).toBe(true)
  breaker.succeeded(now)
  expect(changes.at(-1)).toBe('closed: answers again')
  for (let n = 0; n < 3; n++) breaker.failed(now, true)
  expect(breaker.allows(now + 1_000)).toBe(true)
})

test('a trial that came to nothing is not waited for', () => {
  const { breaker } = opened()
  expect(breaker.allows(1_000)).toBe(true)
  breaker.abandoned()
  expect(breaker.allows(1_000)).toBe(true)
  breaker.succeeded(1_000)
  expect(breaker.isOpen).toBe(false)
})
