/**
 * A copy of any SQLite file of the data folder while others write to it: that of one moment, in one file, looked through.
 *
 *     await copyDatabase({ from: '.livehouse/core.db', to: '/backups/core.db', onProgress: (done, total) => {} })
 *     checkDatabase('/backups/core.db')                                // throws when it is damaged
 *
 * Only by way of SQLite: a file of a running engine that is opened and closed as a plain file takes the locks of the process with it.
 */
import Database from 'better-sqlite3'

const pagesAStep = 1_000

export interface CopyTask {
  from: string
  /** Must not exist. */
  to: string
  /** In pages. */
  onProgress?: ((done: number, total: number) => void) | undefined
}

export async function copyDatabase({ from, to, onProgress }: CopyTask): Promise<void> {
  const source = new Database(from, { readonly: true, fileMustExist: true, timeout: 5_000 })
  try {
    // A transaction of ours: without one a copy starts anew whenever somebody writes.
    source.exec('BEGIN; SELECT name FROM sqlite_schema LIMIT 1')
    await source.backup(to, {
      progress: ({ totalPages, remainingPages }) => {
        onProgress?.(totalPages - remainingPages, totalPages)
        return pagesAStep
      },
    })
  } finally {
    source.close()
  }
  const copy = new Database(to, { fileMustExist: true })
  try {
    copy.pragma('journal_mode = DELETE') // one file, without a WAL beside it
  } finally {
    copy.close()
  }
  checkDatabase(to)
}

export function checkDatabase(file: string): void {
  const db = openSound(file)
  try {
    const damage = db.pragma('integrity_check(5)') as { integrity_check: string }[]
    if (damage[0]?.integrity_check !== 'ok') throw new Error(damage.map((row) => row.integrity_check).join('; '))
  } catch (error) {
    throw new Error(`${file} is no sound database: ${error instanceof Error ? error.message : error}`, { cause: error })
  } finally {
    db.close()
  }
}

const openSound = (file: string): Database.Database => new Database(file, { readonly: true, fileMustExist: true })
