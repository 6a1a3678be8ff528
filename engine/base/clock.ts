/**
 * Time for the whole engine: instants in epoch milliseconds, timers, and short spans for measuring.
 *
 * `SystemClock` is the wall time at start plus monotonic time, so it never goes backwards and a step of the system clock moves
 * nothing that is running. `ManualClock` stands still until `advance` moves it: tests and the simulation use it with the same engine.
 *
 *     const timer = clock.after(3_000, () => room.announceOnline())
 *     timer.cancel()
 */

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Epoch milliseconds, never going backwards. Whole numbers: they go onto the wire. */
  now(): number
  /** Run `fn` once after at least `ms`. A timer never keeps the process alive by itself. */
  after(ms: number, fn: () => void): Timer
}

/** 24.8 days: Node fires a longer timer at once. */
const timerMsMax = 2 ** 31 - 1

export class SystemClock implements Clock {
  readonly #startAt = Date.now()
  readonly #start = performance.now()

  now(): number {
    return this.#startAt + Math.floor(performance.now() - this.#start)
  }

  after(ms: number, fn: () => void): Timer {
    let handle: NodeJS.Timeout
    const arm = (leftMs: number) => {
      handle = setTimeout(() => (leftMs > timerMsMax ? arm(leftMs - timerMsMax) : fn()), Math.min(leftMs, timerMsMax))
      handle.unref()
    }
    arm(ms)
    return { cancel: () => clearTimeout(handle) }
  }

  /** How far the system's wall clock has moved from ours since the start, in milliseconds. */
  wallStepMs(): number {
    return Date.now() - this.now()
  }
}

interface Due {
  at: number
  order: number
  fn: () => void
}

export class ManualClock implements Clock {
  #now: number
  #order = 0
  #due: Due[] = []

  constructor(startAt = 1_760_000_000_000) {
    this.#now = startAt
  }

  now(): number {
    return this.#now
  }

  after(ms: number, fn: () => void): Timer {
    const due: Due = { at: this.#now + Math.max(0, ms), order: this.#order++, fn }
    this.#due.push(due)
    return {
      cancel: () => {
        const at = this.#due.indexOf(due)
        if (at >= 0) this.#due.splice(at, 1)
      },
    }
  }

  /** When the next timer is due, if there is one. */
  nextAt(): number | undefined {
    return this.#due.length === 0 ? undefined : Math.min(...this.#due.map((due) => due.at))
  }

  /** Move on by `ms` and fire every timer that falls due, each at its own instant, in order. Promises do not run in between. */
  advance(ms: number): void {
    const until = this.#now + ms
    for (;;) {
      const next = this.#takeDue(until)
      if (!next) break
      this.#now = Math.max(this.#now, next.at)
      next.fn()
    }
    this.#now = until
  }

  /** As `advance`, but lets promises and microtasks settle after every timer: for code that awaits. */
  async advanceAsync(ms: number): Promise<void> {
    const until = this.#now + ms
    await settle()
    for (;;) {
      const next = this.#takeDue(until)
      if (!next) break
      this.#now = Math.max(this.#now, next.at)
      next.fn()
      await settle()
    }
    this.#now = until
    await settle()
  }

  #takeDue(until: number): Due | undefined {
    let best: Due | undefined
    for (const due of this.#due)
      if (due.at <= until && (!best || due.at < best.at || (due.at === best.at && due.order < best.order))) best = due
    if (best) this.#due.splice(this.#due.indexOf(best), 1)
    return best
  }
}

/** Let everything that waits only for microtasks run. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Fractional milliseconds from an arbitrary start: for measuring how long something took, never for decisions. */
export const elapsedMs = (): number => performance.now()
