/**
 * How well a room plays, from the reports of its viewers: per minute the share of the time that stalled. At most one report a second and
 * session; a report that claims more than its window, or more than passed since the one before, is refused and counted.
 *
 *     stream.report_qos, about every ten seconds -> a minute of the room -> `stream.qos_sampled`: on the bus and to plugins, not to viewers
 */
import type { CommandInput } from '../../schemas/messages.ts'
import { subjects } from '../../schemas/subjects.ts'
import type { QosSample } from '../plugin/hooks.ts'
import { accept, type Call, refuse } from '../room/call.ts'
import { RoomEvent } from '../room/event.ts'
import type { Chore, Home } from '../room/home.ts'
import type { StreamMeters } from './media.ts'

type Report = CommandInput<'stream.report_qos'>
interface Minute {
  endAt: number
  sample: Omit<QosSample, 'stallBps'>
  rtt: { sum: number; count: number }
  loss: { sum: number; count: number }
}

const minuteMs = 60_000
const reportEveryMs = 1_000
/** Clocks of viewers are not ours. */
const toleranceMs = 1_000
const alertBps = 50
/** A minute of one viewer: less says nothing about a room. */
const alertPlayMs = 60_000

export class Qos implements Chore {
  readonly #home: Home
  readonly #meters: StreamMeters
  /** When each session's last report came; those who left are forgotten. */
  readonly #lastAt = new Map<string, number>()
  #minute: Minute | undefined

  constructor(home: Home) {
    this.#home = home
    this.#meters = home.parts.meters.stream
  }

  report(call: Call, sid: string): void {
    const d = call.d as Report
    const now = this.#home.now()
    const sinceMs = now - (this.#lastAt.get(sid) ?? now - minuteMs)
    if (sinceMs < reportEveryMs) {
      this.#meters.qosRefused++
      return refuse(call, 'rate.limited', { retryAfterMs: reportEveryMs - sinceMs })
    }
    const coveredMs = Math.min(d.windowMs, sinceMs + toleranceMs)
    if (d.playMs > coveredMs + toleranceMs || d.stallMs > d.playMs) {
      this.#meters.qosRefused++
      return refuse(call, 'request.invalid', {
        msg: 'playMs: more than the window, or less than stallMs.',
        d: { field: 'playMs' },
      })
    }
    this.#lastAt.set(sid, now)
    this.#count(d, now)
    accept(call, {})
  }

  forget(sid: string): void {
    this.#lastAt.delete(sid)
  }

  #count({ playMs, stallMs, rttMs, lossBps }: Report, now: number): void {
    if (!this.#minute) {
      this.#minute = newMinute(now)
      this.#home.rearm()
    }
    const { sample, rtt, loss } = this.#minute
    sample.reports++
    sample.playMs += playMs
    sample.stallMs += stallMs
    this.#meters.qosReports++
    this.#meters.qosPlayMs += playMs
    this.#meters.qosStallMs += stallMs
    if (rttMs !== undefined) add(rtt, rttMs)
    if (lossBps !== undefined) add(loss, lossBps)
  }

  dueAt(): number | undefined {
    return this.#minute?.endAt
  }

  run(now: number): void {
    const minute = this.#minute
    if (!minute || minute.endAt > now) return
    this.#minute = undefined
    const home = this.#home
    const { playMs, stallMs } = minute.sample
    const stallBps = playMs === 0 ? 0 : Math.round((stallMs * 10_000) / playMs)
    const d: QosSample = {
      ...minute.sample,
      stallBps,
      ...mean('rttMs', minute.rtt),
      ...mean('lossBps', minute.loss),
      ...home.parts.media?.egressOf(home.id),
    }
    // Not by the rounded one: 0.504 % is more than half a percent.
    if (stallMs * 10_000 > playMs * alertBps && playMs >= alertPlayMs) {
      this.#meters.qosAlerts++
      home.parts.log?.warn({ room: home.id, ...d }, 'viewers stall')
    }
    const t = 'stream.qos_sampled'
    const event = new RoomEvent({ t, lane: 'low', room: home.id, d }, { eid: home.newId(), at: now, actor: 'engine' })
    home.parts.bus.publish(subjects.roomEvents(home.id, t), { head: { ...event.envelope(), eid: event.eid } })
    home.parts.onCommitted(home, [event])
  }
}

const newMinute = (now: number): Minute => ({
  endAt: now + minuteMs,
  sample: { windowMs: minuteMs, reports: 0, playMs: 0, stallMs: 0 },
  rtt: { sum: 0, count: 0 },
  loss: { sum: 0, count: 0 },
})

function add(of: { sum: number; count: number }, value: number): void {
  of.sum += value
  of.count++
}

const mean = <K extends string>(name: K, { sum, count }: { sum: number; count: number }): { [key in K]?: number } =>
  count === 0 ? {} : ({ [name]: Math.round(sum / count) } as { [key in K]: number })
