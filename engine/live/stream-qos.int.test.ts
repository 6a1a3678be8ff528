/** Reports of viewers, a minute of a room, and who hears of it. They need no media node. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createLog } from '../base/log.ts'
import { definePlugin } from '../plugin/index.ts'
import { startTestEngine, TestClock, type TestEngine } from '../testing.ts'

const clock = new TestClock()
const lines: string[] = []
const log = createLog({ level: 'warn', name: 'test', to: { write: (line: string) => void lines.push(line) } })
const sampled: unknown[] = []
const watcher = definePlugin({
  name: 'watcher',
  version: '1.0.0',
  events: { 'stream.qos_sampled': { run: ({ room, d }) => void sampled.push([room, d]) } },
})
let engine: TestEngine
beforeAll(async () => {
  engine = await startTestEngine({}, { clock, log, plugins: [watcher] })
})
afterAll(() => engine.stop())

const metric = async (name: string) => {
  const page = await (await fetch(new URL('/metrics', engine.adminUrl))).text()
  return Number(new RegExp(`^livehouse_stream_qos_${name}_total (\\S+)$`, 'm').exec(page)?.[1])
}

it('adds up a minute, tells plugins, and raises the alarm above half a percent', async () => {
  const [one, two] = [await engine.connect(), await engine.connect()]
  for (const viewer of [one, two]) await viewer.ok('room.join', {}, 'demo')
  for (let i = 0; i < 4; i++) {
    clock.advance(10_000)
    await one.ok('stream.report_qos', { windowMs: 10_000, playMs: 10_000, stallMs: 0, rttMs: 40 }, 'demo')
    await two.ok('stream.report_qos', { windowMs: 10_000, playMs: 10_000, stallMs: 200, rttMs: 60, lossBps: 100 }, 'demo')
  }
  expect(sampled).toEqual([])
  clock.advance(60_000)
  await engine.settled()
  const minute = { windowMs: 60_000, reports: 8, playMs: 80_000, stallMs: 800, stallBps: 100, rttMs: 50, lossBps: 100 }
  expect(sampled).toEqual([['demo', minute]])
  expect(lines.filter((line) => line.includes('viewers stall'))).toHaveLength(1)
  expect(await Promise.all(['reports', 'play_ms', 'stall_ms', 'alerts', 'refused'].map(metric))).toEqual([8, 80_000, 800, 1, 0])
  // Nobody plays: nothing is said.
  clock.advance(300_000)
  expect(sampled).toHaveLength(1)
})

it.each([
  [300, 0],
  [301, 1],
])('%i ms of a minute of 60,000 ms: %i alarms', async (stallMs, alarms) => {
  const before = await metric('alerts')
  const viewer = await engine.connect()
  await viewer.ok('room.join', {}, 'demo')
  for (const stalled of [stallMs - 100, 100]) {
    clock.advance(30_000)
    await viewer.ok('stream.report_qos', { windowMs: 30_000, playMs: 30_000, stallMs: stalled }, 'demo')
  }
  clock.advance(60_000)
  await engine.settled()
  expect(sampled.at(-1)).toMatchObject(['demo', { playMs: 60_000, stallMs, stallBps: 50 }])
  expect((await metric('alerts')) - before).toBe(alarms)
})

it('takes one report a second and session, and none that cannot be', async () => {
  const viewer = await engine.connect()
  const report = { windowMs: 10_000, playMs: 10_000, stallMs: 0 }
  expect((await viewer.refused('stream.report_qos', report, 'demo')).code).toBe('room.not_joined')
  await viewer.ok('room.join', {}, 'demo')
  await viewer.ok('stream.report_qos', report, 'demo')
  expect(await viewer.refused('stream.report_qos', report, 'demo')).toMatchObject({ code: 'rate.limited', retryAfterMs: 1_000 })
  clock.advance(2_000)
  // Ten seconds in two.
  expect((await viewer.refused('stream.report_qos', report, 'demo')).code).toBe('request.invalid')
  const cannot = { windowMs: 2_000, playMs: 1_000, stallMs: 2_000 }
  expect((await viewer.refused('stream.report_qos', cannot, 'demo')).code).toBe('request.invalid')
  for (const bad of [{ ...report, windowMs: 0 }, { ...report, playMs: -1 }, { ...report, stallMs: 1e9 }, {}])
    expect((await viewer.refused('stream.report_qos', bad, 'demo')).code).toBe('request.invalid')
  expect(await metric('refused')).toBe(3)
})
