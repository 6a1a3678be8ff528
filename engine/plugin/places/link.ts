/**
 * The engine's end of the line to one instance of a plugin in another place.
 *
 * Checks (guards, transforms) are gathered adaptively: the first after a pause goes at once; those that come within 12 ms after a batch
 * (a quarter of the budget, if that is less) go together, as do those that come while two batches are under way; at most 256 in one.
 * Each check is settled within its budget, whatever the plugin does: a result, or a `CheckFailure` that says why there is none.
 * A batch must come back with exactly as many results as it had items, else every item of it failed.
 *
 *     const link = new Link({ instance, channel, clock, ... })
 *     const raw = await link.check(0, ask, 50)       // rejects with CheckFailure
 *     const reply = await link.run(3, input, 200)    // rejects with CallError
 */
import type { Clock, Timer } from '../../base/clock.ts'
import { CallError } from '../context.ts'
import type { Ask } from '../define.ts'
import { Breaker } from './breaker.ts'
import { Causes } from './causes.ts'
import type { Channel } from './channel.ts'
import {
  type CallResult,
  checkItem,
  type FromPlugin,
  parseFrames,
  resultFailed,
  resultLate,
  type ToPlugin,
  textBytesMax,
} from './protocol.ts'

export type FailureReason = 'late' | 'failed' | 'unavailable'
/** Why a guard or transform gave no answer: its policy decides then. */
export class CheckFailure extends Error {
  readonly reason: FailureReason

  constructor(reason: FailureReason, message: string) {
    // Expected, and by the thousand when a plugin is sick: a stack would cost more than the check (8 % of a saturated engine).
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(message)
    Error.stackTraceLimit = stackTraceLimit
    this.name = 'CheckFailure'
    this.reason = reason
  }
}

/** What one instance did; the host adds them up per plugin. */
export interface LinkCounts {
  batches: number
  items: number
  late: number
  /** Texts or frames that were none, results that were too few or too many. */
  rubbish: number
  calls: number
  callsRefused: number
}
export const newLinkCounts = (): LinkCounts => ({ batches: 0, items: 0, late: 0, rubbish: 0, calls: 0, callsRefused: 0 })

/** How checks are gathered. */
export interface Batching {
  itemsMax: number
  /** Batches under way at which the next checks wait for an answer. */
  inFlightMax: number
  /** From one batch to the next, unless it is full; 0: no pause. */
  gatherMs: number
}

export interface LinkParts {
  instance: string
  channel: Channel
  clock: Clock
  /** Real time even where `clock` stands still: whether the other side is alive is a matter of real time. */
  liveClock: Clock
  counts: LinkCounts
  /** `adaptive` unless told. */
  batching?: Batching
  /** A call of the plugin to the engine; the host checks its rights. `cause`: the input of the run it was made from. */
  onCall(name: string, d: unknown, cause: unknown): Promise<unknown>
  onReady(): void
  onUnfit(version: number, msg: string): void
  onDraining(): void
  onDegraded(isOpen: boolean, reason: string): void
  onLog(level: 'debug' | 'info' | 'warn' | 'error', fields: object, msg: string): void
  onCount(name: string, by: number): void
  /** Once. Everything that waited has failed by then. */
  onGone(reason: string): void
}

interface Check {
  hook: number
  ask: Ask<unknown>
  deadlineAt: number
  resolve(result: unknown): void
  reject(failure: CheckFailure): void
  settled: boolean
}
interface Batch {
  checks: Check[]
  lastDeadlineAt: number
}
interface Run {
  input: unknown
  deadlineAt: number
  resolve(d: unknown): void
  reject(error: CallError): void
}

/**
 * A batch costs about 220 us whatever its size (a write that wakes another process, its answer, the timers), so from 12 ms of questions
 * one is made: at 20,000 a second 240 go together. The first after 12 ms of silence goes at once.
 */
const adaptive: Batching = { itemsMax: 256, inFlightMax: 2, gatherMs: 12 }
/** A pause is at most this share of a hook's budget. */
const gatherOfBudgetMax = 0.25
const waitingMax = 10_000
const runsMax = 1_000
const callsInFlightMax = 256
const pingEveryMs = 250
/** Nothing heard for this long: not asked any more. */
const silentMsMax = 1_000
/** From the first settings to `ready`: the plugin's own `start`. */
const readyMsMax = 30_000
/** An instance that wants to leave is let go after this long, whatever it is still asked. */
const leaveMsMax = 10_000
/** What one instance may say within a second; more is a flood, and its line is closed. At 20,000 checks a second 2,000 are usual. */
const flood = { windowMs: 1_000, textsMax: 20_000, charactersMax: 64 * 1_024 * 1_024 }
const never = Number.POSITIVE_INFINITY

