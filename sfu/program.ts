/**
 * The show: one track of sound and one of picture that viewers keep, made of whichever line is on (`lines.ts`).
 *
 *     line's producer -> consumer on a direct transport -> splice -> producer on the same transport -> viewers' consumers
 *
 * Each packet of a line passes through here once (about 120 a second for 1 Mbit/s), whatever the number of viewers. A line that is not
 * shown is held since its last key frame (`held.ts`), so a switch shows a picture at once and asks for nothing; viewers negotiate nothing.
 * A picture with several layers (simulcast) keeps each of them as a stream of its own.
 *
 *     const program = new Program({ router, clock, log, onTrack, onLines, onSwitched })
 *     await program.attach({ line: 'primary', source: 'cam', producer, ownerId, via: 'whip' })     // until the producer closes
 */
import type { types } from 'mediasoup'
import { type Clock, elapsedMs, type Timer } from '../engine/base/clock.ts'
import type { Log } from '../engine/base/log.ts'
import type { StreamLineShape } from '../schemas/messages.ts'
import type { LineName, MediaKind } from '../schemas/sfu.ts'
import { isKeyPacket } from './key-frames.ts'
import { type LineCause, type LineChange, Lines } from './lines.ts'
import { SfuProblem } from './problem.ts'
import { codecName, newTrack, type ShownTrack } from './program-track.ts'
import { Source } from './source.ts'
import { senderReport, ssrcOf } from './splice.ts'

export type Via = 'webrtc' | 'whip' | 'rtp'
export interface Attach {
  line: LineName
  /** cam, mic, screen, virtual: of several pictures of a line the last attached is shown, or the one selected. */
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

const tickEveryMs = 100
const reportEveryMs = 1_000
const linesEveryMs = 2_000
/** A track outlives its last source this long: who comes back finds the viewers where they were. */
const keepTrackMs = 15_000
const messageBytesMax = 262_144
const kinds: readonly MediaKind[] = ['audio', 'video']
const lineNames: readonly LineName[] = ['primary', 'backup']

export class Program {
  readonly #parts: ProgramParts
  readonly #lines: Lines
  readonly #sources: Source[] = []
  readonly #tracks = new Map<MediaKind, ShownTrack>()
  readonly #making = new Set<MediaKind>()
  readonly #selected = new Map<LineName, string>()
  #direct: Promise<types.DirectTransport> | undefined
  #tick: Timer | undefined
  #reportAt = 0
  #linesAt = 0
  #toldLines = ''
  /** A switch whose first packet has not come yet. */
  #switching: { from: LineName; to: LineName; cause: LineCause; lastOutMs: number } | undefined
  #lastOutMs = 0
  #isClosed = false

  constructor(parts: ProgramParts) {
    this.#parts = parts
    this.#lines = new Lines((change) => this.#onChange(change))
  }

  get line(): LineName | undefined {
    return this.#lines.shown
  }

  get lines(): readonly StreamLineShape[] {
    return lineNames.map((line) => {
      const of = this.#sources.filter((source) => source.line === line)
      const state = this.#lines.stateOf(line)
      if (of.length === 0) return { line, state }
      return { line, state, via: of[0]?.via, kbps: Math.round(of.reduce((sum, { kbps }) => sum + kbps, 0)) } as StreamLineShape
    })
  }

