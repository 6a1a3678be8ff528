import { afterEach, expect, it } from 'vitest'
import { allow, definePlugin } from './plugin/index.ts'
import { startTestEngine, TestClock, type TestEngine } from './testing.ts'

let engine: TestEngine | undefined
afterEach(async () => {
  await engine?.stop()
  engine = undefined
})

it('settled: every event is handed over, by both ways, and what is slow has ended', async () => {
  const seen: string[] = []
  const slow = async ({ t }: { t: string }) => {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    seen.push(t)
  }
  const guard = { order: 1, budgetMs: 50, onFailure: 'open' as const, run: () => allow }
  const plugin = definePlugin({
    name: 'watcher',
    version: '1.0.0',
    guards: { 'danmaku.send': guard },
    events: { 'room.settings_changed': { run: slow }, 'danmaku.sent': { run: slow } },
    schedules: { minute: { everyMs: 60_000, run: () => void seen.push('minute') } },
  })
  const clock = new TestClock()
  engine = await startTestEngine({}, { clock, plugins: [plugin] })
  const ops = await engine.connect({ token: await engine.token('ops', { scope: 'operator' }) })
  await ops.ok('room.join', {}, 'demo')
  await ops.ok('danmaku.send', { text: 'hello' }, 'demo')
  await ops.ok('room.set_settings', { slowModeMs: 5 }, 'demo')
  await engine.settled()
  expect(seen.sort()).toEqual(['danmaku.sent', 'room.settings_changed'])
  await clock.advanceAsync(60_000)
  await engine.settled()
  expect(seen).toContain('minute')
  expect(await engine.plugin('watcher')).toMatchObject({
    state: 'attached',
    events: { lag: 0 },
    live: { queued: 0, delivered: 1 },
  })
  expect((await engine.admin('GET', '/plugins')).body.items).toHaveLength(1)
})

it('says what a remote plugin needs', async () => {
  await expect(startTestEngine({}, { plugins: [{ file: 'a.ts', place: 'remote' }] })).rejects.toThrow('needs the option natsUrl')
})

it('a plugin that does not load fails the start with the reason', async () => {
  await expect(startTestEngine({}, { plugins: [{ file: '/no/such/plugin.ts' }] })).rejects.toThrow(
    '/no/such/plugin.ts: no such file',
  )
})
