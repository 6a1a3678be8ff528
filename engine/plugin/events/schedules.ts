/** The schedules of one plugin: each every so many ms, never stacked. A turn that cannot be taken is counted, not made up for. */
import type { Clock, Timer } from '../../base/clock.ts'

export interface Schedule {
  name: string
  everyMs: number
  run(at: number): Promise<unknown>
}
export interface ScheduleStats {
  runs: number
  failed: number
  /** The one before was still running. */
  skipped: number
}

export class Schedules {
  readonly #clock: Clock
  readonly #onError: (error: unknown, name: string) => void
  readonly #timers = new Map<string, Timer>()
  /** By name, so that a new version does not start what the old one is still at. */
  readonly #running = new Set<string>()
  readonly stats = new Map<string, ScheduleStats>()

  constructor(clock: Clock, onError: (error: unknown, name: string) => void) {
    this.#clock = clock
    this.#onError = onError
  }

  /** In place of those before. What is running ends. */
  set(schedules: readonly Schedule[]): void {
    this.stop()
    for (const schedule of schedules) this.#arm(schedule)
  }

  stop(): void {
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
  }

  #arm(schedule: Schedule): void {
    const timer = this.#clock.after(schedule.everyMs, () => {
      this.#arm(schedule)
      void this.#take(schedule)
    })
    this.#timers.set(schedule.name, timer)
  }

  async #take({ name, run }: Schedule): Promise<void> {
    let stats = this.stats.get(name)
    if (!stats) this.stats.set(name, (stats = { runs: 0, failed: 0, skipped: 0 }))
    if (this.#running.has(name)) {
      stats.skipped++
      return
    }
    this.#running.add(name)
    stats.runs++
    try {
      await run(this.#clock.now())
    } catch (error) {
      stats.failed++
      this.#onError(error, name)
    }
    this.#running.delete(name)
  }
}
