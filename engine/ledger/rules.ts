/**
 * The ledger's rules, in memory: double entry over integer minor units, linked sets, two-phase holds, no account below zero that must
 * not be, the same key answered once. Pure: no clock, no disk, no thread.
 *
 *     plan(ops)  ->  storage reads what is wanted  ->  decide(plan, found)  ->  storage writes journal rows, touched balances, holds
 *
 * An op that is refused leaves nothing behind, whatever stood before it in the batch. A write that fails is followed by `forget`: nothing
 * of the batch counts, and balances are read again. A balance is a cell that is written once a batch, so an account that everybody pays
 * into costs no more than any other. The balances in memory are right only while there is one writer: `sqlite-ledger.ts` sees to that.
 */
import { accounts } from './accounts.ts'
import { AskedBefore } from './asked-again.ts'
import {
  available,
  balanceIn,
  type Cell,
  Cells,
  type ChargeCells,
  type PayerCell,
  type StoredBalance,
  type StoredPayer,
  zeroBalance,
} from './cells.ts'
import { amountMax, opProblem, sentProblem } from './check.ts'
import { chargeFacts, jsonText, type Leg, legsTextOf, NewRow, textsOf } from './new-row.ts'
import type {
  Balance,
  Charge,
  Entry,
  Expire,
  Freeze,
  Hold,
  HoldRow,
  JournalRow,
  LedgerOp,
  LedgerResult,
  SettleHold,
  Transfer,
} from './ops.ts'
import { newPayer, type Payer, payerOf, spending } from './payers.ts'
import { Refused } from './refused.ts'
import { legsText } from './rows.ts'
import { SentCharge } from './sent.ts'
import { splitIncome } from './split.ts'

/** What a batch needs to know. */
export interface Wanted {
  accounts: string[]
  txIds: string[]
  keys: { actor: string; command: string; ik: string }[]
  holds: string[]
  /** Of those who pay. */
  payers: string[]
  /** Pending holds that are over at `at`, oldest first, then by id. */
  due: { at: number; limit: number } | undefined
}
export interface Found {
  /** Of the wanted accounts and of those that the found holds name; one that was never posted to is missing. */
  balances: ReadonlyMap<string, StoredBalance>
  /** Rows with these ids or keys. */
  rows: readonly JournalRow[]
  /** Those of `holds`, and after them the due ones. */
  holds: readonly HoldRow[]
  /** One who is new is missing. */
  payers: readonly StoredPayer[]
}
/** To be written in one transaction. */
export interface Decided {
  rows: readonly NewRow[]
  balances: readonly Cell[]
  holds: readonly HoldRow[]
  payers: readonly PayerCell[]
}
export interface Plan {
  ops: readonly LedgerOp[]
  /** By place in the batch: refused before anything was read. */
  refused: ReadonlyMap<number, LedgerResult>
  /** By place in the batch: of the charges that need nothing read. */
  cells: readonly (ChargeCells | undefined)[]
  wanted: Wanted
}

/** As it was before the op under way. */
interface Saved extends Balance {
  cell: Cell
}

/** One batch under way. */
interface Batch {
  number: number
  rows: NewRow[]
  before: AskedBefore
  holds: Map<string, HoldRow>
  touchedHolds: Map<string, HoldRow>
  touched: Cell[]
  touchedPayers: PayerCell[]
  /** Cells that the op under way has changed, as they were before it. */
  saved: Saved[]
}

interface Made {
  /** As JSON. */
  legs: string
  facts: string
  /** Coins that the payer has left, of a charge. */
  balance?: bigint
}

export class Rules {
  readonly #cells = new Cells()
  /** Counts ops, and batches. */
  #op = 0
  #batch = 0
  #pos: number

  /** `pos`: of the last row of the journal; 0 before the first. */
  constructor(pos: number) {
    this.#pos = pos
  }

  /** Of the last row that was decided. */
  get pos(): number {
    return this.#pos
  }

