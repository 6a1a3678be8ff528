/** Shows of other rooms: two workers, packets counted where they are played, and who closes whom. */
import type { ChildProcess } from 'node:child_process'
import { afterEach, expect, test } from 'vitest'
import type { SfuEvent } from '../schemas/sfu.ts'
import { linksMax } from './links.ts'
import type { SfuOptions } from './options.ts'
import type { Place } from './places.ts'
import type { Room } from './room.ts'
import { problemOf, sendTestPicture, startTestNode, type TestNode, type Watching, watchAt } from './testing.ts'

const nodes: TestNode[] = []
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const node of nodes.splice(0)) node.close()
})
async function start(options: Partial<SfuOptions> = {}): Promise<TestNode> {
  const sfu = await startTestNode({ workers: 2, ...options })
  nodes.push(sfu)
  return sfu
}
const roomOf = ({ node }: TestNode, id: string) => node.rooms.get(id) as Room

/** Its picture; resolves with the id of the track. */
async function goLive(sfu: TestNode, room: string): Promise<string> {
  const from = sfu.events.length
  children.push(sendTestPicture(await sfu.node.request('ingest.open', { room, peer: 'rtp', line: 'primary' })))
  const { track } = await sfu.until(
    'track.opened',
    (event) => event.room === room && event.track.kind === 'video' && sfu.events.indexOf(event) >= from,
  )
  return track.id
}
async function view(sfu: TestNode, room: string, peer: string): Promise<{ place: Place; play(track: string): Promise<string> }> {
  const { rtpCapabilities } = await sfu.node.request('room.open', { room })
  const { id: transport } = await sfu.node.request('transport.create', { room, peer, direction: 'recv', rtpCapabilities })
  const place = roomOf(sfu, room).known(peer).transport(transport).place
  return {
    place,
    play: async (track) => (await sfu.node.request('consumer.open', { room, peer, transport, track })).id,
  }
}
/** What whoever plays a linked track at this place of a room gets. */
async function watchLinked(room: Room, place: Place, trackId: string): Promise<Watching> {
  const inMain = (await room.links.of(trackId)?.pipe.producerOf(trackId)) as string
  return watchAt(place.router, await room.places.producerIn(place, inMain))
}
const transportsOf = async (room: Room) => (await room.places.main.router.dump()).transportIds.length
const linkEvents = (sfu: TestNode, from: number) =>
  sfu.events.slice(from).filter((event): event is Extract<SfuEvent, { from: string }> => event.t.startsWith('link.'))

test('both rooms play the show of the other, on both workers; a show that ends and begins anew is told', async () => {
  const sfu = await start({ consumersPerRouterMax: 2 })
  const { node } = sfu
  for (const room of ['a', 'b']) await node.request('room.open', { room })
  const [a, b] = [roomOf(sfu, 'a'), roomOf(sfu, 'b')]
  expect(a.places.main.media).not.toBe(b.places.main.media)
  expect(await node.request('link.open', { room: 'b', from: 'a' })).toEqual({ from: 'a', tracks: [] })
  const ofA = await goLive(sfu, 'a')
  const told = await sfu.until('link.changed', ({ room, tracks }) => room === 'b' && tracks.some(({ id }) => id === ofA))
  expect(told).toMatchObject({ from: 'a' })
  const ofB = await goLive(sfu, 'b')
  expect((await node.request('link.open', { room: 'a', from: 'b' })).tracks.map(({ id }) => id)).toContain(ofB)

  // The second viewer of b is at home where a lives.
  const [near, far] = [await view(sfu, 'b', 'near'), await view(sfu, 'b', 'far')]
  expect([near.place, far.place.media]).toEqual([b.places.main, a.places.main.media])
  for (const viewer of [near, far]) expect(await viewer.play(ofA)).toMatch(/-/)
  const there = await view(sfu, 'a', 'v')
  await there.play(ofB)
  for (const watching of [
    await watchLinked(b, near.place, ofA),
    await watchLinked(b, far.place, ofA),
    await watchLinked(a, there.place, ofB),
  ])
    await watching.more(20)
  // One copy goes from room to room, however many play it: a transport for it, at either end.
  expect(b.links.size + a.links.size).toBe(2)
  await sfu.until('sample', ({ rooms }) => rooms.length === 2 && rooms.every(({ links }) => links === 1))

  await node.request('show.end', { room: 'a' })
  const closed = await sfu.until('consumer.closed', ({ room, peer }) => room === 'b' && peer === 'far')
  expect(closed.reason).toBe('track closed')
  expect((await node.request('room.describe', { room: 'b' })).links).toEqual([{ from: 'a', tracks: [] }])
  expect(await problemOf(near.play(ofA))).toBe('stream.gone')
  const next = await goLive(sfu, 'a')
  await near.play(next)
  await (await watchLinked(b, near.place, next)).more(10)
})

