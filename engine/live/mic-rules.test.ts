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
      { is: 'timed_out', userId: 'host', what: 'invitation', guestId: 'ann' },
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

const users = ['a', 'b', 'c', 'd']
const bounds = { queueMax: 2, seats: 3 }
const whats = {
  often: ['apply', 'apply', 'invite', 'mute', 'unmute', 'muteSelf', 'unmuteSelf'],
  atTimes: ['close', 'move', 'away', 'back', 'admit', 'accept', 'join', 'open'],
  seldom: ['cancel', 'decline', 'turnDown', 'leave', 'lock', 'unlock', 'remove', 'off'],
} as const
type What = (typeof whats)[keyof typeof whats][number]
const Step = fc.record({
  // Weighted so that queues fill and seats get taken before a time is over, and each time is over now and then.
  waitMs: fc.oneof(
    { weight: 8, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 9_000 }) },
    { weight: 1, arbitrary: fc.constantFrom(joinMs, returnMs, inviteMsDefault, applyMs) },
  ),
  what: fc.oneof(
    { weight: 4, arbitrary: fc.constant('onward' as const) },
    { weight: 3, arbitrary: fc.constantFrom(...whats.often) },
    { weight: 2, arbitrary: fc.constantFrom(...whats.atTimes) },
    { weight: 1, arbitrary: fc.constantFrom(...whats.seldom) },
  ),
  user: fc.constantFrom(...users),
  seatNo: fc.integer({ min: 1, max: bounds.seats }),
  isAnySeat: fc.boolean(),
})
interface Taken {
  what: What
  user: string
  seatNo: number
  wanted: number | undefined
  now: number
  order: number
}

/** What a plain reader of the rules would keep: one line for each user. */
interface Line {
  state: 'applied' | 'invited' | 'granted' | 'live' | 'suspended'
  since: number
  endsAt: number | undefined
  order: number
  seatNo: number | undefined
  isJoined: boolean
  isHostMuted: boolean
  isSelfMuted: boolean
}

class Model {
  readonly lines = new Map<string, Line>()
  readonly locked = new Set<number>()

  expire(now: number): void {
    for (const [user, { endsAt }] of this.lines) if (endsAt !== undefined && endsAt <= now) this.lines.delete(user)
  }

  queue(): string[] {
    const waiting = [...this.lines].filter(([, { state }]) => state === 'applied')
    return waiting.sort(([, a], [, b]) => a.order - b.order).map(([user]) => user)
  }

  on(seatNo: number): Line | undefined {
    return [...this.lines.values()].find((line) => line.seatNo === seatNo)
  }

  /** What leads this user on from where they are. */
  onward(user: string): What {
    const line = this.lines.get(user)
    if (!line) return 'apply'
    if (line.state === 'applied') return 'admit'
    if (line.state === 'invited') return 'accept'
    return line.isJoined ? 'open' : 'join'
  }

  seen() {
    const seats = Array.from({ length: bounds.seats }, (_, at) => {
      const line = this.on(at + 1)
      const user = [...this.lines].find(([, one]) => one === line)?.[0]
      const state = line === undefined ? 'open' : line.state === 'granted' ? 'reserved' : line.state
      const mutedBy = line?.isHostMuted ? 'host' : line?.isSelfMuted ? 'self' : undefined
      return { state, user, mutedBy, locked: this.locked.has(at + 1) }
    })
    const ends = [...this.lines.values()].flatMap(({ endsAt }) => (endsAt === undefined ? [] : [endsAt]))
    return {
      queue: this.queue(),
      seats,
      known: [...this.lines.keys()].sort(),
      nextEndAt: ends.length > 0 ? Math.min(...ends) : undefined,
    }
  }
}

const seenOf = (mic: MicRules) => ({
  queue: mic.applicants().map(({ user }) => user.id),
  seats: mic.seats().map(({ state, user, mutedBy, locked }) => ({ state, user: user?.id, mutedBy, locked })),
  known: users.filter((user) => mic.has(user)),
  nextEndAt: mic.nextEndAt(),
})

function run(mic: MicRules, { what, user, seatNo, wanted, now, order }: Taken) {
  const by = person(user)
  const inviteId = `i_${user}`
  const steps: Record<What, () => unknown> = {
    apply: () => mic.apply({ person: by, kind: 'audio', order }, now),
    cancel: () => mic.cancel(user),
    invite: () => invite(mic, user, now, wanted === undefined ? {} : { seatNo: wanted }),
    admit: () => mic.admit(user, wanted, now),
    accept: () => mic.accept(by, { inviteId, seatNo: wanted }, now),
    decline: () => mic.decline({ inviteId, reason: '', by }),
    turnDown: () => mic.turnDown(user, { reason: '', by: host }),
    join: () => mic.join(user, mic.seatOf(user)?.seatNo ?? seatNo),
    leave: () => mic.leave(user),
    move: () => mic.move(user, seatNo),
    open: () => mic.opened(user, `p_${user}`),
    close: () => mic.closed(user, `p_${user}`, now),
    mute: () => mic.mute(seatNo, 'host', true),
    unmute: () => mic.mute(seatNo, 'host', false),
    muteSelf: () => mic.mute(seatNo, 'self', true),
    unmuteSelf: () => mic.mute(seatNo, 'self', false),
    lock: () => mic.lock(seatNo, true),
    unlock: () => mic.lock(seatNo, false),
    remove: () => mic.remove(user),
    away: () => mic.away(user, now + 10_000),
    back: () => mic.back(user),
    off: () => mic.removeAll({ reason: '', by: host }),
  }
  return steps[what]()
}

