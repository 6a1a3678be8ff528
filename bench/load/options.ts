/** The command line of the bench. */
import { parseArgs } from 'node:util'
import type { Encoding } from '../../schemas/wire.ts'
import type { Env } from './server.ts'

export interface Options {
  scenario: string
  viewers: number
  talkers: number | undefined
  threads: number
  encoding: Encoding
  signedIn: boolean
  /** Shortest and longest text of a danmaku. */
  textBytes: { textBytesMin: number; textBytesMax: number }
  /** Messages a second; each scenario has its own default. */
  rate: number | undefined
  /** Seconds of load that are measured, warm-up aside. */
  seconds: number | undefined
  env: Env
  nodeFlags: readonly string[]
  date: string
  out: string
}

export const usage = `livehouse bench: real sockets on loopback against the engine as a real process

  npm run bench -- [scenario] [options]

  hot-room   1,000 viewers, 100 msg/s, engine beside raw uWebSockets.js; then 500 msg/s under the cap of 40/s   (default)
  saturate   1,000 viewers, 1,000 to 10,000 msg/s, no cap: deliveries a second and core
  quiet      1,000 viewers, 10 msg/s: the time from sending to receiving
  idle       10,000 idle connections in one room: memory of each
  plugins    a guard in each place a plugin can run in: CPU of the engine and time, saturated, at 5,000/s and at 20,000/s
  ledger     gifts acknowledged on disk: saturated, at 1,000/s, 5,000/s and 20,000/s; loop lag;
             beside no ledger, raw better-sqlite3 and, where it is installed, Postgres
  media      viewers of one picture: CPU of the media worker a packet, and the share of the node around it
  all        the seven of them

  --viewers N       connections in the room, talkers among them
  --talkers N       how many of them talk
  --rate N          messages a second (saturate: the highest)
  --seconds N       measured seconds of each figure
  --encoding E      json or proto: what the viewers speak (talkers speak JSON)
  --text-bytes N    every text of this length (at least 31); default: 84 to 120
  --signed-in       viewers carry tokens of users of their own; else they are anonymous
  --threads N       threads of the crowd (talkers and probes have one more)
  --engine A=B      an engine option by its environment name, for example LIVEHOUSE_TICK_MS_MAX=50; may be repeated
  --node-flag F     a flag for the engine's node, for example --node-flag=--cpu-prof; may be repeated
  --date D          the date that is written into the result; default: now
  --out DIR         where results are kept; default: bench/results
  --help`

export function parseOptions(args: readonly string[]): Options | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      viewers: { type: 'string' },
      talkers: { type: 'string' },
      rate: { type: 'string' },
      seconds: { type: 'string' },
      encoding: { type: 'string', default: 'json' },
      'text-bytes': { type: 'string' },
      'signed-in': { type: 'boolean', default: false },
      threads: { type: 'string', default: '1' },
      engine: { type: 'string', multiple: true, default: [] },
      'node-flag': { type: 'string', multiple: true, default: [] },
      date: { type: 'string', default: new Date().toISOString().slice(0, 10) },
      out: { type: 'string', default: 'bench/results' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const { encoding } = values
  if (encoding !== 'json' && encoding !== 'proto') throw new RangeError(`--encoding is json or proto, not ${encoding}`)
  const scenario = positionals[0] ?? 'hot-room'
  const textBytes = count('text-bytes', values['text-bytes'])
  return {
    scenario,
    viewers: count('viewers', values.viewers) ?? (scenario === 'idle' ? 10_000 : 1_000),
    talkers: count('talkers', values.talkers),
    threads: count('threads', values.threads) ?? 1,
    rate: count('rate', values.rate),
    seconds: count('seconds', values.seconds),
    encoding,
    signedIn: values['signed-in'],
    textBytes: { textBytesMin: textBytes ?? textBytesMin, textBytesMax: textBytes ?? textBytesMax },
    env: Object.fromEntries(values.engine.map(pair)),
    nodeFlags: values['node-flag'],
    date: values.date,
    out: values.out,
  }
}

const textBytesMin = 84
const textBytesMax = 120
const countMax = 1_000_000
function count(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > countMax)
    throw new RangeError(`--${name} is 1 to ${countMax}, not ${text}`)
  return value
}

function pair(text: string): [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new RangeError(`--engine takes NAME=VALUE, not ${text}`)
  return [text.slice(0, at), text.slice(at + 1)]
}
