/**
 * What a plugin declares, as plain JSON: made from the plugin object where the plugin lives (`manifestOf`), and checked again by the
 * engine (`checkManifest`), which trusts no plugin to have been compiled against it.
 *
 * Hooks keep their place in `hooks`: requests name a hook by its index there. The hash tells whether two instances are the same plugin.
 */
import { createHash } from 'node:crypto'
import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { Value } from '@sinclair/typebox/value'
import { lanes } from '../../schemas/messages.ts'
import { type AnyPlugin, engineCalls, type RouteName } from './define.ts'
import {
  chargedCommands,
  grantableDomains,
  guardedCommands,
  hookMajors,
  isBusEvent,
  isCoreEvent,
  isLedgerEvent,
  isOwnable,
  isOwnedBy,
  isSystemEvent,
  transformedCommands,
} from './hooks.ts'
import { isDeeperThan, textDepthMax } from './places/protocol.ts'
import { shapeProblem } from './settings.ts'

export const pluginNamePattern = '^[a-z][a-z0-9-]{1,31}$'
const budget = (maximum: number) => Type.Integer({ minimum: 1, maximum })
const order = Type.Integer({ minimum: 0, maximum: 1_000 })
const version = Type.Integer({ minimum: 1, maximum: 1_000 })
const schema = Type.Record(Type.String(), Type.Unknown())
const closed = { additionalProperties: false }

/** Longest a guard may take: a danmaku waits for it. */
export const guardBudgetMsMax = 1_000
export const commandBudgetMsMax = 5_000
const longBudgetMsMax = 60_000

export const HookSpec = Type.Union([
  Type.Object(
    {
      kind: Type.Literal('guard'),
      on: Type.String({ maxLength: 96 }),
      v: version,
      order,
      budgetMs: budget(guardBudgetMsMax),
      onFailure: Type.Union([Type.Literal('open'), Type.Literal('closed')]),
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal('transform'),
      on: Type.String({ maxLength: 96 }),
      v: version,
      order,
      budgetMs: budget(guardBudgetMsMax),
    },
    closed,
  ),
  Type.Object(
    { kind: Type.Literal('charge'), on: Type.String({ maxLength: 96 }), v: version, budgetMs: budget(commandBudgetMsMax) },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal('command'),
      on: Type.String({ maxLength: 96 }),
      v: version,
      budgetMs: budget(commandBudgetMsMax),
      room: Type.Boolean(),
      who: Type.Union([Type.Literal('user'), Type.Literal('anyone')]),
      joined: Type.Boolean(),
      d: schema,
    },
    closed,
  ),
  Type.Object(
    { kind: Type.Literal('event'), on: Type.String({ maxLength: 96 }), v: version, budgetMs: budget(longBudgetMsMax) },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal('schedule'),
      on: Type.String({ pattern: '^[a-z][a-z0-9_-]{0,31}$' }),
      v: version,
      everyMs: Type.Integer({ minimum: 100, maximum: 7 * 86_400_000 }),
      budgetMs: budget(longBudgetMsMax),
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal('route'),
      on: Type.String({ pattern: '^(GET|POST|PUT|PATCH|DELETE) /[A-Za-z0-9_\\-/:]{0,120}$' }),
      v: version,
      budgetMs: budget(longBudgetMsMax),
      summary: Type.String({ maxLength: 200 }),
    },
    closed,
  ),
])
export type HookSpecShape = Static<typeof HookSpec>
export type HookKind = HookSpecShape['kind']
export type HookOf<K extends HookKind> = Extract<HookSpecShape, { kind: K }>

export const hooksMax = 64

export const Manifest = Type.Object(
  {
    name: Type.String({ pattern: pluginNamePattern }),
    version: Type.String({ pattern: '^\\d{1,6}\\.\\d{1,6}\\.\\d{1,6}$' }),
    sdk: Type.String({ maxLength: 32 }),
    description: Type.String({ maxLength: 400 }),
    hooks: Type.Array(HookSpec, { maxItems: hooksMax }),
    calls: Type.Array(Type.String({ maxLength: 64 }), { maxItems: 64 }),
    emits: Type.Array(
      Type.Object(
        { t: Type.String({ maxLength: 96 }), lane: Type.Union(lanes.map((lane) => Type.Literal(lane))), d: schema },
        closed,
      ),
      { maxItems: 64 },
    ),
    domains: Type.Array(Type.String({ maxLength: 32 }), { maxItems: 16 }),
    settings: schema,
    migrations: Type.Array(Type.String({ maxLength: 65_536 }), { maxItems: 500 }),
  },
  closed,
)
export type ManifestShape = Static<typeof Manifest>

