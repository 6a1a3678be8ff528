import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { amountMax } from './check.ts'
import { Ledger } from './ledger.ts'
import type { Charge, Hold, LedgerOp, LedgerResult, Post, SettleHold, Transfer } from './ops.ts'
import { SqliteLedger } from './sqlite-ledger.ts'

let storage: SqliteLedger
let ledger: Ledger
let n: number
beforeEach(() => {
  storage = new SqliteLedger({ file: ':memory:' })
  ledger = new Ledger(storage)
  n = 0
})
afterEach(() => storage.close())

const paid = 'user.ann.coin.paid'
const bonus = 'user.ann.coin.bonus'
const sink = 'coin.spent.gift'
const beans = 'streamer.mia.bean.pending'
const at = 1_760_000_000_000
const entry = () => ({ txId: `t${++n}`, at, action: 'test', origin: { actor: 'ann', command: 'test' } })
const post = (transfers: Transfer[], over: Partial<Post> = {}): Post => ({ op: 'post', ...entry(), transfers, ...over })
const give = (account: string, amount: bigint) => post([{ dr: 'coin.issued', cr: account, amount }])
const charge = (value: bigint, over: Partial<Charge> = {}): Charge => ({
  op: 'charge',
  ...entry(),
  action: 'gift',
  value,
  payFrom: [bonus, paid],
  sink,
  terms: { streamerBps: 5_000, guildBps: 2_000, paidBps: 10_000, bonusBps: 0 },
  streamer: beans,
  guild: 'guild.red.bean.pending',
  contractVersion: 'c1',
  catalogVersion: 'g1',
  ...over,
})
const hold = (amount: bigint, over: Partial<Hold> = {}): Hold => ({
  op: 'hold',
  ...entry(),
  transfers: [{ dr: paid, cr: 'user.ann.coin.hold', amount }],
  expiresAt: at + 1_000,
  ...over,
})
const settle = (op: SettleHold['op'], holdId: string, over: Partial<SettleHold> = {}): SettleHold => ({
  op,
  ...entry(),
  holdId,
  ...over,
})
const run = (...ops: LedgerOp[]): LedgerResult[] => ledger.batch(ops)
const one = (op: unknown): LedgerResult => ledger.batch([op as LedgerOp])[0] as LedgerResult
const refused = (code: string) => ({ ok: false, code, msg: expect.any(String) })
const coins = (account: string) => ledger.balanceOf(account).credits - ledger.balanceOf(account).debits
const lastRow = () => storage.reader().journalAfter(ledger.pos - 1, 1)[0]

