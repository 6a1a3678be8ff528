/** Attachments over a real nats-server: the handshake, the channel, servers that die, and strangers on the bus. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { subjects } from '../../../schemas/subjects.ts'
import { ManualClock } from '../../base/clock.ts'
import { silentLog } from '../../base/log.ts'
import { connectNats, type NatsLink } from '../../base/nats.ts'
import { type NatsServer, startNatsServer } from '../../base/nats-server.ts'
import type { Channel } from '../places/channel.ts'
import {
  type AttachVerdict,
  listenForPlugins,
  type RemoteInstance,
  type RemoteOptions,
  type RemotePlugins,
  toBytes,
} from './remote.ts'
import { type Attachment, attachToEngines, type RemoteClient, type RemoteClientOptions } from './remote-client.ts'
import { newNonce, pluginKey, pluginToken, proofOf, Sealer, sessionKey } from './sealed.ts'

const secret = 'a secret of the engine'
const open: { close(): unknown }[] = []
let server: NatsServer

beforeEach(async () => {
  await serve()
})
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

async function serve(config = ''): Promise<void> {
  const started = await startNatsServer({ config })
  server = started
  open.push({ close: () => started.stop() })
}

/** What happens, in order, for whoever waits for it. */
class Queue<T> {
  #here: T[] = []
  #waiting: ((value: T) => void)[] = []

  add(value: T): void {
    const next = this.#waiting.shift()
    if (next) next(value)
    else this.#here.push(value)
  }
  next(): Promise<T> {
    const value = this.#here.shift()
    return value === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(value)
  }
  get rest(): readonly T[] {
    return this.#here
  }
}

async function linkUp(clock = new ManualClock()): Promise<NatsLink> {
  const link = connectNats({ url: server.url, name: 'test', clock, log: silentLog })
  open.push(link)
  await link.whenUp()
  return link
}

interface Engine {
  remote: RemotePlugins
  link: NatsLink
  clock: ManualClock
  instances: Queue<RemoteInstance>
}
async function engine(more: Partial<RemoteOptions> = {}): Promise<Engine> {
  const clock = new ManualClock()
  const link = await linkUp(clock)
  const instances = new Queue<RemoteInstance>()
  const onAttach = (instance: RemoteInstance): AttachVerdict => {
    instances.add(instance)
    return { ok: true }
  }
  const remote = listenForPlugins({ link, clock, log: silentLog, engineId: 'e1', secret, onAttach, ...more })
  open.push({ close: () => remote.close('the test ends') })
  await link.flush()
  return { remote, link, clock, instances }
}

interface Plugin {
  client: RemoteClient
  link: NatsLink
  clock: ManualClock
  attached: Queue<Attachment>
  refused: Queue<{ engine: string; code: string; msg: string }>
}
async function plugin(name = 'words', more: Partial<RemoteClientOptions> = {}): Promise<Plugin> {
  const clock = new ManualClock()
  const link = await linkUp(clock)
  const attached = new Queue<Attachment>()
  const refused = new Queue<{ engine: string; code: string; msg: string }>()
  const client = attachToEngines({
    link,
    clock,
    log: silentLog,
    token: pluginToken(secret, name),
    manifestText: JSON.stringify({ name }),
    sdk: '0.0.1',
    onAttached: (attachment) => attached.add(attachment),
    onRefused: (refusal) => refused.add(refusal),
    ...more,
  })
  open.push({ close: () => client.close('the test ends') })
  return { client, link, clock, attached, refused }
}

interface End {
  texts: Queue<string>
  closed: Queue<string>
  cuts: Queue<boolean>
  channel: Channel & { silentMs(): number }
}
function listen(channel: End['channel']): End {
  const end: End = { texts: new Queue(), closed: new Queue(), cuts: new Queue(), channel }
  channel.open({
    onText: (text) => end.texts.add(text),
    onClose: (reason) => end.closed.add(reason),
    onCut: (isCut) => end.cuts.add(isCut),
  })
  return end
}

