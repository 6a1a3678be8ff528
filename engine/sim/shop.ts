/**
 * The real monetization plugin in the simulation: its catalogue and its contracts change while gifts are under way, and its answers to
 * the engine come late, wrong or never.
 *
 * Its tables are the real ones too, without the process around them, and outlive the plugin host.
 */

import { monetization } from '../../plugins/monetization/plugin.ts'
import type { Clock } from '../base/clock.ts'
import { type Random, randomInt } from '../base/random.ts'
import { PluginDbFile } from '../plugin/db/plugin-db.ts'
import { checkCall, PluginDbError } from '../plugin/db/plugin-db-wire.ts'
import type { PluginDbs } from '../plugin/db/plugin-dbs.ts'
import type { AnyPlugin } from '../plugin/define.ts'
import { type Life, never } from './life.ts'

export const shopName = 'monetization' as const
export type ShopMood = 'well' | 'throw' | 'late' | 'never' | 'rubbish' | 'slow'
export const shopMoods: readonly ShopMood[] = ['well', 'well', 'slow', 'throw', 'late', 'never', 'rubbish']
const budgetMs = 800

type Run = (ask: never, ctx: unknown) => unknown
interface Route {
  run(request: { params: Record<string, string>; query: object; body: unknown }, ctx: unknown): Promise<{ body: unknown }>
}
interface Gift {
  name: string
  priceCoin: number
  countMax: number
  retired: boolean
}
interface Terms {
  streamerId: string
  guildId: string
  streamerBps: number
  guildBps: number
}

const rubbish: readonly unknown[] = [
  7,
  { kind: 'post' },
  { kind: 'deny', code: 'no.such' },
  { kind: 'post', template: { valueCoin: -5, payFrom: ['coin.issued'], split: [], contractVersion: '', catalogVersion: '' } },
  {
    kind: 'post',
    template: {
      valueCoin: 10,
      payFrom: ['user.somebody.coin.paid'],
      split: [{ to: 'streamer:owner', bps: 10_000 }],
      contractVersion: 'x',
      catalogVersion: 'x',
      show: { name: 'x', unitCoin: 10, effectId: '', comboable: false, comboTimeoutMs: 500 },
    },
  },
]

interface ShopParts {
  clock: Clock
  random: Random
  onError(error: unknown, where: string): void
}

export class Shop {
  mood: ShopMood = 'well'
  readonly counts = { asked: 0, changes: 0 }
  /** By `version giftId`: what it cost then. */
  readonly #prices = new Map<string, number>()
  /** By contract: everything it ever said. */
  readonly #terms = new Map<string, Terms[]>()
  readonly #parts: ShopParts
  readonly #stops: (() => unknown)[] = []
  #live: { routes: Record<string, Route>; ctx: unknown; life: Life } | undefined
  /** One change at a time: who changes what others change too is tested elsewhere. */
  #turn: Promise<void> = Promise.resolve()

  constructor(parts: ShopParts) {
    this.#parts = parts
  }

  define(life: Life, version: string): AnyPlugin {
    const real = monetization() as unknown as AnyPlugin & {
      start(ctx: unknown): Promise<void>
      stop(ctx: unknown): unknown
      charges: Record<string, { run: Run }>
      routes: Record<string, Route>
    }
    const charge = real.charges['gift.send'] as { run: Run }
    // Its timer is of the real clock, and looks for changes that other engines made: there are none.
    this.#stops.push(() => real.stop(undefined))
    return {
      ...real,
      version,
      start: async (ctx: unknown) => {
        await real.start(ctx)
        this.#live = { routes: real.routes, ctx, life }
        await this.#learn(this.#live)
      },
      charges: {
        ...real.charges,
        'gift.send': { budgetMs, run: (ask: never, ctx: unknown) => this.#charged(charge.run, ask, ctx) },
      },
    } as unknown as AnyPlugin
  }

  #charged(run: Run, ask: never, ctx: unknown): unknown {
    const { clock, random } = this.#parts
    this.counts.asked++
    const after = (ms: number, answer: () => unknown) => new Promise((resolve) => void clock.after(ms, () => resolve(answer())))
    const mood = random.float() < 0.5 ? 'well' : this.mood
    switch (mood) {
      case 'throw':
        throw new Error('on purpose')
      case 'late':
        return after(budgetMs + 1 + randomInt(random, 300), () => run(ask, ctx))
      case 'never':
        return never
      case 'rubbish':
        return rubbish[randomInt(random, rubbish.length)]
      case 'slow':
        return after(randomInt(random, 60), () => run(ask, ctx))
      default:
        return run(ask, ctx)
    }
  }

