import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ManualClock } from '../../base/clock.ts'
import { silentLog } from '../../base/log.ts'
import { programEntry } from '../../base/worker-entry.ts'
import { type DbMethod, encodeValue, PluginDbError } from './plugin-db-wire.ts'
import { PluginDbs, type PluginDbsOptions } from './plugin-dbs.ts'

const notes = 'CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT) STRICT'
const endless = 'WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c'
const q = (sql: string, params: unknown[] = [], method: DbMethod = 'all') => ({ sql, params: params.map(encodeValue), method })
const insert = (body: string) => [q('INSERT INTO notes (body) VALUES (?)', [body], 'run')]
const bodies = [q('SELECT body FROM notes ORDER BY id')]

let dir: string
let all: PluginDbs[]
function plugins(more: Partial<PluginDbsOptions> = {}): PluginDbs {
  const dbs = new PluginDbs({ dir: join(dir, 'plugins'), log: silentLog, ...more })
  all.push(dbs)
  return dbs
}
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'done',
    (error) => (error instanceof PluginDbError ? error.code : String(error)),
  )
const rowsOf = async (dbs: PluginDbs, name: string) => (await dbs.query(name, bodies))[0]?.rows.map(([body]) => body)

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'plugin-dbs-'))
  all = []
})
afterEach(async () => {
  for (const dbs of all) await dbs.closeAll()
  rmSync(dir, { recursive: true })
})

