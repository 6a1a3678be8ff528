import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { faultOf, type Outcome, PluginDbFile } from './plugin-db.ts'
import { allowMigration, allowRows } from './plugin-db-gate.ts'
import {
  checkCall,
  checkMigrations,
  type DbMethod,
  type DbResult,
  type DbStatement,
  type DbValue,
  dbBounds,
  decodeValue,
  encodeValue,
} from './plugin-db-wire.ts'

const notes = 'CREATE TABLE notes (id INTEGER PRIMARY KEY, body ANY, n INTEGER UNIQUE) STRICT'
let dir: string
let files: PluginDbFile[]

function open(migrations: readonly string[] = [notes], more: { file?: string; bytesMax?: number } = {}): PluginDbFile {
  const file = new PluginDbFile({ file: ':memory:', bytesMax: 2 ** 26, migrations, ...more })
  files.push(file)
  return file
}
const q = (sql: string, params: unknown[] = [], method: DbMethod = 'all'): DbStatement => ({
  sql,
  params: params.map(encodeValue),
  method,
})
const resultsOf = (outcome: Outcome | undefined): DbResult[] => {
  if (!outcome || 'error' in outcome) throw new Error(`refused: ${JSON.stringify(outcome)}`)
  return JSON.parse(outcome.json)
}
const call = (file: PluginDbFile, ...statements: DbStatement[]): DbResult[] => resultsOf(file.run([statements])[0])
const rows = (file: PluginDbFile, sql: string, ...params: unknown[]): DbValue[][] =>
  call(file, q(sql, params))[0]?.rows.map((row) => row.map(decodeValue)) ?? []
const codeOf = (file: PluginDbFile, ...statements: DbStatement[]): string | undefined => {
  const [outcome] = file.run([statements])
  return outcome && 'error' in outcome ? outcome.error.code : undefined
}
const faultIn = (act: () => unknown) => {
  try {
    act()
  } catch (error) {
    return faultOf(error)
  }
  return undefined
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'plugin-db-'))
  files = []
})
afterEach(() => {
  for (const file of files) file.close()
  rmSync(dir, { recursive: true })
})

describe('migrations', () => {
  test('are applied once, each in its turn, and rows stay', () => {
    const file = join(dir, 'a.db')
    const first = open([notes], { file })
    call(first, q("INSERT INTO notes (body) VALUES ('one')", [], 'run'))
    first.close()
    const second = open([notes, 'ALTER TABLE notes ADD COLUMN extra TEXT', "UPDATE notes SET extra = 'x'"], { file })
    expect(rows(second, 'SELECT body, extra FROM notes')).toEqual([['one', 'x']])
  })

  test('a file of a newer plugin is refused', () => {
    const file = join(dir, 'a.db')
    open([notes, 'CREATE INDEX i ON notes (n)'], { file }).close()
    const fault = faultIn(() => open([notes], { file }))
    expect(fault?.code).toBe('db.migration')
    expect(fault?.message).toContain('version 2, this plugin knows 1')
  })

  test('one that fails leaves those before it, and says which', () => {
    const file = join(dir, 'a.db')
    const fault = faultIn(() => open([notes, 'CREATE TABLE broken (', 'CREATE TABLE never (a)'], { file }))
    expect(fault).toMatchObject({ code: 'db.migration', message: expect.stringContaining('migration 2') })
    const again = open([notes, 'CREATE TABLE mended (a)'], { file })
    expect(rows(again, 'SELECT name FROM sqlite_schema WHERE type = ? ORDER BY name', 'table')).toEqual([['mended'], ['notes']])
  })

  test.each([
    'CREATE TABLE a (b); CREATE TABLE c (d)',
    'CREATE VIRTUAL TABLE f USING fts5(body)',
    'CREATE TEMP TABLE t (a)',
    "ATTACH '/tmp/other.db' AS other",
    'PRAGMA writable_schema = ON',
    'CREATE VIEW v AS SELECT file FROM pragma_database_list',
    '',
    '-- nothing',
  ])('refuses %s', (sql) => expect(faultIn(() => open([sql]))?.code).toBe('db.migration'))

  test('a trigger may hold statements of its own', () => {
    const file = open([notes, 'CREATE TRIGGER t AFTER INSERT ON notes BEGIN UPDATE notes SET n = 5 WHERE id = new.id; END'])
    call(file, q('INSERT INTO notes (body) VALUES (1)', [], 'run'))
    expect(rows(file, 'SELECT n FROM notes')).toEqual([[5]])
  })

  test('tables outside the file are as bounded as the file', () => {
    const file = open(['CREATE TABLE temp.t (a)'], { bytesMax: 200_000 })
    expect(codeOf(file, q('INSERT INTO t VALUES (zeroblob(400000))', [], 'run'))).toBe('db.full')
  })
})

