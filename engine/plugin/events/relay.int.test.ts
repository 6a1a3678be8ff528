/** The relay over a real nats-server with JetStream, from a real core.db. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type NatsConnection } from 'nats'
import { afterEach, describe, expect, test } from 'vitest'
import { ManualClock, SystemClock } from '../../base/clock.ts'
import { silentLog } from '../../base/log.ts'
import { connectNats, type NatsLink } from '../../base/nats.ts'
import { type NatsServer, type NatsServerOptions, startNatsServer } from '../../base/nats-server.ts'
import { openStoreInline, type Store } from '../../room/store.ts'
import { LogRelay, relayCursorKey } from './relay.ts'

const clock = new SystemClock()
const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

interface Bench {
  server: NatsServer
  link: NatsLink
  store: Store
  relay: LogRelay
}
async function bench(
  options: NatsServerOptions = { jetStream: true },
  relayClock: SystemClock | ManualClock = clock,
): Promise<Bench> {
  const dir = await mkdtemp(join(tmpdir(), 'livehouse-relay-'))
  open.push(() => rm(dir, { recursive: true, force: true }))
  const server = await startNatsServer(options)
  open.push(() => server.stop())
  const store = openStoreInline({ file: join(dir, 'core.db'), roomsMax: 10 })
  open.push(() => store.close())
  const link = connectNats({ url: server.url, name: 'relay', clock, log: silentLog })
  open.push(() => link.close())
  const relay = new LogRelay({ link, store, clock: relayClock, log: silentLog, daysMax: 7 })
  open.push(() => relay.close())
  return { server, link, store, relay }
}

let lastEid = 0
/** Rows with eids of their own; answers these. */
function write(
  store: Store,
  count: number,
  { room = 'demo', t = 'room.user_muted', d = { text: '弹幕' } as unknown } = {},
): string[] {
  const rows = Array.from({ length: count }, () => {
    const n = ++lastEid
    return { eid: `e${String(n).padStart(8, '0')}`, t, at: 1_000 + n, actor: 'u1', d, hops: n % 3, epoch: 4, seq: n }
  })
  store.appendLog(room, rows)
  return rows.map(({ eid }) => eid)
}

/** Looks until it is so; the reason to wait is another process, which tells nobody when it is done. */
const until = (what: () => boolean): Promise<void> =>
  new Promise((resolve) => {
    const look = () => (what() ? resolve() : void setTimeout(look, 10))
    look()
  })
const relayed = ({ store, relay }: Bench) =>
  until(() => relay.stats().state === 'running' && relay.stats().lag === 0 && store.stats().queued === 0)

async function natsOf({ server }: Bench): Promise<NatsConnection> {
  const nats = await connect({ servers: server.url })
  open.push(() => nats.close())
  return nats
}

interface Stored {
  subject: string
  body: { eid: string } & Record<string, unknown>
}
/** All that the stream holds, read with the client of the package. */
async function streamOf(from: Bench): Promise<Stored[]> {
  const nats = await natsOf(from)
  const { state } = await (await nats.jetstreamManager()).streams.info('LH_EVENTS')
  const stored: Stored[] = []
  if (state.messages === 0) return stored
  const consumer = await nats.jetstream().consumers.get('LH_EVENTS')
  for await (const message of await consumer.consume()) {
    stored.push({ subject: message.subject, body: message.json() })
    if (message.info.pending === 0) break
  }
  return stored
}
const eidsOf = (stored: readonly Stored[]) => stored.map(({ body }) => body.eid)

