/**
 * mediasoup with the worker that was obtained: it takes the path from the environment, once, when it is loaded.
 *
 *   const mediasoup = await loadMediasoup(worker.path)
 *   const worker = await mediasoup.createWorker({ disableLiburing: true })
 *
 * `import ... from 'mediasoup'` elsewhere may bring types alone.
 */
export async function loadMediasoup(path: string): Promise<typeof import('mediasoup')> {
  const before = process.env.MEDIASOUP_WORKER_BIN
  process.env.MEDIASOUP_WORKER_BIN = path
  const mediasoup = await import('mediasoup')
  if (before === undefined) delete process.env.MEDIASOUP_WORKER_BIN
  else process.env.MEDIASOUP_WORKER_BIN = before
  if (mediasoup.workerBin !== path) throw new Error(`mediasoup was loaded before, with the worker ${mediasoup.workerBin}`)
  return mediasoup
}
