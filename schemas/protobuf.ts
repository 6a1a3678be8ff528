/**
 * Reads and writes the protobuf wire format for the messages of `livehouse.proto`; `gen/messages.ts` is made of calls to it.
 *
 * Why not a runtime library: a frame comes from a stranger, so every read is checked (bounds, varint length, strict UTF-8,
 * integers within 2^53-1) and throws `WireError`; absent fields stay absent and an absent list is empty, so that a message means
 * the same as its JSON form; texts are well-formed (a lone surrogate is written as U+FFFD, as `wire.ts` does in JSON);
 * and the browser gets 2 KB instead of 700 KB of generated code. The tests compare every message with protobufjs.
 */

export class WireError extends Error {
  override name = 'WireError'
  /** The id of the request that is wrong, when it could be read. */
  re = ''
}

// A text may begin with U+FEFF: without ignoreBOM it would be dropped.
const utf8Strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const utf8 = new TextEncoder()
const twoTo32 = 4294967296
const nestedBytesMax = 2 ** 28 - 1
const bytesKeptMax = 1_048_576

export class Reader {
  pos = 0
  readonly bytes: Uint8Array
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  /** An unsigned varint of at most 10 bytes, modulo 2^64, as two 32-bit halves. */
  #low = 0
  #high = 0
  #varint(end: number): void {
    let low = 0
    let high = 0
    for (let i = 0; i < 10; i++) {
      if (this.pos >= end) throw new WireError('truncated number')
      const byte = this.bytes[this.pos++] as number
      const bits = byte & 0x7f
      if (i < 4) low |= bits << (7 * i)
      else if (i === 4) {
        low |= bits << 28
        high |= bits >> 4
      } else high |= bits << (7 * i - 32)
      if (byte < 0x80) {
        this.#low = low >>> 0
        this.#high = high >>> 0
        return
      }
    }
    throw new WireError('number too long')
  }

  uint(end: number): number {
    this.#varint(end)
    const value = this.#high * twoTo32 + this.#low
    if (!Number.isSafeInteger(value)) throw new WireError('number over 2^53-1')
    return value
  }

  /** int64: negative numbers are ten bytes of two's complement. */
  int(end: number): number {
    this.#varint(end)
    const value = (this.#high | 0) * twoTo32 + this.#low
    if (!Number.isSafeInteger(value)) throw new WireError('number over 2^53-1')
    return value
  }

  int32(end: number): number {
    const value = this.int(end)
    if ((value | 0) !== value) throw new WireError('number over 2^31-1')
    return value
  }

  bool(end: number): boolean {
    this.#varint(end)
    return (this.#low | this.#high) !== 0
  }

  /** The end of a length-delimited field that starts here. */
  enter(end: number): number {
    const length = this.uint(end)
    if (length > end - this.pos) throw new WireError('length past the end')
    return this.pos + length
  }

  raw(end: number): Uint8Array {
    const stop = this.enter(end)
    const part = this.bytes.subarray(this.pos, stop)
    this.pos = stop
    return part
  }

  string(end: number): string {
    const part = this.raw(end)
    try {
      return utf8Strict.decode(part)
    } catch {
      throw new WireError('invalid UTF-8')
    }
  }

  /** Step over a field that this version does not know. Groups are not part of the contract. */
  skip(tag: number, end: number): void {
    if (tag < 8 || tag >= twoTo32) throw new WireError('field number out of range')
    const wireType = tag & 7
    if (wireType === 0) this.#varint(end)
    else if (wireType === 2) this.pos = this.enter(end)
    else if (wireType === 1 || wireType === 5) {
      const size = wireType === 1 ? 8 : 4
      if (size > end - this.pos) throw new WireError('truncated field')
      this.pos += size
    } else throw new WireError(`wire type ${wireType}`)
  }
}

export class Writer {
  #bytes: Uint8Array
  #pos = 0
  constructor(bytesExpected = 256) {
    this.#bytes = new Uint8Array(bytesExpected)
  }

  #reserve(count: number): void {
    const needed = this.#pos + count
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2))
    grown.set(this.#bytes.subarray(0, this.#pos))
    this.#bytes = grown
  }

  uint(value: number): void {
    this.#reserve(10)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.#pos++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#pos++] = rest
  }

  /** Only whole numbers within 2^53-1 mean the same in JSON, here and at the reader. */
  int(value: number): void {
    if (!Number.isSafeInteger(value)) throw new WireError(`${value} is not a whole number within 2^53-1`)
    if (value >= 0) {
      this.uint(value)
      return
    }
    this.#reserve(10)
    let low = value >>> 0
    let high = Math.floor(value / twoTo32) >>> 0
    for (let i = 0; i < 9; i++) {
      this.#bytes[this.#pos++] = (low & 0x7f) | 0x80
      low = ((low >>> 7) | (high << 25)) >>> 0
      high >>>= 7
    }
    this.#bytes[this.#pos++] = low & 0x7f
  }

  int32(value: number): void {
    if ((value | 0) !== value) throw new WireError(`${value} is not a whole number of 32 bits`)
    this.int(value)
  }

  bool(value: boolean): void {
    this.uint(value ? 1 : 0)
  }

  raw(part: Uint8Array): void {
    this.uint(part.length)
    this.#reserve(part.length)
    this.#bytes.set(part, this.#pos)
    this.#pos += part.length
  }

  string(text: string): void {
    // Most names and texts are short: write in place behind a guess of one length byte, and move only when the guess was wrong.
    const most = text.length * 3
    this.#reserve(most + 5)
    const start = this.#pos + 1
    const written = utf8.encodeInto(text, this.#bytes.subarray(start)).written
    if (written < 0x80) {
      this.#bytes[this.#pos] = written
      this.#pos = start + written
      return
    }
    if (written > nestedBytesMax) throw new WireError(`a text over ${nestedBytesMax} bytes`)
    const width = written < 0x4000 ? 2 : written < 0x200000 ? 3 : 4
    this.#bytes.copyWithin(this.#pos + width, start, start + written)
    this.uint(written)
    this.#pos += written
  }

  /** A nested message: its length is known only afterwards, so it is written behind one byte and moved when it is long. */
  nested<M>(encode: (message: M, writer: Writer) => void, message: M): void {
    this.#reserve(5)
    const at = this.#pos++
    encode(message, this)
    const length = this.#pos - at - 1
    if (length < 0x80) {
      this.#bytes[at] = length
      return
    }
    if (length > nestedBytesMax) throw new WireError(`a message over ${nestedBytesMax} bytes`)
    const width = length < 0x4000 ? 2 : length < 0x200000 ? 3 : 4
    this.#reserve(width)
    this.#bytes.copyWithin(at + width, at + 1, at + 1 + length)
    this.#pos = at
    this.uint(length)
    this.#pos += length
  }

  /** A copy of what was written; the writer starts anew. */
  finish(): Uint8Array {
    const out = this.#bytes.slice(0, this.#pos)
    this.#pos = 0
    if (this.#bytes.length > bytesKeptMax) this.#bytes = new Uint8Array(4096)
    return out
  }
}

export interface Codec<M> {
  encode(message: M, writer: Writer): void
  decode(reader: Reader, end: number): M
}

const shared = new Writer(4096)

export function encode<M>(codec: Codec<M>, message: M): Uint8Array {
  try {
    codec.encode(message, shared)
    return shared.finish()
  } catch (error) {
    shared.finish()
    throw error
  }
}

/** Throws `WireError` for anything that is not a whole, well-formed message. */
export function decode<M>(codec: Codec<M>, bytes: Uint8Array): M {
  const reader = new Reader(bytes)
  return codec.decode(reader, bytes.length)
}
