/**
 * Likes and shares: counted, never one event per tap.
 *
 * A tap adds to the total at once, is announced as `like.changed` at most once per `likeEveryMs`, and is answered when the total is on
 * disk: all taps of `totalsEveryMs` are one write. When that write fails they are taken back and refused.
 */
import type { CommandInput } from '../../schemas/messages.ts'
import { accept, type Call, refuse } from '../room/call.ts'
import type { Chore, Home } from '../room/home.ts'

const untoldEveryMs = 5_000

type Kind = 'likes' | 'shares'
interface Waiting {
  call: Call
  kind: Kind
  n: number
}

export class Totals implements Chore {
  readonly #home: Home
  #waiting: Waiting[] = []
  #saving = false
  #saveAt: number | undefined
  #announceAt: number | undefined
  #announcedAt = Number.NEGATIVE_INFINITY
  #announced: Record<Kind, number>

  constructor(home: Home) {
    this.#home = home
    this.#announced = { likes: home.totals.likes, shares: home.totals.shares }
  }

  like(call: Call): void {
    const home = this.#home
    if (home.info.state !== 'open') return refuse(call, 'room.closed')
    if (!home.settings.like) return refuse(call, 'room.like_disabled')
    this.#add(call, 'likes', (call.d as CommandInput<'like.tap'>).n ?? 1)
  }

  share(call: Call): void {
    if (this.#home.info.state !== 'open') return refuse(call, 'room.closed')
    this.#add(call, 'shares', 1)
  }

  /** The danmaku counter moved. Nobody waits for it: a write every 200 ms would cost a room of 100 messages a second 3 % of a core. */
  touch(): void {
    this.#saveIn(untoldEveryMs)
  }

  #saveIn(ms: number): void {
    const at = this.#home.now() + ms
    if (this.#saveAt !== undefined && this.#saveAt <= at) return
    this.#saveAt = at
    this.#home.rearm()
  }

  dueAt(): number | undefined {
    // One write at a time: what comes in meanwhile is written after it.
    if (this.#saveAt === undefined || this.#saving) return this.#announceAt
    return this.#announceAt === undefined ? this.#saveAt : Math.min(this.#saveAt, this.#announceAt)
  }

  run(now: number): void {
    if (this.#announceAt !== undefined && this.#announceAt <= now) this.#announce(now)
    if (this.#saveAt !== undefined && this.#saveAt <= now && !this.#saving) void this.#save()
  }

  finish(): void {
    if (this.#saveAt !== undefined) void this.#save()
  }

  #add(call: Call, kind: Kind, n: number): void {
    const { totals, parts } = this.#home
    totals[kind] += n
    this.#waiting.push({ call, kind, n })
    this.#announceAt ??= Math.max(call.at, this.#announcedAt + parts.config.likeEveryMs)
    this.#saveIn(parts.config.totalsEveryMs)
    this.#home.rearm()
  }

  #announce(now: number): void {
    const home = this.#home
    const { likes, shares } = home.totals
    this.#announceAt = undefined
    this.#announcedAt = now
    if (likes !== this.#announced.likes)
      home.decide(home.event('like.changed', { total: likes, delta: Math.max(0, likes - this.#announced.likes) }))
    if (shares !== this.#announced.shares) home.decide(home.event('share.changed', { total: shares }))
    this.#announced = { likes, shares }
  }

  async #save(): Promise<void> {
    this.#saveAt = undefined
    this.#saving = true
    const waiting = this.#waiting
    this.#waiting = []
    const { totals, parts, id } = this.#home
    try {
      await parts.store.write(id, [{ kind: 'totals.put', ...totals }])
      for (const { call, kind } of waiting) accept(call, { total: totals[kind] })
    } catch (error) {
      parts.onError(error, id)
      for (const { call, kind, n } of waiting) {
        totals[kind] -= n
        refuse(call, 'server.store_unavailable', { retryAfterMs: 1_000 })
      }
    }
    this.#saving = false
    this.#home.rearm()
  }
}
