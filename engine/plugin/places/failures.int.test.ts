/**
 * Plugins that die, hang, flood and lie, in real threads and processes, and a nats-server that dies. Whatever they do: danmaku keep their
 * order and wait no longer than the budget, a closed guard stays closed, an open one that could not be asked leaves its mark.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { SystemClock } from '../../base/clock.ts'
import { silentLog } from '../../base/log.ts'
import { connectNats } from '../../base/nats.ts'
import { type NatsServer, startNatsServer } from '../../base/nats-server.ts'
import type { Config } from '../../config.ts'
import type { TestClient } from '../../testing.ts'
import { definePlugin } from '../define.ts'
import gate, { gateBudgetMs } from '../fixtures/gate.ts'
import { Bench, type PluginProcess, until, untilTrue } from '../fixtures/places.ts'
import { manifestOf } from '../manifest.ts'
import { attachToEngines } from '../remote/remote-client.ts'
import type { Channel } from './channel.ts'
import type { FromPlugin, ToPlugin } from './protocol.ts'

let nats: NatsServer
let bench: Bench
let ann: TestClient
let operator: TestClient
beforeAll(async () => {
  nats = await startNatsServer()
})
afterAll(() => nats.stop())
const closing: (() => unknown)[] = []
/** How late this process, in which the engine lives, gets to anything: what a timer of the budget can be late as well. */
const lateness = monitorEventLoopDelay({ resolution: 10 })
lateness.enable()
afterAll(() => lateness.disable())
const latenessMs = () => lateness.max / 1e6
const stop = async () => {
  for (const close of closing.splice(0).reverse()) await close()
  await bench.stop()
}

