/** The picture of a room, by a real node with real workers, and ffmpeg where something must be seen. */
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Type } from '@sinclair/typebox'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { audioJson, dtlsJson, mediaReady, sendPicture, transportOf, until, videoJson } from '../media/fixtures/client.ts'
import { allow, definePlugin, deny } from '../plugin/index.ts'
import { startTestEngine, type TestClient, type TestEngine } from '../testing.ts'

let engine: TestEngine
let refuseSource = ''
const asked: unknown[] = []
const gate = definePlugin({
  name: 'gate',
  version: '1.0.0',
  calls: ['engine.session.close', 'engine.stream.cut', 'engine.stream.degrade', 'engine.stream.switch_line'],
  commands: {
    'x.gate.close': {
      d: Type.Object({ userId: Type.String() }),
      room: false,
      budgetMs: 1_000,
      run: async ({ d }, ctx) => {
        await ctx.user.closeSessions(d.userId)
        return {}
      },
    },
    'x.gate.steer': {
      d: Type.Object({}),
      budgetMs: 5_000,
      run: async ({ room }, ctx) => {
        await ctx.stream.degrade(room, 4)
        const line = await ctx.stream.switchLine(room, 'auto')
        await ctx.stream.cut(room, { banMs: 0, reason: 'enough' })
        return { line }
      },
    },
  },
  guards: {
    'stream.publish': {
      order: 1,
      budgetMs: 1_000,
      onFailure: 'closed',
      run: ({ d }) => {
        asked.push(d)
        return d.source === refuseSource ? deny('stream.denied', 'Not this one.') : allow
      },
    },
  },
})
const children: ChildProcess[] = []
let rooms = 0

beforeAll(async () => {
  engine = await startTestEngine({ media: true, mediaWorkers: 2, logLevel: 'error' }, { plugins: [gate] })
  await mediaReady(engine)
}, 60_000)
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  refuseSource = ''
  asked.length = 0
})
afterAll(() => engine.stop())

/** An open room of its own, with its owner in it. */
async function stage(): Promise<{ room: string; owner: TestClient; ownerId: string }> {
  const room = `stage${++rooms}`
  const ownerId = `host${rooms}`
  const owner = await engine.connect({ token: await engine.token(ownerId, { scope: 'streamer' }) })
  await owner.ok('room.create', { roomId: room, title: 'Stage' })
  await owner.ok('room.open', {}, room)
  await owner.ok('room.join', {}, room)
  return { room, owner, ownerId }
}
async function enter(room: string, user?: string): Promise<TestClient> {
  const client = await engine.connect(user === undefined ? {} : { token: await engine.token(user) })
  await client.ok('room.join', {}, room)
  return client
}
async function goLive(owner: TestClient, room: string, line = 'primary') {
  const { ingestJson } = await owner.ok('stream.open_ingest', { line }, room)
  const ingest = JSON.parse(ingestJson)
  const child = sendPicture(ingest)
  children.push(child)
  return { ingest, child }
}
const described = (room: string) => engine.media?.request('room.describe', { room })
const isCut = (room: string) =>
  described(room)?.then(
    () => false,
    (error) => error.code === 'stream.gone',
  )
const lineOf = async (room: string, line: string) => (await described(room))?.lines.find((one) => one.line === line)?.state

