/**
 * What the ledger can be asked to do, and what it answers. All of it is plain data: it crosses threads, and the simulation keeps it.
 *
 * Amounts are `bigint`, in minor units, greater than zero. An op commits whole or not at all; `transfers` is its linked set.
 *
 * Asking twice is safe: the same key (actor, command, ik) with the same body, or the same txId with the same origin and content, gets
 * the first answer with `replayed: true`, and nothing else happens. That is how to find out what became of an op whose answer was lost.
 */
import type { Exceeded } from './payers.ts'
import type { SplitTerms } from './split.ts'

export interface Transfer {
  /** Debited account; `accounts.ts` has the chart. */
  dr: string
  cr: string
  amount: bigint
}

/** Who asked, and under which key: the same key with the same body is answered as the first time, and nothing else happens. */
export interface Origin {
  actor: string
  command: string
  ik?: string | undefined
  /** Of the body in canonical form; compared when the key comes again. A key comes with one. */
  bodyHash?: string | undefined
}

export interface Entry {
  /** A ULID, made where the command was accepted: ids that grow keep the index warm. */
  txId: string
  /** Acceptance, epoch ms. */
  at: number
  /** `gift`, `recharge`, `adjust`: what the transfers are for. */
  action: string
  origin: Origin
  roomId?: string | undefined
  liveId?: string | undefined
  /** Written in the same transaction and handed on from there: the fact exists if and only if the transfers do. */
  event?: { t: string; d: Readonly<Record<string, unknown>> } | undefined
  /** Kept and given again when the key comes again. */
  reply?: Readonly<Record<string, unknown>> | undefined
}

/** Post a linked set. */
export interface Post extends Entry {
  op: 'post'
  transfers: readonly Transfer[]
}
/** Take `value` from the payer's accounts in their order and share the income: the amounts are made here, against the balance now. */
export interface Charge extends Entry {
  op: 'charge'
  /** Coins. */
  value: bigint
  /** `user.<id>.coin.paid` and `.bonus` of one user, emptied in this order. */
  payFrom: readonly string[]
  /** `coin.spent.*`, or an escrow. */
  sink: string
  terms: SplitTerms
  /** Accounts that get the beans. A guild is named when the terms give it a share. */
  streamer: string
  guild?: string | undefined
  /** Contract and catalogue that the terms and the price come from. */
  contractVersion: string
  catalogVersion: string
  /** Refused with `limit.exceeded` when the payer would have spent more in a window than its `max`, this charge included. */
  spend?: Spend | undefined
}
export interface Spend {
  minute: SpendWindow
  day: SpendWindow
}
/** Epoch ms, half-open. */
export interface SpendWindow {
  from: number
  until: number
  /** Coins. */
  max: number
}
/** No charge of this payer is posted from now on, or they are posted again. A row without transfers. */
export interface Freeze extends Entry {
  op: 'freeze'
  /** `<id>` of `user.<id>.coin.paid`. */
  payer: string
  isFrozen: boolean
}
/** Set amounts aside: they can be spent by nobody until posted, voided, or `expiresAt`. */
export interface Hold extends Entry {
  op: 'hold'
  transfers: readonly Transfer[]
  expiresAt: number
}
/** The end of a hold: its transfers happen, or are let go. */
export interface SettleHold extends Entry {
  op: 'post_hold' | 'void_hold'
  holdId: string
}
/** Let go of holds whose time is over, oldest first, at most `limit`. */
export interface Expire {
  op: 'expire'
  at: number
  limit: number
}
export type LedgerOp = Post | Charge | Freeze | Hold | SettleHold | Expire

export const ledgerErrors = {
  'wallet.insufficient': 'The accounts do not hold enough.',
  'wallet.frozen': 'Nothing is paid from this wallet until it is freed.',
  'limit.exceeded': 'The payer would spend more than they may in this minute or day.',
  'ledger.bad_op': 'A field is missing, of the wrong type or too long.',
  'ledger.bad_amount': 'An amount is not a whole number above zero, or larger than an account can hold.',
  'ledger.bad_account': 'No account of the chart has this name.',
  'ledger.bad_set': 'The set has no transfers, too many, or one between two ledgers or an account and itself.',
  'ledger.tx_exists': 'Another set with this id was posted before.',
  'ledger.no_hold': 'There is no such hold.',
  'ledger.hold_over': 'The hold was posted, voided or expired already.',
  'idem.conflict': 'The key was used with another body.',
} as const
export type LedgerErrorCode = keyof typeof ledgerErrors

export type LedgerResult =
  | { ok: true; txId: string; pos: number; replayed: boolean; reply: Readonly<Record<string, unknown>> }
  | { ok: false; code: LedgerErrorCode; msg: string; exceeded?: Exceeded }

/** A row of the journal: what happened, the legs, and the event. Nothing in it ever changes. */
export interface JournalRow {
  pos: number
  txId: string
  at: number
  action: string
  actor: string
  command: string
  ik: string | undefined
  bodyHash: string | undefined
  roomId: string | undefined
  liveId: string | undefined
  legs: readonly Transfer[]
  /** Facts that statements need and the event does not show: shares, terms, versions. */
  facts: Readonly<Record<string, unknown>>
  event: { t: string; d: Readonly<Record<string, unknown>> } | undefined
  reply: Readonly<Record<string, unknown>>
}
export interface Balance {
  debits: bigint
  credits: bigint
  /** Set aside by holds. */
  pendingDebits: bigint
  pendingCredits: bigint
}
export interface HoldRow {
  holdId: string
  transfers: readonly Transfer[]
  expiresAt: number
  state: 'pending' | 'posted' | 'voided' | 'expired'
}
