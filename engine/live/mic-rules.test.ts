import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PersonShape } from '../../schemas/messages.ts'
import { applyMs, invitedMax, inviteMsDefault, joinMs, type MicFact, type MicRefusal, MicRules, returnMs } from './mic-rules.ts'

const person = (id: string): PersonShape => ({ id, name: id })
const host = person('host')
let orders = 0
const fresh = (over: { queueMax?: number; seats?: number } = {}) => new MicRules({ queueMax: 10, seats: 8, ...over })
const apply = (mic: MicRules, id: string, now = 0, kind: 'audio' | 'video' = 'audio') =>
  mic.apply({ person: person(id), kind, order: ++orders }, now)
const invite = (mic: MicRules, id: string, now = 0, over: { seatNo?: number; timeoutMs?: number } = {}) =>
  mic.invite({ person: person(id), kind: 'video', inviteId: `i_${id}`, by: host, timeoutMs: inviteMsDefault, ...over }, now)
/** Who is on a seat, heard or not. */
const seated = (mic: MicRules, id: string, { seatNo = 1, now = 0 } = {}) => {
  apply(mic, id, now)
  mic.admit(id, seatNo, now)
  mic.join(id, seatNo)
  return mic.opened(id, `p_${id}`)
}
const kinds = (facts: MicFact[] | MicRefusal | undefined) => (Array.isArray(facts) ? facts.map(({ is }) => is) : facts)

describe('the queue', () => {
  it('takes ten in the order of arrival, whatever order the decisions come in', () => {
    const mic = fresh()
    for (const order of [3, 1, 2]) mic.apply({ person: person(`u${order}`), kind: 'audio', order }, 0)
    expect(mic.applicants().map(({ user, place }) => [user.id, place])).toEqual([
      ['u1', 1],
      ['u2', 2],
      ['u3', 3],
    ])
    for (let n = 4; n <= 10; n++) mic.apply({ person: person(`u${n}`), kind: 'audio', order: n }, 0)
    expect(mic.apply({ person: person('u11'), kind: 'audio', order: 11 }, 0)).toBe('mic.queue_full')
    expect(mic.waiting).toBe(10)
    expect(mic.apply({ person: person('u1'), kind: 'audio', order: 12 }, 0)).toBe('mic.already')
  })

  it('who leaves it moves those behind up, and them alone', () => {
    const mic = fresh()
    for (const id of ['ann', 'bob', 'eve']) apply(mic, id)
    expect(mic.cancel('bob')).toEqual([{ is: 'place', userId: 'eve', place: 2 }, { is: 'queue' }])
    expect(mic.admit('ann', undefined, 0)).toEqual([
      { is: 'granted', userId: 'ann', seatNo: 1, joinByAt: joinMs },
      { is: 'seat', seatNo: 1 },
      { is: 'place', userId: 'eve', place: 1 },
      { is: 'queue' },
    ])
    expect(mic.cancel('bob')).toBe('mic.expired')
    expect(mic.cancel('ann')).toBe('mic.expired')
  })

  it('an application ends after five minutes, and that of somebody who left when their grace is over', () => {
    const mic = fresh()
    apply(mic, 'ann')
    apply(mic, 'bob', 10)
    mic.away('bob', 500)
    expect(mic.nextEndAt()).toBe(500)
    mic.back('bob')
    expect(mic.nextEndAt()).toBe(applyMs)
    mic.away('bob', 600)
    expect(mic.expire(599)).toEqual([])
    expect(mic.expire(600)).toEqual([{ is: 'queue' }, { is: 'timed_out', userId: 'bob', what: 'application' }])
    expect(kinds(mic.expire(applyMs))).toEqual(['queue', 'timed_out'])
    expect(mic.nextEndAt()).toBeUndefined()
  })
})

