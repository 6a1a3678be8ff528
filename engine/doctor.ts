/**
 * `livehouse doctor`: what this machine has and lacks, one line each, with the remedy.
 *
 *   ok       Node             20.20.2
 *   problem  public port      127.0.0.1:8080 is in use
 *            -> stop the other program, or choose another port: --port 9000
 *
 * Native parts are loaded in a process of their own: one that kills it is a finding, not the end of the doctor.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, dirname, join, resolve } from 'node:path'
import { examineWorker } from '../sfu/worker/state.ts'
import { packageRoot } from './base/package.ts'
import { type Config, ConfigError, type ConfigSources, configFrom, loadConfig } from './config.ts'

export type Finding = {
  name: string
  state: 'ok' | 'warn' | 'problem'
  found: string
  remedy?: string
}

const ok = (name: string, found: string): Finding => ({ name, state: 'ok', found })
const warn = (name: string, found: string, remedy: string): Finding => ({ name, state: 'warn', found, remedy })
const problem = (name: string, found: string, remedy: string): Finding => ({ name, state: 'problem', found, remedy })

export type Diagnosis = { healthy: boolean; findings: Finding[]; text: string }

/** `argv` may hold `--json` and the options of serve. */
export async function runDoctor({ argv = [], ...sources }: ConfigSources): Promise<Diagnosis> {
  const { config, findings: configFindings } = readConfig({ ...sources, argv: argv.filter((flag) => flag !== '--json') })
  const findings = [
    ...configFindings,
    node(),
    npm(),
    glibc(),
    sockets(),
    sqlite(),
    pages(config),
    dataFolder(config),
    secretFile(config),
    ...(await database(config)),
    await port('public port', config.host, config.port, '--port 9000'),
    await port('admin port', config.adminHost, config.adminPort, '--admin-port 9001'),
    openFiles(config),
    { name: 'media worker', ...(await examineWorker()) },
    program('chromium', 'the browser tests'),
    program('nats-server', 'the tests of the bus'),
    program('postgres', 'the tests of the ledger on Postgres', 'postgresql'),
  ]
  const healthy = findings.every((finding) => finding.state !== 'problem')
  const text = argv.includes('--json') ? JSON.stringify({ healthy, findings }, null, 2) : inWords(findings)
  return { healthy, findings, text }
}

function inWords(findings: readonly Finding[]): string {
  const lines = findings.map(({ state, name, found, remedy }) => {
    const line = `${state.padEnd(8)} ${name.padEnd(16)} ${found}`
    return remedy ? `${line}\n         -> ${remedy}` : line
  })
  const problems = findings.filter((finding) => finding.state === 'problem').length
  return `${lines.join('\n')}\n\n${problems === 0 ? 'Nothing is in the way of: livehouse serve' : `${problems} to solve.`}`
}

/** With a configuration that cannot be used, the rest is checked against the defaults. */
function readConfig(sources: ConfigSources): { config: Config; findings: Finding[] } {
  try {
    return { config: loadConfig(sources), findings: [ok('configuration', 'valid')] }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const remedy = 'livehouse serve --help lists all options; the lines below are for the defaults'
    return { config: configFrom(), findings: error.problems.map((line) => problem('configuration', line, remedy)) }
  }
}

function node(): Finding {
  const { node: version } = process.versions
  const major = Number(version.split('.')[0])
  return major >= 20 ? ok('Node', version) : problem('Node', version, 'install Node 20 or newer')
}

function npm(): Finding {
  const { status, stdout } = spawnSync('npm', ['--version'], { encoding: 'utf8', timeout: 20_000 })
  return status === 0
    ? ok('npm', stdout.trim())
    : warn('npm', 'not found', 'only needed to install and build: apt-get install npm')
}

function glibc(): Finding {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  const version = report.header?.glibcVersionRuntime
  if (!version) return warn('glibc', 'none: another C library', 'the native parts are made for glibc; see the next lines')
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > 2 || minor >= 34) return ok('glibc', version)
  return problem('glibc', version, 'uWebSockets.js needs 2.34: Debian 12, Ubuntu 22.04 or newer')
}

/** What a short program prints that runs beside the packages of the engine; `error`: why it did not. */
function probe(code: string): { printed: string; error?: string } {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['--input-type=commonjs', '-e', code], {
    cwd: packageRoot,
    encoding: 'utf8',
    timeout: 20_000,
  })
  if (status === 0) return { printed: stdout.trim() }
  const line = stderr.split('\n').find((text) => /Error/.test(text)) ?? `ended with ${signal ?? status}`
  return { printed: '', error: line.trim() }
}

const officialSockets = 'use Node 20, or the official build for newer ones (engine/DEPENDENCIES.md)'

