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
import { checkFeed, checkId, checkLine, checkObject, checkOneOf, checkWhole } from './checks.ts'
import { capOf, type LayerCap } from './degrade.ts'
import { type OpenIngest, openIngest } from './ingest.ts'
import type { MediaWorker, MediaWorkers } from './media-workers.ts'
import type { SfuOptions } from './options.ts'
import { Peer, type PeerConsumer, type PeerThing } from './peer.ts'
import { type Place, Places } from './places.ts'
import { byClient, gone, SfuProblem } from './problem.ts'
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

/** A stranger that knows a port would close it over and over. */
const reopenAfterMs = 1_000
/** Of scalable coding; mediasoup knows no more. */
const layersMax = 8

interface OpenedIngest extends OpenIngest {
  readonly ask: SfuAsk<'ingest.open'>
  /** Something came since its ports were opened. */
  wasUp: boolean
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
  readonly #openingIngests = new Map<string, Promise<Ingest>>()
  /** Bits a second, of one publisher. */
  readonly bitrateMax: number
  #level = 0
  #nodeLevel = 0
  isClosed = false

  private constructor(id: string, places: Places, parts: RoomParts) {
    this.id = id
    this.bitrateMax = parts.options.bitrateMax
    this.places = places
    this.#parts = parts
    const { clock } = parts
    this.signals = new Signals(this, clock)
    this.program = new Program({
      router: places.main.router,
      clock,
      log: parts.log.child({ room: id }),
      onTrack: (producer, ownerId) => this.#openTrack(producer, { userId: ownerId, source: 'main' }),
      onLines: (lines, line) => {
        this.#emit({ t: 'line.changed', room: id, lines, line })
        this.#onLines(lines)
      },
      onSwitched: (change) => this.#emit({ t: 'line.switched', room: id, ...change }),
    })
  }

  /** `parts.options.bitrateMax` is this room's. */
  static async open(id: string, parts: RoomParts): Promise<Room> {
    const places = await Places.open(parts.workers, parts.options.consumersPerRouterMax)
    return new Room(id, places, parts)
  }