describe('an invitation', () => {
  it('becomes a seat: the one it names, or the one the guest picks', () => {
    const mic = fresh()
    invite(mic, 'ann', 0, { seatNo: 3 })
    invite(mic, 'bob')
    expect(mic.accept(person('ann'), { inviteId: 'i_ann', seatNo: 5 }, 1)).toMatchObject([
      { is: 'granted', seatNo: 3 },
      { is: 'seat' },
    ])
    expect(mic.accept(person('bob'), { inviteId: 'i_bob', seatNo: 5 }, 1)).toMatchObject([{ seatNo: 5 }, { seatNo: 5 }])
  })

  it('reserves nothing: two for one seat, and the second finds it taken and may wait for it', () => {
    const mic = fresh({ seats: 1 })
    invite(mic, 'ann')
    invite(mic, 'bob')
    mic.accept(person('ann'), { inviteId: 'i_ann' }, 0)
    expect(mic.accept(person('bob'), { inviteId: 'i_bob' }, 0)).toBe('mic.seat_taken')
    expect(invite(mic, 'eve')).toBe('mic.seat_taken')
    mic.leave('ann')
    expect(kinds(mic.accept(person('bob'), { inviteId: 'i_bob' }, 1))).toEqual(['granted', 'seat'])
  })

  it('of another, or one that is over, is none', () => {
    const mic = fresh()
    invite(mic, 'ann')
    expect(mic.accept(person('bob'), { inviteId: 'i_ann' }, 0)).toBe('mic.expired')
    expect(mic.accept(person('ann'), { inviteId: 'i_bob' }, 0)).toBe('mic.expired')
    expect(mic.admit('ann', undefined, 0)).toBe('mic.expired') // a host cannot answer for a guest
    expect(mic.expire(inviteMsDefault)).toEqual([
      { is: 'timed_out', userId: 'ann', what: 'invitation' },
      { is: 'timed_out', userId: 'host', what: 'invitation' },
    ])
    expect(mic.accept(person('ann'), { inviteId: 'i_ann' }, inviteMsDefault)).toBe('mic.expired')
  })

  it('declined is told to whoever invited, taken back to the guest; and they are bounded', () => {
    const mic = fresh()
    invite(mic, 'ann')
    expect(mic.decline({ inviteId: 'i_ann', reason: 'no', by: person('ann') })).toEqual([
      { is: 'rejected', userId: 'host', reason: 'no', by: person('ann') },
    ])
    invite(mic, 'ann')
    expect(mic.turnDown('ann', { reason: 'late', by: host })).toEqual([
      { is: 'rejected', userId: 'ann', reason: 'late', by: host },
    ])
    for (let n = 0; n < invitedMax; n++) invite(mic, `u${n}`)
    expect(invite(mic, 'one more')).toBe('mic.queue_full')
  })
})

describe('a seat', () => {
  it('open, reserved, live, suspended, live, open', () => {
    const mic = fresh()
    const state = () => mic.seat(1).state
    apply(mic, 'ann')
    expect(mic.mayPublish('ann')).toBeUndefined()
    mic.admit('ann', undefined, 0)
    expect([state(), mic.mayPublish('ann'), mic.opened('ann', 'p1')]).toEqual(['reserved', undefined, undefined])
    expect(mic.join('ann', 2)).toBe('mic.grant_invalid')
    expect(mic.join('bob', 1)).toBe('mic.grant_invalid')
    expect([mic.join('ann', 1), state(), mic.mayPublish('ann')]).toEqual([[], 'reserved', 1])
    expect([mic.opened('ann', 'p1'), state(), mic.nextEndAt()]).toEqual([[{ is: 'seat', seatNo: 1 }], 'live', undefined])
    expect(mic.opened('ann', 'p2')).toEqual([])
    expect(mic.closed('ann', 'p1', 5)).toEqual([])
    expect([mic.closed('ann', 'p2', 5), state(), mic.nextEndAt()]).toEqual([
      [{ is: 'seat', seatNo: 1 }],
      'suspended',
      5 + returnMs,
    ])
    expect([mic.opened('ann', 'p3'), state()]).toEqual([[{ is: 'seat', seatNo: 1 }], 'live'])
    expect(mic.leave('ann')).toEqual([
      { is: 'silenced', userId: 'ann', seatNo: 1 },
      { is: 'seat', seatNo: 1 },
    ])
    expect(mic.seat(1)).toEqual({ no: 1, state: 'open', locked: false })
  })

  it.each([
    ['nobody came', joinMs, (mic: MicRules) => void [apply(mic, 'ann'), mic.admit('ann', 1, 0)]],
    ['came, and sent nothing', joinMs, (mic: MicRules) => void [apply(mic, 'ann'), mic.admit('ann', 1, 0), mic.join('ann', 1)]],
    ['was lost', returnMs, (mic: MicRules) => void [seated(mic, 'ann'), mic.closed('ann', 'p_ann', 0)]],
  ])('%s: it is free after %d ms, and not before', (_, ms, prepare) => {
    const mic = fresh()
    prepare(mic)
    expect(mic.expire(ms - 1)).toEqual([])
    expect(kinds(mic.expire(ms))).toEqual(['silenced', 'seat', 'timed_out'])
    expect(mic.seat(1).state).toBe('open')
    expect(mic.mayPublish('ann')).toBeUndefined()
  })

  it('a voice is a voice: no picture unless it was asked for', () => {
    const mic = fresh()
    seated(mic, 'ann')
    expect([mic.mayPublish('ann', 'audio'), mic.mayPublish('ann', 'video')]).toEqual([1, undefined])
    invite(mic, 'bob')
    mic.accept(person('bob'), { inviteId: 'i_bob' }, 0)
    mic.join('bob', 2)
    expect([mic.mayPublish('bob', 'audio'), mic.mayPublish('bob', 'video')]).toEqual([2, 2])
  })

  it('a locked one is nobody’s, and only an empty one is locked', () => {
    const mic = fresh({ seats: 2 })
    expect(mic.lock(1, true)).toEqual([{ is: 'seat', seatNo: 1 }])
    expect(mic.lock(1, true)).toEqual([])
    apply(mic, 'ann')
    expect(mic.admit('ann', 1, 0)).toBe('mic.seat_taken')
    expect(mic.admit('ann', undefined, 0)).toMatchObject([{ seatNo: 2 }, { seatNo: 2 }, { is: 'queue' }])
    expect(mic.lock(2, true)).toBe('mic.seat_taken')
    apply(mic, 'bob')
    expect(mic.admit('bob', undefined, 0)).toBe('mic.seat_taken')
    mic.lock(1, false)
    expect(mic.admit('bob', undefined, 0)).toMatchObject([{ seatNo: 1 }, {}, {}])
  })

  it('moves with its guest, media and silence and all', () => {
    const mic = fresh({ seats: 3 })
    seated(mic, 'ann')
    seated(mic, 'bob', { seatNo: 2 })
    mic.mute(1, 'host', true)
    mic.lock(3, true)
    expect([mic.move('ann', 2), mic.move('ann', 3), mic.move('eve', 3)]).toEqual([
      'mic.seat_taken',
      'mic.seat_taken',
      'mic.grant_invalid',
    ])
    mic.lock(3, false)
    expect(mic.move('ann', 1)).toEqual([])
    expect(mic.move('ann', 3)).toEqual([
      { is: 'moved', from: 1, to: 3 },
      { is: 'seat', seatNo: 1 },
      { is: 'seat', seatNo: 3 },
    ])
    expect(mic.seat(3)).toMatchObject({ state: 'live', user: { id: 'ann' }, mutedBy: 'host' })
    expect(mic.seat(1).state).toBe('open')
  })
})

