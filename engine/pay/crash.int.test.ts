/**
 * A real process, ended by kill -9 while the provider waits for its answer: what was paid is credited once, what was taken back is taken
 * once, and the room log has each fact once, whoever hears of it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { packageRoot } from '../base/package.ts'
import { programEntry } from '../base/worker-entry.ts'
import { TestClient } from '../testing.ts'

const { file, execArgv } = programEntry(new URL('../main.ts', import.meta.url))
let dataDir = ''
const started: ChildProcess[] = []
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'livehouse-pay-crash-'))
})
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
  rmSync(dataDir, { recursive: true, force: true })
})

const flags = ['--port', '0', '--admin-port', '0', '--log-level', 'error', '--drain-ms', '0', '--no-media']
async function serve() {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], LIVEHOUSE_PLUGINS: 'monetization@inline' }
  const args = [...execArgv, file, 'serve', ...flags, '--data-dir', dataDir]
  const child = spawn(process.execPath, args, { cwd: packageRoot, env })
  started.push(child)
  const exit = new Promise((resolve) => child.once('exit', resolve))
  const url = await new Promise<string>((resolve, reject) => {
    let printed = ''
    const read = (chunk: Buffer) => {
      printed += chunk
      const address = /WebSocket +(\S+)/.exec(printed)?.[1]
      if (address) resolve(address)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    void exit.then(() => reject(new Error(printed)))
  })
  return { child, exit, url, http: url.replace('ws://', 'http://') }
}
type Served = Awaited<ReturnType<typeof serve>>

let token = ''
async function open({ url, http }: Served): Promise<TestClient> {
  const headers = token === '' ? {} : { authorization: `Bearer ${token}` }
  const reply = await fetch(new URL('/dev/token', http), { method: 'POST', headers, body: '{"as":"viewer","name":"Ann"}' })
  token = ((await reply.json()) as { token: string }).token
  const client = await TestClient.connect(url, 'json')
  await client.ok('session.open', { token })
  return client
}
const press = ({ http }: Served, ref: string, decision: 'pay' | 'chargeback') =>
  fetch(new URL('/pay/fake/checkout', http), { method: 'POST', body: new URLSearchParams({ ref, decision }) })

/** In the room log, once there are so many: the engine hands them on by itself. */
async function facts({ http }: Served, count: number): Promise<unknown[]> {
  const db = new Database(join(dataDir, 'core.db'), { readonly: true, timeout: 5_000 })
  const read = db.prepare(`SELECT t FROM room_log WHERE t LIKE 'recharge.%' OR t LIKE 'wallet.%' ORDER BY pos`).pluck()
  try {
    while (read.all().length < count) await fetch(new URL('/healthz', http))
    return read.all()
  } finally {
    db.close()
  }
}

it('killed between a callback and its answer: paid once, taken back once, each fact once', { timeout: 120_000 }, async () => {
  let engine = await serve()
  let ann = await open(engine)
  const wanted = { packageId: 'coins_300', provider: 'fake' }
  const { payUrl } = await ann.ok('recharge.create', wanted, undefined, 'one')
  const ref = new URL(payUrl, engine.http).searchParams.get('ref') ?? ''
  // The wallet hears of it before the provider does; the kill falls in between, or right after the answer.
  const killedAt = async (decision: 'pay' | 'chargeback') => {
    const lost = press(engine, ref, decision).catch(() => undefined)
    await ann.next('wallet.changed')
    engine.child.kill('SIGKILL')
    await Promise.all([lost, engine.exit])
    engine = await serve()
    ann = await open(engine)
  }
  await killedAt('pay')
  expect(await ann.ok('wallet.get')).toMatchObject({ coinPaid: 300, coinBonus: 15 })
  expect(await (await press(engine, ref, 'pay')).text()).toContain('<h1>Paid')
  expect(await ann.ok('wallet.get')).toMatchObject({ coinPaid: 300, coinBonus: 15 })

  await killedAt('chargeback')
  for (const _ of [1, 2]) expect(await (await press(engine, ref, 'chargeback')).text()).toContain('<h1>Taken back')
  expect(await ann.ok('wallet.get')).toMatchObject({ coinPaid: 0, coinBonus: 0 })
  expect(await facts(engine, 3)).toEqual(['recharge.completed', 'wallet.frozen', 'recharge.charged_back'])
})
