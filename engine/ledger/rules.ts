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
import { accountKind } from './accounts.ts'
import { amountMax, jsonCharsMax, opProblem } from './check.ts'
import type {
  Balance,
  Charge,
  Entry,
  Expire,
  Freeze,
  Hold,
  HoldRow,
  JournalRow,
  LedgerErrorCode,
  LedgerOp,
  LedgerResult,
  SettleHold,
  Transfer,
} from './ops.ts'
import { type Exceeded, newPayer, type Payer, payerOf, spending } from './payers.ts'
import { legsText } from './rows.ts'
import { SentCharge } from './sent.ts'
import { type Shares, type Spent, type SplitTerms, splitIncome } from './split.ts'

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
  balances: ReadonlyMap<string, Balance>
  /** Rows with these ids or keys. */
  rows: readonly JournalRow[]
  /** Those of `holds`, and after them the due ones. */
  holds: readonly HoldRow[]
  /** One who is new is missing. */
  payers: readonly Payer[]
}
/** A new row, and the texts that are written for it: made while an op can still be refused alone. */
export interface NewRow {
  row: JournalRow
  text: { legs: string; facts: string; event: string | null; reply: string }
}
/** To be written in one transaction. */
export interface Decided {
  rows: readonly NewRow[]
  balances: ReadonlyMap<string, Balance>
  holds: readonly HoldRow[]
  payers: readonly Payer[]
}
export interface Plan {
  ops: readonly LedgerOp[]
  /** By place in the batch: refused before anything was read. */
  refused: ReadonlyMap<number, LedgerResult>
  wanted: Wanted
}

/** Balances kept in memory, some 300 bytes each; at the bound all are forgotten and read again. */
const balancesMax = 200_000

class Refused extends Error {
  readonly code: LedgerErrorCode
  readonly exceeded: Exceeded | undefined
  constructor(code: LedgerErrorCode, message: string, exceeded?: Exceeded) {
    super(message)
    this.code = code
    this.exceeded = exceeded
  }
}

const keyOf = (actor: string, command: string, ik: string): string => `${actor}\n${command}\n${ik}`
export const zeroBalance = (): Balance => ({ debits: 0n, credits: 0n, pendingDebits: 0n, pendingCredits: 0n })

/** What may be spent: pending debits are spent already, pending credits are not there yet. */
export function availableOf(account: string, balance: Balance): bigint {
  return available(balance, accountKind(account)?.normal === 'debit')
}
const available = ({ debits, credits, pendingDebits, pendingCredits }: Balance, isDebit: boolean): bigint =>
  isDebit ? debits - credits - pendingCredits : credits - debits - pendingDebits

/** A balance in memory. What the chart says of the account is kept with it: looking it up each time was a third of a gift. */
interface Cell extends Balance {
  account: string
  isDebit: boolean
  mayBeNegative: boolean
  ledger: string
  /** The op that saved it last, and the batch that it was last written with. */
  savedBy: number
  touchedBy: number
}
function cellOf(account: string, { debits, credits, pendingDebits, pendingCredits }: Balance): Cell {
  const kind = accountKind(account)
  const [isDebit, mayBeNegative] = [kind?.normal === 'debit', kind?.mayBeNegative === true]
  const ledger = kind?.ledger ?? ''
  return {
    account,
    ledger,
    isDebit,
    mayBeNegative,
    savedBy: 0,
    touchedBy: 0,
    debits,
    credits,
    pendingDebits,
    pendingCredits,
  }
}
const balanceIn = ({ debits, credits, pendingDebits, pendingCredits }: Balance): Balance => ({
  debits,
  credits,
  pendingDebits,
  pendingCredits,
})
/** As it was before the op under way. */
interface Saved extends Balance {
  cell: Cell
}

/** One batch under way. */
interface Batch {
  number: number
  rows: NewRow[]
  byTx: Map<string, JournalRow>
  byKey: Map<string, JournalRow>
  holds: Map<string, HoldRow>
  touchedHolds: Map<string, HoldRow>
  touched: Map<string, Balance>
  touchedPayers: Map<string, Payer>
  /** Cells that the op under way has changed, as they were before it. */
  saved: Saved[]
}

