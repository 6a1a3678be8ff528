/** The in-process bus and a real NATS server deliver the same subjects to the same subscriptions. */
import fc from 'fast-check'
import { connect, type NatsConnection } from 'nats'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LocalBus } from './bus.ts'
import { ManualClock, settle } from './clock.ts'
import { type NatsServer, startNatsServer } from './nats-server.ts'

let server: NatsServer
let nats: NatsConnection

beforeAll(async () => {
  server = await startNatsServer()
  nats = await connect({ servers: server.url })
})
afterAll(async () => {
  await nats?.close()
  await server?.stop()
})

const word = fc.constantFrom('lh', 'room', 'evt', 'demo', 'a', 'B', 'x-1', 'under_score', '$odd', '弹幕')
const subject = fc.array(word, { minLength: 1, maxLength: 5 }).map((tokens) => tokens.join('.'))
const pattern = fc
  .tuple(
    fc.array(fc.oneof({ weight: 2, arbitrary: word }, fc.constant('*')), { maxLength: 4 }),
    fc.oneof(word, fc.constantFrom('*', '>')),
  )
  .map(([tokens, last]) => [...tokens, last].join('.'))
const fixed = ['>', '*', '*.*', 'lh.>', 'lh.room.*.cmd', 'lh.room.demo.cmd', 'lh.evt.demo.>', 'lh.*.demo.*']
const generated = <T>(arbitrary: fc.Arbitrary<T>, numRuns: number) => fc.sample(arbitrary, { numRuns, seed: 20_251 })

describe('against nats-server', () => {
  test('the same subjects reach the same subscriptions', async () => {
    const patterns = [...fixed, ...generated(pattern, 300)]
    const subjects = ['lh.room.demo.cmd', 'lh.evt.demo.danmaku.sent', 'lh.evt.demo', ...generated(subject, 300)]
    const bus = new LocalBus(new ManualClock(), (error) => expect.unreachable(String(error)))
    const ours = patterns.map(() => [] as string[])
    const theirs = patterns.map(() => [] as string[])
    const stops = patterns.map((one, i) => bus.subscribe(one, (delivery) => ours[i]?.push(delivery.subject)))
    const remote = patterns.map((one, i) => nats.subscribe(one, { callback: (_, message) => theirs[i]?.push(message.subject) }))
    const publishAll = async () => {
      for (const one of subjects) {
        bus.publish(one, { head: 1 })
        nats.publish(one)
      }
      await settle()
      await nats.flush()
    }

    await publishAll()
    expect(ours).toEqual(theirs)
    const delivered = ours.flat().length
    expect(delivered).toBeGreaterThan(subjects.length)

    for (let i = 0; i < patterns.length; i += 2) {
      stops[i]?.()
      remote[i]?.unsubscribe()
    }
    await publishAll()
    expect(ours).toEqual(theirs)
    expect(ours.flat().length).toBeLessThan(2 * delivered)
    for (const one of remote) one.unsubscribe()
  })

  test('a request is answered, and given up at once when nobody listens', async () => {
    const bus = new LocalBus(new ManualClock(), (error) => expect.unreachable(String(error)))
    const ask = (subject: string) =>
      new Promise<unknown>((resolve) =>
        bus.request(subject, { head: 2 }, { timeoutMs: 1_000 }, (answer) => resolve(answer?.head)),
      )
    const askNats = (subject: string) =>
      nats.request(subject, '2', { timeout: 10_000 }).then(
        (message) => message.json(),
        (error: { code: string }) => error.code,
      )
    bus.subscribe('lh.room.*.cmd', ({ head, reply }) => reply?.({ head: (head as number) * 2 }))
    nats.subscribe('lh.room.*.cmd', { callback: (_, message) => message.respond(String(Number(message.string()) * 2)) })
    expect(await ask('lh.room.demo.cmd')).toBe(4)
    expect(await askNats('lh.room.demo.cmd')).toBe(4)
    expect(await ask('lh.room.demo.frames')).toBeUndefined()
    expect(await askNats('lh.room.demo.frames')).toBe('503')
  })

  test('what is on the way when a subscription ends is not delivered', async () => {
    const bus = new LocalBus(new ManualClock(), (error) => expect.unreachable(String(error)))
    const seen: string[] = []
    const stop = bus.subscribe('a.b', () => seen.push('ours'))
    const remote = nats.subscribe('a.b', { callback: () => seen.push('theirs') })
    bus.publish('a.b', { head: 1 })
    nats.publish('a.b')
    stop()
    remote.unsubscribe()
    await settle()
    await nats.flush()
    expect(seen).toEqual([])
  })
})
