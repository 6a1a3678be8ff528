/**
 * The picture and sound of a room: `stream.*` as clients say it, checked here, done by the media node.
 *
 *     stream.publish -> rights, guards, a line or a seat, the node (`stream-publishing.ts`) -> answer
 *     the node tells `track.opened` -> the room hears `stream.started`, `stream.published` (`stream-show.ts`)
 *     stream.play    -> a consumer of the node, on a transport of this session
 *
 * A peer of the node is one session (its sid), or one client of WHIP, WHEP or RTP (`stream-signals.ts`). Nothing that a plugin, a ban or
 * a closed room can have changed while somebody waited is taken for granted: it is asked again before the node is. The node's room is
 * opened when the first needs it, and closed when nobody has for `emptyMsMax`. Whatever ends a right ends its media with one message to
 * the node, in the same turn.
 */
import type { CommandInput } from '../../schemas/messages.ts'
import type { Media, SfuAnswer, SfuAsk, SfuEvent, SfuRequest } from '../../schemas/sfu.ts'
import { subjects } from '../../schemas/subjects.ts'
import { accept, type Call, refuse, type UserEventHead } from '../room/call.ts'
import type { Chore, Home } from '../room/home.ts'
import { may } from '../room/rights.ts'
import { jsonObject } from './stream-json.ts'
import { NodeRoom } from './stream-node.ts'
import { type StreamPeer, StreamPeers } from './stream-peers.ts'
import { Publishing } from './stream-publishing.ts'
import { Qos } from './stream-qos.ts'
import { type Cause, Show, type StopReason } from './stream-show.ts'

const emptyMsMax = 60_000
/** After a cut: a client that reconnects by itself does so within seconds. */
const cutBanMsDefault = 30_000

export class Stream implements Chore {
  readonly show: Show
  readonly qos: Qos
  readonly peers: StreamPeers
  readonly node: NodeRoom
  readonly publishing: Publishing
  readonly #home: Home
  #emptyAt: number | undefined

  constructor(home: Home) {
    this.#home = home
    this.peers = new StreamPeers(home.parts.meters.stream)
    this.node = new NodeRoom({ home, peers: this.peers, level: () => this.show.roomLevel })
    this.publishing = new Publishing({
      ...{ home, peers: this.peers, node: this.node },
      closePeer: (peer, reason) => this.closePeer(peer, reason),
    })
    this.show = new Show(home, home.parts.media, (peerId) => this.peers.get(peerId)?.userId)
    this.qos = new Qos(home)
    for (const chore of [this.show, this.qos]) home.addChore(chore)
  }

  // ------------------------------------------------------------------ transports

  capabilities(call: Call): void {
    this.#whenOpen(call, (rtpCapabilities) => accept(call, { rtpJson: JSON.stringify(rtpCapabilities) }))
  }

