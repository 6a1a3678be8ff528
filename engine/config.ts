/**
 * Every option of the engine, from one schema: defaults, then the file, then the environment, then flags.
 *
 * `tickMsMax` is `LIVEHOUSE_TICK_MS_MAX` in the environment and `--tick-ms-max` as a flag; what hosting platforms set by names of their
 * own (`DATABASE_URL`, `NATS_URL`) is read too, and the name of ours wins. An unknown option or a bad value stops the start with its name, the value, the allowed range and the nearest right name. Units and bounds stand last in a name.
 *
 *   const config = loadConfig({ argv: process.argv.slice(3), env: process.env })     what `livehouse serve` does
 *   const config = configFrom({ port: 0, dataDir: folder })                           defaults but for these, for embedding
 *
 * Both throw a `ConfigError` that lists every problem at once. The values of `secret` and `databaseUrl` are never shown.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Static, type TSchema, Type } from '@sinclair/typebox'

const int = (value: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: value, minimum, maximum, description })
const text = (value: string, description: string) => Type.String({ default: value, description })

const optionalId = '^[A-Za-z0-9_-]{0,64}$'
const optionalDatabase = '^(postgres(ql)?://.+)?$'

export const optionSchema = Type.Object(
  {
    host: text('127.0.0.1', 'Address of the public port. Other than loopback only with a secret.'),
    port: int(8080, 0, 65535, 'Public port: WebSocket /live, pages, /healthz. 0 picks a free one.'),
    adminHost: text('127.0.0.1', 'Address of the admin port.'),
    adminPort: int(8081, 0, 65535, 'Admin port: HTTP API, OpenAPI page, /metrics. 0 picks a free one.'),
    dataDir: text('.livehouse', 'Folder of core.db and of the generated secret.'),
    secret: text('', 'HS256 secret of the session tokens, at least 32 bytes. Empty: one is made and kept in dataDir.'),
    devLogin: Type.Unsafe<'auto' | 'on' | 'off'>(
      Type.String({
        default: 'auto',
        pattern: '^(auto|on|off)$',
        description:
          'POST /dev/token. auto: on when the public port is loopback, without proxies, NODE_ENV is not production and no secret is given.',
      }),
    ),
    demoRoom: Type.String({
      default: 'demo',
      pattern: optionalId,
      description: 'A room that exists and is open after every start. Empty: none.',
    }),
    demoCrowd: int(
      0,
      0,
      500,
      'Simulated viewers that our pages may call into the demo room, where devLogin is on. `npm start` sets 40.',
    ),
    logLevel: Type.Unsafe<'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'>(
      Type.String({
        default: 'info',
        pattern: '^(trace|debug|info|warn|error|silent)$',
        description: 'Lowest level that is logged.',
      }),
    ),
    trustedProxyHops: int(0, 0, 8, 'How many proxies in front add to X-Forwarded-For. 0: the socket address counts.'),
    pagesDir: text('', 'Folder of the built pages. Empty: the ones that came with the engine.'),

    // sockets and sessions
    connectionsMax: int(200_000, 1, 10_000_000, 'Sockets of this process.'),
    connectionsPerAddressMax: int(200, 0, 1_000_000, 'Sockets of one address, loopback exempt. 0: no bound.'),
    connectsPerAddressPerSMax: int(50, 0, 1_000_000, 'New sockets of one address per second, loopback exempt. 0: no bound.'),
    inboundFrameBytesMax: int(16_384, 256, 1_048_576, 'Largest frame from a client.'),
    jsonDepthMax: int(8, 2, 64, 'Deepest nesting of a JSON frame.'),
    openTimeoutMs: int(10_000, 100, 600_000, 'Time from connect to session.open.'),
    heartbeatMs: int(30_000, 1_000, 300_000, 'What clients are told; a socket silent for three of them is closed.'),
    inboxMax: int(64, 1, 10_000, 'Commands of one session that wait for their turn.'),
    commandsPerSMax: int(100, 1, 1_000_000, 'Commands of one session per second, burst twice that.'),
    refusalsBeforeCloseMax: int(500, 1, 1_000_000, 'Rate refusals within 10 s before the socket is closed.'),
    malformedBeforeCloseMax: int(20, 1, 1_000_000, 'Malformed frames of one socket before it is closed.'),
    roomsPerSessionMax: int(20, 1, 1_000, 'Rooms that one session has joined.'),
    sessionsPerUserMax: int(8, 1, 10_000, 'Open sessions of one signed-in user on this process.'),
    tokenGraceMs: int(60_000, 0, 3_600_000, 'Time from the expiry of a token to the close of its session.'),
    requestTimeoutMs: int(5_000, 50, 60_000, 'How long an edge waits for the home of a room.'),
    drainMs: int(5_000, 0, 600_000, 'On SIGTERM: how long clients get to leave by themselves.'),

    // rooms
    roomsMax: int(100_000, 1, 10_000_000, 'Rooms that exist.'),
    roomConnectionsMax: int(200_000, 1, 10_000_000, 'Sessions in one room.'),
    roomIdleMs: int(60_000, 100, 3_600_000, 'A closed, empty room leaves memory after this.'),
    presenceGraceMs: int(10_000, 0, 600_000, 'A user without a socket still counts as online for this long.'),
    onlineEveryMs: int(3_000, 100, 60_000, 'At most one room.online per this time, when it changed.'),
    anonymousPerAddressMax: int(
      20,
      0,
      1_000_000,
      'Anonymous viewers of one address that count as unique in a room. 0: no bound.',
    ),
    entriesPerSMax: int(2, 0, 1_000, 'room.user_joined per room and second.'),
    mutesPerRoomMax: int(10_000, 1, 1_000_000, 'Mutes, and likewise bans, kept per room.'),
    staffPerRoomMax: int(200, 1, 10_000, 'Roles granted per room.'),
    idemEntriesMax: int(10_000, 16, 10_000_000, 'Remembered idempotency keys per room.'),

    // danmaku
    danmakuPerClientMax: int(40, 0, 1_000_000, 'Danmaku per second that a client of a room receives. 0: no cap.'),
    danmakuCodePointsMax: int(40, 1, 1_000, 'Longest danmaku of a viewer.'),
    danmakuStaffCodePointsMax: int(100, 1, 1_000, 'Longest danmaku of the owner and staff.'),
    danmakuPerUserPerSMax: int(1, 1, 1_000_000, 'Danmaku of one user per second.'),
    danmakuPerUserBurstMax: int(3, 1, 1_000_000, 'Danmaku of one user at once.'),
    danmakuDuplicateMs: int(10_000, 0, 600_000, 'The same text by the same user within this time is refused. 0: off.'),
    roomIngestPerSMax: int(2_000, 1, 10_000_000, 'Danmaku that one room takes per second.'),
    heldPerRoomMax: int(1_000, 1, 1_000_000, 'Danmaku of one room kept back for review; past it more are refused.'),
    logDanmaku: Type.Boolean({ default: false, description: 'Append danmaku to the room log as well.' }),
    likeEveryMs: int(1_000, 100, 60_000, 'At most one like.changed per room in this time.'),
    totalsEveryMs: int(200, 10, 10_000, 'How often changed like and share totals go to disk; their answers wait for it.'),

    // gifts
    money: Type.Boolean({ default: true, description: 'Keep a ledger. Off: nothing that costs coins can be done.' }),
    databaseUrl: Type.String({
      default: '',
      pattern: optionalDatabase,
      description: 'Postgres database that holds the ledger, with its password. Empty: SQLite, in dataDir.',
    }),
    giftsPerUserPerSMax: int(20, 1, 1_000, 'Gifts of one user in one room per second.'),
    worldBannerCoin: int(10_000, 0, 1_000_000_000, 'A gift or combo worth this much is shown in every open room. 0: none.'),
    boardOffsetMinutes: int(0, -840, 840, 'Midnight of the daily boards, in minutes east of UTC.'),
    boardMembersMax: int(10_000, 100, 10_000_000, 'First of each board of a room that are kept in memory; the rest is on disk.'),
    boardsKeepDays: int(400, 1, 36_500, 'How long boards of past days, weeks and lives can be asked for.'),

    // media
    media: Type.Boolean({ default: true, description: 'Picture and sound: a media node beside the engine. Off: chat alone.' }),
    mediaListenIp: text('127.0.0.1', 'Address that picture and sound come in and go out at. 0.0.0.0: every one.'),
    mediaAnnouncedAddress: text('', 'What clients are told instead, behind an address translation. Empty: mediaListenIp.'),
    mediaPortBase: int(0, 0, 65_000, 'First of the media ports, one a worker, UDP and TCP. 0: any that is free.'),
    mediaWorkers: int(0, 0, 256, 'Media workers. 0: one a core.'),
    mediaProfile: Type.Unsafe<'720p30' | '1080p30' | '1080p60' | '2160p30'>(
      Type.String({
        default: '1080p30',
        pattern: '^(720p30|1080p30|1080p60|2160p30)$',
        description:
          'The best picture that a publisher may send, 2160p30 being 4K: 4, 8, 12 or 25 Mbit/s with all layers and sound.',
      }),
    ),
    mediaBitrateMax: int(0, 0, 100_000_000, 'Bits per second of one publisher, whatever the profile. 0: those of mediaProfile.'),
    mediasoupWorkerBin: text('', 'A media worker of your own. Empty: fetched, or built from its sources once.'),
    iceServers: text(
      '[]',
      'STUN and TURN servers that clients are told, as JSON: [{"urls":"turn:turn.example.org","username":"u","credential":"p"}].',
    ),

    // the mic
    micQueueMax: int(10, 1, 100, 'Viewers who wait for the mic of a room.'),
    micSeats: int(8, 1, 9, 'Seats on the mic of a room.'),
    micVideo: Type.Boolean({ default: true, description: 'Guests on the mic may show a picture. Off: voices alone.' }),

    // tick and fan-out
    tickMsMin: int(1, 0, 1_000, 'The first message after silence goes out after this.'),
    tickMsMax: int(100, 1, 1_000, 'The longest time between two frames of a busy room.'),
    flushShareBps: int(1_500, 1, 10_000, 'Share of the loop that frames may take before ticks grow.'),
    writeCostNs: int(10_000, 0, 1_000_000, 'What one frame to one viewer is taken to cost (one system call).'),
    frameBytesMax: int(65_536, 1_024, 1_048_576, 'Larger frames are split between events.'),
    highEventsPerTickMax: int(
      200,
      1,
      100_000,
      'High-lane events of one tick; past it its gifts are collapsed, with exact totals.',
    ),
    ringHighEventsMax: int(512, 1, 100_000, 'High-lane events kept for a resume.'),
    ringHighMs: int(60_000, 1_000, 3_600_000, 'How long they are kept.'),
    ringDanmakuMax: int(200, 1, 10_000, 'Danmaku kept for snapshots, resumes and replies.'),
    snapshotDanmakuMax: int(50, 0, 1_000, 'Newest danmaku in a snapshot or a resume.'),

    // slow readers
    bufferedBytesSoftMax: int(65_536, 1_024, 1_073_741_824, 'Unsent bytes that make a reader slow.'),
    bufferedBytesHardMax: int(1_048_576, 1_024, 1_073_741_824, 'Unsent bytes that close a socket.'),
    lagMsMax: int(5_000, 0, 600_000, 'Round trip of an in-band ping that makes a reader slow. 0: off.'),
    lagProbeEveryMs: int(10_000, 100, 600_000, 'How often a socket with traffic is pinged in-band.'),
    slowCloseMs: int(30_000, 100, 3_600_000, 'A reader slow for this long is closed.'),
    scanPerTickMax: int(250, 1, 1_000_000, 'Sockets looked at for unsent bytes after a tick.'),

    // plugins
    plugins: text(
      '',
      'Plugins that are there at every start: files, or names of those that come with the engine (`monetization`), comma separated, each with @inline or @worker (default) behind it.',
    ),
    pluginsDir: text('', 'Folder from which operators may attach plugins through the admin API. Empty: none.'),
    natsUrl: text('', 'NATS server for plugins in processes of their own. Empty: none.'),
    pluginsApproved: text('', 'Remote plugins that get what they ask for without being approved: names, comma separated.'),
    chargeOwner: text('', 'The one plugin that may decide prices. Empty: none.'),
    pluginsMax: int(32, 1, 64, 'Plugins that are known.'),
    pluginDrainMs: int(5_000, 0, 60_000, 'How long a plugin that is detached or replaced gets for what is under way.'),
    pluginHighPerRoomPerSMax: int(20, 0, 1_000, 'High-lane events of one plugin in one room per second.'),
    pluginEventsPerRoomPerSMax: int(100, 0, 10_000, 'Other events of one plugin in one room per second.'),
    pluginEventBytesMax: int(16_384, 256, 262_144, 'Largest event of a plugin.'),
    pluginCallsPerSMax: int(2_000, 1, 1_000_000, 'Calls of one plugin to the engine per second.'),
    pluginLiveEventsMax: int(1_000, 1, 1_000_000, 'Events in no log that wait for one plugin.'),
    jetStream: Type.Boolean({ default: false, description: 'Copy the room log to JetStream of the NATS server.' }),

    // store
    storeQueueMax: int(100_000, 16, 10_000_000, 'Writes that wait for the disk; past it changes are refused.'),
    roomLogDays: int(7, 1, 3_650, 'How long the room log is kept.'),
  },
  { additionalProperties: false },
)

export type Config = Readonly<Static<typeof optionSchema>>
export type OptionName = keyof typeof optionSchema.properties
export const options = optionSchema.properties as Record<OptionName, TSchema & { description: string }>

/** The configuration cannot be used. `problems` has one line each; the message is all of them. */
export class ConfigError extends Error {
  readonly code = 'config.invalid'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

const names = Object.keys(options) as OptionName[]
const isOption = (name: string): name is OptionName => Object.hasOwn(options, name)
const separated = (name: string, separator: string) => name.replace(/[A-Z]/g, (letter) => separator + letter.toLowerCase())

/** Values that are never shown and that no flag takes: everybody on the machine can read flags. */
const hidden: readonly OptionName[] = ['secret', 'databaseUrl']

export const envName = (name: OptionName): string => `LIVEHOUSE_${separated(name, '_').toUpperCase()}`
export const flagName = (name: OptionName): string => `--${separated(name, '-')}`

const byEnv = new Map(names.map((name) => [envName(name), name]))
const byFlag = new Map(names.map((name) => [flagName(name), name]))
const configEnv = 'LIVEHOUSE_CONFIG'
/** No option: what `livehouse plugin run` proves itself with. It may be exported beside any command. */
export const pluginTokenEnv = 'LIVEHOUSE_PLUGIN_TOKEN'
const otherEnv = [configEnv, pluginTokenEnv]
/** The names under which platforms hand out what they run. */
const aliasEnv: Readonly<Record<string, OptionName>> = { DATABASE_URL: 'databaseUrl', NATS_URL: 'natsUrl' }
const configFlag = '--config'

export type OptionType = 'integer' | 'boolean' | 'string'
export type OptionInfo = {
  name: OptionName
  env: string
  /** Another name in the environment; empty: none. */
  alias: string
  /** Empty for `secret` and `databaseUrl`: flags can be read by everybody on the machine. */
  flag: string
  type: OptionType
  default: number | boolean | string
  /** Allowed values in words: `a whole number from 0 to 65535`, `true or false`, `auto, on or off`. */
  allowed: string
  description: string
}

/** Every option with its names, default and allowed values, in the order of the schema: for `--help` and the docs. */
export function describeOptions(): OptionInfo[] {
  return names.map((name) => ({
    name,
    env: envName(name),
    alias: Object.keys(aliasEnv).find((written) => aliasEnv[written] === name) ?? '',
    flag: hidden.includes(name) ? '' : flagName(name),
    type: options[name].type as OptionType,
    default: options[name].default as OptionInfo['default'],
    allowed: allowed(name),
    description: options[name].description,
  }))
}

/** The words of a pattern `^(a|b|c)$`. */
const choices = (pattern: string) => pattern.slice(2, -2).split('|')

function allowed(name: OptionName): string {
  const option = options[name]
  if (option.type === 'integer') return `a whole number from ${option.minimum} to ${option.maximum}`
  if (option.type === 'boolean') return 'true or false'
  if (!option.pattern) return 'a text'
  if (option.pattern === optionalDatabase) return 'a URL like postgres://user:password@host:5432/database, or empty'
  if (option.pattern === optionalId) return 'an id of at most 64 letters, digits, _ and -, or empty'
  const words = choices(option.pattern)
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}

/** Single-character edits that make one word of the other. */
export function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}

