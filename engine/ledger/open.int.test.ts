/** The ledger with its real threads and files: group commit, readers beside the writer, a dead writer, a full disk. */
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock, SystemClock } from '../base/clock.ts'
import { type OpenLedger, openLedger, ThreadWriter } from './open.ts'
import type { Charge, LedgerOp, Post } from './ops.ts'
import { LedgerQueue, type LedgerState } from './queue.ts'

let dir: string
let opened: { close(): Promise<void> }[]
let n: number
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ledger-'))
  opened = []
  n = 0
})
afterEach(async () => {
  for (const one of opened) await one.close()
  rmSync(dir, { recursive: true })
})

const paid = 'user.ann.coin.paid'
const give = (amount: bigint, over: Partial<Post> = {}): Post => ({
  op: 'post',
  txId: `t${++n}`,
  at: 1_760_000_000_000 + n,
  action: 'test',
  origin: { actor: 'ann', command: 'test' },
  transfers: [{ dr: 'coin.issued', cr: paid, amount }],
  ...over,
})
const gift = (value: bigint): Charge => ({
  op: 'charge',
  txId: `t${++n}`,
  at: 1_760_000_000_000 + n,
  action: 'gift',
  origin: { actor: 'ann', command: 'gift.send', ik: `k${n}`, bodyHash: 'h' },
  value,
  payFrom: [paid],
  sink: 'coin.spent.gift',
  terms: { streamerBps: 5_000, guildBps: 0, paidBps: 10_000, bonusBps: 0 },
  streamer: 'streamer.mia.bean.pending',
  contractVersion: 'c1',
  catalogVersion: 'g1',
})
async function open(over: { pagesMax?: number } = {}): Promise<OpenLedger> {
  const ledger = await openLedger({ dir, clock: new SystemClock(), ...over })
  opened.push(ledger)
  return ledger
}
/** A queue whose writer can be killed. */
async function openQueue(clock: ManualClock, pagesMax?: number) {
  const writer = new ThreadWriter({ file: join(dir, 'ledger.db'), pagesMax }, (reason) => queue.writerGone(reason))
  const { pos } = await writer.reopen()
  const queue: LedgerQueue = new LedgerQueue(writer, pos, { clock })
  opened.push(queue)
  return { queue, writer }
}
const stateOf = (queue: LedgerQueue, wanted: LedgerState) =>
  new Promise<void>((resolve) => {
    if (queue.state === wanted) return resolve()
    const stop = queue.onState((state) => {
      if (state !== wanted) return
      stop()
      resolve()
    })
  })
const unavailable = (isUnknown: boolean) => expect.objectContaining({ code: 'billing.unavailable', isUnknown })

test('many at once share a few commits; readers see what was answered, in pages; a fresh start goes on', async () => {
  const ledger = await open()
  const committed: number[] = []
  ledger.onCommitted((pos) => committed.push(pos))
  await ledger.submit(give(10_000n))
  const results = await Promise.all(Array.from({ length: 3_000 }, () => ledger.submit(gift(3n))))
  expect(results.every(({ ok }) => ok)).toBe(true)
  expect(new Set(results.map((result) => result.ok && result.pos)).size).toBe(3_000)
  expect(ledger.stats()).toMatchObject({ answered: 3_001, queued: 0, pos: 3_001, state: 'open' })
  expect(ledger.stats().commits).toBeLessThan(100)
  expect(committed.at(-1)).toBe(3_001)
  expect([...committed].sort((a, b) => a - b)).toEqual(committed)

  let pos = 0
  for (;;) {
    const rows = await ledger.reads.journalAfter(pos, 5_000)
    if (rows.length === 0) break
    expect(rows.length).toBeLessThanOrEqual(1_000)
    expect(rows[0]?.pos).toBe(pos + 1)
    pos = rows.at(-1)?.pos ?? pos
  }
  expect(pos).toBe(3_001)
  expect(await ledger.reads.balances([paid, 'streamer.mia.bean.pending', 'user.nobody.pts'])).toMatchObject([
    { ledger: 'COIN', balance: 1_000n, available: 1_000n },
    { ledger: 'BEAN', balance: 3_000n },
    { ledger: 'PTS', balance: 0n },
  ])
  await ledger.close()

  const next = await open()
  expect(await next.submit(gift(1_001n))).toMatchObject({ ok: false, code: 'wallet.insufficient' })
  expect(await next.submit(gift(1_000n))).toMatchObject({ ok: true, pos: 3_002 })
})

test('one writer for a folder, and the next one after it', async () => {
  const ledger = await open()
  await expect(openLedger({ dir, clock: new SystemClock() })).rejects.toThrow('another process holds the ledger')
  await ledger.close()
  await expect(ledger.submit(give(1n))).rejects.toEqual(unavailable(false))
  await open()
})

test('closing answers what waits', async () => {
  const ledger = await open()
  const waiting = Array.from({ length: 2_000 }, () => ledger.submit(give(1n)))
  await ledger.close()
  expect((await Promise.all(waiting)).every(({ ok }) => ok)).toBe(true)
})

