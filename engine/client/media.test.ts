import { describe, expect, test } from 'vitest'
import type { MediaTrackShape, SeatShape } from '../../schemas/messages.ts'
import { encodingsFor, Ladder } from './media-layers.ts'
import { type MediaState, mediaFolds } from './media-state.ts'
import { PlayWatch, SendWatch } from './media-stats.ts'

const track = (id: string, more: Partial<MediaTrackShape> = {}): MediaTrackShape => ({
  ...{ id, userId: 'host', kind: 'video', source: 'main' },
  ...more,
})
const me = { userId: 'ann', name: 'Ann', roles: [], anonymous: false }
const nothing: MediaState = { stream: undefined, mic: undefined, me }

describe('the state of a room', () => {
  const fold = (state: MediaState, t: keyof typeof mediaFolds, d: unknown): MediaState =>
    (mediaFolds[t] as (state: MediaState, d: unknown) => MediaState)(state, d)

  test('follows a show from its first track to its end', () => {
    let state = fold(nothing, 'stream.started', { sinceAt: 5 })
    state = fold(state, 'stream.published', { track: track('a') })
    state = fold(state, 'stream.published', { track: track('a', { muted: true }) })
    state = fold(state, 'stream.lines_changed', { lines: [{ line: 'primary', state: 'up' }], line: 'primary' })
    expect(state.stream).toEqual({
      ...{ state: 'live', sinceAt: 5, tracks: [track('a', { muted: true })] },
      ...{ lines: [{ line: 'primary', state: 'up' }], line: 'primary', degradeLevel: 0 },
    })
    state = fold(state, 'stream.unpublished', { trackId: 'a', reason: 'closed' })
    state = fold(state, 'stream.lines_changed', { lines: [] })
    state = fold(state, 'stream.stopped', { reason: 'ended' })
    expect(state.stream).toEqual({ state: 'off', tracks: [], lines: [], degradeLevel: 0 })
  })

  test('keeps the seats in their order', () => {
    const seat = (no: number, state: SeatShape['state']): SeatShape => ({ no, state, locked: false })
    let state = fold(nothing, 'mic.queue_changed', { waiting: 3 })
    for (const no of [2, 1]) state = fold(state, 'mic.seat_changed', { seat: seat(no, 'reserved'), by: 'host' })
    state = fold(state, 'mic.seat_changed', { seat: seat(2, 'live'), by: 'host' })
    expect(state.mic).toEqual({ waiting: 3, seats: [seat(1, 'reserved'), seat(2, 'live')] })
  })

  test('knows what the mic holds for this user alone, until it is taken up or over', () => {
    const seat = (no: number, state: SeatShape['state'], id = 'ann'): SeatShape => ({
      ...{ no, state, locked: false },
      ...(state === 'open' ? {} : { user: { id, name: id } }),
    })
    const invitation = { inviteId: 'i1', by: { id: 'host', name: 'Host' }, expireAt: 9 }
    const granted = { seatNo: 2, joinByAt: 9 }
    const at = (state: MediaState) => [state.mic?.place, state.me.invitation, state.me.granted]
    const waiting = fold({ ...nothing, mic: { seats: [], waiting: 2 } }, 'mic.place_changed', { place: 2 })
    expect(at(waiting)).toEqual([2, undefined, undefined])
    const invited = fold(nothing, 'mic.invited', invitation)
    expect(at(invited)).toEqual([undefined, invitation, undefined])
    const kept = [waiting, invited].map((state) => fold(state, 'mic.accepted', granted))
    for (const state of kept) expect(at(state)).toEqual([undefined, undefined, granted])
    for (const t of ['mic.rejected', 'mic.timed_out'] as const)
      for (const state of [waiting, invited, ...kept]) expect(at(fold(state, t, {}))).toEqual([undefined, undefined, undefined])
    const after = (changed: SeatShape) => at(fold(kept[0] as MediaState, 'mic.seat_changed', { seat: changed, by: 'ann' }))[2]
    expect([seat(2, 'reserved'), seat(1, 'live', 'bob')].map(after)).toEqual([granted, granted])
    expect([seat(2, 'live'), seat(2, 'open'), seat(2, 'reserved', 'bob')].map(after)).toEqual([undefined, undefined, undefined])
  })
})

