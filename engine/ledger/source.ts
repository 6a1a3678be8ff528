/**
 * What is read of a ledger, whatever database holds it: `reader.ts` answers at once from SQLite, `postgres-reader.ts` with promises.
 *
 *     const rows = await source.journalAfter(pos, 500)
 */
import { accountKind, type Ledger } from './accounts.ts'
import { availableOf } from './cells.ts'
import type { Balance, JournalRow } from './ops.ts'
import type { Payer } from './payers.ts'
import type { Soon } from './soon.ts'

export const pageMax = 1_000
export const pageOf = (limit: number): number => Math.max(0, Math.min(Math.trunc(limit), pageMax))

export interface AccountBalance extends Balance {
  account: string
  ledger: Ledger
  /** What stands on its normal side less what stands on the other. */
  balance: bigint
  /** Less what holds have set aside. */
  available: bigint
}
export interface LedgerTotal {
  ledger: Ledger
  debits: bigint
  credits: bigint
}

/** What one step of the audit reads, all of one moment. */
export interface AuditAsk {
  afterPos: number
  rowsMax: number
  afterAccount: string
  accountsMax: number
}
export interface AuditLook {
  rows: JournalRow[]
  /** For each row: positions at which the indexes find its id and its key. Its own and nothing else, or the database is damaged. */
  foundAt: number[][]
  /** Of the accounts; unset when there are more rows to read first. */
  slice?: AuditSlice
}
export interface AuditSlice {
  balances: AccountBalance[]
  /** What pending holds set aside, by account. */
  pending: ReadonlyMap<string, { debits: bigint; credits: bigint }>
  /** Sums over all accounts of each ledger; looked at with the last accounts, else empty. */
  totals: LedgerTotal[]
}

export interface LedgerSource {
  /** Of the last row; 0 before the first. */
  lastPos(): Soon<number>
  /** Committed rows after `pos`, in order, at most 1,000. */
  journalAfter(pos: number, limit: number): Soon<JournalRow[]>
  /** Those of `roomId`: what a room that starts has not yet seen. */
  roomJournalAfter(roomId: string, pos: number, limit: number): Soon<JournalRow[]>
  /** Those that carry an event and belong to no room. */
  factsAfter(pos: number, limit: number): Soon<JournalRow[]>
  /** Undefined for one who never paid and was never frozen. */
  payerOf(payer: string): Soon<Payer | undefined>
  rowOf(txId: string): Soon<JournalRow | undefined>
  /** The one that was posted under this key. */
  rowByKey(actor: string, command: string, ik: string): Soon<JournalRow | undefined>
  /** At these positions, at most 1,000, in order; one that is not there is missing. */
  rowsAt(positions: readonly number[]): Soon<JournalRow[]>
  /** In the order of `accounts`; zero for one that nothing was ever posted to. */
  balances(accounts: readonly string[]): Soon<AccountBalance[]>
  /** By name, after `account`, at most 1,000. */
  balancesAfter(account: string, limit: number): Soon<AccountBalance[]>
  look(ask: AuditAsk): Soon<AuditLook>
  close(): void
}

export function withSums(account: string, balance: Balance): AccountBalance {
  const kind = accountKind(account)
  const { debits, credits } = balance
  return {
    account,
    ledger: kind?.ledger as Ledger,
    ...balance,
    balance: kind?.normal === 'debit' ? debits - credits : credits - debits,
    available: availableOf(account, balance),
  }
}

export interface PendingLeg {
  dr: string
  cr: string
  amount: bigint
}
export function pendingSums(legs: Iterable<PendingLeg>): Map<string, { debits: bigint; credits: bigint }> {
  const sums = new Map<string, { debits: bigint; credits: bigint }>()
  const of = (account: string) => {
    const sum = sums.get(account) ?? { debits: 0n, credits: 0n }
    sums.set(account, sum)
    return sum
  }
  for (const { dr, cr, amount } of legs) {
    of(dr).debits += amount
    of(cr).credits += amount
  }
  return sums
}
