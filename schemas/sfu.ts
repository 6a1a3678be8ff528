/**
 * What the engine asks of a media node (`sfu/`), and what a node tells it. Neither knows the other's code: they meet in these names.
 *
 * A node has rooms, a room has peers (one a session, or one a WHIP or WHEP client), a peer has transports, producers and consumers. What
 * viewers play are tracks: the two of the show (`main`, whatever line feeds them), those of guests on the mic (`seat`), and by a link
 * those of the show of another room. Rights are
 * the engine's: a node does what it is asked, within its bounds, and checks only the form of what clients wrote.
 *
 *     const { rtpCapabilities } = await node.request('room.open', { room: 'demo' })
 *     node.onEvent((event) => event.t === 'track.opened' && ...)
 *
 * Errors: `{ code, msg }` with the `stream.*` codes of errors.ts. Everything here is plain JSON. Objects named `...Parameters`,
 * `...Capabilities` and `...Candidates` are those of mediasoup.
 */
import type { ingestCodecs, MediaTrackShape, StreamLineShape } from './messages.ts'

export type MediaKind = 'audio' | 'video'
export type LineName = 'primary' | 'backup'
export type IngestCodec = (typeof ingestCodecs)[number]
/** What becomes of what a peer sends: a part of the show by one of its lines, or the voice or picture of a guest. */
export type Feed = { of: 'line'; line: LineName; source: string } | { of: 'seat'; seatNo: number }
/** mediasoup's objects, as they are. */
export type Media = Readonly<Record<string, unknown>>

interface InRoom {
  room: string
}
interface OfPeer extends InRoom {
  peer: string
}
interface OfTransport extends OfPeer {
  transport: string
}
interface OfConsumer extends OfPeer {
  consumer: string
}

export interface TransportParams {
  id: string
  iceParameters: Media
  iceCandidates: readonly Media[]
  dtlsParameters: Media
}
export interface ConsumerParams {
  id: string
  producerId: string
  kind: MediaKind
  rtpParameters: Media
  /** Spatial layers that can be chosen from; 1 for sound and for a picture without layers. */
  layers: number
}
/** One HTTP answer of WHIP (RFC 9725) or WHEP; what went wrong is one too, and no error of the request. */
export interface SignalAnswer {
  status: number
  /** Of an answer that is no success. */
  code?: SfuError['code']
  /** Retry-After, with 409 and 503. */
  retryAfterS?: number
  body?: string
  contentType?: string
  /** Path below the endpoint, unguessable. */
  resource?: string
  /** With its quotes. */
  etag?: string
}
/** Where RTP is sent to, and in which form. */
export interface Ingest {
  host: string
  audioPort: number
  audioRtcpPort: number
  videoPort: number
  videoRtcpPort: number
  audio: { payloadType: number; codec: string; clockRate: number; channels: number; ssrc: number }
  video: { payloadType: number; codec: string; clockRate: number; ssrc: number }
  srtp?: { cryptoSuite: string; audioKeyBase64: string; videoKeyBase64: string }
}

export interface SfuRequests {
  'node.describe': { ask: Record<string, never>; answer: NodeInfo }
  /** Opens it if it is not; asking again changes nothing. */
  'room.open': { ask: InRoom & { bitrateMax?: number }; answer: { rtpCapabilities: Media } }
  /** With all that is in it. */
  'room.close': { ask: InRoom; answer: Record<string, never> }
  'room.describe': { ask: InRoom; answer: RoomMedia }
  'peer.close': { ask: OfPeer; answer: Record<string, never> }
  'transport.create': {
    ask: OfPeer & { direction: 'send' | 'recv'; rtpCapabilities?: Media }
    answer: TransportParams
  }
  'transport.connect': { ask: OfTransport & { dtlsParameters: Media }; answer: Record<string, never> }
  'transport.restart_ice': { ask: OfTransport; answer: { iceParameters: Media } }
  /** `isPaused`: of a muted seat, which is not to be heard for a moment. */
  'producer.open': {
    ask: OfTransport & { kind: MediaKind; rtpParameters: Media; feed: Feed; isPaused?: boolean }
    answer: { producer: string }
  }
  'producer.close': { ask: OfPeer & { producer: string }; answer: Record<string, never> }
  /** Muted by the host: nothing of it is sent on. */
  'producer.pause': { ask: OfPeer & { producer: string; isPaused: boolean }; answer: Record<string, never> }
  /** Of several pictures on a line, the one that is shown. */
  'producer.select': { ask: OfPeer & { producer: string }; answer: Record<string, never> }
  'consumer.open': { ask: OfTransport & { track: string }; answer: ConsumerParams }
  'consumer.resume': { ask: OfConsumer; answer: Record<string, never> }
  'consumer.pause': { ask: OfConsumer; answer: Record<string, never> }
  'consumer.close': { ask: OfConsumer; answer: Record<string, never> }
  'consumer.layers': { ask: OfConsumer & { spatial: number; temporal?: number }; answer: Record<string, never> }
  /** A WHIP or WHEP client is a peer of its own: asked again for the same peer, what it had before ends. */
  'whip.offer': { ask: OfPeer & { feed: Feed; sdp: string }; answer: SignalAnswer }
  'whep.offer': { ask: OfPeer & { sdp: string }; answer: SignalAnswer }
  /** Trickle or restart of either: `etag` is the header If-Match as it came. */
  'signal.patch': { ask: InRoom & { resource: string; fragment: string; etag?: string }; answer: SignalAnswer }
  'signal.close': { ask: InRoom & { resource: string }; answer: SignalAnswer }
  /** Asking again for the same line and codec gives the same ports; with another codec new ones, once it is clear that it may be sent. `source`: the only address that may send; absent: the loopback. */
  'ingest.open': {
    ask: OfPeer & { line: LineName; videoCodec?: IngestCodec; source?: string; isSrtp?: boolean }
    answer: Ingest
  }
  /**
   * The show ends now and not when its tracks have waited for somebody to feed them; viewers and guests keep what they have. Peers of
   * lines that come by WHIP or RTP are closed as by `peer.close`, with what of them is on its way. Of sessions only what feeds a line is
   * closed, told by `producer.closed` with `show ended`; their transports stay. All is told before the answer.
   */
  'show.end': { ask: InRoom; answer: Record<string, never> }
  'line.switch': { ask: InRoom & { line: LineName | 'auto' }; answer: { line: LineName } }
  /**
   * The show of another room can be played in this one: `consumer.open` takes its tracks, as they are told by `link.changed`. It lasts
   * until `link.close` or the end of either room. Asking again changes nothing. One way: for both, ask for both.
   */
  'link.open': { ask: InRoom & { from: string }; answer: RoomLink }
  'link.close': { ask: InRoom & { from: string }; answer: Record<string, never> }
  /** 0: all layers; 1: at most the middle one; 2: the lowest; 3: the lowest at its lowest frame rate; 4: sound alone. Without a room: all. */
  'node.degrade': { ask: { room?: string; level: number }; answer: Record<string, never> }
}
export type SfuRequest = keyof SfuRequests
export type SfuAsk<R extends SfuRequest> = SfuRequests[R]['ask']
export type SfuAnswer<R extends SfuRequest> = SfuRequests[R]['answer']