/** An engine and a plugin that have said something to each other. */
async function attachedPair() {
  const [e, p] = [await engine(), await plugin()]
  const [instance, attachment] = [await e.instances.next(), await p.attached.next()]
  const [atEngine, atPlugin] = [listen(instance.channel), listen(attachment.channel)]
  await talk(atEngine, atPlugin)
  return { e, p, instance, attachment, atEngine, atPlugin }
}
async function talk(atEngine: End, atPlugin: End): Promise<void> {
  const word = newNonce()
  expect(atEngine.channel.send(`down ${word}`)).toBe(true)
  expect(atPlugin.channel.send(`up ${word}`)).toBe(true)
  expect(await atPlugin.texts.next()).toBe(`down ${word}`)
  expect(await atEngine.texts.next()).toBe(`up ${word}`)
}

/** All that these links have published has been handled by all of them. */
async function settleLinks(...links: NatsLink[]): Promise<void> {
  for (let round = 0; round < 3; round++) for (const link of links) await link.flush()
}

describe('attaching', () => {
  test('proves both sides, hands over the manifest and opens a channel', async () => {
    const { e, p, instance, attachment } = await attachedPair()
    expect(instance).toMatchObject({ name: 'words', manifestText: '{"name":"words"}', protocol: 1, sdk: '0.0.1' })
    expect(attachment).toMatchObject({ engine: 'e1', protocol: 1, instance: instance.instance })
    expect([e.remote.size, p.client.size]).toEqual([1, 1])
    const none = { refused: 0, forged: 0, replayed: 0, lost: 0, oversized: 0, ignored: 0 }
    expect(e.remote.counts).toEqual({ attached: 1, ...none })
    expect(p.client.counts).toEqual({ attached: 1, ...none })
  })

  test('whichever side comes first, before its server or after', async () => {
    await server.kill()
    const clock = new ManualClock()
    const link = connectNats({ url: server.url, name: 'test', clock, log: silentLog })
    const attached = new Queue<Attachment>()
    const token = pluginToken(secret, 'words')
    const parts = { link, clock, log: silentLog, token, manifestText: '{"name":"words"}', sdk: '1' }
    const client = attachToEngines({ ...parts, onAttached: (one) => attached.add(one) })
    open.push(link, { close: () => client.close('the test ends') })
    await server.restart()
    clock.advance(200) // the next try to connect
    await link.whenUp()
    const e = await engine()
    expect((await attached.next()).engine).toBe('e1')
    expect((await e.instances.next()).name).toBe('words')
  })

  test('keeps what each side says before the other listens, in order', async () => {
    const clock = new ManualClock()
    const onAttach = ({ channel }: RemoteInstance): AttachVerdict => {
      for (let i = 0; i < 300; i++) expect(channel.send(`early ${i}`)).toBe(i < 256)
      clock.advance(1_000)
      return { ok: true }
    }
    const [e, p] = [await engine({ onAttach, clock }), await plugin()]
    const { channel } = await p.attached.next()
    await settleLinks(p.link, e.link)
    const end = listen(channel)
    for (let i = 0; i < 256; i++) expect(await end.texts.next()).toBe(`early ${i}`)
    expect(end.texts.rest).toEqual([])
    expect(p.client.counts.lost).toBe(0)
  })

  test('two instances of one plugin, and two plugins, have a channel each', async () => {
    const e = await engine()
    const plugins = [await plugin('words'), await plugin('words'), await plugin('other')]
    const ids = new Set<string>()
    for (const p of plugins) {
      const { instance, channel } = await p.attached.next()
      ids.add(instance)
      expect(channel.send(instance)).toBe(true)
    }
    expect(ids.size).toBe(3)
    for (const _ of plugins) {
      const { instance, channel } = await e.instances.next()
      expect(await listen(channel).texts.next()).toBe(instance)
    }
    expect(e.remote.size).toBe(3)
  })

  test('two engines are both attached to', async () => {
    const engines = [await engine(), await engine({ engineId: 'e2' })]
    const p = await plugin()
    const found = [await p.attached.next(), await p.attached.next()]
    expect(found.map((one) => one.engine).sort()).toEqual(['e1', 'e2'])
    for (const e of engines) expect(e.remote.size).toBe(1)
  })
})

