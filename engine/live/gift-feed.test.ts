/** From the journal into the room: nothing is counted or shown twice, whatever is lost, and a start costs what is new. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { settle } from '../base/clock.ts'
import { overlaid, people, type Stage, useStages } from './fixtures/stage.ts'

const dayMs = 86_400_000
const staged = useStages()

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
  for (let n = 0; n < 50; n++) await stage.give(people[n % 4] as string)
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
  const ids = async (board: string, window?: string) =>
    (await stage.board(board, window === undefined ? {} : { window })).rows.map(({ member }) => member.id)
  expect([await ids('day'), await ids('week'), await ids('total')]).toEqual([['bob'], ['ann', 'bob'], ['ann', 'bob']])
  // Monday.
  stage.clock.advance(dayMs)
  expect((await stage.board('week')).window).toBe('2026-02-02')
  expect(await ids('week')).toEqual([])
  await stage.call('room.close', {}, 'owner')
  expect(await stage.board('live')).toEqual({ rows: [] })
  await stage.call('room.open', {}, 'owner')
  for (const _ of ['now', 'after a restart']) {
    expect(await stage.board('day', { window: '2026-01-31' })).toMatchObject({
      rows: [{ member: { id: 'ann' }, scoreCoin: '20' }],
      place: 1,
    })
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
  const ids = async (board: string, window?: string) =>
    (await stage.board(board, window === undefined ? {} : { window })).rows.map(({ member }) => member.id)
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
