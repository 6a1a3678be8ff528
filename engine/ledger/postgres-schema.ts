/**
 * The shape of the ledger in Postgres, in a schema of its own. Tables and columns are those of `schema.ts`, which says what they mean; a
 * test compares them. Only here:
 *
 *     writer      one row: who may write (`epoch`, one more with each writer) and the version of the schema
 *
 * JSON is of type `json`, which keeps the text as it was written: asked again, an op is compared with it. Names are ordered by their bytes
 * (COLLATE "C"), as everywhere else in the ledger. Rows of the journal are never changed or deleted: triggers refuse it.
 */
export const postgresSchema = 'livehouse_ledger'

export const postgresMigrations: readonly string[] = [
  `CREATE TABLE writer (
    id integer PRIMARY KEY CHECK (id = 1), epoch bigint NOT NULL, schema_version integer NOT NULL
  ) WITH (fillfactor = 10);
  INSERT INTO writer VALUES (1, 0, 0);
  CREATE TABLE journal (
    pos bigint PRIMARY KEY, tx_id text COLLATE "C" NOT NULL UNIQUE, at bigint NOT NULL, action text NOT NULL,
    actor text COLLATE "C" NOT NULL, command text COLLATE "C" NOT NULL, ik text COLLATE "C", body_hash text,
    room_id text COLLATE "C", live_id text COLLATE "C",
    legs json NOT NULL, facts json NOT NULL, event json, reply json NOT NULL
  );
  CREATE UNIQUE INDEX journal_key ON journal (ik, actor, command) WHERE ik IS NOT NULL;
  CREATE INDEX journal_room ON journal (room_id, pos) WHERE room_id IS NOT NULL;
  CREATE FUNCTION journal_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'the journal is never changed'; END $$;
  CREATE TRIGGER journal_no_change BEFORE UPDATE OR DELETE ON journal FOR EACH ROW EXECUTE FUNCTION journal_refuse_change();
  CREATE TRIGGER journal_no_truncate BEFORE TRUNCATE ON journal FOR EACH STATEMENT EXECUTE FUNCTION journal_refuse_change();
  CREATE TABLE balances_ (
    account text COLLATE "C" PRIMARY KEY, ledger text NOT NULL, normal text NOT NULL,
    debits bigint NOT NULL, credits bigint NOT NULL, pending_debits bigint NOT NULL, pending_credits bigint NOT NULL
  ) WITH (fillfactor = 50);
  CREATE TABLE holds (
    hold_id text COLLATE "C" PRIMARY KEY, legs json NOT NULL, expires_at bigint NOT NULL, state text NOT NULL
  );
  CREATE INDEX holds_due ON holds (expires_at, hold_id) WHERE state = 'pending';
  CREATE TABLE write_check (id bigint PRIMARY KEY, bytes bytea NOT NULL);
  ALTER TABLE write_check ALTER COLUMN bytes SET STORAGE EXTERNAL;
  CREATE VIEW transfers AS
    SELECT journal.tx_id, leg.n - 1 AS n, leg.value ->> 0 AS ledger, leg.value ->> 1 AS dr, leg.value ->> 2 AS cr,
      (leg.value ->> 3)::bigint AS amount, journal.live_id
    FROM journal, json_array_elements(journal.legs) WITH ORDINALITY AS leg(value, n);
  CREATE VIEW balances AS
    SELECT account, ledger, debits, credits, pending_debits, pending_credits,
      CASE normal WHEN 'debit' THEN debits - credits ELSE credits - debits END AS balance
    FROM balances_;`,
  `CREATE TABLE payers (
    payer text COLLATE "C" PRIMARY KEY, is_frozen bigint NOT NULL, minute_at bigint NOT NULL, minute_coins bigint NOT NULL,
    day_at bigint NOT NULL, day_coins bigint NOT NULL
  ) WITH (fillfactor = 50);
  CREATE INDEX journal_facts ON journal (pos) WHERE room_id IS NULL AND event IS NOT NULL;`,
]
