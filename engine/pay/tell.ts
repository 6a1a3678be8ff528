/** `wallet.changed` to all sessions of a user. Nothing depends on it: who misses it sees the wallet at the next look. */
import { subjects } from '../../schemas/subjects.ts'
import type { Bus } from '../base/bus.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Wallet } from '../live/billing.ts'
import type { UserEventHead } from '../room/call.ts'

export interface TellParts {
  bus: Bus
  clock: Clock
  log: Log
  wallet(userId: string): Promise<Wallet>
}

export async function tellWallet({ bus, clock, log, wallet }: TellParts, userId: string, reason: string): Promise<void> {
  try {
    const { paid, bonus } = await wallet(userId)
    const d = { coinPaid: Number(paid), coinBonus: Number(bonus), reason }
    const head: UserEventHead = { t: 'wallet.changed', at: clock.now(), d }
    bus.publish(subjects.userEvents(userId), { head })
  } catch (error) {
    log.error({ err: error, userId }, 'wallet cannot be read')
  }
}
