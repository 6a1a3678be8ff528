/**
 * Recharges: coins for money that a provider took. Coins come into being when the provider says that it was paid, and only then.
 *
 *     create(ask)                 an order, sealed into a reference, and the address where the user pays
 *     POST /pay/<provider>        signature, reference, amount and currency are checked; then one linked set in the ledger:
 *                                 ext.psp.<provider> -> plat.deferred, coin.issued -> user.<id>.coin.paid and .bonus, and the fee
 *     wallet.changed              to all sessions of the user
 *
 * A provider that takes a payment back says so in the same way (`charged_back`), with its number of the payment that was credited:
 * `chargeback.ts`.
 *
 * Safe to repeat: the key in the ledger is (user, `recharge`, rechargeId), so a callback that comes five times, at once or over a crash,
 * credits once and is answered 200 each time. What cannot be written now is answered 503: the provider comes again. What must not be
 * credited is answered 4xx, logged and counted; a paid one among them, and a second payment for one order, is an error line, because
 * somebody has to give money back.
 */
import { createHash } from 'node:crypto'
import { TokenBucket } from '../base/bucket.ts'
import type { Cell, Metrics } from '../base/metrics.ts'
import type { IdSource } from '../base/random.ts'
import type { HttpHandler, HttpRequest, HttpResponse } from '../edge/gateway.ts'
import { accounts } from '../ledger/accounts.ts'
import type { OpenLedger } from '../ledger/open.ts'
import type { Post, Transfer } from '../ledger/ops.ts'
import type { PayAnswer, PayAsk } from '../plugin/host/calls.ts'
import { chargeBack, feeOf } from './chargeback.ts'
import { isPaymentsOpen } from './open.ts'
import { currency, type Order, type PayNotice, type PayProvider, providerNamePattern } from './provider.ts'
import { References } from './reference.ts'
import { type TellParts, tellWallet } from './tell.ts'

export interface PaymentsParts extends TellParts {
  newId: IdSource
  metrics: Metrics
  secret: Uint8Array
  ledger: OpenLedger
}

export const callbackBytesMax = 65_536
/** Paid later than this after it was ordered: prices may have changed, and so may whoever holds the account. */
export const orderAgeMsMax = 86_400_000
export const rechargeCoinsMax = 10_000_000
const payUrlCharactersMax = 2_048
const keysMax = 10_000
const untoldMax = 10_000
const clockSkewMs = 300_000
const retryAfterMs = 1_000
const linesPerS = 2
const linesBurst = 20

/** What became of a callback, and how it is answered. */
const outcomes = {
  credited: { status: 200, msg: 'credited' },
  charged_back: { status: 200, msg: 'taken back' },
  replayed: { status: 200, msg: 'done before' },
  paid_twice: { status: 200, msg: 'credited once, for another payment' },
  failed: { status: 200, msg: 'noted' },
  unknown_provider: { status: 404, msg: 'no such provider' },
  forged: { status: 401, msg: 'the signature is not valid' },
  stale: { status: 401, msg: 'the signature is too old, or of a time to come' },
  malformed: { status: 400, msg: 'not a notice' },
  bad_reference: { status: 403, msg: 'the reference is not one of ours' },
  mismatch: { status: 403, msg: 'amount or currency are not those of the order' },
  expired: { status: 403, msg: 'the order is over' },
  other_payment: { status: 403, msg: 'another payment of this order was credited' },
  not_credited: { status: 409, msg: 'this order was not credited, or not yet' },
  unavailable: { status: 503, msg: 'cannot be written now, come again' },
} as const
export type PayOutcome = keyof typeof outcomes

export const callbacksMetric = {
  name: 'livehouse_pay_callbacks_total',
  help: 'Callbacks of payment providers by outcome.',
} as const

interface Known {
  body: string
  answer: Promise<PayAnswer>
}

export class Payments {
  readonly references: References
  readonly #parts: PaymentsParts
  readonly #providers = new Map<string, PayProvider>()
  readonly #keys = new Map<string, Known>()
  /** Recharges that may be in the ledger though nobody was told: the answer of the ledger was lost. */
  readonly #untold = new Set<string>()
  readonly #counts: Record<PayOutcome, Cell>
  readonly #lines = new TokenBucket()

  /** Throws on a provider whose name cannot be one, or stands twice. */
  constructor(parts: PaymentsParts, providers: readonly PayProvider[]) {
    this.#parts = parts
    this.references = new References(parts.secret)
    this.#counts = exportCallbacks(parts.metrics)
    for (const provider of providers) this.add(provider)
  }

