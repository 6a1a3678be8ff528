/**
 * Rooms over HTTP: each write is the command of the same name on the socket, run by the room's home with the rights of an operator, so
 * both ways have the same checks, events and log. This file is the table from routes to commands.
 */
import { type TObject, type TSchema, Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type CommandName, commands, idPattern, lanes, Online, RoomInfo, Settings, WallItem } from '../../schemas/messages.ts'
import { type Account, dispositions, imbalance } from '../room/account.ts'
import { getCommand } from '../room/commands.ts'
import type { AdminParts } from './admin.ts'
import { ErrorReply, etag, idempotencyKey, refusals, security, send } from './answers.ts'

const Id = Type.String({ pattern: idPattern })
const RoomParams = Type.Object({ roomId: Id })
const UserParams = Type.Object({ roomId: Id, userId: Id })
const RoleParams = Type.Object({ roomId: Id, userId: Id, role: commands['room.grant_role'].d.properties.role })
const Totals = Type.Object({ likes: Type.Integer(), shares: Type.Integer(), danmakuTotal: Type.Integer() })
const RoomReply = Type.Object({
  room: RoomInfo,
  settings: Settings,
  online: Online,
  totals: Totals,
  epoch: Type.Integer(),
  wall: Type.Optional(WallItem),
  takedown: Type.Optional(
    Type.Object({ reason: Type.String(), caseId: Type.Optional(Type.String()), by: Type.String(), at: Type.Integer() }),
  ),
})
const LaneCounts = Type.Object(Object.fromEntries(lanes.map((lane) => [lane, Type.Integer()])))
const AccountReply = Type.Object(Object.fromEntries([...dispositions, 'imbalance'].map((kind) => [kind, LaneCounts])))
export const LogReply = Type.Object({
  items: Type.Array(
    Type.Object({
      pos: Type.Integer(),
      epoch: Type.Integer(),
      seq: Type.Integer(),
      eid: Type.String(),
      at: Type.Integer(),
      t: Type.String(),
      actor: Type.String(),
      d: Type.Unknown(),
    }),
  ),
})

interface Route {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  url: string
  command: CommandName | 'engine.room.takedown' | 'engine.room.restore'
  summary: string
  params?: TObject
  /** Fields of the command that come from the path. */
  fromPath?: readonly string[]
  /** Of commands that no client may send; those of clients have theirs in the contract. */
  d?: TObject
}

const TakedownBody = Type.Object({ reason: Type.String({ minLength: 1, maxLength: 200 }), caseId: Type.Optional(Id) })

const routes: readonly Route[] = [
  { method: 'POST', url: '/rooms', command: 'room.create', summary: 'Create a room. It starts closed.' },
  {
    method: 'PUT',
    url: '/rooms/:roomId',
    command: 'room.update',
    summary: 'Change title, intro, theme, category or cover.',
    params: RoomParams,
  },
  {
    method: 'PATCH',
    url: '/rooms/:roomId/settings',
    command: 'room.set_settings',
    summary: 'Turn switches.',
    params: RoomParams,
  },
  { method: 'POST', url: '/rooms/:roomId/open', command: 'room.open', summary: 'Start a live session.', params: RoomParams },
  { method: 'POST', url: '/rooms/:roomId/close', command: 'room.close', summary: 'End the live session.', params: RoomParams },
  {
    method: 'GET',
    url: '/rooms/:roomId/restrictions',
    command: 'room.list_restrictions',
    summary: 'Mutes, bans and roles.',
    params: RoomParams,
  },
  {
    method: 'PUT',
    url: '/rooms/:roomId/mutes/:userId',
    command: 'room.mute',
    summary: 'Mute a user.',
    params: UserParams,
    fromPath: ['userId'],
  },
  {
    method: 'DELETE',
    url: '/rooms/:roomId/mutes/:userId',
    command: 'room.unmute',
    summary: 'Lift a mute.',
    params: UserParams,
    fromPath: ['userId'],
  },
  {
    method: 'PUT',
    url: '/rooms/:roomId/bans/:userId',
    command: 'room.kick',
    summary: 'Remove a user, and keep them out for banMs.',
    params: UserParams,
    fromPath: ['userId'],
  },
  {
    method: 'DELETE',
    url: '/rooms/:roomId/bans/:userId',
    command: 'room.unban',
    summary: 'Let a user in again.',
    params: UserParams,
    fromPath: ['userId'],
  },
  {
    method: 'PUT',
    url: '/rooms/:roomId/roles/:userId/:role',
    command: 'room.grant_role',
    summary: 'Grant a role.',
    params: RoleParams,
    fromPath: ['userId', 'role'],
  },
  {
    method: 'DELETE',
    url: '/rooms/:roomId/roles/:userId/:role',
    command: 'room.revoke_role',
    summary: 'Take a role back.',
    params: RoleParams,
    fromPath: ['userId', 'role'],
  },
  {
    method: 'POST',
    url: '/rooms/:roomId/danmaku/removals',
    command: 'danmaku.remove',
    summary: 'Remove one message, or those of a user.',
    params: RoomParams,
  },
  { method: 'PUT', url: '/rooms/:roomId/wall', command: 'wall.show', summary: 'Pin a message or a text.', params: RoomParams },
  {
    method: 'DELETE',
    url: '/rooms/:roomId/wall',
    command: 'wall.hide',
    summary: 'Take the pinned item down.',
    params: RoomParams,
  },
  {
    method: 'POST',
    // A colon stands twice: once it would begin a parameter.
    url: '/rooms/:roomId/mic::drop',
    command: 'mic.drop',
    summary: 'Take a guest off the mic; the reason is for them.',
    params: RoomParams,
  },
  {
    method: 'PUT',
    url: '/rooms/:roomId/takedown',
    command: 'engine.room.takedown',
    summary: 'End the live, send everybody out and keep the room closed.',
    params: RoomParams,
    d: TakedownBody,
  },
  {
    method: 'DELETE',
    url: '/rooms/:roomId/takedown',
    command: 'engine.room.restore',
    summary: 'Let a room that was taken down open again.',
    params: RoomParams,
    d: Type.Object({}),
  },
]

