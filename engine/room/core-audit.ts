/**
 * The part of core.db that says who did what as an operator, and what waits for a second person.
 *
 *     admin_audit     one row for each step of a write; each row has the hash of all before it, so that a row that was changed or taken
 *                     out shows. Triggers refuse both; `audit_verify` finds out what somebody did behind their back.
 *     money_requests  adjustments of money: asked for by one person, decided by another
 *
 * A write of money has two rows: `asked`, on disk before a coin moves, and `done` or `refused` with what became of it. An asked row
 * holds the key of the request, so that the same key gets the first answer, after a restart too.
 *
 *     hash = SHA-256, hex, of JSON.stringify([hash of the row before, n, at, actor, action, target, kind, ask_n, ik, body_hash, d])
 */
import { createHash } from 'node:crypto'
import type Database from 'better-sqlite3'

/** `done` alone: a write that was not announced. `failed`: what became of it is not known, or nothing did; it may be asked again. */
export type AuditKind = 'asked' | 'done' | 'refused' | 'failed'
export interface NewAudit {
  at: number
  actor: string
  /** Method and route: `POST /money/refunds`. */
  action: string
  target: string
  kind: AuditKind
  /** The asked row that this one ends. */
  askN: number | null
  ik: string | null
  bodyHash: string | null
  /** JSON. */
  d: string
}
export interface AuditColumns extends NewAudit {
  n: number
  hash: string
}
/** An asked row, new or found by its key, and the row that ended it. */
export interface Asked {
  n: number
  /** When it was asked for the first time. */
  at: number
  isNew: boolean
  bodyHash: string | null
  ended: { kind: AuditKind; d: string } | undefined
}
/** One page of a walk along the chain. */
export interface ChainPage {
  rows: number
  n: number
  hash: string
  broken: { n: number; msg: string } | undefined
}

export type RequestState = 'pending' | 'approved' | 'posted' | 'refused' | 'rejected'
export interface RequestColumns {
  id: string
  state: RequestState
  at: number
  by: string
  /** JSON. */
  d: string
  decidedAt: number | null
  decidedBy: string | null
  note: string | null
}

export interface AuditOpAnswers {
  audit_put: { n: number; hash: string }
  audit_ask: Asked
  audit_list: AuditColumns[]
  audit_verify: ChainPage
  /** `full`: as many as may wait do. */
  request_put: 'made' | 'exists' | 'full'
  request_get: RequestColumns | undefined
  request_list: RequestColumns[]
  /** The row as it is now; undefined when it was in no state of `from`. */
  request_move: RequestColumns | undefined
}
export type AuditOp =
  | { op: 'audit_put'; row: NewAudit }
  | { op: 'audit_ask'; row: NewAudit }
  | { op: 'audit_list'; afterN: number; limit: number }
  | { op: 'audit_verify'; afterN: number; hash: string; limit: number }
  | { op: 'request_put'; row: RequestColumns; pendingMax: number }
  | { op: 'request_get'; id: string }
  | { op: 'request_list'; state: RequestState | undefined; afterId: string; limit: number }
  | {
      op: 'request_move'
      id: string
      from: readonly RequestState[]
      to: Pick<RequestColumns, 'state' | 'decidedAt' | 'decidedBy' | 'note'>
    }

export const isAuditOp = (op: { op: string }): op is AuditOp => op.op.startsWith('audit_') || op.op.startsWith('request_')

export function auditHash(before: string, row: Omit<AuditColumns, 'hash'>): string {
  const { n, at, actor, action, target, kind, askN, ik, bodyHash, d } = row
  const text = JSON.stringify([before, n, at, actor, action, target, kind, askN, ik, bodyHash, d])
  return createHash('sha256').update(text).digest('hex')
}

export class AuditTables {
  readonly #sql: ReturnType<typeof prepare>

  constructor(db: Database.Database) {
    this.#sql = prepare(db)
  }

  apply(op: AuditOp): AuditOpAnswers[keyof AuditOpAnswers] {
    const sql = this.#sql
    switch (op.op) {
      case 'audit_put':
        return this.#put(op.row)
      case 'audit_ask':
        return this.#ask(op.row)
      case 'audit_list':
        return sql.list.all(op) as AuditColumns[]
      case 'audit_verify':
        return this.#verify(op)
      case 'request_put': {
        if (sql.request.get({ id: op.row.id })) return 'exists'
        if ((sql.pending.get() as { count: number }).count >= op.pendingMax) return 'full'
        sql.putRequest.run(op.row)
        return 'made'
      }
      case 'request_get':
        return sql.request.get({ id: op.id }) as RequestColumns | undefined
      case 'request_list': {
        const found = op.state === undefined ? sql.requests.all(op) : sql.requestsIn.all(op)
        return found as RequestColumns[]
      }
      case 'request_move': {
        const { changes } = sql.moveRequest.run({ id: op.id, from: JSON.stringify(op.from), ...op.to })
        return changes === 1 ? (sql.request.get({ id: op.id }) as RequestColumns) : undefined
      }
      default:
        throw new Error(`unknown op ${JSON.stringify(op satisfies never)}`)
    }
  }

