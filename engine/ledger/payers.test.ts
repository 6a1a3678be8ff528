/** What a payer may spend, and whether at all: exact for many at once, across batches, restarts and windows. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import { type OpenLedger, openLedgerInline } from './open.ts'
import type { Charge, LedgerOp, SpendWindow } from './ops.ts'
import { packOps, unpackOps } from './sent.ts'

let dir: string
let ledger: OpenLedger
let n = 0
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ledger-payers-'))
  open()
})
afterEach(async () => {
  await ledger.close()
  rmSync(dir, { recursive: true })
})
function open(): void {
  ledger = openLedgerInline({ file: join(dir, 'ledger.db'), clock: new ManualClock() })
}
async function restart(): Promise<void> {
  await ledger.close()
  open()
}

const minuteMs = 60_000
const dayMs = 86_400_000
const windowAt = (at: number, length: number, max: number): SpendWindow => {
  const from = at - (at % length)
  return { from, until: from + length, max }
}
type Limits = { minute?: number; day?: number }
const entry = (at: number) => {
  const id = `t${String(++n).padStart(6, '0')}`
  return { txId: id, at, action: 'test', origin: { actor: 'ann', command: 'c', ik: id, bodyHash: 'h' } }
}
const fund = (user: string, amount: bigint): LedgerOp => ({
  op: 'post',
  ...entry(0),
  transfers: [{ dr: 'coin.issued', cr: `user.${user}.coin.paid`, amount }],
})
const gift = (user: string, value: bigint, at: number, { minute = 1e9, day = 1e9 }: Limits = {}): Charge => ({
  op: 'charge',
  ...entry(at),
  value,
  payFrom: [`user.${user}.coin.bonus`, `user.${user}.coin.paid`],
  sink: 'coin.spent.gift',
  terms: { streamerBps: 5_000, guildBps: 0, paidBps: 10_000, bonusBps: 0 },
  streamer: 'streamer.mia.bean.pending',
  contractVersion: 'c1',
  catalogVersion: 'g1',
  spend: { minute: windowAt(at, minuteMs, minute), day: windowAt(at, dayMs, day) },
})
const freeze = (payer: string, isFrozen: boolean): LedgerOp => ({ op: 'freeze', ...entry(1), payer, isFrozen })
const codes = async (...ops: LedgerOp[]) =>
  (await Promise.all(ops.map((op) => ledger.submit(op)))).map((result) => (result.ok ? 'ok' : result.code))

it('of many at once exactly those get through that fit, to the last coin; what does not fit stands in nobody’s way', async () => {
  await codes(fund('ann', 10_000n), fund('bob', 10_000n))
  const at = 5 * dayMs + 7
  const answers = await codes(
    ...Array.from({ length: 50 }, () => gift('ann', 30n, at, { day: 1_000 })),
    gift('ann', 10n, at, { day: 1_000 }),
    gift('bob', 1_000n, at, { day: 1_000 }),
  )
  expect(answers.filter((code) => code === 'ok')).toHaveLength(33 + 2)
  expect(answers.slice(33, 50).every((code) => code === 'limit.exceeded')).toBe(true)
  const [ann] = await ledger.reads.balances(['user.ann.coin.paid'])
  expect(ann?.balance).toBe(9_000n)
  expect(await ledger.submit(gift('ann', 1n, at, { day: 1_000 }))).toMatchObject({
    ok: false,
    code: 'limit.exceeded',
    exceeded: { window: 'day', max: 1_000, resetAt: 6 * dayMs },
  })
})

it('counts over a restart, begins anew in the next window, and a clock that was set back frees nobody', async () => {
  await codes(fund('ann', 10_000n))
  const [evening, midnight] = [6 * dayMs - 1, 6 * dayMs]
  expect(await codes(gift('ann', 100n, evening, { day: 100 }))).toEqual(['ok'])
  await restart()
  expect(await codes(gift('ann', 1n, evening, { day: 100 }))).toEqual(['limit.exceeded'])
  expect(await codes(gift('ann', 60n, midnight, { day: 100 }))).toEqual(['ok'])
  // Accepted before midnight, here after it: the day that is counted now has 40 left.
  expect(await codes(gift('ann', 41n, evening, { day: 100 }), gift('ann', 40n, evening, { day: 100 }))).toEqual([
    'limit.exceeded',
    'ok',
  ])
  expect(await codes(gift('ann', 1n, midnight, { day: 100 }))).toEqual(['limit.exceeded'])
})

it('the minute ends before the day does, and what is told is the bound that ends last', async () => {
  await codes(fund('ann', 10_000n))
  const at = 9 * dayMs
  const of = (value: bigint, later = 0) => ledger.submit(gift('ann', value, at + later, { minute: 50, day: 80 }))
  expect((await of(50n)).ok).toBe(true)
  expect(await of(1n)).toMatchObject({ exceeded: { window: 'minute', max: 50, resetAt: at + minuteMs } })
  expect(await of(31n)).toMatchObject({ exceeded: { window: 'day', max: 80 } })
  expect((await of(30n, minuteMs)).ok).toBe(true)
  expect(await of(1n, 2 * minuteMs)).toMatchObject({ exceeded: { window: 'day' } })
})

it('a refused charge, a repeated one and one without bounds count nothing', async () => {
  await codes(fund('ann', 100n))
  const first = gift('ann', 60n, dayMs, { day: 100 })
  expect(await codes(first, first, gift('ann', 41n, dayMs, { day: 200 }))).toEqual(['ok', 'ok', 'wallet.insufficient'])
  const { spend: _, ...free } = gift('ann', 10n, dayMs)
  expect(await codes(free)).toEqual(['ok'])
  expect(await ledger.reads.payer('ann')).toMatchObject({ dayCoins: 60, isFrozen: false })
  expect(await ledger.reads.payer('bob')).toBeUndefined()
})

it('a frozen wallet pays nothing, over restarts, until it is freed; coins can still come in', async () => {
  await codes(fund('ann', 100n))
  expect(await codes(gift('ann', 1n, 1), freeze('ann', true), gift('ann', 1n, 1))).toEqual(['ok', 'ok', 'wallet.frozen'])
  await restart()
  expect(await codes(gift('ann', 1n, 1), fund('ann', 5n), freeze('ann', true), gift('ann', 1n, 1))).toEqual([
    'wallet.frozen',
    'ok',
    'ok',
    'wallet.frozen',
  ])
  expect(await codes(freeze('ann', false), gift('ann', 1n, 1))).toEqual(['ok', 'ok'])
  expect((await ledger.reads.payer('ann'))?.isFrozen).toBe(false)
})

it('bounds that are none are refused alone', async () => {
  await codes(fund('ann', 100n))
  const { minute, day } = gift('ann', 1n, 1).spend as { minute: SpendWindow; day: SpendWindow }
  const bad = [null, {}, { minute }, { minute, day: { ...day, max: -1 } }, { minute, day: { ...day, max: 1.5 } }, 7]
  bad.push({ minute: { ...minute, until: minute.from }, day }, { minute, day: { ...day, max: '9' } } as never)
  const ops = bad.map((spend) => ({ ...gift('ann', 1n, 1), spend }) as unknown as LedgerOp)
  expect(await codes(...ops, gift('ann', 1n, 1))).toEqual([...bad.map(() => 'ledger.bad_op'), 'ok'])
  for (const over of [{ payer: 'a.b' }, { payer: 7 }, { isFrozen: 'yes' }])
    expect(await codes({ ...freeze('ann', true), ...over } as LedgerOp)).toEqual(['ledger.bad_op'])
})

it('the bounds go with a charge to the thread of the writer', () => {
  const ops = [gift('ann', 1n, 1, { day: 5 }), gift('bob', 1n, 1, { day: 5 }), gift('cat', 1n, 1, { day: 6 })]
  const { spend: _, ...free } = gift('dan', 1n, 1)
  const there = unpackOps(structuredClone(packOps([...ops, free]))) as Charge[]
  expect(there.map(({ spend }) => spend)).toEqual([...ops.map(({ spend }) => spend), undefined])
})

it('whatever comes in whatever order, what a plain model allows is what is posted', { timeout: 30_000 }, async () => {
  const step = fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({ user: fc.constantFrom('u', 'v'), value: fc.integer({ min: 1, max: 60 }), later: fc.nat(40_000) }),
    },
    { weight: 1, arbitrary: fc.constant('restart' as const) },
    { weight: 1, arbitrary: fc.constant('day' as const) },
  )
  let round = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      round++
      let at = 20 * dayMs
      const sums = new Map<string, bigint>()
      for (const one of steps) {
        if (one === 'restart') await restart()
        else if (one === 'day') at += dayMs
        else {
          at += one.later
          const user = `${one.user}${round}`
          await ledger.submit(fund(user, 100n))
          const keys = [`${user} m${Math.floor(at / minuteMs)}`, `${user} d${Math.floor(at / dayMs)}`]
          const [minute = 0n, day = 0n] = keys.map((key) => (sums.get(key) ?? 0n) + BigInt(one.value))
          const isAllowed = minute <= 90n && day <= 200n
          if (isAllowed) for (const [i, sum] of [minute, day].entries()) sums.set(keys[i] as string, sum)
          const { ok } = await ledger.submit(gift(user, BigInt(one.value), at, { minute: 90, day: 200 }))
          expect(ok).toBe(isAllowed)
        }
      }
    }),
    { numRuns: 40 },
  )
})