describe('refusals', () => {
  test('of a protocol that is not served name those that are', async () => {
    const e = await engine({ protocols: [1, 2] })
    const p = await plugin('words', { protocols: [3, 4] })
    expect(await p.refused.next()).toEqual({
      engine: 'e1',
      code: 'plugin.version',
      msg: 'protocol 4 is not served here: 1, 2',
    })
    expect([e.remote.size, e.remote.counts.refused]).toEqual([0, 1])
  })

  test('do not come while there is a common protocol: the highest is taken', async () => {
    await engine({ protocols: [1, 2, 3] })
    const p = await plugin('words', { protocols: [2, 3, 4] })
    expect((await p.attached.next()).protocol).toBe(3)
  })

  test('of another name in the manifest than in the token', async () => {
    await engine()
    for (const manifestText of ['{"name":"other"}', '{}', 'rubbish', '"words"', 'null']) {
      const p = await plugin('words', { manifestText })
      expect(await p.refused.next()).toMatchObject({ code: 'plugin.name' })
    }
  })

  test('of the host are handed on, tried again later, and leave nothing behind', async () => {
    const verdicts: AttachVerdict[] = [{ ok: false, code: 'plugin.pending', msg: 'wait for it' }, { ok: true }]
    const e = await engine({ onAttach: () => verdicts.shift() as AttachVerdict })
    const p = await plugin()
    expect(await p.refused.next()).toEqual({ engine: 'e1', code: 'plugin.pending', msg: 'wait for it' })
    expect(e.remote.size).toBe(0)
    p.clock.advance(5_000)
    e.clock.advance(1_000)
    expect((await p.attached.next()).engine).toBe('e1')
    expect(e.remote.size).toBe(1)
  })

  test('an engine that closes while it decides takes nobody in', async () => {
    const asked = new Queue<string>()
    let decide: (verdict: AttachVerdict) => void = () => {}
    const onAttach = ({ name }: RemoteInstance) => {
      asked.add(name)
      return new Promise<AttachVerdict>((resolve) => (decide = resolve))
    }
    const [e, p] = [await engine({ onAttach }), await plugin()]
    expect(await asked.next()).toBe('words')
    e.remote.close('engine stops')
    decide({ ok: true })
    await settleLinks(e.link, p.link)
    expect([e.remote.counts.attached, e.remote.size, p.client.size]).toEqual([0, 0, 0])
  })

  test('of a host that fails, and of more instances than there may be', async () => {
    const e = await engine({ attachmentsMax: 1, onAttach: ({ name }) => (name === 'bad' ? fail() : { ok: true }) })
    expect(await (await plugin('bad')).refused.next()).toMatchObject({ code: 'plugin.failed' })
    await (await plugin('words')).attached.next()
    expect(await (await plugin('other')).refused.next()).toMatchObject({ code: 'plugin.full' })
    expect(e.remote.size).toBe(1)
  })

  test('a token that is none is refused at once', async () => {
    await expect(plugin('words', { token: 'lhp.words.x' })).rejects.toThrow('not a plugin token')
  })
})

const fail = (): never => {
  throw new Error('the host fails')
}

describe('ends', () => {
  test('a goodbye is heard at once, by either side', async () => {
    const one = await attachedPair()
    one.atPlugin.channel.close('done')
    expect(await one.atEngine.closed.next()).toBe('done')
    expect(one.atEngine.channel.send('x')).toBe(false)
    expect(one.atPlugin.channel.send('x')).toBe(false)
    expect([one.e.remote.size, one.p.client.size]).toEqual([0, 0])
    expect(one.atPlugin.closed.rest).toEqual([])
    one.p.clock.advance(1_000)
    one.e.clock.advance(1_000)
    const again = listen((await one.p.attached.next()).channel)
    await settleLinks(one.p.link)
    one.e.remote.close('engine stops')
    expect(await again.closed.next()).toBe('engine stops')
  })

  test('a reason is kept for who opens the channel after the end', async () => {
    const [e, p] = [await engine(), await plugin()]
    const { channel } = await p.attached.next()
    await settleLinks(p.link)
    e.remote.close('engine stops')
    await settleLinks(e.link, p.link)
    expect(await listen(channel).closed.next()).toBe('engine stops')
  })

  test('heartbeats keep an attachment, 10 s of silence end it, and it is made anew', async () => {
    const { e, p, atEngine, atPlugin } = await attachedPair()
    for (let i = 0; i < 60; i++) {
      e.clock.advance(250)
      p.clock.advance(250)
      await settleLinks(e.link, p.link)
    }
    expect(atEngine.channel.silentMs()).toBeLessThanOrEqual(250)
    expect(atPlugin.channel.silentMs()).toBeLessThanOrEqual(250)
    expect([e.remote.counts.lost, p.client.counts.lost]).toEqual([0, 0])
    e.clock.advance(9_500) // the plugin's clock stands still: it hangs
    expect(atEngine.channel.silentMs()).toBeGreaterThanOrEqual(9_000)
    expect(atEngine.closed.rest).toEqual([])
    e.clock.advance(750)
    expect(await atEngine.closed.next()).toBe('gone')
    expect(await atPlugin.closed.next()).toBe('gone')
    p.clock.advance(1_000)
    e.clock.advance(1_000)
    await talk(listen((await nextAfter(e.instances, 0)).channel), listen((await p.attached.next()).channel))
  })

  test('a plugin gives up an engine that is silent', async () => {
    const { p, atPlugin } = await attachedPair()
    p.clock.advance(10_250)
    expect(await atPlugin.closed.next()).toBe('gone')
    expect(p.client.size).toBe(0)
  })

  test('an engine that died without a word and is back is attached anew, and the old attachment ends', async () => {
    const { e, p, instance, atPlugin } = await attachedPair()
    await e.link.close()
    const next = await engine()
    p.clock.advance(1_000)
    next.clock.advance(1_000)
    expect(await atPlugin.closed.next()).toBe('the engine has restarted')
    const made = await p.attached.next()
    expect(made.instance).not.toBe(instance.instance)
    await talk(listen((await next.instances.next()).channel), listen(made.channel))
  })
})

