/**
 * Picture and sound of a room, in a browser. Loaded with the first `room.media()`: who only chats does not load it.
 *
 *     const media = await room.media()
 *     const stop = media.play(document.querySelector('video'))            // whatever is shown, now and later
 *     media.on('change', ({ play }) => show(play.state, play.stats?.height))
 *     media.setQuality('low')
 *
 *     await media.publish({ camera: { width: 1280, height: 720 } })       // or { screen: {} }, or { stream }
 *     await media.replace({ screen: {} })
 *     await media.stop()
 *
 * Everything is held against what there should be (`#bring`): whatever ended - a transport, the socket, the media node - what is wanted
 * is made anew, after pauses that grow. A publication ends for good only when somebody said so: this page, its device, another tab of the
 * same user, the host, an operator, or a refusal that no waiting changes.
 */
import type { CommandReply, EventName, Messages } from '../../schemas/messages.ts'
import { backoffMs } from './backoff.ts'
import { RefusedError } from './faults.ts'
import { type Host, surroundings, type Timer } from './host.ts'
import { Listeners, type Off } from './listeners.ts'
import { listDevices, type MediaSource, openSource, stopTracks } from './media-devices.ts'
import type { Quality } from './media-layers.ts'
import { Mic } from './media-mic.ts'
import { type Part, Player } from './media-player.ts'
import { type Line, Publication, type PublicationEnd, type PublicationState } from './media-publication.ts'
import { type PlayStats, PlayWatch, type SendStats } from './media-stats.ts'
import { type MediaCall, Transports } from './media-transports.ts'
import type { RoomView } from './room.ts'

export type MediaRoom = Pick<RoomView, 'id' | 'on' | 'call' | 'state' | 'status'>

/**
 * idle: nothing is shown in this room. connecting: it is, and does not play yet. stalled: it played. offline: this engine has no picture
 * and sound now, or is not to be reached.
 */
export type PlayState = 'idle' | 'connecting' | 'live' | 'stalled' | 'offline'

export interface MediaView {
  play: {
    state: PlayState
    isMuted: boolean
    /** Muted by the browser until somebody presses a button that calls `setMuted(false)`. */
    needsGesture: boolean
    hasPicture: boolean
    quality: Quality
    /** To choose from; 1: the picture is sent in one size. */
    layers: number
    stats: PlayStats | undefined
    problem: Error | undefined
  }
  publish: SendView | undefined
  /** As a guest on the mic. */
  seat: SendView | undefined
  /** Why media cannot be had yet, in the words of the engine; undefined once it can. */
  unavailable: string | undefined
}
export interface SendView {
  state: PublicationState
  line: Line | undefined
  stream: MediaStream
  source: MediaSource
  isSilent: boolean
  stats: SendStats | undefined
}
export type PublishOptions = MediaSource & {
  /** primary when left out. */
  line?: Line
  /** Several sizes, so that viewers choose: true when left out. */
  simulcast?: boolean
  /** By `open`, of this very source: somebody had a look at themselves first. */
  opened?: MediaStream
}
export interface MediaEvents {
  change: [view: MediaView]
  ended: [end: PublicationEnd]
}

const sampleMs = 1_000
const bounds = { retryMsMin: 500, retryMsMax: 10_000 }
/** Reasons of `stream.stopped` after which nobody comes back by themselves; after `lost`, media may be there again. */
const stoppedForGood = new Set(['operator', 'room_closed', 'taken_down'])

export class RoomMedia {
  readonly mic: Mic
  readonly #room: MediaRoom
  readonly #host: Pick<Host, 'now' | 'after' | 'random' | 'report'>
  readonly #listeners: Listeners<MediaEvents>
  readonly #player: Player
  readonly #watch = new PlayWatch()
  readonly #offs: Off[]
  readonly #publications = new Map<'show' | 'seat', Publication>()
  /** Who waits for the first time that a publication is live. */
  readonly #first = new Map<Publication, { resolve(): void; reject(error: Error): void }>()
  readonly #call: MediaCall = (t, d) => this.#room.call(t, d)
  #transports: Transports | undefined
  #isBringing = false
  #isWanted = false
  #tries = 0
  #retry: Timer | undefined
  #sampler: Timer | undefined
  #unavailable: string | undefined
  #isChanged = false
  #isClosed = false

