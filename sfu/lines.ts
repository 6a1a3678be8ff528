/**
 * Which of a streamer's two lines is shown: rules alone, without media.
 *
 * - The first line that comes up is shown.
 * - Nothing arrives for 1.5 s, or the line is closed: the other is shown if it is up.
 * - The primary has been clean for 3 s again: back to it, unless somebody chose by hand.
 * - A line chosen by hand stays as long as it is up.
 *
 *     const lines = new Lines((change) => show(change.to))
 *     lines.opened('primary'); lines.heard('primary', nowMs); lines.tick(nowMs)
 */
import type { LineName } from '../schemas/sfu.ts'

export const lossMs = 1_500
export const cleanMs = 3_000

export type LineCause = 'lost' | 'closed' | 'returned' | 'manual'
export interface LineChange {
  from: LineName | undefined
  to: LineName
  cause: LineCause
}
export type LineState = 'idle' | 'up' | 'down'

interface Line {
  isOpen: boolean
  heardAtMs: number | undefined
  /** Since when it has been up without a break. */
  upSinceMs: number | undefined
}

const other: Record<LineName, LineName> = { primary: 'backup', backup: 'primary' }
const names: readonly LineName[] = ['primary', 'backup']
const newLine = (): Line => ({ isOpen: false, heardAtMs: undefined, upSinceMs: undefined })

export class Lines {
  readonly #lines: Record<LineName, Line> = { primary: newLine(), backup: newLine() }
  readonly #onChange: (change: LineChange) => void
  #shown: LineName | undefined
  #chosen: LineName | undefined

  constructor(onChange: (change: LineChange) => void) {
    this.#onChange = onChange
  }

  get shown(): LineName | undefined {
    return this.#shown
  }

  stateOf(name: LineName): LineState {
    const { isOpen, upSinceMs } = this.#lines[name]
    if (!isOpen) return 'idle'
    return upSinceMs === undefined ? 'down' : 'up'
  }

  opened(name: LineName): void {
    this.#lines[name].isOpen = true
  }

  /** A packet of it arrived. */
  heard(name: LineName, nowMs: number): void {
    const line = this.#lines[name]
    if (!line.isOpen) return
    line.heardAtMs = nowMs
    if (line.upSinceMs !== undefined) return
    line.upSinceMs = nowMs
    if (this.#shown === undefined) this.#show(name, 'returned')
    // Dark until now: whatever comes up is better.
    else if (name !== this.#shown && this.stateOf(this.#shown) !== 'up') this.#show(name, 'lost')
  }

  closed(name: LineName): void {
    this.#lines[name] = newLine()
    if (this.#chosen === name) this.#chosen = undefined
    if (this.#shown === name && this.stateOf(other[name]) === 'up') this.#show(other[name], 'closed')
    else if (!this.#lines[other[name]].isOpen) this.#shown = undefined
  }

  /** When the line that is shown will be lost if it says nothing; undefined: none is, or it is lost already. */
  get lossAtMs(): number | undefined {
    if (this.#shown === undefined || this.stateOf(this.#shown) !== 'up') return undefined
    return (this.#lines[this.#shown].heardAtMs as number) + lossMs
  }

  /** At least ten times a second while a line is open, and at `lossAtMs`. */
  tick(nowMs: number): void {
    for (const name of names) {
      const line = this.#lines[name]
      if (line.heardAtMs !== undefined && nowMs - line.heardAtMs >= lossMs) line.upSinceMs = undefined
    }
    const shown = this.#shown
    if (shown === undefined) return
    if (this.stateOf(shown) !== 'up') {
      if (this.#chosen === shown) this.#chosen = undefined
      if (this.stateOf(other[shown]) === 'up') this.#show(other[shown], this.stateOf(shown) === 'idle' ? 'closed' : 'lost')
      return
    }
    const { upSinceMs } = this.#lines.primary
    const isClean = upSinceMs !== undefined && nowMs - upSinceMs >= cleanMs
    if (shown === 'backup' && this.#chosen === undefined && isClean) this.#show('primary', 'returned')
  }

  /** By hand; false when the line is not up. */
  choose(name: LineName | 'auto'): boolean {
    if (name === 'auto') {
      this.#chosen = undefined
      return true
    }
    if (this.stateOf(name) !== 'up') return false
    this.#chosen = name
    if (this.#shown !== name) this.#show(name, 'manual')
    return true
  }

  #show(to: LineName, cause: LineCause): void {
    const from = this.#shown
    this.#shown = to
    this.#onChange({ from, to, cause })
  }
}
