import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Presence } from './presence.ts'

const limits = { graceMs: 10_000, anonymousPerAddressMax: 2 }
const member = (sid: string, userId: string) => ({
  ...{ sid, userId, name: userId.toUpperCase() },
  ...{ edge: 'local', encoding: 'json' as const },
})

it('tabs of one user count once, and the user is gone a grace after the last', () => {
  const presence = new Presence(limits)
  expect(presence.add(member('1', 'ann'), undefined)).toBe(true)
  expect(presence.add(member('2', 'ann'), undefined)).toBe(false)
  expect(presence.add(member('2', 'ann'), undefined)).toBe(false)
  expect(presence.online).toEqual({ unique: 1, connections: 2, peak: 1 })
  presence.remove('1', 0)
  presence.remove('2', 5_000)
  expect(presence.nextGoneAt()).toBe(15_000)
  presence.expire(14_999)
  expect(presence.online.unique).toBe(1)
  presence.expire(15_000)
  expect(presence.online).toEqual({ unique: 0, connections: 0, peak: 1 })
  expect(presence.nextGoneAt()).toBeUndefined()
})

it('back within the grace: never gone, and not new', () => {
  const presence = new Presence(limits)
  presence.add(member('1', 'ann'), undefined)
  presence.remove('1', 0)
  expect(presence.add(member('2', 'ann'), undefined)).toBe(false)
  presence.expire(10_000)
  expect(presence.online.unique).toBe(1)
  presence.remove('2', 20_000)
  presence.expire(29_999)
  expect(presence.online.unique).toBe(1)
})

it('anonymous viewers of one address count up to the bound, whoever of them goes first', () => {
  const presence = new Presence(limits)
  for (let n = 0; n < 5; n++) presence.add(member(`${n}`, `anon_${n}`), 'address')
  presence.add(member('x', 'anon_x'), 'elsewhere')
  expect(presence.online).toMatchObject({ unique: 3, connections: 6 })
  const uniqueWithout = (sid: string, now: number) => {
    presence.remove(sid, now)
    presence.expire(now + 10_000)
    return presence.online.unique
  }
  expect(['0', '4', '1', '2', '3', 'x'].map((sid, n) => uniqueWithout(sid, n * 20_000))).toEqual([3, 3, 3, 2, 1, 0])
})

it('whatever happens, equals a plain count', () => {
  const step = fc.record({ sid: fc.nat(9), user: fc.nat(4), leaves: fc.boolean(), ms: fc.nat(6_000) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const presence = new Presence({ graceMs: 10_000, anonymousPerAddressMax: 0 })
      const sessions = new Map<string, string>()
      const goneAt = new Map<string, number>()
      let now = 0
      for (const { sid, user, leaves, ms } of steps) {
        now += ms
        presence.expire(now)
        const id = `s${sid}`
        if (leaves) {
          const userId = sessions.get(id)
          presence.remove(id, now)
          sessions.delete(id)
          if (userId !== undefined && ![...sessions.values()].includes(userId)) goneAt.set(userId, now + 10_000)
        } else if (!sessions.has(id)) {
          presence.add(member(id, `u${user}`), undefined)
          sessions.set(id, `u${user}`)
          goneAt.delete(`u${user}`)
        }
        const here = new Set([...sessions.values(), ...[...goneAt].filter(([, at]) => at > now).map(([userId]) => userId)])
        expect(presence.online).toMatchObject({ unique: here.size, connections: sessions.size })
        expect(presence.perEdge.get('local') ?? 0).toBe(sessions.size)
      }
    }),
  )
})

it('knows people by the name of their newest session', () => {
  const presence = new Presence(limits)
  presence.add(member('1', 'ann'), undefined)
  presence.add({ ...member('2', 'ann'), name: 'Ann B.' }, undefined)
  expect([presence.nameOf('ann'), presence.nameOf('bob')]).toEqual(['Ann B.', undefined])
  presence.remove('2', 0)
  expect(presence.nameOf('ann')).toBe('ANN')
})
