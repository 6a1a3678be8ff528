/** The plugin in a real engine: what operators send it, and what several of its instances know. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startTestEngine, type TestEngine } from '../../engine/testing.ts'
import { monetization } from './plugin.ts'

let engine: TestEngine
beforeAll(async () => {
  engine = await startTestEngine({ chargeOwner: 'monetization' }, { plugins: [monetization()] })
})
afterAll(() => engine.stop())

const put = (path: string, body: unknown) => engine.admin('PUT', `/monetization${path}`, body)
const get = async (path: string) => (await engine.admin('GET', `/monetization${path}`)).body
const contract = { streamerId: 'bob', guildId: 'g', streamerBps: 5_000, guildBps: 2_000, fromAt: 100, toAt: 200 }

it('hostile gifts are refused with the field, and the catalogue stays as it is', async () => {
  const before = await get('/gifts')
  const gift = { name: 'Star', priceCoin: 5 }
  const bodies: [string, unknown][] = [
    ['body', []],
    ['body', 'text'],
    ['body', 7],
    ['name', { priceCoin: 5 }],
    ['name', { ...gift, name: 'a\u202eb' }],
    ['name', { ...gift, name: '\ud800' }],
    ['name', { ...gift, name: '  ' }],
    ['name', { ...gift, name: 'x'.repeat(65) }],
    ['priceCoin', { ...gift, priceCoin: '5' }],
    ['priceCoin', { ...gift, priceCoin: -5 }],
    ['priceCoin', { ...gift, priceCoin: 2 ** 53 }],
    ['priceCoin', { ...gift, priceCoin: null }],
    ['tags', { ...gift, tags: 'hot' }],
    ['tags', { ...gift, tags: [['hot']] }],
    ['streamerIds', { ...gift, streamerIds: ['../..'] }],
    ['streamerIds', { ...gift, streamerIds: Array.from({ length: 101 }, (_, n) => `s${n}`) }],
    ['id', { ...gift, id: 'other' }],
    ['constructor', { ...gift, constructor: {} }],
    ['colour', { ...gift, colour: 'red' }],
  ]
  for (const [field, body] of bodies) {
    const { status, body: answer } = await put('/gifts/star', body)
    expect([status, answer.code], JSON.stringify(body)).toEqual([400, 'request.invalid'])
    expect(answer.msg).toContain(field)
  }
  expect((await put('/gifts/a%20b', gift)).status).toBe(400)
  expect(await get('/gifts')).toEqual(before)
})

it('what was read can be sent back, and a version counts every change', async () => {
  const { version } = await get('/gifts')
  const { body } = await put('/gifts/moon', { name: 'Moon', priceCoin: 5 })
  expect(body).toMatchObject({ version: version + 1, item: { id: 'moon', comboable: true } })
  expect((await put('/gifts/moon', { ...body.item, priceCoin: 6 })).body).toMatchObject({
    version: version + 2,
    item: { priceCoin: 6 },
  })
  const page = await get('/gifts?after=moon')
  expect(page.items.every(({ id }: { id: string }) => id > 'moon')).toBe(true)
  expect((await get('/gifts?after=a&after=b')).items.length).toBeGreaterThan(0)
})

it('hostile contracts are refused; of many at once that overlap exactly one comes through', async () => {
  for (const body of [null, [], { ...contract, streamerBps: 9_000 }, { ...contract, toAt: 100 }, { ...contract, more: 1 }, {}])
    expect((await put('/contracts/c', body)).status, JSON.stringify(body)).toBe(400)
  const all = await Promise.all(Array.from({ length: 8 }, (_, n) => put(`/contracts/c${n}`, contract)))
  expect(all.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400, 400, 400, 400, 400])
  expect((await get('/contracts?streamerId=bob')).items).toHaveLength(1)
  expect((await get('/contracts')).items).toHaveLength(1)
})

it('two engines in one process have a catalogue each', async () => {
  const other = await startTestEngine({}, { plugins: [monetization()] })
  try {
    await put('/gifts/mine', { name: 'Mine', priceCoin: 5 })
    const { body } = await other.admin('GET', '/monetization/gifts')
    expect(body.items.map(({ id }: { id: string }) => id)).not.toContain('mine')
    expect(body.version).toBe(1)
  } finally {
    await other.stop()
  }
})

it('comes with the engine under its bare name', async () => {
  const named = await startTestEngine({ plugins: 'monetization@inline' })
  try {
    expect((await named.plugin('monetization')).place).toBe('inline')
  } finally {
    await named.stop()
  }
})
