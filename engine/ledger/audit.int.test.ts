/** The audit against files that somebody has changed behind the ledger's back, and the loop that runs it. */
import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import { Audit, type Broken, rowProblems } from './audit.ts'
import { Book } from './book.ts'
import { openLedgerInline } from './open.ts'
import type { LedgerOp } from './ops.ts'
import { LedgerReader } from './reader.ts'

let dir: string
let file: string
let n: number
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ledger-audit-'))
  file = join(dir, 'ledger.db')
  n = 0
})
afterEach(() => rmSync(dir, { recursive: true }))

const paid = 'user.ann.coin.paid'
const entry = () => ({
  txId: `t${++n}`,
  at: 1_000 + n,
  action: 'test',
  origin: { actor: 'ann', command: 'c', ik: `k${n}`, bodyHash: 'h' },
})
const give = (amount: bigint): LedgerOp => ({ op: 'post', ...entry(), transfers: [{ dr: 'coin.issued', cr: paid, amount }] })
const gift = (value: bigint): LedgerOp => ({
  op: 'charge',
  ...entry(),
  value,
  payFrom: [paid],
  sink: 'coin.spent.gift',
  terms: { streamerBps: 5_000, guildBps: 0, paidBps: 10_000, bonusBps: 0 },
  streamer: 'streamer.mia.bean.pending',
  contractVersion: 'c1',
  catalogVersion: 'g1',
})
const hold = (amount: bigint): LedgerOp => ({
  op: 'hold',
  ...entry(),
  transfers: [{ dr: paid, cr: 'user.ann.coin.hold', amount }],
  expiresAt: 9_000,
})
async function write(...ops: LedgerOp[]): Promise<void> {
  const ledger = openLedgerInline({ file, clock: new ManualClock() })
  for (const result of await Promise.all(ops.map((op) => ledger.submit(op)))) expect(result).toMatchObject({ ok: true })
  await ledger.close()
}
function tamper(sql: string): void {
  const db = new Database(file)
  db.exec(`DROP TRIGGER IF EXISTS journal_no_update; DROP TRIGGER IF EXISTS journal_no_delete; ${sql}`)
  db.close()
}
/** One whole round. */
async function audited(): Promise<Broken[]> {
  const reader = LedgerReader.open(file)
  const book = await Book.open(join(dir, 'ledger-book.db'), reader)
  const audit = new Audit(reader, book)
  const broken: Broken[] = []
  for (let rounds = 0; rounds === 0; ) {
    const step = await audit.step()
    broken.push(...step.broken)
    rounds = step.rounds
  }
  book.close()
  reader.close()
  return broken
}
const found = (broken: readonly Broken[]) => [...new Set(broken.map(({ invariant, at }) => `${invariant} ${at}`))].sort()

test('a sound ledger has nothing broken, holds and all; a second look starts where the first ended', async () => {
  await write(give(100n), gift(99n), give(50n), hold(20n))
  expect(await audited()).toEqual([])
  await write(gift(3n))
  expect(await audited()).toEqual([])
})

test.each<[string, string, string[]]>([
  ['a balance', `UPDATE balances_ SET credits = credits + 1 WHERE account = '${paid}'`, [`balance ${paid}`, 'sums COIN']],
  ['a balance that is gone', `DELETE FROM balances_ WHERE account = '${paid}'`, [`balance ${paid}`, 'sums COIN']],
  ['what is set aside', `UPDATE balances_ SET pending_debits = 0 WHERE account = '${paid}'`, [`balance ${paid}`]],
  ['a hold', `UPDATE holds SET state = 'voided'`, ['balance user.ann.coin.hold', `balance ${paid}`]],
  [
    'an account below zero',
    `UPDATE balances_ SET credits = 3 WHERE account = '${paid}'`,
    [`balance ${paid}`, `negative ${paid}`, 'sums COIN'],
  ],
  ['a row that is gone', 'DELETE FROM journal WHERE pos = 1', ['balance coin.issued', `balance ${paid}`, 'row t2']],
  ['a share', `UPDATE journal SET facts = replace(facts, '"streamer":"49"', '"streamer":"50"') WHERE pos = 2`, ['split t2']],
  ['terms', `UPDATE journal SET facts = replace(facts, '"streamerBps":5000', '"streamerBps":5100') WHERE pos = 2`, ['split t2']],
  [
    'a leg',
    `UPDATE journal SET legs = replace(legs, ',49]', ',48]') WHERE pos = 2`,
    ['balance bean.issued', 'balance streamer.mia.bean.pending', 'split t2'],
  ],
  [
    'a leg over two ledgers',
    `UPDATE journal SET legs = replace(legs, 'coin.spent.gift', 'plat.bank') WHERE pos = 2`,
    ['balance coin.spent.gift', 'balance plat.bank', 'row t2'],
  ],
])('%s that was changed is found', async (_, sql, expected) => {
  await write(give(100n), gift(99n), give(50n), hold(20n))
  tamper(sql)
  expect(found(await audited())).toEqual(expected)
})

