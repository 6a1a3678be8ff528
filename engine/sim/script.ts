/**
 * What the simulated people do: one action a step, drawn from the seed.
 *
 * People come, speak, leave, come back with or without a resume, read slowly, lose their line; staff mutes, kicks, removes, opens and
 * closes; strangers send rubbish and floods; now and then a room is hot for a while, or quiet. Operators attach, detach and disable
 * plugins, whose moods change.
 *
 * They recharge and give: alone and together, in combos, with keys that are used again for the same and for another gift. Prices,
 * contracts and the mood of whoever charges change meanwhile; the ledger fails, and nodes are killed (`killing`).
 */
import { type Random, randomInt } from '../base/random.ts'
import type { LedgerOp } from '../ledger/ops.ts'
import { noLedgerFaults } from './ledger.ts'
import { fickleNames, moods, type SimPluginName, steadyNames } from './plugins.ts'
import { shopMoods, shopName } from './shop.ts'
import type { Asked, Viewer } from './viewer.ts'
import { ownerId, patrolId, roomIds, staffId, viewerIds, type World } from './world.ts'

type Draft = Record<string, unknown>
interface Action {
  weight: number
  name: string
  run(script: Script): void | Promise<void>
}

const viewersMax = 18
const fewViewers = 6
const longTokenMs = 3_600_000
const shortTokenMs = 4_000

/** Before the first step: some are rich, some can give little. */
export function fund(script: Script): void {
  for (const [at, userId] of [...viewerIds, staffId].entries()) if (at < 8) recharge(script, userId, at < 4 ? 100_000 : 40)
}

export class Script {
  readonly world: World
  readonly random: Random
  #texts = 0
  #moodSteps = 0
  mood: 'quiet' | 'lively' | 'hot' = 'lively'
  /** Where somebody was, for a resume. */
  readonly left: { userId: string; room: string; epoch: number; seq: number }[] = []

  constructor(world: World) {
    this.world = world
    this.random = world.random
  }

  async step(): Promise<void> {
    if (this.#moodSteps-- <= 0) {
      this.mood = this.pick(['quiet', 'lively', 'lively', 'hot'] as const)
      this.#moodSteps = 10 + randomInt(this.random, 40)
    }
    // Who was cut off comes back.
    const action = this.world.live.length < fewViewers && this.chance(0.5) ? comeAction : this.#draw()
    this.world.trace(`step ${action.name}`)
    await action.run(this)
    if (this.mood === 'hot') for (let i = 0; i < 3; i++) speak(this)
    await this.world.clock.advanceAsync(this.#pauseMs())
  }

  #pauseMs(): number {
    const dice = this.random.float()
    if (this.mood === 'hot') return randomInt(this.random, 40)
    if (dice < 0.02) return 1_000 + randomInt(this.random, 3_000)
    return this.mood === 'quiet' ? randomInt(this.random, 400) : randomInt(this.random, 80)
  }

  #draw(): Action {
    let left = randomInt(this.random, weightSum)
    for (const action of actions) {
      left -= action.weight
      if (left < 0) return action
    }
    return actions[0] as Action
  }

  chance(probability: number): boolean {
    return this.random.float() < probability
  }

  pick<T>(list: readonly T[]): T {
    return list[randomInt(this.random, list.length)] as T
  }

  room(): string {
    return this.chance(0.01) ? 'nowhere' : this.chance(0.7) ? roomIds[0] : roomIds[1]
  }

  /** Somebody with a session. */
  somebody(): Viewer | undefined {
    const open = this.world.live.filter((viewer) => viewer.isOpen)
    return open.length === 0 ? undefined : this.pick(open)
  }

  /** Somebody in a room, and which. */
  inRoom(userId?: string): { viewer: Viewer; room: string } | undefined {
    const places = this.world.live.flatMap((viewer) =>
      userId === undefined || viewer.userId === userId ? [...viewer.stays.keys()].map((room) => ({ viewer, room })) : [],
    )
    return places.length === 0 ? undefined : this.pick(places)
  }

  text(prefix: string): string {
    return `${prefix} ${++this.#texts}`
  }

  person(): string {
    return this.pick([...viewerIds, ...viewerIds, staffId, ownerId, 'stranger'])
  }
}

// ---------------------------------------------------------------- coming and going

