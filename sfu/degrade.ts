/**
 * Levels of degrading: what a picture may still cost. An operator sets them, or load does.
 *
 * | level | picture |
 * |---|---|
 * | 0 | every layer |
 * | 1 | not the highest layer, where there is more than one |
 * | 2 | the lowest layer |
 * | 3 | the lowest layer at its lowest frame rate |
 * | 4 | none: sound alone |
 */
export const levelMax = 4

export interface LayerCap {
  isPaused: boolean
  spatialMax?: number
  temporalMax?: number
}

/** `layers`: spatial ones of the picture. */
export function capOf(level: number, layers: number): LayerCap {
  if (level >= 4) return { isPaused: true }
  if (level === 3) return { isPaused: false, spatialMax: 0, temporalMax: 0 }
  if (level === 2) return { isPaused: false, spatialMax: 0 }
  if (level === 1) return { isPaused: false, spatialMax: Math.max(0, layers - 2) }
  return { isPaused: false }
}
