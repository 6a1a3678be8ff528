/**
 * Consumers under random trouble: failing and hanging deliveries, missing instances, pauses, unwanted rows, and crashes, where the next
 * engine finds on disk what the last one had written by then and nothing else. Every wanted event arrives or is a dead letter, in
 * order per room, and what was done before the moment of a crash never comes again.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ManualClock, settle } from '../../base/clock.ts'
import { CoreDb, type Op } from '../../room/core-db.ts'
import { type LogEntry, QueuedStore, type Store } from '../../room/store.ts'
import { Consumer } from './consumers.ts'

const limits = { inFlightMax: 3, pageMax: 4, windowMax: 7, attemptsMax: 3, backoffMsMin: 200, backoffMsMax: 1_000 }
const rooms = ['a', 'b', 'c', 'd', '']
const unavailable = Object.assign(new Error('no instance'), { code: 'plugin.unavailable' })

/** What an event does to the plugin: fails so often before it is taken (9: always), or is none of its business. */
type Nature = 'unwanted' | number
type Step =
  | { kind: 'append'; room: string; nature: Nature }
  | { kind: 'answer'; pick: number; absent: boolean }
  | { kind: 'wait'; ms: number }
  | { kind: 'crash'; pick: number; ticks: number }
  | { kind: 'pause' | 'resume' | 'stop' }

const nature = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Nature>('unwanted') },
  { weight: 6, arbitrary: fc.constant<Nature>(0) },
  { weight: 2, arbitrary: fc.constantFrom<Nature>(1, 2) },
  { weight: 1, arbitrary: fc.constant<Nature>(9) },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('append' as const), room: fc.constantFrom(...rooms), nature }) },
  {
    weight: 10,
    arbitrary: fc.record({ kind: fc.constant('answer' as const), pick: fc.nat(9), absent: fc.nat(9).map((n) => n === 0) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(100, 400, 1_000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const), pick: fc.nat(9), ticks: fc.nat(15) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('pause', 'resume', 'resume', 'stop') }) },
)

/** One engine: when it is over, nothing of it reaches the disk any more and its plugin never answers. */
interface Life {
  store: Store
  clock: ManualClock
  consumer: Consumer
  out: { entry: LogEntry; attempt: number; end(error?: unknown): void }[]
  over: boolean
}

class World {
  readonly #db = new CoreDb({ file: ':memory:', roomsMax: 1 })
  readonly #natures = new Map<string, Nature>()
  readonly #wanted: { pos: number; roomId: string; nature: Nature }[] = []
  readonly #taken = new Map<string, number[]>()
  /** Taken or given up. What is done in a step is on disk when the step has settled, unless the step is a crash. */
  readonly #done = new Set<number>()
  #doneNow: number[] = []
  readonly #broken: unknown[] = []
  #appended = 0
  life!: Life

  async begin(): Promise<void> {
    const life = { clock: new ManualClock(), out: [], over: false } as Partial<Life> as Life
    const run = async (ops: readonly Op[]) => {
      if (life.over) throw new Error('over')
      return this.#db.batch(ops)
    }
    life.store = new QueuedStore({ up: true, restarts: 0, run, close: async () => {} }, {})
    life.consumer = new Consumer({
      key: 'p',
      store: life.store,
      clock: life.clock,
      wants: ({ row }) => this.#natures.get(row.eid) !== 'unwanted',
      deliver: (entry, attempt) => this.#receive(life, entry, attempt),
      startAt: 'beginning',
      limits,
      onError: (error) => {
        if (!life.over) this.#broken.push(error)
      },
    })
    this.life = life
    await life.consumer.start()
    await settle()
  }

