/**
 * Pays for gifts until it is killed: forked by `ledger-crash-run.ts`, which gives it a folder and the number to begin with.
 *
 * Op n is the same in every life, so what was under way when the last life ended is asked again. A number goes to stdout when the op was
 * answered with "done", that is, when it must be on disk.
 */
import { SystemClock } from '../../engine/base/clock.ts'
import { openLedger } from '../../engine/ledger/open.ts'
import type { LedgerOp, Transfer } from '../../engine/ledger/ops.ts'

const window = 256
const users = 1_000
const startAt = 1_760_000_000_000
const wallet = (n: number) => `user.u${n % users}.coin.paid`
const txIdOf = (n: number) => `c${String(n).padStart(12, '0')}`

/** Gifts, and among them holds, their ends, and gifts of somebody who has nothing. */
function opOf(n: number): LedgerOp {
  const origin = { actor: `u${n % users}`, command: 'gift.send', ik: txIdOf(n), bodyHash: 'h' }
  const entry = { txId: txIdOf(n), at: startAt + n, action: 'gift', origin }
  const transfers: Transfer[] = [{ dr: wallet(n), cr: `user.u${n % users}.coin.hold`, amount: BigInt(1 + (n % 9)) }]
  if (n % 50 === 0) return { op: 'hold', ...entry, transfers, expiresAt: startAt + 1e9 }
  // The hold of 300 before: its answer has come long ago, whatever order things are in.
  if (n % 50 === 1 && n > 301) return { op: n % 100 === 1 ? 'post_hold' : 'void_hold', ...entry, holdId: txIdOf(n - 301) }
  return {
    op: 'charge',
    ...entry,
    value: BigInt(1 + (n % 50)),
    payFrom: [n % 97 === 0 ? 'user.poor.coin.paid' : wallet(n)],
    sink: 'coin.spent.gift',
    terms: { streamerBps: 5_000, guildBps: 2_000, paidBps: 10_000, bonusBps: 0 },
    streamer: `streamer.s${n % 10}.bean.pending`,
    guild: 'guild.g.bean.pending',
    contractVersion: 'c1',
    catalogVersion: 'g1',
    liveId: 'live',
    event: { t: 'gift.sent', d: { n } },
  }
}

function walletsOf(part: number): LedgerOp {
  const transfers = Array.from({ length: 50 }, (_, n) => ({ dr: 'coin.issued', cr: wallet(part * 50 + n), amount: 2n ** 40n }))
  return {
    op: 'post',
    txId: `a${part}`,
    at: startAt,
    action: 'recharge',
    origin: { actor: 'bench', command: 'recharge' },
    transfers,
  }
}

async function main(): Promise<void> {
  const [dir = '', from = '0'] = process.argv.slice(2)
  const ledger = await openLedger({ dir, clock: new SystemClock() })
  ledger.audit.start()
  await Promise.all(Array.from({ length: users / 50 }, (_, part) => ledger.submit(walletsOf(part))))
  let n = Number(from)
  let ended = ''
  // One write for all that ended in a turn: a pipe takes it whole or, being killed, not at all beyond what was written.
  const flush = () => {
    if (ended !== '') process.stdout.write(ended)
    ended = ''
  }
  const lane = async () => {
    for (;;) {
      const own = n++
      const result = await ledger.submit(opOf(own))
      if (!result.ok) continue
      if (ended === '') setImmediate(flush)
      ended += `${own}\n`
    }
  }
  await Promise.all(Array.from({ length: window }, lane))
}

void main()
