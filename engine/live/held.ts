/**
 * Danmaku that a guard keeps back for review.
 *
 *     verdict hold(caseId) -> keep -> release: into the room's order as of now
 *                                  -> reject, the end of its time, the end of the live: `message.rejected` to its sender alone
 *
 * At most `heldPerRoomMax` wait in a room, each at most 60 s. They live in memory: what is held when its home ends (a restart) is
 * neither shown nor rejected, and its sender, who was answered `content.held`, hears no more of it.
 */
import { subjects } from '../../schemas/subjects.ts'
import type { UserEventHead } from '../room/call.ts'
import type { Chore, Home } from '../room/home.ts'

export interface HeldMessage {
  userId: string
  text: string
}

interface Held<T> {
  message: T
  untilAt: number
}

export class HeldMessages<T extends HeldMessage> implements Chore {
  readonly #home: Home
  readonly #held = new Map<string, Held<T>>()
  /** Not later than the first end; looked for again only when it is over. */
  #dueAt: number | undefined

  constructor(home: Home) {
    this.#home = home
  }

  get size(): number {
    return this.#held.size
  }

  /** False at the bound, and when another message has this case. */
  keep(caseId: string, ttlMs: number, message: T): boolean {
    if (this.#held.has(caseId) || this.#held.size >= this.#home.parts.config.heldPerRoomMax) return false
    const untilAt = this.#home.now() + ttlMs
    this.#held.set(caseId, { message, untilAt })
    this.#dueAt = Math.min(untilAt, this.#dueAt ?? untilAt)
    this.#home.rearm()
    return true
  }

  find(caseId: string): T | undefined {
    return this.#held.get(caseId)?.message
  }

  take(caseId: string): T | undefined {
    const held = this.#held.get(caseId)
    this.#held.delete(caseId)
    if (this.#held.size === 0) this.#dueAt = undefined
    return held?.message
  }

  /** False when there is no such case. `reason` is for people. */
  reject(caseId: string, reason: string): boolean {
    const message = this.take(caseId)
    if (!message) return false
    this.#tell(caseId, message, reason)
    return true
  }

  /** The live is over: nobody is left to show it to. */
  rejectAll(reason: string): void {
    for (const caseId of [...this.#held.keys()]) this.reject(caseId, reason)
  }

  dueAt(): number | undefined {
    return this.#dueAt
  }

  run(now: number): void {
    if (this.#dueAt === undefined || this.#dueAt > now) return
    for (const [caseId, { untilAt }] of [...this.#held]) if (untilAt <= now) this.reject(caseId, 'Nobody looked at it in time.')
    this.#dueAt = undefined
    for (const { untilAt } of this.#held.values()) this.#dueAt = Math.min(untilAt, this.#dueAt ?? untilAt)
  }

  #tell(caseId: string, { userId, text }: T, reason: string): void {
    const { id, parts } = this.#home
    const head: UserEventHead = { t: 'message.rejected', room: id, at: this.#home.now(), d: { caseId, text, reason } }
    parts.bus.publish(subjects.userEvents(userId), { head })
  }
}
