/**
 * The rows of a chat list: danmaku and notices, bounded, handed to the page at most ten times a second.
 *
 *     const feed = new ChatFeed((rows) => setRows(rows))
 *     const stop = feed.follow(room)
 */
import type { DanmakuEvent, Messages, RoomView } from 'livehouse/client'
import { untilWords, waitWords } from './words.ts'

export interface DanmakuRow {
  kind: 'danmaku'
  key: string
  danmaku: Messages['danmaku.sent']
  at: number
  own: boolean
  toMe: boolean
}
export interface NoticeRow {
  kind: 'notice'
  key: string
  text: string
}
export type Row = DanmakuRow | NoticeRow

export const rowsMax = 300
const flushMs = 100
/** Combos whose row may still grow. */
const combosMax = 200
const giftsKnownMax = 2_000
/** Missed rows of one reconnect arrive together; their number is told once they have. */
const missedQuietMs = 400

export class ChatFeed {
  readonly #show: (rows: readonly Row[]) => void
  #rows: Row[] = []
  #keys = new Set<string>()
  #notices = 0
  /** Rows of gifts by combo, and the gifts that were told: after a restart of the engine some come again. */
  readonly #combos = new Map<string, NoticeRow>()
  readonly #gifts = new Set<string>()
  #missed = 0
  #missedRow: NoticeRow | undefined
  #missedTimer: ReturnType<typeof setTimeout> | undefined
  #flush: ReturnType<typeof setTimeout> | undefined

  constructor(show: (rows: readonly Row[]) => void) {
    this.#show = show
  }

  follow(room: RoomView): () => void {
    const me = () => room.state.me.userId
    for (const event of room.recent) this.#danmaku(event, me())
    const offs = [
      room.on('danmaku.sent', (_, event) => this.#danmaku(event, me())),
      room.on('gift.sent', (gift) => this.#gift(gift, me())),
      room.on('message.removed', ({ ids }) => this.remove(ids)),
      room.on('resumed', () => this.#missedFrom()),
      room.on('resync', ({ missed }) => {
        this.#missedFrom()
        for (const event of missed) this.#danmaku(event, me())
      }),
      room.on('room.settings_changed', ({ patch }) => {
        for (const text of settingsWords(patch)) this.notice(text)
      }),
      room.on('room.user_muted', ({ userId, untilAt }) => {
        if (userId === me()) this.notice(`You are muted ${untilWords(untilAt)}.`)
      }),
      room.on('room.user_unmuted', ({ userId }) => {
        if (userId === me()) this.notice('You may write again.')
      }),
      room.on('room.opened', () => this.notice('The show is on.')),
      room.on('room.closed', () => this.notice('The show is over. Thanks for watching.')),
    ]
    return () => {
      for (const off of offs) off()
      clearTimeout(this.#flush)
      clearTimeout(this.#missedTimer)
    }
  }

  notice(text: string): NoticeRow {
    const row: NoticeRow = { kind: 'notice', key: `n${++this.#notices}`, text }
    this.#push(row)
    return row
  }

  remove(ids: readonly string[]): void {
    const gone = new Set(ids)
    this.#rows = this.#rows.filter((row) => row.kind === 'notice' || !gone.has(row.danmaku.id))
    this.#soon()
  }

  #danmaku({ d, at, missed }: DanmakuEvent, me: string): void {
    if (this.#keys.has(d.id)) return
    if (missed) this.#countMissed()
    this.#push({
      kind: 'danmaku',
      key: d.id,
      danmaku: d,
      at: at ?? Date.now(),
      own: d.from.id === me,
      toMe: d.replyTo?.userId === me,
    })
  }

  /** One row for a combo, which says how it stands. */
  #gift({ txId, from, name, count, comboId, comboCount = 1, senders = 1 }: Messages['gift.sent'], me: string): void {
    if (this.#gifts.has(txId)) return
    remember(this.#gifts, txId)
    const inARow = comboCount > 1 ? `, ${comboCount} times in a row` : ''
    const text = `${from.id === me ? 'You' : from.name}${senders > 1 ? ` and ${senders - 1} more` : ''} sent ${name} ×${count}${inARow}`
    const key = `${from.id} ${comboId}`
    const row = comboId === undefined ? undefined : this.#combos.get(key)
    if (row && this.#keys.has(row.key)) return this.#say(row, text)
    const made = this.notice(text)
    if (comboId === undefined) return
    this.#combos.set(key, made)
    const [oldest] = this.#combos.keys()
    if (this.#combos.size > combosMax && oldest !== undefined) this.#combos.delete(oldest)
  }

  /** Rows are shown as they are: another text is another object with the same key. */
  #say({ key }: NoticeRow, text: string): void {
    this.#rows = this.#rows.map((other) => (other.key === key ? { kind: 'notice', key, text } : other))
    this.#soon()
  }

  #missedFrom(): void {
    this.#missed = 0
    this.#missedRow = undefined
    this.#tellMissedSoon()
  }

  #countMissed(): void {
    this.#missed++
    this.#missedRow ??= this.notice('While you were away')
    this.#tellMissedSoon()
  }

  #tellMissedSoon(): void {
    clearTimeout(this.#missedTimer)
    this.#missedTimer = setTimeout(() => this.#tellMissed(), missedQuietMs)
  }

  #tellMissed(): void {
    const row = this.#missedRow
    if (!row) this.notice('Back again. You missed nothing.')
    else {
      this.#say(row, `While you were away: ${this.#missed} ${this.#missed === 1 ? 'message' : 'messages'}`)
      this.notice('Live again')
    }
    this.#missedRow = undefined
    this.#soon()
  }

  #push(row: Row): void {
    this.#rows.push(row)
    this.#keys.add(row.key)
    if (this.#rows.length > rowsMax) {
      this.#rows = this.#rows.slice(-rowsMax)
      this.#keys = new Set(this.#rows.map(({ key }) => key))
    }
    this.#soon()
  }

  #soon(): void {
    this.#flush ??= setTimeout(() => {
      this.#flush = undefined
      this.#show([...this.#rows])
    }, flushMs)
  }
}

function remember(known: Set<string>, one: string): void {
  known.add(one)
  const [oldest] = known
  if (known.size > giftsKnownMax && oldest !== undefined) known.delete(oldest)
}

function settingsWords(patch: Messages['room.settings_changed']['patch']): string[] {
  const words: string[] = []
  const say = (value: boolean | undefined, on: string, off: string) => {
    if (value !== undefined) words.push(value ? on : off)
  }
  say(patch.chat, 'The chat is on.', 'The chat is off.')
  say(patch.muteAll, 'Only the host’s team may write now.', 'Everybody may write again.')
  say(patch.uniqueChat, 'No repeats: every message must be new.', 'Repeats are fine again.')
  say(patch.emoteOnly, 'Emotes only now.', 'Words are welcome again.')
  say(patch.gift, 'Gifts are on.', 'Gifts are off.')
  say(patch.like, 'Likes are on.', 'Likes are off.')
  if (patch.slowModeMs !== undefined)
    words.push(patch.slowModeMs > 0 ? `Slow mode: one message every ${waitWords(patch.slowModeMs)}.` : 'Slow mode is off.')
  return words
}
