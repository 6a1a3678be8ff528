/**
 * Where workers are kept: outside the repository, one folder each, never changed once it is there.
 *
 *   ~/.cache/livehouse/mediasoup-worker-3.19.3-linux-x64-glibc2.36-f42c00a7036f/
 *     mediasoup-worker
 *     manifest.json       its checksum and how it was obtained
 *
 * The name holds what a worker depends on: mediasoup's version, the machine, and a checksum over sources and recipe. A folder
 * appears by one rename, complete or not at all. A binary that is not what its manifest says is not used.
 */
import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** `built`: from the sources, `crypto` says with which library packets are encrypted. `official`: mediasoup's own. */
export type Origin = { how: 'official' } | { how: 'built'; crypto: 'openssl' | 'system' }

export type Manifest = { version: string; sha256: string; bytes: number; origin: Origin; at: string }

export type Cached = { path: string; manifest: Manifest }

export const binaryName = 'mediasoup-worker'

export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.LIVEHOUSE_CACHE_DIR) return resolve(env.LIVEHOUSE_CACHE_DIR)
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'livehouse')
}

/** The machine as far as a binary cares: `linux-x64-glibc2.36`. */
export function platform(): string {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  const glibc = report.header?.glibcVersionRuntime
  const libc = process.platform === 'linux' ? `-${glibc ? `glibc${glibc}` : 'musl'}` : ''
  return `${process.platform}-${process.arch}${libc}`
}

export const entryName = ({ version, checksum }: { version: string; checksum: string }): string =>
  `${binaryName}-${version}-${platform()}-${checksum.slice(0, 12)}`

const sha256Of = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex')

/** The worker in this folder; `damaged` when something is there that cannot be trusted, `undefined` when nothing is. */
export function readCached(folder: string): Cached | 'damaged' | undefined {
  const path = join(folder, binaryName)
  let manifest: Manifest
  try {
    manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Manifest
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && !exists(folder) ? undefined : 'damaged'
  }
  try {
    if (statSync(path).size === manifest.bytes && sha256Of(path) === manifest.sha256) return { path, manifest }
  } catch {
    // Not there or not readable: as good as damaged.
  }
  return 'damaged'
}

const exists = (path: string) => statSync(path, { throwIfNoEntry: false }) !== undefined

/** Puts a binary into its folder, in place of what may be there. The caller holds the lock. */
export function install(file: string, folder: string, { version, origin }: { version: string; origin: Origin }): Cached {
  const fresh = `${folder}.new-${randomBytes(4).toString('hex')}`
  mkdirSync(fresh, { recursive: true })
  try {
    const path = join(fresh, binaryName)
    copyFileSync(file, path)
    chmodSync(path, 0o755)
    const at = new Date(statSync(path).mtimeMs).toISOString()
    const manifest: Manifest = { version, sha256: sha256Of(path), bytes: statSync(path).size, origin, at }
    writeFileSync(join(fresh, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`)
    rmSync(folder, { recursive: true, force: true })
    renameSync(fresh, folder)
    return { path: join(folder, binaryName), manifest }
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true })
    throw error
  }
}
