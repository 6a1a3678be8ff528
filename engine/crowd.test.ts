import { expect, test } from 'vitest'
import { seededRandom } from './base/random.ts'
import { ConfigError } from './config.ts'
import { readPlan } from './crowd.ts'
import { answer, nickname, smallTalk } from './crowd-lines.ts'

test('the command line of a crowd, with defaults', () => {
  expect(readPlan([])).toMatchObject({ room: 'demo', viewers: 50, ratePerS: 3, durationMs: 600_000, dataDir: undefined })
  const plan = readPlan(['--url', 'ws://[::1]:9000/live', '--viewers=200', '--rate', '0.5', '--minutes', '2', '--room', 'r1'])
  expect(plan).toMatchObject({ room: 'r1', viewers: 200, ratePerS: 0.5, durationMs: 120_000 })
  expect(plan.url.href).toBe('ws://[::1]:9000/live')
})

test.each([
  [['--url', 'ws://live.example.com/live'], /not this machine/],
  [['--url', 'http://127.0.0.1/'], /not an address/],
  [['--viewers', '100000'], /from 1 to 2000/],
  [['--rate', 'fast'], /from 0 to 1000/],
  [['--veiwers', '10'], /nearest is --viewers/],
  [['--room', 'a b'], /letters/],
])('refuses %j', (argv, message) => {
  expect(() => readPlan(argv)).toThrow(ConfigError)
  expect(() => readPlan(argv)).toThrow(message)
})

test('small talk is short, varied and in whole characters', () => {
  const random = seededRandom(1)
  const lines = Array.from({ length: 2_000 }, () => (random.float() < 0.2 ? answer(random) : smallTalk(random)))
  expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThanOrEqual(40)
  expect(new Set(lines).size).toBeGreaterThan(300)
  expect(lines.every((line) => line.isWellFormed() && line.trim() !== '')).toBe(true)
  expect(new Set(Array.from({ length: 500 }, (_, i) => nickname(i))).size).toBe(500)
})
