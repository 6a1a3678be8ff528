/**
 * The databases of the plugins: one file and one process for each plugin that declares migrations, and nobody else reads it.
 *
 * Flow: `open` starts the process and applies the migrations. A call joins its plugin's queue; while one group is at the process, the
 * next one gathers, so many small writes share an fsync. A process that dies or hangs takes only its own plugin's calls with it and
 * is started again by the next call.
 *
 * Clock: the wall's by default, also where the rest of the engine runs on a manual one, because the processes live in real time.
 *
 *     const dbs = new PluginDbs({ dir: join(dataDir, 'plugins'), log })
 *     await dbs.open('trivia', ['CREATE TABLE score (user TEXT PRIMARY KEY, points INTEGER NOT NULL)'])
 *     await dbs.query('trivia', [{ sql: 'SELECT points FROM score WHERE user = ?', params: ['u1'], method: 'get' }])
 *     await dbs.closeAll()
 */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, SystemClock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { Outcome, PluginDbOptions } from './plugin-db.ts'
import { PluginDbProcess } from './plugin-db-process.ts'
import { checkCall, checkMigrations, type DbResult, type DbStatement, PluginDbError } from './plugin-db-wire.ts'

export interface PluginDbsLimits {
  /** Largest file of one plugin. */
  bytesMax: number
  /** A call that takes longer ends the process of its plugin. */
  callMsMax: number
  /** For all migrations that a file lacks. */
  openMsMax: number
  /** Calls of one plugin that wait or are under way. */
  callsMax: number
  /** SQL and parameters in them, in characters. */
  queueCharsMax: number
}
export const pluginDbsLimits: PluginDbsLimits = {
  bytesMax: 256 * 1024 * 1024,
  callMsMax: 2_000,
  openMsMax: 60_000,
  callsMax: 256,
  queueCharsMax: 16 * 1024 * 1024,
}

export interface PluginDbsOptions {
  /** Folder of the files, made when missing. */
  dir: string
  log: Log
  limits?: Partial<PluginDbsLimits>
  clock?: Clock
}
export interface PluginDbStats {
  /** Calls that wait or are under way. */
  queued: number
  /** Calls answered with results. */
  done: number
  /** Calls answered with an error, `busy` ones not included. */
  failed: number
  /** Calls refused because the queue was full. */
  busy: number
  /** Times that the process had to be ended because a call took too long. */
  timeouts: number
  /** Times that the process ended without being asked to, time-outs included. */
  deaths: number
}

export class PluginDbs {
  readonly #options: PluginDbsOptions
  readonly #limits: PluginDbsLimits
  readonly #clock: Clock
  readonly #lines = new Map<string, Line>()
  /** What `open`, `close` and `remove` of a name wait for: the one before. */
  readonly #turns = new Map<string, Promise<void>>()
  /** Of databases that are closed: what counts must not shrink. */
  readonly #past = noStats()

  constructor(options: PluginDbsOptions) {
    this.#options = options
    this.#limits = { ...pluginDbsLimits, ...options.limits }
    this.#clock = options.clock ?? new SystemClock()
  }

  /** Resolves when calls can come. A database that is open already is closed and opened again, with these migrations, or with those before. */
  async open(name: string, migrations: readonly string[]): Promise<void> {
    const file = this.#fileOf(name)
    const options: PluginDbOptions = { file, migrations: checkMigrations(migrations), bytesMax: this.#limits.bytesMax }
    await this.#inTurn(name, async () => {
      const before = this.#lines.get(name)?.options
      await this.#closeLine(name)
      await mkdir(this.#options.dir, { recursive: true, mode: 0o700 })
      try {
        await this.#startLine(name, options)
      } catch (error) {
        // The version before is still in force.
        if (before) this.#lines.set(name, this.#lineOf(name, before))
        throw error
      }
    })
  }

