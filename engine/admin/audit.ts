/**
 * Who did what as an operator: a row in core.db for each write, chained by hash (`room/core-audit.ts`).
 *
 *     any write              one row after it: route, target, names of the fields that were sent. Values are in the room log, or secrets
 *     a write of money       `asked` with the whole body, on disk before a coin moves; then `done` or `refused` with before and after
 *
 *     GET /admin/v1/audit    the rows in pages, and the head of the chain          scope audit:read
 *     GET /admin/v1/audit/check    walks the whole chain and names the first row that is not what was written
 *
 * Each row is a line of the log too, with its hash: a chain that somebody has made anew does not fit the lines that were kept elsewhere.
 */
import { Type } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { digest } from '../room/idempotency.ts'
import type { AuditRow } from '../room/store-audit.ts'
import type { AdminParts } from './admin.ts'
import { idempotencyKey, type Once, Refused, refusalFor, refusals, security } from './answers.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the token must have; unset: `operator`. */
    scope?: AdminScope
    /** The handler writes the rows itself. */
    isAudited?: boolean
  }
}
export const adminScopes = {
  operator: 'Rooms, moderation, plugins and their routes, the room log and the delivery account.',
  'money:read': 'Wallets, balances, journal, statements, the state of the ledger and of its audit.',
  'money:write': 'Adjustments, refunds, limits. Comes with what `money:read` may see.',
  'audit:read': 'What operators did.',
  media: 'The media node; degrade, switch the line of a room, cut it. `operator` may too.',
  backup: 'A copy of the whole data folder.',
} as const
export type AdminScope = keyof typeof adminScopes

export const hasScope = (held: readonly string[], wanted: AdminScope): boolean =>
  held.includes(wanted) ||
  (wanted === 'money:read' && held.includes('money:write')) ||
  (wanted === 'media' && held.includes('operator'))

const prefix = '/admin/v1'
const targetCharsMax = 200
const fieldsMax = 50
const pathOf = (request: FastifyRequest): string =>
  (request.url.split('?')[0] ?? '').slice(prefix.length, prefix.length + targetCharsMax)
const actionOf = (request: FastifyRequest): string =>
  `${request.method} ${(request.routeOptions.url ?? '').slice(prefix.length, prefix.length + targetCharsMax)}`

export interface AuditedWrite<T> {
  /** What it is about: a user, an id of a transaction. */
  target: string
  /** How things stand before and after; each is one short look. */
  look(): Promise<unknown>
  /** `n` and `at`: of the asked row, the same however often it is asked. */
  act(asked: { n: number; at: number; isAgain: boolean }): Promise<T>
}

export class AdminAudit {
  readonly #parts: Pick<AdminParts, 'store' | 'clock' | 'log'>
  readonly #once: Once

  constructor(parts: Pick<AdminParts, 'store' | 'clock' | 'log'>, once: Once) {
    this.#parts = parts
    this.#once = once
  }

  /** After a write that was answered with success: what it was. It has happened, so a row that cannot be written is told in the log. */
  async note(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const isWrite = request.method !== 'GET' && request.method !== 'HEAD'
    if (!isWrite || reply.statusCode >= 300 || request.actor === null || request.routeOptions.config.isAudited) return
    const fields = Object.keys((request.body ?? {}) as object).slice(0, fieldsMax)
    const d = { fields, status: reply.statusCode }
    try {
      await this.#put({ ...this.#row(request, pathOf(request)), kind: 'done', d })
    } catch (error) {
      this.#parts.log.error({ err: error, action: actionOf(request) }, 'the audit row of a write is missing')
    }
  }

  /**
   * Once for each key, after a restart too. The asked row is on disk first: without it nothing happens. What was refused or failed may
   * be asked again with the same key and body.
   */
  write<T extends object>(request: FastifyRequest, write: AuditedWrite<T>): Promise<T> {
    if (idempotencyKey(request) === undefined)
      throw new Refused({ code: 'idem.key_required', msg: 'Send an Idempotency-Key of 1 to 64 characters.' })
    return this.#once.run(request, () => this.#write(request, write))
  }

