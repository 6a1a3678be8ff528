/**
 * This side of the readers: the journal in pages for whoever hands events on, balances, statements, one step of the audit. Each call is
 * one short look of the reader thread; nothing here holds the writer up.
 *
 *     for (let pos = cursor; ; ) {
 *       const rows = await reads.journalAfter(pos, 500)
 *       if (rows.length === 0) break                        // until onCommitted wakes us
 *       pos = rows.at(-1).pos
 *     }
 *
 * Errors: `LedgerUnavailable` when more than 1,000 questions wait; else what the reader said, and the next question starts it anew.
 */
import type { AuditStep } from './audit.ts'
import type { JournalRow } from './ops.ts'
import type { Payer } from './payers.ts'
import { LedgerUnavailable } from './queue.ts'
import type { AccountBalance } from './reader.ts'
import type { ReadAnswer, ReadAsk, ReadAsks, ReadName } from './reading.ts'
import type { LedgerTotal } from './source.ts'
import { type StatementEntry, type StatementQuery, type StatementSource, statement } from './statements.ts'

export interface ReadLine {
  ask(ask: ReadAsk): Promise<ReadAnswer>
  close(): Promise<void>
}

const asksMax = 1_000

export class LedgerReads implements StatementSource {
  readonly #line: ReadLine
  readonly #onStep: (step: AuditStep) => void
  #waiting = 0

  /** `onStep`: a step of the audit was made, for the audit itself or because a statement needed the book. */
  constructor(line: ReadLine, onStep: (step: AuditStep) => void) {
    this.#line = line
    this.#onStep = onStep
  }

  lastPos(): Promise<number> {
    return this.#ask('lastPos', {})
  }

  /** Committed rows after `afterPos`, in order, at most 1,000. */
  journalAfter(afterPos: number, limit: number): Promise<JournalRow[]> {
    return this.#ask('journal', { afterPos, limit })
  }

  roomJournalAfter(roomId: string, afterPos: number, limit: number): Promise<JournalRow[]> {
    return this.#ask('journal', { afterPos, limit, roomId })
  }

  /** Committed rows after `afterPos` that carry an event and belong to no room, in order, at most 1,000. */
  factsAfter(afterPos: number, limit: number): Promise<JournalRow[]> {
    return this.#ask('facts', { afterPos, limit })
  }

  /** Undefined for one who never paid and was never frozen. */
  payer(payer: string): Promise<Payer | undefined> {
    return this.#ask('payer', { payer })
  }

  row(txId: string): Promise<JournalRow | undefined> {
    return this.#ask('row', { txId })
  }

  /** What was posted under this key; undefined while nothing was. */
  byKey(actor: string, command: string, ik: string): Promise<JournalRow | undefined> {
    return this.#ask('byKey', { actor, command, ik })
  }

  /** In the order of `accounts`, at most 1,000; zero for one that nothing was ever posted to. */
  balances(accounts: readonly string[]): Promise<AccountBalance[]> {
    return this.#ask('balances', { accounts })
  }

  /** All accounts by name, after `account`, at most 1,000. */
  balancesAfter(account: string, limit: number): Promise<AccountBalance[]> {
    return this.#ask('balancesAfter', { account, limit })
  }

  /** Sums over all accounts of each ledger that has some. */
  totals(): Promise<LedgerTotal[]> {
    return this.#ask('totals', {})
  }

  /** Text in pieces; throws a RangeError on a question that has no meaning. */
  statement(query: StatementQuery): AsyncGenerator<string> {
    return statement(this, query)
  }

  async auditStep(): Promise<AuditStep> {
    const step = await this.#ask('audit', {})
    this.#onStep(step)
    return step
  }

  async begin(names: {
    exact: readonly string[]
    prefixes: readonly string[]
  }): Promise<{ accounts: string[]; uptoPos: number }> {
    const uptoPos = await this.lastPos()
    while ((await this.auditStep()).pos < uptoPos);
    return { accounts: await this.#ask('accounts', names), uptoPos }
  }

  opening(account: string, period: { fromAt: number; uptoPos: number }): Promise<{ debits: bigint; credits: bigint }> {
    return this.#ask('opening', { account, ...period })
  }

  entries(
    account: string,
    period: { fromAt: number; toAt: number; uptoPos: number },
    page: { afterPos: number; limit: number },
  ): Promise<StatementEntry[]> {
    return this.#ask('entries', { account, ...period, ...page })
  }

  close(): Promise<void> {
    return this.#line.close()
  }

  async #ask<N extends ReadName>(name: N, ask: ReadAsks[N]['ask']): Promise<ReadAsks[N]['answer']> {
    if (this.#waiting >= asksMax) throw new LedgerUnavailable('full', false, `${asksMax} questions wait for the readers`)
    this.#waiting++
    try {
      // The reader answers a question by its name: that pairs N with its answer.
      return (await this.#line.ask({ name, ...ask } as ReadAsk)) as ReadAsks[N]['answer']
    } finally {
      this.#waiting--
    }
  }
}