/** Without a native build for this Node the package falls back to a slow imitation in JavaScript and only prints a warning. */
function sockets(): Finding {
  const name = 'uWebSockets.js'
  const native = "Object.keys(require.cache).find((file) => /uws_\\w+\\.node$/.test(file)) ?? ''"
  const { printed, error } = probe(`require('uWebSockets.js'); console.log('\\nloaded ' + (${native}))`)
  if (error) return problem(name, error, 'npm install')
  const file = /^loaded (.+)$/m.exec(printed)?.[1]
  if (file) return ok(name, `native, ${file.slice(file.lastIndexOf('/') + 1)}`)
  if (process.env.UWS_USE_FALLBACK) return problem(name, 'UWS_USE_FALLBACK asks for the slow imitation', 'unset UWS_USE_FALLBACK')
  return problem(
    name,
    `no native build for Node ${process.versions.node} on ${process.arch}, only a slow imitation`,
    officialSockets,
  )
}

function sqlite(): Finding {
  const name = 'better-sqlite3'
  const { printed, error } = probe(
    "const db = new (require('better-sqlite3'))(':memory:'); console.log(db.prepare('select sqlite_version()').pluck().get())",
  )
  return error ? problem(name, error, 'npm rebuild better-sqlite3 (needs python3, g++ and make)') : ok(name, `SQLite ${printed}`)
}

function pages(config: Config): Finding {
  const folder = resolve(config.pagesDir || join(packageRoot, 'dist/pages'))
  return existsSync(folder) ? ok('pages', folder) : warn('pages', `${folder} does not exist`, 'npm run build')
}

function dataFolder(config: Config): Finding {
  const folder = resolve(config.dataDir)
  let existing = folder
  while (!existsSync(existing)) existing = dirname(existing)
  try {
    accessSync(existing, constants.W_OK | constants.X_OK)
  } catch {
    return problem('data folder', `${existing} cannot be written`, 'give this user the folder, or choose another: --data-dir DIR')
  }
  if (!statSync(existing).isDirectory()) return problem('data folder', `${existing} is a file`, 'choose another: --data-dir DIR')
  return ok('data folder', existing === folder ? folder : `${folder}, made at the first start`)
}

function secretFile(config: Config): Finding {
  const file = resolve(config.dataDir, 'secret')
  if (config.secret) return ok('secret', 'from the configuration')
  if (!existsSync(file)) return ok('secret', 'made at the first start')
  const mode = statSync(file).mode & 0o777
  if ((mode & 0o077) === 0) return ok('secret', `${file}, mode 0${mode.toString(8)}`)
  return problem(
    'secret',
    `${file} can be read by other users (mode 0${mode.toString(8)})`,
    `chmod 600 ${file}, and delete it to make a new one`,
  )
}

/** Loaded when it is asked for: a machine without Postgres needs no client of it. */
async function database({ databaseUrl, money }: Config): Promise<Finding[]> {
  if (databaseUrl === '' || !money) return []
  const { lookAtPostgres } = await import('./ledger/postgres-ledger.ts')
  try {
    return [ok('database', await lookAtPostgres({ url: databaseUrl }))]
  } catch (error) {
    const remedy = 'see that the server runs, and that LIVEHOUSE_DATABASE_URL has its address, database, user and password'
    return [problem('database', error instanceof Error ? error.message : String(error), remedy)]
  }
}

function port(name: string, host: string, number: number, other: string): Promise<Finding> {
  const address = `${host}:${number}`
  if (number === 0) return Promise.resolve(ok(name, `${host}, a free one is picked`))
  return new Promise((done) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => done(portProblem(name, address, error.code ?? error.message, other)))
    server.listen({ host, port: number, exclusive: true }, () => server.close(() => done(ok(name, `${address} is free`))))
  })
}

function portProblem(name: string, address: string, code: string, other: string): Finding {
  if (code === 'EADDRINUSE') {
    return problem(
      name,
      `${address} is in use`,
      `perhaps the engine already runs; else stop the other program, or choose another: ${other}`,
    )
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return problem(name, `${address} is no address of this machine`, 'choose another host')
  if (code === 'EACCES') return problem(name, `${address} needs more rights`, `choose a port from 1024 on: ${other}`)
  return problem(name, `${address}: ${code}`, `choose another: ${other}`)
}

/** Files that the engine holds open besides the sockets of clients: database, log, libraries, admin. */
const otherFiles = 200

function openFiles(config: Config): Finding {
  let limit = Number.POSITIVE_INFINITY
  try {
    const soft = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    if (soft !== undefined && soft !== 'unlimited') limit = Number(soft)
  } catch {
    return warn('open files', 'the limit cannot be read here', 'see that it is above connectionsMax')
  }
  if (limit >= config.connectionsMax + otherFiles) return ok('open files', `${limit}, for ${config.connectionsMax} connections`)
  const held = Math.max(0, limit - otherFiles)
  return warn(
    'open files',
    `${limit}: holds about ${held} of ${config.connectionsMax} connections`,
    `ulimit -n ${config.connectionsMax + otherFiles}, or LimitNOFILE= in systemd`,
  )
}

function program(name: string, purpose: string, debianName = name): Finding {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', ...postgresFolders()]
  const file = folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
  return file ? ok(name, file) : warn(name, `not found, only ${purpose} need it`, `apt-get install ${debianName}`)
}

/** Debian keeps the programs of its server off the PATH, a folder a version. */
function postgresFolders(): string[] {
  const folder = '/usr/lib/postgresql'
  return existsSync(folder) ? readdirSync(folder).map((version) => join(folder, version, 'bin')) : []
}
