/**
 * The engine in a simulated world, from a seed: `npm run sim -- --seed 7 --steps 400`.
 *
 *     --seed N     the first seed; the same seed gives the same run (default 1)
 *     --steps M    actions in a run (default 400)
 *     --seeds K    so many runs, one seed after the other (default 1)
 *     --strict     on a lossy bus too, presence and the delivery account must be exact (about one seed in eight breaks this today)
 *     --trace      print what everybody does and reads
 *
 * The parts are the real ones (`world.ts`), people follow a script (`script.ts`), plugins misbehave (`plugins.ts`), and after every step
 * it is checked what must hold (`invariants.ts`). Every third seed runs on a perfect bus, where nothing is excused; on the others
 * messages are lost, delayed and repeated for a while. At the end the bus is well, everybody reads what is left, plugins too, and then
 * leaves: accounts must add up, no durable event may be missing, and nothing may stay behind. A broken promise is printed with the seed, the step and the command that repeats the run.
 */
import { createHash } from 'node:crypto'
import { parseArgs } from 'node:util'
import { elapsedMs } from '../base/clock.ts'
import { noFaults } from './faulty-bus.ts'
import { checkEmpty, checkSettled, checkStep } from './invariants.ts'
import { Script, weather } from './script.ts'
import { type Break, roomIds, type Sabotage, World } from './world.ts'

export interface RunOptions {
  seed: number
  steps: number
  sabotage?: Sabotage
  strict?: boolean
  onTrace?: (line: string) => void
}

export interface RunResult {
  seed: number
  steps: number
  /** The step at which something broke, or all of them. */
  atStep: number
  broken: Break[]
  /** Of everything that was done and read: equal for equal seeds. */
  hash: string
  commits: number
  viewers: number
  dropped: number
  /** What plugins did. */
  plugins: Readonly<Record<string, number>>
}

/** Longer than the longest pause between two attempts. */
const eventsMsMax = 120_000

const isCalm = (seed: number) => seed % 3 === 0

export async function simulate({ seed, steps, sabotage, onTrace, strict = false }: RunOptions): Promise<RunResult> {
  const hash = createHash('sha256')
  const calm = isCalm(seed)
  const world: World = new World(
    seed,
    calm,
    (line) => {
      hash.update(`${world.clock.now()} ${line}\n`)
      onTrace?.(`${world.clock.now() % 10_000_000} ${line}`)
    },
    sabotage,
  )
  weather.set(world, !calm)
  await world.start()
  const script = new Script(world)
  let atStep = 0
  while (atStep < steps && world.breaks.length === 0) {
    atStep++
    await script.step()
    checkStep(world, calm)
  }
  if (world.breaks.length === 0) await windDown(world, calm, calm || strict)
  await world.stop()
  const { breaks, commits, viewers, bus } = world
  return {
    seed,
    steps,
    atStep,
    broken: breaks,
    hash: hash.digest('hex'),
    commits: commits.size,
    viewers: viewers.length,
    dropped: bus.counts.dropped,
    plugins: { ...world.plugins.counts },
  }
}

/** The bus is well, everybody reads; then everybody leaves. */
async function windDown(world: World, calm: boolean, isStrict: boolean): Promise<void> {
  world.trace('wind down')
  world.bus.faults = noFaults
  world.shadowing.clear()
  world.plugins.isWell = true
  for (const viewer of world.live) viewer.socket.pace = 'fast'
  // Requests that time out, a leave that is told five times, resyncs.
  await world.clock.advanceAsync(12_000)
  // A frame that every edge gets shows it what it missed.
  for (const roomId of roomIds) await world.operate(roomId, 'room.set_settings', { slowModeMs: 0 })
  await world.clock.advanceAsync(5_000)
  checkSettled(world, calm, isStrict)
  await checkEvents(world)
  for (const viewer of world.live) viewer.socket.cut(0)
  for (const roomId of roomIds) await world.operate(roomId, 'room.close', {})
  await world.clock.advanceAsync(40_000)
  checkEmpty(world, calm, isStrict)
}

/** The witness reads on until it has seen everything. */
async function checkEvents(world: World): Promise<void> {
  for (let waitedMs = 0; world.host.lag > 0 && waitedMs < eventsMsMax; waitedMs += 1_000) await world.clock.advanceAsync(1_000)
  if (world.host.lag > 0) world.broken('events are delivered', `${world.host.lag} rows are still unread`)
  await world.checkLog()
  world.plugins.checkDelivered(world.commits, await world.deadLetters())
}

export function describeRun({ seed, steps, atStep, broken }: RunResult): string {
  const [first] = broken
  return [
    `seed ${seed}, step ${atStep} of ${steps}: ${first?.invariant}`,
    `  ${first?.detail}`,
    `  again: npm run sim -- --seed ${seed} --steps ${steps} --trace`,
  ].join('\n')
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      steps: { type: 'string', default: '400' },
      seeds: { type: 'string', default: '1' },
      strict: { type: 'boolean', default: false },
      trace: { type: 'boolean', default: false },
    },
  })
  const print = (line: string) => void process.stdout.write(`${line}\n`)
  const [first, steps, seeds] = [Number(values.seed), Number(values.steps), Number(values.seeds)]
  const startedMs = elapsedMs()
  let failed = 0
  for (let seed = first; seed < first + seeds; seed++) {
    const result = await simulate({ seed, steps, strict: values.strict, ...(values.trace ? { onTrace: print } : {}) })
    if (result.broken.length > 0) {
      failed++
      print(describeRun(result))
    } else if (seeds === 1)
      print(`seed ${seed}: ${result.commits} commits, ${result.viewers} viewers, ${result.dropped} messages lost, ${result.hash}`)
  }
  print(`${seeds} runs of ${steps} steps, ${failed} failed, ${((elapsedMs() - startedMs) / 1_000).toFixed(1)} s`)
  process.exitCode = failed === 0 ? 0 : 1
}

if (process.argv[1] !== undefined && import.meta.url === new URL(`file://${process.argv[1]}`).href) await main()
