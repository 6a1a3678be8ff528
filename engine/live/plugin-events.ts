/**
 * Events that plugins send to a room: `engine.room.broadcast`. Whether a plugin may send it, on which lane and how often was checked
 * where its call came in (`plugin/host/calls.ts`); here it gets its place in the room's order.
 *
 * On the low lane only the newest of each name leaves with a tick, so there the answer does not wait for one.
 */
import type { Lane } from '../../schemas/messages.ts'
import { isEventName } from '../../schemas/subjects.ts'
import { codecOf } from '../../schemas/wire.ts'
import { accept, type Call, refuse } from '../room/call.ts'
import { RoomEvent } from '../room/event.ts'
import type { Home } from '../room/home.ts'

interface Broadcast {
  t: string
  d: unknown
  lane: Lane
}

export function broadcast(home: Home, call: Call): void {
  const { t, d, lane } = call.d as Broadcast
  // A name with a message of its own is the engine's, and would be written as that message.
  if (!isEventName(t) || codecOf(t) !== undefined) return refuse(call, 'request.invalid', { d: { field: 't' } })
  const body = plain(d)
  if (body === undefined) return refuse(call, 'request.invalid', { d: { field: 'd' } })
  const options = { eid: home.newId(), at: call.at, actor: call.actor.userId, hops: call.hops }
  const event = new RoomEvent({ t, lane, room: home.id, d: body }, options)
  if (lane === 'low') {
    home.decide(event)
    return accept(call, {})
  }
  home.decide(event, ({ seq }) => accept(call, { seq }))
}

/** As it is now and as JSON has it: an inline plugin may go on changing its object, and what cannot be written must not meet the tick. */
function plain(d: unknown): unknown {
  try {
    const text = JSON.stringify(d)
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}
