import { expect, test } from 'vitest'
import { ManualClock, settle } from '../../base/clock.ts'
import { CallError } from '../context.ts'
import type { Channel, ChannelEvents } from './channel.ts'
import { type Batching, Link, newLinkCounts } from './link.ts'
import { type FromPlugin, resultFailed, resultLate, type ToPlugin } from './protocol.ts'

/** The plugin's side, in the hands of the test: what was sent to it, and what it says. */
class Wire implements Channel {
  readonly frames: ToPlugin[] = []
  readonly closed: string[] = []
  texts = 0
  isUp = true
  events: ChannelEvents | undefined
  open(events: ChannelEvents): void {
    this.events = events
  }
  send(text: string): boolean {
    if (!this.isUp) return false
    this.texts++
    this.frames.push(...JSON.parse(text))
    return true
  }
  close(reason: string): void {
    this.closed.push(reason)
  }
  say(...frames: FromPlugin[]): void {
    this.events?.onText(JSON.stringify(frames))
  }
  take<K extends ToPlugin['k']>(k: K): Extract<ToPlugin, { k: K }>[] {
    const found = this.frames.filter((frame) => frame.k === k)
    for (const frame of found) this.frames.splice(this.frames.indexOf(frame), 1)
    return found as Extract<ToPlugin, { k: K }>[]
  }
}

const ask = { room: 'demo', at: 0, from: { userId: 'ann', name: 'Ann', anonymous: false, ranks: [] }, d: {} }

/** Without a pause between batches, unless the test is about that. */
const noPause: Batching = { itemsMax: 64, inFlightMax: 2, gatherMs: 0 }

function setup({ isReady = true, batching = noPause as Batching | undefined } = {}) {
  const [clock, liveClock, wire, counts] = [new ManualClock(0), new ManualClock(0), new Wire(), newLinkCounts()]
  const told: string[] = []
  const causes: unknown[] = []
  const link = new Link({
    instance: 'i1',
    channel: wire,
    clock,
    liveClock,
    counts,
    ...(batching ? { batching } : {}),
    async onCall(name, d, cause) {
      causes.push(cause)
      if (name === 'sick') throw new CallError('call.undeclared', 'no')
      return d
    },
    onReady: () => told.push('ready'),
    onUnfit: (version, msg) => told.push(`unfit ${version} ${msg}`),
    onDraining: () => told.push('draining'),
    onDegraded: (isOpen) => told.push(isOpen ? 'degraded' : 'recovered'),
    onLog: (level, _, msg) => told.push(`${level} ${msg}`),
    onCount: (name, by) => told.push(`${name} ${by}`),
    onGone: (reason) => told.push(`gone: ${reason}`),
  })
  link.configure(1, {})
  if (isReady) wire.say({ k: 'ready', settings: 1 })
  /** As text, so that a test reads the outcome like a sentence. */
  const check = (budgetMs = 50) =>
    link.check(0, ask, budgetMs).then(
      (result) => JSON.stringify(result),
      (failure) => failure.reason as string,
    )
  return { clock, liveClock, wire, counts, told, causes, link, check }
}

test('two batches at once, the rest with the next answer, at most 64 in one', async () => {
  const { wire, check, counts } = setup()
  const first = check()
  await settle()
  const second = check()
  await settle()
  const more = [...Array(70).keys()].map(() => check())
  await settle()
  const [a, b] = wire.take('check')
  expect([a?.items.length, b?.items.length, wire.take('check').length]).toEqual([1, 1, 0])
  wire.say({ k: 'checked', id: a?.id ?? 0, results: [0] })
  await settle()
  const [c] = wire.take('check')
  expect(c?.items).toHaveLength(64)
  wire.say({ k: 'checked', id: b?.id ?? 0, results: [{ kind: 'shadow' }] })
  await settle()
  const [d] = wire.take('check')
  expect(d?.items).toHaveLength(6)
  for (const batch of [c, d]) wire.say({ k: 'checked', id: batch?.id ?? 0, results: batch?.items.map(() => 0) ?? [] })
  expect(await first).toBe('0')
  expect(await second).toBe('{"kind":"shadow"}')
  expect(new Set(await Promise.all(more))).toEqual(new Set(['0']))
  expect(counts).toMatchObject({ batches: 4, items: 72, late: 0, rubbish: 0 })
})

