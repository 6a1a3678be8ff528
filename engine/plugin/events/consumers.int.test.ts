import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { SystemClock } from '../../base/clock.ts'
import { programEntry } from '../../base/worker-entry.ts'
import { type LogEntry, openStore, type Store } from '../../room/store.ts'
import { Consumer, type ConsumerParts, consumerLimits } from './consumers.ts'

let dir: string
let stores: Store[]
let children: ChildProcess[]
const consumers: Consumer[] = []

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'consumers-'))
  stores = []
  children = []
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  for (const consumer of consumers.splice(0)) await consumer.stop()
  for (const store of stores) await store.close()
  rmSync(dir, { recursive: true })
})

async function open(): Promise<Store> {
  const store = await openStore({ dir, roomsMax: 10 })
  stores.push(store)
  return store
}
/** Starts a consumer that tells `seen` of each delivery, and answers when `count` of them have been made. */
async function consume(store: Store, count: number, more: Partial<ConsumerParts> = {}) {
  const seen: LogEntry[] = []
  let finish = () => {}
  const all = new Promise<void>((resolve) => {
    finish = resolve
  })
  const consumer = new Consumer({
    key: 'trivia',
    store,
    clock: new SystemClock(),
    wants: () => true,
    deliver: async (entry) => {
      if (seen.push(entry) === count) finish()
    },
    startAt: 'beginning',
    limits: consumerLimits,
    onError: (error) => {
      throw error
    },
    ...more,
  })
  consumers.push(consumer)
  await consumer.start()
  await all
  return { consumer, seen }
}
const rows = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => from + i).map((n) => {
    return { eid: `e${n}`, t: 'gift.sent', at: n, actor: 'u', d: { n }, hops: n % 3, epoch: 1, seq: n }
  })

test('with the store worker: rows arrive as they are written, and a reopened store goes on behind them', async () => {
  const store = await open()
  for (let i = 0; i < 20; i++) store.appendLog(`r${i % 4}`, rows(i * 100, 100))
  const first = await consume(store, 2_000)
  await first.consumer.stop()
  for (let room = 0; room < 4; room++) {
    const seqs = first.seen.filter(({ roomId }) => roomId === `r${room}`).map(({ seq }) => seq)
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b))
    expect(seqs).toHaveLength(500)
  }
  expect(first.seen[0]).toStrictEqual((await store.readLog({ afterPos: 0, limit: 1 }))[0])
  await store.close()

  const again = await open()
  expect(await again.getCursor('trivia')).toEqual({ pos: 2_000, acked: [] })
  again.appendLog('r0', rows(2_000, 10))
  const second = await consume(again, 10)
  expect(second.seen.map(({ seq }) => seq)).toEqual(rows(2_000, 10).map(({ seq }) => seq))
  await second.consumer.pause()
  expect(second.consumer.stats).toMatchObject({ delivered: 10, pos: 2_010 })
})

/** Writes and consumes for ever, prints every delivery before it acknowledges, and gives up on some events. */
const engine = (url: (path: string) => string, folder: string) => `
  import { writeSync } from 'node:fs'
  import { openStore } from ${JSON.stringify(url('../../room/store.ts'))}
  import { Consumer, consumerLimits } from ${JSON.stringify(url('./consumers.ts'))}
  import { SystemClock } from ${JSON.stringify(url('../../base/clock.ts'))}
  const store = await openStore({ dir: ${JSON.stringify(folder)}, roomsMax: 10 })
  let n = await store.logEnd()
  const consumer = new Consumer({
    key: 'trivia', store, clock: new SystemClock(), wants: ({ row }) => row.t === 'wanted', startAt: 'beginning',
    limits: { ...consumerLimits, windowMax: 100, attemptsMax: 2, backoffMsMin: 1 },
    deliver: async ({ pos, roomId, row }) => {
      await new Promise((resolve) => setImmediate(resolve))
      if (row.d.fatal) throw new Error('never')
      writeSync(1, pos + ' ' + roomId + '\\n')
    },
    onError: (error) => { throw error },
  })
  await consumer.start()
  for (;;) {
    store.appendLog('r' + n % 7, Array.from({ length: 5 }, () => {
      n++
      return { eid: 'e' + n, t: n % 3 === 0 ? 'other' : 'wanted', at: n, actor: 'u', d: { fatal: n % 50 === 1 }, epoch: 1, seq: n }
    }))
    await store.logEnd()
    while (consumer.lag() > 300) await new Promise((resolve) => setImmediate(resolve))
  }
`

test('kill -9: every event arrives or is one dead letter, in order per room, and little comes twice', async () => {
  const module = (path: string) => programEntry(new URL(path, import.meta.url))
  const { execArgv } = module('../../room/store.ts')
  const script = join(dir, 'engine.mjs')
  writeFileSync(
    script,
    engine((path) => pathToFileURL(module(path).file).href, dir),
  )
  const delivered: { pos: number; roomId: string }[] = []
  const kills = [3, 250, 1_111, 701]
  for (const killAfter of kills) {
    const child = spawn(process.execPath, [...execArgv, script], { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(child)
    const gone = once(child, 'exit')
    let lines = 0
    for await (const line of createInterface({ input: child.stdout })) {
      const [pos, roomId = ''] = line.split(' ')
      delivered.push({ pos: Number(pos), roomId })
      if (++lines === killAfter) child.kill('SIGKILL')
    }
    expect(await gone).toEqual([null, 'SIGKILL'])
  }

  const store = await open()
  const errors: unknown[] = []
  const last = new Consumer({
    key: 'trivia',
    store,
    clock: new SystemClock(),
    wants: ({ row }) => row.t === 'wanted',
    deliver: async ({ pos, roomId, row }) => {
      if ((row.d as { fatal: boolean }).fatal) throw new Error('never')
      delivered.push({ pos, roomId })
    },
    startAt: 'end',
    limits: { ...consumerLimits, attemptsMax: 1 },
    onError: (error) => errors.push(error),
  })
  await last.start()
  while (last.lag() > 0) await store.logEnd()
  await last.stop()
  expect(errors).toEqual([])

  const entries: LogEntry[] = []
  for (let page = await store.readLog({ afterPos: 0, limit: 1_000 }); page.length > 0; ) {
    entries.push(...page)
    page = await store.readLog({ afterPos: entries.at(-1)?.pos ?? 0, limit: 1_000 })
  }
  const wanted = entries.filter(({ row }) => row.t === 'wanted')
  const isFatal = ({ row }: LogEntry) => (row.d as { fatal: boolean }).fatal
  const letters = await store.listDead({ afterId: 0, limit: 1_000 })
  const grow = (positions: number[]) => positions.sort((a, b) => a - b)
  expect(grow(letters.map(({ entry }) => entry.pos))).toEqual(wanted.filter(isFatal).map(({ pos }) => pos))
  for (let room = 0; room < 7; room++) {
    const ofRoom = (one: { roomId: string }) => one.roomId === `r${room}`
    const firsts = [...new Set(delivered.filter(ofRoom).map(({ pos }) => pos))]
    expect(firsts).toEqual(wanted.filter((entry) => ofRoom(entry) && !isFatal(entry)).map(({ pos }) => pos))
  }
  const twice = delivered.length - new Set(delivered.map(({ pos }) => pos)).size
  expect(twice).toBeLessThanOrEqual(kills.length * (100 + consumerLimits.inFlightMax))
})
