/**
 * The plugin's end of the line: frames in, hooks run, results out. It stands in the worker thread and in the plugin's own process.
 *
 * A batch of checks is answered when all of it is done, or shortly before the engine would give up, with "failed" for what is not:
 * one slow check costs its neighbours nothing but their own budget.
 */
import type { Clock, Timer } from '../base/clock.ts'
import type { Channel } from './channel.ts'
import { CallError } from './context.ts'
import { type AnyPlugin, Refusal } from './define.ts'
import { allow } from './hooks.ts'
import {
  type CallResult,
  type CheckItem,
  type FromPlugin,
  parseFrames,
  resultAllow,
  resultFailed,
  type ToPlugin,
} from './protocol.ts'
import { Runner } from './runner.ts'

export interface ServeParts {
  plugin: AnyPlugin
  sdk: string
  channel: Channel
  clock: Clock
  /** When the line is over: by the engine's wish, or because it is gone. */
  onEnd(reason: string): void
  /** Where log lines go as well; the engine gets them in any case. */
  onLog?(level: LogLevel, fields: object, msg: string): void
}
type LogLevel = 'debug' | 'info' | 'warn' | 'error'

interface Call {
  resolve(d: unknown): void
  reject(error: CallError): void
}
const callsMax = 1_000
/** Answers a batch this much before the engine gives up on it, as a share of the time given. */
const answerEarlyBps = 8_000

export class Served {
  readonly runner: Runner
  readonly #parts: ServeParts
  readonly #calls = new Map<number, Call>()
  #lastCall = 0
  #underWay = 0
  #outbox: string[] = []
  #settings = -1
  #started: Promise<void> | undefined
  #isDraining = false
  #isOver = false

