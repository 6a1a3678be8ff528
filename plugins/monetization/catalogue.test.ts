import { describe, expect, it } from 'vitest'
import { Catalogue, firstGifts, type GiftItem, giftDefaults, itemProblem } from './catalogue.ts'

const rose: GiftItem = { ...giftDefaults, id: 'rose', name: 'Rose', priceCoin: 10 }
const place = { ownerId: 'bob', roomId: 'hall', at: 1_000 }
const catalogueOf = (...items: GiftItem[]) => {
  const catalogue = new Catalogue()
  catalogue.load(items, 7)
  return catalogue
}

describe('an offer', () => {
  it('is the item with the version that prices it', () => {
    expect(catalogueOf(rose).offer('rose', place)).toEqual({ item: rose, version: 7 })
  })

  it.each<[string, Partial<GiftItem>]>([
    ['retired', { retired: true }],
    ['another streamer', { streamerIds: ['ann'] }],
    ['another room', { roomIds: ['attic'] }],
    ['the room, of another streamer', { roomIds: ['hall'], streamerIds: ['ann'] }],
    ['too early', { fromAt: 1_001 }],
    ['over, to the millisecond', { toAt: 1_000 }],
  ])('is none: %s', (_, change) => {
    const catalogue = catalogueOf({ ...rose, ...change })
    expect(catalogue.offer('rose', place)).toEqual({ code: 'gift.not_available' })
    expect(catalogue.list(place)).toEqual([])
  })

  it('an exclusive gift is listed and sold in the rooms of its streamers alone', () => {
    const catalogue = catalogueOf({ ...rose, streamerIds: ['ann', 'bob'], fromAt: 1_000, toAt: 1_001 })
    expect(catalogue.list(place)).toHaveLength(1)
    expect(catalogue.list({ ...place, ownerId: 'eve' })).toEqual([])
  })

  it('one of a room is listed and sold there alone', () => {
    const catalogue = catalogueOf({ ...rose, roomIds: ['hall', 'attic'] })
    expect(catalogue.list(place)).toHaveLength(1)
    expect(catalogue.list({ ...place, roomId: 'cellar' })).toEqual([])
  })

  it('one that was stored before a field was there has its default', () => {
    const { roomIds: _, ...old } = rose
    expect(catalogueOf(old as GiftItem).offer('rose', place)).toEqual({ item: rose, version: 7 })
  })

  it('what nobody has heard of is not available', () => {
    for (const id of ['', 'nothing', '__proto__', 'constructor'])
      expect(catalogueOf(rose).offer(id, place)).toEqual({ code: 'gift.not_available' })
  })
})

it('the first gifts can be sold, cheapest first', () => {
  expect(firstGifts.map(itemProblem).filter((problem) => problem !== undefined)).toEqual([])
  const prices = catalogueOf(...firstGifts)
    .list(place)
    .map(({ priceCoin }) => priceCoin)
  expect(prices).toEqual([...prices].sort((a, b) => a - b))
})

it.each<[string, Partial<GiftItem>]>([
  ['id', { id: 'a b' }],
  ['name', { name: '' }],
  ['priceCoin', { priceCoin: 0 }],
  ['priceCoin', { priceCoin: 1.5 }],
  ['priceCoin', { priceCoin: Number.NaN }],
  ['priceCoin', { priceCoin: 1_000_001 }],
  ['countMax', { countMax: 1_315 }],
  ['comboTimeoutMs', { comboTimeoutMs: 499 }],
  ['tags', { tags: [''] }],
  ['streamerIds', { streamerIds: ['a.b'] }],
  ['roomIds', { roomIds: Array.from({ length: 101 }, (_, n) => `r${n}`) }],
  ['toAt', { fromAt: 5, toAt: 5 }],
  ['minLevel', { minLevel: 101 }],
  ['minLevel', { minLevel: 0.5 }],
])('cannot be sold, by its %s: %j', (field, change) => {
  expect(itemProblem({ ...rose, ...change })).toContain(`${field}:`)
})
