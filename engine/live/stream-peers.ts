/**
 * Whoever has something in the media node's room: sessions (their peer is named by their sid), and clients of WHIP, WHEP and RTP, which
 * have names of their own. And who holds which line: one peer at a time, taken over by the same user alone.
 */
import type { Feed, LineName, MediaKind } from '../../schemas/sfu.ts'
import type { StreamMeters } from './media.ts'

export type PeerVia = 'session' | 'whip' | 'whep' | 'rtp'
export interface StreamProducer {
  kind: MediaKind
  feed: Feed
}
export interface StreamPeer {
  readonly id: string
  readonly userId: string
  readonly via: PeerVia
  readonly transports: Map<string, 'send' | 'recv'>
  readonly producers: Map<string, StreamProducer>
  /** Consumers that their client ends: it need not be told. */
  readonly stopping: Set<string>
  /** Requests to the node that are not answered yet. */
  underWay: number
  /** Of WHIP and WHEP: under which their client finds them again. */
  resource: string | undefined
}
type WhepMeters = Pick<StreamMeters, 'whepViewers'>
interface Hold {
  peer: StreamPeer
  claims: number
}

export class StreamPeers {
  readonly #all = new Map<string, StreamPeer>()
  /** Those that are no sessions: a session is found by its sid. */
  readonly #others = new Map<string, StreamPeer>()
  readonly #byResource = new Map<string, StreamPeer>()
  readonly #holds = new Map<LineName, Hold>()
  readonly #seats = new Set<StreamPeer>()
  readonly #meters: WhepMeters

  /** `meters`: counts viewers by WHEP, in whatever room. */
  constructor(meters: WhepMeters = { whepViewers: 0 }) {
    this.#meters = meters
  }

  get size(): number {
    return this.#all.size
  }

  all(): Iterable<StreamPeer> {
    return this.#all.values()
  }

  get(id: string): StreamPeer | undefined {
    return this.#all.get(id)
  }

  has(peer: StreamPeer): boolean {
    return this.#all.get(peer.id) === peer
  }

  add(id: string, userId: string, via: PeerVia): StreamPeer {
    const nothing = { transports: new Map(), producers: new Map(), stopping: new Set<string>() }
    const peer: StreamPeer = { id, userId, via, ...nothing, underWay: 0, resource: undefined }
    this.#all.set(id, peer)
    if (via !== 'session') this.#others.set(id, peer)
    if (via === 'whep') this.#meters.whepViewers++
    return peer
  }

  remove(peer: StreamPeer): void {
    if (!this.#all.delete(peer.id)) return
    if (peer.via === 'whep') this.#meters.whepViewers--
    this.#others.delete(peer.id)
    this.#seats.delete(peer)
    if (peer.resource !== undefined) this.#byResource.delete(peer.resource)
    for (const [line, hold] of [...this.#holds]) if (hold.peer === peer) this.#holds.delete(line)
  }

  clear(): void {
    this.#meters.whepViewers -= this.count('whep')
    this.#all.clear()
    this.#others.clear()
    this.#byResource.clear()
    this.#holds.clear()
    this.#seats.clear()
  }

  count(via: PeerVia): number {
    let count = 0
    for (const peer of this.#all.values()) if (peer.via === via) count++
    return count
  }

  /** Of a user, those that are no sessions. */
  othersOf(userId: string): StreamPeer[] {
    return [...this.#others.values()].filter((peer) => peer.userId === userId)
  }

  othersCount(via: PeerVia, userId: string): number {
    return this.othersOf(userId).filter((peer) => peer.via === via).length
  }

  ingestOf(userId: string, line: LineName): StreamPeer | undefined {
    const peer = this.holder(line)
    return peer?.via === 'rtp' && peer.userId === userId ? peer : undefined
  }

  // ------------------------------------------------------------------ lines

  holder(line: LineName): StreamPeer | undefined {
    return this.#holds.get(line)?.peer
  }

  /** Whoever publishes on a line, and on both when it is the same. */
  publishers(): StreamPeer[] {
    return [...new Set([...this.#holds.values()].map(({ peer }) => peer))]
  }

  linesOf(peer: StreamPeer): LineName[] {
    return [...this.#holds].flatMap(([line, hold]) => (hold.peer === peer ? [line] : []))
  }

  /** One more thing on a line; whoever held it before has been asked to go. */
  claim(line: LineName, peer: StreamPeer): void {
    const hold = this.#holds.get(line)
    if (hold?.peer === peer) hold.claims++
    else this.#holds.set(line, { peer, claims: 1 })
  }

  release(line: LineName, peer: StreamPeer): void {
    const hold = this.#holds.get(line)
    if (hold?.peer !== peer) return
    if (--hold.claims === 0) this.#holds.delete(line)
  }

  // ------------------------------------------------------------------ producers

  opened(peer: StreamPeer, producerId: string, producer: StreamProducer): void {
    peer.producers.set(producerId, producer)
    if (producer.feed.of === 'seat') this.#seats.add(peer)
  }

  /** What it was; undefined when nobody knows it. */
  closed(peer: StreamPeer, producerId: string): StreamProducer | undefined {
    const producer = peer.producers.get(producerId)
    if (!producer) return undefined
    peer.producers.delete(producerId)
    if (producer.feed.of === 'line') this.release(producer.feed.line, peer)
    else if (![...peer.producers.values()].some(({ feed }) => feed.of === 'seat')) this.#seats.delete(peer)
    return producer
  }

  /** Producers of one seat, with their peers. */
  onSeat(seatNo: number): { peer: StreamPeer; producerId: string; producer: StreamProducer }[] {
    return [...this.#seats].flatMap((peer) =>
      [...peer.producers]
        .filter(([, { feed }]) => feed.of === 'seat' && feed.seatNo === seatNo)
        .map(([producerId, producer]) => ({ peer, producerId, producer })),
    )
  }

  // ------------------------------------------------------------------ resources

  nameResource(peer: StreamPeer, resource: string): void {
    peer.resource = resource
    this.#byResource.set(resource, peer)
  }

  byResource(resource: string): StreamPeer | undefined {
    return this.#byResource.get(resource)
  }
}
