/**
 * What is compiled, with which flags: from the sources in mediasoup's package to units for the compiler. Nothing is written and
 * no program runs here.
 *
 *   const recipe = readRecipe()
 *   recipe.units        [{ name: 'worker-00.cpp', text: '#include "src/RTC/..." ...', bytes: 59_812 }, ...]
 *   recipe.checksum     over the sources, the units, our header and the flags: what the cache goes by
 *
 * A header costs the compiler far more than what stands in a source (about 2 s of front end each): headers that all include are
 * compiled once beforehand, and small sources are joined into units. Two sources with a name of their own in common (a static,
 * something in an unnamed namespace) are never joined.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { packageRoot } from '../../engine/base/package.ts'

export type Unit = { name: string; text: string; sources: readonly string[]; bytes: number }

export type Recipe = {
  /** Of mediasoup. */
  version: string
  /** The folder `worker` of mediasoup's package. */
  folder: string
  schemas: readonly string[]
  units: readonly Unit[]
  /** Files that are mended, by path: they stand in front of the original. */
  mended: Readonly<Record<string, string>>
  checksum: string
}

export class RecipeError extends Error {
  constructor(message: string) {
    super(`the sources of mediasoup are not as this build knows them: ${message}`)
    this.name = 'RecipeError'
  }
}

/** Joined sources hold up to this much: about 40 units, enough to keep many cores busy and few enough to spare headers. */
const unitBytesMax = 60_000

/** The stack that mediasoup has begun to write in place of usrsctp; compiled only with `ms_sctp_stack`. */
const unused = /^src\/RTC\/SCTP\//

/**
 * Debian's OpenSSL knows kTLS, and asks the BIO whether it is on. mediasoup's callback answers 1 to every such question, since it
 * compares with BIO_CB_RETURN alone where the operation comes with it; libssl then believes that the kernel encrypts, makes no
 * buffer, and writes into it in the first handshake.
 */
const mends = [
  {
    file: 'src/RTC/DtlsTransport.cpp',
    from: '(operationType == BIO_CB_RETURN) ?',
    to: '((operationType & BIO_CB_RETURN) != 0) ?',
  },
]

/** As in mediasoup's release build, with Debian's hardening: what the worker reads comes from strangers. */
export const compilerFlags: readonly string[] = [
  '-std=c++17',
  '-O2',
  '-w',
  '-fPIE',
  '-fstack-protector-strong',
  '-D_FORTIFY_SOURCE=2',
  '-DNDEBUG',
  '-DMS_EXECUTABLE',
  '-DFLATBUFFERS_LOCALE_INDEPENDENT=1',
  new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? '-DMS_LITTLE_ENDIAN' : '-DMS_BIG_ENDIAN',
]
export const linkerFlags: readonly string[] = ['-pie', '-s', '-Wl,-z,relro,-z,now,--as-needed']

/** Headers that most sources include. */
export const sharedHeaders: string = [
  '"common.hpp"',
  '"Utils.hpp"',
  '"FBS/message.h"',
  '"FBS/request.h"',
  '"FBS/response.h"',
  '"FBS/notification.h"',
  '<absl/container/flat_hash_map.h>',
  '<absl/container/flat_hash_set.h>',
  '<cstring>',
  '<map>',
  '<string>',
  '<unordered_map>',
  '<vector>',
]
  .map((header) => `#include ${header}\n`)
  .join('')

/** Our header that stands for libsrtp 3's. */
export const shimFolder: string = join(packageRoot, 'sfu/worker/shims')

/** The folder of the installed mediasoup, and its version. */
export function mediasoupPackage(): { folder: string; version: string } {
  // The package exports its main file alone: node/lib/index.js.
  const main = createRequire(import.meta.url).resolve('mediasoup')
  const folder = resolve(dirname(main), '../..')
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }
  return { folder, version }
}

export function readRecipe({ folder, version } = mediasoupPackage()): Recipe {
  const worker = join(folder, 'worker')
  const read = (path: string) => readFileSync(join(worker, path), 'utf8')
  const mended = Object.fromEntries(mends.map(({ file, from, to }) => [file, mend(file, read(file), from, to)]))
  const library = listIn(read('deps/libwebrtc/meson.build'), 'libwebrtc_sources').map((path) => `deps/libwebrtc/${path}`)
  const own = [...listIn(read('meson.build'), 'common_sources').filter((path) => !unused.test(path)), 'src/main.cpp']
  const headers = unguardedHeaders(join(worker, 'include'))
  const sourceOf = (path: string) => {
    const text = mended[path] ?? read(path)
    return { path, text, alone: headers.some((header) => text.includes(`#include "${header}"`)) }
  }
  const units = [...joinSources('worker', own.map(sourceOf)), ...joinSources('webrtc', library.map(sourceOf))]
  const schemas = listIn(read('fbs/meson.build'), 'flatbuffers_schemas').map((path) => `fbs/${path}`)
  return { version, folder: worker, schemas, units, mended, checksum: checksumOf(worker, units, mended) }
}

/** The strings of `name = [ ... ]` in a file of meson. */
export function listIn(text: string, name: string): string[] {
  const body = new RegExp(`^${name} = \\[([^\\]]*)\\]`, 'm').exec(text)?.[1]
  const found = [...(body ?? '').matchAll(/'([^']+)'/g)].map(([, path = '']) => path)
  if (found.length === 0) throw new RecipeError(`no list ${name}`)
  return found
}

