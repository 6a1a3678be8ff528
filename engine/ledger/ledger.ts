/**
 * One batch on one storage: read, decide, write. Synchronous, without clock or thread: the worker thread, the simulation and the tests
 * run this; `rules.ts` has the rules, `open.ts` the queue and the thread around it.
 *
 *     const ledger = new Ledger(new SqliteLedger({ file }))
 *     const [result] = ledger.batch([{ op: 'post', txId, at, action: 'recharge', origin, transfers }])
 *
 * `AsyncLedger` is the same on a storage that answers later: same rules, same order, one batch at a time.
 */
import { balanceIn, zeroBalance } from './cells.ts'
import type { Balance, LedgerOp, LedgerResult } from './ops.ts'
import { type Decided, type Found, Rules, type Wanted } from './rules.ts'

/** What the rules need of a database. */
export interface LedgerStorage {
  read(wanted: Wanted): Found
  /**
   * All of it in one transaction that is on disk when this returns. Throws when it is not known to be there, and a `KeyCameAgain` when
   * nothing of it is there because a row has a key that the journal has already.
   */
  write(decided: Decided): void
  /** Of the last row; 0 before the first. */
  lastPos(): number
}

export class KeyCameAgain extends Error {}

/** The same of a database that is somewhere else. */
export interface AsyncLedgerStorage {
  read(wanted: Wanted): Promise<Found>
  write(decided: Decided): Promise<void>
}

const isSomething = ({ rows, holds }: Decided): boolean => rows.length > 0 || holds.length > 0
/** Batches whose keys are looked for after one in which a key came again. */
const carefulBatches = 64
const brokenText = 'a write failed: open the ledger again'

export class Ledger {
  readonly #storage: LedgerStorage
  readonly #rules: Rules
  #isBroken = false
  #carefulFor = 0

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
   *
   * Nearly every key is new, and looking for it costs a gift 2 us; so the unique index of the journal says when one is not. The batch
   * is decided once more then, from the disk, with what was found.
   */
  batch(ops: readonly LedgerOp[]): LedgerResult[] {
    if (this.#isBroken) throw new Error(brokenText)
    try {
      if (this.#carefulFor === 0) return this.#trusting(ops) ?? this.#again(ops)
      this.#carefulFor--
      return this.#carefully(ops)
    } catch (error) {
      this.#isBroken = true
      throw error
    }
  }

  #carefully(ops: readonly LedgerOp[]): LedgerResult[] {
    const plan = this.#rules.plan(ops)
    const { results, decided } = this.#rules.decide(plan, this.#storage.read(plan.wanted))
    if (isSomething(decided)) this.#storage.write(decided)
    return results
  }

  /** Undefined when a key was there already: nothing was written then, and memory is ahead of the disk. */
  #trusting(ops: readonly LedgerOp[]): LedgerResult[] | undefined {
    const plan = this.#rules.plan(ops)
    const { results, decided } = this.#rules.decide(plan, this.#storage.read({ ...plan.wanted, keys: [] }))
    if (this.#isRepeated(ops, results)) return undefined
    try {
      if (isSomething(decided)) this.#storage.write(decided)
      return results
    } catch (error) {
      if (error instanceof KeyCameAgain) return undefined
      throw error
    }
  }

  #again(ops: readonly LedgerOp[]): LedgerResult[] {
    this.#carefulFor = carefulBatches
    this.#rules.forget(this.#storage.lastPos())
    return this.#carefully(ops)
  }

  /** What was refused writes no row that the index could refuse; its key may have been answered before all the same. */
  #isRepeated(ops: readonly LedgerOp[], results: readonly LedgerResult[]): boolean {
    const keys: Wanted['keys'] = []
    for (const [at, { ok }] of results.entries()) {
      const op = ops[at] as LedgerOp
      if (ok || op?.op === 'expire') continue
      const { actor, command, ik } = op?.origin ?? {}
      if (typeof actor === 'string' && typeof command === 'string' && typeof ik === 'string') keys.push({ actor, command, ik })
    }
    return keys.length > 0 && this.#storage.read({ ...nothing, keys }).rows.length > 0
  }

  /** From memory or disk; zero for an account that nothing was ever posted to. */
  balanceOf(account: string): Balance {
    const onDisk = () => balanceIn(this.#storage.read(onlyBalance(account)).balances.get(account) ?? zeroBalance())
    return this.#rules.balanceOf(account) ?? onDisk()
  }
}

export class AsyncLedger {
  readonly #storage: AsyncLedgerStorage
  readonly #rules: Rules
  #isBroken = false
  #isBusy = false

  /** `pos`: of the last row of the storage; 0 before the first. */
  constructor(storage: AsyncLedgerStorage, pos: number) {
    this.#storage = storage
    this.#rules = new Rules(pos)
  }

  get pos(): number {
    return this.#rules.pos
  }

  /** As of `Ledger`. A second batch before the first one is answered would be decided on balances that may never be written. */
  async batch(ops: readonly LedgerOp[]): Promise<LedgerResult[]> {
    if (this.#isBroken) throw new Error(brokenText)
    if (this.#isBusy) throw new Error('one batch at a time')
    this.#isBusy = true
    try {
      const plan = this.#rules.plan(ops)
      const { results, decided } = this.#rules.decide(plan, await this.#storage.read(plan.wanted))
      if (isSomething(decided)) await this.#storage.write(decided)
      return results
    } catch (error) {
      this.#isBroken = true
      throw error
    } finally {
      this.#isBusy = false
    }
  }

  async balanceOf(account: string): Promise<Balance> {
    const onDisk = async () => balanceIn((await this.#storage.read(onlyBalance(account))).balances.get(account) ?? zeroBalance())
    return this.#rules.balanceOf(account) ?? onDisk()
  }
}

const nothing: Wanted = { accounts: [], txIds: [], keys: [], holds: [], payers: [], due: undefined }
const onlyBalance = (account: string): Wanted => ({ ...nothing, accounts: [account] })
