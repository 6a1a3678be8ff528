/**
 * Danmaku flying over the picture: DOM elements moved by the compositor, lanes from `lanes.ts`.
 *
 * The layer has its own time, which stands still while the tab is hidden; what arrives meanwhile is not flown, so nothing bursts
 * on return. One's own message never loses its place: with all lanes taken it waits for the next free one, before everybody else's.
 */
import type { Messages } from 'livehouse/client'
import { type Area, fontPxOf, Lanes, type Level, levelFor } from './lanes.ts'

export type Danmaku = Messages['danmaku.sent']

const flyingMax = 320
/** Between two frames. */
const arrivedMax = 200
const ownWaitingMax = 5
const tellSkippedMs = 500
const rateSpanMs = 3_000
/** Arrivals come in lumps and widths differ: a level must carry more than the mean. */
const headroom = 1.4
const sizes: Record<string, number> = { s: 0.82, m: 1, l: 1.2 }

export class DanmakuLayer {
  readonly #root: HTMLElement
  readonly #lanes = new Lanes()
  readonly #animations = new Set<Animation>()
  readonly #byId = new Map<string, Set<HTMLElement>>()
  readonly #arrivals: number[] = []
  readonly #arrived: Danmaku[] = []
  readonly #ownWaiting: Danmaku[] = []
  readonly #calm = matchMedia('(prefers-reduced-motion: reduce)')
  readonly #measure = document.createElement('canvas').getContext('2d')
  readonly #onSkipped: (count: number) => void
  #skippedTimer: ReturnType<typeof setTimeout> | undefined
  readonly #resized: ResizeObserver
  #area: Area = { width: 0, height: 0 }
  #enabled = true
  #stoppedAt: number | undefined
  #lostMs = 0
  #widthMean = 130
  #skipped = 0
  #frame = 0
  #frameAt = 0

