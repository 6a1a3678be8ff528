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

/** Below this many stale entries a sweep is not worth it. */
const staleMin = 16

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

  /** Sleepers that want to be woken. */
  get waiting(): number {
    return this.#wanted.size
  }

  /** Entries of the heap, stale ones too. */
  get entries(): number {
    return this.#heap.length
  }

  /** Wake `who` at `at`, or earlier if that was asked for before. */
  at(who: Sleeper, at: number): void {
    const known = this.#wanted.get(who)
    if (known !== undefined && known <= at) return
    this.#wanted.set(who, at)
    this.#push({ at, who })
    if (this.#heap.length > this.#wanted.size * 2 + staleMin) this.#sweepStale()
    this.#arm()
  }

  forget(who: Sleeper): void {
    this.#wanted.delete(who)
  }

  /** A far instant that a nearer one replaced stays in the heap: a wall item of a day would leave one behind with every frame. */
  #sweepStale(): void {
    this.#heap = [...this.#wanted].map(([who, at]) => ({ at, who })).sort((a, b) => a.at - b.at)
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

/** A frame with so many events was worth waiting for, and one with so few was not. */
const eventsWorthWaiting = 3
const eventsNotWorthIt = 1.5
const stretchStep = 1.5

/**
 * When a room may send its next frame. A frame costs about one system call per viewer, so a room saves up: while what it spends stays
 * within its share of the loop the next frame leaves after `tickMsMin`, and beyond that the gap grows, up to `tickMsMax`.
 * 1,000 viewers at 10 us are 10 ms a frame; with a share of 15 % such a room may send 15 frames a second, so 10 messages a second
 * still leave at once. When frames gather several events each, waiting pays: the share is stretched until the gap is `tickMsMax`
 * (100 messages a second make 10 frames of 10), and shrinks again when frames run empty.
 */
export class TickBudget {
  readonly #rules: { tickMsMin: number; tickMsMax: number; shareBps: number; writeCostNs: number }
  #creditMs = 0
  #at = Number.NEGATIVE_INFINITY
  /** At least 1: by how much the share is divided. */
  #stretch = 1

  constructor(rules: { tickMsMin: number; tickMsMax: number; shareBps: number; writeCostNs: number }) {
    this.#rules = rules
  }

  /** The instant of the next frame, if something is to be sent now. */
  nextAt(now: number, members: number): number {
    this.#refill(now, members)
    const waitMs = this.#creditMs >= 0 ? 0 : -this.#creditMs / this.#share
    const { tickMsMin, tickMsMax } = this.#rules
    return now + Math.max(tickMsMin, Math.min(Math.ceil(waitMs), tickMsMax))
  }

  sent(now: number, members: number, events: number): void {
    this.#refill(now, members)
    const costMs = this.#costMs(members)
    this.#creditMs = Math.max(this.#creditMs - costMs, -this.#rules.tickMsMax * this.#share)
    // Beyond this the gap is `tickMsMax` anyway.
    const stretchMax = Math.max(1, (this.#rules.tickMsMax * this.#rules.shareBps) / 10_000 / Math.max(costMs, 1e-6))
    if (events >= eventsWorthWaiting) this.#stretch = Math.min(this.#stretch * stretchStep, stretchMax)
    else if (events <= eventsNotWorthIt) this.#stretch = Math.max(1, this.#stretch / stretchStep)
  }

  get #share(): number {
    return this.#rules.shareBps / 10_000 / this.#stretch
  }

  #costMs(members: number): number {
    return (members * this.#rules.writeCostNs) / 1e6
  }

  #refill(now: number, members: number): void {
    const earned = Number.isFinite(this.#at) ? (now - this.#at) * this.#share : Number.POSITIVE_INFINITY
    // Two frames may be saved up: a short exchange in a quiet room stays immediate.
    this.#creditMs = Math.min(this.#creditMs + earned, this.#costMs(members) * 2)
    this.#at = now
  }
}
