/**
 * What the engine and a plugin in another place say to each other, as JSON text over a `Channel`. One text is a list of frames: what is
 * said in one turn travels together.
 *
 * Guards and transforms go in numbered batches (`check`) and come back as exactly as many results, in order: `0` is allow or no change,
 * `-1` is "failed", `-2` "not ready in time". Everything else is asked one by one (`run`) and answered when it is done.
 */
import type { Ask } from '../define.ts'

export const protocolVersions: readonly number[] = [1]

export const resultAllow = 0
export const resultFailed = -1
export const resultLate = -2

/** An ask in a batch, flat: there is one for each message. `ageMs`: before the `at` of its batch. `flags`: 1 anonymous, 2 bot. */
export type CheckItem = [
  hook: number,
  room: string,
  ageMs: number,
  userId: string,
  name: string,
  flags: number,
  ranks: readonly string[] | 0,
  d: unknown,
]
export type CallResult = { ok: true; d?: unknown } | { ok: false; code: string; msg: string; retryAfterMs?: number }

export type ToPlugin =
  | { k: 'check'; id: number; withinMs: number; at: number; items: CheckItem[] }
  | { k: 'run'; id: number; hook: number; withinMs: number; input: unknown }
  | { k: 'answer'; id: number; result: CallResult }
  /** `pluginSettings` with a version: the newest wins. */
  | { k: 'settings'; version: number; settings: unknown }
  | { k: 'ping'; id: number }
  /** No new work will come; say `bye` when what is under way has ended. */
  | { k: 'drain' }

export type FromPlugin =
  | { k: 'checked'; id: number; results: unknown[] }
  | { k: 'answer'; id: number; result: CallResult }
  | { k: 'call'; id: number; name: string; d: unknown; cause?: number }
  | { k: 'pong'; id: number }
  | { k: 'ready'; settings: number }
  /** The settings were not taken: the old ones go on. */
  | { k: 'unfit'; settings: number; msg: string }
  | { k: 'log'; level: 'debug' | 'info' | 'warn' | 'error'; fields: object; msg: string }
  | { k: 'count'; name: string; by: number }
  /** Ends soon and wants no new work. */
  | { k: 'draining' }
  | { k: 'bye' }

/** Longest text of one message: below the 1 MB that a NATS server takes by default. */
export const textBytesMax = 512 * 1024

/** Deepest nesting of a text. What reads or writes it later does so level by level, and a stack ends at some thousands. */
export const textDepthMax = 32

/** Whether a value is nested deeper than `levels`. */
export function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  for (const item of Object.values(value)) if (isDeeperThan(item, levels - 1)) return true
  return false
}

/** Frames of one text, or undefined when it is none: no JSON, no list of frames, nested too deep. */
export function parseFrames(text: string): Record<string, unknown>[] | undefined {
  try {
    const value = JSON.parse(text)
    return Array.isArray(value) && value.every(isFrame) && !isDeeperThan(value, textDepthMax) ? value : undefined
  } catch {
    return undefined
  }
}

const isFrame = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { k?: unknown }).k === 'string'

/**
 * A whole batch of these written by one `JSON.stringify` costs 0.56 us an item on two cores of 2026; asks as they are cost 0.93, and
 * texts put together by hand 1.3, since such a text is a rope that is walked when it is sent.
 */
export function checkItem(hook: number, { room, at, from, d }: Ask<unknown>, batchAt: number): CheckItem {
  const { userId, name, anonymous, ranks, bot } = from
  return [hook, room, batchAt - at, userId, name, (anonymous ? 1 : 0) | (bot ? 2 : 0), ranks.length === 0 ? 0 : ranks, d]
}

export function askOf([, room, ageMs, userId, name, flags, ranks, d]: CheckItem, batchAt: number): Ask<unknown> {
  const from = { userId, name, anonymous: (flags & 1) === 1, ranks: ranks === 0 ? [] : ranks }
  return { room, at: batchAt - ageMs, from: (flags & 2) === 2 ? { ...from, bot: true } : from, d }
}
