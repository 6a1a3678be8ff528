/** What coins are sold in: settings of the plugin, so that an operator changes them while the engine runs. */
import { type Static, Type } from '../../engine/plugin/index.ts'

const coinsMax = 10_000_000

export const Package = Type.Object({
  id: Type.String({ minLength: 1, maxLength: 64 }),
  priceMinor: Type.Integer({ minimum: 1, maximum: 100_000_000, description: 'In fen.' }),
  cur: Type.Literal('CNY'),
  coins: Type.Integer({ minimum: 1, maximum: coinsMax }),
  bonusCoins: Type.Integer({ minimum: 0, maximum: coinsMax, description: 'Given on top; spent first, and worth no income.' }),
})
export type PackageShape = Static<typeof Package>

const sold = (coins: number, bonusCoins: number): PackageShape => ({
  id: `coins_${coins}`,
  priceMinor: coins * 10,
  cur: 'CNY',
  coins,
  bonusCoins,
})
export const firstPackages: PackageShape[] = [sold(60, 0), sold(300, 15), sold(680, 50), sold(1_280, 120), sold(6_480, 900)]
