/**
 * The gift catalogue: what can be given, at what price, and where. Pure rules; `plugin.ts` keeps the items in its tables.
 *
 * A change of the catalogue is a new version. A send is priced by the version in force when it is asked for and carries that version, so
 * a later change never touches it.
 *
 *     const problem = itemProblem(item)                            // undefined when it can be sold
 *     const { item } = catalogue.offer('rose', { ownerId, roomId, at })      // or { code: 'gift.not_available' }
 */
import { levelMax } from './levels.ts'

export interface GiftItem {
  /** `[A-Za-z0-9_-]{1,64}`. */
  id: string
  name: string
  /** Of one unit, whole coins, 1 to 1,000,000. */
  priceCoin: number
  kind: 'normal' | 'effect'
  comboable: boolean
  /** 500 to 10,000. */
  comboTimeoutMs: number
  effectId: string
  tags: readonly string[]
  /** Most units of one send, 1 to 1,314. */
  countMax: number
  /** Streamers in whose rooms alone it is offered; empty: in all. */
  streamerIds: readonly string[]
  /** Rooms in which alone it is offered; empty: in all of those streamers. */
  roomIds: readonly string[]
  /** Of the giver, at least; 0: anybody. It is listed for all. */
  minLevel: number
  /** Epoch ms, half-open; 0: without end on that side. */
  fromAt: number
  toAt: number
  /** Not offered any more; past sends keep it. */
  retired: boolean
}

export const giftDefaults: Omit<GiftItem, 'id' | 'name' | 'priceCoin'> = {
  kind: 'normal',
  comboable: true,
  comboTimeoutMs: 3_000,
  effectId: '',
  tags: [],
  countMax: 1_314,
  streamerIds: [],
  roomIds: [],
  minLevel: 0,
  fromAt: 0,
  toAt: 0,
  retired: false,
}

/** What a new engine offers until an operator changes it. */
export const firstGifts: readonly GiftItem[] = [
  { ...giftDefaults, id: 'heart', name: 'Heart', priceCoin: 1 },
  { ...giftDefaults, id: 'rose', name: 'Rose', priceCoin: 10 },
  { ...giftDefaults, id: 'drink', name: 'Bubble tea', priceCoin: 30 },
  { ...giftDefaults, id: 'lantern', name: 'Lantern', priceCoin: 100 },
  { ...giftDefaults, id: 'fireworks', name: 'Fireworks', priceCoin: 1_000, kind: 'effect', effectId: 'fireworks' },
  { ...giftDefaults, id: 'rocket', name: 'Rocket', priceCoin: 10_000, kind: 'effect', effectId: 'rocket', comboable: false },
]

const idPattern = /^[A-Za-z0-9_-]{1,64}$/
const itemsMax = 1_000
const scopeIdsMax = 100
const isInstant = (value: number) => Number.isSafeInteger(value) && value >= 0
const priceMax = 1_000_000

/** What an operator changes of a gift, or a new one: fields that are none, or of a wrong type, are named. */
export function changedItem(id: string, known: GiftItem | undefined, change: unknown): GiftItem | string {
  const item: GiftItem = { ...giftDefaults, name: '', priceCoin: 0, ...known, id }
  if (typeof change !== 'object' || change === null || Array.isArray(change)) return 'the body must be an object'
  const fields = item as unknown as Record<string, unknown>
  for (const [name, value] of Object.entries(change)) {
    // What was read is sent back changed.
    if (name === 'id' && value === id) continue
    if (name === 'id' || !Object.hasOwn(item, name))
      return `${name.slice(0, 64)}: a gift has no such field, or it is not changed here`
    if (Array.isArray(fields[name]) ? !isTexts(value) : typeof value !== typeof fields[name]) return `${name}: has a wrong type`
    fields[name] = value
  }
  return itemProblem(item) ?? item
}
/** What stands in front of everybody: nothing that turns a line around, breaks it, or cannot be written. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const unshowable = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/
const isShown = (text: string, charactersMax: number): boolean =>
  text.trim().length > 0 && text.length <= charactersMax && text.isWellFormed() && !unshowable.test(text)
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((one) => typeof one === 'string')

/** Why it cannot be sold, with the field; undefined when it can. */
export function itemProblem(item: GiftItem): string | undefined {
  const whole = (value: number, min: number, max: number) => Number.isInteger(value) && value >= min && value <= max
  if (!idPattern.test(item.id)) return 'id: 1 to 64 letters, digits, _ and -'
  if (!isShown(item.name, 64)) return 'name: 1 to 64 characters that can be shown'
  if (!whole(item.priceCoin, 1, priceMax)) return `priceCoin: a whole number from 1 to ${priceMax}`
  if (!whole(item.countMax, 1, 1_314)) return 'countMax: a whole number from 1 to 1314'
  if (!whole(item.comboTimeoutMs, 500, 10_000)) return 'comboTimeoutMs: a whole number from 500 to 10000'
  if (item.kind !== 'normal' && item.kind !== 'effect') return 'kind: normal or effect'
  if (item.tags.length > 10 || item.tags.some((tag) => !isShown(tag, 32)))
    return 'tags: at most 10 of 1 to 32 characters that can be shown'
  for (const scope of ['streamerIds', 'roomIds'] as const)
    if (item[scope].length > scopeIdsMax || !item[scope].every((id) => idPattern.test(id)))
      return `${scope}: at most ${scopeIdsMax} ids`
  if (!whole(item.minLevel, 0, levelMax)) return `minLevel: a whole number from 0 to ${levelMax}`
  if (!isInstant(item.fromAt) || !isInstant(item.toAt)) return 'fromAt, toAt: epoch milliseconds'
  if (item.effectId !== '' && !idPattern.test(item.effectId)) return 'effectId: 1 to 64 letters, digits, _ and -, or empty'
  if (item.toAt !== 0 && item.toAt <= item.fromAt) return 'toAt: must be after fromAt, or 0'
  return undefined
}

export interface Place {
  /** The owner of the room. */
  ownerId: string
  roomId: string
  at: number
}
export type Offer = { item: GiftItem; version: number } | { code: 'gift.not_available' }

export class Catalogue {
  readonly #items = new Map<string, GiftItem>()
  version = 0

  /** All of it anew, as it stands in the tables. */
  load(items: Iterable<GiftItem>, version: number): void {
    this.#items.clear()
    // One from before a field was there is without it.
    for (const item of items) this.#items.set(item.id, { ...giftDefaults, ...item })
    this.version = version
  }

  get isFull(): boolean {
    return this.#items.size >= itemsMax
  }

  has(id: string): boolean {
    return this.#items.has(id)
  }

  get(id: string): GiftItem | undefined {
    return this.#items.get(id)
  }

  all(): GiftItem[] {
    return [...this.#items.values()]
  }

  offer(giftId: string, place: Place): Offer {
    const item = this.#items.get(giftId)
    return item && isOffered(item, place) ? { item, version: this.version } : { code: 'gift.not_available' }
  }

  /** Cheapest first: how a panel shows them. */
  list(place: Place): GiftItem[] {
    return this.all()
      .filter((item) => isOffered(item, place))
      .sort((a, b) => a.priceCoin - b.priceCoin || (a.id < b.id ? -1 : 1))
  }
}

function isOffered({ retired, streamerIds, roomIds, fromAt, toAt }: GiftItem, { ownerId, roomId, at }: Place): boolean {
  if (retired || at < fromAt || (toAt !== 0 && at >= toAt)) return false
  const isIn = (ids: readonly string[], id: string) => ids.length === 0 || ids.includes(id)
  return isIn(streamerIds, ownerId) && isIn(roomIds, roomId)
}
