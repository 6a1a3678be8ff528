import { describe, expect, test } from 'vitest'
import { accountKind, accounts, chart } from './accounts.ts'

const id = 'Ann_1-b'

describe('the chart', () => {
  test('every line has accounts, each in its ledger and on its side', () => {
    for (const [pattern, ledger, normal, mayBeNegative, meaning] of chart) {
      const words = pattern.split('.').map((token) => (token === '<id>' ? [id] : token.split('|')))
      const names = words.reduce<string[]>(
        (all, token) => all.flatMap((name) => token.map((word) => (name === '' ? word : `${name}.${word}`))),
        [''],
      )
      for (const name of names) expect(accountKind(name), name).toEqual({ ledger, normal, mayBeNegative, meaning })
    }
  })

  test('who owes nobody may be negative; wallets, earnings, escrows and what is owed may not', () => {
    const mayBeNegative = (name: string) => accountKind(name)?.mayBeNegative
    for (const name of ['coin.issued', 'bean.issued', 'pts.issued', 'ext.psp.x', 'plat.bank', 'plat.exp.share', 'receivable.mia'])
      expect(mayBeNegative(name), name).toBe(true)
    for (const name of [
      'user.ann.coin.paid',
      'user.ann.coin.bonus',
      'user.ann.coin.hold',
      'user.ann.pts',
      'streamer.mia.bean.pending',
    ])
      expect(mayBeNegative(name), name).toBe(false)
    for (const name of [
      'plat.deferred',
      'payable.guild.g',
      'escrow.order.o1',
      'escrow.lottery.l',
      'adv.a.reserved',
      'tax.withheld',
    ])
      expect(mayBeNegative(name), name).toBe(false)
  })

  test('a name that no line fits is no account', () => {
    const names = [
      '',
      'user.ann.coin',
      'user.ann.coin.gold',
      'user..coin.paid',
      'user.a.b.coin.paid',
      'user.an n.coin.paid',
      'user.änn.coin.paid',
      'user.ann.coin.paid ',
      'user.ann.coin.paid\n',
      ' coin.issued',
      'coin_issued',
      'COIN.ISSUED',
      'coin.issued.x',
      `user.${'a'.repeat(65)}.coin.paid`,
      `user.${'a'.repeat(100_000)}.coin.paid`,
      'constructor',
      '__proto__',
    ]
    for (const name of names) expect(accountKind(name), name.slice(0, 80)).toBeUndefined()
    expect(accountKind(`user.${'a'.repeat(64)}.coin.paid`)).toBeDefined()
  })
})

test('names that the engine makes are accounts, and only from ids', () => {
  const made = Object.values(accounts).map((name) => (typeof name === 'function' ? name(id) : name))
  for (const name of made) expect(accountKind(name), name).toBeDefined()
  for (const bad of ['', 'a.b', 'a b', 'a'.repeat(65), '\u0000', '../x', 'ann\n'])
    for (const name of Object.values(accounts)) if (typeof name === 'function') expect(() => name(bad)).toThrow('not an id')
})
