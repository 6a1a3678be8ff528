/**
 * What `livehouse doctor` says about the media worker: where it is, how it was obtained, whether it runs.
 *
 *   const { state, found, remedy } = await examineWorker()
 */

import { join } from 'node:path'
import { binaryName, cacheFolder, entryName, readCached } from './cache.ts'
import { isDebian, missingForBuild, wayOut } from './debian.ts'
import { findWorker, NoWorker, srtpRemedy, type Worker } from './ensure.ts'
import { answers } from './probe.ts'
import { readRecipe } from './recipe.ts'

export type WorkerFinding = { state: 'ok' | 'warn' | 'problem'; found: string; remedy?: string }

export const originInWords = ({ origin }: Worker): string => {
  if (origin.how === 'given') return 'given by MEDIASOUP_WORKER_BIN'
  if (origin.how === 'official') return "mediasoup's own build"
  return `built here, SRTP by ${origin.crypto === 'openssl' ? 'OpenSSL' : 'the library of the system'}`
}

export async function examineWorker(): Promise<WorkerFinding> {
  try {
    const worker = await findWorker()
    return worker ? await examine(worker) : await absent()
  } catch (error) {
    const remedy = error instanceof NoWorker ? error.wayOut : 'npm install, the package mediasoup is not as it should be'
    return { state: 'problem', found: (error as Error).message, remedy }
  }
}

async function examine(worker: Worker): Promise<WorkerFinding> {
  const answer = await answers(worker.path)
  if ('reason' in answer) {
    return {
      state: 'problem',
      found: `${worker.path} does not answer: ${answer.reason}`,
      remedy: 'livehouse media build-worker --again',
    }
  }
  const found = `mediasoup ${answer.version}, ${originInWords(worker)}, answers: ${worker.path}`
  const slow = worker.origin.how === 'built' && worker.origin.crypto === 'system'
  return slow ? { state: 'warn', found: `${found}; up to twice the CPU a packet`, remedy: srtpRemedy } : { state: 'ok', found }
}

/** No reason to keep the engine from starting: it does all but media, and obtains the worker meanwhile. */
async function absent(): Promise<WorkerFinding> {
  const damaged = readCached(join(cacheFolder(), entryName(readRecipe()))) !== undefined
  const found = damaged ? `the ${binaryName} in the cache is damaged or does not start` : 'not there yet, media comes when it is'
  const missing = await missingForBuild()
  if (missing.length === 0)
    return { state: 'warn', found, remedy: 'livehouse serve obtains it, or now: livehouse media build-worker' }
  const names = missing.map(({ what }) => what).join(', ')
  const how = isDebian() ? wayOut(missing) : `${wayOut(missing)}, or give one by MEDIASOUP_WORKER_BIN`
  return { state: 'warn', found: `${found}; to build it, ${names} would be needed`, remedy: how }
}