/** Why a plugin cannot attach. `code` is what its author is told. */
export class ManifestError extends Error {
  readonly code: 'plugin.bad_manifest' | 'plugin.version'

  constructor(code: ManifestError['code'], msg: string) {
    super(msg)
    this.name = 'ManifestError'
    this.code = code
  }
}

const eventBudgetMs = 5_000
const scheduleBudgetMs = 10_000
const routeBudgetMs = 5_000

/** The functions of a plugin in the order of its hooks. */
export interface HookRun {
  spec: HookSpecShape
  run: (input: never, ctx: never) => unknown
}

export function hooksOf(plugin: AnyPlugin): HookRun[] {
  const list: HookRun[] = []
  // Typed by `Plugin`; from here on a hook is its spec and a function.
  const each = (group: object | undefined, make: (on: string, hook: Record<string, unknown>) => object) => {
    for (const [on, hook] of Object.entries(group ?? {}) as [string, Record<string, unknown>][])
      list.push({ spec: { on, v: 1, ...make(on, hook) } as HookSpecShape, run: hook.run as HookRun['run'] })
  }
  each(plugin.guards, (_, { order, budgetMs, onFailure }) => ({ kind: 'guard', order, budgetMs, onFailure }))
  each(plugin.transforms, (_, { order, budgetMs }) => ({ kind: 'transform', order, budgetMs }))
  each(plugin.charges, (_, { budgetMs }) => ({ kind: 'charge', budgetMs }))
  each(plugin.commands, (_, { budgetMs, room = true, who = 'user', joined = room, d }) => {
    return { kind: 'command', budgetMs, room, who, joined, d: plain(d) }
  })
  each(plugin.events, (_, { budgetMs = eventBudgetMs }) => ({ kind: 'event', budgetMs }))
  each(plugin.schedules, (_, { everyMs, budgetMs = scheduleBudgetMs }) => ({ kind: 'schedule', everyMs, budgetMs }))
  each(plugin.routes, (_: RouteName | string, { summary, budgetMs = routeBudgetMs }) => ({ kind: 'route', summary, budgetMs }))
  return list
}

/** Throws a `ManifestError` that names what is wrong. */
export function manifestOf(plugin: AnyPlugin, sdk: string): ManifestShape {
  return checkManifest({
    name: plugin.name,
    version: plugin.version,
    sdk,
    description: plugin.description ?? '',
    hooks: hooksOf(plugin).map(({ spec }) => spec),
    calls: [...(plugin.calls ?? [])],
    emits: Object.entries((plugin.emits ?? {}) as Record<string, { lane: string; d: unknown }>).map(([t, { lane, d }]) => {
      return { t, lane, d: plain(d) }
    }),
    domains: [...(plugin.domains ?? [])],
    settings: plain(plugin.settings ?? { type: 'object', properties: {} }) as object,
    migrations: [...(plugin.migrations ?? [])],
  })
}

/** TypeBox marks schemas with symbols; what travels is JSON. */
const plain = (value: unknown): unknown => (value === undefined ? {} : JSON.parse(JSON.stringify(value)))

/** Their routes would stand in front of a plugin's: `/admin/v1/<plugin>`. */
const reservedNames = ['account', 'audit', 'backups', 'engine', 'events', 'media', 'money', 'plugins', 'relay', 'rooms']

const checkShape = TypeCompiler.Compile(Manifest)

/** From text of anybody: whatever is wrong with it is the manifest's fault. */
export function readManifest(text: string): ManifestShape {
  try {
    return checkManifest(JSON.parse(text))
  } catch (error) {
    if (error instanceof ManifestError) throw error
    throw bad(`cannot be read: ${(error as Error).message}`.slice(0, 200))
  }
}

export function checkManifest(value: unknown): ManifestShape {
  if (isDeeperThan(value, textDepthMax)) throw bad(`nested deeper than ${textDepthMax}`)
  if (!checkShape.Check(value)) throw bad(manifestProblem(value))
  const { name, hooks, calls, emits, domains } = value
  if (reservedNames.includes(name)) throw bad(`${name} is a name of the engine`)
  for (const call of calls)
    if (!(engineCalls as readonly string[]).includes(call)) throw bad(`${call} is not a call of the engine`)
  for (const domain of domains)
    if (!(grantableDomains as readonly string[]).includes(domain)) throw bad(`${domain} is no domain that a plugin can own`)
  for (const { t } of emits)
    if (isLedgerEvent(t)) throw bad(`emits ${t}: the ledger alone says that`)
    else if (!isOwnedBy(t, name, domains))
      throw bad(`emits ${t}: own events are named x.${name}.<event>, or after one of its domains`)
  const seen = new Set<string>()
  for (const hook of hooks) {
    checkHook(value, hook)
    const key = `${hook.kind} ${hook.on}`
    if (seen.has(key)) throw bad(`${key} stands twice`)
    seen.add(key)
  }
  // Whatever was stored before, a plugin can always start on what it ships with.
  const problem = shapeProblem(value.settings, {})
  if (problem !== undefined) throw bad(`${problem}: every setting needs a default, or is optional`)
  return value
}

