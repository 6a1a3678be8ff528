/**
 * Offers of WHIP and WHEP clients, and fragments of trickle ICE, read from SDP that anybody may have written.
 *
 *     const offer = readOffer(body)                 // throws SfuProblem stream.bad_params, nothing else
 *     offer.sections.filter(({ sends }) => sends)
 *     const { ufrag, pwd } = readFragment(body)
 *
 * Only attributes that are used here reach the parser, each line and each list is bounded, and everything that it found is brought
 * into one form: it makes numbers of texts that look like them. Clients differ: GStreamer offers `m=audio 0` with `a=bundle-only`, which
 * is no refusal, writes OPUS in capitals and has no header extensions; others leave out the streams (`a=ssrc`) or the group.
 */
import type { types } from 'mediasoup'
import { type MediaDescription, parse, parseParams, type SessionDescription } from 'sdp-transform'
import type { MediaKind } from '../schemas/sfu.ts'
import { SfuProblem } from './problem.ts'

export interface OfferedSection {
  /** Undefined: neither sound nor picture, as a data channel. */
  kind: MediaKind | undefined
  type: string
  protocol: string
  /** As they stand in its first line. */
  payloads: string
  mid: string
  /** By the client itself, or because it stands outside the group that shares one transport. */
  isRefused: boolean
  sends: boolean
  receives: boolean
  /** With those for retransmission. */
  codecs: types.RtpCodecCapability[]
  /** What the client wrote about a codec, by payload type. */
  formats: ReadonlyMap<number, string>
  headerExtensions: { kind: MediaKind; uri: string; preferredId: number }[]
  /** Of its simulcast, the best first. */
  rids: readonly string[]
  /** Its streams, of several (older) simulcast the worst first. */
  streams: readonly { ssrc: number; rtxSsrc: number | undefined }[]
  cname: string | undefined
}
export interface Offer {
  ufrag: string
  pwd: string
  /** What the client will be in DTLS; `auto` when it lets us choose. */
  role: 'auto' | 'client' | 'server'
  fingerprint: types.DtlsFingerprint
  sections: readonly OfferedSection[]
}
export interface Fragment {
  ufrag: string | undefined
  pwd: string | undefined
  candidates: number
}

export const sdpBytesMax = 65_536
/** A line of Chromium or OBS has less than 300. */
const lineMax = 2_048
export const sectionsMax = 16
/** Chromium offers about 50 for a picture, retransmission counted. */
export const codecsMax = 96
const extensionsMax = 32
const streamsMax = 64
export const layersMax = 4
export const candidatesMax = 64

const used = new Set(
  'group mid bundle-only rtpmap fmtp rtcp-fb extmap ssrc ssrc-group rid simulcast setup fingerprint ice-ufrag ice-pwd candidate'.split(
    ' ',
  ),
)
const directions = new Set(['sendrecv', 'sendonly', 'recvonly', 'inactive'])
/** Of a codec, what says which it is or how it is decoded; the rest is between the client and its encoder. */
const parameterNames = new Set([
  ...['apt', 'packetization-mode', 'profile-level-id', 'level-asymmetry-allowed', 'profile-id'],
  ...['minptime', 'useinbandfec', 'usedtx', 'stereo', 'sprop-stereo'],
])
const hashBytes: Readonly<Record<string, number>> = { 'sha-1': 20, 'sha-224': 28, 'sha-256': 32, 'sha-384': 48, 'sha-512': 64 }
const roles = { actpass: 'auto', active: 'client', passive: 'server' } as const

const bad = (msg: string): SfuProblem => new SfuProblem('stream.bad_params', `SDP: ${msg}`)

// ---------------------------------------------------------------------- lines

function linesOf(text: unknown): string[] {
  if (typeof text !== 'string') throw bad('no text')
  if (Buffer.byteLength(text) > sdpBytesMax) throw bad(`more than ${sdpBytesMax} bytes`)
  const lines = text.split(/\r\n|\r|\n/)
  if (lines.some((line) => line.length > lineMax)) throw bad('a line is too long')
  return lines
}