export interface RoomMedia {
  tracks: readonly MediaTrackShape[]
  lines: readonly StreamLineShape[]
  line: LineName | undefined
  degradeLevel: number
  links: readonly RoomLink[]
}
/** A show of another room that can be played in this one. */
export interface RoomLink {
  from: string
  tracks: readonly MediaTrackShape[]
}
export type NodeState =
  | { is: 'starting'; step: string }
  | { is: 'ready'; mediasoup: string; worker: string }
  | { is: 'failed'; reason: string; wayOut: string }
export interface NodeInfo {
  state: NodeState
  workers: readonly WorkerSample[]
  rooms: number
}
export interface WorkerSample {
  pid: number
  /** Of one core, basis points, since the last sample. */
  cpuBps: number
  rooms: number
  transports: number
  consumers: number
}
export interface RoomSample {
  room: string
  /** Bits in a second, out of and into the node. */
  egressBps: number
  ingressBps: number
  peers: number
  consumers: number
  /** Shows of other rooms that can be played here. */
  links: number
  /** Since the last sample: times that a line sent more since a key frame than is held, and packets that a worker was too slow to take. */
  overflows: number
  dropped: number
  /** Picture behind sound by the clocks of the sender, if it tells. */
  avSkewMs?: number
}

export type SfuEvent =
  | { t: 'node.state'; state: NodeState }
  | { t: 'track.opened'; room: string; track: MediaTrackShape }
  | { t: 'track.closed'; room: string; trackId: string; reason: string }
  | { t: 'track.changed'; room: string; track: MediaTrackShape }
  | { t: 'line.changed'; room: string; lines: readonly StreamLineShape[]; line: LineName | undefined }
  | {
      t: 'line.switched'
      room: string
      from: LineName
      to: LineName
      gapMs: number
      cause: 'lost' | 'closed' | 'returned' | 'manual'
    }
  /** Tracks of the other room's show came or went; who plays one that went is told by `consumer.closed`. */
  | { t: 'link.changed'; room: string; from: string; tracks: readonly MediaTrackShape[] }
  /** The other room ended, or its worker died: it may be linked again when it is there again. */
  | { t: 'link.closed'; room: string; from: string; reason: string }
  | { t: 'producer.closed'; room: string; peer: string; producer: string; reason: string }
  | { t: 'consumer.closed'; room: string; peer: string; consumer: string; reason: string }
  | { t: 'transport.closed'; room: string; peer: string; transport: string; reason: string }
  /** Its worker died: everything of it is gone, and it may be opened anew at once. */
  | { t: 'room.lost'; room: string; reason: string }
  | { t: 'degraded'; room?: string; level: number; by: string }
  /** Each two seconds. */
  | { t: 'sample'; rooms: readonly RoomSample[]; workers: readonly WorkerSample[] }

export interface SfuError {
  code: 'stream.unavailable' | 'stream.no_capacity' | 'stream.gone' | 'stream.bad_params' | 'stream.codec' | 'stream.line_taken'
  msg: string
}

/** Between the two processes, one JSON value a message. */
export type ToSfu = { id: number; t: SfuRequest; d: unknown }
export type FromSfu = { id: number; ok: true; d: unknown } | { id: number; ok: false; err: SfuError } | { event: SfuEvent }
