/**
 * What stands between this engine and a NATS server: the way in for plugins in processes of their own, and the copy of the room log.
 * Without `natsUrl` neither exists. The engine starts before its server and goes on without it: the parts here wait for the line.
 */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { Metrics } from '../../base/metrics.ts'
import { connectNats, safeNatsUrl } from '../../base/nats.ts'
import type { IdSource } from '../../base/random.ts'
import type { Config } from '../../config.ts'
import type { Store } from '../../room/store.ts'
import { LogRelay } from '../events/relay.ts'
import type { PluginHost } from '../host/host.ts'
import { listenForPlugins, type RemotePlugins } from './remote.ts'

export interface RemoteParts {
  config: Config
  /** Real time: the other side lives in it. */
  clock: Clock
  log: Log
  store: Store
  metrics: Metrics
  host: PluginHost
  secret: string
  newId: IdSource
}
export interface Remote {
  readonly plugins: RemotePlugins | undefined
  readonly relay: LogRelay | undefined
  stop(): Promise<void>
}

/** Keys of plugins are made from the secret that signs the session tokens. */
export const remoteSecret = (secret: Uint8Array): string => Buffer.from(secret).toString('base64url')

export function startRemote({ config, clock, log, store, metrics, host, secret, newId }: RemoteParts): Remote {
  const { natsUrl: url } = config
  if (url === '') return { plugins: undefined, relay: undefined, stop: async () => {} }
  log.info({ nats: safeNatsUrl(url) }, 'looking for the NATS server')
  const link = connectNats({ url, name: 'livehouse engine', clock, log })
  const plugins = listenForPlugins({
    link,
    clock,
    log,
    engineId: newId(clock.now()),
    secret,
    onAttach: (instance) => host.onRemote(instance),
  })
  const relay = config.jetStream ? new LogRelay({ link, store, clock, log, daysMax: config.roomLogDays }) : undefined
  relay?.start()
  exportRemote(metrics, { plugins, relay })
  return {
    plugins,
    relay,
    async stop() {
      plugins.close('the engine stops')
      await relay?.close()
      await link.close()
    },
  }
}

/** Both sets of numbers; with neither part only their names and help, for the reference. */
export function exportRemote(metrics: Metrics, { plugins, relay }: Pick<Remote, 'plugins' | 'relay'>): void {
  for (const kind of ['attached', 'refused', 'forged', 'replayed', 'lost', 'oversized'] as const)
    metrics.total(
      'livehouse_plugin_remote_total',
      'Messages and attachments of remote plugins by what became of them.',
      () => plugins?.counts[kind] ?? 0,
      { kind },
    )
  metrics.total(
    'livehouse_jetstream_published_total',
    'Rows of the room log that JetStream acknowledged.',
    () => relay?.stats().published ?? 0,
  )
  metrics.total(
    'livehouse_jetstream_failures_total',
    'Failures of the copy to JetStream; it goes on from its cursor.',
    () => relay?.stats().failures ?? 0,
  )
  metrics.gauge('livehouse_jetstream_lag', 'Rows of the room log that are not in JetStream.', () => relay?.stats().lag ?? 0)
}
