import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { getTableColumns, getTableName } from 'drizzle-orm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RestrictionShape, RoomInfoShape, SettingsShape, WallItemShape } from '../../schemas/messages.ts'
import type { BatchResult, Op } from './core-db.ts'
import { deadLettersMax } from './core-plugins.ts'
import { migrations, tables } from './core-schema.ts'
import {
  type Change,
  type LogRow,
  type NewDeadLetter,
  openStoreInline,
  type PluginRow,
  QueuedStore,
  type Store,
  StoreError,
} from './store.ts'

const settings: SettingsShape = {
  chat: true,
  gift: true,
  like: true,
  mic: false,
  pk: false,
  link: false,
  slowModeMs: 0,
  muteAll: false,
  uniqueChat: false,
  emoteOnly: false,
  reverseMode: false,
}
const info = (id: string, more: Partial<RoomInfoShape> = {}): RoomInfoShape => ({
  id,
  ownerId: 'owner',
  title: '标题 "quoted"',
  intro: '',
  theme: 'dark',
  categoryId: 'music',
  cover: '',
  state: 'closed',
  version: 1,
  ...more,
})
let events = 0
const row = (t = 'room.updated', d: unknown = { by: 'owner' }): LogRow => ({
  eid: `e${events++}`,
  t,
  at: 1_000,
  actor: 'owner',
  d,
})
const restriction = (userId: string, untilAt: number, at = 5): RestrictionShape => ({
  userId,
  untilAt,
  reason: '刷屏',
  by: 'owner',
  at,
})
const wall: WallItemShape = { id: 'w1', text: 'hi', from: { id: 'u1', name: 'A' }, by: 'owner', shownAt: 1, untilAt: 2 }

let dir: string
let file: string
let stores: Store[] = []
function open(more: { roomsMax?: number; queueMax?: number; pagesMax?: number } = {}): Store {
  const store = openStoreInline({ file, roomsMax: 100, ...more })
  stores.push(store)
  return store
}
async function reopen(store: Store): Promise<Store> {
  await store.close()
  return open()
}
async function home(store: Store, roomId = 'demo') {
  const record = await store.openHome(roomId)
  if (!record) throw new Error(`no room ${roomId}`)
  return record
}
async function withRoom(more: Parameters<typeof open>[0] = {}): Promise<Store> {
  const store = open(more)
  expect(await store.createRoom(info('demo'), settings, row('room.created'))).toBe('created')
  return store
}
const code = (expected: string) => expect.objectContaining({ name: 'StoreError', code: expected })

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'store-'))
  file = join(dir, 'core.db')
})
afterEach(async () => {
  for (const store of stores) await store.close()
  stores = []
  rmSync(dir, { recursive: true })
})

describe('rooms', () => {
  test('a new room comes back exactly as it went in, with its log row unsent', async () => {
    const store = open()
    const log = row('room.created', { title: '标题', deep: [1, null, 'x'] })
    expect(await store.createRoom(info('demo'), settings, log)).toBe('created')
    expect(await home(await reopen(store))).toStrictEqual({
      info: info('demo'),
      settings,
      epoch: 1,
      roles: [],
      mutes: [],
      bans: [],
      wall: undefined,
      takedown: undefined,
      liveBan: undefined,
      giftPos: 0,
      ownerName: '',
      likes: 0,
      shares: 0,
      danmakuTotal: 0,
      unsent: [log],
    })
  })

  test('exists, full, and a room that was never made', async () => {
    const store = await withRoom({ roomsMax: 2 })
    expect(await store.createRoom(info('demo'), settings, row())).toBe('exists')
    expect(await store.createRoom(info('b'), settings, row())).toBe('created')
    expect(await store.createRoom(info('c'), settings, row())).toBe('full')
    expect(await store.createRoom(info('demo'), settings, row())).toBe('exists')
    expect(await store.openHome('c')).toBeUndefined()
    expect((await home(store)).unsent).toHaveLength(1)
  })

  test('a create that is rolled back does not use up roomsMax', async () => {
    const store = await withRoom({ roomsMax: 2 })
    const taken = row()
    await store.write('demo', [], taken)
    await expect(store.createRoom(info('b'), settings, taken)).rejects.toEqual(code('store.failed'))
    expect(await store.createRoom(info('b'), settings, row())).toBe('created')
    expect(await store.createRoom(info('c'), settings, row())).toBe('full')
  })

  test('epoch grows at every start of a home, also over a restart', async () => {
    const store = await withRoom()
    expect((await home(store)).epoch).toBe(1)
    expect((await home(store)).epoch).toBe(2)
    expect((await home(await reopen(store))).epoch).toBe(3)
  })

  test('listOpen gives open rooms only, over more than one page', async () => {
    const store = open({ roomsMax: 5_000 })
    const ids = Array.from({ length: 1_001 }, (_, i) => `r${String(i).padStart(4, '0')}`)
    await Promise.all(ids.map((id) => store.createRoom(info(id, { state: 'open' }), settings, row())))
    await store.createRoom(info('closed'), settings, row())
    await store.write('r0007', [{ kind: 'totals.put', likes: 7, shares: 0, danmakuTotal: 0 }])
    const listed = await store.listOpen()
    expect(listed.map((entry) => entry.info.id)).toEqual(ids)
    expect(listed[7]).toStrictEqual({ info: info('r0007', { state: 'open' }), likes: 7 })
  })
})

