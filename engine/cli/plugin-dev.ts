/**
 * `livehouse plugin dev FILE`: an engine in this process with the plugin in a worker thread, a room to try it in, and a new version of the
 * plugin at every change of its folder. A version that does not load leaves the one before in force.
 */
import { type FSWatcher, readdirSync, watch } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { type Clock, SystemClock, type Timer } from '../base/clock.ts'
import { createLog, type Log } from '../base/log.ts'
import { configFrom } from '../config.ts'
import { signToken } from '../edge/tokens.ts'
import { type Engine, startEngine } from '../engine.ts'
import type { HookInfo } from '../plugin/host/plugin-info.ts'
import { faultOf, pluginFrom } from './plugin-file.ts'
import { manifestInWords } from './plugin-words.ts'
import { CommandError, complain, print, stopSignal } from './terminal.ts'

export interface DevFlags {
  file: string
  port: number
  dataDir: string | undefined
}

const changeMs = 150
const numbersEveryMs = 5_000
const foldersMax = 50
const devTokenMs = 12 * 3_600_000

export async function develop({ file, port, dataDir }: DevFlags): Promise<number> {
  const stopped = stopSignal()
  const clock = new SystemClock()
  const { manifest } = await pluginFrom(file)
  const folder = dirname(resolve(file))
  const config = configFrom({
    port,
    adminPort: port === 0 ? 0 : port + 1,
    logLevel: 'info',
    drainMs: 0,
    media: false,
    dataDir: dataDir ?? join(folder, '.livehouse'),
  })
  const engine = await startEngine(config, { clock, log: readableLog() }).catch((error: unknown) => {
    throw startFault(error, port)
  })
  const session = new DevSession(engine, clock, file)
  try {
    await session.attach()
    session.follow(folder)
    print(await welcome(engine, clock, manifestInWords(manifest), manifest.name))
    await stopped
    print('\nStopping.')
  } finally {
    session.end()
    await engine.stop()
  }
  return 0
}

/** A taken port is for a person to mend: no stack. */
function startFault(error: unknown, port: number): unknown {
  if (!['EADDRINUSE', 'gateway.listen'].includes(String((error as { code?: unknown }).code))) return error
  return new CommandError(
    `Port ${port} or ${port + 1} is taken, perhaps by npm start, which has 8080 and 8081. Stop that, or choose another: --port N (0: free ones)`,
  )
}

async function welcome(
  { publicUrl, adminUrl, secret, config }: Engine,
  clock: Clock,
  words: string,
  name: string,
): Promise<string> {
  const token = await signToken(secret, { sub: 'dev', name: 'Dev', scope: 'operator', ttlMs: devTokenMs }, clock.now())
  return `
${words}

  Watch       ${publicUrl}/watch/?room=${config.demoRoom}
  Admin API   ${adminUrl}/docs
  Settings    ${adminUrl}/admin/v1/plugins/${name}/settings (PATCH)
  Token       ${token}

It runs in a worker thread; a change in its folder is taken at once. Ctrl-C ends.`
}

class DevSession {
  readonly #engine: Engine
  readonly #clock: Clock
  readonly #file: string
  readonly #watchers: FSWatcher[] = []
  readonly #seen = new Map<string, number>()
  #name = ''
  #soon: Timer | undefined
  #numbers: Timer | undefined
  #isLoading = false
  #isStale = false

  constructor(engine: Engine, clock: Clock, file: string) {
    this.#engine = engine
    this.#clock = clock
    this.#file = file
  }

