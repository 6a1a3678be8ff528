/** Several instances on one database: what one changes the others have at their next look. */
import { beforeEach, describe, expect, it } from 'vitest'
import { PluginDbFile } from '../../engine/plugin/db/plugin-db.ts'
import { PluginDbError } from '../../engine/plugin/db/plugin-db-wire.ts'
import { type PluginDb, pluginDb } from '../../engine/plugin/tables.ts'
import { giftDefaults } from './catalogue.ts'
import { migrations, Shelf } from './shelf.ts'

let db: PluginDb
beforeEach(() => {
  const file = new PluginDbFile({ file: ':memory:', migrations, bytesMax: 2 ** 26 })
  db = pluginDb(async (statements) => {
    const [outcome] = file.run([statements])
    if (outcome && 'json' in outcome) return JSON.parse(outcome.json)
    throw new PluginDbError(outcome?.error.code ?? 'db.failed', outcome?.error.message ?? '')
  })
})
const started = async () => {
  const shelf = new Shelf()
  await shelf.start(db)
  return shelf
}
const gift = (id: string, priceCoin: number) => ({ ...giftDefaults, id, name: id, priceCoin })

describe('two instances', () => {
  it('start on empty tables at once and fill them once', async () => {
    const [one, other] = await Promise.all([started(), started()])
    expect(one.catalogue.all()).toEqual(other.catalogue.all())
    expect([one.catalogue.version, other.catalogue.version]).toEqual([1, 1])
  })

  it('have each other’s changes after a look', async () => {
    const [one, other] = [await started(), await started()]
    await one.change(db, () => one.putGift(db, gift('star', 5)))
    expect(other.catalogue.get('star')).toBeUndefined()
    await other.load(db)
    expect(other.catalogue.get('star')).toEqual(one.catalogue.get('star'))
    expect(other.catalogue.version).toBe(one.catalogue.version)
  })

  it('a change thought out against an old state is thought over again', async () => {
    const [one, other] = [await started(), await started()]
    await one.change(db, () => one.putGift(db, gift('star', 5)))
    const seen: (number | undefined)[] = []
    await other.change(db, () => {
      seen.push(other.catalogue.get('star')?.priceCoin)
      return other.putGift(db, gift('star', (other.catalogue.get('star')?.priceCoin ?? 0) + 1))
    })
    expect(seen).toEqual([undefined, 5])
    expect(other.catalogue.get('star')?.priceCoin).toBe(6)
    expect(other.catalogue.version).toBe(3)
  })

  it('a refusal leaves everything as it was', async () => {
    const shelf = await started()
    const refused = shelf.change(db, () => {
      throw new Error('no')
    })
    await expect(refused).rejects.toThrow('no')
    await shelf.load(db)
    expect(shelf.catalogue.version).toBe(1)
  })
})

it('more than a page of gifts is read whole', async () => {
  const shelf = await started()
  for (let n = 0; n < 260; n++) await shelf.change(db, () => shelf.putGift(db, gift(`g${n}`, 1)))
  const other = await started()
  expect(other.catalogue.all()).toHaveLength(266)
})
