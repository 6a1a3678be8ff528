/**
 * Durable events: brings the room log to one plugin, at least once and in order per room, over crashes of the engine and of the plugin.
 *
 * Flow: rows are read into a window behind the cursor and queue up by room. One event of a room is out at a time, so a failing event
 * blocks its own room alone; it is tried again with a growing pause and becomes a dead letter after `attemptsMax`. The cursor stands
 * before the first event that is not done; those done beyond it are remembered with it, so that a restart delivers only what was not
 * acknowledged. A dead letter and the cursor that passes it are one write. While no instance is there (`plugin.unavailable`) nothing
 * counts as an attempt and nothing is given up.
 *
 * Bounds: `windowMax` events between the cursor and the last one read, and as many acknowledged but not yet on disk. At either the
 * consumer waits, which costs nothing but lag. Rows that the log dropped before they were read are counted in `skipped`.
 *
 *     const consumer = new Consumer({ key: 'trivia', store, clock, wants, deliver, startAt: 'end', limits: consumerLimits })
 *     await consumer.start()
 *     await consumer.pause() // no healthy instance; resume() when there is one
 *     await consumer.replay([17, 18]) // dead letters
 *     await consumer.stop()
 *
 * `deliver` must settle in the end: an event whose delivery hangs holds up its room, and `pause`, `rewind` and `stop`.
 */
import type { Clock, Timer } from '../../base/clock.ts'
import type { DeadLetter, LogEntry, NewDeadLetter, Store } from '../../room/store.ts'

export interface ConsumerLimits {
  /** Rooms with an event at the plugin at the same time. */
  inFlightMax: number
  /** Rows of one read. */
  pageMax: number
  windowMax: number
  attemptsMax: number
  /** The pause after the first failure; it doubles up to `backoffMsMax`. */
  backoffMsMin: number
  backoffMsMax: number
}
export const consumerLimits: ConsumerLimits = {
  inFlightMax: 64,
  pageMax: 500,
  windowMax: 1_000,
  attemptsMax: 8,
  backoffMsMin: 200,
  backoffMsMax: 30_000,
}

export interface ConsumerParts {
  /** Of its cursor and its dead letters: the name of the plugin. */
  key: string
  store: Store
  clock: Clock
  wants(entry: LogEntry): boolean
  /** Resolves when the plugin has acknowledged. `attempt` counts from 1, anew after a restart of the engine. */
  deliver(entry: LogEntry, attempt: number): Promise<void>
  /** Of a consumer that the store does not know yet. */
  startAt: 'end' | 'beginning'
  limits: ConsumerLimits
  /** A failure that counted; the next attempt follows after `waitMs`. */
  onRetry?(entry: LogEntry, failure: { attempt: number; error: unknown; waitMs: number }): void
  /** Given up. It is in the list of dead letters after the next write of the cursor. */
  onDead?(entry: LogEntry, error: unknown): void
  /** What the operator should know: the store failed (tried again), rows were pruned unread, old dead letters dropped. */
  onError(error: unknown, where: string): void
}
export interface ConsumerStats {
  delivered: number
  /** Failed attempts that were followed by another one. */
  retried: number
  dead: number
  /** Dead letters that went because there were too many. */
  dropped: number
  /** Rows that were pruned before they were read; not all of them may have been wanted. */
  skipped: number
  /** Everything up to here is done. */
  pos: number
  /** Rooms with an event at the plugin now. */
  inFlight: number
}
/** `left`: not tried to an end, because the letter is gone, is being replayed already, or the consumer stopped or rewound. */
export interface Replayed {
  delivered: number
  failed: number
  left: number
}

/** An event of the window: done and waiting for those before it, or on its way. */
interface Place {
  pos: number
  done: boolean
}
interface Task {
  entry: LogEntry
  failures: number
  /** Times in a row that no instance was there. */
  absences: number
  /** Where it stands in the window; a replayed letter stands nowhere. */
  place?: Place
  letter?: { id: number; finish(outcome: keyof Replayed): void }
}
interface Lane {
  roomId: string
  /** In order; the first one is at the plugin, waits for its next attempt, or is ready. */
  tasks: Task[]
  retry?: Timer
  /** The pause is because no instance was there. */
  absent: boolean
}