export class Link {
  readonly instance: string
  readonly attachedAt: number
  readonly #parts: LinkParts
  readonly #batching: Batching
  readonly breaker: Breaker
  #waiting: Check[] = []
  readonly #batches = new Map<number, Batch>()
  readonly #runs = new Map<number, Run>()
  readonly #causes = new Causes()
  #calls = 0
  #lastId = 0
  #sweep: Timer | undefined
  #sweepAt = never
  /** Of the hooks that were asked: no pause may use up a budget. */
  #shortestBudgetMs = never
  /** Runs since the last batch was sent. */
  #gather: Timer | undefined
  #outbox: string[] = []
  #pingAt = 0
  #ping: Timer | undefined
  #readyBy: Timer | undefined
  #settings = ''
  #heard = { since: 0, texts: 0, characters: 0 }
  #drained: (() => void) | undefined
  isReady = false
  isDraining = false
  isCut = false
  isGone = false

  constructor(parts: LinkParts) {
    this.#parts = parts
    this.#batching = parts.batching ?? adaptive
    this.instance = parts.instance
    this.attachedAt = parts.clock.now()
    this.breaker = new Breaker((isOpen, reason) => parts.onDegraded(isOpen, reason))
    this.#armPing()
    this.#readyBy = parts.liveClock.after(readyMsMax, () => this.close(`not ready within ${readyMsMax} ms`))
    // Last: a channel that is closed already says so at once.
    parts.channel.open({
      onText: (text) => this.#onText(text),
      onClose: (reason) => this.#gone(reason),
      onCut: (isCut) => this.#onCut(isCut),
    })
  }

  /** Whether new work may be given to it now. */
  get usable(): boolean {
    return this.#isHere && this.breaker.wouldAllow(this.#parts.clock.now())
  }

