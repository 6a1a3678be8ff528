/**
 * The show: one track of sound and one of picture that viewers keep, made of whichever line is on (`lines.ts`).
 *
 *     line's producer -> consumer on a direct transport -> splice -> producer on the same transport -> viewers' consumers
 *
 * Each packet of a line passes through here once (about 120 a second for 1 Mbit/s), whatever the number of viewers. Where there are two
 * lines, each is held since its last key frame (`held.ts`), so a switch shows a picture at once and asks for nothing; viewers negotiate
 * nothing. A line that is well stays on until the other has a whole picture to begin with. A picture with several layers (simulcast) keeps
 * each of them as a stream of its own.
 *
 *     const program = new Program({ router, clock, log, onTrack, onLines, onSwitched })
 *     await program.attach({ line: 'primary', source: 'cam', producer, ownerId, via: 'whip' })     // until the producer closes
 */
import type { types } from 'mediasoup'
import { type Clock, elapsedMs, type Timer } from '../engine/base/clock.ts'
import type { Log } from '../engine/base/log.ts'
import type { StreamLineShape } from '../schemas/messages.ts'
import type { LineName, MediaKind } from '../schemas/sfu.ts'
import { Chosen } from './chosen.ts'
import { isKeyPacket } from './key-frames.ts'
import { type LineCause, type LineChange, Lines } from './lines.ts'
import { gone, SfuProblem } from './problem.ts'
import { codecName, newTrack, type ShownTrack } from './program-track.ts'
import { Source } from './source.ts'
import { senderReport, ssrcOf } from './splice.ts'

export type Via = 'webrtc' | 'whip' | 'rtp'
export interface Attach {
  line: LineName
  /** cam, mic, screen, virtual: which of several of a line is shown says `chosen.ts`. */
  source: string
  producer: types.Producer
  ownerId: string
  via: Via
}
export interface ProgramParts {
  router: types.Router
  clock: Clock
  log: Log
  onTrack(producer: types.Producer, ownerId: string): void
  onLines(lines: readonly StreamLineShape[], shown: LineName | undefined): void
  onSwitched(change: { from: LineName; to: LineName; gapMs: number; cause: LineCause }): void
}

interface Pending {
  to: LineName
  cause: LineCause
  /** So long it waits for a key frame that comes now. */
  untilMs: number
}

const tickEveryMs = 100
/** To read what arrived while we stood still. */
const catchUpMs = 20
const reportEveryMs = 1_000
const linesEveryMs = 2_000
/** A track outlives its last source this long: who comes back finds the viewers where they were. */
const keepTrackMs = 15_000
/** Of a line that is waited for; publishers are asked once a second at most, whatever is wanted here. */
const askEveryMs = 500
/** A browser makes no key frame unasked: what is held of a line that stands by would grow, and be sent in one go. */
const heldMsMax = 4_000
/** What was held is hardly more than its key frame. */
const freshMs = 500
/** Back to a line there is no haste: its next key frame begins without a burst, unless they are further apart than this. */
const freshMsMax = 4_000
const retryTrackMs = 1_000
const messageBytesMax = 262_144
const kinds: readonly MediaKind[] = ['audio', 'video']
const lineNames: readonly LineName[] = ['primary', 'backup']

export class Program {
  readonly #parts: ProgramParts
  readonly #lines: Lines
  readonly #sources: Source[] = []
  readonly #tracks = new Map<MediaKind, ShownTrack>()
  readonly #making = new Set<MediaKind>()
  readonly #retryAt = new Map<MediaKind, number>()
  readonly #chosen = new Chosen()
  #direct: Promise<types.DirectTransport> | undefined
  #tick: Timer | undefined
  #reportAt = 0
  #linesAt = 0
  #askAt = 0
  #tickedAt = 0
  #wasLate = false
  #toldLines = ''
  /** What feeds the tracks. Behind what `Lines` says while the other has no picture to begin with. */
  #onAir: LineName | undefined
  #pending: Pending | undefined
  /** A switch whose first packet has not come yet. */
  #switching: { from: LineName; to: LineName; cause: LineCause; lastOutMs: number } | undefined
  #lastOutMs = 0
  #isClosed = false

