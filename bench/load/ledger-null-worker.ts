/** A thread that takes gifts as the ledger's does and keeps nothing: what is left of a gift without the ledger. */
import type { LedgerOp, LedgerResult } from '../../engine/ledger/ops.ts'
import { type PackedAnswer, type PackedAsk, packedHandler } from '../../engine/ledger/sent.ts'
import { serve } from '../../engine/ledger/thread.ts'

let pos = 0
function answer(op: LedgerOp): LedgerResult {
  pos++
  return { ok: true, txId: op.op === 'expire' ? '' : op.txId, pos, replayed: false, reply: { balanceCoin: 0 } }
}

serve<object, PackedAsk, PackedAnswer>(() =>
  packedHandler({ handle: (ask) => ({ results: 'ops' in ask ? ask.ops.map(answer) : [], pos }), close: () => {} }),
)
