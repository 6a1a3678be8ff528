/**
 * The ledger against a plain model, under random commands: posts, charges, holds and their ends, asked again with the same and with
 * other bodies, bad amounts and accounts, sets over several ledgers, writes that fail in the middle or after the commit, restarts.
 *
 * The model keeps lists and adds everything up each time. After every batch: the same answers; debits are credits in each ledger; nothing
 * below zero that must not be, holds included; balances are what the legs say; memory is disk; a fresh start knows the same.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { accountKind } from './accounts.ts'
import { Audit } from './audit.ts'
import { Book } from './book.ts'
import { Ledger, type LedgerStorage } from './ledger.ts'
import type { Charge, Hold, LedgerErrorCode, LedgerOp, LedgerResult, SettleHold, Transfer } from './ops.ts'
import type { Decided, Found, Wanted } from './rules.ts'
import { SqliteLedger } from './sqlite-ledger.ts'

const most = 2n ** 63n - 1n
const startAt = 1_760_000_000_000

// ------------------------------------------------------------------ the model

interface Kept {
  op: Exclude<LedgerOp, { op: 'expire' }>
  legs: readonly Transfer[]
  reply: object
  pos: number
}
interface HeldModel {
  id: string
  transfers: readonly Transfer[]
  expiresAt: number
  state: 'pending' | 'over'
}
type Verdict = { ok: true; txId: string; replayed: boolean; reply: object; pos: number } | { ok: false; codes: LedgerErrorCode[] }
const no = (...codes: LedgerErrorCode[]): Verdict => ({ ok: false, codes })
const malformed: LedgerErrorCode[] = ['ledger.bad_op', 'ledger.bad_amount', 'ledger.bad_account', 'ledger.bad_set']
const text = (value: unknown) => JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? `${one}n` : one))

class Model {
  kept: Kept[] = []
  holds: HeldModel[] = []

  copy(): Model {
    const model = new Model()
    model.kept = [...this.kept]
    model.holds = this.holds.map((hold) => ({ ...hold }))
    return model
  }

  apply(op: LedgerOp): Verdict {
    if (op.op === 'expire') return this.#expire(op.at, op.limit)
    if (!isSound(op)) return no(...malformed)
    const { actor, command, ik, bodyHash } = op.origin
    const byKey = this.kept.find(
      ({ op: { origin } }) => ik && origin.ik === ik && origin.actor === actor && origin.command === command,
    )
    if (byKey) return byKey.op.origin.bodyHash === bodyHash ? again(byKey) : no('idem.conflict')
    const byTx = this.kept.find((one) => one.op.txId === op.txId)
    if (byTx) return text(byTx.op) === text(op) ? again(byTx) : no('ledger.tx_exists')
    if (op.op === 'post') return this.#keep(op, op.transfers)
    if (op.op === 'charge') return this.#charge(op)
    return op.op === 'hold' ? this.#hold(op) : this.#settle(op)
  }

  #charge(op: Charge): Verdict {
    let left = op.value
    const legs: Transfer[] = []
    const spent = { paid: 0n, bonus: 0n }
    for (const account of op.payFrom) {
      const amount = this.available(account) < left ? this.available(account) : left
      if (amount > 0n) legs.push({ dr: account, cr: op.sink, amount })
      spent[account.endsWith('bonus') ? 'bonus' : 'paid'] += amount
      left -= amount
    }
    if (left > 0n) return no('wallet.insufficient')
    const { streamerBps, guildBps, paidBps, bonusBps } = op.terms
    const income = (spent.paid * BigInt(paidBps) + spent.bonus * BigInt(bonusBps)) / 10_000n
    const [streamer, guild] = [(income * BigInt(streamerBps)) / 10_000n, (income * BigInt(guildBps)) / 10_000n]
    if (streamer > 0n) legs.push({ dr: 'bean.issued', cr: op.streamer, amount: streamer })
    if (guild > 0n) legs.push({ dr: 'bean.issued', cr: op.guild ?? '', amount: guild })
    return this.#keep(op, legs, () => ({ balanceCoin: this.#coins(op.payFrom) }))
  }

  #coins(accounts: readonly string[]): number | string {
    const sum = accounts.reduce((all, account) => all + this.available(account), 0n)
    return sum < 2n ** 53n ? Number(sum) : String(sum)
  }

  #hold(op: Hold): Verdict {
    this.holds.push({ id: op.txId, transfers: op.transfers, expiresAt: op.expiresAt, state: 'pending' })
    const verdict = this.#keep(op, [])
    if (!verdict.ok) this.holds.pop()
    return verdict
  }

  #settle(op: SettleHold): Verdict {
    const hold = this.holds.find(({ id }) => id === op.holdId)
    if (!hold) return no('ledger.no_hold')
    if (hold.state === 'over' || hold.expiresAt <= op.at) return no('ledger.hold_over')
    hold.state = 'over'
    const verdict = this.#keep(op, op.op === 'post_hold' ? hold.transfers : [])
    if (!verdict.ok) throw new Error('what was held could not be posted')
    return verdict
  }

  #expire(at: number, limit: number): Verdict {
    const due = this.holds.filter((hold) => hold.state === 'pending' && hold.expiresAt <= at)
    due.sort((a, b) => a.expiresAt - b.expiresAt || (a.id < b.id ? -1 : 1))
    for (const hold of due.slice(0, limit)) hold.state = 'over'
    return { ok: true, txId: '', replayed: false, reply: { expired: Math.min(limit, due.length) }, pos: this.kept.length }
  }

  #keep(op: Kept['op'], legs: readonly Transfer[], more: () => object = () => ({})): Verdict {
    const kept: Kept = { op, legs, reply: {}, pos: this.kept.length + 1 }
    this.kept.push(kept)
    const codes: LedgerErrorCode[] = []
    for (const account of new Set(
      [...legs, ...this.holds.flatMap(({ transfers }) => transfers)].flatMap(({ dr, cr }) => [dr, cr]),
    )) {
      const { debits, credits, pendingDebits, pendingCredits } = this.sums(account)
      if (debits + pendingDebits > most || credits + pendingCredits > most) codes.push('ledger.bad_amount')
      if (accountKind(account)?.mayBeNegative === false && this.available(account) < 0n) codes.push('wallet.insufficient')
    }
    if (codes.length > 0) {
      this.kept.pop()
      return no(...codes)
    }
    kept.reply = { txId: op.txId, ...more() }
    return { ok: true, txId: op.txId, replayed: false, reply: kept.reply, pos: kept.pos }
  }

  sums(account: string) {
    const sums = { debits: 0n, credits: 0n, pendingDebits: 0n, pendingCredits: 0n }
    for (const { dr, cr, amount } of this.kept.flatMap(({ legs }) => legs)) {
      if (dr === account) sums.debits += amount
      if (cr === account) sums.credits += amount
    }
    for (const { dr, cr, amount } of this.holds
      .filter(({ state }) => state === 'pending')
      .flatMap(({ transfers }) => transfers)) {
      if (dr === account) sums.pendingDebits += amount
      if (cr === account) sums.pendingCredits += amount
    }
    return sums
  }

  available(account: string): bigint {
    const { debits, credits, pendingDebits, pendingCredits } = this.sums(account)
    return accountKind(account)?.normal === 'debit' ? debits - credits - pendingCredits : credits - debits - pendingDebits
  }
}

const again = ({ op, reply, pos }: Kept): Verdict => ({ ok: true, txId: op.txId, replayed: true, reply, pos })

function isSound(op: Kept['op']): boolean {
  const isAmount = (amount: bigint) => amount > 0n && amount <= most
  if (op.op === 'charge')
    return isAmount(op.value) && op.payFrom.every((account) => /^user\.\w+\.coin\.(paid|bonus)$/.test(account))
  if (op.op !== 'post' && op.op !== 'hold') return true
  const isGood = ({ dr, cr, amount }: Transfer) =>
    dr !== cr && isAmount(amount) && accountKind(dr) !== undefined && accountKind(dr)?.ledger === accountKind(cr)?.ledger
  return op.transfers.length > 0 && op.transfers.every(isGood)
}

// ------------------------------------------------------------------ commands

const wallets = ['user.ann.coin.paid', 'user.ann.coin.bonus', 'user.bob.coin.paid', 'user.bob.coin.bonus']
const amount = fc.oneof(
  { weight: 12, arbitrary: fc.bigInt(1n, 2_000n) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(0n, -1n, -(2n ** 63n), 2n ** 63n, 2n ** 64n, most, most - 1n, 2n ** 62n, 2n ** 53n + 1n),
  },
)
const coinAccount = fc.constantFrom(...wallets, 'user.ann.coin.hold', 'coin.spent.gift', 'escrow.redpacket.r1')
const transfer: fc.Arbitrary<Transfer> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ dr: fc.constant('coin.issued'), cr: coinAccount, amount }) },
  { weight: 6, arbitrary: fc.record({ dr: coinAccount, cr: coinAccount, amount }) },
  { weight: 3, arbitrary: fc.record({ dr: fc.constant('ext.psp.fake'), cr: fc.constant('plat.deferred'), amount }) },
  { weight: 1, arbitrary: fc.record({ dr: fc.constant('plat.deferred'), cr: fc.constant('plat.rev.gift'), amount }) },
  { weight: 1, arbitrary: fc.record({ dr: fc.constantFrom('user.ann.coin', '', 'nope', 'plat.bank'), cr: coinAccount, amount }) },
)
const txId = fc.nat(40).map((n) => `t${n}`)
const origin = fc.record({
  actor: fc.constantFrom('ann', 'bob'),
  command: fc.constantFrom('a', 'b'),
  ik: fc.option(fc.constantFrom('k1', 'k2', 'k3'), { nil: undefined, freq: 2 }),
  bodyHash: fc.constantFrom('h1', 'h1', 'h1', 'h2'),
})
const entry = { txId, at: fc.nat(3).map((n) => startAt + n * 10), action: fc.constantFrom('gift', 'test'), origin }
/** Few, so that their ends find them. */
const holdId = fc.nat(4).map((n) => `h${n}`)
const set = fc.array(transfer, { minLength: 0, maxLength: 4, size: 'max' })
const post = fc.record({ op: fc.constant('post' as const), ...entry, transfers: set })
const mint = fc.record({ dr: fc.constant('coin.issued'), cr: coinAccount, amount })
const hold = fc.record({
  op: fc.constant('hold' as const),
  ...entry,
  txId: holdId,
  transfers: fc.oneof(set, fc.array(mint, { minLength: 1, maxLength: 2 })),
  expiresAt: fc.nat(4).map((n) => startAt + 35 + n * 10),
})
const settle = fc.record({ op: fc.constantFrom('post_hold' as const, 'void_hold' as const), ...entry, holdId })
const charge: fc.Arbitrary<Charge> = fc.record({
  op: fc.constant('charge' as const),
  ...entry,
  value: amount,
  payFrom: fc.constantFrom(['user.ann.coin.bonus', 'user.ann.coin.paid'], ['user.bob.coin.paid'], ['coin.issued']),
  sink: fc.constant('coin.spent.gift'),
  terms: fc.record({
    streamerBps: fc.constantFrom(0, 3_333, 5_000),
    guildBps: fc.constantFrom(0, 2_000, 5_000),
    paidBps: fc.constantFrom(10_000, 7_777),
    bonusBps: fc.constantFrom(0, 1_111),
  }),
  streamer: fc.constant('streamer.mia.bean.pending'),
  guild: fc.constant('guild.red.bean.pending'),
  contractVersion: fc.constantFrom('c1', 'c2'),
  catalogVersion: fc.constant('g1'),
})
const expire = fc.record({
  op: fc.constant('expire' as const),
  at: fc.nat(9).map((n) => startAt + n * 10),
  limit: fc.integer({ min: 1, max: 3 }),
})
const op: fc.Arbitrary<LedgerOp> = fc.oneof(
  { weight: 6, arbitrary: post },
  { weight: 6, arbitrary: charge },
  { weight: 4, arbitrary: hold },
  { weight: 4, arbitrary: settle },
  { weight: 1, arbitrary: expire },
)
type Trouble = 'none' | 'middle' | 'after' | 'restart'
const step = fc.record({
  ops: fc.array(op, { minLength: 1, maxLength: 8 }),
  /** Ops of before that are asked once more. */
  repeat: fc.array(fc.nat(200), { maxLength: 3 }),
  trouble: fc.oneof(
    { weight: 8, arbitrary: fc.constant<Trouble>('none') },
    { weight: 1, arbitrary: fc.constantFrom<Trouble>('middle', 'after', 'restart') },
  ),
})

