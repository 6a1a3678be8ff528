/**
 * Whether a worker works here.
 *
 *   await starts(path)                  the system can load it: a few milliseconds
 *   await answers(path)                 mediasoup starts it, and it answers and makes a router: about 0.2 s
 */
import { packageRoot } from '../../engine/base/package.ts'
import { runProgram } from './program.ts'

const timeoutMs = 15_000

/** Without the environment that mediasoup gives it, a worker that could be loaded ends with this code. */
const noParentCode = 41

/** Why it does not start; `undefined` when it does. */
export async function starts(path: string): Promise<string | undefined> {
  const { code, output } = await within((signal) => runProgram(path, [], { env: {}, signal }))
  if (code === noParentCode) return undefined
  return output.trim().split('\n')[0] || `it ended with ${code ?? 'a signal'}`
}

export type Answer = { version: string; rssBytes: number } | { reason: string }

const question = `
const mediasoup = require('mediasoup')
mediasoup.createWorker({ logLevel: 'none', disableLiburing: true }).then(async (worker) => {
  const { ru_maxrss: rss } = await worker.getResourceUsage()
  const router = await worker.createRouter({ mediaCodecs: [{ kind: 'audio', mimeType: 'audio/opus', clockRate: 48000, channels: 2 }] })
  await router.createPlainTransport({ listenInfo: { protocol: 'udp', ip: '127.0.0.1' } })
  console.log(JSON.stringify({ version: mediasoup.version, rssBytes: rss * 1024 }))
  worker.close()
}).catch((error) => { console.error(error.message); process.exit(1) })
`

/** In a process of its own: mediasoup takes the path of its worker once, when it is loaded. */
export async function answers(path: string): Promise<Answer> {
  const env = { ...process.env, MEDIASOUP_WORKER_BIN: path }
  const { code, output } = await within((signal) =>
    runProgram(process.execPath, ['--input-type=commonjs', '-e', question], { cwd: packageRoot, env, signal }),
  )
  const line = output.split('\n').find((text) => text.startsWith('{'))
  if (code === 0 && line) return JSON.parse(line) as Answer
  return { reason: output.trim().split('\n').at(-1) || `it ended with ${code ?? 'a signal'}` }
}

async function within(run: (signal: AbortSignal) => ReturnType<typeof runProgram>): ReturnType<typeof runProgram> {
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    return await run(signal)
  } catch (error) {
    if (signal.aborted) return { code: null, output: `no answer within ${timeoutMs / 1000} s` }
    throw error
  }
}
