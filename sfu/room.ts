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
import type { MediaTrackShape } from '../schemas/messages.ts'
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
import { checkFeed, checkId, checkObject, checkOneOf, checkWhole } from './checks.ts'
import { capOf, type LayerCap } from './degrade.ts'
import { Ingests } from './ingests.ts'
import { type LinkedRoom, Links, type Track } from './links.ts'
import type { MediaWorker, MediaWorkers } from './media-workers.ts'
import type { SfuOptions } from './options.ts'
import { Peer, type PeerConsumer, type PeerThing } from './peer.ts'
import { type Place, Places } from './places.ts'
import { byClient, gone, SfuProblem } from './problem.ts'
import { Program, type Via } from './program.ts'
import { Signals } from './signals.ts'
import { Traffic } from './traffic.ts'

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

/** Of scalable coding; mediasoup knows no more. */
const layersMax = 8

/** Where a transport is made. */
export interface Spot {
  place: Place
  router: types.Router
  /** Whoever comes there by `places.admit` counts by the transport from now on. */
  arrived?: () => void
}

export class Room implements LinkedRoom {
  readonly id: string
  readonly places: Places
  readonly program: Program
  /** WHIP and WHEP. */
  readonly signals: Signals
  /** To shows of other rooms. */
  readonly links: Links
  readonly peers = new Map<string, Peer>()
  readonly traffic = new Traffic()
  readonly #parts: RoomParts
  readonly #tracks = new Map<string, Track>()
  readonly #ingests: Ingests
  /** Bits a second, of one publisher. */
  readonly bitrateMax: number
  #level = 0
  #nodeLevel = 0
  /** How many were ended: what was on its way to an earlier one does not become part of the next. */
  #shows = 0
  isClosed = false

