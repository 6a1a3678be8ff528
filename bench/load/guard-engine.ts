/**
 * The engine's side of one guard, in a process of its own so that its CPU can be read: the real `Guards`, the real place, and a
 * generator that asks. Forked by `plugins.ts`, which gets a `GuardFigures` and lets it end.
 *
 *     node guard-engine.js '{"place":"remote","natsUrl":"nats://...","secret":"...","seconds":4,"rates":[5000,20000]}'
 *
 * Every question is asked in a turn of its own, as messages of different sockets come in. Saturated: `window` questions are always
 * open (a guard that answers at once has one). At a rate: what is due is asked each millisecond, whatever is still open.
 */
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { SystemClock } from '../../engine/base/clock.ts'
import { silentLog } from '../../engine/base/log.ts'
import { connectNats } from '../../engine/base/nats.ts'
import { packageVersion } from '../../engine/base/package.ts'
import { Guards, type Ruling } from '../../engine/plugin/checks/guards.ts'
import { HookMeters } from '../../engine/plugin/checks/meters.ts'
import type { Ask } from '../../engine/plugin/define.ts'
import { manifestOf } from '../../engine/plugin/manifest.ts'
import { InlinePlace } from '../../engine/plugin/places/inline.ts'
import type { Batching } from '../../engine/plugin/places/link.ts'
import type { Place, PlaceParts } from '../../engine/plugin/places/place.ts'
import { RemotePlace } from '../../engine/plugin/places/remote-place.ts'
import { WorkerPlace } from '../../engine/plugin/places/worker.ts'
import { listenForPlugins } from '../../engine/plugin/remote/remote.ts'
import plugin, { budgetMs } from './guard-plugin.ts'
import { Histogram } from './histogram.ts'

export interface GuardTask {
  place: 'none' | 'inline' | 'worker' | 'remote' | 'remote one by one'
  natsUrl: string
  secret: string
  /** Of each measurement. */
  seconds: number
  rates: readonly number[]
}

export interface GuardRun {
  /** Asked for a second; 0: as many as possible. */
  rate: number
  perS: number
  /** User + system time of the whole process for one question, and of its main thread alone. */
  cpuUs: number
  mainCpuUs: number
  /** Time of one question in which the event loop was not waiting. */
  loopUs: number
  cpuShare: number
  p50Ms: number | undefined
  p99Ms: number | undefined
  maxMs: number
  /** Share of questions that the failure policy decided. */
  policyShare: number
  /** Questions in one batch; 0 where there are none. */
  batchItems: number
}
export interface GuardFigures {
  place: GuardTask['place']
  askBytes: number
  runs: GuardRun[]
}

const on = 'danmaku.send'
const window = 256
const warmMs = 3_000
const policyPauseMs = 5
const lookAgainMs = 100
const text = 'what a goal look at that one again he is on fire tonight, is he not'

const clock = new SystemClock()
const sdk = packageVersion()
const onError = (error: unknown) => {
  throw error
}

async function main(): Promise<void> {
  const task = JSON.parse(process.argv[2] ?? '{}') as GuardTask
  process.once('disconnect', () => process.exit(0))
  const place = await placeOf(task)
  const guards = new Guards(() => {})
  if (place) {
    const check = (ask: Ask<unknown>) => place.check(0, ask, budgetMs)
    const meters = new HookMeters({ kind: 'guard', on })
    guards.set(on, [{ plugin: plugin.name, order: 1, onFailure: 'open', meters, check }])
  }
  const drive = new Drive(guards, place)
  await drive.saturated(warmMs)
  const runs = [await drive.saturated(task.seconds * 1_000)]
  for (const rate of task.rates) {
    // What is compiled while it is measured is no cost of a message: a sixth of the first seconds at a rate.
    await drive.paced(rate, warmMs)
    runs.push(await drive.paced(rate, task.seconds * 1_000))
  }
  const askBytes = Buffer.byteLength(JSON.stringify(askOf(1)))
  process.send?.({ place: task.place, askBytes, runs } satisfies GuardFigures, () => process.exit(0))
}

// ---------------------------------------------------------------- places

async function placeOf(task: GuardTask): Promise<Place | undefined> {
  if (task.place === 'none') return undefined
  if (task.place === 'inline') return started(new InlinePlace(plugin, sdk, partsOf()))
  if (task.place === 'worker') {
    const suffix = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    return started(await WorkerPlace.load(fileURLToPath(new URL(`./guard-plugin.${suffix}`, import.meta.url)), sdk, partsOf()))
  }
  return remotePlace(task)
}

async function started<P extends Place>(place: P): Promise<P> {
  await place.start(1, {})
  return place
}

