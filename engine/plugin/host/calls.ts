/**
 * What a plugin may ask of the engine, and where it is checked that it may: here, for every place alike, never in the plugin's own
 * process. A call that is not declared and granted, has a wrong shape, comes too often or from too deep in a chain of plugins is refused
 * and logged. Most calls are commands of a room, run by its home in the name of the plugin (`plugin_<name>`).
 */
import { type Static, type TObject, Type } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import { commands, idPattern, SettingsPatch } from '../../../schemas/messages.ts'
import { subjects } from '../../../schemas/subjects.ts'
import { KeyedBuckets } from '../../base/bucket.ts'
import type { Bus } from '../../base/bus.ts'
import type { Clock } from '../../base/clock.ts'
import type { Actor, Answer } from '../../room/call.ts'
import { CallError } from '../context.ts'
import type { PluginDbs } from '../db/plugin-dbs.ts'
import type { Grant, ManifestShape } from '../manifest.ts'
import { shapeProblem } from '../settings.ts'

/** A command for a home, from a plugin. */
export interface PluginCommandHead {
  t: string
  d: unknown
  actor: Actor
  hops: number
}
/** What a user is to pay, and what they get for it. */
export interface PayAsk {
  userId: string
  provider: string
  /** In fen. */
  priceMinor: number
  coins: number
  bonusCoins: number
  /** The same user and key get the same order again. */
  ik?: string
}
export type PayAnswer = { rechargeId: string; payUrl: string } | { code: string; msg: string }

export interface CallParts {
  clock: Clock
  bus: Bus
  dbs: PluginDbs
  eventBytesMax: number
  highPerRoomPerSMax: number
  eventsPerRoomPerSMax: number
  /** Of one plugin, in all. */
  callsPerSMax: number
  command(roomId: string | undefined, head: PluginCommandHead): Promise<Answer>
  /** Unset: nothing can be paid here. */
  pay?: ((ask: PayAsk) => Promise<PayAnswer>) | undefined
  onRefused(plugin: string, call: string, error: CallError): void
}

export interface Caller {
  manifest: ManifestShape
  grant: Grant
}

/** A plugin may cause what another reacts to, this many times in a row. */
export const hopsMax = 4
const bucketsMax = 10_000

const Id = Type.String({ pattern: idPattern })
const Reason = Type.Optional(Type.String({ maxLength: 200 }))
const EventName = Type.String({ maxLength: 96 })
const roomOnly = { roomId: Id }
const PayShape = Type.Object({
  userId: Id,
  provider: Type.String({ maxLength: 32 }),
  priceMinor: Type.Integer({ minimum: 1, maximum: 100_000_000 }),
  coins: Type.Integer({ minimum: 1, maximum: 10_000_000 }),
  bonusCoins: Type.Integer({ minimum: 0, maximum: 10_000_000 }),
  ik: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
})
/** What comes behind the room in calls about its media; the admin API takes the same. */
export const streamCut = { banMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400_000 })) }
export const streamLevel = { level: Type.Integer({ minimum: 0, maximum: 4 }) }
const d = (name: keyof typeof commands) => (commands[name].d as TObject).properties

interface CallSpec {
  shape: TObject
  run(call: Running): Promise<unknown>
}
interface Running {
  caller: Caller
  // biome-ignore lint/suspicious/noExplicitAny: checked against `shape` before it gets here.
  d: any
  hops: number
  /** The input of the hook run that it comes from. */
  cause: unknown
}

export class Calls {
  readonly #parts: CallParts
  readonly #checks = new Map<string, TypeCheck<TObject>>()
  readonly #buckets = new KeyedBuckets(bucketsMax)
  readonly #table: Readonly<Record<string, CallSpec>>

  constructor(parts: CallParts) {
    this.#parts = parts
    this.#table = this.#specs()
  }

  /** `cause`: the input of the hook run that the call comes from; an event in it makes the call a step of a chain. */
  async run(caller: Caller, name: string, d: unknown, cause: unknown): Promise<unknown> {
    try {
      return await this.#run(caller, name, d, cause)
    } catch (error) {
      const refused =
        error instanceof CallError ? error : new CallError('plugin.failed', String((error as Error).message ?? error))
      const code = (error as { code?: unknown }).code
      const told = typeof code === 'string' && code.startsWith('db.') ? new CallError(code, refused.message) : refused
      this.#parts.onRefused(caller.manifest.name, name, told)
      throw told
    }
  }

