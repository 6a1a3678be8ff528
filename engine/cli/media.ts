/**
 * `livehouse media build-worker`: the media worker, now and in the foreground, instead of while the engine runs.
 *
 *   livehouse media build-worker --install      as root on Debian: with the packages that the build needs
 *   livehouse media build-worker --again        whatever is in the cache
 */
import { readCommandLine } from '../arguments.ts'
import { createLog } from '../base/log.ts'
import { CommandError, print } from './terminal.ts'

export function mediaHelp(): string {
  return `livehouse media build-worker [--install] [--again]

Brings the program that moves audio and video: mediasoup's own build if it can be fetched, else built from its sources, once, about
200 s of CPU. serve does the same by itself in the background, and turns media on when it is there.

  --install         installs the Debian packages that the build needs (as root)
  --again           does not take the one that is there already

Examples
  livehouse media build-worker
  MEDIASOUP_WORKER_BIN=/opt/mediasoup-worker livehouse serve      one of your own`
}

export async function runMediaVerb(argv: readonly string[]): Promise<number> {
  const { positional, switches } = readCommandLine(argv, {
    allowed: {},
    positional: 'build-worker',
    switches: ['install', 'again'],
  })
  if (positional !== 'build-worker') throw new CommandError(mediaHelp())
  const [{ ensureWorker, NoWorker }, { installForBuild }, { inWords }, { originInWords }, os] = await Promise.all([
    import('../../sfu/worker/ensure.ts'),
    import('../../sfu/worker/debian.ts'),
    import('../../sfu/worker/progress.ts'),
    import('../../sfu/worker/state.ts'),
    import('node:os'),
  ])
  os.setPriority(19)
  const stopped = new AbortController()
  const { signal } = stopped
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopped.abort(new CommandError('stopped')))
  try {
    if (switches.has('install')) await installForBuild(signal)
    const log = createLog({ level: 'warn', name: 'livehouse' })
    const worker = await ensureWorker({
      again: switches.has('again'),
      log,
      signal,
      onProgress: (progress) => print(`  ${inWords(progress)}`),
    })
    print(`mediasoup ${worker.version}, ${originInWords(worker)}\n${worker.path}`)
    return 0
  } catch (error) {
    if (error instanceof NoWorker) throw new CommandError(`${error.message}\n-> ${error.wayOut}`)
    throw error
  }
}
