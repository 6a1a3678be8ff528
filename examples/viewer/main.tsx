/**
 * The viewer page: `/watch/?room=demo`. Watching needs no sign-in; writing and liking do.
 * The page is a client of the public socket like any other, by `livehouse/client`.
 */
import type { RoomEnd } from 'livehouse/client'
import { type ComponentChildren, render } from 'preact'
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { Board } from '../kit/board.tsx'
import { ChatList } from '../kit/chat-list.tsx'
import { ChatFeed, type DanmakuRow, type Row } from '../kit/feed.ts'
import { type Live, useLive } from '../kit/live.ts'
import { callCrowd, devLogin, type Login, roomFromAddress, storedLogin, storeLogin } from '../kit/login.ts'
import { useMedia } from '../kit/media.ts'
import { Brand, ConnectionLine, Countdown, Icon, NoRoom, Screen, SignIn, useNow } from '../kit/parts.tsx'
import { Seats } from '../kit/seats.tsx'
import { useWallet } from '../kit/wallet.ts'
import { endWords, explain, shortNumber } from '../kit/words.ts'
import { GiftPanel } from './gift-panel.tsx'
import { GiftShow } from './gift-show.tsx'
import { useGifts } from './gifts.ts'
import { LikeButton } from './likes.tsx'
import { hasMic, MicButton, MicStrip } from './mic.tsx'
import { Picture, PlayLine, QualityMenu, SoundButton, useShown } from './player.tsx'
import { SendBox } from './send-box.tsx'
import { Stage, WallItem } from './stage.tsx'

const toastMs = 3_500
/** The close code of a token past its time. */
const tokenExpiredCode = 4003

function Page() {
  const [roomId] = useState(() => roomFromAddress())
  return roomId === undefined ? <NoRoom /> : <Watch roomId={roomId} />
}

