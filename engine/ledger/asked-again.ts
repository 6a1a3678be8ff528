/**
 * Asking twice is safe: the same key with the same body, or the same id with the same content, gets the first answer and nothing else
 * happens. Pure; the rows come from the journal or from the batch under way.
 */
import { termsText } from './new-row.ts'
import type { Expire, JournalRow, LedgerOp, LedgerResult, Origin } from './ops.ts'
import { Refused } from './refused.ts'
import { legsText } from './rows.ts'

/** Rows that a batch may be asked for again: those that were found, and its own. */
export class AskedBefore {
  readonly #byTx = new Map<string, JournalRow>()
  /** Clients make keys unique for themselves: hardly ever is one key that of two rows. */
  readonly #byKey = new Map<string, JournalRow | JournalRow[]>()

  constructor(found: readonly JournalRow[]) {
    for (const row of found) this.add(row)
  }

  add(row: JournalRow): void {
    this.#byTx.set(row.txId, row)
    if (row.ik === undefined) return
    const there = this.#byKey.get(row.ik)
    if (there === undefined) this.#byKey.set(row.ik, row)
    else if (Array.isArray(there)) there.push(row)
    else this.#byKey.set(row.ik, [there, row])
  }

  /** The first answer, when this was asked before: by its key, or by its id when it says exactly the same. */
  answer(op: Exclude<LedgerOp, Expire>): LedgerResult | undefined {
    const sameKey = this.#withKey(op.origin)
    if (sameKey && sameKey.bodyHash !== op.origin.bodyHash)
      throw new Refused('idem.conflict', 'the key was used with another body')
    if (sameKey) return again(sameKey)
    const sameTx = this.#byTx.get(op.txId)
    if (!sameTx) return undefined
    if (!isSame(op, sameTx)) throw new Refused('ledger.tx_exists', `${op.txId} was posted before, for something else`)
    return again(sameTx)
  }

  #withKey({ actor, command, ik }: Origin): JournalRow | undefined {
    const there = ik === undefined ? undefined : this.#byKey.get(ik)
    if (there === undefined) return undefined
    const rows = Array.isArray(there) ? there : [there]
    return rows.find((row) => row.actor === actor && row.command === command)
  }
}

const again = ({ txId, pos, reply }: JournalRow): LedgerResult => ({ ok: true, txId, pos, replayed: true, reply })

function isSame(op: Exclude<LedgerOp, Expire>, row: JournalRow): boolean {
  const { actor, command, ik, bodyHash } = op.origin
  if (actor !== row.actor || command !== row.command || ik !== row.ik || bodyHash !== row.bodyHash) return false
  if (op.at !== row.at || op.action !== row.action || op.roomId !== row.roomId || op.liveId !== row.liveId) return false
  return isSameContent(op, row)
}

function isSameContent(op: Exclude<LedgerOp, Expire>, { legs, facts }: JournalRow): boolean {
  switch (op.op) {
    case 'post':
      return facts['value'] === undefined && facts['holdId'] === undefined && legsText(legs) === legsText(op.transfers)
    case 'charge':
      return (
        facts['value'] === String(op.value) &&
        legs[0]?.cr === op.sink &&
        facts['contractVersion'] === op.contractVersion &&
        facts['catalogVersion'] === op.catalogVersion &&
        JSON.stringify(facts['terms']) === termsText(op.terms)
      )
    case 'hold': {
      const held = op.transfers.map(({ dr, cr, amount }) => [dr, cr, String(amount)])
      return facts['expiresAt'] === op.expiresAt && JSON.stringify(facts['held']) === JSON.stringify(held)
    }
    case 'freeze':
      return facts['payer'] === op.payer && facts['isFrozen'] === op.isFrozen
    default:
      return facts['holdId'] === op.holdId && facts['held'] === undefined && (op.op === 'post_hold') === legs.length > 0
  }
}
