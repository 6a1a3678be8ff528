/**
 * Is an op well formed? Looked at before anything is read, because one bad value in a batch would fail the write of all the others:
 * a date that is no number, a text that no database stores as it is, an amount that is no bigint.
 *
 *     opProblem({ op: 'post', txId: '', ... })   // { code: 'ledger.bad_op', msg: 'txId: ...' }
 *
 * What passes can be decided and written; whether there is money for it is not asked here.
 */
import { accountKind, isEarnings } from './accounts.ts'
import type { Charge, LedgerErrorCode, Transfer } from './ops.ts'
import { type SplitTerms, termsProblem } from './split.ts'

/** Balances and sums stay within what SQLite and Postgres can hold: 2^63 - 1. */
export const amountMax = 2n ** 63n - 1n
export const transfersMax = 64
export const expireMax = 10_000
/** Of each of event, reply and facts, as JSON. */
export const jsonCharsMax = 16_384
const payFromMax = 8
const textMax = 128

export interface OpProblem {
  code: LedgerErrorCode
  msg: string
}
type Fields = Readonly<Record<string, unknown>>

const badOp = (msg: string): OpProblem => ({ code: 'ledger.bad_op', msg })
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const control = /[\u0000-\u001f\u007f]/
/** Half a surrogate pair would come back from the database as something else, and two keys could become one. */
export const isText = (value: unknown): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= textMax && !control.test(value) && value.isWellFormed()
const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const idPattern = /^[A-Za-z0-9_-]{1,64}$/
const txIdPattern = /^[A-Za-z0-9][A-Za-z0-9_:-]{0,79}$/
/** Stands in statements that people open in a spreadsheet: nothing that could be a formula. */
const actionPattern = /^[a-z][a-z0-9._-]{0,63}$/
const isMatch = (value: unknown, pattern: RegExp) => typeof value === 'string' && pattern.test(value)
const shown = (value: unknown): string => String(typeof value === 'string' ? JSON.stringify(value) : value).slice(0, 80)

export function opProblem(op: unknown): OpProblem | undefined {
  if (!isFields(op)) return badOp('an op is an object')
  if (op['op'] === 'expire') return expireProblem(op)
  return entryProblem(op) ?? contentProblem(op)
}

/** Of a charge whose shape and whose accounts were found sound in another one: what is its own. */
export function sentProblem(op: Charge): OpProblem | undefined {
  return entryProblem(op as unknown as Fields) ?? (isAmount(op.value) ? undefined : badAmount(op.value))
}

function expireProblem({ at, limit }: Fields): OpProblem | undefined {
  if (!isWhole(at)) return badOp(`at: ${shown(at)} is no time`)
  if (!isWhole(limit) || limit < 1 || limit > expireMax) return badOp(`limit: ${shown(limit)} is not 1 to ${expireMax}`)
  return undefined
}

function entryProblem({ txId, at, action, origin, roomId, liveId, event, reply }: Fields): OpProblem | undefined {
  if (!isMatch(txId, txIdPattern)) return badOp(`txId: ${shown(txId)}`)
  if (!isWhole(at)) return badOp(`at: ${shown(at)} is no time`)
  if (!isMatch(action, actionPattern)) return badOp(`action: ${shown(action)}`)
  for (const [name, id] of [['roomId', roomId] as const, ['liveId', liveId] as const])
    if (id !== undefined && !isMatch(id, idPattern)) return badOp(`${name}: ${shown(id)}`)
  if (event !== undefined && !(isFields(event) && isText(event['t']) && isFields(event['d']))) return badOp('event: { t, d }')
  if (reply !== undefined && !isFields(reply)) return badOp('reply: an object')
  return originProblem(origin)
}

function originProblem(origin: unknown): OpProblem | undefined {
  if (!isFields(origin)) return badOp('origin: { actor, command }')
  const { actor, command, ik, bodyHash } = origin
  if (!isText(actor)) return badOp(`actor: ${shown(actor)}`)
  if (!isText(command)) return badOp(`command: ${shown(command)}`)
  if (bodyHash !== undefined && !isText(bodyHash)) return badOp(`bodyHash: ${shown(bodyHash)}`)
  if (ik !== undefined && !(isText(ik) && bodyHash !== undefined)) return badOp(`ik: ${shown(ik)}, and a bodyHash with it`)
  return undefined
}

