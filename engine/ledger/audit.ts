/**
 * The audit: reads the journal after its own place, row by row, and the balance table in slices, for ever. A broken invariant is told;
 * what to stop then is for whoever listens.
 *
 *     per row     legs are between two accounts of one ledger, the shares of a charge add up and are what its terms give, ids are found once
 *     again       a row that was read before is still what it was then; some rows a step, round and round
 *     per slice   a balance is what the legs of its account add up to, holds included; none below zero that must not be
 *     per round   in each ledger all debits are all credits
 *
 *     const audit = new Audit(source, book)
 *     const { rows, isCaughtUp, broken } = await audit.step()     // some ms of work; call it again and again
 *
 * Slices are looked at only when the journal has been read to its end, in the same moment: under constant load that comes later, and
 * `pos` shows how far behind it is. What it reads of the journal goes into the book, so the work is done once.
 */
import { accountKind } from './accounts.ts'
import { type Book, type Marked, markOf } from './book.ts'
import type { JournalRow, Transfer } from './ops.ts'
import { after, type Soon } from './soon.ts'
import type { AccountBalance, AuditLook, AuditSlice, LedgerSource, LedgerTotal } from './source.ts'
import { type SplitTerms, splitIncome, termsProblem } from './split.ts'

export const invariants = {
  row: 'A row of the journal is well formed: positions follow each other, legs are between two accounts of one ledger.',
  kept: 'A row of the journal is still what it was when it was read first.',
  once: 'An id and a key are found at one row only.',
  split: 'The shares of a charge add up to its income, are what its terms give, and are what was transferred.',
  balance: 'A balance is what the legs of its account add up to, and what is set aside is what pending holds say.',
  negative: 'No account is below zero that must not be, holds included.',
  sums: 'In each ledger the sum of debits is the sum of credits.',
} as const
export type Invariant = keyof typeof invariants

export interface Broken {
  invariant: Invariant
  /** Account, txId or ledger. */
  at: string
  msg: string
}
export interface AuditStep {
  /** Rows of the journal that were read. */
  rows: number
  /** Of the last one. */
  pos: number
  isCaughtUp: boolean
  /** Up to here rows were looked at again; from the first one on when all of them have been. */
  againPos: number
  accounts: number
  /** Whole rounds over all accounts since the start. */
  rounds: number
  broken: Broken[]
}

const rowsAStep = 500
const accountsAStep = 500
/** At one step a second 8 million rows a day, for some 0.2 % of a core. */
const againAStep = 100
/** Told at one step; a broken file would fill the log. */
const brokenMax = 20

export class Audit {
  readonly #source: LedgerSource
  readonly #book: Book
  #afterAccount = ''
  #rounds = 0
  #againPos = 0

  constructor(source: LedgerSource, book: Book) {
    this.#source = source
    this.#book = book
  }

  /** One at a time: the next one reads from where this one has ended. */
  step(): Soon<AuditStep> {
    const ask = { afterPos: this.#book.pos, rowsMax: rowsAStep, afterAccount: this.#afterAccount, accountsMax: accountsAStep }
    return after(this.#source.look(ask), (look) => {
      const step = this.#checked(look)
      if (!step.isCaughtUp) return step
      return after(this.#again(), (changed) => {
        const broken = [...step.broken, ...changed].slice(0, brokenMax)
        return { ...step, againPos: this.#againPos, broken }
      })
    })
  }

  /** Rows that were read before, and are in the book: a change of those would never show in a balance. */
  #again(): Soon<Broken[]> {
    const marks = this.#book.marksAfter(this.#againPos, againAStep)
    const last = marks.at(-1)
    if (!last) {
      this.#againPos = 0
      return []
    }
    this.#againPos = marks.length === againAStep ? last.pos : 0
    return after(this.#source.rowsAt(marks.map(({ pos }) => pos)), (rows) => changedRows(marks, rows))
  }

