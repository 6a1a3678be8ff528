/** Readers that do not keep up, over real sockets: the others notice nothing, and the delivery account adds up to what clients got. */
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Config } from '../config.ts'
import { startTestEngine, type TestClient, type TestEngine } from '../testing.ts'

let engine: TestEngine
let host: TestClient
let viewer: TestClient
let slow: TestClient

async function start(options: Partial<Config>) {
  engine = await startTestEngine({
    commandsPerSMax: 100_000,
    danmakuPerClientMax: 0,
    lagMsMax: 150,
    lagProbeEveryMs: 100,
    ...options,
  })
  host = await engine.connect({ token: await engine.token('demo_owner') })
  viewer = await engine.connect()
  slow = await engine.connect({ encoding: 'proto' })
  for (const client of [host, viewer, slow]) await client.ok('room.join', {}, 'demo')
}
beforeEach(() => {
  sent = 0
})
afterEach(() => engine.stop())

let sent = 0
/** The room stays hot until the condition holds. */
async function hotUntil(condition: () => boolean) {
  const text = '热'.repeat(100)
  while (!condition()) {
    await host.ok('danmaku.send', { text }, 'demo')
    sent++
  }
}

const count = (client: TestClient) => client.events.filter((event) => event.seq !== undefined && event.room === 'demo').length
async function account() {
  const token = await engine.token('ops', { scope: 'operator' })
  const answer = await fetch(`${engine.adminUrl}/admin/v1/account`, { headers: { authorization: `Bearer ${token}` } })
  return (await answer.json()) as Record<string, { high: number; normal: number; low: number }>
}
const total = (counts: { high: number; normal: number; low: number } | undefined) =>
  counts ? counts.high + counts.normal + counts.low : Number.NaN

it('one that stalls gets the high lane only, and the state anew when it reads again', async () => {
  await start({})
  slow.stopReading()
  await hotUntil(() => engine.edge.slow.counts.detected === 1)
  expect(await (await fetch(`${engine.adminUrl}/metrics`)).text()).toMatch(/^livehouse_slow_readers 1$/m)
  for (let n = 0; n < 5; n++) await host.ok('room.update', { title: `title ${n}` }, 'demo')
  const skipped = await host.ok('danmaku.send', { text: 'not for the slow' }, 'demo')
  sent++
  slow.readAgain()
  expect((await slow.next('room.lagging')).room).toBe('demo')
  const { snapshot } = (await slow.next('room.resynced')).d
  expect(snapshot).toMatchObject({ resync: true, room: { title: 'title 4' } })
  expect(snapshot.danmaku.map((event: { d: { id: string } }) => event.d.id)).toContain(skipped.id)
  // Everything of the high lane, and nothing of the normal one while it was lean.
  expect(slow.of('room.updated').map((event) => event.d.patch.title)).toEqual([0, 1, 2, 3, 4].map((n) => `title ${n}`))
  expect(slow.of('danmaku.sent').map((event) => event.d.id)).not.toContain(skipped.id)
  await host.ok('danmaku.send', { text: 'for all again' }, 'demo')
  sent++
  await slow.next((event) => event.t === 'danmaku.sent' && event.d.text === 'for all again')
  expect(engine.edge.slow.counts).toMatchObject({ recovered: 1, closed: 0 })

  await Promise.all([host, viewer, slow].map((client) => client.roundTrip()))
  expect(viewer.of('danmaku.sent')).toHaveLength(sent)
  const { offered, written, skipped: lean, lost, imbalance } = await account()
  expect(imbalance).toEqual({ high: 0, normal: 0, low: 0 })
  expect(lost).toEqual({ high: 0, normal: 0, low: 0 })
  expect(lean?.high).toBe(0)
  expect(lean?.normal).toBeGreaterThan(0)
  expect(total(written)).toBe(count(host) + count(viewer) + count(slow))
  expect(offered?.normal).toBe(sent * 3)
})

it('one that stays stuck is closed with a code that says: come back', async () => {
  await start({ slowCloseMs: 300 })
  slow.stopReading()
  await hotUntil(() => engine.edge.slow.counts.closed === 1)
  expect(engine.edge.connections).toBe(2)
  slow.readAgain()
  expect(await slow.closed).toMatchObject({ code: 4001 })
  await viewer.roundTrip()
  expect(viewer.of('danmaku.sent')).toHaveLength(sent)
  expect((await account())['imbalance']).toEqual({ high: 0, normal: 0, low: 0 })
  expect(engine.homes.find('demo')?.presence.online.connections).toBe(2)
})

it('unsent bytes over the hard bound close a reader at once, and what it may have missed is counted', async () => {
  // Without the in-band ping only the buffer speaks: what the kernel hides has to be filled first.
  await start({ lagMsMax: 0, bufferedBytesSoftMax: 2_048, bufferedBytesHardMax: 2_048, danmakuStaffCodePointsMax: 1_000 })
  const speakers = [host]
  for (let n = 0; n < 7; n++) {
    const speaker = await engine.connect({ token: await engine.token('demo_owner') })
    await speaker.ok('room.join', {}, 'demo')
    speakers.push(speaker)
  }
  slow.stopReading()
  const text = '😀'.repeat(1_000)
  while (engine.edge.slow.counts.closed === 0) {
    await Promise.all(speakers.map((speaker) => speaker.ok('danmaku.send', { text }, 'demo')))
    sent += speakers.length
  }
  expect(engine.accounts.unconfirmedBytes).toBeGreaterThan(2_048)
  await viewer.roundTrip()
  expect(viewer.of('danmaku.sent')).toHaveLength(sent)
  const { imbalance, lost } = await account()
  expect(imbalance).toEqual({ high: 0, normal: 0, low: 0 })
  expect(lost).toEqual({ high: 0, normal: 0, low: 0 })
})
