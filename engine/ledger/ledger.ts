/**
 * One batch on one storage: read, decide, write. Synchronous, without clock or thread: the worker thread, the simulation and the tests
 * run this; `rules.ts` has the rules, `open.ts` the queue and the thread around it.
 *
 *     const ledger = new Ledger(new SqliteLedger({ file }))
 *     const [result] = ledger.batch([{ op: 'post', txId, at, action: 'recharge', origin, transfers }])
 */
import type { Balance, LedgerOp, LedgerResult } from './ops.ts'
import { type Decided, type Found, Rules, type Wanted, zeroBalance } from './rules.ts'

/** What the rules need of a database. */
export interface LedgerStorage {
  read(wanted: Wanted): Found
  /** All of it in one transaction that is on disk when this returns. Throws when it is not known to be there. */
  write(decided: Decided): void
  /** Of the last row; 0 before the first. */
  lastPos(): number
}

export class Ledger {
  readonly #storage: LedgerStorage
  readonly #rules: Rules
  #isBroken = false

  constructor(storage: LedgerStorage) {
    this.#storage = storage
    this.#rules = new Rules(storage.lastPos())
  }

  /** Of the last row of the journal. */
  get pos(): number {
    return this.#rules.pos
  }

  /**
   * Answers in the order of the ops. Throws when reading or writing failed. The database decides then whether the batch happened: a
   * failed fsync leaves that open. So this object is of no use any more; open the file again and ask again with the same keys.
   */
  batch(ops: readonly LedgerOp[]): LedgerResult[] {
    if (this.#isBroken) throw new Error('a write failed: open the ledger again')
    try {
      const plan = this.#rules.plan(ops)
      const { results, decided } = this.#rules.decide(plan, this.#storage.read(plan.wanted))
      if (decided.rows.length > 0 || decided.holds.length > 0) this.#storage.write(decided)
      return results
    } catch (error) {
      this.#isBroken = true
      throw error
    }
  }

  /** From memory or disk; zero for an account that nothing was ever posted to. */
  balanceOf(account: string): Balance {
    const onDisk = () =>
      this.#storage.read({ accounts: [account], txIds: [], keys: [], holds: [], due: undefined }).balances.get(account)
    return this.#rules.balanceOf(account) ?? onDisk() ?? zeroBalance()
  }
}
