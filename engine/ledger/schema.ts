/**
 * The shape of ledger.db. It is documented and stable: auditors read it with SQL of their own.
 *
 *     journal     one row a linked set, in the order of commit; `legs` is JSON [[ledger, debited, credited, amount], ...] with amounts as
 *                 integers up to 2^63 - 1 (SQLite reads them whole; JavaScript's JSON.parse would not). The journal is the outbox too.
 *     balances_   one row an account, written with the journal: what its legs add up to, and what holds have set aside. `id` is how the
 *                 writer finds it again (finding it by name costs twice as much) and means nothing else
 *     holds       amounts set aside, and what became of them
 *     payers      one row a payer: whether their wallet is frozen, and what they spent in the last minute and day that were counted
 *     write_check empty; a bad disk is tried with it
 *     transfers   view: one row a leg (tx_id, n, ledger, dr, cr, amount, live_id)
 *     balances    view: one row an account (account, ledger, debits, credits, pending_debits, pending_credits, balance)
 *
 * Rows of the journal are never changed or deleted: triggers refuse it. It has the two indexes that the rules need and no other, each
 * costs every gift 2 to 4 us: what only readers ask for, rows by account and by room, is derived beside it (`book.ts`, `rooms.ts`).
 */
export const migrations: readonly string[] = [
  `CREATE TABLE journal (
    pos INTEGER PRIMARY KEY NOT NULL, tx_id TEXT NOT NULL UNIQUE, at INTEGER NOT NULL, action TEXT NOT NULL,
    actor TEXT NOT NULL, command TEXT NOT NULL, ik TEXT, body_hash TEXT, room_id TEXT, live_id TEXT,
    legs TEXT NOT NULL, facts TEXT NOT NULL, event TEXT, reply TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX journal_key ON journal (ik, actor, command) WHERE ik IS NOT NULL;
  CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END;
  CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END;
  CREATE TABLE balances_ (
    id INTEGER PRIMARY KEY NOT NULL, account TEXT NOT NULL UNIQUE, ledger TEXT NOT NULL, normal TEXT NOT NULL,
    debits INTEGER NOT NULL, credits INTEGER NOT NULL, pending_debits INTEGER NOT NULL, pending_credits INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE holds (
    hold_id TEXT PRIMARY KEY NOT NULL, legs TEXT NOT NULL, expires_at INTEGER NOT NULL, state TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX holds_due ON holds (expires_at) WHERE state = 'pending';
  CREATE TABLE write_check (id INTEGER PRIMARY KEY NOT NULL, bytes BLOB NOT NULL) STRICT;
  CREATE VIEW transfers AS
    SELECT journal.tx_id AS tx_id, leg.key AS n, json_extract(leg.value, '$[0]') AS ledger, json_extract(leg.value, '$[1]') AS dr,
      json_extract(leg.value, '$[2]') AS cr, json_extract(leg.value, '$[3]') AS amount, journal.live_id AS live_id
    FROM journal, json_each(journal.legs) AS leg;
  CREATE VIEW balances AS
    SELECT account, ledger, debits, credits, pending_debits, pending_credits,
      CASE normal WHEN 'debit' THEN debits - credits ELSE credits - debits END AS balance
    FROM balances_;`,
  // Of the rows that no room applies, some of a thousand: costs a gift nothing.
  `CREATE TABLE payers (
    id INTEGER PRIMARY KEY NOT NULL, payer TEXT NOT NULL UNIQUE, is_frozen INTEGER NOT NULL, minute_at INTEGER NOT NULL,
    minute_coins INTEGER NOT NULL, day_at INTEGER NOT NULL, day_coins INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX journal_facts ON journal (pos) WHERE room_id IS NULL AND event IS NOT NULL;`,
]
