/**
 * The studio: `/studio/?room=demo`. The host opens and closes the room, sets its switches, and looks after the chat.
 * Everything here is a command of the public contract; what the host may do, the engine decides.
 */
import type { RoomState, RoomView } from 'livehouse/client'
import { render } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { ChatFeed, type Row } from '../kit/feed.ts'
import { type Live, useLive } from '../kit/live.ts'
import { demoRoom, type Login, roomFromAddress, storedLogin, storeLogin } from '../kit/login.ts'
import { useMedia } from '../kit/media.ts'
import { Brand, ConnectionLine, Icon, NoRoom, Screen, SignIn } from '../kit/parts.tsx'
import { endWords, explain, shortNumber } from '../kit/words.ts'
import { type Act, Notice, useAct } from './act.tsx'
import { ChatPanel } from './chat-panel.tsx'
import { EarningsPanel } from './earnings-panel.tsx'
import { IngestPanel } from './ingest-panel.tsx'
import { LivePanel } from './live-panel.tsx'
import { MicPanel } from './mic-panel.tsx'
import { PeoplePanel } from './people-panel.tsx'
import { DetailsPanel, OnAirPanel, SwitchesPanel, WallPanel } from './room-panels.tsx'
import { StatsPanel } from './stats-panel.tsx'

function Page() {
  const [roomId] = useState(() => roomFromAddress())
  return roomId === undefined ? <NoRoom /> : <Studio roomId={roomId} />
}

function Studio({ roomId }: { roomId: string }) {
  const [login, setLogin] = useState<Login | undefined>(() => storedLogin('owner'))
  const signOut = () => {
    storeLogin('owner', undefined)
    setLogin(undefined)
  }
  if (!login)
    return (
      <div class="studio">
        <Top roomId={roomId} />
        <div class="welcome">
          <h1>Studio</h1>
          <p>Host the room “{roomId}”: open it, set the rules, look after the chat.</p>
          {roomId !== demoRoom && <TokenHelp />}
          <SignIn
            as="owner"
            room={roomId}
            label="Your name as the host"
            action="Enter"
            tokenOnly={roomId !== demoRoom}
            onLogin={setLogin}
          />
        </div>
      </div>
    )
  return <Desk roomId={roomId} login={login} onSignOut={signOut} />
}

/** Only the demo room has a host for the asking. */
function TokenHelp() {
  return (
    <p data-testid="token-help">
      This room belongs to whoever created it. Make a token for that user where the engine runs, and paste it here:
      <code>npx livehouse token --user YOUR_ID --scope streamer</code>
      The scope streamer may also create rooms.
    </p>
  )
}

function Top({ roomId, live, onSignOut }: { roomId: string; live?: Live; onSignOut?: () => void }) {
  const state = live?.state
  return (
    <header class="top">
      <Brand home="../" />
      {state && (
        <span class={`on-air${state.room.state === 'open' ? '' : ' off'}`} data-testid="on-air">
          {state.room.state === 'open' ? 'Live' : 'Off'}
        </span>
      )}
      <span class="grow" />
      {live && <ConnectionLine connection={live.connection} client={live.client} />}
      {state && (
        <span class="online">
          <Icon name="people" />
          <span data-testid="online">{shortNumber(state.online.unique)}</span>
        </span>
      )}
      <a class="button" href={`../watch/?room=${roomId}`} target="_blank" rel="noopener">
        Watch page
      </a>
      {onSignOut && (
        <button type="button" class="link" onClick={onSignOut}>
          Sign out
        </button>
      )}
    </header>
  )
}

function Desk({ roomId, login, onSignOut }: { roomId: string; login: Login; onSignOut: () => void }) {
  const live = useLive(roomId, login.token)
  const rows = useStudioRows(live)
  const { act, acts, say, notice, dismiss } = useAct()
  const { room, state, end, notNow } = live
  return (
    <div class="studio desk-on" data-testid="studio" data-status={room?.status ?? 'joining'}>
      <Top roomId={roomId} live={live} onSignOut={onSignOut} />
      {end ? (
        <Screen title={end.code === 'room.not_found' ? 'No such room' : 'Not connected'} testid="end-screen">
          <p>{explain(end).text}</p>
          <p class="row-of-buttons">
            <button type="button" class="primary" onClick={onSignOut}>
              Sign in again
            </button>
            <a class="button" href="../">
              All rooms
            </a>
          </p>
        </Screen>
      ) : room && state ? (
        <Panels {...{ live, room, state, act, acts, rows, say }} token={login.token} />
      ) : notNow && live.client ? (
        <Screen title="The room is closed" testid="closed-screen">
          <p>{explain(notNow).text}</p>
          <button
            type="button"
            class="primary"
            onClick={() => act('The room is open.', () => live.client?.call('room.open', {}, { room: roomId }))}
            data-testid="open"
          >
            Open the room
          </button>
        </Screen>
      ) : (
        <Screen title="Joining the room" />
      )}
      <Notice notice={notice} onDismiss={dismiss} />
    </div>
  )
}

interface PanelsProps {
  live: Live
  room: RoomView
  state: RoomState
  act: Act
  acts: number
  rows: readonly Row[]
  say: (text: string) => void
  token: string
}
function Panels({ live, room, state, act, acts, rows, say, token }: PanelsProps) {
  const playing = useMedia(live, state.stream !== undefined, ({ of, code }) => {
    if (of === 'show' && code !== 'stopped' && code !== 'replaced') say(endWords(code))
  })
  return (
    <main class="desk">
      <div class="column">
        <OnAirPanel room={room} state={state} act={act} />
        {state.stream && (
          <>
            <LivePanel {...playing} {...{ room, state, act }} />
            <IngestPanel room={room} token={token} act={act} />
          </>
        )}
        <StatsPanel room={room} state={state} />
        <EarningsPanel live={live} room={room} state={state} />
      </div>
      <ChatPanel room={room} state={state} act={act} rows={rows} />
      <div class="column">
        {state.stream && <MicPanel {...playing} {...{ room, state, act, acts }} />}
        <SwitchesPanel room={room} state={state} act={act} />
        <DetailsPanel room={room} state={state} act={act} />
        <WallPanel room={room} state={state} act={act} />
        <PeoplePanel room={room} state={state} act={act} />
      </div>
    </main>
  )
}

function useStudioRows({ room }: Live): readonly Row[] {
  const [rows, setRows] = useState<readonly Row[]>([])
  useEffect(() => (room ? new ChatFeed(setRows).follow(room) : undefined), [room])
  return rows
}

const place = document.getElementById('app')
if (place) render(<Page />, place)
