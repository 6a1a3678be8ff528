/**
 * The state of a room for somebody who joins. The part that all share is encoded once per change and per encoding; only `me` is personal.
 *
 * In JSON the shared part is an object without its closing brace; in protobuf two messages side by side are one message. A viewer with
 * something of their own in the ring (a shadowed message) gets a snapshot made for them, so that a reload reveals nothing.
 */

import { codecs } from '../../schemas/gen/messages.ts'
import type {
  ExtensionShape,
  MeShape,
  MicInfoShape,
  OnlineShape,
  RoomInfoShape,
  SettingsShape,
  StreamInfoShape,
  WallItemShape,
} from '../../schemas/messages.ts'
import { encode } from '../../schemas/protobuf.ts'
import { type Encoding, eventMessage } from '../../schemas/wire.ts'
import type { RoomEvent } from './event.ts'

export interface RoomState {
  epoch: number
  seq: number
  room: RoomInfoShape
  settings: SettingsShape
  likes: number
  shares: number
  danmaku: readonly RoomEvent[]
  wall: WallItemShape | undefined
  stream: StreamInfoShape
  mic?: MicInfoShape | undefined
}

export interface Personal {
  resync?: true
  me: MeShape
  /** Changes with every join: kept out of the shared part. */
  online: OnlineShape
  /** What plugins tell those who come late. */
  ext?: ExtensionShape[]
}

const utf8 = new TextEncoder()

function sharedPart(state: RoomState, encoding: Encoding): Uint8Array {
  if (encoding === 'proto')
    return encode(codecs.RoomJoinReply, { ...state, danmaku: state.danmaku.map((event) => eventMessage(event.envelope())) })
  return utf8.encode(JSON.stringify({ ...state, danmaku: state.danmaku.map((event) => event.envelope()) }).slice(0, -1))
}

function joinParts(shared: Uint8Array, personal: Personal, encoding: Encoding): Uint8Array {
  const own = encoding === 'proto' ? encode(codecs.RoomJoinReply, personal) : utf8.encode(`,${JSON.stringify(personal).slice(1)}`)
  const out = new Uint8Array(shared.length + own.length)
  out.set(shared)
  out.set(own, shared.length)
  return out
}

export class SnapshotCache {
  #parts: Partial<Record<Encoding, Uint8Array>> = {}

  /** The room changed: encode anew for the next who joins. */
  drop(): void {
    this.#parts = {}
  }

  /** The body of a `room.join` reply. */
  body(encoding: Encoding, state: () => RoomState, personal: Personal): Uint8Array {
    const shared = (this.#parts[encoding] ??= sharedPart(state(), encoding))
    return joinParts(shared, personal, encoding)
  }

  /** The same for a viewer whose ring is not that of the others. */
  bodyFor(encoding: Encoding, state: RoomState, personal: Personal): Uint8Array {
    return joinParts(sharedPart(state, encoding), personal, encoding)
  }
}

/** The short reply to a complete resume: the missed events follow as a frame. */
export interface Resumed {
  epoch: number
  seq: number
  /** The low lane is in no ring: its newest values come with the answer. */
  likes: number
  shares: number
  online: OnlineShape
  /** Lines are on the low lane too, and what is told to one person alone has no seq. */
  stream: StreamInfoShape
  mic?: MicInfoShape | undefined
  me: MeShape
}

export function resumedBody(encoding: Encoding, state: Resumed): Uint8Array {
  const body = { ...state, resumed: true }
  return encoding === 'proto' ? encode(codecs.RoomJoinReply, body) : utf8.encode(JSON.stringify(body))
}
