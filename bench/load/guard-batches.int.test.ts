/** Checks gather: many of them need few messages to the plugin, whatever the machine does. A real plugin in a real thread. */
import { fileURLToPath } from 'node:url'
import { afterEach, expect, test } from 'vitest'
import { SystemClock } from '../../engine/base/clock.ts'
import { silentLog } from '../../engine/base/log.ts'
import { WorkerPlace } from '../../engine/plugin/places/worker.ts'

const checks = 10_000
const open = 256
const itemsMax = 64
/** So long that no verdict is late, however busy the machine. */
const budgetMs = 60_000
const ask = { room: 'r1', at: 0, from: { userId: 'u1', name: 'U1', anonymous: false, ranks: [] }, d: { text: 'hello' } }
const stops: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

async function started(): Promise<WorkerPlace> {
  const clock = new SystemClock()
  const events = {
    onCall: async () => undefined,
    onInstance: () => {},
    onUnfit: () => {},
    onLog: () => {},
    onCount: () => {},
  }
  const file = fileURLToPath(new URL('./guard-plugin.ts', import.meta.url))
  const place = await WorkerPlace.load(file, '0.0.0', { clock, liveClock: clock, log: silentLog, events })
  stops.push(() => place.stop(1_000))
  await place.start(1, {})
  return place
}

test('under load nearly every batch is full', async () => {
  const place = await started()
  let asked = 0
  const one = async () => {
    while (asked < checks) {
      asked++
      await place.check(0, ask, budgetMs)
    }
  }
  await Promise.all(Array.from({ length: open }, one))
  expect(place.counts.items).toBe(checks)
  // Two go at once when all is quiet, and what is left at the end may not fill a batch.
  expect(place.counts.batches).toBeLessThanOrEqual(checks / itemsMax + 2 + open / itemsMax)
})

test('a check that comes alone goes alone, and at once', async () => {
  const place = await started()
  for (let i = 0; i < 5; i++) await place.check(0, ask, budgetMs)
  expect(place.counts).toMatchObject({ batches: 5, items: 5 })
})
