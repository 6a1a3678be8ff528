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

/** Bits a second: what encoders of such pictures are set to, a quarter more for smaller layers, and the sound. */
const bitrates: Readonly<Record<Config['mediaProfile'], number>> = {
  '720p30': 4_000_000,
  '1080p30': 8_000_000,
  '1080p60': 12_000_000,
  '2160p30': 25_000_000,
}

/** `sfu/options.ts`; what is left out has the default that stands there. */
export function nodeOptions(config: Config) {
  const { mediaAnnouncedAddress, mediasoupWorkerBin, logLevel } = config
  return {
    listenIp: config.mediaListenIp,
    portBase: config.mediaPortBase,
    workers: config.mediaWorkers,
    bitrateMax: config.mediaBitrateMax || bitrates[config.mediaProfile],
    logLevel: logLevel === 'silent' ? 'error' : logLevel === 'trace' ? 'debug' : logLevel,
    ...(mediaAnnouncedAddress === '' ? {} : { announcedAddress: mediaAnnouncedAddress }),
    ...(mediasoupWorkerBin === '' ? {} : { mediasoupWorkerBin }),
  }
}
