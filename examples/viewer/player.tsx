/** The picture itself, what is the matter with it, and its switches: sound, quality, the whole screen. */
import type { MediaView, Quality, RoomMedia } from 'livehouse/client'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Icon } from '../kit/parts.tsx'
import { bitrateWords, explainError, sizeWords } from '../kit/words.ts'

interface PlayProps {
  media: RoomMedia | undefined
  view: MediaView | undefined
}

/** Once something plays it stays, also while it is made anew: then it is the last picture. */
export function useShown(view: MediaView | undefined): boolean {
  const [isShown, setShown] = useState(false)
  const isIdle = view === undefined || view.play.state === 'idle'
  const hasFrames = (view?.play.stats?.framesDecoded ?? 0) > 0
  useEffect(() => {
    if (isIdle) setShown(false)
    else if (hasFrames) setShown(true)
  }, [isIdle, hasFrames])
  return isShown
}

export function Picture({ media, view, isShown }: PlayProps & { isShown: boolean }) {
  const video = useRef<HTMLVideoElement>(null)
  useEffect(() => (media && video.current ? media.play(video.current) : undefined), [media])
  return (
    // biome-ignore lint/a11y/useMediaCaption: it is live; there is no text of it to be had
    <video
      ref={video}
      class="live-picture"
      playsInline
      data-shown={isShown}
      data-state={view?.play.state ?? 'idle'}
      data-frames={view?.play.stats?.framesDecoded ?? 0}
      data-testid="picture"
    />
  )
}

/** Nothing while all is well. */
export function PlayLine({ media, view }: PlayProps) {
  const isLate = useLate(view?.play.state === 'stalled' || view?.play.state === 'connecting')
  if (!view) return null
  const { state, needsGesture, problem } = view.play
  if (problem)
    return (
      <p class="play-line" role="status" data-testid="play-problem">
        {explainError(problem).text}
      </p>
    )
  if (needsGesture && state !== 'idle')
    return (
      <button type="button" class="play-line sound-gate" onClick={() => media?.setMuted(false)} data-testid="sound-gate">
        <Icon name="soundOff" />
        Tap for sound
      </button>
    )
  if (!isLate || (state !== 'stalled' && state !== 'connecting')) return null
  return (
    <p class="play-line" role="status" data-testid="play-line" data-state={state}>
      <span class="spinner" aria-hidden="true" />
      {state === 'stalled' ? 'The picture has stopped. Waiting for it' : 'The picture is coming'}
    </p>
  )
}

const lateMs = 400

/** A moment is not worth a word. */
function useLate(isSo: boolean): boolean {
  const [late, setLate] = useState(false)
  useEffect(() => {
    setLate(false)
    if (!isSo) return
    const timer = setTimeout(() => setLate(true), lateMs)
    return () => clearTimeout(timer)
  }, [isSo])
  return late && isSo
}

export function SoundButton({ media, view }: PlayProps) {
  if (!view || view.play.state === 'idle') return null
  const { isMuted } = view.play
  return (
    <button
      type="button"
      class="tool"
      aria-pressed={!isMuted}
      aria-label="Sound"
      title={isMuted ? 'Switch the sound on' : 'Switch the sound off'}
      onClick={() => media?.setMuted(!isMuted)}
      data-testid="sound"
    >
      <Icon name={isMuted ? 'soundOff' : 'sound'} />
    </button>
  )
}

const choices: { quality: Quality; label: string }[] = [
  { quality: 'auto', label: 'Automatic' },
  { quality: 'high', label: 'High' },
  { quality: 'middle', label: 'Middle' },
  { quality: 'low', label: 'Low, saves data' },
]

export function QualityMenu({ media, view }: PlayProps) {
  const menu = useRef<HTMLDetailsElement>(null)
  useCloses(menu)
  const stats = view?.play.stats
  if (!view || !stats || view.play.state === 'idle') return null
  const { quality, layers, hasPicture: isPicture } = view.play
  const size = isPicture && stats.height > 0 ? sizeWords(stats.width, stats.height) : 'Sound'
  const choose = (wanted: Quality) => {
    media?.setQuality(wanted)
    if (menu.current) menu.current.open = false
  }
  return (
    <details class="quality" ref={menu} data-testid="quality">
      <summary class="tool-like" aria-label={`Quality, now ${size}`}>
        {size}
      </summary>
      <div class="quality-menu">
        {layers > 1 &&
          choices.map((one) => (
            <button
              key={one.quality}
              type="button"
              aria-pressed={one.quality === quality}
              onClick={() => choose(one.quality)}
              data-testid={`quality-${one.quality}`}
            >
              {one.label}
            </button>
          ))}
        <p>
          {layers > 1 ? '' : 'Sent in one size. '}
          {bitrateWords(stats.kbps)}
          {isPicture && `, ${stats.fps} frames/s`}
          {stats.rttMs !== undefined && `, ${stats.rttMs} ms`}
        </p>
      </div>
    </details>
  )
}

function useCloses(menu: { current: HTMLDetailsElement | null }): void {
  useEffect(() => {
    const close = (event: Event) => {
      const inside = event.target instanceof Node && menu.current?.contains(event.target)
      const closes = event instanceof KeyboardEvent ? event.key === 'Escape' : !inside
      if (menu.current?.open && closes) menu.current.open = false
    }
    addEventListener('pointerdown', close)
    addEventListener('keydown', close)
    return () => {
      removeEventListener('pointerdown', close)
      removeEventListener('keydown', close)
    }
  }, [])
}

/** iPhones give it to a video alone. */
type WithFullscreen = HTMLVideoElement & { webkitEnterFullscreen?: () => void }

export function FullscreenButton({ stage }: { stage: { current: HTMLElement | null } }) {
  const [isFull, setFull] = useState(false)
  useEffect(() => {
    const changed = () => setFull(document.fullscreenElement !== null)
    document.addEventListener('fullscreenchange', changed)
    return () => document.removeEventListener('fullscreenchange', changed)
  }, [])
  const toggle = () => {
    if (document.fullscreenElement) return void document.exitFullscreen()
    const element = stage.current
    // Refused: it stays as it is.
    if (element?.requestFullscreen) return void element.requestFullscreen().catch(() => undefined)
    element?.querySelector<WithFullscreen>('video')?.webkitEnterFullscreen?.()
  }
  return (
    <button
      type="button"
      class="tool"
      aria-pressed={isFull}
      aria-label="Whole screen"
      title={isFull ? 'Back to the page' : 'Whole screen'}
      onClick={toggle}
      data-testid="fullscreen"
    >
      <Icon name={isFull ? 'fullOff' : 'full'} />
    </button>
  )
}
