/**
 * What a line that is not shown has sent since its last key frame, so that a switch to it needs no new one.
 *
 *     held.add(packet)
 *     if (held.hasKey) send(splice.replay(held.take(), nowMs))
 */
import { isKeyPacket } from './key-frames.ts'
import { timeOf } from './splice.ts'

/** 10 s at 4.8 Mbit/s; past it nothing is held until the next key frame. */
export const heldBytesMax = 6_000_000

export class Held {
  readonly #mimeType: string
  #packets: Buffer[] = []
  #bytes = 0
  /** Where the frame begins that the last packet belongs to. */
  #frameFrom = 0
  #frameTime: number | undefined
  hasKey = false
  /** How often it was too much. */
  overflows = 0

  constructor(mimeType: string) {
    this.#mimeType = mimeType
  }

  /** The packet is copied. */
  add(packet: Buffer): void {
    const time = timeOf(packet)
    if (time !== this.#frameTime) {
      this.#frameTime = time
      this.#frameFrom = this.#packets.length
    }
    const isKey = isKeyPacket(this.#mimeType, packet)
    // What came before the frame is needed no more. A frame has several key packets: parameter sets, slices.
    if (isKey && (!this.hasKey || this.#frameFrom > 0)) {
      this.#packets = this.#packets.slice(this.#frameFrom)
      this.#bytes = this.#packets.reduce((sum, one) => sum + one.length, 0)
      this.#frameFrom = 0
      this.hasKey = true
    }
    this.#packets.push(Buffer.from(packet))
    this.#bytes += packet.length
    if (!this.hasKey && this.#frameFrom > 0) this.#dropBeforeFrame()
    if (this.#bytes > heldBytesMax) this.#overflow()
  }

  /** Without a key frame only the present frame may still become one. */
  #dropBeforeFrame(): void {
    this.#packets = this.#packets.slice(this.#frameFrom)
    this.#bytes = this.#packets.reduce((sum, one) => sum + one.length, 0)
    this.#frameFrom = 0
  }

  #overflow(): void {
    this.overflows++
    this.clear()
  }

  /** From the key frame on; nothing is held after it. */
  take(): Buffer[] {
    const taken = this.hasKey ? this.#packets : []
    this.clear()
    return taken
  }

  clear(): void {
    this.#packets = []
    this.#bytes = 0
    this.#frameFrom = 0
    this.#frameTime = undefined
    this.hasKey = false
  }
}
