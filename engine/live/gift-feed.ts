/**
 * Gifts from the journal of the ledger into the room: boards, combos, `gift.sent`, the banner in other rooms.
 *
 *     a row of the journal -> boards -> combo -> gift.sent in the room's order, with the row's place in the journal
 *
 * Rows come one by one from the answers to sends (`apply`), and in pages when the room starts or an answer was lost (`readOn`). The room
 * remembers which row it showed last (`pos`, saved with the log row of the event), the boards which they counted last, and what they have
 * had is passed over. After a crash rows younger than 60 s are shown, marked as replayed; older ones only count.
 *
 * No row may be passed over for good. What the home before this one handed to the ledger, or what got no answer here, can still be on its
 * way there: `settle` takes a place in the ledger's queue behind it and before the next gift of this home, and reads on when its turn has
 * come. The gift behind it waits for that with its answer.
 *
 * While pages are read gifts wait for `ready`; danmaku do not.
 */
import type { EventData, PersonShape } from '../../schemas/messages.ts'
import { subjects } from '../../schemas/subjects.ts'
import type { JournalRow } from '../ledger/ops.ts'
import type { Home } from '../room/home.ts'
import type { Billing } from './billing.ts'
import { BoardKeeper } from './board-keeper.ts'
import { type ComboState, Combos } from './combo.ts'

/** What the event of a gift holds before the room adds its combo: this is what the journal keeps. */
export type GiftRow = Omit<
  EventData<'gift.sent'>,
  'comboId' | 'comboCount' | 'comboExpireAt' | 'replayed' | 'collapsed' | 'senders'
> & {
  comboId?: string
  comboable: boolean
  comboTimeoutMs: number
}
export interface PostedGift {
  pos: number
  txId: string
  at: number
  liveId: string | undefined
  d: GiftRow
}

/** Of a running combo. Not its id: clients choose that, and two of them may choose the same. */
const keyOf = ({ from, to, giftId, count }: ComboState): string => `${from} ${to} ${giftId} ${count}`

const replayMsMax = 60_000
/** Counting a row takes some 10 us, and nobody else's turn comes before the page is done. */
const pageRows = 200
const combosMax = 10_000
const againMs = 1_000

export class GiftFeed {
  readonly boards: BoardKeeper
  readonly #home: Home
  readonly #billing: Billing | undefined
  readonly #combos = new Combos(combosMax)
  /** Everything of the journal up to here has been shown, or was too old for it. */
  #pos: number
  #reading: Promise<void> | undefined
  /** The ledger may still write what somebody else handed over, and nobody has asked to be told. */
  #isUnsettled = true
  #settling: Promise<unknown> | undefined
  /** While it is set the room stays in memory. */
  #settleAt: number | undefined
  /** Names for the end of a combo: the rules know ids alone. */
  readonly #people = new Map<string, { from: PersonShape; to: PersonShape }>()
  /** Combos whose large total was shown to other rooms already. */
  readonly #bannered = new Set<string>()

  constructor(home: Home, billing: Billing | undefined) {
    this.#home = home
    this.#billing = billing
    this.#pos = home.giftPos
    this.boards = new BoardKeeper(home, () => this.readOn())
    this.readOn()
    this.settle()
  }

  /** Of the journal: shown up to here. */
  get pos(): number {
    return this.#pos
  }

  /** Undefined when nothing of the journal is waited for. */
  get ready(): Promise<void> | undefined {
    return this.#reading
  }

  // ------------------------------------------------------------------ what may still come

  /** An answer was lost: it may be on disk all the same, or get there. */
  lost(): void {
    this.readOn()
    this.#isUnsettled = true
    this.#settleLater()
  }

