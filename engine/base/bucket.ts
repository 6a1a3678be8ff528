/**
 * A token bucket without a timer: `take` says 0, or how many milliseconds until the next token.
 *
 *     const waitMs = bucket.take(clock.now(), { perS: 1, burst: 3 })
 *     if (waitMs > 0) refuse('rate.limited', { retryAfterMs: waitMs })
 */
export class TokenBucket {
  /** In thousandths of a token: whole numbers, so that a promised wait is exact. */
  #milli = -1
  #at = 0

  take(now: number, rate: { perS: number; burst: number }): number {
    const full = rate.burst * 1000
    this.#milli = this.#milli < 0 ? full : Math.min(full, this.#milli + (now - this.#at) * rate.perS)
    this.#at = now
    if (this.#milli >= 1000) {
      this.#milli -= 1000
      return 0
    }
    return Math.max(1, Math.ceil((1000 - this.#milli) / rate.perS))
  }
}

/** A bucket for each key, of the `max` used last: one that was let go of is full again, which after so long it was anyway. */
export class KeyedBuckets {
  readonly #max: number
  readonly #buckets = new Map<string, TokenBucket>()

  constructor(max: number) {
    this.#max = max
  }

  /** As `TokenBucket.take`. */
  take(key: string, now: number, rate: Parameters<TokenBucket['take']>[1]): number {
    let bucket = this.#buckets.get(key)
    if (bucket) this.#buckets.delete(key)
    else bucket = new TokenBucket()
    // Moved to the end: the first is the longest unused.
    this.#buckets.set(key, bucket)
    if (this.#buckets.size > this.#max) this.#buckets.delete(this.#buckets.keys().next().value as string)
    return bucket.take(now, rate)
  }
}
