/**
 * What a room needs of money: a price from the one who decides prices, and a ledger that commits or refuses. Where the two are (a plugin
 * in another process, a worker thread) is not the room's business.
 */
import type { JournalRow, LedgerOp, LedgerResult } from '../ledger/ops.ts'
import type { CommandAsk } from '../plugin/define.ts'
import type { ChargeAnswer, ChargedCommand } from '../plugin/hooks.ts'

export interface Wallet {
  paid: bigint
  bonus: bigint
  /** Earned as a streamer and not settled yet. */
  bean: bigint
}

export interface Billing {
  /** Never rejects: no owner, a late or an absurd answer is a denial. */
  charge(on: ChargedCommand, ask: CommandAsk<Readonly<Record<string, unknown>>>): Promise<ChargeAnswer>
  /** On disk when it resolves with ok. Rejects when the ledger cannot be asked: nothing is known to have happened, and nothing is lost. */
  submit(op: LedgerOp): Promise<LedgerResult>
  /**
   * Resolves when all that was handed over before this call, by homes that are gone too, is in the journal or never will be, with the
   * position where it ends. It takes its place behind them before it returns, and rejects when the ledger cannot be asked.
   */
  settled(): Promise<number>
  /** What the journal holds of a room after `pos`, in order. */
  roomRows(roomId: string, pos: number, limit: number): Promise<JournalRow[]>
  /** What the journal holds under a key. Rejects when it cannot be read now. */
  rowByKey(actor: string, command: string, ik: string): Promise<JournalRow | undefined>
  wallet(userId: string): Promise<Wallet>
}