describe('every change', () => {
  const cases: { name: string; before?: Change[]; change: Change; see: object }[] = [
    {
      name: 'room.put opens',
      change: { kind: 'room.put', info: info('demo', { state: 'open', liveId: 'l1', openedAt: 9, version: 2 }) },
      see: { info: info('demo', { state: 'open', liveId: 'l1', openedAt: 9, version: 2 }) },
    },
    {
      name: 'room.put takes liveId and openedAt away',
      before: [{ kind: 'room.put', info: info('demo', { state: 'open', liveId: 'l1', openedAt: 9 }) }],
      change: { kind: 'room.put', info: info('demo', { version: 3 }) },
      see: { info: info('demo', { version: 3 }) },
    },
    {
      name: 'settings.put',
      change: { kind: 'settings.put', settings: { ...settings, slowModeMs: 120_000, muteAll: true } },
      see: { settings: { ...settings, slowModeMs: 120_000, muteAll: true } },
    },
    {
      name: 'role.grant, twice the same',
      before: [{ kind: 'role.grant', userId: 'u1', role: 'admin' }],
      change: { kind: 'role.grant', userId: 'u1', role: 'admin' },
      see: { roles: [{ userId: 'u1', role: 'admin' }] },
    },
    {
      name: 'role.revoke leaves the other role',
      before: [
        { kind: 'role.grant', userId: 'u1', role: 'admin' },
        { kind: 'role.grant', userId: 'u1', role: 'assistant' },
      ],
      change: { kind: 'role.revoke', userId: 'u1', role: 'admin' },
      see: { roles: [{ userId: 'u1', role: 'assistant' }] },
    },
    {
      name: 'mute.put replaces',
      before: [{ kind: 'mute.put', mute: restriction('u1', 0) }],
      change: { kind: 'mute.put', mute: restriction('u1', -1, 6) },
      see: { mutes: [restriction('u1', -1, 6)] },
    },
    {
      name: 'mute.delete',
      before: [
        { kind: 'mute.put', mute: restriction('u1', 50, 9) },
        { kind: 'mute.put', mute: restriction('u2', 60, 8) },
        { kind: 'mute.put', mute: restriction('u3', 70, 7) },
      ],
      change: { kind: 'mute.delete', userId: 'u2' },
      see: { mutes: [restriction('u3', 70, 7), restriction('u1', 50, 9)] },
    },
    {
      name: 'mutes.end_live',
      before: [
        { kind: 'mute.put', mute: restriction('u1', 0) },
        { kind: 'mute.put', mute: restriction('u2', -1) },
        { kind: 'ban.put', ban: restriction('u3', 0) },
      ],
      change: { kind: 'mutes.end_live' },
      see: { mutes: [restriction('u2', -1)], bans: [restriction('u3', 0)] },
    },
    {
      name: 'ban.put at the largest instant',
      change: { kind: 'ban.put', ban: restriction('u1', Number.MAX_SAFE_INTEGER) },
      see: { bans: [restriction('u1', Number.MAX_SAFE_INTEGER)], mutes: [] },
    },
    {
      name: 'ban.delete',
      before: [{ kind: 'ban.put', ban: restriction('u1', -1) }],
      change: { kind: 'ban.delete', userId: 'u1' },
      see: { bans: [] },
    },
    { name: 'wall.put shows', change: { kind: 'wall.put', wall }, see: { wall } },
    {
      name: 'wall.put hides',
      before: [{ kind: 'wall.put', wall }],
      change: { kind: 'wall.put', wall: undefined },
      see: { wall: undefined },
    },
    {
      name: 'takedown.put keeps closed',
      change: { kind: 'takedown.put', takedown: { reason: 'spam 垃圾', caseId: 'c1', by: 'op', at: 7 } },
      see: { takedown: { reason: 'spam 垃圾', caseId: 'c1', by: 'op', at: 7 } },
    },
    {
      name: 'takedown.put lets go',
      before: [{ kind: 'takedown.put', takedown: { reason: '', by: 'op', at: 7 } }],
      change: { kind: 'takedown.put', takedown: undefined },
      see: { takedown: undefined },
    },
    {
      name: 'live_ban.put keeps from going live',
      change: { kind: 'live_ban.put', liveBan: { untilAt: 99, reason: '', by: 'op', at: 7 } },
      see: { liveBan: { untilAt: 99, reason: '', by: 'op', at: 7 } },
    },
    {
      name: 'live_ban.put lets go',
      before: [{ kind: 'live_ban.put', liveBan: { untilAt: 99, reason: '', by: 'op', at: 7 } }],
      change: { kind: 'live_ban.put', liveBan: undefined },
      see: { liveBan: undefined },
    },
    {
      name: 'totals.put',
      change: { kind: 'totals.put', likes: Number.MAX_SAFE_INTEGER, shares: 5_000_000_000, danmakuTotal: 3 },
      see: { likes: Number.MAX_SAFE_INTEGER, shares: 5_000_000_000, danmakuTotal: 3 },
    },
  ]
  test.each(cases)('$name', async ({ before = [], change, see }) => {
    const store = await withRoom()
    await store.createRoom(info('other'), settings, row())
    const otherBefore = await home(store, 'other')
    await store.write('demo', before)
    await store.write('demo', [change])
    const again = await reopen(store)
    expect(Object.fromEntries(Object.entries(await home(again)).filter(([key]) => key in see))).toStrictEqual(see)
    expect(await home(again, 'other')).toStrictEqual({ ...otherBefore, epoch: 2 })
  })

  test('room.put makes a room together with settings.put, and only so, and never past roomsMax', async () => {
    const store = open({ roomsMax: 1 })
    await expect(store.write('demo', [{ kind: 'room.put', info: info('demo') }])).rejects.toEqual(code('store.failed'))
    const both = (id: string): Change[] => [
      { kind: 'room.put', info: info(id) },
      { kind: 'settings.put', settings },
    ]
    await expect(store.write('x', both('demo'))).rejects.toThrow('in a write to x')
    await store.write('demo', both('demo'))
    expect((await home(store)).settings).toStrictEqual(settings)
    await expect(store.write('b', both('b'))).rejects.toThrow('roomsMax')
  })
})

