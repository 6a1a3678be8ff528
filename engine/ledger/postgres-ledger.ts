/**
 * The ledger's database in Postgres: one batch is one statement, so one transaction and one round trip, on disk when it is answered.
 *
 * One writer: its session holds an advisory lock for as long as it lives, and each new writer takes the next `epoch`. A batch writes only
 * under the epoch that its writer took, and holds that row until it is committed. So a writer that was taken for dead writes nothing any
 * more, and the next one begins after whatever the last one still had under way. Beside that no two rows can have the same position.
 *
 *     const storage = await PostgresLedger.open({ url })
 *     const ledger = new AsyncLedger(storage, await storage.lastPos())
 */
import type { AsyncLedgerStorage } from './ledger.ts'
import type { Balance, HoldRow, JournalRow } from './ops.ts'
import type { Payer } from './payers.ts'
import { batchValues, lines, linesOf, writeBatch } from './postgres-batch.ts'
import { connectPostgres, type PostgresConnection, type PostgresOptions, sqlStateOf, statement } from './postgres-connection.ts'
import { postgresMigrations, postgresSchema } from './postgres-schema.ts'
import {
  type BalanceColumns,
  type HoldColumns,
  type JournalColumns,
  type PayerColumns,
  toBalance,
  toHold,
  toPayer,
  toRow,
} from './rows.ts'
import type { Decided, Found, Wanted } from './rules.ts'

/** Any two numbers, the same for ever: one ledger a database. */
const lockKey = '1819698277, 1919249524'
/** The server frees the lock of a killed writer when it notices, some ms later. */
const lockWaitMs = 2_000
const [lockTimeout, duplicate] = ['55P03', '23505']
const checkBytes = 65_536

export class PostgresLedger implements AsyncLedgerStorage {
  readonly #connection: PostgresConnection
  readonly #epoch: bigint
  /** Ids that grow are new when they are beyond this one: looking for them would cost each gift a search in vain. */
  #lastTxId: string

  private constructor(connection: PostgresConnection, { epoch, lastTxId }: { epoch: bigint; lastTxId: string }) {
    this.#connection = connection
    this.#epoch = epoch
    this.#lastTxId = lastTxId
  }

  /** Takes the ledger over. Rejects when another writer holds it, and on a server that would lose what it has answered. */
  static async open(options: PostgresOptions): Promise<PostgresLedger> {
    const connection = await connectPostgres({ ...options, name: 'livehouse ledger writer' })
    try {
      await checkServer(connection)
      await takeLock(connection)
      await migrate(connection)
      const [taken] = await connection.query<{ epoch: bigint }>(sql.take)
      const [last] = await connection.query<{ tx_id: string | null }>(sql.lastTxId)
      if (!taken) throw new Error('the row of the writer is gone')
      return new PostgresLedger(connection, { epoch: taken.epoch, lastTxId: last?.tx_id ?? '' })
    } catch (error) {
      await connection.close()
      throw error
    }
  }

  /** Why nothing can be read or written here any more. */
  get lost(): string | undefined {
    return this.#connection.lost
  }

  async read({ accounts, txIds, keys, holds, payers, due }: Wanted): Promise<Found> {
    const old = txIds.filter((txId) => txId <= this.#lastTxId)
    // Sent at once, answered in order: one way there and back.
    const [rows, balances, paying, held, over] = await Promise.all([
      this.#rows(old, keys),
      this.#balances(accounts),
      this.#payers(payers),
      this.#holds(holds),
      this.#due(due),
    ])
    const found = [...held, ...over]
    const named = new Set(found.flatMap(({ transfers }) => transfers.flatMap(({ dr, cr }) => [dr, cr])))
    const more = await this.#balances([...named].filter((account) => !balances.has(account)))
    return { balances: new Map([...balances, ...more]), rows, holds: found, payers: paying }
  }

  async #rows(txIds: readonly string[], keys: Wanted['keys']): Promise<JournalRow[]> {
    if (txIds.length === 0 && keys.length === 0) return []
    const by = (name: 'actor' | 'command' | 'ik') => lines(keys.map((key) => key[name]))
    const asked = [lines(txIds), by('actor'), by('command'), by('ik')]
    const found = await this.#connection.query<JournalColumns>(sql.rows, asked)
    return [...new Map(found.map((columns) => [columns.tx_id, columns])).values()].map(toRow)
  }

  async #payers(payers: readonly string[]): Promise<Payer[]> {
    return payers.length === 0 ? [] : (await this.#connection.query<PayerColumns>(sql.payers, [lines(payers)])).map(toPayer)
  }

  async #holds(ids: readonly string[]): Promise<HoldRow[]> {
    return ids.length === 0 ? [] : (await this.#connection.query<HoldColumns>(sql.holds, [lines(ids)])).map(toHold)
  }

  async #due(due: Wanted['due']): Promise<HoldRow[]> {
    return due === undefined ? [] : (await this.#connection.query<HoldColumns>(sql.due, [due.at, due.limit])).map(toHold)
  }