function contentProblem(op: Fields): OpProblem | undefined {
  switch (op['op']) {
    case 'post':
      return setProblem(op['transfers'])
    case 'hold':
      if (!isWhole(op['expiresAt']) || op['expiresAt'] <= (op['at'] as number)) return badOp('expiresAt: later than at')
      return setProblem(op['transfers'])
    case 'charge':
      return chargeProblem(op) ?? spendProblem(op['spend'])
    case 'freeze':
      if (!isMatch(op['payer'], idPattern)) return badOp(`payer: ${shown(op['payer'])}`)
      return typeof op['isFrozen'] === 'boolean' ? undefined : badOp(`isFrozen: ${shown(op['isFrozen'])}`)
    case 'post_hold':
    case 'void_hold':
      return isMatch(op['holdId'], txIdPattern) ? undefined : badOp(`holdId: ${shown(op['holdId'])}`)
    default:
      return badOp(`op: ${shown(op['op'])}`)
  }
}

const isAmount = (amount: unknown): amount is bigint => typeof amount === 'bigint' && amount > 0n && amount <= amountMax
const badAmount = (amount: unknown): OpProblem => ({ code: 'ledger.bad_amount', msg: `${shown(amount)} is no amount` })
const badAccount = (name: unknown): OpProblem => ({ code: 'ledger.bad_account', msg: `${shown(name)} is no account for this` })
const kindOf = (name: unknown) => (typeof name === 'string' ? accountKind(name) : undefined)

function setProblem(transfers: unknown): OpProblem | undefined {
  if (!Array.isArray(transfers) || transfers.length === 0 || transfers.length > transfersMax)
    return { code: 'ledger.bad_set', msg: `a set has 1 to ${transfersMax} transfers` }
  for (const transfer of transfers) {
    const problem = isFields(transfer) ? transferProblem(transfer as unknown as Transfer) : badOp('a transfer is an object')
    if (problem) return problem
  }
  return undefined
}

function transferProblem({ dr, cr, amount }: Transfer): OpProblem | undefined {
  const [from, to] = [kindOf(dr), kindOf(cr)]
  if (!from || !to) return badAccount(from ? cr : dr)
  if (dr === cr || from.ledger !== to.ledger) return { code: 'ledger.bad_set', msg: `no transfer from ${dr} to ${cr}` }
  return isAmount(amount) ? undefined : badAmount(amount)
}

function spendProblem(spend: unknown): OpProblem | undefined {
  if (spend === undefined) return undefined
  if (isFields(spend) && isWindow(spend['minute']) && isWindow(spend['day'])) return undefined
  return badOp('spend: { minute, day }, each { from, until, max }')
}

function isWindow(window: unknown): boolean {
  if (!isFields(window)) return false
  const { from, until, max } = window
  return isWhole(from) && isWhole(until) && isWhole(max) && from < until
}

const walletPattern = /^user\.([A-Za-z0-9_-]{1,64})\.coin\.(?:paid|bonus)$/
const sinkPattern = /^(?:coin\.spent|escrow)\./
const isEarningsName = (name: unknown) => typeof name === 'string' && isEarnings(name)

/** Narrow on purpose: the template comes from a plugin, and a payer like `coin.issued` would make coins out of nothing. */
function chargeProblem(op: Fields): OpProblem | undefined {
  const { value, payFrom, sink, terms, streamer, guild, contractVersion, catalogVersion } = op
  if (!isAmount(value)) return badAmount(value)
  const problem = payersProblem(payFrom)
  if (problem) return problem
  if (!isMatch(sink, sinkPattern) || kindOf(sink)?.ledger !== 'COIN') return badAccount(sink)
  if (!isEarningsName(streamer)) return badAccount(streamer)
  if (guild !== undefined && !isEarningsName(guild)) return badAccount(guild)
  if (!isText(contractVersion)) return badOp(`contractVersion: ${shown(contractVersion)}`)
  if (!isText(catalogVersion)) return badOp(`catalogVersion: ${shown(catalogVersion)}`)
  if (!isFields(terms)) return badOp('terms')
  const bad = termsProblem(terms as unknown as SplitTerms)
  if (bad !== undefined) return badOp(bad)
  if ((terms['guildBps'] as number) > 0 && guild === undefined)
    return { code: 'ledger.bad_set', msg: 'the terms give a guild its share, and there is none' }
  return undefined
}

function payersProblem(payFrom: unknown): OpProblem | undefined {
  const isList = Array.isArray(payFrom) && payFrom.length > 0 && payFrom.length <= payFromMax
  if (!isList || payFrom.some((account, at) => payFrom.indexOf(account) < at))
    return badOp(`payFrom: 1 to ${payFromMax} different accounts`)
  let first: string | undefined
  for (const account of payFrom) {
    const [, payer] = (typeof account === 'string' && walletPattern.exec(account)) || []
    if (payer === undefined) return badAccount(account)
    first ??= payer
    if (payer !== first) return badOp('payFrom: accounts of one user')
  }
  return undefined
}
