/**
 * What a client is answered: the SDP of an answer, and the fragment after an ICE restart.
 *
 *     writeAnswer(offer, transport, [{ direction: 'recvonly', codecs, headerExtensions, rids: [] }, undefined])
 *
 * One entry a section of the offer, undefined where it is refused (port 0, outside of the group). Candidates, ICE and fingerprint stand in
 * each section that is taken, since simple clients look into one section only.
 */
import { randomInt } from 'node:crypto'
import type { types } from 'mediasoup'
import { type MediaDescription, write } from 'sdp-transform'
import type { Offer, OfferedSection } from './sdp.ts'

export interface AnswerSection {
  direction: 'recvonly' | 'sendonly'
  codecs: readonly types.RtpCodecParameters[]
  headerExtensions: readonly { uri: string; id: number }[]
  /** Of the simulcast that we take, in the order of the offer. */
  rids: readonly string[]
  /** What we send. */
  sent?: { streamId: string; trackId: string; cname: string; ssrc: number; rtxSsrc: number | undefined }
}
type Ice = Pick<types.WebRtcTransport, 'iceParameters' | 'iceCandidates'>

/** We are whatever the client is not; where it lets us choose, it begins: it knows our address, we wait for it. */
export const clientRole = ({ role }: Offer): 'client' | 'server' => (role === 'server' ? 'server' : 'client')

export function writeAnswer(
  offer: Offer,
  transport: Ice & Pick<types.WebRtcTransport, 'dtlsParameters'>,
  answers: readonly (AnswerSection | undefined)[],
): string {
  const taken = offer.sections.filter((_, at) => answers[at]).map(({ mid }) => mid)
  const shared = { ...ownIce(transport), ...ownDtls(offer, transport) }
  return write({
    version: 0,
    origin: { username: '-', sessionId: randomInt(2 ** 47), sessionVersion: 1, netType: 'IN', ipVer: 4, address: '0.0.0.0' },
    name: 'livehouse',
    timing: { start: 0, stop: 0 },
    icelite: 'ice-lite',
    groups: [{ type: 'BUNDLE', mids: taken.join(' ') }],
    extmapAllowMixed: 'extmap-allow-mixed',
    msidSemantic: { semantic: 'WMS', token: '*' },
    media: offer.sections.map((section, at) => {
      const answer = answers[at]
      return answer ? writeSection(section, answer, shared) : refused(section)
    }),
  } as unknown as Parameters<typeof write>[0])
}

function ownIce({ iceParameters, iceCandidates }: Ice): Partial<MediaDescription> {
  return {
    iceUfrag: iceParameters.usernameFragment,
    icePwd: iceParameters.password,
    iceOptions: 'trickle ice2',
    candidates: iceCandidates.map(({ foundation, protocol, priority, address, port, type, tcpType }) => ({
      ...{ foundation, component: 1, transport: protocol, priority, ip: address, port, type },
      ...(tcpType === undefined ? {} : { tcptype: tcpType }),
    })),
    endOfCandidates: 'end-of-candidates',
  }
}

function ownDtls(offer: Offer, { dtlsParameters }: Pick<types.WebRtcTransport, 'dtlsParameters'>): Partial<MediaDescription> {
  const fingerprint =
    dtlsParameters.fingerprints.find(({ algorithm }) => algorithm === 'sha-256') ?? dtlsParameters.fingerprints[0]
  return {
    fingerprint: { type: fingerprint?.algorithm ?? '', hash: fingerprint?.value ?? '' },
    setup: clientRole(offer) === 'client' ? 'passive' : 'active',
  }
}

function refused({ type, protocol, payloads, mid }: OfferedSection): MediaDescription {
  const connection = { version: 4, ip: '0.0.0.0' }
  return { type, port: 0, protocol, payloads, connection, mid, direction: 'inactive', rtp: [], fmtp: [] } as MediaDescription
}

