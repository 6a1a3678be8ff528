import { expect, test } from 'vitest'
import { ManualClock } from '../engine/base/clock.ts'
import { LayerChoice } from './whep-layers.ts'

function start(layers: number) {
  const clock = new ManualClock()
  const chosen: number[] = []
  return { clock, chosen, choice: new LayerChoice({ layers, clock, choose: (spatial) => chosen.push(spatial) }) }
}

test('down at once and not twice in 5 s, up after 20 good ones, later when that failed', () => {
  const { clock, chosen, choice } = start(3)
  choice.heard(10)
  expect(choice.spatial).toBe(2)
  choice.heard(5)
  choice.heard(2)
  expect(chosen).toEqual([1])
  clock.advance(5_000)
  choice.heard(2)
  expect(chosen).toEqual([1, 0])
  clock.advance(5_000)
  choice.heard(2)
  expect(chosen).toEqual([1, 0])
  choice.heard(9)
  clock.advance(19_999)
  choice.heard(10)
  expect(chosen).toEqual([1, 0])
  clock.advance(1)
  expect(chosen).toEqual([1, 0, 1])
  clock.advance(5_000)
  choice.heard(3)
  expect(chosen).toEqual([1, 0, 1, 0])
  choice.heard(9)
  clock.advance(39_999)
  expect(chosen).toHaveLength(4)
  clock.advance(1)
  // It stays good: the next one after as long, up to the best.
  clock.advance(40_000)
  expect(chosen).toEqual([1, 0, 1, 0, 1, 2])
  clock.advance(1_000_000)
  expect(chosen).toHaveLength(6)
})

test('a bad report takes a try back; one layer is not chosen from; nothing happens after the end', () => {
  const { clock, chosen, choice } = start(2)
  choice.heard(1)
  choice.heard(10)
  clock.advance(10_000)
  choice.heard(1)
  clock.advance(30_000)
  expect(chosen).toEqual([0])
  choice.heard(10)
  choice.close()
  clock.advance(1_000_000)
  expect(chosen).toEqual([0])
  const single = start(1)
  single.choice.heard(0)
  expect(single.chosen).toEqual([])
})
