/**
 * Which of several pictures, or sounds, of one line is shown: the one that was attached last, or picked by hand.
 *
 * It takes over with the first packet that it can begin with, and not before: who changes the camera, or publishes a picture that is
 * muted still, leaves viewers nothing to look at otherwise. One that falls silent for as long as a line may gives way to another that
 * sends, and has its place again with what it sends next.
 *
 *     chosen.want(source)
 *     if (chosen.heard(source, nowMs)) showNow(source)
 */
import { lossMs } from './lines.ts'
import type { Source } from './source.ts'

type Choice = Pick<Source, 'line' | 'kind' | 'heardAtMs' | 'canBegin'>
const placeOf = ({ line, kind }: Choice) => `${line} ${kind}`

export class Chosen<S extends Choice = Source> {
  readonly #wanted = new Map<string, S>()
  readonly #shown = new Map<string, S>()

  want(source: S): void {
    const place = placeOf(source)
    this.#wanted.set(place, source)
    if (!this.#shown.has(place)) this.#shown.set(place, source)
  }

  isShown(source: S): boolean {
    return this.#shown.get(placeOf(source)) === source
  }

  /** Is to be shown, and has nothing to begin with yet. */
  isAwaited(source: S): boolean {
    return this.#wanted.get(placeOf(source)) === source && !this.isShown(source)
  }

  /** A packet of it arrived: true when it takes over. */
  heard(source: S, nowMs: number): boolean {
    const place = placeOf(source)
    const shown = this.#shown.get(place)
    if (shown === source || !source.canBegin) return false
    const isSilent = nowMs - (shown?.heardAtMs ?? Number.NEGATIVE_INFINITY) >= lossMs
    if (this.#wanted.get(place) !== source && !isSilent) return false
    this.#shown.set(place, source)
    return true
  }

  /** It is gone; `left` are the others of its line, the newest last. Returns what is shown in its place. */
  gone(source: S, left: readonly S[]): S | undefined {
    const place = placeOf(source)
    const wasShown = this.isShown(source)
    if (this.#wanted.get(place) === source) {
      const next = left.findLast(({ kind }) => kind === source.kind)
      if (next) this.#wanted.set(place, next)
      else this.#wanted.delete(place)
    }
    if (!wasShown) return undefined
    const instead = this.#wanted.get(place)
    if (instead) this.#shown.set(place, instead)
    else this.#shown.delete(place)
    return instead
  }
}
