/**
 * WHIP (RFC 9725): a client sends its offer, and what it sends is a line of the show or a guest's seat.
 *
 *     const { transport, body, lead } = await openWhip(room, peer, { offer: readOffer(sdp), feed })
 *
 * All or nothing: a sound or a picture that we cannot take refuses the whole offer, so that nobody believes to be live with both. Of the
 * codecs that fit, the one that viewers have already, else the one that the client names first.
 */
import type { types } from 'mediasoup'
import type { Feed, Media, MediaKind } from '../schemas/sfu.ts'
import type { Peer } from './peer.ts'
import { SfuProblem } from './problem.ts'
import type { Room } from './room.ts'
import type { Offer, OfferedSection } from './sdp.ts'
import { type AnswerSection, clientRole, type Lead, leadOf, writeAnswer } from './sdp-answer.ts'
import { matchCodecs, midUri, ridUri, sentExtensions } from './sdp-codecs.ts'

export interface Opened {
  transport: types.WebRtcTransport
  body: string
  lead: Lead
}
interface Sending {
  kind: MediaKind
  rtpParameters: Media
  answer: AnswerSection
}

export async function openWhip(room: Room, peer: Peer, { offer, feed }: { offer: Offer; feed: Feed }): Promise<Opened> {
  const plan = planWhip(room, offer)
  peer.isLine = feed.of === 'line'
  const transport = await room.openTransport(peer, 'send')
  await transport.connect({ dtlsParameters: { role: clientRole(offer), fingerprints: [offer.fingerprint] } })
  for (const sending of plan) {
    if (!sending) continue
    const { kind, rtpParameters } = sending
    await room.produce(peer, transport, { kind, rtpParameters, feed, via: 'whip' })
  }
  const answers = plan.map((sending) => sending?.answer)
  return { transport, body: writeAnswer(offer, transport, answers), lead: leadOf(offer, answers) }
}

/** One entry a section; undefined: not taken, as a data channel. */
export function planWhip(room: Pick<Room, 'rtpCapabilities' | 'tracks'>, { sections }: Offer): (Sending | undefined)[] {
  const sending = sections.filter(({ sends }) => sends)
  if (sending.length === 0) throw new SfuProblem('stream.bad_params', 'SDP: nothing is sent')
  if (new Set(sending.map(({ kind }) => kind)).size < sending.length)
    throw new SfuProblem('stream.bad_params', 'SDP: more than one sound or more than one picture')
  return sections.map((section) => (section.sends ? planSection(room, section) : undefined))
}

function planSection(room: Pick<Room, 'rtpCapabilities' | 'tracks'>, section: OfferedSection): Sending {
  const router = room.rtpCapabilities as types.RtpCapabilities
  const kind = section.kind as MediaKind
  const matches = matchCodecs(section, router)
  const shown = room.tracks.find(({ shape }) => shape.source === 'main' && shape.kind === kind)
  const shownType = shown?.producer.rtpParameters.codecs[0]?.payloadType
  const match = matches.find(({ routerPayloadType }) => routerPayloadType === shownType) ?? matches[0]
  if (!match) throw new SfuProblem('stream.codec', `${kind}: none of the codecs is taken; opus, VP8 and H264 are`)
  const [main, rtx] = match.codecs
  const headerExtensions = sentExtensions(section, router)
  const codecs = rtx ? [main, rtx] : [main]
  const { encodings, rids } = encodingsOf(section, { main, hasRtx: rtx !== undefined, headerExtensions })
  const { mid, cname } = section
  return {
    kind,
    rtpParameters: {
      mid,
      codecs,
      headerExtensions,
      encodings,
      rtcp: { ...(cname === undefined ? {} : { cname }), reducedSize: true },
    },
    answer: { direction: 'recvonly', codecs: codecs.map(answered), headerExtensions, rids },
  }
}

interface Sent {
  main: types.RtpCodecParameters
  hasRtx: boolean
  headerExtensions: readonly { uri: string }[]
}

/** By the layers that are named, else by the streams that are, else by the mid in each packet. */
function encodingsOf(section: OfferedSection, { main, hasRtx, headerExtensions }: Sent) {
  const { rids, streams } = section
  const [hasMid, hasRid] = [midUri, ridUri].map((wanted) => headerExtensions.some(({ uri }) => uri === wanted))
  if (rids.length > 0 && hasMid && hasRid) {
    // Browsers make three layers in time of each layer of VP8, and of no other.
    const isLayered = rids.length > 1 && /vp8$/i.test(main.mimeType)
    return { rids, encodings: worstFirst(rids).map((rid) => ({ rid, ...(isLayered ? { scalabilityMode: 'L1T3' } : {}) })) }
  }
  if (streams.length > 0) {
    const encodings = streams.map(({ ssrc, rtxSsrc }) => ({ ssrc, ...(rtxSsrc && hasRtx ? { rtx: { ssrc: rtxSsrc } } : {}) }))
    return { rids: [], encodings }
  }
  if (!hasMid) throw new SfuProblem('stream.bad_params', `SDP: the streams of ${section.mid} have neither a=ssrc nor mid nor rid`)
  return { rids: [], encodings: [{}] }
}

const usualNames: readonly (readonly string[])[] = [
  ['l', 'm', 'h'],
  ['q', 'h', 'f'],
  ['low', 'mid', 'high'],
  ['low', 'medium', 'high'],
]

/** Layers by the names that everybody gives them; with others the first is the best, as the order of `a=simulcast` says. */
export function worstFirst(rids: readonly string[]): string[] {
  const names = usualNames.find((usual) => rids.every((rid) => usual.includes(rid.toLowerCase())))
  if (!names) return rids.toReversed()
  return rids.toSorted((a, b) => names.indexOf(a.toLowerCase()) - names.indexOf(b.toLowerCase()))
}

/** What is said of a codec in an answer is what we want to get: sound in stereo if the client has it. */
function answered(codec: types.RtpCodecParameters): types.RtpCodecParameters {
  if (codec.mimeType.toLowerCase() !== 'audio/opus') return codec
  const {
    minptime,
    useinbandfec,
    usedtx,
    stereo,
    'sprop-stereo': sent,
  } = (codec.parameters ?? {}) as Record<string, number | undefined>
  const wanted = { minptime, useinbandfec: useinbandfec ?? 1, usedtx, stereo: sent || stereo ? 1 : undefined }
  return { ...codec, parameters: Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined)) }
}
