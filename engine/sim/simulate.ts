/**
 * The engine in a simulated world, from a seed: `npm run sim -- --seed 7 --steps 400`.
 *
 *     --seed N     the first seed; the same seed gives the same run (default 1)
 *     --steps M    actions in a run (default 400)
 *     --seeds K    so many runs, one seed after the other (default 1); or the first and the last seed: --seeds 1-500
 *     --strict     on a lossy bus too, presence and the delivery account must be exact (about one seed in eight breaks this today)
 *     --trace      print what everybody does and reads
 *
 * The parts are the real ones (`world.ts`), people follow a script (`script.ts`), plugins misbehave (`plugins.ts`), money is looked at as
 * an auditor would (`money.ts`), and after every step it is checked what must hold (`invariants.ts`). Every third seed runs on a perfect
 * bus, where nothing is excused; on the others messages are lost, delayed and repeated for a while, the ledger fails, and nodes are
 * killed (not with `--strict`). At the end the bus is well, everybody reads what is left, plugins too, and then leaves: accounts must add
 * up, no durable event and no gift may be missing, and nothing may stay behind. A broken promise is printed with the seed, the step and
 * the command that repeats the run.
 */
import { createHash } from 'node:crypto'
import { parseArgs } from 'node:util'
import { elapsedMs } from '../base/clock.ts'
import { noFaults } from './faulty-bus.ts'
import { checkBoards, checkEmpty, checkSettled, checkStep } from './invariants.ts'
import { noLedgerFaults } from './ledger.ts'
import { arrive, askAgain, fund, killing, Script, weather } from './script.ts'
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
  /** What was paid, and what went wrong with it. */
  money: Readonly<Record<string, number>>
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
  killing.set(world, !calm && !strict)
  await world.start()
  const script = new Script(world)
  fund(script)
  world.isSlow = !calm
  let atStep = 0
  while (atStep < steps && world.breaks.length === 0) {
    atStep++
    await script.step()
    checkStep(world, calm)
    await checkBoards(world)
  }
  if (world.breaks.length === 0) await windDown(script, calm, calm || strict)
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
    money: {
      ...world.money.counts,
      ...world.ledger.counts,
      ...world.shop.counts,
      gifts: world.money.gifts.size,
      kills: world.kills,
    },
  }
}

/** The bus is well, everybody reads; then everybody leaves. */
async function windDown(script: Script, calm: boolean, isStrict: boolean): Promise<void> {
  const { world } = script
  world.trace('wind down')
  world.bus.faults = noFaults
  world.shadowing.clear()
  world.plugins.isWell = true
  world.isSlow = false
  await recover(script)
  for (const viewer of world.live) viewer.socket.pace = 'fast'
  // Requests that time out, a leave that is told five times, resyncs.
  await world.clock.advanceAsync(12_000)
  // A frame that every edge gets shows it what it missed.
  for (const roomId of roomIds) await world.operate(roomId, 'room.set_settings', { slowModeMs: 0 })
  await world.clock.advanceAsync(5_000)
  await askAgain(script)
  await world.clock.advanceAsync(3_000)
  checkSettled(world, calm, isStrict)
  await checkBoards(world)
  await checkEvents(world)
  for (const viewer of world.live) viewer.socket.cut(0)
  // A clock that was ahead put its end far away, and until then the room stays.
  for (const roomId of roomIds) await world.operate(roomId, 'wall.hide', {})
  for (const roomId of roomIds) await world.operate(roomId, 'room.close', {})
  await world.clock.advanceAsync(40_000)
  checkEmpty(world, calm, isStrict)
}

/** What is dead comes back, the ledger opens, and every edge meets the homes of now. */
async function recover(script: Script): Promise<void> {
  const { world } = script
  killing.set(world, false)
  world.shop.mood = 'well'
  world.ledger.faults = noLedgerFaults
  world.ledger.isFull = false
  // A kill under way, the longest time that a node is down, and the longest pause of a closed ledger.
  await world.clock.advanceAsync(18_000)
  if (world.isDown) world.broken('nodes come back', 'a node is still down')
  if (!world.ledger.isQuiet) world.broken('nodes come back', `the ledger is ${world.ledger.current.state}`)
  if (world.kills === 0) return
  for (const roomId of roomIds) await world.operate(roomId, 'room.open', {})
  // Somebody who comes in: an edge learns of another home by its first frame.
  for (const roomId of roomIds) {
    const viewer = await arrive(script, `last-in-${roomId}`)
    viewer.send('room.join', {}, roomId)
    await world.verified(viewer)
  }
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

const shown = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')

/** The first seed, and how many. */
function rangeOf(seed: string, seeds: string): [first: number, count: number] {
  const [first, last] = seeds.split('-').map(Number)
  return last === undefined ? [Number(seed), Number(seeds)] : [Number(first), last - Number(first) + 1]
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
  const steps = Number(values.steps)
  const [first, seeds] = rangeOf(values.seed, values.seeds)
  const startedMs = elapsedMs()
  let failed = 0
  let running = first
  // A promise that nobody settles ends the process in silence.
  process.once('beforeExit', () =>
    print(`seed ${running} never ended: npm run sim -- --seed ${running} --steps ${steps} --trace`),
  )
  for (let seed = first; seed < first + seeds; seed++) {
    running = seed
    const result = await simulate({ seed, steps, strict: values.strict, ...(values.trace ? { onTrace: print } : {}) })
    if (result.broken.length > 0) {
      failed++
      print(describeRun(result))
    } else if (seeds === 1) {
      print(`  ${shown(result.plugins)}\n  ${shown(result.money)}`)
      print(`seed ${seed}: ${result.commits} commits, ${result.viewers} viewers, ${result.dropped} messages lost, ${result.hash}`)
    }
  }
  print(`${seeds} runs of ${steps} steps, ${failed} failed, ${((elapsedMs() - startedMs) / 1_000).toFixed(1)} s`)
  process.exit(failed === 0 ? 0 : 1)
}

if (process.argv[1] !== undefined && import.meta.url === new URL(`file://${process.argv[1]}`).href) await main()
