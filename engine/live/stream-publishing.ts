/**
 * The way of what somebody publishes, from a browser, over WHIP or by RTP: each takes these steps in this order.
 *
 *     `feedOf`  joined, open, rights: a line of the show, or the seat of a guest
 *     `guarded` plugins may say no, and take their time: so `feedOf` once more
 *     `claim`   a line has one publisher; the same user takes it over from themselves
 *     the node  `producer.open`, `whip.offer`, `ingest.open`: refused, the line is free again
 *     `closed`  by its client, the node or its end: the line is free, the seat falls silent
 *
 * A session's producers are known here by their ids. Those of WHIP and RTP the node makes by itself, one picture and one sound for each.
 */
import type { CommandInput } from '../../schemas/messages.ts'
import type { Feed, IngestCodec, LineName, Media } from '../../schemas/sfu.ts'
import { type Actor, accept, type Call, refusal, refuse } from '../room/call.ts'
import type { Home } from '../room/home.ts'
import { may } from '../room/rights.ts'
import { ffmpegArguments } from './ingest-arguments.ts'
import type { SeatStage } from './media.ts'
import type { NodeRoom, Refused } from './stream-node.ts'
import type { StreamPeer, StreamPeers } from './stream-peers.ts'

type Publish = CommandInput<'stream.publish'>
/** Guards know the command by its name, however the media comes in. */
type Asked = Pick<Publish, 'kind' | 'source'> & { feed: Feed }

export interface PublishingParts {
  home: Home
  peers: StreamPeers
  node: NodeRoom
  /** Everything of one peer: it is told why. */
  closePeer(peer: StreamPeer, reason: string): void
}

export class Publishing {
  /** Set by whoever keeps the seats. */
  seats: SeatStage | undefined
  readonly #home: Home
  readonly #peers: StreamPeers
  readonly #node: NodeRoom
  readonly #closePeer: PublishingParts['closePeer']

  constructor({ home, peers, node, closePeer }: PublishingParts) {
    this.#home = home
    this.#peers = peers
    this.#node = node
    this.#closePeer = closePeer
  }

  // ------------------------------------------------------------------ who may

