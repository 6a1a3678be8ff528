/**
 * How the admin API answers: `{code, msg}` for every refusal, a status for every code, versions as ETags, and keys that make a repeated
 * POST happen once. Codes of commands stand in `schemas/errors.ts`; those that only an operator meets stand here.
 */
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type ErrorCode, errors } from '../../schemas/errors.ts'
import type { Clock } from '../base/clock.ts'
import { LedgerUnavailable } from '../ledger/queue.ts'
import { type DeskErrorCode, deskErrors } from '../pay/desk.ts'
import { PluginError, type PluginErrorName } from '../plugin/host/plugin-error.ts'
import { ManifestError } from '../plugin/manifest.ts'
import { type Answer, accept, type Call, refuse } from '../room/call.ts'
import { Idempotency } from '../room/idempotency.ts'
import { StoreError } from '../room/store.ts'

export const ErrorReply = Type.Object({
  code: Type.String(),
  msg: Type.String(),
  retryAfterMs: Type.Optional(Type.Integer()),
  d: Type.Optional(Type.Unknown()),
})
export const refusals = { '4xx': ErrorReply, '5xx': ErrorReply } as const
export const security = [{ operator: [] }]

type AdminErrorName =
  | ('plugin.bad_file' | 'plugin.no_folder' | 'relay.off' | 'backup.busy' | 'backup.not_found' | 'backup.failed')
  | ('money.off' | 'money.not_found' | 'money.decided' | 'money.altered' | 'money.too_many' | 'money.still_broken')
  | Exclude<DeskErrorCode, ErrorCode>
export type OperatorErrorCode = PluginErrorName | ManifestError['code'] | AdminErrorName

/** What an operator of plugins can be refused with, beside the codes of commands. */
export const operatorErrors: Readonly<Record<OperatorErrorCode, { status: number; doc: string }>> = {
  'plugin.not_found': { status: 404, doc: 'No plugin of this name is known.' },
  'plugin.exists': { status: 409, doc: 'The name, or a domain that it asks for, belongs to another plugin.' },
  'plugin.disabled': { status: 409, doc: 'It was disabled by an operator: enable it first.' },
  'plugin.bad_state': { status: 409, doc: 'It is not in a state in which this can be done.' },
  'plugin.stale': { status: 412, doc: 'The settings are at another version than the one in `If-Match`: read them again.' },
  'plugin.bad_settings': { status: 422, doc: 'The settings do not fit the schema of the plugin.' },
  'plugin.bad_manifest': {
    status: 422,
    doc: 'What the plugin declares cannot be: a wrong shape, an unknown hook, a name not its own.',
  },
  'plugin.version': { status: 422, doc: 'It was made for hooks of a version that this engine does not serve.' },
  'plugin.not_loaded': { status: 422, doc: 'The file is no plugin, or the plugin did not start.' },
  'plugin.bad_file': { status: 422, doc: 'The name is not that of a file in `pluginsDir`.' },
  'plugin.no_folder': { status: 409, doc: 'Plugins cannot be attached over HTTP: `pluginsDir` is not set.' },
  'plugin.too_many': { status: 429, doc: 'A bound is reached: plugins, hooks, instances, or what is attached at the same time.' },
  'relay.off': { status: 409, doc: 'The room log is not copied to JetStream: `natsUrl` and `jetStream` are not set.' },
  'money.off': { status: 409, doc: 'This engine keeps no ledger: the option `money` is off.' },
  'money.not_found': { status: 404, doc: 'The ledger knows no such user, transaction, gift or request.' },
  'money.decided': { status: 409, doc: 'It was decided before: posted, refused or rejected.' },
  'money.altered': { status: 409, doc: 'It is not what was asked for, as the audit has it: reject it, and look who changed it.' },
  'money.too_many': { status: 429, doc: 'As many adjustments wait for a second person as may: decide some.' },
  'money.still_broken': { status: 409, doc: 'The audit of the ledger finds what is broken again: nothing was cleared.' },
  'gift.not_found': { status: 404, doc: deskErrors['gift.not_found'] },
  'gift.refunded': { status: 409, doc: deskErrors['gift.refunded'] },
  'gift.settled': { status: 409, doc: deskErrors['gift.settled'] },
  'desk.same_person': { status: 403, doc: deskErrors['desk.same_person'] },
  'ledger.refused': { status: 409, doc: deskErrors['ledger.refused'] },
  'backup.busy': { status: 409, doc: 'A backup is under way, or waits to be fetched.' },
  'backup.not_found': {
    status: 404,
    doc: 'There is no such backup or file: it was fetched, deleted, or the engine has started anew.',
  },
  'backup.failed': { status: 500, doc: 'The copy was not made, or is not sound.' },
}