  /** Ended, or about to be: its worker died. What closes with it is told with one word, `room.lost`. */
  get #isOver(): boolean {
    return this.isClosed || this.places.main.router.closed
  }

  #emit(event: SfuEvent): void {
    if (!this.#isOver) this.#parts.emit(event)
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
    checkId(id, 'peer')
    if (this.#isOver) throw gone('room')
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
    this.#closeIngest(id)
    peer?.close()
  }

  async createTransport({ peer: peerId, direction, rtpCapabilities }: SfuAsk<'transport.create'>): Promise<TransportParams> {
    checkOneOf(direction, ['send', 'recv'], 'direction')
    if (rtpCapabilities !== undefined) checkObject(rtpCapabilities, 'rtpCapabilities')
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
      try {
        if (direction === 'send') await transport.setMaxIncomingBitrate(this.bitrateMax)
        this.#mustBeThere(peer, transport)
      } catch (error) {
        transport.close()
        throw error
      }
      peer.addTransport(transport, place)
      return transport
    })
  }

  /** A peer may have left, the room have ended or the worker have died while something was made. */
  #mustBeThere(peer: Peer, made: { readonly closed: boolean }): void {
    if (this.#isOver || this.peers.get(peer.id) !== peer) throw gone('client')
    if (made.closed) throw gone('transport')
  }

  async connectTransport({ peer, transport, dtlsParameters }: SfuAsk<'transport.connect'>): Promise<void> {
    checkObject(dtlsParameters, 'dtlsParameters')
    const { transport: to } = this.known(peer).transport(transport)
    await byClient(to.connect({ dtlsParameters: dtlsParameters as unknown as types.DtlsParameters }))
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
    checkOneOf(kind, ['audio', 'video'], 'kind')
    checkObject(rtpParameters, 'rtpParameters')
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
    checkFeed(feed)
    return peer.make('producer', async () => {
      const producer = await byClient(
        transport.produce({
          kind,
          rtpParameters: rtpParameters as unknown as types.RtpParameters,
          keyFrameRequestDelay: keyFrameRequestDelayMs,
        }),
      )
      try {
        this.#mustBeThere(peer, transport)
        if (feed.of === 'line') await this.program.attach({ ...feed, producer, ownerId: peer.id, via })
        this.#mustBeThere(peer, producer)
      } catch (error) {
        producer.close()
        throw error
      }
      peer.addProducer(producer, feed)
      if (feed.of === 'seat') this.#openTrack(producer, { userId: peer.id, source: 'seat', seatNo: feed.seatNo })
      return producer
    })
  }

  /** Asked again by the same client for the same line: the same ports. */
  async openIngest(ask: SfuAsk<'ingest.open'>): Promise<Ingest> {
    checkId(ask.peer, 'peer')
    checkLine(ask.line)
    checkOneOf(ask.videoCodec, [undefined, 'h264', 'vp8'], 'videoCodec')
    checkOneOf(ask.isSrtp, [undefined, true, false], 'isSrtp')
    // One after the other: whoever asks twice at once gets one.
    for (let opening = this.#openingIngests.get(ask.peer); opening; opening = this.#openingIngests.get(ask.peer))
      await opening.catch(() => undefined)
    const known = this.#ingests.get(ask.peer)
    if (known?.ask.line === ask.line) return known.told
    if (known) this.closePeer(ask.peer)
    return this.#openPorts(ask)
  }

  #openPorts(ask: SfuAsk<'ingest.open'>, again?: Ingest): Promise<Ingest> {
    const opening = this.#openPortsNow(ask, again).finally(
      () => this.#openingIngests.get(ask.peer) === opening && this.#openingIngests.delete(ask.peer),
    )
    this.#openingIngests.set(ask.peer, opening)
    return opening
  }

  async #openPortsNow(ask: SfuAsk<'ingest.open'>, again?: Ingest): Promise<Ingest> {
    const { peer: peerId, line, source, videoCodec = 'h264', isSrtp = false } = ask
    const peer = this.peer(peerId)
    const { options, log } = this.#parts
    const opened = await openIngest({ place: this.places.main, options, source, isSrtp, videoCodec, log, again })
    const feed: Feed = { of: 'line', line, source: 'virtual' }
    try {
      for (const { kind, transport, rtpParameters } of opened.ports)
        await this.produce(peer, transport, { kind, rtpParameters, feed, via: 'rtp' })
      for (const { transport } of opened.ports) this.#mustBeThere(peer, transport)
    } catch (error) {
      opened.close()
      throw error
    }
    const ingest: OpenedIngest = { ...opened, ask, wasUp: false }
    this.#ingests.set(peerId, ingest)
    for (const { transport } of opened.ports) transport.observer.on('close', () => this.#onPortClosed(peerId, ingest))
    return opened.told
  }

  /** By a stranger: whoever it belongs to gets it back. */
  #onPortClosed(peerId: string, ingest: OpenedIngest): void {
    if (this.#ingests.get(peerId) !== ingest || this.#isOver) return
    this.#parts.clock.after(reopenAfterMs, () => {
      if (this.#ingests.get(peerId) === ingest) void this.#reopenPorts(peerId, ingest)
    })
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
      if (!this.#isOver && this.peers.has(peerId)) await this.#openPorts(ask, told)
    } catch (error) {
      if (!this.#isOver) this.#parts.log.warn({ err: error, line: ask.line }, 'the ports of a line cannot be opened again')
    }
  }

  #closeIngest(peerId: string): void {
    const ingest = this.#ingests.get(peerId)
    this.#ingests.delete(peerId)
    ingest?.close()
  }

  /** Of each publisher every way in, for what it sends. */
  *incoming(): Generator<[peer: Peer, transports: types.Transport[]]> {
    for (const peer of this.peers.values()) {
      const own = [...peer.transports.values()].map(({ transport }) => transport)
      const transports = own.filter(({ appData }) => appData['direction'] === 'send') as types.Transport[]
      const ports = this.#ingests.get(peer.id)?.ports.map(({ transport }) => transport) ?? []
      if (transports.length + ports.length > 0) yield [peer, [...transports, ...ports]]
    }
  }

  /** Sends far more than it may, and takes no notice of what it is told. */
  cutForBitrate(peer: Peer): void {
    this.#parts.log.warn({ room: this.id, peer: peer.id, bitrateMax: this.bitrateMax }, 'a publisher sends too much: cut')
    peer.cut('bitrate')
    this.#closeIngest(peer.id)
  }

  closeProducer({ peer, producer }: SfuAsk<'producer.close'>): void {
    this.known(peer).producer(producer).producer.close()
  }

  async pauseProducer({ peer, producer, isPaused }: SfuAsk<'producer.pause'>): Promise<void> {
    checkOneOf(isPaused, [true, false], 'isPaused')
    const one = this.known(peer).producer(producer).producer
    await (isPaused ? one.pause() : one.resume())
    const track = this.#tracks.get(producer)
    if (!track) return
    track.shape = { ...track.shape, muted: isPaused }
    this.#emit({ t: 'track.changed', room: this.id, track: track.shape })
  }

  selectProducer({ peer, producer }: SfuAsk<'producer.select'>): void {
    this.program.select(this.known(peer).producer(producer).producer.id)
  }

  switchLine(line: LineName | 'auto'): { line: LineName } {
    checkOneOf(line, ['primary', 'backup', 'auto'], 'line')
    return { line: this.program.switchLine(line) }
  }

  #openTrack(producer: types.Producer, of: Pick<MediaTrackShape, 'userId' | 'source' | 'seatNo'>): void {
    const shape: MediaTrackShape = { id: producer.id, kind: producer.kind, ...of }
    this.#tracks.set(producer.id, { shape, producer })
    producer.observer.on('close', () => {
      if (this.#tracks.delete(producer.id))
        this.#emit({ t: 'track.closed', room: this.id, trackId: producer.id, reason: 'closed' })
    })
    this.#emit({ t: 'track.opened', room: this.id, track: shape })
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
      const consumer = await byClient(to.consume({ producerId, rtpCapabilities, paused: true }))
      if (to.closed) consumer.close()
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
    if (consumer.closed || this.#isOver || this.peers.get(peer.id) !== peer) {
      consumer.close()
      throw gone('client')
    }
    const layers = layersOf(consumer)
    const wanted = { spatial: layers - 1, temporal: undefined, isPaused: consumer.paused }
    peer.addConsumer({ consumer, trackId, layers, wanted }, place)
    if (this.#degradeLevel > 0) this.#applyLater(peer.consumer(consumer.id))
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
    checkWhole(spatial, layersMax, 'spatial')
    if (temporal !== undefined) checkWhole(temporal, layersMax, 'temporal')
    const one = this.known(peer).consumer(consumer)
    one.wanted = { ...one.wanted, spatial, temporal }
    await this.#apply(one)
  }

  // ------------------------------------------------------------------ degrading

  get #degradeLevel(): number {
    return Math.max(this.#level, this.#nodeLevel)
  }

  degrade(level: number, of: 'room' | 'node'): void {
    const before = this.#degradeLevel
    if (of === 'room') this.#level = level
    else this.#nodeLevel = level
    if (this.#degradeLevel === before) return
    for (const peer of this.peers.values()) for (const one of peer.consumers.values()) this.#applyLater(one)
  }

  /** One of many: that it closes meanwhile, or its worker dies, is told otherwise. */
  #applyLater(one: PeerConsumer): void {
    this.#apply(one).catch((error) => one.consumer.closed || this.#parts.log.warn({ err: error }, 'a consumer is not degraded'))
  }

  /** What the client wants, as far as the level allows. */
  async #apply({ consumer, layers, wanted }: PeerConsumer): Promise<void> {
    if (consumer.closed) return
    const isPaused = wanted.isPaused || this.#capOf(consumer, layers).isPaused
    if (isPaused !== consumer.paused) await (isPaused ? consumer.pause() : consumer.resume())
    // The level may have changed meanwhile.
    const cap = this.#capOf(consumer, layers)
    if (consumer.closed || consumer.kind !== 'video' || consumer.type === 'simple' || cap.isPaused) return
    const spatialLayer = Math.min(wanted.spatial, cap.spatialMax ?? wanted.spatial)
    const temporalLayer = cap.temporalMax ?? wanted.temporal
    await consumer.setPreferredLayers({ spatialLayer, ...(temporalLayer === undefined ? {} : { temporalLayer }) })
  }

  #capOf({ kind }: types.Consumer, layers: number): LayerCap {
    return kind === 'video' ? capOf(this.#degradeLevel, layers) : { isPaused: false }
  }

  // ------------------------------------------------------------------ the end

  #closed(peer: Peer, what: PeerThing, id: string, reason: string): void {
    if (this.#isOver || this.peers.get(peer.id) !== peer) return
    const emit = this.#parts.emit
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
