/**
 * The queue in front of the one writer: a promise for each op, one batch at the writer while the next one gathers (at most 512 ops), so
 * that a lone gift costs one fsync and a thousand at once cost a few. Under load the next one waits at the writer already.
 *
 *     const result = await ledger.submit({ op: 'charge', txId, ... })   // committed and on disk, or refused
 *
 * Errors: `LedgerUnavailable`. With `isUnknown` the op may have happened: ask again with the same key or txId and the answer says so.
 *
 * A failed write (full disk, I/O error) or a dead writer closes the ledger: whatever waits and whatever comes is rejected, and it is
 * tried again with pauses that double from 250 ms to 10 s, by writing something. What is open goes on where the disk says it stands.
 */
import type { Clock, Timer } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { ApplierAnswer } from './applier.ts'
import type { LedgerOp, LedgerResult } from './ops.ts'

/** What runs batches: the ledger thread, or the same applier in this thread. */
export interface Writer {
  run(ops: readonly LedgerOp[]): Promise<ApplierAnswer>
  /** After a failure: resolves when batches can run again. */
  reopen(): Promise<ApplierAnswer>
  close(): Promise<void>
}

export type LedgerState = 'open' | 'unavailable' | 'closed'
export type UnavailableReason = 'failed' | 'full' | 'closed'
export class LedgerUnavailable extends Error {
  readonly code = 'billing.unavailable'
  readonly reason: UnavailableReason
  /** Whether the op may have happened. */
  readonly isUnknown: boolean
  constructor(reason: UnavailableReason, isUnknown: boolean, message: string) {
    super(message)
    this.name = 'LedgerUnavailable'
    this.reason = reason
    this.isUnknown = isUnknown
  }
}

export interface LedgerStats {
  state: LedgerState
  /** Why it is not open. */
  reason: string
  /** Ops that wait or are at the writer. */
  queued: number
  commits: number
  /** Ops that were answered, and how many of them with a refusal. */
  answered: number
  refused: number
  /** Ops rejected because the queue was full, and because the ledger was not open. */
  rejectedFull: number
  rejectedUnavailable: number
  /** Times that it closed after a failure. */
  failures: number
  pos: number
}

export interface QueueOptions {
  clock: Clock
  log?: Log | undefined
  /** Ops that wait for the disk; past it they are rejected. Unset: 20,000. */
  queueMax?: number | undefined
}

const batchMax = 512
/** At the writer, answered in order. The second goes while the first is worked on, so that neither thread waits for the other... */
const batchesMax = 2
/** ...but only with so many ops: a small one would cost a commit that the next could have shared. */
const earlyMin = 256
const queueMaxDefault = 20_000
const probeMsMin = 250
const probeMsMax = 10_000
/** Open for so long: the next failure is a new one. */
const steadyMs = 30_000

interface Waiting {
  op: LedgerOp
  resolve(result: LedgerResult): void
  reject(error: Error): void
}

export class LedgerQueue {
  readonly #writer: Writer
  readonly #clock: Clock
  readonly #log: Log | undefined
  readonly #queueMax: number
  #queue: Waiting[] = []
  #inFlight = 0
  #batches = 0
  #isWoken = false
  #state: LedgerState = 'open'
  #reason = ''
  #probeMs = probeMsMin
  #openedAt: number
  #probe: Timer | undefined
  #closing: Promise<void> | undefined
  #onIdle: (() => void) | undefined
  #pos: number
  readonly #counts = { commits: 0, answered: 0, refused: 0, rejectedFull: 0, rejectedUnavailable: 0, failures: 0 }
  readonly #onCommitted = new Set<(pos: number) => void>()
  readonly #onState = new Set<(state: LedgerState) => void>()

  constructor(writer: Writer, pos: number, { clock, log, queueMax = queueMaxDefault }: QueueOptions) {
    this.#writer = writer
    this.#pos = pos
    this.#clock = clock
    this.#log = log
    this.#queueMax = queueMax
    this.#openedAt = clock.now()
  }

  get state(): LedgerState {
    return this.#state
  }

