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
/** Its workers are there before it is. */
let starting: SfuNode | undefined
let isEnding = false

/** A channel that is cut says so here too; `disconnect` ends us. */
const say = (message: FromSfu) => void (process.connected && process.send?.(message, undefined, undefined, () => undefined))
const emit = (event: SfuEvent) => say({ event })
const tellState = (state: NodeState) => emit({ t: 'node.state', state })

async function answer(message: ToSfu): Promise<void> {
  const { id, t, d } = Object(message) as ToSfu
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
    starting = started
    await started.start()
    node = started
  } catch (error) {
    log.error({ err: error }, 'media cannot be started')
    tellState({ is: 'failed', reason: String(error), wayOut: 'livehouse doctor shows the state of the media worker' })
  }
}

function end(): void {
  if (isEnding) return
  isEnding = true
  starting?.close()
  // Workers end when their channel does, at the latest with us.
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
