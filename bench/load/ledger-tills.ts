/**
 * Ways of paying for gifts that the bench of the ledger compares.
 *
 *     ledger     the engine's ledger on SQLite, behind its queue and its thread
 *     null       the same queue, the same way to a thread and back, and nothing there: what is not the ledger in a gift
 *     none       answered at once: what the generator costs
 *     raw        better-sqlite3 on this thread, one transaction a gift, synchronous=FULL, the same journal row, the same balances
 *     postgres   the engine's ledger on Postgres
 *     pg-raw     `pg`, one transaction a gift on each of 16 connections, the same row and the same balances
 */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import pg from 'pg'
import { SystemClock } from '../../engine/base/clock.ts'
import { openLedger } from '../../engine/ledger/open.ts'
import type { Charge, LedgerOp, Post, Transfer } from '../../engine/ledger/ops.ts'
import { LedgerQueue, type Writer } from '../../engine/ledger/queue.ts'
import { legsText } from '../../engine/ledger/rows.ts'
import { migrations } from '../../engine/ledger/schema.ts'
import { type PackedAnswer, type PackedAsk, packOps, unpackResults } from '../../engine/ledger/sent.ts'
import { splitIncome } from '../../engine/ledger/split.ts'
import { Thread } from '../../engine/ledger/thread.ts'

export type Way = 'none' | 'null' | 'raw' | 'ledger' | 'pg-raw' | 'postgres'
export interface Till {
  pay(gift: Charge): Promise<{ ok: boolean }>
  commits(): number
  close(): Promise<void>
}
export interface Place {
  dir: string
  /** Of an empty database, for the ways that need one. */
  databaseUrl: string | undefined
  /** Ops that give users their coins. */
  wallets: readonly Post[]
}

const clock = new SystemClock()
const queueMax = 1_000_000

export async function tillOf(way: Way, place: Place): Promise<Till> {
  if (way === 'none') return { pay: async () => ({ ok: true }), commits: () => 0, close: async () => {} }
  if (way === 'raw') return rawTill(join(place.dir, 'raw.db'), place.wallets)
  if (way === 'null') return nullTill()
  if (way === 'pg-raw') return pgTill(place)
  return ledgerTill({ ...place, databaseUrl: way === 'postgres' ? place.databaseUrl : undefined })
}

async function ledgerTill({ dir, databaseUrl, wallets }: Place): Promise<Till> {
  const ledger = await openLedger({ dir, databaseUrl, clock, queueMax })
  for (const result of await Promise.all(wallets.map((op) => ledger.submit(op)))) if (!result.ok) throw new Error(result.msg)
  return { pay: (gift) => ledger.submit(gift), commits: () => ledger.stats().commits, close: () => ledger.close() }
}

async function nullTill(): Promise<Till> {
  const thread = new Thread<PackedAsk, PackedAnswer>(new URL('./ledger-null-worker.ts', import.meta.url), {})
  await thread.start()
  const writer: Writer = {
    async run(ops: readonly LedgerOp[]) {
      const { results, pos } = await thread.ask({ packed: packOps(ops) })
      return { results: unpackResults(ops, results), pos }
    },
    reopen: async () => ({ results: [], pos: 0 }),
    close: () => thread.close(),
  }
  const queue = new LedgerQueue(writer, 0, { clock, queueMax })
  return { pay: (gift) => queue.submit(gift), commits: () => queue.stats().commits, close: () => queue.close() }
}

function legsOf({ payFrom, value, sink, streamer, guild = '', terms }: Charge): Transfer[] {
  const shares = splitIncome({ paid: value, bonus: 0n }, terms)
  return [
    { dr: payFrom[1] ?? '', cr: sink, amount: value },
    { dr: 'bean.issued', cr: streamer, amount: shares.streamer },
    { dr: 'bean.issued', cr: guild, amount: shares.guild },
  ]
}

const columnsOf = ({ txId, at, action, origin, roomId, liveId, event, reply }: Charge, legs: readonly Transfer[]): unknown[] => [
  ...[txId, at, action, origin.actor, origin.command, origin.ik, origin.bodyHash, roomId, liveId],
  ...[legsText(legs), '{}', JSON.stringify(event), JSON.stringify(reply)],
]

