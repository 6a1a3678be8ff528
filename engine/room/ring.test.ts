import fc from 'fast-check'
import { expect, it } from 'vitest'
import { RoomEvent } from './event.ts'
import { Ring } from './ring.ts'

function event(seq: number, options: { only?: string; at?: number } = {}): RoomEvent {
  const made = new RoomEvent(
    { t: 'x', lane: 'normal', room: 'r', d: {} },
    { eid: `e${seq}`, at: options.at ?? seq, only: options.only },
  )
  made.seq = seq
  return made
}
const seqs = (events: readonly RoomEvent[]) => events.map(({ seq }) => seq)

it('holds the newest, and knows from where on nothing is missing', () => {
  const ring = new Ring(3, 0)
  expect(ring.covers(0)).toBe(true)
  for (let seq = 1; seq <= 3; seq++) ring.push(event(seq))
  expect(ring.covers(0)).toBe(true)
  ring.push(event(4))
  expect([0, 1, 4].map((seq) => ring.covers(seq))).toEqual([false, true, true])
  expect(seqs(ring.after(0, 'u'))).toEqual([2, 3, 4])
  expect(seqs(ring.after(3, 'u'))).toEqual([4])
  expect(seqs(ring.after(0, 'u', 2))).toEqual([3, 4])
})

it('forgets by age, and then no longer covers', () => {
  const ring = new Ring(10, 0)
  for (let seq = 1; seq <= 5; seq++) ring.push(event(seq))
  ring.forgetBefore(4)
  expect(seqs(ring.after(0, 'u'))).toEqual([4, 5])
  expect([2, 3].map((seq) => ring.covers(seq))).toEqual([false, true])
})

it('shows what is for one alone to that one, and the limit counts what is seen', () => {
  const ring = new Ring(10, 0)
  for (let seq = 1; seq <= 6; seq++) ring.push(event(seq, seq % 2 ? {} : { only: 'troll' }))
  expect(seqs(ring.after(0, 'ann', 3))).toEqual([1, 3, 5])
  expect(seqs(ring.after(0, 'troll', 3))).toEqual([4, 5, 6])
})

it('removes by id without a hole for those who resume', () => {
  const ring = new Ring(10, 0)
  for (let seq = 1; seq <= 4; seq++) ring.push(event(seq))
  ring.remove(new Set(['e2']))
  expect(seqs(ring.after(0, 'u'))).toEqual([1, 3, 4])
  expect(ring.find('e2')).toBeUndefined()
  expect(ring.covers(0)).toBe(true)
})

it('whatever is pushed, equals a plain list', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: 60 }), fc.nat(70), (max, count, from) => {
      const ring = new Ring(max, 0)
      const all: RoomEvent[] = []
      for (let seq = 1; seq <= count; seq++) {
        const one = event(seq)
        ring.push(one)
        all.push(one)
      }
      expect(seqs(ring.after(from, 'u'))).toEqual(seqs(all.slice(-max).filter(({ seq }) => seq > from)))
      expect(ring.covers(from)).toBe(from >= count - max)
      expect(ring.size).toBeLessThan(max * 2 + 1)
      expect(ring.filter(() => true).length).toBe(Math.min(max, count))
    }),
  )
})
