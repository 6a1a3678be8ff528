/**
 * The boards of a room: who gave most in this live, today, this week, in all. Derived from the gifts in the order of the ledger, and
 * nothing else: built anew from the journal they are the same.
 *
 * Days begin at midnight of the platform's clock (`boardOffsetMinutes` east of UTC), weeks on Monday. A window that is over is forgotten
 * here; statements have it.
 */
import type { boards as boardNames } from '../../schemas/messages.ts'
import { Board, type Standing } from './board.ts'

export type BoardName = (typeof boardNames)[number]
export interface Given {
  member: string
  name: string
  coin: bigint
  at: number
  /** Position in the journal. */
  pos: number
  liveId: string | undefined
}
export interface BoardRow {
  member: { id: string; name: string }
  scoreCoin: string
}

const dayMs = 86_400_000
/** 1970-01-01 was a Thursday. */
const mondayOffsetDays = 3

export class Boards {
  readonly #offsetMs: number
  readonly #boards: Record<BoardName, Board> = { live: new Board(), day: new Board(), week: new Board(), total: new Board() }
  readonly #names = new Map<string, string>()
  readonly #changed = new Set<BoardName>()
  readonly #shown = new Map<BoardName, string>()
  #liveId: string | undefined
  #day = -1
  #week = -1

  constructor(offsetMinutes: number) {
    this.#offsetMs = offsetMinutes * 60_000
  }

  /** Of which live the board `live` is. */
  live(liveId: string | undefined): void {
    if (liveId === this.#liveId) return
    this.#liveId = liveId
    this.#clear('live')
  }

  add({ member, name, coin, at, pos, liveId }: Given): void {
    this.#names.set(member, name)
    const names: BoardName[] = ['total']
    if (liveId !== undefined && liveId === this.#liveId) names.push('live')
    const { day, week } = this.#windowsOf(at)
    if (day === this.#day) names.push('day')
    if (week === this.#week) names.push('week')
    for (const board of names) {
      this.#boards[board].add(member, coin, pos)
      this.#changed.add(board)
    }
  }

  /** The windows that `now` is in; what belongs to others goes. */
  turn(now: number): void {
    const { day, week } = this.#windowsOf(now)
    if (day !== this.#day) this.#clear('day')
    if (week !== this.#week) this.#clear('week')
    this.#day = day
    this.#week = week
  }

  nextTurnAt(now: number): number {
    return (Math.floor((now + this.#offsetMs) / dayMs) + 1) * dayMs - this.#offsetMs
  }

  #windowsOf(at: number): { day: number; week: number } {
    const day = Math.floor((at + this.#offsetMs) / dayMs)
    return { day, week: Math.floor((day + mondayOffsetDays) / 7) }
  }

  #clear(board: BoardName): void {
    if (this.#boards[board].size === 0) return
    this.#boards[board].clear()
    this.#changed.add(board)
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
  takeChanged(limit: number): { board: BoardName; rows: BoardRow[] }[] {
    const taken: { board: BoardName; rows: BoardRow[] }[] = []
    for (const board of this.#changed) {
      const rows = this.rows(board, limit)
      const shown = JSON.stringify(rows)
      if (this.#shown.get(board) === shown) continue
      this.#shown.set(board, shown)
      taken.push({ board, rows })
    }
    this.#changed.clear()
    return taken
  }
}
