/**
 * The binary that mediasoup publishes for its releases, by the script that its package brings for that: it knows from where, and
 * that the binary starts here. Where the network does not permit, this fails within a second; a silent network is given 30 s.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram } from './program.ts'
import { mediasoupPackage } from './recipe.ts'

const timeoutMs = 30_000

export type OfficialOptions = { folder: string; signal: AbortSignal | undefined }

/** The path of the binary in `folder`, or why there is none. */
export async function getOfficial({ folder, signal }: OfficialOptions): Promise<{ file: string } | { reason: string }> {
  if (process.env.MEDIASOUP_SKIP_WORKER_PREBUILT_DOWNLOAD) return { reason: 'MEDIASOUP_SKIP_WORKER_PREBUILT_DOWNLOAD is set' }
  mkdirSync(folder, { recursive: true })
  const limit = AbortSignal.timeout(timeoutMs)
  const { MEDIASOUP_WORKER_BIN: _, MEDIASOUP_LOCAL_DEV: __, ...inherited } = process.env
  try {
    // The script writes below the folder where it runs. After a failed download it would go on to build with packages from pip:
    // `false` in place of Python ends it there.
    const { output } = await runProgram(process.execPath, [join(mediasoupPackage().folder, 'npm-scripts.mjs'), 'postinstall'], {
      cwd: folder,
      env: { ...inherited, PYTHON: 'false' },
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    })
    const file = join(folder, 'worker/out/Release/mediasoup-worker')
    return existsSync(file) ? { file } : { reason: reasonIn(output) }
  } catch (error) {
    signal?.throwIfAborted()
    if (limit.aborted) return { reason: `no answer within ${timeoutMs / 1000} s` }
    throw error
  }
}

function reasonIn(output: string): string {
  const line = output.split('\n').find((text) => /failed|no available/.test(text)) ?? 'mediasoup gave no binary'
  return line
    .slice(line.indexOf('|') + 1)
    .trim()
    .slice(0, 300)
}
