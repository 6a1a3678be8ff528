/**
 * Which danmaku of a tick everybody gets, when there are more than a client should receive.
 *
 * The cap is a promise about every window of one second (`ClientCap` remembers what went out), and a burst that
 * fits into it passes whole. Past it the rest of the second is shared out, so that it does not begin with a burst and end in silence. Which ones: owner, staff first, then by a hash of the message id, so that all clients
 * see the same sample. A sender always sees their own message; that is the personal frame's business (see `frames.ts`).
 */
import { hash32 } from '../base/random.ts'
import type { RoomEvent } from './event.ts'

const windowMs = 1_000

export class ClientCap {
  readonly #perS: number
  #sent: { at: number; count: number }[] = []
  #inWindow = 0
  #credit: number
  #creditAt = 0

  /** `perS` 0: no cap. */
  constructor(perS: number) {
    this.#perS = perS
    this.#credit = this.#burst
  }

  /** Of a flood a quarter of the cap may leave at once. */
  get #burst(): number {
    return Math.max(1, this.#perS / 4)
  }

  /** How many of `wanted` may leave now. */
  allowed(now: number, wanted: number): number {
    if (this.#perS === 0) return wanted
    while (this.#sent.length > 0 && (this.#sent[0] as { at: number }).at <= now - windowMs)
      this.#inWindow -= (this.#sent.shift() as { count: number }).count
    this.#credit = Math.min(this.#burst, this.#credit + ((now - this.#creditAt) * this.#perS) / 1000)
    this.#creditAt = now
    const left = this.#perS - this.#inWindow
    if (wanted <= left) return wanted
    return Math.min(left, Math.max(Math.floor(this.#credit), Math.ceil(left / 2)))
  }

  spend(now: number, count: number): void {
    if (count === 0 || this.#perS === 0) return
    this.#sent.push({ at: now, count })
    this.#inWindow += count
    this.#credit = Math.max(0, this.#credit - count)
  }
}

/** The events to show, in their own order. */
export function sample(list: readonly RoomEvent[], allowed: number): RoomEvent[] {
  if (list.length <= allowed) return [...list]
  const ranked = list.map((event) => ({ event, rank: event.preferred ? -1 : hash32(event.eid) }))
  ranked.sort((a, b) => a.rank - b.rank)
  const kept = new Set(ranked.slice(0, allowed).map(({ event }) => event))
  return list.filter((event) => kept.has(event))
}