describe('one write is all or nothing', () => {
  test('changes and log row go together', async () => {
    const store = await withRoom()
    const log = row()
    await store.write('demo', [{ kind: 'wall.put', wall }], log)
    await expect(store.write('demo', [{ kind: 'wall.put', wall: undefined }], log)).rejects.toEqual(code('store.failed'))
    const record = await home(store)
    expect(record.wall).toStrictEqual(wall)
    expect(record.unsent.at(-1)).toStrictEqual(log)
  })

  test('a failing op hurts no other op of its batch', async () => {
    const store = await withRoom()
    const commits = store.stats().commits
    const grant = (roomId: string, userId: string) => store.write(roomId, [{ kind: 'role.grant', userId, role: 'admin' }])
    const circular: Record<string, unknown> = {}
    circular.self = circular
    const outcomes = await Promise.allSettled([
      grant('demo', 'u1'),
      grant('nowhere', 'u2'),
      store.write('nowhere', [{ kind: 'totals.put', likes: 1, shares: 1, danmakuTotal: 1 }]),
      store.write('demo', [], row('x', circular)),
      store.write('demo', [{ kind: 'totals.put', likes: 0.5, shares: 1, danmakuTotal: 1 }]),
      grant('demo', 'u3'),
    ])
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'rejected',
      'rejected',
      'fulfilled',
    ])
    expect((await home(store)).roles.map((role) => role.userId)).toEqual(['u1', 'u3'])
    expect(store.stats()).toMatchObject({ commits: commits + 2, failed: 3, queued: 0 })
  })
})

