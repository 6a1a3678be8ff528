/** A node with real workers: what clients may ask wrongly, bounds, degrading, a worker that dies, a room on several workers, bitrate. */
import type { ChildProcess } from 'node:child_process'
import type { types } from 'mediasoup'
import { afterEach, expect, test } from 'vitest'
import type { Ingest, Media, SfuAsk, SfuRequest } from '../schemas/sfu.ts'
import type { SfuOptions } from './options.ts'
import { consumersMax, producersMax, transportsMax } from './peer.ts'
import {
  makeVp8,
  opusParameters,
  problemOf,
  sendTestPicture,
  startTestNode,
  type TestNode,
  vp8Parameters,
  watch,
} from './testing.ts'

const nodes: TestNode[] = []
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const node of nodes.splice(0)) node.close()
})
async function start(options: Partial<SfuOptions> = {}): Promise<TestNode> {
  const sfu = await startTestNode(options)
  nodes.push(sfu)
  return sfu
}
async function send(sfu: TestNode, room: string, line: 'primary' | 'backup' = 'primary'): Promise<Ingest> {
  const ingest = await sfu.node.request('ingest.open', { room, peer: `rtp_${line}`, line })
  children.push(sendTestPicture(ingest))
  return ingest
}
const opened = async (sfu: TestNode, room: string, kind: string, not?: string) =>
  (await sfu.until('track.opened', (event) => event.room === room && event.track.kind === kind && event.track.id !== not)).track
    .id