/** Refuses unless `from` is there exactly once: a mend that silently does nothing is a worker that dies at its first guest. */
export function mend(file: string, text: string, from: string, to: string): string {
  const parts = text.split(from)
  if (parts.length !== 2) throw new RecipeError(`${JSON.stringify(from)} is ${parts.length - 1} times in ${file}, not once`)
  return parts.join(to)
}

// joining sources

/** `alone`: it includes a header that may stand in a unit only once. */
type Source = { path: string; text: string; alone?: boolean }
type Group = { sources: Source[]; names: Set<string>; bytes: number }

/** Puts each source into the first group that has room and none of its names. */
export function joinSources(prefix: string, sources: readonly Source[]): Unit[] {
  const groups: Group[] = []
  for (const source of sources) {
    const names = ownNames(source.text)
    const bytes = source.text.length
    const fits = ({ bytes: taken, names: known }: Group) =>
      taken + bytes <= unitBytesMax && names.every((name) => !known.has(name))
    let group = source.alone ? undefined : groups.find(fits)
    if (!group) groups.push((group = { sources: [], names: new Set(), bytes: 0 }))
    group.sources.push(source)
    group.bytes += source.alone ? unitBytesMax : bytes
    for (const name of names) group.names.add(name)
  }
  return groups.map(({ sources: members }, index) => {
    const paths = members.map(({ path }) => path)
    const bytes = members.reduce((sum, { text }) => sum + text.length, 0)
    return { name: `${prefix}-${String(index).padStart(2, '0')}.cpp`, text: unitText(paths), sources: paths, bytes }
  })
}

/** Headers that mediasoup's sources would notice to be included twice. */
function unguardedHeaders(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = entries.map((entry) => join(entry.parentPath, entry.name))
  return paths
    .filter((path) => !/^\s*#\s*(ifndef|pragma\s+once)\b/m.test(readFileSync(path, 'utf8')))
    .map((path) => path.slice(folder.length + 1))
}

/** Each source names itself in MS_CLASS, for its log lines. */
export const unitText = (paths: readonly string[]): string =>
  paths.map((path) => `#undef MS_CLASS\n#include "${path}"\n`).join('')

/** Names that a source declares outside of any class or function, and its macros. Members defined here (`A::b`) are none. */
export function ownNames(text: string): string[] {
  const bare = text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'/g, ' ')
  const names = new Set<string>()
  for (const [, name = ''] of bare.matchAll(/^[ \t]*#[ \t]*define[ \t]+(\w+)/gm)) if (name !== 'MS_CLASS') names.add(name)
  for (const statement of outerStatements(bare.replace(/^[ \t]*#(?:[^\n]*\\\n)*[^\n]*/gm, ' '))) {
    const name = declaredName(statement)
    if (name) names.add(name)
  }
  return [...names]
}

/** Statements between the braces of namespaces alone, without what stands in other braces. */
function* outerStatements(text: string): Generator<string> {
  let inside = 0
  let statement = ''
  for (const [sign] of text.matchAll(/[{};]|[^{};]+/g)) {
    if (inside > 0) {
      if (sign === '{') inside++
      if (sign === '}') inside--
      // A function ends here, an initializer goes on to its semicolon, which then ends an empty statement.
      if (inside === 0) {
        yield statement
        statement = ''
      }
    } else if (sign === '{') {
      if (/\bnamespace\b[\w\s:]*$/.test(statement)) statement = ''
      else inside = 1
    } else if (sign === ';' || sign === '}') {
      yield statement
      statement = ''
    } else statement += sign
  }
}

function declaredName(statement: string): string | undefined {
  const type = /\b(?:class|struct|union|enum(?:\s+class)?)\s+(\w+)\s*(?:final\s*)?(?::[^:]|$)/.exec(statement)?.[1]
  if (type) return type
  const head = statement.split(/[(=[{]/)[0] ?? ''
  const [, before = '', name] = /^([\s\S]*?)(\w+)\s*$/.exec(head) ?? []
  return before.trimEnd().endsWith('::') || before.trim() === '' ? undefined : name
}

// checksum

function checksumOf(worker: string, units: readonly Unit[], mended: Readonly<Record<string, string>>): string {
  const hash = createHash('sha256')
  const add = (name: string, content: string | Buffer) => hash.update(`${name}\0${content.length}\0`).update(content)
  for (const path of sourcesBelow(worker)) add(path, readFileSync(join(worker, path)))
  for (const { name, text } of units) add(name, text)
  for (const [path, text] of Object.entries(mended)) add(path, text)
  add('srtp.h', readFileSync(join(shimFolder, 'srtp.h')))
  add('headers', sharedHeaders)
  add('flags', [...compilerFlags, ...linkerFlags].join(' '))
  return hash.digest('hex')
}

function* sourcesBelow(worker: string): Generator<string> {
  for (const folder of ['src', 'include', 'fbs', 'deps']) {
    const entries = readdirSync(join(worker, folder), { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
    for (const file of files.sort()) yield file.slice(worker.length + 1)
  }
}