describe('room log', () => {
  test('a row is unsent until its seq, then in the log in the order of commit', async () => {
    const store = await withRoom()
    const [first, second, third] = [row(), row(), { ...row('room.opened'), d: undefined }]
    for (const log of [first, second, third]) await store.write('demo', [], log)
    store.setSeq('demo', [{ eid: second.eid, epoch: 1, seq: 1 }])
    store.setSeq('demo', [{ eid: third.eid, epoch: 1, seq: 2 }])
    const read = await store.readLog({ afterPos: 0, limit: 10 })
    expect(read.map(({ row, epoch, seq }) => ({ eid: row.eid, epoch, seq }))).toEqual([
      { eid: second.eid, epoch: 1, seq: 1 },
      { eid: third.eid, epoch: 1, seq: 2 },
    ])
    expect(read[1]?.row).toStrictEqual({ ...third, d: null })
    const again = await reopen(store)
    expect((await home(again)).unsent.map((log) => log.eid)).toEqual([expect.any(String), first.eid])
    // A late seq still lands behind the cursor of a reader that has read everything.
    again.setSeq('demo', [{ eid: first.eid, epoch: 2, seq: 1 }])
    const late = await again.readLog({ roomId: 'demo', afterPos: read[1]?.pos ?? 0, limit: 10 })
    expect(late.map((entry) => entry.row)).toStrictEqual([first])
  })

  test('a seq given twice, to another room or to an unknown row changes nothing', async () => {
    const store = await withRoom()
    const log = row()
    await store.write('demo', [], log)
    store.setSeq('other', [{ eid: log.eid, epoch: 9, seq: 9 }])
    store.setSeq('demo', [{ eid: log.eid, epoch: 1, seq: 1 }])
    store.setSeq('demo', [
      { eid: log.eid, epoch: 2, seq: 2 },
      { eid: 'unknown', epoch: 1, seq: 3 },
    ])
    expect(await store.readLog({ afterPos: 0, limit: 10 })).toMatchObject([{ epoch: 1, seq: 1, row: log }])
  })

  test('appendLog, pages, one room and all rooms', async () => {
    const store = await withRoom()
    const rows = Array.from({ length: 30 }, (_, i) => ({ ...row('danmaku.sent', { text: `弹幕 ${i}` }), epoch: 1, seq: i + 1 }))
    store.appendLog('demo', rows.slice(0, 20))
    store.appendLog('b', rows.slice(20))
    store.appendLog('demo', rows.slice(0, 1)) // the same event again
    const all = await store.readLog({ afterPos: 0, limit: 1_000_000 })
    expect(all.map((entry) => ({ ...entry.row, epoch: entry.epoch, seq: entry.seq }))).toStrictEqual(rows)
    const page = await store.readLog({ roomId: 'demo', afterPos: all[14]?.pos ?? 0, limit: 3 })
    expect(page.map((entry) => entry.seq)).toEqual([16, 17, 18])
    expect(await store.readLog({ roomId: 'b', afterPos: 0, limit: 99 })).toHaveLength(10)
  })

  test('pruneLog takes what is older, in pages, and never gives a pos again', async () => {
    const store = await withRoom()
    const rows = Array.from({ length: 2_500 }, (_, i) => ({ ...row(), at: i, epoch: 1, seq: i + 1 }))
    store.appendLog('demo', rows)
    await store.write('demo', [], { ...row(), at: 1 })
    expect(await store.pruneLog(2_400)).toBe(2_402) // with the unsent row of this write and that of the create
    expect(await store.readLog({ afterPos: 0, limit: 1_000 })).toHaveLength(100)
    expect(await store.pruneLog(2_500)).toBe(100)
    store.appendLog('demo', [{ ...row(), epoch: 1, seq: 2_501 }])
    expect((await store.readLog({ afterPos: 0, limit: 1 }))[0]?.pos).toBeGreaterThan(2_500)
  })
})

