/** What one room adds to the numbers of the mic: how many wait, are invited and sit now, and what was asked, given and too late. */
import type { MicMeters } from './media.ts'
import type { MicFact, MicRules } from './mic-rules.ts'

export class MicNumbers {
  readonly #meters: MicMeters
  readonly #rules: MicRules
  /** Of this room, as the meters have it. */
  #counted = { waiting: 0, invited: 0, seated: 0 }

  constructor(meters: MicMeters, rules: MicRules) {
    this.#meters = meters
    this.#rules = rules
  }

  /** After each step. */
  add(facts: readonly MicFact[]): void {
    const now = this.#rules.counts
    for (const of of ['waiting', 'invited', 'seated'] as const) this.#meters[of] += now[of] - this.#counted[of]
    this.#counted = now
    for (const fact of facts) this.#count(fact)
  }

  #count(fact: MicFact): void {
    const meters = this.#meters
    if (fact.is === 'applied') meters.applications++
    else if (fact.is === 'invited') meters.invitations++
    else if (fact.is === 'granted') meters.grants++
    else if (fact.is === 'timed_out') this.#countLate(fact)
  }

  /** An invitation is told to two, and was one. */
  #countLate({ what, guestId }: Extract<MicFact, { is: 'timed_out' }>): void {
    if (what === 'application') this.#meters.lateApplications++
    else if (what === 'seat') this.#meters.lateGrants++
    else if (guestId === undefined) this.#meters.lateInvitations++
  }
}
