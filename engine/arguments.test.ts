import { describe, expect, it } from 'vitest'
import { parseDuration, readArguments } from './arguments.ts'

describe('readArguments', () => {
  const allowed = { user: 'ID', ttl: '1h' }

  it('reads both spellings', () => {
    expect(readArguments(['--user', 'ann', '--ttl=2h'], allowed)).toEqual({ user: 'ann', ttl: '2h' })
    expect(readArguments([], allowed)).toEqual({})
    expect(readArguments(['--user', '--odd'], allowed)).toEqual({ user: '--odd' })
  })

  it('refuses what it does not know, with the nearest name, and a missing value', () => {
    expect(() => readArguments(['--usr', 'ann'], allowed)).toThrow(/--usr .*--user\./)
    expect(() => readArguments(['--usr', 'ann'], allowed)).not.toThrow('ann is not known')
    expect(() => readArguments(['--usr', '--odd'], allowed)).toThrow('--odd is not known')
    expect(() => readArguments(['ann'], allowed)).toThrow(/ann /)
    expect(() => readArguments(['--user'], allowed)).toThrow('--user needs a value: --user ID')
    expect(() => readArguments(['--user='], allowed)).toThrow('--user needs a value')
    expect(() => readArguments(['--constructor', 'x'], allowed)).toThrow(/--constructor/)
  })
})

describe('parseDuration', () => {
  it('knows seconds, minutes, hours and days', () => {
    expect(['30s', '15m', '1h', '7d'].map(parseDuration)).toEqual([30_000, 900_000, 3_600_000, 604_800_000])
  })

  it('gives null for anything else', () => {
    for (const text of ['', '1', 'h', '0s', '-1h', '1.5h', '1 h', '1H', '1h30m', '999999d'])
      expect(parseDuration(text), text).toBeNull()
  })
})
