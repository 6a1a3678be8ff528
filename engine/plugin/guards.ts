/**
 * Guards: may this happen? Every guard of a command is asked on arrival, before anything is committed.
 *
 * A guard that returns no promise costs no promise. Answers are weighed deny > shadow > allow, and the first deny by `order` wins.
 * A guard that throws, rejects or overruns its budget counts as its declared policy says: `open` lets the command pass, `closed` refuses it.
 */
import type { ErrorCode } from '../../schemas/errors.ts'
import type { Clock } from '../base/clock.ts'
import type { Actor } from '../room/call.ts'

export interface GuardRequest {
  room: string
  on: string
  actor: Actor
  d: unknown
}

export type Verdict = { kind: 'allow' } | { kind: 'shadow' } | { kind: 'deny'; code: ErrorCode; msg?: string }
export const allow: Verdict = { kind: 'allow' }

export interface Guard {
  name: string
  on: string
  order: number
  onFailure: 'open' | 'closed'
  /** An answer after this counts as a failure: nobody's danmaku wait longer. */
  budgetMs: number
  check(request: GuardRequest): Verdict | Promise<Verdict>
}

const weight = { deny: 2, shadow: 1, allow: 0 } as const
const heavier = (a: Verdict, b: Verdict): Verdict => (weight[b.kind] > weight[a.kind] ? b : a)

export class Guards {
  readonly #byCommand = new Map<string, Guard[]>()
  readonly #clock: Clock
  readonly #onFailure: (guard: Guard, error: unknown) => void

  constructor(clock: Clock, onFailure: (guard: Guard, error: unknown) => void) {
    this.#clock = clock
    this.#onFailure = onFailure
  }

  add(guard: Guard): () => void {
    const list = [...(this.#byCommand.get(guard.on) ?? []), guard].sort((a, b) => a.order - b.order)
    this.#byCommand.set(guard.on, list)
    return () =>
      this.#byCommand.set(
        guard.on,
        (this.#byCommand.get(guard.on) ?? []).filter((other) => other !== guard),
      )
  }

  /** A verdict at once when every guard answered at once. */
  ask(request: GuardRequest): Verdict | Promise<Verdict> {
    const guards = this.#byCommand.get(request.on)
    if (!guards || guards.length === 0) return allow
    const verdicts = guards.map((guard) => this.#askOne(guard, request))
    if (!verdicts.some((verdict) => verdict instanceof Promise)) return (verdicts as Verdict[]).reduce(heavier, allow)
    return Promise.all(verdicts).then((settled) => settled.reduce(heavier, allow))
  }

  #askOne(guard: Guard, request: GuardRequest): Verdict | Promise<Verdict> {
    try {
      const verdict = guard.check(request)
      return verdict instanceof Promise ? this.#inTime(guard, verdict) : verdict
    } catch (error) {
      return this.#failed(guard, error)
    }
  }

  #inTime(guard: Guard, verdict: Promise<Verdict>): Promise<Verdict> {
    return new Promise((resolve) => {
      const late = () => resolve(this.#failed(guard, new Error(`no verdict within ${guard.budgetMs} ms`)))
      const timer = this.#clock.after(guard.budgetMs, late)
      verdict.finally(() => timer.cancel()).then(resolve, (error) => resolve(this.#failed(guard, error)))
    })
  }

  #failed(guard: Guard, error: unknown): Verdict {
    this.#onFailure(guard, error)
    return guard.onFailure === 'open' ? allow : { kind: 'deny', code: 'content.rejected' }
  }
}
