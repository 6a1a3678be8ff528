/**
 * One room of a node: its routers, its peers, the show (`program.ts`) and the guests on the mic.
 *
 *     a streamer's line --producer--> program --track--> consumers of viewers        (main)
 *     a guest           --producer-------------track--> consumers of viewers        (seat)
 *
 * Every method is one request of the engine (`schemas/sfu.ts`) and throws a `SfuProblem`. Who closes whom: README.md.
 */
import type { types } from 'mediasoup'
import type { Clock } from '../engine/base/clock.ts'
import type { Log } from '../engine/base/log.ts'
import type { MediaTrackShape, StreamLineShape } from '../schemas/messages.ts'
import type {
  ConsumerParams,
  Feed,
  Ingest,
  LineName,
  Media,
  MediaKind,
  RoomMedia,
  SfuAsk,
  SfuEvent,
  TransportParams,
} from '../schemas/sfu.ts'
import { capOf, type LayerCap } from './degrade.ts'
import { openIngest } from './ingest.ts'
import type { MediaWorker, MediaWorkers } from './media-workers.ts'
import type { SfuOptions } from './options.ts'
import { Peer, type PeerConsumer, type PeerThing } from './peer.ts'
import { type Place, Places } from './places.ts'
import { gone, SfuProblem } from './problem.ts'
import { Program, type Via } from './program.ts'
import { Signals } from './signals.ts'

export interface RoomParts {
  options: SfuOptions
  workers: MediaWorkers
  clock: Clock
  log: Log
  emit(event: SfuEvent): void
}

const initialOutgoingBitrate = 1_000_000
/** Asked of a publisher at most this often, however many viewers want one. */
const keyFrameRequestDelayMs = 1_000

interface OpenedIngest {
  readonly ask: SfuAsk<'ingest.open'>
  readonly told: Ingest
  /** Something came since its ports were opened. */
  wasUp: boolean
  close(): void
}
interface Track {
  shape: MediaTrackShape
  readonly producer: types.Producer
}

export class Room {
  readonly id: string
  readonly places: Places
  readonly program: Program
  /** WHIP and WHEP. */
  readonly signals: Signals
  readonly peers = new Map<string, Peer>()
  readonly #parts: RoomParts
  readonly #tracks = new Map<string, Track>()
  readonly #ingests = new Map<string, OpenedIngest>()
  #level = 0
  #nodeLevel = 0
  isClosed = false

  private constructor(id: string, places: Places, parts: RoomParts) {
    this.id = id
    this.places = places
    this.#parts = parts
    const { clock, emit } = parts
    this.signals = new Signals(this, clock)
    this.program = new Program({
      router: places.main.router,
      clock,
      log: parts.log.child({ room: id }),
      onTrack: (producer, ownerId) => this.#openTrack(producer, { userId: ownerId, source: 'main' }),
      onLines: (lines, line) => {
        emit({ t: 'line.changed', room: id, lines, line })
        this.#onLines(lines)
      },
      onSwitched: (change) => emit({ t: 'line.switched', room: id, ...change }),
    })
  }

  static async open(id: string, parts: RoomParts): Promise<Room> {
    const places = await Places.open(parts.workers, parts.options.consumersPerRouterMax)
    return new Room(id, places, parts)
  }

  get rtpCapabilities(): Media {
    return this.places.main.router.rtpCapabilities as unknown as Media
  }