export async function arrive(script: Script, userId?: string): Promise<Viewer> {
  const { world } = script
  const viewer = world.connect()
  if (userId === undefined && script.chance(0.25)) {
    viewer.send('session.open', script.chance(0.5) ? { deviceId: script.pick(['d1', 'd2', 'd3', 'd4']) } : {})
  } else {
    const who = userId ?? script.pick([...viewerIds, ownerId, staffId, patrolId])
    viewer.send('session.open', { token: await world.token(who, script.chance(0.05) ? shortTokenMs : longTokenMs) })
  }
  return viewer
}

async function come(script: Script): Promise<void> {
  if (script.world.live.length >= viewersMax) return leaveForGood(script)
  const viewer = await arrive(script)
  // Open, join and the first words in one breath.
  viewer.send('room.join', script.chance(0.3) ? { source: 'search' } : {}, script.room())
  if (script.chance(0.3)) viewer.send('danmaku.send', { text: script.text('first') }, roomIds[0])
  await script.world.verified(viewer)
}

async function comeBack(script: Script): Promise<void> {
  const place = script.left.pop()
  if (!place || script.world.live.length >= viewersMax) return
  const viewer = await arrive(script, place.userId)
  viewer.send('room.join', { resume: { epoch: place.epoch, seq: place.seq } }, place.room)
  await script.world.verified(viewer)
}

function remember(script: Script, viewer: Viewer): void {
  for (const { room, epoch, lastSeq } of viewer.stays.values())
    if (!viewer.anonymous) script.left.push({ userId: viewer.userId, room, epoch, seq: lastSeq })
  if (script.left.length > 10) script.left.shift()
}

function leaveForGood(script: Script): void {
  const viewer = script.world.live.length > 0 ? script.pick(script.world.live) : undefined
  if (!viewer) return
  remember(script, viewer)
  viewer.socket.cut(script.chance(0.5) ? 0 : randomInt(script.random, 2_000))
}

function join(script: Script): void {
  const viewer = script.somebody()
  if (!viewer) return
  const room = script.room()
  const stay = viewer.stays.get(room)
  const resume = stay && script.chance(0.3) ? { resume: { epoch: stay.epoch, seq: stay.lastSeq } } : {}
  viewer.send('room.join', resume, room)
}

function leave(script: Script): void {
  const place = script.inRoom()
  if (!place) return
  place.viewer.send('room.leave', {}, place.room)
  if (script.chance(0.3)) place.viewer.send('room.join', {}, place.room)
}

// ---------------------------------------------------------------- speaking

function speak(script: Script): void {
  const place = script.inRoom()
  if (!place) return
  const { viewer, room } = place
  const d: Draft = { text: script.text('say') }
  if (script.chance(0.2)) d.replyTo = viewer.recent.length > 0 ? script.pick(viewer.recent) : 'none'
  if (script.chance(0.1)) d.color = script.pick([0xffffff, 0xff5252, 0x123456])
  if (script.chance(0.05)) d.text = script.pick(['', ' \u200b ', 'x'.repeat(60), 'the same', '\ud800 alone'])
  if (script.chance(0.05)) d.emoteId = script.pick(['clap', 'no_such'])
  viewer.send('danmaku.send', d, room)
}

function speakWithKey(script: Script): void {
  const place = script.inRoom()
  if (!place || place.viewer.anonymous) return
  const text = script.text('key')
  for (let i = script.chance(0.3) ? 2 : 1; i > 0; i--) place.viewer.send('danmaku.send', { text }, place.room, text)
}

/** Answers were lost: the same keys again, from another session of the user if the first is gone. */
function retry(script: Script): void {
  for (const viewer of script.world.viewers) {
    for (const asked of viewer.retries.splice(0)) {
      const again = script.inRoom(viewer.userId)
      if (again && again.room === asked.room) again.viewer.send(asked.t, asked.d, asked.room, asked.ik)
      else if (script.chance(0.8)) viewer.retries.push(asked)
    }
  }
}

function crowdSpeaks(script: Script): void {
  for (let i = 0; i < 12; i++) speak(script)
}

function like(script: Script): void {
  const place = script.inRoom()
  place?.viewer.send(script.chance(0.8) ? 'like.tap' : 'share.report', {}, place.room)
}