function isUsed(line: string): boolean {
  if (line[0] === 'm') return true
  if (!line.startsWith('a=')) return false
  const name = line.slice(2).split(':', 1)[0] as string
  return used.has(name) || directions.has(name)
}

function parsed(lines: readonly string[]): SessionDescription {
  try {
    return parse(lines.filter(isUsed).join('\r\n'))
  } catch {
    throw bad('cannot be read')
  }
}

const textOf = (value: unknown): string | undefined => (value === undefined ? undefined : String(value))
const isIn = (value: unknown, from: number, to: number): value is number =>
  Number.isInteger(value) && (value as number) >= from && (value as number) <= to
const isPayloadType = (value: unknown): value is number => isIn(value, 0, 127)

function listOf<T>(list: readonly T[] | undefined, max: number, what: string): readonly T[] {
  if (list && list.length > max) throw bad(`more than ${max} ${what}`)
  return list ?? []
}

// ---------------------------------------------------------------------- an offer

export function readOffer(text: unknown): Offer {
  const lines = linesOf(text)
  if (lines[0]?.trim() !== 'v=0') throw bad('does not begin with v=0')
  const session = parsed(lines)
  const media = listOf(session.media, sectionsMax, 'sections')
  if (media.length === 0) throw bad('no section')
  const sections = withGroup(media.map(readSection), session)
  const ssrcs = sections.flatMap(({ streams }) => streams.flatMap(({ ssrc, rtxSsrc }) => (rtxSsrc ? [ssrc, rtxSsrc] : [ssrc])))
  if (new Set(ssrcs).size < ssrcs.length) throw bad('one stream twice')
  const lead = media[sections.findIndex(({ isRefused, kind }) => !isRefused && kind !== undefined)] ?? media[0]
  return { ...readIce(lead, session), ...readDtls(lead, session), sections }
}

/** One transport: a section that is not in the group of the others has none. */
function withGroup(sections: OfferedSection[], session: SessionDescription): OfferedSection[] {
  const mids = sections.map(({ mid }) => mid)
  if (new Set(mids).size < mids.length) throw bad('two sections of one mid')
  const group = session.groups?.find(({ type }) => type === 'BUNDLE')
  const members = group ? new Set(String(group.mids).split(' ')) : undefined
  const first = sections.find(({ isRefused, kind }) => !isRefused && kind !== undefined)
  const isInside = (one: OfferedSection) => (members ? members.has(one.mid) : one === first)
  return sections.map((one) =>
    one.isRefused || isInside(one) ? one : { ...one, isRefused: true, sends: false, receives: false },
  )
}

function readIce(lead: MediaDescription | undefined, session: SessionDescription): Pick<Offer, 'ufrag' | 'pwd'> {
  const ufrag = textOf(lead?.iceUfrag ?? session.iceUfrag)
  const pwd = textOf(lead?.icePwd ?? session.icePwd)
  if (!isUfrag(ufrag) || !isPwd(pwd)) throw bad('no ice-ufrag and ice-pwd')
  return { ufrag, pwd }
}

const isUfrag = (text: string | undefined): text is string => text !== undefined && /^[A-Za-z0-9+/=_-]{4,256}$/.test(text)
const isPwd = (text: string | undefined): text is string => text !== undefined && /^[A-Za-z0-9+/=_-]{22,256}$/.test(text)

function readDtls(lead: MediaDescription | undefined, session: SessionDescription): Pick<Offer, 'role' | 'fingerprint'> {
  const setup = textOf(lead?.setup ?? session.setup) ?? 'actpass'
  if (!Object.hasOwn(roles, setup)) throw bad('setup: actpass, active or passive')
  const fingerprint = lead?.fingerprint ?? session.fingerprint
  const algorithm = String(fingerprint?.type).toLowerCase()
  const value = String(fingerprint?.hash).toUpperCase()
  const bytes = Object.hasOwn(hashBytes, algorithm) ? hashBytes[algorithm] : undefined
  const isHash = /^[0-9A-F]{2}(:[0-9A-F]{2})*$/.test(value) && value.length === (bytes ?? 0) * 3 - 1
  if (!isHash) throw bad('no fingerprint')
  return { role: roles[setup as keyof typeof roles], fingerprint: { algorithm, value } as types.DtlsFingerprint }
}

