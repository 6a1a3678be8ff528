/** Going live from this page: which camera or screen, a look at oneself, the figures of what is sent, and the lines of the show. */
import type { MediaSource, RoomMedia, RoomState, RoomView, SendStats, SendView } from 'livehouse/client'
import { useEffect, useState } from 'preact/hooks'
import { type PageMedia, useStream } from '../kit/media.ts'
import { Icon, useNow } from '../kit/parts.tsx'
import { bitrateWords, durationWords, explainError, sizeWords } from '../kit/words.ts'
import type { Act } from './act.tsx'

type Line = 'primary' | 'backup'
type StreamLine = NonNullable<RoomState['stream']>['lines'][number]

export interface LivePanelProps extends PageMedia {
  room: RoomView
  state: RoomState
  act: Act
}

interface Choice {
  from: 'camera' | 'screen'
  video: string
  audio: string
  height: number
  line: Line
  simulcast: boolean
}
const sizes = [1080, 720, 480, 360]
const first: Choice = { from: 'camera', video: '', audio: '', height: 720, line: 'primary', simulcast: true }

function sourceOf({ from, video, audio, height }: Choice): MediaSource {
  const sound = audio === 'none' ? false : audio || true
  if (from === 'screen') return { screen: { audio: sound } }
  const size = { width: Math.round((height * 16) / 9), height }
  return { camera: { video: video || true, audio: sound, ...size } }
}

export function LivePanel({ media, view, room, state, act }: LivePanelProps) {
  const [choice, setChoice] = useState(first)
  const [look, setLook] = useLook()
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState('')
  const own = view?.publish
  const isOpen = state.room.state === 'open'
  const waits = useReady(media, state)
  const stream = own?.stream ?? look
  const run = async (call: () => Promise<unknown>) => {
    setBusy(true)
    setProblem('')
    try {
      await call()
    } catch (error) {
      setProblem(explainError(error).text)
    } finally {
      setBusy(false)
    }
  }
  const choose = (part: Partial<Choice>) => {
    const next = { ...choice, ...part }
    setChoice(next)
    const isOther = part.from !== undefined || part.video !== undefined || part.audio !== undefined || part.height !== undefined
    if (!media || !isOther) return
    if (own) void run(() => media.replace(sourceOf(next)))
    else if (look) void run(async () => setLook(await media.open(sourceOf(next))))
  }
  const goLive = async () => {
    if (!media) return
    await media.publish({
      ...sourceOf(choice),
      line: choice.line,
      simulcast: choice.simulcast,
      ...(look ? { opened: look } : {}),
    })
    setLook(undefined, 'kept')
  }
  const stop = async () => {
    media?.stop()
    const others = (state.stream?.lines ?? []).some(({ line, state: is }) => line !== own?.line && is === 'up')
    if (!others) await room.call('stream.stop', {}).catch(() => undefined /* it ended with the last line */)
  }
  return (
    <section class="panel live-panel" aria-label="Picture and sound" data-testid="live-panel" data-state={own?.state ?? 'off'}>
      <h2>
        Picture and sound
        <ShowBadge own={own} state={state} />
      </h2>
      <Preview stream={stream} isScreen={own ? 'screen' in own.source : choice.from === 'screen'} />
      {own && <SendFigures own={own} />}
      {problem && (
        <p class="problem" role="alert" data-testid="live-problem">
          {problem}
        </p>
      )}
      {waits !== undefined && !own && (
        <p class="preparing" role="status" data-testid="preparing">
          <span class="spinner" aria-hidden="true" />
          <span>{waits} Asked again by itself.</span>
        </p>
      )}
      <SourceForm choice={choice} media={media} isLive={own !== undefined} hasLook={look !== undefined} onChoose={choose} />
      <div class="live-actions">
        {own ? (
          <>
            <button
              type="button"
              class="tool"
              aria-pressed={!own.isSilent}
              aria-label="Own sound"
              title={own.isSilent ? 'You are muted' : 'Mute yourself'}
              onClick={() => media?.setSilent(!own.isSilent)}
              data-testid="own-sound"
            >
              <Icon name={own.isSilent ? 'micOff' : 'mic'} />
            </button>
            <button type="button" class="danger" disabled={busy} onClick={() => void run(stop)} data-testid="stop-live">
              Stop the show
            </button>
          </>
        ) : (
          <>
            <button
              type="button"
              disabled={busy || !media}
              onClick={() => (look ? setLook(undefined) : void run(async () => setLook(await media?.open(sourceOf(choice)))))}
              data-testid="look"
            >
              {look ? 'Switch off' : 'Look first'}
            </button>
            <button
              type="button"
              class="primary"
              disabled={busy || !media || !isOpen || waits !== undefined}
              onClick={() => void run(goLive)}
              data-testid="go-live"
            >
              {busy ? 'One moment' : 'Go live'}
            </button>
          </>
        )}
      </div>
      {!isOpen && <p class="hint">Open the room first, then go live.</p>}
      <Lines {...{ room, state, act }} own={own} />
    </section>
  )
}

