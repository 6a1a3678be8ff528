/**
 * What concerns one user and no room: private events to all sessions of a user, and the end of them all.
 *
 * Whoever may (the host of plugins, the admin API) publishes on the bus, and every edge looks whether the user is here:
 *
 *     bus.publish(subjects.userEvents('ann'), { head: { t: 'x.poll.won', at, d: { prize: 3 } } satisfies UserEventHead })
 *     bus.publish(subjects.userClose('ann'), { head: {} })
 *
 * A private event has no seq and is not repeated: what must outlive a lost connection belongs into the answer to a join as well.
 */
import { sessionEvents } from '../../schemas/messages.ts'
import { isEventName, subjects } from '../../schemas/subjects.ts'
import { codecOf, type Encoding, encodeEventJson, encodeEventProto } from '../../schemas/wire.ts'
import type { Bus, Delivery } from '../base/bus.ts'
import type { UserEventHead } from '../room/call.ts'
import type { Session } from './session.ts'

export type { UserEventHead } from '../room/call.ts'

export interface PrivateEventsParts {
  sessionsOf(userId: string): readonly Session[]
  onSent(session: Session): void
}

/** Names of plugins, and of the facts of a connection; never one of a room's own: it would have skipped the room's order. */
export const isPrivateName = (t: string): boolean =>
  Object.hasOwn(sessionEvents, t) || (isEventName(t) && codecOf(t) === undefined)

export class PrivateEvents {
  readonly #parts: PrivateEventsParts
  readonly #stops: readonly (() => void)[]
  sent = 0
  refused = 0

  constructor(bus: Bus, parts: PrivateEventsParts) {
    this.#parts = parts
    this.#stops = [
      bus.subscribe(subjects.anyUserEvents, (delivery) => this.#send(delivery)),
      bus.subscribe(subjects.anyUserClose, (delivery) => this.#close(delivery)),
    ]
  }

  stop(): void {
    for (const stop of this.#stops) stop()
  }

  #send(delivery: Delivery): void {
    const sessions = this.#parts.sessionsOf(userOf(delivery))
    if (sessions.length === 0) return
    const { t, room, at, d } = delivery.head as UserEventHead
    if (!isPrivateName(t)) {
      this.refused++
      return
    }
    const event = { t, ...(room === undefined ? {} : { room }), at, d }
    const frames: Partial<Record<Encoding, Uint8Array>> = {}
    // A copy: a socket that is full ends its session on the way.
    for (const session of [...sessions]) {
      const { encoding } = session
      const frame = (frames[encoding] ??= encoding === 'proto' ? encodeEventProto(event) : encodeEventJson(event))
      session.socket.send(frame)
      this.sent++
      this.#parts.onSent(session)
    }
  }

  #close(delivery: Delivery): void {
    for (const session of [...this.#parts.sessionsOf(userOf(delivery))]) session.end('removedByOperator')
  }
}

const userOf = ({ subject }: Delivery): string => subject.split('.')[2] as string
