/**
 * The boards of a room: who gave most in this live, today, this week, in all. Derived from the gifts in the order of the ledger, and
 * nothing else: built anew from the journal they are the same. A gift that an operator gives back later stays: boards tell what was given.
 *
 * Each board has windows: a day begins at midnight of the platform's clock (`offsetMinutes` east of UTC), a week on Monday, a live with
 * its opening; `total` has one. Here are the windows that run, the first of each; `board-keeper.ts` has those that are over, and the rest.
 *
 *     boards.turn(now, liveId)
 *     boards.add({ member: 'ann', name: 'Ann', coin: 30n, pos }, windowsOf(at, liveId, offsetMinutes))
 *     boards.rows('day', 10)
 */
import type { boards as boardNames } from '../../schemas/messages.ts'
import { Board, type Given, type Standing } from './board.ts'

export type BoardName = (typeof boardNames)[number]
export interface BoardRow {
  member: { id: string; name: string }
  scoreCoin: string
}
/** A day as 2026-01-31, a week by its Monday, a live by its id; '' for `total`. */
export type Windows = readonly (readonly [board: BoardName, win: string])[]

const dayMs = 86_400_000
/** 1970-01-01 was a Thursday. */
const mondayOffsetDays = 3
const dateOf = (day: number): string => new Date(day * dayMs).toISOString().slice(0, 10)

/** The windows that something of `at`, in the live `liveId`, belongs to. */
export function windowsOf(at: number, liveId: string | undefined, offsetMinutes: number): Windows {
  const day = Math.floor((at + offsetMinutes * 60_000) / dayMs)
  const monday = day - ((((day + mondayOffsetDays) % 7) + 7) % 7)
  const live = liveId === undefined ? [] : [['live', liveId] as const]
  return [['total', ''], ['day', dateOf(day)], ['week', dateOf(monday)], ...live]
}

export class Boards {
  readonly #offsetMinutes: number
  readonly #boards: Record<BoardName, Board>
  /** Who gave something, may have given before, and is not kept: what they have is on disk. */
  readonly #unplaced: Record<BoardName, Set<string>> = { live: new Set(), day: new Set(), week: new Set(), total: new Set() }
  readonly #windows = new Map<BoardName, string>([['total', '']])
  readonly #changed = new Set<BoardName>()
  readonly #shown = new Map<BoardName, string>()
  /** No window but `live` can turn within `[from, to)`. */
  #steady = { from: 0, to: 0 }
  #liveId: string | undefined

  /** `max`: members of each board that are kept. */
  constructor(offsetMinutes: number, max: number) {
    this.#offsetMinutes = offsetMinutes
    this.#boards = { live: new Board(max), day: new Board(max), week: new Board(max), total: new Board(max) }
  }

  /** Which windows run now; those that ran before are emptied. */
  turn(now: number, liveId: string | undefined): void {
    if (now >= this.#steady.from && now < this.#steady.to && liveId === this.#liveId) return
    const offsetMs = this.#offsetMinutes * 60_000
    const from = Math.floor((now + offsetMs) / dayMs) * dayMs - offsetMs
    this.#steady = { from, to: from + dayMs }
    this.#liveId = liveId
    const windows = new Map(windowsOf(now, liveId, this.#offsetMinutes))
    for (const board of ['live', 'day', 'week'] as const) {
      const win = windows.get(board)
      if (win === this.#windows.get(board)) continue
      if (win === undefined) this.#windows.delete(board)
      else this.#windows.set(board, win)
      if (this.#boards[board].size === 0) continue
      this.#clear(board)
      this.#changed.add(board)
    }
  }

  #clear(board: BoardName): void {
    this.#boards[board].clear()
    this.#unplaced[board].clear()
  }

  /** The day that runs. */
  get day(): { readonly from: number; readonly to: number } {
    return this.#steady
  }

  /** As if nothing had been counted; what comes instead is told. */
  empty(): void {
    const isShown = this.#boards.total.size > 0
    for (const board of Object.keys(this.#boards) as BoardName[]) {
      this.#clear(board)
      if (isShown) this.#changed.add(board)
    }
  }

  /** Undefined for `live` while nothing is live. */
  windowOf(board: BoardName): string | undefined {
    return this.#windows.get(board)
  }

  /** To those of `windows` that run. */
  add(given: Given, windows: Windows): void {
    for (const [board, win] of windows) {
      if (this.#windows.get(board) !== win) continue
      if (this.isLeftOut(board, given.member)) this.#unplaced[board].add(given.member)
      else this.#boards[board].add(given)
      this.#changed.add(board)
    }
  }

  /** Of the window that runs, as it was kept. */
  take(board: BoardName, kept: Board): void {
    this.#boards[board] = kept
  }

  /** As it is on disk. */
  put(board: BoardName, standing: Standing): void {
    this.#boards[board].put(standing)
  }

  /** They may be on the board, below all who are kept, or have given too much for that since. */
  isLeftOut(board: BoardName, member: string): boolean {
    return this.#boards[board].isCut && this.#boards[board].of(member) === undefined
  }

  /** Somebody is on one of them who is not kept. */
  get isCut(): boolean {
    return Object.values(this.#boards).some(({ isCut }) => isCut)
  }

  get hasUnplaced(): boolean {
    return Object.values(this.#unplaced).some(({ size }) => size > 0)
  }

  /** Whom to look up: they are forgotten here. */
  takeUnplaced(): [board: BoardName, win: string, members: string[]][] {
    return [...this.#windows].flatMap(([board, win]) => {
      const members = [...this.#unplaced[board]]
      this.#unplaced[board].clear()
      return members.length > 0 ? [[board, win, members]] : []
    })
  }

  /** Of the window that runs: they are looked up once more. */
  unplaced(board: BoardName, members: readonly string[]): void {
    for (const member of members) this.#unplaced[board].add(member)
  }

  rows(board: BoardName, limit: number): BoardRow[] {
    return this.#boards[board].top(limit).map(rowOf)
  }

  standing(board: BoardName, member: string): { place: number; scoreCoin: string } | undefined {
    const place = this.#boards[board].placeOf(member)
    const score = this.#boards[board].of(member)?.score
    return place === undefined || score === undefined ? undefined : { place, scoreCoin: String(score) }
  }

  /** Whether there may be something to announce. */
  get isChanged(): boolean {
    return this.#changed.size > 0
  }

  /** Boards whose first `limit` are not what they were when this was asked last. */
  takeChanged(limit: number): { board: BoardName; rows: BoardRow[]; window?: string }[] {
    const taken: { board: BoardName; rows: BoardRow[]; window?: string }[] = []
    for (const board of this.#changed) {
      const rows = this.rows(board, limit)
      const shown = JSON.stringify(rows)
      if (this.#shown.get(board) === shown) continue
      this.#shown.set(board, shown)
      const win = this.#windows.get(board)
      taken.push({ board, rows, ...(win ? { window: win } : {}) })
    }
    this.#changed.clear()
    return taken
  }
}

export const rowOf = ({ member, name, score }: Pick<Standing, 'member' | 'name' | 'score'>): BoardRow => ({
  member: { id: member, name },
  scoreCoin: String(score),
})
