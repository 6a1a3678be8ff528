/**
 * A media node as a process: obtains the worker, then answers over the IPC channel of whoever started it, and ends with it.
 *
 *     fork('sfu/main.js', [JSON.stringify(options)])      messages: `ToSfu` in, `FromSfu` out (schemas/sfu.ts)
 */
import { SystemClock } from '../engine/base/clock.ts'
import { createLog } from '../engine/base/log.ts'
import type { FromSfu, NodeState, SfuAsk, SfuEvent, ToSfu } from '../schemas/sfu.ts'
import { SfuNode } from './node.ts'
import { type SfuOptions, sfuDefaults } from './options.ts'
import { asProblem, SfuProblem } from './problem.ts'
import { loadMediasoup } from './worker/load.ts'
import { MediaWorker, type MediaWorkerState } from './worker/media-worker.ts'

const options: SfuOptions = { ...sfuDefaults, ...(JSON.parse(process.argv[2] ?? '{}') as Partial<SfuOptions>) }
const log = createLog({ level: options.logLevel, name: 'livehouse sfu' })
const clock = new SystemClock()
let node: SfuNode | undefined

const say = (message: FromSfu) => void process.send?.(message)
const emit = (event: SfuEvent) => say({ event })
const tellState = (state: NodeState) => emit({ t: 'node.state', state })

async function answer({ id, t, d }: ToSfu): Promise<void> {
  try {
    if (!node) throw new SfuProblem('stream.unavailable', 'the media worker is not ready')
    say({ id, ok: true, d: await node.request(t, d as SfuAsk<typeof t>) })
  } catch (error) {
    const { code, message: msg } = asProblem(error)
    say({ id, ok: false, err: { code, msg } })
  }
}

async function onWorker(state: MediaWorkerState): Promise<void> {
  if (state.is === 'building') return tellState({ is: 'starting', step: `${state.what} (${state.step} of ${state.ofSteps})` })
  if (state.is === 'failed') return tellState({ is: 'failed', reason: state.reason, wayOut: state.wayOut })
  if (state.is !== 'ready' || node) return
  try {
    const mediasoup = await loadMediasoup(state.path)
    const started = new SfuNode({ mediasoup, workerPath: state.path, options, clock, log, emit })
    await started.start()
    node = started
  } catch (error) {
    log.error({ err: error }, 'media cannot be started')
    tellState({ is: 'failed', reason: String(error), wayOut: 'livehouse doctor shows the state of the media worker' })
  }
}

function end(): void {
  node?.close()
  void obtaining.stop().finally(() => process.exit(0))
}

const { mediasoupWorkerBin } = options
const obtaining = new MediaWorker({ log, ...(mediasoupWorkerBin === undefined ? {} : { mediasoupWorkerBin }) })
process.on('message', (message) => void answer(message as ToSfu))
process.on('disconnect', end)
process.on('SIGTERM', end)
// Ctrl-C goes to the whole group; the engine ends us when it has closed its rooms.
process.on('SIGINT', () => undefined)
obtaining.onChange((state) => void onWorker(state))
tellState({ is: 'starting', step: 'looking for the media worker' })
obtaining.start()
