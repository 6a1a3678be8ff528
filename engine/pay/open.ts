/**
 * The one switch of everything that brings money in or out: recharges, what providers take back, payouts. It is off while the ledger takes
 * nothing, and from the moment at which the audit has found an invariant broken until an operator has cleared it, after a round that finds
 * nothing any more, or the engine is started again. Gifts, refunds and adjustments stay: the show goes on, and people must be able to put
 * things right.
 */
import type { Log } from '../base/log.ts'
import type { OpenLedger } from '../ledger/open.ts'

export const isPaymentsOpen = (ledger: OpenLedger | undefined): boolean =>
  ledger !== undefined && ledger.state === 'open' && ledger.audit.state.broken === 0

/**
 * For `onBroken` of the ledger: one line each time that payments stop, be it again after a repair. What is broken stands in the lines of the
 * audit. `broken`: how often something was found since it was cleared last, this time included.
 */
export function paymentsAlert(log: Log, broken: () => number): (found: readonly unknown[]) => void {
  return ({ length }) => {
    if (broken() > length) return // stopped already
    log.error({ alert: 'payments_stopped' }, 'ALERT: the audit found the ledger broken: no recharge and no payout from now on')
  }
}

/** An operator has put right what was broken, and a whole round found nothing. */
export function openPayments({ audit }: OpenLedger, { log, reason }: { log: Log; reason: string }): void {
  const wasStopped = audit.state.broken > 0
  audit.clear()
  if (wasStopped) log.warn({ alert: 'payments_opened', reason }, 'ALERT is over: recharges and payouts are taken again')
}
