/**
 * The copy of the room log in JetStream, for whoever wants events with the tools of NATS. The log in core.db is the truth and stays
 * readable for `roomLogDays`; the stream can be lost and filled again with `rewind`.
 *
 * Flow: pages of the log are published with one inbox for all acknowledgements, at most 1,024 on the way. The cursor `relay:jetstream`
 * moves over rows that the server has acknowledged without a gap, and over nothing else: an error, an answer that is none, or 5 s of
 * silence end the run, and the next one starts at the cursor after a pause (100 ms to 10 s). `Nats-Msg-Id` is the event's id, so what
 * comes twice within two minutes is stored once; after a longer outage of the server a reader may see an event twice, and after a
 * failure late: `eid` names it, `room`, `epoch` and `seq` order it.
 *
 *     const relay = new LogRelay({ link, store, clock, log, daysMax: config.roomLogDays })
 *     relay.start()
 *     await relay.rewind(0)      // everything that the log still has, again
 *     relay.stats()              // { state: 'running', pos: 4711, published: 4711, ... }
 *     await relay.close()
 *
 * Without JetStream (or without a server) it says so in `stats().trouble` and in the log, and tries again; nothing else waits for it.
 * About 8 us of CPU an event. Acknowledgements carry no proof: give strangers no right to publish to `_INBOX.>`.
 */
import { subjects } from '../../../schemas/subjects.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { NatsLink } from '../../base/nats.ts'
import type { LogEntry, Store } from '../../room/store.ts'

export type RelayStore = Pick<Store, 'readLog' | 'getCursor' | 'putCursor' | 'onLogged' | 'logEnd'>

export interface RelayOptions {
  link: NatsLink
  store: RelayStore
  clock: Clock
  log: Log
  /** How long JetStream keeps events; given to the stream when it is made. */
  daysMax: number
  stream?: string
}

export interface RelayStats {
  /** `waiting`: no line to the server. `pausing`: after a failure. */
  state: 'stopped' | 'waiting' | 'starting' | 'running' | 'pausing'
  /** Why it last failed; empty since it runs again. */
  trouble: string
  /** Everything up to here is acknowledged. */
  pos: number
  /** Rows of the log behind `pos`. */
  lag: number
  /** Published and not yet acknowledged, or behind such a row. */
  inFlight: number
  /** Acknowledged, `duplicates` included. */
  published: number
  /** The server had them already. */
  duplicates: number
  failures: number
  /** Rows that no server would take (too large), or that were pruned before they were relayed. */
  skipped: number
}

export const relayCursorKey = 'relay:jetstream'
const inFlightMax = 1_024
const pageRows = 500
const ackMsMax = 5_000
const sweepEveryMs = 250
const apiMsMax = 5_000
/** Each is a write to disk; what a crash takes of it is published again. */
const saveEveryMs = 200
const pauseMsMin = 100
const pauseMsMax = 10_000
const complainEveryMs = 10_000
const duplicateWindowMs = 120_000
const nsPerMs = 1_000_000

interface Sent {
  pos: number
  at: number
  isDone: boolean
}

export class LogRelay {
  readonly #options: RelayOptions
  readonly #log: Log
  readonly #stream: string
  readonly #inbox: string
  readonly #stops: (() => void)[] = []
  #state: RelayStats['state'] = 'stopped'
  #trouble = ''
  /** Acknowledged without a gap; what is stored may be behind. */
  #pos = 0
  /** Read from the log up to here. */
  #readPos = 0
  #end = 0
  /** On the way, in order; the first is number `#first` of this run. */
  #sent: Sent[] = []
  #first = 0
  #run = 0
  #published = 0
  #duplicates = 0
  #failures = 0
  #skipped = 0
  #pauseMs = pauseMsMin
  #pause: Timer | undefined
  #sweep: Timer | undefined
  #isReading = false
  #saving: Promise<void> | undefined
  #saveSoon: Timer | undefined
  #isRewinding = false
  #savedPos = -1
  #complainedAt = Number.NEGATIVE_INFINITY

  constructor(options: RelayOptions) {
    this.#options = options
    this.#log = options.log.child({ part: 'relay' })
    this.#stream = options.stream ?? 'LH_EVENTS'
    this.#inbox = options.link.inbox()
  }

