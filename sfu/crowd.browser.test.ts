/**
 * Twenty viewers of one room on another worker than its publisher, who sends two layers: what each of them gets, in packets and bytes of
 * the layer that it chose; degrading; and that the traffic of the room as the node tells it is what the transports moved.
 */
import type { types } from 'mediasoup'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Room } from './room.ts'
import { type SignalServer, serveSignals } from './signals-http.ts'
import { startTestNode, type TestNode } from './testing.ts'
import { type Clients, chromiumFlags, clients, executablePath, type Seen } from './testing-page.ts'

const room = 'crowd'
const viewersCount = 20
const [wide, narrow] = [480, 240]
/** Fill the first place; the next has room for all viewers, and for some who come while others leave. */
const fillersCount = 30
const turnEveryMs = 250
const consumersPerRouterMax = fillersCount * 2

let sfu: TestNode
let server: SignalServer
let browser: Browser
let page: Page
let of: Room
beforeAll(async () => {
  sfu = await startTestNode({ workers: 2, consumersPerRouterMax })
  server = await serveSignals(sfu.node)
  browser = await chromium.launch({ executablePath, args: chromiumFlags })
  const { rtpCapabilities } = await sfu.node.request('room.open', { room })
  of = sfu.node.rooms.get(room) as Room
  const publisher = await newPage()
  const options = { codec: 'video/VP8', rids: ['h', 'l'], size: [wide, 270] as [number, number] }
  const wanted = [`${server.origin}/whip/${room}`, options] as const
  const { status } = await publisher.evaluate(([url, given]) => (globalThis as unknown as Clients).whip(url, given), wanted)
  expect(status).toBe(201)
  await sfu.until('track.opened', ({ track }) => track.kind === 'video')
  for (let at = 0; at < fillersCount; at++)
    await sfu.node.request('transport.create', { room, peer: `filler${at}`, direction: 'recv', rtpCapabilities })
  page = await newPage()
  await Promise.all(Array.from({ length: viewersCount }, (_, at) => come(`v${at}`)))
}, 600_000)
afterAll(async () => {
  await browser?.close()
  server?.close()
  sfu?.close()
})

async function newPage(): Promise<Page> {
  const made = await browser.newPage()
  await made.goto(server.origin)
  await made.evaluate(clients)
  return made
}
const come = (name: string) =>
  page.evaluate(([url, as]) => (globalThis as unknown as Clients).come(url, as), [`${server.origin}/whep/${room}`, name] as const)
const leave = (name: string, isPolite: boolean) =>
  page.evaluate(([as, polite]) => (globalThis as unknown as Clients).leave(as, polite), [name, isPolite] as const)
const look = () => page.evaluate(() => (globalThis as unknown as Clients).look())
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** What each viewer got in this time. */
async function lookFor(ms: number): Promise<Seen[]> {
  const before = new Map((await look()).map((one) => [one.name, one]))
  await pause(ms)
  return (await look()).map((now) => {
    const then = before.get(now.name)
    const since = (key: 'packets' | 'bytes' | 'frames') => now[key] - (then?.[key] ?? 0)
    return { ...now, packets: since('packets'), bytes: since('bytes'), frames: since('frames') }
  })
}
async function until(isSo: (seen: Seen[]) => boolean): Promise<Seen[]> {
  for (;;) {
    const seen = await look()
    if (isSo(seen)) return seen
    await pause(50)
  }
}
const watching = () =>
  [...of.peers.values()].flatMap((peer) =>
    [...peer.consumers.values()].filter(({ consumer }) => consumer.kind === 'video').map(({ consumer }) => ({ peer, consumer })),
  )
const meanBytes = (seen: readonly Seen[]) => seen.reduce((sum, { bytes }) => sum + bytes, 0) / seen.length

it('all of them, on another router and another worker, get the layer that they chose', async () => {
  const { main } = of.places
  const places = watching().map(({ peer }) => [...peer.transports.values()].map(({ place }) => place))
  expect(places).toHaveLength(viewersCount)
  for (const [place] of places) expect([place === main, place?.media === main.media]).toEqual([false, false])
  await until((seen) => seen.length === viewersCount && seen.every(({ width }) => width === wide))
  for (const [at, { peer, consumer }] of watching().entries())
    if (at % 2 === 1) await sfu.node.request('consumer.layers', { room, peer: peer.id, consumer: consumer.id, spatial: 0 })
  const isLow = ({ width }: Seen) => width === narrow
  await until((seen) => seen.filter(isLow).length === viewersCount / 2)
  const seen = await lookFor(3_000)
  const [low, high] = [seen.filter(isLow), seen.filter(({ width }) => width === wide)]
  console.log({ lowBytesPerS: Math.round(meanBytes(low) / 3), highBytesPerS: Math.round(meanBytes(high) / 3) })
  expect([low.length, high.length]).toEqual([viewersCount / 2, viewersCount / 2])
  for (const { packets, frames } of seen) expect([packets > 10, frames > 10]).toEqual([true, true])
  // Each gets its layer, whole, and nothing else.
  for (const one of low) expect(one.bytes).toBeLessThan(meanBytes(high) / 1.2)
  for (const one of high) expect(one.bytes).toBeGreaterThan(meanBytes(low) * 1.2)
  for (const { peer, consumer } of watching())
    await sfu.node.request('consumer.layers', { room, peer: peer.id, consumer: consumer.id, spatial: 1 })
  await until((now) => now.every(({ width }) => width === wide))
})

