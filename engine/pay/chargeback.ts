/**
 * A recharge that the provider took back, for the whole of it. First the wallet is frozen; then what is left in it, which can only grow
 * from there on, says what can be taken; then one linked set:
 *
 *     user.<id>.coin.paid -> coin.issued           what is left of the coins that were sold, likewise of the bonus
 *     plat.deferred -> ext.psp.<provider>          their part of the price, rounded down; at most what is there
 *     plat.exp.chargeback -> ext.psp.<provider>    the rest of the price: coins that were spent already
 *     plat.exp.psp_fee -> ext.psp.<provider>       what the provider asks for it
 *
 * `plat.deferred` may hold less than that part: an adjustment takes 10 fen a coin out of it, and some packages were sold for less. The money
 * is gone all the same, so what it lacks is a cost.
 *
 * The coins that are missing are the debt, in `recharge.charged_back`; the wallet stays frozen until an operator frees it. Beans of those
 * who were given the spent coins stay: a wallet has no lots, so nobody can say which gift was paid with this recharge and which with
 * another. What they cost is the platform's; an operator who knows better gives single gifts back (`desk.ts`).
 *
 * Both steps have ids made from the recharge's, and the set has a key: however often it comes, over crashes too, it happens once.
 */
import { createHash } from 'node:crypto'
import { accounts } from '../ledger/accounts.ts'
import type { OpenLedger } from '../ledger/open.ts'
import type { LedgerResult, Post, Transfer } from '../ledger/ops.ts'
import { freezing } from './desk.ts'
import type { Order, PayNotice } from './provider.ts'

export interface TakenBack {
  takenCoin: number
  takenBonusCoin: number
  debtCoin: number
}

const engine = 'engine'
/** Only an operator who frees the wallet, or whatever empties `plat.deferred`, in the same moment can make the first one fail. */
const triesMax = 3

export const feeOf = (provider: string, feeMinor: number): Transfer[] =>
  feeMinor > 0 ? [{ dr: accounts.providerFees, cr: accounts.provider(provider), amount: BigInt(feeMinor) }] : []

/** Rejects when it cannot be written now; nothing is lost by asking again. */
export async function chargeBack(
  ledger: OpenLedger,
  { order, notice, at }: { order: Order; notice: PayNotice; at: number },
): Promise<TakenBack & { isNew: boolean }> {
  await freeze(ledger, order, at)
  for (let tries = 1; ; tries++) {
    const { deferred, ...taken } = await left(ledger, order)
    const result = await ledger.submit(postOf(order, notice, { taken, deferred, at }))
    if (result.ok) return { ...taken, isNew: !result.replayed }
    if (result.code !== 'wallet.insufficient' || tries === triesMax) throw refusedBy(result)
  }
}

async function freeze(ledger: OpenLedger, { rechargeId, userId }: Order, at: number): Promise<void> {
  const txId = `${rechargeId}:freeze`
  // Once for each recharge: what an operator freed stays free, however often the provider repeats itself.
  if (await ledger.reads.row(txId)) return
  const reason = `recharge ${rechargeId} was charged back`
  const result = await ledger.submit(freezing({ userId, isFrozen: true, by: engine, reason }, { txId, at }))
  if (!result.ok && result.code !== 'ledger.tx_exists') throw refusedBy(result)
}

const refusedBy = ({ code, msg }: Extract<LedgerResult, { ok: false }>) => new Error(`${code}: ${msg}`)

async function left(ledger: OpenLedger, { userId, coins, bonusCoins }: Order): Promise<TakenBack & { deferred: bigint }> {
  const names = [accounts.paidCoins(userId), accounts.bonusCoins(userId), accounts.deferred]
  const [paid, bonus, sold] = await ledger.reads.balances(names)
  const takenCoin = atMost(paid?.available ?? 0n, coins)
  const takenBonusCoin = atMost(bonus?.available ?? 0n, bonusCoins)
  return { takenCoin, takenBonusCoin, debtCoin: coins - takenCoin, deferred: sold?.available ?? 0n }
}
const atMost = (has: bigint, coins: number): number => (has < BigInt(coins) ? Number(has) : coins)

function postOf(
  order: Order,
  { providerTxId, feeMinor = 0 }: PayNotice,
  { taken, deferred, at }: { taken: TakenBack; deferred: bigint; at: number },
): Post {
  const { rechargeId, userId, provider, priceMinor, cur, coins } = order
  const psp = accounts.provider(provider)
  const price = BigInt(priceMinor)
  const share = (price * BigInt(taken.takenCoin)) / BigInt(coins)
  const unspent = share < deferred ? share : deferred
  const transfers: Transfer[] = [
    { dr: accounts.paidCoins(userId), cr: accounts.coinsIssued, amount: BigInt(taken.takenCoin) },
    { dr: accounts.bonusCoins(userId), cr: accounts.coinsIssued, amount: BigInt(taken.takenBonusCoin) },
    { dr: accounts.deferred, cr: psp, amount: unspent },
    { dr: accounts.chargebacks, cr: psp, amount: price - unspent },
    ...feeOf(provider, feeMinor),
  ]
  return {
    op: 'post',
    txId: `${rechargeId}:chargeback`,
    at,
    action: 'chargeback',
    origin: {
      actor: userId,
      command: 'recharge.chargeback',
      ik: rechargeId,
      bodyHash: createHash('sha256').update(JSON.stringify(order)).digest('base64url'),
    },
    event: {
      t: 'recharge.charged_back',
      d: { rechargeId, userId, provider, priceMinor, feeMinor, cur, ...taken, providerTxId },
    },
    transfers: transfers.filter(({ amount }) => amount > 0n),
  }
}
