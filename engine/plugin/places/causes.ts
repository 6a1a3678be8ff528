/**
 * What the runs of a plugin were about, for the calls that are made from them: also from those that are over, because a handler may go
 * on after it answered, or call late after it was given up. Otherwise two plugins that answer each other's events too slowly would
 * never be seen as a chain. Only events that plugins caused need remembering, the newest 1,000 of them.
 */
const rememberedMax = 1_000

export class Causes {
  readonly #ended = new Map<number, { hops: number }>()

  ended(run: number, input: unknown): void {
    const { hops } = Object(input) as { hops?: unknown }
    if (typeof hops !== 'number' || hops <= 0) return
    this.#ended.set(run, { hops })
    for (const [oldest] of this.#ended) {
      if (this.#ended.size <= rememberedMax) break
      this.#ended.delete(oldest)
    }
  }

  of(run: number): { hops: number } | undefined {
    return this.#ended.get(run)
  }
}
