/** The mic for the host: who asks for it, who is on it, and what to do about either. */
import type { CommandReply, RoomEvents, RoomState, RoomView } from 'livehouse/client'
import { useCallback, useEffect, useState } from 'preact/hooks'
import type { PageMedia } from '../kit/media.ts'
import { Icon } from '../kit/parts.tsx'
import { Seats } from '../kit/seats.tsx'
import type { Act } from './act.tsx'

type List = CommandReply<'mic.list'>
type Seat = NonNullable<RoomState['mic']>['seats'][number]

interface MicPanelProps extends PageMedia {
  room: RoomView
  state: RoomState
  act: Act
  /** Grows with what was done on this page: of an invitation its guest alone is told. */
  acts: number
}

const changes = [
  'mic.applied',
  'mic.queue_changed',
  'mic.seat_changed',
  'mic.rejected',
  'mic.timed_out',
  'room.settings_changed',
  'resync',
  'resumed',
] as const satisfies (keyof RoomEvents)[]

export function MicPanel({ media, view, room, state, act, acts }: MicPanelProps) {
  const { applicants, invited } = useApplicants(room, acts)
  const seats = state.mic?.seats ?? []
  const taken = seats.filter(({ user }) => user !== undefined)
  const run = (done: string, call: () => Promise<unknown>) => void act(done, call)
  if (!state.settings.mic)
    return (
      <section class="panel" aria-label="The mic">
        <h2>The mic</h2>
        <p class="hint">Switched off. Viewers cannot ask for it.</p>
        <button type="button" onClick={() => run('The mic is on.', () => room.call('room.set_settings', { mic: true }))}>
          Switch it on
        </button>
      </section>
    )
  return (
    <section class="panel mic-panel" aria-label="The mic" data-testid="mic-panel">
      <h2>
        The mic
        <button
          type="button"
          class="link"
          onClick={() => run('The mic is off.', () => room.call('room.set_settings', { mic: false }))}
        >
          Switch off
        </button>
      </h2>
      <ul class="people">
        {applicants.map(({ user, kind, note }) => (
          <li key={user.id} data-testid="applicant" data-user={user.id}>
            <span>
              <b>{user.name}</b>
              <small>{note || (kind === 'video' ? 'with camera' : 'with voice')}</small>
            </span>
            <span class="pair">
              <button
                type="button"
                class="primary"
                onClick={() => run(`${user.name} may speak.`, () => room.call('mic.accept', { userId: user.id }))}
                data-testid="mic-accept"
              >
                Let in
              </button>
              <button
                type="button"
                onClick={() => run('Turned down.', () => room.call('mic.reject', { userId: user.id }))}
                data-testid="mic-reject"
              >
                No
              </button>
            </span>
          </li>
        ))}
        {invited.map((user) => (
          <li key={user.id}>
            <span>
              <b>{user.name}</b>
              <small>invited, no answer yet</small>
            </span>
            <button type="button" onClick={() => run('Taken back.', () => room.call('mic.reject', { userId: user.id }))}>
              Take back
            </button>
          </li>
        ))}
      </ul>
      {applicants.length + invited.length + taken.length === 0 && (
        <p class="hint">Nobody asks for it. Invite somebody from the chat.</p>
      )}
      {/* Where guests are heard; what they send as a picture is seen here too. */}
      <Seats media={media} view={view} state={state} />
      <ul class="seat-list">
        {taken.map((seat) => (
          <SeatLine key={seat.no} seat={seat} room={room} run={run} />
        ))}
      </ul>
      <FreeSeats seats={seats.filter(({ user }) => user === undefined)} room={room} run={run} />
    </section>
  )
}

type Run = (done: string, call: () => Promise<unknown>) => void

function SeatLine({ seat, room, run }: { seat: Seat; room: RoomView; run: Run }) {
  const { no: seatNo, user, state, mutedBy } = seat
  const name = user?.name ?? ''
  const isMuted = mutedBy === 'host'
  const mute = () =>
    isMuted
      ? run(`${name} can be heard.`, () => room.call('mic.unmute_seat', { seatNo }))
      : run(`${name} is muted.`, () => room.call('mic.mute_seat', { seatNo }))
  return (
    <li data-testid={`seat-${seatNo}`} data-state={state}>
      <span class="seat-no">{seatNo}</span>
      <span class="seat-who">
        <b>{name}</b>
        <small>{seatWords(seat)}</small>
      </span>
      <span class="pair">
        <button
          type="button"
          class="tool"
          aria-label={isMuted ? `Unmute ${name}` : `Mute ${name}`}
          title={isMuted ? 'Unmute' : 'Mute'}
          onClick={mute}
          data-testid="seat-mute"
        >
          <Icon name={mutedBy ? 'micOff' : 'mic'} />
        </button>
        <button
          type="button"
          class="danger"
          onClick={() => run(`${name} is off the mic.`, () => room.call('mic.drop', { seatNo }))}
          data-testid="seat-drop"
        >
          End
        </button>
      </span>
    </li>
  )
}

/** Pressed: locked, nobody gets it. */
function FreeSeats({ seats, room, run }: { seats: readonly Seat[]; room: RoomView; run: Run }) {
  if (seats.length === 0) return null
  return (
    <fieldset class="free-seats" aria-label="Free seats">
      <span>Free seats, press to lock</span>
      {seats.map(({ no: seatNo, locked }) => (
        <button
          key={seatNo}
          type="button"
          aria-pressed={locked}
          aria-label={locked ? `Unlock seat ${seatNo}` : `Lock seat ${seatNo}`}
          onClick={() =>
            locked
              ? run('The seat is free.', () => room.call('mic.unlock_seat', { seatNo }))
              : run('The seat is locked.', () => room.call('mic.lock_seat', { seatNo }))
          }
          data-testid={`lock-${seatNo}`}
        >
          {seatNo}
          {locked && <Icon name="lock" />}
        </button>
      ))}
    </fieldset>
  )
}

function seatWords({ state, mutedBy }: Seat): string {
  if (state === 'reserved') return 'comes on'
  if (state === 'suspended') return 'is away for a moment'
  if (mutedBy === 'host') return 'muted by you'
  return mutedBy === 'self' ? 'muted themselves' : 'on the mic'
}

function useApplicants(room: RoomView, acts: number): List {
  const [list, setList] = useState<List>({ applicants: [], invited: [] })
  const refresh = useCallback(() => {
    // A refusal leaves the list as it was; the next change asks again.
    room.call('mic.list', {}).then(setList, () => undefined)
  }, [room])
  useEffect(refresh, [refresh, acts])
  useEffect(() => {
    const offs = changes.map((name) => room.on(name, refresh))
    return () => {
      for (const off of offs) off()
    }
  }, [room])
  return list
}
