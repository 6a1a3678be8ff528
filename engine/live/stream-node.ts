/**
 * One room of the media node, as its home uses it: opened when the first needs it, asked within bounds, forgotten when it ends.
 *
 *     node.opened(call, (rtpCapabilities) => ...)                       refused when the room is closed or media is not there
 *     node.request({ call, peer }, 'transport.create', ask, (params) => ...)
 *     node.close()
 *
 * Callbacks run only while things are as they were when the question was asked: the same room of the node, the same peer. Everything
 * else is answered here.
 */
import type { Media, SfuAnswer, SfuAsk, SfuRequest } from '../../schemas/sfu.ts'
import { type Answer, type Call, refusal, refuse } from '../room/call.ts'
import type { Home } from '../room/home.ts'
import { type MediaNode, MediaProblem } from './media.ts'
import type { StreamPeer, StreamPeers } from './stream-peers.ts'

export type Refused = Extract<Answer, { ok: false }>
export interface Asking {
  call: Call
  /** Whose it is: at most `underWayMax` of their questions are under way. */
  peer?: StreamPeer
  onRefused?: () => void
}
export interface NodeRoomParts {
  home: Home
  peers: StreamPeers
  /** Of the room itself; a room that is opened anew is told. */
  level(): number
}

const underWayMax = 16
const retryAfterMs = 5_000

export class NodeRoom {
  readonly #parts: NodeRoomParts
  readonly #media: MediaNode | undefined
  #capabilities: Promise<Media> | undefined
  #isOpen = false
  /** Counts rooms of the node: what was asked of an earlier one says nothing about this one. */
  #generation = 0

  constructor(parts: NodeRoomParts) {
    this.#parts = parts
    this.#media = parts.home.parts.media
  }

  /** Somebody asked for it. */
  get isWanted(): boolean {
    return this.#capabilities !== undefined
  }

  /** It was answered: what the node told before was about an earlier room of this name. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  get room(): { room: string } {
    return { room: this.#parts.home.id }
  }

  of(peer: StreamPeer): { room: string; peer: string } {
    return { room: this.#parts.home.id, peer: peer.id }
  }

  /** Why there is no picture now, for anybody. */
  closedFor(): Refused | undefined {
    const { home } = this.#parts
    if (!this.#media?.isReady) {
      const hint = this.#media?.waitsFor ?? 'Picture and sound are switched off in this engine.'
      return refusal('stream.unavailable', { retryAfterMs, d: { hint } })
    }
    if (home.takedown) return refusal('room.taken_down')
    return home.info.state === 'open' ? undefined : refusal('room.closed', { retryAfterMs })
  }

  opened(call: Call, then: (capabilities: Media) => void): void {
    const closed = this.closedFor()
    if (closed) return call.answer(closed)
    const generation = this.#generation
    const opening = (this.#capabilities ??= this.#open())
    this.#settled(call, opening, (answer) => {
      // The room, or the node, may have ended meanwhile.
      const isSame = generation === this.#generation
      const refused = this.closedFor() ?? (isSame ? undefined : refusal('stream.unavailable', { retryAfterMs: 500 }))
      if (refused) call.answer(refused)
      else then(answer)
    })
  }

  async #open(): Promise<Media> {
    const generation = this.#generation
    const media = this.#media as MediaNode
    try {
      const { rtpCapabilities } = await media.request('room.open', this.room)
      if (generation === this.#generation) {
        this.#isOpen = true
        const level = this.#parts.level()
        if (level > 0) media.tell('node.degrade', { ...this.room, level })
      } else if (!this.isWanted) media.tell('room.close', this.room)
      return rtpCapabilities
    } catch (error) {
      if (generation === this.#generation) this.#capabilities = undefined
      throw error
    }
  }

  request<R extends SfuRequest>(asking: Asking, name: R, ask: SfuAsk<R>, then: (answer: SfuAnswer<R>) => void): void {
    const { call, peer, onRefused } = asking
    const refused = this.#mayNotAsk(peer)
    if (refused) {
      onRefused?.()
      return call.answer(refused)
    }
    if (peer) peer.underWay++
    const asked = (this.#media as MediaNode).request(name, ask).finally(() => peer && peer.underWay--)
    const isThere = () => peer === undefined || this.#parts.peers.has(peer)
    this.#settled(call, asked, (answer) => (isThere() ? then(answer) : refuse(call, 'stream.gone')), onRefused)
  }

  #mayNotAsk(peer: StreamPeer | undefined): Refused | undefined {
    if (!this.#media) return refusal('stream.unavailable', { retryAfterMs })
    if (!this.isWanted) return refusal('stream.gone')
    return peer && peer.underWay >= underWayMax ? refusal('rate.limited', { retryAfterMs: 200 }) : undefined
  }

  /** The show alone; transports stay. `then` in any case: false when the node, or its room, is not there to do it. */
  endShow(call: Call, then: (isEnded: boolean) => void): void {
    const generation = this.#generation
    const asked = this.#isOpen && this.#media ? this.#media.request('show.end', this.room) : undefined
    const ended = asked?.then(
      () => true,
      () => false,
    )
    this.#parts.home.later(call, ended ?? Promise.resolve(false), (isEnded) => then(isEnded && generation === this.#generation))
  }

  /** What must be done and nobody waits for. */
  tell<R extends SfuRequest>(name: R, ask: SfuAsk<R>): void {
    this.#media?.tell(name, ask)
  }

  #settled<T>(call: Call, asked: Promise<T>, then: (answer: T) => void, onRefused?: () => void): void {
    const settled = asked.then(
      (answer) => () => then(answer),
      (error) => () => {
        onRefused?.()
        refuseProblem(call, error)
      },
    )
    this.#parts.home.later(call, settled, (end) => end())
  }

  close(): void {
    if (this.isWanted) this.tell('room.close', this.room)
    this.forget()
  }

  /** It is gone already. */
  forget(): void {
    this.#generation++
    this.#capabilities = undefined
    this.#isOpen = false
  }
}

function refuseProblem(call: Call, error: unknown): void {
  if (!(error instanceof MediaProblem)) throw error
  const { code, message: hint } = error
  const isLater = code === 'stream.unavailable' || code === 'stream.no_capacity'
  refuse(call, code, isLater ? { retryAfterMs } : { d: { hint } })
}
