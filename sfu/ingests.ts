/**
 * Lines of a room that come as RTP: their ports are opened once, the same whenever the same client asks for the same line, and again when a
 * stranger had them closed or their sender fell silent.
 *
 *     const told = await ingests.open({ room, peer, line })       // where to send, and in which form
 *     ingests.onLines(lines)                                      // told of by the program: up, down
 *     ingests.close(peer)
 */
import type { types } from 'mediasoup'
import type { StreamLineShape } from '../schemas/messages.ts'
import type { Feed, Ingest, SfuAsk } from '../schemas/sfu.ts'
import { checkId, checkLine, checkOneOf } from './checks.ts'
import { type OpenIngest, openIngest } from './ingest.ts'
import { gone } from './problem.ts'
import type { Room, RoomParts } from './room.ts'

/** A stranger that knows a port would close it over and over. */
const reopenAfterMs = 1_000

interface OpenedIngest extends OpenIngest {
  readonly ask: SfuAsk<'ingest.open'>
  /** Something came since its ports were opened. */
  wasUp: boolean
}

export class Ingests {
  readonly #room: Room
  readonly #parts: Pick<RoomParts, 'options' | 'clock' | 'log'>
  /** By their peer. */
  readonly #open = new Map<string, OpenedIngest>()
  readonly #opening = new Map<string, Promise<Ingest>>()
  /** For an opening before theirs. */
  readonly #waiting = new Set<{ peer: string; isOver: boolean }>()

  constructor(room: Room, parts: Pick<RoomParts, 'options' | 'clock' | 'log'>) {
    this.#room = room
    this.#parts = parts
  }

  transportsOf(peerId: string): readonly types.Transport[] {
    return this.#open.get(peerId)?.ports.map(({ transport }) => transport) ?? []
  }

  /** Asked again by the same client for the same line: the same ports. */
  async open(ask: SfuAsk<'ingest.open'>): Promise<Ingest> {
    checkId(ask.peer, 'peer')
    checkLine(ask.line)
    checkOneOf(ask.videoCodec, [undefined, 'h264', 'vp8'], 'videoCodec')
    checkOneOf(ask.isSrtp, [undefined, true, false], 'isSrtp')
    if (this.#opening.has(ask.peer)) await this.#turn(ask.peer)
    const known = this.#open.get(ask.peer)
    if (known && known.ask.line !== ask.line) this.#room.closePeer(ask.peer)
    if (known?.ask.line !== ask.line) return this.#openPorts(ask)
    if (known.told.video.codec === (ask.videoCodec ?? 'h264')) return known.told
    // The other line may send what does not go with it: so the old ports end when the new ones are there.
    const told = await this.#openPorts(ask)
    known.close()
    return told
  }

  /** One after the other: whoever asks twice at once gets one. Who is closed meanwhile is not made anew by one who waits. */
  async #turn(peer: string): Promise<void> {
    const turn = { peer, isOver: false }
    this.#waiting.add(turn)
    for (let opening = this.#opening.get(peer); opening; opening = this.#opening.get(peer)) await opening.catch(() => undefined)
    this.#waiting.delete(turn)
    if (turn.isOver) throw gone('client')
  }

  #openPorts(ask: SfuAsk<'ingest.open'>, again?: Ingest): Promise<Ingest> {
    const opening = this.#openPortsNow(ask, again).finally(
      () => this.#opening.get(ask.peer) === opening && this.#opening.delete(ask.peer),
    )
    this.#opening.set(ask.peer, opening)
    return opening
  }

  async #openPortsNow(ask: SfuAsk<'ingest.open'>, again?: Ingest): Promise<Ingest> {
    const { peer: peerId, line, source, videoCodec = 'h264', isSrtp = false } = ask
    const peer = this.#room.peer(peerId)
    peer.isLine = true
    const { options, log } = this.#parts
    const opened = await openIngest({ place: this.#room.places.main, options, source, isSrtp, videoCodec, log, again })
    const feed: Feed = { of: 'line', line, source: 'virtual' }
    try {
      for (const { kind, transport, rtpParameters } of opened.ports)
        await this.#room.produce(peer, transport, { kind, rtpParameters, feed, via: 'rtp' })
      for (const { transport } of opened.ports) this.#room.mustBeThere(peer, transport)
    } catch (error) {
      opened.close()
      throw error
    }
    const ingest: OpenedIngest = { ...opened, ask, wasUp: false }
    this.#open.set(peerId, ingest)
    for (const { transport } of opened.ports) transport.observer.on('close', () => this.#onPortClosed(peerId, ingest))
    return opened.told
  }

  /** By a stranger: whoever it belongs to gets it back. */
  #onPortClosed(peerId: string, ingest: OpenedIngest): void {
    if (this.#open.get(peerId) !== ingest || this.#room.isOver) return
    this.#parts.clock.after(reopenAfterMs, () => {
      if (this.#open.get(peerId) === ingest) void this.#reopenPorts(peerId, ingest)
    })
  }

  /** A sender that fell silent may begin again from another port. */
  onLines(lines: readonly StreamLineShape[]): void {
    for (const [peerId, ingest] of this.#open) {
      const state = lines.find(({ line }) => line === ingest.ask.line)?.state
      if (state === 'up') ingest.wasUp = true
      else if (state === 'down' && ingest.wasUp) void this.#reopenPorts(peerId, ingest)
    }
  }

  async #reopenPorts(peerId: string, { ask, told, close }: OpenedIngest): Promise<void> {
    this.#open.delete(peerId)
    close()
    try {
      if (!this.#room.isOver && this.#room.peers.has(peerId)) await this.#openPorts(ask, told)
    } catch (error) {
      if (!this.#room.isOver) this.#parts.log.warn({ err: error, line: ask.line }, 'the ports of a line cannot be opened again')
    }
  }

  close(peerId: string): void {
    for (const turn of this.#waiting) if (turn.peer === peerId) turn.isOver = true
    const ingest = this.#open.get(peerId)
    this.#open.delete(peerId)
    ingest?.close()
  }
}
