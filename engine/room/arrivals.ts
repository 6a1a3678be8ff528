/**
 * Coming and going: `room.join`, `room.leave`, and `edge.resync` for whoever lost the thread.
 *
 *     may they? -> guards -> a complete resume? -> else transforms: what plugins tell those who come late (`ext`) -> counted in, answered
 *
 * Plugins may take their time, and meanwhile the session can be gone: an edge that got no answer in time tells `room.leave` before the
 * join is through. A leave therefore ends every join of its session that still waits; one that comes after it is another arrival.
 * Whatever else can have changed (a ban, a closed or full room) is asked again before somebody is counted in.
 */
import type { CommandInput, ExtensionShape } from '../../schemas/messages.ts'
import type { Patch } from '../plugin/checks/transforms.ts'
import { type Call, type CallSession, type RefusalDetail, refusal, refuse } from './call.ts'
import type { Home } from './home.ts'
import { may } from './rights.ts'

/** Of what one plugin tells: a snapshot is sent whole. */
const extBytesMax = 16_384

type Join = CommandInput<'room.join'>
type Seen = Pick<Join, 'source'>

/** Joins of one session that wait for plugins. */
interface Arrival {
  calls: Set<Call>
  /** One of them was let in: if its session is not here any more, it was sent out, and that goes for the others. */
  isIn: boolean
  isGone: boolean
}

export class Arrivals {
  readonly #home: Home
  readonly #onNew: (call: Call, source: string | undefined) => void
  readonly #waiting = new Map<string, Arrival>()

  /** `onNew`: a user came in who was not here before. */
  constructor(home: Home, onNew: (call: Call, source: string | undefined) => void) {
    this.#home = home
    this.#onNew = onNew
  }

  join(call: Call): void {
    const { session } = call
    if (!session) return refuse(call, 'request.invalid', { msg: 'Only a connection can join.' })
    const refused = entryRefusal(this.#home, call)
    if (refused) return call.answer(refused)
    const { source, resume } = call.d as Join
    const seen: Seen = source === undefined ? {} : { source }
    const { arrival, arriving } = this.#expect(call, session)
    this.#home.guarded(arriving, seen, (ruled) => {
      const admit = (ext: readonly ExtensionShape[]) => this.#admit(ruled, arrival, ext)
      if (arrival.isGone || this.#home.canResume(resume)) admit([])
      else this.#extensions(ruled, seen, admit)
    })
  }

  leave(call: Call): void {
    const { session } = call
    if (session) {
      const arrival = this.#waiting.get(session.sid)
      if (arrival) arrival.isGone = true
      this.#waiting.delete(session.sid)
      this.#home.leave(session.sid)
    }
    call.answer({ ok: true, d: {}, ...(session ? { place: this.#home.framePlace(session) } : {}) })
  }

  /** From an edge that lost a frame, or whose reader fell behind: the state of the room anew. */
  resync(call: Call): void {
    const home = this.#home
    const { session } = call
    const isHere = () => session !== undefined && home.presence.members.has(session.sid)
    if (!isHere()) return refuse(call, 'room.not_joined')
    this.#extensions(call, {}, (ext) => {
      if (!session || !isHere()) return refuse(call, 'room.not_joined')
      call.answer({ ok: true, d: undefined, joined: home.resync(session, call.actor, ext) })
    })
  }

  /** The call as one of its session's arrivals, until it is answered. */
  #expect(call: Call, { sid }: CallSession): { arrival: Arrival; arriving: Call } {
    const arrival = this.#waiting.get(sid) ?? { calls: new Set(), isIn: false, isGone: false }
    this.#waiting.set(sid, arrival)
    arrival.calls.add(call)
    const answer: Call['answer'] = (answered) => {
      arrival.calls.delete(call)
      if (arrival.calls.size === 0 && this.#waiting.get(sid) === arrival) this.#waiting.delete(sid)
      call.answer(answered)
    }
    return { arrival, arriving: { ...call, answer } }
  }

  #admit(call: Call, arrival: Arrival, ext: readonly ExtensionShape[]): void {
    const session = call.session as CallSession
    // Nobody is left to read this.
    if (arrival.isGone || (arrival.isIn && !this.#home.presence.members.has(session.sid))) return refuse(call, 'room.not_joined')
    const refused = entryRefusal(this.#home, call)
    if (refused) return call.answer(refused)
    const { source, resume } = call.d as Join
    arrival.isIn = true
    const { isNew } = this.#home.join(call, session, { resume, ext })
    if (isNew) this.#onNew(call, source)
  }

  #extensions(call: Call, seen: Seen, then: (ext: readonly ExtensionShape[]) => void): void {
    const home = this.#home
    const { transforms } = home.parts
    if (!transforms.has('room.join')) return then([])
    const ext: ExtensionShape[] = []
    const told = transforms.run('room.join', home.ask(call, seen), (d, patch, plugin) => {
      const json = jsonOf(patch)
      if (json !== undefined && json !== '') ext.push({ plugin, json })
      return json === undefined ? undefined : d
    })
    if (told instanceof Promise) home.later(call, told, () => then(ext))
    else then(ext)
  }
}

/** Why somebody may not come in, before plugins are asked. */
export function entryRefusal(home: Home, { actor }: Pick<Call, 'actor'>): ReturnType<typeof refusal> | undefined {
  const ban = home.banOf(actor.userId)
  if (ban) return refusal('room.kicked', { d: { untilAt: ban.untilAt } })
  const ranks = home.ranksOfActor(actor)
  if (home.takedown && !may(ranks, 'enter_taken_down')) return refusal('room.taken_down', aboutCase(home.takedown))
  if (home.info.state !== 'open' && ranks.length === 0) return refusal('room.closed', { retryAfterMs: 5_000 })
  if (home.presence.members.size >= home.parts.config.roomConnectionsMax) return refusal('room.full', { retryAfterMs: 5_000 })
  return undefined
}

export const aboutCase = ({ caseId }: { caseId?: string }): RefusalDetail => (caseId === undefined ? {} : { d: { caseId } })

/** Empty: nothing told. Undefined: more than fits, or nothing that is JSON. */
function jsonOf({ ext }: Patch): string | undefined {
  if (ext === undefined) return ''
  try {
    const json = JSON.stringify(ext)
    return json !== undefined && Buffer.byteLength(json) <= extBytesMax ? json : undefined
  } catch {
    return undefined
  }
}
