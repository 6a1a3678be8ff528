/**
 * Shows of other rooms that can be played in a room: the opponent of a match, a co-host. One link is one way, from the room whose show it
 * is to the room where it is played, by one pipe between their main routers; nothing goes through it before somebody plays.
 *
 *     links.open(other)                                        // told: link.changed, whenever tracks of its show come or go
 *     const found = links.of(trackId)
 *     const producerId = await found?.pipe.producerOf(trackId) // at the main router of this room
 *
 * A link ends with either room. When it is the other one (closed, or its worker died) this room is told, once, and links again by itself
 * or not at all.
 */
import type { types } from 'mediasoup'
import type { MediaTrackShape } from '../schemas/messages.ts'
import type { RoomLink, SfuEvent } from '../schemas/sfu.ts'
import { Pipe } from './pipe.ts'
import { gone, SfuProblem } from './problem.ts'

/** Of one room, to others and from others: a stage has nine seats. */
export const linksMax = 8

export interface Track {
  shape: MediaTrackShape
  readonly producer: types.Producer
}
/** What a link needs of a room. */
export interface LinkedRoom {
  readonly id: string
  readonly links: Links
  readonly places: { readonly main: { readonly router: types.Router } }
  /** Tracks of its own show. */
  readonly show: readonly Track[]
}
interface Link {
  readonly from: LinkedRoom
  readonly pipe: Pipe
}

export class Links {
  readonly #room: LinkedRoom
  readonly #emit: (event: SfuEvent) => void
  /** By the room whose show it is. */
  readonly #incoming = new Map<string, Link>()
  /** Where ours is played. */
  readonly #outgoing = new Set<Links>()

  constructor(room: LinkedRoom, emit: (event: SfuEvent) => void) {
    this.#room = room
    this.#emit = emit
  }

  get size(): number {
    return this.#incoming.size
  }

  describe(): RoomLink[] {
    return [...this.#incoming.values()].map(({ from }) => describeLink(from))
  }

  open(from: LinkedRoom): RoomLink {
    if (from === this.#room) throw new SfuProblem('stream.bad_params', 'from: another room')
    if (!this.#incoming.has(from.id)) this.#open(from)
    return describeLink(from)
  }

  #open(from: LinkedRoom): void {
    const { router } = this.#room.places.main
    if (router.closed || from.places.main.router.closed) throw gone('room')
    if (this.#incoming.size >= linksMax || from.links.#outgoing.size >= linksMax)
      throw new SfuProblem('stream.no_capacity', `a room has at most ${linksMax} links to others, and as many from others`)
    this.#incoming.set(from.id, { from, pipe: new Pipe({ from: from.places.main.router, to: router }) })
    from.links.#outgoing.add(this)
  }

  /** By whoever asked for it: nothing is told of it, but who plays its tracks. */
  close(fromId: string): void {
    const link = this.#incoming.get(fromId)
    if (!link) return
    this.#incoming.delete(fromId)
    link.from.links.#outgoing.delete(this)
    link.pipe.close()
  }

  /** The link that brings a track of another room's show. */
  of(trackId: string): { pipe: Pipe; track: Track } | undefined {
    for (const { from, pipe } of this.#incoming.values()) {
      const track = from.show.find(({ shape }) => shape.id === trackId)
      if (track) return { pipe, track }
    }
    return undefined
  }

  /** A track of our show came or went. */
  onShow(): void {
    const link = describeLink(this.#room)
    for (const other of this.#outgoing) other.#emit({ t: 'link.changed', room: other.#room.id, ...link })
  }

  /** Our room ends. */
  end(reason: string): void {
    for (const from of [...this.#incoming.keys()]) this.close(from)
    for (const other of [...this.#outgoing]) {
      other.close(this.#room.id)
      other.#emit({ t: 'link.closed', room: other.#room.id, from: this.#room.id, reason })
    }
  }
}

const describeLink = ({ id, show }: LinkedRoom): RoomLink => ({ from: id, tracks: show.map(({ shape }) => shape) })
