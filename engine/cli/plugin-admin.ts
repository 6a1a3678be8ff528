/**
 * `livehouse plugin list|approve|disable|enable|detach`: what an operator decides, over the admin API of a running engine. The token is
 * made from the secret in the data folder, so this runs where the engine does, or with LIVEHOUSE_SECRET.
 */
import { SystemClock } from '../base/clock.ts'
import { loadConfig } from '../config.ts'
import { signToken } from '../edge/tokens.ts'
import { engineSecret } from './plugin-file.ts'
import { CommandError, print } from './terminal.ts'

export interface AdminFlags {
  admin: string | undefined
  dataDir: string | undefined
}
export const decisions = { disable: 'disabled', enable: 'enabled', detach: 'detached' } as const
export type Decision = keyof typeof decisions

interface Listed {
  name: string
  version: string
  state: string
  place: string
  asks: string[]
  instances: { state: string }[]
  hooks: { calls: number; timeouts: number; failures: number }[]
  deadLetters: number
  lastError: string
}

export async function listPlugins(flags: AdminFlags): Promise<number> {
  const { items } = (await ask(flags, 'GET', '/plugins')) as { items: Listed[] }
  print(items.length === 0 ? 'No plugin is known to this engine.' : items.map(inWords).join('\n'))
  return 0
}

function inWords({ name, version, state, place, asks, instances, hooks, deadLetters, lastError }: Listed): string {
  const sum = (pick: (hook: Listed['hooks'][number]) => number) => hooks.reduce((total, hook) => total + pick(hook), 0)
  const healthy = instances.filter((one) => one.state === 'healthy').length
  const lines = [
    `${name.padEnd(20)} ${version.padEnd(10)} ${state.padEnd(9)} ${place.padEnd(7)} ${healthy} healthy, ${sum(({ calls }) => calls)} calls, ${sum(({ timeouts, failures }) => timeouts + failures)} failed, ${deadLetters} dead letters`,
  ]
  if (asks.length > 0) lines.push(`  asks for ${asks.join(', ')}  ->  livehouse plugin approve ${name}`)
  if (lastError !== '') lines.push(`  ${firstLine(lastError)}`)
  return lines.join('\n')
}

const lineMax = 300
/** Of an error and its stack; without what would move a terminal's cursor. */
export const firstLine = (text: string): string =>
  (text.split('\n').find((line) => line.trim() !== '') ?? '').replace(/\p{Cc}/gu, '').slice(0, lineMax)

/** Grants what was shown: the engine is told which manifest that was, and refuses if the plugin asks for another by now. */
export async function approve(name: string, flags: AdminFlags): Promise<number> {
  const path = `/plugins/${encodeURIComponent(name)}`
  const { version, asks, manifest } = (await ask(flags, 'GET', path)) as Listed & { manifest?: string }
  print(`${name} ${version} asks for ${asks.join(', ') || 'nothing that it does not have'}.`)
  await ask(flags, 'POST', `${path}/approve`, manifest === undefined ? undefined : { manifest })
  print(`${name} is approved${asks.length > 0 ? `, and granted ${asks.join(', ')}` : ''}.`)
  return 0
}

export async function decide(decision: Decision, name: string, flags: AdminFlags): Promise<number> {
  if (decision === 'detach') await ask(flags, 'DELETE', `/plugins/${encodeURIComponent(name)}`)
  else await ask(flags, 'POST', `/plugins/${encodeURIComponent(name)}/${decision}`)
  print(`${name} is ${decisions[decision]}.`)
  return 0
}

const tokenMs = 60_000

async function ask({ admin, dataDir }: AdminFlags, method: string, path: string, body?: unknown): Promise<unknown> {
  const config = loadConfig({ argv: dataDir === undefined ? [] : [`--data-dir=${dataDir}`], env: process.env })
  const url = admin ?? `http://${config.adminHost.includes(':') ? `[${config.adminHost}]` : config.adminHost}:${config.adminPort}`
  if (!URL.canParse(url)) throw new CommandError(`--admin: ${url} is no address like http://127.0.0.1:8081`)
  const who = { sub: 'cli', name: 'livehouse plugin', scope: 'operator', ttlMs: tokenMs }
  const token = await signToken(await engineSecret(config), who, new SystemClock().now())
  let reply: Response
  try {
    const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    const sent = body === undefined ? {} : { body: JSON.stringify(body) }
    reply = await fetch(new URL(`/admin/v1${path}`, url), { method, headers, ...sent })
  } catch {
    throw new CommandError(
      `No engine answers at ${url}. Start it (livehouse serve), or say where it is: --admin http://HOST:PORT`,
    )
  }
  const answer = (await reply.json().catch(() => ({}))) as { code?: string; msg?: string }
  if (reply.ok) return answer
  const hint = reply.status === 401 ? ' The engine has another secret: use its --data-dir, or its LIVEHOUSE_SECRET.' : ''
  throw new CommandError(`${answer.msg ?? reply.statusText} (${answer.code ?? reply.status})${hint}`)
}
