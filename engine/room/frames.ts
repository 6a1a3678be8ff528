/**
 * From the events of one tick to the bytes that every edge relays: the `full` frame, the `lean` frame (high lane only, gifts collapsed) and
 * one personal frame for each user who has something of their own in this tick. With more high-lane events than `highEventsMax` gifts
 * are collapsed for all (`collapse.ts`), and who gave one has a personal frame that shows it.
 *
 * Every event is encoded once per encoding; a frame is encoded events side by side, so variants cost a copy. The head of the bus message
 * is all that an edge reads: which parts are what, and how many events of each lane they hold, for the delivery account.
 */
import { type Encoding, joinFrame } from '../../schemas/wire.ts'
import { type Collapsed, collapse, countCollapsed, mayCut, withOwn } from './collapse.ts'
import { countLanes, type LaneCounts, type RoomEvent } from './event.ts'

/** Parts `[from, to)` of the bus message. */
export type PartRange = [from: number, to: number]
export type PartsByEncoding = Partial<Record<Encoding, PartRange>>

/** A frame and what is in it. */
export interface TierHead {
  counts: LaneCounts
  /** Events that are in no frame of their own because another stands for them. */
  collapsed: LaneCounts
  parts: PartsByEncoding
}
export interface PersonalHead extends TierHead {
  userId: string
  /** Events that this user is entitled to and nobody else. */
  own: LaneCounts
}

export interface EdgeShare {
  /** Sessions of the room on that edge at commit. */
  sessions: number
  /** What was offered to that edge before this frame, in its stay and this epoch: shows an edge what it never got. */
  offeredBefore: LaneCounts
  /** What single sessions there are entitled to beyond `events`. */
  own?: LaneCounts
}

export interface FrameHead {
  room: string
  epoch: number
  frameNo: number
  seqFrom: number
  seqTo: number
  /** Events of this tick that everybody is entitled to. */
  events: LaneCounts
  full: TierHead
  lean: TierHead
  personal: PersonalHead[]
  edges: Record<string, EdgeShare>
  /** Users to take out of the room after this frame. */
  kicked: string[]
}

export interface TickEvents {
  /** All that was committed, in seq order. */
  committed: readonly RoomEvent[]
  /** The danmaku that everybody gets. */
  sampled: ReadonlySet<RoomEvent>
  /** Users with sessions here: others need no personal frame. */
  isPresent(userId: string): boolean
  encodings: readonly Encoding[]
  frameBytesMax: number
  /** Past it gifts are collapsed for all. */
  highEventsMax: number
}

export interface BuiltFrames {
  events: LaneCounts
  full: FrameHead['full']
  lean: FrameHead['lean']
  personal: PersonalHead[]
  parts: Uint8Array[]
}

export function buildFrames(tick: TickEvents): BuiltFrames {
  const parts: Uint8Array[] = []
  const head = (list: readonly RoomEvent[]): TierHead => ({
    counts: countLanes(list),
    collapsed: [countCollapsed(list), 0, 0],
    parts: addParts(parts, list, tick),
  })
  const shared = tick.committed.filter((event) => event.only === undefined)
  const open = shared.filter((event) => event.lane !== 'normal' || tick.sampled.has(event))
  const high = open.filter((event) => event.lane === 'high')
  const flood = high.length > tick.highEventsMax ? collapse(open, tick.highEventsMax) : undefined
  const full = flood?.list ?? open
  const lean = flood ? full.filter((event) => event.lane === 'high') : collapse(high, tick.highEventsMax).list
  const fullHead = head(full)
  return {
    events: countLanes(shared),
    full: fullHead,
    // A tick without anything but the high lane is one frame for both tiers.
    lean: lean.length === full.length ? fullHead : head(lean),
    personal: personalHeads(tick, { full, flood }, head),
    parts,
  }
}

function personalHeads(
  tick: TickEvents,
  { full, flood }: { full: readonly RoomEvent[]; flood: Collapsed | undefined },
  head: (list: readonly RoomEvent[]) => TierHead,
): PersonalHead[] {
  const own = ownEvents(tick)
  for (const userId of flood?.bySender.keys() ?? []) if (!own.has(userId) && tick.isPresent(userId)) own.set(userId, [])
  return [...own].map(([userId, events]) => {
    const list = personalList(flood ? withOwn(flood, userId) : full, events, userId)
    return { userId, own: countLanes(events.filter((event) => event.only !== undefined)), ...head(list) }
  })
}

/** Per user: what they must see and the full frame does not hold. */
function ownEvents(tick: TickEvents): Map<string, RoomEvent[]> {
  const own = new Map<string, RoomEvent[]>()
  const give = (userId: string | undefined, event: RoomEvent) => {
    if (userId === undefined || !tick.isPresent(userId)) return
    const list = own.get(userId)
    if (list) list.push(event)
    else own.set(userId, [event])
  }
  for (const event of tick.committed) {
    if (event.only !== undefined) give(event.only, event)
    else if (event.lane === 'normal' && !tick.sampled.has(event)) {
      give(event.from, event)
      if (event.to !== event.from) give(event.to, event)
    }
  }
  return own
}

/**
 * Own events take the place of as many sampled ones, so that the cap holds for this client too; everything in seq order. A shadowed
 * sender's frame is built by the same rule as any sender's: nothing tells them apart.
 */
function personalList(full: readonly RoomEvent[], own: readonly RoomEvent[], userId: string): RoomEvent[] {
  const isTheirs = ({ from, to }: RoomEvent) => from === userId || to === userId
  let spare = own.filter((event) => event.lane === 'normal').length
  const kept: RoomEvent[] = []
  for (let i = full.length - 1; i >= 0; i--) {
    const event = full[i] as RoomEvent
    if (event.lane === 'normal' && spare > 0 && !event.preferred && !isTheirs(event)) spare--
    else kept.push(event)
  }
  return [...kept, ...own].sort((a, b) => a.seq - b.seq)
}

function addParts(parts: Uint8Array[], list: readonly RoomEvent[], tick: TickEvents): PartsByEncoding {
  const ranges: PartsByEncoding = {}
  for (const encoding of tick.encodings) {
    const from = parts.length
    parts.push(...frameParts(list, encoding, tick.frameBytesMax))
    ranges[encoding] = [from, parts.length]
  }
  return ranges
}

/** One frame, or several when it would be larger than `frameBytesMax`: split between events, never inside one, nor among collapsed ones. */
export function frameParts(list: readonly RoomEvent[], encoding: Encoding, frameBytesMax: number): Uint8Array[] {
  const frames: Uint8Array[] = []
  let gathered: Uint8Array[] = []
  let size = 0
  const may = mayCut(list)
  for (const [at, event] of list.entries()) {
    const bytes = event.encoded(encoding)
    if (size + bytes.length > frameBytesMax && gathered.length > 0 && may?.[at] !== false) {
      frames.push(joinFrame(encoding, gathered))
      gathered = []
      size = 0
    }
    gathered.push(bytes)
    size += bytes.length + 1
  }
  if (gathered.length > 0) frames.push(joinFrame(encoding, gathered))
  return frames
}
