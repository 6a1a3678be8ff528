import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ManualClock, settle } from '../../base/clock.ts'
import { CoreDb, type Op } from '../../room/core-db.ts'
import { type LogEntry, openStoreInline, QueuedStore, type Store } from '../../room/store.ts'
import { Consumer, type ConsumerLimits, type ConsumerParts, consumerLimits } from './consumers.ts'

/** One delivery that the plugin has in its hands. */
interface Out {
  pos: number
  roomId: string
  attempt: number
  ok(): Promise<void>
  fail(error?: unknown): Promise<void>
}

let store: Store
let clock: ManualClock
let out: Out[]
let log: string[]
let consumers: Consumer[]
let events = 0

beforeEach(() => {
  store = openStoreInline({ file: ':memory:', roomsMax: 10 })
  clock = new ManualClock()
  out = []
  log = []
  consumers = []
})
afterEach(async () => {
  const stopped = consumers.map((consumer) => consumer.stop())
  for (const delivery of [...out]) await delivery.ok()
  await Promise.all(stopped)
  await store.close()
})

function deliver(entry: LogEntry, attempt: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settleIt: () => void) => {
      out.splice(out.indexOf(delivery), 1)
      settleIt()
      return settle()
    }
    const delivery: Out = {
      pos: entry.pos,
      roomId: entry.roomId,
      attempt,
      ok: () => end(resolve),
      fail: (error = new Error('no')) => end(() => reject(error)),
    }
    out.push(delivery)
  })
}
function make(more: Partial<Omit<ConsumerParts, 'limits'>> & { limits?: Partial<ConsumerLimits> } = {}): Consumer {
  const consumer = new Consumer({
    key: 'trivia',
    store,
    clock,
    wants: ({ row }) => row.t !== 'unwanted',
    deliver,
    startAt: 'beginning',
    onRetry: (entry, { attempt, waitMs }) => log.push(`retry ${entry.pos} after ${attempt} in ${waitMs}`),
    onDead: (entry, error) => log.push(`dead ${entry.pos} ${(error as Error).message}`),
    onError: (error, where) => log.push(`${where}: ${(error as Error).message}`),
    ...more,
    limits: { ...consumerLimits, ...more.limits },
  })
  consumers.push(consumer)
  return consumer
}
async function started(more: Parameters<typeof make>[0] = {}): Promise<Consumer> {
  const consumer = make(more)
  await consumer.start()
  await settle()
  return consumer
}
/** One row for each room named, in this order. */
async function append(rooms: string | string[], t = 'gift.sent'): Promise<void> {
  for (const roomId of rooms) {
    const eid = `e${events++}`
    store.appendLog(roomId, [{ eid, t, at: clock.now(), actor: 'u1', d: { eid }, epoch: 1, seq: events }])
  }
  await settle()
}
const positions = () => out.map(({ pos }) => pos)
const at = (pos: number): Out => {
  const found = out.find((delivery) => delivery.pos === pos)
  if (!found) throw new Error(`${pos} is not out; ${positions()} are`)
  return found
}
const cursor = (key = 'trivia') => store.getCursor(key)
const dead = () => store.listDead({ afterId: 0, limit: 1_000 })
const unavailable = Object.assign(new Error('no instance'), { code: 'plugin.unavailable' })

