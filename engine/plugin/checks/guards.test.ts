import { describe, expect, test } from 'vitest'
import { allow, deny, shadow } from '../hooks.ts'
import { CheckFailure } from '../places/link.ts'
import { type BoundGuard, Guards, type Ruling, refusalOfVerdict, unavailableCode } from './guards.ts'
import { HookMeters } from './meters.ts'

const ask = { room: 'demo', at: 7, from: { userId: 'ann', name: 'Ann', anonymous: false, ranks: [] }, d: { text: 'hi' } }

const guard = (check: BoundGuard['check'], over: Partial<BoundGuard> = {}): BoundGuard => ({
  plugin: 'test',
  order: 1,
  onFailure: 'open',
  meters: new HookMeters({ kind: 'guard', on: 'danmaku.send' }),
  check,
  ...over,
})

function setup(...guards: BoundGuard[]) {
  const failed: string[] = []
  const all = new Guards(({ plugin }, on) => failed.push(`${plugin} ${on}`))
  all.set('danmaku.send', guards)
  return { failed, all, rule: () => all.ask('danmaku.send', ask) }
}
const verdictOf = (...guards: BoundGuard[]) => (setup(...guards).rule() as Ruling).verdict

describe('weighing', () => {
  const kinds = {
    allow: guard(() => allow),
    shadow: guard(() => shadow),
    challenge: guard(() => ({ kind: 'challenge', challenge: 'captcha' })),
    hold: guard(() => ({ kind: 'hold', caseId: 'c1', ttlMs: 1_000 })),
    deny: guard(() => deny('content.rejected')),
  }
  const byWeight = Object.entries(kinds)

  test.each(byWeight.slice(1))('%s outweighs what is lighter, whichever comes first', (kind, heavier) => {
    const lighter = byWeight.slice(0, Object.keys(kinds).indexOf(kind)).map(([, one]) => one)
    for (const one of lighter) {
      expect(verdictOf(one, heavier).kind).toBe(kind)
      expect(verdictOf(heavier, one).kind).toBe(kind)
    }
    expect(verdictOf(...lighter, heavier).kind).toBe(kind)
  })

  test('of two denials the lower order counts, and of one order the first name', () => {
    const late = guard(() => deny('chat.disabled'), { order: 9 })
    const early = guard(() => deny('content.rejected', 'no'), { order: 2 })
    expect(verdictOf(late, early)).toEqual({ kind: 'deny', code: 'content.rejected', msg: 'no' })
    const b = guard(() => deny('chat.disabled'), { plugin: 'b' })
    const a = guard(() => deny('chat.muted'), { plugin: 'a' })
    expect(verdictOf(b, a)).toMatchObject({ code: 'chat.muted' })
  })

  test('nobody guards: allowed', () => {
    const { all } = setup()
    expect(all.has('danmaku.send')).toBe(false)
    expect(all.ask('danmaku.send', ask)).toEqual({ verdict: allow, unchecked: [] })
  })

  test('an empty list takes the guards of a command away, the others stay', () => {
    const { all, rule } = setup(guard(() => deny('chat.disabled')))
    all.set('wall.show', [guard(() => deny('wall.empty'))])
    all.set('danmaku.send', [])
    expect(rule()).toEqual({ verdict: allow, unchecked: [] })
    expect([...all.commands()]).toEqual(['wall.show'])
  })
})

describe('at once, or later', () => {
  test('verdicts at once come without a promise', () => {
    expect(setup(guard(() => allow)).rule()).not.toBeInstanceOf(Promise)
    expect(
      setup(
        guard(() => allow),
        guard(() => shadow),
      ).rule(),
    ).not.toBeInstanceOf(Promise)
  })

  test('one that takes its time makes all of them late, and each is still asked once', async () => {
    let asked = 0
    const count = () => {
      asked++
      return allow
    }
    const ruling = setup(
      guard(count),
      guard(async () => count() && shadow),
    ).rule()
    expect(ruling).toBeInstanceOf(Promise)
    expect((await ruling).verdict).toEqual(shadow)
    expect(asked).toBe(2)
  })
})

