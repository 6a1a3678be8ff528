/** The form of what clients wrote, before a worker sees it. Each throws `stream.bad_params`. */
import type { Feed, LineName } from '../schemas/sfu.ts'
import { SfuProblem } from './problem.ts'

const idLengthMax = 128
const seatsMax = 64

function bad(what: string): never {
  throw new SfuProblem('stream.bad_params', what)
}

export function checkId(id: unknown, what: string): void {
  if (typeof id !== 'string' || id.length === 0 || id.length > idLengthMax)
    bad(`${what}: a text of 1 to ${idLengthMax} characters`)
}

export function checkOneOf(value: unknown, allowed: readonly unknown[], what: string): void {
  if (!allowed.includes(value)) bad(`${what}: one of ${allowed.filter((one) => one !== undefined).join(', ')}`)
}

export function checkWhole(value: unknown, max: number, what: string): void {
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > max) bad(`${what}: a whole number, at most ${max}`)
}

/** Parameters are objects of mediasoup, which checks what is in them. */
export function checkObject(value: unknown, what: string): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) bad(`${what}: an object`)
}

export const checkLine = (line: unknown): void => checkOneOf(line, ['primary', 'backup'] satisfies LineName[], 'line')

export function checkFeed(feed: unknown): void {
  checkObject(feed, 'feed')
  const { of, line, source, seatNo } = feed as Partial<Extract<Feed, { of: 'line' }> & Extract<Feed, { of: 'seat' }>>
  checkOneOf(of, ['line', 'seat'], 'feed')
  if ((of as Feed['of']) === 'seat') return checkWhole(seatNo, seatsMax, 'seatNo')
  checkLine(line)
  checkId(source, 'source')
}
