/**
 * Monetization: what gifts there are and what they cost, who gets which share, how much may be given, and in which packages coins are
 * sold. It decides and never posts: the engine's ledger posts, and counts what a user gives in a minute and a day.
 *
 * | owns | where |
 * |---|---|
 * | the gift catalogue, versioned | `shelf.ts`; `GET /gifts`, `PUT /gifts/:id` |
 * | contracts of streamers (until a supplier plugin brings them) | `shelf.ts`; `GET /contracts`, `PUT /contracts/:id` |
 * | the price of `gift.send`, and its split | the charge hook |
 * | limits of spending | settings; of one user `limits.ts`; `GET /limits/:user`, `PUT /limits/:user`, `x.monetization.set_limit` |
 * | levels of users, by what they gave | settings; `levels.ts`; `gift.sent`, `wallet.get`, `GET /levels/:user` |
 * | packages of coins | settings; `recharge.packages`, `recharge.create` |
 * | how often a recharge is started | settings; `velocity.ts` |
 *
 * Cost: one question a gift, answered from memory (from a table when the gift asks for a level), and behind it a row of a table for each
 * gift. Every instance looks for changes in the tables each second, so that all have a change within two. What it knows belongs to one
 * plugin object: an engine that is given the object itself takes its own from `monetization()`; a file that is attached is loaded anew
 * each time.
 */
import { type ChargeAnswer, type Context, definePlugin, deny, refuse, Type } from '../../engine/plugin/index.ts'
import { changedItem, type GiftItem } from './catalogue.ts'
import { contractOf, contractProblem } from './contracts.ts'
import { count, givenBy, Ladder, levelMigrations, levelOf, nextLevelAt } from './levels.ts'
import { coinMax, dayMaxOf, Limits, limitMigrations, ownAt, withOperators, withOwn } from './limits.ts'
import { firstPackages, Package } from './packages.ts'
import { paged } from './paged.ts'
import { migrations, Shelf } from './shelf.ts'
import { admitted, forget, velocityMigrations } from './velocity.ts'

const settings = Type.Object({
  streamerBps: Type.Integer({
    minimum: 0,
    maximum: 10_000,
    default: 5_000,
    description: "A streamer's share without a contract.",
  }),
  giftCoinMax: Type.Integer({ minimum: 1, maximum: coinMax, default: 100_000, description: 'Most coins of one send.' }),
  giftCoinMinuteMax: Type.Integer({
    minimum: 0,
    maximum: coinMax,
    default: 500_000,
    description: 'Most coins that a user gives in one minute, in all rooms together.',
  }),
  giftCoinDayMax: Type.Integer({
    minimum: 0,
    maximum: coinMax,
    default: 1_000_000,
    description: "Most coins of a day, from midnight of the platform's clock; an operator may say otherwise for a user.",
  }),
  levels: Ladder,
  rechargesMax: Type.Integer({
    minimum: 1,
    maximum: 1_000,
    default: 5,
    description: 'Most recharges that a user starts within `rechargeWindowMinutes`.',
  }),
  rechargeWindowMinutes: Type.Integer({ minimum: 1, maximum: 1_440, default: 10, description: 'See `rechargesMax`.' }),
  packages: Type.Array(Package, { maxItems: 50, default: firstPackages, description: 'What coins are sold in.' }),
  providers: Type.Array(Type.String({ minLength: 1, maxLength: 32 }), {
    maxItems: 16,
    default: ['fake'],
    description: 'Payment providers that are offered, by their names in the engine.',
  }),
})
type Ctx = Context<typeof settings>

const reloadEveryMs = 1_000
const contractsMax = 10_000
/** Less than the budgets of what waits for it. */
const levelMsMax = 400

/** What the engine asks with a gift; it has checked it. */
interface Asked {
  giftId: string
  count: number
  to: string
  ownerId: string
}