describe('a guard that cannot be asked', () => {
  const failures: [string, BoundGuard['check']][] = [
    [
      'throws',
      () => {
        throw new Error('broken')
      },
    ],
    ['rejects', () => Promise.reject(new Error('broken'))],
    ['is late', () => Promise.reject(new CheckFailure('late', 'late'))],
    ['answers rubbish', () => ({ kind: 'perhaps' })],
    ['answers nothing', () => undefined],
  ]

  test.each(failures)('that %s counts as its policy: open is tagged, closed is refused', async (_, check) => {
    const open = setup(
      guard(check, { plugin: 'filter' }),
      guard(() => allow),
    )
    expect(await open.rule()).toEqual({ verdict: allow, unchecked: ['filter'] })
    expect(open.failed).toEqual(['filter danmaku.send'])
    const closed = setup(guard(check, { onFailure: 'closed' }))
    expect(await closed.rule()).toEqual({ verdict: { kind: 'deny', code: 'danmaku.unavailable' }, unchecked: [] })
  })

  test('stays tagged under a shadow by another', async () => {
    const broken = guard(() => Promise.reject(new Error('no')), { plugin: 'filter' })
    expect(
      await setup(
        broken,
        guard(() => shadow),
      ).rule(),
    ).toEqual({ verdict: shadow, unchecked: ['filter'] })
  })

  test('is counted by what went wrong, and verdicts by kind', async () => {
    const check = guard(() => Promise.reject(new CheckFailure('late', 'late')))
    await setup(check).rule()
    expect(check.meters).toMatchObject({ calls: 1, timeouts: 1, failures: 0, policy: 1 })
    const fine = guard(() => shadow)
    setup(fine).rule()
    expect(fine.meters).toMatchObject({ calls: 1, shadow: 1, policy: 0 })
  })
})

describe('answers are made anew', () => {
  test.each<[string, unknown]>([
    ['a code of another plugin', { kind: 'deny', code: 'x.other.no' }],
    ['no code', { kind: 'deny' }],
    ['a code of nobody', { kind: 'deny', code: 'x.test.' }],
    ['a message that is none', { kind: 'deny', code: 'chat.disabled', msg: 7 }],
    ['a case that is no id', { kind: 'hold', caseId: 'a b', ttlMs: 5 }],
    ['a challenge that is no word', { kind: 'challenge', challenge: '<b>' }],
    ['a list', [{ kind: 'deny', code: 'chat.disabled' }]],
    ['a text', 'deny'],
  ])('%s is rubbish', (_, answer) => {
    const { failed, rule } = setup(guard(() => answer))
    expect(rule()).toMatchObject({ unchecked: ['test'] })
    expect(failed).toHaveLength(1)
  })

  test('what is too long is cut, what is too late is bounded, what is more is dropped', () => {
    expect(verdictOf(guard(() => ({ ...deny('x.test.no', 'm'.repeat(900)), more: 1 })))).toEqual({
      kind: 'deny',
      code: 'x.test.no',
      msg: 'm'.repeat(500),
    })
    expect(verdictOf(guard(() => ({ kind: 'hold', caseId: 'c', ttlMs: 1e9 })))).toMatchObject({ ttlMs: 60_000 })
    expect(verdictOf(guard(() => ({ kind: 'hold', caseId: 'c', ttlMs: 'x' })))).toMatchObject({ ttlMs: 60_000 })
  })

  test('a command that shows nothing can be neither shadowed nor held', () => {
    const { all } = setup()
    for (const answer of [shadow, { kind: 'hold', caseId: 'c', ttlMs: 5 }]) {
      all.set('room.join', [guard(() => answer, { onFailure: 'closed' })])
      expect(all.ask('room.join', ask)).toMatchObject({ verdict: { kind: 'deny', code: 'room.unavailable' } })
    }
  })
})

test('how a verdict refuses', () => {
  expect(refusalOfVerdict(allow)).toBeUndefined()
  expect(refusalOfVerdict(shadow)).toBeUndefined()
  expect(refusalOfVerdict(deny('x.test.no', 'why'))).toMatchObject({ ok: false, err: { code: 'x.test.no', msg: 'why' } })
  expect(refusalOfVerdict({ kind: 'challenge', challenge: 'captcha' })?.err).toMatchObject({
    code: 'risk.challenge_required',
    d: { hint: 'captcha' },
  })
  expect(unavailableCode('x.poll.vote')).toBe('plugin.unavailable')
})
