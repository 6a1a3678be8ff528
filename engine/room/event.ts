/**
 * One fact of a room on its way to the viewers: decided, then committed (it gets its seq), then encoded once per encoding.
 *
 * `from` is whose own message it is (that user always sees it), `to` whom it answers, `only` the one user who may see it at all
 * (a shadowed sender, a private notice).
 */
import type { EventData, EventName, Lane } from '../../schemas/messages.ts'
import { events } from '../../schemas/messages.ts'
import { type Encoding, encodeEventJson, encodeEventProto } from '../../schemas/wire.ts'

export type LaneCounts = [high: number, normal: number, low: number]
export const laneIndex: Record<Lane, 0 | 1 | 2> = { high: 0, normal: 1, low: 2 }
export const noCounts = (): LaneCounts => [0, 0, 0]

export interface EventOptions {
  eid: string
  at: number
  actor?: string
  from?: string | undefined
  to?: string | undefined
  only?: string | undefined
  /** Kept before others when a tick has more than the cap: owner, staff. */
  preferred?: boolean
  /** How many plugins stand between this and what a user did. */
  hops?: number
  /** Plugins whose guard could not be asked and let it pass. */
  unchecked?: readonly string[]
  /** Of an event that comes from the ledger: its place in the journal, saved with the log row. */
  giftPos?: number | undefined
  /** Of a stand-in for several gifts (`collapse.ts`). */
  covers?: Covers | undefined
}
export interface Covers {
  /** Of the first event that it stands for; its own is that of the last. */
  seqFrom: number
  events: number
}
const none: readonly string[] = []

export class RoomEvent {
  readonly t: string
  readonly lane: Lane
  readonly room: string
  readonly d: unknown
  readonly eid: string
  readonly at: number
  readonly actor: string
  readonly from: string | undefined
  readonly to: string | undefined
  readonly only: string | undefined
  readonly preferred: boolean
  unchecked: readonly string[]
  hops: number
  readonly giftPos: number | undefined
  readonly covers: Covers | undefined
  /** 0 until commit. */
  seq = 0
  #json: Uint8Array | undefined
  #proto: Uint8Array | undefined

  constructor(kind: { t: string; lane: Lane; room: string; d: unknown }, options: EventOptions) {
    this.t = kind.t
    this.lane = kind.lane
    this.room = kind.room
    this.d = kind.d
    this.eid = options.eid
    this.at = options.at
    this.actor = options.actor ?? ''
    this.from = options.from
    this.to = options.to
    this.only = options.only
    this.preferred = options.preferred ?? false
    this.unchecked = options.unchecked ?? none
    this.hops = options.hops ?? 0
    this.giftPos = options.giftPos
    this.covers = options.covers
  }

  static of<T extends EventName>(room: string, t: T, d: EventData<T>, options: EventOptions): RoomEvent {
    return new RoomEvent({ t, lane: events[t].lane, room, d }, options)
  }

  envelope() {
    return { t: this.t, room: this.room, seq: this.seq, at: this.at, d: this.d }
  }

  /** Only after commit: the bytes hold the seq and are kept. */
  encoded(encoding: Encoding): Uint8Array {
    if (encoding === 'json') return (this.#json ??= encodeEventJson(this.envelope()))
    return (this.#proto ??= encodeEventProto(this.envelope()))
  }

  visibleTo(userId: string): boolean {
    return this.only === undefined || this.only === userId
  }
}

export function countLanes(list: readonly RoomEvent[]): LaneCounts {
  const counts = noCounts()
  for (const event of list) counts[laneIndex[event.lane]]++
  return counts
}
