import { expect, test } from 'vitest'
import { ManualClock, settle } from '../../base/clock.ts'
import { Schedules } from './schedules.ts'

function setup() {
  const clock = new ManualClock(0)
  const errors: string[] = []
  return { clock, errors, schedules: new Schedules(clock, (error, name) => errors.push(`${name}: ${(error as Error).message}`)) }
}

test('each at its own times; a failure is told and changes nothing', async () => {
  const { clock, errors, schedules } = setup()
  const runs: string[] = []
  const run = (name: string) => async (at: number) => {
    runs.push(`${name} ${at}`)
    if (name === 'b') throw new Error('sick')
  }
  schedules.set([
    { name: 'a', everyMs: 200, run: run('a') },
    { name: 'b', everyMs: 300, run: run('b') },
  ])
  await clock.advanceAsync(600)
  expect(runs).toEqual(['a 200', 'b 300', 'a 400', 'b 600', 'a 600'])
  expect(errors).toEqual(['b: sick', 'b: sick'])
  expect(schedules.stats.get('b')).toEqual({ runs: 2, failed: 2, skipped: 0 })
  schedules.stop()
  await clock.advanceAsync(10_000)
  expect(runs).toHaveLength(5)
})

test('never stacked, not over a new version either', async () => {
  const { clock, schedules } = setup()
  const ends: (() => void)[] = []
  const run = () => new Promise<void>((resolve) => ends.push(resolve))
  schedules.set([{ name: 'a', everyMs: 100, run }])
  await clock.advanceAsync(350)
  expect(schedules.stats.get('a')).toEqual({ runs: 1, failed: 0, skipped: 2 })
  schedules.set([{ name: 'a', everyMs: 100, run }])
  await clock.advanceAsync(100)
  expect(ends).toHaveLength(1)
  ends[0]?.()
  await settle()
  await clock.advanceAsync(100)
  expect(ends).toHaveLength(2)
})
