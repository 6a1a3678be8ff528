/**
 * A token bucket without a timer: `take` says 0, or how many milliseconds until the next token.
 *
 *     const waitMs = bucket.take(clock.now(), { perS: 1, burst: 3 })
 *     if (waitMs > 0) refuse('rate.limited', { retryAfterMs: waitMs })
 */
export class TokenBucket {
  #tokens = -1
  #at = 0

  take(now: number, rate: { perS: number; burst: number }): number {
    if (this.#tokens < 0) this.#tokens = rate.burst
    else this.#tokens = Math.min(rate.burst, this.#tokens + ((now - this.#at) * rate.perS) / 1000)
    this.#at = now
    if (this.#tokens >= 1) {
      this.#tokens -= 1
      return 0
    }
    return Math.max(1, Math.ceil(((1 - this.#tokens) * 1000) / rate.perS))
  }
}
