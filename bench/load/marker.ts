/**
 * Counting messages in a byte stream without parsing it.
 *
 * Every danmaku of the bench carries a marker that occurs nowhere else. A listener counts markers in what the socket gives it,
 * whatever frames the server made: one message or a thousand. The search jumps by the length of the marker (Horspool), so that
 * a stream of 250-byte messages costs well under a nanosecond a byte and the client is not what is measured.
 * A marker cut in two by the network is counted once: the end of each read is kept, never more than one marker less a byte.
 *
 *   const count = new MarkerCount(new Marker(7))
 *   count.read(bytes, bytes.length)   // as often as the socket reads
 *   count.total
 */

const markerBytes = 16
/** Behind the marker stand this many digits: the instant of sending in microseconds, or zeros. */
export const stampDigits = 15

export class Marker {
  readonly text: string
  readonly bytes: Uint8Array
  /** How far the search may jump when the last byte of the window is this one. */
  readonly jump = new Uint8Array(256)

  /** A marker for each phase of a run, so that a straggler of one phase is not counted in the next. */
  constructor(phase: number) {
    this.text = `QZXJKVW${String(phase % 100).padStart(2, '0')}YBGFPHM`
    this.bytes = new TextEncoder().encode(this.text)
    this.jump.fill(markerBytes)
    for (let i = 0; i < markerBytes - 1; i++) this.jump[this.bytes[i] as number] = markerBytes - 1 - i
  }
}

/** Where a marker starts in `bytes[from..end)`, or -1. */
export function findMarker(marker: Marker, bytes: Uint8Array, from: number, end: number): number {
  const { bytes: needle, jump } = marker
  const last = markerBytes - 1
  const lastByte = needle[last] as number
  let at = from + last
  while (at < end) {
    const byte = bytes[at] as number
    if (byte === lastByte && equalBefore(needle, bytes, at)) return at - last
    at += jump[byte] as number
  }
  return -1
}

function equalBefore(needle: Uint8Array, bytes: Uint8Array, at: number): boolean {
  const start = at - needle.length + 1
  for (let i = needle.length - 2; i >= 0; i--) if (bytes[start + i] !== needle[i]) return false
  return true
}

export class MarkerCount {
  total = 0
  #marker: Marker
  readonly #tail = new Uint8Array(2 * markerBytes)
  #tailLength = 0
  /** Called with the stamp of a message, for the few listeners that measure. */
  readonly #onStamp: ((stampUs: number) => void) | undefined

  constructor(marker: Marker, onStamp?: (stampUs: number) => void) {
    this.#marker = marker
    this.#onStamp = onStamp
  }

  restart(marker: Marker): void {
    this.#marker = marker
    this.#tailLength = 0
    this.total = 0
  }

  read(bytes: Uint8Array, length: number): void {
    if (this.#tailLength > 0) this.#readAcross(bytes, length)
    let at = 0
    while (true) {
      at = findMarker(this.#marker, bytes, at, length)
      if (at < 0) break
      at += markerBytes
      this.total++
      if (this.#onStamp) this.#stamp(bytes, at, length)
    }
    this.#keep(bytes, length)
  }

  /** The marker that began in the last read and ends in this one. */
  #readAcross(bytes: Uint8Array, length: number): void {
    const more = Math.min(length, markerBytes - 1)
    this.#tail.set(bytes.subarray(0, more), this.#tailLength)
    if (findMarker(this.#marker, this.#tail, 0, this.#tailLength + more) >= 0) this.total++
  }

  #keep(bytes: Uint8Array, length: number): void {
    const most = markerBytes - 1
    if (length >= most) {
      this.#tail.set(bytes.subarray(length - most, length))
      this.#tailLength = most
      return
    }
    // A read shorter than a marker: readAcross has put it behind the tail already when there was one.
    if (this.#tailLength === 0) this.#tail.set(bytes.subarray(0, length))
    const all = this.#tailLength + length
    const drop = Math.max(0, all - most)
    this.#tail.copyWithin(0, drop, all)
    this.#tailLength = all - drop
  }

  /** A stamp that the network cut in two is left out: one in a few thousand. */
  #stamp(bytes: Uint8Array, at: number, length: number): void {
    if (at + stampDigits > length) return
    let value = 0
    for (let i = at; i < at + stampDigits; i++) value = value * 10 + (bytes[i] as number) - 0x30
    if (value > 0) this.#onStamp?.(value)
  }
}

/** The instant in microseconds of the machine's monotonic clock: the same in every process. */
export function nowUs(): number {
  const [s, ns] = process.hrtime()
  return s * 1e6 + Math.floor(ns / 1000)
}
