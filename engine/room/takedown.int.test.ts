/** A room that is taken down: closed, emptied, and closed it stays, over a restart too, until it is restored. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { connect } from '../client/node.ts'
import { startTestEngine, type TestEngine } from '../testing.ts'
import { imbalance } from './account.ts'
import type { Actor, Answer } from './call.ts'

let engine: TestEngine
let dataDir: string
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'livehouse-takedown-'))
  engine = await startTestEngine({ dataDir })
})
afterEach(async () => {
  await engine.stop()
  await rm(dataDir, { recursive: true, force: true })
})

const operator: Actor = { userId: 'op', name: 'Op', anonymous: false, scope: ['operator'] }
const operate = (t: string, d: unknown = {}): Promise<Answer> => engine.homes.call('demo', { t, d, actor: operator })
const takeDown = () => operate('engine.room.takedown', { reason: 'spam', caseId: 'case1' })
const enter = async (user: string, scope = '', encoding: 'json' | 'proto' = 'json') => {
  const client = await engine.connect({ token: await engine.token(user, scope ? { scope } : {}), encoding })
  await client.ok('room.join', {}, 'demo')
  return client
}

it.each(['json', 'proto'] as const)('everybody hears why and is out, but for patrol and operators; %s', async (encoding) => {
  const viewers = [await enter('ann', '', encoding), await enter('ann'), await enter('demo_owner', '', encoding)]
  const guest = await engine.connect()
  await guest.ok('room.join', {}, 'demo')
  const staff = [await enter('pat', 'patrol', encoding), await enter('olga', 'operator')]
  await viewers[0]?.ok('danmaku.send', { text: 'hi' }, 'demo')
  expect(await takeDown()).toEqual({ ok: true, d: {} })
  for (const client of [...viewers, guest]) {
    expect(await client.closed).toMatchObject({ code: 4502 })
    expect(client.of('room.closed')).toMatchObject([{ d: { reason: 'taken_down', stats: { danmaku: 1 } } }])
    expect(client.of('room.taken_down')).toMatchObject([{ d: { reason: 'spam', caseId: 'case1' } }])
  }
  for (const client of staff) {
    await client.next('room.taken_down')
    await client.roundTrip()
    expect(await client.ok('room.join', {}, 'demo')).toMatchObject({ room: { state: 'closed' } })
  }
  expect(engine.homes.find('demo')?.presence.online.connections).toBe(2)
  expect(imbalance(engine.accounts.of('demo'))).toEqual([0, 0, 0])
})

it('nobody comes in and nobody opens it, after a restart neither, until it is restored', async () => {
  await takeDown()
  const refusesAll = async () => {
    const owner = await engine.connect({ token: await engine.token('demo_owner') })
    for (const t of ['room.join', 'room.open'])
      expect(await owner.refused(t, {}, 'demo')).toMatchObject({ code: 'room.taken_down', d: { caseId: 'case1' } })
    expect(await operate('room.open')).toMatchObject({ err: { code: 'room.taken_down' } })
    expect(await operate('engine.room.get')).toMatchObject({ d: { takedown: { reason: 'spam', caseId: 'case1', by: 'op' } } })
    return owner
  }
  await refusesAll()
  await engine.stop()
  engine = await startTestEngine({ dataDir })
  const owner = await refusesAll()
  const pat = await enter('pat', 'patrol')
  expect(await operate('engine.room.restore')).toEqual({ ok: true, d: {} })
  expect(await pat.next('room.restored')).toMatchObject({ d: { by: 'op' } })
  await owner.ok('room.open', {}, 'demo')
  await owner.ok('room.join', {}, 'demo')
})

it('twice is refused both ways, and a closed room is taken down without another close', async () => {
  const owner = await enter('demo_owner')
  await owner.ok('room.close', {}, 'demo')
  expect(await operate('engine.room.restore')).toMatchObject({ err: { code: 'room.bad_state' } })
  const [first, second] = await Promise.all([takeDown(), takeDown()])
  expect(first).toMatchObject({ ok: true })
  expect(second).toMatchObject({ err: { code: 'room.bad_state' } })
  await owner.closed
  expect(owner.of('room.closed')).toHaveLength(1)
  expect(owner.of('room.taken_down')).toHaveLength(1)
  const rows = await engine.store.readLog({ roomId: 'demo', afterPos: 0, limit: 100 })
  expect(rows.map(({ row }) => row.t).slice(-2)).toEqual(['room.closed', 'room.taken_down'])
})

it('who joins while it is written to disk is out as well', async () => {
  const down = takeDown()
  const late = await engine.connect({ token: await engine.token('late') })
  const joined = await late.call('room.join', {}, 'demo').catch(() => undefined)
  await down
  if (joined?.ok === false) expect(joined.err.code).toBe('room.taken_down')
  else expect(await late.closed).toMatchObject({ code: 4502 })
  expect(engine.homes.find('demo')?.presence.members.size).toBe(0)
})

describe('our client', () => {
  it('ends its view with the reason', async () => {
    const token = await engine.token('ann')
    const client = connect({ url: engine.webSocketUrl, token })
    const room = await client.join('demo')
    const ended = new Promise((resolve) => room.on('ended', resolve))
    await takeDown()
    expect(await ended).toEqual({ code: 'room.taken_down', message: 'spam', detail: { caseId: 'case1' } })
    client.close()
  })
})