  async #startLine(name: string, options: PluginDbOptions): Promise<void> {
    const line = this.#lineOf(name, options)
    await line.start()
    this.#lines.set(name, line)
  }

  #lineOf(name: string, options: PluginDbOptions): Line {
    return new Line({ options, limits: this.#limits, clock: this.#clock, log: this.#options.log.child({ plugin: name }) })
  }

  /** All statements happen, in order, or none does. `statements` may come from anywhere: it is checked. Rejects with a `PluginDbError`. */
  async query(name: string, statements: unknown): Promise<DbResult[]> {
    return JSON.parse(await this.queryText(name, statements))
  }

  /** The same as the text of the results, for whoever only passes them on: parsing megabytes would hold up the engine. */
  async queryText(name: string, statements: unknown): Promise<string> {
    const call = checkCall(statements)
    const line = this.#lines.get(name)
    if (!line) throw new PluginDbError('db.closed', `plugin ${name} has no open database: does it declare migrations?`)
    return line.ask(call)
  }

  /** Ends what is under way, refuses what waits. */
  close(name: string): Promise<void> {
    return this.#inTurn(name, () => this.#closeLine(name))
  }

  async closeAll(): Promise<void> {
    const names = new Set([...this.#lines.keys(), ...this.#turns.keys()])
    await Promise.all([...names].map((name) => this.close(name)))
  }

  /** Closes the database and deletes it. */
  async remove(name: string): Promise<void> {
    const file = this.#fileOf(name)
    await this.#inTurn(name, async () => {
      await this.#closeLine(name)
      for (const end of ['', '-wal', '-shm']) await rm(file + end, { force: true })
    })
  }

  /** Undefined while the plugin has no open database. Counted since it was opened. */
  stats(name: string): PluginDbStats | undefined {
    return this.#lines.get(name)?.stats()
  }

  /** Of all databases, those that are closed by now too. */
  total(): PluginDbStats {
    const sum = { ...this.#past }
    for (const line of this.#lines.values()) addStats(sum, line.stats())
    return sum
  }

  /** Of the process, while there is one: for operators and tests. */
  pid(name: string): number | undefined {
    return this.#lines.get(name)?.pid
  }

  async #closeLine(name: string): Promise<void> {
    const line = this.#lines.get(name)
    this.#lines.delete(name)
    if (!line) return
    try {
      await line.close()
    } finally {
      addStats(this.#past, { ...line.stats(), queued: 0 })
    }
  }

  #fileOf(name: string): string {
    if (!/^[a-z][a-z0-9-]{1,31}$/.test(name)) throw new PluginDbError('db.invalid', `${JSON.stringify(name)} is no plugin name`)
    return join(this.#options.dir, `${name}.db`)
  }

  #inTurn(name: string, step: () => Promise<void>): Promise<void> {
    const before = this.#turns.get(name) ?? Promise.resolve()
    const turn = before.then(step, step)
    const forget = () => {
      if (this.#turns.get(name) === turn) this.#turns.delete(name)
    }
    this.#turns.set(name, turn)
    turn.then(forget, forget)
    return turn
  }
}

interface Call {
  statements: readonly DbStatement[]
  chars: number
}
interface Waiting extends Call {
  resolve(json: string): void
  reject(error: PluginDbError): void
}
interface LineOptions {
  options: PluginDbOptions
  limits: PluginDbsLimits
  clock: Clock
  log: Log
}

const groupMax = 64

/** The queue in front of the process of one plugin. */
class Line {
  readonly #is: LineOptions
  readonly #counts = { done: 0, failed: 0, busy: 0, timeouts: 0, deaths: 0 }
  #queue: Waiting[] = []
  #queued = 0
  #chars = 0
  #process: PluginDbProcess | undefined
  #starting: Promise<PluginDbProcess> | undefined
  #running: Promise<void> | undefined
  #closed = false

  constructor(options: LineOptions) {
    this.#is = options
  }

  get options(): PluginDbOptions {
    return this.#is.options
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  stats(): PluginDbStats {
    return { queued: this.#queued, ...this.#counts }
  }

  start(): Promise<PluginDbProcess> {
    this.#starting ??= this.#spawn()
    return this.#starting
  }

  ask(call: Call): Promise<string> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closed())
      if (this.#queued >= this.#is.limits.callsMax || this.#chars + call.chars > this.#is.limits.queueCharsMax) {
        this.#counts.busy++
        return reject(new PluginDbError('db.busy', `${this.#queued} calls wait for this database`))
      }
      this.#queue.push({ ...call, resolve, reject })
      this.#queued++
      this.#chars += call.chars
      this.#running ??= this.#run()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const call of this.#queue.splice(0)) this.#refuse(call, closed())
    await this.#running
    await this.#process?.close()
  }

  /** Begins a microtask later, so that the calls of one turn share a commit. */
  async #run(): Promise<void> {
    await undefined
    while (this.#queue.length > 0) await this.#runGroup()
    this.#running = undefined
  }

  async #runGroup(): Promise<void> {
    const group = this.#queue.splice(0, groupMax)
    try {
      const process = await this.start()
      const outcomes = await process.run(
        group.map((call) => call.statements),
        this.#is.limits.callMsMax,
      )
      this.#settle(group, outcomes)
    } catch (error) {
      const reason = error instanceof PluginDbError ? error : new PluginDbError('db.failed', String(error))
      for (const call of group) this.#refuse(call, reason)
    }
  }

  #settle(group: readonly Waiting[], outcomes: readonly Outcome[]): void {
    for (const [index, outcome] of outcomes.entries()) {
      const call = group[index]
      if (!call) continue
      if ('error' in outcome) this.#refuse(call, new PluginDbError(outcome.error.code, outcome.error.message))
      else {
        this.#leave(call)
        this.#counts.done++
        call.resolve(outcome.json)
      }
    }
    const rest = group.slice(outcomes.length)
    if (this.#closed) for (const call of rest) this.#refuse(call, closed())
    else this.#queue.unshift(...rest)
  }

  #refuse(call: Waiting, error: PluginDbError): void {
    this.#leave(call)
    this.#counts.failed++
    call.reject(error)
  }

  #leave(call: Waiting): void {
    this.#queued--
    this.#chars -= call.chars
  }

  async #spawn(): Promise<PluginDbProcess> {
    const process = new PluginDbProcess(this.#is.clock)
    let isOpen = false
    // Registered before anybody waits for an answer, so that the next call after a death finds no process and starts one.
    process.gone.then((reason) => this.#onGone(reason, isOpen))
    await process.open(this.#is.options, this.#is.limits.openMsMax)
    isOpen = true
    this.#process = process
    return process
  }

  #onGone(reason: PluginDbError, wasOpen: boolean): void {
    this.#process = undefined
    this.#starting = undefined
    if (this.#closed || !wasOpen) return
    this.#counts.deaths++
    if (reason.code === 'db.timeout') this.#counts.timeouts++
    this.#is.log.warn({ code: reason.code, reason: reason.message }, 'plugin database ended')
  }
}

const closed = () => new PluginDbError('db.closed', 'the database of this plugin is being closed')

const noStats = (): PluginDbStats => ({ queued: 0, done: 0, failed: 0, busy: 0, timeouts: 0, deaths: 0 })
function addStats(to: PluginDbStats, more: PluginDbStats): void {
  for (const kind of Object.keys(to) as (keyof PluginDbStats)[]) to[kind] += more[kind]
}
