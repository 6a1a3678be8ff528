/** The boards of core.db, as a room sees them: `store.boards`. */
import type { BoardOp, BoardOpAnswers, BoardsHead, BoardsKept, Score, ScoreAdded } from './core-boards.ts'

export type { BoardsHead, Score, ScoreAdded } from './core-boards.ts'

type Ask = <T extends keyof BoardOpAnswers>(op: BoardOp & { op: T }) => Promise<BoardOpAnswers[T]>
const pageRows = 1_000

/** Every promise resolves when it is on disk, and rejects with a `StoreError`. */
export class BoardStore {
  readonly #ask: Ask

  constructor(ask: Ask) {
    this.#ask = ask
  }

  /** Undefined: nothing is kept of this room, or what is kept is not what was written. */
  async head(roomId: string): Promise<BoardsKept | undefined> {
    const answer = await this.#ask<'boards_head'>({ op: 'boards_head', roomId })
    if (!answer?.isSound) return undefined
    const { isSound, ...kept } = answer
    return kept
  }

  /** Everybody on a board, in pages. */
  async *all(roomId: string, board: string, win: string): AsyncGenerator<Score> {
    for (let afterMember = ''; ; ) {
      const page = await this.#ask<'boards_read'>({ op: 'boards_read', roomId, board, win, afterMember, limit: pageRows })
      yield* page
      if (page.length < pageRows) return
      afterMember = page.at(-1)?.member ?? ''
    }
  }

  /** The first of a board, best first. */
  top(roomId: string, board: string, win: string, limit: number): Promise<Score[]> {
    return this.#ask<'boards_top'>({ op: 'boards_top', roomId, board, win, limit })
  }

  /** Those of these members who are on it; at most some hundred at once. */
  of(roomId: string, board: string, win: string, members: readonly string[]): Promise<Score[]> {
    return this.#ask<'boards_of'>({ op: 'boards_of', roomId, board, win, members })
  }

  /** Among all that is on disk. Looks at every member of the window. */
  place(roomId: string, board: string, win: string, member: string): Promise<{ place: number; score: bigint } | undefined> {
    return this.#ask<'boards_place'>({ op: 'boards_place', roomId, board, win, member })
  }

  /** True when it is on disk; false when what is there does not end at `fromPos`, and nothing has happened. */
  async save(roomId: string, fromPos: number, head: BoardsHead, rows: readonly ScoreAdded[]): Promise<boolean> {
    return (await this.#ask<'boards_save'>({ op: 'boards_save', roomId, fromPos, head, rows })) === head.pos
  }

  async drop(roomId: string): Promise<void> {
    await this.#ask<'boards_drop'>({ op: 'boards_drop', roomId })
  }

  /** Windows whose last gift is older than this, `total` apart. */
  async prune(roomId: string, beforeAt: number): Promise<void> {
    await this.#ask<'boards_prune'>({ op: 'boards_prune', roomId, beforeAt })
  }
}
