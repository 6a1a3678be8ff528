/**
 * `npm test`: everything, ending with a line `N passed, N failed` that is counted from the runner's own result.
 *
 *   npm test                    packages, build, types, lint, unit, integration, simulation, fuzz, browser
 *   npm test -- room/tick       only test files whose path holds `room/tick` (no types, no lint)
 *   npm run test:unit           unit tests alone: no build, no Debian packages
 *   npm run check               types and lint alone
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from './build.mjs'
import { ensureDebianPackages } from './debian.mjs'
import { bin, ensurePackages, main, needNode, root, run, StepError } from './steps.mjs'

const artifacts = join(root, '.artifacts')
const kinds = ['unit', 'integration', 'simulation', 'fuzz', 'browser']

const count = { passed: 0, failed: 0, skipped: 0 }
const failures = []

function heading(text) {
  process.stdout.write(`\n== ${text}\n`)
}

const secondsSince = (startedMs) => `${((performance.now() - startedMs) / 1000).toFixed(1)} s`

/** A check that passes or fails as a whole counts as one test. */
async function check(title, command, args) {
  heading(title)
  const startedMs = performance.now()
  const { code } = await run(command, args, { show: true })
  process.stdout.write(`${title}: ${code === 0 ? 'ok' : 'FAILED'} (${secondsSince(startedMs)})\n`)
  if (code === 0) count.passed++
  else fail(title)
}

function fail(what) {
  count.failed++
  failures.push(what)
}

async function checks() {
  await check('types', bin('tsc'), ['--noEmit', '-p', '.'])
  await check('lint', bin('biome'), ['check', '.'])
}

/** Vitest's JSON result; null when it ended before it could write one. */
function readResult(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return null
  }
}

async function vitest(kind, filters) {
  heading(`${kind} tests`)
  const startedMs = performance.now()
  const file = join(artifacts, `${kind}.json`)
  rmSync(file, { force: true })
  const args = ['run', '--config', '.config/vitest.config.ts', '--project', kind, '--passWithNoTests']
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  const { code } = await run(bin('vitest'), [...args, ...reporters, ...filters], { show: true })
  record(kind, code, readResult(file))
  process.stdout.write(`${kind}: ${secondsSince(startedMs)}\n`)
}

/** A file that could not be loaded has no tests to fail, and an unhandled error fails none: both count as one failure. */
function record(kind, code, result) {
  const before = count.failed
  count.passed += result?.numPassedTests ?? 0
  count.skipped += (result?.numPendingTests ?? 0) + (result?.numTodoTests ?? 0)
  for (const file of result?.testResults ?? []) {
    const failed = file.assertionResults.filter((test) => test.status === 'failed')
    for (const test of failed) fail(`${kind}: ${test.fullName}`)
    if (failed.length === 0 && file.status === 'failed') fail(`${kind}: ${file.name} could not run`)
  }
  if (code !== 0 && count.failed === before) fail(`${kind}: the runner ended with ${code}`)
}

function finish() {
  if (count.passed + count.failed === 0) fail('no test ran')
  process.stdout.write('\n')
  for (const failure of failures) process.stdout.write(`failed: ${failure}\n`)
  if (count.skipped > 0) process.stdout.write(`${count.skipped} skipped\n`)
  process.stdout.write(`${count.passed} passed, ${count.failed} failed\n`)
  process.exitCode = count.failed === 0 ? 0 : 1
}

/** What can run without a build still runs. */
async function buildOrFail() {
  try {
    await build()
  } catch (error) {
    if (!(error instanceof StepError)) throw error
    process.stdout.write(`${error.message}\n`)
    fail('build')
  }
}

/** Built once on a machine. The tests that need it would do so themselves, but one test cannot show how far that is. */
async function mediaWorker() {
  heading('media worker')
  const { code } = await run(process.execPath, ['dist/engine/main.js', 'media', 'build-worker'], { show: true })
  if (code !== 0) fail('media worker')
}

async function everything(filters) {
  await ensureDebianPackages()
  await buildOrFail()
  if (filters.length === 0) {
    await checks()
    await mediaWorker()
  }
  for (const kind of kinds) await vitest(kind, filters)
}

await main(async () => {
  needNode(20)
  process.chdir(root)
  mkdirSync(artifacts, { recursive: true })
  await ensurePackages()
  const [part, ...rest] = process.argv.slice(2)
  if (part === 'unit') await vitest('unit', rest)
  else if (part === 'check') await checks()
  else await everything(process.argv.slice(2))
  finish()
})
