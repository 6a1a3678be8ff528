/** Entry of the ledger thread on Postgres, the only writer of its journal: one batch per message. `open.ts` starts it. */
import { PostgresApplier } from './postgres-applier.ts'
import type { PostgresOptions } from './postgres-connection.ts'
import { type PackedAnswer, type PackedAsk, packedHandler } from './sent.ts'
import { serve } from './thread.ts'

serve<PostgresOptions, PackedAsk, PackedAnswer>((options) => {
  const applier = new PostgresApplier(options)
  return packedHandler({ handle: (ask) => applier.handle(ask), close: () => void applier.close() })
})