  start(): void {
    const { link, store } = this.#options
    if (this.#state !== 'stopped') return
    this.#state = 'waiting'
    this.#stops.push(
      link.subscribe(`${this.#inbox}.*.*`, (bytes, subject) => this.#onAck(bytes, subject)),
      link.watch((isUp) => (isUp ? this.#begin() : this.#cut())),
      store.onLogged((end) => {
        this.#end = Math.max(this.#end, end)
        void this.#fill(this.#run)
      }),
    )
    this.#begin()
  }

  stats(): RelayStats {
    return {
      state: this.#state,
      trouble: this.#trouble,
      pos: this.#pos,
      lag: Math.max(0, this.#end - this.#pos),
      inFlight: this.#sent.length,
      published: this.#published,
      duplicates: this.#duplicates,
      failures: this.#failures,
      skipped: this.#skipped,
    }
  }

  /** Everything after `pos` is published again. What is still in the duplicate window is not stored twice. */
  async rewind(pos: number): Promise<void> {
    this.#isRewinding = true
    this.#endRun()
    try {
      await this.#save()
      await this.#options.store.putCursor(relayCursorKey, { pos, acked: [] })
      this.#savedPos = -1
    } finally {
      this.#isRewinding = false
      this.#begin()
    }
  }

  /** Ends at once; what is on the way comes again next time. */
  async close(): Promise<void> {
    this.#endRun()
    this.#state = 'stopped'
    for (const stop of this.#stops.splice(0)) stop()
    await this.#save()
  }

  #endRun(): void {
    this.#run++
    this.#pause?.cancel()
    this.#sweep?.cancel()
    this.#sweep = undefined
    this.#sent = []
    this.#first = 0
  }

  #cut(): void {
    this.#endRun()
    this.#state = 'waiting'
    this.#trouble = 'the line to the NATS server is cut'
  }

  #begin(): void {
    if (this.#state === 'stopped' || this.#isRewinding) return
    this.#endRun()
    this.#state = this.#options.link.isUp ? 'starting' : 'waiting'
    if (this.#state === 'starting') void this.#startRun(this.#run)
  }

  async #startRun(run: number): Promise<void> {
    try {
      await this.#ensureStream()
      const { store } = this.#options
      await this.#save()
      const [cursor, end] = await Promise.all([store.getCursor(relayCursorKey), store.logEnd()])
      if (run !== this.#run) return
      this.#pos = cursor?.pos ?? 0
      this.#savedPos = this.#pos
      this.#readPos = this.#pos
      this.#end = end
      this.#state = 'running'
      if (this.#pos >= end) this.#trouble = ''
      await this.#fill(run)
    } catch (error) {
      if (run === this.#run) this.#fail(error instanceof Error ? error.message : String(error))
    }
  }

  async #ensureStream(): Promise<void> {
    const info = await this.#api(`STREAM.INFO.${this.#stream}`, {})
    if (!info.error) return
    if (info.error.code !== 404) throw new Error(`JetStream refuses: ${info.error.description}`)
    const made = await this.#api(`STREAM.CREATE.${this.#stream}`, {
      name: this.#stream,
      subjects: [subjects.anyEvents],
      retention: 'limits',
      storage: 'file',
      discard: 'old',
      num_replicas: 1,
      max_age: this.#options.daysMax * 86_400_000 * nsPerMs,
      duplicate_window: duplicateWindowMs * nsPerMs,
    })
    if (made.error) throw new Error(`JetStream does not make the stream ${this.#stream}: ${made.error.description}`)
    this.#log.info({ stream: this.#stream }, 'stream made')
  }

  #api(name: string, body: object): Promise<ApiAnswer> {
    const bytes = Buffer.from(JSON.stringify(body))
    return new Promise((resolve, reject) => {
      this.#options.link.request(`$JS.API.${name}`, bytes, apiMsMax, (answer) => {
        if (answer) resolve(apiAnswerOf(answer))
        else reject(new Error('JetStream does not answer: is it switched on (nats-server -js)?'))
      })
    })
  }