describe('the relay', () => {
  test('makes the stream, fills it from the log, follows the log, and keeps its place', async () => {
    const all = await bench()
    const { store, relay, link } = all
    const eids = write(store, 1_500)
    relay.start()
    await until(() => relay.stats().pos === 1_500)
    eids.push(...write(store, 2, { room: '', t: 'plugin.attached', d: null }))
    await until(() => relay.stats().pos === 1_502)
    const stored = await streamOf(all)
    expect(eidsOf(stored)).toEqual(eids)
    const seq = Number(eids[0]?.slice(1))
    expect(stored[0]).toEqual({
      subject: 'lh.evt.demo.room.user_muted',
      body: {
        eid: eids[0],
        t: 'room.user_muted',
        room: 'demo',
        seq,
        epoch: 4,
        at: 1_000 + seq,
        actor: 'u1',
        hops: seq % 3,
        d: { text: '弹幕' },
        v: 1,
      },
    })
    expect(stored.at(-1)).toMatchObject({ subject: 'lh.evt._engine.plugin.attached', body: { room: null, d: null } })
    expect(relay.stats()).toEqual({
      state: 'running',
      trouble: '',
      pos: 1_502,
      lag: 0,
      inFlight: 0,
      published: 1_502,
      duplicates: 0,
      failures: 0,
      skipped: 0,
    })
    const { config } = await (await (await natsOf(all)).jetstreamManager()).streams.info('LH_EVENTS')
    expect(config).toMatchObject({ subjects: ['lh.evt.>'], storage: 'file', max_age: 7 * 86_400e9, duplicate_window: 120e9 })
    await relay.close()
    expect(await store.getCursor(relayCursorKey)).toEqual({ pos: 1_502, acked: [] })

    eids.push(...write(store, 3))
    const next = new LogRelay({ link, store, clock, log: silentLog, daysMax: 7 })
    open.push(() => next.close())
    next.start()
    await until(() => next.stats().pos === 1_505)
    expect(next.stats()).toMatchObject({ published: 3, duplicates: 0 })
    expect(eidsOf(await streamOf(all))).toEqual(eids)
  })

  test('with its server killed under load: every row is in the stream once', async () => {
    const all = await bench()
    const { server, store, relay } = all
    relay.start()
    const eids: string[] = []
    for (let round = 0; round < 3; round++) {
      const { published } = relay.stats()
      for (let i = 0; i < 10; i++) eids.push(...write(store, 500))
      await until(() => relay.stats().published > published)
      await server.kill()
      await until(() => relay.stats().state === 'waiting')
      eids.push(...write(store, 500))
      await server.restart()
    }
    await relayed(all)
    await until(() => relay.stats().pos === eids.length)
    const stored = eidsOf(await streamOf(all))
    expect(stored.length).toBe(eids.length)
    expect([...stored].sort()).toEqual(eids)
    const { published, duplicates } = relay.stats()
    // What an acknowledgement was lost for came again, and the server said so.
    expect(published - duplicates).toBeLessThanOrEqual(eids.length)
    expect(published).toBeGreaterThanOrEqual(eids.length - 3 * 1_024)
  })

  test('rewound: the same rows again, which the server has already', async () => {
    const all = await bench()
    const { store, relay } = all
    const eids = write(store, 2_000)
    relay.start()
    await until(() => relay.stats().pos === 2_000)
    await relay.rewind(500)
    await until(() => relay.stats().published === 3_500)
    expect(relay.stats()).toMatchObject({ pos: 2_000, duplicates: 1_500, failures: 0 })
    expect(eidsOf(await streamOf(all))).toEqual(eids)
  })

  test('makes the stream again when somebody deletes it; a rewind fills it', async () => {
    const all = await bench()
    const { store, relay } = all
    const eids = write(store, 100)
    relay.start()
    await until(() => relay.stats().pos === 100)
    const manager = await (await natsOf(all)).jetstreamManager()
    await manager.streams.delete('LH_EVENTS')
    eids.push(...write(store, 10))
    await until(() => relay.stats().pos === 110)
    expect(relay.stats()).toMatchObject({ failures: 1, state: 'running', trouble: '' })
    expect(eidsOf(await streamOf(all))).toEqual(eids.slice(100))
    await manager.streams.delete('LH_EVENTS')
    await relay.rewind(0)
    await until(() => relay.stats().published === 220)
    expect(eidsOf(await streamOf(all))).toEqual(eids)
  })

  test('passes over what no server would take, and says so', async () => {
    const all = await bench({ jetStream: true, config: 'max_payload: 4096' })
    const { store, relay } = all
    const first = write(store, 2)
    write(store, 1, { d: 'x'.repeat(5_000) })
    const last = write(store, 2)
    relay.start()
    await until(() => relay.stats().pos === 5)
    expect(relay.stats()).toMatchObject({ skipped: 1, published: 4, failures: 0 })
    expect(eidsOf(await streamOf(all))).toEqual([...first, ...last])
  })

  test('counts rows that were pruned before it came to them', async () => {
    const all = await bench()
    const { store, relay } = all
    const eids = write(store, 10)
    relay.start()
    await until(() => relay.stats().pos === 10)
    await relay.close()
    write(store, 5)
    await store.pruneLog(Number.MAX_SAFE_INTEGER)
    eids.push(...write(store, 2))
    relay.start()
    await until(() => relay.stats().pos === 17)
    expect(relay.stats()).toMatchObject({ skipped: 5, lag: 0, published: 12 })
    expect(eidsOf(await streamOf(all))).toEqual(eids)
    await store.pruneLog(Number.MAX_SAFE_INTEGER)
    await relay.rewind(0)
    await until(() => relay.stats().state === 'running')
    expect(relay.stats()).toMatchObject({ lag: 0, published: 12 })
  })

  test('without JetStream says what is wrong, waits longer each time, and harms nobody', async () => {
    const manual = new ManualClock()
    const all = await bench({ jetStream: false }, manual)
    const { store, relay, link } = all
    write(store, 10)
    relay.start()
    for (const [failures, pauseMs] of [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000].entries()) {
      await until(() => relay.stats().failures === failures + 1)
      expect(relay.stats()).toMatchObject({ state: 'pausing', pos: 0, published: 0 })
      expect(relay.stats().trouble).toContain('is it switched on')
      manual.advance(pauseMs - 1)
      expect(relay.stats().state).toBe('pausing')
      manual.advance(1)
    }
    expect(link.isUp).toBe(true)
    expect(await link.flush()).toBe(true)
    expect((await store.readLog({ afterPos: 0, limit: 100 })).length).toBe(10)
  })

  test('takes an error for a failure, and goes on from its cursor when the reason is gone', async () => {
    const all = await bench()
    const { store, relay } = all
    const manager = await (await natsOf(all)).jetstreamManager()
    const config = { name: 'LH_EVENTS', subjects: ['lh.evt.>'], discard: 'new', max_msgs: 50, duplicate_window: 120e9 }
    await manager.streams.add(config as Parameters<typeof manager.streams.add>[0])
    const eids = write(store, 100)
    relay.start()
    await until(() => relay.stats().failures >= 2)
    expect(relay.stats()).toMatchObject({ pos: 50, lag: 50 })
    expect(relay.stats().trouble).toContain('maximum messages exceeded')
    await manager.streams.update('LH_EVENTS', { max_msgs: 1_000 })
    await until(() => relay.stats().pos === 100)
    expect([...eidsOf(await streamOf(all))].sort()).toEqual(eids)
    expect(relay.stats()).toMatchObject({ trouble: '', state: 'running' })
  })

  test('does not take silence for an acknowledgement', async () => {
    const manual = new ManualClock()
    const all = await bench({ jetStream: true }, manual)
    const { server, store, relay } = all
    const eids = write(store, 10)
    relay.start()
    await until(() => relay.stats().pos === 10)
    server.freeze()
    eids.push(...write(store, 10))
    await until(() => relay.stats().inFlight === 10)
    manual.advance(4_900)
    expect(relay.stats()).toMatchObject({ state: 'running', pos: 10, lag: 10 })
    manual.advance(100)
    expect(relay.stats()).toMatchObject({ state: 'pausing', pos: 10, trouble: 'JetStream does not acknowledge' })
    server.thaw()
    manual.advance(100)
    await until(() => relay.stats().pos === 20)
    expect(relay.stats().duplicates).toBe(10)
    expect(eidsOf(await streamOf(all))).toEqual(eids)
  })

  test('believes acknowledgements of this run and of rows on the way, and moves over no gap', async () => {
    const manual = new ManualClock()
    const all = await bench({ jetStream: true }, manual)
    const { store, relay, link } = all
    const nats = await natsOf(all)
    const replies: string[] = []
    nats.subscribe('lh.evt.>', { callback: (_, { reply = '' }) => replies.push(reply) })
    const config = { name: 'LH_EVENTS', subjects: ['lh.evt.>'], no_ack: true } // so that ours are the only ones
    await (await nats.jetstreamManager()).streams.add(config)
    write(store, 3)
    relay.start()
    await until(() => replies.length === 3)
    const [first, second, third] = replies as [string, string, string]
    const inbox = first.split('.').slice(0, -2).join('.')
    const answer = async (reply: string, body: string) => {
      nats.publish(reply, body)
      await nats.flush()
      await link.flush()
    }
    const good = '{"stream":"LH_EVENTS","seq":9}'
    for (const other of ['0.0', '99.0', '-1.x', 'a.b', `${first.split('.').at(-2)}.3`, `${first.split('.').at(-2)}.-1`])
      for (const body of [good, '{"error":{"code":500,"description":"no"}}']) await answer(`${inbox}.${other}`, body)
    expect(relay.stats()).toMatchObject({ pos: 0, published: 0, inFlight: 3, failures: 0 })
    await answer(second, good)
    expect(relay.stats()).toMatchObject({ pos: 0, published: 1, inFlight: 3 })
    await answer(first, good)
    await answer(first, good)
    expect(relay.stats()).toMatchObject({ pos: 2, published: 2, inFlight: 1, failures: 0 })
    await answer(third, 'rubbish')
    expect(relay.stats()).toMatchObject({ pos: 2, state: 'pausing', failures: 1, inFlight: 0 })
    await answer(third, good)
    expect(relay.stats()).toMatchObject({ pos: 2, published: 2 })
    await relay.close()
    expect(await store.getCursor(relayCursorKey)).toEqual({ pos: 2, acked: [] })
  })
})
