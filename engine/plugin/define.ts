/**
 * What a plugin author writes. One object says what a plugin is, what it wants and what it does; the engine runs it inline, in a worker
 * thread or in a process of its own, and the code is the same.
 *
 *     export default definePlugin({
 *       name: 'word-filter',
 *       version: '1.0.0',
 *       settings: Type.Object({ words: Type.Array(Type.String(), { default: [] }) }),
 *       guards: {
 *         'danmaku.send': {
 *           order: 10, budgetMs: 50, onFailure: 'open',
 *           run: ({ d }, { settings }) => settings.words.some((word) => d.text.includes(word)) ? deny('content.rejected') : allow,
 *         },
 *       },
 *     })
 *
 * The compiler refuses an unknown hook, a guard without a failure policy and a transform that answers with a field it may not change.
 * Rights are what is declared here and the operator has granted: `calls`, `emits`, `commands`; anything else is refused and logged.
 */
import type { Static, TObject, TSchema } from '@sinclair/typebox'
import type { EventName, Lane } from '../../schemas/messages.ts'
import type { Context, Emitted } from './context.ts'
import type {
  BusEventName,
  ChargeAnswer,
  ChargedCommand,
  GrantableDomain,
  GuardedCommand,
  GuardedCommands,
  HookedEventData,
  LedgerEventName,
  PluginOwnedName,
  SystemEventName,
  TransformedCommand,
  TransformedCommands,
  VerdictOn,
} from './hooks.ts'

/** Who asks for something. */
export interface Asker {
  userId: string
  name: string
  anonymous: boolean
  /** `owner`, `admin`, `controller`, `assistant`, `patrol`, `operator`, as far as they hold in this room. */
  ranks: readonly string[]
  bot?: true
}

export interface Ask<D> {
  /** Empty for what concerns no one room. */
  room: string
  /** Arrival at the home of the room, epoch ms. */
  at: number
  from: Asker
  d: D
}

/** An answer after `budgetMs` is dropped. `open`: the command then passes, tagged and counted; `closed`: it is refused. */
export interface GuardHook<T extends string, D, C> {
  /** Of two denials the lower order's counts. */
  order: number
  budgetMs: number
  onFailure: 'open' | 'closed'
  run(ask: Ask<D>, ctx: C): VerdictOn<T> | Promise<VerdictOn<T>>
}

/** Runs after every guard has allowed, in order. Late or failed: skipped and counted. */
export interface TransformHook<T extends TransformedCommand, C> {
  order: number
  budgetMs: number
  run(
    ask: Ask<TransformedCommands[T]['d']>,
    ctx: C,
  ): TransformedCommands[T]['patch'] | undefined | Promise<TransformedCommands[T]['patch'] | undefined>
}

/** Price, accounts and split of what costs money. Exactly one owner, named in the configuration; late or failed: refused. */
export interface ChargeHook<C> {
  budgetMs: number
  run(ask: Ask<Readonly<Record<string, unknown>>>, ctx: C): ChargeAnswer | Promise<ChargeAnswer>
}

export interface CommandAsk<D> extends Ask<D> {
  ik?: string
}
/** A command that this plugin owns: `x.<plugin>.<verb>`, or one of its `domains`. `d` is checked before `run`; refuse with `throw refuse(code, msg)`. */
export interface CommandHook<D extends TObject, C> {
  d: D
  /** False: it concerns no one room. Default true. */
  room?: boolean
  /** Default `user`: anonymous viewers may not. */
  who?: 'user' | 'anyone'
  /** The sender must be in the room. Default true for room commands. */
  joined?: boolean
  /** At most 5,000. */
  budgetMs: number
  run(ask: CommandAsk<Static<D>>, ctx: C): object | undefined | Promise<object | undefined>
}

export interface PluginEvent<D> {
  t: string
  /** Empty for events about the engine itself. */
  room: string
  epoch: number
  seq: number
  at: number
  /** The same in every delivery of one event. */
  eid: string
  actor: string
  d: D
  /** From 1. Events of the low lane, and danmaku that are not logged, come once or not at all. */
  attempt: number
  /** How many plugins stand between this and what a user did. */
  hops: number
}
/** After commit, in the order of the room. A throw, or no end within `budgetMs` (default 5,000): delivered again, at last a dead letter. */
export interface EventHook<D, C> {
  budgetMs?: number
  run(event: PluginEvent<D>, ctx: C): unknown
}

/** Every `everyMs` on one instance, never stacked. */
export interface ScheduleHook<C> {
  everyMs: number
  /** Default 10,000. */
  budgetMs?: number
  run(at: number, ctx: C): unknown
}

