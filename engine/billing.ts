/**
 * Money as rooms and operators see it: prices from the plugin that owns them, this engine's ledger, and what is done at the desk.
 *
 *     billing.refundGift(txId, { by, reason })
 *     billing.adjust({ userId, kind: 'paid', coins: 60, reason, by, approvedBy, ik })     // two different persons
 *     billing.freeze(userId, { by, reason }), billing.unfreeze(userId, { by, reason })
 *     billing.isPaymentsOpen()                                                            // recharges and payouts look here
 */
import { accounts } from './ledger/accounts.ts'
import type { Billing } from './live/billing.ts'
import { type Adjustment, type ByWhom, Desk, type DeskAnswer, type DeskParts } from './pay/desk.ts'
import { isPaymentsOpen } from './pay/open.ts'
import type { PluginHost } from './plugin/host/host.ts'

export interface EngineBilling extends Billing {
  refundGift(txId: string, whom: ByWhom): Promise<DeskAnswer>
  adjust(adjustment: Adjustment): Promise<DeskAnswer>
  freeze(userId: string, whom: ByWhom): Promise<DeskAnswer>
  unfreeze(userId: string, whom: ByWhom): Promise<DeskAnswer>
  /** False stops what brings money in or out, not the show. */
  isPaymentsOpen(): boolean
}

export function billingOf({ host, ...parts }: Omit<DeskParts, 'wallet'> & { host: PluginHost }): EngineBilling {
  const { ledger } = parts
  const wallet: Billing['wallet'] = async (userId) => {
    const names = [accounts.paidCoins(userId), accounts.bonusCoins(userId), accounts.streamerBeans(userId)]
    const [paid, bonus, bean] = await ledger.reads.balances(names)
    return { paid: paid?.available ?? 0n, bonus: bonus?.available ?? 0n, bean: bean?.available ?? 0n }
  }
  const desk = new Desk({ ...parts, wallet })
  return {
    charge: (on, ask) => host.charge(on, ask),
    submit: (op) => ledger.submit(op),
    // The queue keeps the order, and this one lets go of no hold and writes nothing.
    settled: async () => {
      const result = await ledger.submit({ op: 'expire', at: 0, limit: 1 })
      return result.ok ? result.pos : Number.POSITIVE_INFINITY
    },
    roomRows: (roomId, pos, limit) => ledger.reads.roomJournalAfter(roomId, pos, limit),
    rowByKey: (actor, command, ik) => ledger.reads.byKey(actor, command, ik),
    wallet,
    refundGift: (txId, whom) => desk.refundGift(txId, whom),
    adjust: (adjustment) => desk.adjust(adjustment),
    freeze: (userId, whom) => desk.freeze(userId, whom),
    unfreeze: (userId, whom) => desk.unfreeze(userId, whom),
    isPaymentsOpen: () => isPaymentsOpen(ledger),
  }
}
