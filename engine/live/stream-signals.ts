/**
 * WHIP and WHEP in a room: what `engine/media/http.ts` asks in the name of an HTTP client, with the rights, guards and lines of
 * `stream.publish` and `room.join`. Each client is a peer of its own. The answers are those of HTTP, made by the media node.
 */
import type { LineName, SignalAnswer } from '../../schemas/sfu.ts'
import { entryRefusal } from '../room/arrivals.ts'
import { accept, type Call, refusal, refuse } from '../room/call.ts'
import type { Home } from '../room/home.ts'
import type { Stream } from './stream.ts'
import type { PeerVia, StreamPeer } from './stream-peers.ts'
import type { Publishing } from './stream-publishing.ts'

export interface WhipAsk {
  sdp: string
  line?: LineName
}
export interface ResourceAsk {
  resource: string
  via: 'whip' | 'whep'
}
export interface PatchAsk extends ResourceAsk {
  fragment: string
  etag?: string
}

const whipPerUserMax = 4

export class StreamSignals {
  readonly #home: Home
  readonly #stream: Stream

  constructor(home: Home, stream: Stream) {
    this.#home = home
    this.#stream = stream
  }

  whip(call: Call): void {
    const feed = this.#lineOf(call)
    if ('ok' in feed) return call.answer(feed)
    this.#stream.publishing.guarded(call, { kind: 'video', source: 'virtual', feed }, (ruled) =>
      this.#stream.opened(ruled, () => this.#openWhip(ruled)),
    )
  }

  /** The show alone: guests on the mic publish over their session, which can be muted and ended by their seat. */
  #lineOf({ actor, d }: Call): ReturnType<Publishing['feedOf']> {
    const { line } = d as WhipAsk
    const feed = this.#stream.publishing.feedOf(actor, { source: 'virtual', ...(line === undefined ? {} : { line }) })
    return 'of' in feed && feed.of === 'seat' ? refusal('stream.denied', { msg: 'Guests on the mic publish in the room.' }) : feed
  }

  #openWhip(call: Call): void {
    const stream = this.#stream
    const { sdp } = call.d as WhipAsk
    // Guards, and the node, took their time.
    const feed = this.#lineOf(call)
    if ('ok' in feed) return call.answer(feed)
    const peer = this.#newPeer(call, 'whip', feed.of === 'line' ? feed.line : `seat${feed.seatNo}`, whipPerUserMax)
    if (!peer) return
    const taken = stream.publishing.claim(feed, peer)
    if (taken) {
      stream.peers.remove(peer)
      return call.answer(taken)
    }
    const onRefused = () => stream.closePeer(peer, 'refused')
    stream.node.request({ call, peer, onRefused }, 'whip.offer', { room: this.#home.id, peer: peer.id, feed, sdp }, (answer) =>
      this.#offered(call, peer, answer),
    )
  }

  whep(call: Call): void {
    const refused = entryRefusal(this.#home, call)
    if (refused) return call.answer(refused)
    this.#home.guarded({ ...call, t: 'room.join' }, { source: 'whep' }, (ruled) =>
      this.#stream.opened(ruled, () => this.#openWhep(ruled)),
    )
  }

  #openWhep(call: Call): void {
    const { config } = this.#home.parts
    const refused = entryRefusal(this.#home, call)
    if (refused) return call.answer(refused)
    const max = call.actor.anonymous ? config.connectionsPerAddressMax || Number.POSITIVE_INFINITY : config.sessionsPerUserMax
    const peer = this.#newPeer(call, 'whep', 'all', max)
    if (!peer) return
    const { sdp } = call.d as { sdp: string }
    const onRefused = () => this.#stream.closePeer(peer, 'refused')
    this.#stream.node.request({ call, peer, onRefused }, 'whep.offer', { room: this.#home.id, peer: peer.id, sdp }, (answer) =>
      this.#offered(call, peer, answer),
    )
  }

  #newPeer(call: Call, via: PeerVia, what: string, max: number): StreamPeer | undefined {
    const { peers } = this.#stream
    const { userId } = call.actor
    if (peers.othersCount(via, userId) < max) return peers.add(`${via}_${what}_${this.#home.newId()}`, userId, via)
    refuse(call, 'stream.no_capacity', { retryAfterMs: 5_000 })
    return undefined
  }

  #offered(call: Call, peer: StreamPeer, answer: SignalAnswer): void {
    if (answer.resource === undefined) this.#stream.closePeer(peer, 'refused')
    else this.#stream.peers.nameResource(peer, answer.resource)
    accept(call, answer)
  }

  patch(call: Call): void {
    const { resource, fragment, etag } = call.d as PatchAsk
    const peer = this.#known(call)
    if (!peer) return
    const ask = { room: this.#home.id, resource, fragment, ...(etag === undefined ? {} : { etag }) }
    this.#stream.node.request({ call, peer }, 'signal.patch', ask, (answer) => accept(call, answer))
  }

  end(call: Call): void {
    const peer = this.#known(call)
    if (!peer) return
    this.#stream.closePeer(peer, 'closed')
    accept(call, { status: 200 } satisfies SignalAnswer)
  }

  /** The URL cannot be guessed, and still it is its user alone who may use it. */
  #known(call: Call): StreamPeer | undefined {
    const { resource, via } = call.d as ResourceAsk
    const peer = this.#stream.peers.byResource(resource)
    if (!peer || peer.via !== via) refuse(call, 'stream.gone')
    else if (peer.userId !== call.actor.userId) refuse(call, 'perm.denied')
    else return peer
    return undefined
  }
}
