/**
 * The log: one JSON line per entry on stderr, with the time, the level and the name of the part.
 *
 *   const log = createLog({ level: config.logLevel, name: 'livehouse' }).child({ part: 'gateway' })
 *   log.warn({ room, bytes }, 'slow reader closed')
 *
 * Fields named `token`, `authorization` or `secret` are replaced, up to three levels deep: a token must never reach a log.
 * Writing is synchronous, so that the last line before a crash is there; what happens per message belongs in metrics.
 */
import { type DestinationStream, destination, type LevelWithSilent, pino, stdTimeFunctions } from 'pino'

export type LogLevel = LevelWithSilent

type Write = {
  (fields: object, message?: string): void
  (message: string): void
}

export type Log = {
  readonly trace: Write
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
  /** A log whose every line carries these fields as well. */
  child(fields: Record<string, unknown>): Log
}

const hiddenFields = ['token', 'authorization', 'Authorization', 'secret']
const hiddenPaths = ['', '*.', '*.*.'].flatMap((depth) => hiddenFields.map((field) => depth + field))

export type LogOptions = {
  level: LogLevel
  name: string
  /** Where lines go; stderr if left out. */
  to?: DestinationStream
}

export function createLog({ level, name, to = destination({ fd: 2, sync: true }) }: LogOptions): Log {
  return pino({ level, name, timestamp: stdTimeFunctions.isoTime, redact: { paths: hiddenPaths, censor: '[hidden]' } }, to)
}

/** Says nothing: for tests and for parts that are used without an engine. */
export const silentLog: Log = createLog({ level: 'silent', name: 'silent', to: { write: () => undefined } })
