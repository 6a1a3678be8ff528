/**
 * Which rows of the journal belong to a room: derived, in ledger-rooms.db beside ledger.db, written by the reader thread only.
 *
 *     const rooms = RoomIndex.open(file, journal)     // journal: the reader's connection to ledger.db
 *     rooms.catchUp()                                 // reads what was committed since
 *     rooms.after('r1', pos, 500)                     // positions, in order
 *
 * As an index of the journal itself it would cost every gift 4 us and a quarter of all bytes written, on the one thread that everybody
 * waits for. Here a row costs 3 us of a thread that has time: some with each step of the audit, the rest when a room asks, so that an
 * answer holds everything that was committed before the question. What does not fit to the journal is thrown away and made again.
 */
import { rmSync } from 'node:fs'
import Database from 'better-sqlite3'
import { openDerived } from './derived.ts'

const version = 1
const ddl = `CREATE TABLE place (id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, tx_id TEXT NOT NULL) STRICT;
  CREATE TABLE rooms (room_id TEXT NOT NULL, pos INTEGER NOT NULL, PRIMARY KEY (room_id, pos)) STRICT, WITHOUT ROWID;`
/** Beside the ledger's file. */
export const roomsFileOf = (file: string): string => file.replace(/(\.db)?$/, '-rooms.db')

/** Rows of the journal that are read in one go. */
const rowsAStep = 2_000

export class RoomIndex {
  readonly #db: Database.Database
  readonly #sql: ReturnType<typeof prepare>
  readonly #journal: Database.Statement
  #pos: number

  private constructor(db: Database.Database, journal: Database.Database) {
    this.#db = db
    this.#sql = prepare(db)
    this.#journal = journal
      .prepare('SELECT pos, room_id, tx_id FROM journal WHERE pos > ? ORDER BY pos LIMIT ?')
      .safeIntegers(false)
      .raw()
    this.#pos = this.#place(journal)
  }

  /** `file`: path of ledger-rooms.db. */
  static open(file: string, journal: Database.Database): RoomIndex {
    try {
      return new RoomIndex(openFile(file), journal)
    } catch (error) {
      if (!(error instanceof Database.SqliteError || error instanceof OtherJournal)) throw error
      for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
      return new RoomIndex(openFile(file), journal)
    }
  }

  /** Reads on. Answers whether there may be more. */
  step(): boolean {
    const rows = this.#journal.all(this.#pos, rowsAStep) as [pos: number, roomId: string | null, txId: string][]
    const last = rows.at(-1)
    if (!last) return false
    this.#db.transaction(() => {
      for (const [pos, roomId] of rows) if (roomId !== null) this.#sql.add.run(roomId, pos)
      this.#sql.putPlace.run(last[0], last[2])
    })()
    this.#pos = last[0]
    return rows.length === rowsAStep
  }

  catchUp(): void {
    while (this.step());
  }

  /** Positions of rows of this room after `pos`, as far as it was read. */
  after(roomId: string, pos: number, limit: number): number[] {
    return this.#sql.after.all(roomId, pos, limit) as number[]
  }

  close(): void {
    this.#db.close()
  }

  /** A restored backup may be another journal of the same length: the last row that was read must be the same. */
  #place(journal: Database.Database): number {
    const place = this.#sql.place.get() as { pos: number; tx_id: string } | undefined
    if (!place) return 0
    const found = journal.prepare('SELECT tx_id FROM journal WHERE pos = ?').pluck().get(place.pos)
    if (found === place.tx_id) return place.pos
    this.#db.close()
    throw new OtherJournal()
  }
}

class OtherJournal extends Error {}

const openFile = (file: string): Database.Database => openDerived(file, { ddl, version })

function prepare(db: Database.Database) {
  return {
    place: db.prepare('SELECT pos, tx_id FROM place'),
    putPlace: db.prepare(
      'INSERT INTO place (id, pos, tx_id) VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET pos = excluded.pos, tx_id = excluded.tx_id',
    ),
    add: db.prepare('INSERT INTO rooms (room_id, pos) VALUES (?, ?)'),
    after: db.prepare('SELECT pos FROM rooms WHERE room_id = ? AND pos > ? ORDER BY pos LIMIT ?').pluck(),
  }
}