test('the first after a pause at once, what follows within 3 ms together, and no longer than 256', async () => {
  const { wire, check, liveClock, counts } = setup({ batching: { itemsMax: 256, inFlightMax: 2, gatherMs: 3 } })
  const sizes = async () => {
    await settle()
    const batches = wire.take('check')
    for (const { id, items } of batches) wire.say({ k: 'checked', id, results: items.map(() => 0) })
    return batches.map(({ items }) => items.length)
  }
  const all = [check()]
  expect(await sizes()).toEqual([1])
  all.push(check(), check())
  expect(await sizes()).toEqual([])
  liveClock.advance(3)
  expect(await sizes()).toEqual([2])
  all.push(...[...Array(256).keys()].map(() => check()))
  expect(await sizes()).toEqual([256])
  liveClock.advance(3)
  all.push(check())
  expect(await sizes()).toEqual([1])
  expect(new Set(await Promise.all(all))).toEqual(new Set(['0']))
  expect(counts).toMatchObject({ batches: 4, items: 260 })
})

test('each within its own budget, sent or waiting; answers after that are dropped and counted', async () => {
  const { clock, wire, check, counts } = setup()
  const short = check(10)
  await settle()
  const long = check(100)
  await settle()
  const waiting = check(20)
  clock.advance(10)
  expect(await short).toBe('late')
  clock.advance(10)
  expect(await waiting).toBe('late')
  const [a, b] = wire.take('check')
  expect([a?.withinMs, b?.withinMs]).toEqual([10, 100])
  wire.say({ k: 'checked', id: a?.id ?? 0, results: [0] }, { k: 'checked', id: b?.id ?? 0, results: [0] })
  expect(await long).toBe('0')
  expect(counts.late).toBe(1)
})

test('what is not ready, failed, too few or too many', async () => {
  const { wire, check, counts } = setup()
  const answer = async (results: unknown) => {
    const checks = [check(), check()]
    await settle()
    // Both are batches of one.
    for (const { id } of wire.take('check')) wire.say({ k: 'checked', id, results: results as unknown[] })
    return Promise.all(checks)
  }
  expect(await answer([resultLate])).toEqual(['late', 'late'])
  expect(await answer([resultFailed])).toEqual(['failed', 'failed'])
  expect(await answer([])).toEqual(['failed', 'failed'])
  expect(await answer([0, 0])).toEqual(['failed', 'failed'])
  expect(await answer('0')).toEqual(['failed', 'failed'])
  expect(counts.rubbish).toBe(6)
})

test('a cut line fails all that waits at once, and the trial of its breaker with it', async () => {
  const { clock, wire, check, link, told } = setup()
  for (let n = 0; n < 3; n++) {
    const late = check()
    clock.advance(50)
    expect(await late).toBe('late')
  }
  expect(told).toContain('degraded')
  expect(await check()).toBe('unavailable')
  clock.advance(1_000)
  const trial = check()
  const run = link.run(0, {}, 1_000)
  run.catch(() => {})
  wire.events?.onCut(true)
  expect(await trial).toBe('unavailable')
  await expect(run).rejects.toMatchObject({ code: 'plugin.lost' })
  expect(await check()).toBe('unavailable')
  await settle()
  wire.take('check')
  wire.take('settings')
  wire.events?.onCut(false)
  const next = check()
  await settle()
  // The newest settings may have been lost.
  expect(wire.take('settings')).toMatchObject([{ version: 1 }])
  for (const { id } of wire.take('check')) wire.say({ k: 'checked', id, results: [0] })
  expect(await next).toBe('0')
  expect(told.at(-1)).toBe('recovered')
})