function manifestProblem(value: unknown): string {
  const { hooks } = Object(value) as { hooks?: unknown }
  const ofHook = Array.isArray(hooks)
    ? hooks
        .slice(0, hooksMax)
        .map(hookProblem)
        .find((problem) => problem !== undefined)
    : undefined
  if (ofHook !== undefined) return ofHook
  const error = checkShape.Errors(value).First()
  return error ? inWords('', error) || 'not a manifest' : 'not a manifest'
}

/** Of a union every branch complains: what is asked is the one of its kind. */
function hookProblem(hook: unknown): string | undefined {
  const { kind, on } = Object(hook) as { kind?: unknown; on?: unknown }
  const own = HookSpec.anyOf.find(({ properties }) => properties.kind.const === kind)
  const error = own && Value.Errors(own, hook).First()
  return error && inWords(`${kind} ${String(on).slice(0, 96)}: `, error)
}

const inWords = (where: string, { path, message }: { path: string; message: string }) =>
  `${where}${path.slice(1).replaceAll('/', '.') || 'manifest'}: ${message}`

function checkHook(manifest: ManifestShape, { kind, on, v }: HookSpecShape): void {
  if (!hookMajors.includes(v))
    throw new ManifestError('plugin.version', `${kind} ${on}@${v}: this engine serves @${hookMajors.join(', @')}`)
  if (!isKnownHook(manifest, kind, on)) throw bad(`there is no hook ${kind} ${on}`)
}

function isKnownHook({ name, domains }: ManifestShape, kind: HookKind, on: string): boolean {
  switch (kind) {
    case 'guard':
      return Object.hasOwn(guardedCommands, on) || isOwnable(on)
    case 'transform':
      return Object.hasOwn(transformedCommands, on)
    case 'charge':
      return (chargedCommands as readonly string[]).includes(on)
    case 'command':
      return isOwnedBy(on, name, domains)
    case 'event':
      return isCoreEvent(on) || isBusEvent(on) || isSystemEvent(on) || isLedgerEvent(on) || isOwnable(on)
    default:
      return true
  }
}

const bad = (msg: string) => new ManifestError('plugin.bad_manifest', msg)

export const manifestHash = (manifest: ManifestShape): string =>
  createHash('sha256').update(JSON.stringify(manifest)).digest('base64url').slice(0, 16)

/** What an operator grants: a manifest may ask for no more than this without being approved again. */
export interface Grant {
  calls: readonly string[]
  hooks: readonly string[]
  /** Events of the high lane. */
  high: readonly string[]
  domains: readonly string[]
}
export const grantOf = ({ calls, hooks, emits, domains }: ManifestShape): Grant => ({
  calls,
  hooks: hooks.filter(({ kind }) => kind !== 'schedule').map(hookName),
  high: emits.filter(({ lane }) => lane === 'high').map(({ t }) => t),
  domains,
})

/** A guard with its policy: what opens a closed door is for the operator to decide. */
const hookName = (hook: HookSpecShape): string =>
  hook.kind === 'guard' ? `guard ${hook.on} ${hook.onFailure}` : `${hook.kind} ${hook.on}`

const isClosedGuard = (hook: string): boolean => hook.startsWith('guard ') && hook.endsWith(' closed')

/** What a manifest asks beyond a grant, in words; empty when it fits. */
export function beyondGrant(manifest: ManifestShape, grant: Grant): string[] {
  const wanted = grantOf(manifest)
  const more = (kind: keyof Grant) => wanted[kind].filter((one) => !(grant[kind] ?? []).includes(one))
  const dropped = grant.hooks.filter((hook) => isClosedGuard(hook) && !wanted.hooks.includes(hook))
  return [
    ...dropped.map((hook) => `without ${hook}`),
    ...more('calls'),
    ...more('hooks'),
    ...more('high').map((t) => `high ${t}`),
    ...more('domains').map((domain) => `domain ${domain}`),
  ]
}