// ------------------------------------------------------------------ both side by side

/** A disk that fails: SQLite itself refuses the last row, or all is written and nobody hears of it. */
class Troubled implements LedgerStorage {
  readonly #inner: SqliteLedger
  trouble: Trouble = 'none'

  constructor(inner: SqliteLedger) {
    this.#inner = inner
  }

  read(wanted: Wanted): Found {
    return this.#inner.read(wanted)
  }
  lastPos(): number {
    return this.#inner.lastPos()
  }
  write(decided: Decided): void {
    const twice = [...decided.rows, ...decided.rows.slice(-1)]
    this.#inner.write(this.trouble === 'middle' ? { ...decided, rows: twice } : decided)
    if (this.trouble === 'after') throw new Error('the fsync failed')
  }
}

function checkResult(result: LedgerResult | undefined, verdict: Verdict): void {
  if (verdict.ok) expect(result).toEqual(verdict)
  else {
    expect(result).toMatchObject({ ok: false })
    expect(verdict.codes).toContain((result as { code: LedgerErrorCode }).code)
  }
}

function checkState(inner: SqliteLedger, ledger: Ledger, model: Model): void {
  const reader = inner.reader()
  expect(reader.journalAfter(0, 1_000).map(({ pos, txId: id, legs }) => ({ pos, id, legs }))).toEqual(
    model.kept.map(({ pos, op: { txId: id }, legs }) => ({ pos, id, legs })),
  )
  const fresh = new Ledger(inner)
  for (const { account, ledger: _, balance: __, available, ...sums } of reader.balancesAfter('', 1_000)) {
    const due = model.sums(account)
    expect(sums, account).toEqual(due)
    expect(ledger.balanceOf(account), account).toEqual(due)
    expect(fresh.balanceOf(account), account).toEqual(due)
    if (accountKind(account)?.mayBeNegative === false) expect(available >= 0n, account).toBe(true)
  }
  const onDisk = new Set(reader.balancesAfter('', 1_000).map(({ account }) => account))
  for (const account of model.kept.flatMap(({ legs }) => legs.flatMap(({ dr, cr }) => [dr, cr])))
    expect(onDisk).toContain(account)
  for (const { debits, credits } of reader.totals()) expect(debits).toBe(credits)
}

