/**
 * The plugin's end of the line: frames in, hooks run, results out. It stands in the worker thread and in the plugin's own process.
 *
 * A batch of checks is answered when all of it is done, or shortly before the engine would give up, with "failed" for what is not:
 * one slow check costs its neighbours nothing but their own budget.
 */
import type { Clock, Timer } from '../../base/clock.ts'
import { CallError } from '../context.ts'
import { type AnyPlugin, Refusal } from '../define.ts'
import { allow } from '../hooks.ts'
import type { Channel } from './channel.ts'
import {
  askOf,
  type CallResult,
  type FromPlugin,
  isDeeperThan,
  parseFrames,
  resultAllow,
  resultFailed,
  resultLate,
  type ToPlugin,
  textBytesMax,
} from './protocol.ts'
import { Runner } from './runner.ts'

/** The engine takes texts of 32 levels; the frame around an answer has three of them. */
const resultDepthMax = 28

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
/** Until an engine that was told of the end must have said that nothing more is on its way. */
const leaveMsMax = 2_000

export class Served {
  readonly runner: Runner
  readonly #parts: ServeParts
  readonly #calls = new Map<number, Call>()
  #lastCall = 0
  #underWay = 0
  #outbox: string[] = []
  #settings = -1
  #started: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #isUp = false
  #wantsEnd = false
  /** Nothing more will come. */
  #isDraining = false
  #isLeaving = false
  #isOver = false

