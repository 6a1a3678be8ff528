/** Entry of the process that owns one plugin's database file. `plugin-db-process.ts` is its other end. */
import { writeFile } from 'node:fs/promises'
import { setPriority } from 'node:os'
import { Worker } from 'node:worker_threads'
import { faultOf, PluginDbFile, type PluginDbOptions } from './plugin-db.ts'
import type { FromDb, ToDb } from './plugin-db-process.ts'

const answer = (message: FromDb) => process.send?.(message)
let file: PluginDbFile | undefined

process.on('message', (message: ToDb) => {
  if ('open' in message) open(message.open)
  else if ('calls' in message) answer({ outcomes: file?.run(message.calls) ?? [] })
  else {
    file?.close()
    process.disconnect() // the last thing that keeps this process alive
  }
})
process.on('disconnect', () => process.exit())
// Ctrl-C and a service's stop reach every process of the engine; this one is needed until the engine has drained and closes it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)

function open(options: PluginDbOptions): void {
  try {
    file = new PluginDbFile(options)
    answer({ ready: true })
  } catch (error) {
    answer({ refused: faultOf(error) })
  }
}

// The plugin's SQL comes after the engine's sockets when processors are short, and goes first when memory is.
setPriority(5)
writeFile('/proc/self/oom_score_adj', '1000').catch(() => undefined) // not on every system, and nothing depends on it

// While SQLite runs a statement, this thread does not hear that the engine is gone: kill -9 of the engine in the middle of an endless
// statement would leave it running for ever. A thread that sleeps and looks for the parent ends both.
const watch =
  'const { workerData: parent } = require("node:worker_threads"), sleep = new Int32Array(new SharedArrayBuffer(4));' +
  'while (process.ppid === parent) Atomics.wait(sleep, 0, 0, 1000);' +
  'process.kill(process.pid, "SIGKILL")'
new Worker(watch, {
  eval: true,
  workerData: Number(process.argv[2]), // told by the engine: asked for here, it might already be another
  execArgv: [],
  resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1 },
}).unref()
