import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { ledgerSuite } from './fixtures/ledger-suite.ts'
import { Ledger } from './ledger.ts'
import type { LedgerOp } from './ops.ts'
import { SqliteLedger } from './sqlite-ledger.ts'

describe('on SQLite', () => {
  ledgerSuite(() => {
    const dir = mkdtempSync(join(tmpdir(), 'ledger-'))
    const file = join(dir, 'ledger.db')
    const storage = new SqliteLedger({ file })
    const change = (sql: string) => {
      const other = new Database(file)
      try {
        other.exec(sql)
      } finally {
        other.close()
      }
    }
    const close = () => {
      storage.close()
      rmSync(dir, { recursive: true })
    }
    return { ledger: () => new Ledger(storage), source: storage.reader(), change, close }
  })
})

let n = 0
const paid = 'user.ann.coin.paid'
const give = (account: string, amount: bigint): LedgerOp => ({
  op: 'post',
  txId: `t${++n}`,
  at: 1_760_000_000_000,
  action: 'test',
  origin: { actor: 'ann', command: 'test' },
  transfers: [{ dr: 'coin.issued', cr: account, amount }],
})

describe('a write that fails', () => {
  test('throws, nothing of the batch is there, and the object is of no use any more', () => {
    const small = new SqliteLedger({ file: ':memory:', pagesMax: 40 })
    const tight = new Ledger(small)
    const big = () => ({ ...give(paid, 1n), reply: { text: 'x'.repeat(10_000) } })
    tight.batch([give(paid, 10n)])
    const before = tight.balanceOf(paid)
    expect(() => tight.batch(Array.from({ length: 40 }, big))).toThrow('full')
    expect(() => tight.batch([give(paid, 1n)])).toThrow('open the ledger again')
    const again = new Ledger(small)
    expect(again.balanceOf(paid)).toEqual(before)
    expect(again.pos).toBe(1)
    expect(again.batch([give(paid, 1n)])).toMatchObject([{ ok: true, pos: 2 }])
    small.close()
  })

  test('a disk that is full does not pass the check, one that is not does', () => {
    const storage = new SqliteLedger({ file: ':memory:' })
    const small = new SqliteLedger({ file: ':memory:', pagesMax: 14 })
    expect(() => small.checkWrite()).toThrow('full')
    small.close()
    expect(() => storage.checkWrite()).not.toThrow()
    storage.close()
  })
})
