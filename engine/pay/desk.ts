/**
 * What operators do with money, each a row of the journal with who did it and why: give a gift back, change a wallet, freeze and free one.
 *
 *     await desk.refundGift(txId, { by: 'ops-mia', reason: 'sent by a child' })
 *     await desk.adjust({ userId: 'ann', kind: 'paid', coins: 60, reason: 'lost in an outage', by: 'ops-mia', approvedBy: 'ops-leo', ik })
 *     await desk.unfreeze('ann', { by: 'ops-mia', reason: 'the debt is paid' })
 *
 * A refund is the exact reverse of the legs of its gift, under `<txId>:refund`, and thus once only, whoever asks. An adjustment needs two
 * different persons; with `ik` it may be asked again. Nothing here throws for what an operator asked: the answer has a code. It rejects
 * with a `LedgerUnavailable` when the ledger cannot be asked.
 */
import { createHash } from 'node:crypto'
import type { IdSource } from '../base/random.ts'
import { accounts } from '../ledger/accounts.ts'
import type { OpenLedger } from '../ledger/open.ts'
import type { Entry, JournalRow, LedgerOp, LedgerResult, Post, Transfer } from '../ledger/ops.ts'
import { type TellParts, tellWallet } from './tell.ts'

export interface DeskParts extends TellParts {
  newId: IdSource
  ledger: OpenLedger
}
export const deskErrors = {
  'request.invalid': 'A field is missing, of the wrong type or out of range.',
  'gift.not_found': 'No gift has this id.',
  'gift.refunded': 'This gift was given back before.',
  'gift.settled': 'Its beans are not pending any more: what was settled is taken back by a settlement.',
  'desk.same_person': 'Whoever approves must be somebody else.',
  'wallet.insufficient': 'The wallet does not hold as many coins.',
  'idem.conflict': 'The key was used with another body.',
  'ledger.refused': 'The ledger refused it.',
} as const
export type DeskErrorCode = keyof typeof deskErrors
export type DeskAnswer = { ok: true; txId: string; replayed: boolean } | { ok: false; code: DeskErrorCode; msg: string }

export interface ByWhom {
  /** The operator. */
  by: string
  /** 1 to 200 characters. */
  reason: string
}
export interface Adjustment extends ByWhom {
  userId: string
  kind: 'paid' | 'bonus'
  /** More than 0: given. Less: taken. At most 10,000,000 either way. */
  coins: number
  approvedBy: string
  /** The same operator and key get the same answer again. */
  ik?: string | undefined
}

export const adjustCoinsMax = 10_000_000
/** What a paid coin stands for in the books, in fen: coins that are given owe a service, as those that were sold. */
export const coinMinor = 10n
const reasonMax = 200
const idPattern = /^[A-Za-z0-9_-]{1,64}$/
const txIdPattern = /^[A-Za-z0-9_:-]{1,72}$/
const keyPattern = /^[\x21-\x7e]{1,128}$/

const refused = (code: DeskErrorCode, msg: string = deskErrors[code]): DeskAnswer => ({ ok: false, code, msg })

export class Desk {
  readonly #parts: DeskParts

  constructor(parts: DeskParts) {
    this.#parts = parts
  }

