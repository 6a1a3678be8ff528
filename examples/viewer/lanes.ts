/**
 * Where a danmaku flies so that no two touch. Pure: times and widths in, a place out.
 *
 * Every text crosses the picture in the same time, so long ones are faster. A lane takes a new one when the tail of the last has
 * come in from the edge and the new one cannot catch it before it is gone. A lane has one direction until it is empty.
 * When more come than the lanes can take, they get faster and smaller (three levels), and what still finds no place is not flown.
 */
export interface Area {
  width: number
  height: number
}

export interface Level {
  crossMs: number
  /** Share of the full letter size. */
  scale: number
}

/** Calm, busy, storm: a crossing in the storm is still long enough to read a short line. */
export const levels: readonly Level[] = [
  { crossMs: 8_500, scale: 1 },
  { crossMs: 6_500, scale: 0.88 },
  { crossMs: 4_800, scale: 0.76 },
]
export const stillMs = 4_000
const gapPx = 20
const laneHeightShare = 1.42
/** Bands may share this much: rounding, and the air between letters and band. */
const touchPx = 0.5

export type Direction = 'left' | 'right'

interface Taken {
  top: number
  bottom: number
  goneAt: number
  /** Absent: it stands still and keeps its band until it is gone. */
  moving: { tailInAt: number; direction: Direction } | undefined
}

export interface Flight {
  /** From the top of the area. */
  top: number
  durationMs: number
}

/** Letters for an area: about 12 lanes on a desktop picture, 8 on a phone; never too small to read. */
export function fontPxOf(area: Area, level: Level): number {
  return Math.max(11, Math.max(13.5, Math.min(25, area.height / 22 + 4)) * level.scale)
}

export const laneHeightOf = (fontPx: number): number => fontPx * laneHeightShare

/** Texts a second that the area can carry at a level without touching. */
export function capacityPerS(area: Area, level: Level, widthMean: number): number {
  const lanes = Math.floor(area.height / laneHeightOf(fontPxOf(area, level)))
  const pxPerMs = (area.width + widthMean) / level.crossMs
  return lanes * (1_000 / ((widthMean + gapPx) / pxPerMs))
}

/** The calmest level that carries `perS`. */
export function levelFor(area: Area, perS: number, widthMean: number): Level {
  return levels.find((level) => capacityPerS(area, level, widthMean * level.scale) >= perS) ?? (levels.at(-1) as Level)
}

export class Lanes {
  /** What is on the picture now; bands of one level and of the next need not line up, so bands are compared, not lane numbers. */
  #taken: Taken[] = []

  clear(): void {
    this.#taken = []
  }

  fly(area: Area, level: Level, width: number, now: number, direction: Direction = 'left'): Flight | undefined {
    const height = laneHeightOf(fontPxOf(area, level))
    const pxPerMs = (area.width + width) / level.crossMs
    const headOutAt = now + area.width / pxPerMs
    const top = this.#freeTop(area, height, now, (other) => {
      if (!other.moving || other.moving.direction !== direction) return false
      // Where the other leaves, the gap is still there.
      return other.moving.tailInAt <= now && headOutAt - gapPx / pxPerMs >= other.goneAt - 0.5
    })
    if (top === undefined) return undefined
    const moving = { tailInAt: now + (width + gapPx) / pxPerMs, direction }
    this.#taken.push({ top, bottom: top + height, goneAt: now + level.crossMs, moving })
    return { top, durationMs: level.crossMs }
  }

  /** A text that stands still at the top or bottom edge, at most in a third of the area each; it may cover what already flies. */
  stand(area: Area, level: Level, edge: 'top' | 'bottom', now: number): Flight | undefined {
    const height = laneHeightOf(fontPxOf(area, level))
    const count = Math.max(1, Math.floor(area.height / height / 3))
    for (let lane = 0; lane < count; lane++) {
      const top = edge === 'top' ? lane * height : area.height - (lane + 1) * height
      if (!this.#isFree(top, top + height, now, (other) => other.moving !== undefined)) continue
      this.#taken.push({ top, bottom: top + height, goneAt: now + stillMs, moving: undefined })
      return { top, durationMs: stillMs }
    }
    return undefined
  }

  #freeTop(area: Area, height: number, now: number, goesWith: (other: Taken) => boolean): number | undefined {
    this.#taken = this.#taken.filter((other) => other.goneAt > now)
    const count = Math.max(1, Math.floor(area.height / height))
    for (let lane = 0; lane < count; lane++)
      if (this.#isFree(lane * height, (lane + 1) * height, now, goesWith)) return lane * height
    return undefined
  }

  #isFree(top: number, bottom: number, now: number, goesWith: (other: Taken) => boolean): boolean {
    return this.#taken.every(
      (other) => other.goneAt <= now || other.bottom <= top + touchPx || other.top >= bottom - touchPx || goesWith(other),
    )
  }
}
