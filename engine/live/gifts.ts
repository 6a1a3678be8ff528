/**
 * Gifts: a gift exists if and only if its transfer is in the ledger.
 *
 *     gift.send -> checks here -> guards -> charge (a price, from which accounts, split how) -> ledger -> gift.sent, answer
 *
 * The charge decides and never posts; the ledger posts and never decides. Until the hand-over to the ledger a refusal means that no coin
 * has moved; after it the only answers are done, refused by the ledger, and `billing.unavailable`, which asks for the same command with
 * the same key: the ledger then answers what became of the first.
 *
 * `gift.sent` is made from the row of the journal, in the journal's order. A room remembers how far it has come (`giftPos`, saved with
 * the log row of the event); after a crash it goes on from there: rows younger than 60 s are shown, marked as replayed, older ones only
 * count. Combos and boards are derived from the same rows and hold no money.
 */
import { createHash } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { ErrorCode } from '../../schemas/errors.ts'
import { type CommandInput, type CommandReply, type EventData, GiftItem, type PersonShape } from '../../schemas/messages.ts'
import { subjects } from '../../schemas/subjects.ts'
import { KeyedBuckets } from '../base/bucket.ts'
import { accounts } from '../ledger/accounts.ts'
import type { Charge, JournalRow, LedgerResult } from '../ledger/ops.ts'
import type { ChargeAnswer, PostingTemplate } from '../plugin/hooks.ts'
import { type Call, refuse, type UserEventHead } from '../room/call.ts'
import type { Chore, Home } from '../room/home.ts'
import type { Billing } from './billing.ts'
import { type BoardName, Boards } from './boards.ts'
import { type ComboState, Combos } from './combo.ts'

/** What the event of a gift holds before the room adds its combo: this is what the journal keeps. */
type GiftRow = Omit<EventData<'gift.sent'>, 'comboId' | 'comboCount' | 'comboExpireAt' | 'replayed' | 'collapsed'> & {
  comboId?: string
  comboable: boolean
  comboTimeoutMs: number
}

type Catalogue = CommandReply<'gift.list'>
const catalogueCheck = TypeCompiler.Compile(
  Type.Object({
    items: Type.Array(GiftItem, { maxItems: 1_000 }),
    version: Type.String({ maxLength: 64 }),
    ownerId: Type.String(),
  }),
)

const replayMsMax = 60_000
const pageRows = 500
const topRows = 10
const rankEveryMs = 2_000
const combosMax = 10_000
const sendersMax = 50_000
const foldAgainMs = 1_000
const underWayMax = 10_000

export class Gifts implements Chore {
  readonly #home: Home
  readonly #billing: Billing | undefined
  readonly #combos = new Combos(combosMax)
  #boards: Boards
  /** Gifts between their checks and their answer. */
  #underWay = 0
  readonly #senders = new KeyedBuckets(sendersMax)
  /** Everything of the journal up to here has been applied. */
  #pos: number
  #folded: Promise<void> | undefined
  #rankAt = 0
  /** Names for the end of a combo: the rules know ids alone. */
  readonly #people = new Map<string, { from: PersonShape; to: PersonShape }>()
  #catalogue: Catalogue = { items: [], version: '' }
  /** Combos whose large total was shown to other rooms already. */
  readonly #bannered = new Set<string>()

  constructor(home: Home, billing: Billing | undefined) {
    this.#home = home
    this.#billing = billing
    this.#pos = home.giftPos
    this.#boards = this.#newBoards()
    if (billing) this.#look(() => this.#foldAll(billing))
  }

