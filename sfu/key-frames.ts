/**
 * Where a picture begins that needs none before it, read from RTP payloads: VP8 (RFC 7741) and H264 (RFC 6184).
 *
 *     isKeyPacket('video/VP8', packet)
 */

/** Behind fixed header, sources and extension; without padding. Undefined: no RTP, or nothing in it. */
export function payloadOf(packet: Buffer): Buffer | undefined {
  if (packet.length < 12 || packet.readUInt8(0) >> 6 !== 2) return undefined
  const first = packet.readUInt8(0)
  let at = 12 + (first & 0x0f) * 4
  if (first & 0x10) {
    if (packet.length < at + 4) return undefined
    at += 4 + packet.readUInt16BE(at + 2) * 4
  }
  const padding = first & 0x20 ? packet.readUInt8(packet.length - 1) : 0
  return at < packet.length - padding ? packet.subarray(at, packet.length - padding) : undefined
}

export function isKeyPacket(mimeType: string, packet: Buffer): boolean {
  const payload = payloadOf(packet)
  if (!payload) return false
  return mimeType.toLowerCase() === 'video/h264' ? isH264Key(payload) : isVp8Key(payload)
}

/** The first packet of a frame whose first partition says that it is a key frame. */
function isVp8Key(payload: Buffer): boolean {
  const first = payload[0] ?? 0
  const isStart = (first & 0x10) !== 0 && (first & 0x07) === 0
  if (!isStart) return false
  let at = 1
  if (first & 0x80) {
    const extended = payload[at++] ?? 0
    if (extended & 0x80) at += (payload[at] ?? 0) & 0x80 ? 2 : 1
    if (extended & 0x40) at++
    if (extended & 0x30) at++
  }
  return at < payload.length && ((payload[at] as number) & 0x01) === 0
}

const idr = 5
const sps = 7
const stapA = 24
const fuA = 28

/** Parameter sets come right before the picture that needs them, with its time. */
function isH264Key(payload: Buffer): boolean {
  const type = (payload[0] ?? 0) & 0x1f
  if (type === idr || type === sps) return true
  if (type === fuA) return ((payload[1] ?? 0) & 0x80) !== 0 && ((payload[1] ?? 0) & 0x1f) === idr
  if (type !== stapA) return false
  for (let at = 1; at + 2 < payload.length; ) {
    const size = payload.readUInt16BE(at)
    const inner = (payload[at + 2] ?? 0) & 0x1f
    if (inner === idr || inner === sps) return true
    at += 2 + size
  }
  return false
}