describe('quality', () => {
  test('is what somebody chose, of as many layers as there are', () => {
    const ladder = new Ladder()
    const layers = (count: number) =>
      (['auto', 'high', 'middle', 'low'] as const).map((quality) => {
        ladder.choose(quality)
        return ladder.layer(count)
      })
    expect(layers(3)).toEqual([2, 2, 1, 0])
    expect(layers(2)).toEqual([1, 1, 0, 0])
    expect(layers(1)).toEqual([0, 0, 0, 0])
  })

  test('left to itself goes down at trouble, and up again after half a minute of calm', () => {
    const ladder = new Ladder()
    const calm = (nowMs: number) => ladder.heard({ stallMs: 0, lossBps: 0, nowMs })
    ladder.heard({ stallMs: 2_000, lossBps: 0, nowMs: 10_000 })
    expect(ladder.layer(3)).toBe(1)
    calm(20_000)
    expect(ladder.layer(3)).toBe(1)
    ladder.heard({ stallMs: 0, lossBps: 2_000, nowMs: 30_000 })
    ladder.heard({ stallMs: 0, lossBps: 2_000, nowMs: 40_000 })
    expect(ladder.layer(3)).toBe(0)
    calm(69_999)
    expect(ladder.layer(3)).toBe(0)
    calm(70_000)
    expect(ladder.layer(3)).toBe(1)
  })

  test('small pictures are sent once, larger ones in two or three sizes', () => {
    expect(encodingsFor(240, true)).toEqual([{ maxBitrate: 250_000 }])
    expect(encodingsFor(720, false)).toEqual([{ maxBitrate: 2_500_000 }])
    expect(encodingsFor(2_160, true).map(({ maxBitrate }) => maxBitrate)).toEqual([1_200_000, 4_500_000, 16_000_000])
    expect(encodingsFor(480, true).map(({ scaleResolutionDownBy }) => scaleResolutionDownBy)).toEqual([2, 1])
    expect(encodingsFor(720, true)).toEqual([
      { scaleResolutionDownBy: 4, maxBitrate: 250_000 },
      { scaleResolutionDownBy: 2, maxBitrate: 600_000 },
      { scaleResolutionDownBy: 1, maxBitrate: 2_500_000 },
    ])
  })
})

describe('how it plays', () => {
  const report = (entries: object[]) => new Map(entries.map((entry, at) => [String(at), entry])) as unknown as RTCStatsReport
  const picture = (framesDecoded: number, packetsReceived: number, more: object = {}) =>
    report([
      { type: 'inbound-rtp', kind: 'video', framesDecoded, packetsReceived, bytesReceived: packetsReceived * 1_000, ...more },
      { type: 'candidate-pair', nominated: true, state: 'succeeded', currentRoundTripTime: 0.04 },
    ])
  const sound = (packetsReceived: number) =>
    report([{ type: 'inbound-rtp', kind: 'audio', packetsReceived, bytesReceived: packetsReceived * 100 }])

  class Player {
    readonly watch = new PlayWatch()
    #nowMs = 0
    second(
      video: RTCStatsReport | undefined,
      audio: RTCStatsReport | undefined,
      more: { isPlaying?: boolean; isCounted?: boolean } = {},
    ) {
      this.#nowMs += 1_000
      this.watch.sample({ video, audio, nowMs: this.#nowMs, isPlaying: true, hasPicture: true, isCounted: true, ...more })
      return this.watch.isStalled
    }
    report = () => this.watch.takeReport(this.#nowMs)
  }

  test('a picture that stands still although packets come has stalled, a still screen with sound has not', () => {
    const player = new Player()
    expect(player.second(picture(0, 0), sound(0))).toBe(false)
    expect(player.watch.hasBegun).toBe(false)
    expect(player.second(picture(30, 100), sound(50))).toBe(false)
    expect(player.second(picture(30, 150), sound(100))).toBe(true)
    expect(player.second(picture(60, 200), sound(150))).toBe(false)
    expect(player.second(picture(60, 201), sound(200))).toBe(false)
    expect(player.second(picture(60, 201), sound(250))).toBe(false)
    expect(player.second(picture(60, 201), sound(300))).toBe(true) // longer than a screen stands still
    expect(player.second(picture(61, 211), sound(300))).toBe(false)
    expect(player.watch.stats).toMatchObject({ stalls: 2, stallMs: 2_000, rttMs: 40, framesDecoded: 61 })
  })

  test('the report of ten seconds counts the outage between two connections, and no hidden page', () => {
    const player = new Player()
    player.second(picture(0, 0), sound(0))
    for (let s = 1; s <= 5; s++) player.second(picture(s * 30, s * 100, { packetsLost: s }), sound(s * 50))
    player.watch.reset()
    expect(player.second(undefined, undefined, { isPlaying: false })).toBe(true)
    expect(player.second(undefined, undefined, { isPlaying: false })).toBe(true)
    expect(player.report()).toBeUndefined() // not ten seconds yet
    for (let s = 0; s <= 3; s++) player.second(picture(s * 30, s * 100), sound(s * 50), { isCounted: s < 3 })
    const given = player.report()
    expect(given).toMatchObject({ windowMs: 11_000, playMs: 9_000, stallMs: 2_000, rttMs: 40, lossBps: 47 })
    expect(player.report()).toBeUndefined()
    player.watch.end()
    expect(player.watch.hasPlayed).toBe(false)
  })

  test('what is sent is the sum of its layers, and the size of the largest', () => {
    const watch = new SendWatch()
    const layers = (bytes: number) =>
      report([
        { type: 'outbound-rtp', kind: 'video', bytesSent: bytes, frameHeight: 180, frameWidth: 320 },
        {
          type: 'outbound-rtp',
          kind: 'video',
          bytesSent: bytes,
          frameHeight: 720,
          frameWidth: 1_280,
          qualityLimitationReason: 'cpu',
        },
        { type: 'remote-inbound-rtp', kind: 'video', fractionLost: 0.02 },
      ])
    watch.sample(layers(0), 0)
    expect(watch.sample(layers(125_000), 1_000)).toMatchObject({ kbps: 2_000, height: 720, lossBps: 200, limitedBy: 'cpu' })
  })
})