test('whatever is asked: an answer or a problem with a code, and the node lives on', { timeout: 120_000 }, async () => {
  const sfu = await start({ workers: 1 })
  const { node } = sfu
  const room = 'bad'
  const { rtpCapabilities } = await node.request('room.open', { room })
  const sender = await node.request('transport.create', { room, peer: 'a', direction: 'send' })
  const viewer = await node.request('transport.create', { room, peer: 'b', direction: 'recv', rtpCapabilities })
  const feed = { of: 'line', line: 'primary', source: 'cam' } as const
  const produce = { room, peer: 'a', transport: sender.id, kind: 'audio', rtpParameters: opusParameters(11), feed } as const
  const { producer } = await node.request('producer.open', produce)
  const taken = await node.request('transport.create', { room, peer: 'c', direction: 'send' })
  const huge = 'x'.repeat(1_000_000)
  const table: [SfuRequest | 'no.such', unknown, string][] = [
    ...['bad room', '', huge, '../x', 5, null, {}].map((id): [SfuRequest, unknown, string] => [
      'room.open',
      { room: id },
      'bad_params',
    ]),
    ['no.such', {}, 'bad_params'],
    ['room.open', { room: 'x', bitrateMax: -1 }, 'bad_params'],
    ['room.describe', { room: 'none' }, 'gone'],
    ['transport.create', { room, peer: '', direction: 'send' }, 'bad_params'],
    ['transport.create', { room, peer: huge, direction: 'send' }, 'bad_params'],
    ['transport.create', { room, peer: 'd', direction: 'both' }, 'bad_params'],
    ['transport.create', { room, peer: 'd', direction: 'recv', rtpCapabilities: [] }, 'bad_params'],
    ['transport.connect', { room, peer: 'a', transport: viewer.id, dtlsParameters: {} }, 'gone'],
    ['transport.connect', { room, peer: 'a', transport: sender.id, dtlsParameters: 5 }, 'bad_params'],
    ['transport.connect', { room, peer: 'a', transport: sender.id, dtlsParameters: { fingerprints: [] } }, 'bad_params'],
    [
      'transport.connect',
      { room, peer: 'a', transport: sender.id, dtlsParameters: { role: 'x', fingerprints: [{}] } },
      'bad_params',
    ],
    ['transport.restart_ice', { room, peer: 'a', transport: 'none' }, 'gone'],
    ['producer.open', { ...produce, peer: 'b' }, 'gone'],
    ['producer.open', { ...produce, peer: 'b', transport: viewer.id }, 'bad_params'],
    ['producer.open', { ...produce, kind: 'smell' }, 'bad_params'],
    ['producer.open', { ...produce, rtpParameters: null }, 'bad_params'],
    ['producer.open', { ...produce, rtpParameters: { codecs: 7 } }, 'bad_params'],
    ['producer.open', { ...produce, rtpParameters: { codecs: [], encodings: [] } }, 'bad_params'],
    ['producer.open', { ...produce, rtpParameters: opusParameters(11) }, 'bad_params'],
    ['producer.open', { ...produce, rtpParameters: { ...opusParameters(12), encodings: [{ ssrc: huge }] } }, 'bad_params'],
    [
      'producer.open',
      {
        ...produce,
        rtpParameters: {
          ...opusParameters(12),
          codecs: [{ ...(opusParameters(12)['codecs'] as Media[])[0], mimeType: 'audio/G729' }],
        },
      },
      'codec',
    ],
    [
      'producer.open',
      { ...produce, rtpParameters: opusParameters(13), feed: { of: 'line', line: 'third', source: 'cam' } },
      'bad_params',
    ],
    ['producer.open', { ...produce, rtpParameters: opusParameters(13), feed: null }, 'bad_params'],
    ['producer.open', { ...produce, rtpParameters: opusParameters(13), feed: { of: 'seat', seatNo: -1 } }, 'bad_params'],
    ['producer.open', { ...produce, peer: 'c', transport: taken.id, rtpParameters: opusParameters(14) }, 'line_taken'],
    ['producer.close', { room, peer: 'b', producer }, 'gone'],
    ['producer.pause', { room, peer: 'a', producer, isPaused: 'yes' }, 'bad_params'],
    ['producer.select', { room, peer: 'a', producer }, 'gone'],
    ['consumer.open', { room, peer: 'b', transport: viewer.id, track: 'none' }, 'gone'],
    ['consumer.open', { room, peer: 'a', transport: sender.id, track: producer }, 'bad_params'],
    ['consumer.resume', { room, peer: 'b', consumer: 'none' }, 'gone'],
    ['consumer.pause', { room, peer: 'b', consumer: 'none' }, 'gone'],
    ['consumer.close', { room, peer: 'b', consumer: 'none' }, 'gone'],
    ['consumer.layers', { room, peer: 'b', consumer: 'none', spatial: 'x' }, 'bad_params'],
    ['ingest.open', { room, peer: 'e', line: 'third' }, 'bad_params'],
    ['ingest.open', { room, peer: 'e', line: 'backup', videoCodec: 'mpeg2' }, 'bad_params'],
    ['ingest.open', { room, peer: 'e', line: 'backup', source: 'example.org' }, 'bad_params'],
    ['ingest.open', { room, peer: 'e', line: 'primary' }, 'line_taken'],
    ['line.switch', { room, line: 'third' }, 'bad_params'],
    ['line.switch', { room, line: 'backup' }, 'gone'],
    ['node.degrade', { level: 5 }, 'bad_params'],
    ['node.degrade', { level: '1' }, 'bad_params'],
    ['node.degrade', { room: 'none', level: 1 }, 'gone'],
  ]
  const wrong: unknown[] = []
  for (const [name, ask, code] of table) {
    const got = await problemOf(node.request(name as SfuRequest, ask as SfuAsk<SfuRequest>))
    if (got !== `stream.${code}`) wrong.push([name, JSON.stringify(ask).slice(0, 200), code, got])
  }
  expect(wrong).toEqual([])
  // Anything at all for every request: never another error, and the signals answer with a status.
  const names = [
    'room.describe',
    'peer.close',
    'transport.create',
    'transport.connect',
    'producer.open',
    'consumer.open',
    'ingest.open',
  ]
  for (const name of [
    ...names,
    'line.switch',
    'show.end',
    'link.open',
    'link.close',
    'node.degrade',
    'room.close',
    'whip.offer',
    'whep.offer',
    'signal.patch',
    'signal.close',
  ])
    for (const ask of [undefined, null, 5, 'x', [], {}, { room }, { room, peer: {} }, { room: {}, peer: 5 }]) {
      if (/^(room.close|show.end)$/.test(name) && (ask as { room?: unknown } | null)?.room === room) continue
      const got = await problemOf(node.request(name as SfuRequest, ask as unknown as SfuAsk<SfuRequest>))
      expect(/^(ok|4\d\d|stream\.\w+)$/.test(String(got)), `${name} ${JSON.stringify(ask)}: ${String(got)}`).toBe(true)
    }
  // It was sent nothing: down, and nobody is shown anything.
  const { lines, line, tracks } = await node.request('room.describe', { room })
  expect({ state: lines[0]?.state, line, tracks }).toEqual({ state: 'down', line: undefined, tracks: [] })
  expect((await node.request('node.describe', {})).state.is).toBe('ready')
})

