/**
 * The ledger of the simulation: the real one without threads, on a file that outlives it, behind a writer that is slow and fails.
 *
 * | what goes wrong | and what is true then |
 * |---|---|
 * | the writer dies before a batch | nothing of it happened |
 * | it dies after a batch | all of it is on disk, and everybody is told that nobody knows |
 * | a batch hangs (`hang`) | it is on disk seconds later, or told so late: whoever asked may be gone, and another in their place |
 * | the disk refuses (`isFull`) | the transaction fails halfway and is rolled back |
 * | the process dies (`restart`) | nobody is told anything; another ledger opens the file |
 * | the reader fails | whoever reads asks again |
 *
 *     const ledger = new SimLedger({ clock, random, onBroken })
 *     await ledger.current.submit(op)
 *     ledger.rows('SELECT * FROM journal WHERE pos > ?', 0)      // SQL of our own, on a connection of our own
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Clock } from '../base/clock.ts'
import { type Random, randomInt } from '../base/random.ts'
import type { Broken } from '../ledger/audit.ts'
import { type OpenLedger, openLedgerInline } from '../ledger/open.ts'
import type { LedgerOp, LedgerResult } from '../ledger/ops.ts'
import type { Writer } from '../ledger/queue.ts'
import { type Life, mortalClock, unlessDead } from './life.ts'

export interface LedgerFaults {
  /** Probabilities for each batch: the writer dies before or after it. */
  dieBefore: number
  dieAfter: number
  /** It takes up to `hangMsMax` before its commit, or after it. */
  hang: number
  /** Of an attempt to open it again. */
  stayClosed: number
  /** Of a question to the reader. */
  failRead: number
}
export const noLedgerFaults: LedgerFaults = { dieBefore: 0, dieAfter: 0, hang: 0, stayClosed: 0, failRead: 0 }

/** On purpose wrong, for the test that the simulation notices. */
export interface LedgerSabotage {
  op?: (op: LedgerOp) => LedgerOp
  result?: (result: LedgerResult) => LedgerResult
  /** Answered, and not written. */
  forgets?: () => boolean
  /** After each batch, on the file. */
  tamper?: (run: (sql: string) => void) => void
}

interface SimLedgerParts {
  clock: Clock
  random: Random
  onBroken(broken: readonly Broken[]): void
  sabotage?: LedgerSabotage | undefined
}

/** Before and after a commit, each. */
const delayMsMax = 15
/** Longer than a room needs to come back, and to read its journal; shorter than the patience of who asks. */
const hangMsMax = 4_000
const full = `CREATE TRIGGER disk_full BEFORE UPDATE ON balances_ BEGIN SELECT RAISE(ABORT, 'the disk is full, on purpose'); END;
  CREATE TRIGGER disk_full_too BEFORE INSERT ON write_check BEGIN SELECT RAISE(ABORT, 'the disk is full, on purpose'); END;`
const notFull = 'DROP TRIGGER IF EXISTS disk_full; DROP TRIGGER IF EXISTS disk_full_too;'

export class SimLedger {
  current: OpenLedger
  faults: LedgerFaults = noLedgerFaults
  readonly counts = { batches: 0, deaths: 0, hangs: 0, restarts: 0, fullDisks: 0, failedReads: 0 }
  readonly #parts: SimLedgerParts
  readonly #dir: string
  readonly #db: Database.Database
  readonly #statements = new Map<string, Database.Statement>()
  #life: Life = { isAlive: true }
  #writer!: Writer
  /** Batches between the hand-over and their answer. */
  #underWay = 0
  #isFull = false
  /** When the reader failed last, or the ledger opened again. */
  troubleAt = 0

  constructor(parts: SimLedgerParts) {
    this.#parts = parts
    // In memory where the system offers that as files: a run has thousands of commits, and no disk to test.
    this.#dir = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'livehouse-sim-'))
    this.current = this.#open(0)
    this.#db = new Database(this.#file)
  }

  get #file(): string {
    return join(this.#dir, 'ledger.db')
  }

