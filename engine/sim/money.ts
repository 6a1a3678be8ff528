/**
 * Money as an auditor sees it: what people asked, what they were told and what they saw, held against the file of the ledger, which is
 * read with SQL of this file's own.
 *
 * | | invariant | when |
 * |---|---|---|
 * | M1 | in each ledger debits are credits, and a balance is what its legs add up to | after every step |
 * | M2 | nothing is below zero that must not be, holds included | after every step |
 * | M3 | all coins made are in wallets, holds, escrows or spent | after every step |
 * | M4 | streamer, guild and platform have the income of a gift, by the contract and the price of then | for every row |
 * | M5 | what rooms showed in a live is what the sinks got with its id; no client saw another value | for every row and sight; at the end |
 * | M12 | a key is one gift, an answer to it is the same for ever, a wallet has what was recharged less its keys | for every answer; after every step |
 * | M13 | the boards of a room are those that its journal gives | at every quiet point |
 * | M14 | what was acknowledged or shown is on disk, once; what is on disk was shown, or was older than 60 s when a home came back | for every answer and sight; after every kill; at the end |
 */
import type { EventData } from '../../schemas/messages.ts'
import type { SimLedger } from './ledger.ts'
import type { Facts, Shop } from './shop.ts'

export interface Gift {
  pos: number
  txId: string
  at: number
  actor: string
  ik: string | null
  room: string
  liveId: string | null
  d: EventData<'gift.sent'>
}
interface Row {
  pos: number
  tx_id: string
  at: number
  action: string
  actor: string
  ik: string | null
  room_id: string | null
  live_id: string | null
  legs: string
  facts: string
  event: string | null
}
type Leg = [ledger: string, dr: string, cr: string, amount: number]
type Shares = Facts & Record<'value' | 'paid' | 'bonus' | 'income' | 'streamer' | 'guild' | 'platform', string>

export interface GiftAsk {
  userId: string
  room: string
  ik: string
  d: Record<string, unknown>
}
interface Key {
  bodies: Set<string>
  txId?: string
}

interface MoneyParts {
  ledger: SimLedger
  shop: Shop
  broken(invariant: string, detail: string): void
}

const sink = 'coin.spent.gift'
const notBelowZero = ['user.%', 'streamer.%', 'guild.%', 'escrow.%', 'coin.spent.%', 'plat.deferred', 'payable.%', 'tax.withheld']

export class Money {
  readonly counts = {
    asked: 0,
    acknowledged: 0,
    replayed: 0,
    refused: 0,
    conflicts: 0,
    seen: 0,
    recharges: 0,
    holds: 0,
    boards: 0,
  }
  /** By txId, in the order of the journal. */
  readonly gifts = new Map<string, Gift>()
  readonly #parts: MoneyParts
  readonly #keys = new Map<string, Key>()
  /** Of coins, paid and bonus together, by id: those that may come, and those that came. */
  readonly #recharges = new Map<string, { userId: string; coins: number }>()
  readonly #credited = new Map<string, { userId: string; coins: number }>()
  readonly #seen = new Set<string>()
  #pos = 0
  #legs = new Map<string, { debits: number; credits: number }>()
  /** What each live brought in, by the legs. */
  #lives = new Map<string, number>()
  #wallets = new Map<string, number>()
  #paidKeys = new Set<string>()
  #refunded = new Set<string>()

  constructor(parts: MoneyParts) {
    this.#parts = parts
  }

  // ------------------------------------------------------------------ what people do and are told

  asked({ userId, room, ik, d }: GiftAsk): void {
    this.counts.asked++
    // As it was written: a home takes a count of one and none for two bodies, the ledger for one.
    this.#keyOf(userId, ik).bodies.add(`${room} ${JSON.stringify(d)}`)
  }