function read(script: Script): void {
  const viewer = script.somebody()
  if (script.chance(0.3)) viewer?.send('session.ping', { at: 1 })
  else if (script.chance(0.5)) viewer?.send('room.list', {})
  else viewer?.send('room.list_restrictions', {}, script.room())
}

// ---------------------------------------------------------------- keeping order

function moderate(script: Script): void {
  const place = script.inRoom(script.pick([ownerId, staffId, patrolId])) ?? script.inRoom()
  if (!place) return
  const { viewer, room } = place
  const userId = script.person()
  const [t, d] = script.pick<[string, Draft]>([
    ['room.mute', { userId, durationMs: script.pick([0, -1, 500, 3_000]) }],
    ['room.unmute', { userId }],
    ['room.unmute', { userId }],
    ['room.kick', { userId, banMs: script.pick([0, 0, 1_000, 5_000, -1]) }],
    ['room.unban', { userId }],
    ['room.unban', { userId }],
    ['danmaku.remove', script.chance(0.5) ? { userId } : { id: script.pick([...viewer.recent, 'none']) }],
    [
      'wall.show',
      script.chance(0.7)
        ? { messageId: script.pick([...viewer.recent, 'none']), showMs: 2_000 }
        : { text: 'hello', showMs: 2_000 },
    ],
    ['wall.hide', {}],
    ['room.set_settings', script.chance(0.5) ? { slowModeMs: script.pick([0, 0, 300]) } : { like: script.chance(0.7) }],
    ['room.set_settings', { muteAll: script.chance(0.2), uniqueChat: script.chance(0.2) }],
    ['room.update', { title: script.text('title') }],
    ['room.grant_role', { userId, role: script.pick(['admin', 'assistant']) }],
    ['room.revoke_role', { userId, role: script.pick(['admin', 'assistant']) }],
  ])
  viewer.send(t, d, room)
}

/** Closed rooms do not stay closed: a room without people shows nothing. */
function openOrClose(script: Script): void {
  const room = script.pick(roomIds)
  void script.world.homes.call(room, {
    t: script.chance(0.2) ? 'room.close' : 'room.open',
    d: {},
    actor: { userId: ownerId, name: 'Owner', anonymous: false, scope: [] },
  })
}

function shadow(script: Script): void {
  const { shadowing, pondering } = script.world
  const set = script.chance(0.6) ? shadowing : pondering
  const userId = script.pick(viewerIds)
  if (!set.delete(userId)) set.add(userId)
}

// ---------------------------------------------------------------- plugins

function play(script: Script): void {
  const place = script.inRoom()
  if (!place) return
  const { viewer, room } = place
  const ik = script.chance(0.3) && !viewer.anonymous ? script.text('play') : undefined
  if (script.chance(0.2)) viewer.send('x.game.look', {})
  else viewer.send('x.game.play', script.chance(0.9) ? { n: randomInt(script.random, 100) } : { n: 'many' }, room, ik)
}

function changeMood(script: Script): void {
  const gate = script.pick(['gate-open', 'gate-closed'] as const)
  script.world.plugins.moods[gate] = script.chance(0.3) ? 'allow' : script.pick(moods)
}

function changePlugins(script: Script): void {
  const change = script.pick(['attach', 'attach', 'attach', 'detach', 'disable', 'enable', 'stop', 'die'] as const)
  // Who notes every question is there all the time, in one version or the next.
  const steady = [...steadyNames, shopName]
  const names: readonly (SimPluginName | typeof shopName)[] =
    change === 'attach' ? [...fickleNames, ...fickleNames, ...steady] : fickleNames
  const name = script.pick(names)
  script.world.trace(`${change} ${name}`)
  void script.world.host.change(change, name)
}

// ---------------------------------------------------------------- money

const giftIds = ['heart', 'rose', 'rose', 'drink', 'lantern', 'fireworks', 'rocket', 'moon', 'nothing']
const comboIds = ['combo-1', 'combo-2']

function giftOf(script: Script): Draft {
  const d: Draft = { giftId: script.pick(giftIds) }
  if (script.chance(0.4)) d.count = script.pick([1, 2, 10, 66, 1_314])
  if (script.chance(0.05)) d.count = script.pick([0, -1, 1_315])
  if (script.chance(0.15)) d.comboId = script.pick(comboIds)
  if (script.chance(0.05)) d.to = script.pick([ownerId, 'somebody'])
  return d
}