const wordsOf = (name: string) =>
  separated(name.replace(/^LIVEHOUSE_/i, ''), ' ')
    .toLowerCase()
    .match(/[a-z0-9]+/g) ?? []
const spelledOut = (name: string) => (/[a-z]/.test(name) ? wordsOf(name) : wordsOf(name.toLowerCase()))

/** Neither the way of spelling (`--tick-ms-max`, `tick_ms_max`) nor, but for one edit, the order of the words counts. */
function unlikeness(wrong: string, word: string): number {
  const [from, to] = [spelledOut(wrong), spelledOut(word)]
  const inOrder = editDistance(from.join(''), to.join(''))
  return Math.min(inOrder, editDistance(from.toSorted().join(''), to.toSorted().join('')) + 1)
}

/** The word most like `wrong`. */
export function nearest(wrong: string, words: Iterable<string>): string {
  let best = ''
  let least = Number.POSITIVE_INFINITY
  for (const word of words) {
    const distance = unlikeness(wrong, word)
    if (distance < least) [best, least] = [word, distance]
  }
  return best
}

type Value = number | boolean | string
type Values = Partial<Record<OptionName, Value>>
/** One source's reading: the values that are good, and a line for each that is not. `from`: the name as it was written. */
type Reading = { values: Values; from: Partial<Record<OptionName, string>>; problems: string[] }
const reading = (): Reading => ({ values: {}, from: {}, problems: [] })

