/** Who gave most: in this live, today, this week, in all. Ten rows, and one's own place when it is further down. */
import type { BoardName, CommandReply, RoomView } from 'livehouse/client'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Coin } from './gift-art.tsx'
import { coinWords } from './words.ts'

type Standing = CommandReply<'rank.get'>

const tabs: { board: BoardName; label: string }[] = [
  { board: 'live', label: 'Live' },
  { board: 'day', label: 'Today' },
  { board: 'week', label: 'Week' },
  { board: 'total', label: 'All time' },
]
const rowsShown = 10
/** The engine tells the top ten to all at once: whoever is further down asks for their place, each at a moment of their own. */
const ownPlaceMs = 3_000

export function Board({ room, me }: { room: RoomView; me: string }) {
  const [board, setBoard] = useState<BoardName>('live')
  const { standing, failed } = useStanding(room, board, me)
  const rows = standing?.rows ?? []
  const isShown = rows.some(({ member }) => member.id === me)
  return (
    <div class="board" data-testid="board">
      <Tabs board={board} onPick={setBoard} />
      <div class="board-panel" role="tabpanel" id="board-panel" aria-labelledby={`board-tab-${board}`}>
        <ol class="board-rows" data-testid="board-rows">
          {rows.map(({ member, scoreCoin }, i) => (
            <li key={member.id} class={member.id === me ? 'own' : ''} data-user={member.id} data-testid="board-row">
              <span class={`place place-${i + 1}`}>{i + 1}</span>
              <span class="name">{member.id === me ? 'You' : member.name}</span>
              <Score coins={scoreCoin} />
            </li>
          ))}
          {standing && rows.length === 0 && <li class="hint">No gifts yet. The first one leads.</li>}
          {failed && !standing && <li class="hint">The board could not be had just now.</li>}
        </ol>
        {standing?.place !== undefined && standing.scoreCoin !== undefined && !isShown && (
          <p class="own-place" data-testid="own-place">
            <span class="place">{standing.place}</span>
            <span class="name">You</span>
            <Score coins={standing.scoreCoin} />
          </p>
        )}
      </div>
    </div>
  )
}

function Score({ coins }: { coins: string }) {
  return (
    <span class="score">
      <Coin />
      {coinWords(coins)}
      <span class="visually-hidden"> coins</span>
    </span>
  )
}

function Tabs({ board, onPick }: { board: BoardName; onPick: (board: BoardName) => void }) {
  const list = useRef<HTMLDivElement>(null)
  const keyed = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0
    if (step === 0) return
    const at = tabs.findIndex((tab) => tab.board === board)
    const next = (at + step + tabs.length) % tabs.length
    onPick((tabs[next] as (typeof tabs)[number]).board)
    list.current?.querySelectorAll('button')[next]?.focus()
  }
  return (
    <div class="tabs" role="tablist" aria-label="Which board" ref={list} onKeyDown={keyed}>
      {tabs.map((tab) => (
        <button
          key={tab.board}
          type="button"
          role="tab"
          id={`board-tab-${tab.board}`}
          aria-selected={tab.board === board}
          aria-controls="board-panel"
          tabIndex={tab.board === board ? 0 : -1}
          onClick={() => onPick(tab.board)}
          data-testid={`board-${tab.board}`}
        >
          {tab.label}
        </button>
      ))}
    </div>
  )
}

function useStanding(room: RoomView, board: BoardName, me: string): { standing: Standing | undefined; failed: boolean } {
  const [standing, setStanding] = useState<Standing>()
  const [failed, setFailed] = useState(false)
  useEffect(() => {
    let stopped = false
    let timer: ReturnType<typeof setTimeout> | undefined
    const ask = async () => {
      timer = undefined
      try {
        const got = await room.rank(board, { limit: rowsShown })
        if (!stopped) setStanding(got)
      } catch {
        if (!stopped) setFailed(true)
      }
    }
    const soon = () => {
      timer ??= setTimeout(ask, ownPlaceMs * (0.3 + 0.7 * Math.random()))
    }
    const changed = (rows: Standing['rows']) =>
      setStanding((before) => {
        const at = rows.findIndex(({ member }) => member.id === me)
        const own = rows[at]
        if (own) return { rows, place: at + 1, scoreCoin: own.scoreCoin }
        if (before?.place !== undefined || rows.length >= rowsShown) soon()
        return { ...before, rows }
      })
    setStanding(undefined)
    setFailed(false)
    void ask()
    const offs = [
      room.on('rank.changed', (d) => d.board === board && changed(d.rows.slice(0, rowsShown))),
      room.on('resync', () => void ask()),
      room.on('resumed', () => void ask()), // boards are the latest value only: what changed meanwhile is not told again
    ]
    return () => {
      stopped = true
      clearTimeout(timer)
      for (const off of offs) off()
    }
  }, [room, board, me])
  return { standing, failed }
}
