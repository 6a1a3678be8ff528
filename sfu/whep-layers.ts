/**
 * Which layer of a picture a WHEP viewer gets. The numbers of our header extensions are not theirs, so nothing estimates their bandwidth;
 * what they lose tells it: the score of a consumer (0 to 10, from their reports) falls with losses that were not made good.
 *
 *     const choice = new LayerChoice({ layers: 3, clock, choose, isHeld })
 *     consumer.on('score', ({ score }) => choice.heard(score))
 *     consumer.on('layerschange', () => choice.switched())
 *     choice.close()
 *
 * Bad: one layer down at once. Good for 20 s: one up; each time that fails, the next try comes after twice as long. A change of layers,
 * whoever made it, begins with a key frame in one go and spoils the score of everybody for some seconds: it says nothing until then.
 */
import type { Clock, Timer } from '../engine/base/clock.ts'

const badScore = 7
/** Measured after a change: 3 to 5 for two seconds, 10 again after four. */
const settleMs = 5_000
const upAfterMs = 20_000
const upAfterMsMax = 320_000

export interface LayerChoiceParts {
  layers: number
  clock: Clock
  choose(spatial: number): void
  /** Something else keeps the picture below what is chosen here: degrading. */
  isHeld(): boolean
}

export class LayerChoice {
  readonly #parts: LayerChoiceParts
  spatial: number
  #score: number | undefined
  #upAfterMs = upAfterMs
  #isTrying = false
  #up: Timer | undefined
  #settling: Timer | undefined

  constructor(parts: LayerChoiceParts) {
    this.#parts = parts
    this.spatial = parts.layers - 1
  }

  heard(score: number): void {
    this.#score = score
    if (!this.#settling) this.#judge()
  }

  /** Another layer is sent now. */
  switched(): void {
    this.#settling?.cancel()
    this.#settling = this.#parts.clock.after(settleMs, () => {
      this.#settling = undefined
      this.#judge()
    })
  }

  #judge(): void {
    if (this.#score === undefined || this.#parts.isHeld()) return
    if (this.#score >= badScore) return this.#armUp()
    this.#up?.cancel()
    this.#up = undefined
    if (this.spatial === 0) return
    // What was tried was too much.
    if (this.#isTrying) this.#upAfterMs = Math.min(this.#upAfterMs * 2, upAfterMsMax)
    this.#isTrying = false
    this.#choose(this.spatial - 1)
  }

  #armUp(): void {
    if (this.#up || this.spatial === this.#parts.layers - 1) return
    this.#up = this.#parts.clock.after(this.#upAfterMs, () => {
      this.#up = undefined
      this.#isTrying = true
      this.#choose(this.spatial + 1)
    })
  }

  #choose(spatial: number): void {
    this.spatial = spatial
    this.switched()
    this.#parts.choose(spatial)
  }

  close(): void {
    this.#up?.cancel()
    this.#settling?.cancel()
  }
}
