/** The ledger with its threads on a real Postgres: a server that dies, a wire that is cut, a full disk, a server that is silent. */
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { ManualClock, SystemClock } from '../base/clock.ts'
import { backupLedger } from './backup.ts'
import { type OpenLedger, openLedger, ThreadWriter } from './open.ts'
import type { Charge, Post } from './ops.ts'
import { type PostgresServer, postgresPassword, startPostgres } from './postgres-server.ts'
import { LedgerQueue, type LedgerState } from './queue.ts'

let server: PostgresServer
let dir: string
let opened: { close(): Promise<void> }[]
let n: number
beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.stop())
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ledger-pg-'))
  opened = []
  n = 0
})
afterEach(async () => {
  for (const one of opened) await one.close()
  rmSync(dir, { recursive: true })
})

const paid = 'user.ann.coin.paid'
const give = (amount: bigint, over: Partial<Post> = {}): Post => ({
  op: 'post',
  txId: `t${++n}`,
  at: 1_760_000_000_000 + n,
  action: 'test',
  origin: { actor: 'ann', command: 'test' },
  transfers: [{ dr: 'coin.issued', cr: paid, amount }],
  ...over,
})
const gift = (value: bigint): Charge => ({
  op: 'charge',
  txId: `t${++n}`,
  at: 1_760_000_000_000 + n,
  action: 'gift',
  origin: { actor: 'ann', command: 'gift.send', ik: `k${n}`, bodyHash: 'h' },
  roomId: `r${n % 2}`,
  value,
  payFrom: [paid],
  sink: 'coin.spent.gift',
  terms: { streamerBps: 5_000, guildBps: 0, paidBps: 10_000, bonusBps: 0 },
  streamer: 'streamer.mia.bean.pending',
  contractVersion: 'c1',
  catalogVersion: 'g1',
})
async function open(databaseUrl: string): Promise<OpenLedger> {
  const ledger = await openLedger({ dir, databaseUrl, clock: new SystemClock() })
  opened.push(ledger)
  return ledger
}
/** With a clock of ours, and a bound on silence. */
async function openQueue(url: string, answerMsMax?: number) {
  const clock = new ManualClock()
  const writer = new ThreadWriter({ url, answerMsMax }, (reason) => queue.writerGone(reason))
  const { pos } = await writer.reopen()
  const queue: LedgerQueue = new LedgerQueue(writer, pos, { clock })
  opened.push(queue)
  return { queue, writer, clock }
}
const stateOf = (of: Pick<LedgerQueue, 'state' | 'onState'>, wanted: LedgerState) =>
  new Promise<void>((resolve) => {
    if (of.state === wanted) return resolve()
    const stop = of.onState((state) => {
      if (state !== wanted) return
      stop()
      resolve()
    })
  })
/** Tries each time that the ledger would by itself, until it is open. */
async function opensAgain({ queue, clock }: { queue: LedgerQueue; clock: ManualClock }): Promise<void> {
  const isOpen = stateOf(queue, 'open')
  await clock.advanceAsync(250)
  await isOpen
}
const unavailable = (isUnknown: boolean) => expect.objectContaining({ code: 'billing.unavailable', isUnknown })

async function sqlOn(url: string, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, options: '-c search_path=livehouse_ledger' })
  await client.connect()
  try {
    return (await client.query(text, values)).rows
  } finally {
    await client.end()
  }
}
/** As an auditor would, with SQL alone. */
async function unsound(url: string): Promise<Record<string, unknown>[]> {
  return [
    ...(await sqlOn(url, 'SELECT max(pos), count(*) FROM journal HAVING max(pos) <> count(*)')),
    ...(await sqlOn(url, 'SELECT tx_id FROM journal GROUP BY tx_id HAVING count(*) > 1')),
    ...(await sqlOn(url, 'SELECT ledger FROM balances GROUP BY ledger HAVING sum(debits) <> sum(credits)')),
    ...(await sqlOn(
      url,
      `SELECT account FROM balances
       LEFT JOIN (SELECT dr AS account, sum(amount) AS amount FROM transfers GROUP BY dr) AS d USING (account)
       LEFT JOIN (SELECT cr AS account, sum(amount) AS amount FROM transfers GROUP BY cr) AS c USING (account)
       WHERE debits <> coalesce(d.amount, 0) OR credits <> coalesce(c.amount, 0)`,
    )),
  ]
}

