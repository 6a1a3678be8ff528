/** JSON text of a client that is handed on to the media node, which checks what is in it: an object, and no deeper than those of mediasoup. */
import type { Media } from '../../schemas/sfu.ts'

/** codecs[] -> { parameters } is 4; room for what comes. */
const depthMax = 12

/** Undefined when it is none. */
export function jsonObject(text: string): Media | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return isPlain(value) && !isDeep(value) ? value : undefined
}

const isPlain = (value: unknown): value is Media => typeof value === 'object' && value !== null && !Array.isArray(value)

function isDeep(value: Media): boolean {
  let level: object[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth >= depthMax) return true
    level = level.flatMap((one) => Object.values(one).filter((inner) => typeof inner === 'object' && inner !== null))
  }
  return false
}
