/**
 * The boards of a room over time: of those that run the first `boardMembersMax` are in memory, all of them are on disk, and a start of the
 * room costs what is new in the journal since the last save.
 *
 *     await keeper.load(isInJournal)          // what was kept, unless it does not fit: then everything is counted anew
 *     keeper.add(given)                       // each row of the journal once, in order; one that was counted before is passed over
 *     if (keeper.isBehind) await keeper.place()
 *     keeper.rows('day', 10)                  // now
 *     await keeper.finished('day', '2026-01-31', 10)
 *
 * What is kept is thrown away when it was made by other rules (`form`), when its sum is not what it must be, or when the journal does
 * not hold the row at which it ends. A save that fails is tried again as it was; it happens once, because it names the place in the
 * journal from which it goes on.
 *
 * A gift that was accepted before midnight and posted after it counts for the day before: that window is on disk alone. So is one that
 * is still to come, when the clock went back over midnight. When such a window begins the boards are loaded as at a start.
 *
 * Who gives and is not among the first may be by it: `place` saves, and looks up what they have. It costs a write and a read for all who
 * gave since the last time, and nothing in rooms with fewer givers than that.
 */
import type { Home } from '../room/home.ts'
import type { BoardsHead, Score, ScoreAdded } from '../room/store-boards.ts'
import { Board, type Given } from './board.ts'
import { type BoardName, type BoardRow, Boards, type Windows, windowsOf } from './boards.ts'

/** A row of the journal that moves the boards. */
export interface Counted extends Given {
  txId: string
  at: number
  liveId: string | undefined
}
interface Batch {
  fromPos: number
  head: BoardsHead
  rows: ScoreAdded[]
}

/** Another one: what is on disk was counted by other rules. */
const rules = 1
const saveEveryMs = 10_000
const unsavedMax = 4_000
/** Members of one look at the disk. */
const lookedUpMax = 500
const finishedRows = 100
const finishedKept = 32
const askedMax = 16
const dayMs = 86_400_000

export class BoardKeeper {
  readonly #home: Home
  readonly #onStale: () => void
  readonly #boards: Boards
  readonly #offsetMinutes: number
  /** Counted up to here; on disk up to `#savedPos`. */
  #head: BoardsHead
  #savedPos = 0
  /** The latest instant of a row that was counted. */
  #lastAt = 0
  #unsaved = new Map<string, ScoreAdded>()
  #batch: Batch | undefined
  #saving: Promise<void> | undefined
  #saveAt: number | undefined
  #isLoaded = false
  /** What is on disk is not ours: the next start counts anew. */
  #isLost = false
  readonly #finished = new Map<string, Promise<Score[]>>()
  #asked = 0
  #prunedDay = ''

  /** `onStale`: what is in memory is not what the boards are; `load`, and then the journal, are to be read again. */
  constructor(home: Home, onStale: () => void) {
    this.#home = home
    this.#onStale = onStale
    this.#offsetMinutes = home.parts.config.boardOffsetMinutes
    this.#boards = new Boards(this.#offsetMinutes, home.parts.config.boardMembersMax)
    this.#head = this.#emptyHead()
    this.turn()
  }