  constructor(parts: ProgramParts) {
    this.#parts = parts
    this.#lines = new Lines((change) => this.#onChange(change))
  }

  get line(): LineName | undefined {
    return this.#lines.shown === undefined ? undefined : this.#onAir
  }

  get lines(): readonly StreamLineShape[] {
    return lineNames.map((line) => {
      const of = this.#sources.filter((source) => source.line === line)
      const state = this.#lines.stateOf(line)
      if (of.length === 0) return { line, state }
      return { line, state, via: of[0]?.via, kbps: Math.round(of.reduce((sum, { kbps }) => sum + kbps, 0)) } as StreamLineShape
    })
  }

  /** How much later the picture of the line on air comes than its sound, by the clock of its sender; undefined: it does not tell. */
  get avSkewMs(): number | undefined {
    const [picture, sound] = [this.#tracks.get('video')?.from?.delayMs, this.#tracks.get('audio')?.from?.delayMs]
    return picture === undefined || sound === undefined ? undefined : Math.round(picture - sound)
  }

  /** What was let go of since it was asked last. */
  takeLoss(): { overflows: number; dropped: number } {
    let [overflows, dropped] = [0, 0]
    for (const source of this.#sources) overflows += source.takeOverflows()
    for (const track of this.#tracks.values()) dropped += track.takeDropped()
    return { overflows, dropped }
  }

  /** Rejects with `stream.line_taken`, or `stream.codec` when the other line sends another codec. */
  async attach({ line, source: name, producer, ownerId, via }: Attach): Promise<void> {
    this.#mustBeFree(line, ownerId)
    const direct = await this.#transport()
    const { rtpCapabilities } = this.#parts.router
    const consumer = await direct.consume({ producerId: producer.id, rtpCapabilities, pipe: true })
    try {
      // Others may have come meanwhile.
      this.#mustBeFree(line, ownerId)
      if (producer.closed || consumer.closed || this.#isClosed) throw gone('publisher')
      this.#add(new Source({ line, name, producer, consumer, ownerId, via }))
    } catch (error) {
      consumer.close()
      throw error
    }
  }

  #mustBeFree(line: LineName, ownerId: string): void {
    // A source that is closed leaves a turn later: mediasoup tells of it after the answer that brought us here.
    const taken = this.#sources.find((other) => other.line === line && other.ownerId !== ownerId && !other.producer.closed)
    if (taken) throw new SfuProblem('stream.line_taken', `${line} is taken`)
  }

  #add(source: Source): void {
    const { line, producer, consumer } = source
    const wanted = this.#codecBeside(source)
    if (wanted !== undefined) throw new SfuProblem('stream.codec', `the other line sends ${wanted}`)
    this.#sources.push(source)
    this.#chosen.want(source)
    this.#lines.opened(line)
    consumer.on('rtp', (packet) => this.#onPacket(source, packet))
    consumer.observer.on('close', () => this.#detach(source))
    // Not when the worker says so: the line is free at once.
    producer.observer.once('close', () => consumer.close())
    this.#armTick()
    this.#tellLines()
  }

  #transport(): Promise<types.DirectTransport> {
    this.#direct ??= this.#openDirect().catch((error) => {
      this.#direct = undefined
      throw error
    })
    return this.#direct
  }

  async #openDirect(): Promise<types.DirectTransport> {
    const direct = await this.#parts.router.createDirectTransport({ maxMessageSize: messageBytesMax })
    if (this.#isClosed) direct.close()
    direct.on('rtcp', (packet) => this.#onRtcp(packet))
    return direct
  }

  /** What the other line sends of this kind, when that is something else. */
  #codecBeside(source: Source): string | undefined {
    const beside = this.#sources.find(
      ({ kind, line, producer }) => kind === source.kind && line !== source.line && !producer.closed,
    )
    return beside && beside.codec.payloadType !== source.codec.payloadType ? codecName(beside.codec) : undefined
  }

