/** The end of a show at a node: what goes, what stays, and what was on its way when it came. */
import type { ChildProcess } from 'node:child_process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Feed } from '../schemas/sfu.ts'
import type { Room } from './room.ts'
import { offers } from './sdp-offers.ts'
import { opusParameters, problemOf, sendTestPicture, startTestNode, type TestNode, vp8Parameters, watch } from './testing.ts'

let sfu: TestNode
const children: ChildProcess[] = []
beforeAll(async () => {
  sfu = await startTestNode({ workers: 1 })
}, 600_000)
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
  sfu?.close()
})

const line = (name: 'primary' | 'backup'): Feed => ({ of: 'line', line: name, source: 'cam' })

test('the show goes with its lines; a guest, a viewer and their transports stay, and the next show reaches them', async () => {
  const { node } = sfu
  const room = 'stay'
  const rtpCapabilities = (await node.request('room.open', { room })).rtpCapabilities
  const begin = async () => {
    const ingest = await node.request('ingest.open', { room, peer: 'rtp', line: 'primary' })
    children.push(sendTestPicture(ingest))
    return sfu.events.length
  }
  const shownAfter = async (from: number) => {
    const fits = (event: { room: string; track: { source: string; kind: string } }) =>
      event.room === room && event.track.source === 'main' && event.track.kind === 'video'
    const { track } = await sfu.until('track.opened', (event) => fits(event) && sfu.events.indexOf(event) >= from)
    return track.id
  }
  const picture = await shownAfter(await begin())
  const ways = new Map<string, string>()
  for (const peer of ['host', 'guest']) {
    const { id } = await node.request('transport.create', { room, peer, direction: 'send' })
    ways.set(peer, id)
  }
  const send = (peer: string, ssrc: number, feed: Feed) =>
    node.request('producer.open', {
      ...{ room, peer, transport: ways.get(peer) as string, kind: 'audio', feed },
      rtpParameters: opusParameters(ssrc),
    })
  const { producer: hosts } = await send('host', 1, line('backup'))
  const { producer: guests } = await send('guest', 2, { of: 'seat', seatNo: 1 })
  const { id: transport } = await node.request('transport.create', { room, peer: 'viewer', direction: 'recv', rtpCapabilities })
  const play = (track: string) => node.request('consumer.open', { room, peer: 'viewer', transport, track })
  const [ofShow, ofGuest] = [await play(picture), await play(guests)]

  const from = sfu.events.length
  await node.request('show.end', { room })
  const told = sfu.events.slice(from)
  expect(told.filter(({ t }) => t === 'track.closed').map((event) => 'trackId' in event && event.trackId)).toContain(picture)
  expect(told).toContainEqual({ t: 'producer.closed', room, peer: 'host', producer: hosts, reason: 'show ended' })
  expect(told.filter(({ t }) => t === 'transport.closed')).toEqual([])
  const { tracks, lines, line: shown } = await node.request('room.describe', { room })
  expect(tracks.map(({ id }) => id)).toEqual([guests])
  expect([lines.map(({ state }) => state), shown]).toEqual([['idle', 'idle'], undefined])
  const gone = await sfu.until('consumer.closed', (event) => event.room === room)
  expect(gone).toMatchObject({ peer: 'viewer', consumer: ofShow.id, reason: 'track closed' })
  const media = node.rooms.get(room) as Room
  expect([...media.peers.keys()].toSorted()).toEqual(['guest', 'host', 'viewer'])
  expect(media.peers.get('viewer')?.consumers.has(ofGuest.id)).toBe(true)
  // Asked again it changes nothing.
  await node.request('show.end', { room })

  const next = await shownAfter(await begin())
  expect(next).not.toBe(picture)
  expect((await play(next)).producerId).toBe(next)
  await (await watch(sfu, room, next)).more(5)
  expect((await send('host', 3, line('backup'))).producer).not.toBe(hosts)
})

test('what is on its way to a show that ends does not become part of the next one', async () => {
  const { node } = sfu
  const room = 'late'
  await node.request('room.open', { room })
  const { id: transport } = await node.request('transport.create', { room, peer: 'host', direction: 'send' })
  const open = { room, peer: 'host', transport, kind: 'video', rtpParameters: vp8Parameters([5]) } as const
  const underWay: Promise<unknown>[] = [
    node.request('producer.open', { ...open, feed: line('primary') }),
    node.request('whip.offer', { room, peer: 'whip', sdp: offers.firefox, feed: line('backup') }),
    node.request('ingest.open', { room, peer: 'rtp', line: 'backup' }),
  ]
  const guest = node.request('producer.open', {
    ...{ ...open, kind: 'audio' as const, rtpParameters: opusParameters(6) },
    feed: { of: 'seat', seatNo: 2 },
  })
  const ending = node.request('show.end', { room })
  expect(await Promise.all(underWay.map(problemOf))).toEqual(['stream.gone', 404, 'stream.gone'])
  await Promise.all([guest, ending])
  const media = node.rooms.get(room) as Room
  expect(media.program.lines.map(({ state }) => state)).toEqual(['idle', 'idle'])
  expect([...media.peers.keys()]).toEqual(['host'])
  expect([...media.known('host').producers.values()].map(({ feed }) => feed.of)).toEqual(['seat'])
  // Nothing of them is left in the worker.
  const { transportIds } = await media.places.main.router.dump()
  expect(transportIds).toEqual([transport])
})

test('who waits for an opening of their own when the show ends, or they go, does not come back with it', async () => {
  const { node } = sfu
  for (const [name, end] of [
    ['ended', (room: string) => node.request('show.end', { room })],
    ['left', (room: string) => node.request('peer.close', { room, peer: 'rtp' })],
  ] as const) {
    const room = `waits-${name}`
    await node.request('room.open', { room })
    const ask = { room, peer: 'rtp', line: 'primary' } as const
    const opening = (['vp8', 'h264', 'h264'] as const).map((videoCodec) => node.request('ingest.open', { ...ask, videoCodec }))
    const ending = end(room)
    expect(await Promise.all(opening.map(problemOf))).toEqual(['stream.gone', 'stream.gone', 'stream.gone'])
    await ending
    const media = node.rooms.get(room) as Room
    expect([media.peers.size, media.program.lines.map(({ state }) => state)]).toEqual([0, ['idle', 'idle']])
    await node.request('ingest.open', { room, peer: 'other', line: 'primary' })
  }
})
