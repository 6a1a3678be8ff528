import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { packageRoot } from './base/package.ts'
import { programEntry } from './base/worker-entry.ts'

const { file, execArgv } = programEntry(new URL('./main.ts', import.meta.url))
const runs = [...execArgv, file]

let folder = ''
const started: ChildProcess[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'livehouse-main-'))
})
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

const environment = () => ({
  PATH: process.env.PATH,
  HOME: process.env.HOME,
  LIVEHOUSE_DATA_DIR: folder,
  LIVEHOUSE_ADMIN_PORT: '0',
})

/** Starts `serve` and waits for the addresses that it prints. */
async function serve(...flags: string[]) {
  const child = spawn(process.execPath, [...runs, 'serve', ...flags], { cwd: packageRoot, env: environment() })
  started.push(child)
  const exit = new Promise<number | null>((done) => child.once('exit', done))
  let printed = ''
  child.stdout.on('data', (chunk) => {
    printed += chunk
  })
  child.stderr.on('data', (chunk) => {
    printed += chunk
  })
  const reading = new Promise<string>((done, failed) => {
    child.stdout.on('data', () => printed.includes('Ctrl-C stops it.') && done(printed))
    void exit.then(() => failed(new Error(printed)))
  })
  const text = await reading
  const address = (label: string) => new RegExp(`^ +${label} +(\\S+)$`, 'm').exec(text)?.[1] ?? ''
  return { child, exit, address, printed: () => printed }
}

const livehouse = (...args: string[]) =>
  new Promise<{ code: number; out: string; err: string }>((done) => {
    execFile(process.execPath, [...runs, ...args], { cwd: packageRoot, env: environment() }, (error, out, err) => {
      done({ code: error ? Number(error.code) : 0, out, err })
    })
  })

it('prints addresses that answer, and ends with 0 on SIGTERM', async () => {
  const { child, exit, address, printed } = await serve('--port', '0', '--drain-ms', '0')
  const watch = await fetch(new URL('/healthz', address('Watch')))
  expect(watch.status).toBe(200)
  expect(address('WebSocket')).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/live$/)
  for (const label of ['Watch', 'Stream', 'All rooms', 'Admin API', 'Metrics']) {
    const answer = await fetch(address(label))
    expect(answer.status, label).toBe(200)
  }
  child.kill('SIGTERM')
  // Ctrl-C under npm arrives twice: still one wish to stop.
  child.kill('SIGTERM')
  expect(await exit).toBe(0)
  expect(printed()).toContain('Stopped.')
})

it('says which port is taken and what to do', async () => {
  const { address } = await serve('--port', '0')
  const { port } = new URL(address('Watch'))
  const second = await livehouse('serve', '--port', port, '--data-dir', join(folder, 'second'))
  expect(second.code).toBe(1)
  expect(second.err).toContain(port)
  expect(second.err).toContain('--port')
  expect(second.err).not.toContain('    at ')
})

it('prints a token alone', async () => {
  const { code, out } = await livehouse('token', '--user', 'viewer1', '--name', 'Viewer One', '--ttl', '15m')
  expect(code).toBe(0)
  expect(out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/)
  const claims = JSON.parse(Buffer.from(out.split('.')[1] ?? '', 'base64url').toString()) as { exp: number; iat: number }
  expect(claims).toMatchObject({ sub: 'viewer1', name: 'Viewer One', aud: 'livehouse' })
  expect(claims.exp - claims.iat).toBe(900)
})

it('a start that the ledger refuses says why and what to do, without a stack', async () => {
  writeFileSync(join(folder, 'ledger.db-wal'), 'what is left when ledger.db is gone')
  const args = [...runs, 'serve', '--port', '0', '--no-media']
  const child = spawn(process.execPath, args, { cwd: packageRoot, env: environment() })
  started.push(child)
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  expect(await new Promise((done) => child.once('close', done))).toBe(1)
  expect(said).toMatch(/The engine did not start: .*ledger\.db is gone/)
  expect(said).toContain('livehouse restore makes a new data folder')
  expect(said).not.toMatch(/^ +at /m)
})