describe('the gate', () => {
  test.each([
    'SELECT 1',
    '  \n\tselect 1',
    '-- c\n/* d */ /**/ SELECT 1',
    'WITH a AS (SELECT 1) SELECT * FROM a',
    'REPLACE INTO notes (id) VALUES (1)',
    'DELETE FROM notes;',
  ])('lets pass: %s', (sql) => expect(() => allowRows(sql)).not.toThrow())

  test.each([
    'BEGIN',
    'COMMIT',
    'ROLLBACK',
    'SAVEPOINT a',
    'RELEASE call',
    "ATTACH 'x' AS y",
    'DETACH main',
    'VACUUM',
    "VACUUM INTO '/tmp/x'",
    'PRAGMA user_version',
    'EXPLAIN SELECT 1',
    'ANALYZE',
    'REINDEX',
    'CREATE TABLE a (b)',
    'DROP TABLE notes',
    'ALTER TABLE notes ADD c',
    '/* SELECT */ PRAGMA x',
    '/* SELECT 1',
    '--\rSELECT 1',
    ';SELECT 1',
    '\ufeffSELECT 1',
    "SELECT * FROM 'pragma_database_list'",
    'SELECT * FROM "Pragma_Table_Info"(\'notes\')',
    '',
  ])('refuses: %s', (sql) => expect(faultIn(() => allowRows(sql))?.code).toBe('db.refused'))

  test('migrations take shapes, with comments anywhere', () => {
    for (const sql of [
      'CREATE /* a */ UNIQUE -- b\n INDEX i ON t (c)',
      'create table if not exists t (a)',
      'DROP TABLE t',
      'alter table t add b',
    ])
      expect(() => allowMigration(sql)).not.toThrow()
    for (const sql of ['CREATE TABLESPACE x', 'ALTER DATABASE x', 'CREATE', 'CREATE UNIQUE TABLE t'])
      expect(() => allowMigration(sql), sql).toThrow()
  })

  test('hostile comments take no time', () => {
    expect(() => allowRows(`${'/* */'.repeat(13_000)}!`)).toThrow()
    expect(() => allowRows('/*'.repeat(32_000))).toThrow()
  })
})

describe('nothing outside the own tables', () => {
  test.each([
    "SELECT load_extension('/tmp/x.so')",
    "SELECT readfile('/etc/hostname')",
    "SELECT writefile('/tmp/x', 'y')",
    "SELECT edit('x')",
    'SELECT * FROM sqlite_dbpage',
    'INSERT INTO sqlite_schema VALUES (1, 2, 3, 4, 5)',
    "UPDATE sqlite_schema SET sql = 'x'",
    'SELECT 1; SELECT 2',
    'SELECT 1; PRAGMA user_version = 9',
  ])('%s', (sql) => expect(codeOf(open(), q(sql))).toBe('db.invalid'))

  test('an old entry to pointers is shut', () => {
    expect(rows(open(), "SELECT fts3_tokenizer('simple')")).toEqual([[null]])
  })
})

