/** Gifts for the ledger's bench and crash runs: users with coins, streamers, guilds, and a charge as the gift path makes it. */
import { idSource, type Random, randomInt } from '../../engine/base/random.ts'
import type { Charge, Post } from '../../engine/ledger/ops.ts'

export const users = 10_000
const streamers = 100
const guilds = 10
const postTransfersMax = 64

export interface Gifts {
  /** Ops that give every user `coins`. */
  wallets(coins: bigint): Post[]
  next(nowMs: number): Charge
}

export function giftsFrom(random: Random): Gifts {
  const newId = idSource(random)
  return { wallets: (coins) => wallets(coins, newId), next: (nowMs) => gift(random, newId(nowMs), nowMs) }
}

function wallets(coins: bigint, newId: (nowMs: number) => string): Post[] {
  const accounts = Array.from({ length: users }, (_, n) => `user.u${n}.coin.paid`)
  const sets = Array.from({ length: Math.ceil(users / postTransfersMax) }, (_, n) =>
    accounts.slice(n * postTransfersMax, (n + 1) * postTransfersMax),
  )
  return sets.map((set) => ({
    op: 'post',
    txId: newId(1),
    at: 1,
    action: 'recharge',
    origin: { actor: 'bench', command: 'recharge' },
    transfers: set.map((cr) => ({ dr: 'coin.issued', cr, amount: coins })),
  }))
}

function gift(random: Random, txId: string, at: number): Charge {
  const [user, streamer] = [`u${randomInt(random, users)}`, randomInt(random, streamers)]
  const d = { from: { userId: user, name: user }, to: { userId: `s${streamer}` }, giftId: 'rose', count: 1, valueCoin: 10, at }
  return {
    op: 'charge',
    txId,
    at,
    action: 'gift',
    origin: { actor: user, command: 'gift.send', ik: txId, bodyHash: 'b1946ac92492d2347c6235b4d2611184' },
    roomId: `room${streamer}`,
    liveId: `live${streamer}`,
    value: 10n,
    payFrom: [`user.${user}.coin.bonus`, `user.${user}.coin.paid`],
    sink: 'coin.spent.gift',
    terms: { streamerBps: 5_000, guildBps: 2_000, paidBps: 10_000, bonusBps: 0 },
    streamer: `streamer.s${streamer}.bean.pending`,
    guild: `guild.g${streamer % guilds}.bean.pending`,
    spend: { minute: windowAt(at, 60_000), day: windowAt(at, 86_400_000) },
    contractVersion: 'c1',
    catalogVersion: 'g1',
    event: { t: 'gift.sent', d },
    reply: { giftId: 'rose', count: 1 },
  }
}

const windowAt = (at: number, lengthMs: number) => {
  const from = at - (at % lengthMs)
  return { from, until: from + lengthMs, max: Number.MAX_SAFE_INTEGER }
}
