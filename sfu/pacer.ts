/**
 * Sends on what comes in one go (what was held, a key frame of an encoder that does not pace) in small heaps, each after the worker has
 * taken the one before. Without it a worker would push hundreds of packets through a pipe to another router in one turn, and the socket in
 * between holds about ninety: the picture that a switch begins with would be the one that is lost.
 *
 *     const pacer = new Pacer({ send: (packet) => producer.send(packet), taken: () => transport.getStats() })
 *     pacer.push(packet)
 */
import { elapsedMs } from '../engine/base/clock.ts'

/** Of 1,200 bytes in a socket buffer of 208 kB there is room for about 90. */
export const heapMax = 32
/** So many may go at once again after this time. */
const restMs = 5
/** What was held, and what came while it went out. Past it a worker stands still. */
export const queuedMax = 40_000

export interface PacerParts {
  send(packet: Buffer): void
  /** Answers when the worker has done all before. */
  taken(): Promise<unknown>
}

export class Pacer {
  readonly #parts: PacerParts
  #queue: Buffer[] = []
  #at = 0
  #sent = 0
  #since = 0
  #isWaiting = false
  /** Packets that were too many. */
  dropped = 0

  constructor(parts: PacerParts) {
    this.#parts = parts
  }

  get size(): number {
    return this.#queue.length - this.#at
  }

  push(packet: Buffer): void {
    if (this.size >= queuedMax) {
      this.dropped++
      return
    }
    this.#queue.push(packet)
    if (!this.#isWaiting) this.#run(elapsedMs())
  }

  #run(now: number): void {
    if (now - this.#since >= restMs) {
      this.#since = now
      this.#sent = 0
    }
    while (this.size > 0 && this.#sent < heapMax) {
      this.#sent++
      this.#parts.send(this.#queue[this.#at++] as Buffer)
    }
    if (this.size > 0) return this.#wait()
    this.#queue = []
    this.#at = 0
  }

  #wait(): void {
    this.#isWaiting = true
    const go = () => {
      this.#isWaiting = false
      this.#sent = 0
      this.#since = elapsedMs()
      this.#run(this.#since)
    }
    // A worker that is gone takes nothing; what is left goes the way of all packets.
    this.#parts.taken().then(go, () => this.clear())
  }

  clear(): void {
    this.#queue = []
    this.#at = 0
    this.#isWaiting = false
  }
}
