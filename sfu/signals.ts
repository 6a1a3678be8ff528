/**
 * WHIP and WHEP of one room as requests and answers: who has which resource, and when it ends. Each answer is one of HTTP.
 *
 *     POST    whip, whep     201 with resource and etag; 400 bad SDP; 409 line taken, or nothing live; 422 no codec; 503 no place
 *     PATCH   patch          204 trickle; 200 restart of ICE; 400, 404, 412 wrong etag, 428 none
 *     DELETE  close          200; 404
 *
 * A client is a peer of its own: asked again for the same peer, what it had before ends. Its resource is its transport: whatever ends that
 * (DELETE, its DTLS or ICE, the room, the worker, a client that never connects) forgets the resource and closes the peer.
 */
import { randomBytes } from 'node:crypto'
import type { types } from 'mediasoup'
import type { Clock } from '../engine/base/clock.ts'
import type { MediaTrackShape } from '../schemas/messages.ts'
import type { MediaKind, SfuAsk, SfuError, SignalAnswer } from '../schemas/sfu.ts'
import { Layouts } from './layouts.ts'
import type { Peer } from './peer.ts'
import { asProblem, gone, SfuProblem } from './problem.ts'
import type { Room } from './room.ts'
import { readFragment, readOffer } from './sdp.ts'
import { type Lead, writeFragment } from './sdp-answer.ts'
import { NotLive, type OpenedWhep, openWhep } from './whep.ts'
import { LayerChoice } from './whep-layers.ts'
import { type Opened, openWhip } from './whip.ts'

interface Resource {
  readonly peer: Peer
  readonly transport: Opened['transport']
  readonly lead: Lead
  readonly waitsFor: ReadonlySet<MediaKind>
  ufrag: string
  etag: string
}
type OpenResource = Opened & Partial<Pick<OpenedWhep, 'layout' | 'consumers' | 'waitsFor'>>

/** From the answer to the end of the DTLS handshake. */
export const connectMsMax = 30_000
const busyRetryS = 5
const sdpType = 'application/sdp'
const fragmentType = 'application/trickle-ice-sdpfrag'
const statuses: Readonly<Record<SfuError['code'], number>> = {
  'stream.bad_params': 400,
  'stream.gone': 404,
  'stream.line_taken': 409,
  'stream.codec': 422,
  'stream.no_capacity': 503,
  'stream.unavailable': 503,
}

/** What went wrong, as an answer; the body is for people and for logs. */
export function refusal(error: unknown): SignalAnswer {
  const { code, message } = asProblem(error)
  if (error instanceof NotLive) return { ...problem(409, code, message), retryAfterS: NotLive.retryAfterS }
  const status = statuses[code]
  return { ...problem(status, code, message), ...(status === 503 ? { retryAfterS: busyRetryS } : {}) }
}

function problem(status: number, code: SfuError['code'], detail: string): SignalAnswer {
  return { status, code, contentType: 'application/problem+json', body: JSON.stringify({ title: code, status, detail }) }
}

const newId = () => randomBytes(18).toString('base64url')
const newEtag = () => `"${randomBytes(9).toString('base64url')}"`

export class Signals {
  readonly layouts: Layouts
  readonly #room: Room
  readonly #clock: Clock
  readonly #resources = new Map<string, Resource>()

  constructor(room: Room, clock: Clock) {
    this.#room = room
    this.#clock = clock
    this.layouts = new Layouts(room.places)
  }

  get size(): number {
    return this.#resources.size
  }

  whip({ peer, feed, sdp }: SfuAsk<'whip.offer'>): Promise<SignalAnswer> {
    return this.#open(peer, sdp, (own, offer) => openWhip(this.#room, own, { offer, feed }))
  }

  whep({ peer, sdp }: SfuAsk<'whep.offer'>): Promise<SignalAnswer> {
    return this.#open(peer, sdp, (own, offer) => openWhep(this.#room, own, { offer, layouts: this.layouts }))
  }

