/** What a room moves, from the transports' own counts: bits a second since the sample before. */
import type { RoomSample } from '../schemas/sfu.ts'
import type { Room } from './room.ts'

interface Before {
  sent: number
  received: number
}
const before = new WeakMap<object, Before>()
const rooms = new WeakMap<Room, number>()

/** Undefined for the first sample of a room. */
export async function sampleRoom(room: Room, nowMs: number): Promise<RoomSample | undefined> {
  const since = rooms.get(room)
  rooms.set(room, nowMs)
  let [sent, received, consumers] = [0, 0, 0]
  for (const peer of [...room.peers.values()]) {
    consumers += peer.consumers.size
    for (const { transport } of [...peer.transports.values()]) {
      if (transport.closed) continue
      const [stat] = await transport.getStats().catch(() => [])
      if (!stat) continue
      const last = before.get(transport) ?? { sent: 0, received: 0 }
      sent += stat.bytesSent - last.sent
      received += stat.bytesReceived - last.received
      before.set(transport, { sent: stat.bytesSent, received: stat.bytesReceived })
    }
  }
  if (since === undefined || nowMs <= since) return undefined
  const perS = (bytes: number) => Math.round((bytes * 8_000) / (nowMs - since))
  return { room: room.id, egressBps: perS(sent), ingressBps: perS(received), peers: room.peers.size, consumers }
}
