/**
 * Who pays, beside what they have: whether their wallet is frozen, and what they have spent in this minute and this day. Pure.
 *
 * A charge says how much its payer may spend in the two windows that it falls into, itself included; the sums are kept here, written in
 * the transaction of the charge, by the one writer. So of many charges at once, in many rooms, exactly those get through that fit, and a
 * restart forgets nothing. One row a payer: a window that is over is written over. What is given back later counts on.
 */
import type { Charge, SpendWindow } from './ops.ts'

export interface Payer {
  /** `<id>` of `user.<id>.coin.paid`. */
  payer: string
  isFrozen: boolean
  /** Begin of the window that is counted. */
  minuteAt: number
  /** Never beyond the bound that let them in, which is a safe integer. */
  minuteCoins: number
  dayAt: number
  dayCoins: number
}

export const newPayer = (payer: string): Payer => ({
  payer,
  isFrozen: false,
  minuteAt: 0,
  minuteCoins: 0,
  dayAt: 0,
  dayCoins: 0,
})

/** All of them are of one user: `check.ts` has looked. */
export function payerOf({ payFrom }: Charge): string {
  const [account = ''] = payFrom
  return account.slice('user.'.length, account.indexOf('.', 'user.'.length))
}

/** In force until `resetAt`. */
export interface Exceeded {
  window: 'minute' | 'day'
  max: number
  resetAt: number
}

/** The payer after this charge, or the bound that it would break. */
export function spending(payer: Payer, { value, spend }: Charge): Payer | Exceeded {
  if (!spend) return payer
  const { minute, day } = spend
  // A value beyond 2^53 loses digits here and is above every bound all the same; so is a sum.
  const coins = Number(value)
  const minuteCoins = coinsIn(minute, payer.minuteAt, payer.minuteCoins) + coins
  const dayCoins = coinsIn(day, payer.dayAt, payer.dayCoins) + coins
  // The day first: whoever waits for the minute to end would only hear of the day then.
  if (dayCoins > day.max) return { window: 'day', max: day.max, resetAt: day.until }
  if (minuteCoins > minute.max) return { window: 'minute', max: minute.max, resetAt: minute.until }
  const [minuteAt, dayAt] = [Math.max(minute.from, payer.minuteAt), Math.max(day.from, payer.dayAt)]
  return { payer: payer.payer, isFrozen: payer.isFrozen, minuteAt, minuteCoins, dayAt, dayCoins }
}

/** A charge that comes late, from a window before the one that is counted, counts in that one: a clock set back frees nobody. */
const coinsIn = ({ from }: SpendWindow, at: number, coins: number): number => (at >= from ? coins : 0)