export function registerRooms(app: FastifyInstance, parts: AdminParts): void {
  for (const route of routes) registerCommand(app, parts, route)
  registerReads(app, parts)
}

function registerCommand(
  app: FastifyInstance,
  parts: AdminParts,
  { method, url, command, summary, params, fromPath = [], ...route }: Route,
): void {
  const { d, reply: answer } = route.d ? { d: route.d, reply: Type.Object({}) } : shapesOf(command as CommandName)
  const body = Type.Omit(d, [...fromPath], { additionalProperties: false })
  // A body may be left out where no field is needed.
  const takesBody = method !== 'GET' && Object.keys(body.properties).length > 0
  const schema = {
    summary,
    security,
    ...(params ? { params } : {}),
    ...(takesBody ? { body: body.required ? body : Type.Union([body, Type.Null()]) } : {}),
    response: { 200: answer, ...refusals },
  }
  app.route({
    method,
    url,
    schema,
    handler: async (request, reply) => {
      const { roomId, ...path } = (request.params ?? {}) as Record<string, string>
      const stale = roomId === undefined ? undefined : await isStale(parts, request, roomId)
      if (stale) return reply.status(412).send({ code: 'room.bad_state', msg: `The room is at version ${stale} now.` })
      const answer = await parts.homes.call(roomId, {
        t: command,
        d: { ...(request.body as object | null), ...path },
        actor: request.actor,
        ik: idempotencyKey(request),
      })
      return send(reply, answer)
    },
  })
}

function shapesOf(command: CommandName): { d: TObject; reply: TSchema } {
  const { d, reply } = commands[command]
  return { d: d as TObject, reply }
}

/** The version that the room has, when `If-Match` names another. */
async function isStale(parts: AdminParts, request: FastifyRequest, roomId: string): Promise<number | undefined> {
  const wanted = request.headers['if-match']
  if (wanted === undefined || wanted === '*') return undefined
  const answer = await parts.homes.call(roomId, { t: getCommand, d: {}, actor: request.actor })
  const version = answer.ok ? (answer.d as { room: { version: number } }).room.version : 0
  return wanted === etag(version) ? undefined : version
}

function registerReads(app: FastifyInstance, parts: AdminParts): void {
  app.get(
    '/rooms',
    {
      schema: {
        summary: 'Open rooms, most viewers first.',
        security,
        querystring: commands['room.list'].d,
        response: { 200: commands['room.list'].reply },
      },
    },
    async (request, reply) =>
      send(reply, await parts.homes.call(undefined, { t: 'room.list', d: request.query, actor: request.actor })),
  )
  app.get(
    '/rooms/:roomId',
    {
      schema: {
        summary: 'One room with settings, viewers and totals.',
        security,
        params: RoomParams,
        response: { 200: RoomReply, '4xx': ErrorReply },
      },
    },
    async (request, reply) => {
      const { roomId } = request.params as { roomId: string }
      const answer = await parts.homes.call(roomId, { t: getCommand, d: {}, actor: request.actor })
      if (answer.ok) reply.header('etag', etag((answer.d as { room: { version: number } }).room.version))
      return send(reply, answer)
    },
  )
  app.get(
    '/account',
    { schema: { summary: 'The delivery account of this process.', security, response: { 200: AccountReply } } },
    () => shown(parts.accounts.total()),
  )
  app.get(
    '/rooms/:roomId/account',
    {
      schema: {
        summary: 'The delivery account of one room, since it was loaded.',
        security,
        params: RoomParams,
        response: { 200: AccountReply, '4xx': ErrorReply },
      },
    },
    async (request, reply) => {
      const account = parts.accounts.find((request.params as { roomId: string }).roomId)
      return account ? shown(account) : reply.status(404).send({ code: 'room.not_found', msg: 'The room is not loaded.' })
    },
  )
  const LogQuery = Type.Object({
    afterPos: Type.Optional(Type.Integer({ minimum: 0 })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
  })
  app.get(
    '/rooms/:roomId/log',
    {
      schema: {
        summary: 'The room log: what happened, when, and who did it.',
        security,
        params: RoomParams,
        querystring: LogQuery,
        response: { 200: LogReply },
      },
    },
    async (request) => {
      const { roomId } = request.params as { roomId: string }
      const { afterPos = 0, limit = 100 } = request.query as { afterPos?: number; limit?: number }
      const entries = await parts.store.readLog({ roomId, afterPos, limit })
      return { items: entries.map(({ pos, epoch, seq, row }) => ({ pos, epoch, seq, ...row })) }
    },
  )
}

function shown(account: Account) {
  const named = ([high, normal, low]: readonly [number, number, number]) => ({ high, normal, low })
  return { ...Object.fromEntries(dispositions.map((kind) => [kind, named(account[kind])])), imbalance: named(imbalance(account)) }
}
