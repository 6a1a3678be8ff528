/**
 * One thing that is sent from here: the show on one of its lines, or the voice and picture of a guest. It outlives transports: after a
 * loss `bring` sends its tracks on the new ones.
 *
 *     starting -> live -> (the transports are gone) retrying -> live -> ... -> ended, once and for good
 */
import type { types } from 'mediasoup-client'
import type { CommandInput } from '../../schemas/messages.ts'
import { RefusedError } from './faults.ts'
import { DeviceError, type MediaSource, openSource, stopTracks } from './media-devices.ts'
import { encodingsFor } from './media-layers.ts'
import { SendWatch } from './media-stats.ts'
import type { MediaCall, Transports } from './media-transports.ts'

type Publish = CommandInput<'stream.publish'>
export type Line = NonNullable<Publish['line']>
export type PublicationState = 'starting' | 'live' | 'retrying' | 'ended'

/** What ended it: the page, the device, somebody else, or a refusal. */
export interface PublicationEnd {
  of: 'show' | 'seat'
  code: string
  error: Error | undefined
}
export interface PublicationParts {
  of: 'show' | 'seat'
  line: Line | undefined
  simulcast: boolean
  /** As the one before it was. */
  isMuted: boolean
  source: MediaSource
  stream: MediaStream
  call: MediaCall
  onChange(): void
  onEnd(end: PublicationEnd): void
}

const kinds = ['audio', 'video'] as const
/** H264 first: OBS and ffmpeg send it, and both lines of a show must be of one kind. */
const codecs = ['video/h264', 'video/vp8']
const heightDefault = 720

export class Publication {
  readonly of: 'show' | 'seat'
  readonly line: Line | undefined
  readonly watch = new SendWatch()
  readonly #parts: PublicationParts
  readonly #producers = new Map<'audio' | 'video', types.Producer>()
  readonly #ended = (event: Event) => this.#onTrackEnded(event.target as MediaStreamTrack)
  #source: MediaSource
  #stream: MediaStream
  #state: PublicationState = 'starting'
  #isMuted: boolean

  constructor(parts: PublicationParts) {
    this.#parts = parts
    this.of = parts.of
    this.line = parts.line
    this.#source = parts.source
    this.#stream = parts.stream
    this.#isMuted = parts.isMuted
    this.#adopt()
  }

  get state(): PublicationState {
    return this.#state
  }
  /** What is sent, for a preview. */
  get stream(): MediaStream {
    return this.#stream
  }
  get source(): MediaSource {
    return this.#source
  }

