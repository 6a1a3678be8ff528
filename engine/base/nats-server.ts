/**
 * A real nats-server for tests, the development mode and benches: on a free port of this machine, with its own folder, killed and
 * started again on the same port at will.
 *
 *     const server = await startNatsServer({ jetStream: true })
 *     connectNats({ url: server.url, ... })
 *     await server.kill()       // kill -9
 *     await server.restart()    // same port, same JetStream folder
 *     await server.stop()
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface NatsServerOptions {
  /** With JetStream, in a folder that lives until `stop`. */
  jetStream?: boolean
  /** More of a configuration file, in the server's own words: `max_payload: 4096`. */
  config?: string
  /** The program; what PATH finds unless told. */
  program?: string
}

export interface NatsServer {
  readonly url: string
  readonly pid: number
  /** kill -9; resolves when the process is gone. */
  kill(): Promise<void>
  /** Starts it again after `kill`, on the same port and folder. */
  restart(): Promise<void>
  /** SIGSTOP: it holds its sockets and answers nothing. */
  freeze(): void
  thaw(): void
  /** Ends it and removes its folder. */
  stop(): Promise<void>
}

export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const folder = await mkdtemp(join(tmpdir(), 'livehouse-nats-'))
  await writeFile(join(folder, 'nats.conf'), `${options.config ?? ''}\n`)
  const server = new ServerProcess(folder, options)
  try {
    await server.start(-1)
  } catch (error) {
    await server.stop()
    throw error
  }
  return server
}

class ServerProcess implements NatsServer {
  readonly #folder: string
  readonly #options: NatsServerOptions
  #child: ChildProcess | undefined
  #port = -1

  constructor(folder: string, options: NatsServerOptions) {
    this.#folder = folder
    this.#options = options
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#port}`
  }

  get pid(): number {
    return this.#child?.pid ?? -1
  }

  async start(port: number): Promise<void> {
    const jetStream = this.#options.jetStream ? ['-js', '-sd', join(this.#folder, 'jetstream')] : []
    const all = ['-c', join(this.#folder, 'nats.conf'), '-a', '127.0.0.1', '-p', String(port), ...jetStream]
    const child = spawn(this.#options.program ?? 'nats-server', all, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child = child
    // Whoever forgets to stop it leaves none behind.
    const orphan = () => child.kill('SIGKILL')
    process.once('exit', orphan)
    child.once('exit', () => process.off('exit', orphan))
    const failed = new Promise<never>((_, reject) => child.once('error', reject))
    this.#port = await Promise.race([readPort(child), failed])
    child.stderr?.resume()
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async restart(): Promise<void> {
    if (this.#child) throw new Error('it runs: kill it first')
    await this.start(this.#port)
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  async stop(): Promise<void> {
    this.thaw()
    await this.#end('SIGTERM')
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await gone
  }
}

/** The server says on which port it listens, and a moment later that it is ready. */
async function readPort(child: ChildProcess): Promise<number> {
  const lines: string[] = []
  let port: string | undefined
  for await (const line of createInterface({ input: child.stderr as NodeJS.ReadableStream })) {
    lines.push(line)
    port ??= /Listening for client connections on 127\.0\.0\.1:(\d+)/.exec(line)?.[1]
    if (port && line.includes('Server is ready')) return Number(port)
  }
  throw new Error(`nats-server ended:\n${lines.slice(-20).join('\n')}`)
}