describe('a show', () => {
  it('starts with its first track, is played, and stops', async () => {
    const { room, owner, ownerId } = await stage()
    const viewer = await enter(room)
    const { ingest } = await goLive(owner, room)
    expect(ingest).toMatchObject({ host: '127.0.0.1', audio: { codec: 'opus' }, video: { codec: 'h264' } })
    await viewer.next('stream.started')
    const tracks = [await viewer.next('stream.published'), await viewer.next('stream.published')].map(({ d }) => d.track)
    expect(tracks.map(({ kind }) => kind).sort()).toEqual(['audio', 'video'])
    for (const track of tracks) expect(track).toMatchObject({ userId: ownerId, source: 'main' })
    const late = await engine.connect()
    const { stream } = await late.ok('room.join', {}, room)
    expect(stream).toMatchObject({ state: 'live', line: 'primary', degradeLevel: 0 })
    expect(stream.tracks.map(({ id }: { id: string }) => id).sort()).toEqual(tracks.map(({ id }) => id).sort())
    // The same line again: the same ports.
    const again = JSON.parse((await owner.ok('stream.open_ingest', {}, room)).ingestJson)
    expect(again.videoPort).toBe(ingest.videoPort)

    const transportId = await transportOf(viewer, room, 'recv')
    const video = tracks.find(({ kind }) => kind === 'video')
    const { consumerId, paramsJson } = await viewer.ok('stream.play', { trackId: video.id, transportId }, room)
    expect(JSON.parse(paramsJson)).toMatchObject({ id: consumerId, kind: 'video', layers: 1, producerId: video.id })
    await viewer.ok('stream.resume_play', { consumerId }, room)
    await viewer.ok('stream.set_layers', { consumerId, spatial: 0 }, room)
    await viewer.ok('stream.pause_play', { consumerId }, room)
    expect(JSON.parse((await viewer.ok('stream.restart_ice', { transportId }, room)).iceJson)).toHaveProperty('usernameFragment')
    await viewer.ok('stream.stop_play', { consumerId }, room)
    expect((await viewer.refused('stream.resume_play', { consumerId }, room)).code).toBe('stream.gone')

    await owner.ok('stream.stop', {}, room)
    expect((await viewer.next('stream.stopped')).d).toEqual({ reason: 'ended' })
    expect(viewer.of('stream.unpublished')).toHaveLength(2)
    const { stream: after } = await (await engine.connect()).ok('room.join', {}, room)
    expect(after).toEqual({ state: 'off', tracks: [], lines: [], degradeLevel: 0 })
    expect(await described(room)).toMatchObject({ tracks: [] })
    expect((await owner.refused('stream.stop', {}, room)).code).toBe('room.bad_state')

    // The next show plays where the last one did.
    await goLive(owner, room)
    await viewer.next('stream.started')
    const next = await viewer.next(({ t, d }) => t === 'stream.published' && d.track.kind === 'video')
    await viewer.ok('stream.play', { trackId: next.d.track.id, transportId }, room)
    for (const t of ['stream.migrated', 'stream.transport_closed', 'stream.consumer_closed']) expect(viewer.of(t)).toEqual([])
  })

  it('is stopped while its lines are on their way, and leaves nobody behind', async () => {
    const { room, owner } = await stage()
    const transportId = await transportOf(owner, room, 'send')
    const sound = { transportId, kind: 'audio', source: 'mic', rtpJson: audioJson(71), line: 'backup' }
    await owner.ok('stream.publish', sound, room)
    const [ingest] = await Promise.all([owner.call('stream.open_ingest', {}, room), owner.ok('stream.stop', {}, room)])
    if (!ingest.ok) expect(ingest.err.code).toBe('stream.gone')
    // The transport is good for more, and both lines are free.
    await until('the line to be free', async () => (await lineOf(room, 'backup')) === 'idle')
    await owner.ok('stream.publish', { ...sound, rtpJson: audioJson(72) }, room)
    await owner.ok('stream.open_ingest', {}, room)
    const { status, body } = await engine.admin('GET', `/rooms/${room}/stream`)
    expect([status, body.publishers.map(({ via, lines }: { via: string; lines: string[] }) => [via, ...lines]).sort()]).toEqual([
      200,
      [
        ['rtp', 'primary'],
        ['session', 'backup'],
      ],
    ])
  })

  it('is as it is now for whoever comes back, whatever they missed of it', async () => {
    const { room, owner } = await stage()
    const first = await goLive(owner, room)
    const viewer = await enter(room)
    await goLive(owner, room, 'backup')
    await owner.next(
      ({ t, d }) => t === 'stream.lines_changed' && d.lines.every(({ state }: { state: string }) => state === 'up'),
    )
    const { epoch, seq } = await owner.ok('room.join', {}, room)
    viewer.drop()
    first.child.kill('SIGKILL')
    await until('the switch', () => {
      const { line, lines } = engine.homes.find(room)?.stream() ?? {}
      return line === 'backup' && lines?.some(({ state }) => state === 'down')
    })
    const back = async () => {
      const client = await engine.connect()
      return client.ok('room.join', { resume: { epoch, seq } }, room)
    }
    const switched = await back()
    expect(switched).toMatchObject({ resumed: true, stream: { state: 'live', line: 'backup' }, mic: { waiting: 0 } })
    expect(switched.stream.tracks).toHaveLength(2)
    expect(switched.stream.lines).toContainEqual(expect.objectContaining({ line: 'primary', state: 'down' }))
    expect(switched.me).toMatchObject({ anonymous: true })
    await owner.ok('stream.stop', {}, room)
    expect(await back()).toMatchObject({ resumed: true, stream: { state: 'off', tracks: [], lines: [] } })
  })

  it('changes its line when the first falls silent, and by hand', async () => {
    const { room, owner } = await stage()
    const viewer = await enter(room)
    const primary = await goLive(owner, room)
    await viewer.next('stream.started')
    await goLive(owner, room, 'backup')
    await viewer.next(
      ({ t, d }) => t === 'stream.lines_changed' && d.lines.every(({ state }: { state: string }) => state === 'up'),
    )
    primary.child.kill('SIGKILL')
    expect((await viewer.next('stream.line_switched')).d).toMatchObject({ from: 'primary', to: 'backup', cause: 'lost' })
    children.push(sendPicture(primary.ingest))
    expect((await viewer.next('stream.line_switched')).d).toMatchObject({ to: 'primary', cause: 'returned' })
    expect(await owner.ok('stream.switch_line', { line: 'backup' }, room)).toEqual({ line: 'backup' })
    expect((await viewer.next('stream.line_switched')).d).toMatchObject({ to: 'backup', cause: 'manual' })
    expect(viewer.of('stream.published')).toHaveLength(2)
    expect((await viewer.refused('stream.switch_line', { line: 'auto' }, room)).code).toBe('auth.required')
    expect((await (await enter(room, 'ann')).refused('stream.switch_line', { line: 'auto' }, room)).code).toBe('perm.denied')
  })

  it('ends by itself when nobody publishes any more', async () => {
    const { room, owner, ownerId } = await stage()
    const transportId = await transportOf(owner, room, 'send')
    const send = { transportId, kind: 'audio', source: 'mic', rtpJson: audioJson(11), line: 'backup' }
    const { producerId } = await owner.ok('stream.publish', send, room)
    expect(asked).toEqual([{ kind: 'audio', source: 'mic', line: 'backup' }])
    await until('the line to be taken', async () => (await lineOf(room, 'backup')) !== 'idle')
    await owner.ok('stream.unpublish', { producerId }, room)
    await until('the line to be free', async () => (await lineOf(room, 'backup')) === 'idle')
    expect((await owner.refused('stream.unpublish', { producerId }, room)).code).toBe('stream.gone')
    expect(ownerId).not.toBe('')
  })
})

