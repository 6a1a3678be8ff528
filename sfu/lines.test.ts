import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LineName } from '../schemas/sfu.ts'
import { cleanMs, type LineChange, Lines, lossMs } from './lines.ts'

function begin() {
  const changes: LineChange[] = []
  const lines = new Lines((change) => changes.push(change))
  let now = 0
  /** Both lines that are named send each 50 ms. */
  const run = (ms: number, ...sending: LineName[]) => {
    for (const until = now + ms; now < until; ) {
      now += 50
      for (const name of sending) lines.heard(name, now)
      if (now % 100 === 0) lines.tick(now)
    }
  }
  const both = () => {
    for (const name of ['primary', 'backup'] as const) lines.opened(name)
  }
  return { lines, changes, run, both }
}
const told = (changes: readonly LineChange[]) => changes.map(({ from, to, cause }) => `${from ?? 'none'}>${to} ${cause}`)

test('the first that comes up is shown; one that is open and silent is down and shows nobody anything', () => {
  const { lines, changes, run, both } = begin()
  both()
  run(5_000)
  expect([lines.shown, lines.stateOf('primary'), changes.length]).toEqual([undefined, 'down', 0])
  run(1_000, 'backup')
  expect([lines.shown, lines.stateOf('backup'), lines.stateOf('primary')]).toEqual(['backup', 'up', 'down'])
})

test('lost after the time of loss, back after the time of cleanness', () => {
  const { lines, changes, run, both } = begin()
  both()
  run(4_000, 'primary', 'backup')
  run(lossMs - 100, 'backup')
  expect(lines.shown).toBe('primary')
  run(200, 'backup')
  expect(lines.shown).toBe('backup')
  run(cleanMs - 100, 'primary', 'backup')
  expect(lines.shown).toBe('backup')
  run(300, 'primary', 'backup')
  expect(told(changes)).toEqual(['none>primary returned', 'primary>backup lost', 'backup>primary returned'])
})

test('when the last line is closed nothing is shown, whichever went first, and the next show is a new one', () => {
  for (const order of [['primary', 'backup'] as const, ['backup', 'primary'] as const]) {
    const { lines, changes, run, both } = begin()
    both()
    run(1_000, 'primary')
    for (const name of order) lines.closed(name)
    expect(lines.shown).toBeUndefined()
    both()
    run(1_000, 'backup')
    expect(told(changes)).toEqual(['none>primary returned', 'none>backup returned'])
  }
})

test('when a line will be lost is known while it is shown and up, and not before', () => {
  const { lines, run, both } = begin()
  expect(lines.lossAtMs).toBeUndefined()
  both()
  run(1_000, 'primary', 'backup')
  run(1_000, 'backup')
  expect(lines.lossAtMs).toBe(1_000 + lossMs)
  lines.tick(1_000 + lossMs)
  expect(lines.shown).toBe('backup')
  expect(lines.lossAtMs).toBe(2_000 + lossMs)
  run(lossMs)
  expect(lines.lossAtMs).toBeUndefined()
})

test('chosen by hand stays, until it is dark; auto gives it free', () => {
  const { lines, changes, run, both } = begin()
  both()
  run(100, 'primary')
  expect(lines.choose('backup')).toBe(false)
  run(1_000, 'primary', 'backup')
  expect(lines.choose('backup')).toBe(true)
  run(10_000, 'primary', 'backup')
  expect(lines.shown).toBe('backup')
  expect(lines.choose('auto')).toBe(true)
  run(200, 'primary', 'backup')
  expect(lines.shown).toBe('primary')
  lines.choose('backup')
  run(2_000, 'primary')
  expect(lines.shown).toBe('primary')
  run(10_000, 'primary', 'backup')
  expect(told(changes)).toEqual([
    ...['none>primary returned', 'primary>backup manual', 'backup>primary returned'],
    ...['primary>backup manual', 'backup>primary lost'],
  ])
})

test('closed: the other at once; both closed: none', () => {
  const { lines, changes, run, both } = begin()
  both()
  run(1_000, 'primary', 'backup')
  lines.closed('primary')
  expect([lines.shown, lines.stateOf('primary')]).toEqual(['backup', 'idle'])
  lines.closed('backup')
  expect(lines.shown).toBeUndefined()
  lines.heard('backup', 9_999)
  expect([lines.stateOf('backup'), changes.at(-1)?.cause]).toEqual(['idle', 'closed'])
})

type Step = { do: 'open' | 'close' | 'choose' | 'auto'; name: LineName } | { do: 'send'; sending: LineName[]; ms: number }
const name = fc.constantFrom<LineName>('primary', 'backup')
const step = fc.oneof(
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('open', 'close', 'choose', 'auto'), name }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('send'), sending: fc.uniqueArray(name), ms: fc.integer({ min: 1, max: 60 }) }),
  },
) as fc.Arbitrary<Step>

test('whatever happens: what is shown is up if one is up, and the primary if nobody chose and it is clean', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { lines, changes, run } = begin()
      let chosen: LineName | undefined
      for (const one of steps) {
        if (one.do === 'open') lines.opened(one.name)
        else if (one.do === 'close') lines.closed(one.name)
        else if (one.do === 'auto') lines.choose('auto')
        else if (one.do === 'send') run(one.ms * 100, ...one.sending)
        else if (lines.choose(one.name)) chosen = one.name
        if (one.do === 'auto' || (chosen && lines.stateOf(chosen) !== 'up')) chosen = undefined
        const up = (['primary', 'backup'] as const).filter((line) => lines.stateOf(line) === 'up')
        if (one.do === 'send' && up.length > 0) expect(up).toContain(lines.shown)
        if (
          one.do === 'send' &&
          one.ms * 100 > cleanMs + lossMs &&
          one.sending.includes('primary') &&
          !chosen &&
          up.includes('primary')
        )
          expect(lines.shown).toBe('primary')
        if (one.do === 'send' && chosen) expect(lines.shown).toBe(chosen)
      }
      for (const [at, { from, to }] of changes.entries()) {
        expect(to).not.toBe(from)
        if (at > 0 && from !== undefined) expect(from).toBe(changes[at - 1]?.to)
      }
    }),
    { numRuns: 300 },
  )
})