test('silent for a second: not asked; a lost ping is not the end', async () => {
  const { liveClock, wire, check, link } = setup()
  liveClock.advance(250)
  await settle()
  expect(wire.take('ping')).toHaveLength(1)
  liveClock.advance(1_000)
  await settle()
  expect(link.usable).toBe(false)
  expect(await check()).toBe('unavailable')
  expect(wire.take('ping').length).toBeGreaterThan(1)
  wire.say({ k: 'pong', id: 0 })
  expect(link.usable).toBe(true)
})

test('never ready, or a flood: the line is closed', async () => {
  const slow = setup({ isReady: false })
  slow.liveClock.advance(29_999)
  expect(slow.told).toEqual([])
  slow.liveClock.advance(1)
  expect(slow.told).toEqual(['gone: not ready within 30000 ms'])
  const loud = setup()
  for (let n = 0; n < 19_999; n++) loud.wire.say()
  expect(loud.link.isGone).toBe(false)
  loud.liveClock.advance(1_000)
  for (let n = 0; n < 20_001; n++) loud.wire.say()
  expect(loud.wire.closed).toEqual(['it floods the engine'])
  const large = setup()
  for (let n = 0; n < 65; n++) large.wire.events?.onText(' '.repeat(1_048_576))
  expect(large.told.at(-1)).toBe('gone: it floods the engine')
})

test('what comes after a goodbye is not heard', async () => {
  const { wire, told, causes } = setup()
  wire.say({ k: 'bye' }, { k: 'call', id: 1, name: 'x', d: {} }, { k: 'count', name: 'n', by: 1 })
  wire.say({ k: 'call', id: 2, name: 'x', d: {} })
  expect(causes).toEqual([])
  expect(told).toEqual(['ready', 'gone: left'])
})

test('drained when the last answer is there, of checks too', async () => {
  const { wire, check, link, told } = setup()
  const last = check()
  await settle()
  wire.say({ k: 'draining' })
  expect(told.at(-1)).toBe('draining')
  expect(await check()).toBe('unavailable')
  expect(wire.take('drain')).toEqual([])
  for (const { id } of wire.take('check')) wire.say({ k: 'checked', id, results: [0] })
  expect(await last).toBe('0')
  await settle()
  expect(wire.take('drain')).toHaveLength(1)
  const late = setup()
  const never = late.check(50)
  const drained = late.link.drain(10_000)
  late.clock.advance(50)
  expect(await never).toBe('late')
  await drained
  expect(link.isGone).toBe(false)
})

test('calls: refused beyond 256 under way, and known by the run they come from, also when it is over', async () => {
  const { clock, wire, causes, link } = setup()
  for (let id = 0; id < 300; id++) wire.say({ k: 'call', id, name: 'x', d: id })
  await settle()
  const answers = wire.take('answer')
  expect(answers.filter(({ result }) => !result.ok)).toHaveLength(44)
  const event = { hops: 3 }
  const run = link.run(1, event, 100)
  await settle()
  const [{ id = 0 } = {}] = wire.take('run')
  causes.length = 0
  wire.say({ k: 'call', id: 1, name: 'x', d: 1, cause: id })
  clock.advance(100)
  await expect(run).rejects.toMatchObject({ code: 'plugin.late' })
  wire.say({ k: 'call', id: 2, name: 'x', d: 1, cause: id }, { k: 'call', id: 3, name: 'sick', d: 1, cause: id + 1 })
  await settle()
  expect(causes).toEqual([event, { hops: 3 }, undefined])
  expect(wire.take('answer').at(-1)).toMatchObject({ id: 3, result: { ok: false, code: 'call.undeclared' } })
})

test('rubbish of every kind', async () => {
  const { wire, counts, told } = setup()
  const rubbish = ['', '{}', '[1]', '[null]', '[{"k":1}]', '[{"k":"what"}]', '[{"k":"call"}]', '[{"k":"call","id":1,"name":7}]']
  for (const text of rubbish) wire.events?.onText(text)
  expect(counts.rubbish).toBe(rubbish.length)
  wire.events?.onText('[{"k":"answer"},{"k":"checked"},{"k":"log"},{"k":"unfit"},{"k":"count"},{"k":"ready"}]')
  expect(counts.late).toBe(2)
  expect(told).toEqual(['ready', 'info ', 'unfit 0 ', ' 0'])
})
