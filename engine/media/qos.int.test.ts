/** The minute of a room that plays: with what the node sends to its viewers. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { QosSample } from '../plugin/hooks.ts'
import { definePlugin } from '../plugin/index.ts'
import { startTestEngine, TestClock, type TestEngine } from '../testing.ts'
import { mediaReady, until } from './fixtures/client.ts'

const clock = new TestClock()
const sampled: QosSample[] = []
const watcher = definePlugin({
  name: 'watcher',
  version: '1.0.0',
  events: { 'stream.qos_sampled': { run: ({ d }) => void sampled.push(d) } },
})
let engine: TestEngine
beforeAll(async () => {
  engine = await startTestEngine({ media: true, mediaWorkers: 1 }, { clock, plugins: [watcher] })
  await mediaReady(engine)
}, 60_000)
afterAll(() => engine.stop())

it('tells the egress of the room, now and at most', async () => {
  const viewer = await engine.connect()
  await viewer.ok('room.join', {}, 'demo')
  await viewer.ok('stream.get_capabilities', {}, 'demo')
  const egress = await until('the room to be measured', () => engine.media?.egressOf('demo'))
  clock.advance(10_000)
  await viewer.ok('stream.report_qos', { windowMs: 10_000, playMs: 10_000, stallMs: 0 }, 'demo')
  clock.advance(60_000)
  await engine.settled()
  // Nobody plays yet.
  expect(egress).toEqual({ egressBps: 0, egressBpsPeak: 0 })
  expect(sampled).toEqual([{ windowMs: 60_000, reports: 1, playMs: 10_000, stallMs: 0, stallBps: 0, ...egress }])
})
