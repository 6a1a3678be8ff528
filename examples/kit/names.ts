/**
 * Who is behind a user id, from what this page saw of the room: chat rows, answers, entries. Bounded; the oldest is forgotten first.
 *
 *     const names = new Names()
 *     const stop = names.follow(room)
 *     names.of(userId)                   undefined: never seen here
 */
import type { RoomView } from 'livehouse/client'

export const namesMax = 2_000

export class Names {
  readonly #byId = new Map<string, string>()

  follow(room: RoomView): () => void {
    for (const { d } of room.recent) this.note(d.from.id, d.from.name)
    const offs = [
      room.on('danmaku.sent', ({ from }) => this.note(from.id, from.name)),
      room.on('resync', ({ missed }) => {
        for (const { d } of missed) this.note(d.from.id, d.from.name)
      }),
      room.on('room.user_joined', ({ user }) => this.note(user.id, user.name)),
    ]
    return () => {
      for (const off of offs) off()
    }
  }

  note(id: string, name: string): void {
    if (!name) return
    this.#byId.delete(id) // seen again: the newest
    this.#byId.set(id, name)
    if (this.#byId.size <= namesMax) return
    const [oldest] = this.#byId.keys()
    if (oldest !== undefined) this.#byId.delete(oldest)
  }

  of(id: string): string | undefined {
    return this.#byId.get(id)
  }
}