  plan(ops: readonly LedgerOp[]): Plan {
    this.#cells.keepWithin()
    const refused = new Map<number, LedgerResult>()
    const cells = new Array<ChargeCells | undefined>(ops.length)
    const wish = new Wish(this.#cells)
    for (let at = 0; at < ops.length; at++) {
      const op = ops[at] as LedgerOp
      // All that most gifts need was looked up and checked with the one before.
      const known = op instanceof SentCharge && op.shape.isSound ? this.#cells.known(op) : undefined
      const problem = known ? sentProblem(op as SentCharge) : opProblem(op)
      if (problem) {
        refused.set(at, { ok: false, ...problem })
        continue
      }
      if (op instanceof SentCharge) op.shape.isSound = true
      cells[at] = known ?? (op.op === 'charge' ? this.#cells.find(op) : undefined)
      wish.add(op, cells[at] !== undefined)
    }
    return { ops, refused, cells, wanted: wish.wanted() }
  }

  /** Answers in the order of the ops. What it decided counts from now on in memory: write it, or `forget`. */
  decide({ ops, refused, cells, wanted }: Plan, found: Found): { results: LedgerResult[]; decided: Decided } {
    const put = (account: string) => this.#cells.put(account, found.balances.get(account) ?? zeroBalance())
    for (const account of wanted.accounts) put(account)
    for (const { transfers } of found.holds) for (const { dr, cr } of transfers) for (const account of [dr, cr]) put(account)
    for (const payer of found.payers) this.#cells.putPayer(payer)
    for (const payer of wanted.payers) this.#cells.putPayer(newPayer(payer))
    const batch = newBatch(++this.#batch, found)
    const results = ops.map((op, at) => refused.get(at) ?? this.#decide(op, cells[at], batch))
    const { rows, touched, touchedHolds, touchedPayers } = batch
    return { results, decided: { rows, balances: touched, holds: [...touchedHolds.values()], payers: touchedPayers } }
  }

  /** Nothing that was decided since the last write happened, as far as memory goes. */
  forget(pos: number): void {
    this.#cells.clear()
    this.#pos = pos
  }

  /** What is in memory, as a copy. */
  balanceOf(account: string): Balance | undefined {
    const cell = this.#cells.peek(account)
    return cell && balanceIn(cell)
  }

  #decide(op: LedgerOp, cells: ChargeCells | undefined, batch: Batch): LedgerResult {
    batch.saved = []
    this.#op++
    try {
      const result = op.op === 'expire' ? this.#expire(op, batch) : (batch.before.answer(op) ?? this.#post(op, cells, batch))
      for (const { cell } of batch.saved) {
        if (cell.touchedBy === batch.number) continue
        cell.touchedBy = batch.number
        batch.touched.push(cell)
      }
      return result
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      for (const { cell, ...before } of batch.saved) Object.assign(cell, before)
      const { code, message, exceeded } = error
      return exceeded ? { ok: false, code, msg: message, exceeded } : { ok: false, code, msg: message }
    }
  }

  #post(op: Exclude<LedgerOp, Expire>, cells: ChargeCells | undefined, batch: Batch): LedgerResult {
    switch (op.op) {
      case 'post':
        this.#move(op.transfers, batch)
        return this.#record(op, batch, { legs: legsText(op.transfers), facts: '{}' })
      case 'charge':
        return this.#charge(op, cells ?? this.#cellsOf(op), batch)
      case 'freeze':
        return this.#freeze(op, batch)
      case 'hold':
        return this.#hold(op, batch)
      default:
        return this.#settle(op, batch)
    }
  }

  #cellsOf(op: Charge): ChargeCells {
    const cells = this.#cells.find(op)
    if (!cells) throw new Error(`not all of ${op.txId} was read`)
    return cells
  }

  // ------------------------------------------------------------------ kinds of ops

  #charge(op: Charge, { wallet, sink, beans, streamer, guild }: ChargeCells, batch: Batch): LedgerResult {
    const { payer: before } = wallet.payer
    const payer = spending(before, op)
    if (before.isFrozen) throw new Refused('wallet.frozen', `the wallet of ${before.payer} is frozen`)
    if ('window' in payer) throw new Refused('limit.exceeded', `at most ${payer.max} in this ${payer.window}`, payer)
    const spent = { paid: 0n, bonus: 0n }
    const legs: Leg[] = []
    let left = op.value
    for (const cell of wallet.from) {
      const has = available(cell, cell.isDebit)
      const amount = has < left ? has : left
      if (amount <= 0n) continue
      legs.push({ from: cell, to: sink, amount })
      spent[cell.account.endsWith('.bonus') ? 'bonus' : 'paid'] += amount
      left -= amount
    }
    if (left > 0n) throw new Refused('wallet.insufficient', `${left} of ${op.value} are missing`)
    const shares = splitIncome(spent, op.terms)
    if (shares.streamer > 0n) legs.push({ from: beans, to: streamer, amount: shares.streamer })
    if (shares.guild > 0n) legs.push({ from: beans, to: guild as Cell, amount: shares.guild })
    for (const leg of legs) this.#moveLeg(leg, batch)
    this.#checkSaved(batch)
    let balance = 0n
    for (const cell of wallet.from) balance += available(cell, cell.isDebit)
    const result = this.#record(op, batch, { legs: legsTextOf(legs), facts: chargeFacts(op, spent, shares), balance })
    if (payer !== before) this.#putPayer(wallet.payer, payer, batch)
    return result
  }

