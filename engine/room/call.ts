/** A command on its way through a room's home: who asks for what, and where the one answer goes. */
import type { ErrorBody, ErrorCode, PluginErrorCode } from '../../schemas/errors.ts'
import { errors } from '../../schemas/errors.ts'
import type { Encoding } from '../../schemas/wire.ts'
import type { LaneCounts } from './event.ts'

export interface Actor {
  userId: string
  name: string
  anonymous: boolean
  scope: readonly string[]
  bot?: true
}

/** The connection that asks; absent for the admin API and for plugins. */
export interface CallSession {
  sid: string
  edge: string
  encoding: Encoding
  /** For anonymous viewers: what stands for their network address. */
  addressKey?: string | undefined
  /** Grows each time that the edge comes to this room anew (`edge/edge-room.ts`). */
  stay?: number
  /** It has not joined the room: nothing is done for it, and what was paid before is answered as it was then. */
  isOutside?: true
}

export type Answer =
  | { ok: true; d: unknown; replayed?: true; joined?: Joined; place?: FramePlace }
  | { ok: false; err: ErrorBody }

/** Where the frames of a room stand for one edge. It comes with the answers to join, leave and resync: frames lost before it show. */
export interface FramePlace {
  epoch: number
  /** The last frame before this answer, and what was offered to the edge in its stay up to it. */
  frameNo: number
  offered: LaneCounts
}

/** What an edge needs to count a session in: the reply body is `parts[0]`, encoded; missed events are the frames behind it. */
export interface Joined extends FramePlace {
  parts: Uint8Array[]
}

export interface Call {
  readonly t: string
  readonly d: unknown
  readonly ik: string | undefined
  readonly actor: Actor
  readonly session: CallSession | undefined
  /** Of a command by a plugin: how many plugins stand between it and what a user did. 0 for everybody else. */
  readonly hops: number
  /** Plugins whose guard could not be asked and let it pass. */
  readonly unchecked?: readonly string[]
  /** Arrival at the home: slow mode, windows and order go by it. */
  readonly at: number
  answer(answer: Answer): void
}

/** A private event on the bus, to every session of a user (`edge/private.ts`). */
export interface UserEventHead {
  t: string
  /** The room that it is about, if any. */
  room?: string
  at: number
  d: unknown
}

export type RefusalDetail = Pick<ErrorBody, 'retryAfterMs' | 'd'> & { msg?: string }

export function refusal(code: ErrorCode | PluginErrorCode, detail: RefusalDetail = {}): { ok: false; err: ErrorBody } {
  const err: ErrorBody = { code, msg: detail.msg ?? forPeople(code, detail) }
  if (detail.retryAfterMs !== undefined) err.retryAfterMs = detail.retryAfterMs
  if (detail.d !== undefined) err.d = detail.d
  return { ok: false, err }
}

const isEngineCode = (code: string): code is ErrorCode => Object.hasOwn(errors, code)

/** The table's text for a reader who has never heard of field names: their values in their place. */
function forPeople(code: ErrorCode | PluginErrorCode, { retryAfterMs, d }: RefusalDetail): string {
  if (!isEngineCode(code)) return 'Refused.'
  const seconds = retryAfterMs === undefined ? 'a moment' : `${(retryAfterMs / 1000).toFixed(1)} s`
  return errors[code].doc
    .replace(/wait `retryAfterMs`/, `wait ${seconds}`)
    .replace(/`d\.max`/, String(d?.max ?? 'the allowed number of'))
    .replace(/`d\.hint` names the nearest one/, `the nearest is ${d?.hint ?? 'in the reference'}`)
    .replace(/`d\.hint` names its kind/, d?.hint ?? 'try another time')
    .replace(/; `d\.hint` says how far it is/, '')
    .replace(
      /; `d\.resetAt` says when it ends/,
      d?.resetAt === undefined ? '' : `; it ends at ${new Date(d.resetAt).toISOString()}`,
    )
    .replace(/; `d\.caseId` names the case/, d?.caseId === undefined ? '' : `; case ${d.caseId}`)
    .replace(/`d\.field` names it/, `look at ${d?.field ?? 'the body'}`)
    .replace(
      /(?: until|;) `d\.untilAt` \(-1: for ever[^)]*\)/,
      d?.untilAt !== undefined && d.untilAt > 0 ? ` until ${new Date(d.untilAt).toISOString()}` : '',
    )
    .replaceAll('`', '')
}

export const refuse = (call: Call, code: ErrorCode | PluginErrorCode, detail?: RefusalDetail): void =>
  call.answer(refusal(code, detail))
export const accept = (call: Call, d: unknown): void => call.answer({ ok: true, d })
