/**
 * Picture, sound and the mic in the state of a room: what a snapshot says, folded on with `stream.*` and `mic.*`. Pure; `room-state.ts`
 * takes these folds in among its own.
 */
import type { EventName, Messages, MicInfoShape, SeatShape, StreamInfoShape } from '../../schemas/messages.ts'

export interface MediaState {
  /** Undefined: this engine has no picture and sound. */
  readonly stream: StreamInfoShape | undefined
  /** Undefined: this room has no mic. */
  readonly mic: MicInfoShape | undefined
}

type Folds = { [Name in EventName]?: <State extends MediaState>(state: State, d: Messages[Name]) => State }

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
    ...state,
    mic: { waiting: 0, ...state.mic, seats: withSeat(state.mic?.seats ?? [], seat) },
  }),
  'mic.queue_changed': (state, { waiting }) => ({ ...state, mic: { seats: [], ...state.mic, waiting } }),
}

const withSeat = (seats: readonly SeatShape[], seat: SeatShape): SeatShape[] =>
  [...seats.filter(({ no }) => no !== seat.no), seat].sort((a, b) => a.no - b.no)
