/**
 * Which plugins the engine knows, by name; what the operator decided about each is kept in core.db. One plugin changes once at a time
 * (`inTurn`), all plugins together stay within their bounds, and whatever changes is announced.
 *
 *     await registry.inTurn(name, async () => {
 *       const attached = registry.find(name)      in the turn, not before it: another turn may have taken the plugin away
 *       await registry.decide(attached, by, { state: 'disabled' })
 *     })
 *     registry.announce('plugin.changed', { plugin: name, change: 'disabled', by })
 */
import { commands as coreCommands } from '../../../schemas/messages.ts'
import { codecOf } from '../../../schemas/wire.ts'
import type { Clock } from '../../base/clock.ts'
import type { IdSource } from '../../base/random.ts'
import type { PluginRow, Store } from '../../room/store.ts'
import type { SystemEventName, SystemEvents } from '../hooks.ts'
import { ManifestError, type ManifestShape } from '../manifest.ts'
import { Attached, type PluginSource } from './attached.ts'
import { actorOf } from './calls.ts'
import { PluginError } from './plugin-error.ts'

export interface RegistryParts {
  clock: Clock
  newId: IdSource
  store: Store
  pluginsMax: number
  onFailure(plugin: string, hook: string, error: unknown): void
}

/** Label combinations of one metric are bounded; so is what can be labelled. */
const hooksInAllMax = 300

export class Registry {
  readonly #parts: RegistryParts
  readonly #byName = new Map<string, Attached>()
  readonly #turns = new Map<string, Promise<unknown>>()
  #systemSeq = 0
  /** Events without a room are ordered by (epoch, seq) too: an epoch is a start of the engine. */
  readonly #systemEpoch: number
  #isEnding = false

  constructor(parts: RegistryParts) {
    this.#parts = parts
    this.#systemEpoch = parts.clock.now()
  }

  // ------------------------------------------------------------------ who is known

  all(): Iterable<Attached> {
    return this.#byName.values()
  }

  names(): string[] {
    return [...this.#byName.keys()].sort()
  }

  get(name: string): Attached | undefined {
    return this.#byName.get(name)
  }

  /** Throws `plugin.not_found`. */
  find(name: string): Attached {
    const attached = this.#byName.get(name)
    if (!attached) throw new PluginError('plugin.not_found', `there is no plugin ${name.slice(0, 64)}`)
    return attached
  }

  /** Before anything is waited for after `checkBounds`: two that come at once must see each other. */
  add(row: PluginRow, source: PluginSource): Attached {
    const attached = new Attached(row, source, this.#parts.clock, (error, schedule) => {
      this.#parts.onFailure(row.name, `schedule ${schedule}`, error)
    })
    this.#byName.set(row.name, attached)
    return attached
  }

  remove(name: string): void {
    this.#byName.delete(name)
  }

  /** Whether this plugin fits beside all others. */
  checkBounds(manifest: ManifestShape): void {
    const others = [...this.all()].filter(({ name }) => name !== manifest.name)
    const { pluginsMax } = this.#parts
    if (others.length >= pluginsMax) throw new PluginError('plugin.too_many', `${pluginsMax} plugins are known (pluginsMax)`)
    const hooks = others.reduce((sum, other) => sum + other.manifest.hooks.length, manifest.hooks.length)
    if (hooks > hooksInAllMax) throw new PluginError('plugin.too_many', `all plugins together may have ${hooksInAllMax} hooks`)
    for (const { kind, on } of manifest.hooks)
      if (kind === 'command' && (Object.hasOwn(coreCommands, on) || codecOf(on)))
        throw new ManifestError('plugin.bad_manifest', `${on} is a command of the engine`)
    for (const domain of manifest.domains) {
      const owner = others.find((other) => other.manifest.domains.includes(domain))
      if (owner) throw new PluginError('plugin.exists', `the domain ${domain} belongs to the plugin ${owner.name}`)
    }
  }

  // ------------------------------------------------------------------ changes

  /** After what is under way for this plugin, whatever became of that. */
  async inTurn<T>(name: string, change: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(name) ?? Promise.resolve()
    const turn = before.then(change, change)
    const settled = turn.catch(() => {})
    this.#turns.set(name, settled)
    try {
      return await turn
    } finally {
      if (this.#turns.get(name) === settled) this.#turns.delete(name)
    }
  }

  /** What a row says of a plugin and of who changed it. */
  rowOf(manifest: ManifestShape, by: string): Pick<PluginRow, 'name' | 'manifest' | 'changedAt' | 'changedBy'> {
    return { name: manifest.name, manifest, changedAt: this.#parts.clock.now(), changedBy: by }
  }

  async decide(attached: Attached, by: string, change: Partial<PluginRow>): Promise<void> {
    await this.keep(attached, { ...attached.row, ...change, changedAt: this.#parts.clock.now(), changedBy: by })
  }

  /** In the store first: what could not be written is not so. */
  async keep(attached: Attached, row: PluginRow): Promise<void> {
    await this.#parts.store.putPlugin(row)
    attached.row = row
  }

  // ------------------------------------------------------------------ what is told

  /** A fact about plugins: in the log of the engine and in the room log (without a room), where event hooks find it. */
  announce<T extends SystemEventName>(t: T, d: SystemEvents[T]): void {
    if (this.#isEnding) return
    const { clock, newId, store } = this.#parts
    const at = clock.now()
    const actor = 'by' in d && d.by !== '' ? d.by : actorOf(d.plugin).userId
    store.appendLog('', [{ eid: newId(at), t, at, actor, d, epoch: this.#systemEpoch, seq: ++this.#systemSeq }])
  }

  /** The engine stops: that all plugins go is no news, and none comes any more. */
  end(): void {
    this.#isEnding = true
  }

  get isEnding(): boolean {
    return this.#isEnding
  }

  refuseWhenEnding(): void {
    if (this.#isEnding) throw new PluginError('plugin.bad_state', 'the engine stops')
  }
}
