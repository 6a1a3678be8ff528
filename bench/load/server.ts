/**
 * The programs under test as real processes: the engine (`livehouse serve`) and the peers, each on a free port of loopback,
 * the engine with a data folder of its own.
 *
 * CPU is user + system time of the whole process, all threads, from /proc/<pid>/stat (10 ms steps: measure for seconds).
 * Memory is VmRSS of /proc/<pid>/status. The delivery account is read from the engine's own /metrics.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Usage {
  cpuUs: number
  rssBytes: number
}

/** Engine options by their environment names, for example `LIVEHOUSE_DANMAKU_PER_CLIENT_MAX`. */
export type Env = Record<string, string>

/** What the bench lifts so that few talkers can be loud and the engine's protection of itself is not what is measured. */
export const openLimits: Env = {
  LIVEHOUSE_DANMAKU_PER_USER_PER_S_MAX: '1000000',
  LIVEHOUSE_DANMAKU_PER_USER_BURST_MAX: '1000000',
  LIVEHOUSE_DANMAKU_CODE_POINTS_MAX: '1000',
  LIVEHOUSE_DANMAKU_DUPLICATE_MS: '0',
  LIVEHOUSE_ROOM_INGEST_PER_S_MAX: '10000000',
  LIVEHOUSE_COMMANDS_PER_S_MAX: '1000000',
  LIVEHOUSE_INBOX_MAX: '10000',
  LIVEHOUSE_DANMAKU_PER_CLIENT_MAX: '0',
}

/** Node flags with which `collect` works. */
export const collectable = ['--expose-gc', '--import', 'data:text/javascript,process.on("SIGUSR2",()=>{gc();gc()})'] as const

const readyMsMax = 20_000
const stopMsMax = 10_000
const clockTicksPerS = 100
const running = new Set<Server>()
process.once('exit', () => {
  for (const server of running) server.kill()
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

export class Server {
  readonly name: string
  readonly port: number
  readonly secret: string
  /** Whether a message is answered; then only accepted messages are expected to arrive. */
  readonly replies: boolean
  readonly #child: ChildProcess
  readonly #adminPort: number | undefined
  readonly #dataDir: string | undefined
  #log = ''

  private constructor(
    own: { name: string; port: number; secret: string; adminPort?: number; dataDir?: string },
    command: readonly string[],
    env: Env,
  ) {
    this.name = own.name
    this.port = own.port
    this.secret = own.secret
    this.replies = own.adminPort !== undefined
    this.#adminPort = own.adminPort
    this.#dataDir = own.dataDir
    this.#child = spawn(process.execPath, command, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#log = (this.#log + chunk.toString()).slice(-4_000)
      })
    }
    running.add(this)
  }

  /** `nodeFlags` stand before the script: `--cpu-prof` and its like. */
  static async engine(env: Env = {}, nodeFlags: readonly string[] = []): Promise<Server> {
    const script = fileURLToPath(new URL('../../engine/main.js', import.meta.url))
    if (!existsSync(script)) throw new Error(`the engine is not built: ${script} is missing (npm run build)`)
    const [port, adminPort] = [await freePort(), await freePort()]
    const dataDir = mkdtempSync(join(tmpdir(), 'livehouse-bench-'))
    const secret = randomBytes(32).toString('hex')
    const own = { name: 'engine', port, adminPort, dataDir, secret }
    const settings: Env = {
      LIVEHOUSE_PORT: String(port),
      LIVEHOUSE_ADMIN_PORT: String(adminPort),
      LIVEHOUSE_DATA_DIR: dataDir,
      LIVEHOUSE_SECRET: secret,
      LIVEHOUSE_LOG_LEVEL: 'warn',
      LIVEHOUSE_MEDIA: 'false',
      NODE_ENV: 'production',
    }
    return ready(new Server(own, [...nodeFlags, script, 'serve'], { ...settings, ...openLimits, ...env }))
  }

  /** Raw publish per message, or one frame per `gatherMs`. */
  static async peer(gatherMs: number, nodeFlags: readonly string[] = []): Promise<Server> {
    const source = import.meta.url.endsWith('.ts')
    const script = fileURLToPath(new URL(source ? './raw-uws.ts' : './raw-uws.js', import.meta.url))
    const port = await freePort()
    const name = gatherMs === 0 ? 'raw uWS, publish per message' : `bare uWS, a frame per ${gatherMs} ms`
    const loader = source ? ['--import', 'tsx'] : []
    const command = [...nodeFlags, ...loader, script, '--port', String(port), '--gather-ms', String(gatherMs)]
    return ready(new Server({ name, port, secret: 'x'.repeat(32) }, command, {}))
  }

  get log(): string {
    return this.#log
  }

  usage(): Usage {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = Number(fields[11]) + Number(fields[12])
    const rssKb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.#child.pid}/status`, 'utf8'))?.[1]
    return { cpuUs: (ticks * 1e6) / clockTicksPerS, rssBytes: Number(rssKb) * 1024 }
  }

  /** Every sample of the engine's /metrics by its name and labels; empty for a peer. */
  async metrics(): Promise<Map<string, number>> {
    const out = new Map<string, number>()
    if (this.#adminPort === undefined) return out
    const text = await (await fetch(`http://127.0.0.1:${this.#adminPort}/metrics`)).text()
    for (const line of text.split('\n')) {
      const match = /^([a-z_:][^ ]*(?:\{[^}]*\})?) ([^ ]+)/i.exec(line)
      if (match?.[1] && match[2]) out.set(match[1], Number(match[2]))
    }
    return out
  }

  /** Collects garbage in a process that was started with `collectable`. */
  collect(): void {
    this.#child.kill('SIGUSR2')
  }

  alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  async stop(): Promise<void> {
    if (this.alive()) {
      const gone = new Promise((resolve) => this.#child.once('exit', resolve))
      const force = setTimeout(() => this.#child.kill('SIGKILL'), stopMsMax)
      this.#child.kill('SIGTERM')
      await gone
      clearTimeout(force)
    }
    this.kill()
  }

  kill(): void {
    running.delete(this)
    if (this.alive()) this.#child.kill('SIGKILL')
    if (this.#dataDir) rmSync(this.#dataDir, { recursive: true, force: true })
  }
}

async function ready(server: Server): Promise<Server> {
  const until = performance.now() + readyMsMax
  while (performance.now() < until && server.alive()) {
    const answer = await fetch(`http://127.0.0.1:${server.port}/healthz`).catch(() => undefined)
    if (answer?.ok) return server
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const { log } = server
  server.kill()
  throw new Error(`${server.name} did not start:\n${log}`)
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}
