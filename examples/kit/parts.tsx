/** Small pieces that every page uses: sign-in, connection line, countdown, icons. Text only ever goes in as text nodes. */
import type { ClientState, LiveClient } from 'livehouse/client'
import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { type As, devLogin, type Login, NoDevLoginError, storeLogin } from './login.ts'
import { waitWords } from './words.ts'

/** Re-renders every `everyMs` while `active`, and gives the time. */
export function useNow(active: boolean, everyMs = 250): number {
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    if (!active) return
    setNow(Date.now())
    const timer = setInterval(() => setNow(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [active, everyMs])
  return now
}

/** What is left until `at`, in words; calls `over` once it has passed. */
export function Countdown({ at, over }: { at: number; over?: () => void }) {
  const now = useNow(true)
  const left = at - now
  useEffect(() => {
    if (left <= 0) over?.()
  }, [left <= 0])
  return <span class="countdown">{left > 0 ? waitWords(left) : 'a moment'}</span>
}

/** Nothing while all is well; otherwise what is the matter and what happens next. */
export function ConnectionLine({ connection, client }: { connection: ClientState; client: LiveClient | undefined }) {
  const [lostAt, setLostAt] = useState(0)
  useEffect(() => setLostAt(Date.now()), [connection])
  if (connection.name === 'open' || connection.name === 'closed') return null
  return (
    <div class="connection" role="status" data-testid="connection" data-state={connection.name}>
      <span class="spinner" aria-hidden="true" />
      {connection.name === 'connecting' ? (
        <span>Connecting</span>
      ) : (
        <>
          <span>
            Connection lost. Trying again in <Countdown at={(lostAt || Date.now()) + connection.retryInMs} />
          </span>
          <button type="button" class="link" onClick={() => client?.reconnectNow()}>
            Try now
          </button>
        </>
      )}
    </div>
  )
}

interface SignInProps {
  as: As
  room: string
  label: string
  action: string
  /** No name will do here: ask for a token from the start. */
  tokenOnly?: boolean
  onLogin: (login: Login) => void
}

/** A name is enough in development; where the engine gives no tokens, one can be pasted. */
export function SignIn({ as, room, label, action, tokenOnly = false, onLogin }: SignInProps) {
  const [name, setName] = useState('')
  const [byToken, setByToken] = useState(tokenOnly)
  const [problem, setProblem] = useState('')
  const [busy, setBusy] = useState(false)
  const finish = (login: Login) => {
    storeLogin(as, login)
    onLogin(login)
  }
  const submit = async (event: Event) => {
    event.preventDefault()
    const value = name.trim()
    if (!value || busy) return
    if (byToken) return finish({ token: value, name: '' })
    setBusy(true)
    try {
      finish(await devLogin(as, value, room))
    } catch (error) {
      if (error instanceof NoDevLoginError) {
        setByToken(true)
        setName('')
        setProblem('This engine is not in development mode: paste a token instead.')
      } else setProblem(error instanceof Error ? error.message : String(error))
    } finally {
      setBusy(false)
    }
  }
  const field = {
    value: name,
    onInput: (event: { currentTarget: HTMLInputElement }) => setName(event.currentTarget.value),
    'data-testid': 'sign-in-name',
  }
  return (
    <form class="sign-in" onSubmit={submit} data-testid="sign-in">
      {/* biome-ignore lint/a11y/noLabelWithoutControl: the input stands inside, in one of two forms */}
      <label>
        <span>{byToken ? 'Token' : label}</span>
        {byToken ? (
          <input type="password" maxLength={4096} placeholder="eyJ…" autocomplete="off" {...field} />
        ) : (
          <input type="text" maxLength={24} placeholder="Your name" autocomplete="nickname" {...field} />
        )}
      </label>
      <button type="submit" class="primary" disabled={!name.trim() || busy} data-testid="sign-in-go">
        {action}
      </button>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </form>
  )
}

export function Brand({ home }: { home: string }) {
  return (
    <a class="brand" href={home} aria-label="Livehouse, all rooms">
      <span class="mark" aria-hidden="true" />
      <span class="word">Livehouse</span>
    </a>
  )
}

const roleNames: Record<string, string> = {
  owner: 'host',
  admin: 'mod',
  controller: 'control',
  assistant: 'assistant',
  patrol: 'patrol',
}
export function RoleBadge({ role, bot }: { role?: string | undefined; bot?: boolean | undefined }) {
  if (bot) return <span class="badge bot">bot</span>
  const name = role ? roleNames[role] : undefined
  return name ? <span class={`badge ${role}`}>{name}</span> : null
}

/** 24x24 line icons. */
const paths = {
  heart: 'M12 20s-7.5-4.6-7.5-10A4.3 4.3 0 0 1 12 7.2 4.3 4.3 0 0 1 19.5 10c0 5.4-7.5 10-7.5 10z',
  people:
    'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zm-6 9c0-3.5 2.700-6 6-6s6 2.500 6 6M16 4.500a3.500 3.500 0 0 1 0 6.500m2 3.500c2 .9 3 2.900 3 5.500',
  send: 'M4 12l16-8-6 16-3-6.500z',
  share: 'M12 15V4m0 0L8 8m4-4l4 4M5 13v6h14v-6',
  bubble: 'M4 5h16v11H11l-4 4v-4H4z',
  bubbleOff: 'M4 5h16v11H11l-4 4v-4H4zM3 3l18 18',
  pin: 'M9 4h6l-1 6 3 3H7l3-3zM12 13v7',
  palette:
    'M12 4a8 8 0 1 0 0 16c1.500 0 1.800-1 1.400-2-.5-1.300.2-2.500 1.600-2.500H17a3 3 0 0 0 3-3C20 7.500 16.500 4 12 4zM8 11h.01M11 8h.01M15 9h.01',
  gift: 'M4 11h16v9H4zM3 7.500h18V11H3zM12 7.500V20M12 7.500C9 7.500 7 6.500 7 5s3-2 5 2.500C14 3 17 3.500 17 5s-2 2.500-5 2.500z',
  close: 'M6 6l12 12M18 6L6 18',
  reply: 'M10 7L5 12l5 5M5 12h9c3 0 5 2 5 5',
  sound: 'M4 9.500v5h3.500L12 19V5L7.500 9.500zM15.500 9a4 4 0 0 1 0 6M18 6.500a7.500 7.500 0 0 1 0 11',
  soundOff: 'M4 9.500v5h3.500L12 19V5L7.500 9.500zM16 9.500l5 5M21 9.500l-5 5',
  full: 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5',
  fullOff: 'M9 4v5H4M20 9h-5V4M15 20v-5h5M4 15h5v5',
  mic: 'M12 15a3.500 3.500 0 0 0 3.500-3.500v-4a3.500 3.500 0 0 0-7 0v4A3.500 3.500 0 0 0 12 15zM5.500 11.500a6.500 6.500 0 0 0 13 0M12 18v3',
  micOff:
    'M8.500 8.500v3a3.500 3.500 0 0 0 5.500 2.900M15.500 11V7.500a3.500 3.500 0 0 0-6.300-2.100M5.500 11.500A6.500 6.500 0 0 0 16.800 16M18.500 11.500c0 .8-.1 1.500-.4 2.200M12 18v3M4 4l16 16',
  camera: 'M4 7h11v10H4zM15 10.500l5-3v9l-5-3',
  screen: 'M3.500 5h17v11h-17zM9 20h6M12 16v4',
  lock: 'M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3',
}
export function Icon({ name }: { name: keyof typeof paths }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  )
}

/** The whole page, for an address that leads to no room. */
export function NoRoom() {
  useEffect(() => {
    document.title = 'No such room - Livehouse'
  }, [])
  return (
    <div class="page-screen">
      <Brand home="../" />
      <Screen title="No such room" testid="no-room">
        <p>The address names a room that is not here. It may be misspelt, or from another server.</p>
        <p class="row-of-buttons">
          <a class="button primary" href="../">
            All rooms
          </a>
        </p>
      </Screen>
    </div>
  )
}

export function Screen({ title, children, testid }: { title: string; children?: ComponentChildren; testid?: string }) {
  return (
    <div class="screen" role="status" data-testid={testid}>
      <h2>{title}</h2>
      {children}
    </div>
  )
}