describe('a picture by RTP', () => {
  it('in the codec that is asked for, and none that does not go with the other line', async () => {
    const { room, owner } = await stage()
    const ask = async (d: object) => JSON.parse((await owner.ok('stream.open_ingest', d, room)).ingestJson)
    const h264 = await ask({})
    expect([h264.video.codec, h264.ffmpeg.includes('libx264')]).toEqual(['h264', true])
    const vp8 = await ask({ codec: 'vp8' })
    expect([vp8.video.codec, vp8.ffmpeg.includes('libvpx')]).toEqual(['vp8', true])
    expect(vp8.videoPort).not.toBe(h264.videoPort)
    expect((await ask({ codec: 'vp8' })).videoPort).toBe(vp8.videoPort)

    children.push(sendPicture(vp8))
    await owner.next('stream.started')
    const { rtpJson } = await owner.ok('stream.get_capabilities', {}, room)
    const device = JSON.parse(rtpJson)
    const plays = async (mimeType: string) => {
      const viewer = await enter(room)
      const codecs = device.codecs.filter(
        (one: { kind: string; mimeType: string }) => one.kind === 'audio' || one.mimeType === mimeType,
      )
      const of = { direction: 'recv', rtpJson: JSON.stringify({ ...device, codecs }) }
      const { transportId } = await viewer.ok('stream.create_transport', of, room)
      const picture = await until('the picture', async () => {
        const { stream } = await viewer.ok('room.join', {}, room)
        return stream.tracks.find(({ kind }: { kind: string }) => kind === 'video')
      })
      const played = await viewer.call('stream.play', { trackId: picture.id, transportId }, room)
      return played.ok || played.err.code
    }
    expect([await plays('video/VP8'), await plays('video/H264')]).toEqual([true, 'stream.codec'])

    // Beside it H264 is none; what is open stays open, with either.
    const refused = await owner.refused('stream.open_ingest', { line: 'backup' }, room)
    expect(refused).toMatchObject({ code: 'stream.codec', d: { hint: expect.stringContaining('VP8') } })
    const backup = await ask({ line: 'backup', codec: 'vp8' })
    expect((await owner.refused('stream.open_ingest', { line: 'backup', codec: 'h264' }, room)).code).toBe('stream.codec')
    expect((await ask({ line: 'backup', codec: 'vp8' })).videoPort).toBe(backup.videoPort)
    expect((await owner.refused('stream.open_ingest', { codec: 'h265' }, room)).code).toBe('request.invalid')
    // It has one picture, and there is nothing to select.
    expect(await owner.refused('stream.select_source', { producerId: 'none' }, room)).toMatchObject({
      code: 'stream.bad_params',
      d: { hint: expect.stringContaining('stream.switch_line') },
    })
  })
})

