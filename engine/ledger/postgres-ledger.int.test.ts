/** The ledger on a real Postgres: the same tests as on SQLite, and what only a server can do: two writers, rows changed behind its back. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Audit, type Broken } from './audit.ts'
import { Book } from './book.ts'
import { fuzzLedger } from './fixtures/ledger-fuzz.ts'
import { ledgerSuite } from './fixtures/ledger-suite.ts'
import { AsyncLedger } from './ledger.ts'
import type { Charge, LedgerOp } from './ops.ts'
import { PostgresLedger } from './postgres-ledger.ts'
import { PostgresReader } from './postgres-reader.ts'
import { type PostgresServer, startPostgres } from './postgres-server.ts'
import { SqliteLedger } from './sqlite-ledger.ts'

let server: PostgresServer
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())

/** As somebody with another program would. */
async function sqlOn(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, options: '-c search_path=livehouse_ledger' })
  await client.connect()
  try {
    const found = await client.query(text)
    return (Array.isArray(found) ? found.at(-1) : found).rows
  } finally {
    await client.end()
  }
}
async function openStorage(url: string) {
  const storage = await PostgresLedger.open({ url })
  const source = new PostgresReader({ url })
  const ledger = async () => new AsyncLedger(storage, await storage.lastPos())
  const close = async () => {
    source.close()
    await storage.close()
  }
  return { url, storage, source, ledger, close, change: (text: string) => sqlOn(url, text) }
}

let n = 0
const paid = 'user.ann.coin.paid'
const entry = () => ({
  txId: `t${++n}`,
  at: 1_000 + n,
  action: 'test',
  origin: { actor: 'ann', command: 'c', ik: `k${n}`, bodyHash: 'h' },
})
const give = (amount: bigint, over: { txId?: string } = {}): LedgerOp => ({
  op: 'post',
  ...entry(),
  transfers: [{ dr: 'coin.issued', cr: paid, amount }],
  ...over,
})
const gift = (value: bigint): Charge => ({
  op: 'charge',
  ...entry(),
  liveId: 'l1',
  value,
  payFrom: [paid],
  sink: 'coin.spent.gift',
  terms: { streamerBps: 5_000, guildBps: 2_000, paidBps: 10_000, bonusBps: 0 },
  streamer: 'streamer.mia.bean.pending',
  guild: 'guild.red.bean.pending',
  contractVersion: 'c1',
  catalogVersion: 'g1',
})
const hold = (amount: bigint): LedgerOp => ({
  op: 'hold',
  ...entry(),
  transfers: [{ dr: paid, cr: 'user.ann.coin.hold', amount }],
  expiresAt: 9_000,
})

describe('on Postgres', () => {
  ledgerSuite(async () => openStorage(await server.createDatabase()))
})

test('whatever is asked, the ledger on Postgres does as the plain model does', { timeout: 300_000 }, async () => {
  await fuzzLedger(async () => {
    const url = await server.createDatabase()
    const source = new PostgresReader({ url })
    let storage = await PostgresLedger.open({ url })
    return {
      ledger: async (disk) => {
        const inner = storage
        const write: PostgresLedger['write'] = async (decided) => {
          await inner.write(disk.changed(decided))
          disk.written()
        }
        return new AsyncLedger({ read: (wanted) => inner.read(wanted), write }, await inner.lastPos())
      },
      reopen: async () => {
        await storage.close()
        storage = await PostgresLedger.open({ url })
      },
      source,
      close: async () => {
        source.close()
        await storage.close()
      },
    }
  }, 12)
})

// ------------------------------------------------------------------ one writer

test('a second writer is refused while the first one lives, and takes over after it', async () => {
  const { url, storage, ledger, close } = await openStorage(await server.createDatabase())
  await (await ledger()).batch([give(5n)])
  await expect(PostgresLedger.open({ url })).rejects.toThrow('another process holds the ledger')
  await close()
  const next = await PostgresLedger.open({ url })
  expect(await next.lastPos()).toBe(1)
  await next.close()
  await expect(storage.lastPos()).rejects.toThrow('it was closed')
})

