/**
 * Other programs, run to their end: compilers, apt, mediasoup's own download.
 *
 *   const { code, output } = await runProgram('pkg-config', ['--modversion', 'libuv'])
 *   await runOrThrow('make', ['libsrtp2.a'], { cwd, signal })         a failure is a ProgramError with the end of the output
 *
 * Each runs in a process group of its own, so that ending it ends what it started: g++ leaves cc1plus behind otherwise.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Of the output of a program, the last so many characters are kept. */
const outputCharsMax = 64 * 1024

export type ProgramOptions = {
  cwd?: string
  /** The whole environment; that of this process if left out. */
  env?: NodeJS.ProcessEnv
  signal?: AbortSignal | undefined
  /** Each piece of output as it comes. */
  onOutput?: (text: string) => void
}

export type Ended = { code: number | null; output: string }

export class ProgramError extends Error {
  readonly output: string
  constructor(command: string, { code, output }: Ended) {
    const tail = output.trimEnd().split('\n').slice(-15).join('\n')
    super(`${command} ended with ${code ?? 'a signal'}${tail ? `:\n${tail}` : ''}`)
    this.name = 'ProgramError'
    this.output = output
  }
}

/** What it printed on both streams, and its exit code; null when a signal ended it or it could not be started. */
export function runProgram(command: string, args: readonly string[], options: ProgramOptions = {}): Promise<Ended> {
  const { cwd, env = process.env, signal, onOutput } = options
  signal?.throwIfAborted()
  return new Promise((done, failed) => {
    const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const take = (chunk: string) => {
      output = (output + chunk).slice(-outputCharsMax)
      onOutput?.(chunk)
    }
    child.stdout.setEncoding('utf8').on('data', take)
    child.stderr.setEncoding('utf8').on('data', take)
    const stop = () => endGroup(child)
    signal?.addEventListener('abort', stop, { once: true })
    child.once('error', (error) => take(`${error.message}\n`))
    child.once('close', (code) => {
      signal?.removeEventListener('abort', stop)
      if (signal?.aborted) failed(signal.reason)
      // A program that could not be started ends with a negative number of the system's error.
      else done({ code: code !== null && code >= 0 ? code : null, output })
    })
  })
}

export async function runOrThrow(command: string, args: readonly string[], options: ProgramOptions = {}): Promise<string> {
  const ended = await runProgram(command, args, options)
  if (ended.code !== 0) throw new ProgramError(`${command} ${args.join(' ')}`.slice(0, 200), ended)
  return ended.output
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has just ended by itself.
  }
}

/** Where a program is, as a shell would find it. */
export function whereIs(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}
