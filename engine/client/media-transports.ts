/**
 * The ways that picture and sound take, for as long as the engine knows this session: a device, one transport to send, one to receive,
 * each made when it is first needed.
 *
 *     connecting -> connected -> (2 s disconnected, or failed) ICE restart -> connected
 *                                                           or, after `restartMsMax`, lost: made anew by `media.ts`
 *
 * Nothing here comes back by itself: what is lost is told once by `onLost`, and then everything of it is closed.
 */
import type { Device, types } from 'mediasoup-client'
import type { CommandInput, CommandName, CommandReply, MediaTrackShape } from '../../schemas/messages.ts'
import type { ConsumerParams } from '../../schemas/sfu.ts'
import { RefusedError } from './faults.ts'
import type { Host, Timer } from './host.ts'

export type MediaCall = <T extends CommandName>(t: T, d: CommandInput<T>) => Promise<CommandReply<T>>
export interface TransportsParts {
  call: MediaCall
  host: Pick<Host, 'after'>
  onLost(reason: string): void
}
export interface Sending {
  track: MediaStreamTrack
  source: CommandInput<'stream.publish'>['source']
  /** A guest on the mic has none. */
  line: CommandInput<'stream.publish'>['line']
  encodings?: types.RtpEncodingParameters[]
  /** Of which to send, best first: where the other line has another codec the next is tried. */
  codecs?: readonly string[]
}
export interface Receiving {
  consumer: types.Consumer
  layers: number
}

type Direction = 'send' | 'recv'
const disconnectedMsMax = 2_000
const restartMsMax = 8_000
const connectMsMax = 15_000
const startKbps = 1_000

export class Transports {
  readonly #parts: TransportsParts
  readonly #device: Device
  readonly #made: Partial<Record<Direction, Promise<types.Transport>>> = {}
  readonly #open = new Map<string, types.Transport>()
  readonly #timers = new Map<string, Timer>()
  #isClosed = false

  private constructor(parts: TransportsParts, device: Device) {
    this.#parts = parts
    this.#device = device
  }

