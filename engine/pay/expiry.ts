/**
 * Holds whose time is over are let go: an `expire` every few seconds, and at once again while there are more. It writes nothing when
 * nothing is due: a look at an index by the writer, no commit. A hold is over at its time whether or not this has come by.
 */
import type { Clock, Timer } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { OpenLedger } from '../ledger/open.ts'

const everyMs = 5_000
const limit = 1_000

/** Answers how to stop it. */
export function expireHolds({ clock, ledger, log }: { clock: Clock; ledger: OpenLedger; log: Log }): () => void {
  let timer: Timer | undefined
  let isStopped = false
  const later = () => {
    if (!isStopped) timer = clock.after(everyMs, () => void run())
  }
  async function run(): Promise<void> {
    try {
      while (!isStopped && ledger.state === 'open') {
        const result = await ledger.submit({ op: 'expire', at: clock.now(), limit })
        const expired = result.ok ? Number(result.reply['expired']) : 0
        if (expired > 0) log.info({ expired }, 'holds are over')
        if (expired < limit) break
      }
    } catch (error) {
      log.warn({ err: error }, 'holds cannot be let go now')
    }
    later()
  }
  later()
  return () => {
    isStopped = true
    timer?.cancel()
  }
}