  private constructor(id: string, places: Places, parts: RoomParts) {
    this.id = id
    this.bitrateMax = parts.options.bitrateMax
    this.places = places
    this.#parts = parts
    const { clock } = parts
    this.signals = new Signals(this, clock)
    this.#ingests = new Ingests(this, parts)
    this.links = new Links(this, (event) => this.#emit(event))
    this.program = new Program({
      router: places.main.router,
      clock,
      log: parts.log.child({ room: id }),
      onTrack: (producer, ownerId) => this.#openTrack(producer, { userId: ownerId, source: 'main' }),
      onLines: (lines, line) => {
        this.#emit({ t: 'line.changed', room: id, lines, line })
        this.#ingests.onLines(lines)
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
  get isOver(): boolean {
    return this.isClosed || this.places.main.router.closed
  }

  #emit(event: SfuEvent): void {
    if (!this.isOver) this.#parts.emit(event)
  }

  get rtpCapabilities(): Media {
    return this.places.main.router.rtpCapabilities as unknown as Media
  }

  describe(): RoomMedia {
    const { lines, line } = this.program
    const tracks = this.tracks.map(({ shape }) => shape)
    return { tracks, lines, line, degradeLevel: this.#degradeLevel, links: this.links.describe() }
  }

  // ------------------------------------------------------------------ peers and transports

  /** The one of this id, made if it is new. */
  peer(id: string): Peer {
    const known = this.peers.get(id)
    if (known) return known
    checkId(id, 'peer')
    if (this.isOver) throw gone('room')
    if (this.peers.size >= this.#parts.options.peersPerRoomMax)
      throw new SfuProblem('stream.no_capacity', 'the room has as many media clients as it can')
    const peer = new Peer(id, {
      onClosing: (transport) => this.isOver || this.traffic.leaves(transport),
      onClosed: (what, thing, reason) => this.#closed(peer, what, thing, reason),
    })
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
    this.#ingests.close(id)
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
  openTransport(peer: Peer, direction: 'send' | 'recv', at?: Spot): Promise<types.WebRtcTransport> {
    const { main } = this.places
    return peer.make('transport', () => {
      if (at) return this.#newTransport(peer, direction, at)
      if (direction === 'send') return this.#newTransport(peer, direction, { place: main, router: main.router })
      return this.places.admit((place, arrived) => this.#newTransport(peer, direction, { place, router: place.router, arrived }))
    })
  }

  async #newTransport(peer: Peer, direction: 'send' | 'recv', { place, router, arrived }: Spot): Promise<types.WebRtcTransport> {
    const transport = await router.createWebRtcTransport({
      webRtcServer: place.media.server,
      enableUdp: true,
      enableTcp: true,
      preferUdp: true,
      initialAvailableOutgoingBitrate: initialOutgoingBitrate,
      appData: { direction },
    })
    try {
      if (direction === 'send') await transport.setMaxIncomingBitrate(this.bitrateMax)
      this.mustBeThere(peer, transport)
    } catch (error) {
      transport.close()
      throw error
    }
    peer.addTransport(transport, place)
    arrived?.()
    if (direction === 'recv') this.traffic.opened(transport)
    return transport
  }

  /** A peer may have left, the room have ended or the worker have died while something was made. */
  mustBeThere(peer: Peer, made: { readonly closed: boolean }): void {
    if (this.isOver || this.peers.get(peer.id) !== peer) throw gone('client')
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
    isPaused = false,
  }: SfuAsk<'producer.open'>): Promise<{ producer: string }> {
    checkOneOf(kind, ['audio', 'video'], 'kind')
    checkObject(rtpParameters, 'rtpParameters')
    checkOneOf(isPaused, [true, false], 'isPaused')
    const peer = this.known(peerId)
    const { transport: of } = peer.transport(transport)
    if (of.appData['direction'] !== 'send') throw new SfuProblem('stream.bad_params', 'this transport is there to receive')
    const producer = await this.produce(peer, of, { kind, rtpParameters, feed, via: 'webrtc', isPaused })
    return { producer: producer.id }
  }

  /** For every way in: a client's own transport, WHIP, RTP. */
  async produce(
    peer: Peer,
    transport: types.Transport,
    {
      kind,
      rtpParameters,
      feed,
      via,
      isPaused = false,
    }: { kind: MediaKind; rtpParameters: Media; feed: Feed; via: Via; isPaused?: boolean },
  ): Promise<types.Producer> {
    checkFeed(feed)
    const show = this.#shows
    const mayFeed = () => {
      if (feed.of === 'line' && show !== this.#shows) throw gone('show')
    }
    return peer.make('producer', async () => {
      const producer = await byClient(
        transport.produce({
          kind,
          rtpParameters: rtpParameters as unknown as types.RtpParameters,
          keyFrameRequestDelay: keyFrameRequestDelayMs,
          paused: isPaused,
        }),
      )
      try {
        this.mustBeThere(peer, transport)
        mayFeed()
        if (feed.of === 'line') await this.program.attach({ ...feed, producer, ownerId: peer.id, via })
        this.mustBeThere(peer, producer)
        mayFeed()
      } catch (error) {
        producer.close()
        throw error
      }
      peer.addProducer(producer, feed)
      if (feed.of === 'seat') this.#openTrack(producer, { userId: peer.id, source: 'seat', seatNo: feed.seatNo })
      return producer
    })
  }

  openIngest(ask: SfuAsk<'ingest.open'>): Promise<Ingest> {
    return this.#ingests.open(ask)
  }

  /** Of each publisher every way in, for what it sends. */
  *incoming(): Generator<[peer: Peer, transports: types.Transport[]]> {
    for (const peer of this.peers.values()) {
      const own = [...peer.transports.values()].map(({ transport }) => transport)
      const transports = own.filter(({ appData }) => appData['direction'] === 'send') as types.Transport[]
      const ports = this.#ingests.transportsOf(peer.id)
      if (transports.length + ports.length > 0) yield [peer, [...transports, ...ports]]
    }
  }

  /** Sends far more than it may, and takes no notice of what it is told. */
  cutForBitrate(peer: Peer): void {
    this.#parts.log.warn({ room: this.id, peer: peer.id, bitrateMax: this.bitrateMax }, 'a publisher sends too much: cut')
    peer.cut('bitrate')
    this.#ingests.close(peer.id)
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

  endShow(): void {
    this.#shows++
    for (const peer of [...this.peers.values()]) {
      if (peer.isLine) this.closePeer(peer.id)
      else peer.endLines('show ended')
    }
    this.program.endTracks()
  }

  #openTrack(producer: types.Producer, of: Pick<MediaTrackShape, 'userId' | 'source' | 'seatNo'>): void {
    const muted = producer.paused ? { muted: true } : {}
    const shape: MediaTrackShape = { id: producer.id, kind: producer.kind, ...of, ...muted }
    this.#tracks.set(producer.id, { shape, producer })
    producer.observer.on('close', () => {
      if (!this.#tracks.delete(producer.id)) return
      this.#emit({ t: 'track.closed', room: this.id, trackId: producer.id, reason: 'closed' })
      this.#tellLinked(shape)
    })
    this.#emit({ t: 'track.opened', room: this.id, track: shape })
    this.#tellLinked(shape)
    this.signals.onTrack(shape)
  }

  #tellLinked({ source }: MediaTrackShape): void {
    if (source === 'main' && !this.isOver) this.links.onShow()
  }

  // ------------------------------------------------------------------ what is played

  async openConsumer({ peer: peerId, transport, track: trackId }: SfuAsk<'consumer.open'>): Promise<ConsumerParams> {
    const peer = this.known(peerId)
    const { transport: to, place } = peer.transport(transport)
    if (to.appData['direction'] !== 'recv') throw new SfuProblem('stream.bad_params', 'this transport is there to send')
    if (!peer.rtpCapabilities) throw new SfuProblem('stream.bad_params', 'the transport was made without rtpCapabilities')
    const rtpCapabilities = peer.rtpCapabilities
    return peer.make('consumer', async () => {
      const producerId = await this.#producerIn(place, trackId)
      // A track that ended meanwhile is no fault of the device.
      if (to.closed || !this.#hasTrack(trackId)) throw gone('track')
      if (!place.router.canConsume({ producerId, rtpCapabilities }))
        throw new SfuProblem('stream.codec', 'this device cannot play the codec of this track')
      // Paused, so that the key frame comes when the client can show it.
      const consumer = await byClient(to.consume({ producerId, rtpCapabilities, paused: true }))
      if (to.closed) consumer.close()
      this.watch(peer, consumer, { place, trackId })
      const { id, kind, rtpParameters } = consumer
      return { id, producerId: trackId, kind, rtpParameters: rtpParameters as unknown as Media, layers: layersOf(consumer) }
    })
  }

  /** The id under which a track, of this room or of one that is linked, can be consumed at a place. */
  async #producerIn(place: Place, trackId: string): Promise<string> {
    if (this.#tracks.has(trackId)) return this.places.producerIn(place, trackId)
    const found = this.links.of(trackId)
    if (!found) throw gone('track')
    return this.places.producerIn(place, await found.pipe.producerOf(found.track.producer.id))
  }

  #hasTrack(id: string): boolean {
    return this.#tracks.has(id) || this.links.of(id) !== undefined
  }

  get show(): readonly Track[] {
    return this.tracks.filter(({ shape }) => shape.source === 'main')
  }

  get tracks(): readonly Track[] {
    return [...this.#tracks.values()]
  }

  /** A consumer from now on belongs to the peer, and to the level of degrading. */
  watch(peer: Peer, consumer: types.Consumer, { place, trackId }: { place: Places['main']; trackId: string }): void {
    if (consumer.closed || this.isOver || this.peers.get(peer.id) !== peer) {
      consumer.close()
      throw gone('client')
    }
    const layers = layersOf(consumer)
    const wanted = { spatial: layers - 1, temporal: undefined, isPaused: consumer.paused }
    peer.addConsumer({ consumer, trackId, layers, wanted, applying: Promise.resolve() }, place)
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

  /** What the client wants, as far as the level allows. One after the other: what a worker is still doing cannot be seen. */
  #apply(one: PeerConsumer): Promise<void> {
    const applying = one.applying.then(() => this.#applyNow(one))
    one.applying = applying.catch(() => undefined)
    return applying
  }

  async #applyNow({ consumer, layers, wanted }: PeerConsumer): Promise<void> {
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
    if (this.isOver || this.peers.get(peer.id) !== peer) return
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

  close(reason = 'room closed'): void {
    if (this.isClosed) return
    this.isClosed = true
    this.links.end(reason)
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