const nextAfter = async <T>(queue: Queue<T>, skip: number): Promise<T> => {
  for (let i = 0; i < skip; i++) await queue.next()
  return queue.next()
}

describe('a NATS server', () => {
  test('that is killed cuts channels at once; they go on when it is back, and gaps are counted', async () => {
    const { e, p, atEngine, atPlugin } = await attachedPair()
    server.freeze()
    expect(atEngine.channel.send('on the way when it dies')).toBe(true)
    await server.kill()
    expect(await atEngine.cuts.next()).toBe(true)
    expect(await atPlugin.cuts.next()).toBe(true)
    expect(atEngine.channel.send('while it is dead')).toBe(false)
    e.clock.advance(60_000)
    p.clock.advance(60_000)
    await server.restart()
    expect(await atEngine.cuts.next()).toBe(false)
    expect(await atPlugin.cuts.next()).toBe(false)
    e.clock.advance(250)
    p.clock.advance(250)
    await settleLinks(e.link, p.link)
    await talk(atEngine, atPlugin)
    expect([e.remote.size, p.client.size]).toEqual([1, 1])
    expect([e.remote.counts.attached, p.client.counts.attached]).toEqual([1, 1])
    // The message, and perhaps heartbeats of an end that was back before the other.
    expect(p.client.counts.lost).toBeGreaterThanOrEqual(1)
    expect(p.client.counts.lost).toBeLessThanOrEqual(3)
    expect(e.remote.counts.lost).toBeLessThanOrEqual(2)
    expect(atPlugin.texts.rest).toEqual([])
  })

  test('that takes small messages only: a large one is refused and counted', async () => {
    await serve('max_payload: 8192')
    const { e, atEngine, atPlugin } = await attachedPair()
    expect(atEngine.channel.send('弹'.repeat(2_800))).toBe(false)
    expect(atEngine.channel.send('x'.repeat(8_169))).toBe(false)
    expect(e.remote.counts.oversized).toBe(2)
    expect(atEngine.channel.send('x'.repeat(8_168))).toBe(true)
    expect(await atPlugin.texts.next()).toHaveLength(8_168)
    await talk(atEngine, atPlugin)
    expect(e.remote.counts.lost).toBe(0)
  })
})

interface Seen {
  subject: string
  bytes: Uint8Array
  reply: string | undefined
}
/** Reads all that goes over the bus. */
async function stranger(): Promise<{ link: NatsLink; seen: Seen[] }> {
  const link = await linkUp()
  const seen: Seen[] = []
  link.subscribe('>', (bytes, subject, reply) => seen.push({ subject, bytes: Uint8Array.from(bytes), reply }))
  await link.flush()
  return { link, seen }
}

