/**
 * How it plays and how it is sent, from the statistics of the browser: figures to show, what stalled, and the report of each ten seconds.
 *
 *     const watch = new PlayWatch()
 *     const figures = watch.sample({ video, audio, nowMs, isCounted })     // about once a second
 *     const report = watch.takeReport(nowMs)                               // `stream.report_qos`, when it is due
 *
 * Stalled is a second without a new frame although packets come, or without any packet at all. Sound without a packet of the picture may
 * be a still screen, which browsers send once a second: it is a stall after `stillMsMax`.
 */
import type { CommandInput } from '../../schemas/messages.ts'

export interface PlayStats {
  kbps: number
  width: number
  height: number
  fps: number
  rttMs: number | undefined
  lossBps: number
  /** Since the beginning. */
  stalls: number
  stallMs: number
  framesDecoded: number
  /** Picture behind sound; unknown until the sender told its clocks. */
  avSkewMs: number | undefined
}
export interface SendStats {
  kbps: number
  /** Of the largest picture that is sent. */
  width: number
  height: number
  fps: number
  rttMs: number | undefined
  lossBps: number
  /** Why it is sent smaller than it is: `cpu` or `bandwidth`. */
  limitedBy: string | undefined
}
export type QosReport = CommandInput<'stream.report_qos'>

/** What browsers put into a report, as far as it is read here. */
interface Entry {
  type: string
  kind?: string
  nominated?: boolean
  state?: string
  [name: string]: unknown
}

const entriesOf = (report: RTCStatsReport | undefined): Entry[] => (report ? [...report.values()] : [])
const number = (entry: Entry | undefined, name: string): number => {
  const value = entry?.[name]
  return typeof value === 'number' && Number.isFinite(value) ? value : 0
}

function rttOf(entries: readonly Entry[]): number | undefined {
  const pair = entries.find(({ type, nominated, state }) => type === 'candidate-pair' && nominated && state === 'succeeded')
  return typeof pair?.['currentRoundTripTime'] === 'number' ? Math.round(number(pair, 'currentRoundTripTime') * 1_000) : undefined
}

interface Counts {
  atMs: number
  bytes: number
  packets: number
  lost: number
  videoPackets: number
  audioPackets: number
  frames: number
}
export interface PlaySample {
  video: RTCStatsReport | undefined
  audio: RTCStatsReport | undefined
  nowMs: number
  /** False: it should, and there is nothing to play from. */
  isPlaying: boolean
  /** Pictures are expected: not with sound alone. */
  hasPicture: boolean
  /** False while the page is hidden: browsers then decode as they like. */
  isCounted: boolean
}

const packetsOfPictureMin = 10
const stillMsMax = 2_500
const reportEveryMs = 10_000
/** The engine takes no longer window. */
const windowMsMax = 60_000

export class PlayWatch {
  #last: Counts | undefined
  #lastMs: number | undefined
  #stalls = 0
  #stallMs = 0
  #isStalled = false
  /** Without a new frame. */
  #stillMs = 0
  #hasBegun = false
  #hasPlayed = false
  #window: { sinceMs: number; playMs: number; stallMs: number; packets: number; lost: number } | undefined
  stats: PlayStats | undefined

  get isStalled(): boolean {
    return this.#isStalled
  }

  /** A frame was shown, or a sound heard. */
  get hasBegun(): boolean {
    return this.#hasBegun
  }

  /** As `hasBegun`, over all connections of this show. */
  get hasPlayed(): boolean {
    return this.#hasPlayed
  }

  sample({ video, audio, nowMs, isPlaying, hasPicture, isCounted }: PlaySample): void {
    if (!isPlaying) return this.#miss(nowMs, isCounted)
    const entries = [...entriesOf(video), ...entriesOf(audio)]
    const inbound = (kind: string) => entries.find((entry) => entry.type === 'inbound-rtp' && entry.kind === kind)
    const [picture, sound] = [inbound('video'), inbound('audio')]
    const counts: Counts = {
      atMs: nowMs,
      bytes: number(picture, 'bytesReceived') + number(sound, 'bytesReceived'),
      packets: number(picture, 'packetsReceived') + number(sound, 'packetsReceived'),
      lost: number(picture, 'packetsLost') + number(sound, 'packetsLost'),
      videoPackets: number(picture, 'packetsReceived'),
      audioPackets: number(sound, 'packetsReceived'),
      frames: number(picture, 'framesDecoded'),
    }
    const last = this.#last
    this.#last = counts
    this.#lastMs = nowMs
    // Counters that fell belong to other consumers than before.
    const isNew = !last || counts.bytes < last.bytes || counts.packets < last.packets
    const passed = isNew ? undefined : difference(counts, last)
    if (passed) this.#judge(passed, { hasPicture, isCounted })
    const skew = number(sound, 'estimatedPlayoutTimestamp') - number(picture, 'estimatedPlayoutTimestamp')
    const hasSkew = number(sound, 'estimatedPlayoutTimestamp') > 0 && number(picture, 'estimatedPlayoutTimestamp') > 0
    this.stats = {
      kbps: passed && passed.atMs > 0 ? Math.round((passed.bytes * 8) / passed.atMs) : 0,
      width: number(picture, 'frameWidth'),
      height: number(picture, 'frameHeight'),
      fps: Math.round(number(picture, 'framesPerSecond')),
      rttMs: rttOf(entries),
      lossBps: passed ? share(passed.lost, passed.packets) : 0,
      stalls: this.#stalls,
      stallMs: this.#stallMs,
      framesDecoded: counts.frames,
      avSkewMs: hasSkew ? Math.round(skew) : undefined,
    }
  }

