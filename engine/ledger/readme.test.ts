/** The README says what is: its chart is the chart, its SQL runs, and what it says finds nothing finds nothing. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chart } from './accounts.ts'
import { Ledger } from './ledger.ts'
import { SqliteLedger } from './sqlite-ledger.ts'

const here = fileURLToPath(new URL('.', import.meta.url))
const page = readFileSync(`${here}README.md`, 'utf8')
const queries = [...page.matchAll(/```sql\n-- (?<title>.+)\n(?<sql>[^`]+)```/g)]
  .map(({ groups }) => groups as { title: string; sql: string })
  .filter(({ title }) => !title.includes('Postgres'))
const origin = { actor: 'ann', command: 'c' }

let dir: string
let db: Database.Database
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ledger-readme-'))
  const storage = new SqliteLedger({ file: join(dir, 'ledger.db') })
  const entry = { at: 1, action: 'test', origin }
  const transfers = [{ dr: 'coin.issued', cr: 'user.ann.coin.paid', amount: 2_000n }]
  const results = new Ledger(storage).batch([
    { op: 'post', txId: 't1', ...entry, transfers },
    {
      op: 'charge',
      txId: 't2',
      ...entry,
      liveId: 'l1',
      value: 999n,
      payFrom: ['user.ann.coin.paid'],
      sink: 'coin.spent.gift',
      terms: { streamerBps: 5_000, guildBps: 2_000, paidBps: 10_000, bonusBps: 0 },
      streamer: 'streamer.mia.bean.pending',
      guild: 'guild.red.bean.pending',
      contractVersion: 'c1',
      catalogVersion: 'g1',
    },
    {
      op: 'hold',
      txId: 't3',
      ...entry,
      transfers: [{ dr: 'user.ann.coin.paid', cr: 'user.ann.coin.hold', amount: 1n }],
      expiresAt: 5,
    },
  ])
  expect(results.every(({ ok }) => ok)).toBe(true)
  storage.close()
  db = new Database(join(dir, 'ledger.db'), { readonly: true })
})
afterAll(() => {
  db.close()
  rmSync(dir, { recursive: true })
})

test('the chart', () => {
  const lines = chart.map(([pattern, ledger, normal, mayBeNegative, meaning]) => {
    const name = pattern.replaceAll('|', '\\|')
    return `| \`${name}\` | ${ledger} | ${normal} | ${mayBeNegative ? 'may be' : 'never'} | ${meaning} |`
  })
  const shown = page.split('\n').filter((line) => /\| (CNY|COIN|BEAN|PTS) \|/.test(line))
  expect(shown.map((line) => line.replace(/ +/g, ' '))).toEqual(lines)
})

test('what an auditor can ask', () => {
  expect(queries).toHaveLength(8)
  const answers = queries.map(({ sql }) => db.prepare(sql).all())
  expect(answers.slice(0, 5)).toEqual([[], [], [], [], []])
  expect(answers.slice(5)).toEqual([
    [
      { place: 'coin.issued', coins: 2_000 },
      { place: 'coin.spent.gift', coins: 999 },
      { place: 'wallets', coins: 1_001 },
    ],
    [{ live_id: 'l1', coins: 999 }],
    [
      { tx_id: 't1', n: 0, dr: 'coin.issued', cr: 'user.ann.coin.paid', amount: 2_000 },
      { tx_id: 't2', n: 0, dr: 'user.ann.coin.paid', cr: 'coin.spent.gift', amount: 999 },
    ],
  ])
})

test('the worked gift', () => {
  const legs = db.prepare(`SELECT dr, cr, amount FROM transfers WHERE tx_id = 't2' ORDER BY n`).all() as Record<string, unknown>[]
  for (const { dr, cr, amount } of legs) expect(page).toContain(`| \`${dr}\` | \`${cr}\` | ${amount} |`)
  expect(legs).toHaveLength(3)
})

test('the files that it names exist', () => {
  const names = [...page.matchAll(/`([a-z-]+\.ts)`/g)].map(([, name = '']) => name)
  expect(names.length).toBeGreaterThan(5)
  for (const name of names) expect(existsSync(here + name), name).toBe(true)
})
