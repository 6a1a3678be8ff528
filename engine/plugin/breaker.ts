/**
 * Stops asking an instance that does not answer: open after three time-outs in a row, or when over 5 % of at least 20 answers within
 * 10 s failed. Then nobody asks for `openMs`; after that one question is let through, and its outcome closes it or doubles the pause.
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

  succeeded(now: number): void {
    this.#inARow = 0
    this.#count(now, 0)
    if (!this.isOpen || !this.#trial) return // a late success of before says nothing about now
    this.isOpen = false
    this.#trial = false
    this.#openMs = this.#options.openMsMin
    this.#calls = this.#failed = 0
    this.#onChange(false, 'answers again')
  }

  failed(now: number, isTimeout: boolean): void {
    if (this.answered > 0) this.#inARow = 0
    this.#inARow = isTimeout ? this.#inARow + 1 : 0
    this.#count(now, 1)
    this.#calls += this.answered
    this.answered = 0
    if (this.isOpen) {
      if (this.#trial) this.#reopen(now)
      return
    }
    const { inARowMax, callsMin, failedBpsMax } = this.#options
    if (this.#inARow >= inARowMax) this.#open(now, `${inARowMax} time-outs in a row`)
    else if (this.#calls >= callsMin && this.#failed * 10_000 > this.#calls * failedBpsMax)
      this.#open(now, `${this.#failed} of ${this.#calls} answers failed`)
  }

  #count(now: number, failed: number): void {
    if (now - this.#windowAt > this.#options.windowMs) {
      this.#windowAt = now
      this.#calls = this.#failed = 0
    }
    this.#calls++
    this.#failed += failed
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
