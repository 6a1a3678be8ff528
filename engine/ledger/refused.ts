/** What the rules throw inside: the op leaves nothing behind and is answered with this. */
import type { LedgerErrorCode } from './ops.ts'
import type { Exceeded } from './payers.ts'

export class Refused extends Error {
  readonly code: LedgerErrorCode
  readonly exceeded: Exceeded | undefined
  constructor(code: LedgerErrorCode, message: string, exceeded?: Exceeded) {
    super(message)
    this.code = code
    this.exceeded = exceeded
  }
}
