import { test } from 'vitest'
import { fuzzLedger } from './fixtures/ledger-fuzz.ts'
import { Ledger } from './ledger.ts'
import { SqliteLedger } from './sqlite-ledger.ts'

test('whatever is asked, the ledger on SQLite does as the plain model does', async () => {
  await fuzzLedger(() => {
    const inner = new SqliteLedger({ file: ':memory:' })
    return {
      ledger: (disk) =>
        new Ledger({
          read: (wanted) => inner.read(wanted),
          lastPos: () => inner.lastPos(),
          write(decided) {
            inner.write(disk.changed(decided))
            disk.written()
          },
        }),
      reopen: () => {},
      source: inner.reader(),
      close: () => inner.close(),
    }
  }, 120)
})
