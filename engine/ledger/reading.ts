/** Everything that is asked about the ledger without changing it, as the reader thread answers it: one short look for each question. */
import { Audit, type AuditStep } from './audit.ts'
import { Book } from './book.ts'
import type { JournalRow } from './ops.ts'
import type { AccountBalance, LedgerReader } from './reader.ts'
import type { StatementEntry } from './statements.ts'

export interface ReadAsks {
  lastPos: { ask: object; answer: number }
  journal: { ask: { afterPos: number; limit: number; roomId?: string | undefined }; answer: JournalRow[] }
  row: { ask: { txId: string }; answer: JournalRow | undefined }
  balances: { ask: { accounts: readonly string[] }; answer: AccountBalance[] }
  balancesAfter: { ask: { account: string; limit: number }; answer: AccountBalance[] }
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

export class Reading {
  readonly #reader: LedgerReader
  readonly #bookFile: string
  #open: { book: Book; audit: Audit } | undefined

  /** The book is opened when it is first asked for. */
  constructor(reader: LedgerReader, bookFile: string) {
    this.#reader = reader
    this.#bookFile = bookFile
  }

  handle(ask: ReadAsk): ReadAnswer {
    const reader = this.#reader
    switch (ask.name) {
      case 'lastPos':
        return reader.lastPos()
      case 'journal':
        return ask.roomId === undefined
          ? reader.journalAfter(ask.afterPos, ask.limit)
          : reader.roomJournalAfter(ask.roomId, ask.afterPos, ask.limit)
      case 'row':
        return reader.rowOf(ask.txId)
      case 'balances':
        return reader.balances(ask.accounts.slice(0, accountsMax))
      case 'balancesAfter':
        return reader.balancesAfter(ask.account, ask.limit)
      case 'audit':
        return this.#audited(() => this.#derived().audit.step())
      case 'accounts':
        return this.#accounts(ask)
      case 'opening':
        return this.#derived().book.openingOf(ask.account, { ...ask, toAt: ask.fromAt })
      case 'entries':
        return this.#entries(ask)
    }
  }

  close(): void {
    this.#open?.book.close()
    this.#reader.close()
  }

  #derived(): { book: Book; audit: Audit } {
    if (this.#open) return this.#open
    const book = Book.open(this.#bookFile, this.#reader)
    this.#open = { book, audit: new Audit(this.#reader, book) }
    return this.#open
  }

  /** A book that fails (a full disk, a damaged file) is looked at anew the next time. */
  #audited<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      this.#open?.book.close()
      this.#open = undefined
      throw error
    }
  }

  #accounts({ exact, prefixes }: ReadAsks['accounts']['ask']): string[] {
    const { book } = this.#derived()
    const named = exact.filter((account) => book.has(account))
    // '/' comes right after '.', with which each prefix ends.
    const below = prefixes.flatMap((prefix) => book.accountsIn(prefix, `${prefix.slice(0, -1)}/`, accountsMax))
    return [...new Set([...named, ...below])].sort((a, b) => (a < b ? -1 : 1))
  }

  #entries(ask: ReadAsks['entries']['ask']): StatementEntry[] {
    const { account, afterPos, limit, ...period } = ask
    return this.#derived()
      .book.entriesOf(account, period, afterPos, limit)
      .map((entry) => {
        const row = this.#reader.journalAfter(entry.pos - 1, 1)[0]
        if (row?.pos !== entry.pos) throw new Error(`row ${entry.pos} of the journal is gone`)
        const { txId, action, roomId, liveId } = row
        return { ...entry, txId, action, roomId, liveId }
      })
  }
}
