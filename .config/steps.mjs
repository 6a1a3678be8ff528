/**
 * What `npm start`, `npm test` and `npm run build` share: progress lines, child processes, the npm packages.
 * Plain Node without packages, because it runs before any package is there.
 *
 *   await step('npm packages', () => run('npm', ['ci']))      a line that moves on a terminal, plain lines elsewhere
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
export const bin = (name) => join(root, 'node_modules', '.bin', name)

/** A failure that the user can do something about: shown without a stack. */
export class StepError extends Error {}

const seconds = (sinceMs) => `${Math.round((performance.now() - sinceMs) / 1000)} s`

/** Runs `work` under a line of progress. Without a terminal: a line at the start, one every 20 s, one at the end. */
export async function step(title, work) {
  const startedMs = performance.now()
  const moving = process.stdout.isTTY && !process.env.CI
  const paint = () =>
    process.stdout.write(moving ? `\r  ... ${title}  ${seconds(startedMs)}` : `  ... ${title}  ${seconds(startedMs)}\n`)
  const end = (mark) => process.stdout.write(`${moving ? '\r\x1b[K' : ''}  ${mark} ${title}  ${seconds(startedMs)}\n`)
  if (moving) paint()
  else process.stdout.write(`  ... ${title}\n`)
  const timer = setInterval(paint, moving ? 500 : 20_000)
  try {
    const result = await work()
    end('ok ')
    return result
  } catch (error) {
    end('NOT')
    throw error
  } finally {
    clearInterval(timer)
  }
}

/**
 * Runs a program and gives `{ code, output }`; `show` passes its output on as it comes. A signal to this process goes to the
 * child first, so that nothing is left running.
 */
export function run(command, args, { env = {}, show = false, cwd = root } = {}) {
  return new Promise((done, failed) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', show ? 'inherit' : 'pipe', show ? 'inherit' : 'pipe'],
    })
    const chunks = []
    child.stdout?.on('data', (chunk) => chunks.push(chunk))
    child.stderr?.on('data', (chunk) => chunks.push(chunk))
    const stop = (signal) => {
      child.kill(signal)
      process.exit(signal === 'SIGINT' ? 130 : 143)
    }
    process.on('SIGINT', stop).on('SIGTERM', stop)
    const settle = () => process.off('SIGINT', stop).off('SIGTERM', stop)
    child.once('error', (error) => {
      settle()
      failed(new StepError(`${command} cannot be run: ${error.message}`))
    })
    child.once('close', (code, signal) => {
      settle()
      done({ code: code ?? 1, signal, output: Buffer.concat(chunks).toString() })
    })
  })
}

/** Like `run`, but a failure is an error with the end of the output. */
export async function runOrThrow(command, args, options = {}) {
  const result = await run(command, args, options)
  if (result.code === 0) return result
  const tail = result.output.trimEnd().split('\n').slice(-40).join('\n')
  throw new StepError(
    `${command} ${args.join(' ')} ended with ${result.signal ?? result.code}\n${tail}${options.remedy ? `\n\n${options.remedy}` : ''}`,
  )
}

export async function main(work) {
  try {
    await work()
  } catch (error) {
    console.error(error instanceof StepError ? `\n${error.message}` : error)
    process.exit(1)
  }
}

// npm packages

const stampFile = join(root, 'node_modules', '.livehouse-installed')

/** Changes when the lock changes and when Node's binary interface does, for which better-sqlite3 was compiled. */
function wantedStamp() {
  const lock = readFileSync(join(root, 'package-lock.json'))
  return createHash('sha256').update(lock).update(`${process.platform} ${process.arch} ${process.versions.modules}`).digest('hex')
}

const packagesOf = (file) => JSON.parse(readFileSync(file, 'utf8')).packages

/** Whether node_modules, filled by hand with npm, already is what the lock asks for. */
function installedByHand() {
  const record = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(record)) return false
  const wanted = packagesOf(join(root, 'package-lock.json'))
  const present = packagesOf(record)
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue
    const found = present[path]
    if (found ? found.version !== entry.version : !entry.optional && !entry.devOptional && !entry.peer) return false
  }
  return true
}

async function sqliteLoads() {
  const { code } = await run(process.execPath, ['-e', "new (require('better-sqlite3'))(':memory:').close()"])
  return code === 0
}

/**
 * Where Node's own headers are on this machine, so that a native package compiles without a download.
 * node-gyp looks for `include/node` below the folder that it is given.
 */
function nodeHeaders() {
  const prefix = resolve(dirname(process.execPath), '..')
  const header = join(prefix, 'include/node/node_version.h')
  if (process.env.npm_config_nodedir || !existsSync(header)) return {}
  const major = /NODE_MAJOR_VERSION (\d+)/.exec(readFileSync(header, 'utf8'))?.[1]
  return major === process.versions.node.split('.')[0] ? { npm_config_nodedir: prefix } : {}
}

/**
 * Installs the npm packages unless they are there. Install scripts are off for all and then run for better-sqlite3 alone, the
 * only one that needs its own: npm 10 would run every script, npm 11 only those that package.json allows, this is the same on both.
 */
export async function ensurePackages() {
  const stamp = wantedStamp()
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return
  if (!(installedByHand() && (await sqliteLoads()))) await install()
  writeFileSync(stampFile, stamp)
}

async function install() {
  await step('npm packages', () =>
    runOrThrow('npm', ['ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund'], {
      remedy: 'The npm registry must be reachable for the first start; later starts need no network.',
    }),
  )
  await step('better-sqlite3: a ready build, or compiled here (75 s to 3 min, once)', () =>
    runOrThrow('npm', ['rebuild', 'better-sqlite3', '--no-audit', '--no-fund'], {
      env: nodeHeaders(),
      remedy: 'To compile it, these are needed: apt-get install python3 g++ make',
    }),
  )
  if (!(await sqliteLoads()))
    throw new StepError("better-sqlite3 was built but does not load: node -e \"new (require('better-sqlite3'))(':memory:')\"")
}

export function needNode(major) {
  const found = Number(process.versions.node.split('.')[0])
  if (found < major) throw new StepError(`Livehouse needs Node ${major} or newer, this is ${process.versions.node}.`)
}
