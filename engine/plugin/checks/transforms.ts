/**
 * Transforms: as what does it happen? They run one after the other, in order, after every guard has allowed; each sees what the one
 * before made of it and may change the white-listed fields alone. A transform that fails, is late or answers rubbish is skipped and
 * counted: a transform never keeps anything from happening.
 */
import type { Ask } from '../define.ts'
import { type TransformedCommand, transformedCommands } from '../hooks.ts'
import type { HookMeters } from './meters.ts'

export interface BoundTransform {
  plugin: string
  order: number
  meters: HookMeters
  check(ask: Ask<unknown>): unknown
}
export type Patch = Readonly<Record<string, unknown>>

export class Transforms {
  readonly #byCommand = new Map<string, readonly BoundTransform[]>()
  readonly #onFailure: (transform: BoundTransform, on: string, error: unknown) => void

  constructor(onFailure: (transform: BoundTransform, on: string, error: unknown) => void) {
    this.#onFailure = onFailure
  }

  set(on: string, transforms: readonly BoundTransform[]): void {
    if (transforms.length === 0) this.#byCommand.delete(on)
    else
      this.#byCommand.set(
        on,
        [...transforms].sort((a, b) => a.order - b.order || (a.plugin < b.plugin ? -1 : 1)),
      )
  }

  commands(): Iterable<string> {
    return this.#byCommand.keys()
  }

  has(on: TransformedCommand): boolean {
    return this.#byCommand.has(on)
  }

  /**
   * Hand each patch to `apply`, which answers what the next one sees, or undefined when the patch does not fit the command: then it is
   * skipped. Returns at once when every transform answered at once.
   */
  run<D>(on: TransformedCommand, ask: Ask<D>, apply: (d: D, patch: Patch, plugin: string) => D | undefined): D | Promise<D> {
    const list = this.#byCommand.get(on) ?? []
    let d = ask.d
    for (const [at, transform] of list.entries()) {
      const answer = this.#askOne(transform, on, shownTo(ask, d))
      if (answer instanceof Promise) return this.#runLate(on, { ...ask, d }, { answer, rest: list.slice(at), apply })
      d = this.#applied(transform, on, d, answer, apply)
    }
    return d
  }

  async #runLate<D>(on: TransformedCommand, ask: Ask<D>, late: Late<D>): Promise<D> {
    let d = ask.d
    for (const [at, transform] of late.rest.entries()) {
      const answer = at === 0 ? late.answer : this.#askOne(transform, on, shownTo(ask, d))
      d = this.#applied(transform, on, d, await answer, late.apply)
    }
    return d
  }

  /** Undefined: no change, or none that can be used. */
  #askOne(transform: BoundTransform, on: string, ask: Ask<unknown>): unknown {
    const { meters } = transform
    meters.calls++
    const failed = (error: unknown) => {
      meters.failed(error)
      this.#onFailure(transform, on, error)
      return undefined
    }
    try {
      const answer = transform.check(ask)
      if (!(answer instanceof Promise)) return answer
      const startedAt = meters.start()
      return answer.catch(failed).finally(() => meters.took(startedAt))
    } catch (error) {
      return failed(error)
    }
  }

  #applied<D>(transform: BoundTransform, on: TransformedCommand, d: D, answer: unknown, apply: Late<D>['apply']): D {
    if (answer === undefined || answer === null || answer === 0) return d
    const patch = knownFields(on, answer)
    const next = patch === undefined ? undefined : apply(d, patch, transform.plugin)
    if (next !== undefined) return next
    transform.meters.failures++
    this.#onFailure(transform, on, new Error('the patch does not fit the command'))
    return d
  }
}

/** A copy: what a transform does to it in place is no patch, and nobody would check it. */
const shownTo = <D>(ask: Ask<D>, d: D): Ask<D> => ({ ...ask, d: { ...d } })

interface Late<D> {
  answer: Promise<unknown>
  rest: readonly BoundTransform[]
  apply: (d: D, patch: Patch, plugin: string) => D | undefined
}

/** The fields that a transform of this command may change. */
function knownFields(on: TransformedCommand, answer: unknown): Patch | undefined {
  if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) return undefined
  const patch: Record<string, unknown> = {}
  for (const field of transformedCommands[on])
    if (Object.hasOwn(answer, field) && (answer as Patch)[field] !== undefined) patch[field] = (answer as Patch)[field]
  return patch
}
