/**
 * Gifts: a gift exists if and only if its transfer is in the ledger.
 *
 *     gift.send -> checks here -> guards -> charge (a price, from which accounts, split how) -> ledger -> gift.sent, answer
 *
 * The charge decides and never posts; the ledger posts and never decides. Until the hand-over to the ledger a refusal means that no coin
 * has moved; after it the only answers are done, refused by the ledger, and `billing.unavailable`, which asks for the same command with
 * the same key: the ledger then answers what became of the first. For the same reason whatever refuses a gift before the ledger has it
 * looks for its key in the journal first: one that was posted is answered as it was then, though the room takes none any more, or its
 * sender is not let in.
 *
 * What is posted becomes an event, a combo and a place on the boards in `gift-feed.ts`, from the row of the journal and in its order.
 */
import { createHash } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import type { ErrorCode } from '../../schemas/errors.ts'
import { type CommandInput, type CommandReply, type EventData, GiftItem } from '../../schemas/messages.ts'
import { subjects } from '../../schemas/subjects.ts'
import { KeyedBuckets } from '../base/bucket.ts'
import { accounts } from '../ledger/accounts.ts'
import type { Charge, LedgerResult } from '../ledger/ops.ts'
import type { ChargeAnswer, PostingTemplate } from '../plugin/hooks.ts'
import { type Answer, type Call, refusal, refuse, type UserEventHead } from '../room/call.ts'
import type { Chore, Home } from '../room/home.ts'
import type { Billing } from './billing.ts'
import { type BoardName, rowOf } from './boards.ts'
import { GiftFeed, type GiftRow } from './gift-feed.ts'
import { limitRefusal, spendAt } from './spending.ts'

type Catalogue = CommandReply<'gift.list'>
const catalogueCheck = TypeCompiler.Compile(
  Type.Object({
    items: Type.Array(GiftItem, { maxItems: 1_000 }),
    version: Type.String({ maxLength: 64 }),
    ownerId: Type.String(),
  }),
)

interface AskedGift {
  giftId: string
  to: string
  count: number
  comboId?: string
}

const topRows = 10
const rankEveryMs = 2_000
/** Who asks for a board while it is being counted waits so long for all of it; the client waits for `requestTimeoutMs`. */
const rankWaitMs = 1_000
const sendersMax = 50_000
const underWayMax = 10_000
const askingMax = 1_000

export class Gifts implements Chore {
  readonly #home: Home
  readonly #billing: Billing | undefined
  readonly #feed: GiftFeed
  /** Gifts between their checks and their answer. */
  #underWay = 0
  readonly #senders = new KeyedBuckets(sendersMax)
  /** Who waits for the boards. */
  #asking = 0
  #rankAt = 0
  #catalogue: Catalogue = { items: [], version: '' }

  constructor(home: Home, billing: Billing | undefined) {
    this.#home = home
    this.#billing = billing
    this.#feed = new GiftFeed(home, billing)
  }

  // ------------------------------------------------------------------ sending

  send(call: Call): void {
    const d = call.d as CommandInput<'gift.send'>
    const home = this.#home
    const to = d.to ?? home.info.ownerId
    if (call.ik === undefined) return refuse(call, 'idem.key_required')
    const waitMs = this.#spend(call)
    if (waitMs > 0) {
      home.parts.meters.gifts.limited++
      return refuse(call, 'rate.limited', { retryAfterMs: waitMs })
    }
    const code = this.#checkRoom(call, to)
    const billing = this.#billing
    if (!billing) return code ? refuse(call, code) : refuse(call, 'billing.unavailable', { retryAfterMs: 5_000 })
    const asked = { ...d, to, count: d.count ?? 1 }
    const unposted = this.#unposted(billing, call, asked)
    if (code) return refuse(unposted, code)
    home.guarded(unposted, asked, (ruled) => {
      const again = this.#checkRoom(ruled, to)
      if (again) return refuse(ruled, again)
      // They pile up when the price or the ledger is slow; past the bound nothing has been asked yet.
      if (this.#underWay >= underWayMax) {
        home.parts.meters.gifts.busy++
        return refuse(ruled, 'billing.unavailable', { retryAfterMs: 1_000 })
      }
      this.#underWay++
      const given = this.#give(billing, { ...ruled, answer: call.answer }, asked, ruled).finally(() => this.#underWay--)
      home.later(ruled, given, () => {})
    })
  }

