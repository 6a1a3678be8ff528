/**
 * A board: who gave most. Pure and derived: the same gifts in the same order give the same board, so that it can be rebuilt at any time.
 *
 * The score is whole coins. Of two with the same score the one who reached it first stands higher; the pair (score, reachedAt) is kept as
 * it is, because packed into one float it would lose digits. `reachedAt` is the order of the ledger, not a time: two gifts of one
 * millisecond have an order too.
 *
 * The first `max` are kept, exactly; whoever falls out of them is not, and `isCut` says that there is somebody. Since scores only grow, a
 * gift of somebody who is kept changes nothing among the others. What somebody else has is on disk: `put` them when it is known.
 *
 *     board.add({ member: 'ann', name: 'Ann', coin: 30n, pos })
 *     board.top(10)          // [{ member: 'ann', name: 'Ann', score: 30n, reachedAt: pos }, ...]
 *     board.placeOf('ann')   // 1, or undefined
 */
export interface Standing {
  member: string
  name: string
  score: bigint
  reachedAt: number
}
export interface Given {
  member: string
  name: string
  coin: bigint
  /** Position in the journal. */
  pos: number
}

/** Higher first. */
const compare = (a: Standing, b: Standing): number => {
  if (a.score !== b.score) return a.score > b.score ? -1 : 1
  return a.reachedAt - b.reachedAt
}

export class Board {
  readonly #max: number
  readonly #standings = new Map<string, Standing>()
  /** Best first, kept sorted: a gift moves its giver up by a few places, so insertion finds its place by halves and shifts little. */
  #sorted: Standing[] = []
  #isCut = false

  constructor(max: number) {
    this.#max = max
  }

  /** Somebody is on it who is not kept. */
  get isCut(): boolean {
    return this.#isCut
  }

  get size(): number {
    return this.#standings.size
  }

  /** Not of somebody who may be on it and is not kept. */
  add({ member, name, coin, pos }: Given): void {
    this.put({ member, name, score: (this.of(member)?.score ?? 0n) + coin, reachedAt: pos })
  }

  /** As it is by now, in place of what was known. */
  put(standing: Standing): void {
    const before = this.#standings.get(standing.member)
    if (before) this.#sorted.splice(this.#indexOf(before), 1)
    this.#standings.set(standing.member, standing)
    this.#sorted.splice(this.#indexOf(standing), 0, standing)
    if (this.#sorted.length <= this.#max) return
    const last = this.#sorted.pop() as Standing
    this.#standings.delete(last.member)
    this.#isCut = true
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
    this.#isCut = false
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
