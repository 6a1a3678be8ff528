/**
 * What to start a worker thread with, from dist and from sources alike.
 *
 * From dist the entry is plain JavaScript. From sources it is TypeScript: a thread takes no loader from `--import` (the one in
 * development registers itself on the main thread only), so a few lines register it there first.
 *
 *     const [url, options] = workerEntry(new URL('./store-worker.ts', import.meta.url), data)
 *     new Worker(url, options)
 */
export function workerEntry<T>(source: URL, workerData: T): [URL, { workerData: T; execArgv: string[] }] {
  const options = { workerData, execArgv: [] }
  if (!import.meta.url.endsWith('.ts')) return [new URL(source.href.replace(/\.ts$/, '.js')), options]
  const code = `import { register } from ${JSON.stringify(import.meta.resolve('tsx/esm/api'))}; register(); await import(${JSON.stringify(source.href)})`
  return [new URL(`data:text/javascript,${encodeURIComponent(code)}`), options]
}
