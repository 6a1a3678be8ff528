import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { SystemClock } from '../base/clock.ts'
import { backupInThread, backupLedger, restoreLedger, verifyLedgerFile } from './backup.ts'
import { type OpenLedger, openLedger } from './open.ts'
import type { Post } from './ops.ts'

let root: string
let dir: string
let opened: OpenLedger[]
let n: number
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ledger-backup-'))
  dir = join(root, 'live')
  opened = []
  n = 0
})
afterEach(async () => {
  for (const ledger of opened) await ledger.close()
  rmSync(root, { recursive: true })
})

async function open(folder = dir): Promise<OpenLedger> {
  const ledger = await openLedger({ dir: folder, clock: new SystemClock() })
  opened.push(ledger)
  return ledger
}
const give = (): Post => ({
  op: 'post',
  txId: `t${++n}`,
  at: 1_760_000_000_000 + n,
  action: 'test',
  origin: { actor: 'ann', command: 'test' },
  transfers: [{ dr: 'coin.issued', cr: `user.u${n % 500}.coin.paid`, amount: BigInt(n) }],
})
const many = (ledger: OpenLedger, count: number) => Promise.all(Array.from({ length: count }, () => ledger.submit(give())))

test('a copy made while the ledger writes is that of one moment, sound, and a ledger can go on from it', async () => {
  const ledger = await open()
  await many(ledger, 3_000)
  let isOver = false
  const writing = (async () => {
    while (!isOver) await many(ledger, 200)
  })()
  const to = join(root, 'copy.db')
  const report = await backupInThread({ dir, to })
  isOver = true
  await writing
  expect(report).toEqual({ rows: report.pos, pos: report.pos, bytes: expect.any(Number) })
  expect(report.pos).toBeGreaterThanOrEqual(3_000)
  expect(report.pos).toBeLessThanOrEqual(ledger.stats().pos)
  expect(readdirSync(root).sort()).toEqual(['copy.db', 'live'])

  const restored = join(root, 'restored')
  expect(restoreLedger({ from: to, dir: restored })).toMatchObject({ pos: report.pos })
  const next = await open(restored)
  n = report.pos
  expect(await next.submit(give())).toMatchObject({ ok: true, pos: report.pos + 1 })
  for await (const piece of next.reads.statement({ account: 'coin.issued', fromAt: 0, toAt: 2e12, format: 'json' }))
    expect(piece).toBeTruthy()
  expect(next.audit.state).toMatchObject({ pos: report.pos + 1, broken: 0 })
})

test('nothing is replaced: a name that exists, a folder with a ledger, a folder whose writer runs', async () => {
  const ledger = await open()
  await many(ledger, 10)
  const to = join(root, 'copy.db')
  await backupLedger({ dir, to })
  await expect(backupLedger({ dir, to })).rejects.toThrow('never replaces')
  expect(() => restoreLedger({ from: to, dir })).toThrow('another process holds the ledger')
  await ledger.close()
  expect(() => restoreLedger({ from: to, dir })).toThrow('restore into an empty folder')
  await expect(backupLedger({ dir: join(root, 'nowhere'), to: join(root, 'b.db') })).rejects.toThrow()
  expect(existsSync(join(root, 'b.db'))).toBe(false)
})

test('a copy that is not sound is not restored', async () => {
  const ledger = await open()
  await many(ledger, 2_000)
  const to = join(root, 'copy.db')
  await backupLedger({ dir, to })
  const damaged = (name: string, change: (file: string) => void) => {
    const file = join(root, name)
    writeFileSync(file, readFileSync(to))
    change(file)
    const into = join(root, `into-${name}`)
    expect(() => restoreLedger({ from: file, dir: into }), name).toThrow('no sound ledger')
    expect(existsSync(join(into, 'ledger.db'))).toBe(false)
  }
  const sql = (text: string) => (file: string) => {
    const db = new Database(file)
    db.exec(`DROP TRIGGER journal_no_delete; ${text}`)
    db.close()
  }
  damaged('balance.db', sql(`UPDATE balances_ SET debits = debits + 1 WHERE account = 'coin.issued'`))
  damaged('row.db', sql('DELETE FROM journal WHERE pos = 7'))
  damaged('last-row.db', sql('DELETE FROM journal WHERE pos = 2000'))
  damaged('account.db', sql(`DELETE FROM balances_ WHERE account = 'user.u7.coin.paid'`))
  damaged('held.db', sql(`UPDATE balances_ SET pending_credits = 1 WHERE account = 'user.u7.coin.paid'`))
  damaged('newer.db', sql('PRAGMA user_version = 99'))
  damaged('page.db', (file) => writeFileSync(file, readFileSync(file).fill(7, 40_960, 49_152)))
  damaged('text.db', (file) => writeFileSync(file, 'not a database at all, but long enough to be looked at'.repeat(200)))
  expect(verifyLedgerFile(to)).toMatchObject({ rows: 2_000 })
})
