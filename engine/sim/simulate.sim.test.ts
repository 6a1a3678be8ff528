import { describe, expect, it } from 'vitest'
import type { Charge, JournalRow, LedgerOp } from '../ledger/ops.ts'
import { allow } from '../plugin/hooks.ts'
import type { FrameHead } from '../room/frames.ts'
import { describeRun, simulate } from './simulate.ts'
import type { Sabotage } from './world.ts'

const steps = 400
/** `npm run sim -- --seeds 1-500` runs more. */
const seeds = Array.from({ length: 9 }, (_, at) => at + 1)

describe('every promise holds', () => {
  it.each(seeds)('seed %i', async (seed) => {
    const result = await simulate({ seed, steps })
    expect(result.broken, result.broken.length > 0 ? describeRun(result) : '').toEqual([])
    expect(result.commits).toBeGreaterThan(20)
    expect(result.money.gifts).toBeGreaterThan(0)
  })
})

describe('a run can be repeated', () => {
  it('one seed, one hash; another seed, another', async () => {
    const [first, again, other] = [
      await simulate({ seed: 7, steps: 150 }),
      await simulate({ seed: 7, steps: 150 }),
      await simulate({ seed: 8, steps: 150 }),
    ]
    expect(again.hash).toBe(first.hash)
    expect(other.hash).not.toBe(first.hash)
  })
})

describe('a broken engine is noticed', () => {
  const onFrames = (change: (head: FrameHead) => FrameHead | undefined): Sabotage => ({
    tamper: (subject, head) => (subject.endsWith('.frames') ? change(head as FrameHead) : head),
  })
  const command = (head: unknown) => head as { t: string; ik?: string }
  let published = 0
  const cases: [name: string, invariant: RegExp, sabotage: Sabotage][] = [
    ['a frame twice', /nothing twice/, { publish: () => (++published % 50 === 0 ? 2 : 1) }],
    ['a frame lost behind the edge', /high lane|own echo|delivery account/, { publish: () => (++published % 50 === 0 ? 0 : 1) }],
    ['no personal frames', /own echo|delivery account/, onFrames((head) => ({ ...head, personal: [] }))],
    [
      'personal frames for all',
      /shadow|delivery account/,
      onFrames((head) => {
        const [own] = head.personal
        return own ? { ...head, full: { ...head.full, counts: own.counts, parts: own.parts } } : head
      }),
    ],
    ['leaves that no home hears', /presence/, { tamper: (_, head) => (command(head).t === 'room.leave' ? undefined : head) }],
    [
      'keys that are forgotten',
      /idempotency/,
      { tamper: (_, head) => (command(head).ik === undefined ? head : { ...command(head), ik: undefined }) },
    ],
  ]
  const passed = { verdict: allow, unchecked: [] }
  let read = 0
  const plugins: [name: string, invariant: RegExp, sabotage: Sabotage][] = [
    ['a guard that nobody heeds', /guards decide/, { plugins: { ruling: ({ unchecked }) => ({ ...passed, unchecked }) } }],
    [
      'a danmaku that passed unchecked and says nothing',
      /guards decide/,
      { plugins: { ruling: ({ verdict }) => ({ ...passed, verdict }) } },
    ],
    [
      'an event that is never delivered',
      /events are delivered/,
      { plugins: { log: (rows) => rows.map((one) => (++read % 20 > 0 ? one : { ...one, row: { ...one.row, t: 'x.lost' } })) } },
    ],
    [
      'events out of order',
      /events in order/,
      { plugins: { log: (rows) => rows.map((one, at) => ({ ...(rows[at ^ 1] ?? one), pos: one.pos })) } },
    ],
  ]
  const gift = (op: LedgerOp): op is Charge => op.op === 'charge'
  const unlocked = 'DROP TRIGGER IF EXISTS journal_no_update'
  let charges = 0
  const money: [name: string, invariant: RegExp, sabotage: Sabotage][] = [
    [
      'M1: a balance that grows by itself',
      /M1/,
      { ledger: { tamper: (run) => run("UPDATE balances_ SET credits = credits + 1 WHERE account = 'coin.spent.gift'") } },
    ],
    [
      'M2: a wallet below zero',
      /M2/,
      { ledger: { tamper: (run) => run("UPDATE balances_ SET debits = credits + 1 WHERE account = 'user.u1.coin.paid'") } },
    ],
    [
      'M3: coins from nowhere',
      /M3/,
      { ledger: { tamper: (run) => run("UPDATE balances_ SET credits = credits + 5 WHERE account = 'user.u9.coin.bonus'") } },
    ],
    [
      'M4: a share too large by one bean',
      /M4/,
      {
        ledger: {
          tamper: (run) =>
            run(`${unlocked}; UPDATE journal SET facts = json_set(facts, '$.streamer', '1000001') WHERE action = 'gift'`),
        },
      },
    ],
    [
      'M5: a gift that shows a coin too much',
      /M5/,
      {
        ledger: {
          op: (op) =>
            gift(op) && op.event ? { ...op, event: { ...op.event, d: { ...op.event.d, valueCoin: Number(op.value) + 1 } } } : op,
        },
      },
    ],
    [
      'M12: another gift under a key gets the first answer',
      /M12/,
      { ledger: { op: (op) => (gift(op) ? { ...op, origin: { ...op.origin, bodyHash: 'one' } } : op) } },
    ],
    [
      'M12: a ledger that forgets keys',
      /M12/,
      { ledger: { op: (op) => (gift(op) ? { ...op, origin: { actor: op.origin.actor, command: op.origin.command } } : op) } },
    ],
    ['M13: boards that count a gift twice when they read it', /M13/, { journal: (rows) => rows.map((row) => doubled(row)) }],
    ['M13: a gift that is still at the ledger when its home dies, and missed by the next', /M13/, { neverSettles: true }],
    ['M14: a gift that was acknowledged and not written', /M14/, { ledger: { forgets: () => ++charges % 10 === 0 } }],
    [
      'M14: a gift that is taken for an old one after a crash',
      /M14/,
      { journal: (rows) => rows.map((row) => ({ ...row, at: row.at - 61_000 })) },
    ],
    [
      'combos: an end with a coin too much',
      /combos/,
      {
        log: (row) =>
          row.t === 'gift.combo_ended' ? { ...row, d: { ...(row.d as object), totalCoin: (row.d as Ended).totalCoin + 1 } } : row,
      },
    ],
  ]
  it.each(money)('%s', async (_, invariant, sabotage) => {
    const found: string[] = []
    for (let seed = 1; seed <= 60 && !invariant.test(found.join()); seed++)
      for (const { invariant: name } of (await simulate({ seed, steps, sabotage })).broken) found.push(name)
    expect(found.join()).toMatch(invariant)
  })
  it.each([...cases, ...plugins])('%s', async (_, invariant, sabotage) => {
    const found: string[] = []
    for (let seed = 3; seed <= 30 && found.length === 0; seed += 3)
      for (const { invariant: name } of (await simulate({ seed, steps, sabotage })).broken) found.push(name)
    expect(found.join()).toMatch(invariant)
  })
})

type Ended = { totalCoin: number }

function doubled(row: JournalRow): JournalRow {
  if (row.event?.t !== 'gift.sent') return row
  return { ...row, event: { ...row.event, d: { ...row.event.d, valueCoin: Number(row.event.d.valueCoin) * 2 } } }
}