  /** Rejects with `stream.line_taken`, or `stream.codec` when the other line sends another codec. */
  async attach({ line, source: name, producer, ownerId, via }: Attach): Promise<void> {
    const taken = this.#sources.find((other) => other.line === line && other.ownerId !== ownerId)
    if (taken) throw new SfuProblem('stream.line_taken', `${line} is taken`)
    const direct = await this.#transport()
    const { rtpCapabilities } = this.#parts.router
    const consumer = await direct.consume({ producerId: producer.id, rtpCapabilities, pipe: true })
    const source = new Source({ line, name, producer, consumer, ownerId, via })
    const wanted = this.#codecBeside(source)
    if (wanted !== undefined) {
      consumer.close()
      throw new SfuProblem('stream.codec', `the other line sends ${wanted}`)
    }
    if (producer.closed || this.#isClosed) return consumer.close()
    this.#sources.push(source)
    if (producer.kind === 'video') this.#selected.set(line, producer.id)
    this.#lines.opened(line)
    consumer.on('rtp', (packet) => this.#onPacket(source, packet))
    consumer.observer.on('close', () => this.#detach(source))
    this.#armTick()
    this.#tellLines()
  }

  #transport(): Promise<types.DirectTransport> {
    this.#direct ??= this.#openDirect()
    return this.#direct
  }

  async #openDirect(): Promise<types.DirectTransport> {
    const direct = await this.#parts.router.createDirectTransport({ maxMessageSize: messageBytesMax })
    direct.on('rtcp', (packet) => this.#onRtcp(packet))
    return direct
  }

  /** What the other line sends of this kind, when that is something else. */
  #codecBeside(source: Source): string | undefined {
    const beside = this.#sources.find(({ kind, line }) => kind === source.kind && line !== source.line)
    return beside && beside.codec.payloadType !== source.codec.payloadType ? codecName(beside.codec) : undefined
  }

  /** When the first packet is there: a line that nothing arrives on shows nobody anything. */
  #makeTrack(source: Source): void {
    if (this.#making.has(source.kind)) return
    this.#making.add(source.kind)
    this.#newTrack(source)
      .catch((error) => this.#parts.log.error({ err: error }, 'a track of the show cannot be made'))
      .finally(() => this.#making.delete(source.kind))
  }

  async #newTrack(source: Source): Promise<void> {
    const track = await newTrack(await this.#transport(), source)
    if (this.#isClosed || !this.#sources.includes(source)) return track.close()
    this.#tracks.set(source.kind, track)
    this.#parts.onTrack(track.producer, source.ownerId)
    if (this.#isShown(source)) this.#showNow(source)
  }

  #detach(source: Source): void {
    const at = this.#sources.indexOf(source)
    if (at < 0) return
    this.#sources.splice(at, 1)
    const { line, kind, producer } = source
    const left = this.#sources.filter((other) => other.line === line)
    if (this.#selected.get(line) === producer.id) this.#reselect(line, left)
    if (left.length === 0) this.#lines.closed(line)
    const track = this.#tracks.get(kind)
    if (track && !this.#sources.some((other) => other.kind === kind)) this.#endLater(track, kind)
    if (!this.#isClosed) this.#tellLines()
  }

  #reselect(line: LineName, left: readonly Source[]): void {
    const next = left.findLast(({ kind }) => kind === 'video')
    if (!next) this.#selected.delete(line)
    else this.select(next.producer.id)
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
    source.heard(packet.length, now)
    const stream = source.streamOf(ssrcOf(packet))
    if (stream === undefined) return
    // Sound alone keeps no line up that had a picture.
    if (source.kind === 'video' || !this.#hasVideo(source.line)) this.#lines.heard(source.line, now)
    const track = this.#tracks.get(source.kind)
    if (this.#isShown(source) && track?.from === source) return this.#sendOn(track, stream, packet, now)
    source.hold(stream, packet)
    if (this.#isShown(source)) this.#showNow(source)
  }

  #sendOn(track: ShownTrack, stream: number, packet: Buffer, now: number): void {
    const out = track.outOf(stream)
    if (!out) return
    if (out.waits) {
      if (track.kind === 'video' && !isKeyPacket(track.mimeType, packet)) return
      out.waits = false
      out.splice.begin(packet, now)
    }
    const next = out.splice.next(packet, now)
    if (next) this.#send(track, next, now)
  }

  #send(track: ShownTrack, packet: Buffer, now: number): void {
    const switching = this.#switching
    if (switching && (track.kind === 'video' || !this.#tracks.has('video'))) {
      this.#switching = undefined
      const { from, to, cause, lastOutMs } = switching
      this.#parts.onSwitched({ from, to, cause, gapMs: Math.max(0, Math.round(now - lastOutMs)) })
    }
    if (track.kind === 'video' || !this.#tracks.has('video')) this.#lastOutMs = now
    track.producer.send(packet)
  }

  #hasVideo(line: LineName): boolean {
    return this.#sources.some((source) => source.line === line && source.kind === 'video')
  }

  #isShown({ line, kind, producer }: Source): boolean {
    return line === this.#lines.shown && (kind === 'audio' || this.#selected.get(line) === producer.id)
  }

  // ------------------------------------------------------------------ switching

  switchLine(line: LineName | 'auto'): LineName {
    if (!this.#lines.choose(line)) throw new SfuProblem('stream.gone', `nothing arrives on ${line}`)
    const shown = this.#lines.shown
    if (shown === undefined) throw new SfuProblem('stream.gone', 'no line is up')
    return shown
  }

  /** Which of several pictures of one line is shown. */
  select(producerId: string): void {
    const source = this.#sources.find(({ producer, kind }) => producer.id === producerId && kind === 'video')
    if (!source) throw new SfuProblem('stream.gone', 'no picture of a line')
    this.#selected.set(source.line, producerId)
    if (source.line === this.#lines.shown) this.#showNow(source)
  }

  #onChange({ from, to, cause }: LineChange): void {
    if (from !== undefined) this.#switching = { from, to, cause, lastOutMs: this.#lastOutMs }
    for (const source of this.#sources) if (this.#isShown(source)) this.#showNow(source)
    this.#tellLines()
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
    for (const [stream, held] of source.takeHeld()) {
      const out = track.outOf(stream)
      if (!out) continue
      out.waits = false
      for (const packet of out.splice.replay(held, now)) this.#send(track, packet, now)
    }
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

  #askKeyFrame({ consumer }: Source): void {
    // It may be closing; then nobody needs one.
    consumer.requestKeyFrame().catch(() => undefined)
  }

  // ------------------------------------------------------------------ time

  #armTick(): void {
    if (this.#tick || this.#isClosed) return
    this.#tick = this.#parts.clock.after(tickEveryMs, () => {
      this.#tick = undefined
      this.#onTick()
      if (this.#sources.length > 0) this.#armTick()
    })
  }

  #onTick(): void {
    const now = elapsedMs()
    this.#lines.tick(now)
    if (now >= this.#reportAt) {
      this.#reportAt = now + reportEveryMs
      void this.#report(now)
    }
    if (now >= this.#linesAt) {
      this.#linesAt = now + linesEveryMs
      for (const source of this.#sources) source.measure(now)
    }
    this.#tellLines()
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