const shown = (name: OptionName, value: unknown) => (hidden.includes(name) ? 'the value (not shown)' : JSON.stringify(value))

function take(into: Reading, name: OptionName, written: string, value: unknown): void {
  if (fits(name, value)) {
    into.values[name] = value
    into.from[name] = written
  } else into.problems.push(`${written}: ${shown(name, value)} is not ${allowed(name)}.`)
}

function fits(name: OptionName, value: unknown): value is Value {
  const option = options[name]
  if (option.type === 'boolean') return typeof value === 'boolean'
  if (option.type === 'integer')
    return Number.isSafeInteger(value) && Number(value) >= option.minimum && Number(value) <= option.maximum
  return typeof value === 'string' && (!option.pattern || new RegExp(option.pattern).test(value))
}

/** A text from the environment or a flag as the type of the option; what cannot be read stays a text and is refused. */
function parsed(name: OptionName, value: string): unknown {
  const type = options[name].type
  if (type === 'integer') return /^-?\d{1,15}$/.test(value) ? Number(value) : value
  if (type === 'boolean') return value === 'true' || value === '1' ? true : value === 'false' || value === '0' ? false : value
  return value
}

function readFile(path: string, mustExist: boolean): Reading {
  const into = reading()
  let content: unknown
  try {
    content = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (missing && !mustExist) return into
    into.problems.push(missing ? `${path}: no such file.` : `${path}: cannot be read as JSON (${(error as Error).message}).`)
    return into
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    into.problems.push(`${path}: must hold one JSON object, {"port": 8080}.`)
    return into
  }
  for (const [name, value] of Object.entries(content)) {
    const written = `${path}: ${name}`
    if (isOption(name)) take(into, name, written, value)
    else into.problems.push(`${written} is not an option. The nearest is ${nearest(name, names)}.`)
  }
  return into
}

