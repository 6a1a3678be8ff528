/**
 * Hot room: 1,000 viewers, 100 danmaku a second; then 500 a second in a room with the cap of 40.
 *
 * The engine, raw uWebSockets.js (a publish per message) and a bare uWebSockets.js program that makes as many frames as the
 * engine did run side by side and take turns in short slices, so that the noise of a shared machine falls on all of them.
 */
import { type Account, accountDuring, accountLines, accountTarget } from './delivery-account.ts'
import { type Figures, figures, type Load, Run } from './measure.ts'
import type { Options } from './options.ts'
import { printTable, type Result, type Target } from './report.ts'
import { Server } from './server.ts'

const perSDefault = 100
const talkersDefault = 100
const secondsDefault = 15
const sliceMs = 2_500
/** Until the code is compiled for speed: at 100 messages a second that would take minutes, so the warm-up is louder. */
const warmMs = 5_000
const warmPerS = 1_000
const capPerS = 40
const cappedPerS = 500
const cappedMs = 10_000
const rawShareMax = 1 / 3
const bareShareMax = 1.3

export async function hotRoom(options: Options): Promise<Result> {
  const room = await sideBySide(options)
  const capped = await cappedRoom(options)
  return {
    scenario: 'hot-room',
    options: { ...shape(options), perS: options.rate ?? perSDefault, sliceMs },
    figures: [...room.rows, capped.row],
    targets: [...room.targets, ...capped.targets],
    more: { account: room.account, cappedAccount: capped.account },
  }
}

function shape(options: Options) {
  const { viewers, threads, encoding, signedIn, textBytes } = options
  return { viewers, threads, encoding, signedIn, ...textBytes, talkers: options.talkers ?? talkersDefault }
}

async function sideBySide(options: Options) {
  const load: Load = { perS: options.rate ?? perSDefault, forMs: sliceMs }
  const rounds = Math.max(1, Math.round(((options.seconds ?? secondsDefault) * 1000) / sliceMs))
  const runs: Run[] = []
  const begin = async (server: Server) => {
    const run = await Run.start(server, shape(options))
    runs.push(run)
    await run.warm({ perS: warmPerS, forMs: warmMs })
    return run
  }
  try {
    const engine = await begin(await Server.engine(options.env, options.nodeFlags))
    // The bare program gathers for as long as the engine's ticks are under this very load.
    const { framesPerSPerConnection } = figures(await engine.slice(load))
    engine.reset()
    await begin(await Server.peer(0))
    // A tick that is due waits half a message's gap for something to send.
    await begin(await Server.peer(Math.max(1, Math.round(1000 / framesPerSPerConnection - 500 / load.perS))))
    const account = await accountDuring(engine, async () => {
      for (let round = 0; round < rounds; round++) for (const run of runs) await run.slice(load)
    })
    const rows = runs.map((run) => figures(run.measured, run.rssPerConnectionBytes))
    const { viewers, talkers, encoding } = shape(options)
    console.log(`\nHot room: ${viewers} connections (${talkers} talk), ${load.perS} msg/s, ${encoding}, no cap,`)
    console.log(`${rounds} slices of ${sliceMs / 1000} s each, taking turns`)
    printTable(rows)
    for (const line of accountLines(account)) console.log(`  account  ${line}`)
    return { rows, account, targets: [...ratios(rows), accountTarget('account, no cap', account, engine.measured.arrived)] }
  } finally {
    await Promise.all(runs.map((run) => run.stop()))
  }
}

function ratios([engine, raw, bare]: readonly Figures[]): Target[] {
  if (!engine || !raw || !bare) throw new Error('three runs make a hot room')
  const ratio = engine.cpuUsPerDelivery / raw.cpuUsPerDelivery
  // The two never make exactly as many frames: what a frame at a connection costs is compared, not what a second costs.
  const overhead = engine.cpuUsPerFrame / bare.cpuUsPerFrame
  const frames = `${engine.framesPerSPerConnection.toFixed(1)} : ${bare.framesPerSPerConnection.toFixed(1)} frames/s`
  return [
    {
      what: 'CPU per delivery against raw uWS publish per message',
      target: '<= 0.33',
      measured: `${ratio.toFixed(2)} (${engine.cpuUsPerDelivery.toFixed(2)} : ${raw.cpuUsPerDelivery.toFixed(2)} us)`,
      met: ratio <= rawShareMax,
    },
    {
      what: 'CPU per frame against a bare uWS program that makes such frames',
      target: '<= 1.3',
      measured: `${overhead.toFixed(2)} (${engine.cpuUsPerFrame.toFixed(1)} : ${bare.cpuUsPerFrame.toFixed(1)} us, ${frames})`,
      met: overhead <= bareShareMax,
    },
    {
      what: 'everything arrived, no cap',
      target: 'all',
      measured: `${engine.arrived} of ${engine.expected}`,
      met: engine.everythingArrived,
    },
  ]
}

/** More than a room shows: every client gets the cap, every sender sees their own, and the account says where the rest went. */
async function cappedRoom(options: Options): Promise<{ row: Figures; account: Account; targets: Target[] }> {
  const env = { ...options.env, LIVEHOUSE_DANMAKU_PER_CLIENT_MAX: String(capPerS) }
  const run = await Run.start(await Server.engine(env), shape(options))
  try {
    await run.warm({ perS: cappedPerS, forMs: warmMs })
    const account = await accountDuring(run, async () => void (await run.slice({ perS: cappedPerS, forMs: cappedMs })))
    const row = { ...figures(run.measured, run.rssPerConnectionBytes), name: `engine, cap ${capPerS}/s` }
    console.log(`\nThe same room at ${cappedPerS} msg/s with the cap of ${capPerS} a second (arriving in full is not the aim)`)
    printTable([row])
    for (const line of accountLines(account)) console.log(`  account  ${line}`)
    const perClient = run.measured.arrived / run.measured.connections / run.measured.seconds
    const targets = [
      accountTarget(`account, cap ${capPerS}/s`, account, run.measured.arrived),
      {
        what: `danmaku per client and second, cap ${capPerS}/s`,
        target: `about ${capPerS}`,
        measured: perClient.toFixed(1),
        met: perClient <= capPerS * 1.15 && perClient >= capPerS * 0.7,
      },
    ]
    return { row, account, targets }
  } finally {
    await run.stop()
  }
}