describe('readers of the log', () => {
  const placed = (more: Partial<LogRow> = {}) => ({ ...row(), ...more, epoch: 0, seq: 1 })

  test('hops, only and unchecked come back from disk, unsent and committed, and only where there are any', async () => {
    const store = await withRoom()
    const [first, second] = [{ ...row(), hops: 4, only: 'u1', unchecked: ['trivia', 'filter'] }, row()]
    await store.write('demo', [], first)
    await store.write('demo', [], second)
    expect((await home(store)).unsent.slice(1)).toStrictEqual([first, second])
    store.setSeq('demo', [{ eid: first.eid, epoch: 1, seq: 1 }])
    const marked = { ...row(), hops: 2, only: '', unchecked: [] }
    store.appendLog('demo', [{ ...marked, epoch: 1, seq: 2 }])
    const read = await (await reopen(store)).readLog({ afterPos: 0, limit: 9 })
    expect(read.map((entry) => entry.row)).toStrictEqual([first, marked])
  })

  test('an event in no room', async () => {
    const store = open()
    const log = row('plugin.degraded', { plugin: 'trivia' })
    store.appendLog('', [{ ...log, epoch: 0, seq: 7 }])
    const again = await reopen(store)
    expect(await again.readLog({ afterPos: 0, limit: 9 })).toStrictEqual([{ pos: 1, roomId: '', epoch: 0, seq: 7, row: log }])
    expect(await again.readLog({ roomId: '', afterPos: 0, limit: 9 })).toHaveLength(1)
  })

  test('facts of no room come with the place of their source, both or neither, and the same one again once', async () => {
    const store = open()
    const [one, two] = [row('recharge.completed', { coins: 1 }), row('gift.refunded', {})]
    await store.appendFacts([{ ...one, epoch: 0, seq: 3 }], { key: 'ledger:facts', pos: 3 })
    await store.appendFacts(
      [one, two].map((log, at) => ({ ...log, epoch: 0, seq: 3 + at })),
      { key: 'ledger:facts', pos: 4 },
    )
    const bad = store.appendFacts([{ ...row(), at: 0.5, epoch: 0, seq: 5 }], { key: 'ledger:facts', pos: 5 })
    await expect(bad).rejects.toMatchObject({ code: 'store.failed' })
    const again = await reopen(store)
    expect((await again.readLog({ roomId: '', afterPos: 0, limit: 9 })).map((entry) => entry.row)).toStrictEqual([one, two])
    expect(await again.getCursor('ledger:facts')).toEqual({ pos: 4, acked: [] })
  })

  test('positions have no gaps but those of pruned rows', async () => {
    const store = await withRoom()
    const [twice, written] = [placed(), row()]
    store.appendLog('demo', [twice, twice, placed()])
    await store.write('demo', [], written)
    store.setSeq('demo', [{ eid: written.eid, epoch: 1, seq: 1 }])
    await store.write('demo', [], written) // an id again, after it left room_unsent
    store.setSeq('demo', [{ eid: written.eid, epoch: 1, seq: 2 }])
    store.appendLog('demo', [twice])
    store.appendLog('demo', [placed(), placed({ at: 0.5 }), placed()]) // undone as a whole: 0.5 is no instant
    store.appendLog('demo', [placed()])
    expect((await store.readLog({ afterPos: 0, limit: 9 })).map((entry) => entry.pos)).toEqual([1, 2, 3, 4])
  })

  test('the end of the log outlives pruning and a restart', async () => {
    const store = open()
    expect(await store.logEnd()).toBe(0)
    store.appendLog('demo', [placed(), placed(), placed()])
    expect(await store.logEnd()).toBe(3)
    await store.pruneLog(2_000)
    expect(await (await reopen(store)).logEnd()).toBe(3)
  })

  test('listeners hear of rows in the log, with its end, after they are on disk', async () => {
    const store = await withRoom()
    const heard: number[] = []
    const read: Promise<number>[] = []
    const stop = store.onLogged((end) => {
      heard.push(end)
      read.push(store.readLog({ afterPos: end - 1, limit: 9 }).then((page) => page.length))
    })
    store.onLogged(() => {
      throw new Error('a bad listener')
    })
    const log = row()
    await store.write('demo', [{ kind: 'wall.put', wall }], log)
    expect(heard).toEqual([])
    store.setSeq('demo', [{ eid: log.eid, epoch: 1, seq: 1 }])
    store.appendLog('demo', [placed(), placed()])
    await store.write('demo', [])
    expect(heard).toEqual([3])
    store.setSeq('demo', [{ eid: log.eid, epoch: 1, seq: 1 }]) // moves nothing
    store.appendLog('demo', [placed()])
    await store.write('demo', [])
    stop()
    store.appendLog('demo', [placed()])
    await store.write('demo', [])
    expect(heard).toEqual([3, 4])
    expect(await Promise.all(read)).toEqual([1, 1])
  })
})

