/**
 * The store of the simulation: the real queue and the real database, with a disk that takes its time, so that a process that dies loses
 * what it had not written yet. The database outlives it.
 */
import type { Clock } from '../base/clock.ts'
import { type Random, randomInt } from '../base/random.ts'
import { CoreDb, type Op } from '../room/core-db.ts'
import { QueuedStore, type Store } from '../room/store.ts'
import type { Life } from './life.ts'

interface SimStoreParts {
  clock: Clock
  random: Random
  roomsMax: number
}

const pageRows = 1_000

export class SimStore {
  current: Store
  /** Before a batch is written. */
  delayMsMax = 0
  readonly #parts: SimStoreParts
  readonly #db: CoreDb
  #life: Life = { isAlive: true }

  constructor(parts: SimStoreParts) {
    this.#parts = parts
    this.#db = new CoreDb({ file: ':memory:', roomsMax: parts.roomsMax, pagesMax: undefined })
    this.current = this.#queue()
  }

  #queue(): Store {
    const life = this.#life
    const run = async (ops: readonly Op[]) => {
      if (this.delayMsMax > 0) await this.#pause(life)
      return this.#db.batch(ops)
    }
    return new QueuedStore({ up: true, restarts: 0, run, close: async () => {} }, {})
  }

  #pause(life: Life): Promise<void> {
    const ms = randomInt(this.#parts.random, this.delayMsMax)
    return new Promise((resolve) => void this.#parts.clock.after(ms, () => life.isAlive && resolve()))
  }

  /** What waited is gone; another queue goes on with the database. Answers the ids of the room log, those without a seq aside. */
  die(): ReadonlySet<string> {
    this.#life.isAlive = false
    this.#life = { isAlive: true }
    this.current = this.#queue()
    const onDisk = new Set<string>()
    for (let afterPos = 0; ; ) {
      const [read] = this.#db.batch([{ op: 'read', afterPos, limit: pageRows }]).values
      const page = read as { pos: number; row: { eid: string } }[]
      for (const { pos, row } of page) {
        onDisk.add(row.eid)
        afterPos = pos
      }
      if (page.length < pageRows) return onDisk
    }
  }

  close(): void {
    this.#life.isAlive = false
    this.#db.close()
  }
}