  async #write<T extends object>(request: FastifyRequest, { target, look, act }: AuditedWrite<T>): Promise<T> {
    const { params, query, body } = request
    const before = await look()
    const row = this.#row(request, target)
    const bodyHash = digest({ params, query, body })
    const asked = await this.#parts.store.audit.ask({ ...row, kind: 'asked', bodyHash, d: { body: body ?? null, before } })
    if (asked.bodyHash !== bodyHash) throw new Refused({ code: 'idem.conflict', msg: 'The key was used with another body.' })
    if (asked.ended?.kind === 'done') return asked.ended.d['reply'] as T
    const end = (kind: 'done' | 'refused' | 'failed', d: object) =>
      this.#put({ ...this.#row(request, target), kind, askN: asked.n, d: { before, ...d } })
    try {
      const reply = await act({ n: asked.n, at: asked.at, isAgain: !asked.isNew })
      await end('done', { after: await look(), reply })
      return reply
    } catch (error) {
      const known = refusalFor(error)
      const kind = known && known.status < 500 ? 'refused' : 'failed'
      await end(kind, { error: known?.body ?? 'server.internal' }).catch((failure) =>
        this.#parts.log.error({ err: failure, askN: asked.n }, 'the audit row of a refusal is missing'),
      )
      throw error
    }
  }

  #row(request: FastifyRequest, target: string): Omit<AuditRow, 'kind' | 'd'> {
    const at = this.#parts.clock.now()
    const ik = idempotencyKey(request) ?? null
    return { at, actor: request.actor.userId, action: actionOf(request), target, askN: null, ik, bodyHash: null }
  }

  async #put(row: AuditRow): Promise<void> {
    const { n, hash } = await this.#parts.store.audit.put(row)
    this.#parts.log.info({ n, hash, actor: row.actor, action: row.action, target: row.target, kind: row.kind }, 'audit')
  }
}

const AuditQuery = Type.Object({
  afterN: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 100 })),
})
const AuditReply = Type.Object({
  items: Type.Array(
    Type.Object({
      n: Type.Integer(),
      at: Type.Integer(),
      actor: Type.String(),
      action: Type.String(),
      target: Type.String(),
      kind: Type.String({ description: 'asked, done, refused, failed' }),
      askN: Type.Union([Type.Integer(), Type.Null()], { description: 'The asked row that this one ends.' }),
      d: Type.Unknown(),
      hash: Type.String(),
    }),
  ),
})
const ChainReply = Type.Object({
  isSound: Type.Boolean(),
  rows: Type.Integer(),
  n: Type.Integer({ description: 'The last sound row.' }),
  hash: Type.String({ description: 'Of that row: keep it elsewhere, and a chain that was made anew shows.' }),
  broken: Type.Optional(Type.Object({ n: Type.Integer(), msg: Type.String() })),
})

export function registerAudit(app: FastifyInstance, { store }: AdminParts): void {
  const config = { scope: 'audit:read' } as const
  app.get(
    '/audit',
    {
      config,
      schema: {
        summary: 'What operators did, oldest first.',
        description: 'Scope audit:read.',
        security,
        querystring: AuditQuery,
        response: { 200: AuditReply, ...refusals },
      },
    },
    async (request) => {
      const { afterN = 0, limit = 100 } = request.query as { afterN?: number; limit?: number }
      return { items: await store.audit.list(afterN, limit) }
    },
  )
  app.get(
    '/audit/check',
    {
      config,
      schema: {
        summary: 'Whether each row of the audit is what was written, and none is missing.',
        description: 'Scope audit:read. Walks the whole chain.',
        security,
        response: { 200: ChainReply, ...refusals },
      },
    },
    async () => {
      const { broken, ...chain } = await store.audit.verify()
      return { isSound: broken === undefined, ...chain, ...(broken === undefined ? {} : { broken }) }
    },
  )
}
