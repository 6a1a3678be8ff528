/** From the journal into the room: nothing is counted or shown twice, whatever is lost, and a start costs what is new. */
import fc from 'fast-check'
import { afterEach, expect, it } from 'vitest'
import { LocalBus } from '../base/bus.ts'
import { type Clock, ManualClock, settle } from '../base/clock.ts'
import { idSource, seededRandom } from '../base/random.ts'
import { type Config, configFrom } from '../config.ts'
import { type OpenLedger, openLedgerInline } from '../ledger/open.ts'
import type { JournalRow } from '../ledger/ops.ts'
import type { Writer } from '../ledger/queue.ts'
import { inMemory } from '../ledger/sqlite-ledger.ts'
import { Guards } from '../plugin/guards.ts'
import { Transforms } from '../plugin/transforms.ts'
import { DeliveryAccounts } from '../room/account.ts'
import { noPluginCommands } from '../room/commands.ts'
import type { RoomEvent } from '../room/event.ts'
import { newMeters } from '../room/home.ts'
import { Homes } from '../room/homes.ts'
import { Scheduler } from '../room/scheduler.ts'
import { openStoreInline, type Store } from '../room/store.ts'
import type { Billing } from './billing.ts'

const dayMs = 86_400_000
const people = ['ann', 'bob', 'cat', 'dan'] as const
type Giver = (typeof people)[number]
const actor = (userId: string) => ({ userId, name: userId.toUpperCase(), anonymous: false, scope: ['streamer'] })

/** Rooms with a store and a ledger of their own; the homes can die and come back. */
class Stage {
  readonly clock = new ManualClock(Date.parse('2026-01-28T12:00:00Z'))
  readonly config: Config
  readonly store: Store
  readonly ledger: OpenLedger
  readonly events: RoomEvent[] = []
  readonly faults: string[] = []
  meters = newMeters()
  /** Rows of the journal that were read. */
  rowsRead = 0
  /** What becomes of the next sends: posted with their answer lost, or not reached at all. */
  losing: 'answer' | 'op' | undefined
  failsToRead = 0
  /** The ledger takes nothing. */
  isClosed = false
  settledAsks = 0
  /** While it is set the writer of the ledger takes its time. */
  atWriter: Promise<void> | undefined
  /** How far the clock of the homes is off. */
  stepMs = 0
  #homes: Homes | undefined
  #scheduler: Scheduler | undefined
  #keys = 0
  #life = { isOver: false }
  readonly #newId = idSource(seededRandom(7))

  constructor(options: Partial<Config> = {}) {
    this.config = configFrom({ giftsPerUserPerSMax: 1_000, ...options })
    this.store = openStoreInline({ file: ':memory:', roomsMax: 10 })
    const slow = (writer: Writer): Writer => ({
      run: async (ops) => {
        await this.atWriter
        return writer.run(ops)
      },
      reopen: () => writer.reopen(),
      close: () => writer.close(),
    })
    this.ledger = openLedgerInline({ file: inMemory, clock: this.clock, through: slow })
  }

  get homes(): Homes {
    if (!this.#homes) throw new Error('no homes')
    return this.#homes
  }

  #billing(life: { isOver: boolean }): Billing {
    const never = new Promise<never>(() => {})
    return {
      charge: async (_, { from, d }) => ({
        kind: 'post',
        template: {
          valueCoin: 10 * (d['count'] as number),
          payFrom: [`user.${from.userId}.coin.bonus`, `user.${from.userId}.coin.paid`],
          split: [{ to: `streamer:${d['to']}`, bps: 5_000 }],
          contractVersion: 'c1',
          catalogVersion: '1',
          show: { name: 'Rose', unitCoin: 10, effectId: '', comboable: true, comboTimeoutMs: 3_000 },
        },
      }),
      submit: async (op) => {
        const { losing } = this
        if (this.isClosed) throw new Error('closed on purpose')
        if (losing === 'op') throw new Error('lost on purpose')
        const result = await this.ledger.submit(op)
        if (losing === 'answer') throw new Error('lost on purpose')
        return life.isOver ? never : result
      },
      settled: async () => {
        this.settledAsks++
        if (this.isClosed) throw new Error('closed on purpose')
        const result = await this.ledger.submit({ op: 'expire', at: 0, limit: 1 })
        return result.ok ? result.pos : Number.NaN
      },
      roomRows: async (roomId, pos, limit) => {
        if (this.failsToRead > 0 && this.failsToRead-- > 0) throw new Error('lost on purpose')
        const rows = await this.ledger.reads.roomJournalAfter(roomId, pos, limit)
        this.rowsRead += rows.length
        return rows
      },
      rowByKey: (actor, command, ik) => this.ledger.reads.byKey(actor, command, ik),
      wallet: async () => ({ paid: 0n, bonus: 0n, bean: 0n }),
    }
  }

