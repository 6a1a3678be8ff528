/**
 * Plugins: what a guard on danmaku costs the engine, and how long a message waits for it, in each place that a plugin can run in.
 *
 * For every place the engine's side has a process of its own (`guard-engine.ts`), whose CPU is read; the plugin of a remote place
 * (`guard-remote.ts`) and its nats-server have theirs. Rooms and sockets are left out: it is the way of a question that is measured.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { startNatsServer } from '../../engine/base/nats-server.ts'
import { pluginToken } from '../../engine/plugin/remote/sealed.ts'
import type { GuardFigures, GuardRun, GuardTask } from './guard-engine.ts'
import plugin, { budgetMs } from './guard-plugin.ts'
import type { Options } from './options.ts'
import { printCells, type Result, type Target } from './report.ts'

const secondsDefault = 5
const places: readonly GuardTask['place'][] = ['none', 'inline', 'worker', 'remote one by one', 'remote']
const names: Record<GuardTask['place'], string> = {
  none: 'no guard',
  inline: 'inline',
  worker: 'worker thread',
  'remote one by one': 'remote, one by one',
  remote: 'remote, batched',
}
const ratesOf = ({ rate }: Options): number[] => (rate === undefined ? [5_000, 20_000] : [rate])
const inlineNsMax = 100
const remoteUsMax = 6
const remoteSaturatedUsMax = 3

export async function plugins(options: Options): Promise<Result> {
  const nats = await startNatsServer()
  const secret = randomBytes(32).toString('hex')
  const all: GuardFigures[] = []
  try {
    for (const place of places) {
      const isRemote = place.startsWith('remote')
      const remote = isRemote ? forked('guard-remote', [nats.url, pluginToken(secret, plugin.name)]) : undefined
      const seconds = options.seconds ?? secondsDefault
      const task: GuardTask = { place, natsUrl: nats.url, secret, seconds, rates: ratesOf(options) }
      try {
        all.push(await figuresOf(forked('guard-engine', [JSON.stringify(task)], options.nodeFlags)))
      } finally {
        remote?.kill()
      }
    }
  } finally {
    await nats.stop()
  }
  print(all)
  return {
    scenario: 'plugins',
    options: { seconds: options.seconds ?? secondsDefault, rates: ratesOf(options), budgetMs },
    figures: all,
    targets: targetsOf(all),
  }
}

/** In the form that this file has itself: source or dist. */
function forked(name: string, args: readonly string[], flags: readonly string[] = []): ChildProcess {
  const source = import.meta.url.endsWith('.ts')
  const script = fileURLToPath(new URL(`./${name}.${source ? 'ts' : 'js'}`, import.meta.url))
  const loader = source ? ['--import', 'tsx'] : []
  const child = fork(script, args, { execArgv: [...flags, ...loader], env: { ...process.env, NODE_ENV: 'production' } })
  const orphan = () => child.kill('SIGKILL')
  process.once('exit', orphan)
  child.once('exit', () => process.off('exit', orphan))
  return child
}

function figuresOf(child: ChildProcess): Promise<GuardFigures> {
  return new Promise((resolve, reject) => {
    let figures: GuardFigures | undefined
    child.on('message', (message) => (figures = message as GuardFigures))
    // A profile of it is written on the way out.
    child.once('exit', (code) => (figures ? resolve(figures) : reject(new Error(`guard-engine ended with ${code}`))))
  })
}

const shown = (value: number | undefined, digits: number): string =>
  value === undefined ? '-' : value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })

function print(all: readonly GuardFigures[]): void {
  console.log(`\nPlugins: a guard on danmaku, ${all[0]?.askBytes} bytes a question as JSON, budget ${budgetMs} ms`)
  const head = [
    '',
    'asked/s',
    'msg/s',
    'CPU us/msg',
    'main thread',
    'loop us/msg',
    'CPU %',
    'p50 ms',
    'p99 ms',
    'max ms',
    'a batch',
    'to policy %',
  ]
  const rows = all.flatMap(({ place, runs }) => runs.map((run) => cellsOf(names[place], run)))
  printCells([head, ...rows])
}

function cellsOf(name: string, run: GuardRun): string[] {
  const digits = run.cpuUs < 1 ? 3 : 1
  const batch = run.batchItems === 0 ? '-' : shown(run.batchItems, 1)
  const rate = run.rate === 0 ? 'all' : shown(run.rate, 0)
  return [
    ...[
      name,
      rate,
      shown(run.perS, 0),
      shown(run.cpuUs, digits),
      shown(run.mainCpuUs, digits),
      shown(run.loopUs, digits),
      shown(run.cpuShare * 100, 0),
    ],
    ...[run.p50Ms, run.p99Ms].map((ms) => shown(ms, 1)),
    ...[run.rate === 0 ? '-' : shown(run.maxMs, 1), batch, shown(run.policyShare * 100, 2)],
  ]
}

function targetsOf(all: readonly GuardFigures[]): Target[] {
  const runsOf = (place: GuardTask['place']) => all.find((one) => one.place === place)?.runs ?? []
  const [inline] = runsOf('inline')
  const [saturated, ...paced] = runsOf('remote')
  /** What the generator costs alone: it is no part of the engine. */
  const alone = (rate: number) => runsOf('none').find((run) => run.rate === rate)?.cpuUs ?? 0
  const targets: Target[] = []
  const add = (what: string, { value, max, unit }: { value: number; max: number; unit: string }) =>
    targets.push({ what, target: `<= ${max} ${unit}`, measured: `${shown(value, 2)} ${unit}`, met: value <= max })
  if (inline) add('a message and inline guard, CPU', { value: inline.cpuUs * 1_000, max: inlineNsMax, unit: 'ns' })
  if (saturated)
    add('a message and remote guard, CPU, saturated', {
      value: saturated.cpuUs - alone(0),
      max: remoteSaturatedUsMax,
      unit: 'us',
    })
  for (const { rate, cpuUs, p99Ms = Number.POSITIVE_INFINITY } of paced) {
    add(`remote guard at ${shown(rate, 0)}/s, p99`, { value: p99Ms, max: budgetMs, unit: 'ms' })
    if (rate >= 20_000)
      add(`remote guard at ${shown(rate, 0)}/s, CPU a message`, { value: cpuUs - alone(rate), max: remoteUsMax, unit: 'us' })
  }
  return targets
}
