/** What comes at once, crosses on its way, or is answered when what it was about has gone. */
import { afterEach, expect, test } from 'vitest'
import type { Feed } from '../schemas/sfu.ts'
import type { SfuOptions } from './options.ts'
import type { Room } from './room.ts'
import { opusParameters, problemOf, startTestNode, type TestNode, vp8Parameters } from './testing.ts'

const nodes: TestNode[] = []
afterEach(() => {
  for (const node of nodes.splice(0)) node.close()
})
async function start(options: Partial<SfuOptions> = {}): Promise<TestNode> {
  const sfu = await startTestNode({ workers: 2, ...options })
  nodes.push(sfu)
  return sfu
}
const room = 'race'
const seat = (seatNo: number): Feed => ({ of: 'seat', seatNo })

test('opened, closed and opened again in one breath: the last word counts', async () => {
  const { node } = await start()
  const open = () => node.request('room.open', { room })
  const close = () => node.request('room.close', { room })
  for (let time = 0; time < 5; time++) {
    const all = [open(), close(), open(), open()]
    expect(await Promise.all(all.map(problemOf))).toEqual(['stream.unavailable', 'ok', 'ok', 'ok'])
    expect(node.rooms.get(room)?.isClosed).toBe(false)
    expect((await node.request('transport.create', { room, peer: 'a', direction: 'send' })).id).toBeTypeOf('string')
    expect([await problemOf(open()), await problemOf(close())]).toEqual(['ok', 'ok'])
    expect(node.rooms.size).toBe(0)
    expect(await Promise.all([open(), close()].map(problemOf))).toEqual(['stream.unavailable', 'ok'])
    expect(node.rooms.size).toBe(0)
  }
  // None of those that were given up is left in a worker.
  const routers = await Promise.all(node.workers.all.map(({ worker }) => worker.dump()))
  expect(routers.flatMap(({ routerIds }) => routerIds)).toEqual([])
  expect(node.workers.all.map(({ rooms }) => rooms)).toEqual([0, 0])
})

test('rooms and viewers that come at once are spread', async () => {
  const { node } = await start({ consumersPerRouterMax: 20 })
  await Promise.all(Array.from({ length: 20 }, (_, at) => node.request('room.open', { room: `r${at}` })))
  expect(node.workers.all.map(({ rooms }) => rooms)).toEqual([10, 10])
  const { rtpCapabilities } = await node.request('room.open', { room })
  const come = (at: number) => node.request('transport.create', { room, peer: `v${at}`, direction: 'recv', rtpCapabilities })
  const of = node.rooms.get(room) as Room
  const loads = () => of.places.all.map(({ transports, coming }) => [transports, coming])
  await Promise.all(Array.from({ length: 15 }, (_, at) => come(at)))
  expect(loads()).toEqual([
    [10, 0],
    [5, 0],
  ])
  await Promise.all(Array.from({ length: 15 }, (_, at) => come(15 + at)))
  expect(loads()).toEqual([
    [15, 0],
    [15, 0],
  ])
})

test('muted for all and let go again at once: nobody stays without a picture', async () => {
  const { node } = await start({ workers: 1 })
  const { rtpCapabilities } = await node.request('room.open', { room })
  const { id: way } = await node.request('transport.create', { room, peer: 'p', direction: 'send' })
  const { producer: track } = await node.request('producer.open', {
    ...{ room, peer: 'p', transport: way, kind: 'video', rtpParameters: vp8Parameters([1, 2, 3]), feed: seat(1) },
  })
  const { id: transport } = await node.request('transport.create', { room, peer: 'v', direction: 'recv', rtpCapabilities })
  const { id: consumer } = await node.request('consumer.open', { room, peer: 'v', transport, track })
  const one = { room, peer: 'v', consumer }
  await node.request('consumer.resume', one)
  const of = node.rooms.get(room)?.known('v').consumer(consumer)
  const settled = async () => {
    await of?.applying
    return [of?.consumer.paused, of?.consumer.preferredLayers?.spatialLayer]
  }
  for (const levels of [
    [4, 0],
    [4, 0, 4, 0],
    [2, 4, 0],
    [4, 2, 0],
  ]) {
    for (const level of levels) await node.request('node.degrade', { room, level })
    expect(await settled()).toEqual([false, 2])
  }
  await Promise.all([node.request('consumer.pause', one), node.request('consumer.resume', one)])
  expect(await settled()).toEqual([false, 2])
  await Promise.all([
    node.request('node.degrade', { level: 2 }),
    node.request('consumer.layers', { ...one, spatial: 1 }),
    node.request('node.degrade', { level: 4 }),
  ])
  expect((await settled())[0]).toBe(true)
  await node.request('node.degrade', { level: 0 })
  expect(await settled()).toEqual([false, 1])
})