  async start(store: Store = this.store): Promise<void> {
    const onError = (error: unknown) => void this.faults.push(String(error))
    const { config, stepMs } = this
    const clock: Clock = { now: () => this.clock.now() + stepMs, after: (ms, fn) => this.clock.after(ms, fn) }
    this.rowsRead = 0
    this.meters = newMeters()
    // Homes that died do nothing any more, and hear nothing.
    this.#life.isOver = true
    this.#life = { isOver: false }
    this.#scheduler?.stop()
    this.#scheduler = new Scheduler(clock, onError)
    this.#homes = new Homes({
      ...{ clock, config, onError, store, newId: this.#newId, meters: this.meters },
      bus: new LocalBus(clock, onError),
      scheduler: this.#scheduler,
      accounts: new DeliveryAccounts(),
      guards: new Guards(onError),
      transforms: new Transforms(onError),
      plugins: noPluginCommands,
      billing: this.#billing(this.#life),
      onCommitted: (_, events) => void this.events.push(...events),
    })
    await this.#homes.start()
  }

  /** In order. */
  async restart(): Promise<void> {
    this.homes.stop()
    await settle()
    await this.start()
  }

  async call(t: string, d: object, userId: string, ik?: string): Promise<{ ok: boolean; d?: unknown; err?: { code: string } }> {
    const answer = this.homes.call('r', { t, d, actor: actor(userId), ik })
    // A tick later it is committed.
    await settle()
    this.clock.advance(this.config.tickMsMax)
    return answer
  }

  async open(): Promise<void> {
    const made = this.homes.call(undefined, { t: 'room.create', d: { roomId: 'r', title: 'r' }, actor: actor('owner') })
    expect((await made).ok).toBe(true)
    expect((await this.call('room.open', {}, 'owner')).ok).toBe(true)
    for (const user of people) {
      const transfers = [{ dr: 'coin.issued', cr: `user.${user}.coin.paid`, amount: 1_000_000n }]
      const origin = { actor: 'test', command: 'fund' }
      await this.ledger.submit({ op: 'post', txId: `fund-${user}`, at: 1, action: 'adjust', origin, transfers })
    }
  }

  give(user: Giver, count = 1, ik = `key-${++this.#keys}`) {
    return this.call('gift.send', { giftId: 'rose', count }, user, ik)
  }

  async board(board: string, window?: string) {
    const { d } = await this.call('rank.get', { board, ...(window === undefined ? {} : { window }) }, 'ann')
    return d as { rows: { member: { id: string; name: string }; scoreCoin: string }[]; place?: number; window?: string }
  }

  async boards() {
    return Promise.all(['live', 'day', 'week', 'total'].map(async (board) => (await this.board(board)).rows))
  }

  shown(): string[] {
    return this.events.filter(({ t }) => t === 'gift.sent').map(({ eid }) => eid)
  }

  /** Whatever goes to the ledger stays there until the answer is called. */
  holdWriter(): () => void {
    let release = () => {}
    this.atWriter = new Promise((resolve) => (release = resolve))
    return () => {
      this.atWriter = undefined
      release()
    }
  }

  async rows(): Promise<JournalRow[]> {
    return this.ledger.reads.roomJournalAfter('r', 0, 1_000)
  }
}

/** `under`, but for what `over` has. */
function overlaid<T extends object>(under: T, over: Partial<T>): T {
  const get = (_: T, key: string | symbol): unknown => {
    const own = over[key as keyof T]
    const value = own ?? under[key as keyof T]
    return typeof value === 'function' && !own ? value.bind(under) : value
  }
  return new Proxy(under, { get })
}

