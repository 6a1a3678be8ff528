/** Backup and restore on real engines: what was acknowledged is there, what is damaged is refused, and nothing is ever replaced. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { monetization } from '../../plugins/monetization/plugin.ts'
import { packageRoot } from '../base/package.ts'
import { startTestEngine, type TestEngine } from '../testing.ts'
import { backup } from './backup.ts'
import { restore } from './restore.ts'

let root = ''
let live = ''
let engine: TestEngine | undefined
/** One good backup, of a folder and as an archive, for all tests that break a copy of it. */
let good = ''
let tar = ''
const start = (dataDir: string) =>
  startTestEngine({ dataDir, money: true, chargeOwner: 'monetization' }, { plugins: [monetization()] })
const stop = async () => {
  await engine?.stop()
  engine = undefined
}

let printed = ''
beforeEach(() => {
  printed = ''
  for (const stream of [process.stdout, process.stderr])
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      printed += text
      return true
    })
  return () => vi.restoreAllMocks()
})
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'livehouse-backup-'))
  live = join(root, 'live')
})
afterAll(async () => {
  await stop()
  rmSync(root, { recursive: true, force: true })
})
const below = () => readdirSync(root).sort()
const leftBehind = () => below().filter((name) => /new|part|restoring|files/.test(name))
const fails = (asked: Promise<number>) =>
  asked.then(
    () => 'it worked',
    (error: Error) => error.message,
  )

/** Three viewers that give without a pause, until told to stop. */
async function givers(running: TestEngine) {
  const host = await running.connect({ token: await running.token('host', { scope: 'streamer' }) })
  await host.ok('room.create', { roomId: 'stage', title: 'Stage' })
  await host.ok('room.open', {}, 'stage')
  await running.admin('PUT', '/monetization/gifts/rose', { name: 'Rose', priceCoin: 1 })
  const acknowledged: string[] = []
  let isOver = false
  const users = ['ann', 'bob', 'eve']
  for (const user of users) {
    const transfers = [{ dr: 'coin.issued', cr: `user.${user}.coin.paid`, amount: 1_000_000n }]
    const origin = { actor: 'test', command: 'fund' }
    await running.ledger?.submit({ op: 'post', txId: `fund-${user}`, at: 1, action: 'adjust', origin, transfers })
  }
  const giving = users.map(async (user) => {
    const client = await running.connect({ token: await running.token(user) })
    await client.ok('room.join', {}, 'stage')
    for (let n = 0; !isOver; n++) {
      const reply = await client.call('gift.send', { giftId: 'rose' }, 'stage', `${user}-${n}`)
      if (reply.ok) acknowledged.push((reply.d as { txId: string }).txId)
      else if (reply.err.code === 'rate.limited') await new Promise((resolve) => setTimeout(resolve, reply.err.retryAfterMs))
    }
  })
  const end = async () => {
    isOver = true
    await Promise.all(giving)
  }
  return { acknowledged, end }
}
const txIdsOf = async (running: TestEngine) => {
  const ids = new Set<string>()
  for (let pos = 0; ; ) {
    const rows = (await running.ledger?.reads.journalAfter(pos, 1_000)) ?? []
    if (rows.length === 0) return ids
    for (const row of rows) ids.add(row.txId)
    pos = rows.at(-1)?.pos ?? pos
  }
}

