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
