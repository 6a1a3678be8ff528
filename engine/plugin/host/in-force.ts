/**
 * Which hook of which plugin is in force now: the lists that rooms ask, made anew in one turn whenever a plugin comes, goes or changes.
 * Whoever asks next asks the new ones; what is being asked goes on with the old.
 */
import type { RoomEvent } from '../../room/event.ts'
import type { Home } from '../../room/home.ts'
import { type BoundGuard, Guards } from '../checks/guards.ts'
import type { HookMeters } from '../checks/meters.ts'
import { type BoundTransform, Transforms } from '../checks/transforms.ts'
import { isDurable } from '../hooks.ts'
import type { HookKind, HookOf } from '../manifest.ts'
import type { Place } from '../places/place.ts'
import type { Attached } from './attached.ts'

export interface InForceParts {
  /** Whether danmaku are in the room log: their hooks then read it. */
  logDanmaku: boolean
  metersOf(attached: Attached, kind: HookKind, on: string): HookMeters
  onFailure(plugin: string, hook: string, error: unknown): void
}
export interface OwnedCommand {
  attached: Attached
  index: number
  spec: HookOf<'command'>
}

export class InForce {
  readonly guards: Guards
  readonly transforms: Transforms
  readonly #parts: InForceParts
  readonly #commands = new Map<string, OwnedCommand>()
  #live = new Map<string, Attached[]>()

  constructor(parts: InForceParts) {
    this.#parts = parts
    this.guards = new Guards((guard, on, error) => parts.onFailure(guard.plugin, `guard ${on}`, error))
    this.transforms = new Transforms((transform, on, error) => parts.onFailure(transform.plugin, `transform ${on}`, error))
  }

  command(name: string): OwnedCommand | undefined {
    return this.#commands.get(name)
  }

  commandNames(): Iterable<string> {
    return this.#commands.keys()
  }

  /** What a room committed: for hooks on events that are in no log. */
  committed(home: Home, events: readonly RoomEvent[]): void {
    if (this.#live.size === 0) return
    for (const event of events) {
      // What only one user may see (shadowed) is not for plugins to repeat.
      const wanting = event.only === undefined ? this.#live.get(event.t) : undefined
      if (!wanting) continue
      const { t, seq, at, eid, actor, d, hops } = event
      for (const attached of wanting)
        attached.live?.push({ t, room: home.id, epoch: home.epoch, seq, at, eid, actor, d, attempt: 1, hops })
    }
  }

  changeOver(all: Iterable<Attached>): void {
    const active = [...all].filter(({ isActive }) => isActive)
    this.#bindGuards(active)
    this.#bindTransforms(active)
    this.#commands.clear()
    this.#live = new Map()
    for (const attached of active) {
      for (const { index, spec } of attached.hooks('command')) {
        this.#parts.metersOf(attached, 'command', spec.on)
        this.#commands.set(spec.on, { attached, index, spec })
      }
      for (const { spec } of [...attached.hooks('charge'), ...attached.hooks('route')])
        this.#parts.metersOf(attached, spec.kind, spec.on)
      this.#bindEvents(attached)
    }
  }

  #bindGuards(active: readonly Attached[]): void {
    const lists = new Map<string, BoundGuard[]>([...this.guards.commands()].map((on) => [on, []]))
    for (const attached of active) {
      const place = attached.place as Place
      for (const { index, spec } of attached.hooks('guard')) {
        const { on, order, budgetMs, onFailure } = spec
        const check: BoundGuard['check'] = (ask) => place.check(index, ask, budgetMs)
        const bound = {
          plugin: attached.name,
          domains: attached.manifest.domains,
          order,
          onFailure,
          meters: this.#parts.metersOf(attached, 'guard', on),
          check,
        }
        lists.set(on, [...(lists.get(on) ?? []), bound])
      }
    }
    for (const [on, list] of lists) this.guards.set(on, list)
  }

  #bindTransforms(active: readonly Attached[]): void {
    const lists = new Map<string, BoundTransform[]>([...this.transforms.commands()].map((on) => [on, []]))
    for (const attached of active) {
      const place = attached.place as Place
      for (const { index, spec } of attached.hooks('transform')) {
        const { on, order, budgetMs } = spec
        const check: BoundTransform['check'] = (ask) => place.check(index, ask, budgetMs)
        const bound = { plugin: attached.name, order, meters: this.#parts.metersOf(attached, 'transform', on), check }
        lists.set(on, [...(lists.get(on) ?? []), bound])
      }
    }
    for (const [on, list] of lists) this.transforms.set(on, list)
  }

  #bindEvents(attached: Attached): void {
    attached.eventHooks.clear()
    for (const { index, spec } of attached.hooks('event')) {
      attached.eventHooks.set(spec.on, { index, budgetMs: spec.budgetMs })
      this.#parts.metersOf(attached, 'event', spec.on)
      if (!isDurable(spec.on, this.#parts.logDanmaku)) this.#live.set(spec.on, [...(this.#live.get(spec.on) ?? []), attached])
    }
  }
}