  /** When the first packet is there: a line that nothing arrives on shows nobody anything. */
  #makeTrack(source: Source): void {
    if (this.#making.has(source.kind) || elapsedMs() < (this.#retryAt.get(source.kind) ?? 0)) return
    this.#making.add(source.kind)
    this.#newTrack(source)
      .catch((error) => {
        // Each packet asks for it.
        this.#retryAt.set(source.kind, elapsedMs() + retryTrackMs)
        if (!this.#isClosed) this.#parts.log.error({ err: error }, 'a track of the show cannot be made')
      })
      .finally(() => this.#making.delete(source.kind))
  }

  async #newTrack(source: Source): Promise<void> {
    const track = await newTrack(await this.#transport(), source)
    if (this.#isClosed || !this.#sources.includes(source)) return track.close()
    track.sentAtMs = elapsedMs()
    this.#tracks.set(source.kind, track)
    this.#parts.onTrack(track.producer, source.ownerId)
    if (this.#isShown(source)) this.#showNow(source)
  }

  #detach(source: Source): void {
    const at = this.#sources.indexOf(source)
    if (at < 0) return
    this.#sources.splice(at, 1)
    const { line, kind } = source
    const left = this.#sources.filter((other) => other.line === line)
    const instead = this.#chosen.gone(source, left)
    if (instead && this.#isShown(instead)) this.#showNow(instead)
    if (left.length === 0) this.#lines.closed(line)
    const track = this.#tracks.get(kind)
    if (track && !this.#sources.some((other) => other.kind === kind)) this.#endLater(track, kind)
    if (!this.#isClosed) this.#tellLines()
  }

  #endLater(track: ShownTrack, kind: MediaKind): void {
    if (this.#isClosed) return
    track.endTimer?.cancel()
    track.endTimer = this.#parts.clock.after(keepTrackMs, () => {
      if (this.#sources.some((source) => source.kind === kind)) return
      if (this.#tracks.get(kind) === track) this.#tracks.delete(kind)
      track.close()
    })
  }

  /** What nobody feeds any more ends now, not when its time is over: the show was stopped. */
  endTracks(): void {
    for (const [kind, track] of this.#tracks) {
      if (this.#sources.some((source) => source.kind === kind)) continue
      this.#tracks.delete(kind)
      track.close()
    }
  }

  // ------------------------------------------------------------------ packets

  #onPacket(source: Source, packet: Buffer): void {
    const now = elapsedMs()
    const stream = source.streamOf(ssrcOf(packet))
    source.heard(packet, stream, now)
    if (stream === undefined) return
    const isShown = this.#isShown(source)
    const isFed = isShown && this.#tracks.get(source.kind)?.from === source
    // A line alone has nobody to give way to.
    if (!isFed || this.#hasTwo) source.hold(stream, packet, now)
    else source.forgetHeld()
    const isNext = this.#chosen.heard(source, now) && this.#isShown(source)
    // Sound alone keeps no line up that had a picture.
    if (source.kind === 'video' || !this.#hasVideo(source.line)) this.#lines.heard(source.line, now)
    if (isFed) this.#sendOn(this.#tracks.get(source.kind) as ShownTrack, stream, packet, now)
    else if (this.#pending?.to === source.line && this.#isReady(this.#pending, now)) this.#goTo(this.#pending)
    else if (isShown || isNext) this.#showNow(source)
  }

  get #hasTwo(): boolean {
    const [first] = this.#sources
    return this.#sources.some(({ line }) => line !== first?.line)
  }

  #sendOn(track: ShownTrack, stream: number, packet: Buffer, now: number): void {
    const outs = track.outsOf(stream)
    for (const [at, out] of outs.entries()) {
      if (out.waits) {
        if (track.kind === 'video' && !isKeyPacket(track.mimeType, packet)) continue
        out.waits = false
        out.splice.begin(packet, now, track.from?.clockOf(stream))
      }
      // Written in place: each but the last has a copy of its own.
      const next = out.splice.next(at < outs.length - 1 ? Buffer.from(packet) : packet, now)
      if (next) this.#send(track, next, now)
    }
  }

  #send(track: ShownTrack, packet: Buffer, now: number): void {
    const switching = this.#switching
    if (switching && (track.kind === 'video' || !this.#tracks.has('video'))) {
      this.#switching = undefined
      const { from, to, cause, lastOutMs } = switching
      this.#parts.onSwitched({ from, to, cause, gapMs: Math.max(0, Math.round(now - lastOutMs)) })
    }
    if (track.kind === 'video' || !this.#tracks.has('video')) this.#lastOutMs = now
    track.send(packet, now)
  }

  #hasVideo(line: LineName): boolean {
    return this.#sources.some((source) => source.line === line && source.kind === 'video' && source.heardAtMs !== undefined)
  }

  #isShown(source: Source): boolean {
    return source.line === this.#onAir && this.#chosen.isShown(source)
  }

  // ------------------------------------------------------------------ switching

  switchLine(line: LineName | 'auto'): LineName {
    if (!this.#lines.choose(line)) throw new SfuProblem('stream.gone', `nothing arrives on ${line}`)
    const shown = this.#lines.shown
    if (shown === undefined) throw new SfuProblem('stream.gone', 'no line is up')
    return shown
  }

  /** Which of several pictures of one line is shown, as soon as it has one. */
  select(producerId: string): void {
    const source = this.#sources.find(({ producer, kind }) => producer.id === producerId && kind === 'video')
    if (!source) throw new SfuProblem('stream.gone', 'no picture of a line')
    this.#chosen.want(source)
    this.#askAt = 0
  }

  #onChange({ from, to, cause }: LineChange): void {
    const isWell = from !== undefined && this.#onAir !== undefined && this.#lines.stateOf(this.#onAir) === 'up'
    const now = elapsedMs()
    const pending: Pending = { to, cause, untilMs: now + (cause === 'returned' ? freshMsMax : 0) }
    this.#pending = undefined
    if (!isWell || to === this.#onAir || this.#isReady(pending, now)) this.#goTo({ to, cause, isNew: from === undefined })
    else {
      this.#pending = pending
      this.#askAt = 0
    }
    this.#tellLines()
  }

  #goTo({ to, cause, isNew = false }: { to: LineName; cause: LineCause; isNew?: boolean }): void {
    const from = this.#onAir
    this.#pending = undefined
    this.#onAir = to
    if (from !== undefined && from !== to && !isNew) this.#switching = { from, to, cause, lastOutMs: this.#lastOutMs }
    // The picture first: what is held of it may be much.
    for (const kind of ['video', 'audio']) for (const source of this.#shownOf(kind as MediaKind)) this.#showNow(source)
    this.#tellLines()
  }

  #shownOf(kind: MediaKind): readonly Source[] {
    return this.#sources.filter((source) => source.kind === kind && this.#isShown(source))
  }

  #isReady({ to, untilMs }: Pending, now: number): boolean {
    const pictures = this.#sources.filter(
      (source) => source.line === to && source.kind === 'video' && this.#chosen.isShown(source),
    )
    const heard = pictures.filter(({ heardAtMs }) => heardAtMs !== undefined)
    return heard.every((source) => source.canBegin && (now >= untilMs || !source.isHeldSince(now - freshMs)))
  }

  /** What was held goes out at once; without it the next key frame begins. */
  #showNow(source: Source): void {
    const track = this.#tracks.get(source.kind)
    if (track?.from === source) return
    if (!track) return this.#makeTrack(source)
    if (!track.fits(source)) {
      // Nobody else feeds it: it gives way to one of another codec.
      this.#tracks.delete(source.kind)
      track.close()
      return this.#makeTrack(source)
    }
    track.endTimer?.cancel()
    track.begin(source)
    const now = elapsedMs()
    for (const packet of track.replay(source, now)) this.#send(track, packet, now)
    if (!this.#hasTwo) source.forgetHeld()
    if (source.kind === 'video' && track.isWaiting) this.#askKeyFrame(source)
  }

  /** Viewers ask the track, the track asks the one line that is shown. Lines sent by ffmpeg take no notice. */
  #onRtcp(packet: Buffer): void {
    if (packet.length < 12 || packet.readUInt8(1) !== 206) return
    const format = packet.readUInt8(0) & 0x1f
    if (format !== 1 && format !== 4) return
    const track = this.#tracks.get('video')
    if (track?.from) this.#askKeyFrame(track.from)
  }

  #askKeyFrame({ consumer, via }: Source): void {
    if (via === 'rtp' || consumer.closed) return
    // It may be closing; then nobody needs one.
    consumer.requestKeyFrame().catch(() => undefined)
  }

  // ------------------------------------------------------------------ time

  #armTick(): void {
    if (this.#tick || this.#isClosed) return
    this.#tick = this.#parts.clock.after(this.#untilTickMs, () => {
      this.#tick = undefined
      this.#onTick()
      if (this.#sources.length > 0) this.#armTick()
      else this.#tickedAt = 0
    })
  }

  /** A loss is told when it is one, not at the next tenth of a second: viewers wait. */
  get #untilTickMs(): number {
    if (this.#wasLate) return catchUpMs
    const untilLossMs = Math.ceil((this.#lines.lossAtMs ?? Number.POSITIVE_INFINITY) - elapsedMs())
    return Math.max(1, Math.min(tickEveryMs, untilLossMs))
  }

  #onTick(): void {
    const now = elapsedMs()
    const isLate = now - this.#tickedAt > 2 * tickEveryMs && !this.#wasLate
    this.#wasLate = isLate && this.#tickedAt > 0
    this.#tickedAt = now
    // We stood still, and what arrived meanwhile has not been read: nothing is said about lines before it is.
    if (this.#wasLate) return
    this.#lines.tick(now)
    if (this.#pending && this.#onAir && this.#lines.stateOf(this.#onAir) !== 'up') this.#goTo(this.#pending)
    this.#askForKeyFrames(now)
    if (now >= this.#reportAt) {
      this.#reportAt = now + reportEveryMs
      this.#report(now).catch((error) => this.#parts.log.debug({ err: error }, 'no sender report'))
    }
    if (now >= this.#linesAt) {
      this.#linesAt = now + linesEveryMs
      for (const source of this.#sources) source.measure(now)
      this.#endSilent(now)
    }
    this.#tellLines()
  }

  #askForKeyFrames(now: number): void {
    if (now < this.#askAt) return
    this.#askAt = now + askEveryMs
    const track = this.#tracks.get('video')
    for (const source of this.#sources) {
      const isNext = this.#pending?.to === source.line
      const isMissed = track?.from === source ? track.isWaiting : isNext || (this.#chosen.isAwaited(source) && !source.canBegin)
      const isLong = source.isHeldSince(now - heldMsMax)
      if (source.kind === 'video' && (isMissed || isLong)) this.#askKeyFrame(source)
    }
  }

  /** Ports stay open when their sender has gone; a track that nobody feeds does not. */
  #endSilent(now: number): void {
    for (const [kind, track] of this.#tracks) {
      const isByRtp = this.#sources.every((source) => source.kind !== kind || source.via === 'rtp')
      if (!isByRtp || now - track.sentAtMs < keepTrackMs) continue
      this.#tracks.delete(kind)
      track.close()
    }
  }

  /** mediasoup needs them to change between the layers of a picture. */
  async #report(atMs: number): Promise<void> {
    const direct = await this.#direct
    if (!direct || direct.closed) return
    const wallMs = this.#parts.clock.now()
    for (const kind of kinds)
      for (const { splice } of this.#tracks.get(kind)?.outs ?? [])
        if (splice.hasBegun) direct.sendRtcp(senderReport(splice, { wallMs, atMs }))
  }

  #tellLines(): void {
    const { lines, line } = this
    const told = JSON.stringify([lines, line])
    if (told === this.#toldLines) return
    this.#toldLines = told
    this.#parts.onLines(lines, line)
  }

  close(): void {
    this.#isClosed = true
    this.#tick?.cancel()
    for (const track of this.#tracks.values()) track.close()
    this.#tracks.clear()
    this.#direct?.then((direct) => direct.close()).catch(() => undefined)
  }
}
