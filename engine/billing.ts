/** Money as rooms see it: prices from the plugin that owns them, and this engine's ledger. */
import { accounts } from './ledger/accounts.ts'
import type { OpenLedger } from './ledger/open.ts'
import type { Billing } from './live/billing.ts'
import type { PluginHost } from './plugin/host.ts'

export function billingOf(ledger: OpenLedger, host: PluginHost): Billing {
  return {
    charge: (on, ask) => host.charge(on, ask),
    submit: (op) => ledger.submit(op),
    roomRows: (roomId, pos, limit) => ledger.reads.roomJournalAfter(roomId, pos, limit),
    async wallet(userId) {
      const names = [accounts.paidCoins(userId), accounts.bonusCoins(userId), accounts.streamerBeans(userId)]
      const [paid, bonus, bean] = await ledger.reads.balances(names)
      return { paid: paid?.available ?? 0n, bonus: bonus?.available ?? 0n, bean: bean?.available ?? 0n }
    },
  }
}
