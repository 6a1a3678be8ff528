/**
 * What a room moves, from the transports' own counts: bits a second since each was counted last.
 *
 * Each count is a request to a worker. Publishers are counted each time, since what they may send is bounded; viewers as far as the
 * budget goes, those first that waited longest, and the others are taken to get what they got before, or what the others get. Who leaves
 * is asked a last time.
 *
 *     const traffic = new Traffic()
 *     traffic.opened(transport)                                     // of a viewer
 *     traffic.leaves(transport)                                     // just before it is closed
 *     const sample = await traffic.sample(room, { left: 500 })
 */
import type { types } from 'mediasoup'
import { elapsedMs } from '../engine/base/clock.ts'
import type { RoomSample } from '../schemas/sfu.ts'
import type { Peer } from './peer.ts'
import type { Room } from './room.ts'

/** What is looked at of a room. */
export type SampledRoom = Pick<Room, 'id' | 'bitrateMax' | 'incoming' | 'cutForBitrate'> & {
  readonly peers: ReadonlyMap<string, Pick<Peer, 'transports' | 'consumers'>>
  readonly links: { readonly size: number }
  readonly program: { readonly avSkewMs: number | undefined; takeLoss(): { overflows: number; dropped: number } }
}
interface Count {
  /** When it was counted, and what it had moved. */
  atMs: number
  sent: number
  received: number
  /** Of what it sent since then, as much has been told already: a guess, made good when it is counted. */
  guessedBits: number
  /** Undefined until it is counted. */
  sentBps: number | undefined
  receivedBps: number
}

/** Under way at once: a worker answers one after the other, and other requests want their turn. */
const atOnceMax = 50
/** Above this part of what it may, for this time, a publisher is cut: what it is told it does not hear. */
const overPart = 1.5
const overMsMax = 5_000

export class Traffic {
  readonly #counts = new WeakMap<types.Transport, Count>()
  #sinceMs: number | undefined
  /** To viewers since then. */
  #bits = 0
  /** Of one viewer. */
  #meanBps = 0

  opened(transport: types.Transport): void {
    this.#counts.set(transport, newCount(elapsedMs()))
  }

  /** The worker answers this before it closes it. */
  leaves(transport: types.Transport): void {
    if (this.#counts.has(transport)) void this.#countOne(transport)
  }

  /** Undefined for the first sample of a room. */
  async sample(room: SampledRoom, budget: { left: number }): Promise<RoomSample | undefined> {
    const nowMs = elapsedMs()
    const sinceMs = this.#sinceMs
    const incoming = [...room.incoming()]
    const senders = incoming.flatMap(([, transports]) => transports)
    const viewers = [...room.peers.values()].flatMap((peer) => [...peer.transports.values()].map(({ transport }) => transport))
    const outgoing = viewers.filter(({ appData }) => appData['direction'] !== 'send')
    await this.#countAll([...senders, ...this.#longestAgo(outgoing, Math.max(0, budget.left - senders.length))], budget)
    for (const [peer, transports] of incoming) this.#mind(room, peer, transports)
    this.#sinceMs = nowMs
    this.#guess(outgoing, nowMs, sinceMs ?? nowMs)
    const bits = this.#bits
    this.#bits = 0
    if (sinceMs === undefined || nowMs <= sinceMs) return undefined
    return {
      room: room.id,
      egressBps: Math.max(0, Math.round((bits * 1_000) / (nowMs - sinceMs))),
      ingressBps: Math.round(sum(senders.map((transport) => this.#countOf(transport).receivedBps))),
      peers: room.peers.size,
      consumers: sum([...room.peers.values()].map(({ consumers }) => consumers.size)),
      links: room.links.size,
      ...room.program.takeLoss(),
      ...(room.program.avSkewMs === undefined ? {} : { avSkewMs: room.program.avSkewMs }),
    }
  }

  /** For those whose turn has not come. */
  #guess(transports: readonly types.Transport[], nowMs: number, sinceMs: number): void {
    const counts = transports.flatMap((transport) => (transport.closed ? [] : [this.#countOf(transport)]))
    this.#meanBps = mean(counts.flatMap(({ sentBps }) => (sentBps === undefined ? [] : [sentBps])))
    for (const count of counts) {
      if (count.atMs >= nowMs) continue
      const bits = ((count.sentBps ?? this.#meanBps) * (nowMs - Math.max(sinceMs, count.atMs))) / 1_000
      count.guessedBits += bits
      this.#bits += bits
    }
  }

  #countOf(transport: types.Transport): Count {
    let count = this.#counts.get(transport)
    if (!count) {
      count = newCount(this.#sinceMs ?? elapsedMs())
      this.#counts.set(transport, count)
    }
    return count
  }

  #longestAgo(transports: readonly types.Transport[], most: number): readonly types.Transport[] {
    if (transports.length <= most) return transports
    return transports.toSorted((a, b) => this.#countOf(a).atMs - this.#countOf(b).atMs).slice(0, most)
  }

  async #countAll(transports: readonly types.Transport[], budget: { left: number }): Promise<void> {
    budget.left -= transports.length
    for (let at = 0; at < transports.length; at += atOnceMax)
      await Promise.all(transports.slice(at, at + atOnceMax).map((transport) => this.#countOne(transport)))
  }

  async #countOne(transport: types.Transport): Promise<void> {
    const count = this.#countOf(transport)
    if (transport.closed) return
    // It may close while it is asked.
    const [stat] = (await transport.getStats().catch(() => [])) as { bytesSent: number; bytesReceived: number }[]
    if (!stat) return
    const atMs = elapsedMs()
    const overMs = atMs - count.atMs
    const { bytesSent: sent, bytesReceived: received } = stat
    const [sentBits, receivedBits] = [(sent - count.sent) * 8, (received - count.received) * 8]
    if (transport.appData['direction'] === 'recv') this.#bits += sentBits - count.guessedBits
    const rates = overMs > 0 ? { sentBps: (sentBits * 1_000) / overMs, receivedBps: (receivedBits * 1_000) / overMs } : {}
    Object.assign(count, { atMs, sent, received, guessedBits: 0, ...rates })
  }

  #mind(room: SampledRoom, peer: Peer, transports: readonly types.Transport[]): void {
    const bps = sum(transports.map((transport) => this.#countOf(transport).receivedBps))
    if (bps <= room.bitrateMax * overPart) {
      peer.overBitrateSinceMs = undefined
      return
    }
    peer.overBitrateSinceMs ??= this.#sinceMs ?? elapsedMs()
    if (elapsedMs() - peer.overBitrateSinceMs >= overMsMax) room.cutForBitrate(peer)
  }
}

const newCount = (atMs: number): Count => {
  return { atMs, sent: 0, received: 0, guessedBits: 0, sentBps: undefined, receivedBps: 0 }
}
const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)
const mean = (numbers: readonly number[]): number => (numbers.length === 0 ? 0 : sum(numbers) / numbers.length)
