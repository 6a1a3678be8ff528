/**
 * The like button. Taps are gathered and sent once a second, at most 30 in a frame as the contract says; hearts rise for one's own
 * taps at once, and a few for everybody else's.
 */
import type { RoomState, RoomView } from 'livehouse/client'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Icon } from '../kit/parts.tsx'
import { explainError, shortNumber } from '../kit/words.ts'

const gatherMs = 1_000
const tapsPerFrameMax = 30
const tapsWaitingMax = 300
const heartsMax = 24
const heartHues = [348, 12, 330, 300, 28]

interface LikeProps {
  room: RoomView | undefined
  state: RoomState | undefined
  signedIn: boolean
  onRefused: (text: string) => void
}

export function LikeButton({ room, state, signedIn, onRefused }: LikeProps) {
  const hearts = useRef<HTMLSpanElement>(null)
  const taps = useRef(0)
  const [unsent, setUnsent] = useState(0)
  const disabled = !state?.settings.like || state.room.state !== 'open'

  useEffect(() => {
    if (!room) return
    const timer = setInterval(() => void flush(), gatherMs)
    const flush = async () => {
      const n = Math.min(taps.current, tapsPerFrameMax)
      if (n === 0 || room.status !== 'joined') return
      taps.current -= n
      try {
        await room.like(n)
      } catch (error) {
        onRefused(explainError(error).text)
      } finally {
        setUnsent(taps.current)
      }
    }
    const off = room.on('like.changed', ({ delta }) => {
      for (let i = 0; i < Math.min(4, delta); i++) setTimeout(() => rise(hearts.current), i * 160)
    })
    return () => {
      clearInterval(timer)
      off()
    }
  }, [room])

  const tap = () => {
    if (!signedIn) return onRefused('Sign in to like.')
    if (taps.current >= tapsWaitingMax) return
    taps.current++
    setUnsent(taps.current)
    rise(hearts.current)
  }
  const total = (state?.likes ?? 0) + unsent
  return (
    <span class="like">
      <span class="hearts" ref={hearts} aria-hidden="true" />
      <button
        type="button"
        class="tool like-button"
        disabled={disabled}
        onClick={tap}
        aria-label={`Like, ${total} so far`}
        data-testid="like"
      >
        <Icon name="heart" />
        <span data-testid="likes">{shortNumber(total)}</span>
      </button>
    </span>
  )
}

function rise(place: HTMLElement | null): void {
  if (!place || document.hidden || place.childElementCount >= heartsMax) return
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return
  const heart = document.createElement('span')
  heart.className = 'heart'
  const drift = Math.random() * 60 - 36
  heart.style.backgroundColor = `hsl(${heartHues[Math.floor(Math.random() * heartHues.length)]} 85% 66%)`
  place.append(heart)
  const animation = heart.animate(
    [
      { transform: 'translate(0, 0) scale(0.4)', opacity: 0 },
      { transform: `translate(${drift * 0.4}px, -40px) scale(1.1)`, opacity: 0.95, offset: 0.2 },
      { transform: `translate(${drift}px, -150px) scale(0.9)`, opacity: 0 },
    ],
    { duration: 1_700 + Math.random() * 700, easing: 'ease-out' },
  )
  animation.onfinish = () => heart.remove()
}