interface Made {
  legs: readonly Transfer[]
  legsText?: string
  /** As JSON. */
  facts: string
  /** Coins that the payer has left, of a charge. */
  balance?: bigint
}

/** A row of this batch. Its texts are what counts; what is in them is looked at only when the same key comes again within the batch. */
class FreshRow implements JournalRow {
  readonly pos: number
  readonly txId: string
  readonly at: number
  readonly action: string
  readonly actor: string
  readonly command: string
  readonly ik: string | undefined
  readonly bodyHash: string | undefined
  readonly roomId: string | undefined
  readonly liveId: string | undefined
  readonly legs: readonly Transfer[]
  readonly #text: NewRow['text']

  constructor(pos: number, { txId, at, action, origin, roomId, liveId }: Entry, legs: readonly Transfer[], text: NewRow['text']) {
    this.pos = pos
    this.txId = txId
    this.at = at
    this.action = action
    this.actor = origin.actor
    this.command = origin.command
    this.ik = origin.ik
    this.bodyHash = origin.bodyHash
    this.roomId = roomId
    this.liveId = liveId
    this.legs = legs
    this.#text = text
  }

  get facts(): JournalRow['facts'] {
    return JSON.parse(this.#text.facts)
  }
  get event(): JournalRow['event'] {
    return this.#text.event === null ? undefined : JSON.parse(this.#text.event)
  }
  get reply(): JournalRow['reply'] {
    return JSON.parse(this.#text.reply)
  }
}

export class Rules {
  readonly #cells = new Map<string, Cell>()
  readonly #payers = new Map<string, Payer>()
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
    if (this.#cells.size > balancesMax) this.#cells.clear()
    if (this.#payers.size > balancesMax) this.#payers.clear()
    const refused = new Map<number, LedgerResult>()
    for (const [at, op] of ops.entries()) {
      const problem = opProblem(op)
      if (problem) refused.set(at, { ok: false, ...problem })
    }
    const sound = refused.size === 0 ? ops : ops.filter((_, at) => !refused.has(at))
    return { ops, refused, wanted: wantedBy(sound, this.#cells, this.#payers) }
  }

  /** Answers in the order of the ops. What it decided counts from now on in memory: write it, or `forget`. */
  decide({ ops, refused, wanted }: Plan, found: Found): { results: LedgerResult[]; decided: Decided } {
    const keep = (account: string) => {
      if (!this.#cells.has(account)) this.#cells.set(account, cellOf(account, found.balances.get(account) ?? zeroBalance()))
    }
    for (const account of wanted.accounts) keep(account)
    for (const payer of wanted.payers) this.#payers.set(payer, newPayer(payer))
    for (const payer of found.payers) this.#payers.set(payer.payer, payer)
    for (const { transfers } of found.holds) for (const { dr, cr } of transfers) for (const account of [dr, cr]) keep(account)
    const batch = newBatch(++this.#batch, found)
    const results = ops.map((op, at) => refused.get(at) ?? this.#decide(op, batch))
    const [holds, payers] = [[...batch.touchedHolds.values()], [...batch.touchedPayers.values()]]
    return { results, decided: { rows: batch.rows, balances: batch.touched, holds, payers } }
  }

  /** Nothing that was decided since the last write happened, as far as memory goes. */
  forget(pos: number): void {
    this.#cells.clear()
    this.#payers.clear()
    this.#pos = pos
  }

  /** What is in memory, as a copy. */
  balanceOf(account: string): Balance | undefined {
    const cell = this.#cells.get(account)
    return cell && balanceIn(cell)
  }

  #decide(op: LedgerOp, batch: Batch): LedgerResult {
    batch.saved = []
    this.#op++
    try {
      const result = op.op === 'expire' ? this.#expire(op, batch) : (answered(op, batch) ?? this.#post(op, batch))
      for (const { cell } of batch.saved) {
        if (cell.touchedBy === batch.number) continue
        cell.touchedBy = batch.number
        batch.touched.set(cell.account, cell)
      }
      return result
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      for (const { cell, ...before } of batch.saved) Object.assign(cell, before)
      const { code, message, exceeded } = error
      return exceeded ? { ok: false, code, msg: message, exceeded } : { ok: false, code, msg: message }
    }
  }

  #post(op: Exclude<LedgerOp, Expire>, batch: Batch): LedgerResult {
    switch (op.op) {
      case 'post':
        this.#move(op.transfers, batch)
        return this.#record(op, batch, { legs: op.transfers, facts: '{}' })
      case 'charge':
        return this.#charge(op, batch)
      case 'freeze':
        return this.#freeze(op, batch)
      case 'hold':
        return this.#hold(op, batch)
      default:
        return this.#settle(op, batch)
    }
  }

  // ------------------------------------------------------------------ kinds of ops

  #charge(op: Charge, batch: Batch): LedgerResult {
    const before = this.#payer(payerOf(op))
    const payer = spending(before, op)
    if (before.isFrozen) throw new Refused('wallet.frozen', `the wallet of ${before.payer} is frozen`)
    if ('window' in payer) throw new Refused('limit.exceeded', `at most ${payer.max} in this ${payer.window}`, payer)
    const spent = { paid: 0n, bonus: 0n }
    const legs: Leg[] = []
    const sink = this.#known(op.sink)
    const payers = op.payFrom.map((account) => this.#known(account))
    let left = op.value
    for (const cell of payers) {
      const has = available(cell, cell.isDebit)
      const amount = has < left ? has : left
      if (amount <= 0n) continue
      legs.push({ from: cell, to: sink, amount })
      spent[cell.account.endsWith('.bonus') ? 'bonus' : 'paid'] += amount
      left -= amount
    }
    if (left > 0n) throw new Refused('wallet.insufficient', `${left} of ${op.value} are missing`)
    const shares = splitIncome(spent, op.terms)
    const from = this.#known('bean.issued')
    if (shares.streamer > 0n) legs.push({ from, to: this.#known(op.streamer), amount: shares.streamer })
    if (shares.guild > 0n) legs.push({ from, to: this.#known(op.guild as string), amount: shares.guild })
    for (const leg of legs) this.#moveLeg(leg, batch)
    this.#checkSaved(batch)
    const balance = payers.reduce((sum, cell) => sum + available(cell, cell.isDebit), 0n)
    const result = this.#record(op, batch, {
      legs: legs.map(({ from, to, amount }) => ({ dr: from.account, cr: to.account, amount })),
      legsText: `[${legs.map(textOfLeg).join(',')}]`,
      facts: chargeFacts(op, spent, shares),
      balance,
    })
    if (payer !== before) this.#putPayer(payer, batch)
    return result
  }

  #freeze(op: Freeze, batch: Batch): LedgerResult {
    const { payer, isFrozen } = op
    const result = this.#record(op, batch, { legs: [], facts: jsonText('facts', { payer, isFrozen }) })
    this.#putPayer({ ...this.#payer(payer), isFrozen }, batch)
    return result
  }

  #hold(op: Hold, batch: Batch): LedgerResult {
    for (const transfer of op.transfers) this.#pend(transfer, 1n, batch)
    this.#checkSaved(batch)
    const { txId: holdId, transfers, expiresAt } = op
    const held = transfers.map(({ dr, cr, amount }) => [dr, cr, String(amount)])
    const result = this.#record(op, batch, { legs: [], facts: jsonText('facts', { holdId, expiresAt, held }) })
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
      legs: isPosted ? hold.transfers : [],
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

  #payer(payer: string): Payer {
    const known = this.#payers.get(payer)
    if (!known) throw new Error(`${payer} was not read`)
    return known
  }

  /** Last of all in an op: what is refused after it would have to be taken back. */
  #putPayer(payer: Payer, batch: Batch): void {
    this.#payers.set(payer.payer, payer)
    batch.touchedPayers.set(payer.payer, payer)
  }

  #known(account: string): Cell {
    const cell = this.#cells.get(account)
    if (!cell) throw new Error(`${account} was not read`) // ours: posting to a balance that was not read would forget the old one
    return cell
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
    for (const { dr, cr, amount } of transfers) this.#moveLeg({ from: this.#known(dr), to: this.#known(cr), amount }, batch)
    this.#checkSaved(batch)
  }

  /** Set aside (1) or let go (-1). */
  #pend({ dr, cr, amount }: Transfer, sign: bigint, batch: Batch): void {
    this.#saved(this.#known(dr), batch).pendingDebits += sign * amount
    this.#saved(this.#known(cr), batch).pendingCredits += sign * amount
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

  #record(op: Entry, batch: Batch, { legs, legsText: knownLegs, facts, balance }: Made): LedgerResult {
    const { txId } = op
    const balanceCoin = balance === undefined ? undefined : wireAmount(balance)
    const reply =
      op instanceof SentCharge ? { txId, balanceCoin } : { ...op.reply, txId, ...(balanceCoin !== undefined && { balanceCoin }) }
    const text = { legs: knownLegs ?? legsText(legs), facts, ...textsOf(op, reply) }
    const row = new FreshRow(this.#pos + 1, op, legs, text)
    this.#pos = row.pos
    batch.rows.push({ row, text })
    remember(batch, row)
    return { ok: true, txId, pos: row.pos, replayed: false, reply }
  }
}

interface Leg {
  from: Cell
  to: Cell
  amount: bigint
}
const textOfLeg = ({ from, to, amount }: Leg): string => `["${from.ledger}","${from.account}","${to.account}",${amount}]`

/** Written by hand: as an object through JSON.stringify it took as long as all decisions about a gift. */
function chargeFacts({ value, terms, contractVersion, catalogVersion }: Charge, { paid, bonus }: Spent, shares: Shares): string {
  const { income, streamer, guild, platform } = shares
  return (
    `{"value":"${value}","paid":"${paid}","bonus":"${bonus}","income":"${income}","streamer":"${streamer}","guild":"${guild}",` +
    `"platform":"${platform}","terms":${termsText(terms)},` +
    `"contractVersion":${JSON.stringify(contractVersion)},"catalogVersion":${JSON.stringify(catalogVersion)}}`
  )
}

const termsText = ({ streamerBps, guildBps, paidBps, bonusBps }: SplitTerms): string =>
  `{"streamerBps":${streamerBps},"guildBps":${guildBps},"paidBps":${paidBps},"bonusBps":${bonusBps}}`

/** Of the event and the reply, as they are written. Refuses what is no JSON or too long. */
function textsOf(op: Entry, reply: Readonly<Record<string, unknown>>): { event: string | null; reply: string } {
  const { txId } = op
  if (op instanceof SentCharge)
    return {
      event: short('event', op.eventText(txId)),
      reply: short('reply', op.replyText(txId, reply['balanceCoin'] as string)),
    }
  const event = op.event && { t: op.event.t, d: { ...op.event.d, txId } }
  return { event: event ? jsonText('event', event) : null, reply: jsonText('reply', reply) }
}

function jsonText(name: string, value: object): string {
  let text: string
  try {
    text = JSON.stringify(value)
  } catch (error) {
    throw new Refused('ledger.bad_op', `${name}: ${error instanceof Error ? error.message : error}`)
  }
  return short(name, text)
}

function short<T extends string | null>(name: string, text: T): T {
  if (text !== null && text.length > jsonCharsMax)
    throw new Refused('ledger.bad_op', `${name}: longer than ${jsonCharsMax} characters`)
  return text
}

function newBatch(number: number, { rows, holds }: Found): Batch {
  const batch: Batch = {
    number,
    rows: [],
    byTx: new Map(),
    byKey: new Map(),
    holds: new Map(holds.map((hold) => [hold.holdId, hold])),
    touchedHolds: new Map(),
    touched: new Map(),
    touchedPayers: new Map(),
    saved: [],
  }
  for (const row of rows) remember(batch, row)
  return batch
}

function remember(batch: Batch, row: JournalRow): void {
  batch.byTx.set(row.txId, row)
  if (row.ik !== undefined) batch.byKey.set(keyOf(row.actor, row.command, row.ik), row)
}

/** As the database orders them. */
const byExpiry = (a: HoldRow, b: HoldRow): number => a.expiresAt - b.expiresAt || (a.holdId < b.holdId ? -1 : 1)

function putHold(batch: Batch, hold: HoldRow): void {
  batch.holds.set(hold.holdId, hold)
  batch.touchedHolds.set(hold.holdId, hold)
}

// ------------------------------------------------------------------ asked again

/** The first answer, when this was asked before. */
function answered(op: Exclude<LedgerOp, Expire>, { byKey, byTx }: Batch): LedgerResult | undefined {
  const { actor, command, ik, bodyHash } = op.origin
  const sameKey = ik === undefined ? undefined : byKey.get(keyOf(actor, command, ik))
  if (sameKey && sameKey.bodyHash !== bodyHash) throw new Refused('idem.conflict', 'the key was used with another body')
  if (sameKey) return again(sameKey)
  const sameTx = byTx.get(op.txId)
  if (!sameTx) return undefined
  if (!isSame(op, sameTx)) throw new Refused('ledger.tx_exists', `${op.txId} was posted before, for something else`)
  return again(sameTx)
}

const again = ({ txId, pos, reply }: JournalRow): LedgerResult => ({ ok: true, txId, pos, replayed: true, reply })

function isSame(op: Exclude<LedgerOp, Expire>, row: JournalRow): boolean {
  const { actor, command, ik, bodyHash } = op.origin
  if (actor !== row.actor || command !== row.command || ik !== row.ik || bodyHash !== row.bodyHash) return false
  if (op.at !== row.at || op.action !== row.action || op.roomId !== row.roomId || op.liveId !== row.liveId) return false
  return isSameContent(op, row)
}

function isSameContent(op: Exclude<LedgerOp, Expire>, { legs, facts }: JournalRow): boolean {
  switch (op.op) {
    case 'post':
      return facts['value'] === undefined && facts['holdId'] === undefined && legsText(legs) === legsText(op.transfers)
    case 'charge':
      return (
        facts['value'] === String(op.value) &&
        legs[0]?.cr === op.sink &&
        facts['contractVersion'] === op.contractVersion &&
        facts['catalogVersion'] === op.catalogVersion &&
        JSON.stringify(facts['terms']) === termsText(op.terms)
      )
    case 'hold': {
      const held = op.transfers.map(({ dr, cr, amount }) => [dr, cr, String(amount)])
      return facts['expiresAt'] === op.expiresAt && JSON.stringify(facts['held']) === JSON.stringify(held)
    }
    case 'freeze':
      return facts['payer'] === op.payer && facts['isFrozen'] === op.isFrozen
    default:
      return facts['holdId'] === op.holdId && facts['held'] === undefined && (op.op === 'post_hold') === legs.length > 0
  }
}

// ------------------------------------------------------------------ what to read

type Names = Pick<ReadonlyMap<string, unknown>, 'has'>
function wantedBy(ops: readonly LedgerOp[], knownAccounts: Names, knownPayers: Names): Wanted {
  const accounts = new Set<string>()
  const payers = new Set<string>()
  const wanted: Wanted = { accounts: [], txIds: [], keys: [], holds: [], payers: [], due: undefined }
  for (const op of ops) {
    if (op.op === 'expire') {
      const { at = 0, limit = 0 } = wanted.due ?? {}
      wanted.due = { at: Math.max(at, op.at), limit: limit + op.limit }
      continue
    }
    wanted.txIds.push(op.txId)
    const { actor, command, ik } = op.origin
    if (ik !== undefined) wanted.keys.push({ actor, command, ik })
    if (op.op === 'post_hold' || op.op === 'void_hold') wanted.holds.push(op.holdId)
    for (const account of accountsOf(op)) if (!knownAccounts.has(account)) accounts.add(account)
    const payer = op.op === 'charge' ? payerOf(op) : op.op === 'freeze' ? op.payer : undefined
    if (payer !== undefined && !knownPayers.has(payer)) payers.add(payer)
  }
  // One that this batch settles first must not keep the next one from expiring.
  if (wanted.due) wanted.due.limit += wanted.holds.length
  wanted.accounts = [...accounts]
  wanted.payers = [...payers]
  return wanted
}

function accountsOf(op: Exclude<LedgerOp, Expire>): string[] {
  switch (op.op) {
    case 'post':
    case 'hold':
      return op.transfers.flatMap(({ dr, cr }) => [dr, cr])
    case 'charge':
      return [...op.payFrom, op.sink, op.streamer, 'bean.issued', op.guild ?? op.streamer]
    default:
      return []
  }
}

/** Over the wire an integer as far as JavaScript has integers, a text beyond. */
export const wireAmount = (amount: bigint): number | string =>
  amount <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(amount) : String(amount)
