/**
 * The ways in which a call fails, each with its own class, so that a caller can tell "no" from "nobody knows".
 *
 *     try { await room.send({ text }) } catch (error) {
 *       if (error instanceof RefusedError && error.code === 'chat.slow_mode') showCountdown(error.retryAfterMs)
 *       else if (error instanceof ConnectionLostError) offerToSendAgain()
 *     }
 */
import { type ErrorBody, type ErrorCode, errors, type PluginErrorCode } from '../../schemas/errors.ts'

export type RefusalDetail = NonNullable<ErrorBody['d']>

/** The engine answered no. Nothing happened. */
export class RefusedError extends Error {
  override name = 'RefusedError'
  readonly code: ErrorCode | PluginErrorCode
  readonly retryAfterMs: number | undefined
  readonly detail: RefusalDetail
  constructor(body: ErrorBody) {
    super(body.msg ?? body.code)
    this.code = body.code
    this.retryAfterMs = body.retryAfterMs
    this.detail = body.d ?? {}
  }

  /** Whether the same command may succeed later without anybody doing anything else. Codes of plugins say so by `retryAfterMs`. */
  get retry(): boolean {
    return Object.hasOwn(errors, this.code) ? errors[this.code as ErrorCode].retry : this.retryAfterMs !== undefined
  }
}

/** The answer did not come. With `sent` the command may have taken effect: repeat it only with the same `ik`. */
export class ConnectionLostError extends Error {
  override name = 'ConnectionLostError'
  readonly sent: boolean
  constructor(message: string, sent: boolean) {
    super(message)
    this.sent = sent
  }
}

/** The client is closed for good, by the application or by a close code that says not to come back. */
export class ClientClosedError extends Error {
  override name = 'ClientClosedError'
}

/** More calls wait for an answer than `callsMax`. */
export class TooManyCallsError extends Error {
  override name = 'TooManyCallsError'
}
