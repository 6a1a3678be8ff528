/**
 * `livehouse/client` for Node: the names of `index.ts` on sockets of `ws`, because Node 20 has no WebSocket of its own.
 *
 *     import { connect } from 'livehouse/client'
 *     const client = connect({ url: 'ws://127.0.0.1:8080/live', token: process.env.TOKEN })
 *
 * An open or returning client keeps the process alive; `close()` lets it end.
 */
import WebSocket from 'ws'
import { type ClientOptions, LiveClient } from './client.ts'
import { type Host, type Socket, surroundings } from './host.ts'

export type { CommandInput, CommandName, CommandReply, EventData, EventName, Messages } from '../../schemas/messages.ts'
export type { ClientEvents, ClientOptions, ClientState, LiveClient, PrivateEvent, Session, Wallet } from './client.ts'
export { ClientClosedError, ConnectionLostError, type RefusalDetail, RefusedError, TooManyCallsError } from './faults.ts'
export { newKey } from './host.ts'
export type { MediaEvents, MediaView, PlayState, PublishOptions, RoomMedia, SendView } from './media.ts'
export type { CameraSource, DeviceError, MediaSource, ScreenSource } from './media-devices.ts'
export type { Quality } from './media-layers.ts'
export type { MicView } from './media-mic.ts'
export type { PublicationEnd } from './media-publication.ts'
export type { PlayStats, SendStats } from './media-stats.ts'
export type {
  BoardName,
  DanmakuEvent,
  Gift,
  GiftSend,
  PluginName,
  Resync,
  RoomEnd,
  RoomEvent,
  RoomEvents,
  RoomStatus,
  RoomView,
} from './room.ts'
export type { RoomState } from './room-state.ts'

export const nodeHost: Host = {
  ...surroundings,
  // `ws` types its events with its own classes; the fields that we read are the same.
  openSocket: (url, subprotocol) => new WebSocket(url, subprotocol, { perMessageDeflate: false }) as unknown as Socket,
  report: (error) => process.emitWarning(error instanceof Error ? error : String(error)),
}

/** Connects at once and stays connected until `close()`. */
export function connect(options: ClientOptions): LiveClient {
  return new LiveClient(nodeHost, options)
}