function readEnv(env: NodeJS.ProcessEnv): Reading {
  const into = reading()
  for (const [written, name] of Object.entries(aliasEnv)) {
    const value = env[written]
    if (value !== undefined && env[envName(name)] === undefined) take(into, name, written, parsed(name, value))
  }
  for (const [written, value] of Object.entries(env)) {
    if (!written.startsWith('LIVEHOUSE_') || otherEnv.includes(written) || value === undefined) continue
    const name = byEnv.get(written)
    if (name) take(into, name, written, parsed(name, value))
    else into.problems.push(`${written} is not an option. The nearest is ${nearest(written, [...byEnv.keys(), ...otherEnv])}.`)
  }
  return into
}

type Flags = Reading & { file?: string }

function readFlags(argv: readonly string[]): Flags {
  const into: Flags = reading()
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] ?? ''
    const equals = argument.indexOf('=')
    const flag = equals < 0 ? argument : argument.slice(0, equals)
    const inline = equals < 0 ? undefined : argument.slice(equals + 1)
    const following = argv[i + 1]
    if (readFlag(into, flag, inline, following)) i++
  }
  return into
}

/** Whether the flag used up the argument that follows it. */
function readFlag(into: Flags, flag: string, inline: string | undefined, following: string | undefined): boolean {
  const switchedOff = flag.startsWith('--no-') ? byFlag.get(`--${flag.slice(5)}`) : undefined
  if (switchedOff && options[switchedOff].type === 'boolean' && inline === undefined) {
    take(into, switchedOff, flag, false)
    return false
  }
  const name = byFlag.get(flag)
  if (name && hidden.includes(name)) {
    into.problems.push(`${flag}: everybody on this machine can read flags. Use ${envName(name)}.`)
    return inline === undefined && following !== undefined && !following.startsWith('--')
  }
  if (!name && flag !== configFlag) {
    into.problems.push(unknownFlag(flag))
    return inline === undefined && flag.startsWith('--') && following !== undefined && !following.startsWith('--')
  }
  if (name && options[name].type === 'boolean' && inline === undefined) {
    const spelled = following === 'true' || following === 'false'
    take(into, name, flag, spelled ? following === 'true' : true)
    return spelled
  }
  const value = inline ?? (following?.startsWith('--') ? undefined : following)
  if (value === undefined) into.problems.push(`${flag} needs a value: ${name ? allowed(name) : 'the path of a JSON file'}.`)
  else if (name) take(into, name, flag, parsed(name, value))
  else into.file = value
  return inline === undefined && value !== undefined
}