test('many at once share a few commits; readers, rooms, statements and the audit see what was answered; a fresh start goes on', async () => {
  const url = await server.createDatabase()
  const ledger = await open(url)
  await ledger.submit(give(10_000n))
  const results = await Promise.all(Array.from({ length: 2_000 }, () => ledger.submit(gift(3n))))
  expect(results.every(({ ok }) => ok)).toBe(true)
  expect(ledger.stats()).toMatchObject({ answered: 2_001, queued: 0, pos: 2_001, state: 'open' })
  expect(ledger.stats().commits).toBeLessThan(60)
  const { reads } = ledger
  expect(await reads.lastPos()).toBe(2_001)
  expect(await reads.journalAfter(0, 5_000)).toHaveLength(1_000)
  expect((await reads.roomJournalAfter('r1', 1_000, 5_000)).every((row) => row.roomId === 'r1' && row.pos > 1_000)).toBe(true)
  expect(await reads.row('t7')).toMatchObject({ pos: 7, action: 'gift', legs: [{ dr: paid, amount: 3n }, { amount: 1n }] })
  expect(await reads.balances([paid, 'streamer.mia.bean.pending', 'user.nobody.pts'])).toMatchObject([
    { ledger: 'COIN', balance: 4_000n, available: 4_000n },
    { ledger: 'BEAN', balance: 2_000n },
    { ledger: 'PTS', balance: 0n },
  ])
  let statement = ''
  const period = { fromAt: 1_760_000_000_000, toAt: 1_770_000_000_000 }
  for await (const text of reads.statement({ owner: { kind: 'user', id: 'ann' }, ...period, format: 'csv' })) statement += text
  expect(statement.split('\r\n')).toHaveLength(1 + 1 + 2_001 + 1 + 1)
  expect(statement).toContain(`closing,${paid},COIN,1770000000000,,,,,,,,4000\r\n`)
  expect(ledger.audit.state).toMatchObject({ pos: 2_001, rows: 2_001, broken: 0, failures: 0 })
  await ledger.close()

  const next = await open(url)
  expect(await next.submit(gift(4_001n))).toMatchObject({ ok: false, code: 'wallet.insufficient' })
  expect(await next.submit(gift(4_000n))).toMatchObject({ ok: true, pos: 2_002 })
})

test('one writer for a database, wherever its folder is; closing answers what waits and the next one may begin', async () => {
  const url = await server.createDatabase()
  const ledger = await open(url)
  await expect(open(url)).rejects.toThrow('another process holds the ledger')
  const waiting = Array.from({ length: 1_500 }, () => ledger.submit(give(1n)))
  await ledger.close()
  expect((await Promise.all(waiting)).every(({ ok }) => ok)).toBe(true)
  await open(url)
})

test('the server is killed under load, three times: what was answered is there once, and everything adds up', {
  timeout: 180_000,
}, async () => {
  const url = await server.createDatabase()
  const ledger = await open(url)
  ledger.audit.start()
  await ledger.submit(give(1_000_000_000n))
  const answered = new Set<string>()
  const unanswered: Charge[] = []
  let isOver = false
  const lane = async () => {
    while (!isOver) {
      const one = gift(BigInt(1 + (n % 9)))
      try {
        expect(await ledger.submit(one)).toMatchObject({ ok: true, txId: one.txId })
        answered.add(one.txId)
      } catch (error) {
        expect(error).toMatchObject({ code: 'billing.unavailable' })
        unanswered.push(one)
        await stateOf(ledger, 'open')
      }
    }
  }
  const lanes = Array.from({ length: 300 }, lane)
  for (let kills = 0; kills < 3; kills++) {
    const target = ledger.stats().answered + 1_000
    await new Promise<void>((resolve) => {
      const stop = ledger.onCommitted(() => {
        if (ledger.stats().answered < target) return
        stop()
        resolve()
      })
    })
    const isClosed = stateOf(ledger, 'unavailable')
    await server.kill()
    await isClosed
    await server.restart()
    await stateOf(ledger, 'open')
  }
  isOver = true
  await Promise.all(lanes)
  expect(answered.size).toBeGreaterThan(3_000)
  expect(ledger.stats().failures).toBeGreaterThanOrEqual(3)
  // Those that nobody answered are asked again with their keys: once each, whatever became of them.
  for (const result of await Promise.all(unanswered.map((one) => ledger.submit(one)))) expect(result).toMatchObject({ ok: true })
  const rows = new Set((await sqlOn(url, 'SELECT tx_id FROM journal')).map((row) => row['tx_id']))
  expect([...answered].filter((txId) => !rows.has(txId))).toEqual([])
  expect(rows.size).toBe(1 + answered.size + unanswered.length)
  expect(await unsound(url)).toEqual([])
  expect(ledger.audit.state.broken).toBe(0)
})

