/**
 * Guards: may this happen? Every guard of a command is asked on arrival, all at once, before anything is committed.
 *
 * A guard that answers at once costs no promise. Answers are weighed deny > hold > challenge > shadow > allow, and of several denials
 * the one with the lowest order counts. A guard that fails, is late, cannot be reached or answers rubbish counts as its declared policy:
 * `open` lets the command pass and tags it as unchecked, `closed` refuses it with `<domain>.unavailable`.
 * Whoever runs the plugin (`place.ts`) settles every question within its budget, so nothing here waits for a clock.
 */
import { type ErrorCode, errors, type PluginErrorCode } from '../../../schemas/errors.ts'
import { refusal } from '../../room/call.ts'
import type { Ask } from '../define.ts'
import { type Allow, allow, type Deny, guardedCommands, holdMsMax, isOwnedBy, shadow, type Verdict } from '../hooks.ts'
import type { HookMeters } from './meters.ts'

export interface BoundGuard {
  plugin: string
  /** That the plugin owns: it may refuse in their words. */
  domains?: readonly string[]
  order: number
  onFailure: 'open' | 'closed'
  meters: HookMeters
  /** The plugin's raw answer; throws or rejects when there is none. */
  check(ask: Ask<unknown>): unknown
}

/** What all guards together say, and which of them could not be asked but let it pass. */
export interface Ruling {
  verdict: Verdict
  unchecked: readonly string[]
}
/** A denial as the client gets it. */
export type RuledDeny = Omit<Deny, 'code'> & { code: ErrorCode | PluginErrorCode }

const none: readonly string[] = []
const passed: Ruling = Object.freeze({ verdict: allow, unchecked: none })
const weight: Record<Verdict['kind'], number> = { deny: 4, hold: 3, challenge: 2, shadow: 1, allow: 0 }
/** Stands for "could not be asked, and passes". */
const unchecked: Allow = Object.freeze({ kind: 'allow' })

export class Guards {
  readonly #byCommand = new Map<string, readonly BoundGuard[]>()
  readonly #onFailure: (guard: BoundGuard, on: string, error: unknown) => void

  constructor(onFailure: (guard: BoundGuard, on: string, error: unknown) => void) {
    this.#onFailure = onFailure
  }