test('a track that ends while somebody begins to play it, here or on another worker, is gone and not unplayable', async () => {
  const sfu = await start({ consumersPerRouterMax: 2 })
  const { node } = sfu
  const { rtpCapabilities } = await node.request('room.open', { room })
  const { id: way } = await node.request('transport.create', { room, peer: 'p', direction: 'send' })
  const ways: string[] = []
  for (const peer of ['near', 'far'])
    ways.push((await node.request('transport.create', { room, peer, direction: 'recv', rtpCapabilities })).id)
  const codes = new Set<unknown>()
  for (let time = 0; time < 60; time++) {
    const rtpParameters = opusParameters(100 + time)
    const { producer: track } = await node.request('producer.open', {
      ...{ room, peer: 'p', transport: way, kind: 'audio', rtpParameters, feed: seat(1) },
    })
    const far = time % 2
    const playing = problemOf(
      node.request('consumer.open', { room, peer: far ? 'far' : 'near', transport: ways[far] as string, track }),
    )
    // Each time a little later.
    for (let turn = 0; turn < time >> 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    await node.request('producer.close', { room, peer: 'p', producer: track })
    codes.add(await playing)
  }
  expect([...codes].filter((code) => code !== 'ok')).toEqual(['stream.gone'])
  const of = node.rooms.get(room) as Room
  const left = () => [...of.peers.values()].reduce((sum, { consumers }) => sum + consumers.size, 0)
  while (left() > 0) await new Promise((resolve) => setImmediate(resolve))
  expect(of.places.all.map(({ consumers }) => consumers)).toEqual([0, 0])
})

test('a worker dies under requests: each is answered, and what is counted is right afterwards', async () => {
  const sfu = await start({ consumersPerRouterMax: 8 })
  const { node } = sfu
  const { rtpCapabilities } = await node.request('room.open', { room })
  const of = node.rooms.get(room) as Room
  const far = node.workers.all.find((media) => media !== of.places.main.media)
  const come = (at: number) =>
    problemOf(node.request('transport.create', { room, peer: `v${at}`, direction: 'recv', rtpCapabilities }))
  // The other worker dies while the room grows there.
  const coming = Array.from({ length: 20 }, (_, at) => come(at))
  process.kill(far?.worker.pid as number, 'SIGKILL')
  const codes = await Promise.all(coming)
  expect(codes.filter((code) => !/^(ok|stream\.(gone|unavailable))$/.test(String(code)))).toEqual([])
  await sfu.until('sample', ({ workers }) => workers.length === 2 && workers.every(({ pid }) => pid !== far?.worker.pid))
  expect(of.isClosed).toBe(false)
  const transports = [...of.peers.values()].reduce((sum, peer) => sum + peer.transports.size, 0)
  expect(of.places.all.map(({ coming: left }) => left)).toEqual(of.places.all.map(() => 0))
  expect(of.places.all.reduce((sum, place) => sum + place.transports, 0)).toBe(transports)

  // Its own dies: all that was on its way is refused, and nothing of the old room is in the new one.
  const underWay = [
    ...Array.from({ length: 10 }, (_, at) => come(100 + at)),
    problemOf(node.request('ingest.open', { room, peer: 'rtp', line: 'primary' })),
    problemOf(node.request('room.describe', { room })),
  ]
  process.kill(of.places.main.media.worker.pid, 'SIGKILL')
  expect((await Promise.all(underWay)).filter((code) => !/^(ok|stream\.(gone|unavailable))$/.test(String(code)))).toEqual([])
  await sfu.until('room.lost')
  await node.request('room.open', { room })
  const again = node.rooms.get(room) as Room
  expect([again === of, again.peers.size, again.places.main.transports]).toEqual([false, 0, 0])
  await sfu.until('sample', ({ workers }) => workers.length === 2 && workers.reduce((sum, { rooms }) => sum + rooms, 0) === 1)
})
