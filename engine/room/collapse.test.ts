import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EventData } from '../../schemas/messages.ts'
import { collapse, countCollapsed, mayCut, withOwn } from './collapse.ts'
import { RoomEvent } from './event.ts'

type Gift = EventData<'gift.sent'>
interface Sent {
  from: string
  giftId?: string
  count?: number
  to?: string
  more?: Partial<Gift>
}
const person = (id: string) => ({ id, name: id.toUpperCase() })
function gift(seq: number, { from, giftId = 'rose', count = 1, to = 'owner', more = {} }: Sent): RoomEvent {
  const d = {
    txId: `tx${seq}`,
    from: person(from),
    to: person(to),
    giftId,
    name: giftId,
    count,
    unitCoin: 10,
    valueCoin: count * 10,
    ...more,
  }
  const event = RoomEvent.of('r', 'gift.sent', d, { eid: d.txId, at: 1, actor: from, from })
  event.seq = seq
  return event
}
function title(seq: number): RoomEvent {
  const event = RoomEvent.of('r', 'room.updated', { patch: { title: 't' }, version: 1, by: 'x' }, { eid: `t${seq}`, at: 1 })
  event.seq = seq
  return event
}
const shown = (list: readonly RoomEvent[]) =>
  list.map(({ seq, t, d }) => {
    const { from, count, valueCoin, collapsed, senders } = d as Gift
    return t === 'gift.sent' ? [seq, from.id, count, valueCoin, collapsed, senders] : [seq, t]
  })

describe('collapsed gifts', () => {
  const tick = [
    gift(1, { from: 'ann' }),
    gift(2, { from: 'bob', count: 5 }),
    gift(3, { from: 'ann' }),
    title(4),
    gift(5, { from: 'ann', giftId: 'kite' }),
  ]

  it('one sender and one gift become one with the exact sums, at the place of the last', () => {
    expect(shown(collapse(tick, 4).list)).toEqual([
      [2, 'bob', 5, 50, undefined, undefined],
      [3, 'ann', 2, 20, 2, undefined],
      [4, 'room.updated'],
      [5, 'ann', 1, 10, undefined, undefined],
    ])
  })

  it('still too many: all senders of one gift, with the one who gave most in front', () => {
    const { list } = collapse(tick, 3)
    expect(shown(list)).toEqual([
      [3, 'bob', 7, 70, 3, 2],
      [4, 'room.updated'],
      [5, 'ann', 1, 10, undefined, undefined],
    ])
    expect(countCollapsed(list)).toBe(2)
    expect(list[0]).toHaveProperty('d.from', person('bob'))
  })

  it('one’s own stay single, and what stands for the others is less by them', () => {
    const all = collapse([...tick, gift(6, { from: 'cat' })], 3)
    expect(shown(withOwn(all, 'bob')).slice(0, 2)).toEqual([
      [2, 'bob', 5, 50, undefined, undefined],
      [4, 'room.updated'],
    ])
    expect(shown(withOwn(all, 'bob')).at(-1)).toEqual([6, 'ann', 3, 30, 3, 2])
    expect(shown(withOwn(all, 'ann')).map(([seq]) => seq)).toEqual([1, 3, 4, 5, 6])
    expect(withOwn(all, 'dan')).toBe(all.list)
    // One other is that one.
    expect(shown(withOwn(collapse(tick, 3), 'ann'))[1]).toEqual([2, 'bob', 5, 50, undefined, undefined])
  })

  it('a combo is shown when all of it is one, and replayed gifts stay apart', () => {
    const combo = (comboId: string, comboCount: number) => ({ comboId, comboCount, comboExpireAt: 9 })
    const one = collapse(
      [1, 2].map((n) => gift(n, { from: 'ann', more: combo('c', n) })),
      9,
    ).list[0]?.d
    expect(one).toMatchObject({ comboId: 'c', comboCount: 2, collapsed: 2 })
    const two = collapse(
      [1, 2].map((n) => gift(n, { from: 'ann', more: combo(`c${n}`, 1) })),
      9,
    ).list[0]?.d
    expect(two).not.toHaveProperty('comboId')
    expect(collapse([gift(1, { from: 'ann' }), gift(2, { from: 'ann', more: { replayed: true } })], 0).list).toHaveLength(2)
  })

  it('a gift for one pair of eyes is nobody’s sum', () => {
    const d = { ...(tick[0]?.d as Gift), txId: 'own' }
    const hidden = RoomEvent.of('r', 'gift.sent', d, { eid: 'own', at: 1, from: 'ann', only: 'ann' })
    expect(collapse([tick[0] as RoomEvent, hidden], 0).list).toHaveLength(2)
  })
})

it('whoever sees it, and wherever a connection is cut and resumed: every send once, in order, and the sums are exact', () => {
  const names = fc.constantFrom('ann', 'bob', 'cat', 'dan')
  const one = fc.oneof(
    {
      weight: 9,
      arbitrary: fc.record({ from: names, giftId: fc.constantFrom('rose', 'kite'), count: fc.integer({ min: 1, max: 9 }) }),
    },
    { weight: 1, arbitrary: fc.constant('title' as const) },
  )
  fc.assert(
    fc.property(fc.array(one, { maxLength: 40 }), fc.nat(20), names, (sent, highMax, viewer) => {
      const tick = sent.map((one, at) => (one === 'title' ? title(at + 1) : gift(at + 1, one)))
      const before = tick.map((event) => JSON.stringify(event.d))
      const all = collapse(tick, highMax)
      for (const list of [all.list, withOwn(all, viewer)]) {
        expect(list.map(({ seq }) => seq)).toEqual([...new Set(list.map(({ seq }) => seq))].sort((a, b) => a - b))
        expect(list.length + countCollapsed(list)).toBe(tick.length)
        const may = mayCut(list)
        for (let at = 0; at <= list.length; at++) {
          if (may?.[at] === false) continue
          // The frame ended before `at`; what the ring has behind the last seq follows one by one.
          const seq = list[at - 1]?.seq ?? 0
          expect(sums([...list.slice(0, at), ...tick.filter((event) => event.seq > seq)])).toEqual(sums(tick))
        }
      }
      const own = tick.filter((event) => event.from === viewer)
      expect(withOwn(all, viewer)).toEqual(expect.arrayContaining(own))
      // What the ring and the log have is what was sent.
      expect(tick.map((event) => JSON.stringify(event.d))).toEqual(before)
    }),
  )
})

function sums(list: readonly RoomEvent[]): Record<string, number> {
  const total: Record<string, number> = { others: 0 }
  const add = (key: string, n: number) => (total[key] = (total[key] ?? 0) + n)
  for (const { t, d } of list) {
    if (t !== 'gift.sent') add('others', 1)
    else {
      const { giftId, count, valueCoin, collapsed = 1 } = d as Gift
      add(`${giftId} units`, count)
      add(`${giftId} coins`, valueCoin)
      add(`${giftId} sends`, collapsed)
    }
  }
  return total
}