  #receive(life: Life, entry: LogEntry, attempt: number): Promise<void> {
    const { pos, roomId } = entry
    if (life.over) return new Promise(() => {})
    this.#check(!this.#done.has(pos), `${pos} comes again after it was done`)
    this.#check(!life.out.some((other) => other.entry.roomId === roomId), `${pos} is not alone in its room`)
    this.#check(life.out.length < limits.inFlightMax, `${pos} is one too many`)
    const open = this.#wanted.filter((one) => one.pos > life.consumer.stats.pos && one.pos <= pos)
    this.#check(open.length <= limits.windowMax, `${pos} is beyond the window`)
    return new Promise((resolve, reject) => {
      const end = (error?: unknown) => {
        life.out = life.out.filter((other) => other.entry !== entry)
        if (!error) this.#take(roomId, pos)
        if (!error || (error !== unavailable && attempt === limits.attemptsMax)) this.#doneNow.push(pos)
        if (error) reject(error)
        else resolve()
      }
      life.out.push({ entry, attempt, end })
    })
  }

  #check(holds: boolean, otherwise: string): void {
    if (!holds) this.#broken.push(new Error(otherwise))
  }

  /** First arrivals alone count for the order; again after a crash is allowed. */
  #take(roomId: string, pos: number): void {
    const taken = this.#taken.get(roomId) ?? []
    this.#taken.set(roomId, taken)
    if (taken.includes(pos)) return
    this.#check(pos > (taken.at(-1) ?? 0), `${pos} comes after ${taken.at(-1)}`)
    taken.push(pos)
  }

  async step(step: Step): Promise<void> {
    await this.#act(step)
    if (step.kind !== 'crash') for (const pos of this.#doneNow) this.#done.add(pos)
    this.#doneNow = []
    expect(this.#broken).toEqual([])
  }

  async #act(step: Step): Promise<void> {
    const { life } = this
    switch (step.kind) {
      case 'append':
        return this.#append(step.room, step.nature)
      case 'answer':
        this.#answer(step.pick, step.absent)
        return settle()
      case 'wait':
        return life.clock.advanceAsync(step.ms)
      case 'pause':
        void life.consumer.pause()
        return settle()
      case 'resume':
        life.consumer.resume()
        return settle()
      case 'crash':
        this.#answer(step.pick, false)
        for (let i = 0; i < step.ticks; i++) await Promise.resolve()
        life.over = true
        return this.begin()
      case 'stop':
        return this.#stop()
    }
  }

  async #append(roomId: string, nature: Nature): Promise<void> {
    const seq = ++this.#appended
    const eid = `e${seq}`
    this.#natures.set(eid, nature)
    if (nature !== 'unwanted') this.#wanted.push({ pos: seq, roomId, nature })
    this.life.store.appendLog(roomId, [{ eid, t: 't', at: seq, actor: 'u', d: null, epoch: 1, seq }])
    await settle()
  }

  #answer(pick: number, absent: boolean): void {
    const { out } = this.life
    const delivery = out[pick % out.length]
    if (!delivery) return
    const fails = this.#natures.get(delivery.entry.row.eid) as number
    delivery.end(absent ? unavailable : delivery.attempt <= fails ? new Error('no') : undefined)
  }

  async #stop(): Promise<void> {
    const { life } = this
    const stopped = life.consumer.stop()
    while (life.out.length > 0) await this.step({ kind: 'answer', pick: 0, absent: false })
    await stopped
    life.over = true
    await this.begin()
  }

  async finish(): Promise<void> {
    const { consumer, clock, store } = this.life
    consumer.resume()
    for (let i = 0; consumer.stats.pos < this.#appended || clock.nextAt() !== undefined; i++) {
      if (i > 10_000) throw new Error(`stuck at ${consumer.stats.pos} of ${this.#appended}`)
      await this.step(this.life.out.length > 0 ? { kind: 'answer', pick: i, absent: false } : { kind: 'wait', ms: 1_000 })
    }
    expect(consumer.lag()).toBe(0)
    expect(consumer.stats.skipped).toBe(0)
    await consumer.stop()
    expect(await store.getCursor('p')).toEqual({ pos: this.#appended, acked: [] })
    const letters = await store.listDead({ afterId: 0, limit: 1_000 })
    const fatal = (one: { nature: Nature }) => one.nature === 9
    const inOrder = (positions: number[]) => positions.sort((a, b) => a - b)
    expect(inOrder(letters.map(({ entry }) => entry.pos))).toEqual(this.#wanted.filter(fatal).map(({ pos }) => pos))
    for (const room of rooms) {
      const due = this.#wanted.filter((one) => one.roomId === room && !fatal(one)).map(({ pos }) => pos)
      expect(this.#taken.get(room) ?? []).toEqual(due)
    }
    this.#db.close()
  }
}

test('every wanted event arrives or is a dead letter, in order per room, whatever fails', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 120, size: 'max' }), async (steps) => {
      const world = new World()
      await world.begin()
      for (const one of steps) await world.step(one)
      await world.finish()
    }),
    { numRuns: 300 },
  )
})
