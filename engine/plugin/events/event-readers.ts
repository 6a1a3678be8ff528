/**
 * How events and turns of a schedule reach a plugin: from the room log (`consumers.ts`), as they happen (`live-events.ts`), or by time.
 */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { Config } from '../../config.ts'
import type { LogEntry, Store } from '../../room/store.ts'
import type { HookMeters } from '../checks/meters.ts'
import type { PluginEvent } from '../define.ts'
import { isDurable } from '../hooks.ts'
import type { Attached } from '../host/attached.ts'
import type { HookKind } from '../manifest.ts'
import { Consumer, consumerLimits } from './consumers.ts'
import { LiveEvents } from './live-events.ts'

export interface EventReadersParts {
  config: Config
  clock: Clock
  liveClock: Clock
  store: Store
  log: Log
  metersOf(attached: Attached, kind: HookKind, on: string): HookMeters
  mayLog(plugin: string): boolean
  onFailure(plugin: string, hook: string, error: unknown): void
  onError(error: unknown, where: string): void
}

const consumerAgainMs = 1_000

export class EventReaders {
  readonly #parts: EventReadersParts

  constructor(parts: EventReadersParts) {
    this.#parts = parts
  }

  /** What belongs to one plugin alone: its schedules and its readers of events. */
  bind(attached: Attached): void {
    const schedules = attached.isActive ? attached.hooks('schedule') : []
    attached.schedules.set(
      schedules.map(({ index, spec }) => {
        this.#parts.metersOf(attached, 'schedule', spec.on)
        const hook = { index, kind: 'schedule' as const, on: spec.on }
        const options = { key: `schedule ${spec.on}`, budgetMs: spec.budgetMs }
        return { name: spec.on, everyMs: spec.everyMs, run: (at) => attached.run(hook, at, options) }
      }),
    )
    const names = attached.isActive ? [...attached.eventHooks.keys()] : []
    const isWanted = (t: string) => isDurable(t, this.#parts.config.logDanmaku)
    if (names.some(isWanted)) this.#consume(attached)
    else void this.stop(attached)
    if (names.some((t) => !isWanted(t))) attached.live ??= this.#liveEvents(attached)
  }

  #consume(attached: Attached): void {
    if (attached.consumer) return attached.consumer.resume()
    const { store, clock, log } = this.#parts
    const plugin = attached.name
    const consumer = new Consumer({
      key: plugin,
      store,
      clock,
      startAt: 'end',
      limits: consumerLimits,
      wants: ({ row }) => attached.eventHooks.has(row.t) && row.only === undefined,
      deliver: (entry, attempt) => this.#deliver(attached, eventOf(entry, attempt)),
      onRetry: ({ row }, { attempt, error }) => {
        if (this.#parts.mayLog(plugin))
          log.warn({ plugin, event: row.t, eid: row.eid, attempt, err: error }, 'event is delivered again')
      },
      onDead: ({ row }, error) => log.error({ plugin, event: row.t, eid: row.eid, err: error }, 'event is a dead letter now'),
      onError: (error, where) => this.#parts.onError(error, `plugin ${plugin}: ${where}`),
    })
    attached.consumer = consumer
    this.#startConsumer(attached, consumer)
  }

  /** After the one before it has written its cursor, which it would otherwise write over; again when the store fails. */
  #startConsumer(attached: Attached, consumer: Consumer): void {
    const start = async () => {
      await attached.consumerEnded
      if (attached.consumer === consumer) await consumer.start()
    }
    start().catch((error) => {
      this.#parts.onError(error, `plugin ${attached.name}: events`)
      this.#parts.liveClock.after(consumerAgainMs, () => {
        if (attached.consumer === consumer) this.#startConsumer(attached, consumer)
      })
    })
  }

  stop(attached: Attached): Promise<void> {
    const { consumer } = attached
    attached.consumer = undefined
    if (consumer)
      attached.consumerEnded = consumer.stop().catch((error) => this.#parts.onError(error, `plugin ${attached.name}: events`))
    return attached.consumerEnded
  }

  #liveEvents(attached: Attached): LiveEvents<PluginEvent<unknown>> {
    return new LiveEvents({
      queueMax: this.#parts.config.pluginLiveEventsMax,
      inFlightMax: 64,
      deliver: (event) => this.#deliver(attached, event),
      onError: (error, event) => this.#parts.onFailure(attached.name, `event ${event.t}`, error),
    })
  }

  async #deliver(attached: Attached, event: PluginEvent<unknown>): Promise<void> {
    const hook = attached.eventHooks.get(event.t)
    if (!hook) return // gone with an update
    const { index, budgetMs } = hook
    await attached.run({ index, kind: 'event', on: event.t }, event, { key: event.room, budgetMs })
  }
}

const eventOf = ({ roomId, epoch, seq, row }: LogEntry, attempt: number): PluginEvent<unknown> => {
  const { t, at, eid, actor, d, hops = 0 } = row
  return { t, room: roomId, epoch, seq, at, eid, actor, d, attempt, hops }
}