describe('a stranger on the bus', () => {
  test('who repeats everything, in every direction, changes nothing', async () => {
    const { link, seen } = await stranger()
    const { e, p, atEngine, atPlugin } = await attachedPair()
    // The engine's counter is ahead of the plugin's, so that only the direction tells one of its own messages that comes back.
    for (let i = 0; i < 20; i++) atEngine.channel.send(`${i}`)
    for (let i = 0; i < 20; i++) expect(await atPlugin.texts.next()).toBe(`${i}`)
    await settleLinks(e.link, p.link, link)
    const sealed = seen.filter(({ subject }) => /\.(up|down)\./.test(subject))
    expect(sealed.length).toBeGreaterThanOrEqual(3)
    expect(seen.map(({ subject }) => subject)).toContain('lh.plugin.e1.attach')
    const { subject: up } = sealed.find(({ subject }) => subject.includes('.up.')) as Seen
    const { subject: down } = sealed.find(({ subject }) => subject.includes('.down.')) as Seen
    for (const { subject, bytes, reply } of [...seen]) link.publish(subject, bytes, reply === undefined ? {} : { reply })
    for (const { bytes } of sealed) for (const to of [up, down]) link.publish(to, bytes)
    await settleLinks(link, e.link, p.link, link)
    expect([atEngine.texts.rest, atPlugin.texts.rest]).toEqual([[], []])
    expect([atEngine.closed.rest, atPlugin.closed.rest]).toEqual([[], []])
    expect(e.remote.counts.replayed).toBeGreaterThanOrEqual(4)
    expect(
      seen.filter(({ bytes }) => Buffer.from(bytes).includes('"proof"') && Buffer.from(bytes).includes('"boot"')),
    ).toHaveLength(1)
    expect(p.client.counts.replayed).toBeGreaterThanOrEqual(3)
    expect([e.remote.counts.attached, e.remote.size, p.client.size]).toEqual([1, 1, 1])
    await talk(atEngine, atPlugin)
  })

  test('who seals with a key of their own, or with none, is not heard', async () => {
    const { link, seen } = await stranger()
    const { e, p, atEngine, atPlugin } = await attachedPair()
    await settleLinks(e.link, p.link, link)
    const own = sessionKey(pluginKey('another secret', 'words'), ['a', 'b'])
    for (const { subject, bytes } of seen.filter(({ subject }) => /\.(up|down)\./.test(subject))) {
      link.publish(subject, new Sealer(own, 'engine').seal('forged'))
      link.publish(subject, new Sealer(own, 'plugin').seal('forged', 2))
      link.publish(subject, Buffer.from('rubbish'))
      link.publish(subject, new Uint8Array(0))
      link.publish(
        subject,
        bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte)),
      )
    }
    await settleLinks(link, e.link, p.link)
    expect([...atEngine.texts.rest, ...atPlugin.texts.rest, ...atEngine.closed.rest, ...atPlugin.closed.rest]).toEqual([])
    expect(e.remote.counts.forged).toBeGreaterThanOrEqual(5)
    expect(p.client.counts.forged).toBeGreaterThanOrEqual(5)
    await talk(atEngine, atPlugin)
  })

  test('who has a token cannot be another plugin', async () => {
    const e = await engine()
    // The whole client with their own key, but under the name of words.
    const own = pluginToken(secret, 'other').replace('.other.', '.words.')
    const p = await plugin('words', { token: own })
    await settleLinks(p.link, e.link, p.link)
    expect(e.remote.counts.forged).toBeGreaterThanOrEqual(1)
    expect([e.remote.size, p.client.size]).toEqual([0, 0])
    const q = await plugin('other', { manifestText: '{"name":"words"}' })
    expect(await q.refused.next()).toMatchObject({ code: 'plugin.name' })
  })

  test('who takes over an attach under way gets nothing, and does not end it', async () => {
    const e = await engine()
    const { link } = await stranger()
    link.subscribe('_INBOX.>', (bytes) => {
      const { nonce } = JSON.parse(Buffer.from(bytes).toString()) as { nonce?: string }
      const forged = { nonce, manifest: '{"name":"words"}', sdk: '1', protocol: 1, proof: newNonce() }
      if (nonce) link.publish(subjects.pluginAttach('e1'), toBytes(forged), { reply: link.inbox() })
    })
    await link.flush()
    const p = await plugin()
    await p.attached.next()
    await settleLinks(link, e.link)
    expect([e.remote.size, e.remote.counts.attached]).toEqual([1, 1])
    expect(e.remote.counts.forged).toBeGreaterThanOrEqual(1)
  })

  test('who poses as the engine, and answers first, is not believed', async () => {
    const { link } = await stranger()
    let asked: () => void = () => {}
    link.subscribe(subjects.pluginHello('e1'), (_, __, reply = '') => {
      const claim = { engine: 'e1', boot: newNonce(), nonce: newNonce(), protocol: [1] }
      link.publish(reply, toBytes({ ...claim, proof: newNonce() }))
      link.publish(reply, Buffer.from('rubbish'))
      link.publish(reply, new Uint8Array(0)) // as the server says that nobody is there
      asked()
    })
    const falseBeacon = () => link.publish(subjects.pluginBeacon, toBytes({ engine: 'e1', boot: newNonce(), protocol: [1] }))
    const wasAsked = new Promise<void>((resolve) => (asked = resolve))
    await link.flush()
    const p = await plugin()
    await p.link.flush()
    falseBeacon()
    await wasAsked
    await settleLinks(link, p.link)
    expect(p.client.counts).toMatchObject({ attached: 0, forged: 2 })
    const e = await engine()
    p.clock.advance(2_000)
    e.clock.advance(1_000)
    const attachment = await p.attached.next()
    const [atEngine, atPlugin] = [listen((await e.instances.next()).channel), listen(attachment.channel)]
    // Beacons of a false restart make the plugin ask, no more.
    for (let i = 0; i < 10; i++) {
      falseBeacon()
      await settleLinks(link, p.link, e.link, p.link)
      p.clock.advance(1_000)
      e.clock.advance(1_000)
    }
    await talk(atEngine, atPlugin)
    expect([e.remote.counts.attached, p.client.counts.attached]).toEqual([1, 1])
  })

  test('who floods cannot make the engine keep, answer or forget much', async () => {
    const { e, atEngine, atPlugin } = await attachedPair()
    const { link, seen } = await stranger()
    const reply = '_INBOX.stranger'
    const hello = subjects.pluginHello('e1')
    const key = pluginKey(secret, 'other') // one who does have a key
    const genuine = () => {
      const nonce = newNonce()
      return toBytes({ plugin: 'other', nonce, proof: proofOf(key, 'hello', ['e1', nonce]) })
    }
    link.publish(hello, genuine(), { reply: subjects.roomsCommand })
    link.publish(hello, genuine())
    link.publish(hello, Buffer.concat([genuine(), Buffer.alloc(1_000, ' ')]), { reply })
    for (let i = 0; i < 3_000; i++) link.publish(hello, Buffer.from(`{"plugin":"words","nonce":${i}}`), { reply })
    await settleLinks(link, e.link)
    e.clock.advance(1_000)
    for (let i = 0; i < 500; i++) link.publish(hello, genuine(), { reply })
    await settleLinks(link, e.link, link)
    expect(seen.filter(({ subject }) => subject === subjects.roomsCommand)).toEqual([])
    expect(seen.filter(({ subject }) => subject === reply)).toHaveLength(100)
    expect(e.remote.counts.ignored).toBeGreaterThanOrEqual(1_000 + 400)
    await talk(atEngine, atPlugin)
    e.clock.advance(1_000)
    await (await plugin('third')).attached.next()
  })

  test('who floods beacons does not keep a plugin from its engine', async () => {
    const { link } = await stranger()
    const p = await plugin()
    await p.link.flush()
    const rubbish = [
      '',
      '{}',
      'null',
      '[1]',
      '{"engine":1}',
      '{"engine":"a.b"}',
      '{"engine":">"}',
      `{"engine":"${'a'.repeat(2_000)}"}`,
    ]
    for (const text of rubbish) link.publish(subjects.pluginBeacon, Buffer.from(text))
    const flood = (round: number) => {
      for (let i = 0; i < 500; i++) link.publish(subjects.pluginBeacon, toBytes({ engine: `false-${round}-${i}`, boot: 'x' }))
    }
    flood(0)
    await settleLinks(link, p.link)
    link.subscribe(subjects.pluginHello('e1'), () => flood(1))
    link.subscribe(subjects.pluginAttach('e1'), () => flood(2))
    await link.flush()
    const e = await engine()
    expect((await p.attached.next()).engine).toBe('e1')
    flood(3)
    await settleLinks(link, p.link)
    const { instance } = await e.instances.next()
    e.clock.advance(1_000)
    await settleLinks(e.link, p.link)
    expect([e.remote.size, p.client.size, p.attached.rest.length, instance.slice(0, 6)]).toEqual([1, 1, 0, 'words.'])
  })
})
