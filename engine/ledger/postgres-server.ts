/**
 * A real Postgres for tests and benches: in a folder of its own, reached by a socket in that folder, with fsync as in earnest, killed
 * and started again at will. The server refuses to run as root: started by root it runs as the user `postgres` or `nobody`.
 *
 *     const server = await startPostgres()
 *     const url = await server.createDatabase()     // a new, empty one each time
 *     await server.kill()                           // kill -9 of all its processes
 *     await server.restart()                        // same folder: it recovers from its log
 *     await server.stop()
 */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'

export interface PostgresServerOptions {
  /** Largest file that the server may write (at least 2 MB): past it writes fail as on a full disk. */
  fileBytesMax?: number
  /** More of a configuration file, in the server's own words: `max_connections = 5`. */
  config?: string
}

export interface PostgresServer {
  readonly pid: number
  /** The socket, for whoever puts something between. */
  readonly socket: string
  /** URL of a new and empty database, password included. */
  createDatabase(): Promise<string>
  /** kill -9 of every process of it; resolves when they are gone. */
  kill(): Promise<void>
  /** Starts it again after `kill` on the same folder. */
  restart(): Promise<void>
  /** Files may grow again; counts for connections from now on. */
  unlimit(): void
  /** Ends it and removes its folder. */
  stop(): Promise<void>
}

export const postgresPassword = 'a-password-of-tests'
const user = 'livehouse'
const versionsFolder = '/usr/lib/postgresql'
/** Segments of the log must fit under `fileBytesMax`. */
const walSegmentMb = 1

/** Where `initdb` and `postgres` are: Debian keeps them off the PATH. Undefined: nowhere. */
export function postgresPrograms(): string | undefined {
  const versions = existsSync(versionsFolder) ? readdirSync(versionsFolder).sort((a, b) => Number(b) - Number(a)) : []
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...versions.map((one) => join(versionsFolder, one, 'bin'))]
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')))
}

export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const programs = postgresPrograms()
  if (programs === undefined) throw new Error('Postgres is not here: apt-get install postgresql')
  const folder = await mkdtemp(join(tmpdir(), 'livehouse-postgres-'))
  const server = new ServerProcess(folder, programs, options)
  try {
    await server.init()
    await server.start()
  } catch (error) {
    await server.stop()
    throw error
  }
  return server
}

type Owner = { uid: number; gid: number } | Record<string, never>
function unprivileged(): Owner {
  if (process.getuid?.() !== 0) return {}
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
  const line = lines.find((one) => one.startsWith('postgres:')) ?? lines.find((one) => one.startsWith('nobody:'))
  const [, , uid, gid] = line?.split(':') ?? []
  if (uid === undefined || gid === undefined) throw new Error('no user postgres or nobody to run the server as')
  return { uid: Number(uid), gid: Number(gid) }
}

class ServerProcess implements PostgresServer {
  readonly #folder: string
  readonly #programs: string
  readonly #options: PostgresServerOptions
  readonly #owner = unprivileged()
  /** Whoever forgets to stop it leaves nothing behind: its other processes end when the first one is gone. */
  readonly #orphan = () => {
    this.#child?.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }
  #child: ChildProcess | undefined
  #databases = 0

  constructor(folder: string, programs: string, options: PostgresServerOptions) {
    this.#folder = folder
    this.#programs = programs
    this.#options = options
    process.once('exit', this.#orphan)
  }

  get pid(): number {
    return this.#child?.pid ?? -1
  }

  get socket(): string {
    return join(this.#folder, '.s.PGSQL.5432')
  }

  get #data(): string {
    return join(this.#folder, 'data')
  }

  async init(): Promise<void> {
    const passwordFile = join(this.#folder, 'password')
    await writeFile(passwordFile, postgresPassword)
    if (this.#owner.uid !== undefined) {
      for (const path of [this.#folder, passwordFile]) await chown(path, this.#owner.uid, this.#owner.gid)
      await chmod(this.#folder, 0o700)
    }
    const words = ['-D', this.#data, '-U', user, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8', '--locale=C']
    const all = [...words, `--wal-segsize=${walSegmentMb}`, '--no-sync', '--no-instructions']
    const { status, stderr } = spawnSync(join(this.#programs, 'initdb'), all, { ...this.#as(), encoding: 'utf8' })
    if (status !== 0) throw new Error(`initdb: ${stderr}`)
    const own = [
      `listen_addresses = ''`,
      `unix_socket_directories = '${this.#folder}'`,
      'max_connections = 20',
      'shared_buffers = 16MB',
      // After a kill it would open and fsync each of a thousand files.
      'recovery_init_sync_method = syncfs',
    ]
    await writeFile(join(this.#data, 'postgresql.auto.conf'), `${own.join('\n')}\n${this.#options.config ?? ''}\n`)
  }

  async start(): Promise<void> {
    const program = join(this.#programs, 'postgres')
    const limit = this.#options.fileBytesMax
    // What the shell limits, the server inherits.
    const [command, words] =
      limit === undefined
        ? [program, ['-D', this.#data]]
        : ['/bin/sh', ['-c', `ulimit -S -f ${Math.floor(limit / 512)} && exec "$0" -D "$1"`, program, this.#data]]
    const child = spawn(
      command as string,
      words as string[],
      { ...this.#as(), stdio: ['ignore', 'ignore', 'pipe'] } as SpawnOptions,
    )
    this.#child = child
    const failed = new Promise<never>((_, reject) => child.once('error', reject))
    await Promise.race([untilReady(child), failed])
    child.stderr?.resume()
  }

  async createDatabase(): Promise<string> {
    const name = `ledger_${++this.#databases}`
    const client = new pg.Client({ connectionString: this.#url('postgres') })
    await client.connect()
    await client.query(`CREATE DATABASE ${name}`)
    await client.end()
    return this.#url(name)
  }

  #url(database: string): string {
    return `postgres://${user}:${postgresPassword}@${encodeURIComponent(this.#folder)}/${database}`
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (!child?.pid) return
    const others = childrenOf(child.pid)
    await this.#end('SIGKILL')
    for (const pid of others) end(pid)
  }

  async restart(): Promise<void> {
    if (this.#child) throw new Error('it runs: kill it first')
    for (let triesLeft = 50; ; triesLeft--) {
      try {
        return await this.start()
      } catch (error) {
        this.#child = undefined
        // Killed processes are gone some ms after the signal, and their shared memory with them.
        if (triesLeft === 0 || !/still in use|is another post/.test(String(error))) throw error
      }
    }
  }

  unlimit(): void {
    const words = ['--pid', String(this.pid), '--fsize=unlimited:unlimited']
    const { status, stderr } = spawnSync('prlimit', words, { ...this.#as(), encoding: 'utf8' })
    if (status !== 0) throw new Error(`prlimit: ${stderr}`)
  }

  async stop(): Promise<void> {
    await this.#end('SIGINT') // ends connections; SIGTERM would wait for them
    await rm(this.#folder, { recursive: true, force: true })
    process.off('exit', this.#orphan)
  }

  #as(): SpawnOptions {
    return { ...this.#owner, cwd: this.#folder, env: { ...process.env, LC_ALL: 'C' } }
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

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {} // gone by itself
}

async function untilReady(child: ChildProcess): Promise<void> {
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stderr as NodeJS.ReadableStream })) {
    lines.push(line)
    if (line.includes('ready to accept connections')) return
  }
  throw new Error(`postgres ended:\n${lines.slice(-20).join('\n')}`)
}
