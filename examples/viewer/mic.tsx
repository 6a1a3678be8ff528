/** The mic for a viewer: ask for it, wait, take the seat, speak, leave. One strip above the composer says where one stands. */
import type { MediaView, MicView, RoomMedia, RoomState } from 'livehouse/client'
import { useEffect, useState } from 'preact/hooks'
import { Countdown, Icon } from '../kit/parts.tsx'
import { explainError } from '../kit/words.ts'

export interface MicPart {
  /** The strip is wanted: somebody pressed the button, or something happened. */
  isOpen: boolean
  setOpen(isOpen: boolean): void
}

export const hasMic = (state: RoomState | undefined): boolean =>
  state?.settings.mic === true &&
  state.room.state === 'open' &&
  state.stream !== undefined &&
  state.stream.state !== 'unavailable'

interface MicButtonProps extends MicPart {
  state: RoomState | undefined
  mic: MicView | undefined
  signedIn: boolean
  onRefused: (text: string) => void
}
export function MicButton({ state, mic, signedIn, isOpen, setOpen, onRefused }: MicButtonProps) {
  if (!hasMic(state) || state?.me.userId === state?.room.ownerId) return null
  const isBusy = mic?.seat !== undefined || mic?.place !== undefined
  return (
    <button
      type="button"
      class={`tool mic-button${isBusy ? ' on' : ''}`}
      aria-expanded={isOpen}
      aria-label={mic?.seat ? 'You are on the mic' : 'Speak with the host'}
      title="Speak with the host"
      onClick={() => (signedIn ? setOpen(!isOpen) : onRefused('Sign in to speak with the host.'))}
      data-testid="mic-button"
    >
      <Icon name="mic" />
    </button>
  )
}

interface StripProps extends MicPart {
  media: RoomMedia | undefined
  view: MediaView | undefined
  state: RoomState | undefined
  onSaid: (text: string) => void
}
export function MicStrip({ media, view, state, isOpen, setOpen, onSaid }: StripProps) {
  const [busy, setBusy] = useState(false)
  const mic = media?.mic.view
  useEffect(() => {
    const ended = mic?.ended
    if (!ended) return
    setOpen(false)
    onSaid(endedWords(ended))
  }, [mic?.ended])
  if (!media || !mic || !state) return isOpen ? <div class="mic-strip" data-testid="mic-strip" data-step="loading" /> : null
  const run = async (call: () => Promise<unknown>) => {
    setBusy(true)
    try {
      await call()
    } catch (error) {
      onSaid(explainError(error).text)
    } finally {
      setBusy(false)
    }
  }
  const step = stepOf(mic)
  if (step === 'idle' && !isOpen) return null
  return (
    <section class="mic-strip" aria-label="The mic" data-testid="mic-strip" data-step={step}>
      <p role="status">
        <MicWords step={step} mic={mic} isMuted={view?.seat?.isSilent ?? false} />
      </p>
      <span class="mic-actions">
        <MicActions {...{ step, mic, media, busy, run, isMuted: view?.seat?.isSilent ?? false }} onClose={() => setOpen(false)} />
      </span>
    </section>
  )
}

type Step = 'idle' | 'waiting' | 'invited' | 'granted' | 'seated'
function stepOf({ seat, granted, invitation, place }: MicView): Step {
  if (seat) return 'seated'
  if (granted) return 'granted'
  if (invitation) return 'invited'
  return place === undefined ? 'idle' : 'waiting'
}

function MicWords({ step, mic, isMuted }: { step: Step; mic: MicView; isMuted: boolean }) {
  if (step === 'waiting') return <>You wait for the mic, place {mic.place}.</>
  if (step === 'invited')
    return (
      <>
        {mic.invitation?.by.name} invites you to the mic, for <Countdown at={mic.invitation?.expireAt ?? 0} />.
      </>
    )
  if (step === 'granted')
    return (
      <>
        Your seat is ready, for <Countdown at={mic.granted?.joinByAt ?? 0} />.
      </>
    )
  if (step === 'seated') {
    if (mic.seat?.mutedBy === 'host') return <>The host has muted you.</>
    return <>{isMuted ? 'You are on the mic, muted.' : 'You are on the mic: everybody hears you.'}</>
  }
  return <>Speak with the host. Your browser will ask for the microphone.</>
}

interface ActionsProps {
  step: Step
  mic: MicView
  media: RoomMedia
  busy: boolean
  isMuted: boolean
  run: (call: () => Promise<unknown>) => Promise<void>
  onClose: () => void
}
function MicActions({ step, mic, media, busy, isMuted, run, onClose }: ActionsProps) {
  const button = (label: string, testid: string, onClick: () => void, primary = false) => (
    <button type="button" {...(primary ? { class: 'primary' } : {})} disabled={busy} onClick={onClick} data-testid={testid}>
      {label}
    </button>
  )
  if (step === 'idle')
    return (
      <>
        {button('With voice', 'mic-apply', () => void run(() => media.mic.apply({ kind: 'audio' })), true)}
        {button('With camera', 'mic-apply-video', () => void run(() => media.mic.apply({ kind: 'video' })))}
        {button('Not now', 'mic-close', onClose)}
      </>
    )
  if (step === 'waiting') return button('Do not wait', 'mic-cancel', () => void run(() => media.mic.cancel()))
  if (step === 'invited')
    return (
      <>
        {button('Go on the mic', 'mic-accept', () => void run(() => media.mic.accept().then(() => media.mic.join())), true)}
        {button('No, thanks', 'mic-decline', () => void run(() => media.mic.decline()))}
      </>
    )
  if (step === 'granted')
    return (
      <>
        {button('Go on the mic', 'mic-join', () => void run(() => media.mic.join()), true)}
        {button('No, thanks', 'mic-give-up', () => void run(() => media.mic.leave()))}
      </>
    )
  return (
    <>
      {mic.seat?.mutedBy !== 'host' &&
        button(isMuted ? 'Unmute' : 'Mute', 'mic-mute', () => void run(() => media.mic.mute(!isMuted)))}
      {button('Leave the mic', 'mic-leave', () => void run(() => media.mic.leave()))}
    </>
  )
}

/** By what was waited for. */
const lateWords: Record<string, string> = {
  application: 'Nobody answered in time. Ask again if you like.',
  invitation: 'The invitation is over.',
  seat: 'The seat was not taken in time.',
}

function endedWords({ code, reason }: NonNullable<MicView['ended']>): string {
  if (code === 'timed_out') return lateWords[reason] ?? 'It took too long.'
  if (code === 'rejected') return reason ? `Not this time: ${reason}` : 'The host says: not this time.'
  return reason ? `You are off the mic: ${reason}` : 'You are off the mic.'
}