function ShowBadge({ own, state }: { own: SendView | undefined; state: RoomState }) {
  const { stream } = state
  const isLive = stream?.state === 'live'
  const now = useNow(isLive, 1_000)
  if (own?.state === 'retrying')
    return (
      <span class="show-badge warn" data-testid="show-state">
        Coming back
      </span>
    )
  if (!isLive) return null
  return (
    <span class="show-badge" data-testid="show-state">
      Live{stream.sinceAt === undefined ? '' : ` ${durationWords(now - stream.sinceAt)}`}
    </span>
  )
}

/** Oneself as in a mirror; a screen as it is. */
function Preview({ stream, isScreen }: { stream: MediaStream | undefined; isScreen: boolean }) {
  const element = useStream(stream)
  return (
    <div class="preview">
      <video ref={element} class={isScreen ? '' : 'mirror'} muted autoPlay playsInline data-testid="preview" />
      {!stream && <p class="hint">Your picture appears here.</p>}
    </div>
  )
}

function SendFigures({ own: { stats, state } }: { own: SendView }) {
  return (
    <dl class="figures" data-testid="send-figures" data-kbps={stats?.kbps ?? 0}>
      <Figure name="Sent" value={stats ? bitrateWords(stats.kbps) : '-'} />
      <Figure name="Size" value={stats && stats.height > 0 ? sizeWords(stats.width, stats.height) : '-'} />
      <Figure name="Frames/s" value={stats ? String(stats.fps) : '-'} />
      <Figure name="Way" value={wayWords(stats)} />
      <p class="limited">{state === 'live' && stats?.limitedBy ? limitWords(stats.limitedBy) : ''}</p>
    </dl>
  )
}

const Figure = ({ name, value }: { name: string; value: string }) => (
  <div>
    <dt>{name}</dt>
    <dd>{value}</dd>
  </div>
)

const wayWords = (stats: SendStats | undefined): string => {
  if (stats?.rttMs === undefined) return '-'
  return stats.lossBps > 50 ? `${stats.rttMs} ms, ${(stats.lossBps / 100).toFixed(1)} % lost` : `${stats.rttMs} ms`
}
const limitWords = (by: string): string =>
  by === 'cpu'
    ? 'This computer is busy, so a smaller picture is sent.'
    : by === 'bandwidth'
      ? 'The line is slow, so a smaller picture is sent.'
      : 'A smaller picture is sent than there is.'

interface FormProps {
  choice: Choice
  media: RoomMedia | undefined
  isLive: boolean
  hasLook: boolean
  onChoose: (part: Partial<Choice>) => void
}
function SourceForm({ choice, media, isLive, hasLook, onChoose }: FormProps) {
  const devices = useDevices(media, isLive || hasLook)
  const cameras = devices.filter(({ kind, deviceId }) => kind === 'videoinput' && deviceId)
  const microphones = devices.filter(({ kind, deviceId }) => kind === 'audioinput' && deviceId)
  return (
    <div class="source-form">
      <fieldset class="segments" aria-label="What to show">
        {(['camera', 'screen'] as const).map((from) => (
          <button
            key={from}
            type="button"
            aria-pressed={choice.from === from}
            onClick={() => onChoose({ from })}
            data-testid={`from-${from}`}
          >
            <Icon name={from} />
            {from === 'camera' ? 'Camera' : 'Screen'}
          </button>
        ))}
      </fieldset>
      {choice.from === 'camera' && (
        <Select
          label="Camera"
          value={choice.video}
          options={[['', 'Default'], ...cameras.map(named('Camera'))]}
          onPick={(video) => onChoose({ video })}
          testid="camera"
        />
      )}
      <Select
        label="Microphone"
        value={choice.audio}
        options={[['', 'Default'], ...microphones.map(named('Microphone')), ['none', 'None']]}
        onPick={(audio) => onChoose({ audio })}
        testid="microphone"
      />
      {choice.from === 'camera' && (
        <Select
          label="Size"
          value={String(choice.height)}
          options={sizes.map((height): [string, string] => [String(height), `${height}p`])}
          onPick={(height) => onChoose({ height: Number(height) })}
          testid="size"
        />
      )}
      {!isLive && (
        <Select
          label="Line"
          value={choice.line}
          options={[
            ['primary', 'Primary'],
            ['backup', 'Backup'],
          ]}
          onPick={(line) => onChoose({ line: line as Line })}
          testid="line"
        />
      )}
      {!isLive && (
        <label class="check">
          <input
            type="checkbox"
            checked={choice.simulcast}
            onChange={(event) => onChoose({ simulcast: event.currentTarget.checked })}
            data-testid="simulcast"
          />
          <span>Several sizes, so that viewers on slow lines see it too</span>
        </label>
      )}
    </div>
  )
}

