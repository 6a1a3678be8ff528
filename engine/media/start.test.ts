import { expect, it } from 'vitest'
import { configFrom } from '../config.ts'
import { nodeOptions } from './start.ts'

it('a profile says how much a publisher may send, a number says it better, and other profiles are refused', () => {
  const bitrateOf = (given: Parameters<typeof configFrom>[0]) => nodeOptions(configFrom(given)).bitrateMax
  expect(bitrateOf({})).toBe(8_000_000)
  expect(bitrateOf({ mediaProfile: '2160p30' })).toBe(25_000_000)
  expect(bitrateOf({ mediaProfile: '2160p30', mediaBitrateMax: 16_000_000 })).toBe(16_000_000)
  expect(() => configFrom({ mediaProfile: '4K' as '2160p30' })).toThrow('mediaProfile')
})
