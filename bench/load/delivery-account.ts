/** The engine's delivery account, read from its /metrics before and after a load, beside what the clients counted. */
import type { Run } from './measure.ts'
import type { Target } from './report.ts'

const lanes = ['high', 'normal', 'low'] as const
const kinds = ['offered', 'written', 'sampled', 'collapsed', 'skipped', 'cut', 'lost'] as const
type Lane = (typeof lanes)[number]
export type LaneAccount = Partial<Record<(typeof kinds)[number], number>>
export type Account = Record<Lane, LaneAccount>

/** Any counter that has one of our lanes and one of our kinds among its label values belongs to the account. */
export function readAccount(metrics: ReadonlyMap<string, number>): Account {
  const account: Account = { high: {}, normal: {}, low: {} }
  for (const [name, value] of metrics) {
    const labels = [...name.matchAll(/="([^"]*)"/g)].map((match) => match[1])
    const lane = lanes.find((one) => labels.includes(one))
    const kind = kinds.find((one) => labels.includes(one))
    if (lane && kind) account[lane][kind] = (account[lane][kind] ?? 0) + value
  }
  return account
}

export function difference(after: Account, before: Account): Account {
  const out: Account = { high: {}, normal: {}, low: {} }
  for (const lane of lanes)
    for (const kind of kinds) {
      const value = after[lane][kind]
      if (value !== undefined) out[lane][kind] = value - (before[lane][kind] ?? 0)
    }
  return out
}

export async function accountDuring(run: Run, load: () => Promise<void>): Promise<Account> {
  const before = readAccount(await run.server.metrics())
  await load()
  return difference(readAccount(await run.server.metrics()), before)
}

export function accountLines(account: Account): string[] {
  return lanes.map((lane) => {
    const parts = kinds.map((kind) => `${kind} ${(account[lane][kind] ?? 0).toLocaleString('en-US')}`)
    return `${lane.padEnd(6)} ${parts.join(', ')}`
  })
}

/** The account adds up, and the danmaku that clients counted are those that it calls written. */
export function accountTarget(what: string, account: Account, arrived: number): Target {
  const { offered, written, ...rest } = account.normal
  const others = Object.values(rest).reduce((sum, n) => sum + n, 0)
  const known = offered !== undefined && written !== undefined
  const measured = known
    ? `offered ${offered}, written ${written}, others ${others}, counted by clients ${arrived}`
    : 'no account found in /metrics'
  const met = known && offered === written + others && written === arrived
  return { what, target: 'offered = written + others, written = counted', measured, met }
}
