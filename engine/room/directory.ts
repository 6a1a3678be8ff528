/**
 * The list of open rooms for `room.list`: most viewers first, then by id. Kept in memory and sorted at most once a second, when asked.
 */
import type { RoomInfoShape, RoomListItemShape } from '../../schemas/messages.ts'

const sortEveryMs = 1_000
const limitDefault = 20

export class Directory {
  readonly #open = new Map<string, RoomListItemShape>()
  #sorted: RoomListItemShape[] = []
  #sortedAt = Number.NEGATIVE_INFINITY

  get size(): number {
    return this.#open.size
  }

  set(info: RoomInfoShape, online: number): void {
    if (info.state !== 'open') {
      if (this.#open.delete(info.id)) this.#sortedAt = Number.NEGATIVE_INFINITY
      return
    }
    if (!this.#open.has(info.id)) this.#sortedAt = Number.NEGATIVE_INFINITY
    const { id, title, categoryId, cover, ownerId, openedAt = 0 } = info
    this.#open.set(id, { id, title, categoryId, cover, ownerId, online, openedAt })
  }

  /** A cursor is where the page before ended: `<online>.<id>`. Anything else starts from the top. */
  list(
    query: { categoryId?: string; cursor?: string; limit?: number },
    now: number,
  ): { items: RoomListItemShape[]; cursor?: string } {
    if (now - this.#sortedAt >= sortEveryMs) {
      this.#sorted = [...this.#open.values()].sort(before)
      this.#sortedAt = now
    }
    const limit = query.limit ?? limitDefault
    const after = parseCursor(query.cursor)
    const items: RoomListItemShape[] = []
    let more = false
    for (const item of this.#sorted) {
      if (query.categoryId !== undefined && item.categoryId !== query.categoryId) continue
      if (after && before(item, after) <= 0) continue
      if (items.length === limit) {
        more = true
        break
      }
      items.push(item)
    }
    const last = items.at(-1)
    return more && last ? { items, cursor: `${last.online}.${last.id}` } : { items }
  }
}

type Place = Pick<RoomListItemShape, 'online' | 'id'>
const before = (a: Place, b: Place): number => b.online - a.online || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

function parseCursor(cursor: string | undefined): Place | undefined {
  const match = cursor?.match(/^(\d{1,9})\.([A-Za-z0-9_-]{1,64})$/)
  return match ? { online: Number(match[1]), id: match[2] as string } : undefined
}