describe('one publisher a line', () => {
  it('a second tab of the same user takes over, another user does not', async () => {
    const { room, owner, ownerId } = await stage()
    await owner.ok('room.grant_role', { userId: 'helper', role: 'assistant' }, room)
    const helper = await enter(room, 'helper')
    const first = await transportOf(owner, room, 'send')
    const audio = { kind: 'audio', source: 'mic', line: 'primary' }
    await owner.ok('stream.publish', { ...audio, transportId: first, rtpJson: audioJson(21) }, room)
    const helpers = await transportOf(helper, room, 'send')
    const taken = { ...audio, transportId: helpers, rtpJson: audioJson(22) }
    expect((await helper.refused('stream.publish', taken, room)).code).toBe('stream.line_taken')
    expect((await helper.refused('stream.open_ingest', {}, room)).code).toBe('stream.line_taken')

    const tab = await engine.connect({ token: await engine.token(ownerId) })
    await tab.ok('room.join', {}, room)
    const second = await transportOf(tab, room, 'send')
    await tab.ok('stream.publish', { ...audio, transportId: second, rtpJson: audioJson(23) }, room)
    expect((await owner.next('stream.transport_closed')).d).toEqual({ transportId: first, reason: 'taken_over' })
    // And an encoder takes over from the page.
    await tab.ok('stream.open_ingest', {}, room)
    const closed = await tab.next(({ t, d }) => t === 'stream.transport_closed' && d.transportId === second)
    expect(closed.d.reason).toBe('taken_over')

    // On the other line there is room; without the role there is none.
    await helper.ok('stream.publish', { ...taken, line: 'backup' }, room)
    await owner.ok('room.revoke_role', { userId: 'helper', role: 'assistant' }, room)
    expect((await helper.next('stream.transport_closed')).d).toEqual({ transportId: helpers, reason: 'removed' })
    expect((await helper.refused('stream.create_transport', { direction: 'send' }, room)).code).toBe('stream.denied')
  })

  it('asks guards before the line is touched', async () => {
    const { room, owner } = await stage()
    refuseSource = 'virtual'
    expect(await owner.refused('stream.open_ingest', {}, room)).toMatchObject({ code: 'stream.denied', msg: 'Not this one.' })
    expect(asked).toEqual([{ kind: 'video', source: 'virtual', line: 'primary' }])
    expect(engine.homes.find(room)?.stream().lines).toEqual([])
  })

  it('several pictures on a line: the one that is selected', async () => {
    const { room, owner } = await stage()
    const viewer = await enter(room)
    const transportId = await transportOf(owner, room, 'send')
    const open = (source: string, ssrc: number) =>
      owner.ok('stream.publish', { transportId, kind: 'video', source, rtpJson: videoJson(ssrc) }, room)
    const { producerId: cam } = await open('cam', 31)
    await open('screen', 32)
    await owner.ok('stream.select_source', { producerId: cam }, room)
    expect((await viewer.next('stream.source_selected')).d).toEqual({ producerId: cam, source: 'cam' })
    expect((await owner.refused('stream.select_source', { producerId: 'none' }, room)).code).toBe('stream.gone')
  })
})

