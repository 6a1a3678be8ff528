/**
 * Readers that do not keep up, and what becomes of them.
 *
 * uWebSockets.js drops silently past its own bound and the kernel hides about 4 MB of a stuck reader before anything shows, so we look
 * for ourselves: after each frame some sockets of the room are checked for unsent bytes (0.1 us each), and now and then one is
 * pinged in-band, because a pong comes back only when everything before it was read.
 *
 *     full  -- over bufferedBytesSoftMax, or no pong for lagMsMax -->  lean: high lane only, the client gets `room.lagging`
 *     lean  -- buffer empty and pong back                         -->  full again, with `room.resynced`
 *     lean  -- over bufferedBytesHardMax, or slow for slowCloseMs -->  closed with a code that says: come back
 */
import type { Clock, Timer } from '../base/clock.ts'
import type { Config } from '../config.ts'
import type { EdgeRoom } from './edge-room.ts'
import type { Relay } from './relay.ts'
import type { Session } from './session.ts'

const sweepMs = 250

export interface SlowCounts {
  detected: number
  recovered: number
  closed: number
}

export class SlowReaders {
  readonly #clock: Clock
  readonly #config: Config
  readonly #slow = new Set<Session>()
  #sweep: Timer | undefined
  relay: Relay | undefined
  readonly counts: SlowCounts = { detected: 0, recovered: 0, closed: 0 }

  constructor(clock: Clock, config: Config) {
    this.#clock = clock
    this.#config = config
  }

  get size(): number {
    return this.#slow.size
  }

  /** Look at the next `scanPerTickMax` sockets of the room. */
  scan(room: EdgeRoom): void {
    const now = this.#clock.now()
    const count = Math.min(room.members.length, this.#config.scanPerTickMax)
    for (let i = 0; i < count; i++) {
      if (room.scanAt >= room.members.length) room.scanAt = 0
      const member = room.members[room.scanAt++]
      if (member) this.#look(member.session, now)
    }
  }

  /** A session that was written to outside the frames of a room. */
  look(session: Session): void {
    this.#look(session, this.#clock.now())
  }

  onPong(session: Session): void {
    session.probeSentAt = 0
  }

  forget(session: Session): void {
    this.#slow.delete(session)
  }

  stop(): void {
    this.#sweep?.cancel()
  }

  #look(session: Session, now: number): void {
    const buffered = session.socket.bufferedBytes()
    session.bufferedSeen = buffered
    if (buffered > this.#config.bufferedBytesHardMax) return this.#close(session)
    if (session.isSlow) return
    if (buffered > this.#config.bufferedBytesSoftMax || this.#isLagging(session, now)) this.#enter(session, buffered, now)
    else this.#probe(session, now)
  }

  #isLagging(session: Session, now: number): boolean {
    const { lagMsMax } = this.#config
    return lagMsMax > 0 && session.probeSentAt > 0 && now - session.probeSentAt > lagMsMax
  }

  #probe(session: Session, now: number): void {
    if (this.#config.lagMsMax === 0 || session.probeSentAt > 0 || now - session.probedAt < this.#config.lagProbeEveryMs) return
    session.probeSentAt = now
    session.probedAt = now
    session.socket.ping()
  }

  #enter(session: Session, buffered: number, now: number): void {
    session.slowSince = now
    this.#slow.add(session)
    this.counts.detected++
    if (session.probeSentAt === 0 && this.#config.lagMsMax > 0) {
      session.probeSentAt = now
      session.socket.ping()
    }
    for (const member of session.members) {
      this.relay?.toLean(member)
      session.notify('room.lagging', { bufferedBytes: buffered }, member.room.id)
    }
    this.#arm()
  }

  /** While anybody is slow: a quiet room has no frames after which to look. */
  #arm(): void {
    this.#sweep ??= this.#clock.after(sweepMs, () => {
      this.#sweep = undefined
      const now = this.#clock.now()
      for (const session of this.#slow) this.#review(session, now)
      if (this.#slow.size > 0) this.#arm()
    })
  }

  #review(session: Session, now: number): void {
    const buffered = session.socket.bufferedBytes()
    if (buffered > this.#config.bufferedBytesHardMax || now - session.slowSince > this.#config.slowCloseMs)
      return this.#close(session)
    if (buffered > 0 || session.probeSentAt > 0) return
    session.slowSince = 0
    this.#slow.delete(session)
    this.counts.recovered++
    for (const member of session.members) this.relay?.resync(member)
  }

  #close(session: Session): void {
    this.counts.closed++
    this.#slow.delete(session)
    session.end('tooSlow')
  }
}
