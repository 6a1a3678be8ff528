/** Media from the configuration: the node's options, and who hears what it tells. */
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { type Config, readIceServers } from '../config.ts'
import { Media } from './media.ts'

export function mediaOf(config: Config, { clock, log }: { clock: Clock; log: Log }): Media | undefined {
  if (!config.media) return undefined
  const iceServers = readIceServers(config.iceServers) ?? []
  return new Media({ options: nodeOptions(config), iceServers, clock, log: log.child({ part: 'media' }) })
}

/** `sfu/options.ts`; what is left out has the default that stands there. */
function nodeOptions(config: Config): object {
  const { mediaAnnouncedAddress, mediasoupWorkerBin, logLevel } = config
  return {
    listenIp: config.mediaListenIp,
    portBase: config.mediaPortBase,
    workers: config.mediaWorkers,
    bitrateMax: config.mediaBitrateMax,
    logLevel: logLevel === 'silent' ? 'error' : logLevel === 'trace' ? 'debug' : logLevel,
    ...(mediaAnnouncedAddress === '' ? {} : { announcedAddress: mediaAnnouncedAddress }),
    ...(mediasoupWorkerBin === '' ? {} : { mediasoupWorkerBin }),
  }
}
