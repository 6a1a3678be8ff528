/**
 * A media node with one worker and one room, in a process of its own so that its CPU can be read apart from that of the worker. Forked by
 * `media.ts`, which sends the picture and asks for more and more viewers; ends with it.
 *
 * Viewers are plain transports that send to a port where nobody reads: what they would do is no part of the cost. `srtp` gives each of
 * them a key, as a browser has.
 */
import { readFileSync } from 'node:fs'
import type { types } from 'mediasoup'
import { SystemClock } from '../../engine/base/clock.ts'
import { silentLog } from '../../engine/base/log.ts'
import type { Ingest, SfuEvent } from '../../schemas/sfu.ts'
import { SfuNode } from '../../sfu/node.ts'
import { sfuDefaults } from '../../sfu/options.ts'
import { ensureWorker } from '../../sfu/worker/ensure.ts'
import { loadMediasoup } from '../../sfu/worker/load.ts'

export type ToMediaNode = { viewers: number; isSrtp: boolean; sinkPort: number } | { measure: true }
export type FromMediaNode =
  | { ingest: Ingest }
  | { viewers: number }
  | { atMs: number; nodeUs: number; workerUs: number; bytesSent: number; rssKb: number }

const room = 'bench'
const suite = 'AEAD_AES_256_GCM'
/** 32 bytes of key and 12 of salt. */
const keyBase64 = Buffer.alloc(44, 7).toString('base64')
const say = (message: FromMediaNode) => void process.send?.(message)

async function main(): Promise<void> {
  process.once('disconnect', () => process.exit(0))
  const { path } = await ensureWorker()
  const mediasoup = await loadMediasoup(path)
  let onTrack: (id: string) => void = () => undefined
  const track = new Promise<string>((resolve) => (onTrack = resolve))
  const emit = (event: SfuEvent) => event.t === 'track.opened' && event.track.kind === 'video' && onTrack(event.track.id)
  const options = { ...sfuDefaults, workers: 1, bitrateMax: 50_000_000 }
  const node = new SfuNode({ mediasoup, workerPath: path, options, clock: new SystemClock(), log: silentLog, emit })
  await node.start()
  await node.request('room.open', { room })
  const viewers = new Viewers(node, track)
  process.on('message', (message: ToMediaNode) => {
    if ('measure' in message) void viewers.measure()
    else void viewers.grow(message).then((count) => say({ viewers: count }))
  })
  say({ ingest: await node.request('ingest.open', { room, peer: 'rtp', line: 'primary', videoCodec: 'vp8' }) })
}

class Viewers {
  readonly #node: SfuNode
  readonly #track: Promise<string>
  readonly #transports: types.PlainTransport[] = []

  constructor(node: SfuNode, track: Promise<string>) {
    this.#node = node
    this.#track = track
  }

  async grow({ viewers, isSrtp, sinkPort }: Extract<ToMediaNode, { viewers: number }>): Promise<number> {
    for (const transport of this.#transports.splice(viewers)) transport.close()
    while (this.#transports.length < viewers) this.#transports.push(await this.#viewer(isSrtp, sinkPort))
    return this.#transports.length
  }

  async #viewer(isSrtp: boolean, port: number): Promise<types.PlainTransport> {
    const { router } = (this.#node.rooms.get(room) as { places: { main: { router: types.Router } } }).places.main
    const listenInfo = { protocol: 'udp' as const, ip: '127.0.0.1' }
    const transport = await router.createPlainTransport({
      listenInfo,
      rtcpMux: true,
      ...(isSrtp ? { enableSrtp: true, srtpCryptoSuite: suite } : {}),
    })
    await transport.connect({
      ip: '127.0.0.1',
      port,
      ...(isSrtp ? { srtpParameters: { cryptoSuite: suite, keyBase64 } } : {}),
    })
    await transport.consume({ producerId: await this.#track, rtpCapabilities: router.rtpCapabilities })
    return transport
  }

  async measure(): Promise<void> {
    const [media] = this.#node.workers.all
    if (!media) throw new Error('the worker is gone')
    const { ru_utime, ru_stime } = await media.worker.getResourceUsage()
    const { user, system } = process.cpuUsage()
    // One for all: a question for each of hundreds would wait in line at a worker that is busy.
    const [stat] = (await this.#transports[0]?.getStats()) ?? []
    const bytesSent = (stat?.bytesSent ?? 0) * this.#transports.length
    const status = readFileSync(`/proc/${media.worker.pid}/status`, 'utf8')
    const rssKb = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0)
    const workerUs = (Number(ru_utime) + Number(ru_stime)) * 1_000
    say({ atMs: performance.now(), nodeUs: user + system, workerUs, bytesSent, rssKb })
  }
}

void main()
