/** Rows of the audit and requests on the store itself: one chain whatever comes at once, one row for each key, one decision. */
import { expect, test } from 'vitest'
import { openStoreInline } from './store.ts'
import type { AuditRow } from './store-audit.ts'

const open = () => openStoreInline({ file: ':memory:', roomsMax: 10 })
const row = (over: Partial<AuditRow> = {}): AuditRow => ({
  at: 1,
  actor: 'mia',
  action: 'POST /x',
  target: 't',
  kind: 'done',
  askN: null,
  ik: null,
  bodyHash: null,
  d: { a: 1 },
  ...over,
})

test('an empty chain is sound; rows that come at once have one order, and each has the hash of all before', async () => {
  const store = open()
  const { audit } = store
  expect(await audit.verify()).toEqual({ rows: 0, n: 0, hash: '', broken: undefined })
  const put = await Promise.all(Array.from({ length: 2_500 }, (_, n) => audit.put(row({ d: { n } }))))
  expect(put.map(({ n }) => n)).toEqual(Array.from({ length: 2_500 }, (_, n) => n + 1))
  expect(new Set(put.map(({ hash }) => hash)).size).toBe(2_500)
  expect(await audit.verify()).toEqual({ rows: 2_500, n: 2_500, hash: put.at(-1)?.hash, broken: undefined })
  const page = await audit.list(2_498, 1_000)
  expect(page.map(({ n, d }) => [n, d])).toEqual([
    [2_499, { n: 2_498 }],
    [2_500, { n: 2_499 }],
  ])
  await store.close()
})

test('a key has one asked row of each actor and action, and knows how it ended last', async () => {
  const store = open()
  const { audit } = store
  const asking = row({ kind: 'asked', ik: 'k', bodyHash: 'h' })
  const [first, second] = await Promise.all([audit.ask(asking), audit.ask({ ...asking, bodyHash: 'other' })])
  expect(first).toMatchObject({ isNew: true, bodyHash: 'h', ended: undefined })
  expect(second).toMatchObject({ n: first?.n, isNew: false, bodyHash: 'h' })
  for (const kind of ['failed', 'refused', 'done'] as const) {
    await audit.put(row({ kind, askN: first?.n ?? 0, ik: 'k', d: { kind } }))
    expect((await audit.ask(asking)).ended).toEqual({ kind, d: { kind } })
  }
  expect((await audit.ask({ ...asking, actor: 'leo' })).isNew).toBe(true)
  expect((await audit.ask({ ...asking, action: 'POST /y' })).isNew).toBe(true)
  expect((await audit.ask({ ...asking, ik: null })).isNew).toBe(true)
  expect((await audit.verify()).broken).toBeUndefined()
  await store.close()
})

test('a request is decided once, and no more wait than may', async () => {
  const store = open()
  const { audit } = store
  const request = { state: 'pending', at: 1, by: 'mia', d: { coins: 5 }, decidedAt: null, decidedBy: null, note: null } as const
  expect(await audit.putRequest({ id: 'a', ...request }, 2)).toBe('made')
  expect(await audit.putRequest({ id: 'a', ...request }, 2)).toBe('exists')
  expect(await audit.putRequest({ id: 'b', ...request }, 2)).toBe('made')
  expect(await audit.putRequest({ id: 'c', ...request }, 2)).toBe('full')
  const to = (decidedBy: string) => ({ state: 'approved', decidedAt: 2, decidedBy, note: null }) as const
  const moved = await Promise.all(['leo', 'eve'].map((who) => audit.moveRequest('a', ['pending'], to(who))))
  expect(moved.map((one) => one?.decidedBy)).toEqual(['leo', undefined])
  expect(await audit.putRequest({ id: 'c', ...request }, 2)).toBe('made')
  expect((await audit.requests({ state: 'pending', afterId: 'b', limit: 10 })).map(({ id }) => id)).toEqual(['c'])
  expect((await audit.requests({ state: undefined, afterId: '', limit: 2 })).map(({ id }) => id)).toEqual(['a', 'b'])
  expect(await audit.request('a')).toEqual({ ...request, id: 'a', ...to('leo') })
  expect(await audit.request('z')).toBeUndefined()
  await store.close()
})
