/**
 * A board: who gave most. Pure and derived: the same gifts in the same order give the same board, so that it can be rebuilt at any time.
 *
 * The score is whole coins. Of two with the same score the one who reached it first stands higher; the pair (score, reachedAt) is kept as
 * it is, because packed into one float it would lose digits. `reachedAt` is the order of the ledger, not a time: two gifts of one
 * millisecond have an order too.
 *
 *     board.add('ann', 30n, pos)
 *     board.top(10)          // [{ member: 'ann', score: 30n, reachedAt: pos }, ...]
 *     board.placeOf('ann')   // 1, or undefined
 */
export interface Standing {
  member: string
  score: bigint
  reachedAt: number
}

/** Higher first. */
const compare = (a: Standing, b: Standing): number => {
  if (a.score !== b.score) return a.score > b.score ? -1 : 1
  return a.reachedAt - b.reachedAt
}

export class Board {
  readonly #standings = new Map<string, Standing>()
  /** Best first, kept sorted: a gift moves its giver up by a few places, so insertion finds its place by halves and shifts little. */
  #sorted: Standing[] = []

  get size(): number {
    return this.#standings.size
  }

  add(member: string, score: bigint, reachedAt: number): void {
    const before = this.#standings.get(member)
    if (before) this.#sorted.splice(this.#indexOf(before), 1)
    const standing = { member, score: (before?.score ?? 0n) + score, reachedAt }
    this.#standings.set(member, standing)
    this.#sorted.splice(this.#indexOf(standing), 0, standing)
  }

  top(count: number): readonly Standing[] {
    return this.#sorted.slice(0, count)
  }

  /** From 1. */
  placeOf(member: string): number | undefined {
    const standing = this.#standings.get(member)
    return standing && this.#indexOf(standing) + 1
  }

  of(member: string): Standing | undefined {
    return this.#standings.get(member)
  }

  clear(): void {
    this.#standings.clear()
    this.#sorted = []
  }

  /** Where it stands, or where it would have to be put. */
  #indexOf(standing: Standing): number {
    let [low, high] = [0, this.#sorted.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (compare(this.#sorted[middle] as Standing, standing) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
