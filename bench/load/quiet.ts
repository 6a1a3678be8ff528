/**
 * Quiet room: 1,000 viewers and 10 danmaku a second; how long a message is on its way. A thousand writes take their time whoever
 * makes them: raw uWebSockets.js under the same load stands beside the engine.
 */
import { type Figures, figures, type Load, Run } from './measure.ts'
import type { Options } from './options.ts'
import { printTable, type Result } from './report.ts'
import { Server } from './server.ts'
import type { SwarmOptions } from './swarm.ts'

const perSDefault = 10
const secondsDefault = 20
const warmMs = 3_000
const talkersDefault = 10
const p99MsMax = 15

export async function quiet(options: Options): Promise<Result> {
  const load = { perS: options.rate ?? perSDefault, forMs: (options.seconds ?? secondsDefault) * 1000 }
  const { viewers, threads, encoding, signedIn, textBytes } = options
  const shape = { viewers, threads, encoding, signedIn, ...textBytes, talkers: options.talkers ?? talkersDefault }
  const row = await measure(await Server.engine(options.env, options.nodeFlags), shape, load)
  const raw = await measure(await Server.peer(0), shape, load)
  console.log(`\nQuiet room: ${viewers} connections, ${load.perS} msg/s, ${load.forMs / 1000} s`)
  printTable([row, raw])
  const p99 = row.p99Ms ?? Number.POSITIVE_INFINITY
  const measured = `p50 ${row.p50Ms?.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, max ${row.maxMs.toFixed(1)} ms, ${row.timedSamples} samples`
  const remark = `raw uWS: p50 ${raw.p50Ms?.toFixed(1)} ms, p99 ${raw.p99Ms?.toFixed(1)} ms`
  return {
    scenario: 'quiet',
    options: { ...shape, ...load },
    figures: [row, raw],
    targets: [
      {
        what: 'time from sending to receiving in a quiet room',
        target: `p99 <= ${p99MsMax} ms`,
        measured,
        met: p99 <= p99MsMax,
        remark,
      },
      { what: 'everything arrived', target: 'all', measured: `${row.arrived} of ${row.expected}`, met: row.everythingArrived },
    ],
  }
}

async function measure(server: Server, shape: Omit<SwarmOptions, 'port' | 'secret'>, load: Load): Promise<Figures> {
  const run = await Run.start(server, shape)
  try {
    await run.warm({ ...load, forMs: warmMs })
    await run.slice(load)
    return figures(run.measured, run.rssPerConnectionBytes)
  } finally {
    await run.stop()
  }
}
