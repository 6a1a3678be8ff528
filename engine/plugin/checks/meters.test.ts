import { expect, test } from 'vitest'
import { createMetrics } from '../../base/metrics.ts'
import { CheckFailure } from '../places/link.ts'
import { exportHook, HookMeters } from './meters.ts'

test('failures by kind, together the times that the policy decided', () => {
  const meters = new HookMeters({ kind: 'guard', on: 'danmaku.send' })
  for (const reason of ['late', 'late', 'failed', 'unavailable'] as const) meters.failed(new CheckFailure(reason, ''))
  meters.failed(new Error('thrown'))
  meters.failed('thrown')
  expect(meters).toMatchObject({ timeouts: 2, failures: 3, unavailable: 1, policy: 6 })
})

test('percentiles of the newest 512', () => {
  const meters = new HookMeters({ kind: 'guard', on: 'danmaku.send' })
  expect(meters.percentiles()).toEqual({ p50Ms: 0, p99Ms: 0 })
  for (let n = 0; n < 600; n++) meters.took(meters.start() - (n < 88 ? 10_000 : 5))
  const { p50Ms, p99Ms } = meters.percentiles()
  expect(p50Ms).toBeGreaterThanOrEqual(5)
  expect(p99Ms).toBeLessThan(10_000)
  expect(meters.waitedMs).toBeGreaterThanOrEqual(880_000)
})

test('on the metrics page; attached anew, the new numbers stand there', async () => {
  const metrics = createMetrics()
  for (const calls of [3, 5]) {
    const meters = new HookMeters({ kind: 'guard', on: 'danmaku.send' })
    meters.calls = calls
    meters.deny = calls
    exportHook(metrics, 'words', meters)
  }
  const page = await metrics.text()
  expect(page).toContain('livehouse_plugin_hook_calls_total{plugin="words",hook="guard danmaku.send"} 5')
  expect(page).toContain('livehouse_plugin_verdicts_total{plugin="words",hook="guard danmaku.send",verdict="deny"} 5')
})
