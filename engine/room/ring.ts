/**
 * What a room remembers for those who were away: recent high-lane events and recent danmaku, each in a ring of its own.
 *
 * Both are bounded by count, the high ring by age too. `covers(seq)` says whether nothing of the high lane after `seq` was forgotten,
 * so that a resume is complete; danmaku are best effort by design.
 */
import type { RoomEvent } from './event.ts'

export class Ring {
  readonly #max: number
  #items: RoomEvent[] = []
  /** The newest seq that was pushed out. */
  #forgottenSeq: number

  constructor(max: number, startSeq: number) {
    this.#max = max
    this.#forgottenSeq = startSeq
  }

  get size(): number {
    return this.#items.length
  }

  push(event: RoomEvent): void {
    this.#items.push(event)
    // Cut in batches: shifting one by one would move the whole array for every message.
    if (this.#items.length >= this.#max * 2) this.#cut(this.#items.length - this.#max)
  }

  forgetBefore(at: number): void {
    let gone = 0
    while (gone < this.#items.length && (this.#items[gone] as RoomEvent).at < at) gone++
    if (gone > 0) this.#cut(gone)
  }

  covers(seq: number): boolean {
    const over = this.#items.length - this.#max
    const forgotten = over > 0 ? (this.#items[over - 1] as RoomEvent).seq : this.#forgottenSeq
    return seq >= forgotten
  }

  /** Oldest first, those after `seq` that `userId` may see, at most `limit` of the newest. */
  after(seq: number, userId: string, limit = this.#max): RoomEvent[] {
    const from = Math.max(0, this.#items.length - this.#max)
    const out: RoomEvent[] = []
    for (let i = this.#items.length - 1; i >= from && out.length < limit; i--) {
      const event = this.#items[i] as RoomEvent
      if (event.seq <= seq) break
      if (event.visibleTo(userId)) out.push(event)
    }
    return out.reverse()
  }

  find(eid: string): RoomEvent | undefined {
    return this.#items.findLast((event) => event.eid === eid)
  }

  filter(match: (event: RoomEvent) => boolean): RoomEvent[] {
    return this.#items.slice(-this.#max).filter(match)
  }

  remove(eids: ReadonlySet<string>): void {
    this.#items = this.#items.filter((event) => !eids.has(event.eid))
  }

  #cut(count: number): void {
    this.#forgottenSeq = (this.#items[count - 1] as RoomEvent).seq
    this.#items.splice(0, count)
  }
}
