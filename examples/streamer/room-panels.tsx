/** What the host sets on the room itself: on and off air, title and intro, switches, the pinned item. */
import type { CommandInput, RoomState, RoomView } from 'livehouse/client'
import { useEffect, useState } from 'preact/hooks'
import { useNow } from '../kit/parts.tsx'
import { durationWords } from '../kit/words.ts'
import type { Act } from './act.tsx'

export interface PanelProps {
  room: RoomView
  state: RoomState
  act: Act
}
type SettingsPatch = CommandInput<'room.set_settings'>

export function OnAirPanel({ room, state, act }: PanelProps) {
  const [asking, setAsking] = useState(false)
  const open = state.room.state === 'open'
  const now = useNow(open, 1_000)
  const close = async () => {
    setAsking(false)
    await act('The room is closed.', () => room.call('room.close', { reason: 'host' }))
  }
  return (
    <section class="panel on-air-panel" aria-label="On air">
      <div>
        <h2>{open ? 'On air' : 'Off air'}</h2>
        <p class="big-time">{open && state.room.openedAt ? durationWords(now - state.room.openedAt) : 'closed'}</p>
      </div>
      {!open ? (
        <button
          type="button"
          class="primary"
          onClick={() => act('The room is open.', () => room.call('room.open', {}))}
          data-testid="open"
        >
          Open the room
        </button>
      ) : asking ? (
        <div class="sure">
          <button type="button" class="danger" onClick={close} data-testid="close-sure">
            Yes, close
          </button>
          <button type="button" onClick={() => setAsking(false)}>
            Stay live
          </button>
        </div>
      ) : (
        <button type="button" class="danger" onClick={() => setAsking(true)} data-testid="close">
          Close the room
        </button>
      )}
    </section>
  )
}

export function DetailsPanel({ room, state, act }: PanelProps) {
  const titleDraft = useDraft(state.room.title)
  const introDraft = useDraft(state.room.intro)
  const [title, intro] = [titleDraft.text, introDraft.text]
  const patch: CommandInput<'room.update'> = {
    ...(title.trim() !== state.room.title ? { title: title.trim() } : {}),
    ...(intro !== state.room.intro ? { intro } : {}),
  }
  const changed = Object.keys(patch).length > 0 && title.trim().length > 0
  const submit = (event: Event) => {
    event.preventDefault()
    if (changed) void act('Saved.', () => room.call('room.update', patch))
  }
  return (
    <section class="panel" aria-label="Title and intro">
      <h2>The room</h2>
      <form class="stack" onSubmit={submit}>
        <label>
          <span>Title</span>
          <input
            type="text"
            value={title}
            maxLength={120}
            onInput={(e) => titleDraft.edit(e.currentTarget.value)}
            data-testid="title"
          />
        </label>
        <Meanwhile draft={titleDraft} testid="title-meanwhile" />
        <label>
          <span>Intro</span>
          <textarea
            rows={3}
            value={intro}
            maxLength={2000}
            onInput={(e) => introDraft.edit(e.currentTarget.value)}
            data-testid="intro"
          />
        </label>
        <Meanwhile draft={introDraft} testid="intro-meanwhile" />
        <button type="submit" disabled={!changed} data-testid="save-details">
          Save
        </button>
      </form>
    </section>
  )
}

interface Draft {
  text: string
  edit: (text: string) => void
  /** What somebody else set while this one wrote. */
  meanwhile: string | undefined
  drop: () => void
}
/** A field of the room: follows the room until somebody writes in it, then stays as written until it is saved. */
function useDraft(current: string): Draft {
  const [draft, setDraft] = useState<{ text: string; from: string }>()
  useEffect(() => {
    setDraft((before) => (before?.text.trim() === current.trim() ? undefined : before)) // saved, here or elsewhere
  }, [current])
  const edit = (text: string) =>
    setDraft((before) => (text === current ? undefined : { text, from: before ? before.from : current }))
  const moved = draft !== undefined && draft.from !== current && draft.text.trim() !== current.trim()
  return { text: draft?.text ?? current, edit, meanwhile: moved ? current : undefined, drop: () => setDraft(undefined) }
}

