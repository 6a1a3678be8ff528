/** A real process, ended by kill -9 while the provider waits for its answer: what was paid is credited once, whoever hears of it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { packageRoot } from '../base/package.ts'
import { TestClient } from '../testing.ts'

const program = fileURLToPath(new URL('../main.ts', import.meta.url))
let dataDir = ''
const started: ChildProcess[] = []
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'livehouse-pay-crash-'))
})
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
  rmSync(dataDir, { recursive: true, force: true })
})

const flags = ['--port', '0', '--admin-port', '0', '--log-level', 'error', '--drain-ms', '0']
async function serve() {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], LIVEHOUSE_PLUGINS: 'monetization@inline' }
  const args = ['--import', 'tsx', program, 'serve', ...flags, '--data-dir', dataDir]
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
const pay = ({ http }: Served, ref: string) =>
  fetch(new URL('/pay/fake/checkout', http), { method: 'POST', body: new URLSearchParams({ ref, decision: 'pay' }) })

it('killed between the callback and its answer: the same order again is credited once', { timeout: 120_000 }, async () => {
  let engine = await serve()
  const ann = await open(engine)
  const wanted = { packageId: 'coins_300', provider: 'fake' }
  const { payUrl } = await ann.ok('recharge.create', wanted, undefined, 'one')
  const ref = new URL(payUrl, engine.http).searchParams.get('ref') ?? ''
  // The wallet hears of it before the provider does; the kill falls in between, or right after the answer.
  const lost = pay(engine, ref).catch(() => undefined)
  await ann.next('wallet.changed')
  engine.child.kill('SIGKILL')
  await Promise.all([lost, engine.exit])

  engine = await serve()
  const again = await open(engine)
  expect(await again.ok('wallet.get')).toMatchObject({ coinPaid: 300, coinBonus: 15 })
  expect(await (await pay(engine, ref)).text()).toContain('<h1>Paid')
  expect(await again.ok('wallet.get')).toMatchObject({ coinPaid: 300, coinBonus: 15 })
})