describe('values', () => {
  const int64s = [0, 1, -1, 2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER, 2n ** 53n, 9007199254740993n, -(2n ** 63n), 2n ** 63n - 1n]
  test.each([...int64s, 'text', 'ü\u{1F600}\0x', '', null, 1.5, Infinity, -Infinity])('%s comes back as it went', (value) => {
    const file = open()
    call(file, q('INSERT INTO notes (body) VALUES (?)', [value], 'run'))
    expect(rows(file, 'SELECT body FROM notes')).toEqual([[value]])
  })

  test('whole numbers are integers also where no column says so', () => {
    expect(rows(open(), 'SELECT typeof(?), typeof(?), typeof(?)', 2 ** 40, 7n, 1.5)).toEqual([['integer', 'integer', 'real']])
  })

  test('blobs', () => {
    const bytes = Buffer.from([0, 1, 255, 128])
    const part = new Uint8Array([9, 0, 1, 255, 128]).subarray(1)
    expect(rows(open(), 'SELECT ?, ?, ?', bytes, part, Buffer.alloc(0))).toEqual([[bytes, bytes, Buffer.alloc(0)]])
  })

  test('booleans and NaN become what SQLite has for them, the rest is refused', () => {
    expect([true, false, Number.NaN].map(encodeValue)).toEqual([1, 0, null])
    for (const bad of [undefined, {}, [], new Date(0), () => 1])
      expect(() => encodeValue(bad)).toThrow(/not (undefined|object|function)/)
  })
})

describe('a call', () => {
  test('happens as a whole or not at all', () => {
    const file = open()
    const insert = (n: number) => q('INSERT INTO notes (n) VALUES (?)', [n], 'run')
    expect(codeOf(file, insert(1), insert(2), insert(1))).toBe('db.constraint')
    expect(rows(file, 'SELECT count(*) FROM notes')).toEqual([[0]])
    const [first, second] = call(file, insert(1), q('SELECT n FROM notes', [], 'get'))
    expect(first).toEqual({ rows: [], changes: 1, lastInsertRowid: 1 })
    expect(second).toEqual({ rows: [[1]] })
  })

  test('that fails does not touch the others of its group', () => {
    const file = open()
    const insert = (n: number) => [q('INSERT INTO notes (n) VALUES (?)', [n], 'run')]
    const outcomes = file.run([insert(1), insert(1), insert(2), [q('SELECT count(*) FROM notes')]])
    expect(outcomes.map((one) => 'json' in one)).toEqual([true, false, true, true])
    expect(resultsOf(outcomes[3])[0]?.rows).toEqual([[2]])
  })

  test('that breaks only at the commit does not touch the others either', () => {
    const child = 'CREATE TABLE c (id INTEGER REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED)'
    const file = open([notes, child])
    const outcomes = file.run([
      [q('INSERT INTO notes (id) VALUES (1)', [], 'run')],
      [q('INSERT INTO c VALUES (99)', [], 'run')],
      [q('INSERT INTO c VALUES (1)', [], 'run')],
    ])
    expect(outcomes.map((one) => ('error' in one ? one.error.code : 'done'))).toEqual(['done', 'db.constraint', 'done'])
    expect(rows(file, 'SELECT id FROM c')).toEqual([[1]])
  })

  test('RETURNING gives rows to all and get, none to run', () => {
    const file = open()
    const insert = 'INSERT INTO notes (n) VALUES (1), (2), (3) RETURNING n'
    expect(call(file, q(insert))[0]?.rows).toEqual([[1], [2], [3]])
    expect(call(file, q('UPDATE notes SET n = n + 10 RETURNING n', [], 'get'))[0]?.rows).toEqual([[11]])
    expect(call(file, q('UPDATE notes SET n = n + 10 RETURNING n', [], 'run'))[0]?.rows).toEqual([])
    expect(rows(file, 'SELECT n FROM notes ORDER BY n')).toEqual([[21], [22], [23]])
  })

  test('the statements kept prepared are bounded and follow a changed row', () => {
    const file = open()
    for (let n = 0; n < 150; n++) call(file, q(`INSERT INTO notes (n) VALUES (${n})`, [], 'run'))
    expect(rows(file, 'SELECT count(*) FROM notes')).toEqual([[150]])
    expect(rows(file, 'SELECT count(*) FROM notes')).toEqual([[150]])
  })
})

