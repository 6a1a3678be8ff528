/**
 * Runs the audit all the time: a step after the other while the journal is ahead, with a short pause so that it never takes a core for
 * itself, and one step each `everyMs` when there is nothing new. What is broken is told at once and counted.
 *
 *     const loop = new AuditLoop(step, { clock, log, everyMs: 1_000, onBroken: (broken) => stopPayouts(broken) })
 *     loop.start()
 */
import type { Clock, Timer } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { AuditStep, Broken } from './audit.ts'

export interface AuditState {
  /** Of the last row that was looked at. */
  pos: number
  rows: number
  accounts: number
  rounds: number
  broken: number
  /** Steps that failed: a reader that died, a disk that cannot be read. */
  failures: number
  /** When the last whole round ended. */
  lastRoundAt: number | undefined
}
export interface Found extends Broken {
  foundAt: number
}
export interface AuditOptions {
  clock: Clock
  log?: Log | undefined
  /** Between two looks when nothing is new. */
  everyMs: number
  onBroken?: ((broken: readonly Broken[]) => void) | undefined
}

/** 500 rows a step: 20 ms between them are at most 25,000 rows a second. */
const busyMs = 20
/** Kept for operators; a broken file has more than anybody reads. */
const foundMax = 100

export class AuditLoop {
  readonly #step: () => Promise<AuditStep>
  readonly #options: AuditOptions
  readonly #state: AuditState = { pos: 0, rows: 0, accounts: 0, rounds: 0, broken: 0, failures: 0, lastRoundAt: undefined }
  readonly #found = new Map<string, Found>()
  #timer: Timer | undefined
  #isRunning = false

  constructor(step: () => Promise<AuditStep>, options: AuditOptions) {
    this.#step = step
    this.#options = options
  }

  get state(): Readonly<AuditState> {
    return this.#state
  }

  /** What was found broken, each once, the first 100. */
  get found(): readonly Found[] {
    return [...this.#found.values()]
  }

  /** Somebody has repaired it, and a round since then found nothing: for whoever stops payments by `state.broken`. */
  clear(): void {
    this.#state.broken = 0
    this.#found.clear()
  }

  start(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    this.#later(0)
  }

  stop(): void {
    this.#isRunning = false
    this.#timer?.cancel()
  }

  /** Whoever made the step. */
  note({ rows, pos, accounts, rounds, broken }: AuditStep): void {
    const state = this.#state
    state.pos = pos
    state.rows += rows
    state.accounts += accounts
    if (rounds > state.rounds) state.lastRoundAt = this.#options.clock.now()
    state.rounds = rounds
    if (broken.length === 0) return
    for (const one of broken) this.#keep(one)
    state.broken += broken.length
    this.#options.log?.error({ broken }, 'ledger audit: an invariant is broken')
    this.#options.onBroken?.(broken)
  }

  #keep(one: Broken): void {
    const key = JSON.stringify([one.invariant, one.at, one.msg])
    if (this.#found.size >= foundMax || this.#found.has(key)) return
    this.#found.set(key, { ...one, foundAt: this.#options.clock.now() })
  }

  #later(ms: number): void {
    if (this.#isRunning) this.#timer = this.#options.clock.after(ms, () => void this.#run())
  }

  async #run(): Promise<void> {
    const { everyMs, log } = this.#options
    try {
      const { isCaughtUp } = await this.#step()
      this.#later(isCaughtUp ? everyMs : busyMs)
    } catch (error) {
      this.#state.failures++
      if (this.#isRunning) log?.error({ err: error }, 'ledger audit: a step failed')
      this.#later(everyMs)
    }
  }
}
