/** Databases that say nothing that the journal does not: made anew when they do not fit, so they need not survive a power cut whole. */
import Database from 'better-sqlite3'

/** Throws a `SqliteError` on a damaged file. */
export function openDerived(file: string, { ddl, version }: { ddl: string; version: number }): Database.Database {
  const db = new Database(file, { timeout: 5_000 })
  try {
    db.pragma('journal_mode = WAL')
    // Whole after a crash; what its last transactions lose is read from the journal again.
    db.pragma('synchronous = NORMAL')
    const found = Number(db.pragma('user_version', { simple: true }))
    if (found === 0) db.transaction(() => db.exec(`${ddl} PRAGMA user_version = ${version};`))()
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