function Watch({ roomId }: { roomId: string }) {
  const [login, setLogin] = useState<Login | undefined>(() => storedLogin('viewer'))
  const live = useLive(roomId, login?.token)
  const rows = useRows(live)
  const [replyTo, setReplyTo] = useState<DanmakuRow>()
  const [toast, setToast] = useToast()
  const wide = useWide()
  const [giving, setGiving] = useState(false)
  const [picked, setPane] = useState<Pane>('chat')
  const giftButton = useRef<HTMLButtonElement>(null)
  const signOut = () => {
    storeLogin('viewer', undefined)
    setLogin(undefined)
  }
  useFreshLogin({ live, login, roomId, onLogin: setLogin })
  const { state, room } = live
  const signedIn = login !== undefined
  const gifts = useGifts(live)
  const wallet = useWallet(live, signedIn)
  const hasGifts = gifts.length > 0
  const [micOpen, setMicOpen] = useState(false)
  const { media, view } = useMedia(live, needsMedia(live, signedIn) || micOpen, ({ of, code }) => {
    if (of === 'seat' && code !== 'left' && code !== 'dropped') setToast(endWords(code))
  })
  const playing = { media, view }
  const isShown = useShown(view)
  const pane = hasGifts ? picked : 'chat'
  useEffect(() => {
    callCrowd(roomId).catch(() => undefined) // a room without a crowd is a room too
  }, [])
  useEffect(() => {
    document.title = state ? `${state.room.title} - Livehouse` : 'Livehouse'
  }, [state?.room.title])

  if (live.end?.code === 'room.not_found') return <NoRoom />
  const micButton = (
    <MicButton {...{ state, signedIn, isOpen: micOpen, setOpen: setMicOpen, onRefused: setToast }} mic={media?.mic.view} />
  )
  const reactions = (
    <span class="reactions">
      <LikeButton room={room} state={state} signedIn={signedIn} onRefused={setToast} />
      {wide && micButton}
      <ShareButton live={live} signedIn={signedIn} onDone={setToast} />
    </span>
  )
  const closeGifts = () => {
    setGiving(false)
    giftButton.current?.focus()
  }
  const panel = (onClose?: () => void) =>
    state && !live.end && <GiftPanel {...{ live, state, gifts, wallet, signedIn, onClose }} />
  return (
    <div class="watch" data-testid="watch" data-status={room?.status ?? 'joining'}>
      <Header live={live} roomId={roomId} login={login} onSignOut={signOut} />
      <main class="picture">
        <Stage
          room={room}
          hasWall={state?.wall !== undefined}
          picture={<Picture {...playing} isShown={isShown} />}
          isShown={isShown}
          cover={state?.room.cover || undefined}
          words={offWords(live)}
          tools={
            <>
              <SoundButton {...playing} />
              <QualityMenu {...playing} />
            </>
          }
        >
          {state && <Seats {...playing} state={state} />}
          {state?.wall && <WallItem text={state.wall.text} by={state.wall.from?.name} untilAt={state.wall.untilAt} />}
          {room && state && <GiftShow room={room} slots={wide ? 3 : 2} />}
          {!live.end && <PlayLine {...playing} />}
          <StageScreen live={live} onSignOut={signOut} />
          <ConnectionLine connection={live.connection} client={live.client} />
        </Stage>
        {wide && <About live={live}>{reactions}</About>}
        {wide && panel()}
      </main>
      <aside class="side" aria-label="Chat and board">
        {(hasGifts || (!wide && hasMic(state))) && (
          <div class="side-tabs">
            {hasGifts && <PaneTabs pane={pane} onPick={setPane} />}
            <span class="side-grow" />
            {!wide && micButton}
            {hasGifts && !wide && (
              <button
                type="button"
                class="gift-open"
                ref={giftButton}
                aria-expanded={giving}
                onClick={() => setGiving(!giving)}
                data-testid="gift-open"
              >
                <Icon name="gift" />
                Gifts
              </button>
            )}
          </div>
        )}
        <div
          class="side-chat"
          id="pane-chat"
          {...(hasGifts ? { role: 'tabpanel', 'aria-labelledby': 'tab-chat' } : {})}
          hidden={pane !== 'chat'}
        >
          <ChatList rows={rows} onPick={signedIn && state?.settings.chat ? setReplyTo : undefined} />
        </div>
        <div class="side-board" role="tabpanel" id="pane-board" aria-labelledby="tab-board" hidden={pane !== 'board'}>
          {pane === 'board' && room && state && <Board room={room} me={state.me.userId} />}
        </div>
        {!wide && giving && panel(closeGifts)}
        <MicStrip {...playing} state={state} isOpen={micOpen} setOpen={setMicOpen} onSaid={setToast} />
        {toast && (
          <p class="toast" role="status" data-testid="toast">
            {toast}
          </p>
        )}
        <div class="composer">
          <div class="composer-main">
            {live.end ? (
              <p class="hint">You are not in the room.</p>
            ) : signedIn && state && room ? (
              <SendBox
                room={room}
                state={state}
                session={live.client?.session}
                replyTo={replyTo}
                onReplied={() => setReplyTo(undefined)}
              />
            ) : signedIn ? (
              <p class="hint">Joining the room</p>
            ) : (
              <SignIn as="viewer" room={roomId} label="Join the chat as" action="Join" onLogin={setLogin} />
            )}
          </div>
          {!wide && reactions}
        </div>
      </aside>
    </div>
  )
}

/** Loaded for a show, and for whoever has something on the mic: guests there, an application or invitation of an earlier connection. */
function needsMedia({ state }: Live, signedIn: boolean): boolean {
  if (!state?.stream) return false
  const isBusy = state.mic?.seats.some(({ user }) => user !== undefined) ?? false
  const { invitation, granted } = state.me
  const isAsked = state.mic?.place !== undefined || invitation !== undefined || granted !== undefined
  return state.stream.tracks.length > 0 || isBusy || isAsked || (signedIn && hasMic(state))
}