  /** What this user would feed, or why they may not. */
  feedOf(
    actor: Actor,
    { line, source, kind }: Pick<Publish, 'line' | 'source'> & Partial<Pick<Publish, 'kind'>>,
  ): Feed | Refused {
    const refused = this.#mayNotBeLive(actor)
    if (refused) return refused
    const seatNo = line === undefined ? this.seats?.mayPublishSeat(actor.userId, kind) : undefined
    if (seatNo !== undefined) return { of: 'seat', seatNo }
    if (!may(this.#home.ranksOf(actor.userId), 'publish')) return refusal('stream.denied')
    return { of: 'line', line: line ?? 'primary', source }
  }

  /** A transport to send comes before it is known what for. */
  mayNotSend(actor: Actor): Refused | undefined {
    const isOnSeat = this.seats?.mayPublishSeat(actor.userId) !== undefined
    if (!isOnSeat && !may(this.#home.ranksOf(actor.userId), 'publish')) return refusal('stream.denied')
    return this.#mayNotBeLive(actor)
  }

  #mayNotBeLive({ userId }: Actor): Refused | undefined {
    const home = this.#home
    const closed = this.#node.closedFor()
    if (closed) return closed
    const ban = home.banOf(userId)
    if (ban) return refusal('room.kicked', { d: { untilAt: ban.untilAt } })
    const { liveBan } = home
    if (liveBan && liveBan.untilAt > home.now()) return refusal('room.live_banned', { d: { untilAt: liveBan.untilAt } })
    return undefined
  }

  guarded(call: Call, { kind, source, feed }: Asked, then: (ruled: Call) => void): void {
    const where = feed.of === 'line' ? { line: feed.line } : { seatNo: feed.seatNo }
    this.#home.guarded({ ...call, t: 'stream.publish' }, { kind, source, ...where }, then)
  }

  // ------------------------------------------------------------------ lines

  claim(feed: Feed, peer: StreamPeer): Refused | undefined {
    if (feed.of === 'seat') return undefined
    const holder = this.#peers.holder(feed.line)
    if (holder && holder !== peer) {
      if (holder.userId !== peer.userId) return refusal('stream.line_taken')
      this.#home.parts.meters.stream.takeovers++
      this.#closePeer(holder, 'taken_over')
    }
    this.#peers.claim(feed.line, peer)
    return undefined
  }

  #unclaim(feed: Feed, peer: StreamPeer): void {
    if (feed.of === 'line') this.#peers.release(feed.line, peer)
  }

  // ------------------------------------------------------------------ from a browser

  /** `peerOf`: that of the session, as long as it is in the room. */
  publish(call: Call, rtpParameters: Media, peerOf: () => StreamPeer | undefined): void {
    const d = call.d as Publish
    const feed = this.feedOf(call.actor, d)
    if ('ok' in feed) return call.answer(feed)
    if (!peerOf()) return refuse(call, 'stream.gone', { msg: 'Make a transport first.' })
    this.guarded(call, { kind: d.kind, source: d.source, feed }, (ruled) => this.#publish(ruled, rtpParameters, peerOf))
  }

  #publish(call: Call, rtpParameters: Media, peerOf: () => StreamPeer | undefined): void {
    const { kind, transportId: transport, ...d } = call.d as Publish
    const feed = this.feedOf(call.actor, { ...d, kind })
    if ('ok' in feed) return call.answer(feed)
    const peer = peerOf()
    if (!peer) return refuse(call, 'stream.gone')
    const taken = this.claim(feed, peer)
    if (taken) return call.answer(taken)
    this.#replace(peer, kind, feed)
    const isPaused = feed.of === 'seat' && this.seats?.isSeatMuted(feed.seatNo) === true
    this.#node.request(
      { call, peer, onRefused: () => this.#unclaim(feed, peer) },
      'producer.open',
      { ...this.#node.of(peer), transport, kind, rtpParameters, feed, isPaused },
      ({ producer }) => {
        this.#peers.opened(peer, producer, { kind, feed })
        if (feed.of === 'seat')
          this.seats?.onSeatOpened({ seatNo: feed.seatNo, userId: peer.userId, kind, producerId: producer, isPaused })
        accept(call, { producerId: producer })
      },
    )
  }

  /** The same thing again from the same place: a camera that was changed, a page that forgot. */
  #replace(peer: StreamPeer, kind: string, feed: Feed): void {
    const key = JSON.stringify(feed)
    for (const [producer, old] of [...peer.producers])
      if (old.kind === kind && JSON.stringify(old.feed) === key) this.close(peer, producer)
  }

  unpublish(call: Call, peer: StreamPeer | undefined): void {
    const { producerId } = call.d as CommandInput<'stream.unpublish'>
    if (!peer?.producers.has(producerId)) return refuse(call, 'stream.gone')
    this.close(peer, producerId)
    accept(call, {})
  }

  /** Of several pictures that a session sends on a line. A line by WHIP or RTP has one, and its id is the node's own. */
  select(call: Call): void {
    const { producerId } = call.d as CommandInput<'stream.select_source'>
    const peers = this.#peers.publishers()
    const peer = peers.find(({ producers }) => producers.has(producerId))
    const feed = peer?.producers.get(producerId)?.feed
    if (!peer || feed?.of !== 'line') {
      if (peers.every(({ via }) => via === 'session')) return refuse(call, 'stream.gone')
      const hint = 'a line by WHIP or RTP has one picture: stream.switch_line changes between lines'
      return refuse(call, 'stream.bad_params', { msg: `No such source; ${hint}.`, d: { field: 'producerId', hint } })
    }
    this.#node.request({ call, peer }, 'producer.select', { ...this.#node.of(peer), producer: producerId }, () => {
      const home = this.#home
      const by = { actor: call.actor.userId, hops: call.hops }
      home.decide(home.event('stream.source_selected', { producerId, source: feed.source }, by), () => accept(call, {}))
    })
  }

  // ------------------------------------------------------------------ by RTP

  openIngest(call: Call): void {
    const { line = 'primary', codec = 'h264' } = call.d as CommandInput<'stream.open_ingest'>
    const what = { kind: 'video', source: 'virtual', line } as const
    const feed = this.feedOf(call.actor, what)
    if ('ok' in feed) return call.answer(feed)
    this.guarded(call, { ...what, feed }, (ruled) => this.#node.opened(ruled, () => this.#openIngest(ruled, line, codec)))
  }

  #openIngest(call: Call, line: LineName, videoCodec: IngestCodec): void {
    const { userId } = call.actor
    const feed = this.feedOf(call.actor, { source: 'virtual', line })
    if ('ok' in feed) return call.answer(feed)
    const known = this.#peers.ingestOf(userId, line)
    const peer = known ?? this.#peers.add(`rtp_${line}_${this.#home.newId()}`, userId, 'rtp')
    const taken = known ? undefined : this.claim(feed, peer)
    if (taken) {
      this.#peers.remove(peer)
      return call.answer(taken)
    }
    // What is open already stays as it was.
    const onRefused = () => known ?? this.#closePeer(peer, 'refused')
    this.#node.request({ call, peer, onRefused }, 'ingest.open', { ...this.#node.of(peer), line, videoCodec }, (ingest) =>
      accept(call, { ingestJson: JSON.stringify({ ...ingest, ffmpeg: ffmpegArguments(ingest) }) }),
    )
  }

  // ------------------------------------------------------------------ the end

  close(peer: StreamPeer, producer: string): void {
    this.#node.tell('producer.close', { ...this.#node.of(peer), producer })
    this.closed(peer, producer)
  }

  /** The node has done it, or will. */
  closed(peer: StreamPeer, producerId: string): void {
    const closed = this.#peers.closed(peer, producerId)
    if (closed?.feed.of !== 'seat') return
    const { kind, feed } = closed
    this.seats?.onSeatClosed({ seatNo: feed.seatNo, userId: peer.userId, kind, producerId })
  }
}
