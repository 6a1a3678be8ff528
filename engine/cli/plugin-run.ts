/**
 * `livehouse plugin run FILE`: a plugin in this process, attached over NATS to every engine there, until SIGTERM.
 *
 *     livehouse plugin run ./plugin.ts --nats nats://10.0.0.5:4222 --token lhp.hello.xxxx
 */
import { SystemClock } from '../base/clock.ts'
import { createLog, type LogLevel } from '../base/log.ts'
import { safeNatsUrl } from '../base/nats.ts'
import { packageVersion } from '../base/package.ts'
import { loadConfig, pluginTokenEnv } from '../config.ts'
import { remoteSecret } from '../plugin/remote/attach-remote.ts'
import { runPlugin } from '../plugin/remote/run.ts'
import { pluginToken, readPluginToken } from '../plugin/remote/sealed.ts'
import { engineSecret, hasSecret, pluginFrom } from './plugin-file.ts'
import { CommandError, print, stopSignal } from './terminal.ts'

export interface RunFlags {
  file: string
  nats: string | undefined
  token: string | undefined
  dataDir: string | undefined
  logLevel: string | undefined
}

const levels = ['trace', 'debug', 'info', 'warn', 'error', 'silent']
const waitNoticeMs = 3_000

export async function runHere({ file, nats, token, dataDir, logLevel = 'warn' }: RunFlags): Promise<number> {
  if (!levels.includes(logLevel)) throw new CommandError(`--log-level: ${logLevel} is none of ${levels.join(', ')}.`)
  const stopped = stopSignal()
  const { plugin, manifest } = await pluginFrom(file)
  const config = loadConfig({ argv: dataDir === undefined ? [] : [`--data-dir=${dataDir}`], env: process.env })
  const natsUrl = nats ?? (config.natsUrl || 'nats://127.0.0.1:4222')
  const key = await tokenFor(manifest.name, token ?? process.env[pluginTokenEnv], config)
  const clock = new SystemClock()
  const said = new Set<string>()
  const once = (line: string) => {
    if (!said.has(line)) print(line)
    said.add(line)
  }
  print(`${manifest.name} ${manifest.version} looks for engines on ${safeNatsUrl(natsUrl)}. Ctrl-C stops it.`)
  const running = runPlugin({
    plugin,
    natsUrl,
    token: key,
    clock,
    log: createLog({ level: logLevel as LogLevel, name: `plugin ${manifest.name}` }),
    sdk: packageVersion(),
    onAttached: (engine, instance) =>
      print(
        `Attached to the engine ${engine} as ${instance}. If it waits for approval: livehouse plugin approve ${manifest.name}`,
      ),
    onRefused: ({ code, msg }) => once(`The engine refuses it: ${msg} (${code}).${remedy(code, manifest.name)} Trying again.`),
  })
  const notice = clock.after(waitNoticeMs, () => {
    if (running.engines === 0)
      print('No engine yet. It needs --nats-url with the same server, and this plugin a token of that engine.')
  })
  await stopped
  notice.cancel()
  print('Stopping: what is under way ends first.')
  await running.stop()
  print('Stopped.')
  return 0
}

const remedy = (code: string, name: string): string =>
  ({
    'plugin.disabled': ` livehouse plugin enable ${name}`,
    'plugin.version': ' Bring both to the same release of livehouse.',
    'plugin.exists': ' Detach the one in the engine first, or give this one another name.',
  })[code] ?? ''

async function tokenFor(name: string, given: string | undefined, config: { secret: string; dataDir: string }): Promise<string> {
  if (given !== undefined && given !== '') {
    const token = readPluginToken(given)
    if (!token)
      throw new CommandError('The token is none: it looks like lhp.<name>.<43 characters>; livehouse plugin token prints it.')
    if (token.name !== name)
      throw new CommandError(`The token is that of ${token.name}, the plugin is called ${name}: livehouse plugin token ${name}`)
    return given.trim()
  }
  if (!hasSecret(config))
    throw new CommandError(
      `No token: set ${pluginTokenEnv} or give --token. On the engine's machine, livehouse plugin token ${name} prints it; there --data-dir DIR does as well.`,
    )
  print(`Using the secret in ${config.secret === '' ? config.dataDir : 'LIVEHOUSE_SECRET'} to make a token for ${name}.`)
  return pluginToken(remoteSecret(await engineSecret(config)), name)
}
