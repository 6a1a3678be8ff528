/**
 * The show as viewers see it: tracks, lines, which of them is shown, since when. It follows what the media node tells, and becomes the
 * `stream.*` events of the room and the `stream` of its snapshot.
 *
 *     first track of the show -> stream.started, stream.published
 *     the worker died         -> stream.unpublished for each track, stream.migrated; the show goes on if a track is back in `lostMsMax`
 *     last track of the show  -> stream.unpublished, stream.stopped
 */
import type { EventData, EventName, MediaTrackShape, StreamInfoShape, StreamLineShape } from '../../schemas/messages.ts'
import type { LineName, SfuEvent } from '../../schemas/sfu.ts'
import type { Chore, Home } from '../room/home.ts'
import type { MediaNode, StreamMeters } from './media.ts'

export type StopReason = 'ended' | 'operator' | 'room_closed' | 'taken_down' | 'lost'

/** As long as a node keeps a track that nobody feeds. */
const lostMsMax = 15_000
/** A worker's tracks close before its death is told, and one track may give way to another of another codec. */
const goneMsMax = 1_000
/** Who is behind an event, and through how many plugins. */
export interface Cause {
  actor: string
  hops?: number
}
const byEngine: Cause = { actor: 'engine' }

export class Show implements Chore {
  readonly #home: Home
  readonly #media: MediaNode | undefined
  readonly #meters: StreamMeters
  readonly #userOf: (peerId: string) => string | undefined
  readonly #tracks = new Map<string, MediaTrackShape>()
  #lines: readonly StreamLineShape[] = []
  #line: LineName | undefined
  #sinceAt: number | undefined
  #level = 0
  #roomLevel = 0
  /** Nothing is shown, and this long we wait for what comes instead. */
  #ending: { reason: 'ended' | 'lost'; at: number } | undefined

  constructor(home: Home, media: MediaNode | undefined, userOf: (peerId: string) => string | undefined) {
    this.#home = home
    this.#media = media
    this.#meters = home.parts.meters.stream
    this.#userOf = userOf
    this.#level = media?.degradeLevel ?? 0
    home.stream = () => this.info
  }

  get info(): StreamInfoShape {
    const since = this.#sinceAt === undefined ? {} : { sinceAt: this.#sinceAt }
    return {
      state: this.#media?.isReady ? (this.isLive ? 'live' : 'off') : 'unavailable',
      tracks: [...this.#tracks.values()],
      lines: [...this.#lines],
      ...(this.#line === undefined ? {} : { line: this.#line }),
      degradeLevel: this.#level,
      ...since,
    }
  }

  get isLive(): boolean {
    return this.#sinceAt !== undefined
  }

  get hasTracks(): boolean {
    return this.#tracks.size > 0
  }

  /** Its own, whatever the whole node is at. */
  get roomLevel(): number {
    return this.#roomLevel
  }

  hasTrack(id: string): boolean {
    return this.#tracks.has(id)
  }

  onEvent(event: SfuEvent): void {
    switch (event.t) {
      case 'track.opened':
        return this.#opened(event.track)
      case 'track.closed':
        return this.#closed(event.trackId, event.reason)
      case 'track.changed':
        return this.#changed(event.track)
      case 'line.changed':
        return this.#onLines(event.lines, event.line)
      case 'line.switched':
        return this.#onSwitched(event)
      case 'degraded':
        return event.room === undefined ? this.#degraded({ actor: event.by }) : undefined
      case 'node.state':
        // Nobody is told, but whoever comes now must see it.
        return this.#home.dropSnapshots()
      default:
    }
  }

  #tell<T extends EventName>(t: T, d: EventData<T>, { actor, hops = 0 }: Cause = byEngine): void {
    this.#home.dropSnapshots()
    this.#home.decide(this.#home.event(t, d, { actor, hops }))
  }

  // ------------------------------------------------------------------ tracks

  /** A node knows peers, viewers know users. */
  #named(track: MediaTrackShape): MediaTrackShape {
    const known = this.#tracks.get(track.id)
    const userId = this.#userOf(track.userId) ?? known?.userId ?? this.#home.info.ownerId
    // A guest may have moved to another seat since the node was told of theirs.
    return { ...track, userId, ...(known?.seatNo === undefined ? {} : { seatNo: known.seatNo }) }
  }

  moveSeat(from: number, to: number): void {
    const moved = [...this.#tracks.values()].filter(({ source, seatNo }) => source === 'seat' && seatNo === from)
    for (const one of moved) {
      const track = { ...one, seatNo: to }
      this.#tracks.set(track.id, track)
      this.#tell('stream.track_changed', { track }, { actor: track.userId })
    }
  }

  #opened(given: MediaTrackShape): void {
    const track = this.#named(given)
    this.#tracks.set(track.id, track)
    if (track.source === 'main') this.#start(track.userId)
    this.#tell('stream.published', { track }, { actor: track.userId })
  }

  #start(userId: string): void {
    this.#ending = undefined
    if (this.isLive) return
    this.#sinceAt = this.#home.now()
    this.#tell('stream.started', { sinceAt: this.#sinceAt }, { actor: userId })
  }

