/** What a node is started with: plain JSON, because it is handed to a process. Bounds are those of one node. */
export interface SfuOptions {
  /** Where media comes in. */
  listenIp: string
  /** What clients are told instead, behind an address translation. */
  announcedAddress?: string
  /** First of the ports for media: one a worker, UDP and TCP. 0: any that is free. */
  portBase: number
  /** 0: one a core. */
  workers: number
  /** Of one publisher, bits a second. */
  bitrateMax: number
  roomsMax: number
  peersPerRoomMax: number
  /** In one router; more are spread over the other workers by pipes. About 500 fill a core. */
  consumersPerRouterMax: number
  /** Of one core, basis points: above it no room and no viewer is taken on. */
  cpuBpsMax: number
  mediasoupWorkerBin?: string
  logLevel: 'debug' | 'info' | 'warn' | 'error'
}

export const sfuDefaults: SfuOptions = {
  listenIp: '127.0.0.1',
  portBase: 0,
  workers: 0,
  bitrateMax: 8_000_000,
  roomsMax: 1_000,
  peersPerRoomMax: 5_000,
  consumersPerRouterMax: 300,
  cpuBpsMax: 9_000,
  logLevel: 'info',
}
