/**
 * Every account's own page, derived from the journal: which rows touched it, and what its legs add up to so far. In ledger-book.db,
 * written by the reader thread only; it holds nothing that the journal does not say, and is made again when it does not fit to it.
 *
 *     book.fold(reader.journalAfter(book.pos, 500))
 *     book.sumsOf('user.ann.coin.paid')            // for the audit: must be what the balance table says
 *     book.entriesOf('user.ann.coin.paid', ...)    // for statements
 *
 * It keeps a mark of each row too, eight bytes of a hash of everything in it, by which the audit sees that a row is still what was read.
 *
 * The writer of the ledger keeps no such index, because random inserts for each leg would cost it more than all the rest of a gift.
 */
import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import Database from 'better-sqlite3'
import { openDerived } from './derived.ts'
import type { JournalRow } from './ops.ts'
import { legsText } from './rows.ts'
import { after, type Soon } from './soon.ts'
import type { LedgerSource } from './source.ts'

export interface BookEntry {
  pos: number
  at: number
  debits: bigint
  credits: bigint
}
export interface Marked {
  pos: number
  mark: Buffer
}
export interface Sums {
  debits: bigint
  credits: bigint
}
export interface Period {
  /** Of acceptance, from (included) and to (not included). */
  fromAt: number
  toAt: number
  /** Rows after this one are left out. */
  uptoPos: number
}

const version = 2
const markBytes = 8
const ddl = `CREATE TABLE place (id INTEGER PRIMARY KEY, pos INTEGER NOT NULL, tx_id TEXT NOT NULL) STRICT;
  CREATE TABLE accounts (account TEXT PRIMARY KEY NOT NULL, debits INTEGER NOT NULL, credits INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE entries (
    account TEXT NOT NULL, pos INTEGER NOT NULL, at INTEGER NOT NULL, debits INTEGER NOT NULL, credits INTEGER NOT NULL,
    PRIMARY KEY (account, pos)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE marks (pos INTEGER PRIMARY KEY, mark BLOB NOT NULL) STRICT;`

/** Two rows that differ in anything have different ones. */
export function markOf({ pos, legs, facts, event, reply, ...row }: JournalRow): Buffer {
  const { txId, at, action, actor, command, ik, bodyHash, roomId, liveId } = row
  const fields = [pos, txId, at, action, actor, command, ik, bodyHash, roomId, liveId, legsText(legs), facts, event, reply]
  return createHash('sha256').update(JSON.stringify(fields)).digest().subarray(0, markBytes)
}

export class Book {
  readonly #db: Database.Database
  readonly #sql: ReturnType<typeof prepare>
  #pos: number

  private constructor(db: Database.Database) {
    this.#db = db
    this.#sql = prepare(db)
    this.#pos = Number((this.#sql.place.get() as { pos: bigint } | undefined)?.pos ?? 0)
  }

  /** `file`: path of ledger-book.db or ':memory:'. A book of another journal, or a damaged one, is thrown away. */
  static open(file: string, source: LedgerSource): Soon<Book> {
    const book = Book.#sound(file)
    return book ? after(book.#fits(source), (fits) => (fits ? book : Book.#anew(file, book))) : Book.#anew(file)
  }

  static #sound(file: string): Book | undefined {
    try {
      return new Book(openFile(file))
    } catch (error) {
      if (!(error instanceof Database.SqliteError)) throw error
      return undefined
    }
  }

