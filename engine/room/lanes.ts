/**
 * Which danmaku of a tick everybody gets, when there are more than a client should receive.
 *
 * The cap is a promise about every window of one second (`ClientCap` remembers what went out), smoothed so that the second does not
 * begin with a burst and end in silence. Which ones: owner, staff first, then by a hash of the message id, so that all clients
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

  /** A quarter of the cap may leave at once. */
  get #burst(): number {
    return Math.max(1, this.#perS / 4)
  }

  allowed(now: number): number {
    if (this.#perS === 0) return Number.POSITIVE_INFINITY
    while (this.#sent.length > 0 && (this.#sent[0] as { at: number }).at <= now - windowMs)
      this.#inWindow -= (this.#sent.shift() as { count: number }).count
    this.#credit = Math.min(this.#burst, this.#credit + ((now - this.#creditAt) * this.#perS) / 1000)
    this.#creditAt = now
    return Math.max(0, Math.min(this.#perS - this.#inWindow, Math.floor(this.#credit)))
  }

  spend(now: number, count: number): void {
    if (count === 0 || this.#perS === 0) return
    this.#sent.push({ at: now, count })
    this.#inWindow += count
    this.#credit -= count
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