describe('plugins', () => {
  const plugin = (name: string, more: Partial<PluginRow> = {}): PluginRow => ({
    name,
    manifest: { version: '1.0.0', calls: ['engine.user.mute'] },
    grant: ['engine.user.mute'],
    settings: { words: ['广告'] },
    settingsVersion: 1,
    state: 'pending',
    place: 'remote',
    source: 'remote',
    changedAt: 5,
    changedBy: 'operator',
    ...more,
  })
  const letter = (pos: number, more: Partial<NewDeadLetter> = {}): NewDeadLetter => ({
    entry: { pos, roomId: 'demo', epoch: 1, seq: pos, row: row('gift.sent', { coins: pos }) },
    attempts: 8,
    error: 'no',
    deadAt: 9,
    ...more,
  })

  test('a plugin comes back as it went in; the same name is replaced', async () => {
    const store = open()
    await store.putPlugin(plugin('b'))
    await store.putPlugin(plugin('a', { settings: undefined }))
    await store.putPlugin(plugin('b', { state: 'approved', grant: null, settingsVersion: 2 }))
    const listed = await (await reopen(store)).listPlugins()
    expect(listed).toStrictEqual([
      plugin('a', { settings: null }),
      plugin('b', { state: 'approved', grant: null, settingsVersion: 2 }),
    ])
  })

  test('at most 1,000 plugins, and those can still change', async () => {
    const store = open()
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => store.putPlugin(plugin(`p${i}`))))
    await expect(store.putPlugin(plugin('one-more'))).rejects.toEqual(code('store.failed'))
    await store.putPlugin(plugin('p7', { state: 'approved' }))
    await store.deletePlugin('p8')
    await store.putPlugin(plugin('one-more'))
  })

  test('a deleted plugin takes its cursor and its dead letters along, and nobody else’s', async () => {
    const store = open()
    for (const name of ['a', 'b']) {
      await store.putPlugin(plugin(name))
      await store.putCursor(name, { pos: 4, acked: [] }, [letter(3)])
    }
    await store.deletePlugin('a')
    expect((await store.listPlugins()).map(({ name }) => name)).toEqual(['b'])
    expect(await store.getCursor('a')).toBeUndefined()
    expect(await store.getCursor('b')).toEqual({ pos: 4, acked: [] })
    expect(await store.countDead()).toEqual([{ plugin: 'b', count: 1 }])
  })

  test('cursors, of plugins and of others', async () => {
    const store = open()
    expect(await store.getCursor('trivia')).toBeUndefined()
    await store.putCursor('trivia', { pos: 3, acked: [5, 9] })
    await store.putCursor('relay:jetstream', { pos: 7, acked: [] })
    await store.putCursor('relay:jetstream', { pos: 2, acked: [] })
    const again = await reopen(store)
    expect(await again.getCursor('trivia')).toStrictEqual({ pos: 3, acked: [5, 9] })
    expect(await again.getCursor('relay:jetstream')).toStrictEqual({ pos: 2, acked: [] })
  })

  test('a cursor and its dead letters are on disk together or not at all', async () => {
    const store = open()
    await store.putCursor('trivia', { pos: 3, acked: [] })
    const bad = letter(6, { attempts: 0.5 })
    await expect(store.putCursor('trivia', { pos: 6, acked: [] }, [letter(5), bad])).rejects.toEqual(code('store.failed'))
    expect(await store.getCursor('trivia')).toStrictEqual({ pos: 3, acked: [] })
    expect(await store.listDead({ afterId: 0, limit: 9 })).toEqual([])
  })

  test('dead letters come back whole; list, get, fail again, take', async () => {
    const store = open()
    const first = letter(1, { entry: { ...letter(1).entry, row: { ...row(), hops: 3, only: 'u', unchecked: ['x'] } } })
    await store.putCursor('a', { pos: 3, acked: [] }, [first, letter(2)])
    await store.putCursor('b', { pos: 3, acked: [] }, [letter(2)])
    const again = await reopen(store)
    const all = await again.listDead({ afterId: 0, limit: 9 })
    expect(all[0]).toStrictEqual({ id: 1, plugin: 'a', ...first })
    expect(all.map(({ plugin, entry }) => `${plugin}${entry.pos}`)).toEqual(['a1', 'a2', 'b2'])
    expect(await again.listDead({ plugin: 'a', afterId: 1, limit: 9 })).toEqual([all[1]])
    expect(await again.listDead({ afterId: 0, limit: 1 })).toEqual([all[0]])
    await again.failDead(2, { attempts: 3, error: 'still', deadAt: 12 })
    await again.failDead(99, { attempts: 3, error: 'still', deadAt: 12 })
    const failed = { ...all[1], attempts: 11, error: 'still', deadAt: 12 }
    expect(await again.getDead([3, 2, 99])).toEqual([failed, all[2]])
    expect(await again.takeDead([2, 1, 99])).toEqual([all[0], failed])
    expect(await again.takeDead([2, 1])).toEqual([])
    expect(await again.countDead()).toEqual([{ plugin: 'b', count: 1 }])
  })

  test('the same event dead again is still one letter, with the newest error', async () => {
    const store = open()
    await store.putCursor('a', { pos: 1, acked: [] }, [letter(1)])
    await store.putCursor('a', { pos: 1, acked: [] }, [letter(1, { error: 'again' })])
    expect(await store.listDead({ afterId: 0, limit: 9 })).toMatchObject([{ id: 1, error: 'again' }])
  })

  test('too many dead letters: the oldest of that plugin go and are counted', async () => {
    const store = open()
    await store.putCursor('other', { pos: 1, acked: [] }, [letter(1)])
    const letters = Array.from({ length: deadLettersMax }, (_, i) => letter(i + 1))
    expect(await store.putCursor('a', { pos: 1, acked: [] }, letters)).toEqual({ dropped: 0 })
    const more = [letter(deadLettersMax + 1), letter(deadLettersMax + 2)]
    expect(await store.putCursor('a', { pos: 1, acked: [] }, more)).toEqual({ dropped: 2 })
    expect((await store.listDead({ plugin: 'a', afterId: 0, limit: 1 }))[0]?.entry.pos).toBe(3)
    expect(await store.countDead()).toEqual([
      { plugin: 'a', count: deadLettersMax },
      { plugin: 'other', count: 1 },
    ])
  })
})

