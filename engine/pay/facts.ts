/**
 * Facts of the ledger that no room applies (`recharge.completed`, `gift.refunded`, ...): from its journal into the room log, without a
 * room, where the event hooks of plugins and the copy in JetStream find them. The journal is the outbox: what is in it will be handed on,
 * after a crash too.
 *
 *     a commit -> the rows behind our place, in the order of the journal -> one write to core.db: rows, and the place after them
 *
 * So a fact comes into the log once, and from there to each plugin at least once, in order. When an answer of the store is lost, the place
 * is read again from where it stands. In the log a fact has its transfer's id as `eid`, epoch 0, and its position in the journal as `seq`.
 *
 *     const facts = new Facts({ ledger, store, clock, log })
 *     facts.start()
 *     await facts.stop()
 */
import type { Clock, Timer } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { OpenLedger } from '../ledger/open.ts'
import type { JournalRow } from '../ledger/ops.ts'
import type { LogRow, SeqRow, Store } from '../room/store.ts'

export interface FactsParts {
  ledger: OpenLedger
  store: Pick<Store, 'getCursor' | 'appendFacts'>
  clock: Clock
  log: Log
}

/** No plugin can have this name. */
export const factsCursorKey = 'ledger:facts'
const pageRows = 500
const againMs = 1_000

export class Facts {
  readonly #parts: FactsParts
  /** Everything up to here is in the log; unset: to be read from there. */
  #pos: number | undefined
  #running: Promise<void> | undefined
  /** A commit since the run under way last looked. */
  #isWoken = false
  #again: Timer | undefined
  #isStopped = false
  #stopListening = () => {}

  constructor(parts: FactsParts) {
    this.#parts = parts
  }

  start(): void {
    this.#stopListening = this.#parts.ledger.onCommitted(() => this.#wake())
    this.#wake()
  }

  /** What is under way ends; the rest waits for the next start. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#stopListening()
    this.#again?.cancel()
    await this.#running
  }

  #wake(): void {
    this.#isWoken = true
    if (!this.#running && !this.#again && !this.#isStopped)
      this.#running = this.#run().finally(() => {
        this.#running = undefined
        if (this.#isWoken) this.#wake()
      })
  }

  async #run(): Promise<void> {
    try {
      while (this.#isWoken && !this.#isStopped) {
        this.#isWoken = false
        await this.#handOn()
      }
    } catch (error) {
      this.#isWoken = false
      this.#pos = undefined
      if (this.#isStopped) return
      this.#parts.log.error({ err: error }, 'facts of the ledger cannot be handed on now')
      this.#again = this.#parts.clock.after(againMs, () => {
        this.#again = undefined
        this.#wake()
      })
    }
  }

  async #handOn(): Promise<void> {
    const { ledger, store } = this.#parts
    this.#pos ??= (await store.getCursor(factsCursorKey))?.pos ?? 0
    while (!this.#isStopped) {
      const rows = await ledger.reads.factsAfter(this.#pos, pageRows)
      const last = rows.at(-1)
      if (!last) return
      await store.appendFacts(rows.map(logged), { key: factsCursorKey, pos: last.pos })
      this.#pos = last.pos
    }
  }
}

const logged = ({ txId, pos, at, actor, event }: JournalRow): LogRow & SeqRow => ({
  eid: txId,
  t: event?.t ?? '',
  at,
  actor,
  d: event?.d ?? {},
  epoch: 0,
  seq: pos,
})
