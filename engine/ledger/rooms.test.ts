import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Ledger } from './ledger.ts'
import type { Post } from './ops.ts'
import { LedgerReader } from './reader.ts'
import { roomsFileOf } from './rooms.ts'
import { SqliteLedger } from './sqlite-ledger.ts'

let dir: string
let closing: (() => void)[]
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ledger-'))
  closing = []
})
afterEach(() => {
  for (const close of closing) close()
  rmSync(dir, { recursive: true })
})

const post = (txId: string, roomId: string | undefined): Post => ({
  op: 'post',
  txId,
  at: 1,
  action: 'gift',
  origin: { actor: 'ann', command: 'test' },
  roomId,
  transfers: [{ dr: 'coin.issued', cr: 'user.ann.coin.paid', amount: 1n }],
})
function open(file: string) {
  const storage = new SqliteLedger({ file })
  const reader = LedgerReader.open(file, roomsFileOf(file))
  const close = () => {
    reader.close()
    storage.close()
  }
  closing.push(close)
  const rooms = (roomId: string, pos = 0, limit = 1_000) => reader.roomJournalAfter(roomId, pos, limit).map(({ txId }) => txId)
  return { ledger: new Ledger(storage), reader, rooms, close: () => closing.splice(closing.indexOf(close), 1)[0]?.() }
}

test('an answer holds everything that was committed before the question, in order and in pages', () => {
  const { ledger, rooms, reader } = open(join(dir, 'ledger.db'))
  const ops = Array.from({ length: 4_500 }, (_, n) => post(`t${n}`, n % 3 === 0 ? undefined : `r${n % 3}`))
  for (let from = 0; from < ops.length; from += 500) {
    ledger.batch(ops.slice(from, from + 500))
    const due = ops.slice(0, from + 500).filter(({ roomId }) => roomId === 'r1')
    expect(rooms('r1').length).toBe(Math.min(1_000, due.length))
  }
  expect(rooms('r2', 4_490)).toEqual(['t4490', 't4493', 't4496', 't4499'])
  expect(rooms('r2', 0, 2)).toEqual(['t2', 't5'])
  expect(rooms('none')).toEqual([])
  reader.look({ afterPos: 0, rowsMax: 10, afterAccount: '', accountsMax: 10 })
  ledger.batch([post('last', 'r1')])
  expect(rooms('r1', 4_500)).toEqual(['last'])
})

test('it goes on after a start, and is made again when it is gone, damaged or of another journal', () => {
  const file = join(dir, 'ledger.db')
  const first = open(file)
  first.ledger.batch([post('a', 'r1'), post('b', 'r2'), post('c', 'r1')])
  expect(first.rooms('r1')).toEqual(['a', 'c'])
  first.close()

  const again = open(file)
  again.ledger.batch([post('d', 'r1')])
  expect(again.rooms('r1')).toEqual(['a', 'c', 'd'])
  again.close()

  writeFileSync(roomsFileOf(file), 'this is no database '.repeat(1_000))
  const damaged = open(file)
  expect(damaged.rooms('r1')).toEqual(['a', 'c', 'd'])
  damaged.close()

  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
  const other = open(file)
  other.ledger.batch([post('x', 'r2'), post('y', 'r1'), post('z', 'r2'), post('w', 'r2')])
  expect(other.rooms('r1')).toEqual(['y'])
})

test('where it cannot be kept, the journal itself is read', () => {
  const file = join(dir, 'ledger.db')
  const { ledger, close } = open(file)
  ledger.batch([post('a', 'r1'), post('b', 'r2')])
  const reader = LedgerReader.open(file, join(dir, 'no', 'such', 'folder.db'))
  expect(reader.roomJournalAfter('r2', 0, 10).map(({ txId }) => txId)).toEqual(['b'])
  reader.close()
  close()
})
