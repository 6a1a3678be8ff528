/**
 * The room log in core.db: what happened in which order, for readers that keep their place (`plugin/events/consumers.ts`).
 *
 * A row that comes with a change is written before its event has a seq, into room_unsent; `commit` moves it to room_log with the seq that
 * the tick gave. What needs no change is appended with its seq. `core-db.ts` runs these in the same batches as all else.
 */
import type Database from 'better-sqlite3'
import { and, eq, gt, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/better-sqlite3'
import { roomLog, roomUnsent } from './core-schema.ts'

export interface SeqRow {
  eid: string
  epoch: number
  seq: number
}
/** A log row as it lies on disk: `d` is JSON text, made and read on the other side of the worker. */
export interface EventRow {
  eid: string
  t: string
  at: number
  actor: string
  d: string
  hops: number
  only: string | null
  /** JSON. */
  unchecked: string | null
}
export interface PlacedRow {
  pos: number
  roomId: string
  epoch: number
  seq: number
  row: EventRow
}

export class LogTables {
  readonly #sql: ReturnType<typeof prepareWrites>
  readonly #reads: ReturnType<typeof prepareReads>

  constructor(db: Database.Database) {
    this.#sql = prepareWrites(db)
    this.#reads = prepareReads(db)
  }

  /** Without its seq. */
  putUnsent(roomId: string, row: EventRow): void {
    this.#sql.unsent.run({ ...row, roomId })
  }

  /** What a crash left without a seq, oldest first. */
  unsentOf(roomId: string): EventRow[] {
    return this.#reads.unsent.all({ roomId })
  }

  /** Move rows from room_unsent to room_log. A row that is not there any more has its seq already. */
  commit(roomId: string, rows: readonly SeqRow[]): void {
    for (const { eid, epoch, seq } of rows) {
      this.#sql.commitUnsent.run({ roomId, eid, epoch, seq })
      this.#sql.deleteUnsent.run({ roomId, eid })
    }
  }

  append(roomId: string, rows: readonly (EventRow & SeqRow)[]): void {
    for (const row of rows) this.#sql.append.run({ ...row, roomId })
  }

  read({ roomId, afterPos, limit }: { roomId?: string; afterPos: number; limit: number }): PlacedRow[] {
    const rows =
      roomId === undefined ? this.#reads.log.all({ afterPos, limit }) : this.#reads.logOfRoom.all({ roomId, afterPos, limit })
    return rows.map(({ pos, roomId, epoch, seq, ...row }) => ({ pos, roomId, epoch, seq, row }))
  }

  /** Answers how many rows went, at most `limit` of each table. */
  prune(limits: { beforeAt: number; limit: number }): number {
    return this.#sql.pruneLog.run(limits).changes + this.#sql.pruneUnsent.run(limits).changes
  }

  /** Not max(pos): rows may have been pruned, and a reader that starts at the end must start behind those too. */
  end(): number {
    return (this.#sql.end.get() as { seq: number } | undefined)?.seq ?? 0
  }
}

const pruneTable = (table: string, key: string) =>
  `DELETE FROM ${table} WHERE ${key} IN (SELECT ${key} FROM ${table} WHERE at < @beforeAt LIMIT @limit)`

function prepareWrites(db: Database.Database) {
  const q = (source: string) => db.prepare(source)
  return {
    unsent: q(
      `INSERT INTO room_unsent (room_id, eid, t, at, actor, d, hops, only_user, unchecked)
       VALUES (@roomId, @eid, @t, @at, @actor, @d, @hops, @only, @unchecked)`,
    ),
    // An event that is there already is left out by the SELECT: ON CONFLICT DO NOTHING would use up a pos, and a gap means pruned rows.
    commitUnsent: q(
      `INSERT INTO room_log (room_id, eid, t, at, actor, d, hops, only_user, unchecked, epoch, seq)
       SELECT room_id, eid, t, at, actor, d, hops, only_user, unchecked, @epoch, @seq FROM room_unsent
       WHERE eid = @eid AND room_id = @roomId AND NOT EXISTS (SELECT 1 FROM room_log WHERE eid = @eid)`,
    ),
    deleteUnsent: q('DELETE FROM room_unsent WHERE eid = @eid AND room_id = @roomId'),
    append: q(
      `INSERT INTO room_log (room_id, eid, t, at, actor, d, hops, only_user, unchecked, epoch, seq)
       SELECT @roomId, @eid, @t, @at, @actor, @d, @hops, @only, @unchecked, @epoch, @seq
       WHERE NOT EXISTS (SELECT 1 FROM room_log WHERE eid = @eid)`,
    ),
    end: q(`SELECT seq FROM sqlite_sequence WHERE name = 'room_log'`),
    pruneLog: q(pruneTable('room_log', 'pos')),
    pruneUnsent: q(pruneTable('room_unsent', 'n')),
  }
}

function prepareReads(db: Database.Database) {
  const orm = drizzle(db)
  const given = (name: string) => sql.placeholder(name)
  const { eid, t, at, actor, d, hops, only, unchecked } = roomUnsent
  const logAfter = gt(roomLog.pos, given('afterPos'))
  const page = given('limit')
  return {
    unsent: orm
      .select({ eid, t, at, actor, d, hops, only, unchecked })
      .from(roomUnsent)
      .where(eq(roomUnsent.roomId, given('roomId')))
      .orderBy(roomUnsent.n)
      .prepare(),
    log: orm.select().from(roomLog).where(logAfter).orderBy(roomLog.pos).limit(page).prepare(),
    logOfRoom: orm
      .select()
      .from(roomLog)
      .where(and(eq(roomLog.roomId, given('roomId')), logAfter))
      .orderBy(roomLog.pos)
      .limit(page)
      .prepare(),
  }
}