describe('what is not allowed, or is rubbish', () => {
  it('has a code each', async () => {
    const { room, owner } = await stage()
    const { room: other } = await stage()
    const viewer = await enter(room)
    const ann = await enter(room, 'ann')
    const ben = await enter(room, 'ben')
    const send = await transportOf(owner, room, 'send')
    const anns = await transportOf(ann, room, 'recv')
    const { child } = await goLive(owner, room, 'backup')
    const { track } = (await ann.next('stream.published')).d
    const { consumerId } = await ann.ok('stream.play', { trackId: track.id, transportId: anns }, room)
    const sound = { transportId: send, kind: 'audio', source: 'mic', rtpJson: audioJson(41) }
    const deep = `${'{"a":'.repeat(50)}1${'}'.repeat(50)}`
    const table: [TestClient, string, object, string, string?][] = [
      [viewer, 'stream.create_transport', { direction: 'send' }, 'stream.denied'],
      [ann, 'stream.create_transport', { direction: 'send' }, 'stream.denied'],
      [viewer, 'stream.create_transport', { direction: 'up' }, 'request.invalid'],
      [ann, 'stream.create_transport', { direction: 'recv', rtpJson: '{' }, 'stream.bad_params'],
      [ann, 'stream.create_transport', { direction: 'recv', rtpJson: '[]' }, 'stream.bad_params'],
      [ann, 'stream.create_transport', { direction: 'recv', rtpJson: deep }, 'stream.bad_params'],
      [ann, 'stream.create_transport', { direction: 'recv', rtpJson: 'x'.repeat(12_001) }, 'request.invalid'],
      [ann, 'stream.create_transport', { direction: 'recv' }, 'room.not_joined', other],
      [viewer, 'stream.publish', sound, 'auth.required'],
      [ann, 'stream.publish', { ...sound, transportId: anns }, 'stream.denied'],
      [owner, 'stream.publish', { ...sound, transportId: 'none' }, 'stream.gone'],
      [owner, 'stream.publish', { ...sound, transportId: anns }, 'stream.gone'],
      [owner, 'stream.publish', { ...sound, rtpJson: 'null' }, 'stream.bad_params'],
      [owner, 'stream.publish', { ...sound, rtpJson: '{"codecs":7}' }, 'stream.bad_params'],
      [owner, 'stream.publish', { ...sound, kind: 'video' }, 'stream.codec'],
      [owner, 'stream.publish', { ...sound, kind: 'smell' }, 'request.invalid'],
      [owner, 'stream.publish', { ...sound, rtpJson: audioJson(42).replace('opus', 'speex') }, 'stream.codec'],
      [ann, 'stream.connect_transport', { transportId: send, dtlsJson }, 'stream.gone'],
      [ann, 'stream.connect_transport', { transportId: anns, dtlsJson: '{"fingerprints":1}' }, 'stream.bad_params'],
      [ben, 'stream.connect_transport', { transportId: anns, dtlsJson }, 'stream.gone'],
      [ann, 'stream.play', { trackId: 'none', transportId: anns }, 'stream.gone'],
      [ben, 'stream.play', { trackId: track.id, transportId: anns }, 'stream.gone'],
      [owner, 'stream.play', { trackId: track.id, transportId: send }, 'stream.bad_params'],
      [ben, 'stream.resume_play', { consumerId }, 'stream.gone'],
      [ben, 'stream.stop_play', { consumerId }, 'stream.gone'],
      [owner, 'stream.set_layers', { consumerId, spatial: 1 }, 'stream.gone'],
      [ann, 'stream.set_layers', { consumerId, spatial: 99 }, 'request.invalid'],
      [ann, 'stream.unpublish', { producerId: track.id }, 'stream.gone'],
      [ann, 'stream.stop', {}, 'perm.denied'],
      [ann, 'stream.open_ingest', {}, 'stream.denied'],
      [ann, 'stream.select_source', { producerId: track.id }, 'perm.denied'],
      [owner, 'engine.stream.cut', {}, 'request.unknown_command'],
      [owner, 'edge.whip', { sdp: '' }, 'request.unknown_command'],
      [owner, 'engine.media.event', { t: 'room.lost', room, reason: '' }, 'request.unknown_command'],
    ]
    for (const [client, t, d, code, at = room] of table)
      expect([t, d, (await client.refused(t, d, at)).code]).toEqual([t, d, code])
    // A refused publisher holds no line.
    await until('the line to be free', async () => (await lineOf(room, 'primary')) === 'idle')
    await owner.ok('stream.publish', sound, room)
    expect(child.exitCode).toBeNull()
  })

  it('a closed room has no media, and an engine without media says so', async () => {
    const room = `stage${++rooms}`
    const owner = await engine.connect({ token: await engine.token('early', { scope: 'streamer' }) })
    await owner.ok('room.create', { roomId: room, title: 'Early' })
    await owner.ok('room.join', {}, room)
    for (const t of ['stream.get_capabilities', 'stream.open_ingest'])
      expect((await owner.refused(t, {}, room)).code).toBe('room.closed')
    expect((await owner.refused('stream.create_transport', { direction: 'send' }, room)).code).toBe('room.closed')
    const bare = await startTestEngine()
    try {
      const viewer = await bare.connect()
      expect((await viewer.ok('room.join', {}, 'demo')).stream.state).toBe('unavailable')
      const refused = await viewer.refused('stream.get_capabilities', {}, 'demo')
      expect(refused).toMatchObject({ code: 'stream.unavailable', retryAfterMs: 5_000 })
    } finally {
      await bare.stop()
    }
  })

  it('ten thousand transports: four, and refusals', async () => {
    const { room } = await stage()
    const greedy = await enter(room)
    const transports = async () => {
      const { workers = [] } = (await engine.media?.request('node.describe', {})) ?? {}
      return workers.reduce((sum, worker) => sum + worker.transports, 0)
    }
    const before = await transports()
    await greedy.ok('stream.get_capabilities', {}, room)
    const answers: string[] = []
    for (let round = 0; round < 100; round++) {
      const asks = Array.from({ length: 100 }, () => greedy.call('stream.create_transport', { direction: 'recv' }, room))
      const replies = await Promise.race([Promise.all(asks), greedy.closed.then(() => undefined)]).catch(() => undefined)
      if (!replies) break
      for (const reply of replies) answers.push(reply.ok ? 'ok' : reply.err.code)
    }
    expect(answers.filter((code) => code === 'ok')).toHaveLength(4)
    expect(new Set(answers)).toEqual(new Set(['ok', 'stream.no_capacity', 'rate.limited']))
    greedy.drop()
    await until('its transports to end with it', async () => (await transports()) === before)
    await (await enter(room)).ok('stream.get_capabilities', {}, room)
  })
})