function readSection(media: MediaDescription, at: number): OfferedSection {
  const { type, port, protocol, payloads } = media as Partial<MediaDescription>
  if (typeof type !== 'string' || !isIn(port, 0, 65_535) || typeof protocol !== 'string') throw bad('a section that is none')
  const mid = textOf(media.mid) ?? String(at)
  if (!/^[A-Za-z0-9_.+-]{1,32}$/.test(mid)) throw bad('mid')
  const kind = (type === 'audio' || type === 'video') && protocol.includes('SAVP') ? type : undefined
  const isRefused = port === 0 && (media as { bundleOnly?: unknown }).bundleOnly === undefined
  const direction = media.direction ?? 'sendrecv'
  const isOpen = !isRefused && kind !== undefined
  return {
    ...{ kind, type, protocol, mid, isRefused },
    payloads: String(payloads ?? ''),
    sends: isOpen && (direction === 'sendonly' || direction === 'sendrecv'),
    receives: isOpen && (direction === 'recvonly' || direction === 'sendrecv'),
    ...(kind ? readCodecs(media, kind) : { codecs: [], formats: new Map() }),
    headerExtensions: kind ? readExtensions(media, kind) : [],
    rids: readRids(media),
    ...readStreams(media),
  }
}

function readCodecs(media: MediaDescription, kind: MediaKind): Pick<OfferedSection, 'codecs' | 'formats'> {
  const codecs = new Map<number, types.RtpCodecCapability>()
  for (const { payload, codec, rate, encoding } of listOf(media.rtp, codecsMax, 'codecs')) {
    if (!isPayloadType(payload) || !isIn(rate, 1, 1_000_000)) continue
    const name = String(codec)
    codecs.set(payload, {
      kind,
      mimeType: `${kind}/${name}`,
      preferredPayloadType: payload,
      clockRate: rate,
      ...(kind === 'audio' && isIn(encoding, 1, 8) ? { channels: encoding } : {}),
      parameters: {},
      rtcpFeedback: [],
    })
  }
  const formats = new Map<number, string>()
  for (const { payload, config } of listOf(media.fmtp, codecsMax, 'formats')) {
    const codec = codecs.get(payload)
    if (!codec) continue
    formats.set(payload, String(config))
    codec.parameters = readParameters(String(config))
  }
  readFeedback(media, [...codecs.values()])
  return { codecs: [...codecs.values()], formats }
}

function readParameters(config: string): Record<string, string | number> {
  const parameters: Record<string, string | number> = {}
  for (const [name, value] of Object.entries(parseParams(config))) {
    if (!parameterNames.has(name)) continue
    // Others get them too: nothing but numbers and a profile.
    if (name === 'profile-level-id') {
      if (/^[0-9a-f]{6}$/i.test(String(value))) parameters[name] = String(value)
    } else if (isIn(value, 0, 1_000_000)) parameters[name] = value
  }
  return parameters
}

function readFeedback(media: MediaDescription, codecs: readonly types.RtpCodecCapability[]): void {
  for (const { payload, type, subtype } of listOf(media.rtcpFb, codecsMax * 8, 'rtcp-fb')) {
    const feedback = { type: String(type), ...(subtype === undefined ? {} : { parameter: String(subtype) }) }
    for (const codec of codecs)
      if (String(payload) === '*' || Number(payload) === codec.preferredPayloadType) codec.rtcpFeedback?.push(feedback)
  }
}

function readExtensions(media: MediaDescription, kind: MediaKind): OfferedSection['headerExtensions'] {
  return listOf(media.ext, extensionsMax, 'extensions')
    .filter(({ value, uri }) => isIn(value, 1, 14) && typeof uri === 'string')
    .map(({ value, uri }) => ({ kind, uri, preferredId: value }))
}