  constructor(room: MediaRoom, report: (error: unknown) => void) {
    this.#room = room
    this.#host = { ...surroundings, report }
    this.#listeners = new Listeners<MediaEvents>(report)
    this.#player = new Player({ call: this.#call, onChange: () => this.#changed() })
    this.mic = new Mic({
      room,
      publication: () => this.#publications.get('seat'),
      publish: (source, stream) => this.#publish({ of: 'seat', line: undefined, simulcast: false, source, stream }),
      onChange: () => this.#changed(),
    })
    this.#offs = [
      room.on('event', ({ t, d, missed }) => this.#onEvent(t, d, missed)),
      room.on('status', (status) => this.#onStatus(status)),
      room.on('resync', () => {
        this.mic.returned()
        this.#bring()
      }),
      room.on('ended', () => this.close()),
    ]
  }

  // ------------------------------------------------------------------ reading

  on<Name extends keyof MediaEvents>(name: Name, listener: (...args: MediaEvents[Name]) => void): Off {
    return this.#listeners.on(name, listener)
  }

  get view(): MediaView {
    const player = this.#player
    const tracks = this.#mainTracks
    return {
      play: {
        state: this.#playState(),
        isMuted: player.isMuted,
        needsGesture: player.needsGesture,
        hasPicture: player.main('video') !== undefined,
        quality: player.ladder.quality,
        layers: player.main('video')?.layers ?? 1,
        stats: this.#watch.stats,
        problem: player.problem(tracks),
      },
      publish: sendView(this.#publications.get('show')),
      seat: sendView(this.#publications.get('seat')),
      unavailable: this.#unavailable,
    }
  }

  get #mainTracks() {
    return (this.#room.state.stream?.tracks ?? []).filter(({ source }) => source === 'main')
  }

  #playState(): PlayState {
    const { stream } = this.#room.state
    // A show whose tracks are made anew just now goes on.
    if (this.#mainTracks.length === 0 && stream?.state !== 'live') return stream?.state === 'unavailable' ? 'offline' : 'idle'
    if (this.#isPlaying && this.#watch.hasBegun) return this.#watch.isStalled ? 'stalled' : 'live'
    if (this.#room.status !== 'joined' || this.#unavailable !== undefined) return 'offline'
    return this.#watch.hasPlayed ? 'stalled' : 'connecting'
  }

  get #isPlaying(): boolean {
    return this.#player.main('video') !== undefined || this.#player.main('audio') !== undefined
  }

  /** How loud a guest is just now, 0 to 1. */
  level(seatNo: number): number {
    return this.#player.level(seatNo)
  }

  hasSeatPicture(seatNo: number): boolean {
    return this.#player.isPlaying(seatNo, 'video')
  }

  /** For a look before `publish`. Whoever does not publish it ends it. */
  open(source: MediaSource): Promise<MediaStream> {
    return openSource(source)
  }

  devices(): Promise<MediaDeviceInfo[]> {
    return listDevices()
  }

  // ------------------------------------------------------------------ playing

  /** The show, or a guest on a seat, in this element until the answer is called. */
  play(element: HTMLMediaElement, { seatNo }: { seatNo?: number } = {}): Off {
    const part: Part = seatNo ?? 'main'
    this.#player.attach(element, part)
    this.#bring()
    return () => {
      this.#player.detach(element)
      this.#bring()
    }
  }

  setMuted(isMuted: boolean): void {
    this.#player.setMuted(isMuted)
  }

  setQuality(quality: Quality): void {
    this.#player.ladder.choose(quality)
    void this.#player.steer()
    this.#changed()
  }

  // ------------------------------------------------------------------ publishing

  /** Resolves when it is live; once more on the same line changes what is sent, without a gap. Rejects with `DeviceError` when there is no camera to be had, `RefusedError` when the room says no. */
  async publish({ line = 'primary', simulcast = true, opened, ...source }: PublishOptions): Promise<void> {
    const stream = opened ?? (await openSource(source))
    const known = this.#publications.get('show')
    try {
      if (known?.canTake({ line, simulcast })) await this.#republish(known, source, stream)
      else await this.#publish({ of: 'show', line, simulcast, source, stream })
    } catch (error) {
      if (!('stream' in source)) stopTracks(stream)
      throw error
    }
  }

  #publish(what: {
    of: 'show' | 'seat'
    line: Line | undefined
    simulcast: boolean
    source: MediaSource
    stream: MediaStream
  }): Promise<void> {
    const before = this.#publications.get(what.of)
    before?.end('replaced')
    const publication: Publication = new Publication({
      ...{ ...what, isMuted: before?.isMuted ?? false },
      call: this.#call,
      onChange: () => {
        if (publication.state === 'live') this.#take(publication)?.resolve()
        this.#bring()
      },
      onEnd: (end) => this.#onPublicationEnd(publication, end),
    })
    this.#publications.set(what.of, publication)
    return new Promise((resolve, reject) => {
      this.#first.set(publication, { resolve, reject })
      this.#bring()
    })
  }

  #republish(publication: Publication, source: MediaSource, stream: MediaStream): Promise<void> {
    publication.take(source, stream)
    if (publication.state === 'live') return Promise.resolve()
    return new Promise((resolve, reject) => this.#first.set(publication, { resolve, reject }))
  }

  #take(publication: Publication) {
    const first = this.#first.get(publication)
    this.#first.delete(publication)
    return first
  }

  #onPublicationEnd(publication: Publication, end: PublicationEnd): void {
    if (this.#publications.get(end.of) === publication) this.#publications.delete(end.of)
    const first = this.#take(publication)
    if (first) first.reject(end.error ?? new Error(`publishing ended: ${end.code}`))
    else this.#listeners.emit('ended', end)
    this.#bring()
  }

  /** Another camera, or the screen, in the same show. */
  async replace(source: MediaSource): Promise<void> {
    await this.#publications.get('show')?.replace(source)
  }

  /** The own sound of the show. */
  setSilent(isSilent: boolean): void {
    this.#publications.get('show')?.setSilent(isSilent)
  }

  /** Ends what this page sends; a line that is fed from elsewhere goes on. */
  stop(): void {
    this.#publications.get('show')?.end('stopped')
  }

  /** Whether media can be had; asked until it can, `view.unavailable` says how far it is. Resolves then; rejects for what does not pass. */
  async ready(): Promise<CommandReply<'stream.get_capabilities'>> {
    for (let tries = 0; ; tries++) {
      try {
        const answer = await this.#call('stream.get_capabilities', {})
        this.#setUnavailable(undefined)
        return answer
      } catch (error) {
        if (this.#isClosed || (error instanceof RefusedError && !error.retry)) throw error
        this.#setUnavailable(wordsOf(error))
        await new Promise<void>((resolve) => void this.#host.after(this.#pauseMs(error, tries), resolve))
      }
    }
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const off of this.#offs) off()
    for (const publication of [...this.#publications.values()]) publication.end('closed')
    this.#retry?.cancel()
    this.#sampler?.cancel()
    this.#reset()
  }

  // ------------------------------------------------------------------ what is told

  /** Of what was missed only an end is of interest: transports are made anew after it in any case. */
  #onEvent(t: string, d: unknown, missed: boolean): void {
    if (t.startsWith('mic.')) this.mic.onEvent(t, d)
    if (!t.startsWith('stream.') && !t.startsWith('mic.') && t !== 'room.opened' && t !== 'room.closed') return
    const isAway = t === ('stream.migrated' satisfies EventName) || t === ('room.closed' satisfies EventName)
    if (isAway && !missed) this.#reset()
    else if (t === 'stream.transport_closed') this.#onTransportClosed(d as Messages['stream.transport_closed'])
    else if (t === 'stream.consumer_closed') this.#player.drop((d as Messages['stream.consumer_closed']).consumerId)
    else if (t === ('stream.stopped' satisfies EventName)) this.#onStopped(d as Messages['stream.stopped'])
    this.#bring()
    this.#changed()
  }

  /** Transports stay: the next show plays on them. */
  #onStopped({ reason }: Messages['stream.stopped']): void {
    const show = this.#publications.get('show')
    if (stoppedForGood.has(reason) || (reason === 'ended' && show?.state === 'live')) show?.end(reason)
  }

  #onTransportClosed({ transportId, reason }: Messages['stream.transport_closed']): void {
    if (!this.#transports?.has(transportId)) return
    if (reason === 'taken_over') this.#publications.get('show')?.end('taken_over')
    this.#reset()
  }

  #onStatus(status: RoomView['status']): void {
    this.#changed()
    if (status !== 'joined') return
    // Another session: the engine knows nothing of the transports of the one before.
    this.#reset()
    this.mic.returned()
    this.#bring()
  }

  // ------------------------------------------------------------------ bringing about

  #reset(): void {
    const transports = this.#transports
    this.#transports = undefined
    for (const publication of this.#publications.values()) publication.forget()
    this.#player.forget()
    this.#watch.reset()
    transports?.close()
    this.#changed()
  }

  #bring(): void {
    this.#changed()
    this.#plan()
    if (this.#isBringing) this.#isWanted = true
    else void this.#bringAll()
  }

  async #bringAll(): Promise<void> {
    this.#isBringing = true
    this.#retry?.cancel()
    do {
      this.#isWanted = false
      try {
        await this.#bringOnce()
        this.#tries = 0
        this.#setUnavailable(undefined)
      } catch (error) {
        this.#onFailed(error)
      }
    } while (this.#isWanted && !this.#isClosed)
    this.#isBringing = false
  }

  get #wanted() {
    const { stream, me } = this.#room.state
    return this.#player.wanted(stream?.tracks ?? [], me.userId)
  }

  get #isComplete(): boolean {
    return [...this.#publications.values()].every(({ isComplete }) => isComplete) && this.#player.isComplete(this.#wanted)
  }

  async #bringOnce(): Promise<void> {
    if (this.#isClosed || this.#room.status !== 'joined' || this.#isComplete) return
    if (!this.#transports || this.#transports.isClosed) {
      const made = await Transports.open({ call: this.#call, host: this.#host, onLost: (reason) => this.#onLost(made, reason) })
      if (this.#isClosed || this.#room.status !== 'joined') return made.close()
      this.#transports = made
    }
    const transports = this.#transports
    for (const publication of [...this.#publications.values()]) await this.#bringPublication(publication, transports)
    await this.#player.bring(transports, this.#wanted)
    if (transports.isClosed) this.#isWanted = true
  }

  async #bringPublication(publication: Publication, transports: Transports): Promise<void> {
    if (publication.isComplete) return
    try {
      await publication.bring(transports)
    } catch (error) {
      const isFirst = this.#first.has(publication)
      if (!publication.isHopeless(error) && !(isFirst && error instanceof RefusedError && error.code !== 'stream.gone'))
        throw error
      publication.end(error instanceof RefusedError ? error.code : 'failed', error as Error)
    }
  }

  #onLost(transports: Transports | undefined, _reason: string): void {
    if (this.#transports !== transports) return
    this.#reset()
    this.#bring()
  }

  #onFailed(error: unknown): void {
    const isHopeless = error instanceof RefusedError && !error.retry
    if (!(error instanceof RefusedError) || error.code === 'stream.gone') this.#reset()
    if (error instanceof RefusedError && error.code === 'stream.unavailable') this.#setUnavailable(wordsOf(error))
    // Nobody who waits for the first picture of their own waits for ever.
    for (const publication of [...this.#publications.values()])
      if (this.#first.has(publication) && error instanceof RefusedError && error.code !== 'stream.gone')
        publication.end(error.code, error)
    if (isHopeless && error.code !== 'stream.gone' && error.code !== 'room.not_joined') return
    this.#retry?.cancel()
    this.#retry = this.#host.after(this.#pauseMs(error, this.#tries++), () => this.#bring())
  }

  #pauseMs(error: unknown, tries: number): number {
    const asked = error instanceof RefusedError ? (error.retryAfterMs ?? 0) : 0
    return Math.max(Math.min(asked, bounds.retryMsMax), bounds.retryMsMin, backoffMs(tries, bounds, this.#host.random()))
  }

  #setUnavailable(words: string | undefined): void {
    if (this.#unavailable === words) return
    this.#unavailable = words
    this.#changed()
  }

  // ------------------------------------------------------------------ looking

  /** A look a second, while there is something to look at. */
  #plan(): void {
    const isBusy = this.#publications.size > 0 || this.#player.hasElements
    if (!isBusy || this.#isClosed || this.#sampler) return
    this.#sampler = this.#host.after(sampleMs, () => {
      this.#sampler = undefined
      this.#plan()
      this.#sample().catch((error) => this.#host.report(error))
    })
  }

  async #sample(): Promise<void> {
    const isOff = this.#room.state.stream?.state !== 'live'
    if (isOff && this.#mainTracks.length === 0) this.#watch.end()
    else if (this.#player.hasElements)
      await this.#samplePlay(this.#player.main('video')?.consumer, this.#player.main('audio')?.consumer)
    for (const publication of this.#publications.values()) {
      const report = await publication.stats()
      if (report) publication.watch.sample(report, this.#host.now())
    }
    this.#changed()
  }

  async #samplePlay(video: Sampled | undefined, audio: Sampled | undefined): Promise<void> {
    const [pictures, sound] = await Promise.all([reportOf(video), reportOf(audio)])
    const nowMs = this.#host.now()
    const level = this.#room.state.stream?.degradeLevel ?? 0
    this.#watch.sample({
      ...{ video: pictures, audio: sound, nowMs, isPlaying: this.#isPlaying },
      hasPicture: video !== undefined && level < soundAloneLevel,
      isCounted: !document.hidden,
    })
    const report = this.#watch.takeReport(nowMs)
    if (!report) return
    this.#player.ladder.heard({ stallMs: report.stallMs, lossBps: report.lossBps ?? 0, nowMs })
    void this.#player.steer()
    // A report that is lost is one of many.
    if (this.#room.status === 'joined') this.#call('stream.report_qos', report).catch(() => undefined)
  }

  /** Told once for all that changed in this turn. */
  #changed(): void {
    if (this.#isChanged) return
    this.#isChanged = true
    queueMicrotask(() => {
      this.#isChanged = false
      if (!this.#isClosed) this.#listeners.emit('change', this.view)
    })
  }
}

/** At this level of degrading viewers get sound alone. */
const soundAloneLevel = 4

interface Sampled {
  closed: boolean
  getStats(): Promise<RTCStatsReport>
}
const reportOf = (consumer: Sampled | undefined): Promise<RTCStatsReport> | undefined =>
  consumer && !consumer.closed ? consumer.getStats() : undefined

const wordsOf = (error: unknown): string => {
  if (error instanceof RefusedError) return error.detail.hint ?? error.message
  return error instanceof Error ? error.message : String(error)
}

const sendView = (publication: Publication | undefined): SendView | undefined =>
  publication && {
    state: publication.state,
    line: publication.line,
    stream: publication.stream,
    source: publication.source,
    isSilent: publication.isSilent,
    stats: publication.watch.stats,
  }
