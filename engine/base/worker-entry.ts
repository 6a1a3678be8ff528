/**
 * What to start a worker thread or a process of our own with, from dist and from sources alike.
 *
 * From dist the entry is plain JavaScript. From sources it is TypeScript: a process takes a loader by `--import`, a thread does not (the
 * one in development registers itself on the main thread only), so a few lines register it there first. Either costs about a second of
 * a core; so tests compile the sources once and say in TEST_COMPILED_SOURCES where.
 *
 *     const [url, options] = workerEntry(new URL('./store-worker.ts', import.meta.url), data)
 *     new Worker(url, options)
 *
 *     const { file, execArgv } = programEntry(new URL('./plugin-db-entry.ts', import.meta.url))
 *     fork(file, [], { execArgv })
 */
import { relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { packageRoot } from './package.ts'

export function workerEntry<T>(source: URL, workerData: T): [URL, { workerData: T; execArgv: string[] }] {
  const options = { workerData, execArgv: [] }
  const plain = plainEntry(source)
  if (plain) return [plain, options]
  const code = `import { register } from ${JSON.stringify(import.meta.resolve('tsx/esm/api'))}; register(); await import(${JSON.stringify(source.href)})`
  return [new URL(`data:text/javascript,${encodeURIComponent(code)}`), options]
}

export function programEntry(source: URL): { file: string; execArgv: string[] } {
  const plain = plainEntry(source)
  if (plain) return { file: fileURLToPath(plain), execArgv: [] }
  return { file: fileURLToPath(source), execArgv: ['--import', import.meta.resolve('tsx')] }
}

/** The compiled file for a source file, wherever this package has one. */
export function plainEntry(source: URL): URL | undefined {
  const compiled = process.env['TEST_COMPILED_SOURCES']
  const toPlain = (url: URL) => new URL(url.href.replace(/\.ts$/, '.js'))
  if (!import.meta.url.endsWith('.ts')) return toPlain(source)
  if (compiled === undefined) return undefined
  return toPlain(pathToFileURL(`${compiled}/${relative(packageRoot, fileURLToPath(source))}`))
}
