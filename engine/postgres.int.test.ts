/** A whole engine whose ledger is in Postgres: a gift from the socket to the journal, over a restart and over the death of the server. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { monetization } from '../plugins/monetization/plugin.ts'
import { runDoctor } from './doctor.ts'
import { type PostgresServer, postgresPassword, startPostgres } from './ledger/postgres-server.ts'
import { startTestEngine, type TestEngine } from './testing.ts'

let server: PostgresServer
let databaseUrl = ''
let dataDir = ''
let engine: TestEngine
const start = async () => {
  const options = { dataDir, databaseUrl, money: true, chargeOwner: 'monetization' }
  engine = await startTestEngine(options, { plugins: [monetization()] })
}
beforeAll(async () => {
  server = await startPostgres()
  databaseUrl = await server.createDatabase()
  dataDir = await mkdtemp(join(tmpdir(), 'livehouse-postgres-engine-'))
  await start()
})
afterAll(async () => {
  await engine.stop()
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
})

let ids = 0
const ledger = () => {
  if (!engine.ledger) throw new Error('no ledger')
  return engine.ledger
}
const fund = (user: string, amount: bigint) =>
  ledger().submit({
    op: 'post',
    txId: `fund-${++ids}`,
    at: 1_760_000_000_000,
    action: 'adjust',
    origin: { actor: 'test', command: 'fund' },
    transfers: [{ dr: 'coin.issued', cr: `user.${user}.coin.paid`, amount }],
  })
async function sql(text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: databaseUrl, options: '-c search_path=livehouse_ledger' })
  await client.connect()
  const { rows } = await client.query(text)
  await client.end()
  return rows
}
const connect = async (user: string, scope = '') => engine.connect({ token: await engine.token(user, scope ? { scope } : {}) })
const untilOpen = () =>
  new Promise<void>((resolve) => {
    if (ledger().state === 'open') return resolve()
    ledger().onState((state) => state === 'open' && resolve())
  })
const sentCoins = () =>
  sql(`SELECT live_id IS NOT NULL AS live, sum(amount)::integer AS coins FROM transfers
  WHERE cr = 'coin.spent.gift' GROUP BY 1`)

it('a gift is a row in Postgres, the room sees it, and the same key is answered again after a restart', async () => {
  const host = await connect('host', 'streamer')
  await host.ok('room.create', { roomId: 'stage', title: 'stage' })
  await host.ok('room.open', {}, 'stage')
  await host.ok('room.join', {}, 'stage')
  await fund('ann', 100n)
  const ann = await connect('ann')
  await ann.ok('room.join', {}, 'stage')
  const gift = { giftId: 'rose', count: 3 }
  const first = await ann.ok('gift.send', gift, 'stage', 'key-1')
  await host.next('gift.sent')
  const spent = await sentCoins()
  expect(spent).toEqual([{ live: true, coins: expect.any(Number) }])
  expect((await readdir(dataDir)).filter((name) => name === 'ledger.db')).toEqual([])

  await engine.stop()
  await start()
  const again = await connect('ann')
  await again.ok('room.join', {}, 'stage')
  expect(await again.ok('gift.send', gift, 'stage', 'key-1')).toMatchObject({ txId: (first as { txId: string }).txId })
  expect(await sentCoins()).toEqual(spent)
})

it('the server dies: gifts are refused and the room goes on; it comes back: gifts are sent again, each once', async () => {
  const ann = await connect('ann')
  await ann.ok('room.join', {}, 'stage')
  const [before] = await sentCoins()
  await server.kill()
  const refused = await ann.call('gift.send', { giftId: 'rose', count: 1 }, 'stage', 'key-2')
  expect(JSON.stringify(refused)).toContain('billing.unavailable')
  expect(JSON.stringify(refused)).not.toContain(postgresPassword)
  await ann.ok('danmaku.send', { text: 'still here' }, 'stage', 'key-3')
  await server.restart()
  await untilOpen()
  await ann.ok('gift.send', { giftId: 'rose', count: 1 }, 'stage', 'key-2')
  await ann.ok('gift.send', { giftId: 'rose', count: 1 }, 'stage', 'key-2')
  const [after] = await sentCoins()
  const price = Number(before?.['coins']) / 3
  expect(after?.['coins']).toBe(price * 4)
  expect(ledger().audit.state.broken).toBe(0)
})

it('the doctor says whether the database answers, and never the password', async () => {
  const examine = (url: string) =>
    runDoctor({
      argv: ['--port', '0', '--admin-port', '0', '--data-dir', dataDir],
      env: { LIVEHOUSE_DATABASE_URL: url },
      cwd: dataDir,
    })
  const good = await examine(databaseUrl)
  expect(good.findings.find(({ name }) => name === 'database')).toMatchObject({
    state: 'ok',
    found: expect.stringMatching(/^PostgreSQL \d+\S*, a ledger with \d+ rows$/),
  })
  const bad = await examine(`${databaseUrl}_none`)
  expect(bad.findings.find(({ name }) => name === 'database')).toMatchObject({
    state: 'problem',
    found: expect.stringContaining('does not exist'),
  })
  expect(good.text + bad.text).not.toContain(postgresPassword)
})