function unknownFlag(flag: string): string {
  if (!flag.startsWith('-')) return `${JSON.stringify(flag)} is not expected here: options begin with --.`
  return `${flag} is not an option. The nearest is ${nearest(flag, [...byFlag.keys(), configFlag])}.`
}

/** Whether only this machine can reach a listener on `host`. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)
}

const secretBytesMin = 32

/** What no single value shows. `called` gives the name that the user wrote. */
function crossProblems(config: Config, called: (name: OptionName) => string): string[] {
  const problems: string[] = []
  const open = !isLoopback(config.host)
  const secretBytes = Buffer.byteLength(config.secret)
  const host = `${called('host')}: ${JSON.stringify(config.host)}`
  for (const name of ['host', 'adminHost', 'dataDir'] as const) {
    if (config[name] === '')
      problems.push(`${called(name)}: "" is empty. Leave it out for ${JSON.stringify(options[name].default)}.`)
  }
  if (open && config.host !== '' && secretBytes === 0) {
    problems.push(
      `${host} can be reached from other machines, which needs a secret of your own. Set ${envName('secret')} to at least ${secretBytesMin} bytes, for example from: openssl rand -base64 48`,
    )
  }
  if (!isLoopback(config.adminHost) && config.adminHost !== '' && secretBytes === 0) {
    problems.push(
      `${called('adminHost')}: ${JSON.stringify(config.adminHost)} can be reached from other machines, which needs a secret of your own (${envName('secret')}). /metrics and /docs ask for no token: keep strangers off that port.`,
    )
  }
  if (secretBytes > 0 && secretBytes < secretBytesMin) {
    problems.push(
      `${called('secret')}: the value (not shown) has ${secretBytes} bytes and needs at least ${secretBytesMin}, for example from: openssl rand -base64 48`,
    )
  }
  if (open && config.devLogin === 'on') {
    problems.push(
      `${called('devLogin')}: "on" gives everybody a token and is allowed on loopback only, but ${host}. Use auto or off.`,
    )
  }
  for (const [low, high] of ordered) {
    if (config[low] > config[high]) problems.push(`${called(low)}: ${config[low]} is more than ${called(high)}: ${config[high]}.`)
  }
  if (!readIceServers(config.iceServers))
    problems.push(`${called('iceServers')}: is not a JSON list of at most ${iceServersMax} {"urls", "username", "credential"}.`)
  if (
    config.media &&
    (config.mediaListenIp === '0.0.0.0' || config.mediaListenIp === '::') &&
    config.mediaAnnouncedAddress === ''
  ) {
    problems.push(
      `${called('mediaListenIp')}: "${config.mediaListenIp}" is no address that a client can be told. Set ${envName('mediaAnnouncedAddress')}.`,
    )
  }
  if (config.port !== 0 && config.port === config.adminPort && config.host === config.adminHost) {
    problems.push(`${called('adminPort')}: ${config.adminPort} is also ${called('port')}. The two need different ports.`)
  }
  return problems
}

