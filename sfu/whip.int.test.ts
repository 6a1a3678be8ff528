/** WHIP and WHEP at a node, by clients that send offers and nothing else, and by those who mean no good. */
import type { ChildProcess } from 'node:child_process'
import { parse } from 'sdp-transform'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock } from '../engine/base/clock.ts'
import { silentLog } from '../engine/base/log.ts'
import type { Feed, LineName, SignalAnswer } from '../schemas/sfu.ts'
import { layoutsMax } from './layouts.ts'
import { SfuNode } from './node.ts'
import { sfuDefaults } from './options.ts'
import { offers } from './sdp-offers.ts'
import { connectMsMax } from './signals.ts'
import { sendTestPicture, startTestNode, type TestNode } from './testing.ts'
import { ensureWorker } from './worker/ensure.ts'
import { loadMediasoup } from './worker/load.ts'

let sfu: TestNode
let ffmpeg: ChildProcess | undefined
beforeAll(async () => {
  sfu = await startTestNode({ peersPerRoomMax: 40 })
}, 600_000)
afterAll(() => {
  ffmpeg?.kill('SIGKILL')
  sfu?.close()
})

const feed = (line: LineName = 'primary'): Feed => ({ of: 'line', line, source: 'cam' })
const whip = (room: string, peer: string, sdp: string, line?: LineName) =>
  sfu.node.request('whip.offer', { room, peer, sdp, feed: feed(line) })
const whep = (room: string, peer: string, sdp: string = offers.chromiumViewer) =>
  sfu.node.request('whep.offer', { room, peer, sdp })
const patch = (room: string, resource: string, fragment: string, etag?: string) =>
  sfu.node.request('signal.patch', { room, resource, fragment, ...(etag === undefined ? {} : { etag }) })
const end = (room: string, resource: string) => sfu.node.request('signal.close', { room, resource })
const codeOf = ({ status, code }: SignalAnswer) => [status, code]
const leftIn = (room: string) => {
  const { signals, peers } = sfu.node.rooms.get(room) ?? {}
  return { resources: signals?.size, layouts: signals?.layouts.size, peers: peers?.size }
}
const nothing = { resources: 0, layouts: 0, peers: 0 }
const opened = (answer: SignalAnswer) => {
  expect(answer).toMatchObject({ status: 201, contentType: 'application/sdp' })
  return { resource: answer.resource as string, etag: answer.etag as string, body: answer.body as string }
}
const trickle =
  'a=ice-ufrag:h7Qx\r\na=ice-pwd:q3Tz8yWmXk2LrV5nBc0dEf1g\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=end-of-candidates\r\n'
const restart = trickle.replace('h7Qx', 'newOne')

