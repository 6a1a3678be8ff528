/**
 * Kill -9 under load, many times over: is every gift that was answered there, once, and does everything add up?
 *
 *     npx tsx bench/load/ledger-crash.ts --kills 50 [--life-ms 400]
 *
 * Ends with 1 when something is wrong, and leaves the folder for a look.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { crashRun } from './ledger-crash-run.ts'

const { values } = parseArgs({
  options: { kills: { type: 'string', default: '50' }, 'life-ms': { type: 'string', default: '400' } },
})
const dir = mkdtempSync(join(tmpdir(), 'ledger-crash-'))
const report = await crashRun({
  dir,
  kills: Number(values.kills),
  lifeMsMax: Number(values['life-ms']),
  onLife: ({ life, ms, acknowledged }) =>
    console.log(
      `  life ${life}: killed ${ms.toFixed(0)} ms after its first answer, ${acknowledged.toLocaleString('en-US')} acknowledged so far`,
    ),
})
const { kills, acknowledged, rows, problems } = report
console.log(
  `\n${kills} x kill -9: ${acknowledged.toLocaleString('en-US')} acknowledged, ${rows.toLocaleString('en-US')} rows in the journal`,
)
for (const problem of problems) console.log(`  WRONG  ${problem}`)
if (problems.length === 0) {
  console.log('  every acknowledged one is there once, sums are zero, balances are their legs, nothing is below zero')
  rmSync(dir, { recursive: true })
} else {
  console.log(`  the files are in ${dir}`)
  process.exitCode = 1
}