  static #anew(file: string, old?: Book): Book {
    old?.close()
    for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
    return new Book(openFile(file))
  }

  /** Of the last row that is in it. */
  get pos(): number {
    return this.#pos
  }

  /** Rows that follow the last one, in order. */
  fold(rows: readonly JournalRow[]): void {
    const last = rows.at(-1)
    if (!last) return
    this.#db.transaction(() => {
      const sums = new Map<string, Sums>()
      for (const row of rows) {
        this.#foldRow(row, sums)
        this.#sql.addMark.run(row.pos, markOf(row))
      }
      for (const [account, { debits, credits }] of sums) this.#sql.addSums.run(account, debits, credits)
      this.#sql.putPlace.run(last.pos, last.txId)
    })()
    this.#pos = last.pos
  }

  #foldRow({ pos, at, legs }: JournalRow, sums: Map<string, Sums>): void {
    const own = new Map<string, Sums>()
    for (const { dr, cr, amount } of legs) {
      for (const part of [own, sums]) {
        sumIn(part, dr).debits += amount
        sumIn(part, cr).credits += amount
      }
    }
    for (const [account, { debits, credits }] of own) this.#sql.addEntry.run(account, pos, at, debits, credits)
  }

  /** Of rows after `pos`, in order. */
  marksAfter(pos: number, limit: number): Marked[] {
    const found = this.#sql.marks.all(pos, limit) as { pos: bigint; mark: Buffer }[]
    return found.map(({ pos: at, mark }) => ({ pos: Number(at), mark }))
  }

  sumsOf(account: string): Sums {
    return (this.#sql.sums.get(account) as Sums | undefined) ?? { debits: 0n, credits: 0n }
  }

  has(account: string): boolean {
    return this.#sql.sums.get(account) !== undefined
  }

  /** Names in (after, upTo], by name. */
  accountsIn(after: string, upTo: string | undefined, limit: number): string[] {
    const found = upTo === undefined ? this.#sql.names.all(after, limit) : this.#sql.namesUpTo.all(after, upTo, limit)
    return (found as { account: string }[]).map(({ account }) => account)
  }

  /** What stood on the account before the period. */
  openingOf(account: string, { fromAt, uptoPos }: Period): Sums {
    const { debits, credits } = this.#sql.opening.get(account, fromAt, uptoPos) as {
      debits: bigint | null
      credits: bigint | null
    }
    return { debits: debits ?? 0n, credits: credits ?? 0n }
  }

  entriesOf(account: string, { fromAt, toAt, uptoPos }: Period, afterPos: number, limit: number): BookEntry[] {
    const found = this.#sql.entries.all(account, afterPos, uptoPos, fromAt, toAt, limit) as Record<keyof BookEntry, bigint>[]
    return found.map(({ pos, at, debits, credits }) => ({ pos: Number(pos), at: Number(at), debits, credits }))
  }

  close(): void {
    this.#db.close()
  }

  /** After a restored backup the journal may be another one of the same length: the last row must be the same. */
  #fits(source: LedgerSource): Soon<boolean> {
    const place = this.#sql.place.get() as { pos: bigint; tx_id: string } | undefined
    if (!place) return true
    const pos = Number(place.pos)
    return after(source.rowsAt([pos]), ([row]) => row?.pos === pos && row.txId === place.tx_id)
  }
}

function sumIn(sums: Map<string, Sums>, account: string): Sums {
  const sum = sums.get(account) ?? { debits: 0n, credits: 0n }
  sums.set(account, sum)
  return sum
}

function openFile(file: string): Database.Database {
  const db = openDerived(file, { ddl, version })
  db.defaultSafeIntegers(true)
  return db
}

function prepare(db: Database.Database) {
  const q = (text: string) => db.prepare(text)
  return {
    place: q('SELECT pos, tx_id FROM place'),
    putPlace: q(
      'INSERT INTO place (id, pos, tx_id) VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET pos = excluded.pos, tx_id = excluded.tx_id',
    ),
    addSums: q(
      `INSERT INTO accounts (account, debits, credits) VALUES (?, ?, ?)
       ON CONFLICT (account) DO UPDATE SET debits = debits + excluded.debits, credits = credits + excluded.credits`,
    ),
    addEntry: q('INSERT INTO entries (account, pos, at, debits, credits) VALUES (?, ?, ?, ?, ?)'),
    addMark: q('INSERT INTO marks (pos, mark) VALUES (?, ?)'),
    marks: q('SELECT pos, mark FROM marks WHERE pos > ? ORDER BY pos LIMIT ?'),
    sums: q('SELECT debits, credits FROM accounts WHERE account = ?'),
    names: q('SELECT account FROM accounts WHERE account > ? ORDER BY account LIMIT ?'),
    namesUpTo: q('SELECT account FROM accounts WHERE account > ? AND account <= ? ORDER BY account LIMIT ?'),
    opening: q('SELECT sum(debits) AS debits, sum(credits) AS credits FROM entries WHERE account = ? AND at < ? AND pos <= ?'),
    entries: q(
      'SELECT pos, at, debits, credits FROM entries WHERE account = ? AND pos > ? AND pos <= ? AND at >= ? AND at < ? ORDER BY pos LIMIT ?',
    ),
  }
}
