/**
 * What the money routes share. An amount is whole minor units (coins, beans, points, fen), in answers always a decimal string, so that no
 * client rounds one beyond 2^53. What an operator may send is bounded far below that, and is a number.
 */
import { type TSchema, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { accountKind } from '../ledger/accounts.ts'
import type { OpenLedger } from '../ledger/open.ts'
import type { JournalRow, Transfer } from '../ledger/ops.ts'
import type { AccountBalance } from '../ledger/source.ts'
import type { AdminParts } from './admin.ts'
import { OperatorError, Refused } from './answers.ts'

export const reading = { config: { scope: 'money:read' }, description: 'Scope money:read.' } as const

/** Throws when there is none. */
export function ledgerOf({ ledger }: Pick<AdminParts, 'ledger'>): OpenLedger {
  if (!ledger) throw new OperatorError('money.off', 'This engine keeps no ledger: the option money is off.')
  return ledger
}

export const Id = Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' })
/** As the ledger takes them. */
export const TxId = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9_:-]{0,79}$' })
export const Place = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
export const At = Type.Integer({ minimum: 0, maximum: 8_640_000_000_000_000, description: 'Epoch ms.' })
export const Amount = Type.String({ description: 'Whole minor units, decimal.' })
/** As the desk takes it: what it would refuse must not wait for a second person. */
export const Reason = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: '^(?=.*\\S)[^\\u0000-\\u001f\\u007f\\ud800-\\udfff]+$',
  description: 'Why, not only spaces: it stays in the journal and in the audit.',
})
export const limitOf = (maximum: number, standard: number) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum, default: standard }))

export const BalanceShape = Type.Object({
  account: Type.String(),
  ledger: Type.String(),
  debits: Amount,
  credits: Amount,
  pendingDebits: Amount,
  pendingCredits: Amount,
  balance: Amount,
  available: Amount,
})
export const RowShape = Type.Object({
  pos: Type.Integer(),
  txId: Type.String(),
  at: Type.Integer(),
  action: Type.String(),
  actor: Type.String(),
  command: Type.String(),
  roomId: Type.Optional(Type.String()),
  liveId: Type.Optional(Type.String()),
  legs: Type.Array(Type.Object({ ledger: Type.String(), dr: Type.String(), cr: Type.String(), amount: Amount })),
  facts: Type.Unknown({ description: 'What statements need: shares, terms, versions, who approved.' }),
  event: Type.Optional(Type.Unknown()),
})

export const balanceOf = ({ account, ledger, ...amounts }: AccountBalance) => {
  const { debits, credits, pendingDebits, pendingCredits, balance, available } = amounts
  const given = { debits, credits, pendingDebits, pendingCredits, balance, available }
  return { account, ledger: ledger ?? '', ...textOf(given) }
}

/** Every amount as text. */
export const textOf = <Name extends string>(amounts: Readonly<Record<Name, bigint>>): Record<Name, string> =>
  Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, String(amount)])) as Record<Name, string>

const legOf = ({ dr, cr, amount }: Transfer) => ({ ledger: accountKind(dr)?.ledger ?? '', dr, cr, amount: String(amount) })
export function rowOf({ pos, txId, at, action, actor, command, roomId, liveId, legs, facts, event }: JournalRow) {
  const where = { ...(roomId === undefined ? {} : { roomId }), ...(liveId === undefined ? {} : { liveId }) }
  return { pos, txId, at, action, actor, command, ...where, legs: legs.map(legOf), facts, ...(event ? { event } : {}) }
}

export const invalid = (msg: string): Refused => new Refused({ code: 'request.invalid', msg })

/** As sent: a number that stands for a text, or a text for a number, is refused and not bent into shape. */
export function asSent({ schema }: { schema: unknown }) {
  const check = TypeCompiler.Compile(schema as TSchema)
  return (value: unknown) => {
    if (check.Check(value)) return { value }
    const { path = '', message = 'is wrong' } = check.Errors(value).First() ?? {}
    return { error: new Error(`${path.slice(1).replaceAll('/', '.') || 'body'}: ${message}`) }
  }
}