describe('WHIP', () => {
  test.each(['chromiumSimulcast', 'firefox', 'safari', 'obs', 'gstreamer', 'ffmpeg'] as const)('%s', async (name) => {
    await sfu.node.request('room.open', { room: name })
    const { resource, etag, body } = opened(await whip(name, 'streamer', offers[name]))
    expect(resource).toMatch(/^[\w-]{24}$/)
    expect(etag).toMatch(/^"[\w-]{12}"$/)
    expect(parse(body).media.map(({ direction }) => direction)).toEqual(['recvonly', 'recvonly'])
    const producers = [...(sfu.node.rooms.get(name)?.known('streamer').producers.values() ?? [])].map(({ producer }) => producer)
    expect(producers.map(({ kind }) => kind).sort()).toEqual(['audio', 'video'])
    const picture = producers.find(({ kind }) => kind === 'video')
    const isLayered = name === 'chromiumSimulcast'
    expect([picture?.type, picture?.rtpParameters.encodings?.length]).toEqual(isLayered ? ['simulcast', 3] : ['simple', 1])
    expect(codeOf(await end(name, resource))).toEqual([200, undefined])
    expect(codeOf(await end(name, resource))).toEqual([404, 'stream.gone'])
    await Promise.resolve()
    expect(leftIn(name)).toEqual(nothing)
  })

  test('streams that are known by their mid alone', async () => {
    const room = 'mids'
    await sfu.node.request('room.open', { room })
    opened(await whip(room, 'streamer', offers.chromiumSimulcast.replaceAll(/a=(ssrc|rid|simulcast)[:-].*\r\n/g, '')))
  })

  test('a guest on the mic', async () => {
    const room = 'seat'
    await sfu.node.request('room.open', { room })
    const answer = await sfu.node.request('whip.offer', {
      room,
      peer: 'guest',
      sdp: offers.firefox,
      feed: { of: 'seat', seatNo: 3 },
    })
    const { resource } = opened(answer)
    const track = { source: 'seat', seatNo: 3, userId: 'guest' }
    expect((await sfu.node.request('room.describe', { room })).tracks).toMatchObject([track, track])
    // Seats are not the show.
    expect((await whep(room, 'v')).status).toBe(409)
    await end(room, resource)
    expect((await sfu.node.request('room.describe', { room })).tracks).toEqual([])
  })

  test('a line has one publisher, and nothing is left of the second; the same client again takes its own place', async () => {
    const room = 'taken'
    await sfu.node.request('room.open', { room })
    const first = opened(await whip(room, 'one', offers.obs))
    expect(codeOf(await whip(room, 'two', offers.obs))).toEqual([409, 'stream.line_taken'])
    expect([...(sfu.node.rooms.get(room)?.peers.keys() ?? [])]).toEqual(['one'])
    opened(await whip(room, 'three', offers.obs, 'backup'))
    const again = opened(await whip(room, 'one', offers.obs))
    expect(codeOf(await end(room, first.resource))).toEqual([404, 'stream.gone'])
    expect(codeOf(await patch(room, again.resource, trickle, again.etag))).toEqual([204, undefined])
    expect(leftIn(room)).toMatchObject({ resources: 2, peers: 2 })
  })

  test('a codec that the other line does not have', async () => {
    const room = 'codecs'
    await sfu.node.request('room.open', { room })
    opened(await whip(room, 'one', offers.firefox))
    expect(codeOf(await whip(room, 'two', offers.obs, 'backup'))).toEqual([422, 'stream.codec'])
    expect(leftIn(room)).toMatchObject({ resources: 1, peers: 1 })
  })

  test('trickle, restart, and tags that do not fit', async () => {
    const room = 'tags'
    await sfu.node.request('room.open', { room })
    const { resource, etag, body } = opened(await whip(room, 'one', offers.chromiumSimulcast))
    expect(await patch(room, resource, trickle, etag)).toEqual({ status: 204 })
    expect(await patch(room, resource, trickle, '*')).toEqual({ status: 204 })
    expect(await patch(room, resource, trickle, `"other", ${etag}`)).toEqual({ status: 204 })
    expect((await patch(room, resource, trickle)).status).toBe(428)
    expect((await patch(room, resource, trickle, `W/${etag}`)).status).toBe(412)
    expect((await patch(room, resource, trickle, '"other"')).status).toBe(412)
    expect((await patch(room, resource, restart, '"other"')).status).toBe(412)
    expect((await patch(room, resource, 'a=ice-ufrag:newOne\r\n', '*')).status).toBe(400)
    const restarted = await patch(room, resource, restart, '*')
    expect(restarted).toMatchObject({ status: 200, contentType: 'application/trickle-ice-sdpfrag' })
    expect(restarted.etag).not.toBe(etag)
    expect(restarted.body).toMatch(/^a=ice-lite\r\n/)
    expect(restarted.body).not.toContain(parse(body).media[0]?.iceUfrag)
    expect((await patch(room, resource, restart, etag)).status).toBe(412)
    expect((await patch(room, resource, restart, restarted.etag)).status).toBe(204)
  })
})

