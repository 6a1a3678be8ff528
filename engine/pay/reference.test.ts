import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Order } from './provider.ts'
import { References } from './reference.ts'
import { signatureHeader, signatureOf, signedProvider } from './signed.ts'

const secret = new TextEncoder().encode('a secret of at least thirty-two bytes')
const references = new References(secret)
const order: Order = {
  rechargeId: '01K742SG000X5T671GD74SB82X',
  userId: 'ann',
  provider: 'bank',
  priceMinor: 3_000,
  cur: 'CNY',
  coins: 300,
  bonusCoins: 15,
  createdAt: 1_760_000_000_000,
}

it('an order comes back as it was, also the longest', () => {
  const longest = { ...order, userId: 'u'.repeat(64), provider: 'p'.repeat(32), priceMinor: 100_000_000, coins: 10_000_000 }
  for (const one of [order, longest]) expect(references.open(references.seal(one))).toEqual(one)
})

it('of a reference no character can be another, added or left out', () => {
  const reference = references.seal(order)
  fc.assert(
    fc.property(fc.nat(reference.length), fc.nat(2), fc.string({ minLength: 1, maxLength: 1 }), (at, cut, put) => {
      const altered = reference.slice(0, at) + put + reference.slice(at + cut)
      fc.pre(altered !== reference)
      expect(references.open(altered)).toBeUndefined()
    }),
    { numRuns: 2_000 },
  )
})

it('rubbish is no reference', () => {
  for (const rubbish of [undefined, null, 7, '', '.', 'a.b', 'x'.repeat(100_000), { toString: () => 'x' }])
    expect(references.open(rubbish)).toBeUndefined()
})

it('another engine has other references', () => {
  expect(new References(new Uint8Array(32)).open(references.seal(order))).toBeUndefined()
})

it('whatever a stranger sends, the signed provider says forged and never throws', () => {
  const provider = signedProvider({ name: 'bank', secret, checkout: () => '' })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.string({ maxLength: 100 }), (body, header) => {
      expect(provider.read(body, () => header, 0)).toEqual({ refused: 'forged' })
    }),
  )
})

it('whatever the provider signs is a notice or malformed, within five minutes of its time', () => {
  const provider = signedProvider({ name: 'bank', secret, checkout: () => '' })
  const read = (body: string, at: number, now: number) =>
    provider.read(Buffer.from(body), (name) => (name === signatureHeader ? signatureOf(secret, body, at) : ''), now)
  fc.assert(
    fc.property(fc.json(), (body) => {
      expect(read(body, 5, 5)).toEqual({ refused: 'malformed' })
    }),
  )
  const notice = { reference: 'r', amountMinor: 1, cur: 'CNY', state: 'paid', providerTxId: '1' }
  const body = JSON.stringify(notice)
  expect(read(body, 1_000_000, 1_300_000)).toEqual({ ok: true, ...notice })
  expect(read(body, 1_300_000, 1_000_000)).toEqual({ ok: true, ...notice })
  expect(read(body, 1_000_000, 1_300_001)).toEqual({ refused: 'stale' })
})
