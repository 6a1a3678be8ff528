import { expect, test } from 'vitest'
import { errors } from '../../schemas/errors.ts'
import { clockTime, codePoints, coinWords, durationWords, explain, shortNumber, untilWords, waitWords } from './words.ts'

const refusal = (code: string, more: object = {}) => ({ code, message: 'no', detail: {}, ...more })

test('a viewer reads why, and how long', () => {
  const now = new Date(2030, 0, 5, 12, 0).getTime()
  expect(explain(refusal('chat.slow_mode', { retryAfterMs: 3_100 }))).toEqual({
    text: 'Slow mode is on. You can write again in',
    waitMs: 3_100,
  })
  expect(explain(refusal('rate.limited')).text).toBe('That was a bit fast. Try again in a moment.')
  expect(explain(refusal('chat.muted', { detail: { untilAt: now + 600_000 } }), now).text).toBe('You are muted until 12:10.')
  expect(explain(refusal('chat.muted', { detail: { untilAt: 0 } })).text).toBe('You are muted for the rest of this live show.')
  expect(explain(refusal('chat.muted', { detail: { untilAt: -1 } })).text).toBe('You are muted for good.')
  expect(explain(refusal('chat.muted')).text).toBe('Nobody may write just now.')
  expect(explain(refusal('chat.too_long', { detail: { max: 40 } })).text).toBe('That is too long: at most 40 characters.')
  expect(explain(refusal('x.plugin_says', { message: 'Words of a plugin.' })).text).toBe('Words of a plugin.')
})

test('no code of the table is left without a sentence that ends', () => {
  for (const code of Object.keys(errors))
    expect(explain(refusal(code, { message: 'Plain words.' })).text).toMatch(/[.!:] ?.*\.$|\.$/)
})

test('times and counts', () => {
  const now = new Date(2030, 0, 5, 12, 0).getTime()
  expect([1, 1_000, 3_100, 59_999, 61_000, 3_660_000].map(waitWords)).toEqual(['1 s', '1 s', '4 s', '60 s', '2 min', '1 h 1 min'])
  expect(untilWords(now + 3 * 86_400_000, now)).toBe(`until Jan 8, ${clockTime(now)}`)
  expect([5_000, 65_000, 3_725_000].map(durationWords)).toEqual(['0:05', '1:05', '1:02:05'])
  expect([12_345, 7n, '340282366920938463463'].map(coinWords)).toEqual(['12,345', '7', '340,282,366,920,938,463,463'])
  expect([9_999, 12_345, 3_200_000].map(shortNumber)).toEqual(['9999', '12.3k', '3.2M'])
  expect(codePoints('你好👋')).toBe(3)
})

test('says how much may be given, and from when on again', () => {
  const now = new Date(2026, 10, 22, 21, 30).getTime()
  const midnight = new Date(2026, 10, 23).getTime()
  expect(explain(refusal('limit.exceeded', { detail: { max: 1_000_000, resetAt: midnight } }), now).text).toBe(
    'With this you would give more than 1,000,000 coins in a day. You can go on from 00:00.',
  )
  const soon = explain(refusal('limit.exceeded', { detail: { max: 500, resetAt: now + 40_000 } }), now).text
  expect(soon).toContain('more than 500 coins in a minute')
  expect(explain(refusal('limit.exceeded', { message: 'At most 5 coins at once.' })).text).toBe('At most 5 coins at once.')
})