  // ------------------------------------------------------------------ what it sells, and for whom

  async #learn({ routes, ctx }: { routes: Record<string, Route>; ctx: unknown }): Promise<void> {
    const answer = await (routes['GET /gifts'] as Route).run({ params: {}, query: {}, body: undefined }, ctx)
    const { version, items } = answer.body as { version: number; items: (Gift & { id: string })[] }
    for (const { id, priceCoin } of items) this.#prices.set(`${version} ${id}`, priceCoin)
  }

  putGift(id: string, change: Partial<Gift>): void {
    this.#change('PUT /gifts/:id', id, change)
  }

  putContract(id: string, terms: Terms & { fromAt: number; toAt: number }): void {
    const known = this.#terms.get(id)
    if (known) known.push(terms)
    else this.#terms.set(id, [terms])
    this.#change('PUT /contracts/:id', id, terms)
  }

  #change(route: string, id: string, body: unknown): void {
    this.#turn = this.#turn.then(async () => {
      const live = this.#live
      if (!live?.life.isAlive) return
      try {
        await live.routes[route]?.run({ params: { id }, query: {}, body }, live.ctx)
        await this.#learn(live)
        this.counts.changes++
      } catch (error) {
        // Contracts of one streamer that overlap are refused.
        const { code } = Object(error) as { code?: string }
        if (code === undefined) this.#parts.onError(error, route)
      }
    })
  }

  /** Why a gift cannot have had this price and these shares. */
  faultOf(gift: { giftId: string; unitCoin: number; to: string }, facts: Facts): string | undefined {
    const price = this.#prices.get(`${facts.catalogVersion} ${gift.giftId}`)
    if (price !== gift.unitCoin) return `${gift.giftId} cost ${price} in version ${facts.catalogVersion}, not ${gift.unitCoin}`
    const { streamerBps, guildBps } = facts.terms
    if (facts.contractVersion === 'default')
      return streamerBps === 5_000 && guildBps === 0 ? undefined : `shares of ${streamerBps} and ${guildBps} without a contract`
    const isKnown = this.#terms
      .get(facts.contractVersion)
      ?.some((one) => one.streamerId === gift.to && one.streamerBps === streamerBps && one.guildBps === guildBps)
    return isKnown ? undefined : `contract ${facts.contractVersion} never gave ${streamerBps} and ${guildBps}`
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop()
  }
}

export interface Facts {
  contractVersion: string
  catalogVersion: string
  terms: { streamerBps: number; guildBps: number }
}

/** The files of plugins without their processes; they are there as long as the simulation. */
export class SimDbs implements Pick<PluginDbs, 'open' | 'query' | 'close' | 'closeAll' | 'remove'> {
  readonly #files = new Map<string, PluginDbFile>()

  async open(name: string, migrations: readonly string[]): Promise<void> {
    if (!this.#files.has(name)) this.#files.set(name, new PluginDbFile({ file: ':memory:', migrations, bytesMax: 2 ** 24 }))
  }

  async query(name: string, statements: unknown) {
    const file = this.#files.get(name)
    if (!file) throw new PluginDbError('db.closed', `${name} has no tables`)
    const [outcome] = file.run([checkCall(statements).statements])
    if (outcome && 'json' in outcome) return JSON.parse(outcome.json)
    throw new PluginDbError(outcome?.error.code ?? 'db.failed', outcome?.error.message ?? '')
  }

  async close(): Promise<void> {}

  async closeAll(): Promise<void> {}

  async remove(): Promise<void> {}

  end(): void {
    for (const file of this.#files.values()) file.close()
    this.#files.clear()
  }
}
