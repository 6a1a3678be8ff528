/** The order of a room, and that a fault of one keeps nobody else's tick. */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { subjects } from '../../schemas/subjects.ts'
import { LocalBus } from '../base/bus.ts'
import { ManualClock, settle } from '../base/clock.ts'
import { idSource, seededRandom } from '../base/random.ts'
import { configFrom } from '../config.ts'
import { Guards } from '../plugin/checks/guards.ts'
import { Transforms } from '../plugin/checks/transforms.ts'
import { DeliveryAccounts } from './account.ts'
import { noPluginCommands } from './commands.ts'
import type { FrameHead } from './frames.ts'
import type { Home } from './home.ts'
import { newMeters } from './home-parts.ts'
import { Homes } from './homes.ts'
import { Scheduler } from './scheduler.ts'
import { openStoreInline, type Store } from './store.ts'

const config = configFrom({ demoRoom: '' })
let clock: ManualClock
let bus: LocalBus
let store: Store
let scheduler: Scheduler
let homes: Homes
let home: Home
let faults: string[]
let frames: FrameHead[]

const pass = async () => {
  await clock.advanceAsync(config.tickMsMax)
  await settle()
}

beforeEach(async () => {
  faults = []
  frames = []
  const onError = (error: unknown) => void faults.push((error as Error).message)
  clock = new ManualClock()
  bus = new LocalBus(clock, onError)
  store = openStoreInline({ file: ':memory:', roomsMax: 10 })
  scheduler = new Scheduler(clock, onError)
  const newId = idSource(seededRandom(1))
  const hooks = { guards: new Guards(onError), transforms: new Transforms(onError), plugins: noPluginCommands }
  const counted = { accounts: new DeliveryAccounts(), meters: newMeters() }
  homes = new Homes({
    clock,
    newId,
    bus,
    store,
    config,
    scheduler,
    ...counted,
    billing: undefined,
    ...hooks,
    onError,
    onCommitted() {},
  })
  await homes.start()
  bus.subscribe(subjects.roomFrames('demo'), ({ head }) => void frames.push(head as FrameHead))
  const actor = { userId: 'engine', name: 'Engine', anonymous: false, scope: ['operator'] }
  await homes.call(undefined, { t: 'room.create', d: { roomId: 'demo', ownerId: 'host', title: 'Demo' }, actor })
  const session = { sid: 's1', edge: 'e1', encoding: 'json' as const }
  expect(await homes.call('demo', { t: 'room.join', d: {}, actor, session })).toMatchObject({ ok: true })
  home = homes.find('demo') as Home
  await pass()
  frames = []
})
afterEach(async () => {
  homes.stop()
  scheduler.stop()
  bus.close()
  await store.close()
})

const liked = (n: number) => home.event('like.changed', { total: n, delta: 1 })
const roles = (userId: string) => home.event('room.role_changed', { userId, role: 'admin', granted: true, by: 'host' })

it('what stands behind an undecided place waits for it, and a refused one is passed over', async () => {
  const committed: string[] = []
  const decided = (userId: string) => [roles(userId), () => void committed.push(userId)] as const
  const [first, second] = [home.slot(), home.slot()]
  home.decide(...decided('c'))
  home.settle(second)
  await pass()
  expect(committed).toEqual([])
  home.settle(first, ...decided('a'))
  await pass()
  expect(committed).toEqual(['a', 'c'])
  expect(frames.map(({ events }) => events[0])).toEqual([2])
})

it('an answer that fails costs neither the other answers nor the frame', async () => {
  const answered: string[] = []
  home.decide(roles('a'), () => {
    throw new Error('no answer')
  })
  home.decide(roles('b'), () => void answered.push('b'))
  await pass()
  expect(answered).toEqual(['b'])
  expect(frames.map(({ events }) => events[0])).toEqual([2])
  expect(faults).toEqual(['no answer'])
})

it('a feature that fails when it is woken, or when somebody leaves, keeps neither the tick nor the others', async () => {
  const heard: string[] = []
  let dueAt: number | undefined = clock.now() + 1
  home.addChore({
    dueAt: () => dueAt,
    run() {
      dueAt = undefined
      throw new Error('not today')
    },
    left() {
      throw new Error('nobody leaves')
    },
  })
  home.addChore({ dueAt: () => undefined, run() {}, left: (sid) => void heard.push(sid) })
  home.rearm()
  home.decide(liked(1))
  await pass()
  expect(frames).toHaveLength(1)
  home.leave('s1')
  expect(heard).toEqual(['s1'])
  expect(home.presence.members.size).toBe(0)
  expect(faults).toEqual(['not today', 'nobody leaves'])
})