  /** Reads and publishes until the window is full or the log is read. Of all calls one works at a time. */
  async #fill(run: number): Promise<void> {
    if (this.#isReading || this.#state !== 'running') return
    this.#isReading = true
    try {
      while (run === this.#run && this.#readPos < this.#end && this.#hasRoom()) await this.#publishPage(run)
    } catch (error) {
      if (run === this.#run) this.#fail(`the room log cannot be read: ${String(error)}`)
    } finally {
      this.#isReading = false
    }
    // Another run may have found this one reading.
    if (run !== this.#run) void this.#fill(this.#run)
  }

  /** For a whole page: one read of the log is for many acknowledgements, not for each. */
  #hasRoom(): boolean {
    return this.#sent.length + pageRows <= inFlightMax
  }

  async #publishPage(run: number): Promise<void> {
    const page = await this.#options.store.readLog({ afterPos: this.#readPos, limit: pageRows })
    if (run !== this.#run) return
    // The rest was pruned: nothing to wait for.
    if (page.length === 0) this.#end = this.#readPos
    for (const entry of page) if (run === this.#run) this.#publish(entry)
    this.#settle()
    this.#armSweep(run)
  }

  #publish(entry: LogEntry): void {
    const { link, clock } = this.#options
    const { pos, row } = entry
    if (pos > this.#readPos + 1 && this.#readPos > 0)
      this.#passOver(pos - this.#readPos - 1, 'pruned before they were relayed', pos)
    this.#readPos = pos
    this.#end = Math.max(this.#end, pos)
    const sent: Sent = { pos, at: clock.now(), isDone: false }
    const reply = `${this.#inbox}.${this.#run}.${this.#first + this.#sent.length}`
    this.#sent.push(sent)
    const subject = subjectOf(entry)
    const bytes = Buffer.from(JSON.stringify(bodyOf(entry)))
    if (subject === undefined || bytes.length + row.eid.length + 64 > link.maxPayload) {
      this.#passOver(1, 'too large for the server, or not to be named on it', pos)
      sent.isDone = true
    } else if (!link.publish(subject, bytes, { reply, messageId: row.eid })) this.#fail('the NATS server does not take more')
  }

  #passOver(rows: number, why: string, pos: number): void {
    this.#skipped += rows
    this.#log.error({ rows, pos }, `events are not relayed: ${why}`)
  }

  #onAck(bytes: Uint8Array, subject: string): void {
    const [run, number] = subject.slice(this.#inbox.length + 1).split('.')
    if (Number(run) !== this.#run || this.#state !== 'running') return
    const sent = this.#sent[Number(number) - this.#first]
    if (!sent || sent.isDone) return
    const ack = ackOf(bytes)
    if (typeof ack === 'string') return this.#fail(ack)
    sent.isDone = true
    this.#published++
    if (ack.duplicate) this.#duplicates++
    this.#settle()
    if (this.#hasRoom()) void this.#fill(this.#run)
  }

  /** Moves over what is acknowledged from the front. */
  #settle(): void {
    const open = this.#sent.findIndex(({ isDone }) => !isDone)
    const done = open < 0 ? this.#sent.length : open
    if (done === 0) return
    this.#pos = (this.#sent[done - 1] as Sent).pos
    this.#sent.splice(0, done)
    this.#first += done
    this.#trouble = ''
    this.#pauseMs = pauseMsMin
    this.#saveSoon ??= this.#options.clock.after(saveEveryMs, () => void this.#save())
  }

  /** One write at a time; the next takes all that has come since. */
  #save(): Promise<void> {
    this.#saveSoon?.cancel()
    this.#saveSoon = undefined
    this.#saving ??= this.#saveAll().finally(() => (this.#saving = undefined))
    return this.#saving
  }

  async #saveAll(): Promise<void> {
    while (this.#savedPos >= 0 && this.#savedPos < this.#pos) {
      const pos = this.#pos
      try {
        await this.#options.store.putCursor(relayCursorKey, { pos, acked: [] })
      } catch (error) {
        // Rows are relayed again, no more: the next acknowledgement tries again.
        this.#log.warn({ reason: String(error) }, 'cursor not stored')
        return
      }
      if (this.#savedPos >= 0) this.#savedPos = pos
    }
  }

  #armSweep(run: number): void {
    if (this.#sweep || this.#sent.length === 0 || run !== this.#run) return
    this.#sweep = this.#options.clock.after(sweepEveryMs, () => {
      this.#sweep = undefined
      const oldest = this.#sent[0]
      if (oldest && oldest.at + ackMsMax <= this.#options.clock.now()) this.#fail('JetStream does not acknowledge')
      else this.#armSweep(run)
    })
  }

  #fail(reason: string): void {
    this.#failures++
    this.#trouble = reason
    this.#endRun()
    this.#state = 'pausing'
    this.#complain(reason)
    this.#pause = this.#options.clock.after(this.#pauseMs, () => this.#begin())
    this.#pauseMs = Math.min(pauseMsMax, this.#pauseMs * 2)
  }

  #complain(reason: string): void {
    const now = this.#options.clock.now()
    if (now - this.#complainedAt < complainEveryMs) return
    this.#complainedAt = now
    this.#log.warn({ reason, failures: this.#failures, lag: this.stats().lag }, 'events are not relayed; trying again')
  }
}

interface ApiAnswer {
  error?: { code: number; description: string }
}

function apiAnswerOf(bytes: Uint8Array): ApiAnswer {
  const { error } = jsonOf(bytes)
  if (error === undefined) return {}
  const { code, description } = error as { code?: unknown; description?: unknown }
  return { error: { code: Number(code), description: String(description) } }
}

/** The stream and the place in it, or what is wrong: an error, or "no responders", which has no body. */
function ackOf(bytes: Uint8Array): { duplicate: boolean } | string {
  if (bytes.length === 0) return 'JetStream is gone, or the stream is'
  const { error } = apiAnswerOf(bytes)
  if (error) return `JetStream refuses: ${error.description}`
  const { stream, seq, duplicate } = jsonOf(bytes)
  if (typeof stream !== 'string' || typeof seq !== 'number') return 'JetStream answers what is no acknowledgement'
  return { duplicate: duplicate === true }
}

function jsonOf(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString())
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return { error: { code: 0, description: 'unreadable answer' } }
  }
}

function subjectOf({ roomId, row }: LogEntry): string | undefined {
  try {
    return roomId === '' ? subjects.engineEvents(row.t) : subjects.roomEvents(roomId, row.t)
  } catch {
    return undefined
  }
}

/** `v` is the version of this shape; a room of nobody is null. */
const bodyOf = ({ roomId, epoch, seq, row: { eid, t, at, actor, d, hops = 0 } }: LogEntry) => ({
  eid,
  t,
  room: roomId === '' ? null : roomId,
  seq,
  epoch,
  at,
  actor,
  hops,
  d,
  v: 1,
})
