#!/usr/bin/env node
/**
 * The `livehouse` command: serve, plugin, media, backup, restore, token, crowd, doctor, nats-config. What a command needs is loaded when it runs, so that help is quick and a
 * broken native part cannot keep `doctor` from naming it.
 *
 *   livehouse serve --port 9000
 *   livehouse token --user viewer1 --ttl 1h
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseDuration, readArguments } from './arguments.ts'
import { packageVersion } from './base/package.ts'
import { backupHelp, restoreHelp } from './cli/backup-help.ts'
import { mediaHelp, runMediaVerb } from './cli/media.ts'
import { natsConfig } from './cli/nats-config.ts'
import { pluginHelp, runPluginVerb } from './cli/plugin.ts'
import { CommandError, complain, print, stopSignal } from './cli/terminal.ts'
import { type Config, ConfigError, describeOptions, loadConfig, nearest } from './config.ts'
import type { Engine } from './engine.ts'

type Command = { summary: string; help: () => string; run: (argv: readonly string[]) => Promise<number> }

const commands: Record<string, Command> = {
  serve: { summary: 'Run the engine: the live port, the pages and the admin port.', help: serveHelp, run: serve },
  plugin: {
    summary: 'Write, try, run and approve plugins: livehouse plugin --help.',
    help: pluginHelp,
    run: (argv) => runPluginVerb(argv),
  },
  media: { summary: 'Bring the program that moves audio and video.', help: mediaHelp, run: runMediaVerb },
  backup: {
    summary: 'Copy everything that must not be lost, while the engine runs.',
    help: backupHelp,
    run: async (argv) => (await import('./cli/backup.ts')).backup(argv),
  },
  restore: {
    summary: 'Make a data folder from a backup.',
    help: restoreHelp,
    run: async (argv) => (await import('./cli/restore.ts')).restore(argv),
  },
  token: { summary: 'Print a signed token for a user.', help: tokenHelp, run: token },
  crowd: { summary: 'Fill a room with simulated viewers that talk and like.', help: crowdHelp, run: crowd },
  doctor: { summary: 'Check this machine, with a remedy for each problem.', help: doctorHelp, run: doctor },
  'nats-config': {
    summary: 'Print a configuration for nats-server: users with the least rights.',
    help: natsConfigHelp,
    run: printNatsConfig,
  },
}

// help

function help(): string {
  const list = Object.entries(commands).map(([name, command]) => `  ${name.padEnd(11)} ${command.summary}`)
  return `livehouse ${packageVersion()}: a real-time live-room engine

  livehouse COMMAND [options]

${list.join('\n')}
  help        Show this, or a command: livehouse help serve

Examples
  livehouse serve                               the engine on http://127.0.0.1:8080
  livehouse serve --port 9000 --log-danmaku
  livehouse plugin new hello                    a plugin of your own
  livehouse plugin dev ./plugin.ts              an engine to try it in
  livehouse media build-worker                  what moves audio and video, now instead of at the first start
  livehouse media build-worker --again
  livehouse backup /backups/monday              ledger, rooms and plugins, looked through
  livehouse token --user viewer1                a token to sign in with, valid for 1 h
  livehouse token --user ops --scope operator --ttl 15m
  livehouse crowd                               a crowd in the room demo, to see it live
  livehouse crowd --help                        how many, how loud, where
  livehouse doctor                              what is installed, which ports are free
  livehouse doctor --json

Options come from, the later winning: their defaults, livehouse.json in this folder (or --config FILE), the environment
(LIVEHOUSE_PORT=9000), flags (--port 9000). An option that does not exist stops the start. All of them: livehouse serve --help`
}

function serveHelp(): string {
  const rows = describeOptions().map(({ name, env, alias, flag, type, default: value, allowed, description }) => {
    const range = type === 'integer' ? allowed.replace('a whole number from ', '').replace(' to ', '..') : allowed
    return `  ${flag || `(no flag for ${name})`}\n      ${description}\n      ${env}${alias && ` or ${alias}`}, default ${JSON.stringify(value)}, ${range}`
  })
  return `livehouse serve [options]

Runs the engine until SIGTERM or Ctrl-C: clients are told to come back, what is under way ends, then it exits.

Examples
  livehouse serve --port 9000 --data-dir /var/lib/livehouse
  LIVEHOUSE_SECRET=$(openssl rand -base64 48) livehouse serve --host 0.0.0.0

Each option can stand in a JSON file by its name ({"tickMsMax": 50}; livehouse.json here, or --config FILE), in the environment
and as a flag; the later wins. A switch is --log-danmaku or --no-log-danmaku.

${rows.join('\n')}`
}

function tokenHelp(): string {
  return `livehouse token --user ID [--name NAME] [--scope SCOPE] [--ttl 1h]

Prints a signed token alone, for session.open or for the admin API. It is signed with LIVEHOUSE_SECRET, or with the secret that
serve keeps in the data folder: use the same folder.

  --user ID         letters, digits, _ and -, at most 64
  --name NAME       what others see; the id if left out
  --scope SCOPE     operator: the admin API; patrol: moderates in every room; streamer: may create rooms
                    money:read, money:write, audit:read, backup: those parts of the admin API; several in quotes
  --ttl 1h          30s, 15m, 1h, 7d
  --data-dir DIR    the data folder of serve (.livehouse)
  --config FILE     the configuration of serve

Examples
  livehouse token --user viewer1 --name "Viewer One"
  livehouse token --user ops --scope operator --ttl 15m`
}

function crowdHelp(): string {
  return `livehouse crowd [--viewers 50] [--rate 3] [--minutes 10] [--room demo] [--url ws://127.0.0.1:8080/live]

Connects simulated viewers to a running engine through its public port, as any client does. They talk and like, and leave after
--minutes. Engines on this machine only.

  --viewers N       1 to 2000
  --rate N          danmaku a second of the whole crowd
  --minutes N       how long
  --room ID         the room
  --url ADDRESS     the engine (LIVEHOUSE_PORT is taken into account)
  --data-dir DIR    where the engine's secret is, when it gives no tokens itself

Examples
  livehouse crowd --viewers 200 --rate 20
  livehouse crowd --room demo --minutes 1`
}

function doctorHelp(): string {
  return `livehouse doctor [--json] [options of serve]

Looks at Node, the native parts, the pages, the data folder, the ports and the limits. Ends with 1 if there is a problem.

Examples
  livehouse doctor
  livehouse doctor --json --port 9000`
}

// serve

async function serve(argv: readonly string[]): Promise<number> {
  const config = loadConfig({ argv, env: process.env })
  const { startEngine } = await import('./engine.ts')
  let engine: Engine
  try {
    engine = await startEngine(config)
  } catch (error) {
    complain(startFailure(error, config))
    return 1
  }
  print(welcome(engine, config))
  await stopSignal()
  print('\nStopping: clients are told to come back. Once more to stop at once.')
  await engine.stop()
  print('Stopped.')
  return 0
}

function welcome(engine: Engine, config: Config): string {
  const at = (path: string, base: string) => new URL(path, base).href
  const room = config.demoRoom ? `?room=${encodeURIComponent(config.demoRoom)}` : ''
  const live = at('/live', engine.publicUrl).replace(/^http/, 'ws')
  return `
Livehouse ${packageVersion()} is live.

  Watch        ${at(`/watch/${room}`, engine.publicUrl)}
  Stream       ${at(`/studio/${room}`, engine.publicUrl)}
  All rooms    ${at('/', engine.publicUrl)}
  WebSocket    ${live}
  Admin API    ${at('/docs', engine.adminUrl)}
  Metrics      ${at('/metrics', engine.adminUrl)}
${config.demoRoom ? `\nThe room "${config.demoRoom}" is open. A crowd for it, from another terminal: npx livehouse crowd${config.port === 8080 ? '' : ` --url ${live}`}` : ''}
Ctrl-C stops it.`
}

function startFailure(error: unknown, config: Config): string {
  const { code, message, remedy, stack } = error as NodeJS.ErrnoException & { remedy?: string }
  if (code === 'EADDRINUSE' || code === 'gateway.listen') {
    return `The engine did not start: ${message}\nIf another program uses that port: choose others with --port and --admin-port (now ${config.port} and ${config.adminPort}), or stop it; this shows who: ss -ltnp`
  }
  if (code === 'EACCES')
    return `The engine did not start: ${message}\nPorts below 1024 and folders of others need rights; livehouse doctor checks them.`
  if (remedy) return `The engine did not start: ${message}\n${remedy}`
  return `The engine did not start: ${code ? message : (stack ?? String(error))}\nlivehouse doctor shows what is missing.`
}

// token, crowd, doctor

const tokenArguments = { user: 'ID', name: 'NAME', scope: 'SCOPE', ttl: '1h', 'data-dir': 'DIR', config: 'FILE' }

async function token(argv: readonly string[]): Promise<number> {
  const { user, name, scope, ttl = '1h', 'data-dir': dataDir, config: file } = readArguments(argv, tokenArguments)
  const ttlMs = parseDuration(ttl)
  const [{ loadSecret, reservedIdPrefixes, signToken }, { SystemClock }] = await Promise.all([
    import('./edge/tokens.ts'),
    import('./base/clock.ts'),
  ])
  const reserved = reservedIdPrefixes.find((prefix) => user?.startsWith(prefix))
  const problems: string[] = []
  if (user === undefined) problems.push('--user is missing: livehouse token --user viewer1')
  else if (!/^[A-Za-z0-9_-]{1,64}$/.test(user))
    problems.push(`--user: ${JSON.stringify(user)} is not 1 to 64 of letters, digits, _ and -.`)
  else if (reserved !== undefined)
    problems.push(`--user: ${JSON.stringify(user)} begins with ${reserved}, which is for ids that only the engine gives.`)
  if (ttlMs === null) problems.push(`--ttl: ${JSON.stringify(ttl)} is not a time like 30s, 15m, 1h or 7d.`)
  if (problems.length > 0 || user === undefined || ttlMs === null) throw new ConfigError(problems)
  const flags = [...(dataDir === undefined ? [] : [`--data-dir=${dataDir}`]), ...(file === undefined ? [] : [`--config=${file}`])]
  const config = loadConfig({ argv: flags, env: process.env })
  const claims = { sub: user, ...(name === undefined ? {} : { name }), ...(scope === undefined ? {} : { scope }), ttlMs }
  const secretFile = join(config.dataDir, 'secret')
  if (config.secret === '' && !existsSync(secretFile))
    complain(
      `There was no secret in ${config.dataDir}: one is made now. An engine that uses another folder will not take this token.`,
    )
  print(await signToken(await loadSecret(config), claims, new SystemClock().now()))
  return 0
}

async function crowd(argv: readonly string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    print(crowdHelp())
    return 0
  }
  const { runCrowd } = await import('./crowd.ts')
  return runCrowd([...argv])
}

async function doctor(argv: readonly string[]): Promise<number> {
  const { runDoctor } = await import('./doctor.ts')
  const { healthy, text } = await runDoctor({ argv, env: process.env })
  print(text)
  return healthy ? 0 : 1
}

function natsConfigHelp(): string {
  return `livehouse nats-config [--plugins NAME,NAME]

Prints a configuration for nats-server with a user for the engine and one for each plugin that may use its own subjects alone. Each run
makes new passwords.

Examples
  livehouse nats-config --plugins word-filter,trivia > nats.conf && nats-server -c nats.conf
  livehouse nats-config > nats.conf`
}

async function printNatsConfig(argv: readonly string[]): Promise<number> {
  const { plugins = '' } = readArguments(argv, { plugins: 'NAME,NAME' })
  const names = plugins.split(',').map((name) => name.trim())
  process.stdout.write(natsConfig(names.filter((name) => name !== '')))
  return 0
}

// the way in

const commandNamed = (name: string) => (Object.hasOwn(commands, name) ? commands[name] : undefined)
const wantsHelp = (argv: readonly string[]) => argv.includes('--help') || argv.includes('-h')

function showHelp(name: string | undefined): number {
  const command = name === undefined ? undefined : commandNamed(name)
  if (name !== undefined && !command) return unknownCommand(name)
  print(command ? command.help() : help())
  return 0
}

function unknownCommand(name: string): number {
  complain(
    `${JSON.stringify(name)} is not a command. The nearest is ${nearest(name, Object.keys(commands))}. All: livehouse --help`,
  )
  return 1
}

async function main([name, ...argv]: readonly string[]): Promise<number> {
  if (name === 'help' && argv[0] === 'plugin') return runPluginVerb(['help', ...argv.slice(1)])
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') return showHelp(argv[0])
  if (name === '--version' || name === '-v') {
    print(packageVersion())
    return 0
  }
  const command = commandNamed(name)
  if (!command) return unknownCommand(name)
  // The crowd and plugin explain their own options.
  if (wantsHelp(argv) && name !== 'crowd' && name !== 'plugin') return showHelp(name)
  return command.run(argv)
}

try {
  const code = await main(process.argv.slice(2))
  // Not at once: what is still on its way to a pipe would be cut off.
  process.stdout.write('', () => process.exit(code))
} catch (error) {
  complain(
    error instanceof ConfigError || error instanceof CommandError ? error.message : String((error as Error).stack ?? error),
  )
  // What a command has begun (a watch, a line to a server) must not keep a failure waiting.
  process.stderr.write('', () => process.exit(1))
}
