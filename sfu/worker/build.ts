/**
 * The worker from mediasoup's own sources, against the libraries of the system. About 200 s of CPU, 100 s on two idle cores.
 *
 *   const { file, crypto } = await buildWorker({ recipe, folder, onProgress, log, signal })
 *
 * Schemas become headers (flatc), shared headers are compiled once, then the units, as many at a time as there are cores. `folder`
 * is for this build alone, and its owner removes it.
 */
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism, freemem } from 'node:os'
import { dirname, join } from 'node:path'
import type { Log } from '../../engine/base/log.ts'
import { missingForBuild, wayOut } from './debian.ts'
import { runOrThrow, runProgram } from './program.ts'
import type { OnProgress } from './progress.ts'
import { compilerFlags, linkerFlags, type Recipe, sharedHeaders, shimFolder, type Unit, unitText } from './recipe.ts'
import { getSrtp, type Srtp } from './srtp.ts'

export type BuildOptions = {
  recipe: Recipe
  folder: string
  onProgress: OnProgress
  log: Log
  signal: AbortSignal | undefined
}

export type Built = { file: string; crypto: Srtp['crypto'] }

/** Something is missing on this machine; `wayOut` says what to do, in one line. */
export class CannotBuild extends Error {
  readonly wayOut: string
  constructor(message: string, way: string) {
    super(message)
    this.name = 'CannotBuild'
    this.wayOut = way
  }
}

/** One compiler takes up to 0.9 GB with these headers. */
const compilerBytes = 1_000_000_000

const packages = [
  'openssl',
  'libuv',
  'usrsctp',
  'flatbuffers',
  'absl_flat_hash_map',
  'absl_flat_hash_set',
  'absl_strings',
  'absl_optional',
]

export async function buildWorker(options: BuildOptions): Promise<Built> {
  const { recipe, folder, signal, onProgress } = options
  const missing = await missingForBuild()
  if (missing.length > 0) {
    throw new CannotBuild(
      `to build the media worker this machine lacks ${missing.map(({ what }) => what).join(', ')}`,
      wayOut(missing),
    )
  }
  // Schemas, libsrtp, headers, units, linking.
  const ofSteps = recipe.units.length + 4
  let step = 0
  const next = (what: string) => onProgress({ what, step: step++, ofSteps })

  next('reading schemas')
  await makeSchemaHeaders(options)
  writeMended(options)
  next('libsrtp')
  const srtp = await getSrtp({ folder: join(folder, 'srtp'), log: options.log, signal })
  if (!srtp) throw new CannotBuild('to build the media worker this machine lacks libsrtp2', wayOut([]))
  next('shared headers')
  const flags = await flagsFor(options, srtp)
  await compileHeaders(options, flags)
  const objects = await compileAll(options, flags, () => next('compiling'))
  next('linking')
  const file = join(folder, 'mediasoup-worker')
  await link(objects, file, srtp, signal)
  return { file, crypto: srtp.crypto }
}

async function makeSchemaHeaders({ recipe, folder, signal }: BuildOptions): Promise<void> {
  const style = ['--cpp', '--cpp-field-case-style', 'lower', '--reflect-names', '--scoped-enums', '--filename-suffix', '']
  const schemas = recipe.schemas.map((path) => join(recipe.folder, path))
  mkdirSync(join(folder, 'generated/FBS'), { recursive: true })
  await runOrThrow('flatc', [...style, '-o', join(folder, 'generated/FBS'), ...schemas], { signal })
}

function writeMended({ recipe, folder }: BuildOptions): void {
  for (const [path, text] of Object.entries(recipe.mended)) {
    const file = join(folder, 'mended', path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
}

/** What is mended stands in front of the original, and our `srtp.h` in front of every other. */
async function flagsFor({ recipe: { folder: worker }, folder, signal }: BuildOptions, srtp: Srtp): Promise<string[]> {
  const own = ['mended', 'generated'].map((name) => join(folder, name))
  const theirs = ['', 'include', 'deps/libwebrtc', 'deps/libwebrtc/libwebrtc'].map((name) => join(worker, name))
  const includes = [shimFolder, ...own, ...theirs].flatMap((path) => ['-I', path])
  return [...compilerFlags, ...includes, ...srtp.cflags, ...(await fromPkgConfig('--cflags', signal))]
}

async function fromPkgConfig(which: '--cflags' | '--libs', signal: AbortSignal | undefined): Promise<string[]> {
  const output = await runOrThrow('pkg-config', [which, ...packages], { signal })
  return output.split(/\s+/).filter(Boolean)
}

async function compileHeaders({ folder, signal }: BuildOptions, flags: readonly string[]): Promise<void> {
  const header = join(folder, 'shared.hpp')
  writeFileSync(header, sharedHeaders)
  await runOrThrow('g++', [...flags, '-x', 'c++-header', header, '-o', `${header}.gch`], { signal })
}

/** Largest units first, so that none is left alone at the end. */
async function compileAll(options: BuildOptions, flags: readonly string[], onUnit: () => void): Promise<string[]> {
  const waiting = options.recipe.units.toSorted((a, b) => a.bytes - b.bytes)
  const objects: string[] = []
  // One failing compiler ends the others.
  const failed = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal
  const worker = async () => {
    for (let unit = waiting.pop(); unit; unit = waiting.pop()) {
      onUnit()
      objects.push(...(await compileUnit({ ...options, signal }, flags, unit)))
    }
  }
  const count = Math.max(1, Math.min(availableParallelism(), Math.floor(freemem() / compilerBytes)))
  try {
    await Promise.all(Array.from({ length: count }, worker))
  } catch (error) {
    failed.abort(error)
    throw error
  }
  return objects
}

/** When joined sources get in each other's way after all, each is compiled by itself: slower, but right. */
async function compileUnit({ folder, log, signal }: BuildOptions, flags: readonly string[], unit: Unit): Promise<string[]> {
  const compile = async (name: string, text: string) => {
    const source = join(folder, name)
    writeFileSync(source, text)
    const args = [...flags, '-include', join(folder, 'shared.hpp'), '-c', source, '-o', `${source}.o`]
    return { object: `${source}.o`, run: await runProgram('g++', args, { signal }) }
  }
  const whole = await compile(unit.name, unit.text)
  if (whole.run.code === 0) return [whole.object]
  log.warn({ unit: unit.name, output: whole.run.output.slice(0, 2_000) }, 'joined sources do not compile, each is tried alone')
  const objects: string[] = []
  for (const [index, path] of unit.sources.entries()) {
    const { object, run } = await compile(`${index}-${unit.name}`, unitText([path]))
    if (run.code !== 0) throw new Error(`${path} does not compile:\n${run.output.slice(0, 2_000)}`)
    objects.push(object)
  }
  return objects
}

async function link(objects: readonly string[], file: string, srtp: Srtp, signal: AbortSignal | undefined): Promise<void> {
  const libraries = await fromPkgConfig('--libs', signal)
  await runOrThrow('g++', [...linkerFlags, '-o', file, ...objects, ...srtp.libs, ...libraries, '-lpthread'], { signal })
  if (statSync(file).size === 0) throw new Error('the linker wrote an empty file')
}
