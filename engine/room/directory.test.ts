import { expect, it } from 'vitest'
import { Directory } from './directory.ts'

const info = (id: string, options: { state?: 'open' | 'closed'; categoryId?: string } = {}) => ({
  id,
  ownerId: 'o',
  title: id,
  intro: '',
  theme: '',
  categoryId: '',
  cover: '',
  state: 'open' as const,
  version: 1,
  ...options,
})
const ids = ({ items }: { items: { id: string }[] }) => items.map(({ id }) => id)

it('most viewers first, then by id, in pages without gap or repetition', () => {
  const directory = new Directory()
  for (let n = 0; n < 25; n++) directory.set(info(`r${String(n).padStart(2, '0')}`), n % 5)
  const all: string[] = []
  let cursor: string | undefined
  do {
    const page = directory.list({ limit: 4, ...(cursor === undefined ? {} : { cursor }) }, 0)
    all.push(...ids(page))
    cursor = page.cursor
  } while (cursor)
  expect(all.slice(0, 6)).toEqual(['r04', 'r09', 'r14', 'r19', 'r24', 'r03'])
  expect(new Set(all).size).toBe(25)
  expect(directory.list({}, 0).items).toHaveLength(20)
})

it('a room that closes is gone at once; numbers may be a second old', () => {
  const directory = new Directory()
  directory.set(info('a'), 1)
  directory.set(info('b'), 2)
  expect(ids(directory.list({}, 0))).toEqual(['b', 'a'])
  directory.set(info('a'), 9)
  expect(ids(directory.list({}, 999))).toEqual(['b', 'a'])
  expect(ids(directory.list({}, 1_000))).toEqual(['a', 'b'])
  directory.set(info('a', { state: 'closed' }), 9)
  expect(ids(directory.list({}, 1_001))).toEqual(['b'])
  expect(directory.size).toBe(1)
})

it('by category, and a cursor that is rubbish starts from the top', () => {
  const directory = new Directory()
  directory.set(info('a', { categoryId: 'x' }), 0)
  directory.set(info('b', { categoryId: 'y' }), 0)
  expect(ids(directory.list({ categoryId: 'y' }, 0))).toEqual(['b'])
  expect(ids(directory.list({ categoryId: 'z' }, 0))).toEqual([])
  for (const cursor of ['', '.', 'x.y.z', '-1.a', '9999999999.a', '1.a b'])
    expect(ids(directory.list({ cursor }, 0)), cursor).toEqual(['a', 'b'])
})
