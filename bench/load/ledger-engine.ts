/**
 * One way of paying for gifts, in a process of its own so that its CPU and its loop can be read. Forked by `ledger.ts`.
 *
 *     node ledger-engine.js '{"way":"ledger","seconds":5,"rates":[1000,5000,20000]}'
 *
 * `ledger-tills.ts` has the ways.
 * Saturated: `window` gifts are always open. At a rate: what is due is sent each millisecond, whatever is still open.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { SystemClock } from '../../engine/base/clock.ts'
import { systemRandom } from '../../engine/base/random.ts'
import { Histogram } from './histogram.ts'
import { giftsFrom } from './ledger-gifts.ts'
import { type Till, tillOf, type Way } from './ledger-tills.ts'

export interface LedgerTask {
  way: Way
  seconds: number
  databaseUrl?: string | undefined
  rates: readonly number[]
}
export interface LedgerRun {
  /** Asked for a second; 0: as many as possible. */
  rate: number
  perS: number
  p50Ms: number | undefined
  p99Ms: number | undefined
  maxMs: number
  /** User + system time of the whole process for one gift, and of its main thread alone. */
  cpuUs: number
  mainCpuUs: number
  cpuShare: number
  /** How late a timer of 1 ms comes on the main thread. */
  loopP50Ms: number
  loopP99Ms: number
  loopMaxMs: number
  giftsACommit: number
}
export interface LedgerFigures {
  way: Way
  runs: LedgerRun[]
}

const window = 2_048
const warmMs = 3_000
const coins = 1_000_000_000n
const loopStepMs = 1
const clock = new SystemClock()
const gifts = giftsFrom(systemRandom)

async function main(): Promise<void> {
  const task = JSON.parse(process.argv[2] ?? '{}') as LedgerTask
  process.once('disconnect', () => process.exit(0))
  const dir = mkdtempSync(join(tmpdir(), 'ledger-bench-'))
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  const till = await tillOf(task.way, { dir, databaseUrl: task.databaseUrl, wallets: gifts.wallets(coins) })
  const drive = new Drive(till)
  await drive.saturated(warmMs)
  const runs = [await drive.saturated(task.seconds * 1_000)]
  for (const rate of task.rates) runs.push(await drive.paced(rate, task.seconds * 1_000))
  await till.close()
  process.send?.({ way: task.way, runs } satisfies LedgerFigures, () => process.exit(0))
}

// ---------------------------------------------------------------- load

class Drive {
  readonly #till: Till
  #sent = 0
  #done = 0
  #times = new Histogram()

  constructor(till: Till) {
    this.#till = till
  }

  saturated(forMs: number): Promise<LedgerRun> {
    return this.#measured(0, async () => {
      const until = performance.now() + forMs
      const lane = async () => {
        while (performance.now() < until) {
          await this.#send()
          // A till that answers at once must leave the loop its turns.
          if ((this.#done & 63) === 0) await new Promise(setImmediate)
        }
      }
      await Promise.all(Array.from({ length: window }, lane))
    })
  }

  paced(rate: number, forMs: number): Promise<LedgerRun> {
    return this.#measured(rate, async () => {
      const start = performance.now()
      for (let elapsed = 0; elapsed < forMs; elapsed = performance.now() - start) {
        const due = Math.floor((elapsed * rate) / 1_000)
        // A way that cannot keep up is measured for as long as was asked for, and no longer.
        for (let n = 0; this.#sent < due && n < window; n++) void this.#send()
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      while (this.#done < this.#sent) await new Promise((resolve) => setTimeout(resolve, 1))
    })
  }

  async #send(): Promise<void> {
    this.#sent++
    const sentAt = performance.now()
    const { ok } = await this.#till.pay(gifts.next(clock.now()))
    if (!ok) throw new Error('a gift was refused')
    this.#times.add((performance.now() - sentAt) * 1_000)
    this.#done++
  }

  async #measured(rate: number, run: () => Promise<void>): Promise<LedgerRun> {
    this.#sent = this.#done = 0
    this.#times.clear()
    const loop = monitorEventLoopDelay({ resolution: loopStepMs })
    loop.enable()
    const [commits, cpu, mainUs, start] = [this.#till.commits(), process.cpuUsage(), mainThreadUs(), performance.now()]
    await run()
    loop.disable()
    const { user, system } = process.cpuUsage(cpu)
    const [wholeMs, done] = [performance.now() - start, Math.max(1, this.#done)]
    const lateMs = (ns: number) => Math.max(0, ns / 1e6 - loopStepMs)
    return {
      rate,
      perS: (done * 1_000) / wholeMs,
      p50Ms: this.#times.quantileMs(0.5),
      p99Ms: this.#times.quantileMs(0.99),
      maxMs: this.#times.maxMs,
      cpuUs: (user + system) / done,
      mainCpuUs: (mainThreadUs() - mainUs) / done,
      cpuShare: (user + system) / 1_000 / wholeMs,
      loopP50Ms: lateMs(loop.percentile(50)),
      loopP99Ms: lateMs(loop.percentile(99)),
      loopMaxMs: lateMs(loop.max),
      giftsACommit: done / Math.max(1, this.#till.commits() - commits),
    }
  }
}

/** Time on a core of the thread that runs this, as the kernel counts it. */
const mainThreadUs = (): number =>
  Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ', 1)[0]) / 1_000

void main()