  #checkRoom(call: Call, to: string): ErrorCode | undefined {
    const { info, settings } = this.#home
    if (call.session?.isOutside) return 'room.not_joined'
    if (info.state !== 'open') return 'room.closed'
    if (!settings.gift) return 'room.gift_disabled'
    if (to !== info.ownerId || to === call.actor.userId) return 'gift.bad_receiver'
    return undefined
  }

  #spend({ actor, at }: Call): number {
    const perS = this.#home.parts.config.giftsPerUserPerSMax
    return this.#senders.take(actor.userId, at, { perS, burst: perS })
  }

  /** The same call; a refusal of it is given only when the journal does not know its key. What asks to come again passes as it is. */
  #unposted(billing: Billing, call: Call, asked: AskedGift): Call {
    return {
      ...call,
      answer: (answer) => {
        if (answer.ok || answer.err.code === 'billing.unavailable') return call.answer(answer)
        this.#home.later(call, this.#posted(billing, call, asked), (posted) => call.answer(posted ?? answer))
      },
    }
  }

  /** How a gift with this key was answered when it was posted; undefined when none was. */
  async #posted(billing: Billing, { actor, ik = '' }: Call, asked: AskedGift): Promise<Answer | undefined> {
    try {
      // First whatever is at the ledger still, its answer lost: it may be there in a moment.
      await billing.settled()
      const row = await billing.rowByKey(actor.userId, 'gift.send', ik)
      if (!row) return undefined
      if (row.bodyHash !== bodyHash(this.#home.id, asked)) return refusal('idem.conflict')
      return { ok: true, d: { ...row.reply, txId: row.txId }, replayed: true }
    } catch (error) {
      this.#home.parts.onError(error, this.#home.id)
      return refusal('billing.unavailable', { retryAfterMs: 1_000 })
    }
  }

  /** `unposted`: the same call, for a refusal before the ledger has it. */
  async #give(billing: Billing, call: Call, d: AskedGift, unposted: Call): Promise<void> {
    await this.#feed.ready
    const { ownerId } = this.#home.info
    const ask = { ...this.#home.ask(call, { ...d, ownerId }), ...(call.ik === undefined ? {} : { ik: call.ik }) }
    const answer = await billing.charge('gift.send', ask)
    if (answer.kind === 'deny') return this.#deny(unposted, answer)
    const op = this.#op(call, d, answer.template)
    if (!op) {
      this.#home.parts.onError(new Error('the charge names accounts that are not of this gift'), this.#home.id)
      return refuse(call, 'billing.unavailable', { retryAfterMs: 5_000 })
    }
    let result: LedgerResult
    this.#feed.settle()
    try {
      result = await billing.submit(op)
    } catch (error) {
      this.#home.parts.onError(error, this.#home.id)
      // It may be on disk all the same: look before anything later is shown.
      this.#home.parts.meters.gifts.unanswered++
      this.#feed.lost()
      return refuse(call, 'billing.unavailable', { retryAfterMs: 1_000 })
    }
    if (this.#feed.settling) await this.#feed.settling
    await this.#feed.ready
    this.#settled(billing, call, op, result)
  }

  #deny(call: Call, { code, msg }: Extract<ChargeAnswer, { kind: 'deny' }>): void {
    // Nobody to ask is not the viewer's fault, and no coin has moved.
    if (code === 'plugin.unavailable') return refuse(call, 'billing.unavailable', { retryAfterMs: 1_000 })
    refuse(call, code as ErrorCode, msg === undefined ? {} : { msg })
  }

  /** Undefined when the template names accounts of others: the payer pays, and the receiver and a guild earn. */
  #op(call: Call, d: AskedGift, template: PostingTemplate): Charge | undefined {
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
      to: { id: d.to, name: (d.to === home.info.ownerId ? home.ownerName : '') || d.to },
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
      ...(template.limits && { spend: spendAt(at, template.limits, home.parts.config.boardOffsetMinutes) }),
    }
  }

  #settled(billing: Billing, call: Call, op: Charge, result: LedgerResult): void {
    if (!result.ok) {
      const { code } = result
      if (code === 'limit.exceeded') return refuse(call, code, limitRefusal(result, this.#home.now()))
      if (code === 'wallet.insufficient' || code === 'wallet.frozen' || code === 'idem.conflict') return refuse(call, code)
      this.#home.parts.onError(new Error(`${code}: ${result.msg}`), this.#home.id)
      return refuse(call, 'billing.unavailable', { retryAfterMs: 1_000 })
    }
    const { txId, pos, reply, replayed } = result
    if (replayed) return call.answer({ ok: true, d: { ...reply, txId }, replayed: true })
    const d = { ...op.event?.d, txId } as GiftRow
    const combo = this.#feed.apply({ pos, txId, at: op.at, liveId: op.liveId, d })?.combo
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
    const { boards, ready } = this.#feed
    boards.turn()
    // Whoever opens the room by coming in asks before its boards are there.
    const counted = ready ?? (boards.isBehind ? boards.place() : undefined)
    if (!counted || this.#asking >= askingMax) return this.#rankNow(call)
    this.#asked(call, this.#inTime(counted), () => this.#rankNow(call))
  }

  async #inTime(counted: Promise<void>): Promise<void> {
    let stop = () => {}
    const late = new Promise<void>((resolve) => {
      const timer = this.#home.parts.clock.after(rankWaitMs, resolve)
      stop = () => timer.cancel()
    })
    await Promise.race([counted, late])
    stop()
  }

  #asked<T>(call: Call, answer: Promise<T>, then: (answer: T) => void): void {
    this.#asking++
    this.#home.later(
      call,
      answer.finally(() => this.#asking--),
      then,
    )
  }

  /** Gifts that were made are still being counted: what is told may grow. */
  #counting(): { counting?: true } {
    return this.#feed.ready || this.#feed.boards.isBehind ? { counting: true } : {}
  }

  #rankNow(call: Call): void {
    const { board, limit = topRows, window } = call.d as CommandInput<'rank.get'> & { board: BoardName }
    const { boards } = this.#feed
    const running = boards.windowOf(board)
    if (window !== undefined && window !== running) return this.#finishedRank(call, { board, limit, window })
    const { userId, anonymous } = call.actor
    const shown = { rows: boards.rows(board, limit), ...(running ? { window: running } : {}), ...this.#counting() }
    if (anonymous || !boards.isLeftOut(board, userId))
      return call.answer({ ok: true, d: { ...shown, ...boards.standing(board, userId) } })
    if (this.#asking >= askingMax) return refuse(call, 'rate.limited', { retryAfterMs: 1_000 })
    this.#asked(call, this.#orUnavailable(boards.standingOnDisk(board, userId)), (standing) =>
      call.answer({ ok: true, d: { ...shown, ...(standing === 'unavailable' ? { counting: true } : standing) } }),
    )
  }

  #orUnavailable<T>(read: Promise<T>): Promise<T | 'unavailable'> {
    return read.catch((error) => {
      this.#home.parts.onError(error, `${this.#home.id}: boards`)
      return 'unavailable'
    })
  }

  /** A window that is over: its first hundred are told, and to each of those their own place. */
  #finishedRank(call: Call, { board, limit, window }: { board: BoardName; limit: number; window: string }): void {
    if (board === 'total') return refuse(call, 'request.invalid', { d: { field: 'window' } })
    const asked = this.#feed.boards.finished(board, window)
    if (!asked) return refuse(call, 'rate.limited', { retryAfterMs: 1_000 })
    this.#home.later(call, this.#orUnavailable(asked), (scores) => {
      if (scores === 'unavailable') return refuse(call, 'server.store_unavailable', { retryAfterMs: 1_000 })
      const at = scores.findIndex(({ member }) => member === call.actor.userId)
      const own = scores[at]
      const standing = own ? { place: at + 1, scoreCoin: String(own.score) } : {}
      call.answer({ ok: true, d: { rows: scores.slice(0, limit).map(rowOf), ...standing, window, ...this.#counting() } })
    })
  }

  dueAt(): number | undefined {
    const rank = this.#feed.boards.isChanged ? this.#rankAt : undefined
    return earliest([this.#feed.dueAt(), this.#feed.boards.dueAt(), rank])
  }

  run(now: number): void {
    this.#feed.run(now)
    this.#feed.boards.run(now)
    if (!this.#feed.boards.isChanged || this.#rankAt > now) return
    this.#rankAt = now + rankEveryMs
    if (this.#feed.ready) return
    if (this.#feed.boards.isBehind) void this.#feed.boards.place().then(() => this.#tellRanks())
    else this.#tellRanks()
  }

  #tellRanks(): void {
    for (const changed of this.#feed.boards.takeChanged(topRows)) this.#home.decide(this.#home.event('rank.changed', changed))
  }

  finish(): void {
    this.#feed.boards.finish()
  }
}

function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined)
  return known.length > 0 ? Math.min(...known) : undefined
}

const bodyHash = (roomId: string, { giftId, to, count, comboId }: AskedGift) =>
  createHash('sha256')
    .update(JSON.stringify([roomId, giftId, to, count, comboId ?? null]))
    .digest('base64url')