describe('silence', () => {
  const steps = (...given: ['host' | 'self', boolean][]) => {
    const mic = fresh()
    seated(mic, 'ann')
    const seen = given.map(([side, isMuted]) => kinds(mic.mute(1, side, isMuted)))
    return { seen, mutedBy: mic.seat(1).mutedBy, mic }
  }

  it('is lifted by whoever made it', () => {
    for (const side of ['host', 'self'] as const) {
      expect(steps([side, true], [side, false])).toMatchObject({
        seen: [
          ['paused', 'seat'],
          ['paused', 'seat'],
        ],
        mutedBy: undefined,
      })
      expect(steps([side, true], [side, true]).seen).toEqual([['paused', 'seat'], []])
      expect(steps([side, false]).seen).toEqual([[]])
    }
  })

  it('of a host beats the guest’s own voice, and of the guest the host’s wish to hear them', () => {
    expect(steps(['host', true], ['self', false])).toMatchObject({ seen: [['paused', 'seat'], 'perm.denied'], mutedBy: 'host' })
    expect(steps(['self', true], ['host', false])).toMatchObject({ seen: [['paused', 'seat'], 'perm.denied'], mutedBy: 'self' })
    const both = steps(['self', true], ['host', true], ['self', false])
    expect(both).toMatchObject({ seen: [['paused', 'seat'], ['seat'], 'perm.denied'], mutedBy: 'host' })
    expect(kinds(both.mic.mute(1, 'host', false))).toEqual(['seat'])
    expect(both.mic.seat(1).mutedBy).toBe('self')
    expect(kinds(both.mic.mute(1, 'self', false))).toEqual(['paused', 'seat'])
  })

  it('holds for what is published later, and goes with the guest', () => {
    const { mic } = steps(['host', true])
    mic.closed('ann', 'p_ann', 0)
    expect(mic.opened('ann', 'again')).toEqual([
      { is: 'paused', seatNo: 1, isPaused: true },
      { is: 'seat', seatNo: 1 },
    ])
    mic.leave('ann')
    seated(mic, 'bob')
    expect(mic.isMuted(1)).toBe(false)
    expect(mic.mute(2, 'host', true)).toBeUndefined()
  })
})