let stages: Stage[] = []
afterEach(async () => {
  for (const { homes, ledger, store, faults } of stages) {
    expect(faults.filter((fault) => !fault.includes('on purpose'))).toEqual([])
    homes.stop()
    await ledger.close()
    await store.close()
  }
  stages = []
})
async function staged(options: Partial<Config> = {}): Promise<Stage> {
  const stage = new Stage(options)
  stages.push(stage)
  await stage.start()
  await stage.open()
  return stage
}

it('an answer that was lost: the gift is shown and counted once, as replayed, and the key tells what became of it', async () => {
  const stage = await staged()
  await stage.give('ann')
  stage.losing = 'answer'
  expect((await stage.give('bob', 2, 'lost')).err?.code).toBe('billing.unavailable')
  stage.losing = undefined
  await stage.give('cat')
  const again = await stage.give('bob', 2, 'lost')
  const rows = await stage.rows()
  expect(again).toMatchObject({ ok: true, replayed: true, d: { txId: rows[1]?.txId } })
  expect(stage.shown()).toEqual(rows.map(({ txId }) => txId))
  expect(stage.events.filter(({ t }) => t === 'gift.sent').map(({ d }) => (d as { replayed?: true }).replayed)).toEqual([
    undefined,
    true,
    undefined,
  ])
  const [total] = (await stage.boards()).slice(-1)
  expect(total?.map(({ member, scoreCoin }) => [member.id, scoreCoin])).toEqual([
    ['bob', '20'],
    ['ann', '10'],
    ['cat', '10'],
  ])
  expect(stage.meters.gifts).toEqual({ limited: 0, busy: 0, unanswered: 1 })
  // What never arrived leaves no trace, and the same key gives it for the first time.
  stage.losing = 'op'
  expect((await stage.give('dan', 1, 'unheard')).err?.code).toBe('billing.unavailable')
  stage.losing = undefined
  expect(await stage.give('dan', 1, 'unheard')).toMatchObject({ ok: true, d: { txId: (await stage.rows())[3]?.txId } })
  expect(stage.shown()).toHaveLength(4)
})

it('a crash with the boards on disk and the log not: shown again as replayed, counted once', async () => {
  const stage = await staged()
  await stage.give('ann')
  await stage.start(overlaid(stage.store, { appendLog: () => {} }))
  await stage.give('bob', 2)
  stage.clock.advance(10_000)
  await settle()
  expect((await stage.store.boards.head('r'))?.coin).toBe(30n)
  const before = await stage.boards()
  await stage.start()
  expect(await stage.boards()).toEqual(before)
  stage.clock.advance(100)
  const [, , again] = stage.events.filter(({ t }) => t === 'gift.sent')
  expect(again).toMatchObject({ eid: (await stage.rows())[1]?.txId, d: { replayed: true, valueCoin: 20 } })
})

const replayed = (stage: Stage) =>
  stage.events.filter(({ t }) => t === 'gift.sent').map(({ d }) => (d as { replayed?: true }).replayed === true)

it.each([
  ['nothing later is given', []],
  ['another is given, in the same commit', ['cat'] as const],
  ['more than one', ['cat', 'dan', 'cat'] as const],
])('a home that starts while a gift of the one before is at the ledger shows it, in its place; %s', async (_, later) => {
  const stage = await staged()
  await stage.give('ann')
  const release = stage.holdWriter()
  void stage.give('bob', 2)
  await settle()
  // The home that asked is gone: nobody there hears the answer.
  await stage.start()
  expect((await stage.board('total')).rows.map(({ member }) => member.id)).toEqual(['ann'])
  const given = later.map((user) => stage.give(user))
  await settle()
  release()
  expect((await Promise.all(given)).every(({ ok }) => ok)).toBe(true)
  await settle()
  stage.clock.advance(stage.config.tickMsMax)
  expect(stage.shown()).toEqual((await stage.rows()).map(({ txId }) => txId))
  expect(replayed(stage)).toEqual([false, true, ...later.map(() => false)])
  const before = await stage.boards()
  expect(before[3]?.[0]).toMatchObject({ scoreCoin: '20' })
  await stage.store.boards.drop('r')
  await stage.start()
  expect(await stage.boards()).toEqual(before)
})

