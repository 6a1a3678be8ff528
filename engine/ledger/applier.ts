/**
 * The ledger as the thread runs it: one file, opened again after a failed write, so that the database itself says what became of the
 * batch (a commit whose fsync failed may be there after all). The lock stays held meanwhile.
 *
 *     const applier = new Applier({ file })
 *     applier.handle({ ops })          // { results, pos }, or throws: closed from then on
 *     applier.handle({ reopen: true }) // throws while the disk takes nothing
 */
import { Ledger } from './ledger.ts'
import type { LedgerOp, LedgerResult } from './ops.ts'
import { inMemory, SqliteLedger, type SqliteLedgerOptions, takeLock } from './sqlite-ledger.ts'

export type ApplierAsk = { ops: readonly LedgerOp[] } | { reopen: true }
export interface ApplierAnswer {
  results: readonly LedgerResult[]
  /** Of the last row of the journal. */
  pos: number
}

export class Applier {
  readonly #options: SqliteLedgerOptions
  readonly #lock: { close(): unknown } | undefined
  #storage: SqliteLedger | undefined
  /** Unset while closed. */
  #ledger: Ledger | undefined
  /** Of the last row that was answered: what is opened again must have it. */
  #pos = 0

  /** Throws when the file cannot be opened or another process holds it. */
  constructor(options: SqliteLedgerOptions) {
    this.#lock = options.file === inMemory ? undefined : takeLock(options.file)
    this.#options = { ...options, isLocked: true }
    try {
      this.#ledger = new Ledger(this.#opened())
      this.#pos = this.#ledger.pos
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** For readers of a ledger in memory. */
  get storage(): SqliteLedger {
    return this.#opened()
  }

  handle(ask: ApplierAsk): ApplierAnswer {
    if ('reopen' in ask) return this.#reopen()
    const ledger = this.#ledger
    if (!ledger) throw new Error('the ledger is closed')
    try {
      const results = ledger.batch(ask.ops)
      this.#pos = ledger.pos
      return { results, pos: ledger.pos }
    } catch (error) {
      this.#shut()
      throw error
    }
  }

  close(): void {
    this.#ledger = undefined
    this.#storage?.close()
    this.#storage = undefined
    this.#lock?.close()
  }

  #reopen(): ApplierAnswer {
    if (!this.#ledger) {
      try {
        const storage = this.#opened()
        storage.checkWrite()
        const found = storage.lastPos()
        if (found < this.#pos)
          throw new Error(`the journal ends at ${found}, and row ${this.#pos} was answered: this is another file`)
        this.#ledger = new Ledger(storage)
        this.#pos = this.#ledger.pos
      } catch (error) {
        this.#shut()
        throw error
      }
    }
    return { results: [], pos: this.#ledger.pos }
  }

  #opened(): SqliteLedger {
    this.#storage ??= new SqliteLedger(this.#options)
    return this.#storage
  }

  /** What is in memory only has nowhere to be read from again, and its rolled back transaction leaves no doubt. */
  #shut(): void {
    this.#ledger = undefined
    if (this.#options.file === inMemory) return
    this.#storage?.close()
    this.#storage = undefined
  }
}