/** One, or several of the same: a combo, which others join in. */
function give(script: Script): void {
  const place = script.inRoom()
  if (!place) return
  const d = giftOf(script)
  const friends = script.chance(0.3) ? [place, script.inRoom() ?? place] : [place]
  for (let i = script.chance(0.4) ? 4 : 1; i > 0; i--)
    for (const { viewer, room } of friends) {
      if (viewer.anonymous && script.chance(0.9)) continue
      const ik = script.text('gift')
      for (let n = script.chance(0.2) ? 2 : 1; n > 0; n--) viewer.send('gift.send', d, room, ik.replace(' ', '-'))
    }
}

/** The key of an earlier gift of theirs, for the same or for another one, here or in another room. */
function reuseKey(script: Script): void {
  const place = script.inRoom()
  if (!place || place.viewer.anonymous) return
  const keys = script.world.money.keysOf(place.viewer.userId)
  if (keys.length > 0) place.viewer.send('gift.send', giftOf(script), place.room, script.pick(keys))
}

/** As a payment provider calls back: until it is told that it was heard. */
function recharge(script: Script, userId: string = script.pick(viewerIds), coins: number = script.pick([5, 100, 2_000])): void {
  const { world } = script
  const bonus = script.chance(0.5) ? Math.ceil(coins / 10) : 0
  const txId = script.text('recharge').replace(' ', '-')
  world.money.recharging(txId, userId, coins + bonus)
  const transfers = [
    { dr: 'ext.psp.fake', cr: 'plat.deferred', amount: BigInt(coins * 10) },
    { dr: 'coin.issued', cr: `user.${userId}.coin.paid`, amount: BigInt(coins) },
    ...(bonus > 0 ? [{ dr: 'coin.issued', cr: `user.${userId}.coin.bonus`, amount: BigInt(bonus) }] : []),
  ]
  const at = world.clock.now()
  const origin = { actor: userId, command: 'recharge', ik: txId, bodyHash: txId }
  post(script, { op: 'post', txId, at, action: 'recharge', origin, transfers }, script.chance(0.3) ? 2 : 1)
}

const postAgainMs = 700
/** `times`: at once; and again for as long as it is not known to be there. */
function post(script: Script, op: LedgerOp, times = 1): void {
  const { world } = script
  let isHeard = false
  const { current } = world.ledger
  for (let i = 0; i < times; i++)
    current.submit(op).then(
      (result) => {
        isHeard = true
        if (!result.ok && result.code !== 'wallet.insufficient' && !result.code.startsWith('ledger.'))
          world.broken('M12', `${op.op}: ${result.code}`)
      },
      () => {},
    )
  world.clock.after(postAgainMs, () => isHeard || post(script, op))
}

/** Some coins of a wallet are set aside, and taken, let go, or forgotten until their time is over. */
function hold(script: Script): void {
  const { world } = script
  const userId = script.pick(viewerIds)
  const at = world.clock.now()
  const holdId = script.text('hold').replace(' ', '-')
  const own = { at, action: 'freeze', origin: { actor: userId, command: 'freeze' } }
  const transfers = [
    { dr: `user.${userId}.coin.paid`, cr: `user.${userId}.coin.hold`, amount: BigInt(1 + randomInt(script.random, 50)) },
  ]
  world.money.counts.holds++
  post(script, { ...own, op: 'hold', txId: holdId, transfers, expiresAt: at + 2_000 })
  const later = script.pick(['post_hold', 'void_hold', 'expire', 'expire'] as const)
  world.clock.after(randomInt(script.random, 3_000), () => {
    const now = world.clock.now()
    if (later === 'expire') post(script, { op: 'expire', at: now, limit: 10 })
    else post(script, { ...own, at: now, op: later, txId: `${holdId}-end`, holdId })
  })
}

/** An operator gives a gift back: once, however often it is asked. */
function refund(script: Script): void {
  const { world } = script
  const gifts = [...world.money.gifts.keys()]
  if (gifts.length === 0) return
  const refunded = world.billing.refundGift(script.pick(gifts), { by: staffId, reason: 'a mistake' })
  refunded.then(
    (answer) => world.trace(`refund ${answer.ok ? 'ok' : answer.code}`),
    () => {},
  )
}

