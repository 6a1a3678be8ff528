/**
 * A copy of ledger.db while the ledger works, and back again.
 *
 *     await backupLedger({ dir: '.livehouse', to: '/backups/ledger-2026-11-22.db' })   // { rows, pos, bytes }
 *     restoreLedger({ from: '/backups/ledger-2026-11-22.db', dir: '/empty/folder' })
 *
 * The copy is that of one moment: a read transaction is held for as long as it takes, and the WAL grows by what is written meanwhile.
 * It is verified (integrity, sums, every balance against its legs) before it gets its name, so a file with that name is good. Run from
 * the command line, or in a thread of its own by `backupInThread`: copying and verifying would hold the sockets up.
 */
import { closeSync, copyFileSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { migrations } from './schema.ts'
import { takeLock } from './sqlite-ledger.ts'
import { Thread } from './thread.ts'

export interface BackupReport {
  rows: number
  /** Of the last row of the journal. */
  pos: number
  bytes: number
}
export interface BackupTask {
  dir: string
  /** Of the ledger, when it is not in `dir`: then there is nothing that could be copied here. */
  databaseUrl?: string | undefined
  /** Must not exist. */
  to: string
}

const pagesAStep = 1_000
const noCopy = 'this ledger is in Postgres, not in a file'

/** Rejects on Postgres, which has a better way of its own. */
export async function backupLedger({ dir, to, databaseUrl }: BackupTask): Promise<BackupReport> {
  if (databaseUrl)
    throw new Error(`${noCopy}: pg_dump --schema=livehouse_ledger copies it while it works, pg_restore brings it back`)
  if (existsSync(to)) throw new Error(`${to} exists: a backup never replaces anything`)
  const part = `${to}.part`
  removeDatabase(part)
  const source = new Database(join(dir, 'ledger.db'), { readonly: true, fileMustExist: true, timeout: 5_000 })
  try {
    // Without a transaction of ours a copy starts anew whenever somebody writes, which is always.
    source.exec('BEGIN; SELECT pos FROM journal LIMIT 1')
    await source.backup(part, { progress: () => pagesAStep })
  } finally {
    source.close()
  }
  const report = verifyLedgerFile(part)
  sync(part)
  renameSync(part, to)
  sync(dirname(to))
  return report
}

export async function backupInThread(task: BackupTask): Promise<BackupReport> {
  const thread = new Thread<BackupTask, BackupReport>(new URL('./backup-worker.ts', import.meta.url), {})
  await thread.start()
  try {
    return await thread.ask(task)
  } finally {
    await thread.close()
  }
}

/** Throws when the folder has a ledger, when a writer holds it, and when the file is no good. */
export function restoreLedger({ from, dir }: { from: string; dir: string }): BackupReport {
  const file = join(dir, 'ledger.db')
  const lock = takeLock(file)
  try {
    if (existsSync(file)) throw new Error(`${file} exists: restore into an empty folder`)
    const part = `${file}.part`
    removeDatabase(part)
    copyFileSync(from, part)
    const report = verifyLedgerFile(part)
    removeDatabase(join(dir, 'ledger-book.db'))
    sync(part)
    renameSync(part, file)
    sync(dir)
    return report
  } finally {
    lock.close()
  }
}

/** As an auditor would: with SQL alone. Throws with what is wrong. Leaves one file, without a WAL beside it. */
export function verifyLedgerFile(file: string): BackupReport {
  const db = new Database(file, { fileMustExist: true })
  try {
    db.defaultSafeIntegers(true)
    db.pragma('journal_mode = DELETE')
    const version = Number(db.pragma('user_version', { simple: true }))
    if (version < 1 || version > migrations.length) throw new Error(`schema version ${version} is not one of this engine`)
    const damage = db.pragma('integrity_check(5)') as { integrity_check: string }[]
    if (damage[0]?.integrity_check !== 'ok') throw new Error(damage.map((row) => row.integrity_check).join('; '))
    for (const [what, sql] of Object.entries(checks)) {
      const found = db.prepare(`${sql} LIMIT 1`).get()
      if (found) throw new Error(`${what}: ${Object.values(found).join(' ')}`)
    }
    const { rows, pos } = db.prepare('SELECT count(*) AS rows, coalesce(max(pos), 0) AS pos FROM journal').get() as Record<
      string,
      bigint
    >
    return { rows: Number(rows), pos: Number(pos), bytes: statSync(file).size }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`${file} is no sound ledger: ${reason}`, { cause: error })
  } finally {
    db.close()
  }
}

/** Each finds what is wrong, and nothing in a sound ledger. The README has them too. */
export const checks = {
  'positions have a gap': 'SELECT max(pos), count(*) FROM journal HAVING max(pos) <> count(*)',
  'a balance is not what its legs add up to': `WITH legs AS (
      SELECT account, sum(debits) AS debits, sum(credits) AS credits FROM (
        SELECT dr AS account, amount AS debits, 0 AS credits FROM transfers UNION ALL SELECT cr, 0, amount FROM transfers)
      GROUP BY account)
    SELECT account FROM legs FULL JOIN balances USING (account)
    WHERE legs.debits IS NOT coalesce(balances.debits, 0) AND coalesce(legs.debits, 0) IS NOT balances.debits
      OR legs.credits IS NOT coalesce(balances.credits, 0) AND coalesce(legs.credits, 0) IS NOT balances.credits`,
  'what is set aside is not what pending holds say': `WITH held AS (
      SELECT account, sum(debits) AS debits, sum(credits) AS credits FROM (
        SELECT json_extract(leg.value, '$[1]') AS account, json_extract(leg.value, '$[3]') AS debits, 0 AS credits
        FROM holds, json_each(holds.legs) AS leg WHERE state = 'pending'
        UNION ALL
        SELECT json_extract(leg.value, '$[2]'), 0, json_extract(leg.value, '$[3]')
        FROM holds, json_each(holds.legs) AS leg WHERE state = 'pending')
      GROUP BY account)
    SELECT account FROM balances LEFT JOIN held USING (account)
    WHERE pending_debits <> coalesce(held.debits, 0) OR pending_credits <> coalesce(held.credits, 0)`,
  'an account is below zero that must not be': `SELECT account FROM balances_
    WHERE normal = 'credit' AND account NOT LIKE 'plat.rev.%' AND credits - debits - pending_debits < 0`,
} as const

function removeDatabase(file: string): void {
  for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(file + suffix, { force: true })
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
