/**
 * Who gets what of a gift. Pure: the same input gives the same shares, to the last unit.
 *
 * Of value V, Vb is paid in bonus coins and Vp in paid ones. Income is I = floor((Vp * paidBps + Vb * bonusBps) / 10,000): by default
 * every paid coin and no bonus coin brings income. Streamer and guild get their share of I rounded down; the platform gets the rest.
 *
 *     splitIncome({ paid: 999n, bonus: 0n }, { streamerBps: 5000, guildBps: 2000, paidBps: 10_000, bonusBps: 0 })
 *     // { income: 999n, streamer: 499n, guild: 199n, platform: 301n }
 */
export interface SplitTerms {
  /** Basis points, 0 to 10,000; together at most 10,000. */
  streamerBps: number
  guildBps: number
  /** What a paid and a bonus coin count as income. */
  paidBps: number
  bonusBps: number
}
export interface Spent {
  paid: bigint
  bonus: bigint
}
export interface Shares {
  income: bigint
  streamer: bigint
  guild: bigint
  platform: bigint
}

const whole = 10_000n
const termNames = ['streamerBps', 'guildBps', 'paidBps', 'bonusBps'] as const

/** Throws on terms that give away more than there is: whoever makes terms checks them with `termsProblem` first. */
export function splitIncome({ paid, bonus }: Spent, terms: SplitTerms): Shares {
  const problem = termsProblem(terms)
  if (problem !== undefined) throw new Error(problem)
  const income = (paid * BigInt(terms.paidBps) + bonus * BigInt(terms.bonusBps)) / whole
  const streamer = (income * BigInt(terms.streamerBps)) / whole
  const guild = (income * BigInt(terms.guildBps)) / whole
  return { income, streamer, guild, platform: income - streamer - guild }
}

/** Why terms cannot be used; undefined when they can. */
export function termsProblem(terms: SplitTerms): string | undefined {
  for (const name of termNames) {
    const bps = terms[name]
    if (!Number.isInteger(bps) || bps < 0 || bps > 10_000) return `${name}: ${bps} is not a whole number from 0 to 10000`
  }
  const together = terms.streamerBps + terms.guildBps
  if (together > 10_000) return `streamerBps and guildBps are ${together} together, more than 10000`
  return undefined
}