function changePrices(script: Script): void {
  const { shop } = script.world
  const priceCoin = script.pick([1, 7, 10, 30, 99, 1_000])
  if (script.chance(0.7))
    shop.putGift(script.pick(['rose', 'drink', 'moon']), { name: 'Gift', priceCoin, retired: script.chance(0.2) })
  else shop.mood = script.pick(shopMoods)
}

function changeContracts(script: Script): void {
  const { shop, clock } = script.world
  const streamerBps = script.pick([0, 3_333, 5_000, 8_000])
  const hasGuild = script.chance(0.6)
  const guild = hasGuild ? { guildId: 'red', guildBps: script.pick([0, 1, 1_999]) } : { guildId: '', guildBps: 0 }
  const now = clock.now()
  const window = script.pick([
    { fromAt: 0, toAt: 0 },
    { fromAt: now, toAt: now + 5_000 },
    { fromAt: now + 5_000, toAt: 0 },
  ])
  shop.putContract(script.pick(['c1', 'c2']), { streamerId: ownerId, streamerBps, ...guild, ...window })
}

function readMoney(script: Script): void {
  const place = script.inRoom()
  if (!place) return
  const [t, d] = script.pick<[string, Draft]>([
    ['wallet.get', {}],
    ['gift.list', {}],
    ['rank.get', { board: script.pick(['live', 'day', 'week', 'total', 'none']) }],
  ])
  if (t !== 'wallet.get') place.viewer.send(t, d, place.room)
  else if (!place.viewer.anonymous) place.viewer.send(t, d)
}

function troubleLedger(script: Script): void {
  const { world } = script
  const { ledger } = world
  if (!weather.get(world)) return
  const storm = {
    dieBefore: script.pick([0, 0.1]),
    dieAfter: script.pick([0, 0.2]),
    hang: script.pick([0, 0.1, 0.5]),
    stayClosed: 0.3,
    failRead: script.pick([0, 0.3]),
  }
  ledger.faults = script.chance(0.5) ? noLedgerFaults : storm
  ledger.isFull = script.chance(0.2)
  // Long enough for some to meet it, and short enough for something to be paid in a run.
  world.clock.after(randomInt(script.random, 2_000), () => {
    ledger.isFull = false
  })
}

/** Runs in which nodes are killed. */
export const killing = new WeakMap<World, boolean>()
const killsMax = 4

function kill(script: Script): void {
  const { world } = script
  if (!killing.get(world) || world.kills >= killsMax) return
  const what = script.pick(['home', 'process'] as const)
  // At times back before the ledger has answered what the one before handed to it.
  const downMs = randomInt(script.random, script.pick([8, 8, 300, 300, 3_000]))
  const stepMs = script.chance(0.5) ? 0 : script.pick([-120_000, -1_000, 90_000, 86_400_000])
  const strike = () => void world.kill(what, { downMs, stepMs })
  // Something is on its way: between the wallet and the disk, or between the disk and the room's log. At times it is still at the disk
  // when the next home is there, and has read all that there was.
  if (script.chance(0.5)) hang(script)
  for (let i = 0; i < 4; i++) give(script)
  if (script.chance(0.1)) strike()
  else world.clock.after(randomInt(script.random, 80), strike)
}

function hang({ world, random }: Script): void {
  const { ledger, clock } = world
  ledger.faults = { ...ledger.faults, hang: 1 }
  clock.after(randomInt(random, 200), () => {
    ledger.faults = { ...ledger.faults, hang: 0 }
  })
}

/** At the end: whatever was not answered yet is asked once more, with its key. */
export async function askAgain(script: Script): Promise<void> {
  const { world } = script
  const open = world.viewers.flatMap((viewer) => viewer.retries.splice(0).map((asked) => ({ viewer, asked })))
  for (const { viewer, asked } of open) if (asked.t === 'gift.send') await giveAgain(world, viewer, asked)
}

async function giveAgain(world: World, viewer: Viewer, asked: Asked): Promise<void> {
  const { room = '', t, d, ik } = asked
  const actor = { userId: viewer.userId, name: viewer.userId.toUpperCase(), anonymous: false, scope: [] }
  const answer = await world.operate(room, t, d, actor, ik)
  const ask = viewer.giftOf(asked)
  if (answer.ok) world.money.acknowledged(ask, answer.d as { txId: string; balanceCoin: number }, answer.replayed === true)
  else world.money.refused(ask, answer.err.code)
}