  /** Throws a `ManifestError` when the plugin cannot be one. Nothing is sent before `open`. */
  constructor(parts: ServeParts) {
    this.#parts = parts
    const log = (level: LogLevel) => (fields: object, msg: string) => {
      parts.onLog?.(level, fields, msg)
      // A log line must not be what breaks a hook.
      const isSent = this.#tryPost({ k: 'log', level, fields: errorsAsText(fields), msg })
      if (!isSent) this.#post({ k: 'log', level, fields: {}, msg: textOf(msg) })
    }
    this.runner = new Runner(
      parts.plugin,
      {
        call: (name, d, cause) => this.#call(name, d, cause),
        log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
        metrics: { add: (name, by = 1) => this.#post({ k: 'count', name, by: Number(by) }) },
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
    if (this.#wantsEnd || this.#isDraining || this.#isOver) return
    this.#wantsEnd = true
    this.#post({ k: 'draining' })
    // The engine answers with `drain` when all that it sent has been answered.
    this.#parts.clock.after(leaveMsMax, () => this.#leave())
  }

  #considerBye(): void {
    if (!this.#isDraining || this.#underWay > 0 || this.#isOver || this.#isLeaving) return
    this.#isLeaving = true
    void this.#stopped().then(() => {
      this.#post({ k: 'bye' })
      this.#flush()
      this.#parts.channel.close('left')
      this.#end('drained')
    })
  }

  /** Once for every start that succeeded. */
  #stopped(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    await this.#started
    if (!this.#isUp) return
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
        return this.#check(frame)
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
      if (this.#settings >= 0) return
      // The first settings that a plugin gets: without any it starts on its defaults, which its manifest was checked to have.
      this.runner.configure({})
      this.#settings = 0
    }
    if (this.#isUp) this.#post({ k: 'ready', settings: version })
    this.#started ??= this.#start()
  }

  async #start(): Promise<void> {
    try {
      await this.runner.start()
      this.#isUp = true
      this.#post({ k: 'ready', settings: this.#settings })
    } catch (error) {
      this.#parts.onLog?.('error', { err: error }, 'start failed')
      this.#post({ k: 'log', level: 'error', fields: {}, msg: `start failed: ${textOf(error)}` })
      this.#flush()
      this.#parts.channel.close(`start failed: ${textOf(error)}`)
      this.#end(`start failed: ${textOf(error)}`)
    }
  }

  #check({ id, withinMs, at: batchAt, items }: Extract<ToPlugin, { k: 'check' }>): void {
    const results: unknown[] = new Array(items.length)
    let open = 0
    let timer: Timer | undefined
    let isAnswered = false
    const answer = () => {
      if (isAnswered) return
      isAnswered = true
      timer?.cancel()
      for (let at = 0; at < results.length; at++) if (results[at] === undefined) results[at] = resultLate
      this.#underWay--
      this.#postChecked(id, results)
      this.#considerBye()
    }
    const failed = (at: number, hook: number, error: unknown) => {
      results[at] = resultFailed
      this.#failed(error, hook)
    }
    this.#underWay++
    for (const [at, item] of items.entries()) {
      const [hook] = item
      try {
        const result = this.runner.check(hook, askOf(item, batchAt))
        if (!(result instanceof Promise)) results[at] = shortened(result)
        else {
          open++
          result.then(
            (late) => {
              results[at] = shortened(late)
              if (--open === 0) answer()
            },
            (error) => {
              failed(at, hook, error)
              if (--open === 0) answer()
            },
          )
        }
      } catch (error) {
        failed(at, hook, error)
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

  /** One answer that cannot be sent does not cost its neighbours theirs. */
  #postChecked(id: number, results: unknown[]): void {
    if (this.#tryPost({ k: 'checked', id, results })) return
    const sound = results.map((result) => (isSendable(result) ? result : resultFailed))
    if (!this.#tryPost({ k: 'checked', id, results: sound }))
      this.#post({ k: 'checked', id, results: results.map(() => resultFailed) })
  }

  /** What cannot be written as JSON (a bigint, a circle) is the plugin's fault and an answer all the same. */
  #postResult(id: number, result: CallResult): void {
    if (isDeeperThan(result, resultDepthMax))
      return this.#post({ k: 'answer', id, result: { ok: false, code: 'plugin.failed', msg: 'the answer is nested too deep' } })
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
      this.#post({ k: 'call', id, name, d, ...(cause === undefined ? {} : { cause }) })
      this.#calls.set(id, { resolve, reject })
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

  /** Throws what `JSON.stringify` throws, and when the frame is larger than a message may be. */
  #post(frame: FromPlugin): void {
    const text = JSON.stringify(frame)
    if (text.length * 3 > textBytesMax && Buffer.byteLength(text) > textBytesMax)
      throw new CallError('call.too_large', `a message has at most ${textBytesMax} bytes`)
    this.#outbox.push(text)
    if (this.#outbox.length === 1) queueMicrotask(() => this.#flush())
  }

  #tryPost(frame: FromPlugin): boolean {
    try {
      this.#post(frame)
      return true
    } catch {
      return false
    }
  }

  /** Frames of one turn leave together, as far as they fit into one message. */
  #flush(): void {
    const frames = this.#outbox
    this.#outbox = []
    let [texts, size]: [string[], number] = [[], 0]
    const send = () => {
      if (texts.length > 0 && !this.#isOver && !this.#parts.channel.send(`[${texts.join(',')}]`))
        this.#failCalls('the message could not be sent')
      texts = []
      size = 0
    }
    for (const frame of frames) {
      const bytes = Buffer.byteLength(frame) + 1
      if (size + bytes > textBytesMax) send()
      texts.push(frame)
      size += bytes
    }
    send()
  }

  #end(reason: string): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#failCalls('the engine is gone')
    void this.#stopped().then(() => this.#parts.onEnd(reason))
  }
}

const resultBytesMax = 65_536
function isSendable(result: unknown): boolean {
  try {
    return (JSON.stringify(result) ?? '').length * 3 <= resultBytesMax
  } catch {
    return false
  }
}

/** The commonest answers are one digit on the line. */
function shortened(result: unknown): unknown {
  if (result === allow || result === undefined) return resultAllow
  return (result as { kind?: unknown } | null)?.kind === 'allow' ? resultAllow : result
}

/** With its cause: of a failed query the cause says why. */
export function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error).slice(0, 500)
  const text = error.message.slice(0, 400)
  return error.cause instanceof Error ? `${text}: ${error.cause.message.slice(0, 400)}` : text
}

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
