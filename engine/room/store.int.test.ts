import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RoomInfoShape, SettingsShape } from '../../schemas/messages.ts'
import { programEntry } from '../base/worker-entry.ts'
import { type LogRow, openStore, openStoreInline, QueuedStore, type Store, type StoreOptions } from './store.ts'
import { StoreThread } from './store-thread.ts'

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
const info: RoomInfoShape = {
  id: 'demo',
  ownerId: 'owner',
  title: 'Demo',
  intro: '',
  theme: '',
  categoryId: '',
  cover: '',
  state: 'open',
  liveId: 'l1',
  openedAt: 1,
  version: 1,
}
const row = (eid: string, d: unknown = {}): LogRow => ({ eid, t: 'room.updated', at: 1, actor: 'owner', d })
const mute = (userId: string) => ({ userId, untilAt: -1, reason: '', by: 'owner', at: 1 })

let dir: string
let stores: Store[]
let children: ChildProcess[]
async function open(more: Partial<StoreOptions> = {}): Promise<Store> {
  const store = await openStore({ dir, roomsMax: 10, ...more })
  stores.push(store)
  return store
}
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'store-'))
  stores = []
  children = []
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  for (const store of stores) await store.close()
  rmSync(dir, { recursive: true })
})

describe('store worker', () => {
  test('2,000 writes at once are on disk after a few commits', async () => {
    const store = await open()
    await store.createRoom(info, settings, row('created'))
    const before = store.stats()
    const ids = Array.from({ length: 2_000 }, (_, i) => `u${String(i).padStart(4, '0')}`)
    await Promise.all(ids.map((id) => store.write('demo', [{ kind: 'mute.put', mute: mute(id) }], row(id))))
    const after = store.stats()
    expect(after.writes - before.writes).toBe(2_000)
    expect(after.commits - before.commits).toBeLessThan(10)
    const seqs = ids.map((eid, i) => ({ eid, epoch: 1, seq: i + 1 }))
    store.setSeq('demo', seqs)
    expect((await store.readLog({ roomId: 'demo', afterPos: 0, limit: 1_000 })).at(-1)?.seq).toBe(1_000)
    await store.close()

    const again = await open()
    const record = await again.openHome('demo')
    expect(record?.mutes.map((entry) => entry.userId)).toEqual(ids)
    expect(record?.unsent.map((log) => log.eid)).toEqual(['created'])
    expect(await again.listOpen()).toStrictEqual([{ info, likes: 0 }])
  })

  test('a second engine on the folder is refused, and the error names the folder', async () => {
    await open()
    await expect(open()).rejects.toMatchObject({ code: 'store.failed', message: expect.stringContaining(dir) })
  })

  test('a full disk rejects the batch; with space again, writes go on', async () => {
    const store = await open({ pagesMax: 200 })
    await store.createRoom(info, settings, row('created'))
    const big = 'x'.repeat(3_000)
    const outcomes = await Promise.allSettled(Array.from({ length: 600 }, (_, i) => store.write('demo', [], row(`b${i}`, big))))
    expect(outcomes.some((outcome) => outcome.status === 'rejected')).toBe(true)
    const written = outcomes.filter((outcome) => outcome.status === 'fulfilled').length
    expect((await store.openHome('demo'))?.unsent).toHaveLength(written + 1)
    await store.pruneLog(2)
    await store.write('demo', [{ kind: 'mute.put', mute: mute('u1') }], row('after', big))
    expect((await store.openHome('demo'))?.mutes).toEqual([mute('u1')])
  })

  test('what cannot be sent to the worker is refused, and the next write is written', async () => {
    const store = await open()
    await store.createRoom(info, settings, row('created'))
    const wall = { id: 'w', text: (() => 'no text') as unknown as string, by: 'owner', shownAt: 1, untilAt: 2 }
    await expect(store.write('demo', [{ kind: 'wall.put', wall }])).rejects.toMatchObject({ code: 'store.failed' })
    await store.write('demo', [{ kind: 'wall.put', wall: { ...wall, text: 'text' } }])
    expect((await store.openHome('demo'))?.wall?.text).toBe('text')
  })

  test('after the death of the worker a new one takes over, and every answered write is there', async () => {
    const errors: object[] = []
    const log = { error: (fields: object, message: string) => errors.push({ message, ...fields }) }
    const thread = new StoreThread({ file: join(dir, 'core.db'), roomsMax: 10 }, log)
    await thread.start()
    const store = new QueuedStore(thread, { log })
    stores.push(store)
    await store.createRoom(info, settings, row('created'))
    const ids = Array.from({ length: 5_000 }, (_, i) => `u${i}`)
    const writes = ids.map((id) => store.write('demo', [{ kind: 'mute.put', mute: mute(id) }]))
    const outcomes = Promise.allSettled(writes)
    await writes[0]
    await thread.kill()
    const answered: string[] = []
    for (const [i, outcome] of (await outcomes).entries()) {
      if (outcome.status === 'fulfilled') answered.push(ids[i] ?? '')
      else expect(outcome.reason).toMatchObject({ code: 'store.failed' })
    }
    await store.write('demo', [{ kind: 'mute.put', mute: mute('after') }])
    const muted = new Set((await store.openHome('demo'))?.mutes.map((entry) => entry.userId))
    expect([...answered, 'after'].filter((id) => !muted.has(id))).toEqual([])
    expect(store.stats()).toMatchObject({ restarts: 1, queued: 0 })
    expect(errors).toContainEqual(expect.objectContaining({ message: 'store worker gone' }))
  })
})