  #freeze(op: Freeze, batch: Batch): LedgerResult {
    const { payer, isFrozen } = op
    const result = this.#record(op, batch, { legs: '[]', facts: jsonText('facts', { payer, isFrozen }) })
    const cell = this.#cells.payer(payer)
    this.#putPayer(cell, { ...cell.payer, isFrozen }, batch)
    return result
  }

  #hold(op: Hold, batch: Batch): LedgerResult {
    for (const transfer of op.transfers) this.#pend(transfer, 1n, batch)
    this.#checkSaved(batch)
    const { txId: holdId, transfers, expiresAt } = op
    const held = transfers.map(({ dr, cr, amount }) => [dr, cr, String(amount)])
    const result = this.#record(op, batch, { legs: '[]', facts: jsonText('facts', { holdId, expiresAt, held }) })
    putHold(batch, { holdId, transfers, expiresAt, state: 'pending' })
    return result
  }

  #settle(op: SettleHold, batch: Batch): LedgerResult {
    const hold = batch.holds.get(op.holdId)
    if (!hold) throw new Refused('ledger.no_hold', `there is no hold ${op.holdId}`)
    if (hold.state !== 'pending') throw new Refused('ledger.hold_over', `hold ${op.holdId} is ${hold.state}`)
    // A hold is over at its time, whether or not somebody has come by to clear it away.
    if (hold.expiresAt <= op.at) throw new Refused('ledger.hold_over', `hold ${op.holdId} was over at ${hold.expiresAt}`)
    const isPosted = op.op === 'post_hold'
    for (const transfer of hold.transfers) this.#pend(transfer, -1n, batch)
    if (isPosted) this.#move(hold.transfers, batch)
    const result = this.#record(op, batch, {
      legs: legsText(isPosted ? hold.transfers : []),
      facts: jsonText('facts', { holdId: op.holdId }),
    })
    putHold(batch, { ...hold, state: isPosted ? 'posted' : 'voided' })
    return result
  }

  /** Writes no row: nothing was transferred, and the hold itself says what became of it. */
  #expire({ at, limit }: Expire, batch: Batch): LedgerResult {
    const due = [...batch.holds.values()].filter((hold) => hold.state === 'pending' && hold.expiresAt <= at)
    const over = due.sort(byExpiry).slice(0, limit)
    for (const hold of over) {
      for (const transfer of hold.transfers) this.#pend(transfer, -1n, batch)
      putHold(batch, { ...hold, state: 'expired' })
    }
    return { ok: true, txId: '', pos: this.#pos, replayed: false, reply: { expired: over.length } }
  }

  // ------------------------------------------------------------------ balances

  /** Last of all in an op: what is refused after it would have to be taken back. */
  #putPayer(cell: PayerCell, payer: Payer, batch: Batch): void {
    cell.payer = payer
    if (cell.touchedBy === batch.number) return
    cell.touchedBy = batch.number
    batch.touchedPayers.push(cell)
  }

  /** To be changed: how it was is kept until the op is decided. */
  #saved(cell: Cell, batch: Batch): Cell {
    if (cell.savedBy === this.#op) return cell
    cell.savedBy = this.#op
    const { debits, credits, pendingDebits, pendingCredits } = cell
    batch.saved.push({ cell, debits, credits, pendingDebits, pendingCredits })
    return cell
  }

  #moveLeg({ from, to, amount }: Leg, batch: Batch): void {
    this.#saved(from, batch).debits += amount
    this.#saved(to, batch).credits += amount
  }

  #move(transfers: readonly Transfer[], batch: Batch): void {
    for (const { dr, cr, amount } of transfers)
      this.#moveLeg({ from: this.#cells.account(dr), to: this.#cells.account(cr), amount }, batch)
    this.#checkSaved(batch)
  }

  /** Set aside (1) or let go (-1). */
  #pend({ dr, cr, amount }: Transfer, sign: bigint, batch: Batch): void {
    this.#saved(this.#cells.account(dr), batch).pendingDebits += sign * amount
    this.#saved(this.#cells.account(cr), batch).pendingCredits += sign * amount
  }

  /** After the whole set: what a set takes from an account it may have put there. Whatever was held can then be posted as well. */
  #checkSaved(batch: Batch): void {
    for (const { cell } of batch.saved) {
      if (cell.debits + cell.pendingDebits > amountMax || cell.credits + cell.pendingCredits > amountMax)
        throw new Refused('ledger.bad_amount', `${cell.account} cannot hold more`)
      if (!cell.mayBeNegative && available(cell, cell.isDebit) < 0n)
        throw new Refused('wallet.insufficient', `${cell.account} does not hold enough`)
    }
  }

  // ------------------------------------------------------------------ the journal

  #record(op: Entry, batch: Batch, { legs, facts, balance }: Made): LedgerResult {
    const { txId } = op
    const balanceCoin = balance === undefined ? undefined : wireAmount(balance)
    const reply =
      op instanceof SentCharge ? { txId, balanceCoin } : { ...op.reply, txId, ...(balanceCoin !== undefined && { balanceCoin }) }
    const { event, reply: replyText } = textsOf(op, reply)
    const row = new NewRow(this.#pos + 1, op, { legs, facts, event, reply: replyText })
    this.#pos = row.pos
    batch.rows.push(row)
    batch.before.add(row)
    return { ok: true, txId, pos: row.pos, replayed: false, reply }
  }
}

