/**
 * Which SQL a plugin may run, decided by how a statement begins: reading and writing rows, and in migrations also the shape of
 * tables. Everything else (ATTACH, PRAGMA, VACUUM, BEGIN ...) reaches beyond the plugin's own tables or its own transaction.
 *
 * That a text holds one statement only is SQLite's own check: `prepare` refuses a second one.
 */
import { PluginDbError } from './plugin-db-wire.ts'

const rowWords = ['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'REPLACE', 'WITH']
const shapeWords = /^(CREATE (TABLE|INDEX|UNIQUE INDEX|TRIGGER|VIEW)|ALTER TABLE|DROP)\b/

/** Throws `db.refused`. */
export function allowRows(sql: string): void {
  const [first = ''] = firstWords(sql, 1)
  if (!rowWords.includes(first)) throw refused(first, `${rowWords.join(', ')} are allowed`)
  refusePragma(sql)
}

/** Throws `db.refused`. */
export function allowMigration(sql: string): void {
  const words = firstWords(sql, 3)
  if (!rowWords.includes(words[0] ?? '') && !shapeWords.test(words.join(' ')))
    throw refused(words.join(' '), 'CREATE TABLE, INDEX, TRIGGER and VIEW, ALTER TABLE, DROP and statements on rows are allowed')
  refusePragma(sql)
}

const refused = (what: string, instead: string) =>
  new PluginDbError('db.refused', `${what ? `"${what}" is refused` : 'the statement begins with no word'}: ${instead}`)

/**
 * Pragmas can also be read as tables (`pragma_database_list` tells the path of the file). Refused even inside strings, because SQLite
 * takes a quoted string for a name where it expects one; as a value such a text can still be a parameter.
 */
function refusePragma(sql: string): void {
  if (/\bpragma_/i.test(sql)) throw refused('pragma_', 'tables of that name belong to SQLite')
}

/** The leading words in capitals, with white space and comments between them. */
function firstWords(sql: string, count: number): string[] {
  const words: string[] = []
  const word = /[a-z]+/iy
  for (let at = skipBlank(sql, 0); words.length < count; at = skipBlank(sql, word.lastIndex)) {
    word.lastIndex = at
    const found = word.exec(sql)
    if (!found) break
    words.push(found[0].toUpperCase())
  }
  return words
}

/** A loop and not one pattern, because a pattern with comments in it backtracks without end on hostile input. */
function skipBlank(sql: string, from: number): number {
  let at = from
  for (;;) {
    if (' \t\n\f\r'.includes(sql[at] ?? 'end')) at++
    else if (sql.startsWith('--', at)) at = endOf(sql, '\n', at + 2)
    else if (sql.startsWith('/*', at)) at = endOf(sql, '*/', at + 2)
    else return at
  }
}

function endOf(sql: string, mark: string, from: number): number {
  const at = sql.indexOf(mark, from)
  return at < 0 ? sql.length : at + mark.length
}
