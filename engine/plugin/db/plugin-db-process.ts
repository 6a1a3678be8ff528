/**
 * The engine's end of the process that owns one plugin's database file: start it, hand it one group of calls at a time, end it when
 * it takes too long, notice its death.
 *
 * A process and not a thread, because a thread inside SQLite cannot be stopped: `terminate()` returns when the statement does
 * (measured: 16.5 s for a count of 16.5 s, and never for one without an end), while SIGKILL works at once and the file survives it.
 */
import { type ChildProcess, fork } from 'node:child_process'
import type { Clock } from '../../base/clock.ts'
import { programEntry } from '../../base/worker-entry.ts'
import type { Outcome, PluginDbOptions } from './plugin-db.ts'
import { type DbFault, type DbStatement, PluginDbError } from './plugin-db-wire.ts'

export type ToDb = { open: PluginDbOptions } | { calls: readonly (readonly DbStatement[])[] } | { close: true }
export type FromDb = { ready: true } | { refused: DbFault } | { outcomes: Outcome[] }

const heapMb = 256

export class PluginDbProcess {
  readonly #child: ChildProcess
  readonly #clock: Clock
  /** Resolves with the reason when the process has ended. */
  readonly gone: Promise<PluginDbError>
  #reason: PluginDbError | undefined
  #hasEnded = false
  #asked: { resolve(answer: FromDb): void; reject(error: PluginDbError): void } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#child = spawnEntry()
    this.#child.on('message', (answer: FromDb) => this.#asked?.resolve(answer))
    this.gone = new Promise((resolve) => {
      const end = (what: string) => {
        this.#reason ??= new PluginDbError('db.gone', `the database process ${what}`)
        this.#hasEnded = true
        resolve(this.#reason)
        this.#asked?.reject(this.#reason)
      }
      this.#child.on('error', (error) => {
        if (this.#child.pid === undefined) end(`could not start: ${error.message}`)
      })
      this.#child.on('exit', (code, signal) => end(signal ? `was ended by ${signal}` : `ended with code ${code}`))
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Open the file and bring it up to date. Rejects with the reason why that is not possible; the process has ended then. */
  async open(options: PluginDbOptions, openMsMax: number): Promise<void> {
    const answer = await this.#ask({ open: options }, openMsMax)
    if (!('refused' in answer)) return
    await this.close()
    throw new PluginDbError(answer.refused.code, answer.refused.message)
  }

  /** Answers a beginning of the calls, at least one. Rejects when the process ended meanwhile, by itself or because it took too long. */
  async run(calls: readonly (readonly DbStatement[])[], callMsMax: number): Promise<Outcome[]> {
    const answer = await this.#ask({ calls }, callMsMax)
    return 'outcomes' in answer ? answer.outcomes : []
  }

  /** Lets it close the file; when it does not, ends it. */
  async close(): Promise<void> {
    this.#send({ close: true })
    const timer = this.#clock.after(5_000, () => this.#child.kill('SIGKILL'))
    await this.gone
    timer.cancel()
  }

  async #ask(message: ToDb, msMax: number): Promise<FromDb> {
    if (this.#hasEnded) throw await this.gone
    const timer = this.#clock.after(msMax, () => this.#endFor(msMax))
    try {
      return await new Promise<FromDb>((resolve, reject) => {
        this.#asked = { resolve, reject }
        this.#send(message)
      })
    } finally {
      timer.cancel()
      this.#asked = undefined
    }
  }

  #send(message: ToDb): void {
    // A line that is cut says so here; what follows is the end of the process, which everybody waits for.
    this.#child.send(message, (error) => error && this.#child.kill('SIGKILL'))
  }

  #endFor(msMax: number): void {
    this.#reason ??= new PluginDbError('db.timeout', `the database was restarted after ${msMax} ms in one call`)
    this.#child.kill('SIGKILL')
  }
}

function spawnEntry(): ChildProcess {
  const { file, execArgv } = programEntry(new URL('./plugin-db-entry.ts', import.meta.url))
  return fork(file, [String(process.pid)], {
    execArgv: [`--max-old-space-size=${heapMb}`, ...execArgv],
    serialization: 'advanced', // answers are long texts, which it copies and JSON would escape
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
}
