/**
 * The ledger as its thread runs it on Postgres: one session, taken again after a failure, so that the database itself says what became
 * of the batch (the answer to a commit may be lost on the way). The session holds the lock, so that is asked for again too.
 *
 *     const applier = new PostgresApplier({ url })
 *     await applier.handle({ reopen: true })      // rejects while the server is away or another writer holds it
 *     await applier.handle({ ops })               // { results, pos }, or rejects: closed from then on
 */
import type { ApplierAnswer, ApplierAsk } from './applier.ts'
import { AsyncLedger } from './ledger.ts'
import type { PostgresOptions } from './postgres-connection.ts'
import { PostgresLedger } from './postgres-ledger.ts'

export class PostgresApplier {
  readonly #options: PostgresOptions
  #storage: PostgresLedger | undefined
  /** Unset while closed. */
  #ledger: AsyncLedger | undefined

  constructor(options: PostgresOptions) {
    this.#options = options
  }

  async handle(ask: ApplierAsk): Promise<ApplierAnswer> {
    if ('reopen' in ask) return { results: [], pos: (await this.#opened()).pos }
    if (!this.#ledger) throw new Error('the ledger is closed')
    try {
      const ledger = await this.#opened()
      return { results: await ledger.batch(ask.ops), pos: ledger.pos }
    } catch (error) {
      this.#shut()
      throw error
    }
  }

  /** Resolves when the server has said goodbye: the next writer finds the lock free. */
  async close(): Promise<void> {
    const storage = this.#storage
    this.#storage = this.#ledger = undefined
    await storage?.close()
  }

  /** A session that was lost while nothing was under way, as by a restart of the server, is taken again before the next batch. */
  async #opened(): Promise<AsyncLedger> {
    if (this.#ledger && this.#storage?.lost === undefined) return this.#ledger
    this.#shut()
    const storage = await PostgresLedger.open(this.#options)
    try {
      await storage.checkWrite()
      this.#ledger = new AsyncLedger(storage, await storage.lastPos())
      this.#storage = storage
      return this.#ledger
    } catch (error) {
      storage.abandon()
      throw error
    }
  }

  #shut(): void {
    this.#storage?.abandon()
    this.#storage = this.#ledger = undefined
  }
}
