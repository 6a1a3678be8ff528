/**
 * Catalogue and contracts as they stand in the tables, in memory for whoever asks for a price.
 *
 * Every change is a row of `versions`, whose key lets only one of two changes that were made from the same state through: the other is
 * thought over again from what stands there then. So two operators, on two instances, cannot make contracts that overlap. A look at
 * the newest version says whether something has changed.
 *
 *     await shelf.load(db)                                   // each second, and after a change
 *     await shelf.change(db, () => put(...))                 // throws what the function throws
 */
import { refuse } from '../../engine/plugin/index.ts'
import { asc, dbErrorCode, gt, integer, lt, max, type PluginDb, sqliteTable, text } from '../../engine/plugin/tables.ts'
import { Catalogue, firstGifts, type GiftItem } from './catalogue.ts'
import { type Contract, Contracts } from './contracts.ts'

const gifts = sqliteTable('gifts', {
  id: text('id').primaryKey(),
  item: text('item', { mode: 'json' }).$type<GiftItem>().notNull(),
})
const contracts = sqliteTable('contracts', {
  id: text('id').primaryKey(),
  contract: text('contract', { mode: 'json' }).$type<Contract>().notNull(),
})
const versions = sqliteTable('versions', { version: integer('version').primaryKey() })

export const migrations = [
  'CREATE TABLE gifts (id TEXT PRIMARY KEY NOT NULL, item TEXT NOT NULL)',
  'CREATE TABLE contracts (id TEXT PRIMARY KEY NOT NULL, contract TEXT NOT NULL)',
  'CREATE TABLE versions (version INTEGER PRIMARY KEY NOT NULL)',
]

/** A gift is at most some 14 KB as JSON, and an answer of the database 4 MB. */
const giftsPage = 250
const contractsPage = 2_000
const triesMax = 10
type Statement = Parameters<PluginDb['batch']>[0][0]

export class Shelf {
  readonly catalogue = new Catalogue()
  readonly contracts = new Contracts()

  /** Fills empty tables, whoever of several instances comes first. */
  async start(db: PluginDb): Promise<void> {
    if ((await this.#newest(db)) === 0) {
      const first = firstGifts.map((item) => db.insert(gifts).values({ id: item.id, item }).onConflictDoNothing())
      await db.batch([db.insert(versions).values({ version: 1 }).onConflictDoNothing(), ...first])
    }
    await this.load(db)
  }

  /** Nothing is read but the version when that is the one in memory. */
  async load(db: PluginDb): Promise<void> {
    for (;;) {
      const version = await this.#newest(db)
      if (version <= this.catalogue.version) return
      const [items, known] = [await this.#gifts(db), await this.#contracts(db)]
      // Read in pages: a change in between would be half in there.
      if ((await this.#newest(db)) !== version) continue
      if (version <= this.catalogue.version) return // another look was faster
      this.contracts.load(known)
      this.catalogue.load(items, version)
      return
    }
  }

  async #newest(db: PluginDb): Promise<number> {
    const [row] = await db.select({ version: max(versions.version) }).from(versions)
    return row?.version ?? 0
  }

  async #gifts(db: PluginDb): Promise<GiftItem[]> {
    const items: GiftItem[] = []
    for (let after = ''; ; ) {
      const page = await db.select().from(gifts).where(gt(gifts.id, after)).orderBy(asc(gifts.id)).limit(giftsPage)
      items.push(...page.map(({ item }) => item))
      const last = page.at(-1)
      if (!last || page.length < giftsPage) return items
      after = last.id
    }
  }

  async #contracts(db: PluginDb): Promise<Contract[]> {
    const known: Contract[] = []
    for (let after = ''; ; ) {
      const page = await db
        .select()
        .from(contracts)
        .where(gt(contracts.id, after))
        .orderBy(asc(contracts.id))
        .limit(contractsPage)
      known.push(...page.map(({ contract }) => contract))
      const last = page.at(-1)
      if (!last || page.length < contractsPage) return known
      after = last.id
    }
  }

  /** `make`: the change, thought out against what is in memory; it is asked again when somebody else was faster. */
  async change(db: PluginDb, make: () => Statement): Promise<void> {
    for (let tries = 0; tries < triesMax; tries++) {
      const statement = make()
      const { version } = this.catalogue
      try {
        const next = db.insert(versions).values({ version: version + 1 })
        await db.batch([next, statement, db.delete(versions).where(lt(versions.version, version + 1))])
        return await this.load(db)
      } catch (error) {
        if (dbErrorCode(error) !== 'db.constraint') throw error
        await this.load(db)
      }
    }
    throw refuse('server.busy', 'Others change this all the time.', 1_000)
  }

  putGift(db: PluginDb, item: GiftItem): Statement {
    return db.insert(gifts).values({ id: item.id, item }).onConflictDoUpdate({ target: gifts.id, set: { item } })
  }

  putContract(db: PluginDb, contract: Contract): Statement {
    const row = { id: contract.id, contract }
    return db.insert(contracts).values(row).onConflictDoUpdate({ target: contracts.id, set: { contract } })
  }
}
