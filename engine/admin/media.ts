/**
 * Media for operators: how the node is, what rooms cost, and what is done about a show that must end or must cost less.
 *
 *     GET  /admin/v1/media                            the state of the node, its workers, the rooms with most traffic
 *     POST /admin/v1/media:degrade                    fewer layers for all rooms
 *     GET  /admin/v1/rooms/<room>/stream              the show of one room: tracks, lines, who feeds them, viewers by WHEP
 *     POST /admin/v1/rooms/<room>/stream:cut          picture and sound end, and nobody goes live for a while
 *     POST /admin/v1/rooms/<room>/stream:degrade      fewer layers for one room
 *     POST /admin/v1/rooms/<room>/stream:switch-line  the other line is shown
 */
import { type TObject, type TSchema, Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import { commands, idPattern, StreamInfo, streamLines } from '../../schemas/messages.ts'
import type { RoomSample } from '../../schemas/sfu.ts'
import { MediaProblem } from '../live/media.ts'
import type { Media } from '../media/media.ts'
import { streamCut, streamLevel } from '../plugin/host/calls.ts'
import type { AdminParts } from './admin.ts'
import { idempotencyKey, Refused, refusals, security, send } from './answers.ts'

const RoomParams = Type.Object({ roomId: Type.String({ pattern: idPattern }) })
const Whole = Type.Integer()
const State = Type.Object({
  is: Type.String({ description: 'off, starting, ready, failed' }),
  step: Type.Optional(Type.String()),
  reason: Type.Optional(Type.String()),
  wayOut: Type.Optional(Type.String({ description: 'What can be done about it.' })),
  mediasoup: Type.Optional(Type.String()),
  worker: Type.Optional(Type.String()),
})
const WorkerShape = Type.Object({ pid: Whole, cpuBps: Whole, rooms: Whole, transports: Whole, consumers: Whole })
const RoomShape = Type.Object({
  room: Type.String(),
  egressBps: Whole,
  egressBpsPeak: Type.Integer({ description: 'Most of it since the room was opened for media.' }),
  ingressBps: Whole,
  peers: Whole,
  consumers: Whole,
  links: Type.Integer({ description: 'Shows of other rooms that can be played here.' }),
  overflows: Type.Integer({ description: 'In the last second: times that a line sent more since a key frame than is held.' }),
  dropped: Type.Integer({ description: 'In the last second: packets that a worker was too slow to take.' }),
  avSkewMs: Type.Optional(Type.Number()),
})
const MediaReply = Type.Object({
  state: State,
  degradeLevel: Whole,
  requestsUnderWay: Whole,
  nodeDeaths: Whole,
  workerDeaths: Whole,
  workers: Type.Array(WorkerShape),
  roomsTotal: Whole,
  rooms: Type.Array(RoomShape, { description: 'Those with most traffic, at most 100.' }),
})
const StreamReply = Type.Object({
  ...StreamInfo.properties,
  publishers: Type.Array(
    Type.Object({
      userId: Type.String(),
      via: Type.String({ description: 'session, whip, rtp' }),
      lines: Type.Array(Type.String({ enum: [...streamLines] })),
    }),
  ),
  whepViewers: Type.Integer({ description: 'They have no session, and are not counted as online.' }),
  liveBan: Type.Optional(
    Type.Object(
      { untilAt: Type.Integer(), reason: Type.String(), by: Type.String(), at: Type.Integer() },
      { description: 'Nobody goes live here until then.' },
    ),
  ),
})
const nothing = Type.Object({})
const roomsShownMax = 100

interface Route {
  url: string
  command: 'engine.stream.cut' | 'engine.stream.degrade' | 'engine.stream.switch_line'
  summary: string
  d: TObject
  reply: TSchema
}
const strict = { additionalProperties: false } as const
// A colon stands twice: once it would begin a parameter.
const routes: readonly Route[] = [
  {
    url: '/rooms/:roomId/stream::cut',
    command: 'engine.stream.cut',
    summary: 'End picture and sound at once, and let nobody go live there for banMs (30 s if left out).',
    d: Type.Object({ reason: Type.Optional(Type.String({ maxLength: 200 })), ...streamCut }, strict),
    reply: nothing,
  },
  {
    url: '/rooms/:roomId/stream::degrade',
    command: 'engine.stream.degrade',
    summary: '0: all layers; 1: at most the middle one; 2: the lowest; 3: at its lowest frame rate; 4: sound alone.',
    d: Type.Object(streamLevel, strict),
    reply: nothing,
  },
  {
    url: '/rooms/:roomId/stream::switch-line',
    command: 'engine.stream.switch_line',
    summary: 'Show the other line; auto: the better one.',
    d: Type.Object(commands['stream.switch_line'].d.properties, strict),
    reply: commands['stream.switch_line'].reply,
  },
]

export function registerMedia(app: FastifyInstance, parts: AdminParts): void {
  for (const { url, command, summary, d, reply } of routes)
    app.post(
      url,
      {
        config: { scope: 'media' },
        schema: {
          summary,
          description: 'Scope media, or operator.',
          security,
          params: RoomParams,
          body: d.required ? d : Type.Union([d, Type.Null()]),
          response: { 200: reply, ...refusals },
        },
      },
      async (request, answered) => {
        const { roomId } = request.params as { roomId: string }
        const head = {
          t: command,
          d: { ...(request.body as object | null) },
          actor: asEngine(request.actor),
          ik: idempotencyKey(request),
        }
        return send(answered, await parts.homes.call(roomId, head))
      },
    )
  registerStream(app, parts)
  registerNode(app, parts)
}

function registerStream(app: FastifyInstance, parts: AdminParts): void {
  app.get(
    '/rooms/:roomId/stream',
    {
      config: { scope: 'media' },
      schema: {
        summary: 'The show of a room, who feeds it, and viewers by WHEP.',
        description: 'Scope media, or operator.',
        security,
        params: RoomParams,
        response: { 200: StreamReply, ...refusals },
      },
    },
    async (request, answered) => {
      const { roomId } = request.params as { roomId: string }
      return send(answered, await parts.homes.call(roomId, { t: 'engine.stream.get', d: {}, actor: asEngine(request.actor) }))
    },
  )
}

/** Whoever has scope `media` alone may do this, and nothing else, as an operator does. */
const asEngine = <A extends { scope: readonly string[] }>(actor: A): A =>
  actor.scope.includes('operator') ? actor : { ...actor, scope: [...actor.scope, 'operator'] }

function registerNode(app: FastifyInstance, { media }: AdminParts): void {
  const config = { scope: 'media' } as const
  app.get(
    '/media',
    {
      config,
      schema: {
        summary: 'The media node, its workers, and the rooms with most traffic.',
        description: 'Scope media, or operator.',
        security,
        response: { 200: MediaReply, ...refusals },
      },
    },
    () => described(media),
  )
  app.post(
    '/media::degrade',
    {
      config,
      schema: {
        summary: 'Fewer layers for all rooms, until it is set back to 0.',
        description: 'Scope media, or operator. A room may have a higher level of its own.',
        security,
        body: Type.Object(streamLevel, strict),
        response: { 200: nothing, ...refusals },
      },
    },
    async (request) => {
      try {
        if (!media) throw new MediaProblem('stream.unavailable', 'media is off')
        await media.degrade((request.body as { level: number }).level)
        return {}
      } catch (error) {
        if (!(error instanceof MediaProblem)) throw error
        throw new Refused({ code: error.code, msg: error.message, retryAfterMs: 5_000 })
      }
    },
  )
}

function described(media: Media | undefined) {
  const { workers, rooms } = media?.sample ?? { workers: [], rooms: [] }
  const traffic = ({ egressBps, ingressBps }: RoomSample) => egressBps + ingressBps
  return {
    state: media?.state ?? { is: 'off' },
    degradeLevel: media?.degradeLevel ?? 0,
    requestsUnderWay: media?.underWay ?? 0,
    nodeDeaths: media?.deaths ?? 0,
    workerDeaths: media?.counts.workerDeaths ?? 0,
    workers,
    roomsTotal: rooms.length,
    rooms: [...rooms].sort((a, b) => traffic(b) - traffic(a)).slice(0, roomsShownMax),
  }
}