/** A refusal of the admin API's own. */
export class OperatorError extends Error {
  readonly code: OperatorErrorCode

  constructor(code: OperatorErrorCode, msg: string) {
    super(msg)
    this.name = 'OperatorError'
    this.code = code
  }
}

/** A command's refusal, thrown where an answer is awaited. */
export class Refused extends Error {
  readonly err: Extract<Answer, { ok: false }>['err']

  constructor(err: Refused['err']) {
    super(err.msg)
    this.name = 'Refused'
    this.err = err
  }
}

const statuses: Partial<Record<ErrorCode, number>> = {
  'room.not_found': 404,
  'message.not_found': 404,
  'perm.denied': 403,
  'perm.target_protected': 403,
  'room.exists': 409,
  'room.bad_state': 409,
  'room.taken_down': 409,
  'wall.empty': 409,
  'idem.conflict': 409,
  'idem.in_flight': 409,
  'rate.limited': 429,
  'room.too_many': 429,
  'stream.gone': 404,
  'stream.unavailable': 503,
  'stream.no_capacity': 503,
  'wallet.insufficient': 409,
  'limit.exceeded': 429,
  'billing.unavailable': 503,
  'room.unavailable': 503,
  'content.unavailable': 503,
  'wall.unavailable': 503,
  'plugin.unavailable': 503,
  'plugin.failed': 500,
  'server.store_unavailable': 503,
  'server.busy': 503,
  'server.internal': 500,
}
export const statusOf = (code: string): number => statuses[code as ErrorCode] ?? 400

export function send(reply: FastifyReply, answer: Answer): FastifyReply {
  if (answer.ok) return reply.send(answer.d ?? {})
  return reply.status(statusOf(answer.err.code)).send(answer.err)
}

const msgMax = 2_000
const ledgerMsg = 'The ledger cannot be asked now. Send it again with the same Idempotency-Key: it happens once.'
/** The answer to what a handler threw, where it is a refusal and no fault of ours. */
export function refusalFor(error: unknown): { status: number; body: object } | undefined {
  if (error instanceof PluginError || error instanceof ManifestError || error instanceof OperatorError)
    return { status: operatorErrors[error.code].status, body: { code: error.code, msg: error.message.slice(0, msgMax) } }
  if (error instanceof Refused) return { status: statusOf(error.err.code), body: error.err }
  if (error instanceof LedgerUnavailable)
    return { status: statusOf(error.code), body: { code: error.code, msg: ledgerMsg, retryAfterMs: 1_000 } }
  if (!(error instanceof StoreError)) return undefined
  const code = 'server.store_unavailable'
  return { status: statusOf(code), body: { code, msg: errors[code].doc, retryAfterMs: 1_000 } }
}

export function idempotencyKey(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key']
  return typeof key === 'string' && key.length > 0 && key.length <= 64 ? key : undefined
}

export const etag = (version: number): string => `"${version}"`

/** The version that `If-Match` asks for; undefined: any; -1: none that can be. */
export function wantedVersion(request: FastifyRequest): number | undefined {
  const wanted = request.headers['if-match']
  if (wanted === undefined || wanted === '*') return undefined
  return Number(/^"(\d{1,15})"$/.exec(wanted)?.[1] ?? -1)
}

/** Writes that are no commands: with an `Idempotency-Key` they happen once, and the first answer is given again. */
export class Once {
  readonly #clock: Clock
  readonly #idempotency: Idempotency

  constructor(clock: Clock, entriesMax: number) {
    this.#clock = clock
    this.#idempotency = new Idempotency(entriesMax)
  }

  run<T>(request: FastifyRequest, act: () => Promise<T>): Promise<T> {
    const ik = idempotencyKey(request)
    if (ik === undefined) return act()
    return new Promise((resolve, reject) => {
      const call: Call = {
        t: `${request.method} ${request.routeOptions.url}`,
        d: { params: request.params, query: request.query, body: request.body },
        ik,
        actor: request.actor,
        session: undefined,
        hops: 0,
        at: this.#clock.now(),
        answer: (answer) => (answer.ok ? resolve(answer.d as T) : reject(new Refused(answer.err))),
      }
      const begun = this.#idempotency.begin(call)
      if ('ok' in begun) return call.answer(begun)
      act().then(
        (d) => accept(begun, d),
        (error) => {
          reject(error) // the first word counts
          refuse(begun, 'server.internal') // the key may be used again
        },
      )
    })
  }
}
