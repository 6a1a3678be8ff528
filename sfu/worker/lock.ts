/**
 * One build at a time on a machine, by a lock that a crash frees.
 *
 *   const lock = await takeLock(file, { onWait: () => ..., signal })
 *   try { ... } finally { await lock.release() }
 *
 * Node has no file locks, so `flock` of util-linux holds it as long as its input is open: the kernel closes that when this process
 * dies, in whatever way. A machine without `flock` goes on without a lock: at worst two build, and the later one's rename wins.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { whereIs } from './program.ts'

export type Lock = { release(): Promise<void> }

export type LockOptions = {
  /** Somebody else holds it; called once at most. */
  onWait?: () => void
  signal?: AbortSignal | undefined
}

export async function takeLock(file: string, { onWait, signal }: LockOptions = {}): Promise<Lock> {
  mkdirSync(dirname(file), { recursive: true })
  if (!whereIs('flock')) return { release: () => Promise.resolve() }
  const free = await holder(file, ['--nonblock'], signal)
  if (free) return free
  onWait?.()
  const later = await holder(file, [], signal)
  if (!later) throw new Error(`the lock ${file} cannot be taken`)
  return later
}

/** A process that holds the lock until its input ends; `undefined` when it ended without the lock. */
async function holder(file: string, how: readonly string[], signal: AbortSignal | undefined): Promise<Lock | undefined> {
  signal?.throwIfAborted()
  // A group of its own, so that Ctrl-C in a terminal does not take the lock away before the build has ended.
  const child = spawn('flock', [...how, file, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  })
  const ended = once(child, 'close')
  child.stdin.on('error', () => undefined)
  const give = () => child.stdin.end()
  const abort = () => child.kill()
  signal?.addEventListener('abort', abort, { once: true })
  const held = await Promise.race([once(child.stdout, 'data').then(() => true), ended.then(() => false)])
  signal?.removeEventListener('abort', abort)
  if (signal?.aborted) {
    give()
    throw signal.reason
  }
  if (!held) return undefined
  return {
    release: async () => {
      give()
      await ended
    },
  }
}