function Meanwhile({ draft, testid }: { draft: Draft; testid: string }) {
  if (draft.meanwhile === undefined) return null
  return (
    <p class="meanwhile" role="status" data-testid={testid}>
      <span>{draft.meanwhile ? `Changed meanwhile to “${draft.meanwhile}”.` : 'Emptied meanwhile.'}</span>
      <button type="button" class="link" onClick={draft.drop}>
        Take that
      </button>
    </p>
  )
}

const switches: { key: 'chat' | 'gift' | 'like' | 'muteAll' | 'uniqueChat' | 'emoteOnly'; label: string; hint: string }[] = [
  { key: 'chat', label: 'Chat', hint: 'Danmaku can be sent' },
  { key: 'gift', label: 'Gifts', hint: 'Viewers can send gifts' },
  { key: 'like', label: 'Likes', hint: 'Viewers can like' },
  { key: 'muteAll', label: 'Mute everybody', hint: 'Only you and your team write' },
  { key: 'uniqueChat', label: 'No repeats', hint: 'The same text once a minute' },
  { key: 'emoteOnly', label: 'Emotes only', hint: 'No words' },
]
const slowSteps = [0, 3, 5, 10, 30, 60, 120]

export function SwitchesPanel({ room, state, act }: PanelProps) {
  const set = (patch: SettingsPatch) => act('Done.', () => room.call('room.set_settings', patch))
  const slow = Math.round(state.settings.slowModeMs / 1_000)
  const steps = slowSteps.includes(slow) ? slowSteps : [...slowSteps, slow].sort((a, b) => a - b)
  return (
    <section class="panel" aria-label="Switches">
      <h2>Rules of the chat</h2>
      <ul class="switches">
        {switches.map(({ key, label, hint }) => (
          <li key={key}>
            <label>
              <span>
                {label}
                <small>{hint}</small>
              </span>
              <input
                type="checkbox"
                role="switch"
                aria-checked={state.settings[key]}
                checked={state.settings[key]}
                onChange={(event) => {
                  const { checked } = event.currentTarget
                  event.currentTarget.checked = state.settings[key] // it moves when the engine says so
                  void set({ [key]: checked })
                }}
                data-testid={`switch-${key}`}
              />
            </label>
          </li>
        ))}
        <li>
          <label>
            <span>
              Slow mode
              <small>Time between two messages of one viewer</small>
            </span>
            <select
              value={String(slow)}
              onChange={(event) => void set({ slowModeMs: Number(event.currentTarget.value) * 1_000 })}
              data-testid="slow-mode"
            >
              {steps.map((seconds) => (
                <option key={seconds} value={String(seconds)}>
                  {seconds === 0 ? 'Off' : `${seconds} s`}
                </option>
              ))}
            </select>
          </label>
        </li>
      </ul>
    </section>
  )
}

const wallMs = 10 * 60_000

export function WallPanel({ room, state, act }: PanelProps) {
  const [text, setText] = useState('')
  const pin = async (event: Event) => {
    event.preventDefault()
    const line = text.trim()
    if (line && (await act('Pinned.', () => room.call('wall.show', { text: line, showMs: wallMs })))) setText('')
  }
  return (
    <section class="panel" aria-label="Pinned">
      <h2>Pinned over the picture</h2>
      {state.wall ? (
        <div class="pinned" data-testid="pinned">
          <p>
            {state.wall.from && <b>{state.wall.from.name}</b>} {state.wall.text}
          </p>
          <button type="button" onClick={() => act('Taken down.', () => room.call('wall.hide', {}))} data-testid="unpin">
            Take down
          </button>
        </div>
      ) : (
        <form class="inline" onSubmit={pin}>
          <input
            type="text"
            value={text}
            maxLength={200}
            placeholder="A line for everybody"
            aria-label="Text to pin"
            onInput={(event) => setText(event.currentTarget.value)}
            data-testid="pin-text"
          />
          <button type="submit" disabled={!text.trim()} data-testid="pin">
            Pin
          </button>
        </form>
      )}
    </section>
  )
}