test('bounds: rooms, peers, transports, producers', async () => {
  const sfu = await start({ workers: 1, roomsMax: 2, peersPerRoomMax: 3 })
  const { node } = sfu
  const room = 'one'
  const opens = await Promise.all([room, 'two', 'three', room].map((id) => problemOf(node.request('room.open', { room: id }))))
  expect(opens).toEqual(['ok', 'ok', 'stream.no_capacity', 'ok'])
  const create = (peer: string) => node.request('transport.create', { room, peer, direction: 'send' })
  const many = await Promise.all(Array.from({ length: transportsMax + 3 }, () => problemOf(create('a'))))
  expect(many.filter((code) => code === 'ok')).toHaveLength(transportsMax)
  expect(many.filter((code) => code === 'stream.no_capacity')).toHaveLength(3)
  expect(await Promise.all(['b', 'c', 'd'].map((peer) => problemOf(create(peer))))).toEqual(['ok', 'ok', 'stream.no_capacity'])
  await node.request('peer.close', { room, peer: 'c' })
  const { id: transport } = await create('d')
  const producers = Array.from({ length: producersMax + 2 }, (_, at) =>
    problemOf(
      node.request('producer.open', {
        ...{ room, peer: 'd', transport, kind: 'audio', rtpParameters: opusParameters(100 + at) },
        feed: { of: 'seat', seatNo: 1 },
      }),
    ),
  )
  expect((await Promise.all(producers)).filter((code) => code === 'ok')).toHaveLength(producersMax)
  const { rtpCapabilities } = await node.request('room.open', { room })
  await node.request('peer.close', { room, peer: 'b' })
  const to = await node.request('transport.create', { room, peer: 'b', direction: 'recv', rtpCapabilities })
  const [track] = (await node.request('room.describe', { room })).tracks
  const consume = () => node.request('consumer.open', { room, peer: 'b', transport: to.id, track: track?.id as string })
  const consumers = await Promise.all(Array.from({ length: consumersMax + 2 }, () => problemOf(consume())))
  expect(consumers.filter((code) => code === 'ok')).toHaveLength(consumersMax)
  await node.request('room.close', { room: 'two' })
  expect(await problemOf(node.request('room.open', { room: 'three' }))).toBe('ok')
})

test('two publishers at once on one line: one gets it; an ingest asked for twice at once is one', async () => {
  const sfu = await start({ workers: 1 })
  const { node } = sfu
  const room = 'race'
  await node.request('room.open', { room })
  const tell = (peer: string) => node.request('ingest.open', { room, peer, line: 'primary' })
  const codes = await Promise.all(['a', 'b'].map((peer) => problemOf(tell(peer))))
  expect(codes.toSorted()).toEqual(['ok', 'stream.line_taken'])
  const winner = codes[0] === 'ok' ? 'a' : 'b'
  await node.request('peer.close', { room, peer: winner })
  const [first, second] = await Promise.all([tell('c'), tell('c')])
  expect(second).toEqual(first)
  // Gone while its ports are opened: nothing is left of it.
  await node.request('peer.close', { room, peer: 'c' })
  const leaving = problemOf(tell('e'))
  await node.request('peer.close', { room, peer: 'e' })
  expect(await leaving).toBe('stream.gone')
  expect(await problemOf(tell('f'))).toBe('ok')
})