  add(provider: PayProvider): void {
    const { name } = provider
    if (!new RegExp(providerNamePattern).test(name)) throw new Error(`${name} cannot be the name of a payment provider`)
    if (this.#providers.has(name)) throw new Error(`the payment provider ${name} stands twice`)
    this.#providers.set(name, provider)
  }

  // ------------------------------------------------------------------ orders

  /** The same user and key get the same order again. */
  create(ask: PayAsk): Promise<PayAnswer> {
    const { ik, ...terms } = ask
    if (ik === undefined) return this.#order(terms)
    const key = `${ask.userId} ${ik}`
    const body = JSON.stringify([ask.provider, ask.priceMinor, ask.coins, ask.bonusCoins])
    const known = this.#keys.get(key)
    if (known) return known.body === body ? known.answer : refused('idem.conflict', 'the key was used with another order')
    const answer = this.#order(terms)
    this.#keys.set(key, { body, answer })
    this.#boundKeys()
    // A refusal is not kept: the same key may ask again.
    void answer.then((given) => {
      if ('code' in given) this.#keys.delete(key)
    })
    return answer
  }

  #boundKeys(): void {
    const [oldest] = this.#keys.keys()
    if (this.#keys.size > keysMax && oldest !== undefined) this.#keys.delete(oldest)
  }

  async #order({ userId, provider: name, priceMinor, coins, bonusCoins }: Omit<PayAsk, 'ik'>): Promise<PayAnswer> {
    const { clock, newId, log } = this.#parts
    if (coins + bonusCoins > rechargeCoinsMax)
      return refused('request.invalid', `coins: at most ${rechargeCoinsMax} at once, bonus included`)
    const provider = this.#providers.get(name)
    const names = [...this.#providers.keys()].join(', ') || 'none'
    if (!provider) return refused('request.invalid', `provider: there is no ${name}, there is ${names}`)
    if (!isPaymentsOpen(this.#parts.ledger)) return refused('billing.unavailable', 'the ledger takes nothing now')
    const createdAt = clock.now()
    const terms = { userId, provider: name, priceMinor, cur: currency, coins, bonusCoins } as const
    const order: Order = { rechargeId: newId(createdAt), ...terms, createdAt }
    try {
      const payUrl = await provider.checkout({ ...order, reference: this.references.seal(order) })
      if (typeof payUrl !== 'string' || payUrl.length > payUrlCharactersMax) throw new Error('it gave no address to pay at')
      return { rechargeId: order.rechargeId, payUrl }
    } catch (error) {
      log.error({ err: error, provider: name }, 'payment provider gave no checkout')
      return refused('billing.unavailable', `${name} does not answer now`)
    }
  }

  // ------------------------------------------------------------------ callbacks

  /** Of `POST /pay/<provider>`. */
  readonly receive: HttpHandler = async (request) => {
    const name = request.path.slice(request.path.lastIndexOf('/') + 1)
    const provider = request.path === `/pay/${name}` ? this.#providers.get(name) : undefined
    const outcome = provider ? await this.#received(provider, request) : this.#refuse('unknown_provider', { provider: name })
    this.#counts[outcome].value++
    return responseOf(outcome)
  }

  async #received(provider: PayProvider, request: HttpRequest): Promise<PayOutcome> {
    const notice = this.#read(provider, request)
    if ('refused' in notice) return this.#refuse(notice.refused, { provider: provider.name, address: request.address })
    const { amountMinor, cur, state, providerTxId } = notice
    const order = this.references.open(notice.reference)
    const said = { provider: provider.name, providerTxId, state, amountMinor, cur }
    // Signed by the provider: whatever is refused from here on may be money that was taken.
    if (!order || order.provider !== provider.name) return this.#refuseSigned('bad_reference', said)
    const about = { ...said, rechargeId: order.rechargeId, userId: order.userId }
    if (amountMinor !== order.priceMinor || cur !== order.cur) return this.#refuseSigned('mismatch', about)
    if (state === 'failed') return this.#noted(about)
    try {
      return state === 'paid' ? await this.#pay(order, notice, about) : await this.#takeBack(order, notice, about)
    } catch (error) {
      if (Object(error).isUnknown === true) this.#remember(order.rechargeId)
      this.#parts.log.error({ err: error, ...about }, 'callback of a payment provider cannot be written now')
      return 'unavailable'
    }
  }

  /** An adapter that throws has met something that it does not know. */
  #read(provider: PayProvider, { body, header }: HttpRequest): ReturnType<PayProvider['read']> {
    try {
      return provider.read(body, header, this.#parts.clock.now())
    } catch (error) {
      if (this.#mayLog())
        this.#parts.log.error({ err: error, provider: provider.name }, 'payment provider cannot read a callback')
      return { refused: 'malformed' }
    }
  }

  async #pay(order: Order, notice: PayNotice, about: object): Promise<PayOutcome> {
    const { ledger, clock } = this.#parts
    const ageMs = clock.now() - order.createdAt
    if (ageMs > orderAgeMsMax || ageMs < -clockSkewMs) {
      // A provider may repeat itself for days; what was credited stays so.
      return (await this.#creditedBefore(notice, order, about)) ?? this.#refuseSigned('expired', about)
    }
    this.#checkOpen()
    const result = await ledger.submit(postOf(order, notice, clock.now()))
    if (!result.ok) throw new Error(`${result.code}: ${result.msg}`)
    if (!result.replayed) this.#parts.log.info({ ...about, pos: result.pos }, 'recharge credited')
    if (!result.replayed || this.#untold.delete(order.rechargeId)) void tellWallet(this.#parts, order.userId, 'recharge')
    if (!result.replayed) return 'credited'
    return (await this.#creditedBefore(notice, order, about)) ?? 'replayed'
  }

  /** The same payment again, or a second one for the same order: that one is money to be given back. */
  async #creditedBefore({ providerTxId }: PayNotice, { rechargeId }: Order, about: object): Promise<PayOutcome | undefined> {
    const row = await this.#parts.ledger.reads.row(rechargeId)
    if (!row) return undefined
    return row.event?.d['providerTxId'] === providerTxId ? 'replayed' : this.#refuseSigned('paid_twice', about)
  }

  async #takeBack(order: Order, notice: PayNotice, about: object): Promise<PayOutcome> {
    const { ledger, clock, log } = this.#parts
    // Whether it comes before the payment itself, or belongs to one that was refused: the provider comes again, and people read the line.
    const credited = await ledger.reads.row(order.rechargeId)
    if (!credited) return this.#refuseSigned('not_credited', about)
    // A second payment of the order brought no coins: that it goes back takes none.
    if (credited.event?.d['providerTxId'] !== notice.providerTxId) return this.#refuseSigned('other_payment', about)
    this.#checkOpen()
    const { isNew, ...taken } = await chargeBack(ledger, { order, notice, at: clock.now() })
    if (!isNew) return 'replayed'
    log.warn({ ...about, ...taken }, 'recharge charged back: the wallet is frozen')
    void tellWallet(this.#parts, order.userId, 'chargeback')
    return 'charged_back'
  }

  #checkOpen(): void {
    const { ledger } = this.#parts
    if (isPaymentsOpen(ledger)) return
    throw new Error(`the ledger is ${ledger.state}, ${ledger.audit.state.broken} invariants are broken`)
  }

  #remember(rechargeId: string): void {
    if (this.#untold.size < untoldMax) this.#untold.add(rechargeId)
  }

  #noted(about: object): PayOutcome {
    if (this.#mayLog()) this.#parts.log.info(about, 'payment failed or was cancelled')
    return 'failed'
  }

  #refuse(outcome: PayOutcome, about: object): PayOutcome {
    if (this.#mayLog()) this.#parts.log.warn({ outcome, ...about }, 'callback of a payment provider refused')
    return outcome
  }

  /** Not many: they have the provider's signature. */
  #refuseSigned(outcome: PayOutcome, about: object): PayOutcome {
    this.#parts.log.error({ outcome, ...about }, 'callback of a payment provider refused: look whether money is to be given back')
    return outcome
  }

  /** Whoever knows the address can send rubbish: a few lines say it all, the rest is counted. */
  #mayLog(): boolean {
    return this.#lines.take(this.#parts.clock.now(), { perS: linesPerS, burst: linesBurst }) === 0
  }
}

const refused = async (code: string, msg: string): Promise<PayAnswer> => ({ code, msg })

function postOf(order: Order, { providerTxId, feeMinor = 0 }: PayNotice, at: number): Post {
  const { rechargeId, userId, provider, priceMinor, cur, coins, bonusCoins } = order
  const transfers: Transfer[] = [
    { dr: accounts.provider(provider), cr: accounts.deferred, amount: BigInt(priceMinor) },
    { dr: accounts.coinsIssued, cr: accounts.paidCoins(userId), amount: BigInt(coins) },
  ]
  if (bonusCoins > 0) transfers.push({ dr: accounts.coinsIssued, cr: accounts.bonusCoins(userId), amount: BigInt(bonusCoins) })
  transfers.push(...feeOf(provider, feeMinor))
  // Not the provider's number: the same order paid twice over there is still one order here.
  const bodyHash = createHash('sha256').update(JSON.stringify(order)).digest('base64url')
  return {
    op: 'post',
    txId: rechargeId,
    at,
    action: 'recharge',
    origin: { actor: userId, command: 'recharge', ik: rechargeId, bodyHash },
    event: {
      t: 'recharge.completed',
      d: { rechargeId, userId, provider, priceMinor, feeMinor, cur, coins, bonusCoins, providerTxId },
    },
    transfers,
  }
}

function responseOf(outcome: PayOutcome): HttpResponse {
  const { status, msg } = outcomes[outcome]
  const headers: Record<string, string> = { 'content-type': 'application/json', 'cache-control': 'no-store' }
  if (status === 503) headers['retry-after'] = String(retryAfterMs / 1_000)
  return { status, headers, body: JSON.stringify({ ok: status === 200, outcome, msg }) }
}

/** One cell for each outcome, there from the start: a rate of nothing is 0, not absent. */
export function exportCallbacks(metrics: Metrics): Record<PayOutcome, Cell> {
  const { name, help } = callbacksMetric
  const cells = Object.keys(outcomes).map((outcome) => [outcome, metrics.cell(name, help, { outcome })] as const)
  return Object.fromEntries(cells) as Record<PayOutcome, Cell>
}
