/**
 * Sends on what comes in one go (what was held, a key frame of an encoder that does not pace) in small heaps, so many of them under way as
 * the worker has room for. Without it a worker would push hundreds of packets through a pipe to another router in one turn, and the socket
 * in between holds about 180: the picture that a switch begins with would be the one that is lost. With one heap at a time a busy machine
 * needs up to 65 ms for each, and what a viewer gets late once it plays late for a while.
 *
 *     const pacer = new Pacer({ send: (packet) => producer.send(packet), taken: () => transport.getStats() })
 *     pacer.push(packet)
 */
import { elapsedMs } from '../engine/base/clock.ts'

/** The worker is asked after so many. */
export const heapMax = 32
/** Half of what a socket buffer of 416 kB holds, 1,200 bytes each: the most that Linux gives unless it is told otherwise. */
export const underWayMax = 96
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
  #underWay = 0
  /** Of them those that nothing has been asked about. */
  #heap = 0
  #asked = 0
  #since = 0
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
    this.#run(elapsedMs())
  }

  #run(now: number): void {
    if (this.#asked === 0 && now - this.#since >= restMs) {
      this.#since = now
      this.#underWay = 0
      this.#heap = 0
    }
    while (this.size > 0 && this.#underWay < underWayMax) {
      this.#underWay++
      this.#heap++
      this.#parts.send(this.#queue[this.#at++] as Buffer)
      if (this.#heap === heapMax) this.#ask()
    }
    if (this.size > 0) return
    this.#queue = []
    this.#at = 0
  }

  #ask(): void {
    this.#asked++
    this.#heap = 0
    const taken = () => {
      this.#asked = Math.max(0, this.#asked - 1)
      this.#underWay = Math.max(0, this.#underWay - heapMax)
      this.#since = elapsedMs()
      this.#run(this.#since)
    }
    // A worker that is gone takes nothing; what is left goes the way of all packets.
    this.#parts.taken().then(taken, () => this.clear())
  }

  clear(): void {
    this.#queue = []
    this.#at = 0
    this.#underWay = 0
    this.#heap = 0
    this.#asked = 0
  }
}