test('a worker is killed: its room is lost, told once, and opens anew at once; the other room goes on', async () => {
  const sfu = await start({ workers: 2 })
  const { node } = sfu
  for (const room of ['dies', 'lives']) await node.request('room.open', { room })
  await Promise.all(['dies', 'lives'].map((room) => send(sfu, room)))
  const before = await opened(sfu, 'dies', 'video')
  const other = await watch(sfu, 'lives', await opened(sfu, 'lives', 'video'))
  await other.more(5)
  const { media } = (node.rooms.get('dies') as NonNullable<ReturnType<typeof node.rooms.get>>).places.main
  expect(node.rooms.get('lives')?.places.main.media).not.toBe(media)
  const from = sfu.events.length
  const at = performance.now()
  process.kill(media.worker.pid, 'SIGKILL')
  await sfu.until('room.lost')
  // One word for all that was in it.
  expect(sfu.events.slice(from).filter((event) => 'room' in event && event.room === 'dies')).toHaveLength(1)
  await node.request('room.open', { room: 'dies' })
  await send(sfu, 'dies')
  const picture = await watch(sfu, 'dies', await opened(sfu, 'dies', 'video', before))
  await picture.more(5)
  const resumeMs = performance.now() - at
  await other.more(5)
  expect({ gaps: other.seqGaps, isFast: resumeMs < 10_000 }).toEqual({ gaps: 0, isFast: true })
  while ((await node.request('node.describe', {})).workers.length < 2) await new Promise((resolve) => setTimeout(resolve, 20))
  console.log({ resumeMs: Math.round(resumeMs) })
})

test('the only worker is killed: the room waits for the next one', async () => {
  const { node, until } = await start({ workers: 1 })
  await node.request('room.open', { room: 'r' })
  process.kill(node.workers.all[0]?.worker.pid as number, 'SIGKILL')
  await until('room.lost')
  expect(await problemOf(node.request('room.open', { room: 'r' }))).toBe('ok')
})

test('a big room is spread over the workers, and media flows there', async () => {
  const sfu = await start({ workers: 2, consumersPerRouterMax: 2 })
  const { node } = sfu
  const room = 'big'
  const { rtpCapabilities } = await node.request('room.open', { room })
  await send(sfu, room)
  const track = await opened(sfu, room, 'video')
  const pids = new Set<number>()
  for (const peer of ['a', 'b', 'c', 'd']) {
    const { id: transport } = await node.request('transport.create', { room, peer, direction: 'recv', rtpCapabilities })
    const { id } = await node.request('consumer.open', { room, peer, transport, track })
    await node.request('consumer.resume', { room, peer, consumer: id })
    pids.add(node.rooms.get(room)?.peers.get(peer)?.transports.get(transport)?.place.media.worker.pid as number)
  }
  expect(pids.size).toBe(2)
  const places = node.rooms.get(room)?.places
  const far = places?.all[1]
  const producerId = await places?.producerIn(far as NonNullable<typeof far>, track)
  const direct = await far?.router.createDirectTransport()
  const consumer = (await direct?.consume({
    producerId: producerId as string,
    rtpCapabilities: rtpCapabilities as unknown as types.RtpCapabilities,
  })) as types.Consumer
  for (let seen = 0; seen < 20; seen++) await new Promise((resolve) => consumer.once('rtp', resolve))
  // The far worker dies: its viewers are told, the room stays.
  process.kill(far?.media.worker.pid as number, 'SIGKILL')
  const closed = await sfu.until('transport.closed')
  expect(closed).toMatchObject({ room, reason: 'media worker died' })
  await (await watch(sfu, room, track)).more(5)
  const again = await node.request('transport.create', { room, peer: closed.peer, direction: 'recv', rtpCapabilities })
  expect(again.id).not.toBe(closed.transport)
})

test('a publisher that sends more than half as much again as it may is cut, and the reason is told', async () => {
  const sfu = await start({ workers: 1 })
  const room = 'loud'
  await sfu.node.request('room.open', { room, bitrateMax: 200_000 })
  await send(sfu, room)
  const { reason } = await sfu.until('producer.closed')
  expect(reason).toBe('bitrate')
  const { lines } = await sfu.node.request('room.describe', { room })
  expect(lines.map(({ state }) => state)).toEqual(['idle', 'idle'])
  const last = sfu.events.findLast((event) => event.t === 'sample' && event.rooms.some(({ ingressBps }) => ingressBps > 0))
  expect(last && 'rooms' in last && (last.rooms[0]?.ingressBps ?? 0) > 300_000).toBe(true)
})