it('under load: the restored engine has every gift that was acknowledged before, passes the audit, and goes on', async () => {
  engine = await start(live)
  const load = await givers(engine)
  await expect.poll(() => load.acknowledged.length, { timeout: 30_000 }).toBeGreaterThan(30)
  const before = [...load.acknowledged]
  tar = join(root, 'good.tar')
  expect(await backup([tar, '--data-dir', live, '--admin', engine.adminUrl])).toBe(0)
  await load.end()
  expect(load.acknowledged.length).toBeGreaterThan(before.length)
  expect(printed).toContain('it makes the copy while it works')
  expect(printed).toMatch(/Backup made and looked through: .*good\.tar\n {2}4 files, .* rows of the ledger, with the secret/)
  expect(below()).toEqual(['good.tar', 'live'])
  expect(existsSync(join(live, 'backup.part'))).toBe(false)
  expect(statSync(tar).mode & 0o777).toBe(0o600)
  const token = await engine.token('mia', { scope: 'money:write' })
  await stop()

  const restored = join(root, 'restored')
  expect(await restore([tar, '--data-dir', restored])).toBe(0)
  expect(readdirSync(restored).sort()).toEqual(['core.db', 'ledger.db', 'plugins', 'secret'])
  expect(readFileSync(join(restored, 'secret'), 'utf8')).toBe(readFileSync(join(live, 'secret'), 'utf8'))
  engine = await start(restored)
  const there = await txIdsOf(engine)
  for (const txId of before) expect(there.has(txId), txId).toBe(true)
  const headers = { authorization: `Bearer ${token}`, 'idempotency-key': 'run' }
  const run = await fetch(`${engine.adminUrl}/admin/v1/money/audit/run`, { method: 'POST', headers })
  expect(await run.json()).toMatchObject({ isDone: true, broken: 0, behind: 0 })
  const gifts = await engine.admin('GET', '/monetization/gifts')
  expect(gifts.body.items.map(({ id }: { id: string }) => id)).toContain('rose')
  const ann = await engine.connect({ token: await engine.token('ann') })
  const { room } = await ann.ok('room.join', {}, 'stage')
  expect(room.state).toBe('open')
  expect((await ann.ok('gift.send', { giftId: 'rose' }, 'stage', 'after')).txId).toEqual(expect.any(String))
  await stop()
  rmSync(restored, { recursive: true })
})

it('from the files when no engine runs; and an engine that cannot be asked keeps its folder to itself', async () => {
  good = join(root, 'good')
  expect(await backup([good, '--data-dir', live])).toBe(0)
  expect(printed).toContain('No engine runs on')
  expect(readdirSync(good).sort()).toEqual(['core.db', 'ledger.db', 'manifest.json', 'plugins', 'secret'])
  const { files, ledger, leftOut } = JSON.parse(readFileSync(join(good, 'manifest.json'), 'utf8'))
  expect(files.map(({ name }: { name: string }) => name)).toEqual(['core.db', 'plugins/monetization.db', 'ledger.db', 'secret'])
  expect(ledger.rows).toBeGreaterThan(30)
  expect(leftOut).toEqual([])
  expect(await fails(backup([good, '--data-dir', live]))).toContain('never replaces anything')
  expect(await fails(backup([join(root, 'none'), '--data-dir', join(root, 'nowhere')]))).toContain('There is no core.db')

  engine = await start(live)
  const silent = await fails(backup([join(root, 'none'), '--data-dir', live]))
  expect(silent).toContain('Say where: --admin')
  // By the configuration alone: the admin port stands there, and the mark of the folder says that it is this one.
  const config = join(root, 'livehouse.json')
  writeFileSync(config, JSON.stringify({ adminPort: Number(new URL(engine.adminUrl).port), dataDir: live }))
  expect(await backup([join(root, 'by-config'), '--config', config])).toBe(0)
  expect(printed).toContain('it makes the copy while it works')
  await stop()
  rmSync(join(root, 'by-config'), { recursive: true })
  rmSync(config)
})

