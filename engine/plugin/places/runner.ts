/**
 * Runs a plugin object wherever it lives: checks what goes in, hands it to the author's function with a context, and brings out a result
 * or an error with a code. The inline place calls it directly; in a thread or another process `serve.ts` stands in front of it.
 *
 * A hook that returns no promise costs no promise here.
 */
import { type Static, type TObject, Type } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import { Value } from '@sinclair/typebox/value'
import { CallError, type Context, type PluginLog, type PluginMetrics } from '../context.ts'
import { type AnyPlugin, type Ask, Refusal } from '../define.ts'
import { type HookRun, hooksOf, type ManifestShape, manifestOf } from '../manifest.ts'
import { type DbQuery, type PluginDb, pluginDb } from '../tables.ts'

/** The way back to the engine. `cause`: the number of the run that the call is made from. */
export interface EngineLine {
  call(name: string, d: unknown, cause: number | undefined): Promise<unknown>
  log: PluginLog
  metrics: PluginMetrics
  now(): number
}

export class Runner {
  readonly plugin: AnyPlugin
  readonly manifest: ManifestShape
  readonly #line: EngineLine
  readonly #hooks: HookRun[]
  readonly #ctx: Context
  readonly #bodies = new Map<number, TypeCheck<TObject>>()
  readonly #settingsCheck: TypeCheck<TObject>
  #settings: Readonly<Static<TObject>> = {}
  #db: PluginDb | undefined

  /** Throws a `ManifestError` when the plugin cannot be one. */
  constructor(plugin: AnyPlugin, line: EngineLine, sdk: string) {
    this.plugin = plugin
    this.#line = line
    this.manifest = manifestOf(plugin, sdk)
    this.#hooks = hooksOf(plugin)
    this.#settingsCheck = TypeCompiler.Compile((plugin.settings ?? Type.Object({})) as TObject)
    this.#ctx = this.#context(undefined)
  }

  /** New settings, defaults filled in. Throws with the first problem and keeps the old ones. */
  configure(settings: unknown): void {
    this.#settings = Object.freeze(this.#fitting(settings))
  }

  #fitting(settings: unknown): Static<TObject> {
    const schema = (this.plugin.settings ?? Type.Object({})) as TObject
    const filled = Value.Default(schema, Value.Clone(settings ?? {})) as Static<TObject>
    if (this.#settingsCheck.Check(filled)) return filled
    const problem = this.#settingsCheck.Errors(filled).First()
    throw new CallError(
      'plugin.bad_settings',
      `${problem?.path.slice(1).replaceAll('/', '.') || 'settings'}: ${problem?.message ?? 'invalid'}`,
    )
  }

  async start(): Promise<void> {
    await this.plugin.start?.(this.#ctx)
  }

  async stop(): Promise<void> {
    await this.plugin.stop?.(this.#ctx)
  }

  /** A guard or a transform: its raw answer. Throws and rejects as the author's code does. */
  check(hook: number, ask: Ask<unknown>): unknown {
    return (this.#hooks[hook] as HookRun).run(ask as never, this.#ctx as never)
  }

  /** Any other hook. `run`: a number for this run; calls made from its context carry it. */
  async run(hook: number, input: unknown, run: number): Promise<unknown> {
    const found = this.#hooks[hook]
    if (!found) throw new CallError('plugin.unknown_hook', `there is no hook ${hook}`)
    if (found.spec.kind === 'command') this.#checkBody(hook, found, input as Ask<unknown>)
    return found.run(input as never, this.#context(run) as never)
  }

  #checkBody(hook: number, { spec }: HookRun, { d }: Ask<unknown>): void {
    let check = this.#bodies.get(hook)
    if (!check) {
      const commands = this.plugin.commands as Record<string, { d: TObject }>
      check = TypeCompiler.Compile((commands[spec.on] as { d: TObject }).d)
      this.#bodies.set(hook, check)
    }
    if (check.Check(d)) return
    const problem = check.Errors(d).First()
    const field = problem?.path.slice(1).replaceAll('/', '.').slice(0, 64) || 'd'
    throw new Refusal('request.invalid', `${field}: ${problem?.message ?? 'invalid'}`)
  }

  #context(run: number | undefined): Context {
    const runner = this
    const call = (name: string, d: unknown) => this.#line.call(name, d, run)
    const done = async (name: string, d: unknown) => void (await call(name, d))
    return {
      plugin: this.plugin.name,
      get settings() {
        return runner.#settings
      },
      room: {
        broadcast: (roomId, t, d) => done('engine.room.broadcast', { roomId, t, d }),
        get: (roomId) => call('engine.room.get', { roomId }) as ReturnType<Context['room']['get']>,
        listOnline: () => call('engine.room.list_online', {}) as ReturnType<Context['room']['listOnline']>,
        counters: (roomId) => call('engine.counter.get', { roomId }) as ReturnType<Context['room']['counters']>,
        update: (roomId, patch) => done('engine.room.update', { roomId, ...patch }),
        setSettings: (roomId, patch) => done('engine.room.set_settings', { roomId, ...patch }),
        takedown: (roomId, options) => done('engine.room.takedown', { roomId, ...options }),
        restore: (roomId) => done('engine.room.restore', { roomId }),
      },
      user: {
        notify: (userId, t, d) => done('engine.user.notify', { userId, t, d }),
        mute: (roomId, userId, options) => done('engine.user.mute', { roomId, userId, ...options }),
        kick: (roomId, userId, options) => done('engine.user.kick', { roomId, userId, ...options }),
        closeSessions: (userId) => done('engine.session.close', { userId }),
      },
      danmaku: {
        post: (roomId, options) => call('engine.danmaku.post', { roomId, ...options }) as Promise<{ id: string }>,
      },
      message: {
        remove: (roomId, ids) => done('engine.message.remove', { roomId, ids }),
        release: (roomId, caseId) => done('engine.message.release', { roomId, caseId }),
        reject: (roomId, caseId, msg) => done('engine.message.reject', { roomId, caseId, ...(msg === undefined ? {} : { msg }) }),
      },
      stream: {
        cut: (roomId, options = {}) => done('engine.stream.cut', { roomId, ...options }),
        degrade: (roomId, level) => done('engine.stream.degrade', { roomId, level }),
        switchLine: async (roomId, line) =>
          ((await call('engine.stream.switch_line', { roomId, line })) as { line: 'primary' | 'backup' }).line,
      },
      mic: {
        drop: (roomId, seatNo, reason) =>
          done('engine.mic.drop', { roomId, seatNo, ...(reason === undefined ? {} : { reason }) }),
      },
      wall: { show: (roomId, options) => done('engine.wall.show', { roomId, ...options }) },
      pay: { create: (order) => call('engine.pay.create', order) as ReturnType<Context['pay']['create']> },
      get db() {
        return (runner.#db ??= pluginDb(runner.#query))
      },
      clock: { now: () => this.#line.now() },
      log: this.#line.log,
      metrics: this.#line.metrics,
    }
  }

  readonly #query: DbQuery = (statements) => this.#line.call('engine.db.query', { statements }, undefined) as ReturnType<DbQuery>
}
