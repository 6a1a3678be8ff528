/**
 * What the commands of `livehouse` read from their command line besides the options of `config.ts`.
 *
 *   const { user, ttl } = readArguments(argv, { user: 'ID', ttl: '1h' })     --user viewer1 --ttl=1h
 *   parseDuration('90m')                                                     5_400_000
 */
import { ConfigError, nearest } from './config.ts'

/** The values of `--name value` and `--name=value`; anything else is refused. `allowed`: each name with its form. */
export function readArguments<Name extends string>(
  argv: readonly string[],
  allowed: Readonly<Record<Name, string>>,
): Partial<Record<Name, string>> {
  const values: Partial<Record<Name, string>> = {}
  const problems: string[] = []
  const known = (name: string): name is Name => Object.hasOwn(allowed, name)
  for (let i = 0; i < argv.length; i++) {
    const [, name = '', inline] = /^--([^=]+)(?:=([\s\S]*))?$/.exec(argv[i] ?? '') ?? []
    if (!known(name)) {
      problems.push(`${argv[i]} is not known here. The nearest is --${nearest(name || (argv[i] ?? ''), Object.keys(allowed))}.`)
      continue
    }
    const value = inline ?? argv[++i]
    if (value === undefined || value === '') problems.push(`--${name} needs a value: --${name} ${allowed[name]}`)
    else values[name] = value
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return values
}

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Milliseconds of `30s`, `15m`, `1h` or `7d`; null for anything else and for zero. */
export function parseDuration(text: string): number | null {
  const [, amount = '0', unit = 's'] = /^(\d{1,5})([smhd])$/.exec(text) ?? []
  const ms = Number(amount) * unitMs[unit as keyof typeof unitMs]
  return ms > 0 ? ms : null
}