  #keyOf(userId: string, ik: string): Key {
    const name = `${userId} ${ik}`
    const known = this.#keys.get(name) ?? { bodies: new Set() }
    this.#keys.set(name, known)
    return known
  }

  /** A key that this user has used, for who wants to use it again. */
  keysOf(userId: string): string[] {
    return [...this.#keys.keys()].filter((name) => name.startsWith(`${userId} `)).map((name) => name.slice(userId.length + 1))
  }

  acknowledged(ask: GiftAsk, reply: { txId: string; balanceCoin: number }, isReplay: boolean): void {
    const { userId, room, ik, d } = ask
    this.counts.acknowledged++
    if (isReplay) this.counts.replayed++
    const what = `${userId} ${ik} (${reply.txId})`
    const row = this.#rowOf(reply.txId)
    if (!row) return this.#parts.broken('M14', `${what} was acknowledged and is not on disk`)
    const given = eventOf(row)
    const body = { giftId: given.giftId, count: given.count }
    if (row.actor !== userId || row.ik !== ik) this.#parts.broken('M12', `${what} is the gift of ${row.actor} ${row.ik}`)
    if (row.room_id !== room || body.giftId !== d.giftId || body.count !== (d.count ?? 1))
      this.#parts.broken('M12', `${what}: ${bodyOf(room, d)} was answered with ${bodyOf(row.room_id ?? '', body)}`)
    if (reply.balanceCoin !== replyOf(row).balanceCoin) this.#parts.broken('M12', `${what}: the answer has changed`)
    const key = this.#keyOf(userId, ik)
    if (key.txId !== undefined && key.txId !== reply.txId) this.#parts.broken('M12', `${what} was ${key.txId} before`)
    key.txId = reply.txId
  }

  refused({ userId, ik }: GiftAsk, code: string): void {
    this.counts.refused++
    if (code !== 'idem.conflict') return
    this.counts.conflicts++
    if (this.#keyOf(userId, ik).bodies.size < 2) this.#parts.broken('M12', `${userId} ${ik} is a conflict with itself`)
  }

  recharging(txId: string, userId: string, coins: number): void {
    this.counts.recharges++
    this.#recharges.set(txId, { userId, coins })
  }

  /** A client was shown a gift. */
  saw(who: string, room: string, d: EventData<'gift.sent'>): void {
    this.counts.seen++
    const row = this.#rowOf(d.txId)
    if (!row) return this.#parts.broken('M14', `${who} saw ${d.txId}, which is not on disk`)
    this.#seen.add(d.txId)
    const kept = eventOf(row)
    const told = [room, d.from.id, d.to.id, d.giftId, d.count, d.unitCoin, d.valueCoin]
    const kept7 = [row.room_id, kept.from.id, kept.to.id, kept.giftId, kept.count, kept.unitCoin, kept.valueCoin]
    if (`${told}` !== `${kept7}`) this.#parts.broken('M5', `${who} saw ${d.txId} as ${told}, it is ${kept7}`)
  }

  #rowOf(txId: string): (Row & { reply: string }) | undefined {
    return this.#parts.ledger.rows<Row & { reply: string }>('SELECT * FROM journal WHERE tx_id = ?', txId)[0]
  }

  // ------------------------------------------------------------------ after every step

  checkStep(): void {
    const { ledger } = this.#parts
    for (const row of ledger.rows<Row>('SELECT * FROM journal WHERE pos > ? ORDER BY pos', this.#pos)) this.#take(row)
    this.#checkSums()
    this.#checkBelowZero()
    this.#checkCoins()
    this.#checkWallets()
  }

  #take(row: Row): void {
    if (row.pos !== this.#pos + 1) this.#parts.broken('M14', `row ${row.pos} of the journal follows ${this.#pos}`)
    this.#pos = row.pos
    const legs = JSON.parse(row.legs) as Leg[]
    for (const [, dr, cr, amount] of legs) {
      add(this.#legs, dr).debits += amount
      add(this.#legs, cr).credits += amount
    }
    if (row.action === 'gift') this.#takeGift(row, legs)
    if (row.action === 'recharge') this.#takeRecharge(row)
    if (row.action === 'refund') this.#takeRefund(row, legs)
  }

  #takeRecharge({ tx_id }: Row): void {
    const known = this.#recharges.get(tx_id)
    if (!known) return this.#parts.broken('M12', `recharge ${tx_id} is there and nobody, or somebody once, asked for it`)
    this.#recharges.delete(tx_id)
    this.#credited.set(tx_id, known)
    this.#wallets.set(known.userId, (this.#wallets.get(known.userId) ?? 0) + known.coins)
  }

  /** The exact reverse of its gift, once. */
  #takeRefund({ tx_id, live_id, event }: Row, legs: readonly Leg[]): void {
    const { giftTxId } = (JSON.parse(event ?? '{}') as { d: { giftTxId: string } }).d
    const gift = this.gifts.get(giftTxId)
    const coins = legs.reduce((sum, [, dr, , amount]) => sum + (dr === sink ? amount : 0), 0)
    if (!gift || gift.liveId !== live_id || coins !== gift.d.valueCoin || this.#refunded.has(giftTxId))
      return this.#parts.broken('M5', `${tx_id} gives back ${coins} of ${gift?.d.valueCoin}`)
    this.#refunded.add(giftTxId)
    this.#lives.set(live_id ?? '', (this.#lives.get(live_id ?? '') ?? 0) - coins)
    this.#wallets.set(gift.actor, (this.#wallets.get(gift.actor) ?? 0) + coins)
  }

  #takeGift(row: Row, legs: readonly Leg[]): void {
    const { pos, tx_id: txId, at, actor, ik, room_id, live_id: liveId } = row
    const d = eventOf(row)
    const shares = JSON.parse(row.facts) as Shares
    const sums = sumsOf(legs, d.to.id)
    this.gifts.set(txId, { pos, txId, at, actor, ik, room: room_id ?? '', liveId, d })
    const fault =
      this.#parts.shop.faultOf({ giftId: d.giftId, unitCoin: d.unitCoin, to: d.to.id }, shares) ?? shareFault(shares, sums)
    if (fault !== undefined) this.#parts.broken('M4', `${txId}: ${fault}`)
    if (sums.spent !== d.valueCoin || d.valueCoin !== d.count * d.unitCoin)
      this.#parts.broken('M5', `${txId} shows ${d.valueCoin} coins and took ${sums.spent}`)
    this.#lives.set(liveId ?? '', (this.#lives.get(liveId ?? '') ?? 0) + sums.spent)
    const key = `${actor} ${ik}`
    if (ik === null || !this.#keys.has(key)) this.#parts.broken('M12', `${txId} of ${actor} has the key ${ik}, which nobody sent`)
    if (this.#paidKeys.has(key)) this.#parts.broken('M12', `${key} is two gifts`)
    else this.#wallets.set(actor, (this.#wallets.get(actor) ?? 0) - d.valueCoin)
    this.#paidKeys.add(key)
  }

  #checkSums(): void {
    const { ledger, broken } = this.#parts
    const sql = 'SELECT ledger, sum(debits) AS debits, sum(credits) AS credits FROM balances_ GROUP BY ledger'
    for (const sum of ledger.rows<{ ledger: string; debits: number; credits: number }>(sql))
      if (sum.debits !== sum.credits) broken('M1', `${sum.ledger}: debits ${sum.debits}, credits ${sum.credits}`)
    const balances = ledger.rows<{ account: string; debits: number; credits: number }>('SELECT * FROM balances_')
    for (const { account, debits, credits } of balances) {
      const legs = this.#legs.get(account) ?? { debits: 0, credits: 0 }
      if (legs.debits !== debits || legs.credits !== credits)
        broken('M1', `${account} has ${debits} and ${credits}, its legs ${legs.debits} and ${legs.credits}`)
    }
  }

  #checkBelowZero(): void {
    const like = notBelowZero.map((pattern) => `account LIKE '${pattern}'`).join(' OR ')
    const sql = `SELECT account, credits - debits - pending_debits AS left FROM balances_ WHERE left < 0 AND (${like})`
    for (const { account, left } of this.#parts.ledger.rows<{ account: string; left: number }>(sql))
      this.#parts.broken('M2', `${account} has ${left} left`)
    const held = `SELECT sum(json_extract(leg.value, '$[3]')) AS held FROM holds, json_each(holds.legs) AS leg WHERE state = 'pending'`
    const set = 'SELECT sum(pending_debits) AS debits, sum(pending_credits) AS credits FROM balances_'
    const [hold] = this.#parts.ledger.rows<{ held: number | null }>(held)
    const [aside] = this.#parts.ledger.rows<{ debits: number; credits: number }>(set)
    if ((hold?.held ?? 0) !== (aside?.debits ?? 0) || aside?.debits !== aside?.credits)
      this.#parts.broken('M2', `${aside?.debits} and ${aside?.credits} are set aside, holds say ${hold?.held}`)
  }

  #checkCoins(): void {
    const sql = `SELECT sum(CASE WHEN account = 'coin.issued' THEN debits - credits ELSE 0 END) AS made,
      sum(CASE WHEN account LIKE 'user.%.coin.%' OR account LIKE 'escrow.%' OR account LIKE 'coin.spent.%'
        THEN credits - debits ELSE 0 END) AS placed FROM balances_ WHERE ledger = 'COIN'`
    const [coins] = this.#parts.ledger.rows<{ made: number; placed: number }>(sql)
    if (coins?.made !== coins?.placed) this.#parts.broken('M3', `${coins?.made} coins were made, ${coins?.placed} are somewhere`)
  }

  #checkWallets(): void {
    const sql = `SELECT substr(account, 6, instr(substr(account, 6), '.') - 1) AS userId, sum(credits - debits) AS coins
      FROM balances_ WHERE account LIKE 'user.%.coin.%' GROUP BY userId`
    for (const { userId, coins } of this.#parts.ledger.rows<{ userId: string; coins: number }>(sql)) {
      const due = this.#wallets.get(userId) ?? 0
      if (coins !== due) this.#parts.broken('M12', `${userId} has ${coins} coins; what was recharged less the gifts is ${due}`)
    }
  }

  // ------------------------------------------------------------------ after a kill, and at the end

  /** From the start, and everything that anybody was told or shown. */
  checkAll(): void {
    this.#pos = 0
    this.#legs.clear()
    this.#lives.clear()
    this.#paidKeys.clear()
    this.#refunded.clear()
    this.gifts.clear()
    // The next reading takes each of them once more.
    for (const [txId, one] of this.#credited) this.#recharges.set(txId, one)
    this.#wallets.clear()
    this.checkStep()
    for (const [key, { txId }] of this.#keys) {
      if (txId === undefined) continue
      const gift = this.gifts.get(txId)
      if (!gift) this.#parts.broken('M14', `${key} was acknowledged as ${txId} and is gone`)
      else if (`${gift.actor} ${gift.ik}` !== key)
        this.#parts.broken('M14', `${key} was acknowledged as the gift of ${gift.actor}`)
    }
    for (const txId of this.#seen) if (!this.gifts.has(txId)) this.#parts.broken('M14', `${txId} was shown and is gone`)
  }

  /** `shown`: gifts that rooms committed, by txId; `isAged`: of those that need not have been. */
  checkShown(shown: ReadonlyMap<string, EventData<'gift.sent'>>, isAged: (gift: Gift) => boolean): void {
    const lives = new Map<string, number>()
    for (const gift of this.gifts.values()) {
      const { txId, room, liveId } = gift
      const d = shown.get(txId)
      if (!d && !isAged(gift)) this.#parts.broken('M14', `${txId} of ${room} is paid and was never shown`)
      const coins = this.#refunded.has(txId) ? 0 : (d ?? gift.d).valueCoin
      lives.set(liveId ?? '', (lives.get(liveId ?? '') ?? 0) + coins)
    }
    for (const [liveId, spent] of this.#lives)
      if (lives.get(liveId) !== spent)
        this.#parts.broken('M5', `live ${liveId} showed ${lives.get(liveId)} coins, ${spent} were spent`)
    for (const txId of shown.keys())
      if (!this.gifts.has(txId)) this.#parts.broken('M14', `${txId} was committed and is not on disk`)
  }

  // ------------------------------------------------------------------ boards

  /** Best first: who gave how much, of the gifts that `isIn`; of two with the same sum who had it first. */
  board(room: string, isIn: (gift: Gift) => boolean): { id: string; coins: number }[] {
    const givers = new Map<string, { id: string; coins: number; pos: number }>()
    for (const gift of this.gifts.values()) {
      if (gift.room !== room || !isIn(gift)) continue
      const before = givers.get(gift.actor)?.coins ?? 0
      givers.set(gift.actor, { id: gift.actor, coins: before + gift.d.valueCoin, pos: gift.pos })
    }
    return [...givers.values()].sort((a, b) => b.coins - a.coins || a.pos - b.pos).map(({ id, coins }) => ({ id, coins }))
  }
}

function add(sums: Map<string, { debits: number; credits: number }>, account: string) {
  const sum = sums.get(account) ?? { debits: 0, credits: 0 }
  sums.set(account, sum)
  return sum
}

const bodyOf = (room: string, { giftId, count = 1, to = '', comboId = '' }: Record<string, unknown>): string =>
  [room, giftId, count, to, comboId].join('|')
const eventOf = ({ event }: Row) => (JSON.parse(event ?? '{}') as { d: EventData<'gift.sent'> }).d
const replyOf = ({ reply }: { reply: string }) => JSON.parse(reply) as { balanceCoin: number }

interface Sums {
  spent: number
  streamer: number
  guild: number
  others: number
}

function sumsOf(legs: readonly Leg[], to: string): Sums {
  const sums: Sums = { spent: 0, streamer: 0, guild: 0, others: 0 }
  for (const [, dr, cr, amount] of legs) {
    if (cr === sink) sums.spent += amount
    else if (dr === 'bean.issued' && cr === `streamer.${to}.bean.pending`) sums.streamer += amount
    else if (dr === 'bean.issued' && cr.startsWith('guild.')) sums.guild += amount
    else sums.others += amount
  }
  return sums
}

function shareFault(shares: Shares, sums: Sums): string | undefined {
  const [value, paid, income] = [Number(shares.value), Number(shares.paid), Number(shares.income)]
  const [streamer, guild, platform] = [Number(shares.streamer), Number(shares.guild), Number(shares.platform)]
  if (streamer + guild + platform !== income || income > value)
    return `${streamer} + ${guild} + ${platform}, income ${income} of ${value}`
  // Bonus coins bring no income, and shares are rounded down.
  const { streamerBps, guildBps } = shares.terms
  const due = [paid, Math.floor((paid * streamerBps) / 10_000), Math.floor((paid * guildBps) / 10_000)]
  if (`${due}` !== `${[income, streamer, guild]}`) return `shares of ${[income, streamer, guild]}, due are ${due}`
  const moved = [sums.spent, sums.streamer, sums.guild, sums.others]
  return `${moved}` === `${[value, streamer, guild, 0]}` ? undefined : `moved ${moved}, not ${[value, streamer, guild, 0]}`
}