  stats(): LedgerStats {
    const queued = this.#queue.length + this.#inFlight
    return { state: this.#state, reason: this.#reason, queued, ...this.#counts, pos: this.#pos }
  }

  /** Resolves when it is on disk or refused. Rejects with a `LedgerUnavailable`. */
  submit(op: LedgerOp): Promise<LedgerResult> {
    if (this.#state !== 'open') {
      this.#counts.rejectedUnavailable++
      const reason = this.#state === 'closed' ? 'closed' : 'failed'
      return Promise.reject(new LedgerUnavailable(reason, false, `the ledger is ${this.#state}: ${this.#reason}`))
    }
    if (this.#queue.length + this.#inFlight >= this.#queueMax) {
      this.#counts.rejectedFull++
      return Promise.reject(new LedgerUnavailable('full', false, `${this.#queueMax} ops wait for the disk`))
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ op, resolve, reject })
      this.#pump()
    })
  }

  /** Called with the position of the last row after rows came into the journal and are on disk. Answers how to stop that. */
  onCommitted(listener: (pos: number) => void): () => void {
    const own = (pos: number) => listener(pos) // the same function may listen twice
    this.#onCommitted.add(own)
    return () => this.#onCommitted.delete(own)
  }

  onState(listener: (state: LedgerState) => void): () => void {
    const own = (state: LedgerState) => listener(state)
    this.#onState.add(own)
    return () => this.#onState.delete(own)
  }

  /** The writer died by itself. What it was doing is rejected by it. */
  writerGone(reason: string): void {
    this.#fail(reason)
  }

  /** Answers what waits, then lets go of the file. */
  close(): Promise<void> {
    this.#closing ??= this.#flush()
    return this.#closing
  }

  async #flush(): Promise<void> {
    this.#probe?.cancel()
    this.#setState('closed', 'it was closed')
    if (this.#batches > 0 || this.#queue.length > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
    await this.#writer.close()
  }

  /** Starts in a microtask, so that the ops of one turn share a commit. */
  #pump(): void {
    if (this.#isWoken) return
    this.#isWoken = true
    queueMicrotask(() => {
      this.#isWoken = false
      this.#send()
    })
  }

  #send(): void {
    while (this.#queue.length >= (this.#batches === 0 ? 1 : earlyMin) && this.#batches < batchesMax)
      void this.#runBatch(this.#queue.splice(0, batchMax))
  }

  async #runBatch(batch: Waiting[]): Promise<void> {
    this.#batches++
    this.#inFlight += batch.length
    await this.#answerBatch(batch)
    this.#batches--
    this.#inFlight -= batch.length
    this.#send()
    if (this.#batches === 0) this.#onIdle?.()
  }

  async #answerBatch(batch: Waiting[]): Promise<void> {
    if (this.#state === 'unavailable') return this.#rejectAll(batch, false)
    try {
      this.#settle(batch, await this.#writer.run(batch.map(({ op }) => op)))
    } catch (error) {
      if (isCloneError(error)) this.#withoutUnsendable(batch)
      else {
        this.#fail(textOf(error))
        this.#rejectAll(batch, true)
      }
    }
  }

  #settle(batch: readonly Waiting[], { results, pos }: ApplierAnswer): void {
    this.#counts.answered += batch.length
    for (const [at, { resolve, reject }] of batch.entries()) {
      const result = results[at]
      if (!result) reject(new LedgerUnavailable('failed', true, 'the writer did not answer'))
      else {
        if (!result.ok) this.#counts.refused++
        resolve(result)
      }
    }
    if (pos === this.#pos) return
    this.#counts.commits++
    this.#moveTo(pos)
  }

  /** Nothing of this batch was sent. */
  #withoutUnsendable(batch: Waiting[]): void {
    const sound = batch.filter(({ op, resolve }) => {
      try {
        structuredClone(op)
        return true
      } catch {
        resolve({ ok: false, code: 'ledger.bad_op', msg: 'this is not plain data' })
        return false
      }
    })
    if (sound.length < batch.length) this.#queue.unshift(...sound)
    else this.#rejectAll(batch, false)
  }

  // ------------------------------------------------------------------ failure

  #rejectAll(batch: readonly Waiting[], isUnknown: boolean): void {
    for (const { reject } of batch) reject(new LedgerUnavailable('failed', isUnknown, this.#reason))
  }

  #fail(reason: string): void {
    if (this.#state !== 'open') return
    this.#counts.failures++
    if (this.#clock.now() - this.#openedAt > steadyMs) this.#probeMs = probeMsMin
    this.#log?.error({ reason }, 'ledger closed: nothing can be paid until it opens again')
    this.#setState('unavailable', reason)
    this.#rejectAll(this.#queue.splice(0), false)
    this.#probeLater()
  }

  #probeLater(): void {
    this.#probe = this.#clock.after(this.#probeMs, () => void this.#tryAgain())
    this.#probeMs = Math.min(probeMsMax, this.#probeMs * 2)
  }

  async #tryAgain(): Promise<void> {
    try {
      const { pos } = await this.#writer.reopen()
      if (this.#state !== 'unavailable') return
      this.#openedAt = this.#clock.now()
      this.#setState('open', '')
      this.#log?.warn({ pos }, 'ledger is open again')
      if (pos !== this.#pos) this.#moveTo(pos) // a batch that was rejected may be there after all
    } catch (error) {
      if (this.#state !== 'unavailable') return
      this.#reason = textOf(error)
      this.#log?.error({ reason: this.#reason }, 'ledger stays closed')
      this.#probeLater()
    }
  }

  #setState(state: LedgerState, reason: string): void {
    this.#state = state
    this.#reason = reason
    this.#tell(this.#onState, state)
  }

  #moveTo(pos: number): void {
    this.#pos = pos
    this.#tell(this.#onCommitted, pos)
  }

  /** A listener that throws hurts neither the others nor the ledger. */
  #tell<T>(listeners: ReadonlySet<(value: T) => void>, value: T): void {
    for (const listener of listeners) {
      try {
        listener(value)
      } catch (error) {
        this.#log?.error({ err: error }, 'a listener of the ledger failed')
      }
    }
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
const isCloneError = (error: unknown): boolean => error instanceof DOMException && error.name === 'DataCloneError'