export interface IceServer {
  urls: string[]
  username?: string
  credential?: string
}
const iceServersMax = 8
const iceUrlPattern = /^(stuns?|turns?):[A-Za-z0-9.:[\]_-]{1,200}(\?transport=(udp|tcp))?$/
/** Of what becomes a header: nothing that ends a quoted text. */
const iceWordPattern = /^[^"\\\p{Cc}]{1,256}$/u

/** Undefined when the text is no list of servers. */
export function readIceServers(json: string): IceServer[] | undefined {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    return undefined
  }
  if (!Array.isArray(value) || value.length > iceServersMax) return undefined
  const servers = value.map(readIceServer)
  return servers.every((server) => server !== undefined) ? servers : undefined
}

function readIceServer(value: unknown): IceServer | undefined {
  const { urls, username, credential, ...rest } = Object(value) as Record<string, unknown>
  const list: unknown[] = Array.isArray(urls) ? urls : [urls]
  const isUrl = (url: unknown): url is string => typeof url === 'string' && iceUrlPattern.test(url)
  const isWord = (word: unknown): word is string | undefined =>
    word === undefined || (typeof word === 'string' && iceWordPattern.test(word))
  if (Object.keys(rest).length > 0 || list.length === 0 || list.length > iceServersMax) return undefined
  if (!list.every(isUrl) || !isWord(username) || !isWord(credential)) return undefined
  return { urls: list, ...(username === undefined ? {} : { username }), ...(credential === undefined ? {} : { credential }) }
}

