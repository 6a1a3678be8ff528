/** Obtaining the worker, for real: from the cache, or built when it is not there. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { silentLog } from '../../engine/base/log.ts'
import { entryName, install } from './cache.ts'
import { ensureWorker, findWorker } from './ensure.ts'
import { takeLock } from './lock.ts'
import { MediaWorker, type MediaWorkerState } from './media-worker.ts'
import { answers, starts } from './probe.ts'
import { inWords } from './progress.ts'
import { mediasoupPackage, readRecipe } from './recipe.ts'
import { examineWorker } from './state.ts'

/** When nothing is in the cache it is built, on a machine that may be busy. */
const buildMsMax = 30 * 60_000

let folder = ''
let path = ''
const mediaWorker = new MediaWorker({ log: silentLog })
const states: MediaWorkerState[] = []
const children: ChildProcess[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'livehouse-worker-'))
  mediaWorker.onChange((state) => states.push(state))
  mediaWorker.onChange((state) => state.is === 'building' && state.step > 0 && console.info(`media worker: ${inWords(state)}`))
  mediaWorker.start()
  path = (await mediaWorker.ready()).path
}, buildMsMax)
afterEach(() => vi.unstubAllEnvs())
afterAll(async () => {
  await mediaWorker.stop()
  for (const child of children) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** A program that the system starts and that is no worker. */
function impostor(): string {
  const file = join(folder, 'impostor')
  writeFileSync(file, '#!/bin/sh\necho "no worker" >&2\nexit 3\n')
  chmodSync(file, 0o755)
  return file
}

describe('the media worker', () => {
  it('starts and answers, and the doctor says so', async () => {
    expect(await starts(path)).toBeUndefined()
    expect(await answers(path)).toMatchObject({ version: mediasoupPackage().version, rssBytes: expect.any(Number) })
    expect(await examineWorker()).toMatchObject({ found: expect.stringContaining(path) })
  })

  it('tells how it came, and is there at once the next time', async () => {
    expect(states[0]).toMatchObject({ is: 'building' })
    expect(mediaWorker.state).toMatchObject({ is: 'ready', path, version: mediasoupPackage().version })
    expect(await findWorker()).toMatchObject({ path })
    const onProgress = vi.fn()
    expect(await ensureWorker({ onProgress })).toMatchObject({ path })
    expect(onProgress).not.toHaveBeenCalled()
  })

  it('is the one that is given, if that starts', async () => {
    expect(await findWorker({ mediasoupWorkerBin: path })).toMatchObject({ path, origin: { how: 'given' } })
    vi.stubEnv('MEDIASOUP_WORKER_BIN', impostor())
    await expect(findWorker()).rejects.toMatchObject({
      message: expect.stringContaining('no worker'),
      wayOut: expect.any(String),
    })
    expect(await examineWorker()).toMatchObject({ state: 'problem', remedy: expect.stringContaining('MEDIASOUP_WORKER_BIN') })
    await expect(ensureWorker({ mediasoupWorkerBin: join(folder, 'none') })).rejects.toThrow('ENOENT')
  })

  it('is not taken from the cache when it does not start any more', async () => {
    vi.stubEnv('LIVEHOUSE_CACHE_DIR', join(folder, 'cache'))
    expect(await findWorker()).toBeUndefined()
    const recipe = readRecipe()
    install(impostor(), join(folder, 'cache', entryName(recipe)), { version: recipe.version, origin: { how: 'official' } })
    expect(await findWorker()).toBeUndefined()
    expect(await examineWorker()).toMatchObject({ state: 'warn', found: expect.stringContaining('does not start') })
  })
})

describe('without what a build needs', () => {
  /** A folder with nothing but what it takes to start Node and the lock. */
  const bare = () => vi.stubEnv('PATH', join(folder, 'no-programs'))

  it('says what is missing and how to get it', async () => {
    vi.stubEnv('LIVEHOUSE_CACHE_DIR', join(folder, 'empty'))
    vi.stubEnv('MEDIASOUP_SKIP_WORKER_PREBUILT_DOWNLOAD', '1')
    bare()
    const failing = new MediaWorker({ log: silentLog, logLevel: 'silent' })
    failing.start()
    await expect(failing.ready()).rejects.toThrow(/lacks g\+\+.*\n/)
    expect(failing.state).toMatchObject({ is: 'failed', wayOut: expect.stringMatching(/install .*/) })
    await failing.stop()
  })
})

describe('without a place to keep it', () => {
  it('names the way to give one', async () => {
    const file = join(folder, 'a-file')
    writeFileSync(file, '')
    vi.stubEnv('LIVEHOUSE_CACHE_DIR', join(file, 'cache'))
    await expect(ensureWorker()).rejects.toMatchObject({ wayOut: expect.stringContaining('LIVEHOUSE_CACHE_DIR') })
  })
})

describe('stopping', () => {
  it('ends what is under way, and what it started', async () => {
    vi.stubEnv('LIVEHOUSE_CACHE_DIR', join(folder, 'stopped'))
    vi.stubEnv('MEDIASOUP_SKIP_WORKER_PREBUILT_DOWNLOAD', '1')
    const stopping = new MediaWorker({ log: silentLog, logLevel: 'silent' })
    const underWay = new Promise<void>((done) =>
      stopping.onChange((state) => state.is === 'building' && state.ofSteps > 1 && done()),
    )
    stopping.start()
    await underWay
    await stopping.stop()
    expect(readdirSync(join(folder, 'stopped'))).toEqual([`${entryName(readRecipe())}.lock`])
    // The lock is free again.
    vi.stubEnv('LIVEHOUSE_CACHE_DIR', undefined)
    const lock = await takeLock(join(folder, 'stopped', `${entryName(readRecipe())}.lock`), {
      signal: AbortSignal.timeout(10_000),
    })
    await lock.release()
  })
})

describe('the lock', () => {
  it('is held by one, given to the next, and can be given up waiting for', async () => {
    const file = join(folder, 'locks/a.lock')
    const first = await takeLock(file)
    const waits = vi.fn()
    const second = takeLock(file, { onWait: waits })
    const tired = new AbortController()
    const third = takeLock(file, { onWait: () => tired.abort(new Error('tired')), signal: tired.signal })
    await expect(third).rejects.toThrow('tired')
    await first.release()
    await (await second).release()
    expect(waits).toHaveBeenCalledOnce()
    const again = vi.fn()
    await (await takeLock(file, { onWait: again })).release()
    expect(again).not.toHaveBeenCalled()
  })

  it('is free when its holder was killed', async () => {
    const file = join(folder, 'locks/b.lock')
    const code = `const { takeLock } = await import(${JSON.stringify(new URL('./lock.ts', import.meta.url).href)}); await takeLock(${JSON.stringify(file)}); process.stdout.write('held'); setInterval(() => {}, 1000)`
    const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', code]
    const holder = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(holder)
    await once(holder.stdout, 'data')
    const waits = vi.fn(() => holder.kill('SIGKILL'))
    const lock = await takeLock(file, { onWait: () => void waits() })
    expect(waits).toHaveBeenCalledOnce()
    await lock.release()
  })
})