  constructor(root: HTMLElement, onSkipped: (count: number) => void) {
    this.#root = root
    this.#onSkipped = onSkipped
    this.#resized = new ResizeObserver(() => this.#fit())
    this.#resized.observe(root)
    this.#fit()
    document.addEventListener('visibilitychange', this.#visibility)
    this.#visibility()
  }

  destroy(): void {
    document.removeEventListener('visibilitychange', this.#visibility)
    this.#resized.disconnect()
    clearTimeout(this.#skippedTimer)
    this.clear()
  }

  set enabled(enabled: boolean) {
    this.#enabled = enabled
    if (!enabled) this.clear()
  }

  add(danmaku: Danmaku, own: boolean): void {
    if (!this.#enabled || this.#stoppedAt !== undefined || this.#area.width === 0) return
    if (own) {
      if (this.#ownWaiting.length < ownWaitingMax) this.#ownWaiting.push(danmaku)
    } else if (this.#arrived.length < arrivedMax) this.#arrived.push(danmaku)
    else this.#skip()
    this.#frame ||= requestAnimationFrame(this.#nextFrame)
  }

  /** Texts are placed with the frame that they start in: then lanes and animations agree on the time, on a busy machine too. */
  readonly #nextFrame = (at: number): void => {
    this.#frame = 0
    this.#frameAt = at
    while (this.#ownWaiting[0] && this.#place(this.#ownWaiting[0], true)) this.#ownWaiting.shift()
    for (const danmaku of this.#arrived.splice(0)) {
      this.#arrivals.push(this.#now())
      if (this.#ownWaiting.length > 0 || !this.#place(danmaku, false)) this.#skip()
    }
    if (this.#ownWaiting.length > 0) this.#frame ||= requestAnimationFrame(this.#nextFrame)
  }

  remove(ids: readonly string[]): void {
    for (const id of ids) for (const element of this.#byId.get(id) ?? []) this.#drop(id, element)
  }

  clear(): void {
    cancelAnimationFrame(this.#frame)
    this.#frame = 0
    this.#ownWaiting.length = 0
    this.#arrived.length = 0
    for (const animation of this.#animations) animation.cancel()
    this.#animations.clear()
    this.#byId.clear()
    this.#lanes.clear()
    this.#root.replaceChildren()
  }

  #now(): number {
    return (this.#stoppedAt ?? this.#frameAt) - this.#lostMs
  }

  #fit(): void {
    const { clientWidth, clientHeight } = this.#root
    const area = { width: clientWidth, height: clientHeight }
    if (area.width === this.#area.width && area.height === this.#area.height) return
    const turned = area.width !== this.#area.width
    this.#area = area
    if (turned) this.clear()
  }

  readonly #visibility = (): void => {
    if (document.hidden && this.#stoppedAt === undefined) {
      this.#stoppedAt = performance.now()
      this.#arrived.length = 0
      for (const animation of this.#animations) animation.pause()
    } else if (!document.hidden && this.#stoppedAt !== undefined) {
      this.#lostMs += performance.now() - this.#stoppedAt
      this.#stoppedAt = undefined
      for (const animation of this.#animations) animation.play()
    }
  }

  #skip(): void {
    this.#skipped++
    this.#skippedTimer ??= setTimeout(() => {
      this.#skippedTimer = undefined
      this.#onSkipped(this.#skipped)
    }, tellSkippedMs)
  }

  #perS(): number {
    const since = this.#now() - rateSpanMs
    while (this.#arrivals[0] !== undefined && this.#arrivals[0] < since) this.#arrivals.shift()
    return (this.#arrivals.length * 1_000) / rateSpanMs
  }

  #place(danmaku: Danmaku, own: boolean): boolean {
    if (this.#animations.size >= flyingMax && !own) return false
    const level = levelFor(this.#area, this.#perS() * headroom, this.#widthMean)
    const still = this.#stillEdge(danmaku)
    const fontPx = fontPxOf(this.#area, level) * (sizes[danmaku.size] ?? 1)
    const width = this.#widthOf(danmaku.text, fontPx) + (own ? 20 : 0)
    const direction = danmaku.mode === 'reverse' ? 'right' : 'left'
    const flight = still
      ? this.#lanes.stand(this.#area, level, still, this.#now())
      : this.#lanes.fly(this.#area, level, width, this.#now(), direction)
    if (!flight) return false
    if (!still) this.#widthMean += (width / level.scale - this.#widthMean) * 0.05
    const element = this.#element(danmaku, own, { fontPx, top: flight.top })
    if (still) element.classList.add('still')
    this.#animate(danmaku.id, element, still ? still : direction, { width, durationMs: flight.durationMs, level })
    return true
  }

  /** Who asked for less motion gets every text standing still. */
  #stillEdge({ mode }: Danmaku): 'top' | 'bottom' | undefined {
    if (mode === 'top' || mode === 'bottom') return mode
    return this.#calm.matches ? 'top' : undefined
  }

  #widthOf(text: string, fontPx: number): number {
    if (!this.#measure) return text.length * fontPx
    this.#measure.font = `600 ${fontPx}px ${getComputedStyle(this.#root).fontFamily}`
    return this.#measure.measureText(text).width
  }

  #element(danmaku: Danmaku, own: boolean, { fontPx, top }: { fontPx: number; top: number }): HTMLElement {
    const element = document.createElement('span')
    element.className = own ? 'danmaku own' : 'danmaku'
    element.dataset.testid = 'flying'
    element.textContent = danmaku.text
    element.style.top = `${top}px`
    element.style.fontSize = `${fontPx}px`
    element.style.color = `#${danmaku.color.toString(16).padStart(6, '0')}`
    this.#root.append(element)
    return element
  }

  #animate(
    id: string,
    element: HTMLElement,
    way: 'left' | 'right' | 'top' | 'bottom',
    { width, durationMs }: { width: number; durationMs: number; level: Level },
  ): void {
    const [outside, inside] = [`translateX(${this.#area.width}px)`, `translateX(${-width}px)`]
    const frames =
      way === 'left'
        ? [{ transform: outside }, { transform: inside }]
        : way === 'right'
          ? [{ transform: inside }, { transform: outside }]
          : [{ opacity: 0 }, { opacity: 1, offset: 0.06 }, { opacity: 1, offset: 0.92 }, { opacity: 0 }]
    const animation = element.animate(frames, { duration: durationMs, easing: 'linear', fill: 'both' })
    // Left to itself an animation starts when it is first painted, on a busy machine some 100 ms late: the next text, which the lanes
    // let in for this start, would run into its tail.
    animation.startTime = document.timeline.currentTime
    this.#animations.add(animation)
    const elements = this.#byId.get(id) ?? new Set()
    this.#byId.set(id, elements.add(element))
    animation.onfinish = () => {
      this.#animations.delete(animation)
      this.#drop(id, element)
    }
  }

  #drop(id: string, element: HTMLElement): void {
    element.remove()
    const elements = this.#byId.get(id)
    elements?.delete(element)
    if (elements?.size === 0) this.#byId.delete(id)
  }
}