it('switched off: everybody is told why, every seat is free, and the queue is told once', () => {
  const mic = fresh()
  seated(mic, 'ann')
  for (const id of ['bob', 'eve']) apply(mic, id)
  invite(mic, 'joe')
  const facts = mic.removeAll({ reason: 'off', by: host })
  expect(facts.filter(({ is }) => is === 'rejected').map((fact) => 'userId' in fact && fact.userId)).toEqual([
    'ann',
    'bob',
    'eve',
    'joe',
  ])
  expect(kinds(facts)).toEqual(['silenced', 'seat', 'rejected', 'rejected', 'rejected', 'rejected', 'queue'])
  expect([mic.waiting, mic.invited(), mic.seat(1).state, mic.nextEndAt()]).toEqual([0, [], 'open', undefined])
  expect(mic.removeAll({ reason: 'off', by: host })).toEqual([])
})

// ------------------------------------------------------------------ whatever is done when

const users = ['a', 'b', 'c', 'd', 'e']
const User = fc.constantFrom(...users)
const SeatNo = fc.integer({ min: 1, max: 3 })
/** Weighted so that queues fill, seats get taken and time-outs are met on the way. */
const Step = fc.record({
  waitMs: fc.oneof(
    { weight: 8, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 9_000 }) },
    { weight: 1, arbitrary: fc.constantFrom(joinMs, returnMs, inviteMsDefault, applyMs) },
  ),
  what: fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom(...(['apply', 'apply', 'admit', 'join', 'open', 'invite', 'accept', 'mute'] as const)),
    },
    {
      weight: 2,
      arbitrary: fc.constantFrom(...(['close', 'unmute', 'muteSelf', 'unmuteSelf', 'move', 'away', 'back'] as const)),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(...(['cancel', 'decline', 'turnDown', 'leave', 'lock', 'unlock', 'remove', 'off'] as const)),
    },
  ),
  user: User,
  seatNo: SeatNo,
  anySeat: fc.boolean(),
})
type StepShape = typeof Step extends fc.Arbitrary<infer T> ? T : never

/** What a plain reader of the rules would keep: one line for each user. */
interface Line {
  state: 'applied' | 'invited' | 'granted' | 'live' | 'suspended'
  since: number
  endsAt: number
  order: number
  seatNo?: number
}

class Model {
  readonly lines = new Map<string, Line>()
  readonly hostMuted = new Set<string>()

  expire(now: number): void {
    for (const [user, { endsAt }] of this.lines) if (endsAt <= now) this.forget(user)
  }

  forget(user: string): void {
    this.lines.delete(user)
    this.hostMuted.delete(user)
  }

  queue(): string[] {
    const waiting = [...this.lines].filter(([, { state }]) => state === 'applied')
    return waiting.sort(([, a], [, b]) => a.order - b.order).map(([user]) => user)
  }
}

const queueMax = 3

function run(mic: MicRules, { what, user, seatNo, anySeat }: StepShape, now: number, order: number) {
  const wanted = anySeat ? undefined : seatNo
  switch (what) {
    case 'apply':
      return mic.apply({ person: person(user), kind: 'audio', order }, now)
    case 'cancel':
      return mic.cancel(user)
    case 'invite':
      return invite(mic, user, now, wanted === undefined ? {} : { seatNo: wanted })
    case 'admit':
      return mic.admit(user, wanted, now)
    case 'accept':
      return mic.accept(person(user), { inviteId: `i_${user}`, seatNo: wanted }, now)
    case 'decline':
      return mic.decline({ inviteId: `i_${user}`, reason: '', by: person(user) })
    case 'turnDown':
      return mic.turnDown(user, { reason: '', by: host })
    case 'join':
      return mic.join(user, mic.seatOf(user)?.seatNo ?? seatNo)
    case 'leave':
      return mic.leave(user)
    case 'move':
      return mic.move(user, seatNo)
    case 'open':
      return mic.opened(user, `p_${user}`)
    case 'close':
      return mic.closed(user, `p_${user}`, now)
    case 'mute':
      return mic.mute(seatNo, 'host', true)
    case 'unmute':
      return mic.mute(seatNo, 'host', false)
    case 'muteSelf':
      return mic.mute(seatNo, 'self', true)
    case 'unmuteSelf':
      return mic.mute(seatNo, 'self', false)
    case 'lock':
      return mic.lock(seatNo, true)
    case 'unlock':
      return mic.lock(seatNo, false)
    case 'remove':
      return mic.remove(user)
    case 'away':
      return mic.away(user, now + 10_000)
    case 'back':
      return mic.back(user)
    case 'off':
      return mic.removeAll({ reason: '', by: host })
  }
}

