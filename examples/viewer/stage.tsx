/** The picture with the danmaku over it, what is pinned, and the switches of the layer. */
import type { RoomView } from 'livehouse/client'
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Icon, useNow } from '../kit/parts.tsx'
import { DanmakuLayer } from './danmaku-layer.ts'
import { FullscreenButton } from './player.tsx'
import { startScene } from './scene.ts'

interface Look {
  on: boolean
  opacity: number
}
const overflowShownMs = 3_000
const lookKey = 'livehouse.danmaku'

function storedLook(): Look {
  try {
    const value = JSON.parse(localStorage.getItem(lookKey) ?? '{}') as Partial<Look>
    const opacity = typeof value.opacity === 'number' ? Math.min(1, Math.max(0.2, value.opacity)) : 0.95
    return { on: value.on !== false, opacity }
  } catch {
    return { on: true, opacity: 0.95 }
  }
}

interface StageProps {
  room: RoomView | undefined
  /** Something is pinned over the picture: danmaku fly below it. */
  hasWall: boolean
  /** Under the danmaku. */
  picture: ComponentChildren
  /** There is one to be seen: what stands in for it rests. */
  isShown: boolean
  /** Shown while there is none. */
  cover: string | undefined
  /** Why there is none, in a few words; undefined while something else says so. */
  words: string | undefined
  tools?: ComponentChildren
  children?: ComponentChildren
}

export function Stage({ room, hasWall, picture, isShown, cover, words, tools, children }: StageProps) {
  const stage = useRef<HTMLElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const sky = useRef<HTMLDivElement>(null)
  const layer = useRef<DanmakuLayer | undefined>(undefined)
  const [look, setLook] = useState(storedLook)
  const [skipped, setSkipped] = useState(0)
  const overflowing = useRecent(skipped)

  useEffect(() => (canvas.current && !isShown && !cover ? startScene(canvas.current) : undefined), [isShown, cover])
  useEffect(() => {
    if (!sky.current) return
    const made = new DanmakuLayer(sky.current, setSkipped)
    layer.current = made
    return () => made.destroy()
  }, [])
  useEffect(() => {
    if (layer.current) layer.current.enabled = look.on
    localStorage.setItem(lookKey, JSON.stringify(look))
  }, [look])
  useEffect(() => {
    if (!room) return
    const me = () => room.state.me.userId
    const offs = [
      room.on('danmaku.sent', (d, { missed }) => {
        if (!missed) layer.current?.add(d, d.from.id === me())
      }),
      room.on('message.removed', ({ ids }) => layer.current?.remove(ids)),
    ]
    return () => {
      for (const off of offs) off()
    }
  }, [room])

  return (
    <section ref={stage} class={`stage${hasWall ? ' has-wall' : ''}`} aria-label="Picture" data-testid="stage">
      <canvas ref={canvas} class="scene" aria-label="Soft lights" />
      {cover && !isShown && <img class="cover" src={cover} alt="" referrerpolicy="no-referrer" />}
      {words && !isShown && (
        <p class="no-picture" data-testid="no-picture">
          {words}
        </p>
      )}
      {picture}
      <div ref={sky} class="sky" aria-hidden="true" style={{ opacity: look.opacity }} data-testid="sky" />
      {children}
      <div class="stage-tools">
        <button
          type="button"
          class="tool"
          aria-pressed={look.on}
          aria-label="Danmaku over the picture"
          title={look.on ? 'Hide danmaku' : 'Show danmaku'}
          onClick={() => setLook({ ...look, on: !look.on })}
          data-testid="danmaku-switch"
        >
          <Icon name={look.on ? 'bubble' : 'bubbleOff'} />
        </button>
        {tools}
        <FullscreenButton stage={stage} />
        {look.on && (
          <label class="opacity" title="How solid the texts over the picture are">
            <span>Opacity</span>
            <input
              type="range"
              min="20"
              max="100"
              value={Math.round(look.opacity * 100)}
              aria-label="Danmaku opacity"
              onInput={(event) => setLook({ ...look, opacity: Number(event.currentTarget.value) / 100 })}
            />
          </label>
        )}
        {overflowing && look.on && (
          <span
            class="skipped"
            role="note"
            title={skippedWords(skipped)}
            aria-label={skippedWords(skipped)}
            data-testid="skipped"
          >
            +{skipped} in the chat
          </span>
        )}
      </div>
    </section>
  )
}

const skippedWords = (count: number) =>
  `${count} ${count === 1 ? 'text' : 'texts'} found no free lane over the picture, and can be read in the chat`

/** Whether the value changed within the last seconds. */
function useRecent(value: number): boolean {
  const [recent, setRecent] = useState(false)
  useEffect(() => {
    if (value === 0) return
    setRecent(true)
    const timer = setTimeout(() => setRecent(false), overflowShownMs)
    return () => clearTimeout(timer)
  }, [value])
  return recent
}

export function WallItem({ text, by, untilAt }: { text: string; by: string | undefined; untilAt: number }) {
  const now = useNow(true, 1_000)
  if (untilAt > 0 && untilAt <= now) return null
  return (
    <div class="wall" data-testid="wall">
      <Icon name="pin" />
      <p>
        {by && <span class="name">{by}</span>}
        {text}
      </p>
    </div>
  )
}
