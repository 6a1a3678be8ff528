/** Boards with more givers than are kept in memory: the same rows and places as the journal gives, whoever is looked up on disk for it. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { settle } from '../base/clock.ts'
import { overlaid, type Stage, useStages } from './fixtures/stage.ts'

const staged = useStages()
const crowd = Array.from({ length: 160 }, (_, n) => `fan${n}`)

interface Due {
  id: string
  coins: number
  at: number
}
/** Best first, from the journal. */
async function dueOf(stage: Stage): Promise<Due[]> {
  const sums = new Map<string, Due>()
  const rows = await stage.ledger.reads.roomJournalAfter('r', 0, 1_000)
  for (const { pos, event } of rows) {
    if (!event) continue
    const { from, valueCoin } = event.d as { from: { id: string }; valueCoin: number }
    sums.set(from.id, { id: from.id, coins: (sums.get(from.id)?.coins ?? 0) + valueCoin, at: pos })
  }
  return [...sums.values()].sort((a, b) => b.coins - a.coins || a.at - b.at)
}
async function expectExact(stage: Stage, askers: readonly string[]): Promise<void> {
  const due = await dueOf(stage)
  const rows = due.slice(0, 100).map(({ id, coins }) => [id, String(coins)])
  for (const board of ['live', 'day', 'week', 'total']) {
    const shown = await stage.board(board, { limit: 100 })
    expect(shown.rows.map(({ member, scoreCoin }) => [member.id, scoreCoin])).toEqual(rows)
    expect(shown.counting).toBeUndefined()
  }
  for (const as of askers) {
    const at = due.findIndex(({ id }) => id === as)
    const own = due[at]
    const { place, scoreCoin } = await stage.board('total', { as })
    expect([as, place, scoreCoin]).toEqual(own ? [as, at + 1, String(own.coins)] : [as, undefined, undefined])
  }
}

it('the first hundred and the place of everybody are exact at any time, over saves, crashes and restarts', async () => {
  const gift = fc.record({ n: fc.nat({ max: crowd.length - 1 }), count: fc.integer({ min: 1, max: 4 }) })
  const step = fc.oneof(
    { weight: 20, arbitrary: fc.array(gift, { minLength: 1, maxLength: 25 }) },
    { weight: 2, arbitrary: fc.constantFrom('crash' as const, 'stop' as const, 'save' as const) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 6 }), async (steps) => {
      const stage = await staged({ boardMembersMax: 100 })
      await stage.fund(crowd)
      // More than are kept, and many with the same coins.
      for (const user of crowd.slice(0, 130)) await stage.give(user)
      for (const one of [...steps, 'save' as const]) {
        if (one === 'crash') await stage.start()
        else if (one === 'stop') await stage.restart()
        else if (one === 'save') stage.clock.advance(10_000)
        else for (const { n, count } of one) await stage.give(crowd[n] as string, count)
        await settle()
        await expectExact(stage, ['fan0', 'fan129', 'fan140', 'fan159', 'nobody'])
      }
    }),
    { numRuns: 4 },
  )
}, 60_000)

it('what changes among the first ten is told, though its giver was not in memory', async () => {
  const stage = await staged({ boardMembersMax: 100 })
  await stage.fund(crowd)
  for (const user of crowd.slice(0, 100)) await stage.give(user)
  expect(stage.meters.boardLookups).toBe(0)
  for (const user of crowd.slice(100)) await stage.give(user)
  stage.clock.advance(10_000)
  await settle()
  await stage.give('fan150', 50)
  stage.clock.advance(2_000)
  await settle()
  stage.clock.advance(100)
  const told = stage.events.filter(({ t, d }) => t === 'rank.changed' && (d as { board: string }).board === 'total')
  expect(told.at(-1)?.d).toMatchObject({
    rows: expect.arrayContaining([{ member: { id: 'fan150', name: 'FAN150' }, scoreCoin: '510' }]),
  })
})

it('while the disk cannot be asked for them the board says that it is being counted', async () => {
  const stage = await staged({ boardMembersMax: 100 })
  await stage.fund(crowd)
  for (const user of crowd.slice(0, 130)) await stage.give(user)
  const { boards } = stage.store
  let fails = true
  const of: typeof boards.of = (...asked) => (fails ? Promise.reject(new Error('lost on purpose')) : boards.of(...asked))
  await stage.restart()
  await stage.start(overlaid(stage.store, { boards: overlaid(boards, { of }) }))
  await stage.give('fan120', 50)
  expect((await stage.board('total')).counting).toBe(true)
  fails = false
  expect(await stage.board('total', { as: 'fan120' })).toMatchObject({ place: 1, scoreCoin: '510' })
  await expectExact(stage, ['fan120', 'fan129'])
})

it('a long journal that is counted anew keeps nobody waiting: after a second there is what has been counted', async () => {
  const stage = await staged()
  for (let n = 0; n < 450; n++) await stage.give('bob')
  stage.homes.stop()
  await settle()
  await stage.store.boards.drop('r')
  let release = () => {}
  let pages = 0
  stage.onPage = () => (++pages === 3 ? new Promise<void>((resolve) => (release = resolve)) : undefined)
  await stage.start()
  let answered = false
  const asked = stage.board('total').finally(() => (answered = true))
  for (let n = 0; n < 20; n++) await settle()
  expect([pages, answered]).toEqual([3, false])
  stage.clock.advance(1_000)
  expect(await asked).toMatchObject({ rows: [{ scoreCoin: '4000' }], counting: true })
  // Nobody is told of a board that is not whole.
  const told = () => stage.events.filter(({ t }) => t === 'rank.changed').length
  const before = told()
  for (let n = 0; n < 5; n++) stage.clock.advance(2_000)
  expect(told()).toBe(before)
  release()
  for (let n = 0; n < 20; n++) await settle()
  stage.clock.advance(2_000)
  stage.clock.advance(100)
  expect(told()).toBeGreaterThan(before)
  expect(await stage.board('total')).toEqual({ rows: [{ member: { id: 'bob', name: 'BOB' }, scoreCoin: '4500' }] })
})
