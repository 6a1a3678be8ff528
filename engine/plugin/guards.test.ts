import { expect, test } from 'vitest'
import { ManualClock, settle } from '../base/clock.ts'
import { type Guard, Guards, type Verdict } from './guards.ts'

const request = { room: 'demo', on: 'danmaku.send', actor: { userId: 'ann', name: 'Ann', anonymous: false, scope: [] }, d: {} }
const guard = (check: Guard['check'], over: Partial<Guard> = {}): Guard => ({
  name: 'test',
  on: 'danmaku.send',
  order: 1,
  onFailure: 'open',
  budgetMs: 50,
  check,
  ...over,
})

function setup(...guards: Guard[]) {
  const clock = new ManualClock()
  const failed: string[] = []
  const all = new Guards(clock, ({ name }) => failed.push(name))
  for (const one of guards) all.add(one)
  return { clock, failed, all }
}

test('verdicts at once come without a promise; deny outweighs shadow outweighs allow, the first deny by order wins', () => {
  const { all } = setup(
    guard(() => ({ kind: 'deny', code: 'chat.disabled' }), { order: 9 }),
    guard(() => ({ kind: 'deny', code: 'content.rejected' }), { order: 2 }),
    guard(() => ({ kind: 'shadow' })),
  )
  expect(all.ask(request)).toEqual({ kind: 'deny', code: 'content.rejected' })
  expect(
    setup(
      guard(() => ({ kind: 'shadow' })),
      guard(() => ({ kind: 'allow' })),
    ).all.ask(request),
  ).toEqual({ kind: 'shadow' })
  expect(setup().all.ask(request)).toEqual({ kind: 'allow' })
})

test.each([
  ['open', 'allow'],
  ['closed', 'deny'],
] as const)('a guard that hangs costs its budget and then counts as failed: %s is %s', async (onFailure, kind) => {
  const { all, clock, failed } = setup(guard(() => new Promise<Verdict>(() => {}), { onFailure }))
  let verdict: Verdict | undefined
  void Promise.resolve(all.ask(request)).then((late) => {
    verdict = late
  })
  await clock.advanceAsync(49)
  expect(verdict).toBeUndefined()
  await clock.advanceAsync(1)
  expect(verdict?.kind).toBe(kind)
  expect(failed).toEqual(['test'])
})

test('a promise in time is taken, one that rejects or a guard that throws counts as failed', async () => {
  const { all, clock, failed } = setup(guard(async () => ({ kind: 'shadow' })))
  expect(await all.ask(request)).toEqual({ kind: 'shadow' })
  expect(clock.nextAt()).toBeUndefined()
  all.add(guard(() => Promise.reject(new Error('no')), { name: 'rejects', onFailure: 'closed' }))
  expect(await all.ask(request)).toMatchObject({ kind: 'deny' })
  all.add(
    guard(
      () => {
        throw new Error('no')
      },
      { name: 'throws' },
    ),
  )
  await all.ask(request)
  await settle()
  expect(failed).toEqual(['rejects', 'throws', 'rejects'])
})
