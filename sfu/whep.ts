/**
 * WHEP (draft-ietf-wish-whep): a viewer that is no client of ours sends its offer and plays the show.
 *
 *     const opened = await openWhep(room, peer, { offer: readOffer(sdp), layouts })
 *
 * It plays the tracks of the show that are there now, by a router with its own payload types (`layouts.ts`). When one of them ends, or
 * one comes that it has room for, its session ends, and it asks again: a WHEP client cannot be told of other tracks.
 */
import type { types } from 'mediasoup'
import type { MediaKind } from '../schemas/sfu.ts'
import type { Layout, Layouts } from './layouts.ts'
import type { Peer } from './peer.ts'
import type { Place } from './places.ts'
import { SfuProblem } from './problem.ts'
import type { Room } from './room.ts'
import type { Offer, OfferedSection } from './sdp.ts'
import { type AnswerSection, clientRole, leadOf, writeAnswer } from './sdp-answer.ts'
import { type CodecMatch, matchCodecs, receivedExtensions } from './sdp-codecs.ts'
import type { Opened } from './whip.ts'

export interface OpenedWhep extends Opened {
  layout: Layout
  consumers: readonly types.Consumer[]
  /** Kinds that it would play if there were a track of them. */
  waitsFor: ReadonlySet<MediaKind>
}
interface Playing {
  section: OfferedSection
  match: CodecMatch
  trackId: string
  producerId: string
}
type Tracks = Pick<Room, 'rtpCapabilities' | 'tracks'>

/** Nothing of the show is there: not a fault of the client's. Asked again after this time it may be. */
export class NotLive extends SfuProblem {
  static readonly retryAfterS = 3

  constructor() {
    super('stream.gone', 'nothing is live here')
  }
}

/** Sound and picture of one stream are kept in step by its players. */
const streamId = 'livehouse'

interface Opening {
  offer: Offer
  layouts: Layouts
}

export async function openWhep(room: Room, peer: Peer, opening: Opening): Promise<OpenedWhep> {
  const planned = planWhep(room, opening.offer)
  return room.places.admit((place, arrived) => openAt(place, room, peer, { ...opening, ...planned, arrived }))
}

async function openAt(
  place: Place,
  room: Room,
  peer: Peer,
  { offer, layouts, plan, waitsFor, arrived }: Opening & ReturnType<typeof planWhep> & { arrived: () => void },
): Promise<OpenedWhep> {
  const playing = plan.filter((one) => one !== undefined)
  const layout = await layouts.use(
    place,
    playing.map(({ match }) => match),
  )
  try {
    const transport = await room.openTransport(peer, 'recv', { place, router: layout.router, arrived })
    await transport.connect({ dtlsParameters: { role: clientRole(offer), fingerprints: [offer.fingerprint] } })
    const consumers = new Map<Playing, types.Consumer>()
    for (const one of playing) consumers.set(one, await consume({ room, peer, place, layout, transport, one }))
    const answers = plan.map((one) => one && answerOf(consumers.get(one) as types.Consumer, one))
    const body = writeAnswer(offer, transport, answers)
    return { transport, body, lead: leadOf(offer, answers), layout, consumers: [...consumers.values()], waitsFor }
  } catch (error) {
    layout.release()
    throw error
  }
}

/** The first section of each kind that takes something gets the track of this kind. */
export function planWhep(room: Tracks, { sections }: Offer): { plan: (Playing | undefined)[]; waitsFor: Set<MediaKind> } {
  const free = new Set(room.tracks.filter(({ shape }) => shape.source === 'main'))
  if (free.size === 0) throw new NotLive()
  const waitsFor = new Set<MediaKind>()
  const plan = sections.map((section) => {
    if (!section.receives) return undefined
    const track = [...free].find(({ shape }) => shape.kind === section.kind)
    if (!track) {
      waitsFor.add(section.kind as MediaKind)
      return undefined
    }
    free.delete(track)
    return { section, match: matchTrack(room, section, track.producer), trackId: track.shape.id, producerId: track.producer.id }
  })
  for (const one of plan) if (one) waitsFor.delete(one.section.kind as MediaKind)
  if (plan.every((one) => one === undefined)) {
    if (waitsFor.size > 0) throw new NotLive()
    throw new SfuProblem('stream.bad_params', 'SDP: nothing is received')
  }
  return { plan, waitsFor }
}

function matchTrack(room: Tracks, section: OfferedSection, producer: types.Producer): CodecMatch {
  const sent = producer.rtpParameters.codecs[0]
  const match = matchCodecs(section, room.rtpCapabilities as types.RtpCapabilities).find(
    ({ routerPayloadType }) => routerPayloadType === sent?.payloadType,
  )
  if (!match) {
    const profile = sent?.parameters?.['profile-level-id']
    throw new SfuProblem(
      'stream.codec',
      `${section.kind}: the show is ${sent?.mimeType}${profile === undefined ? '' : ` ${profile}`}`,
    )
  }
  return match
}

interface Consume {
  room: Room
  peer: Peer
  place: Place
  layout: Layout
  transport: types.WebRtcTransport
  one: Playing
}

async function consume({ room, peer, place, layout, transport, one }: Consume): Promise<types.Consumer> {
  const { section, match, trackId } = one
  return peer.make('consumer', async () => {
    const producerId = await layout.producerOf(one.producerId)
    const codecs = match.codecs.flatMap((codec) => (codec ? [{ ...codec, kind: section.kind as MediaKind }] : []))
    const rtpCapabilities: types.RtpCapabilities = {
      codecs: codecs.map(({ payloadType, ...codec }) => ({ ...codec, preferredPayloadType: payloadType })),
      headerExtensions: receivedExtensions(section, layout.router.rtpCapabilities),
    }
    // Not paused: the key frame is asked for when the viewer is connected, and not before.
    const consumer = await transport.consume({ producerId, rtpCapabilities, enableRtx: section.kind === 'video' })
    room.watch(peer, consumer, { place, trackId })
    return consumer
  })
}

function answerOf({ kind, rtpParameters }: types.Consumer, { section, match }: Playing): AnswerSection {
  const { codecs, headerExtensions = [], encodings, rtcp } = rtpParameters
  const [encoding] = encodings ?? []
  return {
    direction: 'sendonly',
    codecs: codecs.map((codec) => ({ ...codec, parameters: parametersOf(codec, section, match) })),
    headerExtensions,
    rids: [],
    sent: {
      ...{ streamId, trackId: kind, cname: rtcp?.cname ?? streamId },
      ...{ ssrc: encoding?.ssrc as number, rtxSsrc: encoding?.rtx?.ssrc },
    },
  }
}

/** Of H264 what both agreed on; of the rest what the client asked for, with stereo if there is some. */
function parametersOf(
  codec: types.RtpCodecParameters,
  { codecs }: OfferedSection,
  { codecs: [main] }: CodecMatch,
): Record<string, unknown> {
  if (codec.mimeType.toLowerCase() === 'video/rtx') return { apt: main.payloadType }
  if (codec.mimeType.toLowerCase() !== 'audio/opus') return (main.parameters ?? {}) as Record<string, unknown>
  const offered = codecs.find(({ preferredPayloadType }) => preferredPayloadType === codec.payloadType)
  const { 'sprop-stereo': _theirs, ...wanted } = { ...offered?.parameters } as Record<string, unknown>
  return { ...wanted, ...(codec.parameters?.['sprop-stereo'] ? { 'sprop-stereo': 1 } : {}) }
}