describe('queue', () => {
  test('past queueMax calls are refused and counted, what waits is written', async () => {
    const store = await withRoom({ queueMax: 4 })
    const grants = Array.from({ length: 6 }, (_, i) =>
      store.write('demo', [{ kind: 'role.grant', userId: `u${i}`, role: 'admin' }]),
    )
    store.appendLog('demo', [{ ...row(), epoch: 1, seq: 1 }])
    expect(store.stats().queued).toBe(4)
    const outcomes = await Promise.allSettled(grants)
    expect(outcomes.slice(4)).toEqual([
      { status: 'rejected', reason: code('store.full') },
      { status: 'rejected', reason: code('store.full') },
    ])
    expect((await home(store)).roles).toHaveLength(4)
    expect(await store.readLog({ afterPos: 0, limit: 9 })).toHaveLength(0)
    expect(store.stats()).toMatchObject({ queued: 0, refused: 3 })
  })

  test('the writes of one turn share a commit', async () => {
    const store = await withRoom()
    const before = store.stats()
    await Promise.all(Array.from({ length: 500 }, () => store.write('demo', [], row())))
    expect(store.stats()).toMatchObject({ commits: before.commits + 1, writes: before.writes + 500 })
  })

  test('close flushes; then every call is refused', async () => {
    const store = await withRoom()
    const pending = store.write('demo', [{ kind: 'wall.put', wall }])
    const closed = store.close()
    await expect(store.write('demo', [])).rejects.toEqual(code('store.closed'))
    await Promise.all([pending, closed, store.close()])
    store.setSeq('demo', [{ eid: 'x', epoch: 1, seq: 1 }])
    expect(store.stats().refused).toBe(1)
    expect((await home(open())).wall).toStrictEqual(wall)
  })
})

describe('failed batches', () => {
  const ok = (ops: readonly Op[]): BatchResult => ({ values: ops.map(() => undefined), errors: [] })
  /** Runs batches as told: the seam where a real disk would fail, at chosen moments. */
  function scripted(queueMax = 1_000) {
    const seen: string[][] = []
    const state = { up: true, broken: true }
    const run = async (ops: readonly Op[]) => {
      seen.push(ops.map((op) => op.op))
      if (state.broken) throw new Error('disk I/O error')
      return ok(ops)
    }
    const executor = {
      restarts: 0,
      run,
      close: async () => {},
      get up() {
        return state.up
      },
    }
    return { store: new QueuedStore(executor, { queueMax }), seen, state }
  }

  test('seqs of a failed batch are kept in front of the next one', async () => {
    const { store, seen, state } = scripted()
    store.setSeq('demo', [{ eid: 'a', epoch: 1, seq: 1 }])
    await expect(store.write('demo', [])).rejects.toEqual(code('store.failed'))
    expect(store.stats()).toMatchObject({ queued: 1, failed: 1 })
    state.broken = false
    await store.write('demo', [])
    expect(seen).toEqual([
      ['seq', 'write'],
      ['seq', 'write'],
    ])
    expect(store.stats()).toMatchObject({ queued: 0, commits: 1 })
  })

  test('kept rows alone neither spin nor hold back the calls behind them', async () => {
    const { store, seen } = scripted()
    const seqs = Array.from({ length: 600 }, (_, i) => ({ eid: `e${i}`, epoch: 1, seq: i }))
    store.setSeq('demo', seqs)
    await expect(store.write('demo', [])).rejects.toEqual(code('store.failed'))
    expect(seen).toEqual([['seq']])
    await store.close()
    expect(seen).toHaveLength(2)
  })

  test('kept rows that fill the queue leave when the disk is back', async () => {
    const { store, state } = scripted(2)
    store.appendLog(
      'demo',
      [row(), row()].map((log, i) => ({ ...log, epoch: 1, seq: i })),
    )
    await expect(store.write('demo', [])).rejects.toEqual(code('store.full'))
    state.broken = false
    while (store.stats().queued > 0) await store.write('demo', []).catch(() => {})
    await store.write('demo', [])
  })

  test('without a worker everything that waits is told', async () => {
    const { store, state, seen } = scripted()
    state.up = false
    const writes = Array.from({ length: 1_500 }, () => store.write('demo', []))
    const outcomes = await Promise.allSettled(writes)
    expect(outcomes.every((outcome) => outcome.status === 'rejected')).toBe(true)
    expect(seen).toHaveLength(1)
  })
})

