/**
 * Commands with an idempotency key: a repeated one gets the first answer again and has no second effect.
 *
 * Scope of a key: (actor, command, key). Kept for 24 h and at most `idemEntriesMax` per room, oldest first out. A refusal is not
 * kept: the client may try again with the same key; but that a message is held for review is, since it may still be shown.
 */
import { createHash } from 'node:crypto'
import { type Answer, type Call, refusal } from './call.ts'

const keepMs = 24 * 3_600_000
const inFlightRetryMs = 200

interface Entry {
  at: number
  body: string
  answer: Answer | undefined
}

export class Idempotency {
  readonly #max: number
  readonly #entries = new Map<string, Entry>()
  evicted = 0

  constructor(max: number) {
    this.#max = max
  }

  /** The answer to give without running the command, or the call to run in its place, whose answer is remembered. */
  begin(call: Call): Answer | Call {
    const key = `${call.actor.userId} ${call.t} ${call.ik}`
    const body = digest(call.d)
    const known = this.#entries.get(key)
    if (known && known.at > call.at - keepMs) return again(known, body)
    const entry: Entry = { at: call.at, body, answer: undefined }
    this.#entries.set(key, entry)
    this.#bound()
    return {
      ...call,
      answer: (answer) => {
        if (answer.ok || hasEffect(answer)) entry.answer = answer
        else this.#entries.delete(key)
        call.answer(answer)
      },
    }
  }

  #bound(): void {
    if (this.#entries.size <= this.#max) return
    const oldest = this.#entries.keys().next().value
    if (oldest === undefined) return
    this.#entries.delete(oldest)
    this.evicted++
  }
}

const hasEffect = (answer: Answer): boolean => !answer.ok && answer.err.code === 'content.held'

function again(known: Entry, body: string): Answer {
  if (known.body !== body) return refusal('idem.conflict')
  if (!known.answer) return refusal('idem.in_flight', { retryAfterMs: inFlightRetryMs })
  return known.answer.ok ? { ...known.answer, replayed: true } : known.answer
}

export function digest(d: unknown): string {
  return createHash('sha256').update(canonical(d)).digest('base64')
}

/** JSON with sorted keys: the same body in another order is the same body. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  entries.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`
}
