/**
 * The same object from both encodings. Protobuf has no empty list: an absent repeated field means `[]`, as JSON writes it.
 */
import type { CommandName, CommandReply, EventName, SessionEventName } from '../../schemas/messages.ts'

export type JoinReply = CommandReply<'room.join'>
type Fields = Record<string, unknown>

const replyLists: Partial<Record<CommandName, readonly string[]>> = {
  'room.list': ['items'],
  'room.list_restrictions': ['mutes', 'bans', 'roles'],
  'danmaku.remove': ['ids'],
}
const eventLists: Partial<Record<EventName, readonly string[]>> = { 'message.removed': ['ids'] }

function withLists(d: unknown, names: readonly string[] | undefined): unknown {
  if (!names) return d
  const full: Fields = { ...(d as Fields) }
  for (const name of names) full[name] ??= []
  return full
}

/** A reply to a join is a snapshot when it carries the room. */
export function normalJoin(reply: JoinReply): JoinReply {
  if (!reply.room) return reply
  const full: JoinReply = { ...reply, danmaku: reply.danmaku ?? [] }
  if (full.me) full.me = { ...full.me, roles: full.me.roles ?? [] }
  return full
}

export function normalReply(command: string, d: unknown): unknown {
  if (command === 'room.join') return normalJoin(d as JoinReply)
  return withLists(d, replyLists[command as CommandName])
}

export function normalEvent(t: string, d: unknown): unknown {
  const resynced: SessionEventName = 'room.resynced'
  if (t === resynced) return { snapshot: normalJoin((d as { snapshot: JoinReply }).snapshot) }
  return withLists(d, eventLists[t as EventName])
}