it('over HTTP: scope backup, one at a time, only what the manifest names, and gone when it is deleted', async () => {
  engine = await start(join(root, 'other'))
  const { adminUrl, token } = engine
  const ask = async (method: string, path: string, scope = 'backup') => {
    const headers = { authorization: `Bearer ${await token('ops', { scope })}` }
    const reply = await fetch(`${adminUrl}/admin/v1/backups${path}`, { method, headers })
    const text = await reply.text()
    return { status: reply.status, body: reply.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text }
  }
  for (const scope of ['operator', 'money:write', 'audit:read']) expect((await ask('POST', '', scope)).status).toBe(403)
  const { body } = await ask('POST', '')
  expect(body).toMatchObject({ state: 'running' })
  expect(await ask('POST', '')).toMatchObject({ status: 409, body: { code: 'backup.busy' } })
  await expect.poll(async () => (await ask('GET', `/${body.id}`)).body.state, { timeout: 30_000 }).toBe('ready')
  const { manifest } = (await ask('GET', `/${body.id}`)).body
  expect(manifest.files.map(({ name }: { name: string }) => name)).not.toContain('secret')
  expect((await ask('GET', `/${body.id}/files/plugins/monetization.db`)).status).toBe(200)
  for (const name of ['secret', 'manifest.json', '..%2fsecret', '..%2f..%2fsecret', 'plugins%2f..%2fcore.db', ''])
    expect((await ask('GET', `/${body.id}/files/${name}`)).status, name).toBe(404)
  expect((await ask('DELETE', `/${body.id}`)).status).toBe(200)
  expect(await ask('GET', `/${body.id}`)).toMatchObject({ status: 404, body: { code: 'backup.not_found' } })
  const again = await ask('POST', '')
  expect((await ask('DELETE', `/${again.body.id}`)).status).toBe(200)
  expect(existsSync(join(root, 'other', 'backup.part'))).toBe(false)
  await ask('POST', '')
  await stop()
  expect(existsSync(join(root, 'other', 'backup.part'))).toBe(false)
  rmSync(join(root, 'other'), { recursive: true })
})

it('a file that is there is left alone, and so is the folder of an engine that runs', async () => {
  const full = join(root, 'full')
  cpSync(good, full, { recursive: true })
  expect(await fails(restore([good, '--data-dir', full]))).toMatch(/is not empty.*\n.*mv .*full .*full\.old/)
  expect(await fails(restore([good, '--data-dir', join(full, 'core.db')]))).toContain('is no folder')
  expect(await fails(restore([join(root, 'none'), '--data-dir', join(root, 'new')]))).toContain('There is no')
  expect(await fails(restore(['--data-dir', join(root, 'new')]))).toContain('PATH is missing')
  rmSync(full, { recursive: true })
  const emptied = join(root, 'emptied')
  engine = await start(emptied)
  for (const name of readdirSync(emptied)) rmSync(join(emptied, name), { recursive: true })
  expect(await fails(restore([good, '--data-dir', emptied, '--admin', engine.adminUrl]))).toContain('stop it first')
  expect(readdirSync(emptied)).toEqual([])
  await stop()
  rmSync(emptied, { recursive: true, force: true })
  expect(leftBehind()).toEqual([])
})

