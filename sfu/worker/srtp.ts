/**
 * libsrtp 2, which encrypts every packet. Debian's library does that by way of NSS and costs up to twice the CPU of the same
 * source on OpenSSL, so that source is fetched from Debian, signature and patches included, and compiled: 4 s.
 *
 * Without sources (no apt, no network) Debian's library is taken as it is, and the worker's manifest says so.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '../../engine/base/log.ts'
import { hasLibrary, isDebian } from './debian.ts'
import { runOrThrow, runProgram, whereIs } from './program.ts'

export type Srtp = { crypto: 'openssl' | 'system'; cflags: string[]; libs: string[] }

type Where = { folder: string; log: Log; signal: AbortSignal | undefined }

/** `undefined`: neither the source nor the library can be had. */
export async function getSrtp(where: Where): Promise<Srtp | undefined> {
  try {
    if (isDebian() && whereIs('dpkg-source')) return await fromSource(where)
  } catch (error) {
    where.signal?.throwIfAborted()
    where.log.warn({ reason: (error as Error).message }, 'libsrtp: no source of it, taking the library of the system')
  }
  if (!(await hasLibrary('libsrtp2'))) return undefined
  const libs = await runOrThrow('pkg-config', ['--libs', 'libsrtp2'])
  return { crypto: 'system', cflags: [], libs: libs.split(/\s+/).filter(Boolean) }
}

async function fromSource({ folder, signal }: Where): Promise<Srtp> {
  const apt = aptOfItsOwn(folder)
  mkdirSync(folder, { recursive: true })
  // A list that has no sources makes this fail although the others were read: what counts is the next line.
  await runProgram('apt-get', [...apt, '-q', 'update'], { cwd: folder, signal })
  await runOrThrow('apt-get', [...apt, '-q', 'source', '--download-only', 'libsrtp2'], { cwd: folder, signal })
  const description = readdirSync(folder).find((name) => name.endsWith('.dsc'))
  if (!description) throw new Error('apt-get source gave no .dsc')
  await runOrThrow('dpkg-source', ['--extract', description, 'source'], { cwd: folder, signal })
  const cwd = join(folder, 'source')
  const prefix = join(folder, 'installed')
  const env = { ...process.env, CFLAGS: '-O3 -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2' }
  await runOrThrow('sh', ['./configure', '--enable-openssl', `--prefix=${prefix}`], { cwd, env, signal })
  await runOrThrow('make', ['-j2', 'libsrtp2.a'], { cwd, signal })
  await runOrThrow('make', ['install'], { cwd, signal })
  return { crypto: 'openssl', cflags: ['-I', join(prefix, 'include')], libs: [join(prefix, 'lib/libsrtp2.a')] }
}

/** Options for an apt with the archives of this machine, but for sources, with lists of its own: the system's are not touched. */
function aptOfItsOwn(folder: string): string[] {
  const parts = join(folder, 'apt/parts')
  for (const name of ['lists/partial', 'cache/archives/partial', 'parts'])
    mkdirSync(join(folder, 'apt', name), { recursive: true })
  const system = '/etc/apt/sources.list.d'
  const lists = existsSync(system) ? readdirSync(system).map((name) => join(system, name)) : []
  for (const [index, path] of ['/etc/apt/sources.list', ...lists].entries()) {
    if (!existsSync(path)) continue
    const text = readFileSync(path, 'utf8')
    if (path.endsWith('.sources')) writeFileSync(join(parts, `${index}.sources`), text.replace(/^Types:.*/gim, 'Types: deb-src'))
    if (path.endsWith('.list')) writeFileSync(join(parts, `${index}.list`), text.replace(/^deb\s/gm, 'deb-src '))
  }
  const options = {
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': parts,
    'Dir::State::lists': join(folder, 'apt/lists'),
    'Dir::Cache': join(folder, 'apt/cache'),
    // Few lists, short waits: without them the library of the system will do.
    'Acquire::Languages': 'none',
    'Acquire::Retries': '1',
    'Acquire::http::Timeout': '20',
    'Acquire::https::Timeout': '20',
  }
  return Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])
}