test('whatever is asked, the ledger does as the plain model does', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      const inner = new SqliteLedger({ file: ':memory:' })
      const book = Book.open(':memory:', inner.reader())
      const audit = new Audit(inner.reader(), book)
      const disk = new Troubled(inner)
      let ledger = new Ledger(disk)
      let model = new Model()
      const asked: LedgerOp[] = []
      for (const { ops, repeat, trouble } of steps) {
        const batch = [...ops, ...repeat.flatMap((n) => asked[n % Math.max(1, asked.length)] ?? [])]
        asked.push(...ops)
        disk.trouble = trouble
        const before = model.copy()
        const verdicts = batch.map((one) => model.apply(one))
        const isWritten = model.kept.length > before.kept.length || text(model.holds) !== text(before.holds)
        const fails = isWritten && (trouble === 'after' || (trouble === 'middle' && model.kept.length > before.kept.length))
        if (fails) {
          expect(() => ledger.batch(batch)).toThrow()
          disk.trouble = 'none'
          if (trouble === 'middle') model = before
          ledger = new Ledger(disk)
          checkState(inner, ledger, model)
          // Nobody was answered: everybody asks again, and gets what is true now.
          const results = ledger.batch(batch)
          for (const [at, one] of batch.entries()) checkResult(results[at], model.apply(one))
        } else {
          const results = ledger.batch(batch)
          for (const [at, verdict] of verdicts.entries()) checkResult(results[at], verdict)
        }
        disk.trouble = 'none'
        if (trouble === 'restart') ledger = new Ledger(disk)
        checkState(inner, ledger, model)
        expect(audit.step().broken).toEqual([])
      }
      book.close()
      inner.close()
    }),
    { numRuns: 120 },
  )
})