describe('order', () => {
  test('one event of a room at a time, rooms side by side, unwanted rows passed over', async () => {
    await append(['a', 'a', 'b'])
    await append(['a'], 'unwanted')
    const consumer = await started()
    await append(['b', '', 'a'])
    expect(positions()).toEqual([1, 3, 6])
    await at(1).ok()
    expect(positions()).toEqual([3, 6, 2])
    await at(2).ok()
    await at(3).ok()
    expect(positions()).toEqual([6, 7, 5])
    for (const pos of [5, 6, 7]) await at(pos).ok()
    expect(consumer.stats).toMatchObject({ delivered: 6, pos: 7, inFlight: 0 })
    expect(consumer.lag()).toBe(0)
    expect(await cursor()).toEqual({ pos: 7, acked: [] })
  })

  test('a failing event blocks its own room alone', async () => {
    const consumer = await started()
    await append(['a', 'b', 'a', 'b'])
    await at(1).fail()
    await at(2).ok()
    await at(4).ok()
    expect(positions()).toEqual([])
    expect(consumer.stats.pos).toBe(0)
    expect(consumer.lag()).toBe(4)
    expect(await cursor()).toEqual({ pos: 0, acked: [2, 4] })
    await clock.advanceAsync(200)
    expect(out).toMatchObject([{ pos: 1, attempt: 2 }])
    await at(1).ok()
    await at(3).ok()
    expect(await cursor()).toEqual({ pos: 4, acked: [] })
  })

  test('at most inFlightMax rooms at once, each room in turn', async () => {
    await started({ limits: { inFlightMax: 2 } })
    await append(['a', 'b', 'c', 'a', 'b', 'c'])
    const seen: number[] = []
    while (out.length > 0) {
      expect(out.length).toBeLessThanOrEqual(2)
      seen.push(out[0]?.pos ?? 0)
      await out[0]?.ok()
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('a room in its pause takes no place from others', async () => {
    await started({ limits: { inFlightMax: 1 } })
    await append(['a', 'b'])
    await at(1).fail()
    expect(positions()).toEqual([2])
  })

  test('a plugin that throws at once or answers at once', async () => {
    const seen: string[] = []
    await started({
      deliver: (entry, attempt) => {
        seen.push(`${entry.pos}/${attempt}`)
        if (entry.pos === 1 && attempt === 1) throw new Error('at once')
        return Promise.resolve()
      },
    })
    await append(Array.from({ length: 2_000 }, () => 'a'))
    await clock.advanceAsync(200)
    expect(seen.slice(0, 3)).toEqual(['1/1', '1/2', '2/1'])
    expect(seen).toHaveLength(2_001)
  })
})

describe('failures', () => {
  test('the pause doubles; after the last attempt a dead letter, on disk with the cursor that passes it', async () => {
    const consumer = await started()
    await append(['a', 'a'])
    const waits: number[] = []
    for (let attempt = 1; attempt < 8; attempt++) {
      expect(at(1).attempt).toBe(attempt)
      await at(1).fail()
      const due = clock.nextAt() ?? 0
      waits.push(due - clock.now())
      await clock.advanceAsync(due - clock.now() - 1)
      expect(positions()).toEqual([])
      await clock.advanceAsync(1)
    }
    expect(waits).toEqual([200, 400, 800, 1_600, 3_200, 6_400, 12_800])
    expect(log).toEqual(waits.map((waitMs, i) => `retry 1 after ${i + 1} in ${waitMs}`))
    await at(1).fail(new Error('x'.repeat(5_000)))
    expect(positions()).toEqual([2])
    expect(await cursor()).toEqual({ pos: 1, acked: [] })
    const [entry] = await store.readLog({ afterPos: 0, limit: 1 })
    const letter = { id: 1, plugin: 'trivia', entry, attempts: 8, error: 'x'.repeat(1_000), deadAt: clock.now() }
    expect(await dead()).toEqual([letter])
    expect(consumer.stats).toMatchObject({ retried: 7, dead: 1, delivered: 0, pos: 1 })
    expect(log.at(-1)).toMatch(/^dead 1 x/)
  })

  test('the pause has an upper bound', async () => {
    await started({ limits: { attemptsMax: 12, backoffMsMax: 1_000 } })
    await append(['a'])
    for (let i = 0; i < 6; i++) {
      await at(1).fail()
      await clock.advanceAsync(1_000)
    }
    expect(log.map((line) => line.split(' ').at(-1))).toEqual(['200', '400', '800', '1000', '1000', '1000'])
  })

  test('without an instance nothing counts as an attempt, for ever', async () => {
    const consumer = await started()
    await append(['a', 'b'])
    await at(1).fail()
    await clock.advanceAsync(200)
    for (let i = 0; i < 50; i++) {
      expect(at(1).attempt).toBe(2)
      await at(1).fail(unavailable)
      await clock.advanceAsync(30_000)
    }
    await at(1).ok()
    expect(consumer.stats).toMatchObject({ retried: 1, dead: 0 })
    expect(log).toHaveLength(1)
  })

  test('resume tries at once what waited for an instance, and nothing else', async () => {
    const consumer = await started()
    await append(['a', 'b', 'c'])
    await at(1).fail(unavailable)
    await at(2).fail()
    const paused = consumer.pause()
    await at(3).fail(unavailable)
    await paused
    await append(['d'])
    await clock.advanceAsync(100)
    expect(positions()).toEqual([])
    consumer.resume()
    await settle()
    expect(positions()).toEqual([1, 3, 4])
    await clock.advanceAsync(100)
    expect(positions()).toEqual([1, 3, 4, 2])
  })
})

describe('pause and stop', () => {
  test('pause waits for what is out and lets nothing follow', async () => {
    const consumer = await started()
    await append(['a', 'a'])
    let isPaused = false
    const paused = consumer.pause().then(() => {
      isPaused = true
    })
    await settle()
    expect(isPaused).toBe(false)
    await at(1).ok()
    await paused
    await append(['b'])
    await clock.advanceAsync(60_000)
    expect(positions()).toEqual([])
    expect(consumer.lag()).toBe(2)
    consumer.resume()
    await settle()
    expect(positions()).toEqual([2, 3])
  })

  test('a pause that is taken back does not wait on', async () => {
    const consumer = await started()
    await append(['a'])
    const paused = consumer.pause()
    consumer.resume()
    await paused
    expect(positions()).toEqual([1])
  })

  test('after a stop the next consumer delivers what was not acknowledged, and only that', async () => {
    const first = await started()
    await append(['a', 'b', 'c', 'a', 'c'])
    await append(['a'], 'unwanted')
    await at(2).ok()
    const stopped = first.stop()
    await at(3).ok()
    await at(1).fail()
    await stopped
    await clock.advanceAsync(60_000)
    expect(positions()).toEqual([])
    const second = await started()
    expect(out).toMatchObject([
      { pos: 1, attempt: 1 },
      { pos: 5, attempt: 1 },
    ])
    await at(5).ok()
    await at(1).ok()
    await at(4).ok()
    expect(second.stats.delivered).toBe(3)
    expect(await cursor()).toEqual({ pos: 6, acked: [] })
  })

  test('what was acknowledged beyond the cursor is remembered before the next consumer has read up to it', async () => {
    const first = await started()
    await append(['a', 'b', 'c', 'd'])
    for (const pos of [2, 4]) await at(pos).ok()
    for (const pos of [1, 3]) at(pos).fail()
    await first.stop()
    const second = await started({ limits: { windowMax: 2 } })
    await at(1).fail()
    await second.stop()
    expect(await cursor()).toEqual({ pos: 0, acked: [2, 4] })
  })

  test('stop before start, twice, and while starting', async () => {
    await append(['a'])
    const never = make()
    await never.stop()
    await never.stop()
    await expect(never.start()).rejects.toThrow('started before')
    const early = make({ key: 'early' })
    const starting = early.start()
    await early.stop()
    await starting
    await settle()
    expect(positions()).toEqual([])
    expect(await cursor()).toBeUndefined()
  })
})

describe('the place in the log', () => {
  test('a new consumer starts at the end, and that is on disk before the first event', async () => {
    await append(['a', 'a'])
    const first = await started({ startAt: 'end' })
    expect(await cursor()).toEqual({ pos: 2, acked: [] })
    await first.stop()
    await append(['a'])
    await started({ startAt: 'end' })
    expect(positions()).toEqual([3])
  })

  test('rows that come while it starts are not lost', async () => {
    const consumer = make({ startAt: 'end' })
    const starting = consumer.start()
    await append(['a'])
    await starting
    await append(['b'])
    expect(positions().at(-1)).toBe(2)
    expect(consumer.lag() - out.length).toBe(0)
  })

  test('it reads windowMax events ahead of the first that is not done, and no further', async () => {
    const consumer = await started({ limits: { windowMax: 10, pageMax: 4 } })
    await append(['stuck'])
    for (let i = 0; i < 30; i++) await append([`r${i}`])
    await append(['x'], 'unwanted')
    await at(1).fail()
    while (out.length > 0) await out[0]?.ok()
    expect(consumer.stats).toMatchObject({ delivered: 9, pos: 0 })
    expect(await cursor()).toEqual({ pos: 0, acked: [2, 3, 4, 5, 6, 7, 8, 9, 10] })
    await clock.advanceAsync(200)
    await at(1).ok()
    while (out.length > 0) await out[0]?.ok()
    expect(consumer.stats).toMatchObject({ delivered: 31, pos: 32 })
  })

  test('cursor writes are gathered, and unwanted rows alone are hardly worth one', async () => {
    const consumer = await started()
    await append(Array.from({ length: 64 }, (_, i) => `r${i}`))
    const before = store.stats().commits
    await Promise.all([...out].map((delivery) => delivery.ok()))
    expect(store.stats().commits - before).toBeLessThanOrEqual(3)
    expect(await cursor()).toEqual({ pos: 64, acked: [] })
    await append(
      Array.from({ length: 499 }, () => 'a'),
      'unwanted',
    )
    expect(consumer.stats.pos).toBe(563)
    expect(await cursor()).toEqual({ pos: 64, acked: [] })
    await append(['a'], 'unwanted')
    expect(await cursor()).toEqual({ pos: 564, acked: [] })
    await append(['a'], 'unwanted')
    await consumer.stop()
    expect(await cursor()).toEqual({ pos: 565, acked: [] })
  })

  test('rows that were pruned unread are skipped and counted, those before its beginning are not', async () => {
    await append(['a', 'a', 'a'])
    await store.pruneLog(clock.now() + 1)
    await append(['a'])
    const consumer = await started()
    expect(positions()).toEqual([4])
    await at(4).ok()
    await consumer.pause()
    await append(['a', 'a'])
    await store.pruneLog(clock.now() + 1)
    consumer.resume()
    await settle()
    expect(consumer.stats).toMatchObject({ skipped: 2, pos: 6 })
    expect(log).toEqual(['trivia log: 2 rows (5..6) were pruned before they were read'])
    await consumer.pause()
    await append(['a'])
    await store.pruneLog(clock.now() + 1)
    await append(['a', 'a'])
    consumer.resume()
    await settle()
    expect(consumer.stats).toMatchObject({ skipped: 3, pos: 7 })
    expect(positions()).toEqual([8])
  })

  test('pruned rows that were done already are neither missed nor remembered', async () => {
    const first = await started()
    await append(['a', 'b', 'c'])
    await at(2).ok()
    await at(1).fail()
    await at(3).fail()
    await first.stop()
    await store.pruneLog(clock.now() + 1)
    const second = await started()
    expect(second.stats).toMatchObject({ skipped: 2, pos: 3 })
    await second.stop()
    expect(await cursor()).toEqual({ pos: 3, acked: [] })
  })

  test('rewind waits for what is out and delivers again; further on it skips', async () => {
    const consumer = await started()
    await append(['a', 'a', 'b', 'a'])
    await at(1).ok()
    await at(3).fail()
    const rewound = consumer.rewind(0)
    await settle()
    expect(await cursor()).toEqual({ pos: 1, acked: [] })
    await at(2).ok()
    await rewound
    await settle()
    expect(out).toMatchObject([
      { pos: 1, attempt: 1 },
      { pos: 3, attempt: 1 },
    ])
    expect(await cursor()).toEqual({ pos: 0, acked: [] })
    const both = [consumer.rewind(3), consumer.rewind(99)]
    for (const delivery of [...out]) await delivery.ok()
    await Promise.all(both)
    await settle()
    expect(positions()).toEqual([])
    expect(consumer.stats).toMatchObject({ pos: 4, skipped: 0 })
  })

  test('rewind goes back no further than the log does, keeps a pause, and needs a running consumer', async () => {
    await append(['a', 'a'])
    await store.pruneLog(clock.now() + 1)
    await append(['a'])
    const consumer = await started()
    await at(3).ok()
    await consumer.pause()
    await consumer.rewind(-5)
    expect(consumer.stats).toMatchObject({ pos: 2, skipped: 0 })
    expect(positions()).toEqual([])
    consumer.resume()
    await settle()
    await at(3).ok()
    await expect(consumer.rewind(Number.NaN)).rejects.toThrow()
    expect(consumer.stats.pos).toBe(3)
    await consumer.stop()
    await expect(consumer.rewind(0)).rejects.toThrow('does not run')
  })
})

describe('replay of dead letters', () => {
  async function withDead(rooms: string[]): Promise<Consumer> {
    const consumer = await started({ limits: { attemptsMax: 2 } })
    await append(rooms)
    while ((await cursor())?.pos !== rooms.length) {
      for (const delivery of [...out]) await delivery.fail()
      await clock.advanceAsync(200)
    }
    expect(await dead()).toHaveLength(rooms.length)
    return consumer
  }

  test('in the order of their ids, from attempt 1; what arrives leaves the list, what fails stays', async () => {
    const consumer = await withDead(['a', 'a', 'b'])
    const replayed = consumer.replay([3, 2, 1, 77])
    await settle()
    expect(out).toMatchObject([
      { pos: 1, attempt: 1 },
      { pos: 3, attempt: 1 },
    ])
    expect(await dead()).toHaveLength(3)
    await at(1).ok()
    expect(await dead()).toHaveLength(2)
    await at(3).fail(new Error('once'))
    await at(2).ok()
    await clock.advanceAsync(200)
    await at(3).fail(new Error('still'))
    expect(await replayed).toEqual({ delivered: 2, failed: 1, left: 1 })
    expect(await dead()).toMatchObject([{ entry: { pos: 3 }, attempts: 4, error: 'still', deadAt: clock.now() }])
  })

  test('a letter goes in the queue of its room, between live events', async () => {
    const consumer = await withDead(['a'])
    await append(['a', 'a'])
    const replayed = consumer.replay([1])
    await settle()
    expect(positions()).toEqual([2])
    for (const pos of [2, 3, 1]) await at(pos).ok()
    expect(await replayed).toEqual({ delivered: 1, failed: 0, left: 0 })
    expect(await cursor()).toEqual({ pos: 3, acked: [] })
  })

  test('nobody else’s, not twice at once, and no more than windowMax', async () => {
    const consumer = await withDead(['a', 'b'])
    await store.putCursor('other', { pos: 0, acked: [] }, [{ ...(await dead())[0] } as never])
    const first = consumer.replay([1, 1, 3])
    await settle()
    expect(await consumer.replay([1])).toEqual({ delivered: 0, failed: 0, left: 1 })
    expect(positions()).toEqual([1])
    await at(1).ok()
    expect(await first).toEqual({ delivered: 1, failed: 0, left: 2 })
    const small = await started({ limits: { windowMax: 1 } })
    const few = small.replay([2, 99])
    await settle()
    await at(2).ok()
    expect(await few).toEqual({ delivered: 1, failed: 0, left: 1 })
  })

  test('a stop or a rewind leaves them in the list', async () => {
    const consumer = await withDead(['a'])
    await consumer.pause()
    const replayed = consumer.replay([1])
    await settle()
    await consumer.rewind(1)
    expect(await replayed).toEqual({ delivered: 0, failed: 0, left: 1 })
    const again = consumer.replay([1])
    await consumer.stop()
    expect(await again).toEqual({ delivered: 0, failed: 0, left: 1 })
    expect(await consumer.replay([1])).toEqual({ delivered: 0, failed: 0, left: 1 })
    expect(await dead()).toHaveLength(1)
  })
})

describe('a store that fails', () => {
  /** The real database behind a disk that fails when told: before the batch, or after it, when only the answer is lost. */
  let disk: { fails: false | 'before' | 'after'; ops: (op: Op) => boolean }
  beforeEach(async () => {
    await store.close()
    const db = new CoreDb({ file: ':memory:', roomsMax: 10 })
    disk = { fails: false, ops: () => true }
    const run = async (ops: readonly Op[]) => {
      const fails = ops.some(disk.ops) && disk.fails
      if (fails === 'before') throw new Error('disk I/O error')
      const result = db.batch(ops)
      if (fails === 'after') throw new Error('the worker died')
      return result
    }
    store = new QueuedStore({ up: true, restarts: 0, run, close: async () => db.close() }, {})
  })
  afterEach(() => {
    disk.fails = false
  })

  test('start rejects and can be tried again', async () => {
    await append(['a'])
    const consumer = make()
    disk.fails = 'before'
    await expect(consumer.start()).rejects.toThrow('disk I/O')
    disk.fails = false
    await append(['a'])
    expect(positions()).toEqual([])
    await consumer.start()
    await settle()
    expect(positions()).toEqual([1])
  })

  test('a failed read is told and tried again after a growing pause', async () => {
    await started()
    disk = { fails: 'before', ops: ({ op }) => op === 'read' }
    await append(['a'])
    await clock.advanceAsync(199)
    expect(log).toEqual(['trivia read: disk I/O error'])
    await clock.advanceAsync(1)
    expect(log).toHaveLength(2)
    disk.fails = false
    await clock.advanceAsync(399)
    expect(positions()).toEqual([])
    await clock.advanceAsync(1)
    expect(positions()).toEqual([1])
  })

  test('without a cursor on disk it goes on for windowMax events and then waits', async () => {
    const consumer = await started({ limits: { windowMax: 5 } })
    disk = { fails: 'before', ops: ({ op }) => op === 'cursor_put' }
    await append(Array.from({ length: 20 }, (_, i) => `r${i}`))
    while (out.length > 0) await out[0]?.ok()
    // Five of which none is on disk, and those that were out when the fifth was done.
    const { delivered } = consumer.stats
    expect(delivered).toBeGreaterThanOrEqual(5)
    expect(delivered).toBeLessThan(10)
    disk.fails = false
    await clock.advanceAsync(60_000)
    while (out.length > 0) await out[0]?.ok()
    expect(consumer.stats.pos).toBe(20)
    expect(await cursor()).toEqual({ pos: 20, acked: [] })
  })

  test.each(['before', 'after'] as const)(
    'a dead letter is neither lost nor doubled when the disk fails %s the write',
    async (when) => {
      await started({ limits: { attemptsMax: 1 } })
      await append(['a', 'b'])
      disk = { fails: when, ops: ({ op }) => op === 'cursor_put' }
      await at(1).fail()
      expect((await cursor())?.pos).toBe(when === 'before' ? 0 : 1)
      expect(await dead()).toHaveLength(when === 'before' ? 0 : 1)
      disk.fails = false
      await at(2).fail()
      await clock.advanceAsync(200)
      expect(await cursor()).toEqual({ pos: 2, acked: [] })
      expect((await dead()).map(({ entry }) => entry.pos)).toEqual([1, 2])
    },
  )

  test('a replayed letter whose removal fails is told and stays listed', async () => {
    const consumer = await started({ limits: { attemptsMax: 1 } })
    await append(['a'])
    await at(1).fail()
    disk = { fails: 'before', ops: ({ op }) => op === 'dead_take' || op === 'dead_failed' }
    const replayed = consumer.replay([1])
    await settle()
    await at(1).ok()
    expect(await replayed).toEqual({ delivered: 1, failed: 0, left: 0 })
    const again = consumer.replay([1])
    await settle()
    await at(1).fail()
    expect(await again).toEqual({ delivered: 0, failed: 1, left: 0 })
    expect(log.filter((line) => line.startsWith('trivia dead letter 1'))).toHaveLength(2)
    expect(await dead()).toHaveLength(1)
  })

  test('a stop that cannot write its cursor ends all the same', async () => {
    const consumer = await started()
    await append(['a'])
    disk = { fails: 'before', ops: ({ op }) => op === 'cursor_put' }
    await at(1).ok()
    await consumer.stop()
    expect(log.filter((line) => line === 'trivia cursor: disk I/O error').length).toBeGreaterThan(0)
    disk.fails = false
    await started()
    expect(positions()).toEqual([1]) // at least once
  })
})
