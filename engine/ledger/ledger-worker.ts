/** Entry of the ledger thread, the only writer of ledger.db: one batch per message. `open.ts` starts it. */
import { Applier, type ApplierAnswer, type ApplierAsk } from './applier.ts'
import type { SqliteLedgerOptions } from './sqlite-ledger.ts'
import { serve } from './thread.ts'

serve<SqliteLedgerOptions, ApplierAsk, ApplierAnswer>((options) => new Applier(options))
