/** The audit rows and money requests of core.db, as the engine sees them: `store.audit`. */
import type {
  AuditColumns,
  AuditKind,
  AuditOp,
  AuditOpAnswers,
  ChainPage,
  NewAudit,
  RequestColumns,
  RequestState,
} from './core-audit.ts'
import { toJson } from './store-plugins.ts'

export type { AuditKind, RequestState } from './core-audit.ts'

/** One step of a write by an operator. */
export interface AuditRow extends Omit<NewAudit, 'd'> {
  d: Readonly<Record<string, unknown>>
}
export interface MoneyRequest extends Omit<RequestColumns, 'd'> {
  d: Readonly<Record<string, unknown>>
}
export interface Chain {
  rows: number
  /** Of the last sound row. */
  n: number
  hash: string
  broken: ChainPage['broken']
}
type Ask = <T extends keyof AuditOpAnswers>(op: AuditOp & { op: T }) => Promise<AuditOpAnswers[T]>

const pageRows = 1_000
const fromColumns = <T extends { d: string }>(columns: T): Omit<T, 'd'> & { d: Record<string, unknown> } => ({
  ...columns,
  d: JSON.parse(columns.d),
})

/** Every promise resolves when it is on disk, and rejects with a `StoreError`. */
export class AuditStore {
  readonly #ask: Ask

  constructor(ask: Ask) {
    this.#ask = ask
  }

  put(row: AuditRow): Promise<{ n: number; hash: string }> {
    return this.#ask<'audit_put'>({ op: 'audit_put', row: { ...row, d: toJson(row.d) } })
  }

  /** A new asked row, or the one with the same actor, action and key, and how it ended. */
  async ask(row: AuditRow): Promise<{
    n: number
    at: number
    isNew: boolean
    bodyHash: string | null
    ended: { kind: AuditKind; d: Record<string, unknown> } | undefined
  }> {
    const { ended, ...asked } = await this.#ask<'audit_ask'>({ op: 'audit_ask', row: { ...row, d: toJson(row.d) } })
    return { ...asked, ended: ended && fromColumns(ended) }
  }

  /** In their order after `afterN`, at most 1,000. */
  async list(afterN: number, limit: number): Promise<(Omit<AuditColumns, 'd'> & { d: Record<string, unknown> })[]> {
    const rows = await this.#ask<'audit_list'>({ op: 'audit_list', afterN, limit: Math.max(0, Math.min(limit, pageRows)) })
    return rows.map(fromColumns)
  }

  /** The whole chain from the first row, in pages that let writes pass. */
  async verify(): Promise<Chain> {
    const chain: Chain = { rows: 0, n: 0, hash: '', broken: undefined }
    for (;;) {
      const { rows, ...page } = await this.#ask<'audit_verify'>({
        op: 'audit_verify',
        afterN: chain.n,
        hash: chain.hash,
        limit: pageRows,
      })
      chain.rows += rows
      Object.assign(chain, page)
      if (chain.broken || rows < pageRows) return chain
    }
  }

  /** One row of the chain. */
  async row(n: number): Promise<Awaited<ReturnType<AuditStore['list']>>[number] | undefined> {
    const [row] = await this.list(n - 1, 1)
    return row?.n === n ? row : undefined
  }

  putRequest(row: MoneyRequest, pendingMax: number): Promise<'made' | 'exists' | 'full'> {
    return this.#ask<'request_put'>({ op: 'request_put', row: { ...row, d: toJson(row.d) }, pendingMax })
  }

  async request(id: string): Promise<MoneyRequest | undefined> {
    const found = await this.#ask<'request_get'>({ op: 'request_get', id })
    return found && fromColumns(found)
  }

  /** By id, which is by time, after `afterId`. */
  async requests(options: { state: RequestState | undefined; afterId: string; limit: number }): Promise<MoneyRequest[]> {
    const limit = Math.max(0, Math.min(options.limit, pageRows))
    return (await this.#ask<'request_list'>({ op: 'request_list', ...options, limit })).map(fromColumns)
  }

  /** Of several at the same time exactly one gets the row; the others undefined. */
  async moveRequest(
    id: string,
    from: readonly RequestState[],
    to: Pick<RequestColumns, 'state' | 'decidedAt' | 'decidedBy' | 'note'>,
  ): Promise<MoneyRequest | undefined> {
    const moved = await this.#ask<'request_move'>({ op: 'request_move', id, from, to })
    return moved && fromColumns(moved)
  }
}