/** Whatever covers the picture says the rest. */
function offWords({ state, end }: Live): string | undefined {
  if (!state || end || state.room.state !== 'open' || state.room.cover) return undefined
  return state.stream?.state === 'live' ? undefined : 'No picture just now. The chat is open.'
}

type Pane = 'chat' | 'board'
const panes: { pane: Pane; label: string }[] = [
  { pane: 'chat', label: 'Chat' },
  { pane: 'board', label: 'Top gifts' },
]

function PaneTabs({ pane, onPick }: { pane: Pane; onPick: (pane: Pane) => void }) {
  const list = useRef<HTMLDivElement>(null)
  const keyed = ({ key }: KeyboardEvent) => {
    if (key !== 'ArrowRight' && key !== 'ArrowLeft') return
    const next = pane === 'chat' ? 1 : 0 // there are two
    onPick(panes[next]?.pane ?? 'chat')
    list.current?.querySelectorAll('button')[next]?.focus()
  }
  return (
    <div class="tabs" role="tablist" aria-label="Beside the picture" ref={list} onKeyDown={keyed}>
      {panes.map((each) => (
        <button
          key={each.pane}
          type="button"
          role="tab"
          id={`tab-${each.pane}`}
          aria-selected={each.pane === pane}
          aria-controls={`pane-${each.pane}`}
          tabIndex={each.pane === pane ? 0 : -1}
          onClick={() => onPick(each.pane)}
          data-testid={`pane-${each.pane}`}
        >
          {each.label}
        </button>
      ))}
    </div>
  )
}

interface HeaderProps {
  live: Live
  roomId: string
  login: Login | undefined
  onSignOut: () => void
}
function Header({ live: { state }, roomId, login, onSignOut }: HeaderProps) {
  const open = state?.room.state === 'open'
  return (
    <header class="top">
      <Brand home="../" />
      <h1 data-testid="title">{state?.room.title ?? roomId}</h1>
      {state && <span class={`on-air${open ? '' : ' off'}`}>{open ? 'Live' : 'Off'}</span>}
      <span class="online" title="People here now">
        <Icon name="people" />
        <span data-testid="online">{shortNumber(state?.online.unique ?? 0)}</span>
      </span>
      {login && <WhoMenu name={state?.me.name || login.name || 'signed in'} onSignOut={onSignOut} />}
    </header>
  )
}

/** Closes with Escape, and when somebody presses elsewhere. */
function WhoMenu({ name, onSignOut }: { name: string; onSignOut: () => void }) {
  const menu = useRef<HTMLDetailsElement>(null)
  useEffect(() => {
    const close = (event: Event) => {
      const inside = event.target instanceof Node && menu.current?.contains(event.target)
      const closes = event instanceof KeyboardEvent ? event.key === 'Escape' : !inside
      if (menu.current && closes) menu.current.open = false
    }
    addEventListener('pointerdown', close)
    addEventListener('keydown', close)
    return () => {
      removeEventListener('pointerdown', close)
      removeEventListener('keydown', close)
    }
  }, [])
  return (
    <details class="who-menu" ref={menu} data-testid="who">
      <summary>
        <span class="who">{name}</span>
      </summary>
      <button type="button" onClick={onSignOut} data-testid="sign-out">
        Sign out
      </button>
    </details>
  )
}

function About({ live: { state }, children }: { live: Live; children: ComponentChildren }) {
  return (
    <section class="about" aria-label="About this room">
      <div>
        <h2>{state?.room.title}</h2>
        {state && <p>{state.room.intro || 'A room on Livehouse. Say hello, the host reads along.'}</p>}
      </div>
      {children}
    </section>
  )
}

