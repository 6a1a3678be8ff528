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
  'gift.list': ['items'],
  'rank.get': ['rows'],
  'mic.list': ['applicants', 'invited'],
}
const eventLists: Partial<Record<EventName, readonly string[]>> = {
  'message.removed': ['ids'],
  'rank.changed': ['rows'],
  'stream.lines_changed': ['lines'],
}

/** By name: of plugins there may be any, one that every object has included. */
function withLists(d: unknown, lists: Readonly<Record<string, readonly string[]>>, name: string): unknown {
  const names = Object.hasOwn(lists, name) ? lists[name] : undefined
  if (!names) return d
  const full: Fields = { ...(d as Fields) }
  for (const list of names) full[list] ??= []
  return full
}

/** A reply to a join is a snapshot when it carries the room. */
export function normalJoin(reply: JoinReply): JoinReply {
  const state = withState(reply)
  return reply.room ? { ...state, danmaku: reply.danmaku ?? [] } : state
}

/** A resumed join has these too. */
function withState({ stream, mic, me, ...reply }: JoinReply): JoinReply {
  return {
    ...reply,
    ...(me ? { me: { ...me, roles: me.roles ?? [] } } : {}),
    ...(stream ? { stream: { ...stream, tracks: stream.tracks ?? [], lines: stream.lines ?? [] } } : {}),
    ...(mic ? { mic: { ...mic, seats: mic.seats ?? [] } } : {}),
  }
}

const normalGifts = ({ items, version }: CommandReply<'gift.list'>): CommandReply<'gift.list'> => ({
  items: items.map((item) => ({ ...item, tags: item.tags ?? [] })),
  version,
})

export function normalReply(command: string, d: unknown): unknown {
  if (command === 'room.join') return normalJoin(d as JoinReply)
  const reply = withLists(d, replyLists, command)
  return command === 'gift.list' ? normalGifts(reply as CommandReply<'gift.list'>) : reply
}

export function normalEvent(t: string, d: unknown): unknown {
  const resynced: SessionEventName = 'room.resynced'
  if (t === resynced) return { snapshot: normalJoin((d as { snapshot: JoinReply }).snapshot) }
  return withLists(d, eventLists, t)
}
