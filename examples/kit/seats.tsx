/** Guests on the mic: who they are, whether they speak, their picture if they have one, and their sound. */
import type { MediaView, RoomMedia, RoomState } from 'livehouse/client'
import { useEffect, useRef, useState } from 'preact/hooks'
import { useStream } from './media.ts'
import { Icon } from './parts.tsx'

type Seat = NonNullable<RoomState['mic']>['seats'][number]
export interface SeatsProps {
  media: RoomMedia | undefined
  view: MediaView | undefined
  state: RoomState
}

const lookMs = 200
const speaksAt = 0.02

export function Seats({ media, view, state }: SeatsProps) {
  const seats = (state.mic?.seats ?? []).filter(({ user, state: is }) => user && is !== 'reserved')
  if (seats.length === 0) return null
  return (
    <ul class="seats" aria-label="On the mic" data-testid="seats">
      {seats.map((seat) => (
        <Guest key={seat.no} seat={seat} media={media} own={seat.user?.id === state.me.userId ? view?.seat?.stream : undefined} />
      ))}
    </ul>
  )
}

interface GuestProps {
  seat: Seat
  media: RoomMedia | undefined
  /** What this page sends itself. */
  own: MediaStream | undefined
}
function Guest({ seat, media, own }: GuestProps) {
  const theirs = useRef<HTMLVideoElement>(null)
  const mirror = useStream(own)
  const { level, isPicture } = useGuest(media, seat.no)
  const isOwnPicture = own !== undefined && own.getVideoTracks().length > 0
  useEffect(
    () => (media && theirs.current && !own ? media.play(theirs.current, { seatNo: seat.no }) : undefined),
    [media, seat.no, own],
  )
  const name = seat.user?.name ?? ''
  const speaks = level > speaksAt && !seat.mutedBy
  return (
    <li
      class={`seat${speaks ? ' speaks' : ''}${isPicture || isOwnPicture ? ' with-picture' : ''}`}
      data-testid="seat"
      data-no={seat.no}
      data-state={seat.state}
      data-user={seat.user?.id}
      data-level={level.toFixed(3)}
      title={seat.mutedBy ? `${name} is muted` : name}
    >
      {own ? (
        <video ref={mirror} class="mirror" muted autoPlay playsInline />
      ) : (
        // biome-ignore lint/a11y/useMediaCaption: it is live; there is no text of it to be had
        <video ref={theirs} playsInline data-testid="seat-media" />
      )}
      <span class="seat-name">
        {seat.mutedBy ? <Icon name="micOff" /> : <Icon name="mic" />}
        <span>{name}</span>
        {seat.state === 'suspended' && <span class="spinner" aria-hidden="true" />}
      </span>
    </li>
  )
}

function useGuest(media: RoomMedia | undefined, seatNo: number): { level: number; isPicture: boolean } {
  const [guest, setGuest] = useState({ level: 0, isPicture: false })
  useEffect(() => {
    if (!media) return
    const timer = setInterval(() => {
      const level = Math.round(media.level(seatNo) * 1_000) / 1_000
      const isPicture = media.hasSeatPicture(seatNo)
      setGuest((before) => (before.level === level && before.isPicture === isPicture ? before : { level, isPicture }))
    }, lookMs)
    return () => clearInterval(timer)
  }, [media, seatNo])
  return guest
}