  #track(kind: 'audio' | 'video'): MediaStreamTrack | undefined {
    return this.#stream.getTracks().find((track) => track.kind === kind && track.readyState === 'live')
  }

  /** A mute outlives a change of the camera. */
  #adopt(): void {
    if (this.#isMuted) for (const track of this.#stream.getAudioTracks()) track.enabled = false
    for (const track of this.#stream.getTracks()) track.addEventListener('ended', this.#ended)
  }

  get isComplete(): boolean {
    return this.#state === 'ended' || kinds.every((kind) => this.#producers.get(kind)?.track === (this.#track(kind) ?? undefined))
  }

  // ------------------------------------------------------------------ sending

  async bring(transports: Transports): Promise<void> {
    for (const kind of kinds) await this.#bringKind(transports, kind)
    if (this.#isEnded()) return this.#closeProducers()
    this.#set('live')
  }

  async #bringKind(transports: Transports, kind: 'audio' | 'video'): Promise<void> {
    if (this.#isEnded()) return
    const producer = this.#producers.get(kind)
    const track = this.#track(kind)
    if (!track) return producer && this.#close(kind, producer)
    if (producer) {
      if (producer.track !== track) await producer.replaceTrack({ track })
      return
    }
    const height = track.getSettings().height ?? heightDefault
    const made = await transports.send({
      ...{ track, line: this.line, source: this.#sourceOf(kind) },
      ...(kind === 'video' ? { encodings: encodingsFor(height, this.#parts.simulcast), codecs } : {}),
    })
    if (transports.isClosed) return
    this.#producers.set(kind, made)
  }

  #sourceOf(kind: 'audio' | 'video'): Publish['source'] {
    if ('stream' in this.#source) return 'virtual'
    if (kind === 'audio') return 'mic'
    return 'screen' in this.#source ? 'screen' : 'cam'
  }

  #close(kind: 'audio' | 'video', producer: types.Producer): void {
    this.#producers.delete(kind)
    if (!producer.closed)
      this.#parts.call('stream.unpublish', { producerId: producer.id }).catch(() => undefined /* it ended there first */)
    producer.close()
  }

  #closeProducers(): void {
    for (const [kind, producer] of [...this.#producers]) this.#close(kind, producer)
  }

  /** The transports are gone and its producers with them. */
  forget(): void {
    for (const producer of this.#producers.values()) producer.close()
    this.#producers.clear()
    this.watch.reset()
    if (this.#state === 'live') this.#set('retrying')
  }

  async stats(): Promise<RTCStatsReport | undefined> {
    const reports = await Promise.all([...this.#producers.values()].filter(({ closed }) => !closed).map((one) => one.getStats()))
    if (reports.length === 0) return undefined
    return new Map(reports.flatMap((report, at) => [...report].map(([id, entry]) => [`${at}.${id}`, entry]))) as RTCStatsReport
  }

  // ------------------------------------------------------------------ changing

  /** Another camera, or the screen: viewers see the change and nothing else. */
  async replace(source: MediaSource): Promise<void> {
    const stream = await openSource(source)
    if (this.#isEnded()) return stopTracks(stream)
    this.take(source, stream)
  }

  /** It was sent, and what is asked for anew can be sent in its place. */
  canTake({ line, simulcast }: Pick<PublicationParts, 'line' | 'simulcast'>): boolean {
    const isSending = this.#state === 'live' || this.#state === 'retrying'
    return isSending && this.line === line && this.#parts.simulcast === simulcast
  }

  take(source: MediaSource, stream: MediaStream): void {
    const before = { source: this.#source, stream: this.#stream }
    this.#source = source
    this.#stream = stream
    this.#adopt()
    if (before.stream !== stream) this.#release(before)
    this.#parts.onChange()
  }

  get isMuted(): boolean {
    return this.#isMuted
  }

  setSilent(isSilent: boolean): void {
    this.#isMuted = isSilent
    for (const track of this.#stream.getAudioTracks()) track.enabled = !isSilent
    this.#parts.onChange()
  }

  get isSilent(): boolean {
    return this.#stream.getAudioTracks().every(({ enabled }) => !enabled)
  }

  // ------------------------------------------------------------------ the end

  #onTrackEnded(track: MediaStreamTrack): void {
    // Of several, the others go on: a microphone that was pulled out takes no camera with it.
    if (!this.#stream.getTracks().includes(track)) return
    if (this.#stream.getTracks().every(({ readyState }) => readyState === 'ended') || track.kind === 'video')
      return this.end('source_ended')
    this.#parts.onChange()
  }

  #release({ source, stream }: { source: MediaSource; stream: MediaStream }): void {
    for (const track of stream.getTracks()) track.removeEventListener('ended', this.#ended)
    // A stream that the page brought is the page's.
    if (!('stream' in source)) stopTracks(stream)
  }

  end(code: string, error?: Error): void {
    if (this.#isEnded()) return
    this.#set('ended')
    this.#closeProducers()
    this.#release({ source: this.#source, stream: this.#stream })
    this.#parts.onEnd({ of: this.of, code, error })
  }

  /** What cannot be sent, whatever is tried. */
  isHopeless(error: unknown): boolean {
    if (error instanceof DeviceError) return true
    return error instanceof RefusedError && !error.retry && error.code !== 'stream.gone' && error.code !== 'room.not_joined'
  }

  #isEnded(): boolean {
    return this.#state === 'ended'
  }

  #set(state: PublicationState): void {
    if (this.#state === state) return
    this.#state = state
    this.#parts.onChange()
  }
}
