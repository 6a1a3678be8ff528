/**
 * What a line has sent since its last key frame, so that a switch to it needs no new one. In the order of its numbers: packets that were
 * late stand where they belong.
 *
 *     held.add(packet, nowMs)
 *     if (held.hasKey) send(splice.replay(held.copy(), nowMs))
 */
import { isKeyPacket } from './key-frames.ts'
import { seqAfter, seqOf, timeOf } from './splice.ts'

/** 10 s at 4.8 Mbit/s; past it nothing is held until the next key frame. */
export const heldBytesMax = 6_000_000
/** Small ones; also keeps the numbers apart from their wrap. */
export const heldPacketsMax = 16_000
/** Numbers that were skipped: what was before is another time. */
const skippedMax = 2_000

export class Held {
  readonly #mimeType: string
  #packets: Buffer[] = []
  #bytes = 0
  hasKey = false
  /** When the key frame came that it begins with. */
  keyAtMs = 0
  /** How often it was too much. */
  overflows = 0

  constructor(mimeType: string) {
    this.#mimeType = mimeType
  }

  get size(): number {
    return this.#packets.length
  }

  /** It begins with a key frame, and nothing is missing since: what follows can be decoded. */
  get isWhole(): boolean {
    const [first, last] = [this.#packets[0], this.#packets.at(-1)]
    return this.hasKey && first !== undefined && last !== undefined && seqAfter(seqOf(last), seqOf(first)) === this.size - 1
  }

  /** The packet is copied. */
  add(packet: Buffer, nowMs: number): void {
    const last = this.#packets.at(-1)
    const later = last ? seqAfter(seqOf(packet), seqOf(last)) : 1
    if (Math.abs(later) > skippedMax) this.clear()
    const at = later > 0 || this.size === 0 ? this.size : this.#placeOf(packet)
    if (at === undefined) return
    // Without a key frame only the present frame may still become one.
    if (!this.hasKey && last && later > 0 && timeOf(packet) !== timeOf(last)) this.clear()
    this.#insert(Math.min(at, this.size), packet, nowMs)
    if (this.#bytes > heldBytesMax || this.size > heldPacketsMax) {
      this.overflows++
      this.clear()
    }
  }

  #insert(at: number, packet: Buffer, nowMs: number): void {
    this.#packets.splice(at, 0, Buffer.from(packet))
    this.#bytes += packet.length
    if (!isKeyPacket(this.#mimeType, packet)) return
    const from = this.#frameOf(at)
    if (this.hasKey && from === 0) return
    this.#bytes -= this.#packets.splice(0, from).reduce((sum, one) => sum + one.length, 0)
    this.hasKey = true
    this.keyAtMs = nowMs
  }

  /** For a late one. Undefined: it is there already, or before all that is held. */
  #placeOf(packet: Buffer): number | undefined {
    const seq = seqOf(packet)
    let at = this.size
    while (at > 0 && seqAfter(seqOf(this.#packets[at - 1] as Buffer), seq) > 0) at--
    const before = this.#packets[at - 1]
    if (before) return seqOf(before) === seq ? undefined : at
    // The parameter sets of a frame may come behind it.
    return timeOf(this.#packets[0] as Buffer) === timeOf(packet) ? 0 : undefined
  }

  /** Where the frame begins that a packet belongs to: parameter sets come right before the picture, with its time. */
  #frameOf(at: number): number {
    const time = timeOf(this.#packets[at] as Buffer)
    let from = at
    while (from > 0 && timeOf(this.#packets[from - 1] as Buffer) === time) from--
    return from
  }

  /** From the key frame on, to be written over. */
  copy(): Buffer[] {
    return this.hasKey ? this.#packets.map((packet) => Buffer.from(packet)) : []
  }

  clear(): void {
    this.#packets = []
    this.#bytes = 0
    this.hasKey = false
  }
}
