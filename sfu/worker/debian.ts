/**
 * What a build needs from the system, and how a person gets it.
 *
 *   const missing = await missingForBuild()      [] or [{ what: 'libuv', debian: 'libuv1-dev' }, ...]
 *   wayOut(missing)                              'apt-get install libuv1-dev ...', with sudo unless this is root
 */
import { existsSync } from 'node:fs'
import { runOrThrow, runProgram, whereIs } from './program.ts'

export type Missing = { what: string; debian: string }

const programs: readonly Missing[] = [
  { what: 'g++', debian: 'g++' },
  { what: 'make', debian: 'make' },
  { what: 'pkg-config', debian: 'pkg-config' },
  { what: 'flatc', debian: 'flatbuffers-compiler' },
]

/** By the name that pkg-config knows. */
const libraries: readonly Missing[] = [
  { what: 'openssl', debian: 'libssl-dev' },
  { what: 'libuv', debian: 'libuv1-dev' },
  { what: 'usrsctp', debian: 'libusrsctp-dev' },
  { what: 'flatbuffers', debian: 'libflatbuffers-dev' },
  { what: 'absl_flat_hash_map', debian: 'libabsl-dev' },
]

/** Only of use where sources of Debian can be had; without: libsrtp2-dev. */
const srtp: readonly Missing[] = [
  { what: 'dpkg-source', debian: 'dpkg-dev' },
  { what: 'libsrtp2', debian: 'libsrtp2-dev' },
]

export const isDebian = (): boolean => existsSync('/etc/debian_version') && whereIs('apt-get') !== undefined
const isRoot = () => process.getuid?.() === 0

export async function missingForBuild(): Promise<Missing[]> {
  const missing = programs.filter(({ what }) => whereIs(what) === undefined)
  // Without pkg-config nothing is known about the libraries: all are named, installing one that is there changes nothing.
  if (whereIs('pkg-config') === undefined) return [...missing, ...libraries]
  for (const library of libraries) if (!(await hasLibrary(library.what))) missing.push(library)
  return missing
}

export async function hasLibrary(name: string): Promise<boolean> {
  if (whereIs('pkg-config') === undefined) return false
  return (await runProgram('pkg-config', ['--exists', name])).code === 0
}

/** What the user can do about it, as a line for a shell where there is one. */
export function wayOut(missing: readonly Missing[]): string {
  if (!isDebian()) return `install ${missing.map(({ what }) => what).join(', ')} with their headers, then start again`
  const names = [...missing, ...srtp].map(({ debian }) => debian).join(' ')
  return `${isRoot() ? '' : 'sudo '}apt-get install ${names}`
}

/** Installs what a build needs. As root on Debian; an error with the way out elsewhere. */
export async function installForBuild(signal?: AbortSignal): Promise<void> {
  const lacking = await missingForBuild()
  const forSrtp = srtp.filter(({ what }) => whereIs(what) === undefined)
  const hasSrtp = await hasLibrary('libsrtp2')
  const wanted = [...lacking, ...forSrtp.filter(({ what }) => !(what === 'libsrtp2' && hasSrtp))]
  if (wanted.length === 0) return
  if (!isDebian() || !isRoot()) throw new Error(`only root on Debian can install packages: ${wayOut(lacking)}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const names = wanted.map(({ debian }) => debian)
  await runOrThrow('apt-get', ['update', '-q'], { env, signal })
  await runOrThrow('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...names], { env, signal })
}