test('what is not plain data is refused alone', async () => {
  const ledger = await open()
  const odd = { ...give(1n), event: { t: 'x', d: { f: () => 1 } } } as LedgerOp
  const results = await Promise.all([ledger.submit(give(1n)), ledger.submit(odd), ledger.submit(give(1n))])
  expect(results).toMatchObject([{ ok: true }, { ok: false, code: 'ledger.bad_op' }, { ok: true }])
})

test('the writer dies: what it had is unknown and may be asked again, what waits is rejected, a new one goes on', async () => {
  const clock = new ManualClock()
  const { queue, writer } = await openQueue(clock)
  await queue.submit(give(1_000_000n))
  const gifts = Array.from({ length: 2_000 }, () => gift(7n))
  const answers = gifts.map((one) =>
    queue.submit(one).then(
      ({ ok }) => ok,
      (error) => error,
    ),
  )
  await writer.kill()
  const first = await Promise.all(answers)
  const rejected = first.filter((answer) => answer !== true)
  expect(rejected.length).toBeGreaterThan(0)
  for (const error of rejected) expect(error).toMatchObject({ code: 'billing.unavailable', isUnknown: expect.any(Boolean) })
  await stateOf(queue, 'unavailable')
  await expect(queue.submit(give(1n))).rejects.toEqual(unavailable(false))
  const isOpen = stateOf(queue, 'open')
  clock.advance(250)
  await isOpen

  const again = await Promise.all(gifts.map((one) => queue.submit(one)))
  expect(again.every(({ ok }) => ok)).toBe(true)
  for (const [at, answer] of first.entries()) if (answer === true) expect(again[at]).toMatchObject({ replayed: true })
  expect(queue.stats()).toMatchObject({ pos: 2_001, failures: 1 })
  await queue.close()
  const db = new Database(join(dir, 'ledger.db'), { readonly: true })
  expect(db.prepare(`SELECT debits FROM balances WHERE account = ?`).pluck().get(paid)).toBe(14_000)
  db.close()
})

test('a full disk: the batch is refused, the ledger closes, tries again, and opens when there is room', async () => {
  const clock = new ManualClock()
  const { queue } = await openQueue(clock, 120)
  await queue.submit(give(5n))
  const big = () => give(1n, { reply: { text: 'x'.repeat(16_000) } })
  const many = await Promise.all(Array.from({ length: 60 }, () => queue.submit(big()).catch((error) => error)))
  for (const error of many) expect(error).toEqual(unavailable(true))
  expect(queue.stats()).toMatchObject({ state: 'unavailable', reason: expect.stringContaining('full'), failures: 1 })
  await expect(queue.submit(give(1n))).rejects.toEqual(unavailable(false))
  const isOpen = stateOf(queue, 'open')
  clock.advance(250)
  await isOpen
  expect(await queue.submit(give(1n))).toMatchObject({ ok: true, pos: 2 })

  // Until nothing fits any more: from then on the check finds no room either.
  let isFull = false
  while (!isFull)
    await queue.submit(big()).catch((error) => {
      expect(error).toEqual(unavailable(true))
      isFull = true
    })
  const { reason } = queue.stats()
  for (let ms = 250; ms <= 4_000; ms *= 2) clock.advance(ms)
  expect(queue.stats()).toMatchObject({ state: 'unavailable', reason })
  const { pos } = queue.stats()
  await queue.close()

  const roomy = await openQueue(new ManualClock())
  expect(await roomy.queue.submit(give(1n))).toMatchObject({ ok: true, pos: pos + 1 })
})

test.each(['ledger.db', 'ledger.db-wal'])('%s is moved away: nothing more is answered, until it is back', async (name) => {
  const clock = new ManualClock()
  const { queue } = await openQueue(clock)
  await queue.submit(give(5n))
  const [here, away] = [join(dir, name), join(dir, 'away')]
  renameSync(here, away)
  await expect(queue.submit(give(1n))).rejects.toEqual(unavailable(true))
  expect(queue.stats()).toMatchObject({ state: 'unavailable', reason: expect.stringContaining('was moved, deleted or replaced') })
  renameSync(away, here)
  const isOpen = stateOf(queue, 'open')
  clock.advance(250)
  await isOpen
  expect(await queue.submit(give(1n))).toMatchObject({ ok: true, pos: 2 })
})

test('a ledger whose file is gone and whose companions are there is not begun anew', async () => {
  const ledger = await open()
  await ledger.submit(give(5n))
  await ledger.reads.auditStep()
  await ledger.close()
  const [file, away] = [join(dir, 'ledger.db'), join(dir, 'away')]
  renameSync(file, away)
  await expect(openLedger({ dir, clock: new SystemClock() })).rejects.toThrow('ledger.db is gone')
  expect(existsSync(file)).toBe(false)
  renameSync(away, file)
  const again = await open()
  expect(await again.submit(give(1n))).toMatchObject({ ok: true, pos: 2 })
})

test('questions are bounded', async () => {
  const ledger = await open()
  await ledger.submit(give(5n))
  expect(await ledger.reads.lastPos()).toBe(1)
  const many = Array.from({ length: 1_200 }, () => ledger.reads.lastPos().catch((error) => error))
  const answers = await Promise.all(many)
  expect(answers.filter((answer) => answer === 1)).toHaveLength(1_000)
  expect(answers.at(-1)).toEqual(unavailable(false))
  expect(await ledger.reads.lastPos()).toBe(1)
})
