/**
 * The windows in which what a user gives is summed up: the minute and the day of acceptance, days from midnight of the platform's clock
 * (`boardOffsetMinutes`), as the daily boards. The ledger keeps the sums and refuses what goes beyond; here it becomes words for the user.
 */
import type { LedgerResult, Spend, SpendWindow } from '../ledger/ops.ts'
import type { PostingTemplate } from '../plugin/hooks.ts'
import type { RefusalDetail } from '../room/call.ts'

const minuteMs = 60_000
const dayMs = 86_400_000
const noMax = Number.MAX_SAFE_INTEGER

export function spendAt(
  at: number,
  { minuteCoinMax = noMax, dayCoinMax = noMax }: NonNullable<PostingTemplate['limits']>,
  offsetMinutes: number,
): Spend {
  const window = (lengthMs: number, offsetMs: number, max: number): SpendWindow => {
    const from = Math.floor((at + offsetMs) / lengthMs) * lengthMs - offsetMs
    // East of UTC the first day begins before 1970, which no real time is.
    return { from: Math.max(0, from), until: from + lengthMs, max }
  }
  return { minute: window(minuteMs, 0, minuteCoinMax), day: window(dayMs, offsetMinutes * minuteMs, dayCoinMax) }
}

export function limitRefusal(result: Extract<LedgerResult, { ok: false }>, now: number): RefusalDetail {
  const { exceeded } = result
  if (!exceeded) return {}
  const { window, max, resetAt } = exceeded
  const msg = `At most ${max} coins ${window === 'day' ? 'a day' : 'a minute'}; it ends at ${new Date(resetAt).toISOString()}.`
  return { msg, retryAfterMs: Math.max(1, resetAt - now), d: { max, resetAt } }
}
