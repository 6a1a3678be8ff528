/**
 * The boards of rooms in core.db: who gave how much in which window, and up to which row of the journal that has been counted.
 *
 * Derived from the ledger's journal alone, so it may be thrown away at any time. A save brings what was added since the one before and
 * moves the room's place in the journal, in one transaction and only from where the saver believes it to be: a save whose answer was
 * lost is asked for again, and happens once.
 *
 *     room_boards   one row a room: the place in the journal, the form of the rows, and the sum that `total` must have
 *     room_scores   a member of a board in a window: a day (2026-01-31), a week (by its Monday), a live (by its id), or '' for `total`
 */
import type Database from 'better-sqlite3'

export interface BoardsHead {
  /** What the rows were made by: rows of another form are of no use. */
  form: string
  /** Everything of the journal up to here is in the rows. */
  pos: number
  /** Of the row at `pos`: a journal without it is another one. */
  txId: string
  /** Sum of `total`. */
  coin: bigint
}
/** `lastAt`: the latest instant of all that is in the rows. */
export type BoardsKept = BoardsHead & { lastAt: number }
export interface ScoreKey {
  board: string
  win: string
  member: string
}
export interface ScoreAdded extends ScoreKey {
  name: string
  coin: bigint
  /** Row of the journal, and the instant, of the last one in it. */
  reached: number
  at: number
}
export interface Score {
  member: string
  name: string
  score: bigint
  reached: number
}

export interface BoardOpAnswers {
  /** `isSound`: the rows have the sum that they must have. */
  boards_head: (BoardsKept & { isSound: boolean }) | undefined
  /** By member. */
  boards_read: Score[]
  /** Best first. */
  boards_top: Score[]
  /** Of these members, as far as they are on it. */
  boards_of: Score[]
  /** From 1; undefined for somebody who is not on it. */
  boards_place: { place: number; score: bigint } | undefined
  /** The place in the journal that is on disk now: `head.pos` when it was saved, now or before. */
  boards_save: number
  boards_drop: undefined
  boards_prune: undefined
}
export type BoardOp =
  | { op: 'boards_head'; roomId: string }
  | { op: 'boards_read'; roomId: string; board: string; win: string; afterMember: string; limit: number }
  | { op: 'boards_top'; roomId: string; board: string; win: string; limit: number }
  | { op: 'boards_of'; roomId: string; board: string; win: string; members: readonly string[] }
  | { op: 'boards_place'; roomId: string; board: string; win: string; member: string }
  | { op: 'boards_save'; roomId: string; fromPos: number; head: BoardsHead; rows: readonly ScoreAdded[] }
  | { op: 'boards_drop'; roomId: string }
  | { op: 'boards_prune'; roomId: string; beforeAt: number }

export const isBoardOp = (op: { op: string }): op is BoardOp => op.op.startsWith('boards_')

interface ScoreRow {
  member: string
  name: string
  score: bigint
  reached: bigint
}
const scoreOf = ({ member, name, score, reached }: ScoreRow): Score => ({ member, name, score, reached: Number(reached) })

export class BoardTables {
  readonly #sql: ReturnType<typeof prepare>

  constructor(db: Database.Database) {
    this.#sql = prepare(db)
  }

  apply(op: BoardOp): BoardOpAnswers[keyof BoardOpAnswers] {
    const sql = this.#sql
    switch (op.op) {
      case 'boards_head':
        return this.#head(op.roomId)
      case 'boards_read':
        return (sql.read.all(op) as ScoreRow[]).map(scoreOf)
      case 'boards_top':
        return (sql.top.all(op) as ScoreRow[]).map(scoreOf)
      case 'boards_of':
        return (sql.of.all({ ...op, members: JSON.stringify(op.members) }) as ScoreRow[]).map(scoreOf)
      case 'boards_place':
        return this.#place(op)
      case 'boards_save':
        return this.#save(op)
      case 'boards_drop':
        sql.dropScores.run(op)
        sql.dropHead.run(op)
        return undefined
      case 'boards_prune':
        sql.prune.run(op)
        return undefined
      default:
        throw new Error(`unknown op ${JSON.stringify(op satisfies never)}`)
    }
  }

