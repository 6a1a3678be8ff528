/**
 * The order of a room, and the tick that commits it.
 *
 *     slot      a place for what a guard still thinks about; `settle` fills it
 *     decide    a place for what is decided at once
 *     flush     once a tick: what is decided from the front of the order gets its seq, goes into rings and log, is answered, and is shown
 *
 * Whatever stands behind an undecided place waits for it, so that danmaku keep the order of their arrival.
 */
import { encodings } from '../../schemas/wire.ts'
import { isCoreEvent, isDurable } from '../plugin/hooks.ts'
import { addCounts } from './account.ts'
import type { EdgeFeed } from './edge-feed.ts'
import { countLanes, type RoomEvent } from './event.ts'
import type { Home } from './home.ts'
import type { LogRow } from './store.ts'

/** A place in the room's order. `events` is what it came to, once `decided`; a refused one is decided and empty. */
export interface Slot {
  decided: boolean
  events: Committing[]
}
export interface Committing {
  event: RoomEvent
  onCommit: ((event: RoomEvent) => void) | undefined
  /** It is on disk, without its seq. */
  logged: boolean
}

const never = Number.POSITIVE_INFINITY

export class Tick {
  readonly #home: Home
  readonly #feed: EdgeFeed
  #queue: Slot[] = []
  #seq = 0
  #dueAt = never

  constructor(home: Home, feed: EdgeFeed) {
    this.#home = home
    this.#feed = feed
  }

  /** Of the last event that was committed. */
  get seq(): number {
    return this.#seq
  }

  /** When the next flush is; infinity: nothing is decided. */
  get dueAt(): number {
    return this.#dueAt
  }

  /** Nothing decided, and nothing that still will be. */
  get isEmpty(): boolean {
    return this.#queue.length === 0
  }

  slot(): Slot {
    const slot: Slot = { decided: false, events: [] }
    this.#queue.push(slot)
    return slot
  }

  settle(slot: Slot, event?: RoomEvent, onCommit?: (event: RoomEvent) => void): void {
    if (event) slot.events.push({ event, onCommit, logged: false })
    slot.decided = true
    this.#want()
  }

  /** Events that stand together. */
  decide(events: Committing[]): void {
    this.#queue.push({ decided: true, events })
    this.#want()
  }

  #want(): void {
    if (this.#dueAt !== never || !this.#queue[0]?.decided) return
    const home = this.#home
    this.#dueAt = this.#feed.nextAt(home.now())
    home.parts.scheduler.at(home, this.#dueAt)
  }

  flush(now: number): void {
    this.#dueAt = never
    const batch = latestOfLow(this.#takeDecided())
    if (batch.length === 0) return
    const home = this.#home
    const seqFrom = this.#seq + 1
    for (const { event } of batch) event.seq = ++this.#seq
    const committed = batch.map(({ event }) => event).filter((event) => this.#isSound(event))
    this.#remember(committed, now)
    this.#writeLog(batch)
    home.dropSnapshots()
    // Answers first: a sender learns the seq before, or together with, the frame that shows the message.
    for (const committing of batch) this.#answer(committing)
    this.#feed.publish(committed, { from: seqFrom, to: this.#seq }, now)
    this.#want()
    home.parts.onCommitted(home, committed)
  }

  /** From the front of the order, up to the first that is still undecided. */
  #takeDecided(): Committing[] {
    let count = 0
    while (count < this.#queue.length && (this.#queue[count] as Slot).decided) count++
    return this.#queue.splice(0, count).flatMap((slot) => slot.events)
  }

  /** An event that cannot be encoded is our bug or a plugin's, and must not cost the others their tick. */
  #isSound(event: RoomEvent): boolean {
    const { id, parts, presence } = this.#home
    try {
      for (const encoding of encodings) if (presence.perEncoding[encoding] > 0) event.encoded(encoding)
      return true
    } catch (error) {
      parts.onError(error, `${id} ${event.t}`)
      return false
    }
  }

  /** A fault in one answer must not cost the others their tick either. */
  #answer({ event, onCommit }: Committing): void {
    const { id, parts } = this.#home
    try {
      onCommit?.(event)
    } catch (error) {
      parts.onError(error, `${id} ${event.t}`)
    }
  }

  #remember(committed: readonly RoomEvent[], now: number): void {
    const { high, danmaku, parts } = this.#home
    high.forgetBefore(now - parts.config.ringHighMs)
    for (const event of committed) {
      if (event.lane === 'high') high.push(event)
      else if (event.t === 'danmaku.sent') danmaku.push(event)
    }
    addCounts(parts.meters.committed, countLanes(committed), 1)
    parts.meters.flushes++
  }

  #writeLog(batch: readonly Committing[]): void {
    const { id, epoch, parts } = this.#home
    const place = (event: RoomEvent) => ({ eid: event.eid, epoch, seq: event.seq })
    const wanted = (event: RoomEvent) => isDurable(event.t, parts.config.logDanmaku)
    // The order of these calls is the order of the log, and that must be the order of the room.
    for (const run of runsOf(batch.filter(({ event, logged }) => logged || wanted(event)))) {
      const events = run.map(({ event }) => event)
      if (run[0]?.logged) parts.store.setSeq(id, events.map(place))
      else
        parts.store.appendLog(
          id,
          events.map((event) => ({ ...logRow(event), ...place(event) })),
          { giftPos: lastGiftPos(events) },
        )
    }
  }
}

export const logRow = ({ eid, t, at, actor, d, hops, unchecked, only }: RoomEvent): LogRow => ({
  ...{ eid, t, at, actor, d, hops },
  ...(unchecked.length > 0 ? { unchecked } : {}),
  ...(only === undefined ? {} : { only }),
})

/** Cut where what is on disk already meets what is not. */
function runsOf(batch: readonly Committing[]): Committing[][] {
  const runs: Committing[][] = []
  for (const one of batch) {
    const last = runs.at(-1)
    if (last?.[0]?.logged === one.logged) last.push(one)
    else runs.push([one])
  }
  return runs
}

function lastGiftPos(events: readonly RoomEvent[]): number | undefined {
  let last: number | undefined
  for (const { giftPos } of events) if (giftPos !== undefined && (last === undefined || giftPos > last)) last = giftPos
  return last
}

/** Of what plugins say on the low lane only the newest of each name is of interest. */
function latestOfLow(batch: Committing[]): Committing[] {
  const isLow = ({ event }: Committing) => event.lane === 'low' && !isCoreEvent(event.t)
  if (!batch.some(isLow)) return batch
  const newest = new Map(batch.filter(isLow).map((one) => [one.event.t, one]))
  return batch.filter((one) => !isLow(one) || newest.get(one.event.t) === one)
}