export class Consumer {
  readonly #parts: ConsumerParts
  readonly #limits: ConsumerLimits
  readonly #lanes = new Map<string, Lane>()
  readonly #ready: Lane[] = []
  readonly #replaying = new Set<number>()
  readonly #replays = new Set<Promise<unknown>>()
  /** Wanted rows after the cursor up to `#readPos`, in order. */
  #window: Place[] = []
  /** Done before the last restart, still beyond `#readPos`. */
  #doneAhead = new Set<number>()
  #pos = 0
  #readPos = 0
  #end = 0
  #state: 'new' | 'starting' | 'running' | 'stopped' = 'new'
  #paused = false
  #rewinding: Promise<void> | undefined
  #inFlight = 0
  #reading = false
  #readFailures = 0
  #readRetry: Timer | undefined
  #saving = false
  #savedPos = 0
  #saveFailures = 0
  #saveRetry: Timer | undefined
  /** Acknowledged or given up since the last write of the cursor. */
  #unsaved = 0
  #dead: NewDeadLetter[] = []
  #stopListening = () => {}
  readonly #waiters: (() => void)[] = []
  #delivered = 0
  #retried = 0
  #deadCount = 0
  #dropped = 0
  #skipped = 0

  constructor(parts: ConsumerParts) {
    this.#parts = parts
    this.#limits = parts.limits
  }

