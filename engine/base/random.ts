/**
 * Randomness for the whole engine, so that a simulation can repeat a run from its seed.
 *
 * `systemRandom` draws from the operating system. `seededRandom(seed)` is SplitMix64-like on 32-bit words: good enough for tests and
 * simulation, never for secrets. `newId` makes a ULID: 48 bits of time and 80 random bits, growing within a millisecond.
 */
import { randomFillSync } from 'node:crypto'
import { monotonicFactory } from 'ulid'

export interface Random {
  /** In [0, 1). */
  float(): number
}

const pool = new Uint32Array(256)
let used = pool.length

export const systemRandom: Random = {
  float() {
    if (used === pool.length) {
      randomFillSync(pool)
      used = 0
    }
    return (pool[used++] as number) / 4294967296
  },
}

export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return {
    float() {
      state = (state + 0x9e3779b9) >>> 0
      let mixed = state ^ (state >>> 16)
      mixed = Math.imul(mixed, 0x21f0aaad)
      mixed ^= mixed >>> 15
      mixed = Math.imul(mixed, 0x735a2d97)
      return ((mixed ^ (mixed >>> 15)) >>> 0) / 4294967296
    },
  }
}

/** A whole number in [0, below). */
export const randomInt = (random: Random, below: number): number => Math.floor(random.float() * below)

export type IdSource = (nowMs: number) => string

/** ULIDs that grow, even within one millisecond and when two sources of one process run side by side with their own randomness. */
export function idSource(random: Random): IdSource {
  const next = monotonicFactory(() => random.float())
  return (nowMs) => next(nowMs)
}

/** FNV-1a over UTF-16 units: spreads ids evenly for sampling; no protection against somebody who looks for collisions. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash ^= hash >>> 15
  hash = Math.imul(hash, 0x2c1b3c6d)
  return (hash ^ (hash >>> 12)) >>> 0
}
