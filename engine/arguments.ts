/**
 * What the commands of `livehouse` read from their command line besides the options of `config.ts`.
 *
 *   const { user, ttl } = readArguments(argv, { user: 'ID', ttl: '1h' })     --user viewer1 --ttl=1h
 *   parseDuration('90m')                                                     5_400_000
 */
import { ConfigError, nearest } from './config.ts'

/** The values of `--name value` and `--name=value`; anything else is refused. `allowed`: each name with its form. */
export const readArguments = <Name extends string>(
  argv: readonly string[],
  allowed: Readonly<Record<Name, string>>,
): Partial<Record<Name, string>> => readCommandLine(argv, { allowed }).values

export interface CommandLine<Name extends string> {
  /** What stands there without dashes. */
  positional: string | undefined
  values: Partial<Record<Name, string>>
  switches: ReadonlySet<string>
}
export interface CommandLineForm<Name extends string> {
  allowed: Readonly<Record<Name, string>>
  /** What the one argument without dashes is; none is taken when this is left out. */
  positional?: string
  /** Names that take no value. */
  switches?: readonly string[]
}

/** As `readArguments`, with one argument of its own (`plugin new NAME`) and switches (`--js`). */
export function readCommandLine<Name extends string>(
  argv: readonly string[],
  { allowed, positional, switches = [] }: CommandLineForm<Name>,
): CommandLine<Name> {
  const values: Partial<Record<Name, string>> = {}
  const on = new Set<string>()
  const problems: string[] = []
  let found: string | undefined
  const known = (name: string): name is Name => Object.hasOwn(allowed, name)
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? ''
    const [, name = '', inline] = /^--([^=]+)(?:=([\s\S]*))?$/.exec(word) ?? []
    if (switches.includes(name) && inline === undefined) {
      on.add(name)
    } else if (!known(name)) {
      const isOwn = positional !== undefined && !word.startsWith('-') && found === undefined
      if (isOwn) {
        found = word
      } else {
        problems.push(notKnown(word, name, [...Object.keys(allowed), ...switches]))
        // What follows belongs to it: `--usr ann` is one problem, not two.
        if (name !== '' && inline === undefined && argv[i + 1]?.startsWith('-') === false) i++
      }
    } else {
      const value = inline ?? argv[++i]
      if (value === undefined || value === '') problems.push(`--${name} needs a value: --${name} ${allowed[name]}`)
      else values[name] = value
    }
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return { positional: found, values, switches: on }
}

function notKnown(word: string, name: string, names: readonly string[]): string {
  const close = names.length > 0 ? ` The nearest is --${nearest(name || word, names)}.` : ''
  return `${word} is not known here.${close}`
}

const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Milliseconds of `30s`, `15m`, `1h` or `7d`; null for anything else and for zero. */
export function parseDuration(text: string): number | null {
  const [, amount = '0', unit = 's'] = /^(\d{1,5})([smhd])$/.exec(text) ?? []
  const ms = Number(amount) * unitMs[unit as keyof typeof unitMs]
  return ms > 0 ? ms : null
}
