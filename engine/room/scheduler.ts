/**
 * One scheduler for all rooms: a heap of rooms by the instant at which they want to be woken, and one timer for the earliest.
 * A room with nothing to do is not in the heap, so an idle room costs no timer.
 */
import type { Clock, Timer } from '../base/clock.ts'

export interface Sleeper {
  /** Do what is due. */
  wake(now: number): void
  /** When to be woken next; `undefined`: not until somebody calls `at`. */
  nextDueAt(): number | undefined
}

interface Entry {
  at: number
  who: Sleeper
}

export class Scheduler {
  readonly #clock: Clock
  readonly #onError: (error: unknown) => void
  #heap: Entry[] = []
  #wanted = new Map<Sleeper, number>()
  #timer: Timer | undefined
  #timerAt = Number.POSITIVE_INFINITY

  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock
    this.#onError = onError
  }

  /** Entries of the heap, stale ones too. */
  get size(): number {
    return this.#heap.length
  }

  /** Wake `who` at `at`, or earlier if that was asked for before. */
  at(who: Sleeper, at: number): void {
    const known = this.#wanted.get(who)
    if (known !== undefined && known <= at) return
    this.#wanted.set(who, at)
    this.#push({ at, who })
    this.#arm()
  }

  forget(who: Sleeper): void {
    this.#wanted.delete(who)
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timerAt = Number.POSITIVE_INFINITY
    this.#heap = []
    this.#wanted.clear()
  }

  #arm(): void {
    const first = this.#heap[0]
    if (!first || first.at >= this.#timerAt) return
    this.#timer?.cancel()
    this.#timerAt = first.at
    this.#timer = this.#clock.after(first.at - this.#clock.now(), () => this.#run())
  }

  #run(): void {
    this.#timerAt = Number.POSITIVE_INFINITY
    const now = this.#clock.now()
    for (let first = this.#heap[0]; first && first.at <= now; first = this.#heap[0]) {
      this.#pop()
      // An entry that a nearer one has replaced is stale.
      if (this.#wanted.get(first.who) !== first.at) continue
      this.#wanted.delete(first.who)
      this.#wake(first.who, now)
    }
    this.#arm()
  }

  #wake(who: Sleeper, now: number): void {
    try {
      who.wake(now)
    } catch (error) {
      this.#onError(error)
    }
    const next = who.nextDueAt()
    // At least a millisecond on: a room that asks for `now` again must not hold the loop.
    if (next !== undefined) this.at(who, Math.max(next, now + 1))
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let at = heap.push(entry) - 1
    while (at > 0) {
      const up = (at - 1) >> 1
      if ((heap[up] as Entry).at <= entry.at) break
      heap[at] = heap[up] as Entry
      at = up
    }
    heap[at] = entry
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop() as Entry
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && (heap[child + 1] as Entry).at < (heap[child] as Entry).at) child++
      if ((heap[child] as Entry).at >= last.at) break
      heap[at] = heap[child] as Entry
      at = child
    }
    heap[at] = last
  }
}

/**
 * When a room may send its next frame. A frame costs about one system call per viewer, so a room saves up: while what it spends stays
 * within its share of the loop the next frame leaves after `tickMsMin`, and beyond that the gap grows, up to `tickMsMax`.
 * 1,000 viewers at 5 us are 5 ms a frame; with a share of 15 % such a room sends 30 frames a second, and a quiet one at once.
 */
export class TickBudget {
  readonly #rules: { tickMsMin: number; tickMsMax: number; shareBps: number; writeCostNs: number }
  #creditMs = 0
  #at = Number.NEGATIVE_INFINITY

  constructor(rules: { tickMsMin: number; tickMsMax: number; shareBps: number; writeCostNs: number }) {
    this.#rules = rules
  }

  /** The instant of the next frame, if something is to be sent now. */
  nextAt(now: number, members: number): number {
    this.#refill(now, members)
    const waitMs = this.#creditMs >= 0 ? 0 : (-this.#creditMs * 10_000) / this.#rules.shareBps
    const { tickMsMin, tickMsMax } = this.#rules
    return now + Math.max(tickMsMin, Math.min(Math.ceil(waitMs), tickMsMax))
  }

  sent(now: number, members: number): void {
    this.#refill(now, members)
    this.#creditMs = Math.max(this.#creditMs - this.#costMs(members), -this.#maxDebtMs)
  }

  #costMs(members: number): number {
    return (members * this.#rules.writeCostNs) / 1e6
  }

  get #maxDebtMs(): number {
    return (this.#rules.tickMsMax * this.#rules.shareBps) / 10_000
  }

  #refill(now: number, members: number): void {
    const earned = Number.isFinite(this.#at) ? ((now - this.#at) * this.#rules.shareBps) / 10_000 : Number.POSITIVE_INFINITY
    // Two frames may be saved up: a short exchange in a quiet room stays immediate.
    this.#creditMs = Math.min(this.#creditMs + earned, this.#costMs(members) * 2)
    this.#at = now
  }
}
