/** The engine that runs on a data folder, as the commands of backups find it: by its admin port, and by the mark of its folder there. */
import { SystemClock } from '../base/clock.ts'
import { folderMark } from '../base/folder-mark.ts'
import type { Config } from '../config.ts'
import { signToken } from '../edge/tokens.ts'
import { engineSecret } from './plugin-file.ts'
import { CommandError } from './terminal.ts'

export type Found = 'none' | 'this folder' | 'another folder'

const waitMs = 3_000
const tokenMs = 300_000

export function adminUrlOf({ adminHost, adminPort }: Config, given: string | undefined): string {
  const url = given ?? `http://${adminHost.includes(':') ? `[${adminHost}]` : adminHost}:${adminPort}`
  if (!URL.canParse(url)) throw new CommandError(`--admin: ${url} is no address like http://127.0.0.1:8081`)
  return url
}

/** Whether an engine answers there, and whether it keeps its data in this folder. */
export async function findEngine(url: string, dataDir: string): Promise<Found> {
  try {
    const reply = await fetch(new URL('/healthz', url), { signal: AbortSignal.timeout(waitMs) })
    const { dataFolder } = (await reply.json()) as { dataFolder?: unknown }
    return dataFolder === folderMark(dataDir) ? 'this folder' : 'another folder'
  } catch {
    return 'none'
  }
}

/** Requests to the admin API with scope `backup`, in the name of the command line. */
export class BackupApi {
  readonly #url: string
  readonly #config: Config

  constructor(url: string, config: Config) {
    this.#url = url
    this.#config = config
  }

  async json<T>(method: string, path: string): Promise<T> {
    return (await (await this.ask(method, path)).json()) as T
  }

  /** Throws what the engine refused, in words. */
  async ask(method: string, path: string): Promise<Response> {
    const who = { sub: 'cli', name: 'livehouse backup', scope: 'backup', ttlMs: tokenMs }
    const token = await signToken(await engineSecret(this.#config), who, new SystemClock().now())
    let reply: Response
    try {
      reply = await fetch(new URL(`/admin/v1${path}`, this.#url), { method, headers: { authorization: `Bearer ${token}` } })
    } catch {
      throw new CommandError(`No engine answers at ${this.#url}. Say where it is: --admin http://HOST:PORT`)
    }
    if (reply.ok) return reply
    const { code = reply.status, msg = reply.statusText } = (await reply.json().catch(() => ({}))) as {
      code?: string
      msg?: string
    }
    const hint = reply.status === 401 ? ' The engine has another secret: use its --data-dir, or its LIVEHOUSE_SECRET.' : ''
    throw new CommandError(`${msg} (${code})${hint}`)
  }
}
