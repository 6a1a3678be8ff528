/**
 * The process in which `MediaWorker` obtains the worker: of the lowest priority, and ended when its parent is gone.
 * It sends messages of type `FromObtainer` to its parent; the first message that it gets is its task.
 */
import { setPriority } from 'node:os'
import { createLog } from '../../engine/base/log.ts'
import { ensureWorker, NoWorker } from './ensure.ts'
import type { FromObtainer, ObtainTask } from './media-worker.ts'

const lowest = 19

function tell(message: FromObtainer): Promise<void> {
  return new Promise((done) => {
    if (!process.connected) return done()
    process.send?.(message, () => done())
  })
}

async function obtain(task: ObtainTask, signal: AbortSignal): Promise<void> {
  const log = createLog({ level: task.logLevel, name: 'livehouse' }).child({ part: 'media-worker' })
  try {
    const onProgress = (progress: FromObtainer & { kind: 'progress' }) => void tell(progress)
    const worker = await ensureWorker({
      mediasoupWorkerBin: task.mediasoupWorkerBin,
      again: task.again,
      log,
      signal,
      onProgress: (progress) => onProgress({ kind: 'progress', progress }),
    })
    await tell({ kind: 'ready', worker })
  } catch (error) {
    const { message } = error as Error
    await tell({ kind: 'failed', reason: message, wayOut: error instanceof NoWorker ? error.wayOut : '' })
  }
}

setPriority(lowest)
const ended = new AbortController()
process.once('SIGTERM', () => ended.abort(new Error('stopped')))
process.once('disconnect', () => ended.abort(new Error('the parent is gone')))
process.once('message', (task: ObtainTask) => {
  void obtain(task, ended.signal).finally(() => {
    if (process.connected) process.disconnect()
  })
})