/** In the order of `a=simulcast`, which is that of preference (RFC 8853); of alternatives the first. */
function readRids(media: MediaDescription): string[] {
  const sent = listOf(media.rids, layersMax, 'rids')
    .filter(({ direction }) => String(direction) === 'send')
    .map(({ id }) => String(id))
  if (sent.some((rid) => !/^[A-Za-z0-9]{1,16}$/.test(rid))) throw bad('rid')
  const { dir1, list1 } = media.simulcast ?? {}
  if (String(dir1) !== 'send') return [...new Set(sent)]
  const listed = String(list1)
    .split(';')
    .map((stream) => stream.split(',')[0]?.replace('~', '') ?? '')
  return [...new Set([...listed.filter((rid) => sent.includes(rid)), ...sent])]
}

function readStreams(media: MediaDescription): Pick<OfferedSection, 'streams' | 'cname'> {
  const lines = listOf(media.ssrcs, streamsMax * 4, 'lines of streams')
  const groups = listOf(media.ssrcGroups, streamsMax, 'groups of streams').map(({ semantics, ssrcs }) => {
    return { semantics, ssrcs: String(ssrcs).split(/\s+/).map(Number) }
  })
  if (groups.some(({ ssrcs }) => ssrcs.length > streamsMax || !ssrcs.every(isSsrc))) throw bad('a group of streams')
  const known = new Set(lines.map(({ id }) => Number(id)))
  if (known.size > streamsMax || ![...known].every(isSsrc)) throw bad('a stream')
  const pairs = new Map(groups.filter(({ semantics }) => semantics === 'FID').map(({ ssrcs }) => [ssrcs[0], ssrcs[1]]))
  const second = new Set(groups.filter(({ semantics }) => semantics !== 'SIM').flatMap(({ ssrcs }) => ssrcs.slice(1)))
  const layers = groups.find(({ semantics }) => semantics === 'SIM')?.ssrcs.slice(0, layersMax)
  // Of several that are no layers of one picture, the first: the others belong to tracks that one section does not have.
  const own = layers ?? [...known].filter((ssrc) => !second.has(ssrc)).slice(0, 1)
  const cname = textOf(lines.find(({ attribute }) => attribute === 'cname')?.value)
  return {
    streams: own.map((ssrc) => ({ ssrc, rtxSsrc: pairs.get(ssrc) })),
    cname: cname !== undefined && /^[\x21-\x7e]{1,255}$/.test(cname) ? cname : undefined,
  }
}

const isSsrc = (value: unknown): value is number => isIn(value, 1, 2 ** 32 - 1)

// ---------------------------------------------------------------------- a fragment

/** `application/trickle-ice-sdpfrag`, RFC 8840. Candidates are counted and not kept: the node finds its clients by their own checks. */
export function readFragment(text: unknown): Fragment {
  const { media = [], ...session } = parsed(linesOf(text))
  // Some clients send candidates without a section.
  const parts = [session as Partial<MediaDescription>, ...listOf(media, sectionsMax, 'sections')]
  const candidates = parts.reduce((sum, part) => sum + (part.candidates?.length ?? 0), 0)
  if (candidates > candidatesMax) throw bad(`more than ${candidatesMax} candidates`)
  const ufrag = textOf(parts.find((part) => part.iceUfrag !== undefined)?.iceUfrag)
  const pwd = textOf(parts.find((part) => part.icePwd !== undefined)?.icePwd)
  if ((ufrag !== undefined && !isUfrag(ufrag)) || (pwd !== undefined && !isPwd(pwd))) throw bad('ice-ufrag or ice-pwd')
  if (ufrag === undefined && pwd === undefined && candidates === 0 && !/^a=end-of-candidates/m.test(String(text)))
    throw bad('nothing of ICE in the fragment')
  return { ufrag, pwd, candidates }
}
