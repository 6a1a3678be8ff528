import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Contract, Contracts, contractProblem } from './contracts.ts'

const contract: Contract = {
  id: 'c1',
  streamerId: 'bob',
  guildId: 'g',
  streamerBps: 5_000,
  guildBps: 2_000,
  fromAt: 100,
  toAt: 200,
}
const solo = { streamerBps: 4_000 }

describe('shares', () => {
  it('are those of the contract in force at that instant, half-open', () => {
    const contracts = new Contracts()
    contracts.load([contract, { ...contract, id: 'c2', streamerBps: 6_000, fromAt: 200, toAt: 0 }])
    const versionAt = (at: number) => contracts.sharesAt('bob', at, solo).version
    expect([99, 100, 199, 200, 1e12].map(versionAt)).toEqual(['default', 'c1', 'c1', 'c2', 'c2'])
    expect(contracts.sharesAt('bob', 150, solo)).toEqual({ streamerBps: 5_000, guildId: 'g', guildBps: 2_000, version: 'c1' })
    expect(contracts.sharesAt('eve', 150, solo)).toEqual({ streamerBps: 4_000, guildId: '', guildBps: 0, version: 'default' })
  })
})

it.each<[string, Partial<Contract>]>([
  ['more than 10000', { guildBps: 5_001 }],
  ['no guild', { guildId: '' }],
  ['whole numbers', { streamerBps: 0.5 }],
  ['after fromAt', { toAt: 100 }],
  ['streamerId', { streamerId: 'a.b' }],
])('refused: %s', (reason, change) => {
  expect(contractProblem({ ...contract, ...change }, [])).toContain(reason)
})

it('of contracts that were let in, never two are in force at once', () => {
  const window = fc.record({
    fromAt: fc.nat(20),
    toAt: fc.oneof(fc.constant(0), fc.nat(20)),
    streamerId: fc.constantFrom('a', 'b'),
  })
  fc.assert(
    fc.property(fc.array(window, { maxLength: 20 }), fc.nat(25), (windows, at) => {
      const kept: Contract[] = []
      for (const [n, given] of windows.entries()) {
        const one = { ...contract, ...given, id: `c${n}` }
        if (contractProblem(one, kept) === undefined) kept.push(one)
      }
      for (const streamerId of ['a', 'b']) {
        const inForce = kept.filter(
          (one) => one.streamerId === streamerId && one.fromAt <= at && (one.toAt === 0 || at < one.toAt),
        )
        expect(inForce.length).toBeLessThanOrEqual(1)
      }
    }),
  )
})