  /** The guards of a command from now on. What is being asked goes on with the ones before. */
  set(on: string, guards: readonly BoundGuard[]): void {
    if (guards.length === 0) this.#byCommand.delete(on)
    else
      this.#byCommand.set(
        on,
        [...guards].sort((a, b) => a.order - b.order || (a.plugin < b.plugin ? -1 : 1)),
      )
  }

  commands(): Iterable<string> {
    return this.#byCommand.keys()
  }

  /** Whether anybody guards this command: saves making the question. */
  has(on: string): boolean {
    return this.#byCommand.has(on)
  }

  /** A ruling at once when every guard answered at once. */
  ask(on: string, ask: Ask<unknown>): Ruling | Promise<Ruling> {
    const guards = this.#byCommand.get(on)
    if (guards === undefined) return passed
    const only = guards[0]
    if (guards.length === 1 && only !== undefined) return this.#askOne(only, on, ask, ruledByOne)
    const verdicts = guards.map((guard) => this.#askOne(guard, on, ask, itself))
    if (verdicts.some((verdict) => verdict instanceof Promise)) return Promise.all(verdicts).then((late) => ruled(guards, late))
    return ruled(guards, verdicts as Verdict[])
  }

  /** `made`: of the verdict, in the same step, because each further promise of a chain costs 0.2 us. */
  #askOne<T>(guard: BoundGuard, on: string, ask: Ask<unknown>, made: (guard: BoundGuard, verdict: Verdict) => T): T | Promise<T> {
    const { meters } = guard
    meters.calls++
    try {
      const answer = guard.check(ask)
      if (!(answer instanceof Promise)) return made(guard, this.#sound(guard, on, answer))
      const startedAt = meters.start()
      return answer.then(
        (late) => {
          meters.took(startedAt)
          return made(guard, this.#sound(guard, on, late))
        },
        (error) => {
          meters.took(startedAt)
          return made(guard, this.#failed(guard, on, error))
        },
      )
    } catch (error) {
      return made(guard, this.#failed(guard, on, error))
    }
  }

  #sound(guard: BoundGuard, on: string, answer: unknown): Verdict {
    if (answer === allow || answer === 0) {
      guard.meters.allow++
      return allow
    }
    const verdict = soundVerdict(answer, guard, on)
    if (verdict === undefined) return this.#failed(guard, on, new Error('the answer is no verdict of this command'))
    guard.meters[verdict.kind]++
    return verdict
  }

  #failed(guard: BoundGuard, on: string, error: unknown): Verdict {
    guard.meters.failed(error)
    this.#onFailure(guard, on, error)
    return guard.onFailure === 'open' ? unchecked : { kind: 'deny', code: unavailableCode(on) }
  }
}

/** Nearly every ruling is that of one guard which allows: no list is made for it (60 ns a message instead of 150). */
const ruledByOne = (guard: BoundGuard, verdict: Verdict): Ruling => (verdict === allow ? passed : ruled([guard], [verdict]))

const itself = (_: BoundGuard, verdict: Verdict): Verdict => verdict

function ruled(guards: readonly BoundGuard[], verdicts: readonly Verdict[]): Ruling {
  let heaviest: Verdict = allow
  let tagged: string[] | undefined
  for (const [at, verdict] of verdicts.entries()) {
    if (weight[verdict.kind] > weight[heaviest.kind]) heaviest = verdict
    if (verdict === unchecked) (tagged ??= []).push((guards[at] as BoundGuard).plugin)
  }
  if (heaviest === allow && tagged === undefined) return passed
  return { verdict: heaviest, unchecked: tagged ?? none }
}

/** How a command is refused that did not pass; undefined when it may go on (a shadow goes on). */
export function refusalOfVerdict(verdict: Verdict): ReturnType<typeof refusal> | undefined {
  switch (verdict.kind) {
    case 'deny':
      return refusal(verdict.code as ErrorCode, verdict.msg === undefined ? {} : { msg: verdict.msg })
    case 'challenge':
      return refusal('risk.challenge_required', { d: { hint: verdict.challenge } })
    case 'hold':
      return refusal('content.held')
    default:
      return undefined
  }
}

/** What a command is answered with whose closed guard cannot be asked. */
export function unavailableCode(on: string): ErrorCode {
  const code = `${on.split('.', 1)[0]}.unavailable`
  return Object.hasOwn(errors, code) ? (code as ErrorCode) : 'plugin.unavailable'
}

/** A code that a plugin may refuse with: one of the engine's, or its own. */
export const isPluginsCode = (
  code: unknown,
  plugin: string,
  domains: readonly string[] = none,
): code is ErrorCode | PluginErrorCode =>
  typeof code === 'string' && (Object.hasOwn(errors, code) || isOwnedBy(code, plugin, domains))

const msgMax = 500
const idPattern = /^[A-Za-z0-9_-]{1,64}$/
const challengePattern = /^[a-z][a-z0-9_]{0,31}$/

/** A verdict made anew from what may be anything; undefined when it is none that this command takes. */
function soundVerdict(answer: unknown, { plugin, domains }: BoundGuard, on: string): Verdict | undefined {
  if (typeof answer !== 'object' || answer === null) return undefined
  const { kind, code, msg, caseId, ttlMs, challenge } = answer as Record<string, unknown>
  const holdable = (guardedCommands as Record<string, { holdable: boolean } | undefined>)[on]?.holdable === true
  switch (kind) {
    case 'allow':
      return allow
    case 'deny':
      if (!isPluginsCode(code, plugin, domains) || !(msg === undefined || typeof msg === 'string')) return undefined
      return msg === undefined ? { kind, code } : { kind, code, msg: msg.slice(0, msgMax) }
    case 'shadow':
      return holdable ? shadow : undefined
    case 'hold':
      if (!holdable || typeof caseId !== 'string' || !idPattern.test(caseId)) return undefined
      return { kind, caseId, ttlMs: typeof ttlMs === 'number' && ttlMs > 0 ? Math.min(ttlMs, holdMsMax) : holdMsMax }
    case 'challenge':
      return typeof challenge === 'string' && challengePattern.test(challenge) ? { kind, challenge } : undefined
    default:
      return undefined
  }
}
