/** The live chat as its host sees it: the same list as the viewers', with actions on every message, and a line to answer. */
import type { RoomView } from 'livehouse/client'
import { useState } from 'preact/hooks'
import { ChatList } from '../kit/chat-list.tsx'
import type { DanmakuRow, Row } from '../kit/feed.ts'
import { codePoints } from '../kit/words.ts'
import type { Act } from './act.tsx'
import type { PanelProps } from './room-panels.tsx'

const minuteMs = 60_000
const muteSpans = [
  { label: '1 minute', durationMs: minuteMs },
  { label: '10 minutes', durationMs: 10 * minuteMs },
  { label: 'This live show', durationMs: 0 },
  { label: 'For good', durationMs: -1 },
]
const kickMs = 10 * minuteMs
const pinMs = 10 * minuteMs
const hostCodePointsMax = 100

interface ChatPanelProps extends PanelProps {
  rows: readonly Row[]
}

export function ChatPanel({ room, state, act, rows }: ChatPanelProps) {
  const [text, setText] = useState('')
  const length = codePoints(text.trim())
  const send = async (event: Event) => {
    event.preventDefault()
    const line = text.trim()
    if (line && length <= hostCodePointsMax && (await act('Sent.', () => room.send({ text: line })))) setText('')
  }
  return (
    <section class="panel chat-panel" aria-label="Live chat">
      <h2>Live chat</h2>
      <ChatList
        rows={rows}
        actions={(row) => (
          <Actions row={row} room={room} act={act} isHost={state.me.roles.includes('owner')} hasMic={state.settings.mic} />
        )}
      />
      <form class="inline" onSubmit={send}>
        <input
          type="text"
          value={text}
          placeholder="Write as the host"
          aria-label="Write as the host"
          disabled={state.room.state !== 'open'}
          onInput={(event) => setText(event.currentTarget.value)}
          data-testid="host-message"
        />
        <button type="submit" class="primary" disabled={length === 0 || length > hostCodePointsMax} data-testid="host-send">
          Send
        </button>
      </form>
    </section>
  )
}

interface ActionsProps {
  row: DanmakuRow
  room: RoomView
  act: Act
  /** Roles are the host's to give. */
  isHost: boolean
  hasMic: boolean
}
function Actions({ row: { danmaku, own }, room, act, isHost, hasMic }: ActionsProps) {
  const { role, bot } = danmaku.from
  const { id } = danmaku
  const { id: userId, name } = danmaku.from
  const mute = (index: string) => {
    const span = muteSpans[Number(index)]
    if (span) void act(`${name} is muted.`, () => room.call('room.mute', { userId, durationMs: span.durationMs }))
  }
  return (
    <span class="actions">
      <button
        type="button"
        onClick={() => act('Pinned.', () => room.call('wall.show', { messageId: id, showMs: pinMs }))}
        data-testid="pin-message"
      >
        Pin
      </button>
      <button type="button" onClick={() => act('Removed.', () => room.call('danmaku.remove', { id }))} data-testid="remove">
        Remove
      </button>
      {!own && (
        <>
          <select
            aria-label={`Mute ${name}`}
            value=""
            onChange={(event) => {
              mute(event.currentTarget.value)
              event.currentTarget.value = ''
            }}
            data-testid="mute"
          >
            <option value="" disabled>
              Mute
            </option>
            {muteSpans.map(({ label }, i) => (
              <option key={label} value={String(i)}>
                {label}
              </option>
            ))}
          </select>
          {isHost && !role && !bot && (
            <button
              type="button"
              onClick={() => act(`${name} is a moderator now.`, () => room.call('room.grant_role', { userId, role: 'admin' }))}
              data-testid="make-moderator"
            >
              Make moderator
            </button>
          )}
          {!bot && hasMic && (
            <button
              type="button"
              onClick={() => act(`${name} is invited to the mic.`, () => room.call('mic.invite', { userId }))}
              aria-label={`Invite ${name} to the mic`}
              title="Invite to the mic"
              data-testid="invite"
            >
              Invite
            </button>
          )}
          <KickButton
            onKick={() => act(`${name} is out for 10 minutes.`, () => room.call('room.kick', { userId, banMs: kickMs }))}
          />
        </>
      )}
    </span>
  )
}

/** Asks once; whoever moves the mouse away meant it not. */
function KickButton({ onKick }: { onKick: () => void }) {
  const [asking, setAsking] = useState(false)
  if (!asking)
    return (
      <button type="button" class="danger" onClick={() => setAsking(true)} data-testid="kick">
        Kick
      </button>
    )
  const left = ({ pointerType }: PointerEvent) => {
    if (pointerType === 'mouse') setAsking(false)
  }
  const kick = () => {
    setAsking(false)
    onKick()
  }
  return (
    <span class="kick-sure" onPointerLeave={left}>
      <button type="button" class="danger" onClick={kick} data-testid="kick-sure">
        Yes, out for 10 minutes
      </button>
      <button type="button" onClick={() => setAsking(false)}>
        No
      </button>
    </span>
  )
}