export interface RouteRequest {
  params: Readonly<Record<string, string>>
  query: Readonly<Record<string, unknown>>
  body: unknown
  /** The operator whose token it is. */
  actor: string
  /** The `Idempotency-Key` that came with it: the same one again asks for no second effect. */
  ik?: string
}
/** Under `/admin/v1/<plugin>`, for operators: `'GET /questions/:id'`. */
export interface RouteHook<C> {
  summary: string
  /** Default 5,000. */
  budgetMs?: number
  run(request: RouteRequest, ctx: C): RouteReply | Promise<RouteReply>
}
export interface RouteReply {
  status?: number
  body: unknown
}
export type RouteName = `${'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'} /${string}`

/** An event that this plugin sends to a room. `high` only if the operator grants it. */
export interface EmitSpec {
  lane: Lane
  d: TObject
}

/** Engine commands that a plugin may be granted. */
export const engineCalls = [
  'engine.room.get',
  'engine.room.list_online',
  'engine.counter.get',
  'engine.room.update',
  'engine.room.set_settings',
  'engine.room.takedown',
  'engine.room.restore',
  'engine.user.notify',
  'engine.user.mute',
  'engine.user.kick',
  'engine.session.close',
  'engine.danmaku.post',
  'engine.message.remove',
  'engine.message.release',
  'engine.message.reject',
  'engine.wall.show',
  'engine.pay.create',
  'engine.stream.cut',
  'engine.stream.degrade',
  'engine.stream.switch_line',
  'engine.mic.drop',
] as const
export type EngineCallName = (typeof engineCalls)[number]

type Guards<C> = { [T in GuardedCommand]?: GuardHook<T, GuardedCommands[T], C> } & {
  [T in PluginOwnedName]?: GuardHook<T, Readonly<Record<string, unknown>>, C>
}
type Transforms<C> = { [T in TransformedCommand]?: TransformHook<T, C> }
type Charges<C> = { [T in ChargedCommand]?: ChargeHook<C> }
type Events<C> = { [T in EventName | BusEventName | SystemEventName | LedgerEventName]?: EventHook<HookedEventData<T>, C> } & {
  [T in PluginOwnedName]?: EventHook<unknown, C>
}

export interface Plugin<
  S extends TObject = TObject,
  D extends Record<string, TObject> = Record<string, TObject>,
  E extends Emitted = Emitted,
> {
  /** `[a-z][a-z0-9-]{1,31}`, the same wherever it runs. */
  name: string
  /** `major.minor.patch`. */
  version: string
  description?: string
  settings?: S
  /** What it asks of the engine. Broadcasting what `emits` names needs no line here. */
  calls?: readonly EngineCallName[]
  emits?: E
  /** Domains that it owns as a whole, if the operator grants them: `vote` for `vote.cast` and `vote.opened`. */
  domains?: readonly GrantableDomain[]
  guards?: Guards<Context<S, E>>
  transforms?: Transforms<Context<S, E>>
  charges?: Charges<Context<S, E>>
  commands?: { [K in keyof D]: CommandHook<D[K], Context<S, E>> }
  events?: Events<Context<S, E>>
  schedules?: Readonly<Record<string, ScheduleHook<Context<S, E>>>>
  routes?: { readonly [K in RouteName]?: RouteHook<Context<S, E>> }
  /** One SQL statement each; entry n brings this plugin's own database to version n + 1. Shipped entries are never edited. */
  migrations?: readonly string[]
  /** Before the first hook. A throw keeps the plugin from attaching. */
  start?(ctx: Context<S, E>): unknown
  /** After the last hook. */
  stop?(ctx: Context<S, E>): unknown
}
// biome-ignore lint/suspicious/noExplicitAny: hooks take contexts of their own settings and events; only the plugin itself knows them.
export type AnyPlugin = Plugin<any, any, any>

export function definePlugin<
  S extends TObject = TObject,
  D extends Record<string, TObject> = Record<never, TObject>,
  E extends Emitted = Record<never, EmitSpec>,
>(plugin: Plugin<S, D, E>): Plugin<S, D, E> {
  return plugin
}

/** What a command handler throws to refuse with a code: `x.<plugin>.<reason>`, or one of the engine's own. */
export class Refusal extends Error {
  readonly code: string
  readonly retryAfterMs: number | undefined

  constructor(code: string, msg: string, retryAfterMs?: number) {
    super(msg)
    this.name = 'Refusal'
    this.code = code
    this.retryAfterMs = retryAfterMs
  }
}
export const refuse = (code: string, msg: string, retryAfterMs?: number): Refusal => new Refusal(code, msg, retryAfterMs)
export type { TSchema }
