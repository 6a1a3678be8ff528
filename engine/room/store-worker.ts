/** Entry of the store worker: owns core.db and runs one batch per message. `store-thread.ts` is its other end. */
import { parentPort, workerData } from 'node:worker_threads'
import { CoreDb, type CoreDbOptions } from './core-db.ts'
import type { FromWorker, ToWorker } from './store-thread.ts'

const port = parentPort
if (!port) throw new Error('store-worker runs as a worker thread')
const answer = (message: FromWorker) => port.postMessage(message)
const text = (error: unknown) => (error instanceof Error ? error.message : String(error))

function serve(db: CoreDb): void {
  port?.on('message', (message: ToWorker) => {
    if ('close' in message) {
      db.close()
      port?.close()
      return
    }
    try {
      answer({ result: db.batch(message.ops) })
    } catch (error) {
      answer({ failed: text(error) })
    }
  })
  answer({ ready: true })
}

let db: CoreDb | undefined
try {
  db = new CoreDb(workerData as CoreDbOptions)
} catch (error) {
  answer({ refused: text(error) })
}
if (db) serve(db)