  #head(roomId: string): BoardOpAnswers['boards_head'] {
    const head = this.#sql.head.get({ roomId }) as { form: string; pos: bigint; txId: string; coin: bigint } | undefined
    if (!head) return undefined
    const { coin, lastAt } = this.#sql.sum.get({ roomId }) as { coin: bigint; lastAt: bigint }
    return { ...head, pos: Number(head.pos), lastAt: Number(lastAt), isSound: coin === head.coin }
  }

  #place(op: BoardOp & { op: 'boards_place' }): BoardOpAnswers['boards_place'] {
    const [own] = this.#sql.of.all({ ...op, members: JSON.stringify([op.member]) }) as ScoreRow[]
    if (!own) return undefined
    const { above } = this.#sql.above.get({ ...op, ...own }) as { above: bigint }
    return { place: Number(above) + 1, score: own.score }
  }

  #save({ roomId, fromPos, head, rows }: BoardOp & { op: 'boards_save' }): number {
    const stored = Number((this.#sql.head.get({ roomId }) as { pos: bigint } | undefined)?.pos ?? 0)
    if (stored !== fromPos) return stored
    this.#sql.putHead.run({ roomId, ...head })
    for (const row of rows) this.#sql.add.run({ roomId, ...row })
    return head.pos
  }
}

function prepare(db: Database.Database) {
  const q = (source: string) => db.prepare(source)
  // Scores are read as bigint: they may outgrow 2^53.
  const big = (source: string) => q(source).safeIntegers(true)
  const window = 'room_id = @roomId AND board = @board AND win = @win'
  return {
    head: big('SELECT form, pos, tx_id AS txId, coin FROM room_boards WHERE room_id = @roomId'),
    sum: big(
      `SELECT coalesce(sum(score), 0) AS coin, coalesce(max(at), 0) AS lastAt FROM room_scores
       WHERE room_id = @roomId AND board = 'total'`,
    ),
    putHead: q(
      `INSERT INTO room_boards (room_id, form, pos, tx_id, coin) VALUES (@roomId, @form, @pos, @txId, @coin)
       ON CONFLICT (room_id) DO UPDATE SET form = @form, pos = @pos, tx_id = @txId, coin = @coin`,
    ),
    add: q(
      `INSERT INTO room_scores (room_id, board, win, member, name, score, reached, at)
       VALUES (@roomId, @board, @win, @member, @name, @coin, @reached, @at)
       ON CONFLICT (room_id, board, win, member)
       DO UPDATE SET name = @name, score = score + @coin, reached = @reached, at = max(at, @at)`,
    ),
    read: big(
      `SELECT member, name, score, reached FROM room_scores WHERE ${window} AND member > @afterMember ORDER BY member LIMIT @limit`,
    ),
    top: big(
      `SELECT member, name, score, reached FROM room_scores WHERE ${window} AND score > 0 ORDER BY score DESC, reached LIMIT @limit`,
    ),
    of: big(`SELECT member, name, score, reached FROM room_scores
       WHERE ${window} AND score > 0 AND member IN (SELECT value FROM json_each(@members))`),
    above: big(`SELECT count(*) AS above FROM room_scores
       WHERE ${window} AND score > 0 AND (score > @score OR (score = @score AND reached < @reached))`),
    dropScores: q('DELETE FROM room_scores WHERE room_id = @roomId'),
    dropHead: q('DELETE FROM room_boards WHERE room_id = @roomId'),
    // A window goes as a whole, after its last gift.
    prune: q(
      `DELETE FROM room_scores WHERE room_id = @roomId AND board <> 'total' AND (board, win) IN
       (SELECT board, win FROM room_scores WHERE room_id = @roomId GROUP BY board, win HAVING max(at) < @beforeAt)`,
    ),
  }
}