const start = async (place: 'worker' | 'remote', options: Partial<Config> = {}) => {
  lateness.reset()
  bench = await Bench.start(place, nats, new SystemClock(), { logDanmaku: true, pluginsApproved: 'gate', ...options })
  ann = await bench.user('ann')
  operator = await bench.engine.connect({ token: await bench.engine.token('op', { scope: 'operator' }) })
  await operator.ok('room.join', {}, 'demo')
}
const gateInfo = () => bench.engine.plugins.describe('gate')
const guard = () => {
  const found = gateInfo().hooks.find(({ on }) => on === 'danmaku.send')
  if (!found) throw new Error('no guard')
  return found
}
let said = 0
const say = async (text = 'hello') => {
  const sent = `${text} ${said++}`
  const answer = await ann.call(
    'danmaku.send',
    { text: text === 'exit' || text === 'loop' || text === 'uncaught' ? text : sent },
    'demo',
  )
  expect(answer.ok ? '' : answer.err.code).toBe('')
}
const sayMany = (n: number, text?: string) => Promise.all([...Array(n).keys()].map(() => say(text)))
/** Talk until it is so; everything that is said is answered. */
const talkUntil = async (look: () => boolean | Promise<boolean>) => {
  const giveUpAt = performance.now() + 20_000
  while (!(await look())) {
    if (performance.now() > giveUpAt) throw new Error(`still not: ${look}`)
    await sayMany(4)
    // A load, not a wait: some hundred a second.
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
const pid = async (): Promise<number> => {
  const answer = await ann.call('x.gate.pid', {}, 'demo')
  return answer.ok ? (answer.d as { pid: number }).pid : 0
}
const showOnWall = () => operator.call('wall.show', { text: `wall ${said++}` }, 'demo')
const unchecked = async (): Promise<number> => {
  let [count, afterPos] = [0, 0]
  for (;;) {
    const rows = await bench.engine.store.readLog({ roomId: 'demo', afterPos, limit: 500 })
    count += rows.filter(({ row }) => row.unchecked?.includes('gate')).length
    const last = rows.at(-1)
    if (!last) return count
    afterPos = last.pos
  }
}
const announced = async (t: string): Promise<Record<string, string>[]> => {
  const rows = await bench.engine.store.readLog({ roomId: '', afterPos: 0, limit: 1_000 })
  return rows.filter(({ row }) => row.t === t).map(({ row }) => row.d as Record<string, string>)
}
/** What all of this must never break. */
const expectOrderAndBudget = async () => {
  await ann.roundTrip()
  const shown = ann.of('danmaku.sent')
  const numbers = shown
    .map(({ d }) => d.text.split(' ')[1])
    .filter((n) => n !== undefined)
    .map(Number)
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
  // Measured where it is waited for. Beyond the budget there is only what this machine, busy with tests, takes to fire a timer.
  expect(guard().p99Ms).toBeLessThan(gateBudgetMs + 500 + latenessMs())
  // Every one that was not judged says so, and is counted.
  await until(async () => expect(await unchecked()).toBe(guard().policy))
}

describe('a process', () => {
  let processes: PluginProcess[]
  const serving = async () => {
    const served = await pid()
    const index = processes.findIndex(({ child }) => child.pid === served)
    const found = processes[index]
    if (!found) throw new Error('nobody serves')
    return found
  }
  beforeAll(async () => {
    await start('remote')
    processes = await Promise.all([bench.spawn('gate'), bench.spawn('gate')])
    await untilTrue(() => gateInfo().instances.filter(({ state }) => state === 'healthy').length === 2)
  })
  afterAll(stop)

  it('goes on after a nats-server that was killed', async () => {
    await sayMany(20)
    await nats.kill()
    // Nobody waits for the budget: it is known at once that nobody can be asked.
    await untilTrue(() => gateInfo().instances.every(({ state }) => state === 'cut'))
    const { p99Ms } = guard()
    await sayMany(20)
    expect(guard()).toMatchObject({ policy: 20, timeouts: 0 })
    expect(p99Ms).toBeLessThan(gateBudgetMs + 500 + latenessMs())
    expect(await showOnWall()).toMatchObject({ err: { code: 'wall.unavailable' } })
    expect(await unchecked()).toBe(20)
    await nats.restart()
    await until(async () => expect(await showOnWall()).toMatchObject({ ok: true }))
    const { policy } = guard()
    await sayMany(20)
    expect(guard().policy).toBe(policy)
    await expectOrderAndBudget()
  })

  it('stopped, let on again, drained, joined by another, killed', async () => {
    const { policy: known } = guard()
    await sayMany(40)
    expect(guard().policy).toBe(known)

    // SIGSTOP: the other one takes over when its silence or its time-outs are noticed.
    const stopped = await serving()
    stopped.child.kill('SIGSTOP')
    await talkUntil(async () => (await pid()) !== stopped.child.pid && (await pid()) > 0)
    const { policy } = guard()
    await sayMany(20)
    expect(guard().policy).toBe(policy)
    await expectOrderAndBudget()
    stopped.child.kill('SIGCONT')
    // What it answers now is too late, and dropped.
    await until(async () => expect(await bench.engine.metrics.text()).toMatch(/livehouse_plugin_late_answers_total [1-9]/))
    await talkUntil(() => gateInfo().instances.filter(({ state }) => state === 'healthy').length === 2)

    // SIGTERM: whatever it was asked, it answers; the next ones ask another.
    const before = guard().policy
    const drained = await serving()
    const talking = sayMany(60)
    drained.child.kill('SIGTERM')
    await drained.exited
    await talking
    expect(drained.child.exitCode).toBe(0)
    expect(drained.lines).toContain('left')

    // One more joins under load.
    const joining = bench.spawn('gate').then((joined) => processes.push(joined))
    await talkUntil(() => gateInfo().instances.filter(({ state }) => state === 'healthy').length === 2)
    await joining
    await sayMany(20)
    expect(guard().policy).toBe(before)
    await expectOrderAndBudget()

    // kill -9, in the middle.
    const killed = await serving()
    const last = sayMany(60)
    killed.child.kill('SIGKILL')
    await last
    await talkUntil(async () => (await pid()) > 0 && (await pid()) !== killed.child.pid)
    await expectOrderAndBudget()

    // And when nobody is left, the closed guard stays closed and the open one lets pass.
    for (const { child } of processes) child.kill('SIGKILL')
    await until(async () => expect(await showOnWall()).toMatchObject({ ok: false, err: { code: 'wall.unavailable' } }))
    await sayMany(10)
    await expectOrderAndBudget()
    expect(guard().policy).toBeGreaterThan(before)
  })
})

describe('a thread', () => {
  beforeAll(async () => {
    await start('worker')
    await bench.attach('gate', gate)
  })
  afterAll(stop)

  it('that loops, dies or throws is started again', async () => {
    for (const [n, how] of ['loop', 'exit', 'uncaught'].entries()) {
      await until(async () => expect(await showOnWall()).toMatchObject({ ok: true }))
      const [{ instance = '' } = {}] = gateInfo().instances
      await say(how)
      await talkUntil(() => gateInfo().instances[0]?.instance !== instance)
      // Nobody is there for the closed one, until a new thread is.
      await talkUntil(() => bench.stateOf('gate') === 'attached')
      expect(await announced('plugin.detached')).toHaveLength(n + 1)
    }
    await until(async () => expect(await showOnWall()).toMatchObject({ ok: true }))
    const { policy } = guard()
    await sayMany(20)
    expect(guard().policy).toBe(policy)
    await expectOrderAndBudget()
  })

  it('that is slow is skipped by its breaker, and asked again later', async () => {
    const degraded = (await announced('plugin.degraded')).length
    // One after the other: three time-outs in a row.
    for (let n = 0; n < 4; n++) await say('slow')
    expect(await announced('plugin.degraded')).toHaveLength(degraded + 1)
    const recoveries = (await announced('plugin.recovered')).length
    expect(bench.stateOf('gate')).toBe('degraded')
    const { timeouts } = guard()
    await sayMany(10)
    expect(guard()).toMatchObject({ timeouts })
    expect(await showOnWall()).toMatchObject({ err: { code: 'wall.unavailable' } })
    await talkUntil(async () => (await announced('plugin.recovered')).length === recoveries + 1)
    expect(await showOnWall()).toMatchObject({ ok: true })
    await expectOrderAndBudget()
  })
})

describe('a liar', () => {
  interface Liar {
    channel: Channel
    refused: string[]
    say(frames: unknown): boolean
  }
  type Frame = ToPlugin & { id: number; items: unknown[] }
  /** Attaches with a true token and then does as it likes. */
  const attachLiar = async (
    answer: (frame: Frame, say: Liar['say']) => void,
    more: { manifest?: object; protocols?: number[] } = {},
  ) => {
    const clock = new SystemClock()
    const link = connectNats({ url: nats.url, name: 'liar', clock, log: silentLog })
    const refused: string[] = []
    const liar = await new Promise<Liar>((resolve) => {
      const manifest = { ...manifestOf(gate, '0.1.0'), ...more.manifest }
      const client = attachToEngines({
        link,
        clock,
        log: silentLog,
        token: bench.token(manifest.name),
        manifestText: JSON.stringify(manifest),
        sdk: '0.1.0',
        ...(more.protocols ? { protocols: more.protocols } : {}),
        onAttached({ channel }) {
          const say = (frames: unknown) => channel.send(typeof frames === 'string' ? frames : JSON.stringify(frames))
          const onText = (text: string) => {
            for (const frame of JSON.parse(text) as Frame[]) {
              if (frame.k === 'settings') say([{ k: 'ready', settings: 1 } satisfies FromPlugin])
              else if (frame.k === 'ping') say([{ k: 'pong', id: frame.id }])
              else answer(frame, say)
            }
          }
          channel.open({ onText, onClose() {}, onCut() {} })
          resolve({ channel, refused, say })
        },
        onRefused({ code }) {
          refused.push(code)
          resolve({ channel: undefined as never, refused, say: () => false })
        },
      })
      closing.push(async () => {
        client.close('the test ends')
        await link.close()
      })
    })
    return liar
  }
  beforeEach(() => start('remote'))
  afterEach(stop)

  it('that answers rubbish: the policy decides', async () => {
    type Reply = (items: unknown[], id: number) => unknown
    const honest: Reply = (items, id) => [{ k: 'checked', id, results: items.map(() => 0) }]
    const lies: Readonly<Record<string, Reply>> = {
      'too few': (items, id) => [{ k: 'checked', id, results: items.slice(1).map(() => 0) }],
      'too many': (items, id) => [{ k: 'checked', id, results: [...items, 0].map(() => 0) }],
      'no list': (_, id) => [{ k: 'checked', id, results: { 0: 0, length: 1 } }],
      'no verdict': (items, id) => [{ k: 'checked', id, results: items.map(() => ({ kind: 'deny', code: 'x.other.no' })) }],
      'another question': (items, id) => [{ k: 'checked', id: id + 1_000, results: items.map(() => 0) }],
      'no message': () => 'nonsense {',
      'unknown frames': (_, id) => [
        { k: 'gift', id },
        { k: 'call', id: 'a', name: {} },
        { k: 'answer', id: -1 },
      ],
    }
    let reply = honest
    await attachLiar((frame, say) => {
      if (frame.k === 'check') say(reply(frame.items, frame.id))
    })
    await untilTrue(() => bench.stateOf('gate') === 'attached')
    for (const [n, lie] of Object.keys(lies).entries()) {
      // Three time-outs in a row would open the breaker.
      if (n > 3) await showOnWall()
      reply = lies[lie] as Reply
      await say()
      expect(await showOnWall(), lie).toMatchObject({ ok: false, err: { code: 'wall.unavailable' } })
      expect(guard(), lie).toMatchObject({ calls: n + 1, policy: n + 1, unavailable: 0 })
      reply = honest
    }
    await expectOrderAndBudget()
  })

  it('floods: calls, frames, large messages', async () => {
    const liar = await attachLiar((frame, say) => {
      if (frame.k === 'check') say([{ k: 'checked', id: frame.id, results: frame.items.map(() => 0) }])
    })
    await untilTrue(() => bench.stateOf('gate') === 'attached')
    const call = (id: number) => ({ k: 'call', id, name: 'engine.room.get', d: { roomId: 'demo' } })
    const logs = [...Array(1_000).keys()].map((n) => ({ k: 'log', level: 'error', fields: { n }, msg: 'noise' }))
    const counts = [...Array(1_000).keys()].map((n) => ({ k: 'count', name: `n${n}`, by: n }))
    for (let n = 0; n < 20; n++) liar.say([...Array(500).keys()].map((id) => call(n * 500 + id)))
    for (let n = 0; n < 20; n++) liar.say([...logs, ...counts, { k: 'unfit', settings: 1, msg: 'x'.repeat(100_000) }])
    // The liar lives in this process: it may cost some their verdict, but nobody their answer.
    await sayMany(20)
    // Not one was granted, and only so many numbers are kept.
    await untilTrue(() => gateInfo().callsRefused >= 9_000)
    expect((await bench.engine.metrics.text()).match(/livehouse_plugin_own_total\{plugin="gate"/g)).toHaveLength(50)
    // Small ones; how many are too many is a matter of real time, and of `link.test.ts`.
    for (let n = 0; n < 5_000; n++) liar.say('[]')
    await sayMany(10)
    await expectOrderAndBudget()
  })

  it('of another protocol, with a hook of another major, with a manifest that is none: refused', async () => {
    const nothing = () => {}
    expect((await attachLiar(nothing, { protocols: [99] })).refused).toEqual(['plugin.version'])
    const hooks = manifestOf(gate, '0.1.0').hooks.map((hook) => ({ ...hook, v: 9 }))
    expect((await attachLiar(nothing, { manifest: { hooks } })).refused).toEqual(['plugin.version'])
    expect((await attachLiar(nothing, { manifest: { hooks: [{ kind: 'guard' }] } })).refused).toEqual(['plugin.bad_manifest'])
    expect((await attachLiar(nothing, { manifest: { calls: ['engine.everything'] } })).refused).toEqual(['plugin.bad_manifest'])
    expect(bench.engine.plugins.list()).toEqual([])
  })

  it('that asks for more than was granted waits until an operator approves', async () => {
    const { plugins } = bench.engine
    const answer = (frame: Frame, say: Liar['say']) => {
      if (frame.k === 'check') say([{ k: 'checked', id: frame.id, results: frame.items.map(() => 0) }])
    }
    const first = await attachLiar(answer)
    await untilTrue(() => bench.stateOf('gate') === 'attached')
    const more = manifestOf(definePlugin({ ...gate, version: '1.1.0', calls: ['engine.user.mute'] }), '0.1.0')
    const second = await attachLiar(answer, { manifest: more })
    await untilTrue(() => bench.stateOf('gate') === 'pending')
    expect(gateInfo()).toMatchObject({ version: '1.0.0', asks: ['engine.user.mute'] })
    second.say([{ k: 'call', id: 1, name: 'engine.user.mute', d: { roomId: 'demo', userId: 'ann', durationMs: 1_000 } }])
    await say()
    expect(guard()).toMatchObject({ calls: 1, policy: 0 })
    await plugins.approve('gate', 'op')
    await untilTrue(() => bench.stateOf('gate') === 'attached' && gateInfo().version === '1.1.0')
    await say()
    expect(guard()).toMatchObject({ calls: 2, policy: 0 })
    expect(first.refused).toEqual([])
    await until(async () => expect((await announced('plugin.changed')).map(({ change }) => change)).toContain('approved'))
  })
})
