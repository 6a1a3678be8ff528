/**
 * Stops asking an instance that does not answer: open after three time-outs in a row, or when over 5 % of at least 20 answers within
 * 10 s failed. Then nobody asks for `openMs`; after that one question is let through, and its outcome closes it or doubles the pause.
 *
 *     if (breaker.allows(now)) ask().then(() => breaker.succeeded(now), (error) => breaker.failed(now, isLate(error)))
 *
 * Every question that was allowed must end in `succeeded`, `failed` or `abandoned`, or the trial would never end.
 */
export interface BreakerOptions {
  inARowMax: number
  failedBpsMax: number
  callsMin: number
  windowMs: number
  openMsMin: number
  openMsMax: number
}
const defaults: BreakerOptions = {
  inARowMax: 3,
  failedBpsMax: 500,
  callsMin: 20,
  windowMs: 10_000,
  openMsMin: 1_000,
  openMsMax: 30_000,
}

export class Breaker {
  readonly #options: BreakerOptions
  readonly #onChange: (isOpen: boolean, reason: string) => void
  #inARow = 0
  #windowAt = 0
  #calls = 0
  #failed = 0
  #openUntil = 0
  #openMs: number
  #trial = false
  isOpen = false
  /** Successes that nobody had time to report one by one; the next failure is weighed against them. */
  answered = 0

  constructor(onChange: (isOpen: boolean, reason: string) => void, options: Partial<BreakerOptions> = {}) {
    this.#options = { ...defaults, ...options }
    this.#openMs = this.#options.openMsMin
    this.#onChange = onChange
  }

  /** Whether one may ask now. When the pause is over, the first who asks is the trial. */
  allows(now: number): boolean {
    if (!this.isOpen) return true
    if (this.#trial || now < this.#openUntil) return false
    this.#trial = true
    return true
  }

  /** As `allows`, without taking the trial. */
  wouldAllow(now: number): boolean {
    return !this.isOpen || (!this.#trial && now >= this.#openUntil)
  }

  /** The question had no outcome that says anything about the instance (the line was cut): the next one is the trial. */
  abandoned(): void {
    this.#trial = false
  }

  /** `count`: answers that came together. */
  succeeded(now: number, count = 1): void {
    this.#inARow = 0
    this.#count(now, count, 0)
    if (!this.isOpen || !this.#trial) return // a late success of before says nothing about now
    this.isOpen = false
    this.#trial = false
    this.#openMs = this.#options.openMsMin
    this.#calls = this.#failed = this.answered = 0
    this.#onChange(false, 'answers again')
  }

  /** `count`: failures that came together; in a row they are one. */
  failed(now: number, isTimeout: boolean, count = 1): void {
    if (this.answered > 0) this.#inARow = 0
    this.#inARow = isTimeout ? this.#inARow + 1 : 0
    this.#count(now, count, count)
    if (this.isOpen) {
      if (this.#trial) this.#reopen(now)
      return
    }
    const { inARowMax, callsMin, failedBpsMax } = this.#options
    if (this.#inARow >= inARowMax) this.#open(now, `${inARowMax} time-outs in a row`)
    else if (this.#calls >= callsMin && this.#failed * 10_000 > this.#calls * failedBpsMax)
      this.#open(now, `${this.#failed} of ${this.#calls} answers failed`)
  }

  #count(now: number, calls: number, failed: number): void {
    if (now - this.#windowAt > this.#options.windowMs) {
      this.#windowAt = now
      // Nobody knows when those were answered; an hour of successes must not outweigh ten seconds of failures.
      this.#calls = this.#failed = this.answered = 0
    }
    this.#calls += calls + this.answered
    this.#failed += failed
    this.answered = 0
  }

  #open(now: number, reason: string): void {
    this.isOpen = true
    this.#trial = false
    this.#openUntil = now + this.#openMs
    this.#inARow = 0
    this.#onChange(true, reason)
  }

  #reopen(now: number): void {
    this.#openMs = Math.min(this.#openMs * 2, this.#options.openMsMax)
    this.#trial = false
    this.#openUntil = now + this.#openMs
  }
}
