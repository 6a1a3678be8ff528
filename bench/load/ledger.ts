/**
 * Gifts acknowledged on disk: how many a second, how long one waits, what it costs, and what the thread of the sockets feels of it.
 *
 * The engine's ledger beside the same path with nothing at its end, raw better-sqlite3 and, where a Postgres is installed, raw `pg` and
 * the engine's ledger on Postgres: each in a process of its own (`ledger-engine.ts`) with its files in the system's folder for temporary
 * files, the server of Postgres too. Rooms and sockets are left out.
 */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { postgresPrograms, startPostgres } from '../../engine/ledger/postgres-server.ts'
import type { LedgerFigures, LedgerRun, LedgerTask } from './ledger-engine.ts'
import type { Way } from './ledger-tills.ts'
import type { Options } from './options.ts'
import { printCells, type Result, type Target } from './report.ts'

const secondsDefault = 5
const embedded: readonly Way[] = ['none', 'null', 'raw', 'ledger']
const onServer: readonly Way[] = ['pg-raw', 'postgres']
const names: Record<Way, string> = {
  none: 'generator alone',
  null: 'keeps nothing',
  raw: 'raw SQLite, one by one',
  ledger: 'ledger',
  'pg-raw': 'raw pg, one by one',
  postgres: 'ledger on Postgres',
}
const ratesOf = ({ rate }: Options): number[] => (rate === undefined ? [1_000, 5_000, 20_000] : [rate])
const saturatedPerSMin = 30_000
const p50At = 5_000
const p50MsMax = 5
const loopMsMax = 10

export async function ledger(options: Options): Promise<Result> {
  const seconds = options.seconds ?? secondsDefault
  const all: LedgerFigures[] = []
  const task = { seconds, rates: ratesOf(options) }
  for (const way of embedded) all.push(await figuresOf({ way, ...task }, options.nodeFlags))
  if (postgresPrograms() === undefined) console.log('no Postgres server is installed: left out')
  else all.push(...(await serverFigures(task, options.nodeFlags)))
  print(all)
  return { scenario: 'ledger', options: { seconds, rates: ratesOf(options) }, figures: all, targets: targetsOf(all) }
}

async function serverFigures(task: Omit<LedgerTask, 'way'>, flags: readonly string[]): Promise<LedgerFigures[]> {
  const server = await startPostgres()
  try {
    const all: LedgerFigures[] = []
    for (const way of onServer) all.push(await figuresOf({ way, ...task, databaseUrl: await server.createDatabase() }, flags))
    return all
  } finally {
    await server.stop()
  }
}

function figuresOf(task: LedgerTask, flags: readonly string[]): Promise<LedgerFigures> {
  const source = import.meta.url.endsWith('.ts')
  const script = fileURLToPath(new URL(`./ledger-engine.${source ? 'ts' : 'js'}`, import.meta.url))
  const execArgv = [...flags, ...(source ? ['--import', 'tsx'] : [])]
  const child = fork(script, [JSON.stringify(task)], { execArgv, env: { ...process.env, NODE_ENV: 'production' } })
  return new Promise((resolve, reject) => {
    let figures: LedgerFigures | undefined
    child.on('message', (message) => (figures = message as LedgerFigures))
    child.once('exit', (code) => (figures ? resolve(figures) : reject(new Error(`ledger-engine ended with ${code}`))))
  })
}

const shown = (value: number | undefined, digits: number): string =>
  value === undefined ? '-' : value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })

function print(all: readonly LedgerFigures[]): void {
  console.log('\nLedger: gifts that are on disk when they are answered')
  const head = [
    '',
    'asked/s',
    'gifts/s',
    'p50 ms',
    'p99 ms',
    'max ms',
    'CPU us/gift',
    'main thread',
    'CPU %',
    'loop p50 ms',
    'loop p99 ms',
    'a commit',
  ]
  printCells([head, ...all.flatMap(({ way, runs }) => runs.map((run) => cellsOf(way, run)))])
}

function cellsOf(way: Way, run: LedgerRun): string[] {
  return [
    names[way],
    run.rate === 0 ? 'all' : shown(run.rate, 0),
    shown(run.perS, 0),
    ...[run.p50Ms, run.p99Ms, run.maxMs].map((ms) => shown(ms, 1)),
    ...[run.cpuUs, run.mainCpuUs].map((us) => shown(us, 1)),
    shown(run.cpuShare * 100, 0),
    shown(run.loopP50Ms, 1),
    shown(run.loopP99Ms, 1),
    way === 'none' ? '-' : shown(run.giftsACommit, 1),
  ]
}

function targetsOf(all: readonly LedgerFigures[]): Target[] {
  const [saturated, ...paced] = all.find(({ way }) => way === 'ledger')?.runs ?? []
  const targets: Target[] = []
  if (saturated)
    targets.push({
      what: 'gifts acknowledged on disk',
      target: `>= ${shown(saturatedPerSMin, 0)}/s`,
      measured: `${shown(saturated.perS, 0)}/s`,
      met: saturated.perS >= saturatedPerSMin,
    })
  for (const { rate, perS, p50Ms = Number.POSITIVE_INFINITY, loopP99Ms } of paced) {
    const at = `at ${shown(rate, 0)}/s`
    const atMost = (what: string, ms: number, max: number) =>
      targets.push({
        what: `${what} ${at}`,
        target: `<= ${max} ms`,
        measured: `${shown(ms, 1)} ms`,
        met: ms <= max && perS >= rate * 0.95,
      })
    if (rate === p50At) atMost('p50', p50Ms, p50MsMax)
    atMost('main thread, how late p99,', loopP99Ms, loopMsMax)
  }
  return targets
}
