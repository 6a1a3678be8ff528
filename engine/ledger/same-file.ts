/**
 * Is ledger.db still the file that was opened? SQLite goes on writing into a file that was moved or deleted, and answers that all is well;
 * at the next start it would make an empty ledger in its place and throw away the WAL beside it, where a young journal stands as a whole.
 *
 *     checkPresent(file)               // before it is opened: throws when only its companions are there
 *     const same = new SameFile(file)  // once it is open, and its WAL is there
 *     same.check()                     // before each commit, two looks at the folder of some us: throws when a path leads elsewhere
 *
 * Nothing is repaired here. The ledger closes as it does with a full disk, and opens again when the file is back.
 */
import { type BigIntStats, existsSync, statSync } from 'node:fs'

const walOf = (file: string): string => `${file}-wal`
const bookOf = (file: string): string => file.replace(/(\.db)?$/, '-book.db')
const look = (file: string): BigIntStats | undefined => statSync(file, { bigint: true, throwIfNoEntry: false })

export function checkPresent(file: string): void {
  if (existsSync(file)) return
  const wal = (look(walOf(file))?.size ?? 0n) > 0n ? walOf(file) : undefined
  const left = wal ?? (existsSync(bookOf(file)) ? bookOf(file) : undefined)
  if (left === undefined) return
  throw new Error(
    `${file} is gone and ${left} is there: bring the file back to where it was, or move its companions away as well to begin an empty ledger`,
  )
}

export class SameFile {
  readonly #opened: readonly { path: string; id: string }[]

  constructor(file: string) {
    this.#opened = [file, walOf(file)].map((path) => ({ path, id: idOf(path) }))
  }

  check(): void {
    for (const { path, id } of this.#opened)
      if (idOf(path) !== id) throw new Error(`${path} was moved, deleted or replaced while the ledger had it open`)
  }
}

function idOf(path: string): string {
  const found = look(path)
  return found ? `${found.dev}:${found.ino}` : 'none'
}
