/**
 * Kills a process that pays for gifts, with -9 at random moments, starts it again, and at the end looks into the file with SQL alone.
 *
 *     const report = await crashRun({ dir, kills: 50, onLife: console.log })
 *     report.problems   // [] or what must not be
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { programEntry } from '../../engine/base/worker-entry.ts'

export interface CrashReport {
  kills: number
  /** Numbers that a child said were done; those that came again after a crash are counted once. */
  acknowledged: number
  rows: number
  problems: string[]
}
export interface CrashOptions {
  dir: string
  kills: number
  /** Longest life from the first answer on. */
  lifeMsMax?: number
  onLife?: (life: { life: number; ms: number; acknowledged: number }) => void
  onChild?: (child: ChildProcess) => void
}

/** More than are ever under way (256), so all of those are asked again by the next life. */
const askAgain = 600

export async function crashRun({ dir, kills, lifeMsMax = 400, onLife, onChild }: CrashOptions): Promise<CrashReport> {
  const acknowledged = new Set<number>()
  for (let life = 1; life <= kills; life++) {
    let last = 0
    for (const n of acknowledged) last = Math.max(last, n)
    const ms = Math.random() * lifeMsMax
    await oneLife(start(dir, Math.max(0, last - askAgain), onChild), { ms, acknowledged })
    onLife?.({ life, ms, acknowledged: acknowledged.size })
  }
  return inspect(join(dir, 'ledger.db'), acknowledged, kills)
}

function start(dir: string, from: number, onChild: CrashOptions['onChild']): ChildProcess {
  const { file, execArgv } = programEntry(new URL('./ledger-crash-child.ts', import.meta.url))
  const child = spawn(process.execPath, [...execArgv, file, dir, String(from)], { stdio: ['ignore', 'pipe', 'inherit'] })
  onChild?.(child)
  return child
}

/** Kills it `ms` after its first answer. Everything that it wrote before counts, the last half line not. */
function oneLife(child: ChildProcess, { ms, acknowledged }: { ms: number; acknowledged: Set<number> }): Promise<void> {
  return new Promise((resolve, reject) => {
    let wasKilled = false
    let isTold = false
    const told = (line: string) => {
      if (/^\d+$/.test(line)) acknowledged.add(Number(line))
      if (isTold) return
      isTold = true
      setTimeout(() => {
        wasKilled = true
        child.kill('SIGKILL')
      }, ms)
    }
    let text = ''
    const readWhole = (chunk: string) => {
      const lines = (text + chunk).split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) told(line)
    }
    child.stdout?.setEncoding('utf8').on('data', readWhole)
    child.once('close', (code) => (wasKilled ? resolve() : reject(new Error(`the child ended by itself with ${code}`))))
  })
}

// ------------------------------------------------------------------ the file

const mustBeEmpty: Record<string, string> = {
  'an id stands twice': 'SELECT tx_id FROM journal GROUP BY tx_id HAVING count(*) > 1',
  'a key stands twice': 'SELECT ik FROM journal WHERE ik IS NOT NULL GROUP BY actor, command, ik HAVING count(*) > 1',
  'positions have a gap': 'SELECT max(pos), count(*) FROM journal HAVING max(pos) <> count(*)',
  'a ledger does not sum to zero': 'SELECT ledger FROM balances GROUP BY ledger HAVING sum(debits) <> sum(credits)',
  'a balance is not its legs': `SELECT account FROM balances
    LEFT JOIN (SELECT dr AS account, sum(amount) AS amount FROM transfers GROUP BY dr) AS d USING (account)
    LEFT JOIN (SELECT cr AS account, sum(amount) AS amount FROM transfers GROUP BY cr) AS c USING (account)
    WHERE debits <> coalesce(d.amount, 0) OR credits <> coalesce(c.amount, 0)`,
  'a leg has no balance':
    'SELECT dr FROM transfers WHERE dr NOT IN (SELECT account FROM balances) OR cr NOT IN (SELECT account FROM balances)',
  'an account is below zero': `SELECT account FROM balances
    WHERE account NOT IN ('coin.issued', 'bean.issued') AND credits - debits - pending_debits < 0`,
  'a gift is not what its shares say': `SELECT tx_id FROM journal WHERE json_extract(facts, '$.value') IS NOT NULL AND (
      CAST(json_extract(facts, '$.streamer') AS INTEGER) + CAST(json_extract(facts, '$.guild') AS INTEGER)
        + CAST(json_extract(facts, '$.platform') AS INTEGER) <> CAST(json_extract(facts, '$.income') AS INTEGER)
      OR CAST(json_extract(facts, '$.value') AS INTEGER) <>
        (SELECT sum(amount) FROM transfers WHERE transfers.tx_id = journal.tx_id AND cr = 'coin.spent.gift'))`,
  'what is set aside is not what is held': `SELECT account, pending_debits FROM balances
    LEFT JOIN (SELECT json_extract(value, '$[1]') AS account, sum(json_extract(value, '$[3]')) AS amount
      FROM holds, json_each(holds.legs) WHERE state = 'pending' GROUP BY 1) AS held USING (account)
    WHERE pending_debits <> coalesce(amount, 0)`,
}

/** With SQL alone: none of the engine's code looks at the file. */
export function inspect(file: string, acknowledged: ReadonlySet<number>, kills: number): CrashReport {
  const db = new Database(file)
  try {
    const problems = Object.entries(mustBeEmpty).flatMap(([what, sql]) => {
      const found = db.prepare(sql).all()
      return found.length > 0 ? [`${what}: ${JSON.stringify(found.slice(0, 3))}`] : []
    })
    const damage = db.pragma('integrity_check', { simple: true })
    if (damage !== 'ok') problems.push(String(damage))
    const present = new Set(
      db.prepare(`SELECT CAST(substr(tx_id, 2) AS INTEGER) FROM journal WHERE tx_id LIKE 'c%'`).pluck().all(),
    )
    const lost = [...acknowledged].filter((n) => !present.has(n))
    if (lost.length > 0) problems.push(`${lost.length} acknowledged and not there: ${lost.slice(0, 5)}`)
    const rows = db.prepare('SELECT count(*) FROM journal').pluck().get() as number
    return { kills, acknowledged: acknowledged.size, rows, problems }
  } finally {
    db.close()
  }
}
