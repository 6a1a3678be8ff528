import { expect, test } from 'vitest'
import { ManualClock, settle } from '../base/clock.ts'
import { openLedgerInline } from './open.ts'
import type { Post } from './ops.ts'

let n = 0
const give = (amount: bigint, over: Partial<Post> = {}): Post => ({
  op: 'post',
  txId: `t${++n}`,
  at: 1_760_000_000_000,
  action: 'test',
  origin: { actor: 'ann', command: 'test' },
  transfers: [{ dr: 'coin.issued', cr: 'user.ann.coin.paid', amount }],
  ...over,
})
const big = () => give(1n, { reply: { text: 'x'.repeat(16_000) } })
const open = (over: { queueMax?: number; pagesMax?: number } = {}) => {
  const clock = new ManualClock()
  return { clock, ledger: openLedgerInline({ file: ':memory:', clock, ...over }) }
}

test('ops of one turn share a commit, and are answered within microtasks', async () => {
  const { ledger } = open()
  const results = await Promise.all([ledger.submit(give(1n)), ledger.submit(give(0n)), ledger.submit(give(2n))])
  expect(results).toMatchObject([
    { ok: true, pos: 1 },
    { ok: false, code: 'ledger.bad_amount' },
    { ok: true, pos: 2 },
  ])
  expect(ledger.stats()).toMatchObject({ commits: 1, answered: 3, refused: 1, queued: 0, pos: 2 })
  await ledger.close()
})

test('at its bound the queue rejects at once, and nothing of that happens', async () => {
  const { ledger } = open({ queueMax: 3 })
  const answers = await Promise.allSettled(Array.from({ length: 5 }, () => ledger.submit(give(1n))))
  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected'])
  expect(answers[4]).toMatchObject({ reason: { code: 'billing.unavailable', reason: 'full', isUnknown: false } })
  expect(ledger.stats()).toMatchObject({ rejectedFull: 2, pos: 3 })
  expect(await ledger.submit(give(1n))).toMatchObject({ ok: true })
  await ledger.close()
})

test('a failed write closes it; it tries again with growing pauses; listeners hear of both', async () => {
  const { ledger, clock } = open({ pagesMax: 24 }) // less free than a check writes, 17 pages
  const states: string[] = []
  ledger.onState((state) => states.push(state))
  ledger.onState(() => {
    throw new Error('a bad listener')
  })
  await ledger.submit(give(1n))
  const first = ledger.submit(big())
  const second = ledger.submit(give(1n))
  for (let at = 0; at < 4; at++) void ledger.submit(big()).catch(() => {})
  await first.catch(() => {})
  await second.catch(() => {})
  while (ledger.state === 'open') await ledger.submit(big()).catch(() => {})
  expect(states).toEqual(['unavailable'])
  await expect(ledger.submit(give(1n))).rejects.toMatchObject({ reason: 'failed', isUnknown: false })
  for (const ms of [250, 500, 1_000]) {
    await clock.advanceAsync(ms - 1)
    const next = clock.nextAt() ?? 0
    expect(next - clock.now()).toBe(1)
    await clock.advanceAsync(1)
  }
  expect(ledger.stats()).toMatchObject({ state: 'unavailable', failures: 1 })
  await ledger.close()
  expect(states).toEqual(['unavailable', 'closed'])
  await clock.advanceAsync(60_000)
  expect(ledger.state).toBe('closed')
})

test('who listens hears of what is on disk, until it stops', async () => {
  const { ledger } = open()
  const heard: number[] = []
  const stop = ledger.onCommitted((pos) => heard.push(pos))
  await ledger.submit(give(1n))
  await ledger.submit(give(0n)) // nothing came into the journal
  await ledger.submit(give(1n))
  stop()
  await ledger.submit(give(1n))
  await settle()
  expect(heard).toEqual([1, 2])
  await ledger.close()
})
