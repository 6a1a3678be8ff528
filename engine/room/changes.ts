/**
 * Changes of what must survive, one at a time per room: a mute, a setting, the wall.
 *
 *     plan --> disk, with the log row of the first event --> apply --> the events are committed --> kicks and the answer
 *
 * `plan` sees the state that the change before left behind, and returns what to write, or nothing when it refused. A failed write is
 * refused and changes nothing.
 */
import { accept, type Call, refuse } from './call.ts'
import type { RoomEvent } from './event.ts'
import type { Home } from './home.ts'
import type { Change } from './store.ts'
import { logRow, type Tick } from './tick.ts'

export interface PlannedChange {
  changes: readonly Change[]
  /** The first is written to the log in the same transaction. */
  events: RoomEvent[]
  apply?: () => void
  reply?: unknown
  /** Users to take out of the room together with the frame that holds these events: those who are here at its commit. */
  kicks?: () => Iterable<string>
  touchesInfo?: boolean
}

const waitingMax = 1_000

export class Changes {
  readonly #home: Home
  readonly #tick: Tick
  readonly #onDone: () => void
  #waiting: (() => Promise<void>)[] = []
  #isRunning = false

  constructor(home: Home, tick: Tick, onDone: () => void) {
    this.#home = home
    this.#tick = tick
    this.#onDone = onDone
  }

  /** One is on its way to the disk. */
  get isRunning(): boolean {
    return this.#isRunning
  }

  add(call: Call | undefined, plan: () => PlannedChange | undefined): void {
    if (this.#waiting.length >= waitingMax) {
      if (call) refuse(call, 'rate.limited', { retryAfterMs: 1_000 })
      return
    }
    this.#waiting.push(() => this.#run(call, plan))
    if (!this.#isRunning) void this.#runAll()
  }

  async #runAll(): Promise<void> {
    this.#isRunning = true
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      try {
        await next()
      } catch (error) {
        this.#home.parts.onError(error, this.#home.id)
      }
    }
    this.#isRunning = false
    this.#onDone()
  }

  async #run(call: Call | undefined, plan: () => PlannedChange | undefined): Promise<void> {
    const planned = plan()
    if (!planned) return
    for (const event of planned.events) {
      event.hops = call?.hops ?? 0
      if (call?.unchecked) event.unchecked = call.unchecked
    }
    if (!(await this.#write(planned))) {
      if (call) refuse(call, 'server.store_unavailable', { retryAfterMs: 1_000 })
      return
    }
    planned.apply?.()
    this.#home.dropSnapshots()
    if (planned.touchesInfo) this.#home.parts.onInfo(this.#home)
    this.#commit(planned, () => {
      for (const userId of planned.kicks?.() ?? []) this.#home.sendOut(userId)
      if (call) accept(call, planned.reply ?? {})
    })
  }

  async #write({ changes, events }: PlannedChange): Promise<boolean> {
    const { id, parts } = this.#home
    const [first] = events
    try {
      await parts.store.write(id, changes, first && logRow(first))
      return true
    } catch (error) {
      parts.meters.storeFailures++
      parts.onError(error, id)
      return false
    }
  }

  #commit({ events }: PlannedChange, answer: () => void): void {
    if (events.length === 0) return answer()
    const last = events.length - 1
    this.#tick.decide(events.map((event, at) => ({ event, onCommit: at === last ? answer : undefined, logged: at === 0 })))
  }
}
