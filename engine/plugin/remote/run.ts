/**
 * A plugin in a process of its own: `livehouse plugin run ./my-plugin.ts`. It attaches to every engine on the NATS server, again after
 * any of them was away, and ends when `stop` was asked for and all that was under way is done.
 *
 *     const running = runPlugin({ plugin, natsUrl, token, clock, log, sdk })
 *     process.once('SIGTERM', () => void running.stop())
 *     await running.ended
 */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { connectNats } from '../../base/nats.ts'
import type { AnyPlugin } from '../define.ts'
import { manifestOf } from '../manifest.ts'
import { Served } from '../places/serve.ts'
import { attachToEngines } from './remote-client.ts'

export interface RunOptions {
  plugin: AnyPlugin
  natsUrl: string
  /** From `livehouse plugin token`. */
  token: string
  clock: Clock
  log: Log
  sdk: string
  onAttached?(engine: string, instance: string): void
  onRefused?(refusal: { engine: string; code: string; msg: string }): void
}
export interface RunningPlugin {
  /** Finish what is under way, then leave; at most `withinMs`. */
  stop(withinMs?: number): Promise<void>
  /** Engines that it is attached to. */
  readonly engines: number
}

/** Throws a `ManifestError` or on a bad token. */
export function runPlugin(options: RunOptions): RunningPlugin {
  const { plugin, clock, log, sdk, token } = options
  const manifest = manifestOf(plugin, sdk)
  const link = connectNats({
    url: options.natsUrl,
    name: `livehouse plugin ${manifest.name}`,
    inbox: manifest.name,
    clock,
    log,
  })
  const served = new Set<Served>()
  let isStopping = false
  let onEmpty: (() => void) | undefined
  const client = attachToEngines({
    link,
    clock,
    log,
    token,
    manifestText: JSON.stringify(manifest),
    sdk,
    onAttached({ engine, instance, channel }) {
      if (isStopping) return channel.close('stopping')
      const one: Served = new Served({
        plugin,
        sdk,
        channel,
        clock,
        onLog: (level, fields, msg) => log[level](fields, msg),
        onEnd(reason) {
          served.delete(one)
          log.info({ engine, instance, reason }, 'detached from the engine')
          if (served.size === 0) onEmpty?.()
        },
      })
      served.add(one)
      log.info({ engine, instance }, 'attached to the engine')
      one.open()
      options.onAttached?.(engine, instance)
    },
    onRefused(refusal) {
      log.error(refusal, 'the engine refuses this plugin')
      options.onRefused?.(refusal)
    },
  })
  return {
    get engines() {
      return served.size
    },
    async stop(withinMs = 10_000) {
      isStopping = true
      for (const one of served) one.drain()
      if (served.size > 0) {
        await new Promise<void>((resolve) => {
          const timer = clock.after(withinMs, resolve)
          onEmpty = () => {
            timer.cancel()
            resolve()
          }
        })
      }
      client.close('stopped')
      await link.close()
    },
  }
}