describe('post', () => {
  test('a set goes into the journal and the balances', () => {
    expect(run(give(paid, 100n))).toEqual([{ ok: true, txId: 't1', pos: 1, replayed: false, reply: { txId: 't1' } }])
    expect(ledger.balanceOf(paid)).toEqual({ debits: 0n, credits: 100n, pendingDebits: 0n, pendingCredits: 0n })
    expect(ledger.balanceOf('coin.issued')).toMatchObject({ debits: 100n, credits: 0n })
    expect(lastRow()).toMatchObject({ pos: 1, txId: 't1', legs: [{ dr: 'coin.issued', cr: paid, amount: 100n }] })
  })

  test('several ledgers in one set; what a set takes it may have put there', () => {
    const set = [
      { dr: 'ext.psp.fake', cr: 'plat.deferred', amount: 990n },
      { dr: 'plat.exp.psp_fee', cr: 'ext.psp.fake', amount: 10n },
      { dr: paid, cr: sink, amount: 5n },
      { dr: 'coin.issued', cr: paid, amount: 7n },
    ]
    expect(one(post(set))).toMatchObject({ ok: true })
    expect(coins(paid)).toBe(2n)
  })

  test('a set that one transfer of breaks leaves nothing, whatever stands around it in the batch', () => {
    const results = run(
      give(paid, 10n),
      post([
        { dr: paid, cr: sink, amount: 10n },
        { dr: bonus, cr: sink, amount: 1n },
      ]),
      post([{ dr: paid, cr: sink, amount: 10n }]),
    )
    expect(results).toMatchObject([{ ok: true, pos: 1 }, refused('wallet.insufficient'), { ok: true, pos: 2 }])
    expect(coins(paid)).toBe(0n)
    expect(
      storage
        .reader()
        .journalAfter(0, 10)
        .map(({ txId }) => txId),
    ).toEqual(['t1', 't3'])
    expect(
      storage
        .reader()
        .balancesAfter('', 10)
        .map(({ account }) => account),
    ).not.toContain(bonus)
  })

  test('the event carries the id and is in the same row', () => {
    one(
      post([{ dr: 'coin.issued', cr: paid, amount: 1n }], {
        event: { t: 'wallet.changed', d: { a: 1 } },
        roomId: 'demo',
        liveId: 'l1',
      }),
    )
    expect(lastRow()).toMatchObject({ event: { t: 'wallet.changed', d: { a: 1, txId: 't1' } }, roomId: 'demo', liveId: 'l1' })
    expect(storage.reader().roomJournalAfter('demo', 0, 10)).toHaveLength(1)
  })

  test('amounts beyond 2^53 come back whole, and none grows beyond 2^63 - 1', () => {
    const odd = 2n ** 53n + 1n
    one(give(paid, odd))
    expect(new Ledger(storage).balanceOf(paid).credits).toBe(odd)
    expect(lastRow()?.legs[0]?.amount).toBe(odd)
    expect(one(give(paid, amountMax - odd))).toMatchObject({ ok: true })
    expect(one(give(paid, 1n))).toEqual(refused('ledger.bad_amount'))
    expect(new Ledger(storage).balanceOf(paid).credits).toBe(amountMax)
  })

  test.each<[string, Transfer[]]>([
    ['ledger.bad_amount', [{ dr: 'coin.issued', cr: paid, amount: 0n }]],
    ['ledger.bad_amount', [{ dr: 'coin.issued', cr: paid, amount: -1n }]],
    ['ledger.bad_amount', [{ dr: 'coin.issued', cr: paid, amount: 2n ** 63n }]],
    ['ledger.bad_amount', [{ dr: 'coin.issued', cr: paid, amount: 1 as unknown as bigint }]],
    ['ledger.bad_amount', [{ dr: 'coin.issued', cr: paid, amount: '1' as unknown as bigint }]],
    ['ledger.bad_amount', [{ dr: 'coin.issued', cr: paid, amount: 0.5 as unknown as bigint }]],
    ['ledger.bad_account', [{ dr: 'coin.issued', cr: 'user.ann.coin', amount: 1n }]],
    ['ledger.bad_account', [{ dr: null as unknown as string, cr: paid, amount: 1n }]],
    ['ledger.bad_set', [{ dr: paid, cr: paid, amount: 1n }]],
    ['ledger.bad_set', [{ dr: 'bean.issued', cr: paid, amount: 1n }]],
    ['ledger.bad_set', []],
    ['ledger.bad_set', Array.from({ length: 65 }, () => ({ dr: 'coin.issued', cr: paid, amount: 1n }))],
    ['ledger.bad_set', {} as Transfer[]],
    ['ledger.bad_op', [null as unknown as Transfer]],
  ])('%s', (code, transfers) => {
    expect(one(post(transfers))).toEqual(refused(code))
    expect(ledger.pos).toBe(0)
  })

  test('an op with a field that could not be written is refused alone', () => {
    const loop: Record<string, unknown> = {}
    loop['loop'] = loop
    const bad: unknown[] = [
      null,
      'post',
      [],
      {},
      { ...give(paid, 1n), op: 'pay' },
      { ...give(paid, 1n), txId: '' },
      { ...give(paid, 1n), txId: 'a b' },
      { ...give(paid, 1n), at: Number.NaN },
      { ...give(paid, 1n), at: 1.5 },
      { ...give(paid, 1n), at: -1 },
      { ...give(paid, 1n), at: 2 ** 53 },
      { ...give(paid, 1n), action: '=cmd()' },
      { ...give(paid, 1n), action: 'a,b' },
      { ...give(paid, 1n), roomId: 'a b' },
      { ...give(paid, 1n), origin: undefined },
      { ...give(paid, 1n), origin: { actor: '', command: 'c' } },
      { ...give(paid, 1n), origin: { actor: 'a\nb', command: 'c' } },
      { ...give(paid, 1n), origin: { actor: '\ud800', command: 'c' } },
      { ...give(paid, 1n), origin: { actor: 'a', command: 'c', ik: 'k' } }, // without a hash of the body
      { ...give(paid, 1n), origin: { actor: 'a', command: 'c', ik: 'k'.repeat(129), bodyHash: 'h' } },
      { ...give(paid, 1n), event: { t: 'x', d: { amount: 1n } } },
      { ...give(paid, 1n), event: { t: 'x', d: loop } },
      { ...give(paid, 1n), reply: { text: 'x'.repeat(20_000) } },
      { op: 'expire', at, limit: 0 },
      { op: 'expire', at: Number.POSITIVE_INFINITY, limit: 1 },
      { ...hold(1n), expiresAt: at },
      { ...hold(1n), expiresAt: Number.POSITIVE_INFINITY },
    ]
    const results = ledger.batch([...(bad as LedgerOp[]), give(paid, 5n)])
    for (const [index, result] of results.slice(0, -1).entries()) expect(result, String(index)).toEqual(refused('ledger.bad_op'))
    expect(results.at(-1)).toMatchObject({ ok: true, pos: 1 })
    expect(coins(paid)).toBe(5n)
  })
})