  /** Finds its place in the log and begins. Rejects when the store does: nothing has begun then. */
  async start(): Promise<void> {
    const { key, store, startAt } = this.#parts
    if (this.#state !== 'new') throw new Error(`the consumer of ${key} was started before`)
    this.#state = 'starting'
    this.#stopListening = store.onLogged((end) => this.#onEnd(end))
    try {
      const [stored, end] = await Promise.all([store.getCursor(key), store.logEnd()])
      const cursor = stored ?? { pos: startAt === 'end' ? end : await this.#logStart(end), acked: [] }
      // On disk before the first event: else a crash now would lose what comes between now and the next start.
      if (!stored) await store.putCursor(key, cursor)
      this.#place(cursor.pos)
      this.#doneAhead = new Set(cursor.acked)
      this.#onEnd(end)
    } catch (error) {
      this.#stopListening()
      if (!this.#hasStopped()) this.#state = 'new'
      throw error
    }
    if (this.#hasStopped()) return
    this.#state = 'running'
    this.#proceed()
  }

  /** Nothing new goes out. Resolves when nothing is out any more. */
  async pause(): Promise<void> {
    this.#paused = true
    while (this.#paused && !this.#isIdle()) await this.#nextIdle()
  }

  /** What waited for an instance goes out at once. */
  resume(): void {
    this.#paused = false
    this.#wakeWaiters()
    for (const lane of this.#lanes.values()) if (lane.absent) this.#makeReady(lane)
    this.#proceed()
  }

  /** Waits for what is out and writes the cursor. What is queued comes again with the next consumer of this key. */
  async stop(): Promise<void> {
    this.#state = 'stopped'
    this.#stopListening()
    this.#readRetry?.cancel()
    await this.#rewinding?.catch(() => {}) // its caller hears of it
    while (!this.#isIdle()) await this.#nextIdle()
    this.#saveRetry?.cancel()
    if (this.#hasNews()) await this.#save()
    this.#clear()
    await Promise.allSettled(this.#replays)
  }

  /** Everything after `pos` is delivered again, as far as the log still has it; a `pos` further on skips what lies between. */
  async rewind(pos: number): Promise<void> {
    while (this.#rewinding) await this.#rewinding.catch(() => {}) // its caller hears of it
    this.#rewinding = this.#rewind(pos).finally(() => {
      this.#rewinding = undefined
      this.#proceed()
    })
    await this.#rewinding
  }

  /** Delivers dead letters once more, each in the queue of its room. They leave the list when they arrive, else they stay in it. */
  async replay(ids: readonly number[]): Promise<Replayed> {
    const fresh = [...new Set(ids)].filter((id) => !this.#replaying.has(id))
    const taken = fresh.slice(0, Math.max(0, this.#limits.windowMax - this.#replaying.size))
    for (const id of taken) this.#replaying.add(id)
    const replay = this.#replay(taken).finally(() => {
      for (const id of taken) this.#replaying.delete(id)
      this.#replays.delete(replay)
    })
    this.#replays.add(replay)
    const outcomes = await replay
    const count = (wanted: keyof Replayed) => outcomes.filter((outcome) => outcome === wanted).length
    const [delivered, failed] = [count('delivered'), count('failed')]
    return { delivered, failed, left: ids.length - delivered - failed }
  }

  /** Rows of the log behind the cursor, wanted or not. */
  lag(): number {
    return Math.max(0, this.#end - this.#pos)
  }

  get stats(): ConsumerStats {
    return {
      delivered: this.#delivered,
      retried: this.#retried,
      dead: this.#deadCount,
      dropped: this.#dropped,
      skipped: this.#skipped,
      pos: this.#pos,
      inFlight: this.#inFlight,
    }
  }

  // reading

  #onEnd(end: number): void {
    this.#end = Math.max(this.#end, end)
    if (this.#state === 'running') this.#pull()
  }

  #proceed(): void {
    this.#pull()
    this.#pump()
    this.#saveIfWorth()
  }

  #goes(): boolean {
    return this.#state === 'running' && !this.#paused && !this.#rewinding
  }

  #pull(): void {
    const free = this.#limits.windowMax - this.#window.length
    if (!this.#goes() || this.#reading || this.#readRetry || free <= 0 || this.#readPos >= this.#end) return
    this.#reading = true
    this.#read(Math.min(free, this.#limits.pageMax))
      .then(
        () => {
          this.#readFailures = 0
        },
        (error) => this.#onReadFailure(error),
      )
      .finally(() => {
        this.#reading = false
        this.#proceed()
        this.#tellIdle()
      })
  }

  async #read(limit: number): Promise<void> {
    const end = this.#end
    const page = await this.#parts.store.readLog({ afterPos: this.#readPos, limit })
    for (const entry of page) {
      this.#noteGap(entry.pos - 1)
      this.#take(entry)
    }
    // A page with room left is all there was: what the log had up to `end` and did not show is pruned.
    if (page.length < limit && this.#readPos < end) {
      this.#noteGap(end)
      this.#readPos = end
    }
    this.#advance()
  }

  #noteGap(lastMissing: number): void {
    if (lastMissing <= this.#readPos) return
    const done = [...this.#doneAhead].filter((pos) => pos <= lastMissing)
    for (const pos of done) this.#doneAhead.delete(pos)
    const missed = lastMissing - this.#readPos - done.length
    if (missed === 0) return
    this.#skipped += missed
    const range = `${this.#readPos + 1}..${lastMissing}`
    this.#parts.onError(new Error(`${missed} rows (${range}) were pruned before they were read`), `${this.#parts.key} log`)
  }

  /** The position before the oldest row that is kept. */
  async #logStart(end: number): Promise<number> {
    const [oldest] = await this.#parts.store.readLog({ afterPos: 0, limit: 1 })
    return oldest ? oldest.pos - 1 : end
  }

  #take(entry: LogEntry): void {
    const wanted = this.#parts.wants(entry)
    const done = this.#doneAhead.delete(entry.pos)
    this.#readPos = entry.pos
    if (!wanted) return
    const place = { pos: entry.pos, done }
    this.#window.push(place)
    if (!done) this.#enqueue({ entry, failures: 0, absences: 0, place })
  }

  #onReadFailure(error: unknown): void {
    if (this.#hasStopped()) return
    this.#parts.onError(error, `${this.#parts.key} read`)
    this.#readRetry = this.#parts.clock.after(this.#pauseMs(++this.#readFailures), () => {
      this.#readRetry = undefined
      this.#pull()
    })
  }

  // delivering

  #enqueue(task: Task): void {
    const { roomId } = task.entry
    const lane = this.#lanes.get(roomId)
    if (lane) {
      lane.tasks.push(task)
      return
    }
    const fresh: Lane = { roomId, tasks: [task], absent: false }
    this.#lanes.set(roomId, fresh)
    this.#ready.push(fresh)
  }

  #pump(): void {
    while (this.#goes() && this.#inFlight < this.#limits.inFlightMax && this.#unsaved < this.#limits.windowMax) {
      const lane = this.#ready.shift()
      if (!lane) return
      this.#inFlight++
      void this.#deliverFirst(lane)
    }
  }

  async #deliverFirst(lane: Lane): Promise<void> {
    const task = lane.tasks[0] as Task // a lane without tasks is not ready
    const failure = await this.#attempt(task)
    this.#inFlight--
    if (!failure) this.#onSuccess(lane, task)
    else if (isAbsence(failure.error)) this.#retryLater(lane, ++task.absences, true)
    else this.#onFailure(lane, task, failure.error)
    this.#proceed()
    this.#tellIdle()
  }

  async #attempt(task: Task): Promise<{ error: unknown } | undefined> {
    try {
      await this.#parts.deliver(task.entry, task.failures + 1)
      return undefined
    } catch (error) {
      return { error }
    }
  }