test('ten viewers join at once: the publisher is asked once for a key frame', async () => {
  const sfu = await start({ workers: 1 })
  const { node } = sfu
  const room = 'keys'
  const { rtpCapabilities } = await node.request('room.open', { room })
  const media = node.rooms.get(room)
  const direct = (await media?.places.main.router.createDirectTransport()) as types.DirectTransport
  let asked = 0
  direct.on('rtcp', (packet) => {
    if (packet[1] === 206 && [1, 4].includes((packet[0] as number) & 0x1f)) asked++
  })
  const peer = media?.peer('p')
  const feed = { of: 'line', line: 'primary', source: 'cam' } as const
  const wanted = {
    ...vp8Parameters([7]),
    codecs: [{ ...(vp8Parameters([7])['codecs'] as Media[])[0], rtcpFeedback: [{ type: 'nack', parameter: 'pli' }] }],
  }
  const producer = (await media?.produce(peer as NonNullable<typeof peer>, direct, {
    kind: 'video',
    rtpParameters: wanted,
    feed,
    via: 'webrtc',
  })) as types.Producer
  const picture = makeVp8(7)
  let answered = 0
  const timer = setInterval(() => {
    producer.send(picture(asked > answered || undefined))
    answered = asked
  }, 30)
  try {
    const track = await opened(sfu, room, 'video')
    const viewer = await watch(sfu, room, track)
    await viewer.more(40)
    const before = asked
    await Promise.all(
      Array.from({ length: 10 }, async (_, at) => {
        const { id: transport } = await node.request('transport.create', {
          room,
          peer: `v${at}`,
          direction: 'recv',
          rtpCapabilities,
        })
        const { id: consumer } = await node.request('consumer.open', { room, peer: `v${at}`, transport, track })
        await node.request('consumer.resume', { room, peer: `v${at}`, consumer })
        await media?.peers.get(`v${at}`)?.consumers.get(consumer)?.consumer.requestKeyFrame()
      }),
    )
    await viewer.more(20)
    expect(asked - before).toBeLessThanOrEqual(1)
  } finally {
    clearInterval(timer)
  }
})

test('degrading: layers of a picture with three of them, sound alone, and back', async () => {
  const sfu = await start({ workers: 1 })
  const { node } = sfu
  const room = 'layers'
  const { rtpCapabilities } = await node.request('room.open', { room })
  const media = node.rooms.get(room) as NonNullable<ReturnType<typeof node.rooms.get>>
  const direct = await media.places.main.router.createDirectTransport()
  const feed = { of: 'line', line: 'primary', source: 'cam' } as const
  const rtpParameters = vp8Parameters([21, 22, 23])
  const producer = await media.produce(media.peer('p'), direct, { kind: 'video', rtpParameters, feed, via: 'webrtc' })
  const pictures = [21, 22, 23].map((ssrc) => makeVp8(ssrc))
  const timer = setInterval(() => {
    for (const picture of pictures) producer.send(picture())
  }, 30)
  try {
    const track = await opened(sfu, room, 'video')
    const { id: transport } = await node.request('transport.create', { room, peer: 'v', direction: 'recv', rtpCapabilities })
    const { id, layers } = await node.request('consumer.open', { room, peer: 'v', transport, track })
    expect(layers).toBe(3)
    await node.request('consumer.resume', { room, peer: 'v', consumer: id })
    const { consumer } = media.peer('v').consumer(id)
    const state = async () => {
      // The last of them has been taken when the worker answers.
      await consumer.dump()
      return [consumer.paused, consumer.preferredLayers?.spatialLayer, consumer.preferredLayers?.temporalLayer]
    }
    await node.request('node.degrade', { level: 0 })
    await node.request('consumer.layers', { room, peer: 'v', consumer: id, spatial: 2 })
    // Told at once, done consumer by consumer.
    const becomes = async (...wanted: unknown[]) => {
      while (JSON.stringify((await state()).slice(0, wanted.length)) !== JSON.stringify(wanted));
    }
    await becomes(false, 2)
    const steps: [number, boolean, number, number?][] = [
      [1, false, 1],
      [2, false, 0],
      [3, false, 0, 0],
      [4, true, 0],
      [0, false, 2],
    ]
    for (const [level, ...wanted] of steps) {
      await node.request('node.degrade', { room, level })
      await becomes(...wanted)
    }
    // Whoever wants more than the level allows gets what it allows, and what was wanted when it is over.
    await node.request('node.degrade', { level: 2 })
    await node.request('consumer.layers', { room, peer: 'v', consumer: id, spatial: 1 })
    await becomes(false, 0)
    await node.request('node.degrade', { level: 0 })
    await becomes(false, 1)
  } finally {
    clearInterval(timer)
  }
})
