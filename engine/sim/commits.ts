/**
 * What the homes committed, as seen at the store: the simulation's own record to compare the viewers with.
 *
 * The engine tells its store the place (epoch, seq) of every high-lane event, and with `logDanmaku` of every danmaku, at the moment of
 * commit. `tapped` is the real store with an ear on those calls; nothing is changed.
 */
import type { DanmakuData } from '../../schemas/messages.ts'
import type { Clock } from '../base/clock.ts'
import type { LogRow, SeqRow, Store } from '../room/store.ts'

export interface Commit {
  room: string
  epoch: number
  seq: number
  eid: string
  t: string
  at: number
  actor: string
  d: unknown
  /** Who alone may know of it, as the engine has it. */
  only: string | undefined
  /** Nodes with homes that had died before. */
  life: number
  row: LogRow
  /** Its home died before it was on disk: some may have seen it. */
  isLost: boolean
}

export class Commits {
  readonly #clock: Pick<Clock, 'now'>
  readonly #written = new Map<string, LogRow>()
  readonly #byPlace = new Map<string, Map<number, Commit>>()
  readonly #byId = new Map<string, Commit>()
  /** Ids of danmaku that only their sender may see, and who that is. */
  readonly shadowed = new Map<string, string>()
  readonly #isShadowed: (room: string, row: LogRow) => boolean
  #life = 0

  /** `isShadowed`: whether the guards say that only its sender may see this danmaku. */
  constructor(clock: Pick<Clock, 'now'>, isShadowed: (room: string, row: LogRow) => boolean) {
    this.#clock = clock
    this.#isShadowed = isShadowed
  }

  get life(): number {
    return this.#life
  }

  /** All homes died, and with them what they had not written. */
  died(isOnDisk: (eid: string) => boolean): void {
    this.#life++
    for (const [eid, commit] of this.#byId) {
      if (commit.isLost || isOnDisk(eid)) continue
      commit.isLost = true
      const { row } = commit
      this.#written.set(eid, row)
    }
  }

  get size(): number {
    return this.#byId.size
  }

  find(eid: string): Commit | undefined {
    return this.#byId.get(eid)
  }

  all(): Iterable<Commit> {
    return this.#byId.values()
  }

  of(room: string, epoch: number): Iterable<Commit> {
    return this.#byPlace.get(`${room}/${epoch}`)?.values() ?? []
  }

  at(room: string, epoch: number, seq: number): Commit | undefined {
    return this.#byPlace.get(`${room}/${epoch}`)?.get(seq)
  }

  /** `change`: on purpose wrong. */
  tapped(store: Store, change: (row: LogRow) => LogRow): Store {
    const written = (log: LogRow | undefined) => log && this.#written.set(log.eid, log)
    const ears: Partial<Store> = {
      createRoom: (info, settings, log) => {
        written(log)
        return store.createRoom(info, settings, log)
      },
      write: (roomId, changes, log) => {
        written(log)
        return store.write(roomId, changes, log)
      },
      setSeq: (roomId, rows) => {
        for (const row of rows) this.#add(roomId, row, this.#written.get(row.eid))
        store.setSeq(roomId, rows)
      },
      appendLog: (roomId, rows, cursor) => {
        // Without a room: a fact about plugins, which no viewer sees.
        if (roomId !== '') for (const row of rows) this.#add(roomId, row, change(row))
        store.appendLog(roomId, rows, cursor)
      },
    }
    return overlaid(store, ears)
  }

  #add(room: string, { epoch, seq, eid }: SeqRow, row: LogRow | undefined): void {
    if (!row) throw new Error(`${room}: event ${eid} was committed without having been written`)
    const { t, actor, d, only } = row
    const commit = { room, epoch, seq, eid, t, actor, d, only, row, at: this.#clock.now(), life: this.#life, isLost: false }
    const place = `${room}/${epoch}`
    const inOrder = this.#byPlace.get(place)
    if (inOrder?.has(seq) || this.#byId.get(eid)?.isLost === false)
      throw new Error(`${place}: seq ${seq} or id ${eid} was committed twice`)
    if (inOrder) inOrder.set(seq, commit)
    else this.#byPlace.set(place, new Map([[seq, commit]]))
    this.#byId.set(eid, commit)
    this.#written.delete(eid)
    if (t === 'danmaku.sent' && this.#isHidden(room, row)) this.shadowed.set(eid, actor)
  }

  /** An answer to a hidden message is hidden too. */
  #isHidden(room: string, row: LogRow): boolean {
    const { replyTo } = row.d as DanmakuData
    const isShadowed = this.#isShadowed(room, row)
    return isShadowed || (replyTo !== undefined && this.shadowed.has(replyTo.id))
  }

  /** Entitled is one user alone: a shadowed danmaku, or the removal of one. */
  onlyFor(commit: Commit): string | undefined {
    if (commit.t === 'danmaku.sent') return this.shadowed.get(commit.eid)
    if (commit.t !== 'message.removed') return undefined
    const [first] = (commit.d as { ids: string[] }).ids
    return first === undefined ? undefined : this.shadowed.get(first)
  }
}

/** `under`, but for what `over` has. */
export function overlaid<T extends object>(under: T, over: Partial<T>): T {
  const get = (_: T, key: string | symbol): unknown => {
    const own = over[key as keyof T]
    if (own !== undefined) return own
    const value = under[key as keyof T]
    return typeof value === 'function' ? value.bind(under) : value
  }
  return new Proxy(under, { get })
}