describe('databases of plugins', () => {
  test('each has its own file, kept over a close, readable by the owner of the engine alone', async () => {
    const dbs = plugins()
    await Promise.all([dbs.open('alpha', [notes]), dbs.open('beta', [notes])])
    await dbs.query('alpha', insert('one'))
    expect(await rowsOf(dbs, 'beta')).toEqual([])
    await dbs.closeAll()
    expect(await codeOf(dbs.query('alpha', bodies))).toBe('db.closed')
    expect(readdirSync(join(dir, 'plugins')).sort()).toEqual(['alpha.db', 'beta.db'])
    expect(statSync(join(dir, 'plugins')).mode & 0o777).toBe(0o700)

    await dbs.open('alpha', [notes, 'ALTER TABLE notes ADD COLUMN extra TEXT'])
    expect(await rowsOf(dbs, 'alpha')).toEqual(['one'])
    await dbs.remove('alpha')
    expect(readdirSync(join(dir, 'plugins'))).toEqual(['beta.db'])
    await dbs.open('alpha', [notes])
    expect(await rowsOf(dbs, 'alpha')).toEqual([])
  })

  test('what was counted in all is still counted after a close', async () => {
    const dbs = plugins()
    await Promise.all([dbs.open('alpha', [notes]), dbs.open('beta', [notes])])
    await Promise.all([dbs.query('alpha', insert('one')), dbs.query('beta', insert('one'))])
    expect(await codeOf(dbs.query('beta', [q('SELECT nonsense')]))).toBe('db.invalid')
    const counted = { queued: 0, done: 2, failed: 1, busy: 0, timeouts: 0, deaths: 0 }
    expect(dbs.total()).toEqual(counted)
    await dbs.close('alpha')
    expect(dbs.total()).toEqual(counted)
    await dbs.open('beta', [notes])
    await dbs.query('beta', insert('two'))
    expect(dbs.total()).toEqual({ ...counted, done: 3 })
  })

  test('a failed open tells why and leaves no process', async () => {
    const dbs = plugins()
    expect(await codeOf(dbs.open('alpha', ['PRAGMA user_version = 7']))).toBe('db.migration')
    expect(await codeOf(dbs.query('alpha', bodies))).toBe('db.closed')
    expect(dbs.pid('alpha')).toBeUndefined()
    await dbs.open('alpha', [notes, 'CREATE INDEX i ON notes (body)'])
    expect(await codeOf(dbs.open('alpha', [notes]))).toBe('db.migration')
    for (const name of ['../alpha', 'A', 'a', '', 'a/b', 'x'.repeat(33)])
      expect(await codeOf(dbs.open(name, []))).toBe('db.invalid')
    for (const call of [undefined, {}, [{ sql: 1 }]]) expect(await codeOf(dbs.query('alpha', call))).not.toBe('done')
  })

  test('opened again with a migration that fails: what was open goes on', async () => {
    const dbs = plugins()
    await dbs.open('alpha', [notes])
    await dbs.query('alpha', insert('kept'))
    expect(await codeOf(dbs.open('alpha', [notes, 'ALTER TABLE nowhere ADD COLUMN a TEXT']))).toBe('db.migration')
    expect(await rowsOf(dbs, 'alpha')).toEqual(['kept'])
  })

  test('opened again while open: one after the other, the last one counts', async () => {
    const dbs = plugins()
    const steps = [notes, 'ALTER TABLE notes ADD COLUMN a TEXT', 'ALTER TABLE notes ADD COLUMN b TEXT']
    await Promise.all([1, 2, 3].map((count) => dbs.open('alpha', steps.slice(0, count))))
    expect(await codeOf(dbs.query('alpha', [q('SELECT b FROM notes')]))).toBe('done')
    await Promise.all([dbs.close('alpha'), dbs.open('alpha', steps)])
    expect(await rowsOf(dbs, 'alpha')).toEqual([])
  })

  test('a thousand calls keep their order; a failed one is told alone', async () => {
    const dbs = plugins({ limits: { callsMax: 1_001 } })
    await dbs.open('alpha', [notes])
    const sent = Array.from({ length: 1_000 }, (_, n) => codeOf(dbs.query('alpha', insert(String(n)))))
    const bad = codeOf(dbs.query('alpha', [q('INSERT INTO notes (id) VALUES (1)', [], 'run')]))
    expect(new Set(await Promise.all(sent))).toEqual(new Set(['done']))
    expect(await bad).toBe('db.constraint')
    expect(await rowsOf(dbs, 'alpha')).toEqual(Array.from({ length: 1_000 }, (_, n) => String(n)))
    expect(dbs.stats('alpha')).toEqual({ queued: 0, done: 1_001, failed: 1, busy: 0, timeouts: 0, deaths: 0 })
  })

  test('the queue is bounded in calls and in characters', async () => {
    const dbs = plugins({ limits: { callsMax: 10, queueCharsMax: 1_000 } })
    await dbs.open('alpha', [notes])
    const codes = await Promise.all(Array.from({ length: 15 }, () => codeOf(dbs.query('alpha', insert('x')))))
    expect(codes.map((code) => code === 'done')).toEqual(Array.from({ length: 15 }, (_, n) => n < 10))
    expect(codes.at(-1)).toBe('db.busy')
    expect(await codeOf(dbs.query('alpha', insert('x'.repeat(1_000))))).toBe('db.busy')
    expect(await codeOf(dbs.query('alpha', insert('after')))).toBe('done')
    expect(dbs.stats('alpha')).toMatchObject({ queued: 0, busy: 6 })
  })
})

