import { expect, test } from 'vitest'
import { ManualClock } from '../engine/base/clock.ts'
import { LayerChoice } from './whep-layers.ts'

function start(layers: number) {
  const clock = new ManualClock()
  const chosen: number[] = []
  const held = { is: false }
  const choose = (spatial: number) => void chosen.push(spatial)
  return { clock, chosen, held, choice: new LayerChoice({ layers, clock, choose, isHeld: () => held.is }) }
}

test('down at once, again when it is still bad after 5 s, up after 20 good ones, later when that failed', () => {
  const { clock, chosen, choice } = start(3)
  choice.heard(10)
  expect(choice.spatial).toBe(2)
  choice.heard(5)
  choice.heard(2)
  clock.advance(4_999)
  expect(chosen).toEqual([1])
  clock.advance(1)
  expect(chosen).toEqual([1, 0])
  clock.advance(20_000)
  expect(chosen).toEqual([1, 0])
  choice.heard(9)
  clock.advance(19_999)
  choice.heard(10)
  expect(chosen).toEqual([1, 0])
  clock.advance(1)
  expect(chosen).toEqual([1, 0, 1])
  choice.heard(3)
  clock.advance(5_000)
  expect(chosen).toEqual([1, 0, 1, 0])
  choice.heard(9)
  clock.advance(5_000 + 39_999)
  expect(chosen).toHaveLength(4)
  clock.advance(1)
  // It stays good: the next one after as long, up to the best.
  clock.advance(5_000 + 40_000)
  expect(chosen).toEqual([1, 0, 1, 0, 1, 2])
  clock.advance(1_000_000)
  expect(chosen).toHaveLength(6)
})

test('a change of layers by somebody else spoils the score for a while, and is not held against the layer', () => {
  const { clock, chosen, choice } = start(3)
  choice.switched()
  choice.heard(3)
  clock.advance(2_000)
  choice.heard(10)
  clock.advance(1_000_000)
  expect(chosen).toEqual([])
  choice.switched()
  choice.heard(3)
  clock.advance(5_000)
  expect(chosen).toEqual([1])
})

test('what is bad while another keeps the picture lower says nothing about the choice', () => {
  const { clock, chosen, held, choice } = start(3)
  held.is = true
  choice.switched()
  choice.heard(2)
  clock.advance(60_000)
  choice.heard(1)
  expect(chosen).toEqual([])
  held.is = false
  choice.switched()
  choice.heard(10)
  clock.advance(60_000)
  expect([chosen, choice.spatial]).toEqual([[], 2])
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