// ------------------------------------------------------------------ a wire that is cut

type Fault = 'none' | 'request' | 'answer'
/** Between the ledger and the server: loses one batch on its way there, or the answer to it. */
async function wireTo(url: string) {
  const folder = mkdtempSync(join(tmpdir(), 'ledger-wire-'))
  const sockets = new Set<Socket>()
  const wire = { fault: 'none' as Fault, lost: 0 }
  const relay = createServer((client) => {
    const upstream = connect(server.socket)
    let isCut = false
    const cut = () => {
      for (const socket of [client, upstream]) socket.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', cut)
      socket.on('close', cut)
    }
    client.on('data', (bytes) => {
      // The name of the statement, as the batch is bound to it.
      isCut ||= wire.fault !== 'none' && bytes.includes('write\0')
      if (!isCut || wire.fault === 'answer') upstream.write(bytes)
      else {
        wire.lost++
        cut()
      }
    })
    upstream.on('data', (bytes) => {
      if (!isCut) return client.write(bytes)
      wire.lost++
      cut()
    })
  })
  await new Promise<void>((resolve) => relay.listen(join(folder, '.s.PGSQL.5432'), resolve))
  opened.push({
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => relay.close(resolve))
      rmSync(folder, { recursive: true, force: true })
    },
  })
  return { wire, through: url.replace(/@[^/]+/, `@${encodeURIComponent(folder)}`) }
}

test.each<[Fault, boolean, number]>([
  ['request', false, 1],
  ['answer', true, 2],
])(
  'the %s of a batch is lost: nobody is told that it happened, asked again it has happened once',
  async (fault, isThere, pos) => {
    const url = await server.createDatabase()
    const { wire, through } = await wireTo(url)
    const { queue, clock } = await openQueue(through)
    await queue.submit(give(100n))
    const moved: number[] = []
    queue.onCommitted((to) => moved.push(to))
    wire.fault = fault
    const one = gift(7n)
    await expect(queue.submit(one)).rejects.toEqual(unavailable(true))
    expect(wire.lost).toBe(1)
    await expect(queue.submit(give(1n))).rejects.toEqual(unavailable(false))
    wire.fault = 'none'
    await opensAgain({ queue, clock })
    expect(queue.stats()).toMatchObject({ pos, failures: 1 })
    expect(moved).toEqual(isThere ? [2] : [])
    expect(await queue.submit(one)).toMatchObject({ ok: true, pos: 2, replayed: isThere })
    expect(await sqlOn(url, 'SELECT balance FROM balances WHERE account = $1', [paid])).toEqual([{ balance: '93' }])
    expect(await unsound(url)).toEqual([])
  },
)