  static async open(parts: TransportsParts): Promise<Transports> {
    // Heavy, and of no use before there is something to play or to send.
    const [{ rtpJson }, { Device }] = await Promise.all([parts.call('stream.get_capabilities', {}), import('mediasoup-client')])
    const device = await Device.factory()
    await device.load({ routerRtpCapabilities: JSON.parse(rtpJson) as types.RtpCapabilities })
    return new Transports(parts, device)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  has(transportId: string): boolean {
    return this.#open.has(transportId)
  }

  stats(direction: Direction): Promise<RTCStatsReport> | undefined {
    const transport = [...this.#open.values()].find((one) => one.direction === direction)
    return transport?.getStats()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const timer of this.#timers.values()) timer.cancel()
    for (const transport of this.#open.values()) transport.close()
    this.#open.clear()
  }

  #lost(reason: string): void {
    if (this.#isClosed) return
    this.close()
    this.#parts.onLost(reason)
  }

  // ------------------------------------------------------------------ making them

  #transport(direction: Direction): Promise<types.Transport> {
    return (this.#made[direction] ??= this.#make(direction))
  }

  async #make(direction: Direction): Promise<types.Transport> {
    try {
      const rtpJson = direction === 'recv' ? { rtpJson: JSON.stringify(this.#device.rtpCapabilities) } : {}
      const answer = await this.#parts.call('stream.create_transport', { direction, ...rtpJson })
      const options: types.TransportOptions = {
        ...(JSON.parse(answer.paramsJson) as types.TransportOptions),
        iceServers: JSON.parse(answer.iceServersJson) as RTCIceServer[],
      }
      const transport =
        direction === 'send' ? this.#device.createSendTransport(options) : this.#device.createRecvTransport(options)
      if (this.#isClosed) transport.close()
      else this.#adopt(transport)
      return transport
    } catch (error) {
      delete this.#made[direction]
      throw error
    }
  }

  #adopt(transport: types.Transport): void {
    const { call } = this.#parts
    const transportId = transport.id
    this.#open.set(transportId, transport)
    transport.on('connect', ({ dtlsParameters }, done, fail) => {
      call('stream.connect_transport', { transportId, dtlsJson: JSON.stringify(dtlsParameters) }).then(done, fail)
    })
    transport.on('produce', ({ kind, rtpParameters, appData }, done, fail) => {
      const { source, line } = appData as unknown as Pick<Sending, 'source' | 'line'>
      const rtpJson = JSON.stringify(rtpParameters)
      call('stream.publish', { transportId, kind, rtpJson, source, ...(line === undefined ? {} : { line }) }).then(
        ({ producerId }) => done({ id: producerId }),
        fail,
      )
    })
    transport.on('connectionstatechange', (state) => this.#onState(transport, state))
  }

  // ------------------------------------------------------------------ keeping them

  #onState(transport: types.Transport, state: types.ConnectionState): void {
    if (this.#isClosed) return
    if (state === 'connected') this.#wait(transport)
    else if (state === 'connecting') this.#wait(transport, connectMsMax, () => this.#lost('no connection in time'))
    else if (state === 'disconnected') this.#wait(transport, disconnectedMsMax, () => void this.#restart(transport))
    else if (state === 'failed') void this.#restart(transport)
  }

  /** One timer a transport: whatever it waited for before is over. */
  #wait({ id }: types.Transport, ms?: number, then?: () => void): void {
    this.#timers.get(id)?.cancel()
    if (ms !== undefined && then) this.#timers.set(id, this.#parts.host.after(ms, then))
  }

  async #restart(transport: types.Transport): Promise<void> {
    this.#wait(transport, restartMsMax, () => this.#lost('the connection did not come back'))
    try {
      const { iceJson } = await this.#parts.call('stream.restart_ice', { transportId: transport.id })
      await transport.restartIce({ iceParameters: JSON.parse(iceJson) as types.IceParameters })
    } catch (error) {
      // Without a socket the room is joined anew, and everything made anew, soon: what still flows may go on until then.
      if (error instanceof RefusedError) this.#lost(error.code)
    }
  }

  // ------------------------------------------------------------------ sending and receiving

  async send({ track, source, line, encodings, codecs = [''] }: Sending): Promise<types.Producer> {
    const transport = await this.#transport('send')
    const [mimeType = '', ...others] = codecs
    const codec = this.#device.rtpCapabilities.codecs?.find((one) => one.mimeType.toLowerCase() === mimeType)
    try {
      return await transport.produce({
        // A mute is on the track: with its own idea of a pause a producer would open the next track that it is given.
        ...{ track, stopTracks: false, disableTrackOnPause: false, appData: { source, line } },
        ...(encodings ? { encodings } : {}),
        ...(codec ? { codec } : {}),
        codecOptions: track.kind === 'audio' ? { opusFec: true } : { videoGoogleStartBitrate: startKbps },
      })
    } catch (error) {
      const isOther = error instanceof RefusedError && error.code === 'stream.codec' && others.length > 0
      if (!isOther) throw error
      return this.send({ track, source, line, ...(encodings ? { encodings } : {}), codecs: others })
    }
  }

  /** Sound and picture of one `streamId` are played together. */
  async receive({ id: trackId }: MediaTrackShape, streamId: string): Promise<Receiving> {
    const transport = await this.#transport('recv')
    const { consumerId, paramsJson } = await this.#parts.call('stream.play', { trackId, transportId: transport.id })
    const { producerId, kind, rtpParameters, layers } = JSON.parse(paramsJson) as ConsumerParams
    const consumer = await transport.consume({
      ...{ id: consumerId, producerId, kind, streamId },
      rtpParameters: rtpParameters as unknown as types.RtpParameters,
    })
    await this.#parts.call('stream.resume_play', { consumerId })
    return { consumer, layers }
  }
}
