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

/** A worker refuses parameters of clients with an error that has no name of its own. */
export async function byClient<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked
  } catch (error) {
    const { name, message } = Object(error) as { name?: unknown; message?: unknown }
    if (name !== 'Error') throw error
    const text = String(message).slice(0, 200)
    throw new SfuProblem(/not found/.test(text) ? 'stream.gone' : 'stream.bad_params', text)
  }
}

/** mediasoup throws a TypeError on parameters that are none, and an UnsupportedError on codecs that the room does not have. */
export function asProblem(error: unknown): SfuProblem {
  if (error instanceof SfuProblem) return error
  const { name, message } = Object(error) as { name?: unknown; message?: unknown }
  const text = String(message ?? error).slice(0, 200)
  if (name === 'UnsupportedError') return new SfuProblem('stream.codec', text)
  if (name === 'TypeError') return new SfuProblem('stream.bad_params', text)
  return new SfuProblem('stream.unavailable', text)
}
