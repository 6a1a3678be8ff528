/**
 * The chat list: sticks to the newest row unless somebody scrolled up to read, and then says how many came since.
 * Keyboard: arrows walk the rows, Enter answers the row's sender.
 */
import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { DanmakuRow, Row } from './feed.ts'
import { RoleBadge } from './parts.tsx'

interface ChatListProps {
  rows: readonly Row[]
  onPick?: ((row: DanmakuRow) => void) | undefined
  actions?: ((row: DanmakuRow) => ComponentChildren) | undefined
}

const nearBottomPx = 48

export function ChatList({ rows, onPick, actions }: ChatListProps) {
  const list = useRef<HTMLOListElement>(null)
  const [sticking, setSticking] = useState(true)
  const [seenKey, setSeenKey] = useState('')
  const resume = useRef(false)
  const lastKey = rows.at(-1)?.key ?? ''

  const toBottom = () => {
    const element = list.current
    if (element) element.scrollTop = element.scrollHeight
  }
  useLayoutEffect(() => {
    if (sticking) toBottom()
  }, [rows, sticking])
  useEffect(() => {
    const element = list.current
    if (!element) return
    const watch = new ResizeObserver(() => sticking && toBottom())
    watch.observe(element)
    return () => watch.disconnect()
  }, [sticking])

  const scrolled = () => {
    const element = list.current
    if (!element) return
    const atBottom = element.scrollHeight - element.scrollTop - element.clientHeight < nearBottomPx
    if ((sticking && !atBottom) || (resume.current && atBottom)) setSeenKey(lastKey)
    if (atBottom !== sticking && !resume.current) setSticking(atBottom)
  }
  useEffect(() => {
    if (rows.length > 0) return
    resume.current = false // another room: its history is not news
    setSticking(true)
  }, [rows.length === 0])
  // A row with buttons must not move away under the mouse that is about to press one. Without rows there is nothing to hold:
  // the history that comes then stands at the bottom, wherever the mouse is.
  const hold = (event: PointerEvent) => {
    if (!actions || !sticking || rows.length === 0 || event.pointerType === 'touch') return
    resume.current = true
    setSeenKey(lastKey)
    setSticking(false)
  }
  const release = () => {
    if (resume.current) setSticking(true)
    resume.current = false
  }
  const seenAt = rows.findIndex(({ key }) => key === seenKey)
  const fresh = sticking ? 0 : rows.slice(seenAt + 1).filter(({ kind }) => kind === 'danmaku').length

  return (
    <div class="chat" onPointerEnter={hold} onPointerMove={hold} onPointerLeave={release}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls must be reachable by keyboard */}
      <ol class="rows" ref={list} onScroll={scrolled} onKeyDown={walk} tabIndex={0} aria-label="Chat" data-testid="chat-list">
        {rows.map((row) =>
          row.kind === 'notice' ? (
            <li key={row.key} class="notice" data-testid="chat-notice">
              {row.text}
            </li>
          ) : (
            <ChatRow key={row.key} row={row} onPick={onPick} actions={actions} />
          ),
        )}
      </ol>
      {/* A line of its own: it covers no row. With actions it is always there, so that no row moves when the button comes. */}
      {(fresh > 0 || actions) && (
        <div class="fresh-line">
          {fresh > 0 && (
            <button type="button" class="fresh" onClick={() => setSticking(true)} data-testid="chat-fresh">
              {fresh} new
            </button>
          )}
        </div>
      )}
    </div>
  )
}

function walk(event: KeyboardEvent): void {
  if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return
  const current = (event.target as HTMLElement).closest<HTMLElement>('[data-row]')
  const rows = (event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>('[data-row]')
  const next = current ? [...rows].indexOf(current) + (event.key === 'ArrowUp' ? -1 : 1) : rows.length - 1
  if (!rows[next]) return
  event.preventDefault()
  rows[next].focus()
}

/** A hue of its own for every name, the same on every visit. */
function hueOf(id: string): number {
  let hash = 7
  for (const char of id) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) % 3600
  return Math.round(hash * 137.5) % 360 // the golden angle: neighbours get far hues
}

function ChatRow({ row, onPick, actions }: { row: DanmakuRow } & Pick<ChatListProps, 'onPick' | 'actions'>) {
  const { danmaku, own, toMe } = row
  const { from, text, replyTo } = danmaku
  const pick = (event: Event) => {
    if ((event.target as HTMLElement).closest('button,summary,details')) return
    if (getSelection()?.isCollapsed !== false) onPick?.(row)
  }
  const keyed = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && event.target === event.currentTarget) onPick?.(row)
  }
  return (
    <li
      class={`row${own ? ' own' : ''}${toMe ? ' to-me' : ''}${onPick ? ' pickable' : ''}`}
      data-row
      data-testid="chat-row"
      data-id={danmaku.id}
      data-user={from.id}
      tabIndex={-1}
      onClick={pick}
      onKeyDown={keyed}
    >
      <p>
        <RoleBadge role={from.role} bot={from.bot} />
        <span class="name" style={{ color: own ? undefined : `hsl(${hueOf(from.id)} 65% 74%)` }}>
          {own ? 'You' : from.name}
        </span>
        {replyTo && <span class="reply-to">to {replyTo.name}</span>}
        <span class="text">{text}</span>
      </p>
      {actions?.(row)}
    </li>
  )
}