/** Writes for ever, as fast as answers allow, and prints the number of every answered write. */
const writer = (storeUrl: string, folder: string) => `
  import { writeSync } from 'node:fs'
  import { openStore } from ${JSON.stringify(storeUrl)}
  const store = await openStore({ dir: ${JSON.stringify(folder)}, roomsMax: 10 })
  const home = await store.openHome('demo')
  let n = 0
  const lane = async () => {
    for (;;) {
      const id = 'e' + home.epoch + '-' + n++
      const mute = { userId: id, untilAt: -1, reason: '', by: 'owner', at: n }
      await store.write('demo', [{ kind: 'mute.put', mute }, { kind: 'role.grant', userId: id, role: 'admin' }],
        { eid: id, t: 'room.user_muted', at: n, actor: 'owner', d: mute })
      writeSync(1, id + '\\n')
      if (n % 3 === 0) store.setSeq('demo', [{ eid: id, epoch: home.epoch, seq: n }])
    }
  }
  for (let i = 0; i < 40; i++) void lane()
`

describe('kill -9', () => {
  const { file, execArgv } = programEntry(new URL('./store.ts', import.meta.url))
  const storeUrl = pathToFileURL(file).href

  async function answeredUntilKilled(script: string, killAfter: number): Promise<string[]> {
    const child = spawn(process.execPath, [...execArgv, script], { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(child)
    const answered: string[] = []
    const gone = once(child, 'exit')
    for await (const line of createInterface({ input: child.stdout })) {
      answered.push(line)
      if (answered.length === killAfter) child.kill('SIGKILL')
    }
    expect(await gone).toEqual([null, 'SIGKILL'])
    return answered
  }

  test('every answered change is there, whole, and the file is sound', async () => {
    const first = openStoreInline({ file: join(dir, 'core.db'), roomsMax: 10 })
    await first.createRoom(info, settings, row('created'))
    await first.close()
    const script = join(dir, 'writer.mjs')
    writeFileSync(script, writer(storeUrl, dir))
    const answered: string[] = []
    const rounds = [1, 137, 1_024, 2_503]
    for (const killAfter of rounds) answered.push(...(await answeredUntilKilled(script, killAfter)))

    const db = new Database(join(dir, 'core.db'))
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok')
    expect(db.pragma('foreign_key_check')).toEqual([])
    const ids = (query: string) => new Set(db.prepare(query).pluck().all())
    const muted = ids('SELECT user_id FROM room_mutes')
    expect(answered.filter((id) => !muted.has(id))).toEqual([])
    // All or none, for the writes that nobody was told about too.
    expect(ids('SELECT user_id FROM room_roles')).toEqual(muted)
    expect(ids("SELECT eid FROM room_unsent WHERE eid <> 'created' UNION ALL SELECT eid FROM room_log")).toEqual(muted)
    db.close()
    const store = await open() // the lock of a killed engine is free
    expect((await store.openHome('demo'))?.epoch).toBe(rounds.length + 1)
  })
})