  async attach(): Promise<void> {
    try {
      this.#name = await this.#engine.plugins.attach({ file: this.#file, place: 'worker' }, { by: 'dev', isConfigured: true })
    } catch (error) {
      throw new CommandError(faultOf(this.#file, error))
    }
  }

  follow(folder: string): void {
    for (const one of foldersOf(folder)) this.#watchers.push(watch(one, (_, name) => this.#changed(name ?? '')))
    this.#armNumbers()
  }

  end(): void {
    for (const watcher of this.#watchers) watcher.close()
    this.#soon?.cancel()
    this.#numbers?.cancel()
  }

  #changed(name: string): void {
    if (!/\.(ts|mts|js|mjs|json)$/.test(name)) return
    this.#soon?.cancel()
    // Editors write a file in several steps.
    this.#soon = this.#clock.after(changeMs, () => void this.#reload())
  }

  async #reload(): Promise<void> {
    if (this.#isLoading) {
      this.#isStale = true
      return
    }
    this.#isLoading = true
    try {
      await this.#update()
    } catch (error) {
      complain(`Not taken, the version before stays: ${faultOf(this.#file, error)}`)
    }
    this.#isLoading = false
    if (this.#isStale) {
      this.#isStale = false
      await this.#reload()
    }
  }

  async #update(): Promise<void> {
    const { plugins } = this.#engine
    const before = this.#name
    this.#name = await plugins.attach({ file: this.#file, place: 'worker' }, { by: 'dev', isConfigured: true })
    if (this.#name !== before) await plugins.detach(before, 'dev')
    print(`Taken: ${this.#name} ${plugins.describe(this.#name).version}`)
  }

  #armNumbers(): void {
    this.#numbers = this.#clock.after(numbersEveryMs, () => {
      const line = this.#numbersLine()
      if (line !== '') print(line)
      this.#armNumbers()
    })
  }

  /** What happened since the last line; empty when nothing did. */
  #numbersLine(): string {
    const known = this.#engine.plugins.list().find(({ name }) => name === this.#name)
    const parts = (known?.hooks ?? []).flatMap((hook) => {
      const key = `${hook.kind} ${hook.on}`
      const more = hook.calls - (this.#seen.get(key) ?? 0)
      this.#seen.set(key, hook.calls)
      return more > 0 ? [`${key}: ${more} (${hookInWords(hook)})`] : []
    })
    return parts.join('   ')
  }
}

function hookInWords({ timeouts, failures, p50Ms, p99Ms, verdicts }: HookInfo): string {
  const counts = Object.entries({ ...verdicts, late: timeouts, failed: failures }).filter(([, count]) => count > 0)
  return [`p50 ${p50Ms} ms`, `p99 ${p99Ms} ms`, ...counts.map(([what, count]) => `${what} ${count} in all`)].join(', ')
}

function foldersOf(folder: string): string[] {
  const found = [folder]
  for (let at = 0; at < found.length && found.length < foldersMax; at++)
    for (const entry of readdirSync(found[at] as string, { withFileTypes: true }))
      if (entry.isDirectory() && !/^(\.|node_modules$|dist$)/.test(entry.name)) found.push(join(found[at] as string, entry.name))
  return found.slice(0, foldersMax)
}

const levelNames: Record<number, string> = { 30: 'info ', 40: 'warn ', 50: 'error', 60: 'fatal' }

/** Lines for people: what the plugin logs, and what went wrong. The engine's own small talk is left out. */
function readableLog(): Log {
  const write = (line: string) => {
    const {
      level,
      time,
      pid,
      hostname,
      name,
      msg,
      err,
      plugin,
      fields: own,
      ...others
    } = JSON.parse(line) as Record<string, unknown>
    const fields = { ...(own as Record<string, unknown> | undefined), ...others }
    const isRoutine = plugin === undefined || /^plugin (at|de)tached$/.test(String(msg))
    if (isRoutine && (level as number) < 40) return
    const cause = err === undefined ? '' : ` ${(err as { message?: string }).message ?? ''}`
    const more = Object.keys(fields).length === 0 ? '' : ` ${JSON.stringify(fields)}`
    complain(`${String(time).slice(11, 19)} ${levelNames[level as number] ?? level} ${plugin ?? 'engine'}: ${msg}${cause}${more}`)
  }
  return createLog({ level: 'info', name: 'livehouse', to: { write } })
}