const named =
  (what: string) =>
  ({ deviceId, label }: MediaDeviceInfo, at: number): [string, string] => [deviceId, label || `${what} ${at + 1}`]

interface SelectProps {
  label: string
  value: string
  options: [value: string, label: string][]
  onPick: (value: string) => void
  testid: string
}
function Select({ label, value, options, onPick, testid }: SelectProps) {
  return (
    <label>
      <span>{label}</span>
      <select value={value} onChange={(event) => onPick(event.currentTarget.value)} data-testid={`pick-${testid}`}>
        {options.map(([id, name]) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
    </label>
  )
}

const lineNames: Record<Line, string> = { primary: 'Primary', backup: 'Backup' }
const viaNames: Record<NonNullable<StreamLine['via']>, string> = { webrtc: 'browser', whip: 'WHIP', rtp: 'ffmpeg' }

function lineWords({ state, via, kbps }: StreamLine): string {
  if (state === 'idle') return 'nobody sends'
  const from = via ? `from ${viaNames[via]}` : 'from somewhere'
  if (state === 'down') return `${from}, nothing arrives`
  return kbps === undefined ? from : `${from}, ${bitrateWords(kbps)}`
}

function Lines({ room, state, act, own }: Pick<LivePanelProps, 'room' | 'state' | 'act'> & { own: SendView | undefined }) {
  const { stream } = state
  const lines = stream?.lines ?? []
  if (!lines.some((one) => one.state !== 'idle')) return null
  const canSwitch = lines.filter((one) => one.state === 'up').length > 1
  const show = (line: Line | 'auto') => {
    const done = line === 'auto' ? 'The lines switch by themselves again.' : `The ${line} line is shown.`
    void act(done, () => room.call('stream.switch_line', { line }))
  }
  return (
    <div class="lines" data-testid="lines">
      <ul>
        {lines.map((one) => (
          <li key={one.line} data-testid={`line-${one.line}`} data-state={one.state} data-shown={stream?.line === one.line}>
            <span class={`lamp ${one.state}`} aria-hidden="true" />
            <span class="line-words">
              <b>{lineNames[one.line]}</b>
              <small>{lineWords(one)}</small>
            </span>
            {stream?.line === one.line ? (
              <span class="show-badge">shown</span>
            ) : (
              canSwitch && (
                <button type="button" onClick={() => show(one.line)} data-testid={`show-${one.line}`}>
                  Show
                </button>
              )
            )}
          </li>
        ))}
      </ul>
      {canSwitch && (
        <button type="button" class="link" onClick={() => show('auto')} data-testid="line-auto">
          Switch by itself
        </button>
      )}
      {!own && (
        <button
          type="button"
          class="link"
          onClick={() => act('The show is over.', () => room.call('stream.stop', {}))}
          data-testid="stop-stream"
        >
          Stop the show
        </button>
      )}
    </div>
  )
}

/** A stream that nobody publishes is ended with the look at it. */
function useLook(): [MediaStream | undefined, (look: MediaStream | undefined, how?: 'kept') => void] {
  const [look, setLook] = useState<MediaStream>()
  const end = (stream: MediaStream | undefined) => {
    for (const track of stream?.getTracks() ?? []) track.stop()
  }
  useEffect(() => () => end(look), [])
  return [
    look,
    (next, how) => {
      if (how !== 'kept') end(look)
      setLook(next)
    },
  ]
}

/** Names of devices are told once one of them is open. */
function useDevices(media: RoomMedia | undefined, isOpen: boolean): readonly MediaDeviceInfo[] {
  const [devices, setDevices] = useState<readonly MediaDeviceInfo[]>([])
  useEffect(() => {
    if (!media) return
    const list = () => media.devices().then(setDevices, () => undefined /* said when one is opened */)
    void list()
    navigator.mediaDevices?.addEventListener('devicechange', list)
    return () => navigator.mediaDevices?.removeEventListener('devicechange', list)
  }, [media, isOpen])
  return devices
}

/** What is missing until media can be had, in words; undefined: nothing. */
function useReady(media: RoomMedia | undefined, state: RoomState): string | undefined {
  const isOff = state.stream?.state === 'unavailable'
  const [isReady, setReady] = useState(!isOff)
  const isOpen = state.room.state === 'open'
  useEffect(() => {
    if (!media || !isOff || !isOpen) return
    let stopped = false
    setReady(false)
    media.ready().then(
      () => !stopped && setReady(true),
      () => undefined, // the room is closed, or was left: asked again when that changes
    )
    return () => {
      stopped = true
    }
  }, [media, isOff, isOpen])
  if (!isOff || isReady || !isOpen) return undefined
  return media?.view.unavailable ?? 'The media part is being prepared.'
}
