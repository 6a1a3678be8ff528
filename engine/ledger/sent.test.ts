import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { ledgerSuite } from './fixtures/ledger-suite.ts'
import { Ledger } from './ledger.ts'
import type { Charge, LedgerOp, LedgerResult } from './ops.ts'
import { packedHandler, packOps, SentCharge, unpackOps, unpackResults } from './sent.ts'
import { SqliteLedger } from './sqlite-ledger.ts'

/** As between two threads. */
function sent(ledger: Ledger, ops: readonly LedgerOp[]): LedgerResult[] {
  const applier = {
    handle: (ask: { ops: readonly LedgerOp[] } | { reopen: true }) => ({
      results: 'ops' in ask ? ledger.batch(ask.ops) : [],
      pos: ledger.pos,
    }),
    close: () => {},
  }
  const answer = packedHandler(applier).handle(structuredClone({ packed: packOps(ops) }))
  if (answer instanceof Promise) throw new Error('SQLite answers at once')
  return unpackResults(ops, structuredClone(answer.results))
}

describe('ops that were sent to the thread', () => {
  ledgerSuite(() => {
    const dir = mkdtempSync(join(tmpdir(), 'ledger-'))
    const file = join(dir, 'ledger.db')
    const storage = new SqliteLedger({ file })
    const packed = () => {
      const ledger = new Ledger(storage)
      return {
        get pos() {
          return ledger.pos
        },
        batch: (ops: readonly LedgerOp[]) => sent(ledger, ops),
        balanceOf: (account: string) => ledger.balanceOf(account),
      }
    }
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
    return { ledger: packed, source: storage.reader(), change, close }
  })
})

const paid = 'user.ann.coin.paid'
let n = 0
const gift = (over: object = {}): Charge =>
  ({
    op: 'charge',
    txId: `t${++n}`,
    at: 1_760_000_000_000,
    action: 'gift',
    origin: { actor: 'ann', command: 'gift.send', ik: `k${n}`, bodyHash: 'h' },
    roomId: 'r1',
    liveId: 'l1',
    value: 7n,
    payFrom: ['user.ann.coin.bonus', paid],
    sink: 'coin.spent.gift',
    terms: { streamerBps: 5_000, guildBps: 2_000, paidBps: 10_000, bonusBps: 0 },
    streamer: 'streamer.mia.bean.pending',
    guild: 'guild.red.bean.pending',
    contractVersion: 'c1',
    catalogVersion: 'g"1"',
    event: { t: 'gift.sent', d: { name: 'ä "爱" \u2028\ud800', count: 1, none: undefined, list: [1, null, { deep: true }] } },
    reply: { giftId: 'rose' },
    ...over,
  }) as Charge
const spend = (max: number) => {
  const at = 1_760_000_000_000
  return {
    minute: { from: at - 1_000, until: at + 59_000, max },
    day: { from: at - 5_000, until: at + 86_395_000, max: 10 * max },
  }
}
const wallet: LedgerOp = {
  op: 'post',
  txId: 'wallet',
  at: 1,
  action: 'recharge',
  origin: { actor: 'ann', command: 'recharge' },
  transfers: [{ dr: 'coin.issued', cr: paid, amount: 2n ** 60n }],
}

/** Answers and rows, of ops as they are and of ops that were sent. */
function both(ops: readonly LedgerOp[]) {
  const run = (batch: (ledger: Ledger) => LedgerResult[]) => {
    const storage = new SqliteLedger({ file: ':memory:' })
    const ledger = new Ledger(storage)
    ledger.batch([wallet])
    const results = batch(ledger)
    const rows = storage.reader().journalAfter(0, 1_000)
    storage.close()
    return { results, rows }
  }
  return [run((ledger) => ledger.batch(structuredClone(ops))), run((ledger) => sent(ledger, ops))] as const
}

test('a gift is the same row and the same answer, whatever is in its texts', () => {
  const first = gift()
  const ops = [
    first,
    { ...first },
    { ...first, origin: { ...first.origin, bodyHash: 'other' } },
    gift({ event: undefined, reply: undefined }),
    gift({ event: { t: 'x', d: {} }, reply: {} }),
    gift({ event: { t: 'x', d: { txId: 'its own' } } }),
    gift({ reply: { txId: 'its own', balanceCoin: 'too' } }),
    gift({ reply: { at: new Date(0), map: new Map([[1, 2]]) } }),
    gift({ value: 2n ** 58n }),
    gift({ value: 2n ** 63n }),
    gift({ payFrom: [paid] }),
    gift({ guild: undefined, terms: { streamerBps: 1, guildBps: 0, paidBps: 1, bonusBps: 1 } }),
    gift({ reply: { long: 'x'.repeat(16_384) } }),
    gift({ reply: { long: 'x'.repeat(16_384 - 40) } }),
    ...Array.from({ length: 20 }, (_, version) => gift({ catalogVersion: `v${version}` })),
    gift({ value: 2n ** 61n }),
    ...Array.from({ length: 20 }, (_, max) => gift({ spend: spend(max) })),
  ]
  const [plain, packed] = both(ops)
  expect(packed).toEqual(plain)
  expect(plain.rows.length).toBeGreaterThan(25)
})

test('nonsense is refused alone and as it is without a thread', () => {
  const odd = [null, undefined, [], {}, 7n, 'x', Number.NaN, -1, '\n', new Date(0)]
  const names = [...Object.keys(gift()), 'spend']
  const ops = names.flatMap((name) => odd.map((value) => gift({ [name]: value })))
  const nested = odd.flatMap((value) => [
    gift({ event: { t: value, d: {} } }),
    gift({ event: { t: 'x', d: value } }),
    gift({ origin: { actor: value, command: 'c' } }),
    gift({ origin: { actor: 'ann', command: value } }),
    gift({ origin: { actor: 'ann', command: 'c', ik: value, bodyHash: value } }),
    gift({ payFrom: [value] }),
    gift({ payFrom: [paid, value] }),
    gift({ payFrom: [paid, value, paid] }),
    gift({ spend: { minute: value, day: spend(1).day } }),
    gift({ spend: { ...spend(1), minute: { from: 0, until: value, max: 1 } } }),
    gift({ terms: { streamerBps: value, guildBps: 0, paidBps: 0, bonusBps: 0 } }),
  ])
  const [plain, packed] = both([...ops, ...nested, ...(odd as unknown as LedgerOp[])])
  expect(packed).toEqual(plain)
})

test('gifts are packed, and what cannot be text is left for the thread to refuse', () => {
  const isPacked = (op: LedgerOp) => unpackOps(packOps([op]))[0] instanceof SentCharge
  expect(isPacked(gift())).toBe(true)
  expect(isPacked(wallet)).toBe(false)
  for (const d of [{ f: () => 1 }, { n: 1n }, { at: new Date() }, { toJSON: () => 'x' }])
    expect(isPacked(gift({ event: { t: 'x', d } }))).toBe(false)
})
