/** Bounds of spending, frozen wallets and facts without a room through the threads of a whole ledger, on SQLite and on Postgres alike. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SystemClock } from '../base/clock.ts'
import { type OpenLedger, openLedger } from './open.ts'
import type { Charge, LedgerOp } from './ops.ts'
import { type PostgresServer, startPostgres } from './postgres-server.ts'

const dayMs = 86_400_000
let server: PostgresServer
let n = 0
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

const entry = (at: number) => {
  const id = `t${String(++n).padStart(6, '0')}`
  return { txId: id, at, action: 'test', origin: { actor: 'ann', command: 'c', ik: id, bodyHash: 'h' } }
}
const fund = (amount: bigint): LedgerOp => ({
  op: 'post',
  ...entry(0),
  event: { t: 'recharge.completed', d: { n } },
  transfers: [{ dr: 'coin.issued', cr: 'user.ann.coin.paid', amount }],
})
const freeze = (isFrozen: boolean): LedgerOp => ({ op: 'freeze', ...entry(1), payer: 'ann', isFrozen })
const gift = (value: bigint, at: number): Charge => ({
  op: 'charge',
  ...entry(at),
  roomId: 'r1',
  event: { t: 'gift.sent', d: {} },
  value,
  payFrom: ['user.ann.coin.paid'],
  sink: 'coin.spent.gift',
  terms: { streamerBps: 5_000, guildBps: 0, paidBps: 10_000, bonusBps: 0 },
  streamer: 'streamer.mia.bean.pending',
  contractVersion: 'c1',
  catalogVersion: 'g1',
  spend: {
    minute: { from: at - (at % 60_000), until: at - (at % 60_000) + 60_000, max: 1_000 },
    day: { from: at - (at % dayMs), until: at - (at % dayMs) + dayMs, max: 100 },
  },
})

describe.each(['SQLite', 'Postgres'])('on %s', (kind) => {
  it('bounds, freezes and facts are the same after a restart', { timeout: 60_000 }, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'ledger-payers-'))
    const place = kind === 'Postgres' ? { databaseUrl: await server.createDatabase() } : {}
    const open = () => openLedger({ dir, clock: new SystemClock(), ...place })
    let ledger: OpenLedger = await open()
    const codes = async (...ops: LedgerOp[]) =>
      (await Promise.all(ops.map((op) => ledger.submit(op)))).map((result) => (result.ok ? 'ok' : result.code))
    try {
      await codes(fund(1_000n))
      const answers = await codes(...Array.from({ length: 20 }, () => gift(7n, 5 * dayMs)))
      expect(answers.filter((code) => code === 'ok')).toHaveLength(14)
      expect(await codes(freeze(true), gift(1n, 5 * dayMs), fund(1n))).toEqual(['ok', 'wallet.frozen', 'ok'])
      await ledger.close()

      ledger = await open()
      expect(await ledger.reads.payer('ann')).toMatchObject({ payer: 'ann', isFrozen: true, dayAt: 5 * dayMs, dayCoins: 98 })
      expect(await ledger.reads.payer('bob')).toBeUndefined()
      expect(await codes(gift(1n, 5 * dayMs), freeze(false), gift(2n, 5 * dayMs))).toEqual(['wallet.frozen', 'ok', 'ok'])
      expect(await ledger.submit(gift(1n, 5 * dayMs))).toMatchObject({
        exceeded: { window: 'day', max: 100, resetAt: 6 * dayMs },
      })
      expect(await codes(gift(100n, 6 * dayMs))).toEqual(['ok'])
      const facts = await ledger.reads.factsAfter(0, 10)
      expect(facts.map(({ event }) => event?.t)).toEqual(['recharge.completed', 'recharge.completed'])
      expect(await ledger.reads.factsAfter(facts[0]?.pos ?? 0, 10)).toHaveLength(1)
    } finally {
      await ledger.close()
      rmSync(dir, { recursive: true })
    }
  })
})