/** Pairs of which the first must not be more than the second. */
const ordered = [
  ['bufferedBytesSoftMax', 'bufferedBytesHardMax'],
  ['tickMsMin', 'tickMsMax'],
] as const satisfies readonly (readonly [OptionName, OptionName])[]

const defaults = () => Object.fromEntries(names.map((name) => [name, options[name].default])) as Config

function finished(values: Values, from: Reading['from'], problems: string[]): Config {
  const config = Object.freeze({ ...defaults(), ...values }) as Config
  const called = (name: OptionName) => from[name] ?? name
  const all = [...problems, ...crossProblems(config, called)]
  if (all.length > 0) throw new ConfigError(all)
  return config
}

/** The defaults but for `values`, checked and frozen. */
export function configFrom(values: Partial<Config> = {}): Config {
  const into = reading()
  for (const [name, value] of Object.entries(values)) {
    if (isOption(name)) take(into, name, name, value)
    else into.problems.push(`${name} is not an option. The nearest is ${nearest(name, names)}.`)
  }
  return finished(into.values, into.from, into.problems)
}

export type ConfigSources = {
  /** Flags alone, without the program and the command. */
  argv?: readonly string[]
  env?: NodeJS.ProcessEnv
  /** Where `livehouse.json` may lie and relative paths of the file begin. */
  cwd?: string
}

/** Defaults < `livehouse.json` (or `--config FILE`, `LIVEHOUSE_CONFIG`) < environment < flags. */
export function loadConfig({ argv = [], env = {}, cwd = process.cwd() }: ConfigSources = {}): Config {
  const flags = readFlags(argv)
  const environment = readEnv(env)
  const chosen = flags.file ?? env[configEnv]
  const file = readFile(chosen === undefined ? resolve(cwd, 'livehouse.json') : resolve(cwd, chosen), chosen !== undefined)
  return finished(
    { ...file.values, ...environment.values, ...flags.values },
    { ...file.from, ...environment.from, ...flags.from },
    [...file.problems, ...environment.problems, ...flags.problems],
  )
}