it('a ledger that is closed meanwhile is asked again, and what comes out of it late is shown before the next gift', async () => {
  const stage = await staged()
  await stage.give('ann')
  const release = stage.holdWriter()
  void stage.give('bob', 2)
  await settle()
  stage.isClosed = true
  await stage.start()
  expect((await stage.give('cat')).err?.code).toBe('billing.unavailable')
  stage.isClosed = false
  const given = stage.give('cat')
  await settle()
  release()
  expect((await given).ok).toBe(true)
  stage.clock.advance(stage.config.tickMsMax)
  expect(stage.shown()).toEqual((await stage.rows()).map(({ txId }) => txId))
  expect(replayed(stage)).toEqual([false, true, false])
  // And when nobody gives anything it is asked all the same.
  stage.isClosed = true
  await stage.start()
  await stage.board('total')
  const { settledAsks } = stage
  stage.isClosed = false
  stage.clock.advance(1_000)
  await settle()
  expect(stage.settledAsks).toBe(settledAsks + 1)
  stage.clock.advance(60_000)
  expect(stage.settledAsks).toBe(settledAsks + 1)
})

it('a look at the journal that fails is repeated, and gifts wait for it', async () => {
  const stage = await staged()
  for (let n = 0; n < 5; n++) await stage.give('ann')
  await stage.restart()
  stage.failsToRead = 3
  const given = stage.give('bob')
  for (let n = 0; n < 8; n++) {
    await settle()
    stage.clock.advance(500)
  }
  expect(await given).toMatchObject({ ok: true })
  expect((await stage.board('total')).rows.map(({ scoreCoin }) => scoreCoin)).toEqual(['50', '10'])
  expect(stage.faults.filter((fault) => fault.includes('on purpose'))).toHaveLength(3)
})

it('a start reads what is new since the boards were saved', async () => {
  const stage = await staged()
  for (let n = 0; n < 50; n++) await stage.give(people[n % 4] as Giver)
  const before = await stage.boards()
  await stage.restart()
  expect(await stage.boards()).toEqual(before)
  // The row at which they end is looked at, nothing else.
  expect(stage.rowsRead).toBe(1)
  await stage.give('ann', 3)
  stage.clock.advance(10_000)
  await settle()
  // As a crash: nobody says goodbye.
  await stage.start()
  expect((await stage.boards()).map((rows) => rows[0]?.scoreCoin)).toEqual(['160', '160', '160', '160'])
  expect(stage.rowsRead).toBe(1)
})

it('a save of the boards that fails, or whose answer is lost, happens once', async () => {
  const stage = await staged()
  const { boards } = stage.store
  const outcomes = ['answer', 'op', 'op', 'answer'] as const
  let tries = 0
  const save: typeof boards.save = async (...asked) => {
    const outcome = outcomes[tries++]
    const saved = outcome === 'op' ? false : await boards.save(...asked)
    if (outcome) throw new Error('lost on purpose')
    return saved
  }
  const unreliable = overlaid(boards, { save })
  await stage.start(overlaid(stage.store, { boards: unreliable }))
  for (let n = 0; n < 6; n++) {
    await stage.give('ann')
    await stage.give('bob')
    stage.clock.advance(10_000)
    await settle()
  }
  expect(tries).toBeGreaterThan(outcomes.length)
  const before = await stage.boards()
  await stage.start()
  expect(await stage.boards()).toEqual(before)
  expect(stage.rowsRead).toBe(1)
  expect((await stage.store.boards.head('r'))?.coin).toBe(120n)
})

it('what does not fit is thrown away, and counted anew to the same boards', async () => {
  const stage = await staged()
  for (const user of ['ann', 'bob', 'cat', 'bob', 'dan'] as const) await stage.give(user)
  const before = await stage.boards()
  const kept = async () => (await stage.store.boards.head('r')) ?? { form: '', pos: 0, txId: '', coin: 0n }
  await stage.restart()
  await stage.boards()
  const head = await kept()
  expect(head).toMatchObject({ pos: (await stage.rows()).at(-1)?.pos, coin: 50n })
  const spoilt = [
    { ...head, form: 'another' },
    { ...head, txId: 'of another ledger' },
    { ...head, coin: 51n },
    { ...head, pos: head.pos + 100 },
  ]
  for (const other of spoilt) {
    const extra = { board: 'total', win: '', member: 'eve', name: 'Eve', coin: other.coin === 51n ? 0n : 7n, reached: 1, at: 1 }
    const wrong = { ...other, coin: other.coin + (other.coin === 51n ? 0n : 7n) }
    expect(await stage.store.boards.save('r', head.pos, wrong, [extra])).toBe(true)
    await stage.start()
    expect(await stage.boards()).toEqual(before)
    stage.clock.advance(10_000)
    await settle()
    expect(await kept()).toEqual(head)
  }
})