type Known = { shelf: Shelf; limits: Limits }
function price(
  { shelf, limits }: Known,
  d: Asked,
  { at, userId, room }: { at: number; userId: string; room: string },
  ctx: Ctx,
): ChargeAnswer | Promise<ChargeAnswer> {
  const { giftId, count, to, ownerId } = d
  const own = limits.of(userId)
  if (own.giftingOff) return deny('gift.user_disabled')
  const offer = shelf.catalogue.offer(giftId, { ownerId, roomId: room, at })
  if ('code' in offer) return deny(offer.code)
  const { item, version } = offer
  const valueCoin = item.priceCoin * count
  if (count > item.countMax) return deny('gift.not_available', `At most ${item.countMax} of these at once.`)
  if (valueCoin > ctx.settings.giftCoinMax) return deny('limit.exceeded', `At most ${ctx.settings.giftCoinMax} coins at once.`)
  const { streamerBps, guildId, guildBps, version: contractVersion } = shelf.contracts.sharesAt(to, at, ctx.settings)
  const post: ChargeAnswer = {
    kind: 'post',
    template: {
      valueCoin,
      payFrom: [`user.${userId}.coin.bonus`, `user.${userId}.coin.paid`],
      split: [{ to: `streamer:${to}`, bps: streamerBps }, ...(guildBps > 0 ? [{ to: `guild:${guildId}`, bps: guildBps }] : [])],
      contractVersion,
      catalogVersion: String(version),
      limits: {
        minuteCoinMax: ctx.settings.giftCoinMinuteMax,
        dayCoinMax: dayMaxOf(own, { dayCoinMax: ctx.settings.giftCoinDayMax, at }),
      },
      show: {
        name: item.name,
        unitCoin: item.priceCoin,
        effectId: item.effectId,
        comboable: item.comboable,
        comboTimeoutMs: item.comboTimeoutMs,
      },
    },
  }
  return item.minLevel === 0 ? post : ifOfLevel(item.minLevel, userId, post, ctx)
}

/**
 * Undefined when the table cannot be asked, or not soon: the engine leaves a plugin out for a while that is late again and again, and then
 * nobody could give anything.
 */
async function levelNow(userId: string, { db, log, settings }: Ctx): Promise<number | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(resolve, levelMsMax, undefined)))
  try {
    const givenCoin = await Promise.race([givenBy(db, userId), late])
    return givenCoin === undefined ? undefined : levelOf(givenCoin, settings.levels)
  } catch (error) {
    log.warn({ err: error, userId }, 'the level cannot be read')
    return undefined
  } finally {
    clearTimeout(timer)
  }
}

async function ifOfLevel(minLevel: number, userId: string, answer: ChargeAnswer, ctx: Ctx): Promise<ChargeAnswer> {
  const level = await levelNow(userId, ctx)
  if (level === undefined) return deny('billing.unavailable', 'Levels cannot be read now.')
  return level >= minLevel ? answer : deny('gift.level_required', `From level ${minLevel} on; you are on level ${level}.`)
}

const shown = ({ id, name, priceCoin, kind, comboable, effectId, tags, countMax, minLevel }: GiftItem) => ({
  ...{ id, name, priceCoin, kind, comboable, tags: [...tags], countMax },
  ...(effectId === '' ? {} : { effectId }),
  ...(minLevel === 0 ? {} : { minLevel }),
})

/** What a user can be told of why there is no checkout; anything else is a failure, and logged. */
function asRefusal(error: unknown, provider: string): unknown {
  const { code, message } = Object(error) as { code?: unknown; message?: unknown }
  if (code === 'billing.unavailable' || code === 'rate.limited') return refuse(code, 'Nothing can be paid now.', 1_000)
  if (code === 'idem.conflict') return refuse(code, String(message))
  if (code === 'request.invalid') return refuse('recharge.unknown_provider', `${provider} cannot take this now.`)
  return error
}

function userId(text: string): string {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(text)) throw refuse('request.invalid', 'user: 1 to 64 letters, digits, _ and -')
  return text
}