describe('WHEP', () => {
  test('nothing is live', async () => {
    const room = 'dark'
    await sfu.node.request('room.open', { room })
    expect(await whep(room, 'v')).toMatchObject({ status: 409, code: 'stream.gone', retryAfterS: 3 })
    // A publisher that sends nothing is nothing to watch.
    opened(await whip(room, 'one', offers.obs))
    expect((await whep(room, 'v')).status).toBe(409)
    expect(leftIn(room)).toMatchObject({ layouts: 0, peers: 1 })
  })

  test('a show of H264: layouts are shared, bounded, and go with their last viewer; the end of the show ends all', async () => {
    const room = 'show'
    await sfu.node.request('room.open', { room })
    const ingest = await sfu.node.request('ingest.open', { room, peer: 'rtp', line: 'primary' })
    ffmpeg = sendTestPicture(ingest)
    for (const kind of ['audio', 'video'])
      await sfu.until('track.opened', (event) => event.room === room && event.track.kind === kind)

    const one = opened(await whep(room, 'v1'))
    const two = opened(await whep(room, 'v2'))
    expect(leftIn(room)).toEqual({ resources: 2, layouts: 1, peers: 3 })
    const [sound, picture, data] = parse(one.body).media
    expect([sound?.payloads, picture?.payloads, data?.port]).toEqual(
      ['111', '109 114', 0].map((value) => (value === '111' ? 111 : value)),
    )
    expect(picture).toMatchObject({ direction: 'sendonly', msid: [{ id: 'livehouse', appdata: 'video' }] })
    const sent = sfu.node.rooms.get(room)?.known('v1').consumers.values().next().value?.consumer.rtpParameters
    expect(sent?.codecs[0]?.payloadType).toBe(111)

    expect(codeOf(await whep(room, 'v3', offers.chromiumViewer.replaceAll('42e01f', '42001f')))).toEqual([422, 'stream.codec'])
    expect((await whep(room, 'v3', offers.obs)).status).toBe(400)

    const numbered = (at: number) => offers.chromiumViewer.replaceAll(/\b111\b/g, String(20 + at))
    const others: string[] = []
    for (let at = 1; at < layoutsMax; at++) others.push(opened(await whep(room, `n${at}`, numbered(at))).resource)
    expect(leftIn(room).layouts).toBe(layoutsMax)
    expect(await whep(room, 'more', numbered(layoutsMax))).toMatchObject({
      status: 503,
      code: 'stream.no_capacity',
      retryAfterS: 5,
    })
    expect(leftIn(room)).toEqual({ resources: layoutsMax + 1, layouts: layoutsMax, peers: layoutsMax + 2 })
    for (const resource of others) expect((await end(room, resource)).status).toBe(200)
    await end(room, two.resource)
    expect(leftIn(room)).toEqual({ resources: 1, layouts: 1, peers: 2 })

    // What a viewer plays ends: it is to ask again.
    const ended = new Promise((resolve) =>
      sfu.node.rooms
        .get(room)
        ?.known('v1')
        .transports.values()
        .next()
        .value?.transport.observer.on('close', resolve as () => void),
    )
    ffmpeg.kill('SIGKILL')
    await sfu.node.request('show.end', { room })
    await ended
    expect((await patch(room, one.resource, trickle, one.etag)).status).toBe(404)
    expect(leftIn(room)).toEqual(nothing)
  })
})

describe('the end of a resource', () => {
  test('by the engine: the client, the room', async () => {
    const room = 'ends'
    await sfu.node.request('room.open', { room })
    const first = opened(await whip(room, 'one', offers.obs))
    await sfu.node.request('peer.close', { room, peer: 'one' })
    expect((await patch(room, first.resource, trickle, first.etag)).status).toBe(404)
    const second = opened(await whip(room, 'one', offers.obs))
    await sfu.node.request('room.close', { room })
    expect((await end(room, second.resource)).status).toBe(404)
    await sfu.node.request('room.open', { room })
    expect((await end(room, second.resource)).status).toBe(404)
  })

  test('by its transport: others hear of it', async () => {
    const room = 'transport'
    await sfu.node.request('room.open', { room })
    const { resource } = opened(await whip(room, 'one', offers.obs))
    for (const { transport } of sfu.node.rooms.get(room)?.known('one').transports.values() ?? []) transport.close()
    const closed = await sfu.until('transport.closed', (event) => event.room === room)
    expect(closed.peer).toBe('one')
    expect((await end(room, resource)).status).toBe(404)
    expect(leftIn(room)).toEqual(nothing)
  })

  test('by the death of the worker', async () => {
    const room = 'killed'
    await sfu.node.request('room.open', { room })
    const { resource } = opened(await whip(room, 'one', offers.obs))
    process.kill(sfu.node.rooms.get(room)?.places.main.media.worker.pid as number, 'SIGKILL')
    await sfu.until('room.lost', (event) => event.room === room)
    expect((await end(room, resource)).status).toBe(404)
    await sfu.node.request('room.open', { room })
    opened(await whip(room, 'one', offers.obs))
  })

  test('a client that never connects is let go after its time', async () => {
    const worker = await ensureWorker()
    const clock = new ManualClock()
    const parts = { mediasoup: await loadMediasoup(worker.path), workerPath: worker.path, clock, log: silentLog }
    const node = new SfuNode({ ...parts, options: { ...sfuDefaults, workers: 1 }, emit: () => undefined })
    await node.start()
    await node.request('room.open', { room: 'r' })
    const { resource = '' } = await node.request('whip.offer', { room: 'r', peer: 'p', feed: feed(), sdp: offers.obs })
    clock.advance(connectMsMax - 1)
    const fragment = trickle
    expect((await node.request('signal.patch', { room: 'r', resource, fragment, etag: '*' })).status).toBe(204)
    clock.advance(1)
    expect((await node.request('signal.patch', { room: 'r', resource, fragment, etag: '*' })).status).toBe(404)
    expect(node.rooms.get('r')?.peers.size).toBe(0)
    node.close()
  })
})