  #newBoards(): Boards {
    const home = this.#home
    const boards = new Boards(home.parts.config.boardOffsetMinutes)
    boards.turn(home.now())
    boards.live(home.info.liveId)
    return boards
  }

  // ------------------------------------------------------------------ sending

  send(call: Call): void {
    const d = call.d as CommandInput<'gift.send'>
    const home = this.#home
    const to = d.to ?? home.info.ownerId
    const code = this.#checkRoom(call, to)
    if (code) return refuse(call, code)
    const waitMs = this.#spend(call)
    if (waitMs > 0) return refuse(call, 'rate.limited', { retryAfterMs: waitMs })
    const billing = this.#billing
    if (!billing) return refuse(call, 'billing.unavailable', { retryAfterMs: 5_000 })
    const asked = { ...d, to, count: d.count ?? 1 }
    home.guarded(call, asked, (ruled) => {
      const again = this.#checkRoom(ruled, to)
      if (again) return refuse(ruled, again)
      // They pile up when the price or the ledger is slow; past the bound nothing has been asked yet.
      if (this.#underWay >= underWayMax) return refuse(ruled, 'billing.unavailable', { retryAfterMs: 1_000 })
      this.#underWay++
      const given = this.#give(billing, ruled, asked).finally(() => this.#underWay--)
      home.later(ruled, given, () => {})
    })
  }

  #checkRoom(call: Call, to: string): ErrorCode | undefined {
    const { info, settings } = this.#home
    if (call.ik === undefined) return 'idem.key_required'
    if (info.state !== 'open') return 'room.closed'
    if (!settings.gift) return 'room.gift_disabled'
    if (to !== info.ownerId || to === call.actor.userId) return 'gift.bad_receiver'
    return undefined
  }

  #spend({ actor, at }: Call): number {
    const perS = this.#home.parts.config.giftsPerUserPerSMax
    return this.#senders.take(actor.userId, at, { perS, burst: perS })
  }

  async #give(billing: Billing, call: Call, d: { giftId: string; to: string; count: number; comboId?: string }): Promise<void> {
    await this.#folded
    const { ownerId } = this.#home.info
    const ask = { ...this.#home.ask(call, { ...d, ownerId }), ...(call.ik === undefined ? {} : { ik: call.ik }) }
    const answer = await billing.charge('gift.send', ask)
    if (answer.kind === 'deny') return this.#deny(call, answer)
    const op = this.#op(call, d, answer.template)
    if (!op) {
      this.#home.parts.onError(new Error('the charge names accounts that are not of this gift'), this.#home.id)
      return refuse(call, 'billing.unavailable', { retryAfterMs: 5_000 })
    }
    let result: LedgerResult
    try {
      result = await billing.submit(op)
    } catch (error) {
      this.#home.parts.onError(error, this.#home.id)
      // It may be on disk all the same: look before anything later is shown.
      this.#look(() => this.#catchUp(billing))
      return refuse(call, 'billing.unavailable', { retryAfterMs: 1_000 })
    }
    await this.#folded
    this.#settled(billing, call, op, result)
  }

  #deny(call: Call, { code, msg }: Extract<ChargeAnswer, { kind: 'deny' }>): void {
    // Nobody to ask is not the viewer's fault, and no coin has moved.
    if (code === 'plugin.unavailable') return refuse(call, 'billing.unavailable', { retryAfterMs: 1_000 })
    refuse(call, code as ErrorCode, msg === undefined ? {} : { msg })
  }

  /** Undefined when the template names accounts of others: the payer pays, and the receiver and a guild earn. */
  #op(
    call: Call,
    d: { giftId: string; to: string; count: number; comboId?: string },
    template: PostingTemplate,
  ): Charge | undefined {
    const { actor, at, ik } = call
    const home = this.#home
    const own = [accounts.bonusCoins(actor.userId), accounts.paidCoins(actor.userId)]
    if (!template.payFrom.every((account) => own.includes(account))) return undefined
    const shares = { streamerBps: 0, guildBps: 0 }
    let guild: string | undefined
    for (const { to, bps } of template.split) {
      const [kind, id] = to.split(':')
      if (kind === 'streamer' && id === d.to) shares.streamerBps += bps
      else if (kind === 'guild' && id !== undefined && (guild === undefined || guild === id)) {
        guild = id
        shares.guildBps += bps
      } else return undefined
    }
    const { unitCoin, name, effectId, comboable, comboTimeoutMs } = template.show
    if (unitCoin * d.count !== template.valueCoin) return undefined
    const row: Omit<GiftRow, 'txId'> = {
      from: { id: actor.userId, name: actor.name },
      to: { id: d.to, name: d.to === home.info.ownerId ? this.#ownerName() : d.to },
      giftId: d.giftId,
      name,
      count: d.count,
      unitCoin,
      valueCoin: template.valueCoin,
      ...(effectId === '' ? {} : { effectId }),
      ...(d.comboId === undefined ? {} : { comboId: d.comboId }),
      comboable,
      comboTimeoutMs,
    }
    return {
      op: 'charge',
      txId: home.newId(),
      at,
      action: 'gift',
      origin: { actor: actor.userId, command: 'gift.send', ik, bodyHash: bodyHash(home.id, d) },
      roomId: home.id,
      liveId: home.info.liveId,
      event: { t: 'gift.sent', d: row },
      value: BigInt(template.valueCoin),
      payFrom: template.payFrom,
      sink: accounts.spentOnGifts,
      terms: { ...shares, paidBps: 10_000, bonusBps: 0 },
      streamer: accounts.streamerBeans(d.to),
      guild: guild === undefined ? undefined : accounts.guildBeans(guild),
      contractVersion: template.contractVersion,
      catalogVersion: template.catalogVersion,
    }
  }

  /** The owner's name is known to the room only while they are in it. */
  #ownerName(): string {
    return this.#home.info.ownerId
  }

  #settled(billing: Billing, call: Call, op: Charge, result: LedgerResult): void {
    if (!result.ok) {
      const { code } = result
      if (code === 'wallet.insufficient' || code === 'idem.conflict') return refuse(call, code)
      this.#home.parts.onError(new Error(`${code}: ${result.msg}`), this.#home.id)
      return refuse(call, 'billing.unavailable', { retryAfterMs: 1_000 })
    }
    const { txId, pos, reply, replayed } = result
    if (replayed) return call.answer({ ok: true, d: { ...reply, txId }, replayed: true })
    if (pos <= this.#pos) return call.answer({ ok: true, d: { ...reply, txId } }) // applied while this answer was on its way
    const combo = this.#apply(
      { pos, txId, at: op.at, liveId: op.liveId, d: { ...op.event?.d, txId } as GiftRow },
      { isReplay: false },
    )
    const shown = combo ? { comboId: combo.comboId, comboCount: combo.comboCount } : {}
    call.answer({ ok: true, d: { ...reply, txId, ...shown } })
    void this.#tellWallet(billing, call.actor.userId)
  }

  async #tellWallet(billing: Billing, userId: string): Promise<void> {
    try {
      const { paid, bonus } = await billing.wallet(userId)
      const d = { coinPaid: Number(paid), coinBonus: Number(bonus), reason: 'gift' }
      const head: UserEventHead = { t: 'wallet.changed', at: this.#home.now(), d }
      this.#home.parts.bus.publish(subjects.userEvents(userId), { head })
    } catch (error) {
      this.#home.parts.onError(error, `wallet of ${userId}`)
    }
  }

  // ------------------------------------------------------------------ from the journal

  /** Read the journal, after whatever is read already, and until it has worked: gifts wait for it, danmaku do not. */
  #look(read: () => Promise<void>): void {
    const looking = (this.#folded ?? Promise.resolve()).then(() => this.#persist(read))
    this.#folded = looking
    void looking.then(() => {
      if (this.#folded === looking) this.#folded = undefined
    })
  }

  async #persist(read: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await read()
      } catch (error) {
        this.#home.parts.onError(error, this.#home.id)
        await new Promise<void>((resolve) => this.#home.parts.clock.after(foldAgainMs, resolve))
      }
    }
  }

  /** At the start of a home: boards are made of all there ever was; what the room has not seen yet is applied. */
  async #foldAll(billing: Billing): Promise<void> {
    this.#boards = this.#newBoards() // a try that failed halfway has counted some already
    for (let pos = 0; ; ) {
      const rows = await billing.roomRows(this.#home.id, pos, pageRows)
      for (const row of rows) this.#foldRow(row)
      const last = rows.at(-1)
      if (!last) return
      pos = last.pos
    }
  }

  /** After an answer of the ledger was lost. */
  async #catchUp(billing: Billing): Promise<void> {
    for (;;) {
      const rows = await billing.roomRows(this.#home.id, this.#pos, pageRows)
      if (rows.length === 0) return
      for (const row of rows) {
        this.#foldRow(row)
        this.#pos = Math.max(this.#pos, row.pos)
      }
    }
  }

  /** What the room has applied before is only counted. */
  #foldRow(row: JournalRow): void {
    const { pos, txId, at, liveId, event } = row
    if (event?.t !== 'gift.sent') return
    const d = { ...event.d, txId } as unknown as GiftRow
    if (pos > this.#pos) this.#apply({ pos, txId, at, liveId, d }, { isReplay: true })
    else this.#count({ pos, at, liveId, d })
  }

  #count({ pos, at, liveId, d }: { pos: number; at: number; liveId: string | undefined; d: GiftRow }): void {
    this.#boards.add({ member: d.from.id, name: d.from.name, coin: BigInt(d.valueCoin), at, pos, liveId })
  }

  #apply(
    row: { pos: number; txId: string; at: number; liveId: string | undefined; d: GiftRow },
    { isReplay }: { isReplay: boolean },
  ): ComboState | undefined {
    const home = this.#home
    this.#pos = row.pos
    this.#boards.turn(home.now())
    this.#boards.live(home.info.liveId)
    this.#count(row)
    home.rearm()
    if (isReplay && home.now() - row.at > replayMsMax) {
      home.saveGiftPos(row.pos)
      return undefined
    }
    const { comboable, comboTimeoutMs, comboId, ...shown } = row.d
    const combo = comboable ? this.#combo(row, comboTimeoutMs, comboId) : undefined
    const d: EventData<'gift.sent'> = {
      ...shown,
      ...(combo ? { comboId: combo.comboId, comboCount: combo.comboCount, comboExpireAt: combo.expiresAt } : {}),
      ...(isReplay ? { replayed: true } : {}),
    }
    const { from } = row.d
    home.decide(home.event('gift.sent', d, { eid: row.txId, at: row.at, actor: from.id, from: from.id, giftPos: row.pos }))
    if (!isReplay) this.#banner(row.d, combo)
    return combo
  }

  #combo({ at, d }: { at: number; d: GiftRow }, timeoutMs: number, comboId: string | undefined): ComboState {
    const { combo, ended } = this.#combos.sent({
      from: d.from.id,
      to: d.to.id,
      giftId: d.giftId,
      count: d.count,
      comboId,
      valueCoin: BigInt(d.valueCoin),
      at,
      timeoutMs,
      newId: () => this.#home.newId(),
    })
    this.#people.set(combo.comboId, { from: d.from, to: d.to })
    for (const one of ended) this.#end(one)
    return combo
  }

  #end({ comboId, from, to, giftId, comboCount, totalCount, totalCoin }: ComboState): void {
    const people = this.#people.get(comboId) ?? { from: { id: from, name: from }, to: { id: to, name: to } }
    this.#people.delete(comboId)
    this.#bannered.delete(comboId)
    const d = { comboId, ...people, giftId, comboCount, totalCount, totalCoin: Number(totalCoin) }
    this.#home.decide(this.#home.event('gift.combo_ended', d, { actor: from }))
  }

  /** A gift, or a combo when its total crosses the line: once, in every other open room. */
  #banner(d: GiftRow, combo: ComboState | undefined): void {
    const { worldBannerCoin } = this.#home.parts.config
    const total = combo ? combo.totalCoin : BigInt(d.valueCoin)
    if (worldBannerCoin === 0 || total < BigInt(worldBannerCoin)) return
    if (combo && this.#bannered.has(combo.comboId)) return
    if (combo) this.#bannered.add(combo.comboId)
    const { from, to, giftId, name } = d
    const banner: EventData<'world.gift_banner'> = { roomId: this.#home.id, from, to, giftId, name, valueCoin: Number(total) }
    this.#home.parts.bus.publish(subjects.worldBanner, { head: banner })
  }

  /** Of another room. */
  showBanner(d: EventData<'world.gift_banner'>): void {
    if (this.#home.info.state === 'open' && d.roomId !== this.#home.id)
      this.#home.decide(this.#home.event('world.gift_banner', d, { actor: d.from.id }))
  }

  // ------------------------------------------------------------------ the catalogue

  /** What is offered here now, as the plugin of the catalogue has it; when that does not answer, what it said last. */
  list(call: Call): void {
    const home = this.#home
    const empty = { items: [], version: '', ownerId: home.info.ownerId }
    const listed = home.parts.transforms.run('gift.list', home.ask(call, empty), (known, patch) => {
      const next = { ...known, ...patch }
      return catalogueCheck.Check(next) ? next : undefined
    })
    const answer = ({ items, version }: Catalogue) => {
      if (version !== '') this.#catalogue = { items, version }
      call.answer({ ok: true, d: this.#catalogue })
    }
    if (listed instanceof Promise) home.later(call, listed, answer)
    else answer(listed)
  }

  // ------------------------------------------------------------------ boards and combos over time

  rank(call: Call): void {
    const { board, limit = topRows } = call.d as CommandInput<'rank.get'>
    this.#turn()
    const standing = this.#boards.standing(board as BoardName, call.actor.userId)
    call.answer({ ok: true, d: { rows: this.#boards.rows(board as BoardName, limit), ...standing } })
  }

  #turn(): void {
    this.#boards.turn(this.#home.now())
    this.#boards.live(this.#home.info.liveId)
  }

  dueAt(): number | undefined {
    const combo = this.#combos.nextEndAt()
    const rank = this.#boards.isChanged ? this.#rankAt : undefined
    if (combo === undefined || rank === undefined) return combo ?? rank
    return Math.min(combo, rank)
  }

  run(now: number): void {
    for (const combo of this.#combos.ended(now)) this.#end(combo)
    if (!this.#boards.isChanged || this.#rankAt > now) return
    this.#rankAt = now + rankEveryMs
    this.#turn()
    for (const changed of this.#boards.takeChanged(topRows)) this.#home.decide(this.#home.event('rank.changed', changed))
  }
}

const bodyHash = (
  roomId: string,
  { giftId, to, count, comboId }: { giftId: string; to: string; count: number; comboId?: string },
) =>
  createHash('sha256')
    .update(JSON.stringify([roomId, giftId, to, count, comboId ?? null]))
    .digest('base64url')