it('degrading to level 2 lowers every viewer to the lowest layer within 3 s, and level 0 gives it back', async () => {
  const before = await lookFor(2_000)
  const degraded = performance.now()
  await sfu.node.request('node.degrade', { room, level: 2 })
  await until((seen) => seen.every(({ width }) => width === narrow))
  const loweredMs = Math.round(performance.now() - degraded)
  await pause(Math.max(0, 3_000 - loweredMs))
  const lowered = await lookFor(2_000)
  for (const { width, frames } of lowered) expect([width, frames > 5]).toEqual([narrow, true])
  expect(meanBytes(lowered)).toBeLessThan(meanBytes(before))
  const restored = performance.now()
  await sfu.node.request('node.degrade', { room, level: 0 })
  await until((seen) => seen.every(({ width }) => width === wide))
  const restoredMs = Math.round(performance.now() - restored)
  const after = await lookFor(2_000)
  for (const { width } of after) expect(width).toBe(wide)
  expect(meanBytes(after)).toBeGreaterThan(meanBytes(lowered))
  console.log({ loweredMs, restoredMs, ...bytesOf({ before, lowered, after }) })
  expect(loweredMs).toBeLessThanOrEqual(3_000)
})

const bytesOf = (all: Record<string, Seen[]>) =>
  Object.fromEntries(Object.entries(all).map(([name, seen]) => [`${name}BytesPerS`, Math.round(meanBytes(seen) / 2)]))

it('the traffic that is told is what the transports moved, while viewers come and go', async () => {
  const counter = new Counter(of)
  let next = viewersCount
  const names = Array.from({ length: viewersCount }, (_, at) => `v${at}`)
  let turnedAt = 0
  const turn = async () => {
    if (performance.now() - turnedAt < turnEveryMs) return
    turnedAt = performance.now()
    // By a request, and by closing the connection.
    await leave(names.shift() as string, next % 2 === 0)
    const name = `v${next++}`
    await come(name)
    names.push(name)
  }
  const samples = () =>
    sfu.events.flatMap((event) => (event.t === 'sample' ? event.rooms.filter((one) => one.room === room) : []))
  /** The next samples, and what moved meanwhile by the counts of the transports. */
  const compare = async (count: number, meanwhile: () => Promise<void>) => {
    const sampled = async (wanted: number) => {
      while (samples().length < wanted) {
        await counter.count()
        await meanwhile()
        await pause(20)
      }
      await counter.count()
      return { atMs: performance.now(), bytes: counter.bytes }
    }
    const first = samples().length + 1
    const marks = [await sampled(first)]
    for (let at = 1; at <= count; at++) marks.push(await sampled(first + at))
    const bits = (mark: { bytes: number }) => mark.bytes * 8
    const told = samples().slice(first, first + count)
    const windows = marks.slice(1).map((mark, at) => {
      const from = marks[at] as (typeof marks)[0]
      return { moved: bits(mark) - bits(from), ms: mark.atMs - from.atMs }
    })
    const sum = (list: readonly number[]) => list.reduce((total, one) => total + one, 0)
    const toldBits = sum(told.map(({ egressBps }, at) => (egressBps * (windows[at]?.ms ?? 0)) / 1_000))
    return { told: Math.round(toldBits), moved: sum(windows.map(({ moved }) => moved)), left: counter.left }
  }
  const still = await compare(3, () => Promise.resolve())
  const moving = await compare(6, turn)
  console.log({ still: { ...still, ratio: still.told / still.moved }, moving: { ...moving, ratio: moving.told / moving.moved } })
  expect(moving.left).toBeGreaterThan(still.left + 5)
  for (const { told, moved } of [still, moving]) expect(Math.abs(told / moved - 1)).toBeLessThan(0.05)
})

/** What all transports of viewers have sent, those who left as far as they were asked before. */
class Counter {
  readonly #room: Room
  readonly #last = new Map<types.Transport, number>()
  left = 0

  constructor(of: Room) {
    this.#room = of
  }

  async count(): Promise<void> {
    const transports = [...this.#room.peers.values()].flatMap((peer) =>
      [...peer.transports.values()].map(({ transport }) => transport),
    )
    const receiving = transports.filter(({ appData }) => appData['direction'] === 'recv')
    await Promise.all(
      receiving.map(async (transport) => {
        const [stat] = await transport.getStats().catch(() => [])
        if (stat) this.#last.set(transport, stat.bytesSent)
      }),
    )
    this.left = [...this.#last.keys()].filter(({ closed }) => closed).length
  }

  get bytes(): number {
    return [...this.#last.values()].reduce((sum, one) => sum + one, 0)
  }
}