/** A plugin with a memory of its own. */
export function monetization() {
  const shelf = new Shelf()
  const limits = new Limits()
  let timer: NodeJS.Timeout | undefined
  const look = ({ db, log }: Ctx) => {
    Promise.all([shelf.load(db), limits.load(db)]).catch((error) =>
      log.warn({ err: error }, 'catalogue, contracts and limits cannot be read: the old ones stay'),
    )
  }
  const limitsNow = (userId: string, at: number, { settings }: Ctx) => {
    const known = limits.of(userId)
    const [own, day] = [ownAt(known, at), dayMaxOf(known, { dayCoinMax: settings.giftCoinDayMax, at })]
    const waits = known.laterAt > at ? { laterDayCoinMax: known.later, laterAt: known.laterAt } : {}
    return { giftingOff: known.giftingOff, dayCoinMax: day, ownDayCoinMax: own, ...waits }
  }

  return definePlugin({
    name: 'monetization',
    version: '1.2.0',
    description: 'Gift catalogue, prices, splits, limits of spending, levels of users and packages of coins.',
    settings,
    domains: ['recharge'],
    calls: ['engine.pay.create'],
    migrations: [...migrations, ...limitMigrations, ...velocityMigrations, ...levelMigrations],
    async start(ctx) {
      await shelf.start(ctx.db)
      await limits.load(ctx.db)
      // A schedule runs on one instance; this is for each of them.
      timer = setInterval(look, reloadEveryMs, ctx).unref()
    },
    stop() {
      clearInterval(timer)
    },
    charges: {
      'gift.send': {
        budgetMs: 800,
        run: ({ d, at, from, room }, ctx) =>
          price({ shelf, limits }, d as unknown as Asked, { at, userId: from.userId, room }, ctx),
      },
    },
    transforms: {
      'gift.list': {
        order: 50,
        budgetMs: 100,
        run: ({ d, at, room }) => ({
          version: String(shelf.catalogue.version),
          items: shelf.catalogue.list({ ownerId: d.ownerId, roomId: room, at }).map(shown),
        }),
      },
      'wallet.get': {
        order: 50,
        budgetMs: 500,
        async run({ from }, ctx) {
          const level = await levelNow(from.userId, ctx)
          return level === undefined ? undefined : { level }
        },
      },
    },
    events: {
      'gift.sent': {
        budgetMs: 60_000,
        run: ({ d: { txId, from, valueCoin } }, ctx) => count(ctx.db, { txId, userId: from.id, coin: valueCoin }),
      },
    },
    commands: {
      'recharge.packages': {
        d: Type.Object({}),
        room: false,
        who: 'anyone',
        budgetMs: 1_000,
        run: (_, { settings: { packages, providers } }) => ({ packages, providers }),
      },
      'recharge.create': {
        d: Type.Object({ packageId: Type.String({ maxLength: 64 }), provider: Type.String({ maxLength: 32 }) }),
        room: false,
        budgetMs: 4_000,
        async run({ d: { packageId, provider }, from, ik, at }, ctx) {
          if (ik === undefined) throw refuse('idem.key_required', 'A recharge needs an ik.')
          const wanted = ctx.settings.packages.find(({ id }) => id === packageId)
          if (!wanted) throw refuse('recharge.unknown_package', 'There is no such package.')
          if (!ctx.settings.providers.includes(provider)) throw refuse('recharge.unknown_provider', 'There is no such provider.')
          const { priceMinor, coins, bonusCoins } = wanted
          const { userId } = from
          const { rechargesMax: max, rechargeWindowMinutes } = ctx.settings
          const waitMs = await admitted(ctx.db, { userId, ik, at }, { max, windowMs: rechargeWindowMinutes * 60_000 })
          if (waitMs > 0) throw refuse('rate.limited', 'Too many recharges were started.', waitMs)
          try {
            return await ctx.pay.create({ userId, provider, priceMinor, coins, bonusCoins, ik })
          } catch (error) {
            // The same key asked for something else: the first one counts on.
            if (Object(error).code !== 'idem.conflict') await forget(ctx.db, { userId, ik })
            throw asRefusal(error, provider)
          }
        },
      },
      'x.monetization.get_limit': {
        d: Type.Object({}),
        room: false,
        budgetMs: 1_000,
        run: ({ from, at }, ctx) => limitsNow(from.userId, at, ctx),
      },
      'x.monetization.set_limit': {
        d: Type.Object({ dayCoinMax: Type.Integer({ minimum: -1, maximum: coinMax }) }),
        room: false,
        budgetMs: 2_000,
        async run({ d: { dayCoinMax }, from, at }, ctx) {
          await limits.change(ctx.db, from.userId, (known) => withOwn(known, dayCoinMax, at))
          return limitsNow(from.userId, at, ctx)
        },
      },
    },
    routes: {
      'GET /limits/:user': {
        summary: 'What one user may give: `dayCoinMax` holds today, -1 in `ownDayCoinMax` is none of their own.',
        run: ({ params: { user = '' } }, ctx) => ({ body: limitsNow(userId(user), ctx.clock.now(), ctx) }),
      },
      'PUT /limits/:user': {
        summary:
          'Switch gifts off for a user (`giftingOff`), or set their `dayCoinMax` in place of that of the settings (-1: no more).',
        async run({ params: { user = '' }, body }, ctx) {
          await limits.change(ctx.db, userId(user), (known) => {
            const made = withOperators(known, body)
            if (typeof made === 'string') throw refuse('request.invalid', made)
            return made
          })
          return { body: limitsNow(user, ctx.clock.now(), ctx) }
        },
      },
      'GET /levels/:user': {
        summary: 'The level of a user, the coins that they gave in all, and with how many the next one begins.',
        async run({ params: { user = '' } }, { db, settings }) {
          const givenCoin = await givenBy(db, userId(user))
          const next = nextLevelAt(givenCoin, settings.levels)
          const rest = next === undefined ? {} : { nextLevelCoin: next }
          return { body: { level: levelOf(givenCoin, settings.levels), givenCoin, ...rest } }
        },
      },
      'GET /gifts': {
        summary: 'The catalogue by id, retired gifts too; `after` for the next page.',
        run: ({ query }) => ({ body: { version: shelf.catalogue.version, ...paged(shelf.catalogue.all(), query) } }),
      },
      'PUT /gifts/:id': {
        summary: 'Add or change a gift. Accepted sends keep the price that they had.',
        async run({ params: { id = '' }, body }, ctx) {
          await shelf.change(ctx.db, () => {
            const item = changedItem(id, shelf.catalogue.get(id), body)
            if (typeof item === 'string') throw refuse('request.invalid', item)
            if (!shelf.catalogue.has(id) && shelf.catalogue.isFull) throw refuse('limit.exceeded', 'The catalogue is full.')
            return shelf.putGift(ctx.db, item)
          })
          return { body: { version: shelf.catalogue.version, item: shelf.catalogue.get(id) } }
        },
      },
      'GET /contracts': {
        summary: 'Shares of streamers and their guilds by id; `after` for the next page, `streamerId` for those of one.',
        run: ({ query }) => {
          const { streamerId } = query
          const found = typeof streamerId === 'string' ? shelf.contracts.of(streamerId) : shelf.contracts.all()
          return { body: paged(found, query) }
        },
      },
      'PUT /contracts/:id': {
        summary: 'Set the shares of a streamer for a time. Gifts accepted before keep theirs.',
        async run({ params: { id = '' }, body }, ctx) {
          const contract = contractOf(id, body)
          if (typeof contract === 'string') throw refuse('request.invalid', contract)
          await shelf.change(ctx.db, () => {
            const problem = contractProblem(contract, shelf.contracts.of(contract.streamerId))
            if (problem !== undefined) throw refuse('request.invalid', problem)
            const isFull = shelf.contracts.size >= contractsMax && !shelf.contracts.has(id)
            if (isFull) throw refuse('limit.exceeded', `There are ${contractsMax} contracts.`)
            return shelf.putContract(ctx.db, contract)
          })
          return { body: { contract } }
        },
      },
    },
  })
}

export default monetization()
