import { expect, test } from 'vitest'
import { settle } from '../../base/clock.ts'
import { LiveEvents } from './live-events.ts'

interface Out {
  room: string
  n: number
  end(error?: Error): void
}
function setup({ queueMax = 100, inFlightMax = 2 } = {}) {
  const out: Out[] = []
  const errors: unknown[] = []
  const live = new LiveEvents<{ room: string; n: number }>({
    queueMax,
    inFlightMax,
    deliver: ({ room, n }) =>
      new Promise((resolve, reject) => out.push({ room, n, end: (error) => (error ? reject(error) : resolve()) })),
    onError: (error) => errors.push(error),
  })
  const end = async (error?: Error) => {
    out.shift()?.end(error)
    await settle()
  }
  return { live, out, errors, end }
}
const shown = (out: Out[]) => out.map(({ room, n }) => `${room}${n}`)

test('in order per room, several rooms at a time, a failure is the end of one event only', async () => {
  const { live, out, errors, end } = setup()
  for (const n of [1, 2]) for (const room of ['a', 'b', 'c']) live.push({ room, n })
  expect(shown(out)).toEqual(['a1', 'b1'])
  await end(new Error('sick'))
  expect(shown(out)).toEqual(['b1', 'c1'])
  await end()
  expect(shown(out)).toEqual(['c1', 'a2'])
  await end()
  await end()
  await end()
  await end()
  expect(live.stats).toMatchObject({ delivered: 5, failed: 1, dropped: 0 })
  expect(errors).toHaveLength(1)
})

test('at the bound the newest goes and is counted; so does all that waits when the plugin goes', async () => {
  const { live, out, end } = setup({ queueMax: 4 })
  for (let n = 1; n <= 6; n++) live.push({ room: 'a', n })
  live.push({ room: 'b', n: 1 })
  expect(live.stats).toMatchObject({ dropped: 3 })
  live.clear()
  expect(live.stats).toMatchObject({ dropped: 6 })
  expect(shown(out)).toEqual(['a1'])
  await end()
  live.push({ room: 'a', n: 7 })
  expect(shown(out)).toEqual(['a7'])
})