/** What covers the picture when there is none: over, removed, not live, gone. */
function StageScreen({ live, onSignOut }: { live: Live; onSignOut: () => void }) {
  const { end, notNow, state } = live
  if (end?.code === 'room.kicked') return <KickedScreen end={end} />
  if (end) {
    const signedOut = end.code === 'auth.invalid' || /token/i.test(end.message)
    return (
      <Screen title={signedOut ? 'Signed out' : 'Not connected'} testid="end-screen">
        <p>{explain(end).text}</p>
        <p class="row-of-buttons">
          <button type="button" class="primary" onClick={signedOut ? onSignOut : () => location.reload()}>
            {signedOut ? 'Watch without signing in' : 'Try again'}
          </button>
          <a class="button" href="../">
            Other rooms
          </a>
        </p>
      </Screen>
    )
  }
  if (notNow && !state)
    return (
      <Screen title="Not live yet" testid="not-live-screen">
        <p>{explain(notNow).text} This page starts by itself.</p>
      </Screen>
    )
  if (state && state.room.state !== 'open')
    return (
      <Screen title="The show is over" testid="closed-screen">
        <p>The host has closed the room. When it opens again, you are there.</p>
      </Screen>
    )
  return null
}

/** Coming back is offered once it can work: after the ban, or at once when there is none. */
function KickedScreen({ end }: { end: RoomEnd }) {
  const untilAt = end.detail.untilAt ?? 0
  const now = useNow(untilAt > 0, 1_000)
  const waits = untilAt > now
  return (
    <Screen title="You are out of this room" testid="end-screen">
      <p>{explain(end).text}</p>
      {waits && (
        <p>
          You can come back in <Countdown at={untilAt} />.
        </p>
      )}
      <p class="row-of-buttons">
        {untilAt !== -1 && !waits && (
          <button type="button" class="primary" onClick={() => location.reload()} data-testid="try-again">
            Try again
          </button>
        )}
        <a class="button" href="../">
          Other rooms
        </a>
      </p>
    </Screen>
  )
}

interface ShareProps {
  live: Live
  signedIn: boolean
  onDone: (text: string) => void
}
function ShareButton({ live: { room }, signedIn, onDone }: ShareProps) {
  const share = async () => {
    try {
      await navigator.clipboard.writeText(location.href)
      onDone('The link is in your clipboard.')
    } catch {
      onDone(location.href) // no clipboard here: at least it can be read
    }
    if (signedIn && room) await room.call('share.report', { channel: 'link' }).catch(() => undefined)
  }
  return (
    <button type="button" class="tool share" onClick={share} aria-label="Share this room">
      <Icon name="share" />
    </button>
  )
}

/** A development token that ran out is followed by a new one for the same name; elsewhere the page says that one is needed. */
function useFreshLogin({
  live,
  login,
  roomId,
  onLogin,
}: {
  live: Live
  login: Login | undefined
  roomId: string
  onLogin: (login: Login) => void
}) {
  const { connection } = live
  const expired = connection.name === 'closed' && connection.code === tokenExpiredCode
  useEffect(() => {
    if (!expired || !login?.name) return
    devLogin('viewer', login.name, roomId, login.token).then(
      (fresh) => {
        storeLogin('viewer', fresh)
        onLogin(fresh)
      },
      () => undefined, // the screen over the picture offers what can be done
    )
  }, [expired])
}

/** As in viewer.css: the chat stands at the side, and likes move under the picture. */
const wideQuery = matchMedia('(min-width: 900px)')
function useWide(): boolean {
  const [wide, setWide] = useState(wideQuery.matches)
  useEffect(() => {
    const changed = () => setWide(wideQuery.matches)
    wideQuery.addEventListener('change', changed)
    return () => wideQuery.removeEventListener('change', changed)
  }, [])
  return wide
}

function useRows({ room }: Live): readonly Row[] {
  const [rows, setRows] = useState<readonly Row[]>([])
  useEffect(() => {
    if (!room) return
    setRows([])
    return new ChatFeed(setRows).follow(room)
  }, [room])
  return rows
}

function useToast(): [string, (text: string) => void] {
  const [text, setText] = useState('')
  useEffect(() => {
    if (!text) return
    const timer = setTimeout(() => setText(''), toastMs)
    return () => clearTimeout(timer)
  }, [text])
  return [text, useCallback(setText, [])]
}

const place = document.getElementById('app')
if (place) render(<Page />, place)