  #closed(trackId: string, reason: string): void {
    const track = this.#tracks.get(trackId)
    if (!track) return
    this.#unpublish(track, reason)
    const isLast = ![...this.#tracks.values()].some(({ source }) => source === 'main')
    if (isLast && this.#ending === undefined) this.#endSoon('ended', goneMsMax)
  }

  #unpublish({ id, userId }: MediaTrackShape, reason: string, hops = 0): void {
    this.#tracks.delete(id)
    this.#tell('stream.unpublished', { trackId: id, reason }, { actor: userId, hops })
  }

  #changed(given: MediaTrackShape): void {
    if (!this.#tracks.has(given.id)) return
    const track = this.#named(given)
    this.#tracks.set(track.id, track)
    this.#tell('stream.track_changed', { track }, { actor: track.userId })
  }

  // ------------------------------------------------------------------ lines

  #onLines(lines: readonly StreamLineShape[], line: LineName | undefined): void {
    this.#lines = lines
    this.#line = line
    this.#tell('stream.lines_changed', { lines: [...lines], ...(line === undefined ? {} : { line }) })
  }

  #onSwitched({ from, to, gapMs, cause }: Extract<SfuEvent, { t: 'line.switched' }>): void {
    if (cause !== 'manual') this.#meters.failovers++
    this.#tell('stream.line_switched', { from, to, gapMs, cause })
  }

  // ------------------------------------------------------------------ degrading

  setRoomLevel(level: number, by: Cause): void {
    this.#roomLevel = level
    this.#degraded(by)
  }

  #degraded(by: Cause): void {
    const level = Math.max(this.#roomLevel, this.#media?.degradeLevel ?? 0)
    if (level === this.#level) return
    this.#level = level
    this.#tell('stream.degraded', { level, by: by.actor }, by)
  }

  // ------------------------------------------------------------------ the end

  /** Everything in the node is gone, and whoever is still there makes it anew. */
  lost(hint: string): void {
    this.#meters.lost++
    this.#clear('lost', 'all')
    this.#tell('stream.migrated', { hint })
    this.#endSoon('lost', lostMsMax)
  }

  #endSoon(reason: 'ended' | 'lost', ms: number): void {
    if (!this.isLive) return
    this.#ending = { reason, at: this.#home.now() + ms }
    this.#home.rearm()
  }

  /** `by`: who ended it, when somebody did. `all`: guests on the mic too. */
  end(reason: StopReason, by = byEngine, what: MediaTrackShape['source'] | 'all' = 'main'): void {
    this.#clear(reason, what, by.hops)
    if (this.isLive) this.#stop(reason, by)
  }

  #clear(reason: string, what: MediaTrackShape['source'] | 'all', hops = 0): void {
    const over = [...this.#tracks.values()].filter(({ source }) => what === 'all' || source === what)
    for (const track of over) this.#unpublish(track, reason, hops)
    if (this.#lines.length > 0) this.#onLines([], undefined)
  }

  #stop(reason: StopReason, by = byEngine): void {
    this.#sinceAt = undefined
    this.#ending = undefined
    this.#tell('stream.stopped', { reason }, by)
  }

  /** After a cut: transports are gone, of whoever may still watch or be heard too. */
  migrated(hint: string): void {
    this.#tell('stream.migrated', { hint })
  }

  dueAt(): number | undefined {
    return this.#ending?.at
  }

  run(now: number): void {
    if (this.#ending && this.#ending.at <= now) this.#stop(this.#ending.reason)
  }
}