  #checked({ rows, foundAt, slice }: AuditLook): AuditStep {
    const broken = rows.flatMap((row, at) => [
      ...rowProblems(row, (rows[at - 1]?.pos ?? this.#book.pos) + 1),
      ...onceProblems(row, foundAt[at] ?? []),
    ])
    this.#book.fold(rows)
    const accounts = slice ? this.#slice(slice, broken) : 0
    const { pos } = this.#book
    const isCaughtUp = slice !== undefined
    return {
      rows: rows.length,
      pos,
      isCaughtUp,
      againPos: this.#againPos,
      accounts,
      rounds: this.#rounds,
      broken: broken.slice(0, brokenMax),
    }
  }

  /** The next accounts by name; at the end the sums, and from the start again. */
  #slice({ balances, pending, totals }: AuditSlice, broken: Broken[]): number {
    const isLast = balances.length < accountsAStep
    const upTo = isLast ? undefined : (balances.at(-1) as AccountBalance).account
    for (const balance of balances) broken.push(...this.#balanceProblems(balance, pending.get(balance.account)))
    broken.push(...this.#missing(balances, upTo))
    this.#afterAccount = upTo ?? ''
    if (isLast) {
      broken.push(...sumProblems(totals))
      this.#rounds++
    }
    return balances.length
  }

  #balanceProblems(balance: AccountBalance, held: { debits: bigint; credits: bigint } | undefined): Broken[] {
    const { account, debits, credits, pendingDebits, pendingCredits } = balance
    const legs = this.#book.sumsOf(account)
    const broken: Broken[] = []
    if (legs.debits !== debits || legs.credits !== credits) {
      const msg = `the table says ${debits} and ${credits}, the legs ${legs.debits} and ${legs.credits}`
      broken.push({ invariant: 'balance', at: account, msg })
    }
    if (pendingDebits !== (held?.debits ?? 0n) || pendingCredits !== (held?.credits ?? 0n)) {
      const msg = `${pendingDebits} and ${pendingCredits} are set aside, holds say ${held?.debits ?? 0n} and ${held?.credits ?? 0n}`
      broken.push({ invariant: 'balance', at: account, msg })
    }
    const kind = accountKind(account)
    if (!kind) broken.push({ invariant: 'row', at: account, msg: 'is no account of the chart' })
    else if (!kind.mayBeNegative && balance.available < 0n)
      broken.push({ invariant: 'negative', at: account, msg: `${balance.available} is left` })
    return broken
  }

  /** Accounts of the journal that the balance table does not have. */
  #missing(balances: readonly AccountBalance[], upTo: string | undefined): Broken[] {
    const present = new Set(balances.map(({ account }) => account))
    const named = this.#book.accountsIn(this.#afterAccount, upTo, accountsAStep + brokenMax)
    return named
      .filter((account) => !present.has(account))
      .map((account) => ({ invariant: 'balance', at: account, msg: 'the journal has it, the balance table does not' }) as const)
  }
}

function onceProblems({ pos, txId }: JournalRow, found: readonly number[]): Broken[] {
  if (found.length === 1 && found[0] === pos) return []
  return [{ invariant: 'once', at: txId, msg: `row ${pos} is found at ${found.join(', ') || 'no place'}` }]
}

function changedRows(marks: readonly Marked[], rows: readonly JournalRow[]): Broken[] {
  const byPos = new Map(rows.map((row) => [row.pos, row]))
  return marks.flatMap(({ pos, mark }): Broken[] => {
    const row = byPos.get(pos)
    if (!row) return [{ invariant: 'kept', at: `row ${pos}`, msg: 'is gone' }]
    return mark.equals(markOf(row)) ? [] : [{ invariant: 'kept', at: row.txId, msg: `row ${pos} is not what was written` }]
  })
}

const sumProblems = (totals: readonly LedgerTotal[]): Broken[] =>
  totals
    .filter(({ debits, credits }) => debits !== credits)
    .map(({ ledger, debits, credits }) => ({ invariant: 'sums', at: ledger, msg: `debits ${debits}, credits ${credits}` }))

/** What is wrong with a row by itself. */
export function rowProblems(row: JournalRow, pos: number): Broken[] {
  const broken: Broken[] = []
  if (row.pos !== pos) broken.push({ invariant: 'row', at: row.txId, msg: `stands at ${row.pos}, not at ${pos}` })
  for (const { dr, cr, amount } of row.legs) {
    const [from, to] = [accountKind(dr), accountKind(cr)]
    if (!from || !to || from.ledger !== to.ledger || dr === cr || amount <= 0n)
      broken.push({ invariant: 'row', at: row.txId, msg: `${dr} to ${cr}: ${amount}` })
  }
  const problem = row.facts['value'] === undefined ? undefined : chargeProblem(row)
  if (problem !== undefined) broken.push({ invariant: 'split', at: row.txId, msg: problem })
  return broken
}

const amountNames = ['value', 'paid', 'bonus', 'income', 'streamer', 'guild', 'platform'] as const
type Amounts = Record<(typeof amountNames)[number], bigint>

function chargeProblem({ facts, legs }: JournalRow): string | undefined {
  const terms = facts['terms'] as SplitTerms
  const isRead = amountNames.every((name) => /^\d+$/.test(String(facts[name]))) && typeof terms === 'object' && terms !== null
  if (!isRead || termsProblem(terms) !== undefined) return 'the facts of the charge cannot be read'
  const amounts = Object.fromEntries(amountNames.map((name) => [name, BigInt(String(facts[name]))])) as Amounts
  const { value, paid, bonus, income, streamer, guild, platform } = amounts
  if (streamer + guild + platform !== income) return `${streamer} + ${guild} + ${platform} is not ${income}`
  if (income > value || paid + bonus !== value) return `${paid} + ${bonus} of ${value}, income ${income}`
  const due = splitIncome({ paid, bonus }, terms)
  if (due.income !== income || due.streamer !== streamer || due.guild !== guild) return 'the terms give other shares'
  const moved = legSums(legs)
  const isMoved = moved.paid === paid && moved.bonus === bonus && moved.beans === streamer + guild
  return isMoved ? undefined : 'the legs are not what the shares say'
}

function legSums(legs: readonly Transfer[]): { paid: bigint; bonus: bigint; beans: bigint } {
  const sums = { paid: 0n, bonus: 0n, beans: 0n }
  for (const { dr, amount } of legs) sums[dr === 'bean.issued' ? 'beans' : dr.endsWith('.bonus') ? 'bonus' : 'paid'] += amount
  return sums
}