const sealAgain = (folder: string, name: string) => {
  const file = join(folder, 'manifest.json')
  const manifest = JSON.parse(readFileSync(file, 'utf8'))
  const entry = manifest.files.find((one: { name: string }) => one.name === name)
  const bytes = readFileSync(join(folder, name))
  Object.assign(entry, { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') })
  writeFileSync(file, JSON.stringify(manifest))
}
const flip = (file: string, at: number) => {
  const bytes = readFileSync(file)
  bytes[at] = (bytes[at] ?? 0) ^ 0xff
  writeFileSync(file, bytes)
}
const edit = (file: string, sql: string) => {
  const db = new Database(file)
  db.exec(sql)
  db.close()
}
const manifestOf = (folder: string, change: (manifest: { files: { name: string }[] }) => void) => {
  const file = join(folder, 'manifest.json')
  const manifest = JSON.parse(readFileSync(file, 'utf8'))
  change(manifest)
  writeFileSync(file, JSON.stringify(manifest))
}
it.each<[string, (folder: string) => void, string]>([
  ['a byte of the ledger', (to) => flip(join(to, 'ledger.db'), 20_000), 'ledger.db is not what was written'],
  ['a byte of core.db', (to) => flip(join(to, 'core.db'), 5_000), 'core.db is not what was written'],
  ['a ledger that is cut off', (to) => truncateSync(join(to, 'ledger.db'), 8_192), 'ledger.db is not what was written'],
  ['a file that is missing', (to) => rmSync(join(to, 'plugins'), { recursive: true }), 'plugins/monetization.db is missing'],
  ['no manifest', (to) => rmSync(join(to, 'manifest.json')), 'is no backup'],
  ['a manifest that is none', (to) => writeFileSync(join(to, 'manifest.json'), '{"files":'), 'cannot be read'],
  [
    'a later format',
    (to) => manifestOf(to, (one) => Object.assign(one, { version: 2 })),
    'not of a backup that this engine knows',
  ],
  ['a name that leads out', (to) => manifestOf(to, ({ files }) => files.push({ ...files[0], name: '../x' })), 'not of a backup'],
  [
    'a coin that nobody issued, with right checksums',
    (to) => {
      edit(join(to, 'ledger.db'), `UPDATE balances_ SET credits = credits + 1 WHERE account = 'user.ann.coin.paid'`)
      sealAgain(to, 'ledger.db')
    },
    'a balance is not what its legs add up to',
  ],
  [
    'a share that the terms do not give, with right checksums',
    (to) => {
      const facts = `json_set(facts, '$.streamer', '1', '$.platform', '0')`
      edit(
        join(to, 'ledger.db'),
        `DROP TRIGGER journal_no_update; UPDATE journal SET facts = ${facts} WHERE action = 'gift' AND pos > 20`,
      )
      sealAgain(to, 'ledger.db')
    },
    'split:',
  ],
])('%s is refused, and nothing is left behind', async (_, damage, message) => {
  const bad = join(root, 'bad')
  cpSync(good, bad, { recursive: true })
  damage(bad)
  const said = await fails(restore([bad, '--data-dir', join(root, 'new')]))
  expect(said).toContain(message)
  rmSync(bad, { recursive: true })
  expect(leftBehind()).toEqual([])
})

it('an archive that is damaged, cut off or none is refused', async () => {
  const bad = join(root, 'bad.tar')
  const bytes = readFileSync(tar)
  const spoiled: [string, Buffer][] = [
    ['header', Buffer.concat([Buffer.from('x'), bytes.subarray(1)])],
    ['cut', bytes.subarray(0, Math.floor(bytes.length / 2))],
    ['no end', bytes.subarray(0, bytes.length - 1_024)],
    ['text', Buffer.from('hello')],
    ['empty', Buffer.alloc(0)],
    ['zeroes', Buffer.alloc(2_048)],
  ]
  for (const [name, content] of spoiled) {
    writeFileSync(bad, content)
    expect(await fails(restore([bad, '--data-dir', join(root, 'new')])), name).toMatch(/damaged|is no backup/)
  }
  rmSync(bad)
  expect(leftBehind()).toEqual([])
})

it('as a person types it: a terminal is told in words, and the exit code says whether it worked', async () => {
  const run = async (...args: string[]) => {
    const program = ['--import', import.meta.resolve('tsx'), join(packageRoot, 'engine/main.ts'), ...args]
    const env = { PATH: process.env['PATH'], LIVEHOUSE_ADMIN_PORT: '1' }
    const child = spawn(process.execPath, program, { cwd: root, env })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk))
    const code = await new Promise((resolve) => child.once('close', resolve))
    return { code, text }
  }
  const made = await run('backup', 'typed.tar', '--data-dir', live)
  expect([made.code, made.text]).toEqual([0, expect.stringContaining('Backup made and looked through')])
  expect(made.text).toContain('copy core.db')
  const refused = await run('restore', 'typed.tar', '--data-dir', live)
  expect([refused.code, refused.text]).toEqual([1, expect.stringContaining('is not empty')])
  expect(refused.text).not.toContain('    at ')
  rmSync(join(root, 'typed.tar'))
})