test('a server that is silent: the batch is not answered, and goes on when the server does', async () => {
  const url = await server.createDatabase()
  const { queue, clock } = await openQueue(url, 400)
  await queue.submit(give(100n))
  const [writer] = await sqlOn(
    url,
    `SELECT pid FROM pg_stat_activity WHERE application_name = 'livehouse ledger writer' AND datname = current_database()`,
  )
  const pid = Number(writer?.['pid'])
  process.kill(pid, 'SIGSTOP')
  const one = gift(7n)
  try {
    await expect(queue.submit(one)).rejects.toEqual(unavailable(true))
    expect(queue.stats().reason).toContain('timeout')
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  await opensAgain({ queue, clock })
  expect(await queue.submit(one)).toMatchObject({ ok: true, pos: 2 })
  expect(await unsound(url)).toEqual([])
})

test('the server was started anew while nothing was paid: the next batch does not notice', async () => {
  const url = await server.createDatabase()
  const { queue } = await openQueue(url)
  await queue.submit(give(100n))
  await server.kill()
  await server.restart()
  expect(await queue.submit(gift(7n)).catch((error) => error)).toMatchObject({ ok: true, pos: 2 })
})

test('the thread of the writer dies: what it had is unknown and may be asked again, a new one goes on', async () => {
  const url = await server.createDatabase()
  const { queue, writer, clock } = await openQueue(url)
  await queue.submit(give(1_000_000n))
  const gifts = Array.from({ length: 1_500 }, () => gift(7n))
  const answers = gifts.map((one) => queue.submit(one).catch((error) => error))
  await writer.kill()
  const first = await Promise.all(answers)
  expect(first.filter((answer) => answer instanceof Error).length).toBeGreaterThan(0)
  await opensAgain({ queue, clock })
  const again = await Promise.all(gifts.map((one) => queue.submit(one)))
  expect(again.every(({ ok }) => ok)).toBe(true)
  for (const [at, answer] of first.entries()) if (answer.ok) expect(again[at]).toMatchObject({ replayed: true })
  expect(await sqlOn(url, 'SELECT debits FROM balances WHERE account = $1', [paid])).toEqual([{ debits: '10500' }])
})

test('a full disk: the batch is refused, the ledger closes, and opens when there is room', async () => {
  const small = await startPostgres({ fileBytesMax: 3 * 2 ** 20 })
  opened.push({ close: () => small.stop() })
  const url = await small.createDatabase()
  const { queue, clock } = await openQueue(url)
  const big = () => give(1n, { reply: { text: Array.from({ length: 1_500 }, (_, at) => (at * n * 7919).toString(36)).join('') } })
  const answered: string[] = []
  const failed: Post[] = []
  while (failed.length === 0) {
    const batch = Array.from({ length: 20 }, big)
    for (const [at, answer] of (await Promise.all(batch.map((op) => queue.submit(op).catch((error) => error)))).entries()) {
      if (answer.ok) answered.push(answer.txId)
      else {
        expect(answer).toEqual(unavailable(true))
        failed.push(batch[at] as Post)
      }
    }
  }
  expect(queue.stats()).toMatchObject({
    state: 'unavailable',
    reason: expect.stringContaining('could not extend file'),
    failures: 1,
  })
  small.unlimit()
  await opensAgain({ queue, clock })
  expect(queue.stats().pos).toBe(answered.length)
  for (const result of await Promise.all(failed.map((op) => queue.submit(op))))
    expect(result).toMatchObject({ ok: true, replayed: false })
  expect(await sqlOn(url, 'SELECT count(*)::integer AS rows FROM journal')).toEqual([{ rows: answered.length + failed.length }])
  expect(await unsound(url)).toEqual([])
  await queue.close()
})

test('nothing that is thrown or logged shows the password; a backup says what makes one here', async () => {
  const url = await server.createDatabase()
  const reasons: string[] = []
  const note = (fields: object, text: string) => void reasons.push(`${JSON.stringify(fields)} ${text}`)
  const log = { error: note, warn: note, info: note } as unknown as NonNullable<Parameters<typeof openLedger>[0]['log']>
  const ledger = await openLedger({ dir, databaseUrl: url, clock: new SystemClock(), log })
  opened.push(ledger)
  await ledger.submit(give(5n))
  await server.kill()
  await ledger.submit(give(5n)).catch((error) => reasons.push(String(error)))
  await ledger.reads.lastPos().catch((error) => reasons.push(String(error)))
  await server.restart()
  reasons.push(String(await openLedger({ dir, databaseUrl: `${url}_none`, clock: new SystemClock() }).catch((error) => error)))
  reasons.push(String(await openLedger({ dir, databaseUrl: 'postgres://u:p@h:port', clock: new SystemClock() }).catch((e) => e)))
  const refusal = backupLedger({ dir, to: join(dir, 'copy.db'), databaseUrl: url })
  await expect(refusal).rejects.toThrow('pg_dump')
  reasons.push(String(await refusal.catch((error) => error)))
  expect(reasons.length).toBeGreaterThan(5)
  expect(reasons.join('\n')).not.toContain(postgresPassword)
})
