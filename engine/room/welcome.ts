/**
 * What somebody who comes into a room is told: all of its state (`snapshot.ts`), or, when they were away for a moment and nothing of the
 * high lane was forgotten meanwhile, what they missed.
 */
import type { ExtensionShape, MeShape } from '../../schemas/messages.ts'
import type { Actor, CallSession } from './call.ts'
import type { RoomEvent } from './event.ts'
import { frameParts } from './frames.ts'
import type { Home } from './home.ts'
import { type Resumed, resumedBody, SnapshotCache } from './snapshot.ts'

/** Where a viewer was. */
export interface Place {
  epoch: number
  seq: number
}
export interface Arriving {
  resume: Place | undefined
  /** What plugins tell those who come late. */
  ext: readonly ExtensionShape[]
}

export class Welcome {
  readonly #home: Home
  readonly #snapshots = new SnapshotCache()

  constructor(home: Home) {
    this.#home = home
  }

  /** The room changed. */
  drop(): void {
    this.#snapshots.drop()
  }

  /** Nothing of the high lane after this place was forgotten: no snapshot is needed. */
  canResume(from: Place | undefined): from is Place {
    const { epoch, seq, high } = this.#home
    return from !== undefined && from.epoch === epoch && from.seq <= seq && high.covers(from.seq)
  }

  /** The body of the answer to a join, and the missed frames behind it. */
  parts(session: CallSession, actor: Actor, { resume, ext }: Arriving): Uint8Array[] {
    const { encoding } = session
    if (!this.canResume(resume)) return [this.snapshot(session, actor, { resync: resume !== undefined, ext })]
    const missed = this.#missed(resume.seq, actor.userId)
    return [resumedBody(encoding, this.#resumed(actor)), ...frameParts(missed, encoding, this.#home.parts.config.frameBytesMax)]
  }

  #resumed(actor: Actor): Resumed {
    const home = this.#home
    const { likes, shares } = home.totals
    const media = { stream: home.stream(), mic: home.mic(actor.userId) }
    return { epoch: home.epoch, seq: home.seq, likes, shares, online: home.presence.online, ...media, me: this.#me(actor) }
  }

  #missed(seq: number, userId: string): RoomEvent[] {
    const { high, danmaku, parts } = this.#home
    const shown = danmaku.after(seq, userId, parts.config.snapshotDanmakuMax)
    return [...high.after(seq, userId), ...shown].sort((a, b) => a.seq - b.seq)
  }

  /** `resync`: it takes the place of what the client has. */
  snapshot(session: CallSession, actor: Actor, { resync, ext }: { resync: boolean } & Pick<Arriving, 'ext'>): Uint8Array {
    const home = this.#home
    const personal = {
      ...(resync ? { resync: true as const } : {}),
      me: this.#me(actor),
      online: home.presence.online,
      ...(ext.length > 0 ? { ext: [...ext] } : {}),
    }
    const recent = home.danmaku.after(0, actor.userId, home.parts.config.snapshotDanmakuMax)
    const mic = home.mic(actor.userId)
    const state = (danmaku: readonly RoomEvent[]) => ({
      epoch: home.epoch,
      seq: home.seq,
      room: home.info,
      settings: home.settings,
      likes: home.totals.likes,
      shares: home.totals.shares,
      danmaku,
      wall: home.wall,
      stream: home.stream(),
      mic,
    })
    // What is theirs alone cannot be added to a part that all share: fields are whole on both encodings.
    if (mic?.place !== undefined || recent.some((event) => event.only !== undefined))
      return this.#snapshots.bodyFor(session.encoding, state(recent), personal)
    return this.#snapshots.body(session.encoding, () => state(recent), personal)
  }

  #me(actor: Actor): MeShape {
    const { userId, name, anonymous } = actor
    const mute = this.#home.muteOf(userId)
    return {
      userId,
      name,
      roles: this.#home.ranksOfActor(actor),
      anonymous,
      ...(mute ? { mutedUntilAt: mute.untilAt } : {}),
      ...this.#home.micOf(userId),
    }
  }
}
