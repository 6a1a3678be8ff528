/** The delivery account over several stays of an edge in a room: what was entered once is not entered again, and what was lost is. */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Bus, LocalBus } from '../base/bus.ts'
import { ManualClock, settle } from '../base/clock.ts'
import { idSource, seededRandom } from '../base/random.ts'
import { configFrom } from '../config.ts'
import { Guards } from '../plugin/checks/guards.ts'
import { Transforms } from '../plugin/checks/transforms.ts'
import { DeliveryAccounts, imbalance } from '../room/account.ts'
import type { Answer } from '../room/call.ts'
import { noPluginCommands } from '../room/commands.ts'
import { newMeters } from '../room/home-parts.ts'
import { Homes } from '../room/homes.ts'
import { Scheduler } from '../room/scheduler.ts'
import { openStoreInline, type Store } from '../room/store.ts'
import { Network } from '../sim/network.ts'
import { Edge } from './edge.ts'
import type { Session } from './session.ts'

const operator = { userId: 'engine', name: 'Engine', anonymous: false, scope: ['operator'] }
const config = configFrom({ demoRoom: '', drainMs: 0 })
const onError = (error: unknown) => {
  throw error
}

let clock: ManualClock
let bus: LocalBus
let store: Store
let scheduler: Scheduler
let homes: Homes
let accounts: DeliveryAccounts
const random = seededRandom(1)
const newId = idSource(random)
const hooks = { guards: new Guards(onError), transforms: new Transforms(onError), plugins: noPluginCommands }

beforeEach(async () => {
  clock = new ManualClock()
  bus = new LocalBus(clock, onError)
  store = openStoreInline({ file: ':memory:', roomsMax: 10 })
  scheduler = new Scheduler(clock, onError)
  accounts = new DeliveryAccounts()
  const parts = { clock, newId, bus, store, config, scheduler, accounts, meters: newMeters(), billing: undefined, ...hooks }
  homes = new Homes({ ...parts, onError, onCommitted() {} })
  await homes.start()
  await homes.call(undefined, { t: 'room.create', d: { roomId: 'demo', ownerId: 'host', title: 'Demo' }, actor: operator })
  const opening = homes.call('demo', { t: 'room.open', d: {}, actor: operator })
  await settle()
  await pass()
  expect(await opening).toMatchObject({ ok: true })
})
afterEach(async () => {
  homes.stop()
  scheduler.stop()
  bus.close()
  await store.close()
})

/** More than a tick, less than a request may take. */
async function pass(ms = 300): Promise<void> {
  await clock.advanceAsync(ms)
  await settle()
}

function edgeNamed(edgeId: string, over: Bus = bus): Edge {
  const fanout = new Network(clock)
  const secret = new TextEncoder().encode('a secret of at least thirty-two bytes')
  return new Edge({ edgeId, config, clock, random, newId, bus: over, fanout, accounts, secret, ...hooks, onError })
}

function sessionOf(edge: Edge, userId: string): Session {
  const reader = { onRead() {}, onDiscarded() {}, onClosed() {} }
  const socket = new Network(clock).connect({ encoding: 'json', address: '10.0.0.1' }, reader)
  const session = edge.onSocket(socket)
  session.actor = { userId, name: userId, anonymous: false, scope: [] }
  return session
}

const join = (edge: Edge, session: Session) => new Promise<Answer>((resolve) => edge.relay.join(session, 'demo', {}, resolve))
const leave = (edge: Edge, session: Session) => new Promise<Answer>((resolve) => edge.relay.leave(session, 'demo', resolve))

async function say(text: string): Promise<void> {
  const actor = { userId: 'host', name: 'Host', anonymous: false, scope: [] }
  const said = homes.call('demo', { t: 'danmaku.send', d: { text }, actor })
  await pass()
  expect(await said).toMatchObject({ ok: true })
}

/** In, one danmaku, out. */
async function visit(edge: Edge, text: string): Promise<void> {
  const session = sessionOf(edge, 'ann')
  expect(await join(edge, session)).toMatchObject({ ok: true })
  await say(text)
  expect(await leave(edge, session)).toMatchObject({ ok: true })
}

const danmaku = (kind: 'offered' | 'written' | 'lost') => accounts.of('demo')[kind][1]

it('an edge that comes back has nothing to remember, and neither has one of the same name that was started anew', async () => {
  const edge = edgeNamed('e1')
  await visit(edge, 'one')
  await visit(edge, 'two')
  expect(edge.relay.rooms).toBe(0)
  await visit(edgeNamed('e1'), 'three')
  expect(imbalance(accounts.of('demo'))).toEqual([0, 0, 0])
  expect([danmaku('offered'), danmaku('written'), danmaku('lost')]).toEqual([3, 3, 0])
})

it('what was offered behind a join whose answer was lost is lost, and nothing of the stay before it', async () => {
  let losing = false
  const lossy: Bus = {
    publish: (subject, message) => bus.publish(subject, message),
    subscribe: (pattern, handler) => bus.subscribe(pattern, handler),
    request(subject, message, options, onAnswer) {
      const isLost = losing
      if (isLost) clock.after(options.timeoutMs, () => onAnswer(undefined))
      bus.request(subject, message, options, (answer) => isLost || onAnswer(answer))
    },
    close() {},
  }
  const edge = edgeNamed('e1', lossy)
  await visit(edge, 'seen')
  const session = sessionOf(edge, 'ann')
  losing = true
  const joining = join(edge, session)
  await say('not seen')
  await pass(config.requestTimeoutMs)
  expect(await joining).toMatchObject({ err: { code: 'room.unavailable' } })
  // The leave is told until it is heard.
  losing = false
  await pass(config.requestTimeoutMs)
  expect(edge.relay.rooms).toBe(0)
  expect(homes.find('demo')?.presence.members.size).toBe(0)
  expect([danmaku('offered'), danmaku('written'), danmaku('lost')]).toEqual([2, 1, 1])

  await visit(edge, 'seen again')
  expect(imbalance(accounts.of('demo'))).toEqual([0, 0, 0])
  expect([danmaku('offered'), danmaku('written'), danmaku('lost')]).toEqual([3, 2, 1])
})

it('a leave is told with growing pauses while nobody listens, and heard when the home is back', async () => {
  let asked = 0
  let isDeaf = false
  const cut: Bus = {
    publish: (subject, message) => bus.publish(subject, message),
    subscribe: (pattern, handler) => bus.subscribe(pattern, handler),
    request(subject, message, options, onAnswer) {
      asked++
      if (isDeaf) queueMicrotask(() => onAnswer(undefined))
      else bus.request(subject, message, options, onAnswer)
    },
    close() {},
  }
  const edge = edgeNamed('e1', cut)
  const session = sessionOf(edge, 'ann')
  expect(await join(edge, session)).toMatchObject({ ok: true })
  isDeaf = true
  asked = 0
  expect(await leave(edge, session)).toMatchObject({ err: { code: 'room.unavailable' } })
  await pass(1_000)
  expect(asked).toBeLessThan(7)
  expect(homes.find('demo')?.presence.members.size).toBe(1)
  isDeaf = false
  await pass(1_000)
  expect(homes.find('demo')?.presence.members.size).toBe(0)
  expect(edge.relay.rooms).toBe(0)
})
