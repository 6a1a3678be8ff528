/**
 * An order on its way through the provider and back: it travels as text that only this engine can make. So there is no table of orders
 * that wait to be paid, nothing that grows with those who never pay, and a callback can credit only what was ordered, to whom it was.
 *
 *     const reference = references.seal(order)       // <fields in base64url>.<HMAC-SHA256>
 *     references.open(reference)                     // the order; undefined when a single character is another
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { currency, type Order } from './provider.ts'

const version = 1
/** The longest one has some 330 characters. */
const charactersMax = 512

export class References {
  readonly #key: Uint8Array

  /** `secret`: of the engine. The key is its own, so that no reference is ever good for anything else. */
  constructor(secret: Uint8Array) {
    this.#key = createHmac('sha256', secret).update('livehouse recharge reference').digest()
  }

  seal({ rechargeId, userId, provider, priceMinor, coins, bonusCoins, createdAt }: Order): string {
    const fields = [version, rechargeId, userId, provider, priceMinor, coins, bonusCoins, createdAt]
    const body = Buffer.from(JSON.stringify(fields)).toString('base64url')
    return `${body}.${this.#mac(body)}`
  }

  open(reference: unknown): Order | undefined {
    if (typeof reference !== 'string' || reference.length > charactersMax) return undefined
    const [body = '', mac = '', ...rest] = reference.split('.')
    // As text: base64 has several ways to write the same bytes, and only the one that was given out counts.
    if (rest.length > 0 || !isSame(mac, this.#mac(body))) return undefined
    const [given, rechargeId, userId, provider, priceMinor, coins, bonusCoins, createdAt] = JSON.parse(
      Buffer.from(body, 'base64url').toString(),
    )
    if (given !== version) return undefined
    return { rechargeId, userId, provider, priceMinor, cur: currency, coins, bonusCoins, createdAt }
  }

  #mac(body: string): string {
    return createHmac('sha256', this.#key).update(body).digest('base64url')
  }
}

function isSame(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)]
  return one.length === other.length && timingSafeEqual(one, other)
}