test.each<[string, string, string]>([
  ['its event', `UPDATE journal SET event = '{"t":"gift.sent","d":{"valueCoin":9}}' WHERE pos = 2`, 'kept t2'],
  ['its legs', `UPDATE journal SET legs = replace(legs, ',99]', ',98]') WHERE pos = 2`, 'kept t2'],
  ['its time', 'UPDATE journal SET at = at + 1 WHERE pos = 1', 'kept t1'],
  ['all of it', 'DELETE FROM journal WHERE pos = 2', 'kept row 2'],
  [
    'all of it, past the triggers',
    `INSERT OR REPLACE INTO journal SELECT pos, tx_id, at, action, 'eve', command, ik, body_hash,
    room_id, live_id, legs, facts, event, reply FROM journal WHERE pos = 1`,
    'kept t1',
  ],
])('a row that was read before and changed later is found: %s', async (_, sql, expected) => {
  await write(give(100n), gift(99n), give(50n), hold(20n))
  expect(await audited()).toEqual([])
  tamper(sql)
  expect(found(await audited())).toEqual([expected])
})

test('rows are looked at again in turn, the first ones too when the last ones have been', async () => {
  await write(...Array.from({ length: 250 }, () => give(1n)))
  const reader = LedgerReader.open(file)
  const book = await Book.open(join(dir, 'ledger-book.db'), reader)
  const audit = new Audit(reader, book)
  const places: number[] = []
  for (let steps = 0; steps < 5; steps++) places.push((await audit.step()).againPos)
  expect(places).toEqual([100, 200, 0, 100, 200])
  book.close()
  reader.close()
})

test('a key that stands twice is found though the index was taken away', async () => {
  await write(give(1n), give(1n))
  tamper(`DROP INDEX journal_key; UPDATE journal SET ik = 'k1'`)
  expect(found(await audited())).toEqual(['once t1', 'once t2'])
})

test('what a statement needed to read is audited by that, and a later look goes on from there', async () => {
  await write(give(100n), gift(99n))
  tamper(`UPDATE journal SET facts = replace(facts, '"streamer":"49"', '"streamer":"50"') WHERE pos = 2`)
  const heard: Broken[] = []
  const ledger = openLedgerInline({ file, clock: new ManualClock(), onBroken: (broken) => heard.push(...broken) })
  for await (const _ of ledger.reads.statement({ account: paid, fromAt: 0, toAt: 9_999, format: 'csv' }));
  expect(found(heard)).toEqual(['split t2'])
  expect(ledger.audit.state).toMatchObject({ pos: 2, rows: 2, broken: 1 })
  await ledger.close()
})

test('the book of another journal is thrown away and made again', async () => {
  await write(give(100n))
  expect(await audited()).toEqual([])
  for (const name of ['ledger.db', 'ledger.db-wal', 'ledger.db-shm']) rmSync(join(dir, name), { force: true })
  // As after a restore by hand: without the book put aside no ledger would be begun beside it.
  const [book, aside] = [join(dir, 'ledger-book.db'), join(dir, 'aside')]
  renameSync(book, aside)
  n = 10
  await write(give(7n), gift(1n))
  renameSync(aside, book)
  expect(await audited()).toEqual([])
})

test('a book that is no database is made again', async () => {
  await write(give(100n))
  const db = new Database(join(dir, 'ledger-book.db'))
  db.exec('CREATE TABLE other (x); PRAGMA user_version = 1')
  db.close()
  expect(await audited()).toEqual([])
})

test('the loop reads on while there is something new, then looks now and then', async () => {
  const clock = new ManualClock()
  const heard: Broken[] = []
  const ledger = openLedgerInline({ file, clock, auditEveryMs: 1_000, onBroken: (broken) => heard.push(...broken) })
  await Promise.all([give(100_000n), ...Array.from({ length: 1_200 }, () => gift(7n))].map((op) => ledger.submit(op)))
  ledger.audit.start()
  await clock.advanceAsync(100)
  expect(ledger.audit.state).toMatchObject({ pos: 1_201, rows: 1_201, rounds: 1, broken: 0, failures: 0 })
  tamper(`UPDATE balances_ SET debits = debits + 1 WHERE account = '${paid}'`)
  await clock.advanceAsync(1_000)
  expect(found(heard)).toContain(`balance ${paid}`)
  expect(ledger.audit.state.broken).toBeGreaterThan(0)
  await ledger.close()
  await clock.advanceAsync(5_000)
})

test('a row alone: shares that cannot be read are broken, not a crash', () => {
  const row = { pos: 1, txId: 't', at: 1, action: 'gift', actor: 'a', command: 'c', ik: undefined, bodyHash: undefined }
  const more = { roomId: undefined, liveId: undefined, legs: [], event: undefined, reply: {} }
  for (const facts of [{ value: '5' }, { value: 'x', terms: null }, { value: '5', terms: { streamerBps: -1 } }])
    expect(rowProblems({ ...row, ...more, facts }, 1)).toMatchObject([{ invariant: 'split' }])
})
