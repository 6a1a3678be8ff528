/** A plugin is replaced while people talk: nothing is lost, judged twice or not at all, in each of the three places. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { SystemClock } from '../../base/clock.ts'
import { type NatsServer, startNatsServer } from '../../base/nats-server.ts'
import { Bench, until, untilTrue } from '../fixtures/places.ts'
import { makeSwap } from '../fixtures/swap.ts'

let nats: NatsServer
beforeAll(async () => {
  nats = await startNatsServer()
})
afterAll(() => nats.stop())

const all = 80

it.each(['inline', 'worker', 'remote'] as const)('%s: attached, updated and detached under load', async (place) => {
  const bench = await Bench.start(place, nats, new SystemClock(), {
    logDanmaku: true,
    pluginsApproved: 'swap',
    pluginDrainMs: 5_000,
  })
  try {
    await bench.attach('swap-v1', makeSwap('1.0.0'))
    const { plugins, metrics } = bench.engine
    // Who sends sees all of their own, however many there are.
    const ann = await bench.user('ann')
    const sent = new Set<string>()
    const talk = async (until: () => boolean) => {
      while (!until()) {
        const texts = [...Array(4).keys()].map((n) => `no${sent.size + n}`)
        for (const text of texts) sent.add(text)
        for (const answer of await Promise.all(texts.map((text) => ann.call('danmaku.send', { text }, 'demo'))))
          expect(answer.ok ? '' : answer.err.code).toBe('')
      }
    }
    await talk(() => sent.size >= all / 4)
    let isUpdated = false
    const update = bench.attach('swap-v2', makeSwap('2.0.0')).then(() => {
      isUpdated = true
    })
    // However long the new version takes to come up, it comes up under load; and then some more.
    await talk(() => isUpdated)
    await update
    const before = sent.size
    await talk(() => sent.size >= before + all / 4)

    const last = `no${sent.size - 1}`
    await ann.next((event) => event.t === 'danmaku.sent' && event.d.text.startsWith(`${last} `))
    const shown = ann.of('danmaku.sent').map(({ d }) => d.text as string)
    expect(shown.map((text) => text.split(' ')[0])).toEqual([...sent])
    // Stamped exactly once, by one version until some point and by the other one from then on.
    const stamps = shown.map((text) => text.split(' #').slice(1).join())
    expect(new Set(stamps)).toEqual(new Set(['1.0.0', '2.0.0']))
    expect(stamps).toEqual([...stamps].sort())
    const guard = plugins.describe('swap').hooks.find(({ kind }) => kind === 'guard')
    expect(guard).toMatchObject({ calls: sent.size, policy: 0 })
    await until(async () => {
      expect(await metrics.text()).toContain(`livehouse_plugin_own_total{plugin="swap",name="judged"} ${sent.size}`)
    })
    await until(async () => {
      expect(await ann.ok('x.swap.got', {}, 'demo')).toEqual({ n: sent.size, version: '2.0.0' })
    })
    expect(plugins.describe('swap')).toMatchObject({ version: '2.0.0', events: { dead: 0, lag: 0 } })

    const detached = plugins.detach('swap', 'op')
    await talk(() => sent.size >= before + all / 2)
    await detached
    await untilTrue(() => ann.of('danmaku.sent').length === sent.size)
    expect(ann.of('danmaku.sent').map(({ d }) => d.text.split(' ')[0])).toEqual([...sent])
  } finally {
    await bench.stop()
  }
})