  #open(stepMs: number): OpenLedger {
    const { clock, onBroken } = this.#parts
    const life = this.#life
    const through = (writer: Writer) => {
      this.#writer = writer
      return this.#frail(writer, life)
    }
    const ledger = openLedgerInline({ file: this.#file, clock: mortalClock(clock, life, stepMs), onBroken, through })
    ledger.audit.start()
    return ledger
  }

  /** The process died at this instant; another one opens the file. Its clock may be off. */
  async restart(stepMs: number): Promise<void> {
    this.counts.restarts++
    const { current } = this
    this.#life.isAlive = false
    this.#underWay = 0
    current.audit.stop()
    await this.#writer.close()
    await current.reads.close()
    this.#life = { isAlive: true }
    this.current = this.#open(stepMs)
  }

  /** Nothing is at the disk, and it is open. */
  get isQuiet(): boolean {
    return this.#underWay === 0 && this.current.state === 'open'
  }

  set isFull(isFull: boolean) {
    if (isFull === this.#isFull) return
    this.#isFull = isFull
    if (isFull) this.counts.fullDisks++
    this.#db.exec(isFull ? full : notFull)
  }

  get isFull(): boolean {
    return this.#isFull
  }

  /** A question to the reader went wrong. */
  failsToRead(): boolean {
    if (!this.#chance(this.faults.failRead)) return false
    this.counts.failedReads++
    this.troubleAt = this.#parts.clock.now()
    return true
  }

  // ------------------------------------------------------------------ the writer

  #chance(probability: number): boolean {
    return probability > 0 && this.#parts.random.float() < probability
  }

  #frail(writer: Writer, life: Life): Writer {
    return {
      run: (ops) => unlessDead(this.#run(writer, life, ops), life),
      reopen: async () => {
        if (this.#chance(this.faults.stayClosed)) throw new Error('on purpose: it stays closed')
        const reopened = await writer.reopen()
        this.troubleAt = this.#parts.clock.now()
        return reopened
      },
      close: () => writer.close(),
    }
  }

  async #run(writer: Writer, life: Life, ops: readonly LedgerOp[]) {
    const { sabotage } = this.#parts
    this.#underWay++
    this.counts.batches++
    try {
      await this.#pause(life)
      if (this.#chance(this.faults.dieBefore)) await this.#die(writer)
      const told = sabotage?.op ? ops.map(sabotage.op) : ops
      if (sabotage?.forgets?.()) return forgotten(ops)
      const { results, pos } = await writer.run(told)
      sabotage?.tamper?.((sql) => this.#db.exec(sql))
      if (this.#chance(this.faults.dieAfter)) await this.#die(writer)
      await this.#pause(life)
      return { results: sabotage?.result ? results.map(sabotage.result) : results, pos }
    } finally {
      if (life.isAlive) this.#underWay--
    }
  }

  /** Its thread died: the file is closed, and opened again by `reopen`. */
  async #die(writer: Writer): Promise<never> {
    this.counts.deaths++
    await writer.close()
    throw new Error('on purpose: the writer died')
  }

  #pause(life: Life): Promise<void> {
    const hangs = this.#chance(this.faults.hang)
    if (hangs) this.counts.hangs++
    const ms = randomInt(this.#parts.random, hangs ? hangMsMax : delayMsMax)
    return new Promise((resolve) => void this.#parts.clock.after(ms, () => life.isAlive && resolve()))
  }

  // ------------------------------------------------------------------ what stands on disk

  /** Whole numbers come as numbers: amounts here are small. */
  rows<T>(sql: string, ...params: unknown[]): T[] {
    let statement = this.#statements.get(sql)
    if (!statement) this.#statements.set(sql, (statement = this.#db.prepare(sql)))
    return statement.all(...params) as T[]
  }

  async close(): Promise<void> {
    this.isFull = false
    // A batch that is still at the writer would wait for a clock that stands still.
    await this.restart(0)
    await this.current.close()
    this.#db.close()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

/** As if they were on disk. */
function forgotten(ops: readonly LedgerOp[]) {
  const results = ops.map((op, at): LedgerResult => {
    const txId = op.op === 'expire' ? '' : op.txId
    return { ok: true, txId, pos: 1_000_000 + at, replayed: false, reply: { txId, balanceCoin: 0 } }
  })
  return { results, pos: 1_000_000 }
}
