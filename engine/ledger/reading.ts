/** Everything that is asked about the ledger without changing it, as the reader thread answers it: one short look for each question. */
import { Audit, type AuditStep } from './audit.ts'
import { Book } from './book.ts'
import type { JournalRow } from './ops.ts'
import type { Payer } from './payers.ts'
import { after, type Soon } from './soon.ts'
import type { AccountBalance, LedgerSource, LedgerTotal } from './source.ts'
import type { StatementEntry } from './statements.ts'

export interface ReadAsks {
  lastPos: { ask: object; answer: number }
  journal: { ask: { afterPos: number; limit: number; roomId?: string | undefined }; answer: JournalRow[] }
  facts: { ask: { afterPos: number; limit: number }; answer: JournalRow[] }
  payer: { ask: { payer: string }; answer: Payer | undefined }
  row: { ask: { txId: string }; answer: JournalRow | undefined }
  byKey: { ask: { actor: string; command: string; ik: string }; answer: JournalRow | undefined }
  balances: { ask: { accounts: readonly string[] }; answer: AccountBalance[] }
  balancesAfter: { ask: { account: string; limit: number }; answer: AccountBalance[] }
  totals: { ask: object; answer: LedgerTotal[] }
  audit: { ask: object; answer: AuditStep }
  accounts: { ask: { exact: readonly string[]; prefixes: readonly string[] }; answer: string[] }
  opening: {
    ask: { account: string; fromAt: number; uptoPos: number }
    answer: { debits: bigint; credits: bigint }
  }
  entries: {
    ask: { account: string; fromAt: number; toAt: number; uptoPos: number; afterPos: number; limit: number }
    answer: StatementEntry[]
  }
}
export type ReadName = keyof ReadAsks
export type ReadAsk = { [N in ReadName]: { name: N } & ReadAsks[N]['ask'] }[ReadName]
export type ReadAnswer = ReadAsks[ReadName]['answer']

/** One owner has a handful of accounts. */
const accountsMax = 1_000

/** Sums come with the last accounts: behind the last row and the last name there is nothing else to read. */
const behindAll = { afterPos: Number.MAX_SAFE_INTEGER, rowsMax: 1, afterAccount: '~', accountsMax: 1 }

interface Derived {
  book: Book
  audit: Audit
}

export class Reading {
  readonly #source: LedgerSource
  readonly #bookFile: string
  #open: Derived | undefined

  /** The book is opened when it is first asked for. */
  constructor(source: LedgerSource, bookFile: string) {
    this.#source = source
    this.#bookFile = bookFile
  }

  /** One at a time where the source answers later: an audit goes on from where the last one has ended. */
  handle(ask: ReadAsk): Soon<ReadAnswer> {
    const source = this.#source
    switch (ask.name) {
      case 'lastPos':
        return source.lastPos()
      case 'journal':
        return ask.roomId === undefined
          ? source.journalAfter(ask.afterPos, ask.limit)
          : source.roomJournalAfter(ask.roomId, ask.afterPos, ask.limit)
      case 'facts':
        return source.factsAfter(ask.afterPos, ask.limit)
      case 'payer':
        return source.payerOf(ask.payer)
      case 'row':
        return source.rowOf(ask.txId)
      case 'byKey':
        return source.rowByKey(ask.actor, ask.command, ask.ik)
      case 'balances':
        return source.balances(ask.accounts.slice(0, accountsMax))
      case 'balancesAfter':
        return source.balancesAfter(ask.account, ask.limit)
      case 'totals':
        return after(source.look(behindAll), ({ slice }) => slice?.totals ?? [])
      case 'audit':
        return this.#audited()
      case 'accounts':
        return after(this.#derived(), (derived) => accountsIn(derived, ask))
      case 'opening':
        return after(this.#derived(), ({ book }) => book.openingOf(ask.account, { ...ask, toAt: ask.fromAt }))
      case 'entries':
        return after(this.#derived(), (derived) => this.#entries(derived, ask))
    }
  }

  close(): void {
    this.#open?.book.close()
    this.#source.close()
  }

  #derived(): Soon<Derived> {
    if (this.#open) return this.#open
    return after(Book.open(this.#bookFile, this.#source), (book) => {
      this.#open = { book, audit: new Audit(this.#source, book) }
      return this.#open
    })
  }

  /** A book that fails (a full disk, a damaged file) is looked at anew the next time. */
  #audited(): Soon<AuditStep> {
    const forget = (error: unknown): never => {
      this.#open?.book.close()
      this.#open = undefined
      throw error
    }
    try {
      const step = after(this.#derived(), ({ audit }) => audit.step())
      return step instanceof Promise ? step.catch(forget) : step
    } catch (error) {
      return forget(error)
    }
  }

  #entries({ book }: Derived, ask: ReadAsks['entries']['ask']): Soon<StatementEntry[]> {
    const { account, afterPos, limit, ...period } = ask
    const entries = book.entriesOf(account, period, afterPos, limit)
    return after(this.#source.rowsAt(entries.map(({ pos }) => pos)), (rows) =>
      entries.map((entry, at) => {
        const row = rows[at]
        if (row?.pos !== entry.pos) throw new Error(`row ${entry.pos} of the journal is gone`)
        const { txId, action, roomId, liveId } = row
        return { ...entry, txId, action, roomId, liveId }
      }),
    )
  }
}

function accountsIn({ book }: Derived, { exact, prefixes }: ReadAsks['accounts']['ask']): string[] {
  const named = exact.filter((account) => book.has(account))
  // '/' comes right after '.', with which each prefix ends.
  const below = prefixes.flatMap((prefix) => book.accountsIn(prefix, `${prefix.slice(0, -1)}/`, accountsMax))
  return [...new Set([...named, ...below])].sort((a, b) => (a < b ? -1 : 1))
}