describe('bounds', () => {
  const numbers = (count: number) =>
    `WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ${count}) SELECT x FROM c`

  test('rows', () => {
    const file = open()
    expect(rows(file, numbers(dbBounds.rowsMax))).toHaveLength(dbBounds.rowsMax)
    expect(codeOf(file, q(numbers(dbBounds.rowsMax + 1)))).toBe('db.too_large')
    expect(rows(file, 'SELECT 1')).toEqual([[1]])
  })

  test('bytes of all results of a call', () => {
    const file = open()
    const half = q('SELECT zeroblob(?)', [1_500_000])
    expect(call(file, half)).toHaveLength(1)
    expect(codeOf(file, half, half, half)).toBe('db.too_large')
    expect(codeOf(file, q("SELECT replace(hex(zeroblob(1000000)), '0', 'ü')"))).toBe(undefined)
    expect(codeOf(file, q("SELECT replace(hex(zeroblob(1100000)), '0', 'ü')"))).toBe('db.too_large')
  })

  test('the file: a full one refuses the call that met it, and goes on', () => {
    const file = open([notes], { file: join(dir, 'a.db'), bytesMax: 400_000 })
    const insert = (size: number) => [q('INSERT INTO notes (body) VALUES (zeroblob(?))', [size], 'run')]
    const outcomes = file.run([insert(1_000), insert(500_000), insert(2_000)])
    expect(outcomes.map((one) => ('error' in one ? one.error.code : 'done'))).toEqual(['done', 'db.full', 'done'])
    expect(rows(file, 'SELECT length(body) FROM notes')).toEqual([[1_000], [2_000]])
  })

  test('slow calls do not add up: the rest of the group is left for later', () => {
    const file = open()
    const slow = [q(`SELECT count(*) FROM (${numbers(400_000)})`)]
    const outcomes = file.run(Array.from({ length: 60 }, () => slow))
    expect(outcomes.length).toBeGreaterThan(0)
    expect(outcomes.length).toBeLessThan(60)
  })
})

describe('what a plugin sends', () => {
  const good = {
    sql: 'SELECT ?',
    params: [1, 'a', null, { $i: '9223372036854775807' }, { $b: 'AQI=' }, { $f: '-Infinity' }],
    method: 'all',
  }

  test('passes when it is a call, without whatever else was in it', () => {
    const { statements, chars } = checkCall([{ ...good, more: 1 }])
    expect(statements).toEqual([good])
    expect(chars).toBe(8 + 8 + 1 + 8 + 8 + 4 + 8)
    expect(checkCall([]).statements).toEqual([])
  })

  test.each([
    ['no list', {}],
    ['nothing', undefined],
    ['no statement', [null]],
    ['a text', ['SELECT 1']],
    ['sql', [{ ...good, sql: 5 }]],
    ['long sql', [{ ...good, sql: ' '.repeat(dbBounds.sqlCharsMax + 1) }]],
    ['method', [{ ...good, method: 'exec' }]],
    ['params', [{ ...good, params: { length: 1 } }]],
    ['many params', [{ ...good, params: Array(dbBounds.paramsMax + 1).fill(1) }]],
    ['many statements', Array(dbBounds.statementsMax + 1).fill(good)],
    ['much text', Array(5).fill({ ...good, params: ['x'.repeat(1_000_000)] })],
    ...[true, undefined, Number.NaN, Infinity, {}, [], { $i: 5 }, { $i: '1e3' }, { $i: '9223372036854775808' }, { $b: 1 }].map(
      (bad): [string, unknown] => [`parameter ${String(bad)}`, [{ ...good, params: [bad] }]],
    ),
    ['two tags', [{ ...good, params: [{ $i: '1', $b: '' }] }]],
    ['an own tag', [{ ...good, params: [{ $f: 'NaN' }] }]],
  ])('is refused: %s', (_, value) => expect(faultIn(() => checkCall(value))?.code).toBe('db.invalid'))

  test('migrations are a bounded list of texts', () => {
    expect(checkMigrations(['a'])).toEqual(['a'])
    for (const bad of [
      undefined,
      'CREATE',
      [1],
      Array(dbBounds.migrationsMax + 1).fill('a'),
      ['a'.repeat(dbBounds.sqlCharsMax + 1)],
    ])
      expect(faultIn(() => checkMigrations(bad))?.code).toBe('db.invalid')
  })
})