  /** Boards and totals of the room stay: they tell what was given. */
  async refundGift(txId: string, { by, reason }: ByWhom): Promise<DeskAnswer> {
    const problem = problemOf({ by, reason }) ?? (isText(txId, txIdPattern) ? undefined : 'txId')
    if (problem !== undefined) return refused('request.invalid', problem)
    const gift = await this.#parts.ledger.reads.row(txId)
    if (gift?.event?.t !== 'gift.sent') return refused('gift.not_found')
    const op = refundOf(gift, { by, reason }, this.#parts.clock.now())
    // A refund asked for twice has another time and perhaps another operator: its id alone says that it is the same.
    const known = await this.#parts.ledger.reads.row(op.txId)
    const result = known ? undefined : await this.#parts.ledger.submit(op)
    // Replayed: the same person asked twice within a millisecond.
    const isRefunded = !result || (result.ok ? result.replayed : result.code === 'ledger.tx_exists')
    if (isRefunded) return refused('gift.refunded')
    if (!result.ok && result.code === 'wallet.insufficient') return refused('gift.settled')
    const answer = answerOf(result)
    if (answer.ok) void tellWallet(this.#parts, gift.actor, 'refund')
    return answer
  }

  async adjust(adjustment: Adjustment): Promise<DeskAnswer> {
    const { userId, kind, coins, by, approvedBy, reason, ik } = adjustment
    const problem = adjustmentProblem(adjustment)
    if (problem !== undefined) return refused('request.invalid', problem)
    if (by === approvedBy) return refused('desk.same_person')
    const { clock, newId, ledger } = this.#parts
    const at = clock.now()
    const d = { userId, kind, coins, by, approvedBy, reason }
    const bodyHash = createHash('sha256').update(JSON.stringify(d)).digest('base64url')
    const result = await ledger.submit({
      op: 'post',
      txId: newId(at),
      at,
      action: 'adjust',
      origin: { actor: by, command: 'wallet.adjust', ...(ik === undefined ? {} : { ik, bodyHash }) },
      event: { t: 'wallet.adjusted', d },
      transfers: adjusting(userId, kind, coins),
    })
    const answer = answerOf(result)
    if (answer.ok && !answer.replayed) void tellWallet(this.#parts, userId, 'adjust')
    return answer
  }

  /** No charge of this user is posted until it is freed. A wallet that is frozen already stays so. */
  freeze(userId: string, whom: ByWhom): Promise<DeskAnswer> {
    return this.#setFrozen(userId, true, whom)
  }

  unfreeze(userId: string, whom: ByWhom): Promise<DeskAnswer> {
    return this.#setFrozen(userId, false, whom)
  }

  async #setFrozen(userId: string, isFrozen: boolean, { by, reason }: ByWhom): Promise<DeskAnswer> {
    const problem = problemOf({ by, reason }) ?? (isText(userId, idPattern) ? undefined : 'userId')
    if (problem !== undefined) return refused('request.invalid', problem)
    const { clock, newId, ledger } = this.#parts
    const at = clock.now()
    return answerOf(await ledger.submit(freezing({ userId, isFrozen, by, reason }, { txId: newId(at), at })))
  }
}

/** A row without transfers: who may not pay any more, or may again. */
export function freezing(
  { userId, isFrozen, by, reason }: { userId: string; isFrozen: boolean; by: string; reason: string },
  { txId, at }: { txId: string; at: number },
): LedgerOp {
  const t = isFrozen ? 'wallet.frozen' : 'wallet.unfrozen'
  const entry: Entry = { txId, at, action: 'freeze', origin: { actor: by, command: t }, event: { t, d: { userId, by, reason } } }
  return { op: 'freeze', ...entry, payer: userId, isFrozen }
}

function refundOf(gift: JournalRow, { by, reason }: ByWhom, at: number): Post {
  const { txId, liveId, roomId = '', actor: from, legs, event } = gift
  const { to, giftId, valueCoin } = (event?.d ?? {}) as { to?: { id?: string }; giftId?: string; valueCoin?: number }
  return {
    op: 'post',
    txId: `${txId}:refund`,
    at,
    action: 'refund',
    origin: { actor: by, command: 'gift.refund' },
    // With the live, whose sums it changes; without the room: it is nothing that the room shows.
    liveId,
    event: { t: 'gift.refunded', d: { giftTxId: txId, roomId, from, to: to?.id ?? '', giftId, valueCoin, by, reason } },
    transfers: legs.map(({ dr, cr, amount }) => ({ dr: cr, cr: dr, amount })),
  }
}

function adjusting(userId: string, kind: 'paid' | 'bonus', coins: number): Transfer[] {
  const [amount, wallet] = [BigInt(Math.abs(coins)), accounts[kind === 'paid' ? 'paidCoins' : 'bonusCoins'](userId)]
  const given: Transfer[] = [{ dr: accounts.coinsIssued, cr: wallet, amount }]
  if (kind === 'paid') given.push({ dr: accounts.adjustments, cr: accounts.deferred, amount: amount * coinMinor })
  return coins > 0 ? given : given.map(({ dr, cr, amount }) => ({ dr: cr, cr: dr, amount }))
}

// ------------------------------------------------------------------ what was asked

const isText = (value: unknown, pattern: RegExp): value is string => typeof value === 'string' && pattern.test(value)
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const control = /[\u0000-\u001f\u007f]/
const isReason = (value: unknown): boolean =>
  typeof value === 'string' && value.trim() !== '' && value.length <= reasonMax && value.isWellFormed() && !control.test(value)

/** The first field that is wrong, in words. */
function problemOf({ by, reason }: ByWhom): string | undefined {
  if (!isText(by, idPattern)) return 'by: 1 to 64 letters, digits, _ and -'
  return isReason(reason) ? undefined : `reason: 1 to ${reasonMax} characters`
}

function adjustmentProblem(adjustment: Adjustment): string | undefined {
  const { userId, kind, coins, approvedBy, ik } = adjustment
  const problem = problemOf(adjustment)
  if (problem !== undefined) return problem
  if (!isText(userId, idPattern)) return 'userId: 1 to 64 letters, digits, _ and -'
  if (!isText(approvedBy, idPattern)) return 'approvedBy: 1 to 64 letters, digits, _ and -'
  if (kind !== 'paid' && kind !== 'bonus') return 'kind: paid or bonus'
  if (!Number.isInteger(coins) || coins === 0 || Math.abs(coins) > adjustCoinsMax)
    return `coins: a whole number up to ${adjustCoinsMax}, less than 0 to take, and not 0`
  return ik === undefined || isText(ik, keyPattern) ? undefined : 'ik: 1 to 128 printable characters'
}

function answerOf(result: LedgerResult): DeskAnswer {
  if (result.ok) return { ok: true, txId: result.txId, replayed: result.replayed }
  const { code, msg } = result
  return code === 'wallet.insufficient' || code === 'idem.conflict' ? refused(code) : refused('ledger.refused', `${code}: ${msg}`)
}
