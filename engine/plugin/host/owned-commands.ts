/** The commands that plugins own, as sessions and rooms see them: guards of others first, then the owner's handler, one answer. */
import { accept, type Call, refuse } from '../../room/call.ts'
import type { PluginCommand, PluginCommands } from '../../room/commands.ts'
import type { Home } from '../../room/home.ts'
import { ranksOfScope } from '../../room/rights.ts'
import { isPluginsCode, type Ruling, refusalOfVerdict } from '../checks/guards.ts'
import type { CommandAsk } from '../define.ts'
import { isDeeperThan } from '../places/protocol.ts'
import type { Attached } from './attached.ts'
import type { InForce, OwnedCommand } from './in-force.ts'

const replyBytesMax = 65_536
const replyDepthMax = 16

export class OwnedCommands implements PluginCommands {
  readonly #inForce: InForce
  readonly #onFailure: (plugin: string, hook: string, error: unknown) => void

  constructor(inForce: InForce, onFailure: (plugin: string, hook: string, error: unknown) => void) {
    this.#inForce = inForce
    this.#onFailure = onFailure
  }

  find(name: string): PluginCommand | undefined {
    return this.#inForce.command(name)?.spec
  }

  names(): Iterable<string> {
    return this.#inForce.commandNames()
  }

  run(call: Call, home: Home | undefined): void {
    const owner = this.#inForce.command(call.t)
    if (!owner) return refuse(call, 'plugin.unavailable', { retryAfterMs: 1_000 })
    const ask = this.#askOf(call, home)
    if (!this.#inForce.guards.has(call.t)) return this.#runOwned(call, owner, ask)
    const decide = ({ verdict }: Ruling) => {
      const refused = refusalOfVerdict(verdict)
      if (refused) call.answer(refused)
      else this.#runOwned(call, owner, ask)
    }
    const ruling = this.#inForce.guards.ask(call.t, ask)
    if (ruling instanceof Promise) void ruling.then(decide)
    else decide(ruling)
  }

  #askOf(call: Call, home: Home | undefined): CommandAsk<unknown> {
    const { userId, name, anonymous, scope } = call.actor
    const from = home?.people.asker(call.actor) ?? { userId, name, anonymous, ranks: ranksOfScope(scope) }
    return { room: home?.id ?? '', at: call.at, from, d: call.d, ...(call.ik === undefined ? {} : { ik: call.ik }) }
  }

  #runOwned(call: Call, { attached, index, spec }: OwnedCommand, ask: CommandAsk<unknown>) {
    const hook = { index, kind: 'command' as const, on: spec.on }
    attached.run(hook, ask, { key: ask.room || ask.from.userId, budgetMs: spec.budgetMs }).then(
      (d) => {
        if (d === undefined || isSendable(d)) accept(call, d ?? {})
        else refuse(call, 'plugin.failed', { msg: 'The plugin gave an answer that cannot be sent.' })
      },
      (error: Error & { code?: string; retryAfterMs?: number }) => this.#refuseOwned(call, attached, error),
    )
  }

  #refuseOwned(
    call: Call,
    attached: Attached,
    { code, message, retryAfterMs }: Error & { code?: string; retryAfterMs?: number },
  ): void {
    const unavailable = code === 'plugin.unavailable' || code === 'plugin.late' || code === 'plugin.lost'
    if (unavailable) return refuse(call, 'plugin.unavailable', { retryAfterMs: 1_000 })
    const isOwn = code !== 'plugin.failed' && isPluginsCode(code, attached.name, attached.manifest.domains)
    if (isOwn) return refuse(call, code, { msg: message, ...waitOf(retryAfterMs) })
    this.#onFailure(attached.name, `command ${call.t}`, new Error(message))
    refuse(call, 'plugin.failed')
  }
}

/** An object, no deeper than what clients may send, and bounded. */
function isSendable(d: unknown): boolean {
  if (typeof d !== 'object' || d === null || isDeeperThan(d, replyDepthMax)) return false
  return Buffer.byteLength(JSON.stringify(d)) <= replyBytesMax
}

const retryAfterMsMax = 3_600_000
const waitOf = (ms: unknown): { retryAfterMs?: number } =>
  typeof ms === 'number' && ms >= 0 ? { retryAfterMs: Math.min(Math.ceil(ms), retryAfterMsMax) } : {}