it('of two with the same coins the earlier is higher, after any number of restarts, saves and lost answers too', async () => {
  const step = fc.oneof(
    { weight: 12, arbitrary: fc.record({ user: fc.constantFrom(...people), count: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 2, arbitrary: fc.constant('crash' as const) },
    { weight: 1, arbitrary: fc.constant('stop' as const) },
    { weight: 2, arbitrary: fc.constant('save' as const) },
    { weight: 1, arbitrary: fc.constant('lose' as const) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const stage = await staged()
      const plain = new Map<string, { score: number; order: number }>()
      for (const [order, one] of steps.entries()) {
        stage.losing = undefined
        if (one === 'crash') await stage.start()
        else if (one === 'stop') await stage.restart()
        else if (one === 'lose') stage.losing = 'answer'
        else if (one === 'save') {
          stage.clock.advance(10_000)
          await settle()
        } else {
          await stage.give(one.user, one.count)
          plain.set(one.user, { score: (plain.get(one.user)?.score ?? 0) + one.count * 10, order })
        }
      }
      const expected = [...plain].sort(([, a], [, b]) => b.score - a.score || a.order - b.order)
      const wanted = expected.map(([id, { score }]) => ({ member: { id, name: id.toUpperCase() }, scoreCoin: String(score) }))
      expect(await stage.boards()).toEqual([wanted, wanted, wanted, wanted])
      await stage.store.boards.drop('r')
      await stage.start()
      expect(await stage.boards()).toEqual([wanted, wanted, wanted, wanted])
      const rows = await stage.rows()
      expect([...new Set(stage.shown())].sort()).toEqual(rows.map(({ txId }) => txId).sort())
    }),
    { numRuns: 30 },
  )
})

it('a window that is over stays as it was; days and weeks turn at midnight of the platform', async () => {
  const stage = await staged({ boardOffsetMinutes: 480 })
  const { liveId } = stage.homes.find('r')?.info ?? {}
  // Saturday 23:59:59 at +08:00, and a second later.
  stage.clock.advance(Date.parse('2026-01-31T15:59:59Z') - stage.clock.now())
  await stage.give('ann', 2)
  expect((await stage.board('day')).window).toBe('2026-01-31')
  expect((await stage.board('week')).window).toBe('2026-01-26')
  stage.clock.advance(1_000)
  expect(await stage.board('day')).toEqual({ rows: [], window: '2026-02-01' })
  await stage.give('bob', 1)
  const ids = async (board: string, window?: string) => (await stage.board(board, window)).rows.map(({ member }) => member.id)
  expect([await ids('day'), await ids('week'), await ids('total')]).toEqual([['bob'], ['ann', 'bob'], ['ann', 'bob']])
  // Monday.
  stage.clock.advance(dayMs)
  expect((await stage.board('week')).window).toBe('2026-02-02')
  expect(await ids('week')).toEqual([])
  await stage.call('room.close', {}, 'owner')
  expect(await stage.board('live')).toEqual({ rows: [] })
  await stage.call('room.open', {}, 'owner')
  for (const _ of ['now', 'after a restart']) {
    expect(await stage.board('day', '2026-01-31')).toMatchObject({ rows: [{ member: { id: 'ann' }, scoreCoin: '20' }], place: 1 })
    expect(await ids('day', '2026-02-01')).toEqual(['bob'])
    expect(await ids('week', '2026-01-26')).toEqual(['ann', 'bob'])
    expect(await ids('live', liveId)).toEqual(['ann', 'bob'])
    expect(await ids('live', 'no-such-live')).toEqual([])
    await stage.restart()
  }
  expect((await stage.call('rank.get', { board: 'total', window: 'x' }, 'ann')).err?.code).toBe('request.invalid')
  // Long after, only the sum of all is left.
  stage.clock.advance(500 * dayMs)
  await stage.give('cat')
  stage.clock.advance(10_000)
  await settle()
  await stage.restart()
  expect(await ids('day', '2026-01-31')).toEqual([])
  expect(await ids('total')).toEqual(['ann', 'bob', 'cat'])
})

it('a clock that went back over midnight: the day that begins again has the gifts of before, and so has its end', async () => {
  const stage = await staged()
  const ids = async (board: string, window?: string) => (await stage.board(board, window)).rows.map(({ member }) => member.id)
  // Saturday; a day later, and back.
  stage.clock.advance(3 * dayMs)
  stage.stepMs = dayMs
  await stage.start()
  await stage.give('ann', 2)
  expect([await ids('day'), await ids('week')]).toEqual([['ann'], ['ann']])
  for (const isSaved of [true, false]) {
    if (isSaved) await stage.restart()
    stage.stepMs = 0
    await stage.start()
    expect((await stage.board('day')).window).toBe('2026-01-31')
    expect(await ids('day')).not.toContain('ann')
    await stage.give('bob', 1)
    expect(await ids('day')).toEqual(['bob'])
    expect(await ids('day', '2026-02-01')).toEqual(['ann'])
    stage.stepMs = dayMs
    await stage.start()
    expect(await ids('day')).toEqual(['ann'])
  }
  stage.stepMs = 0
  await stage.start()
  expect(await ids('day')).toEqual(['bob'])
  // The gift is the first thing that happens on that day.
  stage.clock.advance(dayMs / 2)
  expect((await stage.give('cat', 1)).ok).toBe(true)
  expect(await ids('day')).toEqual(['ann', 'cat'])
  expect(await ids('total')).toEqual(['ann', 'bob', 'cat'])
  const before = await stage.boards()
  stage.clock.advance(10_000)
  await settle()
  await stage.start()
  expect(await stage.boards()).toEqual(before)
  expect(stage.rowsRead).toBe(1)
  // Monday: nothing is loaded any more.
  stage.clock.advance(dayMs)
  expect(await ids('day')).toEqual([])
  expect(await ids('day', '2026-02-01')).toEqual(['ann', 'cat'])
  expect(await ids('day', '2026-01-31')).toEqual(['bob'])
  expect(stage.rowsRead).toBe(1)
})

it('the combo of a gift from a clock that was ahead does not last until then', async () => {
  const stage = await staged()
  stage.stepMs = dayMs
  await stage.start()
  // Shown by a home that does not write it down.
  await stage.start(overlaid(stage.store, { appendLog: () => {} }))
  await stage.give('ann')
  stage.stepMs = 0
  await stage.start()
  await stage.board('total')
  stage.clock.advance(5_000)
  stage.clock.advance(100)
  expect(stage.events.at(-1)).toMatchObject({ t: 'gift.combo_ended', d: { comboCount: 1, totalCoin: 10 } })
})

it('a board is told when its first ten change, at most every 2 s', async () => {
  const stage = await staged()
  const told = () => stage.events.filter(({ t, d }) => t === 'rank.changed' && (d as { board: string }).board === 'total').length
  await stage.give('ann')
  await stage.give('bob')
  for (let n = 0; n < 15; n++) await stage.give('ann')
  expect(told()).toBe(1)
  stage.clock.advance(2_000)
  stage.clock.advance(100)
  expect(told()).toBe(2)
  stage.clock.advance(60_000)
  expect(told()).toBe(2)
})

it('past the bound of gifts under way nothing is asked; the rate of a user is its own', async () => {
  const stage = await staged({ giftsPerUserPerSMax: 1 })
  expect((await stage.give('ann')).ok).toBe(true)
  expect((await stage.give('ann')).err?.code).toBe('rate.limited')
  expect((await stage.give('bob')).ok).toBe(true)
  expect(stage.meters.gifts).toMatchObject({ limited: 1, busy: 0 })
})

it('the receiver has the name that the room knows, after a restart too', async () => {
  const stage = await staged()
  await stage.restart()
  await stage.give('ann')
  expect(stage.events.find(({ t }) => t === 'gift.sent')).toHaveProperty('d.to', { id: 'owner', name: 'OWNER' })
})