const newBatch = (number: number, { rows, holds }: Found): Batch => ({
  number,
  rows: [],
  before: new AskedBefore(rows),
  holds: new Map(holds.map((hold) => [hold.holdId, hold])),
  touchedHolds: new Map(),
  touched: [],
  touchedPayers: [],
  saved: [],
})

/** As the database orders them. */
const byExpiry = (a: HoldRow, b: HoldRow): number => a.expiresAt - b.expiresAt || (a.holdId < b.holdId ? -1 : 1)

function putHold(batch: Batch, hold: HoldRow): void {
  batch.holds.set(hold.holdId, hold)
  batch.touchedHolds.set(hold.holdId, hold)
}

// ------------------------------------------------------------------ what to read

class Wish {
  readonly #cells: Cells
  readonly #accounts = new Set<string>()
  readonly #payers = new Set<string>()
  readonly #wanted: Wanted = { accounts: [], txIds: [], keys: [], holds: [], payers: [], due: undefined }

  constructor(cells: Cells) {
    this.#cells = cells
  }

  /** `hasCells`: of the accounts and the payer nothing need be read. */
  add(op: LedgerOp, hasCells: boolean): void {
    const wanted = this.#wanted
    if (op.op === 'expire') {
      const { at = 0, limit = 0 } = wanted.due ?? {}
      wanted.due = { at: Math.max(at, op.at), limit: limit + op.limit }
      return
    }
    wanted.txIds.push(op.txId)
    const { actor, command, ik } = op.origin
    if (ik !== undefined) wanted.keys.push({ actor, command, ik })
    if (op.op === 'post_hold' || op.op === 'void_hold') wanted.holds.push(op.holdId)
    if (hasCells) return
    for (const account of accountsOf(op)) if (!this.#cells.has(account)) this.#accounts.add(account)
    const payer = op.op === 'charge' ? payerOf(op) : op.op === 'freeze' ? op.payer : undefined
    if (payer !== undefined && !this.#cells.hasPayer(payer)) this.#payers.add(payer)
  }

  wanted(): Wanted {
    // One that this batch settles first must not keep the next one from expiring.
    if (this.#wanted.due) this.#wanted.due.limit += this.#wanted.holds.length
    return { ...this.#wanted, accounts: [...this.#accounts], payers: [...this.#payers] }
  }
}

function accountsOf(op: Exclude<LedgerOp, Expire>): string[] {
  switch (op.op) {
    case 'post':
    case 'hold':
      return op.transfers.flatMap(({ dr, cr }) => [dr, cr])
    case 'charge':
      return [...op.payFrom, op.sink, op.streamer, accounts.beansIssued, op.guild ?? op.streamer]
    default:
      return []
  }
}

/** Over the wire an integer as far as JavaScript has integers, a text beyond. */
export const wireAmount = (amount: bigint): number | string =>
  amount <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(amount) : String(amount)