  /** Nothing to play from: since there was, that is a stall. */
  #miss(nowMs: number, isCounted: boolean): void {
    const sinceMs = this.#lastMs
    this.#lastMs = nowMs
    if (!this.#hasPlayed || sinceMs === undefined) return
    if (!this.#isStalled) this.#stalls++
    this.#isStalled = true
    if (isCounted) this.#count(nowMs - sinceMs, { isStalled: true, packets: 0, lost: 0 })
  }

  #judge(passed: Counts, { hasPicture, isCounted }: Pick<PlaySample, 'hasPicture' | 'isCounted'>): void {
    if (passed.frames > 0 || (passed.audioPackets > 0 && !hasPicture)) this.#hasBegun = this.#hasPlayed = true
    this.#stillMs = passed.frames > 0 ? 0 : this.#stillMs + passed.atMs
    const isFrozen = passed.videoPackets >= packetsOfPictureMin || passed.audioPackets === 0 || this.#stillMs >= stillMsMax
    const isStill = hasPicture ? passed.frames === 0 && isFrozen : passed.audioPackets === 0
    const isStalled = this.#hasBegun && isStill
    if (isStalled && !this.#isStalled) this.#stalls++
    this.#isStalled = isStalled
    if (this.#hasBegun && isCounted) this.#count(passed.atMs, { isStalled, packets: passed.packets, lost: passed.lost })
  }

  #count(ms: number, { isStalled, packets, lost }: { isStalled: boolean; packets: number; lost: number }): void {
    const stallMs = isStalled ? ms : 0
    this.#stallMs += stallMs
    this.#window ??= { sinceMs: (this.#lastMs ?? 0) - ms, playMs: 0, stallMs: 0, packets: 0, lost: 0 }
    this.#window.playMs += ms
    this.#window.stallMs += stallMs
    this.#window.packets += packets
    this.#window.lost += lost
  }

  /** Undefined while there is none to send. */
  takeReport(nowMs: number): QosReport | undefined {
    const window = this.#window
    if (!window || nowMs - window.sinceMs < reportEveryMs) return undefined
    this.#window = undefined
    const windowMs = Math.min(windowMsMax, Math.round(nowMs - window.sinceMs))
    const playMs = Math.min(windowMs, Math.round(window.playMs))
    const { rttMs, avSkewMs } = this.stats ?? {}
    return {
      ...{ windowMs, playMs, stallMs: Math.min(playMs, Math.round(window.stallMs)), lossBps: share(window.lost, window.packets) },
      ...(rttMs === undefined ? {} : { rttMs: Math.min(60_000, rttMs) }),
      ...(avSkewMs === undefined || Math.abs(avSkewMs) > 60_000 ? {} : { avSkewMs }),
    }
  }

  /** The connection is made anew; the show goes on. */
  reset(): void {
    this.#last = undefined
    this.#stillMs = 0
    this.#hasBegun = false
  }

  /** The show is over. */
  end(): void {
    this.reset()
    this.#lastMs = undefined
    this.#window = undefined
    this.#isStalled = false
    this.#hasPlayed = false
    this.stats = undefined
  }
}

const difference = (now: Counts, before: Counts): Counts => ({
  atMs: now.atMs - before.atMs,
  bytes: now.bytes - before.bytes,
  packets: now.packets - before.packets,
  lost: Math.max(0, now.lost - before.lost),
  videoPackets: now.videoPackets - before.videoPackets,
  audioPackets: now.audioPackets - before.audioPackets,
  frames: Math.max(0, now.frames - before.frames),
})

const share = (lost: number, packets: number): number =>
  lost + packets === 0 ? 0 : Math.min(10_000, Math.round((lost * 10_000) / (lost + packets)))

/** The same for what is sent; all layers of a picture count. */
export class SendWatch {
  #last: { atMs: number; bytes: number } | undefined
  stats: SendStats | undefined

  sample(report: RTCStatsReport | undefined, nowMs: number): SendStats {
    const entries = entriesOf(report)
    const outbound = entries.filter(({ type }) => type === 'outbound-rtp')
    const pictures = outbound.filter(({ kind }) => kind === 'video')
    const shown = pictures.reduce<Entry | undefined>(
      (best, one) => (number(one, 'frameHeight') > number(best, 'frameHeight') ? one : best),
      undefined,
    )
    const bytes = outbound.reduce((sum, one) => sum + number(one, 'bytesSent'), 0)
    const last = this.#last
    this.#last = { atMs: nowMs, bytes }
    const passedMs = last && bytes >= last.bytes ? nowMs - last.atMs : 0
    const losses = entries.filter(({ type }) => type === 'remote-inbound-rtp').map((one) => number(one, 'fractionLost'))
    const limited = shown?.['qualityLimitationReason']
    this.stats = {
      kbps: last && passedMs > 0 ? Math.round(((bytes - last.bytes) * 8) / passedMs) : 0,
      width: number(shown, 'frameWidth'),
      height: number(shown, 'frameHeight'),
      fps: Math.round(number(shown, 'framesPerSecond')),
      rttMs: rttOf(entries),
      lossBps: Math.round(Math.min(1, Math.max(0, ...losses)) * 10_000),
      limitedBy: typeof limited === 'string' && limited !== 'none' ? limited : undefined,
    }
    return this.stats
  }

  reset(): void {
    this.#last = undefined
    this.stats = undefined
  }
}