  /** Before a gift goes to the ledger. */
  settle(): void {
    const billing = this.#billing
    if (!this.#isUnsettled || !billing) return
    this.#isUnsettled = false
    this.#settleLater()
    const settling = Promise.all([this.#settling, this.#settled(billing)])
    this.#settling = settling
    void settling.then(() => {
      if (this.#settling === settling) this.#settling = undefined
      if (!this.#settling && !this.#isUnsettled) this.#settleAt = undefined
    })
  }

  /** Undefined: nothing that comes before the answer of a gift is waited for. */
  get settling(): Promise<unknown> | undefined {
    return this.#settling
  }

  async #settled(billing: Billing): Promise<void> {
    let pos: number
    try {
      pos = await billing.settled()
    } catch {
      // Closed, which the ledger itself tells.
      this.#isUnsettled = true
      return this.#settleLater()
    }
    // What comes after it is ours, and is shown when its answer is here.
    this.readOn(pos)
    await this.#reading
  }

  #settleLater(): void {
    this.#settleAt = this.#home.now() + againMs
    this.#home.rearm()
  }

  // ------------------------------------------------------------------ in pages

  /** Read the journal, after what is being read already, up to `toPos`, and until it has worked. */
  readOn(toPos = Number.POSITIVE_INFINITY): void {
    const billing = this.#billing
    if (!billing) return
    const reading = (this.#reading ?? Promise.resolve()).then(() => this.#persist(billing, toPos))
    this.#reading = reading
    void reading.then(() => {
      if (this.#reading === reading) this.#reading = undefined
    })
  }

  async #persist(billing: Billing, toPos: number): Promise<void> {
    for (;;) {
      try {
        await this.boards.load((pos, txId) => this.#holds(billing, pos, txId))
        return await this.#readPages(billing, toPos)
      } catch (error) {
        this.#home.parts.onError(error, this.#home.id)
        await new Promise<void>((resolve) => this.#home.parts.clock.after(againMs, resolve))
      }
    }
  }

  /** Whether this is the journal that the boards were counted from. */
  async #holds(billing: Billing, pos: number, txId: string): Promise<boolean> {
    const [row] = await billing.roomRows(this.#home.id, pos - 1, 1)
    return row?.pos === pos && row.txId === txId
  }

  async #readPages(billing: Billing, toPos: number): Promise<void> {
    for (let pos = Math.min(this.boards.pos, this.#pos); pos < toPos; ) {
      const rows = await billing.roomRows(this.#home.id, pos, pageRows)
      const last = rows.at(-1)
      if (!last) return
      this.#takePage(toPos < last.pos ? rows.filter((row) => row.pos <= toPos) : rows)
      pos = last.pos
      // A long journal that is counted for the first time must not pile up in memory.
      if (this.boards.isSaving) await this.boards.save()
    }
  }

  #takePage(rows: readonly JournalRow[]): void {
    const { now, giftPos } = { now: this.#home.now(), giftPos: this.#pos }
    let isOld = false
    for (const { pos, txId, at, liveId, event } of rows) {
      if (event?.t !== 'gift.sent') continue
      const gift: PostedGift = { pos, txId, at, liveId, d: { ...event.d, txId } as unknown as GiftRow }
      this.#count(gift)
      if (pos <= giftPos) continue
      this.#pos = pos
      isOld = now - at > replayMsMax
      if (!isOld) this.#show(gift, { isReplay: true })
    }
    // What is shown brings its place in the journal along; nobody needs to look at what is too old again.
    if (isOld) this.#home.saveGiftPos(this.#pos)
  }

  // ------------------------------------------------------------------ one by one

  /** A gift whose answer has come. Undefined: it was shown while the answer was on its way. */
  apply(gift: PostedGift): { combo: ComboState | undefined } | undefined {
    if (gift.pos <= this.#pos) return undefined
    this.#pos = gift.pos
    this.#count(gift)
    const combo = this.#show(gift, { isReplay: false })
    this.#banner(gift.d, combo)
    return { combo }
  }

  #count({ pos, txId, at, liveId, d }: PostedGift): void {
    this.boards.add({ member: d.from.id, name: d.from.name, coin: BigInt(d.valueCoin), at, pos, txId, liveId })
    this.#home.rearm()
  }

  #show(gift: PostedGift, { isReplay }: { isReplay: boolean }): ComboState | undefined {
    const home = this.#home
    const { comboable, comboTimeoutMs, comboId, ...shown } = gift.d
    const combo = comboable ? this.#combo(gift, comboTimeoutMs, comboId) : undefined
    const d: EventData<'gift.sent'> = {
      ...shown,
      ...(combo ? { comboId: combo.comboId, comboCount: combo.comboCount, comboExpireAt: combo.expiresAt } : {}),
      ...(isReplay ? { replayed: true } : {}),
    }
    const { from } = gift.d
    home.decide(home.event('gift.sent', d, { eid: gift.txId, at: gift.at, actor: from.id, from: from.id, giftPos: gift.pos }))
    home.rearm()
    return combo
  }

  #combo({ at, d }: PostedGift, timeoutMs: number, comboId: string | undefined): ComboState {
    const { combo, ended } = this.#combos.sent({
      from: d.from.id,
      to: d.to.id,
      giftId: d.giftId,
      count: d.count,
      comboId,
      valueCoin: BigInt(d.valueCoin),
      // The clock of the home before this one may have been ahead: its combos do not last until then.
      at: Math.min(at, this.#home.now()),
      timeoutMs,
      newId: () => this.#home.newId(),
    })
    for (const one of ended) this.#end(one)
    this.#people.set(keyOf(combo), { from: d.from, to: d.to })
    return combo
  }

  #end(combo: ComboState): void {
    const { comboId, from, to, giftId, comboCount, totalCount, totalCoin } = combo
    const key = keyOf(combo)
    const people = this.#people.get(key) ?? { from: { id: from, name: from }, to: { id: to, name: to } }
    this.#people.delete(key)
    this.#bannered.delete(key)
    const d = { comboId, ...people, giftId, comboCount, totalCount, totalCoin: Number(totalCoin) }
    this.#home.decide(this.#home.event('gift.combo_ended', d, { actor: from }))
  }

  /** A gift, or a combo when its total crosses the line: once, in every other open room. */
  #banner(d: GiftRow, combo: ComboState | undefined): void {
    const { worldBannerCoin } = this.#home.parts.config
    const total = combo ? combo.totalCoin : BigInt(d.valueCoin)
    if (worldBannerCoin === 0 || total < BigInt(worldBannerCoin)) return
    if (combo && this.#bannered.has(keyOf(combo))) return
    if (combo) this.#bannered.add(keyOf(combo))
    const { from, to, giftId, name } = d
    const banner: EventData<'world.gift_banner'> = { roomId: this.#home.id, from, to, giftId, name, valueCoin: Number(total) }
    this.#home.parts.bus.publish(subjects.worldBanner, { head: banner })
  }

  // ------------------------------------------------------------------ over time

  dueAt(): number | undefined {
    const endAt = this.#combos.nextEndAt()
    if (this.#settleAt === undefined) return endAt
    return endAt === undefined ? this.#settleAt : Math.min(endAt, this.#settleAt)
  }

  run(now: number): void {
    if (this.#settleAt !== undefined && this.#settleAt <= now) {
      this.#settleAt = now + againMs
      this.settle()
    }
    for (const combo of this.#combos.ended(now)) this.#end(combo)
  }
}
