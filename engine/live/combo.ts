/**
 * Combos (连击): several sends of the same gift by the same person to the same person, close enough together to be shown as one.
 *
 * Pure rules, without clock and money: every send is its own paid transaction, and a combo only says how they are shown. The key is
 * (from, to, gift, count); each further send within `timeoutMs` of the last raises the count, and the timeout ends it with exact totals.
 *
 *     combos.sent({ from, to, giftId, count, comboId: undefined, valueCoin: 30n, at, timeoutMs: 3000, newId })
 *     combos.ended(now)      // those whose time is over, oldest first
 */
export interface ComboSend {
  from: string
  to: string
  giftId: string
  /** Units of one send: a send of ten does not continue a combo of ones. */
  count: number
  /** Chosen by the client at its first send; another id starts another combo. */
  comboId: string | undefined
  valueCoin: bigint
  at: number
  timeoutMs: number
  newId(): string
}
export interface ComboState {
  comboId: string
  from: string
  to: string
  giftId: string
  count: number
  /** Sends so far, this one included. */
  comboCount: number
  totalCount: number
  totalCoin: bigint
  expiresAt: number
}

export class Combos {
  readonly #max: number
  /** By key; in the order of the last send, which is not the order of expiry: timeouts differ by gift. */
  readonly #running = new Map<string, ComboState>()
  /** The one that ends next, as long as it is known: asked for with every gift, and there may be thousands. */
  #next: ComboState | undefined

  /** `max`: running combos of a room; past it the one sent to longest ago ends early. */
  constructor(max: number) {
    this.#max = max
  }

  /** The combo that this send starts or continues, and those that it ends. */
  sent(send: ComboSend): { combo: ComboState; ended: ComboState[] } {
    const key = `${send.from} ${send.to} ${send.giftId} ${send.count}`
    const ended: ComboState[] = []
    let combo = this.#running.get(key)
    const isOver = combo !== undefined && combo.expiresAt <= send.at
    const isOther = combo !== undefined && send.comboId !== undefined && send.comboId !== combo.comboId
    if (combo && (isOver || isOther)) {
      ended.push(combo)
      combo = undefined
    }
    if (this.#next === this.#running.get(key)) this.#next = undefined
    this.#running.delete(key)
    const next: ComboState = combo
      ? { ...combo, comboCount: combo.comboCount + 1 }
      : {
          comboId: send.comboId ?? send.newId(),
          from: send.from,
          to: send.to,
          giftId: send.giftId,
          count: send.count,
          comboCount: 1,
          totalCount: 0,
          totalCoin: 0n,
          expiresAt: 0,
        }
    next.totalCount += send.count
    next.totalCoin += send.valueCoin
    next.expiresAt = send.at + send.timeoutMs
    this.#running.set(key, next)
    if (this.#running.size === 1 || (this.#next && next.expiresAt < this.#next.expiresAt)) this.#next = next
    if (this.#running.size > this.#max) {
      const [oldest] = this.#running
      if (oldest) {
        this.#running.delete(oldest[0])
        if (this.#next === oldest[1]) this.#next = undefined
        ended.push(oldest[1])
      }
    }
    return { combo: next, ended }
  }

  /** Those whose time is over, in the order in which it ended; they are forgotten. */
  ended(now: number): ComboState[] {
    if ((this.nextEndAt() ?? now + 1) > now) return []
    this.#next = undefined
    const over = [...this.#running].filter(([, { expiresAt }]) => expiresAt <= now)
    for (const [key] of over) this.#running.delete(key)
    return over.map(([, combo]) => combo).sort((a, b) => a.expiresAt - b.expiresAt)
  }

  nextEndAt(): number | undefined {
    if (!this.#next)
      for (const combo of this.#running.values()) if (!this.#next || combo.expiresAt < this.#next.expiresAt) this.#next = combo
    return this.#next?.expiresAt
  }

  get size(): number {
    return this.#running.size
  }
}
