/** A few of the deaths that `bench/load/ledger-crash.ts` has many of. */
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { crashRun, inspect } from '../../bench/load/ledger-crash-run.ts'

const children: ChildProcess[] = []
let dir = ''
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(dir, { recursive: true, force: true })
})

test('kill -9 under load, five times: what was answered is there once, and everything adds up', {
  timeout: 120_000,
}, async () => {
  dir = mkdtempSync(join(tmpdir(), 'ledger-crash-'))
  const report = await crashRun({ dir, kills: 5, lifeMsMax: 300, onChild: (child) => children.push(child) })
  expect(report.problems).toEqual([])
  expect(report.acknowledged).toBeGreaterThan(0)
  expect(report.rows).toBeGreaterThanOrEqual(report.acknowledged)
  // And it would be noticed.
  expect(inspect(join(dir, 'ledger.db'), new Set([999_999_999]), 5).problems).toEqual(['1 acknowledged and not there: 999999999'])
})
