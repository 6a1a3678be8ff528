/** The link over a real nats-server: later than we, killed, frozen, started again. */
import { afterEach, describe, expect, test } from 'vitest'
import { SystemClock } from './clock.ts'
import { silentLog } from './log.ts'
import { connectNats, type NatsLink, safeNatsUrl } from './nats.ts'
import { type NatsServer, startNatsServer } from './nats-server.ts'

const clock = new SystemClock()
const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

async function serve(config = ''): Promise<NatsServer> {
  const server = await startNatsServer({ config })
  open.push({ close: () => server.stop() })
  return server
}
function link(url: string): NatsLink {
  const made = connectNats({ url, name: 'test', clock, log: silentLog })
  open.push(made)
  return made
}
const down = (one: NatsLink) =>
  new Promise<void>((resolve) => {
    const stop = one.watch((isUp) => {
      if (isUp) return
      stop()
      resolve()
    })
  })
const bytes = (text: string) => Buffer.from(text)
const ask = (from: NatsLink, subject: string, timeoutMs = 10_000) =>
  new Promise<string | undefined>((resolve) =>
    from.request(subject, bytes('?'), timeoutMs, (answer) => resolve(answer && Buffer.from(answer).toString())),
  )

describe('a link', () => {
  test('may be there before its server, and keeps what was subscribed', async () => {
    const server = await serve()
    await server.kill()
    const [a, b] = [link(server.url), link(server.url)]
    const seen = new Promise((resolve) => a.subscribe('x.*', (data, subject) => resolve([subject, Buffer.from(data).toString()])))
    expect(a.isUp).toBe(false)
    expect(b.publish('x.y', bytes('lost'))).toBe(false)
    expect(await b.flush()).toBe(false)
    await server.restart()
    await Promise.all([a.whenUp(), b.whenUp()])
    await a.flush()
    expect(b.publish('x.y', bytes('first'))).toBe(true)
    expect(await seen).toEqual(['x.y', 'first'])
    expect(b.counts).toEqual({ cuts: 0, refused: 1, failed: 0 })
  })

  test('says at once that the server was killed, fails what waits, and comes back', async () => {
    const server = await serve()
    const [a, b] = [link(server.url), link(server.url)]
    await Promise.all([a.whenUp(), b.whenUp()])
    let heard: (text: string) => void = () => {}
    a.subscribe('x', (data, _, reply) => (reply ? undefined : heard(Buffer.from(data).toString())))
    await a.flush()
    const startAt = clock.now()
    const waiting = ask(b, 'x', 60_000)
    await b.flush()
    const cuts = Promise.all([down(a), down(b)])
    await server.kill()
    await cuts
    expect(await waiting).toBeUndefined()
    expect(clock.now() - startAt).toBeLessThan(30_000)
    expect(b.publish('x', bytes('no'))).toBe(false)
    expect(await ask(b, 'x')).toBeUndefined()
    await server.restart()
    await Promise.all([a.whenUp(), b.whenUp()])
    await a.flush()
    const again = new Promise((resolve) => (heard = resolve))
    expect(b.publish('x', bytes('again'))).toBe(true)
    expect(await again).toBe('again')
    expect(b.counts.cuts).toBe(1)
  })

  test('asks, is answered, and is told when nobody listens, answers or answers well', async () => {
    const server = await serve()
    const [a, b] = [link(server.url), link(server.url)]
    await Promise.all([a.whenUp(), b.whenUp()])
    a.subscribe('double', (data, _, reply) => {
      for (const text of ['no', 'no', 'yes', 'late']) a.publish(reply as string, bytes(text + data.length))
    })
    a.subscribe('mute', () => {})
    await a.flush()
    const answers: (string | undefined)[] = []
    const last = new Promise<void>((resolve) =>
      b.request('double', bytes('abc'), 10_000, (answer) => {
        answers.push(Buffer.from(answer ?? []).toString())
        if (answers.at(-1)?.startsWith('no')) return 'wait'
        return resolve()
      }),
    )
    await last
    expect(await ask(b, 'nobody')).toBeUndefined()
    expect(answers).toEqual(['no3', 'no3', 'yes3'])
    expect(await ask(b, 'mute', 50)).toBeUndefined()
  })

  test('does not hear itself, nor anything after a stop, and survives a handler that throws', async () => {
    const server = await serve()
    const [a, b] = [link(server.url), link(server.url)]
    await Promise.all([a.whenUp(), b.whenUp()])
    const seen: string[] = []
    const note = (data: Uint8Array) => seen.push(Buffer.from(data).toString())
    a.subscribe('x', note)
    a.subscribe('x', () => {
      throw new Error('bad handler')
    })
    const stop = a.subscribe('x', note)
    await a.flush()
    a.publish('x', bytes('own'))
    b.publish('x', bytes('one'))
    await b.flush()
    await a.flush()
    stop()
    b.publish('x', bytes('two'))
    await b.flush()
    await a.flush()
    expect(seen).toEqual(['one', 'one', 'two'])
    expect(a.counts.failed).toBe(2)
  })

  test('refuses what is larger than the server takes', async () => {
    const server = await serve('max_payload: 4096')
    const a = link(server.url)
    await a.whenUp()
    expect(a.maxPayload).toBe(4_096)
    expect(a.publish('x', Buffer.alloc(4_096))).toBe(true)
    expect(a.publish('x', Buffer.alloc(4_097))).toBe(false)
    expect(a.publish('x', Buffer.alloc(4_090), { messageId: 'id' })).toBe(false)
    expect(await a.flush()).toBe(true)
  })

  test('does not fill the memory in front of a frozen server', async () => {
    const server = await serve()
    const a = link(server.url)
    await a.whenUp()
    server.freeze()
    const block = Buffer.alloc(262_144)
    let sent = 0
    while (sent < 1_000 && a.publish('x', block)) sent++
    expect(sent).toBeLessThan(200)
    expect(a.isUp).toBe(true)
    server.thaw()
    expect(await a.flush()).toBe(true)
    expect(a.publish('x', block)).toBe(true)
  })

  test('takes names and passwords out of the address, and shows none', async () => {
    const server = await serve('authorization { user: anna, password: "s:p@ss" }')
    const address = server.url.replace('//', '//anna:s%3Ap%40ss@')
    const [good, bad] = [link(address), link(server.url)]
    await good.whenUp()
    expect(await good.flush()).toBe(true)
    expect(bad.isUp).toBe(false)
    expect(safeNatsUrl(`${address},nats://token@b:1`)).toBe(`${server.url},nats://b:1`)
  })
})
