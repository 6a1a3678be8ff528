/**
 * Statements of an account or of all accounts of an owner for a period, from the journal: opening balance, every row that touched the
 * account, closing balance. The same question gets the same bytes, once the period is over.
 *
 *     for await (const text of statement(readers, { owner: { kind: 'streamer', id: 'mia' }, fromAt, toAt, format: 'csv' })) file.write(text)
 *
 * A row belongs to the period of its acceptance (`at`), from `fromAt` (included) to `toAt` (not included). Amounts are whole minor units
 * as text; a balance is on the account's normal side. CSV: one line an opening, an entry, a closing. JSON: accounts with their entries.
 */
import { accountKind, type Ledger } from './accounts.ts'

export const ownerKinds = ['user', 'streamer', 'guild', 'merchant', 'game', 'affiliate', 'adv'] as const
export type OwnerKind = (typeof ownerKinds)[number]
export interface Owner {
  kind: OwnerKind
  id: string
}
export interface StatementQuery {
  /** Either of the two. */
  account?: string
  owner?: Owner
  fromAt: number
  toAt: number
  format: 'csv' | 'json'
}
export interface StatementEntry {
  pos: number
  at: number
  txId: string
  action: string
  roomId: string | undefined
  liveId: string | undefined
  debits: bigint
  credits: bigint
}
/** What is needed of the readers. */
export interface StatementSource {
  /** Accounts of these names and with these prefixes that have rows, by name, and the last row that counts for this statement. */
  begin(names: { exact: readonly string[]; prefixes: readonly string[] }): Promise<{ accounts: string[]; uptoPos: number }>
  opening(account: string, period: { fromAt: number; uptoPos: number }): Promise<{ debits: bigint; credits: bigint }>
  entries(
    account: string,
    period: { fromAt: number; toAt: number; uptoPos: number },
    page: { afterPos: number; limit: number },
  ): Promise<StatementEntry[]>
}

const idPattern = /^[A-Za-z0-9_-]{1,64}$/
const pageRows = 500

/** Throws a RangeError on a question that has no meaning. */
export function statement(source: StatementSource, query: StatementQuery): AsyncGenerator<string> {
  const names = namesOf(query)
  const { fromAt, toAt } = query
  if (!Number.isSafeInteger(fromAt) || !Number.isSafeInteger(toAt) || fromAt < 0 || toAt <= fromAt)
    throw new RangeError(`no period from ${fromAt} to ${toAt}`)
  return query.format === 'csv' ? csv(source, names, query) : json(source, names, query)
}

function namesOf({ account, owner }: StatementQuery): { exact: string[]; prefixes: string[] } {
  if (account !== undefined && owner === undefined) {
    if (!accountKind(account)) throw new RangeError(`${account.slice(0, 80)} is no account`)
    return { exact: [account], prefixes: [] }
  }
  if (account !== undefined || !owner) throw new RangeError('a statement is of an account or of an owner')
  const { kind, id } = owner
  if (!ownerKinds.includes(kind) || !idPattern.test(id)) throw new RangeError('no such owner')
  return { exact: [`payable.${kind}.${id}`], prefixes: [`${kind}.${id}.`] }
}

/** One account after the other; `side` has what the next lines are made of. */
async function* lines(
  source: StatementSource,
  names: { exact: string[]; prefixes: string[] },
  { fromAt, toAt }: StatementQuery,
): AsyncGenerator<Line> {
  const { accounts, uptoPos } = await source.begin(names)
  for (const account of accounts) {
    const kind = accountKind(account)
    if (!kind) continue
    const sign = kind.normal === 'debit' ? 1n : -1n
    const { debits, credits } = await source.opening(account, { fromAt, uptoPos })
    let balance = sign * (debits - credits)
    const about = { account, ledger: kind.ledger }
    yield { kind: 'opening', ...about, at: fromAt, balance }
    for (let afterPos = 0; ; ) {
      const page = await source.entries(account, { fromAt, toAt, uptoPos }, { afterPos, limit: pageRows })
      for (const entry of page) {
        balance += sign * (entry.debits - entry.credits)
        yield { kind: 'entry', ...about, at: entry.at, balance, entry }
      }
      if (page.length < pageRows) break
      afterPos = (page.at(-1) as StatementEntry).pos
    }
    yield { kind: 'closing', ...about, at: toAt, balance }
  }
}

interface Line {
  kind: 'opening' | 'entry' | 'closing'
  account: string
  ledger: Ledger
  at: number
  balance: bigint
  entry?: StatementEntry
}

const columns = ['kind', 'account', 'ledger', 'at', 'pos', 'tx_id', 'action', 'room_id', 'live_id', 'debit', 'credit', 'balance']

/** No field needs quotes: names, ids and actions have neither commas nor quotes nor line ends. */
async function* csv(...args: Parameters<typeof lines>): AsyncGenerator<string> {
  yield `${columns.join(',')}\r\n`
  for await (const { kind, account, ledger, at, balance, entry } of lines(...args)) {
    const { pos, txId, action, roomId, liveId, debits, credits } = entry ?? {}
    yield `${[kind, account, ledger, at, pos, txId, action, roomId, liveId, debits, credits, balance].map((cell) => cell ?? '').join(',')}\r\n`
  }
}

async function* json(...args: Parameters<typeof lines>): AsyncGenerator<string> {
  const [, , { account, owner, fromAt, toAt }] = args
  yield `{"of":${JSON.stringify(account ?? `${owner?.kind}.${owner?.id}`)},"fromAt":${fromAt},"toAt":${toAt},"accounts":[`
  let isFirst = true
  let isFirstEntry = true
  for await (const { kind, account: name, ledger, balance, entry } of lines(...args)) {
    if (kind === 'opening') {
      yield `${isFirst ? '' : ','}\n${JSON.stringify({ account: name, ledger, opening: String(balance) }).slice(0, -1)},"entries":[`
      isFirst = false
      isFirstEntry = true
    } else if (entry) {
      yield `${isFirstEntry ? '' : ','}\n  ${entryText(entry, balance)}`
      isFirstEntry = false
    } else yield `],"closing":"${balance}"}`
  }
  yield ']}\n'
}

function entryText({ pos, at, txId, action, roomId, liveId, debits, credits }: StatementEntry, balance: bigint): string {
  const amounts = { debit: String(debits), credit: String(credits), balance: String(balance) }
  return JSON.stringify({ pos, at, txId, action, roomId, liveId, ...amounts })
}
