/**
 * Picture, sound and the mic in the state of a room: what a snapshot says, folded on with `stream.*` and `mic.*`. Pure; `room-state.ts`
 * takes these folds in among its own.
 */
import type {
  EventName,
  MeShape,
  Messages,
  MicInfoShape,
  SeatShape,
  SessionEventName,
  StreamInfoShape,
} from '../../schemas/messages.ts'

export interface MediaState {
  /** Undefined: this engine has no picture and sound. */
  readonly stream: StreamInfoShape | undefined
  /** Undefined: this room has no mic. */
  readonly mic: MicInfoShape | undefined
  readonly me: MeShape
}
/** To this user alone. */
export type PrivateName = Extract<SessionEventName, `stream.${string}` | `mic.${string}`>

type Folds = { [Name in EventName | PrivateName]?: <State extends MediaState>(state: State, d: Messages[Name]) => State }

const nothing: StreamInfoShape = { state: 'off', tracks: [], lines: [], degradeLevel: 0 }

/** Whoever tells of a stream has one: what the snapshot left out is off. */
function inStream<State extends MediaState>(state: State, part: Partial<StreamInfoShape>): State {
  return { ...state, stream: { ...(state.stream ?? nothing), ...part } }
}

function off<State extends MediaState>(state: State): State {
  const { sinceAt: _, ...rest } = state.stream ?? nothing
  return { ...state, stream: { ...rest, state: 'off' } }
}

export const mediaFolds: Folds = {
  'stream.started': (state, { sinceAt }) => inStream(state, { state: 'live', sinceAt }),
  'stream.stopped': (state) => off(state),
  'stream.published': (state, { track }) =>
    inStream(state, { tracks: [...(state.stream?.tracks ?? []).filter(({ id }) => id !== track.id), track] }),
  'stream.unpublished': (state, { trackId }) =>
    inStream(state, { tracks: (state.stream?.tracks ?? []).filter(({ id }) => id !== trackId) }),
  'stream.track_changed': (state, { track }) =>
    inStream(state, { tracks: (state.stream?.tracks ?? []).map((known) => (known.id === track.id ? track : known)) }),
  'stream.lines_changed': (state, { lines, line }) => {
    const { line: _, ...rest } = state.stream ?? nothing
    return { ...state, stream: { ...rest, lines, ...(line === undefined ? {} : { line }) } }
  },
  'stream.line_switched': (state, { to }) => inStream(state, { line: to }),
  'stream.degraded': (state, { level }) => inStream(state, { degradeLevel: level }),
  'mic.seat_changed': (state, { seat }) => ({
    ...(isTakenUp(state.me, seat) ? offered(state, {}) : state),
    mic: { waiting: 0, ...state.mic, seats: withSeat(state.mic?.seats ?? [], seat) },
  }),
  'mic.queue_changed': (state, { waiting }) => ({ ...state, mic: { seats: [], ...state.mic, waiting } }),
  'mic.place_changed': (state, { place }) => ({ ...state, mic: { seats: [], waiting: place, ...state.mic, place } }),
  'mic.invited': (state, invitation) => offered(state, { invitation }),
  'mic.accepted': (state, granted) => offered(unplaced(state), { granted }),
  'mic.rejected': (state) => offered(unplaced(state), {}),
  'mic.timed_out': (state) => offered(unplaced(state), {}),
}

/** A seat that was kept for this user: they are on it, or it is theirs no more. */
const isTakenUp = ({ userId, granted }: MeShape, { no, user, state }: SeatShape): boolean =>
  granted?.seatNo === no && (user?.id !== userId || state === 'live')

function offered<State extends MediaState>(state: State, offer: Pick<MeShape, 'invitation' | 'granted'>): State {
  const { invitation: _, granted: __, ...me } = state.me
  return { ...state, me: { ...me, ...offer } }
}

function unplaced<State extends MediaState>(state: State): State {
  if (!state.mic) return state
  const { place: _, ...mic } = state.mic
  return { ...state, mic }
}

const withSeat = (seats: readonly SeatShape[], seat: SeatShape): SeatShape[] =>
  [...seats.filter(({ no }) => no !== seat.no), seat].sort((a, b) => a.no - b.no)