test('closed by whoever asked: viewers are told, nothing is left in the workers, and it can be opened again', async () => {
  const sfu = await start()
  const { node } = sfu
  for (const room of ['a', 'b']) await node.request('room.open', { room })
  const [a, b] = [roomOf(sfu, 'a'), roomOf(sfu, 'b')]
  const track = await goLive(sfu, 'a')
  const viewer = await view(sfu, 'b', 'v')
  const before = [await transportsOf(a), await transportsOf(b)]
  for (let time = 0; time < 5; time++) {
    await node.request('link.open', { room: 'b', from: 'a' })
    const consumer = await viewer.play(track)
    const from = sfu.events.length
    await node.request('link.close', { room: 'b', from: 'a' })
    await sfu.until('consumer.closed', (event) => event.consumer === consumer && event.reason === 'track closed')
    expect(linkEvents(sfu, from)).toEqual([])
    expect(await problemOf(viewer.play(track))).toBe('stream.gone')
  }
  expect([await transportsOf(a), await transportsOf(b)]).toEqual(before)
  // While it is being made.
  await node.request('link.open', { room: 'b', from: 'a' })
  const playing = problemOf(viewer.play(track))
  await node.request('link.close', { room: 'b', from: 'a' })
  expect(await playing).not.toBe('ok')
  expect([await transportsOf(a), await transportsOf(b)]).toEqual(before)
})

test('the other room is closed, or its worker dies: told once; linked again it plays again', async () => {
  const sfu = await start()
  const { node } = sfu
  for (const room of ['a', 'b']) await node.request('room.open', { room })
  const b = roomOf(sfu, 'b')
  const link = () => node.request('link.open', { room: 'b', from: 'a' })
  await goLive(sfu, 'a')
  const viewer = await view(sfu, 'b', 'v')
  await link()
  const closed = async (end: () => unknown) => {
    const from = sfu.events.length
    await end()
    await sfu.until('link.closed', (event) => sfu.events.indexOf(event) >= from)
    return linkEvents(sfu, from)
  }
  expect(await closed(() => node.request('room.close', { room: 'a' }))).toEqual([
    { t: 'link.closed', room: 'b', from: 'a', reason: 'room closed' },
  ])
  expect(await problemOf(link())).toBe('stream.gone')

  await node.request('room.open', { room: 'a' })
  const again = await goLive(sfu, 'a')
  await link()
  const consumer = await viewer.play(again)
  const { pid } = roomOf(sfu, 'a').places.main.media.worker
  expect(await closed(() => process.kill(pid, 'SIGKILL'))).toEqual([
    { t: 'link.closed', room: 'b', from: 'a', reason: 'the media worker died' },
  ])
  await sfu.until('consumer.closed', (event) => event.consumer === consumer)
  expect(b.isClosed).toBe(false)
  // Where b is there would be nothing to see of another worker's death.
  await sfu.until('sample', ({ workers }) => workers.length === 2 && workers.every((worker) => worker.pid !== pid))
  await node.request('room.open', { room: 'a' })
  const third = await goLive(sfu, 'a')
  await link()
  await viewer.play(third)
  await (await watchLinked(b, viewer.place, third)).more(10)

  // Now the room where it is played dies: the other one knows nothing of it, and its show goes on.
  const from = sfu.events.length
  process.kill(b.places.main.media.worker.pid, 'SIGKILL')
  await sfu.until('room.lost', ({ room }) => room === 'b')
  expect(linkEvents(sfu, from)).toEqual([])
  await (await watchAt(roomOf(sfu, 'a').places.main.router, third)).more(10)
  await node.request('room.open', { room: 'b' })
  expect((await node.request('room.describe', { room: 'b' })).links).toEqual([])
})

test('bounds and rubbish', async () => {
  const sfu = await start({ workers: 1 })
  const { node } = sfu
  const others = Array.from({ length: linksMax + 1 }, (_, at) => `r${at}`)
  for (const room of ['hub', ...others]) await node.request('room.open', { room })
  const into = (from: string) => problemOf(node.request('link.open', { room: 'hub', from }))
  const outOf = (room: string) => problemOf(node.request('link.open', { room, from: 'hub' }))
  for (const ask of [into, outOf]) {
    const answers: unknown[] = []
    for (const other of others) answers.push(await ask(other))
    expect(answers).toEqual([...Array(linksMax).fill('ok'), 'stream.no_capacity'])
  }
  // Asked again is no other one; one that ends makes room.
  expect(await into('r0')).toBe('ok')
  await node.request('room.close', { room: 'r0' })
  expect([await into(others.at(-1) as string), await outOf(others.at(-1) as string)]).toEqual(['ok', 'ok'])
  expect(await into('hub')).toBe('stream.bad_params')
  for (const from of ['none', '', 5, null, undefined, {}]) expect(await into(from as string)).toBe('stream.gone')
  for (const from of ['none', 5, null, undefined])
    expect(await problemOf(node.request('link.close', { room: 'hub', from: from as string }))).toBe('ok')
})
