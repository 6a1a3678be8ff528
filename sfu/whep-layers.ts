/**
 * Which layer of a picture a WHEP viewer gets. The numbers of our header extensions are not theirs, so nothing estimates their bandwidth;
 * what they lose tells it: the score of a consumer (0 to 10, from their reports) falls with losses that were not made good.
 *
 *     const choice = new LayerChoice({ layers: 3, clock, choose: (spatial) => room.setLayers(...) })
 *     consumer.on('score', ({ score }) => choice.heard(score))
 *     choice.close()
 *
 * Bad: one layer down at once, then not again for 5 s. Good for 20 s: one up; each time that fails, the next try comes after twice as long.
 */
import type { Clock, Timer } from '../engine/base/clock.ts'

const badScore = 7
const downEveryMs = 5_000
const upAfterMs = 20_000
const upAfterMsMax = 320_000

export interface LayerChoiceParts {
  layers: number
  clock: Clock
  choose(spatial: number): void
}

export class LayerChoice {
  readonly #parts: LayerChoiceParts
  spatial: number
  #upAfterMs = upAfterMs
  #isTrying = false
  #changedAt = Number.NEGATIVE_INFINITY
  #up: Timer | undefined

  constructor(parts: LayerChoiceParts) {
    this.#parts = parts
    this.spatial = parts.layers - 1
  }

  heard(score: number): void {
    if (score >= badScore) return this.#armUp()
    this.#up?.cancel()
    this.#up = undefined
    const now = this.#parts.clock.now()
    if (this.spatial === 0 || now - this.#changedAt < downEveryMs) return
    // What was tried was too much.
    if (this.#isTrying) this.#upAfterMs = Math.min(this.#upAfterMs * 2, upAfterMsMax)
    this.#isTrying = false
    this.#choose(this.spatial - 1, now)
  }

  #armUp(): void {
    if (this.#up || this.spatial === this.#parts.layers - 1) return
    const { clock } = this.#parts
    this.#up = clock.after(this.#upAfterMs, () => {
      this.#up = undefined
      this.#isTrying = true
      this.#choose(this.spatial + 1, clock.now())
      this.#armUp()
    })
  }

  #choose(spatial: number, now: number): void {
    this.spatial = spatial
    this.#changedAt = now
    this.#parts.choose(spatial)
  }

  close(): void {
    this.#up?.cancel()
  }
}
