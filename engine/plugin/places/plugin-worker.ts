/** Entry of a plugin's worker thread: loads the plugin, says what it is, then serves it. `worker.ts` is its other end. */
import { parentPort, workerData } from 'node:worker_threads'
import { SystemClock } from '../../base/clock.ts'
import type { Channel, ChannelEvents } from './channel.ts'
import { loadPlugin } from './load.ts'
import { Served, textOf } from './serve.ts'
import type { WorkerData, WorkerHello } from './worker.ts'

const port = parentPort
if (!port) throw new Error('plugin-worker runs as a worker thread')
const { file, sdk } = workerData as WorkerData

class Port implements Channel {
  open(events: ChannelEvents): void {
    port?.on('message', (text: string) => events.onText(text))
  }
  send(text: string): boolean {
    port?.postMessage(text)
    return true
  }
  /** Why is for whoever attached it. */
  close(reason: string): void {
    port?.postMessage({ closed: reason } satisfies WorkerHello)
    port?.close()
  }
}

async function main(): Promise<void> {
  let served: Served
  try {
    const plugin = await loadPlugin(file)
    // Timers of the plugin and its connections may be open still: the thread ends with the line.
    served = new Served({ plugin, sdk, channel: new Port(), clock: new SystemClock(), onEnd: () => process.exit(0) })
  } catch (error) {
    port?.postMessage({ refused: textOf(error) } satisfies WorkerHello)
    return
  }
  served.open()
  port?.postMessage({ manifest: served.runner.manifest } satisfies WorkerHello)
}

void main()
