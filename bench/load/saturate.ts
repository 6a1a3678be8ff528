/**
 * Saturate: ever more danmaku into one room of 1,000 viewers, without the cap, and how many deliveries a CPU second yields.
 *
 * Everything must still arrive in time; the first step in which it does not is the last. A bare uWebSockets.js program with as many frames stands beside the last step. On a machine with
 * few cores the clients need as much as the server: the figure is per CPU second of the server, not per second.
 */
import { type Figures, figures, type Load, Run } from './measure.ts'
import type { Options } from './options.ts'
import { printTable, type Result } from './report.ts'
import { Server } from './server.ts'

const steps = [1_000, 2_000, 5_000, 10_000]
const secondsDefault = 5
const warmMs = 1_500
/** A session has one danmaku under way until it is committed: few talkers would measure how long that takes. */
const talkersDefault = 800
const deliveriesPerCpuSecondMin = 10_000_000
const p99MsMax = 150

export async function saturate(options: Options): Promise<Result> {
  const forMs = (options.seconds ?? secondsDefault) * 1000
  const top = options.rate ?? (steps.at(-1) as number)
  const rates = [...steps.filter((perS) => perS < top), top]
  const { viewers, threads, encoding, signedIn, textBytes } = options
  const shape = { viewers, threads, encoding, signedIn, ...textBytes, talkers: options.talkers ?? talkersDefault }
  const rows: Figures[] = []
  const engine = await Run.start(await Server.engine(options.env, options.nodeFlags), shape)
  try {
    for (const perS of rates) {
      rows.push(await step(engine, { perS, forMs }))
      // What is left of this step would be taken for the next one's.
      if (!inTime(rows.at(-1) as Figures)) break
    }
  } finally {
    await engine.stop()
  }
  const last = rows.at(-1) as Figures
  const lastPerS = rates[rows.length - 1] as number
  const bare = await Run.start(await Server.peer(Math.max(1, Math.round(1000 / last.framesPerSPerConnection))), shape)
  try {
    rows.push(await step(bare, { perS: lastPerS, forMs }))
  } finally {
    await bare.stop()
  }
  console.log(`\nSaturate: ${viewers} connections (${shape.talkers} talk), no cap, ${encoding}, ${forMs / 1000} s a step`)
  printTable(rows)
  const good = rows.slice(0, -1).filter(inTime)
  const best = good.reduce<Figures | undefined>(
    (a, b) => (a && a.deliveriesPerCpuSecond > b.deliveriesPerCpuSecond ? a : b),
    undefined,
  )
  return {
    scenario: 'saturate',
    options: { ...shape, forMs, rates },
    figures: rows,
    targets: [
      {
        what: `deliveries a second and core, everything arrives, p99 <= ${p99MsMax} ms`,
        target: '>= 10 M',
        measured: best
          ? `${(best.deliveriesPerCpuSecond / 1e6).toFixed(2)} M (${Math.round(best.messagesPerS)} msg/s, p99 ${best.p99Ms?.toFixed(0)} ms)`
          : 'no step in which everything arrived in time',
        met: (best?.deliveriesPerCpuSecond ?? 0) >= deliveriesPerCpuSecondMin,
      },
    ],
  }
}

const inTime = (row: Figures): boolean => row.everythingArrived && (row.p99Ms ?? Number.POSITIVE_INFINITY) <= p99MsMax

async function step(run: Run, load: Load): Promise<Figures> {
  await run.warm({ ...load, forMs: warmMs })
  const slice = await run.slice(load)
  return { ...figures(slice, run.rssPerConnectionBytes), name: `${run.server.name}, ${load.perS} msg/s` }
}
