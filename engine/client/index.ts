/**
 * `livehouse/client` for browsers. In Node the same import gives `node.ts`, with the same names.
 *
 *     import { connect } from 'livehouse/client'
 *
 *     const client = connect({ url: 'ws://127.0.0.1:8080/live', token })
 *     const room = await client.join('demo')
 *     room.on('danmaku.sent', (danmaku) => console.log(danmaku.from.name, danmaku.text))
 *     await room.send({ text: 'hello' })
 *     const { balanceCoin } = await room.sendGift({ giftId: 'rose', count: 10 }) // paid for once, whatever the connection does
 *
 * Without a token the session is anonymous and reads only. Resume, back-off, heartbeat and token renewal are built in (`client.ts`).
 */
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

const browser: Host = {
  ...surroundings,
  // Narrower than the browser's own type: handlers without `this`, and no Blob because binaryType is set.
  openSocket: (url, subprotocol) => new WebSocket(url, subprotocol) as unknown as Socket,
  report: (error) => reportError(error),
}

/** Connects at once and stays connected until `close()`. */
export function connect(options: ClientOptions): LiveClient {
  return new LiveClient(browser, options)
}
