/**
 * A media node (`sfu/main.ts`) as a process of its own: RTP of the lines passes through it and must not share a loop with the sockets,
 * and a crash of media takes no chat down.
 *
 *     const node = new NodeProcess({ options, clock, log, onMessage, onUp, onDown })
 *     node.start()                    // whenever it ends unasked, another is started after a pause that grows
 *     node.send({ id: 1, t: 'room.open', d: { room: 'demo' } })
 *     await node.stop()
 *
 * It ends with us, killed or not: its line to us is cut then, and it listens for that.
 */
import { type ChildProcess, fork } from 'node:child_process'
import type { FromSfu, ToSfu } from '../../schemas/sfu.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { programEntry } from '../base/worker-entry.ts'

export interface NodeProcessParts {
  /** What the node is started with, plain JSON: `sfu/options.ts`. */
  options: object
  clock: Clock
  log: Log
  onMessage(message: FromSfu): void
  onUp(): void
  onDown(reason: string): void
}

const pauseMsMin = 500
const pauseMsMax = 30_000
/** One that lived this long was well: the next pause is the shortest again. */
const wellMs = 60_000
const endMsMax = 5_000

export class NodeProcess {
  readonly #parts: NodeProcessParts
  #child: ChildProcess | undefined
  #gone: Promise<void> = Promise.resolve()
  #pauseMs = pauseMsMin
  #pause: Timer | undefined
  #isStopped = false
  deaths = 0

  constructor(parts: NodeProcessParts) {
    this.#parts = parts
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  start(): void {
    const { options, clock, onMessage, onUp } = this.#parts
    const { file, execArgv } = programEntry(new URL('../../sfu/main.ts', import.meta.url))
    const child = fork(file, [JSON.stringify(options)], { execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#child = child
    const startedAt = clock.now()
    this.#gone = new Promise((resolve) => {
      const end = (reason: string) => {
        if (this.#child !== child) return
        this.#child = undefined
        resolve()
        this.#onEnd(reason, clock.now() - startedAt)
      }
      child.once('exit', (code, signal) => end(signal ?? `code ${code}`))
      // It could not be started at all: no exit follows.
      child.on('error', (error) => child.pid === undefined && end(error.message))
    })
    child.on('message', (message) => this.#child === child && onMessage(message as FromSfu))
    onUp()
  }

  #onEnd(reason: string, livedMs: number): void {
    const { clock, log, onDown } = this.#parts
    if (this.#isStopped) return
    this.deaths++
    if (livedMs >= wellMs) this.#pauseMs = pauseMsMin
    const pauseMs = this.#pauseMs
    this.#pauseMs = Math.min(pauseMsMax, pauseMs * 2)
    log.error({ reason, livedMs, pauseMs }, 'the media node ended; it is started again')
    this.#pause = clock.after(pauseMs, () => this.start())
    onDown(reason)
  }

  /** False: there is nobody to read it. */
  send(message: ToSfu): boolean {
    const child = this.#child
    if (!child?.connected) return false
    // A line that is cut says so here; what follows is the end of the process, which everybody waits for.
    child.send(message, (error) => error && child.kill('SIGKILL'))
    return true
  }

  /** For one that does not answer any more; another is started. */
  kill(): void {
    this.#child?.kill('SIGKILL')
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#pause?.cancel()
    const child = this.#child
    if (!child) return
    child.kill('SIGTERM')
    const timer = this.#parts.clock.after(endMsMax, () => child.kill('SIGKILL'))
    await this.#gone
    timer.cancel()
  }
}