  #emptyHead(): BoardsHead {
    return { form: `${rules}/${this.#offsetMinutes}`, pos: 0, txId: '', coin: 0n }
  }

  /** The row of the journal up to which all are counted. */
  get pos(): number {
    return this.#head.pos
  }

  // ------------------------------------------------------------------ counting

  /** What was kept. Rejects when the disk cannot be read now; then nothing has been taken. */
  async load(isInJournal: (pos: number, txId: string) => Promise<boolean>): Promise<void> {
    if (this.#isLoaded) return
    const { id, parts } = this.#home
    const { boards } = parts.store
    while (this.#saving) await this.#saving
    const kept = await boards.head(id)
    if (kept && kept.form === this.#head.form && (await isInJournal(kept.pos, kept.txId))) {
      const { lastAt, ...head } = kept
      const scores = await this.#keptScores()
      this.#begin(head, lastAt)
      for (const [board, first] of scores) this.#boards.take(board, first)
    } else {
      await boards.drop(id)
      this.#begin(this.#emptyHead(), 0)
    }
    this.#isLoaded = true
  }

  /** Of the windows that run when all of them are read. */
  async #keptScores(): Promise<[BoardName, Board][]> {
    const { id, parts } = this.#home
    for (;;) {
      const windows = this.#windowsNow()
      const scores: [BoardName, Board][] = []
      for (const [board, win] of windows) {
        const first = new Board(parts.config.boardMembersMax)
        for await (const { reached, ...score } of parts.store.boards.all(id, board, win))
          first.put({ ...score, reachedAt: reached })
        scores.push([board, first])
      }
      if (`${windows}` === `${this.#windowsNow()}`) return scores
    }
  }

  #windowsNow(): Windows {
    return windowsOf(this.#home.now(), this.#home.info.liveId, this.#offsetMinutes)
  }

  /** From what is on disk; what was not saved is in the journal. */
  #begin(head: BoardsHead, lastAt: number): void {
    this.turn()
    this.#boards.empty()
    this.#head = head
    this.#lastAt = lastAt
    this.#savedPos = head.pos
    this.#unsaved = new Map()
    this.#batch = undefined
    this.#saveAt = undefined
    this.#isLost = false
  }

  add(counted: Counted): void {
    const { member, name, coin, at, pos, txId, liveId } = counted
    if (pos <= this.#head.pos) return
    this.#head = { ...this.#head, pos, txId, coin: this.#head.coin + coin }
    this.turn()
    this.#lastAt = Math.max(this.#lastAt, at)
    const windows = windowsOf(at, liveId, this.#offsetMinutes)
    this.#boards.add(counted, windows)
    const oldestAt = this.#home.now() - this.#keepMs
    for (const [board, win] of windows) {
      if (board !== 'total' && at < oldestAt) continue
      const key = `${board} ${win}`
      if (this.#boards.windowOf(board) !== win) this.#finished.delete(key)
      this.#addUnsaved(`${key} ${member}`, { board, win, member, name, coin, reached: pos, at })
    }
    if (this.#isLost) return this.#forgetUnsaved()
    this.#saveAt ??= this.#home.now() + saveEveryMs
    // After a save that failed the next one is the timer's: the disk is not asked with every gift.
    if (this.#unsaved.size >= unsavedMax && !this.isSaving && !this.#batch) void this.save()
  }

  get #keepMs(): number {
    return this.#home.parts.config.boardsKeepDays * dayMs
  }

  #addUnsaved(key: string, added: ScoreAdded): void {
    const known = this.#unsaved.get(key)
    this.#unsaved.set(key, known ? { ...added, coin: known.coin + added.coin, at: Math.max(known.at, added.at) } : added)
  }

  turn(): void {
    const before = this.#boards.day
    this.#boards.turn(this.#home.now(), this.#home.info.liveId)
    const { day } = this.#boards
    if (day.from === before.from || !this.#isLoaded) return
    // Something of the window that begins may have been counted before: the clock went back, or it had been ahead.
    if (day.from > before.from && this.#lastAt < before.to) return
    this.#isLoaded = false
    this.#finished.clear()
    this.#onStale()
  }

  // ------------------------------------------------------------------ saving

  dueAt(): number | undefined {
    return this.#saveAt
  }

  run(now: number): void {
    if (this.#saveAt === undefined || this.#saveAt > now) return
    this.#saveAt = now + saveEveryMs
    if (!this.isSaving) void this.save()
    this.#prune(now)
  }

  /** What is counted goes to disk faster than the disk takes it: whoever brings more had better wait. */
  get isSaving(): boolean {
    return this.#saving !== undefined
  }

  /** On the way down: the store writes it before it closes. */
  finish(): void {
    void this.save()
  }

  /** All that is counted is on disk when it resolves, if the disk takes it. */
  async save(): Promise<void> {
    while (this.#saving) await this.#saving
    if (!this.#isLoaded) return
    this.#takeBatch()
    if (!this.#batch) return
    this.#saving = this.#write(this.#batch).finally(() => (this.#saving = undefined))
    await this.#saving
  }

  #takeBatch(): void {
    if (this.#batch || this.#isLost || this.#head.pos === this.#savedPos) return
    this.#batch = { fromPos: this.#savedPos, head: this.#head, rows: [...this.#unsaved.values()] }
    this.#unsaved = new Map()
  }

  async #write(batch: Batch): Promise<void> {
    const { id, parts } = this.#home
    // While it is under way the room must not leave memory: its next home would read what is about to change.
    this.#saveAt = this.#home.now() + saveEveryMs
    try {
      if (!(await parts.store.boards.save(id, batch.fromPos, batch.head, batch.rows))) await this.#lose()
      this.#savedPos = batch.head.pos
      this.#batch = undefined
    } catch (error) {
      parts.onError(error, `${id}: boards`)
    }
    this.#rest()
  }

  /** Until something is to be saved again, or a save to be tried again. */
  #rest(): void {
    if (this.#isLost || (!this.#batch && this.#head.pos === this.#savedPos)) this.#saveAt = undefined
    else this.#home.rearm()
  }

  /** What is on disk was written by somebody else: the next start counts anew. */
  async #lose(): Promise<void> {
    const { id, parts } = this.#home
    parts.onError(new Error('the boards on disk are not those that were read'), `${id}: boards`)
    await parts.store.boards.drop(id)
    this.#isLost = true
    this.#forgetUnsaved()
  }

  #forgetUnsaved(): void {
    this.#unsaved.clear()
    this.#boards.takeUnplaced()
  }

  /** Once a day of the room. */
  #prune(now: number): void {
    const day = this.#boards.windowOf('day') ?? ''
    if (day === this.#prunedDay) return
    this.#prunedDay = day
    const { id, parts } = this.#home
    parts.store.boards.prune(id, now - this.#keepMs).catch((error) => parts.onError(error, `${id}: boards`))
  }

  // ------------------------------------------------------------------ who is not in memory

  /** Rows and places may miss somebody. */
  get isBehind(): boolean {
    return this.#boards.hasUnplaced || (this.#isLost && this.#boards.isCut)
  }

  /** Whoever gave without being kept has their place when it resolves, if the disk can be asked. */
  async place(): Promise<void> {
    await this.save()
    while (this.#saving) await this.#saving
    if (!this.#isLoaded || this.#batch || !this.#boards.hasUnplaced) return
    // Nothing is saved meanwhile: what is read goes together with what is unsaved then.
    this.#saving = this.#placeAll().finally(() => (this.#saving = undefined))
    await this.#saving
  }

  async #placeAll(): Promise<void> {
    this.#saveAt ??= this.#home.now() + saveEveryMs
    for (const [board, win, members] of this.#boards.takeUnplaced())
      for (let at = 0; at < members.length; at += lookedUpMax) await this.#lookUp(board, win, members.slice(at, at + lookedUpMax))
    this.#rest()
  }

  async #lookUp(board: BoardName, win: string, members: readonly string[]): Promise<void> {
    const { id, parts } = this.#home
    parts.meters.boardLookups += members.length
    let found: Score[] | undefined
    try {
      found = await parts.store.boards.of(id, board, win, members)
    } catch (error) {
      parts.onError(error, `${id}: boards`)
    }
    if (this.#boards.windowOf(board) !== win) return
    if (!found) return this.#boards.unplaced(board, members)
    const byMember = new Map(found.map((score) => [score.member, score]))
    for (const member of members) {
      const [kept, added] = [byMember.get(member), this.#unsaved.get(`${board} ${win} ${member}`)]
      const last = added ?? kept
      if (!last) continue
      const score = (kept?.score ?? 0n) + (added?.coin ?? 0n)
      this.#boards.put(board, { member, name: last.name, score, reachedAt: last.reached })
    }
  }

  /** `standing` does not know them: they are not kept. */
  isLeftOut(board: BoardName, member: string): boolean {
    return this.#boards.isLeftOut(board, member)
  }

  /** Theirs, if they are on the board of the window that runs at all. */
  async standingOnDisk(board: BoardName, member: string): Promise<{ place: number; scoreCoin: string } | undefined> {
    const { id, parts } = this.#home
    const win = this.#boards.windowOf(board)
    if (win === undefined) return undefined
    parts.meters.boardLookups++
    // Most of those who look on gave nothing: for them nothing is written, and nobody counted.
    const isNew = this.#unsaved.has(`${board} ${win} ${member}`)
    if (!isNew && (await parts.store.boards.of(id, board, win, [member])).length === 0) return undefined
    await this.save()
    const found = await parts.store.boards.place(id, board, win, member)
    return found && { place: found.place, scoreCoin: String(found.score) }
  }

  // ------------------------------------------------------------------ looking

  windowOf(board: BoardName): string | undefined {
    this.turn()
    return this.#boards.windowOf(board)
  }

  rows(board: BoardName, limit: number): BoardRow[] {
    return this.#boards.rows(board, limit)
  }

  standing(board: BoardName, member: string): { place: number; scoreCoin: string } | undefined {
    return this.#boards.standing(board, member)
  }

  get isChanged(): boolean {
    return this.#boards.isChanged
  }

  takeChanged(limit: number): ReturnType<Boards['takeChanged']> {
    this.turn()
    return this.#isLoaded ? this.#boards.takeChanged(limit) : []
  }

  /** The first hundred of a window that is over; undefined when too many ask at once. */
  finished(board: BoardName, win: string): Promise<Score[]> | undefined {
    const key = `${board} ${win}`
    const known = this.#finished.get(key)
    if (known) return known
    if (this.#asked >= askedMax) return undefined
    this.#asked++
    const asked = this.#read(board, win).finally(() => this.#asked--)
    this.#finished.set(key, asked)
    asked.catch(() => this.#finished.delete(key))
    const [oldest] = this.#finished.keys()
    if (this.#finished.size > finishedKept && oldest !== undefined) this.#finished.delete(oldest)
    return asked
  }

  /** The end of a window may wait for its save. */
  async #read(board: BoardName, win: string): Promise<Score[]> {
    await this.save()
    return this.#home.parts.store.boards.top(this.#home.id, board, win, finishedRows)
  }
}