  #onSuccess(lane: Lane, task: Task): void {
    this.#delivered++
    this.#finish(lane, task)
    task.letter?.finish('delivered')
  }

  #onFailure(lane: Lane, task: Task, error: unknown): void {
    const { entry } = task
    task.absences = 0
    task.failures++
    if (task.failures >= this.#limits.attemptsMax) {
      this.#giveUp(lane, task, error)
      return
    }
    this.#retried++
    const waitMs = this.#retryLater(lane, task.failures, false)
    this.#parts.onRetry?.(entry, { attempt: task.failures, error, waitMs })
  }

  #giveUp(lane: Lane, task: Task, error: unknown): void {
    const { entry, failures: attempts, letter } = task
    const failure = { attempts, error: textOf(error), deadAt: this.#parts.clock.now() }
    this.#deadCount++
    if (letter) void this.#putBack(letter, failure)
    else this.#dead.push({ entry, ...failure })
    this.#finish(lane, task)
    this.#parts.onDead?.(entry, error)
  }

  #finish(lane: Lane, task: Task): void {
    lane.tasks.shift()
    if (lane.tasks.length > 0) this.#ready.push(lane)
    else this.#lanes.delete(lane.roomId)
    if (!task.place) return
    task.place.done = true
    this.#unsaved++
    this.#advance()
  }

  #retryLater(lane: Lane, failures: number, absent: boolean): number {
    const waitMs = this.#pauseMs(failures)
    lane.absent = absent
    lane.retry = this.#parts.clock.after(waitMs, () => {
      this.#makeReady(lane)
      this.#pump()
    })
    return waitMs
  }

  #makeReady(lane: Lane): void {
    lane.retry?.cancel()
    delete lane.retry
    lane.absent = false
    this.#ready.push(lane)
  }

  #pauseMs(failures: number): number {
    const { backoffMsMin, backoffMsMax } = this.#limits
    return Math.min(backoffMsMax, backoffMsMin * 2 ** Math.min(failures - 1, 30))
  }

  // dead letters again

  async #replay(ids: readonly number[]): Promise<(keyof Replayed)[]> {
    const { key, store } = this.#parts
    const letters = await store.getDead(ids)
    if (this.#state !== 'running') return []
    const outcomes = letters.filter((letter) => letter.plugin === key).map((letter) => this.#replayOne(letter))
    this.#proceed()
    return Promise.all(outcomes)
  }

  async #replayOne({ id, entry }: DeadLetter): Promise<keyof Replayed> {
    const { key, store, onError } = this.#parts
    const outcome = await new Promise<keyof Replayed>((finish) =>
      this.#enqueue({ entry, failures: 0, absences: 0, letter: { id, finish } }),
    )
    // After the delivery and not before: a crash in between delivers twice and loses nothing.
    if (outcome === 'delivered')
      await store.takeDead([id]).catch((error) => onError(error, `${key} dead letter ${id} was delivered and is still listed`))
    return outcome
  }

  async #putBack(letter: NonNullable<Task['letter']>, failure: Omit<NewDeadLetter, 'entry'>): Promise<void> {
    try {
      await this.#parts.store.failDead(letter.id, failure)
    } catch (error) {
      this.#parts.onError(error, `${this.#parts.key} dead letter ${letter.id}`) // it is in the list, with the error of before
    }
    letter.finish('failed')
  }

  // the cursor

  #place(pos: number): void {
    this.#pos = pos
    this.#readPos = pos
    this.#savedPos = pos
  }

  #advance(): void {
    let done = 0
    while (this.#window[done]?.done) done++
    if (done > 0) this.#window.splice(0, done)
    this.#pos = this.#window[0] ? this.#window[0].pos - 1 : this.#readPos
  }

  #acked(): number[] {
    const inWindow = this.#window.filter((place) => place.done).map((place) => place.pos)
    return [...inWindow, ...this.#doneAhead]
  }

  #hasNews(): boolean {
    return this.#unsaved > 0 || this.#dead.length > 0 || this.#pos !== this.#savedPos
  }

  /** Passing over a few unwanted rows is not worth an fsync: reading them again after a restart is cheaper. */
  #saveIfWorth(): void {
    if (this.#saving || this.#saveRetry || this.#rewinding || this.#state !== 'running') return
    if (this.#unsaved > 0 || this.#dead.length > 0 || this.#pos - this.#savedPos >= this.#limits.pageMax) void this.#save()
  }

  async #save(): Promise<void> {
    this.#saving = true
    const pos = this.#pos
    const unsaved = this.#unsaved
    try {
      await this.#write({ pos, acked: this.#acked() })
      this.#savedPos = pos
      this.#unsaved -= unsaved
      this.#saveFailures = 0
    } catch (error) {
      this.#onSaveFailure(error)
    }
    this.#saving = false
    this.#proceed()
    this.#tellIdle()
  }

  async #write(cursor: { pos: number; acked: number[] }): Promise<void> {
    const { key, store, onError } = this.#parts
    const dead = this.#dead
    this.#dead = []
    try {
      const { dropped } = await store.putCursor(key, cursor, dead)
      this.#dropped += dropped
      if (dropped > 0) onError(new Error(`${dropped} old dead letters dropped to keep new ones`), `${key} dead letters`)
    } catch (error) {
      this.#dead = [...dead, ...this.#dead]
      throw error
    }
  }

  #onSaveFailure(error: unknown): void {
    this.#parts.onError(error, `${this.#parts.key} cursor`)
    if (this.#hasStopped()) return
    this.#saveRetry = this.#parts.clock.after(this.#pauseMs(++this.#saveFailures), () => {
      this.#saveRetry = undefined
      this.#saveIfWorth()
    })
  }

  async #rewind(pos: number): Promise<void> {
    while (!this.#isIdle()) await this.#nextIdle()
    if (this.#state !== 'running') throw new Error(`the consumer of ${this.#parts.key} does not run`)
    const to = Math.min(Math.max(await this.#logStart(this.#end), Math.trunc(pos)), this.#end)
    await this.#write({ pos: to, acked: [] })
    this.#clear()
    this.#unsaved = 0
    this.#place(to)
  }

  #clear(): void {
    for (const lane of this.#lanes.values()) {
      lane.retry?.cancel()
      for (const task of lane.tasks) task.letter?.finish('left')
    }
    this.#lanes.clear()
    this.#ready.length = 0
    this.#window = []
    this.#doneAhead.clear()
  }

  // rest

  #hasStopped(): boolean {
    return this.#state === 'stopped'
  }

  #isIdle(): boolean {
    return this.#inFlight === 0 && !this.#reading && !this.#saving
  }

  #nextIdle(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  #tellIdle(): void {
    if (this.#isIdle()) this.#wakeWaiters()
  }

  #wakeWaiters(): void {
    for (const resolve of this.#waiters.splice(0)) resolve()
  }
}

const isAbsence = (error: unknown) =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === 'plugin.unavailable'

const errorCharsMax = 1_000
const textOf = (error: unknown) => (error instanceof Error ? error.message : String(error)).slice(0, errorCharsMax)