describe('charge', () => {
  test('bonus first, then paid; only paid coins bring income; the platform gets the rest', () => {
    run(give(bonus, 100n), give(paid, 1_000n))
    expect(one(charge(1_099n))).toMatchObject({ ok: true, reply: { balanceCoin: 1, txId: 't3' } })
    expect(lastRow()?.legs).toEqual([
      { dr: bonus, cr: sink, amount: 100n },
      { dr: paid, cr: sink, amount: 999n },
      { dr: 'bean.issued', cr: beans, amount: 499n },
      { dr: 'bean.issued', cr: 'guild.red.bean.pending', amount: 199n },
    ])
    expect(lastRow()?.facts).toEqual({
      value: '1099',
      paid: '999',
      bonus: '100',
      income: '999',
      streamer: '499',
      guild: '199',
      platform: '301',
      terms: { streamerBps: 5_000, guildBps: 2_000, paidBps: 10_000, bonusBps: 0 },
      contractVersion: 'c1',
      catalogVersion: 'g1',
    })
  })

  test('one coin too few: refused, nothing moves, and no account appears', () => {
    run(give(bonus, 3n), give(paid, 6n))
    expect(one(charge(10n))).toEqual(refused('wallet.insufficient'))
    expect([coins(bonus), coins(paid), coins(sink), coins(beans)]).toEqual([3n, 6n, 0n, 0n])
    expect(
      storage
        .reader()
        .balancesAfter('', 10)
        .map(({ account }) => account),
    ).not.toContain(beans)
  })

  test('a gift of the same batch is seen', () => {
    expect(run(give(paid, 5n), charge(5n), charge(1n))).toMatchObject([
      { ok: true },
      { ok: true },
      refused('wallet.insufficient'),
    ])
  })

  test('what a hold has set aside cannot be spent', () => {
    run(give(paid, 10n), hold(8n))
    expect(one(charge(3n))).toEqual(refused('wallet.insufficient'))
    expect(one(charge(2n))).toMatchObject({ ok: true, reply: { balanceCoin: 0 } })
  })

  test('a balance beyond 2^53 is answered as text', () => {
    one(give(paid, 2n ** 53n + 2n))
    expect(one(charge(1n))).toMatchObject({ reply: { balanceCoin: '9007199254740993' } })
  })

  test.each<[string, Partial<Record<keyof Charge, unknown>>]>([
    ['ledger.bad_amount', { value: 0n }],
    ['ledger.bad_amount', { value: -5n }],
    ['ledger.bad_amount', { value: 2n ** 63n }],
    ['ledger.bad_amount', { value: 5 }],
    ['ledger.bad_account', { payFrom: ['coin.issued'] }],
    ['ledger.bad_account', { payFrom: ['user.ann.coin.hold'] }],
    ['ledger.bad_account', { payFrom: ['user.ann.pts'] }],
    ['ledger.bad_op', { payFrom: [paid, paid] }],
    ['ledger.bad_op', { payFrom: [paid, 'user.bob.coin.paid'] }],
    ['ledger.bad_op', { payFrom: [] }],
    ['ledger.bad_account', { sink: 'user.bob.coin.paid' }],
    ['ledger.bad_account', { sink: 'coin.spent.nothing' }],
    ['ledger.bad_account', { sink: 'escrow.order.o1' }],
    ['ledger.bad_account', { streamer: 'streamer.mia.bean.available' }],
    ['ledger.bad_account', { streamer: 'user.mia.coin.paid' }],
    ['ledger.bad_account', { guild: 'guild' }],
    ['ledger.bad_set', { guild: undefined }],
    ['ledger.bad_op', { terms: { streamerBps: 9_000, guildBps: 2_000, paidBps: 10_000, bonusBps: 0 } }],
    ['ledger.bad_op', { terms: { streamerBps: Number.NaN, guildBps: 0, paidBps: 10_000, bonusBps: 0 } }],
    ['ledger.bad_op', { terms: undefined }],
    ['ledger.bad_op', { contractVersion: '' }],
  ])('%s: %o', (code, over) => {
    one(give(paid, 100n))
    expect(one({ ...charge(5n), ...over })).toEqual(refused(code))
    expect(coins(paid)).toBe(100n)
  })
})