  describe(): RoomMedia {
    const { lines, line } = this.program
    return { tracks: [...this.#tracks.values()].map(({ shape }) => shape), lines, line, degradeLevel: this.#degradeLevel }
  }

  // ------------------------------------------------------------------ peers and transports

  /** The one of this id, made if it is new. */
  peer(id: string): Peer {
    const known = this.peers.get(id)
    if (known) return known
    if (this.peers.size >= this.#parts.options.peersPerRoomMax)
      throw new SfuProblem('stream.no_capacity', 'the room has as many media clients as it can')
    const peer = new Peer(id, (what, thing, reason) => this.#closed(peer, what, thing, reason))
    this.peers.set(id, peer)
    return peer
  }

  known(id: string): Peer {
    const peer = this.peers.get(id)
    if (!peer) throw gone('client')
    return peer
  }

  closePeer(id: string): void {
    const peer = this.peers.get(id)
    this.peers.delete(id)
    this.#ingests.get(id)?.close()
    this.#ingests.delete(id)
    peer?.close()
  }

  async createTransport({ peer: peerId, direction, rtpCapabilities }: SfuAsk<'transport.create'>): Promise<TransportParams> {
    const peer = this.peer(peerId)
    if (rtpCapabilities) peer.rtpCapabilities = rtpCapabilities as types.RtpCapabilities
    const transport = await this.openTransport(peer, direction)
    const { id, iceParameters, iceCandidates, dtlsParameters } = transport
    return { id, iceParameters, iceCandidates, dtlsParameters } as unknown as TransportParams
  }

  /** What publishes is where the room lives; who watches may be elsewhere, or `at` another router of a place. */
  async openTransport(
    peer: Peer,
    direction: 'send' | 'recv',
    at?: { place: Place; router: types.Router },
  ): Promise<types.WebRtcTransport> {
    return peer.make('transport', async () => {
      const place = at?.place ?? (direction === 'send' ? this.places.main : await this.places.forViewer())
      const transport = await (at?.router ?? place.router).createWebRtcTransport({
        webRtcServer: place.media.server,
        enableUdp: true,
        enableTcp: true,
        preferUdp: true,
        initialAvailableOutgoingBitrate: initialOutgoingBitrate,
        appData: { direction },
      })
      if (direction === 'send') await transport.setMaxIncomingBitrate(this.#parts.options.bitrateMax)
      // The peer may have left, and the room ended, meanwhile.
      if (this.isClosed || this.peers.get(peer.id) !== peer) {
        transport.close()
        throw gone('client')
      }
      peer.addTransport(transport, place)
      return transport
    })
  }

  async connectTransport({ peer, transport, dtlsParameters }: SfuAsk<'transport.connect'>): Promise<void> {
    await this.known(peer)
      .transport(transport)
      .transport.connect({ dtlsParameters: dtlsParameters as unknown as types.DtlsParameters })
  }

  async restartIce({ peer, transport }: SfuAsk<'transport.restart_ice'>): Promise<{ iceParameters: Media }> {
    const iceParameters = await this.known(peer).transport(transport).transport.restartIce()
    return { iceParameters: iceParameters as unknown as Media }
  }

  // ------------------------------------------------------------------ what is published

  async openProducer({
    peer: peerId,
    transport,
    kind,
    rtpParameters,
    feed,
  }: SfuAsk<'producer.open'>): Promise<{ producer: string }> {
    const peer = this.known(peerId)
    const { transport: of } = peer.transport(transport)
    if (of.appData['direction'] !== 'send') throw new SfuProblem('stream.bad_params', 'this transport is there to receive')
    const producer = await this.produce(peer, of, { kind, rtpParameters, feed, via: 'webrtc' })
    return { producer: producer.id }
  }

  /** For every way in: a client's own transport, WHIP, RTP. */
  async produce(
    peer: Peer,
    transport: types.Transport,
    { kind, rtpParameters, feed, via }: { kind: MediaKind; rtpParameters: Media; feed: Feed; via: Via },
  ): Promise<types.Producer> {
    return peer.make('producer', async () => {
      const producer = await transport.produce({
        kind,
        rtpParameters: rtpParameters as unknown as types.RtpParameters,
        keyFrameRequestDelay: keyFrameRequestDelayMs,
      })
      try {
        if (this.isClosed || this.peers.get(peer.id) !== peer) throw gone('client')
        if (feed.of === 'line') await this.program.attach({ ...feed, producer, ownerId: peer.id, via })
        else this.#openTrack(producer, { userId: peer.id, source: 'seat', seatNo: feed.seatNo })
      } catch (error) {
        producer.close()
        throw error
      }
      peer.addProducer(producer, feed)
      return producer
    })
  }

  /** Asked again by the same client for the same line: the same ports. */
  async openIngest(ask: SfuAsk<'ingest.open'>): Promise<Ingest> {
    const known = this.#ingests.get(ask.peer)
    if (known?.ask.line === ask.line) return known.told
    if (known) this.closePeer(ask.peer)
    return this.#openPorts(ask)
  }

  async #openPorts(ask: SfuAsk<'ingest.open'>, again?: Ingest): Promise<Ingest> {
    const { peer: peerId, line, source, videoCodec = 'h264', isSrtp = false } = ask
    const peer = this.peer(peerId)
    const { options, log } = this.#parts
    const { ports, told } = await openIngest({ place: this.places.main, options, source, isSrtp, videoCodec, log, again })
    const close = () => {
      for (const { transport } of ports) transport.close()
    }
    try {
      for (const { kind, transport, rtpParameters } of ports)
        await this.produce(peer, transport, { kind, rtpParameters, feed: { of: 'line', line, source: 'virtual' }, via: 'rtp' })
    } catch (error) {
      close()
      throw error
    }
    this.#ingests.set(peerId, { ask, told, wasUp: false, close })
    return told
  }

  /** A sender that fell silent may begin again from another port. */
  #onLines(lines: readonly StreamLineShape[]): void {
    for (const [peerId, ingest] of this.#ingests) {
      const state = lines.find(({ line }) => line === ingest.ask.line)?.state
      if (state === 'up') ingest.wasUp = true
      else if (state === 'down' && ingest.wasUp) void this.#reopenPorts(peerId, ingest)
    }
  }

  async #reopenPorts(peerId: string, { ask, told, close }: OpenedIngest): Promise<void> {
    this.#ingests.delete(peerId)
    close()
    try {
      if (!this.isClosed && this.peers.has(peerId)) await this.#openPorts(ask, told)
    } catch (error) {
      this.#parts.log.warn({ err: error, line: ask.line }, 'the ports of a line cannot be opened again')
    }
  }

  closeProducer({ peer, producer }: SfuAsk<'producer.close'>): void {
    this.known(peer).producer(producer).producer.close()
  }

  async pauseProducer({ peer, producer, isPaused }: SfuAsk<'producer.pause'>): Promise<void> {
    const one = this.known(peer).producer(producer).producer
    await (isPaused ? one.pause() : one.resume())
    const track = this.#tracks.get(producer)
    if (!track) return
    track.shape = { ...track.shape, muted: isPaused }
    this.#parts.emit({ t: 'track.changed', room: this.id, track: track.shape })
  }

  selectProducer({ peer, producer }: SfuAsk<'producer.select'>): void {
    this.program.select(this.known(peer).producer(producer).producer.id)
  }

  switchLine(line: LineName | 'auto'): { line: LineName } {
    return { line: this.program.switchLine(line) }
  }

  #openTrack(producer: types.Producer, of: Pick<MediaTrackShape, 'userId' | 'source' | 'seatNo'>): void {
    const shape: MediaTrackShape = { id: producer.id, kind: producer.kind, ...of }
    this.#tracks.set(producer.id, { shape, producer })
    producer.observer.on('close', () => {
      if (!this.#tracks.delete(producer.id) || this.isClosed) return
      this.#parts.emit({ t: 'track.closed', room: this.id, trackId: producer.id, reason: 'closed' })
    })
    this.#parts.emit({ t: 'track.opened', room: this.id, track: shape })
    this.signals.onTrack(shape)
  }

  // ------------------------------------------------------------------ what is played

  async openConsumer({ peer: peerId, transport, track: trackId }: SfuAsk<'consumer.open'>): Promise<ConsumerParams> {
    const peer = this.known(peerId)
    const { transport: to, place } = peer.transport(transport)
    if (to.appData['direction'] !== 'recv') throw new SfuProblem('stream.bad_params', 'this transport is there to send')
    if (!peer.rtpCapabilities) throw new SfuProblem('stream.bad_params', 'the transport was made without rtpCapabilities')
    const rtpCapabilities = peer.rtpCapabilities
    return peer.make('consumer', async () => {
      const track = this.track(trackId)
      const producerId = await this.places.producerIn(place, track.producer.id)
      if (!place.router.canConsume({ producerId, rtpCapabilities }))
        throw new SfuProblem('stream.codec', `this device cannot play ${track.producer.rtpParameters.codecs[0]?.mimeType}`)
      // Paused, so that the key frame comes when the client can show it.
      const consumer = await to.consume({ producerId, rtpCapabilities, paused: true })
      this.watch(peer, consumer, { place, trackId })
      const { id, kind, rtpParameters } = consumer
      return { id, producerId: trackId, kind, rtpParameters: rtpParameters as unknown as Media, layers: layersOf(consumer) }
    })
  }

  track(id: string): Track {
    const track = this.#tracks.get(id)
    if (!track) throw gone('track')
    return track
  }

  get tracks(): readonly Track[] {
    return [...this.#tracks.values()]
  }

  /** A consumer from now on belongs to the peer, and to the level of degrading. */
  watch(peer: Peer, consumer: types.Consumer, { place, trackId }: { place: Places['main']; trackId: string }): void {
    const layers = layersOf(consumer)
    const wanted = { spatial: layers - 1, temporal: undefined, isPaused: consumer.paused }
    peer.addConsumer({ consumer, trackId, layers, wanted }, place)
    if (this.#degradeLevel > 0) void this.#apply(peer.consumer(consumer.id))
  }

  async resumeConsumer({ peer, consumer }: SfuAsk<'consumer.resume'>): Promise<void> {
    await this.#pause(this.known(peer).consumer(consumer), false)
  }

  async pauseConsumer({ peer, consumer }: SfuAsk<'consumer.pause'>): Promise<void> {
    await this.#pause(this.known(peer).consumer(consumer), true)
  }

  async #pause(one: PeerConsumer, isPaused: boolean): Promise<void> {
    one.wanted.isPaused = isPaused
    await this.#apply(one)
  }

  closeConsumer({ peer, consumer }: SfuAsk<'consumer.close'>): void {
    this.known(peer).consumer(consumer).consumer.close()
  }

  async setLayers({ peer, consumer, spatial, temporal }: SfuAsk<'consumer.layers'>): Promise<void> {
    const one = this.known(peer).consumer(consumer)
    one.wanted = { ...one.wanted, spatial, temporal }
    await this.#apply(one)
  }

  // ------------------------------------------------------------------ degrading

  get #degradeLevel(): number {
    return Math.max(this.#level, this.#nodeLevel)
  }

  async degrade(level: number, of: 'room' | 'node'): Promise<void> {
    const before = this.#degradeLevel
    if (of === 'room') this.#level = level
    else this.#nodeLevel = level
    if (this.#degradeLevel === before) return
    await Promise.all([...this.peers.values()].flatMap((peer) => [...peer.consumers.values()].map((one) => this.#apply(one))))
  }

  /** What the client wants, as far as the level allows. */
  async #apply({ consumer, layers, wanted }: PeerConsumer): Promise<void> {
    if (consumer.closed) return
    const cap: LayerCap = consumer.kind === 'video' ? capOf(this.#degradeLevel, layers) : { isPaused: false }
    const isPaused = wanted.isPaused || cap.isPaused
    if (isPaused !== consumer.paused) await (isPaused ? consumer.pause() : consumer.resume())
    if (consumer.kind !== 'video' || consumer.type === 'simple' || cap.isPaused) return
    const spatialLayer = Math.min(wanted.spatial, cap.spatialMax ?? wanted.spatial)
    const temporalLayer = cap.temporalMax ?? wanted.temporal
    await consumer.setPreferredLayers({ spatialLayer, ...(temporalLayer === undefined ? {} : { temporalLayer }) })
  }

  // ------------------------------------------------------------------ the end

  #closed(peer: Peer, what: PeerThing, id: string, reason: string): void {
    if (this.isClosed || this.peers.get(peer.id) !== peer) return
    const { emit } = this.#parts
    const of = { room: this.id, peer: peer.id, reason }
    if (what === 'transport') emit({ t: 'transport.closed', ...of, transport: id })
    else if (what === 'producer') emit({ t: 'producer.closed', ...of, producer: id })
    else emit({ t: 'consumer.closed', ...of, consumer: id })
  }

  /** False: the room is gone with it. */
  onWorkerDied(media: MediaWorker): boolean {
    return this.places.lost(media)
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.program.close()
    for (const peer of this.peers.values()) peer.close()
    this.peers.clear()
    this.signals.close()
    this.places.close()
  }
}

/** Simulcast has one encoding a layer; with scalable coding the layers stand in the mode of the only one. */
function layersOf({ type, rtpParameters }: types.Consumer): number {
  if (type === 'simple') return 1
  const spatial = /^[LS](\d)/.exec(rtpParameters.encodings?.[0]?.scalabilityMode ?? '')?.[1]
  return Number(spatial ?? 1)
}