describe('a database process', () => {
  test('that dies is started again, and what was answered is there', async () => {
    const dbs = plugins()
    await dbs.open('alpha', [notes])
    await dbs.query('alpha', insert('kept'))
    for (const deaths of [1, 2]) {
      const pid = dbs.pid('alpha') as number
      const underWay = codeOf(dbs.query('alpha', [q(endless)]))
      await Promise.resolve().then(() => process.kill(pid, 'SIGKILL'))
      expect(await underWay).toBe('db.gone')
      expect(await rowsOf(dbs, 'alpha')).toEqual(['kept'])
      expect(dbs.pid('alpha')).not.toBe(pid)
      expect(dbs.stats('alpha')).toMatchObject({ deaths, queued: 0 })
    }
  })

  test('outlives the signals that stop an engine, until the engine closes it', async () => {
    const dbs = plugins()
    await dbs.open('alpha', [notes])
    const pid = dbs.pid('alpha') as number
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.kill(pid, signal)
    await dbs.query('alpha', insert('while draining'))
    expect(dbs.pid('alpha')).toBe(pid)
  })

  test('ends with an engine that was killed, even inside a statement without an end', async () => {
    const script = join(dir, 'engine.mjs')
    const module = (name: string) => programEntry(new URL(name, import.meta.url))
    const sources = (name: string) => JSON.stringify(pathToFileURL(module(name).file).href)
    writeFileSync(
      script,
      `import { PluginDbs } from ${sources('./plugin-dbs.ts')}
       import { silentLog } from ${sources('../../base/log.ts')}
       const dbs = new PluginDbs({ dir: ${JSON.stringify(dir)}, log: silentLog, limits: { callMsMax: 3_600_000 } })
       await dbs.open('idle', [])
       await dbs.open('stuck', [])
       dbs.query('stuck', [{ sql: ${JSON.stringify(endless)}, params: [], method: 'all' }])
       await dbs.query('idle', [])
       console.log(dbs.pid('stuck'))`,
    )
    const engine = spawn(process.execPath, [...module('./plugin-dbs.ts').execArgv, script], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [line] = await once(engine.stdout, 'data')
    expect(Number(line)).toBeGreaterThan(0)
    engine.stderr.resume()
    const allEnded = once(engine.stderr, 'end') // the databases hold its other end as well
    engine.kill('SIGKILL')
    await allEnded
  })

  test('that hangs is ended, while the database of another plugin goes on', async () => {
    const clock = new ManualClock()
    const dbs = plugins({ clock })
    await Promise.all([dbs.open('alpha', [notes]), dbs.open('beta', [notes])])
    await dbs.query('alpha', insert('kept'))
    const hanging = codeOf(dbs.query('alpha', [...insert('undone'), q(endless)]))
    for (let n = 0; n < 20; n++) await dbs.query('beta', insert(String(n)))
    const behind = codeOf(dbs.query('alpha', insert('behind')))
    clock.advance(1_999)
    await dbs.query('beta', insert('last'))
    expect(dbs.stats('alpha')?.queued).toBe(2)
    clock.advance(1)
    expect(await hanging).toBe('db.timeout')
    expect(await behind).toBe('done')
    expect(await rowsOf(dbs, 'alpha')).toEqual(['kept', 'behind'])
    expect(dbs.stats('alpha')).toMatchObject({ timeouts: 1, deaths: 1, failed: 1 })
    expect(dbs.stats('beta')).toMatchObject({ done: 21, deaths: 0 })
  })

  test('is ended by the wall clock when nothing else is said', async () => {
    const dbs = plugins({ limits: { callMsMax: 300 } })
    await dbs.open('alpha', [notes])
    expect(await codeOf(dbs.query('alpha', [q(endless)]))).toBe('db.timeout')
    expect(await rowsOf(dbs, 'alpha')).toEqual([])
  })

  test('that hangs in a migration is ended as well', async () => {
    const dbs = plugins({ limits: { openMsMax: 1_500 } })
    expect(await codeOf(dbs.open('alpha', [notes, `CREATE TABLE never AS ${endless}`]))).toBe('db.timeout')
    expect(dbs.pid('alpha')).toBeUndefined()
  })

  test('closing answers everybody: the call under way with its result, the others with a refusal', async () => {
    const dbs = plugins()
    await dbs.open('alpha', [notes])
    const count = endless.replace('FROM c) SELECT', 'FROM c WHERE x < 300000) SELECT')
    const slow = Array.from({ length: 100 }, () => codeOf(dbs.query('alpha', [q(count)])))
    await Promise.resolve() // the first group is at the process from here on
    const closed = dbs.close('alpha')
    const codes = await Promise.all(slow)
    await closed
    expect(new Set(codes)).toEqual(new Set(['done', 'db.closed']))
    expect(codes.indexOf('db.closed')).toBe(codes.lastIndexOf('done') + 1)
    expect(await codeOf(dbs.query('alpha', bodies))).toBe('db.closed')
  })
})
