/** Entry of the ledger thread, the only writer of ledger.db: one batch per message. `open.ts` starts it. */
import { Applier } from './applier.ts'
import { type PackedAnswer, type PackedAsk, packedHandler } from './sent.ts'
import type { SqliteLedgerOptions } from './sqlite-ledger.ts'
import { serve } from './thread.ts'

serve<SqliteLedgerOptions, PackedAsk, PackedAnswer>((options) => packedHandler(new Applier(options)))