  createTransport(call: Call): void {
    const { direction, rtpJson } = call.d as CommandInput<'stream.create_transport'>
    const rtpCapabilities = rtpJson === undefined ? undefined : jsonObject(rtpJson)
    if (rtpJson !== undefined && !rtpCapabilities) return this.#refuseJson(call, 'rtpJson')
    const mayNot = direction === 'send' ? this.publishing.mayNotSend(call.actor) : undefined
    if (mayNot) return call.answer(mayNot)
    this.#whenOpen(call, () => {
      const peer = this.#peerOf(call, true)
      if (!peer) return refuse(call, 'room.not_joined')
      const ask = { ...this.node.of(peer), direction, ...(rtpCapabilities ? { rtpCapabilities } : {}) }
      this.node.request({ call, peer }, 'transport.create', ask, (params) => {
        peer.transports.set(params.id, direction)
        const iceServersJson = JSON.stringify(this.#home.parts.media?.iceServers ?? [])
        accept(call, { transportId: params.id, paramsJson: JSON.stringify(params), iceServersJson })
      })
    })
  }

  connectTransport(call: Call): void {
    const { transportId: transport, dtlsJson } = call.d as CommandInput<'stream.connect_transport'>
    const dtlsParameters = jsonObject(dtlsJson)
    if (!dtlsParameters) return this.#refuseJson(call, 'dtlsJson')
    this.#forPeer(call, 'transport.connect', { transport, dtlsParameters })
  }

  restartIce(call: Call): void {
    const { transportId: transport } = call.d as CommandInput<'stream.restart_ice'>
    this.#forPeer(call, 'transport.restart_ice', { transport }, ({ iceParameters }) => ({
      iceJson: JSON.stringify(iceParameters),
    }))
  }

  // ------------------------------------------------------------------ publishing (`stream-publishing.ts`)

  publish(call: Call): void {
    const { rtpJson } = call.d as CommandInput<'stream.publish'>
    const rtpParameters = jsonObject(rtpJson)
    if (!rtpParameters) return this.#refuseJson(call, 'rtpJson')
    this.publishing.publish(call, rtpParameters, () => this.#peerOf(call))
  }

  unpublish(call: Call): void {
    this.publishing.unpublish(call, this.#peerOf(call))
  }

  // ------------------------------------------------------------------ playing

  play(call: Call): void {
    const { trackId: track, transportId: transport } = call.d as CommandInput<'stream.play'>
    if (!this.show.hasTrack(track)) return refuse(call, 'stream.gone')
    this.#forPeer(call, 'consumer.open', { transport, track }, (params) => {
      return { consumerId: params.id, paramsJson: JSON.stringify(params) }
    })
  }

  consumer(call: Call, name: 'consumer.resume' | 'consumer.pause'): void {
    const { consumerId: consumer } = call.d as CommandInput<'stream.resume_play'>
    this.#forPeer(call, name, { consumer })
  }

  stopPlay(call: Call): void {
    const { consumerId: consumer } = call.d as CommandInput<'stream.stop_play'>
    const peer = this.#peerOf(call)
    if (!peer) return refuse(call, 'stream.gone')
    peer.stopping.add(consumer)
    const onRefused = () => void peer.stopping.delete(consumer)
    this.node.request({ call, peer, onRefused }, 'consumer.close', { ...this.node.of(peer), consumer }, () => accept(call, {}))
  }

  setLayers(call: Call): void {
    const { consumerId: consumer, spatial, temporal } = call.d as CommandInput<'stream.set_layers'>
    this.#forPeer(call, 'consumer.layers', { consumer, spatial, ...(temporal === undefined ? {} : { temporal }) })
  }

  reportQos(call: Call): void {
    const sid = this.#sidOf(call)
    if (sid === undefined) return refuse(call, 'room.not_joined')
    this.qos.report(call, sid)
  }

  // ------------------------------------------------------------------ steering

  switchLine(call: Call): void {
    if (!this.#maySteer(call)) return
    const { line } = call.d as CommandInput<'stream.switch_line'>
    this.node.request({ call }, 'line.switch', { ...this.node.room, line }, (answer) => accept(call, answer))
  }

  selectSource(call: Call): void {
    if (this.#maySteer(call)) this.publishing.select(call)
  }

  stop(call: Call): void {
    if (!this.#maySteer(call)) return
    const { userId, scope } = call.actor
    const by = { actor: userId, hops: call.hops }
    const isOwners = userId === this.#home.info.ownerId
    const reason = !isOwners && scope.includes('operator') ? 'operator' : 'ended'
    if (!this.show.isLive && this.peers.publishers().length === 0)
      return refuse(call, 'room.bad_state', { msg: 'Nothing is streamed.' })
    // Lines are free at once; what of them is on its way is refused.
    for (const peer of this.peers.publishers()) if (peer.via !== 'session') this.peers.remove(peer)
    this.node.endShow(call, (isEnded) => {
      if (isEnded) this.show.end(reason, by)
      else this.#end(reason, by)
      this.#considerEmpty()
      accept(call, {})
    })
  }

  #maySteer(call: Call): boolean {
    const isAllowed = may(this.#home.ranksOfActor(call.actor), 'steer')
    if (!isAllowed) refuse(call, 'perm.denied')
    return isAllowed
  }

  /**
   * By an operator or a plugin: nothing of this room is heard or seen any more, and nobody goes live again for `banMs`; 0 lifts a ban.
   * Media ends and the ban holds in this turn, whatever the disk says; what is answered is on it.
   */
  cut(call: Call): void {
    const { banMs = cutBanMsDefault, reason = '' } = call.d as { banMs?: number; reason?: string }
    const home = this.#home
    const [by, at] = [call.actor.userId, home.now()]
    const { meters, log } = home.parts
    meters.stream.cuts++
    log?.warn({ room: home.id, by, banMs, reason }, 'the picture of a room was cut')
    const liveBan = banMs > 0 ? { untilAt: at + banMs, reason, by, at } : undefined
    home.liveBan = liveBan
    this.#end('operator', { actor: by, hops: call.hops })
    home.change(call, () => ({ changes: [{ kind: 'live_ban.put', liveBan }], events: [] }))
  }

  degrade(call: Call): void {
    const { level } = call.d as { level: number }
    const done = () => {
      this.show.setRoomLevel(level, { actor: call.actor.userId, hops: call.hops })
      accept(call, {})
    }
    // A room that is not open in the node is told when it is.
    if (!this.node.isOpen) done()
    else this.node.request({ call }, 'node.degrade', { ...this.node.room, level }, done)
  }

  /** All that is in the node's room goes; whoever may still be heard or watch comes back by themselves. */
  #end(reason: StopReason, by: Cause): void {
    const wasInUse = this.peers.size > 0
    this.#closeRoom()
    this.show.end(reason, by, 'all')
    if (wasInUse && (reason === 'ended' || reason === 'operator')) this.show.migrated(reason)
  }

  /** For operators: the show with what viewers need not know. */
  describe(call: Call): void {
    const home = this.#home
    const { liveBan } = home
    const publishers = this.peers.publishers().map((peer) => {
      const { userId, via } = peer
      return { userId, via, lines: this.peers.linesOf(peer) }
    })
    const banned = liveBan && liveBan.untilAt > home.now() ? { liveBan } : {}
    accept(call, { ...this.show.info, publishers, whepViewers: this.peers.count('whep'), ...banned })
  }

  // ------------------------------------------------------------------ what the node tells

  onMedia(event: SfuEvent): void {
    switch (event.t) {
      case 'producer.closed':
        return this.#onProducerGone(event)
      case 'consumer.closed':
        return this.#onConsumerGone(event)
      case 'transport.closed':
        return this.#onTransportGone(event)
      case 'room.lost':
        return this.#onLost(event.reason)
      default:
        // What comes late from a room of the node that we have closed is of no interest.
        if (this.node.isOpen || event.t === 'node.state' || event.t === 'degraded') this.show.onEvent(event)
        this.#considerEmpty()
    }
  }

  #onProducerGone({ peer: id, producer }: Extract<SfuEvent, { t: 'producer.closed' }>): void {
    const peer = this.peers.get(id)
    // Of RTP we never knew its name: the node closes and opens those by itself, and the line stays that peer's.
    if (peer) this.publishing.closed(peer, producer)
  }

  /** That its track ended everybody hears from the room. */
  #onConsumerGone({ peer: id, consumer, reason }: Extract<SfuEvent, { t: 'consumer.closed' }>): void {
    const peer = this.peers.get(id)
    if (!peer || peer.stopping.delete(consumer) || reason === 'track closed') return
    this.#tellUser(peer, 'stream.consumer_closed', { consumerId: consumer, reason })
  }

  #onTransportGone({ peer: id, transport, reason }: Extract<SfuEvent, { t: 'transport.closed' }>): void {
    const peer = this.peers.get(id)
    if (!peer) return
    if (peer.via !== 'session') return this.closePeer(peer, reason)
    if (peer.transports.delete(transport)) this.#tellUser(peer, 'stream.transport_closed', { transportId: transport, reason })
  }

  #onLost(reason: string): void {
    if (!this.node.isWanted) return
    this.node.forget()
    this.#forgetPeers()
    this.show.lost(reason)
  }

  #tellUser({ via, userId }: StreamPeer, t: string, d: unknown): void {
    if (via !== 'session') return
    const { parts, id, now } = { parts: this.#home.parts, id: this.#home.id, now: this.#home.now() }
    parts.bus.publish(subjects.userEvents(userId), { head: { t, room: id, at: now, d } satisfies UserEventHead })
  }

  // ------------------------------------------------------------------ the end

  /** Everything of one peer. A session is told, so that it can begin anew. */
  closePeer(peer: StreamPeer, reason: string): void {
    if (!this.peers.has(peer)) return
    this.node.tell('peer.close', this.node.of(peer))
    for (const producer of [...peer.producers.keys()]) this.publishing.closed(peer, producer)
    this.peers.remove(peer)
    for (const transportId of peer.transports.keys()) this.#tellUser(peer, 'stream.transport_closed', { transportId, reason })
    this.#considerEmpty()
  }

  /** A session left the room, however it did. */
  left(sid: string): void {
    const peer = this.peers.get(sid)
    peer?.transports.clear() // nobody to be told
    if (peer) this.closePeer(peer, 'left')
    this.qos.forget(sid)
  }

  /** Kicked, banned, or all sessions ended by an operator: what has no session ends too. */
  dropped(userId: string): void {
    for (const peer of this.peers.othersOf(userId)) this.closePeer(peer, 'removed')
    for (const { sid } of this.#home.presence.sessionsOf(userId)) this.left(sid)
  }

  /** A role was given or taken. */
  rightsChanged(userId: string): void {
    if (may(this.#home.ranksOf(userId), 'publish')) return
    for (const peer of this.peers.publishers()) if (peer.userId === userId) this.closePeer(peer, 'removed')
  }

  closed(): void {
    this.#end(this.#home.takedown ? 'taken_down' : 'room_closed', { actor: 'engine' })
  }

  /** What the mic needs: a guest who may no longer be heard. */
  closeSeat(seatNo: number, userId: string): void {
    for (const { peer, producerId } of this.peers.onSeat(seatNo))
      if (peer.userId === userId) this.publishing.close(peer, producerId)
  }

  /** The guest sits elsewhere; what they publish goes on. */
  moveSeat(from: number, to: number): void {
    for (const { peer, producerId, producer } of this.peers.onSeat(from))
      peer.producers.set(producerId, { ...producer, feed: { of: 'seat', seatNo: to } })
    this.show.moveSeat(from, to)
  }

  muteSeat(seatNo: number, isPaused: boolean): void {
    for (const { peer, producerId } of this.peers.onSeat(seatNo))
      this.node.tell('producer.pause', { ...this.node.of(peer), producer: producerId, isPaused })
  }

  #closeRoom(): void {
    this.node.close()
    this.#forgetPeers()
  }

  #forgetPeers(): void {
    this.#emptyAt = undefined
    const peers = [...this.peers.all()]
    this.peers.clear()
    for (const peer of peers)
      for (const [producerId, { kind, feed }] of peer.producers)
        if (feed.of === 'seat')
          this.publishing.seats?.onSeatClosed({ seatNo: feed.seatNo, userId: peer.userId, kind, producerId })
  }

  #considerEmpty(): void {
    const isEmpty = this.node.isWanted && this.peers.size === 0 && !this.show.hasTracks
    if (!isEmpty) this.#emptyAt = undefined
    else if (this.#emptyAt === undefined) {
      this.#emptyAt = this.#home.now() + emptyMsMax
      this.#home.rearm()
    }
  }

  dueAt(): number | undefined {
    return this.#emptyAt
  }

  run(): void {
    this.#closeRoom()
  }

  // ------------------------------------------------------------------ asking the node

  #sidOf({ session }: Call): string | undefined {
    return session && this.#home.presence.members.has(session.sid) ? session.sid : undefined
  }

  /** That of the session that calls, as long as it is in the room. */
  #peerOf(call: Call, isNew = false): StreamPeer | undefined {
    const sid = this.#sidOf(call)
    if (sid === undefined) return undefined
    return this.peers.get(sid) ?? (isNew ? this.peers.add(sid, call.actor.userId, 'session') : undefined)
  }

  #whenOpen(call: Call, then: (capabilities: Media) => void): void {
    if (call.session && this.#sidOf(call) === undefined) return refuse(call, 'room.not_joined')
    this.opened(call, then)
  }

  /** `then` when the node has this room. */
  opened(call: Call, then: (capabilities: Media) => void): void {
    this.node.opened(call, (capabilities) => {
      then(capabilities)
      this.#considerEmpty()
    })
  }

  /** For what a client does with things of its own. */
  #forPeer<R extends SfuRequest>(
    call: Call,
    name: R,
    ask: Omit<SfuAsk<R>, 'room' | 'peer'>,
    reply: (answer: SfuAnswer<R>) => unknown = () => ({}),
  ): void {
    const peer = this.#peerOf(call)
    if (!peer) return refuse(call, 'stream.gone')
    this.node.request({ call, peer }, name, { ...this.node.of(peer), ...ask } as unknown as SfuAsk<R>, (answer) =>
      accept(call, reply(answer)),
    )
  }

  #refuseJson(call: Call, field: string): void {
    refuse(call, 'stream.bad_params', { d: { field, hint: `${field} is no JSON object` } })
  }
}
