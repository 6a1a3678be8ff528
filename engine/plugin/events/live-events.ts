/**
 * Events that are in no log (danmaku, likes, counters) on their way to one plugin: as they happen, at most once, in order per room.
 * The queue is bounded; at the bound the newest is dropped and counted, because what is behind already is late anyway.
 */
export interface LiveEventsStats {
  /** Waiting, or at the plugin now. */
  queued: number
  delivered: number
  failed: number
  dropped: number
}
export interface LiveEventsParts<E extends { room: string }> {
  queueMax: number
  /** Rooms with an event at the plugin at the same time. */
  inFlightMax: number
  deliver(event: E): Promise<void>
  onError(error: unknown, event: E): void
}

export class LiveEvents<E extends { room: string }> {
  readonly #parts: LiveEventsParts<E>
  /** Per room: the first is at the plugin. */
  readonly #lanes = new Map<string, E[]>()
  #waiting: string[] = []
  #inFlight = 0
  readonly stats: LiveEventsStats = { queued: 0, delivered: 0, failed: 0, dropped: 0 }

  constructor(parts: LiveEventsParts<E>) {
    this.#parts = parts
  }

  push(event: E): void {
    if (this.stats.queued >= this.#parts.queueMax) {
      this.stats.dropped++
      return
    }
    this.stats.queued++
    const lane = this.#lanes.get(event.room)
    if (lane) return void lane.push(event)
    this.#lanes.set(event.room, [event])
    this.#waiting.push(event.room)
    this.#pump()
  }

  /** Whatever waits is dropped and counted: the plugin is going. */
  clear(): void {
    for (const [room, lane] of this.#lanes) {
      const dropped = this.#waiting.includes(room) ? lane.splice(0).length : lane.splice(1).length
      this.stats.dropped += dropped
      this.stats.queued -= dropped
      if (lane.length === 0) this.#lanes.delete(room)
    }
    this.#waiting = []
  }

  #pump(): void {
    while (this.#inFlight < this.#parts.inFlightMax) {
      const room = this.#waiting.shift()
      if (room === undefined) return
      this.#inFlight++
      void this.#deliver(room, (this.#lanes.get(room) as E[])[0] as E)
    }
  }

  async #deliver(room: string, event: E): Promise<void> {
    try {
      await this.#parts.deliver(event)
      this.stats.delivered++
    } catch (error) {
      this.stats.failed++
      this.#parts.onError(error, event)
    }
    this.#inFlight--
    this.stats.queued--
    const lane = this.#lanes.get(room)
    lane?.shift()
    if (lane && lane.length > 0) this.#waiting.push(room)
    else this.#lanes.delete(room)
    this.#pump()
  }
}
