/** What a node answers instead of what it was asked for: a code that the client may see, and words. */
import type { SfuError } from '../schemas/sfu.ts'

export class SfuProblem extends Error {
  readonly code: SfuError['code']

  constructor(code: SfuError['code'], msg: string) {
    super(msg)
    this.name = 'SfuProblem'
    this.code = code
  }
}

export const gone = (what: string): SfuProblem => new SfuProblem('stream.gone', `no such ${what}`)

/** mediasoup throws a TypeError on parameters that are none, and an UnsupportedError on codecs that the room does not have. */
export function asProblem(error: unknown): SfuProblem {
  if (error instanceof SfuProblem) return error
  const { name, message } = Object(error) as { name?: unknown; message?: unknown }
  const text = String(message ?? error).slice(0, 200)
  if (name === 'UnsupportedError') return new SfuProblem('stream.codec', text)
  if (name === 'TypeError') return new SfuProblem('stream.bad_params', text)
  return new SfuProblem('stream.unavailable', text)
}
