/**
 * Compiles the sources once, before the tests that start threads and processes: a loader of TypeScript costs each of them about a second of
 * a core, and these tests start hundreds. No types are checked (`npm run check` does), so this takes a second or two; every run has a
 * folder of its own, made from the sources of this moment and removed at its end. What reads it: `engine/base/worker-entry.ts`.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const home = join(root, '.cache/compiled')
/** A run that was killed leaves its folder behind; none takes this long. */
const staleMs = 6 * 3_600_000

function removeStale(): void {
  for (const name of readdirSync(home)) {
    const folder = join(home, name)
    const madeAtMs = statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0
    if (Date.now() - madeAtMs > staleMs) rmSync(folder, { recursive: true, force: true })
  }
}

/** What plugins import by package name, for a loader of TypeScript in a process that runs one. */
const paths = {
  'livehouse/plugin': ['./engine/plugin/index.js'],
  'livehouse/tables': ['./engine/plugin/tables.js'],
  'livehouse/testing': ['./engine/testing.js'],
}

export default function setup(): () => void {
  mkdirSync(home, { recursive: true })
  removeStale()
  const folder = mkdtempSync(join(home, 'run-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const args = ['-p', join(root, '.config/tsconfig.compiled.json'), '--outDir', folder]
  const { status, stdout, error } = spawnSync(join(root, 'node_modules/.bin/tsc'), args, { encoding: 'utf8' })
  if (status !== 0) {
    remove()
    throw error ?? new Error(`The sources do not compile:\n${stdout}`)
  }
  // As in dist: the pages stand beside the engine.
  symlinkSync(join(root, 'dist/pages'), join(folder, 'pages'))
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { paths } }))
  process.env['TEST_COMPILED_SOURCES'] = folder
  return remove
}