/** What must have become of it, by what it answered. */
function follow(
  model: Model,
  { what, user, seatNo }: StepShape,
  { facts, now, order, mic }: { facts: unknown; now: number; order: number; mic: MicRules },
) {
  const { lines, hostMuted } = model
  const old = lines.get(user)
  const isDone = Array.isArray(facts)
  if (what === 'apply') expect(isDone).toBe(old === undefined && model.queue().length < queueMax)
  if (!isDone && what !== 'away' && what !== 'back') return
  const onSeat = mic.userOn(seatNo)
  switch (what) {
    case 'apply':
      expect(old).toBeUndefined()
      return void lines.set(user, { state: 'applied', since: now, endsAt: now + applyMs, order })
    case 'invite':
      expect(old).toBeUndefined()
      return void lines.set(user, { state: 'invited', since: now, endsAt: now + inviteMsDefault, order })
    case 'admit':
    case 'accept': {
      expect(old?.state).toBe(what === 'admit' ? 'applied' : 'invited')
      const granted = (facts as MicFact[]).find((fact) => fact.is === 'granted') as Extract<MicFact, { is: 'granted' }>
      expect([...lines.values()].map((line) => line.seatNo)).not.toContain(granted.seatNo)
      return void lines.set(user, { state: 'granted', since: now, endsAt: now + joinMs, order, seatNo: granted.seatNo })
    }
    case 'open':
      expect(['granted', 'live', 'suspended']).toContain(old?.state)
      return void lines.set(user, { ...(old as Line), state: 'live', endsAt: Number.POSITIVE_INFINITY })
    case 'close':
      if (old?.state === 'live') lines.set(user, { ...old, state: 'suspended', endsAt: now + returnMs })
      return
    case 'move':
      return void lines.set(user, { ...(old as Line), seatNo })
    case 'cancel':
    case 'turnDown':
    case 'decline':
    case 'leave':
    case 'remove':
      return model.forget(user)
    case 'off':
      for (const one of users) model.forget(one)
      return
    case 'mute':
      return void (onSeat && hostMuted.add(onSeat))
    case 'unmute':
      return void (onSeat && hostMuted.delete(onSeat))
    case 'away':
      if (old?.state === 'applied') lines.set(user, { ...old, endsAt: Math.min(old.since + applyMs, now + 10_000) })
      return
    case 'back':
      if (old?.state === 'applied') lines.set(user, { ...old, endsAt: old.since + applyMs })
      return
    default:
  }
}

function check(mic: MicRules, model: Model, now: number): void {
  const { lines, hostMuted } = model
  expect(mic.waiting).toBeLessThanOrEqual(queueMax)
  expect(mic.applicants().map(({ user }) => user.id)).toEqual(model.queue())
  expect(mic.applicants().map(({ place }) => place)).toEqual(model.queue().map((_, at) => at + 1))
  const seats = mic.seats()
  const on = seats.flatMap(({ user }) => (user ? [user.id] : []))
  expect(new Set(on).size).toBe(on.length)
  for (const user of users) {
    const line = lines.get(user)
    expect(mic.has(user)).toBe(line !== undefined)
    expect(mic.seatOf(user)?.seatNo).toBe(line?.seatNo)
    if (line?.seatNo !== undefined) {
      const shown = seats[line.seatNo - 1]
      expect(shown).toMatchObject({
        state: line.state === 'granted' ? 'reserved' : line.state,
        user: { id: user },
        locked: false,
      })
      if (hostMuted.has(user)) expect(shown?.mutedBy).toBe('host')
    }
  }
  const ends = [...lines.values()].map(({ endsAt }) => endsAt).filter((at) => at !== Number.POSITIVE_INFINITY)
  expect(mic.nextEndAt()).toBe(ends.length > 0 ? Math.min(...ends) : undefined)
  expect(mic.nextEndAt() ?? now + 1).toBeGreaterThan(now)
}

it('queue by arrival and bounded, one state a user, one user a seat, an end for all that waits, a host’s silence kept', () => {
  fc.assert(
    fc.property(fc.array(Step, { minLength: 20, maxLength: 80 }), (steps) => {
      const mic = new MicRules({ queueMax, seats: 3 })
      const model = new Model()
      let now = 0
      steps.forEach((step, order) => {
        now += step.waitMs
        const over = mic.expire(now)
        model.expire(now)
        // A seat that is given back is silent, whatever was on it.
        const freed = over.filter(({ is }) => is === 'silenced').length
        expect(over.filter((fact) => fact.is === 'timed_out' && fact.what === 'seat')).toHaveLength(freed)
        check(mic, model, now)
        const facts = run(mic, step, now, order)
        follow(model, step, { facts, now, order, mic })
        check(mic, model, now)
      })
    }),
    { numRuns: 150 },
  )
})
