/**
 * The rules of this code base that a compiler does not know, as tests: import arrows, one home for each heavy package, time and
 * randomness from `base/` alone, words and names that do not belong here. Each rule comes with an example that it must refuse.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const notOurs = new Set(['node_modules', 'dist', '.git', '.livehouse', '.artifacts', '.cache'])

type File = { path: string; text: string }
type Rule = {
  name: string
  /** One line for each breach. */
  find: (files: readonly File[]) => string[]
  /** By path: a tree that breaks the rule. */
  bad: Record<string, string>
}

function* filesBelow(folder: string): Generator<File> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory() && !notOurs.has(entry.name)) yield* filesBelow(path)
    else if (entry.isFile() && !/\.(png|ico|woff2|log|db)$/.test(entry.name)) {
      yield { path: relative(root, path), text: readFileSync(path, 'utf8') }
    }
  }
}

const isCode = (path: string) => /^(engine|schemas|bench|examples|plugins|sfu)\/.*\.tsx?$/.test(path)
const isTest = (path: string) => /\.test\.tsx?$/.test(path)

// reading code

type Import = { from: string; target: string; typeOnly: boolean; lazy: boolean }

const importPattern = /^[ \t]*(?:import|export)\s+(type\s)?(?:[\w$*{][^'"`;]*?\sfrom\s*)?['"]([^'"\n]+)['"]/gm
const lazyPattern = /\bimport\(\s*['"]([^'"\n]+)['"]/g

/** What a file imports; relative targets as paths from the root. */
function importsOf({ path, text }: File): Import[] {
  const resolved = (target: string) => (target.startsWith('.') ? posix.join(posix.dirname(path), target) : target)
  const fixed = [...text.matchAll(importPattern)].map(([, type, target = '']) => {
    return { from: path, target: resolved(target), typeOnly: type !== undefined, lazy: false }
  })
  const lazy = [...text.matchAll(lazyPattern)].map(([, target = '']) => {
    return { from: path, target: resolved(target), typeOnly: false, lazy: true }
  })
  return [...fixed, ...lazy]
}

/** Code without comments and the contents of quoted strings, line by line as before. */
function bareCode(text: string): string {
  const pattern = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g
  return text.replace(pattern, (found) => (found[0] === '/' ? found.replace(/[^\n]/g, ' ') : "''"))
}

const codeOf = (files: readonly File[]) => files.filter((file) => isCode(file.path))

/** A rule over every import of the code. */
const importRule = (refuse: (one: Import) => boolean) => (files: readonly File[]) =>
  codeOf(files)
    .flatMap(importsOf)
    .filter(refuse)
    .map(({ from, target }) => `${from} imports ${target}`)

/** A rule over the lines of the files that `applies` picks. */
const lineRule =
  (applies: (path: string) => boolean, pattern: RegExp, read: (text: string) => string = bareCode) =>
  (files: readonly File[]) =>
    files
      .filter(({ path }) => applies(path))
      .flatMap(({ path, text }) =>
        read(text)
          .split('\n')
          .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1} ${line.trim().slice(0, 120)}`] : [])),
      )

// import arrows

const ours = /^(schemas|engine|bench|examples|plugins|sfu)\//
const isPackage = (target: string) => !ours.test(target) && !target.startsWith('node:')

/** What the code in a folder may import of ours; the first match counts. */
const arrows: readonly { from: RegExp; to: RegExp }[] = [
  { from: /^schemas\//, to: /^schemas\// },
  { from: /^engine\/base\//, to: /^(schemas|engine\/base)\// },
  { from: /^engine\/client\//, to: /^(schemas|engine\/client)\// },
  { from: /^engine\/(crowd|testing)/, to: /^(schemas|engine)\// },
  // What tests of plugins share.
  { from: /^engine\/plugin\/fixtures\//, to: /^(schemas|engine)\// },
  { from: /^engine\/ledger\//, to: /^(schemas|engine\/(base|ledger))\// },
  { from: /^engine\/ledger\//, to: /^(schemas|engine\/(base|ledger))\// },
  { from: /^engine\/(room|live|plugin)\//, to: /^(schemas\/|engine\/(base|room|live|plugin|ledger)\/|engine\/config\.ts$)/ },
  // It runs the plugins that come with the engine.
  { from: /^engine\/sim\//, to: /^(schemas\/|plugins\/|engine\/(?!client\/))/ },
  { from: /^plugins\//, to: /^(plugins\/|engine\/plugin\/(index|tables)\.ts$)/ },
  // The command line and the doctor also tell of the media worker.
  { from: /^engine\/(doctor|cli\/media)\.ts$/, to: /^(schemas\/|engine\/(?!client\/)|sfu\/worker\/)/ },
  { from: /^engine\//, to: /^(schemas\/|engine\/(?!client\/))/ },
  { from: /^sfu\//, to: /^(schemas|engine\/base|sfu)\// },
  { from: /^examples\//, to: /^examples\// },
  { from: /^bench\//, to: ours },
]

function againstArrow({ from, target }: Import): boolean {
  if (isTest(from) || isPackage(target) || target.startsWith('node:')) return false
  const arrow = arrows.find((one) => one.from.test(from))
  return arrow !== undefined && !arrow.to.test(target)
}

/** Who alone may import a package; tests may import all but where `tests` is false. */
const homes: Record<string, RegExp> = {
  'uWebSockets.js': /^(engine\/edge\/gateway\.ts|bench\/.*)$/,
  'better-sqlite3':
    /^engine\/(room\/(store|core)[^/]*|plugin\/db\/plugin-db)\.ts$|^(engine\/ledger\/|engine\/sim\/ledger\.ts|bench\/load\/ledger)/,
  'drizzle-orm': /^engine\/(room\/(store|core)[^/]*|plugin\/tables)\.ts$/,
  fastify: /^engine\/admin\//,
  '@fastify': /^engine\/admin\//,
  jose: /^engine\/edge\/tokens\.ts$/,
  nats: /^engine\/base\/nats\.ts$/,
  pino: /^engine\/base\/log\.ts$/,
  'prom-client': /^engine\/base\/metrics\.ts$/,
  ws: /^(engine\/client\/|engine\/crowd|bench\/)/,
  mediasoup: /^sfu\//,
  'mediasoup-client': /^(sfu\/|engine\/client\/)/,
  'sdp-transform': /^sfu\//,
  pg: /^engine\/ledger\/|^bench\/load\/ledger/,
  protobufjs: /^schemas\/generate\.ts$/,
}

const packageOf = (target: string) => (target.startsWith('@fastify/') ? '@fastify' : (target.split('/')[0] ?? ''))

function awayFromHome({ from, target, typeOnly }: Import): boolean {
  const home = homes[packageOf(target)]
  return home !== undefined && !typeOnly && !isTest(from) && !home.test(from)
}

// cycles

/** Paths of value imports that come back to their start. Imports that run later (`import()`) close no cycle. */
function valueCycles(files: readonly File[]): string[] {
  const code = codeOf(files).filter(({ path }) => !isTest(path))
  const edges = new Map(code.map((file) => [file.path, importsOf(file).filter((one) => !one.typeOnly && !one.lazy)]))
  const finished = new Set<string>()
  const cycles: string[] = []
  const visit = (path: string, trail: readonly string[]) => {
    const at = trail.indexOf(path)
    if (at >= 0) cycles.push([...trail.slice(at), path].join(' -> '))
    if (at >= 0 || finished.has(path)) return
    for (const { target } of edges.get(path) ?? []) visit(target, [...trail, path])
    finished.add(path)
  }
  for (const path of edges.keys()) visit(path, [])
  return cycles
}

// time, chance, console

/** Programs that talk to a person, and the client, which runs in a browser without an engine around it. */
const ownTime = /^engine\/(base\/|client\/|cli\/|main\.ts|doctor\.ts|crowd)/
const ownVoice = /^engine\/(base\/|main\.ts|doctor\.ts|crowd)/
const engineCode = (except: RegExp) => (path: string) =>
  isCode(path) && path.startsWith('engine/') && !isTest(path) && !except.test(path)

/** Put together here, so that this file does not break its own rules. */
const words = (...parts: [string, string][]) => parts.map(([a, b]) => a + b).join('|')
const unfinished = new RegExp(`\\b(${words(['TO', 'DO'], ['FIX', 'ME'], ['X', 'XX'], ['HA', 'CK'])})\\b`)
const hosts = words(
  ['registry\\.', '[\\w-]+\\.'],
  ['npm', 'js\\.'],
  ['deb\\.', 'debian'],
  ['security\\.', 'debian'],
  ['npm', 'mirror'],
)
const registryHosts = new RegExp(`\\b(${hosts})`)

const emptyNames = /(^|\/)(utils?|helpers?|common|misc)(\.[\w.]+)?(\/|$)/i

const rules: readonly Rule[] = [
  {
    name: 'imports follow the arrows between the folders',
    find: importRule(againstArrow),
    bad: {
      'engine/base/log.ts': "import { rooms } from '../room/home.ts'",
      'engine/client/index.ts': "import type { A } from '../config.ts'",
      'engine/ledger/queue.ts': "import { config } from '../config.ts'",
    },
  },
  {
    name: 'examples import only what the package exports',
    find: importRule(
      ({ from, target }) => from.startsWith('examples/') && !isTest(from) && ours.test(target) && !target.startsWith('examples/'),
    ),
    bad: { 'examples/bot.ts': "import { connect } from '../engine/client/index.ts'" },
  },
  {
    name: 'each heavy package has one home',
    find: importRule(awayFromHome),
    bad: {
      'engine/room/home.ts': "import {\n  App,\n} from 'uWebSockets.js'",
      'engine/live/like.ts': "import swagger from '@fastify/swagger'",
    },
  },
  {
    name: 'no imports of values in a circle',
    find: valueCycles,
    bad: { 'engine/a.ts': "import { b } from './b.ts'", 'engine/b.ts': "export { a } from './a.ts'" },
  },
  {
    name: 'relative imports name the file',
    find: importRule(({ target }) => ours.test(target) && !/\.(tsx?|css|json|proto|svg)(\?\w+)?$/.test(target)),
    bad: { 'engine/a.ts': "import { b } from './b'" },
  },
  {
    name: 'no export of everything',
    find: lineRule(isCode, /^\s*export\s+\*/),
    bad: { 'engine/index.ts': "export * from './engine.ts'" },
  },
  {
    name: 'no file or folder without a subject',
    find: (files) => files.filter(({ path }) => emptyNames.test(path)).map(({ path }) => path),
    bad: { 'engine/utils.ts': '', 'engine/common/a.ts': '', 'bench/helpers.test.ts': '' },
  },
  {
    name: 'no Manager, no Impl',
    find: lineRule(isCode, /\b(class|interface|type|function|const)\s+\w*(Manager|Impl)\b/),
    bad: { 'engine/a.ts': 'export class RoomManager {}' },
  },
  {
    name: 'time and chance come from base/',
    find: lineRule(
      engineCode(ownTime),
      /\bDate\.now\b|\bperformance\.now\b|\bnew Date\(\s*\)|\bMath\.random\b|\bset(Timeout|Interval|Immediate)\b|\bprocess\.hrtime\b/,
    ),
    bad: {
      'engine/room/home.ts': 'const now = Date.now()',
      'engine/edge/a.ts': 'setTimeout(f, 5)',
      'engine/live/a.ts': 'new Date()',
    },
  },
  {
    name: 'no console in the engine',
    find: lineRule(engineCode(ownVoice), /\bconsole\./),
    bad: { 'engine/room/home.ts': 'console.log(1)', 'engine/client/index.ts': 'console.warn(2)' },
  },
  {
    name: 'nothing is left unfinished',
    find: lineRule(
      () => true,
      unfinished,
      (text) => text,
    ),
    bad: { 'engine/a.ts': `// ${'TO'}DO: later`, 'README.md': `${'FIX'}ME` },
  },
  {
    name: 'no registry is named',
    find: lineRule(
      () => true,
      registryHosts,
      (text) => text,
    ),
    bad: { 'package-lock.json': `"https://registry${'.'}example.org/a.tgz"` },
  },
  {
    name: 'the lock file says what, not from where',
    find: lineRule(
      (path) => path === 'package-lock.json',
      /"resolved"/,
      (text) => text,
    ),
    bad: { 'package-lock.json': '{ "resolved": "https://example.org/a.tgz" }' },
  },
  {
    name: 'the lock file holds the builds for every platform',
    find: missingFromLock,
    bad: {
      'package-lock.json':
        '{"packages":{"node_modules/a":{"optionalDependencies":{"a-linux":"1","a-darwin":"1"}},"node_modules/a-linux":{}}}',
    },
  },
  {
    name: 'every dependency is explained in one line, and nothing else is',
    find: unexplained,
    bad: { 'package.json': '{"dependencies":{"a":"1","b":"1"}}', 'engine/DEPENDENCIES.md': '- `a`: x\n- `c`: y' },
  },
]

type LockEntry = { optionalDependencies?: Record<string, string> }

/** npm leaves out an optional package that its registry did not have when the lock was written; `npm ci` then fails elsewhere. */
function missingFromLock(files: readonly File[]): string[] {
  const lock = files.find(({ path }) => path === 'package-lock.json')
  const { packages = {} } = JSON.parse(lock?.text ?? '{}') as { packages?: Record<string, LockEntry> }
  const locked = new Set(
    Object.keys(packages).map((path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)),
  )
  return Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !locked.has(name))
      .map((name) => `${path} wants ${name}`),
  )
}

