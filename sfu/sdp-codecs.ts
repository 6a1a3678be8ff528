/** Which of the codecs that a client offers the room has, in the words of both: payload types, retransmission, feedback, extensions. */
import type { types } from 'mediasoup'
import { getExtendedRtpCapabilities } from 'mediasoup-client/ortc'
import type { OfferedSection } from './sdp.ts'

export interface CodecMatch {
  /** As the client has it, with its payload type, and the one for retransmission behind it. */
  codecs: [main: types.RtpCodecParameters, rtx?: types.RtpCodecParameters]
  /** Payload type in the room's routers. */
  routerPayloadType: number
}

/** In the order that the client prefers. */
export function matchCodecs({ codecs }: OfferedSection, router: types.RtpCapabilities): CodecMatch[] {
  // It writes what both agreed on (profile and level of H264) into both.
  const local = structuredClone({ codecs, headerExtensions: [] })
  const remote = structuredClone({ codecs: router.codecs ?? [], headerExtensions: [] })
  return getExtendedRtpCapabilities(local as never, remote as never, true).codecs.map((match) => {
    const { mimeType, clockRate, channels, localPayloadType, localRtxPayloadType, rtcpFeedback } = match
    const main = {
      ...{ mimeType, payloadType: localPayloadType, clockRate },
      ...(channels === undefined ? {} : { channels }),
      parameters: match.localParameters,
      rtcpFeedback,
    } as types.RtpCodecParameters
    const routerPayloadType = match.remotePayloadType as number
    if (localRtxPayloadType === undefined) return { codecs: [main], routerPayloadType }
    const rtx = { mimeType: 'video/rtx', payloadType: localRtxPayloadType, clockRate, parameters: { apt: localPayloadType } }
    return { codecs: [main, { ...rtx, rtcpFeedback: [] } as types.RtpCodecParameters], routerPayloadType }
  })
}

export const midUri = 'urn:ietf:params:rtp-hdrext:sdes:mid'
export const ridUri = 'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id'
/**
 * The dependency descriptor tells nothing of VP8 and H264. The orientation would reach viewers under a number that most of them do not
 * know, and a phone held upright be shown lying: without it the sender turns the picture itself.
 */
const notTaken = new Set([
  'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension',
  'urn:3gpp:video-orientation',
])

/** Those that the client may send, under its own numbers. */
export function sentExtensions({ kind, headerExtensions }: OfferedSection, router: types.RtpCapabilities) {
  const taken = headerExtensions.filter(({ uri }) => {
    return !notTaken.has(uri) && router.headerExtensions?.some((one) => one.uri === uri && one.kind === kind && isReceived(one))
  })
  return taken.map(({ uri, preferredId }) => ({ uri: uri as types.RtpHeaderExtensionUri, id: preferredId }))
}

const isReceived = ({ direction }: types.RtpHeaderExtension) => direction !== 'sendonly' && direction !== 'inactive'

/** Those that we send: their numbers are fixed, so only where the client happens to have the same. */
export function receivedExtensions(
  { kind, headerExtensions }: OfferedSection,
  router: types.RtpCapabilities,
): types.RtpHeaderExtension[] {
  return (router.headerExtensions ?? []).filter((one) => {
    const isSame = headerExtensions.some(({ uri, preferredId }) => uri === one.uri && preferredId === one.preferredId)
    return one.kind === kind && isSame && (one.direction === 'sendrecv' || one.direction === 'sendonly')
  })
}