describe('holds', () => {
  test('posted: what was set aside moves', () => {
    run(give(paid, 10n), hold(8n))
    expect(ledger.balanceOf(paid)).toMatchObject({ credits: 10n, debits: 0n, pendingDebits: 8n })
    expect(lastRow()).toMatchObject({ legs: [], facts: { holdId: 't2', held: [[paid, 'user.ann.coin.hold', '8']] } })
    expect(one(settle('post_hold', 't2'))).toMatchObject({ ok: true })
    expect(ledger.balanceOf(paid)).toMatchObject({ debits: 8n, pendingDebits: 0n })
    expect(coins('user.ann.coin.hold')).toBe(8n)
  })

  test('voided or expired: it may be spent again', () => {
    run(give(paid, 10n), hold(8n))
    expect(one(settle('void_hold', 't2'))).toMatchObject({ ok: true })
    expect(one(hold(10n))).toMatchObject({ ok: true, txId: 't4' })
    expect(one({ op: 'expire', at: at + 999, limit: 10 })).toMatchObject({ reply: { expired: 0 } })
    expect(one({ op: 'expire', at: at + 1_000, limit: 10 })).toMatchObject({ reply: { expired: 1 } })
    expect(one({ op: 'expire', at: at + 9_000, limit: 10 })).toMatchObject({ reply: { expired: 0 } })
    expect(one(charge(10n))).toMatchObject({ ok: true })
  })

  test('over at its time, whether or not somebody has cleared it away', () => {
    run(give(paid, 10n), hold(8n))
    expect(one(settle('post_hold', 't2', { at: at + 1_000 }))).toEqual(refused('ledger.hold_over'))
    expect(one(settle('post_hold', 't2', { at: at + 999 }))).toMatchObject({ ok: true })
  })

  test('settled once only, within one batch as well, and expiry passes by', () => {
    const results = run(
      give(paid, 10n),
      hold(8n),
      settle('post_hold', 't2'),
      settle('void_hold', 't2'),
      { op: 'expire', at: at + 5_000, limit: 5 },
      settle('post_hold', 'nothing'),
    )
    expect(results.slice(2)).toMatchObject([
      { ok: true },
      refused('ledger.hold_over'),
      { ok: true, reply: { expired: 0 } },
      refused('ledger.no_hold'),
    ])
    expect(coins(paid)).toBe(2n)
  })

  test('expiry takes the oldest first, at most `limit`, over a restart too', () => {
    run(give(paid, 10n), hold(1n, { expiresAt: at + 30 }), hold(2n, { expiresAt: at + 10 }), hold(3n, { expiresAt: at + 20 }))
    ledger = new Ledger(storage)
    expect(one({ op: 'expire', at: at + 30, limit: 2 })).toMatchObject({ reply: { expired: 2 } })
    expect(ledger.balanceOf(paid).pendingDebits).toBe(1n)
    expect(new Ledger(storage).balanceOf(paid).pendingDebits).toBe(1n)
  })

  test('what is held can always be posted: holds and balances together stay within 2^63 - 1', () => {
    const minted = (amount: bigint) => hold(amount, { transfers: [{ dr: 'coin.issued', cr: paid, amount }] })
    expect(run(minted(amountMax), minted(1n), give(paid, 1n))).toMatchObject([
      { ok: true },
      refused('ledger.bad_amount'),
      refused('ledger.bad_amount'),
    ])
    expect(one(settle('post_hold', 't1'))).toMatchObject({ ok: true })
    expect(coins(paid)).toBe(amountMax)
  })

  test('credits that are only set aside are not there yet', () => {
    one(hold(5n, { transfers: [{ dr: 'coin.issued', cr: paid, amount: 5n }] }))
    expect(one(charge(1n))).toEqual(refused('wallet.insufficient'))
  })
})