/** Resolves when an instance has attached and is ready. */
async function remotePlace({ natsUrl, secret, place: kind }: GuardTask): Promise<Place> {
  const link = connectNats({ url: natsUrl, name: 'bench engine', clock, log: silentLog })
  await link.whenUp()
  let onReady = () => {}
  const ready = new Promise<void>((resolve) => (onReady = resolve))
  const oneByOne: Batching = { itemsMax: 1, inFlightMax: Number.POSITIVE_INFINITY, gatherMs: 0 }
  const parts = partsOf(onReady)
  const place = await started(
    new RemotePlace(manifestOf(plugin, sdk), kind === 'remote' ? parts : { ...parts, batching: oneByOne }),
  )
  listenForPlugins({
    link,
    clock,
    log: silentLog,
    engineId: 'bench',
    secret,
    onAttach({ instance, channel }) {
      place.join(instance, channel)
      return { ok: true }
    },
  })
  await ready
  return place
}

const partsOf = (onReady = () => {}): PlaceParts => ({
  clock,
  liveClock: clock,
  log: silentLog,
  events: {
    onCall: () => Promise.reject(new Error('the plugin of the bench calls nobody')),
    onInstance: (change) => change === 'attached' && onReady(),
    onUnfit: (_, msg) => onError(new Error(msg)),
    onLog: () => {},
    onCount: () => {},
  },
})

// ---------------------------------------------------------------- load

/** A fresh one for each question, as the home of a room makes it. */
const askOf = (n: number): Ask<{ text: string }> => ({
  room: 'demo',
  at: 1_760_000_000_000 + n,
  from: { userId: 'viewer-123', name: 'viewer 123', anonymous: false, ranks: [] },
  d: { text },
})

class Drive {
  readonly #guards: Guards
  readonly #place: Place | undefined
  #asked = 0
  #ruled = 0
  #policy = 0
  #times = new Histogram()

  constructor(guards: Guards, place: Place | undefined) {
    this.#guards = guards
    this.#place = place
  }

  async saturated(forMs: number): Promise<GuardRun> {
    return this.#measured(0, async () => {
      const until = performance.now() + forMs
      let isOver = false
      const one = async () => {
        while (!isOver) {
          // Looking at the time costs half as much as an inline guard.
          if ((this.#asked & 127) === 0) isOver = performance.now() >= until
          const ruling = this.#ask()
          const { unchecked } = this.#note(ruling instanceof Promise ? await ruling : ruling)
          // Policy answers at once: asking on and on would keep this thread from ever hearing the plugin again.
          if (unchecked.length > 0) await pause(policyPauseMs)
        }
      }
      await Promise.all(Array.from({ length: window }, one))
    })
  }

  async paced(rate: number, forMs: number): Promise<GuardRun> {
    return this.#measured(rate, async () => {
      const start = performance.now()
      for (let elapsed = 0; elapsed < forMs; elapsed = performance.now() - start) {
        const due = Math.floor((elapsed * rate) / 1_000)
        while (this.#asked < due) {
          this.#timed()
          await undefined // the next one comes in a turn of its own
        }
        await pause(1)
      }
      while (this.#ruled < this.#asked) await pause(1)
    })
  }

  #ask(): Ruling | Promise<Ruling> {
    return this.#guards.ask(on, askOf(this.#asked++))
  }

  #timed(): void {
    const askedAt = performance.now()
    const ended = (ruling: Ruling) => {
      this.#times.add((performance.now() - askedAt) * 1_000)
      this.#note(ruling)
    }
    const ruling = this.#ask()
    if (ruling instanceof Promise) void ruling.then(ended)
    else ended(ruling)
  }

  #note(ruling: Ruling): Ruling {
    this.#ruled++
    if (ruling.unchecked.length > 0) this.#policy++
    return ruling
  }

  /** A breaker that the last run left open is no part of the next. */
  async #healthy(): Promise<void> {
    while ((await this.#ask()).unchecked.length > 0) await pause(lookAgainMs)
  }

  async #measured(rate: number, run: () => Promise<void>): Promise<GuardRun> {
    await this.#healthy()
    this.#asked = this.#ruled = this.#policy = 0
    this.#times.clear()
    const { batches = 0, items = 0 } = this.#place?.counts ?? {}
    const [cpu, mainUs, start] = [process.cpuUsage(), mainThreadUs(), performance.now()]
    const loop = performance.eventLoopUtilization()
    await run()
    const { user, system } = process.cpuUsage(cpu)
    const [wholeMs, ruled] = [performance.now() - start, Math.max(1, this.#ruled)]
    const inBatches = (this.#place?.counts.batches ?? 0) - batches
    return {
      rate,
      perS: (ruled * 1_000) / wholeMs,
      cpuUs: (user + system) / ruled,
      mainCpuUs: (mainThreadUs() - mainUs) / ruled,
      loopUs: (performance.eventLoopUtilization(loop).active * 1_000) / ruled,
      cpuShare: (user + system) / 1_000 / wholeMs,
      p50Ms: this.#times.quantileMs(0.5),
      p99Ms: this.#times.quantileMs(0.99),
      maxMs: this.#times.maxMs,
      policyShare: this.#policy / ruled,
      batchItems: inBatches === 0 ? 0 : ((this.#place?.counts.items ?? 0) - items) / inBatches,
    }
  }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Time on a core of the thread that runs this, as the kernel counts it. */
const mainThreadUs = (): number =>
  Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ', 1)[0]) / 1_000

void main()
