/** The wallet of a user as operators see it: coins, points, earnings, what was spent, and whether anything may be spent at all. */
import { Type } from '@sinclair/typebox'
import type { OpenLedger } from '../ledger/open.ts'
import { Amount, textOf } from './money-shapes.ts'

const Window = Type.Object({
  at: Type.Integer({ description: 'Begin of the window, epoch ms; 0: none was counted.' }),
  coins: Amount,
})
export const WalletReply = Type.Object({
  userId: Type.String(),
  isKnown: Type.Boolean({ description: 'Something was posted to an account of this user.' }),
  isFrozen: Type.Boolean({ description: 'Nothing can be paid until an operator frees it.' }),
  coins: Type.Object({ paid: Amount, bonus: Amount, hold: Amount }),
  points: Amount,
  beans: Type.Object({ pending: Amount, available: Amount, payout: Amount }),
  receivable: Type.String({
    description: 'Fen that were taken back but not recovered yet. Debts of recharges stand with these.',
  }),
  spent: Type.Object({ minute: Window, day: Window }, { description: 'As the bounds on spending count it, of the last window.' }),
})

export async function walletOf({ reads }: OpenLedger, userId: string) {
  const own = ['coin.paid', 'coin.bonus', 'coin.hold', 'pts'].map((use) => `user.${userId}.${use}`)
  const earned = ['pending', 'available', 'payout'].map((use) => `streamer.${userId}.bean.${use}`)
  const [found, payer] = await Promise.all([reads.balances([...own, ...earned, `receivable.${userId}`]), reads.payer(userId)])
  const [paid = 0n, bonus = 0n, hold = 0n, points = 0n, pending = 0n, available = 0n, payout = 0n, owed = 0n] = found.map(
    (one) => one.available,
  )
  const { isFrozen = false, minuteAt = 0, minuteCoins = 0n, dayAt = 0, dayCoins = 0n } = payer ?? {}
  return {
    userId,
    isKnown: found.some(({ debits, credits }) => debits + credits > 0n),
    isFrozen,
    coins: textOf({ paid, bonus, hold }),
    points: String(points),
    beans: textOf({ pending, available, payout }),
    receivable: String(owed),
    spent: { minute: { at: minuteAt, coins: String(minuteCoins) }, day: { at: dayAt, coins: String(dayCoins) } },
  }
}
