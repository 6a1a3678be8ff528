/** `npm run bench`: runs the named scenarios, prints figures and targets, keeps the result. Ends by itself. */
import { hotRoom } from './hot-room.ts'
import { idle } from './idle.ts'
import { ledger } from './ledger.ts'
import { media } from './media.ts'
import { type Options, parseOptions, usage } from './options.ts'
import { plugins } from './plugins.ts'
import { quiet } from './quiet.ts'
import { keepResult, printTargets, type Result } from './report.ts'
import { saturate } from './saturate.ts'

const scenarios: Record<string, (options: Options) => Promise<Result>> = {
  'hot-room': hotRoom,
  saturate,
  quiet,
  idle,
  plugins,
  ledger,
  media,
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2))
  if (!options) return console.log(usage)
  const names = options.scenario === 'all' ? Object.keys(scenarios) : [options.scenario]
  for (const name of names) {
    const scenario = scenarios[name]
    if (!scenario) throw new RangeError(`no scenario ${name}: ${Object.keys(scenarios).join(', ')} or all`)
    const result = await scenario(name === 'idle' && options.scenario === 'all' ? { ...options, viewers: 10_000 } : options)
    printTargets(result.targets)
    console.log(`\nkept in ${keepResult(result, options.date, options.out)}`)
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
