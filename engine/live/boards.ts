/**
 * The boards of a room: who gave most in this live, today, this week, in all. Derived from the gifts in the order of the ledger, and
 * nothing else: built anew from the journal they are the same. A gift that an operator gives back later stays: boards tell what was given.
 *
 * Each board has windows: a day begins at midnight of the platform's clock (`offsetMinutes` east of UTC), a week on Monday, a live with
 * its opening; `total` has one. Here are the windows that run; `board-keeper.ts` has those that are over.
 *
 *     boards.turn(now, liveId)
 *     boards.add({ member: 'ann', name: 'Ann', coin: 30n, pos }, windowsOf(at, liveId, offsetMinutes))
 *     boards.rows('day', 10)
 */
import type { boards as boardNames } from '../../schemas/messages.ts'
import { Board, type Standing } from './board.ts'

export type BoardName = (typeof boardNames)[number]
export interface Given {
  member: string
  name: string
  coin: bigint
  /** Position in the journal. */
  pos: number
}
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
  readonly #boards: Record<BoardName, Board> = { live: new Board(), day: new Board(), week: new Board(), total: new Board() }
  readonly #windows = new Map<BoardName, string>([['total', '']])
  readonly #names = new Map<string, string>()
  readonly #changed = new Set<BoardName>()
  readonly #shown = new Map<BoardName, string>()
  /** No window but `live` can turn within `[from, to)`. */
  #steady = { from: 0, to: 0 }
  #liveId: string | undefined

  constructor(offsetMinutes: number) {
    this.#offsetMinutes = offsetMinutes
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
      this.#boards[board].clear()
      this.#changed.add(board)
    }
  }

  /** The day that runs. */
  get day(): { readonly from: number; readonly to: number } {
    return this.#steady
  }

  /** As if nothing had been counted; what comes instead is told. */
  empty(): void {
    const isShown = this.#boards.total.size > 0
    this.#names.clear()
    for (const [name, board] of Object.entries(this.#boards)) {
      board.clear()
      if (isShown) this.#changed.add(name as BoardName)
    }
  }

  /** Undefined for `live` while nothing is live. */
  windowOf(board: BoardName): string | undefined {
    return this.#windows.get(board)
  }

  /** To those of `windows` that run. */
  add({ member, name, coin, pos }: Given, windows: Windows): void {
    this.#names.set(member, name)
    for (const [board, win] of windows) {
      if (this.#windows.get(board) !== win) continue
      this.#boards[board].add(member, coin, pos)
      this.#changed.add(board)
    }
  }

  /** As it was kept. */
  restore(board: BoardName, { name, ...standing }: Standing & { name: string }): void {
    this.#names.set(standing.member, name)
    this.#boards[board].add(standing.member, standing.score, standing.reachedAt)
  }

  rows(board: BoardName, limit: number): BoardRow[] {
    return this.#boards[board].top(limit).map((standing) => this.#row(standing))
  }

  #row({ member, score }: Standing): BoardRow {
    return { member: { id: member, name: this.#names.get(member) ?? member }, scoreCoin: String(score) }
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
