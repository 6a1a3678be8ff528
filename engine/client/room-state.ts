/**
 * The state of a room as a viewer knows it: a snapshot, folded on with every event. Pure; `room.ts` keeps one per joined room.
 */
import type {
  EventName,
  ExtensionShape,
  MeShape,
  Messages,
  OnlineShape,
  RoomInfoShape,
  SettingsShape,
  WallItemShape,
} from '../../schemas/messages.ts'
import { type MediaState, mediaFolds, type PrivateName } from './media-state.ts'
import type { JoinReply } from './normal.ts'

export interface RoomState extends MediaState {
  readonly room: RoomInfoShape
  readonly settings: SettingsShape
  readonly online: OnlineShape
  readonly likes: number
  readonly shares: number
  readonly wall: WallItemShape | undefined
  /** What plugins told about their state of the room, by plugin: as of the last snapshot, later changes come as their events. */
  readonly ext: Readonly<Record<string, unknown>>
}

/** What a snapshot leaves out is empty. */
export function stateOf(snapshot: JoinReply): RoomState | undefined {
  const { room, settings, me } = snapshot
  if (!room || !settings || !me) return undefined
  const online = snapshot.online ?? { unique: 0, connections: 0, peak: 0 }
  const { likes = 0, shares = 0, wall, ext = [], stream, mic } = snapshot
  return { room, settings, online, me, likes, shares, wall, stream, mic, ext: Object.fromEntries(ext.flatMap(parsed)) }
}

/** What cannot be read is left out: one plugin's fault does not cost the room. */
function parsed({ plugin, json }: ExtensionShape): [string, unknown][] {
  try {
    return [[plugin, JSON.parse(json)]]
  } catch {
    return []
  }
}

type Folds = { [Name in EventName | PrivateName]?: (state: RoomState, d: Messages[Name]) => RoomState }

const folds: Folds = {
  ...mediaFolds,
  'room.updated': (state, d) => ({ ...state, room: { ...state.room, ...given(d.patch), version: d.version } }),
  'room.opened': (state, d) => ({ ...state, room: { ...state.room, state: 'open', liveId: d.liveId, openedAt: d.openedAt } }),
  'room.closed': (state) => ({ ...state, room: { ...state.room, state: 'closed' }, me: afterLive(state.me) }),
  'room.settings_changed': (state, d) => ({ ...state, settings: { ...state.settings, ...given(d.patch) } }),
  'room.role_changed': (state, d) => (d.userId === state.me.userId ? { ...state, me: withRole(state.me, d) } : state),
  'room.user_muted': (state, d) =>
    d.userId === state.me.userId ? { ...state, me: { ...state.me, mutedUntilAt: d.untilAt } } : state,
  'room.user_unmuted': (state, d) => (d.userId === state.me.userId ? { ...state, me: unmuted(state.me) } : state),
  'wall.shown': (state, d) => ({ ...state, wall: d.item }),
  'wall.hidden': (state) => ({ ...state, wall: undefined }),
  'like.changed': (state, d) => ({ ...state, likes: d.total }),
  'share.changed': (state, d) => ({ ...state, shares: d.total }),
  'room.online': (state, d) => ({ ...state, online: d }),
}

/** After a resume: what is in no ring comes with the answer, as it is now. */
export function resumedState(state: RoomState, { likes, shares, online, stream, mic, me }: JoinReply): RoomState {
  return {
    ...state,
    likes: likes ?? state.likes,
    shares: shares ?? state.shares,
    online: online ?? state.online,
    me: me ?? state.me,
    stream,
    mic,
  }
}

/** After an event that was missed. Picture and mic came with the answer: a track that was there for a while is not asked for. */
export function foldMissed(state: RoomState, t: string, d: unknown): RoomState {
  return Object.hasOwn(mediaFolds, t) ? state : fold(state, t, d)
}

/** The state after an event; the same object when the event changes nothing here. */
export function fold(state: RoomState, t: string, d: unknown): RoomState {
  if (!Object.hasOwn(folds, t)) return state
  const step = folds[t as keyof Folds] as (state: RoomState, d: unknown) => RoomState
  return step(state, d)
}

/** A decoded patch may hold `undefined` for fields that were not given. */
function given<T extends object>(patch: T): T {
  return Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined)) as T
}

function unmuted(me: MeShape): MeShape {
  const { mutedUntilAt: _, ...rest } = me
  return rest
}

/** A mute of 0 holds for one live session. */
const afterLive = (me: MeShape): MeShape => (me.mutedUntilAt === 0 ? unmuted(me) : me)

function withRole(me: MeShape, { role, granted }: Messages['room.role_changed']): MeShape {
  const others = me.roles.filter((known) => known !== role)
  return { ...me, roles: granted ? [...others, role] : others }
}
