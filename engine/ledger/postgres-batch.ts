/**
 * One batch as one statement: a text for each column, and on the other side `unnest` makes rows of them again. All of it happens or
 * nothing does, and nothing does under an epoch that is over.
 *
 *     connection.query(writeBatch, batchValues(epoch, decided))       // [{ writers: 1n }], or 0n: somebody else writes now
 *
 * Texts are joined by line ends, which none of them has (JSON writes them as \n, names and keys have no control characters). Quoting
 * them as elements of an array would cost each gift 25 us, more than all the rest of it.
 */

import type { NewRow } from './new-row.ts'
import { type Statement, statement } from './postgres-connection.ts'
import { legsText } from './rows.ts'
import type { Decided } from './rules.ts'

type Cell = bigint | number | string | null | undefined
interface Column<Row> {
  name: string
  type: 'bigint' | 'text' | 'json'
  of(row: Row): Cell
}
interface Table<Row> {
  name: string
  columns: readonly Column<Row>[]
  onConflict: string
}

const column = <Row>(name: string, type: Column<Row>['type'], of: (row: Row) => Cell): Column<Row> => ({ name, type, of })
const overwrite = (key: string, ...names: string[]): string =>
  `ON CONFLICT (${key}) DO UPDATE SET ${names.map((name) => `${name} = excluded.${name}`).join(', ')}`

const journal: Table<NewRow> = {
  name: 'journal',
  columns: [
    column('pos', 'bigint', ({ pos }) => pos),
    column('tx_id', 'text', ({ txId }) => txId),
    column('at', 'bigint', ({ at }) => at),
    column('action', 'text', ({ action }) => action),
    column('actor', 'text', ({ actor }) => actor),
    column('command', 'text', ({ command }) => command),
    column('ik', 'text', ({ ik }) => ik),
    column('body_hash', 'text', ({ bodyHash }) => bodyHash),
    column('room_id', 'text', ({ roomId }) => roomId),
    column('live_id', 'text', ({ liveId }) => liveId),
    column('legs', 'json', ({ text }) => text.legs),
    column('facts', 'json', ({ text }) => text.facts),
    column('event', 'json', ({ text }) => text.event),
    column('reply', 'json', ({ text }) => text.reply),
  ],
  onConflict: '',
}
const balances: Table<Decided['balances'][number]> = {
  name: 'balances_',
  columns: [
    column('account', 'text', ({ account }) => account),
    column('ledger', 'text', ({ ledger }) => ledger),
    column('normal', 'text', ({ isDebit }) => (isDebit ? 'debit' : 'credit')),
    column('debits', 'bigint', ({ debits }) => debits),
    column('credits', 'bigint', ({ credits }) => credits),
    column('pending_debits', 'bigint', ({ pendingDebits }) => pendingDebits),
    column('pending_credits', 'bigint', ({ pendingCredits }) => pendingCredits),
  ],
  onConflict: overwrite('account', 'debits', 'credits', 'pending_debits', 'pending_credits'),
}
const holds: Table<Decided['holds'][number]> = {
  name: 'holds',
  columns: [
    column('hold_id', 'text', ({ holdId }) => holdId),
    column('legs', 'json', ({ transfers }) => legsText(transfers)),
    column('expires_at', 'bigint', ({ expiresAt }) => expiresAt),
    column('state', 'text', ({ state }) => state),
  ],
  onConflict: overwrite('hold_id', 'state'),
}
const payers: Table<Decided['payers'][number]> = {
  name: 'payers',
  columns: [
    column('payer', 'text', ({ payer: { payer } }) => payer),
    column('is_frozen', 'bigint', ({ payer: { isFrozen } }) => (isFrozen ? 1 : 0)),
    column('minute_at', 'bigint', ({ payer: { minuteAt } }) => minuteAt),
    column('minute_coins', 'bigint', ({ payer: { minuteCoins } }) => minuteCoins),
    column('day_at', 'bigint', ({ payer: { dayAt } }) => dayAt),
    column('day_coins', 'bigint', ({ payer: { dayCoins } }) => dayCoins),
  ],
  onConflict: overwrite('payer', 'is_frozen', 'minute_at', 'minute_coins', 'day_at', 'day_coins'),
}

export function batchValues(epoch: bigint, decided: Decided): (bigint | string)[] {
  return [
    epoch,
    ...valuesOf(journal, decided.rows),
    ...valuesOf(balances, decided.balances),
    ...valuesOf(holds, decided.holds),
    ...valuesOf(payers, decided.payers),
  ]
}

const valuesOf = <Row>({ columns }: Table<Row>, rows: readonly Row[]): string[] =>
  columns.map(({ type, of }) => (type === 'bigint' ? `{${rows.map(of).join(',')}}` : lines(rows.map(of))))

/** Texts as one: what `linesOf` takes apart again. Nothing for a text that is not there, which no text is. */
export function lines(texts: readonly Cell[]): string {
  for (const text of texts)
    if (typeof text === 'string' && text.includes('\n')) throw new Error('a text with a line end would be taken for two')
  return texts.map((text) => text ?? '').join('\n')
}
export const linesOf = (parameter: number): string => `string_to_array($${parameter}::text, E'\\n', '')`

/** What inserts the rows of a table, from the parameter `first` on. */
function inserted({ name, columns, onConflict }: Table<never>, first: number): string {
  const names = columns.map((one) => one.name).join(', ')
  const cells = columns.map((one) => (one.type === 'json' ? `${one.name}::json` : one.name)).join(', ')
  const arrays = columns.map((one, at) => (one.type === 'bigint' ? `$${first + at}::bigint[]` : linesOf(first + at)))
  return `INSERT INTO ${name} (${names}) SELECT ${cells} FROM unnest(${arrays.join(', ')}) AS new_rows(${names})
    WHERE EXISTS (SELECT FROM fence) ${onConflict}`
}

function batchText(): string {
  const parts: string[] = []
  let first = 2
  for (const table of [journal, balances, holds, payers] as readonly Table<never>[]) {
    parts.push(`${table.name}_rows AS (${inserted(table, first)})`)
    first += table.columns.length
  }
  // FOR SHARE: the next writer waits with its epoch until this is committed or gone.
  const fence = 'fence AS MATERIALIZED (SELECT epoch FROM writer WHERE id = 1 AND epoch = $1::bigint FOR SHARE)'
  return `WITH ${fence}, ${parts.join(', ')} SELECT count(*) AS writers FROM fence`
}
export const writeBatch: Statement = statement('write', batchText())
