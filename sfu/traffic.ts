/**
 * What a room moves, from the transports' own counts: bits a second since each was counted last.
 *
 * Each count is a request to a worker. Publishers are counted each time, since what they may send is bounded; viewers as far as the
 * budget goes, those first that waited longest, and the others are taken to get what they got before.
 *
 *     const sample = await sampleRoom(room, elapsedMs(), { left: 500 })
 */
import type { types } from 'mediasoup'
import { elapsedMs } from '../engine/base/clock.ts'
import type { RoomSample } from '../schemas/sfu.ts'
import type { Peer } from './peer.ts'
import type { Room } from './room.ts'

interface Count {
  atMs: number
  sent: number
  received: number
  sentBps: number
  receivedBps: number
}
const counts = new WeakMap<types.Transport, Count>()
const rooms = new WeakMap<Room, number>()

/** Under way at once: a worker answers one after the other, and other requests want their turn. */
const atOnceMax = 50
/** Above this part of what it may, for this time, a publisher is cut: what it is told it does not hear. */
const overPart = 1.5
const overMsMax = 5_000

/** Undefined for the first sample of a room. */
export async function sampleRoom(room: Room, nowMs: number, budget: { left: number }): Promise<RoomSample | undefined> {
  const since = rooms.get(room) ?? nowMs
  rooms.set(room, nowMs)
  const incoming = [...room.incoming()]
  const senders = incoming.flatMap(([, transports]) => transports)
  const viewers = [...room.peers.values()].flatMap((peer) => [...peer.transports.values()].map(({ transport }) => transport))
  const outgoing = viewers.filter(({ appData }) => appData['direction'] !== 'send')
  for (const transport of [...senders, ...outgoing]) if (!counts.has(transport)) counts.set(transport, newCount(since))
  await countAll([...senders, ...longestAgo(outgoing, Math.max(0, budget.left - senders.length))], budget)
  for (const [peer, transports] of incoming) mind(room, peer, transports, since)
  if (since === nowMs) return undefined
  const all = [...senders, ...outgoing].map((transport) => counts.get(transport) as Count)
  return {
    room: room.id,
    egressBps: sum(all.map(({ sentBps }) => sentBps)),
    ingressBps: sum(all.map(({ receivedBps }) => receivedBps)),
    peers: room.peers.size,
    consumers: [...room.peers.values()].reduce((count, { consumers }) => count + consumers.size, 0),
    ...(room.program.avSkewMs === undefined ? {} : { avSkewMs: room.program.avSkewMs }),
  }
}

const newCount = (atMs: number): Count => ({ atMs, sent: 0, received: 0, sentBps: 0, receivedBps: 0 })
const sum = (rates: readonly number[]): number => Math.round(rates.reduce((total, rate) => total + rate, 0))

function longestAgo(transports: readonly types.Transport[], count: number): readonly types.Transport[] {
  if (transports.length <= count) return transports
  const atOf = (transport: types.Transport) => counts.get(transport)?.atMs ?? 0
  return transports.toSorted((a, b) => atOf(a) - atOf(b)).slice(0, count)
}

async function countAll(transports: readonly types.Transport[], budget: { left: number }): Promise<void> {
  budget.left -= transports.length
  for (let at = 0; at < transports.length; at += atOnceMax) await Promise.all(transports.slice(at, at + atOnceMax).map(countOne))
}

async function countOne(transport: types.Transport): Promise<void> {
  const last = counts.get(transport) as Count
  if (transport.closed) return
  // It may close while it is asked.
  const [stat] = (await transport.getStats().catch(() => [])) as { bytesSent: number; bytesReceived: number }[]
  const atMs = elapsedMs()
  if (!stat || atMs <= last.atMs) return
  const { bytesSent: sent, bytesReceived: received } = stat
  const perS = (bytes: number) => Math.max(0, (bytes * 8_000) / (atMs - last.atMs))
  counts.set(transport, { atMs, sent, received, sentBps: perS(sent - last.sent), receivedBps: perS(received - last.received) })
}

function mind(room: Room, peer: Peer, transports: readonly types.Transport[], sinceMs: number): void {
  const bps = sum(transports.map((transport) => counts.get(transport)?.receivedBps ?? 0))
  if (bps <= room.bitrateMax * overPart) {
    peer.overBitrateSinceMs = undefined
    return
  }
  peer.overBitrateSinceMs ??= sinceMs
  if (elapsedMs() - peer.overBitrateSinceMs >= overMsMax) room.cutForBitrate(peer)
}