  get #isHere(): boolean {
    return this.isReady && !this.isDraining && !this.isCut && !this.isGone && this.silentMs < silentMsMax
  }

  /** How long it has not answered a ping; 0 when it has. */
  get silentMs(): number {
    return this.#pingAt === 0 ? 0 : this.#parts.liveClock.now() - this.#pingAt
  }

  get underWay(): number {
    let count = this.#waiting.length + this.#runs.size
    for (const { checks } of this.#batches.values()) count += checks.length
    return count
  }

  // ------------------------------------------------------------------ checks

  check(hook: number, ask: Ask<unknown>, budgetMs: number): Promise<unknown> {
    const now = this.#parts.clock.now()
    if (this.#waiting.length >= waitingMax)
      return Promise.reject(new CheckFailure('unavailable', `${waitingMax} checks wait for the instance`))
    // Last: whom it lets through is the trial, and must be asked.
    if (!this.#isHere || !this.breaker.allows(now)) return Promise.reject(new CheckFailure('unavailable', 'no healthy instance'))
    if (budgetMs < this.#shortestBudgetMs) this.#shortestBudgetMs = budgetMs
    return new Promise((resolve, reject) => {
      const check: Check = { hook, ask, deadlineAt: now + budgetMs, resolve, reject, settled: false }
      this.#waiting.push(check)
      this.#sweepBy(check.deadlineAt)
      this.#pump(now)
    })
  }

  #pump(now: number): void {
    const { itemsMax, inFlightMax, gatherMs } = this.#batching
    while (this.#waiting.length > 0 && this.#batches.size < inFlightMax && !this.isCut) {
      if (this.#gather !== undefined && this.#waiting.length < itemsMax) return
      this.#sendBatch(this.#waiting.splice(0, itemsMax), now)
      if (gatherMs > 0) this.#gatherFor(Math.min(gatherMs, this.#shortestBudgetMs * gatherOfBudgetMax))
    }
  }

  #gatherFor(ms: number): void {
    this.#gather?.cancel()
    this.#gather = this.#parts.liveClock.after(ms, () => {
      this.#gather = undefined
      this.#pump(this.#parts.clock.now())
    })
  }

  #sendBatch(taken: Check[], now: number): void {
    const checks = taken.filter(({ settled }) => !settled)
    if (checks.length === 0) return
    const at = Math.trunc(now)
    const items = JSON.stringify(checks.map(({ hook, ask }) => checkItem(hook, ask, at)))
    // A UTF-16 unit is at most 3 bytes of UTF-8.
    if (items.length * 3 > textBytesMax / 2 && checks.length > 1) {
      const half = checks.length >> 1
      this.#sendBatch(checks.slice(0, half), now)
      return this.#sendBatch(checks.slice(half), now)
    }
    let [first, last] = [never, 0]
    for (const { deadlineAt } of checks) {
      first = Math.min(first, deadlineAt)
      last = Math.max(last, deadlineAt)
    }
    const id = ++this.#lastId
    const { counts } = this.#parts
    counts.batches++
    counts.items += checks.length
    this.#batches.set(id, { checks, lastDeadlineAt: last })
    this.#post(`{"k":"check","id":${id},"withinMs":${Math.max(1, first - now)},"at":${at},"items":${items}}`)
  }

  #onChecked(id: unknown, results: unknown): void {
    const batch = typeof id === 'number' ? this.#batches.get(id) : undefined
    const now = this.#parts.clock.now()
    if (!batch) {
      this.#parts.counts.late++
      return
    }
    this.#batches.delete(id as number)
    const { checks } = batch
    const isSound = Array.isArray(results) && results.length === checks.length
    if (!isSound) this.#parts.counts.rubbish++
    let [failed, late] = [0, 0]
    for (const [at, check] of checks.entries()) {
      const result = isSound ? results[at] : resultFailed
      if (result === resultFailed) failed++
      else if (result === resultLate) late++
      if (check.settled) this.#parts.counts.late++
      else if (result === resultLate) this.#fail(check, 'late', 'no verdict in time')
      else if (result === resultFailed) this.#fail(check, 'failed', isSound ? 'the hook failed' : 'wrong number of results')
      else {
        check.settled = true
        check.resolve(result)
      }
    }
    this.#weigh(now, checks.length, failed, late)
    this.#pump(now)
    this.#considerDrained()
  }

  /** A batch in which nothing was ready is a time-out as a batch that never came back is. */
  #weigh(now: number, all: number, failed: number, late: number): void {
    const good = all - failed - late
    if (good > 0) this.breaker.succeeded(now, good)
    if (failed + late > 0) this.breaker.failed(now, good === 0 && late > 0, failed + late)
  }

  #fail(check: Check, reason: FailureReason, message: string): void {
    if (check.settled) return
    check.settled = true
    check.reject(new CheckFailure(reason, message))
  }

  // ------------------------------------------------------------------ deadlines

  /** One timer for the nearest deadline: nearly every check is answered long before. */
  #sweepBy(deadlineAt: number): void {
    if (deadlineAt >= this.#sweepAt) return
    this.#sweep?.cancel()
    this.#sweepAt = deadlineAt
    this.#sweep = this.#parts.clock.after(Math.max(0, deadlineAt - this.#parts.clock.now()), () => this.#onSweep())
  }

  #onSweep(): void {
    const now = this.#parts.clock.now()
    this.#sweepAt = never
    let next = never
    for (const [id, batch] of this.#batches) {
      for (const check of batch.checks) next = Math.min(next, this.#expire(check, now))
      if (batch.lastDeadlineAt > now) continue
      this.#batches.delete(id)
      this.breaker.failed(now, true, batch.checks.length)
    }
    for (const check of this.#waiting) next = Math.min(next, this.#expire(check, now))
    this.#waiting = this.#waiting.filter(({ settled }) => !settled)
    for (const [id, run] of this.#runs) {
      if (run.deadlineAt > now) next = Math.min(next, run.deadlineAt)
      else {
        this.#endRun(id, run)
        run.reject(new CallError('plugin.late', 'no answer in time'))
      }
    }
    if (next !== never) this.#sweepBy(next)
    this.#pump(now)
    this.#considerDrained()
  }

  #expire(check: Check, now: number): number {
    if (check.settled) return never
    if (check.deadlineAt > now) return check.deadlineAt
    this.#fail(check, 'late', 'no verdict in time')
    return never
  }

  // ------------------------------------------------------------------ runs

  /** A command, event, schedule, charge or route: answered when it is done. */
  run(hook: number, input: unknown, budgetMs: number): Promise<unknown> {
    if (!this.#isHere) return Promise.reject(new CallError('plugin.unavailable', 'no healthy instance'))
    if (this.#runs.size >= runsMax) return Promise.reject(new CallError('plugin.unavailable', `${runsMax} runs are under way`))
    const id = ++this.#lastId
    const deadlineAt = this.#parts.clock.now() + budgetMs
    const text = JSON.stringify({ k: 'run', id, hook, withinMs: budgetMs, input } satisfies ToPlugin)
    if (Buffer.byteLength(text) > textBytesMax)
      return Promise.reject(new CallError('call.too_large', `more than ${textBytesMax} bytes`))
    return new Promise((resolve, reject) => {
      this.#runs.set(id, { input, deadlineAt, resolve, reject })
      this.#sweepBy(deadlineAt)
      this.#post(text)
    })
  }

  #onAnswer(id: unknown, result: CallResult | undefined): void {
    const run = typeof id === 'number' ? this.#runs.get(id) : undefined
    if (!run) {
      this.#parts.counts.late++
      return
    }
    this.#endRun(id as number, run)
    if (result?.ok === true) run.resolve(result.d)
    else run.reject(callError(result))
    this.#considerDrained()
  }

  #endRun(id: number, { input }: Run): void {
    this.#runs.delete(id)
    this.#causes.ended(id, input)
  }

  #considerDrained(): void {
    if (this.#drained && this.underWay === 0) this.#drained()
  }

  // ------------------------------------------------------------------ calls of the plugin

  #onCall(id: unknown, name: unknown, d: unknown, cause: unknown): void {
    const { counts } = this.#parts
    if (typeof id !== 'number' || typeof name !== 'string') {
      counts.rubbish++
      return
    }
    const answer = (result: CallResult) => {
      const text = JSON.stringify({ k: 'answer', id, result } satisfies ToPlugin)
      // One frame is one message; a larger one could not be sent and would be waited for in vain.
      if (Buffer.byteLength(text) <= textBytesMax) return this.#post(text)
      const refused: CallResult = { ok: false, code: 'call.too_large', msg: `the answer has more than ${textBytesMax} bytes` }
      this.#post(JSON.stringify({ k: 'answer', id, result: refused } satisfies ToPlugin))
    }
    if (this.#calls >= callsInFlightMax) {
      counts.callsRefused++
      return answer({ ok: false, code: 'rate.limited', msg: `${callsInFlightMax} calls are under way`, retryAfterMs: 100 })
    }
    this.#calls++
    counts.calls++
    // Only what was given to it can be the cause: a plugin counts no hops for us.
    const input = typeof cause === 'number' ? (this.#runs.get(cause)?.input ?? this.#causes.of(cause)) : undefined
    this.#parts.onCall(name, d, input).then(
      (value) => {
        this.#calls--
        answer(value === undefined ? { ok: true } : { ok: true, d: value })
      },
      (error: { code?: unknown; message?: unknown }) => {
        this.#calls--
        counts.callsRefused++
        answer({ ok: false, code: String(error.code ?? 'plugin.failed'), msg: String(error.message ?? error) })
      },
    )
  }

  // ------------------------------------------------------------------ in and out

  #onText(text: string): void {
    if (this.isGone) return
    this.#pingAt = 0
    if (this.#isFlood(text.length)) return this.close('it floods the engine')
    const frames = parseFrames(text)
    if (!frames) {
      this.#parts.counts.rubbish++
      return
    }
    for (const frame of frames) {
      if (this.isGone) return // a goodbye was among them
      try {
        this.#onFrame(frame as unknown as FromPlugin)
      } catch {
        // Whatever a plugin says costs that frame, never its neighbours and never the engine.
        this.#parts.counts.rubbish++
      }
    }
  }

  #isFlood(characters: number): boolean {
    const heard = this.#heard
    const now = this.#parts.liveClock.now()
    if (now - heard.since >= flood.windowMs) this.#heard = { since: now, texts: 1, characters }
    else {
      heard.texts++
      heard.characters += characters
    }
    return heard.texts > flood.textsMax || heard.characters > flood.charactersMax
  }

  #onFrame(frame: FromPlugin): void {
    const { onLog, onCount, onUnfit, counts } = this.#parts
    switch (frame.k) {
      case 'checked':
        return this.#onChecked(frame.id, frame.results)
      case 'answer':
        return this.#onAnswer(frame.id, frame.result)
      case 'call':
        return this.#onCall(frame.id, frame.name, frame.d, frame.cause)
      case 'pong':
        return
      case 'ready':
        return this.#onReady()
      case 'unfit':
        return onUnfit(numberOf(frame.settings), textOf(frame.msg))
      case 'log':
        return onLog(levelOf(frame.level), Object(frame.fields), textOf(frame.msg))
      case 'count':
        return onCount(textOf(frame.name), numberOf(frame.by))
      case 'draining':
        return this.#onDraining()
      case 'bye':
        return this.close('left')
      default:
        counts.rubbish++
    }
  }

  #onReady(): void {
    if (this.isReady) return
    this.isReady = true
    this.#readyBy?.cancel()
    this.#parts.onReady()
  }

  #onDraining(): void {
    if (this.isDraining) return
    this.#parts.onDraining()
    // Whatever is on its way to it is answered first: an instance that leaves costs nobody a verdict.
    void this.drain(leaveMsMax)
  }

  /** Frames of one turn leave together. */
  #post(frame: string): void {
    this.#outbox.push(frame)
    if (this.#outbox.length === 1) queueMicrotask(() => this.#flush())
  }

  #flush(): void {
    const frames = this.#outbox
    this.#outbox = []
    if (this.isGone) return
    let texts: string[] = []
    let size = 0
    const send = () => {
      if (texts.length > 0 && !this.#parts.channel.send(`[${texts.join(',')}]`)) this.#notSent()
      texts = []
      size = 0
    }
    for (const frame of frames) {
      if (size + frame.length * 3 > textBytesMax) send()
      texts.push(frame)
      size += frame.length * 3
    }
    send()
  }

  /** What cannot be sent is lost: nobody waits for the answer until the deadline. */
  #notSent(): void {
    if (!this.isGone) this.#failAll('the message could not be sent')
  }

  configure(version: number, settings: unknown): void {
    this.#settings = JSON.stringify({ k: 'settings', version, settings } satisfies ToPlugin)
    this.#post(this.#settings)
  }

  #onCut(isCut: boolean): void {
    this.isCut = isCut
    this.#pingAt = 0
    if (isCut) return this.#failAll('the connection is cut')
    // They, or the "ready" that they are answered with, may have been on the way.
    if (this.#settings !== '') this.#post(this.#settings)
    this.#pump(this.#parts.clock.now())
  }

  #failAll(message: string): void {
    const batches = [...this.#batches.values()]
    this.#batches.clear()
    this.breaker.abandoned()
    for (const check of [...batches.flatMap(({ checks }) => checks), ...this.#waiting.splice(0)])
      this.#fail(check, 'unavailable', message)
    for (const [id, run] of [...this.#runs]) {
      this.#endRun(id, run)
      run.reject(new CallError('plugin.lost', message))
    }
    this.#considerDrained()
  }

  #armPing(): void {
    this.#ping = this.#parts.liveClock.after(pingEveryMs, () => {
      if (this.isGone) return
      if (!this.isCut) {
        if (this.#pingAt === 0) this.#pingAt = this.#parts.liveClock.now()
        // Each time: the one before, or its answer, may have been lost with the other side's connection.
        this.#post('{"k":"ping","id":0}')
      }
      this.#armPing()
    })
  }

  // ------------------------------------------------------------------ the end

  /** No new work; resolves when what is under way has ended or `withinMs` is over. */
  async drain(withinMs: number): Promise<void> {
    this.isDraining = true
    if (this.isGone) return
    if (this.underWay > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#parts.liveClock.after(withinMs, resolve)
        this.#drained = () => {
          timer.cancel()
          resolve()
        }
        this.#pump(this.#parts.clock.now())
      })
    }
    this.#post('{"k":"drain"}')
    this.#flush()
  }

  close(reason: string): void {
    if (this.isGone) return
    this.#flush()
    this.#parts.channel.close(reason)
    this.#gone(reason)
  }

  #gone(reason: string): void {
    if (this.isGone) return
    this.isGone = true
    this.#ping?.cancel()
    this.#readyBy?.cancel()
    this.#sweep?.cancel()
    this.#gather?.cancel()
    this.#failAll(`the instance is gone: ${reason}`)
    this.#drained?.()
    this.#parts.onGone(reason)
  }
}

// Frames come from somebody else's process: nothing of them is turned into a text or a number by methods of its own.
const textOf = (value: unknown): string => (typeof value === 'string' ? value.slice(0, 1_000) : '')
const numberOf = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0)
const levelOf = (level: unknown) => (level === 'debug' || level === 'warn' || level === 'error' ? level : 'info')

function callError(result: CallResult | undefined): CallError & { retryAfterMs?: number } {
  const { code, msg, retryAfterMs } = (result ?? {}) as { code?: unknown; msg?: unknown; retryAfterMs?: unknown }
  const error = new CallError(
    typeof code === 'string' ? code : 'plugin.failed',
    typeof msg === 'string' ? msg.slice(0, 500) : 'failed',
  )
  return typeof retryAfterMs === 'number' ? Object.assign(error, { retryAfterMs }) : error
}
