/**
 * Rows of ledger.db and what they mean: amounts as whole numbers inside JSON, columns to objects and back. The writer and the readers,
 * which are in different threads, share this.
 */
import { accountKind } from './accounts.ts'
import type { Balance, HoldRow, JournalRow, Transfer } from './ops.ts'
import type { Payer } from './payers.ts'

export interface JournalColumns {
  pos: bigint
  tx_id: string
  at: bigint
  action: string
  actor: string
  command: string
  ik: string | null
  body_hash: string | null
  room_id: string | null
  live_id: string | null
  legs: string
  facts: string
  event: string | null
  reply: string
}
export interface BalanceColumns {
  account: string
  debits: bigint
  credits: bigint
  pending_debits: bigint
  pending_credits: bigint
}
export interface HoldColumns {
  hold_id: string
  legs: string
  expires_at: bigint
  state: HoldRow['state']
}

export interface PayerColumns {
  payer: string
  is_frozen: bigint
  minute_at: bigint
  minute_coins: bigint
  day_at: bigint
  day_coins: bigint
}

/** `JSON.stringify` has no bigint; names of accounts need no escapes. */
export const legText = (ledger: string | undefined, { dr, cr, amount }: Transfer): string =>
  `["${ledger}","${dr}","${cr}",${amount}]`
export const legsText = (transfers: readonly Transfer[]): string =>
  `[${transfers.map((transfer) => legText(accountKind(transfer.dr)?.ledger, transfer)).join(',')}]`

const legPattern = /\["\w+","([^"]+)","([^"]+)",(\d+)\]/g
export const legsOf = (text: string): Transfer[] =>
  [...text.matchAll(legPattern)].map(([, dr = '', cr = '', amount = '0']) => ({ dr, cr, amount: BigInt(amount) }))

export const toRow = (columns: JournalColumns): JournalRow => ({
  pos: Number(columns.pos),
  txId: columns.tx_id,
  at: Number(columns.at),
  action: columns.action,
  actor: columns.actor,
  command: columns.command,
  ik: columns.ik ?? undefined,
  bodyHash: columns.body_hash ?? undefined,
  roomId: columns.room_id ?? undefined,
  liveId: columns.live_id ?? undefined,
  legs: legsOf(columns.legs),
  facts: JSON.parse(columns.facts),
  event: columns.event === null ? undefined : JSON.parse(columns.event),
  reply: JSON.parse(columns.reply),
})

export const toBalance = ({ debits, credits, pending_debits, pending_credits }: BalanceColumns): Balance => ({
  debits,
  credits,
  pendingDebits: pending_debits,
  pendingCredits: pending_credits,
})

export const toHold = ({ hold_id, legs, expires_at, state }: HoldColumns): HoldRow => ({
  holdId: hold_id,
  transfers: legsOf(legs),
  expiresAt: Number(expires_at),
  state,
})

export const toPayer = ({ payer, is_frozen, minute_at, minute_coins, day_at, day_coins }: PayerColumns): Payer => ({
  payer,
  isFrozen: is_frozen !== 0n,
  minuteAt: Number(minute_at),
  minuteCoins: Number(minute_coins),
  dayAt: Number(day_at),
  dayCoins: Number(day_coins),
})