  #run(caller: Caller, name: string, d: unknown, cause: unknown): Promise<unknown> {
    const spec = Object.hasOwn(this.#table, name) ? this.#table[name] : undefined
    if (!spec) throw new CallError('call.unknown', `there is no call ${name.slice(0, 64)}`)
    this.#checkRight(caller, name)
    this.#spend(`${caller.manifest.name}`, this.#parts.callsPerSMax)
    let check = this.#checks.get(name)
    if (!check) this.#checks.set(name, (check = TypeCompiler.Compile(spec.shape)))
    if (!check.Check(d)) {
      const problem = check.Errors(d).First()
      throw new CallError(
        'request.invalid',
        `${problem?.path.slice(1).replaceAll('/', '.') || 'd'}: ${problem?.message ?? 'invalid'}`,
      )
    }
    const hops = hopsOf(cause) + 1
    if (hops > hopsMax) throw new CallError('call.too_deep', `more than ${hopsMax} plugins in a row`)
    return spec.run({ caller, d, hops, cause })
  }

  #checkRight({ manifest, grant }: Caller, name: string): void {
    // Own events and own tables need no grant of their own: what they may be is checked with them.
    if (name === 'engine.room.broadcast' || name === 'engine.db.query') return
    if (!manifest.calls.includes(name)) throw new CallError('call.undeclared', `${name} is not in this plugin's calls`)
    if (!grant.calls.includes(name)) throw new CallError('call.not_granted', `${name} was not granted by the operator`)
  }

  #spend(key: string, perS: number): void {
    const waitMs = this.#buckets.take(key, this.#parts.clock.now(), { perS, burst: perS })
    if (waitMs > 0) throw Object.assign(new CallError('rate.limited', `wait ${waitMs} ms`), { retryAfterMs: waitMs })
  }

  async #command({ caller, d, hops }: Running, t: string, pick: (d: Record<string, unknown>) => unknown = (all) => all) {
    const { roomId, ...rest } = d as { roomId?: string }
    const answer = await this.#parts.command(roomId, { t, d: pick(rest), actor: actorOf(caller.manifest.name), hops })
    if (answer.ok) return answer.d
    throw new CallError(answer.err.code, answer.err.msg)
  }

  /** For whoever asked the plugin, and for nobody else: an order is made in the name of a user. */
  async #pay({ d, cause }: Running): Promise<unknown> {
    const ask = d as PayAsk
    if (askerOf(cause) !== ask.userId) throw new CallError('perm.denied', 'userId: not the user whose command this is')
    const answer = await this.#parts.pay?.(ask)
    if (!answer) throw new CallError('billing.unavailable', 'this engine keeps no ledger')
    if ('code' in answer) throw new CallError(answer.code, answer.msg)
    return answer
  }

  /** The lane of an event that this plugin may send, if it may. */
  #emit({ manifest, grant }: Caller, t: string, d: unknown): 'high' | 'normal' | 'low' {
    const spec = manifest.emits.find((one) => one.t === t)
    if (!spec) throw new CallError('call.undeclared', `${t} is not in this plugin's emits`)
    if (spec.lane === 'high' && !grant.high.includes(t))
      throw new CallError('call.not_granted', `${t} was not granted for the high lane`)
    const bytes = Buffer.byteLength(JSON.stringify(d))
    if (bytes > this.#parts.eventBytesMax)
      throw new CallError('request.too_large', `${t}: ${bytes} of ${this.#parts.eventBytesMax} bytes`)
    const problem = shapeProblem(spec.d, d, 'd')
    if (problem !== undefined) throw new CallError('request.invalid', `${t}: ${problem}`)
    return spec.lane
  }

  #specs(): Record<string, CallSpec> {
    const { bus, clock, dbs, highPerRoomPerSMax, eventsPerRoomPerSMax } = this.#parts
    const body = Type.Record(Type.String(), Type.Unknown())
    const asCommand = (shape: TObject, t: string): CallSpec => ({ shape, run: (call) => this.#command(call, t) })
    return {
      'engine.room.broadcast': {
        shape: Type.Object({ ...roomOnly, t: EventName, d: body }),
        run: (call) => {
          const { t, d, roomId } = call.d as { t: string; d: unknown; roomId: string }
          const lane = this.#emit(call.caller, t, d)
          const kind = lane === 'high' ? 'high' : 'other'
          this.#spend(
            `${call.caller.manifest.name} ${kind} ${roomId}`,
            lane === 'high' ? highPerRoomPerSMax : eventsPerRoomPerSMax,
          )
          return this.#command({ ...call, d: { roomId, t, d, lane } }, 'engine.room.broadcast')
        },
      },
      'engine.user.notify': {
        shape: Type.Object({ userId: Id, t: EventName, d: body }),
        run: async ({ caller, d: { userId, t, d } }) => {
          this.#emit(caller, t, d)
          bus.publish(subjects.userEvents(userId), { head: { t, at: clock.now(), d } })
        },
      },
      'engine.session.close': {
        shape: Type.Object({ userId: Id }),
        run: async ({ d: { userId } }) => bus.publish(subjects.userClose(userId), { head: {} }),
      },
      'engine.db.query': {
        shape: Type.Object({ statements: Type.Array(Type.Unknown()) }),
        run: ({ caller, d: { statements } }) => dbs.query(caller.manifest.name, statements),
      },
      'engine.room.get': asCommand(Type.Object(roomOnly), 'engine.room.get'),
      'engine.counter.get': {
        shape: Type.Object(roomOnly),
        run: async (call) => {
          const { totals, online } = (await this.#command(call, 'engine.room.get')) as { totals: object; online: object }
          return { ...totals, online }
        },
      },
      'engine.room.list_online': {
        shape: Type.Object({}),
        run: async (call) => ((await this.#command({ ...call, d: { limit: 100 } }, 'room.list')) as { items: unknown }).items,
      },
      'engine.room.update': asCommand(Type.Object({ ...roomOnly, ...d('room.update') }), 'room.update'),
      'engine.room.set_settings': asCommand(Type.Object({ ...roomOnly, ...SettingsPatch.properties }), 'room.set_settings'),
      'engine.room.takedown': asCommand(
        Type.Object({ ...roomOnly, reason: Type.String({ maxLength: 200 }), caseId: Type.Optional(Id) }),
        'engine.room.takedown',
      ),
      'engine.room.restore': asCommand(Type.Object(roomOnly), 'engine.room.restore'),
      'engine.user.mute': asCommand(Type.Object({ ...roomOnly, ...d('room.mute') }), 'room.mute'),
      'engine.user.kick': asCommand(Type.Object({ ...roomOnly, ...d('room.kick') }), 'room.kick'),
      'engine.danmaku.post': asCommand(
        Type.Object({
          ...roomOnly,
          botId: Type.String({ pattern: '^[A-Za-z0-9_-]{1,48}$' }),
          name: Type.String({ minLength: 1, maxLength: 64 }),
          text: Type.String({ maxLength: 4_000 }),
        }),
        'engine.danmaku.post',
      ),
      'engine.message.remove': asCommand(
        Type.Object({ ...roomOnly, ids: Type.Array(Id, { minItems: 1, maxItems: 200 }) }),
        'engine.message.remove',
      ),
      'engine.message.release': asCommand(Type.Object({ ...roomOnly, caseId: Id }), 'engine.message.release'),
      'engine.message.reject': asCommand(Type.Object({ ...roomOnly, caseId: Id, msg: Reason }), 'engine.message.reject'),
      'engine.wall.show': asCommand(Type.Object({ ...roomOnly, ...d('wall.show') }), 'wall.show'),
      'engine.stream.cut': asCommand(Type.Object({ ...roomOnly, reason: Reason, ...streamCut }), 'engine.stream.cut'),
      'engine.stream.degrade': asCommand(Type.Object({ ...roomOnly, ...streamLevel }), 'engine.stream.degrade'),
      'engine.stream.switch_line': asCommand(
        Type.Object({ ...roomOnly, ...d('stream.switch_line') }),
        'engine.stream.switch_line',
      ),
      'engine.mic.drop': asCommand(Type.Object({ ...roomOnly, ...d('mic.drop') }), 'mic.drop'),
      'engine.pay.create': { shape: PayShape, run: (call) => this.#pay(call) },
    }
  }
}

/** In whose name a plugin acts: no token can claim such an id. */
export const actorOf = (plugin: string): Actor => ({
  userId: `plugin_${plugin}`,
  name: plugin,
  anonymous: false,
  scope: ['operator'],
})

/** Of a command; a run that is over, an event and a schedule have none. */
const askerOf = (cause: unknown): unknown => (Object((Object(cause) as { from?: unknown }).from) as { userId?: unknown }).userId

const hopsOf = (cause: unknown): number => {
  const { hops } = Object(cause) as { hops?: unknown }
  return typeof hops === 'number' ? hops : 0
}

export type { Static }
