/**
 * Where the media worker comes from, in this order:
 *
 *   1. a path that somebody gives: option `mediasoupWorkerBin`, environment MEDIASOUP_WORKER_BIN
 *   2. the cache (`cache.ts`): obtained once on this machine
 *   3. the official binary of mediasoup (`official.ts`), where the network permits
 *   4. built from mediasoup's sources against the libraries of this system (`build.ts`), about 200 s of CPU
 *
 *   const worker = await ensureWorker({ onProgress: (progress) => print(inWords(progress)) })
 *   const found = await findWorker()                                    1 and 2 alone: what is there already
 *
 * A build takes all cores: call `ensureWorker` in a process of low priority, as `MediaWorker` does.
 */
import { accessSync, constants, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Log, silentLog } from '../../engine/base/log.ts'
import { buildWorker, CannotBuild } from './build.ts'
import { binaryName, type Cached, cacheFolder, entryName, install, type Origin, readCached } from './cache.ts'
import { takeLock } from './lock.ts'
import { getOfficial } from './official.ts'
import { starts } from './probe.ts'
import type { OnProgress } from './progress.ts'
import { mediasoupPackage, type Recipe, readRecipe } from './recipe.ts'

export type Worker = { path: string; version: string; origin: Origin | { how: 'given' } }

export type FindOptions = {
  /** The path of a worker; MEDIASOUP_WORKER_BIN if left out. */
  mediasoupWorkerBin?: string | undefined
}

export type EnsureOptions = FindOptions & {
  onProgress?: OnProgress
  log?: Log
  signal?: AbortSignal | undefined
  /** Obtain it anew, whatever is in the cache. */
  again?: boolean
}

/** There is no worker, and why; `wayOut` is what the user can do. */
export class NoWorker extends Error {
  readonly wayOut: string
  constructor(message: string, wayOut: string) {
    super(message)
    this.name = 'NoWorker'
    this.wayOut = wayOut
  }
}

/** Entries of the cache that are kept, the newest first: other versions, other checkouts. */
const entriesMax = 6

/** What the names of folders have in which something is built. */
const building = '.building-'

/** A worker that is there and starts; `undefined` when there is none. A given path that does not work is an error. */
export async function findWorker(options: FindOptions = {}): Promise<Worker | undefined> {
  return (await given(options)) ?? (await cached(readRecipe()))
}

export async function ensureWorker(options: EnsureOptions = {}): Promise<Worker> {
  const { again = false, signal, onProgress = () => undefined } = options
  const byHand = await given(options)
  if (byHand) return byHand
  const recipe = readRecipe()
  const ready = again ? undefined : await cached(recipe)
  if (ready) return ready
  const onWait = () => onProgress({ what: 'waiting for another process that builds it', step: 0, ofSteps: 1 })
  needWritable(cacheFolder())
  const lock = await takeLock(join(cacheFolder(), `${entryName(recipe)}.lock`), { onWait, signal })
  try {
    // Whoever held the lock before may have brought it.
    return (again ? undefined : await cached(recipe)) ?? (await obtain(recipe, options))
  } finally {
    await lock.release()
  }
}

function needWritable(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new NoWorker(
      `the media worker has no place: ${(error as Error).message}`,
      'set LIVEHOUSE_CACHE_DIR to a folder of yours',
    )
  }
}

async function given({ mediasoupWorkerBin }: FindOptions): Promise<Worker | undefined> {
  const path = mediasoupWorkerBin || process.env.MEDIASOUP_WORKER_BIN
  if (!path) return undefined
  const file = resolve(path)
  const fault = await starts(file)
  if (fault !== undefined) {
    throw new NoWorker(
      `the media worker ${file} does not start: ${fault}`,
      'unset MEDIASOUP_WORKER_BIN, or give the path of one that runs',
    )
  }
  return { path: file, version: mediasoupPackage().version, origin: { how: 'given' } }
}

async function cached(recipe: Recipe): Promise<Worker | undefined> {
  const found = readCached(join(cacheFolder(), entryName(recipe)))
  if (found === undefined || found === 'damaged') return undefined
  // After an upgrade of the system a library may be gone.
  return (await starts(found.path)) === undefined ? asWorker(found) : undefined
}

const asWorker = ({ path, manifest: { version, origin } }: Cached): Worker => ({ path, version, origin })

async function obtain(recipe: Recipe, { onProgress = () => undefined, log = silentLog, signal }: EnsureOptions): Promise<Worker> {
  const folder = buildFolder(recipe)
  try {
    onProgress({ what: 'asking for the official build', step: 0, ofSteps: 1 })
    const official = await getOfficial({ folder: join(folder, 'official'), signal })
    if ('file' in official) return await keep(official.file, recipe, { how: 'official' })
    log.info({ reason: official.reason }, 'no official media worker, it is built from its sources')
    const { file, crypto } = await buildWorker({ recipe, folder, onProgress, log, signal })
    if (crypto === 'system') {
      log.warn(
        { remedy: srtpRemedy },
        'the media worker encrypts with the library of the system, at up to twice the CPU a packet',
      )
    }
    return await keep(file, recipe, { how: 'built', crypto })
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof NoWorker) throw error
    const wayOut = error instanceof CannotBuild ? error.wayOut : otherWay()
    throw new NoWorker((error as Error).message, wayOut)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const otherWay = () =>
  `put a mediasoup-worker of version ${mediasoupPackage().version} on this machine and set MEDIASOUP_WORKER_BIN to its path`
export const srtpRemedy = 'apt-get install dpkg-dev, then livehouse media build-worker --again'

async function keep(file: string, recipe: Recipe, origin: Origin): Promise<Worker> {
  const fault = await starts(file)
  if (fault !== undefined) throw new NoWorker(`the media worker was made but does not start: ${fault}`, otherWay())
  const worker = asWorker(install(file, join(cacheFolder(), entryName(recipe)), { version: recipe.version, origin }))
  forgetOld()
  return worker
}

/** In the cache rather than in the folder for temporary files, where programs may be forbidden and room short (0.3 GB are needed). */
function buildFolder(recipe: Recipe): string {
  const prefix = `${entryName(recipe)}${building}`
  // The lock is held: what is here was left by a build that was killed.
  for (const name of readdirSync(cacheFolder()).filter((one) => one.startsWith(prefix))) {
    rmSync(join(cacheFolder(), name), { recursive: true, force: true })
  }
  return mkdtempSync(join(cacheFolder(), prefix))
}

function forgetOld(): void {
  const entries = readdirSync(cacheFolder(), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name.startsWith(binaryName) && !entry.name.includes(building))
    .map(({ name }) => join(cacheFolder(), name))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)
  for (const folder of entries.slice(entriesMax)) rmSync(folder, { recursive: true, force: true })
}