/** The same step on the model, and whether it is allowed. */
function follow(model: Model, { what, user, seatNo, wanted, now, order }: Taken): boolean {
  const { lines, locked } = model
  const line = lines.get(user)
  const on = model.on(seatNo)
  const isFree = (no: number) => !locked.has(no) && model.on(no) === undefined
  const seat = wanted ?? [1, 2, 3].find(isFree)
  const fresh = { since: now, order, seatNo: undefined, isJoined: false, isHostMuted: false, isSelfMuted: false }
  const set = (on: Line | undefined, change: Partial<Line>) => (on ? Boolean(Object.assign(on, change)) : false)
  const grant = () =>
    seat !== undefined && isFree(seat) && set(line, { ...fresh, state: 'granted', seatNo: seat, endsAt: now + joinMs })
  const drop = (isTheirs: boolean) => isTheirs && lines.delete(user)
  const isSeated = line?.seatNo !== undefined
  switch (what) {
    case 'apply':
      if (line || model.queue().length >= bounds.queueMax) return false
      return Boolean(lines.set(user, { ...fresh, state: 'applied', endsAt: now + applyMs }))
    case 'invite':
      if (line || seat === undefined || !isFree(seat)) return false
      return Boolean(lines.set(user, { ...fresh, state: 'invited', endsAt: now + inviteMsDefault }))
    case 'admit':
      return line?.state === 'applied' && grant()
    case 'accept':
      return line?.state === 'invited' && grant()
    case 'cancel':
      return drop(line?.state === 'applied')
    case 'decline':
      return drop(line?.state === 'invited')
    case 'turnDown':
      return drop(line?.state === 'applied' || line?.state === 'invited')
    case 'leave':
      return drop(isSeated)
    case 'remove':
      drop(true)
      return true
    case 'off':
      lines.clear()
      return true
    case 'join':
      return isSeated && set(line, { isJoined: true })
    case 'open':
      return line?.isJoined === true && set(line, { state: 'live', endsAt: undefined })
    case 'close':
      if (line?.state === 'live') set(line, { state: 'suspended', endsAt: now + returnMs })
      return true
    case 'move':
      return line?.isJoined === true && (line.seatNo === seatNo || isFree(seatNo)) && set(line, { seatNo })
    case 'mute':
      return set(on, { isHostMuted: true })
    case 'muteSelf':
      return set(on, { isSelfMuted: true })
    case 'unmute':
      return (on?.isHostMuted || !on?.isSelfMuted) && set(on, { isHostMuted: false })
    case 'unmuteSelf':
      return !on?.isHostMuted && set(on, { isSelfMuted: false })
    case 'lock':
      return on === undefined && Boolean(locked.add(seatNo))
    case 'unlock':
      locked.delete(seatNo)
      return true
    case 'away':
      if (line?.state === 'applied') line.endsAt = Math.min(line.since + applyMs, now + 10_000)
      return false
    case 'back':
      if (line?.state === 'applied') line.endsAt = line.since + applyMs
      return false
  }
}

it('queue by arrival and bounded, one state a user, one user a seat, an end for all that waits, a host’s silence kept', () => {
  fc.assert(
    fc.property(fc.array(Step, { minLength: 20, maxLength: 80 }), (steps) => {
      const mic = new MicRules(bounds)
      const model = new Model()
      const invitedTo = new Map<string, number | undefined>()
      let now = 0
      const same = (label: string) => {
        const [seen, expected] = [seenOf(mic), model.seen()]
        if (JSON.stringify(seen) !== JSON.stringify(expected)) expect(seen, label).toEqual(expected)
      }
      steps.forEach(({ waitMs, what, isAnySeat, ...step }, order) => {
        now += waitMs
        mic.expire(now)
        model.expire(now)
        same(`time ${now}`)
        const wanted = isAnySeat ? undefined : step.seatNo
        const taken = { ...step, wanted, now, order, what: what === 'onward' ? model.onward(step.user) : what }
        if (taken.what === 'invite' && !model.lines.has(step.user)) invitedTo.set(step.user, wanted)
        // A seat that the invitation names counts for more than what the guest asks for.
        if (taken.what === 'accept') taken.wanted = invitedTo.get(step.user) ?? wanted
        const [isDone, isAllowed] = [Array.isArray(run(mic, taken)), follow(model, taken)]
        // An `expect` is slow, and there are tens of thousands of steps.
        if (isDone !== isAllowed) expect(isDone, `${taken.what} by ${step.user}`).toBe(isAllowed)
        same(`${taken.what} by ${step.user}`)
      })
    }),
    { numRuns: 200 },
  )
})