describe('what ends a right ends its media', () => {
  /** The node is asked after the answer came: what it was told to end has ended by then. */
  it('a closed room, a cut, a takedown', async () => {
    const ends: [string, (owner: TestClient, room: string) => Promise<unknown>][] = [
      ['room_closed', (owner, room) => owner.ok('room.close', {}, room)],
      ['operator', (_, room) => engine.admin('POST', `/rooms/${room}/stream:cut`, { reason: 'test', banMs: 60_000 })],
      ['taken_down', (_, room) => engine.admin('PUT', `/rooms/${room}/takedown`, { reason: 'test' })],
    ]
    for (const [reason, end] of ends) {
      const { room, owner } = await stage()
      const viewer = await enter(room)
      await goLive(owner, room)
      await viewer.next('stream.started')
      await end(owner, room)
      expect([reason, await isCut(room)]).toEqual([reason, true])
      expect((await viewer.next('stream.stopped')).d).toEqual({ reason })
      if (reason !== 'operator') continue
      const refused = await owner.refused('stream.open_ingest', {}, room)
      expect(refused.code).toBe('room.live_banned')
      expect(refused.d?.untilAt).toBeGreaterThan(0)
    }
  })

  it('a cut holds over a restart, and until somebody lifts it', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'livehouse-cut-'))
    const options = { dataDir, media: true, mediaWorkers: 1, logLevel: 'error' } as const
    let own = await startTestEngine(options)
    try {
      const cut = (banMs: number) => own.admin('POST', '/rooms/demo/stream:cut', { reason: 'test', banMs })
      expect((await cut(600_000)).status).toBe(200)
      await own.stop()
      own = await startTestEngine(options)
      await mediaReady(own)
      const owner = await own.connect({ token: await own.token('demo_owner') })
      await owner.ok('room.join', {}, 'demo')
      expect((await owner.refused('stream.open_ingest', {}, 'demo')).code).toBe('room.live_banned')
      const { liveBan } = (await own.admin('GET', '/rooms/demo/stream')).body
      expect(liveBan).toMatchObject({ reason: 'test', by: 'operator', untilAt: liveBan.at + 600_000 })
      await cut(0)
      expect((await own.admin('GET', '/rooms/demo/stream')).body.liveBan).toBeUndefined()
      await owner.ok('stream.open_ingest', {}, 'demo')
    } finally {
      await own.stop()
      await rm(dataDir, { recursive: true, force: true })
    }
  })

  it('a plugin that may', async () => {
    const { room, owner } = await stage()
    const { child } = await goLive(owner, room)
    await owner.next('stream.started')
    expect(await owner.ok('x.gate.steer', {}, room)).toEqual({ line: 'primary' })
    expect((await owner.next('stream.degraded')).d).toEqual({ level: 4, by: 'plugin_gate' })
    expect((await owner.next('stream.stopped')).d).toEqual({ reason: 'operator' })
    expect(await isCut(room)).toBe(true)
    child.kill('SIGKILL')
    // Nobody is kept out, and the level stays.
    await goLive(owner, room)
    await owner.next('stream.started')
    expect(await described(room)).toMatchObject({ degradeLevel: 4 })
  })

  it('a kick, the end of all sessions, and a tab that is closed', async () => {
    const { room, owner } = await stage()
    for (const userId of ['one', 'two', 'three']) {
      await owner.ok('room.grant_role', { userId, role: 'assistant' }, room)
      const client = await enter(room, userId)
      const transportId = await transportOf(client, room, 'send')
      await client.ok(
        'stream.publish',
        { transportId, kind: 'audio', source: 'mic', rtpJson: audioJson(51), line: 'primary' },
        room,
      )
      if (userId !== 'three') await client.ok('stream.open_ingest', { line: 'backup' }, room)
      await until('the line to be taken', async () => (await lineOf(room, 'primary')) !== 'idle')
      if (userId === 'one') await owner.ok('room.kick', { userId, banMs: 60_000 }, room)
      if (userId === 'two') await owner.ok('x.gate.close', { userId })
      if (userId === 'three') client.drop()
      await until(`both lines to be free of ${userId}`, async () => {
        const { lines = [] } = (await described(room)) ?? {}
        return lines.every(({ state }) => state === 'idle')
      })
    }
    await until('a banned user to stay out', async () => {
      const again = await engine.connect({ token: await engine.token('one') })
      return (await again.refused('room.join', {}, room)).code === 'room.kicked'
    })
  })
})

it('a show is stopped all the same while its workers die', async () => {
  const { room, owner } = await stage()
  const viewer = await enter(room)
  await goLive(owner, room)
  await viewer.next('stream.started')
  const { workers = [] } = (await engine.media?.request('node.describe', {})) ?? {}
  for (const { pid } of workers) process.kill(pid, 'SIGKILL')
  await owner.ok('stream.stop', {}, room)
  expect((await viewer.next('stream.stopped')).d).toEqual({ reason: 'ended' })
  expect((await viewer.ok('room.join', {}, room)).stream).toMatchObject({
    state: expect.stringMatching(/off|unavailable/),
    tracks: [],
  })
  await mediaReady(engine)
  await until('another show to begin', async () => (await owner.call('stream.open_ingest', {}, room)).ok)
})
