import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import { type OpenLedger, openLedgerInline } from './open.ts'
import type { LedgerOp, Transfer } from './ops.ts'
import type { StatementQuery } from './statements.ts'

let ledger: OpenLedger
let n = 0
beforeEach(() => {
  n = 0
  ledger = openLedgerInline({ file: ':memory:', clock: new ManualClock() })
})
afterEach(() => ledger.close())

const paid = 'user.ann.coin.paid'
const post = (at: number, transfers: Transfer[], action = 'recharge'): LedgerOp => ({
  op: 'post',
  txId: `t${++n}`,
  at,
  action,
  origin: { actor: 'ann', command: 'c' },
  roomId: 'demo',
  transfers,
})
const give = (at: number, amount: bigint, cr = paid) => post(at, [{ dr: 'coin.issued', cr, amount }])
const spend = (at: number, amount: bigint) => post(at, [{ dr: paid, cr: 'coin.spent.gift', amount }], 'gift')
async function submit(...ops: LedgerOp[]): Promise<void> {
  for (const result of await Promise.all(ops.map((op) => ledger.submit(op)))) expect(result).toMatchObject({ ok: true })
}
async function text(query: Partial<StatementQuery>): Promise<string> {
  let all = ''
  for await (const piece of ledger.reads.statement({ fromAt: 100, toAt: 200, format: 'csv', ...query })) all += piece
  return all
}

test('CSV: opening, what happened, closing, for each account of the owner, and nobody else’s', async () => {
  await submit(give(50, 1_000n), give(99, 5n, 'user.ann.coin.bonus'), give(100, 7n, 'user.anna.coin.paid'), spend(100, 30n))
  await submit(give(150, 2n ** 53n + 1n), spend(199, 1n), spend(200, 900n))
  expect((await text({ owner: { kind: 'user', id: 'ann' } })).split('\r\n')).toEqual([
    'kind,account,ledger,at,pos,tx_id,action,room_id,live_id,debit,credit,balance',
    'opening,user.ann.coin.bonus,COIN,100,,,,,,,,5',
    'closing,user.ann.coin.bonus,COIN,200,,,,,,,,5',
    'opening,user.ann.coin.paid,COIN,100,,,,,,,,1000',
    'entry,user.ann.coin.paid,COIN,100,4,t4,gift,demo,,30,0,970',
    'entry,user.ann.coin.paid,COIN,150,5,t5,recharge,demo,,0,9007199254740993,9007199254741963',
    'entry,user.ann.coin.paid,COIN,199,6,t6,gift,demo,,1,0,9007199254741962',
    'closing,user.ann.coin.paid,COIN,200,,,,,,,,9007199254741962',
    '',
  ])
})

test('JSON says the same, with amounts as text', async () => {
  await submit(give(50, 1_000n), spend(120, 30n), spend(130, 1n))
  const found = JSON.parse(await text({ account: paid, format: 'json' }))
  expect(found).toEqual({
    of: paid,
    fromAt: 100,
    toAt: 200,
    accounts: [
      {
        account: paid,
        ledger: 'COIN',
        opening: '1000',
        entries: [
          { pos: 2, at: 120, txId: 't2', action: 'gift', roomId: 'demo', debit: '30', credit: '0', balance: '970' },
          { pos: 3, at: 130, txId: 't3', action: 'gift', roomId: 'demo', debit: '1', credit: '0', balance: '969' },
        ],
        closing: '969',
      },
    ],
  })
})

test('the same question gets the same bytes, also when more has happened since; pages do not show', async () => {
  await submit(give(50, 100_000n), ...Array.from({ length: 1_250 }, (_, at) => spend(100 + (at % 100), 3n)))
  for (const format of ['csv', 'json'] as const) {
    const first = await text({ owner: { kind: 'user', id: 'ann' }, format })
    await submit(give(200, 5n), spend(99_999, 1n))
    expect(await text({ owner: { kind: 'user', id: 'ann' }, format })).toBe(first)
    expect(first.match(/"txId"|entry,/g)).toHaveLength(1_250)
    expect(first).toContain(String(100_000 - 3 * 1_250))
  }
})

test('what is owed to a payee belongs to it; an account on the debit side grows by debits', async () => {
  await submit(post(120, [{ dr: 'plat.exp.share', cr: 'payable.streamer.mia', amount: 40n }]))
  expect(await text({ owner: { kind: 'streamer', id: 'mia' } })).toContain('closing,payable.streamer.mia,CNY,200,,,,,,,,40')
  expect(await text({ account: 'plat.exp.share' })).toContain('closing,plat.exp.share,CNY,200,,,,,,,,40')
})

test('one row that touches an account twice is one entry', async () => {
  await submit(
    post(110, [
      { dr: 'coin.issued', cr: paid, amount: 9n },
      { dr: paid, cr: 'coin.spent.gift', amount: 4n },
    ]),
  )
  expect(await text({ account: paid })).toContain('entry,user.ann.coin.paid,COIN,110,1,t1,recharge,demo,,4,9,5\r\n')
})

test('nobody and nothing: a statement without accounts; a question without meaning is refused', async () => {
  expect((await text({ owner: { kind: 'guild', id: 'none' } })).split('\r\n')).toHaveLength(2)
  expect(JSON.parse(await text({ owner: { kind: 'guild', id: 'none' }, format: 'json' }))).toMatchObject({ accounts: [] })
  const bad: Partial<StatementQuery>[] = [
    {},
    { account: 'user.ann.coin' },
    { account: paid, owner: { kind: 'user', id: 'ann' } },
    { owner: { kind: 'user', id: 'a%' } },
    { owner: { kind: 'plat' as 'user', id: 'bank' } },
    { account: paid, fromAt: 200, toAt: 200 },
    { account: paid, fromAt: -1 },
    { account: paid, toAt: Number.NaN },
  ]
  for (const query of bad) await expect(text(query)).rejects.toThrow(RangeError)
})