test('a writer whose session was ended writes nothing any more, and its successor begins where it stood', async () => {
  const { url, ledger, close, change } = await openStorage(await server.createDatabase())
  const old = await ledger()
  await old.batch([give(5n)])
  await change(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'livehouse ledger writer'
    AND datname = current_database()`)
  const next = await PostgresLedger.open({ url })
  const successor = new AsyncLedger(next, await next.lastPos())
  expect(await successor.batch([give(7n)])).toMatchObject([{ ok: true, pos: 2 }])
  await expect(old.batch([give(1n)])).rejects.toThrow(/terminat|ended/)
  expect((await successor.balanceOf(paid)).credits).toBe(12n)
  await next.close()
  await close()
})

test.each<[string, string, string]>([
  ['another epoch', 'UPDATE writer SET epoch = epoch + 1', 'another writer has taken this ledger over'],
  [
    'a row where the next one belongs',
    `INSERT INTO journal SELECT 2, 'other', at, action, actor, command, NULL, NULL, NULL, NULL, '[]', '{}', NULL, '{}' FROM journal`,
    'another writer has written into this ledger',
  ],
])('%s: the batch of the old writer fails whole', async (_, sql, message) => {
  const { ledger, source, close, change } = await openStorage(await server.createDatabase())
  const old = await ledger()
  await old.batch([give(10n)])
  await change(sql)
  await expect(old.batch([gift(3n)])).rejects.toThrow(message)
  expect(await source.balances([paid])).toMatchObject([{ credits: 10n, debits: 0n }])
  await close()
})

test('an expiry, which has no row of its own, is written under the epoch as well', async () => {
  const { ledger, source, close, change } = await openStorage(await server.createDatabase())
  const old = await ledger()
  await old.batch([give(10n), hold(4n)])
  await change('UPDATE writer SET epoch = epoch + 1')
  await expect(old.batch([{ op: 'expire', at: 10_000, limit: 5 }])).rejects.toThrow('another writer has taken this ledger over')
  expect(await source.balances([paid])).toMatchObject([{ pendingDebits: 4n }])
  await close()
})

test('what a server must be like', async () => {
  const latin = await server.createDatabase()
  const url = latin.replace(/[^/]+$/, 'latin')
  await sqlOn(latin, `CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0`)
  await expect(PostgresLedger.open({ url })).rejects.toThrow('needs UTF8')
  const wrong = latin.replace(/:[^:@]+@/, ':not-the-password@')
  const error = await PostgresLedger.open({ url: wrong }).catch((refusal) => refusal)
  expect(String(error)).toContain('password authentication failed')
  expect(JSON.stringify([error.message, error.stack, error])).not.toContain('not-the-password')
  await expect(PostgresLedger.open({ url: 'postgres://u:secret-word@127.0.0.1:1/x' })).rejects.toThrow(/^connect ECONNREFUSED/)
  const newer = await openStorage(latin)
  await newer.change('UPDATE writer SET schema_version = 99')
  await newer.close()
  await expect(PostgresLedger.open({ url: latin })).rejects.toThrow('newer engine')
})

test('a role that may not change what was written is enough once the tables are there', async () => {
  const first = await openStorage(await server.createDatabase())
  await first.change(`CREATE ROLE clerk LOGIN PASSWORD 'clerk'; GRANT USAGE ON SCHEMA livehouse_ledger TO clerk;
    GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA livehouse_ledger TO clerk;
    GRANT UPDATE ON balances_, holds, payers, writer, write_check TO clerk; GRANT DELETE ON write_check TO clerk`)
  await first.close()
  const clerk = await openStorage(first.url.replace(/\/\/[^@]+@/, '//clerk:clerk@'))
  expect(await (await clerk.ledger()).batch([give(3n), gift(1n)])).toMatchObject([{ ok: true }, { ok: true }])
  await clerk.storage.checkWrite()
  await expect(clerk.change('DELETE FROM journal')).rejects.toThrow('permission denied')
  await clerk.close()
})

// ------------------------------------------------------------------ the same for an auditor

test('tables and views have the columns that those of SQLite have', async () => {
  const { close, change } = await openStorage(await server.createDatabase())
  const folder = mkdtempSync(join(tmpdir(), 'ledger-columns-'))
  const small = new SqliteLedger({ file: join(folder, 'ledger.db') })
  const db = new Database(join(folder, 'ledger.db'), { readonly: true })
  const named = `SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'`
  const tables = db.prepare(named).pluck().all() as string[]
  expect(tables).toEqual(expect.arrayContaining(['journal', 'balances_', 'holds', 'transfers', 'balances']))
  const columns =
    await change(`SELECT table_name, column_name AS name, is_nullable = 'NO' AS required FROM information_schema.columns
    WHERE table_schema = 'livehouse_ledger' ORDER BY table_name, ordinal_position`)
  // The row number of a balance is how SQLite finds it again, and means nothing else; likewise of a payer.
  const onlySqlite = ['balances_ id', 'payers id']
  for (const table of tables) {
    const isView = table === 'transfers' || table === 'balances'
    const own = (db.pragma(`table_info(${table})`) as { name: string; notnull: number }[])
      .filter(({ name }) => !onlySqlite.includes(`${table} ${name}`))
      .map(({ name, notnull }) => (isView ? name : `${name} ${notnull === 1}`))
    const theirs = columns.filter((one) => one['table_name'] === table)
    expect(
      theirs.map(({ name, required }) => (isView ? name : `${name} ${required}`)),
      table,
    ).toEqual(own)
  }
  expect([...new Set(columns.map((one) => one['table_name']))].sort()).toEqual([...tables, 'writer'].sort())
  db.close()
  small.close()
  rmSync(folder, { recursive: true })
  await close()
})

test('the questions of an auditor that the README has', async () => {
  const page = readFileSync(new URL('README.md', import.meta.url), 'utf8')
  const all = [...page.matchAll(/```sql\n-- (?<title>.+)\n(?<sql>[^`]+)```/g)].map(({ groups }) => groups?.['sql'] ?? '')
  const queries = all.filter((one) => !one.includes('json_extract')) // SQLite's own
  expect(queries).toHaveLength(8)
  const { ledger, close, change } = await openStorage(await server.createDatabase())
  await (await ledger()).batch([give(2_000n), gift(999n), hold(1n)])
  const answers = []
  for (const query of queries) answers.push(await change(query))
  expect(answers.filter((rows) => rows.length === 0)).toHaveLength(5)
  expect(answers.find((rows) => rows[0]?.['place'])).toHaveLength(3)
  expect(answers.find((rows) => rows[0]?.['live_id'])).toEqual([{ live_id: 'l1', coins: '999' }])
  await change(
    `ALTER TABLE journal DISABLE TRIGGER USER; UPDATE journal SET facts = replace(facts::text, '"streamer":"499"', '"streamer":"500"')::json`,
  )
  const [split] = queries.filter((one) => one.includes("'platform'"))
  expect(await change(split ?? '')).toHaveLength(1)
  await close()
})

async function audited(source: PostgresReader): Promise<Broken[]> {
  const book = await Book.open(':memory:', source)
  const audit = new Audit(source, book)
  const broken: Broken[] = []
  for (let rounds = 0; rounds === 0; ) {
    const step = await audit.step()
    broken.push(...step.broken)
    rounds = step.rounds
  }
  book.close()
  return broken
}

test.each<[string, string, string[]]>([
  ['nothing', 'SELECT 1', []],
  ['a balance', `UPDATE balances_ SET credits = credits + 1 WHERE account = '${paid}'`, [`balance ${paid}`, 'sums COIN']],
  ['a balance that is gone', `DELETE FROM balances_ WHERE account = '${paid}'`, [`balance ${paid}`, 'sums COIN']],
  ['a hold', `UPDATE holds SET state = 'voided'`, ['balance user.ann.coin.hold', `balance ${paid}`]],
  [
    'an account below zero',
    `UPDATE balances_ SET credits = 3 WHERE account = '${paid}'`,
    [`balance ${paid}`, `negative ${paid}`, 'sums COIN'],
  ],
  ['a row that is gone', 'DELETE FROM journal WHERE pos = 1', ['balance coin.issued', `balance ${paid}`, 'row']],
  [
    'a share',
    `UPDATE journal SET facts = replace(facts::text, '"streamer":"49"', '"streamer":"50"')::json WHERE pos = 2`,
    ['split'],
  ],
  ['a key that stands twice', `DROP INDEX journal_key; UPDATE journal SET ik = 'k' WHERE pos < 3`, ['once', 'once']],
])('%s that was changed is found', async (_, sql, expected) => {
  const { ledger, source, close, change } = await openStorage(await server.createDatabase())
  await (await ledger()).batch([give(100n), gift(99n), give(50n), hold(20n)])
  await change(`ALTER TABLE journal DISABLE TRIGGER USER; ${sql}`)
  const found = [...new Set((await audited(source)).map(({ invariant, at }) => `${invariant} ${at}`))].sort()
  expect(found.map((one) => one.replace(/ t\d+$/, ''))).toEqual(expected)
  await close()
})

test('a reader can change nothing, and the question after a lost connection is answered on a new one', async () => {
  const { ledger, source, close, change } = await openStorage(await server.createDatabase())
  await (await ledger()).batch([give(5n)])
  expect(await source.lastPos()).toBe(1)
  const readers = `FROM pg_stat_activity WHERE application_name = 'livehouse ledger reader' AND datname = current_database()`
  expect(await change(`SELECT pg_terminate_backend(pid, 5000) AS ended ${readers}`)).toEqual([{ ended: true }])
  // Whether it has heard of it by now or hears of it by asking.
  expect(await source.lastPos().catch(() => source.lastPos())).toBe(1)
  await close()
})
