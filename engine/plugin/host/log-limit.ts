/** A sick plugin writes many lines; the first 20 of every 10 s say it all. */
import type { Clock } from '../../base/clock.ts'

const windowMs = 10_000
const linesMax = 20

export class LogLimit {
  readonly #clock: Clock
  readonly #lines = new Map<string, { at: number; count: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether one more line about this plugin may be written now. Plugins are few and bounded. */
  allows(plugin: string): boolean {
    const now = this.#clock.now()
    const lines = this.#lines.get(plugin)
    if (lines && now - lines.at <= windowMs) return ++lines.count <= linesMax
    this.#lines.set(plugin, { at: now, count: 1 })
    return true
  }
}
