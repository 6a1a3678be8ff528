import { Type } from '@sinclair/typebox'
import { expect, test } from 'vitest'
import { ManualClock, settle } from '../../base/clock.ts'
import { type AnyPlugin, definePlugin } from '../define.ts'
import { allow, deny } from '../hooks.ts'
import type { Channel, ChannelEvents } from './channel.ts'
import { checkItem, type FromPlugin, resultFailed, resultLate, type ToPlugin } from './protocol.ts'
import { Served } from './serve.ts'

/** The engine's side, in the hands of the test. */
class Wire implements Channel {
  readonly frames: FromPlugin[] = []
  readonly closed: string[] = []
  texts: string[] = []
  events: ChannelEvents | undefined
  open(events: ChannelEvents): void {
    this.events = events
  }
  send(text: string): boolean {
    this.texts.push(text)
    this.frames.push(...JSON.parse(text))
    return true
  }
  close(reason: string): void {
    this.closed.push(reason)
  }
  async say(...frames: ToPlugin[]): Promise<void> {
    this.events?.onText(JSON.stringify(frames))
    await settle()
  }
  of<K extends FromPlugin['k']>(k: K): Extract<FromPlugin, { k: K }>[] {
    return this.frames.filter((frame) => frame.k === k) as Extract<FromPlugin, { k: K }>[]
  }
}

const seen: string[] = []
async function serve(more: Partial<AnyPlugin> = {}, settings: unknown = {}) {
  seen.length = 0
  const [clock, wire] = [new ManualClock(0), new Wire()]
  const ended: string[] = []
  const plugin = definePlugin({
    name: 'words',
    version: '1.0.0',
    settings: Type.Object({ word: Type.String({ default: 'bad', pattern: '^[a-z]+$' }) }),
    start: () => void seen.push('start'),
    stop: () => void seen.push('stop'),
    ...more,
  })
  const served = new Served({ plugin, sdk: '0', channel: wire, clock, onEnd: (reason) => ended.push(reason) })
  served.open()
  await wire.say({ k: 'settings', version: 1, settings })
  return { clock, wire, served, ended }
}
const from = { userId: 'ann', name: 'Ann', anonymous: false, ranks: [] }
const check = (id: number, ...texts: string[]): ToPlugin => ({
  k: 'check',
  id,
  withinMs: 100,
  at: 0,
  items: texts.map((text) => checkItem(0, { room: 'demo', at: 0, from, d: { text } }, 0)),
})
const guarding = (run: (text: string) => unknown): Partial<AnyPlugin> => ({
  guards: { 'danmaku.send': { order: 1, budgetMs: 100, onFailure: 'open', run: ({ d }) => run(d.text) as typeof allow } },
})

test('a batch comes back whole: answers, failures, what cannot be sent, and what was not ready in time', async () => {
  const verdicts: Record<string, () => unknown> = {
    allow: () => allow,
    deny: () => deny('x.words.no'),
    throw: () => {
      throw new Error('told to')
    },
    reject: () => Promise.reject(new Error('told to')),
    slow: () => new Promise(() => {}),
    bigint: () => ({ kind: 'deny', code: 1n }),
    large: () => ({ kind: 'deny', code: 'x'.repeat(600_000) }),
  }
  const { clock, wire } = await serve(guarding((text) => verdicts[text]?.()))
  await wire.say(check(7, 'allow', 'throw', 'reject', 'bigint', 'large', 'deny', 'slow'))
  expect(wire.of('checked')).toEqual([])
  clock.advance(79)
  expect(wire.of('checked')).toEqual([])
  clock.advance(1)
  await settle()
  const results = [0, resultFailed, resultFailed, resultFailed, resultFailed, deny('x.words.no'), resultLate]
  expect(wire.of('checked')).toEqual([{ k: 'checked', id: 7, results }])
  await wire.say(check(8, 'allow'))
  expect(wire.of('checked').at(-1)).toEqual({ k: 'checked', id: 8, results: [0] })
})

test('settings: unfit ones leave the old, the first ones the defaults; asked again, it says again that it is ready', async () => {
  const { wire, served } = await serve({}, { word: '7' })
  expect(wire.of('unfit')).toMatchObject([{ settings: 1 }])
  expect(wire.of('ready')).toHaveLength(1)
  expect(seen).toEqual(['start'])
  await wire.say({ k: 'settings', version: 2, settings: { word: 'other' } })
  await wire.say({ k: 'settings', version: 1, settings: { word: 'older' } })
  await wire.say({ k: 'settings', version: 3, settings: { word: 3 } })
  await wire.say({ k: 'settings', version: 2, settings: { word: 'other' } })
  expect(wire.of('ready').map(({ settings }) => settings)).toEqual([0, 2, 2])
  expect(served.runner.manifest.name).toBe('words')
  expect(seen).toEqual(['start'])
})

test('leaves when the engine has said that nothing more is on its way, and stops once', async () => {
  const { clock, wire, served, ended } = await serve(guarding(() => new Promise(() => {})))
  await wire.say(check(1, 'a'))
  served.drain()
  served.drain()
  await settle()
  expect(wire.of('draining')).toHaveLength(1)
  // It was on its way already.
  await wire.say(check(2, 'b'), { k: 'drain' })
  clock.advance(80)
  await settle()
  expect(wire.frames.slice(-3).map(({ k }) => k)).toEqual(['checked', 'checked', 'bye'])
  expect([seen, ended]).toEqual([['start', 'stop'], ['drained']])
  const deaf = await serve()
  deaf.served.drain()
  deaf.clock.advance(2_000)
  await settle()
  expect(deaf.ended).toEqual(['drained'])
})

test('an engine that is gone: stopped, and calls fail', async () => {
  const { wire, ended } = await serve()
  wire.events?.onClose('gone')
  await settle()
  expect([seen, ended]).toEqual([['start', 'stop'], ['gone']])
})

test('one that does not start says so and is not stopped', async () => {
  const { wire, ended } = await serve({
    start: () => {
      throw new Error('sick')
    },
  })
  expect(wire.closed).toEqual(['start failed: sick'])
  expect(ended).toEqual(['start failed: sick'])
  expect([wire.of('ready'), seen]).toEqual([[], []])
})

test('log lines, numbers and calls that cannot be written break nothing; much that is said is cut into messages', async () => {
  const errors: unknown[] = []
  const { wire } = await serve({
    async start(ctx) {
      const circle: { self?: object } = {}
      circle.self = circle
      ctx.log.warn({ circle }, 'a circle')
      ctx.log.warn({ large: 'x'.repeat(600_000), err: new Error('e') }, 'large')
      ctx.metrics.add('n', 2n as unknown as number)
      for (let n = 0; n < 20; n++) ctx.log.info({ text: 'x'.repeat(100_000) }, `line ${n}`)
      for (const d of [{ n: 1n }, { text: 'x'.repeat(600_000) }])
        await ctx.room.broadcast('demo', 'x.words.said', d).catch((error: unknown) => errors.push(error))
    },
  })
  expect(wire.of('log').map(({ msg }) => msg)).toEqual(['a circle', 'large', ...[...Array(20).keys()].map((n) => `line ${n}`)])
  expect(wire.of('count')).toEqual([{ k: 'count', name: 'n', by: 2 }])
  expect(errors).toHaveLength(2)
  expect(Math.max(...wire.texts.map((text) => text.length))).toBeLessThan(530_000)
  expect(wire.of('ready')).toHaveLength(1)
})
