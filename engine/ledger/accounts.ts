/**
 * The chart of accounts: which accounts there are, in which ledger, on which side they normally stand, and which may not go below zero.
 *
 * An account is named by its owner and use, `user.<id>.coin.paid`; it exists from its first transfer on. A name that no line of the
 * chart fits is refused, so that a misspelt account can never swallow money.
 *
 *     accountKind('user.ann.coin.paid')   // { ledger: 'COIN', normal: 'credit', mayBeNegative: false, ... }
 *     accountKind('user.ann.coin')        // undefined
 *
 * The balance of an account is what stands on its normal side less what stands on the other.
 */
export const ledgers = ['CNY', 'COIN', 'BEAN', 'PTS'] as const
export type Ledger = (typeof ledgers)[number]

export interface AccountKind {
  ledger: Ledger
  /** The side that makes it larger. */
  normal: 'debit' | 'credit'
  /** Contra, asset and expense accounts, and claims on a payee. */
  mayBeNegative: boolean
  meaning: string
}

type Line = readonly [pattern: string, ledger: Ledger, normal: AccountKind['normal'], mayBeNegative: boolean, meaning: string]

/** `<id>`: `[A-Za-z0-9_-]{1,64}`; `a|b`: one of these words. */
export const chart: readonly Line[] = [
  ['ext.psp.<id>', 'CNY', 'debit', true, 'money at a payment provider'],
  ['plat.bank', 'CNY', 'debit', true, 'bank'],
  ['plat.deferred', 'CNY', 'credit', false, 'sold but unspent paid coins'],
  ['plat.rev.gift|super|guard|fan|ads|game|commerce|breakage', 'CNY', 'credit', true, 'revenue by kind'],
  ['plat.exp.share|promo|coupon|psp_fee|chargeback|prize|adjust', 'CNY', 'debit', true, 'costs by kind'],
  ['payable.streamer|guild|merchant|game|affiliate.<id>', 'CNY', 'credit', false, 'owed to a payee'],
  ['receivable.<id>', 'CNY', 'debit', true, 'taken back but not recovered yet'],
  ['tax.withheld', 'CNY', 'credit', false, 'tax kept back'],
  ['adv.<id>.balance|reserved', 'CNY', 'credit', false, 'prepaid by an advertiser, booked'],
  ['escrow.order|presale.<id>', 'CNY', 'credit', false, "a buyer's money until completion"],
  ['coin.issued', 'COIN', 'debit', true, 'all coins ever made less those destroyed'],
  ['user.<id>.coin.paid|bonus', 'COIN', 'credit', false, 'wallet'],
  ['user.<id>.coin.hold', 'COIN', 'credit', false, 'frozen by risk'],
  ['escrow.redpacket|lottery.<id>', 'COIN', 'credit', false, 'coins that wait for their takers'],
  ['coin.spent.gift|super|guard|fan|box|card', 'COIN', 'credit', false, 'spent coins by kind'],
  ['bean.issued', 'BEAN', 'debit', true, 'all beans ever made less those destroyed'],
  ['streamer|guild.<id>.bean.pending|available|payout', 'BEAN', 'credit', false, 'earnings'],
  ['pts.issued', 'PTS', 'debit', true, 'all points ever made'],
  ['user.<id>.pts', 'PTS', 'credit', false, 'points'],
  ['pts.spent|expired', 'PTS', 'credit', false, 'points that are gone'],
]

const compiled = chart.map(([pattern, ledger, normal, mayBeNegative, meaning]) => {
  const tokens = pattern.split('.').map((token) => (token === '<id>' ? '[A-Za-z0-9_-]{1,64}' : `(?:${token})`))
  return { expression: new RegExp(`^${tokens.join('\\.')}$`), kind: { ledger, normal, mayBeNegative, meaning } as AccountKind }
})

/** Names come with every gift and there are few kinds: what was found is kept, up to a bound. */
const known = new Map<string, AccountKind>()
const knownMax = 200_000
/** The longest name of the chart has an id of 64 and 25 more. */
const nameMax = 128

export function accountKind(name: string): AccountKind | undefined {
  const found = known.get(name)
  if (found) return found
  if (name.length > nameMax) return undefined
  const kind = compiled.find(({ expression }) => expression.test(name))?.kind
  if (!kind) return undefined
  if (known.size >= knownMax) known.clear()
  known.set(name, kind)
  return kind
}

const earningsPattern = /\.bean\.pending$/
/** Where a streamer or a guild gets beans. */
export const isEarnings = (account: string): boolean => earningsPattern.test(account) && accountKind(account) !== undefined

const idPattern = /^[A-Za-z0-9_-]{1,64}$/
function id(text: string): string {
  if (!idPattern.test(text)) throw new Error(`not an id for an account: ${JSON.stringify(text).slice(0, 80)}`)
  return text
}

/** The names that the engine uses itself. Throw on an id that is not `[A-Za-z0-9_-]{1,64}`. */
export const accounts = {
  paidCoins: (userId: string): string => `user.${id(userId)}.coin.paid`,
  bonusCoins: (userId: string): string => `user.${id(userId)}.coin.bonus`,
  points: (userId: string): string => `user.${id(userId)}.pts`,
  streamerBeans: (userId: string): string => `streamer.${id(userId)}.bean.pending`,
  guildBeans: (guildId: string): string => `guild.${id(guildId)}.bean.pending`,
  provider: (name: string): string => `ext.psp.${id(name)}`,
  coinsIssued: 'coin.issued',
  beansIssued: 'bean.issued',
  spentOnGifts: 'coin.spent.gift',
  deferred: 'plat.deferred',
  providerFees: 'plat.exp.psp_fee',
  chargebacks: 'plat.exp.chargeback',
  adjustments: 'plat.exp.adjust',
} as const
