/**
 * Who comes in, and how many are here: `room.user_joined` for staff always and for others at most `entriesPerSMax` a second;
 * `room.online` when the numbers changed, at most once per `onlineEveryMs`.
 */
import { TokenBucket } from '../base/bucket.ts'
import type { Call } from '../room/call.ts'
import type { Chore, Home } from '../room/home.ts'
import { shownRole } from '../room/rights.ts'

/** The first change after a quiet time is gathered for this long: people come in flocks. */
const gatherMs = 200

export class Entries implements Chore {
  readonly #home: Home
  readonly #bucket = new TokenBucket()
  #announced = ''
  #announcedAt = Number.NEGATIVE_INFINITY
  #announceAt: number | undefined

  constructor(home: Home) {
    this.#home = home
  }

  joined(call: Call, source: string | undefined): void {
    const { actor } = call
    if (actor.anonymous) return
    const role = shownRole(this.#home.ranksOfActor(actor))
    const perS = this.#home.parts.config.entriesPerSMax
    if (!role && (perS === 0 || this.#bucket.take(call.at, { perS, burst: perS }) > 0)) return
    const user = { id: actor.userId, name: actor.name, ...(role ? { role } : {}) }
    const about = { actor: actor.userId, ...(call.unchecked ? { unchecked: call.unchecked } : {}) }
    this.#home.decide(this.#home.event('room.user_joined', { user, ...(source === undefined ? {} : { source }) }, about))
  }

  /** Numbers may have changed: a join, a leave, a grace that ended. */
  dueAt(): number | undefined {
    const { presence, parts } = this.#home
    if (this.#key() === this.#announced || presence.members.size === 0) this.#announceAt = undefined
    else this.#announceAt ??= Math.max(this.#home.now() + gatherMs, this.#announcedAt + parts.config.onlineEveryMs)
    return this.#announceAt
  }

  run(now: number): void {
    if (this.#announceAt === undefined || this.#announceAt > now) return
    this.#announceAt = undefined
    this.#announcedAt = now
    this.#announced = this.#key()
    this.#home.decide(this.#home.event('room.online', this.#home.presence.online))
  }

  #key(): string {
    const { unique, connections, peak } = this.#home.presence.online
    return `${unique}/${connections}/${peak}`
  }
}