describe('those who mean no good', () => {
  test('offers of every kind: an answer, and nothing is left', async () => {
    const room = 'hostile'
    await sfu.node.request('room.open', { room })
    const bad: unknown[] = [
      ...['', 'v=0', 'x'.repeat(70_000), offers.obs.replaceAll('a=ice-ufrag:h7Qx', ''), offers.obs.slice(0, 400)],
      ...[undefined, null, 7, {}, [], ['v=0'], { toString: () => 'v=0' }],
    ]
    for (const sdp of bad) {
      const answer = await whip(room, 'bad', sdp as string)
      expect(answer).toMatchObject({ status: 400, code: 'stream.bad_params', contentType: 'application/problem+json' })
      expect(JSON.parse(answer.body as string)).toMatchObject({ title: 'stream.bad_params', status: 400 })
      const played = await sfu.node.request('whep.offer', { room, peer: 'bad', sdp: sdp as string })
      expect(played.status).toBe(400)
    }
    expect(codeOf(await whip(room, 'bad', offers.obs.replaceAll('opus', 'speex')))).toEqual([422, 'stream.codec'])
    expect((await whip(room, 'bad', offers.obs.replaceAll('ssrc:2346', 'ssrc:2345'))).status).toBe(400)
    expect(leftIn(room)).toEqual(nothing)
    expect((await whip('nowhere', 'p', offers.obs)).status).toBe(404)
  })

  test('resources, fragments and tags of every kind', async () => {
    const room = 'hostile2'
    await sfu.node.request('room.open', { room })
    const { resource, etag } = opened(await whip(room, 'one', offers.obs))
    for (const odd of [undefined, null, 7, {}, '', '__proto__', 'x'.repeat(100_000), resource.slice(1)]) {
      expect((await patch(room, odd as string, trickle, etag)).status).toBe(404)
      expect((await end(room, odd as string)).status).toBe(404)
    }
    for (const odd of [undefined, null, 7, {}, '', 'x', 'a=candidate:1 1 udp 1 1.1.1.1 1 typ host\r\n'.repeat(65)])
      expect((await patch(room, resource, odd as string, etag)).status).toBe(400)
    for (const odd of [7, {}, 'x'.repeat(5_000), ',,,'])
      expect((await patch(room, resource, trickle, odd as string)).status).toBe(412)
    // Of another room it is none.
    await sfu.node.request('room.open', { room: 'elsewhere' })
    expect((await end('elsewhere', resource)).status).toBe(404)
    expect((await patch(room, resource, trickle, etag)).status).toBe(204)
  })

  test('as many as a room takes, and all at once for one client', async () => {
    const room = 'many'
    await sfu.node.request('room.open', { room })
    const answers = await Promise.all(Array.from({ length: 8 }, () => whip(room, 'same', offers.obs)))
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1)
    expect(leftIn(room)).toMatchObject({ resources: 1, peers: 1 })
    for (let at = 0; at < 39; at++) sfu.node.rooms.get(room)?.peer(`p${at}`)
    expect(await whip(room, 'one more', offers.obs, 'backup')).toMatchObject({
      status: 503,
      code: 'stream.no_capacity',
      retryAfterS: 5,
    })
    expect(leftIn(room)).toMatchObject({ resources: 1, peers: 40 })
  })
})
