/**
 * How good a picture is asked for. Pure: from a wish, or from how it has been playing, to the layer of a simulcast; and what a publisher
 * sends as layers.
 *
 *     const ladder = new Ladder()
 *     ladder.choose('auto')
 *     ladder.heard({ stallMs: 900, lossBps: 0, nowMs })       // once a window: auto goes down at trouble, and up again after calm
 *     ladder.layer(3)                                          // of three layers, counted from 0
 */

export const qualities = ['auto', 'high', 'middle', 'low'] as const
export type Quality = (typeof qualities)[number]

/** So much of a window stalled, or lost, is trouble. */
const stallMsMax = 500
const lossBpsMax = 800
/** After trouble the next better layer is tried when it has been calm for this long. */
const calmMs = 30_000

export class Ladder {
  #quality: Quality = 'auto'
  /** Layers below the best one, as `auto` has found them to be needed. */
  #below = 0
  #troubleAt = 0

  get quality(): Quality {
    return this.#quality
  }

  choose(quality: Quality): void {
    this.#quality = quality
    this.#below = 0
  }

  heard({ stallMs, lossBps, nowMs }: { stallMs: number; lossBps: number; nowMs: number }): void {
    if (stallMs > stallMsMax || lossBps > lossBpsMax) {
      this.#below = Math.min(this.#below + 1, 2)
      this.#troubleAt = nowMs
    } else if (this.#below > 0 && nowMs - this.#troubleAt >= calmMs) {
      this.#below--
      this.#troubleAt = nowMs
    }
  }

  /** Within it the media node goes by the bandwidth that it sees. */
  layer(layers: number): number {
    const best = Math.max(0, layers - 1)
    if (this.#quality === 'low') return 0
    if (this.#quality === 'middle') return Math.floor(best / 2)
    return this.#quality === 'high' ? best : Math.max(0, best - this.#below)
  }
}

export interface Encoding {
  scaleResolutionDownBy?: number
  maxBitrate: number
}

/** Bits per second of a picture of this height at 30 frames. */
function bitrateOf(height: number): number {
  if (height >= 2_160) return 16_000_000
  if (height >= 1_440) return 9_000_000
  if (height >= 1_080) return 4_500_000
  if (height >= 720) return 2_500_000
  if (height >= 480) return 1_200_000
  return height >= 300 ? 600_000 : 250_000
}

/** From the smallest: a picture of 720 lines is sent with 180, 360 and 720. What is small already is sent once. */
export function encodingsFor(height: number, simulcast: boolean): Encoding[] {
  const scales = !simulcast || height < 360 ? [1] : height < 600 ? [2, 1] : [4, 2, 1]
  return scales.map((scale) => ({
    ...(scales.length > 1 ? { scaleResolutionDownBy: scale } : {}),
    maxBitrate: bitrateOf(height / scale),
  }))
}