/** What a careful program does without a thread and without groups. */
function rawTill(file: string, wallets: readonly Post[]): Till {
  const db = new Database(file)
  for (const pragma of ['journal_mode = WAL', 'synchronous = FULL', 'wal_autocheckpoint = 4000']) db.pragma(pragma)
  for (const ddl of migrations) db.exec(ddl)
  const read = db.prepare('SELECT credits - debits FROM balances_ WHERE account = ?').pluck()
  const insert = db.prepare(
    `INSERT INTO journal (tx_id, at, action, actor, command, ik, body_hash, room_id, live_id, legs, facts, event, reply)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const add = db.prepare(
    `INSERT INTO balances_ (account, ledger, normal, debits, credits, pending_debits, pending_credits) VALUES (?, 'COIN', 'credit', ?, ?, 0, 0)
     ON CONFLICT (account) DO UPDATE SET debits = debits + excluded.debits, credits = credits + excluded.credits`,
  )
  const fill = db.transaction((posts: readonly Post[]) => {
    for (const { cr, amount } of posts.flatMap(({ transfers }) => transfers)) add.run(cr, 0n, amount)
  })
  fill(wallets)
  let commits = 0
  const pay = db.transaction((gift: Charge) => {
    const [, payer = ''] = gift.payFrom
    if ((read.get(payer) as number) < Number(gift.value)) return false
    const legs = legsOf(gift)
    insert.run(...columnsOf(gift, legs))
    for (const { dr, cr, amount } of legs) {
      add.run(dr, amount, 0n)
      add.run(cr, 0n, amount)
    }
    return true
  }).immediate
  return {
    async pay(gift) {
      commits++
      return { ok: pay(gift) as boolean }
    },
    commits: () => commits,
    close: async () => void db.close(),
  }
}

const connections = 16

/** What a careful program does with a server: a connection for each gift under way, the money checked in the same transaction. */
async function pgTill({ databaseUrl, wallets }: Place): Promise<Till> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: connections })
  await pool.query(`CREATE TABLE journal (pos bigserial PRIMARY KEY, tx_id text NOT NULL UNIQUE, at bigint, action text, actor text,
      command text, ik text, body_hash text, room_id text, live_id text, legs json, facts json, event json, reply json);
    CREATE UNIQUE INDEX journal_key ON journal (ik, actor, command);
    CREATE TABLE balances (account text PRIMARY KEY, debits bigint NOT NULL, credits bigint NOT NULL)`)
  const filled = wallets.flatMap(({ transfers }) => transfers)
  await pool.query('INSERT INTO balances SELECT account, 0, amount FROM unnest($1::text[], $2::bigint[]) AS t(account, amount)', [
    filled.map(({ cr }) => cr),
    filled.map(({ amount }) => String(amount)),
  ])
  let commits = 0
  return {
    async pay(gift) {
      const legs = legsOf(gift)
      const client = await pool.connect()
      try {
        await client.query('BEGIN')
        const taken = await client.query({ name: 'take', text: pgTake, values: [String(gift.value), gift.payFrom[1]] })
        if (taken.rowCount !== 1) throw new Error('the wallet does not hold enough')
        await client.query({ name: 'row', text: pgRow, values: columnsOf(gift, legs) })
        await client.query({ name: 'add', text: pgAdd, values: pgSums(legs) })
        await client.query('COMMIT')
      } finally {
        client.release()
      }
      commits++
      return { ok: true }
    },
    commits: () => commits,
    close: () => pool.end(),
  }
}

const pgTake = 'UPDATE balances SET debits = debits + $1 WHERE account = $2 AND credits - debits >= $1'
const pgRow = `INSERT INTO journal (tx_id, at, action, actor, command, ik, body_hash, room_id, live_id, legs, facts, event, reply)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`
const pgAdd = `INSERT INTO balances SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[])
  ON CONFLICT (account) DO UPDATE SET debits = balances.debits + excluded.debits, credits = balances.credits + excluded.credits`

/** By account in the order of names: two gifts that wait for each other's accounts would be a deadlock. */
function pgSums(legs: readonly Transfer[]): [string[], string[], string[]] {
  const sums = new Map<string, [debits: bigint, credits: bigint]>()
  const of = (account: string) => sums.get(account) ?? [0n, 0n]
  for (const [at, { dr, cr, amount }] of legs.entries()) {
    if (at > 0) sums.set(dr, [of(dr)[0] + amount, of(dr)[1]])
    sums.set(cr, [of(cr)[0], of(cr)[1] + amount])
  }
  const sorted = [...sums].sort(([a], [b]) => (a < b ? -1 : 1))
  return [sorted.map(([account]) => account), sorted.map(([, [d]]) => String(d)), sorted.map(([, [, c]]) => String(c))]
}