  #put(row: NewAudit): AuditOpAnswers['audit_put'] {
    const last = this.#sql.last.get() as { n: number; hash: string } | undefined
    const n = (this.#sql.given.get() as { seq: number } | undefined)?.seq ?? 0
    const next = { ...row, n: n + 1 }
    const hash = auditHash(last?.hash ?? '', next)
    this.#sql.put.run({ ...next, hash })
    return { n: next.n, hash }
  }

  #ask(row: NewAudit): Asked {
    const known = this.#sql.byKey.get(row) as Pick<Asked, 'n' | 'at' | 'bodyHash'> | undefined
    if (!known) return { n: this.#put(row).n, at: row.at, isNew: true, bodyHash: row.bodyHash, ended: undefined }
    const ended = this.#sql.endOf.get({ n: known.n }) as { kind: AuditKind; d: string } | undefined
    return { ...known, isNew: false, ended }
  }

  #verify({ afterN, hash: known, limit }: AuditOp & { op: 'audit_verify' }): ChainPage {
    let [n, hash] = [afterN, known]
    const rows = this.#sql.list.all({ afterN, limit }) as AuditColumns[]
    const at = (found: number, msg: string): ChainPage => ({ rows: rows.length, n, hash, broken: { n: found, msg } })
    for (const row of rows) {
      if (row.n !== n + 1) return at(n + 1, `row ${n + 1} is gone`)
      if (auditHash(hash, row) !== row.hash) return at(row.n, `row ${row.n}, or one before it, is not what was written`)
      n = row.n
      hash = row.hash
    }
    const { seq = 0 } = (this.#sql.given.get() ?? {}) as { seq?: number }
    if (rows.length < limit && seq !== n) return at(n + 1, `rows ${n + 1} to ${seq} are gone`)
    return { rows: rows.length, n, hash, broken: undefined }
  }
}

const auditNames = 'n, at, actor, action, target, kind, ask_n AS askN, ik, body_hash AS bodyHash, d, hash'
const requestNames = 'id, state, at, "by", d, decided_at AS decidedAt, decided_by AS decidedBy, note'

function prepare(db: Database.Database) {
  const q = (source: string) => db.prepare(source)
  return {
    last: q('SELECT n, hash FROM admin_audit ORDER BY n DESC LIMIT 1'),
    given: q(`SELECT seq FROM sqlite_sequence WHERE name = 'admin_audit'`),
    put: q(
      `INSERT INTO admin_audit (n, at, actor, action, target, kind, ask_n, ik, body_hash, d, hash)
       VALUES (@n, @at, @actor, @action, @target, @kind, @askN, @ik, @bodyHash, @d, @hash)`,
    ),
    byKey: q(
      `SELECT n, at, body_hash AS bodyHash FROM admin_audit WHERE actor = @actor AND action = @action AND ik = @ik AND kind = 'asked'`,
    ),
    endOf: q(`SELECT kind, d FROM admin_audit WHERE ask_n = @n ORDER BY n DESC LIMIT 1`),
    list: q(`SELECT ${auditNames} FROM admin_audit WHERE n > @afterN ORDER BY n LIMIT @limit`),
    putRequest: q(
      `INSERT INTO money_requests (id, state, at, "by", d, decided_at, decided_by, note)
       VALUES (@id, @state, @at, @by, @d, @decidedAt, @decidedBy, @note)`,
    ),
    pending: q(`SELECT count(*) AS count FROM money_requests WHERE state = 'pending'`),
    request: q(`SELECT ${requestNames} FROM money_requests WHERE id = @id`),
    requests: q(`SELECT ${requestNames} FROM money_requests WHERE id > @afterId ORDER BY id LIMIT @limit`),
    requestsIn: q(`SELECT ${requestNames} FROM money_requests WHERE state = @state AND id > @afterId ORDER BY id LIMIT @limit`),
    moveRequest: q(
      `UPDATE money_requests SET state = @state, decided_at = @decidedAt, decided_by = @decidedBy, note = @note
       WHERE id = @id AND state IN (SELECT value FROM json_each(@from))`,
    ),
  }
}
