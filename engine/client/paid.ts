/**
 * One command that moves money, asked until there is an answer: always the same body and the same key, so that however often it is asked,
 * the coins move once.
 *
 * What becomes of a try:
 *   answered                        done
 *   refused, "later" (`laterCodes`) asked again after `retryAfterMs`, as long as the pauses add up to `pausesMsMax`
 *   refused otherwise               the refusal is the answer: no coin has moved. Not when a try before may have moved them and this
 *                                   one was refused by somebody who does not look (`blindCodes`)
 *   lost                            asked again when the room is joined again, as long as `timeoutMs` is not over
 *
 * A try that was lost (or ended in `unknownCodes`) and never followed by an answer ends in a `ConnectionLostError` with `sent`: nobody knows. Whoever gets it and still
 * wants the effect asks again with the key that was used.
 */
import type { ErrorCode } from '../../schemas/errors.ts'
import { ClientClosedError, ConnectionLostError, RefusedError } from './faults.ts'
import type { Host } from './host.ts'

export interface PaidParts<Reply> {
  host: Pick<Host, 'now' | 'after'>
  /** Resolves when asking makes sense again (the room is joined, or will never be), at the latest after `timeoutMs`. */
  ready(timeoutMs: number): Promise<void>
  ask(timeoutMs: number): Promise<Reply>
  /** Of one try. */
  tryMs: number
  /** Of all tries. */
  timeoutMs: number
}

/** "The same command, the same key, a little later." */
const laterCodes: ReadonlySet<string> = new Set<ErrorCode>([
  'idem.in_flight',
  'billing.unavailable',
  'room.unavailable',
  'server.draining',
  'session.inbox_full',
])
/** "Not now", perhaps after the coins have moved: the ledger may have written what it could not answer. */
const unknownCodes: ReadonlySet<string> = new Set<ErrorCode>(['billing.unavailable', 'room.unavailable'])
/**
 * Said by a connection, a room or a price that never looked at the key in the ledger: after a try whose end is not known they do not tell
 * what became of that one. Gifts may be off by now, and the coins have moved before.
 */
const blindCodes: ReadonlySet<string> = new Set<ErrorCode>([
  'room.not_joined',
  'rate.limited',
  'auth.required',
  'session.not_open',
  'room.closed',
  'room.gift_disabled',
  'gift.not_available',
  'gift.level_required',
  'gift.bad_receiver',
  'gift.user_disabled',
  'gift.unavailable',
])
const pauseMsMin = 50
const pauseMsDefault = 500
/** Somebody waits with a finger on the button: an engine that says "later" for longer than this is told as it is. */
const pausesMsMax = 12_000

export async function askUntilAnswered<Reply>(parts: PaidParts<Reply>): Promise<Reply> {
  const { host, ready, ask, tryMs, timeoutMs } = parts
  const endAt = host.now() + timeoutMs
  let isUnknown = false
  let pausesMs = 0
  for (;;) {
    await ready(Math.max(0, endAt - host.now()))
    try {
      return await ask(Math.max(1, Math.min(tryMs, endAt - host.now())))
    } catch (error) {
      if (error instanceof RefusedError) {
        const isBlind = isUnknown && blindCodes.has(error.code)
        if (unknownCodes.has(error.code)) isUnknown = true
        const isLater = laterCodes.has(error.code) || (isBlind && error.retry)
        const pauseMs = Math.max(pauseMsMin, error.retryAfterMs ?? pauseMsDefault)
        pausesMs += pauseMs
        if (!isLater || pausesMs > pausesMsMax || host.now() + pauseMs >= endAt) throw isBlind ? nobodyKnows() : error
        await new Promise<void>((resolve) => void host.after(pauseMs, resolve))
      } else {
        const isLost = error instanceof ConnectionLostError
        if (isLost && error.sent) isUnknown = true
        if (isLost && host.now() < endAt) continue
        throw isUnknown && (isLost || error instanceof ClientClosedError) ? nobodyKnows() : error
      }
    }
  }
}

const nobodyKnows = () => new ConnectionLostError('The connection broke before an answer came: it may have happened.', true)
