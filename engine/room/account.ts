/**
 * The delivery account: what became of every event for every session that was entitled to it.
 *
 *     offered = written + sampled + collapsed + skipped + cut + lost        per room and lane
 *
 * `offered` is counted by the room's home at commit, the rest by the edges when they deal with the frame, so the two sides check
 * each other. written: handed to the socket. sampled: over the client cap. collapsed: gifts folded into one with the exact total.
 * skipped: a slow reader on the lean tier. cut: the session closed before the write. lost: the frame never reached the edge.
 * Bytes that were handed over but not sent when a socket closed are `unconfirmed`.
 */
import { type LaneCounts, noCounts } from './event.ts'

export const dispositions = ['offered', 'written', 'sampled', 'collapsed', 'skipped', 'cut', 'lost'] as const
export type Disposition = (typeof dispositions)[number]
export type Account = Record<Disposition, LaneCounts>

export const newAccount = (): Account => ({
  offered: noCounts(),
  written: noCounts(),
  sampled: noCounts(),
  collapsed: noCounts(),
  skipped: noCounts(),
  cut: noCounts(),
  lost: noCounts(),
})

/** `into += counts x times`, and per lane never below zero by construction of the callers. */
export function addCounts(into: LaneCounts, counts: LaneCounts, times: number): void {
  for (let lane = 0; lane < 3; lane++) into[lane as 0] += (counts[lane] as number) * times
}

export const minus = (a: LaneCounts, b: LaneCounts): LaneCounts => [a[0] - b[0], a[1] - b[1], a[2] - b[2]]

/** The accounts of this process, by room; what a dropped room had is kept in the total. */
export class DeliveryAccounts {
  readonly #rooms = new Map<string, Account>()
  readonly #retired = newAccount()
  unconfirmedBytes = 0

  of(roomId: string): Account {
    let account = this.#rooms.get(roomId)
    if (!account) this.#rooms.set(roomId, (account = newAccount()))
    return account
  }

  find(roomId: string): Account | undefined {
    return this.#rooms.get(roomId)
  }

  drop(roomId: string): void {
    const account = this.#rooms.get(roomId)
    if (!account) return
    this.#rooms.delete(roomId)
    for (const kind of dispositions) addCounts(this.#retired[kind], account[kind], 1)
  }

  total(): Account {
    const sum = newAccount()
    for (const account of [this.#retired, ...this.#rooms.values()])
      for (const kind of dispositions) addCounts(sum[kind], account[kind], 1)
    return sum
  }
}

/** What is missing from the account, per lane: zero when nothing is under way. */
export function imbalance(account: Account): LaneCounts {
  const rest: LaneCounts = [...account.offered]
  for (const kind of dispositions) if (kind !== 'offered') addCounts(rest, account[kind], -1)
  return rest
}