describe('asked again', () => {
  const keyed = (bodyHash: string, over: Partial<Charge> = {}) =>
    charge(3n, { origin: { actor: 'ann', command: 'gift.send', ik: 'k1', bodyHash }, ...over })

  test('the same key and body: the first answer, and nothing else happens, also within one batch and after a restart', () => {
    one(give(paid, 10n))
    const [first, second] = run(keyed('h'), keyed('h'))
    expect(first).toMatchObject({ ok: true, replayed: false, txId: 't2' })
    expect(second).toEqual({ ...first, replayed: true })
    ledger = new Ledger(storage)
    expect(one(keyed('h'))).toEqual({ ...first, replayed: true })
    expect(coins(paid)).toBe(7n)
  })

  test('another body: a conflict, and no coin moves', () => {
    run(give(paid, 10n), keyed('h'))
    expect(one(keyed('other'))).toEqual(refused('idem.conflict'))
    expect(coins(paid)).toBe(7n)
  })

  test('another actor or command has keys of its own', () => {
    run(give(paid, 10n), keyed('h'))
    expect(one(keyed('x', { origin: { actor: 'bob', command: 'gift.send', ik: 'k1', bodyHash: 'x' } }))).toMatchObject({
      ok: true,
    })
    expect(one(keyed('x', { origin: { actor: 'ann', command: 'super.send', ik: 'k1', bodyHash: 'x' } }))).toMatchObject({
      ok: true,
    })
  })

  test('a refused op leaves no key behind', () => {
    expect(one(keyed('h'))).toEqual(refused('wallet.insufficient'))
    one(give(paid, 10n))
    expect(one(keyed('other'))).toMatchObject({ ok: true, replayed: false })
  })

  test('the same id for the same thing is answered again, for something else it is refused', () => {
    const first = give(paid, 10n)
    const gift = charge(3n)
    const held = hold(2n)
    const posted = settle('post_hold', held.txId)
    const answers = run(first, gift, held, posted)
    ledger = new Ledger(storage)
    expect(run(first, gift, held, posted)).toEqual(answers.map((answer) => ({ ...answer, replayed: true })))
    const others: LedgerOp[] = [
      { ...first, transfers: [{ dr: 'coin.issued', cr: paid, amount: 11n }] },
      { ...first, at: at + 1 },
      { ...first, origin: { actor: 'bob', command: 'test' } },
      { ...gift, value: 4n },
      { ...gift, contractVersion: 'c2' },
      { ...held, expiresAt: at + 2_000 },
      { ...posted, op: 'void_hold' },
      { ...first, txId: gift.txId },
      { ...gift, txId: first.txId },
    ]
    for (const result of run(...others)) expect(result).toEqual(refused('ledger.tx_exists'))
    expect(coins(paid)).toBe(5n)
  })
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
    const small = new SqliteLedger({ file: ':memory:', pagesMax: 14 })
    expect(() => small.checkWrite()).toThrow('full')
    small.close()
    expect(() => storage.checkWrite()).not.toThrow()
  })
})

test('rows of the journal cannot be changed or taken out, whoever tries', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ledger-'))
  const file = join(folder, 'ledger.db')
  const onDisk = new SqliteLedger({ file })
  new Ledger(onDisk).batch([give(paid, 1n)])
  const other = new Database(file)
  expect(() => other.exec(`UPDATE journal SET actor = 'eve'`)).toThrow('never changed')
  expect(() => other.exec('DELETE FROM journal')).toThrow('never changed')
  other.close()
  onDisk.close()
  rmSync(folder, { recursive: true })
})
