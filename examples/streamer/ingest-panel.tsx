/** Sending from a program: OBS by WHIP, ffmpeg by RTP. What to enter there, ready to copy. */
import type { RoomView } from 'livehouse/client'
import { useState } from 'preact/hooks'
import { clockTime } from '../kit/words.ts'
import type { Act } from './act.tsx'

type Line = 'primary' | 'backup'
const codecs = ['h264', 'vp8'] as const
type Codec = (typeof codecs)[number]
const codecNames: Record<Codec, string> = { h264: 'H.264', vp8: 'VP8' }

interface IngestProps {
  room: RoomView
  token: string
  act: Act
}
export function IngestPanel({ room, token, act }: IngestProps) {
  const [line, setLine] = useState<Line>('primary')
  const [isTokenShown, setTokenShown] = useState(false)
  const [codec, setCodec] = useState<Codec>('h264')
  const [command, setCommand] = useState<{ line: Line; codec: Codec; text: string }>()
  const server = `${location.origin}/whip/${room.id}${line === 'backup' ? '?line=backup' : ''}`
  const until = expiryOf(token)
  const open = async () => {
    const { ingestJson } = await room.call('stream.open_ingest', { line, codec })
    setCommand({ line, codec, text: commandOf(ingestJson) })
  }
  return (
    <details class="panel ingest" data-testid="ingest">
      <summary>
        <h2>From OBS or ffmpeg</h2>
      </summary>
      <fieldset class="segments" aria-label="Line">
        {(['primary', 'backup'] as const).map((one) => (
          <button key={one} type="button" aria-pressed={line === one} onClick={() => setLine(one)} data-testid={`ingest-${one}`}>
            {one === 'primary' ? 'Primary line' : 'Backup line'}
          </button>
        ))}
      </fieldset>
      <h3>OBS, from version 30</h3>
      <p class="hint">Settings, Stream: choose the service WHIP and enter these two.</p>
      <Copied label="Server" value={server} act={act} testid="whip-url" isLong />
      <Copied
        label="Bearer token"
        value={token}
        shown={isTokenShown ? token : '•'.repeat(24)}
        act={act}
        testid="whip-token"
        more={
          <button type="button" class="link" onClick={() => setTokenShown(!isTokenShown)}>
            {isTokenShown ? 'Hide' : 'Show'}
          </button>
        }
      />
      <p class="hint">
        Whoever has the token can act as you{until === undefined ? '' : `. It is good until ${until}`}. In Output set a key frame
        interval of 2 s and no B-frames.
      </p>
      <h3>ffmpeg</h3>
      <fieldset class="segments" aria-label="Codec of the picture">
        {codecs.map((one) => (
          <button
            key={one}
            type="button"
            aria-pressed={codec === one}
            onClick={() => setCodec(one)}
            data-testid={`ingest-${one}`}
          >
            {codecNames[one]}
          </button>
        ))}
      </fieldset>
      {command?.line === line && command.codec === codec ? (
        <>
          <Copied label="Replace INPUT by your file" value={command.text} act={act} testid="ffmpeg" isLong />
          <p class="hint">The ports are kept for you. Asking again gives the same ones while they are open.</p>
        </>
      ) : (
        <>
          <p class="hint">Both lines of a show send the same codec.</p>
          <button type="button" onClick={() => void act('Ready to copy.', open)} data-testid="open-ingest">
            Open ports and show the command
          </button>
        </>
      )}
    </details>
  )
}

interface CopiedProps {
  label: string
  value: string
  shown?: string
  act: Act
  testid: string
  isLong?: boolean
  more?: preact.ComponentChildren
}
function Copied({ label, value, shown = value, act, testid, isLong = false, more }: CopiedProps) {
  return (
    <div class="copied">
      <span class="copied-label">
        {label}
        {more}
      </span>
      <code class={isLong ? 'long' : ''} data-testid={testid}>
        {shown}
      </code>
      <button type="button" onClick={() => void act('Copied.', () => navigator.clipboard.writeText(value))}>
        Copy
      </button>
    </div>
  )
}

/** As a line for a shell: what holds more than plain letters is quoted. */
export function commandOf(ingestJson: string): string {
  const { ffmpeg = [] } = JSON.parse(ingestJson) as { ffmpeg?: string[] }
  const quoted = (word: string) => (/^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)
  return ['ffmpeg', ...ffmpeg.map(quoted)].join(' ')
}

/** Only for a look: what a token means is the engine's to say. */
function expiryOf(token: string): string | undefined {
  try {
    const claims = JSON.parse(atob((token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/'))) as { exp?: number }
    return claims.exp === undefined ? undefined : clockTime(claims.exp * 1_000)
  } catch {
    return undefined
  }
}
