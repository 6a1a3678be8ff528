import { describe, expect, it } from 'vitest'
import { allow } from '../plugin/hooks.ts'
import type { FrameHead } from '../room/frames.ts'
import { describeRun, simulate } from './simulate.ts'
import type { Sabotage } from './world.ts'

const steps = 400
const seeds = Array.from({ length: 30 }, (_, at) => at + 1)

describe('every promise holds', () => {
  it.each(seeds)('seed %i', async (seed) => {
    const result = await simulate({ seed, steps })
    expect(result.broken, result.broken.length > 0 ? describeRun(result) : '').toEqual([])
    expect(result.commits).toBeGreaterThan(20)
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
        return own ? { ...head, full: { counts: own.counts, parts: own.parts } } : head
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
  it.each([...cases, ...plugins])('%s', async (_, invariant, sabotage) => {
    const found: string[] = []
    for (let seed = 3; seed <= 30 && found.length === 0; seed += 3)
      for (const { invariant: name } of (await simulate({ seed, steps, sabotage })).broken) found.push(name)
    expect(found.join()).toMatch(invariant)
  })
})