  /** Throws a `ManifestError` when the plugin cannot be one. Nothing is sent before `open`. */
  constructor(parts: ServeParts) {
    this.#parts = parts
    const log = (level: LogLevel) => (fields: object, msg: string) => {
      parts.onLog?.(level, fields, msg)
      this.#post({ k: 'log', level, fields: errorsAsText(fields), msg })
    }
    this.runner = new Runner(
      parts.plugin,
      {
        call: (name, d, cause) => this.#call(name, d, cause),
        log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
        metrics: { add: (name, by = 1) => this.#post({ k: 'count', name, by }) },
        now: () => parts.clock.now(),
      },
      parts.sdk,
    )
  }

  open(): void {
    this.#parts.channel.open({
      onText: (text) => this.#onText(text),
      onClose: (reason) => this.#end(reason),
      onCut: (isCut) => {
        if (isCut) this.#failCalls('the connection to the engine is cut')
      },
    })
  }

  /** Ask for no more work, finish what is under way, say goodbye. For SIGTERM. */
  drain(): void {
    if (this.#isDraining || this.#isOver) return
    this.#isDraining = true
    this.#post({ k: 'draining' })
    this.#considerBye()
  }

  #considerBye(): void {
    if (!this.#isDraining || this.#underWay > 0 || this.#isOver) return
    void this.#stopped().then(() => {
      this.#post({ k: 'bye' })
      this.#flush()
      this.#parts.channel.close('left')
      this.#end('drained')
    })
  }

  async #stopped(): Promise<void> {
    try {
      await this.runner.stop()
    } catch (error) {
      this.#parts.onLog?.('error', { err: error }, 'stop failed')
    }
  }

  // ------------------------------------------------------------------ in

  #onText(text: string): void {
    for (const frame of parseFrames(text) ?? []) this.#onFrame(frame as unknown as ToPlugin)
  }

  #onFrame(frame: ToPlugin): void {
    switch (frame.k) {
      case 'check':
        return this.#check(frame.id, frame.withinMs, frame.items)
      case 'run':
        return void this.#run(frame.id, frame.hook, frame.input)
      case 'answer':
        return this.#onAnswer(frame.id, frame.result)
      case 'settings':
        return this.#configure(frame.version, frame.settings)
      case 'ping':
        return this.#post({ k: 'pong', id: frame.id })
      case 'drain':
        return this.#leave()
    }
  }

  #leave(): void {
    this.#isDraining = true
    this.#considerBye()
  }

  #configure(version: number, settings: unknown): void {
    if (version < this.#settings) return
    try {
      this.runner.configure(settings)
      this.#settings = version
    } catch (error) {
      this.#post({ k: 'unfit', settings: version, msg: textOf(error) })
      // The first settings that a plugin gets: without any it starts on its defaults.
      if (this.#settings < 0) this.#configure(0, {})
      return
    }
    this.#started ??= this.#start()
  }

  async #start(): Promise<void> {
    try {
      await this.runner.start()
      this.#post({ k: 'ready', settings: this.#settings })
    } catch (error) {
      this.#parts.onLog?.('error', { err: error }, 'start failed')
      this.#post({ k: 'log', level: 'error', fields: {}, msg: `start failed: ${textOf(error)}` })
      this.#flush()
      this.#parts.channel.close(`start failed: ${textOf(error)}`)
      this.#end(`start failed: ${textOf(error)}`)
    }
  }

  #check(id: number, withinMs: number, items: CheckItem[]): void {
    const results: unknown[] = new Array(items.length)
    let open = 0
    let timer: Timer | undefined
    let isAnswered = false
    const answer = () => {
      if (isAnswered) return
      isAnswered = true
      timer?.cancel()
      for (let at = 0; at < results.length; at++) if (results[at] === undefined) results[at] = resultFailed
      this.#underWay--
      this.#post({ k: 'checked', id, results })
      this.#considerBye()
    }
    this.#underWay++
    for (const [at, [hook, ask]] of items.entries()) {
      try {
        const result = this.runner.check(hook, ask)
        if (!(result instanceof Promise)) results[at] = shortened(result)
        else {
          open++
          result.then(
            (late) => {
              results[at] = shortened(late)
              if (--open === 0) answer()
            },
            (error) => {
              this.#failed(error, hook)
              if (--open === 0) answer()
            },
          )
        }
      } catch (error) {
        this.#failed(error, hook)
      }
    }
    if (open === 0) answer()
    else timer = this.#parts.clock.after(Math.floor((withinMs * answerEarlyBps) / 10_000), answer)
  }

  #failed(error: unknown, hook: number): void {
    const { kind, on } = this.runner.manifest.hooks[hook] ?? { kind: 'hook', on: String(hook) }
    this.#parts.onLog?.('error', { err: error, hook: `${kind} ${on}` }, 'hook failed')
    this.#post({ k: 'log', level: 'error', fields: { hook: `${kind} ${on}`, error: textOf(error) }, msg: 'hook failed' })
  }

  async #run(id: number, hook: number, input: unknown): Promise<void> {
    this.#underWay++
    let result: CallResult
    try {
      const d = await this.runner.run(hook, input, id)
      result = d === undefined ? { ok: true } : { ok: true, d }
    } catch (error) {
      const refusal = refusalOf(error)
      result = refusal
      if (refusal.code === 'plugin.failed') this.#failed(error, hook)
    }
    this.#underWay--
    this.#postResult(id, result)
    this.#considerBye()
  }

  /** What cannot be written as JSON (a bigint, a circle) is the plugin's fault and an answer all the same. */
  #postResult(id: number, result: CallResult): void {
    try {
      this.#post({ k: 'answer', id, result })
    } catch (error) {
      this.#post({ k: 'answer', id, result: refusalOf(error) })
    }
  }

  // ------------------------------------------------------------------ calls to the engine

  #call(name: string, d: unknown, cause: number | undefined): Promise<unknown> {
    if (this.#isOver) return Promise.reject(new CallError('plugin.unavailable', 'the engine is gone'))
    if (this.#calls.size >= callsMax) return Promise.reject(new CallError('rate.limited', `${callsMax} calls are under way`))
    const id = ++this.#lastCall
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject })
      this.#post({ k: 'call', id, name, d, ...(cause === undefined ? {} : { cause }) })
    })
  }

  #onAnswer(id: number, result: CallResult): void {
    const call = this.#calls.get(id)
    this.#calls.delete(id)
    if (result.ok) call?.resolve(result.d)
    else call?.reject(new CallError(result.code, result.msg))
  }

  #failCalls(msg: string): void {
    const calls = [...this.#calls.values()]
    this.#calls.clear()
    for (const call of calls) call.reject(new CallError('plugin.unavailable', msg))
  }

  // ------------------------------------------------------------------ out

  #post(frame: FromPlugin): void {
    this.#outbox.push(JSON.stringify(frame))
    if (this.#outbox.length === 1) queueMicrotask(() => this.#flush())
  }

  #flush(): void {
    const frames = this.#outbox
    this.#outbox = []
    if (frames.length === 0 || this.#isOver) return
    if (!this.#parts.channel.send(`[${frames.join(',')}]`)) this.#failCalls('the message could not be sent')
  }

  #end(reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#failCalls('the engine is gone')
    this.#parts.onEnd(reason)
  }
}

/** The commonest answers are one digit on the line. */
function shortened(result: unknown): unknown {
  if (result === allow || result === undefined) return resultAllow
  return (result as { kind?: unknown } | null)?.kind === 'allow' ? resultAllow : result
}

export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 500)

/** A refusal is told by its name: the plugin may carry a copy of the class of its own. */
export function refusalOf(error: unknown): CallResult & { ok: false } {
  const { name, code, message, retryAfterMs } = error as Partial<Refusal>
  const isRefusal = error instanceof Refusal || (name === 'Refusal' && typeof code === 'string')
  const isCall = error instanceof CallError || name === 'CallError'
  if (!isRefusal && !(isCall && code === 'plugin.unavailable')) return { ok: false, code: 'plugin.failed', msg: textOf(error) }
  return { ok: false, code: String(code), msg: String(message), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
}

/** An `Error` has no JSON. */
function errorsAsText(fields: object): object {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? textOf(value) : value]))
}