describe('the file', () => {
  test('the Drizzle tables are what the migrations make', () => {
    const db = new Database(':memory:')
    for (const ddl of migrations) db.exec(ddl)
    for (const table of tables) {
      const made = db.pragma(`table_info(${getTableName(table)})`) as {
        name: string
        type: string
        notnull: number
        pk: number
      }[]
      const declared = Object.values(getTableColumns(table)).map((column) => ({
        name: column.name,
        type: column.getSQLType().toUpperCase(),
        notnull: column.notNull ? 1 : 0,
      }))
      const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
      expect(made.map(({ name, type, notnull }) => ({ name, type, notnull })).sort(byName)).toEqual(declared.sort(byName))
    }
    const names = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").pluck().all()
    expect(names.sort()).toEqual(tables.map((table) => getTableName(table)).sort())
    db.close()
  })

  test('migrates from empty, writes ahead, syncs in full', async () => {
    await (await withRoom()).close()
    const db = new Database(file)
    expect(db.pragma('user_version', { simple: true })).toBe(migrations.length)
    expect(db.pragma('journal_mode', { simple: true })).toBe('wal')
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok')
    db.close()
  })

  test('a file of the first schema is brought up to date and keeps its rows', async () => {
    const db = new Database(file)
    db.exec(migrations[0] ?? '')
    db.pragma('user_version = 1')
    const columns = 'room_id, eid, t, at, actor, d'
    db.exec(`
      INSERT INTO rooms (id, owner_id, title, intro, theme, category_id, cover, state, version, settings, epoch)
      VALUES ('demo', 'owner', 'T', '', '', '', '', 'closed', 1, '${JSON.stringify(settings)}', 4);
      INSERT INTO room_unsent (${columns}) VALUES ('demo', 'u', 'room.updated', 8, 'owner', '{"a":1}');
      INSERT INTO room_log (pos, ${columns}, epoch, seq) VALUES (41, 'demo', 'l', 'room.opened', 7, 'owner', 'null', 4, 3)`)
    db.close()
    const store = open()
    const unsent = { eid: 'u', t: 'room.updated', at: 8, actor: 'owner', d: { a: 1 } }
    expect(await home(store)).toMatchObject({ epoch: 5, settings, unsent: [unsent] })
    store.setSeq('demo', [{ eid: 'u', epoch: 5, seq: 1 }])
    expect(await store.readLog({ afterPos: 0, limit: 9 })).toStrictEqual([
      { pos: 41, roomId: 'demo', epoch: 4, seq: 3, row: { eid: 'l', t: 'room.opened', at: 7, actor: 'owner', d: null } },
      { pos: 42, roomId: 'demo', epoch: 5, seq: 1, row: unsent },
    ])
    expect(await store.listPlugins()).toEqual([])
    await store.close()
    const after = new Database(file)
    expect(after.pragma('user_version', { simple: true })).toBe(migrations.length)
    expect(after.pragma('integrity_check', { simple: true })).toBe('ok')
    after.close()
  })

  test('a file of a newer engine is refused and left alone', async () => {
    await (await withRoom()).close()
    const db = new Database(file)
    db.pragma('user_version = 99')
    db.close()
    expect(() => open()).toThrow('newer engine')
    expect(() => open()).toThrow(StoreError)
  })

  test('a second store on the folder is refused by name until the first one closes', async () => {
    const store = await withRoom()
    expect(() => open()).toThrow(dir)
    await store.close()
    expect((await home(open())).epoch).toBe(1)
  })

  test('a full disk rejects the batch as a whole; with space again, writes go on', async () => {
    const store = await withRoom({ pagesMax: 200 })
    const big = () => row('danmaku.sent', 'x'.repeat(3_000))
    let written = 0
    const fill = async () => {
      for (;;) {
        await store.write('demo', [], big())
        written++
      }
    }
    await expect(fill()).rejects.toThrow('full')
    const outcomes = await Promise.allSettled([
      store.write('demo', [{ kind: 'wall.put', wall }]),
      ...Array.from({ length: 20 }, () => store.write('demo', [], big())),
    ])
    expect(outcomes.map((outcome) => outcome.status)).toEqual(outcomes.map(() => 'rejected'))
    const record = await home(store)
    expect(record.wall).toBeUndefined()
    expect(record.unsent).toHaveLength(written + 1)
    expect(await store.pruneLog(2_000)).toBe(written + 1)
    await store.write('demo', [{ kind: 'wall.put', wall }], big())
    expect((await home(await reopen(store))).wall).toStrictEqual(wall)
  })
})