function writeSection(section: OfferedSection, answer: AnswerSection, shared: Partial<MediaDescription>): MediaDescription {
  const { codecs, headerExtensions, direction, sent } = answer
  return {
    type: section.type,
    port: 9,
    protocol: section.protocol,
    payloads: codecs.map(({ payloadType }) => payloadType).join(' '),
    connection: { version: 4, ip: '0.0.0.0' },
    mid: section.mid,
    direction,
    ...shared,
    ext: headerExtensions.map(({ uri, id }) => ({ uri, value: id })),
    rtcpMux: 'rtcp-mux',
    rtcpRsize: 'rtcp-rsize',
    ...writeCodecs(codecs),
    ...writeRids(answer),
    ...(sent ? writeStreams(sent) : {}),
  } as MediaDescription
}

function writeCodecs(codecs: readonly types.RtpCodecParameters[]): Pick<MediaDescription, 'rtp' | 'fmtp' | 'rtcpFb'> {
  return {
    rtp: codecs.map(({ mimeType, payloadType, clockRate, channels }) => ({
      ...{ payload: payloadType, codec: mimeType.split('/')[1] ?? '', rate: clockRate },
      ...(channels !== undefined && channels > 1 ? { encoding: channels } : {}),
    })),
    fmtp: codecs
      .map(({ payloadType, parameters = {} }) => ({ payload: payloadType, config: writeParameters(parameters) }))
      .filter(({ config }) => config !== ''),
    rtcpFb: codecs.flatMap(({ payloadType, rtcpFeedback = [] }) =>
      rtcpFeedback.map(({ type, parameter }) => ({ payload: payloadType, type, ...(parameter ? { subtype: parameter } : {}) })),
    ),
  } as Pick<MediaDescription, 'rtp' | 'fmtp' | 'rtcpFb'>
}

const writeParameters = (parameters: object) =>
  Object.entries(parameters)
    .map(([name, value]) => `${name}=${value}`)
    .join(';')

function writeRids({ rids }: AnswerSection): object {
  if (rids.length === 0) return {}
  return { rids: rids.map((id) => ({ id, direction: 'recv' })), simulcast: { dir1: 'recv', list1: rids.join(';') } }
}

/** Named one by one: viewers do not get the mid with each packet, whose extension has another number with most of them. */
function writeStreams({ streamId, trackId, cname, ssrc, rtxSsrc }: NonNullable<AnswerSection['sent']>): object {
  const ssrcs = rtxSsrc === undefined ? [ssrc] : [ssrc, rtxSsrc]
  const linesOf = (id: number) => [
    { id, attribute: 'cname', value: cname },
    { id, attribute: 'msid', value: `${streamId} ${trackId}` },
  ]
  return {
    msid: [{ id: streamId, appdata: trackId }],
    ssrcs: ssrcs.flatMap(linesOf),
    ...(rtxSsrc === undefined ? {} : { ssrcGroups: [{ semantics: 'FID', ssrcs: `${ssrc} ${rtxSsrc}` }] }),
  }
}

export interface Lead {
  mids: readonly string[]
  /** First line and mid of the section whose ICE is that of all. */
  line: string
  mid: string
}

export function leadOf(offer: Offer, answers: readonly (AnswerSection | undefined)[]): Lead {
  const taken = offer.sections.flatMap((section, at) => (answers[at] ? [{ section, answer: answers[at] as AnswerSection }] : []))
  const { section, answer } = taken[0] as (typeof taken)[number]
  const payloads = answer.codecs.map(({ payloadType }) => payloadType).join(' ')
  const line = `m=${section.type} 9 ${section.protocol} ${payloads}`
  return { mids: taken.map((one) => one.section.mid), line, mid: section.mid }
}

/** After a restart of ICE: new user name and password, the candidates as before. */
export function writeFragment({ mids, line, mid }: Lead, transport: Ice): string {
  const ice = { type: '', port: 9, protocol: '', rtp: [], fmtp: [], ...ownIce(transport) } as MediaDescription
  const [, ...attributes] = write({ media: [ice] } as unknown as Parameters<typeof write>[0])
    .split('\r\n')
    .filter((text) => text.startsWith('m=') || /^a=(ice-ufrag|ice-pwd|candidate|end-of-candidates)/.test(text))
  const head = ['a=ice-lite', 'a=ice-options:trickle ice2', `a=group:BUNDLE ${mids.join(' ')}`, line, `a=mid:${mid}`]
  return [...head, ...attributes, ''].join('\r\n')
}