  async #open(
    peerId: string,
    sdp: unknown,
    open: (peer: Peer, offer: ReturnType<typeof readOffer>) => Promise<OpenResource>,
  ): Promise<SignalAnswer> {
    const offer = readOffer(sdp)
    this.#room.closePeer(peerId)
    const peer = this.#room.peer(peerId)
    try {
      const opened = await open(peer, offer)
      const resource = { peer, lead: opened.lead, transport: opened.transport, ufrag: offer.ufrag, etag: newEtag() }
      const id = this.#keep({ ...resource, waitsFor: opened.waitsFor ?? new Set() }, opened)
      return { status: 201, body: opened.body, contentType: sdpType, resource: id, etag: resource.etag }
    } catch (error) {
      this.#closePeer(peer)
      throw error
    }
  }

  #keep(resource: Resource, { layout, consumers = [] }: OpenResource): string {
    const { transport, peer } = resource
    const id = newId()
    const choices = consumers.flatMap((consumer) => this.#chooseLayers(peer, consumer))
    const waiting = this.#clock.after(connectMsMax, () => transport.dtlsState !== 'connected' && peer.closeTransport(transport))
    const end = () => {
      waiting.cancel()
      for (const choice of choices) choice.close()
      layout?.release()
      this.#resources.delete(id)
      // Not before those who also listen have told of it.
      queueMicrotask(() => this.#closePeer(peer))
    }
    this.#resources.set(id, resource)
    transport.observer.on('close', end)
    for (const consumer of consumers) consumer.on('producerclose', () => peer.closeTransport(transport))
    // It may have ended while the last step was waited for.
    if (transport.closed || consumers.some(({ closed }) => closed)) {
      peer.closeTransport(transport)
      end()
      throw gone('client')
    }
    return id
  }

  #chooseLayers(peer: Peer, consumer: types.Consumer): LayerChoice[] {
    const layers = peer.consumers.get(consumer.id)?.layers ?? 1
    if (consumer.kind !== 'video' || layers < 2) return []
    const of = { room: this.#room.id, peer: peer.id, consumer: consumer.id }
    // It may be closing: then no layer is needed.
    const choose = (spatial: number) => void this.#room.setLayers({ ...of, spatial }).catch(() => undefined)
    const isHeld = (): boolean => consumer.paused || (consumer.preferredLayers?.spatialLayer ?? layers) < choice.spatial
    const choice = new LayerChoice({ layers, clock: this.#clock, choose, isHeld })
    choose(choice.spatial)
    consumer.on('layerschange', () => choice.switched())
    consumer.on('score', ({ score }) => choice.heard(score))
    return [choice]
  }

  #closePeer(peer: Peer): void {
    if (this.#room.peers.get(peer.id) === peer) this.#room.closePeer(peer.id)
  }

  /** A track of the show came that some viewers have room for. */
  onTrack({ source, kind }: MediaTrackShape): void {
    if (source !== 'main') return
    for (const { waitsFor, peer, transport } of [...this.#resources.values()])
      if (waitsFor.has(kind as MediaKind)) peer.closeTransport(transport)
  }

  async patch({ resource: id, fragment: text, etag }: SfuAsk<'signal.patch'>): Promise<SignalAnswer> {
    const resource = this.#known(id)
    const { ufrag, pwd } = readFragment(text)
    if (etag === undefined || etag === '') return problem(428, 'stream.bad_params', 'If-Match is missing')
    if (!isMatch(etag, resource.etag)) return problem(412, 'stream.bad_params', 'another ICE session is current')
    if (ufrag === undefined || ufrag === resource.ufrag) return { status: 204 }
    if (pwd === undefined) throw new SfuProblem('stream.bad_params', 'SDP: a restart needs ice-ufrag and ice-pwd')
    return this.#restart(resource, ufrag)
  }

  async #restart(resource: Resource, ufrag: string): Promise<SignalAnswer> {
    const { transport, lead } = resource
    await transport.restartIce()
    resource.ufrag = ufrag
    resource.etag = newEtag()
    return { status: 200, body: writeFragment(lead, transport), contentType: fragmentType, etag: resource.etag }
  }

  end({ resource: id }: SfuAsk<'signal.close'>): SignalAnswer {
    const { peer, transport } = this.#known(id)
    peer.closeTransport(transport)
    return { status: 200 }
  }

  #known(id: unknown): Resource {
    const resource = this.#resources.get(id as string)
    if (!resource) throw gone('resource')
    return resource
  }

  close(): void {
    this.layouts.close()
  }
}

/** If-Match compares strongly: a weak tag fits nothing. */
function isMatch(header: unknown, etag: string): boolean {
  if (typeof header !== 'string' || header.length > 1_024) return false
  return header.split(',').some((one) => one.trim() === '*' || one.trim() === etag)
}