// ---------------------------------------------------------------- trouble

function changePace(script: Script): void {
  const viewer = script.somebody()
  if (viewer) viewer.socket.pace = viewer.socket.pace === 'fast' ? script.pick(['slow', 'stuck'] as const) : 'fast'
}

const utf8 = new TextEncoder()

function rubbish(script: Script): void {
  const viewer = script.somebody()
  if (!viewer) return
  const bytes = Uint8Array.from({ length: randomInt(script.random, 40) }, () => randomInt(script.random, 256))
  const frame = script.pick<string | Uint8Array>([
    bytes,
    '{"id":"x","t":"danmaku.sned","room":"r1","d":{}}',
    '{"id":"x","t":"danmaku.send","room":"a.b","d":{"text":5}}',
    '{"id":"x","t":"room.mute","room":"r1","d":{"userId":"*","durationMs":1e99}}',
    '[[[[[[[[[[[[1]]]]]]]]]]]]',
    `{"id":"x","t":"danmaku.send","room":"r1","d":{"text":"${'y'.repeat(script.chance(0.1) ? 20_000 : 50)}"}}`,
  ])
  viewer.sendRaw(typeof frame === 'string' ? utf8.encode(frame) : frame, script.chance(0.3) !== (viewer.encoding === 'proto'))
}

function flood(script: Script): void {
  const place = script.inRoom()
  if (!place) return
  const count = script.pick([10, 40, 160])
  for (let i = 0; i < count; i++) place.viewer.send('danmaku.send', { text: script.text('flood') }, place.room)
}

function changeWeather(script: Script): void {
  const { bus } = script.world
  if (!weather.get(script.world)) return
  const drop = script.pick([0, 0.05, 0.2])
  const storm = { drop, repeat: script.pick([0, 0.1]), delay: script.pick([0, 0.5]), delayMsMax: script.pick([20, 400]) }
  bus.faults = script.chance(0.5) ? { drop: 0, repeat: 0, delay: 0, delayMsMax: 0 } : storm
}

/** Whether the bus of a world may misbehave. */
export const weather = new WeakMap<World, boolean>()

const comeAction: Action = { weight: 14, name: 'come', run: come }
const actions: readonly Action[] = [
  comeAction,
  { weight: 5, name: 'come back', run: comeBack },
  { weight: 6, name: 'leave for good', run: leaveForGood },
  { weight: 6, name: 'join', run: join },
  { weight: 4, name: 'leave', run: leave },
  { weight: 24, name: 'speak', run: speak },
  { weight: 10, name: 'speak with a key', run: speakWithKey },
  { weight: 6, name: 'retry', run: retry },
  { weight: 3, name: 'the crowd speaks', run: crowdSpeaks },
  { weight: 8, name: 'like', run: like },
  { weight: 4, name: 'read', run: read },
  { weight: 14, name: 'moderate', run: moderate },
  { weight: 4, name: 'open or close', run: openOrClose },
  { weight: 4, name: 'shadow', run: shadow },
  { weight: 5, name: 'change pace', run: changePace },
  { weight: 10, name: 'play', run: play },
  { weight: 4, name: 'change the mood of a guard', run: changeMood },
  { weight: 4, name: 'change plugins', run: changePlugins },
  { weight: 22, name: 'give', run: give },
  { weight: 8, name: 'reuse a key', run: reuseKey },
  { weight: 4, name: 'recharge', run: (script) => recharge(script) },
  { weight: 2, name: 'hold', run: hold },
  { weight: 2, name: 'refund', run: refund },
  { weight: 4, name: 'change prices', run: changePrices },
  { weight: 3, name: 'change contracts', run: changeContracts },
  { weight: 4, name: 'read money', run: readMoney },
  { weight: 4, name: 'trouble the ledger', run: troubleLedger },
  { weight: 3, name: 'kill', run: kill },
  { weight: 4, name: 'rubbish', run: rubbish },
  { weight: 1, name: 'flood', run: flood },
  { weight: 4, name: 'change the weather', run: changeWeather },
]
const weightSum = actions.reduce((sum, { weight }) => sum + weight, 0)
