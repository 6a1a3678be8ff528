/**
 * The gift banners over the picture. Pure: gifts and times in, banners to show out.
 *
 * All sends of one combo are one banner that grows. As many banners as there is place for are shown; the others wait, one's own first and
 * then the most valuable. A gift is shown once, however often it is told (`txId`).
 */
import type { Messages } from 'livehouse/client'

type Sent = Messages['gift.sent']

export interface Banner {
  key: string
  from: string
  own: boolean
  giftId: string
  name: string
  /** Units of one send. */
  count: number
  /** Sends so far. */
  combo: number
  totalCoin: number
  /** Counts up with every growth: what plays the animation again. */
  version: number
  untilAt: number
}

export const bannerMs = 4_500
const waitingMax = 40
const knownMax = 2_000

export class Banners {
  readonly #me: string
  readonly #slots: number
  readonly #known = new Set<string>()
  #shown: Banner[] = []
  #waiting: Banner[] = []

  constructor({ me, slots }: { me: string; slots: number }) {
    this.#me = me
    this.#slots = slots
  }

  /** Oldest first, so that none moves when another comes. */
  get shown(): readonly Banner[] {
    return this.#shown
  }

  /** Whether it is news: false for what was told before. */
  take(gift: Sent): boolean {
    if (this.#known.has(gift.txId)) return false
    this.#known.add(gift.txId)
    const [oldest] = this.#known
    if (this.#known.size > knownMax && oldest !== undefined) this.#known.delete(oldest)
    return true
  }

  add(gift: Sent, now: number): void {
    const key = gift.comboId === undefined ? gift.txId : `${gift.from.id} ${gift.comboId}`
    const isSame = (banner: Banner) => banner.key === key
    const before = this.#shown.find(isSame) ?? this.#waiting.find(isSame)
    if (before) this.#grow(before, gift, now)
    else this.#waiting.push(this.#bannerOf(key, gift))
    this.advance(now)
  }

  #bannerOf(key: string, { from, giftId, name, count, comboCount = 1, valueCoin }: Sent): Banner {
    const own = from.id === this.#me
    return { key, from: from.name, own, giftId, name, count, combo: comboCount, totalCoin: valueCoin, version: 0, untilAt: 0 }
  }

  #grow(before: Banner, { comboCount = 1, valueCoin }: Sent, now: number): void {
    const grown = {
      ...before,
      // The engine counts the sends, those too that were not told here; a combo never shrinks.
      combo: Math.max(before.combo, comboCount),
      totalCoin: before.totalCoin + valueCoin,
      version: before.version + 1,
      untilAt: now + bannerMs,
    }
    const swap = (banner: Banner) => (banner === before ? grown : banner)
    this.#shown = this.#shown.map(swap)
    this.#waiting = this.#waiting.map(swap)
  }

  /** Lets go of what was shown long enough, and shows what waits. */
  advance(now: number): void {
    this.#shown = this.#shown.filter(({ untilAt }) => untilAt > now)
    this.#waiting.sort((a, b) => Number(b.own) - Number(a.own) || b.totalCoin - a.totalCoin)
    this.#waiting.length = Math.min(this.#waiting.length, waitingMax)
    while (this.#shown.length < this.#slots) {
      const next = this.#waiting.shift()
      if (!next) return
      this.#shown = [...this.#shown, { ...next, untilAt: now + bannerMs }]
    }
  }

  /** When `advance` has something to do. */
  nextAt(): number | undefined {
    return this.#shown.length === 0 ? undefined : Math.min(...this.#shown.map(({ untilAt }) => untilAt))
  }
}