function unexplained(files: readonly File[]): string[] {
  const textOf = (wanted: string) => files.find(({ path }) => path === wanted)?.text ?? ''
  if (!files.some(({ path }) => path === 'package.json')) return []
  const { dependencies = {}, devDependencies = {} } = JSON.parse(textOf('package.json')) as Record<string, Record<string, string>>
  const named = [...textOf('engine/DEPENDENCIES.md').matchAll(/^- `([^`]+)`: \S/gm)].map(([, name = '']) => name)
  const present = [...Object.keys(dependencies), ...Object.keys(devDependencies)]
  const missing = present.filter((name) => !named.includes(name)).map((name) => `${name} has no line`)
  const stale = named.filter((name) => !present.includes(name)).map((name) => `${name} is not a dependency`)
  const twice = named.filter((name, index) => named.indexOf(name) !== index).map((name) => `${name} stands twice`)
  return [...missing, ...stale, ...twice]
}

describe('the tree', () => {
  const files = [...filesBelow(root)]

  it('is there', () => {
    expect(files.map(({ path }) => path)).toContain('engine/config.ts')
    expect(codeOf(files).flatMap(importsOf).length).toBeGreaterThan(20)
  })

  for (const { name, find } of rules) it(name, () => expect(find(files)).toEqual([]))
})

describe('each rule can fail', () => {
  for (const { name, find, bad } of rules) {
    it(name, () => {
      for (const [path, text] of name.includes('circle') || name.includes('dependency') ? [] : Object.entries(bad)) {
        expect(find([{ path, text }]), path).not.toEqual([])
      }
      expect(find(Object.entries(bad).map(([path, text]) => ({ path, text })))).not.toEqual([])
    })
  }
})

describe('reading code', () => {
  it('finds imports in every form', () => {
    const text = [
      "import a, { type B } from './a.ts'",
      "import type { C } from '../c.ts'",
      "import {\n  d,\n} from 'd'",
      "import 'e'",
      "export { f } from './f.ts'",
      "  const g = await import('./g.ts')",
      " * import { not } from 'a comment'",
    ].join('\n')
    const found = importsOf({ path: 'engine/room/x.ts', text }).map(
      ({ target, typeOnly, lazy }) => `${target} ${typeOnly} ${lazy}`,
    )
    expect(found).toEqual([
      'engine/room/a.ts false false',
      'engine/c.ts true false',
      'd false false',
      'e false false',
      'engine/room/f.ts false false',
      'engine/room/g.ts false true',
    ])
  })

  it('leaves out comments and strings, and keeps the lines', () => {
    const bare = bareCode('a(\'Date.now\') // Date.now\n/* Date.now\n*/ b("x")')
    expect(bare).not.toContain('Date.now')
    expect(bare.split('\n')).toHaveLength(3)
    expect(bare).toContain("b('')")
  })
})
