/** Where one writes: counter, colours, modes, the message that is answered, and every refusal in words. */
import type { CommandInput, RoomState, RoomView, Session } from 'livehouse/client'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { DanmakuRow } from '../kit/feed.ts'
import { Countdown, Icon } from '../kit/parts.tsx'
import { codePoints, type Explanation, explainError, untilWords } from '../kit/words.ts'

type Mode = NonNullable<CommandInput<'danmaku.send'>['mode']>

/** The free palette of the engine. */
export const palette = [0xffffff, 0xff5252, 0xffa726, 0xffee58, 0x66bb6a, 0x4dd0e1, 0x64b5f6, 0xf48fb1]
const hex = (color: number) => `#${color.toString(16).padStart(6, '0')}`
const modes: { mode: Mode; label: string; open: (state: RoomState) => boolean }[] = [
  { mode: 'scroll', label: 'Fly', open: () => true },
  { mode: 'reverse', label: 'Backwards', open: ({ settings }) => settings.reverseMode },
  { mode: 'top', label: 'Top', open: isStaff },
  { mode: 'bottom', label: 'Bottom', open: isStaff },
]
/** Owner and team: they write when the others may not, longer, and in every mode. */
function isStaff({ me }: RoomState): boolean {
  return me.roles.length > 0
}
const staffCodePointsMax = 100

interface SendBoxProps {
  room: RoomView
  state: RoomState
  session: Session | undefined
  replyTo: DanmakuRow | undefined
  onReplied: () => void
}

type Problem = Explanation & { untilMs?: number }

/** Why nobody, or not this one, may write just now. */
export function closedReason(state: RoomState, now: number): string | undefined {
  const { settings, me, room } = state
  const staff = isStaff(state)
  if (room.state !== 'open') return 'The room is not live at the moment.'
  if (!settings.chat && !staff) return 'The streamer has switched the chat off.'
  const { mutedUntilAt } = me
  if (mutedUntilAt !== undefined && (mutedUntilAt <= 0 || mutedUntilAt > now))
    return `You are muted ${untilWords(mutedUntilAt, now)}.`
  if (settings.muteAll && !staff) return 'Only the host’s team may write right now.'
  return undefined
}

export function SendBox({ room, state, session, replyTo, onReplied }: SendBoxProps) {
  const input = useRef<HTMLInputElement>(null)
  const [text, setText] = useState('')
  const [color, setColor] = useState(palette[0] as number)
  const [mode, setMode] = useState<Mode>('scroll')
  const [styling, setStyling] = useState(false)
  const [sending, setSending] = useState(false)
  const [problem, setProblem] = useState<Problem>()
  const [, wake] = useState(0)

  useEffect(() => {
    if (replyTo) input.current?.focus()
  }, [replyTo])
  useUnmuteAlarm(state.me.mutedUntilAt, () => wake((n) => n + 1))

  const openModes = modes.filter(({ open }) => open(state))
  const most = isStaff(state) ? staffCodePointsMax : (session?.limits?.danmakuCodePointsMax ?? 40)
  const length = codePoints(text.trim())
  const closed = closedReason(state, Date.now())
  const waiting = problem?.untilMs !== undefined
  const canSend = !closed && !sending && !waiting && length > 0 && length <= most

  const submit = async (event: Event) => {
    event.preventDefault()
    if (!canSend) return
    setSending(true)
    setProblem(undefined)
    try {
      await room.send({ text: text.trim(), color, mode, ...(replyTo ? { replyTo: replyTo.danmaku.id } : {}) })
      setText('')
      onReplied()
    } catch (error) {
      const words = explainError(error)
      setProblem(words.waitMs === undefined ? words : { ...words, untilMs: Date.now() + words.waitMs })
    } finally {
      setSending(false)
      input.current?.focus()
    }
  }

  return (
    <form class={`send-box${closed ? ' closed' : ''}`} onSubmit={submit} data-testid="send-box">
      {/* The placeholder says it while the box is empty. A mute comes before a wait: waiting would not help. */}
      {closed && text !== '' && (
        <p class="problem" role="status" data-testid="closed-reason">
          {closed}
        </p>
      )}
      {problem && !closed && (
        <p class="problem" role="alert" data-testid="refusal">
          {problem.text}
          {problem.untilMs !== undefined && (
            <>
              {' '}
              <Countdown at={problem.untilMs} over={() => setProblem(undefined)} />
            </>
          )}
        </p>
      )}
      {replyTo && !closed && (
        <p class="replying" data-testid="replying">
          <Icon name="reply" />
          <span>
            {replyTo.danmaku.from.name}: {replyTo.danmaku.text}
          </span>
          <button type="button" class="tool small" onClick={onReplied} aria-label="Do not reply">
            <Icon name="close" />
          </button>
        </p>
      )}
      {styling && !closed && (
        <div class="styles" data-testid="styles">
          <fieldset class="palette" aria-label="Colour">
            {palette.map((each) => (
              <button
                key={each}
                type="button"
                aria-pressed={each === color}
                aria-label={`Colour ${hex(each)}`}
                class="swatch"
                style={{ backgroundColor: hex(each) }}
                onClick={() => setColor(each)}
              />
            ))}
          </fieldset>
          <fieldset class="modes" aria-label="How it is shown" hidden={openModes.length < 2}>
            {openModes.map(({ mode: each, label }) => (
              <button key={each} type="button" aria-pressed={each === mode} onClick={() => setMode(each)}>
                {label}
              </button>
            ))}
          </fieldset>
        </div>
      )}
      <div class="line">
        <button
          type="button"
          class="tool"
          aria-expanded={styling}
          aria-label="Colour and mode"
          disabled={closed !== undefined}
          onClick={() => setStyling(!styling)}
          style={{ color: hex(color) }}
          data-testid="style-switch"
        >
          <Icon name="palette" />
        </button>
        <div class="field">
          <input
            ref={input}
            type="text"
            value={text}
            disabled={closed !== undefined}
            placeholder={closed ?? 'Say something'}
            aria-label="Your message"
            autocomplete="off"
            enterkeyhint="send"
            onInput={(event) => setText(event.currentTarget.value)}
            data-testid="message"
          />
          {length > 0 && !closed && (
            <span class={`count${length > most ? ' over' : ''}`} data-testid="count">
              {length}/{most}
            </span>
          )}
        </div>
        <button type="submit" class="primary send" disabled={!canSend} aria-label="Send" data-testid="send">
          <Icon name="send" />
        </button>
      </div>
    </form>
  )
}

/** The box opens by itself when a mute runs out. */
function useUnmuteAlarm(untilAt: number | undefined, wake: () => void): void {
  useEffect(() => {
    const left = untilAt !== undefined && untilAt > 0 ? untilAt - Date.now() : 0
    if (left <= 0 || left > 86_400_000) return
    const timer = setTimeout(wake, left + 50)
    return () => clearTimeout(timer)
  }, [untilAt])
}
