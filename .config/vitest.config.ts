/**
 * The kinds of tests, by file name: x.test.ts (unit), x.int.test.ts, x.sim.test.ts, x.fuzz.test.ts, x.browser.test.ts.
 * Two files at a time, browser tests one: each starts real servers, and machines with two cores must do. The files that a process runs
 * share its modules (no isolation): loading the engine anew for every file took most of the time. So a test leaves nothing behind.
 */
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const root = fileURLToPath(new URL('..', import.meta.url))
const source = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url))
const folders = '{engine,schemas,bench,examples,plugins,sfu,.config}'
/** For threads and processes that tests start. */
const compiled = [source('.config/compiled.ts')]
const kinds = ['int', 'sim', 'fuzz', 'browser']

/** `retry`: for tests with a browser or many sockets, which a busy machine can starve of time; a real fault fails twice. */
type Bounds = { testTimeout: number; fileParallelism: boolean; retry?: number; globalSetup?: string[] }
const project = (
  name: string,
  include: string[],
  exclude: string[],
  { testTimeout, fileParallelism, retry = 0, globalSetup = [] }: Bounds,
) => ({
  extends: true as const,
  test: {
    name,
    include,
    exclude: ['**/node_modules/**', '**/dist/**', ...exclude],
    testTimeout,
    hookTimeout: 60_000,
    fileParallelism,
    isolate: false,
    retry,
    globalSetup,
  },
})
const ofKind = (kind: string, name: string, bounds: Bounds) =>
  project(name, [`${folders}/**/*.${kind}.test.{ts,tsx}`], [], bounds)

export default defineConfig({
  root,
  cacheDir: '.cache/vite',
  resolve: {
    // What examples import by package name, straight from the source: unit tests need no build.
    alias: {
      'livehouse/client': source('engine/client/node.ts'),
      'livehouse/plugin': source('engine/plugin/index.ts'),
      'livehouse/tables': source('engine/plugin/tables.ts'),
      'livehouse/testing': source('engine/testing.ts'),
    },
  },
  test: {
    root,
    maxWorkers: 2,
    dangerouslyIgnoreUnhandledErrors: false,
    projects: [
      project(
        'unit',
        [`${folders}/**/*.test.{ts,tsx}`],
        kinds.map((kind) => `**/*.${kind}.test.{ts,tsx}`),
        { testTimeout: 20_000, fileParallelism: true },
      ),
      ofKind('int', 'integration', { testTimeout: 120_000, fileParallelism: true, retry: 1, globalSetup: compiled }),
      ofKind('sim', 'simulation', { testTimeout: 180_000, fileParallelism: true }),
      ofKind('fuzz', 'fuzz', { testTimeout: 120_000, fileParallelism: true }),
      ofKind('browser', 'browser', { testTimeout: 120_000, fileParallelism: false, retry: 1, globalSetup: compiled }),
    ],
  },
})