  async #balances(accounts: readonly string[]): Promise<Map<string, Balance>> {
    if (accounts.length === 0) return new Map()
    const found = await this.#connection.query<BalanceColumns>(sql.balances, [lines(accounts)])
    return new Map(found.map((columns) => [columns.account, toBalance(columns)]))
  }

  async write(decided: Decided): Promise<void> {
    let answer: { writers: bigint } | undefined
    try {
      answer = (await this.#connection.query<{ writers: bigint }>(writeBatch, batchValues(this.#epoch, decided)))[0]
    } catch (error) {
      const isTaken = sqlStateOf(error) === duplicate && (error as { constraint?: string }).constraint === 'journal_pkey'
      throw isTaken ? new Error('another writer has written into this ledger') : error
    }
    if (answer?.writers !== 1n) throw new Error('another writer has taken this ledger over')
    for (const { txId } of decided.rows) if (txId > this.#lastTxId) this.#lastTxId = txId
  }

  async lastPos(): Promise<number> {
    return Number((await this.#connection.query<{ pos: bigint }>(sql.lastPos))[0]?.pos)
  }

  /** Writes something and takes it away again, each on disk: rejects while the disk takes nothing. */
  async checkWrite(): Promise<void> {
    await this.#connection.query(sql.putCheck, [checkBytes])
    await this.#connection.query(sql.dropCheck)
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  /** Without a goodbye: after a failure nobody knows whether the server still listens. */
  abandon(): void {
    this.#connection.abandon()
  }
}

/** Whether a ledger could be held there, in words; takes nothing over and makes nothing. Rejects with what is in the way. */
export async function lookAtPostgres(options: PostgresOptions): Promise<string> {
  const connection = await connectPostgres({ ...options, name: 'livehouse doctor' })
  try {
    await checkServer(connection)
    const [place] = await connection.query<{ writer: string | null; version: string }>(sql.exists)
    if (place?.writer == null) return `PostgreSQL ${place?.version}, no ledger yet`
    const [last] = await connection.query<{ pos: bigint }>(sql.lastPos)
    return `PostgreSQL ${place.version}, a ledger with ${last?.pos} rows`
  } finally {
    await connection.close()
  }
}

// ------------------------------------------------------------------ taking it over

async function checkServer(connection: PostgresConnection): Promise<void> {
  const [server] = await connection.query<Record<'fsync' | 'encoding' | 'standby' | 'commit', string>>(sql.server)
  if (server?.fsync !== 'on') throw new Error('this Postgres runs with fsync = off: it would lose gifts that were answered')
  if (server.encoding !== 'UTF8') throw new Error(`this database is ${server.encoding}, and the ledger needs UTF8`)
  if (server.standby === 't') throw new Error('this Postgres is a standby, which cannot be written to')
  // Stronger than `on` is left as it is.
  if (server.commit !== 'remote_apply') await connection.run('SET synchronous_commit = on')
}

async function takeLock(connection: PostgresConnection): Promise<void> {
  await connection.run(`SET lock_timeout = ${lockWaitMs}`)
  try {
    await connection.run(`SELECT pg_advisory_lock(${lockKey})`)
  } catch (error) {
    throw sqlStateOf(error) === lockTimeout ? new Error('another process holds the ledger') : error
  }
  await connection.run('SET lock_timeout = 0')
}

/** Asks for no right to make anything when everything is there. */
async function migrate(connection: PostgresConnection): Promise<void> {
  const [place] = await connection.query<{ writer: string | null }>(sql.exists)
  let version = 0
  if (place?.writer == null) await connection.run(`CREATE SCHEMA IF NOT EXISTS ${postgresSchema}`)
  else version = (await connection.query<{ version: number }>(sql.version))[0]?.version ?? 0
  if (version > postgresMigrations.length) throw new Error(`schema version ${version} is of a newer engine`)
  for (const ddl of postgresMigrations.slice(version))
    await connection.run(`BEGIN; ${ddl} UPDATE writer SET schema_version = ${++version}; COMMIT`)
}

// ------------------------------------------------------------------ statements

const balanceColumns = 'account, debits, credits, pending_debits, pending_credits'
const sql = {
  server: statement(
    'server',
    `SELECT current_setting('fsync') AS fsync, current_setting('server_encoding') AS encoding, pg_is_in_recovery() AS standby,
       current_setting('synchronous_commit') AS commit`,
  ),
  exists: statement(
    'exists',
    `SELECT to_regclass('${postgresSchema}.writer')::text AS writer, split_part(current_setting('server_version'), ' ', 1) AS version`,
  ),
  version: statement('version', 'SELECT schema_version AS version FROM writer WHERE id = 1'),
  take: statement('take', 'UPDATE writer SET epoch = epoch + 1 WHERE id = 1 RETURNING epoch'),
  lastTxId: statement('last-tx-id', 'SELECT max(tx_id) AS tx_id FROM journal'),
  lastPos: statement('last-pos', 'SELECT coalesce(max(pos), 0) AS pos FROM journal'),
  rows: statement(
    'rows',
    `SELECT * FROM journal WHERE tx_id = ANY(${linesOf(1)})
     UNION ALL
     SELECT journal.* FROM unnest(${linesOf(2)}, ${linesOf(3)}, ${linesOf(4)}) AS asked(actor, command, ik)
     JOIN journal ON journal.ik = asked.ik AND journal.actor = asked.actor AND journal.command = asked.command
     WHERE journal.ik IS NOT NULL`,
  ),
  balances: statement('balances', `SELECT ${balanceColumns} FROM balances_ WHERE account = ANY(${linesOf(1)})`),
  payers: statement('payers', `SELECT * FROM payers WHERE payer = ANY(${linesOf(1)})`),
  holds: statement('holds', `SELECT * FROM holds WHERE hold_id = ANY(${linesOf(1)})`),
  due: statement(
    'due',
    `SELECT * FROM holds WHERE state = 'pending' AND expires_at <= $1::bigint ORDER BY expires_at, hold_id LIMIT $2::bigint`,
  ),
  putCheck: statement(
    'put-check',
    `INSERT INTO write_check VALUES (1, decode(repeat('a5', $1::integer), 'hex')) ON CONFLICT (id) DO UPDATE SET bytes = excluded.bytes`,
  ),
  dropCheck: statement('drop-check', 'DELETE FROM write_check'),
} as const
