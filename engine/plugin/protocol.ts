/**
 * What the engine and a plugin in another place say to each other, as JSON text over a `Channel`. One text is a list of frames: what is
 * said in one turn travels together.
 *
 * Guards and transforms go in numbered batches (`check`) and come back as exactly as many results, in order: `0` is allow or no change,
 * `-1` is "failed", `-2` "not ready in time". Everything else is asked one by one (`run`) and answered when it is done.
 */
import type { Ask } from './define.ts'

export const protocolVersions: readonly number[] = [1]

export const resultAllow = 0
export const resultFailed = -1
export const resultLate = -2

/** `[hook index, ask]`. */
export type CheckItem = [hook: number, ask: Ask<unknown>]
export type CallResult = { ok: true; d?: unknown } | { ok: false; code: string; msg: string; retryAfterMs?: number }

export type ToPlugin =
  | { k: 'check'; id: number; withinMs: number; items: CheckItem[] }
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

/** As `JSON.stringify` writes it, in half of its time: a question to a guard has a known form, and there is one for each message. */
export function checkText(hook: number, { room, at, from, d }: Ask<unknown>): string {
  const { userId, name, anonymous, ranks, bot } = from
  const rankText = ranks.length === 0 ? '[]' : JSON.stringify(ranks)
  const botText = bot === undefined ? '' : `,"bot":${bot}`
  const who = `{"userId":${quoted(userId)},"name":${quoted(name)},"anonymous":${anonymous},"ranks":${rankText}${botText}}`
  return `[${hook},{"room":${quoted(room)},"at":${at},"from":${who},"d":${fieldsText(d)}}]`
}

/** Nothing in it that JSON escapes; half a surrogate pair is escaped too. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const isPlain = /^[^"\\\u0000-\u001f\ud800-\udfff]*$/
const quoted = (text: string): string => (isPlain.test(text) ? `"${text}"` : JSON.stringify(text))

/** Nearly always a few texts and numbers. */
function fieldsText(d: unknown): string {
  if (typeof d !== 'object' || d === null || Array.isArray(d)) return JSON.stringify(d) ?? 'null'
  let text = ''
  for (const [name, value] of Object.entries(d)) {
    const valueText = typeof value === 'string' ? quoted(value) : JSON.stringify(value)
    if (valueText !== undefined) text += `${text === '' ? '' : ','}${quoted(name)}:${valueText}`
  }
  return `{${text}}`
}
